//! Terms and requests that nothing makes special.

use super::super::messages::{
    AdvertiserId, Attribute, AuctionRule, CampaignId, CapPeriod, CreativeId, CurrencyId, DefineAdvertiser,
    DefineCampaign, DefineCreative, DefineLineItem, DefinePlacement, Dimension, HoldAuction, LineItemId, Nanos,
    PlacementId, Ppm, PriceModel, PublisherId, Slot, Target, TargetMode, UserKey, WHOLE,
};
use ringfence_kernel::Timestamp;
use ringfence_kernel::messages::Reserved;

/// A flight without an end.
pub(super) const NEVER: Timestamp = Timestamp(u64::MAX);

/// Terms of a campaign that nothing makes special.
#[must_use]
pub fn campaign(campaign: u32, advertiser: u32, total: u64) -> DefineCampaign {
    DefineCampaign {
        total: Nanos(total),
        daily: Nanos(0),
        campaign: CampaignId(campaign),
        advertiser: AdvertiserId(advertiser),
        zone_minutes: 0,
        cap_period: CapPeriod::None.into(),
        reserved: Reserved::default(),
        cap: 0,
    }
}

/// Budgets of an advertiser.
#[must_use]
pub fn advertiser(advertiser: u32, total: u64) -> DefineAdvertiser {
    DefineAdvertiser {
        total: Nanos(total),
        daily: Nanos(0),
        advertiser: AdvertiserId(advertiser),
        zone_minutes: 0,
        reserved: Reserved::default(),
    }
}

/// A creative of any size.
#[must_use]
pub fn creative(creative: u32, item: u32) -> DefineCreative {
    DefineCreative {
        creative: CreativeId(creative),
        item: LineItemId(item),
        size: 0,
        weight: 1,
        cap: 0,
        cap_period: CapPeriod::None.into(),
        reserved: Reserved::default(),
    }
}

/// Terms of a line item that pays for impressions and that nothing makes special.
#[must_use]
pub fn line_item(item: u32, campaign: u32, total: u64, bid: u64) -> DefineLineItem {
    DefineLineItem {
        total: Nanos(total),
        daily: Nanos(0),
        bid: Nanos(bid),
        starts: Timestamp(0),
        ends: NEVER,
        window: 1_000_000_000,
        item: LineItemId(item),
        campaign: CampaignId(campaign),
        rate: Ppm(WHOLE),
        quality: Ppm(WHOLE),
        cap: 0,
        cap_period: CapPeriod::None.into(),
        model: PriceModel::Cpm.into(),
        priority: 0,
        reserved: Reserved::default(),
        plan: [0; 24],
        hours: [0; 21],
        gains: [0; 3],
        click_through: 0,
        view_through: 0,
    }
}

/// Terms of a placement that nothing makes special.
#[must_use]
pub fn placement(placement: u32, publisher: u32, rule: AuctionRule) -> DefinePlacement {
    DefinePlacement {
        floor: Nanos(0),
        seed: 0,
        placement: PlacementId(placement),
        publisher: PublisherId(publisher),
        share: Ppm(700_000),
        rule: rule.into(),
        buckets: 0,
        zone_minutes: 0,
    }
}

/// A target.
#[must_use]
pub fn target(mode: TargetMode, dimension: Dimension, value: u32) -> Target {
    Target { value, dimension: dimension.into(), mode: mode.into(), group: 0, reserved: Reserved::default() }
}

/// A target that is an alternative of others in its group.
#[must_use]
pub fn alternative(group: u8, mode: TargetMode, dimension: Dimension, value: u32) -> Target {
    Target { group, ..target(mode, dimension, value) }
}

/// An attribute of a request.
#[must_use]
pub fn attribute(dimension: Dimension, value: u32) -> Attribute {
    Attribute { amount: Nanos(0), value, dimension: dimension.into(), bids_max: 0, reserved: Reserved::default() }
}

/// A private deal of a request with its floor, or a bid made elsewhere.
#[must_use]
pub fn amount(dimension: Dimension, value: u32, amount: u64) -> Attribute {
    Attribute { amount: Nanos(amount), ..attribute(dimension, value) }
}

/// An auction that nothing makes special.
#[must_use]
pub fn auction(placement: u32) -> HoldAuction {
    HoldAuction {
        user: UserKey(0),
        floor: Nanos(0),
        placement: PlacementId(placement),
        currency: CurrencyId(0),
        slots: 0,
        reserved: Reserved::default(),
    }
}

/// A slot.
#[must_use]
pub fn slot(factor: u32) -> Slot {
    Slot { factor: Ppm(factor), reserved: Reserved::default() }
}
