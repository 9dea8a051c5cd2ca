//! The twin: orders of the same hands.

use super::reserve::take_from;
use super::{Model, Order, Says};
use crate::matching::messages::{
    ClientOrderId, CloseReason, DeclineReason, Event, Execution, OrderClosed, OrderDecremented, OrderId, Quantity,
    Reject, Reply, SelfTrade, SelfTradeSet, SetSelfTrade,
};
use ringfence_kernel::Account;
use ringfence_kernel::messages::Reserved;

impl Model {
    pub(super) fn set_self_trade(&mut self, command: &SetSelfTrade, out: Says<'_, '_>) -> Result<(), Reject> {
        let SetSelfTrade { account, group, self_trade, reserved } = *command;
        if account.0 == 0 {
            return Err(Reject::BadScope);
        }
        self.know(account)?;
        self.self_trade.insert(account.0, (group, self_trade.get()));
        out.reply(Reply::SelfTradeSet(&SelfTradeSet { account, group, self_trade, reserved }));
        Ok(())
    }

    /// What happens when an order of `taker` meets one of `maker`.
    pub(super) fn prevention(&self, taker: u32, maker: u32) -> SelfTrade {
        let said = |account| self.self_trade.get(&account).copied().unwrap_or((0, SelfTrade::Allow));
        let ((group, self_trade), (other, _)) = (said(taker), said(maker));
        if taker == maker || group != 0 && group == other { self_trade } else { SelfTrade::Allow }
    }

    /// Does to both orders what happens instead of a trade; says how much of the taker is cancelled, if it is.
    pub(super) fn prevent(
        &mut self,
        how: SelfTrade,
        index: usize,
        quantity: u64,
        taker: &mut Order,
        out: Says<'_, '_>,
    ) -> Option<u64> {
        let maker = self.orders[index];
        // How much of each goes.
        let (of_maker, of_taker) = match how {
            SelfTrade::Allow => (0, 0),
            SelfTrade::CancelNewest => (0, taker.remaining),
            SelfTrade::CancelOldest => (maker.open(), 0),
            SelfTrade::CancelBoth => (maker.open(), taker.remaining),
            SelfTrade::DecrementAndCancel => (quantity, quantity),
        };
        taker.remaining -= of_taker;
        if of_maker > 0 && of_maker < maker.open() {
            take_from(&mut self.orders, index, of_maker, &mut self.last_place);
            say_decremented(&self.orders[index], of_maker, out);
            self.copy(&self.orders[index], Execution::Reduced, of_maker, out);
            self.say_left(&maker, out);
        } else if of_maker > 0 {
            self.orders.remove(index);
            self.ended.push((maker.account, maker.client_order, DeclineReason::Cancelled));
            let closed = OrderClosed {
                order: OrderId(maker.order),
                client_order: ClientOrderId(maker.client_order),
                filled: Quantity(maker.filled),
                cancelled: Quantity(maker.open()),
                reason: CloseReason::SelfTrade.into(),
                reserved: Reserved::default(),
            };
            out.notify(Account(maker.account), Event::OrderClosed(&closed));
            self.copy_end(&maker, Execution::Cancelled, maker.open(), out);
            self.say_left(&maker, out);
        }
        if of_taker > 0 && taker.remaining > 0 {
            say_decremented(taker, of_taker, out);
            self.copy(taker, Execution::Reduced, of_taker, out);
        }
        (taker.remaining == 0).then_some(of_taker)
    }
}

fn say_decremented(order: &Order, quantity: u64, out: Says<'_, '_>) {
    let less = OrderDecremented {
        order: OrderId(order.order),
        client_order: ClientOrderId(order.client_order),
        decremented: Quantity(quantity),
        remaining: Quantity(order.open()),
    };
    out.notify(Account(order.account), Event::OrderDecremented(&less));
}
