//! The pipeline: journal, replicate, execute over two rings.
//!
//! The modules stand in the order in which a command meets them; [`pipeline`] shows them together.

pub mod config;
pub mod start;

pub mod counting;
mod crew;
pub mod execute_stage;
pub mod journal_stage;
pub mod machine;
pub mod pipeline;
pub mod port;
pub mod replicate_stage;
pub mod ring;
pub mod sessions;
pub mod topics;

pub mod idle;
pub mod layout;
pub mod replay;
pub mod snapshots;

mod knobs;
#[cfg(feature = "testing")]
pub mod testing;

pub use machine::Machine;
