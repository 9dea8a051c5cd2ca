//! What is said to the auction domain and by it.
//!
//! Any change to a field, a number or a code here breaks clients and journals: the schema, the golden vectors and
//! [`super::Auction`]'s version pin them.

mod commands;
mod events;
mod replies;

pub use commands::{
    Attribute, Command, DefineAdvertiser, DefineBuckets, DefineCampaign, DefineCreative, DefineLineItem, DefineName,
    DefinePlacement, HoldAuction, ListSource, MakeCreditNote, MakeInvoice, PriceRange, RecordConversion, RecordEvent,
    ReleaseWin, ReportHour, ReportLineItem, ReportPlacement, SetBid, SetCampaign, SetCreative, SetFloor, SetLineItem,
    SetRate, SetTraffic, Slot, Target, VoidWin,
};
pub use events::{
    AccountStands, CampaignChanged, CreativeChanged, Event, EventBilled, EventCredited, LineItemChanged, NameDefined,
    OutsideWon, SlotWon, WinReleased,
};
pub use replies::{
    AdvertiserSet, AuctionHeld, BucketsDefined, CampaignSet, CreativeSet, CreditNoteMade, Declined, EventRecorded,
    HourReport, InvoiceMade, LineItemReport, LineItemSet, NameIs, PlacementReport, PlacementSet, RateSet, Reply,
    TrafficSet, WinVoided,
};

use ringfence_kernel::{choice, limits, newtype, rejects};

newtype! {
    /// Who pays for advertisements: a dense number from 1 up to the limit of advertisers.
    pub struct AdvertiserId(u32);
}
newtype! {
    /// Who is paid for showing them: a dense number from 1 up to the limit of publishers.
    pub struct PublisherId(u32);
}
newtype! {
    /// A campaign of an advertiser: a dense number from 1 up to the limit of campaigns.
    pub struct CampaignId(u32);
}
newtype! {
    /// A line item of a campaign: a dense number from 1 up to the limit of line items; 0 where none is meant.
    pub struct LineItemId(u32);
}
newtype! {
    /// What a line item shows: a dense number from 1 up to the limit of creatives; 0 where none is meant.
    pub struct CreativeId(u32);
}
newtype! {
    /// Where advertisements are shown: a dense number from 1 up to the limit of placements; 0 where none is meant.
    pub struct PlacementId(u32);
}
newtype! {
    /// A slot that was won: 8 times the auction's place in the log, and the slot, counted from 0. 0 where none is.
    pub struct WinId(u64);
}
newtype! {
    /// An opaque key of a user; 0 when the user is not known.
    pub struct UserKey(u64);
}
newtype! {
    /// Money in units of 10⁻⁹ of the currency. A price for one impression in these units is the price for a thousand
    /// (CPM) in millionths.
    pub struct Nanos(u64);
}
newtype! {
    /// A currency: a number from 1 up to the limit of currencies; 0 is the house's, in which everything is billed.
    pub struct CurrencyId(u16);
}
newtype! {
    /// A share or a probability in units of 10⁻⁶.
    pub struct Ppm(u32);
}

/// All of something, in [`Ppm`].
pub const WHOLE: u32 = 1_000_000;
/// What is bid for one event at most: a thousand of the currency.
pub const BID_MAX: u64 = 1_000_000_000_000;
/// Slots of a placement at most.
pub const SLOTS_MAX: usize = 8;
/// Targets of a line item, and attributes of a request, at most.
pub const TARGETS_MAX: usize = 64;
/// How long a win waits for its events at most: 31 days.
pub const WINDOW_MAX: u64 = 31 * 86_400 * 1_000_000_000;
/// What of a foreign currency is one of the house's: rates are in units of 10⁻⁹.
pub const RATE_WHOLE: u64 = 1_000_000_000;
/// The highest rate: a million of the house's for one.
pub const RATE_MAX: u64 = 1_000_000 * RATE_WHOLE;
/// Creatives of a line item at most.
pub const CREATIVES_MAX: usize = 16;
/// Touches of a user by an advertiser that a conversion is weighed against at most: the latest wins. Tests come to the end of it.
pub const TOUCHES_MAX: usize = if cfg!(test) { 3 } else { 64 };
/// Priorities of line items: 0 is open, from 1 to this is under contract.
pub const PRIORITY_MAX: u8 = 15;
/// Ranges of price buckets at most.
pub const RANGES_MAX: usize = 8;
/// Bytes of a name at most.
pub const NAME_BYTES: usize = 112;
/// How far a zone is from UTC at most: 14 hours.
pub const ZONE_MINUTES_MAX: i16 = 14 * 60;

choice! {
    /// What a line item pays for.
    pub enum PriceModel as PriceModelCode {
        /// Each impression.
        Cpm = 1,
        /// Each click.
        Cpc = 2,
        /// Each conversion.
        Cpa = 3,
    }
}
choice! {
    /// Where a campaign, a line item or a creative stands.
    pub enum Phase as PhaseCode {
        /// It is prepared.
        Draft = 1,
        /// It takes part in auctions.
        Active = 2,
        /// It takes part in none until it is active again.
        Paused = 3,
        /// It is over for good.
        Ended = 4,
    }
}
choice! {
    /// How the prices of an auction are made.
    pub enum AuctionRule as AuctionRuleCode {
        /// Each winner pays its bid.
        FirstPrice = 1,
        /// The winner of the one slot pays the least that would have won it.
        SecondPrice = 2,
        /// Generalized second price: each winner pays the least that would have kept its slot.
        GeneralizedSecondPrice = 3,
        /// Vickrey-Clarke-Groves: each winner pays what the others lose by its presence.
        Vcg = 4,
    }
}
choice! {
    /// What a request or a line item may say of whom and where.
    pub enum Dimension as DimensionCode {
        /// Country, region or city.
        Geography = 1,
        /// Kind of device.
        Device = 2,
        /// Operating system.
        System = 3,
        /// Language.
        Language = 4,
        /// Site or app.
        Site = 5,
        /// Category of the content.
        Category = 6,
        /// Keyword of the content.
        Keyword = 7,
        /// Audience segment of the user.
        Segment = 8,
        /// Size of the slot.
        Size = 9,
        /// Private deal: whoever includes one takes part only where the request has it.
        Deal = 10,
        /// Category of the advertisement: a line item excludes its own, a request has those that it blocks.
        AdCategory = 11,
        /// Advertiser's domain: a line item excludes its own, a request has those that it blocks.
        AdDomain = 12,
        /// Attribute of the advertisement: a line item excludes its own, a request has those that it blocks.
        AdAttribute = 13,
        /// Bidder elsewhere (header bidding): its bids take part in the auction. Not for targets.
        Bidder = 14,
        /// Label of competitive exclusion: a line item excludes its own, a request has those that are on the page.
        Label = 15,
    }
}
choice! {
    /// What a target does.
    pub enum TargetMode as TargetModeCode {
        /// The request must have one of the values that are included in its dimension.
        Include = 1,
        /// The request must not have the value.
        Exclude = 2,
    }
}
choice! {
    /// How long a frequency cap counts before it begins again. Periods begin at whole minutes, hours, days and weeks (Monday)
    /// of UTC.
    pub enum CapPeriod as CapPeriodCode {
        /// There is no cap.
        None = 1,
        /// An hour.
        Hour = 2,
        /// A day.
        Day = 3,
        /// A week.
        Week = 4,
        /// For good.
        Life = 5,
        /// A minute.
        Minute = 6,
    }
}
choice! {
    /// How a price becomes that of a bucket.
    pub enum Rounding as RoundingCode {
        /// The next below.
        Down = 1,
        /// The nearer; the one above when both are as near.
        Nearest = 2,
        /// The next above.
        Up = 3,
        /// Below or above by a draw.
        TimeSplit = 4,
    }
}
choice! {
    /// What happened to a slot that was won.
    pub enum EventKind as EventKindCode {
        /// It was shown.
        Impression = 1,
        /// It was clicked.
        Click = 2,
        /// The user did what the advertiser wants.
        Conversion = 3,
    }
}
choice! {
    /// What became of an event.
    pub enum EventOutcome as EventOutcomeCode {
        /// It counts, and the line item does not pay for events of its kind.
        Counted = 1,
        /// It counts, and the advertiser pays for it.
        Billed = 2,
        /// It was counted before and nothing has changed.
        Repeated = 3,
        /// It is a conversion outside the attribution windows of the line item: it does not count.
        Unattributed = 4,
        /// It is invalid traffic: it is counted apart, and costs nothing.
        Invalid = 5,
    }
}
choice! {
    /// Why a request that was understood had no effect.
    pub enum DeclineReason as DeclineReasonCode {
        /// The campaign, line item or creative is in a phase from which it cannot go there.
        WrongPhase = 1,
        /// No win of that number waits for events: there was none, or its window is over.
        NoSuchWin = 2,
        /// The advertiser was billed nothing since the last invoice.
        NothingToInvoice = 3,
        /// The advertiser was credited nothing since the last credit note.
        NothingToCredit = 4,
        /// No win touched the user whose line item's attribution windows a conversion is within.
        NoTouch = 5,
        /// The hour is so long ago that some of it is forgotten.
        HourForgotten = 6,
        /// The win was billed: it can only be taken back.
        AlreadyBilled = 7,
    }
}

rejects! {
    /// Why the auction domain refuses a command. Nothing has changed.
    pub enum Reject {
        /// The number of the advertiser is zero or above the limit.
        UnknownAdvertiser = 3001,
        /// The number of the publisher is zero or above the limit.
        UnknownPublisher = 3002,
        /// No such campaign is defined.
        UnknownCampaign = 3003,
        /// No such line item is defined.
        UnknownLineItem = 3004,
        /// No such placement is defined.
        UnknownPlacement = 3005,
        /// The number of the campaign is zero or above the limit.
        CampaignsFull = 3006,
        /// The number of the line item is zero or above the limit.
        LineItemsFull = 3007,
        /// The number of the placement is zero or above the limit.
        PlacementsFull = 3008,
        /// The campaign is defined with other terms.
        CampaignExists = 3009,
        /// The line item is defined with other terms.
        LineItemExists = 3010,
        /// The placement is defined with other terms.
        PlacementExists = 3011,
        /// Budgets, bid, flight, window, cap, rates, plan, zone, share or slots are out of range or make no sense together.
        BadTerms = 3012,
        /// Targets or attributes are more than 64, or not in ascending order of group, dimension and value, each once; or a
        /// dimension has no such targets.
        BadTargets = 3013,
        /// Line items have as many targets as they may.
        TargetsFull = 3014,
        /// Line items target as many different values as they may.
        ValuesFull = 3015,
        /// The budgets of all campaigns would be more than a ledger holds: 2⁶³ − 1.
        BudgetsFull = 3016,
        /// Fewer wins can wait for events than the placement has slots.
        WinsFull = 3017,
        /// The advertiser was credited as much as a ledger holds.
        CreditsFull = 3018,
        /// No rate is set for the currency, or its number is zero or above the limit.
        UnknownCurrency = 3019,
        /// No such price buckets are defined.
        UnknownBuckets = 3020,
        /// The number of the price buckets is zero or above the limit.
        BucketsFull = 3021,
        /// The price buckets are defined with other terms.
        BucketsExist = 3022,
        /// The name is empty, no UTF-8, or longer than it says.
        BadName = 3023,
        /// There are as many names as there may be.
        NamesFull = 3024,
        /// The advertiser has other budgets, or campaigns already.
        AdvertiserExists = 3025,
        /// No such creative is defined.
        UnknownCreative = 3026,
        /// The number of the creative is zero or above the limit, or the line item has 16 creatives.
        CreativesFull = 3027,
        /// The creative is defined with other terms.
        CreativeExists = 3028,
        /// As many sources are listed as may be.
        SourcesFull = 3029,
    }
}

limits! {
    /// Capacities of the auction domain.
    pub struct AuctionLimits {
        /// Advertisers; their ids run from 1 to this.
        advertisers = 1024 in 1..=1_048_576,
        /// Publishers; their ids run from 1 to this.
        publishers = 1024 in 1..=1_048_576,
        /// Campaigns; their ids run from 1 to this.
        campaigns = 4096 in 1..=1_048_576,
        /// Line items; their ids run from 1 to this.
        line_items = 131072 in 1..=1_048_576,
        /// Creatives; their ids run from 1 to this.
        creatives = 131072 in 1..=1_048_576,
        /// Placements; their ids run from 1 to this.
        placements = 4096 in 1..=1_048_576,
        /// Targets of all line items: 8 bytes each.
        targets = 524288 in 1..=67_108_864,
        /// Different values that line items target: ten bits of room a line item each, of which up to four are ever touched.
        values = 1024 in 1..=65_536,
        /// Wins that wait for events, or can be taken back: up to 212 bytes each.
        wins = 262144 in 1..=268_435_456,
        /// Counters of frequency caps in periods that are not over: up to 56 bytes each.
        counters = 262144 in 1..=268_435_456,
        /// Currencies beside the house's; their ids run from 1 to this.
        currencies = 64 in 1..=1_024,
        /// Price buckets; their numbers run from 1 to this.
        buckets = 16 in 1..=255,
        /// Names that have numbers: 120 bytes and up to 32 of index each.
        names = 16384 in 1..=1_048_576,
        /// Sources that are listed as invalid: 4 bytes each.
        sources = 4096 in 1..=1_048_576,
        /// Users and sources whose events are counted in a minute: up to 56 bytes each.
        event_rates = 65536 in 1..=16_777_216,
        /// Hours of a line item at a placement, and of placements, that reports remember: up to 88 bytes each.
        hours = 262144 in 1..=16_777_216,
    }
}
