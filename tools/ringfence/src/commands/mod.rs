//! One file, one command.

pub mod demo;
pub mod doctor;
pub mod feed;
pub mod iso8583;
pub mod journal;
pub mod nasdaq;
pub mod openrtb;
pub mod pacing;
pub mod replay;
mod scenes;
pub mod serve;
pub mod snapshot;
pub mod tokens;
pub mod top;
pub mod votes;

use anyhow::{Context as _, ensure};
use clap::Args;
use ringfence_client::{Client, Config};
use ringfence_domains::Domains;
use ringfence_domains::matching::messages::Event;
use ringfence_gateway::Keys;
use ringfence_kernel::image::{flag, kind};
use ringfence_kernel::{ClientId, Registry as _};
use serde::Deserialize;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};
use tracing_subscriber::EnvFilter;

/// How a command reaches a running engine.
#[derive(Args, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Engine {
    /// Where the engine listens.
    #[arg(long, default_value = "127.0.0.1:7201")]
    address: SocketAddr,
    /// Which client of the keys file to be.
    #[arg(long, default_value_t = 1)]
    client: u32,
    /// The engine's keys file.
    #[arg(long, default_value = "ringfence.keys.toml")]
    keys: PathBuf,
}

impl Engine {
    /// How its client connects.
    fn config(&self) -> anyhow::Result<Config> {
        self.config_of(self.client)
    }

    /// How another client of the keys file connects.
    fn config_of(&self, client: u32) -> anyhow::Result<Config> {
        let (keys, client) = (read_keys(&self.keys)?, ClientId(client));
        let key = keys.key(client).with_context(|| format!("the keys file names no client {client}"))?;
        Ok(Config::new(self.address, client, key))
    }
}

/// What is logged goes to standard error, as `RINGFENCE_LOG` says.
fn log() -> anyhow::Result<()> {
    let filter = match std::env::var("RINGFENCE_LOG") {
        Ok(filter) => filter.parse::<EnvFilter>().context("RINGFENCE_LOG")?,
        Err(_) => "info".into(),
    };
    let ansi = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(ansi).with_writer(std::io::stderr).init();
    Ok(())
}

/// A flag that signals to end set.
fn stop_flag() -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT, SIGHUP] {
        signal_hook::flag::register(signal, Arc::clone(&stop)).context("waiting for signals")?;
    }
    Ok(stop)
}

/// Reads a keys file, whose roles are of this build's domains.
fn read_keys(path: &Path) -> anyhow::Result<Keys> {
    let domains = Domains::DOMAINS.iter().map(|info| (info.name, info.id)).collect::<Vec<_>>();
    Ok(Keys::read(path, &domains)?)
}

/// Takes in one snapshot, to its end.
fn take_snapshot(client: &mut Client, mut part: impl FnMut(Event<'_>)) -> anyhow::Result<()> {
    let deadline = Instant::now() + Duration::from_secs(30);
    while Instant::now() < deadline {
        let Some(output) = client.poll(Duration::from_millis(100))? else { continue };
        ensure!(output.header.kind != kind::REJECT, "the subscription was refused: {:?}", output.rejected());
        if output.header.kind == kind::SNAPSHOT && output.header.flags & flag::LAST != 0 {
            return Ok(());
        }
        if output.header.kind == kind::SNAPSHOT {
            part(output.decode()?);
        }
    }
    anyhow::bail!("no snapshot came")
}
