//! What an operator chooses about an engine, and what of it Genesis fixes for ever.

use crate::idle::IdleStrategy;
use crate::layout::{Layout, LayoutRefused, cores};
use crate::machine::LOGIC_LATEST;
use crate::pipeline::Threads;
use crate::ring::RING_SLOTS;
use ringfence_journal::{Level, Options, SyncMode};
use ringfence_kernel::Registry;
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::registry::DomainInfo;
use ringfence_kernel::system::{Frame, Genesis, GenesisDomain};
use ringfence_kernel::workload::CommandImage;
use ringfence_kernel::{ClientId, RequestId, SessionId, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Threads and rings. May change from start to start.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EngineConfig {
    /// Which thread drives which stages.
    pub layout: Layout,
    /// How a thread waits.
    pub idle: IdleStrategy,
    /// A core for each thread of the layout; empty: none is pinned.
    pub cores: Vec<usize>,
    /// Slots of each ring: a power of two of at least 16,384.
    pub ring_slots: usize,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self { layout: Layout::Auto, idle: IdleStrategy::Backoff, cores: Vec::new(), ring_slots: RING_SLOTS }
    }
}

/// What a command survives before it is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Durability {
    /// The end of the process.
    #[default]
    Cached,
    /// Loss of power.
    Fsync,
}

/// The journal. May change from start to start.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JournalConfig {
    /// Where it is kept.
    pub directory: PathBuf,
    /// What a command survives before it is answered.
    pub level: Durability,
    /// Bytes of each segment to come, in MiB.
    pub segment_mib: u64,
    /// Room below which, with no next segment to be had, commands are refused with `DiskFull`, in MiB.
    pub low_water_mib: u64,
}

impl Default for JournalConfig {
    fn default() -> Self {
        Self { directory: "ringfence.journal".into(), level: Durability::Cached, segment_mib: 64, low_water_mib: 8 }
    }
}

/// What is fixed when a journal is made. A start with other values is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GenesisConfig {
    /// Replies kept for each client, and so requests in flight at most.
    pub reply_window: u32,
    /// Clients that the engine can ever know.
    pub clients_max: u32,
    /// Topics that can ever be published on.
    pub topics_max: u32,
    /// Capacities by domain and name; what is not named has its default. A domain is left out with `domains.NAME =
    /// false`... by not being in `enabled`.
    pub domains: BTreeMap<String, BTreeMap<String, u64>>,
    /// The domains of the journal; empty: all that this build has.
    pub enabled: Vec<String>,
}

impl Default for GenesisConfig {
    fn default() -> Self {
        Self {
            reply_window: 1024,
            clients_max: 4096,
            topics_max: 1 << 20,
            domains: BTreeMap::new(),
            enabled: Vec::new(),
        }
    }
}

/// What may change while the journal lives; a change is a frame of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// Sessions open at once.
    pub sessions_max: u32,
    /// The version of the rules to be in force; never lower than it was.
    pub logic_version: u32,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self { sessions_max: 4096, logic_version: LOGIC_LATEST }
    }
}

/// A configuration that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The layout does not hold on this machine.
    #[error("engine.layout: {0}")]
    Layout(#[from] LayoutRefused),
    /// A value is out of its range.
    #[error("{field} is {value}, but {rule}")]
    Range {
        /// The setting.
        field: &'static str,
        /// What it was set to.
        value: u64,
        /// What it may be.
        rule: String,
    },
    /// This build has no such domain.
    #[error("genesis: this build has no domain {name:?}; it has {known}")]
    UnknownDomain {
        /// The name.
        name: String,
        /// The names that there are.
        known: String,
    },
    /// A capacity is out of its range.
    #[error("genesis.domains.{domain}.{name} is {value}, but it must be from {min} to {max}")]
    Limit {
        /// The domain.
        domain: String,
        /// The limit.
        name: String,
        /// What it was set to.
        value: u64,
        /// The least that it may be.
        min: u64,
        /// The most that it may be.
        max: u64,
    },
    /// The domain has no such limit.
    #[error("genesis.domains.{domain}: no limit {name:?}; there are {known}")]
    UnknownLimit {
        /// The domain.
        domain: String,
        /// The name.
        name: String,
        /// The names that there are.
        known: String,
    },
}

impl EngineConfig {
    /// The threads of this machine.
    ///
    /// # Errors
    /// [`ConfigError`] when layout, waiting and cores do not fit the machine, or a ring is too small.
    pub fn threads(&self) -> Result<Threads, ConfigError> {
        let layout = self.layout.resolve(cores());
        layout.check(self.idle, &self.cores, cores())?;
        if !self.ring_slots.is_power_of_two() || self.ring_slots < RING_SLOTS {
            return Err(range("engine.ring_slots", self.ring_slots as u64, "a power of two of at least 16,384".into()));
        }
        Ok(Threads { layout, idle: self.idle, pinned: self.cores.clone() })
    }
}

fn range(field: &'static str, value: u64, rule: String) -> ConfigError {
    ConfigError::Range { field, value, rule: format!("it must be {rule}") }
}

/// Bytes that a slot may cost in the journal: itself, and a batch of its own.
const JOURNAL_BYTES_PER_SLOT: u64 = 512;

impl JournalConfig {
    /// What the journal is opened with, under `engine`'s threads and rings.
    ///
    /// # Errors
    /// [`ConfigError`] when the low-water mark does not cover what the ring may hold.
    pub fn options(&self, engine: &EngineConfig) -> Result<Options, ConfigError> {
        let layout = engine.layout.resolve(cores());
        let spare_core = layout != Layout::Fused && cores() > layout.threads();
        let ring_bytes = engine.ring_slots as u64 * JOURNAL_BYTES_PER_SLOT;
        if self.low_water_mib << 20 < ring_bytes {
            let rule = format!("at least {} to cover what the ring may hold", ring_bytes.div_ceil(1 << 20));
            return Err(range("journal.low_water_mib", self.low_water_mib, rule));
        }
        if self.low_water_mib * 2 >= self.segment_mib || self.segment_mib > 1024 {
            let rule = format!("above {} (twice journal.low_water_mib) and at most 1024", self.low_water_mib * 2);
            return Err(range("journal.segment_mib", self.segment_mib, rule));
        }
        Ok(Options {
            level: self.level.into(),
            sync: if spare_core { SyncMode::Thread } else { SyncMode::Inline },
            segment_bytes: self.segment_mib << 20,
            low_water_bytes: self.low_water_mib << 20,
            ..Options::default()
        })
    }
}

impl From<Durability> for Level {
    fn from(durability: Durability) -> Self {
        match durability {
            Durability::Cached => Self::Cached,
            Durability::Fsync => Self::Fsync,
        }
    }
}

impl GenesisConfig {
    /// The Genesis frame of a journal with these limits and the domains of `R`.
    ///
    /// # Errors
    /// [`ConfigError`] when a domain or a limit is unknown, or a value is out of range.
    pub fn frame<R: Registry>(
        &self,
        limits: &LimitsConfig,
        journal: u64,
        now: Timestamp,
    ) -> Result<CommandImage, ConfigError> {
        let genesis = Genesis {
            journal,
            logic: limits.logic_version,
            reply_window: self.reply_window,
            clients_max: self.clients_max,
            sessions_max: limits.sessions_max,
            topics_max: self.topics_max,
            reserved: Reserved::default(),
        };
        let bound = |field, value: u32, max: u64| match u64::from(value) {
            value if (1..=max).contains(&value) => Ok(()),
            value => Err(range(field, value, format!("from 1 to {max}"))),
        };
        bound("genesis.reply_window", self.reply_window, 1 << 20)?;
        bound("genesis.clients_max", self.clients_max, 1 << 24)?;
        bound("genesis.topics_max", self.topics_max, 1 << 28)?;
        bound("limits.sessions_max", limits.sessions_max, u32::MAX.into())?;
        bound("limits.logic_version", limits.logic_version, LOGIC_LATEST.into())?;
        let domains = self.entries::<R>()?;
        self.check_topics::<R>(&domains)?;
        let mut image = CommandImage::default();
        image.set(ClientId(0), Frame::Genesis(&genesis, &domains));
        image.stamp(SessionId(0), RequestId(0), now);
        Ok(image)
    }

    /// Every topic that can come to be must have its place: an event cannot be refused once it is decided.
    fn check_topics<R: Registry>(&self, domains: &[GenesisDomain]) -> Result<(), ConfigError> {
        let infos = domains.iter().map(|entry| (R::DOMAINS.iter().find(|info| info.id == entry.domain), entry));
        let published = infos.filter_map(|(info, entry)| (info?.topics)(entry).ok()).fold(0, u64::saturating_add);
        let accounts = u64::from(self.clients_max) * domains.len() as u64;
        let needed = published.saturating_add(accounts);
        if needed > u64::from(self.topics_max) {
            let rule = format!("at least {needed}: the domains' topics, and an account's for each client and domain");
            return Err(range("genesis.topics_max", self.topics_max.into(), rule));
        }
        Ok(())
    }

    fn entries<R: Registry>(&self) -> Result<Vec<GenesisDomain>, ConfigError> {
        let known = || R::DOMAINS.iter().map(|info| info.name).collect::<Vec<_>>().join(", ");
        for name in self.enabled.iter().chain(self.domains.keys()) {
            if !R::DOMAINS.iter().any(|info| info.name == name) {
                return Err(ConfigError::UnknownDomain { name: name.clone(), known: known() });
            }
        }
        let enabled = |info: &&DomainInfo| self.enabled.is_empty() || self.enabled.iter().any(|name| name == info.name);
        R::DOMAINS.iter().filter(enabled).map(|info| self.entry(info)).collect()
    }

    fn entry(&self, info: &DomainInfo) -> Result<GenesisDomain, ConfigError> {
        let set = self.domains.get(info.name);
        for name in set.into_iter().flat_map(BTreeMap::keys) {
            if !info.limits.iter().any(|limit| limit.name == name) {
                let known = info.limits.iter().map(|limit| limit.name).collect::<Vec<_>>().join(", ");
                return Err(ConfigError::UnknownLimit { domain: info.name.into(), name: name.clone(), known });
            }
        }
        let mut values = Vec::with_capacity(info.limits.len());
        for limit in info.limits {
            let value = set.and_then(|set| set.get(limit.name)).copied().unwrap_or(limit.default);
            if !limit.range.contains(&value) {
                let (name, domain, range) = (limit.name.into(), info.name.into(), limit.range.clone());
                return Err(ConfigError::Limit { domain, name, value, min: *range.start(), max: *range.end() });
            }
            values.push(value);
        }
        Ok(info.genesis(&values))
    }
}
