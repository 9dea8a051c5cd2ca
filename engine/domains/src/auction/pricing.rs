//! What winners pay: pure functions of the ranked.
//!
//! Everything is in whole numbers. A score is bid times weight: the worth of an impression in 10⁻⁶ of [`Nanos`]. A price
//! for one event is the least whole number of [`Nanos`] whose score reaches what must be reached.

use super::messages::{AuctionRule, Nanos, Ppm, WHOLE};

/// Who competes for a slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Bidder {
    /// What it bids for one event.
    pub(super) bid: Nanos,
    /// What an event is worth in the ranking, in units of 10⁻⁶ of the bid; not zero.
    pub(super) weight: u64,
    /// What an event costs it at least.
    pub(super) floor: Nanos,
}

impl Bidder {
    pub(super) fn score(&self) -> u64 {
        self.bid.0 * self.weight
    }
}

/// What one event costs at least when an impression costs at least `floor` and leads to such an event at `rate`.
#[inline]
pub(super) fn floor_of_event(floor: Nanos, rate: Ppm) -> Nanos {
    Nanos((u128::from(floor.0) * u128::from(WHOLE)).div_ceil(u128::from(rate.0)) as u64)
}

/// What the winner of `slot` pays for one event. `ranked` are the winners and the runner-up, best first; `factors` are
/// what the slots yield.
pub(super) fn price(rule: AuctionRule, ranked: &[Bidder], factors: &[u32], slot: usize) -> Nanos {
    let winner = &ranked[slot];
    let least = u128::from(winner.floor.0) * u128::from(winner.weight);
    // What must be beaten for the slot before `rank`: the score of whom ranks there, or the winner's own floor.
    let beaten = |rank: usize| ranked.get(rank).map_or(0, |next| u128::from(next.score())).max(least);
    let price = match rule {
        AuctionRule::FirstPrice => return winner.bid,
        AuctionRule::SecondPrice | AuctionRule::GeneralizedSecondPrice => {
            beaten(slot + 1).div_ceil(u128::from(winner.weight))
        }
        AuctionRule::Vcg => {
            // Each slot from here on yields more than the one after it: for that more, who is next would have paid.
            let externality: u128 = (slot..factors.len())
                .map(|at| u128::from(factors[at] - factors.get(at + 1).copied().unwrap_or(0)) * beaten(at + 1))
                .sum();
            externality.div_ceil(u128::from(winner.weight) * u128::from(factors[slot]))
        }
    };
    debug_assert!(price <= u128::from(winner.bid.0) && price >= u128::from(winner.floor.0));
    Nanos(price as u64)
}
