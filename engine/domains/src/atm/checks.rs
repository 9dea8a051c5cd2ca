//! What must hold at every sequence, and of every snapshot before it is taken over.

use super::Atm;
use super::cards::NONE;
use super::kept::Keep as _;
use super::messages::{Amount, BusinessDate, TerminalId};
use super::transactions::{State, Transaction};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

type Checked = Result<(), &'static str>;

/// What transactions hold.
#[derive(Default)]
struct Held {
    /// Debit account, credit account, amount.
    money: Vec<Hold>,
    notes: BTreeMap<TerminalId, [u32; 4]>,
    /// What their days have counted of it.
    of_cards: BTreeMap<(u32, BusinessDate), Counted>,
    of_accounts: BTreeMap<(u32, BusinessDate), Counted>,
    of_terminals: BTreeMap<(TerminalId, BusinessDate), Counted>,
}

type Hold = (u32, u32, Amount);

/// An amount, and how many transactions.
type Counted = (u64, u32);

impl Atm {
    /// Each currency sums to zero and what the ledger holds is what transactions and transfers hold; a terminal's notes are
    /// worth what the account of its cash says, and those that are held are what transactions hold; every card, account and
    /// terminal has counted what it holds; and all that is named stands.
    pub(super) fn check(&self) -> Checked {
        self.check_terminals()?;
        self.transactions.iter().try_for_each(|transaction| self.check_transaction(transaction))?;
        if !self.transfers.iter().all(|transfer| self.can_move((transfer.debit, transfer.credit))) {
            return Err("the accounts of a transfer");
        }
        let mut held = Held::default();
        for transaction in self.transactions.iter().filter(|transaction| transaction.holds()) {
            self.add_held(transaction, &mut held)?;
        }
        self.check_notes(&held)?;
        self.check_days(&held)?;
        self.check_limits()?;
        let of_transfers = self.transfers.held().map(|hold| (hold.debit, hold.credit, hold.amount));
        let holds = held.money.into_iter().chain(of_transfers);
        if self.ledger.is_balanced(holds) { Ok(()) } else { Err("the sums of the ledger") }
    }

    fn has_place(&self, place: u32) -> bool {
        (place as usize) < self.ledger.len()
    }

    /// Whether money can be moved between two accounts.
    fn can_move(&self, (debit, credit): (u32, u32)) -> bool {
        let have_places = self.has_place(debit) && self.has_place(credit) && debit != credit;
        have_places && self.ledger[debit].currency == self.ledger[credit].currency
    }

    fn check_terminals(&self) -> Checked {
        let mut accounts = BTreeSet::new();
        for (_, terminal) in self.terminals.iter() {
            let account = terminal.cash;
            if !self.has_place(account)
                || !self.has_place(terminal.fees)
                || ![terminal.merchant, terminal.deposits].iter().all(|place| *place == NONE || self.has_place(*place))
                || self.ledger[account].is_cash() == terminal.is_acquirer()
                || self.ledger[account].currency != terminal.currency
            {
                return Err("the account of a terminal's cash");
            }
            if terminal.is_acquirer() {
                continue;
            }
            let (cash, held) = self.ledger[account].cash();
            if i64::try_from(terminal.sums().0) != Ok(cash) || terminal.sums().1 != held {
                return Err("the notes of a terminal are not its cash");
            }
            if !accounts.insert(account) {
                return Err("two terminals have one account");
            }
        }
        Ok(())
    }

    fn check_transaction(&self, transaction: &Transaction) -> Checked {
        let has_card = (transaction.card as usize) < self.cards.len();
        let terminal = self.terminals.look(transaction.terminal);
        let Some(terminal) = terminal.filter(|_| has_card || !transaction.has_card()) else {
            return Err("the terminal or the card of a transaction");
        };
        let tells = transaction.is_held() || transaction.was_authorized();
        if transaction.issuer().0 > 0 && tells && self.issuers.find(transaction.issuer()).is_none() {
            return Err("the issuer of a transaction");
        }
        let converted = transaction.conversion().map_or([0; 2], |one| [one.pays, one.receives]);
        let charged = transaction.charges().into_iter().map(|charge| charge.to);
        let mut named = charged.chain(converted).chain([transaction.account, transaction.more().to]);
        if !named.all(|place| self.has_place(place))
            || !transaction.moves(terminal.cash).all(|pair| self.can_move(pair))
        {
            return Err("the account of a transaction");
        }
        let moved = self.ledger[transaction.account].moved();
        let lines = usize::from(transaction.lines());
        if lines > 0 && (lines > self.ledger.movements().each() || transaction.moved() > moved) {
            return Err("the lines of a mini statement");
        }
        Ok(())
    }

    fn add_held(&self, of: &Transaction, held: &mut Held) -> Checked {
        if of.state.get() == State::Deposited {
            held.money.push((of.more().to, of.account, of.amount));
            return Ok(());
        }
        let Some(terminal) = self.terminals.look(of.terminal) else { return Err("a hold without a terminal") };
        if !terminal.is_acquirer() && terminal.worth(of.notes) != of.amount {
            return Err("a hold of other notes");
        }
        held.money.push((of.giver(), terminal.cash, of.amount));
        held.money.extend(of.parts().into_iter().filter(|(_, _, amount)| amount.0 > 0));
        let notes = held.notes.entry(of.terminal).or_default();
        notes.iter_mut().zip(of.notes.counts()).for_each(|(sum, notes)| *sum = sum.saturating_add(notes.into()));
        let add = |counted: &mut Counted, amount: u64| {
            *counted = (counted.0.saturating_add(amount), counted.1 + 1);
        };
        if of.has_card() {
            add(held.of_cards.entry((of.card, of.counted)).or_default(), of.of_holder(of.amount).0);
        }
        if of.by_account == 1 {
            add(held.of_accounts.entry((of.account, of.counted)).or_default(), of.of_holder(of.amount).0);
        }
        add(held.of_terminals.entry((of.terminal, of.counted)).or_default(), of.amount.0);
        Ok(())
    }

    fn check_notes(&self, held: &Held) -> Checked {
        let of = |number| held.notes.get(&number).copied().unwrap_or_default();
        let mut terminals = self.terminals.iter();
        let are_held = terminals.all(|(number, terminal)| terminal.cassettes().map(|one| one.held) == of(number));
        if are_held { Ok(()) } else { Err("the notes held of a terminal") }
    }

    fn check_days(&self, held: &Held) -> Checked {
        let has_counted = |((card, date), (amount, count)): (&(u32, BusinessDate), &Counted)| {
            self.cards[*card].limits.day.has_counted(*amount, *count, *date)
        };
        if !held.of_cards.iter().all(has_counted) {
            return Err("what a card has counted");
        }
        let has_counted = |((number, date), (amount, count)): (&(TerminalId, BusinessDate), &Counted)| {
            let terminal = self.terminals.look(*number);
            terminal.is_some_and(|terminal| terminal.limits.day.has_counted(*amount, *count, *date))
        };
        if !held.of_terminals.iter().all(has_counted) {
            return Err("what a terminal has counted");
        }
        let has_counted = |((account, date), (amount, count)): (&(u32, BusinessDate), &Counted)| {
            let limit = self.ledger.limits(*account).and_then(|place| self.account_limits.all().get(place as usize));
            limit.is_some_and(|limit| limit.limits.day.has_counted(*amount, *count, *date))
        };
        if held.of_accounts.iter().all(has_counted) { Ok(()) } else { Err("the limits of accounts") }
    }

    fn check_limits(&self) -> Checked {
        let limits = self.account_limits.all();
        let accounts = 0..self.ledger.len() as u32;
        let with_limits: Vec<(u32, u32)> =
            accounts.filter_map(|account| Some((account, self.ledger.limits(account)?))).collect();
        let are_theirs =
            |(account, place): &(u32, u32)| limits.get(*place as usize).is_some_and(|one| one.account == *account);
        if with_limits.len() != limits.len() || !with_limits.iter().all(are_theirs) {
            return Err("the limits of accounts");
        }
        let of_cards = self.cards.all().iter().map(|card| &card.limits);
        let of_accounts = limits.iter().map(|limit| &limit.limits);
        let of_terminals = self.terminals.iter().map(|(_, terminal)| &terminal.limits);
        let have_windows = self.windows.are_of(of_cards.chain(of_accounts).chain(of_terminals));
        if have_windows { Ok(()) } else { Err("the windows of limits") }
    }
}
