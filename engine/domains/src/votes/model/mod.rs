//! The slow twin: maps and lists, every ballot kept as it was cast, every count from the first paper on. Written from
//! `README.md`; it shares messages with the domain, and the draw of a seeded order, and nothing else.

mod count;
mod exclusions;
mod keeping;
mod reporting;
mod screening;
mod tokens;

use super::messages::{
    BallotCast, BallotSpoilt, CandidateCounted, CandidateId, CastBallot, CastOutcome, ChangePolicy, Command,
    CountState, DECISIONS_MAX, DeclineReason, Declined, DefineElection, ElectionChanged, ElectionCounted,
    ElectionDefined, ElectionId, Event, Exclusions, Fault, LastPlacesCounted, Majority, Mark, Method, Phase,
    PhaseChanged, QuarantineEnding, Quota, ROLL_WEIGHT_MAX, Receipt, Registration, Reject, Reply, Results, Secrecy,
    StageCounted, Standing, Tally, TieBreak, TieFound, Until, VoterEntry, VoterId, VotersRegistered, VotesLimits,
    WEIGHT_MAX, WriteInDeclared,
};
use super::{Votes, topics};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use count::Count;
use reporting::Region;
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::{Context, Out, SessionChange, Timestamp};
use screening::{Origin, Screening};

/// What a paper says: candidates by number, with points.
type Paper = Vec<(u16, u64)>;

#[derive(Clone, Debug)]
struct Voter {
    weight: u64,
    region: u16,
}

#[derive(Clone, Debug)]
struct Election {
    terms: DefineElection,
    roll: BTreeMap<u32, Voter>,
    /// Receipt and paper of who has voted.
    cast: BTreeMap<u32, (u64, Paper)>,
    /// The fingerprint of each voter's token, and receipt and paper of each token that cast a ballot.
    tokens: BTreeMap<u32, u64>,
    spent: BTreeMap<[u8; 32], (u64, Paper)>,
    screening: Screening,
    regions: BTreeMap<u16, Region>,
    /// When what changed is released.
    refreshes: Option<Timestamp>,
    phase: Phase,
    count: CountState,
    tied: Vec<u16>,
    decisions: Vec<u16>,
    declared: BTreeSet<u16>,
}

impl Election {
    /// Write-ins whom nobody declared.
    fn undeclared(&self) -> BTreeSet<u16> {
        let last = self.terms.candidates - self.terms.write_ins;
        (last + 1..=self.terms.candidates).filter(|candidate| !self.declared.contains(candidate)).collect()
    }
}

/// The twin of [`Votes`].
#[derive(Debug)]
pub struct Model {
    limits: VotesLimits,
    elections: BTreeMap<u32, Election>,
    receipts: u64,
    /// Everything that was ever said on a paper, as it was first said.
    papers: Vec<(u32, Paper)>,
}

impl ringfence_kernel::laws::Model for Model {
    type Domain = Votes;

    fn new(limits: &VotesLimits) -> Self {
        Self { limits: *limits, elections: BTreeMap::new(), receipts: 0, papers: Vec::new() }
    }

    fn apply(&mut self, context: Context, command: Command<'_>, out: &mut Out<'_, Votes>) -> Result<(), Reject> {
        let id = match command {
            Command::DefineElection(terms) => return self.define(context.now, terms, out),
            Command::RegisterVoters(c, _) => c.election,
            Command::SetPhase(c) => c.election,
            Command::CastBallot(c, _) => c.election,
            Command::CastOnline(c, _) => c.election,
            Command::SetScreening(c) => c.election,
            Command::SettleBallot(c) => c.election,
            Command::IssueToken(c) => c.election,
            Command::CastAnonymously(c, _) => c.election,
            Command::SpoilBallot(c) => c.election,
            Command::CountElection(c) => c.election,
            Command::DecideTie(c) => c.election,
            Command::DeclareWriteIn(c) => c.election,
        };
        if !self.elections.contains_key(&id.0) {
            return Err(Reject::UnknownElection);
        }
        let said = match command {
            Command::DefineElection(_) => None,
            Command::RegisterVoters(c, voters) => self.register(id, c.first, voters, out)?,
            Command::SetPhase(c) => self.set_phase(id, c.phase.get(), out),
            Command::CastBallot(c, marks) => self.cast(context.now, *c, Origin::default(), marks, out)?,
            Command::CastOnline(c, marks) => {
                let cast = CastBallot { election: id, voter: c.voter };
                self.cast(context.now, cast, Origin { source: c.source, device: c.device }, Mark::of(marks), out)?
            }
            Command::SetScreening(c) => self.set_screening(c, out)?,
            Command::SettleBallot(c) => self.settle(context.now, id, c.voter, c.verdict.get(), out),
            Command::IssueToken(c) => self.issue(*c, out)?,
            Command::CastAnonymously(c, marks) => {
                self.cast_anonymously(context.now, id, c.nullifier, Mark::of(marks), out)?
            }
            Command::SpoilBallot(c) => self.spoil(context.now, id, c.voter, out),
            Command::CountElection(_) => self.count_now(id, out),
            Command::DecideTie(c) => self.decide(id, c.tie, c.candidate, out)?,
            Command::DeclareWriteIn(c) => self.declare(id, c.candidate, out),
        };
        if let Some((voter, reason)) = said {
            let reserved = Reserved::default();
            out.reply(Reply::Declined(&Declined { election: id, voter, reason: reason.into(), reserved }));
        }
        Ok(())
    }

    fn on_time(&mut self, context: Context, out: &mut Out<'_, Votes>) {
        loop {
            let window = |election: &Election| {
                let DefineElection { opens, closes, .. } = election.terms;
                match election.phase {
                    Phase::Draft if opens.0 > 0 => Some((opens, Phase::Open)),
                    Phase::Draft | Phase::Open if closes.0 > 0 => Some((closes, Phase::Closed)),
                    _ => None,
                }
            };
            let windows = self
                .elections
                .iter()
                .filter_map(|(id, election)| window(election).map(|(at, phase)| (at, Some(phase), *id)));
            let releases = self.elections.iter().filter_map(|(id, election)| Some((election.refreshes?, None, *id)));
            let due = windows.chain(releases).filter(|(at, ..)| *at <= context.now);
            match due.min_by_key(|(at, phase, id)| (*at, phase.is_none(), *id)) {
                Some((_, Some(phase), id)) => self.enter(ElectionId(id), phase, out),
                Some((_, None, id)) => self.release(id, out),
                None => return,
            }
        }
    }

    fn on_session(&mut self, _: Context, _: SessionChange, _: &mut Out<'_, Votes>) {}
}

type Declining = Option<(VoterId, DeclineReason)>;
const NOBODY: VoterId = VoterId(0);

impl Model {
    /// The roll that an election votes on.
    fn roll_of<'a>(&'a self, election: &'a Election) -> &'a BTreeMap<u32, Voter> {
        match election.terms.roll.0 {
            0 => &election.roll,
            other => &self.elections[&other].roll,
        }
    }

    fn ballots(&self, id: ElectionId) -> Vec<(u64, Paper)> {
        let election = &self.elections[&id.0];
        let roll = self.roll_of(election);
        let identified = election.cast.iter().map(|(number, (_, paper))| (roll[number].weight, paper.clone()));
        identified.chain(election.spent.values().map(|(_, paper)| (1, paper.clone()))).collect()
    }

    fn at(&mut self, id: ElectionId) -> &mut Election {
        self.elections.get_mut(&id.0).expect("it was looked for")
    }

    fn define(&mut self, now: Timestamp, terms: &DefineElection, out: &mut Out<'_, Votes>) -> Result<(), Reject> {
        let id = terms.election;
        if id.0 == 0 || u64::from(id.0) > self.limits.elections {
            return Err(Reject::ElectionsFull);
        }
        match self.elections.get(&id.0) {
            Some(known) if known.terms != *terms => return Err(Reject::ElectionExists),
            Some(_) => {}
            None => {
                let shares = terms.roll.0 == 0
                    || self.elections.get(&terms.roll.0).is_some_and(|other| {
                        let same = (other.terms.voters, other.terms.regions) == (terms.voters, terms.regions);
                        let lighter = terms.secrecy.get() == Secrecy::Anonymous;
                        let heavier = other.terms.secrecy.get() == Secrecy::Identified;
                        same && !(lighter && heavier)
                            && other.terms.roll.0 == 0
                            && terms.registration.get() == Registration::UntilClosed
                    });
                if !makes_sense(now, terms) || !shares {
                    return Err(Reject::BadTerms);
                }
                let sum = |of: fn(&DefineElection) -> u64| -> u64 {
                    self.elections.values().map(|election| of(&election.terms)).sum::<u64>() + of(terms)
                };
                if sum(|terms| terms.voters.into()) > self.limits.voters {
                    return Err(Reject::VotersFull);
                }
                if sum(|terms| terms.candidates.into()) > self.limits.candidates {
                    return Err(Reject::CandidatesFull);
                }
                if sum(|terms| u64::from(terms.regions.max(1)) * (u64::from(terms.candidates) + 3)) > self.limits.sums {
                    return Err(Reject::SumsFull);
                }
                let (phase, count) = (Phase::Draft, CountState::NotCounted);
                let (roll, tied, decisions) = (BTreeMap::new(), Vec::new(), Vec::new());
                let declared = BTreeSet::new();
                let (cast, refreshes) = (BTreeMap::new(), None);
                let regions = (terms.regions.min(1)..=terms.regions).map(|region| (region, Region::empty(terms)));
                let regions = regions.collect();
                let terms = *terms;
                let (tokens, spent) = (BTreeMap::new(), BTreeMap::new());
                let screening = Screening::default();
                let known = Election {
                    tokens,
                    spent,
                    screening,
                    terms,
                    roll,
                    cast,
                    regions,
                    refreshes,
                    phase,
                    count,
                    tied,
                    decisions,
                    declared,
                };
                self.elections.insert(id.0, known);
                self.say_changed(id, out);
            }
        }
        out.reply(Reply::ElectionDefined(&ElectionDefined { election: id, reserved: Reserved::default() }));
        Ok(())
    }

    fn register(
        &mut self,
        id: ElectionId,
        first: VoterId,
        list: &[VoterEntry],
        out: &mut Out<'_, Votes>,
    ) -> Result<Declining, Reject> {
        let election = self.at(id);
        let until =
            if election.terms.registration.get() == Registration::UntilOpen { Phase::Open } else { Phase::Closed };
        if election.phase >= until {
            return Ok(Some((NOBODY, DeclineReason::WrongPhase)));
        }
        if election.terms.roll.0 != 0 {
            return Err(Reject::NoRoll);
        }
        let anonymous = election.terms.secrecy.get() == Secrecy::Anonymous;
        let heaviest = if anonymous { 1 } else { WEIGHT_MAX };
        let last = u64::from(first.0) + list.len() as u64;
        let regions = election.terms.regions.min(1)..=election.terms.regions;
        let sound = list.iter().all(|entry| (1..=heaviest).contains(&entry.weight) && regions.contains(&entry.region));
        if first.0 == 0 || list.is_empty() || last > u64::from(election.terms.voters) + 1 || !sound {
            return Err(Reject::BadRoll);
        }
        let mut roll = election.roll.clone();
        let mut added = 0;
        for (number, entry) in (first.0..).zip(list) {
            let (weight, region) = (u64::from(entry.weight), entry.region);
            match roll.get(&number) {
                Some(known) if (known.weight, known.region) != (weight, region) => return Err(Reject::VoterExists),
                Some(_) => {}
                None => {
                    added += 1;
                    roll.insert(number, Voter { weight, region });
                }
            }
        }
        if roll.values().map(|voter| voter.weight).sum::<u64>() > ROLL_WEIGHT_MAX {
            return Err(Reject::RollTooHeavy);
        }
        election.roll = roll;
        let (registered, reserved) = (election.roll.len() as u32, Reserved::default());
        out.reply(Reply::VotersRegistered(&VotersRegistered { election: id, added, registered, reserved }));
        Ok(None)
    }

    fn set_phase(&mut self, id: ElectionId, phase: Phase, out: &mut Out<'_, Votes>) -> Declining {
        let election = self.at(id);
        let reason = match phase {
            Phase::Open if election.phase == Phase::Draft => None,
            Phase::Closed if election.phase == Phase::Open => None,
            Phase::Certified if election.phase == Phase::Closed => {
                if election.count != CountState::Complete {
                    Some(DeclineReason::NotCounted)
                } else if ((election.cast.len() + election.spent.len()) as u64) < election.terms.quorum {
                    Some(DeclineReason::QuorumNotMet)
                } else {
                    None
                }
            }
            _ => Some(DeclineReason::WrongPhase),
        };
        if let Some(reason) = reason {
            return Some((NOBODY, reason));
        }
        self.enter(id, phase, out);
        let (count, reserved) = (self.at(id).count.into(), Reserved::default());
        out.reply(Reply::PhaseChanged(&PhaseChanged { election: id, phase: phase.into(), count, reserved }));
        None
    }

    fn enter(&mut self, id: ElectionId, phase: Phase, out: &mut Out<'_, Votes>) {
        self.at(id).phase = phase;
        self.say_changed(id, out);
        if phase == Phase::Closed {
            self.at(id).refreshes = None;
            self.count_when_settled(id, out);
        }
    }

    /// Publishes and counts what is closed, unless ballots of it are in quarantine.
    fn count_when_settled(&mut self, id: ElectionId, out: &mut Out<'_, Votes>) {
        if self.at(id).screening.held.is_empty() {
            self.release(id.0, out);
            self.count(id, out);
        }
    }

    fn cast(
        &mut self,
        now: Timestamp,
        CastBallot { election: id, voter: number }: CastBallot,
        origin: Origin,
        marks: &[Mark],
        out: &mut Out<'_, Votes>,
    ) -> Result<Declining, Reject> {
        let election = self.elections[&id.0].clone();
        let Some(voter) = self.roll_of(&election).get(&number.0) else {
            return Ok(Some((number, DeclineReason::NotRegistered)));
        };
        let region = voter.region;
        if election.terms.secrecy.get() == Secrecy::Anonymous {
            return Ok(Some((number, DeclineReason::Anonymous)));
        }
        let changeable = election.phase == Phase::Open && election.terms.changes.get() == ChangePolicy::LastCounts;
        let held = election.screening.held.get(&number.0);
        let (receipt, outcome) = match (election.cast.get(&number.0), held) {
            (_, Some(held)) if !changeable => (held.receipt, CastOutcome::Quarantined),
            (Some((receipt, _)), None) if !changeable => (*receipt, CastOutcome::AlreadyCast),
            _ if election.phase != Phase::Open => {
                self.note_attempt(id, number, origin, out)?;
                return Ok(Some((number, DeclineReason::WrongPhase)));
            }
            (known, held) => {
                let paper = read(&election.terms, marks)?;
                let repeats =
                    known.is_some_and(|(_, before)| *before == paper) || held.is_some_and(|held| held.paper == paper);
                let screened = self.screened(now, id, number, origin);
                if !repeats {
                    screened.as_ref().map_err(|full| *full)?;
                }
                self.keep(id, &paper)?;
                if held.is_some_and(|held| held.paper != paper) {
                    self.end_quarantine(id, number, QuarantineEnding::Superseded, out);
                }
                match (known, held) {
                    (_, Some(held)) if held.paper == paper => (held.receipt, CastOutcome::Quarantined),
                    (Some((receipt, before)), _) if *before == paper => (*receipt, CastOutcome::AlreadyCast),
                    (known, _) => {
                        let screened = screened?;
                        self.receipts += 1;
                        let receipt = self.receipts;
                        if self.screen(id, number, origin, screened, &paper, out) {
                            (receipt, CastOutcome::Quarantined)
                        } else {
                            self.at(id).cast.insert(number.0, (receipt, paper));
                            let outcome = if known.is_some() { CastOutcome::Replaced } else { CastOutcome::Counted };
                            (receipt, outcome)
                        }
                    }
                }
            }
        };
        let counts = matches!(outcome, CastOutcome::Counted | CastOutcome::Replaced);
        let (receipt, outcome, reserved) = (Receipt(receipt), outcome.into(), Reserved::default());
        out.reply(Reply::BallotCast(&BallotCast { receipt, election: id, voter: number, outcome, reserved }));
        if counts {
            self.changed(id.0, region, now, out);
        }
        Ok(None)
    }

    /// Keeps what a paper says, when there is room for what nobody said before.
    fn keep(&mut self, id: ElectionId, paper: &Paper) -> Result<(), Reject> {
        let marks_held: usize = self.papers.iter().map(|(_, paper)| paper.len()).sum();
        let entry = (id.0, paper.clone());
        if self.papers.contains(&entry) {
            return Ok(());
        }
        if self.papers.len() as u64 >= self.limits.ballots || (marks_held + paper.len()) as u64 > self.limits.marks {
            return Err(Reject::BallotsFull);
        }
        self.papers.push(entry);
        Ok(())
    }

    fn spoil(&mut self, now: Timestamp, id: ElectionId, number: VoterId, out: &mut Out<'_, Votes>) -> Declining {
        let election = &self.elections[&id.0];
        let (phase, changes) = (election.phase, election.terms.changes.get());
        let Some(region) = self.roll_of(election).get(&number.0).map(|voter| voter.region) else {
            return Some((number, DeclineReason::NotRegistered));
        };
        if changes != ChangePolicy::SpoilAndRecast {
            return Some((number, DeclineReason::NotSpoilable));
        }
        if phase != Phase::Open {
            return Some((number, DeclineReason::WrongPhase));
        }
        let Some((receipt, _)) = self.at(id).cast.remove(&number.0) else {
            return Some((number, DeclineReason::NoBallot));
        };
        out.reply(Reply::BallotSpoilt(&BallotSpoilt { receipt: Receipt(receipt), election: id, voter: number }));
        self.changed(id.0, region, now, out);
        None
    }

    fn count_now(&mut self, id: ElectionId, out: &mut Out<'_, Votes>) -> Declining {
        let election = self.at(id);
        let reason = match election.phase {
            Phase::Draft => DeclineReason::WrongPhase,
            Phase::Open if election.terms.results.get() == Results::AtClose => DeclineReason::ResultsHidden,
            Phase::Closed if !election.screening.held.is_empty() => DeclineReason::BallotsHeld,
            _ => {
                self.count_and_answer(id, out);
                return None;
            }
        };
        Some((NOBODY, reason))
    }

    fn decide(
        &mut self,
        id: ElectionId,
        tie: u16,
        candidate: CandidateId,
        out: &mut Out<'_, Votes>,
    ) -> Result<Declining, Reject> {
        let election = self.at(id);
        let here = election.count == CountState::Tied && usize::from(tie) == election.decisions.len() + 1;
        if !here || !election.tied.contains(&candidate.0) {
            return Ok(Some((NOBODY, DeclineReason::NoSuchTie)));
        }
        if election.decisions.len() == DECISIONS_MAX {
            return Err(Reject::DecisionsFull);
        }
        election.decisions.push(candidate.0);
        self.count_and_answer(id, out);
        Ok(None)
    }

    fn declare(&mut self, id: ElectionId, candidate: CandidateId, out: &mut Out<'_, Votes>) -> Declining {
        let election = self.at(id);
        let DefineElection { candidates, write_ins, .. } = election.terms;
        if candidate.0 > candidates || candidate.0 <= candidates - write_ins {
            return Some((NOBODY, DeclineReason::NoWriteIn));
        }
        if election.phase > Phase::Open {
            return Some((NOBODY, DeclineReason::WrongPhase));
        }
        election.declared.insert(candidate.0);
        let reserved = Reserved::default();
        out.reply(Reply::WriteInDeclared(&WriteInDeclared { election: id, candidate, reserved }));
        None
    }

    fn count_and_answer(&mut self, id: ElectionId, out: &mut Out<'_, Votes>) {
        let (stages, elected, tie) = self.count(id, out);
        let reserved = Reserved::default();
        out.reply(Reply::ElectionCounted(&ElectionCounted { election: id, stages, elected, tie, reserved }));
    }

    /// Counts, says all of it, and keeps what an official count found.
    fn count(&mut self, id: ElectionId, out: &mut Out<'_, Votes>) -> (u16, u16, u16) {
        let election = &self.elections[&id.0];
        let order = |paper: &Paper| self.papers.iter().position(|(of, known)| *of == id.0 && known == paper);
        let mut ballots = self.ballots(id);
        ballots.sort_by_key(|(_, paper)| order(paper));
        let mut count = Count::of(&election.terms, ballots, election.decisions.clone(), election.undeclared());
        let tied = count.run();
        let election = self.at(id);
        for (stage, table) in (1..).zip(&count.tables) {
            let summary = StageCounted {
                quota: Tally(table.quota),
                exhausted: Tally(table.exhausted),
                residual: Tally(table.residual),
                total: Tally(count.total),
                stage,
                candidate: CandidateId(table.moved),
                action: table.action.into(),
                reserved: Reserved::default(),
            };
            out.publish(topics::COUNTS, id.0, Event::StageCounted(&summary));
            for candidate in 1..=election.terms.candidates {
                let votes = Tally(table.votes[&candidate]);
                let (standing, seats) = (table.standing[&candidate].into(), table.seats(candidate));
                let reserved = Reserved::default();
                let row =
                    CandidateCounted { votes, stage, candidate: CandidateId(candidate), seats, standing, reserved };
                out.publish(topics::COUNTS, id.0, Event::CandidateCounted(&row));
            }
            for (candidate, votes) in table.last_places.iter().flatten() {
                let (votes, candidate, reserved) = (Tally(*votes), CandidateId(*candidate), Reserved::default());
                let row = LastPlacesCounted { votes, stage, candidate, reserved };
                out.publish(topics::COUNTS, id.0, Event::LastPlacesCounted(&row));
            }
        }
        let stages = count.tables.len() as u16;
        let mut tie = 0;
        if let Some((question, candidates)) = &tied {
            tie = count.decisions_used + 1;
            for candidate in candidates {
                let (candidate, question) = (CandidateId(*candidate), (*question).into());
                let found = TieFound { tie, candidate, stage: stages, question, reserved: Reserved::default() };
                out.publish(topics::COUNTS, id.0, Event::TieFound(&found));
            }
        } else {
            for pair in count.pairs() {
                out.publish(topics::COUNTS, id.0, Event::PairCounted(&pair));
            }
        }
        if election.phase >= Phase::Closed {
            election.count = if tied.is_some() { CountState::Tied } else { CountState::Complete };
            election.tied = tied.map(|(_, candidates)| candidates).unwrap_or_default();
            self.say_changed(id, out);
        }
        let last = count.tables.last().expect("there is a first stage");
        (stages, last.standing.values().filter(|standing| **standing == Standing::Elected).count() as u16, tie)
    }

    fn say_changed(&self, id: ElectionId, out: &mut Out<'_, Votes>) {
        let election = &self.elections[&id.0];
        let ballots = self.ballots(id);
        let changed = ElectionChanged {
            ballots: ballots.len() as u64,
            weight: ballots.iter().map(|(weight, _)| weight).sum(),
            election: id,
            registered: self.roll_of(election).len() as u32,
            tokens: election.tokens.len() as u32,
            phase: election.phase.into(),
            count: election.count.into(),
            reserved: Reserved::default(),
        };
        out.publish(topics::PHASES, id.0, Event::ElectionChanged(&changed));
    }
}

fn makes_sense(now: Timestamp, terms: &DefineElection) -> bool {
    let DefineElection { opens, closes, candidates, seats, marks_max, points_max, .. } = *terms;
    let method = terms.method.get();
    let one_seat = matches!(
        method,
        Method::InstantRunoff
            | Method::Copeland
            | Method::Minimax
            | Method::Schulze
            | Method::RankedPairs
            | Method::Coombs
            | Method::Star
    );
    let lists = matches!(method, Method::DHondt | Method::SainteLague | Method::LargestRemainder);
    let has_points = matches!(method, Method::Score | Method::Star);
    let in_range = (1..=254).contains(&candidates) && (1..=if lists { 1_024 } else { candidates }).contains(&seats);
    let marks = (1..=candidates).contains(&marks_max);
    let points = if has_points { (1..=255).contains(&points_max) } else { points_max == 0 };
    let times = [opens, closes].iter().all(|at| at.0 == 0 || *at > now) && (closes.0 == 0 || closes > opens);
    let runoff = method == Method::InstantRunoff;
    let only_exclude = matches!(method, Method::InstantRunoff | Method::Sequential | Method::BottomsUp);
    let whole_or_stv = matches!(method, Method::ScottishStv | Method::WholeBallots);
    let who_stands = if lists { 1 } else { u32::from(seats) };
    let room_for_write_ins = who_stands + u32::from(terms.write_ins) <= candidates.into();
    let ranked = !lists && !has_points && method != Method::Plurality;
    let extras = [
        (terms.exclusions.get() == Exclusions::Batches, only_exclude),
        (terms.majority.get() == Majority::OfFirstStage, runoff),
        (terms.until.get() == Until::TwoLeft, runoff),
        (terms.quota.get() == Quota::Hare, whole_or_stv || method == Method::LargestRemainder),
        (terms.write_ins > 0, room_for_write_ins),
        (terms.points_total > 0, method == Method::Score),
        (terms.gap_max > 0, ranked && terms.skipped_ranks.get() == Fault::PassOver),
    ];
    let secret = terms.secrecy.get() == Secrecy::Anonymous;
    in_range
        && !(secret && (terms.regions > 0 || terms.changes.get() != ChangePolicy::Never))
        && terms.regions <= 4_095
        && reporting::makes_sense(terms)
        && marks
        && extras.iter().all(|(asked, allowed)| *allowed || !asked)
        && points
        && times
        && (seats == 1 || !one_seat)
        && (marks_max == 1 || !lists)
        && terms.voters > 0
        && (terms.seed == 0 || terms.tie_break.get() == TieBreak::Seeded)
}

/// What a paper says by the rules.
fn read(terms: &DefineElection, marks: &[Mark]) -> Result<Paper, Reject> {
    let method = terms.method.get();
    let lists = matches!(method, Method::DHondt | Method::SainteLague | Method::LargestRemainder);
    let has_points = matches!(method, Method::Score | Method::Star);
    let ranked = !lists && !has_points && method != Method::Plurality;
    if !ranked && marks.len() > terms.marks_max.into() {
        return Err(Reject::TooManyMarks);
    }
    let allowed = match method {
        _ if has_points => 0..=terms.points_max.into(),
        _ if !ranked => 1..=1,
        _ => 1..=terms.marks_max.into(),
    };
    for mark in marks {
        if mark.candidate.0 == 0 || mark.candidate.0 > terms.candidates || !allowed.contains(&mark.value) {
            return Err(Reject::BadMark);
        }
    }
    let mut seen = BTreeSet::new();
    let key = |mark: &Mark| (mark.candidate.0, if ranked { mark.value } else { 0 });
    if !marks.iter().all(|mark| seen.insert(key(mark))) {
        return Err(Reject::DuplicateMark);
    }
    if !ranked {
        let given: BTreeMap<u16, u64> = marks.iter().map(|mark| (mark.candidate.0, mark.value.into())).collect();
        if terms.points_total > 0 && given.values().sum::<u64>() > terms.points_total.into() {
            return Err(Reject::TooManyPoints);
        }
        return Ok(given.into_iter().filter(|(_, points)| *points > 0).collect());
    }
    let mut by_rank = BTreeMap::<u32, Vec<u16>>::new();
    marks.iter().for_each(|mark| by_rank.entry(mark.value).or_default().push(mark.candidate.0));
    let highest = by_rank.keys().max().copied().unwrap_or(0);
    let mut ranking = Vec::<u16>::new();
    let mut skipped = 0;
    for rank in 1..=highest {
        let Some(named) = by_rank.get(&rank) else {
            skipped += 1;
            continue;
        };
        let gap = core::mem::take(&mut skipped);
        let skipping = match terms.skipped_ranks.get() {
            Fault::PassOver if terms.gap_max > 0 && gap > u32::from(terms.gap_max) => Fault::Exhaust,
            fault => fault,
        };
        let duplicate = named.len() == 1 && ranking.contains(&named[0]);
        let faults = [
            (gap > 0, skipping, Reject::SkippedRank),
            (named.len() > 1, terms.overvotes.get(), Reject::Overvote),
            (duplicate, terms.duplicates.get(), Reject::DuplicateMark),
        ];
        for (_, fault, reject) in faults.into_iter().filter(|(found, ..)| *found) {
            match fault {
                Fault::Refuse => return Err(reject),
                Fault::Exhaust => return Ok(as_paper(&ranking)),
                Fault::PassOver => {}
            }
        }
        if named.len() == 1 && !duplicate {
            ranking.push(named[0]);
        }
    }
    Ok(as_paper(&ranking))
}

fn as_paper(ranking: &[u16]) -> Paper {
    ranking.iter().map(|candidate| (*candidate, 0)).collect()
}
