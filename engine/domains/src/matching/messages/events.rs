//! What the matching domain says beside the answer.

use super::{
    AssetId, ClientOrderId, CloseReasonCode, ExecutionCode, InstrumentId, LiquidityCode, OrderId, OrderTypeCode,
    PhaseCode, Price, PriorityCode, Quantity, SideCode, TimeInForceCode, TradeId,
};
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::{Account, Timestamp, messages};

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
        106 => OpenOrder: 64 {
            /// The engine's number of it.
            order: OrderId,
            /// The client's.
            client_order: ClientOrderId,
            /// Its price.
            price: Price,
            /// How much of it has traded.
            filled: Quantity,
            /// How much is open, displayed or not.
            remaining: Quantity,
            /// How much of that is not displayed.
            hidden: Quantity,
            /// When it ends; zero when it does not by itself.
            expires: Timestamp,
            /// What it trades.
            instrument: InstrumentId,
            /// On which side.
            side: SideCode,
            /// As which type it came in. What is left of a market order rests, and is replaced, as a limit order.
            order_type: OrderTypeCode,
            /// Zero.
            reserved: Reserved<2>,
        },
        /// An order of the account is less, so that it would not trade with one of the same hands. On the account's
        /// stream.
        107 => OrderDecremented: 32 {
            /// The engine's number of it.
            order: OrderId,
            /// The client's.
            client_order: ClientOrderId,
            /// How much was taken out.
            decremented: Quantity,
            /// How much is open after it.
            remaining: Quantity,
        },
        /// A stop of the account came in. On the account's stream; its fills follow, and its end if it ends.
        108 => StopTriggered: 40 {
            /// The engine's number of it.
            order: OrderId,
            /// The client's.
            client_order: ClientOrderId,
            /// Its trigger.
            trigger: Price,
            /// The worst price at which it may trade: its own, or the one found for it; zero when none was found.
            price: Price,
            /// How much of it comes in.
            quantity: Quantity,
        },
        /// A stop of the account that waits. Only in snapshots of the account's stream.
        109 => OpenStop: 64 {
            /// The engine's number of it.
            order: OrderId,
            /// The client's.
            client_order: ClientOrderId,
            /// Its trigger.
            trigger: Price,
            /// The worst price at which it may then trade; zero when it becomes a market order.
            price: Price,
            /// How far the trigger follows; zero when it stays.
            trail: Price,
            /// How much waits.
            quantity: Quantity,
            /// When it ends; zero when it does not by itself.
            expires: Timestamp,
            /// What it trades.
            instrument: InstrumentId,
            /// On which side.
            side: SideCode,
            /// What it becomes.
            order_type: OrderTypeCode,
            /// How long it then stays.
            time_in_force: TimeInForceCode,
            /// Zero.
            reserved: Reserved<1>,
        },
        /// What an auction would trade if it ended now; all zero when nothing would, or there is none. On the
        /// instrument's stream of auctions.
        110 => AuctionIndication: 32 {
            /// At which price.
            price: Price,
            /// How much.
            quantity: Quantity,
            /// How much more would be bid at it.
            bid_surplus: Quantity,
            /// How much more would be asked at it.
            ask_surplus: Quantity,
        },
        /// The instrument has another phase. On its stream of phases.
        111 => PhaseChanged: 8 {
            /// Its phase from now on.
            phase: PhaseCode,
            /// Zero.
            reserved: Reserved<7>,
        },
        /// A trade of the account's order was settled. On the account's stream, behind the fills.
        112 => Settled: 40 {
            /// The engine's number of the account's order.
            order: OrderId,
            /// The trade.
            trade: TradeId,
            /// What was paid for it, by the buyer to the seller.
            amount: u64,
            /// What it cost the account beside; below zero it was given.
            fee: i64,
            /// In what both are.
            asset: AssetId,
            /// Zero.
            reserved: Reserved<4>,
        },
        /// What the account has of an asset. Only in reports.
        113 => BalanceSaid: 40 {
            /// What it may use.
            free: u64,
            /// What its orders hold.
            held: u64,
            /// What its orders to buy would bring.
            incoming: u64,
            /// Up to what it may have all three together; zero when there is no such limit.
            limit: u64,
            /// Of what.
            asset: AssetId,
            /// Zero.
            reserved: Reserved<4>,
        },
        /// What an order displays now. On the instrument's stream of orders.
        114 => OrderShown: 32 {
            /// The engine's number of it.
            order: OrderId,
            /// Its price.
            price: Price,
            /// How much; zero when it is out of the book.
            quantity: Quantity,
            /// On which side.
            side: SideCode,
            /// Whether it stands where it stood, or behind all others at its price.
            priority: PriorityCode,
            /// Zero.
            reserved: Reserved<6>,
        },
        /// What happened to an order of a group of accounts. On the drop copy of the group.
        115 => ExecutionReport: 80 {
            /// The engine's number of it.
            order: OrderId,
            /// The client's.
            client_order: ClientOrderId,
            /// The trade; zero when it is none.
            trade: TradeId,
            /// Its own price; the trigger of a stop that waits, zero when none was found for one that was triggered.
            price: Price,
            /// The price of the trade; zero when it is none.
            last_price: Price,
            /// How much traded, or was taken out; else zero.
            quantity: Quantity,
            /// How much of it has traded since it was entered.
            filled: Quantity,
            /// How much of it is open now.
            remaining: Quantity,
            /// Whose it is.
            account: Account,
            /// What it trades.
            instrument: InstrumentId,
            /// On which side.
            side: SideCode,
            /// What happened.
            execution: ExecutionCode,
            /// Zero.
            reserved: Reserved<6>,
        },
    }
}
