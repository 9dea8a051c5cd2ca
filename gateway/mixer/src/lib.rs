//! Tokens for anonymous ballots, the registrar that signs them, and the mixer that casts what they say.
#![doc = include_str!("../README.md")]

pub mod mixer;
pub mod registrar;
pub mod token;

/// Bytes of a line at most.
pub const LINE_BYTES_MAX: usize = 64 * 1024;
