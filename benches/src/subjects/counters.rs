//! What counting costs the thread that counts: a loop of dependent work with and without a store into a mapped file.
//!
//! Excluded: the first touch of a page, and the one after the kernel has written it back.

use ringfence_counters::Registrar;
use ringfence_counters::file::{BYTES, Unit};
use ringfence_journal::Disk;
use std::hint::black_box;
use std::time::Instant;

/// What a store costs, in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// Adding to a counter.
    pub add: f64,
    /// Setting a counter.
    pub set: f64,
    /// Recording in a histogram values that are spread over nine octaves.
    pub record: f64,
}

/// Pairs of loops, with and without, that a median is taken of.
const PAIRS: usize = 31;

/// Counts `stores` times in each loop.
///
/// # Panics
/// When the file cannot be made.
#[must_use]
pub fn run(stores: u64) -> Outcome {
    let dir = tempfile::tempdir().expect("a directory");
    let file = ringfence_journal::Storage::create(&Disk, &dir.path().join("counters")).expect("a file");
    file.allocate(BYTES as u64).expect("room for it");
    let mut on = Registrar::new(file.map(BYTES, true).expect("it can be mapped").into_words());
    let room = "there is room";
    let mut counter = on.counter("counter", Unit::Count).expect(room);
    let mut gauge = on.gauge("gauge", Unit::Count).expect(room);
    let mut histogram = on.histogram("histogram", Unit::Nanoseconds).expect(room);
    Outcome {
        add: paired(stores, |word| counter.add(word & 1)),
        set: paired(stores, |word| gauge.set(word)),
        record: paired(stores, |word| histogram.record(word & 0x3fff | 32)),
    }
}

/// The median of what `each` adds to a step of the loop.
fn paired(stores: u64, mut each: impl FnMut(u64)) -> f64 {
    let mut differences = (0..PAIRS)
        .map(|_| {
            let without = timed(stores, |word| {
                black_box(word);
            });
            let with = timed(stores, |word| each(black_box(word)));
            (with - without) / stores as f64
        })
        .collect::<Vec<_>>();
    differences.sort_by(f64::total_cmp);
    differences[PAIRS / 2]
}

/// Nanoseconds of a loop in which each step needs the one before it, as a stage's do.
fn timed(stores: u64, mut each: impl FnMut(u64)) -> f64 {
    let mut word = 0x9e37_79b9_7f4a_7c15_u64;
    let begun = Instant::now();
    for _ in 0..stores {
        word ^= word << 13;
        word ^= word >> 7;
        word ^= word << 17;
        each(word);
    }
    black_box(word);
    begun.elapsed().as_nanos() as f64
}
