//! The configuration of `serve`: a TOML file, then the environment (`RINGFENCE_ENGINE__LAYOUT=fused`), then flags.

use anyhow::Context as _;
use figment::Figment;
use figment::providers::{Env, Serialized};
use ringfence_engine::config::{EngineConfig, GenesisConfig, JournalConfig, LimitsConfig};
use ringfence_gateway::GatewayConfig;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Everything that `serve` is told. `docs/operations.md` explains each setting.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Threads and rings.
    pub engine: EngineConfig,
    /// The journal.
    pub journal: JournalConfig,
    /// What is fixed when the journal is made.
    pub genesis: GenesisConfig,
    /// What may change while it lives.
    pub limits: LimitsConfig,
    /// Sockets and sessions.
    pub gateway: GatewayConfig,
    /// Snapshots by the process beside the engine.
    pub snapshot: SnapshotConfig,
    /// The engine's memory.
    pub memory: MemoryConfig,
    /// Counters that other processes read.
    pub counters: CountersConfig,
    /// Who may log on.
    pub keys: KeysConfig,
}

/// The engine's memory.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MemoryConfig {
    /// Whether it is locked: what was touched once stays. It needs a process that may lock without a limit.
    pub lock: bool,
}

/// Counters that other processes read.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CountersConfig {
    /// Whether there are any.
    pub enabled: bool,
    /// Their file; none: `counters` in the journal's directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// One command in so many is timed on its way: a power of two.
    pub sample_every: u64,
}

impl Default for CountersConfig {
    fn default() -> Self {
        Self { enabled: true, file: None, sample_every: 64 }
    }
}

/// Snapshots by the process beside the engine.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SnapshotConfig {
    /// Seconds between two snapshots; 0: none but that of a clean stop.
    pub interval_seconds: u64,
    /// Snapshots kept. What only older ones need is deleted, segments included; 0: everything is kept.
    pub keep: usize,
}

impl Default for SnapshotConfig {
    fn default() -> Self {
        Self { interval_seconds: 300, keep: 0 }
    }
}

/// Who may log on.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KeysConfig {
    /// The keys file.
    pub file: PathBuf,
}

impl Default for KeysConfig {
    fn default() -> Self {
        Self { file: "ringfence.keys.toml".into() }
    }
}

/// The environment's settings start with this, and have two underscores between their parts: `RINGFENCE_LOG` is none.
const PREFIX: &str = "RINGFENCE_";

impl Config {
    /// Defaults, under the file, under the environment, under `flags`.
    pub fn load(file: Option<&Path>, flags: &[(&str, Option<String>)]) -> anyhow::Result<Self> {
        let mut figment = Figment::from(Serialized::defaults(Self::default()));
        if let Some(file) = file {
            let text = std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
            // Read strictly by itself first: this error names the line.
            toml::from_str::<Self>(&text).with_context(|| format!("in {}", file.display()))?;
            let table: toml::Table = toml::from_str(&text)?;
            figment = figment.merge(Serialized::globals(table));
        }
        figment = figment.merge(Env::prefixed(PREFIX).filter(|key| key.as_str().contains("__")).split("__"));
        for (key, value) in flags {
            if let Some(value) = value {
                // A number stays a number: what TOML would read as one.
                let value = value.parse::<u64>().map_or_else(|_| value.clone().into(), figment::value::Value::from);
                figment = figment.merge(Serialized::default(key, value));
            }
        }
        figment.extract().context("the configuration cannot be read")
    }
}
