//! What regions report, added up anew from the roll each time.

use super::super::messages::{
    CandidateId, DefineElection, Event, Method, RegionCandidateReported, RegionReported, Results, Tally,
};
use super::super::{Votes, topics};
use super::{Election, Model, Paper, Voter};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::{Out, Timestamp};

/// What a region has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Report {
    ballots: u64,
    weight: u64,
    blank: u64,
    votes: BTreeMap<u16, u64>,
}

/// What was released of a region, and what is next.
#[derive(Clone, Debug)]
pub(super) struct Region {
    released: Report,
    held: Report,
}

impl Report {
    fn empty(terms: &DefineElection) -> Self {
        let votes = (1..=terms.candidates).map(|candidate| (candidate, 0)).collect();
        Self { ballots: 0, weight: 0, blank: 0, votes }
    }
}

impl Region {
    pub(super) fn empty(terms: &DefineElection) -> Self {
        Self { released: Report::empty(terms), held: Report::empty(terms) }
    }
}

/// What one ballot gives to the candidates it marks.
fn given(terms: &DefineElection, paper: &Paper) -> Vec<(u16, u64)> {
    let place = |at: usize| at as u64 + 1;
    let gives = |(at, (candidate, points)): (usize, &(u16, u64))| {
        let given = match terms.method.get() {
            Method::Plurality
            | Method::Score
            | Method::Star
            | Method::DHondt
            | Method::SainteLague
            | Method::LargestRemainder => points * 100_000,
            Method::Borda => (u64::from(terms.candidates) - place(at)) * 100_000,
            Method::Dowdall => 100_000 / place(at),
            _ if at == 0 => 100_000,
            _ => 0,
        };
        (*candidate, given)
    };
    paper.iter().enumerate().map(gives).collect()
}

impl Model {
    /// What a region has now.
    fn add_up(&self, election: &Election, region: u16) -> Report {
        let mut report = Report::empty(&election.terms);
        let roll = self.roll_of(election);
        let identified = election.cast.iter().map(|(number, (_, paper))| (&roll[number], paper));
        let anonymous = Voter { weight: 1, region: 0 };
        let all = identified.chain(election.spent.values().map(|(_, paper)| (&anonymous, paper)));
        for (voter, paper) in all.filter(|(voter, _)| voter.region == region) {
            report.ballots += 1;
            report.weight += voter.weight;
            report.blank += if paper.is_empty() { voter.weight } else { 0 };
            for (candidate, given) in given(&election.terms, paper) {
                *report.votes.get_mut(&candidate).expect("it stands") += given * voter.weight;
            }
        }
        report
    }

    fn reports(election: &Election) -> bool {
        let DefineElection { regions, batch, refresh, .. } = election.terms;
        regions > 0 || batch > 0 || refresh > 0
    }

    fn say_region(&self, id: u32, region: u16, out: &mut Out<'_, Votes>) {
        let Report { ballots, weight, blank, votes } = &self.elections[&id].regions[&region].released;
        let (ballots, weight, blank, reserved) = (*ballots, *weight, *blank, Reserved::default());
        let said = RegionReported { ballots, weight, blank, region, reserved };
        out.publish(topics::REPORTS, id, Event::RegionReported(&said));
        for (candidate, votes) in votes {
            let (votes, candidate, reserved) = (Tally(*votes), CandidateId(*candidate), Reserved::default());
            let row = RegionCandidateReported { votes, region, candidate, reserved };
            out.publish(topics::REPORTS, id, Event::RegionCandidateReported(&row));
        }
    }

    /// A ballot of a region was cast, replaced or spoilt.
    pub(super) fn changed(&mut self, id: u32, region: u16, now: Timestamp, out: &mut Out<'_, Votes>) {
        let election = &self.elections[&id];
        let terms = election.terms;
        let report = self.add_up(election, region);
        let election = self.elections.get_mut(&id).expect("it is known");
        if terms.batch > 0 {
            let known = election.regions.get_mut(&region).expect("every region is there");
            if report.ballots >= known.held.ballots + u64::from(terms.batch) {
                let next = core::mem::replace(&mut known.held, report);
                if core::mem::replace(&mut known.released, next.clone()) != next {
                    self.say_region(id, region, out);
                }
            }
        } else if terms.refresh > 0 && election.refreshes.is_none() {
            election.refreshes = Some(Timestamp(now.0 + u64::from(terms.refresh) * 1_000));
        }
    }

    /// Everything that changed is released and said; on closing nothing of regions with fewer ballots than a batch.
    pub(super) fn release(&mut self, id: u32, out: &mut Out<'_, Votes>) {
        self.elections.get_mut(&id).expect("it is known").refreshes = None;
        let election = &self.elections[&id];
        if !Self::reports(election) {
            return;
        }
        for region in election.regions.keys().copied().collect::<Vec<_>>() {
            let election = &self.elections[&id];
            let report = self.add_up(election, region);
            if report == election.regions[&region].released || report.ballots < election.terms.batch.into() {
                continue;
            }
            let election = self.elections.get_mut(&id).expect("it is known");
            election.regions.get_mut(&region).expect("every region is there").released = report;
            self.say_region(id, region, out);
        }
    }
}

/// Whether what terms say of reports makes sense.
pub(super) fn makes_sense(terms: &DefineElection) -> bool {
    match terms.results.get() {
        Results::Live => terms.batch == 0,
        Results::AtClose => terms.batch != 1 && terms.refresh == 0,
    }
}
