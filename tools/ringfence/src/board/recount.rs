//! A board counted again, by an engine that knows nothing else: what it says must be what the board says.

use super::{Board, Entry};
use crate::describe;
use anyhow::{Context as _, bail, ensure};
use bytemuck::pod_read_unaligned;
use ringfence_domains::votes::messages::{
    CandidateId, CastBallot, CastOutcome, Command, CountElection, DecideTie, DeclareWriteIn, DefineElection,
    ElectionId, Event, Mark, Phase, RegisterVoters, Registration, Reply, Secrecy, SetPhase, SpoilBallot, VoterEntry,
    VoterId, VotesLimits,
};
use ringfence_domains::votes::{Votes, topics};
use ringfence_kernel::image::{OUTPUT_HEADER_BYTES, Slot, kind};
use ringfence_kernel::laws::{Harness, Step};
use ringfence_kernel::messages::{Message as _, Reserved};
use ringfence_kernel::outbox::image as bytes_of;
use ringfence_kernel::workload::CommandImage;
use ringfence_kernel::{ClientId, OutputHeader, Timestamp};
use serde_json::{Map, Value};
use std::collections::{HashMap, HashSet, VecDeque};

/// What a recount found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recount {
    /// Ballots that count.
    pub ballots: u64,
    /// Voters on the roll.
    pub roll: u64,
    /// Rows of the official count that were compared.
    pub rows: u64,
}

const ELECTION: ElectionId = ElectionId(1);

/// Counts a board again and compares every row.
///
/// # Errors
/// Names the line at which the board says something else, or that breaks a rule.
pub fn recount(board: &Board) -> anyhow::Result<Recount> {
    let Some(Entry::Election { terms }) = board.entries.first() else { bail!("line 1 does not say the terms") };
    let mut counter = Counter::new(terms, &board.entries)?;
    for (line, entry) in (1..).zip(&board.entries) {
        counter.take(entry).with_context(|| format!("line {line}"))?;
    }
    if counter.held.is_empty() {
        counter.count_if_closed()?;
    }
    ensure!(counter.rows.is_empty(), "the board ends before its count does");
    Ok(counter.found)
}

struct Counter {
    booth: Harness<Votes>,
    image: CommandImage,
    /// Voters, as numbers of their own: each ballot that replaces none is another's.
    voters: HashMap<u64, VoterId>,
    last_voter: u32,
    last_receipt: u64,
    /// What each of them weighs.
    weights: HashMap<VoterId, u64>,
    /// Whether ballots are cast by tokens: each weighs one vote, and there are no more of them than tokens.
    anonymous: bool,
    /// Receipts of ballots in quarantine.
    held: HashSet<u64>,
    /// Whether it is closed and what was settled after that is still to come, before it is counted.
    closes: bool,
    /// Rows that were counted again and not met on the board yet.
    rows: VecDeque<(String, Map<String, Value>)>,
    phase: Phase,
    found: Recount,
}

/// What the engine says to a command.
struct Answer {
    outcome: Option<CastOutcome>,
    declined: Option<String>,
}

impl Counter {
    fn new(terms: &Map<String, Value>, entries: &[Entry]) -> anyhow::Result<Self> {
        let template = describe::command_template("DefineElection");
        let bytes = describe::encode(template, terms).context("line 1")?;
        let terms: DefineElection = pod_read_unaligned(&bytes);
        let cast = entries.iter().filter(|entry| matches!(entry, Entry::Cast { .. })).count() as u32;
        let marks = |entry: &Entry| match entry {
            Entry::Cast { marks, .. } | Entry::Replaced { marks, .. } => Some(marks.len() as u64),
            _ => None,
        };
        let papers = entries.iter().filter_map(marks);
        let limits = VotesLimits {
            elections: 1,
            candidates: terms.candidates.into(),
            voters: u64::from(cast) + 1,
            ballots: papers.clone().count() as u64 + 1,
            marks: papers.sum::<u64>() + 1,
            sums: u64::from(terms.regions.max(1)) * (u64::from(terms.candidates) + 3),
            nullifiers: 1,
            sightings: 1,
            quarantine: 1,
        };
        let mut counter = Self {
            booth: Harness::new(&limits),
            image: CommandImage::default(),
            voters: HashMap::new(),
            weights: HashMap::new(),
            anonymous: terms.secrecy.get() == Secrecy::Anonymous,
            last_voter: 0,
            last_receipt: 0,
            held: HashSet::new(),
            closes: false,
            rows: VecDeque::new(),
            phase: Phase::Draft,
            found: Recount::default(),
        };
        // Whoever votes is registered when the board shows the ballot; phases come when it says so.
        let terms = DefineElection {
            election: ELECTION,
            roll: ElectionId(0),
            registration: Registration::UntilClosed.into(),
            voters: cast + 1,
            opens: Timestamp(0),
            closes: Timestamp(0),
            batch: 0,
            refresh: 0,
            secrecy: Secrecy::Identified.into(),
            ..terms
        };
        counter.command(Command::DefineElection(&terms)).context("line 1")?;
        Ok(counter)
    }

    fn take(&mut self, entry: &Entry) -> anyhow::Result<()> {
        let settles = matches!(entry, Entry::Cast { .. } | Entry::Replaced { .. } | Entry::Rejected { .. });
        if !settles {
            self.count_if_closed()?;
        }
        match entry {
            Entry::Election { .. } => {
                ensure!(self.last_voter == 0 && self.phase == Phase::Draft, "terms a second time")
            }
            Entry::WriteIn { candidate } => {
                let (candidate, reserved) = (CandidateId(*candidate), Reserved::default());
                self.command(Command::DeclareWriteIn(&DeclareWriteIn { election: ELECTION, candidate, reserved }))?;
            }
            Entry::Cast { receipt, weight, region, marks } => {
                ensure!(!self.anonymous || *weight == 1, "an anonymous ballot weighs {weight}");
                self.next_receipt(*receipt)?;
                self.last_voter += 1;
                let voter = VoterId(self.last_voter);
                self.weights.insert(voter, u64::from(*weight));
                let entry = VoterEntry { region: *region, ..VoterEntry::of_weight(*weight) };
                self.command(Command::RegisterVoters(&RegisterVoters { election: ELECTION, first: voter }, &[entry]))?;
                self.vote(*receipt, voter, marks, CastOutcome::Counted)?;
            }
            Entry::Replaced { receipt, of, marks } => {
                self.next_receipt(*receipt)?;
                let voter = self.voters.remove(of).with_context(|| format!("receipt {of} does not count"))?;
                self.vote(*receipt, voter, marks, CastOutcome::Replaced)?;
            }
            Entry::Spoilt { receipt } => {
                let voter = self.voters.remove(receipt).with_context(|| format!("receipt {receipt} does not count"))?;
                self.command(Command::SpoilBallot(&SpoilBallot { election: ELECTION, voter }))?;
            }
            Entry::Held { receipt } => {
                self.next_receipt(*receipt)?;
                self.held.insert(*receipt);
            }
            Entry::Rejected { receipt } => {
                ensure!(self.held.remove(receipt), "receipt {receipt} is not in quarantine");
            }
            Entry::Tie { tie, candidate } => {
                let (tie, candidate) = (*tie, CandidateId(*candidate));
                self.command(Command::DecideTie(&DecideTie { election: ELECTION, tie, candidate }))?;
            }
            Entry::Said { template, body } if template == "ElectionChanged" => self.stand(body)?,
            Entry::Said { template, body } => {
                if self.rows.is_empty() && matches!(self.phase, Phase::Closed | Phase::Certified) {
                    // An officer had it counted once more.
                    let reserved = Reserved::default();
                    self.command(Command::CountElection(&CountElection { election: ELECTION, reserved }))?;
                }
                let row = self.rows.pop_front().context("a row of a count that was not made")?;
                let (said, fields) = &row;
                ensure!(
                    said == template && fields == body,
                    "counted again it is {said} {}",
                    Value::from(fields.clone())
                );
                self.found.rows += 1;
            }
        }
        Ok(())
    }

    /// Counts what is closed, with all that was settled since.
    fn count_if_closed(&mut self) -> anyhow::Result<()> {
        if core::mem::take(&mut self.closes) {
            ensure!(self.held.is_empty(), "{} ballots in quarantine are not settled", self.held.len());
            self.enter(Phase::Closed)?;
        }
        Ok(())
    }

    fn enter(&mut self, phase: Phase) -> anyhow::Result<()> {
        let (phase, reserved) = (phase.into(), Reserved::default());
        self.command(Command::SetPhase(&SetPhase { election: ELECTION, phase, reserved })).map(|_| ())
    }

    /// Receipts are given once, in the order of the log; a ballot that was in quarantine has its own.
    fn next_receipt(&mut self, receipt: u64) -> anyhow::Result<()> {
        if self.held.remove(&receipt) {
            return Ok(());
        }
        ensure!(!self.closes, "receipt {receipt} is given after the close");
        ensure!(receipt > self.last_receipt, "receipt {receipt} is not after {}", self.last_receipt);
        self.last_receipt = receipt;
        Ok(())
    }

    fn vote(
        &mut self,
        receipt: u64,
        voter: VoterId,
        marks: &[(u16, u32)],
        expected: CastOutcome,
    ) -> anyhow::Result<()> {
        let mark = |(candidate, value): &(u16, u32)| {
            let (candidate, reserved) = (CandidateId(*candidate), Reserved::default());
            Mark { value: *value, candidate, reserved }
        };
        let marks = marks.iter().map(mark).collect::<Vec<_>>();
        let answer = self.command(Command::CastBallot(&CastBallot { election: ELECTION, voter }, &marks))?;
        ensure!(answer.outcome == Some(expected), "the ballot is {:?}, not {expected:?}", answer.outcome);
        self.voters.insert(receipt, voter);
        Ok(())
    }

    /// Goes to the phase that the board says, and compares how many ballots count.
    fn stand(&mut self, body: &Map<String, Value>) -> anyhow::Result<()> {
        let number = |name: &str| body.get(name).and_then(Value::as_u64).with_context(|| format!("{name} is missing"));
        let said = body.get("phase").and_then(Value::as_str).unwrap_or_default();
        let phases = [Phase::Draft, Phase::Open, Phase::Closed, Phase::Certified];
        let phase = phases.into_iter().find(|phase| format!("{phase:?}") == said);
        let phase = phase.with_context(|| format!("there is no phase {said:?}"))?;
        if phase != self.phase {
            if (self.phase, phase) == (Phase::Draft, Phase::Closed) {
                // Its window was over before it was opened.
                self.enter(Phase::Open)?;
            }
            (self.phase, self.closes) = (phase, phase == Phase::Closed);
            if !self.closes {
                self.enter(phase)?;
            }
        }
        (self.found.ballots, self.found.roll) = (self.voters.len() as u64, number("registered")?);
        let ballots = number("ballots")?;
        ensure!(ballots == self.found.ballots, "{ballots} ballots count, {} receipts stand", self.found.ballots);
        ensure!(ballots <= self.found.roll, "{ballots} ballots of a roll of {}", self.found.roll);
        let (said, weight) = (number("weight")?, self.voters.values().map(|voter| self.weights[voter]).sum::<u64>());
        ensure!(said == weight, "ballots weigh {said}, receipts that stand {weight}");
        let tokens = number("tokens")?;
        ensure!(!self.anonymous || ballots <= tokens, "{ballots} ballots of {tokens} tokens");
        Ok(())
    }

    /// Has a command decided; fails when it has no effect.
    fn command(&mut self, command: Command<'_>) -> anyhow::Result<Answer> {
        self.image.set(ClientId(1), command);
        let outcome = self.booth.step(&Step::Command(self.image.clone()), Timestamp(1), false);
        if let Some(reject) = outcome.reject {
            bail!("it is refused: {reject:?}");
        }
        let mut answer = Answer { outcome: None, declined: None };
        outcome.outputs.iter().for_each(|slot| self.hear(slot, &mut answer));
        match answer.declined {
            Some(reason) => bail!("it is declined: {reason}"),
            None => Ok(answer),
        }
    }

    fn hear(&mut self, slot: &Slot, answer: &mut Answer) {
        let bytes = bytes_of(slot);
        let header = OutputHeader::read(bytes).expect("an output has a header");
        let body = &bytes[OUTPUT_HEADER_BYTES..];
        if header.kind == kind::EVENT {
            let official = Event::decode(header.message, body).is_ok() && header.topic.kind() == topics::COUNTS;
            if official {
                let fields = describe::fields(header.message, body);
                self.rows.push_back((describe::template_name(header.message).into(), fields));
            }
            return;
        }
        match Reply::decode(header.message, body) {
            Ok(Reply::BallotCast(cast)) => answer.outcome = Some(cast.outcome.get()),
            Ok(Reply::Declined(declined)) => answer.declined = Some(format!("{:?}", declined.reason.get())),
            _ => {}
        }
    }
}
