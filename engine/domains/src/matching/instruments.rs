//! Instruments: their terms, and the two sides of their books.

use super::levels::{BOOK, HIDDEN, Half, Level, Levels, NONE, PARKED, UNPRICED, WAITS, better};
use super::market::{Bands, Market, Schedule, Statistics};
use super::messages::{
    Allocation, AllocationCode, AuctionIndication, DefineInstrument, InstrumentId, MatchingLimits, OrderFeed,
    OrderFeedCode, OrderId, Phase, PhaseCode, Price, QUANTITY_MAX, Quantity, Reject, Side, SideCode, TopOfBook, Trade,
    TradeId,
};
use super::settlement::Settlement;
use super::ticks::TickTable;
use alloc::boxed::Box;
use bytemuck::{Pod, Zeroable};
use core::hint::black_box;
use ringfence_kernel::bounded::Timers;
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::{Corrupt, Sink, Source, Timestamp};

/// What is fixed when an instrument is defined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Terms {
    /// The lowest price.
    price_min: i64,
    /// The highest price.
    price_max: i64,
    /// Prices are multiples of this; zero only where no instrument is defined.
    tick: i64,
    /// Quantities are multiples of this.
    lot: u64,
    /// How far from the other side's best price a market order trades.
    pub(super) protection: Price,
    /// When its day ends, in nanoseconds after midnight.
    day_end: u64,
    /// Decimal digits of a price.
    price_decimals: u64,
}

/// Nanoseconds of a day. The log's time knows no leap seconds.
pub(super) const DAY: u64 = 86_400_000_000_000;

impl Terms {
    /// The terms that `define` asks for, when they make sense.
    pub(super) fn of(define: &DefineInstrument) -> Result<Self, Reject> {
        let terms = Self {
            price_min: define.price_min.0,
            price_max: define.price_max.0,
            tick: define.tick.0,
            lot: define.lot.0,
            protection: define.protection,
            day_end: define.day_end,
            price_decimals: define.price_decimals.into(),
        };
        if terms.is_sound() { Ok(terms) } else { Err(Reject::BadTerms) }
    }

    fn is_sound(&self) -> bool {
        self.tick > 0
            && (1..=QUANTITY_MAX).contains(&self.lot)
            && self.price_min <= self.price_max
            && self.price_min % self.tick == 0
            && self.price_max % self.tick == 0
            && self.is_distance(self.protection)
            && self.day_end < DAY
            && self.price_decimals <= 18
    }

    /// The lowest price.
    pub(super) fn lowest(&self) -> i64 {
        self.price_min
    }

    /// `price` in ticks above the lowest, when an order may have it.
    #[inline(always)]
    pub(super) fn ticks(&self, price: Price) -> Result<u64, Reject> {
        let Price(price) = price;
        if price < self.price_min || price > self.price_max {
            return Err(Reject::BadPrice);
        }
        let above = price.wrapping_sub(self.price_min) as u64;
        if self.tick == 1 {
            return Ok(above);
        }
        let ticks = above / self.tick as u64;
        if ticks * self.tick as u64 == above { Ok(ticks) } else { Err(Reject::OffTick) }
    }

    /// The price that many `ticks` above the lowest.
    #[inline]
    pub(super) fn price(&self, ticks: u64) -> Price {
        Price(self.price_min.wrapping_add((ticks * self.tick as u64) as i64))
    }

    /// The price that one of `side` who pays `by` ticks more than `ticks`, or takes as many less, trades at: at the end
    /// of the range when that is nearer.
    pub(super) fn yielding(&self, side: Side, ticks: u64, by: u64) -> u64 {
        let highest = self.price_max.wrapping_sub(self.price_min) as u64 / self.tick as u64;
        match side {
            Side::Buy => ticks.saturating_add(by).min(highest),
            Side::Sell => ticks.saturating_sub(by),
        }
    }

    /// The worst price, in ticks, at which one of `side` can trade.
    pub(super) fn worst(&self, side: Side) -> u64 {
        self.yielding(side, 0, u64::MAX)
    }

    /// The price, in ticks, that far above `ticks` for one who buys, or below it for one who sells; none outside the
    /// range.
    pub(super) fn away(&self, side: Side, ticks: u64, distance: Price) -> Option<u64> {
        let by = self.in_ticks(distance);
        let highest = self.price_max.wrapping_sub(self.price_min) as u64 / self.tick as u64;
        match side {
            Side::Buy => ticks.checked_add(by).filter(|ticks| *ticks <= highest),
            Side::Sell => ticks.checked_sub(by),
        }
    }

    /// Whether it is how far prices may lie from each other.
    pub(super) fn is_distance(&self, price: Price) -> bool {
        price.0 >= 0 && self.is_multiple(price)
    }

    pub(super) fn is_multiple(&self, price: Price) -> bool {
        price.0 % self.tick == 0
    }

    /// A distance in ticks.
    pub(super) fn in_ticks(&self, distance: Price) -> u64 {
        distance.0 as u64 / self.tick as u64
    }

    /// When the day ends that goes on at `now`.
    pub(super) fn end_of_day(&self, now: Timestamp) -> Timestamp {
        let today = now.0 - now.0 % DAY;
        let end = today.saturating_add(self.day_end);
        Timestamp(if end > now.0 { end } else { end.saturating_add(DAY) })
    }

    /// Whether an order may have this quantity, or change by it.
    #[inline]
    pub(super) fn check_quantity(&self, quantity: Quantity) -> Result<(), Reject> {
        let Quantity(quantity) = quantity;
        let sound = quantity > 0 && quantity <= QUANTITY_MAX && self.is_in_lots(quantity);
        if sound { Ok(()) } else { Err(Reject::BadQuantity) }
    }

    /// `quantity`, or the next less that is a multiple of the lot.
    pub(super) fn in_lots(&self, quantity: u64) -> u64 {
        quantity - quantity % self.lot
    }

    #[inline]
    pub(super) fn is_in_lots(&self, quantity: u64) -> bool {
        self.lot == 1 || quantity.is_multiple_of(self.lot)
    }
}

/// The last trade, as its stream's snapshot says it; its number is zero before the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(super) struct LastTrade {
    trade: TradeId,
    maker_order: OrderId,
    taker_order: OrderId,
    price: Price,
    quantity: Quantity,
    /// 1 or 2; zero before the first trade.
    taker_side: SideCode,
    reserved: [u8; 7],
}

/// One instrument and its book. What every order needs stands in the first cache lines.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(super) struct Instrument {
    pub(super) terms: Terms,
    /// Whether it is traded continuously by price and time, and has no bands, no table of ticks, no settlement, no pegged orders and no feed of orders: nothing
    /// else is to be looked at.
    pub(super) is_plain: bool,
    pub(super) phase: PhaseCode,
    pub(super) allocation: AllocationCode,
    /// Whether each order is said.
    pub(super) order_feed: OrderFeedCode,
    /// Whether there may be pegged orders.
    has_pegs: bool,
    /// Bids and asks; their levels are among all levels.
    book: [Half; 2],
    /// Bids and asks that display nothing.
    hidden: [Half; 2],
    /// What was last said of the best prices. It is what the levels say, between commands.
    top: TopOfBook,
    /// Stops to buy and to sell that wait, by their triggers, nearest first; their levels are among all levels.
    stops: [Half; 2],
    last: LastTrade,
    pub(super) statistics: Statistics,
    /// A share below this is none.
    pub(super) minimum_allocation: u64,
    /// The bid and the ask that bettered the market last; zero before the first.
    pub(super) top_orders: [OrderId; 2],
    pub(super) ticks: TickTable,
    pub(super) settlement: Settlement,
    /// Market orders to buy and to sell in an auction: one level each.
    unpriced: [Half; 2],
    /// Pegged bids and asks that have no price.
    parked: [Half; 2],
    /// Which best prices, in ticks, pegged orders follow; nothing while there are none.
    quote: [Option<u64>; 2],
    /// What was last said of the auction.
    pub(super) indication: AuctionIndication,
    pub(super) bands: Bands,
    pub(super) schedule: Schedule,
    /// When the auction for volatility ends by itself; zero when there is none, or it does not.
    volatility_ends: Timestamp,
}

impl Instrument {
    const EMPTY_TOP: TopOfBook =
        TopOfBook { bid_price: Price(0), bid_quantity: Quantity(0), ask_price: Price(0), ask_quantity: Quantity(0) };

    fn undefined() -> Self {
        let (terms, last) = (Terms::zeroed(), LastTrade::zeroed());
        Self {
            terms,
            is_plain: true,
            phase: Phase::Continuous.into(),
            allocation: Allocation::PriceTime.into(),
            minimum_allocation: 0,
            top_orders: [OrderId(0); 2],
            ticks: TickTable::zeroed(),
            settlement: Settlement::zeroed(),
            order_feed: OrderFeed::Off.into(),
            book: [Half::EMPTY; 2],
            hidden: [Half::EMPTY; 2],
            unpriced: [Half::EMPTY; 2],
            parked: [Half::EMPTY; 2],
            has_pegs: false,
            quote: [None; 2],
            stops: [Half::EMPTY; 2],
            top: Self::EMPTY_TOP,
            last,
            indication: AuctionIndication::NOTHING,
            bands: Bands::zeroed(),
            schedule: Schedule::zeroed(),
            statistics: Statistics::zeroed(),
            volatility_ends: Timestamp(0),
        }
    }

    /// It has that phase from now on, until `ends` unless that is zero.
    pub(super) fn set_phase(&mut self, phase: Phase, ends: Timestamp) {
        (self.phase, self.volatility_ends) = (phase.into(), ends);
        self.see_plain();
    }

    pub(super) fn set_bands(&mut self, bands: Bands) {
        self.bands = bands;
        self.see_plain();
    }

    /// From now on it is so shared, whoever bettered the market before.
    pub(super) fn set_allocation(&mut self, allocation: Allocation, minimum: u64) {
        (self.allocation, self.minimum_allocation, self.top_orders) = (allocation.into(), minimum, [OrderId(0); 2]);
        self.see_plain();
    }

    pub(super) fn set_ticks(&mut self, ticks: TickTable) {
        self.ticks = ticks;
        self.see_plain();
    }

    pub(super) fn set_settlement(&mut self, settlement: Settlement) {
        self.settlement = settlement;
        self.see_plain();
    }

    pub(super) fn set_order_feed(&mut self, feed: OrderFeed) {
        self.order_feed = feed.into();
        self.see_plain();
    }

    /// Whether each order is said.
    #[inline]
    pub(super) fn shows_orders(&self) -> bool {
        !self.is_plain && self.order_feed.get() == OrderFeed::On
    }

    /// Whether nothing stands in its book or waits.
    pub(super) fn is_empty(&self) -> bool {
        let halves = self.book.into_iter().chain(self.hidden).chain(self.stops);
        let halves = halves.chain(self.unpriced).chain(self.parked);
        halves.into_iter().all(|half| half.best == NONE)
    }

    fn see_plain(&mut self) {
        let has_bands = self.bands.static_band != Price(0) || self.bands.dynamic_band != Price(0);
        let by_time = self.allocation.get() == Allocation::PriceTime;
        let looked_at = has_bands
            || !by_time
            || self.ticks.count > 0
            || self.settlement.base.0 != 0
            || self.has_pegs
            || self.order_feed.get() == OrderFeed::On;
        self.is_plain = self.phase.get() == Phase::Continuous && !looked_at;
    }

    /// Whether the static band has room for an order at `price`.
    pub(super) fn is_in_band(&self, price: Price) -> bool {
        let band = self.bands.static_band.0 as u64;
        band == 0 || price.0.abs_diff(self.bands.reference.0) <= band
    }

    /// `ticks`, or where the static band ends for one of `side` when that is nearer.
    pub(super) fn in_band(&self, side: Side, ticks: u64) -> u64 {
        let Bands { reference: Price(reference), static_band: Price(band), .. } = self.bands;
        let end = match side {
            Side::Buy => reference.checked_add(band),
            Side::Sell => reference.checked_sub(band),
        };
        let end = end.filter(|_| band != 0).and_then(|end| self.terms.ticks(Price(end)).ok());
        end.filter(|end| better(side.opposite(), *end, ticks)).unwrap_or(ticks)
    }

    /// When its phase next changes by itself.
    fn next_change(&self) -> Option<Timestamp> {
        let volatility = Some(self.volatility_ends).filter(|ends| *ends != Timestamp(0));
        let scheduled = self.schedule.next().map(|(at, _)| at);
        volatility.into_iter().chain(scheduled).min()
    }

    /// The phase that is due next. What the schedule says is then kept.
    pub(super) fn take_due(&mut self) -> Phase {
        match self.schedule.next() {
            Some((at, phase)) if self.volatility_ends == Timestamp(0) || at < self.volatility_ends => {
                self.schedule.seen = at;
                phase
            }
            _ => Phase::Continuous,
        }
    }

    fn market(&self) -> Market {
        let Self { phase, allocation, minimum_allocation, top_orders, ticks, settlement, order_feed, .. } = *self;
        let Self { volatility_ends, bands, schedule, statistics, .. } = *self;
        Market {
            phase,
            allocation,
            order_feed,
            reserved: [0; 5],
            volatility_ends,
            minimum_allocation,
            top_orders,
            ticks,
            settlement,
            bands,
            schedule,
            statistics,
        }
    }

    fn load_market(&mut self, market: &Market, assets: u32) -> Result<(), Corrupt> {
        let settlement = market.settlement;
        if settlement != Settlement::zeroed() && !settlement.is_sound(self.terms.lowest(), assets) {
            return Err(Corrupt("the settlement of an instrument"));
        }
        let phase = market.phase.try_get().ok_or(Corrupt("the phase of an instrument"))?;
        let ends = market.volatility_ends != Timestamp(0);
        let sound = market.reserved == [0; 5] && (!ends || phase == Phase::VolatilityAuction);
        let allocation = market.allocation.try_get().ok_or(Corrupt("the allocation of an instrument"))?;
        self.order_feed = market.order_feed.try_get().ok_or(Corrupt("the feed of an instrument"))?.into();
        let minimum = market.minimum_allocation;
        let shares = allocation != Allocation::PriceTime || minimum == 0;
        if !shares || minimum > QUANTITY_MAX || !self.terms.is_in_lots(minimum) || !market.ticks.is_sound(&self.terms) {
            return Err(Corrupt("the allocation or the ticks of an instrument"));
        }
        if !sound || !market.bands.is_sound(&self.terms) || !market.schedule.is_sound() {
            return Err(Corrupt("the market of an instrument"));
        }
        (self.bands, self.schedule, self.statistics) = (market.bands, market.schedule, market.statistics);
        self.set_allocation(allocation, minimum);
        (self.top_orders, self.ticks, self.settlement) = (market.top_orders, market.ticks, settlement);
        self.set_phase(phase, market.volatility_ends);
        Ok(())
    }

    /// Reads what most orders of a side look at.
    #[inline]
    pub(super) fn bring_near(&self, side: Side) {
        black_box((self.is_plain, self.half(side).best));
    }

    #[inline]
    pub(super) fn half(&self, side: Side) -> Half {
        self.book[side as usize - 1]
    }

    #[inline]
    pub(super) fn half_mut(&mut self, side: Side) -> &mut Half {
        &mut self.book[side as usize - 1]
    }

    /// The stops of one side that wait.
    #[inline]
    pub(super) fn stops(&self, side: Side) -> Half {
        self.stops[side as usize - 1]
    }

    /// Where `level` hangs, to look at.
    pub(super) fn half_at(&self, level: &Level) -> Half {
        let side = level.side.get();
        match level.waits {
            BOOK => self.half(side),
            WAITS => self.stops(side),
            HIDDEN => self.hidden(side),
            UNPRICED => self.unpriced(side),
            _ => self.parked(side),
        }
    }

    /// Where `level` hangs.
    #[inline]
    pub(super) fn half_of(&mut self, level: &Level) -> &mut Half {
        let side = level.side.get();
        match level.waits {
            BOOK => self.half_mut(side),
            WAITS => &mut self.stops[side as usize - 1],
            HIDDEN => &mut self.hidden[side as usize - 1],
            UNPRICED => &mut self.unpriced[side as usize - 1],
            _ => &mut self.parked[side as usize - 1],
        }
    }

    /// The orders of one side that display nothing.
    #[inline]
    pub(super) fn hidden(&self, side: Side) -> Half {
        self.hidden[side as usize - 1]
    }

    /// The market orders of one side in an auction.
    pub(super) fn unpriced(&self, side: Side) -> Half {
        self.unpriced[side as usize - 1]
    }

    /// The pegged orders of one side that have no price.
    pub(super) fn parked(&self, side: Side) -> Half {
        self.parked[side as usize - 1]
    }

    /// Whether there may be pegged orders: if there are, what they follow is looked at.
    pub(super) fn has_pegs(&self) -> bool {
        self.has_pegs
    }

    /// From now on pegged orders, if there are any, follow what they are to from what it is.
    pub(super) fn set_pegs(&mut self, has_pegs: bool, levels: &Levels) {
        (self.has_pegs, self.quote) = (has_pegs, self.find_quote(levels));
        self.see_plain();
    }

    /// Whether what pegged orders follow is other than when this was last asked.
    pub(super) fn moves_quote(&mut self, levels: &Levels) -> bool {
        let quote = self.find_quote(levels);
        core::mem::replace(&mut self.quote, quote) != quote
    }

    /// What pegged orders follow: the best displayed prices of orders that are not pegged, in ticks.
    pub(super) fn quote(&self, levels: &Levels) -> [Option<u64>; 2] {
        if self.has_pegs { self.quote } else { self.find_quote(levels) }
    }

    /// The same, looked for: levels of pegged orders alone are passed over.
    fn find_quote(&self, levels: &Levels) -> [Option<u64>; 2] {
        self.book.map(|half| {
            let mut at = Some(half.best).filter(|at| *at != NONE);
            while let Some(alone) = at.filter(|at| levels[*at].pegged == levels[*at].orders) {
                at = levels.worse(alone);
            }
            at.map(|at| levels[at].ticks)
        })
    }

    /// Whether what pegged orders follow is what it is kept as.
    #[cfg(any(test, feature = "models"))]
    pub(super) fn keeps_quote(&self, levels: &Levels) -> bool {
        self.quote(levels) == self.find_quote(levels)
    }

    /// Whether any stop waits.
    #[inline]
    pub(super) fn has_stops(&self) -> bool {
        self.stops[0].best != NONE || self.stops[1].best != NONE
    }

    /// The best prices as the levels have them.
    #[inline]
    pub(super) fn top(&self, levels: &Levels) -> TopOfBook {
        let [(bid_price, bid_quantity), (ask_price, ask_quantity)] = self.book.map(|half| match half.best {
            NONE => (Price(0), Quantity(0)),
            best => (levels[best].price, Quantity(levels[best].quantity)),
        });
        TopOfBook { bid_price, bid_quantity, ask_price, ask_quantity }
    }

    /// The best prices, of which that of `side` has become other.
    #[inline(always)]
    pub(super) fn top_of(&mut self, side: Side, levels: &Levels) -> TopOfBook {
        match self.half(side).best {
            NONE => self.top_with(side, Price(0), Quantity(0)),
            best => self.top_with(side, levels[best].price, Quantity(levels[best].quantity)),
        }
    }

    /// The best prices, of which that of `side` is this now.
    #[inline(always)]
    pub(super) fn top_with(&mut self, side: Side, price: Price, quantity: Quantity) -> TopOfBook {
        self.top = match side {
            Side::Buy => TopOfBook { bid_price: price, bid_quantity: quantity, ..self.top },
            Side::Sell => TopOfBook { ask_price: price, ask_quantity: quantity, ..self.top },
        };
        self.top
    }

    /// The best prices, when they are other than what was last said of them.
    #[inline]
    pub(super) fn top_to_say(&mut self, levels: &Levels) -> Option<&TopOfBook> {
        let top = self.top(levels);
        if top == self.top {
            return None;
        }
        self.top = top;
        Some(&self.top)
    }

    #[inline]
    pub(super) fn remember(&mut self, trade: &Trade, now: Timestamp) {
        if now >= self.statistics.day_ends {
            self.statistics.begin(self.terms.end_of_day(now), trade.price);
        }
        self.statistics.add(trade.price, trade.quantity.0);
        let Trade { trade, maker_order, taker_order, price, quantity, taker_side, .. } = *trade;
        self.last = LastTrade { trade, maker_order, taker_order, price, quantity, taker_side, reserved: [0; 7] };
    }

    /// The last trade's price, when there was one.
    pub(super) fn last_price(&self) -> Option<Price> {
        (self.last.trade.0 != 0).then_some(self.last.price)
    }

    /// The last trade, when there was one.
    pub(super) fn last_trade(&self) -> Option<Trade> {
        let LastTrade { trade, maker_order, taker_order, price, quantity, taker_side, .. } = self.last;
        let reserved = Reserved::default();
        (trade.0 != 0).then_some(Trade { trade, maker_order, taker_order, price, quantity, taker_side, reserved })
    }
}

/// All instruments, by their numbers.
#[derive(Clone, Debug)]
pub(super) struct Instruments {
    instruments: Box<[Instrument]>,
    /// When phases change by themselves.
    timers: Timers,
}

impl core::ops::Index<u32> for Instruments {
    type Output = Instrument;
    #[inline]
    fn index(&self, place: u32) -> &Instrument {
        &self.instruments[place as usize]
    }
}

impl core::ops::IndexMut<u32> for Instruments {
    #[inline]
    fn index_mut(&mut self, place: u32) -> &mut Instrument {
        &mut self.instruments[place as usize]
    }
}

impl Instruments {
    pub(super) fn new(capacity: usize) -> Self {
        let instruments = alloc::vec![Instrument::undefined(); capacity].into();
        Self { instruments, timers: Timers::new(capacity) }
    }

    /// The place of an instrument, defined or not.
    #[inline(always)]
    pub(super) fn any(&self, id: InstrumentId) -> Option<u32> {
        let place = id.0.wrapping_sub(1);
        ((place as usize) < self.instruments.len()).then_some(place)
    }

    /// The instrument whose phase changes next by itself, and when.
    #[inline]
    pub(super) fn next_change(&self) -> Option<(Timestamp, u32)> {
        self.timers.first()
    }

    /// Sees anew when the phase of the instrument at `place` changes by itself.
    pub(super) fn set_timer(&mut self, place: u32) {
        match self[place].next_change() {
            Some(at) => self.timers.set(place, at, place.into()),
            None => self.timers.clear(place),
        }
    }

    /// The place of an instrument that is defined.
    #[inline]
    pub(super) fn place(&self, id: InstrumentId) -> Option<u32> {
        let place = id.0.wrapping_sub(1);
        (self.instruments.get(place as usize)?.terms.tick != 0).then_some(place)
    }

    /// Gives `id` its terms.
    pub(super) fn define(&mut self, id: InstrumentId, terms: Terms) -> Result<(), Reject> {
        let known = self.instruments.get_mut(id.0.wrapping_sub(1) as usize).ok_or(Reject::InstrumentsFull)?;
        if known.terms.tick == 0 {
            known.terms = terms;
        }
        if known.terms == terms { Ok(()) } else { Err(Reject::InstrumentExists) }
    }

    /// Writes which instruments are defined, with their terms and last trades.
    pub(super) fn save(&self, sink: &mut impl Sink) {
        let defined = || self.instruments.iter().enumerate().filter(|(_, instrument)| instrument.terms.tick != 0);
        sink.value(&(defined().count() as u64));
        for (place, instrument) in defined() {
            sink.value(&(place as u64));
            sink.value(&instrument.terms);
            sink.value(&instrument.last);
            sink.value(&instrument.market());
        }
    }

    /// What [`Instruments::save`] wrote. Books are still empty.
    pub(super) fn load(limits: &MatchingLimits, source: &mut impl Source) -> Result<Self, Corrupt> {
        let (capacity, assets) = (limits.instruments as usize, limits.assets as u32);
        let mut instruments = Self::new(capacity);
        let mut before = None;
        for _ in 0..source.count(capacity, "instruments")? {
            let place = source.count(capacity.saturating_sub(1), "the number of an instrument")?;
            if before.replace(place).is_some_and(|before| before >= place) {
                return Err(Corrupt("the order of instruments"));
            }
            let known = &mut instruments.instruments[place];
            (known.terms, known.last) = (source.value()?, source.value()?);
            if !known.terms.is_sound() {
                return Err(Corrupt("the terms of an instrument"));
            }
            let sound = known.last.taker_side.try_get().is_some() && known.terms.ticks(known.last.price).is_ok();
            let said = known.last.trade.0 == 0 || sound;
            if !said || known.last.reserved != [0; 7] {
                return Err(Corrupt("the last trade of an instrument"));
            }
            known.load_market(&source.value()?, assets)?;
            instruments.set_timer(place as u32);
        }
        Ok(instruments)
    }

    /// After the levels were loaded: what was last said of the best prices is what they are.
    pub(super) fn settle(&mut self, levels: &Levels) {
        for instrument in &mut self.instruments {
            instrument.top = instrument.top(levels);
        }
    }

    /// The side of the book that a level which is loaded says it belongs to.
    pub(super) fn half_of(&mut self, level: &Level) -> Option<&mut Half> {
        let place = self.place(InstrumentId(level.instrument.checked_add(1)?))?;
        let instrument = &mut self[place];
        let side = level.side.try_get()?;
        let placed = match level.waits {
            BOOK | WAITS | HIDDEN | PARKED => true,
            UNPRICED => level.ticks == instrument.terms.worst(side) && instrument.phase.get().collects(),
            _ => false,
        };
        let sound = instrument.terms.ticks(level.price) == Ok(level.ticks)
            && level.reserved == [0; 2]
            && level.reserved_behind == [0; 8];
        (placed && sound).then(|| instrument.half_of(level))
    }

    /// All places, defined or not.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Instrument> {
        self.instruments.iter()
    }
}

/// The number of the instrument at `place`.
#[inline]
pub(super) const fn id(place: u32) -> InstrumentId {
    InstrumentId(place + 1)
}
