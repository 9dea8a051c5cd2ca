//! What other threads may know about a writer, at the price of a load.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use crossbeam_utils::CachePadded;

use crate::Sequence;

#[derive(Debug)]
struct MarkCells {
    appended: CachePadded<AtomicU64>,
    durable: CachePadded<AtomicU64>,
}

/// How far a writer is. Clones read the same marks; both only grow.
#[derive(Clone, Debug)]
pub struct Marks(Arc<MarkCells>);

impl Marks {
    pub(crate) fn new(at: u64) -> Marks {
        Marks(Arc::new(MarkCells {
            appended: CachePadded::new(AtomicU64::new(at)),
            durable: CachePadded::new(AtomicU64::new(at)),
        }))
    }

    /// Commands appended.
    #[inline]
    #[must_use]
    pub fn appended(&self) -> Sequence {
        Sequence(self.0.appended.load(Ordering::Acquire))
    }

    /// Commands that survive loss of power. At `Cached` it moves when a full segment has been synced, and at close.
    #[inline]
    #[must_use]
    pub fn durable(&self) -> Sequence {
        Sequence(self.0.durable.load(Ordering::Acquire))
    }

    #[inline]
    pub(crate) fn set_appended(&self, mark: u64) {
        self.0.appended.store(mark, Ordering::Release);
    }

    pub(crate) fn raise_durable(&self, mark: u64) {
        self.0.durable.fetch_max(mark, Ordering::AcqRel);
    }
}

/// What is known about the next segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Next {
    /// Prepared, or about to be.
    Coming = 0,
    /// The disk has no room for it.
    NoSpace = 1,
}

#[derive(Debug)]
struct AdmissionCells {
    low_water_bytes: u64,
    remaining_bytes: CachePadded<AtomicU64>,
    next: AtomicU8,
}

/// Whether the journal can take what the rings may still hold. Asked before a command is sequenced, by any thread.
#[derive(Clone, Debug)]
pub struct Admission(Arc<AdmissionCells>);

impl Admission {
    pub(crate) fn new(low_water_bytes: u64) -> Admission {
        Admission(Arc::new(AdmissionCells {
            low_water_bytes,
            remaining_bytes: CachePadded::new(AtomicU64::new(u64::MAX)),
            next: AtomicU8::new(Next::Coming as u8),
        }))
    }

    /// False from when no next segment can be had and the current one is down to the low-water mark, until there is one.
    #[inline]
    #[must_use]
    pub fn accepts(&self) -> bool {
        self.0.next.load(Ordering::Acquire) == Next::Coming as u8
            || self.0.remaining_bytes.load(Ordering::Acquire) >= self.0.low_water_bytes
    }

    #[inline]
    pub(crate) fn set_remaining(&self, bytes: u64) {
        self.0.remaining_bytes.store(bytes, Ordering::Release);
    }

    pub(crate) fn set_next(&self, next: Next) {
        self.0.next.store(next as u8, Ordering::Release);
    }
}
