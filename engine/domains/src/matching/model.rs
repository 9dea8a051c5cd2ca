//! The slow, obvious twin of [`Matching`]: it keeps every order in one list and looks through all of it.
//!
//! It is written from the rules in `README.md`, not from the fast books, and shares nothing with them but messages.

use super::messages::{
    CANCEL_MANY_MAX, ClientOrderId, CloseReason, Command, DeclineReason, Declined, DefineInstrument, Event, Fill,
    InstrumentDefined, InstrumentId, LevelChanged, Liquidity, MatchingLimits, NewOrder, OrderAccepted, OrderCancelled,
    OrderClosed, OrderId, OrderReduced, OrderReplaced, OrderStatus, OrdersCancelled, Price, Priority, QUANTITY_MAX,
    Quantity, Reject, Replace, Reply, Side, TimeInForce, TopOfBook, Trade, TradeId,
};
use super::{Matching, topics};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use ringfence_kernel::laws;
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::{Account, Context, Domain, Out, SessionChange, Timestamp};

/// One order that rests.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    /// The engine's number.
    pub order: u64,
    /// The client's number.
    pub client_order: u64,
    /// Whose it is.
    pub account: u32,
    /// What it trades.
    pub instrument: u32,
    /// On which side.
    pub side: Side,
    /// At which price.
    pub price: i64,
    /// What is open.
    pub remaining: u64,
    /// What has traded.
    pub filled: u64,
    /// When it ends, if it does.
    pub expires: Option<Timestamp>,
    /// When it came to its place in the queue: less is earlier.
    pub place: u64,
}

/// The slow twin.
#[derive(Clone, Debug)]
pub struct Model {
    limits: MatchingLimits,
    instruments: BTreeMap<u32, DefineInstrument>,
    /// Every order that rests, in no order.
    pub orders: Vec<Order>,
    accounts: BTreeSet<u32>,
    last_order: u64,
    last_trade: u64,
    last_place: u64,
}

type Says<'o, 'b> = &'o mut Out<'b, Matching>;

impl Model {
    fn mine(&self, account: Account, client_order: ClientOrderId) -> Option<usize> {
        self.orders.iter().position(|order| order.account == account.0 && order.client_order == client_order.0)
    }

    fn at(&self, instrument: u32, side: Side, price: i64) -> impl Iterator<Item = &Order> {
        self.orders.iter().filter(move |o| o.instrument == instrument && o.side == side && o.price == price)
    }

    /// What stands at a price.
    #[must_use]
    pub fn level(&self, instrument: u32, side: Side, price: i64) -> LevelChanged {
        LevelChanged {
            price: Price(price),
            quantity: Quantity(self.at(instrument, side, price).map(|order| order.remaining).sum()),
            orders: self.at(instrument, side, price).count() as u32,
            side: side.into(),
            reserved: Reserved::default(),
        }
    }

    /// The prices of one side of a book, best first.
    #[must_use]
    pub fn prices(&self, instrument: u32, side: Side) -> Vec<i64> {
        let of_side = self.orders.iter().filter(|order| order.instrument == instrument && order.side == side);
        let prices: BTreeSet<i64> = of_side.map(|order| order.price).collect();
        match side {
            Side::Buy => prices.into_iter().rev().collect(),
            Side::Sell => prices.into_iter().collect(),
        }
    }

    /// The best prices.
    #[must_use]
    pub fn top(&self, instrument: u32) -> TopOfBook {
        let best = |side| match self.prices(instrument, side).first() {
            Some(price) => (Price(*price), self.level(instrument, side, *price).quantity),
            None => (Price(0), Quantity(0)),
        };
        let ((bid_price, bid_quantity), (ask_price, ask_quantity)) = (best(Side::Buy), best(Side::Sell));
        TopOfBook { bid_price, bid_quantity, ask_price, ask_quantity }
    }

    fn say_level(&self, order: &Order, out: Says<'_, '_>) {
        let level = self.level(order.instrument, order.side, order.price);
        out.publish(topics::LEVELS, order.instrument, Event::LevelChanged(&level));
    }

    fn say_top(&self, instrument: u32, before: &TopOfBook, out: Says<'_, '_>) {
        let top = self.top(instrument);
        if top != *before {
            out.publish(topics::TOP, instrument, Event::TopOfBook(&top));
        }
    }

    fn levels(&self) -> usize {
        self.orders.iter().map(|order| (order.instrument, order.side, order.price)).collect::<BTreeSet<_>>().len()
    }

    fn check_price(&self, instrument: u32, price: Price) -> Result<(), Reject> {
        let terms = &self.instruments[&instrument];
        // Multiples of the tick are counted from zero, in numbers wide enough for every difference.
        let sound =
            price >= terms.price_min && price <= terms.price_max && i128::from(price.0) % i128::from(terms.tick.0) == 0;
        if sound { Ok(()) } else { Err(Reject::BadPrice) }
    }

    fn check_quantity(&self, instrument: u32, quantity: Quantity) -> Result<(), Reject> {
        let sound =
            (1..=QUANTITY_MAX).contains(&quantity.0) && quantity.0.is_multiple_of(self.instruments[&instrument].lot.0);
        if sound { Ok(()) } else { Err(Reject::BadQuantity) }
    }

    fn check_level(&self, instrument: u32, side: Side, price: Price) -> Result<(), Reject> {
        let exists = self.at(instrument, side, price.0).next().is_some();
        if exists || (self.levels() as u64) < self.limits.levels { Ok(()) } else { Err(Reject::LevelsFull) }
    }

    fn define(&mut self, define: &DefineInstrument, out: Says<'_, '_>) -> Result<(), Reject> {
        let sound = define.tick.0 > 0
            && (1..=QUANTITY_MAX).contains(&define.lot.0)
            && define.price_min <= define.price_max
            && define.price_min.0 % define.tick.0 == 0
            && define.price_max.0 % define.tick.0 == 0
            && define.price_decimals <= 18;
        if !sound {
            return Err(Reject::BadTerms);
        }
        let id = define.instrument;
        if id.0 == 0 || u64::from(id.0) > self.limits.instruments {
            return Err(Reject::InstrumentsFull);
        }
        if *self.instruments.entry(id.0).or_insert(*define) != *define {
            return Err(Reject::InstrumentExists);
        }
        out.reply(Reply::InstrumentDefined(&InstrumentDefined { instrument: id, reserved: Reserved::default() }));
        Ok(())
    }

    fn new_order(&mut self, context: Context, command: &NewOrder, out: Says<'_, '_>) -> Result<(), Reject> {
        let (InstrumentId(instrument), side) = (command.instrument, command.side.get());
        if !self.instruments.contains_key(&instrument) {
            return Err(Reject::UnknownInstrument);
        }
        self.check_price(instrument, command.price)?;
        self.check_quantity(instrument, command.quantity)?;
        let time_in_force = command.time_in_force.get();
        let dated = time_in_force == TimeInForce::GoodTillDate;
        if if dated { command.expires <= context.now } else { command.expires.0 != 0 } {
            return Err(Reject::BadExpiry);
        }
        if self.mine(context.account(), command.client_order).is_some() {
            return Err(Reject::DuplicateClientOrder);
        }
        let rests = time_in_force != TimeInForce::ImmediateOrCancel;
        if rests {
            if self.orders.len() as u64 == self.limits.orders {
                return Err(Reject::OrdersFull);
            }
            let known = self.accounts.contains(&context.account().0);
            if !known && self.accounts.len() as u64 == self.limits.accounts {
                return Err(Reject::AccountsFull);
            }
            self.check_level(instrument, side, command.price)?;
        }
        self.last_order += 1;
        let before = self.top(instrument);
        let mut order = Order {
            order: self.last_order,
            client_order: command.client_order.0,
            account: context.account().0,
            instrument,
            side,
            price: command.price.0,
            remaining: command.quantity.0,
            filled: 0,
            expires: dated.then_some(command.expires),
            place: 0,
        };
        self.trade(&mut order, out);
        let status = match order.remaining {
            0 => OrderStatus::Filled,
            _ if rests => OrderStatus::Open,
            _ => OrderStatus::Cancelled,
        };
        if status == OrderStatus::Open {
            // An account is known from its first order that rests.
            self.accounts.insert(order.account);
            self.rest(order, out);
        }
        self.say_top(instrument, &before, out);
        out.reply(Reply::OrderAccepted(&OrderAccepted {
            order: OrderId(order.order),
            client_order: command.client_order,
            filled: Quantity(order.filled),
            remaining: Quantity(if rests { order.remaining } else { 0 }),
            status: status.into(),
            reserved: Reserved::default(),
        }));
        Ok(())
    }

    fn rest(&mut self, mut order: Order, out: Says<'_, '_>) {
        self.last_place += 1;
        order.place = self.last_place;
        self.orders.push(order);
        self.say_level(&order, out);
    }

    fn trade(&mut self, taker: &mut Order, out: Says<'_, '_>) {
        let other = taker.side.opposite();
        for price in self.prices(taker.instrument, other) {
            let crosses = if taker.side == Side::Buy { price <= taker.price } else { price >= taker.price };
            if taker.remaining == 0 || !crosses {
                break;
            }
            let mut maker = None;
            while taker.remaining > 0 {
                let Some(place) = self.at(taker.instrument, other, price).map(|order| order.place).min() else { break };
                let index = self.orders.iter().position(|order| order.place == place).expect("it was just seen");
                maker = Some(self.trade_with(index, taker, out));
            }
            self.say_level(&maker.expect("a level has orders"), out);
        }
    }

    fn trade_with(&mut self, index: usize, taker: &mut Order, out: Says<'_, '_>) -> Order {
        self.last_trade += 1;
        let maker = &mut self.orders[index];
        let quantity = maker.remaining.min(taker.remaining);
        for order in [&mut *maker, taker] {
            order.remaining -= quantity;
            order.filled += quantity;
        }
        let (maker, price, quantity) = (*maker, Price(maker.price), Quantity(quantity));
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
                remaining: Quantity(own.remaining),
                instrument: InstrumentId(own.instrument),
                side: own.side.into(),
                liquidity: liquidity.into(),
                reserved: Reserved::default(),
            };
            out.notify(Account(own.account), Event::Fill(&fill));
        }
        if maker.remaining == 0 {
            self.orders.remove(index);
        }
        maker
    }

    fn replace(&mut self, context: Context, command: &Replace, out: Says<'_, '_>) -> Result<(), Reject> {
        let Some(index) = self.mine(context.account(), command.client_order) else {
            return decline(command.client_order, DeclineReason::UnknownOrder, out);
        };
        let mut order = self.orders[index];
        self.check_price(order.instrument, command.price)?;
        self.check_quantity(order.instrument, command.quantity)?;
        if command.quantity.0 <= order.filled {
            return decline(command.client_order, DeclineReason::BelowFilled, out);
        }
        let before = self.top(order.instrument);
        let remaining = command.quantity.0 - order.filled;
        let mut priority = Priority::Lost;
        if command.price.0 == order.price {
            if remaining <= order.remaining {
                priority = Priority::Kept;
            } else {
                self.last_place += 1;
                order.place = self.last_place;
            }
            order.remaining = remaining;
            self.orders[index] = order;
            self.say_level(&order, out);
        } else {
            self.check_level(order.instrument, order.side, command.price)?;
            self.orders.remove(index);
            self.say_level(&order, out);
            (order.price, order.remaining) = (command.price.0, remaining);
            self.trade(&mut order, out);
            if order.remaining > 0 {
                self.rest(order, out);
            }
        }
        self.say_top(order.instrument, &before, out);
        let status = if order.remaining == 0 { OrderStatus::Filled } else { OrderStatus::Open };
        out.reply(Reply::OrderReplaced(&OrderReplaced {
            order: OrderId(order.order),
            client_order: command.client_order,
            filled: Quantity(order.filled),
            remaining: Quantity(order.remaining),
            status: status.into(),
            priority: priority.into(),
            reserved: Reserved::default(),
        }));
        Ok(())
    }

    /// Takes some of an order out, or all of it; gives the order as it was.
    fn take_out(&mut self, index: usize, quantity: u64, out: Says<'_, '_>) -> Order {
        let order = self.orders[index];
        let before = self.top(order.instrument);
        if quantity >= order.remaining {
            self.orders.remove(index);
        } else {
            self.orders[index].remaining -= quantity;
        }
        self.say_level(&order, out);
        self.say_top(order.instrument, &before, out);
        order
    }

    fn close(&mut self, index: usize, reason: CloseReason, out: Says<'_, '_>) -> Order {
        let order = self.orders[index];
        let closed = OrderClosed {
            order: OrderId(order.order),
            client_order: ClientOrderId(order.client_order),
            filled: Quantity(order.filled),
            cancelled: Quantity(order.remaining),
            reason: reason.into(),
            reserved: Reserved::default(),
        };
        out.notify(Account(order.account), Event::OrderClosed(&closed));
        self.take_out(index, u64::MAX, out)
    }
}

fn decline(client_order: ClientOrderId, reason: DeclineReason, out: Says<'_, '_>) -> Result<(), Reject> {
    let declined = Declined { client_order, reason: reason.into(), reserved: Reserved::default() };
    out.reply(Reply::Declined(&declined));
    Ok(())
}

impl laws::Model for Model {
    type Domain = Matching;

    fn new(limits: &MatchingLimits) -> Self {
        Self {
            limits: *limits,
            instruments: BTreeMap::new(),
            orders: Vec::new(),
            accounts: BTreeSet::new(),
            last_order: 0,
            last_trade: 0,
            last_place: 0,
        }
    }

    fn apply(&mut self, context: Context, command: Command<'_>, out: Says<'_, '_>) -> Result<(), Reject> {
        let account = context.account();
        match command {
            Command::DefineInstrument(define) => self.define(define, out),
            Command::NewOrder(command) => self.new_order(context, command, out),
            Command::Replace(command) => self.replace(context, command, out),
            Command::Cancel(command) => {
                let Some(index) = self.mine(account, command.client_order) else {
                    return decline(command.client_order, DeclineReason::UnknownOrder, out);
                };
                let order = self.take_out(index, u64::MAX, out);
                out.reply(Reply::OrderCancelled(&OrderCancelled {
                    order: OrderId(order.order),
                    client_order: command.client_order,
                    filled: Quantity(order.filled),
                    cancelled: Quantity(order.remaining),
                }));
                Ok(())
            }
            Command::Reduce(command) => {
                let Some(index) = self.mine(account, command.client_order) else {
                    return decline(command.client_order, DeclineReason::UnknownOrder, out);
                };
                self.check_quantity(self.orders[index].instrument, command.quantity)?;
                let order = self.take_out(index, command.quantity.0, out);
                out.reply(Reply::OrderReduced(&OrderReduced {
                    order: OrderId(order.order),
                    client_order: command.client_order,
                    filled: Quantity(order.filled),
                    remaining: Quantity(order.remaining.saturating_sub(command.quantity.0)),
                }));
                Ok(())
            }
            Command::CancelMany(_, list) => {
                if list.is_empty() || list.len() > CANCEL_MANY_MAX {
                    return Err(Reject::BadList);
                }
                let (mut cancelled, mut orders, mut unknown) = (Quantity(0), 0, 0);
                for entry in list {
                    match self.mine(account, entry.client_order) {
                        None => unknown += 1,
                        Some(index) => {
                            orders += 1;
                            cancelled.0 += self.close(index, CloseReason::Cancelled, out).remaining;
                        }
                    }
                }
                out.reply(Reply::OrdersCancelled(&OrdersCancelled { cancelled, orders, unknown }));
                Ok(())
            }
        }
    }

    fn on_time(&mut self, context: Context, out: Says<'_, '_>) {
        let due = |order: &Order| order.expires.filter(|expires| *expires <= context.now).map(|at| (at, order.order));
        while let Some((_, number)) = self.orders.iter().filter_map(due).min() {
            let index = self.orders.iter().position(|order| order.order == number).expect("it was just seen");
            self.close(index, CloseReason::Expired, out);
        }
    }

    fn on_session(&mut self, _: Context, _: SessionChange, _: Says<'_, '_>) {}
}

impl Matching {
    /// Looks at everything that must be true between commands.
    ///
    /// # Panics
    /// When something is not.
    pub fn check_invariants(&self) {
        self.check_levels();
        let mut sums = BTreeMap::<u32, (u64, u32)>::new();
        let mut bytes = laws::Bytes::default();
        self.save(&mut bytes);
        Self::load(&self.limits, &mut bytes).expect("every list is whole, every sum right, no book crossed");
        for order in self.orders.live() {
            let sum = sums.entry(order.level).or_default();
            (sum.0, sum.1) = (sum.0 + order.remaining, sum.1 + 1);
            assert!(order.remaining > 0, "an order that rests is open");
        }
        for (level, (quantity, orders)) in sums {
            let level = &self.levels[level];
            assert_eq!((level.quantity, level.orders), (quantity, orders), "a level is the sum of its orders");
        }
    }

    /// Every level is found, in order, and no book is crossed.
    fn check_levels(&self) {
        let mut seen = 0;
        for instrument in self.instruments.iter() {
            let mut bests = [None; 2];
            for (best, side) in bests.iter_mut().zip([Side::Buy, Side::Sell]) {
                let half = instrument.half(side);
                let mut at = Some(half.best).filter(|at| *at != super::levels::NONE);
                *best = at.map(|at| self.levels[at].ticks);
                while let Some(index) = at {
                    let level = &self.levels[index];
                    seen += 1;
                    assert_eq!(self.levels.find(half, level.ticks), Some(index), "a level is found by its price");
                    assert!(level.orders > 0, "an empty level is gone");
                    at = self.levels.worse(half, index);
                    if let Some(next) = at {
                        assert!(super::levels::better(side, level.ticks, self.levels[next].ticks), "best first");
                    }
                }
            }
            if let [Some(bid), Some(ask)] = bests {
                assert!(bid < ask, "a book is crossed");
            }
        }
        let live = self.levels.entries().iter().filter(|level| level.orders > 0).count();
        assert_eq!(seen, live, "every level hangs in a ladder");
    }
}
