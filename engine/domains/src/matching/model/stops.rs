//! The twin: stops.

use super::{Model, Order, Says, Stop, decline};
use crate::matching::messages::{
    ClientOrderId, CloseReason, DeclineReason, Event, Execution, NewStop, OrderClosed, OrderId, OrderType, Phase,
    Price, Quantity, Reject, Reply, Side, StopAccepted, StopTriggered, TimeInForce,
};
use alloc::vec::Vec;
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::{Account, Context};

impl Model {
    pub(super) fn new_stop(&mut self, context: Context, command: &NewStop, out: Says<'_, '_>) -> Result<(), Reject> {
        let (instrument, side, account) = (command.instrument.0, command.side.get(), context.account());
        if !self.instruments.contains_key(&instrument) {
            return Err(Reject::UnknownInstrument);
        }
        self.check_quantity(instrument, command.quantity)?;
        let time_in_force = command.time_in_force.get();
        let expires = match time_in_force {
            TimeInForce::GoodTillDate if command.expires > context.now => Some(command.expires),
            _ if time_in_force == TimeInForce::GoodTillDate || command.expires.0 != 0 => return Err(Reject::BadExpiry),
            TimeInForce::Day => Some(self.end_of_day(instrument, context.now)),
            _ => None,
        };
        if self.mine(account, command.client_order).is_some() {
            return Err(Reject::DuplicateClientOrder);
        }
        let order_type = command.order_type.get();
        let becomes_limit = order_type == OrderType::Limit;
        if matches!(time_in_force, TimeInForce::AtOpen | TimeInForce::AtClose) {
            return Err(Reject::BadOrderType);
        }
        self.check_stop(instrument, order_type, command.trigger, command.price, command.trail)?;
        if self.killed.contains(&account.0) {
            return decline(command.client_order, DeclineReason::KillSwitch, out);
        }
        if !self.markets[&instrument].collects() && self.markets[&instrument].phase != Phase::Continuous {
            return decline(command.client_order, DeclineReason::PhaseForbids, out);
        }
        if self.last_prices.get(&instrument).is_some_and(|last| reaches(side, *last, command.trigger.0)) {
            return decline(command.client_order, DeclineReason::WouldTrigger, out);
        }
        let price = if becomes_limit { command.price } else { command.trigger };
        if let Some(reason) = self.breaks(account.0, price.0, command.quantity.0, true) {
            return decline(command.client_order, reason, out);
        }
        if self.orders.len() as u64 == self.limits.orders {
            return Err(Reject::OrdersFull);
        }
        if self.specials() as u64 == self.limits.specials {
            return Err(Reject::SpecialsFull);
        }
        if !self.has_stop_level(instrument, side, command.trigger.0) && self.levels() as u64 == self.limits.levels {
            return Err(Reject::LevelsFull);
        }
        self.know(account)?;
        (self.last_order, self.last_place) = (self.last_order + 1, self.last_place + 1);
        self.orders.push(Order {
            order: self.last_order,
            client_order: command.client_order.0,
            account: account.0,
            instrument,
            side,
            price: command.price.0,
            remaining: command.quantity.0,
            filled: 0,
            order_type,
            on_disconnect: command.on_disconnect.get(),
            expires,
            place: self.last_place,
            only: None,
            hidden: 0,
            display: 0,
            hides: false,
            minimum: 0,
            unpriced: false,
            pegged: None,
            parked: false,
            stop: Some(Stop { trigger: command.trigger.0, trail: command.trail.0, time_in_force }),
        });
        let stop = *self.orders.last().expect("it was just added");
        self.copy(&stop, Execution::Entered, 0, out);
        out.reply(Reply::StopAccepted(&StopAccepted {
            order: OrderId(self.last_order),
            client_order: command.client_order,
            trigger: command.trigger,
            quantity: command.quantity,
        }));
        Ok(())
    }

    /// Whether a stop that becomes an order of that type may have these prices.
    pub(super) fn check_stop(
        &self,
        instrument: u32,
        order_type: OrderType,
        trigger: Price,
        price: Price,
        trail: Price,
    ) -> Result<(), Reject> {
        let becomes_limit = order_type == OrderType::Limit;
        let post_only = matches!(order_type, OrderType::PostOnly | OrderType::PostOnlySlide);
        if post_only || becomes_limit && trail != Price(0) {
            return Err(Reject::BadOrderType);
        }
        self.check_price(instrument, trigger)?;
        if becomes_limit {
            self.check_price(instrument, price)?;
        } else if price != Price(0) {
            return Err(Reject::BadPrice);
        }
        if trail.0 < 0 || trail.0 % self.instruments[&instrument].tick.0 != 0 {
            return Err(Reject::BadPrice);
        }
        self.check_tick(instrument, trigger)?;
        if becomes_limit { self.check_tick(instrument, price) } else { Ok(()) }
    }

    /// Stops that wait and orders with a reserve.
    pub(super) fn specials(&self) -> usize {
        self.orders.iter().filter(|order| order.stop.is_some() || order.hides || order.display > 0).count()
    }

    fn stops(&self) -> impl Iterator<Item = (&Order, Stop)> {
        self.orders.iter().filter_map(|order| Some((order, order.stop?)))
    }

    pub(super) fn has_stop_level(&self, instrument: u32, side: Side, trigger: i64) -> bool {
        self.stops().any(|(order, stop)| (order.instrument, order.side, stop.trigger) == (instrument, side, trigger))
    }

    /// What the last trade's price triggers waits no more; what trails follows it.
    pub(super) fn trigger(&mut self, instrument: u32) {
        let Some(last) = self.last_prices.get(&instrument).copied() else { return };
        let mut hit: Vec<Order> = self
            .stops()
            .filter(|(order, stop)| order.instrument == instrument && reaches(order.side, last, stop.trigger))
            .map(|(order, _)| *order)
            .collect();
        hit.sort_by_key(|order| {
            let trigger = i128::from(order.stop.expect("it is one").trigger);
            (order.side, if order.side == Side::Buy { trigger } else { -trigger }, order.place)
        });
        self.orders.retain(|order| hit.iter().all(|triggered| triggered.order != order.order));
        self.triggered.extend(hit);
        let mut trailing: Vec<u64> = self
            .stops()
            .filter(|(o, stop)| o.instrument == instrument && stop.trail > 0)
            .map(|(o, _)| o.order)
            .collect();
        trailing.sort_unstable();
        for number in trailing {
            self.trail(number, last);
        }
    }

    fn trail(&mut self, number: u64, last: i64) {
        let index = self.orders.iter().position(|order| order.order == number).expect("it was just seen");
        let (order, stop) = (self.orders[index], self.orders[index].stop.expect("it is one"));
        let terms = &self.instruments[&order.instrument];
        let (follows, nearer) = match order.side {
            Side::Buy => (i128::from(last) + i128::from(stop.trail), -1),
            Side::Sell => (i128::from(last) - i128::from(stop.trail), 1),
        };
        let follows = self.on_tick(order.instrument, follows, order.side == Side::Buy);
        let in_range = (i128::from(terms.price_min.0)..=i128::from(terms.price_max.0)).contains(&follows);
        if !in_range || (follows - i128::from(stop.trigger)) * nearer <= 0 {
            return;
        }
        let trigger = follows as i64;
        let place = |o: &&Order| {
            o.instrument == order.instrument
                && o.side == order.side
                && o.stop.is_some_and(|other| other.trigger == stop.trigger)
        };
        let alone = self.orders.iter().filter(place).count() == 1;
        // The order that trades may need one to rest at.
        let room = (self.levels() as u64) + 1 < self.limits.levels;
        if alone || room || self.has_stop_level(order.instrument, order.side, trigger) {
            self.last_place += 1;
            self.orders[index].place = self.last_place;
            self.orders[index].stop = Some(Stop { trigger, ..stop });
        }
    }

    /// What follows from a decision: pegged orders go where they belong, then a stop that was triggered comes in, and so on.
    pub(super) fn follow(&mut self, out: Says<'_, '_>) {
        loop {
            let instruments: Vec<u32> = self.instruments.keys().copied().collect();
            instruments.into_iter().for_each(|instrument| self.move_pegs(instrument, out));
            let Some(mut order) = self.triggered.pop_front() else { return };
            let stop = order.stop.take().expect("it was one");
            let found = self.price(order.instrument, order.side, order.order_type, order.price);
            out.notify(
                Account(order.account),
                Event::StopTriggered(&StopTriggered {
                    order: OrderId(order.order),
                    client_order: ClientOrderId(order.client_order),
                    trigger: Price(stop.trigger),
                    price: Price(found.unwrap_or(0)),
                    quantity: Quantity(order.remaining),
                }),
            );
            order.price = found.unwrap_or(0);
            self.copy(&order, Execution::Triggered, 0, out);
            let ended = match found {
                Err(_) => Some(CloseReason::NoLiquidity),
                Ok(_) => self.come_in(&mut order, stop, out),
            };
            if let Some(reason) = ended {
                self.end(&order, order.remaining, reason, out);
            }
        }
    }

    /// Why it ends at once, if it does; else it trades.
    fn come_in(&mut self, order: &mut Order, stop: Stop, out: Says<'_, '_>) -> Option<CloseReason> {
        let Order { account, instrument, side, price, .. } = *order;
        let rests = !matches!(stop.time_in_force, TimeInForce::ImmediateOrCancel | TimeInForce::FillOrKill);
        let market = &self.markets[&instrument];
        let stands = market.phase == Phase::Continuous || order.order_type == OrderType::Limit;
        if !market.takes(order.order_type, stop.time_in_force) || !stands {
            return Some(CloseReason::PhaseForbids);
        }
        let reach = self.reach(order);
        let all = stop.time_in_force == TimeInForce::FillOrKill;
        if all && self.finds(order, reach) < order.remaining {
            return Some(CloseReason::BelowMinimum);
        }
        if rests && self.check_level(instrument, side, Price(price)).is_err() {
            return Some(CloseReason::LevelsFull);
        }
        if !matches!(self.afford(order, price, order.remaining, None), Ok(None)) {
            return Some(CloseReason::NoFunds);
        }
        let before = self.top(instrument);
        let dropped = self.trade(order, out);
        let left = order.remaining;
        match dropped {
            Some(dropped) => self.end(order, dropped, CloseReason::SelfTrade, out),
            None if order.remaining == 0 => self.ended.push((account, order.client_order, DeclineReason::Filled)),
            None if rests => self.rest(*order, out),
            None => self.end(order, order.remaining, CloseReason::Unfilled, out),
        }
        self.say_top(instrument, &before, out);
        self.interrupt(order, reach, left, out);
        None
    }

    pub(super) fn end(&mut self, order: &Order, quantity: u64, reason: CloseReason, out: Says<'_, '_>) {
        self.ended.push((order.account, order.client_order, DeclineReason::Cancelled));
        let closed = OrderClosed {
            order: OrderId(order.order),
            client_order: ClientOrderId(order.client_order),
            filled: Quantity(order.filled),
            cancelled: Quantity(quantity),
            reason: reason.into(),
            reserved: Reserved::default(),
        };
        out.notify(Account(order.account), Event::OrderClosed(&closed));
        self.copy_end(order, Execution::Cancelled, quantity, out);
    }
}

/// Whether a trade at `price` triggers a stop.
pub(super) fn reaches(side: Side, price: i64, trigger: i64) -> bool {
    match side {
        Side::Buy => price >= trigger,
        Side::Sell => price <= trigger,
    }
}
