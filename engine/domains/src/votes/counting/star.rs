//! STAR: of the two with most points the one wins whom more ballots give more points.

use super::super::ballots::{Ballots, candidate, points};
use super::super::messages::{Action, Standing, TieQuestion, VOTE};
use super::{Advance, Counter};

impl Counter {
    /// Compares the two of most points. False when a tie is in the way of who they are.
    pub(super) fn run_off(&mut self, ballots: &Ballots, first: u32) -> bool {
        let mut finalists = [0; 2];
        for found in 0..2 {
            let others = |at: &usize| self.standing[*at] == Standing::Continuing && (found == 0 || *at != finalists[0]);
            let most = (0..self.candidates).filter(others).map(|at| self.votes[at]).max();
            self.tied.clear();
            let tied = (0..self.candidates).filter(others).filter(|at| Some(self.votes[*at]) == most);
            self.tied.extend(tied.map(|at| at as u16));
            let Some(chosen) = self.pick(TieQuestion::Elect) else { return false };
            finalists[found] = chosen;
        }
        (self.action, self.moved) = (Action::Runoff, None);
        self.standing.fill(Standing::Excluded);
        self.votes.fill(0);
        self.exhausted = 0;
        finalists.iter().for_each(|at| self.standing[*at] = Standing::Continuing);
        let [a, b] = finalists;
        for (at, weight) in ballots.of(first) {
            let given = |to: usize| {
                ballots.marks(at).iter().find(|mark| candidate(**mark) == to).map_or(0, |mark| points(*mark))
            };
            let side = match given(a).cmp(&given(b)) {
                core::cmp::Ordering::Greater => &mut self.votes[a],
                core::cmp::Ordering::Less => &mut self.votes[b],
                core::cmp::Ordering::Equal => &mut self.exhausted,
            };
            *side += weight * VOTE;
        }
        true
    }

    /// Elects who won the runoff; who stands alone needs none.
    pub(super) fn settle_runoff(&mut self) -> Option<Advance> {
        if self.stage == 1 && self.open().nth(1).is_some() {
            return None;
        }
        Some(self.elect(|votes| votes))
    }
}
