//! Saving and loading: one canonical walk. Indexes and timers are built again from what is saved.

use super::Atm;
use super::cards::Cards;
use super::conversions::Rates;
use super::fees::Fees;
use super::foresight::Foresight;
use super::issuers::{Issuers, Routes};
use super::kept::Kept;
use super::ledger::Ledger;
use super::limits::{AccountLimits, Windows};
use super::messages::AtmLimits;
use super::terminals::Terminals;
use ringfence_kernel::{Corrupt, Sink, Source};

impl Atm {
    pub(super) fn write(&self, sink: &mut impl Sink) {
        assert!(self.closing.is_none(), "nothing is saved in the middle of a decision");
        sink.value(&self.date);
        sink.value(&self.date_before);
        self.ledger.save(sink);
        self.cards.save(sink);
        self.account_limits.save(sink);
        self.windows.save(sink);
        self.terminals.save(sink);
        self.transactions.save(sink);
        self.transfers.save(sink);
        self.issuers.save(sink);
        self.routes.save(sink);
        self.stood_in.save(sink);
        self.fees.save(sink);
        self.rates.save(sink);
    }

    pub(super) fn read(limits: &AtmLimits, source: &mut impl Source) -> Result<Self, Corrupt> {
        let (date, date_before) = (source.value()?, source.value()?);
        if date < date_before {
            return Err(Corrupt("the business date"));
        }
        let ledger = Ledger::load(limits.accounts as usize, limits.movements as usize, source)?;
        let cards = Cards::load(limits.cards as usize, ledger.len(), source)?;
        let account_limits = AccountLimits::load(limits.accounts as usize, source)?;
        let windows = Windows::load(super::windows_of(limits), source)?;
        let terminals = Terminals::load(limits.terminals as usize, source)?;
        let transactions = Kept::load(limits.transactions as usize, source)?;
        let transfers = Kept::load(limits.transfers as usize, source)?;
        let issuers = Issuers::load(limits.issuers as usize, ledger.len(), source)?;
        let routes = Routes::load(limits.routes as usize, source)?;
        let stood_in = Kept::load(limits.stood_in as usize, source)?;
        let fees = Fees::load(limits.fees as usize, &ledger, source)?;
        let rates = Rates::load(limits.rates as usize, &ledger, source)?;
        let atm = Self {
            date,
            date_before,
            ledger,
            cards,
            account_limits,
            windows,
            terminals,
            transactions,
            transfers,
            issuers,
            routes,
            stood_in,
            fees,
            rates,
            sums: super::day_end::no_sums(),
            closing: None,
            foresight: Foresight::default(),
        };
        atm.check().map_err(Corrupt)?;
        Ok(atm)
    }
}
