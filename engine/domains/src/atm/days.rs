//! What counts against limits of a business date: of a card, and of an account that has limits.

use super::messages::{Amount, BusinessDate};
use bytemuck::{Pod, Zeroable};
use ringfence_kernel::bounded::{Full, Slab};
use ringfence_kernel::{Corrupt, Sink, Source};

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

    /// Gives back what of `amount`, counted on `date`, was not taken out.
    #[inline]
    pub(super) fn give_back(&mut self, amount: Amount, taken: Amount, date: BusinessDate) {
        if self.date == date {
            self.amount -= amount.0 - taken.0;
            self.count -= u32::from(taken.0 == 0);
        }
    }
}

/// The limits of an account, whatever card takes from it.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub(super) struct AccountLimit {
    pub(super) day_max: Amount,
    pub(super) day: Day,
    pub(super) day_count_max: u32,
    /// The place of the account.
    pub(super) account: u32,
}

impl AccountLimit {
    /// Whether `amount` on `date` is more than its amount.
    #[inline]
    pub(super) fn exceeds_amount(&self, amount: Amount, date: BusinessDate) -> bool {
        self.day.of(date).0.saturating_add(amount.0) > self.day_max.0
    }

    /// Whether one more on `date` is more than its number.
    #[inline]
    pub(super) fn exceeds_count(&self, date: BusinessDate) -> bool {
        self.day.of(date).1 >= self.day_count_max
    }
}

/// The limits of all accounts that have any.
#[derive(Clone, Debug)]
pub(super) struct AccountLimits(Slab<AccountLimit>);

impl AccountLimits {
    pub(super) fn new(accounts: usize) -> Self {
        Self(Slab::new(accounts))
    }

    /// Those at that place, if it is one.
    #[inline]
    pub(super) fn at(&mut self, place: Option<u32>) -> Option<&mut AccountLimit> {
        place.map(|place| &mut self.0[place])
    }

    pub(super) fn add(&mut self, limit: AccountLimit) -> Result<u32, Full> {
        self.0.insert(limit)
    }

    pub(super) fn all(&self) -> &[AccountLimit] {
        self.0.entries()
    }

    pub(super) fn save(&self, sink: &mut impl Sink) {
        self.0.save(sink);
    }

    pub(super) fn load(accounts: usize, source: &mut impl Source) -> Result<Self, Corrupt> {
        let limits = Self(Slab::load(accounts, source)?);
        if limits.0.len() == limits.0.entries().len() { Ok(limits) } else { Err(Corrupt("limits that were taken out")) }
    }
}
