//! What brings quantity to a book: new orders and replacements, and the trading that they set off.

use super::instruments::{self, Terms};
use super::levels::{Level, NONE, better};
use super::messages::{
    ClientOrderId, DeclineReason, Declined, DefineInstrument, Event, Fill, InstrumentDefined, Liquidity, NewOrder,
    OrderAccepted, OrderId, OrderReplaced, OrderStatus, Price, Priority, Quantity, Reject, Replace, Reply, Side,
    TimeInForce, Trade, TradeId,
};
use super::orders::Order;
use super::{Matching, Pending, topics};
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::{Account, Context, Out, Progress, Timestamp};

/// An order that trades, or is about to, with the other side.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taker {
    order: OrderId,
    client_order: ClientOrderId,
    account: Account,
    instrument: u32,
    side: Side,
    price: Price,
    /// The price in ticks above the instrument's lowest.
    ticks: u64,
    remaining: u64,
    filled: u64,
    then: Then,
}

/// What becomes of what does not trade.
#[derive(Clone, Copy, Debug)]
enum Then {
    /// It rests, until the given time unless that is zero.
    Rest(Timestamp),
    /// It is cancelled.
    Cancel,
    /// It rests again in its old place in memory, last in its new queue.
    RestAgain(u32),
}

impl Matching {
    pub(super) fn define_instrument(
        &mut self,
        command: &DefineInstrument,
        out: &mut Out<'_, Self>,
    ) -> Result<Progress, Reject> {
        self.instruments.define(command.instrument, Terms::of(command)?)?;
        let reserved = Reserved::default();
        out.reply(Reply::InstrumentDefined(&InstrumentDefined { instrument: command.instrument, reserved }));
        Ok(Progress::Done)
    }

    #[inline]
    pub(super) fn new_order(
        &mut self,
        context: Context,
        command: &NewOrder,
        out: &mut Out<'_, Self>,
    ) -> Result<Progress, Reject> {
        let account = context.account();
        let instrument = self.instruments.place(command.instrument).ok_or(Reject::UnknownInstrument)?;
        let terms = &self.instruments[instrument].terms;
        let ticks = terms.ticks(command.price)?;
        terms.check_quantity(command.quantity)?;
        let (side, expires) = (command.side.get(), command.expires);
        let then = match command.time_in_force.get() {
            TimeInForce::GoodTillCancelled if expires.0 == 0 => Then::Rest(expires),
            TimeInForce::ImmediateOrCancel if expires.0 == 0 => Then::Cancel,
            TimeInForce::GoodTillDate if expires > context.now => Then::Rest(expires),
            _ => return Err(Reject::BadExpiry),
        };
        if self.orders.find(account, command.client_order).is_some() {
            return Err(Reject::DuplicateClientOrder);
        }
        if let Then::Rest(_) = then {
            // An order that may rest needs its places beforehand, whether or not it will trade.
            if self.orders.room() == 0 {
                return Err(Reject::OrdersFull);
            }
            if !self.orders.has_room_for(account) {
                return Err(Reject::AccountsFull);
            }
            self.room_for_level(instrument, side, ticks)?;
        }
        self.last_order += 1;
        let taker = Taker {
            order: OrderId(self.last_order),
            client_order: command.client_order,
            account,
            instrument,
            side,
            price: command.price,
            ticks,
            remaining: command.quantity.0,
            filled: 0,
            then,
        };
        Ok(self.take(taker, out))
    }

    #[inline]
    pub(super) fn replace(
        &mut self,
        context: Context,
        command: &Replace,
        out: &mut Out<'_, Self>,
    ) -> Result<Progress, Reject> {
        let account = context.account();
        let Some(index) = self.orders.find(account, command.client_order) else {
            decline(command.client_order, DeclineReason::UnknownOrder, out);
            return Ok(Progress::Done);
        };
        let order = self.orders[index];
        let Level { ticks: old_ticks, instrument, side, .. } = self.levels[order.level];
        let (side, terms) = (side.get(), &self.instruments[instrument].terms);
        let ticks = terms.ticks(command.price)?;
        terms.check_quantity(command.quantity)?;
        if command.quantity.0 <= order.filled {
            decline(command.client_order, DeclineReason::BelowFilled, out);
            return Ok(Progress::Done);
        }
        let remaining = command.quantity.0 - order.filled;
        if ticks == old_ticks {
            let priority = self.resize(index, remaining);
            self.say_level(order.level, out);
            self.say_top(instrument, out);
            let Order { order, client_order, filled, .. } = self.orders[index];
            out.reply(Reply::OrderReplaced(&OrderReplaced {
                order,
                client_order,
                filled: Quantity(filled),
                remaining: Quantity(remaining),
                status: OrderStatus::Open.into(),
                priority: priority.into(),
                reserved: Reserved::default(),
            }));
            return Ok(Progress::Done);
        }
        self.room_for_level(instrument, side, ticks)?;
        self.orders.leave(&mut self.levels[order.level], index);
        self.say_level(order.level, out);
        self.close_if_empty(order.level);
        let taker = Taker {
            order: order.order,
            client_order: order.client_order,
            account,
            instrument,
            side,
            price: command.price,
            ticks,
            remaining,
            filled: order.filled,
            then: Then::RestAgain(index),
        };
        Ok(self.take(taker, out))
    }

    /// Gives the order at `index` another open quantity at its price. Less, or as much, keeps its place in the queue.
    fn resize(&mut self, index: u32, remaining: u64) -> Priority {
        let order = &mut self.orders[index];
        let level = &mut self.levels[order.level];
        if remaining <= order.remaining {
            level.quantity -= order.remaining - remaining;
            order.remaining = remaining;
            return Priority::Kept;
        }
        let at = order.level;
        self.orders.leave(level, index);
        self.orders[index].remaining = remaining;
        self.orders.queue(level, index, at);
        Priority::Lost
    }

    fn room_for_level(&self, instrument: u32, side: Side, ticks: u64) -> Result<(), Reject> {
        let fits = self.levels.room() > 0 || self.levels.find(self.instruments[instrument].half(side), ticks).is_some();
        if fits { Ok(()) } else { Err(Reject::LevelsFull) }
    }

    /// Trades while the other side has a price as good as the taker's, then lets the rest go where it goes.
    #[inline]
    pub(super) fn take(&mut self, mut taker: Taker, out: &mut Out<'_, Self>) -> Progress {
        while taker.remaining > 0 {
            let best = self.instruments[taker.instrument].half(taker.side.opposite()).best;
            if best == NONE || better(taker.side.opposite(), taker.ticks, self.levels[best].ticks) {
                break;
            }
            if self.take_level(&mut taker, best, out) == Progress::More {
                self.pending = Pending::Taking(taker);
                return Progress::More;
            }
        }
        // The level where it rests and the best prices.
        if out.room() < 2 {
            self.pending = Pending::Taking(taker);
            return Progress::More;
        }
        self.settle(&taker, out);
        Progress::Done
    }

    /// Trades with the orders at one level, oldest first, until the taker is filled or the level is empty.
    fn take_level(&mut self, taker: &mut Taker, at: u32, out: &mut Out<'_, Self>) -> Progress {
        while taker.remaining > 0 && self.levels[at].orders > 0 {
            // A trade, two fills and what is left of the level.
            if out.room() < 4 {
                return Progress::More;
            }
            self.trade(taker, at, out);
        }
        self.say_level(at, out);
        self.close_if_empty(at);
        Progress::Done
    }

    /// Trades with the oldest order at a level.
    #[inline]
    fn trade(&mut self, taker: &mut Taker, at: u32, out: &mut Out<'_, Self>) {
        let level = &mut self.levels[at];
        let (index, price) = (level.head, level.price);
        let maker_account = self.orders.account(index);
        let maker = &mut self.orders[index];
        let quantity = maker.remaining.min(taker.remaining);
        maker.filled += quantity;
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
            remaining: Quantity(maker.remaining - quantity),
            instrument,
            side: taker.side.opposite().into(),
            liquidity: Liquidity::Maker.into(),
            reserved: Reserved::default(),
        };
        if maker.remaining == quantity {
            self.orders.leave(level, index);
            self.orders.remove(index);
        } else {
            maker.remaining -= quantity;
            level.quantity -= quantity;
        }
        self.instruments[taker.instrument].remember(&trade);
        out.publish(topics::TRADES, instrument.0, Event::Trade(&trade));
        out.notify(maker_account, Event::Fill(&fill));
        out.notify(
            taker.account,
            Event::Fill(&Fill {
                order: taker.order,
                client_order: taker.client_order,
                counter_order: trade.maker_order,
                remaining: Quantity(taker.remaining),
                side: taker.side.into(),
                liquidity: Liquidity::Taker.into(),
                ..fill
            }),
        );
    }

    /// The taker has traded what it could: rests it or lets it go, and answers.
    #[inline]
    fn settle(&mut self, taker: &Taker, out: &mut Out<'_, Self>) {
        let status = match taker.then {
            _ if taker.remaining == 0 => OrderStatus::Filled,
            Then::Cancel => OrderStatus::Cancelled,
            Then::Rest(_) | Then::RestAgain(_) => OrderStatus::Open,
        };
        if status == OrderStatus::Open {
            self.rest(taker, out);
        } else if let Then::RestAgain(index) = taker.then {
            self.orders.remove(index);
        }
        self.say_top(taker.instrument, out);
        let (order, client_order) = (taker.order, taker.client_order);
        let (filled, status) = (Quantity(taker.filled), status.into());
        let remaining = if matches!(taker.then, Then::Cancel) { 0 } else { taker.remaining };
        let remaining = Quantity(remaining);
        if let Then::RestAgain(_) = taker.then {
            let (priority, reserved) = (Priority::Lost.into(), Reserved::default());
            let replaced = OrderReplaced { order, client_order, filled, remaining, status, priority, reserved };
            out.reply(Reply::OrderReplaced(&replaced));
        } else {
            let reserved = Reserved::default();
            let accepted = OrderAccepted { order, client_order, filled, remaining, status, reserved };
            out.reply(Reply::OrderAccepted(&accepted));
        }
    }

    /// Puts what the taker has open last into the queue at its price.
    #[inline]
    fn rest(&mut self, taker: &Taker, out: &mut Out<'_, Self>) {
        let half = self.instruments[taker.instrument].half_mut(taker.side);
        let level = self.levels.find(*half, taker.ticks).unwrap_or_else(|| {
            let level = Level {
                ticks: taker.ticks,
                price: taker.price,
                quantity: 0,
                head: NONE,
                tail: NONE,
                orders: 0,
                instrument: taker.instrument,
                side: taker.side.into(),
                reserved: [0; 7],
            };
            self.levels.open(half, level)
        });
        match taker.then {
            Then::RestAgain(index) => {
                let order = &mut self.orders[index];
                (order.remaining, order.filled) = (taker.remaining, taker.filled);
                self.orders.queue(&mut self.levels[level], index, level);
            }
            Then::Rest(expires) => {
                let order = Order {
                    order: taker.order,
                    client_order: taker.client_order,
                    remaining: taker.remaining,
                    filled: taker.filled,
                    expires,
                    ..Order::EMPTY
                };
                self.orders.add(taker.account, order, &mut self.levels, level);
            }
            Then::Cancel => unreachable!("what is cancelled does not rest"),
        }
        self.say_level(level, out);
    }
}

/// Answers that nothing was done.
pub(super) fn decline(client_order: ClientOrderId, reason: DeclineReason, out: &mut Out<'_, Matching>) {
    let declined = Declined { client_order, reason: reason.into(), reserved: Reserved::default() };
    out.reply(Reply::Declined(&declined));
}
