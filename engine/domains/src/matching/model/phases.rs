//! The twin: phases of the market, auctions and bands.

use super::reports::Traded;
use super::reserve::take_from;
use super::{Model, Order, Says};
use crate::matching::messages::{
    AuctionIndication, BandsSet, ClientOrderId, CloseReason, DeclineReason, Event, Execution, Fill, InstrumentId,
    Liquidity, OrderId, OrderType, Phase, PhaseChanged, PhaseSet, Price, Quantity, Reject, Reply, ScheduleEntry,
    ScheduleSet, SetBands, SetPhase, SetSchedule, Side, TimeInForce, Trade, TradeId,
};
use crate::matching::topics;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::{Account, Context, Timestamp};

/// What holds for an instrument beside its book.
#[derive(Clone, Debug)]
pub(super) struct Market {
    pub(super) phase: Phase,
    pub(super) reference: i64,
    pub(super) static_band: i64,
    pub(super) dynamic_band: i64,
    volatility_length: u64,
    /// When the auction for volatility ends by itself.
    volatility_ends: Option<Timestamp>,
    /// Times of day and what begins then; kept up to `seen`.
    schedule: Vec<(u64, Phase)>,
    seen: Timestamp,
    /// What was last said of the auction.
    said: AuctionIndication,
}

const NOTHING: AuctionIndication =
    AuctionIndication { price: Price(0), quantity: Quantity(0), bid_surplus: Quantity(0), ask_surplus: Quantity(0) };
const DAY: u64 = 86_400_000_000_000;

impl Market {
    pub(super) fn new() -> Self {
        Self {
            phase: Phase::Continuous,
            reference: 0,
            static_band: 0,
            dynamic_band: 0,
            volatility_length: 0,
            volatility_ends: None,
            schedule: Vec::new(),
            seen: Timestamp(0),
            said: NOTHING,
        }
    }

    fn is_auction(&self) -> bool {
        use Phase::{ClosingAuction, IntradayAuction, OpeningAuction, VolatilityAuction};
        [OpeningAuction, IntradayAuction, ClosingAuction, VolatilityAuction].contains(&self.phase)
    }

    /// Whether it collects orders.
    pub(super) fn collects(&self) -> bool {
        self.phase == Phase::PreOpen || self.is_auction()
    }

    /// Whether an order has a place in its phase.
    pub(super) fn takes(&self, order_type: OrderType, time_in_force: TimeInForce) -> bool {
        let limit = order_type == OrderType::Limit || order_type == OrderType::Market;
        match (time_in_force, self.phase) {
            (TimeInForce::AtOpen, Phase::PreOpen | Phase::OpeningAuction) => limit,
            (TimeInForce::AtClose, Phase::ClosingAuction) => limit,
            (TimeInForce::AtOpen | TimeInForce::AtClose, _)
            | (_, Phase::Halted | Phase::Closed | Phase::Announced | Phase::Delisted) => false,
            (_, Phase::Continuous) => true,
            (TimeInForce::ImmediateOrCancel | TimeInForce::FillOrKill, _) => false,
            _ => limit,
        }
    }

    pub(super) fn is_outside(&self, price: i64) -> bool {
        self.static_band != 0 && (i128::from(price) - i128::from(self.reference)).abs() > self.static_band.into()
    }

    fn next_scheduled(&self) -> Option<(Timestamp, Phase)> {
        let first = |(time, phase): &(u64, Phase)| {
            let at = (self.seen.0 / DAY..).map(|day| day.saturating_mul(DAY).saturating_add(*time));
            (at.into_iter().find(|at| *at > self.seen.0 || *at == u64::MAX).map(Timestamp).expect("days go on"), *phase)
        };
        self.schedule.iter().map(first).min_by_key(|(at, _)| *at)
    }

    pub(super) fn next_change(&self) -> Option<Timestamp> {
        self.volatility_ends.into_iter().chain(self.next_scheduled().map(|(at, _)| at)).min()
    }
}

impl Model {
    pub(super) fn set_phase(&mut self, command: &SetPhase, out: Says<'_, '_>) -> Result<(), Reject> {
        let instrument = command.instrument.0;
        if !self.markets.contains_key(&instrument) {
            return Err(Reject::UnknownInstrument);
        }
        let (from, to) = (self.markets[&instrument].phase, command.phase.get());
        let has_orders = self.orders.iter().any(|order| order.instrument == instrument);
        let is_new = !has_orders && !self.last_prices.contains_key(&instrument);
        if from == Phase::Delisted && to != Phase::Delisted || to == Phase::Announced && !is_new {
            return Err(Reject::BadPhase);
        }
        let (price, quantity) = self.change_phase(instrument, to, out);
        let (instrument, phase, reserved) = (command.instrument, command.phase, Reserved::default());
        out.reply(Reply::PhaseSet(&PhaseSet { price, quantity, instrument, phase, reserved }));
        self.resume_stops(command.instrument.0, command.phase.get());
        Ok(())
    }

    pub(super) fn set_bands(&mut self, command: &SetBands, out: Says<'_, '_>) -> Result<(), Reject> {
        let market = self.markets.get_mut(&command.instrument.0).ok_or(Reject::UnknownInstrument)?;
        let tick = self.instruments[&command.instrument.0].tick.0;
        let bands = [command.static_band.0, command.dynamic_band.0];
        let endless = command.dynamic_band.0 != 0 && command.volatility_length == 0;
        if bands.iter().any(|band| *band < 0 || band % tick != 0) || endless {
            return Err(Reject::BadBands);
        }
        market.reference = command.reference.0;
        (market.static_band, market.dynamic_band) = (bands[0], bands[1]);
        market.volatility_length = command.volatility_length;
        self.say_indication(command.instrument.0, out);
        let (instrument, reserved) = (command.instrument, Reserved::default());
        out.reply(Reply::BandsSet(&BandsSet { instrument, reserved }));
        Ok(())
    }

    pub(super) fn set_schedule(
        &mut self,
        context: Context,
        command: &SetSchedule,
        entries: &[ScheduleEntry],
        out: Says<'_, '_>,
    ) -> Result<(), Reject> {
        let market = self.markets.get_mut(&command.instrument.0).ok_or(Reject::UnknownInstrument)?;
        let schedule: Vec<_> = entries.iter().map(|entry| (entry.time, entry.phase.get())).collect();
        let rises = schedule.windows(2).all(|pair| pair[0].0 < pair[1].0);
        let never = [Phase::VolatilityAuction, Phase::Announced, Phase::Delisted];
        let sound = schedule.iter().all(|(time, phase)| *time < DAY && !never.contains(phase));
        if schedule.len() > 8 || !rises || !sound {
            return Err(Reject::BadSchedule);
        }
        if market.phase == Phase::Delisted {
            return Err(Reject::BadPhase);
        }
        (market.schedule, market.seen) = (schedule, context.now);
        let (instrument, entries) = (command.instrument, entries.len() as u32);
        out.reply(Reply::ScheduleSet(&ScheduleSet { instrument, entries }));
        Ok(())
    }

    /// When a phase next changes by itself, and of which instrument.
    pub(super) fn next_change(&self) -> Option<(Timestamp, u32)> {
        self.markets.iter().filter_map(|(id, market)| Some((market.next_change()?, *id))).min()
    }

    /// The change that is due.
    pub(super) fn change_by_time(&mut self, instrument: u32, out: Says<'_, '_>) {
        let market = self.markets.get_mut(&instrument).expect("it is defined");
        let to = match (market.volatility_ends, market.next_scheduled()) {
            (None, Some((at, phase))) => (Some(at), phase),
            (Some(ends), Some((at, phase))) if at < ends => (Some(at), phase),
            _ => (None, Phase::Continuous),
        };
        market.seen = to.0.unwrap_or(market.seen);
        self.change_phase(instrument, to.1, out);
        self.resume_stops(instrument, to.1);
        self.follow(out);
    }

    fn resume_stops(&mut self, instrument: u32, phase: Phase) {
        if phase == Phase::Continuous {
            self.trigger(instrument);
        }
    }

    /// Uncrosses where that is to be done, and makes it the new phase; says at which price how much traded.
    fn change_phase(&mut self, instrument: u32, to: Phase, out: Says<'_, '_>) -> (Price, Quantity) {
        let from = &self.markets[&instrument];
        let ends = from.is_auction() && to != Phase::Halted && to != Phase::Delisted;
        let uncrosses = from.phase != to && (to == Phase::Continuous || ends);
        let found = if uncrosses { self.indication(instrument) } else { NOTHING };
        if found.quantity.0 > 0 {
            let before = self.top(instrument);
            self.uncross(instrument, found.price.0, found.quantity.0, out);
            self.say_top(instrument, &before, out);
            self.market(instrument).reference = found.price.0;
        }
        if self.markets[&instrument].phase != to {
            self.enter(instrument, to, None, out);
        }
        let ends = |order: &&Order| {
            let market = &self.markets[&instrument];
            let over = order.only.is_some_and(|only| !market.takes(OrderType::Limit, only));
            order.instrument == instrument && (over || order.unpriced && !market.collects())
        };
        let mut ending: Vec<u64> = self.orders.iter().filter(ends).map(|order| order.order).collect();
        ending.sort_unstable();
        for number in ending {
            let index = self.orders.iter().position(|order| order.order == number).expect("it was just seen");
            self.close(index, CloseReason::AuctionOver, out);
        }
        if to == Phase::Delisted {
            self.market(instrument).schedule.clear();
            self.close_all(|order| order.instrument == instrument, Self::turn, CloseReason::Delisted, out);
        }
        (found.price, found.quantity)
    }

    fn enter(&mut self, instrument: u32, phase: Phase, ends: Option<Timestamp>, out: Says<'_, '_>) {
        let market = self.market(instrument);
        (market.phase, market.volatility_ends) = (phase, ends);
        let changed = PhaseChanged { phase: phase.into(), reserved: Reserved::default() };
        out.publish(topics::PHASES, instrument, Event::PhaseChanged(&changed));
        self.say_indication(instrument, out);
    }

    fn market(&mut self, instrument: u32) -> &mut Market {
        self.markets.get_mut(&instrument).expect("it is defined")
    }

    pub(super) fn say_indication(&mut self, instrument: u32, out: Says<'_, '_>) {
        let now = if self.markets[&instrument].is_auction() { self.indication(instrument) } else { NOTHING };
        if now != self.markets[&instrument].said {
            self.market(instrument).said = now;
            out.publish(topics::AUCTIONS, instrument, Event::AuctionIndication(&now));
        }
    }

    /// What takes part in an auction.
    fn part_takers(&self, instrument: u32, side: Side) -> impl Iterator<Item = &Order> {
        let takes = |order: &&Order| order.stop.is_none() && order.pegged.is_none() && order.minimum == 0;
        self.orders.iter().filter(move |order| (order.instrument, order.side) == (instrument, side)).filter(takes)
    }

    /// How much is bid and asked at a price.
    fn interest(&self, instrument: u32, price: i64) -> (u64, u64) {
        let bids = self.part_takers(instrument, Side::Buy).filter(|order| order.unpriced || order.price >= price);
        let asks = self.part_takers(instrument, Side::Sell).filter(|order| order.unpriced || order.price <= price);
        (bids.map(Order::open).sum(), asks.map(Order::open).sum())
    }

    /// By rule 25, step by step.
    /// The last trade's price, or what the operator says while there is none; on the table of ticks.
    fn auction_reference(&self, instrument: u32) -> Option<i64> {
        let terms = &self.instruments[&instrument];
        let (lowest, highest, tick) = (terms.price_min.0, terms.price_max.0, terms.tick.0);
        let said = self.markets[&instrument].reference;
        let said = (said != 0 && (lowest..=highest).contains(&said) && said % tick == 0).then_some(said);
        let price = self.last_prices.get(&instrument).copied().or(said)?;
        let on_tick = self.on_tick(instrument, price.into(), false) as i64;
        Some(if on_tick < lowest { price } else { on_tick })
    }

    fn indication(&self, instrument: u32) -> AuctionIndication {
        let sides = [Side::Buy, Side::Sell];
        let priced = sides.iter().flat_map(|side| self.part_takers(instrument, *side)).filter(|order| !order.unpriced);
        let mut prices: BTreeSet<i64> = priced.map(|order| order.price).collect();
        if sides.iter().all(|side| self.part_takers(instrument, *side).any(|order| order.unpriced)) {
            prices.extend(self.auction_reference(instrument));
        }
        let mut prices: Vec<i64> = prices.into_iter().collect();
        let volume = |price: &i64| {
            let (bid, asked) = self.interest(instrument, *price);
            bid.min(asked)
        };
        let surplus = |price: &i64| {
            let (bid, asked) = self.interest(instrument, *price);
            i128::from(bid) - i128::from(asked)
        };
        let most = prices.iter().map(volume).max().unwrap_or(0);
        if most == 0 {
            return NOTHING;
        }
        prices.retain(|price| volume(price) == most);
        let least = prices.iter().map(|price| surplus(price).abs()).min().expect("there are some");
        prices.retain(|price| surplus(price).abs() == least);
        let (lowest, highest) = (prices[0], *prices.last().expect("there are some"));
        let price = if prices.iter().all(|price| surplus(price) > 0) {
            highest
        } else if prices.iter().all(|price| surplus(price) < 0) {
            lowest
        } else {
            self.auction_reference(instrument).map_or(lowest, |near| near.clamp(lowest, highest))
        };
        let (bid, asked) = self.interest(instrument, price);
        let quantity = bid.min(asked);
        AuctionIndication {
            price: Price(price),
            quantity: Quantity(quantity),
            bid_surplus: Quantity(bid - quantity),
            ask_surplus: Quantity(asked - quantity),
        }
    }

    fn uncross(&mut self, instrument: u32, price: i64, mut left: u64, out: Says<'_, '_>) {
        // Of each side the order that traded last, of those that are displayed.
        let mut last = [None::<Order>; 2];
        while left > 0 {
            let first = |side| {
                let rank = |order: &&Order| {
                    let price = i128::from(order.price) * if side == Side::Buy { -1 } else { 1 };
                    (!order.unpriced, price, order.hides, order.place)
                };
                *self.part_takers(instrument, side).min_by_key(rank).expect("so much trades")
            };
            let pair = [first(Side::Buy), first(Side::Sell)];
            left -= self.trade_pair(pair, price, out);
            for order in pair.iter().filter(|order| order.is_displayed()) {
                if self.level(instrument, order.side, order.price).orders == 0 {
                    self.say_level(order, out);
                }
            }
            for (last, order) in last.iter_mut().zip(pair).filter(|(_, order)| order.is_displayed()) {
                *last = Some(order);
            }
        }
        for order in last.iter().flatten() {
            if self.level(instrument, order.side, order.price).orders > 0 {
                self.say_level(order, out);
            }
        }
    }

    fn trade_pair(&mut self, pair: [Order; 2], price: i64, out: Says<'_, '_>) -> u64 {
        let [buyer, seller] = pair;
        let quantity = buyer.remaining.min(seller.remaining);
        self.last_trade += 1;
        self.last_prices.insert(buyer.instrument, price);
        self.trades.push(Traded { instrument: buyer.instrument, at: self.now, price, quantity });
        let later = if buyer.order > seller.order { Side::Buy } else { Side::Sell };
        out.publish(
            topics::TRADES,
            buyer.instrument,
            Event::Trade(&Trade {
                trade: TradeId(self.last_trade),
                maker_order: OrderId(buyer.order.min(seller.order)),
                taker_order: OrderId(buyer.order.max(seller.order)),
                price: Price(price),
                quantity: Quantity(quantity),
                taker_side: later.into(),
                reserved: Reserved::default(),
            }),
        );
        for (own, other) in [(buyer, seller), (seller, buyer)] {
            let index = self.orders.iter().position(|order| order.order == own.order).expect("it was just seen");
            self.orders[index].filled += quantity;
            let remaining = own.open() - quantity;
            let fill = Fill {
                order: OrderId(own.order),
                client_order: ClientOrderId(own.client_order),
                counter_order: OrderId(other.order),
                trade: TradeId(self.last_trade),
                price: Price(price),
                quantity: Quantity(quantity),
                remaining: Quantity(remaining),
                instrument: InstrumentId(own.instrument),
                side: own.side.into(),
                liquidity: Liquidity::Auction.into(),
                reserved: Reserved::default(),
            };
            out.notify(Account(own.account), Event::Fill(&fill));
            let traded = Order { remaining, hidden: 0, filled: own.filled + quantity, ..own };
            self.copy_trade(&traded, Execution::Traded, quantity, (self.last_trade, price), out);
            take_from(&mut self.orders, index, quantity, &mut self.last_place);
            if remaining == 0 {
                self.ended.push((own.account, own.client_order, DeclineReason::Filled));
            }
        }
        let buyer_takes = buyer.order > seller.order;
        self.settle(price, quantity, [(&buyer, buyer_takes), (&seller, !buyer_takes)], out);
        self.say_left(&buyer, out);
        self.say_left(&seller, out);
        quantity
    }

    /// The worst price at which an order trades before an auction comes between.
    pub(super) fn reach(&self, order: &Order) -> i64 {
        let band = i128::from(self.markets[&order.instrument].dynamic_band);
        let trades = band != 0 && !order.parked;
        let Some(last) = self.last_prices.get(&order.instrument).filter(|_| trades) else { return order.price };
        let (last, price) = (i128::from(*last), i128::from(order.price));
        // The first that it would trade with may be too far in its favour: then it trades with none.
        let tick = i128::from(self.instruments[&order.instrument].tick.0);
        let beyond =
            if order.side == Side::Buy { price.min(last - band - tick) } else { price.max(last + band + tick) };
        if i64::try_from(beyond).is_ok_and(|beyond| self.finds(order, beyond) > 0) {
            return if order.side == Side::Buy { i64::MIN } else { i64::MAX };
        }
        let end = if order.side == Side::Buy { price.min(last + band) } else { price.max(last - band) };
        end as i64
    }

    /// After an order traded as far as it reached: the instrument goes to auction if it would have traded further.
    pub(super) fn interrupt(&mut self, order: &Order, reach: i64, left: u64, out: Says<'_, '_>) {
        // One that asks for a minimum would not have traded further without it.
        let finds = self.finds(order, order.price);
        let crosses = match order.minimum.min(left) {
            0 => left > 0 && (finds > 0 || !self.makers(order.instrument, order.side, order.price).is_empty()),
            minimum => finds >= minimum,
        };
        let market = &self.markets[&order.instrument];
        let may_trade = !matches!(order.order_type, OrderType::PostOnly | OrderType::PostOnlySlide);
        if reach != order.price && crosses && may_trade && market.phase == Phase::Continuous {
            let ends = Timestamp(self.now.0.saturating_add(market.volatility_length));
            self.enter(order.instrument, Phase::VolatilityAuction, Some(ends), out);
        }
    }
}
