//! Price levels of all books: one slab, and over it a ladder for each side of each book.
//!
//! A ladder is a trie over ranks: prices in ticks, of bids with all bits flipped, so that the best is the lowest on either
//! side. It has six bits a step, and paths of one child are left out: a price is found, the best price replaced and a level
//! added or removed in at most eleven steps, two or three in a book as it is, whatever prices a client picks. A node has at least two children, so there are fewer nodes than levels: memory is bounded by
//! the limit of levels alone. `docs/decisions/0011-price-levels.md` has the options that lost.
//!
//! ```text
//! rank 0x1041 ─►   node, shift 12 ──[1]──► node, shift 6 ──[1]──► node, shift 0 ──[1]──► level 0x1041
//!                       │                                             └────────[5]──► level 0x1045
//!                       └──[9]──► level 0x9abc                    (a lone level hangs as high as it can)
//! ```
//!
//! Ladders are not state: loading builds them again from the levels.

use super::instruments::Instruments;
use super::messages::{Price, Side, SideCode};
use alloc::vec::Vec;
use bytemuck::{Pod, Zeroable};
use core::hint::black_box;
use ringfence_kernel::bounded::Slab;
use ringfence_kernel::{Corrupt, Sink, Source};

/// No level, no order, no node.
pub(super) const NONE: u32 = u32::MAX;
/// Marks a child that is a level.
const LEAF: u32 = 1 << 31;
const STEP: u32 = 6;

/// All orders at one price on one side: a cache line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C, align(64))]
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
    pub(super) reserved: [u8; 2],
    /// How many of its orders are pegged, where they are displayed: what they follow stands at the best level that has others.
    pub(super) pegged: u32,
    /// Zero.
    pub(super) reserved_behind: [u8; 8],
}

impl Level {
    /// A level without orders.
    #[inline(always)]
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
            reserved: [0; 2],
            pegged: 0,
            reserved_behind: [0; 8],
        }
    }

    /// All that its orders have open, displayed or not.
    pub(super) fn total(&self) -> u64 {
        self.quantity + self.hidden
    }

    /// Its place among the levels of its ladder, the best lowest: stops to buy stand as asks do, the nearest first.
    #[inline(always)]
    pub(super) fn rank(&self) -> u64 {
        let side = self.side.get();
        rank(if self.waits == WAITS { side.opposite() } else { side }, self.ticks)
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

/// Levels and nodes below it, told apart by six bits of their ranks. A lowest rank is the best price.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
struct Node {
    /// Which children there are.
    present: u64,
    /// A rank below it: all have the same bits above its six.
    rank: u64,
    /// Which six bits.
    shift: u32,
    /// The node above, or [`NONE`].
    parent: u32,
    /// [`NONE`] where there is none.
    children: [u32; 64],
}

impl Node {
    #[inline]
    fn digit(&self, rank: u64) -> usize {
        (rank >> self.shift) as usize & 63
    }

    #[inline]
    fn child(&self, rank: u64) -> u32 {
        self.children[self.digit(rank)]
    }

    /// Whether `rank` belongs below it.
    #[inline]
    fn spans(&self, rank: u64) -> bool {
        (rank ^ self.rank) >> self.shift >> STEP == 0
    }

    #[inline]
    fn adopt(&mut self, rank: u64, child: u32) {
        let digit = self.digit(rank);
        self.present |= 1 << digit;
        self.children[digit] = child;
    }

    #[inline]
    fn first(&self) -> u32 {
        self.children[self.present.trailing_zeros() as usize & 63]
    }
}

/// The levels of all books.
#[derive(Clone, Debug)]
pub(super) struct Levels {
    levels: Slab<Level>,
    /// The node from which each level hangs, or [`NONE`]; by the level's index.
    above: Vec<u32>,
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
        Self {
            levels: Slab::new(capacity),
            above: Vec::with_capacity(capacity),
            nodes: Vec::with_capacity(capacity),
            free: Vec::with_capacity(capacity),
        }
    }

    /// Reads what a level has, and where it hangs.
    #[inline]
    pub(super) fn bring_near(&self, index: u32) {
        black_box((self.levels[index].quantity, self.above[index as usize]));
    }

    /// Levels that still fit.
    #[inline]
    pub(super) fn room(&self) -> usize {
        self.levels.room()
    }

    /// Whether no level fits any more.
    #[inline(always)]
    pub(super) fn is_full(&self) -> bool {
        self.levels.is_full()
    }

    /// Down the ladder as `rank` leads: the last node on the way, and the level or nothing that hangs there.
    #[inline(always)]
    fn descend(&self, half: Half, rank: u64) -> (u32, u32) {
        let (mut parent, mut at) = (NONE, half.root);
        while at & LEAF == 0 {
            (parent, at) = (at, self.nodes[at as usize].child(rank));
        }
        (parent, at)
    }

    /// The level at `ticks`, which have that rank in its ladder, when there is one.
    #[inline]
    pub(super) fn find(&self, half: Half, rank: u64, ticks: u64) -> Option<u32> {
        let (_, at) = self.descend(half, rank);
        let index = at & !LEAF;
        (at != NONE && self.levels[index].ticks == ticks).then_some(index)
    }

    /// The level that is like `level`, and where it stands: it is added when there is none. There is room.
    #[inline(always)]
    pub(super) fn find_or_open(&mut self, half: &mut Half, level: impl Fn() -> Level) -> (u32, &mut Level) {
        let (ticks, rank) = (level().ticks, level().rank());
        let (parent, at) = self.descend(*half, rank);
        let mut index = at & !LEAF;
        if at == NONE || self.levels[index].ticks != ticks {
            index = self.levels.insert(level()).expect("room was looked for");
            self.hang(half, index, rank, (parent, at));
        }
        (index, &mut self.levels[index])
    }

    /// Puts the level at `index` into the ladder, where `rank` led to, and makes it the best when it is.
    fn hang(&mut self, half: &mut Half, index: u32, rank: u64, (parent, at): (u32, u32)) {
        let has_place = at == NONE && parent != NONE && self.nodes[parent as usize].spans(rank);
        let parent = if has_place { parent } else { self.part(half, index, rank, (parent, at)) };
        if parent == NONE {
            return;
        }
        self.nodes[parent as usize].adopt(rank, index | LEAF);
        self.set_above(index | LEAF, parent);
        // The ranks of a ladder are flipped all or none.
        let flipped = rank ^ self.levels[index].ticks;
        if rank < self.levels[half.best].ticks ^ flipped {
            half.best = index;
        }
    }

    /// Makes the node where `rank` parts from those that are near it; none when it is the only one, and hangs.
    #[cold]
    #[inline(never)]
    fn part(&mut self, half: &mut Half, index: u32, rank: u64, (mut parent, mut at): (u32, u32)) -> u32 {
        if half.root == NONE {
            *half = Half { root: index | LEAF, best: index };
            self.set_above(index | LEAF, NONE);
            return NONE;
        }
        let near = if at == NONE { self.nodes[parent as usize].rank } else { self.levels[at & !LEAF].rank() };
        assert!(rank != near, "a price has one level");
        let shift = (63 - (rank ^ near).leading_zeros()) / STEP * STEP;
        while parent != NONE && self.nodes[parent as usize].shift < shift {
            (at, parent) = (parent, self.nodes[parent as usize].parent);
        }
        let node = self.node(shift, near, parent);
        self.nodes[node as usize].adopt(near, at);
        self.set_above(at, node);
        match parent {
            NONE => half.root = node,
            _ => self.nodes[parent as usize].adopt(rank, node),
        }
        node
    }

    /// The node or level at `at` hangs from `parent`.
    #[inline]
    fn set_above(&mut self, at: u32, parent: u32) {
        if at & LEAF == 0 {
            self.nodes[at as usize].parent = parent;
        } else if let Some(above) = self.above.get_mut((at & !LEAF) as usize) {
            *above = parent;
        } else {
            self.set_first_above(at & !LEAF, parent);
        }
    }

    /// A slab gives the next index when none is free; loading may skip some that are.
    #[cold]
    fn set_first_above(&mut self, index: u32, parent: u32) {
        self.above.resize(index as usize + 1, parent);
    }

    fn node(&mut self, shift: u32, rank: u64, parent: u32) -> u32 {
        let node = Node { present: 0, rank, shift, parent, children: [NONE; 64] };
        if let Some(index) = self.free.pop() {
            // All its children are gone.
            let known = &mut self.nodes[index as usize];
            (known.present, known.rank, known.shift, known.parent) = (0, rank, shift, parent);
            return index;
        }
        debug_assert!(self.nodes.len() < self.levels.capacity(), "there are fewer nodes than levels");
        self.nodes.push(node);
        (self.nodes.len() - 1) as u32
    }

    /// Takes out the level at `index`, which has no orders left.
    pub(super) fn close(&mut self, half: &mut Half, index: u32) {
        let rank = self.levels[index].rank();
        self.levels.clear(index);
        let at = self.above[index as usize];
        if at == NONE {
            *half = Half::EMPTY;
            return;
        }
        let node = &mut self.nodes[at as usize];
        let digit = node.digit(rank);
        node.present &= !(1 << digit);
        node.children[digit] = NONE;
        // Who hung beside the best is the best now, or what is best below it.
        let next = node.first();
        if node.present.is_power_of_two() {
            self.fold(half, at, next, rank);
        }
        if half.best == index {
            half.best = self.first_below(next);
        }
    }

    /// Takes out the node at `at`, of whose children only `orphan` is left; `rank` leads there.
    #[cold]
    #[inline(never)]
    fn fold(&mut self, half: &mut Half, at: u32, orphan: u32, rank: u64) {
        let node = &mut self.nodes[at as usize];
        let parent = node.parent;
        node.children[node.present.trailing_zeros() as usize & 63] = NONE;
        self.free.push(at);
        self.set_above(orphan, parent);
        match parent {
            NONE => half.root = orphan,
            _ => self.nodes[parent as usize].adopt(rank, orphan),
        }
    }

    /// The best level below `at`.
    #[inline]
    fn first_below(&self, mut at: u32) -> u32 {
        while at & LEAF == 0 {
            at = self.nodes[at as usize].first();
        }
        at & !LEAF
    }

    /// The next worse level of the same ladder after the one at `index`.
    pub(super) fn worse(&self, index: u32) -> Option<u32> {
        let rank = self.levels[index].rank();
        let mut at = self.above[index as usize];
        while at != NONE {
            let node = &self.nodes[at as usize];
            let others = node.present & (!1 << node.digit(rank));
            if others != 0 {
                return Some(self.first_below(node.children[others.trailing_zeros() as usize & 63]));
            }
            at = node.parent;
        }
        None
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
            if levels.find(*half, level.rank(), level.ticks).is_some() {
                return Err(Corrupt("two levels at one price"));
            }
            let (rank, led) = (level.rank(), levels.descend(*half, level.rank()));
            levels.hang(half, index, rank, led);
        }
        if live == levels.levels.len() { Ok(levels) } else { Err(Corrupt("the number of levels")) }
    }

    /// All places, freed ones without orders.
    pub(super) fn entries(&self) -> &[Level] {
        self.levels.entries()
    }
}

/// The place of a price among those of `side`: the better it is for who trades with them, the lower.
#[inline]
pub(super) const fn rank(side: Side, ticks: u64) -> u64 {
    // Bids count from above: all bits flipped.
    ticks ^ (side as u64).wrapping_sub(Side::Sell as u64)
}

/// Whether `ticks` is a better price than `other` for those who trade with `side`.
#[inline]
pub(super) const fn better(side: Side, ticks: u64, other: u64) -> bool {
    rank(side, ticks) < rank(side, other)
}
