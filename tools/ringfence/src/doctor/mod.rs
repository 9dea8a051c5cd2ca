//! `doctor`: what the machine gives an engine, and what of it is in effect.
//!
//! ```text
//!  /proc, /sys ── Root ──► facts ──► findings: a row each, for people          (`ringfence doctor`)
//!                            └─────► start: what a layout cannot hold with     (`ringfence serve`, at its start)
//! ```
//!
//! Every file is read below a root directory, so that a test puts a machine of its own there. Nothing is guessed: a file
//! that cannot be read makes a finding that says so and why.

pub mod instructions;
pub mod start;

mod cores;
mod disk;
mod kernel;
mod limits;

mod cpu_set;
mod root;

pub use cpu_set::CpuSet;
pub use root::{Root, Unread};

use crate::config::Config;
use ringfence_engine::config::Durability;
use ringfence_engine::idle::IdleStrategy;
use ringfence_engine::layout::Layout;
use serde::Serialize;
use std::path::PathBuf;

/// What the engine is to run as.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Which thread drives which stages.
    pub layout: Layout,
    /// How a thread waits.
    pub idle: IdleStrategy,
    /// A core for each thread; empty: none is pinned.
    pub cores: Vec<usize>,
    /// The journal's directory.
    pub directory: PathBuf,
    /// Whether an answer waits for a sync.
    pub durable: bool,
    /// Whether memory is to be locked.
    pub lock: bool,
    /// Whether the C library is told to ask for huge pages.
    pub asks_huge_pages: bool,
}

impl Wanted {
    /// As configured, on a machine with so many cores.
    #[must_use]
    pub fn of(config: &Config, cores: usize) -> Self {
        let tunables = std::env::var("GLIBC_TUNABLES").unwrap_or_default();
        Self {
            layout: config.engine.layout.resolve(cores),
            idle: config.engine.idle,
            cores: config.engine.cores.clone(),
            directory: config.journal.directory.clone(),
            durable: config.journal.level == Durability::Fsync,
            lock: config.memory.lock,
            asks_huge_pages: tunables.split(':').any(|tunable| tunable == "glibc.malloc.hugetlb=1"),
        }
    }

    /// Threads that never give their core away.
    #[must_use]
    pub fn spinning(&self) -> usize {
        if self.idle.spins() { self.layout.threads() } else { 0 }
    }
}

/// How it stands with something that an engine wants of its machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Status {
    /// It is in effect.
    Enabled,
    /// The machine offers it, and it is not in effect.
    Supported,
    /// The machine does not offer it.
    Unsupported,
    /// What would tell cannot be read.
    Unknown,
}

impl Status {
    /// As it is printed.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Enabled => "ENABLED",
            Self::Supported => "SUPPORTED",
            Self::Unsupported => "UNSUPPORTED",
            Self::Unknown => "UNKNOWN",
        }
    }
}

/// One thing that an engine wants of its machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What it is called here and in `docs/operations.md`.
    pub name: &'static str,
    /// How it stands.
    pub status: Status,
    /// What was found: for `UNSUPPORTED` and `UNKNOWN` the reason.
    pub found: String,
    /// What would put it in effect, when something would.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

impl Finding {
    fn new(name: &'static str, status: Status, found: impl Into<String>) -> Self {
        Self { name, status, found: found.into(), advice: None }
    }

    fn enabled(name: &'static str, found: impl Into<String>) -> Self {
        Self::new(name, Status::Enabled, found)
    }

    fn supported(name: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { advice: Some(advice.into()), ..Self::new(name, Status::Supported, found) }
    }

    fn unsupported(name: &'static str, found: impl Into<String>) -> Self {
        Self::new(name, Status::Unsupported, found)
    }

    /// Of a file that cannot be read: one that is absent where its neighbours are says that the kernel does not have
    /// what it is about, which is `reason`; anything else says nothing.
    fn unread(name: &'static str, error: &Unread, reason: &str) -> Self {
        match error.absent {
            true => Self::unsupported(name, reason),
            false => Self::new(name, Status::Unknown, error.to_string()),
        }
    }
}

/// Looks at everything.
#[must_use]
pub fn examine(root: &Root, wanted: &Wanted) -> Vec<Finding> {
    let checks: [fn(&Root, &Wanted) -> Finding; 16] = [
        cores::layout,
        cores::pinning,
        cores::smt,
        cores::numa,
        limits::cgroup_quota,
        kernel::isolcpus,
        kernel::nohz_full,
        kernel::irqs,
        kernel::governor,
        kernel::c_states,
        kernel::clocksource,
        kernel::huge_pages,
        limits::memlock,
        limits::swap,
        disk::file_system,
        kernel::perf_events,
    ];
    checks.iter().map(|check| check(root, wanted)).collect()
}
