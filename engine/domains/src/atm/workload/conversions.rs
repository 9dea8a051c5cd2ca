//! Rates, offers, and what customers say to them.

use super::super::messages::{
    AccountType, Amount, Authorize, Command, ConversionChoice, Offer, Rate, RateUse, RateVersion, SetRate, TerminalId,
    TransactionType,
};
use super::{BANK, DOLLAR, DOLLARS, EURO, FAST_CASH, Flow, customer, token};
use ringfence_kernel::ClientId;
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::workload::CommandImage;

impl Flow {
    /// How euro are converted into dollars; seldom what cannot be.
    pub(super) fn set_rate(&mut self, image: &mut CommandImage) {
        let random = &mut self.random;
        let later = u32::from(random.percent(85));
        self.rate_version += later;
        let rate = SetRate {
            pays: if random.percent(95) { BANK } else { customer(0) },
            receives: if random.percent(95) { DOLLARS } else { customer(4) },
            valid_until_ns: if random.percent(80) { u64::MAX } else { 1_000_000_000 + (self.steps + 300) * 1_000 },
            reference: Rate(match random.below(20) {
                0 => 0,
                1 => 9_000_000,
                2 => 99_999_999,
                _ => 60_000_000 + 1_000_000 + random.below(200_000) as u32,
            }),
            markup: if random.percent(95) { random.below(900) as u32 } else { 10_001 },
            version: RateVersion(self.rate_version.saturating_sub(random.below(2) as u32 * random.below(2) as u32)),
            from: EURO,
            to: if random.percent(95) { DOLLAR } else { EURO },
            of: if random.percent(65) { RateUse::Offered } else { RateUse::Issuer }.into(),
            reserved: Reserved::default(),
        };
        let can_be = rate.reference.is_valid() && rate.markup <= 900 && (rate.pays, rate.receives) == (BANK, DOLLARS);
        let is_new = rate.version.0 == self.rate_version && later == 1 && rate.to == DOLLAR;
        if rate.of == RateUse::Offered.into() && is_new && can_be {
            self.rate = Some(rate);
        }
        image.set(ClientId(1), Command::SetRate(&rate));
    }

    /// What a withdrawal would be debited.
    pub(super) fn offer(&mut self, image: &mut CommandImage) {
        let random = &mut self.random;
        let transaction = match random.below(10) {
            0 | 1 => TransactionType::FastCash,
            2 => TransactionType::Purchase,
            _ => TransactionType::Withdrawal,
        };
        let names_one = transaction != TransactionType::FastCash || random.percent(5);
        let offer = Offer {
            token: token(if random.percent(60) { 3 + 8 * random.below(2) } else { random.below(self.mix.cards + 1) }),
            amount: Amount(if names_one { 1_000 * random.below(25) } else { 0 }),
            terminal: TerminalId(1 + random.below(self.mix.terminals) as u32),
            transaction: transaction.into(),
            account: if random.percent(80) { AccountType::Cheque } else { AccountType::Savings }.into(),
            reserved: Reserved::default(),
        };
        image.set(self.client(offer.terminal), Command::Offer(&offer));
    }

    /// What was said to an offer: mostly of a card in dollars, and mostly as was stated.
    pub(super) fn choose(&mut self, authorize: &mut Authorize) {
        let random = &mut self.random;
        let is_theirs = [3, 4, 10, 11].iter().any(|card| authorize.token == token(*card));
        match (random.below(10), self.rate) {
            (0, _) => authorize.conversion = ConversionChoice::Declined.into(),
            (1, _) if random.percent(5) => authorize.billed = Amount(1),
            (1.., Some(rate)) if is_theirs && random.percent(75) || random.percent(3) => {
                let is_fast = authorize.transaction == TransactionType::FastCash.into();
                let amount = if is_fast { FAST_CASH } else { authorize.amount.0 };
                let all = Amount(amount + 150 * u64::from(authorize.terminal.0 % 2));
                let applied = rate.reference.is_valid().then(|| rate.reference.with_markup(rate.markup)).flatten();
                authorize.conversion = ConversionChoice::Accepted.into();
                authorize.billed = applied.map_or(Amount(7), |applied| applied.convert(all));
                authorize.billed_in = if random.percent(97) { DOLLAR } else { EURO };
                authorize.rate_version = rate.version;
                if random.percent(5) {
                    authorize.billed.0 += 1;
                }
            }
            _ => {}
        }
    }
}
