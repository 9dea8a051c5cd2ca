//! The end of a business date: what was done on it, terminal by terminal, currency by currency, and issuer by issuer.

use super::messages::{
    Amount, Balance, BusinessDate, Currency, CurrencyTotals, Cutover, Event, Reject, TerminalId, TerminalTotals,
};
use super::terminals::Totals;
use super::{Atm, topics};
use alloc::boxed::Box;
use bytemuck::Zeroable;
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::{Out, Progress};

/// A cutover that is being said.
#[derive(Clone, Copy, Debug)]
pub(super) struct Closing {
    /// The date that ends.
    date: BusinessDate,
    /// How many terminals, then currencies, and then issuers were gone through.
    at: usize,
}

/// The sums of the terminals of a currency, while a cutover is said.
#[derive(Clone, Copy, Debug, Zeroable)]
pub(super) struct Sums {
    dispensed: u64,
    surcharges: u64,
    cash: u64,
    held: u64,
    withdrawals: u32,
    terminals: u32,
}

/// Room for the sums of every currency.
pub(super) fn no_sums() -> Box<[Sums]> {
    alloc::vec![Sums::zeroed(); Currency::END.into()].into()
}

impl Atm {
    pub(super) fn cutover(&mut self, command: &Cutover, out: &mut Out<'_, Self>) -> Result<Progress, Reject> {
        if command.date <= self.date {
            return Err(Reject::BadDate);
        }
        let closing = Closing { date: self.date, at: 0 };
        (self.date_before, self.date) = (self.date, command.date);
        self.sums.fill(Sums::zeroed());
        // The answer names the date that begins; the totals follow.
        let _ = self.is_set(out);
        Ok(self.close(closing, out))
    }

    /// Says the totals that have not been said yet.
    pub(super) fn close(&mut self, mut closing: Closing, out: &mut Out<'_, Self>) -> Progress {
        let (terminals, currencies) = (self.terminals.len(), self.sums.len());
        while closing.at < terminals + currencies + self.issuers.len() {
            if out.room() == 0 {
                self.closing = Some(closing);
                return Progress::More;
            }
            match closing.at.checked_sub(terminals) {
                None => self.close_terminal(TerminalId(closing.at as u32 + 1), closing.date, out),
                Some(currency) if currency < currencies => {
                    self.close_currency(Currency(currency as u16), closing.date, out);
                }
                Some(place) => self.close_issuer(place - currencies, closing.date, out),
            }
            closing.at += 1;
        }
        Progress::Done
    }

    fn close_terminal(&mut self, number: TerminalId, date: BusinessDate, out: &mut Out<'_, Self>) {
        let Ok(terminal) = self.terminals.get(number) else { return };
        let totals = core::mem::replace(&mut terminal.totals, Totals::zeroed());
        terminal.ended = totals;
        let Totals { dispensed, surcharges, withdrawals, declined, voided, timed_out, exceptions, .. } = totals;
        let (cash, held) = terminal.sums();
        let mut elsewhere = Sums::zeroed();
        // What other acquirers give is not of this host's terminals.
        let is_here = !terminal.is_acquirer();
        let sums = if is_here { &mut self.sums[usize::from(terminal.currency.0)] } else { &mut elsewhere };
        (sums.dispensed, sums.surcharges) = (sums.dispensed + dispensed, sums.surcharges + surcharges);
        (sums.cash, sums.held) = (sums.cash + cash, sums.held + held);
        (sums.withdrawals, sums.terminals) = (sums.withdrawals + withdrawals, sums.terminals + 1);
        let (dispensed, surcharges, cash, held) =
            (Amount(dispensed), Amount(surcharges), Balance(cash as i64), Amount(held));
        let totals = TerminalTotals {
            dispensed,
            surcharges,
            cash,
            held,
            date,
            withdrawals,
            declined,
            voided,
            timed_out,
            exceptions,
        };
        out.publish(topics::TERMINAL, number.0, Event::TerminalTotals(&totals));
    }

    fn close_currency(&self, currency: Currency, date: BusinessDate, out: &mut Out<'_, Self>) {
        let Sums { dispensed, surcharges, cash, held, withdrawals, terminals } = self.sums[usize::from(currency.0)];
        if terminals > 0 {
            let (dispensed, surcharges, cash, held) =
                (Amount(dispensed), Amount(surcharges), Balance(cash as i64), Amount(held));
            let reserved = Reserved::default();
            let totals =
                CurrencyTotals { dispensed, surcharges, cash, held, date, withdrawals, terminals, currency, reserved };
            out.publish(topics::DATES, 0, Event::CurrencyTotals(&totals));
        }
    }
}
