//! Limits of an account: what its orders are looked at for before they are let in.

use super::Matching;
use super::accounts::OrderLimits;
use super::messages::{DeclineReason, LimitsSet, Price, Quantity, Reject, Reply, SetLimits};
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::{Account, Out, Progress};

impl Matching {
    #[cold]
    pub(super) fn set_limits(&mut self, command: &SetLimits, out: &mut Out<'_, Self>) -> Result<Progress, Reject> {
        let SetLimits { account, order_quantity, order_value, orders, .. } = *command;
        if account == Account(0) {
            return Err(Reject::BadScope);
        }
        let place = self.place_of(account)?;
        self.orders.accounts.set_limits(place, OrderLimits { order_quantity, order_value, orders: orders.into() });
        out.reply(Reply::LimitsSet(&LimitsSet { account, reserved: Reserved::default() }));
        Ok(Progress::Done)
    }

    /// Which limit of `account` an order at `price` would break, if any. `stands` says whether it may be one more that
    /// stands.
    #[cold]
    pub(super) fn breaks_limit(
        &self,
        account: Account,
        price: Price,
        Quantity(quantity): Quantity,
        stands: bool,
    ) -> Option<DeclineReason> {
        let place = self.orders.accounts.find(account)?;
        let limits = self.orders.accounts.limits(place);
        let value = u128::from(price.0.unsigned_abs()) * u128::from(quantity);
        let exceeds = |limit: u64, value: u128| limit != 0 && value > limit.into();
        if exceeds(limits.order_quantity.0, quantity.into()) {
            Some(DeclineReason::AboveQuantity)
        } else if exceeds(limits.order_value, value) {
            Some(DeclineReason::AboveValue)
        } else {
            let orders = u128::from(self.orders.accounts[place].orders) + 1;
            (stands && exceeds(limits.orders, orders)).then_some(DeclineReason::TooManyOrders)
        }
    }
}
