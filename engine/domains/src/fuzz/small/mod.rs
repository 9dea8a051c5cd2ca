//! Makes fields of commands small and choices known, so that commands made of any bytes meet each other.

mod atm;
mod auction;
mod matching;
mod votes;

pub(super) use atm::atm;
pub(super) use auction::auction;
pub(super) use matching::matching;
pub(super) use votes::votes;

/// Keeps the bits of `mask` in the first of a field's bytes, and nothing of the others.
fn keep(at: usize, bytes: usize, mask: u8, body: &mut [u8]) {
    body[at] &= mask;
    body[at + 1..at + bytes].fill(0);
}
