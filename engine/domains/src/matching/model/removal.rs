//! The twin: what goes without trading.

use super::{Model, Order, Says, decline};
use crate::matching::messages::{
    CANCEL_MANY_MAX, Cancel, CancelManyOrder, ClientOrderId, CloseReason, DeclineReason, Event, OrderCancelled,
    OrderClosed, OrderId, OrderReduced, OrdersCancelled, Quantity, Reduce, Reject, Reply,
};
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::{Account, Context, Timestamp};

impl Model {
    /// Takes some of an order out, or all of it; gives the order as it was.
    fn take_out(&mut self, index: usize, quantity: u64, out: Says<'_, '_>) -> Order {
        let order = self.orders[index];
        let before = self.top(order.instrument);
        if quantity >= order.remaining {
            self.orders.remove(index);
        } else {
            self.orders[index].remaining -= quantity;
        }
        self.say_level(&order, out);
        self.say_top(order.instrument, &before, out);
        order
    }

    fn close(&mut self, index: usize, reason: CloseReason, out: Says<'_, '_>) -> Order {
        let order = self.orders[index];
        let closed = OrderClosed {
            order: OrderId(order.order),
            client_order: ClientOrderId(order.client_order),
            filled: Quantity(order.filled),
            cancelled: Quantity(order.remaining),
            reason: reason.into(),
            reserved: Reserved::default(),
        };
        out.notify(Account(order.account), Event::OrderClosed(&closed));
        self.take_out(index, u64::MAX, out)
    }

    pub(super) fn cancel(&mut self, context: Context, command: &Cancel, out: Says<'_, '_>) -> Result<(), Reject> {
        let Some(index) = self.mine(context.account(), command.client_order) else {
            return decline(command.client_order, DeclineReason::UnknownOrder, out);
        };
        let order = self.take_out(index, u64::MAX, out);
        out.reply(Reply::OrderCancelled(&OrderCancelled {
            order: OrderId(order.order),
            client_order: command.client_order,
            filled: Quantity(order.filled),
            cancelled: Quantity(order.remaining),
        }));
        Ok(())
    }

    pub(super) fn reduce(&mut self, context: Context, command: &Reduce, out: Says<'_, '_>) -> Result<(), Reject> {
        let Some(index) = self.mine(context.account(), command.client_order) else {
            return decline(command.client_order, DeclineReason::UnknownOrder, out);
        };
        self.check_quantity(self.orders[index].instrument, command.quantity)?;
        let order = self.take_out(index, command.quantity.0, out);
        out.reply(Reply::OrderReduced(&OrderReduced {
            order: OrderId(order.order),
            client_order: command.client_order,
            filled: Quantity(order.filled),
            remaining: Quantity(order.remaining.saturating_sub(command.quantity.0)),
        }));
        Ok(())
    }

    pub(super) fn cancel_many(
        &mut self,
        context: Context,
        list: &[CancelManyOrder],
        out: Says<'_, '_>,
    ) -> Result<(), Reject> {
        if list.is_empty() || list.len() > CANCEL_MANY_MAX {
            return Err(Reject::BadList);
        }
        let (mut cancelled, mut orders, mut unknown) = (Quantity(0), 0, 0);
        for entry in list {
            match self.mine(context.account(), entry.client_order) {
                None => unknown += 1,
                Some(index) => {
                    orders += 1;
                    cancelled.0 += self.close(index, CloseReason::Cancelled, out).remaining;
                }
            }
        }
        out.reply(Reply::OrdersCancelled(&OrdersCancelled { cancelled, orders, unknown }));
        Ok(())
    }

    pub(super) fn expire(&mut self, now: Timestamp, out: Says<'_, '_>) {
        let due = |order: &Order| order.expires.filter(|expires| *expires <= now).map(|at| (at, order.order));
        while let Some((_, number)) = self.orders.iter().filter_map(due).min() {
            let index = self.orders.iter().position(|order| order.order == number).expect("it was just seen");
            self.close(index, CloseReason::Expired, out);
        }
    }
}
