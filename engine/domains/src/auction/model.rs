//! The slow twin: maps and lists, every line item looked at in every auction, prices by what the others lose. Written
//! from `README.md`; it shares messages with the domain, and the draw that breaks ties, and nothing else.

use super::holding::draw;
use super::messages::{
    Attribute, AuctionHeld, AuctionLimits, AuctionRule, BID_MAX, CampaignChanged, CampaignId, CampaignSet, CapPeriod,
    Command, DeclineReason, Declined, DefineCampaign, DefineLineItem, DefinePlacement, Event, EventBilled, EventKind,
    EventOutcome, EventRecorded, HoldAuction, InvoiceMade, LineItemChanged, LineItemId, LineItemSet, MakeInvoice,
    Nanos, Phase, PlacementId, PlacementSet, Ppm, PriceModel, RecordEvent, Reject, Reply, SLOTS_MAX, SetBid,
    SetCampaign, SetFloor, SetLineItem, Slot, SlotWon, TARGETS_MAX, Target, TargetMode, UserKey, WHOLE, WINDOW_MAX,
    WinId, WinReleased, ZONE_MINUTES_MAX,
};
use super::{Auction, topics};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::{Context, Out, SessionChange, Timestamp};

const MINUTE: u64 = 60_000_000_000;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

#[derive(Clone, Debug)]
struct Item {
    terms: DefineLineItem,
    targets: Vec<Target>,
    bid: SetBid,
    phase: Phase,
    started: bool,
}

impl Item {
    fn weight(&self) -> u128 {
        u128::from(self.bid.rate.0) * u128::from(self.bid.quality.0) / u128::from(WHOLE)
    }

    fn score(&self) -> u128 {
        u128::from(self.bid.bid.0) * self.weight()
    }

    /// Whether a request with `attributes` meets its targets.
    fn is_met_by(&self, attributes: &[Attribute]) -> bool {
        let asked = |target: &Target| {
            attributes.iter().any(|has| (has.dimension, has.value) == (target.dimension, target.value))
        };
        let mut included = BTreeMap::new();
        for target in &self.targets {
            match target.mode.get() {
                TargetMode::Exclude if asked(target) => return false,
                TargetMode::Exclude => {}
                TargetMode::Include => *included.entry(target.dimension.get()).or_insert(false) |= asked(target),
            }
        }
        included.values().all(|met| *met)
    }
}

#[derive(Clone, Debug)]
struct Win {
    item: u32,
    placement: u32,
    price: u64,
    day: i64,
    over: Timestamp,
    /// The user and the beginning of the period that counted it.
    counted: Option<(u64, u64)>,
    seen: BTreeSet<EventKind>,
    billed: bool,
}

/// Whose budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Campaign(u32),
    Item(u32),
}

/// The twin of [`Auction`].
#[derive(Debug)]
pub struct Model {
    limits: AuctionLimits,
    campaigns: BTreeMap<u32, (DefineCampaign, Phase)>,
    items: BTreeMap<u32, Item>,
    placements: BTreeMap<u32, (DefinePlacement, Vec<Slot>, Nanos)>,
    /// Wins that wait.
    wins: BTreeMap<u64, Win>,
    spent: BTreeMap<Level, u64>,
    held: BTreeMap<Level, u64>,
    /// What is held or spent of a day.
    days: BTreeMap<(Level, i64), u64>,
    /// How often a user was shown a line item since the beginning of a period.
    shown: BTreeMap<(u64, u32, u64), u32>,
    /// What is not invoiced yet, in how many events, and how many invoices there were.
    accounts: BTreeMap<u32, (u64, u64, u32)>,
}

impl ringfence_kernel::laws::Model for Model {
    type Domain = Auction;

    fn new(limits: &AuctionLimits) -> Self {
        Self {
            limits: *limits,
            campaigns: BTreeMap::new(),
            items: BTreeMap::new(),
            placements: BTreeMap::new(),
            wins: BTreeMap::new(),
            spent: BTreeMap::new(),
            held: BTreeMap::new(),
            days: BTreeMap::new(),
            shown: BTreeMap::new(),
            accounts: BTreeMap::new(),
        }
    }

    fn apply(&mut self, context: Context, command: Command<'_>, out: &mut Out<'_, Auction>) -> Result<(), Reject> {
        match command {
            Command::DefineCampaign(terms) => self.define_campaign(terms, out),
            Command::DefineLineItem(terms, targets) => self.define_line_item(context.now, terms, targets, out),
            Command::DefinePlacement(terms, slots) => self.define_placement(terms, slots, out),
            Command::SetCampaign(command) => self.set_campaign(*command, out),
            Command::SetLineItem(command) => self.set_line_item(*command, out),
            Command::SetBid(bid) => self.set_bid(bid, out),
            Command::SetFloor(command) => self.set_floor(*command, out),
            Command::HoldAuction(command, attributes) => self.hold(context, command, attributes, out),
            Command::RecordEvent(command) => {
                self.record(*command, out);
                Ok(())
            }
            Command::MakeInvoice(command) => self.invoice(*command, out),
        }
    }

    fn on_time(&mut self, context: Context, out: &mut Out<'_, Auction>) {
        let now = context.now;
        loop {
            let over = self.wins.iter().filter(|(_, win)| win.over <= now);
            let Some((_, id)) = over.map(|(id, win)| (win.over, *id)).min() else { break };
            self.end_window(id, out);
        }
        loop {
            let due = self.items.iter().filter(|(_, item)| item.phase != Phase::Ended);
            let due = due.map(|(id, item)| (if item.started { item.terms.ends } else { item.terms.starts }, *id));
            let Some((_, id)) = due.filter(|(due, _)| *due <= now).min() else { return };
            let item = self.items.get_mut(&id).expect("it is due");
            if item.started {
                item.phase = Phase::Ended;
            }
            item.started = true;
            self.say_line_item(id, out);
        }
    }

    fn on_session(&mut self, _: Context, _: SessionChange, _: &mut Out<'_, Auction>) {}
}

fn budget_makes_sense(total: Nanos, daily: Nanos) -> bool {
    total.0 > 0 && total.0 < 1 << 63 && daily.0 <= total.0
}

fn bid_makes_sense(model: PriceModel, bid: Nanos, rate: Ppm, quality: Ppm) -> bool {
    let weight = u64::from(rate.0) * u64::from(quality.0) / 1_000_000;
    bid.0 > 0
        && bid.0 <= BID_MAX
        && rate.0 <= WHOLE
        && quality.0 <= WHOLE
        && weight > 0
        && (model != PriceModel::Cpm || rate.0 == WHOLE)
}

fn is_ascending<T: Ord>(keys: &[T]) -> bool {
    keys.windows(2).all(|pair| pair[0] < pair[1])
}

/// When the period began that `now` is in.
fn beginning(kind: CapPeriod, now: Timestamp) -> u64 {
    match kind {
        CapPeriod::None | CapPeriod::Life => 0,
        CapPeriod::Hour => now.0 - now.0 % HOUR,
        CapPeriod::Day => now.0 - now.0 % DAY,
        CapPeriod::Week => {
            // 1970-01-05 was a Monday; before it the week that has the epoch.
            let monday = 4 * DAY;
            if now.0 < monday { 0 } else { now.0 - (now.0 - monday) % (7 * DAY) }
        }
    }
}

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

fn may_go(from: Phase, to: Phase) -> bool {
    use Phase::{Active, Draft, Ended, Paused};
    matches!((from, to), (Draft, Active) | (Active, Paused) | (Paused, Active) | (Draft | Active | Paused, Ended))
}

impl Model {
    fn campaign(&self, id: CampaignId) -> Result<&(DefineCampaign, Phase), Reject> {
        self.campaigns.get(&id.0).ok_or(Reject::UnknownCampaign)
    }

    fn define_campaign(&mut self, terms: &DefineCampaign, out: &mut Out<'_, Auction>) -> Result<(), Reject> {
        let id = terms.campaign.0;
        if id == 0 || u64::from(id) > self.limits.campaigns {
            return Err(Reject::CampaignsFull);
        }
        match self.campaigns.get(&id) {
            Some((known, _)) if known != terms => return Err(Reject::CampaignExists),
            Some(_) => {}
            None => {
                if terms.advertiser.0 == 0 || u64::from(terms.advertiser.0) > self.limits.advertisers {
                    return Err(Reject::UnknownAdvertiser);
                }
                let zone = terms.zone_minutes;
                if !budget_makes_sense(terms.total, terms.daily)
                    || !(-ZONE_MINUTES_MAX..=ZONE_MINUTES_MAX).contains(&zone)
                {
                    return Err(Reject::BadTerms);
                }
                let promised: u128 = self.campaigns.values().map(|(terms, _)| u128::from(terms.total.0)).sum();
                if promised + u128::from(terms.total.0) >= 1 << 63 {
                    return Err(Reject::BudgetsFull);
                }
                self.campaigns.insert(id, (*terms, Phase::Draft));
                self.say_campaign(id, out);
            }
        }
        self.answer_campaign(id, out);
        Ok(())
    }

    fn define_line_item(
        &mut self,
        now: Timestamp,
        terms: &DefineLineItem,
        targets: &[Target],
        out: &mut Out<'_, Auction>,
    ) -> Result<(), Reject> {
        let id = terms.item.0;
        if id == 0 || u64::from(id) > self.limits.line_items {
            return Err(Reject::LineItemsFull);
        }
        if let Some(known) = self.items.get(&id) {
            if known.terms != *terms || known.targets != targets {
                return Err(Reject::LineItemExists);
            }
            self.answer_line_item(id, out);
            return Ok(());
        }
        self.campaign(terms.campaign)?;
        let capped = terms.cap_period.get() != CapPeriod::None;
        let makes_sense = budget_makes_sense(terms.total, terms.daily)
            && bid_makes_sense(terms.model.get(), terms.bid, terms.rate, terms.quality)
            && terms.starts < terms.ends
            && terms.ends > now
            && terms.window > 0
            && terms.window <= WINDOW_MAX
            && capped == (terms.cap != 0)
            && (terms.daily.0 > 0 || terms.plan.iter().all(|weight| *weight == 0));
        if !makes_sense {
            return Err(Reject::BadTerms);
        }
        let key = |target: &Target| (target.dimension.get(), target.value);
        if targets.len() > TARGETS_MAX || !is_ascending(&targets.iter().map(key).collect::<Vec<_>>()) {
            return Err(Reject::BadTargets);
        }
        let held: usize = self.items.values().map(|item| item.targets.len()).sum();
        if (held + targets.len()) as u64 > self.limits.targets {
            return Err(Reject::TargetsFull);
        }
        let all = self.items.values().flat_map(|item| &item.targets).chain(targets);
        if all.map(key).collect::<BTreeSet<_>>().len() as u64 > self.limits.values {
            return Err(Reject::ValuesFull);
        }
        let DefineLineItem { bid, item, rate, quality, .. } = *terms;
        let bid = SetBid { bid, item, rate, quality, reserved: Reserved::default() };
        let started = terms.starts <= now;
        let (terms, targets, phase) = (*terms, targets.to_vec(), Phase::Draft);
        self.items.insert(id, Item { terms, targets, bid, phase, started });
        self.say_line_item(id, out);
        self.answer_line_item(id, out);
        Ok(())
    }

    fn define_placement(
        &mut self,
        terms: &DefinePlacement,
        slots: &[Slot],
        out: &mut Out<'_, Auction>,
    ) -> Result<(), Reject> {
        let id = terms.placement.0;
        if id == 0 || u64::from(id) > self.limits.placements {
            return Err(Reject::PlacementsFull);
        }
        match self.placements.get(&id) {
            Some((known, own, _)) if known != terms || own != slots => return Err(Reject::PlacementExists),
            Some(_) => {}
            None => {
                if terms.publisher.0 == 0 || u64::from(terms.publisher.0) > self.limits.publishers {
                    return Err(Reject::UnknownPublisher);
                }
                let factors: Vec<u32> = slots.iter().map(|slot| slot.factor.0).collect();
                let most = if terms.rule.get() == AuctionRule::SecondPrice { 1 } else { SLOTS_MAX };
                let makes_sense = !slots.is_empty()
                    && slots.len() <= most
                    && factors.iter().all(|factor| *factor > 0 && *factor <= WHOLE)
                    && factors.windows(2).all(|pair| pair[0] >= pair[1])
                    && terms.share.0 <= WHOLE
                    && terms.floor.0 <= BID_MAX
                    && terms.zone_minutes.unsigned_abs() <= ZONE_MINUTES_MAX as u16;
                if !makes_sense {
                    return Err(Reject::BadTerms);
                }
                self.placements.insert(id, (*terms, slots.to_vec(), terms.floor));
            }
        }
        self.answer_placement(id, out);
        Ok(())
    }

    fn set_campaign(&mut self, command: SetCampaign, out: &mut Out<'_, Auction>) -> Result<(), Reject> {
        let (_, phase) = *self.campaign(command.campaign)?;
        let id = command.campaign.0;
        if !may_go(phase, command.phase.get()) {
            decline(WinId(0), id, DeclineReason::WrongPhase, out);
            return Ok(());
        }
        self.campaigns.get_mut(&id).expect("it is known").1 = command.phase.get();
        self.say_campaign(id, out);
        self.answer_campaign(id, out);
        Ok(())
    }

    fn set_line_item(&mut self, command: SetLineItem, out: &mut Out<'_, Auction>) -> Result<(), Reject> {
        let id = command.item.0;
        let item = self.items.get_mut(&id).ok_or(Reject::UnknownLineItem)?;
        if !may_go(item.phase, command.phase.get()) {
            decline(WinId(0), id, DeclineReason::WrongPhase, out);
            return Ok(());
        }
        item.phase = command.phase.get();
        self.say_line_item(id, out);
        self.answer_line_item(id, out);
        Ok(())
    }

    fn set_bid(&mut self, bid: &SetBid, out: &mut Out<'_, Auction>) -> Result<(), Reject> {
        let item = self.items.get_mut(&bid.item.0).ok_or(Reject::UnknownLineItem)?;
        if !bid_makes_sense(item.terms.model.get(), bid.bid, bid.rate, bid.quality) {
            return Err(Reject::BadTerms);
        }
        item.bid = *bid;
        self.say_line_item(bid.item.0, out);
        self.answer_line_item(bid.item.0, out);
        Ok(())
    }

    fn set_floor(&mut self, command: SetFloor, out: &mut Out<'_, Auction>) -> Result<(), Reject> {
        let placement = self.placements.get_mut(&command.placement.0).ok_or(Reject::UnknownPlacement)?;
        if command.floor.0 > BID_MAX {
            return Err(Reject::BadTerms);
        }
        placement.2 = command.floor;
        self.answer_placement(command.placement.0, out);
        Ok(())
    }

    fn day(&self, item: u32, now: Timestamp) -> i64 {
        let (campaign, _) = self.campaigns[&self.items[&item].terms.campaign.0];
        let minutes = i64::try_from(now.0 / MINUTE).expect("a time has few minutes") + i64::from(campaign.zone_minutes);
        minutes.div_euclid(1_440)
    }

    /// Whether the budgets of a line item and its campaign hold `amount` more.
    fn can_pay(&self, item: u32, amount: u64, day: i64) -> bool {
        let terms = &self.items[&item].terms;
        let (campaign, _) = &self.campaigns[&terms.campaign.0];
        let levels = [
            (Level::Item(item), terms.total.0, terms.daily.0),
            (Level::Campaign(terms.campaign.0), campaign.total.0, campaign.daily.0),
        ];
        levels.into_iter().all(|(level, total, daily)| {
            let of = |map: &BTreeMap<Level, u64>| map.get(&level).copied().unwrap_or(0);
            let today = self.days.get(&(level, day)).copied().unwrap_or(0);
            let sum = |a: u64| u128::from(a) + u128::from(amount);
            sum(of(&self.spent) + of(&self.held)) <= u128::from(total)
                && (daily == 0 || sum(today) <= u128::from(daily))
        })
    }

    /// Whether what was spent of the day, and a bid, are within the plan of the hours that are over: hour by hour, what of
    /// it is within the flight, and what of that is over.
    fn is_within_plan(&self, id: u32, now: Timestamp) -> bool {
        let (item, terms) = (&self.items[&id], &self.items[&id].terms);
        if terms.plan == [0; 24] {
            return true;
        }
        let zone = i128::from(self.campaigns[&terms.campaign.0].0.zone_minutes) * i128::from(MINUTE);
        let day = self.day(id, now);
        let midnight = i128::from(day) * i128::from(DAY) - zone;
        let (mut all, mut over) = (0_u128, 0_u128);
        for (hour, weight) in (0..).zip(terms.plan) {
            let from = (midnight + hour * i128::from(HOUR)).max(i128::from(terms.starts.0));
            let to = (midnight + (hour + 1) * i128::from(HOUR)).min(i128::from(terms.ends.0));
            let length = |to: i128| u128::try_from(to - from).unwrap_or(0);
            all += u128::from(weight) * length(to);
            over += u128::from(weight) * length(to.min(i128::from(now.0)));
        }
        let used = self.days.get(&(Level::Item(id), day)).copied().unwrap_or(0);
        all > 0 && u128::from(used + item.bid.bid.0) <= u128::from(terms.daily.0) * over / all
    }

    /// Counters of periods that are not over.
    fn counters(&self, now: Timestamp) -> u64 {
        let alive =
            |(_, item, since): &&(u64, u32, u64)| beginning(self.items[item].terms.cap_period.get(), now) == *since;
        self.shown.keys().filter(alive).count() as u64
    }

    fn can_be_shown(&self, id: u32, user: UserKey, now: Timestamp, slots: usize) -> bool {
        let terms = &self.items[&id].terms;
        let kind = terms.cap_period.get();
        if kind == CapPeriod::None {
            return true;
        }
        match self.shown.get(&(user.0, id, beginning(kind, now))) {
            _ if user.0 == 0 => false,
            Some(shown) => *shown < terms.cap,
            None => self.counters(now) + slots as u64 <= self.limits.counters,
        }
    }

    fn hold(
        &mut self,
        context: Context,
        command: &HoldAuction,
        attributes: &[Attribute],
        out: &mut Out<'_, Auction>,
    ) -> Result<(), Reject> {
        let known = self.placements.get(&command.placement.0).ok_or(Reject::UnknownPlacement)?;
        let (terms, slots, floor) = known.clone();
        let keys: Vec<_> = attributes.iter().map(|has| (has.dimension.get(), has.value)).collect();
        if keys.len() > TARGETS_MAX || !is_ascending(&keys) {
            return Err(Reject::BadTargets);
        }
        if (self.wins.len() + slots.len()) as u64 > self.limits.wins {
            return Err(Reject::WinsFull);
        }
        let (now, floor) = (context.now, floor.0.max(command.floor.0));
        let serves = |item: &Item| {
            item.phase == Phase::Active && item.started && self.campaigns[&item.terms.campaign.0].1 == Phase::Active
        };
        let serving: Vec<u32> = self.items.iter().filter(|(_, item)| serves(item)).map(|(id, _)| *id).collect();
        let mut candidates: Vec<u32> =
            serving.iter().copied().filter(|id| self.items[id].is_met_by(attributes)).collect();
        candidates.sort_by_key(|id| {
            let rank = (self.items[id].score(), draw(terms.seed, context, id - 1));
            (core::cmp::Reverse(rank), *id)
        });
        let mut held = AuctionHeld {
            win: WinId(0),
            price: Nanos(0),
            item: LineItemId(0),
            won: 0,
            candidates: candidates.len() as u32,
            outbid: 0,
            below_floor: 0,
            off_hours: 0,
            budget_spent: 0,
            paced: 0,
            capped: 0,
            same_advertiser: 0,
            not_targeted: (serving.len() - candidates.len()) as u32,
            reserved: Reserved::default(),
        };
        // Who competes, with the least that an event costs it; the last may be the runner-up.
        let mut ranked: Vec<(u32, u128)> = Vec::new();
        let mut advertisers = BTreeSet::new();
        for (at, id) in candidates.iter().enumerate() {
            let item = &self.items[id];
            let advertiser = self.campaigns[&item.terms.campaign.0].0.advertiser.0;
            let least = (u128::from(floor) * 1_000_000).div_ceil(item.bid.rate.0.into());
            if u128::from(item.bid.bid.0) < least {
                held.below_floor += 1;
            } else if !takes_part(&item.terms, terms.zone_minutes, now) {
                held.off_hours += 1;
            } else if !self.can_pay(*id, item.bid.bid.0, self.day(*id, now)) {
                held.budget_spent += 1;
            } else if !self.is_within_plan(*id, now) {
                held.paced += 1;
            } else if !self.can_be_shown(*id, command.user, now, slots.len()) {
                held.capped += 1;
            } else if !advertisers.insert(advertiser) {
                held.same_advertiser += 1;
            } else {
                ranked.push((*id, least));
                if ranked.len() > slots.len() {
                    held.outbid = (candidates.len() - at) as u32;
                    break;
                }
            }
        }
        let prices: Vec<u64> = (0..ranked.len().min(slots.len()))
            .map(|slot| self.price(terms.rule.get(), &ranked, &slots, slot))
            .collect();
        for (slot, price) in (1..).zip(prices) {
            let (item, _) = ranked[slot as usize - 1];
            let win = context.sequence.0 * 8 + u64::from(slot - 1);
            self.win(win, item, command, price, now);
            let (win, price, item) = (WinId(win), Nanos(price), LineItemId(item));
            held.won += 1;
            if slot == 1 {
                (held.win, held.price, held.item) = (win, price, item);
            } else {
                out.tell(context.session, Event::SlotWon(&SlotWon { win, price, item, slot }));
            }
        }
        out.reply(Reply::AuctionHeld(&held));
        Ok(())
    }

    /// What the winner of `slot` pays for an event.
    fn price(&self, rule: AuctionRule, ranked: &[(u32, u128)], slots: &[Slot], slot: usize) -> u64 {
        let (winner, least) = ranked[slot];
        let (bid, weight) = (self.items[&winner].bid.bid.0, self.items[&winner].weight());
        // What the others are worth to whoever sells: the floor stands in for those who are missing or bid less.
        let others: Vec<u128> =
            ranked.iter().filter(|(id, _)| *id != winner).map(|(id, _)| self.items[id].score()).collect();
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

    fn win(&mut self, win: u64, id: u32, command: &HoldAuction, price: u64, now: Timestamp) {
        let day = self.day(id, now);
        let terms = self.items[&id].terms;
        for level in [Level::Item(id), Level::Campaign(terms.campaign.0)] {
            *self.held.entry(level).or_default() += price;
            *self.days.entry((level, day)).or_default() += price;
        }
        let kind = terms.cap_period.get();
        let counted = (kind != CapPeriod::None).then(|| (command.user.0, beginning(kind, now)));
        if let Some((user, since)) = counted {
            *self.shown.entry((user, id, since)).or_default() += 1;
        }
        let (item, placement, over) = (id, command.placement.0, now.saturating_add(terms.window));
        self.wins.insert(win, Win { item, placement, price, day, over, counted, seen: BTreeSet::new(), billed: false });
    }

    fn record(&mut self, command: RecordEvent, out: &mut Out<'_, Auction>) {
        let Some(win) = self.wins.get_mut(&command.win.0) else {
            return decline(command.win, 0, DeclineReason::NoSuchWin, out);
        };
        let kind = command.kind.get();
        let pays = match self.items[&win.item].terms.model.get() {
            PriceModel::Cpm => EventKind::Impression,
            PriceModel::Cpc => EventKind::Click,
            PriceModel::Cpa => EventKind::Conversion,
        };
        let (mut amount, item) = (Nanos(0), LineItemId(win.item));
        let outcome = if !win.seen.insert(kind) {
            EventOutcome::Repeated
        } else if kind != pays {
            EventOutcome::Counted
        } else {
            win.billed = true;
            amount = Nanos(win.price);
            let (placement, price) = (win.placement, win.price);
            let campaign = self.items[&item.0].terms.campaign.0;
            for level in [Level::Item(item.0), Level::Campaign(campaign)] {
                *self.held.get_mut(&level).expect("it was held") -= price;
                *self.spent.entry(level).or_default() += price;
            }
            let advertiser = self.campaigns[&campaign].0.advertiser.0;
            let account = self.accounts.entry(advertiser).or_default();
            (account.0, account.1) = (account.0 + price, account.1 + 1);
            let share = self.placements[&placement].0.share.0;
            let publisher_amount = Nanos((u128::from(price) * u128::from(share) / 1_000_000) as u64);
            let (win, placement) = (command.win, PlacementId(placement));
            let billed = EventBilled { amount, publisher_amount, win, item, placement };
            out.publish(topics::SPEND, advertiser, Event::EventBilled(&billed));
            EventOutcome::Billed
        };
        let (win, outcome, reserved) = (command.win, outcome.into(), Reserved::default());
        out.reply(Reply::EventRecorded(&EventRecorded { amount, win, item, outcome, reserved }));
    }

    fn end_window(&mut self, id: u64, out: &mut Out<'_, Auction>) {
        let win = self.wins.remove(&id).expect("it waits");
        if let Some((user, since)) = win.counted
            && !win.seen.contains(&EventKind::Impression)
        {
            *self.shown.get_mut(&(user, win.item, since)).expect("it was counted") -= 1;
        }
        if win.billed {
            return;
        }
        let campaign = self.items[&win.item].terms.campaign.0;
        for level in [Level::Item(win.item), Level::Campaign(campaign)] {
            *self.held.get_mut(&level).expect("it was held") -= win.price;
            *self.days.get_mut(&(level, win.day)).expect("it was held") -= win.price;
        }
        let (amount, item, reserved) = (Nanos(win.price), LineItemId(win.item), Reserved::default());
        let advertiser = self.campaigns[&campaign].0.advertiser.0;
        let released = WinReleased { amount, win: WinId(id), item, reserved };
        out.publish(topics::SPEND, advertiser, Event::WinReleased(&released));
    }

    fn invoice(&mut self, command: MakeInvoice, out: &mut Out<'_, Auction>) -> Result<(), Reject> {
        let advertiser = command.advertiser;
        if advertiser.0 == 0 || u64::from(advertiser.0) > self.limits.advertisers {
            return Err(Reject::UnknownAdvertiser);
        }
        let account = self.accounts.entry(advertiser.0).or_default();
        let (amount, events, _) = *account;
        if events == 0 {
            decline(WinId(0), advertiser.0, DeclineReason::NothingToInvoice, out);
            return Ok(());
        }
        *account = (0, 0, account.2 + 1);
        let number = account.2;
        out.reply(Reply::InvoiceMade(&InvoiceMade { amount: Nanos(amount), events, advertiser, number }));
        Ok(())
    }

    fn money(&self, level: Level) -> (Nanos, Nanos) {
        let of = |map: &BTreeMap<Level, u64>| Nanos(map.get(&level).copied().unwrap_or(0));
        (of(&self.spent), of(&self.held))
    }

    fn say_campaign(&self, id: u32, out: &mut Out<'_, Auction>) {
        let (spent, held) = self.money(Level::Campaign(id));
        let (campaign, phase, reserved) = (CampaignId(id), self.campaigns[&id].1.into(), Reserved::default());
        let changed = CampaignChanged { spent, held, campaign, phase, reserved };
        out.publish(topics::CAMPAIGNS, id, Event::CampaignChanged(&changed));
    }

    fn answer_campaign(&self, id: u32, out: &mut Out<'_, Auction>) {
        let (campaign, phase, reserved) = (CampaignId(id), self.campaigns[&id].1.into(), Reserved::default());
        out.reply(Reply::CampaignSet(&CampaignSet { campaign, phase, reserved }));
    }

    fn say_line_item(&self, id: u32, out: &mut Out<'_, Auction>) {
        let (item, (spent, held)) = (&self.items[&id], self.money(Level::Item(id)));
        let (bid, phase, reserved) = (item.bid.bid, item.phase.into(), Reserved::default());
        let changed = LineItemChanged { spent, held, bid, item: LineItemId(id), phase, reserved };
        out.publish(topics::CAMPAIGNS, item.terms.campaign.0, Event::LineItemChanged(&changed));
    }

    fn answer_line_item(&self, id: u32, out: &mut Out<'_, Auction>) {
        let (item, phase, reserved) = (LineItemId(id), self.items[&id].phase.into(), Reserved::default());
        out.reply(Reply::LineItemSet(&LineItemSet { item, phase, reserved }));
    }

    fn answer_placement(&self, id: u32, out: &mut Out<'_, Auction>) {
        let (floor, placement, reserved) = (self.placements[&id].2, PlacementId(id), Reserved::default());
        out.reply(Reply::PlacementSet(&PlacementSet { floor, placement, reserved }));
    }
}

fn decline(win: WinId, id: u32, reason: DeclineReason, out: &mut Out<'_, Auction>) {
    let reason = reason.into();
    out.reply(Reply::Declined(&Declined { win, id, reason, reserved: Reserved::default() }));
}
