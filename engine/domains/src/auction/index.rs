//! Finds the line items whose targets a request meets: a bit for each that takes part in auctions, in a row for each value
//! that is targeted. Nothing here is saved; loading builds it again from line items and their targets.
//!
//! ```text
//!            word 0      word 1      word 2         a word's line items are of one class: scores that are near
//! present    1101…       1…          111…           each other; `order` has the words, best class first
//! include    0100…       1…          010…           one row for each value
//! exclude    1000…       0…          000…           one row for each value
//! any        1001…       0…          101…           one row for each dimension: those that include no value of it
//! ```
//!
//! Rows are joined word by word, all of them, without a branch; the line items behind the bits that are left are looked at
//! best class first, until nobody who follows can matter.

use super::messages::{Attribute, Dimension, TARGETS_MAX, Target, TargetMode};
use alloc::boxed::Box;
use alloc::vec::Vec;
use ringfence_kernel::bounded::{Full, HashIndex};

/// Dimensions that have targets, and one that is none: their numbers begin at 1.
const DIMENSIONS: usize = Dimension::Label as usize + 1;
/// Words that are joined at once: what the rows of a request say of them stays in registers and the first cache.
const CHUNK: usize = 16;
/// Classes of scores at most: sixteen for each power of two.
const CLASSES: usize = 64 * 16;
const NOWHERE: u32 = u32::MAX;

/// Bits of all line items.
type Row = Box<[u64]>;

#[derive(Clone, Debug)]
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
    /// Words of a row, a whole number of chunks; those behind `used` were never needed.
    words: usize,
    used: usize,
    /// Words that nobody has, below `used`.
    free: Vec<u32>,
    /// The words that somebody has: the complement of their class, and which.
    order: Vec<u32>,
    /// The bit of each line item, and the line item of each bit.
    bits: Box<[u32]>,
    places: Box<[u32]>,
    /// The score of each bit: what its line item is ranked by.
    scores: Box<[u64]>,
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

fn word_of(class: u32, word: u32) -> u32 {
    (CLASSES as u32 - 1 - class) << 16 | word
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
        let words = (items.div_ceil(64) + CLASSES).next_multiple_of(CHUNK);
        assert!(words < 1 << 16, "a word has a number of 16 bits");
        let row = |rows: usize| -> Row { bytemuck::allocation::zeroed_slice_box(words * rows) };
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
            words,
            used: 0,
            free: Vec::with_capacity(words),
            order: Vec::with_capacity(words),
            bits: alloc::vec![NOWHERE; items].into(),
            places: bytemuck::allocation::zeroed_slice_box(words * 64),
            scores: row(64),
        }
    }

    /// Words of a row: the room that [`Index::meet`] needs.
    pub(super) fn words(&self) -> usize {
        self.words
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
            }
        }
        Ok(())
    }

    /// Puts a line item in with its score, or takes it out. `targets` gives the targets of any line item, all known.
    pub(super) fn put<'t>(&mut self, place: u32, score: Option<u64>, targets: impl Fn(u32) -> &'t [Target]) {
        let bit = self.bits[place as usize];
        if bit != NOWHERE {
            match score {
                Some(score) if class(score) == class(self.scores[bit as usize]) => {
                    self.scores[bit as usize] = score;
                    return;
                }
                _ => self.take_out(place, targets(place), &targets),
            }
        }
        if let Some(score) = score {
            let bit = self.free_bit(class(score));
            self.put_at(bit, place, score, targets(place));
        }
    }

    fn put_at(&mut self, bit: u32, place: u32, score: u64, targets: &[Target]) {
        self.write(bit, targets, true);
        self.bits[place as usize] = bit;
        (self.places[bit as usize], self.scores[bit as usize]) = (place, score);
    }

    /// Takes a line item out. Another of its class takes its bit, so that of the words of a class one at most has room:
    /// there are never more words than a row has.
    fn take_out<'t>(&mut self, place: u32, own: &[Target], targets: &impl Fn(u32) -> &'t [Target]) {
        let bit = core::mem::replace(&mut self.bits[place as usize], NOWHERE);
        self.write(bit, own, false);
        let (class, word) = (class(self.scores[bit as usize]), bit / 64);
        let mut poorer = word;
        let open = self.open_words(class).find(|open| *open != word);
        if let Some(open) = open {
            let from = open * 64 + self.present[open as usize].trailing_zeros();
            let (moved, score) = self.at(from as usize);
            self.write(from, targets(moved), false);
            self.put_at(bit, moved, score, targets(moved));
            poorer = open;
        }
        if self.present[poorer as usize] == 0 {
            let at = self.order.binary_search(&word_of(class, poorer)).expect("a word that somebody had");
            self.order.remove(at);
            self.free.push(poorer);
        }
    }

    /// The words of a class that have room.
    fn open_words(&self, class: u32) -> impl Iterator<Item = u32> {
        let first = self.order.partition_point(|word| *word < word_of(class, 0));
        let own = self.order[first..].iter().take_while(move |word| *word >> 16 == word_of(class, 0) >> 16);
        own.map(|word| *word & 0xffff).filter(|word| self.present[*word as usize] != u64::MAX)
    }

    /// A free bit in a word of a class.
    fn free_bit(&mut self, class: u32) -> u32 {
        let open = self.open_words(class).next();
        let word = open.unwrap_or_else(|| {
            let word = self.free.pop().unwrap_or_else(|| {
                self.used += 1;
                self.used as u32 - 1
            });
            let at = self.order.partition_point(|other| *other < word_of(class, word));
            self.order.insert(at, word_of(class, word));
            word
        });
        word * 64 + self.present[word as usize].trailing_ones()
    }

    /// Writes a line item's bit in every row that it belongs in, or clears it.
    fn write(&mut self, bit: u32, targets: &[Target], on: bool) {
        let more = |count: &mut u32| *count = if on { *count + 1 } else { *count - 1 };
        let mut includes = [false; DIMENSIONS];
        for target in targets.iter().filter(|target| target.group == 0) {
            let dimension = target.dimension.get();
            let row = self.rows.get(key(dimension, target.value)).expect("its values are known") as usize;
            let range = row * self.words..(row + 1) * self.words;
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

    /// Writes into `found` a bit for each line item whose targets that stand for themselves `attributes` meet; gives how many
    /// there are. Attributes
    /// are ordered, each there once, [`TARGETS_MAX`] at most.
    pub(super) fn meet(&self, attributes: &[Attribute], found: &mut [u64]) -> u32 {
        // Rows that count, those of one dimension after another, and the dimensions in which anybody includes values.
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
        let mut count = Count::default();
        for at in (0..self.used).step_by(CHUNK) {
            let chunk = |row: &[u64], from: usize| -> [u64; CHUNK] {
                *row[from..].first_chunk().expect("a row is a whole number of chunks")
            };
            // Every other row has only those that take part, and where all include some value, none includes any.
            let mut joined = if dimensions == 0 { chunk(&self.present, at) } else { [u64::MAX; CHUNK] };
            for (dimension, first, end) in &asked[..dimensions] {
                let all = self.including[*dimension] == self.count;
                let mut meets = if all { [0; CHUNK] } else { chunk(&self.any[*dimension], at) };
                for row in &include[*first..*end] {
                    let row = chunk(&self.include, row + at);
                    meets.iter_mut().zip(row).for_each(|(meets, row)| *meets |= row);
                }
                joined.iter_mut().zip(meets).for_each(|(joined, meets)| *joined &= meets);
            }
            for row in &exclude[..excluded] {
                let row = chunk(&self.exclude, row + at);
                joined.iter_mut().zip(row).for_each(|(joined, row)| *joined &= !row);
            }
            count.add(&joined);
            found[at..at + CHUNK].copy_from_slice(&joined);
        }
        count.finish()
    }

    /// Takes those out of `found` that have targets in groups and are not met; gives how many.
    pub(super) fn sift(&self, found: &mut [u64], is_met: impl Fn(u32) -> bool) -> u32 {
        if self.grouped_count == 0 {
            return 0;
        }
        let mut gone = 0;
        for (_, word) in self.order() {
            let mut bits = found[word] & self.grouped[word];
            while bits != 0 {
                if !is_met(self.places[word * 64 + bits.trailing_zeros() as usize]) {
                    found[word] &= !(bits & bits.wrapping_neg());
                    gone += 1;
                }
                bits &= bits - 1;
            }
        }
        gone
    }

    /// Words that somebody has, each with its class, best class first.
    pub(super) fn order(&self) -> impl Iterator<Item = (u32, usize)> {
        self.order.iter().map(|word| (CLASSES as u32 - 1 - (*word >> 16), (*word & 0xffff) as usize))
    }

    /// Whether a bit is a line item's.
    pub(super) fn is_present(&self, bit: usize) -> bool {
        self.present[bit / 64] >> (bit % 64) & 1 == 1
    }

    /// The line item of a bit, and its score.
    #[inline]
    pub(super) fn at(&self, bit: usize) -> (u32, u64) {
        (self.places[bit], self.scores[bit])
    }
}

/// Counts bits, many words at once: a byte of each lane counts those of its own places, and is emptied before it is full.
#[derive(Default)]
struct Count {
    bytes: [u64; CHUNK],
    chunks: u32,
    sum: u32,
}

impl Count {
    #[inline]
    fn add(&mut self, words: &[u64; CHUNK]) {
        const PAIRS: u64 = 0x5555_5555_5555_5555;
        const FOURS: u64 = 0x3333_3333_3333_3333;
        const BYTES: u64 = 0x0f0f_0f0f_0f0f_0f0f;
        for (bytes, word) in self.bytes.iter_mut().zip(words) {
            let pairs = word - (word >> 1 & PAIRS);
            let fours = (pairs & FOURS) + (pairs >> 2 & FOURS);
            *bytes += (fours + (fours >> 4)) & BYTES;
        }
        self.chunks += 1;
        if self.chunks == u32::from(u8::MAX) / 8 {
            self.empty();
        }
    }

    fn empty(&mut self) {
        let bytes = core::mem::take(&mut self.bytes);
        self.sum += bytes.iter().flat_map(|bytes| bytes.to_le_bytes()).map(u32::from).sum::<u32>();
        self.chunks = 0;
    }

    fn finish(mut self) -> u32 {
        self.empty();
        self.sum
    }
}

#[cfg(test)]
mod tests {
    use super::super::workload::{attribute, target};
    use super::*;
    use ringfence_kernel::random::Random;

    /// Guards against words that are lost, shared by two classes, or left nearly empty, as line items come, go and change
    /// their class: the order must have each bit once, best class first, and of a class one word at most has room.
    #[test]
    fn words_are_kept_full_and_in_order() {
        let (items, mut random) = (700_u32, Random::new(5));
        let targets: Vec<[Target; 1]> =
            (0..items).map(|place| [target(TargetMode::Include, Dimension::Site, place % 3)]).collect();
        let mut index = Index::new(items as usize, 3);
        targets.iter().for_each(|targets| index.know(targets).expect("there are three values"));
        let mut scores = alloc::vec![None; items as usize];
        for step in 0..60_000 {
            let place = random.below(items.into()) as u32;
            // For a while nearly all are of one class, then of many.
            let classes = if step / 10_000 % 2 == 0 { 2 } else { 60 };
            let score = random.percent(70).then(|| (1 << random.below(classes)) + random.below(3));
            index.put(place, score, |place| &targets[place as usize]);
            scores[place as usize] = score;
            if step % 97 != 0 {
                continue;
            }
            let order: Vec<_> = index.order().collect();
            assert!(order.is_sorted_by(|(better, _), (worse, _)| better >= worse), "step {step}");
            for pair in order.windows(2) {
                let open = |(_, word): (u32, usize)| index.present[word] != u64::MAX;
                assert!(pair[0].0 != pair[1].0 || !(open(pair[0]) && open(pair[1])), "step {step}: two have room");
            }
            let mut found = alloc::vec![0; index.words()];
            let count = index.meet(&[attribute(Dimension::Site, 1)], &mut found);
            let mut seen = Vec::new();
            for (class_of_word, word) in order {
                for bit in (0..64).filter(|bit| found[word] >> bit & 1 == 1) {
                    let (place, score) = index.at(word * 64 + bit);
                    assert!(class(score) == class_of_word && scores[place as usize] == Some(score), "step {step}");
                    seen.push(place);
                }
            }
            seen.sort_unstable();
            let expected: Vec<u32> =
                (0..items).filter(|place| place % 3 == 1 && scores[*place as usize].is_some()).collect();
            assert!(seen == expected && count as usize == expected.len(), "step {step}");
        }
    }

    /// Guards against classes that are out of the order of their scores, or more than there are.
    #[test]
    fn a_higher_class_has_higher_scores() {
        let mut random = Random::new(6);
        for _ in 0..100_000 {
            let (a, b) = (random.next() >> random.below(64), random.next() >> random.below(64));
            assert!((a <= b) <= (class(a) <= class(b)), "{a} and {b}");
        }
        assert!(class(0) == 0 && class(u64::MAX) < CLASSES as u32);
    }
}
