//! The ledger: accounts, and money that moves between two of them at once or is held first.
//!
//! Each account carries what it was debited and credited, posted and held, as TigerBeetle's do: both sides of every
//! movement change by the same amount, so that each currency sums to zero at every sequence.

use super::messages::{AMOUNT_MAX, AccountNumber, Amount, Balance, Constraint, Currency, MovementKind};
use super::statements::{Cause, Movements};
use bytemuck::{Pod, Zeroable};
use ringfence_kernel::bounded::{Full, HashIndex, Slab};
use ringfence_kernel::{Corrupt, Sink, Source};

/// One account, in one line of the cache. What is posted and held of a side together never exceeds `i64::MAX`.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C, align(64))]
pub(super) struct Account {
    pub(super) number: AccountNumber,
    debits: u64,
    credits: u64,
    debits_held: u64,
    credits_held: u64,
    overdraft: Amount,
    pub(super) currency: Currency,
    constraint: u16,
    /// One more than the place of its limits; zero when it has none.
    limits: u32,
    /// How many movements were written into its statement.
    moved: u64,
}

impl Account {
    /// What it holds, and what of it is not held for debits.
    #[inline]
    pub(super) fn balances(&self) -> (Balance, Balance) {
        let balance = self.credits as i64 - self.debits as i64;
        (Balance(balance), Balance(balance - self.debits_held as i64))
    }

    /// What the account of a terminal's cash says is in it, and what of that is held.
    pub(super) fn cash(&self) -> (i64, u64) {
        (self.debits as i64 - self.credits as i64, self.credits_held)
    }

    pub(super) fn is(&self, currency: Currency, constraint: Constraint, overdraft: Amount) -> bool {
        self.currency == currency && self.constraint == constraint as u16 && self.overdraft == overdraft
    }

    /// How many movements were written into its statement.
    #[inline]
    pub(super) fn moved(&self) -> u64 {
        self.moved
    }

    /// Whether it is a customer's: those have statements.
    #[inline]
    fn is_covered(&self) -> bool {
        self.constraint == Constraint::Covered as u16
    }

    /// Whether nothing bounds it: the bank's own.
    pub(super) fn is_free(&self) -> bool {
        self.constraint == Constraint::Free as u16
    }

    /// Whether it is the cash in a terminal.
    #[inline]
    pub(super) fn is_cash(&self) -> bool {
        self.constraint == Constraint::Cash as u16
    }

    /// Whether it bears that so much more is debited, held or posted.
    #[inline]
    fn bears_debit(&self, Amount(amount): Amount) -> bool {
        let most = if self.is_covered() { self.credits + self.overdraft.0 } else { u64::MAX };
        self.debits + self.debits_held + amount <= most.min(i64::MAX as u64)
    }

    /// Whether it bears that so much more is credited, held or posted.
    #[inline]
    fn bears_credit(&self, Amount(amount): Amount) -> bool {
        let most = if self.is_cash() { self.debits } else { i64::MAX as u64 };
        self.credits + self.credits_held + amount <= most
    }

    /// Whether all sums are in range and the constraint holds.
    fn is_sound(&self) -> bool {
        let side = |posted: u64, held: u64| posted.checked_add(held).filter(|sum| *sum <= i64::MAX as u64);
        let (Some(debits), Some(credits)) =
            (side(self.debits, self.debits_held), side(self.credits, self.credits_held))
        else {
            return false;
        };
        match self.constraint {
            1 => true,
            2 => debits <= self.credits + self.overdraft.0,
            3 => credits <= self.debits,
            _ => false,
        }
    }
}

/// Which account does not bear a movement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotCovered {
    Debit,
    Credit,
}

/// A part of what a transaction moves at once; of nothing it is none.
#[derive(Clone, Copy, Debug)]
pub(super) struct Move {
    pub(super) debit: u32,
    pub(super) credit: u32,
    pub(super) amount: Amount,
    pub(super) kind: MovementKind,
}

/// All accounts.
#[derive(Clone, Debug)]
pub(super) struct Ledger {
    accounts: Slab<Account>,
    by_number: HashIndex,
    movements: Movements,
}

impl core::ops::Index<u32> for Ledger {
    type Output = Account;
    #[inline]
    fn index(&self, index: u32) -> &Account {
        &self.accounts[index]
    }
}

impl Ledger {
    /// Room for so many accounts, and so many movements of each.
    pub(super) fn new(accounts: usize, movements: usize) -> Self {
        let (by_number, movements) = (HashIndex::new(accounts), Movements::new(accounts, movements));
        Self { accounts: Slab::new(accounts), by_number, movements }
    }

    pub(super) fn movements(&self) -> &Movements {
        &self.movements
    }

    pub(super) fn find(&self, number: AccountNumber) -> Option<u32> {
        self.by_number.get(number.0)
    }

    /// Opens an account whose number is not taken.
    pub(super) fn open(
        &mut self,
        number: AccountNumber,
        currency: Currency,
        constraint: Constraint,
        overdraft: Amount,
    ) -> Result<u32, Full> {
        let account = Account { number, currency, constraint: constraint as u16, overdraft, ..Account::zeroed() };
        let index = self.accounts.insert(account)?;
        self.by_number.insert(number.0, index).expect("as many keys as accounts");
        self.movements.open();
        Ok(index)
    }

    /// Both sides, when each bears that `amount` more moves between them.
    #[inline]
    fn both(&mut self, debit: u32, credit: u32, amount: Amount) -> Result<(&mut Account, &mut Account), NotCovered> {
        let (giver, taker) = self.accounts.pair_mut(debit, credit);
        debug_assert!(giver.currency == taker.currency, "money moves within a currency");
        debug_assert!(giver.is_sound() && taker.is_sound(), "accounts are sound at every sequence");
        match (giver.bears_debit(amount), taker.bears_credit(amount)) {
            (false, _) => Err(NotCovered::Debit),
            (true, false) => Err(NotCovered::Credit),
            (true, true) => Ok((giver, taker)),
        }
    }

    /// Whether the account bears that `amount` more of it is held.
    #[inline]
    pub(super) fn bears(&self, debit: u32, amount: Amount) -> bool {
        self.accounts[debit].bears_debit(amount)
    }

    /// Reads the movement of an account that is written over next.
    #[inline]
    pub(super) fn touch_statement(&self, index: u32) {
        if self.has_statement(index) {
            self.movements.touch(index, self.accounts[index].moved);
        }
    }

    /// The place of the account's limits, if it has any.
    #[inline]
    pub(super) fn limits(&self, index: u32) -> Option<u32> {
        self.accounts[index].limits.checked_sub(1)
    }

    pub(super) fn set_limits(&mut self, index: u32, place: u32) {
        self.accounts[index].limits = place + 1;
    }

    /// Writes what was just posted into the statements of both accounts, where they have any.
    #[inline]
    pub(super) fn note(&mut self, debit: u32, credit: u32, Amount(amount): Amount, of: Cause) {
        for (account, other, amount) in [(debit, credit, -(amount as i64)), (credit, debit, amount as i64)] {
            if self.has_statement(account) {
                let stands = self.accounts[account].balances();
                self.note_one(account, other, [Balance(amount), stands.0, stands.1], of);
            }
        }
    }

    /// Writes a movement against `other`, and the balances after it, into the statement of an account, if it has one.
    #[inline]
    pub(super) fn note_one(&mut self, account: u32, other: u32, moved: [Balance; 3], of: Cause) {
        if moved[0] != Balance(0) && self.has_statement(account) {
            let (number, other) = (self.accounts[account].moved, self.accounts[other].number);
            self.movements.write(account, number, of, moved, other);
            self.accounts[account].moved = number + 1;
        }
    }

    /// Whether movements of an account are kept.
    #[inline]
    fn has_statement(&self, account: u32) -> bool {
        self.movements.each() > 0 && self.accounts[account].is_covered()
    }

    /// Makes an account what it was before.
    pub(super) fn restore(&mut self, index: u32, account: Account) {
        self.accounts[index] = account;
    }

    /// Moves all that a transaction moves at once, one after another, or none; each is written into statements.
    pub(super) fn move_all<const N: usize>(&mut self, moves: [Move; N], of: Cause) -> Result<(), NotCovered> {
        let before = moves.map(|Move { debit, credit, .. }| [debit, credit].map(|place| (place, self.accounts[place])));
        let tried = moves.iter().try_for_each(|Move { debit, credit, amount, .. }| match amount.0 {
            0 => Ok(()),
            _ => self.move_now(*debit, *credit, *amount),
        });
        before.into_iter().flatten().for_each(|(place, account)| self.restore(place, account));
        tried?;
        for Move { debit, credit, amount, kind } in moves.into_iter().filter(|one| one.amount.0 > 0) {
            self.move_now(debit, credit, amount).expect("it was tried");
            self.note(debit, credit, amount, Cause { kind, ..of });
        }
        Ok(())
    }

    /// Moves `amount`, which is at most [`AMOUNT_MAX`], at once.
    pub(super) fn move_now(&mut self, debit: u32, credit: u32, amount: Amount) -> Result<(), NotCovered> {
        let (giver, taker) = self.both(debit, credit, amount)?;
        (giver.debits, taker.credits) = (giver.debits + amount.0, taker.credits + amount.0);
        Ok(())
    }

    /// Holds `amount` on both sides.
    #[inline]
    pub(super) fn hold(&mut self, debit: u32, credit: u32, amount: Amount) -> Result<(), NotCovered> {
        let (giver, taker) = self.both(debit, credit, amount)?;
        (giver.debits_held, taker.credits_held) = (giver.debits_held + amount.0, taker.credits_held + amount.0);
        Ok(())
    }

    /// Posts `posted` of what was held and lets the rest go. That never fails: the hold made sure.
    #[inline]
    pub(super) fn settle(&mut self, debit: u32, credit: u32, held: Amount, posted: Amount) {
        assert!(posted <= held, "no more is posted than was held");
        let less = |all: u64| all.checked_sub(held.0).expect("what ends was held");
        let (giver, taker) = self.accounts.pair_mut(debit, credit);
        (giver.debits_held, giver.debits) = (less(giver.debits_held), giver.debits + posted.0);
        (taker.credits_held, taker.credits) = (less(taker.credits_held), taker.credits + posted.0);
    }

    /// Whether every account is sound and has its statement, each currency sums to zero, and holds are those that `held` lists: debit
    /// account, credit account, amount.
    pub(super) fn is_balanced(&self, held: impl Iterator<Item = (u32, u32, Amount)>) -> bool {
        let entries = self.accounts.entries();
        let has_statement = |(index, account): (u32, &Account)| {
            let is_written = self.movements.each() > 0 && account.is_covered();
            let last = is_written.then(|| account.balances().0);
            self.movements.are_sound(index, account.moved, last)
        };
        if !(0..).zip(entries).all(has_statement) {
            return false;
        }
        let mut holds = alloc::vec![(0_u64, 0_u64); entries.len()];
        for (debit, credit, amount) in held {
            let (Some(giver), Some(taker)) = (entries.get(debit as usize), entries.get(credit as usize)) else {
                return false;
            };
            if debit == credit || giver.currency != taker.currency {
                return false;
            }
            holds[debit as usize].0 = holds[debit as usize].0.saturating_add(amount.0);
            holds[credit as usize].1 = holds[credit as usize].1.saturating_add(amount.0);
        }
        let mut sums = alloc::collections::BTreeMap::new();
        for account in entries {
            *sums.entry(account.currency).or_insert(0_i128) += i128::from(account.credits) - i128::from(account.debits);
        }
        entries.iter().all(Account::is_sound)
            && sums.values().all(|sum| *sum == 0)
            && entries.iter().zip(&holds).all(|(account, held)| (account.debits_held, account.credits_held) == *held)
    }

    pub(super) fn len(&self) -> usize {
        self.accounts.len()
    }

    pub(super) fn save(&self, sink: &mut impl Sink) {
        self.accounts.save(sink);
        self.movements.save(sink);
    }

    pub(super) fn load(capacity: usize, movements: usize, source: &mut impl Source) -> Result<Self, Corrupt> {
        let accounts: Slab<Account> = Slab::load(capacity, source)?;
        let movements = Movements::load(capacity, movements, accounts.entries().len(), source)?;
        let mut ledger = Self { accounts, by_number: HashIndex::new(capacity), movements };
        if ledger.accounts.len() != ledger.accounts.entries().len() {
            return Err(Corrupt("an account that was closed"));
        }
        for (index, account) in (0..).zip(ledger.accounts.entries()) {
            let named = account.number.0 != 0 && account.currency.is_valid();
            let bounded = account.overdraft.0 <= if account.constraint == 2 { AMOUNT_MAX } else { 0 };
            if !named || !bounded || !account.is_sound() || ledger.by_number.insert(account.number.0, index) != Ok(None)
            {
                return Err(Corrupt("the number of an account"));
            }
        }
        Ok(ledger)
    }
}
