//! The twin: what goes without trading.

use super::{Model, Order, Says};
use crate::matching::messages::{
    CANCEL_MANY_MAX, Cancel, CancelManyOrder, ClientOrderId, CloseReason, DeclineReason, Event, Execution,
    InstrumentId, KillSwitch, KillSwitchSet, MassCancel, OnDisconnect, OnDisconnectSet, OrderCancelled, OrderClosed,
    OrderId, OrderReduced, OrdersCancelled, Quantity, Reduce, Reject, Reply, Scope, SetKillSwitch, SetOnDisconnect,
    Side, Sides,
};
use alloc::vec::Vec;
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::{Account, Context, Timestamp};

impl Model {
    /// Takes some of an order out, or all of it; gives the order as it was.
    fn take_out(&mut self, index: usize, quantity: u64, ends_by: Execution, out: Says<'_, '_>) -> Order {
        let order = self.orders[index];
        let before = self.top(order.instrument);
        let of_hidden = quantity.min(order.hidden);
        if quantity < order.open() {
            let less = Order {
                hidden: order.hidden - of_hidden,
                remaining: order.remaining - (quantity - of_hidden),
                ..order
            };
            self.copy(&less, Execution::Reduced, quantity, out);
        } else {
            self.copy_end(&order, ends_by, order.open(), out);
        }
        if quantity >= order.open() {
            self.orders.remove(index);
            self.ended.push((order.account, order.client_order, DeclineReason::Cancelled));
        } else {
            self.orders[index].hidden -= of_hidden;
            self.orders[index].remaining -= quantity - of_hidden;
        }
        if quantity > of_hidden {
            self.say_left(&order, out);
            self.say_level(&order, out);
        }
        self.say_top(order.instrument, &before, out);
        order
    }

    pub(super) fn close(&mut self, index: usize, reason: CloseReason, out: Says<'_, '_>) -> Order {
        let order = self.orders[index];
        let closed = OrderClosed {
            order: OrderId(order.order),
            client_order: ClientOrderId(order.client_order),
            filled: Quantity(order.filled),
            cancelled: Quantity(order.open()),
            reason: reason.into(),
            reserved: Reserved::default(),
        };
        out.notify(Account(order.account), Event::OrderClosed(&closed));
        let ends_by = if reason == CloseReason::Expired { Execution::Expired } else { Execution::Cancelled };
        self.take_out(index, u64::MAX, ends_by, out)
    }

    pub(super) fn cancel(&mut self, context: Context, command: &Cancel, out: Says<'_, '_>) -> Result<(), Reject> {
        let Some(index) = self.mine(context.account(), command.client_order) else {
            return self.decline_gone(context.account(), command.client_order, out);
        };
        let order = self.take_out(index, u64::MAX, Execution::Cancelled, out);
        out.reply(Reply::OrderCancelled(&OrderCancelled {
            order: OrderId(order.order),
            client_order: command.client_order,
            filled: Quantity(order.filled),
            cancelled: Quantity(order.open()),
        }));
        Ok(())
    }

    pub(super) fn reduce(&mut self, context: Context, command: &Reduce, out: Says<'_, '_>) -> Result<(), Reject> {
        let Some(index) = self.mine(context.account(), command.client_order) else {
            return self.decline_gone(context.account(), command.client_order, out);
        };
        self.check_quantity(self.orders[index].instrument, command.quantity)?;
        let order = self.take_out(index, command.quantity.0, Execution::Cancelled, out);
        out.reply(Reply::OrderReduced(&OrderReduced {
            order: OrderId(order.order),
            client_order: command.client_order,
            filled: Quantity(order.filled),
            remaining: Quantity(order.open().saturating_sub(command.quantity.0)),
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
                    cancelled.0 += self.close(index, CloseReason::Cancelled, out).open();
                }
            }
        }
        out.reply(Reply::OrdersCancelled(&OrdersCancelled { cancelled, orders, unknown }));
        Ok(())
    }

    pub(super) fn let_time_pass(&mut self, now: Timestamp, out: Says<'_, '_>) {
        loop {
            // What ends at a time comes before what changes at it.
            let ends = self.orders.iter().filter_map(|order| Some((order.expires?, 0, order.order))).min();
            let changes = self.next_change().map(|(at, instrument)| (at, 1, instrument.into()));
            let Some((at, what, number)) = ends.into_iter().chain(changes).min().filter(|(at, ..)| *at <= now) else {
                return;
            };
            self.now = at;
            if what == 1 {
                self.change_by_time(number as u32, out);
            } else {
                let index = self.orders.iter().position(|order| order.order == number).expect("it was just seen");
                self.close(index, CloseReason::Expired, out);
            }
        }
    }

    pub(super) fn mass_cancel(
        &mut self,
        context: Context,
        command: &MassCancel,
        out: Says<'_, '_>,
    ) -> Result<(), Reject> {
        let whose = match (command.scope.get(), command.account.0) {
            (Scope::Own, 0) => Some(context.account().0),
            (Scope::Account, account) if account != 0 => Some(account),
            (Scope::Everyone, 0) => None,
            _ => return Err(Reject::BadScope),
        };
        if command.price_min > command.price_max {
            return Err(Reject::BadRange);
        }
        let InstrumentId(instrument) = command.instrument;
        if instrument != 0 && !self.instruments.contains_key(&instrument) {
            return Err(Reject::UnknownInstrument);
        }
        let meant = |order: &Order| {
            whose.is_none_or(|account| order.account == account)
                && (instrument == 0 || order.instrument == instrument)
                && match command.sides.get() {
                    Sides::Buy => order.side == Side::Buy,
                    Sides::Sell => order.side == Side::Sell,
                    Sides::Both => true,
                }
                && (command.price_min.0..=command.price_max.0).contains(&order.stop.map_or(order.price, |s| s.trigger))
        };
        // One account's orders go as they were entered; everyone's as they would trade.
        let turn = |order: &Order| match whose {
            Some(_) => (0, 0, Side::Buy, 0, order.order),
            None => Self::turn(order),
        };
        let (cancelled, orders) = self.close_all(meant, turn, CloseReason::Cancelled, out);
        out.reply(Reply::OrdersCancelled(&OrdersCancelled { cancelled, orders, unknown: 0 }));
        Ok(())
    }

    /// When an order is come to of everyone's: as it would trade; stops come after the book, those nearest to being
    /// triggered first; then what displays nothing, then market orders.
    pub(super) fn turn(order: &Order) -> (u32, u8, Side, i128, u64) {
        let price = order.stop.map_or(order.price, |stop| stop.trigger);
        let up = (order.side == Side::Sell) != order.stop.is_some();
        let rank = if up { i128::from(price) } else { -i128::from(price) };
        (order.instrument, order.part(), order.side, rank, order.place)
    }

    pub(super) fn set_kill_switch(
        &mut self,
        context: Context,
        command: &SetKillSwitch,
        out: Says<'_, '_>,
    ) -> Result<(), Reject> {
        let account = match (command.scope.get(), command.account.0) {
            (Scope::Own, 0) => context.account(),
            (Scope::Account, account) if account != 0 => Account(account),
            _ => return Err(Reject::BadScope),
        };
        self.know(account)?;
        let (mut cancelled, mut orders) = (Quantity(0), 0);
        if command.kill_switch.get() == KillSwitch::On {
            self.killed.insert(account.0);
            let meant = |order: &Order| order.account == account.0;
            (cancelled, orders) = self.close_all(meant, |order| order.order, CloseReason::KillSwitch, out);
        } else {
            self.killed.remove(&account.0);
        }
        let (kill_switch, reserved) = (command.kill_switch, Reserved::default());
        out.reply(Reply::KillSwitchSet(&KillSwitchSet { cancelled, account, orders, kill_switch, reserved }));
        Ok(())
    }

    pub(super) fn set_on_disconnect(
        &mut self,
        context: Context,
        command: &SetOnDisconnect,
        out: Says<'_, '_>,
    ) -> Result<(), Reject> {
        self.know(context.account())?;
        match command.on_disconnect.get() {
            OnDisconnect::Keep => self.fragile.remove(&context.account().0),
            OnDisconnect::Cancel => self.fragile.insert(context.account().0),
        };
        let (on_disconnect, reserved) = (command.on_disconnect, Reserved::default());
        out.reply(Reply::OnDisconnectSet(&OnDisconnectSet { on_disconnect, reserved }));
        Ok(())
    }

    pub(super) fn disconnect(&mut self, Account(account): Account, out: Says<'_, '_>) {
        let all = self.fragile.remove(&account);
        let meant = |order: &Order| order.account == account && (all || order.on_disconnect == OnDisconnect::Cancel);
        self.close_all(meant, |order| order.order, CloseReason::Disconnected, out);
    }

    /// An account is known from its first order, or the first setting of its own.
    pub(super) fn know(&mut self, Account(account): Account) -> Result<(), Reject> {
        self.has_room_for(account)?;
        self.accounts.insert(account);
        Ok(())
    }

    pub(super) fn has_room_for(&self, account: u32) -> Result<(), Reject> {
        let full = self.accounts.len() as u64 == self.limits.accounts;
        if full && !self.accounts.contains(&account) { Err(Reject::AccountsFull) } else { Ok(()) }
    }

    /// Closes the orders that are meant, each in its turn; gives how much that was, in how many orders.
    pub(super) fn close_all<T: Ord>(
        &mut self,
        meant: impl Fn(&Order) -> bool,
        turn: impl Fn(&Order) -> T,
        reason: CloseReason,
        out: Says<'_, '_>,
    ) -> (Quantity, u32) {
        let mut orders: Vec<Order> = self.orders.iter().copied().filter(meant).collect();
        orders.sort_by_key(turn);
        for closing in &orders {
            let index = self.orders.iter().position(|order| order.order == closing.order).expect("nothing else went");
            self.close(index, reason, out);
        }
        (Quantity(orders.iter().map(Order::open).sum()), orders.len() as u32)
    }
}
