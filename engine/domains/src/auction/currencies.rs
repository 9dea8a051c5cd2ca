//! What currencies are worth: rates that the log gives, each in force until the next.

use super::messages::{AuctionLimits, BID_MAX, CurrencyId, Nanos, RATE_MAX, RATE_WHOLE, Reject};
use alloc::boxed::Box;
use ringfence_kernel::{Corrupt, Sink, Source};

/// What one of a currency is worth in the house's, in units of 10⁻⁹.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rate(u64);

impl Rate {
    /// So much in the house's currency, rounded up: for what must be reached. What is more than can be written is more
    /// than can be bid.
    pub(super) fn at_least(self, amount: Nanos) -> Nanos {
        if self.0 == RATE_WHOLE {
            return amount;
        }
        let product = (u128::from(amount.0) * u128::from(self.0)).div_ceil(u128::from(RATE_WHOLE));
        Nanos(u64::try_from(product).unwrap_or(u64::MAX))
    }

    /// So much in the house's currency, truncated, and no more than can be bid: for what is bid.
    pub(super) fn at_most(self, amount: Nanos) -> Nanos {
        let product = u128::from(amount.0) * u128::from(self.0) / u128::from(RATE_WHOLE);
        Nanos(product.min(u128::from(BID_MAX)) as u64)
    }
}

/// The rates of all currencies.
#[derive(Clone, Debug)]
pub(super) struct Currencies {
    /// By number from 1; zero where none is set.
    rates: Box<[u64]>,
}

impl Currencies {
    pub(super) fn new(limits: &AuctionLimits) -> Self {
        Self { rates: alloc::vec![0; limits.currencies as usize].into() }
    }

    /// The rate in force.
    pub(super) fn rate(&self, currency: CurrencyId) -> Result<Rate, Reject> {
        match currency.0.checked_sub(1) {
            None => Ok(Rate(RATE_WHOLE)),
            Some(place) => match self.rates.get(usize::from(place)) {
                None | Some(0) => Err(Reject::UnknownCurrency),
                Some(rate) => Ok(Rate(*rate)),
            },
        }
    }

    /// Sets a rate.
    pub(super) fn set(&mut self, currency: CurrencyId, rate: u64) -> Result<(), Reject> {
        let place = usize::from(currency.0).wrapping_sub(1);
        let known = self.rates.get_mut(place).ok_or(Reject::UnknownCurrency)?;
        if !(1..=RATE_MAX).contains(&rate) {
            return Err(Reject::BadTerms);
        }
        *known = rate;
        Ok(())
    }

    pub(super) fn save(&self, sink: &mut impl Sink) {
        sink.values(&self.rates);
    }

    /// What [`Currencies::save`] wrote.
    pub(super) fn load(limits: &AuctionLimits, source: &mut impl Source) -> Result<Self, Corrupt> {
        let mut all = Self::new(limits);
        source.take(bytemuck::cast_slice_mut(&mut all.rates))?;
        if all.rates.iter().all(|rate| *rate <= RATE_MAX) { Ok(all) } else { Err(Corrupt("a rate of a currency")) }
    }
}
