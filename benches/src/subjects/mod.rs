//! What is measured, from the inside out.

pub mod counters;
pub mod domain;
pub mod journal;
pub mod pipeline;
pub mod replay;
pub mod ring;
pub mod traffic;
pub mod wire;
