//! The harness: what is measured, under which load, how it is told and compared.
//!
//! `ringfence bench` and `cargo bench -p ringfence-benches` are [`cli::Bench`]. Every subject runs five times; beside each
//! figure stands the jitter of an idle spinner on the same core. Nothing else may run. `docs/benchmarks.md` says how to
//! use it, `docs/performance.md` what was seen.
//!
//! Latency is open loop: a round trip is timed from when it was due to be sent, so that a stall is charged to every
//! command it delays.

pub mod cli;
pub mod compare;
pub mod files;
pub mod load;
pub mod noop;
pub mod passing;
pub mod plot;
pub mod report;
pub mod subjects;
