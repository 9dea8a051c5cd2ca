//! Mini statements: the last movements of customers' accounts, each as it stood when it was posted.

use super::Atm;
use super::kept::Keep as _;
use super::messages::{
    AccountNumber, Balance, BusinessDate, Event, Key, MovementKind, MovementKindCode, StatementLine, TerminalId, Trace,
};
use super::transactions::Transaction;
use alloc::vec::Vec;
use bytemuck::{Pod, Zeroable};
use core::hint::black_box;
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::{Corrupt, Out, SessionId, Sink, Source};

/// What money is moved for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cause {
    pub(super) kind: MovementKind,
    pub(super) terminal: TerminalId,
    /// Zero when no card moved it.
    pub(super) trace: Trace,
    pub(super) date: BusinessDate,
}

impl Cause {
    /// A card's transaction, posted on the host's `date`.
    #[inline]
    pub(super) fn of(transaction: &Transaction, kind: MovementKind, date: BusinessDate) -> Self {
        let Key(terminal, trace, _) = transaction.key();
        Self { kind, terminal, trace, date }
    }
}

/// One movement. It is zero while there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Movement {
    /// Below zero when it went out.
    amount: Balance,
    balance: Balance,
    available: Balance,
    counterpart: AccountNumber,
    terminal: TerminalId,
    trace: Trace,
    date: BusinessDate,
    kind: MovementKindCode,
    reserved: [u8; 3],
}

/// The last movements of all accounts.
#[derive(Clone, Debug)]
pub(super) struct Movements {
    /// As many places for each account, in the order of accounts; the number of a movement names its place.
    all: Vec<Movement>,
    each: usize,
}

impl Movements {
    pub(super) fn new(accounts: usize, each: usize) -> Self {
        Self { all: Vec::with_capacity(accounts * each), each }
    }

    /// How many are kept of each account.
    #[inline]
    pub(super) const fn each(&self) -> usize {
        self.each
    }

    /// Makes room for one more account.
    pub(super) fn open(&mut self) {
        self.all.extend(core::iter::repeat_n(Movement::zeroed(), self.each));
    }

    fn place(&self, account: u32, number: u64) -> usize {
        account as usize * self.each + (number % self.each as u64) as usize
    }

    /// Reads the movement of that number, from 0.
    #[inline]
    pub(super) fn touch(&self, account: u32, number: u64) {
        let movement = &self.all[self.place(account, number)];
        black_box((movement.amount, movement.reserved));
    }

    /// Writes the movement of that number, from 0, over the one before that is kept no longer.
    #[inline]
    pub(super) fn write(
        &mut self,
        account: u32,
        number: u64,
        of: Cause,
        [amount, balance, available]: [Balance; 3],
        counterpart: AccountNumber,
    ) {
        let (place, Cause { kind, terminal, trace, date }) = (self.place(account, number), of);
        let (kind, reserved) = (kind.into(), [0; 3]);
        self.all[place] = Movement { amount, balance, available, counterpart, terminal, trace, date, kind, reserved };
    }

    /// The movement of that number of an account that has had `moved`; one that is kept no longer says only that.
    fn line(&self, account: u32, number: u64, moved: u64) -> StatementLine {
        let is_kept = number + self.each as u64 >= moved;
        let forgotten = Movement { kind: MovementKind::Forgotten.into(), ..Movement::zeroed() };
        let movement = if is_kept { self.all[self.place(account, number)] } else { forgotten };
        let Movement { amount, balance, available, counterpart, terminal, trace, date, kind, .. } = movement;
        let (number, reserved) = (number + 1, Reserved::default());
        StatementLine { number, amount, balance, available, counterpart, terminal, trace, date, kind, reserved }
    }

    /// Whether those of an account that has had `moved` are all there, and no others, and the last says `balance`; whether
    /// there are none where an account has no statement and so no such balance.
    pub(super) fn are_sound(&self, account: u32, moved: u64, balance: Option<Balance>) -> bool {
        let all = &self.all[account as usize * self.each..][..self.each];
        let is_sound = |(at, one): (u64, &Movement)| {
            let kind = one.kind.try_get().filter(|kind| *kind != MovementKind::Forgotten);
            if at < moved { kind.is_some() && one.reserved == [0; 3] } else { *one == Movement::zeroed() }
        };
        let Some(balance) = balance else { return moved == 0 && (0..).zip(all).all(is_sound) };
        let last = moved.checked_sub(1).map(|last| self.all[self.place(account, last)].balance);
        // It is counted on.
        moved <= u64::MAX / 2 && (0..).zip(all).all(is_sound) && last.unwrap_or_default() == balance
    }

    pub(super) fn save(&self, sink: &mut impl Sink) {
        sink.values(&self.all);
    }

    /// As many as `opened` accounts have; whether they are sound the ledger looks at.
    pub(super) fn load(accounts: usize, each: usize, opened: usize, source: &mut impl Source) -> Result<Self, Corrupt> {
        let mut movements = Self::new(accounts, each);
        for _ in 0..opened * each {
            movements.all.push(source.value()?);
        }
        Ok(movements)
    }
}

impl Atm {
    /// Says the lines of a mini statement to whoever asks for it, the oldest first: as they were when it was asked for first,
    /// and of those that are kept no longer that they are not.
    pub(super) fn say_lines(&self, session: SessionId, index: u32, out: &mut Out<'_, Self>) {
        let of = &self.transactions[index];
        let (account, lines, moved) = (of.account, of.lines(), of.moved());
        for number in moved - u64::from(lines)..moved {
            let line = self.ledger.movements().line(account, number, self.ledger[account].moved());
            out.tell(session, Event::StatementLine(&line));
        }
    }
}
