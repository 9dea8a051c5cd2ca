//! Pegged orders: they display nothing, stand where a displayed price says, and go with it.

use super::instruments::Terms;
use super::levels::{Level, NONE};
use super::messages::{CloseReason, NewPeg, NewReserve, Peg, Phase, Price, Quantity, Reject, Side};
use super::orders::Order;
use super::removal::OUTPUTS_EACH;
use super::reserve::Reserve;
use super::specials::{PEG, Special};
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

impl Terms {
    /// Whether an order that follows `peg` may stand so far from it.
    pub(super) fn is_offset(&self, peg: Peg, offset: Price) -> bool {
        self.is_multiple(offset) && (peg != Peg::Midpoint || offset == Price(0))
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
        let hidden = NewReserve {
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
        self.enter_reserve(context, &hidden, Some(Pegged { peg, offset, worst: price, parked: false }), out)
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
        let [bid, ask] = book.best_ticks(&self.levels);
        let (own, other) = if side == Side::Buy { (bid, ask) } else { (ask, bid) };
        let from = match pegged.peg {
            Peg::Primary => own?,
            Peg::Market => other?,
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
        match special {
            NONE => self.levels[level].price,
            special if self.orders.specials[special].kind == PEG => self.orders.specials[special].price,
            _ => self.levels[level].price,
        }
    }

    /// The best prices of an instrument may be other: if they are, its pegged orders are looked at.
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

    /// Moves the pegged orders that stand where they do not belong, lower instruments first, each as it was entered.
    pub(super) fn move_pegs(&mut self, out: &mut Out<'_, Self>) -> Progress {
        loop {
            while let Some((index, order)) = self.moving.get(self.moved).copied() {
                if out.room() < OUTPUTS_EACH {
                    self.pending = Pending::Following;
                    return Progress::More;
                }
                self.moved += 1;
                // Those before it may have traded with it.
                if self.orders[index].order == order && self.move_peg(index, out) == Progress::More {
                    return Progress::More;
                }
            }
            self.moving.clear();
            self.moved = 0;
            let Some(instrument) = self.due.iter().copied().min() else { return Progress::Done };
            self.due.retain(|due| *due != instrument);
            self.collect_pegs(instrument);
        }
    }

    fn collect_pegs(&mut self, instrument: u32) {
        let mut next = self.orders.specials.pegged().first(instrument);
        while let Some(index) = next {
            self.moving.push((index, self.orders[index].order));
            next = self.orders.specials.pegged().next(index);
        }
        if self.moving.is_empty() {
            self.instruments[instrument].set_pegs(false, &self.levels);
        }
    }

    /// Lets the pegged order at `index` come in where it belongs, when it stands elsewhere.
    fn move_peg(&mut self, index: u32, out: &mut Out<'_, Self>) -> Progress {
        let Order { level: at, remaining, .. } = self.orders[index];
        let Level { ticks: known, instrument, side, waits, orders, .. } = self.levels[at];
        let (reserve, ticks) = self.belongs(index);
        if (reserve.part(), ticks) == (waits, known) {
            return Progress::Done;
        }
        // One that stood alone gives its level back first.
        if orders > 1 && !self.has_room_for(&self.stands_at(instrument, side.get(), ticks, reserve.part())) {
            self.close(index, CloseReason::LevelsFull, out);
            return Progress::Done;
        }
        let price = self.limit_of(index);
        let taker = self.take_to_enter(index, price, ticks, remaining, reserve, out);
        self.take(&mut Taker { origin: Origin::Moved, ..taker }, out)
    }

    /// How and where, in ticks, the pegged order at `index` stands by what is displayed now.
    fn belongs(&self, index: u32) -> (Reserve, u64) {
        let Order { level, special, .. } = self.orders[index];
        let Level { instrument, side, .. } = self.levels[level];
        let Special { price: worst, peg, offset, minimum, .. } = self.orders.specials[special];
        let pegged = Pegged { peg: peg.get(), offset, worst, parked: false };
        let (pegged, ticks) = self.place_pegged(instrument, side.get(), pegged);
        (Reserve { display: 0, minimum, pegged: Some(pegged) }, ticks)
    }

    /// Whether the order at `index`, which displays nothing, is pegged and stands where it does not belong any more.
    pub(super) fn is_astray(&self, index: u32) -> bool {
        let Order { special, level, .. } = self.orders[index];
        let Level { waits, ticks, .. } = self.levels[level];
        self.orders.specials[special].kind == PEG && {
            let (reserve, belongs) = self.belongs(index);
            (reserve.part(), belongs) != (waits, ticks)
        }
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
