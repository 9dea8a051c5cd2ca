//! What the auction domain says beside the answer.

use super::{
    AdvertiserId, CampaignId, CreativeId, DimensionCode, LineItemId, Nanos, PhaseCode, PlacementId, PriceModelCode,
    WinId,
};
use ringfence_kernel::messages;
use ringfence_kernel::messages::Reserved;

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
        103 => SlotWon: 32 {
            /// The win.
            win: WinId,
            /// What an event of it costs.
            price: Nanos,
            /// The line item.
            item: LineItemId,
            /// Which slot, from 1.
            slot: u32,
            /// What is shown; zero when the line item has no creatives.
            creative: CreativeId,
            /// What the line item pays for.
            pays: PriceModelCode,
            /// Which of the request's deals set its floor, from 1 in their order; zero when none did.
            deal: u8,
            /// Zero.
            reserved: Reserved<2>,
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
        /// A bid made elsewhere won a slot. To the session that asked for the auction.
        108 => OutsideWon: 24 {
            /// What it bid for an impression, in the house's currency.
            bid: Nanos,
            /// What an impression costs it by the rule of the placement, its bid in buckets.
            price: Nanos,
            /// Whose bid.
            bidder: u32,
            /// Which slot, from 1.
            slot: u32,
        },
        /// A name has a number. On the stream of names, and its snapshot.
        109 => NameDefined: 120 {
            /// UTF-8, and zeros behind it.
            text: [u8; 112],
            /// Its number.
            value: u32,
            /// What it names.
            dimension: DimensionCode,
            /// Bytes of it.
            length: u8,
            /// Zero.
            reserved: Reserved<2>,
        },
        /// Where a creative stands. On the stream of its campaign.
        110 => CreativeChanged: 16 {
            /// Its number.
            creative: CreativeId,
            /// Of which line item.
            item: LineItemId,
            /// Its phase.
            phase: PhaseCode,
            /// Zero.
            reserved: Reserved<7>,
        },
    }
}
