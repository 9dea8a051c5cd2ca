//! Counting: a count is made stage by stage over the different ballots of an election, in whole numbers.
//!
//! ```text
//! begin ──► advance ──► Stage ──► advance ──► … ──► Complete
//!                                            └────► Tied: an officer must say on whom the lot falls
//! ```
//! `tallies` has the methods of one sum, `lists` those that give seats to lists, `pairs` those that compare two candidates at a time, `transfers` those that
//! move ballots, `ties` what breaks a tie. All memory is claimed in `Counter::new`.

mod lists;
mod pairs;
mod piles;
mod tallies;
mod ties;
mod transfers;

#[cfg(test)]
mod tests;

use super::ballots::Ballots;
use super::messages::{
    Action, CANDIDATES_MAX, CandidateId, DECISIONS_MAX, DefineElection, EarlierStages, Exclusions, Majority, Method,
    PairCounted, StageCounted, Standing, TieBreak, TieQuestion, Until, VOTE, Votes5,
};
use alloc::boxed::Box;
use alloc::vec::Vec;
use piles::Piles;
use ringfence_kernel::messages::Reserved;

/// Words of a set of candidates.
pub(super) const TIED_WORDS: usize = CANDIDATES_MAX as usize / 64;
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
            preferred: alloc::vec![0; most * most].into(),
            strongest: alloc::vec![0; most * most].into(),
            victories: Vec::with_capacity(most * (most - 1) / 2),
        }
    }

    /// Begins a count by `terms`, with the ties that an officer has decided.
    pub(super) fn begin(&mut self, terms: &DefineElection, decisions: &[u16]) {
        self.method = terms.method.get();
        (self.seats, self.candidates) = (terms.seats.into(), terms.candidates.into());
        self.batches = terms.exclusions.get() == Exclusions::Batches;
        (self.majority, self.until) = (terms.majority.get(), terms.until.get());
        self.earlier_stages = terms.earlier_stages.get() == EarlierStages::Asked;
        (self.tie_break, self.seed) = (terms.tie_break.get(), terms.seed);
        self.decisions.clear();
        self.decisions.extend_from_slice(decisions);
        self.decisions_used = 0;
        (self.stage, self.action, self.moved) = (0, Action::FirstCount, None);
        self.votes.clear();
        self.votes.resize(self.candidates, 0);
        self.standing.clear();
        self.standing.resize(self.candidates, Standing::Continuing);
        self.seats_won.clear();
        self.seats_won.resize(self.candidates, 0);
        (self.quota, self.exhausted, self.residual, self.total) = (0, 0, 0, 0);
        self.history.clear();
        self.tied.clear();
        self.end = None;
    }

    /// Makes the next stage of the election at that place, whose ballots begin with `first`.
    pub(super) fn advance(&mut self, ballots: &Ballots, place: u32, first: u32) -> Advance {
        if let Some(end) = self.end {
            return end;
        }
        if self.stage == 0 {
            self.first_count(ballots, place, first);
        } else if !self.transfer(ballots) {
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

    fn first_count(&mut self, ballots: &Ballots, place: u32, first: u32) {
        if self.method.moves() {
            let root = ballots.preferences().0.root(place);
            self.total = root.map_or(0, |root| ballots.preferences().0.weight(root)) * VOTE;
            return self.sort(ballots, root);
        }
        for (at, weight) in ballots.of(first) {
            self.total += weight * VOTE;
            if ballots.marks(at).is_empty() {
                self.exhausted += weight * VOTE;
            }
        }
        if self.method.compares() { self.compare(ballots, first) } else { self.tally(ballots, first) }
    }

    /// Who is elected after a stage, and whether the count ends with it.
    fn settle(&mut self) -> Option<Advance> {
        match self.method {
            Method::InstantRunoff => self.settle_majority(),
            Method::BottomsUp => self.settle_seats(),
            Method::ScottishStv => self.settle_quota(),
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
        !self.method.moves() || self.votes.iter().sum::<u64>() + self.exhausted + self.residual == self.total
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
            quota: Votes5(self.quota),
            exhausted: Votes5(self.exhausted),
            residual: Votes5(self.residual),
            total: Votes5(self.total),
            stage: self.stage,
            candidate: CandidateId(self.moved.map_or(0, |at| at as u16 + 1)),
            action: self.action.into(),
            reserved: Reserved::default(),
        }
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
            first_votes: Votes5(self.preferred[first * n + second] * VOTE),
            second_votes: Votes5(self.preferred[second * n + first] * VOTE),
            first: id(first),
            second: id(second),
            reserved: Reserved::default(),
        })
    }
}
