//! Campaigns: who pays, how much at most, and where they stand.

use super::advertisers::Advertisers;
use super::budgets::{Budget, Day, zone_is_sound};
use super::caps::Cap;
use super::messages::{AuctionLimits, CampaignChanged, CampaignId, DefineCampaign, Phase, PhaseCode, Reject};
use alloc::boxed::Box;
use bytemuck::{Pod, Zeroable};
use ringfence_kernel::messages::{Reserved, Wire};
use ringfence_kernel::{Corrupt, Sink, Source, Timestamp};

/// One campaign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Campaign {
    /// All zero where none is defined.
    pub(super) terms: DefineCampaign,
    pub(super) budget: Budget,
    pub(super) phase: PhaseCode,
    /// 1 when its advertiser has budgets of its own.
    pub(super) bounded: u8,
    reserved: [u8; 6],
}

impl Campaign {
    /// The day of `now` in its zone.
    #[inline]
    pub(super) fn day(&self, now: Timestamp) -> Day {
        Day::of(now, self.terms.zone_minutes)
    }

    pub(super) fn is_active(&self) -> bool {
        self.phase.get() == Phase::Active
    }

    pub(super) fn changed(&self) -> CampaignChanged {
        CampaignChanged {
            spent: self.budget.spent,
            held: self.budget.held,
            campaign: self.terms.campaign,
            phase: self.phase,
            reserved: Reserved::default(),
        }
    }
}

/// Whether a campaign, a line item or a creative can go from one phase to another.
pub(super) fn can_go(from: Phase, to: Phase) -> bool {
    match to {
        Phase::Draft => false,
        Phase::Active => matches!(from, Phase::Draft | Phase::Paused),
        Phase::Paused => from == Phase::Active,
        Phase::Ended => from != Phase::Ended,
    }
}

fn sound(terms: &DefineCampaign) -> bool {
    Budget::is_sound(terms.total, terms.daily)
        && zone_is_sound(terms.zone_minutes)
        && Cap::is_sound(terms.cap, terms.cap_period.get())
}

/// All campaigns by their numbers.
#[derive(Clone, Debug)]
pub(super) struct Campaigns {
    campaigns: Box<[Campaign]>,
    advertisers: u64,
    /// The budgets of all together: what their advertisers can ever be billed.
    promised: u64,
}

impl core::ops::Index<u32> for Campaigns {
    type Output = Campaign;
    #[inline]
    fn index(&self, place: u32) -> &Campaign {
        &self.campaigns[place as usize]
    }
}

impl core::ops::IndexMut<u32> for Campaigns {
    #[inline]
    fn index_mut(&mut self, place: u32) -> &mut Campaign {
        &mut self.campaigns[place as usize]
    }
}

impl Campaigns {
    pub(super) fn new(limits: &AuctionLimits) -> Self {
        Self {
            campaigns: bytemuck::allocation::zeroed_slice_box(limits.campaigns as usize),
            advertisers: limits.advertisers,
            promised: 0,
        }
    }

    /// The place of a campaign that is defined.
    #[inline]
    pub(super) fn place(&self, id: CampaignId) -> Result<u32, Reject> {
        let place = id.0.wrapping_sub(1);
        let known = self.campaigns.get(place as usize).is_some_and(|campaign| campaign.terms.total.0 != 0);
        if known { Ok(place) } else { Err(Reject::UnknownCampaign) }
    }

    /// Prepares a campaign; gives its place and whether it is new.
    pub(super) fn define(&mut self, terms: &DefineCampaign, advertisers: &Advertisers) -> Result<(u32, bool), Reject> {
        let place = terms.campaign.0.wrapping_sub(1);
        let known = self.campaigns.get_mut(place as usize).ok_or(Reject::CampaignsFull)?;
        if known.terms.total.0 != 0 {
            return if known.terms == *terms { Ok((place, false)) } else { Err(Reject::CampaignExists) };
        }
        if !(1..=self.advertisers).contains(&terms.advertiser.0.into()) {
            return Err(Reject::UnknownAdvertiser);
        }
        if !sound(terms) {
            return Err(Reject::BadTerms);
        }
        if terms.total.0 > i64::MAX as u64 - self.promised {
            return Err(Reject::BudgetsFull);
        }
        self.promised += terms.total.0;
        let budget = Budget::new(terms.total, terms.daily);
        let bounded = u8::from(advertisers.get(terms.advertiser).is_some());
        *known = Campaign { terms: *terms, budget, phase: Phase::Draft.into(), bounded, reserved: [0; 6] };
        Ok((place, true))
    }

    /// Campaigns that are defined, by number.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &Campaign)> {
        (0..).zip(&self.campaigns).filter(|(_, campaign)| campaign.terms.total.0 != 0)
    }

    pub(super) fn save(&self, sink: &mut impl Sink) {
        sink.value(&(self.iter().count() as u64));
        self.iter().for_each(|(_, campaign)| sink.value(campaign));
    }

    /// What [`Campaigns::save`] wrote; sums of wins are checked by [`super::Auction::check`].
    pub(super) fn load(
        limits: &AuctionLimits,
        advertisers: &Advertisers,
        source: &mut impl Source,
    ) -> Result<Self, Corrupt> {
        let mut all = Self::new(limits);
        let mut last = 0;
        for _ in 0..source.count(limits.campaigns as usize, "campaigns")? {
            let campaign: Campaign = source.value()?;
            let id = campaign.terms.campaign.0;
            if id <= last || u64::from(id) > limits.campaigns {
                return Err(Corrupt("the order of campaigns"));
            }
            last = id;
            let budget = Budget::new(campaign.terms.total, campaign.terms.daily);
            let valid = campaign.phase.is_valid()
                && campaign.terms.reserved.is_valid()
                && campaign.terms.cap_period.is_valid()
                && campaign.reserved == [0; 6]
                && (budget.total, budget.daily) == (campaign.budget.total, campaign.budget.daily)
                && campaign.budget.is_kept();
            if !valid {
                return Err(Corrupt("a campaign"));
            }
            let (place, _) =
                all.define(&campaign.terms, advertisers).map_err(|_| Corrupt("the terms of a campaign"))?;
            if campaign.bounded != all[place].bounded {
                return Err(Corrupt("a campaign"));
            }
            all[place] = campaign;
        }
        Ok(all)
    }
}
