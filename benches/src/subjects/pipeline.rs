//! The whole pipeline in one process, without sockets: a publisher on one core, journal, replicate and execute with
//! sessions on the other.
//!
//! Excluded: sockets, frames, logon.

use crate::load::{Flight, LEAD_NS, Load, Nanos, Outcome, pin};
use crate::noop::{Noop, NoopOnly};
use crate::subjects::ring::ping;
use ringfence_engine::config::{Durability, EngineConfig, GenesisConfig, JournalConfig, LimitsConfig};
use ringfence_engine::execute_stage::{Deadline, ExecuteStage};
use ringfence_engine::idle::IdleStrategy;
use ringfence_engine::layout::Layout;
use ringfence_engine::machine::Machine;
use ringfence_engine::pipeline::{Drained, Stop, Threads, assemble, run};
use ringfence_engine::port::{EnginePort, FrontEnd};
use ringfence_engine::replicate_stage::Solo;
use ringfence_engine::ring::{self, FirstReader, Producer, RING_SLOTS};
use ringfence_engine::start::{Grant, Ready, StartConfig, start};
use ringfence_gateway::Port;
use ringfence_journal::Disk;
use ringfence_kernel::image::{Slot, kind};
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::system::{Frame, SessionOpened};
use ringfence_kernel::wire::PROTOCOL;
use ringfence_kernel::workload::CommandImage;
use ringfence_kernel::{
    ClientId, Domain as _, DomainId, Outbox, Progress, Registry, RequestId, Roles, SessionId, Timestamp,
};
use std::collections::VecDeque;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

pub(crate) const EPOCH: Timestamp = Timestamp(1_800_000_000_000_000_000);
const BATCH: u64 = 64;

/// An engine with the no-op domain, on a journal in `dir`.
///
/// # Panics
/// When it cannot be started.
#[must_use]
pub fn ready(dir: &Path, level: Durability, clients: u32, reply_window: u32, now: Timestamp) -> Ready<NoopOnly> {
    let genesis = GenesisConfig { reply_window, clients_max: 256, topics_max: 1024, ..GenesisConfig::default() };
    ready_with(dir, level, clients, &genesis, Noop::ID, now)
}

/// An engine that begins with `genesis`, on a journal in `dir`; its clients may do everything in `domain`.
///
/// # Panics
/// When it cannot be started.
#[must_use]
pub fn ready_with<R: Registry>(
    dir: &Path,
    level: Durability,
    clients: u32,
    genesis: &GenesisConfig,
    domain: DomainId,
    now: Timestamp,
) -> Ready<R> {
    let engine = EngineConfig::default();
    let journal = JournalConfig { directory: dir.into(), level, segment_mib: 1024, low_water_mib: 8 };
    let limits = LimitsConfig { sessions_max: genesis.clients_max, logic_version: 1 };
    let grant = |client| Grant { client: ClientId(client), key_version: 1, domain, roles: Roles::ALL };
    let config = StartConfig {
        engine: &engine,
        journal: &journal,
        genesis,
        limits: &limits,
        grants: (1..=clients).map(grant).collect(),
        now,
        accept_clock: false,
        build: 0,
    };
    start::<R>(&Disk::handle(), &config, |_| {}).expect("the engine starts")
}

/// A machine with the no-op domain and an open session of client 1.
///
/// # Panics
/// When it cannot be made.
#[must_use]
pub fn machine() -> Machine<NoopOnly> {
    let dir = tempfile::tempdir().expect("a directory");
    let Ready { mut machine, mut frames, .. } = ready(dir.path(), Durability::Cached, 1, 1 << 14, EPOCH);
    frames.push_back(opening(ClientId(1)));
    let mut outbox = Outbox::new();
    for frame in &mut frames {
        frame.stamp(SessionId(1), RequestId(0), EPOCH);
        while machine.execute(frame.bytes(), &mut outbox).expect("it can be played") == Progress::More {
            outbox.flushed();
        }
        outbox.flushed();
    }
    machine
}

/// The first `count` pings of the session of [`machine`].
#[must_use]
pub fn pings(count: usize) -> Vec<CommandImage> {
    let mut images = vec![ping(); count];
    for (image, request) in images.iter_mut().zip(1..) {
        image.stamp(SessionId(1), RequestId(request), EPOCH);
    }
    images
}

/// The frame that opens a session of `client`.
#[must_use]
pub fn opening(client: ClientId) -> CommandImage {
    let mut image = CommandImage::default();
    let opened = SessionOpened { client, protocol: PROTOCOL, reserved: Reserved::default() };
    image.set(ClientId(0), Frame::SessionOpened(&opened));
    image
}

/// Sends pings when they are due, at most `window` unanswered, and times their answers.
struct Front<P> {
    port: P,
    claimed: u64,
    frames: VecDeque<CommandImage>,
    image: CommandImage,
    clock: Nanos,
    begun: u64,
    load: Load,
    window: u64,
    commands: u64,
    sent: u64,
    answered: u64,
    flight: Flight,
}

impl<P: Port> Front<P> {
    /// The front of a pipeline that a machine with `frames` to begin with stands in, for a new session of `client`.
    fn new(port: P, began: Began, client: ClientId, load: Load, window: u64, commands: u64) -> Self {
        let Began { mut frames, session, now } = began;
        frames.push_back(opening(client));
        frames.iter_mut().for_each(|frame| frame.stamp(session, RequestId(0), now));
        let mut image = ping();
        image.stamp(session, RequestId(0), now);
        let clock = Nanos::default();
        let begun = clock.now() + LEAD_NS;
        let flight = Flight::new(window as usize);
        Self { port, claimed: 0, frames, image, clock, begun, load, window, commands, sent: 0, answered: 0, flight }
    }

    fn work(&mut self) -> usize {
        while let Some(frame) = self.frames.pop_front() {
            let bytes = frame.bytes();
            assert!(self.port.try_claim(1, |_, slot| slot.bytes_mut()[..bytes.len()].copy_from_slice(bytes)));
            self.claimed += 1;
        }
        let before = self.answered;
        let Self { port, clock, flight, answered, .. } = self;
        port.drain(256, |slot| {
            if slot.kind() == kind::REPLY {
                flight.land(clock.now());
                *answered += 1;
            }
        });
        if self.sent < self.commands {
            self.send();
        }
        if self.is_answered() && self.flight.latency.elapsed.is_zero() {
            self.flight.latency.elapsed = Duration::from_nanos(self.clock.now() - self.begun);
        }
        (self.answered - before) as usize
    }

    fn is_answered(&self) -> bool {
        self.answered == self.commands
    }

    fn outcome(self) -> Outcome {
        Outcome { latency: self.flight.latency, sent: self.sent, answered: self.answered, refused: 0 }
    }

    fn send(&mut self) {
        let now = self.clock.now();
        let room = self.window.saturating_sub(self.sent - self.answered).min(self.commands - self.sent).min(BATCH);
        let due = |command| match self.load {
            Load::Open { .. } => self.begun + self.load.due(command),
            Load::Closed => now,
        };
        let ready = (0..room).take_while(|index| due(self.sent + index) <= now).count() as u64;
        if ready == 0 {
            return;
        }
        let (first, image) = (self.sent, self.image.bytes());
        let published = self.port.try_claim(ready as usize, |index, slot: &mut Slot| {
            slot.bytes_mut()[..64].copy_from_slice(image);
            slot.0[1] = first + index as u64 + 1;
            slot.0[2] = EPOCH.0 + now;
        });
        if published {
            (first..first + ready).for_each(|command| self.flight.send(due(command), now));
            self.sent += ready;
            self.claimed += ready;
        }
    }
}

impl FrontEnd for Front<EnginePort> {
    fn step(&mut self) -> usize {
        self.work()
    }
    fn park(&mut self, _: Duration) {}
    fn begin_stop(&mut self) {}
    fn is_stopped(&self) -> bool {
        self.is_answered()
    }
    fn claimed(&mut self) -> u64 {
        self.claimed
    }
}

/// What a started machine has to say first, and the session that comes after its last.
struct Began {
    frames: VecDeque<CommandImage>,
    session: SessionId,
    now: Timestamp,
}

impl Began {
    fn of(machine: &Machine<NoopOnly>, frames: VecDeque<CommandImage>) -> Self {
        Self { frames, session: SessionId(machine.session_last().0 + 1), now: EPOCH.max(machine.now()) }
    }
}

/// Runs `commands` pings under `load` through a `split` pipeline, at most `window` unanswered.
///
/// # Panics
/// When the engine cannot be started.
#[must_use]
pub fn split(level: Durability, load: Load, window: u64, commands: u64) -> Outcome {
    let dir = tempfile::tempdir().expect("a directory");
    drive(ready(dir.path(), level, 1, 1 << 14, EPOCH), level, ClientId(1), load, window, commands)
}

/// Sends a started engine `commands` pings of `client`, which has a session from here on.
///
/// # Panics
/// When the journal cannot be written.
#[must_use]
pub fn drive(
    ready: Ready<NoopOnly>,
    level: Durability,
    client: ClientId,
    load: Load,
    window: u64,
    commands: u64,
) -> Outcome {
    let began = Began::of(&ready.machine, ready.frames);
    let gate = Solo::new(ready.writer.marks(), level.into());
    let (port, stages) = assemble(ready.machine, ready.writer, ready.chain, gate, RING_SLOTS);
    let front = Front::new(port, began, client, load, window, commands);
    let threads = Threads { layout: Layout::Split, idle: IdleStrategy::BusySpin, pinned: vec![0, 1] };
    let stop = Stop::default();
    stop.request();
    let Drained { front, writer, .. } = run(front, stages, &threads, &stop);
    writer.close().expect("the journal closes");
    pin(0);
    front.outcome()
}

/// The two ends of a pipeline that nothing is admitted to by a journal.
struct BarePort {
    ingress: Producer,
    egress: FirstReader,
}

impl Port for BarePort {
    fn try_claim(&mut self, slots: usize, fill: impl FnMut(usize, &mut Slot)) -> bool {
        self.ingress.try_claim(slots, fill)
    }

    fn drain(&mut self, limit: usize, each: impl FnMut(&Slot)) -> usize {
        let read = self.egress.read_slots(limit, each);
        self.egress.release(read);
        read
    }

    fn accepts(&self) -> bool {
        true
    }

    fn next_deadline(&self) -> Option<Timestamp> {
        None
    }
}

/// As [`split`], but the first two stages let every command pass: what the journal and its gate cost is the difference.
///
/// # Panics
/// When the machine cannot be made.
#[must_use]
pub fn without_journal(load: Load, window: u64, commands: u64) -> Outcome {
    let dir = tempfile::tempdir().expect("a directory");
    let Ready { machine, frames, chain, .. } = ready(dir.path(), Durability::Cached, 1, 1 << 14, EPOCH);
    let began = Began::of(&machine, frames);
    let (ingress, mut journal, mut replicate, execute) = ring::ingress(RING_SLOTS);
    let (to_front, egress) = ring::egress(RING_SLOTS);
    let mut execute = ExecuteStage::new(execute, machine, to_front, Deadline::default(), chain);
    let mut front = Front::new(BarePort { ingress, egress }, began, ClientId(1), load, window, commands);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            pin(1);
            while !over.load(Ordering::Relaxed) {
                let read = journal.read(RING_SLOTS, |_| true);
                journal.release(read.slots);
                let read = replicate.read(RING_SLOTS, |_| true);
                replicate.release(read.slots);
                execute.step();
            }
        });
        pin(0);
        while !front.is_answered() {
            front.work();
        }
        over.store(true, Ordering::Relaxed);
    });
    front.outcome()
}
