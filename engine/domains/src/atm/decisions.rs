//! Transactions authorized, in the order of precedence. `endings` has what follows.

use super::Atm;
use super::cards::NONE;
use super::kept::Keep;
use super::ledger::NotCovered;
use super::messages::{
    AMOUNT_MAX, AccountType, Amount, Authorization, Authorize, BusinessDate, ChangePin, Notes, PIN_TRIES, PinVerdict,
    PinVersion, Reject, Reply, ResponseCode, TerminalId, TransactionType,
};
use super::transactions::{State, Transaction};
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
                transaction.pin_before = self.cards[place].pin_reference;
                transaction.pin_version = self.set_pin_reference(place, new_pin_reference, out);
            }
            Err(code) => self.decline(&mut transaction, (code, NONE)),
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
                if !ledger.bears(account, Amount(amount.0 + fee.map_or(0, |(fee, _)| fee.0))) {
                    return Err((Code::InsufficientFunds, account));
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
}
