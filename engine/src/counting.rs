//! What other processes see of the stages: how the counters reach the thread that stores them.

use crate::pipeline::Stages;
use ringfence_counters::{ExecuteCounters, Histogram, JournalCounters, ReplicateCounters};
use ringfence_gateway::{Clock, WallClock};
use ringfence_kernel::Timestamp;

/// Sampled commands of one batch at most: those of the longest one, when every command is sampled.
const SAMPLES_MAX: usize = 4096;

/// Times one command in so many: how old it is, by the clock that stamped it, when a stage is done with it.
///
/// Nothing that is read from the clock goes anywhere but into a histogram.
#[derive(Debug)]
pub(crate) struct Ages {
    clock: WallClock,
    /// Commands whose sequence has none of these bits are timed.
    mask: u64,
    sampled: Vec<Timestamp>,
}

impl Ages {
    fn new(clock: &WallClock, sample_every: u64) -> Self {
        assert!(sample_every.is_power_of_two(), "a sample of one in a power of two");
        Self { clock: clock.clone(), mask: sample_every - 1, sampled: Vec::with_capacity(SAMPLES_MAX) }
    }

    /// Looks at a command of the batch; `stamped` is asked for when it is to be timed.
    #[inline]
    pub(crate) fn look(&mut self, sequence: u64, stamped: impl FnOnce() -> Timestamp) {
        if sequence & self.mask == 0 && self.sampled.len() < SAMPLES_MAX {
            self.sampled.push(stamped());
        }
    }

    /// The batch is done: one look at the clock times all of it that was sampled.
    #[inline]
    pub(crate) fn done(&mut self, ages: &mut Histogram) {
        if self.sampled.is_empty() {
            return;
        }
        let now = self.clock.now();
        for stamped in self.sampled.drain(..) {
            ages.record(now.0.saturating_sub(stamped.0));
        }
    }
}

/// A stage's counters, and the clock beside them.
#[derive(Debug)]
pub(crate) struct Counting<C> {
    pub(crate) counters: C,
    pub(crate) ages: Ages,
}

/// The counters of the stages, and what times commands.
#[derive(Debug)]
pub struct StageCounters<'a> {
    /// For the journal stage.
    pub journal: JournalCounters,
    /// For whoever syncs.
    pub syncs: Histogram,
    /// For the gate.
    pub replicate: ReplicateCounters,
    /// For the execute stage.
    pub execute: ExecuteCounters,
    /// The clock that stamps commands.
    pub clock: &'a WallClock,
    /// One command in so many is timed: a power of two.
    pub sample_every: u64,
}

impl<R, G> Stages<R, G> {
    /// Has every stage count from here on.
    pub fn count(&mut self, counters: StageCounters<'_>) {
        let StageCounters { journal, syncs, replicate, execute, clock, sample_every } = counters;
        let ages = || Ages::new(clock, sample_every);
        self.journal.count(Counting { counters: journal, ages: ages() }, syncs);
        self.replicate.count(Counting { counters: replicate, ages: ages() });
        self.execute.count(Counting { counters: execute, ages: ages() });
    }
}
