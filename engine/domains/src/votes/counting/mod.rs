//! Counting: a count is made stage by stage over the different ballots of an election, in whole numbers.
//!
//! ```text
//! begin ──► advance ──► Stage ──► advance ──► … ──► Complete
//!                                            └────► Tied: an officer must say on whom the lot falls
//! ```
//! `tallies` elects by the most votes, `lists` those that give seats to lists, `pairs` those that compare two candidates
//! at a time, `transfers` those that move ballots and `settling` whom they elect; `coombs`, `meek`, `star` and
//! `whole_ballots` have what is special to those; `ties` what breaks a tie. All memory is claimed in `Counter::new`.

mod coombs;
mod lists;
mod meek;
mod pairs;
mod piles;
mod settling;
mod star;
mod tallies;
mod ties;
mod transfers;
mod whole_ballots;

#[cfg(test)]
mod tests;

use super::ballots::Ballots;
use super::elections::Election;
use super::messages::{
    Action, CANDIDATES_MAX, CandidateId, DECISIONS_MAX, EarlierStages, Exclusions, LastPlacesCounted, MEEK_VOTE,
    Majority, Method, PairCounted, Quota, StageCounted, Standing, Tally, TieBreak, TieQuestion, Until, VOTE,
};
use super::reports::Reports;
use alloc::boxed::Box;
use alloc::vec::Vec;
use piles::{Piles, Receivers};
use ringfence_kernel::messages::Reserved;
use whole_ballots::Paper;

/// Words of a set of candidates.
pub(super) const TIED_WORDS: usize = CANDIDATES_MAX.div_ceil(64) as usize;
/// The first count, and at most a surplus and an exclusion for each candidate.
const STAGES_MAX: usize = 1 + 2 * CANDIDATES_MAX as usize;

/// What a count did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Advance {
    /// A stage: its table can be read.
    Stage,
    /// It ended before: all seats are filled.
    Complete,
    /// It stopped at a tie.
    Tied,
}

/// One count, and room for any.
#[derive(Debug)]
pub(super) struct Counter {
    method: Method,
    seats: usize,
    candidates: usize,
    /// Whether several are excluded at a stage.
    batches: bool,
    majority: Majority,
    until: Until,
    earlier_stages: bool,
    tie_break: TieBreak,
    seed: u64,
    quota_rule: Quota,
    /// Which candidates are write-ins that were not declared.
    undeclared: Vec<bool>,
    /// On whom the lot fell in each tie, and how many of those were needed so far.
    decisions: Vec<u16>,
    decisions_used: usize,

    stage: u16,
    action: Action,
    /// Whose votes the stage transferred.
    moved: Option<usize>,
    votes: Vec<u64>,
    standing: Vec<Standing>,
    /// Seats that each list has won so far.
    seats_won: Vec<u16>,
    quota: u64,
    exhausted: u64,
    residual: u64,
    total: u64,
    /// Votes of each candidate at each stage so far, one stage after another.
    history: Vec<u64>,
    /// Candidates of the tie that is looked at, by place.
    tied: Vec<u16>,
    question: TieQuestion,
    end: Option<Advance>,

    piles: Piles,
    receivers: Receivers,
    /// Where whole ballots are.
    papers: Box<[Paper]>,
    /// What part of a vote each candidate keeps, by Meek.
    keep: Vec<u64>,
    /// What elected candidates have more than the quota, by Meek.
    surplus: i128,
    /// Whether a stage by Meek ended because someone was elected.
    just_elected: bool,
    /// Whether the next stage begins with all ballots again, for the next seat.
    pass_ended: bool,
    /// Votes of those who rank each candidate last, by Coombs.
    last_places: Vec<u64>,
    /// Votes that prefer the first of two candidates, and the strongest paths made of them.
    preferred: Box<[u64]>,
    strongest: Box<[u64]>,
    /// Victories, as places of winner and loser.
    victories: Vec<(u16, u16)>,
}

impl Counter {
    /// Room for a count of that many different ballots.
    pub(super) fn new(ballots: usize) -> Self {
        let most = CANDIDATES_MAX as usize;
        Self {
            method: Method::Plurality,
            seats: 0,
            candidates: 0,
            batches: false,
            majority: Majority::OfContinuing,
            until: Until::Majority,
            earlier_stages: false,
            tie_break: TieBreak::Order,
            seed: 0,
            quota_rule: Quota::Droop,
            undeclared: Vec::with_capacity(most),
            decisions: Vec::with_capacity(DECISIONS_MAX),
            decisions_used: 0,
            stage: 0,
            action: Action::FirstCount,
            moved: None,
            votes: Vec::with_capacity(most),
            standing: Vec::with_capacity(most),
            seats_won: Vec::with_capacity(most),
            quota: 0,
            exhausted: 0,
            residual: 0,
            total: 0,
            history: Vec::with_capacity(STAGES_MAX * most),
            tied: Vec::with_capacity(most),
            question: TieQuestion::Elect,
            end: None,
            piles: Piles::new(ballots),
            receivers: Receivers::new(),
            papers: alloc::vec![Paper::NONE; ballots].into(),
            keep: Vec::with_capacity(most),
            surplus: 0,
            just_elected: false,
            pass_ended: false,
            last_places: Vec::with_capacity(most),
            preferred: alloc::vec![0; most * most].into(),
            strongest: alloc::vec![0; most * most].into(),
            victories: Vec::with_capacity(most * (most - 1) / 2),
        }
    }

    /// Begins a count by the terms of an election, with the ties that an officer has decided.
    pub(super) fn begin(&mut self, election: &Election, reports: &Reports) {
        let (terms, decisions) = (&election.terms, &election.decisions[..usize::from(election.decided)]);
        self.method = terms.method.get();
        (self.seats, self.candidates) = (terms.seats.into(), terms.candidates.into());
        self.batches = terms.exclusions.get() == Exclusions::Batches;
        (self.majority, self.until) = (terms.majority.get(), terms.until.get());
        self.earlier_stages = terms.earlier_stages.get() == EarlierStages::Asked;
        (self.tie_break, self.seed) = (terms.tie_break.get(), terms.seed);
        self.quota_rule = terms.quota.get();
        self.undeclared.clear();
        self.undeclared.resize(self.candidates, false);
        election.undeclared().for_each(|at| self.undeclared[at] = true);
        self.decisions.clear();
        self.decisions.extend_from_slice(decisions);
        self.decisions_used = 0;
        (self.stage, self.action, self.moved) = (0, Action::FirstCount, None);
        self.votes.clear();
        self.votes.resize(self.candidates, 0);
        if self.method.adds_up() {
            self.votes.iter_mut().zip(0..).for_each(|(votes, at)| *votes = reports.total(election, at));
        }
        self.standing.clear();
        self.standing.resize(self.candidates, Standing::Continuing);
        if !self.method.has_stages() {
            // No stage excludes later whom nobody declared.
            election.undeclared().for_each(|at| self.standing[at] = Standing::Excluded);
        }
        self.seats_won.clear();
        self.seats_won.resize(self.candidates, 0);
        (self.quota, self.residual) = (0, 0);
        (self.total, self.exhausted) = (election.weight * self.vote(), reports.blank(election) * self.vote());
        self.keep.clear();
        self.keep.resize(self.candidates, MEEK_VOTE);
        (self.surplus, self.just_elected, self.pass_ended) = (0, false, false);
        self.last_places.clear();
        self.history.clear();
        self.tied.clear();
        self.end = None;
    }

    /// Makes the next stage of the ballots that begin with `first`.
    pub(super) fn advance(&mut self, ballots: &Ballots, first: u32) -> Advance {
        if let Some(end) = self.end {
            return end;
        }
        if !self.go_on(ballots, first) {
            self.end = Some(Advance::Tied);
            return Advance::Tied;
        }
        self.stage += 1;
        self.end = self.settle();
        if self.end == Some(Advance::Complete) {
            let left = self.standing.iter_mut().filter(|standing| **standing == Standing::Continuing);
            left.for_each(|standing| *standing = Standing::Defeated);
        }
        self.history.extend_from_slice(&self.votes);
        debug_assert!(self.is_conserved(), "every vote is somewhere");
        Advance::Stage
    }

    /// Counts, or moves what the last stage left to be moved. False when a tie is in the way.
    fn go_on(&mut self, ballots: &Ballots, first: u32) -> bool {
        match self.method {
            _ if self.stage == 0 => self.first_count(ballots, first),
            _ if self.pass_ended => self.begin_pass(ballots, first),
            Method::Coombs => return self.exclude_most_last(ballots, first),
            Method::Meek => return self.transfer_by_keeping(ballots, first),
            Method::Star => return self.run_off(ballots, first),
            _ => return self.transfer(ballots, first),
        }
        true
    }

    /// Units of one vote.
    fn vote(&self) -> u64 {
        if self.method == Method::Meek { MEEK_VOTE } else { VOTE }
    }

    fn first_count(&mut self, ballots: &Ballots, first: u32) {
        match self.method {
            Method::Coombs => self.rank_ends(ballots, first),
            Method::Meek => self.iterate(ballots, first),
            Method::WholeBallots => self.deal(ballots, first),
            method if method.moves() => self.sort(ballots, first),
            method if method.compares() => self.compare(ballots, first),
            _ => {} // What regions have is all there is to it.
        }
    }

    /// Who is elected after a stage, and whether the count ends with it.
    fn settle(&mut self) -> Option<Advance> {
        match self.method {
            Method::InstantRunoff | Method::Sequential | Method::Coombs => self.settle_majority(),
            Method::BottomsUp => self.settle_seats(),
            Method::ScottishStv | Method::WholeBallots => self.settle_quota(),
            Method::Meek => self.settle_kept(),
            Method::Star => self.settle_runoff(),
            Method::DHondt | Method::SainteLague => Some(self.highest_averages()),
            Method::LargestRemainder => Some(self.largest_remainders()),
            Method::Minimax | Method::Schulze | Method::RankedPairs => Some(self.elect(|votes| u64::MAX - votes)),
            Method::Plurality | Method::Score | Method::Borda | Method::Dowdall | Method::Copeland => {
                Some(self.elect(|votes| votes))
            }
        }
    }

    /// Continuing, exhausted and lost votes are all that were cast, where ballots move.
    fn is_conserved(&self) -> bool {
        !self.method.has_stages() || self.votes.iter().sum::<u64>() + self.exhausted + self.residual == self.total
    }

    pub(super) fn candidates(&self) -> usize {
        self.candidates
    }

    pub(super) fn stage(&self) -> u16 {
        self.stage
    }

    pub(super) fn votes(&self, candidate: usize) -> u64 {
        self.votes[candidate]
    }

    /// Seats of a list, or whether a candidate has one.
    pub(super) fn seats(&self, candidate: usize) -> u16 {
        if self.method.is_of_lists() {
            return self.seats_won[candidate];
        }
        u16::from(self.standing[candidate] == Standing::Elected)
    }

    pub(super) fn standing(&self, candidate: usize) -> Standing {
        self.standing[candidate]
    }

    /// Candidates of the tie at which the count stopped, by place.
    pub(super) fn tied(&self) -> &[u16] {
        &self.tied
    }

    pub(super) fn question(&self) -> TieQuestion {
        self.question
    }

    /// The number of the tie at which it stopped; zero when it did not.
    pub(super) fn tie(&self) -> u16 {
        if self.end == Some(Advance::Tied) { self.decisions_used as u16 + 1 } else { 0 }
    }

    pub(super) fn summary(&self) -> StageCounted {
        StageCounted {
            quota: Tally(self.quota),
            exhausted: Tally(self.exhausted),
            residual: Tally(self.residual),
            total: Tally(self.total),
            stage: self.stage,
            candidate: CandidateId(self.moved.map_or(0, |at| at as u16 + 1)),
            action: self.action.into(),
            reserved: Reserved::default(),
        }
    }

    /// Who ranks a candidate last, of a method that asks.
    pub(super) fn last_place(&self, candidate: usize) -> Option<LastPlacesCounted> {
        let (votes, stage, reserved) = (Tally(*self.last_places.get(candidate)?), self.stage, Reserved::default());
        Some(LastPlacesCounted { votes, stage, candidate: CandidateId(candidate as u16 + 1), reserved })
    }

    /// The pair number `number` of a method that compares.
    pub(super) fn pair(&self, number: usize) -> Option<PairCounted> {
        if !self.method.compares() {
            return None;
        }
        let n = self.candidates;
        let mut left = number;
        let first = (0..n).find(|first| {
            let pairs = n - 1 - first;
            let found = left < pairs;
            left -= if found { 0 } else { pairs };
            found
        })?;
        let second = first + 1 + left;
        let id = |at: usize| CandidateId(at as u16 + 1);
        Some(PairCounted {
            first_votes: Tally(self.preferred[first * n + second] * VOTE),
            second_votes: Tally(self.preferred[second * n + first] * VOTE),
            first: id(first),
            second: id(second),
            reserved: Reserved::default(),
        })
    }
}
