//! Who is elected after a stage of a count that excludes.

use super::super::messages::{Majority, Method, Standing, TieQuestion, Until, VOTE};
use super::{Advance, Counter};

impl Counter {
    /// Those who may still be elected, by place.
    pub(super) fn open(&self) -> impl Iterator<Item = usize> {
        (0..self.candidates).filter(|at| self.standing[*at] == Standing::Continuing && !self.undeclared[*at])
    }

    /// Elects all who may still be.
    pub(super) fn elect_open(&mut self) {
        for at in 0..self.candidates {
            if self.standing[at] == Standing::Continuing && !self.undeclared[at] {
                self.standing[at] = Standing::Elected;
            }
        }
    }

    /// Elects whoever has the quota; and the continuing, when no more of them are left than seats.
    pub(super) fn settle_quota(&mut self) -> Option<Advance> {
        for at in 0..self.candidates {
            if self.standing[at] == Standing::Continuing && self.votes[at] >= self.quota && !self.undeclared[at] {
                self.standing[at] = Standing::Elected;
            }
        }
        let elected = self.elected();
        assert!(elected <= self.seats, "no more candidates can have the quota than there are seats");
        self.fill_from_open(elected)
    }

    /// Elects those who are left when there is a seat for each. Ends the count when all seats are filled.
    pub(super) fn fill_from_open(&mut self, elected: usize) -> Option<Advance> {
        if elected < self.seats {
            if elected + self.open().count() > self.seats {
                return None;
            }
            self.elect_open();
        }
        Some(Advance::Complete)
    }

    /// How many are elected.
    pub(super) fn elected(&self) -> usize {
        self.standing.iter().filter(|standing| **standing == Standing::Elected).count()
    }

    /// Elects those who are left when there is a seat for each.
    pub(super) fn settle_seats(&mut self) -> Option<Advance> {
        self.fill_from_open(0)
    }

    /// Elects whoever has the majority; of the last two the one with more votes, or who is left alone.
    pub(super) fn settle_majority(&mut self) -> Option<Advance> {
        let reached = self.method == Method::InstantRunoff && self.elected() > 0;
        if self.stage == 1 || self.majority == Majority::OfContinuing && !reached {
            let continuing = self.votes.iter().sum::<u64>();
            self.quota = (continuing / VOTE / 2 + 1) * VOTE;
        }
        self.find_left();
        let Self { tied, votes, quota, undeclared, .. } = self;
        let last = tied.len() <= 2 && tied.iter().all(|at| !undeclared[usize::from(*at)]);
        tied.retain(|at| !undeclared[usize::from(*at)]);
        let most = tied.iter().map(|at| votes[usize::from(*at)]).max().expect("someone is left");
        if !last && most < *quota {
            return None;
        }
        tied.retain(|at| votes[usize::from(*at)] == most);
        let Some(winner) = self.pick(TieQuestion::Elect) else { return Some(Advance::Tied) };
        self.standing[winner] = Standing::Elected;
        self.pass_ended = self.elected() < self.seats;
        (!self.pass_ended && (self.until == Until::Majority || last)).then_some(Advance::Complete)
    }
}
