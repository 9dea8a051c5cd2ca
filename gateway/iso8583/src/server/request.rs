//! What a message asks for.

use super::dates::nearest;
use super::private;
use super::refusal::Refusal;
use super::settings::Settings;
use crate::message::Message;
use crate::security::Pan;
use ringfence_domains::atm::messages::{
    AccountType, Amount, Balance, BusinessDate, CASSETTES, ConversionChoice, Currency, Key, Notes, RateVersion,
    Reconcile, TerminalId, Trace, TransactionType,
};
use zeroize::Zeroizing;

/// What a message asks for.
pub(crate) enum Asked {
    /// A transaction with a card.
    Card(Card),
    /// What a withdrawal would be debited in the currency of the card's account.
    Offer(Card),
    /// These notes came out.
    Complete(Key, Notes),
    /// What has the key is taken back.
    Reverse(Key),
    /// A terminal signs on, or off.
    Service(TerminalId, bool),
    /// An answer, to see that somebody is there.
    Echo,
    /// New keys for a terminal.
    Keys(TerminalId),
    /// This business date begins.
    Cutover(BusinessDate),
    /// Another acquirer says what was taken in the end.
    Advice(Advice),
    /// Another acquirer says what it has of a business date.
    Reconcile(Reconcile),
}

/// What another acquirer says was taken in the end.
pub(crate) struct Advice {
    pub(crate) key: Key,
    pub(crate) pan: Pan,
    pub(crate) amount: Amount,
    pub(crate) account: AccountType,
}

/// A transaction with a card.
pub(crate) struct Card {
    pub(crate) key: Key,
    pub(crate) pan: Pan,
    pub(crate) kind: TransactionType,
    pub(crate) amount: Amount,
    pub(crate) cashback: Amount,
    pub(crate) conversion: Conversion,
    pub(crate) account: AccountType,
    pub(crate) to: AccountType,
    pub(crate) pin: Zeroizing<Vec<u8>>,
    pub(crate) new_pin: Option<Zeroizing<Vec<u8>>>,
}

/// What was said to an offer: what it states is debited, in which currency, by which version of the rate.
#[derive(Clone, Copy)]
pub(crate) struct Conversion {
    pub(crate) choice: ConversionChoice,
    pub(crate) billed: Amount,
    pub(crate) billed_in: Currency,
    pub(crate) rate_version: RateVersion,
}

impl Conversion {
    const NONE: Self = Self {
        choice: ConversionChoice::None,
        billed: Amount(0),
        billed_in: Currency(0),
        rate_version: RateVersion(0),
    };
}

/// Whether an answer is due to a message of this type: a request or an advice of a class that there is.
pub(crate) fn is_request(mti: [u8; 4]) -> bool {
    matches!(mti, [b'0', b'1'..=b'8', b'0' | b'2', _])
}

/// The type of the answer.
pub(crate) fn answer_type([version, class, function, _]: [u8; 4]) -> [u8; 4] {
    [version, class, function + 1, b'0']
}

impl Asked {
    pub(crate) fn of(message: &Message, settings: &Settings, today: BusinessDate) -> Result<Self, Refusal> {
        let reader = Reader { message, settings, today };
        match message.mti() {
            [b'0', b'1' | b'2', b'0', b'0' | b'1'] if reader.private(private::CONVERSION)? == Some(b"O") => {
                reader.card(false).map(Self::Offer)
            }
            [b'0', b'1' | b'2', b'0', b'0' | b'1'] => reader.card(true).map(Self::Card),
            [b'0', b'1' | b'2', b'2', b'0' | b'1'] if acquirer(message, settings).is_some() => {
                reader.advice().map(Self::Advice)
            }
            [b'0', b'1' | b'2', b'2', b'0' | b'1'] => Ok(Self::Complete(reader.original()?, reader.notes()?)),
            [b'0', b'4', b'0' | b'2', b'0' | b'1'] => reader.reversal(),
            [b'0', b'5', b'0' | b'2', b'0' | b'1'] => reader.reconciliation().map(Self::Reconcile),
            [b'0', b'8', b'0', b'0' | b'1'] => reader.network(),
            _ => Err(Refusal::Unserved),
        }
    }
}

/// The other acquirer that a message comes from, if it does.
pub(crate) fn acquirer(message: &Message, settings: &Settings) -> Option<TerminalId> {
    let name = core::str::from_utf8(message.get(32)?).ok()?;
    settings.acquirers.get(name).map(|acquirer| TerminalId(acquirer.terminal))
}

/// The most days that a business date which a message begins may be ahead: weekends and holidays.
const CUTOVER_AHEAD_MAX: u32 = 7;

/// Whether a message may come without a code where codes are required: a terminal that lost its keys asks whether somebody is
/// there, and for others.
pub(crate) fn needs_no_code(message: &Message) -> bool {
    message.mti()[1] == b'8' && matches!(message.get(70), Some(b"101" | b"161" | b"301"))
}

/// The terminal that a message names, if it does; the other acquirer stands for all of its terminals, and nobody else can
/// name the number that it has.
pub(crate) fn terminal(message: &Message, settings: &Settings) -> Result<TerminalId, Refusal> {
    if let Some(acquirer) = acquirer(message, settings) {
        return Ok(acquirer);
    }
    let name = message.get(41).ok_or(Refusal::Missing(41))?;
    let digits = name.trim_ascii().strip_prefix(settings.terminal_prefix.as_bytes());
    number(digits.ok_or(Refusal::Field(41))?)
        .and_then(|number| u32::try_from(number).ok())
        .filter(|number| settings.acquirers.values().all(|acquirer| acquirer.terminal != *number))
        .map(TerminalId)
        .ok_or(Refusal::Field(41))
}

fn number(digits: &[u8]) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.len() <= 18 && digits.iter().all(u8::is_ascii_digit);
    is_number.then(|| digits.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0')))
}

fn account(digits: &[u8]) -> Result<AccountType, Refusal> {
    match digits {
        b"00" => Ok(AccountType::Default),
        b"10" => Ok(AccountType::Savings),
        b"20" => Ok(AccountType::Cheque),
        b"30" => Ok(AccountType::Credit),
        _ => Err(Refusal::Field(3)),
    }
}

struct Reader<'m> {
    message: &'m Message,
    settings: &'m Settings,
    today: BusinessDate,
}

impl Reader<'_> {
    fn need(&self, field: u8) -> Result<&[u8], Refusal> {
        self.message.get(field).ok_or(Refusal::Missing(field))
    }

    fn number(&self, field: u8) -> Result<u64, Refusal> {
        number(self.need(field)?).ok_or(Refusal::Field(field))
    }

    /// An element of the private field.
    fn private(&self, tag: [u8; 2]) -> Result<Option<&[u8]>, Refusal> {
        let Some(field) = self.message.get(63) else { return Ok(None) };
        private::find(field, tag).map_err(|()| Refusal::Field(63))
    }

    /// The business date: of the settlement, or else the terminal's own.
    fn date(&self) -> Result<BusinessDate, Refusal> {
        let field = if self.message.get(15).is_some() { 15 } else { 13 };
        nearest(self.need(field)?, self.today).ok_or(Refusal::Field(field))
    }

    fn terminal(&self) -> Result<TerminalId, Refusal> {
        terminal(self.message, self.settings)
    }

    fn trace(&self) -> Result<Trace, Refusal> {
        Ok(Trace(self.number(11)? as u32))
    }

    /// The key of the original: its trace number stands in field 90, or is the message's own.
    fn original(&self) -> Result<Key, Refusal> {
        let trace = match self.message.get(90) {
            None => self.trace()?,
            Some(original) => {
                let class = original.get(..2).ok_or(Refusal::Field(90))?;
                let trace = original.get(4..10).and_then(number).ok_or(Refusal::Field(90))?;
                if !matches!(class, b"01" | b"02") {
                    return Err(Refusal::Field(90));
                }
                Trace(trace as u32)
            }
        };
        Ok(Key(self.terminal()?, trace, self.date()?))
    }

    /// A transaction with a card; an offer is asked for without a PIN.
    fn card(&self, with_pin: bool) -> Result<Card, Refusal> {
        let processing = self.need(3)?;
        let kind = match &processing[..2] {
            b"01" => TransactionType::Withdrawal,
            b"09" => TransactionType::Purchase,
            b"21" => TransactionType::Deposit,
            b"91" => TransactionType::FastCash,
            b"31" => TransactionType::BalanceInquiry,
            b"38" => TransactionType::MiniStatement,
            b"40" => TransactionType::Transfer,
            b"90" => TransactionType::PinChange,
            _ => return Err(Refusal::Unserved),
        };
        let (account, to) = (account(&processing[2..4])?, account(&processing[4..6])?);
        let amount = match self.message.get(4) {
            Some(_) => self.number(4)?,
            None if matches!(
                kind,
                TransactionType::BalanceInquiry
                    | TransactionType::MiniStatement
                    | TransactionType::PinChange
                    | TransactionType::FastCash
            ) =>
            {
                0
            }
            None => return Err(Refusal::Missing(4)),
        };
        if self.message.get(49).is_some() && self.number(49)? != u64::from(self.settings.currency) {
            return Err(Refusal::Currency);
        }
        let new_pin = match self.private(private::NEW_PIN)? {
            Some(text) => Some(Zeroizing::new(base16ct::mixed::decode_vec(text).map_err(|_| Refusal::Field(63))?)),
            None if kind == TransactionType::PinChange => return Err(Refusal::Missing(63)),
            None => None,
        };
        Ok(Card {
            key: Key(self.terminal()?, self.trace()?, self.date()?),
            pan: self.pan()?,
            kind,
            amount: Amount(amount),
            cashback: Amount(self.cashback()?),
            conversion: if with_pin { self.conversion()? } else { Conversion::NONE },
            account,
            to,
            pin: Zeroizing::new(if with_pin { self.need(52)?.to_vec() } else { Vec::new() }),
            new_pin,
        })
    }

    fn advice(&self) -> Result<Advice, Refusal> {
        Ok(Advice {
            key: self.original()?,
            pan: self.pan()?,
            amount: Amount(self.number(4)?),
            account: account(&self.need(3)?[2..4])?,
        })
    }

    /// What was said to an offer.
    fn conversion(&self) -> Result<Conversion, Refusal> {
        let Some(said) = self.private(private::CONVERSION)? else { return Ok(Conversion::NONE) };
        match said.split_first() {
            Some((b'D', [])) => Ok(Conversion { choice: ConversionChoice::Declined, ..Conversion::NONE }),
            Some((b'A', version)) if version.len() == 10 => {
                let version = number(version).and_then(|version| u32::try_from(version).ok());
                Ok(Conversion {
                    choice: ConversionChoice::Accepted,
                    billed: Amount(self.number(6)?),
                    billed_in: Currency(self.number(51)? as u16),
                    rate_version: RateVersion(version.ok_or(Refusal::Field(63))?),
                })
            }
            _ => Err(Refusal::Field(63)),
        }
    }

    /// What is to be paid out in cash: the amount of type 40 among the additional ones.
    fn cashback(&self) -> Result<u64, Refusal> {
        let mut cashback = 0;
        for group in self.message.get(54).unwrap_or_default().chunks(20) {
            if group.get(2..4) == Some(b"40") {
                cashback = group.get(8..20).and_then(number).ok_or(Refusal::Field(54))?;
            }
        }
        Ok(cashback)
    }

    /// The card's number, from its field or from track 2; when both are there they must agree.
    fn pan(&self) -> Result<Pan, Refusal> {
        let of_track = self.message.get(35).map(|track| track.split(|byte| matches!(byte, b'=' | b'D')).next());
        let digits = match (self.message.get(2), of_track.flatten()) {
            (None, None) => return Err(Refusal::Missing(2)),
            (Some(field), Some(track)) if field != track => return Err(Refusal::Field(35)),
            (Some(digits), _) | (None, Some(digits)) => digits,
        };
        Pan::new(digits).map_err(|_| Refusal::Field(2))
    }

    /// The notes that came out.
    fn notes(&self) -> Result<Notes, Refusal> {
        let text = self.private(private::NOTES)?.ok_or(Refusal::Missing(63))?;
        if text.len() != 4 * CASSETTES {
            return Err(Refusal::Field(63));
        }
        let mut counts = [0; CASSETTES];
        for (count, digits) in counts.iter_mut().zip(text.chunks(4)) {
            *count = number(digits).ok_or(Refusal::Field(63))? as u16;
        }
        Ok(Notes::new(counts))
    }

    /// A reversal in full; or in part, when it names notes that came out.
    fn reversal(&self) -> Result<Asked, Refusal> {
        let key = self.original()?;
        let actual = self.message.get(95).map(|amounts| amounts.get(..12).and_then(number).ok_or(Refusal::Field(95)));
        match (self.private(private::NOTES)?, actual.transpose()?) {
            (Some(_), _) => Ok(Asked::Complete(key, self.notes()?)),
            (None, Some(1..)) => Err(Refusal::Missing(63)),
            (None, _) => Ok(Asked::Reverse(key)),
        }
    }

    /// What another acquirer has of a business date: terminals have nothing to settle.
    fn reconciliation(&self) -> Result<Reconcile, Refusal> {
        let terminal = acquirer(self.message, self.settings).ok_or(Refusal::Unserved)?;
        let count =
            |field| self.number(field).and_then(|count| u32::try_from(count).map_err(|_| Refusal::Field(field)));
        let amount = |field| self.number(field).map(Amount);
        let (side, net) = self.need(97)?.split_first().ok_or(Refusal::Field(97))?;
        let net = number(net).and_then(|net| i64::try_from(net).ok()).ok_or(Refusal::Field(97))?;
        // Debits are what is owed to the acquirer.
        let net = match side {
            b'D' => net,
            b'C' => -net,
            _ => return Err(Refusal::Field(97)),
        };
        Ok(Reconcile {
            credits: count(74)?,
            credits_reversed: count(75)?,
            debits: count(76)?,
            debits_reversed: count(77)?,
            credit_amount: amount(86)?,
            credit_reversed_amount: amount(87)?,
            debit_amount: amount(88)?,
            debit_reversed_amount: amount(89)?,
            net: Balance(net),
            terminal,
            date: self.date()?,
        })
    }

    fn network(&self) -> Result<Asked, Refusal> {
        match self.need(70)? {
            b"001" => Ok(Asked::Service(self.terminal()?, true)),
            b"002" => Ok(Asked::Service(self.terminal()?, false)),
            // Between hosts keys are agreed on, and given to nobody.
            b"101" | b"161" if acquirer(self.message, self.settings).is_some() => Err(Refusal::NotPermitted),
            // Keys are kept of each that was given any.
            b"101" | b"161" => match self.terminal()? {
                TerminalId(number) if number > self.settings.terminals_max => Err(Refusal::Field(41)),
                terminal => Ok(Asked::Keys(terminal)),
            },
            b"201" if self.settings.cutover => {
                let date = nearest(self.need(15)?, self.today).ok_or(Refusal::Field(15))?;
                let is_near = date.0 <= self.today.0.saturating_add(CUTOVER_AHEAD_MAX);
                if is_near { Ok(Asked::Cutover(date)) } else { Err(Refusal::Field(15)) }
            }
            b"201" => Err(Refusal::NotPermitted),
            b"301" => Ok(Asked::Echo),
            _ => Err(Refusal::Unserved),
        }
    }
}
