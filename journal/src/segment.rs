//! The layout of a segment: what stands where, to the byte.
//!
//! ```text
//!  0           88          4096                                                     bytes
//!  ├─ header ──┼─ zeros ───┼─ batch ─┬─ batch ─┬─ ... ─┬─ batch ─┬─ zeros ... ───────┤
//!                           │
//!                           └─ ┌ 56-byte header ┬ image ┬ image ┬ ... ┐
//!
//!  batch header   0 magic u32 │ 4 crc u32 │ 8 length u32 │ 12 previous u32 │ 16 term u64 │ 24 index u64
//!                32 first sequence u64 │ 40 durable u64 │ 48 count u32 │ 52 reserved u32
//! ```
//!
//! Everything is little-endian. A batch's crc covers bytes 8 to its end and starts from a seed made of the journal id, so
//! neither another journal's bytes nor bytes a client chose pass for a batch of this one.
//!
//! Compatibility: any change of these structs, of the seed or of what the crc covers is a new [`FORMAT_VERSION`].

use std::path::{Path, PathBuf};

use bytemuck::{Pod, Zeroable};

use crate::JournalId;
use crate::error::Fault;

#[cfg(target_endian = "big")]
compile_error!("the data files are little-endian and are read in place");

/// The version of every file this crate writes.
pub const FORMAT_VERSION: u32 = 1;

/// First bytes of a segment.
pub const SEGMENT_MAGIC: [u8; 8] = *b"RINGSEG\0";

/// First bytes of a batch, "BTCH" read as a little-endian number.
pub const BATCH_MAGIC: u32 = u32::from_le_bytes(*b"BTCH");

/// Where the batches start: the header keeps a page of its own, so no write of a batch can tear it.
pub const BATCHES_AT: u64 = 4096;

/// The smallest segment, for tests.
pub const SEGMENT_BYTES_MIN: u64 = 64 << 10;

/// The largest segment: a batch's length is a `u32`.
pub const SEGMENT_BYTES_MAX: u64 = 1 << 30;

/// The shortest image: its header alone.
pub const IMAGE_BYTES_MIN: usize = 32;

/// The longest image: 128 slots of 256 bytes.
pub const IMAGE_BYTES_MAX: usize = 32_768;

/// What stands at the start of every segment in use. A prepared segment has zeros here until its first batch comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct SegmentHeader {
    /// [`SEGMENT_MAGIC`].
    pub magic: [u8; 8],
    /// [`FORMAT_VERSION`].
    pub version: u32,
    /// CRC-32 of this header with this field zero.
    pub crc: u32,
    /// The same in every file of a journal, drawn when it was created.
    pub journal: [u8; 16],
    /// The number in the file's name.
    pub number: u64,
    /// The file's length.
    pub bytes: u64,
    /// The sequence of the first command in the segment.
    pub first_sequence: u64,
    /// How far (exclusive) history was durable when this header was written.
    pub durable: u64,
    /// Term of the last batch before the segment; 0 if there is none.
    pub term: u64,
    /// Index of the last batch before the segment; 0 if there is none.
    pub index: u64,
    /// The crc of the last batch before the segment; the seed if there is none.
    pub previous: u32,
    /// Zero.
    pub reserved: u32,
}

/// What stands before the images of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct BatchHeader {
    /// [`BATCH_MAGIC`]. Written last, in one store with `crc`.
    pub magic: u32,
    /// CRC-32 of bytes 8 to `length`.
    pub crc: u32,
    /// Bytes of the batch, header and images; a multiple of 8.
    pub length: u32,
    /// The crc of the batch before this one.
    pub previous: u32,
    /// The term of the leader who made it; 1 without replication.
    pub term: u64,
    /// Counts batches from 1. An index not above the last with a higher term supersedes what stood there.
    pub index: u64,
    /// The sequence of the first command in it.
    pub first_sequence: u64,
    /// How far (exclusive) history was durable when this batch was written.
    pub durable: u64,
    /// Commands in it, at least 1.
    pub count: u32,
    /// Zero.
    pub reserved: u32,
}

/// Bytes of a [`SegmentHeader`].
pub const SEGMENT_HEADER_BYTES: usize = size_of::<SegmentHeader>();
/// Bytes of a [`BatchHeader`].
pub const BATCH_HEADER_BYTES: usize = size_of::<BatchHeader>();
/// Where the bytes start that a batch's crc covers.
pub const CRC_FROM: usize = std::mem::offset_of!(BatchHeader, length);

const _: () = {
    use std::mem::{align_of, offset_of};
    assert!(SEGMENT_HEADER_BYTES == 88 && align_of::<SegmentHeader>() == 8);
    assert!(offset_of!(SegmentHeader, crc) == 12);
    assert!(offset_of!(SegmentHeader, journal) == 16);
    assert!(offset_of!(SegmentHeader, first_sequence) == 48);
    assert!(offset_of!(SegmentHeader, previous) == 80);
    assert!(BATCH_HEADER_BYTES == 56 && align_of::<BatchHeader>() == 8);
    assert!(offset_of!(BatchHeader, crc) == 4);
    assert!(CRC_FROM == 8);
    assert!(offset_of!(BatchHeader, term) == 16);
    assert!(offset_of!(BatchHeader, first_sequence) == 32);
    assert!(offset_of!(BatchHeader, count) == 48);
    assert!(BATCHES_AT.is_multiple_of(8) && SEGMENT_HEADER_BYTES as u64 <= BATCHES_AT);
};

impl SegmentHeader {
    /// Fills in magic, version and crc.
    #[must_use]
    pub fn sealed(mut self) -> SegmentHeader {
        self.magic = SEGMENT_MAGIC;
        self.version = FORMAT_VERSION;
        self.crc = 0;
        self.crc = crc32fast::hash(bytemuck::bytes_of(&self));
        self
    }

    /// Reads a header from the first bytes of a segment; says nothing about whose it is.
    pub fn parse(bytes: &[u8]) -> Result<SegmentHeader, Fault> {
        let Some(bytes) = bytes.get(..SEGMENT_HEADER_BYTES) else {
            return Err(Fault::Truncated);
        };
        let header: SegmentHeader = bytemuck::pod_read_unaligned(bytes);
        if bytes.iter().all(|&byte| byte == 0) {
            return Err(Fault::Empty);
        }
        let unsealed = SegmentHeader { crc: 0, ..header };
        if header.magic != SEGMENT_MAGIC {
            return Err(Fault::Magic);
        }
        if header.crc != crc32fast::hash(bytemuck::bytes_of(&unsealed)) {
            return Err(Fault::Checksum);
        }
        Ok(header)
    }

    /// The journal the segment belongs to.
    #[must_use]
    pub fn journal(&self) -> JournalId {
        JournalId(u128::from_le_bytes(self.journal))
    }
}

impl BatchHeader {
    /// The word that makes the batch visible: magic and crc, as they lie in memory.
    #[must_use]
    pub fn word(magic: u32, crc: u32) -> u64 {
        u64::from(magic) | u64::from(crc) << 32
    }
}

/// Where every crc of a journal's batches starts.
#[must_use]
pub fn seed(journal: JournalId) -> u32 {
    crc32fast::hash(&journal.0.to_le_bytes())
}

/// The crc of a batch: of its bytes from [`CRC_FROM`] on.
#[must_use]
pub fn batch_crc(seed: u32, covered: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(seed);
    hasher.update(covered);
    hasher.finalize()
}

/// The length an image states about itself, if it can be one.
#[inline]
#[must_use]
pub fn image_bytes(image: &[u8]) -> Option<usize> {
    let length = usize::from(u16::from_le_bytes(*image.first_chunk()?));
    let sound = (IMAGE_BYTES_MIN..=IMAGE_BYTES_MAX).contains(&length) & (length % 8 == 0) & (length <= image.len());
    sound.then_some(length)
}

/// What one batch header and its images say, once everything about them holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tail {
    /// The next sequence: the number of commands so far.
    pub(crate) sequence: u64,
    /// Index of the last batch.
    pub(crate) index: u64,
    /// Term of the last batch.
    pub(crate) term: u64,
    /// Crc of the last batch.
    pub(crate) previous: u32,
}

impl Tail {
    /// What a segment's header says stood before it.
    pub(crate) fn before(header: &SegmentHeader) -> Tail {
        Tail { sequence: header.first_sequence, index: header.index, term: header.term, previous: header.previous }
    }

    /// Whether a batch may follow, and what the tail is after it.
    pub(crate) fn follow(self, header: &BatchHeader) -> Result<Tail, Fault> {
        if header.previous != self.previous {
            return Err(Fault::Chain);
        }
        let next = header.index == self.index + 1 && header.term >= self.term && header.first_sequence == self.sequence;
        let supersedes = header.index <= self.index
            && header.index > 0
            && header.term > self.term
            && header.first_sequence <= self.sequence;
        let sequence = header.first_sequence.checked_add(u64::from(header.count));
        match sequence {
            Some(sequence) if next || supersedes => {
                Ok(Tail { sequence, index: header.index, term: header.term, previous: header.crc })
            }
            _ => Err(Fault::Order),
        }
    }
}

/// The length a batch header states, if a batch of that length can stand in `room` bytes.
pub(crate) fn batch_bytes(header: &BatchHeader, room: u64) -> Result<usize, Fault> {
    if BatchHeader::word(header.magic, header.crc) == 0 {
        return Err(Fault::Empty);
    }
    if header.magic != BATCH_MAGIC {
        return Err(Fault::Magic);
    }
    let length = header.length as usize;
    let sound = length >= BATCH_HEADER_BYTES + IMAGE_BYTES_MIN && length.is_multiple_of(8) && length as u64 <= room;
    if sound { Ok(length) } else { Err(Fault::Length) }
}

/// Checks a whole batch, of exactly the length its header states: the checksum, then that the images fill it.
pub(crate) fn check_batch(seed: u32, header: &BatchHeader, batch: &[u8]) -> Result<(), Fault> {
    debug_assert_eq!(batch.len(), header.length as usize);
    if !crate::knobs::skip_checksum() && header.crc != batch_crc(seed, &batch[CRC_FROM..]) {
        return Err(Fault::Checksum);
    }
    let mut rest = &batch[BATCH_HEADER_BYTES..];
    let mut count = 0_u64;
    while !rest.is_empty() {
        let length = image_bytes(rest).ok_or(Fault::Images)?;
        rest = &rest[length..];
        count += 1;
    }
    if count == u64::from(header.count) { Ok(()) } else { Err(Fault::Images) }
}

/// The path of segment `number`.
#[must_use]
pub fn segment_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:020}.segment"))
}

/// The number in a name such as `00000000000000000042.segment`.
#[must_use]
pub fn numbered(name: &str, extension: &str) -> Option<u64> {
    let digits = name.strip_suffix(extension)?.strip_suffix('.')?;
    if digits.len() != 20 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}
