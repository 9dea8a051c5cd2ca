//! The long proofs, by name. CI runs the same bodies with small seeds; here they are long, and what they saw is kept.

use anyhow::{Context, Result, bail};
use serde_json::json;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// One proof: tests of a package that grow when `RINGFENCE_PROVE=1`.
#[derive(Clone, Copy, Debug)]
pub struct Proof {
    /// What it is called.
    pub name: &'static str,
    /// What it shows.
    pub shows: &'static str,
    /// The package whose tests it runs.
    pub package: &'static str,
    /// Which of its tests: a part of their names.
    pub filter: &'static str,
}

/// All proofs. A new one is a line.
pub const PROOFS: &[Proof] = &[
    Proof {
        name: "matching-laws",
        shows: "matching agrees with its slow twin on over 10⁶ seeded commands of five kinds, capacities included",
        package: "ringfence-domains",
        filter: "agrees_with_the_model",
    },
    Proof {
        name: "matching-invariants",
        shows: "no book is crossed, every sum is right, quantity is conserved",
        package: "ringfence-domains",
        filter: "prove_invariants",
    },
    Proof {
        name: "fuzz-bodies",
        shows: "the bodies of the fuzz targets hold on seeded bytes",
        package: "ringfence-domains",
        filter: "prove_fuzz_bodies",
    },
];

/// Runs the proofs whose names contain `only`, one after another, and appends a line for each to `docs/proofs.ndjson`.
///
/// # Errors
/// When one fails; those after it are run all the same.
pub fn run(root: &Path, only: &str) -> Result<()> {
    let mut failed = Vec::new();
    let mut ran = 0;
    for proof in PROOFS.iter().filter(|proof| proof.name.contains(only)) {
        println!("{}: {}", proof.name, proof.shows);
        let start = Instant::now();
        let output = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".into()))
            .args(["test", "--release", "--package", proof.package, proof.filter])
            .env("RINGFENCE_PROVE", "1")
            .current_dir(root)
            .output()
            .context("cargo could not be started")?;
        let seconds = start.elapsed().as_secs_f64();
        let said = String::from_utf8_lossy(&output.stdout);
        let count = passed(&said);
        // A filter that no test matches proves nothing.
        let holds = output.status.success() && count > 0;
        if !holds {
            println!("{said}{}", String::from_utf8_lossy(&output.stderr));
            failed.push(proof.name);
        }
        ran += 1;
        println!("{}: {} tests in {seconds:.1} s, {}", proof.name, count, if holds { "held" } else { "FAILED" });
        keep(root, proof, count, seconds, holds)?;
    }
    if ran == 0 {
        bail!("no proof is named like {only:?}");
    }
    if failed.is_empty() { Ok(()) } else { bail!("failed: {}", failed.join(", ")) }
}

/// Tests that passed, by what the test harness says.
fn passed(said: &str) -> u64 {
    let results = said.lines().filter_map(|line| line.strip_prefix("test result: "));
    results.filter_map(|line| line.split_once(". ")?.1.split_once(" passed")?.0.parse::<u64>().ok()).sum()
}

fn keep(root: &Path, proof: &Proof, count: u64, seconds: f64, holds: bool) -> Result<()> {
    let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let line = json!({
        "proof": proof.name,
        "shows": proof.shows,
        "count": count,
        "seconds": (seconds * 10.0).round() / 10.0,
        "result": if holds { "held" } else { "failed" },
        "time": time,
    });
    let path = root.join("docs/proofs.ndjson");
    let mut file = OpenOptions::new().create(true).append(true).open(&path).context("docs/proofs.ndjson")?;
    writeln!(file, "{line}")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards against a proof that passes because it ran nothing.
    #[test]
    fn tests_that_passed_are_counted() {
        let said = "test result: ok. 6 passed; 0 failed; 0 ignored\n\ntest result: ok. 0 passed; 0 failed";
        assert_eq!(passed(said), 6);
        assert_eq!(passed("nothing ran"), 0);
    }
}
