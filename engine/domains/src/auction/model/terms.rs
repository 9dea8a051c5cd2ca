//! Currencies, price buckets and names of the slow twin.

use super::super::messages::{
    BID_MAX, BucketsDefined, CurrencyId, DefineBuckets, DefineName, Event, NameDefined, NameIs, PriceRange, RateSet,
    Reject, Reply, Rounding, SetRate,
};
use super::super::{Auction, topics};
use super::Model;
use ringfence_kernel::Out;
use ringfence_kernel::messages::Reserved;

impl Model {
    pub(super) fn set_rate(&mut self, command: &SetRate, out: &mut Out<'_, Auction>) -> Result<(), Reject> {
        let SetRate { rate, currency, .. } = *command;
        if currency.0 == 0 || u64::from(currency.0) > self.limits.currencies {
            return Err(Reject::UnknownCurrency);
        }
        if rate == 0 || rate > 1_000_000_000_000_000 {
            return Err(Reject::BadTerms);
        }
        self.rates.insert(currency.0, rate);
        out.reply(Reply::RateSet(&RateSet { rate, currency, reserved: Reserved::default() }));
        Ok(())
    }

    /// Whether amounts in a currency are worth anything.
    pub(super) fn knows(&self, currency: CurrencyId) -> bool {
        currency.0 == 0 || self.rates.contains_key(&currency.0)
    }

    /// An amount in the house's currency: what must be reached rounded up, what is bid down and no more than can be bid.
    pub(super) fn in_house(&self, currency: CurrencyId, amount: u64, must_be_reached: bool) -> u64 {
        let rate = if currency.0 == 0 { 1_000_000_000 } else { self.rates[&currency.0] };
        let product = u128::from(amount) * u128::from(rate);
        let (down, rest) = (product / 1_000_000_000, product % 1_000_000_000);
        match must_be_reached {
            true => u64::try_from(down + u128::from(rest > 0)).unwrap_or(u64::MAX),
            false => u64::try_from(down.min(BID_MAX.into())).expect("a bid"),
        }
    }

    pub(super) fn define_buckets(
        &mut self,
        terms: &DefineBuckets,
        ranges: &[PriceRange],
        out: &mut Out<'_, Auction>,
    ) -> Result<(), Reject> {
        if terms.buckets == 0 || u64::from(terms.buckets) > self.limits.buckets {
            return Err(Reject::BucketsFull);
        }
        let mut end = 0;
        for range in ranges {
            let (min, max) = (range.min.0, range.max.0);
            if min < end || min >= max || max > BID_MAX || range.increment.0 == 0 || range.increment.0 > max - min {
                return Err(Reject::BadTerms);
            }
            end = max;
        }
        if ranges.is_empty() || ranges.len() > 8 {
            return Err(Reject::BadTerms);
        }
        let new = (*terms, ranges.to_vec());
        if self.buckets.get(&terms.buckets).is_some_and(|known| *known != new) {
            return Err(Reject::BucketsExist);
        }
        self.buckets.insert(terms.buckets, new);
        let (buckets, reserved) = (terms.buckets, Reserved::default());
        out.reply(Reply::BucketsDefined(&BucketsDefined { buckets, reserved }));
        Ok(())
    }

    /// The bucket of a price, bucket by bucket.
    pub(super) fn bucket(&self, buckets: u8, price: u64, draw_says_up: bool) -> u64 {
        let Some((terms, ranges)) = self.buckets.get(&buckets) else { return price };
        let end = ranges.iter().map(|range| range.max.0).max().unwrap_or(0);
        if price > end {
            return end;
        }
        let Some(range) = ranges.iter().rfind(|range| range.min.0 <= price && price <= range.max.0) else { return 0 };
        let mut below = range.min.0;
        while below + range.increment.0 <= price {
            below += range.increment.0;
        }
        let above = below + range.increment.0;
        let up = match terms.rounding.get() {
            _ if below == price => false,
            Rounding::Down => false,
            Rounding::Up => true,
            Rounding::Nearest => above - price <= price - below,
            Rounding::TimeSplit => draw_says_up,
        };
        if up { above.min(BID_MAX) } else { below }
    }

    pub(super) fn define_name(&mut self, name: &DefineName, out: &mut Out<'_, Auction>) -> Result<(), Reject> {
        let (text, rest) = name.text.split_at_checked(name.length.into()).ok_or(Reject::BadName)?;
        if text.is_empty() || rest.iter().any(|byte| *byte > 0) || core::str::from_utf8(text).is_err() {
            return Err(Reject::BadName);
        }
        let known = self.names.iter().position(|known| known == name);
        if known.is_none() && self.names.len() as u64 == self.limits.names {
            return Err(Reject::NamesFull);
        }
        let value = known.unwrap_or(self.names.len()) as u32 + 1;
        let DefineName { text, dimension, length, .. } = *name;
        if known.is_none() {
            self.names.push(*name);
            let defined = NameDefined { text, value, dimension, length, reserved: Reserved::default() };
            out.publish(topics::NAMES, topics::ALL_NAMES, Event::NameDefined(&defined));
        }
        out.reply(Reply::NameIs(&NameIs { value, dimension, reserved: Reserved::default() }));
        Ok(())
    }
}
