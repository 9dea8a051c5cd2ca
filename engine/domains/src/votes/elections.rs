//! Elections: their terms, where they stand, and their rolls.

use super::ballots::NONE;
use super::messages::{
    CANDIDATES_MAX, ChangePolicy, CountState, CountStateCode, DECISIONS_MAX, DefineElection, ElectionChanged,
    ElectionId, Exclusions, Fault, Majority, Method, POINTS_MAX, Phase, PhaseCode, Quota, REGIONS_MAX, ROLL_WEIGHT_MAX,
    Registration, Reject, SEATS_MAX, Secrecy, StandingCode, Tally, TieBreak, Until, VoterEntry, VoterId, VotesLimits,
    WEIGHT_MAX,
};
use super::reports::{self, Reports};
use alloc::boxed::Box;
use alloc::vec::Vec;
use bytemuck::{Pod, Zeroable};
use ringfence_kernel::bounded::Timers;
use ringfence_kernel::messages::{Reserved, Wire};
use ringfence_kernel::{Corrupt, Sink, Source, Timestamp};

/// One voter of a roll: sixteen bytes, the receipt included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Voter {
    /// The receipt of the ballot that counts; zero when none does.
    pub(super) receipt: u64,
    /// For how many votes it counts in the low 20 bits, zero when the number is not registered, and the region above.
    /// Zero where the roll is another election's. Of an anonymous election the receipt is the fingerprint of the blinded token
    /// that was issued, and the ballot zero.
    weight_region: u32,
    /// Which ballot it is, while there is one.
    pub(super) ballot: u32,
}

const _: () = assert!(size_of::<Voter>() == 16);
const WEIGHT_BITS: u32 = 20;
const _: () = assert!(WEIGHT_MAX < 1 << WEIGHT_BITS && REGIONS_MAX < 1 << (32 - WEIGHT_BITS));

impl Voter {
    /// Who is on no roll.
    pub(super) const fn of_weight(weight: u32) -> Self {
        Self { receipt: 0, weight_region: weight, ballot: 0 }
    }

    /// For how many votes the ballot counts; zero when the number is not registered.
    #[inline]
    pub(super) const fn weight(self) -> u32 {
        self.weight_region & ((1 << WEIGHT_BITS) - 1)
    }

    /// The region; zero where the election has none.
    #[inline]
    pub(super) const fn region(self) -> u16 {
        (self.weight_region >> WEIGHT_BITS) as u16
    }
}

/// A candidate at the end of the official count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Final {
    pub(super) votes: Tally,
    /// Zero before there was a count.
    pub(super) standing: StandingCode,
    reserved: [u8; 5],
    pub(super) seats: u16,
}

impl Final {
    pub(super) fn new(votes: u64, standing: StandingCode, seats: u16) -> Self {
        Self { votes: Tally(votes), standing, reserved: [0; 5], seats }
    }
}

/// One election.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Election {
    /// All zero where no election is defined.
    pub(super) terms: DefineElection,
    /// Ballots that count, and their weight.
    pub(super) ballots: u64,
    pub(super) weight: u64,
    /// The weight of the roll.
    roll_weight: u64,
    /// When what changed is released; zero when nothing waits for it.
    pub(super) refreshes: Timestamp,
    /// Who was in the tie at which the official count stopped: a bit each.
    pub(super) tied: [u64; CANDIDATES_MAX.div_ceil(64) as usize],
    /// Which write-ins were declared: a bit each.
    pub(super) declared: [u64; CANDIDATES_MAX.div_ceil(64) as usize],
    /// Where its roll and its candidates begin among all.
    first_voter: u32,
    first_candidate: u32,
    /// Where its sums and their rows begin among all.
    pub(super) first_sum: u32,
    pub(super) first_row: u32,
    /// The first and the last of its different ballots.
    pub(super) first_ballot: u32,
    pub(super) last_ballot: u32,
    pub(super) registered: u32,
    /// Tokens that were issued.
    pub(super) tokens: u32,
    /// Ballots in quarantine.
    pub(super) held: u32,
    /// On whom the lot fell in each tie, of those that were decided.
    pub(super) decisions: [u16; DECISIONS_MAX],
    pub(super) decided: u16,
    /// Stages of the official count.
    pub(super) stages: u16,
    pub(super) phase: PhaseCode,
    pub(super) count: CountStateCode,
    reserved: [u8; 6],
}

impl Election {
    pub(super) fn id(&self) -> ElectionId {
        self.terms.election
    }

    pub(super) fn is_anonymous(&self) -> bool {
        self.terms.secrecy.get() == Secrecy::Anonymous
    }

    /// When it next opens or closes by itself; zero when it does not.
    fn window(&self) -> Timestamp {
        match self.phase.get() {
            Phase::Draft if self.terms.opens != Timestamp(0) => self.terms.opens,
            Phase::Draft | Phase::Open => self.terms.closes,
            Phase::Closed | Phase::Certified => Timestamp(0),
        }
    }

    /// Who of the candidates, by place, are write-ins and were not declared.
    pub(super) fn undeclared(&self) -> impl Iterator<Item = usize> {
        let (from, to) = (self.terms.candidates - self.terms.write_ins, self.terms.candidates);
        (usize::from(from)..to.into()).filter(|at| self.declared[at / 64] >> (at % 64) & 1 == 0)
    }

    /// The place of the election whose roll it votes on.
    #[inline]
    fn roll(&self) -> u32 {
        if self.terms.roll == ElectionId(0) { self.id().0 - 1 } else { self.terms.roll.0 - 1 }
    }
}

/// Whether the terms make sense together; the window is looked at by [`Elections::define`].
fn sound(terms: &DefineElection) -> bool {
    let method = terms.method.get();
    let seats_max = if method.is_of_lists() { SEATS_MAX } else { terms.candidates };
    let points = match method {
        Method::Score => (1..=POINTS_MAX).contains(&terms.points_max),
        Method::Star => (1..=POINTS_MAX).contains(&terms.points_max) && terms.points_total == 0,
        _ => terms.points_max == 0 && terms.points_total == 0,
    };
    (1..=CANDIDATES_MAX).contains(&terms.candidates)
        && (1..=seats_max).contains(&terms.seats)
        && (1..=terms.candidates).contains(&terms.marks_max)
        && terms.voters > 0
        && points
        && (!method.is_of_lists() || terms.marks_max == 1)
        && (!method.is_single() || terms.seats == 1)
        && (method.excludes() || terms.exclusions.get() == Exclusions::OneByOne)
        && (method == Method::InstantRunoff || terms.majority.get() == Majority::OfContinuing)
        && (method == Method::InstantRunoff || terms.until.get() == Until::Majority)
        && (terms.gap_max == 0 || method.is_ranked() && terms.skipped_ranks.get() == Fault::PassOver)
        && (terms.quota.get() == Quota::Droop || method.has_quota())
        && terms.write_ins <= terms.candidates - if method.is_of_lists() { 1 } else { terms.seats }
        && terms.regions <= REGIONS_MAX
        && (terms.roll == ElectionId(0) || terms.registration.get() == Registration::UntilClosed)
        && reports::sound(terms)
        && (terms.secrecy.get() == Secrecy::Identified
            || terms.regions == 0 && terms.changes.get() == ChangePolicy::Never)
        && terms.reserved == Reserved::default()
        && (terms.seed == 0 || terms.tie_break.get() == TieBreak::Seeded)
        && (terms.closes == Timestamp(0) || terms.opens < terms.closes)
}

/// All elections by their numbers, and all rolls.
#[derive(Clone, Debug)]
pub(super) struct Elections {
    elections: Box<[Election]>,
    /// The rolls, one after another.
    voters: Vec<Voter>,
    voters_capacity: usize,
    /// The candidates of all elections, one after another.
    finals: Vec<Final>,
    finals_capacity: usize,
    windows: Timers,
    refreshes: Timers,
}

impl core::ops::Index<u32> for Elections {
    type Output = Election;
    #[inline]
    fn index(&self, place: u32) -> &Election {
        &self.elections[place as usize]
    }
}

impl core::ops::IndexMut<u32> for Elections {
    #[inline]
    fn index_mut(&mut self, place: u32) -> &mut Election {
        &mut self.elections[place as usize]
    }
}

impl Elections {
    pub(super) fn new(limits: &VotesLimits) -> Self {
        Self {
            elections: alloc::vec![Election::zeroed(); limits.elections as usize].into(),
            voters: Vec::with_capacity(limits.voters as usize),
            voters_capacity: limits.voters as usize,
            finals: Vec::with_capacity(limits.candidates as usize),
            finals_capacity: limits.candidates as usize,
            windows: Timers::new(limits.elections as usize),
            refreshes: Timers::new(limits.elections as usize),
        }
    }

    /// The place of an election that is defined.
    #[inline]
    pub(super) fn place(&self, id: ElectionId) -> Result<u32, Reject> {
        let place = id.0.wrapping_sub(1);
        let known = self.elections.get(place as usize).is_some_and(|election| election.terms.seats != 0);
        if known { Ok(place) } else { Err(Reject::UnknownElection) }
    }

    /// Prepares an election, with its part of all reports; gives its place when it is new.
    pub(super) fn define(
        &mut self,
        now: Timestamp,
        terms: &DefineElection,
        reports: &mut Reports,
    ) -> Result<Option<u32>, Reject> {
        let place = terms.election.0.wrapping_sub(1);
        let known = self.elections.get(place as usize).ok_or(Reject::ElectionsFull)?;
        if known.terms.seats != 0 {
            return if known.terms == *terms { Ok(None) } else { Err(Reject::ElectionExists) };
        }
        let ahead = |window: Timestamp| window == Timestamp(0) || window > now;
        if !sound(terms) || !ahead(terms.opens) || !ahead(terms.closes) || !self.shares(terms) {
            return Err(Reject::BadTerms);
        }
        if self.voters_capacity - self.voters.len() < terms.voters as usize {
            return Err(Reject::VotersFull);
        }
        if self.finals_capacity - self.finals.len() < usize::from(terms.candidates) {
            return Err(Reject::CandidatesFull);
        }
        if !reports.has_room(terms) {
            return Err(Reject::SumsFull);
        }
        let (first_sum, first_row) = reports.claim(terms);
        self.elections[place as usize] = Election {
            terms: *terms,
            first_sum,
            first_row,
            first_voter: self.voters.len() as u32,
            first_candidate: self.finals.len() as u32,
            first_ballot: NONE,
            last_ballot: NONE,
            phase: Phase::Draft.into(),
            count: CountState::NotCounted.into(),
            ..Election::zeroed()
        };
        self.voters.resize(self.voters.len() + terms.voters as usize, Voter::zeroed());
        self.finals.resize(self.finals.len() + usize::from(terms.candidates), Final::zeroed());
        self.set_window(place);
        Ok(Some(place))
    }

    /// Whether an election has a roll of its own, or finds the one it names: that of another election with as many voters
    /// and the same regions.
    fn shares(&self, terms: &DefineElection) -> bool {
        if terms.roll == ElectionId(0) {
            return true;
        }
        let other = self.place(terms.roll).map(|place| &self.elections[place as usize].terms);
        other.is_ok_and(|other| {
            let weighs_one = terms.secrecy.get() == Secrecy::Identified || other.secrecy == terms.secrecy;
            other.roll == ElectionId(0) && (other.voters, other.regions) == (terms.voters, terms.regions) && weighs_one
        })
    }

    /// How many are on the roll that an election votes on.
    pub(super) fn registered(&self, place: u32) -> u32 {
        self[self[place].roll()].registered
    }

    /// Where an election stands.
    pub(super) fn changed(&self, place: u32) -> ElectionChanged {
        let election = &self[place];
        ElectionChanged {
            ballots: election.ballots,
            weight: election.weight,
            election: election.id(),
            registered: self.registered(place),
            tokens: election.tokens,
            phase: election.phase,
            count: election.count,
            reserved: Reserved::default(),
        }
    }

    #[inline]
    fn slot(&self, place: u32, voter: VoterId) -> Option<usize> {
        let election = &self[place];
        let at = voter.0.wrapping_sub(1);
        (at < election.terms.voters).then(|| election.first_voter as usize + at as usize)
    }

    /// The voter with that number, weight and region as the roll has them; none when it is not registered.
    #[inline]
    pub(super) fn voter(&self, place: u32, voter: VoterId) -> Option<Voter> {
        let mut known = self.voters[self.slot(place, voter)?];
        let roll = self[place].roll();
        if roll != place {
            known.weight_region = self.voters[self.slot(roll, voter)?].weight_region;
        }
        Some(known).filter(|known| known.weight() > 0)
    }

    /// Notes which ballot of a voter counts, and its receipt; zeros when none does.
    #[inline]
    pub(super) fn set_ballot(&mut self, place: u32, voter: VoterId, receipt: u64, ballot: u32) {
        let slot = self.slot(place, voter).expect("the voter was found");
        (self.voters[slot].receipt, self.voters[slot].ballot) = (receipt, ballot);
    }

    /// Puts voters on the roll, all or none of them; gives how many are new.
    pub(super) fn register(&mut self, place: u32, first: VoterId, list: &[VoterEntry]) -> Result<u32, Reject> {
        let election = &mut self.elections[place as usize];
        let DefineElection { voters, regions, roll, secrecy, .. } = election.terms;
        let heaviest = if secrecy.get() == Secrecy::Anonymous { 1 } else { WEIGHT_MAX };
        if roll != ElectionId(0) {
            return Err(Reject::NoRoll);
        }
        let (from, count) = (u64::from(first.0.wrapping_sub(1)), list.len() as u64);
        let least = u16::from(regions > 0);
        let sound =
            |entry: &VoterEntry| (1..=heaviest).contains(&entry.weight) && (least..=regions).contains(&entry.region);
        if count == 0 || from + count > voters.into() || !list.iter().all(sound) {
            return Err(Reject::BadRoll);
        }
        let packed = |entry: &VoterEntry| u32::from(entry.region) << WEIGHT_BITS | entry.weight;
        let from = election.first_voter as usize + from as usize;
        let voters = &mut self.voters[from..from + count as usize];
        let (mut added, mut heavier) = (0, 0);
        for (voter, entry) in voters.iter().zip(list) {
            if voter.weight_region == 0 {
                (added, heavier) = (added + 1, heavier + u64::from(entry.weight));
            } else if voter.weight_region != packed(entry) {
                return Err(Reject::VoterExists);
            }
        }
        if election.roll_weight + heavier > ROLL_WEIGHT_MAX {
            return Err(Reject::RollTooHeavy);
        }
        election.roll_weight += heavier;
        election.registered += added;
        voters.iter_mut().zip(list).for_each(|(voter, entry)| voter.weight_region = packed(entry));
        Ok(added)
    }

    /// Puts an election into a phase.
    pub(super) fn set_phase(&mut self, place: u32, phase: Phase) {
        self.elections[place as usize].phase = phase.into();
        self.set_window(place);
    }

    fn set_window(&mut self, place: u32) {
        match self.elections[place as usize].window() {
            Timestamp(0) => self.windows.clear(place),
            window => self.windows.set(place, window, place.into()),
        }
    }

    /// Has what changed released at a time; zero for never.
    pub(super) fn set_refresh(&mut self, place: u32, at: Timestamp) {
        self.elections[place as usize].refreshes = at;
        match at {
            Timestamp(0) => self.refreshes.clear(place),
            at => self.refreshes.set(place, at, place.into()),
        }
    }

    /// The election whose changes are next released, and when.
    #[inline]
    pub(super) fn next_refresh(&self) -> Option<(Timestamp, u32)> {
        self.refreshes.first()
    }

    /// The election that next opens or closes by itself, and when.
    #[inline]
    pub(super) fn next_window(&self) -> Option<(Timestamp, u32)> {
        self.windows.first()
    }

    /// The candidates of an election as the official count left them.
    pub(super) fn finals(&self, place: u32) -> &[Final] {
        &self.finals[self.finals_range(place)]
    }

    pub(super) fn finals_mut(&mut self, place: u32) -> &mut [Final] {
        let range = self.finals_range(place);
        &mut self.finals[range]
    }

    fn finals_range(&self, place: u32) -> core::ops::Range<usize> {
        let election = &self.elections[place as usize];
        let first = election.first_candidate as usize;
        first..first + usize::from(election.terms.candidates)
    }

    /// Elections that are defined, by number, with their rolls.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &Election, &[Voter])> {
        (0..).zip(&self.elections).filter(|(_, election)| election.terms.seats != 0).map(|(place, election)| {
            let first = election.first_voter as usize;
            (place, election, &self.voters[first..first + election.terms.voters as usize])
        })
    }

    pub(super) fn save(&self, sink: &mut impl Sink) {
        sink.value(&(self.iter().count() as u64));
        self.iter().for_each(|(_, election, _)| sink.value(election));
        sink.value(&(self.voters.len() as u64));
        sink.values(&self.voters);
        sink.value(&(self.finals.len() as u64));
        sink.values(&self.finals);
    }

    /// What [`Elections::save`] wrote; ballots are checked by [`super::Votes::read`].
    pub(super) fn load(limits: &VotesLimits, source: &mut impl Source) -> Result<Self, Corrupt> {
        let mut all = Self::new(limits);
        let mut last = 0;
        for _ in 0..source.count(limits.elections as usize, "elections")? {
            let election: Election = source.value()?;
            let id = election.terms.election.0;
            if id <= last || u64::from(id) > limits.elections {
                return Err(Corrupt("the order of elections"));
            }
            last = id;
            if !valid(&election) {
                return Err(Corrupt("the terms of an election"));
            }
            all.elections[id as usize - 1] = election;
            all.set_window(id - 1);
            all.set_refresh(id - 1, election.refreshes);
        }
        let count = source.count(all.voters_capacity, "voters")?;
        all.voters.resize(count, Voter::zeroed());
        source.take(bytemuck::cast_slice_mut(&mut all.voters))?;
        let count = source.count(all.finals_capacity, "candidates")?;
        all.finals.resize(count, Final::zeroed());
        source.take(bytemuck::cast_slice_mut(&mut all.finals))?;
        all.check()?;
        Ok(all)
    }

    /// Rolls and candidates stand one after another, each of one election, and sums are right.
    fn check(&self) -> Result<(), Corrupt> {
        let (mut voters, mut finals) = (0, 0);
        let mut defined = self.elections.iter().filter(|election| election.terms.seats != 0).collect::<Vec<_>>();
        defined.sort_unstable_by_key(|election| election.first_voter);
        for election in defined {
            if election.first_voter as usize != voters || election.first_candidate as usize != finals {
                return Err(Corrupt("where a roll begins"));
            }
            let roll = self.voters.get(voters..voters + election.terms.voters as usize);
            let roll = roll.ok_or(Corrupt("the length of a roll"))?;
            let registered = roll.iter().filter(|voter| voter.weight() > 0).count();
            let weight: u64 = roll.iter().map(|voter| u64::from(voter.weight())).sum();
            let regions = u16::from(election.terms.regions > 0)..=election.terms.regions;
            let anonymous = election.terms.secrecy.get() == Secrecy::Anonymous;
            let heaviest = if anonymous { 1 } else { WEIGHT_MAX };
            let sound = |voter: &Voter| match voter.weight_region {
                0 => true,
                _ => (1..=heaviest).contains(&voter.weight()) && regions.contains(&voter.region()),
            };
            if !roll.iter().all(sound) || !self.shares(&election.terms) {
                return Err(Corrupt("the roll of an election"));
            }
            if election.terms.roll != ElectionId(0) && registered > 0 {
                return Err(Corrupt("a voter on the roll of another election"));
            }
            let who = 1..=election.terms.candidates;
            let decided = &election.decisions[..usize::from(election.decided)];
            let mut tied = (0..election.tied.len() * 64).filter(|at| election.tied[at / 64] >> (at % 64) & 1 == 1);
            let stand = tied.all(|at| at < usize::from(election.terms.candidates));
            if !stand || !decided.iter().all(|named| who.contains(named)) {
                return Err(Corrupt("the ties of an election"));
            }
            if registered != election.registered as usize || weight != election.roll_weight || weight > ROLL_WEIGHT_MAX
            {
                return Err(Corrupt("the sum of a roll"));
            }
            voters += roll.len();
            finals += usize::from(election.terms.candidates);
        }
        let counted = |row: &Final| row.reserved == [0; 5] && (*row == Final::zeroed() || row.standing.is_valid());
        if voters != self.voters.len() || finals != self.finals.len() || !self.finals.iter().all(counted) {
            return Err(Corrupt("voters or candidates of no election"));
        }
        Ok(())
    }
}

fn valid(election: &Election) -> bool {
    let terms = &election.terms;
    terms.method.is_valid()
        && terms.changes.is_valid()
        && terms.results.is_valid()
        && terms.earlier_stages.is_valid()
        && terms.tie_break.is_valid()
        && terms.overvotes.is_valid()
        && terms.skipped_ranks.is_valid()
        && terms.duplicates.is_valid()
        && terms.exclusions.is_valid()
        && terms.majority.is_valid()
        && terms.until.is_valid()
        && terms.quota.is_valid()
        && terms.registration.is_valid()
        && terms.secrecy.is_valid()
        && election.phase.is_valid()
        && election.count.is_valid()
        && usize::from(election.decided) <= DECISIONS_MAX
        && election.reserved == [0; 6]
        && (election.refreshes == Timestamp(0) || terms.refresh > 0 && election.phase.get() == Phase::Open)
        && sound(terms)
}
