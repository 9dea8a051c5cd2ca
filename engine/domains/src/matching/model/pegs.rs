//! The twin: pegged orders.

use super::{Model, Order, Pegged, Says};
use crate::matching::messages::{CloseReason, NewPeg, NewReserve, Peg, Phase, Priority, Quantity, Reject, Side};
use alloc::vec::Vec;
use ringfence_kernel::Context;
use ringfence_kernel::messages::Reserved;

impl Model {
    pub(super) fn new_peg(&mut self, context: Context, command: &NewPeg, out: Says<'_, '_>) -> Result<(), Reject> {
        let NewPeg { client_order, price, offset, quantity, minimum, expires, instrument, side, .. } = *command;
        let tick = self.instruments.get(&instrument.0).ok_or(Reject::UnknownInstrument)?.tick.0;
        let peg = command.peg.get();
        let locks = peg == Peg::MarketDisplayed && offset.0 >= 0;
        if offset.0 % tick != 0 || peg == Peg::Midpoint && offset.0 != 0 || locks {
            return Err(Reject::BadPeg);
        }
        if matches!(peg, Peg::PrimaryDisplayed | Peg::MarketDisplayed) && minimum.0 != 0 {
            return Err(Reject::BadMinimum);
        }
        let (time_in_force, on_disconnect) = (command.time_in_force, command.on_disconnect);
        let display = Quantity(0);
        let reserved = Reserved::default();
        let entered = NewReserve {
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
        self.enter_reserve(context, &entered, Some(Pegged { peg, offset: offset.0, worst: price.0 }), out)
    }

    /// The best displayed price of orders that are not pegged.
    fn followed(&self, instrument: u32, side: Side) -> Option<i64> {
        let prices = self.book(instrument, side).filter(|order| order.pegged.is_none()).map(|order| order.price);
        if side == Side::Buy { prices.max() } else { prices.min() }
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
        let best = |side| self.followed(instrument, side).map(i128::from);
        let (own, other) = (best(side), best(side.opposite()));
        // Towards the other side.
        let up = if side == Side::Buy { 1 } else { -1 };
        let from = match pegged.peg {
            Peg::Primary | Peg::PrimaryDisplayed => own?,
            Peg::Market | Peg::MarketDisplayed => other?,
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

    /// Lets the pegged orders of an instrument that stand elsewhere leave, and then come in where they belong, as they were
    /// entered; until none does.
    pub(super) fn move_pegs(&mut self, instrument: u32, out: Says<'_, '_>) {
        loop {
            let before = self.top(instrument);
            let pegged = self.orders.iter().filter(|order| order.instrument == instrument && order.pegged.is_some());
            let astray = pegged.filter(|order| self.belongs(order) != (order.parked, order.price));
            let mut moving: Vec<Order> = astray.copied().collect();
            if moving.is_empty() {
                return;
            }
            moving.sort_by_key(|order| order.order);
            for order in &moving {
                self.orders.retain(|other| other.order != order.order);
                self.say_order(order, 0, Priority::Kept, out);
                self.say_level(order, out);
            }
            for mut order in moving {
                (order.parked, order.price) = self.belongs(&order);
                if !self.has_room_at(order.level()) {
                    self.end(&order, order.remaining, CloseReason::LevelsFull, out);
                    continue;
                }
                let reach = self.reach(&order);
                self.come_in_with_reserve(&mut order, false, out);
                self.interrupt(&order, reach, order.remaining, out);
            }
            self.say_top(instrument, &before, out);
        }
    }
}
