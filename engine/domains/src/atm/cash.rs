//! Terminals: defined, signed on and off, loaded, unloaded and balanced.

use super::cards::NONE;
use super::ledger::Ledger;
use super::messages::{
    AMOUNT_MAX, AccountNumber, Amount, Authorization, Balance, CASSETTES, CaptureCard, CardCaptured, CardStatus,
    CashDiffered, CashSet, CassetteCount, CassetteLoad, CassetteStands, Constraint, CountCash, Currency, Event,
    LoadCash, MovementKind, Notes, Reject, Reply, SetAcquirer, SetService, SetTerminal, SetTerminalTerms, TerminalId,
    Trace, UnloadCash,
};
use super::operator::check_window;
use super::statements::Cause;
use super::terminals::{CASSETTE_NOTES, Cassette, Terminal};
use super::{Atm, topics};
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::{Context, Out, Progress};

impl Atm {
    pub(super) fn set_terminal(&mut self, command: &SetTerminal, out: &mut Out<'_, Self>) -> Result<Progress, Reject> {
        let SetTerminal { cash, confirm_within_ns, terminal: number, currency, surcharge, .. } = *command;
        let is_bad = confirm_within_ns == 0 || surcharge.0 > AMOUNT_MAX || (surcharge.0 == 0) != (command.fees.0 == 0);
        let place = self.terminals.place(number).filter(|_| !is_bad).ok_or(Reject::BadTerminal)?;
        let fees = match command.fees.0 {
            0 => 0,
            _ => counter_account(&self.ledger, currency, command.fees)?,
        };
        if place.confirm_within_ns != 0 {
            if place.is_acquirer() || self.ledger[place.cash].number != cash || place.currency != currency {
                return Err(Reject::BadTerminal);
            }
            (place.confirm_within_ns, place.surcharge, place.fees) = (confirm_within_ns, surcharge, fees);
            return Ok(self.is_set(out));
        }
        if cash.0 == 0 || !currency.is_valid() {
            return Err(Reject::BadAccount);
        }
        if self.ledger.find(cash).is_some() {
            return Err(Reject::AccountExists);
        }
        let account = self.ledger.open(cash, currency, Constraint::Cash, Amount(0));
        let account = account.map_err(|_| Reject::AccountsFull)?;
        *place = Terminal::new(account, currency, confirm_within_ns);
        (place.surcharge, place.fees) = (surcharge, fees);
        Ok(self.is_set(out))
    }

    pub(super) fn set_acquirer(&mut self, command: &SetAcquirer, out: &mut Out<'_, Self>) -> Result<Progress, Reject> {
        let SetAcquirer { settlement, confirm_within_ns, terminal: number, currency, .. } = *command;
        let place = self.terminals.place(number).filter(|_| confirm_within_ns > 0).ok_or(Reject::BadTerminal)?;
        let settlement = counter_account(&self.ledger, currency, settlement)?;
        if place.confirm_within_ns == 0 {
            *place = Terminal::acquirer(settlement, currency, confirm_within_ns);
        } else if place.is_acquirer() && place.cash == settlement {
            place.confirm_within_ns = confirm_within_ns;
        } else {
            return Err(Reject::BadTerminal);
        }
        Ok(self.is_set(out))
    }

    /// A terminal that has notes.
    fn with_notes(&mut self, number: TerminalId) -> Result<Terminal, Reject> {
        let terminal = *self.terminals.get(number)?;
        if terminal.is_acquirer() { Err(Reject::BadTerminal) } else { Ok(terminal) }
    }

    pub(super) fn set_terminal_terms(
        &mut self,
        command: &SetTerminalTerms,
        out: &mut Out<'_, Self>,
    ) -> Result<Progress, Reject> {
        let SetTerminalTerms { surcharge_max, surcharge_rate, window_max, window_count_max, .. } = *command;
        let terminal = self.terminals.get(command.terminal)?;
        if surcharge_rate > 10_000 || surcharge_max.0 > AMOUNT_MAX {
            return Err(Reject::BadTerminal);
        }
        check_window(window_count_max, window_max)?;
        let place = |number: AccountNumber| match number.0 {
            0 => Ok(NONE),
            _ => counter_account(&self.ledger, terminal.currency, number),
        };
        (terminal.merchant, terminal.deposits) = (place(command.merchant)?, place(command.deposits)?);
        let limits = &mut terminal.limits;
        (limits.transaction_max, limits.day_max) = (command.transaction_max, command.day_max);
        limits.day_count_max = command.day_count_max;
        self.windows.set(limits, command.window_ns, window_count_max);
        self.windows.set_amount(limits, window_max);
        (terminal.surcharge_max, terminal.surcharge_rate) = (surcharge_max, surcharge_rate);
        Ok(self.is_set(out))
    }

    pub(super) fn set_service(&mut self, command: &SetService, out: &mut Out<'_, Self>) -> Result<Progress, Reject> {
        self.terminals.get(command.terminal)?.service = command.service;
        Ok(self.is_set(out))
    }

    pub(super) fn load_cash(
        &mut self,
        context: Context,
        command: &LoadCash,
        loads: &[CassetteLoad],
        out: &mut Out<'_, Self>,
    ) -> Result<Progress, Reject> {
        let mut terminal = self.with_notes(command.terminal)?;
        let vault = counter_account(&self.ledger, terminal.currency, command.vault)?;
        if loads.is_empty() || loads.len() > CASSETTES {
            return Err(Reject::BadCassettes);
        }
        let before = terminal.sums().0;
        let mut all = terminal.notes.counts();
        for ((denomination, notes), load) in terminal.denominations.iter_mut().zip(&mut all).zip(loads) {
            let is_other = load.denomination != *denomination;
            match load.denomination {
                0 if load.notes == 0 => continue,
                0 => return Err(Reject::BadCassettes),
                _ if is_other && *notes > 0 || load.notes > CASSETTE_NOTES - u32::from(*notes) => {
                    return Err(Reject::BadCassettes);
                }
                loaded => *denomination = loaded,
            }
            *notes += load.notes as u16;
            if is_other {
                terminal.balanced = Authorization(context.sequence.0);
            }
        }
        terminal.notes = Notes::new(all);
        terminal.arrange();
        self.set_cash(command.terminal, terminal, vault, before, out)
    }

    pub(super) fn unload_cash(
        &mut self,
        context: Context,
        command: &UnloadCash,
        out: &mut Out<'_, Self>,
    ) -> Result<Progress, Reject> {
        let mut terminal = self.with_notes(command.terminal)?;
        let vault = counter_account(&self.ledger, terminal.currency, command.vault)?;
        if terminal.is_busy() {
            return Err(Reject::TerminalBusy);
        }
        let before = terminal.sums().0;
        terminal.notes = Notes(0);
        terminal.balanced = Authorization(context.sequence.0);
        self.set_cash(command.terminal, terminal, vault, before, out)
    }

    pub(super) fn count_cash(
        &mut self,
        context: Context,
        command: &CountCash,
        counts: &[CassetteCount],
        out: &mut Out<'_, Self>,
    ) -> Result<Progress, Reject> {
        let mut terminal = self.with_notes(command.terminal)?;
        let difference = counter_account(&self.ledger, terminal.currency, command.difference)?;
        if terminal.is_busy() {
            return Err(Reject::TerminalBusy);
        }
        let (before, cassettes) = (terminal.sums().0, terminal.cassettes());
        let fits = |(cassette, count): (&Cassette, &CassetteCount)| {
            count.notes <= if cassette.denomination == 0 { 0 } else { CASSETTE_NOTES }
        };
        if counts.is_empty() || counts.len() > CASSETTES || !cassettes.iter().zip(counts).all(fits) {
            return Err(Reject::BadCassettes);
        }
        let mut all = terminal.notes.counts();
        all.iter_mut().zip(counts).for_each(|(notes, count)| *notes = count.notes as u16);
        terminal.notes = Notes::new(all);
        (terminal.balanced, terminal.captured) = (Authorization(context.sequence.0), 0);
        let progress = self.set_cash(command.terminal, terminal, difference, before, out)?;
        for ((number, was), count) in (1..).zip(&cassettes).zip(counts).filter(|((_, was), is)| was.notes != is.notes) {
            let differed = CashDiffered {
                difference: Balance(i64::from(was.denomination) * (i64::from(count.notes) - i64::from(was.notes))),
                expected: was.notes,
                counted: count.notes,
                denomination: was.denomination,
                cassette: number,
                reserved: Reserved::default(),
            };
            out.publish(topics::TERMINAL, command.terminal.0, Event::CashDiffered(&differed));
        }
        Ok(progress)
    }

    /// Makes the terminal what it is now, and moves what its notes are worth more or less than `before` from or to
    /// `other`.
    fn set_cash(
        &mut self,
        number: TerminalId,
        terminal: Terminal,
        other: u32,
        before: u64,
        out: &mut Out<'_, Self>,
    ) -> Result<Progress, Reject> {
        let now = terminal.sums().0;
        let (debit, credit) = if now > before { (terminal.cash, other) } else { (other, terminal.cash) };
        let amount = Amount(now.abs_diff(before));
        self.ledger.move_now(debit, credit, amount).map_err(|_| Reject::NotCovered)?;
        let (kind, trace, date) = (MovementKind::Cash, Trace(0), self.date);
        self.ledger.note(debit, credit, amount, Cause { kind, terminal: number, trace, date });
        *self.terminals.get(number)? = terminal;
        let (cash, change) = (Balance(now as i64), Balance(now as i64 - before as i64));
        out.reply(Reply::CashSet(&CashSet { cash, change, terminal: number, reserved: Reserved::default() }));
        Ok(Progress::Done)
    }

    pub(super) fn capture_card(&mut self, command: &CaptureCard, out: &mut Out<'_, Self>) -> Result<Progress, Reject> {
        let CaptureCard { token, terminal: number, .. } = *command;
        let terminal = self.terminals.get(number)?;
        let card = self.cards.find(&token).ok_or(Reject::UnknownCard)?;
        let card = &mut self.cards[card];
        if card.status.get() != CardStatus::Retained {
            card.status = CardStatus::Retained.into();
            terminal.captured += 1;
            let (captured, reserved) = (terminal.captured, Reserved::default());
            let event = CardCaptured { token, captured, reserved };
            out.publish(topics::TERMINAL, number.0, Event::CardCaptured(&event));
        }
        Ok(self.is_set(out))
    }

    /// Says a terminal's cassettes.
    pub(super) fn snapshot_terminal(&self, number: TerminalId, out: &mut Out<'_, Self>) -> Option<Progress> {
        let terminal = self.terminals.look(number)?;
        if out.room() < CASSETTES {
            return Some(Progress::More);
        }
        for (number, cassette) in (1..).zip(terminal.cassettes()) {
            let Cassette { denomination, notes, held } = cassette;
            let (cassette, service, reserved) = (number, terminal.service, Reserved::default());
            let stands = CassetteStands { denomination, notes, held, cassette, service, reserved };
            out.part(Event::CassetteStands(&stands));
        }
        Some(Progress::Done)
    }
}

/// The place of an account that cash of a terminal may come from and go to, or its surcharges, or fees.
pub(super) fn counter_account(ledger: &Ledger, currency: Currency, number: AccountNumber) -> Result<u32, Reject> {
    let fits = |place: &u32| ledger[*place].currency == currency && !ledger[*place].is_cash();
    ledger.find(number).filter(fits).ok_or(Reject::UnknownAccount)
}
