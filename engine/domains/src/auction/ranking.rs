//! The ranking of one auction: who competes, in which order, and who lost for which reason.

use super::index::Met;
use super::messages::{Nanos, SLOTS_MAX, TARGETS_MAX, WHOLE};
use alloc::vec::Vec;
use ringfence_kernel::Sequence;
use ringfence_kernel::state::fold;

/// The ranked at most: all slots and the runner-up.
pub(super) const RANKED_MAX: usize = SLOTS_MAX + 1;

/// A place in the ranking: higher is better. Equal scores are ranked by a draw, equal draws by number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    pub(super) score: u64,
    pub(super) draw: u64,
    /// The complement of the place, so that the lower number is the better.
    number: u32,
}

impl Rank {
    pub(super) fn new(score: u64, draw: u64, place: u32) -> Self {
        Self { score, draw, number: !place }
    }

    /// The place of the line item, or of the bid made elsewhere.
    pub(super) fn place(self) -> u32 {
        !self.number
    }

    /// Which of the request's bids it is, when it was made elsewhere.
    pub(super) fn outside(self) -> Option<usize> {
        self.place().checked_sub(OUTSIDE).map(|at| at as usize)
    }
}

/// The places of bids made elsewhere, which are no line items: this, and their place among the bids of a request.
pub(super) const OUTSIDE: u32 = 1 << 31;

/// What the draw of a line item's creative adds to its place.
pub(super) const ROTATION: u32 = 1 << 30;

/// A bid made elsewhere, for an impression.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outside {
    pub(super) bidder: u32,
    /// What was bid, and the price bucket of it.
    pub(super) bid: Nanos,
    pub(super) bucket: Nanos,
    /// Whether it takes part: it is among as many of its bidder's as may.
    pub(super) entered: bool,
}

impl Outside {
    /// Where it ranks by its draw, at `place`.
    pub(super) fn rank(&self, place: u32, draw: u64) -> Rank {
        Rank::new(self.bucket.0 * u64::from(WHOLE), draw, place)
    }
}

/// Why a candidate did not compete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Loss {
    /// It bids less than the floor.
    BelowFloor,
    /// It does not take part at this hour.
    OffHours,
    /// It has no creative that runs and fits.
    NoCreative,
    /// Its budgets hold no bid more.
    BudgetSpent,
    /// Its plan allows no more so far.
    Paced,
    /// The user has seen it as often as may be, or cannot be counted.
    Capped,
    /// Another of its advertiser, or with its label, ranks higher; or as many bids of its bidder as take part are higher.
    Excluded,
}

/// Reasons that there are.
pub(super) const LOSSES: usize = Loss::Excluded as usize + 1;

/// Who competes, and where it ranks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Competitor {
    pub(super) rank: Rank,
    pub(super) advertiser: u32,
    pub(super) floor: Nanos,
    /// Which of the request's deals set its floor, from 1; zero when none did.
    pub(super) deal: u8,
}

/// Room for one auction.
#[derive(Debug, Default)]
pub(super) struct Ranking {
    /// The best, each of another advertiser, best first.
    pub(super) best: Vec<Competitor>,
    /// Winners and the runner-up: as many as are looked for.
    wanted: usize,
    /// Those who did not compete, by rank, and how many of them are line items that lost for which reason.
    pub(super) losses: Vec<(Rank, Loss)>,
    pub(super) lost: [u32; LOSSES],
    /// Bids made elsewhere; and where those rank that take part, the worst first.
    pub(super) outside: Vec<Outside>,
    pub(super) entered: Vec<Rank>,
    /// The scores and places of those of one class, and ranks of those who are next.
    pub(super) class: Vec<(u64, u32)>,
    pub(super) next: Vec<Rank>,
    /// The auction and its placement's seed, once it was held, and its floor: what it is explained by.
    pub(super) held: Option<(Sequence, u64)>,
    pub(super) floor: Nanos,
    /// Who is targeted.
    pub(super) met: Met,
}

impl Ranking {
    /// Room for an auction among `items` line items, which an index with rows of `blocks` blocks finds.
    pub(super) fn new(items: usize, blocks: usize) -> Self {
        Self {
            best: Vec::with_capacity(RANKED_MAX),
            losses: Vec::with_capacity(items),
            outside: Vec::with_capacity(TARGETS_MAX),
            entered: Vec::with_capacity(TARGETS_MAX),
            class: Vec::with_capacity(items + TARGETS_MAX),
            next: Vec::with_capacity(items + TARGETS_MAX),
            met: Met::new(blocks),
            ..Self::default()
        }
    }

    pub(super) fn begin(&mut self, slots: usize, floor: Nanos) {
        (self.held, self.floor) = (None, floor);
        self.wanted = slots + 1;
        self.lost = [0; LOSSES];
        self.best.clear();
        self.losses.clear();
        self.outside.clear();
        self.entered.clear();
    }

    /// Whether the slots and the runner-up are found: nobody who follows matters.
    pub(super) fn is_decided(&self) -> bool {
        self.best.len() == self.wanted
    }

    /// Who wins a slot, best first.
    pub(super) fn winners(&self) -> &[Competitor] {
        &self.best[..self.best.len().min(self.wanted - 1)]
    }

    /// Whether whoever ranks there was looked at: nobody is who ranks behind the last that was looked for.
    pub(super) fn reaches(&self, rank: Rank) -> bool {
        !self.is_decided() || self.best.last().is_none_or(|last| rank >= last.rank)
    }

    pub(super) fn lose(&mut self, rank: Rank, loss: Loss) {
        self.losses.push((rank, loss));
        self.lost[loss as usize] += 1;
    }

    /// Why whoever ranks there lost for a reason of its own.
    pub(super) fn loss(&self, rank: Rank) -> Option<Loss> {
        self.losses.binary_search_by(|(other, _)| rank.cmp(other)).ok().map(|at| self.losses[at].1)
    }
}

/// What draws of one auction are made from: the placement's seed and the auction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Draws(u64);

impl Draws {
    pub(super) fn new(seed: u64, auction: Sequence) -> Self {
        Self(fold(seed ^ 0x9e37_79b9_7f4a_7c15, auction.0 | 1 << 63))
    }

    /// The draw of a place.
    #[inline]
    pub(super) fn of(self, place: u32) -> u64 {
        // Folded multiplies; one for each line item alone would leave neighbours related.
        fold(fold(self.0 ^ u64::from(place), 0xd6e8_feb8_6659_fd93), self.0 | 1)
    }
}

/// What equal scores are ranked by: a number made from the placement's seed, the auction and the line item.
pub(super) fn draw(seed: u64, auction: Sequence, place: u32) -> u64 {
    Draws::new(seed, auction).of(place)
}
