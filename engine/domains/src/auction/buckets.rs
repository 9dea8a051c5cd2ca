//! Price buckets: the prices that bids made elsewhere are rounded to, as ad servers that sell by price keys do.

use super::messages::{AuctionLimits, BID_MAX, DefineBuckets, Nanos, PriceRange, RANGES_MAX, Reject, Rounding};
use alloc::boxed::Box;
use bytemuck::{Pod, Zeroable};
use ringfence_kernel::messages::Wire as _;
use ringfence_kernel::{Corrupt, Sink, Source};

/// One set of buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Buckets {
    /// All zero where none are defined.
    terms: DefineBuckets,
    /// Zero behind the last.
    ranges: [PriceRange; RANGES_MAX],
    count: u64,
}

impl Buckets {
    /// The bucket of a price; `up` is what a draw says, for those who go by one. A price above every range is the end of
    /// the last, one within none is nothing. Of two ranges that meet at a price the later has it.
    pub(super) fn of(&self, price: Nanos, up: bool) -> Nanos {
        let ranges = &self.ranges[..self.count as usize];
        let end = ranges.last().map_or(Nanos(0), |range| range.max);
        if price > end {
            return end;
        }
        let Some(range) = ranges.iter().rev().find(|range| range.min <= price) else { return Nanos(0) };
        if price > range.max {
            return Nanos(0);
        }
        let (above, increment) = (price.0 - range.min.0, range.increment.0);
        let steps = match self.terms.rounding.get() {
            Rounding::Down => above / increment,
            Rounding::Nearest => (2 * above + increment) / (2 * increment),
            Rounding::Up => above.div_ceil(increment),
            Rounding::TimeSplit if up => above.div_ceil(increment),
            Rounding::TimeSplit => above / increment,
        };
        Nanos((range.min.0 + steps * increment).min(BID_MAX))
    }
}

fn sound(ranges: &[PriceRange]) -> bool {
    (1..=RANGES_MAX).contains(&ranges.len())
        && ranges.iter().all(|range| {
            range.min < range.max
                && range.max.0 <= BID_MAX
                && (1..=range.max.0 - range.min.0).contains(&range.increment.0)
        })
        && ranges.is_sorted_by(|before, after| before.max <= after.min)
}

/// All sets of buckets by their numbers.
#[derive(Clone, Debug)]
pub(super) struct AllBuckets {
    all: Box<[Buckets]>,
}

impl AllBuckets {
    pub(super) fn new(limits: &AuctionLimits) -> Self {
        Self { all: bytemuck::allocation::zeroed_slice_box(limits.buckets as usize) }
    }

    /// The buckets of that number, when they are defined.
    pub(super) fn get(&self, number: u8) -> Option<&Buckets> {
        let known = self.all.get(usize::from(number).wrapping_sub(1));
        known.filter(|buckets| buckets.count > 0)
    }

    /// Defines buckets.
    pub(super) fn define(&mut self, terms: &DefineBuckets, ranges: &[PriceRange]) -> Result<(), Reject> {
        let known = self.all.get_mut(usize::from(terms.buckets).wrapping_sub(1)).ok_or(Reject::BucketsFull)?;
        if !sound(ranges) {
            return Err(Reject::BadTerms);
        }
        let mut new = Buckets { terms: *terms, count: ranges.len() as u64, ..Buckets::zeroed() };
        new.ranges[..ranges.len()].copy_from_slice(ranges);
        if known.count > 0 && *known != new {
            return Err(Reject::BucketsExist);
        }
        *known = new;
        Ok(())
    }

    pub(super) fn save(&self, sink: &mut impl Sink) {
        sink.values(&self.all);
    }

    /// What [`AllBuckets::save`] wrote.
    pub(super) fn load(limits: &AuctionLimits, source: &mut impl Source) -> Result<Self, Corrupt> {
        let mut all = Self::new(limits);
        for place in 0..all.all.len() {
            let saved: Buckets = source.value()?;
            if saved == Buckets::zeroed() {
                continue;
            }
            let ranges = saved.ranges.get(..saved.count as usize).ok_or(Corrupt("ranges of prices"))?;
            let valid = saved.terms.rounding.is_valid()
                && saved.terms.reserved.is_valid()
                && usize::from(saved.terms.buckets) == place + 1
                && saved.count > 0
                && saved.ranges[ranges.len()..].iter().all(|range| *range == PriceRange::zeroed());
            if !valid || all.define(&saved.terms, ranges).is_err() {
                return Err(Corrupt("price buckets"));
            }
        }
        Ok(all)
    }
}
