use crate::ids::Timestamp;
use alloc::boxed::Box;
use alloc::vec::Vec;

const NOWHERE: u32 = u32::MAX;

/// Deadlines of slab indices: a binary heap that knows where each index stands, so that a deadline can be moved or
/// dropped. Equal deadlines are due by rank: a number of the caller's, such as when the thing began.
///
/// It is not saved: whoever holds the values writes their deadlines, and loading sets them again. What is due next depends on
/// deadlines and ranks alone.
#[derive(Clone, Debug)]
pub struct Timers {
    heap: Vec<(Timestamp, u64, u32)>,
    /// Where each index stands in the heap.
    places: Box<[u32]>,
}

impl Timers {
    /// Deadlines for indices below `capacity`.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { heap: Vec::with_capacity(capacity), places: alloc::vec![NOWHERE; capacity].into() }
    }

    /// Deadlines set.
    #[must_use]
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// Whether none is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    /// The earliest deadline and its index.
    #[must_use]
    #[inline]
    pub fn first(&self) -> Option<(Timestamp, u32)> {
        self.heap.first().map(|(deadline, _, index)| (*deadline, *index))
    }

    /// The deadline of `index`, when it has one.
    #[must_use]
    pub fn get(&self, index: u32) -> Option<Timestamp> {
        let at = self.places[index as usize];
        (at != NOWHERE).then(|| self.heap[at as usize].0)
    }

    /// Sets or moves the deadline of `index`. No two indices have the same rank.
    pub fn set(&mut self, index: u32, deadline: Timestamp, rank: u64) {
        let at = self.places[index as usize];
        let at = if at == NOWHERE {
            self.heap.push((deadline, rank, index));
            self.heap.len() - 1
        } else {
            self.heap[at as usize] = (deadline, rank, index);
            at as usize
        };
        self.settle(at);
    }

    /// Drops the deadline of `index`, when it has one.
    pub fn clear(&mut self, index: u32) {
        let at = core::mem::replace(&mut self.places[index as usize], NOWHERE);
        if at == NOWHERE {
            return;
        }
        self.heap.swap_remove(at as usize);
        if (at as usize) < self.heap.len() {
            self.settle(at as usize);
        }
    }

    /// Moves the entry at `at` to where it belongs: up, or else down.
    fn settle(&mut self, mut at: usize) {
        while at > 0 && self.heap[at] < self.heap[(at - 1) / 2] {
            self.swap(at, (at - 1) / 2);
            at = (at - 1) / 2;
        }
        loop {
            let (left, right) = (2 * at + 1, 2 * at + 2);
            let mut least = at;
            for child in [left, right] {
                if child < self.heap.len() && self.heap[child] < self.heap[least] {
                    least = child;
                }
            }
            if least == at {
                break;
            }
            self.swap(at, least);
            at = least;
        }
        self.places[self.heap[at].2 as usize] = at as u32;
    }

    fn swap(&mut self, a: usize, b: usize) {
        self.heap.swap(a, b);
        self.places[self.heap[a].2 as usize] = a as u32;
        self.places[self.heap[b].2 as usize] = b as u32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;
    use std::collections::BTreeMap;

    /// Guards against a deadline that is lost, kept or out of order after others move.
    #[test]
    fn agrees_with_a_plain_map() {
        let (mut timers, mut plain) = (Timers::new(50), BTreeMap::new());
        let mut random = Random::new(3);
        for _ in 0..100_000 {
            let index = random.below(50) as u32;
            if random.below(2) == 0 {
                let deadline = Timestamp(random.below(30));
                timers.set(index, deadline, u64::from(!index));
                plain.insert(index, deadline);
            } else {
                timers.clear(index);
                plain.remove(&index);
            }
            assert_eq!(timers.first(), plain.iter().map(|(i, t)| (*t, *i)).min_by_key(|(t, i)| (*t, !*i)));
            assert_eq!(timers.len(), plain.len());
            let index = random.below(50) as u32;
            assert_eq!(timers.get(index), plain.get(&index).copied());
        }
    }
}
