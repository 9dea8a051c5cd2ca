//! Limits of withdrawals, of a card, an account or a terminal: by amount and by number, of one, of a business date, and
//! within a window that rolls with the log's time.

use super::days::Day;
use super::messages::{AMOUNT_MAX, Amount, BusinessDate, WINDOW_MAX};
use bytemuck::{Pod, Zeroable};
use ringfence_kernel::bounded::Slab;
use ringfence_kernel::{Corrupt, Sink, Source, Timestamp};

/// Limits, and what counts against them.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Limits {
    pub(super) transaction_max: Amount,
    pub(super) day_max: Amount,
    pub(super) day: Day,
    pub(super) day_count_max: u32,
    /// One more than the place of its window; zero when it never had one.
    window: u32,
}

impl Limits {
    /// Limits that nothing exceeds.
    pub(super) fn none() -> Self {
        let most = Amount(u64::MAX);
        Self { transaction_max: most, day_max: most, day_count_max: u32::MAX, ..Self::zeroed() }
    }
}

impl Limits {
    /// Whether one more withdrawal of `amount` is within them, when they have no window.
    #[inline]
    pub(super) fn admit(&self, amount: Amount, date: BusinessDate) -> bool {
        let (taken, count) = self.day.of(date);
        self.window == 0
            && amount <= self.transaction_max
            && taken.saturating_add(amount.0) <= self.day_max.0
            && count < self.day_count_max
    }
}

/// The limits of an account, whatever card takes from it.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub(super) struct AccountLimit {
    pub(super) limits: Limits,
    /// The place of the account.
    pub(super) account: u32,
    reserved: u32,
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
    pub(super) fn at(&mut self, place: Option<u32>) -> Option<&mut Limits> {
        place.map(|place| &mut self.0[place].limits)
    }

    /// Limits of an account that had none.
    pub(super) fn add(&mut self, account: u32) -> u32 {
        let limit = AccountLimit { limits: Limits::none(), account, reserved: 0 };
        self.0.insert(limit).expect("as many limits as accounts")
    }

    pub(super) fn all(&self) -> &[AccountLimit] {
        self.0.entries()
    }

    pub(super) fn save(&self, sink: &mut impl Sink) {
        self.0.save(sink);
    }

    pub(super) fn load(accounts: usize, source: &mut impl Source) -> Result<Self, Corrupt> {
        let limits = Self(Slab::load(accounts, source)?);
        let is_whole = limits.0.len() == limits.0.entries().len();
        let is_sound = is_whole && limits.all().iter().all(|limit| limit.reserved == 0);
        if is_sound { Ok(limits) } else { Err(Corrupt("the limits of accounts")) }
    }
}

/// A window, and what was authorized last.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
struct Window {
    length_ns: u64,
    /// Zero when amounts have no limit.
    amount_max: Amount,
    /// When the latest withdrawals were authorized, and of how much; and which place comes next.
    recent: [Timestamp; WINDOW_MAX],
    amounts: [u64; WINDOW_MAX],
    next: u32,
    /// Zero when there is no limit.
    count_max: u32,
}

impl Window {
    fn is_within(&self, since: Timestamp, now: Timestamp) -> bool {
        since != Timestamp(0) && since.saturating_add(self.length_ns) > now
    }

    /// Whether the withdrawal that came as many ago as the limit is still within the window that ends now.
    fn is_full(&self, now: Timestamp) -> bool {
        let back = self.count_max as usize;
        let place = (self.next as usize + WINDOW_MAX - back) % WINDOW_MAX;
        back > 0 && self.is_within(self.recent[place], now)
    }

    /// Whether `amount` more is too much within the window that ends now. The limit by number is at most as many as are
    /// remembered.
    fn exceeds(&self, amount: Amount, now: Timestamp) -> bool {
        let within = self.recent.iter().zip(self.amounts).filter(|(since, _)| self.is_within(**since, now));
        let taken: u64 = within.map(|(_, amount)| amount).sum();
        self.amount_max.0 > 0 && taken.saturating_add(amount.0) > self.amount_max.0
    }

    fn remember(&mut self, amount: Amount, now: Timestamp) {
        if self.count_max > 0 {
            let next = self.next as usize;
            (self.recent[next], self.amounts[next]) = (now, amount.0);
            self.next = (self.next + 1) % WINDOW_MAX as u32;
        }
    }
}

/// All windows: few have one, so that they stand apart from what they limit.
#[derive(Clone, Debug)]
pub(super) struct Windows(Slab<Window>);

impl Windows {
    /// Room for a window of everything that can have one.
    pub(super) fn new(owners: usize) -> Self {
        Self(Slab::new(owners))
    }

    /// Whether a withdrawal of `amount` is more than the amounts of `limits`, and whether it is more than their numbers.
    #[inline]
    pub(super) fn exceeds(&self, limits: &Limits, amount: Amount, date: BusinessDate, now: Timestamp) -> [bool; 2] {
        let (taken, count) = limits.day.of(date);
        let exceeds_amount = amount > limits.transaction_max || taken.saturating_add(amount.0) > limits.day_max.0;
        let exceeds_count = count >= limits.day_count_max;
        match self.of(limits) {
            None => [exceeds_amount, exceeds_count],
            Some(window) => [exceeds_amount || window.exceeds(amount, now), exceeds_count || window.is_full(now)],
        }
    }

    /// Counts a withdrawal that is authorized now.
    #[inline]
    pub(super) fn count(&mut self, limits: &mut Limits, amount: Amount, date: BusinessDate, now: Timestamp) {
        limits.day.count(amount, date);
        if limits.window > 0 {
            self.0[limits.window - 1].remember(amount, now);
        }
    }

    #[inline]
    fn of(&self, limits: &Limits) -> Option<&Window> {
        limits.window.checked_sub(1).map(|place| &self.0[place])
    }

    /// Changes length and number of a window; without a number what was remembered is forgotten.
    pub(super) fn set(&mut self, limits: &mut Limits, length_ns: u64, count_max: u32) {
        if limits.window == 0 && count_max > 0 {
            limits.window = 1 + self.0.insert(Window::zeroed()).expect("as many windows as can have one");
        }
        if limits.window > 0 {
            let window = &mut self.0[limits.window - 1];
            if count_max == 0 {
                *window = Window::zeroed();
            } else {
                (window.length_ns, window.count_max) = (length_ns, count_max);
            }
        }
    }

    /// Changes the most of all amounts within a window; whether it can be so.
    pub(super) fn set_amount(&mut self, limits: &Limits, amount_max: Amount) -> bool {
        match limits.window.checked_sub(1).map(|place| &mut self.0[place]).filter(|window| window.count_max > 0) {
            Some(window) => window.amount_max = amount_max,
            None => return amount_max.0 == 0,
        }
        true
    }

    /// Gives what replaces the owner of `limits` a window of its own, which remembers the same.
    pub(super) fn copy(&mut self, limits: &mut Limits) {
        if let Some(window) = self.of(limits).copied() {
            limits.window = 1 + self.0.insert(window).expect("as many windows as can have one");
        }
    }

    /// Whether each window is that of one of `owners`, and of one alone.
    pub(super) fn are_of<'l>(&self, owners: impl Iterator<Item = &'l Limits>) -> bool {
        let mut places: alloc::vec::Vec<u32> = owners.map(|limits| limits.window).filter(|place| *place > 0).collect();
        places.sort_unstable();
        places.into_iter().eq(1..=self.0.len() as u32)
    }

    pub(super) fn save(&self, sink: &mut impl Sink) {
        self.0.save(sink);
    }

    pub(super) fn load(owners: usize, source: &mut impl Source) -> Result<Self, Corrupt> {
        let windows = Self(Slab::load(owners, source)?);
        let sound = |window: &Window| {
            (window.next as usize) < WINDOW_MAX
                && window.count_max as usize <= WINDOW_MAX
                && window.amounts.iter().all(|amount| *amount <= AMOUNT_MAX)
        };
        let is_whole = windows.0.len() == windows.0.entries().len();
        if is_whole && windows.0.entries().iter().all(sound) { Ok(windows) } else { Err(Corrupt("a window")) }
    }
}
