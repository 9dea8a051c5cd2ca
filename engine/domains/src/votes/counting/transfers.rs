//! Methods that move ballots from candidate to candidate: instant-runoff, and the single transferable vote of Scotland.

use super::super::ballots::{Ballots, NONE, candidate};
use super::super::messages::{Action, CANDIDATES_MAX, Method, Standing, TieQuestion, VOTE};
use super::{Advance, Counter};
use alloc::boxed::Box;

/// Which ballots each candidate has: a list through all different ballots.
#[derive(Debug)]
pub(super) struct Piles {
    /// The first ballot of each candidate.
    heads: [u32; CANDIDATES_MAX as usize],
    ballots: Box<[Place]>,
}

/// Where a ballot lies.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// The next ballot of the same candidate.
    next: u32,
    /// What one paper of it is worth, in units of 10⁻⁵.
    value: u32,
    /// Its mark that counts.
    mark: u16,
}

impl Piles {
    pub(super) fn new(ballots: usize) -> Self {
        let nowhere = Place { next: NONE, value: 0, mark: 0 };
        Self { heads: [NONE; CANDIDATES_MAX as usize], ballots: alloc::vec![nowhere; ballots].into() }
    }
}

impl Counter {
    /// Gives every ballot to its first candidate.
    pub(super) fn sort(&mut self, ballots: &Ballots, first: u32) {
        self.piles.heads.fill(NONE);
        for (at, weight) in ballots.of(first) {
            self.piles.ballots[at as usize] = Place { next: NONE, value: VOTE as u32, mark: 0 };
            if !ballots.marks(at).is_empty() {
                self.give(ballots, at, weight);
            }
        }
        if self.method == Method::ScottishStv {
            let valid = (self.total - self.exhausted) / VOTE;
            self.quota = (valid / (self.seats as u64 + 1) + 1) * VOTE;
        }
    }

    /// Gives a ballot to the first continuing candidate from its mark on.
    #[inline]
    fn give(&mut self, ballots: &Ballots, at: u32, weight: u64) {
        let place = &mut self.piles.ballots[at as usize];
        let worth = weight * u64::from(place.value);
        let from = usize::from(place.mark);
        let continuing = |mark: &&u32| self.standing[candidate(**mark)] == Standing::Continuing;
        let rest = ballots.marks(at)[from..].iter().enumerate();
        match rest.map(|(on, mark)| (from + on, mark)).find(|(_, mark)| continuing(mark)) {
            Some((mark, named)) => {
                let candidate = candidate(*named);
                place.mark = mark as u16;
                place.next = core::mem::replace(&mut self.piles.heads[candidate], at);
                self.votes[candidate] += worth;
            }
            None => self.exhausted += worth,
        }
    }

    /// Transfers the largest surplus, or else excludes the last. False when a tie is in the way.
    pub(super) fn transfer(&mut self, ballots: &Ballots) -> bool {
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
            _ => self.exclude(ballots, chosen),
        }
        true
    }

    /// Every paper of the candidate goes on, at its value × surplus ÷ votes, truncated.
    fn transfer_surplus(&mut self, ballots: &Ballots, chosen: usize) {
        self.action = Action::Surplus;
        let votes = self.votes[chosen];
        let surplus = votes - self.quota;
        self.votes[chosen] = self.quota;
        let mut given = 0;
        // Ballots of one value mostly lie together.
        let (mut value, mut reduced) = (0, 0);
        let mut next = core::mem::replace(&mut self.piles.heads[chosen], NONE);
        while next != NONE {
            let (at, weight) = (next, ballots.get(next).weight);
            let place = &mut self.piles.ballots[at as usize];
            next = place.next;
            if place.value != value {
                value = place.value;
                reduced = (u128::from(value) * u128::from(surplus) / u128::from(votes)) as u32;
            }
            place.value = reduced;
            given += weight * u64::from(reduced);
            self.give(ballots, at, weight);
        }
        self.residual += surplus - given;
    }

    /// Every paper of the candidate goes on at its value.
    fn exclude(&mut self, ballots: &Ballots, chosen: usize) {
        self.action = Action::Exclusion;
        self.standing[chosen] = Standing::Excluded;
        self.votes[chosen] = 0;
        let mut next = core::mem::replace(&mut self.piles.heads[chosen], NONE);
        while next != NONE {
            let at = next;
            next = self.piles.ballots[at as usize].next;
            self.give(ballots, at, ballots.get(at).weight);
        }
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

    /// Elects whoever has more than half of the continuing votes, or is the only one left.
    pub(super) fn settle_majority(&mut self) -> Option<Advance> {
        let continuing = self.votes.iter().sum::<u64>();
        self.quota = (continuing / VOTE / 2 + 1) * VOTE;
        let left = |at: &usize| self.standing[*at] == Standing::Continuing;
        let only = (0..self.candidates).filter(left).count() == 1;
        let winner = (0..self.candidates).filter(left).find(|at| only || self.votes[*at] >= self.quota)?;
        self.standing[winner] = Standing::Elected;
        Some(Advance::Complete)
    }
}
