//! The twin: replacements of stops, and of orders that display a part of themselves or nothing.

use super::stops::reaches;
use super::{Model, Order, Says, Stop, decline};
use crate::matching::messages::{
    ClientOrderId, DeclineReason, Execution, OrderId, OrderReplaced, OrderStatus, OrderType, Phase, Price, Priority,
    Quantity, Reject, ReplaceReserve, ReplaceStop, Reply,
};
use ringfence_kernel::Context;
use ringfence_kernel::messages::Reserved;

impl Model {
    pub(super) fn replace_stop(
        &mut self,
        context: Context,
        command: &ReplaceStop,
        out: Says<'_, '_>,
    ) -> Result<(), Reject> {
        let ReplaceStop { client_order, trigger, price, trail, quantity } = *command;
        let Some(index) = self.mine(context.account(), client_order) else {
            return self.decline_gone(context.account(), client_order, out);
        };
        let mut order = self.orders[index];
        let Some(stop) = order.stop else { return decline(client_order, DeclineReason::OtherKind, out) };
        self.check_quantity(order.instrument, quantity)?;
        if (trail.0 != 0) != (stop.trail != 0) {
            return Err(Reject::BadOrderType);
        }
        self.check_stop(order.instrument, order.order_type, trigger, price, trail)?;
        let market = &self.markets[&order.instrument];
        if !market.collects() && market.phase != Phase::Continuous {
            return decline(client_order, DeclineReason::PhaseForbids, out);
        }
        if self.last_prices.get(&order.instrument).is_some_and(|last| reaches(order.side, *last, trigger.0)) {
            return decline(client_order, DeclineReason::WouldTrigger, out);
        }
        let worst = if order.order_type == OrderType::Limit { price } else { trigger };
        if let Some(reason) = self.breaks(order.account, worst.0, quantity.0, false) {
            return decline(client_order, reason, out);
        }
        let full = self.levels() as u64 == self.limits.levels;
        if full && !self.has_stop_level(order.instrument, order.side, trigger.0) {
            return Err(Reject::LevelsFull);
        }
        let same = (trigger.0, price.0, trail.0) == (stop.trigger, order.price, stop.trail);
        let kept = same && quantity.0 <= order.remaining;
        if !kept {
            self.last_place += 1;
            order.place = self.last_place;
        }
        (order.price, order.remaining) = (price.0, quantity.0);
        order.stop = Some(Stop { trigger: trigger.0, trail: trail.0, ..stop });
        self.orders[index] = order;
        self.copy(&order, Execution::Replaced, 0, out);
        let priority = if kept { Priority::Kept } else { Priority::Lost };
        say_replaced(&order, trigger, OrderStatus::Open, priority, out);
        Ok(())
    }

    pub(super) fn replace_reserve(
        &mut self,
        context: Context,
        command: &ReplaceReserve,
        out: Says<'_, '_>,
    ) -> Result<(), Reject> {
        let ReplaceReserve { client_order, price, quantity, display, minimum } = *command;
        let Some(index) = self.mine(context.account(), client_order) else {
            return self.decline_gone(context.account(), client_order, out);
        };
        let mut order = self.orders[index];
        if order.stop.is_some() || order.pegged.is_some() || !order.hides && order.display == 0 {
            return decline(client_order, DeclineReason::OtherKind, out);
        }
        self.check_quantity(order.instrument, quantity)?;
        self.check_reserve(order.instrument, quantity.0, display.0, minimum.0)?;
        self.check_price(order.instrument, price)?;
        self.check_tick(order.instrument, price)?;
        if quantity.0 <= order.filled {
            return decline(client_order, DeclineReason::BelowFilled, out);
        }
        let market = &self.markets[&order.instrument];
        if !market.collects() && market.phase != Phase::Continuous {
            return decline(client_order, DeclineReason::PhaseForbids, out);
        }
        if market.is_outside(price.0) {
            return decline(client_order, DeclineReason::OutsideBand, out);
        }
        if let Some(reason) = self.breaks(order.account, price.0, quantity.0, false) {
            return decline(client_order, reason, out);
        }
        let part = if display.0 == 0 { 2 } else { 0 };
        if !self.has_room_at((order.instrument, order.side, price.0, part)) {
            return Err(Reject::LevelsFull);
        }
        let remaining = quantity.0 - order.filled;
        if let Some(reason) = self.afford(&order, price.0, remaining, Some(order.order))? {
            return decline(client_order, reason, out);
        }
        let before = self.top(order.instrument);
        let same = (price.0, display.0, minimum.0) == (order.price, order.display, order.minimum);
        if same && remaining <= order.open() {
            // What is not displayed goes first.
            let out_of_hidden = order.hidden.min(order.open() - remaining);
            let displayed = order.remaining;
            order.remaining = remaining - (order.hidden - out_of_hidden);
            order.hidden -= out_of_hidden;
            self.orders[index] = order;
            self.copy(&order, Execution::Replaced, 0, out);
            if order.remaining < displayed {
                self.say_order(&order, order.remaining, Priority::Kept, out);
                self.say_level(&order, out);
            }
            self.say_top(order.instrument, &before, out);
            let whole = Order { remaining, hidden: 0, ..order };
            say_replaced(&whole, price, OrderStatus::Open, Priority::Kept, out);
            return Ok(());
        }
        self.orders.remove(index);
        self.say_order(&order, 0, Priority::Kept, out);
        self.say_level(&order, out);
        (order.price, order.remaining, order.hidden) = (price.0, remaining, 0);
        (order.display, order.hides, order.minimum) = (display.0, display.0 == 0, minimum.0);
        self.copy(&order, Execution::Replaced, 0, out);
        let reach = self.reach(&order);
        let status = self.come_in_with_reserve(&mut order, true, out);
        self.say_top(order.instrument, &before, out);
        say_replaced(&order, price, status, Priority::Lost, out);
        self.interrupt(&order, reach, order.remaining, out);
        Ok(())
    }
}

pub(super) fn say_replaced(order: &Order, price: Price, status: OrderStatus, priority: Priority, out: Says<'_, '_>) {
    out.reply(Reply::OrderReplaced(&OrderReplaced {
        order: OrderId(order.order),
        client_order: ClientOrderId(order.client_order),
        price,
        filled: Quantity(order.filled),
        remaining: Quantity(order.remaining),
        status: status.into(),
        priority: priority.into(),
        reserved: Reserved::default(),
    }));
}
