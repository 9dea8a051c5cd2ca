//! Accounts, transfers and cards.

use super::super::messages::{
    AMOUNT_MAX, AccountNumber, AccountOpened, Amount, Balance, CardStatus, Constraint, LINKED_MAX, MovementKind,
    OpenAccount, Reject, ReplaceCard, Reply, SetAccountLimits, SetCard, SetCardTerms, TerminalId, Trace, TransferEntry,
    TransferKind, TransferOutcome, Transferred,
};
use super::{Card, Model, Says, Whose};
use alloc::vec::Vec;
use ringfence_kernel::Context;
use ringfence_kernel::messages::Reserved;

impl Model {
    pub(super) fn open_account(&mut self, open: &OpenAccount, out: Says<'_, '_>) -> Result<(), Reject> {
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

    pub(super) fn add_account(&mut self, open: OpenAccount, again: bool) -> Result<(), Reject> {
        match self.accounts.get(&open.account.0) {
            Some(known) if !again || *known != open => return Err(Reject::AccountExists),
            None if self.accounts.len() as u64 == self.limits.accounts => return Err(Reject::AccountsFull),
            _ => {}
        }
        self.accounts.insert(open.account.0, open);
        Ok(())
    }

    pub(super) fn is_cash(&self, account: u64) -> bool {
        self.accounts[&account].constraint.get() == Constraint::Cash
    }

    pub(super) fn transfer_linked(
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
        let is_held = |id: &u64| self.holds.contains_key(id) && !entries.iter().any(|entry| entry.hold.0 == *id);
        let old = self.transfer_order.iter().take_while(|id| self.transfers[id].2 < self.before);
        if old.filter(|id| !is_held(id)).count() < over {
            return Err(Reject::TransfersFull);
        }
        let before: Vec<u64> = self.transfer_order.iter().copied().collect();
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
        // As if each had come alone: those that are held and the oldest become the latest when another must go.
        self.transfer_order = before.into();
        for entry in entries {
            while self.transfer_order.len() as u64 == self.limits.transfers {
                let oldest = self.transfer_order.pop_front().expect("there is one");
                if self.holds.contains_key(&oldest) {
                    self.transfer_order.push_back(oldest);
                } else {
                    self.transfers.remove(&oldest);
                }
            }
            self.transfer_order.push_back(entry.id.0);
        }
        let (_, answer, _) = &self.transfers[&entries[entries.len() - 1].id.0];
        out.reply(Reply::Transferred(&Transferred { at: entries.len() as u32, ..*answer }));
        Ok(())
    }

    pub(super) fn transfer(&mut self, context: Context, entry: &TransferEntry) -> Result<(), TransferOutcome> {
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
        if matches!(kind, TransferKind::Move | TransferKind::Post) {
            self.note_at((TerminalId(0), Trace(0)), debit, credit, amount, MovementKind::Transfer);
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

    pub(super) fn set_card(&mut self, terms: &SetCard, out: Says<'_, '_>) -> Result<(), Reject> {
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
            Some(card) if terms.pin_version < card.terms.pin_version => return Err(Reject::StalePin),
            Some(card)
                if terms.pin_version == card.terms.pin_version && terms.pin_reference != card.terms.pin_reference =>
            {
                return Err(Reject::StalePin);
            }
            Some(card) => {
                card.wrong = if card.terms.pin_version == terms.pin_version { card.wrong } else { 0 };
                card.terms = *terms;
                if terms.window_count_max == 0 {
                    card.window_max = 0;
                }
            }
            None if full => return Err(Reject::CardsFull),
            None => {
                let card = Card { terms: *terms, wrong: 0, fast_cash: 0, window_max: 0 };
                self.cards.insert(terms.token, card);
            }
        }
        self.remember(Whose::Card(terms.token), terms.window_count_max);
        self.say_pin(terms.token, out);
        self.set(out)
    }

    pub(super) fn set_card_terms(&mut self, terms: &SetCardTerms, out: Says<'_, '_>) -> Result<(), Reject> {
        let card = self.cards.get_mut(&terms.token).ok_or(Reject::UnknownCard)?;
        if terms.window_max.0 > 0 && card.terms.window_count_max == 0 {
            return Err(Reject::BadWindow);
        }
        (card.fast_cash, card.window_max) = (terms.fast_cash.0, terms.window_max.0);
        self.set(out)
    }

    pub(super) fn set_account_limits(&mut self, terms: &SetAccountLimits, out: Says<'_, '_>) -> Result<(), Reject> {
        let account = terms.account.0;
        if !self.accounts.contains_key(&account) || self.is_cash(account) {
            return Err(Reject::UnknownAccount);
        }
        check_window(terms.window_count_max, terms.window_max)?;
        self.account_limits.insert(account, *terms);
        self.remember(Whose::Account(account), terms.window_count_max);
        self.set(out)
    }

    /// Forgets what was taken within a window that is no limit.
    pub(super) fn remember(&mut self, whose: Whose, window_count_max: u32) {
        let taken = self.taken.entry(whose).or_default();
        if window_count_max == 0 {
            taken.recent.clear();
        }
    }

    pub(super) fn replace_card(&mut self, by: &ReplaceCard, out: Says<'_, '_>) -> Result<(), Reject> {
        let mut new = *self.cards.get(&by.token).ok_or(Reject::UnknownCard)?;
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
        let taken = self.taken[&Whose::Card(by.token)].clone();
        self.taken.insert(Whose::Card(by.new_token), taken);
        self.say_pin(by.new_token, out);
        self.set(out)
    }
}

/// Whether a window can be a limit.
pub(super) fn check_window(count_max: u32, amount_max: Amount) -> Result<(), Reject> {
    if count_max > 8 || amount_max.0 > 0 && count_max == 0 { Err(Reject::BadWindow) } else { Ok(()) }
}
