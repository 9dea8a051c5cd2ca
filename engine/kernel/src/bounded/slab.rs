use super::Full;
use crate::state::{Corrupt, Sink, Source};
use alloc::boxed::Box;
use alloc::vec::Vec;
use bytemuck::Pod;
use core::ops::{Index, IndexMut};

/// Values by an index that stays theirs until they are removed. Freed indices are given again, last freed first.
#[derive(Clone, Debug)]
pub struct Slab<T> {
    /// A place for each value; zero where there is none. The operating system backs what was touched.
    entries: Box<[T]>,
    /// Indices below this have been given.
    used: usize,
    /// Freed indices, the next to be given last.
    free: Vec<u32>,
}

impl<T: Pod> Slab<T> {
    /// Room for `capacity` values.
    ///
    /// # Panics
    /// When `capacity` is not below 2³²−1: the highest index is left to mean none.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        assert!(capacity < u32::MAX as usize, "a slab index has 32 bits");
        let entries = bytemuck::allocation::zeroed_slice_box(capacity);
        Self { entries, used: 0, free: Vec::with_capacity(capacity) }
    }

    /// Values held.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        self.used - self.free.len()
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Values that still fit.
    #[must_use]
    #[inline]
    pub fn room(&self) -> usize {
        self.entries.len() - self.len()
    }

    /// Whether no value fits any more.
    #[must_use]
    #[inline(always)]
    pub fn is_full(&self) -> bool {
        self.free.is_empty() && self.used == self.entries.len()
    }

    /// Values that fit in all.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.entries.len()
    }

    /// Adds a value and gives its index.
    ///
    /// # Errors
    /// [`Full`] at capacity.
    #[inline(always)]
    pub fn insert(&mut self, value: T) -> Result<u32, Full> {
        let freed = self.free.pop();
        let index = freed.unwrap_or(self.used as u32);
        let place = self.entries.get_mut(index as usize).ok_or(Full)?;
        *place = value;
        self.used += usize::from(freed.is_none());
        Ok(index)
    }

    /// Takes out the value at `index`, which must hold one.
    #[inline]
    pub fn remove(&mut self, index: u32) -> T {
        let value = self.entries[index as usize];
        self.clear(index);
        value
    }

    /// Frees the value at `index`, which must hold one.
    #[inline(always)]
    pub fn clear(&mut self, index: u32) {
        self.entries[index as usize] = T::zeroed();
        debug_assert!(self.free.len() < self.used, "an index is freed once");
        self.free.push(index);
    }

    /// The values at two indices, to be changed together.
    ///
    /// # Panics
    /// When they are one index.
    #[inline]
    pub fn pair_mut(&mut self, one: u32, other: u32) -> (&mut T, &mut T) {
        let [one, other] =
            self.entries.get_disjoint_mut([one as usize, other as usize]).expect("two indices of the slab");
        (one, other)
    }

    /// All entries up to the highest index ever used, freed ones zero, by index.
    #[must_use]
    pub fn entries(&self) -> &[T] {
        &self.entries[..self.used]
    }

    /// The places of all values, by index. Who changes several borrows them once: between stores through the slab itself,
    /// where they stand is read again each time.
    #[inline(always)]
    pub fn places_mut(&mut self) -> &mut [T] {
        &mut self.entries
    }

    /// Writes values and free indices: which index comes next is state.
    pub fn save(&self, sink: &mut impl Sink) {
        sink.value(&(self.used as u64));
        sink.values(self.entries());
        sink.value(&(self.free.len() as u64));
        sink.values(&self.free);
    }

    /// What [`Slab::save`] wrote.
    ///
    /// # Errors
    /// [`Corrupt`] when it is over `capacity`, or frees an index that does not exist, holds something, or is free.
    pub fn load(capacity: usize, source: &mut impl Source) -> Result<Self, Corrupt> {
        let mut slab = Self::new(capacity);
        slab.used = source.count(capacity, "slab entries")?;
        for entry in &mut slab.entries[..slab.used] {
            *entry = source.value()?;
        }
        let mut freed = alloc::vec![false; slab.used];
        for _ in 0..source.count(slab.used, "slab free list")? {
            let index: u32 = source.value()?;
            match freed.get_mut(index as usize) {
                Some(seen) if !*seen => *seen = true,
                _ => return Err(Corrupt("slab free index")),
            }
            if bytemuck::bytes_of(&slab.entries[index as usize]).iter().any(|byte| *byte != 0) {
                return Err(Corrupt("slab freed entry"));
            }
            slab.free.push(index);
        }
        Ok(slab)
    }
}

impl<T> Index<u32> for Slab<T> {
    type Output = T;
    #[inline]
    fn index(&self, index: u32) -> &T {
        &self.entries[index as usize]
    }
}

impl<T> IndexMut<u32> for Slab<T> {
    #[inline]
    fn index_mut(&mut self, index: u32) -> &mut T {
        &mut self.entries[index as usize]
    }
}
