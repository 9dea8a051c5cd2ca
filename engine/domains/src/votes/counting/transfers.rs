//! Methods that move ballots from candidate to candidate: instant-runoff, and the single transferable vote of Scotland.

use super::super::ballots::Ballots;
use super::super::messages::{Action, Majority, Method, Standing, TieQuestion, Until, VOTE};
use super::piles::Held;
use super::{Advance, Counter};

impl Counter {
    /// Gives every ballot to its first candidate.
    pub(super) fn sort(&mut self, ballots: &Ballots, root: Option<u32>) {
        self.piles.clear();
        if let Some(root) = root {
            self.hand_on(ballots, Held::new(root, 0, VOTE as u32), 0);
        }
        if self.method == Method::ScottishStv {
            let valid = (self.total - self.exhausted) / VOTE;
            self.quota = (valid / (self.seats as u64 + 1) + 1) * VOTE;
        }
    }

    /// Gives all ballots of a branch to the first who receive them, from the candidate number `from` of the branch on.
    /// What says nothing more is exhausted. It calls itself once for each candidate of a ballot at most.
    fn hand_on(&mut self, ballots: &Ballots, held: Held, from: usize) {
        let (preferences, marks) = ballots.preferences();
        let (branch, value) = (held.branch, held.value());
        let weight = preferences.weight(branch);
        let mut at = from;
        while let Some(candidate) = preferences.candidate(marks, branch, at) {
            if self.receives(candidate) {
                self.votes[candidate] += weight * u64::from(value);
                return self.piles.push(candidate, Held::new(branch, at, value));
            }
            at += 1;
        }
        let mut ends = weight;
        for child in preferences.children(branch) {
            let weight = preferences.weight(child);
            if weight > 0 {
                ends -= weight;
                self.hand_on(ballots, Held::new(child, 0, value), 0);
            }
        }
        self.exhausted += ends * u64::from(value);
    }

    /// Whether ballots go to a candidate: as long as it continues, and where a count goes on beyond the majority to who
    /// has it too.
    #[inline]
    fn receives(&self, candidate: usize) -> bool {
        match self.standing[candidate] {
            Standing::Continuing => true,
            Standing::Elected => self.method == Method::InstantRunoff,
            Standing::Excluded | Standing::Defeated => false,
        }
    }

    /// Transfers the largest surplus, or else excludes the last. False when a tie is in the way.
    pub(super) fn transfer(&mut self, ballots: &Ballots) -> bool {
        if self.batches && self.find_batch() {
            self.moved = None;
            self.exclude_tied(ballots);
            return true;
        }
        // Whoever is elected without a surplus has the quota exactly, before or after it was transferred.
        let surplus = (0..self.candidates)
            .filter(|at| self.standing[*at] == Standing::Elected && self.votes[*at] > self.quota)
            .map(|at| self.votes[at])
            .max()
            .filter(|_| self.method == Method::ScottishStv);
        let continuing = (0..self.candidates).filter(|at| self.standing[*at] == Standing::Continuing);
        let (standing, votes, question) = match surplus {
            Some(most) => (Standing::Elected, most, TieQuestion::Transfer),
            None => {
                let least = continuing.map(|at| self.votes[at]).min().expect("a count goes on between candidates");
                (Standing::Continuing, least, TieQuestion::Exclude)
            }
        };
        self.tied.clear();
        let tied = (0..self.candidates).filter(|at| self.standing[*at] == standing && self.votes[*at] == votes);
        self.tied.extend(tied.map(|at| at as u16));
        let Some(chosen) = self.pick(question) else { return false };
        self.moved = Some(chosen);
        match question {
            TieQuestion::Transfer => self.transfer_surplus(ballots, chosen),
            _ => {
                self.tied.clear();
                self.tied.push(chosen as u16);
                self.exclude_tied(ballots);
            }
        }
        true
    }

    /// Puts those into `tied` whom ballots go to.
    fn find_left(&mut self) {
        self.tied.clear();
        for at in 0..self.candidates {
            if self.receives(at) {
                self.tied.push(at as u16);
            }
        }
    }

    /// Puts those into `tied` who cannot be overtaken into the next one's place, when they are several: the largest number
    /// of last candidates who together have fewer votes than the next, and leave as many as the count ends with.
    fn find_batch(&mut self) -> bool {
        let least = match self.until {
            Until::TwoLeft => 2,
            Until::Majority => self.seats,
        };
        self.find_left();
        let Self { tied, votes, .. } = self;
        tied.sort_unstable_by_key(|at| votes[usize::from(*at)]);
        let (mut sum, mut batch) = (0, 0);
        for place in 0..=tied.len().saturating_sub(least) {
            let next = votes[usize::from(tied[place])];
            if sum < next {
                batch = place;
            }
            sum += next;
        }
        tied.truncate(batch);
        batch > 1
    }

    /// Every paper of the candidate goes on, at its value × surplus ÷ votes, truncated.
    fn transfer_surplus(&mut self, ballots: &Ballots, chosen: usize) {
        self.action = Action::Surplus;
        let votes = self.votes[chosen];
        let surplus = votes - self.quota;
        self.votes[chosen] = self.quota;
        let mut given = 0;
        // Branches of one value mostly lie together.
        let (mut value, mut reduced) = (0, 0);
        while let Some(held) = self.piles.pop(chosen) {
            if held.value() != value {
                value = held.value();
                reduced = (u128::from(value) * u128::from(surplus) / u128::from(votes)) as u32;
            }
            given += ballots.preferences().0.weight(held.branch) * u64::from(reduced);
            self.hand_on(ballots, Held::new(held.branch, 0, reduced), held.at() + 1);
        }
        self.residual += surplus - given;
    }

    /// Every paper of those in `tied` goes on at its value, to none of them.
    fn exclude_tied(&mut self, ballots: &Ballots) {
        self.action = Action::Exclusion;
        for at in &self.tied {
            self.standing[usize::from(*at)] = Standing::Excluded;
            self.votes[usize::from(*at)] = 0;
        }
        for excluded in 0..self.tied.len() {
            let excluded = usize::from(self.tied[excluded]);
            while let Some(held) = self.piles.pop(excluded) {
                self.hand_on(ballots, held, held.at() + 1);
            }
        }
        self.tied.clear();
    }

    /// Elects whoever has the quota; and the continuing, when no more of them are left than seats.
    pub(super) fn settle_quota(&mut self) -> Option<Advance> {
        for at in 0..self.candidates {
            if self.standing[at] == Standing::Continuing && self.votes[at] >= self.quota {
                self.standing[at] = Standing::Elected;
            }
        }
        let count = |standing: Standing| self.standing.iter().filter(|known| **known == standing).count();
        let (elected, continuing) = (count(Standing::Elected), count(Standing::Continuing));
        assert!(elected <= self.seats, "no more candidates can have a Droop quota than there are seats");
        if elected < self.seats && elected + continuing <= self.seats {
            let left = self.standing.iter_mut().filter(|standing| **standing == Standing::Continuing);
            left.for_each(|standing| *standing = Standing::Elected);
        } else if elected < self.seats {
            return None;
        }
        Some(Advance::Complete)
    }

    /// Elects those who are left when there is a seat for each.
    pub(super) fn settle_seats(&mut self) -> Option<Advance> {
        let left = |standing: &&mut Standing| **standing == Standing::Continuing;
        if self.standing.iter_mut().filter(left).count() > self.seats {
            return None;
        }
        self.standing.iter_mut().filter(left).for_each(|standing| *standing = Standing::Elected);
        Some(Advance::Complete)
    }

    /// Elects whoever has the majority; of the last two the one with more votes, or who is left alone.
    pub(super) fn settle_majority(&mut self) -> Option<Advance> {
        let reached = self.standing.contains(&Standing::Elected);
        if self.stage == 1 || self.majority == Majority::OfContinuing && !reached {
            let continuing = self.votes.iter().sum::<u64>();
            self.quota = (continuing / VOTE / 2 + 1) * VOTE;
        }
        self.find_left();
        let left = self.tied.len();
        let Self { tied, votes, quota, .. } = self;
        let most = tied.iter().map(|at| votes[usize::from(*at)]).max().expect("someone is left");
        if left > 2 && most < *quota {
            return None;
        }
        tied.retain(|at| votes[usize::from(*at)] == most);
        let Some(winner) = self.pick(TieQuestion::Elect) else { return Some(Advance::Tied) };
        self.standing[winner] = Standing::Elected;
        (self.until == Until::Majority || left <= 2).then_some(Advance::Complete)
    }
}
