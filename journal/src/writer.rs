//! Appends batches. One thread, no allocation, no contended lock; at `Cached` no system call per batch.
//!
//! ```text
//!  begin(bytes at most) ──► push, push, ... ──► commit(count) ──► appended() rises
//!     │ None: no room yet, come again                │ dropped instead: nothing is left behind
//! ```
//!
//! A batch's body is stored first and its first word last, so a process that reads along sees it in whole or not at all.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ringfence_counters::Histogram;

use crate::error::Error;
use crate::mapping::publish;
use crate::marks::{Admission, Marks};
use crate::options::{Level, Options, SyncMode};
use crate::preparer::{Prepared, Preparer, Retired, Workshop};
use crate::segment::{
    BATCH_HEADER_BYTES, BATCH_MAGIC, BATCHES_AT, BatchHeader, CRC_FROM, IMAGE_BYTES_MIN, SegmentHeader, Tail,
    batch_crc, seed, segment_path,
};
use crate::storage::{Lock, StorageHandle};
use crate::syncer::{PARTS_MAX, Part, Pending, SyncThread};
use crate::{JournalId, Sequence};

/// The term without replication.
const TERM_SOLO: u64 = 1;

/// Bytes of the page that a segment's header has to itself.
#[expect(clippy::cast_possible_truncation, reason = "4096")]
const HEADER_PAGE: usize = BATCHES_AT as usize;

/// The one writer of a journal. It holds the directory's lock until it is dropped.
#[derive(Debug)]
pub struct Writer {
    dir: PathBuf,
    journal: JournalId,
    seed: u32,
    tail: Tail,
    current: Prepared,
    /// Where in the current segment the next batch goes.
    offset: u64,
    next_wanted: bool,
    low_water_bytes: u64,
    marks: Marks,
    admission: Admission,
    /// At `Fsync`: what was appended and is not yet on its way.
    pending: Option<Pending>,
    sync_thread: Option<SyncThread>,
    /// Without a thread: where to count how long a sync takes.
    sync_times: Option<Histogram>,
    preparer: Preparer,
    _lock: Box<dyn Lock>,
}

// Stages move to the threads that their layout gives them.
const _: () = {
    const fn is_send<T: Send>() {}
    is_send::<Writer>();
    is_send::<crate::ChainWriter>();
    is_send::<crate::Reader>();
};

/// A writer, what it shares with the chain writer, and how that wakes the preparer.
type Resumed = (Writer, Arc<Workshop>, Option<std::thread::Thread>);

/// Where recovery left the journal, for the writer to go on.
#[derive(Debug)]
pub(crate) struct Resume {
    pub(crate) storage: StorageHandle,
    pub(crate) dir: PathBuf,
    pub(crate) lock: Box<dyn Lock>,
    pub(crate) journal: JournalId,
    pub(crate) current: Prepared,
    pub(crate) offset: u64,
    pub(crate) tail: Tail,
}

impl Writer {
    /// Takes over at a tail that is durable and followed by nothing but zeros.
    pub(crate) fn resume(resume: Resume, options: &Options) -> Result<Resumed, Error> {
        let Resume { storage, dir, lock, journal, current, offset, tail } = resume;
        let marks = Marks::new(tail.sequence);
        let admission = Admission::new(options.low_water_bytes);
        let shop = Arc::new(Workshop::new(&storage, &dir, journal, options, &marks, &admission));
        let (pending, sync_thread) = match (options.level, options.sync) {
            (Level::Cached, _) => (None, None),
            (Level::Fsync, SyncMode::Inline) => (Some(Pending::new(options.buffer_bytes)), None),
            (Level::Fsync, SyncMode::Thread) => {
                let spare = Pending::new(options.buffer_bytes);
                let thread = SyncThread::start(&dir, &marks, &shop.failure, spare)?;
                (Some(Pending::new(options.buffer_bytes)), Some(thread))
            }
        };
        let preparer = Preparer::start(Arc::clone(&shop), options.prepare)?;
        let waker = preparer.waker();
        let mut writer = Writer {
            dir,
            journal,
            seed: seed(journal),
            tail,
            current,
            offset,
            next_wanted: false,
            low_water_bytes: options.low_water_bytes,
            marks,
            admission,
            pending,
            sync_thread,
            sync_times: None,
            preparer,
            _lock: lock,
        };
        writer.admission.set_remaining(writer.remaining_bytes());
        writer.want_next_in_time()?;
        Ok((writer, shop, waker))
    }

    /// Opens a batch with room for `images_bytes_max` bytes of images.
    ///
    /// `None`: there is no room yet, because the next segment is not ready, or because at `Fsync` the buffer is full
    /// until the next [`Writer::sync`]. The caller keeps its position and tries again.
    ///
    /// # Errors
    /// [`Error::BatchTooLarge`] if it can never fit; [`Error::Stopped`] after a failed sync or preparation.
    #[inline]
    pub fn begin(&mut self, images_bytes_max: usize) -> Result<Option<Batch<'_>>, Error> {
        self.preparer.shop.failure.check()?;
        let room = BATCH_HEADER_BYTES + images_bytes_max.next_multiple_of(8);
        if room as u64 > self.remaining_bytes() || !self.buffer_has_room(room) {
            self.make_room(images_bytes_max, room)?;
            if room as u64 > self.remaining_bytes() || !self.buffer_has_room(room) {
                return Ok(None);
            }
        }
        if !self.next_wanted {
            self.want_next_in_time()?;
        }
        Ok(Some(self.open_batch(room)))
    }

    /// The largest batch that [`Writer::begin`] can ever grant, in bytes of images.
    #[must_use]
    pub fn images_bytes_max(&self) -> usize {
        #[expect(clippy::cast_possible_truncation, reason = "a segment is at most 1 GiB")]
        let segment = (self.current.bytes - BATCHES_AT) as usize;
        let buffer = match &self.pending {
            Some(pending) => pending.capacity() - HEADER_PAGE,
            None => usize::MAX,
        };
        segment.min(buffer) - BATCH_HEADER_BYTES
    }

    /// Commands appended.
    #[inline]
    #[must_use]
    pub fn appended(&self) -> Sequence {
        Sequence(self.tail.sequence)
    }

    /// Commands that survive loss of power.
    #[inline]
    #[must_use]
    pub fn durable(&self) -> Sequence {
        self.marks.durable()
    }

    /// The number of the segment that is written.
    #[inline]
    #[must_use]
    pub fn segment(&self) -> u64 {
        self.current.number
    }

    /// Counts from here on how long each write and sync takes, in nanoseconds. To be called once, before the first
    /// batch; at `Cached` there is nothing to count.
    pub fn time_syncs(&mut self, times: Histogram) {
        match &self.sync_thread {
            Some(thread) => thread.time_syncs(times),
            None => self.sync_times = Some(times),
        }
    }

    /// The two marks, for other threads.
    #[must_use]
    pub fn marks(&self) -> Marks {
        self.marks.clone()
    }

    /// Whether the journal can take more, for other threads.
    #[must_use]
    pub fn admission(&self) -> Admission {
        self.admission.clone()
    }

    /// The journal's id.
    #[must_use]
    pub fn journal(&self) -> JournalId {
        self.journal
    }

    /// The directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Moves the durable mark, and returns it. To be called on every step of the stage that owns the writer.
    ///
    /// `Fsync` inline: writes and syncs all that was appended. On a thread: hands over what was appended if the thread
    /// is free, and returns at once. `Cached`: nothing to do, and no system call.
    ///
    /// # Errors
    /// [`Error::Stopped`]: a write or sync failed. It is final: the pages may be lost and marked clean.
    #[inline]
    pub fn sync(&mut self) -> Result<Sequence, Error> {
        self.preparer.shop.failure.check()?;
        if self.pending.as_ref().is_some_and(|p| !p.is_empty()) {
            self.flush()?;
        }
        Ok(self.marks.durable())
    }

    /// With [`PrepareMode::Inline`](crate::PrepareMode), does what the preparer's thread would: to be called when idle.
    ///
    /// # Errors
    /// [`Error::Stopped`] if a preparation failed for another reason than a full disk.
    pub fn maintain(&mut self) -> Result<(), Error> {
        self.preparer.shop.failure.check()?;
        self.preparer.maintain()
    }

    /// Makes everything durable, at either level, and lets go of the directory.
    ///
    /// # Errors
    /// [`Error::Stopped`] if the last sync, or anything before, failed.
    pub fn close(mut self) -> Result<(), Error> {
        let shop = Arc::clone(&self.preparer.shop);
        if let Some(thread) = &mut self.sync_thread {
            while !thread.is_idle() {
                shop.failure.check()?;
                std::thread::yield_now();
            }
            thread.stop();
        }
        self.sync_thread = None;
        self.preparer.stop();
        shop.failure.check()?;
        if self.pending.is_some() {
            return self.sync().map(|_| ());
        }
        if let Some(retired) = shop.retired.take() {
            self.sync_file(&retired.segment)?;
        }
        self.sync_file(&self.current)?;
        self.marks.raise_durable(self.tail.sequence);
        Ok(())
    }

    fn sync_file(&self, segment: &Prepared) -> Result<(), Error> {
        let synced = segment.file.sync_data();
        synced.map_err(|e| {
            let error = Error::io("sync", &segment.path)(e);
            self.preparer.shop.failure.set(error)
        })
    }

    #[inline]
    fn remaining_bytes(&self) -> u64 {
        self.current.bytes - self.offset
    }

    #[inline]
    fn buffer_has_room(&self, room: usize) -> bool {
        match &self.pending {
            // A part may have to be opened for it.
            Some(pending) => pending.used + room <= pending.capacity() && pending.parts.len() < PARTS_MAX,
            None => true,
        }
    }

    /// Goes to the next segment or hands the buffer over, as far as either is needed and possible.
    #[cold]
    fn make_room(&mut self, images_bytes_max: usize, room: usize) -> Result<(), Error> {
        let max = self.images_bytes_max();
        if images_bytes_max > max {
            return Err(Error::BatchTooLarge { bytes: images_bytes_max, max });
        }
        let rotate = room as u64 > self.remaining_bytes();
        let page = if rotate { HEADER_PAGE } else { 0 };
        if !self.buffer_has_room(room + page) {
            // Inline, the caller decides when to pay for a sync.
            let (Some(thread), Some(pending)) = (&self.sync_thread, &mut self.pending) else {
                return Ok(());
            };
            if !thread.hand_over(pending) {
                return Ok(());
            }
        }
        if rotate {
            self.rotate()?;
        }
        Ok(())
    }

    /// Starts the next segment if it is ready.
    fn rotate(&mut self) -> Result<(), Error> {
        let shop = Arc::clone(&self.preparer.shop);
        if !self.next_wanted {
            self.want_next()?;
        }
        if !shop.segment_ready.is_full() || shop.retired.is_full() {
            self.preparer.kick()?;
        }
        if shop.retired.is_full() {
            return Ok(());
        }
        let Some(mut next) = shop.segment_ready.take() else {
            return Ok(());
        };
        assert_eq!(next.number, self.current.number + 1);
        // At Fsync nothing of this segment is written before the last one is durable: see the syncer.
        let durable = match &self.pending {
            Some(_) => self.tail.sequence,
            None => self.marks.durable().0,
        };
        let header = header_after(self.journal, next.number, next.bytes, durable, &self.tail);
        match (&mut self.pending, &mut next.mapping) {
            (Some(pending), _) => {
                let start = pending.used;
                let page = &mut pending.bytes_mut()[start..start + HEADER_PAGE];
                page.fill(0);
                page[..size_of::<SegmentHeader>()].copy_from_slice(bytemuck::bytes_of(&header));
                pending.used += HEADER_PAGE;
                pending.parts.push(Part {
                    file: Arc::clone(&next.file),
                    number: next.number,
                    file_offset: 0,
                    start,
                    end: pending.used,
                });
            }
            (None, Some(mapping)) => {
                mapping.slice_mut(0..size_of::<SegmentHeader>()).copy_from_slice(bytemuck::bytes_of(&header))
            }
            (None, None) => unreachable!("a segment without a buffer is mapped"),
        }
        let end = self.tail.sequence;
        let segment = std::mem::replace(&mut self.current, next);
        shop.retired.give(Retired { segment, end });
        self.offset = BATCHES_AT;
        self.next_wanted = false;
        self.admission.set_remaining(self.remaining_bytes());
        Ok(())
    }

    /// Asks for the next segment once half of this one is used.
    fn want_next_in_time(&mut self) -> Result<(), Error> {
        let below = (self.current.bytes / 2).max(2 * self.low_water_bytes);
        if self.remaining_bytes() <= below {
            self.want_next()?;
        }
        Ok(())
    }

    #[cold]
    fn want_next(&mut self) -> Result<(), Error> {
        self.next_wanted = true;
        self.preparer.shop.want_segment(self.current.number + 1);
        self.preparer.kick()
    }

    #[inline]
    fn open_batch(&mut self, room: usize) -> Batch<'_> {
        let (region, buffer) = match (&mut self.pending, &mut self.current.mapping) {
            (Some(pending), _) => {
                let used = pending.used;
                // A part ends where the last batch ended; a buffer that was handed over leaves none.
                if pending.parts.is_empty() {
                    pending.parts.push(Part {
                        file: Arc::clone(&self.current.file),
                        number: self.current.number,
                        file_offset: self.offset,
                        start: used,
                        end: used,
                    });
                }
                let (words, buffer) = pending.split();
                (&mut words[used..used + room], Some(buffer))
            }
            (None, Some(mapping)) => {
                #[expect(clippy::cast_possible_truncation, reason = "a mapping's offset")]
                let at = self.offset as usize;
                (mapping.slice_mut(at..at + room), None)
            }
            (None, None) => unreachable!("a segment without a buffer is mapped"),
        };
        Batch {
            region,
            length: BATCH_HEADER_BYTES,
            seed: self.seed,
            segment_bytes: self.current.bytes,
            offset: &mut self.offset,
            tail: &mut self.tail,
            marks: &self.marks,
            admission: &self.admission,
            buffer,
        }
    }

    #[cold]
    #[inline(never)]
    fn flush(&mut self) -> Result<(), Error> {
        let pending = self.pending.as_mut().expect("only at Fsync");
        match &self.sync_thread {
            Some(thread) => {
                thread.hand_over(pending);
            }
            None => {
                let dir = &self.dir;
                let end = pending.end;
                pending
                    .write_out(|number| segment_path(dir, number), self.sync_times.as_mut())
                    .map_err(|error| self.preparer.shop.failure.set(error))?;
                self.marks.raise_durable(end);
            }
        }
        Ok(())
    }
}

impl Drop for Writer {
    /// Ends the threads. What was not synced stays so: dropping is not closing.
    fn drop(&mut self) {
        if let Some(thread) = &mut self.sync_thread {
            thread.stop();
        }
        self.preparer.stop();
    }
}

/// The header of a segment that goes on after `tail`.
pub(crate) fn header_after(journal: JournalId, number: u64, bytes: u64, durable: u64, tail: &Tail) -> SegmentHeader {
    SegmentHeader {
        magic: [0; 8],
        version: 0,
        crc: 0,
        journal: journal.0.to_le_bytes(),
        number,
        bytes,
        first_sequence: tail.sequence,
        durable,
        term: tail.term,
        index: tail.index,
        previous: tail.previous,
        reserved: 0,
    }
    .sealed()
}

/// What a commit changes in the private buffer.
#[derive(Debug)]
pub(crate) struct BufferCells<'a> {
    pub(crate) used: &'a mut usize,
    pub(crate) part_end: &'a mut usize,
    pub(crate) end: &'a mut u64,
}

/// A batch being filled. Dropped without [`Batch::commit`], it leaves nothing behind.
#[derive(Debug)]
pub struct Batch<'a> {
    region: &'a mut [u8],
    /// Bytes so far, with the header's.
    length: usize,
    seed: u32,
    segment_bytes: u64,
    offset: &'a mut u64,
    tail: &'a mut Tail,
    marks: &'a Marks,
    admission: &'a Admission,
    buffer: Option<BufferCells<'a>>,
}

impl Batch<'_> {
    /// Adds bytes: an image, or a piece of one in order.
    ///
    /// # Panics
    /// If more is pushed than [`Writer::begin`] was asked for.
    #[inline]
    pub fn push(&mut self, bytes: &[u8]) {
        let end = self.length + bytes.len();
        assert!(end <= self.region.len(), "more than the batch was opened for");
        self.region[self.length..end].copy_from_slice(bytes);
        self.length = end;
    }

    /// Bytes of images pushed so far.
    #[must_use]
    pub fn images_bytes(&self) -> usize {
        self.length - BATCH_HEADER_BYTES
    }

    /// Appends the batch as `count` commands and returns the appended mark.
    ///
    /// # Panics
    /// If the bytes pushed cannot be `count` whole images.
    #[inline]
    pub fn commit(mut self, count: u32) -> Sequence {
        let length = self.length;
        assert!(count > 0, "a batch has at least one command");
        assert!(length.is_multiple_of(8), "images are multiples of 8 bytes");
        assert!(length >= BATCH_HEADER_BYTES + count as usize * IMAGE_BYTES_MIN);
        let mut header = BatchHeader {
            magic: 0,
            crc: 0,
            #[expect(clippy::cast_possible_truncation, reason = "a segment is at most 1 GiB")]
            length: length as u32,
            previous: self.tail.previous,
            term: self.tail.term.max(TERM_SOLO),
            index: self.tail.index + 1,
            first_sequence: self.tail.sequence,
            durable: self.marks.durable().0,
            count,
            reserved: 0,
        };
        let batch = &mut self.region[..length];
        batch[..BATCH_HEADER_BYTES].copy_from_slice(bytemuck::bytes_of(&header));
        header.crc = batch_crc(self.seed, &batch[CRC_FROM..]);
        header.magic = BATCH_MAGIC;
        debug_assert_eq!(crate::segment::check_batch(self.seed, &header, batch), Ok(()));
        let first: &mut [u64] = bytemuck::cast_slice_mut(&mut batch[..8]);
        publish(&mut first[0], BatchHeader::word(header.magic, header.crc));
        let next = self.tail.follow(&header);
        *self.tail = next.expect("a batch made from the tail follows it");
        *self.offset += length as u64;
        if let Some(buffer) = &mut self.buffer {
            *buffer.used += length;
            *buffer.part_end = *buffer.used;
            *buffer.end = self.tail.sequence;
        }
        self.admission.set_remaining(self.segment_bytes - *self.offset);
        self.marks.set_appended(self.tail.sequence);
        // Nothing is left to take back.
        self.length = BATCH_HEADER_BYTES;
        Sequence(self.tail.sequence)
    }
}

impl Drop for Batch<'_> {
    #[inline]
    fn drop(&mut self) {
        // What follows the last batch is zero, or a reader would take it for a torn one.
        if self.length > BATCH_HEADER_BYTES {
            self.region[BATCH_HEADER_BYTES..self.length].fill(0);
        }
    }
}
