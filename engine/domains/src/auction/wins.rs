//! Wins: slots that were won and wait for their events.

use super::messages::{AdvertiserId, AuctionLimits, CreativeId, EventKind, Nanos, TOUCHES_MAX, UserKey, WinId};
use alloc::boxed::Box;
use alloc::vec::Vec;
use bytemuck::{Pod, Zeroable};
use ringfence_kernel::bounded::{HashIndex, KeyIndex, Slab, Timers};
use ringfence_kernel::state::fold;
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
    /// When its window is over: an event at that time comes too late. Once it is closed, when it is forgotten.
    pub(super) over: Timestamp,
    /// When it was shown, and clicked, if it was.
    pub(super) shown: Timestamp,
    pub(super) clicked: Timestamp,
    /// The places of its line item and its placement.
    pub(super) item: u32,
    pub(super) placement: u32,
    /// What is shown; zero when its line item has no creatives.
    pub(super) creative: CreativeId,
    /// Whose it is, when its line item has attribution windows and its user is known: it is found by both.
    pub(super) touches: AdvertiserId,
    /// A bit for each kind of event that came.
    seen: u8,
    /// 1 when its event was billed.
    pub(super) billed: u8,
    /// 1 when its window is over: it can only be taken back.
    pub(super) closed: u8,
    reserved: [u8; 5],
}

/// What came of the wins of a line item or a placement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Tally {
    pub(super) wins: u64,
    pub(super) impressions: u64,
    pub(super) clicks: u64,
    pub(super) conversions: u64,
    pub(super) voided: u32,
    pub(super) invalid: u32,
}

impl Tally {
    /// Counts an event that is invalid.
    pub(super) fn mistrust(&mut self) {
        self.invalid = self.invalid.saturating_add(1);
    }

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

    /// Notes the first event of a kind.
    pub(super) fn see(&mut self, kind: EventKind, now: Timestamp) {
        self.seen |= 1 << kind as u8;
        match kind {
            EventKind::Impression => self.shown = now,
            EventKind::Click => self.clicked = now,
            EventKind::Conversion => {}
        }
    }

    pub(super) fn saw(&self, kind: EventKind) -> bool {
        self.seen >> kind as u8 & 1 == 1
    }
}

const NONE: u32 = u32::MAX;

fn hash(user: UserKey, advertiser: AdvertiserId) -> u64 {
    fold(fold(user.0 ^ 0x9e37_79b9_7f4a_7c15, 0xd6e8_feb8_6659_fd93) ^ u64::from(advertiser.0), 0x9fb2_1c65_1e98_df25)
}

/// All wins that wait, or are closed and can be taken back.
#[derive(Clone, Debug)]
pub(super) struct Wins {
    wins: Slab<Win>,
    by_id: HashIndex,
    windows: Timers,
    /// The latest of the wins that touch a user for an advertiser, and of each the one before and after it. Not state.
    touches: KeyIndex,
    links: Box<[[u32; 2]]>,
}

impl Wins {
    pub(super) fn new(limits: &AuctionLimits) -> Self {
        let capacity = limits.wins as usize;
        Self {
            wins: Slab::new(capacity),
            by_id: HashIndex::new(capacity),
            windows: Timers::new(capacity),
            touches: KeyIndex::new(capacity),
            links: alloc::vec![[NONE; 2]; capacity].into(),
        }
    }

    pub(super) fn room(&self) -> usize {
        self.wins.room()
    }

    /// Adds a win, for which there is room.
    pub(super) fn add(&mut self, win: Win) {
        let index = self.wins.insert(win).expect("there is room for a win");
        self.by_id.insert(win.id.0, index).expect("there is room for a win");
        self.windows.set(index, win.over, win.id.0);
        self.link(index);
    }

    /// The latest of the wins that touch a user for an advertiser.
    fn first_touch(&self, user: UserKey, advertiser: AdvertiserId) -> Option<u32> {
        let is_it = |index: u32| (self.wins[index].user, self.wins[index].touches) == (user, advertiser);
        self.touches.get(hash(user, advertiser), is_it)
    }

    /// Puts a win before those that touch the same user for the same advertiser.
    fn link(&mut self, index: u32) {
        let Win { user, touches, .. } = self.wins[index];
        if touches.0 == 0 {
            return;
        }
        let after = self.first_touch(user, touches);
        if let Some(after) = after {
            self.touches.remove(hash(user, touches), after);
            self.links[after as usize][0] = index;
        }
        self.links[index as usize] = [NONE, after.unwrap_or(NONE)];
        self.touches.insert(hash(user, touches), index).expect("there is room for a win");
    }

    fn unlink(&mut self, index: u32) {
        let Win { user, touches, .. } = self.wins[index];
        if touches.0 == 0 {
            return;
        }
        let [before, after] = self.links[index as usize];
        if after != NONE {
            self.links[after as usize][0] = before;
        }
        if before != NONE {
            self.links[before as usize][1] = after;
            return;
        }
        self.touches.remove(hash(user, touches), index);
        if after != NONE {
            self.touches.insert(hash(user, touches), after).expect("one was taken out");
        }
    }

    /// Wins that touch a user for an advertiser, the latest first, [`TOUCHES_MAX`] at most.
    pub(super) fn touching(&self, user: UserKey, advertiser: AdvertiserId) -> impl Iterator<Item = &Win> {
        let after = |index: &u32| Some(self.links[*index as usize][1]).filter(|after| *after != NONE);
        let touches = core::iter::successors(self.first_touch(user, advertiser), after).map(|index| &self.wins[index]);
        touches.take(TOUCHES_MAX)
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
        self.unlink(index);
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
            let flags = win.seen & !kinds == 0 && win.billed <= 1 && win.closed <= win.billed && win.reserved == [0; 5];
            let times = (win.saw(EventKind::Impression) || win.shown.0 == 0)
                && (win.saw(EventKind::Click) || win.clicked.0 == 0)
                && [win.shown, win.clicked].iter().all(|at| at.0 == 0 || (win.at..win.over).contains(at));
            let touches = win.touches.0 == 0 || (win.user.0 != 0 && win.closed == 0);
            let valid = win.id.0 != 0 && flags && times && touches;
            if !valid || all.by_id.insert(win.id.0, index) != Ok(None) {
                return Err(Corrupt("a win"));
            }
            all.windows.set(index, win.over, win.id.0);
            waiting += 1;
        }
        if waiting != all.wins.len() {
            return Err(Corrupt("the free list of wins"));
        }
        // Each comes before those won before it.
        let touches =
            (0..).zip(all.wins.entries()).filter(|(_, win)| win.touches.0 != 0).map(|(index, win)| (win.id, index));
        let mut touches: Vec<(WinId, u32)> = touches.collect();
        touches.sort_unstable();
        touches.into_iter().for_each(|(_, index)| all.link(index));
        Ok(all)
    }
}
