//! When to send, and how long it took.

use hdrhistogram::Histogram;
use quanta::Clock;
use std::time::Duration;

/// Nanoseconds from one clock, for a whole process.
#[derive(Clone, Debug)]
pub struct Nanos {
    clock: Clock,
    origin: u64,
}

impl Default for Nanos {
    fn default() -> Self {
        let clock = Clock::new();
        let origin = clock.raw();
        Self { clock, origin }
    }
}

impl Nanos {
    /// Nanoseconds since this was made.
    #[inline]
    #[must_use]
    pub fn now(&self) -> u64 {
        self.clock.delta_as_nanos(self.origin, self.clock.raw())
    }
}

/// A histogram from 1 ns to a minute, to three digits.
#[must_use]
pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("the bounds are sound")
}

/// The gaps that an idle spinner on this core sees: time that the machine took away.
#[must_use]
pub fn jitter(seconds: f64) -> Histogram<u64> {
    let clock = Nanos::default();
    let mut gaps = histogram();
    let end = clock.now() + Duration::from_secs_f64(seconds).as_nanos() as u64;
    let mut last = clock.now();
    while last < end {
        let now = clock.now();
        gaps.saturating_record(now - last);
        last = now;
    }
    gaps
}

/// Pins the calling thread.
pub fn pin(core: usize) {
    core_affinity::set_for_current(core_affinity::CoreId { id: core });
}
