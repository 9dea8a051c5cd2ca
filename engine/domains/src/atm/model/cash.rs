//! What is done at terminals, and its totals.

use super::super::messages::{
    AMOUNT_MAX, AccountNumber, Amount, Balance, BusinessDate, CASSETTES, CardCaptured, CardStatus, CashDiffered,
    CashSet, CassetteCount, CassetteLoad, Constraint, Currency, CurrencyTotals, Event, MovementKind, OpenAccount,
    Reject, Reply, Service, Set, SetAcquirer, SetTerminal, SetTerminalTerms, TerminalId, TerminalTotals, Trace,
};
use super::super::topics;
use super::bank::check_window;
use super::{Deed, Model, Says, Terminal, Whose};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use ringfence_kernel::Context;
use ringfence_kernel::messages::Reserved;

impl Model {
    pub(super) fn set_terminal(&mut self, terms: &SetTerminal, out: Says<'_, '_>) -> Result<(), Reject> {
        let number = terms.terminal.0;
        if number == 0 || u64::from(number) > self.limits.terminals || terms.confirm_within_ns == 0 {
            return Err(Reject::BadTerminal);
        }
        if terms.surcharge.0 > AMOUNT_MAX || (terms.surcharge.0 > 0) != (terms.fees.0 > 0) {
            return Err(Reject::BadTerminal);
        }
        if terms.fees.0 > 0 {
            self.gives(terms.fees, terms.currency)?;
        }
        if let Some(known) = self.terminals.get_mut(&number) {
            if known.is_acquirer || (known.terms.cash, known.terms.currency) != (terms.cash, terms.currency) {
                return Err(Reject::BadTerminal);
            }
            known.terms = *terms;
            return self.set(out);
        }
        if terms.cash.0 == 0 || !(1..=999).contains(&terms.currency.0) {
            return Err(Reject::BadAccount);
        }
        let (account, currency, overdraft) = (terms.cash, terms.currency, Amount(0));
        let (constraint, reserved) = (Constraint::Cash.into(), Reserved::default());
        self.add_account(OpenAccount { account, overdraft, currency, constraint, reserved }, false)?;
        self.add_terminal(*terms, false);
        self.set(out)
    }

    fn add_terminal(&mut self, terms: SetTerminal, is_acquirer: bool) {
        let terminal = Terminal {
            terms,
            more: None,
            is_acquirer,
            service: Service::Out,
            denominations: [0; CASSETTES],
            notes: [0; CASSETTES],
            captured: 0,
            balanced: 0,
            ended: (0, 0),
        };
        self.terminals.insert(terms.terminal.0, terminal);
    }

    pub(super) fn set_acquirer(&mut self, terms: &SetAcquirer, out: Says<'_, '_>) -> Result<(), Reject> {
        let SetAcquirer { settlement: cash, confirm_within_ns, terminal, currency, .. } = *terms;
        if terminal.0 == 0 || u64::from(terminal.0) > self.limits.terminals || confirm_within_ns == 0 {
            return Err(Reject::BadTerminal);
        }
        self.gives(cash, currency)?;
        match self.terminals.get_mut(&terminal.0) {
            Some(known) if known.is_acquirer && known.terms.cash == cash => {
                known.terms.confirm_within_ns = confirm_within_ns;
            }
            Some(_) => return Err(Reject::BadTerminal),
            None => {
                let (fees, surcharge, reserved) = (AccountNumber(0), Amount(0), Reserved::default());
                let terms = SetTerminal { cash, fees, surcharge, confirm_within_ns, terminal, currency, reserved };
                self.add_terminal(terms, true);
            }
        }
        self.set(out)
    }

    /// A terminal that has notes.
    fn with_notes(&self, number: TerminalId) -> Result<Terminal, Reject> {
        let terminal = self.terminal(number)?;
        if terminal.is_acquirer { Err(Reject::BadTerminal) } else { Ok(terminal) }
    }

    pub(super) fn set_terminal_terms(&mut self, terms: &SetTerminalTerms, out: Says<'_, '_>) -> Result<(), Reject> {
        let currency = self.terminal(terms.terminal)?.terms.currency;
        if terms.surcharge_rate > 10_000 || terms.surcharge_max.0 > AMOUNT_MAX {
            return Err(Reject::BadTerminal);
        }
        check_window(terms.window_count_max, terms.window_max)?;
        for account in [terms.merchant, terms.deposits] {
            if account.0 != 0 {
                self.gives(account, currency)?;
            }
        }
        self.terminals.get_mut(&terms.terminal.0).expect("it was found").more = Some(*terms);
        self.remember(Whose::Terminal(terms.terminal.0), terms.window_count_max);
        self.set(out)
    }

    pub(super) fn set(&self, out: Says<'_, '_>) -> Result<(), Reject> {
        out.reply(Reply::Set(&Set { date: self.date, reserved: Reserved::default() }));
        Ok(())
    }

    pub(super) fn terminal(&self, number: TerminalId) -> Result<Terminal, Reject> {
        self.terminals.get(&number.0).copied().ok_or(Reject::UnknownTerminal)
    }

    /// Notes of a terminal that are authorized.
    pub(super) fn held(&self, number: TerminalId) -> [u64; CASSETTES] {
        let mut held = [0; CASSETTES];
        for (_, open) in self.open.iter().filter(|(key, _)| key.0 == number) {
            held.iter_mut().zip(open.notes.counts()).for_each(|(sum, count)| *sum += u64::from(count));
        }
        held
    }

    /// Whether the account can give cash to the terminal and take it back.
    pub(super) fn gives(&self, account: AccountNumber, currency: Currency) -> Result<(), Reject> {
        match self.accounts.get(&account.0) {
            Some(known) if known.currency == currency && !self.is_cash(account.0) => Ok(()),
            _ => Err(Reject::UnknownAccount),
        }
    }

    /// Makes the notes of a terminal those of `terminal`, paid from or to `other`.
    pub(super) fn set_cash(
        &mut self,
        number: TerminalId,
        terminal: Terminal,
        other: u64,
        out: Says<'_, '_>,
    ) -> Result<(), Reject> {
        let worth = |terminal: &Terminal| -> u64 {
            terminal.notes.iter().zip(terminal.denominations).map(|(notes, denomination)| notes * denomination).sum()
        };
        let (before, now) = (worth(&self.terminals[&number.0]), worth(&terminal));
        let cash = terminal.terms.cash.0;
        let (debit, credit) = if now > before { (cash, other) } else { (other, cash) };
        if !self.try_post(debit, credit, now.abs_diff(before)) {
            return Err(Reject::NotCovered);
        }
        self.note_at((number, Trace(0)), debit, credit, now.abs_diff(before), MovementKind::Cash);
        self.terminals.insert(number.0, terminal);
        let (cash, change) = (Balance(now as i64), Balance(now as i64 - before as i64));
        out.reply(Reply::CashSet(&CashSet { cash, change, terminal: number, reserved: Reserved::default() }));
        Ok(())
    }

    pub(super) fn load(
        &mut self,
        context: Context,
        number: TerminalId,
        vault: AccountNumber,
        loads: &[CassetteLoad],
        out: Says<'_, '_>,
    ) -> Result<(), Reject> {
        let mut terminal = self.with_notes(number)?;
        self.gives(vault, terminal.terms.currency)?;
        if !(1..=CASSETTES).contains(&loads.len()) {
            return Err(Reject::BadCassettes);
        }
        for (at, CassetteLoad { denomination, notes }) in loads.iter().enumerate() {
            if *denomination == 0 && *notes == 0 {
                continue;
            }
            let is_other = terminal.denominations[at] != u64::from(*denomination);
            let full = terminal.notes[at] + u64::from(*notes) > 65_535;
            if *denomination == 0 || full || is_other && terminal.notes[at] > 0 {
                return Err(Reject::BadCassettes);
            }
            terminal.notes[at] += u64::from(*notes);
            if is_other {
                (terminal.denominations[at], terminal.balanced) = (u64::from(*denomination), context.sequence.0);
            }
        }
        self.set_cash(number, terminal, vault.0, out)
    }

    pub(super) fn unload(
        &mut self,
        context: Context,
        number: TerminalId,
        vault: AccountNumber,
        out: Says<'_, '_>,
    ) -> Result<(), Reject> {
        let mut terminal = self.with_notes(number)?;
        self.gives(vault, terminal.terms.currency)?;
        if self.held(number) != [0; CASSETTES] {
            return Err(Reject::TerminalBusy);
        }
        (terminal.notes, terminal.balanced) = ([0; CASSETTES], context.sequence.0);
        self.set_cash(number, terminal, vault.0, out)
    }

    pub(super) fn count(
        &mut self,
        context: Context,
        number: TerminalId,
        difference: AccountNumber,
        counts: &[CassetteCount],
        out: Says<'_, '_>,
    ) -> Result<(), Reject> {
        let mut terminal = self.with_notes(number)?;
        self.gives(difference, terminal.terms.currency)?;
        if self.held(number) != [0; CASSETTES] {
            return Err(Reject::TerminalBusy);
        }
        let fits = |(at, count): (usize, &CassetteCount)| match terminal.denominations.get(at) {
            None => false,
            Some(0) => count.notes == 0,
            Some(_) => count.notes <= 65_535,
        };
        if counts.is_empty() || !counts.iter().enumerate().all(fits) {
            return Err(Reject::BadCassettes);
        }
        let mut differed = Vec::new();
        for (at, count) in counts.iter().enumerate() {
            let (expected, counted) = (terminal.notes[at] as u32, count.notes);
            let denomination = terminal.denominations[at] as u32;
            let difference = Balance((i64::from(counted) - i64::from(expected)) * i64::from(denomination));
            let (cassette, reserved) = (at as u8 + 1, Reserved::default());
            if expected != counted {
                differed.push(CashDiffered { difference, expected, counted, denomination, cassette, reserved });
            }
            terminal.notes[at] = counted.into();
        }
        (terminal.balanced, terminal.captured) = (context.sequence.0, 0);
        self.set_cash(number, terminal, difference.0, out)?;
        for differed in differed {
            out.publish(topics::TERMINAL, number.0, Event::CashDiffered(&differed));
        }
        Ok(())
    }

    pub(super) fn capture(&mut self, token: [u8; 16], number: TerminalId, out: Says<'_, '_>) -> Result<(), Reject> {
        let terminal = self.terminals.get_mut(&number.0).ok_or(Reject::UnknownTerminal)?;
        let card = self.cards.get_mut(&token).ok_or(Reject::UnknownCard)?;
        if card.terms.status.get() != CardStatus::Retained {
            card.terms.status = CardStatus::Retained.into();
            terminal.captured += 1;
            let event = CardCaptured { token, captured: terminal.captured, reserved: Reserved::default() };
            out.publish(topics::TERMINAL, number.0, Event::CardCaptured(&event));
        }
        self.set(out)
    }

    pub(super) fn cutover(&mut self, date: BusinessDate, out: Says<'_, '_>) -> Result<(), Reject> {
        if date <= self.date {
            return Err(Reject::BadDate);
        }
        (self.before, self.date) = (self.date, date);
        self.set(out)?;
        let (date, deeds) = (self.before, core::mem::take(&mut self.deeds));
        let mut of_currencies = BTreeMap::new();
        let mut ended = BTreeMap::new();
        for (number, terminal) in &self.terminals {
            let here = || deeds.iter().filter(|(at, _)| at.0 == *number).map(|(_, deed)| *deed);
            let count = |wanted: Deed| here().filter(|deed| *deed == wanted).count() as u32;
            let out_here =
                || here().filter_map(|deed| if let Deed::Dispensed(sum, fee) = deed { Some((sum, fee)) } else { None });
            let [debits, credits, _, held] =
                if terminal.is_acquirer { [0; 4] } else { self.sums(terminal.terms.cash.0) };
            let totals = TerminalTotals {
                dispensed: Amount(out_here().map(|(sum, _)| sum).sum()),
                surcharges: Amount(out_here().map(|(_, surcharge)| surcharge).sum()),
                cash: Balance((debits - credits) as i64),
                held: Amount(held as u64),
                date,
                withdrawals: out_here().count() as u32,
                declined: count(Deed::Declined),
                voided: count(Deed::Voided),
                timed_out: count(Deed::TimedOut),
                exceptions: count(Deed::Exception),
            };
            out.publish(topics::TERMINAL, *number, Event::TerminalTotals(&totals));
            ended.insert(*number, (totals.withdrawals, totals.dispensed.0));
            if terminal.is_acquirer {
                continue;
            }
            of_currencies.entry(terminal.terms.currency).or_insert_with(Vec::new).push(totals);
        }
        for (currency, all) in of_currencies {
            let totals = CurrencyTotals {
                dispensed: Amount(all.iter().map(|one| one.dispensed.0).sum()),
                surcharges: Amount(all.iter().map(|one| one.surcharges.0).sum()),
                cash: Balance(all.iter().map(|one| one.cash.0).sum()),
                held: Amount(all.iter().map(|one| one.held.0).sum()),
                date,
                withdrawals: all.iter().map(|one| one.withdrawals).sum(),
                terminals: all.len() as u32,
                currency,
                reserved: Reserved::default(),
            };
            out.publish(topics::DATES, 0, Event::CurrencyTotals(&totals));
        }
        for (number, ended) in ended {
            self.terminals.get_mut(&number).expect("it is defined").ended = ended;
        }
        self.close_issuers(date, out);
        Ok(())
    }
}
