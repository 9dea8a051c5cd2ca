use super::Full;
use crate::state::fold;
use alloc::boxed::Box;
use bytemuck::{Pod, Zeroable};

#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
struct Entry {
    key: u64,
    value: u32,
    /// 0 when the place is empty.
    used: u32,
}

/// Finds a 32-bit index by a 64-bit key: open addressing, linear probes, no tombstones.
///
/// It is looked up and never iterated; where its entries stand is not state. Loading rebuilds it from what it indexes.
#[derive(Clone, Debug)]
pub struct HashIndex {
    /// A power of two of places, at most half of them used.
    places: Box<[Entry]>,
    len: usize,
    capacity: usize,
}

impl HashIndex {
    /// Room for `capacity` keys.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        let places = (capacity.max(4) * 2).next_power_of_two();
        Self { places: bytemuck::allocation::zeroed_slice_box(places), len: 0, capacity }
    }

    #[inline]
    fn home(&self, key: u64) -> usize {
        fold(key ^ 0x9e37_79b9_7f4a_7c15, 0xd6e8_feb8_6659_fd93) as usize & (self.places.len() - 1)
    }

    #[inline]
    fn find(&self, key: u64) -> Result<usize, usize> {
        let mask = self.places.len() - 1;
        let mut at = self.home(key);
        loop {
            let place = &self.places[at];
            if place.used == 0 {
                return Err(at);
            }
            if place.key == key {
                return Ok(at);
            }
            at = (at + 1) & mask;
        }
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

    /// The index under `key`.
    #[must_use]
    #[inline]
    pub fn get(&self, key: u64) -> Option<u32> {
        self.find(key).ok().map(|at| self.places[at].value)
    }

    /// Puts `value` under `key`; gives what was there before.
    ///
    /// # Errors
    /// [`Full`] at capacity, when the key is new.
    #[inline]
    pub fn insert(&mut self, key: u64, value: u32) -> Result<Option<u32>, Full> {
        match self.find(key) {
            Ok(at) => Ok(Some(core::mem::replace(&mut self.places[at].value, value))),
            Err(_) if self.len == self.capacity => Err(Full),
            Err(at) => {
                self.places[at] = Entry { key, value, used: 1 };
                self.len += 1;
                Ok(None)
            }
        }
    }

    /// Takes `key` out; gives what was under it.
    #[inline]
    pub fn remove(&mut self, key: u64) -> Option<u32> {
        let mut hole = self.find(key).ok()?;
        let value = self.places[hole].value;
        self.len -= 1;
        // Whoever was pushed past the hole moves back into it, so that no probe ends too early.
        let mask = self.places.len() - 1;
        let mut at = hole;
        loop {
            at = (at + 1) & mask;
            let place = self.places[at];
            if place.used == 0 {
                break;
            }
            let distance_from_home = at.wrapping_sub(self.home(place.key)) & mask;
            let distance_from_hole = at.wrapping_sub(hole) & mask;
            if distance_from_home >= distance_from_hole {
                self.places[hole] = place;
                hole = at;
            }
        }
        self.places[hole] = Entry::zeroed();
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;
    use std::collections::BTreeMap;

    /// Guards against a removal that hides a key which was pushed past it.
    #[test]
    fn agrees_with_a_plain_map() {
        let (mut index, mut plain) = (HashIndex::new(64), BTreeMap::new());
        let mut random = Random::new(7);
        for step in 0..100_000_u32 {
            let key = random.below(200);
            match random.below(3) {
                0 => assert_eq!(index.remove(key), plain.remove(&key)),
                1 => assert_eq!(index.get(key), plain.get(&key).copied()),
                _ if plain.len() == 64 && !plain.contains_key(&key) => {
                    assert_eq!(index.insert(key, step), Err(Full))
                }
                _ => assert_eq!(index.insert(key, step), Ok(plain.insert(key, step))),
            }
            assert_eq!(index.len(), plain.len());
        }
    }
}
