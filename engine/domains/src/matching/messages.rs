//! What is said to the matching domain and by it.
//!
//! Any change to a field, a number or a code here breaks clients and journals: the schema, the golden vectors and
//! [`super::Matching`]'s version pin them.

use ringfence_kernel::messages::Reserved;
use ringfence_kernel::{Timestamp, choice, limits, messages, newtype, rejects};

newtype! {
    /// What is traded: a dense number from 1 up to the limit of instruments.
    pub struct InstrumentId(u32);
}
newtype! {
    /// The engine's number of an order, counted from 1 over all instruments and never reused.
    pub struct OrderId(u64);
}
newtype! {
    /// A client's own number of an order: unique in its account while the order is live, free again after.
    pub struct ClientOrderId(u64);
}
newtype! {
    /// The engine's number of a trade, counted from 1 over all instruments.
    pub struct TradeId(u64);
}
newtype! {
    /// A price per unit of quantity, in units of 10⁻ᵈ of the currency, d being the instrument's `price_decimals`.
    /// Spreads and the like may trade below zero.
    pub struct Price(i64);
}
newtype! {
    /// How much of an instrument, in its smallest unit.
    pub struct Quantity(u64);
}

/// The largest quantity of one order. With [`ORDERS_MAX`] orders at one price their sum still fits 64 bits.
pub const QUANTITY_MAX: u64 = 1_000_000_000_000;
/// More orders than this no limit may allow.
pub const ORDERS_MAX: u64 = 16_000_000;
/// Orders that one [`CancelMany`] may name: what fits the longest command image.
pub const CANCEL_MANY_MAX: usize = 4_090;

choice! {
    /// Which side of the book.
    pub enum Side as SideCode {
        /// Wants to buy: a bid.
        Buy = 1,
        /// Wants to sell: an ask.
        Sell = 2,
    }
}
choice! {
    /// How long an order stays.
    pub enum TimeInForce as TimeInForceCode {
        /// Until it is filled or cancelled.
        GoodTillCancelled = 1,
        /// What does not trade at once is cancelled at once.
        ImmediateOrCancel = 2,
        /// Until filled or cancelled, at the latest until `expires`.
        GoodTillDate = 3,
    }
}
choice! {
    /// What became of an order.
    pub enum OrderStatus as OrderStatusCode {
        /// Something of it rests in the book.
        Open = 1,
        /// All of it traded.
        Filled = 2,
        /// What did not trade was cancelled.
        Cancelled = 3,
    }
}
choice! {
    /// What a change did to an order's place in the queue.
    pub enum Priority as PriorityCode {
        /// It stands where it stood.
        Kept = 1,
        /// It stands behind all others at its price, or traded.
        Lost = 2,
    }
}
choice! {
    /// Why an order left the book without a request that named it alone.
    pub enum CloseReason as CloseReasonCode {
        /// A request for several orders cancelled it.
        Cancelled = 1,
        /// Its time was over.
        Expired = 2,
    }
}
choice! {
    /// Which part an order took in a trade.
    pub enum Liquidity as LiquidityCode {
        /// It rested in the book.
        Maker = 1,
        /// It came in and traded at once.
        Taker = 2,
    }
}
choice! {
    /// Why a request that was understood had no effect.
    pub enum DeclineReason as DeclineReasonCode {
        /// The account has no live order of that number: it never had, or the order is filled, cancelled or expired.
        UnknownOrder = 1,
        /// The order has traded as much as the quantity asked for, or more. It stays as it is.
        BelowFilled = 2,
    }
}

rejects! {
    /// Why the matching domain refuses a command. Nothing has changed.
    pub enum Reject {
        /// No such instrument is defined.
        UnknownInstrument = 1001,
        /// The account has a live order of that number.
        DuplicateClientOrder = 1002,
        /// The price is outside the instrument's bounds or not a multiple of its tick.
        BadPrice = 1003,
        /// The quantity is zero, above 10¹² or not a multiple of the instrument's lot.
        BadQuantity = 1004,
        /// A good-till-date order must expire later than now; any other order has zero for its expiry.
        BadExpiry = 1005,
        /// The list names no order, or more than 4,090.
        BadList = 1006,
        /// Tick, lot, price bounds or decimals make no sense.
        BadTerms = 1007,
        /// The instrument is defined with other terms.
        InstrumentExists = 1008,
        /// The number of the instrument is zero or above the limit of instruments.
        InstrumentsFull = 1009,
        /// The book holds as many orders as it may. Orders that cannot rest still trade.
        OrdersFull = 1010,
        /// The books hold as many price levels as they may. Orders at existing levels still rest.
        LevelsFull = 1011,
        /// As many accounts have sent orders as may.
        AccountsFull = 1012,
    }
}

limits! {
    /// Capacities of the matching domain.
    pub struct MatchingLimits {
        /// Instruments; their ids run from 1 to this.
        instruments = 1024 in 1..=1_048_576,
        /// Orders in all books at once.
        orders = 1048576 in 1..=ORDERS_MAX,
        /// Price levels in all books at once.
        levels = 262144 in 2..=16_777_216,
        /// Accounts that ever send an order that rests.
        accounts = 65536 in 1..=16_777_216,
    }
}

messages! {
    /// What a client may ask.
    pub enum Command in schema 1 version 1 {
        /// Buys or sells at a price or better. Trades at once with what the other side offers, best price first,
        /// oldest order first, at the resting order's price; the rest stays or goes as `time_in_force` says.
        1 => NewOrder: 40 {
            /// The client's number for it, unique in its account while the order is live.
            client_order: ClientOrderId,
            /// The worst price at which it may trade.
            price: Price,
            /// How much.
            quantity: Quantity,
            /// When a good-till-date order ends, in nanoseconds since 1970; zero for any other.
            expires: Timestamp,
            /// What to trade.
            instrument: InstrumentId,
            /// Buy or sell.
            side: SideCode,
            /// How long it stays.
            time_in_force: TimeInForceCode,
            /// Zero.
            reserved: Reserved<2>,
        },
        /// Takes an order out of the book.
        2 => Cancel: 8 {
            /// Which of the account's orders.
            client_order: ClientOrderId,
        },
        /// Takes several orders out of the books, in the order of the list. Numbers that name no live order are
        /// counted and passed over.
        3 => CancelMany: 8 {
            /// Zero.
            reserved: Reserved<8>,
        } + orders: CancelManyOrder: 8 {
            /// Which of the account's orders.
            client_order: ClientOrderId,
        },
        /// Changes price or quantity of an order. Less quantity at the same price keeps its place in the queue; any
        /// other change puts it behind all others at the new price, after trading with what it now crosses.
        4 => Replace: 24 {
            /// Which of the account's orders.
            client_order: ClientOrderId,
            /// The new price.
            price: Price,
            /// The new quantity of the whole order, what it traded already included.
            quantity: Quantity,
        },
        /// Takes some of an order out of the book; the rest keeps its place in the queue. Taking all that is open,
        /// or more, cancels it.
        5 => Reduce: 16 {
            /// Which of the account's orders.
            client_order: ClientOrderId,
            /// How much to take out.
            quantity: Quantity,
        },
        /// Defines an instrument. Saying the same again is answered again; other terms are refused.
        6 => DefineInstrument: 40 {
            /// The lowest price of an order, a multiple of the tick.
            price_min: Price,
            /// The highest price of an order, a multiple of the tick.
            price_max: Price,
            /// Prices are multiples of this.
            tick: Price,
            /// Quantities are multiples of this.
            lot: Quantity,
            /// Its number, from 1.
            instrument: InstrumentId,
            /// Decimal digits of a price after the point, 18 at most. The engine only repeats them.
            price_decimals: u8,
            /// Zero.
            reserved: Reserved<3>,
        },
    }
}

messages! {
    /// What answers a command.
    pub enum Reply in schema 1 version 1 {
        /// The order was taken in and has traded what it could.
        51 => OrderAccepted: 40 {
            /// The engine's number for it.
            order: OrderId,
            /// The client's.
            client_order: ClientOrderId,
            /// How much traded at once.
            filled: Quantity,
            /// How much rests in the book.
            remaining: Quantity,
            /// What became of it.
            status: OrderStatusCode,
            /// Zero.
            reserved: Reserved<7>,
        },
        /// The order is out of the book.
        52 => OrderCancelled: 32 {
            /// The engine's number of it.
            order: OrderId,
            /// The client's.
            client_order: ClientOrderId,
            /// How much of it traded while it lived.
            filled: Quantity,
            /// How much was taken out.
            cancelled: Quantity,
        },
        /// The orders are out of the books; each was named by an [`OrderClosed`] on the account's stream.
        53 => OrdersCancelled: 16 {
            /// How much was taken out in all.
            cancelled: Quantity,
            /// Orders taken out.
            orders: u32,
            /// Numbers that named no live order.
            unknown: u32,
        },
        /// The order has its new price and quantity and has traded what it could.
        54 => OrderReplaced: 40 {
            /// The engine's number of it, the same as before.
            order: OrderId,
            /// The client's.
            client_order: ClientOrderId,
            /// How much of it has traded since it was entered.
            filled: Quantity,
            /// How much rests in the book.
            remaining: Quantity,
            /// What became of it.
            status: OrderStatusCode,
            /// What became of its place in the queue.
            priority: PriorityCode,
            /// Zero.
            reserved: Reserved<6>,
        },
        /// The order is smaller, or gone when nothing remains.
        55 => OrderReduced: 32 {
            /// The engine's number of it.
            order: OrderId,
            /// The client's.
            client_order: ClientOrderId,
            /// How much of it has traded since it was entered.
            filled: Quantity,
            /// How much rests in the book.
            remaining: Quantity,
        },
        /// The instrument can be traded.
        56 => InstrumentDefined: 8 {
            /// Its number.
            instrument: InstrumentId,
            /// Zero.
            reserved: Reserved<4>,
        },
        /// The request was understood and had no effect.
        57 => Declined: 16 {
            /// The order that was named.
            client_order: ClientOrderId,
            /// Why.
            reason: DeclineReasonCode,
            /// Zero.
            reserved: Reserved<7>,
        },
    }
}

messages! {
    /// What the matching domain says beside the answer.
    pub enum Event in schema 1 version 1 {
        /// Two orders traded. On the instrument's stream of trades.
        101 => Trade: 48 {
            /// Its number.
            trade: TradeId,
            /// The order that rested.
            maker_order: OrderId,
            /// The order that came in.
            taker_order: OrderId,
            /// The resting order's price.
            price: Price,
            /// How much.
            quantity: Quantity,
            /// The side of the order that came in.
            taker_side: SideCode,
            /// Zero.
            reserved: Reserved<7>,
        },
        /// What stands at a price now. On the instrument's stream of levels.
        102 => LevelChanged: 24 {
            /// The price.
            price: Price,
            /// How much is open there; zero when the level is gone.
            quantity: Quantity,
            /// In how many orders.
            orders: u32,
            /// On which side.
            side: SideCode,
            /// Zero.
            reserved: Reserved<3>,
        },
        /// The best prices and what stands there. On the instrument's stream of tops. An empty side has zero
        /// quantity and zero price.
        103 => TopOfBook: 32 {
            /// The highest bid.
            bid_price: Price,
            /// How much is bid there.
            bid_quantity: Quantity,
            /// The lowest ask.
            ask_price: Price,
            /// How much is asked there.
            ask_quantity: Quantity,
        },
        /// An order of the account traded. On the account's stream; the taker's comes before its answer.
        104 => Fill: 64 {
            /// The engine's number of the account's order.
            order: OrderId,
            /// The client's number of it.
            client_order: ClientOrderId,
            /// The engine's number of the order it traded with.
            counter_order: OrderId,
            /// The trade.
            trade: TradeId,
            /// At which price.
            price: Price,
            /// How much.
            quantity: Quantity,
            /// How much of the account's order is open after it.
            remaining: Quantity,
            /// What was traded.
            instrument: InstrumentId,
            /// Whether the account bought or sold.
            side: SideCode,
            /// Whether its order rested or came in.
            liquidity: LiquidityCode,
            /// Zero.
            reserved: Reserved<2>,
        },
        /// An order of the account left the book. On the account's stream.
        105 => OrderClosed: 40 {
            /// The engine's number of it.
            order: OrderId,
            /// The client's.
            client_order: ClientOrderId,
            /// How much of it traded while it lived.
            filled: Quantity,
            /// How much was taken out.
            cancelled: Quantity,
            /// Why.
            reason: CloseReasonCode,
            /// Zero.
            reserved: Reserved<7>,
        },
        /// An order of the account that rests in a book. Only in snapshots of the account's stream.
        106 => OpenOrder: 56 {
            /// The engine's number of it.
            order: OrderId,
            /// The client's.
            client_order: ClientOrderId,
            /// Its price.
            price: Price,
            /// How much of it has traded.
            filled: Quantity,
            /// How much is open.
            remaining: Quantity,
            /// When it ends; zero when it does not by itself.
            expires: Timestamp,
            /// What it trades.
            instrument: InstrumentId,
            /// On which side.
            side: SideCode,
            /// Zero.
            reserved: Reserved<3>,
        },
    }
}

const _: () = assert!(
    CANCEL_MANY_MAX
        == (ringfence_kernel::image::COMMAND_BYTES_MAX - ringfence_kernel::image::COMMAND_HEADER_BYTES - 16) / 8
);

impl Side {
    /// The side that this one trades with.
    #[must_use]
    #[inline]
    pub const fn opposite(self) -> Self {
        match self {
            Self::Buy => Self::Sell,
            Self::Sell => Self::Buy,
        }
    }
}
