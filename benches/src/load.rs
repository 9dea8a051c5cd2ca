//! When to send, and how long it took.

use hdrhistogram::Histogram;
use quanta::Clock;
use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

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

/// Lets the calling thread, and those that it starts, run on any core again.
///
/// # Panics
/// When the system does not allow it.
pub fn unpin() {
    let mut cores = rustix::thread::CpuSet::new();
    (0..rustix::thread::CpuSet::MAX_CPU).for_each(|core| cores.set(core));
    rustix::thread::sched_setaffinity(None, &cores).expect("a thread may run on any core");
}

/// Nanoseconds between the start of a run and its first command, so that both sides are at work by then.
pub const LEAD_NS: u64 = 1_000_000;

/// How commands are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// So many a second, each when it is due, whatever became of those before.
    Open {
        /// Commands a second.
        rate: u64,
    },
    /// As many as may be unanswered, the next when an answer comes: for the search of saturation.
    Closed,
}

impl Load {
    /// What a table and a file call it.
    #[must_use]
    pub fn label(self) -> String {
        match self {
            Self::Open { rate } => format!("open loop, {rate}/s"),
            Self::Closed => "closed loop".into(),
        }
    }

    /// When command `index` is due, in nanoseconds after the first; a closed loop has no such time.
    #[must_use]
    #[inline]
    pub fn due(self, index: u64) -> u64 {
        match self {
            Self::Open { rate } => (u128::from(index) * 1_000_000_000 / u128::from(rate)) as u64,
            Self::Closed => 0,
        }
    }
}

/// Round trips of one run, in nanoseconds, each counted twice.
///
/// *Corrected* counts from when the command was due: a stall is charged to every command that it delays. *Uncorrected*
/// counts from when it was sent, as a closed loop would, and hides them. (G. Tene, «How not to measure latency».)
#[derive(Clone, Debug)]
pub struct Latency {
    /// From when it was due.
    pub corrected: Histogram<u64>,
    /// From when it was sent.
    pub uncorrected: Histogram<u64>,
    /// When the run began, on the wall.
    pub begun: SystemTime,
    /// How long it took.
    pub elapsed: Duration,
}

impl Default for Latency {
    fn default() -> Self {
        let (corrected, uncorrected) = (histogram(), histogram());
        Self { corrected, uncorrected, begun: SystemTime::now(), elapsed: Duration::ZERO }
    }
}

impl Latency {
    /// A command was due at `due`, sent at `sent` and answered at `now`.
    #[inline]
    pub fn record(&mut self, due: u64, sent: u64, now: u64) {
        self.corrected.saturating_record(now.saturating_sub(due).max(1));
        self.uncorrected.saturating_record(now.saturating_sub(sent).max(1));
    }
}

/// Commands on their way: they are answered in the order in which they were sent.
#[derive(Debug)]
pub struct Flight {
    /// When each was due and sent.
    sent: VecDeque<(u64, u64)>,
    /// What those that came back took.
    pub latency: Latency,
}

impl Flight {
    /// None yet, of at most `window` at once.
    #[must_use]
    pub fn new(window: usize) -> Self {
        Self { sent: VecDeque::with_capacity(window), latency: Latency::default() }
    }

    /// A command is sent at `now` that was due at `due`.
    #[inline]
    pub fn send(&mut self, due: u64, now: u64) {
        self.sent.push_back((due, now));
    }

    /// The answer to the first of them comes at `now`.
    ///
    /// # Panics
    /// When there is none.
    #[inline]
    pub fn land(&mut self, now: u64) {
        let (due, sent) = self.sent.pop_front().expect("an answer answers something");
        self.latency.record(due, sent, now);
    }
}

/// What a run under a load gave.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Its round trips.
    pub latency: Latency,
    /// Commands sent.
    pub sent: u64,
    /// Commands that were answered.
    pub answered: u64,
    /// Commands that were refused, of those answered.
    pub refused: u64,
}

impl Outcome {
    /// Answers a second.
    #[must_use]
    pub fn per_second(&self) -> f64 {
        self.answered as f64 / self.latency.elapsed.as_secs_f64()
    }
}
