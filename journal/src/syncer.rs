//! Writes and syncs what was appended at `Fsync`: called inline, or on a thread that is handed whole buffers.
//!
//! ```text
//!  writer: appends to one buffer ── sync() ──► thread: pwrite ..., fdatasync ──► durable mark
//!     ▲                                                                 │
//!     └────────────────────── the other buffer, empty ◄─────────────────┘
//! ```
//!
//! One sync covers all that was appended; there is no timer. A segment is synced before a byte of the next is written,
//! so the header of a segment is a witness for everything before it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use crossbeam_utils::Backoff;
use ringfence_counters::Histogram;

use crate::error::Error;
use crate::handoff::{Failure, Handoff};
use crate::knobs;
use crate::marks::Marks;
use crate::storage::FileHandle;
use crate::writer::BufferCells;

/// A buffer spans at most this many segments.
pub(crate) const PARTS_MAX: usize = 8;

/// Consecutive bytes of a buffer that go to one place of one file.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) file: FileHandle,
    pub(crate) number: u64,
    pub(crate) file_offset: u64,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// Appended bytes on their way to the disk.
#[derive(Debug)]
pub(crate) struct Pending {
    words: Box<[u64]>,
    pub(crate) used: usize,
    pub(crate) parts: Vec<Part>,
    /// The mark reached once this is durable.
    pub(crate) end: u64,
}

impl Pending {
    pub(crate) fn new(bytes: usize) -> Pending {
        Pending {
            words: vec![0; bytes.div_ceil(8)].into_boxed_slice(),
            used: 0,
            parts: Vec::with_capacity(PARTS_MAX),
            end: 0,
        }
    }

    pub(crate) fn capacity(&self) -> usize {
        self.words.len() * 8
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        bytemuck::cast_slice_mut(&mut self.words)
    }

    /// The bytes, and beside them what a commit changes; the last part is the one that grows.
    pub(crate) fn split(&mut self) -> (&mut [u8], BufferCells<'_>) {
        let part = self.parts.last_mut().expect("opened with the batch");
        let cells = BufferCells { used: &mut self.used, part_end: &mut part.end, end: &mut self.end };
        (bytemuck::cast_slice_mut(&mut self.words), cells)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.used == 0
    }

    fn clear(&mut self) {
        self.used = 0;
        self.parts.clear();
    }

    /// Writes and syncs everything, a segment before the next one's first byte; then the buffer is empty. `times` hears
    /// how long that took.
    pub(crate) fn write_out(
        &mut self,
        paths: impl Fn(u64) -> PathBuf,
        times: Option<&mut Histogram>,
    ) -> Result<(), Error> {
        let begun = Instant::now();
        let bytes: &[u8] = bytemuck::cast_slice(&self.words);
        let mut written: Option<&Part> = None;
        for part in &self.parts {
            if part.start == part.end {
                continue;
            }
            if let Some(before) = written
                && before.number != part.number
            {
                sync(before, &paths)?;
            }
            part.file
                .write_at(&bytes[part.start..part.end], part.file_offset)
                .map_err(|e| Error::io("write", &paths(part.number))(e))?;
            written = Some(part);
        }
        if let Some(last) = written {
            sync(last, &paths)?;
            if let Some(times) = times {
                times.record(u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX));
            }
        }
        self.clear();
        Ok(())
    }
}

fn sync(part: &Part, paths: &impl Fn(u64) -> PathBuf) -> Result<(), Error> {
    if knobs::skip_sync() {
        return Ok(());
    }
    part.file.sync_data().map_err(|e| Error::io("sync", &paths(part.number))(e))
}

#[derive(Debug)]
struct Shared {
    dir: PathBuf,
    marks: Marks,
    failure: Arc<Failure>,
    handed: Handoff<Pending>,
    returned: Handoff<Pending>,
    /// Where the thread is to count how long its syncs take.
    times: Handoff<Histogram>,
    stop: AtomicBool,
}

/// The sync thread, seen from the writer.
#[derive(Debug)]
pub(crate) struct SyncThread {
    shared: Arc<Shared>,
    thread: Option<thread::JoinHandle<()>>,
}

impl SyncThread {
    pub(crate) fn start(
        dir: &std::path::Path,
        marks: &Marks,
        failure: &Arc<Failure>,
        spare: Pending,
    ) -> Result<SyncThread, Error> {
        let shared = Arc::new(Shared {
            dir: dir.to_path_buf(),
            marks: marks.clone(),
            failure: Arc::clone(failure),
            handed: Handoff::new(),
            returned: Handoff::new(),
            times: Handoff::new(),
            stop: AtomicBool::new(false),
        });
        shared.returned.give(spare);
        let theirs = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("sync".into())
            .spawn(move || sync_until_stopped(&theirs))
            .map_err(Error::io("start the sync thread of", dir))?;
        Ok(SyncThread { shared, thread: Some(thread) })
    }

    /// Swaps the full buffer for the empty one, if the thread is done with that.
    pub(crate) fn hand_over(&self, current: &mut Pending) -> bool {
        let Some(empty) = self.shared.returned.take() else {
            return false;
        };
        assert!(empty.is_empty(), "a buffer comes back empty");
        let full = std::mem::replace(current, empty);
        self.shared.handed.give(full);
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
        true
    }

    /// Has the thread count how long its syncs take.
    pub(crate) fn time_syncs(&self, times: Histogram) {
        self.shared.times.give(times);
    }

    /// Whether the thread holds nothing unsynced.
    pub(crate) fn is_idle(&self) -> bool {
        self.shared.returned.is_full()
    }

    pub(crate) fn stop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

fn sync_until_stopped(shared: &Shared) {
    let backoff = Backoff::new();
    let mut times = None;
    loop {
        if let Some(mut pending) = shared.handed.take() {
            times = times.or_else(|| shared.times.take());
            let end = pending.end;
            let path = |number| crate::segment::segment_path(&shared.dir, number);
            if let Err(error) = pending.write_out(path, times.as_mut()) {
                // Nothing retries over it; the writer meets it at its next call.
                shared.failure.set(error);
                return;
            }
            shared.marks.raise_durable(end);
            shared.returned.give(pending);
            backoff.reset();
        } else if shared.stop.load(Ordering::Acquire) {
            return;
        } else if backoff.is_completed() {
            thread::park();
            backoff.reset();
        } else {
            backoff.snooze();
        }
    }
}
