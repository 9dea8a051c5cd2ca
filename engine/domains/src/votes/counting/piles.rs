//! Which ballots each candidate has: rankings that begin alike together, others each with what it says next. They stand in
//! blocks: a count reads and writes along memory, and asks for little that lies far away.

use super::super::ballots::{Ballots, NONE};
use super::super::messages::CANDIDATES_MAX;
use super::super::rankings::{Below, Branch};
use alloc::boxed::Box;
use bytemuck::Zeroable;

/// Ballots that stand together.
const BLOCK: usize = 128;
/// Candidates that are looked at in one go.
const WINDOW: usize = 8;
/// In place of a candidate's number: what is said next stands among the marks.
const MORE: u8 = 0;
/// In place of a candidate's number: nothing more is said.
const NOTHING: u8 = 0xff;

const _: () = assert!(CANDIDATES_MAX < NOTHING as u16);

/// Whom ballots go to, by number; and what else a ballot has to stop at.
#[derive(Debug)]
pub(super) struct Receivers([u8; 256]);

impl Receivers {
    pub(super) const fn new() -> Self {
        Self([1; 256])
    }

    pub(super) fn set(&mut self, place: usize, receives: bool) {
        self.0[place + 1] = receives.into();
    }
}

/// Set in what stands behind, when that is a node of the rankings.
const NODE: u32 = 1 << 31;

/// Ballots that say the same from here on, or that begin alike, in a candidate's pile or on the way to one.
#[derive(Clone, Copy, Debug, Zeroable)]
pub(super) struct Held {
    pub(super) weight: u64,
    /// The numbers of those whom they name next, the first in the low 8 bits, zeros behind the last; and of those then.
    next: u64,
    then: u64,
    /// Where the marks behind those stand, among the marks of all ballots; or the node below which rankings part, and then
    /// `next` is how many of the marks that they share were looked at.
    behind: u32,
    /// What one paper of them is worth, in units of 10⁻⁵.
    pub(super) value: u32,
}

impl Held {
    /// Ballots as they were cast, behind their first marks.
    #[inline(always)]
    pub(super) fn cast(ballots: &Ballots, at: u32, seen: u16, weight: u64, value: u32) -> Self {
        let behind = ballots.first_mark(at) + u32::from(seen);
        Self { weight, behind, value, ..Self::zeroed() }.fetched(ballots)
    }

    /// All ballots of a branch, behind the first marks of those that they share.
    #[inline]
    pub(super) fn branch(ballots: &Ballots, branch: Branch, seen: u16, value: u32) -> Self {
        let weight = ballots.weight(branch);
        match branch.below() {
            Below::Ballot(at) => Self::cast(ballots, at, seen, weight, value),
            Below::Node(at) => Self { weight, next: seen.into(), behind: at | NODE, value, ..Self::zeroed() },
        }
    }

    /// The node of rankings that begin alike, and how many of their marks were looked at.
    #[inline(always)]
    pub(super) const fn node(self) -> Option<(u32, u16)> {
        if self.behind & NODE == 0 { None } else { Some((self.behind & !NODE, self.next as u16)) }
    }

    /// With that many of the shared marks looked at.
    #[inline]
    pub(super) const fn seen(self, marks: u16) -> Self {
        Self { next: marks as u64, ..self }
    }

    /// At another value.
    #[inline(always)]
    pub(super) const fn at(self, value: u32) -> Self {
        Self { value, ..self }
    }

    /// With what is said behind what was looked at.
    #[inline(always)]
    fn fetched(self, ballots: &Ballots) -> Self {
        if self.then != 0 {
            return Self { next: self.then, then: 0, ..self };
        }
        let [next, then] = ballots.numbers(self.behind).map(u64::from_le_bytes);
        Self { next, then, behind: self.behind + 2 * WINDOW as u32, ..self }
    }

    /// The place of the first whom the ballots name and who receives them, and the ballots with what they say behind; none
    /// when they are exhausted. Several are looked at in one go, since nobody can foresee where a ballot goes. It is passed
    /// in registers: written and read again at once, it would make the next ballot wait.
    #[inline(always)]
    pub(super) fn next(mut self, ballots: &Ballots, receivers: &Receivers) -> Option<(usize, Self)> {
        loop {
            let stops = self.next.to_le_bytes().map(|number| u32::from(receivers.0[usize::from(number)]));
            let stops = (0..WINDOW).fold(0, |all, at| all | stops[at] << at);
            // Past all of them nothing is left, and that is to fetch more.
            let left = self.next.checked_shr(8 * stops.trailing_zeros()).unwrap_or(0);
            match left as u8 {
                NOTHING => return None,
                MORE => self = self.fetched(ballots),
                number => return Some((usize::from(number) - 1, Self { next: left >> 8, ..self })),
            }
        }
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
        let held = alloc::vec![Held::zeroed(); blocks * BLOCK].into();
        Self { tops: [(NONE, 0); CANDIDATES_MAX as usize], below: alloc::vec![NONE; blocks].into(), free: NONE, held }
    }

    pub(super) fn clear(&mut self) {
        self.tops.fill((NONE, 0));
        let blocks = self.below.len() as u32;
        self.below.iter_mut().zip(1..).for_each(|(below, next)| *below = if next < blocks { next } else { NONE });
        self.free = 0;
    }

    #[inline(always)]
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

    #[inline(always)]
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
