//! Collections that claim their memory once and iterate in one order on every machine.
//!
//! | collection | for | iterates |
//! |---|---|---|
//! | [`Slab`] | things with an index that stays | by index |
//! | [`HashIndex`] | finding a slab index by a key | never |
//! | [`KeyIndex`] | finding a slab index by a key that its value carries | never |
//! | [`SortedMap`] | few things by key | by key |
//! | [`Timers`] | which slab index is due next | by deadline, then rank |

mod hash_index;
mod key_index;
mod slab;
mod sorted_map;
mod timers;

pub use hash_index::HashIndex;
pub use key_index::KeyIndex;
pub use slab::Slab;
pub use sorted_map::SortedMap;
pub use timers::Timers;

/// The collection holds as much as it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at capacity")]
pub struct Full;
