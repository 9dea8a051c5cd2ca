//! Who is elected by the most votes or points.

use super::super::messages::{Standing, TieQuestion};
use super::{Advance, Counter};

impl Counter {
    /// Fills the seats by the highest `merit`, which a candidate's votes have.
    pub(super) fn elect(&mut self, merit: impl Fn(u64) -> u64) -> Advance {
        let mut seats = self.seats;
        while seats > 0 {
            let continuing = |at: &usize| self.standing[*at] == Standing::Continuing;
            let best = (0..self.candidates).filter(continuing).map(|at| merit(self.votes[at])).max();
            let best = best.expect("no more seats than candidates");
            self.tied.clear();
            let tied = (0..self.candidates).filter(continuing).filter(|at| merit(self.votes[*at]) == best);
            self.tied.extend(tied.map(|at| at as u16));
            if self.tied.len() <= seats {
                seats -= self.tied.len();
                self.tied.iter().for_each(|at| self.standing[usize::from(*at)] = Standing::Elected);
                continue;
            }
            let Some(chosen) = self.pick(TieQuestion::Elect) else { return Advance::Tied };
            self.standing[chosen] = Standing::Elected;
            seats -= 1;
        }
        Advance::Complete
    }
}
