//! Conversions into the currency of an account.

use super::super::messages::{
    AMOUNT_MAX, AccountNumber, AccountType, Amount, Authorize, CardStatus, Constraint, ConversionChoice, Currency,
    Network, Offer, Offered, Rate, RateUse, Reject, Reply, ResponseCode, Service, SetRate, TransactionType,
};
use super::{Model, Says, Terminal};
use bytemuck::Zeroable as _;
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::{Context, Timestamp};

/// How a withdrawal is converted: by so much over a power of ten, from one account to another, into which currency.
#[derive(Clone, Copy, Debug)]
pub(super) struct Conversion {
    digits: u128,
    unit: u128,
    pub(super) pays: u64,
    pub(super) receives: u64,
    pub(super) currency: Currency,
}

impl Conversion {
    /// To the nearest, half up: the part before the point of one half more.
    pub(super) fn of(&self, amount: u64) -> u64 {
        let twice = 2 * u128::from(amount) * self.digits + self.unit;
        u64::try_from(twice / (2 * self.unit)).unwrap_or(u64::MAX)
    }
}

/// The digits and decimals that are applied, as they are written: as many decimals as seven digits have room for.
fn applied(Rate(reference): Rate, markup: u32) -> Option<(u128, u32)> {
    let (digits, decimals) = (u128::from(reference % 10_000_000), reference / 10_000_000);
    let exact = digits * u128::from(10_000 + markup);
    let mut found = None;
    for kept in 0..=(decimals + 4).min(9) {
        let digits = exact * 10_u128.pow(kept) / 10_u128.pow(decimals + 4);
        if digits > 0 && digits < 10_000_000 {
            found = Some((digits, kept));
        }
    }
    found
}

impl Model {
    pub(super) fn set_rate(&mut self, rate: &SetRate, out: Says<'_, '_>) -> Result<(), Reject> {
        self.gives(rate.pays, rate.from)?;
        self.gives(rate.receives, rate.to)?;
        let is_free = |account: AccountNumber| self.accounts[&account.0].constraint.get() == Constraint::Free;
        let can_be = (1..100_000_000).contains(&rate.reference.0)
            && !rate.reference.0.is_multiple_of(10_000_000)
            && rate.markup <= 10_000
            && applied(rate.reference, rate.markup).is_some();
        let key = (rate.of.get() as u8, rate.from.0, rate.to.0);
        let is_stale = |known: &SetRate| rate.version < known.version || rate.version == known.version && rate != known;
        if !can_be
            || rate.from == rate.to
            || rate.version.0 == 0
            || !is_free(rate.pays)
            || !is_free(rate.receives)
            || self.rates.get(&key).is_some_and(is_stale)
        {
            return Err(Reject::BadRate);
        }
        if !self.rates.contains_key(&key) && self.rates.len() as u64 == self.limits.rates {
            return Err(Reject::RatesFull);
        }
        self.rates.insert(key, *rate);
        self.set(out)
    }

    fn rate(&self, now: Timestamp, of: RateUse, from: Currency, to: Currency) -> Option<SetRate> {
        self.rates.get(&(of as u8, from.0, to.0)).copied().filter(|rate| now.0 < rate.valid_until_ns)
    }

    /// How a withdrawal is converted, and what the account is debited for it and its surcharge.
    pub(super) fn convert(
        &self,
        now: Timestamp,
        terminal: &Terminal,
        (account, amount, surcharge): (u64, u64, u64),
        asked: &Authorize,
    ) -> Result<(Conversion, u64), ResponseCode> {
        let currency = self.accounts[&account].currency;
        let is_accepted = asked.conversion.get() == ConversionChoice::Accepted;
        let of = if is_accepted { RateUse::Offered } else { RateUse::Issuer };
        let rate = self.rate(now, of, terminal.terms.currency, currency).ok_or(ResponseCode::InvalidTransaction)?;
        if is_accepted && (asked.rate_version != rate.version || asked.billed_in != currency) {
            return Err(ResponseCode::InvalidTransaction);
        }
        let pays_its_own = terminal.terms.surcharge.0 > 0 && terminal.terms.fees == rate.pays;
        if rate.receives.0 == account || pays_its_own {
            return Err(ResponseCode::InvalidTransaction);
        }
        let (digits, decimals) = applied(rate.reference, rate.markup).expect("it was looked at");
        let unit = 10_u128.pow(decimals);
        let conversion = Conversion { digits, unit, pays: rate.pays.0, receives: rate.receives.0, currency };
        let billed = conversion.of(amount + surcharge);
        if billed == 0 || billed > AMOUNT_MAX || is_accepted && asked.billed.0 != billed {
            return Err(ResponseCode::InvalidAmount);
        }
        Ok((conversion, billed))
    }

    pub(super) fn offer(&self, context: Context, asked: &Offer, out: Says<'_, '_>) -> Result<(), Reject> {
        let terminal = self.terminal(asked.terminal)?;
        let offered = self.offered(context.now, &terminal, asked);
        let nothing = |code: ResponseCode| Offered { code: code.into(), ..Offered::zeroed() };
        out.reply(Reply::Offered(&offered.unwrap_or_else(nothing)));
        Ok(())
    }

    fn offered(&self, now: Timestamp, terminal: &Terminal, asked: &Offer) -> Result<Offered, ResponseCode> {
        use ResponseCode as Code;
        if terminal.service == Service::Out {
            return Err(Code::TerminalNotPermitted);
        }
        let card = self.cards.get(&asked.token).ok_or(Code::InvalidCard)?;
        match card.terms.status.get() {
            CardStatus::Active => {}
            CardStatus::Blocked => return Err(Code::Restricted),
            CardStatus::Lost => return Err(Code::Lost),
            CardStatus::Stolen => return Err(Code::Stolen),
            CardStatus::Expired => return Err(Code::Expired),
            CardStatus::Retained => return Err(Code::RestrictedKeep),
        }
        let amount = match asked.transaction.get() {
            TransactionType::Withdrawal => asked.amount.0,
            TransactionType::FastCash if asked.amount.0 > 0 => return Err(Code::InvalidAmount),
            TransactionType::FastCash if card.fast_cash == 0 => return Err(Code::NotPermitted),
            TransactionType::FastCash => card.fast_cash,
            _ => return Err(Code::InvalidTransaction),
        };
        if amount == 0 || amount > AMOUNT_MAX {
            return Err(Code::InvalidAmount);
        }
        let own = [card.terms.cheque.0, card.terms.savings.0, card.terms.credit.0];
        let (account, missing) = match asked.account.get() {
            AccountType::Default => (own.into_iter().find(|one| *one != 0).unwrap_or(0), Code::NoCheque),
            AccountType::Cheque => (own[0], Code::NoCheque),
            AccountType::Savings => (own[1], Code::NoSavings),
            AccountType::Credit => (own[2], Code::NotPermitted),
        };
        if account == 0 {
            return Err(missing);
        }
        let (from, to) = (terminal.terms.currency, self.accounts[&account].currency);
        let rate = self.rate(now, RateUse::Offered, from, to).filter(|_| from != to && !terminal.is_acquirer);
        let rate = rate.ok_or(Code::InvalidTransaction)?;
        let (digits, decimals) = applied(rate.reference, rate.markup).expect("it was looked at");
        let unit = 10_u128.pow(decimals);
        let conversion = Conversion { digits, unit, pays: 0, receives: 0, currency: to };
        let (surcharge, _) = self.fee(terminal, account, amount);
        let billed = conversion.of(amount + surcharge);
        if billed == 0 || billed > AMOUNT_MAX {
            return Err(Code::InvalidAmount);
        }
        let (fee, _) = self.fee_on(TransactionType::Withdrawal, Network::Own, account, conversion.of(amount));
        Ok(Offered {
            amount: Amount(amount),
            surcharge: Amount(surcharge),
            billed: Amount(billed),
            fee: Amount(fee),
            valid_until_ns: rate.valid_until_ns,
            rate: Rate(decimals * 10_000_000 + digits as u32),
            reference: rate.reference,
            markup: rate.markup,
            version: rate.version,
            currency: to,
            code: Code::Approved.into(),
            reserved: Reserved::default(),
        })
    }
}
