//! The slow twin, written from the README: it keeps what was asked and what came of it, and adds up holds, notes and a
//! card's day anew whenever it needs them.

use super::messages::{
    AMOUNT_MAX, AccountNumber, AccountOpened, AccountType, Amount, AtmLimits, Authorization, Authorize, Authorized,
    Balance, BusinessDate, CASSETTES, CardCaptured, CardStatus, CashDiffered, CashSet, CassetteCount, CassetteLoad,
    ChangePin, Command, Complete, Constraint, Currency, CurrencyTotals, Ended, Event, Exception, HoldExpired, Key,
    LINKED_MAX, NOTES_MAX, Notes, OpenAccount, PinReferenceSet, PinVerdict, PinVersion, Reject, ReplaceCard, Reply,
    ResponseCode, Service, Set, SetCard, SetTerminal, TerminalId, TerminalTotals, TimedOut, TransactionType,
    TransferEntry, TransferKind, TransferOutcome, Transferred,
};
use super::{Atm, topics};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::{Context, Out, SessionChange, Timestamp};

/// What became of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Its reversal came first.
    Never,
    /// It was declined, or was an inquiry.
    Answered,
    /// It moved so much between accounts.
    Moved(u64),
    /// It changed the PIN.
    PinChanged,
    /// So much came out, and in these notes.
    Out(u64, Notes),
    /// Nothing came out.
    Nothing,
}

/// What was asked.
#[derive(Clone, Copy, Debug)]
enum Asked {
    For(Authorize),
    Pin(ChangePin),
}

impl Asked {
    /// Whether it is the same but for key and verdict.
    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::For(one), Self::For(two)) => {
                let said = |of: &Authorize| (of.token, of.amount, of.transaction, of.account, of.to);
                said(one) == said(two)
            }
            (Self::Pin(one), Self::Pin(two)) => {
                (one.token, one.new_pin_reference) == (two.token, two.new_pin_reference)
            }
            _ => false,
        }
    }

    fn token(&self) -> [u8; 16] {
        match self {
            Self::For(asked) => asked.token,
            Self::Pin(asked) => asked.token,
        }
    }
}

/// A transaction, what was asked and what was said.
#[derive(Clone, Copy, Debug)]
struct Known {
    asked: Option<Asked>,
    answer: Authorized,
    last: (Balance, Balance),
    /// The surcharge that was posted.
    fee: u64,
    /// The account of the holder, and the one that a transfer goes to.
    account: u64,
    to: u64,
    counted: BusinessDate,
    fate: Fate,
}

/// A withdrawal that nobody has ended: its turn, deadline, account, amount, notes and surcharge.
#[derive(Clone, Copy, Debug)]
struct Open {
    turn: u64,
    deadline: Timestamp,
    account: u64,
    amount: u64,
    notes: Notes,
    /// The surcharge, and the account that gets it.
    fee: (u64, u64),
}

/// A card, its wrong PINs, and what it took out on which date.
#[derive(Clone, Debug)]
struct Card {
    terms: SetCard,
    wrong: u8,
    date: BusinessDate,
    day: BTreeMap<Key, u64>,
    /// When withdrawals were authorized, while there was a limit of a window.
    recent: Vec<u64>,
}

/// A terminal and the notes in it.
#[derive(Clone, Copy, Debug)]
struct Terminal {
    terms: SetTerminal,
    service: Service,
    denominations: [u64; CASSETTES],
    notes: [u64; CASSETTES],
    captured: u32,
    balanced: u64,
}

/// Something that counts on a business date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    /// So much for notes, so much of surcharges.
    Dispensed(u64, u64),
    Declined,
    Voided,
    TimedOut,
    Exception,
}

/// The slow twin.
#[derive(Clone, Debug)]
pub struct Model {
    limits: AtmLimits,
    date: BusinessDate,
    before: BusinessDate,
    accounts: BTreeMap<u64, OpenAccount>,
    /// What each account was debited and credited.
    posted: BTreeMap<u64, [i128; 2]>,
    cards: BTreeMap<[u8; 16], Card>,
    terminals: BTreeMap<u32, Terminal>,
    known: BTreeMap<Key, Known>,
    open: BTreeMap<Key, Open>,
    /// Keys in the order in which they came, and how many there ever were.
    order: VecDeque<Key>,
    turns: u64,
    transfers: BTreeMap<u64, (TransferEntry, Transferred, BusinessDate)>,
    /// Holds: turn, deadline or zero, debit, credit, amount.
    holds: BTreeMap<u64, (u64, u64, u64, u64, u64)>,
    transfer_order: VecDeque<u64>,
    /// What was done where since the business date began.
    deeds: Vec<(TerminalId, Deed)>,
}

type Says<'o, 'b> = &'o mut Out<'b, Atm>;

impl Model {
    /// Debits and credits posted, debits and credits held.
    fn sums(&self, account: u64) -> [i128; 4] {
        let [debits, credits] = self.posted.get(&account).copied().unwrap_or_default();
        let mut sums = [debits, credits, 0, 0];
        let withdrawals = self.open.iter().flat_map(|(key, open)| {
            let cash = (open.account, self.terminals[&key.0.0].terms.cash.0, open.amount);
            [cash, (open.account, open.fee.1, open.fee.0)]
        });
        let holds = self.holds.values().map(|(_, _, debit, credit, amount)| (*debit, *credit, *amount));
        for (debit, credit, amount) in withdrawals.chain(holds) {
            sums[2] += if debit == account { i128::from(amount) } else { 0 };
            sums[3] += if credit == account { i128::from(amount) } else { 0 };
        }
        sums
    }

    fn balances(&self, account: u64) -> (Balance, Balance) {
        let [debits, credits, held, _] = self.sums(account);
        (Balance((credits - debits) as i64), Balance((credits - debits - held) as i64))
    }

    /// Whether the account, as it is now, is within what bounds it.
    fn is_within(&self, account: u64) -> bool {
        let [debits, credits, debits_held, credits_held] = self.sums(account);
        let terms = self.accounts[&account];
        let (all_debits, all_credits) = (debits + debits_held, credits + credits_held);
        let covered = match terms.constraint.get() {
            Constraint::Free => true,
            Constraint::Covered => all_debits <= credits + i128::from(terms.overdraft.0),
            Constraint::Cash => all_credits <= debits,
        };
        covered && all_debits.max(all_credits) <= i128::from(i64::MAX)
    }

    fn post(&mut self, debit: u64, credit: u64, amount: i128) {
        self.posted.entry(debit).or_default()[0] += amount;
        self.posted.entry(credit).or_default()[1] += amount;
    }

    /// Posts when both accounts bear it.
    fn try_post(&mut self, debit: u64, credit: u64, amount: u64) -> bool {
        self.post(debit, credit, amount.into());
        let fits = self.is_within(debit) && self.is_within(credit);
        if !fits {
            self.post(debit, credit, -i128::from(amount));
        }
        fits
    }

    fn open_account(&mut self, open: &OpenAccount, out: Says<'_, '_>) -> Result<(), Reject> {
        let constraint = open.constraint.get();
        let too_low = open.overdraft.0 > AMOUNT_MAX || constraint == Constraint::Free && open.overdraft.0 > 0;
        if open.account.0 == 0 || !(1..=999).contains(&open.currency.0) || constraint == Constraint::Cash || too_low {
            return Err(Reject::BadAccount);
        }
        self.add_account(*open, true)?;
        let (balance, available) = self.balances(open.account.0);
        out.reply(Reply::AccountOpened(&AccountOpened { account: open.account, balance, available }));
        Ok(())
    }

    fn add_account(&mut self, open: OpenAccount, again: bool) -> Result<(), Reject> {
        match self.accounts.get(&open.account.0) {
            Some(known) if !again || *known != open => return Err(Reject::AccountExists),
            None if self.accounts.len() as u64 == self.limits.accounts => return Err(Reject::AccountsFull),
            _ => {}
        }
        self.accounts.insert(open.account.0, open);
        Ok(())
    }

    fn is_cash(&self, account: u64) -> bool {
        self.accounts[&account].constraint.get() == Constraint::Cash
    }

    fn transfer_linked(
        &mut self,
        context: Context,
        entries: &[TransferEntry],
        out: Says<'_, '_>,
    ) -> Result<(), Reject> {
        if entries.is_empty() || entries.len() > LINKED_MAX {
            return Err(Reject::BadTransfers);
        }
        let known = |entry: &TransferEntry| self.transfers.get(&entry.id.0).filter(|(done, ..)| done == entry);
        if let (true, Some((_, answer, _))) =
            (entries.iter().all(|entry| known(entry).is_some()), known(&entries[entries.len() - 1]))
        {
            out.reply(Reply::Transferred(&Transferred { at: entries.len() as u32, ..*answer }));
            return Ok(());
        }
        let over = (self.transfer_order.len() + entries.len()).saturating_sub(self.limits.transfers as usize);
        let is_needed = |id: &u64| self.holds.contains_key(id) || self.transfers[id].2 >= self.before;
        if self.transfer_order.iter().take(over).any(is_needed) {
            return Err(Reject::TransfersFull);
        }
        let mut tried = self.clone();
        for (at, entry) in (0..).zip(entries) {
            if let Err(outcome) = tried.transfer(context, entry) {
                let (balance, outcome, reserved) = (Balance(0), outcome.into(), Reserved::default());
                out.reply(Reply::Transferred(&Transferred {
                    debit_balance: balance,
                    debit_available: balance,
                    credit_balance: balance,
                    credit_available: balance,
                    at,
                    outcome,
                    reserved,
                }));
                return Ok(());
            }
        }
        *self = tried;
        for id in self.transfer_order.drain(..over) {
            self.transfers.remove(&id);
        }
        let (_, answer, _) = &self.transfers[&entries[entries.len() - 1].id.0];
        out.reply(Reply::Transferred(&Transferred { at: entries.len() as u32, ..*answer }));
        Ok(())
    }

    fn transfer(&mut self, context: Context, entry: &TransferEntry) -> Result<(), TransferOutcome> {
        let (id, amount) = (entry.id.0, entry.amount.0);
        if id == 0 || self.transfers.contains_key(&id) {
            return Err(TransferOutcome::IdTaken);
        }
        let kind = entry.kind.get();
        let (debit, credit, held) = if matches!(kind, TransferKind::Post | TransferKind::Void) {
            if entry.debit.0 != 0 || entry.credit.0 != 0 {
                return Err(TransferOutcome::BadAccounts);
            }
            // A hold of the same command cannot be ended by it.
            let hold = self.holds.get(&entry.hold.0).filter(|hold| hold.0 != context.sequence.0);
            let (_, _, debit, credit, held) = *hold.ok_or(TransferOutcome::UnknownHold)?;
            (debit, credit, held)
        } else {
            if entry.hold.0 != 0 {
                return Err(TransferOutcome::UnknownHold);
            }
            let (debit, credit) = (entry.debit.0, entry.credit.0);
            let (Some(giver), Some(taker)) = (self.accounts.get(&debit), self.accounts.get(&credit)) else {
                return Err(TransferOutcome::UnknownAccount);
            };
            if debit == credit || giver.currency != taker.currency || self.is_cash(debit) || self.is_cash(credit) {
                return Err(TransferOutcome::BadAccounts);
            }
            (debit, credit, u64::MAX)
        };
        if amount > AMOUNT_MAX || (amount == 0) != (kind == TransferKind::Void) {
            return Err(TransferOutcome::BadAmount);
        }
        match kind {
            _ if amount > held => return Err(TransferOutcome::MoreThanHeld),
            TransferKind::Void | TransferKind::Post => {
                self.holds.remove(&entry.hold.0);
                self.post(debit, credit, amount.into());
            }
            TransferKind::Move => {
                if !self.try_post(debit, credit, amount) {
                    return Err(TransferOutcome::NotCovered);
                }
            }
            TransferKind::Hold => {
                let deadline = if entry.lasts_ns == 0 { 0 } else { context.now.saturating_add(entry.lasts_ns).0 };
                self.holds.insert(id, (context.sequence.0, deadline, debit, credit, amount));
                if !self.is_within(debit) || !self.is_within(credit) {
                    return Err(TransferOutcome::NotCovered);
                }
            }
        }
        let (giver, taker) = (self.balances(debit), self.balances(credit));
        let answer = Transferred {
            debit_balance: giver.0,
            debit_available: giver.1,
            credit_balance: taker.0,
            credit_available: taker.1,
            at: 0,
            outcome: TransferOutcome::Done.into(),
            reserved: Reserved::default(),
        };
        self.transfers.insert(id, (*entry, answer, self.date));
        self.transfer_order.push_back(id);
        Ok(())
    }

    fn set_card(&mut self, terms: &SetCard, out: Says<'_, '_>) -> Result<(), Reject> {
        if terms.window_count_max > 8 {
            return Err(Reject::BadWindow);
        }
        let is_account = |number: &AccountNumber| self.accounts.contains_key(&number.0) && !self.is_cash(number.0);
        let named = [terms.cheque, terms.savings, terms.credit].into_iter().filter(|number| number.0 != 0);
        if !named.clone().all(|number| is_account(&number)) {
            return Err(Reject::UnknownAccount);
        }
        let full = self.cards.len() as u64 == self.limits.cards;
        match self.cards.get_mut(&terms.token) {
            Some(card) => {
                card.wrong = if card.terms.pin_version == terms.pin_version { card.wrong } else { 0 };
                card.terms = *terms;
                if terms.window_count_max == 0 {
                    card.recent.clear();
                }
            }
            None if full => return Err(Reject::CardsFull),
            None => {
                let card =
                    Card { terms: *terms, wrong: 0, date: BusinessDate(0), day: BTreeMap::new(), recent: Vec::new() };
                self.cards.insert(terms.token, card);
            }
        }
        self.say_pin(terms.token, out);
        self.set(out)
    }

    fn replace_card(&mut self, by: &ReplaceCard, out: Says<'_, '_>) -> Result<(), Reject> {
        let mut new = self.cards.get(&by.token).ok_or(Reject::UnknownCard)?.clone();
        if self.cards.contains_key(&by.new_token) {
            return Err(Reject::CardExists);
        }
        if self.cards.len() as u64 == self.limits.cards {
            return Err(Reject::CardsFull);
        }
        let old = self.cards.get_mut(&by.token).expect("it was found");
        if !matches!(old.terms.status.get(), CardStatus::Lost | CardStatus::Stolen | CardStatus::Retained) {
            old.terms.status = CardStatus::Expired.into();
        }
        new.terms.token = by.new_token;
        new.terms.pin_version = by.pin_version;
        new.terms.status = CardStatus::Active.into();
        new.wrong = 0;
        new.terms.pin_reference = by.pin_reference;
        new.terms.last_four = by.last_four;
        self.cards.insert(by.new_token, new);
        self.say_pin(by.new_token, out);
        self.set(out)
    }

    fn set_terminal(&mut self, terms: &SetTerminal, out: Says<'_, '_>) -> Result<(), Reject> {
        let number = terms.terminal.0;
        if number == 0 || u64::from(number) > self.limits.terminals || terms.confirm_within_ns == 0 {
            return Err(Reject::BadTerminal);
        }
        if terms.surcharge.0 > AMOUNT_MAX || (terms.surcharge.0 > 0) != (terms.fees.0 > 0) {
            return Err(Reject::BadTerminal);
        }
        if terms.fees.0 > 0 {
            self.gives(terms.fees, terms.currency)?;
        }
        if let Some(known) = self.terminals.get_mut(&number) {
            if (known.terms.cash, known.terms.currency) != (terms.cash, terms.currency) {
                return Err(Reject::BadTerminal);
            }
            known.terms = *terms;
            return self.set(out);
        }
        if terms.cash.0 == 0 || !(1..=999).contains(&terms.currency.0) {
            return Err(Reject::BadAccount);
        }
        let (account, currency, overdraft) = (terms.cash, terms.currency, Amount(0));
        let (constraint, reserved) = (Constraint::Cash.into(), Reserved::default());
        self.add_account(OpenAccount { account, overdraft, currency, constraint, reserved }, false)?;
        let terminal = Terminal {
            terms: *terms,
            service: Service::Out,
            denominations: [0; CASSETTES],
            notes: [0; CASSETTES],
            captured: 0,
            balanced: 0,
        };
        self.terminals.insert(number, terminal);
        self.set(out)
    }

    fn set(&self, out: Says<'_, '_>) -> Result<(), Reject> {
        out.reply(Reply::Set(&Set { date: self.date, reserved: Reserved::default() }));
        Ok(())
    }

    fn terminal(&self, number: TerminalId) -> Result<Terminal, Reject> {
        self.terminals.get(&number.0).copied().ok_or(Reject::UnknownTerminal)
    }

    /// Notes of a terminal that are authorized.
    fn held(&self, number: TerminalId) -> [u64; CASSETTES] {
        let mut held = [0; CASSETTES];
        for (_, open) in self.open.iter().filter(|(key, _)| key.0 == number) {
            held.iter_mut().zip(open.notes.counts()).for_each(|(sum, count)| *sum += u64::from(count));
        }
        held
    }

    /// Whether the account can give cash to the terminal and take it back.
    fn gives(&self, account: AccountNumber, currency: Currency) -> Result<(), Reject> {
        match self.accounts.get(&account.0) {
            Some(known) if known.currency == currency && !self.is_cash(account.0) => Ok(()),
            _ => Err(Reject::UnknownAccount),
        }
    }

    /// Makes the notes of a terminal those of `terminal`, paid from or to `other`.
    fn set_cash(
        &mut self,
        number: TerminalId,
        terminal: Terminal,
        other: u64,
        out: Says<'_, '_>,
    ) -> Result<(), Reject> {
        let worth = |terminal: &Terminal| -> u64 {
            terminal.notes.iter().zip(terminal.denominations).map(|(notes, denomination)| notes * denomination).sum()
        };
        let (before, now) = (worth(&self.terminals[&number.0]), worth(&terminal));
        let cash = terminal.terms.cash.0;
        let fits = match now.checked_sub(before) {
            Some(more) => self.try_post(cash, other, more),
            None => self.try_post(other, cash, before - now),
        };
        if !fits {
            return Err(Reject::NotCovered);
        }
        self.terminals.insert(number.0, terminal);
        let (cash, change) = (Balance(now as i64), Balance(now as i64 - before as i64));
        out.reply(Reply::CashSet(&CashSet { cash, change, terminal: number, reserved: Reserved::default() }));
        Ok(())
    }

    fn load(
        &mut self,
        context: Context,
        number: TerminalId,
        vault: AccountNumber,
        loads: &[CassetteLoad],
        out: Says<'_, '_>,
    ) -> Result<(), Reject> {
        let mut terminal = self.terminal(number)?;
        self.gives(vault, terminal.terms.currency)?;
        if !(1..=CASSETTES).contains(&loads.len()) {
            return Err(Reject::BadCassettes);
        }
        for (at, CassetteLoad { denomination, notes }) in loads.iter().enumerate() {
            if *denomination == 0 && *notes == 0 {
                continue;
            }
            let is_other = terminal.denominations[at] != u64::from(*denomination);
            let full = terminal.notes[at] + u64::from(*notes) > 65_535;
            if *denomination == 0 || full || is_other && terminal.notes[at] > 0 {
                return Err(Reject::BadCassettes);
            }
            terminal.notes[at] += u64::from(*notes);
            if is_other {
                (terminal.denominations[at], terminal.balanced) = (u64::from(*denomination), context.sequence.0);
            }
        }
        self.set_cash(number, terminal, vault.0, out)
    }

    fn unload(
        &mut self,
        context: Context,
        number: TerminalId,
        vault: AccountNumber,
        out: Says<'_, '_>,
    ) -> Result<(), Reject> {
        let mut terminal = self.terminal(number)?;
        self.gives(vault, terminal.terms.currency)?;
        if self.held(number) != [0; CASSETTES] {
            return Err(Reject::TerminalBusy);
        }
        (terminal.notes, terminal.balanced) = ([0; CASSETTES], context.sequence.0);
        self.set_cash(number, terminal, vault.0, out)
    }

    fn count(
        &mut self,
        context: Context,
        number: TerminalId,
        difference: AccountNumber,
        counts: &[CassetteCount],
        out: Says<'_, '_>,
    ) -> Result<(), Reject> {
        let mut terminal = self.terminal(number)?;
        self.gives(difference, terminal.terms.currency)?;
        if self.held(number) != [0; CASSETTES] {
            return Err(Reject::TerminalBusy);
        }
        let fits = |(at, count): (usize, &CassetteCount)| match terminal.denominations.get(at) {
            None => false,
            Some(0) => count.notes == 0,
            Some(_) => count.notes <= 65_535,
        };
        if counts.is_empty() || !counts.iter().enumerate().all(fits) {
            return Err(Reject::BadCassettes);
        }
        let mut differed = Vec::new();
        for (at, count) in counts.iter().enumerate() {
            let (expected, counted) = (terminal.notes[at] as u32, count.notes);
            let denomination = terminal.denominations[at] as u32;
            let difference = Balance((i64::from(counted) - i64::from(expected)) * i64::from(denomination));
            let (cassette, reserved) = (at as u8 + 1, Reserved::default());
            if expected != counted {
                differed.push(CashDiffered { difference, expected, counted, denomination, cassette, reserved });
            }
            terminal.notes[at] = counted.into();
        }
        (terminal.balanced, terminal.captured) = (context.sequence.0, 0);
        self.set_cash(number, terminal, difference.0, out)?;
        for differed in differed {
            out.publish(topics::TERMINAL, number.0, Event::CashDiffered(&differed));
        }
        Ok(())
    }

    fn capture(&mut self, token: [u8; 16], number: TerminalId, out: Says<'_, '_>) -> Result<(), Reject> {
        let terminal = self.terminals.get_mut(&number.0).ok_or(Reject::UnknownTerminal)?;
        let card = self.cards.get_mut(&token).ok_or(Reject::UnknownCard)?;
        if card.terms.status.get() != CardStatus::Retained {
            card.terms.status = CardStatus::Retained.into();
            terminal.captured += 1;
            let event = CardCaptured { token, captured: terminal.captured, reserved: Reserved::default() };
            out.publish(topics::TERMINAL, number.0, Event::CardCaptured(&event));
        }
        self.set(out)
    }

    fn cutover(&mut self, date: BusinessDate, out: Says<'_, '_>) -> Result<(), Reject> {
        if date <= self.date {
            return Err(Reject::BadDate);
        }
        (self.before, self.date) = (self.date, date);
        self.set(out)?;
        let (date, deeds) = (self.before, core::mem::take(&mut self.deeds));
        let mut of_currencies = BTreeMap::new();
        for (number, terminal) in &self.terminals {
            let here = || deeds.iter().filter(|(at, _)| at.0 == *number).map(|(_, deed)| *deed);
            let count = |wanted: Deed| here().filter(|deed| *deed == wanted).count() as u32;
            let out_here =
                || here().filter_map(|deed| if let Deed::Dispensed(sum, fee) = deed { Some((sum, fee)) } else { None });
            let [debits, credits, _, held] = self.sums(terminal.terms.cash.0);
            let totals = TerminalTotals {
                dispensed: Amount(out_here().map(|(sum, _)| sum).sum()),
                fees: Amount(out_here().map(|(_, fee)| fee).sum()),
                cash: Balance((debits - credits) as i64),
                held: Amount(held as u64),
                date,
                withdrawals: out_here().count() as u32,
                declined: count(Deed::Declined),
                voided: count(Deed::Voided),
                timed_out: count(Deed::TimedOut),
                exceptions: count(Deed::Exception),
            };
            out.publish(topics::TERMINAL, *number, Event::TerminalTotals(&totals));
            of_currencies.entry(terminal.terms.currency).or_insert_with(Vec::new).push(totals);
        }
        for (currency, all) in of_currencies {
            let totals = CurrencyTotals {
                dispensed: Amount(all.iter().map(|one| one.dispensed.0).sum()),
                fees: Amount(all.iter().map(|one| one.fees.0).sum()),
                cash: Balance(all.iter().map(|one| one.cash.0).sum()),
                held: Amount(all.iter().map(|one| one.held.0).sum()),
                date,
                withdrawals: all.iter().map(|one| one.withdrawals).sum(),
                terminals: all.len() as u32,
                currency,
                reserved: Reserved::default(),
            };
            out.publish(topics::DATES, 0, Event::CurrencyTotals(&totals));
        }
        Ok(())
    }

    /// Makes room for a transaction of that date, which may be new.
    fn take(&mut self, key: Key) -> Result<(), Reject> {
        if !(self.before..=self.date).contains(&key.2) {
            return Err(Reject::BadDate);
        }
        if self.order.len() as u64 == self.limits.transactions {
            let oldest = self.order[0];
            if self.open.contains_key(&oldest) || oldest.2 >= self.before {
                return Err(Reject::TransactionsFull);
            }
        }
        Ok(())
    }

    fn keep(&mut self, key: Key, known: Known) {
        if self.order.len() as u64 == self.limits.transactions {
            let oldest = self.order.pop_front().expect("there is one");
            self.known.remove(&oldest);
        }
        self.order.push_back(key);
        self.known.insert(key, known);
        self.turns += 1;
    }

    fn authorize(&mut self, context: Context, asked: &Authorize, out: Says<'_, '_>) -> Result<(), Reject> {
        let terminal = self.terminal(asked.terminal)?;
        let key = Key(asked.terminal, asked.trace, asked.date);
        if self.is_repeated(key, &Asked::For(*asked), out) {
            return Ok(());
        }
        self.take(key)?;
        let (code, account, to, notes) = match self.admit(&terminal, asked.token, asked.pin_version, asked.pin.get())? {
            ResponseCode::Approved => self.decide(context.now, &terminal, asked),
            code => (code, 0, 0, Notes(0)),
        };
        let (approved, amount) = (code == ResponseCode::Approved, asked.amount.0);
        if !approved {
            self.deeds.push((asked.terminal, Deed::Declined));
        }
        let withdraws = approved && asked.transaction.get() == TransactionType::Withdrawal;
        let fee = if withdraws { self.fee(&terminal, account) } else { (0, 0) };
        if withdraws {
            let deadline = context.now.saturating_add(terminal.terms.confirm_within_ns);
            self.open.insert(key, Open { turn: self.turns, deadline, account, amount, notes, fee });
            self.count_day(asked.token, key, amount);
            let card = self.cards.get_mut(&asked.token).expect("it was found");
            if card.terms.window_count_max > 0 {
                card.recent.push(context.now.0);
            }
        }
        let (balance, available) = if account == 0 { (Balance(0), Balance(0)) } else { self.balances(account) };
        let answer = Authorized {
            authorization: Authorization(context.sequence.0),
            held: if withdraws { asked.amount } else { Amount(0) },
            fee: Amount(fee.0),
            notes,
            balance,
            available,
            code: code.into(),
            reserved: Reserved::default(),
        };
        let last = if withdraws { (Balance(0), Balance(0)) } else { (balance, available) };
        let moves = approved && asked.transaction.get() == TransactionType::Transfer;
        let (counted, fate) = (self.date, if moves { Fate::Moved(amount) } else { Fate::Answered });
        self.keep(key, Known { asked: Some(Asked::For(*asked)), answer, last, fee: 0, account, to, counted, fate });
        out.reply(Reply::Authorized(&answer));
        Ok(())
    }

    fn change_pin(&mut self, context: Context, asked: &ChangePin, out: Says<'_, '_>) -> Result<(), Reject> {
        let terminal = self.terminal(asked.terminal)?;
        let key = Key(asked.terminal, asked.trace, asked.date);
        if self.is_repeated(key, &Asked::Pin(*asked), out) {
            return Ok(());
        }
        self.take(key)?;
        let code = self.admit(&terminal, asked.token, asked.pin_version, asked.pin.get())?;
        let fate = if code == ResponseCode::Approved { Fate::PinChanged } else { Fate::Answered };
        if code == ResponseCode::Approved {
            let card = self.cards.get_mut(&asked.token).expect("it was found");
            card.terms.pin_reference = asked.new_pin_reference;
            card.terms.pin_version = PinVersion(asked.pin_version.0.wrapping_add(1));
            self.say_pin(asked.token, out);
        } else {
            self.deeds.push((asked.terminal, Deed::Declined));
        }
        let answer = Authorized { authorization: Authorization(context.sequence.0), ..answer(code) };
        let (last, counted, asked) = ((Balance(0), Balance(0)), self.date, Some(Asked::Pin(*asked)));
        self.keep(key, Known { asked, answer, last, fee: 0, account: 0, to: 0, counted, fate });
        out.reply(Reply::Authorized(&answer));
        Ok(())
    }

    fn say_pin(&self, token: [u8; 16], out: Says<'_, '_>) {
        let SetCard { pin_reference, pin_version, last_four, .. } = self.cards[&token].terms;
        let set = PinReferenceSet { token, pin_reference, pin_version, last_four };
        out.publish(topics::PINS, 0, Event::PinReferenceSet(&set));
    }

    /// Answers what has a key that is known.
    fn is_repeated(&self, key: Key, asked: &Asked, out: Says<'_, '_>) -> bool {
        let Some(known) = self.known.get(&key) else { return false };
        let again = match known.asked {
            None => answer(ResponseCode::TooLate),
            Some(first) if first.is(asked) => known.answer,
            Some(_) => answer(ResponseCode::Duplicate),
        };
        out.reply(Reply::Authorized(&again));
        true
    }

    /// The surcharge that a withdrawal of the account costs, and whose it is.
    fn fee(&self, terminal: &Terminal, account: u64) -> (u64, u64) {
        let SetTerminal { surcharge, fees, .. } = terminal.terms;
        if fees.0 == account { (0, 0) } else { (surcharge.0, fees.0) }
    }

    fn count_day(&mut self, token: [u8; 16], key: Key, amount: u64) {
        let card = self.cards.get_mut(&token).expect("it was found");
        if card.date != self.date {
            (card.date, card.day) = (self.date, BTreeMap::new());
        }
        card.day.insert(key, amount);
    }

    /// The rules in their order, up to the PIN.
    fn admit(
        &mut self,
        terminal: &Terminal,
        token: [u8; 16],
        version: PinVersion,
        pin: PinVerdict,
    ) -> Result<ResponseCode, Reject> {
        use ResponseCode as Code;
        if terminal.service == Service::Out {
            return Ok(Code::TerminalNotPermitted);
        }
        let Some(card) = self.cards.get_mut(&token) else { return Ok(Code::InvalidCard) };
        match card.terms.status.get() {
            CardStatus::Active => {}
            CardStatus::Blocked => return Ok(Code::Restricted),
            CardStatus::Lost => return Ok(Code::Lost),
            CardStatus::Stolen => return Ok(Code::Stolen),
            CardStatus::Expired => return Ok(Code::Expired),
            CardStatus::Retained => return Ok(Code::RestrictedKeep),
        }
        if card.wrong == 3 {
            return Ok(Code::PinLocked);
        }
        if card.terms.pin_version != version {
            return Err(Reject::StalePin);
        }
        card.wrong = if pin == PinVerdict::Wrong { card.wrong + 1 } else { 0 };
        Ok(match card.wrong {
            0 => Code::Approved,
            3 => Code::PinTriesKeep,
            _ => Code::WrongPin,
        })
    }

    /// The rules in their order, from the amount on: code, account when one was found, account to transfer to, notes.
    fn decide(&mut self, now: Timestamp, terminal: &Terminal, asked: &Authorize) -> (ResponseCode, u64, u64, Notes) {
        use ResponseCode as Code;
        let card = self.cards[&asked.token].clone();
        let (amount, kind) = (asked.amount.0, asked.transaction.get());
        let notes = match (kind, amount) {
            (TransactionType::BalanceInquiry, 0) | (TransactionType::Transfer, 1..=AMOUNT_MAX) => Some(Notes(0)),
            (TransactionType::Withdrawal, 1..=AMOUNT_MAX) => self.mix(asked.terminal, terminal, amount),
            _ => None,
        };
        let Some(notes) = notes else { return (Code::InvalidAmount, 0, 0, Notes(0)) };
        let own = [card.terms.cheque.0, card.terms.savings.0, card.terms.credit.0];
        let find = |of: AccountType| match of {
            AccountType::Default => (own.into_iter().find(|account| *account != 0).unwrap_or(0), Code::NoCheque),
            AccountType::Cheque => (own[0], Code::NoCheque),
            AccountType::Savings => (own[1], Code::NoSavings),
            AccountType::Credit => (own[2], Code::NotPermitted),
        };
        let (account, missing) = find(asked.account.get());
        if account == 0 {
            return (missing, 0, 0, Notes(0));
        }
        let no = |code: Code| (code, account, 0, Notes(0));
        let transfers = kind == TransactionType::Transfer;
        let (to, missing) = if transfers { find(asked.to.get()) } else { (account, Code::Approved) };
        if to == 0 {
            return no(missing);
        }
        let is_foreign = |account: u64| self.accounts[&account].currency != terminal.terms.currency;
        let goes_nowhere = if transfers { to == account } else { asked.to.get() != AccountType::Default };
        if is_foreign(account) || is_foreign(to) || goes_nowhere {
            return no(Code::InvalidTransaction);
        }
        match kind {
            TransactionType::Withdrawal => {}
            TransactionType::Transfer if self.try_post(account, to, amount) => {
                return (Code::Approved, account, to, notes);
            }
            TransactionType::Transfer => return no(Code::InsufficientFunds),
            _ => return no(Code::Approved),
        }
        let today = if card.date == self.date { card.day } else { BTreeMap::new() };
        let sum = today.values().map(|amount| i128::from(*amount)).sum::<i128>() + i128::from(amount);
        if asked.amount > card.terms.transaction_max || sum > i128::from(card.terms.day_max.0) {
            return no(Code::ExceedsAmount);
        }
        if today.len() as u64 >= card.terms.day_count_max.into() {
            return no(Code::ExceedsCount);
        }
        let SetCard { window_ns, window_count_max, .. } = card.terms;
        let within = card.recent.iter().filter(|then| then.saturating_add(window_ns) > now.0).count() as u64;
        if window_count_max > 0 && within >= u64::from(window_count_max) {
            return no(Code::ExceedsCount);
        }
        let [debits, credits, held, _] = self.sums(account);
        let terms = self.accounts[&account];
        let bounded = terms.constraint.get() == Constraint::Covered;
        let fee = self.fee(terminal, account).0;
        if bounded && debits + held + i128::from(amount) + i128::from(fee) > credits + i128::from(terms.overdraft.0) {
            return no(Code::InsufficientFunds);
        }
        (Code::Approved, account, 0, notes)
    }

    /// The notes that pay `amount`: cassettes by denomination, each giving as many as leave a rest that the following
    /// ones can pay within the notes that are left.
    fn mix(&self, number: TerminalId, terminal: &Terminal, mut amount: u64) -> Option<Notes> {
        let mut order: Vec<usize> = (0..CASSETTES).filter(|at| terminal.denominations[*at] > 0).collect();
        order.sort_by(|a, b| terminal.denominations[*b].cmp(&terminal.denominations[*a]).then(a.cmp(b)));
        let held = self.held(number);
        let ways: Vec<(u64, u64)> =
            order.iter().map(|at| (terminal.denominations[*at], terminal.notes[*at] - held[*at])).collect();
        let mut left = u64::from(NOTES_MAX);
        let mut counts = [0; CASSETTES];
        for (place, at) in order.iter().enumerate() {
            let (denomination, notes) = ways[place];
            let pays = |count: &u64| {
                let rest = amount.checked_sub(count * denomination);
                rest.and_then(|rest| fewest(&ways[place + 1..], rest)).is_some_and(|fewest| fewest + count <= left)
            };
            let count = (0..=notes.min(left)).rev().find(pays)?;
            (counts[*at], left, amount) = (count as u16, left - count, amount - count * denomination);
        }
        (amount == 0).then(|| Notes::new(counts))
    }

    /// Ends an open withdrawal with so many notes dispensed; with none, that is `empty`.
    fn end(&mut self, key: Key, notes: Notes, empty: Deed) {
        let open = self.open.remove(&key).expect("it is open");
        let (fee, fees) = if notes.0 == 0 { (0, 0) } else { open.fee };
        if fee > 0 {
            self.post(open.account, fees, fee.into());
        }
        self.dispense(key, notes, fee);
        if notes.0 == 0 {
            self.deeds.push((key.0, empty));
        }
    }

    /// Takes the notes out, and posts and counts what they are worth, when the accounts bear it.
    fn dispense(&mut self, key: Key, notes: Notes, fee: u64) -> bool {
        let known = self.known[&key];
        let terminal = self.terminals.get_mut(&key.0.0).expect("it is defined");
        let counts = notes.counts().map(u64::from);
        let worth: u64 = counts.iter().zip(terminal.denominations).map(|(count, one)| count * one).sum();
        let cash = terminal.terms.cash.0;
        if !self.try_post(known.account, cash, worth) {
            return false;
        }
        let terminal = self.terminals.get_mut(&key.0.0).expect("it is defined");
        terminal.notes.iter_mut().zip(counts).for_each(|(notes, count)| *notes -= count);
        let card = self.cards.get_mut(&known.asked.expect("it was asked for").token()).expect("cards stay");
        if card.date == known.counted {
            if worth == 0 {
                card.day.remove(&key)
            } else {
                card.day.insert(key, worth)
            };
        }
        let last = self.balances(known.account);
        let known = self.known.get_mut(&key).expect("it is kept");
        known.last = last;
        known.fate = if worth == 0 { Fate::Nothing } else { Fate::Out(worth, notes) };
        known.fee = fee;
        if worth > 0 {
            self.deeds.push((key.0, Deed::Dispensed(worth, fee)));
        }
        true
    }

    fn ended(&self, key: Key, code: ResponseCode) -> Ended {
        let Some(known) = self.known.get(&key) else { return nothing(code) };
        let posted = Amount(if let Fate::Out(amount, _) | Fate::Moved(amount) = known.fate { amount } else { 0 });
        let ((balance, available), authorization) = (known.last, known.answer.authorization);
        let fee = Amount(known.fee);
        Ended { authorization, posted, fee, balance, available, code: code.into(), reserved: Reserved::default() }
    }

    fn complete(&mut self, said: &Complete, out: Says<'_, '_>) -> Result<(), Reject> {
        let terminal = self.terminal(said.terminal)?;
        let (key, notes) = (Key(said.terminal, said.trace, said.date), said.notes);
        let known = self.known.get(&key).copied();
        let over = |known: &Known| {
            notes.counts().iter().zip(known.answer.notes.counts()).any(|(said, authorized)| *said > authorized)
        };
        let code = match known {
            None => ResponseCode::UnknownOriginal,
            Some(known) if over(&known) => ResponseCode::InvalidAmount,
            Some(_) if self.open.contains_key(&key) => {
                self.end(key, notes, Deed::Voided);
                ResponseCode::Approved
            }
            Some(Known { fate: Fate::Out(_, before), .. }) if before != notes => ResponseCode::Duplicate,
            Some(Known { fate: Fate::Out(..), .. }) => ResponseCode::Approved,
            Some(_) if notes.0 == 0 => ResponseCode::Approved,
            Some(known) => {
                let held = self.held(said.terminal);
                let there = (0..CASSETTES).all(|at| u64::from(notes.counts()[at]) + held[at] <= terminal.notes[at]);
                let counted_since = terminal.balanced > known.answer.authorization.0;
                match there && !counted_since && self.dispense(key, notes, 0) {
                    true => ResponseCode::Approved,
                    false => ResponseCode::TooLate,
                }
            }
        };
        if code != ResponseCode::Approved && (known.is_some() || notes.0 != 0) {
            let authorization = known.map_or(Authorization(0), |known| known.answer.authorization);
            let (trace, date, code, reserved) = (said.trace, said.date, code.into(), Reserved::default());
            let exception = Exception { authorization, notes, trace, date, code, reserved };
            self.deeds.push((said.terminal, Deed::Exception));
            out.publish(topics::TERMINAL, said.terminal.0, Event::Exception(&exception));
        }
        out.reply(Reply::Ended(&self.ended(key, code)));
        Ok(())
    }

    fn reverse(&mut self, key: Key, out: Says<'_, '_>) -> Result<(), Reject> {
        self.terminal(key.0)?;
        let code = match self.known.get(&key) {
            None => {
                self.take(key)?;
                let (answer, last) = (answer(ResponseCode::TooLate), (Balance(0), Balance(0)));
                let (account, to, counted, fate) = (0, 0, BusinessDate(0), Fate::Never);
                self.keep(key, Known { asked: None, answer, last, fee: 0, account, to, counted, fate });
                ResponseCode::Approved
            }
            Some(Known { fate: Fate::Out(..) | Fate::PinChanged, .. }) => ResponseCode::InvalidTransaction,
            Some(Known { fate: Fate::Moved(amount), account, to, .. }) => {
                let (amount, account, to) = (*amount, *account, *to);
                if self.try_post(to, account, amount) {
                    let last = self.balances(account);
                    let known = self.known.get_mut(&key).expect("it was found");
                    (known.fate, known.last) = (Fate::Nothing, last);
                    ResponseCode::Approved
                } else {
                    ResponseCode::InsufficientFunds
                }
            }
            Some(_) => {
                if self.open.contains_key(&key) {
                    self.end(key, Notes(0), Deed::Voided);
                }
                ResponseCode::Approved
            }
        };
        out.reply(Reply::Ended(&self.ended(key, code)));
        Ok(())
    }
}

/// The fewest notes that pay `amount`, each way being a denomination and how many notes of it there are.
fn fewest(ways: &[(u64, u64)], amount: u64) -> Option<u64> {
    if amount == 0 {
        return Some(0);
    }
    let ((denomination, notes), rest) = ways.split_first()?;
    let most = (amount / denomination).min(*notes).min(NOTES_MAX.into());
    (0..=most).filter_map(|count| Some(count + fewest(rest, amount - count * denomination)?)).min()
}

/// The answer to an authorization of which nothing is told.
fn answer(code: ResponseCode) -> Authorized {
    let (authorization, held, fee, notes, balance) = (Authorization(0), Amount(0), Amount(0), Notes(0), Balance(0));
    let (available, code, reserved) = (balance, code.into(), Reserved::default());
    Authorized { authorization, held, fee, notes, balance, available, code, reserved }
}

/// The answer about a transaction of which nothing is known.
fn nothing(code: ResponseCode) -> Ended {
    let (authorization, posted, fee, balance) = (Authorization(0), Amount(0), Amount(0), Balance(0));
    Ended { authorization, posted, fee, balance, available: balance, code: code.into(), reserved: Reserved::default() }
}

impl ringfence_kernel::laws::Model for Model {
    type Domain = Atm;

    fn new(limits: &AtmLimits) -> Self {
        Self {
            limits: *limits,
            date: BusinessDate(0),
            before: BusinessDate(0),
            accounts: BTreeMap::new(),
            posted: BTreeMap::new(),
            cards: BTreeMap::new(),
            terminals: BTreeMap::new(),
            known: BTreeMap::new(),
            open: BTreeMap::new(),
            order: VecDeque::new(),
            turns: 0,
            transfers: BTreeMap::new(),
            holds: BTreeMap::new(),
            transfer_order: VecDeque::new(),
            deeds: Vec::new(),
        }
    }

    fn apply(&mut self, context: Context, command: Command<'_>, out: Says<'_, '_>) -> Result<(), Reject> {
        match command {
            Command::OpenAccount(command) => self.open_account(command, out),
            Command::TransferLinked(_, entries) => self.transfer_linked(context, entries, out),
            Command::SetCard(command) => self.set_card(command, out),
            Command::SetCardStatus(command) => {
                let card = self.cards.get_mut(&command.token).ok_or(Reject::UnknownCard)?;
                card.terms.status = command.status;
                self.set(out)
            }
            Command::ReplaceCard(command) => self.replace_card(command, out),
            Command::SetTerminal(command) => self.set_terminal(command, out),
            Command::SetService(command) => {
                let terminal = self.terminals.get_mut(&command.terminal.0).ok_or(Reject::UnknownTerminal)?;
                terminal.service = command.service.get();
                self.set(out)
            }
            Command::LoadCash(command, loads) => self.load(context, command.terminal, command.vault, loads, out),
            Command::UnloadCash(command) => self.unload(context, command.terminal, command.vault, out),
            Command::CountCash(command, counts) => {
                self.count(context, command.terminal, command.difference, counts, out)
            }
            Command::CaptureCard(command) => self.capture(command.token, command.terminal, out),
            Command::Cutover(command) => self.cutover(command.date, out),
            Command::Authorize(command) => self.authorize(context, command, out),
            Command::ChangePin(command) => self.change_pin(context, command, out),
            Command::Complete(command) => self.complete(command, out),
            Command::Reverse(command) => self.reverse(Key(command.terminal, command.trace, command.date), out),
        }
    }

    fn on_time(&mut self, context: Context, out: Says<'_, '_>) {
        let mut due: Vec<(u64, u8, u64, Option<Key>, u64)> = Vec::new();
        due.extend(self.open.iter().map(|(key, open)| (open.deadline.0, 0, open.turn, Some(*key), 0)));
        let order = |id: &u64| self.transfer_order.iter().position(|known| known == id).unwrap_or_default() as u64;
        due.extend(self.holds.iter().map(|(id, hold)| (hold.1, 1, order(id), None, *id)));
        due.retain(|due| due.0 != 0 && due.0 <= context.now.0);
        due.sort_unstable();
        for (_, _, _, key, id) in due {
            let Some(key) = key else {
                let (.., amount) = self.holds.remove(&id).expect("it is held");
                let (id, amount) = (super::messages::TransferId(id), Amount(amount));
                out.publish(topics::HOLDS, 0, Event::HoldExpired(&HoldExpired { id, amount }));
                continue;
            };
            let amount = Amount(self.open[&key].amount);
            self.end(key, Notes(0), Deed::TimedOut);
            let (authorization, Key(terminal, trace, date)) = (self.known[&key].answer.authorization, key);
            let timed_out = TimedOut { authorization, amount, trace, date };
            out.publish(topics::TERMINAL, terminal.0, Event::TimedOut(&timed_out));
        }
    }

    fn on_session(&mut self, _: Context, _: SessionChange, _: Says<'_, '_>) {}
}
