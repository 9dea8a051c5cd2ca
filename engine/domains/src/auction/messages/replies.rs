//! What answers a command.

use super::{
    AdvertiserId, CampaignId, CreativeId, CurrencyId, DeclineReasonCode, DimensionCode, EventOutcomeCode, LineItemId,
    Nanos, PhaseCode, PlacementId, PriceModelCode, WinId,
};
use ringfence_kernel::messages;
use ringfence_kernel::messages::Reserved;

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
            /// What it shows; zero when the line item has no creatives.
            creative: CreativeId,
            /// Candidates that ranked behind the last slot and its runner-up, or are that runner-up. Candidates are the line
            /// items that take part in auctions and whose targets the request meets: all of these counts but the last, and
            /// `won`.
            outbid: u32,
            /// Candidates that bid less than the floor.
            below_floor: u32,
            /// Candidates that do not take part at this hour of the placement's week.
            off_hours: u32,
            /// Candidates that have no creative that runs and fits the request.
            no_creative: u32,
            /// Candidates whose budgets hold no bid more.
            budget_spent: u32,
            /// Candidates that have spent what their plan of the day allows so far.
            paced: u32,
            /// Candidates whose user has seen them as often as may be, or cannot be counted.
            capped: u32,
            /// Candidates whose advertiser has a better one in the auction, or that share a label with a better one in an auction of
            /// several slots.
            excluded: u32,
            /// Line items that take part in auctions and whose targets the request does not meet.
            not_targeted: u32,
            /// Slots that were won.
            won: u8,
            /// Slots that bids made elsewhere won.
            outside: u8,
            /// What the line item of the first slot pays for; impressions when there is none.
            pays: PriceModelCode,
            /// Which of the request's deals set the floor of the first slot, from 1 in their order; zero when none did.
            deal: u8,
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
            voided: u32,
            /// Events that were invalid; they are not among the above.
            invalid: u32,
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
            /// Events that were invalid; they are not among the above.
            invalid: u32,
        },
        /// The currency has its rate.
        62 => RateSet: 16 {
            /// In units of 10⁻⁹ of the house's currency.
            rate: u64,
            /// Which.
            currency: CurrencyId,
            /// Zero.
            reserved: Reserved<6>,
        },
        /// The price buckets are defined.
        63 => BucketsDefined: 8 {
            /// Their number.
            buckets: u8,
            /// Zero.
            reserved: Reserved<7>,
        },
        /// The name has its number.
        64 => NameIs: 8 {
            /// Its number: a value of the dimension.
            value: u32,
            /// What it names.
            dimension: DimensionCode,
            /// Zero.
            reserved: Reserved<3>,
        },
        /// The advertiser has its budgets.
        65 => AdvertiserSet: 8 {
            /// Its number.
            advertiser: AdvertiserId,
            /// Zero.
            reserved: Reserved<4>,
        },
        /// The creative is prepared, or in its new phase.
        66 => CreativeSet: 8 {
            /// Its number.
            creative: CreativeId,
            /// Its phase.
            phase: PhaseCode,
            /// Zero.
            reserved: Reserved<3>,
        },
        /// What is invalid is said.
        67 => TrafficSet: 8 {
            /// Sources that are listed.
            sources: u32,
            /// Zero.
            reserved: Reserved<4>,
        },
        /// What came of a line item, or of all, at a placement in an hour: what happened in that hour, whenever it was won.
        68 => HourReport: 56 {
            /// What was billed.
            billed: Nanos,
            /// What was credited.
            credited: Nanos,
            /// Auctions that the placement held: wins of these are the win rate.
            auctions: u64,
            /// Slots that were won.
            wins: u32,
            /// Impressions.
            impressions: u32,
            /// Clicks.
            clicks: u32,
            /// Conversions.
            conversions: u32,
            /// Events that were invalid.
            invalid: u32,
            /// Which line item; zero for all of the placement.
            item: LineItemId,
            /// Which placement.
            placement: PlacementId,
            /// Hours since the epoch.
            hour: u32,
        },
    }
}
