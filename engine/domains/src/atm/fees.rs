//! Fees by rule: what a transaction costs beside its amount and a terminal's surcharge.

use super::Atm;
use super::cash::counter_account;
use super::ledger::Ledger;
use super::messages::{
    AMOUNT_MAX, Amount, Currency, Network, NetworkCode, Reject, SetFee, TransactionType, TransactionTypeCode,
};
use bytemuck::{Pod, Zeroable};
use ringfence_kernel::bounded::{Full, SortedMap};
use ringfence_kernel::{Corrupt, Out, Progress, Sink, Source};

/// How a fee is reckoned, and who gets it.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
struct Rule {
    fixed: Amount,
    least: Amount,
    most: Amount,
    /// The place of the account that gets it.
    income: u32,
    /// In 1/10,000 of the amount.
    rate: u32,
}

impl Rule {
    fn on(&self, Amount(amount): Amount) -> Amount {
        let fee = self.fixed.0 + amount * u64::from(self.rate) / 10_000;
        Amount(fee.max(self.least.0).min(self.most.0))
    }

    fn is_sound(&self) -> bool {
        self.rate <= 10_000 && self.fixed.0 <= AMOUNT_MAX && self.least <= self.most && self.most.0 <= AMOUNT_MAX
    }
}

/// All rules.
#[derive(Clone, Debug)]
pub(super) struct Fees(SortedMap<u64, Rule>);

/// What names a rule.
fn key(kind: TransactionTypeCode, network: NetworkCode, Currency(currency): Currency) -> u64 {
    let (kind, network) = (kind.get() as u64, network.get() as u64);
    kind << 24 | network << 16 | u64::from(currency)
}

impl Fees {
    pub(super) fn new(rules: usize) -> Self {
        Self(SortedMap::new(rules))
    }

    /// The fee on `amount` of an account, and the place of the account that gets it; that one pays none.
    #[inline]
    pub(super) fn on(
        &self,
        ledger: &Ledger,
        kind: TransactionType,
        network: Network,
        account: u32,
        amount: Amount,
    ) -> (Amount, u32) {
        if self.0.is_empty() {
            return (Amount(0), 0);
        }
        let kind = if kind == TransactionType::FastCash { TransactionType::Withdrawal } else { kind };
        let rule = self.0.get(&key(kind.into(), network.into(), ledger[account].currency));
        rule.filter(|rule| rule.income != account).map_or((Amount(0), 0), |rule| (rule.on(amount), rule.income))
    }

    /// Whether there can be a fee on such a transaction.
    fn can_cost(kind: TransactionType, network: Network) -> bool {
        match kind {
            TransactionType::Withdrawal => true,
            TransactionType::Purchase
            | TransactionType::BalanceInquiry
            | TransactionType::MiniStatement
            | TransactionType::Transfer => network != Network::Issuer,
            TransactionType::Deposit | TransactionType::FastCash | TransactionType::PinChange => false,
        }
    }

    pub(super) fn save(&self, sink: &mut impl Sink) {
        self.0.save(sink);
    }

    pub(super) fn load(rules: usize, ledger: &Ledger, source: &mut impl Source) -> Result<Self, Corrupt> {
        let rules = Self(SortedMap::load(rules, source)?);
        let is_sound = |(key, rule): (&u64, &Rule)| {
            let has_income = (rule.income as usize) < ledger.len();
            rule.is_sound()
                && has_income
                && !ledger[rule.income].is_cash()
                && u64::from(ledger[rule.income].currency.0) == key & 0xffff
        };
        if rules.0.iter().all(is_sound) { Ok(rules) } else { Err(Corrupt("a fee")) }
    }
}

impl Atm {
    pub(super) fn set_fee(&mut self, command: &SetFee, out: &mut Out<'_, Self>) -> Result<Progress, Reject> {
        let SetFee { fixed, least, most, rate, transaction, network, currency, .. } = *command;
        let key = key(transaction, network, currency);
        if command.income.0 == 0 {
            self.fees.0.remove(&key);
            return Ok(self.is_set(out));
        }
        let income = counter_account(&self.ledger, currency, command.income)?;
        let rule = Rule { fixed, least, most, income, rate };
        if !rule.is_sound() || !Fees::can_cost(transaction.get(), network.get()) {
            return Err(Reject::BadFee);
        }
        self.fees.0.insert(key, rule).map_err(|Full| Reject::FeesFull)?;
        Ok(self.is_set(out))
    }
}
