//! Pacing by feedback: how much of the auctions that it could take part in a line item does, so that what it spends follows its
//! plan. Each minute it is told how far it is behind or ahead.

use super::Auction;
use super::messages::{Nanos, WHOLE};
use bytemuck::{Pod, Zeroable};
use ringfence_kernel::Timestamp;

const SECOND_NS: u64 = 1_000_000_000;
const MINUTE_NS: u64 = 60 * SECOND_NS;
/// Minutes of a day: an error is in units of what a minute has of a day's budget if all have the same.
const MINUTES: u64 = 24 * 60;
/// The part that a line item begins with, and the least, in units of 10⁻⁶.
const FIRST: u32 = 10_000;
const LEAST: i64 = 100;
/// The largest error, and how much less or more the part becomes in a step, in units of 10⁻⁶.
const ERROR_MAX: i128 = 10_000_000;
const LESS: i64 = -500_000;
const MORE: i64 = 1_000_000;

/// A controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Control {
    /// When it next steps; zero when there is no control.
    pub(super) due: Timestamp,
    /// The part of auctions in which it takes part, in units of 10⁻⁶.
    pub(super) part: u32,
    /// The errors of the last step and of the one before.
    last: i32,
    before: i32,
    reserved: [u8; 4],
}

/// When the controller at `place` next steps after `now`: each has its own second of the minute.
fn next(place: u32, now: Timestamp) -> Timestamp {
    let second = u64::from(place) % 60 * SECOND_NS;
    let begun = (now.0 + MINUTE_NS - second) / MINUTE_NS;
    Timestamp((begun * MINUTE_NS).saturating_add(second))
}

impl Control {
    pub(super) fn new(place: u32, now: Timestamp) -> Self {
        Self { due: next(place, now), part: FIRST, ..Self::zeroed() }
    }

    /// Steps: `behind` is what was planned without what was used, of a day's budget `daily`.
    fn step(&mut self, gains: [u8; 3], behind: i128, daily: Nanos) {
        let unit = i128::from((daily.0 / MINUTES).max(1));
        let error = (behind * i128::from(WHOLE) / unit).clamp(-ERROR_MAX, ERROR_MAX) as i32;
        let [p, i, d] = gains.map(i64::from);
        let (now, last, before) = (i64::from(error), i64::from(self.last), i64::from(self.before));
        let change = (p * (now - last) + i * now + d * (now - 2 * last + before)) / 100;
        let factor = i64::from(WHOLE) + change.clamp(LESS, MORE);
        self.part = (i64::from(self.part) * factor / i64::from(WHOLE)).clamp(LEAST, WHOLE.into()) as u32;
        (self.before, self.last) = (self.last, error);
    }

    /// Whether the line item takes part by a draw.
    pub(super) fn lets(&self, draw: u64) -> bool {
        ((draw & u64::from(u32::MAX)) * u64::from(WHOLE)) >> 32 < u64::from(self.part)
    }

    pub(super) fn is_sound(&self, controlled: bool) -> bool {
        let parts = LEAST as u32..=WHOLE;
        let errors = [self.last, self.before].iter().all(|error| i128::from(error.unsigned_abs()) <= ERROR_MAX);
        let runs = self.due.0 > 0 && parts.contains(&self.part) && errors && self.reserved == [0; 4];
        if controlled { runs } else { *self == Self::zeroed() }
    }
}

impl Auction {
    /// Lets controllers step that are due.
    pub(super) fn control(&mut self, now: Timestamp) {
        while let Some((_, place)) = self.items.next_step().filter(|(due, _)| *due <= now) {
            let item = &mut self.items[place];
            let campaign = &self.campaigns[item.terms.campaign.0 - 1];
            if item.is_running() && campaign.is_active() {
                let (planned, _) = item.planned(now, campaign.terms.zone_minutes);
                let behind = i128::from(planned) - i128::from(item.budget.used_on(campaign.day(now)));
                item.control.step(item.terms.gains, behind, item.terms.daily);
            }
            item.control.due = next(place, now);
            self.items.set_step(place);
        }
    }
}
