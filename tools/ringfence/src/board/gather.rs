//! A board of a journal: it is replayed, and what concerns the election is kept as it is decided.

use super::Entry;
use crate::describe;
use ringfence_domains::votes::messages::{
    CastOutcome, Command, DefineElection, ElectionId, Event, Mark, Phase, QuarantineEnding, Reply, VoterId,
};
use ringfence_domains::votes::{Votes, topics};
use ringfence_engine::replay::Observer;
use ringfence_kernel::image::{OUTPUT_HEADER_BYTES, Slot, kind};
use ringfence_kernel::messages::Message as _;
use ringfence_kernel::outbox::image as bytes_of;
use ringfence_kernel::workload::CommandImage;
use ringfence_kernel::{ClientId, CommandHeader, Domain as _, OutputHeader, Sequence};
use std::collections::HashMap;

/// Gathers the entries of one election.
#[derive(Debug)]
pub struct Gather {
    election: ElectionId,
    /// Weight and region of each voter of each roll, by number.
    rolls: HashMap<ElectionId, Vec<(u32, u16)>>,
    terms: Option<DefineElection>,
    /// The receipt of each voter's ballot that counts.
    receipts: HashMap<VoterId, u64>,
    /// Receipt and marks of each voter's ballot in quarantine.
    held: HashMap<VoterId, (u64, Vec<(u16, u32)>)>,
    official: bool,
    /// The command that is executed, until it was looked at.
    command: Option<CommandImage>,
    /// What was gathered.
    pub entries: Vec<Entry>,
}

impl Gather {
    /// Of that election.
    #[must_use]
    pub fn new(election: ElectionId) -> Self {
        Self {
            election,
            rolls: HashMap::new(),
            terms: None,
            receipts: HashMap::new(),
            held: HashMap::new(),
            official: false,
            command: None,
            entries: Vec::new(),
        }
    }

    /// What an answer says of the command that it answers.
    fn answered(&mut self, reply: Reply<'_>) {
        let Some(image) = self.command.take() else { return };
        let Ok(command) = Command::decode(image.header().message, image.body()) else { return };
        match (command, reply) {
            (Command::RegisterVoters(register, voters), Reply::VotersRegistered(_)) => {
                let roll = self.rolls.entry(register.election).or_default();
                let first = register.first.0 as usize - 1;
                roll.resize(roll.len().max(first + voters.len()), (0, 0));
                for (known, voter) in roll[first..].iter_mut().zip(voters) {
                    *known = (voter.weight, voter.region);
                }
            }
            (Command::DefineElection(terms), Reply::ElectionDefined(_))
                if terms.election == self.election && self.terms.is_none() =>
            {
                self.terms = Some(*terms);
                let terms = describe::fields(image.header().message, image.body());
                // Where it stands was said before the answer.
                self.entries.insert(0, Entry::Election { terms });
            }
            (Command::DeclareWriteIn(declared), Reply::WriteInDeclared(_)) if declared.election == self.election => {
                self.entries.push(Entry::WriteIn { candidate: declared.candidate.0 });
            }
            (Command::CastBallot(cast, marks), Reply::BallotCast(answer)) if cast.election == self.election => {
                self.cast(cast.voter, said(marks), answer.receipt.0, answer.outcome.get());
            }
            (Command::CastOnline(cast, marks), Reply::BallotCast(answer)) if cast.election == self.election => {
                self.cast(cast.voter, said(Mark::of(marks)), answer.receipt.0, answer.outcome.get());
            }
            (Command::SettleBallot(_), Reply::BallotSettled(settled)) if settled.election == self.election => {
                if let Some((receipt, marks)) = self.held.remove(&settled.voter) {
                    let known = self.receipts.contains_key(&settled.voter);
                    let outcome = if known { CastOutcome::Replaced } else { CastOutcome::Counted };
                    self.cast(settled.voter, marks, receipt, outcome);
                }
            }
            (Command::CastAnonymously(cast, marks), Reply::AnonymousBallotCast(answer))
                if cast.election == self.election && answer.outcome.get() == CastOutcome::Counted =>
            {
                let (receipt, marks) = (answer.receipt.0, said(Mark::of(marks)));
                self.entries.push(Entry::Cast { receipt, weight: 1, region: 0, marks });
            }
            (Command::SpoilBallot(_), Reply::BallotSpoilt(spoilt)) if spoilt.election == self.election => {
                self.receipts.remove(&spoilt.voter);
                self.entries.push(Entry::Spoilt { receipt: spoilt.receipt.0 });
            }
            _ => {}
        }
    }

    fn cast(&mut self, voter: VoterId, marks: Vec<(u16, u32)>, receipt: u64, outcome: CastOutcome) {
        let terms = self.terms.expect("an election is defined before ballots are cast");
        let roll = if terms.roll == ElectionId(0) { self.election } else { terms.roll };
        let (weight, region) = self.rolls[&roll][voter.0 as usize - 1];
        let entry = match outcome {
            CastOutcome::AlreadyCast => return,
            CastOutcome::Quarantined => {
                let known = self.held.insert(voter, (receipt, marks));
                if known.is_none_or(|(known, _)| known != receipt) {
                    self.entries.push(Entry::Held { receipt });
                }
                return;
            }
            CastOutcome::Counted => Entry::Cast { receipt, weight, region, marks },
            CastOutcome::Replaced => Entry::Replaced { receipt, of: self.receipts[&voter], marks },
        };
        self.receipts.insert(voter, receipt);
        self.entries.push(entry);
    }

    fn said(&mut self, header: OutputHeader, event: Event<'_>, body: &[u8]) {
        if header.topic.id() != self.election.0 {
            return;
        }
        match (header.topic.kind(), event) {
            (topics::PHASES, Event::ElectionChanged(changed)) => {
                self.official = changed.phase.get() >= Phase::Closed;
            }
            (topics::SCREENING, Event::QuarantineEnded(ended)) => {
                if ended.ending.get() != QuarantineEnding::Counted {
                    self.held.remove(&ended.voter);
                    self.entries.push(Entry::Rejected { receipt: ended.receipt.0 });
                }
                return;
            }
            // An officer's word comes before the count that is made with it.
            (topics::COUNTS, _) if self.official => self.note_decision(),
            _ => return,
        }
        let template = describe::template_name(header.message).into();
        self.entries.push(Entry::Said { template, body: describe::fields(header.message, body) });
    }

    /// Notes on whom the lot fell, once, when that is why it is counted.
    fn note_decision(&mut self) {
        let Some(image) = &self.command else { return };
        if let Ok(Command::DecideTie(decided)) = Command::decode(image.header().message, image.body())
            && decided.election == self.election
        {
            self.entries.push(Entry::Tie { tie: decided.tie, candidate: decided.candidate.0 });
            self.command = None;
        }
    }
}

fn said(marks: &[Mark]) -> Vec<(u16, u32)> {
    marks.iter().map(|mark| (mark.candidate.0, mark.value)).collect()
}

impl Observer for Gather {
    fn command(&mut self, image: &[u8]) {
        let concerns = CommandHeader::read(image).is_some_and(|header| header.message.schema == Votes::ID.0);
        self.command = concerns.then(|| {
            let mut command = CommandImage::default();
            command.set_bytes(ClientId(1), image);
            command
        });
    }

    fn outputs(&mut self, outputs: &[Slot]) {
        for slot in outputs {
            let bytes = bytes_of(slot);
            let header = OutputHeader::read(bytes).expect("an output has a header");
            if header.message.schema != Votes::ID.0 {
                continue;
            }
            let body = &bytes[OUTPUT_HEADER_BYTES..];
            match header.kind {
                kind::REPLY => {
                    self.answered(Reply::decode(header.message, body).expect("this build made the answer"));
                }
                kind::EVENT => {
                    self.said(header, Event::decode(header.message, body).expect("this build made the event"), body);
                }
                _ => {}
            }
        }
    }

    fn executed(&mut self, _: Sequence, _: u64) {}
}
