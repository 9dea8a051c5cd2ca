//! What must be true between commands, whatever was asked.

use super::Matching;
use super::levels::{NONE, better};
use super::messages::{Phase, Side};
use alloc::collections::BTreeMap;
use ringfence_kernel::{Domain, laws};

impl Matching {
    /// Looks at everything that must be true between commands.
    ///
    /// # Panics
    /// When something is not.
    pub fn check_invariants(&self) {
        self.check_levels();
        let mut sums = BTreeMap::<u32, (u64, u32)>::new();
        let mut bytes = laws::Bytes::default();
        self.save(&mut bytes);
        Self::load(&self.limits, &mut bytes).expect("every list is whole, every sum right, no book crossed");
        for order in self.orders.live() {
            let sum = sums.entry(order.level).or_default();
            (sum.0, sum.1) = (sum.0 + order.remaining, sum.1 + 1);
        }
        for (level, (quantity, orders)) in sums {
            let level = &self.levels[level];
            assert_eq!((level.quantity, level.orders), (quantity, orders), "a level is the sum of its orders");
        }
    }

    /// Every level is found, in order, and no book is crossed.
    fn check_levels(&self) {
        let mut seen = 0;
        for instrument in self.instruments.iter() {
            let mut bests = [None; 10];
            let (buy, sell) = (Side::Buy, Side::Sell);
            // Stops to buy stand as asks do, the lowest first.
            let shown = [instrument.half(buy), instrument.half(sell)];
            let halves = shown.into_iter().chain([instrument.stops(sell), instrument.stops(buy)]);
            let halves = halves.chain([instrument.hidden(buy), instrument.hidden(sell)]);
            let halves = halves.chain([instrument.unpriced(buy), instrument.unpriced(sell)]);
            let halves = halves.chain([instrument.parked(buy), instrument.parked(sell)]);
            for ((best, side), half) in bests.iter_mut().zip([buy, sell].into_iter().cycle()).zip(halves) {
                let mut at = Some(half.best).filter(|at| *at != NONE);
                *best = at.map(|at| self.levels[at].ticks);
                while let Some(index) = at {
                    let level = &self.levels[index];
                    seen += 1;
                    let found = self.levels.find(half, level.rank(), level.ticks);
                    assert_eq!(found, Some(index), "a level is found by its price");
                    assert!(level.orders > 0, "an empty level is gone");
                    at = self.levels.worse(index);
                    if let Some(next) = at {
                        assert!(better(side, level.ticks, self.levels[next].ticks), "best first");
                    }
                }
            }
            assert!(instrument.keeps_quote(&self.levels), "what pegged orders follow is kept");
            let continuous = instrument.phase.get() == Phase::Continuous;
            if continuous && let [Some(bid), Some(ask), ..] = bests {
                assert!(bid < ask, "a book is crossed");
            }
        }
        let live = self.levels.entries().iter().filter(|level| level.orders > 0).count();
        assert_eq!(seen, live, "every level hangs in a ladder");
    }
}
