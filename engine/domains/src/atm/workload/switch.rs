//! Remote issuers that approve, decline and fall silent, and another acquirer.

use super::super::messages::{
    AccountType, AccountTypeCode, Acknowledge, Advise, Amount, Answer, Authorize, Balance, BusinessDate, Command,
    Forward, IssuerId, IssuerOutcome, Notes, Reconcile, ResponseCode, SetAcquirer, SetIssuer, SetRoute, TerminalId,
    Trace, TransactionType,
};
use super::{BANK, EURO, Flow, customer, greedy, token, unconverted};
use ringfence_kernel::ClientId;
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::workload::CommandImage;

/// Prefixes of routes, and card numbers that begin so or not.
const PREFIXES: [(u32, u8); 4] = [(4, 1), (42, 2), (424_242, 6), (42_424_242, 8)];
const BINS: [u32; 4] = [42_424_242, 42_000_000, 40_000_000, 51_000_000];

impl Flow {
    /// Where there is trouble the last terminal is another acquirer.
    pub(super) fn is_acquirer(&self, number: u64) -> bool {
        self.is_troubled() && number == self.mix.terminals
    }

    pub(super) fn acquirer(number: u64, confirm_within_ns: u64, image: &mut CommandImage) {
        let (settlement, terminal, reserved) = (BANK, TerminalId(number as u32), Reserved::default());
        let set = SetAcquirer { settlement, confirm_within_ns, terminal, currency: EURO, reserved };
        image.set(ClientId(1), Command::SetAcquirer(&set));
    }

    pub(super) fn switch_command(&mut self, image: &mut CommandImage) {
        let latest = self.forwarded.len() as u64;
        let some = match latest {
            0 => None,
            _ => self.forwarded.get(self.random.below(latest) as usize).copied(),
        };
        let last = self.forwarded.last().copied();
        match (self.random.below(20), some) {
            (0, _) => self.set_issuer(image),
            (1, _) => self.set_route(image),
            (2, _) => {
                let number = self.mix.terminals - self.random.below(2);
                Self::acquirer(number, self.mix.confirm_within_ns, image);
            }
            (3, _) if self.random.percent(30) => self.reconcile(image),
            (3..6, _) => self.advise(image),
            (6..10, _) | (_, None) => self.forward(image),
            (10, Some(asked)) => image.set(self.client(asked.terminal), Command::Forward(&asked)),
            (11..14, Some(asked)) => self.answer(&last.unwrap_or(asked), image),
            (14..16, Some(asked)) => self.answer(&asked, image),
            (16..18, Some(asked)) => self.acknowledge(&asked, image),
            (_, Some(asked)) => self.complete(&as_authorize(&asked), greedy(asked.amount.0), image),
        }
    }

    /// The other acquirer says what it has of the date before, which nobody told this workload.
    fn reconcile(&mut self, image: &mut CommandImage) {
        let random = &mut self.random;
        let said = Amount(1_000 * random.below(3));
        let mut few = || random.below(8) as u32 / 7;
        let (debits, debits_reversed, credits, credits_reversed) = (few() + few(), few(), few(), few());
        let reconcile = Reconcile {
            debit_amount: said,
            debit_reversed_amount: Amount(few().into()),
            credit_amount: Amount(few().into()),
            credit_reversed_amount: Amount(few().into()),
            net: Balance(said.0 as i64 - i64::from(few())),
            debits,
            debits_reversed,
            credits,
            credits_reversed,
            terminal: TerminalId(self.mix.terminals as u32 - few()),
            date: BusinessDate((self.date + few()).saturating_sub(1)),
        };
        image.set(self.client(reconcile.terminal), Command::Reconcile(&reconcile));
    }

    fn set_issuer(&mut self, image: &mut CommandImage) {
        let random = &mut self.random;
        let issuer = SetIssuer {
            settlement: if random.percent(70) { BANK } else { customer(random.below(8)) },
            stand_in_max: Amount(random.below(3) * 10_000),
            stand_in_day_max: Amount(20_000 + random.below(60_000)),
            advice_lasts_ns: random.below(20) * 8_000,
            stand_in_day_count_max: random.below(6) as u32,
            issuer: IssuerId(if random.percent(80) { 1 } else { random.below(4) as u16 }),
            reserved: Reserved::default(),
        };
        image.set(ClientId(1), Command::SetIssuer(&issuer));
    }

    fn set_route(&mut self, image: &mut CommandImage) {
        let random = &mut self.random;
        let (mut prefix, digits) = PREFIXES[random.below(4) as usize];
        prefix += u32::from(random.percent(20));
        let issuer = IssuerId(if random.percent(85) { 1 } else { random.below(4) as u16 });
        let reserved = Reserved::default();
        image.set(ClientId(1), Command::SetRoute(&SetRoute { prefix, digits, reserved, issuer }));
    }

    fn forward(&mut self, image: &mut CommandImage) {
        let terminal = TerminalId(1 + self.random.below(self.mix.terminals) as u32);
        let trace = self.trace(terminal, true);
        let random = &mut self.random;
        let transaction = match random.below(20) {
            0 | 1 => TransactionType::BalanceInquiry,
            2 => TransactionType::Purchase,
            _ => TransactionType::Withdrawal,
        };
        let asks = transaction != TransactionType::BalanceInquiry || random.percent(5);
        let asked = Forward {
            token: token(100 + random.below(8)),
            amount: Amount(if asks { 1_000 * random.below(25) } else { 0 }),
            terminal,
            trace,
            date: BusinessDate(self.date),
            bin: BINS[random.below(4) as usize],
            issuer: IssuerId(if random.percent(90) { 1 } else { random.below(3) as u16 }),
            transaction: transaction.into(),
            account: if random.percent(80) { AccountType::Cheque } else { AccountType::Savings }.into(),
            reserved: Reserved::default(),
        };
        if self.forwarded.len() == 12 {
            self.forwarded.remove(0);
        }
        self.forwarded.push(asked);
        self.remember(as_authorize(&asked), greedy(asked.amount.0));
        image.set(self.client(terminal), Command::Forward(&asked));
    }

    fn answer(&mut self, asked: &Forward, image: &mut CommandImage) {
        const CODES: [ResponseCode; 3] =
            [ResponseCode::DoNotHonour, ResponseCode::FormatError, ResponseCode::InsufficientFunds];
        let random = &mut self.random;
        let code = if random.percent(60) { ResponseCode::Approved } else { CODES[random.below(3) as usize] };
        let outcome = if random.percent(65) { IssuerOutcome::Answered } else { IssuerOutcome::Silent };
        let Forward { terminal, trace, date, .. } = *asked;
        let (balance, available) = (Balance(random.below(1_000) as i64), Balance(random.below(1_000) as i64));
        let (code, outcome, reserved) = (code.into(), outcome.into(), Reserved::default());
        let answer = Answer { balance, available, terminal, trace, date, code, outcome, reserved };
        image.set(self.client(terminal), Command::Answer(&answer));
    }

    fn acknowledge(&mut self, asked: &Forward, image: &mut CommandImage) {
        let random = &mut self.random;
        let amount = match random.below(6) {
            0 | 1 => Amount(0),
            2 => Amount(1_000 * random.below(25)),
            3 | 4 => Amount(asked.amount.0 + 150 * u64::from(asked.terminal.0 % 2)),
            _ => asked.amount,
        };
        let code = if random.percent(85) { ResponseCode::Approved } else { ResponseCode::InvalidCard }.into();
        let (Forward { terminal, trace, date, .. }, reserved) = (*asked, Reserved::default());
        let acknowledge = Acknowledge { amount, terminal, trace, date, code, reserved };
        image.set(self.client(terminal), Command::Acknowledge(&acknowledge));
    }

    /// The other acquirer says what was taken: of what it asked for, or of what nobody knows.
    fn advise(&mut self, image: &mut CommandImage) {
        let acquirer = TerminalId(self.mix.terminals as u32);
        let asked = self.sent.iter().rev().map(|(sent, _)| *sent);
        let last = asked.filter(|sent| sent.terminal == acquirer).nth(self.random.below(3) as usize);
        let (is_new, trace) = (self.random.percent(30), self.trace(acquirer, true));
        let random = &mut self.random;
        let advise = match last.filter(|_| !is_new) {
            Some(Authorize { token, mut amount, terminal, trace, date, account, .. }) => {
                if random.percent(30) {
                    amount = Amount(random.below(30_000));
                }
                Advise { token, amount, terminal, trace, date, account, reserved: Reserved::default() }
            }
            None => Advise {
                token: token(random.below(self.mix.cards + 1)),
                amount: Amount(1_000 * random.below(30)),
                terminal: if random.percent(95) { acquirer } else { TerminalId(1) },
                trace,
                date: BusinessDate(self.date),
                account: if random.percent(90) { AccountType::Cheque } else { AccountType::Savings }.into(),
                reserved: Reserved::default(),
            },
        };
        let Advise { token, amount, terminal, trace, date, account, .. } = advise;
        let transaction = TransactionType::Withdrawal.into();
        self.remember(Authorize { transaction, ..authorize(token, amount, terminal, trace, date, account) }, Notes(0));
        image.set(self.client(terminal), Command::Advise(&advise));
    }
}

/// As it would be asked of this host.
fn as_authorize(asked: &Forward) -> Authorize {
    let Forward { token, amount, terminal, trace, date, transaction, account, .. } = *asked;
    Authorize { transaction, ..authorize(token, amount, terminal, trace, date, account) }
}

fn authorize(
    token: [u8; 16],
    amount: Amount,
    terminal: TerminalId,
    trace: Trace,
    date: BusinessDate,
    account: AccountTypeCode,
) -> Authorize {
    let transaction = TransactionType::Withdrawal.into();
    Authorize { token, amount, terminal, trace, date, transaction, account, ..unconverted() }
}
