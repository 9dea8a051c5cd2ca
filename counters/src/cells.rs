//! What a thread counts with.

use crate::buckets::{BUCKETS, bucket};
use std::sync::atomic::{AtomicU64, Ordering};

/// One word that one thread stores.
///
/// It cannot be cloned and every store needs it mutably, so that it has one writer at any time. A load and a store need
/// no locked instruction then.
#[derive(Debug)]
pub struct Counter(&'static AtomicU64);

impl Counter {
    pub(crate) fn new(word: &'static AtomicU64) -> Self {
        Self(word)
    }

    /// Adds `count`.
    #[inline]
    pub fn add(&mut self, count: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(count), Ordering::Relaxed);
    }

    /// Takes over a value that is counted elsewhere.
    #[inline]
    pub fn set(&mut self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }
}

/// Words of a histogram: the largest value, then a count for each bucket.
pub(crate) const HISTOGRAM_WORDS: usize = 1 + BUCKETS;

/// How often which values occurred, as one thread records them. [`crate::buckets`] says how exactly.
#[derive(Debug)]
pub struct Histogram {
    worst: &'static AtomicU64,
    counts: &'static [AtomicU64; BUCKETS],
}

impl Histogram {
    pub(crate) fn new(words: &'static [AtomicU64; HISTOGRAM_WORDS]) -> Self {
        let (worst, counts) = words.split_first().expect("a histogram has words");
        Self { worst, counts: counts.try_into().expect("the rest are the counts") }
    }

    /// Counts `value` once.
    #[inline]
    pub fn record(&mut self, value: u64) {
        let count = &self.counts[bucket(value)];
        count.store(count.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        if value > self.worst.load(Ordering::Relaxed) {
            self.worst.store(value, Ordering::Relaxed);
        }
    }
}
