//! The twin: reports and statistics.

use super::{Model, Order, Says};
use crate::matching::messages::{
    AccountReport, BookSaid, ClientOrderId, Event, GetBook, GetOrder, GetStatistics, InstrumentId, KillSwitch,
    OnDisconnect, OpenOrder, OpenOrdersSaid, OpenStop, OrderId, OrderReport, OrderState, Price, Quantity, Reject,
    Reply, SelfTrade, Side, StatisticsReport,
};
use alloc::vec::Vec;
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::{Context, Timestamp};

/// A trade as statistics see it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Traded {
    pub(super) instrument: u32,
    pub(super) at: Timestamp,
    pub(super) price: i64,
    pub(super) quantity: u64,
}

impl Model {
    pub(super) fn get_order(&self, context: Context, command: &GetOrder, out: Says<'_, '_>) -> Result<(), Reject> {
        let Some(index) = self.mine(context.account(), command.client_order) else {
            return self.decline_gone(context.account(), command.client_order, out);
        };
        let order = &self.orders[index];
        let (price, state) = match order.stop {
            Some(stop) => (stop.trigger, OrderState::Waiting),
            None if order.parked => (order.price, OrderState::Parked),
            None => (order.price, OrderState::Resting),
        };
        out.reply(Reply::OrderReport(&OrderReport {
            order: OrderId(order.order),
            client_order: command.client_order,
            price: Price(price),
            filled: Quantity(order.filled),
            remaining: Quantity(order.open()),
            instrument: InstrumentId(order.instrument),
            side: order.side.into(),
            order_type: order.order_type.into(),
            state: state.into(),
            reserved: Reserved::default(),
        }));
        Ok(())
    }

    pub(super) fn get_open_orders(&self, context: Context, out: Says<'_, '_>) -> Result<(), Reject> {
        let mut mine: Vec<&Order> = self.orders.iter().filter(|order| order.account == context.client.0).collect();
        mine.sort_by_key(|order| order.order);
        for order in &mine {
            let (filled, expires) = (Quantity(order.filled), order.expires.unwrap_or_default());
            let open = Quantity(order.open());
            match order.stop {
                None => out.tell(
                    context.session,
                    Event::OpenOrder(&OpenOrder {
                        order: OrderId(order.order),
                        client_order: ClientOrderId(order.client_order),
                        price: Price(order.price),
                        filled,
                        remaining: open,
                        hidden: if order.is_displayed() { Quantity(order.hidden) } else { open },
                        expires,
                        instrument: InstrumentId(order.instrument),
                        side: order.side.into(),
                        order_type: order.order_type.into(),
                        reserved: Reserved::default(),
                    }),
                ),
                Some(stop) => out.tell(
                    context.session,
                    Event::OpenStop(&OpenStop {
                        order: OrderId(order.order),
                        client_order: ClientOrderId(order.client_order),
                        trigger: Price(stop.trigger),
                        price: Price(order.price),
                        trail: Price(stop.trail),
                        quantity: open,
                        expires,
                        instrument: InstrumentId(order.instrument),
                        side: order.side.into(),
                        order_type: order.order_type.into(),
                        time_in_force: stop.time_in_force.into(),
                        reserved: Reserved::default(),
                    }),
                ),
            }
        }
        let (orders, reserved) = (mine.len() as u32, Reserved::default());
        out.reply(Reply::OpenOrdersSaid(&OpenOrdersSaid { orders, reserved }));
        Ok(())
    }

    pub(super) fn get_account(&self, context: Context, out: Says<'_, '_>) -> Result<(), Reject> {
        let account = context.client.0;
        let (group, self_trade) = self.self_trade.get(&account).copied().unwrap_or((0, SelfTrade::Allow));
        let kill_switch = if self.killed.contains(&account) { KillSwitch::On } else { KillSwitch::Off };
        let fragile = self.fragile.contains(&account);
        out.reply(Reply::AccountReport(&AccountReport {
            orders: self.orders.iter().filter(|order| order.account == account).count() as u32,
            group,
            kill_switch: kill_switch.into(),
            on_disconnect: if fragile { OnDisconnect::Cancel } else { OnDisconnect::Keep }.into(),
            self_trade: self_trade.into(),
            reserved: Reserved::default(),
        }));
        Ok(())
    }

    pub(super) fn get_book(&self, context: Context, command: &GetBook, out: Says<'_, '_>) -> Result<(), Reject> {
        let InstrumentId(instrument) = command.instrument;
        if !self.instruments.contains_key(&instrument) {
            return Err(Reject::UnknownInstrument);
        }
        let mut levels = 0;
        for side in [Side::Buy, Side::Sell] {
            for price in self.prices(instrument, side).into_iter().take(command.depth.into()) {
                levels += 1;
                out.tell(context.session, Event::LevelChanged(&self.level(instrument, side, price)));
            }
        }
        out.reply(Reply::BookSaid(&BookSaid { instrument: command.instrument, levels }));
        Ok(())
    }

    pub(super) fn get_statistics(
        &self,
        context: Context,
        command: &GetStatistics,
        out: Says<'_, '_>,
    ) -> Result<(), Reject> {
        let InstrumentId(instrument) = command.instrument;
        if !self.instruments.contains_key(&instrument) {
            return Err(Reject::UnknownInstrument);
        }
        let ends = self.end_of_day(instrument, context.now);
        let today = |trade: &&Traded| trade.instrument == instrument && self.end_of_day(instrument, trade.at) == ends;
        let trades: Vec<&Traded> = self.trades.iter().filter(today).collect();
        let prices = || trades.iter().map(|trade| trade.price);
        let turnover: i128 = trades.iter().map(|trade| i128::from(trade.price) * i128::from(trade.quantity)).sum();
        let volume: u128 = trades.iter().map(|trade| u128::from(trade.quantity)).sum();
        out.reply(Reply::StatisticsReport(&StatisticsReport {
            open: Price(prices().next().unwrap_or(0)),
            high: Price(prices().max().unwrap_or(0)),
            low: Price(prices().min().unwrap_or(0)),
            last: Price(self.last_prices.get(&instrument).copied().unwrap_or(0)),
            volume: Quantity(volume.try_into().unwrap_or(u64::MAX)),
            trades: trades.len() as u64,
            turnover_high: (turnover >> 64) as i64,
            turnover_low: turnover as u64,
        }));
        Ok(())
    }
}
