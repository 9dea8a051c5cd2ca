//! Drop copies: what happens to the orders of a group of accounts, said once more to the client who watches them.

use super::instruments;
use super::levels::Level;
use super::messages::{
    DropCopySet, Event, Execution, ExecutionReport, Fill, Price, Quantity, Reject, Reply, SetDropCopy, TradeId,
};
use super::orders::Order;
use super::trading::Taker;
use super::{Matching, topics};
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::{Account, Cursor, Out, Progress};

/// What happened to an order beside trades.
#[derive(Clone, Copy, Debug)]
pub(super) struct Happened {
    execution: Execution,
    /// How much was taken out.
    quantity: u64,
}

impl Happened {
    /// Nothing was taken out.
    pub(super) const fn to(execution: Execution) -> Self {
        Self { execution, quantity: 0 }
    }

    /// That much was taken out.
    pub(super) const fn out(execution: Execution, quantity: u64) -> Self {
        Self { execution, quantity }
    }
}

impl Matching {
    #[cold]
    pub(super) fn set_drop_copy(&mut self, command: &SetDropCopy, out: &mut Out<'_, Self>) -> Result<Progress, Reject> {
        let SetDropCopy { account, reader } = *command;
        if account == Account(0) {
            return Err(Reject::BadScope);
        }
        if !self.orders.accounts.has_room_for_reader(reader) {
            return Err(Reject::ReadersFull);
        }
        let place = self.place_of(account)?;
        self.orders.accounts.set_reader(place, reader);
        out.reply(Reply::DropCopySet(&DropCopySet { account, reader }));
        Ok(Progress::Done)
    }

    /// Copies what happened to the order at `index`, of which `remaining` is open now.
    #[inline(always)]
    pub(super) fn copy_order(&self, index: u32, happened: Happened, remaining: u64, out: &mut Out<'_, Self>) {
        if self.orders.accounts.copies_any() {
            self.say_copy_of_order(index, happened, remaining, out);
        }
    }

    #[cold]
    fn say_copy_of_order(&self, index: u32, happened: Happened, remaining: u64, out: &mut Out<'_, Self>) {
        self.say_copy(self.orders[index].account, &self.execution(index, happened, remaining), out);
    }

    /// Copies what happened to an order that comes in.
    #[inline]
    pub(super) fn copy_taker(&self, taker: &Taker, happened: Happened, out: &mut Out<'_, Self>) {
        if self.orders.accounts.copies_any() {
            self.say_copy_of_taker(taker, happened, out);
        }
    }

    #[cold]
    fn say_copy_of_taker(&self, taker: &Taker, happened: Happened, out: &mut Out<'_, Self>) {
        let Taker { order, client_order, account, instrument, side, price, remaining, filled, .. } = *taker;
        let Happened { execution, quantity } = happened;
        let Some(place) = self.orders.accounts.find(account) else { return };
        let report = ExecutionReport {
            order,
            client_order,
            trade: TradeId(0),
            price,
            last_price: Price(0),
            quantity: Quantity(quantity),
            filled: Quantity(filled),
            remaining: Quantity(remaining),
            account,
            instrument: instruments::id(instrument),
            side: side.into(),
            execution: execution.into(),
            reserved: Reserved::default(),
        };
        self.say_copy(place, &report, out);
    }

    /// Copies a fill of an order that has that price, and of which `filled` has traded with it.
    #[cold]
    pub(super) fn copy_fill(
        &self,
        account: Account,
        fill: &Fill,
        own_price: Price,
        filled: u64,
        out: &mut Out<'_, Self>,
    ) {
        let Fill { order, client_order, trade, price, quantity, remaining, instrument, side, .. } = *fill;
        let Some(place) = self.orders.accounts.find(account) else { return };
        let report = ExecutionReport {
            order,
            client_order,
            trade,
            price: own_price,
            last_price: price,
            quantity,
            filled: Quantity(filled),
            remaining,
            account,
            instrument,
            side,
            execution: Execution::Traded.into(),
            reserved: Reserved::default(),
        };
        self.say_copy(place, &report, out);
    }

    #[cold]
    fn say_copy(&self, account: u32, report: &ExecutionReport, out: &mut Out<'_, Self>) {
        if let Some(Account(reader)) = self.orders.accounts.reader(account) {
            out.publish(topics::COPIES, reader, Event::ExecutionReport(report));
        }
    }

    fn execution(&self, index: u32, happened: Happened, remaining: u64) -> ExecutionReport {
        let Order { order, client_order, filled, level, .. } = self.orders[index];
        let Level { instrument, side, .. } = self.levels[level];
        ExecutionReport {
            order,
            client_order,
            trade: TradeId(0),
            price: self.limit_of(index),
            last_price: Price(0),
            quantity: Quantity(happened.quantity),
            filled: Quantity(filled),
            remaining: Quantity(remaining),
            account: self.orders.account(index),
            instrument: instruments::id(instrument),
            side,
            execution: happened.execution.into(),
            reserved: Reserved::default(),
        }
    }

    /// What is open of the accounts whose drop copy `reader` gets: account by account as they became known, each as it
    /// was entered. The cursor is the next order and one; zero at the start.
    pub(super) fn all_copied(&self, reader: Account, cursor: &mut Cursor, out: &mut Out<'_, Self>) -> Progress {
        let mut next = match cursor.0 {
            0 => self.first_copied(reader, 0),
            index => Some((index - 1) as u32),
        };
        while let Some(index) = next {
            if out.room() == 0 {
                *cursor = Cursor(u64::from(index) + 1);
                return Progress::More;
            }
            let happened = Happened::to(Execution::Standing);
            out.part(Event::ExecutionReport(&self.execution(index, happened, self.orders.open(index))));
            let behind = self.orders[index].account + 1;
            next = self.orders.next_of(index).or_else(|| self.first_copied(reader, behind));
        }
        Progress::Done
    }

    /// The first order of the accounts from the place `from` on whose drop copy `reader` gets.
    fn first_copied(&self, reader: Account, from: u32) -> Option<u32> {
        let accounts = &self.orders.accounts;
        let copied = (from..accounts.len()).filter(|place| accounts.reader(*place) == Some(reader));
        copied.map(|place| accounts[place].account).find_map(|account| self.orders.first_of(account))
    }
}
