//! Line items: what they bid for, their flights and targets, and where they stand.

use super::budgets::{Budget, Plan};
use super::campaigns::{Campaigns, can_go};
use super::caps::Cap;
use super::control::Control;
use super::index::{Index, Met, Standing};
use super::messages::{
    Attribute, AuctionLimits, BID_MAX, CampaignId, CreativeId, DefineLineItem, Dimension, EventKind, LineItemChanged,
    LineItemId, PRIORITY_MAX, Phase, PhaseCode, Ppm, PriceModel, Reject, SetBid, TARGETS_MAX, Target, TargetMode,
    WHOLE, WINDOW_MAX,
};
use super::wins::{Tally, Win};
use alloc::boxed::Box;
use alloc::vec::Vec;
use bytemuck::{Pod, Zeroable};
use ringfence_kernel::bounded::Timers;
use ringfence_kernel::messages::{Reserved, Wire};
use ringfence_kernel::{Corrupt, Sink, Source, Timestamp};

/// One line item. What an auction reads of one that it looks at stands first, side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(super) struct LineItem {
    /// What it bids and is ranked by now: `terms` has what it began with.
    pub(super) bid: SetBid,
    pub(super) budget: Budget,
    /// As its terms have it.
    pub(super) campaign: CampaignId,
    /// The first of its creatives, by number; zero when it has none.
    pub(super) first_creative: CreativeId,
    /// Where its targets begin among all.
    first_target: u32,
    targets: u32,
    pub(super) phase: PhaseCode,
    /// 1 when its flight has begun.
    started: u8,
    /// 1 when it includes private deals.
    pub(super) private: u8,
    /// 1 when it has labels of competitive exclusion.
    labelled: u8,
    /// Which rules its terms ask for that most do not.
    pub(super) rules: Rules,
    reserved: [u8; 3],
    /// What came of its wins.
    pub(super) tally: Tally,
    /// Its pacing by feedback.
    pub(super) control: Control,
    /// All zero where none is defined.
    pub(super) terms: DefineLineItem,
}

/// Which rules terms ask for, as bits: without them nothing of the terms need be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(transparent)]
pub(super) struct Rules(u8);

impl Rules {
    pub(super) const HOURS: Self = Self(1);
    /// A plan of the day, by feedback or not.
    pub(super) const PLAN: Self = Self(2);
    pub(super) const CAP: Self = Self(4);

    fn of(terms: &DefineLineItem) -> Self {
        let bit = |rule: Self, asked: bool| if asked { rule.0 } else { 0 };
        let (hours, cap) = (terms.hours != [0; 21], terms.cap > 0);
        Self(bit(Self::HOURS, hours) | bit(Self::PLAN, terms.is_planned()) | bit(Self::CAP, cap))
    }

    #[inline]
    pub(super) fn has(self, rule: Self) -> bool {
        self.0 & rule.0 != 0
    }
}

impl LineItem {
    /// What an event is worth in the ranking, in units of 10⁻⁶ of the bid: its rate times its quality, truncated.
    #[inline]
    pub(super) fn weight(&self) -> u64 {
        weight(self.bid.rate, self.bid.quality)
    }

    /// What it is ranked by: its priority above all, then bid times weight, which is below 2⁶⁰.
    fn score(&self) -> u64 {
        (u64::from(self.terms.priority) << 60) | (self.bid.bid.0 * self.weight())
    }

    /// What it is found with.
    fn standing(&self) -> Standing {
        let SetBid { bid, rate, .. } = self.bid;
        let worth = if self.private == 1 { u64::MAX } else { bid.0 * u64::from(rate.0) };
        Standing { score: self.score(), worth }
    }

    /// Whether it takes part in an hour of the week.
    #[inline]
    pub(super) fn takes_part_at(&self, hour: usize) -> bool {
        !self.rules.has(Rules::HOURS) || self.terms.hours[hour / 8] >> (hour % 8) & 1 == 1
    }

    /// What it may spend of a day's budget until `now` in its campaign's zone, and the least that a quarter of an hour has of it
    /// which has any.
    pub(super) fn planned(&self, now: Timestamp, zone_minutes: i16) -> (u64, u64) {
        let flight = (self.terms.starts, self.terms.ends);
        Plan { hours: &self.terms.plan, flight, zone_minutes }.allows(self.terms.daily, now)
    }

    /// Whether it is active and its flight has begun.
    pub(super) fn is_running(&self) -> bool {
        self.phase.get() == Phase::Active && self.started == 1
    }

    /// When something next happens to it by itself; none when it is over.
    fn deadline(&self) -> Option<Timestamp> {
        match (self.phase.get(), self.started) {
            (Phase::Ended, _) => None,
            (_, 0) => Some(self.terms.starts),
            _ => Some(self.terms.ends),
        }
    }

    pub(super) fn changed(&self) -> LineItemChanged {
        LineItemChanged {
            spent: self.budget.spent,
            held: self.budget.held,
            bid: self.bid.bid,
            item: self.terms.item,
            phase: self.phase,
            reserved: Reserved::default(),
        }
    }
}

fn weight(rate: Ppm, quality: Ppm) -> u64 {
    u64::from(rate.0) * u64::from(quality.0) / u64::from(WHOLE)
}

/// Whether a bid makes sense under a price model.
fn bid_is_sound(model: PriceModel, bid: &SetBid) -> bool {
    let rates = [bid.rate, bid.quality].iter().all(|Ppm(rate)| (1..=WHOLE).contains(rate));
    (1..=BID_MAX).contains(&bid.bid.0)
        && rates
        && weight(bid.rate, bid.quality) > 0
        && (model != PriceModel::Cpm || bid.rate.0 == WHOLE)
}

fn sound(terms: &DefineLineItem) -> bool {
    Budget::is_sound(terms.total, terms.daily)
        && bid_is_sound(terms.model.get(), &first_bid(terms))
        && terms.starts < terms.ends
        && (1..=WINDOW_MAX).contains(&terms.window)
        && Cap::is_sound(terms.cap, terms.cap_period.get())
        && (terms.daily.0 > 0 || !terms.is_planned())
        && (terms.is_planned() || !terms.is_controlled())
        && terms.priority <= PRIORITY_MAX
        && terms.click_through.max(terms.view_through) <= WINDOW_MAX
}

impl DefineLineItem {
    /// Whether it spends a day's budget by a plan.
    pub(super) fn is_planned(&self) -> bool {
        self.plan != [0; 24]
    }

    /// Whether conversions are a win's for a while only.
    pub(super) fn has_windows(&self) -> bool {
        (self.click_through, self.view_through) != (0, 0)
    }

    /// By which touch a conversion is a win's, clicks above views, and when that was; none when it is not.
    pub(super) fn attributes(&self, win: &Win, now: Timestamp) -> Option<(bool, Timestamp)> {
        if !self.has_windows() {
            return Some((false, win.at));
        }
        let within = |kind, at: Timestamp, through| win.saw(kind) && now < at.saturating_add(through);
        if within(EventKind::Click, win.clicked, self.click_through) {
            Some((true, win.clicked))
        } else if within(EventKind::Impression, win.shown, self.view_through) {
            Some((false, win.shown))
        } else {
            None
        }
    }

    /// Whether it follows its plan by feedback.
    pub(super) fn is_controlled(&self) -> bool {
        self.gains != [0; 3]
    }
}

/// Whether a dimension has such targets: what an advertisement is, is excluded only, and in no group; bidders are no
/// targets.
fn makes_sense(target: &Target) -> bool {
    match target.dimension.get() {
        Dimension::AdCategory | Dimension::AdDomain | Dimension::AdAttribute | Dimension::Label => {
            target.mode.get() == TargetMode::Exclude && target.group == 0
        }
        Dimension::Bidder => false,
        _ => true,
    }
}

/// 1 when private deals are included.
fn is_private(targets: &[Target]) -> u8 {
    let includes =
        |target: &Target| (target.dimension.get(), target.mode.get()) == (Dimension::Deal, TargetMode::Include);
    u8::from(targets.iter().any(includes))
}

/// 1 when there are labels of competitive exclusion.
fn is_labelled(targets: &[Target]) -> u8 {
    u8::from(targets.iter().any(|target| target.dimension.get() == Dimension::Label))
}

/// What targets are ordered by.
fn key(target: &Target) -> (u8, Dimension, u32) {
    (target.group, target.dimension.get(), target.value)
}

fn first_bid(terms: &DefineLineItem) -> SetBid {
    let DefineLineItem { bid, item, rate, quality, .. } = *terms;
    SetBid { bid, item, rate, quality, reserved: Reserved::default() }
}

fn targets_of<'t>(items: &[LineItem], targets: &'t [Target], place: u32) -> &'t [Target] {
    let item = &items[place as usize];
    let first = item.first_target as usize;
    &targets[first..first + item.targets as usize]
}

/// All line items by their numbers, and the index that finds them.
#[derive(Debug)]
pub(super) struct LineItems {
    items: Box<[LineItem]>,
    /// The targets of all, one after another.
    targets: Vec<Target>,
    targets_capacity: usize,
    /// Finds those that take part in auctions by their targets.
    pub(super) index: Index,
    /// When flights begin and end.
    flights: Timers,
    /// When controllers step.
    steps: Timers,
}

impl core::ops::Index<u32> for LineItems {
    type Output = LineItem;
    #[inline]
    fn index(&self, place: u32) -> &LineItem {
        &self.items[place as usize]
    }
}

impl core::ops::IndexMut<u32> for LineItems {
    #[inline]
    fn index_mut(&mut self, place: u32) -> &mut LineItem {
        &mut self.items[place as usize]
    }
}

impl LineItems {
    pub(super) fn new(limits: &AuctionLimits) -> Self {
        Self {
            items: bytemuck::allocation::zeroed_slice_box(limits.line_items as usize),
            targets: Vec::with_capacity(limits.targets as usize),
            targets_capacity: limits.targets as usize,
            index: Index::new(limits.line_items as usize, limits.values as usize),
            flights: Timers::new(limits.line_items as usize),
            steps: Timers::new(limits.line_items as usize),
        }
    }

    /// The place of a line item that is defined.
    #[inline]
    pub(super) fn place(&self, id: LineItemId) -> Result<u32, Reject> {
        let place = id.0.wrapping_sub(1);
        let known = self.items.get(place as usize).is_some_and(|item| item.terms.total.0 != 0);
        if known { Ok(place) } else { Err(Reject::UnknownLineItem) }
    }

    /// Prepares a line item; gives its place and whether it is new.
    pub(super) fn define(
        &mut self,
        now: Timestamp,
        terms: &DefineLineItem,
        targets: &[Target],
        campaigns: &Campaigns,
    ) -> Result<(u32, bool), Reject> {
        let place = terms.item.0.wrapping_sub(1);
        let known = self.items.get(place as usize).ok_or(Reject::LineItemsFull)?;
        if known.terms.total.0 != 0 {
            let same = known.terms == *terms && self.targets(place) == targets;
            return if same { Ok((place, false)) } else { Err(Reject::LineItemExists) };
        }
        campaigns.place(terms.campaign)?;
        if !sound(terms) || terms.ends <= now {
            return Err(Reject::BadTerms);
        }
        let keys = targets.iter().map(key);
        if targets.len() > TARGETS_MAX || !keys.is_sorted_by(|a, b| a < b) || !targets.iter().all(makes_sense) {
            return Err(Reject::BadTargets);
        }
        if self.targets.len() + targets.len() > self.targets_capacity {
            return Err(Reject::TargetsFull);
        }
        self.index.know(targets).map_err(|_| Reject::ValuesFull)?;
        self.items[place as usize] = LineItem {
            bid: first_bid(terms),
            budget: Budget::new(terms.total, terms.daily),
            campaign: terms.campaign,
            first_creative: CreativeId(0),
            first_target: self.targets.len() as u32,
            targets: targets.len() as u32,
            phase: Phase::Draft.into(),
            started: u8::from(terms.starts <= now),
            private: is_private(targets),
            labelled: is_labelled(targets),
            rules: Rules::of(terms),
            reserved: [0; 3],
            tally: Tally::zeroed(),
            control: if terms.is_controlled() { Control::new(place, now) } else { Control::zeroed() },
            terms: *terms,
        };
        self.targets.extend_from_slice(targets);
        self.settle(place, campaigns);
        Ok((place, true))
    }

    pub(super) fn targets(&self, place: u32) -> &[Target] {
        targets_of(&self.items, &self.targets, place)
    }

    /// Finds the line items whose targets `attributes` meet; gives how many there are.
    pub(super) fn meet(&self, attributes: &[Attribute], met: &mut Met) -> u32 {
        let count = self.index.meet(attributes, met);
        let has = |target: &Target| {
            let key = (target.dimension.get(), target.value);
            attributes.binary_search_by_key(&key, |has| (has.dimension.get(), has.value)).is_ok()
        };
        let holds = |target: &Target| has(target) == (target.mode.get() == TargetMode::Include);
        // Of each group one target holds.
        let is_met = |place: u32| {
            let groups = self.targets(place).chunk_by(|a, b| a.group == b.group);
            groups.filter(|group| group[0].group > 0).all(|group| group.iter().any(holds))
        };
        count - self.index.sift(met, is_met)
    }

    /// Whether two line items have a label in common.
    pub(super) fn share_label(&self, a: u32, b: u32) -> bool {
        let labels = |place: u32| {
            let labels = if self[place].labelled == 1 { self.targets(place) } else { &[] };
            labels.iter().filter(|target| target.dimension.get() == Dimension::Label).map(|target| target.value)
        };
        labels(a).any(|label| labels(b).any(|other| other == label))
    }

    /// Changes a bid.
    pub(super) fn set_bid(&mut self, bid: &SetBid, campaigns: &Campaigns) -> Result<u32, Reject> {
        let place = self.place(bid.item)?;
        let item = &mut self.items[place as usize];
        if !bid_is_sound(item.terms.model.get(), bid) {
            return Err(Reject::BadTerms);
        }
        item.bid = *bid;
        self.settle(place, campaigns);
        Ok(place)
    }

    /// Puts a line item into a phase; whether it can go there.
    pub(super) fn set_phase(&mut self, place: u32, phase: Phase, campaigns: &Campaigns) -> bool {
        let item = &mut self.items[place as usize];
        if !can_go(item.phase.get(), phase) {
            return false;
        }
        item.phase = phase.into();
        self.settle(place, campaigns);
        true
    }

    /// A campaign is in another phase: so are its line items in or out of auctions.
    pub(super) fn campaign_changed(&mut self, campaign: u32, campaigns: &Campaigns) {
        for place in 0..self.items.len() as u32 {
            if self.items[place as usize].terms.campaign.0 == campaign + 1 {
                self.settle(place, campaigns);
            }
        }
    }

    /// The flight that next begins or ends, and whose.
    #[inline]
    pub(super) fn next_flight(&self) -> Option<(Timestamp, u32)> {
        self.flights.first()
    }

    /// The controller that next steps.
    #[inline]
    pub(super) fn next_step(&self) -> Option<(Timestamp, u32)> {
        self.steps.first()
    }

    /// Puts a controller where it is due; that of a line item that is over is so no more.
    pub(super) fn set_step(&mut self, place: u32) {
        let item = &self.items[place as usize];
        if item.terms.is_controlled() && item.phase.get() != Phase::Ended {
            self.steps.set(place, item.control.due, place.into());
        } else {
            self.steps.clear(place);
        }
    }

    /// Begins the flight of a line item, or ends it.
    pub(super) fn fly(&mut self, place: u32, campaigns: &Campaigns) {
        let item = &mut self.items[place as usize];
        if item.started == 0 {
            item.started = 1;
        } else {
            item.phase = Phase::Ended.into();
        }
        self.settle(place, campaigns);
    }

    /// Puts it where its phase, its flight and its campaign have it.
    fn settle(&mut self, place: u32, campaigns: &Campaigns) {
        self.set_step(place);
        let item = &self.items[place as usize];
        match item.deadline() {
            Some(deadline) => self.flights.set(place, deadline, place.into()),
            None => self.flights.clear(place),
        }
        let runs = item.is_running() && campaigns[item.terms.campaign.0 - 1].is_active();
        let standing = runs.then(|| item.standing());
        let Self { items, targets, index, .. } = self;
        index.put(place, standing, |place| targets_of(items, targets, place));
    }

    /// The line item at a place, when one is defined.
    pub(super) fn get(&self, place: u32) -> Option<&LineItem> {
        self.items.get(place as usize).filter(|item| item.terms.total.0 != 0)
    }

    /// Line items that are defined, by number.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &LineItem)> {
        (0..).zip(&self.items).filter(|(_, item)| item.terms.total.0 != 0)
    }

    pub(super) fn save(&self, sink: &mut impl Sink) {
        sink.value(&(self.iter().count() as u64));
        // Creatives say whose they are: their lists are made again.
        self.iter().for_each(|(_, item)| sink.value(&LineItem { first_creative: CreativeId(0), ..*item }));
        sink.value(&(self.targets.len() as u64));
        sink.values(&self.targets);
    }

    /// What [`LineItems::save`] wrote; sums of wins are checked by [`super::Auction::check`].
    pub(super) fn load(
        limits: &AuctionLimits,
        campaigns: &Campaigns,
        source: &mut impl Source,
    ) -> Result<Self, Corrupt> {
        let mut all = Self::new(limits);
        let mut last = 0;
        for _ in 0..source.count(limits.line_items as usize, "line items")? {
            let item: LineItem = source.value()?;
            let id = item.terms.item.0;
            if id <= last || u64::from(id) > limits.line_items {
                return Err(Corrupt("the order of line items"));
            }
            last = id;
            if !valid(&item) || campaigns.place(item.terms.campaign).is_err() {
                return Err(Corrupt("a line item"));
            }
            all.items[id as usize - 1] = item;
        }
        for _ in 0..source.count(all.targets_capacity, "targets")? {
            all.targets.push(source.value()?);
        }
        all.check_targets()?;
        for target in &all.targets {
            all.index.know(&[*target]).map_err(|_| Corrupt("values that are targeted"))?;
        }
        let places: Vec<u32> = all.iter().map(|(place, _)| place).collect();
        for place in places {
            all.settle(place, campaigns);
        }
        Ok(all)
    }

    /// Targets stand one after another, each of one line item, in order.
    fn check_targets(&self) -> Result<(), Corrupt> {
        let mut items: Vec<&LineItem> = self.iter().map(|(_, item)| item).collect();
        items.sort_unstable_by_key(|item| (item.first_target, item.targets));
        let mut end = 0_u64;
        for item in items {
            if u64::from(item.first_target) != end || item.targets as usize > TARGETS_MAX {
                return Err(Corrupt("where targets begin"));
            }
            end += u64::from(item.targets);
        }
        let valid = |target: &Target| {
            target.dimension.is_valid() && target.mode.is_valid() && target.reserved.is_valid() && makes_sense(target)
        };
        if end != self.targets.len() as u64 || !self.targets.iter().all(valid) {
            return Err(Corrupt("targets of no line item"));
        }
        let ordered = |place: u32| {
            let (item, targets) = (&self[place], self.targets(place));
            let flags = (item.private, item.labelled) == (is_private(targets), is_labelled(targets));
            targets.iter().map(key).is_sorted_by(|a, b| a < b) && flags
        };
        if self.iter().all(|(place, _)| ordered(place)) { Ok(()) } else { Err(Corrupt("the order of targets")) }
    }
}

fn valid(item: &LineItem) -> bool {
    let terms = &item.terms;
    terms.cap_period.is_valid()
        && terms.model.is_valid()
        && terms.reserved.is_valid()
        && item.phase.is_valid()
        && item.started <= 1
        && item.first_creative == CreativeId(0)
        && (item.campaign, item.rules, item.reserved) == (terms.campaign, Rules::of(terms), [0; 3])
        && sound(terms)
        && item.bid.item == terms.item
        && item.bid.reserved.is_valid()
        && bid_is_sound(terms.model.get(), &item.bid)
        && (item.budget.total, item.budget.daily) == (terms.total, terms.daily)
        && item.budget.is_kept()
        && item.control.is_sound(terms.is_controlled())
}
