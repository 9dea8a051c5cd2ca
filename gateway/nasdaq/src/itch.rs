//! ITCH 5.0: market data. Everything is sequenced.
//!
//! Each message names its stock by a number first, its *locate*. Prices have four decimal digits.

use crate::layout::{Nanos48, Text, layouts};

/// The codes of fields, as the specification names them.
pub mod code {
    /// System event: messages start.
    pub const START_OF_MESSAGES: u8 = b'O';
    /// System event: system hours start.
    pub const START_OF_SYSTEM: u8 = b'S';
    /// System event: market hours start.
    pub const START_OF_MARKET: u8 = b'Q';
    /// System event: market hours end.
    pub const END_OF_MARKET: u8 = b'M';
    /// System event: system hours end.
    pub const END_OF_SYSTEM: u8 = b'E';
    /// System event: messages end.
    pub const END_OF_MESSAGES: u8 = b'C';

    /// Trading state: it trades.
    pub const TRADING: u8 = b'T';
    /// Trading state: orders come in, nothing trades.
    pub const QUOTATION: u8 = b'Q';
    /// Trading state: it is paused.
    pub const PAUSED: u8 = b'P';
    /// Trading state: it is halted.
    pub const HALTED: u8 = b'H';

    /// Cross type: the opening auction.
    pub const OPENING: u8 = b'O';
    /// Cross type: the closing auction.
    pub const CLOSING: u8 = b'C';
    /// Cross type: an auction behind a halt or a pause.
    pub const HALT: u8 = b'H';

    /// Imbalance: more would be bid.
    pub const BUY_IMBALANCE: u8 = b'B';
    /// Imbalance: more would be asked.
    pub const SELL_IMBALANCE: u8 = b'S';
    /// Imbalance: none.
    pub const NO_IMBALANCE: u8 = b'N';
    /// Imbalance: nothing would trade.
    pub const INSUFFICIENT: u8 = b'O';

    /// A bid.
    pub const BUY: u8 = b'B';
    /// An ask.
    pub const SELL: u8 = b'S';
    /// Not printed: the cross is.
    pub const NON_PRINTABLE: u8 = b'N';
    /// Less than a hundredth.
    pub const NO_VARIATION: u8 = b'L';
}

layouts! {
    /// What is said.
    pub enum Message {
        /// The day begins or ends.
        b'S' => SystemEvent: 12 {
            /// Zero.
            locate: u16,
            /// Zero.
            tracking: u16,
            /// When.
            timestamp: Nanos48,
            /// What.
            event: u8,
        }
        /// A stock that is traded.
        b'R' => StockDirectory: 39 {
            /// Its number.
            locate: u16,
            /// Zero.
            tracking: u16,
            /// When.
            timestamp: Nanos48,
            /// Its name.
            stock: Text<8>,
            /// Where it is listed.
            market_category: u8,
            /// Whether its issuer is sound.
            financial_status: u8,
            /// Shares of a round lot.
            round_lot: u32,
            /// Whether it trades in round lots alone.
            round_lots_only: u8,
            /// What it is.
            classification: u8,
            /// What it is, more exactly.
            subtype: Text<2>,
            /// Whether it is real.
            authenticity: u8,
            /// Whether short sales are restricted.
            short_sale: u8,
            /// Whether it is newly listed.
            ipo: u8,
            /// Its tier of price limits.
            tier: u8,
            /// Whether it is a fund.
            fund: u8,
            /// Its leverage.
            leverage: u32,
            /// Whether it is inverse.
            inverse: u8,
        }
        /// What may be done with a stock now.
        b'H' => TradingAction: 25 {
            /// Which.
            locate: u16,
            /// Zero.
            tracking: u16,
            /// When.
            timestamp: Nanos48,
            /// Its name.
            stock: Text<8>,
            /// What.
            state: u8,
            /// Zero.
            reserved: u8,
            /// Why.
            reason: Text<4>,
        }
        /// An order stands.
        b'A' => AddOrder: 36 {
            /// Of which stock.
            locate: u16,
            /// Zero.
            tracking: u16,
            /// When.
            timestamp: Nanos48,
            /// Its number.
            reference: u64,
            /// Bid or ask.
            side: u8,
            /// How much is displayed.
            shares: u32,
            /// Of what.
            stock: Text<8>,
            /// Its price.
            price: u32,
        }
        /// An order stands, and whose it is.
        b'F' => AddAttributed: 40 {
            /// Of which stock.
            locate: u16,
            /// Zero.
            tracking: u16,
            /// When.
            timestamp: Nanos48,
            /// Its number.
            reference: u64,
            /// Bid or ask.
            side: u8,
            /// How much is displayed.
            shares: u32,
            /// Of what.
            stock: Text<8>,
            /// Its price.
            price: u32,
            /// Whose.
            attribution: Text<4>,
        }
        /// An order traded at its price.
        b'E' => OrderExecuted: 31 {
            /// Of which stock.
            locate: u16,
            /// Zero.
            tracking: u16,
            /// When.
            timestamp: Nanos48,
            /// Which order.
            reference: u64,
            /// How much.
            shares: u32,
            /// The trade's number.
            match_number: u64,
        }
        /// An order traded at another price.
        b'C' => ExecutedWithPrice: 36 {
            /// Of which stock.
            locate: u16,
            /// Zero.
            tracking: u16,
            /// When.
            timestamp: Nanos48,
            /// Which order.
            reference: u64,
            /// How much.
            shares: u32,
            /// The trade's number.
            match_number: u64,
            /// Whether it counts as volume.
            printable: u8,
            /// At which price.
            price: u32,
        }
        /// Some of an order was taken out.
        b'X' => OrderCancel: 23 {
            /// Of which stock.
            locate: u16,
            /// Zero.
            tracking: u16,
            /// When.
            timestamp: Nanos48,
            /// Which order.
            reference: u64,
            /// How much.
            shares: u32,
        }
        /// An order is gone.
        b'D' => OrderDelete: 19 {
            /// Of which stock.
            locate: u16,
            /// Zero.
            tracking: u16,
            /// When.
            timestamp: Nanos48,
            /// Which order.
            reference: u64,
        }
        /// An order stands in the place of another.
        b'U' => OrderReplace: 35 {
            /// Of which stock.
            locate: u16,
            /// Zero.
            tracking: u16,
            /// When.
            timestamp: Nanos48,
            /// The one that went.
            reference: u64,
            /// The one that came.
            new_reference: u64,
            /// How much is displayed.
            shares: u32,
            /// Its price.
            price: u32,
        }
        /// A trade with an order that was not displayed.
        b'P' => Trade: 44 {
            /// Of which stock.
            locate: u16,
            /// Zero.
            tracking: u16,
            /// When.
            timestamp: Nanos48,
            /// Zero.
            reference: u64,
            /// Always a bid.
            side: u8,
            /// How much.
            shares: u32,
            /// Of what.
            stock: Text<8>,
            /// At which price.
            price: u32,
            /// The trade's number.
            match_number: u64,
        }
        /// What an auction traded.
        b'Q' => CrossTrade: 40 {
            /// Of which stock.
            locate: u16,
            /// Zero.
            tracking: u16,
            /// When.
            timestamp: Nanos48,
            /// How much.
            shares: u64,
            /// Of what.
            stock: Text<8>,
            /// At which price.
            price: u32,
            /// The trade's number.
            match_number: u64,
            /// Which auction.
            cross: u8,
        }
        /// What an auction would trade.
        b'I' => Imbalance: 50 {
            /// Of which stock.
            locate: u16,
            /// Zero.
            tracking: u16,
            /// When.
            timestamp: Nanos48,
            /// How much.
            paired: u64,
            /// How much more would be bid or asked.
            imbalance: u64,
            /// Bid or asked.
            direction: u8,
            /// Of what.
            stock: Text<8>,
            /// The price of orders for the auction alone.
            far: u32,
            /// The price of all orders.
            near: u32,
            /// The price at which this is said.
            reference: u32,
            /// Which auction.
            cross: u8,
            /// How far the near price is from the reference.
            variation: u8,
        }
    }
}
