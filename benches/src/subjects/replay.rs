//! Replay of a journal that is in the page cache.
//!
//! Excluded: reading from the device.

use crate::noop::NoopOnly;
use crate::subjects::ring::ping;
use ringfence_domains::Domains;
use ringfence_domains::workloads::find;
use ringfence_engine::config::{Durability, EngineConfig, GenesisConfig, JournalConfig, LimitsConfig};
use ringfence_engine::replay::{Blind, From, replay};
use ringfence_engine::start::{Grant, Ready, StartConfig, start};
use ringfence_journal::{Disk, Writer};
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::system::{Frame, SessionOpened};
use ringfence_kernel::wire::PROTOCOL;
use ringfence_kernel::workload::CommandImage;
use ringfence_kernel::{ClientId, Registry, RequestId, Roles, SessionId, Timestamp};
use std::path::Path;
use std::time::Instant;

const EPOCH: u64 = 1_800_000_000_000_000_000;
const CLIENTS: u32 = 8;
const BATCH: usize = 512;

/// Appends images in batches of [`BATCH`].
struct Appender {
    writer: Writer,
}

impl Appender {
    fn append<'a>(&mut self, images: impl Iterator<Item = &'a CommandImage>) {
        let mut batch = loop {
            match self.writer.begin(1 << 18).expect("the journal goes on") {
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
}

fn begin<R: Registry>(dir: &Path) -> Appender {
    let engine = EngineConfig::default();
    let journal =
        JournalConfig { directory: dir.into(), level: Durability::Cached, segment_mib: 256, low_water_mib: 8 };
    let genesis = GenesisConfig { topics_max: 65_536, ..GenesisConfig::default() };
    let limits = LimitsConfig::default();
    let domain = R::DOMAINS[0].id;
    let grant = |client| Grant { client: ClientId(client), key_version: 1, domain, roles: Roles::ALL };
    let config = StartConfig {
        engine: &engine,
        journal: &journal,
        genesis: &genesis,
        limits: &limits,
        grants: (1..=CLIENTS).map(grant).collect(),
        now: Timestamp(EPOCH),
        accept_clock: false,
        build: 0,
    };
    let Ready { writer, mut frames, .. } = start::<R>(&Disk::handle(), &config, |_| {}).expect("the engine starts");
    frames.iter_mut().for_each(|frame| frame.stamp(SessionId(0), RequestId(0), Timestamp(EPOCH)));
    for client in 1..=CLIENTS {
        let mut open = CommandImage::default();
        let opened = SessionOpened { client: ClientId(client), protocol: PROTOCOL, reserved: Reserved::default() };
        open.set(ClientId(0), Frame::SessionOpened(&opened));
        open.stamp(SessionId(client), RequestId(0), Timestamp(EPOCH));
        frames.push_back(open);
    }
    let mut appender = Appender { writer };
    appender.append(frames.iter());
    appender
}

fn timed<R: Registry>(dir: &Path, commands: u64) -> f64 {
    let begun = Instant::now();
    let replayed = replay::<R>(&Disk::handle(), dir, From::Genesis, None, &mut Blind).expect("it replays");
    assert!(replayed.machine.sequence().0 > commands);
    commands as f64 / begun.elapsed().as_secs_f64()
}

/// Commands a second of the matching workload `normal`, replayed `runs` times from one journal.
///
/// # Panics
/// When the journal cannot be made.
#[must_use]
pub fn matching(commands: u64, runs: usize) -> Vec<f64> {
    let dir = tempfile::tempdir().expect("a directory");
    let mut appender = begin::<Domains>(dir.path());
    let mut workload = (find("matching", "normal").expect("the workload exists").new)(1, CLIENTS);
    let mut images = vec![CommandImage::default(); BATCH];
    for first in (0..commands).step_by(BATCH) {
        for (image, request) in images.iter_mut().zip(first + 1..) {
            workload.next(image);
            image.stamp(SessionId(image.client.0), RequestId(request), Timestamp(EPOCH + request * 1000));
        }
        appender.append(images.iter());
    }
    appender.writer.close().expect("the journal closes");
    (0..runs).map(|_| timed::<Domains>(dir.path(), commands)).collect()
}

/// Commands a second of the no-op domain.
///
/// # Panics
/// When the journal cannot be made.
#[must_use]
pub fn noop(commands: u64, runs: usize) -> Vec<f64> {
    let dir = tempfile::tempdir().expect("a directory");
    let mut appender = begin::<NoopOnly>(dir.path());
    let mut images = vec![ping(); BATCH];
    for first in (0..commands).step_by(BATCH) {
        for (image, request) in images.iter_mut().zip(first + 1..) {
            let session = SessionId(1 + (request % u64::from(CLIENTS)) as u32);
            image.stamp(session, RequestId(request), Timestamp(EPOCH + request * 1000));
        }
        appender.append(images.iter());
    }
    appender.writer.close().expect("the journal closes");
    (0..runs).map(|_| timed::<NoopOnly>(dir.path(), commands)).collect()
}
