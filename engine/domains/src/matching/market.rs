//! What holds for an instrument beside its book: bands, a schedule of phases, and what it traded on its day.

use super::instruments::{DAY, Terms};
use super::messages::{AllocationCode, OrderFeedCode, OrderId, Phase, PhaseCode, Price, SCHEDULE_MAX, ScheduleEntry};
use super::settlement::Settlement;
use super::ticks::TickTable;
use bytemuck::{Pod, Zeroable};
use ringfence_kernel::Timestamp;

/// How far prices may go from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Bands {
    /// What the static band is about.
    pub(super) reference: Price,
    /// How far an order's price may be from it; zero when there is no such band.
    pub(super) static_band: Price,
    /// How far from the last trade an order may trade; zero when it may always.
    pub(super) dynamic_band: Price,
    /// How long the auction is that comes between, in nanoseconds.
    pub(super) volatility_length: u64,
}

impl Bands {
    pub(super) fn is_sound(&self, terms: &Terms) -> bool {
        terms.is_distance(self.static_band)
            && terms.is_distance(self.dynamic_band)
            && (self.dynamic_band == Price(0) || self.volatility_length > 0)
    }
}

/// At which times of each day the phase changes by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Schedule {
    /// Up to when it has been kept.
    pub(super) seen: Timestamp,
    pub(super) count: u64,
    /// Times of day, rising; zero behind the last.
    pub(super) times: [u64; SCHEDULE_MAX],
    pub(super) phases: [PhaseCode; SCHEDULE_MAX],
}

impl Schedule {
    /// One by which the phase never changes.
    pub(super) fn none() -> Self {
        Self::zeroed()
    }

    /// The schedule of `entries`, to be kept from `now` on, when it makes sense.
    pub(super) fn of(entries: &[ScheduleEntry], now: Timestamp) -> Option<Self> {
        let mut schedule = Self { seen: now, count: entries.len() as u64, ..Self::zeroed() };
        for (at, entry) in entries.iter().enumerate() {
            *schedule.times.get_mut(at)? = entry.time;
            schedule.phases[at] = entry.phase;
        }
        schedule.is_sound().then_some(schedule)
    }

    pub(super) fn is_sound(&self) -> bool {
        if self.count as usize > SCHEDULE_MAX {
            return false;
        }
        let (times, none) = self.times.split_at(self.count as usize);
        let (phases, no_phases) = self.phases.split_at(self.count as usize);
        times.is_sorted_by(|a, b| a < b)
            && times.iter().all(|time| *time < DAY)
            && phases.iter().all(|phase| phase.try_get().is_some_and(Phase::is_scheduled))
            && none.iter().all(|time| *time == 0)
            && no_phases.iter().all(|phase| *phase == PhaseCode::zeroed())
    }

    /// When the next change is due, and to which phase.
    pub(super) fn next(&self) -> Option<(Timestamp, Phase)> {
        let today = self.seen.0 - self.seen.0 % DAY;
        let due = |(time, phase): (&u64, &PhaseCode)| {
            let at = today.saturating_add(*time);
            let at = if at > self.seen.0 { at } else { at.saturating_add(DAY) };
            (Timestamp(at), phase.get())
        };
        self.times.iter().zip(&self.phases).take(self.count as usize).map(due).min_by_key(|(at, _)| *at)
    }
}

/// What is saved of an instrument's market beside its book.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Market {
    pub(super) phase: PhaseCode,
    pub(super) allocation: AllocationCode,
    pub(super) order_feed: OrderFeedCode,
    pub(super) reserved: [u8; 5],
    pub(super) volatility_ends: Timestamp,
    pub(super) minimum_allocation: u64,
    pub(super) top_orders: [OrderId; 2],
    pub(super) ticks: TickTable,
    pub(super) settlement: Settlement,
    pub(super) bands: Bands,
    pub(super) schedule: Schedule,
    pub(super) statistics: Statistics,
}

/// What an instrument traded on a day, exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Statistics {
    /// When the day ends; nothing has traded on any later one.
    pub(super) day_ends: Timestamp,
    pub(super) open: Price,
    pub(super) high: Price,
    pub(super) low: Price,
    /// Up to the largest number there is.
    pub(super) volume: u64,
    pub(super) trades: u64,
    /// The sum of price times quantity: its upper and its lower half.
    turnover: [u64; 2],
}

impl Statistics {
    /// Those of the day that goes on at `now`.
    pub(super) fn of(&self, now: Timestamp) -> Self {
        if now < self.day_ends { *self } else { Self::zeroed() }
    }

    pub(super) fn turnover(&self) -> i128 {
        (u128::from(self.turnover[0]) << 64 | u128::from(self.turnover[1])) as i128
    }

    #[inline]
    pub(super) fn add(&mut self, price: Price, quantity: u64) {
        (self.high, self.low) = (self.high.max(price), self.low.min(price));
        self.volume = self.volume.saturating_add(quantity);
        self.trades += 1;
        let turnover = self.turnover().wrapping_add(i128::from(price.0) * i128::from(quantity)) as u128;
        self.turnover = [(turnover >> 64) as u64, turnover as u64];
    }

    /// The first trade of a day that ends at `day_ends` is made at `price`.
    #[cold]
    pub(super) fn begin(&mut self, day_ends: Timestamp, price: Price) {
        *self = Self { day_ends, open: price, high: price, low: price, ..Self::zeroed() };
    }
}
