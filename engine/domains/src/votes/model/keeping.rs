//! The twin's counts by Meek, by whole ballots and by points with a runoff.

use super::super::messages::{Action, MEEK_VOTE, Standing, TieQuestion, VOTE};
use super::count::{Count, Table, Tie, elect_by};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

impl Count {
    fn table(&self, votes: &BTreeMap<u16, u64>, standing: &BTreeMap<u16, Standing>) -> Table {
        Table {
            votes: votes.clone(),
            standing: standing.clone(),
            quota: 0,
            exhausted: self.total - votes.values().sum::<u64>(),
            residual: 0,
            action: Action::FirstCount,
            moved: 0,
            last_places: None,
            lists: None,
        }
    }

    fn everyone_continues(&self) -> BTreeMap<u16, Standing> {
        self.everyone().map(|candidate| (candidate, Standing::Continuing)).collect()
    }

    /// Write-ins who still continue though nobody declared them.
    fn waiting(&self, standing: &BTreeMap<u16, Standing>) -> Vec<u16> {
        self.undeclared.iter().filter(|write_in| standing[write_in] == Standing::Continuing).copied().collect()
    }

    pub(super) fn run_points(&mut self) -> Option<Tie> {
        let mut votes: BTreeMap<u16, u64> = self.everyone().map(|candidate| (candidate, 0)).collect();
        let mut blank = 0;
        for counted in &self.papers {
            blank += if counted.paper.is_empty() { counted.weight * VOTE } else { 0 };
            for (candidate, points) in &counted.paper {
                *votes.get_mut(candidate).expect("a candidate") += counted.weight * points * VOTE;
            }
        }
        let mut standing = self.everyone_continues();
        standing.extend(self.undeclared.iter().map(|write_in| (*write_in, Standing::Excluded)));
        let alone = self.undeclared.len() + 1 == usize::from(self.terms.candidates);
        if alone {
            standing
                .values_mut()
                .filter(|known| **known == Standing::Continuing)
                .for_each(|known| *known = Standing::Elected);
        }
        // Points are no votes: what is exhausted are blank papers.
        self.tables.push(Table {
            votes: votes.clone(),
            standing: standing.clone(),
            quota: 0,
            exhausted: blank,
            residual: 0,
            action: Action::FirstCount,
            moved: 0,
            last_places: None,
            lists: None,
        });
        if alone {
            return None;
        }
        let mut finalists: Vec<u16> = Vec::new();
        while finalists.len() < 2 {
            let most = self.who_stand().filter(|at| !finalists.contains(at)).map(|at| votes[&at]).max();
            let tied = self.who_stand().filter(|at| !finalists.contains(at) && Some(votes[at]) == most).collect();
            match self.draw(TieQuestion::Elect, tied) {
                Ok(chosen) => finalists.push(chosen),
                Err(tie) => return Some(tie),
            }
        }
        let given =
            |paper: &super::Paper, to: u16| paper.iter().find(|(at, _)| *at == to).map_or(0, |(_, points)| *points);
        let (a, b) = (finalists[0], finalists[1]);
        let prefers = |one: u16, other: u16| -> u64 {
            let papers = self.papers.iter().filter(|counted| given(&counted.paper, one) > given(&counted.paper, other));
            papers.map(|counted| counted.weight * VOTE).sum()
        };
        let sums = BTreeMap::from([(a, prefers(a, b)), (b, prefers(b, a))]);
        let votes = self.everyone().map(|at| (at, sums.get(&at).copied().unwrap_or(0))).collect();
        finalists.sort_unstable();
        let best = sums.values().max().copied();
        finalists.retain(|at| sums.get(at).copied() == best);
        let tied = match self.draw(TieQuestion::Elect, finalists) {
            Ok(winner) => {
                standing = self.everyone().map(|at| (at, Standing::Excluded)).collect();
                standing.extend([(a, Standing::Defeated), (b, Standing::Defeated), (winner, Standing::Elected)]);
                None
            }
            Err(tie) => {
                standing = self.everyone().map(|at| (at, Standing::Excluded)).collect();
                standing.extend([(a, Standing::Continuing), (b, Standing::Continuing)]);
                Some(tie)
            }
        };
        let last = Table { action: Action::Runoff, ..self.table(&votes, &standing) };
        self.tables.push(last);
        tied
    }

    pub(super) fn run_keeping(&mut self) -> Option<Tie> {
        let seats = u64::from(self.terms.seats);
        let mut standing = self.everyone_continues();
        let mut keep: BTreeMap<u16, u128> = self.everyone().map(|at| (at, MEEK_VOTE.into())).collect();
        let one = u128::from(MEEK_VOTE);
        let (mut action, mut moved) = (Action::FirstCount, 0);
        loop {
            let mut before = i128::from(self.total);
            // Until someone is elected, or there is no surplus to speak of.
            let (votes, quota, elected, surplus) = loop {
                let mut votes: BTreeMap<u16, u64> = self.everyone().map(|at| (at, 0)).collect();
                for counted in &self.papers {
                    let mut power = one;
                    for (at, _) in &counted.paper {
                        *votes.get_mut(at).expect("a candidate") += counted.weight * (power * keep[at] / one) as u64;
                        power = power * (one - keep[at]) / one;
                    }
                }
                let quota = votes.values().sum::<u64>() / (seats + 1) + 1;
                let known = standing.clone();
                elect_by_quota_alone(quota, seats, &votes, &mut standing, &self.undeclared);
                let elected = known != standing;
                let who = |at: &u16| standing[at] == Standing::Elected;
                let more = |at: u16| i128::from(votes[&at]) - i128::from(quota);
                let surplus: i128 = self.everyone().filter(who).map(more).sum();
                if elected || surplus <= i128::from(MEEK_VOTE / 1_000_000) || surplus >= before {
                    break (votes, quota, elected, surplus);
                }
                before = surplus;
                for at in self.everyone().filter(who).filter(|at| votes[at] > 0) {
                    let kept = (keep[&at] * u128::from(quota)).div_ceil(one);
                    keep.insert(at, (kept * one).div_ceil(votes[&at].into()).min(one));
                }
            };
            let done = elect_by(u64::MAX, seats, &votes, &mut standing, &self.undeclared);
            let table = Table { quota, action, moved, ..self.table(&votes, &standing) };
            self.tables.push(table);
            if done {
                return None;
            }
            (action, moved) = (Action::Surplus, 0);
            if elected {
                continue;
            }
            let mut out = self.waiting(&standing);
            if out.is_empty() {
                let open: Vec<u16> = self.everyone().filter(|at| standing[at] == Standing::Continuing).collect();
                let least = open.iter().map(|at| votes[at]).min().expect("someone continues");
                let reach = i128::from(least) + surplus.max(0);
                let last = open.into_iter().filter(|at| i128::from(votes[at]) <= reach).collect();
                match self.draw(TieQuestion::Exclude, last) {
                    Ok(chosen) => out.push(chosen),
                    Err(tie) => return Some(tie),
                }
            }
            action = Action::Exclusion;
            moved = if out.len() == 1 { out[0] } else { 0 };
            for at in out {
                standing.insert(at, Standing::Excluded);
                keep.insert(at, 0);
            }
        }
    }

    pub(super) fn run_whole(&mut self) -> Option<Tie> {
        // Every single vote is a paper, in the order in which what it says was first said.
        let mut papers: Vec<(super::Paper, Option<u16>)> = Vec::new();
        for counted in &self.papers {
            papers.extend((0..counted.weight).map(|_| (counted.paper.clone(), None)));
        }
        let seats = u64::from(self.terms.seats);
        let quota = self.quota_of(papers.iter().filter(|(paper, _)| !paper.is_empty()).count() as u64);
        let mut standing = self.everyone_continues();
        // Those who keep a quota of papers that move no more.
        let mut kept = BTreeSet::new();
        let (mut action, mut moved) = (Action::FirstCount, 0);
        let mut moving: Vec<usize> = (0..papers.len()).collect();
        loop {
            for at in moving.drain(..) {
                let (paper, holder) = &mut papers[at];
                *holder = paper.iter().map(|(to, _)| *to).find(|to| standing[to] == Standing::Continuing);
            }
            let of = |who: u16| papers.iter().filter(|(_, holder)| *holder == Some(who)).count() as u64 * VOTE;
            let held = |who: u16| if kept.contains(&who) { quota } else { of(who) };
            let votes: BTreeMap<u16, u64> = self.everyone().map(|at| (at, held(at))).collect();
            let done = elect_by(quota, seats, &votes, &mut standing, &self.undeclared);
            let table = Table { quota, action, moved, ..self.table(&votes, &standing) };
            self.tables.push(table);
            if done {
                return None;
            }
            let mut out = self.waiting(&standing);
            let surplus: Vec<u16> =
                self.everyone().filter(|at| standing[at] == Standing::Elected && votes[at] > quota).collect();
            if out.is_empty() && !surplus.is_empty() {
                let most = surplus.iter().map(|at| votes[at]).max();
                let tied = surplus.into_iter().filter(|at| Some(votes[at]) == most).collect();
                moved = match self.draw(TieQuestion::Transfer, tied) {
                    Ok(chosen) => chosen,
                    Err(tie) => return Some(tie),
                };
                action = Action::Surplus;
                kept.insert(moved);
                let goes_on = |paper: &super::Paper| paper.iter().any(|(to, _)| standing[to] == Standing::Continuing);
                let able: Vec<usize> =
                    (0..papers.len()).filter(|at| papers[*at].1 == Some(moved) && goes_on(&papers[*at].0)).collect();
                let surplus = (votes[&moved] - quota) / VOTE;
                let (going, able_count) = (surplus.min(able.len() as u64), able.len() as u64);
                let evenly = (1..).zip(able).filter(|(n, _)| n * going / able_count > (n - 1) * going / able_count);
                moving = evenly.map(|(_, at)| at).collect();
                continue;
            }
            if out.is_empty() {
                let open = || self.everyone().filter(|at| standing[at] == Standing::Continuing);
                let least = open().map(|at| votes[&at]).min();
                let tied = open().filter(|at| Some(votes[at]) == least).collect();
                match self.draw(TieQuestion::Exclude, tied) {
                    Ok(chosen) => out.push(chosen),
                    Err(tie) => return Some(tie),
                }
            }
            action = Action::Exclusion;
            moved = if out.len() == 1 { out[0] } else { 0 };
            moving = (0..papers.len()).filter(|at| papers[*at].1.is_some_and(|holder| out.contains(&holder))).collect();
            standing.extend(out.into_iter().map(|at| (at, Standing::Excluded)));
        }
    }
}

/// Elects by the quota and nothing else, and no more than there are seats.
fn elect_by_quota_alone(
    quota: u64,
    seats: u64,
    votes: &BTreeMap<u16, u64>,
    standing: &mut BTreeMap<u16, Standing>,
    undeclared: &BTreeSet<u16>,
) {
    for (candidate, votes) in votes {
        let elected = standing.values().filter(|known| **known == Standing::Elected).count() as u64;
        let open = standing[candidate] == Standing::Continuing && !undeclared.contains(candidate);
        if open && *votes >= quota && elected < seats {
            standing.insert(*candidate, Standing::Elected);
        }
    }
}
