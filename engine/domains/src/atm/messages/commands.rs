//! What a client may ask.

use super::{
    AccountNumber, AccountTypeCode, Amount, Balance, BusinessDate, CardStatusCode, ConstraintCode,
    ConversionChoiceCode, Currency, IssuerId, IssuerOutcomeCode, NetworkCode, Notes, PinVerdictCode, PinVersion, Rate,
    RateUseCode, RateVersion, ResponseByte, ServiceCode, TerminalId, Trace, TransactionTypeCode, TransferId,
    TransferKindCode,
};
use ringfence_kernel::messages;
use ringfence_kernel::messages::Reserved;

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
        13 => Authorize: 72 {
            /// The card.
            token: [u8; 16],
            /// How much; zero for a balance inquiry and for fast cash.
            amount: Amount,
            /// How much of a purchase is paid out in cash; zero for all else.
            cashback: Amount,
            /// What the accepted offer says is debited beside a fee; zero when none was accepted.
            billed: Amount,
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
            /// The version of the rate of the accepted offer; zero when none was accepted.
            rate_version: RateVersion,
            /// The currency of what is debited by the accepted offer; zero when none was accepted.
            billed_in: Currency,
            /// What was said to the offer.
            conversion: ConversionChoiceCode,
            /// Zero.
            reserved: Reserved<5>,
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
        /// Says what a terminal does beside withdrawals, and its limits. Until it is said it does nothing beside, and has none.
        17 => SetTerminalTerms: 72 {
            /// The account that gets what is bought; zero when it takes no purchases.
            merchant: AccountNumber,
            /// The account of the cash that is deposited and not yet counted; zero when it takes no deposits.
            deposits: AccountNumber,
            /// The most of one withdrawal.
            transaction_max: Amount,
            /// The most of all withdrawals of a business date.
            day_max: Amount,
            /// How long the window is that rolls with the log's time, in nanoseconds.
            window_ns: u64,
            /// The most of all withdrawals within the window; zero for no such limit. It needs a limit by number.
            window_max: Amount,
            /// The most of a surcharge, but for its fixed part.
            surcharge_max: Amount,
            /// What a surcharge adds to its fixed part, in 1/10,000 of the amount; at most 10,000.
            surcharge_rate: u32,
            /// The terminal.
            terminal: TerminalId,
            /// The most withdrawals of a business date.
            day_count_max: u32,
            /// The most withdrawals within the window, at most 8; zero for no such limit.
            window_count_max: u32,
        },
        /// Limits what all cards together take of an account. It counts from then on.
        18 => SetAccountLimits: 48 {
            /// The account.
            account: AccountNumber,
            /// The most of one withdrawal.
            transaction_max: Amount,
            /// The most of all withdrawals of a business date.
            day_max: Amount,
            /// How long the window is that rolls with the log's time, in nanoseconds.
            window_ns: u64,
            /// The most of all withdrawals within the window; zero for no such limit. It needs a limit by number.
            window_max: Amount,
            /// The most withdrawals of a business date.
            day_count_max: u32,
            /// The most withdrawals within the window, at most 8; zero for no such limit.
            window_count_max: u32,
        },
        /// Says what more a card may: fast cash, and how much within its window. Until it is said it has neither.
        19 => SetCardTerms: 32 {
            /// The card.
            token: [u8; 16],
            /// What fast cash gives; zero for none.
            fast_cash: Amount,
            /// The most of all withdrawals within its window; zero for no such limit. It needs a limit by number.
            window_max: Amount,
        },
        /// A deposit was counted: what was counted is posted. It is answered by `Ended`.
        20 => CountDeposit: 24 {
            /// How much was counted.
            counted: Amount,
            /// The terminal.
            terminal: TerminalId,
            /// The deposit's trace number.
            trace: Trace,
            /// The deposit's date.
            date: BusinessDate,
            /// Zero.
            reserved: Reserved<4>,
        },
        /// Defines another acquirer, whose terminals are not this host's: it is a terminal without notes, out of service. What is taken at them is owed to it.
        21 => SetAcquirer: 24 {
            /// The account of what is owed to it.
            settlement: AccountNumber,
            /// How long it may be silent after an authorization, in nanoseconds; not zero.
            confirm_within_ns: u64,
            /// Its number as a terminal.
            terminal: TerminalId,
            /// Its currency.
            currency: Currency,
            /// Zero.
            reserved: Reserved<2>,
        },
        /// Another acquirer says what was taken in the end, whether it was authorized here or not. It is answered by `Ended`.
        22 => Advise: 40 {
            /// The card.
            token: [u8; 16],
            /// How much was taken, all in all; not zero.
            amount: Amount,
            /// The acquirer.
            terminal: TerminalId,
            /// Its trace number for it.
            trace: Trace,
            /// On which business date.
            date: BusinessDate,
            /// Of which account.
            account: AccountTypeCode,
            /// Zero.
            reserved: Reserved<3>,
        },
        /// Defines a remote issuer, or changes its terms: whose cards' transactions are asked of another host.
        23 => SetIssuer: 40 {
            /// The account that bears what its cards take; its overdraft is how much the issuer may owe.
            settlement: AccountNumber,
            /// The most of one withdrawal that is approved in its stead; zero when nobody stands in for it.
            stand_in_max: Amount,
            /// The most that is approved in its stead for a card on a business date.
            stand_in_day_max: Amount,
            /// How long an advice to it is repeated, in nanoseconds; not zero.
            advice_lasts_ns: u64,
            /// The most withdrawals that are approved in its stead for a card on a business date.
            stand_in_day_count_max: u32,
            /// Its number.
            issuer: IssuerId,
            /// Zero.
            reserved: Reserved<2>,
        },
        /// Says whose the cards are whose numbers begin with a prefix; of several the longest decides.
        24 => SetRoute: 8 {
            /// The prefix, as a number.
            prefix: u32,
            /// Its digits, 1 to 8.
            digits: u8,
            /// Zero.
            reserved: Reserved<1>,
            /// The issuer; zero for this host.
            issuer: IssuerId,
        },
        /// Asks for a withdrawal or an inquiry with a card of a remote issuer. It is answered by `Forwarded`, and the issuer is to be asked; or by
        /// `Authorized` when it is decided already.
        25 => Forward: 48 {
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
            /// The first eight digits of the card's number.
            bin: u32,
            /// The issuer that the route leads to.
            issuer: IssuerId,
            /// What is asked for.
            transaction: TransactionTypeCode,
            /// Of which account.
            account: AccountTypeCode,
            /// Zero.
            reserved: Reserved<4>,
        },
        /// Says what a remote issuer answered, or that it did not. It is answered by `Authorized`.
        26 => Answer: 32 {
            /// What the issuer says that the account holds.
            balance: Balance,
            /// What of it is not held.
            available: Balance,
            /// The terminal.
            terminal: TerminalId,
            /// The terminal's number for it.
            trace: Trace,
            /// Its date.
            date: BusinessDate,
            /// The issuer's decision.
            code: ResponseByte,
            /// Whether it answered.
            outcome: IssuerOutcomeCode,
            /// Zero.
            reserved: Reserved<2>,
        },
        /// Says that a remote issuer has acknowledged an advice.
        27 => Acknowledge: 24 {
            /// The amount that was advised.
            amount: Amount,
            /// The terminal.
            terminal: TerminalId,
            /// The terminal's number of the transaction.
            trace: Trace,
            /// Its date.
            date: BusinessDate,
            /// What the issuer says of it.
            code: ResponseByte,
            /// Zero.
            reserved: Reserved<3>,
        },
        /// Says what a kind of transaction costs beside its amount, by whose card is used where, in a currency. It holds for
        /// transactions to come.
        28 => SetFee: 40 {
            /// The account that gets it; zero when it costs nothing any more.
            income: AccountNumber,
            /// The part that does not depend on the amount; at most 10¹².
            fixed: Amount,
            /// The least of both parts.
            least: Amount,
            /// The most of both parts; at most 10¹².
            most: Amount,
            /// The other part, in 1/10,000 of the amount; at most 10,000.
            rate: u32,
            /// The currency of the account that pays.
            currency: Currency,
            /// Which transactions: a withdrawal is fast cash too.
            transaction: TransactionTypeCode,
            /// Whose card is used where.
            network: NetworkCode,
        },
        /// Says how a currency of terminals is converted into one of accounts, until a time. Saying the same again is
        /// answered again; another rate has a later version, and one that is to end is said again with a time that is over.
        29 => SetRate: 48 {
            /// The account in the terminals' currency that pays what terminals give and get. It is free.
            pays: AccountNumber,
            /// The account in the other currency that gets what is debited. It is free.
            receives: AccountNumber,
            /// From when on, in the log's time, it is in force no more: nanoseconds since 1970.
            valid_until_ns: u64,
            /// The rate that it is reckoned from.
            reference: Rate,
            /// What is added to it, in 1/10,000 of it; at most 10,000.
            markup: u32,
            /// Its version.
            version: RateVersion,
            /// The currency of the terminals.
            from: Currency,
            /// The currency of the accounts.
            to: Currency,
            /// What it is for.
            of: RateUseCode,
            /// Zero.
            reserved: Reserved<7>,
        },
        /// Asks what a withdrawal would be debited in the currency of the account. Nothing is held, and no PIN is looked at.
        30 => Offer: 32 {
            /// The card.
            token: [u8; 16],
            /// How much; zero for fast cash.
            amount: Amount,
            /// Who asks.
            terminal: TerminalId,
            /// What is asked for.
            transaction: TransactionTypeCode,
            /// Of which account.
            account: AccountTypeCode,
            /// Zero.
            reserved: Reserved<2>,
        },
        /// Says what another acquirer has of the business date that ended last. It is answered by `Reconciled`, and each difference
        /// is named.
        31 => Reconcile: 64 {
            /// What debits are in all.
            debit_amount: Amount,
            /// What of them was reversed.
            debit_reversed_amount: Amount,
            /// What credits are in all.
            credit_amount: Amount,
            /// What of them was reversed.
            credit_reversed_amount: Amount,
            /// What is owed to the acquirer in the end.
            net: Balance,
            /// How many debits there were.
            debits: u32,
            /// How many of them were reversed.
            debits_reversed: u32,
            /// How many credits there were.
            credits: u32,
            /// How many of them were reversed.
            credits_reversed: u32,
            /// The acquirer.
            terminal: TerminalId,
            /// The business date.
            date: BusinessDate,
        },
    }
}
