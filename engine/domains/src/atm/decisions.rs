//! The life of a transaction: authorized, then completed, reversed or timed out.

use super::cards::NONE;
use super::ledger::NotCovered;
use super::messages::{
    AMOUNT_MAX, AccountType, Authorization, Authorize, BusinessDate, Complete, Event, Exception, Key, Notes, PIN_TRIES,
    PinVerdict, Reject, Reply, ResponseCode, Reverse, TerminalId, TimedOut, TransactionType,
};
use super::transactions::{State, Transaction};
use super::{Atm, topics};
use bytemuck::Zeroable;
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::{Context, Out, Progress};

/// What was decided of an authorization.
enum Decision {
    /// Approved: the places of card and account, and the notes, which are held.
    Approve { card: u32, account: u32, notes: Notes },
    /// Declined, and the account whose balances the answer says.
    Decline(ResponseCode, u32),
}

impl Atm {
    #[inline]
    pub(super) fn authorize(
        &mut self,
        context: Context,
        command: &Authorize,
        out: &mut Out<'_, Self>,
    ) -> Result<Progress, Reject> {
        let confirm_within_ns = self.terminals.get(command.terminal)?.confirm_within_ns;
        if let Some(index) = self.transactions.find(Key(command.terminal, command.trace, command.date)) {
            out.reply(Reply::Authorized(&self.transactions[index].repeated(command)));
            return Ok(Progress::Done);
        }
        self.check_new(command.date)?;
        let mut transaction = Transaction::asked_by(command, Authorization(context.sequence.0));
        match self.decide(command)? {
            Decision::Approve { card, account, notes } => {
                (transaction.card, transaction.account, transaction.notes) = (card, account, notes);
                transaction.balances = self.ledger[account].balances().into();
                if command.transaction.get() == TransactionType::Withdrawal {
                    transaction.state = State::Held.into();
                    transaction.deadline = context.now.saturating_add(confirm_within_ns);
                    transaction.counted = self.date;
                } else {
                    (transaction.state, transaction.ended) = (State::Answered.into(), transaction.balances);
                }
            }
            Decision::Decline(code, account) => {
                self.terminals.get(command.terminal)?.totals.declined += 1;
                transaction.code = code.into();
                if account != NONE {
                    transaction.balances = self.ledger[account].balances().into();
                }
                transaction.ended = transaction.balances;
            }
        }
        self.transactions.add(transaction);
        out.reply(Reply::Authorized(&transaction.answer()));
        Ok(Progress::Done)
    }

    /// Whether a key of `date` that is not known may be taken in.
    fn check_new(&self, date: BusinessDate) -> Result<(), Reject> {
        if date > self.date || date < self.date_before {
            return Err(Reject::BadDate);
        }
        if self.transactions.has_room(1, self.date_before) { Ok(()) } else { Err(Reject::TransactionsFull) }
    }

    /// The order of precedence: the first that applies decides.
    fn decide(&mut self, command: &Authorize) -> Result<Decision, Reject> {
        use ResponseCode as Code;
        let Self { terminals, cards, ledger, .. } = self;
        let terminal = terminals.get(command.terminal)?;
        let decline = |code, account| Ok(Decision::Decline(code, account));
        if !terminal.is_in_service() {
            return decline(Code::TerminalNotPermitted, NONE);
        }
        let Some(place) = cards.find(&command.token) else { return decline(Code::InvalidCard, NONE) };
        let card = &mut cards[place];
        if let Some(code) = card.declines() {
            return decline(code, NONE);
        }
        if card.pin_wrong >= PIN_TRIES {
            return decline(Code::PinLocked, NONE);
        }
        if card.pin_version != command.pin_version {
            return Err(Reject::StalePin);
        }
        if command.pin.get() == PinVerdict::Wrong {
            card.pin_wrong += 1;
            return decline(if card.pin_wrong == PIN_TRIES { Code::PinTriesKeep } else { Code::WrongPin }, NONE);
        }
        card.pin_wrong = 0;
        let notes = match command.transaction.get() {
            TransactionType::BalanceInquiry => (command.amount.0 == 0).then_some(Notes(0)),
            TransactionType::Withdrawal if command.amount.0 == 0 || command.amount.0 > AMOUNT_MAX => None,
            TransactionType::Withdrawal => terminal.mix(command.amount),
        };
        let Some(notes) = notes else { return decline(Code::InvalidAmount, NONE) };
        let (account, missing) = match command.account.get() {
            AccountType::Cheque => (card.accounts[0], Code::NoCheque),
            AccountType::Savings => (card.accounts[1], Code::NoSavings),
            AccountType::Credit => (card.accounts[2], Code::NotPermitted),
        };
        if account == NONE {
            return decline(missing, NONE);
        }
        if ledger[account].currency != terminal.currency {
            return decline(Code::InvalidTransaction, account);
        }
        if command.transaction.get() == TransactionType::Withdrawal {
            if let Some(code) = card.exceeds(command.amount, self.date) {
                return decline(code, account);
            }
            match ledger.hold(account, terminal.cash, command.amount) {
                Ok(()) => {}
                Err(NotCovered::Debit) => return decline(Code::InsufficientFunds, account),
                Err(NotCovered::Credit) => return decline(Code::Malfunction, account),
            }
            terminal.hold(notes);
            card.count(command.amount, self.date);
        }
        Ok(Decision::Approve { card: place, account, notes })
    }

    #[inline]
    pub(super) fn complete(&mut self, command: &Complete, out: &mut Out<'_, Self>) -> Result<Progress, Reject> {
        let terminal = *self.terminals.get(command.terminal)?;
        let Complete { notes, trace, date, .. } = *command;
        let Some(index) = self.transactions.find(Key(command.terminal, trace, date)) else {
            if notes.0 != 0 {
                self.take_exception(command, Authorization(0), ResponseCode::UnknownOriginal, out);
            }
            out.reply(Reply::Ended(&Transaction::zeroed().ended(ResponseCode::UnknownOriginal)));
            return Ok(Progress::Done);
        };
        let transaction = self.transactions[index];
        let within = |(said, authorized): (u16, u16)| said <= authorized;
        let is_within = notes.counts().into_iter().zip(transaction.notes.counts()).all(within);
        let code = match transaction.state.get() {
            _ if !is_within => ResponseCode::InvalidAmount,
            State::Held => {
                let state = if notes.0 == 0 { State::Voided } else { State::Dispensed };
                self.end(index, state, notes);
                ResponseCode::Approved
            }
            State::Dispensed if notes == transaction.dispensed => ResponseCode::Approved,
            State::Dispensed => ResponseCode::Duplicate,
            _ if notes.0 == 0 => ResponseCode::Approved,
            // The notes came out after all: they are posted late, if nothing has changed that would make that wrong.
            _ if transaction.authorization < terminal.balanced || !terminal.has(notes) => ResponseCode::TooLate,
            _ => self.post_late(index, notes),
        };
        if code != ResponseCode::Approved {
            self.take_exception(command, transaction.authorization, code, out);
        }
        out.reply(Reply::Ended(&self.transactions[index].ended(code)));
        Ok(Progress::Done)
    }

    fn take_exception(
        &mut self,
        command: &Complete,
        authorization: Authorization,
        code: ResponseCode,
        out: &mut Out<'_, Self>,
    ) {
        let Complete { notes, trace, date, .. } = *command;
        let (code, reserved) = (code.into(), Reserved::default());
        let exception = Exception { authorization, notes, trace, date, code, reserved };
        self.terminals.get(command.terminal).expect("it was found").totals.exceptions += 1;
        out.publish(topics::TERMINAL, command.terminal.0, Event::Exception(&exception));
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
            State::Dispensed => ResponseCode::InvalidTransaction,
            _ => ResponseCode::Approved,
        };
        out.reply(Reply::Ended(&self.transactions[index].ended(code)));
        Ok(Progress::Done)
    }

    /// Ends what is held: posts the notes that were dispensed, lets the rest go.
    fn end(&mut self, index: u32, state: State, dispensed: Notes) {
        let Transaction { terminal, card, account, amount, notes, counted, .. } = self.transactions[index];
        let terminal = self.terminals.get(terminal).expect("a terminal stays defined");
        let posted = terminal.worth(dispensed);
        terminal.settle(notes, dispensed);
        match state {
            State::Dispensed => terminal.totals.dispense(posted),
            State::TimedOut => terminal.totals.timed_out += 1,
            _ => terminal.totals.voided += 1,
        }
        self.ledger.settle(account, terminal.cash, amount, posted);
        self.cards[card].give_back(amount, posted, counted);
        let ended = self.ledger[account].balances().into();
        self.transactions.change(index, |transaction| {
            (transaction.state, transaction.dispensed, transaction.posted) = (state.into(), dispensed, posted);
            (transaction.ended, transaction.deadline) = (ended, Default::default());
        });
    }

    /// Posts notes of a hold that was let go.
    fn post_late(&mut self, index: u32, notes: Notes) -> ResponseCode {
        let Transaction { terminal, card, account, counted, .. } = self.transactions[index];
        let terminal = self.terminals.get(terminal).expect("a terminal stays defined");
        let posted = terminal.worth(notes);
        if self.ledger.move_now(account, terminal.cash, posted).is_err() {
            return ResponseCode::TooLate;
        }
        terminal.settle(Notes(0), notes);
        terminal.totals.dispense(posted);
        self.cards[card].count_late(posted, counted);
        let ended = self.ledger[account].balances().into();
        self.transactions.change(index, |transaction| {
            (transaction.state, transaction.dispensed) = (State::Dispensed.into(), notes);
            (transaction.posted, transaction.ended) = (posted, ended);
        });
        ResponseCode::Approved
    }

    /// Lets the withdrawal at `index` go: nobody said in time what came out.
    pub(super) fn time_out(&mut self, index: u32, out: &mut Out<'_, Self>) {
        self.end(index, State::TimedOut, Notes(0));
        let Transaction { authorization, amount, trace, date, terminal: TerminalId(terminal), .. } =
            self.transactions[index];
        out.publish(topics::TERMINAL, terminal, Event::TimedOut(&TimedOut { authorization, amount, trace, date }));
    }
}
