//! Proves that what clients were told is what the log says: every acknowledged command is there, once, with the answer
//! that was given.

use anyhow::ensure;
use ringfence_client::Output;
use ringfence_domains::Domains;
use ringfence_engine::replay::{From, Observer, replay};
use ringfence_engine::{Machine, snapshots};
use ringfence_journal::Disk;
use ringfence_kernel::image::{OUTPUT_HEADER_BYTES, Slot, flag, kind};
use ringfence_kernel::messages::Message as _;
use ringfence_kernel::outbox::image;
use ringfence_kernel::reject::Refusal;
use ringfence_kernel::wire::{self, Notice};
use ringfence_kernel::{ClientId, Code, OutputHeader, Sequence, SessionId, Sink as _, StateHasher};
use std::collections::HashMap;
use std::path::Path;

/// One answer that a client was given.
#[derive(Clone, Copy, Debug)]
pub struct Acknowledged {
    /// Where the command stands in the log.
    pub sequence: Sequence,
    /// The hash of the answer, header fields of the connection left out.
    pub answer: u64,
}

impl Acknowledged {
    /// What `output` acknowledges.
    #[must_use]
    pub fn of(output: &Output<'_>) -> Self {
        Self { sequence: output.header.sequence, answer: answer_hash(&output.header, output.body) }
    }
}

/// The hash of an answer without what differs between the original and its repetition.
fn answer_hash(header: &OutputHeader, body: &[u8]) -> u64 {
    let mut hasher = StateHasher::new();
    hasher.value(&header.kind);
    hasher.value(&header.timestamp);
    hasher.value(&header.message);
    hasher.put(body);
    hasher.finish()
}

/// What a replay says was executed and answered.
#[derive(Debug, Default)]
struct Originals {
    /// Who holds each session.
    clients: HashMap<SessionId, ClientId>,
    /// The answer to each executed command.
    answers: HashMap<Sequence, u64>,
    /// Where each client's request was executed.
    executed: HashMap<(ClientId, u64), Sequence>,
    /// A request that was executed twice.
    twice: Option<(ClientId, u64)>,
    duplicates: u64,
}

impl Observer for Originals {
    fn outputs(&mut self, outputs: &[Slot]) {
        for output in outputs.iter().map(image) {
            let header = OutputHeader::read(output).expect("an output has a header");
            let body = &output[OUTPUT_HEADER_BYTES..];
            match header.kind {
                kind::SESSION => {
                    if let Ok(Notice::LoggedOn(logged_on)) = Notice::decode(header.message, body) {
                        self.clients.insert(logged_on.session, logged_on.client);
                    }
                }
                kind::REPLY | kind::REJECT if header.flags & flag::DUPLICATE != 0 => self.duplicates += 1,
                kind::REPLY | kind::REJECT if !was_not_executed(&header, body) => {
                    let client = self.clients[&header.session];
                    self.answers.insert(header.sequence, answer_hash(&header, body));
                    if self.executed.insert((client, header.request.0), header.sequence).is_some() {
                        self.twice = Some((client, header.request.0));
                    }
                }
                _ => {}
            }
        }
    }

    fn executed(&mut self, _: Sequence, _: u64) {}
}

fn was_not_executed(header: &OutputHeader, body: &[u8]) -> bool {
    let code = match Notice::decode(header.message, body) {
        Ok(Notice::Rejected(rejected)) if header.message.schema == wire::SCHEMA => rejected.code,
        _ => return false,
    };
    [Refusal::NotSequenced, Refusal::TooOld].map(Code::from).contains(&code)
}

/// What was proved.
#[derive(Debug)]
pub struct Proof {
    /// Commands that were executed.
    pub executed: usize,
    /// Answers that clients were given, each found in the log.
    pub acknowledged: usize,
    /// Requests that were sent again and got their original answer.
    pub duplicates: u64,
    /// The state that a replay from frame 0 leads to.
    pub machine: Machine<Domains>,
}

/// Replays the journal in `dir` from frame 0 and checks every acknowledgement against it.
///
/// # Errors
/// Names the first acknowledgement that the log does not bear out.
pub fn check<'a>(dir: &Path, acknowledged: impl Iterator<Item = &'a Acknowledged>) -> anyhow::Result<Proof> {
    let mut originals = Originals::default();
    let replayed = replay::<Domains>(&Disk::handle(), dir, From::Genesis, None, &mut originals)?;
    if let Some((client, request)) = originals.twice {
        anyhow::bail!("request {request} of client {client} was executed twice");
    }
    let mut seen = HashMap::new();
    for acknowledged in acknowledged {
        let sequence = acknowledged.sequence;
        let answer = originals.answers.get(&sequence);
        ensure!(answer.is_some(), "the command acknowledged at {sequence} is not in the log");
        ensure!(answer == Some(&acknowledged.answer), "the command at {sequence} was answered otherwise");
        ensure!(seen.insert(sequence, ()).is_none(), "the command at {sequence} was acknowledged twice");
    }
    Ok(Proof {
        executed: originals.answers.len(),
        acknowledged: seen.len(),
        duplicates: originals.duplicates,
        machine: replayed.machine,
    })
}

/// Checks that the newest snapshot in `dir`, which the engine wrote when it stopped, is the state that `machine`, a
/// replay, leads to.
///
/// # Errors
/// When they differ, or there is no snapshot.
pub fn check_snapshot(dir: &Path, machine: &Machine<Domains>) -> anyhow::Result<()> {
    let saved = snapshots::load_newest::<Domains>(&Disk::handle(), dir)?.machine;
    let saved = saved.ok_or_else(|| anyhow::anyhow!("the engine left no snapshot"))?;
    ensure!(
        (saved.sequence(), saved.state_hash(), saved.chain())
            == (machine.sequence(), machine.state_hash(), machine.chain()),
        "the engine's state at {} is {:016x}, a fresh replay's at {} is {:016x}",
        saved.sequence(),
        saved.state_hash(),
        machine.sequence(),
        machine.state_hash()
    );
    Ok(())
}
