//! What breaks a tie.

use super::super::messages::{TieBreak, TieQuestion};
use super::Counter;
use ringfence_kernel::state::fold;

impl Counter {
    /// On whom of the tied it falls; none when an officer must say so first. Then `tied` holds whom it is between.
    pub(super) fn pick(&mut self, question: TieQuestion) -> Option<usize> {
        self.question = question;
        if self.tied.len() > 1 && self.earlier_stages {
            self.ask_earlier_stages();
        }
        if let [only] = self.tied[..] {
            return Some(only.into());
        }
        // Whom the order prefers is elected or transferred first, and excluded last.
        let rank = |at: &u16| match self.tie_break {
            TieBreak::Seeded => (fold(self.seed ^ 0x243f_6a88_85a3_08d3, u64::from(*at) ^ 0x1319_8a2e_0370_7344), *at),
            _ => (0, *at),
        };
        let chosen = match (self.tie_break, question) {
            (TieBreak::Officer, _) => {
                let decided = *self.decisions.get(self.decisions_used)? - 1;
                assert!(self.tied.contains(&decided), "a decision names one of the tied");
                self.decisions_used += 1;
                Some(decided)
            }
            (_, TieQuestion::Exclude) => self.tied.iter().copied().max_by_key(rank),
            _ => self.tied.iter().copied().min_by_key(rank),
        };
        chosen.map(usize::from)
    }

    /// Keeps those of the tied who had most votes, or fewest for an exclusion, at the latest earlier stage at which
    /// they differed; of those that are left, at the one before, and so on.
    fn ask_earlier_stages(&mut self) {
        let Self { history, tied, candidates, question, .. } = self;
        for votes in history.chunks_exact(*candidates).rev() {
            let of = |at: &u16| votes[usize::from(*at)];
            let extreme = match question {
                TieQuestion::Exclude => tied.iter().map(of).min(),
                TieQuestion::Elect | TieQuestion::Transfer => tied.iter().map(of).max(),
            };
            tied.retain(|at| Some(of(at)) == extreme);
            if tied.len() == 1 {
                return;
            }
        }
    }
}
