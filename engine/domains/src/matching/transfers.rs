//! What comes to accounts from outside and leaves them: deposits and withdrawals, each made once; and what they have.

use super::Matching;
use super::ledger::TOTAL_MAX;
use super::messages::{
    AssetId, AssetReport, BalanceSaid, BalancesSaid, DeclineReason, Direction, DirectionCode, GetAsset,
    HoldingLimitSet, Reject, Reply, SetHoldingLimit, Transfer, TransferDeclined, TransferId, TransferMade,
};
use super::reports::{Reporting, What};
use bytemuck::{Pod, Zeroable};
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::{Account, Context, Out, Progress};

/// The last transfer of an account, and what was free after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(super) struct LastTransfer {
    pub(super) transfer: TransferId,
    amount: u64,
    free: u64,
    asset: AssetId,
    /// None before the first.
    direction: DirectionCode,
    reserved: [u8; 3],
}

impl LastTransfer {
    pub(super) fn is_sound(&self) -> bool {
        self.reserved == [0; 3] && (self.direction.try_get().is_some() || *self == Self::zeroed())
    }
}

impl Matching {
    #[cold]
    pub(super) fn transfer(&mut self, command: &Transfer, out: &mut Out<'_, Self>) -> Result<Progress, Reject> {
        let Transfer { transfer, amount, account, asset, direction, .. } = *command;
        if !self.ledger.knows(asset) {
            return Err(Reject::BadAsset);
        }
        if account == Account(0) {
            return Err(Reject::BadScope);
        }
        if amount == 0 || transfer == TransferId(0) {
            return Err(Reject::BadAmount);
        }
        let known = self.orders.accounts.find(account);
        let last = known.map_or(LastTransfer::zeroed(), |place| self.orders.accounts.transfer(place));
        if transfer <= last.transfer {
            let same =
                transfer == last.transfer && (amount, asset, direction) == (last.amount, last.asset, last.direction);
            if same {
                return Ok(made(account, &last, out));
            }
            let reason =
                if transfer == last.transfer { DeclineReason::TransferDiffers } else { DeclineReason::StaleTransfer };
            return Ok(decline(transfer, reason, out));
        }
        let free = known.and_then(|place| self.ledger.find(place, asset)).map_or(0, |balance| balance.free);
        let total = self.ledger.asset(asset).total;
        match direction.get() {
            Direction::Withdrawal if amount > free => return Ok(decline(transfer, DeclineReason::NoFunds, out)),
            Direction::Deposit if amount > TOTAL_MAX - total => return Err(Reject::BadAmount),
            _ => {}
        }
        let place = self.place_with_balance(account, asset)?;
        let (balance, total) = match direction.get() {
            Direction::Deposit => (free + amount, total + amount),
            Direction::Withdrawal => (free - amount, total - amount),
        };
        self.ledger.balance(place, asset).free = balance;
        self.ledger.asset(asset).total = total;
        let last = LastTransfer { transfer, amount, free: balance, asset, direction, reserved: [0; 3] };
        self.orders.accounts.set_transfer(place, last);
        Ok(made(account, &last, out))
    }

    #[cold]
    pub(super) fn set_holding_limit(
        &mut self,
        command: &SetHoldingLimit,
        out: &mut Out<'_, Self>,
    ) -> Result<Progress, Reject> {
        let SetHoldingLimit { limit, account, asset } = *command;
        if !self.ledger.knows(asset) {
            return Err(Reject::BadAsset);
        }
        if account == Account(0) {
            return Err(Reject::BadScope);
        }
        let place = self.place_with_balance(account, asset)?;
        self.ledger.balance(place, asset).limit = limit;
        out.reply(Reply::HoldingLimitSet(&HoldingLimitSet { account, asset }));
        Ok(Progress::Done)
    }

    /// The place of an account, which has a balance of that asset from now on.
    fn place_with_balance(&mut self, account: Account, asset: AssetId) -> Result<u32, Reject> {
        if !self.ledger.has_room_for(self.orders.accounts.find(account), &[asset]) {
            return Err(Reject::BalancesFull);
        }
        let place = self.place_of(account)?;
        self.ledger.balance(place, asset);
        Ok(place)
    }

    #[cold]
    pub(super) fn get_asset(&mut self, command: &GetAsset, out: &mut Out<'_, Self>) -> Result<Progress, Reject> {
        let asset = command.asset;
        if !self.ledger.knows(asset) {
            return Err(Reject::BadAsset);
        }
        let super::ledger::Asset { total, fees } = *self.ledger.asset(asset);
        let reserved = Reserved::default();
        out.reply(Reply::AssetReport(&AssetReport { total, fees: fees as u64, asset, reserved }));
        Ok(Progress::Done)
    }

    #[cold]
    pub(super) fn get_balances(&mut self, context: Context, out: &mut Out<'_, Self>) -> Progress {
        let account = self.orders.accounts.find(context.account()).unwrap_or(super::levels::NONE);
        let what = What::Balances { account, next: AssetId(1) };
        self.go_on_reporting(Reporting { session: context.session, said: 0, what }, out)
    }

    /// The next balance of the account from `next` on, which is then passed.
    pub(super) fn next_balance(&self, account: u32, next: &mut AssetId) -> Option<BalanceSaid> {
        while self.ledger.knows(*next) {
            let asset = core::mem::replace(next, AssetId(next.0 + 1));
            if let Some(balance) = self.ledger.find(account, asset) {
                let super::ledger::Balance { free, held, incoming, limit, .. } = *balance;
                return Some(BalanceSaid { free, held, incoming, limit, asset, reserved: Reserved::default() });
            }
        }
        None
    }

    pub(super) fn say_balances(said: u32, out: &mut Out<'_, Self>) {
        out.reply(Reply::BalancesSaid(&BalancesSaid { balances: said, reserved: Reserved::default() }));
    }
}

fn made(account: Account, last: &LastTransfer, out: &mut Out<'_, Matching>) -> Progress {
    let LastTransfer { transfer, amount, free, asset, .. } = *last;
    out.reply(Reply::TransferMade(&TransferMade { transfer, amount, free, account, asset }));
    Progress::Done
}

fn decline(transfer: TransferId, reason: DeclineReason, out: &mut Out<'_, Matching>) -> Progress {
    let declined = TransferDeclined { transfer, reason: reason.into(), reserved: Reserved::default() };
    out.reply(Reply::TransferDeclined(&declined));
    Progress::Done
}
