//! `ringfence votes publish|verify|prove|check|export|sample`.

use crate::board::gather::Gather;
use crate::board::recount::recount;
use crate::board::tree::{Proof, Tree};
use crate::board::{Board, Seal, sample};
use crate::say;
use anyhow::{Context as _, ensure};
use clap::{Args, Subcommand};
use ringfence_domains::Domains;
use ringfence_domains::votes::messages::ElectionId;
use ringfence_engine::replay::{From, replay};
use ringfence_journal::Disk;
use ringfence_kernel::Sequence;
use std::path::PathBuf;

/// Publish an election as a board that anyone can check, and check one.
#[derive(Subcommand)]
pub enum Votes {
    /// Print what anyone may read of an election, and the root over it.
    Publish(Publish),
    /// Count a board again, and check its receipts, its roll and its root.
    Verify(Verify),
    /// Print a proof that a ballot is on a board, or that a board only grew.
    Prove(Prove),
    /// Check a proof against a root.
    Check(Check),
    /// Print the ballots of a board as cast-vote records, in CSV.
    Export(File),
    /// Draw ballots for an audit.
    Sample(Sample),
}

/// What to publish.
#[derive(Args)]
pub struct Publish {
    /// The journal's directory. It may be in use.
    dir: PathBuf,
    /// The election.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    election: u32,
    /// Stop after this many commands.
    #[arg(long, value_name = "SEQ", value_parser = clap::value_parser!(u64).range(1..))]
    until: Option<u64>,
}

/// What to verify.
#[derive(Args)]
pub struct Verify {
    /// The board.
    board: PathBuf,
    /// The root it must have, from elsewhere.
    #[arg(long, value_name = "HEX")]
    root: Option<String>,
}

/// What to prove.
#[derive(Args)]
pub struct Prove {
    /// The board.
    board: PathBuf,
    #[command(flatten)]
    what: What,
}

/// A ballot, or a beginning.
#[derive(Args)]
#[group(required = true, multiple = false)]
struct What {
    /// That the ballot with this receipt is on it.
    #[arg(long)]
    receipt: Option<u64>,
    /// That it begins with its first entries, as an earlier board did.
    #[arg(long, value_name = "ENTRIES")]
    since: Option<u64>,
}

/// What to check.
#[derive(Args)]
pub struct Check {
    /// The proof, as `prove` printed it.
    proof: PathBuf,
    /// The root it must lead to, from elsewhere.
    #[arg(long, value_name = "HEX")]
    root: String,
}

/// A board.
#[derive(Args)]
pub struct File {
    /// The board.
    board: PathBuf,
}

/// What to draw.
#[derive(Args)]
pub struct Sample {
    /// The board.
    board: PathBuf,
    /// What the draw hangs on; let it be drawn in public after the board is published.
    #[arg(long)]
    seed: String,
    /// How many ballots.
    #[arg(long)]
    count: usize,
}

impl Votes {
    /// Runs it.
    ///
    /// # Errors
    /// When it cannot be done, or what is checked does not hold; the message says why.
    pub fn run(&self) -> anyhow::Result<()> {
        match self {
            Self::Publish(publish) => publish.run(),
            Self::Verify(verify) => verify.run(),
            Self::Prove(prove) => prove.run(),
            Self::Check(check) => check.run(),
            Self::Export(file) => export(file),
            Self::Sample(sample) => sample.run(),
        }
    }
}

impl Publish {
    fn run(&self) -> anyhow::Result<()> {
        let mut gather = Gather::new(ElectionId(self.election));
        let until = self.until.map(Sequence);
        let replayed = replay::<Domains>(&Disk::handle(), &self.dir, From::Genesis, until, &mut gather)
            .with_context(|| format!("replaying {}", self.dir.display()))?;
        let from = replayed.from;
        ensure!(from == Sequence(0), "the journal begins at {from}: publish while it is whole");
        ensure!(!gather.entries.is_empty(), "the journal has no election {}", self.election);
        let lines = gather.entries.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>()?;
        let seal = Seal { root: Tree::of(&lines).root(), entries: lines.len() as u64 };
        lines.iter().for_each(|line| say!("{line}"));
        say!("{}", serde_json::to_string(&seal)?);
        Ok(())
    }
}

impl Verify {
    fn run(&self) -> anyhow::Result<()> {
        let board = Board::read(&self.board)?;
        board.check_root(self.root.as_deref())?;
        let found = recount(&board)?;
        say!("root      {} of {} entries", board.seal.root, board.seal.entries);
        say!("ballots   {}, each with a receipt, of a roll of {}", found.ballots, found.roll);
        say!("count     {} rows, all as published", found.rows);
        Ok(())
    }
}

impl Prove {
    fn run(&self) -> anyhow::Result<()> {
        let board = Board::read(&self.board)?;
        let tree = board.check_root(None)?;
        let proof = match (self.what.receipt, self.what.since) {
            (Some(receipt), _) => {
                let ballots = board.ballots()?;
                let ballot = ballots.iter().find(|ballot| ballot.receipt == receipt);
                let ballot = ballot.with_context(|| format!("no ballot with receipt {receipt} counts"))?;
                tree.inclusion(ballot.line)
            }
            (None, since) => tree.consistency(since.unwrap_or_default())?,
        };
        say!("{}", serde_json::to_string(&proof)?);
        Ok(())
    }
}

impl Check {
    fn run(&self) -> anyhow::Result<()> {
        let text = std::fs::read_to_string(&self.proof).with_context(|| format!("reading {}", self.proof.display()))?;
        let proof: Proof = serde_json::from_str(&text).context("it is no proof")?;
        let (known, root) = (proof.root(), &self.root);
        ensure!(known == root, "the proof leads to {known}, not to {root}");
        proof.check()?;
        match proof {
            Proof::Inclusion { line, .. } => say!("{line}"),
            Proof::Consistency { old_entries, old_root, .. } => {
                say!("begins with {old_entries} entries of root {old_root}")
            }
        }
        Ok(())
    }
}

/// One row a ballot: what it gives each candidate, empty when nothing.
fn export(file: &File) -> anyhow::Result<()> {
    let board = Board::read(&file.board)?;
    board.check_root(None)?;
    let ballots = board.ballots()?;
    let candidates = ballots.iter().flat_map(|ballot| ballot.marks).map(|(candidate, _)| *candidate).max().unwrap_or(0);
    let columns = (1..=candidates).map(|candidate| format!(",{candidate}")).collect::<String>();
    say!("receipt,weight,region{columns}");
    for ballot in ballots {
        let given = |candidate: u16| ballot.marks.iter().filter(move |(marked, _)| *marked == candidate);
        let cells = (1..=candidates).map(|candidate| {
            let values = given(candidate).map(|(_, value)| value.to_string()).collect::<Vec<_>>();
            format!(",{}", values.join(" "))
        });
        say!("{},{},{}{}", ballot.receipt, ballot.weight, ballot.region, cells.collect::<String>());
    }
    Ok(())
}

impl Sample {
    fn run(&self) -> anyhow::Result<()> {
        let board = Board::read(&self.board)?;
        board.check_root(None)?;
        let ballots = board.ballots()?;
        ensure!(self.count <= ballots.len(), "{} ballots count: {} cannot be drawn", ballots.len(), self.count);
        for (ticket, ballot) in sample::draw(&ballots, &self.seed, self.count) {
            say!("{ticket} {} {}", ballot.receipt, board.lines[ballot.line]);
        }
        Ok(())
    }
}
