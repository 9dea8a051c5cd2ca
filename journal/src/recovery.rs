//! Opens a journal: creates it, or finds the end of what it holds and decides whether the rest may be cut.
//!
//! ```text
//!   sound batches ──────────────► bad place ─── anything after it that says "durable beyond here"? ──► refuse, name it
//!                                     └──────── nothing ──► the last commit, never acknowledged ──► cut it, zero it
//! ```

use std::path::Path;
use std::sync::Arc;

use crate::chain::ChainWriter;
use crate::error::{Error, Fault, Place};
use crate::knobs;
use crate::options::{Level, Options};
use crate::preparer::{Prepared, create_segment, map_segment};
use crate::reader::{Reader, header_fault, numbers, read_header, segment_numbers};
use crate::segment::{
    BATCH_HEADER_BYTES, BATCH_MAGIC, BATCHES_AT, BatchHeader, CRC_FROM, SEGMENT_BYTES_MIN, SegmentHeader, Tail,
    batch_bytes, batch_crc, seed, segment_path,
};
use crate::storage::{FileHandle, StorageHandle};
use crate::writer::{Resume, Writer, header_after};
use crate::{JournalId, Sequence};

/// A journal ready to be appended to.
#[derive(Debug)]
pub struct Opened {
    /// Appends commands.
    pub writer: Writer,
    /// Records the output chain beside them.
    pub chain: ChainWriter,
    /// What was found.
    pub recovered: Recovered,
}

/// What [`open`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// The journal's id.
    pub journal: JournalId,
    /// Whether the journal was created by this call.
    pub created: bool,
    /// The oldest sequence kept.
    pub oldest: Sequence,
    /// The sequence of the next command; everything below is durable now.
    pub next_sequence: Sequence,
    /// What the headers read during recovery witnessed as durable before.
    pub witnessed: Sequence,
    /// What was cut, if anything was.
    pub cut: Option<Cut>,
}

/// A commit that was being written when the process or the power ended, and that nothing had witnessed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Where it started.
    pub place: Place,
    /// Why it could not be read.
    pub what: Fault,
    /// Bytes from there to the last byte that was not zero, over all segments.
    pub bytes: u64,
}

/// The lock file's name.
const LOCK: &str = "journal.lock";

/// Creates the journal in `dir`, or recovers the one that is there, and takes its lock.
///
/// Recovery verifies from the segment that holds [`Options::verify_from`] to the end; [`verify`](crate::verify) checks
/// everything. When it returns, all that it kept is durable and nothing but zeros follows.
///
/// # Errors
/// [`Error::Locked`]; [`Error::Corrupt`] with the place if durable history is damaged; [`Error::TooOld`] or
/// [`Error::Corrupt`] if `verify_from` is not in it; [`Error::Options`], [`Error::Version`], [`Error::Io`].
pub fn open(storage: &StorageHandle, dir: &Path, options: &Options) -> Result<Opened, Error> {
    options.check()?;
    storage.create_dir(dir).map_err(Error::io("create directory", dir))?;
    let lock_path = dir.join(LOCK);
    let lock = storage
        .lock(&lock_path)
        .map_err(Error::io("lock", &lock_path))?
        .ok_or_else(|| Error::Locked { dir: dir.to_path_buf() })?;
    remove_unfinished(storage, dir)?;

    let segments = segment_numbers(storage, dir)?;
    let (recovered, current, offset, tail) = if segments.is_empty() {
        refuse_lost_journal(storage, dir, options)?;
        create(storage, dir, options)?
    } else {
        recover(storage, dir, options, &segments)?
    };
    let resume = Resume {
        storage: Arc::clone(storage),
        dir: dir.to_path_buf(),
        lock,
        journal: recovered.journal,
        current,
        offset,
        tail,
    };
    let (writer, shop, waker) = Writer::resume(resume, options)?;
    let chain = ChainWriter::open(storage, dir, recovered.journal, recovered.next_sequence, shop, waker)?;
    Ok(Opened { writer, chain, recovered })
}

/// Files that were being made have no name that counts. A snapshot process that outlived its engine finds its file gone,
/// fails, and is started again.
fn remove_unfinished(storage: &StorageHandle, dir: &Path) -> Result<(), Error> {
    for name in storage.list(dir).map_err(Error::io("list", dir))? {
        if name.ends_with(".preparing") || name.ends_with(".snapshot.partial") {
            let path = dir.join(name);
            storage.remove(&path).map_err(Error::io("remove", &path))?;
        }
    }
    Ok(())
}

/// No segment at all: a new journal, unless something says that there was one.
fn refuse_lost_journal(storage: &StorageHandle, dir: &Path, options: &Options) -> Result<(), Error> {
    let snapshots = numbers(storage, dir, "snapshot")?;
    let floor = snapshots.last().copied().unwrap_or(0);
    let floor = floor.max(options.verify_from.0);
    if floor == 0 && snapshots.is_empty() {
        return Ok(());
    }
    Err(Error::Corrupt {
        place: Place { file: segment_path(dir, 0), offset: 0, sequence: Sequence(0) },
        what: Fault::Missing,
        witnessed: Some(Sequence(floor)),
    })
}

type Found = (Recovered, Prepared, u64, Tail);

fn create(storage: &StorageHandle, dir: &Path, options: &Options) -> Result<Found, Error> {
    let journal = match options.id {
        Some(id) => id,
        None => random_id(dir)?,
    };
    let tail = Tail { sequence: 0, index: 0, term: 0, previous: seed(journal) };
    let header = header_after(journal, 0, options.segment_bytes, 0, &tail);
    let current = create_segment(
        storage,
        dir,
        0,
        options.segment_bytes,
        options.level,
        options.prewrite,
        bytemuck::bytes_of(&header),
    )?;
    let recovered = Recovered {
        journal,
        created: true,
        oldest: Sequence(0),
        next_sequence: Sequence(0),
        witnessed: Sequence(0),
        cut: None,
    };
    Ok((recovered, current, BATCHES_AT, tail))
}

fn random_id(dir: &Path) -> Result<JournalId, Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|error| Error::io("draw an id for", dir)(std::io::Error::other(error.to_string())))?;
    Ok(JournalId(u128::from_le_bytes(bytes)))
}

fn recover(storage: &StorageHandle, dir: &Path, options: &Options, segments: &[u64]) -> Result<Found, Error> {
    refuse_gaps(dir, segments)?;
    let oldest = read_header(storage, dir, segments[0])?.map_err(|what| header_fault(dir, segments[0], what))?;

    let mut reader = Reader::open(storage, dir, options.verify_from).map_err(behind_snapshot(dir))?;
    while reader.next_batch()?.is_some() {}

    // A snapshot is written only once the commands below it are durable.
    let snapshots = numbers(storage, dir, "snapshot")?;
    let floor = Sequence(snapshots.last().copied().unwrap_or(0));
    if reader.position() < floor {
        return Err(Error::Corrupt { place: reader.place(), what: Fault::BehindSnapshot, witnessed: Some(floor) });
    }
    let cut = cut_rest(storage, dir, &reader, segments)?;
    for &number in segments.iter().filter(|&&number| number <= reader.number()) {
        let path = segment_path(dir, number);
        let file = storage.open_writable(&path).map_err(Error::io("open", &path))?;
        file.sync_data().map_err(Error::io("sync", &path))?;
    }
    let current = reopen(storage, dir, &reader, options)?;
    let recovered = Recovered {
        journal: reader.journal(),
        created: false,
        oldest: Sequence(oldest.first_sequence),
        next_sequence: reader.position(),
        witnessed: reader.witnessed().max(floor),
        cut,
    };
    Ok((recovered, current, reader.offset(), reader.tail()))
}

/// A journal that ends before the sequence it must be verified from has lost durable history.
fn behind_snapshot(dir: &Path) -> impl FnOnce(Error) -> Error + '_ {
    move |error| match error {
        Error::PastEnd { asked, end } => Error::Corrupt {
            place: Place { file: dir.to_path_buf(), offset: 0, sequence: end },
            what: Fault::BehindSnapshot,
            witnessed: Some(asked),
        },
        other => other,
    }
}

fn refuse_gaps(dir: &Path, segments: &[u64]) -> Result<(), Error> {
    for pair in segments.windows(2) {
        if pair[1] != pair[0] + 1 {
            return Err(header_fault(dir, pair[0] + 1, Fault::Missing));
        }
    }
    Ok(())
}

fn reopen(storage: &StorageHandle, dir: &Path, reader: &Reader, options: &Options) -> Result<Prepared, Error> {
    let number = reader.number();
    let path = segment_path(dir, number);
    let file = storage.open_writable(&path).map_err(Error::io("open", &path))?;
    let bytes = reader.segment_bytes();
    let mapping = match options.level {
        Level::Cached => {
            // A copied journal may have come back with holes.
            file.allocate(bytes).map_err(Error::io("allocate", &path))?;
            Some(map_segment(&file, &path, bytes)?)
        }
        Level::Fsync => None,
    };
    Ok(Prepared { number, bytes, path, file, mapping })
}

/// Removes the segments after the end and zeroes what follows it, durably, so that nothing of it can ever be read as a
/// batch: neither after the new batches nor before them. Safe to be interrupted: what was bad stays bad or becomes zero.
fn cut_rest(storage: &StorageHandle, dir: &Path, reader: &Reader, segments: &[u64]) -> Result<Option<Cut>, Error> {
    let mut bytes = 0;
    for &number in segments.iter().rev() {
        if number <= reader.number() {
            break;
        }
        let path = segment_path(dir, number);
        let file = storage.open(&path).map_err(Error::io("open", &path))?;
        let length = file.bytes().map_err(Error::io("measure", &path))?;
        bytes += read_range(&file, &path, 0, length, |_, _| ())?;
        storage.remove(&path).map_err(Error::io("remove", &path))?;
        // One at a time, the last first: a power cut leaves no gap.
        storage.sync_dir(dir).map_err(Error::io("sync", dir))?;
    }
    let path = segment_path(dir, reader.number());
    let file = storage.open_writable(&path).map_err(Error::io("open", &path))?;
    let mut dirty = Vec::new();
    bytes += read_range(&file, &path, reader.offset(), reader.segment_bytes(), |at, chunk| {
        if !is_zero(chunk) {
            dirty.push((at, chunk.len()));
        }
    })?;
    if !knobs::skip_zeroing() {
        let zeros = vec![0; SCAN_BYTES];
        for (at, length) in dirty {
            file.write_at(&zeros[..length], at).map_err(Error::io("write", &path))?;
        }
        file.sync_data().map_err(Error::io("sync", &path))?;
    }
    let what = reader.stopped_by().unwrap_or(Fault::Empty);
    Ok((bytes > 0).then(|| Cut { place: reader.place(), what, bytes }))
}

const SCAN_BYTES: usize = 64 << 10;

/// Reads a range in chunks; returns how many bytes of it there are up to the last that is not zero.
fn read_range(
    file: &FileHandle,
    path: &Path,
    start: u64,
    end: u64,
    mut each: impl FnMut(u64, &[u8]),
) -> Result<u64, Error> {
    let mut buffer = vec![0; SCAN_BYTES];
    let mut at = start;
    let mut last = start;
    while at < end {
        let want = usize::try_from(end - at).map_or(SCAN_BYTES, |left| left.min(SCAN_BYTES));
        let read = file.read_at(&mut buffer[..want], at).map_err(Error::io("read", path))?;
        if read == 0 {
            break;
        }
        each(at, &buffer[..read]);
        if !is_zero(&buffer[..read])
            && let Some(position) = buffer[..read].iter().rposition(|&byte| byte != 0)
        {
            last = at + position as u64 + 1;
        }
        at += read as u64;
    }
    Ok(last - start)
}

/// Where reading stopped.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) journal: JournalId,
    pub(crate) number: u64,
    pub(crate) segment_bytes: u64,
    pub(crate) offset: u64,
    pub(crate) sequence: Sequence,
}

/// The furthest durable mark beyond `end` that anything after it states: a later segment's header, or a sound batch
/// anywhere in the rest of this segment or in a later one. The batch need not chain: what came before it is what is bad.
pub(crate) fn find_witness(storage: &StorageHandle, dir: &Path, end: &End) -> Result<Option<Sequence>, Error> {
    if knobs::skip_witness() {
        return Ok(None);
    }
    let mut furthest = end.sequence.0;
    let seed = seed(end.journal);
    let path = segment_path(dir, end.number);
    if let Some(mark) = witness_in(storage, &path, end.offset, end.segment_bytes, seed)? {
        furthest = furthest.max(mark);
    }
    for number in segment_numbers(storage, dir)? {
        if number <= end.number {
            continue;
        }
        let header: Result<SegmentHeader, Fault> = read_header(storage, dir, number)?;
        refuse_short(storage, dir, number, header.ok().map(|h| h.bytes), end)?;
        if let Ok(header) = header
            && header.journal() == end.journal
        {
            furthest = furthest.max(header.durable);
        }
        let path = segment_path(dir, number);
        if let Some(mark) = witness_in(storage, &path, BATCHES_AT, u64::MAX, seed)? {
            furthest = furthest.max(mark);
        }
    }
    Ok((furthest > end.sequence.0).then_some(Sequence(furthest)))
}

/// A segment gets its name once its length is durable: a short one has lost what it held, maybe all that it witnessed.
fn refuse_short(storage: &StorageHandle, dir: &Path, number: u64, stated: Option<u64>, end: &End) -> Result<(), Error> {
    let path = segment_path(dir, number);
    let file = storage.open(&path).map_err(Error::io("open", &path))?;
    let length = file.bytes().map_err(Error::io("measure", &path))?;
    if length >= stated.unwrap_or(SEGMENT_BYTES_MIN) {
        return Ok(());
    }
    Err(Error::Corrupt {
        place: Place { file: path, offset: length, sequence: end.sequence },
        what: Fault::Truncated,
        witnessed: None,
    })
}

/// The highest durable mark of any sound batch in a part of a file, at whatever place a batch can stand.
fn witness_in(storage: &StorageHandle, path: &Path, start: u64, end: u64, seed: u32) -> Result<Option<u64>, Error> {
    let file = storage.open(path).map_err(Error::io("open", path))?;
    let length = file.bytes().map_err(Error::io("measure", path))?;
    let end = end.min(length);
    // Nearly always zeros to the end: that is told without keeping them.
    let mut first = None;
    let used = read_range(&file, path, start, end, |at, chunk| {
        if first.is_none() && !is_zero(chunk) {
            first = Some(at);
        }
    })?;
    let Some(first) = first else {
        return Ok(None);
    };
    let mut bytes = Vec::new();
    read_range(&file, path, first, end, |_, chunk| bytes.extend_from_slice(chunk))?;
    Ok(highest_mark(&bytes, start + used - first, seed))
}

fn is_zero(bytes: &[u8]) -> bool {
    static ZEROS: [u8; SCAN_BYTES] = [0; SCAN_BYTES];
    *bytes == ZEROS[..bytes.len()]
}

/// As [`witness_in`], over bytes that start where a batch may.
fn highest_mark(bytes: &[u8], used: u64, seed: u32) -> Option<u64> {
    let mut highest = None;
    let magic = BATCH_MAGIC.to_le_bytes();
    // Bytes made to look like many long batches may not cost more than a few passes over the segment.
    let mut budget = bytes.len().saturating_mul(16).max(1 << 20);
    let mut at = 0;
    while (at as u64) < used && at + BATCH_HEADER_BYTES <= bytes.len() {
        let rest = &bytes[at..];
        at += 8;
        if rest[..4] != magic {
            continue;
        }
        let header: BatchHeader = bytemuck::pod_read_unaligned(&rest[..BATCH_HEADER_BYTES]);
        let Ok(length) = batch_bytes(&header, rest.len() as u64) else {
            continue;
        };
        // A batch cannot know of durability beyond its own start.
        if header.durable > header.first_sequence {
            continue;
        }
        if length > budget {
            // Cannot be told in time: refusing is always safe.
            return Some(u64::MAX);
        }
        budget -= length;
        if header.crc == batch_crc(seed, &rest[CRC_FROM..length]) {
            highest = highest.max(Some(header.durable));
            at += length - 8;
        }
    }
    highest
}
