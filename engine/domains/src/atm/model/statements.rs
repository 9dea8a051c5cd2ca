//! Mini statements.

use super::super::messages::{
    AccountNumber, Balance, Constraint, Event, Key, MovementKind, StatementLine, TerminalId, Trace,
};
use super::{Known, Model, Says, Statement};
use bytemuck::Zeroable as _;
use ringfence_kernel::SessionId;

impl Model {
    /// Writes what a transaction has just posted into the statements of both accounts.
    pub(super) fn note(&mut self, key: Key, debit: u64, credit: u64, amount: u64, kind: MovementKind) {
        self.note_at((key.0, key.1), debit, credit, amount, kind);
    }

    /// As [`Model::note`], of what is posted at a terminal or by the bank.
    pub(super) fn note_at(
        &mut self,
        (terminal, trace): (TerminalId, Trace),
        debit: u64,
        credit: u64,
        amount: u64,
        kind: MovementKind,
    ) {
        if amount == 0 {
            return;
        }
        for (account, other, amount) in [(debit, credit, -(amount as i64)), (credit, debit, amount as i64)] {
            if self.accounts[&account].constraint.get() != Constraint::Covered {
                continue;
            }
            let (balance, available) = self.balances(account);
            let (amount, counterpart, date) = (Balance(amount), AccountNumber(other), self.date);
            let statement = self.statements.entry(account).or_default();
            statement.moved += 1;
            let number = statement.moved;
            let line = StatementLine {
                number,
                amount,
                balance,
                available,
                counterpart,
                terminal,
                trace,
                date,
                kind: kind.into(),
                reserved: Default::default(),
            };
            statement.last.push_back(line);
            if statement.last.len() as u64 > self.limits.movements {
                statement.last.pop_front();
            }
        }
    }

    /// How many movements an account has had, and how many of them a statement has.
    pub(super) fn statement(&self, account: u64) -> (u64, u8) {
        self.statements.get(&account).map_or((0, 0), |Statement { moved, last }| (*moved, last.len() as u8))
    }

    /// Says the lines of a mini statement that are still known, and of the others that they are not.
    pub(super) fn say_lines(&self, session: SessionId, of: &Known, out: Says<'_, '_>) {
        let lines = u64::from(of.answer.lines);
        for number in of.moved - lines + 1..=of.moved {
            let known = self.statements[&of.account].last.iter().find(|line| line.number == number);
            let kind = MovementKind::Forgotten.into();
            let forgotten = StatementLine { number, kind, ..StatementLine::zeroed() };
            out.tell(session, Event::StatementLine(known.unwrap_or(&forgotten)));
        }
    }

    /// Whether no mini statements are kept.
    pub(super) fn keeps_none(&self) -> bool {
        self.limits.movements == 0
    }
}
