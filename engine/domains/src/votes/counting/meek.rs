//! Meek's method: an elected candidate keeps as large a part of each ballot as leaves the quota, and the rest goes on.
//!
//! In whole numbers of 10⁻⁹ votes: what is kept and what goes on are truncated, keep values rounded up. The quota is
//! (votes that someone keeps) ÷ (seats + 1), truncated, plus 10⁻⁹.

use super::super::ballots::{Ballots, candidate};
use super::super::messages::{Action, MEEK_VOTE, Standing, TieQuestion};
use super::{Advance, Counter};

/// A surplus of 10⁻⁶ votes or less goes to nobody any more.
const OMEGA: i128 = MEEK_VOTE as i128 / 1_000_000;

impl Counter {
    /// Excludes the last, unless someone was just elected, and counts again. False when a tie is in the way.
    pub(super) fn transfer_by_keeping(&mut self, ballots: &Ballots, first: u32) -> bool {
        (self.action, self.moved) = (Action::Surplus, None);
        if !self.just_elected {
            if !self.find_undeclared() {
                self.find_last();
                let Some(chosen) = self.pick(TieQuestion::Exclude) else { return false };
                self.tied.clear();
                self.tied.push(chosen as u16);
            }
            self.mark_excluded();
            self.tied.iter().for_each(|at| self.keep[usize::from(*at)] = 0);
        }
        self.iterate(ballots, first);
        true
    }

    /// Puts those into `tied` who may be last: a surplus that is not transferred yet could not lift them over another.
    fn find_last(&mut self) {
        let continuing = |at: &usize| self.standing[*at] == Standing::Continuing;
        let least = (0..self.candidates).filter(continuing).map(|at| self.votes[at]).min();
        let least = i128::from(least.expect("a count goes on between candidates")) + self.surplus.max(0);
        self.tied.clear();
        let last = (0..self.candidates).filter(continuing).filter(|at| i128::from(self.votes[*at]) <= least);
        self.tied.extend(last.map(|at| at as u16));
    }

    /// Counts again and again with smaller parts kept, until someone is elected or there is no surplus to speak of.
    pub(super) fn iterate(&mut self, ballots: &Ballots, first: u32) {
        let mut before = i128::from(self.total);
        loop {
            self.keep_parts(ballots, first);
            self.just_elected = self.elect_by_quota();
            let elected = (0..self.candidates).filter(|at| self.standing[*at] == Standing::Elected);
            self.surplus = elected.map(|at| i128::from(self.votes[at]) - i128::from(self.quota)).sum();
            if self.just_elected || self.surplus <= OMEGA || self.surplus >= before {
                return;
            }
            before = self.surplus;
            // What truncation loses may leave an elected candidate less than the quota, or nothing.
            for at in (0..self.candidates).filter(|at| self.standing[*at] == Standing::Elected && self.votes[*at] > 0) {
                let kept = (u128::from(self.keep[at]) * u128::from(self.quota)).div_ceil(MEEK_VOTE.into());
                let part = (kept * u128::from(MEEK_VOTE)).div_ceil(self.votes[at].into());
                self.keep[at] = part.min(MEEK_VOTE.into()) as u64;
            }
        }
    }

    /// Elects whoever has the quota and has no seat yet. Whether someone has.
    fn elect_by_quota(&mut self) -> bool {
        let elected = self.elected();
        let Self { standing, votes, undeclared, quota, .. } = self;
        let reached = |at: &usize| standing[*at] == Standing::Continuing && votes[*at] >= *quota && !undeclared[*at];
        let reached = (0..self.candidates).filter(reached).take(self.seats - elected);
        self.tied.clear();
        self.tied.extend(reached.map(|at| at as u16));
        self.tied.iter().for_each(|at| self.standing[usize::from(*at)] = Standing::Elected);
        !self.tied.is_empty()
    }

    /// Gives each candidate its part of all ballots; what nobody keeps is exhausted.
    fn keep_parts(&mut self, ballots: &Ballots, first: u32) {
        self.votes.fill(0);
        for (at, weight) in ballots.of(first) {
            let mut power = MEEK_VOTE;
            for candidate in ballots.marks(at).iter().map(|mark| candidate(*mark)) {
                let keep = self.keep[candidate];
                self.votes[candidate] += weight * (power * keep / MEEK_VOTE);
                power = power * (MEEK_VOTE - keep) / MEEK_VOTE;
                if power == 0 {
                    break;
                }
            }
        }
        let kept = self.votes.iter().sum::<u64>();
        self.exhausted = self.total - kept;
        self.quota = kept / (self.seats as u64 + 1) + 1;
    }

    /// Elects those who are left when there is a seat for each; whoever has the quota is elected already.
    pub(super) fn settle_kept(&mut self) -> Option<Advance> {
        self.fill_from_open(self.elected())
    }
}

// What the heaviest roll keeps still fits.
const _: () = assert!(super::super::messages::ROLL_WEIGHT_MAX.checked_mul(MEEK_VOTE).is_some());
