//! What takes quantity out of a book without trading: cancels, reductions, expiry.

use super::copies::Happened;
use super::instruments;
use super::levels::{BOOK, Level, NONE};
use super::messages::{
    CANCEL_MANY_MAX, Cancel, CancelManyOrder, ClientOrderId, CloseReason, DeclineReason, Event, Execution,
    OrderCancelled, OrderReduced, OrdersCancelled, Priority, Quantity, Reduce, Reject, Reply,
};
use super::orders::Order;
use super::views::say_displayed;
use super::{Matching, Pending, topics};
use ringfence_kernel::{Context, Out, Progress, Timestamp};

/// How far a list is cancelled.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct CancellingMany {
    /// How much was taken out.
    quantity: u64,
    /// Orders taken out.
    orders: u32,
    /// Numbers that named none.
    unknown: u32,
    /// Where in the kept list it goes on.
    at: usize,
}

/// Outputs that one order taken out leads to at most: its end and the copy of that, that it is gone, its level, the best
/// prices, the auction.
pub(super) const OUTPUTS_EACH: usize = 6;

impl Matching {
    #[inline(never)]
    pub(super) fn cancel(&mut self, context: Context, command: &Cancel, out: &mut Out<'_, Self>) -> Progress {
        let index = match self.orders.seek(context.account(), command.client_order) {
            Ok(index) => index,
            Err(holder) => return self.decline_gone(holder, command.client_order, out),
        };
        let open = self.orders.open(index);
        self.copy_order(index, Happened::out(Execution::Cancelled, open), 0, out);
        let Order { order, client_order, filled, .. } = self.orders[index];
        self.take_out(index, out);
        let (filled, cancelled) = (Quantity(filled), Quantity(open));
        out.reply(Reply::OrderCancelled(&OrderCancelled { order, client_order, filled, cancelled }));
        Progress::Done
    }

    #[inline(never)]
    pub(super) fn reduce(
        &mut self,
        context: Context,
        command: &Reduce,
        out: &mut Out<'_, Self>,
    ) -> Result<Progress, Reject> {
        let index = match self.orders.seek(context.account(), command.client_order) {
            Ok(index) => index,
            Err(holder) => return Ok(self.decline_gone(holder, command.client_order, out)),
        };
        let Order { order, client_order, filled, level: at, .. } = self.orders[index];
        let instrument = self.levels[at].instrument;
        self.instruments[instrument].terms.check_quantity(command.quantity)?;
        let open = self.orders.open(index);
        let remaining = open.saturating_sub(command.quantity.0);
        if remaining == 0 {
            self.copy_order(index, Happened::out(Execution::Cancelled, open), 0, out);
            self.take_out(index, out);
        } else {
            self.copy_order(index, Happened::out(Execution::Reduced, command.quantity.0), remaining, out);
            self.release_order(index, remaining);
            self.lessen(index, command.quantity.0, out);
        }
        let (filled, remaining) = (Quantity(filled), Quantity(remaining));
        out.reply(Reply::OrderReduced(&OrderReduced { order, client_order, filled, remaining }));
        Ok(Progress::Done)
    }

    /// Makes an order less by `quantity`, which is less than it has open, and says what its book looks like now.
    pub(super) fn lessen(&mut self, index: u32, quantity: u64, out: &mut Out<'_, Self>) {
        let Order { order, level: at, .. } = self.orders[index];
        if self.shrink(index, at, quantity) {
            self.say_order(at, order, self.orders[index].remaining, Priority::Kept, out);
            self.say_level(at, out);
        }
        let Level { instrument, side, .. } = self.levels[at];
        self.say_top_beside(at, instrument, side.get(), out);
    }

    /// Makes an order less, what it does not display first; says whether it displays less.
    fn shrink(&mut self, index: u32, at: u32, quantity: u64) -> bool {
        let level = &mut self.levels[at];
        let hidden = match self.orders[index].special {
            NONE => 0,
            special => self.orders.specials.uncover(special, quantity),
        };
        level.hidden -= hidden;
        level.quantity -= quantity - hidden;
        self.orders[index].remaining -= quantity - hidden;
        quantity > hidden
    }

    #[cold]
    pub(super) fn cancel_many(
        &mut self,
        context: Context,
        orders: &[CancelManyOrder],
        out: &mut Out<'_, Self>,
    ) -> Result<Progress, Reject> {
        if orders.is_empty() || orders.len() > CANCEL_MANY_MAX {
            return Err(Reject::BadList);
        }
        self.list.clear();
        self.list.extend(orders.iter().map(|order| order.client_order));
        Ok(self.go_on_cancelling(context, CancellingMany::default(), out))
    }

    #[cold]
    pub(super) fn go_on_cancelling(
        &mut self,
        context: Context,
        mut so_far: CancellingMany,
        out: &mut Out<'_, Self>,
    ) -> Progress {
        while let Some(client_order) = self.list.get(so_far.at).copied() {
            if out.room() < OUTPUTS_EACH {
                self.pending = Pending::Cancelling(so_far);
                return Progress::More;
            }
            so_far.at += 1;
            self.cancel_one(context, client_order, &mut so_far, out);
        }
        let CancellingMany { quantity, orders, unknown, .. } = so_far;
        out.reply(Reply::OrdersCancelled(&OrdersCancelled { cancelled: Quantity(quantity), orders, unknown }));
        Progress::Done
    }

    fn cancel_one(
        &mut self,
        context: Context,
        client_order: ClientOrderId,
        so_far: &mut CancellingMany,
        out: &mut Out<'_, Self>,
    ) {
        let account = context.account();
        match self.orders.find(account, client_order) {
            None => so_far.unknown += 1,
            Some(index) => {
                so_far.orders += 1;
                so_far.quantity += self.orders.open(index);
                self.close(index, CloseReason::Cancelled, out);
            }
        }
    }

    /// Ends the orders whose time is over, earliest first, and of those that end together the oldest first; and lets
    /// phases change in between, each at its time, after what ends at the same.
    pub(super) fn let_time_pass(&mut self, now: Timestamp, out: &mut Out<'_, Self>) -> Progress {
        let due = |next: Option<(Timestamp, u32)>| next.filter(|(deadline, _)| *deadline <= now);
        loop {
            match (due(self.orders.next_to_expire()), due(self.instruments.next_change())) {
                (None, None) => return Progress::Done,
                (Some((ends, _)), Some((changes, instrument))) if changes < ends => {
                    if self.change_at(changes, instrument, out) == Progress::More {
                        return Progress::More;
                    }
                }
                (Some((ends, index)), _) => {
                    if out.room() < OUTPUTS_EACH {
                        return Progress::More;
                    }
                    self.now = ends;
                    self.close(index, CloseReason::Expired, out);
                }
                (None, Some((changes, instrument))) => {
                    if self.change_at(changes, instrument, out) == Progress::More {
                        return Progress::More;
                    }
                }
            }
        }
    }

    fn change_at(&mut self, now: Timestamp, instrument: u32, out: &mut Out<'_, Self>) -> Progress {
        self.now = now;
        let progress = self.change_by_time(instrument, out);
        self.finish(progress, out)
    }

    /// Takes an order out of its queue, its level and all indexes, and says what its book looks like now.
    #[inline(always)]
    pub(super) fn take_out(&mut self, index: u32, out: &mut Out<'_, Self>) {
        let at = self.orders[index].level;
        let level = &mut self.levels[at];
        let book = &mut self.instruments[level.instrument];
        if !book.is_plain || level.waits != BOOK {
            return self.take_out_otherwise(index, out);
        }
        let (instrument, side) = (level.instrument, level.side.get());
        let was_best = book.half(side).best == at;
        self.orders.leave(level, index);
        self.orders.remove(index, DeclineReason::Cancelled);
        say_displayed(level, out);
        if level.orders == 0 {
            self.levels.close(book.half_mut(side), at);
        }
        if was_best {
            let top = book.top_of(side, &self.levels);
            out.publish(topics::TOP, instruments::id(instrument).0, Event::TopOfBook(&top));
        }
    }

    /// The same where it is more: what it holds is released, and it may not be displayed.
    #[inline(never)]
    fn take_out_otherwise(&mut self, index: u32, out: &mut Out<'_, Self>) {
        let Order { order, level: at, .. } = self.orders[index];
        let instrument = self.levels[at].instrument;
        self.release_order(index, 0);
        self.orders.leave(&mut self.levels[at], index);
        self.orders.remove(index, DeclineReason::Cancelled);
        self.say_order(at, order, 0, Priority::Kept, out);
        self.say_level(at, out);
        self.close_if_empty(at);
        self.say_top(instrument, out);
    }
}
