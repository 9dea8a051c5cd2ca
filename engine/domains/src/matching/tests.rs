//! The laws, on seeded workloads and against the slow twin. `RINGFENCE_PROVE=1` makes the same bodies long.

use super::Matching;
use super::messages::MatchingLimits;
use super::model::Model;
use super::workload::KINDS;
use ringfence_kernel::Timestamp;
use ringfence_kernel::laws::{self, Harness, Often, Step};
use ringfence_kernel::workload::CommandImage;
use std::string::String;

const SMALL: MatchingLimits = MatchingLimits { instruments: 8, orders: 6_000, levels: 700, accounts: 8 };
/// So little room that commands run into every capacity.
const TIGHT: MatchingLimits = MatchingLimits { instruments: 4, orders: 40, levels: 12, accounts: 3 };

/// How many steps a law runs: `steps`, or ten times as many to prove.
fn steps(steps: u64) -> u64 {
    if std::env::var("RINGFENCE_PROVE").is_ok_and(|value| value == "1") { steps * 10 } else { steps }
}

fn laws_hold(kind: &str, limits: &MatchingLimits, seed: u64, count: u64) {
    std::println!("workload {kind}, seed {seed}, {count} steps");
    let kind = KINDS.iter().find(|known| known.name == kind).expect("a known kind");
    let often = Often { rejects: 16, restores: 256 };
    laws::check::<Model>(limits, 5, &mut *(kind.new)(seed, 5), count, 1_000, often);
}

/// Guards against a book that says other than the rules do while prices wander.
#[test]
fn normal_agrees_with_the_model() {
    laws_hold("normal", &SMALL, 1, steps(10_000));
}
