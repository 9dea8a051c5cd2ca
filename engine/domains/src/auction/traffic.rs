//! Invalid traffic: events of listed sources, clicks that come too soon, and more events of a user or a source in a minute than
//! are credible. What is invalid is counted apart and never billed.

use super::caps::{Cap, Caps, Subject};
use super::messages::{AuctionLimits, CapPeriod, EventKind, ListSource, Reject, SetTraffic, UserKey};
use super::wins::Win;
use alloc::vec::Vec;
use bytemuck::Zeroable as _;
use ringfence_kernel::{Corrupt, Sink, Source, Timestamp};

/// What is invalid, and what counts events of a minute.
#[derive(Clone, Debug)]
pub(super) struct Traffic {
    pub(super) terms: SetTraffic,
    /// Sources whose events are invalid, in order.
    listed: Vec<u32>,
    capacity: usize,
    rates: Caps,
}

impl Traffic {
    pub(super) fn new(limits: &AuctionLimits) -> Self {
        let capacity = limits.sources as usize;
        let (listed, rates) = (Vec::with_capacity(capacity), Caps::new(limits.event_rates as usize));
        Self { terms: SetTraffic::zeroed(), listed, capacity, rates }
    }

    /// Sources that are listed.
    pub(super) fn sources(&self) -> u32 {
        self.listed.len() as u32
    }

    /// Puts a source on the list, or takes it off.
    pub(super) fn list(&mut self, command: ListSource) -> Result<(), Reject> {
        if command.source == 0 || command.listed > 1 {
            return Err(Reject::BadTerms);
        }
        match (self.listed.binary_search(&command.source), command.listed) {
            (Ok(at), 0) => drop(self.listed.remove(at)),
            (Err(_), 1) if self.listed.len() == self.capacity => return Err(Reject::SourcesFull),
            (Err(at), 1) => self.listed.insert(at, command.source),
            _ => {}
        }
        Ok(())
    }

    /// Whether an event of a win is invalid. It counts as one of the minute's, unless its source is listed or it comes too soon.
    pub(super) fn is_invalid(&mut self, win: &Win, kind: EventKind, source: u32, now: Timestamp) -> bool {
        if self.listed.binary_search(&source).is_ok() || (kind == EventKind::Click && self.is_too_soon(win, now)) {
            return true;
        }
        self.rates.turn(now);
        let of_user = self.is_too_much(win.user.0, Subject::EVENTS_OF_USER, self.terms.user_most, now);
        let of_source = self.is_too_much(source.into(), Subject::EVENTS_OF_SOURCE, self.terms.source_most, now);
        of_user || of_source
    }

    fn is_too_soon(&self, win: &Win, now: Timestamp) -> bool {
        let after = self.terms.click_after;
        after > 0 && (!win.saw(EventKind::Impression) || now < win.shown.saturating_add(after))
    }

    /// Whether somebody who is known had as many events in this minute as are valid; if not, counts one more. Who cannot be
    /// counted is believed.
    fn is_too_much(&mut self, who: u64, subject: Subject, most: u32, now: Timestamp) -> bool {
        let (user, cap) = (UserKey(who), Cap { subject, period: CapPeriod::Minute, most });
        if who == 0 || most == 0 {
            return false;
        }
        if self.rates.is_reached(&cap, user, now, true) {
            return true;
        }
        if self.rates.room() > 0 || self.rates.is_counted(&cap, user, now) {
            self.rates.add(user, &cap, now);
        }
        false
    }

    pub(super) fn save(&self, sink: &mut impl Sink) {
        sink.value(&self.terms);
        sink.value(&(self.listed.len() as u64));
        sink.values(&self.listed);
        self.rates.save(sink);
    }

    /// What [`Traffic::save`] wrote.
    pub(super) fn load(limits: &AuctionLimits, source: &mut impl Source) -> Result<Self, Corrupt> {
        let mut all = Self { terms: source.value()?, ..Self::new(limits) };
        for _ in 0..source.count(all.capacity, "sources that are listed")? {
            all.listed.push(source.value()?);
        }
        all.rates = Caps::load(limits.event_rates as usize, source)?;
        let events = [Subject::EVENTS_OF_USER, Subject::EVENTS_OF_SOURCE];
        let counted = |(who, subject, _, count): (UserKey, Subject, u32, u32)| {
            who.0 != 0 && count > 0 && events.contains(&subject)
        };
        let listed = all.listed.is_sorted_by(|a, b| a < b) && all.listed.first() != Some(&0);
        if listed && all.rates.iter().all(counted) { Ok(all) } else { Err(Corrupt("invalid traffic")) }
    }
}
