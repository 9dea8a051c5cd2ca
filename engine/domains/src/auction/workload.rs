//! Seeded commands for benches, laws, fuzzing and simulation.
//!
//! All kinds but one are a [`Flow`]: campaigns, line items and placements are prepared and started; then auctions are
//! held, events come, some again, too late or for nothing, and now and then a bid, a floor or a phase changes.

use super::messages::{
    AdvertiserId, Attribute, AuctionRule, CampaignId, CapPeriod, Command, CurrencyId, DefineBuckets, DefineCampaign,
    DefineLineItem, DefineName, DefinePlacement, Dimension, EventKind, HoldAuction, LineItemId, MakeCreditNote,
    MakeInvoice, NAME_BYTES, Nanos, Phase, PlacementId, Ppm, PriceModel, PriceRange, PublisherId, RecordEvent,
    ReportLineItem, ReportPlacement, Rounding, SLOTS_MAX, SetBid, SetCampaign, SetFloor, SetLineItem, SetRate, Slot,
    Target, TargetMode, UserKey, VoidWin, WHOLE, WinId,
};
use alloc::boxed::Box;
use alloc::vec::Vec;
use ringfence_kernel::image::COMMAND_HEADER_BYTES;
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::random::Random;
use ringfence_kernel::workload::{CommandImage, Workload, WorkloadKind};
use ringfence_kernel::{ClientId, Timestamp};

/// The kinds of commands. Client 1 runs the campaigns.
pub const KINDS: &[WorkloadKind] = &[
    WorkloadKind {
        name: "open",
        doc: "auctions of one slot at second price over 1,000 line items, a tenth of which match, and an event for each",
        new: |seed, clients| Box::new(Flow::new(seed, clients, OPEN)),
    },
    WorkloadKind {
        name: "large",
        doc: "as open, over 100,000 line items, 1,000 of which match; preparing them takes 201,001 commands",
        new: |seed, clients| Box::new(Flow::new(seed, clients, LARGE)),
    },
    WorkloadKind {
        name: "mixed",
        doc: "every rule, several slots, budgets and caps that run out, ties; times assume a command each microsecond",
        new: |seed, clients| Box::new(Flow::new(seed, clients, MIXED)),
    },
    WorkloadKind {
        name: "hostile",
        doc: "random values in all fields, edges of every range, malformed and cut bodies",
        new: |seed, clients| Box::new(Hostile::new(seed, clients)),
    },
];

/// What a [`Flow`] is like.
#[derive(Clone, Copy, Debug)]
pub struct Mix {
    /// Advertisers and publishers.
    pub parties: u32,
    /// Campaigns.
    pub campaigns: u32,
    /// Line items.
    pub items: u32,
    /// Placements.
    pub placements: u32,
    /// Users.
    pub users: u64,
    /// Values of each of two dimensions that every line item includes one of.
    pub values: u32,
    /// Whether budgets, bids, flights, caps, rules and phases are of all kinds, and change.
    pub varied: bool,
    /// Nanoseconds between commands.
    pub tick: u64,
    /// Entries of the log before the first command: opened sessions.
    pub before: u64,
}

/// One rule, large budgets.
pub const OPEN: Mix = Mix {
    parties: 100,
    campaigns: 100,
    items: 1_000,
    placements: 1,
    users: 1_000_000,
    values: 3,
    varied: false,
    tick: 1_000,
    before: 0,
};
/// As [`OPEN`], with as many line items as a large server has.
pub const LARGE: Mix = Mix { campaigns: 1_000, items: 100_000, values: 10, ..OPEN };
/// Everything at once, in little room.
pub const MIXED: Mix = Mix {
    parties: 6,
    campaigns: 10,
    items: 40,
    placements: 12,
    users: 8,
    values: 2,
    varied: true,
    tick: 1_000,
    before: 0,
};

/// The first second of the times that workloads assume.
const START_NS: u64 = 1_000_000_000;
/// Wins that events are for: of the auctions held last.
const RECENT: usize = 16;
/// Currencies and price buckets that a varied mix has.
const KINDS_OF_TERMS: u8 = 2;
/// A flight without an end.
const NEVER: Timestamp = Timestamp(u64::MAX);

/// Terms of a campaign that nothing makes special.
#[must_use]
pub fn campaign(campaign: u32, advertiser: u32, total: u64) -> DefineCampaign {
    DefineCampaign {
        total: Nanos(total),
        daily: Nanos(0),
        campaign: CampaignId(campaign),
        advertiser: AdvertiserId(advertiser),
        zone_minutes: 0,
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
        reserved_end: Reserved::default(),
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
    Target { value, dimension: dimension.into(), mode: mode.into(), reserved: Reserved::default() }
}

/// An attribute of a request.
#[must_use]
pub fn attribute(dimension: Dimension, value: u32) -> Attribute {
    Attribute { amount: Nanos(0), value, dimension: dimension.into(), reserved: Reserved::default() }
}

/// A private deal of a request with its floor, or a bid made elsewhere.
#[must_use]
pub fn amount(dimension: Dimension, value: u32, amount: u64) -> Attribute {
    Attribute { amount: Nanos(amount), ..attribute(dimension, value) }
}

/// A name.
///
/// # Panics
/// When it is longer than a name may be.
#[must_use]
pub fn name(dimension: Dimension, name: &str) -> DefineName {
    let mut text = [0; NAME_BYTES];
    text[..name.len()].copy_from_slice(name.as_bytes());
    DefineName { text, dimension: dimension.into(), length: name.len() as u8, reserved: Reserved::default() }
}

/// An auction that nothing makes special.
#[must_use]
pub fn auction(placement: u32) -> HoldAuction {
    HoldAuction {
        user: UserKey(0),
        floor: Nanos(0),
        placement: PlacementId(placement),
        currency: CurrencyId(0),
        reserved: Reserved::default(),
    }
}

/// A slot.
#[must_use]
pub fn slot(factor: u32) -> Slot {
    Slot { factor: Ppm(factor), reserved: Reserved::default() }
}

fn pick<T: Copy>(random: &mut Random, of: &[T]) -> T {
    of[random.below(of.len() as u64) as usize]
}

/// Those who run campaigns, and those who show advertisements.
pub struct Flow {
    mix: Mix,
    random: Random,
    clients: u32,
    commands: u64,
    /// Places in the log of the auctions held last.
    recent: [u64; RECENT],
    auctions: usize,
    targets: Vec<Target>,
    attributes: Vec<Attribute>,
}

impl Flow {
    /// The commands of `seed` with that `mix`.
    #[must_use]
    pub fn new(seed: u64, clients: u32, mix: Mix) -> Self {
        Self {
            mix,
            random: Random::new(seed),
            clients: clients.max(1),
            commands: 0,
            recent: [0; RECENT],
            auctions: 0,
            targets: Vec::new(),
            attributes: Vec::new(),
        }
    }

    /// Commands that prepare: a campaign or a line item and its start, a placement.
    #[must_use]
    pub fn preparations(mix: &Mix) -> u64 {
        let terms = if mix.varied { 2 * u64::from(KINDS_OF_TERMS) } else { 0 };
        terms + u64::from(mix.campaigns) * 2 + u64::from(mix.items) * 2 + u64::from(mix.placements)
    }

    fn now(&self) -> u64 {
        START_NS + (self.mix.before + self.commands) * self.mix.tick
    }

    fn define_campaign(&mut self, id: u32, image: &mut CommandImage) {
        let advertiser = 1 + (id - 1) % self.mix.parties;
        let mut terms = campaign(id, advertiser, 1_000_000_000_000_000);
        if self.mix.varied {
            let random = &mut self.random;
            terms.total = Nanos(200 + random.below(3_000));
            terms.daily = Nanos(if random.percent(50) { 20 + random.below(180) } else { 0 });
            terms.zone_minutes = pick(random, &[0, 60, -300, 840, -840]);
        }
        image.set(ClientId(1), Command::DefineCampaign(&terms));
    }

    fn define_line_item(&mut self, id: u32, image: &mut CommandImage) {
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
        if varied {
            terms.priority = if random.percent(12) { 1 + random.below(2) as u8 } else { 0 };
            terms.total = Nanos(30 + random.below(600));
            terms.daily = Nanos(if random.percent(30) { 15 + random.below(15) } else { 0 });
            if terms.daily.0 > 0 && random.percent(60) {
                let even = random.percent(50);
                terms.plan = core::array::from_fn(|_| if even { 1 } else { random.below(4) as u8 });
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
            let periods =
                [CapPeriod::None, CapPeriod::None, CapPeriod::Hour, CapPeriod::Day, CapPeriod::Week, CapPeriod::Life];
            let period = pick(random, &periods);
            terms.cap_period = period.into();
            terms.cap = if period == CapPeriod::None { 0 } else { 1 + random.below(4) as u32 };
        }
        image.set(ClientId(1), Command::DefineLineItem(&terms, &self.targets));
    }

    fn define_placement(&mut self, id: u32, image: &mut CommandImage) {
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

    fn prepare(&mut self, at: u64, image: &mut CommandImage) {
        let Mix { campaigns, items, varied, .. } = self.mix;
        let (campaigns, items) = (u64::from(campaigns), u64::from(items));
        let terms = if varied { 2 * u64::from(KINDS_OF_TERMS) } else { 0 };
        if at < terms {
            return match at % 2 {
                0 => self.define_buckets(1 + (at / 2) as u8, image),
                _ => self.set_rate(1 + (at / 2) as u16, image),
            };
        }
        let at = at - terms;
        let (phase, reserved) = (Phase::Active.into(), Reserved::default());
        let id = |first: u64| 1 + ((at - first) / 2) as u32;
        match at {
            _ if at < 2 * campaigns => match at % 2 {
                0 => self.define_campaign(id(0), image),
                _ => {
                    let campaign = CampaignId(id(0));
                    image.set(ClientId(1), Command::SetCampaign(&SetCampaign { campaign, phase, reserved }));
                }
            },
            _ if at < 2 * (campaigns + items) => match at % 2 {
                0 => self.define_line_item(id(2 * campaigns), image),
                _ => {
                    let item = LineItemId(id(2 * campaigns));
                    image.set(ClientId(1), Command::SetLineItem(&SetLineItem { item, phase, reserved }));
                }
            },
            _ => self.define_placement(1 + (at - 2 * (campaigns + items)) as u32, image),
        }
    }

    fn define_buckets(&mut self, buckets: u8, image: &mut CommandImage) {
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

    fn set_rate(&mut self, currency: u16, image: &mut CommandImage) {
        let rate = 100_000_000 + self.random.below(3_000_000_000);
        let command = SetRate { rate, currency: CurrencyId(currency), reserved: Reserved::default() };
        image.set(ClientId(1), Command::SetRate(&command));
    }

    /// What a request may have beside values that are targeted: deals, labels that it blocks, bids made elsewhere.
    fn more_attributes(&mut self) {
        let random = &mut self.random;
        for deal in 0..3 {
            if random.percent(25) {
                let floor = if random.percent(50) { 1 + random.below(9) } else { 0 };
                self.attributes.push(amount(Dimension::Deal, deal, floor));
            }
        }
        if random.percent(20) {
            self.attributes.push(attribute(Dimension::AdCategory, random.below(2) as u32));
        }
        for bidder in 0..3 {
            if random.percent(20) {
                self.attributes.push(amount(Dimension::Bidder, bidder, random.below(16)));
            }
        }
    }

    fn hold(&mut self, image: &mut CommandImage) {
        let Mix { values, users, placements, varied, before, .. } = self.mix;
        let random = &mut self.random;
        self.attributes.clear();
        for dimension in [Dimension::Geography, Dimension::Device] {
            self.attributes.push(attribute(dimension, random.below(values.into()) as u32));
        }
        let first = random.below(8) as u32;
        self.attributes.push(attribute(Dimension::Category, first));
        if random.percent(30) {
            self.attributes.push(attribute(Dimension::Category, first + 1 + random.below(4) as u32));
        }
        if varied {
            self.more_attributes();
        }
        let random = &mut self.random;
        let unknown = varied && random.percent(5);
        let foreign = varied && random.percent(20);
        let command = HoldAuction {
            user: UserKey(if unknown { 0 } else { 1 + random.below(users) }),
            floor: Nanos(if varied && random.percent(20) { random.below(9) } else { 0 }),
            placement: PlacementId(1 + random.below(placements.into()) as u32),
            currency: CurrencyId(if foreign { 1 + random.below(2) as u16 } else { 0 }),
            reserved: Reserved::default(),
        };
        self.recent[self.auctions % RECENT] = before + self.commands;
        self.auctions += 1;
        let client = ClientId(1 + random.below(self.clients.into()) as u32);
        image.set(client, Command::HoldAuction(&command, &self.attributes));
    }

    fn record(&mut self, image: &mut CommandImage) {
        let random = &mut self.random;
        let auction = if self.mix.varied {
            self.recent[random.below(self.auctions.min(RECENT) as u64) as usize]
        } else {
            self.recent[(self.auctions - 1) % RECENT]
        };
        let elsewhere = self.mix.varied && random.percent(30);
        let slot = if elsewhere { random.below(SLOTS_MAX as u64) } else { 0 };
        let kinds = [EventKind::Impression, EventKind::Impression, EventKind::Click, EventKind::Conversion];
        let kind = if self.mix.varied { pick(random, &kinds) } else { EventKind::Impression };
        let (win, reserved) = (WinId(auction * SLOTS_MAX as u64 + slot), Reserved::default());
        let client = ClientId(1 + random.below(self.clients.into()) as u32);
        image.set(client, Command::RecordEvent(&RecordEvent { win, kind: kind.into(), reserved }));
    }

    /// A change: a bid, a floor, a phase, an invoice, or something else that is prepared.
    fn change(&mut self, image: &mut CommandImage) {
        let Mix { campaigns, items, placements, parties, .. } = self.mix;
        let random = &mut self.random;
        let reserved = Reserved::default();
        let item = LineItemId(1 + random.below(u64::from(items) + 1) as u32);
        let phases = [Phase::Active, Phase::Active, Phase::Active, Phase::Paused, Phase::Paused, Phase::Ended];
        match random.below(36) {
            0..8 => {
                let (bid, quality) = (Nanos(2 + random.below(12)), Ppm(pick(random, &[1_000_000, 700_000])));
                let rate = Ppm(pick(random, &[1_000_000, 1_000_000, 500_000]));
                let bid = SetBid { bid, item, rate, quality, reserved: Reserved::default() };
                image.set(ClientId(1), Command::SetBid(&bid));
            }
            8..11 => {
                let placement = PlacementId(1 + random.below(u64::from(placements) + 1) as u32);
                let (floor, reserved) = (Nanos(random.below(6)), Reserved::default());
                image.set(ClientId(1), Command::SetFloor(&SetFloor { floor, placement, reserved }));
            }
            11..17 => {
                let phase = pick(random, &phases).into();
                image.set(ClientId(1), Command::SetLineItem(&SetLineItem { item, phase, reserved }));
            }
            17..20 => {
                let campaign = CampaignId(1 + random.below(u64::from(campaigns) + 1) as u32);
                let phase = pick(random, &phases[..5]).into();
                image.set(ClientId(1), Command::SetCampaign(&SetCampaign { campaign, phase, reserved }));
            }
            20..22 => {
                let advertiser = AdvertiserId(1 + random.below(parties.into()) as u32);
                let reserved = Reserved::default();
                image.set(ClientId(1), Command::MakeInvoice(&MakeInvoice { advertiser, reserved }));
            }
            22..26 => {
                let auction = self.recent[random.below(self.auctions.clamp(1, RECENT) as u64) as usize];
                image.set(ClientId(1), Command::VoidWin(&VoidWin { win: WinId(auction * SLOTS_MAX as u64) }));
            }
            26 => {
                let advertiser = AdvertiserId(1 + random.below(parties.into()) as u32);
                image.set(
                    ClientId(1),
                    Command::MakeCreditNote(&MakeCreditNote { advertiser, reserved: Reserved::default() }),
                );
            }
            27 => {
                image.set(ClientId(1), Command::ReportLineItem(&ReportLineItem { item, reserved: Reserved::default() }))
            }
            28 => {
                let placement = PlacementId(1 + random.below(u64::from(placements) + 1) as u32);
                image.set(
                    ClientId(1),
                    Command::ReportPlacement(&ReportPlacement { placement, reserved: Reserved::default() }),
                );
            }
            29 => {
                let currency = 1 + random.below(3) as u16;
                self.set_rate(currency, image);
            }
            30 => {
                let buckets = 1 + random.below(3) as u8;
                self.define_buckets(buckets, image);
            }
            31 => {
                let dimension = pick(random, &[Dimension::Site, Dimension::Deal]);
                let text = pick(random, &["", "a", "b", "site.example", "grün"]);
                image.set(ClientId(1), Command::DefineName(&name(dimension, text)));
            }
            32 => {
                let id = 1 + random.below(u64::from(campaigns) + 2) as u32;
                self.define_campaign(id, image);
            }
            _ => {
                let id = 1 + random.below(u64::from(items) + 10) as u32;
                self.define_line_item(id, image);
            }
        }
    }
}

impl Workload for Flow {
    fn next(&mut self, image: &mut CommandImage) {
        let at = self.commands;
        self.commands += 1;
        if at < Self::preparations(&self.mix) {
            self.prepare(at, image);
        } else if self.mix.varied {
            match self.random.below(100) {
                0..50 => self.hold(image),
                50..90 if self.auctions > 0 => self.record(image),
                _ => self.change(image),
            }
        } else if at.is_multiple_of(2) {
            self.record_or_hold(image);
        } else {
            self.hold(image);
        }
    }
}

impl Flow {
    fn record_or_hold(&mut self, image: &mut CommandImage) {
        if self.auctions > 0 { self.record(image) } else { self.hold(image) }
    }
}

/// Whatever a client could send: edges of ranges, and bodies that are no messages.
struct Hostile {
    random: Random,
    clients: u32,
    flow: Flow,
}

impl Hostile {
    fn new(seed: u64, clients: u32) -> Self {
        let mix = Mix { before: clients.into(), items: 8, campaigns: 4, placements: 4, ..MIXED };
        Self { random: Random::new(!seed), clients: clients.max(1), flow: Flow::new(seed, clients, mix) }
    }
}

impl Workload for Hostile {
    fn next(&mut self, image: &mut CommandImage) {
        self.flow.next(image);
        let client = ClientId(1 + self.random.below(self.clients.into()) as u32);
        let mut bytes = image.bytes().to_vec();
        let body = COMMAND_HEADER_BYTES;
        match self.random.below(8) {
            // A field becomes an edge of its range.
            0..2 => {
                let at = body + 4 * self.random.below(((bytes.len() - body) / 4) as u64) as usize;
                let edge: u32 = pick(&mut self.random, &[0, 1, u32::MAX, i32::MAX as u32, WHOLE, WHOLE + 1]);
                bytes[at..at + 4].copy_from_slice(&edge.to_le_bytes());
            }
            // A bit of the message header or the body flips.
            2 => {
                let from = body - size_of::<ringfence_kernel::MessageHeader>();
                let at = from + self.random.below((bytes.len() - from) as u64) as usize;
                bytes[at] ^= 1 << self.random.below(8);
            }
            3 if self.random.percent(30) => bytes.truncate(body + 8 * self.random.below(4) as usize),
            _ => {}
        }
        image.set_bytes(client, &bytes);
    }
}
