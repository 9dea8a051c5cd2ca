//! The twin: drop copies.

use super::{Model, Order, Says};
use crate::matching::messages::{
    ClientOrderId, DropCopySet, Event, Execution, ExecutionReport, InstrumentId, OrderId, Price, Quantity, Reject,
    Reply, SetDropCopy, TradeId,
};
use crate::matching::topics;
use ringfence_kernel::Account;
use ringfence_kernel::messages::Reserved;

impl Model {
    pub(super) fn set_drop_copy(&mut self, command: &SetDropCopy, out: Says<'_, '_>) -> Result<(), Reject> {
        let SetDropCopy { account, reader } = *command;
        if account.0 == 0 {
            return Err(Reject::BadScope);
        }
        let known = reader.0 == 0 || self.all_readers.contains(&reader.0);
        if !known && self.all_readers.len() as u64 == self.limits.readers {
            return Err(Reject::ReadersFull);
        }
        self.know(account)?;
        self.readers.insert(account.0, reader.0);
        if reader.0 != 0 {
            self.all_readers.insert(reader.0);
        }
        out.reply(Reply::DropCopySet(&DropCopySet { account, reader }));
        Ok(())
    }

    /// Says to whoever watches its account what happened to an order, which is as `order` now.
    pub(super) fn copy(&self, order: &Order, execution: Execution, quantity: u64, out: Says<'_, '_>) {
        self.copy_trade(order, execution, quantity, (0, 0), out);
    }

    /// The same, by the trade with that number at that price.
    pub(super) fn copy_trade(
        &self,
        order: &Order,
        execution: Execution,
        quantity: u64,
        (trade, last_price): (u64, i64),
        out: Says<'_, '_>,
    ) {
        let reader = self.readers.get(&order.account).copied().unwrap_or(0);
        if reader == 0 {
            return;
        }
        let report = ExecutionReport {
            order: OrderId(order.order),
            client_order: ClientOrderId(order.client_order),
            trade: TradeId(trade),
            price: Price(order.stop.map_or(order.limit(), |stop| stop.trigger)),
            last_price: Price(last_price),
            quantity: Quantity(quantity),
            filled: Quantity(order.filled),
            remaining: Quantity(order.open()),
            account: Account(order.account),
            instrument: InstrumentId(order.instrument),
            side: order.side.into(),
            execution: execution.into(),
            reserved: Reserved::default(),
        };
        out.publish(topics::COPIES, reader, Event::ExecutionReport(&report));
    }

    /// What was open of an order is cancelled.
    pub(super) fn copy_end(&self, order: &Order, execution: Execution, quantity: u64, out: Says<'_, '_>) {
        self.copy(&Order { remaining: 0, hidden: 0, ..*order }, execution, quantity, out);
    }
}
