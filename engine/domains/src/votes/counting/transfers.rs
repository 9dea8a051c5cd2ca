//! Methods that move ballots from candidate to candidate: instant-runoff, and single transferable votes with surpluses.

use super::super::ballots::{Ballots, END, candidate};
use super::super::messages::{Action, Method, Standing, TieQuestion, Until, VOTE};
use super::super::rankings::Node;
use super::Counter;
use super::piles::Held;

/// Nodes of rankings that a count can follow, wherever they lie. Tests come to both ways.
const NEAR: usize = if cfg!(test) { 30 } else { 1 << 17 };

impl Counter {
    /// Gives every ballot to its first candidate.
    pub(super) fn sort(&mut self, ballots: &Ballots, first: u32) {
        self.piles.clear();
        self.find_receivers();
        self.exhausted = 0;
        match ballots.ranked(first) {
            Some(root) if ballots.rankings().len() <= NEAR => {
                self.give(ballots, Held::branch(ballots, root, 0, VOTE as u32));
            }
            // To follow branches that lie far apart takes longer than to look at every ballot.
            _ => {
                for (at, weight) in ballots.of(first) {
                    self.give(ballots, Held::cast(ballots, at, 0, weight, VOTE as u32));
                }
            }
        }
        if self.method == Method::ScottishStv {
            self.set_quota();
        }
    }

    /// Gives ballots to the next who receives them.
    #[inline(always)]
    fn give(&mut self, ballots: &Ballots, held: Held) {
        if let Some((node, seen)) = held.node() {
            return self.give_branch(ballots, held, node, seen);
        }
        let votes = held.weight * u64::from(held.value);
        match held.next(ballots, &self.receivers) {
            Some((candidate, held)) => {
                self.votes[candidate] += votes;
                self.piles.push(candidate, held);
            }
            None => self.exhausted += votes,
        }
    }

    /// Gives rankings that begin alike to the next who receives them: all together, or each branch by itself where they part.
    #[inline(never)]
    fn give_branch(&mut self, ballots: &Ballots, held: Held, node: u32, seen: u16) {
        let Node { ballot, shared, .. } = *ballots.rankings().node(node);
        for seen in seen..shared {
            let candidate = candidate(ballots.mark(ballot, seen));
            if self.receives(candidate) {
                self.votes[candidate] += held.weight * u64::from(held.value);
                return self.piles.push(candidate, held.seen(seen + 1));
            }
        }
        // What a branch parts with stands beside it: to read it among its marks would take twice as long.
        for (branch, mark) in ballots.rankings().branches(node) {
            let votes = ballots.weight(branch) * u64::from(held.value);
            if votes == 0 || mark == END {
                self.exhausted += votes;
                continue;
            }
            let (candidate, part) = (candidate(mark), Held::branch(ballots, branch, shared + 1, held.value));
            if self.receives(candidate) {
                self.votes[candidate] += votes;
                self.piles.push(candidate, part);
            } else {
                self.give(ballots, part);
            }
        }
    }

    fn find_receivers(&mut self) {
        for at in 0..self.candidates {
            self.receivers.set(at, self.receives(at));
        }
    }

    /// Whether ballots go to a candidate: as long as it continues, and where a count goes on beyond the majority to who
    /// has it too.
    #[inline]
    pub(super) fn receives(&self, candidate: usize) -> bool {
        match self.standing[candidate] {
            Standing::Continuing => true,
            Standing::Elected => self.method == Method::InstantRunoff,
            Standing::Excluded | Standing::Defeated => false,
        }
    }

    /// Begins again with all ballots for the next seat, for which all compete who have none.
    pub(super) fn begin_pass(&mut self, ballots: &Ballots, first: u32) {
        (self.action, self.moved, self.pass_ended) = (Action::FirstCount, None, false);
        for (standing, undeclared) in self.standing.iter_mut().zip(&self.undeclared) {
            if *standing == Standing::Excluded && !undeclared {
                *standing = Standing::Continuing;
            }
        }
        self.votes.fill(0);
        // What was at stages of another seat breaks no tie.
        self.history.clear();
        self.sort(ballots, first);
    }

    /// Transfers the largest surplus, or else excludes the last. False when a tie is in the way.
    pub(super) fn transfer(&mut self, ballots: &Ballots, first: u32) -> bool {
        if self.find_undeclared() || self.batches && self.find_batch() {
            self.exclude_tied(ballots, first);
            return true;
        }
        // Whoever is elected without a surplus has the quota exactly, before or after it was transferred.
        let surplus = (0..self.candidates)
            .filter(|at| self.standing[*at] == Standing::Elected && self.votes[*at] > self.quota)
            .map(|at| self.votes[at])
            .max()
            .filter(|_| matches!(self.method, Method::ScottishStv | Method::WholeBallots));
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
        if question == TieQuestion::Transfer {
            (self.action, self.moved) = (Action::Surplus, Some(chosen));
            match self.method {
                Method::WholeBallots => self.send_surplus(ballots, first, chosen),
                _ => self.transfer_surplus(ballots, chosen),
            }
        } else {
            self.tied.clear();
            self.tied.push(chosen as u16);
            self.exclude_tied(ballots, first);
        }
        true
    }

    /// Puts write-ins into `tied` who continue though nobody declared them. Whether there are any.
    pub(super) fn find_undeclared(&mut self) -> bool {
        self.tied.clear();
        for at in 0..self.candidates {
            if self.standing[at] == Standing::Continuing && self.undeclared[at] {
                self.tied.push(at as u16);
            }
        }
        !self.tied.is_empty()
    }

    /// Puts those into `tied` whom ballots go to.
    pub(super) fn find_left(&mut self) {
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
            Until::Majority if self.method == Method::BottomsUp => self.seats,
            Until::Majority => 1,
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
        let votes = self.votes[chosen];
        let surplus = votes - self.quota;
        self.votes[chosen] = self.quota;
        self.find_receivers();
        let mut given = 0;
        // Ballots of one value mostly lie together.
        let (mut value, mut reduced) = (0, 0);
        while let Some(held) = self.piles.pop(chosen) {
            if held.value != value {
                value = held.value;
                reduced = (u128::from(value) * u128::from(surplus) / u128::from(votes)) as u32;
            }
            given += held.weight * u64::from(reduced);
            self.give(ballots, held.at(reduced));
        }
        self.residual += surplus - given;
    }

    /// Excludes those in `tied`: they have no votes more, and the stage is theirs.
    pub(super) fn mark_excluded(&mut self) {
        self.action = Action::Exclusion;
        self.moved = if let [only] = self.tied[..] { Some(only.into()) } else { None };
        for at in &self.tied {
            self.standing[usize::from(*at)] = Standing::Excluded;
            self.votes[usize::from(*at)] = 0;
        }
    }

    /// Every paper of those in `tied` goes on at its value, to none of them.
    fn exclude_tied(&mut self, ballots: &Ballots, first: u32) {
        self.mark_excluded();
        if self.method == Method::WholeBallots {
            return self.send_all(ballots, first);
        }
        self.find_receivers();
        for excluded in 0..self.tied.len() {
            let excluded = usize::from(self.tied[excluded]);
            while let Some(held) = self.piles.pop(excluded) {
                self.give(ballots, held);
            }
        }
    }
}
