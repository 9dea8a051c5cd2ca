//! What counts against limits of a business date: of a card, a terminal, or an account that has limits.

use super::messages::{Amount, BusinessDate};
use bytemuck::{Pod, Zeroable};

/// What was taken out, or is held to be, on a business date.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Day {
    amount: u64,
    count: u32,
    date: BusinessDate,
}

impl Day {
    /// Amount and number on `date`.
    #[inline]
    pub(super) fn of(&self, date: BusinessDate) -> (u64, u32) {
        if self.date == date { (self.amount, self.count) } else { (0, 0) }
    }

    /// Counts `amount` on `date`.
    #[inline]
    pub(super) fn count(&mut self, amount: Amount, date: BusinessDate) {
        if self.date != date {
            *self = Self { date, ..Self::zeroed() };
        }
        self.amount += amount.0;
        self.count += 1;
    }

    /// Whether `amount` in `count` withdrawals is among what it counted on `date`, or that date is over.
    pub(super) fn has_counted(&self, amount: u64, count: u32, date: BusinessDate) -> bool {
        self.date != date || self.amount >= amount && self.count >= count
    }

    /// Counts again what was given back on `date` and came out after all.
    pub(super) fn count_late(&mut self, amount: Amount, date: BusinessDate) {
        if self.date == date {
            self.count(amount, date);
        }
    }

    /// Gives back what of `amount`, counted on `date`, was not taken out: all of it, or all but `taken`.
    #[inline]
    pub(super) fn give_back(&mut self, amount: Amount, taken: Option<Amount>, date: BusinessDate) {
        if self.date == date {
            self.amount -= amount.0 - taken.unwrap_or_default().0;
            self.count -= u32::from(taken.is_none());
        }
    }
}
