use super::Full;
use alloc::boxed::Box;
use bytemuck::{Pod, Zeroable};

#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
struct Place {
    /// The low half of the key's hash: where it belongs, and a first glance at whether it is the one.
    hash: u32,
    /// The index and one; 0 when the place is empty.
    index: u32,
}

/// Places of the smallest table, or less where the capacity is less.
const SMALLEST: usize = 256;
/// Places for each key before the table grows, but where it is largest: the fewer of them are used, the fewer branches go wrong.
const PLACES_EACH: usize = 8;
/// Places that an insertion empties while the table grows; more where entries stand close together.
const STEP: usize = 128;

/// Places of a power of two, at most half of them used: open addressing, linear probes, no tombstones.
/// Who is farther behind its home stands first, so that a key that is not held is soon missed and a removal moves few.
#[derive(Clone, Debug)]
struct Table {
    /// The memory, of which the first `size` places are in use.
    places: Box<[Place]>,
    size: usize,
}

impl Table {
    fn new(most: usize, size: usize) -> Self {
        Self { places: bytemuck::allocation::zeroed_slice_box(most), size }
    }

    #[inline(always)]
    fn places(&self) -> &[Place] {
        &self.places[..self.size]
    }

    #[inline(always)]
    fn places_mut(&mut self) -> &mut [Place] {
        &mut self.places[..self.size]
    }

    /// How far behind its home stands whoever is at `at`.
    #[inline]
    fn distance(place: Place, at: usize, mask: usize) -> usize {
        at.wrapping_sub(place.hash as usize) & mask
    }

    #[inline(always)]
    fn get(&self, hash: u32, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        let places = self.places();
        let mask = places.len() - 1;
        let home = hash as usize & mask;
        let mut at = home;
        loop {
            let place = places[at];
            if place.index == 0 {
                return None;
            }
            if place.hash == hash && is_it(place.index - 1) {
                return Some(place.index - 1);
            }
            // It would have come before this one.
            if Self::distance(place, at, mask) < at.wrapping_sub(home) & mask {
                return None;
            }
            at = (at + 1) & mask;
        }
    }

    #[inline(always)]
    fn guess(&self, hash: u32) -> u32 {
        let places = self.places();
        let place = places[hash as usize & (places.len() - 1)];
        place.index.wrapping_sub(1) | u32::from(place.hash != hash).wrapping_neg()
    }

    #[inline(always)]
    fn insert(&mut self, place: Place) {
        let places = self.places_mut();
        let at = place.hash as usize & (places.len() - 1);
        if places[at].index == 0 {
            places[at] = place;
        } else {
            self.push_in(place, at);
        }
    }

    /// Places `place` behind its home at `home`: before all that are nearer to theirs, which move one on.
    #[inline(never)]
    fn push_in(&mut self, mut place: Place, home: usize) {
        let places = self.places_mut();
        let mask = places.len() - 1;
        let (mut at, mut distance) = (home, 0);
        while places[at].index != 0 {
            let theirs = Self::distance(places[at], at, mask);
            if theirs < distance {
                core::mem::swap(&mut places[at], &mut place);
                distance = theirs;
            }
            (at, distance) = ((at + 1) & mask, distance + 1);
        }
        places[at] = place;
    }

    /// Takes out `index`, which hashes to `hash`; says whether it was here.
    #[inline(always)]
    fn remove(&mut self, hash: u32, index: u32) -> bool {
        let places = self.places_mut();
        let mask = places.len() - 1;
        let mut hole = hash as usize & mask;
        while places[hole].index != index + 1 {
            if places[hole].index == 0 {
                return false;
            }
            hole = (hole + 1) & mask;
        }
        // Whoever was pushed behind its home moves back by one. The first who was not ends it: nobody behind that one
        // belongs before it.
        loop {
            let at = (hole + 1) & mask;
            let place = places[at];
            if place.index == 0 || Self::distance(place, at, mask) == 0 {
                break;
            }
            places[hole] = place;
            hole = at;
        }
        places[hole] = Place::zeroed();
        true
    }
}

/// Finds a slab index by a key of any width that the slab's value itself carries: the caller hashes the key and says
/// whether a candidate is it. 8 bytes a place, open addressing.
///
/// Memory for its capacity is claimed once, but no more of it is touched than what is held needs: few keys stand close
/// together, and near in the caches. When an eighth of its table is used, one of twice the size is filled beside it, a few
/// places with each insertion: no insertion waits for all. The largest table gets half full.
///
/// ```text
/// now   [···k····k···kk··]    grows: next [································]
///        0 ─► moved                       every insertion goes there, and takes 128 places of `now` along
/// ```
///
/// It is looked up and never iterated; where its entries stand is not state. Loading rebuilds it from what it indexes.
#[derive(Clone, Debug)]
pub struct KeyIndex {
    now: Table,
    /// Where everything goes while the table grows. Where it does not, all its places are empty.
    next: Table,
    is_growing: bool,
    /// How many places of `now` have been emptied, from its first.
    moved: usize,
    /// With how many keys an insertion has more to do.
    grows_at: usize,
    len: usize,
    capacity: usize,
}

impl KeyIndex {
    /// Room for `capacity` keys.
    ///
    /// # Panics
    /// When `capacity` is not below 2³¹.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        assert!(capacity < 1 << 31, "half a hash tells the place");
        let most = (capacity.max(4) * 2).next_power_of_two();
        // The tables take turns, and the largest is the first's: by twos of doublings.
        let mut size = most;
        while size >= 4 * SMALLEST {
            size /= 4;
        }
        let half = if size < most { most / 2 } else { 0 };
        let (now, next) = (Table::new(most, size), Table::new(half, 0));
        let mut index = Self { now, next, is_growing: false, moved: 0, grows_at: 0, len: 0, capacity };
        index.settle();
        index
    }

    /// Keys held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The index whose key hashes to `hash` and which `is_it`.
    #[must_use]
    #[inline(always)]
    pub fn get(&self, hash: u64, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        let found = self.now.get(hash as u32, &mut is_it);
        if self.is_growing && found.is_none() { self.next.get(hash as u32, is_it) } else { found }
    }

    /// The index at the first place where a key that hashes to `hash` can stand, if it may be its; else `u32::MAX`. The place is
    /// near in memory after that. Nothing branches on it, so that one guess does not wait for another.
    #[must_use]
    #[inline]
    pub fn guess(&self, hash: u64) -> u32 {
        let guess = self.now.guess(hash as u32);
        if self.is_growing { guess.min(self.next.guess(hash as u32)) } else { guess }
    }

    /// Adds `index` under `hash`. Its key is not held yet: the caller has looked.
    ///
    /// # Errors
    /// [`Full`] at capacity.
    #[inline(always)]
    pub fn insert(&mut self, hash: u64, index: u32) -> Result<(), Full> {
        if self.len >= self.grows_at {
            self.grow()?;
        }
        let table = if self.is_growing { &mut self.next } else { &mut self.now };
        table.insert(Place { hash: hash as u32, index: index + 1 });
        self.len += 1;
        Ok(())
    }

    /// Takes out `index`, which stands under `hash`.
    ///
    /// # Panics
    /// When it does not.
    #[inline(always)]
    pub fn remove(&mut self, hash: u64, index: u32) {
        let was_here = self.now.remove(hash as u32, index) || self.is_growing && self.next.remove(hash as u32, index);
        assert!(was_here, "what is taken out was put in");
        self.len -= 1;
    }

    /// Begins to grow, or goes on with it.
    #[cold]
    #[inline(never)]
    fn grow(&mut self) -> Result<(), Full> {
        if self.len == self.capacity {
            return Err(Full);
        }
        if !self.is_growing {
            (self.next.size, self.is_growing, self.moved, self.grows_at) = (self.now.size * 2, true, 0, 0);
        }
        // Entries that stand together go together: none is looked for behind a place that was emptied.
        let end = self.moved + STEP;
        while self.moved < self.now.size && (self.moved < end || self.now.places[self.moved].index != 0) {
            let place = core::mem::replace(&mut self.now.places[self.moved], Place::zeroed());
            if place.index != 0 {
                self.next.insert(place);
            }
            self.moved += 1;
        }
        if self.moved == self.now.size {
            core::mem::swap(&mut self.now, &mut self.next);
            (self.next.size, self.is_growing) = (0, false);
            self.settle();
        }
        Ok(())
    }

    /// Says when it has more to do next: when it grows, or is full.
    fn settle(&mut self) {
        let is_largest = self.now.size >= self.capacity * 2;
        self.grows_at = if is_largest { self.capacity } else { self.capacity.min(self.now.size / PLACES_EACH) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;
    use crate::state::fold;
    use std::collections::BTreeMap;

    /// Guards against a key that is lost while the table grows, and against a table that grows beyond its memory.
    #[test]
    fn grows_without_losing_a_key() {
        for capacity in [1, 5, 128, 129, 1_000, 5_000] {
            let (mut index, mut plain) = (KeyIndex::new(capacity), BTreeMap::new());
            let mut random = Random::new(13);
            let hash = |key: u32| {
                fold(u64::from(key / 16) ^ 0x9e37_79b9_7f4a_7c15, 0xd6e8_feb8_6659_fd93) + u64::from(key % 16)
            };
            // Fills up, with removals between, and empties again.
            for inserts in [70, 30] {
                for _ in 0..capacity * 12 {
                    let key = random.below(capacity as u64 * 2) as u32;
                    let found = index.get(hash(key), |candidate| candidate == key);
                    assert_eq!(found, plain.get(&key).copied());
                    match (random.below(100) < inserts, found) {
                        (true, None) if plain.len() == capacity => assert_eq!(index.insert(hash(key), key), Err(Full)),
                        (true, None) => {
                            index.insert(hash(key), key).expect("there is room");
                            plain.insert(key, key);
                        }
                        (false, Some(_)) => {
                            index.remove(hash(key), key);
                            plain.remove(&key);
                        }
                        _ => {}
                    }
                    assert_eq!(index.len(), plain.len());
                    let places = index.now.size.max(index.next.size);
                    assert!(index.len() <= places / 2, "{} keys in {places} places", index.len());
                }
                for key in plain.keys() {
                    assert_eq!(index.get(hash(*key), |candidate| candidate == *key), Some(*key));
                }
            }
        }
    }

    /// Guards against keys that are confused because they share a hash, and against a removal that hides one.
    #[test]
    fn agrees_with_a_plain_map() {
        let (mut index, mut plain) = (KeyIndex::new(64), BTreeMap::new());
        let mut random = Random::new(11);
        // The key of index `i` is `i`; hashes are so poor that all keys crowd into 16 homes.
        let hash = |key: u32| u64::from(key % 16);
        for _ in 0..100_000 {
            let key = random.below(100) as u32;
            assert_eq!(index.get(hash(key), |candidate| candidate == key), plain.get(&key).copied());
            if plain.remove(&key).is_some() {
                index.remove(hash(key), key);
            } else if plain.len() == 64 {
                assert_eq!(index.insert(hash(key), key), Err(Full));
            } else {
                index.insert(hash(key), key).expect("there is room");
                plain.insert(key, key);
            }
            assert_eq!(index.len(), plain.len());
        }
    }
}
