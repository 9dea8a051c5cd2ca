//! Self-trade prevention: what happens instead of a trade between orders of the same hands.

use super::Matching;
use super::copies::Happened;
use super::levels::NONE;
use super::messages::{
    CloseReason, DeclineReason, Event, Execution, OrderClosed, OrderDecremented, Priority, Quantity, Reject, Reply,
    SelfTrade, SelfTradeSet, SetSelfTrade,
};
use super::orders::Order;
use super::trading::{Taker, Then};
use super::views::Before;
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::{Account, Out, Progress};

impl Matching {
    #[cold]
    pub(super) fn set_self_trade(
        &mut self,
        command: &SetSelfTrade,
        out: &mut Out<'_, Self>,
    ) -> Result<Progress, Reject> {
        let SetSelfTrade { account, group, self_trade, .. } = *command;
        if account == Account(0) {
            return Err(Reject::BadScope);
        }
        let place = self.place_of(account)?;
        self.orders.accounts.set_self_trade(place, group, self_trade.get());
        let reserved = Reserved::default();
        out.reply(Reply::SelfTradeSet(&SelfTradeSet { account, group, self_trade, reserved }));
        Ok(Progress::Done)
    }

    /// Whether the taker does not trade that `quantity` with the order at `index`, because it is of the same hands. Then one of them, or
    /// both, are less or gone. At most two events are said.
    #[cold]
    pub(super) fn prevent(
        &mut self,
        taker: &mut Taker,
        index: u32,
        at: u32,
        quantity: u64,
        out: &mut Out<'_, Self>,
    ) -> bool {
        let maker = &self.orders[index];
        let before = taker.remaining;
        let Some(self_trade) = self.orders.accounts.prevention(taker.account, maker.account) else { return false };
        match self_trade {
            SelfTrade::Allow => return false,
            SelfTrade::CancelNewest => taker.drop(),
            SelfTrade::CancelOldest => self.drop_maker(index, at, out),
            SelfTrade::CancelBoth => {
                self.drop_maker(index, at, out);
                taker.drop();
            }
            SelfTrade::DecrementAndCancel => {
                self.decrement_maker(index, at, quantity, out);
                taker.decrement(quantity, out);
                if taker.remaining > 0 {
                    self.copy_taker(taker, Happened::out(Execution::Reduced, quantity), out);
                }
            }
        }
        self.release_taker(taker, before, taker.remaining);
        true
    }

    fn decrement_maker(&mut self, index: u32, at: u32, quantity: u64, out: &mut Out<'_, Self>) {
        let account = self.orders.account(index);
        let hidden = self.orders.hidden(index);
        let maker = &self.orders[index];
        if maker.remaining == quantity && hidden == 0 {
            return self.drop_maker(index, at, out);
        }
        let open = self.orders.open(index);
        let before = Before { at, order: self.orders[index].order, displayed: self.orders[index].remaining, open };
        self.release_order(index, open - quantity);
        let maker = &mut self.orders[index];
        if maker.remaining == quantity {
            self.orders.refill(&mut self.levels[at], index, at);
        } else {
            maker.remaining -= quantity;
            self.levels[at].quantity -= quantity;
        }
        let Order { order, client_order, .. } = self.orders[index];
        let (decremented, remaining) = (Quantity(quantity), Quantity(self.orders.open(index)));
        let less = OrderDecremented { order, client_order, decremented, remaining };
        out.notify(account, Event::OrderDecremented(&less));
        self.copy_order(index, Happened::out(Execution::Reduced, quantity), remaining.0, out);
        self.say_less(index, before, quantity, out);
    }

    fn drop_maker(&mut self, index: u32, at: u32, out: &mut Out<'_, Self>) {
        let account = self.orders.account(index);
        let open = self.orders.open(index);
        self.release_order(index, 0);
        let Order { order, client_order, filled, .. } = self.orders[index];
        let closed = OrderClosed {
            order,
            client_order,
            filled: Quantity(filled),
            cancelled: Quantity(open),
            reason: CloseReason::SelfTrade.into(),
            reserved: Reserved::default(),
        };
        out.notify(account, Event::OrderClosed(&closed));
        self.copy_order(index, Happened::out(Execution::Cancelled, open), 0, out);
        self.orders.leave(&mut self.levels[at], index);
        self.orders.remove(index, DeclineReason::Cancelled);
        self.say_order(at, order, 0, Priority::Kept, out);
    }

    /// What keeps an order of `taker` from trading with one of the account at `maker`: nothing, what ends or lessens the
    /// taker, or what does not.
    pub(super) fn prevents(&self, taker: Account, maker: u32) -> Option<bool> {
        if !self.orders.accounts.prevent_any() {
            return None;
        }
        match self.orders.accounts.prevention(taker, maker) {
            None | Some(SelfTrade::Allow) => None,
            Some(SelfTrade::CancelOldest) => Some(false),
            Some(_) => Some(true),
        }
    }

    /// How much of a level is for `account`, and whether nothing behind it is.
    pub(super) fn offered(&self, account: Account, at: u32) -> (u64, bool) {
        let level = &self.levels[at];
        if !self.orders.accounts.prevent_any() {
            return (level.quantity + level.hidden, false);
        }
        // What is not displayed stands behind all that is.
        let shared = self.instruments[level.instrument].is_shared();
        let (mut sum, mut hidden, mut index) = (0, 0, level.head);
        while index != NONE {
            let Order { account: maker, remaining, newer, .. } = self.orders[index];
            match self.orders.accounts.prevention(account, maker) {
                None | Some(SelfTrade::Allow) => {
                    sum += remaining;
                    hidden += self.orders.hidden(index);
                }
                Some(SelfTrade::CancelOldest) => {}
                // Where what comes in is shared it could be met before any other.
                Some(_) => return (if shared { 0 } else { sum }, true),
            }
            index = newer;
        }
        (sum + hidden, false)
    }
}

impl Taker {
    /// It is cancelled, whatever it was to become.
    fn drop(&mut self) {
        self.then = Then::Drop(self.remaining);
        self.remaining = 0;
    }

    fn decrement(&mut self, quantity: u64, out: &mut Out<'_, Matching>) {
        if self.remaining == quantity {
            return self.drop();
        }
        self.remaining -= quantity;
        let Self { order, client_order, remaining, .. } = *self;
        let (decremented, remaining) = (Quantity(quantity), Quantity(remaining));
        let less = OrderDecremented { order, client_order, decremented, remaining };
        out.notify(self.account, Event::OrderDecremented(&less));
    }
}
