//! The `ringfence` command, as a library: so that its proofs can be driven by tests.

pub mod board;
pub mod commands;
pub mod config;
pub mod counters;
pub mod describe;
pub mod doctor;
pub mod engine_process;
pub mod output;
pub mod progress;
pub mod proof;
pub mod top;
