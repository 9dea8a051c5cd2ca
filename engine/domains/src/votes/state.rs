//! Saving and loading: one canonical walk. Windows and indexes are built again from what is saved.

use super::Votes;
use super::ballots::{Ballots, NONE, candidate};
use super::elections::{Election, Elections};
use super::messages::{VOTE, VoterId, VotesLimits};
use super::reports::Reports;
use alloc::vec::Vec;
use ringfence_kernel::{Corrupt, Domain, Sink, Source};

impl Votes {
    pub(super) fn write(&self, sink: &mut impl Sink) {
        assert!(self.pending.is_none(), "nothing is saved in the middle of a decision");
        sink.value(&self.last_receipt);
        self.elections.save(sink);
        self.ballots.save(sink);
        self.reports.save(sink);
    }

    pub(super) fn read(limits: &VotesLimits, source: &mut impl Source) -> Result<Self, Corrupt> {
        let last_receipt = source.value()?;
        let elections = Elections::load(limits, source)?;
        let ballots = Ballots::load(limits, source)?;
        let reports = Reports::load(limits, source)?;
        let small = VotesLimits { elections: 0, candidates: 0, voters: 0, ballots: 0, marks: 0, sums: 0 };
        let counter = super::Counter::new(limits.ballots as usize);
        let mut votes = Self { elections, ballots, reports, last_receipt, counter, ..Self::new(&small) };
        votes.check_ballots()?;
        votes.add_up()?;
        Ok(votes)
    }

    /// The ballots of voters are the ballots that are counted, and each is chained once by its election.
    fn check_ballots(&self) -> Result<(), Corrupt> {
        // Ballots and weight of each, as the rolls have it.
        let mut cast = alloc::vec![(0_u32, 0_u64); self.ballots.len()];
        let mut chained = 0;
        for (place, election, roll) in self.elections.iter() {
            for number in (1..=roll.len() as u32).filter(|number| roll[*number as usize - 1].receipt != 0) {
                let voter = self.elections.voter(place, VoterId(number)).ok_or(Corrupt("a ballot of nobody"))?;
                let known = cast.get_mut(voter.ballot as usize).ok_or(Corrupt("the ballot of a voter"))?;
                if voter.receipt > self.last_receipt {
                    return Err(Corrupt("the receipt of a voter"));
                }
                if self.ballots.get(voter.ballot).election != place {
                    return Err(Corrupt("the ballot of a voter"));
                }
                *known = (known.0 + 1, known.1 + u64::from(voter.weight()));
            }
            chained += self.check_chain(place, election)?;
        }
        let sums = (0..self.ballots.len() as u32).map(|at| (self.ballots.get(at).ballots, self.ballots.get(at).weight));
        if chained != self.ballots.len() || !sums.eq(cast) {
            return Err(Corrupt("the sum of a ballot"));
        }
        Ok(())
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
        for (place, election, roll) in self.elections.iter() {
            for number in (1..=roll.len() as u32).filter(|number| roll[*number as usize - 1].receipt != 0) {
                let voter = self.elections.voter(place, VoterId(number)).expect("it was checked");
                self.reports.change(election, voter, self.ballots.marks(voter.ballot), true);
            }
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
            if ballot.election != place || !known {
                return Err(Corrupt("the ballot of an election"));
            }
            (ballots, weight) = (ballots + u64::from(ballot.ballots), weight + ballot.weight);
            (last, at, count) = (at, ballot.next, count + 1);
        }
        if last != election.last_ballot || (ballots, weight) != (election.ballots, election.weight) {
            return Err(Corrupt("the sum of an election"));
        }
        assert!(weight.checked_mul(VOTE).is_some(), "a roll is light enough to be counted");
        Ok(count)
    }
}
