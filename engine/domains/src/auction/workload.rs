//! Seeded commands for benches, laws, fuzzing and simulation.
//!
//! All kinds but one are a [`Flow`]: campaigns, line items and placements are prepared and started; then auctions are
//! held, events come, some again, too late or for nothing, and now and then a bid, a floor or a phase changes.

mod changing;
mod flow;
mod hostile;
mod preparing;
mod terms;

pub use flow::Flow;
pub use terms::{
    advertiser, alternative, amount, attribute, auction, campaign, creative, line_item, placement, slot, target,
};

use alloc::boxed::Box;
use hostile::Hostile;
use ringfence_kernel::random::Random;
use ringfence_kernel::workload::WorkloadKind;

/// The kinds of commands. Client 1 runs the campaigns.
pub const KINDS: &[WorkloadKind] = &[
    WorkloadKind {
        name: "open",
        doc: "auctions of one slot at second price over 1,000 line items, a tenth of which match, and an event for each",
        new: |seed, clients| Box::new(Flow::new(seed, clients, OPEN)),
    },
    WorkloadKind {
        name: "large",
        doc: "as open, over 100,000 line items, 1,000 of which match; preparing them takes 202,001 commands",
        new: |seed, clients| Box::new(Flow::new(seed, clients, LARGE)),
    },
    WorkloadKind {
        name: "mixed",
        doc: "every rule, several slots, budgets and caps that run out, ties; times assume a command each microsecond",
        new: |seed, clients| Box::new(Flow::new(seed, clients, MIXED)),
    },
    WorkloadKind {
        name: "hostile",
        doc: "random values in all fields, edges of every range, malformed and cut bodies",
        new: |seed, clients| Box::new(Hostile::new(seed, clients)),
    },
];

/// What a [`Flow`] is like.
#[derive(Clone, Copy, Debug)]
pub struct Mix {
    /// Advertisers and publishers.
    pub parties: u32,
    /// Campaigns.
    pub campaigns: u32,
    /// Line items.
    pub items: u32,
    /// Placements.
    pub placements: u32,
    /// Users.
    pub users: u64,
    /// Values of each of two dimensions that every line item includes one of.
    pub values: u32,
    /// Whether budgets, bids, flights, caps, rules and phases are of all kinds, and change.
    pub varied: bool,
    /// Nanoseconds between commands.
    pub tick: u64,
    /// Entries of the log before the first command: opened sessions.
    pub before: u64,
}

/// One rule, large budgets.
pub const OPEN: Mix = Mix {
    parties: 100,
    campaigns: 100,
    items: 1_000,
    placements: 1,
    users: 1_000_000,
    values: 3,
    varied: false,
    tick: 1_000,
    before: 0,
};
/// As [`OPEN`], with as many line items as a large server has.
pub const LARGE: Mix = Mix { campaigns: 1_000, items: 100_000, values: 10, ..OPEN };
/// Everything at once, in little room.
pub const MIXED: Mix = Mix {
    parties: 6,
    campaigns: 10,
    items: 40,
    placements: 12,
    users: 8,
    values: 2,
    varied: true,
    tick: 1_000,
    before: 0,
};

fn pick<T: Copy>(random: &mut Random, of: &[T]) -> T {
    of[random.below(of.len() as u64) as usize]
}
