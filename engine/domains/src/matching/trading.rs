//! An order trades with the other side, and what is left of it goes where it goes.

use super::instruments;
use super::levels::{Level, NONE, better};
use super::messages::{
    ClientOrderId, DeclineReason, Event, Fill, Liquidity, OnDisconnectCode, OrderAccepted, OrderId, OrderReplaced,
    OrderStatus, OrderTypeCode, Price, Priority, Quantity, Reply, Side, Trade, TradeId,
};
use super::orders::Order;
use super::{Matching, Pending, topics};
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::{Account, Out, Progress, Timestamp};

/// An order that trades, or is about to, with the other side.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taker {
    pub(super) order: OrderId,
    pub(super) client_order: ClientOrderId,
    pub(super) account: Account,
    pub(super) instrument: u32,
    pub(super) side: Side,
    pub(super) order_type: OrderTypeCode,
    pub(super) on_disconnect: OnDisconnectCode,
    pub(super) price: Price,
    /// The price in ticks above the instrument's lowest.
    pub(super) ticks: u64,
    pub(super) remaining: u64,
    pub(super) filled: u64,
    pub(super) then: Then,
}

/// What becomes of what does not trade.
#[derive(Clone, Copy, Debug)]
pub(super) enum Then {
    /// It rests, until the given time unless that is zero.
    Rest(Timestamp),
    /// It is cancelled.
    Cancel,
    /// It rests again in its old place in memory, last in its new queue.
    RestAgain(u32),
}

impl Matching {
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
            self.orders.remove(index, DeclineReason::Filled);
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
        // The best prices change by trades, by what moved, or where the rest stands.
        let mut top_changed = taker.filled > 0 || matches!(taker.then, Then::RestAgain(_));
        if status == OrderStatus::Open {
            let at = self.rest(taker, out);
            top_changed |= self.instruments[taker.instrument].half(taker.side).best == at;
        } else if let Then::RestAgain(index) = taker.then {
            self.orders.remove(index, DeclineReason::Filled);
        } else {
            let reason = if status == OrderStatus::Filled { DeclineReason::Filled } else { DeclineReason::Cancelled };
            self.orders.accounts.remember_taker(taker.account, taker.client_order, reason);
        }
        if top_changed {
            self.say_top(taker.instrument, out);
        }
        let Taker { order, client_order, price, .. } = *taker;
        let (filled, status) = (Quantity(taker.filled), status.into());
        let remaining = if matches!(taker.then, Then::Cancel) { 0 } else { taker.remaining };
        let remaining = Quantity(remaining);
        if let Then::RestAgain(_) = taker.then {
            let (priority, reserved) = (Priority::Lost.into(), Reserved::default());
            let replaced = OrderReplaced { order, client_order, price, filled, remaining, status, priority, reserved };
            out.reply(Reply::OrderReplaced(&replaced));
        } else {
            let reserved = Reserved::default();
            let accepted = OrderAccepted { order, client_order, price, filled, remaining, status, reserved };
            out.reply(Reply::OrderAccepted(&accepted));
        }
    }

    /// Puts what the taker has open last into the queue at its price; gives the level.
    #[inline]
    fn rest(&mut self, taker: &Taker, out: &mut Out<'_, Self>) -> u32 {
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
                    ..Order::new(taker.order_type, taker.on_disconnect)
                };
                self.orders.add(taker.account, order, expires, &mut self.levels, level);
            }
            Then::Cancel => unreachable!("what is cancelled does not rest"),
        }
        self.say_level(level, out);
        level
    }
}
