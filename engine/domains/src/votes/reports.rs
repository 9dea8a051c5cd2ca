//! What regions report: sums that are kept as ballots come, and which of them have been released.
//!
//! ```text
//! now ── every k ballots ──► held ── k ballots later ──► released      results at close
//! now ── some microseconds after a change ─────────────► released      live results
//! ```

use super::ballots::{candidate, points};
use super::elections::{Election, Voter};
use super::messages::{
    CandidateId, DefineElection, Event, Method, RegionCandidateReported, RegionReported, Results, Tally, VOTE,
    VotesLimits,
};
use super::publishing::Answer;
use super::{Votes, topics};

use alloc::vec::Vec;
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::{Corrupt, Cursor, Out, Progress, Sink, Source, Timestamp};

/// Ballots, their weight and the weight of blank ones stand before the sums of the candidates.
const BEFORE: usize = 3;

impl DefineElection {
    /// Rows of sums: one for each region, or one for all.
    pub(super) fn rows(&self) -> usize {
        usize::from(self.regions.max(1))
    }

    fn columns(&self) -> usize {
        BEFORE + usize::from(self.candidates)
    }

    /// How many sums it needs.
    pub(super) fn sums(&self) -> usize {
        self.rows() * self.columns()
    }

    /// Whether its regions report, or all together.
    pub(crate) const fn reports(&self) -> bool {
        self.regions > 0 || self.batch > 0 || self.refresh > 0
    }

    /// What a mark gives: of a method of one sum its votes or points, of others a vote for whom is ranked first.
    pub(super) fn gives(&self, rank: u64, mark: u16) -> u64 {
        match self.method.get() {
            Method::Borda => (u64::from(self.candidates) - rank) * VOTE,
            Method::Dowdall => VOTE / rank,
            method if !method.is_ranked() => points(mark) * VOTE,
            _ => u64::from(rank == 1) * VOTE,
        }
    }
}

/// Sums of all elections, one row after another.
#[derive(Clone, Debug)]
pub(super) struct Reports {
    now: Vec<u64>,
    /// As they were when as many ballots had changed as a batch has.
    held: Vec<u64>,
    released: Vec<u64>,
    /// Which rows were released and are to be said. None is between commands.
    to_say: Vec<bool>,
    capacity: usize,
}

impl Reports {
    pub(super) fn new(limits: &VotesLimits) -> Self {
        let capacity = limits.sums as usize;
        let sums = || Vec::with_capacity(capacity);
        Self { now: sums(), held: sums(), released: sums(), to_say: Vec::with_capacity(capacity / BEFORE), capacity }
    }

    /// Whether an election with those terms finds room.
    pub(super) fn has_room(&self, terms: &DefineElection) -> bool {
        self.capacity - self.now.len() >= terms.sums()
    }

    /// Takes room for an election; gives its first sum and its first row.
    pub(super) fn claim(&mut self, terms: &DefineElection) -> (u32, u32) {
        let (sum, row) = (self.now.len(), self.to_say.len());
        for sums in [&mut self.now, &mut self.held, &mut self.released] {
            sums.resize(sum + terms.sums(), 0);
        }
        self.to_say.resize(row + terms.rows(), false);
        (sum as u32, row as u32)
    }

    /// Adds a voter's ballot to its region, or takes it out.
    #[inline]
    pub(super) fn change(&mut self, election: &Election, voter: Voter, marks: &[u16], adds: bool) {
        let range = election.sums_of(election.row(voter));
        let weight = u64::from(voter.weight());
        let change = |sum: &mut u64, by: u64| *sum = if adds { *sum + by } else { *sum - by };
        let [ballots, weights, blank, sums @ ..] = &mut self.now[range] else { unreachable!("a row has these") };
        change(ballots, 1);
        change(weights, weight);
        if marks.is_empty() {
            change(blank, weight);
        }
        for (rank, mark) in (1..).zip(marks) {
            change(&mut sums[candidate(*mark)], weight * election.terms.gives(rank, *mark));
        }
    }

    /// Notes that a ballot changed a row. Whether that releases it: when a batch is full, the one before is. It is full when so
    /// many more ballots count, however often those that did were changed: whoever changes one again and again fills none.
    #[inline]
    pub(super) fn note(&mut self, election: &Election, row: usize) -> bool {
        let (batch, range) = (u64::from(election.terms.batch), election.sums_of(row));
        if batch == 0 || self.now[range.start] < self.held[range.start].saturating_add(batch) {
            return false;
        }
        let changed = self.released[range.clone()] != self.held[range.clone()];
        self.released[range.clone()].copy_from_slice(&self.held[range.clone()]);
        self.held[range.clone()].copy_from_slice(&self.now[range]);
        self.to_say[election.first_row as usize + row] = changed;
        changed
    }

    /// Releases what has changed. On closing, a region with fewer ballots than a batch has is withheld.
    fn release(&mut self, election: &Election) {
        for row in 0..election.terms.rows() {
            let range = election.sums_of(row);
            let changed = self.released[range.clone()] != self.now[range.clone()];
            if changed && self.now[range.start] >= election.terms.batch.into() {
                self.released[range.clone()].copy_from_slice(&self.now[range]);
                self.to_say[election.first_row as usize + row] = true;
            }
        }
    }

    /// What a candidate has in all regions, and the weight of blank ballots.
    pub(super) fn total(&self, election: &Election, candidate: usize) -> u64 {
        self.column(election, BEFORE + candidate)
    }

    pub(super) fn blank(&self, election: &Election) -> u64 {
        self.column(election, BEFORE - 1)
    }

    fn column(&self, election: &Election, column: usize) -> u64 {
        (0..election.terms.rows()).map(|row| self.now[election.sums_of(row)][column]).sum()
    }

    pub(super) fn save(&self, sink: &mut impl Sink) {
        sink.value(&(self.released.len() as u64));
        sink.values(&self.held);
        sink.values(&self.released);
        sink.value(&(self.to_say.len() as u64));
    }

    /// What [`Reports::save`] wrote; the sums are added up again by whoever has the ballots.
    pub(super) fn load(limits: &VotesLimits, source: &mut impl Source) -> Result<Self, Corrupt> {
        let mut all = Self::new(limits);
        let count = source.count(all.capacity, "sums")?;
        all.now.resize(count, 0);
        for sums in [&mut all.held, &mut all.released] {
            sums.resize(count, 0);
            source.take(bytemuck::cast_slice_mut(sums))?;
        }
        let count = source.count(all.capacity / BEFORE, "rows of sums")?;
        all.to_say.resize(count, false);
        Ok(all)
    }

    /// How many sums and rows there are.
    pub(super) fn len(&self) -> (usize, usize) {
        (self.now.len(), self.to_say.len())
    }
}

impl Election {
    /// The row of a voter's region.
    #[inline]
    pub(super) fn row(&self, voter: Voter) -> usize {
        usize::from(voter.region().saturating_sub(1))
    }

    #[inline]
    fn sums_of(&self, row: usize) -> core::ops::Range<usize> {
        let columns = self.terms.columns();
        let first = self.first_sum as usize + row * columns;
        first..first + columns
    }
}

/// Reports that are said, region by region.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reporting {
    place: u32,
    row: usize,
    /// The next event of the region.
    next: usize,
    /// How closing is answered, when the count comes next.
    then_count: Option<Answer>,
}

impl Votes {
    /// Releases what changed in an election and says it, then counts when that is asked.
    pub(super) fn report(&mut self, place: u32, then_count: Option<Answer>, out: &mut Out<'_, Self>) -> Progress {
        self.elections.set_refresh(place, Timestamp(0));
        if self.elections[place].terms.reports() {
            self.reports.release(&self.elections[place]);
        }
        self.say_reports(Reporting { place, row: 0, next: 0, then_count }, out)
    }

    /// Says a region that a ballot released.
    pub(super) fn say_released(&mut self, place: u32, row: usize, out: &mut Out<'_, Self>) -> Progress {
        self.say_reports(Reporting { place, row, next: 0, then_count: None }, out)
    }

    /// Says what is released and was not said, until the outbox is full or all is said.
    pub(super) fn say_reports(&mut self, mut reporting: Reporting, out: &mut Out<'_, Self>) -> Progress {
        let election = &self.elections[reporting.place];
        let id = election.id().0;
        while reporting.row < election.terms.rows() {
            let row = election.first_row as usize + reporting.row;
            while self.reports.to_say[row] {
                let Some(event) = self.reported(election, reporting.row, reporting.next) else {
                    self.reports.to_say[row] = false;
                    break;
                };
                if out.room() == 0 {
                    self.pending = Some(super::Pending::Reporting(reporting));
                    return Progress::More;
                }
                out.publish(topics::REPORTS, id, event.as_event());
                reporting.next += 1;
            }
            (reporting.row, reporting.next) = (reporting.row + 1, 0);
        }
        match reporting.then_count {
            Some(answer) => self.begin_counting(reporting.place, answer, out),
            None => Progress::Done,
        }
    }

    /// The event number `next` of what a region reports.
    fn reported(&self, election: &Election, row: usize, next: usize) -> Option<Reported> {
        let sums = &self.reports.released[election.sums_of(row)];
        let region = if election.terms.regions == 0 { 0 } else { row as u16 + 1 };
        if let Some(at) = next.checked_sub(1) {
            let (votes, candidate) = (Tally(*sums.get(BEFORE + at)?), CandidateId(at as u16 + 1));
            let reserved = Reserved::default();
            return Some(Reported::Candidate(RegionCandidateReported { votes, region, candidate, reserved }));
        }
        let (ballots, weight, blank) = (sums[0], sums[1], sums[2]);
        Some(Reported::Region(RegionReported { ballots, weight, blank, region, reserved: Reserved::default() }))
    }

    /// Everything that is released.
    pub(super) fn reports_snapshot(&self, place: u32, cursor: &mut Cursor, out: &mut Out<'_, Self>) -> Progress {
        let election = &self.elections[place];
        let per_row = 1 + usize::from(election.terms.candidates);
        let rows = if election.terms.reports() { election.terms.rows() } else { 0 };
        while (cursor.0 as usize) < rows * per_row {
            let (row, next) = (cursor.0 as usize / per_row, cursor.0 as usize % per_row);
            let known = self.reports.released[election.sums_of(row)].iter().any(|sum| *sum > 0);
            let Some(event) = self.reported(election, row, next).filter(|_| known) else {
                *cursor = Cursor(((row + 1) * per_row) as u64);
                continue;
            };
            if out.room() == 0 {
                return Progress::More;
            }
            out.part(event.as_event());
            cursor.0 += 1;
        }
        Progress::Done
    }

    /// Has what changed released in time, where results are live.
    #[inline]
    pub(super) fn note_change(&mut self, place: u32, row: usize, now: Timestamp, out: &mut Out<'_, Self>) -> Progress {
        let election = &self.elections[place];
        if !election.terms.reports() {
            return Progress::Done;
        }
        if self.reports.note(election, row) {
            return self.say_released(place, row, out);
        }
        let refresh = u64::from(election.terms.refresh) * 1_000;
        if refresh > 0 && election.refreshes == Timestamp(0) {
            self.elections.set_refresh(place, Timestamp(now.0.saturating_add(refresh)));
        }
        Progress::Done
    }
}

enum Reported {
    Region(RegionReported),
    Candidate(RegionCandidateReported),
}

impl Reported {
    fn as_event(&self) -> Event<'_> {
        match self {
            Self::Region(region) => Event::RegionReported(region),
            Self::Candidate(candidate) => Event::RegionCandidateReported(candidate),
        }
    }
}

/// Whether terms of reports make sense together.
pub(super) fn sound(terms: &DefineElection) -> bool {
    let live = terms.results.get() == Results::Live;
    terms.batch != 1 && (terms.batch == 0 || !live) && (terms.refresh == 0 || live)
}
