//! What transcripts say of the switch: `acquirer T settles=A within=T`, `advise TRACE AMOUNT at=T card=N`, `reconcile T DEBITS
//! AMOUNT [date=D] [net=N] [reversals=N reversed=N] [credits=N credited=N]`; `issuer I
//! settles=A lasts=T [stand=N day=N count=N]`, `route PREFIX to I`, `ask TRACE AMOUNT|nothing of=I bin=B card=N`, `said TRACE CODE
//! [balance=N available=N]`, `silent TRACE`, `acknowledged TRACE AMOUNT CODE`.

use super::messages::{
    AccountNumber, AccountType, Acknowledge, Advise, Amount, Answer, Balance, BusinessDate, Command, Currency, Event,
    Forward, IssuerId, IssuerOutcome, Reconcile, ResponseByte, ResponseCode, SetAcquirer, SetIssuer, SetRoute,
    TerminalId, Trace, TransactionType,
};
use super::scenarios::{Options, code, token};
use alloc::format;
use alloc::string::String;
use ringfence_kernel::ClientId;
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::workload::CommandImage;

/// A response code by its number.
fn named(text: &str) -> Option<ResponseByte> {
    text.parse().ok().and_then(ResponseCode::known).map(Into::into)
}

pub(super) fn parse(words: &[&str], options: &Options<'_>) -> Option<CommandImage> {
    const KNOWN: [&str; 9] =
        ["acquirer", "advise", "reconcile", "issuer", "route", "ask", "said", "silent", "acknowledged"];
    words.first().filter(|word| KNOWN.contains(word))?;
    let terminal = TerminalId(options.number("at", 1) as u32);
    let date = BusinessDate(options.number("date", 0) as u32);
    let settlement = AccountNumber(options.number("settles", 0));
    let amount = |word: &str| word.parse().ok().map(Amount);
    let trace = |word: &str| word.parse().ok().map(Trace);
    let token = token(options.number("card", 1));
    let mut image = CommandImage::default();
    let mut set = |command: Command<'_>| image.set(ClientId(1), command);
    match *words {
        ["acquirer", number] => {
            let (terminal, currency) = (TerminalId(number.parse().ok()?), Currency(options.number("in", 978) as u16));
            let (confirm_within_ns, reserved) = (options.number("within", 0), Reserved::default());
            set(Command::SetAcquirer(&SetAcquirer { settlement, confirm_within_ns, terminal, currency, reserved }));
        }
        ["advise", number, taken] => {
            let (amount, trace, account) = (amount(taken)?, trace(number)?, AccountType::Cheque.into());
            let reserved = Reserved::default();
            set(Command::Advise(&Advise { token, amount, terminal, trace, date, account, reserved }));
        }
        ["reconcile", number, debits, taken] => {
            let (debit_amount, net) = (amount(taken)?, options.number("net", taken.parse().ok()?) as i64);
            set(Command::Reconcile(&Reconcile {
                debit_amount,
                debit_reversed_amount: Amount(options.number("reversed", 0)),
                credit_amount: Amount(options.number("credited", 0)),
                credit_reversed_amount: Amount(0),
                net: Balance(net),
                debits: debits.parse().ok()?,
                debits_reversed: options.number("reversals", 0) as u32,
                credits: options.number("credits", 0) as u32,
                credits_reversed: 0,
                terminal: TerminalId(number.parse().ok()?),
                date,
            }));
        }
        ["issuer", number] => set(Command::SetIssuer(&SetIssuer {
            settlement,
            stand_in_max: Amount(options.number("stand", 0)),
            stand_in_day_max: Amount(options.number("day", 0)),
            advice_lasts_ns: options.number("lasts", 0),
            stand_in_day_count_max: options.number("count", 99) as u32,
            issuer: IssuerId(number.parse().ok()?),
            reserved: Reserved::default(),
        })),
        ["route", prefix, "to", issuer] => set(Command::SetRoute(&SetRoute {
            prefix: prefix.parse().ok()?,
            digits: prefix.len() as u8,
            reserved: Reserved::default(),
            issuer: IssuerId(issuer.parse().ok()?),
        })),
        ["ask", number, ref asked @ ..] => {
            let kind = if asked.is_empty() { TransactionType::BalanceInquiry } else { TransactionType::Withdrawal };
            set(Command::Forward(&Forward {
                token,
                amount: asked.first().map_or(Some(Amount(0)), |asked| amount(asked))?,
                terminal,
                trace: trace(number)?,
                date,
                bin: options.number("bin", 42_424_242) as u32,
                issuer: IssuerId(options.number("of", 1) as u16),
                transaction: kind.into(),
                account: AccountType::Cheque.into(),
                reserved: Reserved::default(),
            }));
        }
        ["said" | "silent", number, ref said @ ..] => {
            let outcome = if words[0] == "said" { IssuerOutcome::Answered } else { IssuerOutcome::Silent }.into();
            let (balance, available) = (options.number("balance", 0), options.number("available", 0));
            let (balance, available) = (Balance(balance as i64), Balance(available as i64));
            let (trace, code) = (trace(number)?, named(said.first().unwrap_or(&"91"))?);
            let reserved = Reserved::default();
            set(Command::Answer(&Answer { balance, available, terminal, trace, date, code, outcome, reserved }));
        }
        ["acknowledged", number, advised, said] => {
            let (amount, trace, code, reserved) = (amount(advised)?, trace(number)?, named(said)?, Reserved::default());
            set(Command::Acknowledge(&Acknowledge { amount, terminal, trace, date, code, reserved }));
        }
        _ => return None,
    }
    Some(image)
}

/// An event as a line.
pub(super) fn say(event: &Event<'_>) -> String {
    match event {
        Event::RouteSet(r) => {
            let digits = usize::from(r.digits);
            format!("cards {:0digits$}… are of issuer {}", r.prefix, r.issuer)
        }
        Event::AdviceDue(a) => {
            let stood_in = if a.stood_in == 1 { ", approved in its stead" } else { "" };
            let (of, name) = (
                format!("{} of {} at {}", a.trace, a.date, a.terminal),
                format!("{} of {}", a.link_trace, a.link_date),
            );
            format!("tell issuer {}: {} taken under {name}{stood_in}; here {of}", a.issuer, a.amount)
        }
        Event::AdviceDone(a) => {
            let code = code(a.code.get());
            format!("told of {} taken, {} of {} at {}: {code}", a.amount, a.trace, a.date, a.terminal)
        }
        _ => String::new(),
    }
}
