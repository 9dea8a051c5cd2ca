//! How transactions end: completed, reversed or timed out.

use super::days::Day;
use super::kept::Keep as _;
use super::ledger::Move;
use super::messages::{
    AMOUNT_MAX, Advise, Amount, Authorization, Balance, Complete, CountDeposit, DepositDiffered, Event, Exception, Key,
    MovementKind, Network, Notes, Reject, Reply, ResponseCode, Reverse, TimedOut, TransactionType,
};
use super::statements::Cause;
use super::transactions::{Charge, Conversion, More, PinReferences, PostedOver, State, Transaction};
use super::{Atm, topics};
use bytemuck::Zeroable;
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::{Context, Out, Progress, Timestamp};

impl Atm {
    pub(super) fn complete(
        &mut self,
        context: Context,
        command: &Complete,
        out: &mut Out<'_, Self>,
    ) -> Result<Progress, Reject> {
        match self.complete_plain(command, out) {
            Some(()) => Ok(Progress::Done),
            None => self.complete_any(context, command, out),
        }
    }

    /// Completes whatever it is.
    #[inline(never)]
    pub(super) fn complete_any(
        &mut self,
        context: Context,
        command: &Complete,
        out: &mut Out<'_, Self>,
    ) -> Result<Progress, Reject> {
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
        let transaction = &self.transactions[index];
        let Transaction { state, notes: authorized, dispensed, authorization, amount, .. } = *transaction;
        let is_within = notes == authorized || notes.are_of(authorized);
        let known = transaction.excepted(notes.0).filter(|_| is_within && notes.0 > 0);
        if let Some(code) = known {
            out.reply(Reply::Ended(&transaction.ended(code)));
            return Ok(Progress::Done);
        }
        let code = match state.get() {
            _ if !is_within => ResponseCode::InvalidAmount,
            // It was not approved yet.
            State::Asked if notes.0 > 0 => ResponseCode::InvalidAmount,
            State::Asked => self.give_up_asking(context.now, index, out),
            State::Held => {
                let (state, posted) = match notes.0 {
                    0 => (State::Voided, Amount(0)),
                    _ if notes == authorized => (State::Dispensed, amount),
                    _ => (State::Dispensed, terminal.worth(notes)),
                };
                self.end(context.now, index, state, notes, posted, out);
                ResponseCode::Approved
            }
            State::Dispensed if notes == dispensed => ResponseCode::Approved,
            State::Dispensed => ResponseCode::Duplicate,
            _ if notes.0 == 0 => ResponseCode::Approved,
            // The notes came out after all: they are posted late, if nothing has changed that would make that wrong.
            _ if authorization < terminal.balanced || !terminal.has(notes) => ResponseCode::TooLate,
            _ => {
                let posted = terminal.worth(notes);
                self.post_late(context.now, index, notes, posted, out)
            }
        };
        if code != ResponseCode::Approved {
            let (transaction, worth) = (self.transactions[index], self.terminals.get(number)?.worth(notes));
            self.take_exception(&transaction, worth, notes, code, out);
            if is_within && transaction.state.get() != State::Dispensed {
                self.transactions.change(index, |transaction| transaction.except(notes.0, code));
            }
        }
        out.reply(Reply::Ended(&self.transactions[index].ended(code)));
        Ok(Progress::Done)
    }

    /// Tells the operator of what was not posted.
    pub(super) fn take_exception(
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

    pub(super) fn reverse(
        &mut self,
        context: Context,
        command: &Reverse,
        out: &mut Out<'_, Self>,
    ) -> Result<Progress, Reject> {
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
            State::Asked => self.give_up_asking(context.now, index, out),
            State::Held => {
                self.end(context.now, index, State::Voided, Notes(0), Amount(0), out);
                ResponseCode::Approved
            }
            State::Answered => match self.transactions[index].kind.get() {
                TransactionType::Deposit => ResponseCode::InvalidTransaction,
                TransactionType::PinChange => self.change_pin_back(index, out),
                TransactionType::Transfer
                | TransactionType::Purchase
                | TransactionType::Withdrawal
                | TransactionType::FastCash
                | TransactionType::BalanceInquiry
                | TransactionType::MiniStatement => self.move_back(index, out),
            },
            State::Deposited => self.give_deposit_back(index),
            State::Dispensed => ResponseCode::InvalidTransaction,
            _ => ResponseCode::Approved,
        };
        out.reply(Reply::Ended(&self.transactions[index].ended(code)));
        Ok(Progress::Done)
    }

    /// Ends what is held: posts the notes that were dispensed, lets the rest go. A remote issuer is told.
    #[inline]
    fn end(
        &mut self,
        now: Timestamp,
        index: u32,
        state: State,
        dispensed: Notes,
        posted: Amount,
        out: &mut Out<'_, Self>,
    ) {
        let (charges, billed) = self.settle(index, dispensed, posted);
        let transaction = &self.transactions[index];
        let (issuer, ended) = (transaction.issuer(), self.stands(transaction));
        let terminal = self.terminals.get(transaction.terminal).expect("a terminal stays defined");
        match state {
            State::Dispensed => terminal.totals.dispense(posted, charges[0].taken),
            State::TimedOut => terminal.totals.timed_out += 1,
            _ => terminal.totals.voided += 1,
        }
        self.transactions.change(index, |transaction| {
            (transaction.state, transaction.dispensed, transaction.posted) = (state.into(), dispensed, posted);
            (transaction.ended, transaction.deadline) = (ended, Default::default());
            transaction.charge(charges);
            transaction.bill(billed);
        });
        if issuer.0 > 0 {
            self.count_for_issuer(index);
            self.advise_issuer(now, index, out);
        }
    }

    /// Posts what was taken of what is held, notes and money, and lets the rest go; gives the charges as they are then, and
    /// what the account is debited when that is converted.
    #[inline]
    pub(super) fn settle(&mut self, index: u32, dispensed: Notes, posted: Amount) -> ([Charge; 2], Amount) {
        let Self { transactions, terminals, ledger, date, .. } = self;
        let transaction = &transactions[index];
        let Transaction { account, amount, .. } = *transaction;
        let terminal = terminals.get(transaction.terminal).expect("a terminal stays defined");
        terminal.settle(transaction.notes, dispensed);
        let (cause, mut billed) = (|kind: MovementKind| Cause::of(transaction, kind, *date), Amount(0));
        let (mut charges, giver) = (transaction.charges(), transaction.giver());
        ledger.settle(giver, terminal.cash, amount, posted);
        ledger.note(giver, terminal.cash, posted, cause(MovementKind::Withdrawal));
        if let Some(conversion) = transaction.conversion() {
            if posted.0 > 0 {
                billed = conversion.rate.convert(Amount(posted.0 + charges[0].taken.0));
            }
            ledger.settle(account, conversion.receives, conversion.billed, billed);
            ledger.note(account, conversion.receives, billed, cause(MovementKind::Withdrawal));
        }
        let givers = [giver, account];
        let all = charges.iter_mut().zip(givers).zip(Charge::KINDS);
        for ((charge, giver), kind) in all.filter(|((charge, _), _)| charge.taken.0 > 0) {
            let held = charge.taken;
            if posted.0 == 0 {
                *charge = charge.let_go();
            }
            ledger.settle(giver, charge.to, held, charge.taken);
            ledger.note(giver, charge.to, charge.taken, cause(kind));
        }
        if posted != amount {
            self.give_back(index, posted);
        }
        (charges, billed)
    }

    /// What was not taken does not count any more.
    fn give_back(&mut self, index: u32, posted: Amount) {
        let transaction = self.transactions[index];
        let taken = (posted.0 > 0).then_some(posted);
        for (day, of_holder) in self.days(&transaction) {
            let of = |amount: Amount| if of_holder { transaction.of_holder(amount) } else { amount };
            day.give_back(of(transaction.amount), taken.map(of), transaction.counted);
        }
    }

    /// The balances that the end of a transaction says: what a remote issuer says of its account is what it said first.
    #[inline]
    fn stands(&self, transaction: &Transaction) -> [Balance; 2] {
        if transaction.issuer().0 > 0 {
            transaction.balances
        } else {
            self.ledger[transaction.account].balances().into()
        }
    }

    /// Takes back what was moved at once, amount and fee, when the accounts that they went to cover it.
    fn move_back(&mut self, index: u32, out: &mut Out<'_, Self>) -> ResponseCode {
        let transaction = self.transactions[index];
        let Transaction { account, amount, counted, .. } = transaction;
        let More { to, cashback, charges: [surcharge, fee], .. } = transaction.more();
        let moved = Amount(amount.0 + fee.taken.0);
        if moved.0 == 0 {
            return ResponseCode::Approved;
        }
        if let Some(code) = transaction.excepted(0) {
            return code;
        }
        let kind = MovementKind::Reversal;
        let moves = [(to, amount), (fee.to, fee.taken)];
        let moves = moves.map(|(debit, amount)| Move { debit, credit: account, amount, kind });
        if self.ledger.move_all(moves, Cause::of(&transaction, kind, self.date)).is_err() {
            let code = ResponseCode::InsufficientFunds;
            self.take_exception(&transaction, moved, Notes(0), code, out);
            self.transactions.change(index, |transaction| transaction.except(0, code));
            return code;
        }
        if cashback.0 > 0 {
            self.days(&transaction).for_each(|(day, _)| day.give_back(cashback, None, counted));
        }
        let ended = self.ledger[account].balances().into();
        self.transactions.change(index, |transaction| {
            (transaction.state, transaction.posted, transaction.ended) = (State::Voided.into(), Amount(0), ended);
            transaction.charge([surcharge, fee.let_go()]);
        });
        ResponseCode::Approved
    }

    /// Makes the reference before a change of PIN the card's again, when the one that it brought still is.
    fn change_pin_back(&mut self, index: u32, out: &mut Out<'_, Self>) -> ResponseCode {
        let transaction = self.transactions[index];
        let (place, PinReferences { new, before }) = (transaction.card, transaction.pin_references());
        let card = &self.cards[place];
        if (card.pin_reference, card.pin_version) != (new, transaction.more().pin_version) {
            return ResponseCode::InvalidTransaction;
        }
        self.set_pin_reference(place, before, out);
        self.transactions.change(index, |transaction| transaction.state = State::Voided.into());
        ResponseCode::Approved
    }

    /// Posts what was taken though the hold was let go, and each charge when the account still covers it.
    fn post_late(
        &mut self,
        now: Timestamp,
        index: u32,
        notes: Notes,
        posted: Amount,
        out: &mut Out<'_, Self>,
    ) -> ResponseCode {
        let transaction = self.transactions[index];
        let Some((charges, billed)) = self.move_late(&transaction, posted) else { return ResponseCode::TooLate };
        let terminal = self.terminals.get(transaction.terminal).expect("a terminal stays defined");
        terminal.settle(Notes(0), notes);
        terminal.totals.dispense(posted, charges[0].taken);
        for (day, of_holder) in self.days(&transaction) {
            day.count_late(if of_holder { transaction.of_holder(posted) } else { posted }, transaction.counted);
        }
        let ended = self.stands(&transaction);
        self.transactions.change(index, |transaction| {
            (transaction.state, transaction.dispensed) = (State::Dispensed.into(), notes);
            (transaction.posted, transaction.ended) = (posted, ended);
            transaction.charge(charges);
            transaction.bill(billed);
        });
        if transaction.issuer().0 > 0 {
            self.count_for_issuer(index);
            self.advise_issuer(now, index, out);
        }
        ResponseCode::Approved
    }

    /// Moves what was taken late for notes, and each charge when the account covers it beside; gives the charges as they are
    /// then, and what the account is debited when that is converted.
    fn move_late(&mut self, of: &Transaction, posted: Amount) -> Option<([Charge; 2], Amount)> {
        let Transaction { terminal, account, .. } = *of;
        let mut charges = of.charges();
        let cash = self.terminals.get(terminal).expect("a terminal stays defined").cash;
        let cause = |kind: MovementKind| Cause::of(of, kind, self.date);
        let mut billed = Amount(0);
        let mut due = [true; 2];
        if let Some(conversion) = of.conversion() {
            // Notes and surcharge are debited as one: both, or else the notes alone.
            let tried = [charges[0].asked, Amount(0)].into_iter().find_map(|surcharge| {
                let (billed, kind) =
                    (conversion.rate.convert(Amount(posted.0 + surcharge.0)), MovementKind::Withdrawal);
                let Conversion { pays, receives, .. } = conversion;
                let moves = [
                    Move { debit: pays, credit: cash, amount: posted, kind },
                    Move { debit: account, credit: receives, amount: billed, kind },
                    Move { debit: pays, credit: charges[0].to, amount: surcharge, kind: MovementKind::Surcharge },
                ];
                self.ledger.move_all(moves, cause(kind)).is_ok().then_some((surcharge, billed))
            });
            (charges[0].taken, billed) = tried?;
            due[0] = false;
        } else {
            self.ledger.move_now(account, cash, posted).ok()?;
            self.ledger.note(account, cash, posted, cause(MovementKind::Withdrawal));
        }
        let charged = charges.iter_mut().zip(Charge::KINDS).zip(due);
        for ((charge, kind), _) in charged.filter(|((charge, _), is_due)| *is_due && charge.asked.0 > 0) {
            if self.ledger.move_now(account, charge.to, charge.asked).is_ok() {
                charge.taken = charge.asked;
                self.ledger.note(account, charge.to, charge.taken, cause(kind));
            }
        }
        Some((charges, billed))
    }

    /// The days that count a transaction: its card's, its account's when that had limits, its terminal's when that gave
    /// notes; and whether each counts in the account's currency.
    #[inline]
    fn days(&mut self, of: &Transaction) -> impl Iterator<Item = (&mut Day, bool)> {
        let Self { cards, ledger, account_limits, terminals, .. } = self;
        let limits = if of.by_account == 1 { ledger.limits(of.account) } else { None };
        let of_terminal = if of.dispenses() { terminals.get(of.terminal).ok() } else { None };
        let limits = [
            (of.has_card().then(|| &mut cards[of.card].limits), true),
            (account_limits.at(limits), true),
            (of_terminal.map(|terminal| &mut terminal.limits), false),
        ];
        limits.into_iter().filter_map(|(limits, of_holder)| Some((&mut limits?.day, of_holder)))
    }

    /// Lets go what a deposit holds: the cash was given back.
    fn give_deposit_back(&mut self, index: u32) -> ResponseCode {
        let Transaction { account, amount, .. } = self.transactions[index];
        let to = self.transactions[index].more().to;
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
        let Transaction { authorization, account, amount, posted, .. } = self.transactions[index];
        let to = self.transactions[index].more().to;
        let code = match self.transactions[index].state.get() {
            _ if counted.0 > AMOUNT_MAX => ResponseCode::InvalidAmount,
            State::Deposited => {
                let over = Amount(counted.0.saturating_sub(amount.0));
                self.ledger.move_now(to, account, over).map_err(|_| Reject::NotCovered)?;
                self.ledger.settle(to, account, amount, counted.min(amount));
                let cause = Cause::of(&self.transactions[index], MovementKind::Deposit, self.date);
                self.ledger.note(to, account, counted, cause);
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

    /// The time of the transaction at `index` is over: nobody said what came out, or its issuer does not acknowledge it.
    pub(super) fn time_out(&mut self, now: Timestamp, index: u32, out: &mut Out<'_, Self>) {
        let Transaction { authorization, amount, trace, date, terminal, advises, .. } = self.transactions[index];
        if advises == 1 {
            return self.end_advice(index, ResponseCode::IssuerInoperative, out);
        }
        if self.transactions[index].state == State::Asked.into() {
            self.give_up_asking(now, index, out);
        } else {
            self.end(now, index, State::TimedOut, Notes(0), Amount(0), out);
        }
        let timed_out = TimedOut { authorization, amount, trace, date };
        out.publish(topics::TERMINAL, terminal.0, Event::TimedOut(&timed_out));
    }

    /// Takes in what another acquirer says was taken in the end: what is held is posted; what is not known is posted all
    /// the same, for the money is gone.
    pub(super) fn advise(
        &mut self,
        context: Context,
        command: &Advise,
        out: &mut Out<'_, Self>,
    ) -> Result<Progress, Reject> {
        let Advise { amount, terminal: number, .. } = *command;
        if !self.terminals.get(number)?.is_acquirer() {
            return Err(Reject::BadTerminal);
        }
        let asked = Transaction::advised_by(command, Authorization(context.sequence.0));
        let known = self.transactions.find(asked.key());
        if known.is_none() {
            self.check_new(command.date)?;
        }
        if let Some((known, code)) = known.and_then(|index| {
            let known = &self.transactions[index];
            Some((known, known.excepted(amount.0)?))
        }) {
            out.reply(Reply::Ended(&known.ended(code)));
            return Ok(Progress::Done);
        }
        let is_amount = (1..=AMOUNT_MAX).contains(&amount.0);
        let code = match known.map(|index| (index, self.transactions[index])) {
            _ if !is_amount => ResponseCode::InvalidAmount,
            None => self.post_advised(asked, command, None),
            Some((index, known)) => match known.state.get() {
                State::Declined if known.token != asked.token => ResponseCode::Duplicate,
                // It was declined, or reversed before it came, and yet the money is gone.
                State::Declined | State::Tombstone => self.post_advised(asked, command, Some(index)),
                _ if known.token != asked.token => ResponseCode::Duplicate,
                _ if !known.dispenses() && known.more().over != PostedOver::DECLINED => ResponseCode::Duplicate,
                State::Held if amount > known.amount => ResponseCode::InvalidAmount,
                State::Held => {
                    self.end(context.now, index, State::Dispensed, Notes(0), amount, out);
                    ResponseCode::Approved
                }
                State::Dispensed if amount == known.posted => ResponseCode::Approved,
                State::Dispensed => ResponseCode::Duplicate,
                _ => self.post_late(context.now, index, Notes(0), amount, out),
            },
        };
        if code != ResponseCode::Approved {
            self.take_exception(&asked, amount, Notes(0), code, out);
            // What is another's, or can be none, is never posted.
            self.keep_exception(asked, code, is_amount && code != ResponseCode::Duplicate);
        }
        let index = self.transactions.find(asked.key());
        let transaction = index.map_or_else(Transaction::zeroed, |index| self.transactions[index]);
        out.reply(Reply::Ended(&transaction.ended(code)));
        Ok(Progress::Done)
    }

    /// Keeps that what another acquirer advised was an exception: of what nobody asked for, as if it had been declined.
    fn keep_exception(&mut self, mut asked: Transaction, code: ResponseCode, can_be_posted: bool) {
        match self.transactions.find(asked.key()) {
            _ if !can_be_posted => {}
            Some(index) if self.transactions[index].state.get() != State::Dispensed => {
                self.transactions.change(index, |transaction| transaction.except(asked.amount.0, code));
            }
            None => {
                asked.code = code.into();
                asked.except(asked.amount.0, code);
                self.transactions.add(asked);
            }
            Some(_) => {}
        }
    }

    /// Posts what was taken without an authorization of this host, under a new name or that of one that was declined.
    fn post_advised(&mut self, mut asked: Transaction, command: &Advise, known: Option<u32>) -> ResponseCode {
        let Some(card) = self.cards.find(&asked.token) else { return ResponseCode::InvalidCard };
        let account = match self.cards[card].account(command.account.get()) {
            Ok(account) => account,
            Err(code) => return code,
        };
        let terminal = self.terminals.get(asked.terminal).expect("it was found");
        let to = terminal.cash;
        if self.ledger[account].currency != terminal.currency || account == to {
            return ResponseCode::InvalidTransaction;
        }
        if self.ledger.move_now(account, to, asked.amount).is_err() {
            return ResponseCode::InsufficientFunds;
        }
        terminal.totals.dispense(asked.amount, Amount(0));
        self.ledger.note(account, to, asked.amount, Cause::of(&asked, MovementKind::Withdrawal, self.date));
        let fee = self.fees.on(&self.ledger, TransactionType::Withdrawal, Network::Acquirer, account, asked.amount);
        let mut charge = Charge::of(fee);
        if fee.0.0 > 0 && self.ledger.move_now(account, fee.1, fee.0).is_ok() {
            self.ledger.note(account, fee.1, fee.0, Cause::of(&asked, MovementKind::Fee, self.date));
        } else {
            charge = charge.let_go();
        }
        asked.charge([Charge::default(), charge]);
        (asked.card, asked.account, asked.counted) = (card, account, self.date);
        (asked.state, asked.posted, asked.code) =
            (State::Dispensed.into(), asked.amount, ResponseCode::Approved.into());
        asked.ended = self.ledger[account].balances().into();
        asked.by_account = self.ledger.limits(account).is_some().into();
        let (amount, date) = (asked.amount, self.date);
        self.days(&asked).for_each(|(day, _)| day.count(amount, date));
        let Some(index) = known else {
            self.transactions.add(asked);
            return ResponseCode::Approved;
        };
        self.transactions.change(index, |known| {
            if known.state.get() == State::Tombstone {
                *known = asked;
                known.more_mut().over = PostedOver::TOMBSTONE;
                return;
            }
            // What was asked and answered stays as it was, for its repeats.
            let Transaction { state, posted, card, account, counted, ended, by_account, .. } = asked;
            (known.state, known.posted, known.more_mut().over) = (state, posted, PostedOver::DECLINED);
            (known.card, known.account, known.counted) = (card, account, counted);
            (known.ended, known.by_account) = (ended, by_account);
            known.charge(asked.charges());
        });
        ResponseCode::Approved
    }
}
