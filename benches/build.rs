//! Says of which revision the program is that measures: a program outlives what its checkout holds.

use std::process::Command;

fn main() {
    let git = |words: &[&str]| {
        let output = Command::new("git").args(words).output().ok().filter(|output| output.status.success())?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let revision = git(&["describe", "--always", "--abbrev=12", "--dirty=, changed", "--exclude=*"]);
    println!("cargo::rustc-env=RINGFENCE_REVISION={}", revision.as_deref().unwrap_or("unknown"));
    // A commit is a line of this log; a change is a file in one of these.
    let commits = git(&["rev-parse", "--git-path", "logs/HEAD"]);
    let sources = ["../benches", "../counters", "../engine", "../gateway", "../journal", "../tools", "../Cargo.lock"];
    for path in commits.as_deref().into_iter().chain(sources) {
        println!("cargo::rerun-if-changed={path}");
    }
}
