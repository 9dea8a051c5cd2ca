//! The ranking of one auction: who competes, in which order, and who lost for which reason.

use super::messages::{Nanos, SLOTS_MAX, TARGETS_MAX, WHOLE};
use alloc::boxed::Box;
use alloc::vec::Vec;
use ringfence_kernel::Context;
use ringfence_kernel::state::fold;

/// The ranked at most: all slots and the runner-up.
pub(super) const RANKED_MAX: usize = SLOTS_MAX + 1;

/// A place in the ranking: higher is better. Equal scores are ranked by a draw, equal draws by number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    pub(super) score: u64,
    pub(super) draw: u64,
    /// The complement of the place, so that the lower number is the better.
    pub(super) number: u32,
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
}

impl Outside {
    /// Where it ranks by its draw, at `place`.
    pub(super) fn rank(&self, place: u32, draw: u64) -> Rank {
        Rank { score: self.bucket.0 * u64::from(WHOLE), draw, number: !place }
    }
}

/// Why a candidate did not compete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    BelowFloor,
    OffHours,
    NoCreative,
    BudgetSpent,
    Paced,
    Capped,
    Excluded,
}

/// Who competes, and where it ranks.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Competitor {
    pub(super) rank: Rank,
    pub(super) place: u32,
    pub(super) advertiser: u32,
    pub(super) floor: Nanos,
}

/// Room for one auction.
#[derive(Debug, Default)]
pub(super) struct Ranking {
    /// The best, each of another advertiser, best first.
    best: [Competitor; RANKED_MAX],
    len: usize,
    /// Winners and the runner-up: as many as are looked for.
    wanted: usize,
    /// Those who did not compete and may have ranked before the last of the best.
    losses: Vec<(Rank, Loss)>,
    /// Bids made elsewhere.
    pub(super) outside: Vec<Outside>,
    /// Those of one class in their order, where labels are compared.
    pub(super) row: Vec<Rank>,
    /// The auction and its placement's seed, once it was held, and its floor: what it is explained by.
    pub(super) held: Option<(Context, u64)>,
    pub(super) floor: Nanos,
    /// A bit for each line item that is targeted.
    pub(super) found: Box<[u64]>,
}

impl Ranking {
    /// Room for an auction among `items` line items, which an index with rows of `words` words finds.
    pub(super) fn new(items: usize, words: usize) -> Self {
        let found = bytemuck::allocation::zeroed_slice_box(words);
        let (losses, outside) = (Vec::with_capacity(items), Vec::with_capacity(TARGETS_MAX));
        Self { losses, outside, row: Vec::with_capacity(items), found, ..Self::default() }
    }

    pub(super) fn begin(&mut self, slots: usize, floor: Nanos) {
        (self.held, self.floor) = (None, floor);
        self.len = 0;
        self.wanted = slots + 1;
        self.losses.clear();
        self.outside.clear();
    }

    /// Behind whom nobody matters; none while fewer compete than are looked for.
    pub(super) fn last(&self) -> Option<Rank> {
        (self.len == self.wanted).then(|| self.best[self.len - 1].rank)
    }

    pub(super) fn lose(&mut self, rank: Rank, loss: Loss) {
        self.losses.push((rank, loss));
    }

    /// Ranks a competitor. Of one advertiser only the best competes.
    pub(super) fn compete(&mut self, new: Competitor) {
        let same = self.best[..self.len].iter().position(|other| other.advertiser == new.advertiser);
        let end = match same {
            Some(at) if self.best[at].rank > new.rank => return self.lose(new.rank, Loss::Excluded),
            Some(at) => {
                self.lose(self.best[at].rank, Loss::Excluded);
                at
            }
            None if self.len < self.wanted => {
                self.len += 1;
                self.len - 1
            }
            None => self.len - 1,
        };
        let at = self.best[..end].partition_point(|other| other.rank > new.rank);
        self.best.copy_within(at..end, at + 1);
        self.best[at] = new;
    }

    /// Winners and the runner-up: as many as are looked for.
    pub(super) fn wanted(&self) -> usize {
        self.wanted
    }

    /// Why whoever ranks there lost for a reason of its own.
    pub(super) fn loss(&self, rank: Rank) -> Option<Loss> {
        self.losses.iter().find(|(other, _)| *other == rank).map(|(_, loss)| *loss)
    }

    /// Who competes, best first.
    pub(super) fn best(&self) -> &[Competitor] {
        &self.best[..self.len]
    }

    /// How many lost for a reason of their own: who ranks behind the last of the best was outbid whatever else.
    pub(super) fn lost(&self, loss: Loss) -> u32 {
        let last = self.last();
        let counts = |(rank, reason): &&(Rank, Loss)| *reason == loss && last.is_none_or(|last| *rank > last);
        self.losses.iter().filter(counts).count() as u32
    }
}

/// What equal scores are ranked by: a number made from the placement's seed, the auction and the line item.
pub(super) fn draw(seed: u64, context: Context, place: u32) -> u64 {
    // Folded multiplies; one for each line item alone would leave neighbours related.
    let auction = fold(seed ^ 0x9e37_79b9_7f4a_7c15, context.sequence.0 | 1 << 63);
    fold(fold(auction ^ u64::from(place), 0xd6e8_feb8_6659_fd93), auction | 1)
}
