//! What an order asks for: the price at which it trades and rests, how long it stays, and how much it must find.

use super::Matching;
use super::instruments::{Instrument, Terms};
use super::levels::{NONE, PARKED, better};
use super::messages::{DeclineReason, NewOrder, OrderType, Price, Reject, Side, TimeInForce};
use super::reserve::Wanted;
use super::trading::{Taker, Then};
use ringfence_kernel::Timestamp;

impl OrderType {
    /// Whether it never trades when it comes in, not even with what is not displayed.
    pub(super) const fn is_post_only(self) -> bool {
        matches!(self, Self::PostOnly | Self::PostOnlySlide)
    }
}

/// How long an order stays, and how much of it must find something at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stay {
    pub(super) then: Then,
    /// Zero when it may find nothing.
    pub(super) minimum: u64,
}

impl NewOrder {
    /// What becomes of a limit order that has no minimum and does not end by itself, as most are; none of any other.
    #[inline(always)]
    pub(super) fn plain(&self) -> Option<Then> {
        let plain = self.order_type == OrderType::Limit.into() && (self.expires.0 | self.minimum.0) == 0;
        if !plain {
            None
        } else if self.time_in_force == TimeInForce::GoodTillCancelled.into() {
            Some(Then::Rest(Timestamp(0)))
        } else {
            (self.time_in_force == TimeInForce::ImmediateOrCancel.into()).then_some(Then::Cancel)
        }
    }
}

impl Terms {
    /// When an order that says this of its time ends by itself; zero when it does not.
    pub(super) fn until(
        &self,
        now: Timestamp,
        time_in_force: TimeInForce,
        expires: Timestamp,
    ) -> Result<Timestamp, Reject> {
        match time_in_force {
            TimeInForce::GoodTillDate if expires > now => Ok(expires),
            TimeInForce::GoodTillDate => Err(Reject::BadExpiry),
            _ if expires != Timestamp(0) => Err(Reject::BadExpiry),
            TimeInForce::Day => Ok(self.end_of_day(now)),
            _ => Ok(Timestamp(0)),
        }
    }

    /// How long an order stays.
    pub(super) fn stay(&self, now: Timestamp, order: &NewOrder) -> Result<Stay, Reject> {
        let time_in_force = order.time_in_force.get();
        let until = self.until(now, time_in_force, order.expires)?;
        let then = match time_in_force {
            TimeInForce::ImmediateOrCancel | TimeInForce::FillOrKill => Then::Cancel,
            _ => Then::Rest(until),
        };
        let minimum = match (time_in_force, order.minimum.0) {
            (TimeInForce::FillOrKill, 0) => order.quantity.0,
            (_, 0) => 0,
            (TimeInForce::ImmediateOrCancel, minimum) if minimum <= order.quantity.0 && self.is_in_lots(minimum) => {
                minimum
            }
            _ => return Err(Reject::BadMinimum),
        };
        Ok(Stay { then, minimum })
    }
}

impl Instrument {
    /// Whether an order of that type stands before all that have a price.
    pub(super) fn leaves_unpriced(&self, order_type: OrderType) -> bool {
        order_type == OrderType::Market && self.phase.get().collects()
    }
}

impl Matching {
    /// Why an order is kept out by its instrument's phase or static band, if it is.
    pub(super) fn forbids(&self, instrument: u32, order: &NewOrder, limit: Limit) -> Option<DeclineReason> {
        let phase = self.instruments[instrument].phase.get();
        if !phase.takes(order.order_type.get(), order.time_in_force.get()) {
            return Some(DeclineReason::PhaseForbids);
        }
        if self.instruments[instrument].leaves_unpriced(order.order_type.get()) {
            return None;
        }
        self.is_outside(instrument, limit).then_some(DeclineReason::OutsideBand)
    }

    /// Whether an order's price is farther from the reference than the static band.
    pub(super) fn is_outside(&self, instrument: u32, limit: Limit) -> bool {
        let instrument = &self.instruments[instrument];
        limit.is_ok_and(|ticks| !instrument.is_in_band(instrument.terms.price(ticks)))
    }

    /// The worst price, in ticks, at which an order trades before an auction comes between.
    #[cold]
    pub(super) fn reach(&self, instrument: u32, side: Side, ticks: u64) -> u64 {
        let (terms, band) = (&self.instruments[instrument].terms, self.instruments[instrument].bands.dynamic_band);
        let Some(last) = self.last_ticks(instrument).filter(|_| band != Price(0)) else { return ticks };
        let end = terms.yielding(side, last, terms.in_ticks(band));
        if better(side, ticks, end) { end } else { ticks }
    }

    /// Whether an order of `side` at that price may meet something of the other side: what is displayed there as good, or
    /// anything that is not.
    #[inline(always)]
    pub(super) fn meets(&self, instrument: u32, side: Side, ticks: u64) -> bool {
        let (book, other) = (&self.instruments[instrument], side.opposite());
        let best = book.half(other).best;
        best != NONE && !better(other, ticks, self.levels[best].ticks) || book.hidden(other).best != NONE
    }

    /// Whether the other side displays something at the taker's limit or better.
    pub(super) fn crosses(&self, taker: &Taker) -> bool {
        let other = taker.side.opposite();
        let best = self.instruments[taker.instrument].half(other).best;
        best != NONE && !better(other, taker.ticks, self.levels[best].ticks)
    }

    /// Whether the first that one would trade with is farther from the last trade's price than the dynamic band, in its favour.
    #[cold]
    pub(super) fn opens_beyond(&self, wanted: &Wanted) -> bool {
        let Wanted { instrument, side, reach, .. } = *wanted;
        let (terms, band) = (&self.instruments[instrument].terms, self.instruments[instrument].bands.dynamic_band);
        let Some(last) = self.last_ticks(instrument).filter(|_| band != Price(0)) else { return false };
        let Some(end) = terms.away(side.opposite(), last, band) else { return false };
        let beyond = if side == Side::Buy { end.checked_sub(1) } else { end.checked_add(1) };
        let Some(beyond) = beyond else { return false };
        let reach = if better(side, reach, beyond) { beyond } else { reach };
        self.offers(&Wanted { reach, minimum: 1, ..*wanted })
    }

    /// Whether a taker would so trade too far in its favour.
    #[cold]
    pub(super) fn begins_beyond(&self, taker: &Taker) -> bool {
        let is_parked = taker.reserve.is_some_and(|reserve| reserve.part() == PARKED);
        !is_parked && self.opens_beyond(&taker.wants())
    }

    /// Whether the other side offers what is wanted, within the dynamic band.
    pub(super) fn finds(&self, wanted: &Wanted) -> bool {
        self.offers(wanted) && !self.opens_beyond(wanted)
    }
}

/// The worst price, in ticks, at which an order may trade and rest; or why there is none.
pub(super) type Limit = Result<u64, DeclineReason>;

impl Matching {
    /// The limit of a new order.
    pub(super) fn limit(&self, book: &Instrument, order: &NewOrder, then: Then) -> Result<Limit, Reject> {
        match order.order_type.get() {
            OrderType::Limit => book.terms.ticks(order.price).map(Ok),
            OrderType::Market | OrderType::MarketToLimit if order.price != Price(0) => Err(Reject::BadPrice),
            OrderType::PostOnly | OrderType::PostOnlySlide if matches!(then, Then::Cancel) => Err(Reject::BadOrderType),
            OrderType::Market if book.leaves_unpriced(OrderType::Market) => Ok(Ok(book.terms.worst(order.side.get()))),
            order_type => self.limit_found(book, order.side.get(), order_type, order.price),
        }
    }

    /// The limit of an order that rests and is replaced. What a market order left is a limit order.
    pub(super) fn limit_again(
        &self,
        book: &Instrument,
        side: Side,
        order_type: OrderType,
        price: Price,
    ) -> Result<Limit, Reject> {
        match order_type {
            OrderType::PostOnly | OrderType::PostOnlySlide => self.limit_found(book, side, order_type, price),
            _ => book.terms.ticks(price).map(Ok),
        }
    }

    /// The limit of an order that depends on what the other side offers.
    #[cold]
    pub(super) fn limit_found(
        &self,
        book: &Instrument,
        side: Side,
        order_type: OrderType,
        price: Price,
    ) -> Result<Limit, Reject> {
        let (terms, other) = (&book.terms, side.opposite());
        let best = book.half(other).best;
        let best = (best != NONE).then(|| self.levels[best].ticks);
        Ok(match order_type {
            OrderType::Limit => Ok(terms.ticks(price)?),
            OrderType::Market => best
                .map(|best| {
                    let worst = terms.yielding(side, best, terms.in_ticks(terms.protection));
                    let worst = book.on_tick(side, book.in_band(side, worst)).unwrap_or(best);
                    if better(side, best, worst) { best } else { worst }
                })
                .ok_or(DeclineReason::NoLiquidity),
            OrderType::MarketToLimit => best.ok_or(DeclineReason::NoLiquidity),
            OrderType::PostOnly | OrderType::PostOnlySlide => {
                let asked = terms.ticks(price)?;
                match best.filter(|best| !better(other, asked, *best)) {
                    None => Ok(asked),
                    // Where the other side would have to yield one tick more, unless the range ends here.
                    Some(best) => Some(terms.yielding(other, best, 1))
                        .filter(|slid| order_type == OrderType::PostOnlySlide && *slid != best)
                        .and_then(|slid| book.on_tick(side, slid))
                        .ok_or(DeclineReason::WouldTrade),
                }
            }
        })
    }
}
