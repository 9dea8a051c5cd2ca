use super::Full;
use crate::state::{Corrupt, Sink, Source};
use alloc::vec::Vec;
use bytemuck::Pod;

/// A sorted array: fit for tens to thousands of keys that change rarely and are looked up often.
#[derive(Clone, Debug)]
pub struct SortedMap<K, V> {
    keys: Vec<K>,
    values: Vec<V>,
    capacity: usize,
}

impl<K: Pod + Ord, V: Pod> SortedMap<K, V> {
    /// Room for `capacity` keys.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { keys: Vec::with_capacity(capacity), values: Vec::with_capacity(capacity), capacity }
    }

    /// Keys held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The value under `key`.
    #[must_use]
    #[inline]
    pub fn get(&self, key: &K) -> Option<&V> {
        self.keys.binary_search(key).ok().map(|at| &self.values[at])
    }

    /// The value under `key`, to change.
    #[inline]
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.keys.binary_search(key).ok().map(|at| &mut self.values[at])
    }

    /// Puts `value` under `key`; gives what was there before.
    ///
    /// # Errors
    /// [`Full`] at capacity, when the key is new.
    pub fn insert(&mut self, key: K, value: V) -> Result<Option<V>, Full> {
        match self.keys.binary_search(&key) {
            Ok(at) => Ok(Some(core::mem::replace(&mut self.values[at], value))),
            Err(_) if self.keys.len() == self.capacity => Err(Full),
            Err(at) => {
                self.keys.insert(at, key);
                self.values.insert(at, value);
                Ok(None)
            }
        }
    }

    /// Takes `key` out; gives what was under it.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        let at = self.keys.binary_search(key).ok()?;
        self.keys.remove(at);
        Some(self.values.remove(at))
    }

    /// Keys and values, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.keys.iter().zip(&self.values)
    }

    /// Writes keys and values, by key.
    pub fn save(&self, sink: &mut impl Sink) {
        sink.value(&(self.keys.len() as u64));
        sink.values(&self.keys);
        sink.values(&self.values);
    }

    /// What [`SortedMap::save`] wrote.
    ///
    /// # Errors
    /// [`Corrupt`] when it is over `capacity` or out of order.
    pub fn load(capacity: usize, source: &mut impl Source) -> Result<Self, Corrupt> {
        let mut map = Self::new(capacity);
        let count = source.count(capacity, "sorted map size")?;
        for _ in 0..count {
            map.keys.push(source.value()?);
        }
        for _ in 0..count {
            map.values.push(source.value()?);
        }
        if map.keys.is_sorted_by(|a, b| a < b) { Ok(map) } else { Err(Corrupt("sorted map order")) }
    }
}
