//! Reports by the hour: what came of a line item at a placement, and of all of a placement, in each hour of the log. The hours
//! that are oldest make room for new ones, and are known to be forgotten.

use super::messages::{AuctionLimits, EventKind, HourReport, LineItemId, Nanos, PlacementId};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use bytemuck::{Pod, Zeroable};
use ringfence_kernel::bounded::KeyIndex;
use ringfence_kernel::state::fold;
use ringfence_kernel::{Corrupt, Sink, Source, Timestamp};

const HOUR_NS: u64 = 3_600_000_000_000;

/// What came of a line item, or of all for number 0, at a placement in an hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Hour {
    item: LineItemId,
    placement: PlacementId,
    /// Hours since the epoch.
    hour: u32,
    wins: u32,
    impressions: u32,
    clicks: u32,
    conversions: u32,
    invalid: u32,
    auctions: u64,
    billed: Nanos,
    credited: Nanos,
}

type Key = (LineItemId, PlacementId, u32);

impl Hour {
    fn key(&self) -> Key {
        (self.item, self.placement, self.hour)
    }

    pub(super) fn hold(&mut self) {
        self.auctions += 1;
    }

    pub(super) fn win(&mut self) {
        self.wins = self.wins.saturating_add(1);
    }

    pub(super) fn mistrust(&mut self) {
        self.invalid = self.invalid.saturating_add(1);
    }

    pub(super) fn see(&mut self, kind: EventKind) {
        let count = match kind {
            EventKind::Impression => &mut self.impressions,
            EventKind::Click => &mut self.clicks,
            EventKind::Conversion => &mut self.conversions,
        };
        *count = count.saturating_add(1);
    }

    pub(super) fn bill(&mut self, amount: Nanos) {
        self.billed.0 = self.billed.0.saturating_add(amount.0);
    }

    pub(super) fn credit(&mut self, amount: Nanos) {
        self.credited.0 = self.credited.0.saturating_add(amount.0);
    }
}

fn hash((item, placement, hour): Key) -> u64 {
    let of_both = u64::from(item.0) << 32 | u64::from(placement.0);
    fold(fold(of_both ^ 0x9e37_79b9_7f4a_7c15, 0xd6e8_feb8_6659_fd93) ^ u64::from(hour), 0x9fb2_1c65_1e98_df25)
}

/// Hours in the order in which they began; when all room is taken, `oldest` is where the first of them stands.
#[derive(Clone, Debug)]
pub(super) struct Hours {
    hours: Vec<Hour>,
    capacity: usize,
    oldest: u32,
    /// The hour before which, and in which, something may be forgotten, plus one; zero when nothing is.
    forgotten: u32,
    index: KeyIndex,
    /// Where the hour last stood that was counted in, of each placement, and of each line item at any placement: most often it
    /// is the one that is counted in next. Not state, and looked at before it is believed.
    latest: [Box<[u32]>; 2],
}

impl Hours {
    pub(super) fn new(limits: &AuctionLimits) -> Self {
        let capacity = limits.hours as usize;
        let (hours, index) = (Vec::with_capacity(capacity), KeyIndex::new(capacity));
        let latest = [limits.placements, limits.line_items].map(|count| alloc::vec![0; count as usize].into());
        Self { hours, capacity, oldest: 0, forgotten: 0, index, latest }
    }

    fn find(&self, key: Key) -> Option<u32> {
        self.index.get(hash(key), |at| self.hours[at as usize].key() == key)
    }

    /// Counts what happens now to a line item at a placement: for it, unless its number is 0, and for the placement.
    #[inline]
    pub(super) fn note(
        &mut self,
        item: LineItemId,
        placement: PlacementId,
        now: Timestamp,
        mut what: impl FnMut(&mut Hour),
    ) {
        let hour = (now.0 / HOUR_NS) as u32;
        what(self.at((LineItemId(0), placement, hour)));
        if item.0 != 0 {
            what(self.at((item, placement, hour)));
        }
    }

    fn at(&mut self, key: Key) -> &mut Hour {
        let (item, placement, _) = key;
        let (kind, of) = if item.0 == 0 { (0, placement.0) } else { (1, item.0) };
        let mut at = self.latest[kind][of as usize - 1];
        if self.hours.get(at as usize).is_none_or(|hour| hour.key() != key) {
            at = self.find(key).unwrap_or_else(|| self.begin(key));
            self.latest[kind][of as usize - 1] = at;
        }
        &mut self.hours[at as usize]
    }

    fn begin(&mut self, key: Key) -> u32 {
        let (item, placement, hour) = key;
        let new = Hour { item, placement, hour, ..Hour::zeroed() };
        let at = if self.hours.len() < self.capacity {
            self.hours.push(new);
            self.hours.len() as u32 - 1
        } else {
            let at = self.oldest;
            let old = core::mem::replace(&mut self.hours[at as usize], new);
            self.index.remove(hash(old.key()), at);
            self.forgotten = old.hour + 1;
            self.oldest = (at + 1) % self.capacity as u32;
            at
        };
        self.index.insert(hash(key), at).expect("there is room for an hour");
        at
    }

    /// What came of a line item, or of all, at a placement in an hour; none when some of that hour may be forgotten.
    pub(super) fn report(&self, item: LineItemId, placement: PlacementId, hour: u32) -> Option<HourReport> {
        if hour < self.forgotten {
            return None;
        }
        let of = |item| self.find((item, placement, hour)).map_or(Hour::zeroed(), |at| self.hours[at as usize]);
        let Hour { wins, impressions, clicks, conversions, invalid, billed, credited, .. } = of(item);
        let auctions = of(LineItemId(0)).auctions;
        Some(HourReport {
            billed,
            credited,
            auctions,
            wins,
            impressions,
            clicks,
            conversions,
            invalid,
            item,
            placement,
            hour,
        })
    }

    /// What was counted in all, of each line item and, by line item 0, of each placement; none when an hour may be forgotten.
    pub(super) fn sums(&self) -> Option<BTreeMap<(LineItemId, PlacementId), [u64; 5]>> {
        let mut sums = BTreeMap::<_, [u64; 5]>::new();
        for hour in &self.hours {
            let of = if hour.item.0 == 0 { (hour.item, hour.placement) } else { (hour.item, PlacementId(0)) };
            let Hour { wins, impressions, clicks, conversions, invalid, .. } = *hour;
            let counts = [wins, impressions, clicks, conversions, invalid].map(u64::from);
            sums.entry(of).or_default().iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        }
        (self.forgotten == 0).then_some(sums)
    }

    pub(super) fn save(&self, sink: &mut impl Sink) {
        sink.values(&[self.oldest, self.forgotten]);
        sink.value(&(self.hours.len() as u64));
        sink.values(&self.hours);
    }

    /// What [`Hours::save`] wrote.
    pub(super) fn load(limits: &AuctionLimits, source: &mut impl Source) -> Result<Self, Corrupt> {
        let mut all = Self::new(limits);
        (all.oldest, all.forgotten) = (source.value()?, source.value()?);
        for at in 0..source.count(all.capacity, "hours")? {
            let hour: Hour = source.value()?;
            // There is one after it.
            if hour.placement.0 == 0 || hour.hour == u32::MAX || all.find(hour.key()).is_some() {
                return Err(Corrupt("an hour"));
            }
            all.index.insert(hash(hour.key()), at as u32).map_err(|_| Corrupt("hours"))?;
            all.hours.push(hour);
        }
        let full = all.hours.len() == all.capacity;
        let (newer, older) = match all.hours.split_at_checked(all.oldest as usize) {
            Some((newer, older)) if !older.is_empty() || all.oldest == 0 => (newer, older),
            _ => return Err(Corrupt("the oldest hour")),
        };
        let in_order = older.iter().chain(newer).map(|hour| hour.hour).is_sorted();
        let forgets = all.forgotten == 0 && all.oldest == 0 || full && all.forgotten > 0;
        let kept = older.first().is_none_or(|first| all.forgotten <= first.hour.saturating_add(1));
        if in_order && forgets && kept { Ok(all) } else { Err(Corrupt("the order of hours")) }
    }
}
