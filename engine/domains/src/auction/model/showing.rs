//! Advertisers, creatives and caps of the slow twin.

use super::super::messages::{
    AdvertiserSet, Attribute, CapPeriod, CreativeChanged, CreativeId, CreativeSet, DeclineReason, DefineAdvertiser,
    DefineCreative, Dimension, Event, LineItemId, Phase, Reject, Reply, SetCreative, UserKey, WinId, ZONE_MINUTES_MAX,
};
use super::super::ranking::draw;
use super::super::{Auction, topics};
use super::{DAY, HOUR, Level, MINUTE, Model, budget_makes_sense, cap_makes_sense, decline, may_go};
use alloc::vec::Vec;
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::{Context, Out, Timestamp};

/// When the period began that `now` is in.
fn beginning(kind: CapPeriod, now: Timestamp) -> u64 {
    match kind {
        CapPeriod::None | CapPeriod::Life => 0,
        CapPeriod::Minute => now.0 - now.0 % MINUTE,
        CapPeriod::Hour => now.0 - now.0 % HOUR,
        CapPeriod::Day => now.0 - now.0 % DAY,
        CapPeriod::Week => {
            // 1970-01-05 was a Monday; before it the week that has the epoch.
            let monday = 4 * DAY;
            if now.0 < monday { 0 } else { now.0 - (now.0 - monday) % (7 * DAY) }
        }
    }
}

impl Model {
    pub(super) fn define_advertiser(
        &mut self,
        terms: &DefineAdvertiser,
        out: &mut Out<'_, Auction>,
    ) -> Result<(), Reject> {
        let id = terms.advertiser;
        if id.0 == 0 || u64::from(id.0) > self.limits.advertisers {
            return Err(Reject::UnknownAdvertiser);
        }
        match self.advertisers.get(&id.0) {
            Some(known) if known == terms => {}
            Some(_) => return Err(Reject::AdvertiserExists),
            None if self.campaigns.values().any(|(campaign, _)| campaign.advertiser == id) => {
                return Err(Reject::AdvertiserExists);
            }
            None if !budget_makes_sense(terms.total, terms.daily)
                || terms.zone_minutes.unsigned_abs() > ZONE_MINUTES_MAX as u16 =>
            {
                return Err(Reject::BadTerms);
            }
            None => {
                self.advertisers.insert(id.0, *terms);
            }
        }
        out.reply(Reply::AdvertiserSet(&AdvertiserSet { advertiser: id, reserved: Reserved::default() }));
        Ok(())
    }

    pub(super) fn define_creative(&mut self, terms: &DefineCreative, out: &mut Out<'_, Auction>) -> Result<(), Reject> {
        let id = terms.creative.0;
        if id == 0 || u64::from(id) > self.limits.creatives {
            return Err(Reject::CreativesFull);
        }
        match self.creatives.get(&id) {
            Some((known, _)) if known != terms => return Err(Reject::CreativeExists),
            Some(_) => {}
            None => {
                if !self.items.contains_key(&terms.item.0) {
                    return Err(Reject::UnknownLineItem);
                }
                if terms.weight == 0 || !cap_makes_sense(terms.cap, terms.cap_period.get()) {
                    return Err(Reject::BadTerms);
                }
                if self.creatives_of(terms.item.0).len() >= 16 {
                    return Err(Reject::CreativesFull);
                }
                self.creatives.insert(id, (*terms, Phase::Draft));
                self.say_creative(id, out);
            }
        }
        self.answer_creative(id, out);
        Ok(())
    }

    pub(super) fn set_creative(&mut self, command: SetCreative, out: &mut Out<'_, Auction>) -> Result<(), Reject> {
        let id = command.creative.0;
        let (_, phase) = self.creatives.get_mut(&id).ok_or(Reject::UnknownCreative)?;
        if !may_go(*phase, command.phase.get()) {
            decline(WinId(0), id, DeclineReason::WrongPhase, out);
            return Ok(());
        }
        *phase = command.phase.get();
        self.say_creative(id, out);
        self.answer_creative(id, out);
        Ok(())
    }

    fn say_creative(&self, id: u32, out: &mut Out<'_, Auction>) {
        let (terms, phase) = self.creatives[&id];
        let DefineCreative { creative, item, .. } = terms;
        let changed = CreativeChanged { creative, item, phase: phase.into(), reserved: Reserved::default() };
        let campaign = self.items[&item.0].terms.campaign.0;
        out.publish(topics::CAMPAIGNS, campaign, Event::CreativeChanged(&changed));
    }

    fn answer_creative(&self, id: u32, out: &mut Out<'_, Auction>) {
        let phase = self.creatives[&id].1.into();
        let set = CreativeSet { creative: CreativeId(id), phase, reserved: Reserved::default() };
        out.reply(Reply::CreativeSet(&set));
    }

    fn creatives_of(&self, item: u32) -> Vec<u32> {
        let own = self.creatives.iter().filter(|(_, (terms, _))| terms.item == LineItemId(item));
        own.map(|(id, _)| *id).collect()
    }

    /// Creatives of a line item that run and fit; none where it never had any.
    pub(super) fn fitting(&self, item: u32, attributes: &[Attribute]) -> Option<Vec<u32>> {
        let own = self.creatives_of(item);
        if own.is_empty() {
            return None;
        }
        let sizes: Vec<u32> =
            attributes.iter().filter(|has| has.dimension.get() == Dimension::Size).map(|has| has.value).collect();
        let fits = |id: &u32| {
            let (terms, phase) = &self.creatives[id];
            *phase == Phase::Active && (terms.size == 0 || sizes.contains(&terms.size))
        };
        Some(own.into_iter().filter(fits).collect())
    }

    /// The cap of something.
    fn cap(&self, level: Level) -> (CapPeriod, u32) {
        match level {
            Level::Item(id) => (self.items[&id].terms.cap_period.get(), self.items[&id].terms.cap),
            Level::Campaign(id) => (self.campaigns[&id].0.cap_period.get(), self.campaigns[&id].0.cap),
            Level::Creative(id) => (self.creatives[&id].0.cap_period.get(), self.creatives[&id].0.cap),
            Level::Advertiser(_) => (CapPeriod::None, 0),
        }
    }

    /// Whether counters can be begun for so many slots.
    pub(super) fn has_room(&self, slots: usize, now: Timestamp) -> bool {
        self.counters(now) + 3 * slots as u64 <= self.limits.counters
    }

    /// Counters of periods that are not over.
    fn counters(&self, now: Timestamp) -> u64 {
        let alive = |(_, level, since): &&(u64, Level, u64)| beginning(self.cap(*level).0, now) == *since;
        self.shown.keys().filter(alive).count() as u64
    }

    fn may_see(&self, level: Level, user: UserKey, now: Timestamp, room: bool) -> bool {
        let (kind, most) = self.cap(level);
        if kind == CapPeriod::None {
            return true;
        }
        match self.shown.get(&(user.0, level, beginning(kind, now))) {
            _ if user.0 == 0 => false,
            Some(shown) => *shown < most,
            None => room,
        }
    }

    /// Those of `creatives` that a user may see.
    fn open(&self, creatives: &[u32], user: UserKey, now: Timestamp, room: bool) -> Vec<u32> {
        creatives.iter().copied().filter(|id| self.may_see(Level::Creative(*id), user, now, room)).collect()
    }

    /// Whether a line item, its campaign and a creative of it may be shown to a user.
    pub(super) fn can_be_shown(
        &self,
        item: u32,
        attributes: &[Attribute],
        user: UserKey,
        now: Timestamp,
        room: bool,
    ) -> bool {
        let campaign = Level::Campaign(self.items[&item].terms.campaign.0);
        let creative = self.fitting(item, attributes).is_none_or(|all| !self.open(&all, user, now, room).is_empty());
        self.may_see(Level::Item(item), user, now, room) && self.may_see(campaign, user, now, room) && creative
    }

    /// What is shown: of the creatives that can be, each as often as its weight says.
    pub(super) fn shown_creative(
        &self,
        item: u32,
        attributes: &[Attribute],
        (user, room): (UserKey, bool),
        (seed, context): (u64, Context),
    ) -> u32 {
        let Some(fitting) = self.fitting(item, attributes) else { return 0 };
        let open = self.open(&fitting, user, context.now, room);
        let weight = |id: &u32| u128::from(self.creatives[id].0.weight);
        let all: u128 = open.iter().map(weight).sum();
        let drawn = u128::from(draw(seed, context.sequence, (1 << 30) + item - 1));
        // The first up to which the weights are more than the drawn part of all.
        let mut sum = 0;
        let first = open.iter().find(|id| {
            sum += weight(id);
            sum > (drawn * all) >> 64
        });
        *first.expect("the draw is below one")
    }

    /// Counts a slot wherever there is a cap; gives the counters.
    pub(super) fn count(&mut self, item: u32, creative: u32, user: UserKey, now: Timestamp) -> Vec<(u64, Level, u64)> {
        let campaign = self.items[&item].terms.campaign.0;
        let mut counted = Vec::new();
        let levels = [Level::Item(item), Level::Campaign(campaign), Level::Creative(creative)];
        for level in levels.into_iter().filter(|level| *level != Level::Creative(0)) {
            let (kind, _) = self.cap(level);
            if kind != CapPeriod::None {
                let counter = (user.0, level, beginning(kind, now));
                *self.shown.entry(counter).or_default() += 1;
                counted.push(counter);
            }
        }
        counted
    }
}
