//! Finds the line items whose targets a request meets: a bit for each that takes part in auctions, in a row for each value
//! that is targeted. Nothing here is saved; loading builds it again from line items and their targets.
//!
//! ```text
//!            block 0     block 1     block 2       a block's line items are of one class, scores that are near each
//! present    1101…       1…          111…          other, and of one shelf: those who include a value of it, and no
//! include    0100…       1…          010…          other of its dimension, are on the shelf of that value, all others
//! exclude    1000…       0…          000…          on the open one. `order` has a shelf's blocks, best class first
//! any        1001…       0…          101…          rows: of each value, and of each dimension those who include none of it
//! ```
//!
//! A request looks at the open shelf and at those of its values. Rows are joined there block by block, without a branch; the line
//! items behind the bits that are left are looked at best class first, until nobody who follows can matter.

use super::messages::{Attribute, Dimension, TARGETS_MAX, Target, TargetMode};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use ringfence_kernel::bounded::{Full, HashIndex};

/// Dimensions that have targets, and one that is none: their numbers begin at 1.
const DIMENSIONS: usize = Dimension::Label as usize + 1;
/// Words of a block, which are joined at once: what the rows of a request say of them is a register.
pub(super) const WORDS: usize = 4;
const BITS: u32 = 64 * WORDS as u32;
/// Classes of scores at most: sixteen for each power of two.
const CLASSES: usize = 64 * 16;
/// Shelves: the open one, and those of values, which share them when there are many.
pub(super) const SHELVES: usize = 17;
const OPEN: usize = 0;
const NOWHERE: u32 = u32::MAX;
/// The dimensions by whose values line items are shelved, first those of which a request has few of many.
const SHELVED: [Dimension; 10] = [
    Dimension::Deal,
    Dimension::Site,
    Dimension::Geography,
    Dimension::Segment,
    Dimension::Keyword,
    Dimension::Category,
    Dimension::Language,
    Dimension::Device,
    Dimension::System,
    Dimension::Size,
];

/// Bits of all line items.
type Row = Box<[u64]>;
/// Bits of the line items of a block.
pub(super) type Block = [u64; WORDS];

/// What a line item is found with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    /// What it is ranked by.
    pub(super) score: u64,
    /// What an impression is worth to it, in units of 10⁻⁶ of a [`super::messages::Nanos`]: its bid times its rate. [`u64::MAX`] when its
    /// floor is not the request's, since it includes private deals.
    pub(super) worth: u64,
}

#[derive(Debug)]
pub(super) struct Index {
    /// The row of a value, and how many rows there may be.
    rows: HashIndex,
    capacity: usize,
    /// Those that take part in auctions.
    present: Row,
    count: u32,
    /// For each dimension, those that include no value of it, and how many include some.
    any: [Row; DIMENSIONS],
    including: [u32; DIMENSIONS],
    /// Those that have targets in groups, which are looked at one by one, and how many there are.
    grouped: Row,
    grouped_count: u32,
    /// For each row, those that include the value, and those that exclude it; and how many of either there are.
    include: Row,
    exclude: Row,
    counts: Vec<[u32; 2]>,
    /// The shelf of each row's value, once somebody was shelved by it, and the one that was given last.
    shelves: Vec<u8>,
    last_shelf: u8,
    /// Blocks of a row; those behind `used` were never needed.
    blocks: usize,
    used: usize,
    /// Blocks that nobody has, below `used`.
    free: Vec<u32>,
    /// The blocks that somebody has, of each shelf: the complement of their class, and which.
    order: [Vec<u32>; SHELVES],
    /// The shelf of each block; how many blocks are on others than the open one, and may be.
    shelf: Box<[u8]>,
    shelved: usize,
    shelved_max: usize,
    /// The bit of each line item, and the line item of each bit.
    bits: Box<[u32]>,
    places: Box<[u32]>,
    /// Of each bit, what its line item is ranked by and what an impression is worth to it.
    scores: Box<[u64]>,
    worths: Box<[u64]>,
    /// Of each block, the most that an impression is worth to anybody of it.
    top: Box<[u64]>,
}

/// Who was found: of the blocks that were looked at those in which somebody was, shelf by shelf, each best class first.
#[derive(Debug, Default)]
pub(super) struct Met {
    pub(super) found: Vec<(u32, Block)>,
    /// Where each shelf that was looked at ends.
    ends: [u32; SHELVES],
    shelves: usize,
}

impl Met {
    /// Room for all blocks of an index.
    pub(super) fn new(blocks: usize) -> Self {
        Self { found: Vec::with_capacity(blocks), ..Self::default() }
    }

    /// The shelves that were looked at, each as the range of its blocks.
    pub(super) fn shelves(&self) -> impl Iterator<Item = (u32, u32)> {
        let ends = &self.ends[..self.shelves];
        core::iter::once(0).chain(ends.iter().copied()).zip(ends.iter().copied())
    }
}

/// The class and the number of a block that was found.
#[inline]
pub(super) fn class_and_block(key: u32) -> (u32, usize) {
    (CLASSES as u32 - 1 - (key >> 16), (key & 0xffff) as usize)
}

fn key(dimension: Dimension, value: u32) -> u64 {
    (dimension as u64) << 32 | u64::from(value)
}

/// The class of a score: the place of its highest bit, and the four bits after it. A higher class has higher scores.
#[inline]
pub(super) fn class(score: u64) -> u32 {
    let exponent = 63 - (score | 1).leading_zeros();
    let mantissa = (score << (63 - exponent) >> 59) as u32 & 15;
    exponent * 16 + mantissa
}

fn entry(class: u32, block: u32) -> u32 {
    (CLASSES as u32 - 1 - class) << 16 | block
}

#[inline]
fn block_of(row: &[u64], at: usize) -> Block {
    *row[at * WORDS..].first_chunk().expect("a row is a whole number of blocks")
}

/// The first bit of a block that is one.
fn first_one(block: Block) -> Option<u32> {
    let word = block.iter().position(|word| *word != 0)?;
    Some(word as u32 * 64 + block[word].trailing_zeros())
}

/// The places of the bits of a block that are one.
#[inline]
pub(super) fn ones(block: &Block) -> impl Iterator<Item = usize> + use<> {
    let words = *block;
    (0..WORDS).flat_map(move |at| {
        let mut left = words[at];
        core::iter::from_fn(move || {
            let bit = left.trailing_zeros();
            left &= left.wrapping_sub(1);
            (bit < 64).then_some(at * 64 + bit as usize)
        })
    })
}

fn set(row: &mut [u64], bit: u32, on: bool) {
    let (word, mask) = (bit as usize / 64, 1 << (bit % 64));
    if on {
        row[word] |= mask;
    } else {
        row[word] &= !mask;
    }
}

impl Index {
    pub(super) fn new(items: usize, values: usize) -> Self {
        // Of each class one block on the open shelf has room; on the others no more may have than are full.
        let full = items.div_ceil(BITS as usize);
        let shelved_max = 2 * full;
        let blocks = full + CLASSES.min(items) + shelved_max;
        assert!(blocks < 1 << 16, "a block has a number of 16 bits");
        let row = |rows: usize| -> Row { bytemuck::allocation::zeroed_slice_box(blocks * WORDS * rows) };
        Self {
            rows: HashIndex::new(values),
            capacity: values,
            present: row(1),
            count: 0,
            any: core::array::from_fn(|_| row(1)),
            including: [0; DIMENSIONS],
            grouped: row(1),
            grouped_count: 0,
            include: row(values),
            exclude: row(values),
            counts: Vec::with_capacity(values),
            shelves: Vec::with_capacity(values),
            last_shelf: 0,
            blocks,
            used: 0,
            free: Vec::with_capacity(blocks),
            order: core::array::from_fn(|_| Vec::with_capacity(blocks)),
            shelf: bytemuck::allocation::zeroed_slice_box(blocks),
            shelved: 0,
            shelved_max,
            bits: alloc::vec![NOWHERE; items].into(),
            places: bytemuck::allocation::zeroed_slice_box(blocks * BITS as usize),
            scores: bytemuck::allocation::zeroed_slice_box(blocks * BITS as usize),
            worths: bytemuck::allocation::zeroed_slice_box(blocks * BITS as usize),
            top: bytemuck::allocation::zeroed_slice_box(blocks),
        }
    }

    /// Blocks of a row: the room that [`Index::meet`] needs.
    pub(super) fn blocks(&self) -> usize {
        self.blocks
    }

    /// Gives every value of `targets` that stands for itself a row.
    ///
    /// # Errors
    /// [`Full`] when there are not enough; nothing has changed.
    pub(super) fn know(&mut self, targets: &[Target]) -> Result<(), Full> {
        let row_of = |target: &Target| self.rows.get(key(target.dimension.get(), target.value));
        let targets = || targets.iter().filter(|target| target.group == 0);
        let wanted = targets().filter(|target| row_of(target).is_none()).count();
        if self.counts.len() + wanted > self.capacity {
            return Err(Full);
        }
        for target in targets() {
            let key = key(target.dimension.get(), target.value);
            if self.rows.get(key).is_none() {
                self.rows.insert(key, self.counts.len() as u32)?;
                self.counts.push([0; 2]);
                self.shelves.push(OPEN as u8);
            }
        }
        Ok(())
    }

    /// Puts a line item in where it stands, or takes it out. `targets` gives the targets of any line item, all known.
    pub(super) fn put<'t>(&mut self, place: u32, standing: Option<Standing>, targets: impl Fn(u32) -> &'t [Target]) {
        let bit = self.bits[place as usize];
        if bit != NOWHERE {
            match standing {
                Some(standing) if class(standing.score) == class(self.scores[bit as usize]) => {
                    self.stand(bit, standing);
                    return;
                }
                _ => self.take_out(place, targets(place), &targets),
            }
        }
        if let Some(standing) = standing {
            let shelf = self.shelf_for(targets(place));
            let bit = self.free_bit(class(standing.score), shelf);
            self.put_at(bit, place, standing, targets(place));
        }
    }

    /// The shelf of a line item: of the value that it includes alone of a dimension.
    fn shelf_for(&mut self, targets: &[Target]) -> usize {
        let includes = |target: &&Target| target.group == 0 && target.mode.get() == TargetMode::Include;
        let value = SHELVED.into_iter().find_map(|dimension| {
            let mut own = targets.iter().filter(includes).filter(|target| target.dimension.get() == dimension);
            own.next().filter(|_| own.next().is_none())
        });
        let Some(value) = value else { return OPEN };
        let row = self.rows.get(key(value.dimension.get(), value.value)).expect("its values are known") as usize;
        if self.shelves[row] == OPEN as u8 {
            self.last_shelf = self.last_shelf % (SHELVES as u8 - 1) + 1;
            self.shelves[row] = self.last_shelf;
        }
        self.shelves[row].into()
    }

    fn put_at(&mut self, bit: u32, place: u32, standing: Standing, targets: &[Target]) {
        self.write(bit, targets, true);
        (self.bits[place as usize], self.places[bit as usize]) = (bit, place);
        self.stand(bit, standing);
    }

    /// Writes where the line item of a bit stands.
    fn stand(&mut self, bit: u32, Standing { score, worth }: Standing) {
        let (at, block) = (bit as usize, (bit / BITS) as usize);
        let before = core::mem::replace(&mut self.worths[at], worth);
        self.scores[at] = score;
        if worth >= self.top[block] {
            self.top[block] = worth;
        } else if before == self.top[block] {
            self.find_top(block);
        }
    }

    /// Finds again what an impression is worth to anybody of a block at most.
    fn find_top(&mut self, block: usize) {
        let present = block_of(&self.present, block);
        let worths = ones(&present).map(|at| self.worths[block * BITS as usize + at]);
        self.top[block] = worths.max().unwrap_or(0);
    }

    /// Takes a line item out. Another of its class and shelf takes its bit, so that of their blocks one at most has room: there are
    /// never more blocks than a row has.
    fn take_out<'t>(&mut self, place: u32, own: &[Target], targets: &impl Fn(u32) -> &'t [Target]) {
        let bit = core::mem::replace(&mut self.bits[place as usize], NOWHERE);
        self.write(bit, own, false);
        let (class, block) = (class(self.scores[bit as usize]), bit / BITS);
        let shelf = usize::from(self.shelf[block as usize]);
        let mut poorer = block;
        let open = self.open_blocks(class, shelf).find(|open| *open != block);
        if let Some(open) = open {
            let from = open * BITS + first_one(block_of(&self.present, open as usize)).expect("somebody has the block");
            let (moved, standing) = self.at(from as usize);
            self.write(from, targets(moved), false);
            self.put_at(bit, moved, standing, targets(moved));
            poorer = open;
        }
        self.find_top(block as usize);
        self.find_top(poorer as usize);
        if block_of(&self.present, poorer as usize) == [0; WORDS] {
            let order = &mut self.order[shelf];
            let at = order.binary_search(&entry(class, poorer)).expect("a block that somebody had");
            order.remove(at);
            self.free.push(poorer);
            self.shelved -= usize::from(shelf != OPEN);
        }
    }

    /// The blocks of a class on a shelf that have room.
    fn open_blocks(&self, class: u32, shelf: usize) -> impl Iterator<Item = u32> {
        let order = &self.order[shelf];
        let first = order.partition_point(|block| *block < entry(class, 0));
        let own = order[first..].iter().take_while(move |block| **block >> 16 == entry(class, 0) >> 16);
        own.map(|block| block & 0xffff).filter(|block| block_of(&self.present, *block as usize) != [u64::MAX; WORDS])
    }

    /// A free bit in a block of a class on a shelf, or on the open one when no block more may be on others.
    fn free_bit(&mut self, class: u32, shelf: usize) -> u32 {
        let open = self.open_blocks(class, shelf).next();
        if open.is_none() && shelf != OPEN && self.shelved == self.shelved_max {
            return self.free_bit(class, OPEN);
        }
        let block = open.unwrap_or_else(|| {
            let block = self.free.pop().unwrap_or_else(|| {
                self.used += 1;
                self.used as u32 - 1
            });
            let order = &mut self.order[shelf];
            let at = order.partition_point(|other| *other < entry(class, block));
            order.insert(at, entry(class, block));
            self.shelf[block as usize] = shelf as u8;
            self.shelved += usize::from(shelf != OPEN);
            block
        });
        let taken = block_of(&self.present, block as usize);
        block * BITS + first_one(taken.map(|word| !word)).expect("the block has room")
    }

    /// Writes a line item's bit in every row that it belongs in, or clears it.
    fn write(&mut self, bit: u32, targets: &[Target], on: bool) {
        let more = |count: &mut u32| *count = if on { *count + 1 } else { *count - 1 };
        let words = self.blocks * WORDS;
        let mut includes = [false; DIMENSIONS];
        for target in targets.iter().filter(|target| target.group == 0) {
            let dimension = target.dimension.get();
            let row = self.rows.get(key(dimension, target.value)).expect("its values are known") as usize;
            let range = row * words..(row + 1) * words;
            let excludes = target.mode.get() == TargetMode::Exclude;
            more(&mut self.counts[row][usize::from(excludes)]);
            set(&mut if excludes { &mut self.exclude } else { &mut self.include }[range], bit, on);
            includes[dimension as usize] |= !excludes;
        }
        for ((any, including), includes) in self.any.iter_mut().zip(&mut self.including).zip(includes) {
            if includes {
                more(including);
            }
            set(any, bit, on && !includes);
        }
        if targets.iter().any(|target| target.group > 0) {
            set(&mut self.grouped, bit, on);
            more(&mut self.grouped_count);
        }
        set(&mut self.present, bit, on);
        more(&mut self.count);
    }

    /// Line items that take part in auctions.
    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// What `attributes` ask of the rows. They are ordered, each there once, [`TARGETS_MAX`] at most.
    fn ask(&self, attributes: &[Attribute]) -> Asked {
        let words = self.blocks * WORDS;
        let mut asked = Asked::nothing();
        let (mut included, mut attributes) = (0, attributes.iter().peekable());
        for dimension in 1..DIMENSIONS {
            let first = included;
            while let Some(attribute) = attributes.next_if(|a| a.dimension.get() as usize == dimension) {
                let Some(row) = self.rows.get(key(attribute.dimension.get(), attribute.value)) else { continue };
                let [includes, excludes] = self.counts[row as usize];
                if includes > 0 {
                    asked.include[included] = row as usize * words;
                    asked.shelves |= 1 << self.shelves[row as usize];
                    included += 1;
                }
                if excludes > 0 {
                    asked.exclude[asked.excluded] = row as usize * words;
                    asked.excluded += 1;
                }
            }
            if self.including[dimension] > 0 {
                asked.dimensions[asked.count] = (dimension as u8, first as u8, included as u8);
                asked.count += 1;
            }
        }
        asked
    }

    /// Finds the line items whose targets that stand for themselves `attributes` meet; gives how many there are. Attributes are
    /// ordered, each there once, [`TARGETS_MAX`] at most.
    pub(super) fn meet(&self, attributes: &[Attribute], met: &mut Met) -> u32 {
        let asked = self.ask(attributes);
        met.found.clear();
        met.shelves = 0;
        let mut count = 0;
        for (shelf, order) in self.order.iter().enumerate() {
            if asked.shelves >> shelf & 1 == 0 || order.is_empty() {
                continue;
            }
            for entry in order {
                let joined = self.join(&asked, (entry & 0xffff) as usize);
                let ones: u32 = joined.iter().map(|word| word.count_ones()).sum();
                count += ones;
                if ones > 0 {
                    met.found.push((*entry, joined));
                }
            }
            met.ends[met.shelves] = met.found.len() as u32;
            met.shelves += 1;
        }
        count
    }

    /// Those of a block who meet what is asked.
    #[inline]
    fn join(&self, asked: &Asked, block: usize) -> Block {
        let at = block * WORDS;
        let of =
            |row: &[u64], from: usize| -> Block { *row[from + at..].first_chunk().expect("rows are whole blocks") };
        // Every other row has only those that take part, and where all include some value, none includes any.
        let mut joined = if asked.count == 0 { of(&self.present, 0) } else { [u64::MAX; WORDS] };
        for (dimension, first, end) in &asked.dimensions[..asked.count] {
            let all = self.including[usize::from(*dimension)] == self.count;
            let mut meets = if all { [0; WORDS] } else { of(&self.any[usize::from(*dimension)], 0) };
            for from in &asked.include[usize::from(*first)..usize::from(*end)] {
                let row = of(&self.include, *from);
                meets.iter_mut().zip(row).for_each(|(meets, row)| *meets |= row);
            }
            joined.iter_mut().zip(meets).for_each(|(joined, meets)| *joined &= meets);
        }
        for from in &asked.exclude[..asked.excluded] {
            let row = of(&self.exclude, *from);
            joined.iter_mut().zip(row).for_each(|(joined, row)| *joined &= !row);
        }
        joined
    }

    /// Takes those out of `met` that have targets in groups and are not met; gives how many.
    pub(super) fn sift(&self, met: &mut Met, is_met: impl Fn(u32) -> bool) -> u32 {
        if self.grouped_count == 0 {
            return 0;
        }
        let mut gone = 0;
        for (entry, found) in &mut met.found {
            let (_, block) = class_and_block(*entry);
            let mut grouped = block_of(&self.grouped, block);
            grouped.iter_mut().zip(&*found).for_each(|(grouped, found)| *grouped &= found);
            for bit in ones(&grouped) {
                if !is_met(self.places[block * BITS as usize + bit]) {
                    found[bit / 64] &= !(1 << (bit % 64));
                    gone += 1;
                }
            }
        }
        gone
    }

    /// The line items that take part in auctions, each with where it stands and whether `met` has it, in no order.
    pub(super) fn all(&self, met: &Met) -> impl Iterator<Item = (u32, Standing, bool)> {
        let found: BTreeMap<usize, Block> =
            met.found.iter().map(|(entry, found)| (class_and_block(*entry).1, *found)).collect();
        let blocks = self.order.iter().flatten().map(|entry| class_and_block(*entry).1);
        blocks.flat_map(move |block| {
            let found = found.get(&block).copied().unwrap_or_default();
            let is_found = move |bit: usize| found[bit / 64] >> (bit % 64) & 1 == 1;
            ones(&block_of(&self.present, block)).map(move |bit| {
                let (place, standing) = self.at(block * BITS as usize + bit);
                (place, standing, is_found(bit))
            })
        })
    }

    /// The line item of a bit of a block, and where it stands.
    #[inline]
    pub(super) fn at_bit(&self, block: usize, bit: usize) -> (u32, Standing) {
        self.at(block * BITS as usize + bit)
    }

    /// The line item of a bit, and where it stands.
    #[inline]
    fn at(&self, bit: usize) -> (u32, Standing) {
        (self.places[bit], Standing { score: self.scores[bit], worth: self.worths[bit] })
    }

    /// What an impression is worth to anybody of a block at most.
    #[inline]
    pub(super) fn top(&self, block: usize) -> u64 {
        self.top[block]
    }
}

/// What a request asks of the rows.
struct Asked {
    /// Where rows begin that include, those of one dimension after another; and rows that exclude.
    include: [usize; TARGETS_MAX],
    exclude: [usize; TARGETS_MAX],
    excluded: usize,
    /// The dimensions in which anybody includes values, each with its rows of `include`.
    dimensions: [(u8, u8, u8); DIMENSIONS],
    count: usize,
    /// A bit for each shelf that is looked at.
    shelves: u32,
}

impl Asked {
    /// Nothing: only the open shelf is looked at.
    fn nothing() -> Self {
        Self {
            include: [0; TARGETS_MAX],
            exclude: [0; TARGETS_MAX],
            excluded: 0,
            dimensions: [(0, 0, 0); DIMENSIONS],
            count: 0,
            shelves: 1 << OPEN,
        }
    }
}

#[cfg(test)]
mod tests;
