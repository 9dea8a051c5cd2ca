//! The twin: what accounts have. It knows what each has in all, and looks through its orders for what they hold of it.

use super::{Model, Order, Says};
use crate::matching::messages::{
    AssetId, AssetReport, BalanceSaid, BalancesSaid, DeclineReason, Direction, Event, GetAsset, HoldingLimitSet,
    OrderId, Reject, Reply, SetHoldingLimit, SetSettlement, Settled, SettlementSet, Side, TradeId, Transfer,
    TransferDeclined, TransferMade,
};
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::{Account, Context};

const MOST: i128 = i64::MAX as i128;

impl Model {
    pub(super) fn set_settlement(&mut self, command: &SetSettlement, out: Says<'_, '_>) -> Result<(), Reject> {
        let SetSettlement { base_unit, quote_unit, base, quote, maker_fee, taker_fee, instrument, .. } = *command;
        let terms = self.instruments.get(&instrument.0).ok_or(Reject::UnknownInstrument)?;
        let is_asset = |asset: AssetId| asset.0 >= 1 && u64::from(asset.0) <= self.limits.assets;
        let fees = [maker_fee, taker_fee].iter().all(|fee| (-100_000..=100_000).contains(fee));
        let sound = is_asset(base) && is_asset(quote) && base != quote && base_unit > 0 && quote_unit > 0;
        if !sound || !fees || maker_fee + taker_fee < 0 || terms.price_min.0 < 1 {
            return Err(Reject::BadSettlement);
        }
        let has_orders = self.orders.iter().any(|order| order.instrument == instrument.0);
        match self.settlements.get(&instrument.0) {
            Some(known) if known != command => return Err(Reject::SettlementExists),
            None if has_orders => return Err(Reject::SettlementExists),
            _ => _ = self.settlements.insert(instrument.0, *command),
        }
        out.reply(Reply::SettlementSet(&SettlementSet { instrument, reserved: Reserved::default() }));
        Ok(())
    }

    pub(super) fn transfer(&mut self, command: &Transfer, out: Says<'_, '_>) -> Result<(), Reject> {
        let Transfer { transfer, amount, account, asset, direction, reserved } = *command;
        if asset.0 == 0 || u64::from(asset.0) > self.limits.assets {
            return Err(Reject::BadAsset);
        }
        if account.0 == 0 {
            return Err(Reject::BadScope);
        }
        if amount == 0 || transfer.0 == 0 {
            return Err(Reject::BadAmount);
        }
        let declined = |reason: DeclineReason, out: Says<'_, '_>| {
            out.reply(Reply::TransferDeclined(&TransferDeclined { transfer, reason: reason.into(), reserved }));
            Ok(())
        };
        match self.transfers.get(&account.0).copied() {
            Some((last, free)) if last == *command => {
                out.reply(Reply::TransferMade(&TransferMade { transfer, amount, free, account, asset }));
                return Ok(());
            }
            Some((last, _)) if last.transfer == transfer => return declined(DeclineReason::TransferDiffers, out),
            Some((last, _)) if last.transfer > transfer => return declined(DeclineReason::StaleTransfer, out),
            _ => {}
        }
        let free = self.free(account.0, asset.0, None);
        let total = self.assets.get(&asset.0).map_or(0, |(total, _)| *total);
        let change = match direction.get() {
            Direction::Withdrawal if i128::from(amount) > free => return declined(DeclineReason::NoFunds, out),
            Direction::Withdrawal => -i128::from(amount),
            Direction::Deposit if total + i128::from(amount) > MOST => return Err(Reject::BadAmount),
            Direction::Deposit => amount.into(),
        };
        self.know_balances(account.0, &[asset.0])?;
        self.move_asset(account.0, asset.0, change);
        self.assets.entry(asset.0).or_default().0 += change;
        let free = (free + change) as u64;
        self.transfers.insert(account.0, (*command, free));
        out.reply(Reply::TransferMade(&TransferMade { transfer, amount, free, account, asset }));
        Ok(())
    }

    pub(super) fn set_holding_limit(&mut self, command: &SetHoldingLimit, out: Says<'_, '_>) -> Result<(), Reject> {
        let SetHoldingLimit { limit, account, asset } = *command;
        if asset.0 == 0 || u64::from(asset.0) > self.limits.assets {
            return Err(Reject::BadAsset);
        }
        if account.0 == 0 {
            return Err(Reject::BadScope);
        }
        self.know_balances(account.0, &[asset.0])?;
        self.balances.get_mut(&(account.0, asset.0)).expect("it was just made").1 = limit;
        out.reply(Reply::HoldingLimitSet(&HoldingLimitSet { account, asset }));
        Ok(())
    }

    pub(super) fn get_balances(&mut self, context: Context, out: Says<'_, '_>) -> Result<(), Reject> {
        let account = context.account().0;
        let mut balances = 0;
        for ((_, asset), (total, limit)) in self.balances.iter().filter(|((of, _), _)| *of == account) {
            let held = self.held(account, *asset, None);
            let said = BalanceSaid {
                free: (total - held) as u64,
                held: held as u64,
                incoming: self.incoming(account, *asset, None) as u64,
                limit: *limit,
                asset: AssetId(*asset),
                reserved: Reserved::default(),
            };
            out.tell(context.session, Event::BalanceSaid(&said));
            balances += 1;
        }
        out.reply(Reply::BalancesSaid(&BalancesSaid { balances, reserved: Reserved::default() }));
        Ok(())
    }

    pub(super) fn get_asset(&mut self, command: &GetAsset, out: Says<'_, '_>) -> Result<(), Reject> {
        let asset = command.asset;
        if asset.0 == 0 || u64::from(asset.0) > self.limits.assets {
            return Err(Reject::BadAsset);
        }
        let (total, fees) = self.assets.get(&asset.0).copied().unwrap_or_default();
        let (total, fees, reserved) = (total as u64, fees as u64, Reserved::default());
        out.reply(Reply::AssetReport(&AssetReport { total, fees, asset, reserved }));
        Ok(())
    }

    /// What an order of that much at that price holds, and of what.
    fn need(&self, instrument: u32, side: Side, price: i64, quantity: u64) -> (u32, i128) {
        let terms = &self.settlements[&instrument];
        if side == Side::Sell {
            return (terms.base.0, i128::from(quantity).saturating_mul(terms.base_unit.into()));
        }
        let amount = i128::from(price).saturating_mul(quantity.into()).saturating_mul(terms.quote_unit.into());
        let rate = terms.maker_fee.max(terms.taker_fee).max(0);
        (terms.quote.0, if amount > MOST { amount } else { amount + amount * i128::from(rate) / 1_000_000 })
    }

    fn settled(&self, account: u32, except: Option<u64>) -> impl Iterator<Item = &Order> {
        self.orders.iter().filter(move |order| {
            order.account == account
                && order.stop.is_none()
                && except != Some(order.order)
                && self.settlements.contains_key(&order.instrument)
        })
    }

    fn held(&self, account: u32, asset: u32, except: Option<u64>) -> i128 {
        let needs = self.settled(account, except).map(|o| self.need(o.instrument, o.side, o.limit(), o.open()));
        needs.filter(|(holds, _)| *holds == asset).map(|(_, need)| need).sum()
    }

    fn incoming(&self, account: u32, asset: u32, except: Option<u64>) -> i128 {
        let brings = self.settled(account, except).filter(|order| order.side == Side::Buy);
        let brings = brings.map(|order| (&self.settlements[&order.instrument], order.open()));
        let of_it = brings.filter(|(terms, _)| terms.base.0 == asset);
        of_it.map(|(terms, open)| i128::from(open) * i128::from(terms.base_unit)).sum()
    }

    fn free(&self, account: u32, asset: u32, except: Option<u64>) -> i128 {
        let total = self.balances.get(&(account, asset)).map_or(0, |(total, _)| *total);
        total - self.held(account, asset, except)
    }

    /// Why an account cannot have such an order, in place of the one `except`, if it cannot.
    pub(super) fn afford(
        &mut self,
        order: &Order,
        price: i64,
        quantity: u64,
        except: Option<u64>,
    ) -> Result<Option<DeclineReason>, Reject> {
        let Order { account, instrument, side, .. } = *order;
        let Some(terms) = self.settlements.get(&instrument).copied() else { return Ok(None) };
        if !self.accounts.contains(&account) {
            return Ok(Some(DeclineReason::NoFunds));
        }
        let (holds, need) = self.need(instrument, side, price, quantity);
        if need > self.free(account, holds, except) {
            return Ok(Some(DeclineReason::NoFunds));
        }
        let (total, limit) = self.balances.get(&(account, terms.base.0)).copied().unwrap_or_default();
        let limit = if limit == 0 { MOST } else { limit.into() };
        let unit = i128::from(terms.base_unit);
        let has = total + self.incoming(account, terms.base.0, except);
        let grows = except.is_none() || quantity > order.open();
        if side == Side::Buy && grows && has.saturating_add(unit.saturating_mul(quantity.into())) > limit {
            return Ok(Some(DeclineReason::AboveHolding));
        }
        self.know_balances(account, &[terms.base.0, terms.quote.0])?;
        Ok(None)
    }

    fn know_balances(&mut self, account: u32, assets: &[u32]) -> Result<(), Reject> {
        let new = assets.iter().filter(|asset| !self.balances.contains_key(&(account, **asset))).count();
        if (self.balances.len() + new) as u64 > self.limits.balances {
            return Err(Reject::BalancesFull);
        }
        self.know(Account(account))?;
        for asset in assets {
            self.balances.entry((account, *asset)).or_default();
        }
        Ok(())
    }

    fn move_asset(&mut self, account: u32, asset: u32, change: i128) {
        let balance = self.balances.get_mut(&(account, asset)).expect("whoever trades has one");
        balance.0 += change;
        assert!(balance.0 >= 0, "nobody has less than nothing");
    }

    /// What a trade moves between those whose orders these are, the one that takes marked.
    pub(super) fn settle(&mut self, price: i64, quantity: u64, parties: [(&Order, bool); 2], out: Says<'_, '_>) {
        let instrument = parties[0].0.instrument;
        let Some(terms) = self.settlements.get(&instrument).copied() else { return };
        let amount = i128::from(price) * i128::from(quantity) * i128::from(terms.quote_unit);
        let delivered = i128::from(quantity) * i128::from(terms.base_unit);
        for (order, takes) in parties {
            let rate = i128::from(if takes { terms.taker_fee } else { terms.maker_fee });
            // Division rounds towards zero.
            let fee = amount * rate / 1_000_000;
            let way = if order.side == Side::Buy { 1 } else { -1 };
            self.move_asset(order.account, terms.base.0, way * delivered);
            self.move_asset(order.account, terms.quote.0, -way * amount - fee);
            self.assets.entry(terms.quote.0).or_default().1 += fee;
            let settled = Settled {
                order: OrderId(order.order),
                trade: TradeId(self.last_trade),
                amount: amount as u64,
                fee: fee as i64,
                asset: terms.quote,
                reserved: Reserved::default(),
            };
            out.notify(Account(order.account), Event::Settled(&settled));
        }
    }
}
