//! What a thread does when no stage of its has work. The names are Agrona's.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How a thread waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IdleStrategy {
    /// Spins, then yields, then parks for ever longer: an idle engine costs next to nothing. The default.
    #[default]
    Backoff,
    /// Gives the core to whoever wants it, and never sleeps.
    Yielding,
    /// Keeps the core: the lowest latency, at the price of the core.
    BusySpin,
}

impl IdleStrategy {
    /// Whether it keeps its core busy when there is nothing to do.
    #[must_use]
    pub const fn spins(self) -> bool {
        !matches!(self, Self::Backoff)
    }
}

const SPINS: u32 = 2_000;
/// Rounds after which it parks.
const PARKS: u32 = SPINS + 200;
/// The first park. The scheduler's own slack is about as long.
const PARK_MIN: Duration = Duration::from_micros(50);

/// How long a thread has been without work.
#[derive(Debug)]
pub struct Idle {
    strategy: IdleStrategy,
    /// The longest park.
    park_max: Duration,
    rounds: u32,
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// Try again at once.
    Spin,
    /// Let another thread run first.
    Yield,
    /// Sleep this long, or until there is work.
    Park(Duration),
}

impl Idle {
    /// Waits by `strategy`, and never parks for longer than `park_max`.
    #[must_use]
    pub const fn new(strategy: IdleStrategy, park_max: Duration) -> Self {
        Self { strategy, park_max, rounds: 0 }
    }

    /// There was work.
    #[inline]
    pub fn reset(&mut self) {
        self.rounds = 0;
    }

    /// There was none: what to do about it.
    #[inline]
    pub fn rest(&mut self) -> Rest {
        match self.strategy {
            IdleStrategy::BusySpin => Rest::Spin,
            IdleStrategy::Yielding => Rest::Yield,
            IdleStrategy::Backoff => {
                self.rounds = self.rounds.saturating_add(1);
                match self.rounds {
                    ..SPINS => Rest::Spin,
                    SPINS..PARKS => Rest::Yield,
                    PARKS.. => Rest::Park((PARK_MIN * (1 << (self.rounds - PARKS).min(16))).min(self.park_max)),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards against an idle engine that never sleeps, or that sleeps longer than it may.
    #[test]
    fn backoff_ends_in_the_longest_park_and_starts_over_with_work() {
        let longest = Duration::from_millis(1);
        let mut idle = Idle::new(IdleStrategy::Backoff, longest);
        assert_eq!(idle.rest(), Rest::Spin);
        let last = (0..PARKS + 20).map(|_| idle.rest()).last();
        assert_eq!(last, Some(Rest::Park(longest)));
        idle.reset();
        assert_eq!(idle.rest(), Rest::Spin);
    }
}
