//! The switch: transactions with cards of remote issuers. Each is asked of its issuer, decided in its stead when it is
//! silent, and advised to it until it acknowledges what was taken in the end.

use super::cards::NONE;
use super::decisions::hold_all;
use super::issuers::{StoodIn, is_prefix};
use super::kept::Keep;
use super::messages::{
    AMOUNT_MAX, Acknowledge, AdviceDone, AdviceDue, Amount, Answer, Authorization, Event, Forward, IssuerId,
    IssuerOutcome, Key, Network, Notes, Reject, Reply, ResponseCode, RouteSet, SetIssuer, SetRoute, TransactionType,
};
use super::transactions::{Charge, More, State, Transaction, refused};
use super::{Atm, topics};
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::{Context, Cursor, Out, Progress, Timestamp};

impl Atm {
    pub(super) fn set_issuer(&mut self, command: &SetIssuer, out: &mut Out<'_, Self>) -> Result<Progress, Reject> {
        let SetIssuer { settlement, stand_in_max, stand_in_day_max, advice_lasts_ns, .. } = *command;
        let settlement = self.ledger.find(settlement).filter(|place| !self.ledger[*place].is_cash());
        let settlement = settlement.ok_or(Reject::UnknownAccount)?;
        let most = stand_in_max.max(stand_in_day_max);
        if advice_lasts_ns == 0 || most.0 > AMOUNT_MAX || !self.issuers.set(command, settlement) {
            return Err(Reject::BadIssuer);
        }
        Ok(self.is_set(out))
    }

    pub(super) fn set_route(&mut self, command: &SetRoute, out: &mut Out<'_, Self>) -> Result<Progress, Reject> {
        let SetRoute { prefix, digits, issuer, .. } = *command;
        if !is_prefix(prefix, digits) || !self.issuers.can_have(issuer) {
            return Err(Reject::BadRoute);
        }
        self.routes.set(prefix, digits, issuer).map_err(|_| Reject::RoutesFull)?;
        let set = RouteSet { prefix, digits, issuer, reserved: Reserved::default() };
        out.publish(topics::ROUTES, 0, Event::RouteSet(&set));
        Ok(self.is_set(out))
    }

    /// Says all routes, from `cursor` on.
    pub(super) fn snapshot_routes(&self, cursor: &mut Cursor, out: &mut Out<'_, Self>) -> Progress {
        for (prefix, digits, issuer) in self.routes.iter().skip(cursor.0 as usize) {
            if out.room() == 0 {
                return Progress::More;
            }
            out.part(Event::RouteSet(&RouteSet { prefix, digits, issuer, reserved: Reserved::default() }));
            cursor.0 += 1;
        }
        Progress::Done
    }

    pub(super) fn forward(
        &mut self,
        context: Context,
        command: &Forward,
        out: &mut Out<'_, Self>,
    ) -> Result<Progress, Reject> {
        self.terminals.get(command.terminal)?;
        if command.issuer.0 == 0 {
            return Err(Reject::StaleRoute);
        }
        let mut transaction = Transaction::forwarded_by(command, Authorization(context.sequence.0));
        if let Some(index) = self.transactions.find(transaction.key()) {
            let known = &self.transactions[index];
            let answer = known.repeated(&transaction);
            if known.state == State::Asked.into() && answer.code == ResponseCode::Approved.into() {
                out.reply(Reply::Forwarded(&known.forwarded()));
            } else {
                out.reply(Reply::Authorized(&answer));
            }
            return Ok(Progress::Done);
        }
        self.check_new(command.date)?;
        if self.routes.of(command.bin) != command.issuer {
            return Err(Reject::StaleRoute);
        }
        match self.prepare(context.now, &mut transaction) {
            Ok(()) => out.reply(Reply::Forwarded(&transaction.forwarded())),
            Err(code) => {
                transaction = self.decline(transaction, (code, NONE));
                self.decline_for_issuer(transaction.issuer());
                out.reply(Reply::Authorized(&transaction.answer()));
            }
        }
        self.transactions.add(transaction);
        Ok(Progress::Done)
    }

    /// The order of precedence before a remote issuer is asked. Money and notes are held meanwhile.
    fn prepare(&mut self, now: Timestamp, transaction: &mut Transaction) -> Result<(), ResponseCode> {
        use ResponseCode as Code;
        let Self { terminals, ledger, windows, issuers, fees, date, .. } = self;
        let Transaction { amount, kind, .. } = *transaction;
        let (kind, date) = (kind.get(), *date);
        let terminal = terminals.get(transaction.terminal).expect("it was found");
        if !terminal.is_in_service() {
            return Err(Code::TerminalNotPermitted);
        }
        let issuer = issuers.find(transaction.issuer()).map(|place| &mut issuers[place]).ok_or(Code::NoRoute)?;
        if !matches!(kind, TransactionType::Withdrawal | TransactionType::BalanceInquiry) || terminal.is_acquirer() {
            return Err(Code::NotPermitted);
        }
        let fits = if kind.dispenses() { (1..=AMOUNT_MAX).contains(&amount.0) } else { amount.0 == 0 };
        let notes = if kind.dispenses() && fits { terminal.mix(amount) } else { Some(Notes(0)) };
        let notes = notes.filter(|_| fits).ok_or(Code::InvalidAmount)?;
        let account = issuer.settlement;
        if ledger[account].currency != terminal.currency {
            return Err(Code::InvalidTransaction);
        }
        if kind.dispenses() {
            match windows.exceeds(&terminal.limits, amount, date, now) {
                [true, _] => return Err(Code::ExceedsAmount),
                [false, true] => return Err(Code::ExceedsCount),
                [false, false] => {}
            }
        }
        // A number that is left when the account does not bear it is not used again.
        let link_trace = issuer.next_trace(date).ok_or(Code::IssuerInoperative)?;
        if kind.dispenses() {
            let surcharge = terminal.surcharge_on(account, amount);
            let fee = fees.on(ledger, kind, Network::Issuer, account, amount);
            let parts = [(amount, terminal.cash), surcharge, fee];
            hold_all(ledger, account, parts).map_err(|_| Code::IssuerInoperative)?;
            transaction.charge([surcharge, fee].map(Charge::of));
            terminal.hold(notes);
            windows.count(&mut terminal.limits, amount, date, now);
        }
        transaction.code = Code::Approved.into();
        transaction.state = State::Asked.into();
        (transaction.account, transaction.notes, transaction.counted) = (account, notes, date);
        transaction.more_mut().link_trace = link_trace;
        transaction.deadline = now.saturating_add(terminal.confirm_within_ns);
        Ok(())
    }

    pub(super) fn answer(
        &mut self,
        context: Context,
        command: &Answer,
        out: &mut Out<'_, Self>,
    ) -> Result<Progress, Reject> {
        let Answer { terminal, trace, date, balance, available, .. } = *command;
        let confirm_within_ns = self.terminals.get(terminal)?.confirm_within_ns;
        let Some(index) = self.transactions.find(Key(terminal, trace, date)) else {
            out.reply(Reply::Authorized(&refused(ResponseCode::UnknownOriginal)));
            return Ok(Progress::Done);
        };
        let transaction = self.transactions[index];
        if transaction.state == State::Asked.into() {
            let is_silent = command.outcome.get() == IssuerOutcome::Silent;
            let code = match command.code.get() {
                _ if !is_silent => command.code.get(),
                _ if transaction.dispenses() && self.stands_in(&transaction) => ResponseCode::Approved,
                _ => ResponseCode::IssuerInoperative,
            };
            let balances = if is_silent { Default::default() } else { [balance, available] };
            self.transactions.change(index, |transaction| {
                (transaction.balances, transaction.ended) = (balances, balances);
            });
            if code == ResponseCode::Approved {
                self.transactions.change(index, |transaction| {
                    transaction.more_mut().stood_in = is_silent.into();
                    let (state, deadline) = match transaction.dispenses() {
                        true => (State::Held, context.now.saturating_add(confirm_within_ns)),
                        false => (State::Answered, Timestamp(0)),
                    };
                    (transaction.state, transaction.deadline) = (state.into(), deadline);
                });
            } else {
                self.decline_asked(context.now, index, code, is_silent, out);
            }
        }
        let transaction = &self.transactions[index];
        let is_reversed = transaction.state == State::Tombstone.into();
        let answer = if is_reversed { refused(ResponseCode::TooLate) } else { transaction.answer() };
        out.reply(Reply::Authorized(&answer));
        Ok(Progress::Done)
    }

    /// Declines what an issuer was asked, and lets all go. One that was silent may have approved it: it is told.
    fn decline_asked(
        &mut self,
        now: Timestamp,
        index: u32,
        code: ResponseCode,
        is_silent: bool,
        out: &mut Out<'_, Self>,
    ) {
        let transaction = self.transactions[index];
        if transaction.dispenses() {
            self.settle(index, Notes(0), Amount(0));
        }
        let terminal = self.terminals.get(transaction.terminal).expect("a terminal stays defined");
        terminal.totals.declined += 1;
        self.decline_for_issuer(transaction.issuer());
        self.transactions.change(index, |transaction| {
            (transaction.state, transaction.code) = (State::Declined.into(), code.into());
            (transaction.notes, transaction.deadline) = (Notes(0), Timestamp(0));
            transaction.charge(transaction.charges().map(Charge::let_go));
        });
        if is_silent && transaction.dispenses() {
            self.advise_issuer(now, index, out);
        }
    }

    fn decline_for_issuer(&mut self, issuer: IssuerId) {
        if let Some(place) = self.issuers.find(issuer) {
            self.issuers[place].day.declined += 1;
        }
    }

    /// It is reversed, or its time is over, before the issuer answered: it will not be approved any more.
    pub(super) fn give_up_asking(&mut self, now: Timestamp, index: u32, out: &mut Out<'_, Self>) -> ResponseCode {
        self.decline_asked(now, index, ResponseCode::TooLate, true, out);
        ResponseCode::Approved
    }

    /// Whether a withdrawal may be approved in its issuer's stead. If so, it counts.
    fn stands_in(&mut self, transaction: &Transaction) -> bool {
        let Transaction { token, amount, counted: date, .. } = *transaction;
        let Some(issuer) = self.issuers.find(transaction.issuer()).map(|place| self.issuers[place]) else {
            return false;
        };
        let known = self.stood_in.find((token, date));
        let before = known.map_or((0, 0), |index| (self.stood_in[index].amount, self.stood_in[index].count));
        if !issuer.lets_stand_in(amount, before) {
            return false;
        }
        match known {
            Some(index) => self.stood_in.change(index, |one| {
                (one.amount, one.count) = (one.amount + amount.0, one.count + 1);
            }),
            None if self.stood_in.has_room(1, self.date) => {
                self.stood_in.add(StoodIn { token, amount: amount.0, count: 1, date });
            }
            None => return false,
        }
        true
    }

    /// The issuer of the transaction at `index` is to be told what was taken in the end.
    pub(super) fn advise_issuer(&mut self, now: Timestamp, index: u32, out: &mut Out<'_, Self>) {
        let issuer = self.issuers.find(self.transactions[index].issuer()).expect("an issuer stays defined");
        let deadline = now.saturating_add(self.issuers[issuer].advice_lasts_ns);
        self.transactions.change(index, |transaction| (transaction.advises, transaction.deadline) = (1, deadline));
        let due = advice(&self.transactions[index]);
        out.publish(topics::ADVICES, 0, Event::AdviceDue(&due));
    }

    pub(super) fn acknowledge(&mut self, command: &Acknowledge, out: &mut Out<'_, Self>) -> Result<Progress, Reject> {
        let Acknowledge { amount, terminal, trace, date, code, .. } = *command;
        self.terminals.get(terminal)?;
        if let Some(index) = self.transactions.find(Key(terminal, trace, date)) {
            let transaction = self.transactions[index];
            // What was advised before notes came out after all is not what is advised now.
            if transaction.advises == 1 && transaction.taken() == amount {
                self.end_advice(index, code.get(), out);
            }
        }
        Ok(self.is_set(out))
    }

    /// Advises no more: the issuer has said `code`, or nothing in all the time.
    pub(super) fn end_advice(&mut self, index: u32, code: ResponseCode, out: &mut Out<'_, Self>) {
        self.transactions.change(index, |transaction| {
            (transaction.advises, transaction.deadline) = (0, Timestamp(0));
        });
        let transaction = self.transactions[index];
        let (amount, Transaction { terminal, trace, date, .. }) = (transaction.taken(), transaction);
        let done = AdviceDone { amount, terminal, trace, date, code: code.into(), reserved: Reserved::default() };
        out.publish(topics::ADVICES, 0, Event::AdviceDone(&done));
        if code != ResponseCode::Approved {
            self.take_exception(&transaction, amount, Notes(0), code, out);
        }
    }

    /// Says all advices that are due, from `cursor` on.
    pub(super) fn snapshot_advices(&self, cursor: &mut Cursor, out: &mut Out<'_, Self>) -> Progress {
        for transaction in self.transactions.iter().skip(cursor.0 as usize) {
            if transaction.advises == 1 {
                if out.room() == 0 {
                    return Progress::More;
                }
                out.part(Event::AdviceDue(&advice(transaction)));
            }
            cursor.0 += 1;
        }
        Progress::Done
    }
}

/// What an issuer is told of a transaction.
fn advice(of: &Transaction) -> AdviceDue {
    let Transaction { token, authorization, terminal, trace, date, account_type, .. } = *of;
    let More { link_trace, issuer, stood_in, .. } = of.more();
    AdviceDue {
        token,
        authorization,
        amount: of.taken(),
        terminal,
        trace,
        date,
        link_trace,
        link_date: of.counted,
        issuer,
        account: account_type,
        stood_in,
        reserved: Reserved::default(),
    }
}
