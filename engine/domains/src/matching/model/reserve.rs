//! The twin: orders that display a part of themselves, or nothing.

use super::{Model, Order, Pegged, Says, decline};
use crate::matching::messages::{
    CloseReason, DeclineReason, Execution, NewReserve, OrderAccepted, OrderId, OrderStatus, OrderType, Peg, Phase,
    Price, Quantity, Reject, Reply, SelfTrade, Side, TimeInForce,
};
use alloc::vec::Vec;
use ringfence_kernel::Context;
use ringfence_kernel::messages::Reserved;

impl Model {
    pub(super) fn new_reserve(
        &mut self,
        context: Context,
        command: &NewReserve,
        out: Says<'_, '_>,
    ) -> Result<(), Reject> {
        self.enter_reserve(context, command, None, out)
    }

    pub(super) fn enter_reserve(
        &mut self,
        context: Context,
        command: &NewReserve,
        pegged: Option<Pegged>,
        out: Says<'_, '_>,
    ) -> Result<(), Reject> {
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
            TimeInForce::GoodTillCancelled => None,
            _ => return Err(Reject::BadOrderType),
        };
        let (quantity, display, minimum) = (command.quantity.0, command.display.0, command.minimum.0);
        self.check_reserve(instrument, quantity, display, minimum)?;
        if self.mine(account, command.client_order).is_some() {
            return Err(Reject::DuplicateClientOrder);
        }
        self.check_price(instrument, command.price)?;
        self.check_tick(instrument, command.price)?;
        if self.killed.contains(&account.0) {
            return decline(command.client_order, DeclineReason::KillSwitch, out);
        }
        if !self.markets[&instrument].collects() && self.markets[&instrument].phase != Phase::Continuous {
            return decline(command.client_order, DeclineReason::PhaseForbids, out);
        }
        if self.markets[&instrument].is_outside(command.price.0) {
            return decline(command.client_order, DeclineReason::OutsideBand, out);
        }
        if let Some(reason) = self.breaks(account.0, command.price.0, quantity, true) {
            return decline(command.client_order, reason, out);
        }
        if self.orders.len() as u64 == self.limits.orders {
            return Err(Reject::OrdersFull);
        }
        if self.specials() as u64 == self.limits.specials {
            return Err(Reject::SpecialsFull);
        }
        let displayed = pegged.is_some_and(|pegged| matches!(pegged.peg, Peg::PrimaryDisplayed | Peg::MarketDisplayed));
        let hides = display == 0 && !displayed;
        let mut order = Order {
            order: self.last_order + 1,
            client_order: command.client_order.0,
            account: account.0,
            instrument,
            side,
            price: command.price.0,
            remaining: quantity,
            filled: 0,
            order_type: OrderType::Limit,
            on_disconnect: command.on_disconnect.get(),
            expires,
            place: 0,
            stop: None,
            only: None,
            hidden: 0,
            display: if displayed { quantity } else { display },
            hides,
            minimum,
            unpriced: false,
            pegged,
            parked: false,
        };
        (order.parked, order.price) = self.belongs(&order);
        if !self.has_room_at(order.level()) {
            return Err(Reject::LevelsFull);
        }
        self.has_room_for(account.0)?;
        if let Some(reason) = self.afford(&order, order.limit(), quantity, None)? {
            return decline(command.client_order, reason, out);
        }
        self.know(account)?;
        self.last_order += 1;
        self.copy(&order, Execution::Entered, 0, out);
        let before = self.top(instrument);
        let reach = self.reach(&order);
        let status = self.come_in_with_reserve(&mut order, true, out);
        let left = order.remaining;
        self.say_top(instrument, &before, out);
        out.reply(Reply::OrderAccepted(&OrderAccepted {
            order: OrderId(order.order),
            client_order: command.client_order,
            price: Price(order.limit()),
            filled: Quantity(order.filled),
            remaining: Quantity(left),
            status: status.into(),
            reserved: Reserved::default(),
        }));
        self.interrupt(&order, reach, left, out);
        Ok(())
    }

    /// Trades, or stands at once when less than its minimum is offered; then rests what is left. Says what became of it,
    /// also to its account unless that is `answered`.
    pub(super) fn come_in_with_reserve(&mut self, order: &mut Order, answered: bool, out: Says<'_, '_>) -> OrderStatus {
        let reach = self.reach(order);
        let minimum = order.minimum.min(order.remaining);
        let finds_enough = !order.parked && (minimum == 0 || self.finds(order, reach) >= minimum);
        let dropped = if finds_enough { self.trade(order, out) } else { None };
        let left = order.remaining;
        match (dropped, left) {
            (Some(dropped), _) if !answered => {
                self.end(order, dropped, CloseReason::SelfTrade, out);
                OrderStatus::Cancelled
            }
            (Some(dropped), _) => {
                self.ended.push((order.account, order.client_order, DeclineReason::Cancelled));
                self.copy_end(order, Execution::Cancelled, dropped, out);
                OrderStatus::Cancelled
            }
            (None, 0) => {
                self.ended.push((order.account, order.client_order, DeclineReason::Filled));
                OrderStatus::Filled
            }
            _ => {
                let displayed = if order.hides { left } else { left.min(order.display) };
                self.rest(Order { remaining: displayed, hidden: left - displayed, ..*order }, out);
                OrderStatus::Open
            }
        }
    }

    /// Whether an order of that quantity may display that much and have that minimum.
    pub(super) fn check_reserve(
        &self,
        instrument: u32,
        quantity: u64,
        display: u64,
        minimum: u64,
    ) -> Result<(), Reject> {
        let in_lots = |quantity: u64| quantity.is_multiple_of(self.instruments[&instrument].lot.0);
        if display >= quantity || !in_lots(display) {
            return Err(Reject::BadDisplay);
        }
        if minimum != 0 && (display != 0 || minimum > quantity || !in_lots(minimum)) {
            return Err(Reject::BadMinimum);
        }
        Ok(())
    }

    /// Whether a level is there or has room.
    pub(super) fn has_room_at(&self, level: (u32, Side, i64, u8)) -> bool {
        (self.levels() as u64) < self.limits.levels || self.orders.iter().any(|order| order.level() == level)
    }

    /// How much an order would trade at once, up to where prevention would end it or make it less.
    pub(super) fn finds(&self, taker: &Order, reach: i64) -> u64 {
        let (mut orders, mut order, mut last_place) = (self.orders.clone(), *taker, self.last_place);
        while let Some(index) = self.next_maker(&orders, &order, reach).filter(|_| order.remaining > 0) {
            let at_price = |other: &&Order| {
                !other.hides && (other.instrument, other.price) == (order.instrument, orders[index].price)
            };
            let ends = |other: &Order| {
                !matches!(self.prevention(order.account, other.account), SelfTrade::Allow | SelfTrade::CancelOldest)
            };
            // Where what comes in is shared it could meet any of those who stand there first.
            let met = orders.iter().filter(|other| other.side != order.side && other.stop.is_none()).filter(at_price);
            if self.shares(order.instrument) && !orders[index].hides && met.clone().any(ends) {
                break;
            }
            match self.prevention(order.account, orders[index].account) {
                SelfTrade::Allow => {
                    let quantity = order.remaining.min(orders[index].remaining);
                    order.remaining -= quantity;
                    take_from(&mut orders, index, quantity, &mut last_place);
                }
                SelfTrade::CancelOldest => _ = orders.remove(index),
                _ => break,
            }
        }
        taker.remaining - order.remaining
    }

    /// Whom an order that trades to `reach` meets next: the best price, what is displayed first, the oldest; of those that
    /// display nothing only one that does not ask for more than there is.
    pub(super) fn next_maker(&self, orders: &[Order], taker: &Order, reach: i64) -> Option<usize> {
        let rank = |order: &Order| match taker.side {
            Side::Buy => i128::from(order.price),
            Side::Sell => -i128::from(order.price),
        };
        let worst = if taker.side == Side::Buy { i128::from(reach) } else { -i128::from(reach) };
        let met = |(_, order): &(usize, &Order)| {
            order.instrument == taker.instrument
                && order.side != taker.side
                && order.stop.is_none()
                && !order.parked
                && rank(order) <= worst
                && (!order.hides || order.minimum.min(order.remaining) <= taker.remaining)
        };
        let first =
            orders.iter().enumerate().filter(met).min_by_key(|(_, order)| (rank(order), order.hides, order.place));
        first.map(|(index, _)| index)
    }
}

/// Takes out of an order what traded. When nothing is displayed any more, the next part is, last in the queue.
pub(super) fn take_from(orders: &mut Vec<Order>, index: usize, quantity: u64, last_place: &mut u64) {
    let order = &mut orders[index];
    order.remaining -= quantity;
    if order.remaining > 0 {
        return;
    }
    order.remaining = order.hidden.min(order.display);
    order.hidden -= order.remaining;
    if order.remaining == 0 {
        orders.remove(index);
    } else {
        *last_place += 1;
        order.place = *last_place;
    }
}
