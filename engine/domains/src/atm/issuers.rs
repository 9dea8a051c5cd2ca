//! Remote issuers: the routes that lead to them, and what was approved in their stead.

use super::kept::Keep;
use super::messages::{AMOUNT_MAX, Amount, BusinessDate, IssuerId, LINK_TRACE_MAX, PREFIX_MAX, SetIssuer, Trace};
use alloc::vec::Vec;
use bytemuck::{Pod, Zeroable};
use ringfence_kernel::bounded::{Full, SortedMap};
use ringfence_kernel::state::fold;
use ringfence_kernel::{Corrupt, Sink, Source, Timestamp};

/// A remote issuer. It is defined when advices to it last a while.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Issuer {
    pub(super) stand_in_max: Amount,
    stand_in_day_max: Amount,
    pub(super) advice_lasts_ns: u64,
    /// The place of the account that bears what its cards take.
    pub(super) settlement: u32,
    stand_in_day_count_max: u32,
    /// The last number under which it was asked, and the date of that.
    link_trace: Trace,
    link_date: BusinessDate,
    /// What its cards did since the business date began.
    pub(super) day: IssuerDay,
}

/// What cards of an issuer did on a business date.
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
#[repr(C)]
pub(super) struct IssuerDay {
    /// What was posted, surcharge and fee included, and what of that for notes.
    pub(super) taken: u64,
    pub(super) dispensed: u64,
    pub(super) withdrawals: u32,
    pub(super) declined: u32,
}

impl Issuer {
    /// The next number to ask it under on `date`, when there is one left.
    pub(super) fn next_trace(&mut self, date: BusinessDate) -> Option<Trace> {
        let last = if self.link_date == date { self.link_trace.0 } else { 0 };
        (last < LINK_TRACE_MAX).then(|| {
            (self.link_trace, self.link_date) = (Trace(last + 1), date);
            self.link_trace
        })
    }

    /// Whether `amount` may be approved in its stead for a card for which so much was.
    pub(super) fn lets_stand_in(&self, amount: Amount, (taken, count): (u64, u32)) -> bool {
        amount <= self.stand_in_max
            && taken + amount.0 <= self.stand_in_day_max.0
            && count < self.stand_in_day_count_max
    }
}

/// All remote issuers.
#[derive(Clone, Debug)]
pub(super) struct Issuers(Vec<Issuer>);

impl Issuers {
    pub(super) fn new(issuers: usize) -> Self {
        Self(alloc::vec![Issuer::zeroed(); issuers])
    }

    /// Whether a route can lead to it: it is this host, or can be defined.
    pub(super) fn can_have(&self, IssuerId(issuer): IssuerId) -> bool {
        usize::from(issuer) <= self.0.len()
    }

    /// How many there can be.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The place of the defined one of that number.
    pub(super) fn find(&self, issuer: IssuerId) -> Option<usize> {
        place(issuer).filter(|place| self.0.get(*place).is_some_and(|issuer| issuer.advice_lasts_ns > 0))
    }

    /// Defines one or changes its terms; whether there can be one of that number.
    pub(super) fn set(&mut self, terms: &SetIssuer, settlement: u32) -> bool {
        let SetIssuer { stand_in_max, stand_in_day_max, stand_in_day_count_max, advice_lasts_ns, .. } = *terms;
        let Some(issuer) = place(terms.issuer).and_then(|place| self.0.get_mut(place)) else { return false };
        let Issuer { link_trace, link_date, day, .. } = *issuer;
        *issuer = Issuer {
            stand_in_max,
            stand_in_day_max,
            advice_lasts_ns,
            settlement,
            stand_in_day_count_max,
            link_trace,
            link_date,
            day,
        };
        true
    }

    pub(super) fn save(&self, sink: &mut impl Sink) {
        sink.values(&self.0);
    }

    pub(super) fn load(issuers: usize, accounts: usize, source: &mut impl Source) -> Result<Self, Corrupt> {
        let mut loaded = Self::new(issuers);
        for issuer in &mut loaded.0 {
            *issuer = source.value()?;
            if issuer.advice_lasts_ns > 0 && issuer.settlement as usize >= accounts {
                return Err(Corrupt("the account of an issuer"));
            }
            if issuer.stand_in_max.0.max(issuer.stand_in_day_max.0) > AMOUNT_MAX {
                return Err(Corrupt("the limits of an issuer"));
            }
        }
        Ok(loaded)
    }
}

impl core::ops::Index<usize> for Issuers {
    type Output = Issuer;
    fn index(&self, place: usize) -> &Issuer {
        &self.0[place]
    }
}

impl core::ops::IndexMut<usize> for Issuers {
    fn index_mut(&mut self, place: usize) -> &mut Issuer {
        &mut self.0[place]
    }
}

/// Where an issuer of that number is, or would be.
fn place(IssuerId(issuer): IssuerId) -> Option<usize> {
    usize::from(issuer).checked_sub(1)
}

/// Routes: whose the cards are whose numbers begin with a prefix.
#[derive(Clone, Debug)]
pub(super) struct Routes(SortedMap<u64, IssuerId>);

impl Routes {
    pub(super) fn new(routes: usize) -> Self {
        Self(SortedMap::new(routes))
    }

    fn key(prefix: u32, digits: u8) -> u64 {
        u64::from(digits) << 32 | u64::from(prefix)
    }

    pub(super) fn set(&mut self, prefix: u32, digits: u8, issuer: IssuerId) -> Result<(), Full> {
        self.0.insert(Self::key(prefix, digits), issuer).map(|_| ())
    }

    /// Where the longest prefix of `bin`, which has eight digits, leads: to this host when there is none.
    pub(super) fn of(&self, mut bin: u32) -> IssuerId {
        for digits in (1..=PREFIX_MAX).rev() {
            if let Some(issuer) = self.0.get(&Self::key(bin, digits)) {
                return *issuer;
            }
            bin /= 10;
        }
        IssuerId(0)
    }

    /// All of them: prefix, digits, issuer.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, u8, IssuerId)> {
        self.0.iter().map(|(key, issuer)| (*key as u32, (*key >> 32) as u8, *issuer))
    }

    pub(super) fn save(&self, sink: &mut impl Sink) {
        self.0.save(sink);
    }

    pub(super) fn load(routes: usize, source: &mut impl Source) -> Result<Self, Corrupt> {
        let routes = Self(SortedMap::load(routes, source)?);
        let is_sound = |(prefix, digits, _)| is_prefix(prefix, digits);
        if routes.iter().all(is_sound) { Ok(routes) } else { Err(Corrupt("a route")) }
    }
}

/// Whether a number can be a prefix of so many digits.
pub(super) fn is_prefix(prefix: u32, digits: u8) -> bool {
    (1..=PREFIX_MAX).contains(&digits) && u64::from(prefix) < 10_u64.pow(digits.into())
}

/// What was approved for a card in its issuer's stead on a business date.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub(super) struct StoodIn {
    pub(super) token: [u8; 16],
    pub(super) amount: u64,
    pub(super) count: u32,
    pub(super) date: BusinessDate,
}

impl Keep for StoodIn {
    type Key = ([u8; 16], BusinessDate);
    const WHAT: &'static str = "what was approved in an issuer's stead";

    fn key(&self) -> Self::Key {
        (self.token, self.date)
    }

    fn hash((token, date): Self::Key) -> u64 {
        let [low, high]: [u64; 2] = bytemuck::cast(token);
        fold(low ^ 0x9e37_79b9_7f4a_7c15, high ^ u64::from(date.0))
    }

    fn date(&self) -> BusinessDate {
        self.date
    }

    fn deadline(&self) -> Timestamp {
        Timestamp(0)
    }

    fn is_held(&self) -> bool {
        false
    }

    fn is_sound(&self) -> bool {
        self.count > 0 && self.amount <= AMOUNT_MAX
    }
}
