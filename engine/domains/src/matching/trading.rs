//! An order trades with the other side, and what is left of it goes where it goes.

use super::copies::Happened;
use super::entry::unpriced_at;
use super::instruments;
use super::levels::{Level, NONE, better};
use super::messages::{
    ClientOrderId, CloseReason, DeclineReason, Event, Execution, Fill, Liquidity, OnDisconnectCode, OrderAccepted,
    OrderClosed, OrderId, OrderReplaced, OrderStatus, OrderType, OrderTypeCode, Phase, Price, Priority, Quantity,
    Reply, Side, Trade, TradeId,
};
use super::orders::Order;
use super::reserve::{Reserve, Wanted};
use super::settlement::{Open, Party};
use super::views::Before;
use super::{Matching, Pending, topics};
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::{Account, Out, Progress, Timestamp};

/// An order that trades, or is about to, with the other side.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taker {
    pub(super) order: OrderId,
    pub(super) client_order: ClientOrderId,
    pub(super) account: Account,
    /// The account's place.
    pub(super) holder: u32,
    pub(super) instrument: u32,
    pub(super) side: Side,
    pub(super) order_type: OrderTypeCode,
    pub(super) on_disconnect: OnDisconnectCode,
    pub(super) price: Price,
    /// The price in ticks above the instrument's lowest.
    pub(super) ticks: u64,
    /// The worst price at which it trades before an auction comes between: that one, or a better.
    pub(super) reach: u64,
    /// As [`Order::only`].
    pub(super) only: u8,
    pub(super) remaining: u64,
    pub(super) filled: u64,
    /// Its place in memory, when it had one before it came in; else [`NONE`].
    pub(super) place: u32,
    pub(super) origin: Origin,
    pub(super) then: Then,
    /// What of it is displayed, and its minimum, when it rests as an order with a reserve.
    pub(super) reserve: Option<Reserve>,
    /// Whether it stands without trading first.
    pub(super) stands: bool,
    /// The last order of those that it passed by, because they ask for more than it has; else [`NONE`].
    pub(super) passed: u32,
}

/// Whence an order comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// It is new.
    Entered,
    /// It rested, and was replaced.
    Replaced,
    /// It was a stop, and was triggered.
    Triggered,
    /// It is pegged, and goes where it belongs now.
    Moved,
}

/// What becomes of what does not trade.
#[derive(Clone, Copy, Debug)]
pub(super) enum Then {
    /// It rests, until the given time unless that is zero.
    Rest(Timestamp),
    /// It is cancelled.
    Cancel,
    /// It was cancelled on the way, with that much of it, so that it would not trade with its own.
    Drop(u64),
}

/// An order that stands, before it trades.
struct Maker {
    before: Before,
    account: Account,
    /// The worst price at which it trades.
    limit: Price,
    filled: u64,
}

/// Outputs that one trade leads to at most: itself, two fills, their copies, how both are settled, and what is left of
/// the order and of the level.
pub(super) const OUTPUTS_EACH: usize = 9;

/// Outputs that follow at most when an order comes to rest: itself, its end and the copy of that, the level where it rests,
/// the best prices and the auction; or another phase, and what that begins with.
const OUTPUTS_AT_REST: usize = 7;

impl Matching {
    /// Trades while the other side has a price as good as the taker's, then lets the rest go where it goes.
    pub(super) fn take(&mut self, taker: &mut Taker, out: &mut Out<'_, Self>) -> Progress {
        let beyond = !self.instruments[taker.instrument].is_plain && self.begins_beyond(taker);
        let trades = !beyond && self.trades(taker);
        while trades && taker.remaining > 0 {
            let other = taker.side.opposite();
            let best = self.instruments[taker.instrument].half(other).best;
            let crosses = best != NONE && !better(other, taker.reach, self.levels[best].ticks);
            if self.instruments[taker.instrument].hidden(other).best != NONE {
                if out.room() < OUTPUTS_EACH {
                    self.pending = Pending::Taking(*taker);
                    return Progress::More;
                }
                if self.take_hidden(taker, crosses.then_some(best), out) {
                    continue;
                }
            }
            if !crosses {
                break;
            }
            if self.take_level(taker, best, out) == Progress::More {
                self.pending = Pending::Taking(*taker);
                return Progress::More;
            }
        }
        if out.room() < OUTPUTS_AT_REST {
            self.pending = Pending::Taking(*taker);
            return Progress::More;
        }
        self.settle(taker, out);
        if taker.reach != taker.ticks || beyond {
            self.interrupt_if_beyond(taker, taker.remaining, out);
        }
        Progress::Done
    }

    /// Whether orders trade as they come in.
    #[inline]
    fn trades(&self, taker: &Taker) -> bool {
        let instrument = &self.instruments[taker.instrument];
        (instrument.is_plain || instrument.phase.get() == Phase::Continuous) && !taker.stands
    }

    /// Trades with the orders at one level, oldest first, until the taker is filled or the level is empty.
    fn take_level(&mut self, taker: &mut Taker, at: u32, out: &mut Out<'_, Self>) -> Progress {
        if self.instruments[taker.instrument].is_shared() && self.share_out(taker, at, out) == Progress::More {
            return Progress::More;
        }
        while taker.remaining > 0 && self.levels[at].orders > 0 {
            if out.room() < OUTPUTS_EACH {
                return Progress::More;
            }
            let index = self.levels[at].head;
            let quantity = self.orders[index].remaining.min(taker.remaining);
            if self.orders.accounts.prevent_any() {
                self.meet(taker, index, at, quantity, out);
            } else {
                self.trade(taker, index, at, quantity, out);
            }
        }
        self.sharing = None;
        self.say_level(at, out);
        self.close_if_empty(at);
        if self.instruments[taker.instrument].has_stops() {
            self.trigger_stops(taker.instrument);
        }
        Progress::Done
    }

    /// Trades `quantity` with the order at `index`, which stands at the level at `at`, unless it is of the same hands.
    #[inline(never)]
    pub(super) fn meet(&mut self, taker: &mut Taker, index: u32, at: u32, quantity: u64, out: &mut Out<'_, Self>) {
        if !(self.orders.accounts.prevent_any() && self.prevent(taker, index, at, quantity, out)) {
            self.trade(taker, index, at, quantity, out);
        }
    }

    #[inline(always)]
    fn trade(&mut self, taker: &mut Taker, index: u32, at: u32, quantity: u64, out: &mut Out<'_, Self>) {
        let looked_at = !self.instruments[taker.instrument].is_plain || self.orders.accounts.copies_any();
        let maker_before = if looked_at { Some(self.maker(index, at)) } else { None };
        let (level, book) = (&mut self.levels[at], &mut self.instruments[taker.instrument]);
        let (maker, open, price) = (&self.orders[index], self.orders.open(index), level.price);
        let maker_account = self.orders.accounts[maker.account].account;
        taker.filled += quantity;
        taker.remaining -= quantity;
        self.last_trade += 1;
        let trade = Trade {
            trade: TradeId(self.last_trade),
            maker_order: maker.order,
            taker_order: taker.order,
            price,
            quantity: Quantity(quantity),
            taker_side: taker.side.into(),
            reserved: Reserved::default(),
        };
        let instrument = instruments::id(taker.instrument);
        let fill = Fill {
            order: maker.order,
            client_order: maker.client_order,
            counter_order: taker.order,
            trade: trade.trade,
            price,
            quantity: trade.quantity,
            remaining: Quantity(open - quantity),
            instrument,
            side: taker.side.opposite().into(),
            liquidity: Liquidity::Maker.into(),
            reserved: Reserved::default(),
        };
        self.orders.fill(level, index, at, quantity);
        book.remember(&trade, self.now);
        out.publish(topics::TRADES, instrument.0, Event::Trade(&trade));
        out.notify(maker_account, Event::Fill(&fill));
        let taken = Fill {
            order: taker.order,
            client_order: taker.client_order,
            counter_order: trade.maker_order,
            remaining: Quantity(taker.remaining),
            side: taker.side.into(),
            liquidity: Liquidity::Taker.into(),
            ..fill
        };
        out.notify(taker.account, Event::Fill(&taken));
        if let Some(maker) = maker_before {
            self.follow_trade(taker, index, &maker, [fill, taken], out);
        }
    }

    /// The order at `index`, which stands at the level at `at`, before it trades.
    #[cold]
    fn maker(&self, index: u32, at: u32) -> Maker {
        let Order { order, remaining: displayed, filled, .. } = self.orders[index];
        let before = Before { at, order, displayed, open: self.orders.open(index) };
        Maker { before, account: self.orders.account(index), limit: self.limit_of(index), filled }
    }

    /// What a trade leads to where it is more than the trade itself: drop copies, settlement, and what is displayed of the
    /// order that stood.
    #[cold]
    fn follow_trade(&mut self, taker: &Taker, index: u32, maker: &Maker, fills: [Fill; 2], out: &mut Out<'_, Self>) {
        let Maker { before, account, limit, filled } = *maker;
        let Fill { trade, price, quantity: Quantity(quantity), .. } = fills[0];
        if self.orders.accounts.copies_any() {
            self.copy_fill(account, &fills[0], limit, filled + quantity, out);
            self.copy_fill(taker.account, &fills[1], taker.price, taker.filled, out);
        }
        let instrument = &self.instruments[taker.instrument];
        let (is_settled, shows_orders) = (instrument.is_settled(), instrument.shows_orders());
        if is_settled {
            let open = Open { side: taker.side.opposite(), price: limit, quantity: before.open };
            let taking = Open { side: taker.side, price: taker.price, quantity: taker.remaining + quantity };
            let parties = [
                Party { account, order: before.order, open, takes: false },
                Party { account: taker.account, order: taker.order, open: taking, takes: true },
            ];
            self.settle_trade(taker.instrument, trade, price, quantity, parties, out);
        }
        if shows_orders {
            self.say_less(index, before, quantity, out);
        }
    }

    /// The taker has traded what it could: rests it or lets it go, and answers. Most of those that come in rest.
    #[inline]
    fn settle(&mut self, taker: &Taker, out: &mut Out<'_, Self>) {
        match taker.then {
            Then::Rest(expires) if taker.remaining > 0 && taker.place == NONE && taker.reserve.is_none() => {
                self.settle_resting(taker, expires, out)
            }
            _ => self.settle_otherwise(taker, out),
        }
    }

    #[inline]
    fn settle_resting(&mut self, taker: &Taker, expires: Timestamp, out: &mut Out<'_, Self>) {
        let at = self.level_of(taker);
        let order = Order {
            order: taker.order,
            client_order: taker.client_order,
            remaining: taker.remaining,
            filled: taker.filled,
            only: taker.only,
            ..Order::new(taker.order_type, taker.on_disconnect)
        };
        self.orders.add(taker.holder, order, expires, &mut self.levels[at], at);
        let plain = self.instruments[taker.instrument].is_plain;
        if !plain {
            self.note_top(at);
            self.say_order(at, taker.order, taker.remaining, Priority::Lost, out);
        }
        self.say_level(at, out);
        // Where nothing went, the best prices change only if the order stands among them.
        let is_best = self.instruments[taker.instrument].half(taker.side).best == at;
        if is_best || taker.filled > 0 || !plain || self.orders.accounts.prevent_any() {
            self.say_top(taker.instrument, out);
        }
        accept(taker, OrderStatus::Open, out);
    }

    fn settle_otherwise(&mut self, taker: &Taker, out: &mut Out<'_, Self>) {
        let status = match taker.then {
            Then::Drop(_) => OrderStatus::Cancelled,
            _ if taker.remaining == 0 => OrderStatus::Filled,
            Then::Cancel => OrderStatus::Cancelled,
            Then::Rest(_) => OrderStatus::Open,
        };
        let reason = if status == OrderStatus::Filled { DeclineReason::Filled } else { DeclineReason::Cancelled };
        match taker.place {
            NONE if status == OrderStatus::Open => self.rest_with_reserve(taker, out),
            NONE => self.orders.accounts.remember(taker.holder, taker.client_order, reason),
            index if status == OrderStatus::Open => self.rest_again(taker, index, out),
            index => self.orders.remove(index, reason),
        }
        if !self.instruments[taker.instrument].is_plain && matches!(taker.then, Then::Cancel) {
            self.release_taker(taker, taker.remaining, 0);
        }
        let untold = matches!(taker.origin, Origin::Triggered | Origin::Moved);
        if untold && status == OrderStatus::Cancelled {
            match taker.then {
                Then::Drop(quantity) => taker.end(CloseReason::SelfTrade, quantity, out),
                _ => taker.end(CloseReason::Unfilled, taker.remaining, out),
            }
        }
        if status == OrderStatus::Cancelled {
            let dropped = if let Then::Drop(quantity) = taker.then { quantity } else { taker.remaining };
            self.copy_taker(&Taker { remaining: 0, ..*taker }, Happened::out(Execution::Cancelled, dropped), out);
        }
        // The best prices are said once all that moves has moved.
        if taker.origin != Origin::Moved {
            self.say_top(taker.instrument, out);
        }
        match taker.origin {
            Origin::Entered => accept(taker, status, out),
            Origin::Replaced => answer_replaced(taker, status, out),
            Origin::Triggered | Origin::Moved => {}
        }
    }

    /// Ends an order that had its place before and does not come in.
    #[cold]
    pub(super) fn turn_away(&mut self, taker: &Taker, reason: CloseReason, out: &mut Out<'_, Self>) {
        self.orders.remove(taker.place, DeclineReason::Cancelled);
        taker.end(reason, taker.remaining, out);
        let happened = Happened::out(Execution::Cancelled, taker.remaining);
        self.copy_taker(&Taker { remaining: 0, ..*taker }, happened, out);
    }

    /// Puts an order that was replaced or triggered last into the queue at its new price.
    fn rest_again(&mut self, taker: &Taker, index: u32, out: &mut Out<'_, Self>) {
        let (at, displayed) = match taker.reserve {
            None => (self.level_of(taker), taker.remaining),
            Some(reserve) => self.cover_again(taker, index, reserve),
        };
        let order = &mut self.orders[index];
        (order.remaining, order.filled) = (displayed, taker.filled);
        self.orders.queue(&mut self.levels[at], index, at);
        if !self.instruments[taker.instrument].is_plain {
            self.note_top(at);
            self.say_order(at, taker.order, displayed, Priority::Lost, out);
        }
        self.say_level(at, out);
    }

    /// The level at the taker's price, opened when there is none.
    #[inline]
    fn level_of(&mut self, taker: &Taker) -> u32 {
        if taker.only != 0 {
            return self.level_for_auction(taker);
        }
        self.level_at(taker.instrument, taker.side, taker.ticks, taker.price)
    }

    /// The level of a book at that price, which is opened when there is none.
    #[inline]
    pub(super) fn level_at(&mut self, instrument: u32, side: Side, ticks: u64, price: Price) -> u32 {
        let half = self.instruments[instrument].half_mut(side);
        self.levels.find_or_open(half, || Level::empty(instrument, side.into(), ticks, price)).0
    }

    /// The level of an order that stands for an auction alone.
    #[cold]
    #[inline(never)]
    fn level_for_auction(&mut self, taker: &Taker) -> u32 {
        let Taker { instrument, side, ticks, price, .. } = *taker;
        self.level(match taker.order_type.get() {
            OrderType::Market => unpriced_at(instrument, side, ticks, price),
            _ => Level::empty(instrument, side.into(), ticks, price),
        })
    }

    /// The level like `level`, which is opened when there is none.
    pub(super) fn level(&mut self, level: Level) -> u32 {
        let half = self.instruments[level.instrument].half_of(&level);
        self.levels.find_or_open(half, || level).0
    }
}

/// Answers a replacement that took the order out of its queue.
fn answer_replaced(taker: &Taker, status: OrderStatus, out: &mut Out<'_, Matching>) {
    let Taker { order, client_order, price, filled, remaining, .. } = *taker;
    let (filled, remaining, status) = (Quantity(filled), Quantity(remaining), status.into());
    let (priority, reserved) = (Priority::Lost.into(), Reserved::default());
    let replaced = OrderReplaced { order, client_order, price, filled, remaining, status, priority, reserved };
    out.reply(Reply::OrderReplaced(&replaced));
}

impl Taker {
    /// What it wants of the other side now: at least anything.
    pub(super) fn wants(&self) -> Wanted {
        let Self { account, instrument, side, reach, remaining, .. } = *self;
        Wanted { account, instrument, side, reach, minimum: 1, quantity: remaining }
    }

    /// Tells its account that it ended without resting, with `quantity` of it cancelled.
    pub(super) fn end(&self, reason: CloseReason, quantity: u64, out: &mut Out<'_, Matching>) {
        let Self { account, order, client_order, filled, .. } = *self;
        let (filled, cancelled) = (Quantity(filled), Quantity(quantity));
        let (reason, reserved) = (reason.into(), Reserved::default());
        out.notify(
            account,
            Event::OrderClosed(&OrderClosed { order, client_order, filled, cancelled, reason, reserved }),
        );
    }
}

/// Answers a new order.
#[inline]
fn accept(taker: &Taker, status: OrderStatus, out: &mut Out<'_, Matching>) {
    let Taker { order, client_order, price, filled, remaining, .. } = *taker;
    let remaining = if status == OrderStatus::Open { remaining } else { 0 };
    let (filled, remaining) = (Quantity(filled), Quantity(remaining));
    let (status, reserved) = (status.into(), Reserved::default());
    let accepted = OrderAccepted { order, client_order, price, filled, remaining, status, reserved };
    out.reply(Reply::OrderAccepted(&accepted));
}
