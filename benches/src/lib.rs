//! Measures the spine: rings, pipeline, wire, replay.
//!
//! `cargo bench -p ringfence-benches` runs every subject five times and prints the median of each figure, with the
//! jitter of an idle spinner on the same cores beside it. Nothing else may run. `docs/performance.md` says what each
//! figure means and excludes.
//!
//! Latency is open loop: a round trip is timed from when it was due to be sent, so that a stall is charged to every
//! command it delays.

pub mod load;
pub mod noop;
pub mod report;
pub mod subjects;
