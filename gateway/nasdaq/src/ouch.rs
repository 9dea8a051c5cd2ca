//! OUCH 4.2: orders. What comes is [`Inbound`], unsequenced; what is said is [`Outbound`], sequenced.
//!
//! Timestamps are nanoseconds after midnight, prices have four decimal digits, shares count units of quantity.

use crate::layout::{Text, layouts};

/// A client's name of an order, of a day and an account.
pub type Token = Text<14>;

/// The highest price of an order: 199,999.9900.
pub const PRICE_MAX: u32 = 1_999_999_900;
/// Shares of an order are fewer than this.
pub const SHARES_END: u32 = 1_000_000;

/// The codes of fields, as the specification names them.
pub mod code {
    /// To buy.
    pub const BUY: u8 = b'B';
    /// To sell.
    pub const SELL: u8 = b'S';
    /// To sell short.
    pub const SELL_SHORT: u8 = b'T';
    /// To sell short, exempt.
    pub const SELL_SHORT_EXEMPT: u8 = b'E';
    /// Displayed, with its owner's name.
    pub const ATTRIBUTABLE: u8 = b'A';
    /// Displayed, without its owner's name.
    pub const ANONYMOUS: u8 = b'Y';
    /// Not displayed.
    pub const NON_DISPLAY: u8 = b'N';
    /// Never trades with what rests.
    pub const POST_ONLY: u8 = b'P';
    /// For continuous trading.
    pub const NO_CROSS: u8 = b'N';
    /// For the opening auction.
    pub const OPENING_CROSS: u8 = b'O';
    /// For the closing auction.
    pub const CLOSING_CROSS: u8 = b'C';
    /// Nothing of it stays.
    pub const IMMEDIATE: u32 = 0;
    /// Until the end of market hours.
    pub const MARKET_HOURS: u32 = 99_998;
    /// Until the end of system hours.
    pub const SYSTEM_HOURS: u32 = 99_999;
    /// The order stands, or traded.
    pub const LIVE: u8 = b'L';
    /// The order was accepted and cancelled at once.
    pub const DEAD: u8 = b'D';
    /// Nothing is said of how it compares with the best prices.
    pub const UNSPECIFIED: u8 = b' ';
    /// The day starts.
    pub const START_OF_DAY: u8 = b'S';
    /// The day ends.
    pub const END_OF_DAY: u8 = b'E';

    /// Liquidity: it rested, displayed.
    pub const ADDED: u8 = b'A';
    /// Liquidity: it rested and was not displayed.
    pub const ADDED_HIDDEN: u8 = b'J';
    /// Liquidity: it came in.
    pub const REMOVED: u8 = b'R';
    /// Liquidity: the opening auction.
    pub const OPENING: u8 = b'O';
    /// Liquidity: the closing auction.
    pub const CLOSING: u8 = b'C';
    /// Liquidity: another auction.
    pub const HALT: u8 = b'H';

    /// Cancelled: it was asked for.
    pub const USER: u8 = b'U';
    /// Cancelled: what did not trade at once.
    pub const IMMEDIATE_OR_CANCEL: u8 = b'I';
    /// Cancelled: its time is over.
    pub const TIMEOUT: u8 = b'T';
    /// Cancelled: by the venue.
    pub const SUPERVISORY: u8 = b'S';
    /// Cancelled: it would have traded with one of the same hands.
    pub const SELF_MATCH: u8 = b'Q';
    /// Cancelled: by the system.
    pub const SYSTEM: u8 = b'Z';
    /// Cancelled: its auction is over.
    pub const CROSS: u8 = b'C';

    /// Rejected: the phase has no place for it.
    pub const HALTED: u8 = b'H';
    /// Rejected: too many shares, or none.
    pub const SHARES: u8 = b'Z';
    /// Rejected: no such stock.
    pub const STOCK: u8 = b'S';
    /// Rejected: not displayed so.
    pub const DISPLAY: u8 = b'D';
    /// Rejected: not for this auction.
    pub const CROSS_TYPE: u8 = b'R';
    /// Rejected: the price.
    pub const PRICE: u8 = b'X';
    /// Rejected: the minimum.
    pub const MINIMUM: u8 = b'N';
    /// Rejected: intermarket sweeps.
    pub const SWEEP: u8 = b'd';
    /// Rejected: more shares than the account's limit.
    pub const SHARES_LIMIT: u8 = b'm';
    /// Rejected: more value than the account's limit.
    pub const VALUE_LIMIT: u8 = b'n';
    /// Rejected: the account may enter none.
    pub const REJECT_ALL: u8 = b'a';
    /// Rejected: anything else.
    pub const OTHER: u8 = b'O';
}

layouts! {
    /// What a client says.
    pub enum Inbound {
        /// Enters an order.
        b'O' => EnterOrder: 49 {
            /// Its name.
            token: Token,
            /// Buy or sell.
            side: u8,
            /// How much.
            shares: u32,
            /// Of what.
            stock: Text<8>,
            /// The worst price.
            price: u32,
            /// Seconds that it stays, or one of three codes.
            time_in_force: u32,
            /// Whose.
            firm: Text<4>,
            /// Whether it is displayed.
            display: u8,
            /// In which capacity.
            capacity: u8,
            /// Whether it is an intermarket sweep.
            sweep: u8,
            /// How much must trade at once.
            minimum: u32,
            /// For which auction.
            cross: u8,
            /// Whether it is a retail customer's.
            customer: u8,
        }
        /// Enters an order in the place of another.
        b'U' => ReplaceOrder: 47 {
            /// The one that goes.
            existing: Token,
            /// The one that comes.
            token: Token,
            /// How much in all, with what has traded.
            shares: u32,
            /// The worst price.
            price: u32,
            /// Seconds that it stays, or one of three codes.
            time_in_force: u32,
            /// Whether it is displayed.
            display: u8,
            /// Whether it is an intermarket sweep.
            sweep: u8,
            /// How much must trade at once.
            minimum: u32,
        }
        /// Makes an order less, or takes it out.
        b'X' => CancelOrder: 19 {
            /// Which.
            token: Token,
            /// How much in all may trade, with what has traded; zero takes it out.
            shares: u32,
        }
        /// Says another side or fewer shares of an order.
        b'M' => ModifyOrder: 20 {
            /// Which.
            token: Token,
            /// The side.
            side: u8,
            /// How much in all.
            shares: u32,
        }
    }
}

layouts! {
    /// What is said to a client.
    pub enum Outbound {
        /// The day starts or ends.
        b'S' => SystemEvent: 10 {
            /// When.
            timestamp: u64,
            /// What.
            event: u8,
        }
        /// The order came in.
        b'A' => Accepted: 66 {
            /// When.
            timestamp: u64,
            /// Which.
            token: Token,
            /// Buy or sell.
            side: u8,
            /// How much.
            shares: u32,
            /// Of what.
            stock: Text<8>,
            /// The worst price, which may be another than was entered.
            price: u32,
            /// How long.
            time_in_force: u32,
            /// Whose.
            firm: Text<4>,
            /// Whether it is displayed.
            display: u8,
            /// The venue's number of it.
            reference: u64,
            /// In which capacity.
            capacity: u8,
            /// Whether it is an intermarket sweep.
            sweep: u8,
            /// How much must trade at once.
            minimum: u32,
            /// For which auction.
            cross: u8,
            /// Whether it lives.
            state: u8,
            /// How it compares with the best prices.
            weight: u8,
        }
        /// The order came in, in the place of another.
        b'U' => Replaced: 80 {
            /// When.
            timestamp: u64,
            /// The one that came.
            token: Token,
            /// Buy or sell.
            side: u8,
            /// How much in all.
            shares: u32,
            /// Of what.
            stock: Text<8>,
            /// The worst price.
            price: u32,
            /// How long.
            time_in_force: u32,
            /// Whose.
            firm: Text<4>,
            /// Whether it is displayed.
            display: u8,
            /// The venue's number of it.
            reference: u64,
            /// In which capacity.
            capacity: u8,
            /// Whether it is an intermarket sweep.
            sweep: u8,
            /// How much must trade at once.
            minimum: u32,
            /// For which auction.
            cross: u8,
            /// Whether it lives.
            state: u8,
            /// The one that went.
            previous: Token,
            /// How it compares with the best prices.
            weight: u8,
        }
        /// Some of the order, or all that was open, was taken out.
        b'C' => Canceled: 28 {
            /// When.
            timestamp: u64,
            /// Which.
            token: Token,
            /// How much was taken out.
            decrement: u32,
            /// Why.
            reason: u8,
        }
        /// Some of the order was taken out so that it would not trade with one of the same hands.
        b'D' => AiqCanceled: 37 {
            /// When.
            timestamp: u64,
            /// Which.
            token: Token,
            /// How much was taken out.
            decrement: u32,
            /// Why.
            reason: u8,
            /// How much would have traded.
            prevented: u32,
            /// At which price.
            price: u32,
            /// Which part it would have taken.
            liquidity: u8,
        }
        /// The order traded.
        b'E' => Executed: 40 {
            /// When.
            timestamp: u64,
            /// Which.
            token: Token,
            /// How much.
            shares: u32,
            /// At which price.
            price: u32,
            /// Which part it took.
            liquidity: u8,
            /// The trade's number.
            match_number: u64,
        }
        /// A trade is taken back.
        b'B' => BrokenTrade: 32 {
            /// When.
            timestamp: u64,
            /// Which order.
            token: Token,
            /// The trade's number.
            match_number: u64,
            /// Why.
            reason: u8,
        }
        /// The order did not come in.
        b'J' => Rejected: 24 {
            /// When.
            timestamp: u64,
            /// Which.
            token: Token,
            /// Why.
            reason: u8,
        }
        /// The order goes when its auction is over.
        b'P' => CancelPending: 23 {
            /// When.
            timestamp: u64,
            /// Which.
            token: Token,
        }
        /// The order cannot be made less or taken out.
        b'I' => CancelReject: 23 {
            /// When.
            timestamp: u64,
            /// Which.
            token: Token,
        }
        /// The order has another place in the book.
        b'T' => PriorityUpdate: 36 {
            /// When.
            timestamp: u64,
            /// Which.
            token: Token,
            /// Its price.
            price: u32,
            /// Whether it is displayed.
            display: u8,
            /// The venue's number of it.
            reference: u64,
        }
        /// The order's side or shares are others.
        b'M' => Modified: 28 {
            /// When.
            timestamp: u64,
            /// Which.
            token: Token,
            /// The side.
            side: u8,
            /// How much in all.
            shares: u32,
        }
    }
}
