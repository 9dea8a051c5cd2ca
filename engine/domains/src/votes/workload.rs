//! Seeded commands for benches, laws, fuzzing and simulation.
//!
//! All kinds but one are a [`Flow`]: officers who conduct one election after another, and voters who cast ballots, some
//! of them again, too late, or against the rules.

use super::messages::{
    CandidateId, CastAnonymously, CastBallot, CastOnline, ChangePolicy, Command, CountElection, DecideTie,
    DeclareWriteIn, DefineElection, EarlierStages, ElectionId, Exclusions, Fault, IssueToken, Majority, Mark, Method,
    Phase, Precaution, Quota, RegisterVoters, Registration, Results, Secrecy, SetPhase, SetScreening, SettleBallot,
    SpoilBallot, TieBreak, Until, Verdict, VoterEntry, VoterId,
};
use alloc::boxed::Box;
use alloc::vec::Vec;
use ringfence_kernel::image::COMMAND_HEADER_BYTES;
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::random::Random;
use ringfence_kernel::workload::{CommandImage, Workload, WorkloadKind};
use ringfence_kernel::{ClientId, Timestamp};

/// The kinds of commands. Client 1 prepares the elections.
pub const KINDS: &[WorkloadKind] = &[
    WorkloadKind {
        name: "poll",
        doc: "one poll of five choices and 100,000 voters, of whom the last ballot counts",
        new: |seed, clients| Box::new(Flow::new(seed, clients, POLL)),
    },
    WorkloadKind {
        name: "ranked",
        doc: "one election by single transferable vote: eight candidates, four seats, 100,000 voters who rank up to five",
        new: |seed, clients| Box::new(Flow::new(seed, clients, RANKED)),
    },
    WorkloadKind {
        name: "conducted",
        doc: "small elections by every method from draft to certified, with ties, faulty papers and spoilt ballots",
        new: |seed, clients| Box::new(Flow::new(seed, clients, CONDUCTED)),
    },
    WorkloadKind {
        name: "timed",
        doc: "as conducted, with windows; times assume one command each microsecond from second 1 on",
        new: |seed, clients| Box::new(Flow::new(seed, clients, Mix { timed: true, ..CONDUCTED })),
    },
    WorkloadKind {
        name: "hostile",
        doc: "random values in all fields, edges of every range, malformed and cut bodies",
        new: |seed, clients| Box::new(Hostile::new(seed, clients)),
    },
];

/// What a [`Flow`] is like.
#[derive(Clone, Copy, Debug)]
pub struct Mix {
    /// Elections, one after another; then it begins again with the first, which is over.
    pub elections: u32,
    /// Voters of each at most.
    pub voters: u32,
    /// Commands while an election is open.
    pub steps: u64,
    /// By single transferable vote or as a poll; else by every method in turn.
    pub method: Option<Method>,
    /// Whether elections open and close by themselves.
    pub timed: bool,
}

/// One poll without end.
pub const POLL: Mix =
    Mix { elections: 1, voters: 100_000, steps: u64::MAX, method: Some(Method::Plurality), timed: false };
/// One ranked election without end.
pub const RANKED: Mix = Mix { method: Some(Method::ScottishStv), ..POLL };
/// Small elections, one after another.
pub const CONDUCTED: Mix = Mix { elections: 64, voters: 40, steps: 60, method: None, timed: false };

pub(crate) const METHODS: [Method; 19] = [
    Method::Plurality,
    Method::Score,
    Method::Borda,
    Method::Dowdall,
    Method::InstantRunoff,
    Method::ScottishStv,
    Method::Copeland,
    Method::Minimax,
    Method::Schulze,
    Method::RankedPairs,
    Method::DHondt,
    Method::SainteLague,
    Method::LargestRemainder,
    Method::BottomsUp,
    Method::Sequential,
    Method::Coombs,
    Method::Star,
    Method::Meek,
    Method::WholeBallots,
];
const FAULTS: [Fault; 3] = [Fault::Refuse, Fault::PassOver, Fault::Exhaust];

/// Terms of an election that nothing makes special.
#[must_use]
pub fn terms(election: u32, method: Method, candidates: u16, seats: u16, voters: u32) -> DefineElection {
    DefineElection {
        opens: Timestamp(0),
        closes: Timestamp(0),
        seed: 0,
        quorum: 0,
        election: ElectionId(election),
        voters,
        points_total: 0,
        candidates,
        seats,
        marks_max: if method == Method::Plurality || method.is_of_lists() { 1 } else { candidates },
        points_max: if method.gives_points() { 5 } else { 0 },
        method: method.into(),
        changes: ChangePolicy::LastCounts.into(),
        results: Results::AtClose.into(),
        earlier_stages: EarlierStages::Asked.into(),
        tie_break: TieBreak::Order.into(),
        overvotes: Fault::Refuse.into(),
        skipped_ranks: Fault::Refuse.into(),
        duplicates: Fault::Refuse.into(),
        exclusions: Exclusions::OneByOne.into(),
        majority: Majority::OfContinuing.into(),
        until: Until::Majority.into(),
        gap_max: 0,
        write_ins: 0,
        quota: if method == Method::LargestRemainder { Quota::Hare } else { Quota::Droop }.into(),
        registration: Registration::UntilClosed.into(),
        roll: ElectionId(0),
        regions: 0,
        batch: 0,
        refresh: 0,
        secrecy: Secrecy::Identified.into(),
        reserved: Reserved::default(),
    }
}

/// Rules of an election that ask nothing yet.
#[must_use]
pub fn screening(election: ElectionId, precaution: Precaution) -> SetScreening {
    let (source_precaution, device_precaution, attempts_precaution) =
        (precaution.into(), precaution.into(), precaution.into());
    SetScreening {
        election,
        source_ballots: 0,
        period: 0,
        device_voters: 0,
        attempts_max: 0,
        source_precaution,
        device_precaution,
        attempts_precaution,
        reserved: Reserved::default(),
    }
}

/// Officers and voters.
pub struct Flow {
    mix: Mix,
    random: Random,
    clients: u32,
    terms: DefineElection,
    registered: u32,
    /// Commands for this election after it was prepared; those above `mix.steps` close it.
    step: u64,
    steps: u64,
    voters: Vec<VoterEntry>,
    marks: Vec<Mark>,
    /// Who last cast a ballot online.
    online: VoterId,
}

impl Flow {
    /// The commands of `seed` with that `mix`.
    #[must_use]
    pub fn new(seed: u64, clients: u32, mix: Mix) -> Self {
        Self {
            mix,
            random: Random::new(seed),
            clients: clients.max(1),
            terms: terms(0, Method::Plurality, 1, 1, 0),
            registered: 0,
            step: 0,
            steps: 0,
            voters: Vec::new(),
            marks: Vec::new(),
            online: VoterId(1),
        }
    }

    fn define(&mut self) -> DefineElection {
        let Mix { elections, voters, method, timed, .. } = self.mix;
        let election = self.terms.election.0 % elections + 1;
        let random = &mut self.random;
        if let Some(method) = method {
            let (candidates, seats, marks_max) = if method == Method::Plurality { (5, 1, 1) } else { (8, 4, 5) };
            let base = terms(election, method, candidates, seats, voters);
            return DefineElection { results: Results::Live.into(), marks_max, ..base };
        }
        let method = METHODS[random.below(METHODS.len() as u64) as usize];
        // Mostly few candidates; sometimes more than one flush has events.
        let most = if random.percent(10) { 70 } else { 7 };
        let candidates = 1 + random.below(most) as u16;
        let seats = if method.is_single() { 1 } else { 1 + random.below(candidates.min(4).into()) as u16 };
        let seats = if method.is_of_lists() { 1 + random.below(12) as u16 } else { seats };
        let base = terms(election, method, candidates, seats, 1 + random.below(voters.into()) as u32);
        // Another question to the voters of the election before.
        let shares = self.terms.voters > 0 && self.terms.roll == ElectionId(0) && random.percent(30);
        let (roll, voters, regions) = match shares {
            true => (self.terms.election, self.terms.voters, self.terms.regions),
            false => (ElectionId(0), base.voters, random.below(7).saturating_sub(3) as u16),
        };
        let secret = random.percent(25) && (!shares || self.terms.secrecy.get() == Secrecy::Anonymous);
        let regions = if secret && !shares { 0 } else { regions };
        let live = random.percent(50);
        let wait = if random.percent(40) { 1 + random.below(6) as u16 } else { 0 };
        let tie_break = [TieBreak::Officer, TieBreak::Order, TieBreak::Seeded][random.below(3) as usize];
        let mut fault = || FAULTS[random.below(3) as usize].into();
        let (overvotes, skipped_ranks, duplicates) = (fault(), fault(), fault());
        let runoff = method == Method::InstantRunoff;
        let passes = method.is_ranked() && skipped_ranks == Fault::PassOver.into();
        let now = 1_000_000_000 + self.steps * 1_000;
        let mut window = |from: u64, least: u64| match timed && random.percent(75) {
            true => Timestamp(from + (least + random.below(60)) * 1_000),
            false => Timestamp(0),
        };
        let (opens, closes) = (window(now, 1), window(now + 61_000, 1));
        DefineElection {
            opens,
            closes,
            seed: if tie_break == TieBreak::Seeded { random.next() } else { 0 },
            quorum: random.below(12),
            points_total: if method == Method::Score && random.percent(50) { 6 } else { 0 },
            marks_max: if method.is_of_lists() { 1 } else { 1 + random.below(candidates.into()) as u16 },
            changes: [ChangePolicy::Never, ChangePolicy::LastCounts, ChangePolicy::SpoilAndRecast]
                [if secret { 0 } else { random.below(3) as usize }]
            .into(),
            secrecy: if secret { Secrecy::Anonymous } else { Secrecy::Identified }.into(),
            results: if live { Results::Live } else { Results::AtClose }.into(),
            batch: if live || wait == 0 { 0 } else { 1 + wait },
            refresh: if live { 3 * u32::from(wait) } else { 0 },
            registration: if roll == ElectionId(0) && random.percent(30) {
                Registration::UntilOpen
            } else {
                Registration::UntilClosed
            }
            .into(),
            roll,
            voters,
            regions,
            earlier_stages: if random.percent(70) { EarlierStages::Asked } else { EarlierStages::Ignored }.into(),
            tie_break: tie_break.into(),
            overvotes,
            skipped_ranks,
            duplicates,
            exclusions: if method.excludes() && random.percent(50) {
                Exclusions::Batches
            } else {
                Exclusions::OneByOne
            }
            .into(),
            majority: if runoff && random.percent(30) { Majority::OfFirstStage } else { Majority::OfContinuing }.into(),
            until: if runoff && random.percent(30) { Until::TwoLeft } else { Until::Majority }.into(),
            gap_max: if passes && random.percent(50) { 1 } else { 0 },
            write_ins: if random.percent(40) {
                let who_stand = if method.is_of_lists() { 1 } else { seats };
                random.below(u64::from(candidates - who_stand) + 1) as u16
            } else {
                0
            },
            quota: if method.has_quota() && random.percent(50) { Quota::Hare } else { Quota::Droop }.into(),
            ..base
        }
    }

    fn register(&mut self, image: &mut CommandImage) {
        let first = self.registered + 1;
        let count = (self.terms.voters - self.registered).min(4_000);
        self.voters.clear();
        for _ in 0..count {
            let weighs = self.mix.method.is_none() && self.terms.secrecy.get() == Secrecy::Identified;
            let weight = if weighs && self.random.percent(10) { 3 } else { 1 };
            let region = self.random.below(u64::from(self.terms.regions).max(1)) as u16 + self.terms.regions.min(1);
            self.voters.push(VoterEntry { region, ..VoterEntry::of_weight(weight) });
        }
        self.registered += count;
        let register = RegisterVoters { election: self.terms.election, first: VoterId(first) };
        image.set(ClientId(1), Command::RegisterVoters(&register, &self.voters));
    }

    fn cast(&mut self, image: &mut CommandImage) {
        let random = &mut self.random;
        let DefineElection { election, candidates, marks_max, points_max, .. } = self.terms;
        self.marks.clear();
        let ranked = self.terms.method.get().is_ranked();
        let faulty = self.mix.method.is_none() && random.percent(15);
        let count = random.below(u64::from(marks_max) + 1).max(u64::from(!faulty).min(random.below(20)));
        for rank in 1..=count as u32 {
            // The first are favourites.
            let favourite = |random: &mut Random| random.below(candidates.into()).min(random.below(candidates.into()));
            let mut candidate = CandidateId(1 + favourite(random) as u16);
            let mut tries = 0;
            while !faulty && self.marks.iter().any(|mark| mark.candidate == candidate) && tries < 600 {
                candidate = CandidateId(1 + (candidate.0 % candidates));
                tries += 1;
            }
            let value = match () {
                () if ranked && faulty => 1 + random.below(marks_max.into()) as u32,
                () if ranked => rank,
                () => (random.below(u64::from(points_max) + 1) as u32).max(1),
            };
            self.marks.push(Mark { value, candidate, reserved: Reserved::default() });
        }
        let client = ClientId(1 + random.below(self.clients.into()) as u32);
        let voter = VoterId(1 + random.below(u64::from(self.terms.voters) + u64::from(faulty)) as u32);
        // Now and then a ballot or a token of the wrong kind of election.
        let secret =
            (self.terms.secrecy.get() == Secrecy::Anonymous) != (self.mix.method.is_none() && random.percent(3));
        if !secret && self.mix.method.is_none() && random.percent(40) {
            let (source, device) = (random.below(4), random.below(5));
            let cast = CastOnline { source, device, election, voter };
            self.online = voter;
            return image.set(client, Command::CastOnline(&cast, bytemuck::must_cast_slice(&self.marks)));
        }
        if !secret {
            return image.set(client, Command::CastBallot(&CastBallot { election, voter }, &self.marks));
        }
        if random.percent(50) {
            let blinded = 1 + random.below(3);
            return image.set(client, Command::IssueToken(&IssueToken { blinded, election, voter }));
        }
        let nullifier = [random.below(64) as u8; 32];
        let cast = CastAnonymously { nullifier, election, reserved: Reserved::default() };
        let marks = bytemuck::must_cast_slice(&self.marks);
        image.set(client, Command::CastAnonymously(&cast, marks));
    }

    fn conduct(&mut self, image: &mut CommandImage) {
        let DefineElection { election, candidates, .. } = self.terms;
        let phase = |phase: Phase| SetPhase { election, phase: phase.into(), reserved: Reserved::default() };
        let after = self.step.saturating_sub(self.mix.steps);
        match after {
            0 if self.step == 1 && self.mix.method.is_none() && self.random.percent(30) => self.screen(image),
            0 if self.step <= 2 => image.set(ClientId(1), Command::SetPhase(&phase(Phase::Open))),
            0 if self.mix.method.is_none() && self.random.percent(3) => {
                let count = CountElection { election, reserved: Reserved::default() };
                image.set(ClientId(1), Command::CountElection(&count));
            }
            0 if self.mix.method.is_none() && self.random.percent(1) => {
                let candidate = CandidateId(candidates - self.random.below(3).min(u64::from(candidates - 1)) as u16);
                let declare = DeclareWriteIn { election, candidate, reserved: Reserved::default() };
                image.set(ClientId(1), Command::DeclareWriteIn(&declare));
            }
            0 if self.mix.method.is_none() && self.random.percent(1) => {
                let first = VoterId(1 + self.random.below(self.terms.voters.into()) as u32);
                let late = [VoterEntry { region: self.terms.regions, ..VoterEntry::of_weight(1) }];
                image.set(ClientId(1), Command::RegisterVoters(&RegisterVoters { election, first }, &late));
            }
            0 if self.mix.method.is_none() && self.random.percent(8) => {
                let voter = VoterId(1 + self.random.below(self.terms.voters.into()) as u32);
                image.set(ClientId(1), Command::SpoilBallot(&SpoilBallot { election, voter }));
            }
            0 if self.mix.method.is_none() && self.random.percent(12) => self.settle(image),
            0 => self.cast(image),
            1 => image.set(ClientId(1), Command::SetPhase(&phase(Phase::Closed))),
            // Whose ballots are in quarantine nobody tells, nor which tie it is: some guesses are right.
            2..12 if self.random.percent(50) => self.settle(image),
            2..12 => {
                let tie = 1 + self.random.below(3) as u16;
                let candidate = CandidateId(1 + self.random.below(candidates.into()) as u16);
                image.set(ClientId(1), Command::DecideTie(&DecideTie { election, tie, candidate }));
            }
            12 => image.set(ClientId(1), Command::SetPhase(&phase(Phase::Certified))),
            13..17 => self.settle(image),
            _ => self.cast(image),
        }
    }
}

impl Flow {
    /// Rules, of which most ballots meet some.
    fn screen(&mut self, image: &mut CommandImage) {
        let random = &mut self.random;
        let mut precaution = || [Precaution::Flag, Precaution::Quarantine][random.below(2) as usize].into();
        let (source_precaution, device_precaution, attempts_precaution) = (precaution(), precaution(), precaution());
        let source_ballots = random.below(4) as u32;
        let screening = SetScreening {
            source_ballots,
            period: if source_ballots > 0 { 1 + random.below(30) as u32 } else { 0 },
            device_voters: random.below(4) as u32,
            attempts_max: random.below(3) as u32,
            source_precaution,
            device_precaution,
            attempts_precaution,
            ..self::screening(self.terms.election, Precaution::Flag)
        };
        image.set(ClientId(1), Command::SetScreening(&screening));
    }

    /// A guess at whose ballot is in quarantine.
    fn settle(&mut self, image: &mut CommandImage) {
        let (election, voters) = (self.terms.election, u64::from(self.terms.voters));
        let voter = if self.random.percent(50) { self.online } else { VoterId(1 + self.random.below(voters) as u32) };
        let verdict = if self.random.percent(50) { Verdict::Count } else { Verdict::Reject }.into();
        let settle = SettleBallot { election, voter, verdict, reserved: Reserved::default() };
        image.set(ClientId(1), Command::SettleBallot(&settle));
    }
}

impl Workload for Flow {
    fn next(&mut self, image: &mut CommandImage) {
        self.steps += 1;
        let done = self.step > self.mix.steps.saturating_add(18);
        if self.terms.voters == 0 || done {
            self.terms = self.define();
            (self.registered, self.step) = (0, 0);
            image.set(ClientId(1), Command::DefineElection(&self.terms));
        } else if self.registered < self.terms.voters && self.terms.roll == ElectionId(0) {
            self.register(image);
        } else {
            self.step += 1;
            self.conduct(image);
        }
    }
}

/// Whatever a client could send: edges of ranges, and bodies that are no messages.
struct Hostile {
    random: Random,
    clients: u32,
}

impl Hostile {
    fn new(seed: u64, clients: u32) -> Self {
        Self { random: Random::new(seed), clients: clients.max(1) }
    }

    fn number(&mut self, usual: u64) -> u64 {
        match self.random.below(24) {
            0 => 0,
            1 => u64::MAX,
            2 => self.random.next(),
            3 => 254 + self.random.below(2),
            _ => 1 + self.random.below(usual),
        }
    }

    fn command(&mut self, client: ClientId, image: &mut CommandImage) {
        let election = ElectionId(self.number(5) as u32);
        let voter = VoterId(self.number(8) as u32);
        match self.random.below(14) {
            0 => {
                let method = METHODS[self.random.below(METHODS.len() as u64) as usize];
                let (candidates, seats) = (self.number(5) as u16, self.number(2) as u16);
                let mut define = terms(election.0, method, candidates, seats, self.number(8) as u32);
                if self.random.percent(30) {
                    (define.closes, define.seed) = (Timestamp(self.number(1 << 31)), self.number(3));
                    (define.points_max, define.marks_max) = (self.number(9) as u16, self.number(4) as u16);
                }
                if self.random.percent(40) {
                    (define.roll, define.regions) = (ElectionId(self.number(5) as u32), self.number(3) as u16);
                    (define.batch, define.refresh) = (self.number(3) as u16, self.number(3) as u32);
                }
                if self.random.percent(40) {
                    define.secrecy = Secrecy::Anonymous.into();
                    define.changes = ChangePolicy::Never.into();
                }
                if self.random.percent(20) {
                    define.write_ins = self.number(2) as u16;
                }
                if self.random.percent(50) {
                    define.tie_break = TieBreak::Officer.into();
                    define.changes = ChangePolicy::SpoilAndRecast.into();
                    define.results = Results::Live.into();
                }
                image.set(client, Command::DefineElection(&define));
            }
            1..=2 => {
                let list: Vec<_> = (0..self.random.below(9))
                    .map(|_| VoterEntry {
                        region: (self.number(2) as u16).wrapping_sub(1),
                        ..VoterEntry::of_weight(self.number(3) as u32)
                    })
                    .collect();
                image.set(client, Command::RegisterVoters(&RegisterVoters { election, first: voter }, &list));
            }
            3..=4 => {
                let phase = [Phase::Draft, Phase::Open, Phase::Open, Phase::Closed, Phase::Certified];
                let phase = phase[self.random.below(5) as usize].into();
                image.set(client, Command::SetPhase(&SetPhase { election, phase, reserved: Reserved::default() }));
            }
            5 if self.random.percent(60) => {
                let (blinded, nullifier) = (self.number(3), [self.number(9) as u8; 32]);
                let reserved = Reserved::default();
                if self.random.percent(50) {
                    image.set(client, Command::IssueToken(&IssueToken { blinded, election, voter }));
                } else {
                    let cast = CastAnonymously { nullifier, election, reserved };
                    image.set(client, Command::CastAnonymously(&cast, &[]));
                }
            }
            5 if self.random.percent(40) => {
                let precaution = if self.random.percent(70) { Precaution::Quarantine } else { Precaution::Flag };
                let screening = SetScreening {
                    source_ballots: self.number(2) as u32,
                    period: self.number(9) as u32,
                    device_voters: self.number(2) as u32,
                    attempts_max: self.number(2) as u32,
                    ..screening(election, precaution)
                };
                image.set(client, Command::SetScreening(&screening));
            }
            5 if self.random.percent(50) => {
                let verdict = if self.random.percent(50) { Verdict::Count } else { Verdict::Reject }.into();
                let settle = SettleBallot { election, voter, verdict, reserved: Reserved::default() };
                image.set(client, Command::SettleBallot(&settle));
            }
            8 | 9 => {
                let (source, device) = (self.number(3), self.number(3));
                let cast = CastOnline { source, device, election, voter };
                image.set(client, Command::CastOnline(&cast, &[]));
            }
            5 => image.set(client, Command::SpoilBallot(&SpoilBallot { election, voter })),
            6 => {
                image.set(client, Command::CountElection(&CountElection { election, reserved: Reserved::default() }));
            }
            7 if self.random.percent(30) => {
                let declare = DeclareWriteIn {
                    election,
                    candidate: CandidateId(self.number(5) as u16),
                    reserved: Reserved::default(),
                };
                image.set(client, Command::DeclareWriteIn(&declare));
            }
            7 => {
                let (tie, candidate) = (self.number(2) as u16, CandidateId(self.number(5) as u16));
                image.set(client, Command::DecideTie(&DecideTie { election, tie, candidate }));
            }
            _ => {
                let marks: Vec<_> = (1..=self.random.below(5))
                    .map(|rank| {
                        let value = if self.random.percent(80) { rank as u32 } else { self.number(3) as u32 };
                        let candidate = CandidateId(self.number(5) as u16);
                        Mark { value, candidate, reserved: Reserved::default() }
                    })
                    .collect();
                image.set(client, Command::CastBallot(&CastBallot { election, voter }, &marks));
            }
        }
    }
}

impl Workload for Hostile {
    fn next(&mut self, image: &mut CommandImage) {
        let client = ClientId(1 + self.random.below(self.clients.into()) as u32);
        self.command(client, image);
        if self.random.percent(85) {
            return;
        }
        // Break it: flip a bit of the message header or the body, or cut it.
        let mut bytes = image.bytes().to_vec();
        if self.random.percent(25) {
            bytes.truncate(COMMAND_HEADER_BYTES + 8 * self.random.below(4) as usize);
        } else {
            let from = COMMAND_HEADER_BYTES - size_of::<ringfence_kernel::MessageHeader>();
            let at = from + self.random.below((bytes.len() - from) as u64) as usize;
            bytes[at] ^= 1 << self.random.below(8);
        }
        image.set_bytes(client, &bytes);
    }
}
