//! Which ballots each candidate has. They stand in blocks and not in lists: what is fetched next does not hang on what was
//! fetched last.

use super::super::ballots::NONE;
use super::super::messages::CANDIDATES_MAX;
use alloc::boxed::Box;

/// Ballots that stand together, so that the next ones are fetched while one is looked at.
const BLOCK: usize = 128;

/// Ballots that say the same, in a candidate's pile.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    pub(super) weight: u64,
    /// The mark that names the candidate, among the marks of all ballots.
    pub(super) mark: u32,
    /// What one paper of them is worth, in units of 10⁻⁵.
    pub(super) value: u32,
}

impl Held {
    #[inline]
    pub(super) const fn new(weight: u64, mark: u32, value: u32) -> Self {
        Self { weight, mark, value }
    }
}

/// A pile for each candidate, in blocks.
#[derive(Debug)]
pub(super) struct Piles {
    /// The block that is filled, of each candidate, and how many stand in it.
    tops: [(u32, usize); CANDIDATES_MAX as usize],
    /// The block below each, or the next free one.
    below: Box<[u32]>,
    free: u32,
    held: Box<[Held]>,
}

impl Piles {
    /// Room for that many different ballots.
    pub(super) fn new(ballots: usize) -> Self {
        let blocks = ballots.div_ceil(BLOCK) + CANDIDATES_MAX as usize + 1;
        let held = alloc::vec![Held::new(0, 0, 0); blocks * BLOCK].into();
        Self { tops: [(NONE, 0); CANDIDATES_MAX as usize], below: alloc::vec![NONE; blocks].into(), free: NONE, held }
    }

    pub(super) fn clear(&mut self) {
        self.tops.fill((NONE, 0));
        let blocks = self.below.len() as u32;
        self.below.iter_mut().zip(1..).for_each(|(below, next)| *below = if next < blocks { next } else { NONE });
        self.free = 0;
    }

    #[inline]
    pub(super) fn push(&mut self, candidate: usize, held: Held) {
        let (mut top, mut filled) = self.tops[candidate];
        if top == NONE || filled == BLOCK {
            let block = self.free;
            self.free = core::mem::replace(&mut self.below[block as usize], top);
            (top, filled) = (block, 0);
        }
        self.held[top as usize * BLOCK + filled] = held;
        self.tops[candidate] = (top, filled + 1);
    }

    #[inline]
    pub(super) fn pop(&mut self, candidate: usize) -> Option<Held> {
        let (top, filled) = self.tops[candidate];
        if top == NONE {
            return None;
        }
        let held = self.held[top as usize * BLOCK + filled - 1];
        self.tops[candidate] = (top, filled - 1);
        if filled == 1 {
            let below = core::mem::replace(&mut self.below[top as usize], self.free);
            self.free = top;
            self.tops[candidate] = (below, if below == NONE { 0 } else { BLOCK });
        }
        Some(held)
    }
}
