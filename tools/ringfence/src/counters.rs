//! The counters file of an engine: made at start, handed to the threads that store into it, and known again when the
//! process that did is gone.

use crate::config::Config;
use anyhow::Context as _;
use ringfence_counters::file::{BYTES, Header};
use ringfence_counters::{EngineCounters, Identity, Reading, Registrar, Settings};
use ringfence_domains::Domains;
use ringfence_engine::config::Durability;
use ringfence_engine::counting::StageCounters;
use ringfence_engine::pipeline::{Stages, Threads};
use ringfence_engine::port::EnginePort;
use ringfence_gateway::{Gateway, WallClock};
use ringfence_journal::{Disk, JournalId};
use ringfence_kernel::reject::ENGINE;
use ringfence_kernel::{Registry, Timestamp};
use std::io;
use std::path::{Path, PathBuf};
use tracing::{info, warn};

/// The file's name in a journal's directory.
pub const FILE: &str = "counters";

/// Counters that cannot be as configured.
#[derive(Debug, thiserror::Error)]
pub enum CountersError {
    /// The sample cannot be taken by looking at bits.
    #[error("counters.sample_every is {value}, and must be a power of two")]
    SampleEvery {
        /// What it is.
        value: u64,
    },
    /// Two engines would store into one file.
    #[error("counters.file: {} is in use by process {process}", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
        /// Who has it.
        process: u64,
    },
}

/// Makes the counters file; none when there shall be none, or it cannot be made, which is said: an engine that could
/// serve does not stay down for want of counters.
///
/// # Errors
/// [`CountersError`].
pub fn create(
    config: &Config,
    threads: &Threads,
    journal: JournalId,
    started: Timestamp,
) -> Result<Option<EngineCounters>, CountersError> {
    let sample_every = config.counters.sample_every;
    if !sample_every.is_power_of_two() {
        return Err(CountersError::SampleEvery { value: sample_every });
    }
    if !config.counters.enabled {
        return Ok(None);
    }
    let path = config.counters.file.clone().unwrap_or_else(|| config.journal.directory.join(FILE));
    if let Ok(Reading { header, .. }) = Reading::open(&path)
        && header.process != u64::from(std::process::id())
        && life(&header) == Life::Alive
    {
        return Err(CountersError::InUse { path, process: header.process });
    }
    let settings = Settings {
        ring_slots: config.engine.ring_slots as u64,
        durable: config.journal.level == Durability::Fsync,
        threads: threads.layout.threads() as u64,
        sample_every,
    };
    match make(&path, &settings, journal, started) {
        Ok(counters) => {
            info!(file = %path.display(), "counting");
            Ok(Some(counters))
        }
        Err(error) => {
            warn!(file = %path.display(), error = format!("{error:#}"), "no counters: the file cannot be made");
            Ok(None)
        }
    }
}

fn make(path: &Path, settings: &Settings, journal: JournalId, started: Timestamp) -> anyhow::Result<EngineCounters> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let (storage, partial) = (Disk::handle(), PathBuf::from(partial));
    let file = storage.create(&partial)?;
    file.allocate(BYTES as u64)?;
    let mut on = Registrar::new(file.map(BYTES, true)?.into_words());
    let counters = EngineCounters::new(&mut on, settings, &codes())?;
    let mut build = [0; 16];
    let version = env!("CARGO_PKG_VERSION").as_bytes();
    build[..version.len().min(16)].copy_from_slice(&version[..version.len().min(16)]);
    let process = std::process::id();
    on.finish(&Identity {
        process,
        process_start: process_start(process.into()).context("reading when this process was started")?,
        started: started.0,
        boot: boot().context("reading which boot this is")?,
        journal: journal.0.to_le_bytes(),
        build,
    });
    // A reader finds the last engine's file or this one whole.
    storage.rename(&partial, path)?;
    Ok(counters)
}

/// Every code with which this build may refuse, and its name.
fn codes() -> Vec<(u16, &'static str)> {
    let domains = Domains::DOMAINS.iter().flat_map(|domain| domain.rejects);
    ENGINE.iter().chain(domains).map(|row| (row.code, row.name)).collect()
}

/// Gives every counter to the thread that stores into it.
pub fn hand_out<R, G>(
    counters: EngineCounters,
    sample_every: u64,
    gateway: &mut Gateway<EnginePort, WallClock>,
    stages: &mut Stages<R, G>,
    clock: &WallClock,
) {
    let EngineCounters { gateway: at_gateway, port, journal, syncs, replicate, execute } = counters;
    gateway.count(at_gateway, sample_every);
    gateway.port().count(port);
    stages.count(StageCounters { journal, syncs, replicate, execute, clock, sample_every });
}

/// Whether the process that stores into a counters file is still there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// It is.
    Alive,
    /// It is gone.
    Ended,
    /// The machine was started again since.
    Rebooted,
}

/// Looks for the process that a file names: its number alone may have gone to another since.
#[must_use]
pub fn life(header: &Header) -> Life {
    if boot().is_ok_and(|boot| boot != header.boot) {
        return Life::Rebooted;
    }
    match process_start(header.process) {
        Ok(start) if start == header.process_start => Life::Alive,
        _ => Life::Ended,
    }
}

/// Field 22 of `/proc/PID/stat`; the second field is a name in brackets that may hold anything.
fn process_start(process: u64) -> io::Result<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))?;
    let start = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(22 - 3)?.parse().ok());
    start.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "stat has no 22nd field"))
}

/// The machine's boot id, as 16 bytes.
fn boot() -> io::Result<[u8; 16]> {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    let digits = text.trim().replace('-', "");
    let id = u128::from_str_radix(&digits, 16);
    id.map(u128::to_be_bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}
