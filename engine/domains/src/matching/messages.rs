//! What is said to the matching domain and by it.
//!
//! Any change to a field, a number or a code here breaks clients and journals: the schema, the golden vectors and
//! [`super::Matching`]'s version pin them.

mod commands;
mod events;
mod replies;

pub use commands::{
    Cancel, CancelMany, CancelManyOrder, Command, DefineInstrument, GetAccount, GetAsset, GetBalances, GetBook,
    GetOpenOrders, GetOrder, GetStatistics, MassCancel, NewOrder, NewPeg, NewReserve, NewStop, Reduce, Replace,
    ReplaceReserve, ReplaceStop, ScheduleEntry, SetAllocation, SetBands, SetDropCopy, SetHoldingLimit, SetKillSwitch,
    SetLimits, SetOnDisconnect, SetOrderFeed, SetPhase, SetSchedule, SetSelfTrade, SetSettlement, SetTicks, TickBand,
    Transfer,
};
pub use events::{
    AuctionIndication, BalanceSaid, Event, ExecutionReport, Fill, LevelChanged, OpenOrder, OpenStop, OrderClosed,
    OrderDecremented, OrderShown, PhaseChanged, Settled, StopTriggered, TopOfBook, Trade,
};
pub use replies::{
    AccountReport, AllocationSet, AssetReport, BalancesSaid, BandsSet, BookSaid, Declined, DropCopySet,
    HoldingLimitSet, InstrumentDefined, KillSwitchSet, LimitsSet, OnDisconnectSet, OpenOrdersSaid, OrderAccepted,
    OrderCancelled, OrderFeedSet, OrderReduced, OrderReplaced, OrderReport, OrdersCancelled, PhaseSet, Reply,
    ScheduleSet, SelfTradeSet, SettlementSet, StatisticsReport, StopAccepted, TicksSet, TransferDeclined, TransferMade,
};

use ringfence_kernel::{choice, limits, newtype, rejects};

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

newtype! {
    /// What accounts have, where instruments are settled: a dense number from 1 up to the limit of assets.
    pub struct AssetId(u32);
}
newtype! {
    /// An operator's number of a transfer to or from an account, rising.
    pub struct TransferId(u64);
}

/// The largest quantity of one order. With [`ORDERS_MAX`] orders at one price their sum still fits 64 bits.
pub const QUANTITY_MAX: u64 = 1_000_000_000_000;
/// More orders than this no limit may allow.
pub const ORDERS_MAX: u64 = 16_000_000;
/// Orders that one [`CancelMany`] may name: what fits the longest command image.
pub const CANCEL_MANY_MAX: usize = 4_090;
/// Bands of one [`SetTicks`].
pub const TICKS_MAX: usize = 8;
/// Entries of one [`SetSchedule`].
pub const SCHEDULE_MAX: usize = 8;

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
    /// At which price an order trades, and where it rests. Whatever is found for it is found when it comes in.
    pub enum OrderType as OrderTypeCode {
        /// At its own price or better.
        Limit = 1,
        /// As far as the instrument's protection away from the other side's best price; in an auction at any price.
        Market = 2,
        /// At the other side's best price.
        MarketToLimit = 3,
        /// At its own price, and never against what rests already: it is declined if it would.
        PostOnly = 4,
        /// As post-only, but one tick away from the other side's best price if it would trade.
        PostOnlySlide = 5,
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
        /// All of it trades at once, or nothing.
        FillOrKill = 4,
        /// Until it is filled or cancelled, at the latest until the instrument's day ends.
        Day = 5,
        /// For the opening auction alone.
        AtOpen = 6,
        /// For the closing auction alone.
        AtClose = 7,
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
    /// What becomes of an order when the session of its account closes.
    pub enum OnDisconnect as OnDisconnectCode {
        /// It stays.
        Keep = 1,
        /// It is cancelled.
        Cancel = 2,
    }
}
choice! {
    /// Whose orders.
    pub enum Scope as ScopeCode {
        /// The asker's own.
        Own = 1,
        /// Those of the account that is named. For operators.
        Account = 2,
        /// All accounts'. For operators.
        Everyone = 3,
    }
}
choice! {
    /// Orders of which side.
    pub enum Sides as SidesCode {
        /// Bids.
        Buy = 1,
        /// Asks.
        Sell = 2,
        /// Both.
        Both = 3,
    }
}
choice! {
    /// Whether an account is kept from trading.
    pub enum KillSwitch as KillSwitchCode {
        /// It trades.
        Off = 1,
        /// It has no orders and enters none.
        On = 2,
    }
}
choice! {
    /// What happens when an order that comes in meets one of the same hands: of its account, or of its account's group.
    pub enum SelfTrade as SelfTradeCode {
        /// They trade.
        Allow = 1,
        /// The one that comes in is cancelled.
        CancelNewest = 2,
        /// The one that rests is cancelled, and the other goes on.
        CancelOldest = 3,
        /// Both are cancelled.
        CancelBoth = 4,
        /// Both are made less by the quantity that would have traded; the one that has nothing left is cancelled.
        DecrementAndCancel = 5,
    }
}
choice! {
    /// Why an order left the book without a request that named it alone.
    pub enum CloseReason as CloseReasonCode {
        /// A request for several orders cancelled it.
        Cancelled = 1,
        /// Its time was over.
        Expired = 2,
        /// The account's kill switch was set.
        KillSwitch = 3,
        /// The account's session closed.
        Disconnected = 4,
        /// It would have traded with one of the same hands.
        SelfTrade = 5,
        /// It was triggered, and what did not trade at once was not to rest.
        Unfilled = 6,
        /// It was triggered, and a market order found nothing on the other side.
        NoLiquidity = 7,
        /// It was triggered, and less than all of it was offered at its price or better.
        BelowMinimum = 8,
        /// It was triggered, or follows the market, and the books hold as many price levels as they may.
        LevelsFull = 9,
        /// The auction that it was for is over.
        AuctionOver = 10,
        /// It was triggered, and its instrument's phase has no place for it.
        PhaseForbids = 11,
        /// It was triggered, and its account had not what it needs, or no place for what it would bring.
        NoFunds = 12,
        /// Its instrument was delisted.
        Delisted = 13,
    }
}
choice! {
    /// What may be done with an instrument at the time.
    pub enum Phase as PhaseCode {
        /// Orders trade as they come in.
        Continuous = 1,
        /// Orders come in and stand; nothing trades.
        PreOpen = 2,
        /// Orders come in and stand until the day's trading is opened at one price.
        OpeningAuction = 3,
        /// The same, in the middle of the day.
        IntradayAuction = 4,
        /// The same, for the day's last price.
        ClosingAuction = 5,
        /// The same, after an order would have traded too far from the last trade.
        VolatilityAuction = 6,
        /// Orders can be cancelled and reduced, and nothing else.
        Halted = 7,
        /// The same, outside the hours of trading.
        Closed = 8,
        /// It is known, and nothing has come in or traded yet.
        Announced = 9,
        /// It is traded no more, for good: it has no orders and no other phase.
        Delisted = 10,
    }
}
choice! {
    /// Whether each order of a book is market data.
    pub enum OrderFeed as OrderFeedCode {
        /// It is not.
        Off = 1,
        /// It is.
        On = 2,
    }
}
choice! {
    /// What happened to an order, as a drop copy says it.
    pub enum Execution as ExecutionCode {
        /// It came in, or waits for its trigger.
        Entered = 1,
        /// Some of it traded.
        Traded = 2,
        /// It has another price, another trigger or another quantity.
        Replaced = 3,
        /// It is less.
        Reduced = 4,
        /// It was a stop, and was triggered.
        Triggered = 5,
        /// What was open of it is cancelled.
        Cancelled = 6,
        /// The same, because its time was over.
        Expired = 7,
        /// It is open. Only in snapshots.
        Standing = 8,
    }
}
choice! {
    /// Which displayed price an order follows, of orders that are not pegged, and whether it is displayed itself.
    pub enum Peg as PegCode {
        /// The best of its own side; it is not displayed.
        Primary = 1,
        /// The best of the other side; it is not displayed.
        Market = 2,
        /// The middle between both; it is not displayed.
        Midpoint = 3,
        /// The best of its own side; it is displayed.
        PrimaryDisplayed = 4,
        /// The best of the other side; it is displayed, at least a tick away from that.
        MarketDisplayed = 5,
    }
}
choice! {
    /// Which way a transfer goes.
    pub enum Direction as DirectionCode {
        /// To the account.
        Deposit = 1,
        /// From the account.
        Withdrawal = 2,
    }
}
choice! {
    /// How what comes in is shared among the orders at a price.
    pub enum Allocation as AllocationCode {
        /// Oldest first.
        PriceTime = 1,
        /// Each has its share by what it displays; what is left goes by time.
        ProRata = 2,
        /// The same, after the order that bettered the market.
        ProRataTop = 3,
    }
}
choice! {
    /// Where a live order is.
    pub enum OrderState as OrderStateCode {
        /// It stands in the book, displayed or not.
        Resting = 1,
        /// It is a stop and waits for its trigger.
        Waiting = 2,
        /// It is pegged, and there is no price for it, or trading is not continuous.
        Parked = 3,
    }
}
choice! {
    /// Which part an order took in a trade.
    pub enum Liquidity as LiquidityCode {
        /// It rested in the book.
        Maker = 1,
        /// It came in and traded at once.
        Taker = 2,
        /// It traded at the price of an auction.
        Auction = 3,
    }
}
choice! {
    /// Why a request that was understood had no effect.
    pub enum DeclineReason as DeclineReasonCode {
        /// The account has no live order of that number: it never had, or what became of it is not remembered.
        UnknownOrder = 1,
        /// The order has traded as much as the quantity asked for, or more. It stays as it is.
        BelowFilled = 2,
        /// A post-only order would trade, and no price is left to slide to.
        WouldTrade = 3,
        /// A market order finds nothing on the other side.
        NoLiquidity = 4,
        /// Less than the order's minimum is offered at its price or better.
        BelowMinimum = 5,
        /// The account's kill switch is on.
        KillSwitch = 6,
        /// The order is filled.
        Filled = 7,
        /// The order is cancelled, or its time is over.
        Cancelled = 8,
        /// The last trade's price would trigger the stop at once.
        WouldTrigger = 9,
        /// The order is a stop that waits for its trigger: it is replaced as a stop.
        Waiting = 10,
        /// The instrument's phase has no place for it.
        PhaseForbids = 11,
        /// Its price is farther from the reference price than the static band.
        OutsideBand = 12,
        /// The order displays only a part of it, or nothing: it is replaced as such a one.
        HasReserve = 13,
        /// Its quantity is above the account's limit.
        AboveQuantity = 14,
        /// Its price times its quantity is above the account's limit.
        AboveValue = 15,
        /// As many of the account's orders stand or wait as its limit lets.
        TooManyOrders = 16,
        /// The account is not free to use what it needs.
        NoFunds = 17,
        /// The account would have more of an asset than its limit lets.
        AboveHolding = 18,
        /// The account's last transfer has a higher number.
        StaleTransfer = 19,
        /// The account's last transfer has that number, and was another.
        TransferDiffers = 20,
        /// The order is of another kind than its replacement.
        OtherKind = 21,
        /// The order is a market order in an auction: it can be reduced or cancelled.
        Unpriced = 22,
    }
}

rejects! {
    /// Why the matching domain refuses a command. Nothing has changed.
    pub enum Reject {
        /// No such instrument is defined.
        UnknownInstrument = 1001,
        /// The account has a live order of that number.
        DuplicateClientOrder = 1002,
        /// The price is outside the instrument's bounds; or a market order has one.
        BadPrice = 1003,
        /// The quantity is zero, above 10¹² or not a multiple of the instrument's lot.
        BadQuantity = 1004,
        /// A good-till-date order must expire later than now; any other order has zero for its expiry.
        BadExpiry = 1005,
        /// The list names no order, or more than 4,090.
        BadList = 1006,
        /// Tick, lot, price bounds, decimals, protection or end of day make no sense.
        BadTerms = 1007,
        /// The instrument is defined with other terms.
        InstrumentExists = 1008,
        /// The number of the instrument is zero or above the limit of instruments.
        InstrumentsFull = 1009,
        /// The book holds as many orders as it may. Orders that cannot rest still trade.
        OrdersFull = 1010,
        /// The books hold as many price levels as they may. Orders at existing levels still rest.
        LevelsFull = 1011,
        /// As many accounts have entered orders, or have settings, as may.
        AccountsFull = 1012,
        /// A post-only order has to be one that may rest; a stop becomes a limit or a market order, and only one that
        /// becomes a market order trails, for as long as it waits; it is not for an auction. An order with a reserve rests, and is not for an auction.
        BadOrderType = 1013,
        /// Only an immediate-or-cancel order, or one that displays nothing, has a minimum: a multiple of the lot, at most
        /// its quantity.
        BadMinimum = 1014,
        /// The scope needs an account and there is none, needs none and there is one, or is not for this command.
        BadScope = 1015,
        /// The lowest price of the range is above the highest.
        BadRange = 1016,
        /// As many stops wait and orders with a reserve stand, or as many orders for an auction alone, as may.
        SpecialsFull = 1017,
        /// A band is below zero or not a multiple of the tick; or it is dynamic, and the auction has no length.
        BadBands = 1018,
        /// Its times are not below a day or do not rise; or it has more than eight; or one is an auction for volatility, or is
        /// for an instrument that is not traded yet or no more.
        BadSchedule = 1019,
        /// What is displayed is not a multiple of the lot, or not less than the quantity.
        BadDisplay = 1020,
        /// The minimum is not a multiple of the lot, or above 10¹²; or all goes by time, and there is one.
        BadAllocation = 1021,
        /// There are more than eight bands, they do not rise, or a tick or a first price is no multiple of what it should be.
        BadTicks = 1022,
        /// The price is not a multiple of the tick that holds there.
        OffTick = 1023,
        /// An asset is none, or both are the same; a unit is zero; a fee is above a tenth, or both together give; or prices
        /// begin at zero or below.
        BadSettlement = 1024,
        /// The instrument is settled otherwise, or has orders.
        SettlementExists = 1025,
        /// The number of the asset is zero or above the limit of assets.
        BadAsset = 1026,
        /// The amount or the transfer's number is zero; or there would be more than 2⁶³−1 of the asset.
        BadAmount = 1027,
        /// As many balances of accounts as may be there are.
        BalancesFull = 1028,
        /// The instrument is delisted; or it is to be announced, and has orders or has traded.
        BadPhase = 1029,
        /// As many clients as may have got drop copies.
        ReadersFull = 1030,
        /// The offset of a pegged order is not a multiple of the tick; or it follows the middle, and has one; or it is displayed,
        /// follows the other side and is to stand no tick away from that.
        BadPeg = 1031,
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
        /// Accounts that ever enter an order, or have a setting of their own.
        accounts = 65536 in 1..=16_777_216,
        /// Stops that wait, orders with a reserve and pegged ones at once, and as many orders for an auction alone. They count among
        /// orders, and where they wait or hide among price levels, as well.
        specials = 65536 in 0..=ORDERS_MAX,
        /// Assets in which instruments are settled; their ids run from 1 to this.
        assets = 64 in 0..=4_096,
        /// Balances: of an account in an asset each.
        balances = 65536 in 0..=16_777_216,
        /// Clients that ever get a drop copy.
        readers = 64 in 0..=65_536,
    }
}

const _: () = assert!(
    CANCEL_MANY_MAX
        == (ringfence_kernel::image::COMMAND_BYTES_MAX - ringfence_kernel::image::COMMAND_HEADER_BYTES - 16) / 8
);

impl Sides {
    /// Whether `side` is meant.
    #[must_use]
    pub const fn include(self, side: Side) -> bool {
        self as u8 & side as u8 != 0
    }
}

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
