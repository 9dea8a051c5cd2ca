//! The twin's count: every paper by itself, every sum made anew at each stage.

use super::super::messages::{
    Action, CandidateId, DefineElection, EarlierStages, MEEK_VOTE, Method, PairCounted, Quota, Standing, Tally,
    TieBreak, TieQuestion, VOTE,
};
use super::Paper;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::state::fold;

/// The candidates after a stage, by number.
#[derive(Clone, Debug)]
pub(super) struct Table {
    pub(super) votes: BTreeMap<u16, u64>,
    pub(super) standing: BTreeMap<u16, Standing>,
    pub(super) quota: u64,
    pub(super) exhausted: u64,
    pub(super) residual: u64,
    pub(super) action: Action,
    pub(super) moved: u16,
    /// Votes of those who rank each last, where that is asked.
    pub(super) last_places: Option<BTreeMap<u16, u64>>,
    /// What lists have won.
    pub(super) lists: Option<BTreeMap<u16, u16>>,
}

impl Table {
    pub(super) fn seats(&self, candidate: u16) -> u16 {
        let elected = u16::from(self.standing[&candidate] == Standing::Elected);
        self.lists.as_ref().map_or(elected, |won| won[&candidate])
    }
}

/// One paper as it is counted.
#[derive(Clone, Debug)]
pub(super) struct Counted {
    pub(super) weight: u64,
    pub(super) paper: Paper,
    /// What it is worth, in units of 10⁻⁵.
    value: u64,
    /// Who has it; none when it is exhausted.
    pub(super) holder: Option<u16>,
}

/// A count from the first paper on.
pub(super) struct Count {
    pub(super) terms: DefineElection,
    pub(super) undeclared: BTreeSet<u16>,
    pub(super) papers: Vec<Counted>,
    pub(super) total: u64,
    pub(super) tables: Vec<Table>,
    decisions: Vec<u16>,
    /// The first table that may break a tie.
    pub(super) ties_from: usize,
    pub(super) decisions_used: u16,
}

pub(super) type Tie = (TieQuestion, Vec<u16>);

impl Count {
    pub(super) fn of(
        terms: &DefineElection,
        ballots: Vec<(u64, Paper)>,
        decisions: Vec<u16>,
        undeclared: BTreeSet<u16>,
    ) -> Self {
        let vote = if terms.method.get() == Method::Meek { MEEK_VOTE } else { VOTE };
        let total = ballots.iter().map(|(weight, _)| weight * vote).sum();
        let papers = ballots.into_iter().map(|(weight, paper)| Counted { weight, paper, value: VOTE, holder: None });
        let (papers, tables) = (papers.collect(), Vec::new());
        Self { terms: *terms, undeclared, papers, total, tables, decisions, ties_from: 0, decisions_used: 0 }
    }

    pub(super) fn everyone(&self) -> core::ops::RangeInclusive<u16> {
        1..=self.terms.candidates
    }

    /// All but write-ins whom nobody declared.
    pub(super) fn who_stand(&self) -> impl Iterator<Item = u16> {
        self.everyone().filter(|candidate| !self.undeclared.contains(candidate))
    }

    /// Makes all tables; the tie at which it stopped, if it did.
    pub(super) fn run(&mut self) -> Option<Tie> {
        match self.terms.method.get() {
            Method::InstantRunoff | Method::BottomsUp | Method::Coombs => self.run_exclusions(),
            Method::Sequential => self.run_sequence(),
            Method::ScottishStv => self.run_transfers(),
            Method::Star => self.run_points(),
            Method::Meek => self.run_keeping(),
            Method::WholeBallots => self.run_whole(),
            _ => self.run_sums(),
        }
    }

    fn run_sums(&mut self) -> Option<Tie> {
        let n = u64::from(self.terms.candidates);
        let mut votes: BTreeMap<u16, u64> = self.everyone().map(|candidate| (candidate, 0)).collect();
        for Counted { weight, paper, .. } in &self.papers {
            for (place, (candidate, points)) in paper.iter().enumerate() {
                let place = place as u64 + 1;
                *votes.get_mut(candidate).expect("a candidate") += match self.terms.method.get() {
                    Method::Plurality | Method::DHondt | Method::SainteLague | Method::LargestRemainder => {
                        weight * VOTE
                    }
                    Method::Score => weight * points * VOTE,
                    Method::Borda => weight * (n - place) * VOTE,
                    Method::Dowdall => weight * (100_000 / place),
                    _ => 0,
                };
            }
        }
        let duel = |a: u16, b: u16| (self.prefer(a, b), self.prefer(b, a));
        let others = |a: u16| self.who_stand().filter(move |b| *b != a);
        match self.terms.method.get() {
            Method::Copeland => self.who_stand().for_each(|a| {
                let doubled: u64 =
                    others(a).map(|b| duel(a, b)).map(|(w, l)| u64::from(w > l) + u64::from(w >= l)).sum();
                votes.insert(a, doubled * VOTE / 2);
            }),
            Method::Minimax => self.who_stand().for_each(|a| {
                let defeats = others(a).map(|b| duel(b, a)).filter(|(w, l)| w > l).map(|(w, _)| w * VOTE);
                votes.insert(a, defeats.max().unwrap_or(0));
            }),
            Method::Schulze => {
                let paths = self.widest_paths();
                for a in self.who_stand() {
                    let beaten = others(a).filter(|b| paths[&(*b, a)] > paths[&(a, *b)]).count() as u64;
                    votes.insert(a, beaten * VOTE);
                }
            }
            Method::RankedPairs => {
                let beaten = self.locked();
                votes.extend(beaten.into_iter().map(|(a, by)| (a, by.len() as u64 * VOTE)));
            }
            _ => {}
        }
        let blank = self.papers.iter().filter(|paper| paper.paper.is_empty()).map(|paper| paper.weight * VOTE).sum();
        let fewest = matches!(self.terms.method.get(), Method::Minimax | Method::Schulze | Method::RankedPairs);
        let lists = matches!(self.terms.method.get(), Method::DHondt | Method::SainteLague | Method::LargestRemainder);
        let claims = self.who_stand().map(|candidate| (candidate, votes[&candidate])).collect();
        let (elected, tie, won) = if lists {
            let (won, tie) = self.seats_of_lists(&claims);
            (won.iter().filter(|(_, seats)| **seats > 0).map(|(list, _)| *list).collect(), tie, Some(won))
        } else {
            let (elected, tie) = self.fill_seats(&claims, fewest);
            (elected, tie, None)
        };
        let standing = self.everyone().map(|candidate| {
            let standing = match () {
                () if self.undeclared.contains(&candidate) => Standing::Excluded,
                () if elected.contains(&candidate) => Standing::Elected,
                () if tie.is_some() => Standing::Continuing,
                () => Standing::Defeated,
            };
            (candidate, standing)
        });
        let standing = standing.collect();
        let (action, moved) = (Action::FirstCount, 0);
        self.tables.push(Table {
            votes,
            standing,
            quota: 0,
            exhausted: blank,
            residual: 0,
            action,
            moved,
            last_places: None,
            lists: won,
        });
        tie
    }

    /// Seats by votes; a group of equals that does not fit is drawn from, one at a time.
    fn fill_seats(&mut self, votes: &BTreeMap<u16, u64>, fewest: bool) -> (Vec<u16>, Option<Tie>) {
        let mut groups = BTreeMap::<u64, Vec<u16>>::new();
        votes.iter().for_each(|(candidate, votes)| groups.entry(*votes).or_default().push(*candidate));
        let mut groups: Vec<Vec<u16>> = groups.into_values().collect();
        if !fewest {
            groups.reverse();
        }
        let mut elected = Vec::new();
        for mut group in groups {
            while !group.is_empty() && elected.len() < self.terms.seats.into() {
                if group.len() + elected.len() <= self.terms.seats.into() {
                    elected.append(&mut group);
                    continue;
                }
                match self.draw(TieQuestion::Elect, group.clone()) {
                    Ok(chosen) => {
                        group.retain(|candidate| *candidate != chosen);
                        elected.push(chosen);
                    }
                    Err(tie) => return (elected, Some(tie)),
                }
            }
        }
        (elected, None)
    }

    /// Papers that rank `a` above `b`.
    fn prefer(&self, a: u16, b: u16) -> u64 {
        let rank = |paper: &Paper, of: u16| paper.iter().position(|(candidate, _)| *candidate == of);
        let above = |paper: &Paper| match (rank(paper, a), rank(paper, b)) {
            (Some(a), Some(b)) => a < b,
            (a, _) => a.is_some(),
        };
        self.papers.iter().filter(|counted| above(&counted.paper)).map(|counted| counted.weight).sum()
    }

    /// Seats by whole quotas and then by claims: every claim of every list at once, highest first.
    fn seats_of_lists(&mut self, votes: &BTreeMap<u16, u64>) -> (BTreeMap<u16, u16>, Option<Tie>) {
        let seats = u128::from(self.terms.seats);
        let all: u128 = votes.values().map(|votes| u128::from(*votes)).sum();
        let mut won: BTreeMap<u16, u16> = self.everyone().map(|list| (list, 0)).collect();
        if all == 0 {
            return (won, None);
        }
        // A claim to one seat is a fraction; each list may claim every seat, or one by its remainder.
        let mut claims: Vec<(u128, u128, u16)> = Vec::new();
        for (list, votes) in votes.iter().filter(|(_, votes)| **votes > 0) {
            let votes = u128::from(*votes);
            match self.terms.method.get() {
                Method::DHondt => claims.extend((1..=seats).map(|divisor| (votes, divisor, *list))),
                Method::SainteLague => claims.extend((1..=seats).map(|seat| (votes, 2 * seat - 1, *list))),
                _ => {
                    let vote = u128::from(VOTE);
                    let (votes, quota) = match self.terms.quota.get() {
                        Quota::Hare => (votes * seats, all),
                        Quota::Droop => (votes, (all / vote / (seats + 1) + 1) * vote),
                    };
                    won.insert(*list, (votes / quota) as u16);
                    // A list comes round again only after all others have.
                    claims.extend((0..=seats).map(|round| ((seats - round) * quota + votes % quota, 1, *list)));
                }
            }
        }
        let mut left = usize::from(self.terms.seats) - won.values().map(|seats| usize::from(*seats)).sum::<usize>();
        while left > 0 {
            let highest = claims.iter().copied().reduce(|a, b| if b.0 * a.1 > a.0 * b.1 { b } else { a });
            let (top, bottom, _) =
                highest.expect("a list with votes claims every seat, or there are fewer left than lists");
            // Of equal claims of one list only the first stands.
            let mut equal: Vec<u16> =
                claims.iter().filter(|claim| claim.0 * bottom == top * claim.1).map(|claim| claim.2).collect();
            equal.dedup();
            let chosen = if equal.len() <= left {
                equal
            } else {
                match self.draw(TieQuestion::Elect, equal) {
                    Ok(chosen) => alloc::vec![chosen],
                    Err(tie) => return (won, Some(tie)),
                }
            };
            for list in chosen {
                left -= 1;
                *won.get_mut(&list).expect("a list") += 1;
                let at = claims.iter().position(|claim| claim.2 == list).expect("its first claim is its highest");
                claims.remove(at);
            }
        }
        (won, None)
    }

    /// By whom each is beaten when victories are locked in, strongest first, unless they close a circle.
    fn locked(&self) -> BTreeMap<u16, BTreeSet<u16>> {
        let mut victories = Vec::new();
        for a in self.who_stand() {
            for b in self.who_stand() {
                let (votes, against) = (self.prefer(a, b), self.prefer(b, a));
                if votes > against {
                    victories.push((core::cmp::Reverse(votes), against, a, b));
                }
            }
        }
        victories.sort_unstable();
        let mut edges: Vec<(u16, u16)> = Vec::new();
        for (_, _, winner, loser) in victories {
            if !above(&edges, winner).contains(&loser) {
                edges.push((winner, loser));
            }
        }
        self.everyone().map(|a| (a, above(&edges, a))).collect()
    }

    /// The widest path from each to each, widened until nothing changes.
    fn widest_paths(&self) -> BTreeMap<(u16, u16), u64> {
        let mut paths = BTreeMap::new();
        for a in self.who_stand() {
            for b in self.who_stand() {
                let (votes, against) = (self.prefer(a, b), self.prefer(b, a));
                paths.insert((a, b), if votes > against { votes } else { 0 });
            }
        }
        loop {
            let before = paths.clone();
            for a in self.who_stand() {
                for b in self.who_stand() {
                    let over = self.who_stand().map(|c| before[&(a, c)].min(before[&(c, b)])).max();
                    let widest = before[&(a, b)].max(over.unwrap_or(0));
                    paths.insert((a, b), widest);
                }
            }
            if paths == before {
                return paths;
            }
        }
    }

    pub(super) fn pairs(&self) -> Vec<PairCounted> {
        let mut pairs = Vec::new();
        let method = self.terms.method.get();
        if !matches!(method, Method::Copeland | Method::Minimax | Method::Schulze | Method::RankedPairs) {
            return pairs;
        }
        for first in self.everyone() {
            for second in first + 1..=self.terms.candidates {
                pairs.push(PairCounted {
                    first_votes: Tally(self.prefer(first, second) * VOTE),
                    second_votes: Tally(self.prefer(second, first) * VOTE),
                    first: CandidateId(first),
                    second: CandidateId(second),
                    reserved: Reserved::default(),
                });
            }
        }
        pairs
    }

    /// The quota for that many valid ballots.
    pub(super) fn quota_of(&self, valid: u64) -> u64 {
        let seats = u64::from(self.terms.seats);
        match self.terms.quota.get() {
            Quota::Droop => (valid / (seats + 1) + 1) * VOTE,
            Quota::Hare => valid.div_ceil(seats).max(1) * VOTE,
        }
    }

    fn run_transfers(&mut self) -> Option<Tie> {
        let seats = u64::from(self.terms.seats);
        let valid: u64 = self.papers.iter().filter(|paper| !paper.paper.is_empty()).map(|paper| paper.weight).sum();
        let quota = self.quota_of(valid);
        let mut standing: BTreeMap<u16, Standing> =
            self.everyone().map(|candidate| (candidate, Standing::Continuing)).collect();
        // Whose surplus went on: they keep the quota, and none of their papers.
        let mut kept = BTreeSet::new();
        let (mut action, mut moved) = (Action::FirstCount, 0);
        let mut moving: Vec<usize> = (0..self.papers.len()).collect();
        let mut residual = 0;
        loop {
            for at in moving.drain(..) {
                let paper = &mut self.papers[at];
                let next = paper.paper.iter().find(|(candidate, _)| standing[candidate] == Standing::Continuing);
                paper.holder = next.map(|(candidate, _)| *candidate);
            }
            let held = |of: Option<u16>| -> u64 {
                self.papers.iter().filter(|paper| paper.holder == of).map(|paper| paper.weight * paper.value).sum()
            };
            let votes: BTreeMap<u16, u64> = self
                .everyone()
                .map(|candidate| (candidate, if kept.contains(&candidate) { quota } else { held(Some(candidate)) }))
                .collect();
            let exhausted = held(None);
            let done = elect_by(quota, seats, &votes, &mut standing, &self.undeclared);
            self.tables.push(Table {
                votes: votes.clone(),
                standing: standing.clone(),
                quota,
                exhausted,
                residual,
                action,
                moved,
                last_places: None,
                lists: None,
            });
            if done {
                return None;
            }
            let waiting: Vec<u16> =
                self.undeclared.iter().filter(|write_in| standing[write_in] == Standing::Continuing).copied().collect();
            if !waiting.is_empty() {
                action = Action::Exclusion;
                moved = if waiting.len() == 1 { waiting[0] } else { 0 };
                let held_by_them = |at: &usize| self.papers[*at].holder.is_some_and(|holder| waiting.contains(&holder));
                moving = (0..self.papers.len()).filter(held_by_them).collect();
                standing.extend(waiting.iter().map(|write_in| (*write_in, Standing::Excluded)));
                continue;
            }
            let surplus = |candidate: &u16| standing[candidate] == Standing::Elected && votes[candidate] > quota;
            let most = self.everyone().filter(surplus).map(|candidate| votes[&candidate]).max();
            let continuing = |candidate: &u16| standing[candidate] == Standing::Continuing;
            let least = self.everyone().filter(continuing).map(|candidate| votes[&candidate]).min();
            let (question, tied): (_, Vec<u16>) = match (most, least) {
                (Some(most), _) => {
                    (TieQuestion::Transfer, self.everyone().filter(surplus).filter(|c| votes[c] == most).collect())
                }
                (None, least) => (
                    TieQuestion::Exclude,
                    self.everyone().filter(continuing).filter(|c| Some(votes[c]) == least).collect(),
                ),
            };
            moved = match self.draw(question, tied) {
                Ok(chosen) => chosen,
                Err(tie) => return Some(tie),
            };
            moving = (0..self.papers.len()).filter(|at| self.papers[*at].holder == Some(moved)).collect();
            if question == TieQuestion::Transfer {
                action = Action::Surplus;
                kept.insert(moved);
                let surplus = votes[&moved] - quota;
                residual += surplus;
                for at in &moving {
                    let paper = &mut self.papers[*at];
                    let value = u128::from(paper.value) * u128::from(surplus) / u128::from(votes[&moved]);
                    paper.value = value as u64;
                    residual -= paper.weight * paper.value;
                }
            } else {
                action = Action::Exclusion;
                standing.insert(moved, Standing::Excluded);
            }
        }
    }

    /// On whom of `tied` it falls, or between whom an officer must decide.
    pub(super) fn draw(&mut self, question: TieQuestion, mut tied: Vec<u16>) -> Result<u16, Tie> {
        let worst = question == TieQuestion::Exclude;
        if self.terms.earlier_stages.get() == EarlierStages::Asked {
            for table in self.tables[self.ties_from..].iter().rev() {
                let votes: Vec<u64> = tied.iter().map(|candidate| table.votes[candidate]).collect();
                let wanted = if worst { votes.iter().min() } else { votes.iter().max() };
                let wanted = *wanted.expect("someone is tied");
                tied.retain(|candidate| table.votes[candidate] == wanted);
            }
        }
        if tied.len() == 1 {
            return Ok(tied[0]);
        }
        match self.terms.tie_break.get() {
            TieBreak::Officer => match self.decisions.get(usize::from(self.decisions_used)) {
                Some(decided) => {
                    self.decisions_used += 1;
                    Ok(*decided)
                }
                None => Err((question, tied)),
            },
            TieBreak::Order => Ok(if worst { tied[tied.len() - 1] } else { tied[0] }),
            TieBreak::Seeded => {
                let mut drawn = Vec::new();
                for candidate in tied {
                    let (seed, at) = (self.terms.seed ^ 0x243f_6a88_85a3_08d3, u64::from(candidate) - 1);
                    drawn.push((fold(seed, at ^ 0x1319_8a2e_0370_7344), candidate));
                }
                drawn.sort_unstable();
                Ok(if worst { drawn[drawn.len() - 1].1 } else { drawn[0].1 })
            }
        }
    }
}

/// Elects by the threshold, and whoever is left when the seats allow it. Whether the count is over.
pub(super) fn elect_by(
    threshold: u64,
    seats: u64,
    votes: &BTreeMap<u16, u64>,
    standing: &mut BTreeMap<u16, Standing>,
    undeclared: &BTreeSet<u16>,
) -> bool {
    let who = |standing: &BTreeMap<u16, Standing>, what: Standing| -> Vec<u16> {
        let all = standing.iter().filter(|(_, known)| **known == what).map(|(candidate, _)| *candidate);
        all.filter(|candidate| !undeclared.contains(candidate)).collect()
    };
    let reached = who(standing, Standing::Continuing).into_iter().filter(|candidate| votes[candidate] >= threshold);
    let mut elected: Vec<u16> = reached.collect();
    standing.extend(elected.iter().map(|candidate| (*candidate, Standing::Elected)));
    elected = who(standing, Standing::Elected);
    let left = who(standing, Standing::Continuing);
    if (elected.len() as u64) < seats && elected.len() + left.len() <= seats as usize {
        standing.extend(left.iter().map(|candidate| (*candidate, Standing::Elected)));
        elected.extend(left);
    }
    let done = elected.len() as u64 == seats;
    if done {
        let left = standing.values_mut().filter(|known| **known == Standing::Continuing);
        left.for_each(|known| *known = Standing::Defeated);
    }
    done
}

/// Who stands above `below` over any number of edges.
fn above(edges: &[(u16, u16)], below: u16) -> BTreeSet<u16> {
    let mut found = BTreeSet::new();
    let mut look = alloc::vec![below];
    while let Some(at) = look.pop() {
        let over = edges.iter().filter(|(_, loser)| *loser == at).map(|(winner, _)| *winner);
        look.extend(over.filter(|winner| found.insert(*winner)));
    }
    found
}
