//! The straight way of a plain withdrawal: from an account of this host, in the terminal's currency, without charges, limits of the
//! account or windows, approved, and then dispensed in full.
//!
//! Most commands are one of the two, so that they are decided here, with no more work than that is. It is the rules of
//! `decisions` and `endings` again, of which nothing that declines or is of another kind is left: whatever is not plain has changed
//! nothing here, and is decided there.

use super::Atm;
use super::cards::Card;
use super::decisions::states_nothing;
use super::kept::Keep as _;
use super::messages::{
    AMOUNT_MAX, AccountType, Amount, Authorization, Authorize, Authorized, CardStatus, Complete, Ended, Key,
    MovementKind, Network, PIN_TRIES, PinVerdict, Reply, TransactionType,
};
use super::statements::Cause;
use super::terminals::Terminal;
use super::transactions::{State, Transaction};
use bytemuck::Zeroable;
use ringfence_kernel::{Context, Out, Timestamp};

impl Atm {
    /// Approves a plain withdrawal; none when it is not one, or nothing may approve it.
    #[inline]
    pub(super) fn authorize_plain(
        &mut self,
        context: Context,
        command: &Authorize,
        out: &mut Out<'_, Self>,
    ) -> Option<()> {
        let Self { terminals, cards, ledger, transactions, fees, date, date_before, .. } = self;
        if !is_plain(command) {
            return None;
        }
        let place = cards.find(&command.token)?;
        let card = &mut cards[place];
        let account = card.account(command.account.get()).ok()?;
        let terminal = terminals.get(command.terminal).ok()?;
        let asked = Transaction::asked_by(command, Authorization(context.sequence.0));
        let (amount, today) = (command.amount, *date);
        let is_new = (*date_before..=today).contains(&command.date) && transactions.find(asked.key()).is_none();
        let is_approved = is_new
            && may_take(command, card)
            && may_give(terminal)
            && ledger[account].currency == terminal.currency
            && ledger.limits(account).is_none()
            && account != terminal.cash
            && card.limits.admit(amount, today)
            && terminal.limits.admit(amount, today)
            && fees.on(ledger, TransactionType::Withdrawal, Network::Own, account, amount) == (Amount(0), 0)
            && transactions.has_room(1, *date_before);
        if !is_approved {
            return None;
        }
        let notes = terminal.mix(amount)?;
        ledger.hold(account, terminal.cash, amount).ok()?;
        card.pin_wrong = 0;
        card.limits.day.count(amount, today);
        terminal.limits.day.count(amount, today);
        terminal.hold(notes);
        let approved = Transaction {
            notes,
            card: place,
            account,
            counted: today,
            balances: ledger[account].balances().into(),
            state: State::Held.into(),
            deadline: context.now.saturating_add(terminal.confirm_within_ns),
            ..asked
        };
        let Transaction { authorization, balances: [balance, available], .. } = approved;
        transactions.add(approved);
        out.reply(Reply::Authorized(&Authorized {
            authorization,
            held: amount,
            notes,
            balance,
            available,
            ..Authorized::zeroed()
        }));
        Some(())
    }

    /// Posts a plain withdrawal of which all notes came out; none when it is not one.
    #[inline]
    pub(super) fn complete_plain(&mut self, command: &Complete, out: &mut Out<'_, Self>) -> Option<()> {
        let Self { terminals, ledger, transactions, date, .. } = self;
        let Complete { notes, terminal: number, trace, date: of, .. } = *command;
        let index = transactions.find(Key(number, trace, of))?;
        let terminal = terminals.get(number).ok()?;
        let Transaction { state, has_more, notes: held, account, amount, authorization, .. } = transactions[index];
        if state != State::Held.into() || has_more == 1 || notes != held || notes.0 == 0 {
            return None;
        }
        terminal.settle(notes, notes);
        ledger.settle(account, terminal.cash, amount, amount);
        let cause = Cause { kind: MovementKind::Withdrawal, terminal: number, trace, date: *date };
        ledger.note(account, terminal.cash, amount, cause);
        terminal.totals.dispense(amount, Amount(0));
        let (balance, available) = ledger[account].balances();
        transactions.change(index, |transaction| {
            (transaction.state, transaction.dispensed, transaction.posted) = (State::Dispensed.into(), notes, amount);
            (transaction.ended, transaction.deadline) = ([balance, available], Timestamp(0));
        });
        // From what is at hand: what was just written is not read again before it has reached the cache.
        let posted = amount;
        out.reply(Reply::Ended(&Ended { authorization, posted, balance, available, ..Ended::zeroed() }));
        Some(())
    }
}

/// Whether it asks for notes, and for nothing else.
#[inline]
fn is_plain(command: &Authorize) -> bool {
    command.transaction == TransactionType::Withdrawal.into()
        && (1..=AMOUNT_MAX).contains(&command.amount.0)
        && command.cashback.0 == 0
        && command.to == AccountType::Default.into()
        && states_nothing(command)
}

/// Whether the holder of the card may take anything.
#[inline]
fn may_take(command: &Authorize, card: &Card) -> bool {
    card.status == CardStatus::Active.into()
        && card.pin_wrong < PIN_TRIES
        && card.pin_version == command.pin_version
        && command.pin == PinVerdict::Right.into()
}

/// Whether the terminal gives notes, and takes nothing for it.
#[inline]
fn may_give(terminal: &Terminal) -> bool {
    terminal.is_in_service() && !terminal.is_acquirer() && terminal.surcharge.0 == 0
}
