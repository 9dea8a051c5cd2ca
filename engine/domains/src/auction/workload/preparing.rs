//! What is prepared: campaigns, line items, creatives, placements and their terms.

use super::super::messages::{
    AuctionRule, CampaignId, CapPeriod, CapPeriodCode, Command, CreativeId, CurrencyId, DefineBuckets, Dimension,
    LineItemId, Nanos, Phase, Ppm, PriceModel, PriceRange, Rounding, SLOTS_MAX, SetCampaign, SetCreative, SetLineItem,
    SetRate, TargetMode, WHOLE,
};
use super::flow::Flow;
use super::terms::{NEVER, advertiser, alternative, campaign, creative, line_item, placement, slot, target};
use super::{Mix, pick};
use alloc::vec::Vec;
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::random::Random;
use ringfence_kernel::workload::CommandImage;
use ringfence_kernel::{ClientId, Timestamp};

/// Currencies and price buckets that a varied mix has.
const KINDS_OF_TERMS: u64 = 2;

/// Commands that set rates and define price buckets.
pub(super) fn terms(mix: &Mix) -> u64 {
    if mix.varied { 2 * KINDS_OF_TERMS } else { 0 }
}

/// Advertisers with budgets of their own: every other one.
pub(super) fn advertisers(mix: &Mix) -> u64 {
    if mix.varied { u64::from(mix.parties) / 2 } else { 0 }
}

/// Creatives, of any line items.
pub(super) fn creatives(mix: &Mix) -> u64 {
    if mix.varied { u64::from(mix.items) / 2 } else { 0 }
}

/// A cap, or none.
fn cap(random: &mut Random) -> (u32, CapPeriodCode) {
    let periods = [
        CapPeriod::None,
        CapPeriod::None,
        CapPeriod::Hour,
        CapPeriod::Day,
        CapPeriod::Week,
        CapPeriod::Life,
        CapPeriod::Minute,
    ];
    let period = pick(random, &periods);
    (if period == CapPeriod::None { 0 } else { 1 + random.below(4) as u32 }, period.into())
}

impl Flow {
    pub(super) fn define_campaign(&mut self, id: u32, image: &mut CommandImage) {
        let advertiser = 1 + (id - 1) % self.mix.parties;
        let mut terms = campaign(id, advertiser, 1_000_000_000_000_000);
        if self.mix.varied {
            let random = &mut self.random;
            terms.total = Nanos(200 + random.below(3_000));
            terms.daily = Nanos(if random.percent(50) { 20 + random.below(180) } else { 0 });
            terms.zone_minutes = pick(random, &[0, 60, -300, 840, -840]);
            if random.percent(30) {
                (terms.cap, terms.cap_period) = cap(random);
            }
        }
        image.set(ClientId(1), Command::DefineCampaign(&terms));
    }

    pub(super) fn define_line_item(&mut self, id: u32, image: &mut CommandImage) {
        let Mix { campaigns, values, varied, tick, .. } = self.mix;
        let now = self.now();
        let random = &mut self.random;
        self.targets.clear();
        let mut terms =
            line_item(id, 1 + (id - 1) % campaigns, 1_000_000_000_000_000, 1_000_000 + random.below(4_000_000));
        terms.window = 10_000 * tick;
        for dimension in [Dimension::Geography, Dimension::Device] {
            if !varied || random.percent(60) {
                self.targets.push(target(TargetMode::Include, dimension, random.below(values.into()) as u32));
            }
        }
        let excluded = random.below(8) as u32;
        if random.percent(25) {
            self.targets.push(target(TargetMode::Exclude, Dimension::Category, excluded));
        }
        if varied && random.percent(20) {
            self.targets.push(target(TargetMode::Include, Dimension::Deal, random.below(3) as u32));
        }
        if varied && random.percent(20) {
            self.targets.push(target(TargetMode::Exclude, Dimension::AdCategory, random.below(2) as u32));
        }
        if varied && random.percent(25) {
            let label = random.below(3) as u32;
            self.targets.push(target(TargetMode::Exclude, Dimension::Label, label));
        }
        if varied && random.percent(25) {
            for group in 1..=1 + random.below(2) as u8 {
                for dimension in [Dimension::Geography, Dimension::Device, Dimension::Category] {
                    let mode = pick(random, &[TargetMode::Include, TargetMode::Exclude]);
                    if random.percent(60) {
                        self.targets.push(alternative(group, mode, dimension, random.below(3) as u32));
                    }
                }
            }
        }
        if varied {
            terms.priority = if random.percent(12) { 1 + random.below(2) as u8 } else { 0 };
            terms.total = Nanos(30 + random.below(600));
            terms.daily = Nanos(if random.percent(30) { 15 + random.below(15) } else { 0 });
            if terms.daily.0 > 0 && random.percent(60) {
                let even = random.percent(50);
                terms.plan = core::array::from_fn(|_| if even { 1 } else { random.below(4) as u8 });
                if terms.plan != [0; 24] && random.percent(40) {
                    terms.gains = core::array::from_fn(|_| random.below(120) as u8);
                }
            }
            if random.percent(20) {
                terms.hours = core::array::from_fn(|_| random.next() as u8 | random.next() as u8);
            }
            // Few different bids, so that scores are tied.
            terms.bid = Nanos(2 + random.below(12));
            terms.starts = Timestamp(if random.percent(40) { now + random.below(400) * tick } else { 0 });
            terms.ends = if random.percent(30) { Timestamp(now + (401 + random.below(3_000)) * tick) } else { NEVER };
            terms.window = (1 + random.below(60)) * tick;
            terms.model = pick(random, &[PriceModel::Cpm, PriceModel::Cpm, PriceModel::Cpc, PriceModel::Cpa]).into();
            if terms.model.get() != PriceModel::Cpm {
                terms.rate = Ppm(pick(random, &[1_000_000, 500_000, 500_000, 333_333]));
            }
            terms.quality = Ppm(pick(random, &[1_000_000, 1_000_000, 700_000]));
            (terms.cap, terms.cap_period) = cap(random);
            if random.percent(40) {
                let most = terms.window / tick + 4;
                (terms.click_through, terms.view_through) = (random.below(most) * tick, random.below(most) * tick);
            }
        }
        image.set(ClientId(1), Command::DefineLineItem(&terms, &self.targets));
    }

    pub(super) fn define_placement(&mut self, id: u32, image: &mut CommandImage) {
        let random = &mut self.random;
        let mut terms = placement(id, 1 + (id - 1) % self.mix.parties, AuctionRule::SecondPrice);
        let mut slots = alloc::vec![slot(WHOLE)];
        if self.mix.varied {
            terms.floor = Nanos(random.below(5));
            terms.seed = random.next();
            terms.share = Ppm(pick(random, &[0, 333_333, 700_000, WHOLE]));
            terms.zone_minutes = pick(random, &[0, 0, 90, -480]);
            terms.buckets = pick(random, &[0, 1, 2]);
            let rules = [
                AuctionRule::FirstPrice,
                AuctionRule::SecondPrice,
                AuctionRule::GeneralizedSecondPrice,
                AuctionRule::Vcg,
            ];
            let rule = pick(random, &rules);
            terms.rule = rule.into();
            let more = if rule == AuctionRule::SecondPrice { 0 } else { random.below(SLOTS_MAX as u64) };
            for _ in 0..more {
                let last = slots[slots.len() - 1].factor.0;
                slots.push(slot(last - random.below(u64::from(last) / 3) as u32));
            }
        }
        image.set(ClientId(1), Command::DefinePlacement(&terms, &slots));
    }

    pub(super) fn prepare(&mut self, at: u64, image: &mut CommandImage) {
        let Mix { campaigns, items, .. } = self.mix;
        let (terms, advertisers, creatives) = (terms(&self.mix), advertisers(&self.mix), creatives(&self.mix));
        let (phase, reserved) = (Phase::Active.into(), Reserved::default());
        let mut left = at;
        // How far into a part of the preparations this command is.
        let mut within = |commands: u64| match left.checked_sub(commands) {
            Some(rest) => {
                left = rest;
                None
            }
            None => Some((1 + left as u32 / 2, left % 2, left as u32)),
        };
        if let Some((id, what, _)) = within(terms) {
            match what {
                0 => self.define_buckets(id as u8, image),
                _ => self.set_rate(id as u16, image),
            }
        } else if let Some((_, _, at)) = within(advertisers) {
            self.define_advertiser(2 * at + 1, image);
        } else if let Some((id, what, _)) = within(2 * u64::from(campaigns)) {
            let campaign = CampaignId(id);
            match what {
                0 => self.define_campaign(id, image),
                _ => image.set(ClientId(1), Command::SetCampaign(&SetCampaign { campaign, phase, reserved })),
            }
        } else if let Some((id, what, _)) = within(2 * u64::from(items)) {
            let item = LineItemId(id);
            match what {
                0 => self.define_line_item(id, image),
                _ => image.set(ClientId(1), Command::SetLineItem(&SetLineItem { item, phase, reserved })),
            }
        } else if let Some((id, what, _)) = within(2 * creatives) {
            let creative = CreativeId(id);
            match what {
                0 => self.define_creative(id, image),
                _ => image.set(ClientId(1), Command::SetCreative(&SetCreative { creative, phase, reserved })),
            }
        } else {
            self.define_placement(1 + left as u32, image);
        }
    }

    pub(super) fn define_advertiser(&mut self, id: u32, image: &mut CommandImage) {
        let random = &mut self.random;
        let mut terms = advertiser(id, 500 + random.below(8_000));
        terms.daily = Nanos(if random.percent(50) { 30 + random.below(250) } else { 0 });
        terms.zone_minutes = pick(random, &[0, 60, -300, 840, -840]);
        image.set(ClientId(1), Command::DefineAdvertiser(&terms));
    }

    pub(super) fn define_creative(&mut self, id: u32, image: &mut CommandImage) {
        let random = &mut self.random;
        let mut terms = creative(id, 1 + random.below(u64::from(self.mix.items) / 2 + 1) as u32);
        terms.size = pick(random, &[0, 1, 2]);
        terms.weight = 1 + random.below(4) as u32;
        (terms.cap, terms.cap_period) = cap(random);
        image.set(ClientId(1), Command::DefineCreative(&terms));
    }

    pub(super) fn define_buckets(&mut self, buckets: u8, image: &mut CommandImage) {
        let random = &mut self.random;
        let rounding = pick(random, &[Rounding::Down, Rounding::Nearest, Rounding::Up, Rounding::TimeSplit]).into();
        let mut min = random.below(2);
        let ranges: Vec<PriceRange> = (0..=random.below(3))
            .map(|_| {
                let max = min + 3 + random.below(5);
                let increment = 1 + random.below(3);
                let range = PriceRange { min: Nanos(min), max: Nanos(max), increment: Nanos(increment) };
                min = max + random.below(2);
                range
            })
            .collect();
        let terms = DefineBuckets { buckets, rounding, reserved: Reserved::default() };
        image.set(ClientId(1), Command::DefineBuckets(&terms, &ranges));
    }

    pub(super) fn set_rate(&mut self, currency: u16, image: &mut CommandImage) {
        let rate = 100_000_000 + self.random.below(3_000_000_000);
        let command = SetRate { rate, currency: CurrencyId(currency), reserved: Reserved::default() };
        image.set(ClientId(1), Command::SetRate(&command));
    }
}
