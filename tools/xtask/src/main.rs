//! Habits of the repository: `cargo xtask --help` lists them.

use anyhow::{Result, bail};
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "xtask", about = "Habits of the repository")]
struct Arguments {
    #[command(subcommand)]
    habit: Habit,
}

#[derive(Subcommand)]
enum Habit {
    /// Write the XML schemas, golden vectors and the table of codes into docs/protocol
    Schema {
        /// Write nothing; fail when a file is not what it would be
        #[arg(long)]
        check: bool,
    },
    /// Check the bans of docs/determinism.md and the rules of the house
    Tidy,
    /// Run the long proofs and append what they saw to docs/proofs.ndjson
    Prove {
        /// Only proofs whose names contain this
        only: Option<String>,
        /// List the proofs and run none
        #[arg(long)]
        list: bool,
    },
}

fn main() -> Result<()> {
    let root = xtask::root();
    match Arguments::parse().habit {
        Habit::Schema { check: true } => {
            let drift = xtask::schema::drift(&root)?;
            drift.iter().for_each(|line| println!("{line}"));
            if !drift.is_empty() {
                bail!("docs/protocol is not what the messages say: run `cargo xtask schema`");
            }
        }
        Habit::Schema { check: false } => println!("{} files written", xtask::schema::write(&root)?),
        Habit::Tidy => {
            let report = xtask::tidy::look(&root)?;
            println!("{}", report.lengths);
            report.faults.iter().for_each(|fault| println!("{fault}"));
            if !report.faults.is_empty() {
                bail!("{} faults", report.faults.len());
            }
        }
        Habit::Prove { list: true, .. } => {
            xtask::prove::PROOFS.iter().for_each(|proof| println!("{:<24} {}", proof.name, proof.shows));
        }
        Habit::Prove { only, list: false } => xtask::prove::run(&root, only.as_deref().unwrap_or(""))?,
    }
    Ok(())
}
