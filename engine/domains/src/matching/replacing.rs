//! Replacements of what is not a plain order: stops, and orders that display a part of themselves or nothing.

use super::Matching;
use super::copies::Happened;
use super::entry::decline;
use super::levels::{Level, NONE, PARKED, WAITS};
use super::messages::{
    DeclineReason, Execution, OrderReplaced, OrderStatus, OrderType, Price, Priority, Quantity, Reject, ReplaceReserve,
    ReplaceStop, Reply, Side,
};
use super::orders::Order;
use super::reserve::{Reserve, Wanted};
use super::specials::RESERVE;
use super::stops::{StopPrices, waiting_at};
use super::trading::{Origin, Taker, Then};
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::{Context, Out, Progress, Timestamp};

impl Matching {
    #[cold]
    pub(super) fn replace_stop(
        &mut self,
        context: Context,
        command: &ReplaceStop,
        out: &mut Out<'_, Self>,
    ) -> Result<Progress, Reject> {
        let ReplaceStop { client_order, trigger, price, trail, quantity } = *command;
        let account = context.account();
        let index = match self.orders.seek(account, client_order) {
            Ok(index) => index,
            Err(holder) => return Ok(self.decline_gone(holder, client_order, out)),
        };
        let Order { level: at, special, order_type, remaining, .. } = self.orders[index];
        let Level { waits, ticks: known_ticks, instrument, side, .. } = self.levels[at];
        if waits != WAITS {
            return Ok(decline(client_order, DeclineReason::OtherKind, out));
        }
        let known = self.orders.specials[special];
        self.instruments[instrument].terms.check_quantity(quantity)?;
        if (trail == Price(0)) != (known.trail == Price(0)) {
            return Err(Reject::BadOrderType);
        }
        let ticks = self.check_stop(instrument, order_type.get(), StopPrices { trigger, price, trail })?;
        if !self.instruments[instrument].phase.get().is_open() {
            return Ok(decline(client_order, DeclineReason::PhaseForbids, out));
        }
        if self.is_triggered(instrument, side.get(), ticks) {
            return Ok(decline(client_order, DeclineReason::WouldTrigger, out));
        }
        let worst = if order_type.get() == OrderType::Limit { price } else { trigger };
        if let Some(reason) = self.breaks_limit(account, worst, quantity, false) {
            return Ok(decline(client_order, reason, out));
        }
        let level = waiting_at(instrument, side.get(), ticks, trigger);
        if !self.has_room_for(&level) {
            return Err(Reject::LevelsFull);
        }
        let same = (ticks, price, trail) == (known_ticks, known.price, known.trail);
        let priority = if same && quantity.0 <= remaining {
            self.levels[at].quantity -= remaining - quantity.0;
            self.orders[index].remaining = quantity.0;
            Priority::Kept
        } else {
            self.orders.leave(&mut self.levels[at], index);
            self.close_if_empty(at);
            self.orders[index].remaining = quantity.0;
            self.orders.specials.set_stop(special, price, trail);
            let to = self.level(level);
            self.orders.queue(&mut self.levels[to], index, to);
            Priority::Lost
        };
        self.copy_order(index, Happened::to(Execution::Replaced), quantity.0, out);
        self.answer_kept(index, priority, out);
        Ok(Progress::Done)
    }

    #[cold]
    pub(super) fn replace_reserve(
        &mut self,
        context: Context,
        command: &ReplaceReserve,
        out: &mut Out<'_, Self>,
    ) -> Result<Progress, Reject> {
        let ReplaceReserve { client_order, price, quantity, display, minimum } = *command;
        let account = context.account();
        let index = match self.orders.seek(account, client_order) {
            Ok(index) => index,
            Err(holder) => return Ok(self.decline_gone(holder, client_order, out)),
        };
        let Order { level: at, special, filled, .. } = self.orders[index];
        let Level { ticks: known_ticks, instrument, side, .. } = self.levels[at];
        if special == NONE || self.orders.specials[special].kind != RESERVE {
            return Ok(decline(client_order, DeclineReason::OtherKind, out));
        }
        let (known, side) = (self.orders.specials[special], side.get());
        self.instruments[instrument].terms.check_quantity(quantity)?;
        let reserve = self.reserve(instrument, quantity, display, minimum)?;
        let ticks = self.instruments[instrument].terms.ticks(price)?;
        self.instruments[instrument].check_tick(price)?;
        if quantity.0 <= filled {
            return Ok(decline(client_order, DeclineReason::BelowFilled, out));
        }
        if !self.instruments[instrument].phase.get().is_open() {
            return Ok(decline(client_order, DeclineReason::PhaseForbids, out));
        }
        if self.is_outside(instrument, Ok(ticks)) {
            return Ok(decline(client_order, DeclineReason::OutsideBand, out));
        }
        if let Some(reason) = self.breaks_limit(account, price, quantity, false) {
            return Ok(decline(client_order, reason, out));
        }
        if !self.has_room_for(&self.stands_at(instrument, side, ticks, reserve.part())) {
            return Err(Reject::LevelsFull);
        }
        let (open, remaining) = (self.orders.open(index), quantity.0 - filled);
        if let Some(reason) = self.hold_again(index, price, remaining)? {
            return Ok(decline(client_order, reason, out));
        }
        let same = (ticks, reserve.display, reserve.minimum) == (known_ticks, known.display, known.minimum);
        if same && remaining <= open {
            self.copy_order(index, Happened::to(Execution::Replaced), remaining, out);
            self.lessen(index, open - remaining, out);
            self.answer_kept(index, Priority::Kept, out);
            return Ok(Progress::Done);
        }
        self.leave_book(index, out);
        let mut taker = self.enter_again(index, (instrument, side), (price, ticks), remaining, reserve);
        self.copy_taker(&taker, Happened::to(Execution::Replaced), out);
        Ok(self.take(&mut taker, out))
    }

    /// Takes the order at `index` out of its queue, to come in again.
    pub(super) fn leave_book(&mut self, index: u32, out: &mut Out<'_, Self>) {
        let Order { order, level: at, .. } = self.orders[index];
        self.orders.leave(&mut self.levels[at], index);
        self.say_order(at, order, 0, Priority::Kept, out);
        self.say_level(at, out);
        self.close_if_empty(at);
    }

    /// The order at `index`, which stands in no queue, as it comes in again on a side of a book as `reserve` and the rest say.
    pub(super) fn enter_again(
        &self,
        index: u32,
        (instrument, side): (u32, Side),
        (price, ticks): (Price, u64),
        remaining: u64,
        reserve: Reserve,
    ) -> Taker {
        let (account, parked, minimum) = (self.orders.account(index), reserve.part() == PARKED, reserve.minimum);
        let reach = if parked { ticks } else { self.reach(instrument, side, ticks) };
        // Of one that has less left than its minimum all is wanted.
        let minimum = minimum.min(remaining);
        let wanted = Wanted { account, instrument, side, reach, minimum, quantity: remaining };
        Taker {
            reach,
            remaining,
            reserve: Some(reserve),
            stands: parked || minimum > 0 && !self.finds(&wanted),
            ..self.again(index, instrument, side, price, ticks)
        }
    }

    /// The order at `index` as it comes in again on a side of a book, at a price.
    #[inline]
    pub(super) fn again(&self, index: u32, instrument: u32, side: Side, price: Price, ticks: u64) -> Taker {
        let Order { order, client_order, account: holder, order_type, on_disconnect, remaining, filled, .. } =
            self.orders[index];
        Taker {
            order,
            client_order,
            account: self.orders.account(index),
            holder,
            instrument,
            side,
            order_type,
            on_disconnect,
            price,
            ticks,
            reach: ticks,
            only: 0,
            remaining,
            filled,
            place: index,
            origin: Origin::Replaced,
            reserve: None,
            stands: false,
            passed: NONE,
            then: Then::Rest(Timestamp(0)),
        }
    }

    /// Where an order that was replaced stands again, and how much it displays, or has there where nothing is displayed.
    #[cold]
    pub(super) fn cover_again(&mut self, taker: &Taker, index: u32, reserve: Reserve) -> (u32, u64) {
        let Reserve { display, minimum, .. } = reserve;
        let at = self.level(self.stands_at(taker.instrument, taker.side, taker.ticks, reserve.part()));
        let displayed = reserve.first(taker.remaining);
        let hidden = taker.remaining - displayed;
        self.orders.specials.set_reserve(self.orders[index].special, hidden, display, minimum);
        self.levels[at].hidden += hidden;
        self.levels[at].pegged += u32::from(reserve.is_pegged_in_book());
        (at, displayed)
    }

    /// Answers a replacement that let nothing trade.
    #[inline]
    pub(super) fn answer_kept(&self, index: u32, priority: Priority, out: &mut Out<'_, Self>) {
        let Order { order, client_order, filled, level, .. } = self.orders[index];
        out.reply(Reply::OrderReplaced(&OrderReplaced {
            order,
            client_order,
            price: self.levels[level].price,
            filled: Quantity(filled),
            remaining: Quantity(self.orders.open(index)),
            status: OrderStatus::Open.into(),
            priority: priority.into(),
            reserved: Reserved::default(),
        }));
    }
}
