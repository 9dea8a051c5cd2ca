//! What is answered.

use super::dates::month_and_day;
use super::private;
use super::refusal::Refusal;
use super::request::answer_type;
use crate::message::Message;
use ringfence_domains::atm::messages::{
    Amount, Authorization, Authorized, Balance, Currency, Ended, Notes, Offered, Reconciled, ResponseCode,
    StatementLine,
};
use zeroize::Zeroizing;

/// Fields of a request that stand in its answer as they came: those that name it.
const ECHOED: [u8; 21] = [3, 4, 6, 7, 10, 11, 12, 13, 15, 17, 24, 25, 32, 33, 37, 41, 42, 49, 51, 70, 90];

/// The answer to `request` with that response code, and nothing beside what names it.
pub(crate) fn bare(request: &Message, code: [u8; 2]) -> Message {
    let mut answer = Message::new(answer_type(request.mti()));
    for field in ECHOED {
        if let Some(value) = request.get(field) {
            answer.set(field, value);
        }
    }
    answer.set(39, &code);
    answer
}

/// The answer to a request that is refused; it names the field that is to blame.
pub(crate) fn refused(request: &Message, refusal: &Refusal) -> Message {
    let mut answer = bare(request, refusal.code());
    if let Some(field) = refusal.field() {
        answer.set(44, format!("FIELD {field:03}").as_bytes());
    }
    answer
}

pub(crate) fn code(code: ResponseCode) -> [u8; 2] {
    [b'0' + code as u8 / 10, b'0' + code as u8 % 10]
}

/// The answer to a transaction that was decided, with the lines of a mini statement.
pub(crate) fn authorized(request: &Message, said: &Authorized, lines: &[StatementLine], currency: Currency) -> Message {
    let Authorized { authorization, held, surcharge, fee, notes, balance, available, billed_in, .. } = *said;
    let currency = stated(billed_in, currency);
    let mut answer = bare(request, code(said.code.get()));
    if (1..1_000_000_000_000).contains(&held.0) {
        answer.set(4, format!("{:012}", held.0).as_bytes());
    }
    name(&mut answer, authorization);
    bill(&mut answer, Amount(0), billed_in);
    costs(&mut answer, surcharge, fee);
    stands(&mut answer, balance, available, currency, said.code.get() == ResponseCode::Approved);
    let mut own = Zeroizing::new(Vec::new());
    if notes != Notes(0) {
        let counts: String = notes.counts().iter().map(|count| format!("{count:04}")).collect();
        private::put(&mut own, private::NOTES, counts.as_bytes());
    }
    if !own.is_empty() {
        answer.set(63, &own);
    }
    if !lines.is_empty() {
        answer.set(48, lines.iter().map(line).collect::<String>().as_bytes());
    }
    answer
}

/// A line of a mini statement, always 38 characters: month and day, the kind, C or D and an amount, the trace number, C or D
/// and the balance after it. An amount that twelve digits do not hold is left blank.
fn line(of: &StatementLine) -> String {
    let signed = |Balance(amount): Balance| {
        let (sign, digits) = (if amount < 0 { 'D' } else { 'C' }, amount.unsigned_abs());
        if digits < 1_000_000_000_000 { format!("{sign}{digits:012}") } else { format!("{sign}{:12}", "") }
    };
    let (date, kind, trace) = (month_and_day(of.date), of.kind.get() as u8, of.trace.0 % 1_000_000);
    format!("{date}{kind:02}{}{trace:06}{}", signed(of.amount), signed(of.balance))
}

/// The answer to a completion or a reversal.
pub(crate) fn ended(request: &Message, said: &Ended, currency: Currency) -> Message {
    let Ended { authorization, posted, surcharge, fee, billed, balance, available, billed_in, .. } = *said;
    let (mut answer, currency) = (bare(request, code(said.code.get())), stated(billed_in, currency));
    name(&mut answer, authorization);
    bill(&mut answer, billed, billed_in);
    costs(&mut answer, surcharge, fee);
    stands(&mut answer, balance, available, currency, authorization.0 != 0);
    let mut own = Zeroizing::new(Vec::new());
    private::put(&mut own, private::POSTED, format!("{:012}", posted.0).as_bytes());
    answer.set(63, &own);
    answer
}

/// The answer to whoever asks for an offer.
pub(crate) fn offered(request: &Message, said: &Offered) -> Message {
    let Offered { amount, surcharge, billed, fee, rate, reference, markup, version, currency, .. } = *said;
    let mut answer = bare(request, code(said.code.get()));
    if said.code.get() != ResponseCode::Approved {
        return answer;
    }
    answer.set(4, format!("{:012}", amount.0).as_bytes()).set(10, format!("{:08}", rate.0).as_bytes());
    costs(&mut answer, surcharge, fee);
    bill(&mut answer, billed, currency);
    let until = (said.valid_until_ns / 1_000_000_000).min(9_999_999_999);
    let (mut own, offer) = (Zeroizing::new(Vec::new()), (version.0, reference.0, markup));
    let text = format!("O{:010}{:08}{:05}{until:010}", offer.0, offer.1, offer.2);
    private::put(&mut own, private::CONVERSION, text.as_bytes());
    answer.set(63, &own);
    answer
}

/// The answer to what another acquirer has of a business date: what this host has, and whether that is the same.
pub(crate) fn reconciled(request: &Message, said: &Reconciled) -> Message {
    let Reconciled { debit_amount, net: Balance(net), debits, .. } = *said;
    let mut answer = bare(request, code(ResponseCode::Approved));
    let (no_count, no_amount) = (format!("{:010}", 0), format!("{:016}", 0));
    for field in [74, 75, 77] {
        answer.set(field, no_count.as_bytes());
    }
    for field in [86, 87, 89] {
        answer.set(field, no_amount.as_bytes());
    }
    let side = if net < 0 { 'C' } else { 'D' };
    answer.set(66, &[b'0' + said.settlement.get() as u8]).set(76, format!("{debits:010}").as_bytes());
    answer.set(88, format!("{:016}", debit_amount.0.min(9_999_999_999_999_999)).as_bytes());
    answer.set(97, format!("{side}{:016}", net.unsigned_abs().min(9_999_999_999_999_999)).as_bytes());
    answer
}

/// The currency of what is said of an account.
fn stated(billed_in: Currency, terminals: Currency) -> Currency {
    if billed_in == Currency(0) { terminals } else { billed_in }
}

/// What is debited, where that is said, and its currency.
fn bill(answer: &mut Message, billed: Amount, billed_in: Currency) {
    if (1..1_000_000_000_000).contains(&billed.0) {
        answer.set(6, format!("{:012}", billed.0).as_bytes());
    }
    if billed_in != Currency(0) {
        answer.set(51, format!("{:03}", billed_in.0).as_bytes());
    }
}

/// The authorization's number, its last six digits.
fn name(answer: &mut Message, Authorization(number): Authorization) {
    if number != 0 {
        answer.set(38, format!("{:06}", number % 1_000_000).as_bytes());
    }
}

/// Surcharge and fee, each when its field can hold it.
fn costs(answer: &mut Message, Amount(surcharge): Amount, Amount(fee): Amount) {
    if (1..100_000_000).contains(&surcharge) {
        answer.set(28, format!("D{surcharge:08}").as_bytes());
    }
    if (1..100_000_000).contains(&fee) {
        answer.set(8, format!("{fee:08}").as_bytes());
    }
}

/// The ledger's balance and what is available of it, when they are said and twelve digits hold them.
fn stands(answer: &mut Message, balance: Balance, available: Balance, Currency(currency): Currency, is_said: bool) {
    let amount = |kind: &str, Balance(amount): Balance| {
        let sign = if amount < 0 { 'D' } else { 'C' };
        let account = answer.get(3).and_then(|code| core::str::from_utf8(code.get(2..4)?).ok()).unwrap_or("00");
        (amount.unsigned_abs() < 1_000_000_000_000)
            .then(|| format!("{account}{kind}{currency:03}{sign}{:012}", amount.unsigned_abs()))
    };
    if let (true, Some(ledger), Some(left)) = (is_said, amount("01", balance), amount("02", available)) {
        answer.set(54, format!("{ledger}{left}").as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringfence_client::kernel::messages::Reserved;
    use ringfence_domains::atm::messages::{AccountNumber, BusinessDate, MovementKind, TerminalId, Trace};

    /// Guards against lines of a mini statement that a terminal cannot take apart: each is as long as the others, whatever it says.
    #[test]
    fn lines_are_of_one_length() {
        let line_of = |amount: i64, balance: i64, trace: u32, kind: MovementKind| {
            line(&StatementLine {
                number: 1,
                amount: Balance(amount),
                balance: Balance(balance),
                available: Balance(0),
                counterpart: AccountNumber(1),
                terminal: TerminalId(1),
                trace: Trace(trace),
                date: BusinessDate(20_454),
                kind: kind.into(),
                reserved: Reserved::default(),
            })
        };
        assert_eq!(line_of(-100, 900, 7, MovementKind::Withdrawal), "010104D000000000100000007C000000000900");
        assert_eq!(line_of(5, -20, 0, MovementKind::Transfer), "010102C000000000005000000D000000000020");
        let blank = " ".repeat(12);
        let wide = line_of(1_000_000_000_000, i64::MIN, u32::MAX, MovementKind::Forgotten);
        assert_eq!(wide, format!("010101C{blank}967295D{blank}"));
    }
}
