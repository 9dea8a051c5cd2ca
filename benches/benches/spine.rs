//! `cargo bench -p ringfence-benches --bench spine -- [SUBJECT …]`: what `ringfence bench` measures; all of the spine
//! when no subject is named.

use clap::Parser;
use ringfence_benches::cli::Bench;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    bench: Bench,
}

fn main() -> anyhow::Result<()> {
    // Cargo adds a word of its own.
    let mut words = std::env::args().filter(|word| word != "--bench").collect::<Vec<_>>();
    if words.len() == 1 {
        words.push("spine".into());
    }
    Cli::parse_from(words).bench.run()
}
