//! The life of a transaction: authorized, then completed, reversed or timed out.

use super::cards::NONE;
use super::kept::Keep;
use super::ledger::NotCovered;
use super::messages::{
    AMOUNT_MAX, AccountType, Amount, Authorization, Authorize, BusinessDate, ChangePin, Complete, Event, Exception,
    Key, Notes, PIN_TRIES, PinVerdict, PinVersion, Reject, Reply, ResponseCode, Reverse, TerminalId, TimedOut,
    TransactionType,
};
use super::transactions::{State, Transaction};
use super::{Atm, topics};
use bytemuck::Zeroable;
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::{Context, Out, Progress, Timestamp};

/// What was approved: the places of card and account, of the account that a transfer goes to, and the notes.
#[derive(Clone, Copy, Debug)]
struct Approval {
    card: u32,
    account: u32,
    to: u32,
    notes: Notes,
    /// The surcharge, and the place of the account that gets it.
    fee: (Amount, u32),
}

/// Declined, and the account whose balances the answer says.
type Decline = (ResponseCode, u32);

impl Atm {
    #[inline]
    pub(super) fn authorize(
        &mut self,
        context: Context,
        command: &Authorize,
        out: &mut Out<'_, Self>,
    ) -> Result<Progress, Reject> {
        let confirm_within_ns = self.terminals.get(command.terminal)?.confirm_within_ns;
        let mut transaction = Transaction::asked_by(command, Authorization(context.sequence.0));
        if self.is_repeated(&transaction, out) {
            return Ok(Progress::Done);
        }
        self.check_new(command.date)?;
        match self.decide(context.now, command)? {
            Ok(Approval { card, account, to, notes, fee }) => {
                (transaction.asked_fee, transaction.fee, transaction.fees) = (fee.0, fee.0, fee.1);
                (transaction.card, transaction.account, transaction.to) = (card, account, to);
                (transaction.notes, transaction.balances) = (notes, self.ledger[account].balances().into());
                if command.transaction.get() == TransactionType::Withdrawal {
                    transaction.state = State::Held.into();
                    transaction.deadline = context.now.saturating_add(confirm_within_ns);
                    transaction.counted = self.date;
                } else {
                    (transaction.state, transaction.ended) = (State::Answered.into(), transaction.balances);
                    transaction.posted = command.amount;
                }
            }
            Err(decline) => self.decline(&mut transaction, decline),
        }
        self.transactions.add(transaction);
        out.reply(Reply::Authorized(&transaction.answer()));
        Ok(Progress::Done)
    }

    pub(super) fn change_pin(
        &mut self,
        context: Context,
        command: &ChangePin,
        out: &mut Out<'_, Self>,
    ) -> Result<Progress, Reject> {
        self.terminals.get(command.terminal)?;
        let mut transaction = Transaction::changing_pin(command, Authorization(context.sequence.0));
        if self.is_repeated(&transaction, out) {
            return Ok(Progress::Done);
        }
        self.check_new(command.date)?;
        let ChangePin { token, terminal, pin_version, pin, new_pin_reference, .. } = *command;
        match self.admit(terminal, &token, pin_version, pin.get())? {
            Ok(place) => {
                (transaction.state, transaction.card) = (State::Answered.into(), place);
                let card = &mut self.cards[place];
                (card.pin_reference, card.pin_version) = (new_pin_reference, PinVersion(pin_version.0.wrapping_add(1)));
                self.say_pin_reference(place, out);
            }
            Err(code) => self.decline(&mut transaction, (code, NONE)),
        }
        self.transactions.add(transaction);
        out.reply(Reply::Authorized(&transaction.answer()));
        Ok(Progress::Done)
    }

    /// Answers `asked` when its key is known.
    #[inline]
    fn is_repeated(&self, asked: &Transaction, out: &mut Out<'_, Self>) -> bool {
        let known = self.transactions.find(asked.key());
        if let Some(index) = known {
            out.reply(Reply::Authorized(&self.transactions[index].repeated(asked)));
        }
        known.is_some()
    }

    fn decline(&mut self, transaction: &mut Transaction, (code, account): Decline) {
        self.terminals.get(transaction.terminal).expect("it was found").totals.declined += 1;
        transaction.code = code.into();
        if account != NONE {
            transaction.balances = self.ledger[account].balances().into();
        }
        transaction.ended = transaction.balances;
    }

    /// Whether a key of `date` that is not known may be taken in.
    fn check_new(&self, date: BusinessDate) -> Result<(), Reject> {
        if date > self.date || date < self.date_before {
            return Err(Reject::BadDate);
        }
        if self.transactions.has_room(1, self.date_before) { Ok(()) } else { Err(Reject::TransactionsFull) }
    }

    /// The first part of the order of precedence: whether terminal, card and PIN may; gives the card's place.
    #[inline]
    fn admit(
        &mut self,
        terminal: TerminalId,
        token: &[u8; 16],
        pin_version: PinVersion,
        pin: PinVerdict,
    ) -> Result<Result<u32, ResponseCode>, Reject> {
        use ResponseCode as Code;
        if !self.terminals.get(terminal)?.is_in_service() {
            return Ok(Err(Code::TerminalNotPermitted));
        }
        let Some(place) = self.cards.find(token) else { return Ok(Err(Code::InvalidCard)) };
        let card = &mut self.cards[place];
        if let Some(code) = card.declines() {
            return Ok(Err(code));
        }
        if card.pin_wrong >= PIN_TRIES {
            return Ok(Err(Code::PinLocked));
        }
        if card.pin_version != pin_version {
            return Err(Reject::StalePin);
        }
        if pin == PinVerdict::Wrong {
            card.pin_wrong += 1;
            return Ok(Err(if card.pin_wrong == PIN_TRIES { Code::PinTriesKeep } else { Code::WrongPin }));
        }
        card.pin_wrong = 0;
        Ok(Ok(place))
    }

    /// The order of precedence: the first that applies decides. What is approved is held, or moved.
    #[inline]
    fn decide(&mut self, now: Timestamp, command: &Authorize) -> Result<Result<Approval, Decline>, Reject> {
        let Authorize { terminal, token, pin_version, pin, .. } = *command;
        Ok(match self.admit(terminal, &token, pin_version, pin.get())? {
            Err(code) => Err((code, NONE)),
            Ok(card) => self.decide_amount(now, command, card),
        })
    }

    /// The second part: amount, accounts, limits, funds.
    #[inline]
    fn decide_amount(&mut self, now: Timestamp, command: &Authorize, place: u32) -> Result<Approval, Decline> {
        use ResponseCode as Code;
        let Self { terminals, cards, ledger, .. } = self;
        let terminal = terminals.get(command.terminal).expect("it was found");
        let (card, amount, kind) = (&mut cards[place], command.amount, command.transaction.get());
        let notes = match kind {
            TransactionType::BalanceInquiry => (amount.0 == 0).then_some(Notes(0)),
            _ if amount.0 == 0 || amount.0 > AMOUNT_MAX => None,
            TransactionType::Withdrawal => terminal.mix(amount),
            TransactionType::Transfer => Some(Notes(0)),
            // It has a command of its own.
            TransactionType::PinChange => None,
        };
        let notes = notes.ok_or((Code::InvalidAmount, NONE))?;
        let account = card.account(command.account.get()).map_err(|code| (code, NONE))?;
        let to = match (kind, command.to.get()) {
            (TransactionType::Transfer, of) => card.account(of).map_err(|code| (code, account))?,
            (_, AccountType::Default) => account,
            _ => return Err((Code::InvalidTransaction, account)),
        };
        let is_foreign = |place: u32| ledger[place].currency != terminal.currency;
        if is_foreign(account) || is_foreign(to) || kind == TransactionType::Transfer && account == to {
            return Err((Code::InvalidTransaction, account));
        }
        // Whose surcharge it is pays none.
        let fee = (kind == TransactionType::Withdrawal && terminal.surcharge.0 > 0 && terminal.fees != account)
            .then_some((terminal.surcharge, terminal.fees));
        let done = match kind {
            TransactionType::Withdrawal => {
                if let Some(code) = card.exceeds(amount, self.date, now) {
                    return Err((code, account));
                }
                ledger.hold(account, terminal.cash, amount).and_then(|()| {
                    let Some((fee, fees)) = fee else { return Ok(()) };
                    let held = ledger.hold(account, fees, fee);
                    if held.is_err() {
                        ledger.settle(account, terminal.cash, amount, Amount(0));
                    }
                    held
                })
            }
            TransactionType::Transfer => ledger.move_now(account, to, amount),
            _ => Ok(()),
        };
        match done {
            Ok(()) => {}
            Err(NotCovered::Debit) => return Err((Code::InsufficientFunds, account)),
            Err(NotCovered::Credit) => return Err((Code::Malfunction, account)),
        }
        if kind == TransactionType::Withdrawal {
            terminal.hold(notes);
            card.count(amount, self.date);
            card.remember(now);
        }
        Ok(Approval { card: place, account, to, notes, fee: fee.unwrap_or((Amount(0), 0)) })
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
        let transaction = self.transactions[index];
        let code = match transaction.state.get() {
            State::Held => {
                self.end(index, State::Voided, Notes(0));
                ResponseCode::Approved
            }
            State::Answered if transaction.is(TransactionType::Transfer) => self.move_back(index),
            State::Answered if transaction.is(TransactionType::PinChange) => ResponseCode::InvalidTransaction,
            State::Dispensed => ResponseCode::InvalidTransaction,
            _ => ResponseCode::Approved,
        };
        out.reply(Reply::Ended(&self.transactions[index].ended(code)));
        Ok(Progress::Done)
    }

    /// Ends what is held: posts the notes that were dispensed, lets the rest go.
    fn end(&mut self, index: u32, state: State, dispensed: Notes) {
        let Transaction { terminal, card, account, amount, notes, counted, fee: held_fee, fees, .. } =
            self.transactions[index];
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
        self.cards[card].give_back(amount, posted, counted);
        let ended = self.ledger[account].balances().into();
        self.transactions.change(index, |transaction| {
            (transaction.state, transaction.dispensed, transaction.posted) = (state.into(), dispensed, posted);
            (transaction.fee, transaction.ended, transaction.deadline) = (fee, ended, Default::default());
        });
    }

    /// Takes a transfer back, when the account that it went to covers it.
    fn move_back(&mut self, index: u32) -> ResponseCode {
        let Transaction { account, to, amount, .. } = self.transactions[index];
        if self.ledger.move_now(to, account, amount).is_err() {
            return ResponseCode::InsufficientFunds;
        }
        let ended = self.ledger[account].balances().into();
        self.transactions.change(index, |transaction| {
            (transaction.state, transaction.posted, transaction.ended) = (State::Voided.into(), Amount(0), ended);
        });
        ResponseCode::Approved
    }

    /// Posts notes of a hold that was let go, without a surcharge.
    fn post_late(&mut self, index: u32, notes: Notes) -> ResponseCode {
        let Transaction { terminal, card, account, counted, .. } = self.transactions[index];
        let terminal = self.terminals.get(terminal).expect("a terminal stays defined");
        let posted = terminal.worth(notes);
        if self.ledger.move_now(account, terminal.cash, posted).is_err() {
            return ResponseCode::TooLate;
        }
        terminal.settle(Notes(0), notes);
        terminal.totals.dispense(posted, Amount(0));
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
