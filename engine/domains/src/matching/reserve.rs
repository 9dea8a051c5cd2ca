//! Orders that display a part of themselves, or nothing: icebergs, hidden orders, minimums, all or none.

use super::Matching;
use super::copies::Happened;
use super::entry::decline;
use super::levels::{BOOK, HIDDEN, Level, NONE, PARKED, better};
use super::messages::{
    DeclineReason, Execution, NewReserve, OrderId, OrderType, PegCode, Price, Priority, Quantity, Reject, Side,
    TimeInForce,
};
use super::orders::Order;
use super::pegs::Pegged;
use super::settlement::Open;
use super::specials::{PEG, RESERVE, Special};
use super::trading::{Origin, Taker, Then};
use bytemuck::Zeroable;
use ringfence_kernel::{Account, Context, Out, Progress};

/// How an order with a reserve rests.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reserve {
    /// How much it displays at a time; zero when nothing, or all because it is pegged and displayed.
    pub(super) display: u64,
    pub(super) minimum: u64,
    /// What it follows, when it is pegged.
    pub(super) pegged: Option<Pegged>,
}

impl Reserve {
    /// In which part of a book it stands.
    pub(super) fn part(&self) -> u8 {
        match self.pegged {
            Some(Pegged { parked: true, .. }) => PARKED,
            Some(Pegged { peg, .. }) if peg.is_displayed() => BOOK,
            _ if self.display == 0 => HIDDEN,
            _ => BOOK,
        }
    }

    /// Whether it is pegged and stands where it is displayed.
    pub(super) fn is_pegged_in_book(&self) -> bool {
        self.pegged.is_some() && self.part() == BOOK
    }

    /// How much is displayed, or stands where nothing is, of an order that has that much open.
    pub(super) fn first(&self, open: u64) -> u64 {
        if self.display == 0 { open } else { open.min(self.display) }
    }
}

/// What an order must find on the other side.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub(super) account: Account,
    pub(super) instrument: u32,
    pub(super) side: Side,
    /// The worst price, in ticks, at which it trades.
    pub(super) reach: u64,
    pub(super) minimum: u64,
    /// How much it is in all: what asks for a minimum of its own looks at that.
    pub(super) quantity: u64,
}

impl Matching {
    #[cold]
    pub(super) fn new_reserve(
        &mut self,
        context: Context,
        command: &NewReserve,
        out: &mut Out<'_, Self>,
    ) -> Result<Progress, Reject> {
        self.enter_reserve(context, command, None, out)
    }

    /// Enters an order that displays a part of itself, or nothing, or is pegged.
    pub(super) fn enter_reserve(
        &mut self,
        context: Context,
        command: &NewReserve,
        pegged: Option<Pegged>,
        out: &mut Out<'_, Self>,
    ) -> Result<Progress, Reject> {
        let account = context.account();
        let instrument = self.instruments.place(command.instrument).ok_or(Reject::UnknownInstrument)?;
        let terms = &self.instruments[instrument].terms;
        terms.check_quantity(command.quantity)?;
        let time_in_force = command.time_in_force.get();
        let until = terms.until(context.now, time_in_force, command.expires)?;
        if !matches!(time_in_force, TimeInForce::GoodTillCancelled | TimeInForce::GoodTillDate | TimeInForce::Day) {
            return Err(Reject::BadOrderType);
        }
        let NewReserve { quantity, display, minimum, .. } = *command;
        let mut reserve = self.reserve(instrument, quantity, display, minimum)?;
        if self.orders.find(account, command.client_order).is_some() {
            return Err(Reject::DuplicateClientOrder);
        }
        let ticks = terms.ticks(command.price)?;
        self.instruments[instrument].check_tick(command.price)?;
        if self.orders.accounts.is_killed(account) {
            return Ok(decline(command.client_order, DeclineReason::KillSwitch, out));
        }
        if !self.instruments[instrument].phase.get().is_open() {
            return Ok(decline(command.client_order, DeclineReason::PhaseForbids, out));
        }
        if self.is_outside(instrument, Ok(ticks)) {
            return Ok(decline(command.client_order, DeclineReason::OutsideBand, out));
        }
        if let Some(reason) = self.breaks_limit(account, command.price, command.quantity, true) {
            return Ok(decline(command.client_order, reason, out));
        }
        let ticks = match pegged {
            None => ticks,
            Some(pegged) => {
                let (pegged, ticks) = self.place_pegged(instrument, command.side.get(), pegged);
                reserve.pegged = Some(pegged);
                ticks
            }
        };
        let level = self.stands_at(instrument, command.side.get(), ticks, reserve.part());
        self.room_for_special(account, &level)?;
        let (side, Quantity(quantity)) = (command.side.get(), quantity);
        let order = Open { side, price: command.price, quantity };
        if let Some(reason) = self.hold_new(account, instrument, order)? {
            return Ok(decline(command.client_order, reason, out));
        }
        self.last_order += 1;
        let parked = level.waits == PARKED;
        let reach = if parked { ticks } else { self.reach(instrument, side, ticks) };
        let minimum = reserve.minimum;
        let wanted = Wanted { account, instrument, side, reach, minimum, quantity };
        let mut taker = Taker {
            order: OrderId(self.last_order),
            client_order: command.client_order,
            account,
            holder: self.orders.accounts.place(account),
            instrument,
            side,
            order_type: OrderType::Limit.into(),
            on_disconnect: command.on_disconnect,
            price: command.price,
            ticks,
            reach,
            only: 0,
            remaining: quantity,
            filled: 0,
            place: NONE,
            origin: Origin::Entered,
            then: Then::Rest(until),
            reserve: Some(reserve),
            passed: NONE,
            // One with a minimum trades at once what it finds of it, or stands.
            stands: parked || minimum > 0 && !self.finds(&wanted),
        };
        self.copy_taker(&taker, Happened::to(Execution::Entered), out);
        Ok(self.take(&mut taker, out))
    }

    /// Where an order stands in that part of a book.
    pub(super) fn stands_at(&self, instrument: u32, side: Side, ticks: u64, waits: u8) -> Level {
        let price = self.instruments[instrument].terms.price(ticks);
        Level { waits, ..Level::empty(instrument, side.into(), ticks, price) }
    }

    /// Whether there is room for an order with something beside it, at `level`.
    pub(super) fn room_for_special(&self, account: Account, level: &Level) -> Result<(), Reject> {
        if self.orders.room() == 0 {
            return Err(Reject::OrdersFull);
        }
        if self.orders.specials.room() == 0 {
            return Err(Reject::SpecialsFull);
        }
        if !self.has_room_for(level) {
            return Err(Reject::LevelsFull);
        }
        if self.orders.accounts.has_room_for(account) { Ok(()) } else { Err(Reject::AccountsFull) }
    }

    /// How an order of that quantity rests.
    pub(super) fn reserve(
        &self,
        instrument: u32,
        Quantity(quantity): Quantity,
        Quantity(display): Quantity,
        Quantity(minimum): Quantity,
    ) -> Result<Reserve, Reject> {
        let terms = &self.instruments[instrument].terms;
        if display >= quantity || !terms.is_in_lots(display) {
            return Err(Reject::BadDisplay);
        }
        if minimum > quantity || !terms.is_in_lots(minimum) || minimum > 0 && display > 0 {
            return Err(Reject::BadMinimum);
        }
        Ok(Reserve { display, minimum, pegged: None })
    }

    /// Rests an order with a reserve: last in the book with what it displays, or where nothing is displayed.
    #[cold]
    pub(super) fn rest_with_reserve(&mut self, taker: &Taker, out: &mut Out<'_, Self>) {
        let (Some(reserve), Then::Rest(expires)) = (taker.reserve, taker.then) else {
            unreachable!("any other new order rests without");
        };
        let Reserve { display, minimum, pegged } = reserve;
        let at = self.level(self.stands_at(taker.instrument, taker.side, taker.ticks, reserve.part()));
        let displayed = reserve.first(taker.remaining);
        let order = Order {
            order: taker.order,
            client_order: taker.client_order,
            remaining: displayed,
            filled: taker.filled,
            ..Order::new(taker.order_type, taker.on_disconnect)
        };
        let index = self.orders.add(taker.holder, order, expires, &mut self.levels[at], at);
        let hidden = taker.remaining - displayed;
        let special = Special {
            order: taker.order,
            price: pegged.map_or(Price(0), |pegged| pegged.worst),
            trail: Price(0),
            instrument: taker.instrument,
            time_in_force: TimeInForce::GoodTillCancelled.into(),
            kind: if pegged.is_some() { PEG } else { RESERVE },
            peg: pegged.map_or(PegCode::zeroed(), |pegged| pegged.peg.into()),
            reserved: 0,
            offset: pegged.map_or(Price(0), |pegged| pegged.offset),
            hidden,
            display,
            minimum,
        };
        self.orders[index].special = self.orders.specials.insert(special, index);
        self.levels[at].hidden += hidden;
        self.levels[at].pegged += u32::from(reserve.is_pegged_in_book());
        if pegged.is_some() && !self.instruments[taker.instrument].has_pegs() {
            self.instruments[taker.instrument].set_pegs(true, &self.levels);
        }
        self.note_top(at);
        self.say_order(at, taker.order, displayed, Priority::Lost, out);
        self.say_level(at, out);
    }

    /// Trades with an order that displays nothing, when one is met before what is displayed at `shown`: at a better
    /// price, and not asking for more than there is. Says whether it did.
    #[cold]
    pub(super) fn take_hidden(&mut self, taker: &mut Taker, shown: Option<u32>, out: &mut Out<'_, Self>) -> bool {
        let Some((index, at)) = self.next_hidden(taker, shown) else { return false };
        let quantity = self.orders[index].remaining.min(taker.remaining);
        self.meet(taker, index, at, quantity, out);
        self.close_if_empty(at);
        if self.instruments[taker.instrument].has_stops() {
            self.trigger_stops(taker.instrument);
        }
        true
    }

    /// What the taker passes by asks for more than there is, and there is never more again: it is not looked at twice.
    fn next_hidden(&self, taker: &mut Taker, shown: Option<u32>) -> Option<(u32, u32)> {
        let half = self.instruments[taker.instrument].hidden(taker.side.opposite());
        let (mut at, mut index) = match taker.passed {
            NONE => (half.best, self.levels[half.best].head),
            passed => (self.orders[passed].level, self.orders[passed].newer),
        };
        while self.comes_before(at, taker.side, taker.reach, shown) {
            while index != NONE {
                if self.asks_at_most(index, taker.remaining) {
                    return Some((index, at));
                }
                taker.passed = index;
                index = self.orders[index].newer;
            }
            at = self.levels.worse(at)?;
            index = self.levels[at].head;
        }
        None
    }

    /// Whether one of `side` who trades to `reach` meets the level at `at` before the one at `shown`.
    fn comes_before(&self, at: u32, side: Side, reach: u64, shown: Option<u32>) -> bool {
        let (other, ticks) = (side.opposite(), self.levels[at].ticks);
        !better(other, reach, ticks) && shown.is_none_or(|shown| better(other, ticks, self.levels[shown].ticks))
    }

    /// Whether the order at `index`, which displays nothing, trades with an order of that much.
    fn asks_at_most(&self, index: u32, quantity: u64) -> bool {
        let Order { remaining, special, .. } = self.orders[index];
        self.orders.specials[special].minimum.min(remaining) <= quantity
    }

    /// Whether the other side has what is wanted. Where prevention would end the order or make it less, nothing more
    /// is for it.
    #[cold]
    pub(super) fn offers(&self, wanted: &Wanted) -> bool {
        let Wanted { account, instrument, side, reach, minimum, .. } = *wanted;
        let instrument = &self.instruments[instrument];
        let (shown, hidden) = (instrument.half(side.opposite()), instrument.hidden(side.opposite()));
        let mut next = Some(shown.best).filter(|at| *at != NONE);
        let mut next_hidden = Some(hidden.best).filter(|at| *at != NONE);
        let mut sum = 0;
        loop {
            let at = next.filter(|at| !better(side.opposite(), reach, self.levels[*at].ticks));
            while let Some(hides) = next_hidden.filter(|hides| self.comes_before(*hides, side, reach, at)) {
                if self.offered_hidden(wanted, hides, &mut sum) || sum >= minimum {
                    return sum >= minimum;
                }
                next_hidden = self.levels.worse(hides);
            }
            let Some(at) = at else { return sum >= minimum };
            let (offered, ends) = self.offered(account, at);
            sum += offered;
            if ends || sum >= minimum {
                return sum >= minimum;
            }
            next = self.levels.worse(at);
        }
    }

    /// Adds what a level where nothing is displayed has; says whether nothing behind is for who wants it.
    fn offered_hidden(&self, wanted: &Wanted, at: u32, sum: &mut u64) -> bool {
        let mut index = self.levels[at].head;
        while index != NONE && *sum < wanted.quantity {
            let Order { account, remaining, newer, .. } = self.orders[index];
            if self.asks_at_most(index, wanted.quantity - *sum) {
                match self.prevents(wanted.account, account) {
                    Some(true) => return true,
                    Some(false) => {}
                    None => *sum += remaining,
                }
            }
            index = newer;
        }
        false
    }
}
