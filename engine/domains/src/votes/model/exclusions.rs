//! The twin's counts that only exclude: at every stage all papers are read again from the top.

use super::super::messages::{Action, Exclusions, Majority, Method, Standing, TieQuestion, Until, VOTE};
use super::count::{Count, Table, Tie};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

impl Count {
    /// Seat after seat, each among those who have none.
    pub(super) fn run_sequence(&mut self) -> Option<Tie> {
        let (mut taken, mut gone) = (BTreeSet::new(), BTreeSet::new());
        loop {
            self.ties_from = self.tables.len();
            if let Some(tie) = self.run_pass(&taken, &mut gone) {
                return Some(tie);
            }
            let last = self.tables.last().expect("a pass has stages");
            let elected = last.standing.iter().filter(|(_, standing)| **standing == Standing::Elected);
            taken = elected.map(|(candidate, _)| *candidate).collect();
            if taken.len() == usize::from(self.terms.seats) {
                return None;
            }
        }
    }

    pub(super) fn run_exclusions(&mut self) -> Option<Tie> {
        self.run_pass(&BTreeSet::new(), &mut BTreeSet::new())
    }

    /// One count from all papers on, among those who are not `taken`. Write-ins who were not declared are `gone` once they
    /// were excluded.
    fn run_pass(&mut self, taken: &BTreeSet<u16>, gone: &mut BTreeSet<u16>) -> Option<Tie> {
        let method = self.terms.method.get();
        let by_majority = method != Method::BottomsUp;
        let two = self.terms.until.get() == Until::TwoLeft;
        let seats = usize::from(self.terms.seats);
        let absent = |candidate: &u16| taken.contains(candidate) || gone.contains(candidate);
        let mut left: Vec<u16> = self.everyone().filter(|candidate| !absent(candidate)).collect();
        let (mut elected, mut moved, mut of_first) = (Vec::new(), 0, None);
        let (mut quota, mut action) = (0, Action::FirstCount);
        loop {
            let (votes, exhausted) = self.read_again(&left);
            let all: u64 = votes.values().sum();
            let of_first = *of_first.get_or_insert(all);
            let basis = if self.terms.majority.get() == Majority::OfFirstStage { of_first } else { all };
            let waiting: Vec<u16> = left.iter().filter(|at| self.undeclared.contains(at)).copied().collect();
            let open: Vec<u16> = left.iter().filter(|at| !waiting.contains(at)).copied().collect();
            let last = left.len() <= 2 && waiting.is_empty();
            // What one has reached does not change any more.
            if by_majority && elected.is_empty() {
                quota = (basis / VOTE / 2 + 1) * VOTE;
            }
            let mut tie = None;
            if by_majority {
                let most = open.iter().map(|candidate| votes[candidate]).max();
                let best: Vec<u16> = open.iter().filter(|candidate| Some(votes[candidate]) == most).copied().collect();
                if last || most >= Some(quota) {
                    match self.draw(TieQuestion::Elect, best) {
                        Ok(winner) => elected = alloc::vec![winner],
                        Err(tied) => tie = Some(tied),
                    }
                }
            } else if open.len() <= seats {
                elected = open.clone();
            }
            let done = !elected.is_empty() && (!two || last);
            let complete = done && (!by_majority || taken.len() + 1 == seats);
            let standing = self.everyone().map(|candidate| {
                let standing = match () {
                    () if elected.contains(&candidate) || taken.contains(&candidate) => Standing::Elected,
                    () if !left.contains(&candidate) => Standing::Excluded,
                    () if complete => Standing::Defeated,
                    () => Standing::Continuing,
                };
                (candidate, standing)
            });
            let standing = standing.collect();
            let last_places = (method == Method::Coombs).then(|| self.last_places(&left));
            self.tables.push(Table {
                votes: votes.clone(),
                standing,
                quota,
                exhausted,
                residual: 0,
                action,
                moved,
                last_places: last_places.clone(),
                lists: None,
            });
            if done || tie.is_some() {
                return tie;
            }
            let fewest = match method {
                Method::BottomsUp => seats,
                _ if two => 2,
                _ => 1,
            };
            let mut batch = waiting;
            if batch.is_empty() && self.terms.exclusions.get() == Exclusions::Batches {
                batch = self::batch(&left, &votes, fewest);
            }
            if batch.is_empty() {
                let merit = |candidate: &u16| match &last_places {
                    Some(last) => core::cmp::Reverse(last[candidate]),
                    None => core::cmp::Reverse(u64::MAX - votes[candidate]),
                };
                let not_elected = || left.iter().filter(|candidate| !elected.contains(candidate));
                let least = not_elected().map(merit).min();
                let tied = not_elected().filter(|candidate| Some(merit(candidate)) == least).copied().collect();
                match self.draw(TieQuestion::Exclude, tied) {
                    Ok(chosen) => batch.push(chosen),
                    Err(tie) => return Some(tie),
                }
            }
            action = Action::Exclusion;
            moved = if batch.len() == 1 { batch[0] } else { 0 };
            gone.extend(batch.iter().filter(|at| self.undeclared.contains(at)));
            left.retain(|candidate| !batch.contains(candidate));
        }
    }

    /// What each has when only `left` are, and what nobody has.
    fn read_again(&self, left: &[u16]) -> (BTreeMap<u16, u64>, u64) {
        let mut votes: BTreeMap<u16, u64> = self.everyone().map(|candidate| (candidate, 0)).collect();
        let mut exhausted = 0;
        for counted in &self.papers {
            let holder =
                counted.paper.iter().map(|(candidate, _)| candidate).find(|candidate| left.contains(candidate));
            *holder.map_or(&mut exhausted, |holder| votes.get_mut(holder).expect("a candidate")) +=
                counted.weight * VOTE;
        }
        (votes, exhausted)
    }

    /// How many votes have each in the last place when only `left` are.
    fn last_places(&self, left: &[u16]) -> BTreeMap<u16, u64> {
        let mut places: BTreeMap<u16, u64> = self.everyone().map(|candidate| (candidate, 0)).collect();
        for counted in &self.papers {
            let ranked: Vec<u16> = counted.paper.iter().map(|(at, _)| *at).filter(|at| left.contains(at)).collect();
            let Some(lowest) = ranked.last() else { continue };
            let mut last: Vec<u16> = left.iter().filter(|at| !ranked.contains(at)).copied().collect();
            if last.is_empty() {
                last.push(*lowest);
            }
            for at in &last {
                *places.get_mut(at).expect("a candidate") += counted.weight * (VOTE / last.len() as u64);
            }
        }
        places
    }
}

/// The most of `left`, two at least, who all together are behind each of the others, of whom there are `fewest` or more.
fn batch(left: &[u16], votes: &BTreeMap<u16, u64>, fewest: usize) -> Vec<u16> {
    let mut order = left.to_vec();
    order.sort_by_key(|candidate| votes[candidate]);
    for size in (2..=order.len().saturating_sub(fewest)).rev() {
        let together: u64 = order[..size].iter().map(|candidate| votes[candidate]).sum();
        if order[size..].iter().all(|candidate| votes[candidate] > together) {
            order.truncate(size);
            return order;
        }
    }
    Vec::new()
}
