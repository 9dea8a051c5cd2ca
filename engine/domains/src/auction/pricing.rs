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
    /// Whether it is under contract, and pays what it bids.
    pub(super) contract: bool,
}

impl Bidder {
    pub(super) fn score(&self) -> u64 {
        self.bid.0 * self.weight
    }
}

/// What one event costs at least when an impression costs at least `floor` and leads to such an event at `rate`. What is
/// more than can be written is more than can be bid.
#[inline]
pub(super) fn floor_of_event(floor: Nanos, rate: Ppm) -> Nanos {
    if rate.0 == WHOLE {
        return floor;
    }
    let floor = (u128::from(floor.0) * u128::from(WHOLE)).div_ceil(u128::from(rate.0));
    Nanos(u64::try_from(floor).unwrap_or(u64::MAX))
}

/// What the winner of `slot` pays for one event. `ranked` are the winners and the runner-up, best first; `factors` are
/// what the slots yield.
pub(super) fn price(rule: AuctionRule, ranked: &[Bidder], factors: &[u32], slot: usize) -> Nanos {
    let winner = &ranked[slot];
    let least = u128::from(winner.floor.0) * u128::from(winner.weight);
    // What must be beaten for the slot before `rank`: the score of whom ranks there, or the winner's own floor.
    let beaten = |rank: usize| ranked.get(rank).map_or(0, |next| u128::from(next.score())).max(least);
    let price = match rule {
        _ if winner.contract => return winner.bid,
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

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use ringfence_kernel::random::Random;

    /// What each bidder gets, as its slot and its price, when they bid so: those whose bid reaches their floor, ranked by
    /// score, of equal ones the earlier first.
    fn held(rule: AuctionRule, bidders: &[Bidder], factors: &[u32]) -> Vec<Option<(usize, u64)>> {
        let mut order: Vec<usize> = (0..bidders.len()).filter(|at| bidders[*at].bid >= bidders[*at].floor).collect();
        order.sort_by_key(|at| core::cmp::Reverse(bidders[*at].score()));
        order.truncate(factors.len() + 1);
        let ranked: Vec<Bidder> = order.iter().map(|at| bidders[*at]).collect();
        let mut outcome = alloc::vec![None; bidders.len()];
        for (slot, at) in order.iter().enumerate().take(factors.len()) {
            outcome[*at] = Some((slot, price(rule, &ranked, factors, slot).0));
        }
        outcome
    }

    /// What a bidder gains to whom an event is worth `value`, in events of 10⁻⁶.
    fn gain(value: u64, outcome: Option<(usize, u64)>, factors: &[u32]) -> i128 {
        outcome.map_or(0, |(slot, price)| i128::from(factors[slot]) * (i128::from(value) - i128::from(price)))
    }

    fn instance(random: &mut Random, slots_max: u64) -> (Vec<Bidder>, Vec<u32>) {
        let floor = Nanos(random.below(400_000_000));
        let bidders = (0..2 + random.below(5)).map(|_| {
            let (rate, quality) = (1 + random.below(1_000_000), 500_000 + random.below(500_001));
            let weight = (rate * quality / u64::from(WHOLE)).max(1);
            // What an event is worth is worth about as much an impression to everybody.
            let bid = Nanos(1 + (1_000_000 + random.below(1_000_000_000)) * u64::from(WHOLE) / rate.max(1_000));
            Bidder { bid, weight, floor: floor_of_event(floor, Ppm(rate as u32)), contract: false }
        });
        let bidders = bidders.collect();
        let mut factors: Vec<u32> = (0..=random.below(slots_max)).map(|_| 1 + random.below(1_000_000) as u32).collect();
        factors.sort_unstable_by(|a, b| b.cmp(a));
        (bidders, factors)
    }

    /// Guards against a rule under which it pays to bid other than what an event is worth: 10⁵ instances of second price
    /// and of VCG, in each of which somebody tries bids below and above. Prices are whole numbers, so that a change of slot
    /// may save what rounding costs: less than one unit an event.
    #[test]
    fn nobody_gains_by_shading_in_second_price_and_vcg() {
        let (mut random, mut changed) = (Random::new(8), 0);
        for at in 0..100_000 {
            let (rule, slots) = if at % 2 == 0 { (AuctionRule::SecondPrice, 1) } else { (AuctionRule::Vcg, 5) };
            let (mut bidders, factors) = instance(&mut random, slots);
            let who = random.below(bidders.len() as u64) as usize;
            let value = bidders[who].bid.0;
            let outcome = held(rule, &bidders, &factors)[who];
            let honest = gain(value, outcome, &factors);
            assert!(honest >= 0, "instance {at}: an honest bidder loses");
            for _ in 0..4 {
                bidders[who].bid = Nanos((value as u128 * u128::from(random.below(2_000_000)) / 1_000_000) as u64 + 1);
                let other = held(rule, &bidders, &factors)[who];
                changed += u32::from(other != outcome);
                let rounding = other.map_or(0, |(slot, _)| i128::from(factors[slot]));
                let shaded = gain(value, other, &factors);
                assert!(shaded < honest + rounding.max(1), "instance {at}: {shaded} by shading, {honest} without");
            }
        }
        assert!(changed > 50_000, "{changed} bids changed the outcome");
    }

    /// Guards against a test that could not see a gain: in generalized second price there is one. Values of 10, 4 and 2 a
    /// click, slots that are nearly as good: the first gains by bidding below the second.
    #[test]
    fn shading_pays_in_generalized_second_price() {
        let factors = [WHOLE, WHOLE * 199 / 200];
        let bidders = |first: u64| {
            [first, 4, 2].map(|bid| Bidder {
                bid: Nanos(bid * 1_000),
                weight: WHOLE.into(),
                floor: Nanos(0),
                contract: false,
            })
        };
        let rule = AuctionRule::GeneralizedSecondPrice;
        let gain_of = |bid| gain(10_000, held(rule, &bidders(bid), &factors)[0], &factors);
        assert_eq!(gain_of(10), 6_000 * 1_000_000);
        assert_eq!(gain_of(3), 8_000 * 995_000);
    }
}
