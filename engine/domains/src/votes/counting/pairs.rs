//! Methods that compare two candidates at a time.

use super::super::ballots::{Ballots, candidate};
use super::super::messages::{Method, VOTE};
use super::{Counter, TIED_WORDS};

impl Counter {
    /// Compares every two candidates on all ballots. Whom a ballot does not rank stands below all whom it does. Write-ins whom
    /// nobody declared are compared too, and beat nobody.
    pub(super) fn compare(&mut self, ballots: &Ballots, first: u32) {
        let n = self.candidates;
        self.preferred[..n * n].fill(0);
        for (at, weight) in ballots.of(first) {
            // One pass: whoever was not met when a candidate is met stands below.
            let mut met = [false; super::CANDIDATES_MAX as usize];
            for mark in ballots.marks(at) {
                let above = candidate(*mark);
                met[above] = true;
                let row = &mut self.preferred[above * n..][..n];
                row.iter_mut().zip(&met).filter(|(_, met)| !**met).for_each(|(votes, _)| *votes += weight);
            }
        }
        for a in 0..n {
            self.votes[a] = match self.method {
                _ if self.undeclared[a] => 0,
                Method::Copeland => self.wins(a),
                Method::Minimax => self.largest_defeat(a),
                _ => 0,
            };
        }
        if self.method == Method::Schulze {
            self.strongest_paths();
            for a in 0..n {
                let beaten = (0..n).filter(|b| self.strongest[b * n + a] > self.strongest[a * n + b]);
                self.votes[a] = beaten.count() as u64 * VOTE;
            }
        }
        if self.method == Method::RankedPairs {
            self.lock_pairs();
        }
    }

    /// Votes that prefer `a` to `b`, when both stand.
    fn prefer(&self, a: usize, b: usize) -> u64 {
        if self.undeclared[a] || self.undeclared[b] { 0 } else { self.preferred[a * self.candidates + b] }
    }

    fn wins(&self, a: usize) -> u64 {
        let others = self.open().filter(|b| *b != a);
        others
            .map(|b| match self.prefer(a, b).cmp(&self.prefer(b, a)) {
                core::cmp::Ordering::Greater => VOTE,
                core::cmp::Ordering::Equal => VOTE / 2,
                core::cmp::Ordering::Less => 0,
            })
            .sum()
    }

    fn largest_defeat(&self, a: usize) -> u64 {
        let defeats = (0..self.candidates).map(|b| (self.prefer(b, a), self.prefer(a, b)));
        defeats.filter(|(against, votes)| against > votes).map(|(against, _)| against * VOTE).max().unwrap_or(0)
    }

    /// The strength of the strongest path between every two: Floyd and Warshall's walk.
    fn strongest_paths(&mut self) {
        let n = self.candidates;
        for a in 0..n {
            for b in 0..n {
                let (votes, against) = (self.prefer(a, b), self.prefer(b, a));
                self.strongest[a * n + b] = if votes > against { votes } else { 0 };
            }
        }
        for over in 0..n {
            for a in 0..n {
                let to = self.strongest[a * n + over];
                for b in 0..n {
                    let path = to.min(self.strongest[over * n + b]);
                    let known = &mut self.strongest[a * n + b];
                    *known = path.max(*known);
                }
            }
        }
    }

    /// Locks victories in: most votes for first, of those fewest against, then by the numbers. One that would close a
    /// circle is left out. Whom a candidate beats directly or over others is a row of bits.
    fn lock_pairs(&mut self) {
        let n = self.candidates;
        let preferred = &self.preferred;
        let prefer = |a: u16, b: u16| preferred[usize::from(a) * n + usize::from(b)];
        self.victories.clear();
        let stand = (0..n as u16).filter(|at| !self.undeclared[usize::from(*at)]);
        for a in stand.clone() {
            let beaten = stand.clone().filter(|b| prefer(a, *b) > prefer(*b, a));
            self.victories.extend(beaten.map(|b| (a, b)));
        }
        self.victories.sort_unstable_by_key(|(a, b)| (u64::MAX - prefer(*a, *b), prefer(*b, *a), *a, *b));
        let mut beats = [[0_u64; TIED_WORDS]; super::CANDIDATES_MAX as usize];
        let has = |row: &[u64; TIED_WORDS], at: usize| row[at / 64] >> (at % 64) & 1 == 1;
        for (a, b) in self.victories.iter().map(|(a, b)| (usize::from(*a), usize::from(*b))) {
            if has(&beats[b], a) || has(&beats[a], b) {
                continue;
            }
            let mut more = beats[b];
            more[b / 64] |= 1 << (b % 64);
            for (at, row) in beats[..n].iter_mut().enumerate() {
                if at == a || has(row, a) {
                    row.iter_mut().zip(more).for_each(|(bits, more)| *bits |= more);
                }
            }
        }
        for a in 0..n {
            self.votes[a] = beats[..n].iter().filter(|row| has(row, a)).count() as u64 * VOTE;
        }
    }
}
