//! The mixer: it checks ballots where they come in, holds them, shuffles them and casts them in a session of its own.

use crate::LINE_BYTES_MAX;
use crate::token::{Checking, Signed};
use anyhow::Context as _;
use ringfence_client::{Client, Output};
use ringfence_domains::votes::messages::{AnonymousMark, CandidateId, CastAnonymously, Command, ElectionId, Reply};
use ringfence_kernel::RequestId;
use ringfence_kernel::image::kind;
use ringfence_kernel::messages::Reserved;
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};
use tracing::warn;

/// How ballots are mixed.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The election.
    pub election: u32,
    /// Ballots that are cast together.
    pub batch: usize,
    /// How long the first of them waits at most.
    pub wait: Duration,
    /// Connections at once; each holds one ballot.
    pub connections: usize,
}

/// What a voter sends.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ballot {
    token: String,
    randomizer: String,
    signature: String,
    marks: Vec<(u16, u32)>,
}

/// What a voter is told.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// The ballot counts.
    Cast {
        /// Its receipt.
        receipt: u64,
        /// `Counted`, or `AlreadyCast` by this token.
        outcome: String,
    },
    /// It does not.
    Refused {
        /// Why.
        refused: String,
    },
}

/// A ballot that was checked, and where its answer goes.
struct Checked {
    nullifier: [u8; 32],
    marks: Vec<AnonymousMark>,
    answer: SyncSender<Answer>,
}

/// Idle connections are closed after this long, so that they do not keep others out.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often the engine's connection is looked at.
const TICK: Duration = Duration::from_millis(20);

/// Mixes until `stop`.
///
/// # Errors
/// When the engine cannot be reached any more; ballots that were not cast are told so.
pub fn serve(
    listener: TcpListener,
    mut client: Client,
    key: Checking,
    settings: Settings,
    stop: &AtomicBool,
) -> anyhow::Result<()> {
    listener.set_nonblocking(true).context("listening")?;
    let (sender, ballots) = sync_channel::<Checked>(settings.connections);
    let (key, open) = (Arc::new(key), Arc::new(AtomicUsize::new(0)));
    let mut gathered = Gathered::default();
    let mut due = None;
    while !stop.load(Ordering::Relaxed) {
        while let Ok((stream, _)) = listener.accept() {
            if open.load(Ordering::Relaxed) >= settings.connections {
                continue;
            }
            open.fetch_add(1, Ordering::Relaxed);
            let (key, sender, count) = (Arc::clone(&key), sender.clone(), Arc::clone(&open));
            std::thread::spawn(move || {
                // A peer that goes away or talks nonsense is its own affair.
                let _ = listen(&stream, &key, settings.election, &sender);
                count.fetch_sub(1, Ordering::Relaxed);
            });
        }
        gathered.take(&ballots, settings.batch)?;
        if !(gathered.waiting.is_empty() && gathered.repeats.is_empty()) && due.is_none() {
            due = Some(Instant::now() + settings.wait);
        }
        if gathered.waiting.len() >= settings.batch || due.is_some_and(|due| due <= Instant::now()) {
            let Gathered { waiting, repeats, met } = &mut gathered;
            shuffle(waiting)?;
            cast(&mut client, settings.election, waiting.drain(..), met)?;
            cast(&mut client, settings.election, repeats.drain(..), met)?;
            due = None;
        }
        // Heartbeats are sent from here.
        client.poll(Duration::ZERO)?;
    }
    client.close()?;
    Ok(())
}

/// Ballots that wait to be cast: one of each token that was not cast before.
#[derive(Default)]
struct Gathered {
    waiting: Vec<Checked>,
    /// Those of tokens that came before, which are cast behind the batch and fill none: with one token said again and again
    /// somebody could have a batch of nobody else's but one.
    repeats: Vec<Checked>,
    /// Tokens that came and were not refused, by nullifier.
    met: HashSet<[u8; 32]>,
}

impl Gathered {
    /// Takes ballots that were checked, until a batch is full or none comes for a moment.
    fn take(&mut self, ballots: &Receiver<Checked>, batch: usize) -> anyhow::Result<()> {
        while self.waiting.len() < batch && self.repeats.len() < batch {
            match ballots.recv_timeout(TICK) {
                Ok(ballot) if self.met.insert(ballot.nullifier) => self.waiting.push(ballot),
                Ok(ballot) => self.repeats.push(ballot),
                Err(RecvTimeoutError::Timeout) => return Ok(()),
                Err(RecvTimeoutError::Disconnected) => anyhow::bail!("the listener is gone"),
            }
        }
        Ok(())
    }
}

/// Puts ballots into an order that the operating system's generator draws, each as likely as any other.
fn shuffle<T>(items: &mut [T]) -> anyhow::Result<()> {
    for last in (1..items.len()).rev() {
        let choices = last as u64 + 1;
        // What is left over above a whole number of turns would favour the first.
        let limit = u64::MAX - u64::MAX % choices;
        let drawn = loop {
            let drawn = getrandom::u64().context("the operating system gives no randomness")?;
            if drawn < limit {
                break drawn % choices;
            }
        };
        items.swap(last, drawn as usize);
    }
    Ok(())
}

/// Casts a batch in the order it is in, and tells everyone what became of the ballot. Who is refused may come again.
fn cast(
    client: &mut Client,
    election: u32,
    batch: impl Iterator<Item = Checked>,
    met: &mut HashSet<[u8; 32]>,
) -> anyhow::Result<()> {
    let mut open = HashMap::<RequestId, ([u8; 32], SyncSender<Answer>)>::new();
    for Checked { nullifier, marks, answer } in batch {
        while client.room() == 0 {
            hear(client, &mut open, met)?;
        }
        let command = CastAnonymously { nullifier, election: ElectionId(election), reserved: Reserved::default() };
        open.insert(client.send(Command::CastAnonymously(&command, &marks))?, (nullifier, answer));
    }
    client.flush()?;
    while !open.is_empty() {
        hear(client, &mut open, met)?;
    }
    Ok(())
}

fn hear(
    client: &mut Client,
    open: &mut HashMap<RequestId, ([u8; 32], SyncSender<Answer>)>,
    met: &mut HashSet<[u8; 32]>,
) -> anyhow::Result<()> {
    let Some(output) = client.poll(TICK)? else { return Ok(()) };
    if let Some((nullifier, waits)) = open.remove(&output.header.request).filter(|_| is_answer(&output)) {
        let refused = |refused: String| Answer::Refused { refused };
        let answer = match output.decode() {
            Ok(Reply::AnonymousBallotCast(cast)) => {
                Answer::Cast { receipt: cast.receipt.0, outcome: format!("{:?}", cast.outcome.get()) }
            }
            Ok(Reply::Declined(declined)) => refused(format!("{:?}", declined.reason.get())),
            _ => refused(format!("{:?}", output.rejected())),
        };
        if let Answer::Refused { .. } = answer {
            met.remove(&nullifier);
        }
        // Who has gone away asks again with the same token.
        let _ = waits.try_send(answer);
    }
    Ok(())
}

fn is_answer(output: &Output<'_>) -> bool {
    matches!(output.header.kind, kind::REPLY | kind::REJECT)
}

/// Takes ballots from one connection, one after another.
fn listen(stream: &TcpStream, key: &Checking, election: u32, ballots: &SyncSender<Checked>) -> anyhow::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let (mut reader, mut writer) = (BufReader::new(stream), stream);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = reader.by_ref().take(LINE_BYTES_MAX as u64).read_until(b'\n', &mut line)?;
        if read == 0 {
            return Ok(());
        }
        let whole = line.last() == Some(&b'\n');
        let answer = match check(&line, key, election) {
            _ if !whole => Answer::Refused { refused: format!("a line has at most {LINE_BYTES_MAX} bytes") },
            Err(error) => Answer::Refused { refused: format!("{error:#}") },
            Ok((nullifier, marks)) => {
                let (answer, waits) = sync_channel(1);
                ballots.send(Checked { nullifier, marks, answer })?;
                // The mixer may stop before it is cast.
                waits.recv().unwrap_or_else(|_| Answer::Refused { refused: "it was not cast: say it again".into() })
            }
        };
        let mut text = serde_json::to_vec(&answer)?;
        text.push(b'\n');
        writer.write_all(&text)?;
        if !whole {
            warn!("a line without an end was refused");
            return Ok(());
        }
    }
}

/// Reads a ballot and checks its signature.
fn check(line: &[u8], key: &Checking, election: u32) -> anyhow::Result<([u8; 32], Vec<AnonymousMark>)> {
    let Ballot { token, randomizer, signature, marks } =
        serde_json::from_slice(line).context("the line is no ballot")?;
    anyhow::ensure!(marks.len() <= 4_000, "{} marks are more than a ballot has", marks.len());
    let nullifier = Signed { token, randomizer, signature }.check(election, key)?;
    let mark =
        |(candidate, value)| AnonymousMark { value, candidate: CandidateId(candidate), reserved: Reserved::default() };
    Ok((nullifier, marks.into_iter().map(mark).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards against a shuffle that leaves ballots where they were, or loses one: of 10,000 shuffles of four each of the 24
    /// orders comes about 417 times, here within eight standard deviations of it.
    #[test]
    fn every_order_is_as_likely() {
        let mut seen = HashMap::<[u8; 4], u32>::new();
        for _ in 0..10_000 {
            let mut items = [1, 2, 3, 4];
            shuffle(&mut items).expect("there is randomness");
            *seen.entry(items).or_default() += 1;
        }
        assert_eq!(seen.len(), 24);
        for (order, times) in seen {
            assert!((257..577).contains(&times), "{order:?} came {times} times");
        }
    }
}
