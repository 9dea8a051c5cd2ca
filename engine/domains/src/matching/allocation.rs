//! How what comes in is shared among the orders at a price, where it is not by time alone; and who bettered the market.

use super::Matching;
use super::levels::{BOOK, Level, NONE};
use super::messages::{Allocation, AllocationSet, Phase, QUANTITY_MAX, Reject, Reply, SetAllocation, Side};
use super::orders::Order;
use super::trading::Taker;
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::{Out, Progress};

/// A price at which a taker is shared out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sharing {
    /// How much there was to share, and among how much that is displayed.
    quantity: u64,
    total: u64,
    /// Whose turn it is, up to the last; [`NONE`] when all have had theirs.
    next: u32,
    last: u32,
}

impl Matching {
    #[cold]
    pub(super) fn set_allocation(
        &mut self,
        command: &SetAllocation,
        out: &mut Out<'_, Self>,
    ) -> Result<Progress, Reject> {
        let place = self.instruments.place(command.instrument).ok_or(Reject::UnknownInstrument)?;
        let instrument = &mut self.instruments[place];
        let (allocation, minimum) = (command.allocation.get(), command.minimum.0);
        let by_time = allocation == Allocation::PriceTime;
        if minimum > QUANTITY_MAX || !instrument.terms.is_in_lots(minimum) || by_time && minimum > 0 {
            return Err(Reject::BadAllocation);
        }
        instrument.set_allocation(allocation, minimum);
        let (instrument, reserved) = (command.instrument, Reserved::default());
        out.reply(Reply::AllocationSet(&AllocationSet { instrument, reserved }));
        Ok(Progress::Done)
    }

    /// Shares a taker that does not take all of the level at `at` among its orders: who bettered the market first, then
    /// each by what it displays, oldest first. What is left after that is for them by time.
    #[cold]
    pub(super) fn share_out(&mut self, taker: &mut Taker, at: u32, out: &mut Out<'_, Self>) -> Progress {
        let mut sharing = match self.sharing {
            Some(sharing) => sharing,
            None if out.room() < super::trading::OUTPUTS_EACH => return Progress::More,
            None => self.begin_sharing(taker, at, out),
        };
        while sharing.next != NONE && taker.remaining > 0 {
            if out.room() < super::trading::OUTPUTS_EACH {
                self.sharing = Some(sharing);
                return Progress::More;
            }
            let index = sharing.next;
            let Order { remaining, newer, .. } = self.orders[index];
            sharing.next = if index == sharing.last { NONE } else { newer };
            let share = self.instruments[taker.instrument].share(remaining, sharing.quantity, sharing.total);
            let quantity = share.min(remaining).min(taker.remaining);
            if quantity > 0 {
                self.meet(taker, index, at, quantity, out);
            }
        }
        self.sharing = Some(Sharing { next: NONE, ..sharing });
        Progress::Done
    }

    fn begin_sharing(&mut self, taker: &mut Taker, at: u32, out: &mut Out<'_, Self>) -> Sharing {
        let Level { head, side, .. } = self.levels[at];
        if taker.remaining >= self.levels[at].total() {
            return Sharing { quantity: 0, total: 0, next: NONE, last: NONE };
        }
        let Order { order, remaining, .. } = self.orders[head];
        if self.instruments[taker.instrument].is_top(side.get(), order) {
            self.meet(taker, head, at, remaining.min(taker.remaining), out);
        }
        let Level { quantity: total, head: next, tail: last, .. } = self.levels[at];
        Sharing { quantity: taker.remaining, total, next, last }
    }

    /// An order has come to stand at the level at `at`: it has bettered the market if nothing else is as good.
    #[cold]
    pub(super) fn note_top(&mut self, at: u32) {
        let Level { instrument, side, orders, head, waits, .. } = self.levels[at];
        let order = self.orders[head].order;
        let instrument = &mut self.instruments[instrument];
        let is_best = instrument.is_shared() && waits == BOOK && orders == 1 && instrument.half(side.get()).best == at;
        if is_best && instrument.phase.get() == Phase::Continuous {
            instrument.top_orders[side.get() as usize - 1] = order;
        }
    }
}

impl super::instruments::Instrument {
    /// Whether what comes in is shared.
    #[inline]
    pub(super) fn is_shared(&self) -> bool {
        !self.is_plain && self.allocation.get() != Allocation::PriceTime
    }

    /// Whether the order bettered the market and is served first.
    fn is_top(&self, side: Side, order: super::messages::OrderId) -> bool {
        self.allocation.get() == Allocation::ProRataTop && self.top_orders[side as usize - 1] == order
    }

    /// How much of `quantity` is for an order that displays `displayed` of `total`: whole lots, and nothing below the
    /// minimum.
    fn share(&self, displayed: u64, quantity: u64, total: u64) -> u64 {
        let share = u128::from(displayed) * u128::from(quantity) / u128::from(total);
        let share = self.terms.in_lots(share as u64);
        if share < self.minimum_allocation { 0 } else { share }
    }
}
