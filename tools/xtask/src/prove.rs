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
        shows: "matching agrees with its slow twin on over 10⁷ seeded commands of seventeen kinds, capacities and invariants included",
        package: "ringfence-domains",
        filter: "matching::tests::prove",
    },
    Proof {
        name: "matching-invariants",
        shows: "no book is crossed, every sum is right, quantity is conserved",
        package: "ringfence-domains",
        filter: "prove_invariants",
    },
    Proof {
        name: "atm-laws",
        shows: "atm agrees with its slow twin on over 10⁷ seeded commands, and with every capacity reached",
        package: "ringfence-domains",
        filter: "atm_is_as_the_model",
    },
    Proof {
        name: "atm-conservation",
        shows: "money and notes are conserved at every sequence, every code and every event reached",
        package: "ringfence-domains",
        filter: "prove_atm_conserves",
    },
    Proof {
        name: "atm-network",
        shows: "1,000 terminals over a link that loses, repeats and reorders, rebooting: cash out is cash debited, to the note",
        package: "ringfence-domains",
        filter: "prove_atm_network",
    },
    Proof {
        name: "auction-laws",
        shows: "auctions agree with their slow twin on over 10⁷ seeded commands, days, caps, flights and capacities included",
        package: "ringfence-domains",
        filter: "auctions_agree_with_the_model",
    },
    Proof {
        name: "auction-budgets",
        shows: "at every place of the log no budget is overspent, every sum is right, the ledger is zero",
        package: "ringfence-domains",
        filter: "prove_no_cent_is_overspent",
    },
    Proof {
        name: "votes-laws",
        shows: "votes agrees with its slow twin, every method and window included, and with every capacity reached",
        package: "ringfence-domains",
        filter: "votes_agree_with_the_model",
    },
    Proof {
        name: "votes-elections",
        shows: "10⁶ random elections by every method, counted as the slow twin counts, and with what every count must keep",
        package: "ringfence-domains",
        filter: "prove_random_elections",
    },
    Proof {
        name: "scotland",
        shows: "158 wards sent as ballots over TCP: every cell of every stage is as published, to the fifth decimal",
        package: "ringfence",
        filter: "prove_scotland",
    },
    Proof {
        name: "fuzz-bodies",
        shows: "the bodies of the fuzz targets hold on seeded bytes",
        package: "ringfence-domains",
        filter: "prove_fuzz_bodies",
    },
    Proof {
        name: "journal-kills",
        shows: "500 SIGKILLs of a writer process: nothing it acknowledged is lost, nothing else appears",
        package: "ringfence-journal",
        filter: "what_a_killed_writer",
    },
    Proof {
        name: "journal-crash-images",
        shows: "power cuts at every call, with sampled subsets of unsynced sectors, lose nothing durable",
        package: "ringfence-journal",
        filter: "a_power_cut",
    },
    Proof {
        name: "journal-damage",
        shows: "every truncation, flipped bit, torn sector and subset of a commit: a correct prefix, or refused by place",
        package: "ringfence-journal",
        filter: "every_",
    },
    Proof {
        name: "power-cuts",
        shows: "no reply of a whole engine precedes its sync; any mixture of unsynced sectors leaves every answer",
        package: "ringfence-engine",
        filter: "prove_no_reply_precedes_its_sync",
    },
    Proof {
        name: "failed-calls",
        shows: "EIO and ENOSPC at every storage call of an engine's run lose no answer",
        package: "ringfence-engine",
        filter: "prove_a_failed_call_loses_no_answer",
    },
    Proof {
        name: "flipped-bits",
        shows: "a flipped bit of the journal changes no answer: it is refused, or what stands before it is recovered",
        package: "ringfence-engine",
        filter: "prove_a_flipped_bit_changes_no_answer",
    },
    Proof {
        name: "resent",
        shows: "what is sent again after a restart is executed once",
        package: "ringfence-engine",
        filter: "prove_what_is_resent_is_executed_once",
    },
    Proof {
        name: "any-order",
        shows: "any order of the pipeline's steps, over rings always too small, gives one history",
        package: "ringfence-engine",
        filter: "prove_any_order_of_steps",
    },
    Proof {
        name: "allocations",
        shows: "after warm-up the engine's thread calls no allocator, segments rolling and sockets included",
        package: "ringfence-engine",
        filter: "prove_the_hot_path",
    },
    Proof {
        name: "kills",
        shows: "200 SIGKILLs of the server under load over TCP, also while it recovers and while snapshots are written",
        package: "ringfence",
        filter: "prove_kills",
    },
    Proof {
        name: "traders",
        shows: "8,000 orders of OUCH over 40 SIGKILLs of gateway and engine: each answered once, each trade told to both, the feed's book the engine's",
        package: "ringfence",
        filter: "prove_traders",
    },
    Proof {
        name: "chaos",
        shows: "10⁶ requests through a proxy that cuts, lingers, doubles, splits and delays: each executed once, answered alike",
        package: "ringfence",
        filter: "prove_chaos",
    },
    Proof {
        name: "lobster",
        shows: "an hour of a real exchange over TCP, no mismatch outside the classes named",
        package: "ringfence",
        filter: "prove_lobster",
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
            .args(["test", "--release", "--package", proof.package, proof.filter, "--", "--nocapture"])
            .env("RINGFENCE_PROVE", "1")
            .current_dir(root)
            .output()
            .context("cargo could not be started")?;
        let seconds = start.elapsed().as_secs_f64();
        let said = String::from_utf8_lossy(&output.stdout);
        let count = passed(&said);
        // A filter that no test matches proves nothing.
        let holds = output.status.success() && count > 0 && !said.contains("SKIPPED");
        if !holds {
            println!("{said}{}", String::from_utf8_lossy(&output.stderr));
            failed.push(proof.name);
        }
        ran += 1;
        println!("{}: {} tests in {seconds:.1} s, {}", proof.name, count, if holds { "held" } else { "FAILED" });
        keep(root, proof, count, seconds, holds, &saw(&said))?;
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

/// What the tests say that they proved, numbers and seeds included.
fn saw(said: &str) -> Vec<&str> {
    said.lines()
        .filter_map(|line| line.find("proved: ").or(line.find("RINGFENCE_SEED=")).map(|at| &line[at..]))
        .collect()
}

fn keep(root: &Path, proof: &Proof, count: u64, seconds: f64, holds: bool, saw: &[&str]) -> Result<()> {
    let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let line = json!({
        "proof": proof.name,
        "shows": proof.shows,
        "count": count,
        "saw": saw,
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
        let said = "test a ... RINGFENCE_SEED=1\nproved: 3 kills\nok";
        assert_eq!(saw(said), ["RINGFENCE_SEED=1", "proved: 3 kills"]);
    }
}
