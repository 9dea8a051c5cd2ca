//! Saving and loading: one canonical walk. Indexes and timers are built again from what is saved.

use super::Atm;
use super::cards::{Cards, NONE};
use super::conversions::Rates;
use super::fees::Fees;
use super::foresight::Foresight;
use super::issuers::{Issuers, Routes};
use super::kept::{Keep as _, Kept};
use super::ledger::Ledger;
use super::limits::{AccountLimits, Windows};
use super::messages::{AtmLimits, BusinessDate};
use super::terminals::Terminals;
use super::transactions::{State, Transaction};
use alloc::collections::BTreeMap;
use ringfence_kernel::{Corrupt, Sink, Source};

impl Atm {
    pub(super) fn write(&self, sink: &mut impl Sink) {
        assert!(self.closing.is_none(), "nothing is saved in the middle of a decision");
        sink.value(&self.date);
        sink.value(&self.date_before);
        self.ledger.save(sink);
        self.cards.save(sink);
        self.account_limits.save(sink);
        self.windows.save(sink);
        self.terminals.save(sink);
        self.transactions.save(sink);
        self.transfers.save(sink);
        self.issuers.save(sink);
        self.routes.save(sink);
        self.stood_in.save(sink);
        self.fees.save(sink);
        self.rates.save(sink);
    }

    pub(super) fn read(limits: &AtmLimits, source: &mut impl Source) -> Result<Self, Corrupt> {
        let (date, date_before) = (source.value()?, source.value()?);
        if date < date_before {
            return Err(Corrupt("the business date"));
        }
        let ledger = Ledger::load(limits.accounts as usize, limits.movements as usize, source)?;
        let cards = Cards::load(limits.cards as usize, ledger.len(), source)?;
        let account_limits = AccountLimits::load(limits.accounts as usize, source)?;
        let windows = Windows::load(super::windows_of(limits), source)?;
        let terminals = Terminals::load(limits.terminals as usize, source)?;
        let transactions = Kept::load(limits.transactions as usize, source)?;
        let transfers = Kept::load(limits.transfers as usize, source)?;
        let issuers = Issuers::load(limits.issuers as usize, ledger.len(), source)?;
        let routes = Routes::load(limits.routes as usize, source)?;
        let stood_in = Kept::load(limits.stood_in as usize, source)?;
        let fees = Fees::load(limits.fees as usize, &ledger, source)?;
        let rates = Rates::load(limits.rates as usize, &ledger, source)?;
        let atm = Self {
            date,
            date_before,
            ledger,
            cards,
            account_limits,
            windows,
            terminals,
            transactions,
            transfers,
            issuers,
            routes,
            stood_in,
            fees,
            rates,
            sums: super::day_end::no_sums(),
            closing: None,
            foresight: Foresight::default(),
        };
        atm.check().map_err(Corrupt)?;
        Ok(atm)
    }

    /// What must hold at every sequence: each currency sums to zero and what the ledger holds is what transactions and
    /// transfers hold; a terminal's notes are worth what the account of its cash says, and those that are held are what
    /// transactions hold; every card has counted what it holds.
    pub(super) fn check(&self) -> Result<(), &'static str> {
        let places = |place: u32| (place as usize) < self.ledger.len();
        let mut cash_of = BTreeMap::new();
        for (number, terminal) in self.terminals.iter() {
            let account = terminal.cash;
            if !places(account)
                || !places(terminal.fees)
                || ![terminal.merchant, terminal.deposits].iter().all(|place| *place == NONE || places(*place))
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
            if cash_of.insert(account, number).is_some() {
                return Err("two terminals have one account");
            }
        }
        for transaction in self.transactions.iter() {
            let has_card = (transaction.card as usize) < self.cards.len();
            if self.terminals.look(transaction.terminal).is_none() || transaction.has_card() && !has_card {
                return Err("the terminal or the card of a transaction");
            }
            if (transaction.issuer().0 > 0 && transaction.is_held())
                && self.issuers.find(transaction.issuer()).is_none()
            {
                return Err("the issuer of a transaction");
            }
            let converted = transaction.conversion().map_or([0; 2], |one| [one.pays, one.receives]);
            let charged = transaction.charges().map(|charge| charge.to).into_iter();
            let has_places = charged.chain(converted).all(places);
            if !places(transaction.account) || !places(transaction.more().to) || !has_places {
                return Err("the account of a transaction");
            }
        }
        let is_said = |transaction: &Transaction| {
            let moved = self.ledger[transaction.account].moved();
            usize::from(transaction.lines()) <= self.ledger.movements().each() && transaction.moved() <= moved
        };
        if !self.transactions.iter().all(|transaction| transaction.lines() == 0 || is_said(transaction)) {
            return Err("the lines of a mini statement");
        }
        let mut holds = alloc::vec::Vec::new();
        let mut notes_held = BTreeMap::new();
        let mut counted = BTreeMap::new();
        let mut of_accounts = BTreeMap::new();
        let mut of_terminals = BTreeMap::new();
        for held in self.transactions.iter().filter(|transaction| transaction.holds()) {
            if held.state.get() == State::Deposited {
                holds.push((held.more().to, held.account, held.amount));
                continue;
            }
            let Some(terminal) = self.terminals.look(held.terminal) else { return Err("a hold without a terminal") };
            if !terminal.is_acquirer() && terminal.worth(held.notes) != held.amount {
                return Err("a hold of other notes");
            }
            holds.push((held.giver(), terminal.cash, held.amount));
            holds.extend(held.parts().into_iter().filter(|(_, _, amount)| amount.0 > 0));
            let notes: &mut [u32; 4] = notes_held.entry(held.terminal).or_default();
            notes.iter_mut().zip(held.notes.counts()).for_each(|(sum, notes)| *sum = sum.saturating_add(notes.into()));
            if held.has_card() {
                let sum = counted.entry((held.card, held.counted)).or_insert((0_u64, 0_u32));
                *sum = (sum.0.saturating_add(held.of_holder(held.amount).0), sum.1 + 1);
            }
            let sum = of_terminals.entry((held.terminal, held.counted)).or_insert((0_u64, 0_u32));
            *sum = (sum.0.saturating_add(held.amount.0), sum.1 + 1);
            if held.by_account == 1 {
                let sum = of_accounts.entry((held.account, held.counted)).or_insert((0_u64, 0_u32));
                *sum = (sum.0.saturating_add(held.of_holder(held.amount).0), sum.1 + 1);
            }
        }
        let notes_of = |number| notes_held.get(&number).copied().unwrap_or_default();
        if !self.terminals.iter().all(|(number, terminal)| terminal.cassettes().map(|one| one.held) == notes_of(number))
        {
            return Err("the notes held of a terminal");
        }
        if !counted
            .iter()
            .all(|((card, date), (amount, count))| self.cards[*card].limits.day.has_counted(*amount, *count, *date))
        {
            return Err("what a card has counted");
        }
        let is_counted = |((number, date), (amount, count)): (&(_, BusinessDate), &(u64, u32))| {
            let terminal = self.terminals.look(*number);
            terminal.is_some_and(|terminal| terminal.limits.day.has_counted(*amount, *count, *date))
        };
        if !of_terminals.iter().all(is_counted) {
            return Err("what a terminal has counted");
        }
        let limits = self.account_limits.all();
        let has_counted = |((account, date), (amount, count)): (&(u32, BusinessDate), &(u64, u32))| {
            let limit = self.ledger.limits(*account).and_then(|place| limits.get(place as usize));
            limit.is_some_and(|limit| limit.limits.day.has_counted(*amount, *count, *date))
        };
        let with_limits =
            (0..self.ledger.len() as u32).filter_map(|account| Some((account, self.ledger.limits(account)?)));
        let is_theirs =
            |(account, place): (u32, u32)| limits.get(place as usize).is_some_and(|one| one.account == account);
        if !of_accounts.iter().all(has_counted)
            || with_limits.clone().count() != limits.len()
            || !with_limits.into_iter().all(is_theirs)
        {
            return Err("the limits of accounts");
        }
        let of_cards = self.cards.all().iter().map(|card| &card.limits);
        let of_terminals = self.terminals.iter().map(|(_, terminal)| &terminal.limits);
        if !self.windows.are_of(of_cards.chain(limits.iter().map(|limit| &limit.limits)).chain(of_terminals)) {
            return Err("the windows of limits");
        }
        if !self.transfers.iter().all(|transfer| places(transfer.debit) && places(transfer.credit)) {
            return Err("the accounts of a transfer");
        }
        holds.extend(self.transfers.held().map(|hold| (hold.debit, hold.credit, hold.amount)));
        if self.ledger.is_balanced(holds.into_iter()) { Ok(()) } else { Err("the sums of the ledger") }
    }
}
