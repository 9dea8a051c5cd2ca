//! Finds the line items whose targets a request meets: a bit for each line item, in a row for each value that is
//! targeted. Nothing here is saved; loading builds it again from line items and their targets.

use super::messages::{Attribute, Dimension, TARGETS_MAX, Target, TargetMode};
use alloc::boxed::Box;
use alloc::vec::Vec;
use ringfence_kernel::bounded::{Full, HashIndex};

/// Dimensions, and one that is none: their numbers begin at 1.
const DIMENSIONS: usize = Dimension::Size as usize + 1;
/// Words that are looked at together: what the rows of a request say of them stays in registers and the first cache.
const CHUNK: usize = 16;

/// Bits of all line items.
type Row = Box<[u64]>;

#[derive(Clone, Debug)]
pub(super) struct Index {
    /// Those that take part in auctions.
    serving: Row,
    serving_count: u32,
    /// For each dimension, those that include no value of it.
    any: [Row; DIMENSIONS],
    /// Line items that include values of each dimension.
    including: [u32; DIMENSIONS],
    /// The row of a value.
    rows: HashIndex,
    capacity: usize,
    /// For each row, those that include the value, and those that exclude it.
    include: Box<[u64]>,
    exclude: Box<[u64]>,
    /// For each row, how many of either there are.
    counts: Vec<[u32; 2]>,
    /// Words of a row: a whole number of chunks.
    words: usize,
    /// Words that have line items.
    used: usize,
    /// What each line item is worth in the ranking: bid times weight.
    scores: Box<[u64]>,
}

fn key(dimension: Dimension, value: u32) -> u64 {
    (dimension as u64) << 32 | u64::from(value)
}

fn set(row: &mut [u64], place: u32, on: bool) {
    let (word, bit) = (place as usize / 64, 1 << (place % 64));
    if on {
        row[word] |= bit;
    } else {
        row[word] &= !bit;
    }
}

impl Index {
    pub(super) fn new(items: usize, values: usize) -> Self {
        let words = items.div_ceil(64).next_multiple_of(CHUNK);
        let row = |with| -> Row { alloc::vec![with; words].into() };
        Self {
            serving: row(0),
            serving_count: 0,
            any: core::array::from_fn(|_| row(u64::MAX)),
            including: [0; DIMENSIONS],
            rows: HashIndex::new(values),
            capacity: values,
            include: bytemuck::allocation::zeroed_slice_box(words * values),
            exclude: bytemuck::allocation::zeroed_slice_box(words * values),
            counts: Vec::with_capacity(values),
            words,
            used: 0,
            scores: bytemuck::allocation::zeroed_slice_box(words * 64),
        }
    }

    /// Adds a line item by its targets, which are ordered and each there once.
    ///
    /// # Errors
    /// [`Full`] when there is no row for a value that nobody targeted before; nothing has changed.
    pub(super) fn add(&mut self, place: u32, targets: &[Target]) -> Result<(), Full> {
        let row_of = |target: &Target| self.rows.get(key(target.dimension.get(), target.value));
        let wanted = targets.iter().filter(|target| row_of(target).is_none()).count();
        if self.counts.len() + wanted > self.capacity {
            return Err(Full);
        }
        self.used = self.used.max((place as usize / 64 + 1).next_multiple_of(CHUNK));
        for target in targets {
            let key = key(target.dimension.get(), target.value);
            let row = self.rows.get(key).unwrap_or(self.counts.len() as u32);
            if row as usize == self.counts.len() {
                self.rows.insert(key, row)?;
                self.counts.push([0; 2]);
            }
            let range = row as usize * self.words..(row as usize + 1) * self.words;
            if target.mode.get() == TargetMode::Exclude {
                self.counts[row as usize][1] += 1;
                set(&mut self.exclude[range], place, true);
                continue;
            }
            self.counts[row as usize][0] += 1;
            set(&mut self.include[range], place, true);
            let dimension = target.dimension.get() as usize;
            let any = &mut self.any[dimension];
            if any[place as usize / 64] >> (place % 64) & 1 == 1 {
                set(any, place, false);
                self.including[dimension] += 1;
            }
        }
        Ok(())
    }

    pub(super) fn set_serving(&mut self, place: u32, on: bool) {
        let was = self.serving[place as usize / 64] >> (place % 64) & 1 == 1;
        set(&mut self.serving, place, on);
        self.serving_count = self.serving_count + u32::from(on) - u32::from(was);
    }

    pub(super) fn set_score(&mut self, place: u32, score: u64) {
        self.scores[place as usize] = score;
    }

    /// Line items that take part in auctions.
    pub(super) fn serving(&self) -> u32 {
        self.serving_count
    }

    /// Calls `each` with the place and the score of every line item that takes part in auctions and whose targets
    /// `attributes` meet, by place. They are ordered, each there once, [`TARGETS_MAX`] at most.
    #[inline]
    pub(super) fn find(&self, attributes: &[Attribute], mut each: impl FnMut(u32, u64)) {
        // Rows that count, those of one dimension after another, and the dimensions in which any line item includes values.
        let (mut include, mut exclude) = ([0; TARGETS_MAX], [0; TARGETS_MAX]);
        let (mut included, mut excluded) = (0, 0);
        let (mut asked, mut dimensions) = ([(0, 0, 0); DIMENSIONS], 0);
        let mut attributes = attributes.iter().peekable();
        for dimension in 1..DIMENSIONS {
            let first = included;
            while let Some(attribute) = attributes.next_if(|a| a.dimension.get() as usize == dimension) {
                let Some(row) = self.rows.get(key(attribute.dimension.get(), attribute.value)) else { continue };
                let [includes, excludes] = self.counts[row as usize];
                if includes > 0 {
                    include[included] = row as usize * self.words;
                    included += 1;
                }
                if excludes > 0 {
                    exclude[excluded] = row as usize * self.words;
                    excluded += 1;
                }
            }
            if self.including[dimension] > 0 {
                asked[dimensions] = (dimension, first, included);
                dimensions += 1;
            }
        }
        for at in (0..self.used).step_by(CHUNK) {
            let chunk = |row: &[u64], from: usize| -> [u64; CHUNK] {
                *row[from..].first_chunk().expect("a row is a whole number of chunks")
            };
            let mut found = chunk(&self.serving, at);
            for (dimension, first, end) in &asked[..dimensions] {
                let mut meets = chunk(&self.any[*dimension], at);
                for row in &include[*first..*end] {
                    let row = chunk(&self.include, row + at);
                    meets.iter_mut().zip(row).for_each(|(meets, row)| *meets |= row);
                }
                found.iter_mut().zip(meets).for_each(|(found, meets)| *found &= meets);
            }
            for row in &exclude[..excluded] {
                let row = chunk(&self.exclude, row + at);
                found.iter_mut().zip(row).for_each(|(found, row)| *found &= !row);
            }
            for (word, mut bits) in (at..).zip(found) {
                while bits != 0 {
                    let place = word as u32 * 64 + bits.trailing_zeros();
                    bits &= bits - 1;
                    each(place, self.scores[place as usize]);
                }
            }
        }
    }
}
