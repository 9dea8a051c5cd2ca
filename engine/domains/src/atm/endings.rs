//! How transactions end: completed, reversed or timed out.

use super::days::Day;
use super::messages::{
    AMOUNT_MAX, Amount, Complete, CountDeposit, DepositDiffered, Event, Exception, Key, Notes, Reject, Reply,
    ResponseCode, Reverse, TerminalId, TimedOut, TransactionType,
};
use super::transactions::{State, Transaction};
use super::{Atm, topics};
use bytemuck::Zeroable;
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::{Out, Progress};

impl Atm {
    #[inline]
    pub(super) fn complete(&mut self, command: &Complete, out: &mut Out<'_, Self>) -> Result<Progress, Reject> {
        let Complete { notes, terminal: number, trace, date, .. } = *command;
        let terminal = self.terminals.get(number)?;
        let Some(index) = self.transactions.find(Key(number, trace, date)) else {
            if notes.0 != 0 {
                let worth = terminal.worth(notes);
                let unknown = Transaction::of(Key(number, trace, date), State::Tombstone);
                self.take_exception(&unknown, worth, notes, ResponseCode::UnknownOriginal, out);
            }
            out.reply(Reply::Ended(&Transaction::zeroed().ended(ResponseCode::UnknownOriginal)));
            return Ok(Progress::Done);
        };
        let Transaction { state, notes: authorized, dispensed, authorization, .. } = self.transactions[index];
        let within = |(said, authorized): (u16, u16)| said <= authorized;
        let is_within = notes.counts().into_iter().zip(authorized.counts()).all(within);
        let code = match state.get() {
            _ if !is_within => ResponseCode::InvalidAmount,
            State::Held => {
                let state = if notes.0 == 0 { State::Voided } else { State::Dispensed };
                self.end(index, state, notes);
                ResponseCode::Approved
            }
            State::Dispensed if notes == dispensed => ResponseCode::Approved,
            State::Dispensed => ResponseCode::Duplicate,
            _ if notes.0 == 0 => ResponseCode::Approved,
            // The notes came out after all: they are posted late, if nothing has changed that would make that wrong.
            _ if authorization < terminal.balanced || !terminal.has(notes) => ResponseCode::TooLate,
            _ => self.post_late(index, notes),
        };
        if code != ResponseCode::Approved {
            let (transaction, worth) = (self.transactions[index], self.terminals.get(number)?.worth(notes));
            self.take_exception(&transaction, worth, notes, code, out);
        }
        out.reply(Reply::Ended(&self.transactions[index].ended(code)));
        Ok(Progress::Done)
    }

    /// Tells the operator of what was not posted.
    fn take_exception(
        &mut self,
        of: &Transaction,
        amount: Amount,
        notes: Notes,
        code: ResponseCode,
        out: &mut Out<'_, Self>,
    ) {
        let Transaction { authorization, terminal, trace, date, .. } = *of;
        let (code, reserved) = (code.into(), Reserved::default());
        let exception = Exception { authorization, amount, notes, trace, date, code, reserved };
        self.terminals.get(terminal).expect("it was found").totals.exceptions += 1;
        out.publish(topics::TERMINAL, terminal.0, Event::Exception(&exception));
    }

    pub(super) fn reverse(&mut self, command: &Reverse, out: &mut Out<'_, Self>) -> Result<Progress, Reject> {
        self.terminals.get(command.terminal)?;
        let key = Key(command.terminal, command.trace, command.date);
        let Some(index) = self.transactions.find(key) else {
            self.check_new(command.date)?;
            let tombstone = Transaction::of(key, State::Tombstone);
            self.transactions.add(tombstone);
            out.reply(Reply::Ended(&tombstone.ended(ResponseCode::Approved)));
            return Ok(Progress::Done);
        };
        let code = match self.transactions[index].state.get() {
            State::Held => {
                self.end(index, State::Voided, Notes(0));
                ResponseCode::Approved
            }
            State::Answered => match self.transactions[index].kind.get() {
                TransactionType::Transfer | TransactionType::Purchase => self.move_back(index, out),
                TransactionType::Deposit => ResponseCode::InvalidTransaction,
                TransactionType::PinChange => self.change_pin_back(index, out),
                TransactionType::Withdrawal | TransactionType::FastCash | TransactionType::BalanceInquiry => {
                    ResponseCode::Approved
                }
            },
            State::Deposited => self.give_deposit_back(index),
            State::Dispensed => ResponseCode::InvalidTransaction,
            _ => ResponseCode::Approved,
        };
        out.reply(Reply::Ended(&self.transactions[index].ended(code)));
        Ok(Progress::Done)
    }

    /// Ends what is held: posts the notes that were dispensed, lets the rest go.
    fn end(&mut self, index: u32, state: State, dispensed: Notes) {
        let transaction = self.transactions[index];
        let Transaction { terminal, account, amount, notes, counted, fee: held_fee, fees, .. } = transaction;
        let terminal = self.terminals.get(terminal).expect("a terminal stays defined");
        let posted = terminal.worth(dispensed);
        terminal.settle(notes, dispensed);
        let fee = if dispensed.0 == 0 { Amount(0) } else { held_fee };
        match state {
            State::Dispensed => terminal.totals.dispense(posted, fee),
            State::TimedOut => terminal.totals.timed_out += 1,
            _ => terminal.totals.voided += 1,
        }
        self.ledger.settle(account, terminal.cash, amount, posted);
        if held_fee.0 > 0 {
            self.ledger.settle(account, fees, held_fee, fee);
        }
        self.days(&transaction).for_each(|day| day.give_back(amount, posted, counted));
        let ended = self.ledger[account].balances().into();
        self.transactions.change(index, |transaction| {
            (transaction.state, transaction.dispensed, transaction.posted) = (state.into(), dispensed, posted);
            (transaction.fee, transaction.ended, transaction.deadline) = (fee, ended, Default::default());
        });
    }

    /// Takes a transfer back, when the account that it went to covers it.
    fn move_back(&mut self, index: u32, out: &mut Out<'_, Self>) -> ResponseCode {
        let transaction = self.transactions[index];
        let Transaction { account, to, amount, cashback, counted, .. } = transaction;
        if self.ledger.move_now(to, account, amount).is_err() {
            self.take_exception(&transaction, amount, Notes(0), ResponseCode::InsufficientFunds, out);
            return ResponseCode::InsufficientFunds;
        }
        if cashback.0 > 0 {
            self.days(&transaction).for_each(|day| day.give_back(cashback, Amount(0), counted));
        }
        let ended = self.ledger[account].balances().into();
        self.transactions.change(index, |transaction| {
            (transaction.state, transaction.posted, transaction.ended) = (State::Voided.into(), Amount(0), ended);
        });
        ResponseCode::Approved
    }

    /// Makes the reference before a change of PIN the card's again, when the one that it brought still is.
    fn change_pin_back(&mut self, index: u32, out: &mut Out<'_, Self>) -> ResponseCode {
        let Transaction { card: place, pin_before, pin_reference, pin_version, .. } = self.transactions[index];
        let card = &self.cards[place];
        if (card.pin_reference, card.pin_version) != (pin_reference, pin_version) {
            return ResponseCode::InvalidTransaction;
        }
        self.set_pin_reference(place, pin_before, out);
        self.transactions.change(index, |transaction| transaction.state = State::Voided.into());
        ResponseCode::Approved
    }

    /// Posts notes of a hold that was let go, and the surcharge when the account still covers it.
    fn post_late(&mut self, index: u32, notes: Notes) -> ResponseCode {
        let transaction = self.transactions[index];
        let Transaction { terminal, account, counted, asked_fee, fees, .. } = transaction;
        let terminal = self.terminals.get(terminal).expect("a terminal stays defined");
        let posted = terminal.worth(notes);
        if self.ledger.move_now(account, terminal.cash, posted).is_err() {
            return ResponseCode::TooLate;
        }
        let has_fee = asked_fee.0 > 0 && self.ledger.move_now(account, fees, asked_fee).is_ok();
        let fee = if has_fee { asked_fee } else { Amount(0) };
        terminal.settle(Notes(0), notes);
        terminal.totals.dispense(posted, fee);
        self.days(&transaction).for_each(|day| day.count_late(posted, counted));
        let ended = self.ledger[account].balances().into();
        self.transactions.change(index, |transaction| {
            (transaction.state, transaction.dispensed) = (State::Dispensed.into(), notes);
            (transaction.posted, transaction.fee, transaction.ended) = (posted, fee, ended);
        });
        ResponseCode::Approved
    }

    /// The days that count a transaction: its card's, its account's when that had limits, its terminal's when that gave
    /// notes.
    #[inline]
    fn days(&mut self, of: &Transaction) -> impl Iterator<Item = &mut Day> {
        let Self { cards, ledger, account_limits, terminals, .. } = self;
        let limits = if of.by_account == 1 { ledger.limits(of.account) } else { None };
        let of_terminal = if of.dispenses() { terminals.get(of.terminal).ok() } else { None };
        let limits = [
            Some(&mut cards[of.card].limits),
            account_limits.at(limits),
            of_terminal.map(|terminal| &mut terminal.limits),
        ];
        limits.into_iter().flatten().map(|limits| &mut limits.day)
    }

    /// Lets go what a deposit holds: the cash was given back.
    fn give_deposit_back(&mut self, index: u32) -> ResponseCode {
        let Transaction { account, to, amount, .. } = self.transactions[index];
        self.ledger.settle(to, account, amount, Amount(0));
        let ended = self.ledger[account].balances().into();
        self.transactions.change(index, |transaction| {
            (transaction.state, transaction.ended) = (State::Voided.into(), ended);
        });
        ResponseCode::Approved
    }

    /// Posts what of a deposit was counted.
    pub(super) fn count_deposit(
        &mut self,
        command: &CountDeposit,
        out: &mut Out<'_, Self>,
    ) -> Result<Progress, Reject> {
        let CountDeposit { counted, terminal, trace, date, .. } = *command;
        self.terminals.get(terminal)?;
        let Some(index) = self.transactions.find(Key(terminal, trace, date)) else {
            out.reply(Reply::Ended(&Transaction::zeroed().ended(ResponseCode::UnknownOriginal)));
            return Ok(Progress::Done);
        };
        let Transaction { authorization, account, to, amount, posted, .. } = self.transactions[index];
        let code = match self.transactions[index].state.get() {
            _ if counted.0 > AMOUNT_MAX => ResponseCode::InvalidAmount,
            State::Deposited => {
                let over = Amount(counted.0.saturating_sub(amount.0));
                self.ledger.move_now(to, account, over).map_err(|_| Reject::NotCovered)?;
                self.ledger.settle(to, account, amount, counted.min(amount));
                let ended = self.ledger[account].balances().into();
                self.transactions.change(index, |transaction| {
                    (transaction.state, transaction.posted, transaction.ended) =
                        (State::Answered.into(), counted, ended);
                });
                if counted != amount {
                    let differed = DepositDiffered { authorization, stated: amount, counted, trace, date };
                    out.publish(topics::TERMINAL, terminal.0, Event::DepositDiffered(&differed));
                }
                ResponseCode::Approved
            }
            State::Answered if self.transactions[index].is(TransactionType::Deposit) => {
                if counted == posted {
                    ResponseCode::Approved
                } else {
                    ResponseCode::Duplicate
                }
            }
            _ => ResponseCode::InvalidTransaction,
        };
        out.reply(Reply::Ended(&self.transactions[index].ended(code)));
        Ok(Progress::Done)
    }

    /// Lets the withdrawal at `index` go: nobody said in time what came out.
    pub(super) fn time_out(&mut self, index: u32, out: &mut Out<'_, Self>) {
        self.end(index, State::TimedOut, Notes(0));
        let Transaction { authorization, amount, trace, date, terminal: TerminalId(terminal), .. } =
            self.transactions[index];
        out.publish(topics::TERMINAL, terminal, Event::TimedOut(&TimedOut { authorization, amount, trace, date }));
    }
}
