//! What an operator chooses about a journal.

use crate::error::Error;
use crate::segment::{BATCHES_AT, SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN};
use crate::{JournalId, Sequence};

/// What an appended command survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// The end of the process: batches are stored into a mapping and are the page cache's from then on.
    Cached,
    /// Loss of power: batches wait in a private buffer until `sync` has written and synced them.
    Fsync,
}

/// Who makes the sync calls at [`Level::Fsync`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncMode {
    /// The thread that calls [`Writer::sync`](crate::Writer::sync).
    Inline,
    /// A thread of its own; `sync` hands it the buffer and returns the mark reached so far.
    Thread,
}

/// Who allocates the next segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PrepareMode {
    /// The writer's thread, in `begin` and `maintain`: for tests and simulation.
    Inline,
    /// A thread of its own.
    Thread,
}

/// Options of [`open`](crate::open).
#[derive(Clone, Debug)]
pub struct Options {
    /// What an appended command survives.
    pub level: Level,
    /// Who syncs.
    pub sync: SyncMode,
    /// Who prepares segments.
    pub prepare: PrepareMode,
    /// Bytes of each new segment: a multiple of 4096 from 64 KiB to 1 GiB. Existing segments keep theirs.
    pub segment_bytes: u64,
    /// Room below which, with no next segment to be had, [`Admission`](crate::Admission) closes. It has to cover what the
    /// rings may hold, and is at most half a segment.
    pub low_water_bytes: u64,
    /// Bytes of each private buffer at [`Level::Fsync`]; bounds one batch.
    pub buffer_bytes: usize,
    /// At [`Level::Fsync`], write the zeros of a new segment at once: a later fdatasync then changes no metadata.
    pub prewrite: bool,
    /// The id of a journal created by this call; drawn at random if `None`.
    pub id: Option<JournalId>,
    /// Recovery verifies from here on, and refuses a journal that ends before: the sequence of the snapshot to be loaded.
    pub verify_from: Sequence,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            level: Level::Cached,
            sync: SyncMode::Inline,
            prepare: PrepareMode::Thread,
            segment_bytes: 64 << 20,
            low_water_bytes: 8 << 20,
            buffer_bytes: 8 << 20,
            prewrite: true,
            id: None,
            verify_from: Sequence(0),
        }
    }
}

impl Options {
    /// Small segments, everything on the caller's thread: for tests.
    #[must_use]
    pub fn small(level: Level) -> Options {
        Options {
            level,
            sync: SyncMode::Inline,
            prepare: PrepareMode::Inline,
            segment_bytes: SEGMENT_BYTES_MIN,
            low_water_bytes: 16 << 10,
            buffer_bytes: 64 << 10,
            prewrite: false,
            id: None,
            verify_from: Sequence(0),
        }
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        let sound = self.segment_bytes.is_multiple_of(4096)
            && (SEGMENT_BYTES_MIN..=SEGMENT_BYTES_MAX).contains(&self.segment_bytes);
        if !sound {
            return Err(Error::Options("a segment is a multiple of 4096 bytes, from 64 KiB to 1 GiB"));
        }
        if self.low_water_bytes > (self.segment_bytes - BATCHES_AT) / 2 {
            return Err(Error::Options("the low-water mark is more than half a segment"));
        }
        if self.buffer_bytes < 16 << 10 || self.buffer_bytes > 1 << 30 {
            return Err(Error::Options("a buffer has from 16 KiB to 1 GiB"));
        }
        Ok(())
    }
}
