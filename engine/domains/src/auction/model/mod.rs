//! The slow twin: maps and lists, every line item looked at in every auction, prices by what the others lose. Written
//! from `README.md`; it shares messages with the domain, and the draw that breaks ties, and nothing else.

mod billing;
mod holding;
mod showing;
mod terms;
mod traffic;

use super::messages::{
    Attribute, AuctionLimits, AuctionRule, BID_MAX, CampaignChanged, CampaignId, CampaignSet, CapPeriod, Command,
    DeclineReason, Declined, DefineAdvertiser, DefineBuckets, DefineCampaign, DefineCreative, DefineLineItem,
    DefineName, DefinePlacement, Dimension, Event, EventKind, LineItemChanged, LineItemId, LineItemSet, Nanos, Phase,
    PlacementId, PlacementSet, Ppm, PriceModel, PriceRange, Reject, Reply, SLOTS_MAX, SetBid, SetCampaign, SetFloor,
    SetLineItem, SetTraffic, Slot, TARGETS_MAX, Target, TargetMode, WHOLE, WINDOW_MAX, WinId, ZONE_MINUTES_MAX,
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
    /// When its controller steps next, the part of auctions that it lets it have, and its errors, the last first.
    due: u64,
    part: i128,
    errors: [i128; 2],
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
        let (mut included, mut groups) = (BTreeMap::new(), BTreeMap::new());
        for target in &self.targets {
            let includes = target.mode.get() == TargetMode::Include;
            match (target.group, includes) {
                (0, false) if asked(target) => return false,
                (0, false) => {}
                (0, true) => *included.entry(target.dimension.get()).or_insert(false) |= asked(target),
                (group, includes) => *groups.entry(group).or_insert(false) |= asked(target) == includes,
            }
        }
        groups.values().chain(included.values()).all(|met| *met)
    }

    /// The labels of its competitive exclusion.
    fn labels(&self) -> BTreeSet<u32> {
        let labels = self.targets.iter().filter(|target| target.dimension.get() == Dimension::Label);
        labels.map(|target| target.value).collect()
    }
}

#[derive(Clone, Debug)]
struct Win {
    item: u32,
    placement: u32,
    price: u64,
    at: Timestamp,
    over: Timestamp,
    /// What counted it.
    counted: Vec<Counter>,
    user: u64,
    /// The events that came, and when.
    seen: BTreeMap<EventKind, Timestamp>,
    billed: bool,
    /// Its window is over.
    closed: bool,
}

/// Whose budget, or whose cap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Advertiser(u32),
    Campaign(u32),
    Item(u32),
    Creative(u32),
}

/// A user, what it was shown, and the beginning of the period that counts.
type Counter = (u64, Level, u64);

/// What a report counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entry {
    Auction,
    Win,
    Event(EventKind),
    Voided,
    Invalid,
    /// An amount and the publisher's part of it.
    Billed(u64, u64),
    Credited(u64, u64),
}

/// The twin of [`Auction`].
#[derive(Debug)]
pub struct Model {
    limits: AuctionLimits,
    advertisers: BTreeMap<u32, DefineAdvertiser>,
    creatives: BTreeMap<u32, (DefineCreative, Phase)>,
    campaigns: BTreeMap<u32, (DefineCampaign, Phase)>,
    items: BTreeMap<u32, Item>,
    placements: BTreeMap<u32, (DefinePlacement, Vec<Slot>, Nanos)>,
    /// Wins that wait.
    wins: BTreeMap<u64, Win>,
    spent: BTreeMap<Level, u64>,
    held: BTreeMap<Level, u64>,
    /// What is held or spent of a day.
    days: BTreeMap<(Level, i64), u64>,
    /// How often a user was shown something.
    shown: BTreeMap<Counter, u32>,
    /// What is not invoiced yet, in how many events, and how many invoices there were.
    accounts: BTreeMap<u32, (u64, u64, u32)>,
    /// The same of credits and credit notes, and what was credited in all.
    credits: BTreeMap<u32, (u64, u64, u32)>,
    credited: BTreeMap<u32, u128>,
    /// Everything that a report counts, with its line item (0 when it has none) and its placement.
    log: Vec<(u32, u32, Entry)>,
    /// The hour of the command at hand; the same with the hour of each; and the hours of line items and placements that are
    /// remembered, as they began, and the last that is not.
    hour: u32,
    hourly: Vec<((u32, u32, u32), Entry)>,
    hours: Vec<(u32, u32, u32)>,
    forgotten: Option<u32>,
    rates: BTreeMap<u16, u64>,
    buckets: BTreeMap<u8, (DefineBuckets, Vec<PriceRange>)>,
    names: Vec<DefineName>,
    traffic: SetTraffic,
    sources: BTreeSet<u32>,
    /// Events of a minute, of users and of sources.
    events: BTreeMap<(u64, bool, u64), u32>,
}

impl ringfence_kernel::laws::Model for Model {
    type Domain = Auction;

    fn new(limits: &AuctionLimits) -> Self {
        Self {
            limits: *limits,
            advertisers: BTreeMap::new(),
            creatives: BTreeMap::new(),
            campaigns: BTreeMap::new(),
            items: BTreeMap::new(),
            placements: BTreeMap::new(),
            wins: BTreeMap::new(),
            spent: BTreeMap::new(),
            held: BTreeMap::new(),
            days: BTreeMap::new(),
            shown: BTreeMap::new(),
            accounts: BTreeMap::new(),
            credits: BTreeMap::new(),
            credited: BTreeMap::new(),
            log: Vec::new(),
            hour: 0,
            hourly: Vec::new(),
            hours: Vec::new(),
            forgotten: None,
            rates: BTreeMap::new(),
            buckets: BTreeMap::new(),
            names: Vec::new(),
            traffic: SetTraffic { click_after: 0, clawback: 0, user_most: 0, source_most: 0 },
            sources: BTreeSet::new(),
            events: BTreeMap::new(),
        }
    }

    fn apply(&mut self, context: Context, command: Command<'_>, out: &mut Out<'_, Auction>) -> Result<(), Reject> {
        self.hour = (context.now.0 / HOUR) as u32;
        match command {
            Command::ReportHour(command) => self.report_hour(*command, out),
            Command::DefineAdvertiser(terms) => self.define_advertiser(terms, out),
            Command::DefineCreative(terms) => self.define_creative(terms, out),
            Command::SetCreative(command) => self.set_creative(*command, out),
            Command::DefineCampaign(terms) => self.define_campaign(terms, out),
            Command::DefineLineItem(terms, targets) => self.define_line_item(context.now, terms, targets, out),
            Command::DefinePlacement(terms, slots) => self.define_placement(terms, slots, out),
            Command::SetCampaign(command) => self.set_campaign(*command, out),
            Command::SetLineItem(command) => self.set_line_item(*command, out),
            Command::SetBid(bid) => self.set_bid(bid, out),
            Command::SetFloor(command) => self.set_floor(*command, out),
            Command::HoldAuction(command, attributes) => self.hold(context, command, attributes, out),
            Command::RecordEvent(command) => {
                self.record(context.now, *command, out);
                Ok(())
            }
            Command::RecordConversion(command) => {
                self.convert(context.now, *command, out);
                Ok(())
            }
            Command::SetTraffic(command) => {
                self.traffic = *command;
                self.answer_traffic(out);
                Ok(())
            }
            Command::ListSource(command) => self.list_source(*command, out),
            Command::MakeInvoice(command) => self.invoice(*command, out),
            Command::VoidWin(command) => self.void(command.win, out),
            Command::ReleaseWin(command) => match self.wins.get(&command.win.0) {
                Some(win) if win.billed => {
                    decline(command.win, 0, DeclineReason::AlreadyBilled, out);
                    Ok(())
                }
                _ => self.void(command.win, out),
            },
            Command::MakeCreditNote(command) => self.credit_note(command.advertiser, out),
            Command::ReportLineItem(command) => self.report_line_item(command.item, out),
            Command::ReportPlacement(command) => self.report_placement(command.placement, out),
            Command::SetRate(command) => self.set_rate(command, out),
            Command::DefineBuckets(command, ranges) => self.define_buckets(command, ranges, out),
            Command::DefineName(command) => self.define_name(command, out),
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
            let Some((_, id)) = due.filter(|(due, _)| *due <= now).min() else { break };
            let item = self.items.get_mut(&id).expect("it is due");
            if item.started {
                item.phase = Phase::Ended;
            }
            item.started = true;
            self.say_line_item(id, out);
        }
        // Each looks at what is its own, so that their order does not matter.
        for id in self.items.keys().copied().collect::<Vec<_>>() {
            self.step(id, now);
        }
    }

    fn on_session(&mut self, _: Context, _: SessionChange, _: &mut Out<'_, Auction>) {}
}

fn budget_makes_sense(total: Nanos, daily: Nanos) -> bool {
    total.0 > 0 && total.0 < 1 << 63 && daily.0 <= total.0
}

fn cap_makes_sense(most: u32, period: CapPeriod) -> bool {
    if period == CapPeriod::None { most == 0 } else { most != 0 }
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
                    || !cap_makes_sense(terms.cap, terms.cap_period.get())
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
        let makes_sense = budget_makes_sense(terms.total, terms.daily)
            && bid_makes_sense(terms.model.get(), terms.bid, terms.rate, terms.quality)
            && terms.starts < terms.ends
            && terms.ends > now
            && terms.window > 0
            && terms.window <= WINDOW_MAX
            && cap_makes_sense(terms.cap, terms.cap_period.get())
            && terms.priority < 16
            && terms.click_through <= WINDOW_MAX
            && terms.view_through <= WINDOW_MAX
            && (terms.daily.0 > 0 || terms.plan.iter().all(|weight| *weight == 0))
            && (terms.plan != [0; 24] || terms.gains == [0; 3]);
        if !makes_sense {
            return Err(Reject::BadTerms);
        }
        let key = |target: &Target| (target.group, target.dimension.get(), target.value);
        let makes_sense = |target: &Target| match target.dimension.get() {
            Dimension::AdCategory | Dimension::AdDomain | Dimension::AdAttribute | Dimension::Label => {
                target.mode.get() == TargetMode::Exclude && target.group == 0
            }
            other => other != Dimension::Bidder,
        };
        let ascending = is_ascending(&targets.iter().map(key).collect::<Vec<_>>());
        if targets.len() > TARGETS_MAX || !ascending || !targets.iter().all(makes_sense) {
            return Err(Reject::BadTargets);
        }
        let held: usize = self.items.values().map(|item| item.targets.len()).sum();
        if (held + targets.len()) as u64 > self.limits.targets {
            return Err(Reject::TargetsFull);
        }
        let all = self.items.values().flat_map(|item| &item.targets).chain(targets);
        let plain = all.filter(|target| target.group == 0).map(key);
        if plain.collect::<BTreeSet<_>>().len() as u64 > self.limits.values {
            return Err(Reject::ValuesFull);
        }
        let DefineLineItem { bid, item, rate, quality, .. } = *terms;
        let bid = SetBid { bid, item, rate, quality, reserved: Reserved::default() };
        let started = terms.starts <= now;
        let (terms, targets, phase) = (*terms, targets.to_vec(), Phase::Draft);
        let (due, part, errors) = (self.next_step(id, now.0), 10_000, [0; 2]);
        self.items.insert(id, Item { terms, targets, bid, phase, started, due, part, errors });
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
                if terms.buckets != 0 && !self.buckets.contains_key(&terms.buckets) {
                    return Err(Reject::UnknownBuckets);
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
