//! What is known of sources and devices, what that makes of a ballot, and the ballots in quarantine.

use super::super::messages::{
    BallotFlagged, ElectionId, Precaution, Receipt, Reject, SetScreening, VoterId, VotesLimits,
};
use super::rules;
use alloc::boxed::Box;
use alloc::vec::Vec;
use bytemuck::{Pod, Zeroable};
use ringfence_kernel::bounded::{KeyIndex, Slab};
use ringfence_kernel::messages::{Reserved, Wire};
use ringfence_kernel::state::fold;
use ringfence_kernel::{Corrupt, Sink, Source, Timestamp};

/// Where a ballot comes from, as the client says it; zero is not known, and no rule looks at that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Origin {
    pub(in super::super) source: u64,
    pub(in super::super) device: u64,
}

const SOURCE: u32 = 1;
const DEVICE: u32 = 2;
const VOTER_ON_DEVICE: u32 = 3;

/// What is sighted: a source, a device, or a voter on a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
struct Key {
    key: u64,
    election: ElectionId,
    /// Zero but of a voter on a device.
    voter: VoterId,
    kind: u32,
    reserved: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
struct Sighting {
    of: Key,
    /// When the period of a source began in which its ballots are counted.
    period: Timestamp,
    /// Ballots of a source in that period, or voters of a device.
    count: u32,
    /// What a source tried while the election was not open.
    attempts: u32,
}

/// A ballot in quarantine. Zero where there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(in super::super) struct Quarantined {
    pub(in super::super) receipt: u64,
    source: u64,
    device: u64,
    pub(super) election: ElectionId,
    voter: VoterId,
    pub(in super::super) ballot: u32,
    rules: u8,
    reserved: [u8; 3],
}

/// What the rules say of a ballot, and what is new in it.
#[derive(Clone, Copy, Debug, Default)]
pub(in super::super) struct Judgement {
    pub(in super::super) rules: u8,
    pub(in super::super) quarantines: bool,
    pub(super) origin: Origin,
    /// Sightings that are the first.
    missing: usize,
}

/// Rules, sightings and the quarantine of all elections.
#[derive(Clone, Debug)]
pub(in super::super) struct Screening {
    /// By the place of the election; all zero where it has none.
    pub(super) rules: Box<[SetScreening]>,
    sightings: Vec<Sighting>,
    sightings_capacity: usize,
    by_key: KeyIndex,
    pub(super) held: Slab<Quarantined>,
    by_voter: KeyIndex,
}

fn hash(of: Key) -> u64 {
    let [key, who, kind]: [u64; 3] = bytemuck::cast(of);
    [who, kind].iter().fold(key, |hash, word| fold(hash ^ word, 0xd6e8_feb8_6659_fd93))
}

fn hash_of_voter(election: ElectionId, voter: VoterId) -> u64 {
    fold(u64::from(election.0) << 32 | u64::from(voter.0), 0xd6e8_feb8_6659_fd93)
}

impl SetScreening {
    /// Whether the rules make sense: a number of ballots and its period go together.
    pub(super) fn is_sound(&self) -> bool {
        (self.source_ballots > 0) == (self.period > 0) && self.reserved == Reserved::default()
    }

    fn source(&self, origin: Origin) -> Option<Key> {
        let asked = self.source_ballots > 0 || self.attempts_max > 0;
        (asked && origin.source != 0).then(|| self.key(SOURCE, origin.source, VoterId(0)))
    }

    fn device(&self, origin: Origin) -> Option<Key> {
        (self.device_voters > 0 && origin.device != 0).then(|| self.key(DEVICE, origin.device, VoterId(0)))
    }

    fn key(&self, kind: u32, key: u64, voter: VoterId) -> Key {
        Key { key, election: self.election, voter, kind, reserved: 0 }
    }

    /// When the period began that is on; none where no number of ballots is asked.
    fn period_at(&self, now: Timestamp) -> Option<Timestamp> {
        (self.period > 0).then(|| Timestamp(now.0 - now.0 % (u64::from(self.period) * 1_000)))
    }
}

impl Screening {
    pub(in super::super) fn new(limits: &VotesLimits) -> Self {
        let (sightings, held) = (limits.sightings as usize, limits.quarantine as usize);
        Self {
            rules: alloc::vec![SetScreening::zeroed(); limits.elections as usize].into(),
            sightings: Vec::with_capacity(sightings),
            sightings_capacity: sightings,
            by_key: KeyIndex::new(sightings),
            held: Slab::new(held),
            by_voter: KeyIndex::new(held),
        }
    }

    fn find(&self, of: Key) -> Option<u32> {
        self.by_key.get(hash(of), |at| self.sightings[at as usize].of == of)
    }

    /// What was sighted, a new entry for it when it is the first time. There is room.
    fn sight(&mut self, of: Key) -> (&mut Sighting, bool) {
        let known = self.find(of);
        let at = known.unwrap_or(self.sightings.len() as u32);
        if known.is_none() {
            self.sightings.push(Sighting { of, ..Sighting::zeroed() });
            self.by_key.insert(hash(of), at).expect("as many keys as sightings");
        }
        (&mut self.sightings[at as usize], known.is_none())
    }

    /// What the rules of an election say of a ballot, with nothing noted yet.
    #[inline]
    pub(in super::super) fn judge(&self, now: Timestamp, place: u32, voter: VoterId, origin: Origin) -> Judgement {
        let asked = &self.rules[place as usize];
        if asked.election == ElectionId(0) || origin == Origin::default() {
            Judgement::default()
        } else {
            self.judge_by(asked, now, voter, origin)
        }
    }

    #[cold]
    fn judge_by(&self, asked: &SetScreening, now: Timestamp, voter: VoterId, origin: Origin) -> Judgement {
        let mut judged = Judgement { origin, ..Judgement::default() };
        let mut met = |rule: u8, precaution: Precaution| {
            judged.rules |= rule;
            judged.quarantines |= precaution == Precaution::Quarantine;
        };
        let mut missing = 0;
        if let Some(source) = asked.source(origin) {
            let known = self.find(source).map(|at| self.sightings[at as usize]);
            missing += usize::from(known.is_none());
            let known = known.unwrap_or(Sighting::zeroed());
            if asked.period_at(now).is_some_and(|period| known.period == period && known.count >= asked.source_ballots)
            {
                met(rules::SOURCE, asked.source_precaution.get());
            }
            if asked.attempts_max > 0 && known.attempts > asked.attempts_max {
                met(rules::ATTEMPTS, asked.attempts_precaution.get());
            }
        }
        if let Some(device) = asked.device(origin) {
            let known = self.find(device);
            let is_new = self.find(asked.key(VOTER_ON_DEVICE, origin.device, voter)).is_none();
            missing += usize::from(known.is_none()) + usize::from(is_new);
            let voters = known.map_or(0, |at| self.sightings[at as usize].count) + u32::from(is_new);
            if voters > asked.device_voters {
                met(rules::DEVICE, asked.device_precaution.get());
            }
        }
        judged.missing = missing;
        judged
    }

    /// Whether what a ballot makes known finds room.
    #[inline]
    pub(in super::super) fn has_room(&self, judged: Judgement) -> Result<(), Reject> {
        if judged.missing > self.sightings_capacity - self.sightings.len() {
            return Err(Reject::SightingsFull);
        }
        if judged.quarantines && self.held.room() == 0 { Err(Reject::QuarantineFull) } else { Ok(()) }
    }

    /// Notes a ballot that was judged.
    #[inline]
    pub(super) fn note(&mut self, now: Timestamp, place: u32, voter: VoterId, origin: Origin) {
        if origin != Origin::default() {
            self.note_by(self.rules[place as usize], now, voter, origin);
        }
    }

    #[cold]
    fn note_by(&mut self, asked: SetScreening, now: Timestamp, voter: VoterId, origin: Origin) {
        if let Some(source) = asked.source(origin) {
            let (known, _) = self.sight(source);
            if let Some(period) = asked.period_at(now) {
                known.count = if known.period == period { known.count.saturating_add(1) } else { 1 };
                known.period = period;
            }
        }
        if let Some(device) = asked.device(origin) {
            let (_, is_new) = self.sight(asked.key(VOTER_ON_DEVICE, origin.device, voter));
            self.sight(device).0.count += u32::from(is_new);
        }
    }

    /// Notes that a ballot came while its election was not open. Whether its source is now over what it may.
    pub(super) fn note_attempt(&mut self, place: u32, origin: Origin) -> Result<bool, Reject> {
        let asked = self.rules[place as usize];
        let Some(source) = asked.source(origin).filter(|_| asked.attempts_max > 0) else { return Ok(false) };
        let missing = usize::from(self.find(source).is_none());
        self.has_room(Judgement { missing, ..Judgement::default() })?;
        let (known, _) = self.sight(source);
        known.attempts = known.attempts.saturating_add(1);
        Ok(known.attempts - 1 == asked.attempts_max)
    }

    pub(super) fn find_held(&self, election: ElectionId, voter: VoterId) -> Option<u32> {
        let is_it = |at: u32| (self.held[at].election, self.held[at].voter) == (election, voter);
        self.by_voter.get(hash_of_voter(election, voter), is_it)
    }

    /// Puts a ballot into quarantine; there is room, and none of that voter.
    pub(super) fn hold(&mut self, held: Quarantined) {
        let at = self.held.insert(held).expect("there is room");
        self.by_voter.insert(hash_of_voter(held.election, held.voter), at).expect("as many keys as ballots");
    }

    pub(super) fn release(&mut self, election: ElectionId, voter: VoterId) -> Quarantined {
        let at = self.find_held(election, voter).expect("it was found");
        self.by_voter.remove(hash_of_voter(election, voter), at);
        self.held.remove(at)
    }

    /// Ballots in quarantine.
    pub(in super::super) fn held(&self) -> impl Iterator<Item = &Quarantined> {
        self.held.entries().iter().filter(|held| held.receipt != 0)
    }

    pub(in super::super) fn save(&self, sink: &mut impl Sink) {
        let asked = || self.rules.iter().filter(|rules| rules.election != ElectionId(0));
        sink.value(&(asked().count() as u64));
        asked().for_each(|rules| sink.value(rules));
        sink.value(&(self.sightings.len() as u64));
        sink.values(&self.sightings);
        self.held.save(sink);
    }

    /// What [`Screening::save`] wrote; that its elections and ballots are there is checked by [`Votes::read`].
    pub(in super::super) fn load(limits: &VotesLimits, source: &mut impl Source) -> Result<Self, Corrupt> {
        let mut all = Self::new(limits);
        let mut last = 0;
        for _ in 0..source.count(all.rules.len(), "rules of elections")? {
            let asked: SetScreening = source.value()?;
            let ElectionId(election) = asked.election;
            let codes = [asked.source_precaution, asked.device_precaution, asked.attempts_precaution];
            let known = election > last && election as usize <= all.rules.len();
            if !known || !asked.is_sound() || !codes.iter().all(|code| code.is_valid()) {
                return Err(Corrupt("the rules of an election"));
            }
            last = election;
            all.rules[election as usize - 1] = asked;
        }
        let mut voters = 0;
        for _ in 0..source.count(all.sightings_capacity, "sightings")? {
            let known: Sighting = source.value()?;
            let Key { voter, kind, reserved, election, key } = known.of;
            let of_voter = kind == VOTER_ON_DEVICE;
            let sound = match kind {
                SOURCE => true,
                DEVICE => known.count > 0 && (known.period, known.attempts) == (Timestamp(0), 0),
                VOTER_ON_DEVICE => (known.count, known.period, known.attempts) == (0, Timestamp(0), 0),
                _ => false,
            };
            let asked = all.rules.get(election.0.wrapping_sub(1) as usize).is_some_and(|r| r.election == election);
            if !sound || !asked || key == 0 || reserved != 0 || of_voter != (voter.0 != 0) {
                return Err(Corrupt("a sighting"));
            }
            if all.find(known.of).is_some() {
                return Err(Corrupt("a sighting twice"));
            }
            voters += u64::from(of_voter);
            *all.sight(known.of).0 = known;
        }
        let of_devices = all.sightings.iter().filter(|known| known.of.kind == DEVICE);
        if of_devices.map(|known| u64::from(known.count)).sum::<u64>() != voters {
            return Err(Corrupt("the voters of a device"));
        }
        all.held = Slab::load(limits.quarantine as usize, source)?;
        for at in 0..all.held.entries().len() as u32 {
            let held = all.held[at];
            if held == Quarantined::zeroed() {
                continue;
            }
            let known = held.receipt != 0 && held.rules != 0 && held.reserved == [0; 3];
            if !known || all.find_held(held.election, held.voter).is_some() {
                return Err(Corrupt("a ballot in quarantine"));
            }
            all.by_voter.insert(hash_of_voter(held.election, held.voter), at).expect("as many keys as ballots");
        }
        Ok(all)
    }

    /// The elections that have rules.
    pub(in super::super) fn screened(&self) -> impl Iterator<Item = ElectionId> {
        self.rules.iter().map(|rules| rules.election).filter(|election| *election != ElectionId(0))
    }
}

impl Quarantined {
    pub(in super::super) fn voter(&self) -> (ElectionId, VoterId) {
        (self.election, self.voter)
    }

    pub(super) fn flagged(&self, precaution: Precaution) -> BallotFlagged {
        BallotFlagged {
            receipt: Receipt(self.receipt),
            source: self.source,
            device: self.device,
            voter: self.voter,
            rules: self.rules,
            precaution: precaution.into(),
            reserved: Reserved::default(),
        }
    }

    pub(super) const fn of(
        election: ElectionId,
        voter: VoterId,
        origin: Origin,
        rules: u8,
        receipt: u64,
        ballot: u32,
    ) -> Self {
        let Origin { source, device } = origin;
        Self { receipt, source, device, election, voter, ballot, rules, reserved: [0; 3] }
    }
}
