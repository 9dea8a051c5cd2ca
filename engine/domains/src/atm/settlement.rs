//! Settlement: what other acquirers have of a business date beside what this host has, and what cards of remote issuers took.

use super::issuers::IssuerDay;
use super::messages::{
    Amount, Balance, BusinessDate, Event, IssuerId, IssuerTotals, Reconcile, Reconciled, Reject, Reply, Settlement,
    SettlementDiffered, SettlementItem,
};
use super::terminals::Totals;
use super::{Atm, topics};
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::{Out, Progress};

impl Atm {
    /// Compares what another acquirer has of the date that ended last, and names each difference.
    pub(super) fn reconcile(&mut self, command: &Reconcile, out: &mut Out<'_, Self>) -> Result<Progress, Reject> {
        let Reconcile { debits, debit_amount, net, terminal: number, date, .. } = *command;
        let terminal = self.terminals.get(number)?;
        if !terminal.is_acquirer() {
            return Err(Reject::BadTerminal);
        }
        if date != self.date_before || self.date == self.date_before {
            return Err(Reject::BadDate);
        }
        let Totals { dispensed, withdrawals, .. } = terminal.ended;
        let number_of = |count: u32| Balance(count.into());
        let amount_of = |Amount(amount): Amount| Balance(i64::try_from(amount).unwrap_or(i64::MAX));
        let (own_count, own_amount, nothing) = (number_of(withdrawals), amount_of(Amount(dispensed)), Balance(0));
        let compared = [
            (SettlementItem::Debits, number_of(debits), own_count),
            (SettlementItem::DebitsReversed, number_of(command.debits_reversed), nothing),
            (SettlementItem::Credits, number_of(command.credits), nothing),
            (SettlementItem::CreditsReversed, number_of(command.credits_reversed), nothing),
            (SettlementItem::DebitAmount, amount_of(debit_amount), own_amount),
            (SettlementItem::DebitReversedAmount, amount_of(command.debit_reversed_amount), nothing),
            (SettlementItem::CreditAmount, amount_of(command.credit_amount), nothing),
            (SettlementItem::CreditReversedAmount, amount_of(command.credit_reversed_amount), nothing),
            (SettlementItem::Net, net, own_amount),
        ];
        let mut differences = 0;
        for (item, said, own) in compared.into_iter().filter(|(_, said, own)| said != own) {
            let differed = SettlementDiffered { said, own, date, item: item.into(), reserved: Reserved::default() };
            out.publish(topics::TERMINAL, number.0, Event::SettlementDiffered(&differed));
            differences += 1;
        }
        let settlement = if differences == 0 { Settlement::InBalance } else { Settlement::OutOfBalance };
        out.reply(Reply::Reconciled(&Reconciled {
            debit_amount: Amount(dispensed),
            net: own_amount,
            debits: withdrawals,
            date,
            differences,
            settlement: settlement.into(),
            reserved: Reserved::default(),
        }));
        Ok(Progress::Done)
    }

    /// Says what cards of a remote issuer took on the date that ends.
    pub(super) fn close_issuer(&mut self, place: usize, date: BusinessDate, out: &mut Out<'_, Self>) {
        let issuer = IssuerId(place as u16 + 1);
        if self.issuers.find(issuer).is_none() {
            return;
        }
        let IssuerDay { taken, dispensed, withdrawals, declined } = core::mem::take(&mut self.issuers[place].day);
        let (taken, dispensed, reserved) = (Amount(taken), Amount(dispensed), Reserved::default());
        let totals = IssuerTotals { taken, dispensed, date, withdrawals, declined, issuer, reserved };
        out.publish(topics::DATES, 0, Event::IssuerTotals(&totals));
    }

    /// Counts what cards of its issuer took, where it is a remote one's.
    pub(super) fn count_for_issuer(&mut self, index: u32) {
        let transaction = &self.transactions[index];
        if let Some(place) = self.issuers.find(transaction.issuer()).filter(|_| transaction.posted.0 > 0) {
            let day = &mut self.issuers[place].day;
            day.taken += transaction.taken().0;
            day.dispensed += transaction.posted.0;
            day.withdrawals += 1;
        }
    }
}
