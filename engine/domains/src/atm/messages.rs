//! What is said to the atm domain and by it.
//!
//! Any change to a field, a number or a code here breaks clients and journals: the schema, the golden vectors and
//! [`super::Atm`]'s version pin them.

use ringfence_kernel::messages::Reserved;
use ringfence_kernel::{choice, limits, messages, newtype, rejects};

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
/// Wrong PINs in a row after which a card is locked.
pub const PIN_TRIES: u8 = 3;

choice! {
    /// What bounds an account's balance.
    pub enum Constraint as ConstraintCode {
        /// Nothing: the bank's own accounts.
        Free = 1,
        /// Its debits, held ones included, never exceed its posted credits and its overdraft: a customer's account.
        Covered = 2,
        /// It is the cash in a terminal, and moves only with notes. Defining a terminal opens it.
        Cash = 3,
    }
}
choice! {
    /// What a transfer does.
    pub enum TransferKind as TransferKindCode {
        /// Moves the amount at once.
        Move = 1,
        /// Holds the amount on both sides, until it is posted, let go, or its time is over.
        Hold = 2,
        /// Posts the amount of a hold and lets the rest go.
        Post = 3,
        /// Lets a hold go.
        Void = 4,
    }
}
choice! {
    /// What became of linked transfers.
    pub enum TransferOutcome as TransferOutcomeCode {
        /// All are done, now or before.
        Done = 1,
        /// The id is zero, or another transfer's.
        IdTaken = 2,
        /// There is no such account.
        UnknownAccount = 3,
        /// The accounts are one, have different currencies, or one is the cash in a terminal; or a transfer that ends a
        /// hold names any.
        BadAccounts = 4,
        /// The amount is zero where it must not be, not zero where it must be, or above 10¹².
        BadAmount = 5,
        /// The transfer breaks the constraint of an account, or a sum would leave its range.
        NotCovered = 6,
        /// There is no such hold, or it has ended; or a transfer that ends none names one.
        UnknownHold = 7,
        /// More than is held.
        MoreThanHeld = 8,
    }
}
choice! {
    /// What may be done with a card.
    pub enum CardStatus as CardStatusCode {
        /// Everything.
        Active = 1,
        /// Nothing, until the operator says otherwise.
        Blocked = 2,
        /// Nothing: its holder lost it.
        Lost = 3,
        /// Nothing: it was stolen.
        Stolen = 4,
        /// Nothing: its time is over, or it was replaced.
        Expired = 5,
        /// Nothing: a terminal kept it.
        Retained = 6,
    }
}
choice! {
    /// Whether a terminal may begin transactions.
    pub enum Service as ServiceCode {
        /// It has signed on.
        In = 1,
        /// It has not, or has signed off. What was authorized before is still completed and reversed.
        Out = 2,
    }
}
choice! {
    /// What is asked for: the first two digits of an ISO 8583 processing code.
    pub enum TransactionType as TransactionTypeCode {
        /// Cash.
        Withdrawal = 1,
        /// What the account holds.
        BalanceInquiry = 31,
        /// From one of the card's accounts to another.
        Transfer = 40,
        /// Another PIN. Its numbers are those for private use: ISO 8583:1987 has none for it.
        PinChange = 90,
    }
}
choice! {
    /// Which of a card's accounts: the account type of an ISO 8583 processing code.
    pub enum AccountType as AccountTypeCode {
        /// None is named: the first that the card has of cheque, savings and credit.
        Default = 0,
        /// The savings account.
        Savings = 10,
        /// The cheque account.
        Cheque = 20,
        /// The credit account.
        Credit = 30,
    }
}
impl AccountType {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Default, Self::Savings, Self::Cheque, Self::Credit];
}

choice! {
    /// What the gateway found of the PIN.
    pub enum PinVerdict as PinVerdictCode {
        /// It is the card's.
        Right = 1,
        /// It is not.
        Wrong = 2,
    }
}
choice! {
    /// ISO 8583:1987 field 39. The domain's README has the order of precedence.
    pub enum ResponseCode as ResponseByte {
        /// Approved, or done as asked.
        Approved = 0,
        /// Invalid transaction: the terminal and an account have different currencies; a transfer goes to the account
        /// that it comes from, or another transaction to any; what was dispensed, or a change of PIN, is reversed.
        InvalidTransaction = 12,
        /// Invalid amount: zero, above 10¹² or not payable in the terminal's notes; not zero for an inquiry; other notes
        /// than were authorized.
        InvalidAmount = 13,
        /// No such card.
        InvalidCard = 14,
        /// Restricted card, keep it: it was retained.
        RestrictedKeep = 36,
        /// Wrong PIN for the last time: the card is locked, keep it.
        PinTriesKeep = 38,
        /// Lost card.
        Lost = 41,
        /// Stolen card.
        Stolen = 43,
        /// Not enough funds.
        InsufficientFunds = 51,
        /// The card has no cheque account; or none at all, and none was named.
        NoCheque = 52,
        /// The card has no savings account.
        NoSavings = 53,
        /// Expired card.
        Expired = 54,
        /// Wrong PIN.
        WrongPin = 55,
        /// Not permitted to the cardholder: the card has no credit account.
        NotPermitted = 57,
        /// Not permitted to the terminal: it is out of service.
        TerminalNotPermitted = 58,
        /// More than the card's amount for a transaction or a day.
        ExceedsAmount = 61,
        /// Restricted card: it is blocked.
        Restricted = 62,
        /// More withdrawals than the card's number for a day, or for a window.
        ExceedsCount = 65,
        /// Too late: it was reversed before.
        TooLate = 68,
        /// Too many wrong PINs before: the card is locked.
        PinLocked = 75,
        /// The original is not known.
        UnknownOriginal = 76,
        /// The same key with other content.
        Duplicate = 94,
        /// A sum of the ledger would leave its range.
        Malfunction = 96,
    }
}

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
        /// currency than before, a surcharge above 10¹², or a surcharge without an account or an account without one.
        BadTerminal = 2011,
        /// Notes in the terminal are authorized and not yet completed.
        TerminalBusy = 2012,
        /// More than four cassettes or none, notes without a denomination, another denomination than the notes in the
        /// cassette, or more notes than it holds.
        BadCassettes = 2013,
        /// The date is neither the business date nor the one before it; or a cutover goes to no later date.
        BadDate = 2014,
        /// The PIN was verified against another version than the card's: verify it again.
        StalePin = 2015,
        /// As many transactions are kept as may, and the oldest may still be repeated. Cutovers make room.
        TransactionsFull = 2016,
        /// A sum of the ledger would leave its range, or the account does not cover the cash.
        NotCovered = 2017,
        /// More withdrawals within a window than can be a limit.
        BadWindow = 2018,
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
    }
}

messages! {
    /// What a client may ask.
    pub enum Command in schema 2 version 1 {
        /// Opens an account with nothing in it. Saying the same again is answered again.
        1 => OpenAccount: 24 {
            /// Its number.
            account: AccountNumber,
            /// How far below zero a covered account may go.
            overdraft: Amount,
            /// Its currency.
            currency: Currency,
            /// What bounds its balance.
            constraint: ConstraintCode,
            /// Zero.
            reserved: Reserved<5>,
        },
        /// Moves money between accounts: all of the linked transfers, in their order, or none. Saying the same again is
        /// answered again.
        2 => TransferLinked: 8 {
            /// Zero.
            reserved: Reserved<8>,
        } + transfers: TransferEntry: 56 {
            /// Its number.
            id: TransferId,
            /// The account that gives; zero when a hold ends.
            debit: AccountNumber,
            /// The account that takes; zero when a hold ends.
            credit: AccountNumber,
            /// How much; zero for a hold that is let go.
            amount: Amount,
            /// The hold that ends; zero for none.
            hold: TransferId,
            /// How long a hold lasts, in nanoseconds; zero for ever.
            lasts_ns: u64,
            /// What it does.
            kind: TransferKindCode,
            /// Zero.
            reserved: Reserved<7>,
        },
        /// Issues a card, or changes all terms of one. Another PIN version forgets the wrong PINs.
        3 => SetCard: 104 {
            /// The keyed token of its number. The number itself never comes here.
            token: [u8; 16],
            /// What the gateway verifies its PIN against, a PVV or an offset as text. The PIN itself never comes here.
            pin_reference: [u8; 16],
            /// Its cheque account; zero for none.
            cheque: AccountNumber,
            /// Its savings account; zero for none.
            savings: AccountNumber,
            /// Its credit account; zero for none.
            credit: AccountNumber,
            /// The most of one withdrawal.
            transaction_max: Amount,
            /// The most of all withdrawals of a business date.
            day_max: Amount,
            /// How long the window is that rolls with the log's time, in nanoseconds.
            window_ns: u64,
            /// The most withdrawals of a business date.
            day_count_max: u32,
            /// The version of its PIN reference in force.
            pin_version: PinVersion,
            /// The last four digits of its number, as text.
            last_four: [u8; 4],
            /// The most withdrawals within a window, at most 8; zero for no such limit.
            window_count_max: u32,
            /// What may be done with it.
            status: CardStatusCode,
            /// Zero.
            reserved: Reserved<7>,
        },
        /// Blocks a card, or lets it be used again; its wrong PINs stay.
        4 => SetCardStatus: 24 {
            /// The card.
            token: [u8; 16],
            /// What may be done with it from now on.
            status: CardStatusCode,
            /// Zero.
            reserved: Reserved<7>,
        },
        /// Gives the accounts, limits and counts of a card to a new one. The old one is expired, unless its status says
        /// worse.
        5 => ReplaceCard: 56 {
            /// The card that is replaced.
            token: [u8; 16],
            /// The token of the new one.
            new_token: [u8; 16],
            /// What the gateway verifies the PIN of the new one against.
            pin_reference: [u8; 16],
            /// The PIN version of the new one.
            pin_version: PinVersion,
            /// The last four digits of its number, as text.
            last_four: [u8; 4],
        },
        /// Defines a terminal, out of service and without notes, and opens the account of the cash in it; or changes the
        /// surcharge of a terminal and the time that it has to confirm.
        6 => SetTerminal: 40 {
            /// The account of the cash in it.
            cash: AccountNumber,
            /// The account that gets the surcharge; zero when there is none.
            fees: AccountNumber,
            /// What a withdrawal costs beside its amount; at most 10¹².
            surcharge: Amount,
            /// How long it may be silent after an authorization, in nanoseconds; not zero.
            confirm_within_ns: u64,
            /// Its number.
            terminal: TerminalId,
            /// Its currency.
            currency: Currency,
            /// Zero.
            reserved: Reserved<2>,
        },
        /// The terminal signs on or off.
        7 => SetService: 8 {
            /// The terminal.
            terminal: TerminalId,
            /// Whether it may begin transactions from now on.
            service: ServiceCode,
            /// Zero.
            reserved: Reserved<3>,
        },
        /// Puts notes into a terminal's cassettes, the first one first.
        8 => LoadCash: 16 {
            /// The account that the cash comes from.
            vault: AccountNumber,
            /// The terminal.
            terminal: TerminalId,
            /// Zero.
            reserved: Reserved<4>,
        } + cassettes: CassetteLoad: 8 {
            /// What a note is worth, in minor units; zero leaves the cassette as it is.
            denomination: u32,
            /// How many more notes.
            notes: u32,
        },
        /// Takes all notes out of a terminal.
        9 => UnloadCash: 16 {
            /// The account that the cash goes to.
            vault: AccountNumber,
            /// The terminal.
            terminal: TerminalId,
            /// Zero.
            reserved: Reserved<4>,
        },
        /// Balances a terminal: the notes that were counted are those that are in it. Each difference is named, and
        /// posted.
        10 => CountCash: 16 {
            /// The account that bears what is missing and gets what is over.
            difference: AccountNumber,
            /// The terminal.
            terminal: TerminalId,
            /// Zero.
            reserved: Reserved<4>,
        } + cassettes: CassetteCount: 8 {
            /// How many notes were counted in it.
            notes: u32,
            /// Zero.
            reserved: Reserved<4>,
        },
        /// The terminal kept a card: it is retained, unless its status says that it was lost or stolen.
        11 => CaptureCard: 24 {
            /// The card.
            token: [u8; 16],
            /// The terminal.
            terminal: TerminalId,
            /// Zero.
            reserved: Reserved<4>,
        },
        /// Ends the business date, and says what was done on it at each terminal and in each currency. Transactions and transfers of dates before the one that ends are no longer repeated.
        12 => Cutover: 8 {
            /// The business date that begins.
            date: BusinessDate,
            /// Zero.
            reserved: Reserved<4>,
        },
        /// Asks for a withdrawal, an inquiry or a transfer. An approved withdrawal holds the money and the notes until it is completed or
        /// reversed, or its time is over.
        13 => Authorize: 48 {
            /// The card.
            token: [u8; 16],
            /// How much; zero for a balance inquiry.
            amount: Amount,
            /// Who asks.
            terminal: TerminalId,
            /// The terminal's number for it.
            trace: Trace,
            /// On which business date.
            date: BusinessDate,
            /// Which PIN version the verdict is of.
            pin_version: PinVersion,
            /// What was found of the PIN.
            pin: PinVerdictCode,
            /// What is asked for.
            transaction: TransactionTypeCode,
            /// Of which account.
            account: AccountTypeCode,
            /// To which account a transfer goes; zero for all else.
            to: AccountTypeCode,
            /// Zero.
            reserved: Reserved<4>,
        },
        /// Says what was dispensed: all is posted, part is posted and the rest let go, nothing lets all go.
        14 => Complete: 24 {
            /// The notes that were dispensed.
            notes: Notes,
            /// The terminal.
            terminal: TerminalId,
            /// The authorization's trace number.
            trace: Trace,
            /// The authorization's date.
            date: BusinessDate,
            /// Zero.
            reserved: Reserved<4>,
        },
        /// Takes an authorization back, whether it came or not: one that comes after its reversal is declined.
        15 => Reverse: 16 {
            /// The terminal.
            terminal: TerminalId,
            /// The authorization's trace number.
            trace: Trace,
            /// The authorization's date.
            date: BusinessDate,
            /// Zero.
            reserved: Reserved<4>,
        },
        /// Asks for another PIN, which the gateway has made a reference of. It is answered by `Authorized`.
        16 => ChangePin: 56 {
            /// The card.
            token: [u8; 16],
            /// What the gateway verifies the new PIN against.
            new_pin_reference: [u8; 16],
            /// Who asks.
            terminal: TerminalId,
            /// The terminal's number for it.
            trace: Trace,
            /// On which business date.
            date: BusinessDate,
            /// Which version the verdict is of; the new PIN has the next one.
            pin_version: PinVersion,
            /// What was found of the old PIN.
            pin: PinVerdictCode,
            /// Zero.
            reserved: Reserved<7>,
        },
    }
}

messages! {
    /// What answers a command.
    pub enum Reply in schema 2 version 1 {
        /// The account is open.
        51 => AccountOpened: 24 {
            /// Its number.
            account: AccountNumber,
            /// What it holds.
            balance: Balance,
            /// What of it is not held.
            available: Balance,
        },
        /// The linked transfers are done, or none is. A repeat of those that are done gets the same bytes.
        52 => Transferred: 40 {
            /// What the account that gave last holds; zero when none is done.
            debit_balance: Balance,
            /// What of it is not held.
            debit_available: Balance,
            /// What the account that took last holds.
            credit_balance: Balance,
            /// What of it is not held.
            credit_available: Balance,
            /// Which transfer failed, from 0; or how many are done.
            at: u32,
            /// Why.
            outcome: TransferOutcomeCode,
            /// Zero.
            reserved: Reserved<3>,
        },
        /// The card, the terminal or the date is as was asked.
        53 => Set: 8 {
            /// The business date.
            date: BusinessDate,
            /// Zero.
            reserved: Reserved<4>,
        },
        /// The notes in the terminal are as was asked.
        54 => CashSet: 24 {
            /// What they are worth: what the account of the cash was debited less what it was credited.
            cash: Balance,
            /// How much more than before.
            change: Balance,
            /// The terminal.
            terminal: TerminalId,
            /// Zero.
            reserved: Reserved<4>,
        },
        /// The transaction was decided. A repeat gets the same bytes.
        55 => Authorized: 56 {
            /// Its number.
            authorization: Authorization,
            /// What is held for the notes: all that was asked for, or nothing.
            held: Amount,
            /// The surcharge that is held beside it.
            fee: Amount,
            /// The notes to dispense.
            notes: Notes,
            /// What the account holds; zero when none was found.
            balance: Balance,
            /// What of it is not held.
            available: Balance,
            /// The decision.
            code: ResponseByte,
            /// Zero.
            reserved: Reserved<7>,
        },
        /// The completion or reversal was taken in. A repeat gets the same bytes.
        56 => Ended: 48 {
            /// The authorization's number.
            authorization: Authorization,
            /// What was posted for the notes, or moved.
            posted: Amount,
            /// The surcharge that was posted.
            fee: Amount,
            /// What the account held when the transaction ended.
            balance: Balance,
            /// What of it was not held.
            available: Balance,
            /// The decision.
            code: ResponseByte,
            /// Zero.
            reserved: Reserved<7>,
        },
    }
}

messages! {
    /// What the atm domain says beside the answer.
    pub enum Event in schema 2 version 1 {
        /// The terminal was silent until the deadline: what was held is let go. On the terminal's stream.
        101 => TimedOut: 24 {
            /// The authorization's number.
            authorization: Authorization,
            /// What was held.
            amount: Amount,
            /// The terminal's number for it.
            trace: Trace,
            /// Its date.
            date: BusinessDate,
        },
        /// The terminal says that it dispensed what it was not authorized for, or what can no longer be posted. Nothing
        /// is: the operator settles it. On the terminal's stream.
        102 => Exception: 32 {
            /// The authorization's number; zero when there was none.
            authorization: Authorization,
            /// The notes that are said to be dispensed.
            notes: Notes,
            /// The terminal's number for it.
            trace: Trace,
            /// Its date.
            date: BusinessDate,
            /// The answer.
            code: ResponseByte,
            /// Zero.
            reserved: Reserved<7>,
        },
        /// A cassette did not hold what the ledger says. On the terminal's stream.
        103 => CashDiffered: 24 {
            /// What is over; below zero what is missing.
            difference: Balance,
            /// Notes that should have been in it.
            expected: u32,
            /// Notes that were counted.
            counted: u32,
            /// What a note is worth.
            denomination: u32,
            /// Which cassette, from 1.
            cassette: u8,
            /// Zero.
            reserved: Reserved<3>,
        },
        /// The terminal kept a card. On the terminal's stream.
        104 => CardCaptured: 24 {
            /// The card.
            token: [u8; 16],
            /// Cards that it has kept since it was last balanced.
            captured: u32,
            /// Zero.
            reserved: Reserved<4>,
        },
        /// A cassette. Only in snapshots of the terminal's stream.
        105 => CassetteStands: 16 {
            /// What a note is worth; zero when the cassette is not used.
            denomination: u32,
            /// Notes in it.
            notes: u32,
            /// Those of them that are authorized and not yet completed.
            held: u32,
            /// Which cassette, from 1.
            cassette: u8,
            /// Whether the terminal may begin transactions.
            service: ServiceCode,
            /// Zero.
            reserved: Reserved<2>,
        },
        /// The time of a hold is over: it is let go. On the stream of holds.
        106 => HoldExpired: 16 {
            /// The hold.
            id: TransferId,
            /// What was held.
            amount: Amount,
        },
        /// What was done at a terminal on a business date of the host that has ended. On the terminal's stream.
        107 => TerminalTotals: 56 {
            /// What was posted for notes that came out.
            dispensed: Amount,
            /// What was posted of surcharges.
            fees: Amount,
            /// What its notes are worth by the ledger, as the date ends.
            cash: Balance,
            /// What of that is held: authorized on this date and not yet completed.
            held: Amount,
            /// The business date that has ended.
            date: BusinessDate,
            /// Withdrawals whose notes came out, in full or in part.
            withdrawals: u32,
            /// Transactions that were declined.
            declined: u32,
            /// Withdrawals that were let go: nothing came out, or they were reversed.
            voided: u32,
            /// Withdrawals that timed out; those that were posted late are among `withdrawals` too.
            timed_out: u32,
            /// What the terminal says was dispensed and is not posted.
            exceptions: u32,
        },
        /// What was done in a currency on a business date that has ended: the sums of its terminals. On the stream of
        /// business dates.
        108 => CurrencyTotals: 48 {
            /// What was posted for notes that came out.
            dispensed: Amount,
            /// What was posted of surcharges.
            fees: Amount,
            /// What all notes are worth by the ledger, as the date ends.
            cash: Balance,
            /// What of that is held.
            held: Amount,
            /// The business date that has ended.
            date: BusinessDate,
            /// Withdrawals whose notes came out.
            withdrawals: u32,
            /// Terminals.
            terminals: u32,
            /// Which currency.
            currency: Currency,
            /// Zero.
            reserved: Reserved<2>,
        },
        /// What the gateway is to verify a card's PIN against from now on. On the stream of PIN references.
        109 => PinReferenceSet: 40 {
            /// The card.
            token: [u8; 16],
            /// A PVV or an offset as text.
            pin_reference: [u8; 16],
            /// Its version, which a verdict names.
            pin_version: PinVersion,
            /// The last four digits of the card's number, as text.
            last_four: [u8; 4],
        },
    }
}

/// What names a transaction: terminal, trace number, date.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key(pub TerminalId, pub Trace, pub BusinessDate);
