//! One file, one command.

pub(crate) mod demo;
pub(crate) mod feed;
pub(crate) mod journal;
pub(crate) mod replay;
pub(crate) mod serve;
pub(crate) mod snapshot;
