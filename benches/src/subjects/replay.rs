//! Replay of a journal, and the start of an engine on a large one.
//!
//! Warm: the journal is in the page cache. Cold: the page cache was told to drop it before, as far as the kernel obeys;
//! what a host keeps below the machine stays. Recovery: from the call to start until the answer to a first command.

use crate::load::{Load, unpin};
use crate::noop::NoopOnly;
use crate::subjects::pipeline::{EPOCH, drive, opening, ready};
use crate::subjects::ring::ping;
use ringfence_domains::Domains;
use ringfence_domains::workloads::find;
use ringfence_engine::config::{Durability, EngineConfig, GenesisConfig, JournalConfig, LimitsConfig};
use ringfence_engine::replay::{Blind, From, replay};
use ringfence_engine::snapshots;
use ringfence_engine::start::{Grant, Ready, StartConfig, start};
use ringfence_journal::{Disk, Reader, Writer};
use ringfence_kernel::workload::CommandImage;
use ringfence_kernel::{ClientId, Registry, RequestId, Roles, Sequence, SessionId, Timestamp};
use std::path::Path;
use std::time::Instant;

/// Clients of a journal that is replayed.
const CLIENTS: u32 = 8;
/// Clients of a journal that is recovered: with [`RECOVERY_WINDOW`] replies of 64 bytes each, 250 MB of state.
const RECOVERY_CLIENTS: u32 = 239;
const RECOVERY_WINDOW: u32 = 1 << 14;
/// Commands behind the snapshot that a recovery starts from.
const TAIL: u64 = 1_000_000;
const BATCH: usize = 512;

/// Appends images in batches of [`BATCH`].
struct Appender {
    writer: Writer,
}

impl Appender {
    fn append<'a>(&mut self, images: impl Iterator<Item = &'a CommandImage> + Clone) {
        let bytes = images.clone().map(|image| image.bytes().len()).sum();
        let mut batch = loop {
            match self.writer.begin(bytes).expect("the journal goes on") {
                Some(batch) => break batch,
                None => std::thread::yield_now(),
            }
        };
        let mut count = 0;
        for image in images {
            batch.push(image.bytes());
            count += 1;
        }
        batch.commit(count);
    }

    /// Appends at least `commands` pings, by `clients` in turns.
    fn pings(&mut self, commands: u64, clients: u32) {
        let mut images = vec![ping(); BATCH];
        for first in (0..commands).step_by(BATCH) {
            for (image, request) in images.iter_mut().zip(first + 1..) {
                let session = SessionId(1 + (request % u64::from(clients)) as u32);
                image.stamp(session, RequestId(request), Timestamp(EPOCH.0 + request * 1000));
            }
            self.append(images.iter());
        }
    }
}

fn open(client: u32) -> CommandImage {
    let mut open = opening(ClientId(client));
    open.stamp(SessionId(client), RequestId(0), EPOCH);
    open
}

fn begin<R: Registry>(dir: &Path) -> Appender {
    let engine = EngineConfig::default();
    let journal =
        JournalConfig { directory: dir.into(), level: Durability::Cached, segment_mib: 256, low_water_mib: 8 };
    let genesis = GenesisConfig { topics_max: 65_536, ..GenesisConfig::default() };
    let limits = LimitsConfig::default();
    let grant = |client, domain| Grant { client: ClientId(client), key_version: 1, domain, roles: Roles::ALL };
    let domains = || R::DOMAINS.iter().map(|info| info.id);
    let config = StartConfig {
        engine: &engine,
        journal: &journal,
        genesis: &genesis,
        limits: &limits,
        grants: (1..=CLIENTS).flat_map(|client| domains().map(move |domain| grant(client, domain))).collect(),
        now: EPOCH,
        accept_clock: false,
        build: 0,
    };
    let Ready { writer, mut frames, .. } = start::<R>(&Disk::handle(), &config, |_| {}).expect("the engine starts");
    frames.iter_mut().for_each(|frame| frame.stamp(SessionId(0), RequestId(0), EPOCH));
    for client in 1..=CLIENTS {
        frames.push_back(open(client));
    }
    let mut appender = Appender { writer };
    appender.append(frames.iter());
    appender
}

/// What the page cache holds of a journal when it is replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cache {
    /// All.
    Warm,
    /// Nothing, as far as the kernel obeys.
    Cold,
}

fn timed<R: Registry>(dir: &Path, commands: u64, cache: Cache) -> f64 {
    if cache == Cache::Cold {
        forget(dir).expect("the page cache can be told");
    }
    let begun = Instant::now();
    let replayed = replay::<R>(&Disk::handle(), dir, From::Genesis, None, &mut Blind).expect("it replays");
    assert!(replayed.machine.sequence().0 > commands);
    commands as f64 / begun.elapsed().as_secs_f64()
}

/// Has the page cache drop the files of `dir`.
fn forget(dir: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let file = std::fs::File::open(entry?.path())?;
        file.sync_all()?;
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?;
    }
    Ok(())
}

/// Commands a second of a domain's workload, replayed `runs` times from one journal.
///
/// # Panics
/// When the journal cannot be made.
#[must_use]
pub fn workload(domain: &str, kind: &str, commands: u64, runs: usize, cache: Cache) -> Vec<f64> {
    let dir = tempfile::tempdir().expect("a directory");
    let mut appender = begin::<Domains>(dir.path());
    let mut workload = (find(domain, kind).expect("the workload exists").new)(1, CLIENTS);
    let mut images = vec![CommandImage::default(); BATCH];
    for first in (0..commands).step_by(BATCH) {
        for (image, request) in images.iter_mut().zip(first + 1..) {
            workload.next(image);
            image.stamp(SessionId(image.client.0), RequestId(request), Timestamp(EPOCH.0 + request * 1000));
        }
        appender.append(images.iter());
    }
    appender.writer.close().expect("the journal closes");
    (0..runs).map(|_| timed::<Domains>(dir.path(), commands, cache)).collect()
}

/// Commands a second of the no-op domain, replayed `runs` times from one journal.
///
/// # Panics
/// When the journal cannot be made.
#[must_use]
pub fn noop(commands: u64, runs: usize, cache: Cache) -> Vec<f64> {
    let dir = tempfile::tempdir().expect("a directory");
    let mut appender = begin::<NoopOnly>(dir.path());
    appender.pings(commands, CLIENTS);
    appender.writer.close().expect("the journal closes");
    (0..runs).map(|_| timed::<NoopOnly>(dir.path(), commands, cache)).collect()
}

/// What a start on a large journal took, in seconds.
#[derive(Clone, Copy, Debug)]
pub struct Recovered {
    /// From the call to the first answer.
    pub first_answer: f64,
    /// Of reading and checking the tail behind the snapshot, alone.
    pub tail: f64,
}

/// Starts an engine `runs` times on a journal of `bytes` bytes whose snapshot of 250 MB stands a million commands before
/// its end.
///
/// # Panics
/// When the journal cannot be made.
#[must_use]
pub fn recovery(bytes: u64, runs: usize) -> Vec<Recovered> {
    let dir = tempfile::tempdir().expect("a directory");
    let dir = dir.path();
    let Ready { writer, mut frames, .. } = ready(dir, Durability::Cached, RECOVERY_CLIENTS + 1, RECOVERY_WINDOW, EPOCH);
    frames.iter_mut().for_each(|frame| frame.stamp(SessionId(0), RequestId(0), EPOCH));
    frames.extend((1..=RECOVERY_CLIENTS).map(open));
    let mut appender = Appender { writer };
    appender.append(frames.iter());
    let commands = (bytes / 64).max(2 * TAIL);
    appender.pings(commands, RECOVERY_CLIENTS);
    appender.writer.close().expect("the journal closes");
    let storage = Disk::handle();
    let until = Some(Sequence(commands - TAIL));
    let replayed = replay::<NoopOnly>(&storage, dir, From::Genesis, until, &mut Blind).expect("it replays");
    snapshots::write(&replayed.machine, &storage, dir).expect("a snapshot can be written");
    drop(replayed);
    // Every ping is stamped a microsecond after the one before: a start earlier than the last would be refused.
    let end = Timestamp(EPOCH.0 + (commands + BATCH as u64) * 1000);
    let run = |_| {
        unpin();
        let begun = Instant::now();
        let mut reader = Reader::open(&storage, dir, Sequence(commands - TAIL)).expect("the journal opens");
        while reader.next_batch().expect("it reads").is_some() {}
        let tail = begun.elapsed().as_secs_f64();
        let begun = Instant::now();
        let ready = ready(dir, Durability::Cached, RECOVERY_CLIENTS + 1, RECOVERY_WINDOW, end);
        // Its journal goes on from run to run, each with a client's session of one command.
        let answered = drive_one(ready);
        assert_eq!(answered, 1);
        Recovered { first_answer: begun.elapsed().as_secs_f64(), tail }
    };
    (0..runs).map(run).collect()
}

/// The first command after a start: its client has asked nothing before, or the same.
fn drive_one(ready: Ready<NoopOnly>) -> u64 {
    drive(ready, Durability::Cached, ClientId(RECOVERY_CLIENTS + 1), Load::Closed, 1, 1).answered
}
