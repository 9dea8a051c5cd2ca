//! What a client may ask.

use super::{
    AdvertiserId, AuctionRuleCode, CampaignId, CapPeriodCode, CreativeId, CurrencyId, DimensionCode, EventKindCode,
    LineItemId, Nanos, PhaseCode, PlacementId, Ppm, PriceModelCode, PublisherId, RoundingCode, TargetModeCode, UserKey,
    WinId,
};
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::{Timestamp, messages};

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
            /// The period of its cap.
            cap_period: CapPeriodCode,
            /// Zero.
            reserved: Reserved<1>,
            /// How many slots a user may be shown of it in a period; zero without a cap.
            cap: u32,
        },
        /// Prepares a line item. Saying the same again is answered again; other terms are refused.
        2 => DefineLineItem: 136 {
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
            /// Its priority: whatever it bids, it ranks before those of a lower one. Above 0 it is under contract and pays its
            /// bid.
            priority: u8,
            /// Zero.
            reserved: Reserved<1>,
            /// How much of a day's budget each hour of the campaign's day is to have, from midnight on, as weights. All
            /// zero spends it as soon as possible; all alike, evenly.
            plan: [u8; 24],
            /// In which hours of the placement's week it takes part: three bytes a day from Monday on, the first hour in the
            /// lowest bit of the first. All zero is always.
            hours: [u8; 21],
            /// How it follows its plan by feedback: proportional, integral and derivative gain, in hundredths. All zero holds
            /// it to its plan.
            gains: [u8; 3],
            /// Nanoseconds after its click in which a conversion is a win's.
            click_through: u64,
            /// Nanoseconds after its impression in which a conversion is a win's. When both are zero, all are.
            view_through: u64,
        } + targets: Target: 8 {
            /// Which value.
            value: u32,
            /// Of which dimension.
            dimension: DimensionCode,
            /// Whether it is included or excluded.
            mode: TargetModeCode,
            /// Zero when it stands for itself; targets of the same group are alternatives: one of them must hold.
            group: u8,
            /// Zero.
            reserved: Reserved<1>,
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
            /// By which price buckets bids made elsewhere are rounded; zero when they are not.
            buckets: u8,
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
            /// What `floor` and the amounts of attributes are in.
            currency: CurrencyId,
            /// How many of the placement's slots there are this time, its first; zero for all of them.
            slots: u8,
            /// Zero.
            reserved: Reserved<1>,
        } + attributes: Attribute: 16 {
            /// Of a deal, what an impression costs those who include it at least; zero when it has no floor of its own. Of a
            /// bidder, what it bids for an impression. Zero of all others.
            amount: Nanos,
            /// Which value.
            value: u32,
            /// Of which dimension.
            dimension: DimensionCode,
            /// Of a bidder, how many of its bids take part at most, the same for each of them; zero for one. Zero of all
            /// others.
            bids_max: u8,
            /// Zero.
            reserved: Reserved<2>,
        },
        /// Says what happened to a slot that was won. An event is known by its win and its kind and counts once.
        9 => RecordEvent: 16 {
            /// Which win.
            win: WinId,
            /// What happened.
            kind: EventKindCode,
            /// Zero.
            reserved: Reserved<3>,
            /// Where it came from: an opaque number; zero when nobody knows.
            source: u32,
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
        /// Says what one of a currency is worth from now on.
        15 => SetRate: 16 {
            /// In units of 10⁻⁹ of the house's currency; not zero.
            rate: u64,
            /// Which.
            currency: CurrencyId,
            /// Zero.
            reserved: Reserved<6>,
        },
        /// Defines price buckets. Saying the same again is answered again; other terms are refused.
        16 => DefineBuckets: 8 {
            /// Their number, from 1.
            buckets: u8,
            /// How a price becomes that of a bucket.
            rounding: RoundingCode,
            /// Zero.
            reserved: Reserved<6>,
        } + ranges: PriceRange: 24 {
            /// From which price on; not below the end of the range before.
            min: Nanos,
            /// Up to which.
            max: Nanos,
            /// How far buckets are apart; not zero.
            increment: Nanos,
        },
        /// Gives a name its number. The same name has the same number.
        17 => DefineName: 120 {
            /// UTF-8, and zeros behind it.
            text: [u8; 112],
            /// What it names.
            dimension: DimensionCode,
            /// Bytes of it.
            length: u8,
            /// Zero.
            reserved: Reserved<6>,
        },
        /// Gives an advertiser budgets of its own, before its first campaign. Saying the same again is answered again; other
        /// terms are refused.
        18 => DefineAdvertiser: 24 {
            /// What all its campaigns spend together at most; not zero.
            total: Nanos,
            /// What they spend on a day at most; zero when nothing but `total` bounds it.
            daily: Nanos,
            /// Whose.
            advertiser: AdvertiserId,
            /// Minutes that its days begin before UTC's: its zone.
            zone_minutes: i16,
            /// Zero.
            reserved: Reserved<2>,
        },
        /// Prepares a creative: what a line item shows. Saying the same again is answered again; other terms are refused.
        19 => DefineCreative: 24 {
            /// Its number, from 1.
            creative: CreativeId,
            /// Of which line item.
            item: LineItemId,
            /// Its size: a value of that dimension, which the request must have; zero fits every request.
            size: u32,
            /// Its weight among the creatives of the line item that can be shown; not zero.
            weight: u32,
            /// How many slots a user may be shown of it in a period; zero without a cap.
            cap: u32,
            /// The period of the cap.
            cap_period: CapPeriodCode,
            /// Zero.
            reserved: Reserved<3>,
        },
        /// Puts a creative into another phase.
        20 => SetCreative: 8 {
            /// Which.
            creative: CreativeId,
            /// The phase it goes to.
            phase: PhaseCode,
            /// Zero.
            reserved: Reserved<3>,
        },
        /// Says that a user did what an advertiser wants: a conversion of the win that touched the user last.
        21 => RecordConversion: 16 {
            /// Who.
            user: UserKey,
            /// Whose line items are looked at: those with attribution windows.
            advertiser: AdvertiserId,
            /// Where it came from: an opaque number; zero when nobody knows.
            source: u32,
        },
        /// Says what traffic is invalid from now on, and how long what was billed can be taken back.
        22 => SetTraffic: 24 {
            /// Nanoseconds after its impression before which a click is invalid; without an impression all are. Zero when no
            /// click is invalid for that.
            click_after: u64,
            /// Nanoseconds after its window in which a win that was billed can still be taken back.
            clawback: u64,
            /// Events of a user that are valid in a minute; zero when all are.
            user_most: u32,
            /// Events of a source that are valid in a minute; zero when all are.
            source_most: u32,
        },
        /// Puts a source on the list of those whose events are invalid, or takes it off.
        23 => ListSource: 8 {
            /// Which; not zero.
            source: u32,
            /// 1 when it is listed from now on, 0 when it is not.
            listed: u8,
            /// Zero.
            reserved: Reserved<3>,
        },
        /// Asks what came of a line item at a placement in an hour.
        24 => ReportHour: 16 {
            /// Which line item; zero for all of the placement.
            item: LineItemId,
            /// Which placement.
            placement: PlacementId,
            /// Hours since the epoch.
            hour: u32,
            /// Zero.
            reserved: Reserved<4>,
        },
        /// Gives up a win that was not billed: what it holds is free again, and it waits for events no more.
        25 => ReleaseWin: 8 {
            /// Which win.
            win: WinId,
        },
    }
}
