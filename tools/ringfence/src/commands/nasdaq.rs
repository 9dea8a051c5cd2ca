//! `ringfence nasdaq`: the gateway of SoupBinTCP, OUCH and ITCH, a client of a running engine.

use crate::commands::{Engine, log, stop_flag};
use crate::say;
use anyhow::Context as _;
use clap::{Args, Subcommand};
use ringfence_client::{Client, Config};
use ringfence_nasdaq::server::{Server, Settings};
use serde::Deserialize;
use signal_hook::consts::SIGUSR1;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tracing::info;

/// Serve traders that speak OUCH, and readers of ITCH, over SoupBinTCP.
#[derive(Subcommand)]
pub enum Nasdaq {
    /// Serve until SIGTERM, SIGINT or SIGHUP, before a running engine. SIGUSR1 ends the session.
    Serve(Serve),
}

/// Serve until SIGTERM, SIGINT or SIGHUP, before a running engine. SIGUSR1 ends the session.
#[derive(Args)]
pub struct Serve {
    /// The configuration file.
    #[arg(long, short, env = "RINGFENCE_NASDAQ")]
    config: PathBuf,
}

/// The configuration file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// As whom to follow instruments: it needs observe, and administer where the gateway switches on streams of orders.
    engine: Engine,
    gateway: Settings,
}

impl Nasdaq {
    /// Runs it.
    ///
    /// # Errors
    /// When it cannot be done; the message says why.
    pub fn run(&self) -> anyhow::Result<()> {
        match self {
            Self::Serve(serve) => serve.run(),
        }
    }
}

impl Serve {
    fn run(&self) -> anyhow::Result<()> {
        log()?;
        let text = std::fs::read_to_string(&self.config);
        let text = text.with_context(|| format!("reading {}", self.config.display()))?;
        let File { engine, gateway } = parse(&text).with_context(|| self.config.display().to_string())?;
        // An engine that is started again is waited for, however long that takes.
        let patient = |config| Config {
            give_up_after: Duration::MAX,
            connect_timeout: Duration::from_secs(1),
            keeps_numbers: true,
            ..config
        };
        let connect = |client| anyhow::Ok(Client::connect(patient(engine.config_of(client)?))?);
        let market = (connect(engine.client)?, engine.client);
        let accounts = gateway.accounts.iter().map(|account| connect(account.client)).collect::<Result<_, _>>()?;
        let mut server = Server::new(gateway, market, accounts)?;
        let (stop, end) = (stop_flag()?, Arc::new(AtomicBool::new(false)));
        signal_hook::flag::register(SIGUSR1, Arc::clone(&end)).context("waiting for signals")?;
        while !server.is_ready() && !stop.load(Ordering::Relaxed) {
            server.step(Duration::from_millis(100))?;
        }
        let (ouch, itch) = server.addresses()?;
        say!("nasdaq listens on {ouch} for OUCH and on {itch} for ITCH");
        std::io::stdout().flush()?;
        while !stop.load(Ordering::Relaxed) {
            if end.swap(false, Ordering::Relaxed) {
                server.end_session()?;
            }
            server.step(Duration::from_millis(100))?;
        }
        server.sync()?;
        info!("stopped");
        Ok(())
    }
}

/// Reads the configuration. An error names the line and does not show it: there may be a password in it.
fn parse(text: &str) -> anyhow::Result<File> {
    toml::from_str(text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = 1 + before.matches('\n').count();
        anyhow::anyhow!("line {line}: {}", error.message())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards against passwords that are printed when the configuration is wrong.
    #[test]
    fn an_error_of_the_configuration_shows_no_password() {
        let text = "[gateway]\n[[gateway.accounts]]\nusername = \"ALPHA\"\npassword = \"far-too-long-a-secret\"\n";
        for text in [text.to_owned(), text.replace("long-a-secret\"", "long-a-secret")] {
            let error = format!("{:#}", parse(&text).map(drop).expect_err("it is wrong"));
            assert!(error.starts_with("line 4: ") && !error.contains("secret"), "{error}");
        }
    }
}
