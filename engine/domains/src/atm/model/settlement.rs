//! Settlement with other acquirers and remote issuers.

use super::super::messages::{
    Amount, Balance, BusinessDate, Event, IssuerId, IssuerTotals, Reconcile, Reconciled, Reject, Reply, Settlement,
    SettlementDiffered, SettlementItem,
};
use super::super::topics;
use super::{Model, Says};
use ringfence_kernel::messages::Reserved;

impl Model {
    pub(super) fn reconcile(&self, said: &Reconcile, out: Says<'_, '_>) -> Result<(), Reject> {
        use SettlementItem as Item;
        let terminal = self.terminal(said.terminal)?;
        if !terminal.is_acquirer {
            return Err(Reject::BadTerminal);
        }
        if said.date != self.before || self.before == self.date {
            return Err(Reject::BadDate);
        }
        let (count, amount) = terminal.ended;
        let as_said = |amount: u64| amount.min(i64::MAX as u64) as i64;
        let counts = [(Item::Debits, said.debits, count), (Item::DebitsReversed, said.debits_reversed, 0)];
        let credits = [(Item::Credits, said.credits, 0), (Item::CreditsReversed, said.credits_reversed, 0)];
        let mut all: alloc::vec::Vec<(Item, i64, i64)> = [counts, credits]
            .concat()
            .into_iter()
            .map(|(item, said, own)| (item, i64::from(said), i64::from(own)))
            .collect();
        all.push((Item::DebitAmount, as_said(said.debit_amount.0), as_said(amount)));
        all.push((Item::DebitReversedAmount, as_said(said.debit_reversed_amount.0), 0));
        all.push((Item::CreditAmount, as_said(said.credit_amount.0), 0));
        all.push((Item::CreditReversedAmount, as_said(said.credit_reversed_amount.0), 0));
        all.push((Item::Net, said.net.0, as_said(amount)));
        all.retain(|(_, said, own)| said != own);
        for (item, theirs, own) in &all {
            let (said, own, reserved) = (Balance(*theirs), Balance(*own), Reserved::default());
            let differed = SettlementDiffered { said, own, date: self.before, item: (*item).into(), reserved };
            out.publish(topics::TERMINAL, terminal.terms.terminal.0, Event::SettlementDiffered(&differed));
        }
        out.reply(Reply::Reconciled(&Reconciled {
            debit_amount: Amount(amount),
            net: Balance(as_said(amount)),
            debits: count,
            date: said.date,
            differences: all.len() as u32,
            settlement: if all.is_empty() { Settlement::InBalance } else { Settlement::OutOfBalance }.into(),
            reserved: Reserved::default(),
        }));
        Ok(())
    }

    /// Says what was done with cards of each remote issuer on the date that ends.
    pub(super) fn close_issuers(&mut self, date: BusinessDate, out: Says<'_, '_>) {
        let deeds = core::mem::take(&mut self.issuer_deeds);
        for issuer in self.issuers.keys() {
            let of = || deeds.iter().filter(|(at, _)| at == issuer).map(|(_, deed)| *deed);
            let posted = || of().flatten();
            let totals = IssuerTotals {
                taken: Amount(posted().map(|(taken, _)| taken).sum()),
                dispensed: Amount(posted().map(|(_, dispensed)| dispensed).sum()),
                date,
                withdrawals: posted().count() as u32,
                declined: of().filter(Option::is_none).count() as u32,
                issuer: IssuerId(*issuer),
                reserved: Reserved::default(),
            };
            out.publish(topics::DATES, 0, Event::IssuerTotals(&totals));
        }
    }
}
