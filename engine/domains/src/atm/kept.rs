//! What is kept so that repeats are answered alike: a ring in the order in which it came, found by key.

use super::messages::BusinessDate;
use bytemuck::Pod;
use ringfence_kernel::bounded::{KeyIndex, Timers};
use ringfence_kernel::{Corrupt, Sink, Source, Timestamp};

/// Something that is kept.
pub(super) trait Keep: Pod {
    type Key: Copy + PartialEq;
    const WHAT: &'static str;
    fn key(&self) -> Self::Key;
    fn hash(key: Self::Key) -> u64;
    /// The business date that it is kept for.
    fn date(&self) -> BusinessDate;
    /// When it ends by itself; zero when it has ended, or never does by itself.
    fn deadline(&self) -> Timestamp;
    /// Whether it is not forgotten, whatever its date: money is held for it, or it is not over.
    fn is_held(&self) -> bool;
    /// Whether its fields can be as they are.
    fn is_sound(&self) -> bool;
    /// Takes the place of one that is forgotten, or a zero.
    #[inline]
    fn put(self, place: &mut Self) {
        *place = self;
    }
}

/// All that is kept of one kind.
#[derive(Clone, Debug)]
pub(super) struct Kept<T> {
    /// Zero from the number of those that are kept on; touched when it is first used.
    ring: alloc::boxed::Box<[T]>,
    capacity: u64,
    /// Numbers of the oldest that is kept and of the next one to come; a number's place is its rest by the capacity.
    first: u64,
    next: u64,
    by_key: KeyIndex,
    timers: Timers,
}

impl<T> core::ops::Index<u32> for Kept<T> {
    type Output = T;
    #[inline]
    fn index(&self, index: u32) -> &T {
        &self.ring[index as usize]
    }
}

impl<T: Keep> Kept<T> {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            ring: bytemuck::allocation::zeroed_slice_box(capacity),
            capacity: capacity as u64,
            first: 0,
            next: 0,
            by_key: KeyIndex::new(capacity),
            timers: Timers::new(capacity),
        }
    }

    #[inline]
    pub(super) fn find(&self, key: T::Key) -> Option<u32> {
        self.by_key.get(T::hash(key), |index| self[index].key() == key)
    }

    /// Which one may have `key`, without looking at it; see [`KeyIndex::guess`].
    #[inline]
    pub(super) fn guess(&self, key: T::Key) -> u32 {
        self.by_key.guess(T::hash(key))
    }

    /// The one that goes when a full ring takes one in, `nth` after the next, if none of them is held.
    #[inline]
    pub(super) fn oldest(&self, nth: u64) -> Option<&T> {
        let is_full = self.next - self.first == self.capacity;
        is_full.then(|| &self.ring[((self.first + nth) % self.capacity) as usize])
    }

    /// Whether `more` may come: there is room, or the oldest are of dates before `kept_from` and have ended. Those of them
    /// that have not are passed over.
    #[inline]
    pub(super) fn has_room(&self, more: usize, kept_from: BusinessDate) -> bool {
        self.has_room_for(more, kept_from, |_| false)
    }

    /// As [`Kept::has_room`], when those that `ends` tells will have ended by then.
    #[inline]
    pub(super) fn has_room_for(&self, more: usize, kept_from: BusinessDate, ends: impl Fn(&T) -> bool) -> bool {
        let over = (self.next - self.first + more as u64).saturating_sub(self.capacity);
        if over == 0 {
            return true;
        }
        let mut old = (self.first..self.next).map(|number| &self[(number % self.capacity) as u32]);
        let mut gone = 0;
        while let Some(oldest) = old.next().filter(|oldest| oldest.date() < kept_from) {
            gone += u64::from(!oldest.is_held() || ends(oldest));
            if gone == over {
                return true;
            }
        }
        false
    }

    /// Keeps one more, for which there is room, and gives its place; the oldest that has ended goes when the ring is full.
    #[inline]
    pub(super) fn add(&mut self, value: T) -> u32 {
        let index = if self.next - self.first == self.capacity {
            let oldest = self.pass_over_held();
            self.by_key.remove(T::hash(self[oldest].key()), oldest);
            self.first += 1;
            oldest
        } else {
            (self.next % self.capacity) as u32
        };
        value.put(&mut self.ring[index as usize]);
        self.by_key.insert(T::hash(value.key()), index).expect("as many keys as places");
        if value.deadline() != Timestamp(0) {
            self.timers.set(index, value.deadline(), self.next);
        }
        self.next += 1;
        index
    }

    /// Makes those that are held and the oldest of a full ring the latest: each stays where it is, for the place of the
    /// oldest is that of the next one. Gives the place of the oldest that is not.
    #[inline]
    fn pass_over_held(&mut self) -> u32 {
        let end = self.next;
        loop {
            let oldest = (self.first % self.capacity) as u32;
            if !self[oldest].is_held() {
                return oldest;
            }
            assert!(self.first < end, "there is room for one more");
            let deadline = self[oldest].deadline();
            if deadline != Timestamp(0) {
                self.timers.set(oldest, deadline, self.next);
            }
            (self.first, self.next) = (self.first + 1, self.next + 1);
        }
    }

    /// Changes one whose key and date stay; it ends by itself when its deadline now says.
    #[inline]
    pub(super) fn change(&mut self, index: u32, change: impl FnOnce(&mut T)) {
        let value = &mut self.ring[index as usize];
        let before = value.deadline();
        change(value);
        match value.deadline() {
            Timestamp(0) => self.timers.clear(index),
            deadline if deadline != before => self.timers.set(index, deadline, self.number(index)),
            _ => {}
        }
    }

    /// The number of the one at `index`.
    fn number(&self, index: u32) -> u64 {
        let behind = (u64::from(index) + self.capacity - self.first % self.capacity) % self.capacity;
        self.first + behind
    }

    /// The one that ends by itself next, and when.
    #[inline]
    pub(super) fn next_to_end(&self) -> Option<(Timestamp, u32)> {
        self.timers.first()
    }

    /// Those that are not forgotten, whatever their date.
    pub(super) fn held(&self) -> impl Iterator<Item = &T> {
        self.iter().filter(|value| value.is_held())
    }

    /// All that are kept, by place.
    pub(super) fn iter(&self) -> core::slice::Iter<'_, T> {
        // The ring fills once and stays full.
        self.ring[..(self.next - self.first) as usize].iter()
    }

    pub(super) fn save(&self, sink: &mut impl Sink) {
        sink.value(&self.first);
        sink.value(&self.next);
        sink.values(self.iter().as_slice());
    }

    pub(super) fn load(capacity: usize, source: &mut impl Source) -> Result<Self, Corrupt> {
        let mut kept = Self::new(capacity);
        let (first, next): (u64, u64) = (source.value()?, source.value()?);
        let count = next.checked_sub(first).ok_or(Corrupt(T::WHAT))?;
        // The ring fills once and stays full: before that its oldest is the first there ever was.
        if count > kept.capacity || count < kept.capacity && first != 0 {
            return Err(Corrupt(T::WHAT));
        }
        (kept.first, kept.next) = (first, next);
        for index in 0..count as u32 {
            let value: T = source.value()?;
            if !value.is_sound() || kept.find(value.key()).is_some() {
                return Err(Corrupt(T::WHAT));
            }
            kept.ring[index as usize] = value;
            kept.by_key.insert(T::hash(value.key()), index).expect("as many keys as places");
            if value.deadline() != Timestamp(0) {
                kept.timers.set(index, value.deadline(), kept.number(index));
            }
        }
        Ok(kept)
    }
}
