//! An engine without sockets: commands go straight into the ring, outputs are kept.
#![allow(dead_code, unreachable_pub, reason = "not every test uses all of it")]

pub mod crashes;
pub mod histories;
pub mod steps;

use ringfence_domains::Domains;
use ringfence_engine::config::{Durability, EngineConfig, GenesisConfig, JournalConfig, LimitsConfig};
use ringfence_engine::idle::IdleStrategy;
use ringfence_engine::layout::Layout;
use ringfence_engine::pipeline::{Drained, Stages, Stop, Threads, assemble, run};
use ringfence_engine::port::{EnginePort, FrontEnd};
use ringfence_engine::replicate_stage::Solo;
use ringfence_engine::ring::RING_SLOTS;
use ringfence_engine::start::{Grant, Ready, StartConfig, StartError, start};
use ringfence_gateway::Port;
use ringfence_journal::{Disk, StorageHandle};
use ringfence_kernel::image::{SLOT_BYTES, Slot, kind, slots};
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::outbox::image;
use ringfence_kernel::system::{Frame, SessionOpened};
use ringfence_kernel::wire::PROTOCOL;
use ringfence_kernel::workload::{CommandImage, Workload};
use ringfence_kernel::{ClientId, DomainId, OutputHeader, RequestId, Roles, SessionId, Timestamp};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The log's time when a test begins.
pub const EPOCH: u64 = 1_800_000_000_000_000_000;

/// Publishes prepared frames as the ring has room, and keeps what comes back.
pub struct Front {
    pub port: EnginePort,
    frames: VecDeque<CommandImage>,
    pub outputs: Vec<Vec<u8>>,
    answered: usize,
    expected: usize,
    /// Outputs taken at a step; few of them make the egress ring fill up.
    drain: usize,
}

impl Front {
    /// Publishes at most `limit` frames, as far as there is room.
    pub fn publish(&mut self, limit: usize) -> usize {
        let Self { port, frames, .. } = self;
        let mut work = 0;
        while let Some(frame) = frames.front().filter(|_| work < limit) {
            let mut pieces = frame.bytes().chunks(SLOT_BYTES);
            let fill = |_: usize, slot: &mut Slot| {
                let piece = pieces.next().expect("as many slots as pieces");
                slot.bytes_mut()[..piece.len()].copy_from_slice(piece);
            };
            if !port.try_claim(slots(frame.bytes().len()), fill) {
                break;
            }
            frames.pop_front();
            work += 1;
        }
        work
    }

    /// Takes outputs: at most `limit`, or 128 if that is less.
    pub fn take(&mut self, limit: usize) -> usize {
        let Self { port, outputs, answered, .. } = self;
        port.drain(limit, |slot| {
            let header = OutputHeader::read(slot.bytes()).expect("an output has a header");
            *answered += usize::from(matches!(header.kind, kind::REPLY | kind::REJECT));
            outputs.push(image(slot).to_vec());
        })
    }

    /// Whether all was published and answered.
    pub fn is_done(&self) -> bool {
        self.frames.is_empty() && self.answered == self.expected
    }
}

impl FrontEnd for Front {
    fn step(&mut self) -> usize {
        self.publish(usize::MAX) + self.take(self.drain)
    }
    fn park(&mut self, longest: Duration) {
        std::thread::park_timeout(longest);
    }
    fn begin_stop(&mut self) {}
    fn is_stopped(&self) -> bool {
        self.is_done()
    }
    fn claimed(&mut self) -> u64 {
        self.port.claimed()
    }
}

/// How an engine is run in a test.
#[derive(Clone, Debug)]
pub struct Setup {
    pub layout: Layout,
    pub level: Durability,
    pub reply_window: u32,
    pub drain: usize,
    pub clients: u32,
    /// Orders that the books hold at once.
    pub orders: u64,
    pub ring_slots: usize,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            layout: Layout::Fused,
            level: Durability::Cached,
            reply_window: 64,
            drain: 4096,
            clients: 8,
            orders: 65_536,
            ring_slots: RING_SLOTS,
        }
    }
}

pub fn journal_config(dir: &Path, level: Durability) -> JournalConfig {
    JournalConfig { directory: PathBuf::from(dir), level, segment_mib: 20, low_water_mib: 8 }
}

pub fn genesis(setup: &Setup) -> GenesisConfig {
    let limits = [("instruments", 16), ("orders", setup.orders), ("levels", setup.orders / 4), ("accounts", 64)];
    let limits = limits.map(|(name, value)| (name.to_string(), value)).into();
    // Little of what no test here asks: engines are started often.
    let few = ["advertisers", "publishers", "campaigns", "line_items", "placements", "targets", "values", "wins"];
    let auction = few.into_iter().chain(["counters"]).map(|name| (name.to_string(), 64)).collect();
    GenesisConfig {
        reply_window: setup.reply_window,
        clients_max: 64,
        topics_max: 4096,
        domains: [("matching".to_string(), limits), ("auction".to_string(), auction)].into(),
        enabled: Vec::new(),
    }
}

pub const LIMITS: LimitsConfig = LimitsConfig { sessions_max: 64, logic_version: 1 };

pub fn grants(clients: u32) -> Vec<Grant> {
    let grant = |client| Grant { client: ClientId(client), key_version: 1, domain: DomainId(1), roles: Roles::ALL };
    (1..=clients).map(grant).collect()
}

/// A frame as the gateway would stamp it.
pub fn frame(session: u32, request: u64, now: u64, frame: Frame<'_>) -> CommandImage {
    let mut image = CommandImage::default();
    image.set(ClientId(0), frame);
    image.stamp(SessionId(session), RequestId(request), Timestamp(now));
    image
}

pub fn open_session(session: u32, client: u32, now: u64) -> CommandImage {
    let opened = SessionOpened { client: ClientId(client), protocol: PROTOCOL, reserved: Reserved::default() };
    frame(session, 0, now, Frame::SessionOpened(&opened))
}

/// `count` commands of `workload` from sessions that are opened first; client `c` has session `first_session + c - 1`.
pub fn flow(
    workload: &mut dyn Workload,
    clients: u32,
    first_session: u32,
    first_request: u64,
    count: u64,
    begin: u64,
) -> Vec<CommandImage> {
    let open = (1..=clients).map(|client| open_session(first_session + client - 1, client, begin));
    let mut frames = open.collect::<Vec<_>>();
    let mut image = CommandImage::default();
    for step in 0..count {
        workload.next(&mut image);
        let session = SessionId(first_session + image.client.0 - 1);
        image.stamp(session, RequestId(first_request + step), Timestamp(begin + step * 1000));
        frames.push(image.clone());
    }
    frames
}

/// What a start with `setup` is told; `change` may say otherwise.
pub fn start_with(
    storage: &StorageHandle,
    dir: &Path,
    setup: &Setup,
    now: u64,
    change: impl FnOnce(&mut JournalConfig, &mut GenesisConfig, &mut LimitsConfig, &mut StartChanges),
    each_event: impl FnMut(&Slot),
) -> Result<Ready<Domains>, StartError> {
    let config = EngineConfig { layout: setup.layout, ..EngineConfig::default() };
    let (mut journal, mut genesis, mut limits) = (journal_config(dir, setup.level), genesis(setup), LIMITS);
    let mut changes = StartChanges { grants: grants(setup.clients), accept_clock: false };
    change(&mut journal, &mut genesis, &mut limits, &mut changes);
    let start_config = StartConfig {
        engine: &config,
        journal: &journal,
        genesis: &genesis,
        limits: &limits,
        grants: changes.grants,
        now: Timestamp(now),
        accept_clock: changes.accept_clock,
        build: 7,
    };
    start::<Domains>(storage, &start_config, each_event)
}

/// What else a start may be told.
pub struct StartChanges {
    pub grants: Vec<Grant>,
    pub accept_clock: bool,
}

/// The front with what the start adds and `frames` to send, and the stages behind it.
pub fn assembled(
    ready: Ready<Domains>,
    setup: &Setup,
    frames: Vec<CommandImage>,
    now: u64,
) -> (Front, Stages<Domains, Solo>) {
    let gate = Solo::new(ready.writer.marks(), setup.level.into());
    let (port, stages) = assemble(ready.machine, ready.writer, ready.chain, gate, setup.ring_slots);
    let expected = frames.iter().filter(|frame| frame.header().message.schema != 0).count();
    let mut all = ready.frames;
    all.iter_mut().for_each(|frame| frame.stamp(SessionId(0), RequestId(0), Timestamp(now)));
    all.extend(frames);
    (Front { port, frames: all, outputs: Vec::new(), answered: 0, expected, drain: setup.drain }, stages)
}

/// Starts an engine on `dir`, sends `frames` through it, and stops it when all are answered.
pub fn engine(
    storage: &StorageHandle,
    dir: &Path,
    setup: &Setup,
    frames: Vec<CommandImage>,
    now: u64,
) -> Drained<Front, Domains> {
    let ready = start_with(storage, dir, setup, now, |_, _, _, _| {}, |_| {}).expect("the engine starts");
    let (front, stages) = assembled(ready, setup, frames, now);
    let threads = Threads { layout: setup.layout, idle: IdleStrategy::Backoff, pinned: Vec::new() };
    let stop = Stop::default();
    stop.request();
    run(front, stages, &threads, &stop)
}

/// [`engine`] on a real disk.
pub fn engine_on(dir: &Path, setup: &Setup, frames: Vec<CommandImage>, now: u64) -> Drained<Front, Domains> {
    engine(&Disk::handle(), dir, setup, frames, now)
}
