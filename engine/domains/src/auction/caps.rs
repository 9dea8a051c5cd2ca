//! Frequency caps: how often each user was shown each line item, campaign and creative in the period at hand. Exact, and no counter of a period
//! that is over takes room from one that is not.

use super::messages::{CampaignId, CapPeriod, CreativeId, DefineCampaign, DefineCreative, DefineLineItem};
use super::messages::{LineItemId, UserKey};
use alloc::vec::Vec;
use bytemuck::{Pod, Zeroable};
use ringfence_kernel::bounded::KeyIndex;
use ringfence_kernel::state::fold;
use ringfence_kernel::{Corrupt, Sink, Source, Timestamp};

const NONE: u32 = u32::MAX;
const MINUTE_NS: u64 = 60_000_000_000;
const HOUR_NS: u64 = 60 * MINUTE_NS;
/// Periods that there are, [`CapPeriod::None`] aside; a counter's list is its period's number.
const PERIODS: usize = 5;
/// The list of counters whose period is over.
const OVER: usize = PERIODS;

/// Counters that a slot may need: of its line item, its campaign and its creative.
pub(super) const COUNTERS_PER_SLOT: usize = 3;

/// What is counted: a line item, a campaign or a creative, each by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Pod, Zeroable)]
#[repr(transparent)]
pub(super) struct Subject(u32);

const KIND_SHIFT: u32 = 30;

impl Subject {
    fn item(LineItemId(id): LineItemId) -> Self {
        Self(id)
    }

    fn campaign(CampaignId(id): CampaignId) -> Self {
        Self(1 << KIND_SHIFT | id)
    }

    fn creative(CreativeId(id): CreativeId) -> Self {
        Self(2 << KIND_SHIFT | id)
    }

    /// The events of a user, and of a source, whatever they are of.
    pub(super) const EVENTS_OF_USER: Self = Self(3 << KIND_SHIFT | 1);
    pub(super) const EVENTS_OF_SOURCE: Self = Self(3 << KIND_SHIFT | 2);

    /// The one of the three that it is.
    pub(super) fn which(self) -> (Option<LineItemId>, Option<CampaignId>, Option<CreativeId>) {
        let id = self.0 & ((1 << KIND_SHIFT) - 1);
        match self.0 >> KIND_SHIFT {
            0 => (Some(LineItemId(id)), None, None),
            1 => (None, Some(CampaignId(id)), None),
            2 => (None, None, Some(CreativeId(id))),
            _ => (None, None, None),
        }
    }
}

/// A cap of something; without one its period is [`CapPeriod::None`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Cap {
    pub(super) subject: Subject,
    pub(super) period: CapPeriod,
    pub(super) most: u32,
}

impl Cap {
    /// Whether a number and a period make sense together.
    pub(super) fn is_sound(most: u32, period: CapPeriod) -> bool {
        (period != CapPeriod::None) == (most > 0)
    }

    #[inline]
    pub(super) fn of_item(terms: &DefineLineItem) -> Self {
        Self { subject: Subject::item(terms.item), period: terms.cap_period.get(), most: terms.cap }
    }

    #[inline]
    pub(super) fn of_campaign(terms: &DefineCampaign) -> Self {
        Self { subject: Subject::campaign(terms.campaign), period: terms.cap_period.get(), most: terms.cap }
    }

    pub(super) fn of_creative(terms: &DefineCreative) -> Self {
        Self { subject: Subject::creative(terms.creative), period: terms.cap_period.get(), most: terms.cap }
    }

    #[inline]
    pub(super) fn is_none(&self) -> bool {
        self.period == CapPeriod::None
    }
}

/// One user and one subject in one period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
struct Counter {
    user: UserKey,
    subject: Subject,
    /// Which hour, day or week.
    period: u32,
    count: u32,
    /// The next on its list.
    next: u32,
}

/// Counters in a row: those of one period that are alive, or those that are over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
struct List {
    first: u32,
    last: u32,
    len: u32,
    /// The period that its counters are of.
    period: u32,
}

const EMPTY: List = List { first: NONE, last: NONE, len: 0, period: 0 };

/// Which hour, day or week `now` is in.
pub(super) fn period(kind: CapPeriod, now: Timestamp) -> u32 {
    let hours = now.0 / HOUR_NS;
    let number = match kind {
        CapPeriod::None | CapPeriod::Life => 0,
        CapPeriod::Minute => now.0 / MINUTE_NS,
        CapPeriod::Hour => hours,
        CapPeriod::Day => hours / 24,
        // The epoch was a Thursday; weeks begin on Monday.
        CapPeriod::Week => (hours / 24 + 3) / 7,
    };
    number as u32
}

fn list_of(kind: CapPeriod) -> usize {
    kind as usize - CapPeriod::Hour as usize
}

/// All counters.
#[derive(Clone, Debug)]
pub(super) struct Caps {
    counters: Vec<Counter>,
    capacity: usize,
    lists: [List; PERIODS + 1],
    index: KeyIndex,
}

fn hash(user: UserKey, subject: Subject) -> u64 {
    fold(fold(user.0 ^ 0x9e37_79b9_7f4a_7c15, 0xd6e8_feb8_6659_fd93) ^ u64::from(subject.0), 0x9fb2_1c65_1e98_df25)
}

impl Caps {
    /// Room for so many counters.
    pub(super) fn new(capacity: usize) -> Self {
        let lists = [EMPTY; PERIODS + 1];
        Self { counters: Vec::with_capacity(capacity), capacity, lists, index: KeyIndex::new(capacity) }
    }

    /// Lets periods be over that are: their counters can be taken for others.
    pub(super) fn turn(&mut self, now: Timestamp) {
        for kind in [CapPeriod::Minute, CapPeriod::Hour, CapPeriod::Day, CapPeriod::Week] {
            let (at, current) = (list_of(kind), period(kind, now));
            let list = self.lists[at];
            if list.period == current {
                continue;
            }
            self.lists[at] = List { period: current, ..EMPTY };
            if list.len == 0 {
                continue;
            }
            let over = &mut self.lists[OVER];
            if over.len == 0 {
                (over.first, over.last) = (list.first, list.last);
            } else {
                self.counters[over.last as usize].next = list.first;
                over.last = list.last;
            }
            over.len += list.len;
        }
    }

    /// Counters that can be begun.
    pub(super) fn room(&self) -> usize {
        self.capacity - self.counters.len() + self.lists[OVER].len as usize
    }

    #[inline]
    fn find(&self, user: UserKey, subject: Subject, period: u32) -> Option<u32> {
        let is_it = |at: u32| {
            let counter = &self.counters[at as usize];
            counter.user == user && counter.subject == subject && counter.period == period
        };
        self.index.get(hash(user, subject), is_it)
    }

    /// Whether a user may be shown no more of what `cap` counts, or cannot be counted: a counter
    /// would have to be begun and none `can_begin`.
    pub(super) fn is_reached(&self, cap: &Cap, user: UserKey, now: Timestamp, can_begin: bool) -> bool {
        if cap.is_none() {
            return false;
        }
        match self.count(user, cap.subject, period(cap.period, now)) {
            _ if user.0 == 0 => true,
            Some(count) => count >= cap.most,
            None => !can_begin,
        }
    }

    /// How often `user` was shown `subject` in a period; none where nothing was ever counted.
    #[inline]
    fn count(&self, user: UserKey, subject: Subject, period: u32) -> Option<u32> {
        self.find(user, subject, period).map(|at| self.counters[at as usize].count)
    }

    /// Whether a user has a counter of what `cap` counts.
    pub(super) fn is_counted(&self, cap: &Cap, user: UserKey, now: Timestamp) -> bool {
        self.count(user, cap.subject, period(cap.period, now)).is_some()
    }

    /// Counts one more in the period at hand. There is room for it.
    pub(super) fn add(&mut self, user: UserKey, cap: &Cap, now: Timestamp) {
        let (subject, period) = (cap.subject, period(cap.period, now));
        if let Some(at) = self.find(user, subject, period) {
            self.counters[at as usize].count += 1;
            return;
        }
        let counter = Counter { user, subject, period, count: 1, next: NONE };
        let at = if self.counters.len() < self.capacity {
            self.counters.push(counter);
            self.counters.len() as u32 - 1
        } else {
            let over = &mut self.lists[OVER];
            assert!(over.len > 0, "there is room for a counter");
            let at = over.first;
            let old = core::mem::replace(&mut self.counters[at as usize], counter);
            *over = List { first: old.next, len: over.len - 1, ..*over };
            if over.len == 0 {
                *over = EMPTY;
            }
            self.index.remove(hash(old.user, old.subject), at);
            at
        };
        self.index.insert(hash(user, subject), at).expect("there is room for a counter");
        let list = &mut self.lists[list_of(cap.period)];
        debug_assert_eq!(list.period, period, "what is counted is of the period at hand");
        let last = core::mem::replace(&mut list.last, at);
        list.len += 1;
        if last == NONE {
            list.first = at;
        } else {
            self.counters[last as usize].next = at;
        }
    }

    /// Takes one back that was won at `then` and not shown; a counter that serves another period by now stays as it is.
    pub(super) fn take_back(&mut self, user: UserKey, cap: &Cap, then: Timestamp) {
        if let Some(at) = self.find(user, cap.subject, period(cap.period, then)) {
            self.counters[at as usize].count -= 1;
        }
    }

    pub(super) fn save(&self, sink: &mut impl Sink) {
        sink.values(&self.lists);
        sink.value(&(self.counters.len() as u64));
        sink.values(&self.counters);
    }

    /// What [`Caps::save`] wrote; counts and line items are checked by [`super::Auction::check`].
    pub(super) fn load(capacity: usize, source: &mut impl Source) -> Result<Self, Corrupt> {
        let mut all = Self::new(capacity);
        all.lists = source.value()?;
        for _ in 0..source.count(all.capacity, "counters of caps")? {
            all.counters.push(source.value()?);
        }
        let mut listed = alloc::vec![false; all.counters.len()];
        for (kind, list) in all.lists.iter().enumerate() {
            let (mut at, mut last) = (list.first, NONE);
            for _ in 0..list.len {
                let counter = all.counters.get(at as usize).ok_or(Corrupt("a list of counters"))?;
                if core::mem::replace(&mut listed[at as usize], true) {
                    return Err(Corrupt("a counter on two lists"));
                }
                if kind != OVER {
                    let found = all.index.get(hash(counter.user, counter.subject), |other| {
                        let other = &all.counters[other as usize];
                        (other.user, other.subject, other.period) == (counter.user, counter.subject, counter.period)
                    });
                    if counter.period != list.period || found.is_some() {
                        return Err(Corrupt("the period of a counter"));
                    }
                }
                all.index.insert(hash(counter.user, counter.subject), at).map_err(|_| Corrupt("counters"))?;
                (last, at) = (at, counter.next);
            }
            // The last of a list has none after it, or, in the list of those that are over, none that counts.
            let ends = if list.len == 0 { list.first == NONE && list.last == NONE } else { last == list.last };
            if !ends || at != NONE || (kind == OVER && list.period != 0) {
                return Err(Corrupt("the end of a list of counters"));
            }
        }
        if listed.iter().all(|listed| *listed) { Ok(all) } else { Err(Corrupt("a counter on no list")) }
    }

    /// How often everybody was shown everything, over all counters.
    pub(super) fn iter(&self) -> impl Iterator<Item = (UserKey, Subject, u32, u32)> {
        self.counters.iter().map(|counter| (counter.user, counter.subject, counter.period, counter.count))
    }

    /// What is counted in periods that are not over, and in which kind of periods.
    pub(super) fn running(&self) -> impl Iterator<Item = (Subject, CapPeriod)> {
        let kinds = [CapPeriod::Hour, CapPeriod::Day, CapPeriod::Week, CapPeriod::Life, CapPeriod::Minute];
        kinds.into_iter().flat_map(move |kind| {
            let first = self.lists[list_of(kind)].first;
            let next = |at: &u32| Some(self.counters[*at as usize].next).filter(|next| *next != NONE);
            let list = core::iter::successors(Some(first).filter(|first| *first != NONE), next);
            list.map(move |at| (self.counters[at as usize].subject, kind))
        })
    }
}
