//! Ballots: what a paper says by the election's rules, and the different ballots with how often each was cast.

use super::messages::{
    CANDIDATES_MAX, CandidateId, DefineElection, Fault, Mark, Method, POINTS_MAX, ROLL_WEIGHT_MAX, Reject, VOTE,
    VotesLimits,
};
use super::rankings::{Below, Branch, Rankings};
use alloc::vec::Vec;
use bytemuck::{Pod, Zeroable};
use ringfence_kernel::bounded::KeyIndex;
use ringfence_kernel::state::fold;
use ringfence_kernel::{Corrupt, Sink, Source};

/// No ballot.
pub(super) const NONE: u32 = u32::MAX;
/// Marks that fit the longest command image.
const MARKS_MAX: usize = 4_091;

/// Ballots of one election that say the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Ballot {
    /// The weight of all that count.
    pub(super) weight: u64,
    /// How many count. None may: the place is kept for the next that says the same.
    pub(super) ballots: u32,
    /// Where its marks stand, and how many there are.
    first_mark: u32,
    marks: u32,
    /// Its election's place.
    pub(super) election: u32,
    /// The next ballot of the same election.
    pub(super) next: u32,
    reserved: u32,
}

/// All different ballots, in the order in which they were first cast.
#[derive(Clone, Debug)]
pub(super) struct Ballots {
    ballots: Vec<Ballot>,
    capacity: usize,
    /// Marks of all ballots, and [`END`] behind those of each: the candidate's number in the low 8 bits, the points above.
    marks: Vec<u16>,
    marks_capacity: usize,
    /// Finds a ballot by its election and marks.
    by_marks: KeyIndex,
    /// Those of elections whose ballots move, by how they begin.
    rankings: Rankings,
    /// The ballot that is read.
    paper: Vec<u16>,
    /// Its marks by rank.
    ranks: Vec<u32>,
}

/// Behind the last mark of a ballot. It names a number that no candidate has.
pub(super) const END: u16 = u16::MAX;

/// A mark of `points` for a candidate.
const fn mark(candidate: CandidateId, points: u32) -> u16 {
    (points as u16) << 8 | candidate.0
}

/// The place of the candidate that a mark names.
#[inline]
pub(super) const fn candidate(mark: u16) -> usize {
    (mark as u8).wrapping_sub(1) as usize
}

/// The points that a mark gives.
#[inline]
pub(super) const fn points(mark: u16) -> u64 {
    (mark >> 8) as u64
}

const _: () = assert!(CANDIDATES_MAX < 255 && POINTS_MAX <= 255);

impl Method {
    /// Whether a mark's value is a rank.
    pub(crate) const fn is_ranked(self) -> bool {
        !matches!(self, Self::Plurality) && !self.gives_points() && !self.is_of_lists()
    }

    /// Whether a mark's value is points.
    pub(crate) const fn gives_points(self) -> bool {
        matches!(self, Self::Score | Self::Star)
    }

    /// Whether lists win seats, rather than candidates one.
    pub(crate) const fn is_of_lists(self) -> bool {
        matches!(self, Self::DHondt | Self::SainteLague | Self::LargestRemainder)
    }

    /// Whether it goes on by excluding the candidate with fewest votes and nothing else.
    pub(crate) const fn excludes(self) -> bool {
        matches!(self, Self::InstantRunoff | Self::Sequential | Self::BottomsUp)
    }

    /// Whether ballots move from candidate to candidate, each at a value.
    pub(super) const fn moves(self) -> bool {
        self.excludes() || matches!(self, Self::ScottishStv)
    }

    /// Whether candidates are excluded until the seats are filled.
    pub(crate) const fn has_stages(self) -> bool {
        self.moves() || matches!(self, Self::Coombs | Self::WholeBallots | Self::Meek)
    }

    /// Whether it elects one candidate and no more.
    pub(crate) const fn is_single(self) -> bool {
        self.compares() || matches!(self, Self::InstantRunoff | Self::Coombs | Self::Star)
    }

    /// Whether either quota makes sense.
    pub(crate) const fn has_quota(self) -> bool {
        matches!(self, Self::ScottishStv | Self::WholeBallots | Self::LargestRemainder)
    }

    /// Whether a candidate has one sum of what ballots give, and that is all.
    pub(super) const fn adds_up(self) -> bool {
        !self.is_ranked() || matches!(self, Self::Borda | Self::Dowdall)
    }

    /// Whether it compares two candidates at a time.
    pub(super) const fn compares(self) -> bool {
        matches!(self, Self::Copeland | Self::Minimax | Self::Schulze | Self::RankedPairs)
    }
}

fn hash(election: u32, marks: &[u16]) -> u64 {
    let seed = u64::from(election) ^ 0x9e37_79b9_7f4a_7c15;
    marks.iter().fold(seed, |hash, mark| fold(hash ^ u64::from(*mark), 0xd6e8_feb8_6659_fd93).wrapping_add(hash >> 3))
}

impl Ballots {
    pub(super) fn new(limits: &VotesLimits) -> Self {
        let (capacity, marks_capacity) = (limits.ballots as usize, limits.marks as usize);
        assert!(marks_capacity + capacity < 1 << 31, "a count has a bit left where it notes the place of a mark");
        Self {
            ballots: Vec::with_capacity(capacity),
            capacity,
            marks: Vec::with_capacity(marks_capacity + capacity),
            marks_capacity,
            by_marks: KeyIndex::new(capacity),
            rankings: Rankings::new(limits.elections as usize, capacity),
            paper: Vec::with_capacity(CANDIDATES_MAX as usize),
            ranks: Vec::with_capacity(MARKS_MAX),
        }
    }

    /// Reads a paper by the rules of `terms`, for [`Ballots::place`].
    #[inline]
    pub(super) fn read(&mut self, terms: &DefineElection, marks: &[Mark]) -> Result<(), Reject> {
        self.paper.clear();
        let (ranked, marks_max) = (terms.method.get().is_ranked(), usize::from(terms.marks_max));
        let value_max = match terms.method.get() {
            method if method.gives_points() => terms.points_max,
            _ if ranked => terms.marks_max,
            _ => 1,
        };
        if !ranked && marks.len() > marks_max {
            return Err(Reject::TooManyMarks);
        }
        let least = u32::from(!terms.method.get().gives_points());
        for mark in marks {
            let sound =
                (1..=terms.candidates).contains(&mark.candidate.0) && (least..=value_max.into()).contains(&mark.value);
            if !sound {
                return Err(Reject::BadMark);
            }
        }
        if ranked { self.read_ranks(terms, marks) } else { self.read_points(terms, marks) }
    }

    fn read_points(&mut self, terms: &DefineElection, marks: &[Mark]) -> Result<(), Reject> {
        self.paper.extend(marks.iter().map(|paper| mark(paper.candidate, paper.value)));
        self.paper.sort_unstable_by_key(|mark| candidate(*mark));
        if self.paper.windows(2).any(|pair| candidate(pair[0]) == candidate(pair[1])) {
            return Err(Reject::DuplicateMark);
        }
        let total: u64 = self.paper.iter().map(|mark| points(*mark)).sum();
        if terms.points_total != 0 && total > terms.points_total.into() {
            return Err(Reject::TooManyPoints);
        }
        self.paper.retain(|mark| points(*mark) > 0);
        Ok(())
    }

    fn read_ranks(&mut self, terms: &DefineElection, marks: &[Mark]) -> Result<(), Reject> {
        let Self { paper, ranks, .. } = self;
        ranks.clear();
        ranks.extend(marks.iter().map(|paper| paper.value << 16 | u32::from(paper.candidate.0)));
        ranks.sort_unstable();
        if ranks.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(Reject::DuplicateMark);
        }
        let mut expected = 1;
        for rank in ranks.chunk_by(|a, b| a >> 16 == b >> 16) {
            let gap = (rank[0] >> 16) - expected;
            expected = (rank[0] >> 16) + 1;
            if gap > 0 {
                match terms.skipped_ranks.get() {
                    Fault::Refuse => return Err(Reject::SkippedRank),
                    Fault::PassOver if terms.gap_max != 0 && gap > terms.gap_max.into() => return Ok(()),
                    Fault::PassOver => {}
                    Fault::Exhaust => return Ok(()),
                }
            }
            if rank.len() > 1 {
                match terms.overvotes.get() {
                    Fault::Refuse => return Err(Reject::Overvote),
                    Fault::PassOver => continue,
                    Fault::Exhaust => return Ok(()),
                }
            }
            let named = mark(CandidateId(rank[0] as u16), 0);
            if paper.contains(&named) {
                match terms.duplicates.get() {
                    Fault::Refuse => return Err(Reject::DuplicateMark),
                    Fault::PassOver => continue,
                    Fault::Exhaust => return Ok(()),
                }
            }
            paper.push(named);
        }
        Ok(())
    }

    #[inline]
    fn find(&self, election: u32, hash: u64) -> Option<u32> {
        let same = |index: u32| self.get(index).election == election && *self.marks(index) == self.paper[..];
        self.by_marks.get(hash, same)
    }

    /// The place of the ballot that was read, when one said the same before.
    pub(super) fn known(&self, election: u32) -> Option<u32> {
        self.find(election, hash(election, &self.paper))
    }

    /// The place of the ballot that was read; taken for it when none said the same before. A new one follows `last`, the
    /// last new one of its election; `moves` says whether ballots of the election move from candidate to candidate.
    #[inline]
    pub(super) fn place(&mut self, election: u32, last: u32, moves: bool) -> Result<u32, Reject> {
        let hash = hash(election, &self.paper);
        if let Some(index) = self.find(election, hash) {
            return Ok(index);
        }
        let marks_held = self.marks.len() - self.ballots.len();
        if self.ballots.len() == self.capacity || self.marks_capacity - marks_held < self.paper.len() {
            return Err(Reject::BallotsFull);
        }
        let index = self.ballots.len() as u32;
        let (first_mark, count) = (self.marks.len() as u32, self.paper.len() as u32);
        self.marks.extend_from_slice(&self.paper);
        self.marks.push(END);
        let (weight, ballots, next, reserved) = (0, 0, NONE, 0);
        self.ballots.push(Ballot { weight, ballots, first_mark, marks: count, election, next, reserved });
        self.by_marks.insert(hash, index).expect("as many keys as ballots");
        if last != NONE {
            self.ballots[last as usize].next = index;
        }
        self.rank(index, moves);
        Ok(index)
    }

    /// Notes how the next ballot begins.
    fn rank(&mut self, index: u32, moves: bool) {
        let Self { ballots, marks, rankings, .. } = self;
        if moves {
            let marks = |at: u32| &marks[ballots[at as usize].first_mark as usize..];
            rankings.insert(ballots[index as usize].election, marks, |at| ballots[at as usize].weight);
        } else {
            rankings.pass_over();
        }
    }

    /// Notes how all that were loaded begin.
    pub(super) fn rank_all(&mut self, moves: impl Fn(u32) -> bool) {
        for index in 0..self.ballots.len() as u32 {
            let Ballot { election, weight, .. } = *self.get(index);
            self.rank(index, moves(election));
            self.rankings.weigh(index, |sum| *sum += weight);
        }
    }

    /// The branch of all ballots of the election whose first is `first`, when they move.
    pub(super) fn ranked(&self, first: u32) -> Option<Branch> {
        (first != NONE).then(|| self.get(first).election).and_then(|election| self.rankings.root(election))
    }

    /// The weight of all that count on a branch.
    #[inline]
    pub(super) fn weight(&self, branch: Branch) -> u64 {
        match branch.below() {
            Below::Ballot(at) => self.get(at).weight,
            Below::Node(at) => self.rankings.node(at).weight,
        }
    }

    pub(super) fn rankings(&self) -> &Rankings {
        &self.rankings
    }

    /// One ballot more of those that say this.
    #[inline]
    pub(super) fn add(&mut self, index: u32, weight: u32) {
        let weight = u64::from(weight);
        let ballot = &mut self.ballots[index as usize];
        ballot.ballots += 1;
        ballot.weight += weight;
        self.rankings.weigh(index, |sum| *sum += weight);
    }

    /// One ballot less.
    #[inline]
    pub(super) fn take(&mut self, index: u32, weight: u32) {
        let ballot = &mut self.ballots[index as usize];
        let weight = u64::from(weight);
        assert!(ballot.ballots > 0 && ballot.weight >= weight, "what is taken out was put in");
        ballot.ballots -= 1;
        ballot.weight -= weight;
        self.rankings.weigh(index, |sum| *sum -= weight);
    }

    #[inline]
    pub(super) fn get(&self, index: u32) -> &Ballot {
        &self.ballots[index as usize]
    }

    #[inline]
    pub(super) fn marks(&self, index: u32) -> &[u16] {
        &self.marks[self.get(index).range()]
    }

    /// The ballots of an election whose first is `first`, those that count.
    pub(super) fn of(&self, first: u32) -> impl Iterator<Item = (u32, u64)> {
        core::iter::successors(Some(first).filter(|at| *at != NONE), |at| {
            Some(self.get(*at).next).filter(|next| *next != NONE)
        })
        .map(|at| (at, self.get(at).weight))
        .filter(|(_, weight)| *weight > 0)
    }

    pub(super) fn len(&self) -> usize {
        self.ballots.len()
    }

    /// Where the marks of a ballot begin among all; [`END`] stands behind the last.
    #[inline]
    pub(super) fn first_mark(&self, index: u32) -> u32 {
        self.get(index).first_mark
    }

    /// The numbers of the candidates whom the sixteen marks name that stand from that place among all on.
    #[inline]
    pub(super) fn numbers(&self, from: u32) -> [[u8; 8]; 2] {
        let marks = &self.marks[from as usize..];
        match marks.first_chunk::<16>() {
            Some(marks) => bytemuck::cast(marks.map(|mark| mark as u8)),
            None => bytemuck::cast(core::array::from_fn::<_, 16, _>(|at| *marks.get(at).unwrap_or(&END) as u8)),
        }
    }

    /// The mark number `at` of a ballot, from 0; [`END`] behind the last.
    #[inline]
    pub(super) fn mark(&self, index: u32, at: u16) -> u16 {
        self.marks[self.get(index).first_mark as usize + usize::from(at)]
    }

    pub(super) fn save(&self, sink: &mut impl Sink) {
        sink.value(&(self.ballots.len() as u64));
        sink.values(&self.ballots);
        sink.value(&(self.marks.len() as u64));
        sink.values(&self.marks);
    }

    /// What [`Ballots::save`] wrote. How elections chain their ballots is checked by them.
    pub(super) fn load(limits: &VotesLimits, source: &mut impl Source) -> Result<Self, Corrupt> {
        let mut all = Self::new(limits);
        let count = source.count(all.capacity, "different ballots")?;
        all.ballots.resize(count, Ballot::zeroed());
        source.take(bytemuck::cast_slice_mut(&mut all.ballots))?;
        let count = source.count(all.marks_capacity + all.capacity, "marks")?;
        all.marks.resize(count, 0);
        source.take(bytemuck::cast_slice_mut(&mut all.marks))?;
        let mut end = 0_u64;
        for index in 0..all.ballots.len() as u32 {
            let ballot = *all.get(index);
            let stands = u64::from(ballot.first_mark) == end && ballot.marks <= CANDIDATES_MAX.into();
            end += u64::from(ballot.marks) + 1;
            if !stands
                || all.marks.get(end as usize - 1) != Some(&END)
                || ballot.reserved != 0
                || ballot.weight > ROLL_WEIGHT_MAX
            {
                return Err(Corrupt("the marks of a ballot"));
            }
            let key = hash(ballot.election, all.marks(index));
            let same = |other| all.get(other).election == ballot.election && all.marks(other) == all.marks(index);
            if all.by_marks.get(key, same).is_some() {
                return Err(Corrupt("a ballot twice"));
            }
            all.by_marks.insert(key, index).expect("as many keys as ballots");
        }
        if end == all.marks.len() as u64 { Ok(all) } else { Err(Corrupt("marks on no ballot")) }
    }
}

impl Ballot {
    #[inline]
    const fn range(&self) -> core::ops::Range<usize> {
        self.first_mark as usize..self.first_mark as usize + self.marks as usize
    }
}

// The heaviest roll's points still fit, and those of the longest Borda ranking.
const _: () = assert!(ROLL_WEIGHT_MAX.checked_mul(POINTS_MAX as u64 * VOTE).is_some());
const _: () = assert!(ROLL_WEIGHT_MAX.checked_mul(CANDIDATES_MAX as u64 * VOTE).is_some());
