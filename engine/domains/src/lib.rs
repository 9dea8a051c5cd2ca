//! The domains: one folder each, listed in one registry.
//!
//! A folder holds all there is to know of its domain: `README.md` (its rules in plain words), `messages.rs` (its
//! wire), `mod.rs` (`apply` reads as a table of contents), its state, `model.rs` (a slow, obvious twin), `workload.rs`
//! (seeded commands) and scenarios as text. Adding a domain is adding a folder and a line in each list below.
//!
//! # Guarantees
//! `no_std`, no unsafe code, no clock, randomness, thread, I/O, float or unordered iteration, no allocation after
//! `new`. `docs/determinism.md` says why; `cargo xtask tidy` checks it.
//!
//! # Features
//! `models` adds the slow twins and the bodies of the fuzz targets, for benches and proofs outside this crate.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod atm;
pub mod auction;
pub mod matching;
pub mod votes;

#[cfg(any(test, feature = "models"))]
pub mod fuzz;
#[cfg(test)]
mod tests;
pub mod workloads;

ringfence_kernel::registry! {
    /// All domains of this build.
    pub struct Domains {
        matching: matching::Matching,
        atm: atm::Atm,
        auction: auction::Auction,
        votes: votes::Votes,
    }
}

impl Domains {
    /// The auctions, when the journal has them.
    #[must_use]
    pub fn auction(&self) -> Option<&auction::Auction> {
        self.auction.as_ref()
    }
}
