//! Methods that give seats to lists.

use super::super::messages::{Method, Quota, Standing, TieQuestion, VOTE};
use super::{Advance, Counter};
use core::cmp::Ordering;

impl Counter {
    /// Seat by seat to the highest average: votes ÷ divisor, compared as products.
    pub(super) fn highest_averages(&mut self) -> Advance {
        let odd = self.method == Method::SainteLague;
        self.award(|votes, won| (u128::from(votes), if odd { 2 * u128::from(won) + 1 } else { u128::from(won) + 1 }))
    }

    /// A seat for each whole quota; what is left goes to the largest remainders, once to each list, and when there is
    /// still something left, once more.
    pub(super) fn largest_remainders(&mut self) -> Advance {
        let seats = self.seats as u128;
        let all = self.open().map(|at| u128::from(self.votes[at])).sum::<u128>();
        // So many quotas are votes × factor ÷ quota.
        let (factor, quota) = match self.quota_rule {
            Quota::Hare => (seats, all),
            Quota::Droop => (1, (all / u128::from(VOTE) / (seats + 1) + 1) * u128::from(VOTE)),
        };
        let whole = |votes: u64| (u128::from(votes) * factor).checked_div(quota).unwrap_or(0);
        for at in 0..self.candidates {
            let stands = self.standing[at] == Standing::Continuing;
            self.seats_won[at] = if stands { whole(self.votes[at]) as u16 } else { 0 };
        }
        self.award(|votes, won| {
            let rest = u128::from(votes) * factor - whole(votes) * quota;
            // Whoever has had fewer of these seats stands before whoever has had more.
            let had = u128::from(won) - whole(votes);
            ((seats + 1 - had) * quota + rest, 1)
        })
    }

    /// Gives the seats that are left, each to the list of the highest fraction of its votes and seats so far.
    fn award(&mut self, fraction: impl Fn(u64, u16) -> (u128, u128)) -> Advance {
        if self.claimants().next().is_none() {
            return Advance::Complete;
        }
        let mut left = self.seats - self.seats_won.iter().map(|won| usize::from(*won)).sum::<usize>();
        while left > 0 {
            let of = |at: usize| fraction(self.votes[at], self.seats_won[at]);
            let compare = |a: usize, b: usize| (of(a).0 * of(b).1).cmp(&(of(b).0 * of(a).1));
            let best = self.claimants().reduce(|a, b| if compare(b, a) == Ordering::Greater { b } else { a });
            let best = best.expect("there is a list");
            let mut tied = core::mem::take(&mut self.tied);
            tied.clear();
            tied.extend(self.claimants().filter(|at| compare(*at, best) == Ordering::Equal).map(|at| at as u16));
            self.tied = tied;
            if self.tied.len() <= left {
                left -= self.tied.len();
                self.tied.iter().for_each(|at| self.seats_won[usize::from(*at)] += 1);
                continue;
            }
            let Some(chosen) = self.pick(TieQuestion::Elect) else {
                self.stand();
                return Advance::Tied;
            };
            self.seats_won[chosen] += 1;
            left -= 1;
        }
        self.stand();
        Advance::Complete
    }

    /// Lists that somebody voted for: without a vote no list has a claim, not even to what remainders leave.
    fn claimants(&self) -> impl Iterator<Item = usize> {
        self.open().filter(|at| self.votes[*at] > 0)
    }

    /// Lists with seats are elected.
    fn stand(&mut self) {
        for (standing, won) in self.standing.iter_mut().zip(&self.seats_won) {
            if *won > 0 {
                *standing = Standing::Elected;
            }
        }
    }
}

// Votes and divisors multiply within 128 bits.
const _: () = assert!((super::super::messages::ROLL_WEIGHT_MAX as u128 * VOTE as u128).checked_mul(1 << 32).is_some());
