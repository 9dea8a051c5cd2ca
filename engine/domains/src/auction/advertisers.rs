//! Advertisers that have budgets of their own, above those of their campaigns.

use super::budgets::{Budget, Day, zone_is_sound};
use super::messages::{AdvertiserId, AuctionLimits, DefineAdvertiser, Reject};
use alloc::boxed::Box;
use bytemuck::{Pod, Zeroable};
use ringfence_kernel::messages::Wire as _;
use ringfence_kernel::{Corrupt, Sink, Source, Timestamp};

/// One advertiser.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Advertiser {
    /// All zero where it has no budgets of its own.
    pub(super) terms: DefineAdvertiser,
    pub(super) budget: Budget,
}

impl Advertiser {
    /// The day of `now` in its zone.
    pub(super) fn day(&self, now: Timestamp) -> Day {
        Day::of(now, self.terms.zone_minutes)
    }
}

/// All advertisers by their numbers.
#[derive(Clone, Debug)]
pub(super) struct Advertisers {
    advertisers: Box<[Advertiser]>,
}

impl Advertisers {
    pub(super) fn new(limits: &AuctionLimits) -> Self {
        Self { advertisers: bytemuck::allocation::zeroed_slice_box(limits.advertisers as usize) }
    }

    /// An advertiser that has budgets of its own.
    pub(super) fn get(&self, id: AdvertiserId) -> Option<&Advertiser> {
        self.advertisers.get(id.0.wrapping_sub(1) as usize).filter(|advertiser| advertiser.terms.total.0 != 0)
    }

    /// An advertiser that has budgets of its own.
    pub(super) fn get_mut(&mut self, id: AdvertiserId) -> Option<&mut Advertiser> {
        self.advertisers.get_mut(id.0.wrapping_sub(1) as usize).filter(|advertiser| advertiser.terms.total.0 != 0)
    }

    /// Gives an advertiser its budgets, unless it has campaigns already.
    pub(super) fn define(&mut self, terms: &DefineAdvertiser, has_campaigns: bool) -> Result<(), Reject> {
        let place = terms.advertiser.0.wrapping_sub(1) as usize;
        let known = self.advertisers.get_mut(place).ok_or(Reject::UnknownAdvertiser)?;
        if known.terms.total.0 != 0 {
            return if known.terms == *terms { Ok(()) } else { Err(Reject::AdvertiserExists) };
        }
        if has_campaigns {
            return Err(Reject::AdvertiserExists);
        }
        if !Budget::is_sound(terms.total, terms.daily) || !zone_is_sound(terms.zone_minutes) {
            return Err(Reject::BadTerms);
        }
        *known = Advertiser { terms: *terms, budget: Budget::new(terms.total, terms.daily) };
        Ok(())
    }

    /// Those that have budgets of their own, by number.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Advertiser> {
        self.advertisers.iter().filter(|advertiser| advertiser.terms.total.0 != 0)
    }

    pub(super) fn save(&self, sink: &mut impl Sink) {
        sink.value(&(self.iter().count() as u64));
        self.iter().for_each(|advertiser| sink.value(advertiser));
    }

    /// What [`Advertisers::save`] wrote; what they spent is checked by [`super::Auction::check`].
    pub(super) fn load(limits: &AuctionLimits, source: &mut impl Source) -> Result<Self, Corrupt> {
        let (mut all, mut last) = (Self::new(limits), 0);
        for _ in 0..source.count(limits.advertisers as usize, "advertisers")? {
            let advertiser: Advertiser = source.value()?;
            let Advertiser { terms, budget } = &advertiser;
            let id = terms.advertiser;
            let valid = id.0 > last
                && terms.reserved.is_valid()
                && (terms.total, terms.daily) == (budget.total, budget.daily)
                && budget.is_kept();
            if !valid || all.define(terms, false).is_err() {
                return Err(Corrupt("an advertiser"));
            }
            last = id.0;
            *all.get_mut(id).ok_or(Corrupt("an advertiser"))? = advertiser;
        }
        Ok(all)
    }
}
