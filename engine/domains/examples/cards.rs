//! What memory atm needs for 10⁷ cards, each with an account of its own: `cargo run --release -p ringfence-domains
//! --example cards`. Every account is opened and funded, every card issued, and every hundredth withdraws, in full.
#![allow(clippy::print_stdout, reason = "a command's edge")]

use ringfence_domains::atm::Atm;
use ringfence_domains::atm::messages::{
    AMOUNT_MAX, AccountNumber, AccountType, Amount, AtmLimits, Authorize, BusinessDate, CardStatus, CassetteLoad,
    Command, Complete, Constraint, ConversionChoice, Currency, Cutover, LoadCash, Notes, OpenAccount, PinVerdict,
    PinVersion, RateVersion, Service, SetCard, SetService, SetTerminal, TerminalId, Trace, TransactionType,
    TransferEntry, TransferId, TransferKind, TransferLinked,
};
use ringfence_kernel::laws::{Harness, Step};
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::workload::CommandImage;
use ringfence_kernel::{ClientId, Timestamp};

const CARDS: u64 = 10_000_000;
const FIRST: u64 = 1_000;
const EURO: Currency = Currency(978);

fn main() {
    let resident = || {
        let status = std::fs::read_to_string("/proc/self/status").expect("a process has a status");
        let line = status.lines().find(|line| line.starts_with("VmRSS")).expect("and resident memory");
        line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).expect("in KiB") * 1024
    };
    let before = resident();
    let limits = AtmLimits {
        accounts: CARDS + 2,
        cards: CARDS,
        terminals: 1,
        transactions: 1 << 18,
        transfers: 1 << 18,
        issuers: 2,
        routes: 6,
        stood_in: 5,
        movements: 0,
        fees: 1,
        rates: 1,
    };
    let mut atm = Harness::<Atm>::new(&limits);
    let mut image = CommandImage::default();
    let mut step = |command: Command<'_>| {
        image.set(ClientId(1), command);
        let outcome = atm.step(&Step::Command(image.clone()), Timestamp(1), false);
        assert!(outcome.reject.is_none(), "refused: {:?}", outcome.reject);
    };
    let open = |account: u64, constraint: Constraint| OpenAccount {
        account: AccountNumber(account),
        overdraft: Amount(0),
        currency: EURO,
        constraint: constraint.into(),
        reserved: Reserved::default(),
    };
    let (vault, cash, terminal) = (AccountNumber(1), AccountNumber(2), TerminalId(1));
    step(Command::OpenAccount(&open(1, Constraint::Free)));
    step(Command::SetTerminal(&SetTerminal {
        cash,
        fees: AccountNumber(0),
        surcharge: Amount(0),
        confirm_within_ns: 1_000,
        terminal,
        currency: EURO,
        reserved: Reserved::default(),
    }));
    let load = LoadCash { vault, terminal, reserved: Reserved::default() };
    step(Command::LoadCash(&load, &[CassetteLoad { denomination: 1_000, notes: 65_535 }; 2]));
    step(Command::SetService(&SetService { terminal, service: Service::In.into(), reserved: Reserved::default() }));
    for number in 0..CARDS {
        // Transfers are kept for two business dates.
        if number % 100_000 == 0 {
            let date = BusinessDate((number / 100_000) as u32 + 1);
            step(Command::Cutover(&Cutover { date, reserved: Reserved::default() }));
        }
        let account = AccountNumber(FIRST + number);
        step(Command::OpenAccount(&open(account.0, Constraint::Covered)));
        let funds = TransferEntry {
            id: TransferId(number + 1),
            debit: vault,
            credit: account,
            amount: Amount(100_000),
            hold: TransferId(0),
            lasts_ns: 0,
            kind: TransferKind::Move.into(),
            reserved: Reserved::default(),
        };
        step(Command::TransferLinked(&TransferLinked { reserved: Reserved::default() }, &[funds]));
        step(Command::SetCard(&SetCard {
            token: token(number),
            pin_reference: *b"0000            ",
            cheque: account,
            savings: AccountNumber(0),
            credit: AccountNumber(0),
            transaction_max: Amount(AMOUNT_MAX),
            day_max: Amount(AMOUNT_MAX),
            day_count_max: 10,
            window_ns: 0,
            window_count_max: 0,
            pin_version: PinVersion(0),
            last_four: *b"0000",
            status: CardStatus::Active.into(),
            reserved: Reserved::default(),
        }));
    }
    let (date, reserved) = (BusinessDate((CARDS / 100_000) as u32), Reserved::default());
    for number in (0..CARDS).step_by(100) {
        let trace = Trace((number / 100) as u32);
        step(Command::Authorize(&Authorize {
            token: token(number),
            amount: Amount(1_000),
            cashback: Amount(0),
            billed: Amount(0),
            terminal,
            trace,
            date,
            pin_version: PinVersion(0),
            pin: PinVerdict::Right.into(),
            transaction: TransactionType::Withdrawal.into(),
            account: AccountType::Cheque.into(),
            to: AccountType::Default.into(),
            rate_version: RateVersion(0),
            billed_in: Currency(0),
            conversion: ConversionChoice::None.into(),
            reserved: Reserved::default(),
        }));
        let notes = if number / 100 < 65_535 { Notes::new([1, 0, 0, 0]) } else { Notes::new([0, 1, 0, 0]) };
        step(Command::Complete(&Complete { notes, terminal, trace, date, reserved }));
    }
    let used = resident() - before;
    println!("{CARDS} cards and accounts: {} MiB, {:.1} bytes a card", used >> 20, used as f64 / CARDS as f64);
}

fn token(card: u64) -> [u8; 16] {
    let [high, low] = [card.wrapping_mul(0x9e37_79b9_7f4a_7c15), card];
    bytemuck::cast([high, low])
}
