//! What answers a command.

use super::{
    AccountNumber, Amount, Authorization, Balance, BusinessDate, Currency, IssuerId, Notes, Rate, RateVersion,
    ResponseByte, SettlementCode, TerminalId, Trace, TransferOutcomeCode,
};
use ringfence_kernel::messages;
use ringfence_kernel::messages::Reserved;

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
        55 => Authorized: 64 {
            /// Its number.
            authorization: Authorization,
            /// What is held for the notes: all that was asked for, or nothing.
            held: Amount,
            /// The surcharge that is held beside it.
            surcharge: Amount,
            /// The fee that is held beside both, or was posted.
            fee: Amount,
            /// The notes to dispense.
            notes: Notes,
            /// What the account holds; zero when none was found.
            balance: Balance,
            /// What of it is not held.
            available: Balance,
            /// The decision.
            code: ResponseByte,
            /// Lines of the mini statement, each said before this as `StatementLine`; zero for all else.
            lines: u8,
            /// The currency of the fee and the balances, when they are not in the terminal's: what is held is converted. Zero
            /// otherwise.
            billed_in: Currency,
            /// Zero.
            reserved: Reserved<4>,
        },
        /// The completion or reversal was taken in. A repeat gets the same bytes.
        56 => Ended: 64 {
            /// The authorization's number.
            authorization: Authorization,
            /// What was posted for the notes, or moved.
            posted: Amount,
            /// The surcharge that was posted.
            surcharge: Amount,
            /// The fee that was posted.
            fee: Amount,
            /// What the account was debited for notes and surcharge, when that was converted; zero otherwise.
            billed: Amount,
            /// What the account held when the transaction ended.
            balance: Balance,
            /// What of it was not held.
            available: Balance,
            /// The currency of `billed`, the fee and the balances, when it is not the terminal's. Zero otherwise.
            billed_in: Currency,
            /// The decision.
            code: ResponseByte,
            /// Zero.
            reserved: Reserved<5>,
        },
        /// The issuer is to be asked. A repeat gets the same bytes, until it is decided.
        57 => Forwarded: 48 {
            /// Its number here.
            authorization: Authorization,
            /// What the issuer is to be asked for, surcharge and fee included.
            amount: Amount,
            /// The surcharge.
            surcharge: Amount,
            /// The fee.
            fee: Amount,
            /// What names it to the issuer: this host's number for it, and the business date.
            link_trace: Trace,
            /// The business date of the host.
            date: BusinessDate,
            /// Whom to ask.
            issuer: IssuerId,
            /// Zero.
            reserved: Reserved<6>,
        },
        /// What a withdrawal would be debited; or why nothing is offered, and all else is zero.
        58 => Offered: 64 {
            /// What would come out, in the terminal's currency.
            amount: Amount,
            /// The surcharge, in the terminal's currency.
            surcharge: Amount,
            /// What would be debited for both, in the account's currency.
            billed: Amount,
            /// The fee that would be debited beside it, in the account's currency.
            fee: Amount,
            /// From when on it is in force no more: nanoseconds since 1970.
            valid_until_ns: u64,
            /// The rate that is applied, the mark-up included.
            rate: Rate,
            /// The rate that it is reckoned from.
            reference: Rate,
            /// The mark-up, in 1/10,000 of the reference.
            markup: u32,
            /// The rate's version, which is named when the offer is accepted.
            version: RateVersion,
            /// The currency of the account.
            currency: Currency,
            /// The decision.
            code: ResponseByte,
            /// Zero.
            reserved: Reserved<5>,
        },
        /// What this host has of a business date with another acquirer: of credits and of what was reversed nothing, for what
        /// was posted is not reversed.
        59 => Reconciled: 32 {
            /// What was posted in all, and is owed to the acquirer.
            debit_amount: Amount,
            /// What is owed to the acquirer in the end.
            net: Balance,
            /// How many withdrawals were posted.
            debits: u32,
            /// The business date.
            date: BusinessDate,
            /// How many items differ.
            differences: u32,
            /// Whether they agree.
            settlement: SettlementCode,
            /// Zero.
            reserved: Reserved<3>,
        },
    }
}
