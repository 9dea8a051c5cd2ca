//! `ringfence serve`: one engine, until it is told to stop.

use crate::commands::{log, read_keys};
use crate::config::{Config, SnapshotConfig};
use crate::counters;
use crate::doctor::{Root, Wanted, start as doctor};
use anyhow::Context as _;
use clap::Args;
use ringfence_domains::Domains;
use ringfence_engine::layout::cores;
use ringfence_engine::pipeline::{Drained, Stop, assemble, run};
use ringfence_engine::replicate_stage::Solo;
use ringfence_engine::snapshots;
use ringfence_engine::start::{Grant, Ready, StartConfig, StartError, StartReport, start};
use ringfence_gateway::{Clock as _, Gateway, Retransmission, Start, WallClock};
use ringfence_journal::{Disk, Error as JournalError, StorageHandle, retain};
use ringfence_kernel::SessionId;
use rustix::mm::{MlockAllFlags, mlockall};
use signal_hook::consts::{SIGINT, SIGTERM};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};
use tracing::{error, info, warn};

/// Run an engine until SIGTERM or SIGINT: then it takes nothing new in, answers what it has, writes a snapshot and
/// exits with 0. Settings come from the file, over it the environment, over that these flags.
#[derive(Args)]
pub struct Serve {
    /// The configuration file.
    #[arg(long, short, env = "RINGFENCE_CONFIG")]
    config: Option<PathBuf>,
    /// Where to listen, as ADDRESS:PORT; port 0 takes any free one.
    #[arg(long)]
    listen: Option<String>,
    /// The journal's directory.
    #[arg(long)]
    journal: Option<String>,
    /// What a command survives before it is answered: cached, fsync.
    #[arg(long)]
    level: Option<String>,
    /// The keys file.
    #[arg(long)]
    keys: Option<String>,
    /// Which thread drives which stages: auto, fused, split, staged.
    #[arg(long)]
    layout: Option<String>,
    /// How a thread waits: backoff, yielding, busy-spin.
    #[arg(long)]
    idle: Option<String>,
    /// The clock is right, however far it is ahead of the log.
    #[arg(long)]
    accept_clock: bool,
}

impl Serve {
    /// Runs it.
    ///
    /// # Errors
    /// When it cannot be done; the message says why.
    pub fn run(&self) -> anyhow::Result<()> {
        log()?;
        let config = Config::load(
            self.config.as_deref(),
            &[
                ("gateway.listen", self.listen.clone()),
                ("journal.directory", self.journal.clone()),
                ("journal.level", self.level.clone()),
                ("keys.file", self.keys.clone()),
                ("engine.layout", self.layout.clone()),
                ("engine.idle", self.idle.clone()),
            ],
        )?;
        serve(&config, self.accept_clock)
    }
}

fn serve(config: &Config, accept_clock: bool) -> anyhow::Result<()> {
    let keys = read_keys(&config.keys.file)?;
    let grants = keys.grants().map(|(client, key_version, domain, roles)| Grant { client, key_version, domain, roles });
    let threads = config.engine.threads()?;
    config.gateway.check()?;
    let wanted = Wanted::of(config, cores());
    for warning in doctor::check(&Root::machine(), &wanted)? {
        warn!("{warning}");
    }
    if wanted.lock {
        // What is mapped later is locked when it is touched: a prepared segment is not read in for it.
        mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT).context("memory.lock")?;
    }
    let storage = Disk::handle();
    let mut clock = WallClock::new();
    let mut retransmission = Retransmission::new(config.gateway.retransmission_slots, config.gateway.topics_max);
    let start_config = StartConfig {
        engine: &config.engine,
        journal: &config.journal,
        genesis: &config.genesis,
        limits: &config.limits,
        grants: grants.collect(),
        now: clock.now(),
        accept_clock,
        build: build(),
    };
    let ready = start_when_free(&storage, &start_config, &mut retransmission)?;
    ready.machine.topics().for_each(|(topic, number)| retransmission.know(topic, number));
    report(&ready.report);

    let gate = Solo::new(ready.writer.marks(), config.journal.level.into());
    let first_session = SessionId(ready.machine.session_last().0 + 1);
    let counters = counters::create(config, &threads, ready.writer.journal(), clock.now())?;
    let stage_clock = clock.clone();
    let (port, mut stages) = assemble(ready.machine, ready.writer, ready.chain, gate, config.engine.ring_slots);
    let begin =
        Start { first_session, frames: ready.frames, retransmission, reply_window: config.genesis.reply_window };
    let mut gateway = Gateway::new(config.gateway.clone(), keys, port, clock, begin)
        .with_context(|| format!("listening on {}", config.gateway.listen))?;
    if let Some(counters) = counters {
        counters::hand_out(counters, config.counters.sample_every, &mut gateway, &mut stages, &stage_clock);
    }

    let stop = Arc::new(Stop::default());
    stop_on_signal(&stop, gateway.waker())?;
    let snapshotter = Snapshotter::start(&config.journal.directory, &config.snapshot);
    info!(layout = ?threads.layout, idle = ?threads.idle, level = ?config.journal.level, "serving");
    // Whoever started the engine may wait for this line; nobody has to.
    if let Err(error) = writeln!(std::io::stdout(), "ringfence listens on {}", gateway.local_addr()?) {
        warn!(%error, "standard output cannot be written");
    }
    let drained = run(gateway, stages, &threads, &stop);

    drop(snapshotter);
    if stop.was_cut_short() {
        drained.writer.close().context("closing the journal")?;
        anyhow::bail!("stopped before all was decided: the journal has no room; what is left was never acknowledged");
    }
    finish(&storage, &config.journal.directory, &config.snapshot, drained)
}

/// How long a start waits for a process that is just ending to let go of the journal.
const LOCK_WAIT: Duration = Duration::from_secs(2);

/// Starts; a journal that is still held by a process that was killed a moment ago is tried again for a while.
fn start_when_free(
    storage: &StorageHandle,
    config: &StartConfig<'_>,
    retransmission: &mut Retransmission,
) -> Result<Ready<Domains>, StartError> {
    let begun = Instant::now();
    loop {
        let started = start::<Domains>(storage, config, |output| {
            retransmission.push(output);
        });
        match started {
            Err(StartError::Journal(JournalError::Locked { .. })) if begun.elapsed() < LOCK_WAIT => {
                std::thread::sleep(Duration::from_millis(50));
            }
            other => return other,
        }
    }
}

/// The first bytes of the package's version, so that a log tells which build wrote it.
fn build() -> u64 {
    let mut bytes = [0; 8];
    let version = env!("CARGO_PKG_VERSION").as_bytes();
    bytes[..version.len().min(8)].copy_from_slice(&version[..version.len().min(8)]);
    u64::from_le_bytes(bytes)
}

fn report(report: &StartReport) {
    for (path, error) in &report.damaged {
        warn!(snapshot = %path.display(), %error, "a damaged snapshot was passed over");
    }
    if let Some(cut) = &report.cut {
        warn!(place = %cut.place, bytes = cut.bytes, why = %cut.what, "the last commit was torn and is cut off");
    }
    info!(created = report.created, snapshot = report.snapshot.0, replayed = report.replayed, "the journal is open");
}

/// SIGTERM and SIGINT request a stop; the waker ends the sleep of an idle engine. A second one ends the process at once:
/// the next start recovers.
fn stop_on_signal(stop: &Arc<Stop>, waker: Arc<ringfence_gateway::Waker>) -> anyhow::Result<()> {
    let mut signals = signal_hook::iterator::Signals::new([SIGTERM, SIGINT])?;
    let stop = Arc::clone(stop);
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        for (signal, nth) in signals.forever().zip(1..) {
            if nth > 1 {
                warn!(signal, "ending at once");
                std::process::exit(1);
            }
            info!(signal, "stopping");
            stop.request();
            // A failed wake only means that an idle engine notices a few milliseconds later.
            let _ = waker.wake();
        }
    })?;
    Ok(())
}

fn finish<F>(
    storage: &StorageHandle,
    dir: &Path,
    snapshot: &SnapshotConfig,
    drained: Drained<F, Domains>,
) -> anyhow::Result<()> {
    drained.writer.close().context("closing the journal")?;
    let path = snapshots::write(&drained.machine, storage, dir).context("writing the last snapshot")?;
    info!(snapshot = %path.display(), sequence = drained.machine.sequence().0, "stopped");
    if snapshot.keep > 0 {
        retain(storage, dir, snapshot.keep)?;
    }
    Ok(())
}

/// Starts the snapshotting process at an interval, so that recovery time stays bounded without anyone asking. It is a
/// process, so that neither its memory nor its page faults are the engine's.
struct Snapshotter {
    thread: Option<std::thread::JoinHandle<()>>,
    over: Option<std::sync::mpsc::Sender<()>>,
}

impl Snapshotter {
    fn start(dir: &Path, config: &SnapshotConfig) -> Self {
        if config.interval_seconds == 0 {
            return Self { thread: None, over: None };
        }
        let (over, ended) = channel();
        let (dir, keep, interval) = (dir.to_path_buf(), config.keep, Duration::from_secs(config.interval_seconds));
        let thread = std::thread::Builder::new().name("snapshots".into());
        let thread = thread.spawn(move || snapshot_at_intervals(&dir, keep, interval, &ended));
        Self { thread: thread.map_err(|error| error!(%error, "no snapshots will be written")).ok(), over: Some(over) }
    }
}

impl Drop for Snapshotter {
    fn drop(&mut self) {
        drop(self.over.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            error!("the thread that starts snapshots has panicked");
        }
    }
}

fn snapshot_at_intervals(dir: &Path, keep: usize, interval: Duration, ended: &Receiver<()>) {
    let mut child: Option<Child> = None;
    while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(interval) {
        match child.as_mut().map(Child::try_wait) {
            Some(Ok(None)) => {
                warn!("the last snapshot is still being written");
                continue;
            }
            Some(Ok(Some(status))) if !status.success() => error!(%status, "the last snapshot failed"),
            _ => {}
        }
        child = snapshot_process(dir, keep).map_err(|error| error!(%error, "no snapshot process")).ok();
    }
    if let Some(mut child) = child {
        // The clean stop writes a newer one.
        let _ = child.kill();
        let _ = child.wait();
    }
}

fn snapshot_process(dir: &Path, keep: usize) -> std::io::Result<Child> {
    Command::new(std::env::current_exe()?)
        .arg("snapshot")
        .arg(dir)
        .args(["--low-priority", "--keep", &keep.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
}
