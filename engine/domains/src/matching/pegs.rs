//! Pegged orders: they stand where the displayed price of an order says that is not pegged, and go with it.

use super::instruments::Terms;
use super::levels::Level;
use super::messages::{CloseReason, NewPeg, NewReserve, Peg, Phase, Price, Quantity, Reject, Side};
use super::orders::Order;
use super::removal::OUTPUTS_EACH;
use super::reserve::Reserve;
use super::specials::Special;
use super::trading::{Origin, Taker};
use super::{Matching, Pending};
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::{Context, Corrupt, Out, Progress};

/// What a pegged order follows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pegged {
    pub(super) peg: Peg,
    /// How far from that it stands, towards the other side.
    pub(super) offset: Price,
    /// The worst price at which it trades.
    pub(super) worst: Price,
    /// Whether it has no price now.
    pub(super) parked: bool,
}

/// A pegged order that has left, or is to leave, where it stood, and comes in elsewhere.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moving {
    index: u32,
    instrument: u32,
    side: Side,
}

impl Peg {
    /// Whether who follows it is displayed.
    pub(super) const fn is_displayed(self) -> bool {
        matches!(self, Self::PrimaryDisplayed | Self::MarketDisplayed)
    }
}

impl Terms {
    /// Whether an order that follows `peg` may stand so far from it. What is displayed never stands at the other side's price.
    pub(super) fn is_offset(&self, peg: Peg, offset: Price) -> bool {
        self.is_multiple(offset)
            && match peg {
                Peg::Midpoint => offset == Price(0),
                Peg::MarketDisplayed => offset < Price(0),
                Peg::Primary | Peg::Market | Peg::PrimaryDisplayed => true,
            }
    }
}

impl Matching {
    #[cold]
    pub(super) fn new_peg(
        &mut self,
        context: Context,
        command: &NewPeg,
        out: &mut Out<'_, Self>,
    ) -> Result<Progress, Reject> {
        let NewPeg { client_order, price, offset, quantity, minimum, expires, instrument, side, .. } = *command;
        let (peg, place) = (command.peg.get(), self.instruments.place(instrument).ok_or(Reject::UnknownInstrument)?);
        if !self.instruments[place].terms.is_offset(peg, offset) {
            return Err(Reject::BadPeg);
        }
        if peg.is_displayed() && minimum != Quantity(0) {
            return Err(Reject::BadMinimum);
        }
        let entered = NewReserve {
            client_order,
            price,
            quantity,
            display: Quantity(0),
            minimum,
            expires,
            instrument,
            side,
            time_in_force: command.time_in_force,
            on_disconnect: command.on_disconnect,
            reserved: Reserved::default(),
        };
        self.enter_reserve(context, &entered, Some(Pegged { peg, offset, worst: price, parked: false }), out)
    }

    /// Whether a pegged order is parked now, and where it stands, in ticks.
    pub(super) fn place_pegged(&self, instrument: u32, side: Side, pegged: Pegged) -> (Pegged, u64) {
        let worst = self.instruments[instrument].terms.ticks(pegged.worst).expect("it was looked at when it came in");
        let follows = self.peg_ticks(instrument, side, pegged, worst);
        (Pegged { parked: follows.is_none(), ..pegged }, follows.unwrap_or(worst))
    }

    /// The price, in ticks, at which a pegged order stands that trades at `worst` at worst; none when there is nothing to
    /// follow, or nothing short of the other side.
    fn peg_ticks(&self, instrument: u32, side: Side, pegged: Pegged, worst: u64) -> Option<u64> {
        let book = &self.instruments[instrument];
        if book.phase.get() != Phase::Continuous {
            return None;
        }
        let [bid, ask] = book.quote(&self.levels);
        let (own, other) = if side == Side::Buy { (bid, ask) } else { (ask, bid) };
        let from = match pegged.peg {
            Peg::Primary | Peg::PrimaryDisplayed => own?,
            Peg::Market | Peg::MarketDisplayed => other?,
            // Away from the other side where there is no price in the middle.
            Peg::Midpoint if side == Side::Buy => bid?.midpoint(ask?),
            Peg::Midpoint => ask? - (ask? - bid?) / 2,
        };
        // Of the lowest number this is 2⁶³, which is taken without a sign.
        let offset = book.terms.in_ticks(Price(pegged.offset.0.wrapping_abs()));
        let towards = if pegged.offset.0 >= 0 { side } else { side.opposite() };
        let wanted = book.terms.yielding(towards, from, offset);
        let nearest = match other {
            None => worst,
            Some(other) => book.terms.yielding(side.opposite(), other, 1),
        };
        if other == Some(nearest) {
            return None;
        }
        let ticks = match side {
            Side::Buy => wanted.min(worst).min(nearest),
            Side::Sell => wanted.max(worst).max(nearest),
        };
        // The middle may lie between the prices of a table.
        if pegged.peg == Peg::Midpoint { Some(ticks) } else { book.on_tick(side, ticks) }
    }

    /// The limit of the order at `index`: of a pegged one not where it stands, but the worst price at which it trades.
    #[cold]
    pub(super) fn limit_of(&self, index: u32) -> Price {
        let Order { special, level, .. } = self.orders[index];
        if self.orders.is_pegged(index) { self.orders.specials[special].price } else { self.levels[level].price }
    }

    /// What the pegged orders of an instrument follow may be other: if it is, they are looked at.
    #[cold]
    pub(super) fn note_quote(&mut self, instrument: u32) {
        let book = &mut self.instruments[instrument];
        if book.has_pegs() && book.moves_quote(&self.levels) {
            self.look_at_pegs(instrument);
        }
    }

    /// The pegged orders of an instrument are looked at before the decision ends.
    #[cold]
    pub(super) fn look_at_pegs(&mut self, instrument: u32) {
        if self.instruments[instrument].has_pegs() && !self.due.contains(&instrument) {
            self.due.push(instrument);
            self.follows = true;
        }
    }

    /// Moves the pegged orders that stand where they do not belong, lower instruments first: all leave where they stood, then
    /// each comes in, as it was entered.
    pub(super) fn move_pegs(&mut self, out: &mut Out<'_, Self>) -> Progress {
        loop {
            while let Some(moving) = self.moving.get(self.left).copied() {
                if out.room() < OUTPUTS_EACH {
                    self.pending = Pending::Following;
                    return Progress::More;
                }
                self.left += 1;
                self.leave_book(moving.index, out);
            }
            while let Some(moving) = self.moving.get(self.moved).copied() {
                if out.room() < OUTPUTS_EACH {
                    self.pending = Pending::Following;
                    return Progress::More;
                }
                self.moved += 1;
                if self.move_peg(moving, out) == Progress::More {
                    return Progress::More;
                }
            }
            if let Some(Moving { instrument, .. }) = self.moving.first().copied() {
                if out.room() < OUTPUTS_EACH {
                    self.pending = Pending::Following;
                    return Progress::More;
                }
                self.say_top(instrument, out);
            }
            self.moving.clear();
            (self.left, self.moved) = (0, 0);
            let Some(instrument) = self.due.iter().copied().min() else { return Progress::Done };
            self.due.retain(|due| *due != instrument);
            self.collect_pegs(instrument);
        }
    }

    fn collect_pegs(&mut self, instrument: u32) {
        let first = self.orders.specials.pegged().first(instrument);
        let mut next = first;
        while let Some(index) = next {
            if self.is_astray(index) {
                let side = self.levels[self.orders[index].level].side.get();
                self.moving.push(Moving { index, instrument, side });
            }
            next = self.orders.specials.pegged().next(index);
        }
        if first.is_none() {
            self.instruments[instrument].set_pegs(false, &self.levels);
        }
    }

    /// Lets a pegged order that has left where it stood come in where it belongs.
    fn move_peg(&mut self, moving: Moving, out: &mut Out<'_, Self>) -> Progress {
        let Moving { index, instrument, side } = moving;
        let Order { special, remaining, .. } = self.orders[index];
        let (reserve, ticks) = self.belongs(instrument, side, special);
        let price = self.orders.specials[special].price;
        let taker = self.enter_again(index, (instrument, side), (price, ticks), remaining, reserve);
        let mut taker = Taker { origin: Origin::Moved, ..taker };
        if self.has_room_for(&self.stands_at(instrument, side, ticks, reserve.part())) {
            return self.take(&mut taker, out);
        }
        self.release_taker(&taker, remaining, 0);
        self.turn_away(&taker, CloseReason::LevelsFull, out);
        Progress::Done
    }

    /// How and where, in ticks, a pegged order stands by what it follows now.
    fn belongs(&self, instrument: u32, side: Side, special: u32) -> (Reserve, u64) {
        let Special { price: worst, peg, offset, minimum, .. } = self.orders.specials[special];
        let pegged = Pegged { peg: peg.get(), offset, worst, parked: false };
        let (pegged, ticks) = self.place_pegged(instrument, side, pegged);
        (Reserve { display: 0, minimum, pegged: Some(pegged) }, ticks)
    }

    /// Whether the pegged order at `index` stands where it does not belong any more.
    fn is_astray(&self, index: u32) -> bool {
        let Order { special, level, .. } = self.orders[index];
        let Level { waits, ticks, instrument, side, .. } = self.levels[level];
        let (reserve, belongs) = self.belongs(instrument, side.get(), special);
        (reserve.part(), belongs) != (waits, ticks)
    }

    /// After loading: every pegged order stands where it belongs.
    pub(super) fn load_pegs(&mut self) -> Result<(), Corrupt> {
        for instrument in 0..self.limits.instruments as u32 {
            let mut next = self.orders.specials.pegged().first(instrument);
            if next.is_some() {
                self.instruments[instrument].set_pegs(true, &self.levels);
            }
            while let Some(index) = next {
                if self.is_astray(index) {
                    return Err(Corrupt("a pegged order that stands elsewhere"));
                }
                next = self.orders.specials.pegged().next(index);
            }
        }
        Ok(())
    }
}
