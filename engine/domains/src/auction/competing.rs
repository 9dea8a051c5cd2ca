//! Who takes part in an auction, and why a candidate does not; and what a line item, its campaign and its advertiser have in
//! common.

use super::Auction;
use super::budgets::{Budget, Day};
use super::caps::Cap;
use super::creatives::Creative;
use super::currencies::Rate;
use super::line_items::{LineItem, Rules};
use super::messages::{AdvertiserId, Attribute, CreativeId, Dimension, Nanos, Target, TargetMode, UserKey};
use super::pricing::floor_of_event;
use super::ranking::{Competitor, Draws, Loss, Rank};
use super::wins::Win;
use ringfence_kernel::Timestamp;

/// What a candidate is looked at for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request<'a> {
    pub(super) now: Timestamp,
    pub(super) draws: Draws,
    pub(super) user: UserKey,
    /// What an impression costs at least.
    pub(super) floor: Nanos,
    /// What its currency is worth, its private deals and its sizes.
    pub(super) rate: Rate,
    pub(super) sizes: &'a [Attribute],
    pub(super) deals: &'a [Attribute],
    /// The hour of the placement's week.
    pub(super) hour: usize,
    pub(super) slots: usize,
    /// Whether counters of caps can be begun for all slots.
    pub(super) countable: bool,
}

impl Request<'_> {
    /// The draw of a line item or another who has a place.
    #[inline]
    pub(super) fn draw(&self, place: u32) -> u64 {
        self.draws.of(place)
    }
}

impl Auction {
    /// Whose it is and what an event costs it at least, or why it does not compete: the first reason that holds.
    pub(super) fn competes(&self, request: &Request<'_>, rank: Rank) -> Result<Competitor, Loss> {
        let place = rank.place();
        let item = &self.items[place];
        let campaign = &self.campaigns[item.campaign.0 - 1];
        let (bid, day) = (item.bid.bid, campaign.day(request.now));
        let (floor, deal) = match item.private {
            0 => (request.floor, 0),
            _ => self.deal_floor(request, place),
        };
        let floor = floor_of_event(floor, item.bid.rate);
        if bid < floor {
            return Err(Loss::BelowFloor);
        }
        if !item.takes_part_at(request.hour) {
            return Err(Loss::OffHours);
        }
        if item.first_creative.0 != 0 && self.fitting(request, item).next().is_none() {
            return Err(Loss::NoCreative);
        }
        if item.budget.room(day).min(campaign.budget.room(day)) < bid.0 {
            return Err(Loss::BudgetSpent);
        }
        if campaign.bounded == 1
            && let Some(advertiser) = self.advertisers.get(campaign.terms.advertiser)
            && advertiser.budget.room(advertiser.day(request.now)) < bid.0
        {
            return Err(Loss::BudgetSpent);
        }
        if item.rules.has(Rules::PLAN) {
            let (planned, quarter) = item.planned(request.now, campaign.terms.zone_minutes);
            let (used, slack) = (item.budget.used_on(day), quarter / 100);
            let in_plan = used + bid.0 <= planned;
            let lets = match item.terms.is_controlled() {
                // Feedback has what one percent of a quarter of an hour is above a bid.
                true if slack >= bid.0 => in_plan && (used + slack <= planned + bid.0 || item.control.lets(rank.draw)),
                true => item.control.lets(rank.draw),
                false => in_plan,
            };
            if !lets {
                return Err(Loss::Paced);
            }
        }
        let capped = (item.rules.has(Rules::CAP) && self.is_capped(request, &Cap::of_item(&item.terms)))
            || self.is_capped(request, &Cap::of_campaign(&campaign.terms))
            || (item.first_creative.0 != 0 && self.is_worn(request, item));
        if capped {
            return Err(Loss::Capped);
        }
        Ok(Competitor { rank, advertiser: campaign.terms.advertiser.0, floor, deal })
    }

    /// What an impression costs a line item of private deals at least, and by which deal: the least of what the deals say that it
    /// includes and the request has, the first of these; the number of a deal is from 1 in their order.
    fn deal_floor(&self, request: &Request<'_>, place: u32) -> (Nanos, u8) {
        let includes = |(_, deal): &(u8, &Attribute)| {
            let is_it = |target: &Target| {
                let kind = (target.dimension.get(), target.mode.get());
                kind == (Dimension::Deal, TargetMode::Include) && target.value == deal.value
            };
            self.items.targets(place).iter().any(is_it)
        };
        let floor = |deal: &Attribute| match deal.amount.0 {
            0 => request.floor,
            _ => request.rate.at_least(deal.amount),
        };
        let deals = (1..).zip(request.deals).filter(includes);
        deals.map(|(number, deal)| (floor(deal), number)).min().unwrap_or((request.floor, 0))
    }

    /// Creatives of a line item that run and fit a request.
    fn fitting<'a>(&'a self, request: &'a Request<'_>, item: &LineItem) -> impl Iterator<Item = &'a Creative> {
        let fits = move |size: u32| size == 0 || request.sizes.iter().any(|has| has.value == size);
        let first = item.first_creative;
        self.creatives.from(first).filter(move |creative| creative.is_active() && fits(creative.terms.size))
    }

    /// Whether a user may be shown no more of what `cap` counts.
    #[inline]
    fn is_capped(&self, request: &Request<'_>, cap: &Cap) -> bool {
        self.caps.is_reached(cap, request.user, request.now, request.countable)
    }

    /// Whether all creatives of a line item that fit are capped.
    fn is_worn(&self, request: &Request<'_>, item: &LineItem) -> bool {
        self.fitting(request, item).all(|creative| self.is_capped(request, &Cap::of_creative(&creative.terms)))
    }

    /// What a line item shows: of its creatives that run, fit and are not capped one by their weights, in the order of
    /// their numbers; none when it has no creatives. There is one that can be shown.
    pub(super) fn rotate(&self, request: &Request<'_>, place: u32, draw: u64) -> CreativeId {
        let item = &self.items[place];
        if item.first_creative.0 == 0 {
            return CreativeId(0);
        }
        let open = || {
            let capped = |creative: &&Creative| !self.is_capped(request, &Cap::of_creative(&creative.terms));
            self.fitting(request, item).filter(capped)
        };
        let all: u64 = open().map(|creative| u64::from(creative.terms.weight)).sum();
        let mut at = ((u128::from(draw) * u128::from(all)) >> 64) as u64;
        for creative in open() {
            match at.checked_sub(creative.terms.weight.into()) {
                Some(rest) => at = rest,
                None => return creative.terms.creative,
            }
        }
        unreachable!("a line item that competes has a creative to show")
    }

    /// The caps that count a win: of its line item, its campaign and its creative, as far as there are such.
    pub(super) fn caps_of(&self, win: &Win) -> impl Iterator<Item = Cap> + use<> {
        let item = &self.items[win.item].terms;
        let campaign = &self.campaigns[item.campaign.0 - 1].terms;
        let creative = self.creatives.get(win.creative).map(|creative| Cap::of_creative(&creative.terms));
        let caps = [Some(Cap::of_item(item)), Some(Cap::of_campaign(campaign)), creative];
        caps.into_iter().flatten().filter(|cap| !cap.is_none())
    }

    /// Who pays for a line item.
    pub(super) fn advertiser_of(&self, place: u32) -> AdvertiserId {
        self.campaigns[self.items[place].campaign.0 - 1].terms.advertiser
    }

    /// Does the same to the budgets of a line item, its campaign and its advertiser, each with its day of `at`.
    #[inline]
    pub(super) fn on_levels(&mut self, place: u32, at: Timestamp, mut what: impl FnMut(&mut Budget, Day)) {
        let item = &mut self.items[place];
        let campaign = &mut self.campaigns[item.campaign.0 - 1];
        let day = campaign.day(at);
        what(&mut item.budget, day);
        what(&mut campaign.budget, day);
        if campaign.bounded == 1
            && let Some(advertiser) = self.advertisers.get_mut(campaign.terms.advertiser)
        {
            let day = advertiser.day(at);
            what(&mut advertiser.budget, day);
        }
    }
}
