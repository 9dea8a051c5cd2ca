//! A budget: what may be spent in all and on a day, and what was. It can not be overspent: a win holds the whole of its
//! price until it is billed or over.

use super::messages::{Nanos, ZONE_MINUTES_MAX};
use bytemuck::{Pod, Zeroable};
use ringfence_kernel::Timestamp;

/// Days since the epoch in a campaign's zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Pod, Zeroable)]
#[repr(transparent)]
pub(super) struct Day(pub(super) i32);

impl Day {
    /// The day of `now` where days begin `zone_minutes` before UTC's.
    #[inline]
    pub(super) fn of(now: Timestamp, zone_minutes: i16) -> Self {
        let minutes = (now.0 / 60_000_000_000) as i64 + i64::from(zone_minutes);
        Self(minutes.div_euclid(24 * 60) as i32)
    }
}

/// Whether there is such a zone.
pub(super) fn zone_is_sound(minutes: i16) -> bool {
    (-ZONE_MINUTES_MAX..=ZONE_MINUTES_MAX).contains(&minutes)
}

/// Nanoseconds of a day, and of an hour.
const DAY_NS: u64 = 24 * HOUR_NS;
const HOUR_NS: u64 = 3_600_000_000_000;

/// Nanoseconds of the day of `at` that are over, where days begin `zone_minutes` before UTC's.
fn elapsed(at: Timestamp, zone_minutes: i16) -> u64 {
    let zone_ns = i64::from(zone_minutes).rem_euclid(24 * 60) as u64 * 60_000_000_000;
    (at.0 % DAY_NS + zone_ns) % DAY_NS
}

/// The hour of the week of `at`, from Monday's first, where days begin `zone_minutes` before UTC's.
pub(super) fn hour_of_week(at: Timestamp, zone_minutes: i16) -> usize {
    // The epoch was a Thursday.
    let day = (Day::of(at, zone_minutes).0 + 3).rem_euclid(7) as usize;
    day * 24 + (elapsed(at, zone_minutes) / HOUR_NS) as usize
}

/// How much of a day's budget each hour is to have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan<'p> {
    /// A weight for each hour of the campaign's day.
    pub(super) hours: &'p [u8; 24],
    /// The flight: a day has what of it is within.
    pub(super) flight: (Timestamp, Timestamp),
    pub(super) zone_minutes: i16,
}

impl Plan<'_> {
    /// What of `daily` may be spent until `now`, and the least that a quarter of an hour has of it which has any.
    pub(super) fn allows(&self, daily: Nanos, now: Timestamp) -> (u64, u64) {
        let Self { flight: (starts, ends), zone_minutes: zone, .. } = *self;
        let within = |at: Timestamp, otherwise: u64| {
            if Day::of(at, zone) == Day::of(now, zone) { elapsed(at, zone) } else { otherwise }
        };
        let first = self.weight_until(within(starts, 0));
        let all = self.weight_until(within(ends, DAY_NS)) - first;
        let so_far = self.weight_until(elapsed(now, zone)) - first;
        let least = self.hours.iter().filter(|weight| **weight > 0).min().copied().unwrap_or(0);
        let part = |weight: u64| {
            let part = (u128::from(daily.0) * u128::from(weight)).checked_div(all.into()).unwrap_or(0);
            u64::try_from(part).unwrap_or(u64::MAX)
        };
        (part(so_far), part(u64::from(least) * (HOUR_NS / 4)))
    }

    /// The weight of the first `elapsed` nanoseconds of a day.
    fn weight_until(&self, elapsed: u64) -> u64 {
        let hour = (elapsed / HOUR_NS) as usize;
        let whole: u64 = self.hours[..hour].iter().map(|weight| u64::from(*weight)).sum();
        let part = self.hours.get(hour).map_or(0, |weight| u64::from(*weight) * (elapsed % HOUR_NS));
        whole * HOUR_NS + part
    }
}

/// Money of one advertiser, campaign or line item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Budget {
    pub(super) total: Nanos,
    /// Zero when nothing but `total` bounds a day.
    pub(super) daily: Nanos,
    /// What was billed.
    pub(super) spent: Nanos,
    /// What wins wait to be billed.
    pub(super) held: Nanos,
    /// What wins of `day` hold or were billed.
    pub(super) used: Nanos,
    pub(super) day: Day,
    reserved: [u8; 4],
}

impl Budget {
    pub(super) fn new(total: Nanos, daily: Nanos) -> Self {
        Self { total, daily, ..Self::zeroed() }
    }

    /// Whether the terms make sense.
    pub(super) fn is_sound(total: Nanos, daily: Nanos) -> bool {
        total.0 > 0 && total.0 <= i64::MAX as u64 && daily <= total
    }

    /// What may still be spent on `day`.
    #[inline]
    pub(super) fn room(&self, day: Day) -> u64 {
        let room = self.total.0 - self.spent.0 - self.held.0;
        match self.daily.0 {
            0 => room,
            daily => room.min(daily - self.used_on(day)),
        }
    }

    /// What wins of `day` hold or were billed.
    #[inline]
    pub(super) fn used_on(&self, day: Day) -> u64 {
        if day == self.day { self.used.0 } else { 0 }
    }

    /// Holds `price` for a win of `day`. There is room for it.
    #[inline]
    pub(super) fn hold(&mut self, price: Nanos, day: Day) {
        debug_assert!(self.room(day) >= price.0, "nothing is held that could not be paid");
        if day != self.day {
            (self.day, self.used) = (day, Nanos(0));
        }
        self.held.0 += price.0;
        self.used.0 += price.0;
    }

    /// What was held is billed.
    #[inline]
    pub(super) fn bill(&mut self, price: Nanos) {
        self.held.0 -= price.0;
        self.spent.0 += price.0;
    }

    /// What was billed for a win of `day` is given back.
    pub(super) fn credit(&mut self, price: Nanos, day: Day) {
        self.spent.0 -= price.0;
        if day == self.day {
            self.used.0 -= price.0;
        }
    }

    /// What was held for a win of `day` is free again.
    #[inline]
    pub(super) fn release(&mut self, price: Nanos, day: Day) {
        self.held.0 -= price.0;
        if day == self.day {
            self.used.0 -= price.0;
        }
    }

    /// Whether its sums are within its bounds: what [`Budget::room`] relies on.
    pub(super) fn is_kept(&self) -> bool {
        let spent = self.spent.0.checked_add(self.held.0);
        Self::is_sound(self.total, self.daily)
            && spent.is_some_and(|sum| sum <= self.total.0)
            && (self.daily.0 == 0 || self.used <= self.daily)
            && self.used <= self.total
            && self.reserved == [0; 4]
    }
}
