//! Specials: orders that wait until their instrument trades at a price, and then come in one after another.

use super::copies::Happened;
use super::entry::decline;
use super::instruments::Terms;
use super::levels::{Level, NONE, WAITS, better};
use super::messages::{
    CloseReason, DeclineReason, Event, Execution, NewStop, OrderId, OrderType, PegCode, Phase, Price, Quantity, Reject,
    Reply, Side, StopAccepted, StopTriggered, TimeInForce,
};
use super::orders::Order;
use super::reserve::Wanted;
use super::settlement::Open;
use super::specials::{STOP, Special};
use super::trading::{Origin, Taker, Then};
use super::{Matching, Pending};
use bytemuck::Zeroable;
use ringfence_kernel::{Account, Context, Out, Progress, Timestamp};

/// A stop that waits no more and has not come in yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Triggered {
    index: u32,
    instrument: u32,
    side: Side,
    trigger: Price,
    stop: Special,
}

impl Terms {
    /// The trigger in ticks of a stop whose prices, and what it becomes, make sense together.
    fn stop_prices(&self, order_type: OrderType, prices: StopPrices) -> Result<u64, Reject> {
        let StopPrices { trigger, price, trail } = prices;
        let has_price = match order_type {
            OrderType::Limit if trail == Price(0) => true,
            OrderType::Market | OrderType::MarketToLimit => false,
            _ => return Err(Reject::BadOrderType),
        };
        let trigger = self.ticks(trigger)?;
        match price {
            price if has_price => _ = self.ticks(price)?,
            Price(0) => {}
            _ => return Err(Reject::BadPrice),
        }
        if self.is_distance(trail) { Ok(trigger) } else { Err(Reject::BadPrice) }
    }
}

/// When a stop is triggered, and what it then asks for.
#[derive(Clone, Copy, Debug)]
pub(super) struct StopPrices {
    pub(super) trigger: Price,
    pub(super) price: Price,
    pub(super) trail: Price,
}

impl Matching {
    #[cold]
    pub(super) fn new_stop(
        &mut self,
        context: Context,
        command: &NewStop,
        out: &mut Out<'_, Self>,
    ) -> Result<Progress, Reject> {
        let account = context.account();
        let instrument = self.instruments.place(command.instrument).ok_or(Reject::UnknownInstrument)?;
        let terms = &self.instruments[instrument].terms;
        terms.check_quantity(command.quantity)?;
        let expires = terms.until(context.now, command.time_in_force.get(), command.expires)?;
        if self.orders.find(account, command.client_order).is_some() {
            return Err(Reject::DuplicateClientOrder);
        }
        if matches!(command.time_in_force.get(), TimeInForce::AtOpen | TimeInForce::AtClose) {
            return Err(Reject::BadOrderType);
        }
        let NewStop { trigger, price, trail, .. } = *command;
        let prices = StopPrices { trigger, price, trail };
        let ticks = self.check_stop(instrument, command.order_type.get(), prices)?;
        if self.orders.accounts.is_killed(account) {
            return Ok(decline(command.client_order, DeclineReason::KillSwitch, out));
        }
        if !self.instruments[instrument].phase.get().is_open() {
            return Ok(decline(command.client_order, DeclineReason::PhaseForbids, out));
        }
        if self.is_triggered(instrument, command.side.get(), ticks) {
            return Ok(decline(command.client_order, DeclineReason::WouldTrigger, out));
        }
        let price = if command.order_type.get() == OrderType::Limit { command.price } else { command.trigger };
        if let Some(reason) = self.breaks_limit(account, price, command.quantity, true) {
            return Ok(decline(command.client_order, reason, out));
        }
        let level = waiting_at(instrument, command.side.get(), ticks, command.trigger);
        self.room_for_special(account, &level)?;
        self.last_order += 1;
        self.wait(account, command, expires, level, out);
        let (order, client_order, trigger) = (OrderId(self.last_order), command.client_order, command.trigger);
        out.reply(Reply::StopAccepted(&StopAccepted { order, client_order, trigger, quantity: command.quantity }));
        Ok(Progress::Done)
    }

    /// The trigger in ticks of a stop that becomes an order of that type, when its prices may be an order's.
    pub(super) fn check_stop(&self, instrument: u32, order_type: OrderType, prices: StopPrices) -> Result<u64, Reject> {
        let book = &self.instruments[instrument];
        let ticks = book.terms.stop_prices(order_type, prices)?;
        book.check_tick(prices.trigger)?;
        if order_type == OrderType::Limit {
            book.check_tick(prices.price)?;
        }
        Ok(ticks)
    }

    fn wait(&mut self, account: Account, command: &NewStop, expires: Timestamp, level: Level, out: &mut Out<'_, Self>) {
        let (holder, at) = (self.orders.accounts.place(account), self.level(level));
        let order = Order {
            order: OrderId(self.last_order),
            client_order: command.client_order,
            remaining: command.quantity.0,
            ..Order::new(command.order_type, command.on_disconnect)
        };
        let index = self.orders.add(holder, order, expires, &mut self.levels[at], at);
        let stop = Special {
            order: order.order,
            price: command.price,
            trail: command.trail,
            instrument: level.instrument,
            time_in_force: command.time_in_force,
            kind: STOP,
            peg: PegCode::zeroed(),
            reserved: 0,
            offset: Price(0),
            hidden: 0,
            display: 0,
            minimum: 0,
        };
        self.orders[index].special = self.orders.specials.insert(stop, index);
        self.copy_order(index, Happened::to(Execution::Entered), command.quantity.0, out);
    }

    /// Whether the last trade's price triggers a stop at `ticks`.
    pub(super) fn is_triggered(&self, instrument: u32, side: Side, ticks: u64) -> bool {
        self.last_ticks(instrument).is_some_and(|last| !better(side, ticks, last))
    }

    /// Whether a stop waits that the last trade's price triggers, where orders trade.
    pub(super) fn has_triggered(&self, instrument: u32) -> bool {
        let continuous = self.instruments[instrument].phase.get() == Phase::Continuous;
        continuous
            && [Side::Buy, Side::Sell].into_iter().any(|side| {
                let nearest = self.instruments[instrument].stops(side).best;
                nearest != NONE && self.is_triggered(instrument, side, self.levels[nearest].ticks)
            })
    }

    pub(super) fn last_ticks(&self, instrument: u32) -> Option<u64> {
        let instrument = &self.instruments[instrument];
        instrument.last_price().map(|price| instrument.terms.ticks(price).expect("it was an order's"))
    }

    /// After trades at a price: the stops that it triggers wait no more, those to buy first, nearest first, oldest
    /// first. Then those that trail follow it.
    #[cold]
    pub(super) fn trigger_stops(&mut self, instrument: u32) {
        let Some(last) = self.last_ticks(instrument) else { return };
        for side in [Side::Buy, Side::Sell] {
            loop {
                let at = self.instruments[instrument].stops(side).best;
                if at == NONE || better(side, self.levels[at].ticks, last) {
                    break;
                }
                let (index, trigger) = (self.levels[at].head, self.levels[at].price);
                self.orders.leave(&mut self.levels[at], index);
                self.close_if_empty(at);
                let stop = self.orders.trigger(index);
                self.triggered.push(Triggered { index, instrument, side, trigger, stop });
                self.follows = true;
            }
        }
        self.trail_stops(instrument, last);
    }

    fn trail_stops(&mut self, instrument: u32, last: u64) {
        let mut next = self.orders.specials.trailing().first(instrument);
        while let Some(index) = next {
            next = self.orders.specials.trailing().next(index);
            let Order { level: at, special, .. } = self.orders[index];
            let Level { ticks, side, orders, .. } = self.levels[at];
            let (book, side) = (&self.instruments[instrument], side.get());
            let follows = book.terms.away(side, last, self.orders.specials[special].trail);
            let follows = follows.and_then(|follows| book.on_tick(side.opposite(), follows));
            let Some(follows) = follows.filter(|follows| better(side.opposite(), *follows, ticks)) else {
                continue;
            };
            let level = waiting_at(instrument, side, follows, book.terms.price(follows));
            // One that stood alone gives its level back first. The order that trades may need one to rest at.
            let known = self.levels.find(book.half_at(&level), level.rank(), level.ticks).is_some();
            if orders == 1 || known || self.levels.room() > 1 {
                self.orders.leave(&mut self.levels[at], index);
                self.close_if_empty(at);
                let to = self.level(level);
                self.orders.queue(&mut self.levels[to], index, to);
            }
        }
    }

    /// Lets what follows from a decision happen: pegged orders go where they belong, and the stops that were triggered
    /// come in, first those that were triggered first. What they trade may trigger more.
    #[cold]
    pub(super) fn follow(&mut self, out: &mut Out<'_, Self>) -> Progress {
        loop {
            if self.move_pegs(out) == Progress::More {
                return Progress::More;
            }
            let Some(triggered) = self.triggered.get(self.came_in).copied() else { break };
            // That it comes in, and what may be said at its end, both with a copy.
            if out.room() < 4 {
                self.pending = Pending::Following;
                return Progress::More;
            }
            self.came_in += 1;
            let Some(mut taker) = self.come_in(triggered, out) else { continue };
            if self.take(&mut taker, out) == Progress::More {
                return Progress::More;
            }
        }
        self.triggered.clear();
        (self.came_in, self.follows) = (0, false);
        Progress::Done
    }

    /// A stop that was triggered becomes what it is to become; none when it ends at once.
    fn come_in(&mut self, triggered: Triggered, out: &mut Out<'_, Self>) -> Option<Taker> {
        let Triggered { index, instrument, side, trigger, stop: Special { price, time_in_force, .. } } = triggered;
        let (order, account) = (self.orders[index], self.orders.account(index));
        let limit = self
            .limit_found(&self.instruments[instrument], side, order.order_type.get(), price)
            .expect("its prices were looked at when it was entered");
        let ticks = limit.unwrap_or_default();
        let found = if limit.is_ok() { self.instruments[instrument].terms.price(ticks) } else { Price(0) };
        let (number, client_order, quantity) = (order.order, order.client_order, Quantity(order.remaining));
        let triggered = StopTriggered { order: number, client_order, trigger, price: found, quantity };
        out.notify(account, Event::StopTriggered(&triggered));
        let rests = !matches!(time_in_force.get(), TimeInForce::ImmediateOrCancel | TimeInForce::FillOrKill);
        let taker = Taker {
            reach: self.reach(instrument, side, ticks),
            filled: 0,
            origin: Origin::Triggered,
            then: if rests { Then::Rest(Timestamp(0)) } else { Then::Cancel },
            ..self.again(index, instrument, side, found, ticks)
        };
        self.copy_taker(&taker, Happened::to(Execution::Triggered), out);
        let Err(reason) =
            limit.map_err(|_| CloseReason::NoLiquidity).and_then(|_| self.may_come_in(&taker, time_in_force.get()))
        else {
            return Some(taker);
        };
        self.turn_away(&taker, reason, out);
        None
    }

    fn may_come_in(&mut self, taker: &Taker, time_in_force: TimeInForce) -> Result<(), CloseReason> {
        let Taker { account, instrument, side, ticks, remaining, .. } = *taker;
        let (phase, order_type) = (self.instruments[instrument].phase.get(), taker.order_type.get());
        if !phase.takes(order_type, time_in_force) || phase != Phase::Continuous && order_type != OrderType::Limit {
            return Err(CloseReason::PhaseForbids);
        }
        if time_in_force == TimeInForce::FillOrKill && !self.finds(&Wanted { minimum: remaining, ..taker.wants() }) {
            return Err(CloseReason::BelowMinimum);
        }
        if let Then::Rest(_) = taker.then {
            self.room_for_level(instrument, side, ticks).map_err(|_| CloseReason::LevelsFull)?;
        }
        let order = Open { side, price: taker.price, quantity: remaining };
        match self.hold_new(account, instrument, order) {
            Ok(None) => Ok(()),
            _ => Err(CloseReason::NoFunds),
        }
    }

    pub(super) fn has_room_for(&self, level: &Level) -> bool {
        let half = self.instruments[level.instrument].half_at(level);
        self.levels.room() > 0 || self.levels.find(half, level.rank(), level.ticks).is_some()
    }
}

/// A level where stops wait.
pub(super) fn waiting_at(instrument: u32, side: Side, ticks: u64, trigger: Price) -> Level {
    Level { waits: WAITS, ..Level::empty(instrument, side.into(), ticks, trigger) }
}
