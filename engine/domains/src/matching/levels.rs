//! Price levels of all books: one slab, and over it a ladder for each side of each book.
//!
//! A ladder is a trie over the price in ticks, six bits a step, with paths of one child left out: a price is found, the
//! best price replaced and a level added or removed in at most eleven steps, two or three in a book as it is, whatever
//! prices a client picks. A node has at least two children, so there are fewer nodes than levels: memory is bounded by
//! the limit of levels alone. `docs/decisions/0011-price-levels.md` has the options that lost.
//!
//! ```text
//! ticks 0x1041 ─►  node, shift 12 ──[1]──► node, shift 6 ──[1]──► node, shift 0 ──[1]──► level 0x1041
//!                       │                                             └────────[5]──► level 0x1045
//!                       └──[9]──► level 0x9abc                    (a lone level hangs as high as it can)
//! ```
//!
//! Ladders are not state: loading builds them again from the levels.

use super::instruments::Instruments;
use super::messages::{Price, Side, SideCode};
use alloc::vec::Vec;
use bytemuck::{Pod, Zeroable};
use ringfence_kernel::bounded::Slab;
use ringfence_kernel::{Corrupt, Sink, Source};

/// No level, no order, no node.
pub(super) const NONE: u32 = u32::MAX;
/// Marks a child that is a level.
const LEAF: u32 = 1 << 31;
const STEP: u32 = 6;

/// All orders at one price on one side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Level {
    /// The price in ticks above the instrument's lowest.
    pub(super) ticks: u64,
    /// The price.
    pub(super) price: Price,
    /// The sum of what its orders have open.
    pub(super) quantity: u64,
    /// The sum of what its orders have open and do not display.
    pub(super) hidden: u64,
    /// Its oldest order, next to trade.
    pub(super) head: u32,
    /// Its newest order.
    pub(super) tail: u32,
    /// How many orders; zero only in a freed place.
    pub(super) orders: u32,
    /// The instrument's place.
    pub(super) instrument: u32,
    /// Which side.
    pub(super) side: SideCode,
    /// What stands here: [`BOOK`], [`WAITS`], [`HIDDEN`], [`UNPRICED`] or [`PARKED`].
    pub(super) waits: u8,
    /// Zero.
    pub(super) reserved: [u8; 6],
}

impl Level {
    /// A level without orders.
    pub(super) fn empty(instrument: u32, side: SideCode, ticks: u64, price: Price) -> Self {
        Self {
            ticks,
            price,
            quantity: 0,
            hidden: 0,
            head: NONE,
            tail: NONE,
            orders: 0,
            instrument,
            side,
            waits: BOOK,
            reserved: [0; 6],
        }
    }

    /// All that its orders have open, displayed or not.
    pub(super) fn total(&self) -> u64 {
        self.quantity + self.hidden
    }

    /// By which side's order the levels of its ladder stand: stops to buy as asks do, the lowest first.
    #[inline]
    fn ranks_as(&self) -> Side {
        let side = self.side.get();
        if self.waits == WAITS { side.opposite() } else { side }
    }
}

/// Orders of the book, displayed at least in part.
pub(super) const BOOK: u8 = 0;
/// Stops that wait for this price.
pub(super) const WAITS: u8 = 1;
/// Orders that trade at this price and display nothing.
pub(super) const HIDDEN: u8 = 2;
/// Market orders in an auction: they trade before every order with a price.
pub(super) const UNPRICED: u8 = 3;
/// Pegged orders that have no price, by the worst at which they trade.
pub(super) const PARKED: u8 = 4;

/// One side of one book.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Half {
    /// The top of its ladder: a node, a level marked [`LEAF`], or [`NONE`].
    root: u32,
    /// Its best level, or [`NONE`].
    pub(super) best: u32,
}

impl Half {
    pub(super) const EMPTY: Self = Self { root: NONE, best: NONE };
}

#[derive(Clone, Copy, Debug)]
struct Node {
    /// Which children there are.
    present: u64,
    /// Which six bits of the ticks tell them apart.
    shift: u32,
    children: [u32; 64],
}

impl Node {
    #[inline]
    fn digit(&self, ticks: u64) -> u32 {
        (ticks >> self.shift) as u32 & 63
    }

    #[inline]
    fn child(&self, digit: u32) -> Option<u32> {
        (self.present >> digit & 1 == 1).then(|| self.children[digit as usize])
    }
}

/// The levels of all books.
#[derive(Clone, Debug)]
pub(super) struct Levels {
    levels: Slab<Level>,
    nodes: Vec<Node>,
    free: Vec<u32>,
}

impl core::ops::Index<u32> for Levels {
    type Output = Level;
    #[inline]
    fn index(&self, index: u32) -> &Level {
        &self.levels[index]
    }
}

impl core::ops::IndexMut<u32> for Levels {
    #[inline]
    fn index_mut(&mut self, index: u32) -> &mut Level {
        &mut self.levels[index]
    }
}

impl Levels {
    pub(super) fn new(capacity: usize) -> Self {
        assert!(capacity < LEAF as usize, "a child has 31 bits for a level");
        Self { levels: Slab::new(capacity), nodes: Vec::with_capacity(capacity), free: Vec::with_capacity(capacity) }
    }

    /// Levels that still fit.
    #[inline]
    pub(super) fn room(&self) -> usize {
        self.levels.room()
    }

    /// The level at `ticks`, when there is one.
    #[inline]
    pub(super) fn find(&self, half: Half, ticks: u64) -> Option<u32> {
        let mut at = half.root;
        if at == NONE {
            return None;
        }
        while at & LEAF == 0 {
            let node = &self.nodes[at as usize];
            at = node.child(node.digit(ticks))?;
        }
        let index = at & !LEAF;
        (self.levels[index].ticks == ticks).then_some(index)
    }

    /// Adds the level, which is new on its side; there is room.
    pub(super) fn open(&mut self, half: &mut Half, level: Level) -> u32 {
        let index = self.levels.insert(level).expect("room was looked for");
        self.hang(half, index);
        index
    }

    /// Puts the level at `index` into the ladder and makes it the best when it is.
    fn hang(&mut self, half: &mut Half, index: u32) {
        let (ticks, side) = (self.levels[index].ticks, self.levels[index].ranks_as());
        if half.root == NONE {
            *half = Half { root: index | LEAF, best: index };
            return;
        }
        // Any level below the last node on the way shows where this one parts from the others.
        let mut near = half.root;
        while near & LEAF == 0 {
            let node = &self.nodes[near as usize];
            let digit = node.digit(ticks);
            near = node.child(digit).unwrap_or_else(|| node.children[node.present.trailing_zeros() as usize]);
        }
        let near_ticks = self.levels[near & !LEAF].ticks;
        assert!(ticks != near_ticks, "a price has one level");
        let shift = (63 - (ticks ^ near_ticks).leading_zeros()) / STEP * STEP;
        let mut parent = NONE;
        let mut at = half.root;
        while at & LEAF == 0 && self.nodes[at as usize].shift > shift {
            parent = at;
            let node = &self.nodes[at as usize];
            at = node.children[node.digit(ticks) as usize];
        }
        if at & LEAF == 0 && self.nodes[at as usize].shift == shift {
            self.adopt(at, ticks, index | LEAF);
        } else {
            let node = self.node(shift);
            self.adopt(node, near_ticks, at);
            self.adopt(node, ticks, index | LEAF);
            match parent {
                NONE => half.root = node,
                _ => self.adopt(parent, ticks, node),
            }
        }
        if better(side, ticks, self.levels[half.best].ticks) {
            half.best = index;
        }
    }

    #[inline]
    fn adopt(&mut self, node: u32, ticks: u64, child: u32) {
        let node = &mut self.nodes[node as usize];
        let digit = node.digit(ticks);
        node.present |= 1 << digit;
        node.children[digit as usize] = child;
    }

    fn node(&mut self, shift: u32) -> u32 {
        if let Some(index) = self.free.pop() {
            let node = &mut self.nodes[index as usize];
            (node.present, node.shift) = (0, shift);
            return index;
        }
        debug_assert!(self.nodes.len() < self.levels.capacity(), "there are fewer nodes than levels");
        self.nodes.push(Node { present: 0, shift, children: [NONE; 64] });
        (self.nodes.len() - 1) as u32
    }

    /// Takes out the level at `index`, which has no orders left.
    pub(super) fn close(&mut self, half: &mut Half, index: u32) {
        let level = self.levels.remove(index);
        let (ticks, side) = (level.ticks, level.ranks_as());
        let (mut above, mut parent, mut at) = (NONE, NONE, half.root);
        while at & LEAF == 0 {
            (above, parent) = (parent, at);
            let node = &self.nodes[at as usize];
            at = node.children[node.digit(ticks) as usize];
        }
        debug_assert_eq!(at, index | LEAF, "the ladder leads to the level");
        if parent == NONE {
            *half = Half::EMPTY;
            return;
        }
        let node = &mut self.nodes[parent as usize];
        node.present &= !(1 << node.digit(ticks));
        if node.present.is_power_of_two() {
            let orphan = node.children[node.present.trailing_zeros() as usize];
            self.free.push(parent);
            match above {
                NONE => half.root = orphan,
                _ => self.adopt(above, ticks, orphan),
            }
        }
        if half.best == index {
            half.best = self.outermost(half.root, side);
        }
    }

    /// The best level below `at`.
    #[inline]
    fn outermost(&self, mut at: u32, side: Side) -> u32 {
        while at & LEAF == 0 {
            let node = &self.nodes[at as usize];
            let digit = match side {
                Side::Buy => 63 - node.present.leading_zeros(),
                Side::Sell => node.present.trailing_zeros(),
            };
            at = node.children[digit as usize];
        }
        at & !LEAF
    }

    /// The next worse level after the one at `index`.
    pub(super) fn worse(&self, half: Half, index: u32) -> Option<u32> {
        let (ticks, side) = (self.levels[index].ticks, self.levels[index].ranks_as());
        let (mut next, mut at) = (None, half.root);
        while at & LEAF == 0 {
            let node = &self.nodes[at as usize];
            let digit = node.digit(ticks);
            let others = match side {
                Side::Buy => node.present & ((1 << digit) - 1),
                Side::Sell => node.present & (!1 << digit),
            };
            if others != 0 {
                let nearest = match side {
                    Side::Buy => 63 - others.leading_zeros(),
                    Side::Sell => others.trailing_zeros(),
                };
                next = Some(node.children[nearest as usize]);
            }
            at = node.children[digit as usize];
        }
        next.map(|at| self.outermost(at, side))
    }

    pub(super) fn save(&self, sink: &mut impl Sink) {
        self.levels.save(sink);
    }

    /// What [`Levels::save`] wrote, hung into the books of `instruments`.
    pub(super) fn load(
        capacity: usize,
        source: &mut impl Source,
        instruments: &mut Instruments,
    ) -> Result<Self, Corrupt> {
        let mut levels = Self { levels: Slab::load(capacity, source)?, ..Self::new(capacity) };
        let count = levels.levels.entries().len() as u32;
        let mut live = 0;
        for index in 0..count {
            let level = levels.levels[index];
            if level.orders == 0 {
                continue;
            }
            live += 1;
            let half = instruments.half_of(&level).ok_or(Corrupt("the instrument, side or price of a level"))?;
            if levels.find(*half, level.ticks).is_some() {
                return Err(Corrupt("two levels at one price"));
            }
            levels.hang(half, index);
        }
        if live == levels.levels.len() { Ok(levels) } else { Err(Corrupt("the number of levels")) }
    }

    /// All places, freed ones without orders.
    pub(super) fn entries(&self) -> &[Level] {
        self.levels.entries()
    }
}

/// Whether `ticks` is a better price than `other` for those who trade with `side`.
#[inline]
pub(super) const fn better(side: Side, ticks: u64, other: u64) -> bool {
    match side {
        Side::Buy => ticks > other,
        Side::Sell => ticks < other,
    }
}
