//! Saving and loading: one canonical walk. Ladders, indexes and timers are built again from what is saved.

use super::instruments::Instruments;
use super::ledger::Ledger;
use super::levels::{Levels, NONE, better};
use super::messages::{MatchingLimits, ORDERS_MAX, OrderId, Phase, Side};
use super::orders::Orders;
use super::{Matching, Pending};
use alloc::vec::Vec;
use ringfence_kernel::{Corrupt, Domain, Sink, Source};

impl Matching {
    pub(super) fn write(&self, sink: &mut impl Sink) {
        assert!(matches!(self.pending, Pending::Nothing), "nothing is saved in the middle of a decision");
        sink.value(&self.last_order);
        sink.value(&self.last_trade);
        self.instruments.save(sink);
        self.levels.save(sink);
        self.orders.save(sink);
        self.ledger.save(sink);
    }

    pub(super) fn read(limits: &MatchingLimits, source: &mut impl Source) -> Result<Self, Corrupt> {
        if limits.orders > ORDERS_MAX {
            return Err(Corrupt("the limit of orders"));
        }
        let (last_order, last_trade) = (source.value()?, source.value()?);
        let mut instruments = Instruments::load(limits, source)?;
        let levels = Levels::load(limits.levels as usize, source, &mut instruments)?;
        let orders = Orders::load(limits, &instruments, &levels, OrderId(last_order), source)?;
        let ledger = Ledger::load(limits, orders.accounts.len(), source)?;
        instruments.settle(&levels);
        if instruments.iter().filter(|instrument| instrument.phase.get() == Phase::Continuous).any(|instrument| {
            let (bid, ask) = (instrument.half(Side::Buy).best, instrument.half(Side::Sell).best);
            bid != NONE && ask != NONE && !better(Side::Sell, levels[bid].ticks, levels[ask].ticks)
        }) {
            return Err(Corrupt("a crossed book"));
        }
        let mut matching = Self::new(&MatchingLimits {
            orders: 0,
            levels: 0,
            instruments: 0,
            accounts: 0,
            specials: 0,
            assets: 0,
            balances: 0,
            readers: 0,
        });
        (matching.limits, matching.last_order, matching.last_trade) = (*limits, last_order, last_trade);
        (matching.instruments, matching.levels, matching.orders) = (instruments, levels, orders);
        matching.ledger = ledger;
        matching.triggered = Vec::with_capacity(limits.specials as usize);
        matching.due = Vec::with_capacity(limits.instruments as usize);
        matching.moving = Vec::with_capacity(limits.specials as usize);
        matching.bids = Vec::with_capacity(limits.levels as usize);
        matching.settle_indications();
        if (0..limits.instruments as u32).any(|instrument| matching.has_triggered(instrument)) {
            return Err(Corrupt("a stop that was triggered waits"));
        }
        matching.load_pegs()?;
        matching.check_ledger()?;
        Ok(matching)
    }
}
