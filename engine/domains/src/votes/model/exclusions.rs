//! The twin's counts that only exclude: at every stage all papers are read again from the top.

use super::super::messages::{Action, Exclusions, Majority, Method, Standing, TieQuestion, Until, VOTE};
use super::count::{Count, Table, Tie};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

impl Count {
    pub(super) fn run_exclusions(&mut self) -> Option<Tie> {
        let runoff = self.terms.method.get() == Method::InstantRunoff;
        let two = self.terms.until.get() == Until::TwoLeft;
        let seats = usize::from(self.terms.seats);
        let mut left: Vec<u16> = self.everyone().collect();
        let (mut elected, mut moved, mut of_first) = (Vec::new(), 0, None);
        let mut quota = 0;
        loop {
            let (votes, exhausted) = self.read_again(&left);
            let all: u64 = votes.values().sum();
            let of_first = *of_first.get_or_insert(all);
            let basis = if self.terms.majority.get() == Majority::OfFirstStage { of_first } else { all };
            // What one has reached does not change any more.
            if runoff && elected.is_empty() {
                quota = (basis / VOTE / 2 + 1) * VOTE;
            }
            let mut tie = None;
            if runoff {
                let most = left.iter().map(|candidate| votes[candidate]).max();
                let best: Vec<u16> = left.iter().filter(|candidate| Some(votes[candidate]) == most).copied().collect();
                if left.len() <= 2 || most >= Some(quota) {
                    match self.draw(TieQuestion::Elect, best) {
                        Ok(winner) => elected = alloc::vec![winner],
                        Err(tied) => tie = Some(tied),
                    }
                }
            } else if left.len() <= seats {
                elected = left.clone();
            }
            let done = !elected.is_empty() && (!two || left.len() <= 2);
            let standing = self.everyone().map(|candidate| {
                let standing = match () {
                    () if elected.contains(&candidate) => Standing::Elected,
                    () if !left.contains(&candidate) => Standing::Excluded,
                    () if done => Standing::Defeated,
                    () => Standing::Continuing,
                };
                (candidate, standing)
            });
            let action = if self.tables.is_empty() { Action::FirstCount } else { Action::Exclusion };
            let standing = standing.collect();
            let lists = None;
            self.tables.push(Table {
                votes: votes.clone(),
                standing,
                quota,
                exhausted,
                residual: 0,
                action,
                moved,
                lists,
            });
            if done || tie.is_some() {
                return tie;
            }
            let fewest = if two { 2 } else { seats };
            let batch = match self.terms.exclusions.get() {
                Exclusions::Batches => batch(&left, &votes, fewest),
                Exclusions::OneByOne => Vec::new(),
            };
            if batch.is_empty() {
                let open = || left.iter().filter(|candidate| !elected.contains(candidate));
                let least = open().map(|candidate| votes[candidate]).min();
                let tied = open().filter(|candidate| Some(votes[candidate]) == least).copied().collect();
                match self.draw(TieQuestion::Exclude, tied) {
                    Ok(chosen) => moved = chosen,
                    Err(tie) => return Some(tie),
                }
                left.retain(|candidate| *candidate != moved);
            } else {
                moved = 0;
                left.retain(|candidate| !batch.contains(candidate));
            }
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
