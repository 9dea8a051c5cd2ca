//! Conversions: rates, what is offered, and what a withdrawal is debited in the currency of its account.
//!
//! Money is never converted, it changes hands in each currency: the account gives to the one that receives its currency, and
//! the one that pays the terminal's currency gives to the terminal's cash. So each currency sums to zero.

use super::Atm;
use super::cash::counter_account;
use super::ledger::{Ledger, NotCovered};
use super::messages::{
    AMOUNT_MAX, Amount, Authorize, ConversionChoice, Currency, Network, Offer, Offered, Rate, RateUse, RateVersion,
    Reject, Reply, ResponseCode, SetRate, TransactionType,
};
use super::terminals::Terminal;
use super::transactions::Conversion;
use bytemuck::{Pod, Zeroable};
use ringfence_kernel::bounded::{Full, SortedMap};
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::{Context, Corrupt, Out, Progress, Sink, Source, Timestamp};

/// The most of a mark-up, in 1/10,000.
const MARKUP_MAX: u32 = 10_000;

/// A rate, and between which accounts money changes hands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
struct Rule {
    valid_until: Timestamp,
    /// The places of the accounts that pay the terminal's currency and receive the other.
    pays: u32,
    receives: u32,
    reference: Rate,
    /// What is applied: the reference with its mark-up.
    applied: Rate,
    markup: u32,
    version: RateVersion,
}

impl Rule {
    fn is_sound(&self, ledger: &Ledger, from: Currency, to: Currency) -> bool {
        let is_free = |place: u32, currency: Currency| {
            (place as usize) < ledger.len() && ledger[place].is_free() && ledger[place].currency == currency
        };
        from != to
            && self.version.0 > 0
            && self.reference.is_valid()
            && self.markup <= MARKUP_MAX
            && self.reference.with_markup(self.markup) == Some(self.applied)
            && is_free(self.pays, from)
            && is_free(self.receives, to)
    }
}

/// All rates.
#[derive(Clone, Debug)]
pub(super) struct Rates(SortedMap<u64, Rule>);

/// What names a rate.
fn key(of: RateUse, Currency(from): Currency, Currency(to): Currency) -> u64 {
    (of as u64) << 32 | u64::from(from) << 16 | u64::from(to)
}

impl Rates {
    pub(super) fn new(rates: usize) -> Self {
        Self(SortedMap::new(rates))
    }

    fn in_force(&self, now: Timestamp, of: RateUse, from: Currency, to: Currency) -> Option<&Rule> {
        self.0.get(&key(of, from, to)).filter(|rule| now < rule.valid_until)
    }

    /// How a withdrawal of `amount`, surcharge included, of an account in another currency than the terminal's is
    /// converted: as was accepted, or else by this host as the issuer.
    pub(super) fn convert(
        &self,
        now: Timestamp,
        terminal: &Terminal,
        ledger: &Ledger,
        account: u32,
        amount: Amount,
        command: &Authorize,
    ) -> Result<Conversion, ResponseCode> {
        let (currency, is_accepted) =
            (ledger[account].currency, command.conversion.get() == ConversionChoice::Accepted);
        let of = if is_accepted { RateUse::Offered } else { RateUse::Issuer };
        let rule = self.in_force(now, of, terminal.currency, currency).ok_or(ResponseCode::InvalidTransaction)?;
        let Rule { pays, receives, applied: rate, version, .. } = *rule;
        let is_another = is_accepted && (command.rate_version != version || command.billed_in != currency);
        if is_another || receives == account || pays == terminal.fees && terminal.surcharge.0 > 0 {
            return Err(ResponseCode::InvalidTransaction);
        }
        let billed = rate.convert(amount);
        if !(1..=AMOUNT_MAX).contains(&billed.0) || is_accepted && command.billed != billed {
            return Err(ResponseCode::InvalidAmount);
        }
        Ok(Conversion { billed, taken: Amount(0), pays, receives, rate, version })
    }

    pub(super) fn save(&self, sink: &mut impl Sink) {
        self.0.save(sink);
    }

    pub(super) fn load(rates: usize, ledger: &Ledger, source: &mut impl Source) -> Result<Self, Corrupt> {
        let rates = Self(SortedMap::load(rates, source)?);
        let is_sound = |(key, rule): (&u64, &Rule)| {
            let (from, to) = (Currency((key >> 16) as u16), Currency(*key as u16));
            matches!(key >> 32, 1 | 2) && rule.is_sound(ledger, from, to)
        };
        if rates.0.iter().all(is_sound) { Ok(rates) } else { Err(Corrupt("a rate")) }
    }
}

impl Atm {
    pub(super) fn set_rate(&mut self, command: &SetRate, out: &mut Out<'_, Self>) -> Result<Progress, Reject> {
        let SetRate { reference, markup, version, from, to, .. } = *command;
        let pays = counter_account(&self.ledger, from, command.pays)?;
        let receives = counter_account(&self.ledger, to, command.receives)?;
        let can_be = reference.is_valid() && markup <= MARKUP_MAX;
        let applied = if can_be { reference.with_markup(markup) } else { None }.ok_or(Reject::BadRate)?;
        let valid_until = Timestamp(command.valid_until_ns);
        let rule = Rule { valid_until, pays, receives, reference, applied, markup, version };
        let key = key(command.of.get(), from, to);
        let is_stale = |known: &Rule| version < known.version || version == known.version && rule != *known;
        if !rule.is_sound(&self.ledger, from, to) || self.rates.0.get(&key).is_some_and(is_stale) {
            return Err(Reject::BadRate);
        }
        self.rates.0.insert(key, rule).map_err(|Full| Reject::RatesFull)?;
        Ok(self.is_set(out))
    }

    pub(super) fn offer(
        &mut self,
        context: Context,
        command: &Offer,
        out: &mut Out<'_, Self>,
    ) -> Result<Progress, Reject> {
        self.terminals.get(command.terminal)?;
        let nothing = |code: ResponseCode| Offered { code: code.into(), ..Offered::zeroed() };
        let offered = self.offered(context.now, command).unwrap_or_else(nothing);
        out.reply(Reply::Offered(&offered));
        Ok(Progress::Done)
    }

    /// What is offered, or why nothing is: the order of precedence as far as it is known before there is a PIN.
    fn offered(&mut self, now: Timestamp, command: &Offer) -> Result<Offered, ResponseCode> {
        use ResponseCode as Code;
        let Self { terminals, cards, ledger, fees, rates, .. } = self;
        let terminal = terminals.get(command.terminal).expect("it was found");
        if !terminal.is_in_service() {
            return Err(Code::TerminalNotPermitted);
        }
        let card = &cards[cards.find(&command.token).ok_or(Code::InvalidCard)?];
        if let Some(code) = card.declines() {
            return Err(code);
        }
        let amount = match command.transaction.get() {
            TransactionType::Withdrawal => command.amount,
            TransactionType::FastCash if command.amount.0 > 0 => return Err(Code::InvalidAmount),
            TransactionType::FastCash if card.fast_cash.0 == 0 => return Err(Code::NotPermitted),
            TransactionType::FastCash => card.fast_cash,
            _ => return Err(Code::InvalidTransaction),
        };
        if !(1..=AMOUNT_MAX).contains(&amount.0) {
            return Err(Code::InvalidAmount);
        }
        let account = card.account(command.account.get())?;
        let currency = ledger[account].currency;
        if terminal.is_acquirer() || currency == terminal.currency {
            return Err(Code::InvalidTransaction);
        }
        let rule =
            rates.in_force(now, RateUse::Offered, terminal.currency, currency).ok_or(Code::InvalidTransaction)?;
        let (surcharge, _) = terminal.surcharge_on(account, amount);
        let billed = rule.applied.convert(Amount(amount.0 + surcharge.0));
        if !(1..=AMOUNT_MAX).contains(&billed.0) {
            return Err(Code::InvalidAmount);
        }
        let (fee, _) =
            fees.on(ledger, TransactionType::Withdrawal, Network::Own, account, rule.applied.convert(amount));
        Ok(Offered {
            amount,
            surcharge,
            billed,
            fee,
            valid_until_ns: rule.valid_until.0,
            rate: rule.applied,
            reference: rule.reference,
            markup: rule.markup,
            version: rule.version,
            currency,
            code: Code::Approved.into(),
            reserved: Reserved::default(),
        })
    }
}

/// Holds what is converted: what the account is debited, notes and surcharge in the terminal's currency, and the fee; or
/// nothing. Each part that is not the account's is given with the account that gets it.
pub(super) fn hold_converted(
    ledger: &mut Ledger,
    account: u32,
    Conversion { billed, pays, receives, .. }: Conversion,
    [cash, surcharge, fee]: [(Amount, u32); 3],
) -> Result<(), NotCovered> {
    if !ledger.bears(account, Amount(billed.0 + fee.0.0)) {
        return Err(NotCovered::Debit);
    }
    let parts = [(account, (billed, receives)), (pays, cash), (pays, surcharge), (account, fee)];
    for (at, (giver, (amount, to))) in parts.into_iter().enumerate().filter(|(_, (_, (amount, _)))| amount.0 > 0) {
        if ledger.hold(giver, to, amount).is_err() {
            for (giver, (amount, to)) in parts.into_iter().take(at).filter(|(_, (amount, _))| amount.0 > 0) {
                ledger.settle(giver, to, amount, Amount(0));
            }
            // The account bears it: a sum of another would leave its range.
            return Err(NotCovered::Credit);
        }
    }
    Ok(())
}
