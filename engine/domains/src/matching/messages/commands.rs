//! What a client may ask.

use super::{
    AllocationCode, AssetId, ClientOrderId, DirectionCode, InstrumentId, KillSwitchCode, OnDisconnectCode,
    OrderFeedCode, OrderTypeCode, PegCode, PhaseCode, Price, Quantity, ScopeCode, SelfTradeCode, SideCode, SidesCode,
    TimeInForceCode, TransferId,
};
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::{Account, Timestamp, messages};

messages! {
    /// What a client may ask.
    pub enum Command in schema 1 version 1 {
        /// Buys or sells at a price or better. Trades at once with what the other side offers, best price first,
        /// oldest order first, at the resting order's price; the rest stays or goes as `time_in_force` says.
        1 => NewOrder: 48 {
            /// The client's number for it, unique in its account while the order is live.
            client_order: ClientOrderId,
            /// The worst price at which it may trade; zero for a market order.
            price: Price,
            /// How much.
            quantity: Quantity,
            /// How much must trade at once for any of it to trade; zero when there is no such minimum.
            minimum: Quantity,
            /// When a good-till-date order ends, in nanoseconds since 1970; zero for any other.
            expires: Timestamp,
            /// What to trade.
            instrument: InstrumentId,
            /// Buy or sell.
            side: SideCode,
            /// How long it stays.
            time_in_force: TimeInForceCode,
            /// At which price it trades and rests.
            order_type: OrderTypeCode,
            /// What becomes of it when the session of its account closes.
            on_disconnect: OnDisconnectCode,
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
        6 => DefineInstrument: 56 {
            /// The lowest price of an order, a multiple of the tick.
            price_min: Price,
            /// The highest price of an order, a multiple of the tick.
            price_max: Price,
            /// Prices are multiples of this.
            tick: Price,
            /// Quantities are multiples of this.
            lot: Quantity,
            /// How far from the other side's best price a market order trades: a multiple of the tick, zero or more.
            protection: Price,
            /// When its day ends, in nanoseconds after midnight UTC: below 86,400 · 10⁹.
            day_end: u64,
            /// Its number, from 1.
            instrument: InstrumentId,
            /// Decimal digits of a price after the point, 18 at most. The engine only repeats them.
            price_decimals: u8,
            /// Zero.
            reserved: Reserved<3>,
        },
        /// Takes out of the books every order that all of this describes. Answered by [`super::OrdersCancelled`].
        7 => MassCancel: 32 {
            /// The lowest price.
            price_min: Price,
            /// The highest price.
            price_max: Price,
            /// Orders of this instrument; of every one when zero.
            instrument: InstrumentId,
            /// The account, when the scope is one account; else zero.
            account: Account,
            /// Whose orders.
            scope: ScopeCode,
            /// Of which side.
            sides: SidesCode,
            /// Zero.
            reserved: Reserved<6>,
        },
        /// Takes all orders of an account out of the books and keeps it from entering others, or lets it enter them
        /// again. An account may set its own; an operator may set any, and alone lets it trade again.
        8 => SetKillSwitch: 8 {
            /// The account, when the scope is one account; else zero.
            account: Account,
            /// Whose switch: not everyone's.
            scope: ScopeCode,
            /// On or off.
            kill_switch: KillSwitchCode,
            /// Zero.
            reserved: Reserved<2>,
        },
        /// Says what becomes of all orders of the account when this session closes, whatever each of them says.
        9 => SetOnDisconnect: 8 {
            /// To keep is to go by what each order says.
            on_disconnect: OnDisconnectCode,
            /// Zero.
            reserved: Reserved<7>,
        },
        /// Says what happens when an order of the account comes in and meets one of the same hands, and who these are.
        10 => SetSelfTrade: 16 {
            /// Which account.
            account: Account,
            /// Accounts of one group are of the same hands. Zero is none: the account is alone.
            group: u32,
            /// What happens.
            self_trade: SelfTradeCode,
            /// Zero.
            reserved: Reserved<7>,
        },
        /// Enters an order that waits until the instrument trades at a price, and then comes in.
        11 => NewStop: 56 {
            /// The client's number for it, unique in its account while the order is live.
            client_order: ClientOrderId,
            /// It is triggered by a trade at this price or beyond: above it to buy, below it to sell.
            trigger: Price,
            /// The worst price at which it may then trade; zero when it becomes a market order.
            price: Price,
            /// How far the trigger follows the last trade's price, never away from it; zero when it stays.
            trail: Price,
            /// How much.
            quantity: Quantity,
            /// When a good-till-date order ends, in nanoseconds since 1970; zero for any other.
            expires: Timestamp,
            /// What to trade.
            instrument: InstrumentId,
            /// Buy or sell.
            side: SideCode,
            /// How long it stays. It waits as long as a good-till-cancelled order if it is not to rest when it comes in.
            time_in_force: TimeInForceCode,
            /// What it becomes: a limit, a market or a market-to-limit order.
            order_type: OrderTypeCode,
            /// What becomes of it when the session of its account closes.
            on_disconnect: OnDisconnectCode,
        },
        /// Makes it another phase of an instrument. Where orders were collected for a price, they trade at it first.
        12 => SetPhase: 8 {
            /// Which instrument.
            instrument: InstrumentId,
            /// Its phase from now on.
            phase: PhaseCode,
            /// Zero.
            reserved: Reserved<3>,
        },
        /// Says how far prices may go from others.
        13 => SetBands: 40 {
            /// The price that the static band is about, until an auction makes another.
            reference: Price,
            /// How far from the reference an order's price may be; zero when there is no such band.
            static_band: Price,
            /// How far from the last trade an order may trade before an auction comes between; zero when it may always.
            dynamic_band: Price,
            /// How long that auction is, in nanoseconds.
            volatility_length: u64,
            /// Which instrument.
            instrument: InstrumentId,
            /// Zero.
            reserved: Reserved<4>,
        },
        /// Says at which times of each day an instrument's phase changes by itself; no entries: never.
        14 => SetSchedule: 8 {
            /// Which instrument.
            instrument: InstrumentId,
            /// Zero.
            reserved: Reserved<4>,
        } + entries: ScheduleEntry: 16 {
            /// The time of day, in nanoseconds after midnight UTC: each later than the one before.
            time: u64,
            /// The phase from then on: not an auction for volatility.
            phase: PhaseCode,
            /// Zero.
            reserved: Reserved<7>,
        },
        /// Enters a limit order that displays only a part of itself, or nothing. Trades at once as a [`NewOrder`] does.
        /// Answered by [`super::OrderAccepted`].
        15 => NewReserve: 56 {
            /// The client's number for it, unique in its account while the order is live.
            client_order: ClientOrderId,
            /// The worst price at which it may trade.
            price: Price,
            /// How much.
            quantity: Quantity,
            /// How much of it is displayed at a time; zero when it displays nothing.
            display: Quantity,
            /// How much it trades with one order at least; all of it for all or none, zero when there is no such
            /// minimum. Only of one that displays nothing.
            minimum: Quantity,
            /// When a good-till-date order ends, in nanoseconds since 1970; zero for any other.
            expires: Timestamp,
            /// What to trade.
            instrument: InstrumentId,
            /// Buy or sell.
            side: SideCode,
            /// How long it stays.
            time_in_force: TimeInForceCode,
            /// What becomes of it when the session of its account closes.
            on_disconnect: OnDisconnectCode,
            /// Zero.
            reserved: Reserved<1>,
        },
        /// Asks for one of the account's live orders. Answered by [`super::OrderReport`], or declined as a change would be.
        16 => GetOrder: 8 {
            /// Which of the account's orders.
            client_order: ClientOrderId,
        },
        /// Asks for all live orders of the account: each is told to the session, as it was entered, before the answer.
        17 => GetOpenOrders: 8 {
            /// Zero.
            reserved: Reserved<8>,
        },
        /// Asks for what holds for the account.
        18 => GetAccount: 8 {
            /// Zero.
            reserved: Reserved<8>,
        },
        /// Asks for the levels of a book: each is told to the session, bids and then asks, best first, before the answer.
        19 => GetBook: 8 {
            /// Which instrument.
            instrument: InstrumentId,
            /// Levels of each side at most.
            depth: u16,
            /// Zero.
            reserved: Reserved<2>,
        },
        /// Asks for what an instrument has traded on its day that goes on.
        20 => GetStatistics: 8 {
            /// Which instrument.
            instrument: InstrumentId,
            /// Zero.
            reserved: Reserved<4>,
        },
        /// Says up to what the orders of an account are let in. Zero is no limit.
        21 => SetLimits: 24 {
            /// The largest quantity of one.
            order_quantity: Quantity,
            /// The largest product of its price and its quantity, whatever the sign.
            order_value: u64,
            /// Which account.
            account: Account,
            /// How many may stand or wait at once.
            orders: u32,
        },
        /// Says how what comes in is shared among the orders at a price.
        22 => SetAllocation: 16 {
            /// A share below this is none: a multiple of the lot, zero when there is no such minimum.
            minimum: Quantity,
            /// Which instrument.
            instrument: InstrumentId,
            /// By time, or by what each displays.
            allocation: AllocationCode,
            /// Zero.
            reserved: Reserved<3>,
        },
        /// Says from which prices on prices are multiples of other ticks; no bands: the instrument's own everywhere.
        23 => SetTicks: 8 {
            /// Which instrument.
            instrument: InstrumentId,
            /// Zero.
            reserved: Reserved<4>,
        } + bands: TickBand: 16 {
            /// The first price of the band, a multiple of its tick: each higher than the one before.
            from: Price,
            /// Its tick, a multiple of the instrument's.
            tick: Price,
        },
        /// Says in what an instrument is settled, while it has no orders. Saying the same again is answered again; other
        /// terms are refused.
        24 => SetSettlement: 40 {
            /// How much of the base a unit of quantity is.
            base_unit: u64,
            /// How much of the quote a unit of price times quantity is.
            quote_unit: u64,
            /// What is bought and sold.
            base: AssetId,
            /// In what it is paid.
            quote: AssetId,
            /// The fee of the order that rested, in millionths of what is paid; below zero it is given.
            maker_fee: i32,
            /// The fee of the order that came in.
            taker_fee: i32,
            /// Which instrument.
            instrument: InstrumentId,
            /// Zero.
            reserved: Reserved<4>,
        },
        /// Brings an asset to an account from outside, or takes it out. Made once, however often it is said.
        25 => Transfer: 32 {
            /// Its number, above that of the account's transfer before.
            transfer: TransferId,
            /// How much.
            amount: u64,
            /// Whose.
            account: Account,
            /// Of what.
            asset: AssetId,
            /// In or out.
            direction: DirectionCode,
            /// Zero.
            reserved: Reserved<7>,
        },
        /// Says up to how much of an asset an account may have, with what its orders to buy would bring.
        26 => SetHoldingLimit: 16 {
            /// How much; zero is no limit.
            limit: u64,
            /// Whose.
            account: Account,
            /// Of what.
            asset: AssetId,
        },
        /// Asks for what the account has: each balance is told to the session before the answer.
        27 => GetBalances: 8 {
            /// Zero.
            reserved: Reserved<8>,
        },
        /// Says whether an instrument's stream of orders is said.
        29 => SetOrderFeed: 8 {
            /// Which instrument.
            instrument: InstrumentId,
            /// Whether it is.
            feed: OrderFeedCode,
            /// Zero.
            reserved: Reserved<3>,
        },
        /// Says who gets a drop copy of what happens to the orders of an account. All accounts of one reader are a group.
        30 => SetDropCopy: 8 {
            /// Which account.
            account: Account,
            /// The client who gets it; zero when nobody does.
            reader: Account,
        },
        /// Changes a stop that waits for its trigger. Less quantity, and nothing else, keeps its place at its trigger; any
        /// other change puts it behind all others there. Answered by [`super::OrderReplaced`].
        31 => ReplaceStop: 40 {
            /// Which of the account's stops.
            client_order: ClientOrderId,
            /// The new trigger.
            trigger: Price,
            /// The new worst price at which it may then trade; zero when it becomes a market order.
            price: Price,
            /// How far the trigger follows from now on; zero when it stays. A stop that trails goes on trailing.
            trail: Price,
            /// The new quantity.
            quantity: Quantity,
        },
        /// Changes an order that displays only a part of itself, or nothing. Less quantity, and nothing else, keeps its
        /// place in the queue; any other change takes it out and lets it come in again. Answered by
        /// [`super::OrderReplaced`].
        32 => ReplaceReserve: 40 {
            /// Which of the account's orders.
            client_order: ClientOrderId,
            /// The new price.
            price: Price,
            /// The new quantity of the whole order, what it traded already included.
            quantity: Quantity,
            /// How much of it is displayed at a time from now on; zero when it displays nothing.
            display: Quantity,
            /// How much it trades with one order at least; zero when there is no such minimum. Only of one that displays
            /// nothing.
            minimum: Quantity,
        },
        /// Enters an order that follows a displayed price. Answered by [`super::OrderAccepted`].
        33 => NewPeg: 56 {
            /// The client's number for it, unique in its account while the order is live.
            client_order: ClientOrderId,
            /// The worst price at which it may trade.
            price: Price,
            /// How far from what it follows it stands: towards the other side, away from it when below zero. Zero of one
            /// that follows the middle, below zero of one that is displayed and follows the other side.
            offset: Price,
            /// How much.
            quantity: Quantity,
            /// How much it trades with one order at least; all of it for all or none, zero when there is no such minimum, and
            /// when it is displayed.
            minimum: Quantity,
            /// When a good-till-date order ends, in nanoseconds since 1970; zero for any other.
            expires: Timestamp,
            /// What to trade.
            instrument: InstrumentId,
            /// Buy or sell.
            side: SideCode,
            /// How long it stays.
            time_in_force: TimeInForceCode,
            /// What it follows, and whether it is displayed.
            peg: PegCode,
            /// What becomes of it when the session of its account closes.
            on_disconnect: OnDisconnectCode,
        },
        /// Asks for what there is of an asset.
        28 => GetAsset: 8 {
            /// Which.
            asset: AssetId,
            /// Zero.
            reserved: Reserved<4>,
        },
    }
}
