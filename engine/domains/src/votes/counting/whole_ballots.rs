//! The single transferable vote by whole ballots, without a draw: of the ballots that can go on as many go as the surplus
//! has, evenly spread over them in the order in which different ballots were first cast.

use super::super::ballots::{Ballots, candidate};
use super::super::messages::{Quota, VOTE};
use super::Counter;

/// Ballots that say the same, while they are counted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paper {
    /// How many of them have not stayed with an elected candidate.
    weight: u64,
    /// The place of who has them; `NOBODY` when they are exhausted.
    holder: u16,
    /// The mark that names the holder.
    mark: u16,
}

const NOBODY: u16 = u16::MAX;

impl Paper {
    pub(super) const NONE: Self = Self { weight: 0, holder: NOBODY, mark: 0 };
}

impl Counter {
    /// Gives every ballot to its first candidate.
    pub(super) fn deal(&mut self, ballots: &Ballots, first: u32) {
        for (at, weight) in ballots.of(first) {
            self.papers[at as usize] = Paper { weight, ..Paper::NONE };
            if !ballots.marks(at).is_empty() {
                self.pass(ballots, at, weight, 0);
            }
        }
        self.set_quota();
    }

    /// The quota of the method's ballots that are valid.
    pub(super) fn set_quota(&mut self) {
        let (valid, seats) = ((self.total - self.exhausted) / VOTE, self.seats as u64);
        self.quota = VOTE
            * match self.quota_rule {
                Quota::Droop => valid / (seats + 1) + 1,
                Quota::Hare => valid.div_ceil(seats).max(1),
            };
    }

    /// The first continuing candidate from a mark on, and the mark.
    fn next_holder(&self, ballots: &Ballots, at: u32, from: usize) -> Option<(usize, usize)> {
        let marks = ballots.marks(at)[from..].iter().map(|mark| candidate(*mark));
        (from..).zip(marks).find(|(_, candidate)| self.receives(*candidate))
    }

    /// Gives that many of a ballot to the first continuing candidate from a mark on; those that stay behind count no more
    /// among them.
    fn pass(&mut self, ballots: &Ballots, at: u32, weight: u64, from: usize) {
        let paper = match self.next_holder(ballots, at, from) {
            Some((mark, candidate)) => {
                self.votes[candidate] += weight * VOTE;
                Paper { weight, holder: candidate as u16, mark: mark as u16 }
            }
            None => {
                self.exhausted += weight * VOTE;
                Paper::NONE
            }
        };
        self.papers[at as usize] = paper;
    }

    /// Sends as many of the candidate's ballots on as it has more than the quota. When fewer can go on than that, the rest
    /// of the surplus is exhausted.
    pub(super) fn send_surplus(&mut self, ballots: &Ballots, first: u32, chosen: usize) {
        let surplus = (self.votes[chosen] - self.quota) / VOTE;
        self.votes[chosen] = self.quota;
        let held =
            |counter: &Self, at: u32| Some(counter.papers[at as usize]).filter(|p| usize::from(p.holder) == chosen);
        let mut transferable = 0;
        for (at, _) in ballots.of(first) {
            if let Some(paper) = held(self, at)
                && self.next_holder(ballots, at, usize::from(paper.mark) + 1).is_some()
            {
                transferable += paper.weight;
            }
        }
        self.exhausted += surplus.saturating_sub(transferable) * VOTE;
        let going = surplus.min(transferable);
        // Of the first n that can go on, n × going ÷ transferable have gone.
        let gone = |n: u64| (u128::from(n) * u128::from(going) / u128::from(transferable.max(1))) as u64;
        let mut seen = 0;
        for (at, _) in ballots.of(first) {
            let Some(paper) = held(self, at) else { continue };
            let from = usize::from(paper.mark) + 1;
            self.papers[at as usize] = Paper::NONE;
            if self.next_holder(ballots, at, from).is_some() {
                let goes = gone(seen + paper.weight) - gone(seen);
                seen += paper.weight;
                if goes > 0 {
                    self.pass(ballots, at, goes, from);
                }
            }
        }
    }

    /// Sends all ballots of those in `tied`, who are excluded, on.
    pub(super) fn send_all(&mut self, ballots: &Ballots, first: u32) {
        for (at, _) in ballots.of(first) {
            let Paper { weight, holder, mark } = self.papers[at as usize];
            if self.tied.contains(&holder) {
                self.pass(ballots, at, weight, usize::from(mark) + 1);
            }
        }
    }
}
