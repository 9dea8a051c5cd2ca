//! What the operator does beside moving money: accounts and cards.

use super::cards::NONE;
use super::messages::{
    AMOUNT_MAX, AccountNumber, AccountOpened, Amount, Constraint, Event, OpenAccount, Reject, ReplaceCard, Reply, Set,
    SetAccountLimits, SetCard, SetCardStatus, SetCardTerms, WINDOW_MAX,
};
use super::{Atm, topics};
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::{Cursor, Out, Progress};

impl Atm {
    pub(super) fn open_account(&mut self, command: &OpenAccount, out: &mut Out<'_, Self>) -> Result<Progress, Reject> {
        let OpenAccount { account, currency, overdraft, .. } = *command;
        let constraint = command.constraint.get();
        let most = match constraint {
            Constraint::Free => Amount(0),
            Constraint::Covered => Amount(AMOUNT_MAX),
            Constraint::Cash => return Err(Reject::BadAccount),
        };
        if account.0 == 0 || !currency.is_valid() || overdraft > most {
            return Err(Reject::BadAccount);
        }
        let index = match self.ledger.find(account) {
            Some(index) if self.ledger[index].is(currency, constraint, overdraft) => index,
            Some(_) => return Err(Reject::AccountExists),
            None => self.ledger.open(account, currency, constraint, overdraft).map_err(|_| Reject::AccountsFull)?,
        };
        let (balance, available) = self.ledger[index].balances();
        out.reply(Reply::AccountOpened(&AccountOpened { account, balance, available }));
        Ok(Progress::Done)
    }

    pub(super) fn set_card(&mut self, command: &SetCard, out: &mut Out<'_, Self>) -> Result<Progress, Reject> {
        check_window(command.window_count_max, Amount(0))?;
        let place = |number: AccountNumber| match number.0 {
            0 => Ok(NONE),
            _ => self.ledger.find(number).filter(|place| !self.ledger[*place].is_cash()).ok_or(Reject::UnknownAccount),
        };
        let accounts = [place(command.cheque)?, place(command.savings)?, place(command.credit)?];
        if self.cards.find(&command.token).is_some_and(|card| self.cards[card].has_later_pin(command)) {
            return Err(Reject::StalePin);
        }
        let card = self.cards.set(command, accounts, &mut self.windows).map_err(|_| Reject::CardsFull)?;
        self.say_pin_reference(card, out);
        Ok(self.is_set(out))
    }

    pub(super) fn set_card_terms(
        &mut self,
        command: &SetCardTerms,
        out: &mut Out<'_, Self>,
    ) -> Result<Progress, Reject> {
        let card = self.cards.find(&command.token).ok_or(Reject::UnknownCard)?;
        if !self.windows.set_amount(&self.cards[card].limits, command.window_max) {
            return Err(Reject::BadWindow);
        }
        self.cards[card].fast_cash = command.fast_cash;
        Ok(self.is_set(out))
    }

    pub(super) fn set_account_limits(
        &mut self,
        command: &SetAccountLimits,
        out: &mut Out<'_, Self>,
    ) -> Result<Progress, Reject> {
        let SetAccountLimits { account, transaction_max, day_max, day_count_max, window_max, .. } = *command;
        let account = self.ledger.find(account).filter(|place| !self.ledger[*place].is_cash());
        let account = account.ok_or(Reject::UnknownAccount)?;
        check_window(command.window_count_max, window_max)?;
        if self.ledger.limits(account).is_none() {
            let place = self.account_limits.add(account);
            self.ledger.set_limits(account, place);
        }
        let limits = self.account_limits.at(self.ledger.limits(account)).expect("it has limits");
        (limits.transaction_max, limits.day_max, limits.day_count_max) = (transaction_max, day_max, day_count_max);
        self.windows.set(limits, command.window_ns, command.window_count_max);
        self.windows.set_amount(limits, window_max);
        Ok(self.is_set(out))
    }

    pub(super) fn set_card_status(
        &mut self,
        command: &SetCardStatus,
        out: &mut Out<'_, Self>,
    ) -> Result<Progress, Reject> {
        let card = self.cards.find(&command.token).ok_or(Reject::UnknownCard)?;
        self.cards[card].status = command.status;
        Ok(self.is_set(out))
    }

    pub(super) fn replace_card(&mut self, command: &ReplaceCard, out: &mut Out<'_, Self>) -> Result<Progress, Reject> {
        let card = self.cards.find(&command.token).ok_or(Reject::UnknownCard)?;
        if self.cards.find(&command.new_token).is_some() {
            return Err(Reject::CardExists);
        }
        let new = self.cards.replace(card, command, &mut self.windows).map_err(|_| Reject::CardsFull)?;
        self.say_pin_reference(new, out);
        Ok(self.is_set(out))
    }

    /// Tells gateways what to verify the PIN of the card at `place` against.
    pub(super) fn say_pin_reference(&self, place: u32, out: &mut Out<'_, Self>) {
        out.publish(topics::PINS, 0, Event::PinReferenceSet(&self.cards[place].pin_reference_set()));
    }

    /// Says the PIN references of all cards, from `cursor` on.
    pub(super) fn snapshot_pins(&self, cursor: &mut Cursor, out: &mut Out<'_, Self>) -> Progress {
        for card in &self.cards.all()[cursor.0 as usize..] {
            if out.room() == 0 {
                return Progress::More;
            }
            out.part(Event::PinReferenceSet(&card.pin_reference_set()));
            cursor.0 += 1;
        }
        Progress::Done
    }

    pub(super) fn is_set(&self, out: &mut Out<'_, Self>) -> Progress {
        out.reply(Reply::Set(&Set { date: self.date, reserved: Reserved::default() }));
        Progress::Done
    }
}

/// Whether a window can be so: a limit by amount needs one by number.
pub(super) fn check_window(count_max: u32, amount_max: Amount) -> Result<(), Reject> {
    let can_be = count_max as usize <= WINDOW_MAX && (amount_max.0 == 0 || count_max > 0);
    if can_be { Ok(()) } else { Err(Reject::BadWindow) }
}
