//! What brings quantity to a book: new orders and replacements.

use super::Matching;
use super::copies::Happened;
use super::instruments::Terms;
use super::levels::{Level, NONE, UNPRICED, WAITS};
use super::messages::{
    ClientOrderId, DeclineReason, Declined, DefineInstrument, Execution, InstrumentDefined, NewOrder, OrderId,
    OrderType, Price, Priority, Reject, Replace, Reply, Side, TimeInForce,
};
use super::orders::Order;
use super::pricing::Stay;
use super::reserve::Wanted;
use super::settlement::Open;
use super::specials::{IN_AUCTIONS, PEG};
use super::trading::{Origin, Taker, Then};
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::{Account, Context, Out, Progress};

impl Matching {
    #[cold]
    pub(super) fn define_instrument(
        &mut self,
        command: &DefineInstrument,
        out: &mut Out<'_, Self>,
    ) -> Result<Progress, Reject> {
        self.instruments.define(command.instrument, Terms::of(command)?)?;
        let reserved = Reserved::default();
        out.reply(Reply::InstrumentDefined(&InstrumentDefined { instrument: command.instrument, reserved }));
        Ok(Progress::Done)
    }

    #[inline]
    pub(super) fn new_order(
        &mut self,
        context: Context,
        command: &NewOrder,
        out: &mut Out<'_, Self>,
    ) -> Result<Progress, Reject> {
        let account = context.account();
        let instrument = self.instruments.place(command.instrument).ok_or(Reject::UnknownInstrument)?;
        let book = &self.instruments[instrument];
        book.terms.check_quantity(command.quantity)?;
        let Stay { then, minimum } = book.terms.stay(context.now, command)?;
        if self.orders.find(account, command.client_order).is_some() {
            return Err(Reject::DuplicateClientOrder);
        }
        let side = command.side.get();
        let limit = self.limit(book, command, then)?;
        if !book.is_plain && !matches!(command.order_type.get(), OrderType::Market | OrderType::MarketToLimit) {
            book.check_tick(command.price)?;
        }
        if self.orders.accounts.is_killed(account) {
            return Ok(decline(command.client_order, DeclineReason::KillSwitch, out));
        }
        let is_plain = book.is_plain;
        let time_in_force = command.time_in_force.get();
        let mut only = match time_in_force {
            TimeInForce::AtOpen | TimeInForce::AtClose => time_in_force as u8,
            _ => 0,
        };
        if !is_plain && book.leaves_unpriced(command.order_type.get()) && only == 0 {
            only = IN_AUCTIONS;
        }
        let for_auction = only != 0;
        if (!is_plain || for_auction)
            && let Some(reason) = self.keeps_out(instrument, command, limit)
        {
            return Ok(decline(command.client_order, reason, out));
        }
        let ticks = match limit {
            Ok(ticks) => ticks,
            Err(reason) => return Ok(decline(command.client_order, reason, out)),
        };
        let price = book.terms.price(ticks);
        let rests = matches!(then, Then::Rest(_));
        if self.orders.accounts.limit_any()
            && let Some(reason) = self.breaks_limit(account, price, command.quantity, rests)
        {
            return Ok(decline(command.client_order, reason, out));
        }
        let reach = if is_plain { ticks } else { self.reach(instrument, side, ticks) };
        let quantity = command.quantity.0;
        if minimum > 0 && !self.offers(&Wanted { account, instrument, side, reach, minimum, quantity, pegged: false }) {
            return Ok(decline(command.client_order, DeclineReason::BelowMinimum, out));
        }
        if let Then::Rest(_) = then {
            // An order that may rest needs its places beforehand, whether or not it will trade.
            if self.orders.room() == 0 {
                return Err(Reject::OrdersFull);
            }
            if for_auction && self.orders.for_auction.room() == 0 {
                return Err(Reject::SpecialsFull);
            }
            let unpriced = for_auction && command.order_type.get() == OrderType::Market;
            if !unpriced {
                self.room_for_level(instrument, side, ticks)?;
            } else if !self.has_room_for(&unpriced_at(instrument, side, ticks, price)) {
                return Err(Reject::LevelsFull);
            }
        }
        if !self.orders.accounts.has_room_for(account) {
            return Err(Reject::AccountsFull);
        }
        if !is_plain && let Some(reason) = self.hold_new(account, instrument, Open { side, price, quantity })? {
            return Ok(decline(command.client_order, reason, out));
        }
        self.last_order += 1;
        let mut taker = Taker {
            order: OrderId(self.last_order),
            client_order: command.client_order,
            account,
            instrument,
            side,
            order_type: command.order_type,
            on_disconnect: command.on_disconnect,
            price,
            ticks,
            reach,
            only,
            remaining: command.quantity.0,
            filled: 0,
            place: NONE,
            origin: Origin::Entered,
            reserve: None,
            stands: command.order_type.get().is_post_only(),
            passed: NONE,
            then,
        };
        self.copy_taker(&taker, Happened::to(Execution::Entered), out);
        Ok(self.take_at_once(&mut taker, out))
    }

    #[inline]
    pub(super) fn replace(
        &mut self,
        context: Context,
        command: &Replace,
        out: &mut Out<'_, Self>,
    ) -> Result<Progress, Reject> {
        let account = context.account();
        let Some(index) = self.orders.find(account, command.client_order) else {
            return Ok(self.decline_gone(account, command.client_order, out));
        };
        let order = self.orders[index];
        if (order.special != NONE || order.only != 0)
            && let Some(reason) = self.replaced_otherwise(&order)
        {
            return Ok(decline(command.client_order, reason, out));
        }
        let Level { ticks: old_ticks, instrument, side, .. } = self.levels[order.level];
        let book = &self.instruments[instrument];
        let is_plain = book.is_plain;
        let side = side.get();
        book.terms.check_quantity(command.quantity)?;
        let limit = self.limit_again(book, side, order.order_type.get(), command.price)?;
        if !is_plain {
            book.check_tick(command.price)?;
        }
        if command.quantity.0 <= order.filled {
            return Ok(decline(command.client_order, DeclineReason::BelowFilled, out));
        }
        if !is_plain && !book.phase.get().is_open() {
            return Ok(decline(command.client_order, DeclineReason::PhaseForbids, out));
        }
        if !is_plain && self.is_outside(instrument, limit) {
            return Ok(decline(command.client_order, DeclineReason::OutsideBand, out));
        }
        let ticks = match limit {
            Ok(ticks) => ticks,
            Err(reason) => return Ok(decline(command.client_order, reason, out)),
        };
        let price = book.terms.price(ticks);
        if self.orders.accounts.limit_any()
            && let Some(reason) = self.breaks_limit(account, price, command.quantity, false)
        {
            return Ok(decline(command.client_order, reason, out));
        }
        let remaining = command.quantity.0 - order.filled;
        if ticks != old_ticks {
            self.room_for_level(instrument, side, ticks)?;
        }
        if !is_plain && let Some(reason) = self.hold_again(index, price, remaining)? {
            return Ok(decline(command.client_order, reason, out));
        }
        if ticks == old_ticks {
            let priority = self.resize(index, remaining);
            self.copy_order(index, Happened::to(Execution::Replaced), remaining, out);
            if !is_plain {
                self.say_order(order.level, order.order, remaining, priority, out);
            }
            self.say_level(order.level, out);
            self.say_top(instrument, out);
            self.answer_kept(index, priority, out);
            return Ok(Progress::Done);
        }
        self.orders.leave(&mut self.levels[order.level], index);
        if !is_plain {
            self.say_order(order.level, order.order, 0, Priority::Kept, out);
        }
        self.say_level(order.level, out);
        self.close_if_empty(order.level);
        let mut taker = Taker {
            reach: if is_plain { ticks } else { self.reach(instrument, side, ticks) },
            only: order.only,
            remaining,
            stands: order.order_type.get().is_post_only(),
            ..self.again(index, instrument, side, price, ticks)
        };
        self.copy_taker(&taker, Happened::to(Execution::Replaced), out);
        Ok(self.take(&mut taker, out))
    }

    /// Why an order is not replaced as a plain one is, if it is not.
    #[cold]
    fn replaced_otherwise(&self, order: &Order) -> Option<DeclineReason> {
        match self.levels[order.level].waits {
            WAITS => Some(DeclineReason::Waiting),
            UNPRICED => Some(DeclineReason::Unpriced),
            _ if order.special == NONE => None,
            _ if self.orders.specials[order.special].kind == PEG => Some(DeclineReason::OtherKind),
            _ => Some(DeclineReason::HasReserve),
        }
    }

    /// Gives the order at `index` another open quantity at its price. Less, or as much, keeps its place in the queue.
    fn resize(&mut self, index: u32, remaining: u64) -> Priority {
        let order = &mut self.orders[index];
        let level = &mut self.levels[order.level];
        if remaining <= order.remaining {
            level.quantity -= order.remaining - remaining;
            order.remaining = remaining;
            return Priority::Kept;
        }
        let at = order.level;
        self.orders.leave(level, index);
        self.orders[index].remaining = remaining;
        self.orders.queue(level, index, at);
        Priority::Lost
    }

    #[inline]
    pub(super) fn room_for_level(&self, instrument: u32, side: Side, ticks: u64) -> Result<(), Reject> {
        if self.levels.room() > 0 || self.has_level(instrument, side, ticks) { Ok(()) } else { Err(Reject::LevelsFull) }
    }

    /// Declines a change to an order that is not live.
    pub(super) fn decline_gone(
        &self,
        account: Account,
        client_order: ClientOrderId,
        out: &mut Out<'_, Self>,
    ) -> Progress {
        decline(client_order, self.orders.accounts.why_gone(account, client_order), out)
    }

    #[cold]
    fn has_level(&self, instrument: u32, side: Side, ticks: u64) -> bool {
        self.levels.find(self.instruments[instrument].half(side), ticks).is_some()
    }
}

/// Where market orders stand in an auction.
pub(super) fn unpriced_at(instrument: u32, side: Side, ticks: u64, price: Price) -> Level {
    Level { waits: UNPRICED, ..Level::empty(instrument, side.into(), ticks, price) }
}

/// Answers that nothing was done.
pub(super) fn decline(client_order: ClientOrderId, reason: DeclineReason, out: &mut Out<'_, Matching>) -> Progress {
    let declined = Declined { client_order, reason: reason.into(), reserved: Reserved::default() };
    out.reply(Reply::Declined(&declined));
    Progress::Done
}
