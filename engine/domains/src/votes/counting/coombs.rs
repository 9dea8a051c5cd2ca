//! Coombs: whom most ballots rank last is excluded.

use super::super::ballots::{Ballots, candidate};
use super::super::messages::{Standing, TieQuestion, VOTE};
use super::Counter;

impl Counter {
    /// Counts every ballot for its first candidate, and against its last. A ballot that does not rank some of those who
    /// continue ranks all of them last, an equal part of a vote each, truncated to 5 decimals.
    pub(super) fn rank_ends(&mut self, ballots: &Ballots, first: u32) {
        let left = (0..self.candidates).filter(|at| self.receives(*at)).count();
        self.votes.fill(0);
        self.last_places.clear();
        self.last_places.resize(self.candidates, 0);
        self.exhausted = 0;
        for (at, weight) in ballots.of(first) {
            let mut ranked = [false; super::CANDIDATES_MAX as usize];
            let (mut top, mut bottom, mut count) = (None, 0, 0);
            for at in ballots.marks(at).iter().map(|mark| candidate(*mark)).filter(|at| self.receives(*at)) {
                top = top.or(Some(at));
                (bottom, count) = (at, count + 1);
                ranked[at] = true;
            }
            match top {
                Some(top) => self.votes[top] += weight * VOTE,
                None => {
                    self.exhausted += weight * VOTE;
                    continue;
                }
            }
            if count == left {
                self.last_places[bottom] += weight * VOTE;
                continue;
            }
            let part = weight * (VOTE / (left - count) as u64);
            for at in (0..self.candidates).filter(|at| !ranked[*at]) {
                if self.receives(at) {
                    self.last_places[at] += part;
                }
            }
        }
    }

    /// Excludes whom most rank last. False when a tie is in the way.
    pub(super) fn exclude_most_last(&mut self, ballots: &Ballots, first: u32) -> bool {
        if !self.find_undeclared() {
            let most = self.open().map(|at| self.last_places[at]).max().expect("a count goes on between candidates");
            self.tied.clear();
            for at in 0..self.candidates {
                if self.standing[at] == Standing::Continuing && self.last_places[at] == most {
                    self.tied.push(at as u16);
                }
            }
            let Some(chosen) = self.pick(TieQuestion::Exclude) else { return false };
            self.tied.clear();
            self.tied.push(chosen as u16);
        }
        self.mark_excluded();
        self.rank_ends(ballots, first);
        true
    }
}
