//! What answers a command.

use super::{
    AssetId, ClientOrderId, DeclineReasonCode, InstrumentId, KillSwitchCode, OnDisconnectCode, OrderFeedCode, OrderId,
    OrderStateCode, OrderStatusCode, OrderTypeCode, PhaseCode, Price, PriorityCode, Quantity, SelfTradeCode, SideCode,
    TransferId,
};
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::{Account, messages};

messages! {
    /// What answers a command.
    pub enum Reply in schema 1 version 1 {
        /// The order was taken in and has traded what it could.
        51 => OrderAccepted: 48 {
            /// The engine's number for it.
            order: OrderId,
            /// The client's.
            client_order: ClientOrderId,
            /// The worst price at which it may trade: its own, or the one found for it.
            price: Price,
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
        54 => OrderReplaced: 48 {
            /// The engine's number of it, the same as before.
            order: OrderId,
            /// The client's.
            client_order: ClientOrderId,
            /// The worst price at which it may trade: the one asked for, or the one a post-only order slid to; the trigger
            /// of a stop.
            price: Price,
            /// How much of it has traded since it was entered.
            filled: Quantity,
            /// How much rests in the book, or waits.
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
        /// The kill switch is as it was asked to be; each order taken out was named by an [`super::OrderClosed`].
        58 => KillSwitchSet: 24 {
            /// How much was taken out in all.
            cancelled: Quantity,
            /// Whose switch.
            account: Account,
            /// Orders taken out.
            orders: u32,
            /// On or off.
            kill_switch: KillSwitchCode,
            /// Zero.
            reserved: Reserved<7>,
        },
        /// What becomes of the account's orders when the session closes is as it was asked to be.
        59 => OnDisconnectSet: 8 {
            /// As asked.
            on_disconnect: OnDisconnectCode,
            /// Zero.
            reserved: Reserved<7>,
        },
        /// What happens when orders of the same hands meet is as it was asked to be.
        60 => SelfTradeSet: 16 {
            /// Which account.
            account: Account,
            /// Its group.
            group: u32,
            /// What happens.
            self_trade: SelfTradeCode,
            /// Zero.
            reserved: Reserved<7>,
        },
        /// The stop waits for its trigger.
        61 => StopAccepted: 32 {
            /// The engine's number for it.
            order: OrderId,
            /// The client's.
            client_order: ClientOrderId,
            /// Its trigger.
            trigger: Price,
            /// How much waits.
            quantity: Quantity,
        },
        /// The instrument's phase is as it was asked to be.
        62 => PhaseSet: 24 {
            /// The price at which orders traded before it; zero when none did.
            price: Price,
            /// How much traded then.
            quantity: Quantity,
            /// Which instrument.
            instrument: InstrumentId,
            /// Its phase.
            phase: PhaseCode,
            /// Zero.
            reserved: Reserved<3>,
        },
        /// The bands are as they were asked to be.
        63 => BandsSet: 8 {
            /// Which instrument's.
            instrument: InstrumentId,
            /// Zero.
            reserved: Reserved<4>,
        },
        /// The schedule is as it was asked to be.
        64 => ScheduleSet: 8 {
            /// Which instrument's.
            instrument: InstrumentId,
            /// How many changes of phase a day has.
            entries: u32,
        },
        /// A live order.
        65 => OrderReport: 48 {
            /// The engine's number of it.
            order: OrderId,
            /// The client's.
            client_order: ClientOrderId,
            /// Its price; the trigger of a stop.
            price: Price,
            /// How much of it has traded.
            filled: Quantity,
            /// How much is open, displayed or not.
            remaining: Quantity,
            /// What it trades.
            instrument: InstrumentId,
            /// On which side.
            side: SideCode,
            /// As which type it came in, or what a stop becomes.
            order_type: OrderTypeCode,
            /// Where it is.
            state: OrderStateCode,
            /// Zero.
            reserved: Reserved<1>,
        },
        /// All live orders of the account were told.
        66 => OpenOrdersSaid: 8 {
            /// How many.
            orders: u32,
            /// Zero.
            reserved: Reserved<4>,
        },
        /// What holds for the account.
        67 => AccountReport: 16 {
            /// Its live orders.
            orders: u32,
            /// Its group; zero when it is alone.
            group: u32,
            /// Whether it is kept from trading.
            kill_switch: KillSwitchCode,
            /// What becomes of all its orders when its session closes.
            on_disconnect: OnDisconnectCode,
            /// What happens when its orders meet those of the same hands.
            self_trade: SelfTradeCode,
            /// Zero.
            reserved: Reserved<5>,
        },
        /// The levels of the book were told.
        68 => BookSaid: 8 {
            /// Which instrument's.
            instrument: InstrumentId,
            /// How many, of both sides.
            levels: u32,
        },
        /// What an instrument has traded on its day. The price by volume is the turnover divided by the volume.
        69 => StatisticsReport: 64 {
            /// The first price of the day; zero, as all but the last price, when nothing has traded on it.
            open: Price,
            /// The highest.
            high: Price,
            /// The lowest.
            low: Price,
            /// The last price of all, zero before the first.
            last: Price,
            /// How much traded; the largest number there is when it was more.
            volume: Quantity,
            /// In how many trades.
            trades: u64,
            /// The upper half of the turnover, which is the sum of price times quantity in 128 bits.
            turnover_high: i64,
            /// The lower half.
            turnover_low: u64,
        },
        /// How what comes in is shared is as it was asked to be.
        71 => AllocationSet: 8 {
            /// Which instrument's.
            instrument: InstrumentId,
            /// Zero.
            reserved: Reserved<4>,
        },
        /// The table of ticks is as it was asked to be.
        72 => TicksSet: 8 {
            /// Which instrument's.
            instrument: InstrumentId,
            /// How many bands it has.
            bands: u32,
        },
        /// The instrument is settled as it was asked to be.
        73 => SettlementSet: 8 {
            /// Which instrument.
            instrument: InstrumentId,
            /// Zero.
            reserved: Reserved<4>,
        },
        /// The transfer is made, now or before.
        74 => TransferMade: 32 {
            /// Its number.
            transfer: TransferId,
            /// How much.
            amount: u64,
            /// What the account was free to use of the asset after it.
            free: u64,
            /// Whose.
            account: Account,
            /// Of what.
            asset: AssetId,
        },
        /// The transfer was understood and is not made.
        75 => TransferDeclined: 16 {
            /// Its number.
            transfer: TransferId,
            /// Why.
            reason: DeclineReasonCode,
            /// Zero.
            reserved: Reserved<7>,
        },
        /// Up to how much the account may have is as it was asked to be.
        76 => HoldingLimitSet: 8 {
            /// Whose.
            account: Account,
            /// Of what.
            asset: AssetId,
        },
        /// All balances of the account were told.
        77 => BalancesSaid: 8 {
            /// How many.
            balances: u32,
            /// Zero.
            reserved: Reserved<4>,
        },
        /// What there is of an asset.
        78 => AssetReport: 24 {
            /// What was deposited and not withdrawn: all balances and the fees.
            total: u64,
            /// What was taken in fees.
            fees: u64,
            /// Which.
            asset: AssetId,
            /// Zero.
            reserved: Reserved<4>,
        },
        /// Whether the stream of orders is said is as it was asked to be.
        79 => OrderFeedSet: 8 {
            /// Which instrument's.
            instrument: InstrumentId,
            /// As asked.
            feed: OrderFeedCode,
            /// Zero.
            reserved: Reserved<3>,
        },
        /// Who gets the drop copy of an account is as it was asked to be.
        80 => DropCopySet: 8 {
            /// Which account.
            account: Account,
            /// Who gets it; zero when nobody does.
            reader: Account,
        },
        /// The account's limits are as they were asked to be.
        70 => LimitsSet: 8 {
            /// Which account.
            account: Account,
            /// Zero.
            reserved: Reserved<4>,
        },
    }
}
