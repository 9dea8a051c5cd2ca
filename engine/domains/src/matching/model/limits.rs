//! The twin: limits of accounts.

use super::{Model, Says};
use crate::matching::messages::{DeclineReason, LimitsSet, Reject, Reply, SetLimits};
use ringfence_kernel::messages::Reserved;

impl Model {
    pub(super) fn set_limits(&mut self, command: &SetLimits, out: Says<'_, '_>) -> Result<(), Reject> {
        if command.account.0 == 0 {
            return Err(Reject::BadScope);
        }
        self.know(command.account)?;
        self.order_limits.insert(command.account.0, *command);
        let reserved = Reserved::default();
        out.reply(Reply::LimitsSet(&LimitsSet { account: command.account, reserved }));
        Ok(())
    }

    /// Which limit an order of `account` would break; `one_more` when it may stand beside those that do.
    pub(super) fn breaks(&self, account: u32, price: i64, quantity: u64, one_more: bool) -> Option<DeclineReason> {
        let limits = self.order_limits.get(&account)?;
        if limits.order_quantity.0 != 0 && quantity > limits.order_quantity.0 {
            return Some(DeclineReason::AboveQuantity);
        }
        let value = i128::from(price).abs() * i128::from(quantity);
        if limits.order_value != 0 && value > i128::from(limits.order_value) {
            return Some(DeclineReason::AboveValue);
        }
        let standing = self.orders.iter().filter(|order| order.account == account).count();
        let full = limits.orders != 0 && standing >= limits.orders as usize;
        (one_more && full).then_some(DeclineReason::TooManyOrders)
    }
}
