//! Makes fields of commands small and choices known, so that commands made of any bytes meet each other.

mod atm;
mod auction;
mod matching;
mod votes;

pub(super) use atm::atm;
pub(super) use auction::auction;
pub(super) use matching::matching;
pub(super) use votes::votes;
