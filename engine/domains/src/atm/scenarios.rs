//! Runs the transcripts in `scenarios`: what clients ask, and below each request everything that is said.
//!
//! ```text
//! # Words after a number sign are for the reader.
//! at 5                                      time goes on to 5 ns after the start
//! withdraw 1 120 card=7                     card 7 asks for 120 at terminal 1, trace number 1
//!   -> 1: 00 Approved, 120 in notes [2, 1, 0, 0], balance 500, available 380
//! ```
//!
//! Requests: `account N free|covered [in=CURRENCY] [overdraft=N]`; transfers, linked by `+`: `move ID DEBIT CREDIT AMOUNT`,
//! `hold ID DEBIT CREDIT AMOUNT [for=T]`, `post ID HOLD AMOUNT`, `void ID HOLD`; `card N [cheque=A] [savings=A]
//! [credit=A] [max=N] [day=N] [count=N] [window=T within=N] [version=N] [status=S]`, `status N S`, `replace N by N [version=N]`; `terminal T
//! cash=A within=T [in=CURRENCY] [fees=A surcharge=N]`, `service T In|Out`, `load T from A: DENOMINATION*NOTES …`, `unload T to A`, `count T
//! against A: NOTES …`, `capture N at T`; `cutover DATE`; `withdraw TRACE AMOUNT card=N [at=T] [date=D] [of=Savings]
//! [version=N] [wrong]`, `inquire TRACE …`, `statement TRACE …` and `transfer TRACE AMOUNT [to=Savings] …` likewise, `pin TRACE REFERENCE
//! card=N …`, `buy TRACE AMOUNT [cashback=N] …`, `deposit TRACE AMOUNT …`, `fast TRACE …`, `counted TRACE AMOUNT …`, `terms T
//! [merchant=A] [deposits=A] [max=N] [day=N] [count=N] [window=T within=N amount=N] [rate=N most=N]`, `limit A [max=N]
//! [day=N] [count=N] [window=T within=N amount=N]`, `more CARD [fast=N] [window=N]`, `fee KIND
//! NETWORK [to=A] [fixed=N] [rate=N] [least=N] [most=N]`, `rate Offered|Issuer pays=A receives=A reference=N [markup=N] [version=N]
//! [until=T] [in=CURRENCY] [into=CURRENCY]`, `offer AMOUNT|fast|buy AMOUNT [of=Savings]`, and behind a withdrawal `accepts=N rate=VERSION
//! [billing=CURRENCY]` or `declines`; `complete TRACE [at=T] [date=D]: NOTES …`, `reverse TRACE [at=T]
//! [date=D]`; what `switch_scenarios.rs` has.
//!
//! Each transcript is run against the domain and its model. `RINGFENCE_BLESS=1 cargo test -p ringfence-domains
//! scenarios` writes what is said into the files: read the difference before it is committed.

use super::messages::{
    AMOUNT_MAX, AccountNumber, AccountType, Amount, AtmLimits, Authorize, BusinessDate, CaptureCard, CardStatus,
    CassetteCount, CassetteLoad, ChangePin, Command, Complete, Constraint, ConversionChoice, CountCash, CountDeposit,
    Currency, Cutover, Event, LoadCash, Network, Notes, Offer, OpenAccount, PinVerdict, PinVersion, Rate, RateUse,
    RateVersion, ReplaceCard, Reply, ResponseCode, Reverse, Service, SetAccountLimits, SetCard, SetCardStatus,
    SetCardTerms, SetFee, SetRate, SetService, SetTerminal, SetTerminalTerms, TerminalId, Trace, TransactionType,
    TransferEntry, TransferId, TransferKind, TransferLinked, TransferOutcome, UnloadCash,
};
use super::model::Model;
use super::{Atm, switch_scenarios, topics};
use crate::tests::{Transcripts, nanoseconds};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use ringfence_kernel::image::{OUTPUT_HEADER_BYTES, Slot, kind};
use ringfence_kernel::laws::Step;
use ringfence_kernel::messages::{Message, Reserved};
use ringfence_kernel::outbox::image;
use ringfence_kernel::workload::CommandImage;
use ringfence_kernel::{ClientId, OutputHeader};

const LIMITS: AtmLimits = AtmLimits {
    accounts: 8,
    cards: 4,
    terminals: 2,
    transactions: 8,
    transfers: 32,
    issuers: 2,
    routes: 6,
    stood_in: 5,
    movements: 3,
    fees: 4,
    rates: 3,
};

/// Guards against a rule that is not kept: each transcript names one at its top.
#[test]
fn scenarios_are_as_written() {
    let transcripts = Transcripts::<Model> {
        folder: "atm/scenarios",
        least: 10,
        limits: LIMITS,
        time: nanoseconds,
        step: |line| parse(line).map(Step::Command),
        sound: Atm::check,
        say,
    };
    transcripts.check();
}

/// The words `name=value` of a request.
pub(super) struct Options<'l>(Vec<(&'l str, &'l str)>);

impl Options<'_> {
    fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }

    /// The number of that name, or `otherwise`.
    pub(super) fn number(&self, name: &str, otherwise: u64) -> u64 {
        self.text(name).map_or(otherwise, |value| value.parse().expect("a number"))
    }
}

pub(super) fn token(card: u64) -> [u8; 16] {
    bytemuck::cast([card, 0])
}

fn status(name: &str) -> Option<CardStatus> {
    use CardStatus::{Active, Blocked, Expired, Lost, Retained, Stolen};
    [Active, Blocked, Expired, Lost, Retained, Stolen].into_iter().find(|status| format!("{status:?}") == name)
}

/// A PIN reference of a few characters.
fn reference(characters: &str) -> [u8; 16] {
    let mut reference = [b' '; 16];
    reference[..characters.len()].copy_from_slice(characters.as_bytes());
    reference
}

pub(super) fn parse(line: &str) -> Option<CommandImage> {
    let line = line.replace(':', "");
    let (options, words): (Vec<&str>, Vec<&str>) = line.split_whitespace().partition(|word| word.contains('='));
    let options = Options(options.iter().filter_map(|word| word.split_once('=')).collect());
    let number = |word: &str| word.parse::<u64>().ok();
    let account = |word: &str| number(word).map(AccountNumber);
    let terminal = |word: &str| number(word).map(|number| TerminalId(number as u32));
    let named = |name: &str| AccountNumber(options.number(name, 0));
    let currency = Currency(options.number("in", 978) as u16);
    let date = BusinessDate(options.number("date", 0) as u32);
    let at = TerminalId(options.number("at", 1) as u32);
    let pin_version = PinVersion(options.number("version", 0) as u32);
    let trace = |word: &str| number(word).map(|number| Trace(number as u32));
    let mut image = CommandImage::default();
    let client = ClientId(1);
    match words[..] {
        ["account", account_number, constraint] => {
            let constraint = if constraint == "free" { Constraint::Free } else { Constraint::Covered }.into();
            let (account, overdraft) = (account(account_number)?, Amount(options.number("overdraft", 0)));
            let open = OpenAccount { account, overdraft, currency, constraint, reserved: Reserved::default() };
            image.set(client, Command::OpenAccount(&open));
        }
        ["move" | "hold" | "post" | "void", ..] => {
            let parts = words.split(|word| *word == "+");
            let entries: Option<Vec<_>> = parts.map(|words| transfer(words, options.number("for", 0))).collect();
            image.set(client, Command::TransferLinked(&TransferLinked { reserved: Reserved::default() }, &entries?));
        }
        ["card", card] => {
            let set = SetCard {
                token: token(number(card)?),
                pin_reference: reference(&format!("{}", options.number("pin", 1234))),
                cheque: named("cheque"),
                savings: named("savings"),
                credit: named("credit"),
                transaction_max: Amount(options.number("max", AMOUNT_MAX)),
                day_max: Amount(options.number("day", AMOUNT_MAX)),
                day_count_max: options.number("count", 99) as u32,
                window_ns: options.number("window", 0),
                window_count_max: options.number("within", 0) as u32,
                pin_version,
                last_four: *b"0000",
                status: status(options.text("status").unwrap_or("Active"))?.into(),
                reserved: Reserved::default(),
            };
            image.set(client, Command::SetCard(&set));
        }
        ["status", card, name] => {
            let (token, status) = (token(number(card)?), status(name)?.into());
            image.set(client, Command::SetCardStatus(&SetCardStatus { token, status, reserved: Reserved::default() }));
        }
        ["replace", card, "by", new] => {
            let (token, new_token) = (token(number(card)?), token(number(new)?));
            let (pin_reference, last_four) = (reference("5678"), *b"1111");
            let replace = ReplaceCard { token, new_token, pin_reference, pin_version, last_four };
            image.set(client, Command::ReplaceCard(&replace));
        }
        ["terminal", terminal_number] => {
            let (cash, confirm_within_ns) = (named("cash"), options.number("within", 0));
            let (fees, surcharge) = (named("fees"), Amount(options.number("surcharge", 0)));
            let (terminal, reserved) = (terminal(terminal_number)?, Reserved::default());
            let set = SetTerminal { cash, fees, surcharge, confirm_within_ns, terminal, currency, reserved };
            image.set(client, Command::SetTerminal(&set));
        }
        ["service", terminal_number, service] => {
            let service = if service == "In" { Service::In } else { Service::Out }.into();
            let (terminal, reserved) = (terminal(terminal_number)?, Reserved::default());
            image.set(client, Command::SetService(&SetService { terminal, service, reserved }));
        }
        ["load", terminal_number, "from", vault, ref loads @ ..] => {
            let load = |word: &&str| {
                let (denomination, notes) = word.split_once('*')?;
                Some(CassetteLoad { denomination: denomination.parse().ok()?, notes: notes.parse().ok()? })
            };
            let loads: Option<Vec<_>> = loads.iter().map(load).collect();
            let (vault, terminal, reserved) = (account(vault)?, terminal(terminal_number)?, Reserved::default());
            image.set(client, Command::LoadCash(&LoadCash { vault, terminal, reserved }, &loads?));
        }
        ["unload", terminal_number, "to", vault] => {
            let (vault, terminal, reserved) = (account(vault)?, terminal(terminal_number)?, Reserved::default());
            image.set(client, Command::UnloadCash(&UnloadCash { vault, terminal, reserved }));
        }
        ["count", terminal_number, "against", difference, ref counts @ ..] => {
            let count = |word: &&str| Some(CassetteCount { notes: word.parse().ok()?, reserved: Reserved::default() });
            let counts: Option<Vec<_>> = counts.iter().map(count).collect();
            let (difference, terminal, reserved) =
                (account(difference)?, terminal(terminal_number)?, Reserved::default());
            image.set(client, Command::CountCash(&CountCash { difference, terminal, reserved }, &counts?));
        }
        ["capture", card, "at", terminal_number] => {
            let (token, terminal, reserved) = (token(number(card)?), terminal(terminal_number)?, Reserved::default());
            image.set(client, Command::CaptureCard(&CaptureCard { token, terminal, reserved }));
        }
        ["cutover", date] => {
            let (date, reserved) = (BusinessDate(date.parse().ok()?), Reserved::default());
            image.set(client, Command::Cutover(&Cutover { date, reserved }));
        }
        ["pin", trace_number, new, ref rest @ ..] => {
            let (token, trace) = (token(options.number("card", 1)), trace(trace_number)?);
            let new_pin_reference = reference(new);
            let pin = if rest.contains(&"wrong") { PinVerdict::Wrong } else { PinVerdict::Right }.into();
            let (terminal, reserved) = (at, Reserved::default());
            let change = ChangePin { token, new_pin_reference, terminal, trace, date, pin_version, pin, reserved };
            image.set(client, Command::ChangePin(&change));
        }
        ["terms", terminal_number] => {
            let most = |name: &str| Amount(options.number(name, u64::MAX));
            let terms = SetTerminalTerms {
                merchant: named("merchant"),
                deposits: named("deposits"),
                transaction_max: most("max"),
                day_max: most("day"),
                window_ns: options.number("window", 0),
                window_max: Amount(options.number("amount", 0)),
                surcharge_max: Amount(options.number("most", 0)),
                surcharge_rate: options.number("rate", 0) as u32,
                terminal: terminal(terminal_number)?,
                day_count_max: options.number("count", u64::MAX) as u32,
                window_count_max: options.number("within", 0) as u32,
            };
            image.set(client, Command::SetTerminalTerms(&terms));
        }
        ["limit", account_number] => {
            let most = |name: &str| Amount(options.number(name, u64::MAX));
            let limits = SetAccountLimits {
                account: account(account_number)?,
                transaction_max: most("max"),
                day_max: most("day"),
                window_ns: options.number("window", 0),
                window_max: Amount(options.number("amount", 0)),
                day_count_max: options.number("count", u64::MAX) as u32,
                window_count_max: options.number("within", 0) as u32,
            };
            image.set(client, Command::SetAccountLimits(&limits));
        }
        ["more", card] => {
            let (token, window_max) = (token(number(card)?), Amount(options.number("window", 0)));
            let fast_cash = Amount(options.number("fast", 0));
            image.set(client, Command::SetCardTerms(&SetCardTerms { token, fast_cash, window_max }));
        }
        ["fee", kind, network] => {
            use Network::{Acquirer, Issuer, Own};
            let kinds = [
                TransactionType::Withdrawal,
                TransactionType::Purchase,
                TransactionType::Deposit,
                TransactionType::BalanceInquiry,
                TransactionType::MiniStatement,
                TransactionType::Transfer,
            ];
            let most = Amount(options.number("most", AMOUNT_MAX));
            let fee = SetFee {
                income: named("to"),
                fixed: Amount(options.number("fixed", 0)),
                least: Amount(options.number("least", 0)),
                most,
                rate: options.number("rate", 0) as u32,
                currency,
                transaction: kinds.into_iter().find(|of| format!("{of:?}") == kind)?.into(),
                network: [Own, Acquirer, Issuer].into_iter().find(|of| format!("{of:?}") == network)?.into(),
            };
            image.set(client, Command::SetFee(&fee));
        }
        ["rate", of] => {
            let of = [RateUse::Offered, RateUse::Issuer].into_iter().find(|known| format!("{known:?}") == of)?;
            let rate = SetRate {
                pays: named("pays"),
                receives: named("receives"),
                valid_until_ns: options.number("until", u64::MAX),
                reference: Rate(options.number("reference", 0) as u32),
                markup: options.number("markup", 0) as u32,
                version: RateVersion(options.number("version", 1) as u32),
                from: currency,
                to: Currency(options.number("into", 840) as u16),
                of: of.into(),
                reserved: Reserved::default(),
            };
            image.set(client, Command::SetRate(&rate));
        }
        ["offer", ref rest @ ..] => {
            let (transaction, amount) = match rest {
                ["fast"] => (TransactionType::FastCash, 0),
                ["buy", amount] => (TransactionType::Purchase, number(amount)?),
                [amount] => (TransactionType::Withdrawal, number(amount)?),
                _ => return None,
            };
            let account = match options.text("of") {
                None => AccountType::Cheque,
                Some(name) => AccountType::ALL.into_iter().find(|of| format!("{of:?}") == name)?,
            };
            let offer = Offer {
                token: token(options.number("card", 1)),
                amount: Amount(amount),
                terminal: at,
                transaction: transaction.into(),
                account: account.into(),
                reserved: Reserved::default(),
            };
            image.set(client, Command::Offer(&offer));
        }
        ["counted", trace_number, amount] => {
            let (counted, terminal, trace) = (Amount(number(amount)?), at, trace(trace_number)?);
            let count = CountDeposit { counted, terminal, trace, date, reserved: Reserved::default() };
            image.set(client, Command::CountDeposit(&count));
        }
        [
            "withdraw" | "inquire" | "statement" | "transfer" | "buy" | "deposit" | "fast",
            trace_number,
            ref rest @ ..,
        ] => {
            let (transaction, amount) = match (words[0], rest.first()) {
                ("withdraw", Some(amount)) => (TransactionType::Withdrawal, number(amount)?),
                ("buy", Some(amount)) => (TransactionType::Purchase, number(amount)?),
                ("deposit", Some(amount)) => (TransactionType::Deposit, number(amount)?),
                ("fast", amount) => (TransactionType::FastCash, amount.and_then(|word| number(word)).unwrap_or(0)),
                ("transfer", Some(amount)) => (TransactionType::Transfer, number(amount)?),
                ("statement", amount) => {
                    (TransactionType::MiniStatement, amount.and_then(|word| number(word)).unwrap_or(0))
                }
                (_, Some(amount)) if *amount != "wrong" => (TransactionType::BalanceInquiry, number(amount)?),
                _ => (TransactionType::BalanceInquiry, 0),
            };
            let of = |name: &str, otherwise: AccountType| match options.text(name) {
                None => Some(otherwise),
                Some(name) => AccountType::ALL.into_iter().find(|of| format!("{of:?}") == name),
            };
            let authorize = Authorize {
                token: token(options.number("card", 1)),
                amount: Amount(amount),
                cashback: Amount(options.number("cashback", 0)),
                terminal: at,
                trace: trace(trace_number)?,
                date,
                pin_version,
                pin: if rest.contains(&"wrong") { PinVerdict::Wrong } else { PinVerdict::Right }.into(),
                transaction: transaction.into(),
                account: of("of", AccountType::Cheque)?.into(),
                to: of("to", AccountType::Default)?.into(),
                billed: Amount(options.number("accepts", 0)),
                rate_version: RateVersion(options.number("rate", 0) as u32),
                billed_in: Currency(
                    options.number("billing", if options.text("accepts").is_some() { 840 } else { 0 }) as u16
                ),
                conversion: match (options.text("accepts"), rest.contains(&"declines")) {
                    (Some(_), false) => ConversionChoice::Accepted,
                    (_, true) => ConversionChoice::Declined,
                    _ => ConversionChoice::None,
                }
                .into(),
                reserved: Reserved::default(),
            };
            image.set(client, Command::Authorize(&authorize));
        }
        ["complete", trace_number, ref counts @ ..] => {
            let mut notes = [0; 4];
            for (notes, word) in notes.iter_mut().zip(counts) {
                *notes = word.parse().ok()?;
            }
            let (trace, notes, reserved) = (trace(trace_number)?, Notes::new(notes), Reserved::default());
            image.set(client, Command::Complete(&Complete { notes, terminal: at, trace, date, reserved }));
        }
        ["reverse", trace_number] => {
            let (trace, reserved) = (trace(trace_number)?, Reserved::default());
            image.set(client, Command::Reverse(&Reverse { terminal: at, trace, date, reserved }));
        }
        _ => return switch_scenarios::parse(&words, &options),
    }
    Some(image)
}

fn transfer(words: &[&str], lasts_ns: u64) -> Option<TransferEntry> {
    let numbers: Option<Vec<u64>> = words[1..].iter().map(|word| word.parse().ok()).collect();
    let (kind, id, debit, credit, hold, amount) = match (words[0], &numbers?[..]) {
        ("move", [id, debit, credit, amount]) => (TransferKind::Move, *id, *debit, *credit, 0, *amount),
        ("hold", [id, debit, credit, amount]) => (TransferKind::Hold, *id, *debit, *credit, 0, *amount),
        ("post", [id, hold, amount]) => (TransferKind::Post, *id, 0, 0, *hold, *amount),
        ("void", [id, hold]) => (TransferKind::Void, *id, 0, 0, *hold, 0),
        _ => return None,
    };
    Some(TransferEntry {
        id: TransferId(id),
        debit: AccountNumber(debit),
        credit: AccountNumber(credit),
        amount: Amount(amount),
        hold: TransferId(hold),
        lasts_ns: if kind == TransferKind::Hold { lasts_ns } else { 0 },
        kind: kind.into(),
        reserved: Reserved::default(),
    })
}

pub(super) fn code(code: ResponseCode) -> String {
    format!("{:02} {code:?}", code as u8)
}

/// One output as a line.
pub(super) fn say(slot: &Slot) -> String {
    let bytes = image(slot);
    let header = OutputHeader::read(bytes).expect("it has one");
    let body = &bytes[OUTPUT_HEADER_BYTES..];
    if header.kind == kind::REPLY {
        return answer(&Reply::decode(header.message, body).expect("a reply"));
    }
    let id = header.topic.id();
    let event = Event::decode(header.message, body).expect("an event");
    let topic = match event {
        Event::HoldExpired(_) => topics::HOLDS,
        Event::CurrencyTotals(_) | Event::IssuerTotals(_) => topics::DATES,
        Event::PinReferenceSet(_) => topics::PINS,
        Event::RouteSet(_) => topics::ROUTES,
        Event::AdviceDue(_) | Event::AdviceDone(_) => topics::ADVICES,
        Event::StatementLine(_) => 0,
        _ => topics::TERMINAL,
    };
    assert_eq!(header.topic.kind(), topic);
    match event {
        Event::TimedOut(t) => format!("terminal {id}: {} of {} timed out: {}", t.trace, t.date, t.amount),
        Event::Exception(e) => {
            let notes = e.notes.counts();
            let (about, code) = (format!("{} of {}", e.trace, e.date), code(e.code.get()));
            format!("terminal {id}: exception, {about}: {} in notes {notes:?}, {code}", e.amount)
        }
        Event::CashDiffered(d) => format!(
            "terminal {id}: cassette {} of {}: {} counted, {} expected, difference {}",
            d.cassette, d.denomination, d.counted, d.expected, d.difference
        ),
        Event::CardCaptured(c) => format!("terminal {id}: kept card {}, {} so far", c.token[0], c.captured),
        Event::CassetteStands(c) => format!("terminal {id}: cassette {}", c.cassette),
        Event::TerminalTotals(t) => format!(
            "terminal {id}: date {}: {} withdrawals of {}, surcharges {}; {} declined, {} voided, {} timed out, {} exceptions; cash {}, \
             held {}",
            t.date,
            t.withdrawals,
            t.dispensed,
            t.surcharges,
            t.declined,
            t.voided,
            t.timed_out,
            t.exceptions,
            t.cash,
            t.held
        ),
        Event::CurrencyTotals(t) => format!(
            "currency {}: date {}: {} withdrawals of {} at {} terminals; cash {}, held {}",
            t.currency, t.date, t.withdrawals, t.dispensed, t.terminals, t.cash, t.held
        ),
        Event::PinReferenceSet(p) => {
            let reference = p.pin_reference.iter().map(|byte| char::from(*byte)).collect::<String>();
            format!("card {}: PIN reference {}, version {}", p.token[0], reference.trim_end(), p.pin_version)
        }
        Event::DepositDiffered(d) => {
            format!("terminal {id}: deposit, {} of {}: {} said, {} counted", d.trace, d.date, d.stated, d.counted)
        }
        Event::StatementLine(l) => {
            let (kind, by) =
                (l.kind.get(), if l.trace.0 == 0 { String::new() } else { format!(", trace {}", l.trace) });
            format!(
                "line {}: {kind:?} of {} on {} with {} at {}{by}; balance {}, available {}",
                l.number, l.amount, l.date, l.counterpart, l.terminal, l.balance, l.available
            )
        }
        Event::HoldExpired(h) => format!("hold {} expired: {}", h.id, h.amount),
        Event::SettlementDiffered(d) => {
            format!("terminal {id}: settlement of {}: {:?}: {} said, {} here", d.date, d.item.get(), d.said, d.own)
        }
        Event::IssuerTotals(t) => format!(
            "issuer {}: date {}: {} withdrawals of {}, {} taken in all, {} declined",
            t.issuer, t.date, t.withdrawals, t.dispensed, t.taken, t.declined
        ),
        Event::RouteSet(_) | Event::AdviceDue(_) | Event::AdviceDone(_) => switch_scenarios::say(&event),
    }
}

/// Surcharge and fee, where there are any.
fn costs(surcharge: Amount, fee: Amount) -> String {
    let cost = |name: &str, Amount(cost)| if cost == 0 { String::new() } else { format!(" and a {name} of {cost}") };
    cost("surcharge", surcharge) + &cost("fee", fee)
}

fn answer(reply: &Reply<'_>) -> String {
    match reply {
        Reply::AccountOpened(a) => format!("-> account {}: {}, available {}", a.account, a.balance, a.available),
        Reply::Transferred(t) if t.outcome.get() == TransferOutcome::Done => format!(
            "-> {} done: {}, available {}; {}, available {}",
            t.at, t.debit_balance, t.debit_available, t.credit_balance, t.credit_available
        ),
        Reply::Transferred(t) => format!("-> none done: {:?} at {}", t.outcome.get(), t.at),
        Reply::Set(s) => format!("-> set, date {}", s.date),
        Reply::CashSet(c) => format!("-> terminal {}: cash {}, change {}", c.terminal, c.cash, c.change),
        Reply::Authorized(a) => {
            let (code, notes) = (code(a.code.get()), a.notes.counts());
            let costs = costs(a.surcharge, a.fee);
            let notes = if a.notes.0 == 0 { String::new() } else { format!(", {} in notes {notes:?}", a.held) };
            let billed_in = if a.billed_in.0 == 0 { String::new() } else { format!(" of {}", a.billed_in) };
            let (number, balance, available) = (a.authorization, a.balance, a.available);
            format!("-> {number}: {code}{notes}{costs}, balance {balance}{billed_in}, available {available}")
        }
        Reply::Forwarded(f) => {
            let costs = costs(f.surcharge, f.fee);
            let included = if costs.is_empty() { "" } else { " included" };
            let costs = costs.replacen(" and", ",", 1) + included;
            format!(
                "-> {}: ask issuer {} for {}{costs} as {} of {}",
                f.authorization, f.issuer, f.amount, f.link_trace, f.date
            )
        }
        Reply::Ended(e) => {
            let (code, number) = (code(e.code.get()), e.authorization);
            let costs = costs(e.surcharge, e.fee);
            let billed = match e.billed_in.0 {
                0 => String::new(),
                currency => format!(", billed {} of {currency}", e.billed),
            };
            let (posted, balance, available) = (e.posted, e.balance, e.available);
            format!("-> {number}: {code}, posted {posted}{costs}{billed}, balance {balance}, available {available}")
        }
        Reply::Reconciled(r) => format!(
            "-> {:?}, date {}: {} withdrawals of {}, net {}; {} differences",
            r.settlement.get(),
            r.date,
            r.debits,
            r.debit_amount,
            r.net,
            r.differences
        ),
        Reply::Offered(o) if o.code.get() != ResponseCode::Approved => format!("-> no offer: {}", code(o.code.get())),
        Reply::Offered(o) => format!(
            "-> offer: {}{} for {} of {}: rate {:08}, {:08} and a mark-up of {}, version {} until {}",
            o.amount,
            costs(o.surcharge, o.fee),
            o.billed,
            o.currency,
            o.rate.0,
            o.reference.0,
            o.markup,
            o.version,
            o.valid_until_ns
        ),
    }
}
