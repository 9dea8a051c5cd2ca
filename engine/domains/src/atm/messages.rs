//! What is said to the atm domain and by it.
//!
//! Any change to a field, a number or a code here breaks clients and journals: the schema, the golden vectors and
//! [`super::Atm`]'s version pin them.

mod choices;
mod commands;
mod events;
mod replies;

pub use choices::{
    AccountType, AccountTypeCode, CardStatus, CardStatusCode, Constraint, ConstraintCode, ConversionChoice,
    ConversionChoiceCode, IssuerOutcome, IssuerOutcomeCode, MovementKind, MovementKindCode, Network, NetworkCode,
    PinVerdict, PinVerdictCode, RateUse, RateUseCode, ResponseByte, ResponseCode, Service, ServiceCode, Settlement,
    SettlementCode, SettlementItem, SettlementItemCode, TransactionType, TransactionTypeCode, TransferKind,
    TransferKindCode, TransferOutcome, TransferOutcomeCode,
};
pub use commands::{
    Acknowledge, Advise, Answer, Authorize, CaptureCard, CassetteCount, CassetteLoad, ChangePin, Command, Complete,
    CountCash, CountDeposit, Cutover, Forward, LoadCash, Offer, OpenAccount, Reconcile, ReplaceCard, Reverse,
    SetAccountLimits, SetAcquirer, SetCard, SetCardStatus, SetCardTerms, SetFee, SetIssuer, SetRate, SetRoute,
    SetService, SetTerminal, SetTerminalTerms, TransferEntry, TransferLinked, UnloadCash,
};
pub use events::{
    AdviceDone, AdviceDue, CardCaptured, CashDiffered, CassetteStands, CurrencyTotals, DepositDiffered, Event,
    Exception, HoldExpired, IssuerTotals, PinReferenceSet, RouteSet, SettlementDiffered, StatementLine, TerminalTotals,
    TimedOut,
};
pub use replies::{AccountOpened, Authorized, CashSet, Ended, Forwarded, Offered, Reconciled, Reply, Set, Transferred};

use ringfence_kernel::{limits, newtype, rejects};

newtype! {
    /// The number of a ledger account; zero names none.
    pub struct AccountNumber(u64);
}
newtype! {
    /// A client's own number of a transfer, unique among all transfers that are kept; not zero.
    pub struct TransferId(u64);
}
newtype! {
    /// A currency by its ISO 4217 number, 1 to 999.
    pub struct Currency(u16);
}
newtype! {
    /// How much money, in minor units of its currency.
    pub struct Amount(u64);
}
newtype! {
    /// What an account holds, in minor units of its currency: what it was credited less what it was debited.
    pub struct Balance(i64);
}
newtype! {
    /// A terminal: a dense number from 1 up to the limit of terminals.
    pub struct TerminalId(u32);
}
newtype! {
    /// Notes of each of a terminal's four cassettes, 16 bits a cassette, the first cassette lowest.
    pub struct Notes(u64);
}
newtype! {
    /// The terminal's number of a transaction (ISO 8583 field 11), unique in its terminal and date.
    pub struct Trace(u32);
}
newtype! {
    /// A business date, in days since 1970.
    pub struct BusinessDate(u32);
}
newtype! {
    /// The version of a card's PIN reference that the gateway verified against.
    pub struct PinVersion(u32);
}
newtype! {
    /// A conversion rate as ISO 8583 field 10 writes it: the first of eight digits says how many of the seven that follow
    /// stand behind the point. It is what a minor unit of the terminal's currency is in minor units of the account's.
    pub struct Rate(u32);
}
newtype! {
    /// The version of a rate, which rises with each that is set for two currencies; not zero.
    pub struct RateVersion(u32);
}
newtype! {
    /// A remote issuer: a dense number from 1 up to the limit of issuers; zero is this host.
    pub struct IssuerId(u16);
}
newtype! {
    /// The sequence of the command that was authorized or declined; zero when a reversal came first.
    pub struct Authorization(u64);
}

impl Notes {
    /// As many of each cassette.
    #[must_use]
    pub const fn new(counts: [u16; CASSETTES]) -> Self {
        let [first, second, third, fourth] = counts;
        Self(first as u64 | (second as u64) << 16 | (third as u64) << 32 | (fourth as u64) << 48)
    }

    /// How many of each cassette.
    #[must_use]
    pub const fn counts(self) -> [u16; CASSETTES] {
        [self.0 as u16, (self.0 >> 16) as u16, (self.0 >> 32) as u16, (self.0 >> 48) as u16]
    }

    /// Whether `all` has as many of each cassette, or more.
    #[must_use]
    pub fn are_of(self, all: Self) -> bool {
        self.counts().into_iter().zip(all.counts()).all(|(count, all)| count <= all)
    }
}

impl Currency {
    /// One more than the largest number of a currency.
    pub const END: u16 = 1_000;

    /// Whether it can be one.
    #[must_use]
    pub const fn is_valid(self) -> bool {
        self.0 > 0 && self.0 < Self::END
    }
}

impl Rate {
    /// The seven digits, and how many of them stand behind the point.
    #[must_use]
    pub const fn parts(self) -> (u32, u32) {
        (self.0 % 10_000_000, self.0 / 10_000_000)
    }

    /// Whether it can be one: eight digits at most, and not zero.
    #[must_use]
    pub const fn is_valid(self) -> bool {
        self.0 < 100_000_000 && self.parts().0 > 0
    }

    /// The rate with a mark-up of so many 1/10,000, which is what is applied: as many digits as it has room for, the rest
    /// cut off, so that it is never above what is stated. None when it has no room for it.
    #[must_use]
    pub fn with_markup(self, markup: u32) -> Option<Self> {
        let (digits, decimals) = self.parts();
        // Four decimals more hold it exactly.
        let (exact, most) = (u64::from(digits) * (10_000 + u64::from(markup)), decimals + 4);
        let fitting = (0..=most.min(9)).rev().find_map(|decimals| {
            let digits = exact / 10_u64.pow(most - decimals);
            (1..10_000_000).contains(&digits).then_some((digits as u32, decimals))
        });
        fitting.map(|(digits, decimals)| Self(decimals * 10_000_000 + digits))
    }

    /// What `amount` is in the other currency, rounded to the nearest minor unit, half of one up.
    #[must_use]
    pub fn convert(self, Amount(amount): Amount) -> Amount {
        let (digits, decimals) = self.parts();
        let unit = 10_u128.pow(decimals);
        let converted = (u128::from(amount) * u128::from(digits) + unit / 2) / unit;
        Amount(u64::try_from(converted).unwrap_or(u64::MAX))
    }
}

/// Cassettes of a terminal.
pub const CASSETTES: usize = 4;
/// The most notes of one withdrawal: what a dispenser presents at once.
pub const NOTES_MAX: u32 = 40;
/// The largest amount of one transfer or withdrawal.
pub const AMOUNT_MAX: u64 = 1_000_000_000_000;
/// The most transfers of one command.
pub const LINKED_MAX: usize = 32;
/// The most withdrawals within a window that can be a limit.
pub const WINDOW_MAX: usize = 8;
/// The most digits of a route's prefix.
pub const PREFIX_MAX: u8 = 8;
/// The last trace number of a business date that a remote issuer is asked under: six digits.
pub const LINK_TRACE_MAX: u32 = 999_999;
/// Wrong PINs in a row after which a card is locked.
pub const PIN_TRIES: u8 = 3;

rejects! {
    /// Why the atm domain refuses a command. Nothing has changed.
    pub enum Reject {
        /// No such account is open, or it has another currency than the terminal or is the cash in one.
        UnknownAccount = 2001,
        /// The account is open with other terms.
        AccountExists = 2002,
        /// An account's number is zero, its currency is none, its overdraft is above 10¹² or of an account that is free, or it is
        /// to be cash.
        BadAccount = 2003,
        /// As many accounts are open as may.
        AccountsFull = 2004,
        /// No transfer, or more than 32 in one command.
        BadTransfers = 2005,
        /// As many transfers are kept as may, and the oldest may still be repeated. Cutovers make room.
        TransfersFull = 2006,
        /// No such card is issued.
        UnknownCard = 2007,
        /// The token is another card's already.
        CardExists = 2008,
        /// As many cards are issued as may.
        CardsFull = 2009,
        /// No such terminal is defined.
        UnknownTerminal = 2010,
        /// The terminal's number is outside the limit, it is given no time to confirm, another account of its cash or
        /// currency than before, a surcharge above 10¹² or a rate above 10,000, or a surcharge without an account or an account without one.
        BadTerminal = 2011,
        /// Notes in the terminal are authorized and not yet completed.
        TerminalBusy = 2012,
        /// More than four cassettes or none, notes without a denomination, another denomination than the notes in the
        /// cassette, or more notes than it holds.
        BadCassettes = 2013,
        /// The date is neither the business date nor the one before it; or a cutover goes to no later date.
        BadDate = 2014,
        /// The PIN was verified against another version than the card's: verify it again. Or a card is set with a lower
        /// version than it has, or with another PIN under the same.
        StalePin = 2015,
        /// As many transactions are kept as may, and the oldest may still be repeated. Cutovers make room.
        TransactionsFull = 2016,
        /// A sum of the ledger would leave its range, or the account does not cover the cash.
        NotCovered = 2017,
        /// More withdrawals within a window than can be a limit, or an amount within a window that has no limit by number.
        BadWindow = 2018,
        /// The issuer's number is outside the limit, its advices last no time, its account is none, or a limit is above 10¹².
        BadIssuer = 2019,
        /// A prefix has no digits, more than eight, or others than it says; or its issuer's number is outside the limit.
        BadRoute = 2020,
        /// As many routes are set as may.
        RoutesFull = 2021,
        /// The route of the card leads to another issuer, or to this host: look it up again.
        StaleRoute = 2022,
        /// Such a transaction costs no fee; or its parts are above 10¹², its rate above 10,000, or its least above its most.
        BadFee = 2023,
        /// As many fees are set as may.
        FeesFull = 2024,
        /// The currencies are one, the rate is none, the mark-up is above 10,000, an account bounds what it bears, or a version
        /// is zero, not later than the one that is known, or that one with other terms.
        BadRate = 2025,
        /// As many rates are set as may.
        RatesFull = 2026,
    }
}

limits! {
    /// Capacities of the atm domain.
    pub struct AtmLimits {
        /// Accounts of the ledger.
        accounts = 65536 in 2..=33_554_432,
        /// Cards.
        cards = 65536 in 1..=33_554_432,
        /// Terminals; their ids run from 1 to this.
        terminals = 1024 in 1..=1_048_576,
        /// Transactions kept so that repeats are answered alike: those of two business dates at least.
        transactions = 262144 in 1..=67_108_864,
        /// Transfers kept so that repeats are answered alike: those of two business dates at least.
        transfers = 65536 in 32..=67_108_864,
        /// Remote issuers; their ids run from 1 to this.
        issuers = 64 in 1..=1_024,
        /// Routes to issuers.
        routes = 1024 in 1..=65_536,
        /// Cards of remote issuers for which somebody stood in on a business date.
        stood_in = 65536 in 1..=16_777_216,
        /// Movements that are kept of each account, for mini statements; zero when there are none.
        movements = 10 in 0..=16,
        /// Rules of fees.
        fees = 256 in 1..=65_536,
        /// Rates of conversions.
        rates = 256 in 1..=65_536,
    }
}

/// What names a transaction: terminal, trace number, date.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key(pub TerminalId, pub Trace, pub BusinessDate);
