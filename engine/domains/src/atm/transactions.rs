//! Transactions: what was asked, what was answered, and where each stands in its life.

use super::kept::Keep;
use super::messages::{
    AMOUNT_MAX, AccountType, Amount, Authorization, Authorize, Authorized, Balance, BusinessDate, Ended, Key, Notes,
    ResponseByte, ResponseCode, TerminalId, Trace, TransactionType,
};
use bytemuck::{Pod, Zeroable};
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::state::fold;
use ringfence_kernel::{Timestamp, choice};

choice! {
    /// Where a transaction stands in its life.
    pub(super) enum State as StateCode {
        /// Its reversal came first: it will never be authorized.
        Tombstone = 1,
        /// It was declined.
        Declined = 2,
        /// It was approved and is complete as it is: an inquiry.
        Answered = 3,
        /// It was authorized: its amount and its notes are held until `deadline`.
        Held = 4,
        /// Notes came out and were posted: all or part of it.
        Dispensed = 5,
        /// Nothing came out, or it was reversed: the hold is let go.
        Voided = 6,
        /// Nobody said what came out: the hold is let go.
        TimedOut = 7,
    }
}

/// One transaction, with all that its answers say.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Transaction {
    token: [u8; 16],
    pub(super) amount: Amount,
    pub(super) authorization: Authorization,
    /// The notes that were authorized.
    pub(super) notes: Notes,
    /// The notes that were dispensed, and what was posted for them.
    pub(super) dispensed: Notes,
    pub(super) posted: Amount,
    /// The balances of the first answer.
    pub(super) balances: [Balance; 2],
    /// The balances when it ended.
    pub(super) ended: [Balance; 2],
    pub(super) deadline: Timestamp,
    pub(super) terminal: TerminalId,
    pub(super) trace: Trace,
    pub(super) date: BusinessDate,
    /// The business date on which its card counted it.
    pub(super) counted: BusinessDate,
    /// The places of card and account; meaningful once it was authorized.
    pub(super) card: u32,
    pub(super) account: u32,
    pub(super) code: ResponseByte,
    pub(super) state: StateCode,
    kind: u8,
    account_type: u8,
    reserved: [u8; 4],
}

impl Transaction {
    /// A transaction of `key` of which nothing is known yet.
    pub(super) fn of(Key(terminal, trace, date): Key, state: State) -> Self {
        Self { terminal, trace, date, state: state.into(), ..Self::zeroed() }
    }

    /// Whether money was held for it once.
    pub(super) fn was_authorized(&self) -> bool {
        matches!(self.state.get(), State::Held | State::Dispensed | State::Voided | State::TimedOut)
    }

    /// What `command` asks for, not decided yet.
    #[inline]
    pub(super) fn asked_by(command: &Authorize, authorization: Authorization) -> Self {
        Self {
            token: command.token,
            amount: command.amount,
            authorization,
            kind: command.transaction.get() as u8,
            account_type: command.account.get() as u8,
            ..Self::of(Key(command.terminal, command.trace, command.date), State::Declined)
        }
    }

    /// The answer to an authorization whose key is this one's.
    pub(super) fn repeated(&self, command: &Authorize) -> Authorized {
        let asks_the_same = self.token == command.token
            && self.amount == command.amount
            && self.kind == command.transaction.get() as u8
            && self.account_type == command.account.get() as u8;
        match self.state.get() {
            State::Tombstone => refused(ResponseCode::TooLate),
            _ if asks_the_same => self.answer(),
            _ => refused(ResponseCode::Duplicate),
        }
    }

    /// The answer to its authorization, the first time and again.
    #[inline]
    pub(super) fn answer(&self) -> Authorized {
        let [balance, available] = self.balances;
        let held = if self.code.get() == ResponseCode::Approved { self.amount } else { Amount(0) };
        let Self { authorization, notes, code, .. } = *self;
        Authorized { authorization, held, notes, balance, available, code, reserved: Reserved::default() }
    }

    /// The answer to a completion or reversal.
    pub(super) fn ended(&self, code: ResponseCode) -> Ended {
        let ([balance, available], code) = (self.ended, code.into());
        let Self { authorization, posted, .. } = *self;
        Ended { authorization, posted, balance, available, code, reserved: Reserved::default() }
    }
}

/// An answer that tells of no transaction.
fn refused(code: ResponseCode) -> Authorized {
    Transaction { code: code.into(), ..Transaction::zeroed() }.answer()
}

impl Keep for Transaction {
    type Key = Key;
    const WHAT: &'static str = "the transactions";

    #[inline]
    fn key(&self) -> Key {
        Key(self.terminal, self.trace, self.date)
    }

    #[inline]
    fn hash(Key(terminal, trace, date): Key) -> u64 {
        let place = u64::from(terminal.0) << 32 | u64::from(trace.0);
        fold(place ^ 0x9e37_79b9_7f4a_7c15, u64::from(date.0) ^ 0xd6e8_feb8_6659_fd93)
    }

    fn date(&self) -> BusinessDate {
        self.date
    }

    #[inline]
    fn deadline(&self) -> Timestamp {
        self.deadline
    }

    #[inline]
    fn is_held(&self) -> bool {
        self.state.get() == State::Held
    }

    fn is_sound(&self) -> bool {
        let (Some(state), Some(code)) = (self.state.try_get(), self.code.try_get()) else { return false };
        let types = [TransactionType::Withdrawal as u8, TransactionType::BalanceInquiry as u8];
        let accounts = [AccountType::Savings as u8, AccountType::Cheque as u8, AccountType::Credit as u8];
        let asked = types.contains(&self.kind) && accounts.contains(&self.account_type);
        self.reserved == [0; 4]
            && (asked || state == State::Tombstone && (self.kind, self.account_type) == (0, 0))
            && (state == State::Declined) == (code != ResponseCode::Approved)
            && (state == State::Held) == (self.deadline != Timestamp(0))
            && (state != State::Held || (1..=AMOUNT_MAX).contains(&self.amount.0))
    }
}
