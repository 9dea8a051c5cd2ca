//! Reads a journal in order, checking everything before handing it out.
//!
//! Bytes are copied out of the page cache first and checked in the copy: what was verified is what the caller gets,
//! whatever the writer or a fault does to the file meanwhile, and a file that shrinks is an error, not a signal.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{Error, Fault, Place};
use crate::segment::{
    BATCH_HEADER_BYTES, BATCHES_AT, BatchHeader, FORMAT_VERSION, IMAGE_BYTES_MIN, SEGMENT_HEADER_BYTES, SegmentHeader,
    Tail, batch_bytes, check_batch, image_bytes, numbered, seed, segment_path,
};
use crate::storage::{FileHandle, StorageHandle};
use crate::{JournalId, Sequence, recovery};

/// Read at once: small enough to stay in a core's cache between the copy, the checksum and the caller.
const CHUNK_BYTES: usize = 256 << 10;

/// A cursor over the batches of a journal. Takes no lock: any process may read beside the writer.
#[derive(Debug)]
pub struct Reader {
    storage: StorageHandle,
    dir: PathBuf,
    journal: JournalId,
    seed: u32,
    follow: bool,
    from: u64,
    file: FileHandle,
    number: u64,
    segment_bytes: u64,
    offset: u64,
    tail: Tail,
    durable: u64,
    stop: Option<Fault>,
    buffer: Vec<u64>,
    /// Where in the file the buffer starts, and how many of its bytes are the file's.
    buffer_at: u64,
    buffer_bytes: usize,
}

impl Reader {
    /// Opens a journal for reading from `from` on; the first batch is trimmed if it starts earlier.
    ///
    /// # Errors
    /// [`Error::NoJournal`], [`Error::TooOld`], [`Error::PastEnd`], [`Error::Corrupt`], [`Error::Version`], [`Error::Io`].
    pub fn open(storage: &StorageHandle, dir: &Path, from: Sequence) -> Result<Reader, Error> {
        Reader::open_as(storage, dir, from, false)
    }

    /// Opens a live journal: at its end [`Reader::next_batch`] returns `None` and may be asked again. A batch that cannot
    /// be read is taken for one that is still being written; [`Reader::stopped_by`] says what it looks like.
    ///
    /// # Errors
    /// As [`Reader::open`].
    pub fn follow(storage: &StorageHandle, dir: &Path, from: Sequence) -> Result<Reader, Error> {
        Reader::open_as(storage, dir, from, true)
    }

    /// Opens at the oldest sequence that is kept.
    ///
    /// # Errors
    /// As [`Reader::open`].
    pub fn open_oldest(storage: &StorageHandle, dir: &Path) -> Result<Reader, Error> {
        let numbers = segment_numbers(storage, dir)?;
        let Some(&oldest) = numbers.first() else {
            return Err(Error::NoJournal { dir: dir.to_path_buf() });
        };
        let header = read_header(storage, dir, oldest)?;
        let header = header.map_err(|what| header_fault(dir, oldest, what))?;
        Reader::open(storage, dir, Sequence(header.first_sequence))
    }

    fn open_as(storage: &StorageHandle, dir: &Path, from: Sequence, follow: bool) -> Result<Reader, Error> {
        let (number, header) = segment_with(storage, dir, from)?;
        let path = segment_path(dir, number);
        let file = storage.open(&path).map_err(Error::io("open", &path))?;
        let mut reader = Reader {
            storage: Arc::clone(storage),
            dir: dir.to_path_buf(),
            journal: header.journal(),
            seed: seed(header.journal()),
            follow,
            from: from.0,
            file,
            number,
            segment_bytes: header.bytes,
            offset: BATCHES_AT,
            tail: Tail::before(&header),
            durable: header.durable,
            stop: None,
            buffer: vec![0; CHUNK_BYTES / 8],
            buffer_at: 0,
            buffer_bytes: 0,
        };
        reader.check_length(&header)?;
        reader.skip_to(from)?;
        Ok(reader)
    }

    /// Reads whole batches below `from`, and stands before the one that holds it.
    fn skip_to(&mut self, from: Sequence) -> Result<(), Error> {
        loop {
            let (offset, tail, number) = (self.offset, self.tail, self.number);
            if tail.sequence == from.0 {
                return Ok(());
            }
            if self.advance()?.is_none() {
                return Err(Error::PastEnd { asked: from, end: Sequence(self.tail.sequence) });
            }
            if self.tail.sequence > from.0 {
                // Step back: the batch is in the segment read now, whose buffer still holds it.
                if number != self.number {
                    self.offset = BATCHES_AT;
                } else {
                    self.offset = offset;
                }
                self.tail = tail;
                return Ok(());
            }
        }
    }

    /// The next batch, or `None` at the end.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if the batch here is bad and a later header shows that history was durable beyond it.
    pub fn next_batch(&mut self) -> Result<Option<BatchView<'_>>, Error> {
        let before = self.tail;
        let Some((header, start)) = self.advance()? else {
            return Ok(None);
        };
        let bytes: &[u8] = bytemuck::cast_slice(&self.buffer);
        let end = start + header.length as usize;
        let mut images = &bytes[start + BATCH_HEADER_BYTES..end];
        let mut skipped = 0;
        while header.first_sequence + skipped < self.from && !images.is_empty() {
            let length = image_bytes(images).expect("checked with the batch");
            images = &images[length..];
            skipped += 1;
        }
        self.from = 0;
        Ok(Some(BatchView { header, supersedes: header.index <= before.index, skipped, images }))
    }

    /// The sequence after the last batch read.
    #[must_use]
    pub fn position(&self) -> Sequence {
        Sequence(self.tail.sequence)
    }

    /// Where the next batch is expected.
    #[must_use]
    pub fn place(&self) -> Place {
        Place { file: segment_path(&self.dir, self.number), offset: self.offset, sequence: self.position() }
    }

    /// What stood at the end when [`Reader::next_batch`] last returned `None`: [`Fault::Empty`] is a clean end.
    #[must_use]
    pub fn stopped_by(&self) -> Option<Fault> {
        self.stop
    }

    /// How far (exclusive) history was durable by the headers read so far.
    #[must_use]
    pub fn witnessed(&self) -> Sequence {
        Sequence(self.durable)
    }

    /// The journal's id.
    #[must_use]
    pub fn journal(&self) -> JournalId {
        self.journal
    }

    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    pub(crate) fn tail(&self) -> Tail {
        self.tail
    }

    pub(crate) fn segment_bytes(&self) -> u64 {
        self.segment_bytes
    }

    /// Moves past the next batch; says where in the buffer it is.
    fn advance(&mut self) -> Result<Option<(BatchHeader, usize)>, Error> {
        loop {
            let fault = match self.try_batch_twice()? {
                Ok(found) => return Ok(Some(found)),
                Err(fault) => fault,
            };
            if self.enter_next()? {
                continue;
            }
            self.stop = Some(fault);
            if self.follow {
                return Ok(None);
            }
            let Some(witnessed) = self.witness()? else {
                return Ok(None);
            };
            // A writer may have gone on since this batch was looked for: a witness stands after what it witnesses.
            self.buffer_bytes = 0;
            match self.try_batch()? {
                Ok(found) => return Ok(Some(found)),
                Err(_) if self.enter_next()? => {}
                Err(what) => {
                    return Err(Error::Corrupt { place: self.place(), what, witnessed: Some(witnessed) });
                }
            }
        }
    }

    /// What was buffered may have been written since: a fault counts once the file was read again.
    fn try_batch_twice(&mut self) -> Result<Result<(BatchHeader, usize), Fault>, Error> {
        let fresh = self.buffer_bytes == 0;
        let first = self.try_batch()?;
        if first.is_ok() || fresh {
            return Ok(first);
        }
        self.buffer_bytes = 0;
        self.try_batch()
    }

    fn try_batch(&mut self) -> Result<Result<(BatchHeader, usize), Fault>, Error> {
        let room = self.segment_bytes - self.offset;
        if room < (BATCH_HEADER_BYTES + IMAGE_BYTES_MIN) as u64 {
            return Ok(Err(Fault::Empty));
        }
        let Some(start) = self.load(BATCH_HEADER_BYTES)? else {
            return Ok(Err(Fault::Truncated));
        };
        let bytes: &[u8] = bytemuck::cast_slice(&self.buffer);
        let header: BatchHeader = bytemuck::pod_read_unaligned(&bytes[start..start + BATCH_HEADER_BYTES]);
        let length = match batch_bytes(&header, room) {
            Ok(length) => length,
            Err(fault) => return Ok(Err(fault)),
        };
        // The order is checked first: it costs nothing, and what does not chain is not worth a checksum.
        let tail = match self.tail.follow(&header) {
            Ok(tail) => tail,
            Err(fault) => return Ok(Err(fault)),
        };
        let Some(start) = self.load(length)? else {
            return Ok(Err(Fault::Truncated));
        };
        let bytes: &[u8] = bytemuck::cast_slice(&self.buffer);
        let batch = &bytes[start..start + length];
        // The batch may have been read again to get its end: it is this copy's header that counts.
        if batch[..BATCH_HEADER_BYTES] != *bytemuck::bytes_of(&header) {
            return Ok(Err(Fault::Checksum));
        }
        if let Err(fault) = check_batch(self.seed, &header, batch) {
            return Ok(Err(fault));
        }
        self.offset += length as u64;
        self.tail = tail;
        self.durable = self.durable.max(header.durable);
        self.stop = None;
        Ok(Ok((header, start)))
    }

    /// Makes `bytes` bytes from the offset on available, and says where in the buffer; `None` if the file ends before.
    fn load(&mut self, bytes: usize) -> Result<Option<usize>, Error> {
        let buffered = self.buffer_at + self.buffer_bytes as u64;
        if self.offset >= self.buffer_at && self.offset + bytes as u64 <= buffered {
            return Ok(Some(to_usize(self.offset - self.buffer_at)));
        }
        let room = to_usize(self.segment_bytes - self.offset);
        let wanted = bytes.max(CHUNK_BYTES).min(room);
        if self.buffer.len() * 8 < wanted {
            self.buffer.resize(wanted.div_ceil(8), 0);
        }
        let target: &mut [u8] = bytemuck::cast_slice_mut(&mut self.buffer);
        let read = self.file.read_at(&mut target[..wanted], self.offset);
        let path = || segment_path(&self.dir, self.number);
        self.buffer_bytes = read.map_err(|e| Error::io("read", &path())(e))?;
        self.buffer_at = self.offset;
        Ok((self.buffer_bytes >= bytes).then_some(0))
    }

    /// Goes on to the next segment if there is one that starts exactly where this one has been read to.
    fn enter_next(&mut self) -> Result<bool, Error> {
        let number = self.number + 1;
        let path = segment_path(&self.dir, number);
        let file = match self.storage.open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(Error::io("open", &path)(error)),
        };
        let Ok(header) = parse_header(&file, &path, number)? else {
            return Ok(false);
        };
        if header.journal() != self.journal || Tail::before(&header) != self.tail {
            return Ok(false);
        }
        self.file = file;
        self.number = number;
        self.segment_bytes = header.bytes;
        self.offset = BATCHES_AT;
        self.durable = self.durable.max(header.durable);
        self.buffer_bytes = 0;
        self.check_length(&header)?;
        Ok(true)
    }

    /// A segment is allocated before it is used and never truncated: a short one has lost what it held.
    fn check_length(&self, header: &SegmentHeader) -> Result<(), Error> {
        let path = segment_path(&self.dir, self.number);
        let bytes = self.file.bytes().map_err(Error::io("measure", &path))?;
        if bytes >= header.bytes {
            return Ok(());
        }
        Err(Error::Corrupt {
            place: Place { file: path, offset: bytes, sequence: Sequence(header.first_sequence) },
            what: Fault::Truncated,
            witnessed: None,
        })
    }

    /// Whether anything after this place shows that history was durable beyond it.
    fn witness(&self) -> Result<Option<Sequence>, Error> {
        let at = recovery::End {
            journal: self.journal,
            number: self.number,
            segment_bytes: self.segment_bytes,
            offset: self.offset,
            sequence: self.position(),
        };
        recovery::find_witness(&self.storage, &self.dir, &at)
    }
}

/// One batch, checked.
#[derive(Clone, Copy, Debug)]
pub struct BatchView<'a> {
    header: BatchHeader,
    supersedes: bool,
    skipped: u64,
    images: &'a [u8],
}

impl<'a> BatchView<'a> {
    /// The sequence of the first image returned.
    #[must_use]
    pub fn first_sequence(&self) -> Sequence {
        Sequence(self.header.first_sequence + self.skipped)
    }

    /// Images returned.
    #[must_use]
    pub fn count(&self) -> u64 {
        u64::from(self.header.count) - self.skipped
    }

    /// The images, in order.
    #[must_use]
    pub fn images(&self) -> Images<'a> {
        Images::new(self.images)
    }

    /// The images end to end, as they lie in the file.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.images
    }

    /// The batch's header, as it lies in the file.
    #[must_use]
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// Whether this batch voids what was read from its first sequence on: an index not above the last, a higher term.
    /// Without replication it never happens.
    #[must_use]
    pub fn supersedes(&self) -> bool {
        self.supersedes
    }
}

/// Iterates over the images of consecutive commands.
#[derive(Clone, Debug)]
pub struct Images<'a> {
    rest: &'a [u8],
}

impl<'a> Images<'a> {
    /// The images that stand end to end in `bytes`.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }
}

impl<'a> Iterator for Images<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        // `None` also for what a build without the checksum lets through.
        let length = image_bytes(self.rest)?;
        let (image, rest) = self.rest.split_at(length);
        self.rest = rest;
        Some(image)
    }
}

/// The numbers of the segments in a directory, ascending.
pub(crate) fn segment_numbers(storage: &StorageHandle, dir: &Path) -> Result<Vec<u64>, Error> {
    numbers(storage, dir, "segment")
}

/// The numbers of the files with an extension, ascending.
pub(crate) fn numbers(storage: &StorageHandle, dir: &Path, extension: &str) -> Result<Vec<u64>, Error> {
    let names = storage.list(dir).map_err(Error::io("list", dir))?;
    let mut numbers: Vec<u64> = names.iter().filter_map(|name| numbered(name, extension)).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// Reads and checks the header of a segment; the inner error is what is wrong with the bytes.
pub(crate) fn read_header(
    storage: &StorageHandle,
    dir: &Path,
    number: u64,
) -> Result<Result<SegmentHeader, Fault>, Error> {
    let path = segment_path(dir, number);
    let file = storage.open(&path).map_err(Error::io("open", &path))?;
    parse_header(&file, &path, number)
}

fn parse_header(file: &FileHandle, path: &Path, number: u64) -> Result<Result<SegmentHeader, Fault>, Error> {
    let mut bytes = [0; SEGMENT_HEADER_BYTES];
    let read = file.read_at(&mut bytes, 0).map_err(Error::io("read", path))?;
    let header = match SegmentHeader::parse(&bytes[..read]) {
        Ok(header) => header,
        Err(fault) => return Ok(Err(fault)),
    };
    if header.version != FORMAT_VERSION {
        return Err(Error::Version { file: path.to_path_buf(), found: header.version, known: FORMAT_VERSION });
    }
    if header.number != number {
        return Ok(Err(Fault::Foreign));
    }
    if header.bytes < BATCHES_AT || header.bytes > crate::segment::SEGMENT_BYTES_MAX {
        return Ok(Err(Fault::Length));
    }
    Ok(Ok(header))
}

pub(crate) fn header_fault(dir: &Path, number: u64, what: Fault) -> Error {
    Error::Corrupt {
        place: Place { file: segment_path(dir, number), offset: 0, sequence: Sequence(0) },
        what: if what == Fault::Empty { Fault::Header } else { what },
        witnessed: None,
    }
}

/// The last segment whose header is sound and does not start after `from`.
fn segment_with(storage: &StorageHandle, dir: &Path, from: Sequence) -> Result<(u64, SegmentHeader), Error> {
    let numbers = segment_numbers(storage, dir)?;
    let mut oldest = None;
    let mut fault = None;
    for &number in numbers.iter().rev() {
        match read_header(storage, dir, number)? {
            Ok(header) if header.first_sequence <= from.0 => return Ok((number, header)),
            Ok(header) => oldest = Some(header.first_sequence),
            Err(what) => fault = Some((number, what)),
        }
    }
    // The lowest segment always has its header: it was created with it, or was left by retention.
    match (fault, oldest, numbers.first()) {
        (Some((number, what)), _, Some(&lowest)) if number == lowest => Err(header_fault(dir, number, what)),
        (_, Some(oldest), _) => Err(Error::TooOld { asked: from, oldest: Sequence(oldest) }),
        _ => Err(Error::NoJournal { dir: dir.to_path_buf() }),
    }
}

#[inline]
fn to_usize(bytes: u64) -> usize {
    #[expect(clippy::cast_possible_truncation, reason = "within a segment, at most 1 GiB")]
    let bytes = bytes as usize;
    bytes
}
