//! Self-trade prevention: what happens instead of a trade between orders of the same hands.

use super::Matching;
use super::levels::{NONE, better};
use super::messages::{
    CloseReason, DeclineReason, Event, OrderClosed, OrderDecremented, Quantity, Reject, Reply, SelfTrade, SelfTradeSet,
    SetSelfTrade, Side,
};
use super::orders::Order;
use super::trading::{Taker, Then};
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

    /// Whether the taker does not trade with the oldest order at a level, because it is of the same hands. Then one of
    /// them, or both, are less or gone. At most two events are said.
    #[cold]
    pub(super) fn prevent(&mut self, taker: &mut Taker, at: u32, out: &mut Out<'_, Self>) -> bool {
        let index = self.levels[at].head;
        let maker = &self.orders[index];
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
                let quantity = maker.remaining.min(taker.remaining);
                self.decrement_maker(index, at, quantity, out);
                taker.decrement(quantity, out);
            }
        }
        true
    }

    fn decrement_maker(&mut self, index: u32, at: u32, quantity: u64, out: &mut Out<'_, Self>) {
        let account = self.orders.account(index);
        let maker = &mut self.orders[index];
        if maker.remaining == quantity {
            return self.drop_maker(index, at, out);
        }
        maker.remaining -= quantity;
        let Order { order, client_order, remaining, .. } = *maker;
        self.levels[at].quantity -= quantity;
        let (decremented, remaining) = (Quantity(quantity), Quantity(remaining));
        let less = OrderDecremented { order, client_order, decremented, remaining };
        out.notify(account, Event::OrderDecremented(&less));
    }

    fn drop_maker(&mut self, index: u32, at: u32, out: &mut Out<'_, Self>) {
        let account = self.orders.account(index);
        self.orders.leave(&mut self.levels[at], index);
        let Order { order, client_order, filled, remaining, .. } = self.orders.remove(index, DeclineReason::Cancelled);
        let closed = OrderClosed {
            order,
            client_order,
            filled: Quantity(filled),
            cancelled: Quantity(remaining),
            reason: CloseReason::SelfTrade.into(),
            reserved: Reserved::default(),
        };
        out.notify(account, Event::OrderClosed(&closed));
    }

    /// Whether the other side has `quantity` for `account` at `ticks` or better. Where prevention would end the order
    /// or make it less, nothing more is for it.
    #[cold]
    pub(super) fn offers(&self, account: Account, instrument: u32, side: Side, ticks: u64, quantity: u64) -> bool {
        let other = side.opposite();
        let half = self.instruments[instrument].half(other);
        let mut next = Some(half.best).filter(|at| *at != NONE);
        let mut sum = 0;
        while let Some(at) = next.filter(|at| !better(other, ticks, self.levels[*at].ticks)) {
            let (offered, ends) = self.offered(account, at);
            sum += offered;
            if sum >= quantity || ends {
                break;
            }
            next = self.levels.worse(half, at);
        }
        sum >= quantity
    }

    /// How much of a level is for `account`, and whether nothing behind it is.
    fn offered(&self, account: Account, at: u32) -> (u64, bool) {
        let level = &self.levels[at];
        if !self.orders.accounts.prevent_any() {
            return (level.quantity, false);
        }
        let (mut sum, mut index) = (0, level.head);
        while index != NONE {
            let Order { account: maker, remaining, newer, .. } = self.orders[index];
            match self.orders.accounts.prevention(account, maker) {
                None | Some(SelfTrade::Allow) => sum += remaining,
                Some(SelfTrade::CancelOldest) => {}
                Some(_) => return (sum, true),
            }
            index = newer;
        }
        (sum, false)
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
