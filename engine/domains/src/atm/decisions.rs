//! Transactions authorized, in the order of precedence. `endings` has what follows.

use super::Atm;
use super::cards::{Card, NONE};
use super::conversions::hold_converted;
use super::kept::Keep;
use super::ledger::{Ledger, Move, NotCovered};
use super::messages::{
    AMOUNT_MAX, AccountType, Amount, Authorization, Authorize, BusinessDate, ChangePin, ConversionChoice, MovementKind,
    Network, Notes, PIN_TRIES, PinVerdict, PinVersion, Reject, Reply, ResponseCode, TerminalId, TransactionType,
};
use super::statements::Cause;
use super::terminals::Terminal;
use super::transactions::{Charge, Conversion, More, PinReferences, State, Transaction};
use ringfence_kernel::{Context, Out, Progress, SessionId, Timestamp};

/// What was approved: the places of card and account, of the account that a transfer goes to, and the notes.
#[derive(Clone, Copy, Debug)]
struct Approval {
    card: u32,
    account: u32,
    to: u32,
    amount: Amount,
    notes: Notes,
    /// The surcharge and the fee, and the places of the accounts that get them.
    charges: [(Amount, u32); 2],
    /// How it is converted into the account's currency, when it is.
    conversion: Option<Conversion>,
    /// Whether the account's limits counted it.
    by_account: bool,
}

impl Approval {
    /// Whether there is no more of it than every transaction has.
    #[inline]
    fn is_plain(&self, command: &Authorize) -> bool {
        command.transaction.get().dispenses()
            && states_nothing(command)
            && self.charges == [(Amount(0), 0); 2]
            && self.conversion.is_none()
    }
}

/// Whether a command says nothing of an offer to convert.
#[inline]
pub(super) fn states_nothing(command: &Authorize) -> bool {
    let Authorize { billed, rate_version, billed_in, conversion, .. } = *command;
    conversion == ConversionChoice::None.into() && (billed, rate_version, billed_in) == Default::default()
}

/// Declined, and the account whose balances the answer says.
type Decline = (ResponseCode, u32);

impl Atm {
    pub(super) fn authorize(
        &mut self,
        context: Context,
        command: &Authorize,
        out: &mut Out<'_, Self>,
    ) -> Result<Progress, Reject> {
        match self.authorize_plain(context, command, out) {
            Some(()) => Ok(Progress::Done),
            None => self.authorize_any(context, command, out),
        }
    }

    /// Authorizes whatever is asked for.
    #[inline(never)]
    pub(super) fn authorize_any(
        &mut self,
        context: Context,
        command: &Authorize,
        out: &mut Out<'_, Self>,
    ) -> Result<Progress, Reject> {
        let confirm_within_ns = self.terminals.get(command.terminal)?.confirm_within_ns;
        let asked = Transaction::asked_by(command, Authorization(context.sequence.0));
        if let Some(index) = self.transactions.find(asked.key()) {
            self.repeat(context.session, index, &asked.with(More::asked_by(command)), out);
            return Ok(Progress::Done);
        }
        self.check_new(command.date)?;
        let approval = match self.decide(context.now, command)? {
            Ok(approval) => approval,
            Err(decline) => {
                let declined = self.decline(asked.with(More::asked_by(command)), decline);
                self.transactions.add(declined);
                out.reply(Reply::Authorized(&declined.answer()));
                return Ok(Progress::Done);
            }
        };
        let Approval { card, account, amount, notes, by_account, .. } = approval;
        let (balances, counted, by_account) = (self.ledger[account].balances().into(), self.date, by_account.into());
        let approved = Transaction { card, account, amount, notes, balances, counted, by_account, ..asked };
        let (state, nothing) = (|state: State| state.into(), Default::default());
        let transaction = match command.transaction.get() {
            kind if kind.dispenses() => {
                let deadline = context.now.saturating_add(confirm_within_ns);
                Transaction { state: state(State::Held), deadline, ..approved }
            }
            TransactionType::Deposit => Transaction { state: state(State::Deposited), ended: nothing, ..approved },
            _ => Transaction { state: state(State::Answered), ended: balances, posted: amount, ..approved },
        };
        let index = self.transactions.add(transaction);
        if approval.is_plain(command) {
            out.reply(Reply::Authorized(&transaction.answer()));
        } else {
            self.keep_more(index, command, approval);
            self.say_lines(context.session, index, out);
            out.reply(Reply::Authorized(&self.transactions[index].answer()));
        }
        Ok(Progress::Done)
    }

    /// Keeps what there is more of the transaction at `index`, which `command` asked for.
    fn keep_more(&mut self, index: u32, command: &Authorize, approval: Approval) {
        let Approval { account, to, charges, conversion, .. } = approval;
        let mut more = More { to, charges: charges.map(Charge::of), ..More::asked_by(command) };
        let holder = &self.ledger[account];
        if let Some(conversion) = conversion {
            (more.detail, more.billed_in) = (bytemuck::cast(conversion), holder.currency);
        }
        if command.transaction == TransactionType::MiniStatement.into() {
            more.detail[0] = holder.moved();
            more.lines = holder.moved().min(self.ledger.movements().each() as u64) as u8;
        }
        self.transactions.change(index, |transaction| *transaction.more_mut() = more);
    }

    pub(super) fn change_pin(
        &mut self,
        context: Context,
        command: &ChangePin,
        out: &mut Out<'_, Self>,
    ) -> Result<Progress, Reject> {
        self.terminals.get(command.terminal)?;
        let mut transaction = Transaction::changing_pin(command, Authorization(context.sequence.0));
        if let Some(index) = self.transactions.find(transaction.key()) {
            self.repeat(context.session, index, &transaction, out);
            return Ok(Progress::Done);
        }
        self.check_new(command.date)?;
        let ChangePin { token, terminal, pin_version, pin, new_pin_reference, .. } = *command;
        match self.admit(terminal, &token, pin_version, pin.get())? {
            Ok(place) => {
                (transaction.state, transaction.card) = (State::Answered.into(), place);
                let (new, before) = (new_pin_reference, self.cards[place].pin_reference);
                transaction.more_mut().detail = bytemuck::cast(PinReferences { new, before });
                transaction.more_mut().pin_version = self.set_pin_reference(place, new_pin_reference, out);
            }
            Err(code) => transaction = self.decline(transaction, (code, NONE)),
        }
        self.transactions.add(transaction);
        out.reply(Reply::Authorized(&transaction.answer()));
        Ok(Progress::Done)
    }

    /// Makes the reference that of the card at `place`, under the next version, which it gives.
    pub(super) fn set_pin_reference(&mut self, place: u32, reference: [u8; 16], out: &mut Out<'_, Self>) -> PinVersion {
        let card = &mut self.cards[place];
        (card.pin_reference, card.pin_version) = (reference, PinVersion(card.pin_version.0.wrapping_add(1)));
        self.say_pin_reference(place, out);
        self.cards[place].pin_version
    }

    /// Answers `asked`, whose key the transaction at `index` has.
    #[cold]
    fn repeat(&self, session: SessionId, index: u32, asked: &Transaction, out: &mut Out<'_, Self>) {
        let answer = self.transactions[index].repeated(asked);
        if answer.lines > 0 {
            self.say_lines(session, index, out);
        }
        out.reply(Reply::Authorized(&answer));
    }

    /// Counts that what was asked was declined, and says so in it.
    #[cold]
    pub(super) fn decline(&mut self, asked: Transaction, (code, account): Decline) -> Transaction {
        self.terminals.get(asked.terminal).expect("it was found").totals.declined += 1;
        let known = if account == NONE { None } else { Some(&self.ledger[account]) };
        let balances = known.map_or_else(Default::default, |account| account.balances().into());
        Transaction { code: code.into(), balances, ended: balances, ..asked }
    }

    /// Whether a key of `date` that is not known may be taken in.
    #[inline]
    pub(super) fn check_new(&self, date: BusinessDate) -> Result<(), Reject> {
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
        let Self { terminals, cards, ledger, account_limits, windows, fees, rates, date, .. } = self;
        let terminal = terminals.get(command.terminal).expect("it was found");
        let (card, date) = (&mut cards[place], *date);
        let asked = Asked::look(command, terminal, card, ledger)?;
        let Asked { kind, amount, notes, account, to } = asked;
        let no = |code: Code| (code, account);
        let surcharge = if kind.dispenses() { terminal.surcharge_on(account, amount) } else { (Amount(0), 0) };
        let conversion = if ledger[account].currency == terminal.currency {
            None
        } else {
            let all = Amount(amount.0 + surcharge.0.0);
            Some(rates.convert(now, terminal, ledger, account, all, command).map_err(no)?)
        };
        let network = if terminal.is_acquirer() { Network::Acquirer } else { Network::Own };
        let of_holder = |amount: Amount| conversion.map_or(amount, |conversion| conversion.rate.convert(amount));
        let fee = fees.on(ledger, kind, network, account, of_holder(amount));
        let cash = if kind.dispenses() { amount } else { command.cashback };
        // Those of card and account are in the account's currency.
        let of_holder = of_holder(cash);
        let mut of_account = if cash.0 > 0 { account_limits.at(ledger.limits(account)) } else { None };
        let by_account = of_account.is_some();
        let over = [
            if cash.0 > 0 { windows.exceeds(&card.limits, of_holder, date, now) } else { [false; 2] },
            of_account.as_ref().map_or([false; 2], |limits| windows.exceeds(limits, of_holder, date, now)),
            // A till pays what is taken with a purchase: it is none of the terminal's notes.
            if kind.dispenses() { windows.exceeds(&terminal.limits, cash, date, now) } else { [false; 2] },
        ];
        let [over_amount, over_count] = [0, 1].map(|of| over[0][of] | over[1][of] | over[2][of]);
        if over_amount || over_count {
            return Err(no(if over_amount { Code::ExceedsAmount } else { Code::ExceedsCount }));
        }
        asked.take(command, terminal.cash, [surcharge, fee], conversion, ledger, date).map_err(|not_covered| {
            no(if not_covered == NotCovered::Debit { Code::InsufficientFunds } else { Code::Malfunction })
        })?;
        if cash.0 > 0 {
            windows.count(&mut card.limits, of_holder, date, now);
        }
        if let Some(limits) = &mut of_account {
            windows.count(limits, of_holder, date, now);
        }
        if kind.dispenses() {
            windows.count(&mut terminal.limits, cash, date, now);
            terminal.hold(notes);
        }
        let charges = [surcharge, fee];
        Ok(Approval { card: place, account, to, amount, notes, charges, conversion, by_account })
    }
}

/// What is asked for, when it can be: how much, in which notes, from which account and to which.
#[derive(Clone, Copy, Debug)]
struct Asked {
    kind: TransactionType,
    amount: Amount,
    notes: Notes,
    account: u32,
    to: u32,
}

impl Asked {
    #[inline]
    fn look(command: &Authorize, terminal: &Terminal, card: &Card, ledger: &Ledger) -> Result<Self, Decline> {
        use ResponseCode as Code;
        let kind = command.transaction.get();
        let amount = amount_of(command, card.fast_cash)?;
        let other = match kind {
            TransactionType::Purchase => terminal.merchant,
            TransactionType::Deposit => terminal.deposits,
            TransactionType::MiniStatement if ledger.movements().each() == 0 => NONE,
            _ => 0,
        };
        if other == NONE {
            return Err((Code::TerminalNotPermitted, NONE));
        }
        let notes = if kind.dispenses() { terminal.mix(amount) } else { Some(Notes(0)) };
        let notes = notes.ok_or((Code::InvalidAmount, NONE))?;
        let account = card.account(command.account.get()).map_err(|code| (code, NONE))?;
        let no = |code: Code| (code, account);
        let to = match (kind, command.to.get()) {
            (TransactionType::Transfer, of) => card.account(of).map_err(no)?,
            (_, AccountType::Default) if moves(kind) => other,
            (_, AccountType::Default) => account,
            _ => return Err(no(Code::InvalidTransaction)),
        };
        let is_foreign = |place: u32| ledger[place].currency != terminal.currency;
        let is_its_own = if moves(kind) { account == to } else { kind.dispenses() && account == terminal.cash };
        let can_convert = kind.dispenses() && !terminal.is_acquirer();
        let accepts = command.conversion == ConversionChoice::Accepted.into();
        if (is_foreign(account) || is_foreign(to)) && !can_convert || is_its_own || accepts && !is_foreign(account) {
            return Err(no(Code::InvalidTransaction));
        }
        Ok(Self { kind, amount, notes, account, to })
    }

    /// Holds the money, or moves it.
    #[inline]
    fn take(
        self,
        command: &Authorize,
        cash: u32,
        [surcharge, fee]: [(Amount, u32); 2],
        conversion: Option<Conversion>,
        ledger: &mut Ledger,
        date: BusinessDate,
    ) -> Result<(), NotCovered> {
        let Self { kind, amount, account, to, .. } = self;
        match kind {
            // The account of uncounted cash is the bank's own.
            TransactionType::Deposit => ledger.hold(to, account, amount).map_err(|_| NotCovered::Credit),
            _ if kind.dispenses() => match conversion {
                None => hold_all(ledger, account, [(amount, cash), surcharge, fee]),
                Some(conversion) => hold_converted(ledger, account, conversion, [(amount, cash), surcharge, fee]),
            },
            _ if !ledger.bears(account, Amount(amount.0 + fee.0.0)) => Err(NotCovered::Debit),
            _ => {
                let moved =
                    if kind == TransactionType::Purchase { MovementKind::Purchase } else { MovementKind::Transfer };
                let moves = [(amount, to, moved), (fee.0, fee.1, MovementKind::Fee)];
                let moves = moves.map(|(amount, credit, kind)| Move { debit: account, credit, amount, kind });
                let Authorize { terminal, trace, .. } = *command;
                ledger.move_all(moves, Cause { kind: moved, terminal, trace, date })
            }
        }
    }
}

/// Whether money goes at once, or once it is counted, to or from an account that is not the terminal's cash.
const fn moves(kind: TransactionType) -> bool {
    matches!(kind, TransactionType::Transfer | TransactionType::Purchase | TransactionType::Deposit)
}

/// How much is asked for, when it can be.
#[inline]
pub(super) fn amount_of(command: &Authorize, fast_cash: Amount) -> Result<Amount, Decline> {
    let Authorize { amount, cashback, billed, rate_version, billed_in, .. } = *command;
    let states_none = (billed, rate_version, billed_in) == Default::default();
    let is_amount = (1..=AMOUNT_MAX).contains(&amount.0);
    let fits = match command.transaction.get() {
        TransactionType::BalanceInquiry | TransactionType::MiniStatement | TransactionType::FastCash => {
            (amount.0, cashback.0) == (0, 0)
        }
        TransactionType::Purchase => is_amount && cashback <= amount,
        TransactionType::Withdrawal | TransactionType::Transfer | TransactionType::Deposit => {
            is_amount && cashback.0 == 0
        }
        // It has a command of its own.
        TransactionType::PinChange => false,
    };
    let fits = fits && (states_none || command.conversion == ConversionChoice::Accepted.into());
    match command.transaction.get() {
        _ if !fits => Err((ResponseCode::InvalidAmount, NONE)),
        TransactionType::FastCash if fast_cash.0 == 0 => Err((ResponseCode::NotPermitted, NONE)),
        TransactionType::FastCash if fast_cash.0 > AMOUNT_MAX => Err((ResponseCode::InvalidAmount, NONE)),
        TransactionType::FastCash => Ok(fast_cash),
        _ => Ok(amount),
    }
}

/// Holds an amount and its charges, each for the account of that place, or nothing.
#[inline]
pub(super) fn hold_all(ledger: &mut Ledger, account: u32, parts: [(Amount, u32); 3]) -> Result<(), NotCovered> {
    if !ledger.bears(account, Amount(parts.iter().map(|(amount, _)| amount.0).sum())) {
        return Err(NotCovered::Debit);
    }
    for (at, (amount, to)) in parts.iter().enumerate().filter(|(_, (amount, _))| amount.0 > 0) {
        if let Err(not_covered) = ledger.hold(account, *to, *amount) {
            for (amount, to) in parts[..at].iter().filter(|(amount, _)| amount.0 > 0) {
                ledger.settle(account, *to, *amount, Amount(0));
            }
            return Err(not_covered);
        }
    }
    Ok(())
}
