//! Seeded commands for benches, laws and simulation: terminals that dispense, repeat, reverse and fall silent.

mod conversions;
mod switch;

use super::messages::{
    AMOUNT_MAX, AccountNumber, AccountType, Amount, Authorize, BusinessDate, CASSETTES, CaptureCard, CardStatus,
    CassetteCount, CassetteLoad, ChangePin, Command, Complete, Constraint, ConversionChoice, CountCash, CountDeposit,
    Currency, Cutover, Forward, LoadCash, Network, Notes, OpenAccount, PinVerdict, PinVersion, RateVersion,
    ReplaceCard, Reverse, Service, SetAccountLimits, SetCard, SetCardStatus, SetCardTerms, SetFee, SetRate, SetService,
    SetTerminal, SetTerminalTerms, TerminalId, Trace, TransactionType, TransferEntry, TransferId, TransferKind,
    TransferLinked, UnloadCash,
};
use alloc::boxed::Box;
use alloc::vec::Vec;
use ringfence_kernel::ClientId;
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::random::Random;
use ringfence_kernel::workload::{CommandImage, Workload, WorkloadKind};

/// The kinds of commands. Client 1 opens accounts, issues cards and loads terminals first.
pub const KINDS: &[WorkloadKind] = &[
    WorkloadKind {
        name: "uniform",
        doc: "withdrawals from 10,000 cards and accounts at 1,000 terminals, each authorized and dispensed in full",
        new: |seed, clients| Box::new(Flow::new(seed, clients, UNIFORM)),
    },
    WorkloadKind {
        name: "hot",
        doc: "as uniform, with all cards on one account",
        new: |seed, clients| Box::new(Flow::new(seed, clients, Mix { accounts: 1, ..UNIFORM })),
    },
    WorkloadKind {
        name: "mixed",
        doc: "twelve cards: repeats, reversals before and after, silence, partial dispenses, wrong PINs, cutovers, and \
              all that an operator does",
        new: |seed, clients| Box::new(Flow::new(seed, clients, MIXED)),
    },
];

/// What a [`Flow`] is like.
#[derive(Clone, Copy, Debug)]
struct Mix {
    cards: u64,
    accounts: u64,
    terminals: u64,
    /// Share of commands, in a hundred, that are anything but an authorization and its full completion.
    trouble: u64,
    /// What each account starts with.
    funds: u64,
    confirm_within_ns: u64,
}

const UNIFORM: Mix = Mix {
    cards: 10_000,
    accounts: 10_000,
    terminals: 1_000,
    trouble: 0,
    funds: AMOUNT_MAX,
    confirm_within_ns: 60_000_000_000,
};
const MIXED: Mix = Mix { cards: 12, accounts: 7, terminals: 5, trouble: 45, funds: 40_000, confirm_within_ns: 40_000 };

const BANK: AccountNumber = AccountNumber(1);
/// What receives what is debited in another currency.
const DOLLARS: AccountNumber = AccountNumber(2);
const EURO: Currency = Currency(978);
const DOLLAR: Currency = Currency(840);
/// Commands from a cutover to the next in a mix without trouble: two business dates are kept by the default limits.
pub(super) const CUTOVER: u64 = 200_000;
/// What fast cash gives, where a card has any.
const FAST_CASH: u64 = 8_000;
/// What the cassettes of a terminal hold: 10, 20, 50 and 100 euro.
const DENOMINATIONS: [u32; CASSETTES] = [1_000, 2_000, 5_000, 10_000];

struct Flow {
    mix: Mix,
    random: Random,
    clients: u32,
    steps: u64,
    /// The trace numbers given last: one for all terminals where there is trouble, else one for each.
    traces: Vec<u32>,
    transfers: u64,
    /// The hold that was asked for last.
    hold: TransferId,
    date: u32,
    /// Transactions that were asked for, the latest last, and the notes that pay them.
    sent: Vec<(Authorize, Notes)>,
    /// What was asked of remote issuers, the latest last.
    forwarded: Vec<Forward>,
    /// The rate that was said last to be offered, and the version that any was given last.
    rate: Option<SetRate>,
    rate_version: u32,
}

fn token(card: u64) -> [u8; 16] {
    bytemuck::cast([card.wrapping_mul(0x9e37_79b9_7f4a_7c15), card])
}

fn customer(account: u64) -> AccountNumber {
    AccountNumber(1_000_000 + account)
}

fn cash(terminal: u64) -> AccountNumber {
    AccountNumber(500_000 + terminal)
}

impl Flow {
    fn new(seed: u64, clients: u32, mix: Mix) -> Self {
        let (random, clients, sent) = (Random::new(seed), clients.max(1), Vec::with_capacity(64));
        Self {
            mix,
            random,
            clients,
            steps: 0,
            traces: alloc::vec![0; if mix.trouble > 0 { 1 } else { mix.terminals as usize }],
            transfers: 0,
            hold: TransferId(0),
            date: 0,
            sent,
            forwarded: Vec::new(),
            rate: None,
            rate_version: 0,
        }
    }

    fn is_troubled(&self) -> bool {
        self.mix.trouble > 0
    }

    /// Where there is trouble two accounts are in dollars.
    fn is_in_dollars(&self, account: u64) -> bool {
        self.is_troubled() && matches!(account, 3 | 4)
    }

    fn open(
        account: AccountNumber,
        currency: Currency,
        constraint: Constraint,
        overdraft: u64,
        image: &mut CommandImage,
    ) {
        let (constraint, overdraft) = (constraint.into(), Amount(overdraft));
        let open = OpenAccount { account, overdraft, currency, constraint, reserved: Reserved::default() };
        image.set(ClientId(1), Command::OpenAccount(&open));
    }

    /// The version of a card's PIN, or one of the next. Where there is trouble it grows as time goes on: the operator always
    /// has a higher one for a card that is locked.
    fn pin_version(&mut self, of: u64) -> PinVersion {
        PinVersion(if self.is_troubled() { (self.steps >> 12) as u32 + self.random.below(of) as u32 } else { 0 })
    }

    fn card(&mut self, card: u64, status: CardStatus, image: &mut CommandImage) {
        let troubled = self.is_troubled();
        let set = SetCard {
            pin_version: self.pin_version(2),
            token: token(card),
            pin_reference: *b"0000            ",
            cheque: customer(card % self.mix.accounts),
            savings: if troubled && card.is_multiple_of(3) { customer(0) } else { AccountNumber(0) },
            credit: if troubled && card.is_multiple_of(4) { customer(1) } else { AccountNumber(0) },
            transaction_max: Amount(if troubled { 30_000 } else { 50_000 }),
            day_max: Amount(if troubled { 100_000 * (1 + card % 3) } else { u64::MAX }),
            day_count_max: if troubled { 2 + 4 * (card % 2) as u32 } else { u32::MAX },
            window_ns: if troubled { 100_000 * (card % 4) } else { 0 },
            window_count_max: if troubled { (card % 3) as u32 } else { 0 },
            last_four: *b"0000",
            status: status.into(),
            reserved: Reserved::default(),
        };
        image.set(ClientId(1), Command::SetCard(&set));
    }

    fn terminal(&self, terminal: u64, image: &mut CommandImage) {
        let confirm_within_ns = self.mix.confirm_within_ns;
        let (cash, terminal) = (cash(terminal), TerminalId(terminal as u32));
        let surcharge = Amount(if self.is_troubled() { 150 * u64::from(terminal.0 % 2) } else { 0 });
        let (fees, reserved) = (AccountNumber(surcharge.0.min(1) * BANK.0), Reserved::default());
        let set = SetTerminal { cash, fees, surcharge, confirm_within_ns, terminal, currency: EURO, reserved };
        image.set(ClientId(1), Command::SetTerminal(&set));
    }

    fn service(&self, terminal: u64, service: Service, image: &mut CommandImage) {
        let (terminal, reserved) = (TerminalId(terminal as u32), Reserved::default());
        let set = SetService { terminal, service: service.into(), reserved };
        image.set(self.client(terminal), Command::SetService(&set));
    }

    fn load(terminal: u64, loads: &[CassetteLoad], image: &mut CommandImage) {
        let (terminal, reserved) = (TerminalId(terminal as u32), Reserved::default());
        image.set(ClientId(1), Command::LoadCash(&LoadCash { vault: BANK, terminal, reserved }, loads));
    }

    /// A transfer with the next id, or seldom with an earlier one.
    fn entry(&mut self, kind: TransferKind, debit: AccountNumber, credit: AccountNumber, amount: u64) -> TransferEntry {
        self.transfers += 1;
        let late = self.is_troubled() && self.random.percent(10);
        let id = TransferId(self.transfers - if late { self.random.below(self.transfers.min(20)) } else { 0 });
        let (amount, hold, reserved) = (Amount(amount), TransferId(0), Reserved::default());
        TransferEntry { id, debit, credit, amount, hold, lasts_ns: 0, kind: kind.into(), reserved }
    }

    fn transfer(entries: &[TransferEntry], image: &mut CommandImage) {
        image.set(ClientId(1), Command::TransferLinked(&TransferLinked { reserved: Reserved::default() }, entries));
    }

    /// The commands that set the stage; whether `step` is one of them.
    fn set_up(&mut self, mut step: u64, image: &mut CommandImage) -> bool {
        let Mix { cards, accounts, terminals, funds, .. } = self.mix;
        if step == 0 {
            Self::open(BANK, EURO, Constraint::Free, 0, image);
            return true;
        }
        step -= 1;
        if self.is_troubled() {
            if step == 0 {
                Self::open(DOLLARS, DOLLAR, Constraint::Free, 0, image);
                return true;
            }
            step -= 1;
        }
        if step < accounts * 2 {
            let number = customer(step / 2);
            let (currency, bank) = if self.is_in_dollars(step / 2) { (DOLLAR, DOLLARS) } else { (EURO, BANK) };
            if step.is_multiple_of(2) {
                let overdraft = if self.is_troubled() && step == 2 { 20_000 } else { 0 };
                Self::open(number, currency, Constraint::Covered, overdraft, image);
            } else {
                let entry = self.entry(TransferKind::Move, bank, number, funds);
                Self::transfer(&[entry], image);
            }
            return true;
        }
        step -= accounts * 2;
        if step < terminals * 3 {
            let number = 1 + step / 3;
            match step % 3 {
                0 if self.is_acquirer(number) => Self::acquirer(number, self.mix.confirm_within_ns, image),
                0 => self.terminal(number, image),
                1 => {
                    let notes = if self.is_troubled() { 30 } else { 60_000 };
                    let loads = DENOMINATIONS.map(|denomination| CassetteLoad { denomination, notes });
                    Self::load(number, &loads, image);
                }
                _ => self.service(number, Service::In, image),
            }
            return true;
        }
        step -= terminals * 3;
        if step < cards {
            self.card(step, CardStatus::Active, image);
        }
        step < cards
    }

    /// The terminal's next trace number, or the last again.
    fn trace(&mut self, terminal: TerminalId, is_new: bool) -> Trace {
        let place = terminal.0 as usize % self.traces.len();
        self.traces[place] += u32::from(is_new);
        Trace(self.traces[place])
    }

    fn authorize(&mut self, image: &mut CommandImage) {
        let terminal = TerminalId(1 + self.random.below(self.mix.terminals) as u32);
        let trace = self.trace(terminal, true);
        let troubled = self.is_troubled();
        let random = &mut self.random;
        // Mostly one note of each of some cassettes; the terminal may pay in others.
        let notes: [u16; CASSETTES] = core::array::from_fn(|_| random.below(if troubled { 3 } else { 2 }) as u16);
        let notes = if notes == [0; CASSETTES] && !troubled { [0, 1, 0, 0] } else { notes };
        let worth = |(count, one): (&u16, u32)| u64::from(*count) * u64::from(one);
        let mut amount: u64 = notes.iter().zip(DENOMINATIONS).map(worth).sum();
        if troubled && random.percent(3) {
            amount = random.below(50) * 500;
        }
        let transaction = match random.below(100) {
            0..6 if troubled => TransactionType::BalanceInquiry,
            6..12 if troubled => TransactionType::Transfer,
            12..18 if troubled => TransactionType::Purchase,
            18..24 if troubled => TransactionType::Deposit,
            24..32 if troubled => TransactionType::FastCash,
            32..36 if troubled => TransactionType::MiniStatement,
            _ => TransactionType::Withdrawal,
        };
        let names_none = matches!(
            transaction,
            TransactionType::BalanceInquiry | TransactionType::MiniStatement | TransactionType::FastCash
        );
        if names_none && !random.percent(2) {
            amount = 0;
        }
        let buys = transaction == TransactionType::Purchase && random.percent(60) || troubled && random.percent(1);
        let cashback = Amount(if buys { random.below(amount + 1_000) } else { 0 });
        let of = |random: &mut Random| match random.below(100) {
            0..10 if troubled => AccountType::Savings,
            10..20 if troubled => AccountType::Credit,
            20..30 if troubled => AccountType::Default,
            _ => AccountType::Cheque,
        };
        let account = of(random);
        let named = transaction == TransactionType::Transfer || troubled && random.percent(1);
        let to = if named { of(random) } else { AccountType::Default };
        let of_dollars = troubled && random.percent(12);
        let any = self.mix.cards + u64::from(troubled);
        let card = if of_dollars { 3 + 8 * random.below(2) } else { random.below(any) };
        let wrong = troubled && random.percent(if card == 5 { 50 } else { 8 });
        let pin_version = self.pin_version(2);
        let mut authorize = Authorize {
            token: token(card),
            amount: Amount(amount),
            cashback,
            terminal,
            trace,
            date: BusinessDate(self.date),
            pin_version,
            pin: if wrong { PinVerdict::Wrong } else { PinVerdict::Right }.into(),
            transaction: transaction.into(),
            account: account.into(),
            to: to.into(),
            ..unconverted()
        };
        if troubled {
            self.choose(&mut authorize);
        }
        let notes = if transaction == TransactionType::FastCash { greedy(FAST_CASH) } else { greedy(amount) };
        self.remember(authorize, notes);
        self.send(&authorize, image);
    }

    fn remember(&mut self, authorize: Authorize, notes: Notes) {
        if self.sent.len() == 64 {
            self.sent.remove(0);
        }
        self.sent.push((authorize, notes));
    }

    /// A change of PIN, or another one under the key of the last.
    fn change_pin(&mut self, image: &mut CommandImage) {
        let terminal = TerminalId(1 + self.random.below(2) as u32);
        let is_new = self.random.percent(60);
        let (trace, pin_version) = (self.trace(terminal, is_new), self.pin_version(3));
        let random = &mut self.random;
        let change = ChangePin {
            token: token(random.below(self.mix.cards)),
            new_pin_reference: [b'0' + random.below(2) as u8; 16],
            terminal,
            trace,
            date: BusinessDate(self.date),
            pin_version,
            pin: if random.percent(20) { PinVerdict::Wrong } else { PinVerdict::Right }.into(),
            reserved: Reserved::default(),
        };
        image.set(self.client(change.terminal), Command::ChangePin(&change));
        // It may be completed, reversed, or asked for as another transaction.
        let ChangePin { token, date, pin_version, pin, .. } = change;
        let transaction = TransactionType::BalanceInquiry.into();
        let sent = Authorize { token, terminal, trace, date, pin_version, pin, transaction, ..unconverted() };
        self.remember(sent, Notes(0));
    }

    fn client(&self, terminal: TerminalId) -> ClientId {
        ClientId(1 + terminal.0 % self.clients)
    }

    fn send(&self, authorize: &Authorize, image: &mut CommandImage) {
        image.set(self.client(authorize.terminal), Command::Authorize(authorize));
    }

    fn complete(&self, sent: &Authorize, notes: Notes, image: &mut CommandImage) {
        let Authorize { terminal, trace, date, .. } = *sent;
        let complete = Complete { notes, terminal, trace, date, reserved: Reserved::default() };
        image.set(self.client(terminal), Command::Complete(&complete));
    }

    fn reverse(&self, sent: &Authorize, image: &mut CommandImage) {
        let Authorize { terminal, trace, date, .. } = *sent;
        let reverse = Reverse { terminal, trace, date, reserved: Reserved::default() };
        image.set(self.client(terminal), Command::Reverse(&reverse));
    }

    fn cutover(&mut self, image: &mut CommandImage) {
        self.date += 1;
        let cutover = Cutover { date: BusinessDate(self.date), reserved: Reserved::default() };
        image.set(ClientId(1), Command::Cutover(&cutover));
    }

    fn trouble(&mut self, image: &mut CommandImage) {
        let latest = self.sent.len().max(1) as u64;
        let Some((mut sent, notes)) = self.sent.get(self.random.below(latest) as usize).copied() else {
            return self.authorize(image);
        };
        match self.random.below(36) {
            24.. => self.switch_command(image),
            21 => self.count_deposit(&sent, image),
            22 if self.random.percent(70) => self.more_terms(image),
            22 => self.set_fee(image),
            20 if self.random.percent(20) => self.set_rate(image),
            20 if self.random.percent(15) => self.offer(image),
            0..3 => self.send(&sent, image),
            3 => {
                sent.amount.0 += 1_000;
                self.send(&sent, image);
            }
            4 | 5 => self.reverse(&sent, image),
            6 => {
                // The reversal comes first; its original may come as a repeat.
                sent.trace = self.trace(sent.terminal, true);
                self.sent[0] = (sent, notes);
                self.reverse(&sent, image);
            }
            7..10 => {
                let some = notes.counts().map(|count| self.random.below(u64::from(count) + 1) as u16);
                self.complete(&sent, Notes::new(some), image);
            }
            10 => self.complete(&sent, Notes(0), image),
            11 => {
                let other = Notes::new([0, self.random.below(3) as u16, 1, 0]);
                self.complete(&sent, other, image);
            }
            12..14 => self.card_command(image),
            14..17 => self.terminal_command(image),
            17 if self.random.percent(10) => self.cutover(image),
            19 => self.change_pin(image),
            18 => Self::open(customer(self.random.below(9)), EURO, Constraint::Covered, self.random.below(2), image),
            _ => self.transfer_command(image),
        }
    }

    /// A deposit is counted, mostly to what was said; or something else is, which is none.
    fn count_deposit(&mut self, sent: &Authorize, image: &mut CommandImage) {
        let last = self.sent.iter().rev().find(|(sent, _)| sent.transaction == TransactionType::Deposit.into());
        let Authorize { terminal, trace, date, amount, .. } = *last.map_or(sent, |(sent, _)| sent);
        let counted = if self.random.percent(60) { amount } else { Amount(self.random.below(20_000)) };
        let count = CountDeposit { counted, terminal, trace, date, reserved: Reserved::default() };
        image.set(ClientId(1), Command::CountDeposit(&count));
    }

    /// What a kind of transaction costs; seldom what cannot be.
    fn set_fee(&mut self, image: &mut CommandImage) {
        const KINDS: [TransactionType; 8] = [
            TransactionType::Withdrawal,
            TransactionType::Withdrawal,
            TransactionType::Withdrawal,
            TransactionType::BalanceInquiry,
            TransactionType::MiniStatement,
            TransactionType::Transfer,
            TransactionType::Purchase,
            TransactionType::Deposit,
        ];
        const NETWORKS: [Network; 4] = [Network::Own, Network::Own, Network::Acquirer, Network::Issuer];
        let random = &mut self.random;
        let fee = SetFee {
            income: match random.below(5) {
                0 => AccountNumber(0),
                1 => customer(random.below(9)),
                _ => BANK,
            },
            fixed: Amount(random.below(3) * 70),
            least: Amount(random.below(3) * 60),
            most: Amount(50 + random.below(400)),
            rate: if random.percent(95) { random.below(300) as u32 } else { 10_001 },
            currency: EURO,
            transaction: KINDS[random.below(8) as usize].into(),
            network: NETWORKS[random.below(4) as usize].into(),
        };
        image.set(ClientId(1), Command::SetFee(&fee));
    }

    /// What a terminal does beside withdrawals; limits of an account; fast cash and the amount of a window.
    fn more_terms(&mut self, image: &mut CommandImage) {
        let random = &mut self.random;
        match random.below(4) {
            0 | 1 => {
                let account = |random: &mut Random| match random.below(5) {
                    0 => AccountNumber(0),
                    1 => customer(random.below(9)),
                    _ => BANK,
                };
                let terms = SetTerminalTerms {
                    merchant: account(random),
                    deposits: account(random),
                    transaction_max: Amount(15_000 + random.below(20_000)),
                    day_max: Amount(20_000 + random.below(1_000_000)),
                    window_ns: random.below(30) * 1_000,
                    window_max: Amount(random.below(4) * 12_000),
                    surcharge_max: Amount(random.below(400)),
                    surcharge_rate: random.below(250) as u32,
                    terminal: TerminalId(random.below(self.mix.terminals + 1) as u32),
                    day_count_max: 5 + random.below(30) as u32,
                    window_count_max: random.below(9) as u32,
                };
                image.set(ClientId(1), Command::SetTerminalTerms(&terms));
            }
            2 => {
                let limits = SetAccountLimits {
                    account: customer(random.below(7)),
                    transaction_max: Amount(15_000 + random.below(20_000)),
                    day_max: Amount(20_000 + random.below(60_000)),
                    window_ns: random.below(40) * 1_000,
                    window_max: Amount(random.below(4) * 12_000),
                    day_count_max: random.below(12) as u32,
                    window_count_max: random.below(10) as u32,
                };
                image.set(ClientId(1), Command::SetAccountLimits(&limits));
            }
            _ => {
                let (token, window_max) = (token(random.below(self.mix.cards + 1)), Amount(random.below(3) * 12_000));
                let fast_cash = Amount(match random.below(10) {
                    0 => 0,
                    1 => 7,
                    2 => u64::MAX,
                    _ => FAST_CASH,
                });
                image.set(ClientId(1), Command::SetCardTerms(&SetCardTerms { token, fast_cash, window_max }));
            }
        }
    }

    fn card_command(&mut self, image: &mut CommandImage) {
        const STATUSES: [CardStatus; 7] = [
            CardStatus::Active,
            CardStatus::Active,
            CardStatus::Blocked,
            CardStatus::Lost,
            CardStatus::Stolen,
            CardStatus::Expired,
            CardStatus::Retained,
        ];
        let (card, status) = (self.random.below(self.mix.cards), STATUSES[self.random.below(7) as usize]);
        let (token, new_token) = (token(card), token(self.random.below(self.mix.cards + 40)));
        match self.random.below(8) {
            0..4 => self.card(card, CardStatus::Active, image),
            4 => self.card(card, status, image),
            5 => {
                let set = SetCardStatus { token, status: status.into(), reserved: Reserved::default() };
                image.set(ClientId(1), Command::SetCardStatus(&set));
            }
            6 => {
                let (pin_reference, pin_version, last_four) = (*b"1111            ", PinVersion(0), *b"1111");
                let replace = ReplaceCard { token, new_token, pin_reference, pin_version, last_four };
                image.set(ClientId(1), Command::ReplaceCard(&replace));
            }
            _ => {
                let terminal = TerminalId(self.random.below(self.mix.terminals + 1) as u32);
                let capture = CaptureCard { token, terminal, reserved: Reserved::default() };
                image.set(self.client(terminal), Command::CaptureCard(&capture));
            }
        }
    }

    fn terminal_command(&mut self, image: &mut CommandImage) {
        let number = self.random.below(self.mix.terminals + 2);
        let (terminal, reserved) = (TerminalId(number as u32), Reserved::default());
        match self.random.below(12) {
            0..2 => self.terminal(number, image),
            2 => self.service(number, Service::Out, image),
            3..8 => self.service(number, Service::In, image),
            8 | 9 => {
                let other = self.random.percent(20);
                let loads = DENOMINATIONS.map(|denomination| CassetteLoad {
                    denomination: if other { denomination / 2 } else { denomination },
                    notes: self.random.below(8) as u32,
                });
                Self::load(number, &loads[..self.random.below(5) as usize], image);
            }
            10 if self.random.percent(30) => {
                image.set(ClientId(1), Command::UnloadCash(&UnloadCash { vault: BANK, terminal, reserved }));
            }
            _ => {
                let counts: [CassetteCount; CASSETTES] = core::array::from_fn(|_| CassetteCount {
                    notes: 10 + self.random.below(20) as u32,
                    reserved: Reserved::default(),
                });
                let count = CountCash { difference: BANK, terminal, reserved };
                image.set(ClientId(1), Command::CountCash(&count, &counts));
            }
        }
    }

    fn transfer_command(&mut self, image: &mut CommandImage) {
        let count = 1 + self.random.below(3);
        let mut entries = Vec::new();
        for _ in 0..count {
            let number = |random: &mut Random| match random.below(4) {
                0 | 1 => BANK,
                2 => customer(random.below(9)),
                _ if random.percent(20) => cash(1 + random.below(5)),
                _ => customer(random.below(3)),
            };
            let (mut debit, mut credit) = (number(&mut self.random), number(&mut self.random));
            if self.random.percent(10) {
                (debit, credit) = (DOLLARS, customer(3 + self.random.below(2)));
            }
            let amount = if self.random.percent(10) { 0 } else { self.random.below(30_000) };
            let mut entry = match self.random.below(5) {
                0 | 1 => self.entry(TransferKind::Move, debit, credit, amount),
                2 => self.entry(TransferKind::Hold, debit, credit, amount),
                3 => self.entry(TransferKind::Post, AccountNumber(0), AccountNumber(0), amount),
                _ => self.entry(TransferKind::Void, AccountNumber(0), AccountNumber(0), 0),
            };
            match entry.kind.get() {
                TransferKind::Hold => {
                    entry.lasts_ns = self.random.below(3) * 30_000;
                    self.hold = entry.id;
                }
                TransferKind::Post | TransferKind::Void => entry.hold = self.hold,
                TransferKind::Move => {}
            }
            entries.push(entry);
        }
        Self::transfer(&entries, image);
    }
}

/// An inquiry that accepts nothing.
fn unconverted() -> Authorize {
    Authorize {
        token: [0; 16],
        amount: Amount(0),
        cashback: Amount(0),
        billed: Amount(0),
        terminal: TerminalId(0),
        trace: Trace(0),
        date: BusinessDate(0),
        pin_version: PinVersion(0),
        pin: PinVerdict::Right.into(),
        transaction: TransactionType::BalanceInquiry.into(),
        account: AccountType::Default.into(),
        to: AccountType::Default.into(),
        rate_version: RateVersion(0),
        billed_in: Currency(0),
        conversion: ConversionChoice::None.into(),
        reserved: Reserved::default(),
    }
}

/// The notes that a terminal with enough of each pays.
fn greedy(mut amount: u64) -> Notes {
    let mut counts = [0; CASSETTES];
    for (count, one) in counts.iter_mut().zip(DENOMINATIONS).rev() {
        (*count, amount) = ((amount / u64::from(one)) as u16, amount % u64::from(one));
    }
    Notes::new(counts)
}

impl Workload for Flow {
    fn next(&mut self, image: &mut CommandImage) {
        let step = self.steps;
        self.steps += 1;
        if self.set_up(step, image) {
            return;
        }
        if self.random.percent(self.mix.trouble) {
            return self.trouble(image);
        }
        if self.mix.trouble == 0 && step % CUTOVER == 1 {
            return self.cutover(image);
        }
        match self.sent.last().copied().filter(|_| step.is_multiple_of(2)) {
            Some((sent, notes)) => self.complete(&sent, notes, image),
            None => self.authorize(image),
        }
    }
}
