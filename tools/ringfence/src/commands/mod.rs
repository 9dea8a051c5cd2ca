//! One file, one command.

pub mod demo;
pub mod feed;
pub mod journal;
pub mod replay;
pub mod serve;
pub mod snapshot;
