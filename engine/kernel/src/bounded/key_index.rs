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

/// Finds a slab index by a key of any width that the slab's value itself carries: the caller hashes the key and says
/// whether a candidate is it. Open addressing, linear probes, no tombstones, 8 bytes a place; who is farther behind its
/// home stands first, so that a key that is not held is soon missed and a removal moves few.
///
/// It is looked up and never iterated; where its entries stand is not state. Loading rebuilds it from what it indexes.
#[derive(Clone, Debug)]
pub struct KeyIndex {
    /// A power of two of places, at most half of them used.
    places: Box<[Place]>,
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
        let places = (capacity.max(4) * 2).next_power_of_two();
        Self { places: bytemuck::allocation::zeroed_slice_box(places), len: 0, capacity }
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

    /// How far behind its home stands whoever is at `at`.
    #[inline]
    fn distance(place: Place, at: usize, mask: usize) -> usize {
        at.wrapping_sub(place.hash as usize) & mask
    }

    /// The index whose key hashes to `hash` and which `is_it`.
    #[must_use]
    #[inline(always)]
    pub fn get(&self, hash: u64, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        let (hash, mask) = (hash as u32, self.places.len() - 1);
        let home = hash as usize & mask;
        let mut at = home;
        loop {
            let place = self.places[at];
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

    /// The index at the first place where a key that hashes to `hash` can stand, if it may be its; else `u32::MAX`. The place is
    /// near in memory after that. Nothing branches on it, so that one guess does not wait for another.
    #[must_use]
    #[inline]
    pub fn guess(&self, hash: u64) -> u32 {
        let place = self.places[hash as u32 as usize & (self.places.len() - 1)];
        place.index.wrapping_sub(1) | u32::from(place.hash != hash as u32).wrapping_neg()
    }

    /// Adds `index` under `hash`. Its key is not held yet: the caller has looked.
    ///
    /// # Errors
    /// [`Full`] at capacity.
    #[inline(always)]
    pub fn insert(&mut self, hash: u64, index: u32) -> Result<(), Full> {
        if self.len == self.capacity {
            return Err(Full);
        }
        let mask = self.places.len() - 1;
        let at = hash as u32 as usize & mask;
        let place = Place { hash: hash as u32, index: index + 1 };
        if self.places[at].index == 0 {
            self.places[at] = place;
        } else {
            self.push_in(place, at);
        }
        self.len += 1;
        Ok(())
    }

    /// Places `place` behind its home at `home`: before all that are nearer to theirs, which move one on.
    #[inline(never)]
    fn push_in(&mut self, mut place: Place, home: usize) {
        let mask = self.places.len() - 1;
        let (mut at, mut distance) = (home, 0);
        while self.places[at].index != 0 {
            let theirs = Self::distance(self.places[at], at, mask);
            if theirs < distance {
                core::mem::swap(&mut self.places[at], &mut place);
                distance = theirs;
            }
            (at, distance) = ((at + 1) & mask, distance + 1);
        }
        self.places[at] = place;
    }

    /// Takes out `index`, which stands under `hash`.
    ///
    /// # Panics
    /// When it does not.
    #[inline(always)]
    pub fn remove(&mut self, hash: u64, index: u32) {
        let mask = self.places.len() - 1;
        let places = &mut self.places[..];
        let mut hole = hash as u32 as usize & mask;
        while places[hole].index != index + 1 {
            assert!(places[hole].index != 0, "what is taken out was put in");
            hole = (hole + 1) & mask;
        }
        self.len -= 1;
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
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;
    use std::collections::BTreeMap;

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
