use crate::ids::Timestamp;
use alloc::boxed::Box;
use alloc::vec::Vec;
use bytemuck::{Pod, Zeroable};

/// No index, or no place in the heap.
const NONE: u32 = u32::MAX;

/// Deadlines of slab indices, each of which can be moved or dropped. Equal deadlines are due by rank: a number of the
/// caller's, such as when the thing began.
///
/// Most deadlines are set in the order in which they are due, for what is waited for is given the same time. Those stand in a
/// list, to which one is added and from which one is taken at once; the others stand in a binary heap.
///
/// It is not saved: whoever holds the values writes their deadlines, and loading sets them again. What is due next depends on
/// deadlines and ranks alone.
#[derive(Clone, Debug)]
pub struct Timers {
    heap: Vec<(Timestamp, u64, u32)>,
    /// Where each index stands.
    places: Box<[Place]>,
    /// The ends of the list.
    first: u32,
    last: u32,
    /// How many stand in the list.
    listed: usize,
}

/// Where an index stands: zero when it has no deadline.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
struct Place {
    deadline: Timestamp,
    rank: u64,
    /// In the list, who is due before and after it.
    before: u32,
    after: u32,
    /// One more than its place in the heap.
    heap: u32,
    /// 1 in the list.
    is_listed: u32,
}

impl Timers {
    /// Deadlines for indices below `capacity`.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            heap: Vec::with_capacity(capacity),
            places: bytemuck::allocation::zeroed_slice_box(capacity),
            first: NONE,
            last: NONE,
            listed: 0,
        }
    }

    /// Deadlines set.
    #[must_use]
    pub fn len(&self) -> usize {
        self.heap.len() + self.listed
    }

    /// Whether none is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The earliest deadline and its index.
    #[must_use]
    #[inline]
    pub fn first(&self) -> Option<(Timestamp, u32)> {
        let listed = self.places.get(self.first as usize).map(|first| (first.deadline, first.rank, self.first));
        let first = match (listed, self.heap.first()) {
            (listed, None) => listed?,
            (Some(listed), Some(in_heap)) => listed.min(*in_heap),
            (None, Some(in_heap)) => *in_heap,
        };
        Some((first.0, first.2))
    }

    /// The deadline of `index`, when it has one.
    #[must_use]
    pub fn get(&self, index: u32) -> Option<Timestamp> {
        let Place { deadline, heap, is_listed, .. } = self.places[index as usize];
        (heap > 0 || is_listed == 1).then_some(deadline)
    }

    /// Sets or moves the deadline of `index`. No two indices have the same rank.
    #[inline]
    pub fn set(&mut self, index: u32, deadline: Timestamp, rank: u64) {
        self.clear(index);
        let before = self.last;
        let is_latest = before == NONE || {
            let last = self.places[before as usize];
            (last.deadline, last.rank) < (deadline, rank)
        };
        if !is_latest {
            return self.push(index, deadline, rank);
        }
        self.places[index as usize] = Place { deadline, rank, before, after: NONE, heap: 0, is_listed: 1 };
        match before {
            NONE => self.first = index,
            _ => self.places[before as usize].after = index,
        }
        self.last = index;
        self.listed += 1;
    }

    /// Drops the deadline of `index`, when it has one.
    #[inline]
    pub fn clear(&mut self, index: u32) {
        let place = &mut self.places[index as usize];
        let (before, after, heap) = (place.before, place.after, place.heap);
        if core::mem::take(&mut place.is_listed) == 1 {
            match before {
                NONE => self.first = after,
                _ => self.places[before as usize].after = after,
            }
            match after {
                NONE => self.last = before,
                _ => self.places[after as usize].before = before,
            }
            self.listed -= 1;
        } else if heap > 0 {
            self.pull(index, heap as usize - 1);
        }
    }

    /// Adds to the heap.
    #[cold]
    fn push(&mut self, index: u32, deadline: Timestamp, rank: u64) {
        self.places[index as usize] = Place { deadline, rank, ..Place::zeroed() };
        self.heap.push((deadline, rank, index));
        self.settle(self.heap.len() - 1);
    }

    /// Takes `index`, which stands at `at`, out of the heap.
    #[cold]
    fn pull(&mut self, index: u32, at: usize) {
        self.places[index as usize].heap = 0;
        self.heap.swap_remove(at);
        if at < self.heap.len() {
            self.settle(at);
        }
    }

    /// Moves the entry at `at` of the heap to where it belongs: up, or else down.
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
        self.places[self.heap[at].2 as usize].heap = at as u32 + 1;
    }

    fn swap(&mut self, a: usize, b: usize) {
        self.heap.swap(a, b);
        self.places[self.heap[a].2 as usize].heap = a as u32 + 1;
        self.places[self.heap[b].2 as usize].heap = b as u32 + 1;
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
        for step in 0..100_000_u64 {
            let index = random.below(50) as u32;
            if random.below(2) == 0 {
                // By turns mostly in the order in which they are due, and at random.
                let begun = if step / 1_000 % 2 == 0 { step / 4 } else { 30_000 };
                let spread = if random.percent(80) { 1 } else { 30 };
                let deadline = Timestamp(begun + random.below(spread));
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
