//! Habits of the repository, one command each: `cargo xtask schema`, `tidy`, `prove`.
//!
//! `schema` writes what is generated from the messages: XML schemas, golden vectors, the table of codes. `tidy` checks
//! what a compiler does not: the bans of `docs/determinism.md` and the rules of the house. `prove` runs the long proofs
//! and keeps what they saw. With `--check`, nothing is written and any difference fails.

pub mod prove;
pub mod schema;
pub mod tidy;

use std::path::{Path, PathBuf};

/// The top of the repository.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the repository is two folders up").to_path_buf()
}
