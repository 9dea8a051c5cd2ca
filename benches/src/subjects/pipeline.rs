//! The whole pipeline in one process, without sockets: a publisher on one core, journal, replicate and execute with
//! sessions on the other.
//!
//! Excluded: sockets, frames, logon.

use crate::load::{Nanos, histogram, pin};
use crate::noop::NoopOnly;
use crate::subjects::ring::ping;
use hdrhistogram::Histogram;
use ringfence_engine::config::{Durability, EngineConfig, GenesisConfig, JournalConfig, LimitsConfig};
use ringfence_engine::idle::IdleStrategy;
use ringfence_engine::layout::Layout;
use ringfence_engine::pipeline::{Drained, Stop, Threads, assemble, run};
use ringfence_engine::port::{EnginePort, FrontEnd};
use ringfence_engine::replicate_stage::Solo;
use ringfence_engine::start::{Grant, Ready, StartConfig, start};
use ringfence_gateway::Port as _;
use ringfence_journal::Disk;
use ringfence_kernel::image::{Slot, kind};
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::system::{Frame, SessionOpened};
use ringfence_kernel::wire::PROTOCOL;
use ringfence_kernel::workload::CommandImage;
use ringfence_kernel::{ClientId, DomainId, RequestId, Roles, SessionId, Timestamp};
use std::collections::VecDeque;
use std::path::Path;
use std::time::Duration;

const EPOCH: Timestamp = Timestamp(1_800_000_000_000_000_000);
const BATCH: u64 = 64;

/// An engine with the no-op domain, on a journal in `dir`.
///
/// # Panics
/// When it cannot be started.
#[must_use]
pub fn ready(dir: &Path, level: Durability, clients: u32, reply_window: u32, now: Timestamp) -> Ready<NoopOnly> {
    let engine = EngineConfig::default();
    let journal = JournalConfig { directory: dir.into(), level, segment_mib: 1024, low_water_mib: 8 };
    let genesis = GenesisConfig { reply_window, clients_max: 256, topics_max: 1024, ..GenesisConfig::default() };
    let limits = LimitsConfig { sessions_max: 256, logic_version: 1 };
    let grant = |client| Grant { client: ClientId(client), key_version: 1, domain: DomainId(63), roles: Roles::ALL };
    let config = StartConfig {
        engine: &engine,
        journal: &journal,
        genesis: &genesis,
        limits: &limits,
        grants: (1..=clients).map(grant).collect(),
        now,
        accept_clock: false,
        build: 0,
    };
    start::<NoopOnly>(&Disk::handle(), &config, |_| {}).expect("the engine starts")
}

/// Sends pings when they are due, at most `window` unanswered, and times their answers.
struct Front {
    port: EnginePort,
    frames: VecDeque<CommandImage>,
    image: CommandImage,
    clock: Nanos,
    begun: u64,
    /// Commands a second; 0: as fast as the window allows.
    rate: u64,
    window: u64,
    commands: u64,
    sent: u64,
    answered: u64,
    latencies: Histogram<u64>,
    elapsed: u64,
}

impl Front {
    fn due(&self, command: u64) -> u64 {
        match self.rate {
            0 => 0,
            rate => self.begun + 1_000_000 + command * 1_000_000_000 / rate,
        }
    }

    fn send(&mut self) {
        let now = self.clock.now();
        let room = self.window.saturating_sub(self.sent - self.answered).min(self.commands - self.sent).min(BATCH);
        let ready =
            if self.rate == 0 { room } else { (0..room).take_while(|i| self.due(self.sent + i) <= now).count() as u64 };
        if ready == 0 {
            return;
        }
        let (first, rate, begun) = (self.sent, self.rate, self.begun);
        let image = self.image.bytes();
        let published = self.port.try_claim(ready as usize, |index, slot: &mut Slot| {
            let request = first + index as u64;
            slot.bytes_mut()[..64].copy_from_slice(image);
            slot.0[1] = request + 1;
            slot.0[2] = EPOCH.0 + now;
            slot.0[4] = (request * 1_000_000_000).checked_div(rate).map_or(now, |after| begun + 1_000_000 + after);
        });
        self.sent += if published { ready } else { 0 };
    }
}

impl FrontEnd for Front {
    fn step(&mut self) -> usize {
        while let Some(frame) = self.frames.pop_front() {
            let bytes = frame.bytes();
            assert!(self.port.try_claim(1, |_, slot| slot.bytes_mut()[..bytes.len()].copy_from_slice(bytes)));
        }
        let before = self.answered;
        let Self { port, clock, latencies, answered, .. } = self;
        port.drain(256, |slot| {
            if slot.bytes()[2] == kind::REPLY {
                latencies.saturating_record(clock.now().saturating_sub(slot.0[6]).max(1));
                *answered += 1;
            }
        });
        if self.sent < self.commands {
            self.send();
        }
        if self.answered == self.commands && self.elapsed == 0 {
            self.elapsed = self.clock.now() - self.begun;
        }
        (self.answered - before) as usize
    }
    fn park(&mut self, _: Duration) {}
    fn begin_stop(&mut self) {}
    fn is_stopped(&self) -> bool {
        self.answered == self.commands
    }
    fn claimed(&mut self) -> u64 {
        self.port.claimed()
    }
}

/// What a run of the pipeline gave.
#[derive(Debug)]
pub struct Outcome {
    /// Round trips, in nanoseconds.
    pub latencies: Histogram<u64>,
    /// Commands a second.
    pub per_second: f64,
}

/// Runs `commands` pings through a `split` pipeline at `rate` a second (0: as fast as `window` allows).
///
/// # Panics
/// When the engine cannot be started.
#[must_use]
pub fn split(level: Durability, rate: u64, window: u64, commands: u64) -> Outcome {
    let dir = tempfile::tempdir().expect("a directory");
    let ready = ready(dir.path(), level, 1, 1 << 14, EPOCH);
    let gate = Solo::new(ready.writer.marks(), level.into());
    let (port, stages) = assemble(ready.machine, ready.writer, ready.chain, gate, 16_384);
    let mut frames = ready.frames;
    let mut open = CommandImage::default();
    let opened = SessionOpened { client: ClientId(1), protocol: PROTOCOL, reserved: Reserved::default() };
    open.set(ClientId(0), Frame::SessionOpened(&opened));
    frames.push_back(open);
    frames.iter_mut().for_each(|frame| frame.stamp(SessionId(1), RequestId(0), EPOCH));
    let mut image = ping();
    image.stamp(SessionId(1), RequestId(0), EPOCH);
    let clock = Nanos::default();
    let begun = clock.now();
    let front = Front {
        port,
        frames,
        image,
        clock,
        begun,
        rate,
        window,
        commands,
        sent: 0,
        answered: 0,
        latencies: histogram(),
        elapsed: 0,
    };
    let threads = Threads { layout: Layout::Split, idle: IdleStrategy::BusySpin, pinned: vec![0, 1] };
    let stop = Stop::default();
    stop.request();
    let Drained { front, writer, .. } = run(front, stages, &threads, &stop);
    writer.close().expect("the journal closes");
    pin(0);
    Outcome { per_second: commands as f64 * 1e9 / front.elapsed as f64, latencies: front.latencies }
}
