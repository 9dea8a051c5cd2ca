//! The `ringfence` command. `main` parses and hands over; each command is a file.

use clap::{Parser, Subcommand};
use ringfence::doctor::{Root, instructions};
use std::io::Write as _;
use std::process::ExitCode;

/// A deterministic, in-memory engine: one sequenced log, one thread of decisions.
#[derive(Parser)]
#[command(version, about, max_term_width = 110)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run an engine until SIGTERM or SIGINT.
    Serve(ringfence::commands::serve::Serve),
    /// Show the engine at work, kill it, and prove that nothing was lost.
    Demo(ringfence::commands::demo::Demo),
    /// Send others' data through a running engine.
    #[command(subcommand)]
    Feed(ringfence::commands::feed::Feed),
    /// Serve terminals and networks that speak ISO 8583, before a running engine.
    #[command(subcommand)]
    Iso8583(ringfence::commands::iso8583::Iso8583),
    /// Serve traders that speak OUCH, and readers of ITCH, before a running engine.
    #[command(subcommand)]
    Nasdaq(ringfence::commands::nasdaq::Nasdaq),
    /// Answer OpenRTB 2.6 bid requests over HTTP/1.1, as a client of a running engine.
    Openrtb(ringfence::commands::openrtb::Openrtb),
    /// Hold a day of auctions at others' prices, and print what pacing by plan and by feedback spends.
    Pacing(ringfence::commands::pacing::Pacing),
    /// Show what an engine is doing, live.
    Top(ringfence::commands::top::Top),
    /// Say what the machine gives an engine, and what of it is in effect.
    Doctor(ringfence::commands::doctor::Doctor),
    /// Replay a journal and report the state it leads to.
    Replay(ringfence::commands::replay::Replay),
    /// Write a snapshot by replaying a journal.
    Snapshot(ringfence::commands::snapshot::Snapshot),
    /// Inspect a journal.
    #[command(subcommand)]
    Journal(ringfence::commands::journal::Journal),
    /// Publish an election, and check what was published.
    #[command(subcommand)]
    Votes(ringfence::commands::votes::Votes),
    /// Anonymous elections: issue tokens, and mix the ballots that they cast.
    #[command(subcommand)]
    Tokens(ringfence::commands::tokens::Tokens),
    /// Measure, and compare what was measured.
    Bench(ringfence_benches::cli::Bench),
}

fn main() -> ExitCode {
    let missing = instructions::missing(&Root::machine());
    if !missing.is_empty() {
        let missing = missing.join(", ");
        let _ = writeln!(
            std::io::stderr(),
            "ringfence: this processor has no {missing}; build with RUSTFLAGS=\"-C target-cpu=x86-64\""
        );
        return ExitCode::FAILURE;
    }
    let done = match Cli::parse().command {
        Command::Serve(serve) => serve.run(),
        Command::Demo(demo) => demo.run(),
        Command::Feed(feed) => feed.run(),
        Command::Iso8583(iso8583) => iso8583.run(),
        Command::Nasdaq(nasdaq) => nasdaq.run(),
        Command::Openrtb(openrtb) => openrtb.run(),
        Command::Pacing(pacing) => pacing.run(),
        Command::Top(top) => top.run(),
        Command::Doctor(doctor) => doctor.run(),
        Command::Replay(replay) => replay.run(),
        Command::Snapshot(snapshot) => snapshot.run(),
        Command::Journal(journal) => journal.run(),
        Command::Votes(votes) => votes.run(),
        Command::Tokens(tokens) => tokens.run(),
        Command::Bench(bench) => bench.run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "ringfence: {}", causes(&error));
            ExitCode::FAILURE
        }
    }
}

/// What went wrong and why, each cause once: some errors repeat theirs.
fn causes(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |said, cause| match said.as_str() {
        "" => cause,
        said if said.contains(&cause) => said.into(),
        said => format!("{said}: {cause}"),
    })
}
