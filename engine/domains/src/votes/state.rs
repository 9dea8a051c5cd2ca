//! Saving and loading: one canonical walk. Windows and indexes are built again from what is saved.

use super::Votes;
use super::ballots::{Ballots, NONE, candidate};
use super::elections::{Election, Elections, Voter};
use super::messages::{CountState, Phase, ROLL_WEIGHT_MAX, VoterId, VotesLimits};
use super::reports::Reports;
use super::screening::Screening;
use super::tokens::{ANONYMOUS, Tokens};
use alloc::vec::Vec;
use bytemuck::Zeroable;
use ringfence_kernel::{Corrupt, Domain, Sink, Source};

impl Votes {
    pub(super) fn write(&self, sink: &mut impl Sink) {
        assert!(self.pending.is_none(), "nothing is saved in the middle of a decision");
        sink.value(&self.last_receipt);
        self.elections.save(sink);
        self.ballots.save(sink);
        self.reports.save(sink);
        self.tokens.save(sink);
        self.screening.save(sink);
    }

    pub(super) fn read(limits: &VotesLimits, source: &mut impl Source) -> Result<Self, Corrupt> {
        let last_receipt = source.value()?;
        let elections = Elections::load(limits, source)?;
        let ballots = Ballots::load(limits, source)?;
        let reports = Reports::load(limits, source)?;
        let tokens = Tokens::load(limits, source)?;
        let screening = Screening::load(limits, source)?;
        let counter = super::Counter::new(limits.ballots as usize);
        let mut votes = Self {
            elections,
            ballots,
            reports,
            tokens,
            screening,
            last_receipt,
            counter,
            ..Self::new(&VotesLimits::zeroed())
        };
        votes.check_ballots()?;
        let Self { elections, ballots, .. } = &mut votes;
        ballots.rank_all(|place| elections[place].terms.method.get().moves());
        votes.check_screening()?;
        votes.add_up()?;
        Ok(votes)
    }

    /// Voters' ballots and those of tokens: the place of the election, who cast it, the receipt and the ballot.
    fn papers(elections: &Elections, tokens: &Tokens) -> impl Iterator<Item = Result<(u32, Voter, u64, u32), Corrupt>> {
        let identified = elections.iter().filter(|(_, election, _)| !election.is_anonymous());
        let by_voters = identified.flat_map(move |(place, _, roll)| {
            let has_cast = |number: &u32| roll[*number as usize - 1].receipt != 0;
            (1..=roll.len() as u32).filter(has_cast).map(move |number| {
                let voter = elections.voter(place, VoterId(number)).ok_or(Corrupt("a ballot of nobody"))?;
                Ok((place, voter, voter.receipt, voter.ballot))
            })
        });
        let by_tokens = tokens.iter().map(|spent| {
            let place = elections.place(spent.election).map_err(|_| Corrupt("a token of no election"))?;
            if !elections[place].is_anonymous() || spent.receipt == 0 {
                return Err(Corrupt("a token of no anonymous election"));
            }
            Ok((place, ANONYMOUS, spent.receipt, spent.ballot))
        });
        by_voters.chain(by_tokens)
    }

    /// The ballots that were cast are the ballots that are counted, and each is chained once by its election.
    fn check_ballots(&self) -> Result<(), Corrupt> {
        // Ballots and weight of each.
        let mut sums = alloc::vec![(0_u32, 0_u64); self.ballots.len()];
        for cast in Self::papers(&self.elections, &self.tokens) {
            let (place, voter, receipt, ballot) = cast?;
            let known = sums.get_mut(ballot as usize).ok_or(Corrupt("the ballot of a voter"))?;
            if receipt > self.last_receipt || self.ballots.get(ballot).election != place {
                return Err(Corrupt("the receipt of a ballot"));
            }
            *known = (known.0 + 1, known.1 + u64::from(voter.weight()));
        }
        let mut chained = 0;
        for (place, election, roll) in self.elections.iter() {
            chained += self.check_chain(place, election)?;
            let issued = |number: &u32| roll[*number as usize - 1].receipt != 0;
            let tokens = (1..=roll.len() as u32).filter(|_| election.is_anonymous()).filter(issued);
            let sound = |number: u32| {
                roll[number as usize - 1].ballot == 0 && self.elections.voter(place, VoterId(number)).is_some()
            };
            if !tokens.clone().all(sound) || tokens.count() != election.tokens as usize {
                return Err(Corrupt("the tokens of an election"));
            }
            if election.is_anonymous() && election.ballots > election.tokens.into() {
                return Err(Corrupt("more ballots than tokens"));
            }
        }
        let counted =
            (0..self.ballots.len() as u32).map(|at| (self.ballots.get(at).ballots, self.ballots.get(at).weight));
        if chained != self.ballots.len() || !counted.eq(sums) {
            return Err(Corrupt("the sum of a ballot"));
        }
        Ok(())
    }

    /// Rules are of elections that may have them, and ballots in quarantine are such as could be counted.
    fn check_screening(&self) -> Result<(), Corrupt> {
        for id in self.screening.screened() {
            let place = self.elections.place(id).map_err(|_| Corrupt("the rules of no election"))?;
            if self.elections[place].is_anonymous() {
                return Err(Corrupt("the rules of an anonymous election"));
            }
        }
        let mut held_in = alloc::collections::BTreeMap::<u32, u32>::new();
        for held in self.screening.held() {
            let (id, number) = held.voter();
            let place = self.elections.place(id).map_err(|_| Corrupt("a ballot in quarantine of no election"))?;
            let election = &self.elections[place];
            let waits = match election.phase.get() {
                Phase::Open => true,
                Phase::Closed => election.count.get() == CountState::NotCounted,
                Phase::Draft | Phase::Certified => false,
            };
            let known = (held.ballot as usize) < self.ballots.len() && self.ballots.get(held.ballot).election == place;
            let voter = self.elections.voter(place, number).filter(|_| !election.is_anonymous());
            let others = voter.is_some_and(|voter| voter.receipt == 0 || voter.ballot != held.ballot);
            if !waits || !known || !others || held.receipt > self.last_receipt {
                return Err(Corrupt("a ballot in quarantine"));
            }
            *held_in.entry(place).or_default() += 1;
        }
        let counted =
            |(place, election, _): (u32, &Election, _)| held_in.get(&place).copied().unwrap_or(0) == election.held;
        if self.elections.iter().all(counted) { Ok(()) } else { Err(Corrupt("ballots in quarantine")) }
    }

    /// Adds up again what each region has.
    fn add_up(&mut self) -> Result<(), Corrupt> {
        let mut all = self.elections.iter().map(|(_, election, _)| *election).collect::<Vec<_>>();
        all.sort_unstable_by_key(|election| election.first_sum);
        let (mut sums, mut rows) = (0, 0);
        for election in &all {
            if (election.first_sum as usize, election.first_row as usize) != (sums, rows) {
                return Err(Corrupt("where the sums of an election begin"));
            }
            (sums, rows) = (sums + election.terms.sums(), rows + election.terms.rows());
        }
        if (sums, rows) != self.reports.len() {
            return Err(Corrupt("sums of no election"));
        }
        let Self { elections, tokens, ballots, reports, .. } = self;
        for cast in Self::papers(elections, tokens) {
            let (place, voter, _, ballot) = cast?;
            reports.change(&elections[place], voter, ballots.marks(ballot), true);
        }
        Ok(())
    }

    /// Follows the ballots of an election, which were chained as they were first cast; gives how many there are.
    fn check_chain(&self, place: u32, election: &Election) -> Result<usize, Corrupt> {
        let (mut at, mut last, mut count) = (election.first_ballot, NONE, 0);
        let (mut ballots, mut weight) = (0, 0);
        while at != NONE {
            if at as usize >= self.ballots.len() || (last != NONE && at <= last) {
                return Err(Corrupt("the ballots of an election"));
            }
            let ballot = self.ballots.get(at);
            let marks = self.ballots.marks(at).iter();
            let known = marks.clone().all(|mark| candidate(*mark) < election.terms.candidates.into());
            let mut met = [false; 256];
            let twice = marks.clone().any(|mark| core::mem::replace(&mut met[candidate(*mark)], true));
            if ballot.election != place || !known || twice || marks.len() > election.terms.marks_max.into() {
                return Err(Corrupt("the ballot of an election"));
            }
            (ballots, weight) = (ballots + u64::from(ballot.ballots), weight + ballot.weight);
            (last, at, count) = (at, ballot.next, count + 1);
        }
        if last != election.last_ballot || (ballots, weight) != (election.ballots, election.weight) {
            return Err(Corrupt("the sum of an election"));
        }
        if weight > ROLL_WEIGHT_MAX {
            return Err(Corrupt("the weight of an election"));
        }
        Ok(count)
    }
}
