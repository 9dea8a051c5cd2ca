//! What is said to the auction domain and by it.
//!
//! Any change to a field, a number or a code here breaks clients and journals: the schema, the golden vectors and
//! [`super::Auction`]'s version pin them.

use ringfence_kernel::messages::Reserved;
use ringfence_kernel::{Timestamp, choice, limits, messages, newtype, rejects};

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
    /// Where a campaign or a line item stands.
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
    /// How long a frequency cap counts before it begins again. Periods begin at whole hours, days and weeks (Monday) of
    /// UTC.
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
    }
}
choice! {
    /// Why a request that was understood had no effect.
    pub enum DeclineReason as DeclineReasonCode {
        /// The campaign or line item is in a phase from which it cannot go there.
        WrongPhase = 1,
        /// No win of that number waits for events: there was none, or its window is over.
        NoSuchWin = 2,
        /// The advertiser was billed nothing since the last invoice.
        NothingToInvoice = 3,
        /// The advertiser was credited nothing since the last credit note.
        NothingToCredit = 4,
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
        /// Targets or attributes are more than 64, or not in ascending order of dimension and value, each once.
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
        /// Placements; their ids run from 1 to this.
        placements = 4096 in 1..=1_048_576,
        /// Targets of all line items: 8 bytes each.
        targets = 524288 in 1..=67_108_864,
        /// Different values that line items target: two bits a line item each.
        values = 1024 in 1..=65_536,
        /// Wins that wait for events: up to 156 bytes each.
        wins = 262144 in 1..=268_435_456,
        /// Counters of frequency caps in periods that are not over: up to 56 bytes each.
        counters = 262144 in 1..=268_435_456,
    }
}

messages! {
    /// What a client may ask.
    pub enum Command in schema 3 version 1 {
        /// Prepares a campaign. Saying the same again is answered again; other terms are refused.
        1 => DefineCampaign: 32 {
            /// What it spends in all at most; not zero.
            total: Nanos,
            /// What it spends on a day at most; zero when nothing but `total` bounds it.
            daily: Nanos,
            /// Its number, from 1.
            campaign: CampaignId,
            /// Who pays.
            advertiser: AdvertiserId,
            /// Minutes that its days begin before UTC's: its zone.
            zone_minutes: i16,
            /// Zero.
            reserved: Reserved<6>,
        },
        /// Prepares a line item. Saying the same again is answered again; other terms are refused.
        2 => DefineLineItem: 120 {
            /// What it spends in all at most; not zero.
            total: Nanos,
            /// What it spends on a day of its campaign at most; zero when nothing but `total` bounds it.
            daily: Nanos,
            /// What it bids for one event that it pays for.
            bid: Nanos,
            /// When its flight begins.
            starts: Timestamp,
            /// When its flight is over.
            ends: Timestamp,
            /// Nanoseconds that a win waits for its events.
            window: u64,
            /// Its number, from 1.
            item: LineItemId,
            /// Of which campaign.
            campaign: CampaignId,
            /// How likely an impression leads to an event that it pays for; 10⁶ when it pays for impressions.
            rate: Ppm,
            /// Its quality: what its bid is worth in the ranking.
            quality: Ppm,
            /// How many slots a user may be shown in a period; zero without a cap.
            cap: u32,
            /// The period of the cap.
            cap_period: CapPeriodCode,
            /// What it pays for.
            model: PriceModelCode,
            /// Zero.
            reserved: Reserved<2>,
            /// How much of a day's budget each hour of the campaign's day is to have, from midnight on, as weights. All
            /// zero spends it as soon as possible; all alike, evenly.
            plan: [u8; 24],
            /// In which hours of the placement's week it takes part: three bytes a day from Monday on, the first hour in the
            /// lowest bit of the first. All zero is always.
            hours: [u8; 21],
            /// Zero.
            reserved_end: Reserved<3>,
        } + targets: Target: 8 {
            /// Which value.
            value: u32,
            /// Of which dimension.
            dimension: DimensionCode,
            /// Whether it is included or excluded.
            mode: TargetModeCode,
            /// Zero.
            reserved: Reserved<2>,
        },
        /// Prepares a placement. Saying the same again is answered again; other terms are refused.
        3 => DefinePlacement: 32 {
            /// What an impression costs at least. `SetFloor` changes it.
            floor: Nanos,
            /// What ties are drawn from.
            seed: u64,
            /// Its number, from 1.
            placement: PlacementId,
            /// Who is paid.
            publisher: PublisherId,
            /// The publisher's share of what is billed.
            share: Ppm,
            /// How prices are made.
            rule: AuctionRuleCode,
            /// Zero.
            reserved: Reserved<1>,
            /// Minutes that its days begin before UTC's: its zone.
            zone_minutes: i16,
        } + slots: Slot: 8 {
            /// What the slot yields of what a perfect one would. No slot yields more than the one before.
            factor: Ppm,
            /// Zero.
            reserved: Reserved<4>,
        },
        /// Puts a campaign into another phase.
        4 => SetCampaign: 8 {
            /// Which.
            campaign: CampaignId,
            /// The phase it goes to.
            phase: PhaseCode,
            /// Zero.
            reserved: Reserved<3>,
        },
        /// Puts a line item into another phase.
        5 => SetLineItem: 8 {
            /// Which.
            item: LineItemId,
            /// The phase it goes to.
            phase: PhaseCode,
            /// Zero.
            reserved: Reserved<3>,
        },
        /// Changes what a line item bids and what it is ranked by. Auctions that were held stay as they are.
        6 => SetBid: 24 {
            /// What it bids for one event that it pays for.
            bid: Nanos,
            /// Which.
            item: LineItemId,
            /// How likely an impression leads to such an event.
            rate: Ppm,
            /// Its quality.
            quality: Ppm,
            /// Zero.
            reserved: Reserved<4>,
        },
        /// Changes the floor of a placement.
        7 => SetFloor: 16 {
            /// What an impression costs at least.
            floor: Nanos,
            /// Which.
            placement: PlacementId,
            /// Zero.
            reserved: Reserved<4>,
        },
        /// Holds an auction for the slots of a placement.
        8 => HoldAuction: 24 {
            /// Who would see it.
            user: UserKey,
            /// What an impression costs at least, when it is more than the placement's floor.
            floor: Nanos,
            /// Which placement.
            placement: PlacementId,
            /// Zero.
            reserved: Reserved<4>,
        } + attributes: Attribute: 8 {
            /// Which value.
            value: u32,
            /// Of which dimension.
            dimension: DimensionCode,
            /// Zero.
            reserved: Reserved<3>,
        },
        /// Says what happened to a slot that was won. An event is known by its win and its kind and counts once.
        9 => RecordEvent: 16 {
            /// Which win.
            win: WinId,
            /// What happened.
            kind: EventKindCode,
            /// Zero.
            reserved: Reserved<7>,
        },
        /// Makes an invoice of everything that an advertiser was billed since the last one.
        10 => MakeInvoice: 8 {
            /// Whose.
            advertiser: AdvertiserId,
            /// Zero.
            reserved: Reserved<4>,
        },
        /// Takes a win back whose traffic was invalid: what it was billed is credited, what it holds is free again, and it
        /// waits for events no more.
        11 => VoidWin: 8 {
            /// Which win.
            win: WinId,
        },
        /// Makes a credit note of everything that an advertiser was credited since the last one.
        12 => MakeCreditNote: 8 {
            /// Whose.
            advertiser: AdvertiserId,
            /// Zero.
            reserved: Reserved<4>,
        },
        /// Asks what a line item has come to.
        13 => ReportLineItem: 8 {
            /// Which.
            item: LineItemId,
            /// Zero.
            reserved: Reserved<4>,
        },
        /// Asks what a placement has come to.
        14 => ReportPlacement: 8 {
            /// Which.
            placement: PlacementId,
            /// Zero.
            reserved: Reserved<4>,
        },
    }
}

messages! {
    /// What answers a command.
    pub enum Reply in schema 3 version 1 {
        /// The campaign is prepared, or in its new phase.
        51 => CampaignSet: 8 {
            /// Its number.
            campaign: CampaignId,
            /// Its phase.
            phase: PhaseCode,
            /// Zero.
            reserved: Reserved<3>,
        },
        /// The line item is prepared, in its new phase, or has its new bid.
        52 => LineItemSet: 8 {
            /// Its number.
            item: LineItemId,
            /// Its phase.
            phase: PhaseCode,
            /// Zero.
            reserved: Reserved<3>,
        },
        /// The placement is prepared, or has its new floor.
        53 => PlacementSet: 16 {
            /// Its floor.
            floor: Nanos,
            /// Its number.
            placement: PlacementId,
            /// Zero.
            reserved: Reserved<4>,
        },
        /// The auction was held. Winners of slots after the first are told by `SlotWon`; their wins are numbered from
        /// `win` on.
        54 => AuctionHeld: 64 {
            /// The win of the first slot; zero when nobody won.
            win: WinId,
            /// What an event of it costs.
            price: Nanos,
            /// The line item that won it; zero when nobody did.
            item: LineItemId,
            /// Slots that were won.
            won: u32,
            /// Line items that take part in auctions and whose targets the request meets: all of the following and `won`.
            candidates: u32,
            /// Candidates that ranked behind the last slot and its runner-up, or are that runner-up.
            outbid: u32,
            /// Candidates that bid less than the floor.
            below_floor: u32,
            /// Candidates that do not take part at this hour of the placement's week.
            off_hours: u32,
            /// Candidates whose budgets hold no bid more.
            budget_spent: u32,
            /// Candidates that have spent what their plan of the day allows so far.
            paced: u32,
            /// Candidates whose user has seen them as often as may be, or cannot be counted.
            capped: u32,
            /// Candidates whose advertiser has a better one in the auction.
            same_advertiser: u32,
            /// Line items that take part in auctions and whose targets the request does not meet.
            not_targeted: u32,
            /// Zero.
            reserved: Reserved<4>,
        },
        /// The event is known.
        55 => EventRecorded: 24 {
            /// What it costs the advertiser.
            amount: Nanos,
            /// Its win.
            win: WinId,
            /// The line item.
            item: LineItemId,
            /// What became of it.
            outcome: EventOutcomeCode,
            /// Zero.
            reserved: Reserved<3>,
        },
        /// The invoice is made.
        56 => InvoiceMade: 24 {
            /// What it asks for.
            amount: Nanos,
            /// Events that it bills.
            events: u64,
            /// Whose.
            advertiser: AdvertiserId,
            /// The advertiser's number for it, from 1.
            number: u32,
        },
        /// The request was understood and had no effect.
        57 => Declined: 16 {
            /// The win that was named; zero when none was.
            win: WinId,
            /// The campaign, line item or advertiser that was named; zero when none was.
            id: u32,
            /// Why.
            reason: DeclineReasonCode,
            /// Zero.
            reserved: Reserved<3>,
        },
        /// The win was taken back.
        58 => WinVoided: 24 {
            /// What the advertiser is credited; zero when it was not billed.
            amount: Nanos,
            /// The win.
            win: WinId,
            /// The line item.
            item: LineItemId,
            /// Zero.
            reserved: Reserved<4>,
        },
        /// The credit note is made.
        59 => CreditNoteMade: 24 {
            /// What it gives back.
            amount: Nanos,
            /// Events that it credits.
            events: u64,
            /// Whose.
            advertiser: AdvertiserId,
            /// The advertiser's number for it, from 1.
            number: u32,
        },
        /// What a line item has come to. Its wins by its candidacies are no part of it: only the best are looked at.
        60 => LineItemReport: 64 {
            /// What it was billed, credits taken off.
            spent: Nanos,
            /// What its wins still wait to be billed.
            held: Nanos,
            /// Slots that it won.
            wins: u64,
            /// Impressions of them.
            impressions: u64,
            /// Clicks.
            clicks: u64,
            /// Conversions.
            conversions: u64,
            /// Wins that were taken back; what came of them is among the above.
            voided: u64,
            /// Which.
            item: LineItemId,
            /// Its phase.
            phase: PhaseCode,
            /// Zero.
            reserved: Reserved<3>,
        },
        /// What a placement has come to.
        61 => PlacementReport: 64 {
            /// What was billed for it, credits taken off.
            billed: Nanos,
            /// What of it is the publisher's.
            publisher_amount: Nanos,
            /// Auctions that were held.
            auctions: u64,
            /// Slots that were won.
            wins: u64,
            /// Impressions of them.
            impressions: u64,
            /// Clicks.
            clicks: u64,
            /// Conversions.
            conversions: u64,
            /// Which.
            placement: PlacementId,
            /// Zero.
            reserved: Reserved<4>,
        },
    }
}

messages! {
    /// What the auction domain says beside the answer.
    pub enum Event in schema 3 version 1 {
        /// Where a campaign stands. On its stream.
        101 => CampaignChanged: 32 {
            /// What it was billed.
            spent: Nanos,
            /// What its wins still wait to be billed.
            held: Nanos,
            /// Its number.
            campaign: CampaignId,
            /// Its phase.
            phase: PhaseCode,
            /// Zero.
            reserved: Reserved<11>,
        },
        /// Where a line item stands. On the stream of its campaign.
        102 => LineItemChanged: 32 {
            /// What it was billed.
            spent: Nanos,
            /// What its wins still wait to be billed.
            held: Nanos,
            /// What it bids.
            bid: Nanos,
            /// Its number.
            item: LineItemId,
            /// Its phase.
            phase: PhaseCode,
            /// Zero.
            reserved: Reserved<3>,
        },
        /// A slot after the first was won. To the session that asked for the auction.
        103 => SlotWon: 24 {
            /// The win.
            win: WinId,
            /// What an event of it costs.
            price: Nanos,
            /// The line item.
            item: LineItemId,
            /// Which slot, from 1.
            slot: u32,
        },
        /// An event was billed. On the advertiser's stream of spend.
        104 => EventBilled: 32 {
            /// What the advertiser pays.
            amount: Nanos,
            /// What of it the publisher gets.
            publisher_amount: Nanos,
            /// The win.
            win: WinId,
            /// The line item.
            item: LineItemId,
            /// Where it was shown.
            placement: PlacementId,
        },
        /// A win was over without an event to bill; what was held for it is free again. On the advertiser's stream of
        /// spend.
        105 => WinReleased: 24 {
            /// What was held.
            amount: Nanos,
            /// The win.
            win: WinId,
            /// The line item.
            item: LineItemId,
            /// Zero.
            reserved: Reserved<4>,
        },
        /// Where an advertiser's account stands. The snapshot of the stream of spend.
        106 => AccountStands: 40 {
            /// What was billed.
            billed: Nanos,
            /// What of it was invoiced.
            invoiced: Nanos,
            /// What was credited.
            credited: Nanos,
            /// Events that were billed.
            events: u64,
            /// Whose.
            advertiser: AdvertiserId,
            /// Invoices.
            invoices: u32,
        },
        /// A billed event was taken back. On the advertiser's stream of spend.
        107 => EventCredited: 32 {
            /// What the advertiser is given back.
            amount: Nanos,
            /// What of it the publisher gives back.
            publisher_amount: Nanos,
            /// The win.
            win: WinId,
            /// The line item.
            item: LineItemId,
            /// Where it was shown.
            placement: PlacementId,
        },
    }
}
