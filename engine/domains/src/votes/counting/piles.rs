//! Which branches of the preference trie each candidate has.

use super::super::ballots::NONE;
use super::super::messages::{CANDIDATES_MAX, VOTE};
use alloc::boxed::Box;

/// Branches that stand together, so that many can be fetched at once.
const BLOCK: usize = 128;

/// A branch in a candidate's pile.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    pub(super) branch: u32,
    /// What one paper of it is worth, in units of 10⁻⁵, and, in the low 8 bits, which candidate of the branch has it.
    value_at: u32,
}

const _: () = assert!(VOTE < 1 << 24 && CANDIDATES_MAX <= 256);

impl Held {
    #[inline]
    pub(super) const fn new(branch: u32, at: usize, value: u32) -> Self {
        Self { branch, value_at: value << 8 | at as u32 }
    }

    #[inline]
    pub(super) const fn value(self) -> u32 {
        self.value_at >> 8
    }

    #[inline]
    pub(super) const fn at(self) -> usize {
        (self.value_at & 0xff) as usize
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
    /// Room for as many branches as there are different ballots: of branches in piles none begins another.
    pub(super) fn new(ballots: usize) -> Self {
        let blocks = ballots.div_ceil(BLOCK) + CANDIDATES_MAX as usize + 1;
        let held = alloc::vec![Held { branch: 0, value_at: 0 }; blocks * BLOCK].into();
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
