//! How transactions end: completed, reversed, counted.

use super::super::messages::{
    AMOUNT_MAX, Amount, Authorization, BusinessDate, CASSETTES, Complete, CountDeposit, DepositDiffered, Ended, Event,
    Exception, Key, MovementKind, Notes, Reject, Reply, ResponseCode, SetCard, TerminalId,
};
use super::super::topics;
use super::conversions::Conversion;
use super::transactions::answer;
use super::{Asked, Deed, Fate, Known, Model, Says};
use bytemuck::Zeroable as _;
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::{Context, Timestamp};

impl Model {
    /// Ends an open withdrawal with so much taken, in these notes; with nothing, that is `empty`. A remote issuer is told.
    pub(super) fn end(&mut self, now: Timestamp, key: Key, notes: Notes, worth: u64, empty: Deed, out: Says<'_, '_>) {
        let open = self.open.get_mut(&key).expect("it is open");
        // Surcharge and fee are held until the notes are posted.
        open.amount = 0;
        let charges = if worth == 0 { [0; 2] } else { open.charges.map(|(charge, _)| charge) };
        self.dispense(key, notes, worth, charges);
        if worth == 0 {
            self.deeds.push((key.0, empty));
        }
        self.tell_issuer(now, key, out);
    }

    /// What notes of a terminal are worth.
    pub(super) fn worth(&self, number: TerminalId, notes: Notes) -> u64 {
        let denominations = self.terminals[&number.0].denominations;
        notes.counts().iter().zip(denominations).map(|(count, one)| u64::from(*count) * one).sum()
    }

    /// Takes the notes out, and posts and counts what was taken, when the accounts bear it; and surcharge and fee, each when
    /// they bear it too.
    pub(super) fn dispense(&mut self, key: Key, notes: Notes, worth: u64, charges: [u64; 2]) -> bool {
        let known = self.known[&key];
        let cash = self.terminals[&key.0.0].terms.cash.0;
        let (mut charged, mut billed) = ([0; 2], 0);
        if let Some(conversion) = known.conversion {
            let Some((surcharge, debited)) = self.debit_converted(key, conversion, worth, charges[0]) else {
                return false;
            };
            (charged[0], billed) = (surcharge, debited);
        } else if !self.try_post(known.account, cash, worth) {
            return false;
        } else {
            self.note(key, known.account, cash, worth, MovementKind::Withdrawal);
        }
        for (at, kind) in [MovementKind::Surcharge, MovementKind::Fee].into_iter().enumerate() {
            if at == 0 && known.conversion.is_some() {
                continue;
            }
            if let Some(open) = self.open.get_mut(&key) {
                open.charges[at].0 = 0;
            }
            let (charge, payee) = (charges[at], known.payees[at]);
            if charge > 0 && self.try_post(known.account, payee, charge) {
                self.note(key, known.account, payee, charge, kind);
                charged[at] = charge;
            }
        }
        self.open.remove(&key);
        let terminal = self.terminals.get_mut(&key.0.0).expect("it is defined");
        terminal.notes.iter_mut().zip(notes.counts()).for_each(|(notes, count)| *notes -= u64::from(count));
        self.count_again(key, worth);
        let last = self.stands(key, known.account);
        let known = self.known.get_mut(&key).expect("it is kept");
        known.last = last;
        known.fate = if worth == 0 { Fate::Nothing } else { Fate::Out(worth, notes) };
        (known.charged, known.billed) = (charged, billed);
        if worth > 0 {
            self.deeds.push((key.0, Deed::Dispensed(worth, charged[0])));
            if let Some(remote) = self.remote.get(&key) {
                let taken = worth + charged[0] + charged[1];
                self.issuer_deeds.push((remote.asked.issuer.0, Some((taken, worth))));
            }
        }
        true
    }

    /// Posts notes and surcharge of what is converted: both, or else the notes alone. Gives the surcharge, and what the account
    /// was debited.
    fn debit_converted(&mut self, key: Key, conversion: Conversion, worth: u64, surcharge: u64) -> Option<(u64, u64)> {
        if let Some(open) = self.open.get_mut(&key) {
            (open.billed, open.charges[0].0) = (0, 0);
        }
        let Known { account, payees: [payee, _], .. } = self.known[&key];
        let (cash, Conversion { pays, receives, .. }) = (self.terminals[&key.0.0].terms.cash.0, conversion);
        for surcharge in [surcharge, 0] {
            let billed = conversion.of(worth + surcharge);
            let parts = [(pays, cash, worth), (account, receives, billed), (pays, payee, surcharge)];
            let fits = self.tried(&parts, |bank| {
                parts.iter().all(|(from, to, amount)| *amount == 0 || bank.is_within(*from) && bank.is_within(*to))
            });
            if fits {
                let kinds = [MovementKind::Withdrawal, MovementKind::Withdrawal, MovementKind::Surcharge];
                for ((from, to, amount), kind) in parts.into_iter().zip(kinds) {
                    self.post(from, to, amount.into());
                    self.note(key, from, to, amount, kind);
                }
                return Some((surcharge, billed));
            }
        }
        None
    }

    pub(super) fn count_deposit(&mut self, said: &CountDeposit, out: Says<'_, '_>) -> Result<(), Reject> {
        self.terminal(said.terminal)?;
        let (key, counted) = (Key(said.terminal, said.trace, said.date), said.counted.0);
        let code = match self.known.get(&key).copied() {
            None => ResponseCode::UnknownOriginal,
            Some(_) if counted > AMOUNT_MAX => ResponseCode::InvalidAmount,
            Some(Known { fate: Fate::Deposited(stated), answer, account, .. }) => {
                let (from, to, _) = self.deposits[&key];
                // The part above what was said must fit beside all that is held.
                self.post(from, to, counted.saturating_sub(stated).into());
                let fits = self.is_within(from) && self.is_within(to);
                self.post(from, to, -i128::from(counted.saturating_sub(stated)));
                if !fits {
                    return Err(Reject::NotCovered);
                }
                self.deposits.remove(&key);
                self.post(from, to, counted.into());
                self.note(key, from, to, counted, MovementKind::Deposit);
                let last = self.balances(account);
                let known = self.known.get_mut(&key).expect("it was found");
                (known.fate, known.last) = (Fate::Counted(counted), last);
                if counted != stated {
                    let differed = DepositDiffered {
                        authorization: answer.authorization,
                        stated: Amount(stated),
                        counted: said.counted,
                        trace: said.trace,
                        date: said.date,
                    };
                    out.publish(topics::TERMINAL, said.terminal.0, Event::DepositDiffered(&differed));
                }
                ResponseCode::Approved
            }
            Some(Known { fate: Fate::Counted(before), .. }) if before == counted => ResponseCode::Approved,
            Some(Known { fate: Fate::Counted(_), .. }) => ResponseCode::Duplicate,
            Some(_) => ResponseCode::InvalidTransaction,
        };
        out.reply(Reply::Ended(&self.ended(key, code)));
        Ok(())
    }

    pub(super) fn ended(&self, key: Key, code: ResponseCode) -> Ended {
        let Some(known) = self.known.get(&key) else { return nothing(code) };
        let posted = Amount(if let Fate::Out(amount, _) | Fate::Moved(amount) | Fate::Counted(amount) = known.fate {
            amount
        } else {
            0
        });
        let ((balance, available), authorization) = (known.last, known.answer.authorization);
        let [surcharge, fee] = known.charged.map(Amount);
        Ended {
            authorization,
            posted,
            surcharge,
            fee,
            billed: Amount(known.billed),
            balance,
            available,
            billed_in: known.answer.billed_in,
            code: code.into(),
            reserved: Reserved::default(),
        }
    }

    pub(super) fn complete(&mut self, context: Context, said: &Complete, out: Says<'_, '_>) -> Result<(), Reject> {
        let terminal = self.terminal(said.terminal)?;
        let (key, notes) = (Key(said.terminal, said.trace, said.date), said.notes);
        let worth = self.worth(said.terminal, notes);
        let known = self.known.get(&key).copied();
        let over = |known: &Known| {
            notes.counts().iter().zip(known.answer.notes.counts()).any(|(said, authorized)| *said > authorized)
        };
        if let Some((what, code)) = known.filter(|known| !over(known)).and_then(|known| known.excepted)
            && (what, what != 0) == (notes.0, true)
        {
            out.reply(Reply::Ended(&self.ended(key, code)));
            return Ok(());
        }
        let code = match known {
            None => ResponseCode::UnknownOriginal,
            Some(known) if over(&known) => ResponseCode::InvalidAmount,
            Some(_) if self.is_asked(key) && notes.0 != 0 => ResponseCode::InvalidAmount,
            Some(_) if self.gives_up(context.now, key, out) => ResponseCode::Approved,
            Some(_) if self.open.contains_key(&key) => {
                self.end(context.now, key, notes, worth, Deed::Voided, out);
                ResponseCode::Approved
            }
            Some(Known { fate: Fate::Out(_, before), .. }) if before != notes => ResponseCode::Duplicate,
            Some(Known { fate: Fate::Out(..), .. }) => ResponseCode::Approved,
            Some(_) if notes.0 == 0 => ResponseCode::Approved,
            Some(known) => {
                let held = self.held(said.terminal);
                let there = (0..CASSETTES).all(|at| u64::from(notes.counts()[at]) + held[at] <= terminal.notes[at]);
                let counted_since = terminal.balanced > known.answer.authorization.0;
                match there && !counted_since && self.dispense(key, notes, worth, asked_charges(&known)) {
                    true => {
                        self.tell_issuer(context.now, key, out);
                        ResponseCode::Approved
                    }
                    false => ResponseCode::TooLate,
                }
            }
        };
        if code != ResponseCode::Approved && (known.is_some() || notes.0 != 0) {
            let authorization = known.map_or(Authorization(0), |known| known.answer.authorization);
            self.except(key, authorization, Amount(worth), notes, code, out);
            let may_be_posted = |known: &&mut Known| !over(known) && !matches!(known.fate, Fate::Out(..));
            if let Some(known) = self.known.get_mut(&key).filter(may_be_posted) {
                known.excepted = Some((notes.0, code));
            }
        }
        out.reply(Reply::Ended(&self.ended(key, code)));
        Ok(())
    }

    pub(super) fn except(
        &mut self,
        key: Key,
        authorization: Authorization,
        amount: Amount,
        notes: Notes,
        code: ResponseCode,
        out: Says<'_, '_>,
    ) {
        let Key(terminal, trace, date) = key;
        let (code, reserved) = (code.into(), Reserved::default());
        self.deeds.push((terminal, Deed::Exception));
        let exception = Exception { authorization, amount, notes, trace, date, code, reserved };
        out.publish(topics::TERMINAL, terminal.0, Event::Exception(&exception));
    }

    pub(super) fn reverse(&mut self, context: Context, key: Key, out: Says<'_, '_>) -> Result<(), Reject> {
        self.terminal(key.0)?;
        let code = match self.known.get(&key) {
            None => {
                self.take(key)?;
                let answer = answer(ResponseCode::TooLate);
                self.keep(key, Known::unmoved(None, answer, BusinessDate(0), Fate::Never));
                ResponseCode::Approved
            }
            Some(Known { fate: Fate::Out(..) | Fate::Counted(_), .. }) => ResponseCode::InvalidTransaction,
            Some(Known { fate: Fate::Deposited(_), account, .. }) => {
                let account = *account;
                self.deposits.remove(&key);
                let last = self.balances(account);
                let known = self.known.get_mut(&key).expect("it was found");
                (known.fate, known.last) = (Fate::Nothing, last);
                ResponseCode::Approved
            }
            Some(Known { fate: Fate::PinChanged(before), asked: Some(Asked::Pin(asked)), .. }) => {
                let (before, asked) = (*before, *asked);
                let SetCard { pin_version, pin_reference, .. } = self.cards[&asked.token].terms;
                let is_still = pin_version.0 == asked.pin_version.0.wrapping_add(1);
                if is_still && pin_reference == asked.new_pin_reference {
                    self.set_pin(asked.token, before, out);
                    self.known.get_mut(&key).expect("it was found").fate = Fate::Nothing;
                    ResponseCode::Approved
                } else {
                    ResponseCode::InvalidTransaction
                }
            }
            Some(Known { fate: Fate::Moved(_), excepted: Some((0, code)), .. }) => *code,
            Some(known @ Known { fate: Fate::Moved(amount), .. }) => {
                let (amount, known) = (*amount, *known);
                let Known { account, to, cash, charged: [_, fee], payees: [_, payee], .. } = known;
                let (parts, kind) = ([(to, account, amount), (payee, account, fee)], MovementKind::Reversal);
                let fits = self.tried(&parts, |bank| {
                    let gives = |(from, _, amount): &(u64, u64, u64)| *amount == 0 || bank.is_within(*from);
                    bank.is_within(account) && parts.iter().all(gives)
                });
                if fits {
                    self.post_all(key, &parts, [kind; 2]);
                    if cash > 0 {
                        self.count_again(key, 0);
                    }
                    let last = self.balances(account);
                    let known = self.known.get_mut(&key).expect("it was found");
                    (known.fate, known.last, known.charged) = (Fate::Nothing, last, [0; 2]);
                    ResponseCode::Approved
                } else {
                    let (code, authorization) = (ResponseCode::InsufficientFunds, known.answer.authorization);
                    self.except(key, authorization, Amount(amount + fee), Notes(0), code, out);
                    self.known.get_mut(&key).expect("it was found").excepted = Some((0, code));
                    code
                }
            }
            Some(_) => {
                if !self.gives_up(context.now, key, out) && self.open.contains_key(&key) {
                    self.end(context.now, key, Notes(0), 0, Deed::Voided, out);
                }
                ResponseCode::Approved
            }
        };
        out.reply(Reply::Ended(&self.ended(key, code)));
        Ok(())
    }
}

/// Surcharge and fee that an authorization asked for.
pub(super) fn asked_charges(known: &Known) -> [u64; 2] {
    [known.answer.surcharge.0, known.answer.fee.0]
}

/// The answer about a transaction of which nothing is known.
fn nothing(code: ResponseCode) -> Ended {
    Ended { code: code.into(), ..Ended::zeroed() }
}
