//! `ringfence iso8583`: the gateway of ISO 8583, a client of a running engine; and what its keys and cards need.

use crate::commands::{Engine, log, stop_flag};
use crate::say;
use anyhow::{Context as _, ensure};
use base16ct::mixed::decode_vec as unhex;
use base16ct::upper::encode_string as hex;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use ringfence_client::{Client, Config};
use ringfence_iso8583::security::{Pan, Pin, PinReference, Purpose, SecurityModule as _, SoftwareModule, WrappedKey};
use ringfence_iso8583::server::{Server, Settings};
use serde::Deserialize;
use std::io::{BufRead as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tracing::info;
use zeroize::Zeroizing;

/// Serve terminals and networks that speak ISO 8583, and prepare keys and cards.
#[derive(Subcommand)]
pub enum Iso8583 {
    /// Serve until SIGTERM, SIGINT or SIGHUP, before a running engine.
    Serve(Serve),
    /// Wrap a key, given in hexadecimal digits on the standard input, under the master key.
    Wrap(Wrap),
    /// Say for each card of the standard input, `NUMBER PIN` a line, what the engine is told of it.
    Card(Card),
}

/// Serve until SIGTERM, SIGINT or SIGHUP, before a running engine. The security module is the one in software.
#[derive(Args)]
pub struct Serve {
    /// The configuration file.
    #[arg(long, short, env = "RINGFENCE_ISO8583")]
    config: PathBuf,
}

/// Wrap a key, given in hexadecimal digits on the standard input, under the master key.
#[derive(Args)]
pub struct Wrap {
    /// The file of the master key: 64 hexadecimal digits.
    #[arg(long)]
    master: PathBuf,
    /// What the key is for.
    #[arg(long, value_parser = purposes())]
    purpose: Purpose,
}

/// Say for each card of the standard input, `NUMBER PIN` a line: its token, its last four digits, its PIN reference.
#[derive(Args)]
pub struct Card {
    /// The gateway's configuration file.
    #[arg(long, short, env = "RINGFENCE_ISO8583")]
    config: PathBuf,
    /// The index of the key of a PVV, or an IBM 3624 offset without one.
    #[arg(long)]
    pvv: Option<u8>,
}

/// How long it goes on after a signal to take back what was not answered in time.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// The configuration file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// The file of the master key.
    master: PathBuf,
    /// As whom to log on: it needs trade and observe, and administer where a message may begin a date.
    engine: Engine,
    gateway: Settings,
}

impl Iso8583 {
    /// Runs it.
    ///
    /// # Errors
    /// When it cannot be done; the message says why.
    pub fn run(&self) -> anyhow::Result<()> {
        match self {
            Self::Serve(serve) => serve.run(),
            Self::Wrap(wrap) => wrap.run(),
            Self::Card(card) => card.run(),
        }
    }
}

impl File {
    fn read(path: &Path) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        toml::from_str(&text).with_context(|| path.display().to_string())
    }

    fn module(&self) -> anyhow::Result<SoftwareModule> {
        let decimalization = self.gateway.decimalization().context("gateway.natural_pin cannot be so")?;
        Ok(SoftwareModule::new(*master(&self.master)?, decimalization))
    }
}

/// Reads what a key is for, by its name.
fn purposes() -> impl TypedValueParser<Value = Purpose> {
    PossibleValuesParser::new(Purpose::ALL.map(|(name, _)| name))
        .map(|name| Purpose::named(&name).expect("only names are possible"))
}

fn master(path: &Path) -> anyhow::Result<Zeroizing<[u8; 32]>> {
    let text = std::fs::read_to_string(path).map(Zeroizing::new);
    let text = text.with_context(|| format!("reading {}", path.display()))?;
    let key = unhex(text.trim()).ok().map(Zeroizing::new).filter(|key| key.len() == 32);
    let key = key.with_context(|| format!("{}: a master key is 64 hexadecimal digits", path.display()))?;
    Ok(Zeroizing::new(key[..].try_into()?))
}

impl Serve {
    fn run(&self) -> anyhow::Result<()> {
        log()?;
        let file = File::read(&self.config)?;
        let module = file.module()?;
        // An engine that is started again is waited for, however long that takes.
        let (engine, patience) = (file.engine.config()?, Duration::from_secs(1));
        // Terminals and issuers wait while it is tried.
        let config =
            Config { give_up_after: Duration::MAX, connect_timeout: patience, logon_timeout: patience, ..engine };
        let mut server = Server::new(file.gateway, module, Client::connect(config)?)?;
        let stop = stop_flag()?;
        while !server.is_ready() && !stop.load(Ordering::Relaxed) {
            server.step(Duration::from_millis(100))?;
        }
        say!("iso8583 listens on {}", server.address()?);
        std::io::stdout().flush()?;
        while !stop.load(Ordering::Relaxed) {
            server.step(Duration::from_millis(100))?;
        }
        server.finish(STOP_WITHIN)?;
        info!(counts = ?server.counts(), "stopped");
        Ok(())
    }
}

impl Wrap {
    fn run(&self) -> anyhow::Result<()> {
        let mut line = Zeroizing::new(String::new());
        std::io::stdin().lock().read_line(&mut line)?;
        let key = unhex(line.trim()).ok().map(Zeroizing::new).context("a key is pairs of hexadecimal digits")?;
        let module = SoftwareModule::new(*master(&self.master)?, Settings::no_decimalization());
        say!("{}", hex(&module.wrap(self.purpose, &key)?.bytes));
        Ok(())
    }
}

impl Card {
    fn run(&self) -> anyhow::Result<()> {
        let file = File::read(&self.config)?;
        let module = file.module()?;
        let key = |purpose, bytes: &[u8]| WrappedKey { purpose, bytes: bytes.to_vec() };
        let token_key = key(Purpose::Token, file.gateway.keys.token.bytes());
        let pin_key = key(Purpose::PinVerification, file.gateway.keys.pin_verification.bytes());
        let like = match self.pvv {
            Some(index) => PinReference::Pvv { index, value: *b"0000" },
            None => PinReference::Offset(Vec::new()),
        };
        for line in std::io::stdin().lock().lines() {
            let line = Zeroizing::new(line?);
            let mut words = line.split_whitespace();
            let (Some(number), Some(pin), None) = (words.next(), words.next(), words.next()) else {
                anyhow::bail!("a line is a card's number and its PIN");
            };
            ensure!(number.len() >= 12, "a card number is 12 to 19 digits");
            let (pan, pin) = (Pan::new(number.as_bytes())?, Pin::new(pin.as_bytes())?);
            let reference = module.reference_of(&pin_key, &pin, &pan, &like)?.to_text();
            let token = hex(&module.token(&token_key, &pan)?);
            say!("{token} {} {}", &number[number.len() - 4..], reference.escape_ascii());
        }
        Ok(())
    }
}
