//! Auctions of the slow twin: every line item is looked at, in order of rank, and prices are what the others lose.

use super::super::Auction;
use super::super::messages::{
    Attribute, AuctionHeld, AuctionRule, CreativeId, DefineLineItem, DefinePlacement, Dimension, Event, HoldAuction,
    LineItemId, Nanos, OutsideWon, Phase, PriceModel, Reject, Reply, Slot, SlotWon, TARGETS_MAX, TargetMode, WinId,
};
use super::super::ranking::draw;
use super::{DAY, Entry, HOUR, Item, Level, MINUTE, Model, Win, is_ascending};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::{Context, Out, Timestamp};

/// Whether a line item takes part at this hour of the week where a placement is.
fn takes_part(terms: &DefineLineItem, zone_minutes: i16, now: Timestamp) -> bool {
    let minutes = i128::from(now.0 / MINUTE) + i128::from(zone_minutes);
    // 1970-01-05 was a Monday.
    let hour = (minutes - 4 * 24 * 60).div_euclid(60).rem_euclid(7 * 24) as usize;
    let (day, hour) = (hour / 24, hour % 24);
    let bytes = &terms.hours[3 * day..3 * day + 3];
    let bits = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], 0]);
    terms.hours.iter().all(|byte| *byte == 0) || bits & (1 << hour) != 0
}

/// Who takes part: a line item, or a bid made elsewhere by its place in the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bidder {
    Item(u32),
    Outside(usize),
}

/// A bid made elsewhere: what was bid, and in which bucket.
struct Bid {
    bidder: u32,
    bid: u64,
    bucket: u64,
    entered: bool,
}

/// Who competes, and the least that an event costs it.
struct Ranked {
    who: Bidder,
    bid: u64,
    weight: u128,
    least: u128,
    contract: bool,
    deal: u8,
}

/// What the winner of `slot` pays for an event.
fn price_of(rule: AuctionRule, ranked: &[Ranked], slots: &[Slot], slot: usize) -> u64 {
    let Ranked { who: winner, bid, weight, least, contract, .. } = ranked[slot];
    if contract {
        return bid;
    }
    // What the others are worth to whoever sells: the floor stands in for those who are missing or bid less. Those under
    // contract have their slots whatever the others bid.
    let others = ranked.iter().filter(|other| other.who != winner && !other.contract);
    let others: Vec<u128> = others.map(|other| u128::from(other.bid) * other.weight).collect();
    let contracts = ranked.iter().filter(|other| other.contract).count();
    let (slots, slot) = (&slots[contracts..], slot - contracts);
    let worth = |at: usize| others.get(at).copied().unwrap_or(0).max(least * weight);
    let price = match rule {
        AuctionRule::FirstPrice => u128::from(bid),
        AuctionRule::SecondPrice | AuctionRule::GeneralizedSecondPrice => worth(slot).div_ceil(weight),
        AuctionRule::Vcg => {
            let factor = |at: usize| u128::from(slots[at].factor.0);
            let without: u128 = (0..slots.len()).map(|at| factor(at) * worth(at)).sum();
            let before: u128 = (0..slot).map(|at| factor(at) * worth(at)).sum();
            let after: u128 = (slot + 1..slots.len()).map(|at| factor(at) * worth(at - 1)).sum();
            (without - before - after).div_ceil(factor(slot) * weight)
        }
    };
    u64::try_from(price).expect("a price is no more than a bid")
}

impl Model {
    /// The budgets of a line item, its campaign and its advertiser, each with its day.
    pub(super) fn levels(&self, item: u32, now: Timestamp) -> Vec<(Level, i64)> {
        let campaign = self.items[&item].terms.campaign.0;
        let terms = &self.campaigns[&campaign].0;
        let day = |zone: i16| {
            let minutes = i64::try_from(now.0 / MINUTE).expect("a time has few minutes") + i64::from(zone);
            minutes.div_euclid(1_440)
        };
        let mut levels = alloc::vec![Level::Item(item), Level::Campaign(campaign)];
        let mut days = alloc::vec![day(terms.zone_minutes); 2];
        if let Some(advertiser) = self.advertisers.get(&terms.advertiser.0) {
            levels.push(Level::Advertiser(terms.advertiser.0));
            days.push(day(advertiser.zone_minutes));
        }
        levels.into_iter().zip(days).collect()
    }

    /// Whether the budgets of all levels of a line item hold `amount` more.
    fn can_pay(&self, item: u32, amount: u64, now: Timestamp) -> bool {
        self.levels(item, now).into_iter().all(|(level, day)| {
            let (total, daily) = match level {
                Level::Item(id) => (self.items[&id].terms.total, self.items[&id].terms.daily),
                Level::Campaign(id) => (self.campaigns[&id].0.total, self.campaigns[&id].0.daily),
                Level::Advertiser(id) => (self.advertisers[&id].total, self.advertisers[&id].daily),
                Level::Creative(_) => unreachable!("creatives have no budgets"),
            };
            let of = |map: &BTreeMap<Level, u64>| map.get(&level).copied().unwrap_or(0);
            let today = self.days.get(&(level, day)).copied().unwrap_or(0);
            let sum = |a: u64| u128::from(a) + u128::from(amount);
            sum(of(&self.spent) + of(&self.held)) <= u128::from(total.0)
                && (daily.0 == 0 || sum(today) <= u128::from(daily.0))
        })
    }

    /// What of a day's budget is planned until now: hour by hour, what of it is within the flight, and what of that is over. And the
    /// weight of all of it.
    fn planned(&self, id: u32, now: Timestamp) -> (u128, u128) {
        let terms = &self.items[&id].terms;
        let zone = i128::from(self.campaigns[&terms.campaign.0].0.zone_minutes) * i128::from(MINUTE);
        let (_, day) = self.levels(id, now)[0];
        let midnight = i128::from(day) * i128::from(DAY) - zone;
        let (mut all, mut over) = (0_u128, 0_u128);
        for (hour, weight) in (0..).zip(terms.plan) {
            let from = (midnight + hour * i128::from(HOUR)).max(i128::from(terms.starts.0));
            let to = (midnight + (hour + 1) * i128::from(HOUR)).min(i128::from(terms.ends.0));
            let length = |to: i128| u128::try_from(to - from).unwrap_or(0);
            all += u128::from(weight) * length(to);
            over += u128::from(weight) * length(to.min(i128::from(now.0)));
        }
        ((u128::from(terms.daily.0) * over).checked_div(all).unwrap_or(0), all)
    }

    fn used_today(&self, id: u32, now: Timestamp) -> u64 {
        let level_and_day = self.levels(id, now)[0];
        self.days.get(&level_and_day).copied().unwrap_or(0)
    }

    /// Whether a line item may spend a bid more so early on a day; one that is controlled is let by a draw.
    fn is_in_pace(&self, id: u32, now: Timestamp, draw: u64) -> bool {
        let item = &self.items[&id];
        let (used, bid) = (u128::from(self.used_today(id, now)), u128::from(item.bid.bid.0));
        let (planned, all) = self.planned(id, now);
        let in_plan = used + bid <= planned;
        if item.terms.gains == [0; 3] {
            return item.terms.plan == [0; 24] || in_plan;
        }
        let by_feedback = i128::from(draw % (1 << 32)) * 1_000_000 / (1 << 32) < item.part;
        // The quarter of an hour that has the least of the day, when it has any.
        let least = item.terms.plan.into_iter().filter(|weight| *weight > 0).min().unwrap_or(0);
        let quarter = u128::from(item.terms.daily.0) * u128::from(least) * u128::from(HOUR / 4);
        let percent = quarter.checked_div(all).unwrap_or(0) / 100;
        if percent < bid {
            return by_feedback;
        }
        in_plan && (by_feedback || planned - used >= percent - bid)
    }

    /// The first time after `now` at which a line item's controller steps: once a minute, at its own second.
    pub(super) fn next_step(&self, id: u32, now: u64) -> u64 {
        let second = u64::from(id - 1) % 60 * 1_000_000_000;
        let of_this_minute = now - now % MINUTE + second;
        if of_this_minute > now { of_this_minute } else { of_this_minute + MINUTE }
    }

    /// Lets a line item's controller step when it is due.
    pub(super) fn step(&mut self, id: u32, now: Timestamp) {
        let item = &self.items[&id];
        if item.terms.gains == [0; 3] || item.due > now.0 {
            return;
        }
        let due = self.next_step(id, now.0);
        let runs = item.phase == Phase::Active && item.started;
        let behind = self.planned(id, now).0 as i128 - i128::from(self.used_today(id, now));
        let runs = runs && self.campaigns[&item.terms.campaign.0].1 == Phase::Active;
        let item = self.items.get_mut(&id).expect("it is known");
        item.due = due;
        if runs {
            let minute = (item.terms.daily.0 / 1_440).max(1);
            let error = (behind * 1_000_000 / i128::from(minute)).clamp(-10_000_000, 10_000_000);
            let [proportional, integral, derivative] = item.terms.gains.map(i128::from);
            let [last, before] = item.errors;
            let slope = error - last;
            let change = (proportional * slope + integral * error + derivative * (slope - (last - before))) / 100;
            let change = change.clamp(-500_000, 1_000_000);
            item.part = (item.part * (1_000_000 + change) / 1_000_000).clamp(100, 1_000_000);
            item.errors = [error, last];
        }
    }

    pub(super) fn hold(
        &mut self,
        context: Context,
        command: &HoldAuction,
        attributes: &[Attribute],
        out: &mut Out<'_, Auction>,
    ) -> Result<(), Reject> {
        let known = self.placements.get(&command.placement.0).ok_or(Reject::UnknownPlacement)?;
        let (terms, mut slots, floor) = known.clone();
        if command.slots > 0 {
            slots.truncate(command.slots.into());
        }
        let (of_bidders, others): (Vec<Attribute>, Vec<Attribute>) =
            attributes.iter().partition(|has| has.dimension.get() == Dimension::Bidder);
        let keys: Vec<_> = others.iter().map(|has| (has.dimension.get(), has.value)).collect();
        // Which of all these there are: bidders may stand there again.
        let dimensions: Vec<_> = attributes.iter().map(|has| has.dimension.get()).collect();
        let in_order = is_ascending(&keys) && dimensions.is_sorted() && of_bidders.is_sorted_by_key(|has| has.value);
        if attributes.len() > TARGETS_MAX || !in_order {
            return Err(Reject::BadTargets);
        }
        let says_less = |has: &Attribute| {
            let is_deal = has.dimension.get() == Dimension::Deal;
            has.bids_max == 0 && (is_deal || has.amount.0 == 0)
        };
        let mut most = BTreeMap::new();
        let agree = of_bidders.iter().all(|has| *most.entry(has.value).or_insert(has.bids_max) == has.bids_max);
        if !others.iter().all(says_less) || !agree {
            return Err(Reject::BadTargets);
        }
        if !self.knows(command.currency) {
            return Err(Reject::UnknownCurrency);
        }
        if (self.wins.len() + slots.len()) as u64 > self.limits.wins {
            return Err(Reject::WinsFull);
        }
        self.note(0, command.placement.0, Entry::Auction);
        let (now, floor) = (context.now, floor.0.max(self.in_house(command.currency, command.floor.0, true)));
        let serves = |item: &Item| {
            item.phase == Phase::Active && item.started && self.campaigns[&item.terms.campaign.0].1 == Phase::Active
        };
        let serving: Vec<u32> = self.items.iter().filter(|(_, item)| serves(item)).map(|(id, _)| *id).collect();
        let candidates: Vec<u32> = serving.iter().copied().filter(|id| self.items[id].is_met_by(attributes)).collect();
        let bids = self.outside(context, command, &terms, attributes);
        let mut bidders: Vec<Bidder> = candidates.iter().map(|id| Bidder::Item(*id)).collect();
        bidders.extend((0..bids.len()).map(Bidder::Outside));
        bidders.sort_by_key(|bidder| {
            let (priority, score, number) = match bidder {
                Bidder::Item(id) => (self.items[id].terms.priority, self.items[id].score(), id - 1),
                Bidder::Outside(at) => (0, u128::from(bids[*at].bucket) * 1_000_000, (1 << 31) + *at as u32),
            };
            (core::cmp::Reverse((priority, score, draw(terms.seed, context.sequence, number))), number)
        });
        let mut held = AuctionHeld {
            win: WinId(0),
            price: Nanos(0),
            item: LineItemId(0),
            won: 0,
            outbid: 0,
            below_floor: 0,
            off_hours: 0,
            budget_spent: 0,
            paced: 0,
            capped: 0,
            excluded: 0,
            not_targeted: (serving.len() - candidates.len()) as u32,
            outside: 0,
            no_creative: 0,
            creative: CreativeId(0),
            pays: PriceModel::Cpm.into(),
            deal: 0,
        };
        // Who competes, with the least that an event costs it; the last may be the runner-up.
        let mut ranked: Vec<Ranked> = Vec::new();
        let room = self.has_room(slots.len(), now);
        let (mut advertisers, mut labels) = (BTreeSet::new(), BTreeSet::new());
        let mut looked_at = 0;
        for bidder in &bidders {
            let id = match bidder {
                Bidder::Item(id) => id,
                Bidder::Outside(at) => {
                    let bid = &bids[*at];
                    if bid.entered && bid.bucket > 0 && bid.bucket >= floor {
                        let (contract, least) = (false, floor.into());
                        let weight = 1_000_000;
                        ranked.push(Ranked { who: *bidder, bid: bid.bucket, weight, least, contract, deal: 0 });
                    }
                    if ranked.len() > slots.len() {
                        held.outbid = candidates.len() as u32 - looked_at;
                        break;
                    }
                    continue;
                }
            };
            looked_at += 1;
            let (floor, deal) = self.floor_for(&self.items[id], command, attributes, floor);
            let item = &self.items[id];
            let advertiser = self.campaigns[&item.terms.campaign.0].0.advertiser.0;
            let least = (u128::from(floor) * 1_000_000).div_ceil(item.bid.rate.0.into());
            if u128::from(item.bid.bid.0) < least {
                held.below_floor += 1;
            } else if !takes_part(&item.terms, terms.zone_minutes, now) {
                held.off_hours += 1;
            } else if self.fitting(*id, attributes).is_some_and(|fitting| fitting.is_empty()) {
                held.no_creative += 1;
            } else if !self.can_pay(*id, item.bid.bid.0, now) {
                held.budget_spent += 1;
            } else if !self.is_in_pace(*id, now, draw(terms.seed, context.sequence, *id - 1)) {
                held.paced += 1;
            } else if !self.can_be_shown(*id, attributes, command.user, now, room) {
                held.capped += 1;
            } else if advertisers.contains(&advertiser) || (slots.len() > 1 && !labels.is_disjoint(&item.labels())) {
                held.excluded += 1;
            } else {
                advertisers.insert(advertiser);
                labels.extend(item.labels());
                let (bid, weight, contract) = (item.bid.bid.0, item.weight(), item.terms.priority > 0);
                ranked.push(Ranked { who: *bidder, bid, weight, least, contract, deal });
                if ranked.len() > slots.len() {
                    held.outbid = candidates.len() as u32 - looked_at + 1;
                    break;
                }
            }
        }
        let prices: Vec<u64> =
            (0..ranked.len().min(slots.len())).map(|slot| price_of(terms.rule.get(), &ranked, &slots, slot)).collect();
        for (slot, price) in (1..).zip(prices) {
            let item = match ranked[slot as usize - 1].who {
                Bidder::Item(item) => item,
                Bidder::Outside(at) => {
                    let Bid { bidder, bid, .. } = bids[at];
                    let won = OutsideWon { bid: Nanos(bid), price: Nanos(price), bidder, slot };
                    out.tell(context.session, Event::OutsideWon(&won));
                    held.outside += 1;
                    continue;
                }
            };
            let win = context.sequence.0 * 8 + u64::from(slot - 1);
            let who = (command.user, room);
            let creative = self.shown_creative(item, attributes, who, (terms.seed, context));
            self.win(win, (item, creative), command, price, now);
            let (win, price, item, creative) = (WinId(win), Nanos(price), LineItemId(item), CreativeId(creative));
            held.won += 1;
            let deal = ranked[slot as usize - 1].deal;
            if slot == 1 {
                (held.win, held.price, held.item, held.creative, held.deal) = (win, price, item, creative, deal);
                held.pays = self.items[&item.0].terms.model;
            } else {
                let (pays, reserved) = (self.items[&item.0].terms.model, Reserved::default());
                let won = SlotWon { win, price, item, slot, creative, pays, deal, reserved };
                out.tell(context.session, Event::SlotWon(&won));
            }
        }
        out.reply(Reply::AuctionHeld(&held));
        Ok(())
    }

    /// Bids made elsewhere, in their order.
    fn outside(
        &self,
        context: Context,
        command: &HoldAuction,
        placement: &DefinePlacement,
        attributes: &[Attribute],
    ) -> Vec<Bid> {
        let bids = attributes.iter().filter(|attribute| attribute.dimension.get() == Dimension::Bidder);
        // Highest first; sorting leaves equal ones in their order. Of each bidder so many of these take part.
        let mut by_height: Vec<_> = bids.clone().enumerate().collect();
        by_height.sort_by_key(|(_, attribute)| core::cmp::Reverse(attribute.amount));
        let (mut taken, mut entered) = (BTreeMap::new(), BTreeSet::new());
        for (at, attribute) in by_height {
            let taken: &mut u8 = taken.entry(attribute.value).or_default();
            if *taken == 0 || *taken < attribute.bids_max {
                *taken += 1;
                entered.insert(at);
            }
        }
        let bids = (1_u32 << 31..).zip(bids.enumerate()).map(|(number, (at, attribute))| {
            let bid = self.in_house(command.currency, attribute.amount.0, false);
            let up = draw(placement.seed, context.sequence, number) % 2 == 1;
            let (bidder, bucket) = (attribute.value, self.bucket(placement.buckets, bid, up));
            Bid { bidder, bid, bucket, entered: entered.contains(&at) }
        });
        bids.collect()
    }

    /// What an impression costs a line item at least: for those of private deals, what the cheapest of theirs says that the
    /// request has; and which of the request's deals that is, from 1.
    fn floor_for(&self, item: &Item, command: &HoldAuction, attributes: &[Attribute], floor: u64) -> (u64, u8) {
        let mut own = Vec::new();
        for target in &item.targets {
            let deals = attributes.iter().filter(|has| has.dimension.get() == Dimension::Deal);
            for (number, attribute) in (1..).zip(deals) {
                let deal = (attribute.dimension.get(), attribute.value) == (Dimension::Deal, target.value)
                    && (target.dimension.get(), target.mode.get()) == (Dimension::Deal, TargetMode::Include);
                match attribute.amount.0 {
                    _ if !deal => {}
                    0 => own.push((floor, number)),
                    amount => own.push((self.in_house(command.currency, amount, true), number)),
                }
            }
        }
        own.into_iter().min().unwrap_or((floor, 0))
    }

    fn win(&mut self, win: u64, (item, creative): (u32, u32), command: &HoldAuction, price: u64, now: Timestamp) {
        for (level, day) in self.levels(item, now) {
            *self.held.entry(level).or_default() += price;
            *self.days.entry((level, day)).or_default() += price;
        }
        let counted = self.count(item, creative, command.user, now);
        let (placement, over) = (command.placement.0, now.saturating_add(self.items[&item].terms.window));
        self.note(item, placement, Entry::Win);
        let (at, seen, user) = (now, BTreeMap::new(), command.user.0);
        self.wins
            .insert(win, Win { item, placement, price, at, over, counted, user, seen, billed: false, closed: false });
    }
}
