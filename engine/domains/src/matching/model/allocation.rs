//! The twin: sharing by what is displayed, who bettered the market, and tables of ticks.

use super::{Model, Order, Says};
use crate::matching::messages::{
    Allocation, AllocationSet, Phase, Price, QUANTITY_MAX, Reject, Reply, SelfTrade, SetAllocation, SetTicks, Side,
    TickBand, TicksSet,
};
use alloc::vec::Vec;
use ringfence_kernel::messages::Reserved;

impl Model {
    pub(super) fn set_allocation(&mut self, command: &SetAllocation, out: Says<'_, '_>) -> Result<(), Reject> {
        let instrument = command.instrument.0;
        let lot = self.instruments.get(&instrument).ok_or(Reject::UnknownInstrument)?.lot.0;
        let (allocation, minimum) = (command.allocation.get(), command.minimum.0);
        let none = allocation == Allocation::PriceTime && minimum != 0;
        if none || minimum > QUANTITY_MAX || !minimum.is_multiple_of(lot) {
            return Err(Reject::BadAllocation);
        }
        self.allocations.insert(instrument, (allocation, minimum));
        self.tops.retain(|(of, _), _| *of != instrument);
        let (instrument, reserved) = (command.instrument, Reserved::default());
        out.reply(Reply::AllocationSet(&AllocationSet { instrument, reserved }));
        Ok(())
    }

    pub(super) fn allocation(&self, instrument: u32) -> (Allocation, u64) {
        self.allocations.get(&instrument).copied().unwrap_or((Allocation::PriceTime, 0))
    }

    /// Whether what comes in is shared among those who stand there.
    pub(super) fn shares(&self, instrument: u32) -> bool {
        self.allocation(instrument).0 != Allocation::PriceTime
    }

    /// `order` has come to stand: it has bettered the market when no other is as good.
    pub(super) fn note_top(&mut self, order: &Order) {
        let as_good = |other: &&Order| match order.side {
            Side::Buy => other.price >= order.price,
            Side::Sell => other.price <= order.price,
        };
        let alone = self.book(order.instrument, order.side).filter(as_good).count() == 1;
        if alone && order.is_displayed() && self.markets[&order.instrument].phase == Phase::Continuous {
            self.tops.insert((order.instrument, order.side), order.order);
        }
    }

    fn standing(&self, instrument: u32, side: Side, price: i64) -> Vec<Order> {
        let mut standing: Vec<Order> = self.at(instrument, side, price).copied().collect();
        standing.sort_by_key(|order| order.place);
        standing
    }

    /// Shares the taker among those at a price; says how much of it was cancelled, if it was.
    pub(super) fn share(&mut self, price: i64, taker: &mut Order, out: Says<'_, '_>) -> Option<u64> {
        let (instrument, side) = (taker.instrument, taker.side.opposite());
        let (allocation, minimum) = self.allocation(instrument);
        let lot = self.instruments[&instrument].lot.0;
        let first = self.standing(instrument, side, price)[0];
        if taker.remaining >= self.at(instrument, side, price).map(Order::open).sum() {
            return None;
        }
        let mut dropped = None;
        let is_top = self.tops.get(&(instrument, side)) == Some(&first.order);
        if is_top && allocation == Allocation::ProRataTop {
            dropped = self.meet(first.order, first.remaining.min(taker.remaining), taker, out);
        }
        let standing = self.standing(instrument, side, price);
        let total: u128 = standing.iter().map(|order| u128::from(order.remaining)).sum();
        let quantity = u128::from(taker.remaining);
        for order in standing {
            let share = (u128::from(order.remaining) * quantity / total) as u64 / lot * lot;
            let share = share.min(order.remaining).min(taker.remaining);
            if share > 0 && (u128::from(order.remaining) * quantity / total) as u64 / lot * lot >= minimum {
                dropped = self.meet(order.order, share, taker, out);
            }
        }
        dropped
    }

    /// Trades that much, or does what is done instead.
    pub(super) fn meet(&mut self, maker: u64, quantity: u64, taker: &mut Order, out: Says<'_, '_>) -> Option<u64> {
        let index = self.orders.iter().position(|order| order.order == maker).expect("it was just seen");
        match self.prevention(taker.account, self.orders[index].account) {
            SelfTrade::Allow => {
                self.trade_with(index, quantity, taker, out);
                None
            }
            how => self.prevent(how, index, quantity, taker, out),
        }
    }

    pub(super) fn set_ticks(
        &mut self,
        command: &SetTicks,
        bands: &[TickBand],
        out: Says<'_, '_>,
    ) -> Result<(), Reject> {
        let tick = self.instruments.get(&command.instrument.0).ok_or(Reject::UnknownInstrument)?.tick.0;
        let rises = bands.windows(2).all(|pair| pair[0].from < pair[1].from);
        let sound = |band: &TickBand| band.tick.0 > 0 && band.tick.0 % tick == 0 && band.from.0 % band.tick.0 == 0;
        if bands.len() > 8 || !rises || !bands.iter().all(sound) {
            return Err(Reject::BadTicks);
        }
        self.ticks.insert(command.instrument.0, bands.to_vec());
        let (instrument, bands) = (command.instrument, bands.len() as u32);
        self.say_indication(instrument.0, out);
        out.reply(Reply::TicksSet(&TicksSet { instrument, bands }));
        Ok(())
    }

    /// The tick that holds at a price.
    fn tick_at(&self, instrument: u32, price: i128) -> i128 {
        let bands = self.ticks.get(&instrument).map_or(&[][..], |bands| &bands[..]);
        let holds = bands.iter().rfind(|band| i128::from(band.from.0) <= price);
        holds.map_or(self.instruments[&instrument].tick, |band| band.tick).0.into()
    }

    pub(super) fn check_tick(&self, instrument: u32, price: Price) -> Result<(), Reject> {
        let price = i128::from(price.0);
        if price % self.tick_at(instrument, price) == 0 { Ok(()) } else { Err(Reject::OffTick) }
    }

    /// The nearest price of the table at `price` or below it, or above it, by small steps.
    pub(super) fn on_tick(&self, instrument: u32, mut price: i128, up: bool) -> i128 {
        let step = i128::from(self.instruments[&instrument].tick.0);
        while price % self.tick_at(instrument, price) != 0 {
            price += if up { step } else { -step };
        }
        price
    }
}
