//! `ringfence tokens keys|issue|blind|unblind|mix`.

use crate::commands::{Engine, log, stop_flag};
use crate::say;
use anyhow::{Context as _, ensure};
use clap::{Args, Subcommand};
use ringfence_client::Client;
use ringfence_mixer::mixer::{self, Settings};
use ringfence_mixer::registrar;
use ringfence_mixer::token::{self, Blinded, Checking, Signing};
use std::fs::OpenOptions;
use std::io::{BufRead as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Anonymous elections: tokens that a registrar signs without seeing them, and the mixer that casts their ballots.
#[derive(Subcommand)]
pub enum Tokens {
    /// Make the keys of an election: one that signs, for the registrar, and one that checks, for everyone.
    Keys(MakeKeys),
    /// Be the registrar: answer each line of the standard input, whose sender made sure who the voter is. Its client needs
    /// trade.
    Issue(Issue),
    /// Be a voter: make a token, and print what the registrar is to sign.
    Blind(Blind),
    /// Be a voter: print the token, signed, for the mixer.
    Unblind(Unblind),
    /// Be the mixer: take ballots over TCP until SIGTERM, SIGINT or SIGHUP, and cast them mixed. Its client needs
    /// trade.
    Mix(Mix),
}

/// Where the keys go.
#[derive(Args)]
pub struct MakeKeys {
    /// A directory; `signing.pem` and `checking.pem` are written into it, and never over others.
    #[arg(long, default_value = ".")]
    out: PathBuf,
    /// Bits of the key: 2048, 3072 or 4096.
    #[arg(long, default_value_t = 2048)]
    bits: usize,
}

/// What the registrar has.
#[derive(Args)]
pub struct Issue {
    /// The election.
    #[arg(long)]
    election: u32,
    /// The key that signs.
    #[arg(long)]
    key: PathBuf,
    #[command(flatten)]
    engine: Engine,
}

/// What a voter wants.
#[derive(Args)]
pub struct Blind {
    /// The election.
    #[arg(long)]
    election: u32,
    /// The key that checks.
    #[arg(long)]
    key: PathBuf,
    /// Where to keep the token: whoever has it can cast the ballot.
    #[arg(long)]
    keep: PathBuf,
}

/// What a voter has.
#[derive(Args)]
pub struct Unblind {
    /// The key that checks.
    #[arg(long)]
    key: PathBuf,
    /// Where the token is kept.
    #[arg(long)]
    keep: PathBuf,
    /// The registrar's signature.
    #[arg(long, value_name = "HEX")]
    signature: String,
}

/// How ballots are mixed.
#[derive(Args)]
pub struct Mix {
    /// The election.
    #[arg(long)]
    election: u32,
    /// The key that checks.
    #[arg(long)]
    key: PathBuf,
    /// Where voters connect.
    #[arg(long)]
    listen: SocketAddr,
    /// Ballots that are cast together.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    batch: u16,
    /// Seconds that the first of them waits at most.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    wait: u64,
    #[command(flatten)]
    engine: Engine,
}

impl Tokens {
    /// Runs it.
    ///
    /// # Errors
    /// When it cannot be done; the message says why.
    pub fn run(&self) -> anyhow::Result<()> {
        match self {
            Self::Keys(keys) => keys.run(),
            Self::Issue(issue) => issue.run(),
            Self::Blind(blind) => blind.run(),
            Self::Unblind(unblind) => unblind.run(),
            Self::Mix(mix) => mix.run(),
        }
    }
}

/// Writes what only its owner may read, over nothing that is there.
fn keep(path: &Path, text: &str) -> anyhow::Result<()> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
    written.with_context(|| format!("writing {}", path.display()))
}

fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))
}

fn checking(path: &Path) -> anyhow::Result<Checking> {
    Checking::from_pem(&read(path)?).with_context(|| format!("{} is no key that checks", path.display()))
}

impl MakeKeys {
    fn run(&self) -> anyhow::Result<()> {
        let (signing, checking) = token::keys(self.bits)?;
        keep(&self.out.join("signing.pem"), &signing)?;
        keep(&self.out.join("checking.pem"), &checking)
    }
}

impl Issue {
    fn run(&self) -> anyhow::Result<()> {
        let key = Signing::from_pem(&read(&self.key)?).context("it is no key that signs")?;
        let mut client = Client::connect(self.engine.config()?).context("the engine")?;
        for line in std::io::stdin().lock().lines() {
            let answer = registrar::answer(&mut client, &key, self.election, &line?)?;
            say!("{}", serde_json::to_string(&answer)?);
        }
        client.close()?;
        Ok(())
    }
}

impl Blind {
    fn run(&self) -> anyhow::Result<()> {
        let blinded = Blinded::new(self.election, &checking(&self.key)?)?;
        keep(&self.keep, &serde_json::to_string(&blinded)?)?;
        say!("{}", blinded.blinded);
        Ok(())
    }
}

impl Unblind {
    fn run(&self) -> anyhow::Result<()> {
        let blinded: Blinded = serde_json::from_str(&read(&self.keep)?).context("it is no token")?;
        say!("{}", serde_json::to_string(&blinded.unblind(&checking(&self.key)?, &self.signature)?)?);
        Ok(())
    }
}

impl Mix {
    fn run(&self) -> anyhow::Result<()> {
        log()?;
        let key = checking(&self.key)?;
        let listener = TcpListener::bind(self.listen).with_context(|| format!("listening on {}", self.listen))?;
        let settings = Settings {
            election: self.election,
            batch: self.batch.into(),
            wait: Duration::from_secs(self.wait),
            connections: 2 * usize::from(self.batch) + 64,
        };
        ensure!(self.election > 0, "elections are numbered from 1");
        let client = Client::connect(self.engine.config()?).context("the engine")?;
        let stop = stop_flag()?;
        say!("mixing for election {} on {}", self.election, listener.local_addr()?);
        mixer::serve(listener, client, key, settings, &stop)
    }
}
