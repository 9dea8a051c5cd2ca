//! What brings quantity to a book: new orders and replacements.

use super::copies::Happened;
use super::instruments::{self, Terms};
use super::levels::{Level, NONE, UNPRICED, WAITS, rank};
use super::messages::{
    ClientOrderId, DeclineReason, Declined, DefineInstrument, Event, Execution, InstrumentDefined, NewOrder,
    OrderAccepted, OrderId, OrderReplaced, OrderStatus, OrderType, Price, Priority, Quantity, Reject, Replace, Reply,
    Side, TimeInForce,
};
use super::orders::{Order, hash};
use super::pricing::{Limit, Stay};
use super::reserve::Wanted;
use super::settlement::Open;
use super::specials::{IN_AUCTIONS, PEG};
use super::trading::{Origin, Taker, Then};
use super::views::say_displayed;
use super::{Matching, topics};
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::{Account, Context, Out, Progress};

/// Where a new order goes: its account's place, its instrument's place, its price, and what then becomes of it.
#[derive(Clone, Copy, Debug)]
struct Entering {
    holder: u32,
    instrument: u32,
    price: Price,
    ticks: u64,
    then: Then,
}

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

    /// Most orders are plain and meet nothing: they rest.
    #[inline(never)]
    pub(super) fn new_order(
        &mut self,
        context: Context,
        command: &NewOrder,
        out: &mut Out<'_, Self>,
    ) -> Result<Progress, Reject> {
        let Some((entering, key)) = self.plain(context.account(), command) else {
            return self.enter(context, command, out);
        };
        let rests = matches!(entering.then, Then::Rest(_));
        if rests && !self.meets(entering.instrument, command.side.get(), entering.ticks) {
            self.rest_plain(command, entering, key, out);
            return Ok(Progress::Done);
        }
        Ok(self.trade_plain(command, entering, out))
    }

    /// Where a plain order goes that has its places beforehand, and at which key it will be looked for: nothing else is to
    /// be asked of it. None of any other, and of one that may be refused.
    #[inline(always)]
    fn plain(&self, account: Account, command: &NewOrder) -> Option<(Entering, u64)> {
        let then = command.plain()?;
        // Where it is not defined, no quantity is sound.
        let instrument = self.instruments.any(command.instrument)?;
        let book = &self.instruments[instrument];
        let holder = self.orders.accounts.find(account)?;
        book.terms.check_quantity(command.quantity).ok()?;
        let ticks = book.terms.ticks(command.price).ok()?;
        if !book.is_plain || self.orders.accounts.looks_at_any() || self.orders.is_full() || self.levels.is_full() {
            return None;
        }
        let key = hash(account, command.client_order);
        if self.orders.find_of(holder, key, command.client_order).is_some() {
            return None;
        }
        Some((Entering { holder, instrument, price: command.price, ticks, then }, key))
    }

    #[inline(always)]
    fn rest_plain(&mut self, command: &NewOrder, entering: Entering, key: u64, out: &mut Out<'_, Self>) {
        let Entering { holder, instrument, price, ticks, .. } = entering;
        self.last_order += 1;
        let NewOrder { client_order, quantity: Quantity(remaining), order_type, on_disconnect, .. } = *command;
        let (order, side) = (OrderId(self.last_order), command.side.get());
        let book = &mut self.instruments[instrument];
        let empty = || Level::empty(instrument, side.into(), ticks, price);
        let (at, level) = self.levels.find_or_open(book.half_mut(side), empty);
        let resting = Order { order, client_order, remaining, ..Order::new(order_type, on_disconnect) };
        self.orders.add_plain(holder, key, resting, level, at);
        say_displayed(level, out);
        if book.half(side).best == at {
            let top = book.top_with(side, price, Quantity(level.quantity));
            out.publish(topics::TOP, command.instrument.0, Event::TopOfBook(&top));
        }
        let (filled, remaining) = (Quantity(0), command.quantity);
        let (status, reserved) = (OrderStatus::Open.into(), Reserved::default());
        let accepted = OrderAccepted { order, client_order, price, filled, remaining, status, reserved };
        out.reply(Reply::OrderAccepted(&accepted));
    }

    #[inline(never)]
    fn trade_plain(&mut self, command: &NewOrder, entering: Entering, out: &mut Out<'_, Self>) -> Progress {
        let mut taker = self.taker(command, entering);
        self.take(&mut taker, out)
    }

    /// A new order, numbered, before it trades.
    #[inline(always)]
    fn taker(&mut self, command: &NewOrder, entering: Entering) -> Taker {
        let Entering { holder, instrument, price, ticks, then } = entering;
        let NewOrder { client_order, order_type, on_disconnect, .. } = *command;
        self.last_order += 1;
        Taker {
            order: OrderId(self.last_order),
            client_order,
            account: self.orders.accounts[holder].account,
            holder,
            instrument,
            side: command.side.get(),
            order_type,
            on_disconnect,
            price,
            ticks,
            reach: ticks,
            only: 0,
            remaining: command.quantity.0,
            filled: 0,
            place: NONE,
            origin: Origin::Entered,
            reserve: None,
            stands: order_type.get().is_post_only(),
            passed: NONE,
            then,
        }
    }

    #[inline(never)]
    fn enter(&mut self, context: Context, command: &NewOrder, out: &mut Out<'_, Self>) -> Result<Progress, Reject> {
        let account = context.account();
        let instrument = self.instruments.place(command.instrument).ok_or(Reject::UnknownInstrument)?;
        let book = &self.instruments[instrument];
        book.terms.check_quantity(command.quantity)?;
        let Stay { then, minimum } = book.terms.stay(context.now, command)?;
        let Err(holder) = self.orders.seek(account, command.client_order) else {
            return Err(Reject::DuplicateClientOrder);
        };
        let side = command.side.get();
        let limit = self.limit(book, command, then)?;
        let only = self.only(instrument, command, for_auction_alone(command));
        if let Some(reason) = self.keeps_out(account, instrument, command, limit, only)? {
            return Ok(decline(command.client_order, reason, out));
        }
        let ticks = match limit {
            Ok(ticks) => ticks,
            Err(reason) => return Ok(decline(command.client_order, reason, out)),
        };
        let price = self.instruments[instrument].terms.price(ticks);
        let rests = matches!(then, Then::Rest(_));
        let (reach, quantity) = (self.reach(instrument, side, ticks), command.quantity.0);
        let wanted = Wanted { account, instrument, side, reach, minimum, quantity };
        if let Some(reason) = self.falls_short(&wanted, price, rests) {
            return Ok(decline(command.client_order, reason, out));
        }
        if rests {
            // An order that may rest needs its places beforehand, whether or not it will trade.
            if self.orders.room() == 0 {
                return Err(Reject::OrdersFull);
            }
            if only == 0 {
                self.room_for_level(instrument, side, ticks)?;
            } else {
                self.room_for_auction(instrument, command, ticks, price)?;
            }
        }
        if holder.is_none() && !self.orders.accounts.has_room() {
            return Err(Reject::AccountsFull);
        }
        if let Some(reason) = self.hold_new(account, instrument, Open { side, price, quantity })? {
            return Ok(decline(command.client_order, reason, out));
        }
        let holder = holder.unwrap_or_else(|| self.orders.accounts.place(account));
        let taker = self.taker(command, Entering { holder, instrument, price, ticks, then });
        let mut taker = Taker { reach, only, ..taker };
        self.copy_taker(&taker, Happened::to(Execution::Entered), out);
        Ok(self.take(&mut taker, out))
    }

    /// For which auctions alone an order stands in the end; zero for none.
    #[cold]
    fn only(&self, instrument: u32, command: &NewOrder, only: u8) -> u8 {
        match self.instruments[instrument].leaves_unpriced(command.order_type.get()) {
            true if only == 0 => IN_AUCTIONS,
            _ => only,
        }
    }

    /// Why an order is kept out by the kill switch of its account, or by its instrument, if it is.
    #[cold]
    fn keeps_out(
        &self,
        account: Account,
        instrument: u32,
        command: &NewOrder,
        limit: Limit,
        only: u8,
    ) -> Result<Option<DeclineReason>, Reject> {
        let book = &self.instruments[instrument];
        if !matches!(command.order_type.get(), OrderType::Market | OrderType::MarketToLimit) {
            book.check_tick(command.price)?;
        }
        if self.orders.accounts.is_killed(account) {
            return Ok(Some(DeclineReason::KillSwitch));
        }
        Ok(if !book.is_plain || only != 0 { self.forbids(instrument, command, limit) } else { None })
    }

    /// Why an order is declined by the limits of its account, or by what the other side offers, if it is.
    #[cold]
    fn falls_short(&self, wanted: &Wanted, price: Price, rests: bool) -> Option<DeclineReason> {
        let Wanted { account, minimum, quantity, .. } = *wanted;
        let breaks = self.breaks_limit(account, price, Quantity(quantity), rests);
        breaks.or_else(|| (minimum > 0 && !self.finds(wanted)).then_some(DeclineReason::BelowMinimum))
    }

    /// Whether there is room for an order for an auction alone.
    #[cold]
    fn room_for_auction(&self, instrument: u32, command: &NewOrder, ticks: u64, price: Price) -> Result<(), Reject> {
        if self.orders.for_auction.room() == 0 {
            return Err(Reject::SpecialsFull);
        }
        let side = command.side.get();
        if command.order_type.get() != OrderType::Market {
            return self.room_for_level(instrument, side, ticks);
        }
        if self.has_room_for(&unpriced_at(instrument, side, ticks, price)) { Ok(()) } else { Err(Reject::LevelsFull) }
    }

    /// Most replacements put a plain order to another price, where it meets nothing.
    #[inline(never)]
    pub(super) fn replace(
        &mut self,
        context: Context,
        command: &Replace,
        out: &mut Out<'_, Self>,
    ) -> Result<Progress, Reject> {
        match self.moves(context.account(), command) {
            Some((index, ticks)) => Ok(self.move_plain(index, ticks, command, out)),
            None => self.change(context, command, out),
        }
    }

    /// The plain order that is replaced, and the price in ticks at which it will stand, when it is another and nothing else
    /// is to be asked.
    #[inline(always)]
    fn moves(&self, account: Account, command: &Replace) -> Option<(u32, u64)> {
        let index = self.orders.find(account, command.client_order)?;
        let order = &self.orders[index];
        let level = &self.levels[order.level];
        let book = &self.instruments[level.instrument];
        book.terms.check_quantity(command.quantity).ok()?;
        let ticks = book.terms.ticks(command.price).ok()?;
        if !book.is_plain || self.orders.accounts.looks_at_any() || !order.is_plain() {
            return None;
        }
        if command.quantity.0 <= order.filled || ticks == level.ticks || self.levels.is_full() {
            return None;
        }
        (!self.meets(level.instrument, level.side.get(), ticks)).then_some((index, ticks))
    }

    /// Puts a plain order last at another price.
    #[inline(always)]
    fn move_plain(&mut self, index: u32, ticks: u64, command: &Replace, out: &mut Out<'_, Self>) -> Progress {
        let Order { order, level: from, filled, .. } = self.orders[index];
        let (price, remaining) = (command.price, command.quantity.0 - filled);
        let level = &mut self.levels[from];
        let (instrument, side) = (level.instrument, level.side.get());
        let book = &mut self.instruments[instrument];
        let was_best = book.half(side).best == from;
        self.orders.leave(level, index);
        say_displayed(level, out);
        if level.orders == 0 {
            self.levels.close(book.half_mut(side), from);
        }
        let empty = || Level::empty(instrument, side.into(), ticks, price);
        let (at, level) = self.levels.find_or_open(book.half_mut(side), empty);
        self.orders[index].remaining = remaining;
        self.orders.queue(level, index, at);
        say_displayed(level, out);
        if was_best || book.half(side).best == at {
            let top = book.top_of(side, &self.levels);
            out.publish(topics::TOP, instruments::id(instrument).0, Event::TopOfBook(&top));
        }
        let (client_order, filled, remaining) = (command.client_order, Quantity(filled), Quantity(remaining));
        let (status, priority) = (OrderStatus::Open.into(), Priority::Lost.into());
        let reserved = Reserved::default();
        let replaced = OrderReplaced { order, client_order, price, filled, remaining, status, priority, reserved };
        out.reply(Reply::OrderReplaced(&replaced));
        Progress::Done
    }

    #[inline(never)]
    fn change(&mut self, context: Context, command: &Replace, out: &mut Out<'_, Self>) -> Result<Progress, Reject> {
        let account = context.account();
        let index = match self.orders.seek(account, command.client_order) {
            Ok(index) => index,
            Err(holder) => return Ok(self.decline_gone(holder, command.client_order, out)),
        };
        let Order { order, level: at, order_type, special, only, filled, .. } = self.orders[index];
        if (special != NONE || only != 0)
            && let Some(reason) = self.replaced_otherwise(at, special)
        {
            return Ok(decline(command.client_order, reason, out));
        }
        let Level { ticks: old_ticks, instrument, side, .. } = self.levels[at];
        let book = &self.instruments[instrument];
        let is_plain = book.is_plain;
        let side = side.get();
        book.terms.check_quantity(command.quantity)?;
        let limit = self.limit_again(book, side, order_type.get(), command.price)?;
        if !is_plain {
            book.check_tick(command.price)?;
        }
        if command.quantity.0 <= filled {
            return Ok(decline(command.client_order, DeclineReason::BelowFilled, out));
        }
        if !is_plain && let Some(reason) = self.keeps_from_change(instrument, limit) {
            return Ok(decline(command.client_order, reason, out));
        }
        let ticks = match limit {
            Ok(ticks) => ticks,
            Err(reason) => return Ok(decline(command.client_order, reason, out)),
        };
        let price = book.terms.price(ticks);
        if self.orders.accounts.limit_any()
            && let Some(reason) = self.breaks_limit(context.account(), price, command.quantity, false)
        {
            return Ok(decline(command.client_order, reason, out));
        }
        let remaining = command.quantity.0 - filled;
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
                self.say_order(at, order, remaining, priority, out);
            }
            self.say_level(at, out);
            self.say_top_beside(at, instrument, side, out);
            self.answer_kept(index, priority, out);
            return Ok(Progress::Done);
        }
        self.orders.leave(&mut self.levels[at], index);
        if !is_plain {
            self.say_order(at, order, 0, Priority::Kept, out);
        }
        self.say_level(at, out);
        self.close_if_empty(at);
        let mut taker = Taker {
            reach: if is_plain { ticks } else { self.reach(instrument, side, ticks) },
            only,
            remaining,
            stands: order_type.get().is_post_only(),
            ..self.again(index, instrument, side, price, ticks)
        };
        self.copy_taker(&taker, Happened::to(Execution::Replaced), out);
        Ok(self.take(&mut taker, out))
    }

    /// Why an order may not be replaced to that limit by what its instrument is now, if it may not.
    #[cold]
    fn keeps_from_change(&self, instrument: u32, limit: Limit) -> Option<DeclineReason> {
        if !self.instruments[instrument].phase.get().is_open() {
            return Some(DeclineReason::PhaseForbids);
        }
        self.is_outside(instrument, limit).then_some(DeclineReason::OutsideBand)
    }

    /// Why an order is not replaced as a plain one is, if it is not.
    #[cold]
    fn replaced_otherwise(&self, at: u32, special: u32) -> Option<DeclineReason> {
        match self.levels[at].waits {
            WAITS => Some(DeclineReason::Waiting),
            UNPRICED => Some(DeclineReason::Unpriced),
            _ if special == NONE => None,
            _ if self.orders.specials[special].kind == PEG => Some(DeclineReason::OtherKind),
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

    /// Declines a change to an order that is not live, of the account at `holder`, if that is known.
    pub(super) fn decline_gone(
        &self,
        holder: Option<u32>,
        client_order: ClientOrderId,
        out: &mut Out<'_, Self>,
    ) -> Progress {
        decline(client_order, self.orders.accounts.why_gone(holder, client_order), out)
    }

    #[cold]
    fn has_level(&self, instrument: u32, side: Side, ticks: u64) -> bool {
        self.levels.find(self.instruments[instrument].half(side), rank(side, ticks), ticks).is_some()
    }
}

/// For which auction alone an order says that it stands; zero for none.
#[inline]
fn for_auction_alone(command: &NewOrder) -> u8 {
    match command.time_in_force.get() {
        alone @ (TimeInForce::AtOpen | TimeInForce::AtClose) => alone as u8,
        _ => 0,
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
