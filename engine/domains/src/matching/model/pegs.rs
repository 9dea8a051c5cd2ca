//! The twin: pegged orders.

use super::{Model, Order, Pegged, Says};
use crate::matching::messages::{CloseReason, NewPeg, NewReserve, Peg, Phase, Quantity, Reject, Side};
use alloc::vec::Vec;
use ringfence_kernel::Context;
use ringfence_kernel::messages::Reserved;

impl Model {
    pub(super) fn new_peg(&mut self, context: Context, command: &NewPeg, out: Says<'_, '_>) -> Result<(), Reject> {
        let NewPeg { client_order, price, offset, quantity, minimum, expires, instrument, side, .. } = *command;
        let tick = self.instruments.get(&instrument.0).ok_or(Reject::UnknownInstrument)?.tick.0;
        let peg = command.peg.get();
        if offset.0 % tick != 0 || peg == Peg::Midpoint && offset.0 != 0 {
            return Err(Reject::BadPeg);
        }
        let (time_in_force, on_disconnect) = (command.time_in_force, command.on_disconnect);
        let display = Quantity(0);
        let reserved = Reserved::default();
        let hidden = NewReserve {
            client_order,
            price,
            quantity,
            display,
            minimum,
            expires,
            instrument,
            side,
            time_in_force,
            on_disconnect,
            reserved,
        };
        self.enter_reserve(context, &hidden, Some(Pegged { peg, offset: offset.0, worst: price.0 }), out)
    }

    /// Whether an order is parked, and its price, by what is displayed now.
    pub(super) fn belongs(&self, order: &Order) -> (bool, i64) {
        match order.pegged {
            None => (false, order.price),
            Some(pegged) => self.pegged_at(order, pegged).map_or((true, pegged.worst), |price| (false, price)),
        }
    }

    /// By rule 51, step by step.
    fn pegged_at(&self, order: &Order, pegged: Pegged) -> Option<i64> {
        let Order { instrument, side, .. } = *order;
        if self.markets[&instrument].phase != Phase::Continuous {
            return None;
        }
        let terms = &self.instruments[&instrument];
        let (tick, range) = (i128::from(terms.tick.0), i128::from(terms.price_min.0)..=i128::from(terms.price_max.0));
        let best = |side| self.prices(instrument, side).first().map(|price| i128::from(*price));
        let (own, other) = (best(side), best(side.opposite()));
        // Towards the other side.
        let up = if side == Side::Buy { 1 } else { -1 };
        let from = match pegged.peg {
            Peg::Primary => own?,
            Peg::Market => other?,
            Peg::Midpoint => up * (up * (own? + other?)).div_euclid(2 * tick) * tick,
        };
        let wanted = (from + up * i128::from(pegged.offset)).clamp(*range.start(), *range.end());
        let nearest = other.map(|other| other - up * tick);
        if nearest.is_some_and(|nearest| !range.contains(&nearest)) {
            return None;
        }
        let bounds = [Some(wanted), Some(pegged.worst.into()), nearest];
        let price = bounds.into_iter().flatten().min_by_key(|price| up * price).expect("there are some");
        if pegged.peg == Peg::Midpoint {
            return Some(price as i64);
        }
        let price = self.on_tick(instrument, price, side == Side::Sell);
        range.contains(&price).then_some(price as i64)
    }

    /// Lets the pegged orders of an instrument come in where they belong, when they stand elsewhere, as they were entered.
    pub(super) fn move_pegs(&mut self, instrument: u32, out: Says<'_, '_>) {
        let pegged = self.orders.iter().filter(|order| order.instrument == instrument && order.pegged.is_some());
        let mut numbers: Vec<u64> = pegged.map(|order| order.order).collect();
        numbers.sort_unstable();
        for number in numbers {
            let Some(index) = self.orders.iter().position(|order| order.order == number) else { continue };
            let mut order = self.orders[index];
            let known = order.level();
            (order.parked, order.price) = self.belongs(&order);
            if order.level() == known {
                continue;
            }
            let alone = self.orders.iter().filter(|other| other.level() == known).count() == 1;
            if !alone && !self.has_room_at(order.level()) {
                self.close(index, CloseReason::LevelsFull, out);
                continue;
            }
            self.orders.remove(index);
            self.come_in_with_reserve(&mut order, false, out);
        }
    }
}
