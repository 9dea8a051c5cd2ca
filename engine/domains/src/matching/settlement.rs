//! Instruments that are settled: what orders hold, what trades move, and what they cost.

use super::Matching;
use super::instruments;
use super::ledger::{Balance, Stake, TOTAL_MAX};
use super::levels::{Level, WAITS};
use super::messages::{
    AssetId, DeclineReason, Event, OrderId, Price, Reject, Reply, SetSettlement, Settled, SettlementSet, Side, TradeId,
};
use super::trading::Taker;
use bytemuck::{Pod, Zeroable};
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::{Account, Corrupt, Out, Progress};

/// In what an instrument is settled, and what that costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Settlement {
    /// What is bought and sold; zero where nothing is settled.
    pub(super) base: AssetId,
    /// In what it is paid.
    pub(super) quote: AssetId,
    /// How much of the one asset a unit of quantity is, and of the other a unit of price times quantity.
    base_unit: u64,
    quote_unit: u64,
    /// Fees in millionths of what is paid, below zero for a rebate.
    maker_fee: i32,
    taker_fee: i32,
}

/// The highest fee, and the highest rebate: a tenth.
const FEE_MAX: i32 = 100_000;
const MILLION: u128 = 1_000_000;

impl Settlement {
    fn of(command: &SetSettlement) -> Self {
        let SetSettlement { base, quote, base_unit, quote_unit, maker_fee, taker_fee, .. } = *command;
        Self { base, quote, base_unit, quote_unit, maker_fee, taker_fee }
    }

    /// Whether it makes sense where prices begin at `price_min` and there are so many assets.
    pub(super) fn is_sound(&self, price_min: i64, assets: u32) -> bool {
        let is_asset = |asset: AssetId| (1..=assets).contains(&asset.0);
        let is_fee = |fee: i32| (-FEE_MAX..=FEE_MAX).contains(&fee);
        is_asset(self.base)
            && is_asset(self.quote)
            && self.base != self.quote
            && self.base_unit > 0
            && self.quote_unit > 0
            && is_fee(self.maker_fee)
            && is_fee(self.taker_fee)
            && self.maker_fee + self.taker_fee >= 0
            && price_min > 0
    }

    /// What is paid for that much.
    fn amount(&self, price: Price, quantity: u64) -> u128 {
        u128::from(price.0.unsigned_abs()).saturating_mul(quantity.into()).saturating_mul(self.quote_unit.into())
    }

    /// What that much is of the base.
    fn delivered(&self, quantity: u64) -> u128 {
        u128::from(quantity).saturating_mul(self.base_unit.into())
    }

    /// The fee on an amount, rounded towards zero.
    fn fee(&self, amount: u64, takes: bool) -> i64 {
        let rate = if takes { self.taker_fee } else { self.maker_fee };
        let fee = (u128::from(amount) * u128::from(rate.unsigned_abs()) / MILLION) as i64;
        if rate < 0 { -fee } else { fee }
    }

    /// What an order holds that has that much open: what it would pay at its price with the higher of the fees, or
    /// what it would deliver.
    fn held(&self, side: Side, price: Price, quantity: u64) -> u128 {
        match side {
            Side::Sell => self.delivered(quantity),
            Side::Buy => {
                let amount = self.amount(price, quantity);
                let rate = self.maker_fee.max(self.taker_fee).max(0).unsigned_abs();
                if amount > TOTAL_MAX.into() { amount } else { amount + amount * u128::from(rate) / MILLION }
            }
        }
    }

    fn brought(&self, side: Side, quantity: u64) -> u128 {
        if side == Side::Buy { self.delivered(quantity) } else { 0 }
    }

    fn holds(&self, side: Side) -> AssetId {
        if side == Side::Buy { self.quote } else { self.base }
    }
}

/// An order at a price with that much open.
#[derive(Clone, Copy, Debug)]
pub(super) struct Open {
    pub(super) side: Side,
    pub(super) price: Price,
    pub(super) quantity: u64,
}

/// One side of a trade: its order as it was before.
#[derive(Clone, Copy, Debug)]
pub(super) struct Party {
    pub(super) account: Account,
    pub(super) order: OrderId,
    pub(super) open: Open,
    pub(super) takes: bool,
}

impl Matching {
    #[cold]
    pub(super) fn set_settlement(
        &mut self,
        command: &SetSettlement,
        out: &mut Out<'_, Self>,
    ) -> Result<Progress, Reject> {
        let place = self.instruments.place(command.instrument).ok_or(Reject::UnknownInstrument)?;
        let (settlement, instrument) = (Settlement::of(command), &mut self.instruments[place]);
        if !settlement.is_sound(instrument.terms.lowest(), self.ledger.assets()) {
            return Err(Reject::BadSettlement);
        }
        if instrument.settlement != settlement {
            if instrument.settlement.base != AssetId(0) || !instrument.is_empty() {
                return Err(Reject::SettlementExists);
            }
            instrument.set_settlement(settlement);
        }
        let (instrument, reserved) = (command.instrument, Reserved::default());
        out.reply(Reply::SettlementSet(&SettlementSet { instrument, reserved }));
        Ok(Progress::Done)
    }

    /// Holds for an order what it needs, in place of what it held as it was before; or says why it cannot.
    #[cold]
    fn hold(
        &mut self,
        account: Account,
        instrument: u32,
        before: Open,
        after: Open,
    ) -> Result<Option<DeclineReason>, Reject> {
        let Open { side, price, quantity } = after;
        let settlement = self.instruments[instrument].settlement;
        let Some(place) = self.orders.accounts.find(account) else { return Ok(Some(DeclineReason::NoFunds)) };
        let (held, needed) =
            (settlement.held(side, before.price, before.quantity), settlement.held(side, price, quantity));
        let (brought, brings) = (settlement.brought(side, before.quantity), settlement.brought(side, quantity));
        let known = |asset| self.ledger.find(place, asset).copied().unwrap_or(Balance::zeroed());
        let (pays, gets) = (known(settlement.holds(side)), known(settlement.base));
        if needed > held + u128::from(pays.free) {
            return Ok(Some(DeclineReason::NoFunds));
        }
        let limit = if gets.limit == 0 { TOTAL_MAX } else { gets.limit };
        let has = u128::from(gets.free) + u128::from(gets.held) + u128::from(gets.incoming);
        if brings > brought && has - brought + brings > limit.into() {
            return Ok(Some(DeclineReason::AboveHolding));
        }
        if !self.ledger.has_room_for(Some(place), &[settlement.base, settlement.quote]) {
            return Err(Reject::BalancesFull);
        }
        for asset in [settlement.base, settlement.quote] {
            self.ledger.balance(place, asset);
        }
        self.rehold(place, instrument, before, after);
        Ok(None)
    }

    /// Holds what a new order needs, where instruments are settled; or says why it cannot.
    #[cold]
    pub(super) fn hold_new(
        &mut self,
        account: Account,
        instrument: u32,
        order: Open,
    ) -> Result<Option<DeclineReason>, Reject> {
        match self.instruments[instrument].is_settled() {
            true => self.hold(account, instrument, Open { quantity: 0, ..order }, order),
            false => Ok(None),
        }
    }

    /// Holds what the order at `index` needs when it has another price and so much open; or says why it cannot.
    #[cold]
    pub(super) fn hold_again(
        &mut self,
        index: u32,
        price: Price,
        quantity: u64,
    ) -> Result<Option<DeclineReason>, Reject> {
        let Level { instrument, side, .. } = self.levels[self.orders[index].level];
        if !self.instruments[instrument].is_settled() {
            return Ok(None);
        }
        let before = Open { side: side.get(), price: self.limit_of(index), quantity: self.orders.open(index) };
        self.hold(self.orders.account(index), instrument, before, Open { side: side.get(), price, quantity })
    }

    /// What a taker had open beyond what it has is not held any more.
    #[cold]
    pub(super) fn release_taker(&mut self, taker: &Taker, before: u64, left: u64) {
        if self.instruments[taker.instrument].is_settled() && left < before {
            let before = Open { side: taker.side, price: taker.price, quantity: before };
            self.release(taker.account, taker.instrument, before, left);
        }
    }

    fn rehold(&mut self, place: u32, instrument: u32, before: Open, after: Open) {
        let settlement = self.instruments[instrument].settlement;
        let Open { side, price, quantity } = after;
        let (held, needed) =
            (settlement.held(side, before.price, before.quantity), settlement.held(side, price, quantity));
        let pays = self.ledger.balance(place, settlement.holds(side));
        pays.free = (u128::from(pays.free) + held - needed) as u64;
        pays.held = (u128::from(pays.held) + needed - held) as u64;
        let (brought, brings) = (settlement.brought(side, before.quantity), settlement.brought(side, quantity));
        let gets = self.ledger.balance(place, settlement.base);
        gets.incoming = (u128::from(gets.incoming) + brings - brought) as u64;
    }

    /// Of an order only `quantity` is open any more: the rest of what it held is free.
    #[cold]
    pub(super) fn release(&mut self, account: Account, instrument: u32, before: Open, quantity: u64) {
        let place = self.orders.accounts.find(account).expect("it has an order");
        self.rehold(place, instrument, before, Open { quantity, ..before });
    }

    /// Of the order at `index` only `quantity` will be open any more. Stops hold nothing while they wait.
    #[cold]
    pub(super) fn release_order(&mut self, index: u32, quantity: u64) {
        let Level { instrument, side, waits, .. } = self.levels[self.orders[index].level];
        if self.instruments[instrument].is_settled() && waits != WAITS {
            let before = Open { side: side.get(), price: self.limit_of(index), quantity: self.orders.open(index) };
            self.release(self.orders.account(index), instrument, before, quantity);
        }
    }

    /// Moves what a trade moves, and takes the fees.
    #[cold]
    pub(super) fn settle_trade(
        &mut self,
        instrument: u32,
        trade: TradeId,
        price: Price,
        quantity: u64,
        parties: [Party; 2],
        out: &mut Out<'_, Self>,
    ) {
        let settlement = self.instruments[instrument].settlement;
        let (amount, delivered) = (settlement.amount(price, quantity) as u64, settlement.delivered(quantity) as u64);
        for Party { account, order, open, takes } in parties {
            self.release(account, instrument, open, open.quantity - quantity);
            let place = self.orders.accounts.find(account).expect("it has an order");
            let fee = settlement.fee(amount, takes);
            let (base, quote) = match open.side {
                Side::Buy => (i128::from(delivered), -i128::from(amount)),
                Side::Sell => (-i128::from(delivered), i128::from(amount)),
            };
            for (asset, change) in [(settlement.base, base), (settlement.quote, quote - i128::from(fee))] {
                let balance = self.ledger.balance(place, asset);
                let free = i128::from(balance.free) + change;
                assert!(free >= 0, "an order holds what it needs");
                balance.free = free as u64;
            }
            self.ledger.asset(settlement.quote).fees += fee;
            let asset = settlement.quote;
            out.notify(
                account,
                Event::Settled(&Settled { order, trade, amount, fee, asset, reserved: Reserved::default() }),
            );
        }
        debug_assert!(self.ledger.asset(settlement.quote).fees >= 0, "rebates are paid from fees");
    }

    /// After loading: nothing came from nowhere, and orders hold what they need.
    pub(super) fn check_ledger(&self) -> Result<(), Corrupt> {
        let standing = self.levels.entries().iter().filter(|level| level.orders > 0 && level.waits != WAITS);
        let settled = standing.filter(|level| self.instruments[level.instrument].is_settled());
        let stakes = settled.flat_map(|level| {
            let (settlement, side) = (self.instruments[level.instrument].settlement, level.side.get());
            self.orders.queue_of(level).map(move |index| {
                let quantity = self.orders.open(index);
                Stake {
                    account: self.orders[index].account,
                    holds: settlement.holds(side),
                    held: settlement.held(side, self.limit_of(index), quantity),
                    brings: settlement.base,
                    brought: settlement.brought(side, quantity),
                }
            })
        });
        self.ledger.check(stakes)
    }
}

impl instruments::Instrument {
    /// Whether trades move what accounts have.
    #[inline]
    pub(super) fn is_settled(&self) -> bool {
        !self.is_plain && self.settlement.base != AssetId(0)
    }
}
