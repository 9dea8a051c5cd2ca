//! Fees by rule, and what money moves at once.

use super::super::messages::{AMOUNT_MAX, Key, MovementKind, Network, Reject, SetFee, TransactionType};
use super::{Model, Says};

impl Model {
    pub(super) fn set_fee(&mut self, rule: &SetFee, out: Says<'_, '_>) -> Result<(), Reject> {
        let (kind, network) = (rule.transaction.get(), rule.network.get());
        let key = (kind as u8, network as u8, rule.currency.0);
        if rule.income.0 == 0 {
            self.fees.remove(&key);
            return self.set(out);
        }
        self.gives(rule.income, rule.currency)?;
        let can_cost = match kind {
            TransactionType::Withdrawal => true,
            TransactionType::Deposit | TransactionType::FastCash | TransactionType::PinChange => false,
            _ => network != Network::Issuer,
        };
        let is_above = rule.fixed.0 > AMOUNT_MAX || rule.most.0 > AMOUNT_MAX || rule.rate > 10_000;
        if !can_cost || is_above || rule.least > rule.most {
            return Err(Reject::BadFee);
        }
        if !self.fees.contains_key(&key) && self.fees.len() as u64 == self.limits.fees {
            return Err(Reject::FeesFull);
        }
        self.fees.insert(key, *rule);
        self.set(out)
    }

    /// The fee on so much of the account, and who gets it.
    pub(super) fn fee_on(&self, kind: TransactionType, network: Network, account: u64, amount: u64) -> (u64, u64) {
        let kind = if kind == TransactionType::FastCash { TransactionType::Withdrawal } else { kind };
        let currency = self.accounts[&account].currency.0;
        match self.fees.get(&(kind as u8, network as u8, currency)) {
            Some(rule) if rule.income.0 != account => {
                let fee = rule.fixed.0 + amount * u64::from(rule.rate) / 10_000;
                (fee.max(rule.least.0).min(rule.most.0), rule.income.0)
            }
            _ => (0, 0),
        }
    }

    /// What `look` sees when all parts, debit, credit and amount, were posted; they are not.
    pub(super) fn tried<T>(&mut self, parts: &[(u64, u64, u64)], look: impl Fn(&Self) -> T) -> T {
        parts.iter().for_each(|(debit, credit, amount)| self.post(*debit, *credit, (*amount).into()));
        let seen = look(self);
        parts.iter().for_each(|(debit, credit, amount)| self.post(*debit, *credit, -i128::from(*amount)));
        seen
    }

    /// Posts parts that fit, one after another.
    pub(super) fn post_all(&mut self, key: Key, parts: &[(u64, u64, u64)], kinds: [MovementKind; 2]) {
        for ((debit, credit, amount), kind) in parts.iter().zip(kinds) {
            self.post(*debit, *credit, (*amount).into());
            self.note(key, *debit, *credit, *amount, kind);
        }
    }
}
