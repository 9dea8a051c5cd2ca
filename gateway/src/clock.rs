//! The clock that stamps commands.

use ringfence_kernel::ids::Timestamp;
use std::time::{SystemTime, UNIX_EPOCH};

/// Tells the time. It never goes back.
pub trait Clock {
    /// Nanoseconds since the Unix epoch.
    fn now(&mut self) -> Timestamp;
}

/// The wall clock as it was at start, carried on by a monotonic one: a correction of the system's time changes
/// nothing here.
///
/// Clones tell the same time.
#[derive(Clone, Debug)]
pub struct WallClock {
    clock: quanta::Clock,
    /// The monotonic clock's reading at start.
    start: quanta::Instant,
    /// The wall clock's reading at start.
    anchor: Timestamp,
}

impl WallClock {
    /// A clock anchored at this moment.
    #[must_use]
    pub fn new() -> Self {
        let clock = quanta::Clock::new();
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let anchor = Timestamp(u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX));
        Self { start: clock.now(), clock, anchor }
    }
}

impl Default for WallClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for WallClock {
    #[inline]
    fn now(&mut self) -> Timestamp {
        let elapsed = self.clock.now().saturating_duration_since(self.start);
        self.anchor.saturating_add(u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX))
    }
}
