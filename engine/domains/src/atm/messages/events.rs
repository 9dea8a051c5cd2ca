//! What is said beside the answer.

use super::{
    AccountNumber, AccountTypeCode, Amount, Authorization, Balance, BusinessDate, Currency, IssuerId, MovementKindCode,
    Notes, PinVersion, ResponseByte, ServiceCode, SettlementItemCode, TerminalId, Trace, TransferId,
};
use ringfence_kernel::messages;
use ringfence_kernel::messages::Reserved;

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
        /// The terminal says that it dispensed what it was not authorized for, or what can no longer be posted; or it
        /// takes a transfer back that the account no longer covers. Nothing is posted: the operator settles it. On the
        /// terminal's stream.
        102 => Exception: 40 {
            /// The authorization's number; zero when there was none.
            authorization: Authorization,
            /// What it is about: what the notes are worth in the terminal's cassettes, or what was moved, the fee included.
            amount: Amount,
            /// The notes that are said to be dispensed; none for a transfer.
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
            surcharges: Amount,
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
            /// Times that `Exception` was said.
            exceptions: u32,
        },
        /// What was done in a currency on a business date that has ended: the sums of its terminals. On the stream of
        /// business dates.
        108 => CurrencyTotals: 48 {
            /// What was posted for notes that came out.
            dispensed: Amount,
            /// What was posted of surcharges.
            surcharges: Amount,
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
        /// Another amount was counted than was said to be deposited; what was counted is posted. On the terminal's stream.
        110 => DepositDiffered: 32 {
            /// The deposit's number.
            authorization: Authorization,
            /// What was said.
            stated: Amount,
            /// What was counted.
            counted: Amount,
            /// The terminal's number for it.
            trace: Trace,
            /// Its date.
            date: BusinessDate,
        },
        /// Whose the cards are whose numbers begin so. On the stream of routes.
        111 => RouteSet: 8 {
            /// The prefix, as a number.
            prefix: u32,
            /// Its digits.
            digits: u8,
            /// Zero.
            reserved: Reserved<1>,
            /// The issuer; zero for this host.
            issuer: IssuerId,
        },
        /// A remote issuer is to be told what was taken in the end, again and again until it acknowledges it. On the stream of
        /// advices.
        112 => AdviceDue: 64 {
            /// The card.
            token: [u8; 16],
            /// The authorization's number.
            authorization: Authorization,
            /// How much was taken, all in all; zero when nothing was.
            amount: Amount,
            /// The terminal.
            terminal: TerminalId,
            /// The terminal's number for it.
            trace: Trace,
            /// Its date there.
            date: BusinessDate,
            /// What names it to the issuer: this host's number for it, and the business date.
            link_trace: Trace,
            /// The business date that it was asked on.
            link_date: BusinessDate,
            /// Whom to tell.
            issuer: IssuerId,
            /// Of which account.
            account: AccountTypeCode,
            /// 1 when it was approved in the issuer's stead.
            stood_in: u8,
            /// Zero.
            reserved: Reserved<8>,
        },
        /// An advice is over: it was acknowledged, or its time is over. On the stream of advices.
        113 => AdviceDone: 24 {
            /// How much was advised.
            amount: Amount,
            /// The terminal.
            terminal: TerminalId,
            /// The terminal's number for it.
            trace: Trace,
            /// Its date there.
            date: BusinessDate,
            /// What the issuer said; 91 when it never said anything.
            code: ResponseByte,
            /// Zero.
            reserved: Reserved<3>,
        },
        /// A line of a mini statement, before its answer and to whoever asks alone: what an account of a customer moved. A
        /// repeat says the same lines; those that are kept no longer say so.
        114 => StatementLine: 56 {
            /// Its number: an account's movements are counted from 1.
            number: u64,
            /// What came in; below zero what went out.
            amount: Balance,
            /// What the account held after it.
            balance: Balance,
            /// What of that was not held.
            available: Balance,
            /// The account on the other side.
            counterpart: AccountNumber,
            /// The terminal; zero when it was at none.
            terminal: TerminalId,
            /// The terminal's trace number of the transaction; zero when no card moved it.
            trace: Trace,
            /// The business date on which it was posted.
            date: BusinessDate,
            /// What it was for.
            kind: MovementKindCode,
            /// Zero.
            reserved: Reserved<3>,
        },
        /// Another acquirer has something else of a business date than this host. On the acquirer's stream.
        115 => SettlementDiffered: 24 {
            /// What the acquirer has: a number, or an amount.
            said: Balance,
            /// What this host has.
            own: Balance,
            /// The business date.
            date: BusinessDate,
            /// Of what.
            item: SettlementItemCode,
            /// Zero.
            reserved: Reserved<3>,
        },
        /// What cards of a remote issuer took on a business date that has ended. On the stream of business dates.
        116 => IssuerTotals: 32 {
            /// What was posted, surcharge and fee included.
            taken: Amount,
            /// What of that was posted for notes.
            dispensed: Amount,
            /// The business date that has ended.
            date: BusinessDate,
            /// Withdrawals whose notes came out, in full or in part.
            withdrawals: u32,
            /// Transactions that were declined, by this host or by the issuer.
            declined: u32,
            /// The issuer.
            issuer: IssuerId,
            /// Zero.
            reserved: Reserved<2>,
        },
    }
}
