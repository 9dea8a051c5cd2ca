//! The twin: what comes in, and trades.

use super::phases::Market;
use super::replacing::say_replaced;
use super::reports::Traded;
use super::reserve::take_from;
use super::{Model, Order, Says, decline};
use crate::matching::messages::{
    ClientOrderId, DeclineReason, DefineInstrument, Event, Execution, Fill, InstrumentDefined, InstrumentId, Liquidity,
    NewOrder, OrderAccepted, OrderId, OrderStatus, OrderType, Phase, Price, Priority, QUANTITY_MAX, Quantity, Reject,
    Replace, Reply, Side, TimeInForce, Trade, TradeId,
};
use crate::matching::topics;
use alloc::vec::Vec;
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::{Account, Context, Timestamp};

impl Model {
    pub(super) fn check_price(&self, instrument: u32, price: Price) -> Result<(), Reject> {
        let terms = &self.instruments[&instrument];
        // Multiples of the tick are counted from zero, in numbers wide enough for every difference.
        let multiple = i128::from(price.0) % i128::from(terms.tick.0) == 0;
        match price >= terms.price_min && price <= terms.price_max {
            true if multiple => Ok(()),
            true => Err(Reject::OffTick),
            false => Err(Reject::BadPrice),
        }
    }

    pub(super) fn check_quantity(&self, instrument: u32, quantity: Quantity) -> Result<(), Reject> {
        let sound =
            (1..=QUANTITY_MAX).contains(&quantity.0) && quantity.0.is_multiple_of(self.instruments[&instrument].lot.0);
        if sound { Ok(()) } else { Err(Reject::BadQuantity) }
    }

    pub(super) fn check_level(&self, instrument: u32, side: Side, price: Price) -> Result<(), Reject> {
        let exists = self.at(instrument, side, price.0).next().is_some();
        if exists || (self.levels() as u64) < self.limits.levels { Ok(()) } else { Err(Reject::LevelsFull) }
    }

    pub(super) fn define(&mut self, define: &DefineInstrument, out: Says<'_, '_>) -> Result<(), Reject> {
        let sound = define.tick.0 > 0
            && (1..=QUANTITY_MAX).contains(&define.lot.0)
            && define.price_min <= define.price_max
            && define.price_min.0 % define.tick.0 == 0
            && define.price_max.0 % define.tick.0 == 0
            && define.protection.0 >= 0
            && define.protection.0 % define.tick.0 == 0
            && define.day_end < 24 * 60 * 60 * 1_000_000_000
            && define.price_decimals <= 18;
        if !sound {
            return Err(Reject::BadTerms);
        }
        let id = define.instrument;
        if id.0 == 0 || u64::from(id.0) > self.limits.instruments {
            return Err(Reject::InstrumentsFull);
        }
        self.markets.entry(id.0).or_insert_with(Market::new);
        if *self.instruments.entry(id.0).or_insert(*define) != *define {
            return Err(Reject::InstrumentExists);
        }
        out.reply(Reply::InstrumentDefined(&InstrumentDefined { instrument: id, reserved: Reserved::default() }));
        Ok(())
    }

    pub(super) fn new_order(&mut self, context: Context, command: &NewOrder, out: Says<'_, '_>) -> Result<(), Reject> {
        let (InstrumentId(instrument), side) = (command.instrument, command.side.get());
        if !self.instruments.contains_key(&instrument) {
            return Err(Reject::UnknownInstrument);
        }
        let order_type = command.order_type.get();
        let is_market = matches!(order_type, OrderType::Market | OrderType::MarketToLimit);
        self.check_quantity(instrument, command.quantity)?;
        let (time_in_force, Quantity(quantity)) = (command.time_in_force.get(), command.quantity);
        let dated = time_in_force == TimeInForce::GoodTillDate;
        if if dated { command.expires <= context.now } else { command.expires.0 != 0 } {
            return Err(Reject::BadExpiry);
        }
        let rests = !matches!(time_in_force, TimeInForce::ImmediateOrCancel | TimeInForce::FillOrKill);
        let mut minimum = command.minimum.0;
        if minimum != 0 {
            let sound = time_in_force == TimeInForce::ImmediateOrCancel
                && minimum <= quantity
                && minimum.is_multiple_of(self.instruments[&instrument].lot.0);
            if !sound {
                return Err(Reject::BadMinimum);
            }
        }
        if time_in_force == TimeInForce::FillOrKill {
            minimum = quantity;
        }
        if self.mine(context.account(), command.client_order).is_some() {
            return Err(Reject::DuplicateClientOrder);
        }
        if !rests && matches!(order_type, OrderType::PostOnly | OrderType::PostOnlySlide) {
            return Err(Reject::BadOrderType);
        }
        match command.price {
            Price(0) if is_market => {}
            _ if is_market => return Err(Reject::BadPrice),
            price => {
                self.check_price(instrument, price)?;
                self.check_tick(instrument, price)?;
            }
        }
        if self.killed.contains(&context.account().0) {
            return decline(command.client_order, DeclineReason::KillSwitch, out);
        }
        if !self.markets[&instrument].takes(order_type, time_in_force) {
            return decline(command.client_order, DeclineReason::PhaseForbids, out);
        }
        let unpriced = order_type == OrderType::Market && self.markets[&instrument].collects();
        let terms = &self.instruments[&instrument];
        let worst = if side == Side::Buy { terms.price_max.0 } else { terms.price_min.0 };
        let price = match self.price(instrument, side, order_type, command.price.0) {
            _ if unpriced => worst,
            Ok(price) if self.markets[&instrument].is_outside(price) => {
                return decline(command.client_order, DeclineReason::OutsideBand, out);
            }
            Ok(price) => price,
            Err(reason) => return decline(command.client_order, reason, out),
        };
        if let Some(reason) = self.breaks(context.account().0, price, quantity, rests) {
            return decline(command.client_order, reason, out);
        }
        let only = Some(time_in_force).filter(|t| matches!(t, TimeInForce::AtOpen | TimeInForce::AtClose));
        let mut order = Order {
            order: self.last_order + 1,
            client_order: command.client_order.0,
            account: context.account().0,
            instrument,
            side,
            price,
            remaining: quantity,
            filled: 0,
            order_type,
            on_disconnect: command.on_disconnect.get(),
            expires: match time_in_force {
                TimeInForce::GoodTillDate => Some(command.expires),
                TimeInForce::Day => Some(self.end_of_day(instrument, context.now)),
                _ => None,
            },
            place: 0,
            stop: None,
            only,
            hidden: 0,
            display: 0,
            hides: false,
            minimum: 0,
            unpriced,
            pegged: None,
            parked: false,
        };
        let reach = self.reach(&order);
        if minimum > 0 && self.finds(&order, reach) < minimum {
            return decline(command.client_order, DeclineReason::BelowMinimum, out);
        }
        if rests {
            if self.orders.len() as u64 == self.limits.orders {
                return Err(Reject::OrdersFull);
            }
            let for_auction = self.orders.iter().filter(|order| order.only.is_some() || order.unpriced).count();
            if (only.is_some() || unpriced) && for_auction as u64 == self.limits.specials {
                return Err(Reject::SpecialsFull);
            }
            let others = self.orders.iter().any(|o| o.unpriced && (o.instrument, o.side) == (instrument, side));
            match unpriced {
                true if !others && self.levels() as u64 == self.limits.levels => return Err(Reject::LevelsFull),
                true => {}
                false => self.check_level(instrument, side, Price(price))?,
            }
        }
        self.has_room_for(order.account)?;
        if let Some(reason) = self.afford(&order, price, quantity, None)? {
            return decline(command.client_order, reason, out);
        }
        self.know(context.account())?;
        self.last_order += 1;
        self.copy(&order, Execution::Entered, 0, out);
        let before = self.top(instrument);
        let dropped = self.trade(&mut order, out);
        let left = order.remaining;
        let status = match order.remaining {
            _ if dropped.is_some() => OrderStatus::Cancelled,
            0 => OrderStatus::Filled,
            _ if rests => OrderStatus::Open,
            _ => OrderStatus::Cancelled,
        };
        match status {
            OrderStatus::Open => self.rest(order, out),
            OrderStatus::Filled => self.ended.push((order.account, order.client_order, DeclineReason::Filled)),
            OrderStatus::Cancelled => {
                self.ended.push((order.account, order.client_order, DeclineReason::Cancelled));
                self.copy_end(&order, Execution::Cancelled, dropped.unwrap_or(left), out);
            }
        }
        self.say_top(instrument, &before, out);
        out.reply(Reply::OrderAccepted(&OrderAccepted {
            order: OrderId(order.order),
            client_order: command.client_order,
            price: Price(order.price),
            filled: Quantity(order.filled),
            remaining: Quantity(if rests { order.remaining } else { 0 }),
            status: status.into(),
            reserved: Reserved::default(),
        }));
        self.interrupt(&order, reach, left, out);
        Ok(())
    }

    /// The worst price at which an order trades, and at which it rests.
    pub(super) fn price(
        &self,
        instrument: u32,
        side: Side,
        order_type: OrderType,
        asked: i64,
    ) -> Result<i64, DeclineReason> {
        let terms = &self.instruments[&instrument];
        let (lowest, highest) = (i128::from(terms.price_min.0), i128::from(terms.price_max.0));
        let best = self.prices(instrument, side.opposite()).first().map(|price| i128::from(*price));
        // Where a buyer gives way upwards, a seller does downwards.
        let up = if side == Side::Buy { 1 } else { -1 };
        let price = match (order_type, best) {
            (OrderType::Limit, _) => i128::from(asked),
            (OrderType::Market | OrderType::MarketToLimit, None) => return Err(DeclineReason::NoLiquidity),
            (OrderType::Market, Some(best)) => {
                let worst = (best + up * i128::from(terms.protection.0)).clamp(lowest, highest);
                let market = &self.markets[&instrument];
                let band = i128::from(market.reference) + up * i128::from(market.static_band);
                let bounds = market.static_band != 0 && (lowest..=highest).contains(&band);
                let bounds = bounds && band % i128::from(terms.tick.0) == 0;
                let worst = match side {
                    Side::Buy if bounds => worst.min(band),
                    Side::Sell if bounds => worst.max(band),
                    _ => worst,
                };
                let worst = self.on_tick(instrument, worst, side == Side::Sell);
                if side == Side::Buy { worst.max(best) } else { worst.min(best) }
            }
            (OrderType::MarketToLimit, Some(best)) => best,
            (OrderType::PostOnly | OrderType::PostOnlySlide, best) => {
                let trades = best.is_some_and(|best| (i128::from(asked) - best) * up >= 0);
                let nearest = |best| self.on_tick(instrument, best - up * i128::from(terms.tick.0), side == Side::Sell);
                let slid = best.map(nearest);
                match slid.filter(|slid| (lowest..=highest).contains(slid)) {
                    _ if !trades => i128::from(asked),
                    Some(slid) if order_type == OrderType::PostOnlySlide => slid,
                    _ => return Err(DeclineReason::WouldTrade),
                }
            }
        };
        Ok(price as i64)
    }

    /// The first end of a day of the instrument after `now`.
    pub(super) fn end_of_day(&self, instrument: u32, now: Timestamp) -> Timestamp {
        const DAY: u64 = 86_400_000_000_000;
        let day_end = self.instruments[&instrument].day_end;
        (now.0 / DAY..).map(|day| Timestamp(day * DAY + day_end)).find(|end| *end > now).expect("a day ends")
    }

    pub(super) fn rest(&mut self, mut order: Order, out: Says<'_, '_>) {
        self.last_place += 1;
        order.place = self.last_place;
        self.orders.push(order);
        self.note_top(&order);
        self.say_order(&order, order.remaining, Priority::Lost, out);
        self.say_level(&order, out);
    }

    /// Makers for an order at a price or better, in the order in which it would meet them.
    pub(super) fn makers(&self, instrument: u32, side: Side, limit: i64) -> Vec<Order> {
        let other = side.opposite();
        let prices = self.prices(instrument, other).into_iter();
        let crossing = prices.filter(|price| if side == Side::Buy { *price <= limit } else { *price >= limit });
        let at_each = crossing.map(|price| {
            let mut makers: Vec<Order> = self.at(instrument, other, price).copied().collect();
            makers.sort_by_key(|order| order.place);
            makers
        });
        at_each.flatten().collect()
    }

    /// Trades with what the order meets; says how much of it was cancelled so that it would not trade
    /// with its own, if it was.
    pub(super) fn trade(&mut self, taker: &mut Order, out: Says<'_, '_>) -> Option<u64> {
        let (mut dropped, mut last) = (None, None::<Order>);
        let post_only = matches!(taker.order_type, OrderType::PostOnly | OrderType::PostOnlySlide);
        if post_only || self.markets[&taker.instrument].collects() {
            return None;
        }
        let reach = self.reach(taker);
        while taker.remaining > 0 {
            let maker = self.next_maker(&self.orders, taker, reach).map(|index| self.orders[index]);
            // What is displayed at its price is said when the next is come to, or at the end.
            let ends = |last: &mut Order| maker.is_none_or(|maker| maker.hides || maker.price != last.price);
            if let Some(last) = last.take_if(ends) {
                self.say_level(&last, out);
                self.trigger(taker.instrument);
            }
            let Some(maker) = maker else { break };
            let comes_to = last.is_none() && !maker.hides;
            last = Some(maker).filter(|maker| !maker.hides);
            if comes_to && self.shares(taker.instrument) {
                dropped = self.share(maker.price, taker, out);
                continue;
            }
            dropped = self.meet(maker.order, maker.remaining.min(taker.remaining), taker, out);
            if maker.hides {
                self.trigger(taker.instrument);
            }
        }
        if let Some(last) = last {
            self.say_level(&last, out);
            self.trigger(taker.instrument);
        }
        dropped
    }

    pub(super) fn trade_with(&mut self, index: usize, quantity: u64, taker: &mut Order, out: Says<'_, '_>) {
        self.last_trade += 1;
        let (instrument, price) = (taker.instrument, self.orders[index].price);
        self.last_prices.insert(instrument, price);
        let maker = &mut self.orders[index];
        self.trades.push(Traded { instrument, at: self.now, price, quantity });
        (maker.filled, taker.filled) = (maker.filled + quantity, taker.filled + quantity);
        taker.remaining -= quantity;
        let maker = Order { remaining: maker.remaining - quantity, ..*maker };
        take_from(&mut self.orders, index, quantity, &mut self.last_place);
        let (price, quantity) = (Price(maker.price), Quantity(quantity));
        let trade = Trade {
            trade: TradeId(self.last_trade),
            maker_order: OrderId(maker.order),
            taker_order: OrderId(taker.order),
            price,
            quantity,
            taker_side: taker.side.into(),
            reserved: Reserved::default(),
        };
        out.publish(topics::TRADES, maker.instrument, Event::Trade(&trade));
        for (own, counter, liquidity) in [(&maker, &*taker, Liquidity::Maker), (&*taker, &maker, Liquidity::Taker)] {
            let fill = Fill {
                order: OrderId(own.order),
                client_order: ClientOrderId(own.client_order),
                counter_order: OrderId(counter.order),
                trade: trade.trade,
                price,
                quantity,
                remaining: Quantity(own.open()),
                instrument: InstrumentId(own.instrument),
                side: own.side.into(),
                liquidity: liquidity.into(),
                reserved: Reserved::default(),
            };
            out.notify(Account(own.account), Event::Fill(&fill));
        }
        for own in [&maker, &*taker] {
            self.copy_trade(own, Execution::Traded, quantity.0, (self.last_trade, price.0), out);
        }
        self.settle(price.0, quantity.0, [(&maker, false), (&*taker, true)], out);
        self.say_left(&maker, out);
        if maker.open() == 0 {
            self.ended.push((maker.account, maker.client_order, DeclineReason::Filled));
        }
    }

    pub(super) fn replace(&mut self, context: Context, command: &Replace, out: Says<'_, '_>) -> Result<(), Reject> {
        let Some(index) = self.mine(context.account(), command.client_order) else {
            return self.decline_gone(context.account(), command.client_order, out);
        };
        let mut order = self.orders[index];
        if order.stop.is_some() {
            return decline(command.client_order, DeclineReason::Waiting, out);
        }
        if order.pegged.is_some() {
            return decline(command.client_order, DeclineReason::OtherKind, out);
        }
        if order.hides || order.display > 0 {
            return decline(command.client_order, DeclineReason::HasReserve, out);
        }
        if order.unpriced {
            return decline(command.client_order, DeclineReason::Unpriced, out);
        }
        self.check_quantity(order.instrument, command.quantity)?;
        self.check_price(order.instrument, command.price)?;
        self.check_tick(order.instrument, command.price)?;
        if command.quantity.0 <= order.filled {
            return decline(command.client_order, DeclineReason::BelowFilled, out);
        }
        let order_type = match order.order_type {
            OrderType::Market | OrderType::MarketToLimit => OrderType::Limit,
            order_type => order_type,
        };
        if !self.markets[&order.instrument].collects() && self.markets[&order.instrument].phase != Phase::Continuous {
            return decline(command.client_order, DeclineReason::PhaseForbids, out);
        }
        let price = match self.price(order.instrument, order.side, order_type, command.price.0) {
            Ok(price) if self.markets[&order.instrument].is_outside(price) => {
                return decline(command.client_order, DeclineReason::OutsideBand, out);
            }
            Ok(price) => price,
            Err(reason) => return decline(command.client_order, reason, out),
        };
        if let Some(reason) = self.breaks(order.account, price, command.quantity.0, false) {
            return decline(command.client_order, reason, out);
        }
        let before = self.top(order.instrument);
        let remaining = command.quantity.0 - order.filled;
        if price != order.price {
            self.check_level(order.instrument, order.side, Price(price))?;
        }
        if let Some(reason) = self.afford(&order, price, remaining, Some(order.order))? {
            return decline(command.client_order, reason, out);
        }
        let (mut priority, mut dropped) = (Priority::Lost, None);
        let mut beyond = None;
        if price == order.price {
            if remaining <= order.remaining {
                priority = Priority::Kept;
            } else {
                self.last_place += 1;
                order.place = self.last_place;
            }
            order.remaining = remaining;
            self.orders[index] = order;
            self.copy(&order, Execution::Replaced, 0, out);
            self.say_order(&order, remaining, priority, out);
            self.say_level(&order, out);
        } else {
            self.orders.remove(index);
            self.say_order(&order, 0, Priority::Kept, out);
            self.say_level(&order, out);
            (order.price, order.remaining) = (price, remaining);
            self.copy(&order, Execution::Replaced, 0, out);
            let reach = self.reach(&order);
            dropped = self.trade(&mut order, out);
            beyond = Some((reach, order.remaining));
            let reason = if dropped.is_some() { DeclineReason::Cancelled } else { DeclineReason::Filled };
            match order.remaining {
                0 => self.ended.push((order.account, order.client_order, reason)),
                _ => self.rest(order, out),
            }
            if let Some(dropped) = dropped {
                self.copy_end(&order, Execution::Cancelled, dropped, out);
            }
        }
        self.say_top(order.instrument, &before, out);
        let status = match order.remaining {
            _ if dropped.is_some() => OrderStatus::Cancelled,
            0 => OrderStatus::Filled,
            _ => OrderStatus::Open,
        };
        say_replaced(&order, Price(order.price), status, priority, out);
        if let Some((reach, left)) = beyond {
            self.interrupt(&order, reach, left, out);
        }
        Ok(())
    }
}
