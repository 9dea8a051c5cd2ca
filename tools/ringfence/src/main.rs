//! The `ringfence` command. `main` parses and hands over; each command is a file.

mod commands;
mod config;
mod describe;
mod progress;

use clap::{Parser, Subcommand};

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
    Serve(commands::serve::Serve),
    /// Show the engine at work, kill it, and prove that nothing was lost.
    Demo(commands::demo::Demo),
    /// Send others' data through a running engine.
    #[command(subcommand)]
    Feed(commands::feed::Feed),
    /// Replay a journal and report the state it leads to.
    Replay(commands::replay::Replay),
    /// Write a snapshot by replaying a journal.
    Snapshot(commands::snapshot::Snapshot),
    /// Inspect a journal.
    #[command(subcommand)]
    Journal(commands::journal::Journal),
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Serve(serve) => serve.run(),
        Command::Demo(demo) => demo.run(),
        Command::Feed(feed) => feed.run(),
        Command::Replay(replay) => replay.run(),
        Command::Snapshot(snapshot) => snapshot.run(),
        Command::Journal(journal) => journal.run(),
    }
}
