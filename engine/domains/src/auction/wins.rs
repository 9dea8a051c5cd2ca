//! Wins: slots that were won and wait for their events.

use super::messages::{AuctionLimits, CreativeId, EventKind, Nanos, UserKey, WinId};
use bytemuck::{Pod, Zeroable};
use ringfence_kernel::bounded::{HashIndex, Slab, Timers};
use ringfence_kernel::{Corrupt, Sink, Source, Timestamp};

/// One slot that was won.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Win {
    /// Zero where there is none.
    pub(super) id: WinId,
    /// What its event costs.
    pub(super) price: Nanos,
    /// Who was to see it; zero when nobody knows.
    pub(super) user: UserKey,
    /// When it was won: its days and the periods of its caps are those of then.
    pub(super) at: Timestamp,
    /// When its window is over: an event at that time comes too late.
    pub(super) over: Timestamp,
    /// The places of its line item and its placement.
    pub(super) item: u32,
    pub(super) placement: u32,
    /// What is shown; zero when its line item has no creatives.
    pub(super) creative: CreativeId,
    /// A bit for each kind of event that came.
    seen: u8,
    /// 1 when its event was billed.
    pub(super) billed: u8,
    reserved: [u8; 2],
}

/// What came of the wins of a line item or a placement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Tally {
    pub(super) wins: u64,
    pub(super) impressions: u64,
    pub(super) clicks: u64,
    pub(super) conversions: u64,
    pub(super) voided: u64,
}

impl Tally {
    pub(super) fn see(&mut self, kind: EventKind) {
        match kind {
            EventKind::Impression => self.impressions += 1,
            EventKind::Click => self.clicks += 1,
            EventKind::Conversion => self.conversions += 1,
        }
    }
}

impl Win {
    /// A win of which nothing happened yet.
    pub(super) fn new(id: WinId, price: Nanos, user: UserKey, item: u32, placement: u32) -> Self {
        Self { id, price, user, item, placement, ..Self::zeroed() }
    }

    /// Notes an event; whether it is the first of its kind.
    pub(super) fn see(&mut self, kind: EventKind) -> bool {
        let new = !self.saw(kind);
        self.seen |= 1 << kind as u8;
        new
    }

    pub(super) fn saw(&self, kind: EventKind) -> bool {
        self.seen >> kind as u8 & 1 == 1
    }
}

/// All wins that wait.
#[derive(Clone, Debug)]
pub(super) struct Wins {
    wins: Slab<Win>,
    by_id: HashIndex,
    windows: Timers,
}

impl Wins {
    pub(super) fn new(limits: &AuctionLimits) -> Self {
        let capacity = limits.wins as usize;
        Self { wins: Slab::new(capacity), by_id: HashIndex::new(capacity), windows: Timers::new(capacity) }
    }

    pub(super) fn room(&self) -> usize {
        self.wins.room()
    }

    /// Adds a win, for which there is room.
    pub(super) fn add(&mut self, win: Win) {
        let index = self.wins.insert(win).expect("there is room for a win");
        self.by_id.insert(win.id.0, index).expect("there is room for a win");
        self.windows.set(index, win.over, win.id.0);
    }

    /// The win of that number, while it waits.
    #[inline]
    pub(super) fn get_mut(&mut self, id: WinId) -> Option<&mut Win> {
        self.by_id.get(id.0).map(|index| &mut self.wins[index])
    }

    /// The win of that number, while it waits.
    pub(super) fn get(&self, id: WinId) -> Option<&Win> {
        self.by_id.get(id.0).map(|index| &self.wins[index])
    }

    /// When the next window is over.
    #[inline]
    pub(super) fn next_over(&self) -> Option<Timestamp> {
        self.windows.first().map(|(over, _)| over)
    }

    /// Takes out the win whose window was over first, when one is at `now`.
    pub(super) fn take_over(&mut self, now: Timestamp) -> Option<Win> {
        let (_, index) = self.windows.first().filter(|(over, _)| *over <= now)?;
        Some(self.remove(index))
    }

    /// Takes out the win of that number, while it waits.
    pub(super) fn take(&mut self, id: WinId) -> Option<Win> {
        self.by_id.get(id.0).map(|index| self.remove(index))
    }

    fn remove(&mut self, index: u32) -> Win {
        self.windows.clear(index);
        let win = self.wins.remove(index);
        self.by_id.remove(win.id.0);
        win
    }

    /// Wins that wait, in no order that means anything.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Win> {
        self.wins.entries().iter().filter(|win| win.id.0 != 0)
    }

    pub(super) fn save(&self, sink: &mut impl Sink) {
        self.wins.save(sink);
    }

    /// What [`Wins::save`] wrote; places and sums are checked by [`super::Auction::check`].
    pub(super) fn load(limits: &AuctionLimits, source: &mut impl Source) -> Result<Self, Corrupt> {
        let mut all = Self { wins: Slab::load(limits.wins as usize, source)?, ..Self::new(limits) };
        let kinds = 1 << EventKind::Impression as u8 | 1 << EventKind::Click as u8 | 1 << EventKind::Conversion as u8;
        let (mut waiting, entries) = (0, all.wins.entries());
        for (index, win) in (0..).zip(entries).filter(|(_, win)| **win != Win::zeroed()) {
            let valid = win.id.0 != 0 && win.seen & !kinds == 0 && win.billed <= 1 && win.reserved == [0; 2];
            if !valid || all.by_id.insert(win.id.0, index) != Ok(None) {
                return Err(Corrupt("a win"));
            }
            all.windows.set(index, win.over, win.id.0);
            waiting += 1;
        }
        if waiting == all.wins.len() { Ok(all) } else { Err(Corrupt("the free list of wins")) }
    }
}
