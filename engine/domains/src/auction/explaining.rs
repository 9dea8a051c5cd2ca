//! Why an auction ended as it did: of everybody who takes part in auctions, what became of it. It is read from what the auction
//! held last left behind, after a replay up to it.

use super::Auction;
use super::index::Standing;
use super::messages::{LineItemId, WHOLE};
pub use super::ranking::Loss;
use super::ranking::{OUTSIDE, Rank, draw};
use alloc::vec::Vec;
use ringfence_kernel::Sequence;

/// What became of a line item, or of a bid made elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// It won that slot, from 1.
    Won(u32),
    /// It did not compete.
    Lost(Loss),
    /// It ranks behind.
    Outbid,
    /// The request does not meet its targets.
    NotTargeted,
}

impl core::fmt::Display for Fate {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Won(slot) => write!(f, "Won({slot})"),
            Self::Lost(loss) => write!(f, "{loss:?}"),
            Self::Outbid => f.write_str("Outbid"),
            Self::NotTargeted => f.write_str("NotTargeted"),
        }
    }
}

/// One who could have won.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Explained {
    /// The line item; 0 for a bid made elsewhere.
    pub item: LineItemId,
    /// The bidder of a bid made elsewhere; 0 for a line item.
    pub bidder: u32,
    /// Its priority.
    pub priority: u8,
    /// What it is ranked by beside its priority: bid times weight.
    pub score: u64,
    /// What became of it.
    pub fate: Fate,
}

impl Auction {
    /// What became of everybody in the auction at that place in the log, in order of rank, those who were not targeted last.
    /// None when it is not the auction that was held last, or line items changed since.
    #[must_use]
    pub fn explain(&self, auction: Sequence) -> Option<Vec<Explained>> {
        let ranking = &self.ranking;
        let (_, seed) = ranking.held.filter(|(held, _)| *held == auction)?;
        let fate = |rank: Rank| match ranking.winners().iter().position(|winner| winner.rank == rank) {
            Some(slot) => Fate::Won(slot as u32 + 1),
            None => ranking.loss(rank).map_or(Fate::Outbid, Fate::Lost),
        };
        let mut all: Vec<(Rank, Explained)> = Vec::new();
        for (place, Standing { score, worth }, targeted) in self.items.index.all(&ranking.met) {
            let rank = Rank::new(score, draw(seed, auction, place), place);
            // Who does not reach the floor was counted and not looked at.
            let below = u128::from(worth) < u128::from(ranking.floor.0) * u128::from(WHOLE) && worth < u64::MAX;
            let fate = match targeted {
                true if below && ranking.reaches(rank) => Fate::Lost(Loss::BelowFloor),
                true => fate(rank),
                false => Fate::NotTargeted,
            };
            let (item, priority) = (LineItemId(place + 1), (score >> 60) as u8);
            all.push((rank, Explained { item, bidder: 0, priority, score: score & ((1 << 60) - 1), fate }));
        }
        for (place, outside) in (OUTSIDE..).zip(&ranking.outside) {
            let rank = outside.rank(place, draw(seed, auction, place));
            let Rank { score, .. } = rank;
            // Who does not reach the floor is not ranked.
            let floor = outside.bucket.0 == 0 || outside.bucket < ranking.floor;
            let fate = match outside.entered {
                _ if floor => Fate::Lost(Loss::BelowFloor),
                true => fate(rank),
                false => Fate::Lost(Loss::Excluded),
            };
            all.push((rank, Explained { item: LineItemId(0), bidder: outside.bidder, priority: 0, score, fate }));
        }
        all.sort_by_key(|(rank, explained)| (explained.fate == Fate::NotTargeted, core::cmp::Reverse(*rank)));
        Some(all.into_iter().map(|(_, explained)| explained).collect())
    }
}
