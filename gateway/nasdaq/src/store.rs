//! All that a session has said, in a file that only grows: what it was made of, and the messages that were made.
//!
//! ```text
//! file    magic (8) · version (4) · 0 (4) · group · group · …
//! group   length (4: what follows the checksum) · CRC-32 of that (4) · messages (2) · length of the input (2)
//!         · input · for each message: length (2) · message
//! ```
//!
//! Numbers are little-endian. What follows a group's checksum is written at once, before any of its messages is sent. A group
//! that is not whole at the end of the file was never sent: it is cut when the file is opened. Messages are numbered from 1.

use crate::soup::Packet;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

const MAGIC: [u8; 8] = *b"RFNASDAQ";
/// Of the file and of the rules by which messages are made: messages of another version would be others.
const VERSION: u32 = 3;
const FILE_HEADER_BYTES: u64 = 16;
const GROUP_HEADER_BYTES: usize = 8;
/// Bytes of a group at most.
const GROUP_BYTES_MAX: usize = 64 << 10;
/// Bytes that are read at once.
const CHUNK_BYTES: usize = 4 * GROUP_BYTES_MAX;
/// Groups for each of which a place is remembered.
const STRIDE: u64 = 256;

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file fails.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Another process has it.
    #[error("another process uses it")]
    Locked,
    /// It is no such file, or of another version.
    #[error("it is no file of this kind and version")]
    Foreign,
    /// A group in the middle is damaged.
    #[error("it is damaged at byte {offset}")]
    Damaged {
        /// Where the group begins.
        offset: u64,
    },
    /// What was said is not what would be said now.
    #[error("the messages at byte {offset} are not those that would be made: it was begun with other settings")]
    Differs {
        /// Where the group begins.
        offset: u64,
    },
}

/// Messages that are made together of one input.
#[derive(Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    count: u16,
}

impl Batch {
    /// Puts a message that `write` writes behind the others.
    pub fn push(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 2]);
        write(&mut self.bytes);
        let length = u16::try_from(self.bytes.len() - start - 2).expect("a message is short");
        self.bytes[start..start + 2].copy_from_slice(&length.to_le_bytes());
        self.count += 1;
    }

    /// Messages in it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count.into()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.count = 0;
    }
}

/// How far a reader is.
#[derive(Clone, Copy, Debug)]
pub struct Reader {
    /// Where a group begins.
    offset: u64,
    /// The number of that group's first message.
    first: u64,
    /// The number of the message that is wanted next.
    next: u64,
}

impl Reader {
    /// The number of the message that is wanted next.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.next
    }
}

/// The file of one stream.
#[derive(Debug)]
pub struct Store {
    file: File,
    end: u64,
    groups: u64,
    /// The number of the next message.
    next: u64,
    /// The number of the first message of every [`STRIDE`]th group, and where that begins.
    places: Vec<(u64, u64)>,
    /// A group that is being written, or read.
    scratch: Vec<u8>,
}

/// A group as it stands in the file.
struct Group<'a> {
    count: u16,
    input: &'a [u8],
    messages: &'a [u8],
    bytes: usize,
}

impl<'a> Group<'a> {
    /// The group at the front of `bytes`; none when it is not whole or its checksum is wrong.
    fn read(bytes: &'a [u8]) -> Option<Self> {
        let (length, rest) = bytes.split_first_chunk::<4>()?;
        let (checksum, rest) = rest.split_first_chunk::<4>()?;
        let body = rest.get(..u32::from_le_bytes(*length) as usize)?;
        if crc32fast::hash(body) != u32::from_le_bytes(*checksum) {
            return None;
        }
        let (count, rest) = body.split_first_chunk::<2>()?;
        let (input_bytes, rest) = rest.split_first_chunk::<2>()?;
        let (input, messages) = rest.split_at_checked(u16::from_le_bytes(*input_bytes).into())?;
        Some(Self { count: u16::from_le_bytes(*count), input, messages, bytes: GROUP_HEADER_BYTES + body.len() })
    }
}

impl Store {
    /// Opens a file, or makes it. `make` is given each input that is there, in order, and makes its messages again.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn open(path: &Path, mut make: impl FnMut(&[u8], &mut Batch)) -> Result<Self, StoreError> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => StoreError::Locked,
            TryLockError::Error(error) => error.into(),
        })?;
        let length = file.metadata()?.len();
        let mut header = [0; FILE_HEADER_BYTES as usize];
        header[..8].copy_from_slice(&MAGIC);
        header[8..12].copy_from_slice(&VERSION.to_le_bytes());
        if length < FILE_HEADER_BYTES {
            file.set_len(0)?;
            file.write_all_at(&header, 0)?;
        } else {
            let mut found = [0; FILE_HEADER_BYTES as usize];
            file.read_exact_at(&mut found, 0)?;
            if found != header {
                return Err(StoreError::Foreign);
            }
        }
        let mut store =
            Self { file, end: FILE_HEADER_BYTES, groups: 0, next: 1, places: Vec::new(), scratch: Vec::new() };
        let mut batch = Batch::default();
        let mut chunk = vec![0; CHUNK_BYTES];
        while store.end < length {
            let have = read_at(&store.file, &mut chunk, store.end)?;
            let mut rest = &chunk[..have];
            let mut is_read = false;
            while let Some(group) = Group::read(rest) {
                batch.clear();
                make(group.input, &mut batch);
                if batch.count != group.count || batch.bytes != group.messages {
                    return Err(StoreError::Differs { offset: store.end });
                }
                store.count(group.bytes, group.count);
                rest = &rest[group.bytes..];
                is_read = true;
            }
            if !is_read && length - store.end > GROUP_BYTES_MAX as u64 {
                return Err(StoreError::Damaged { offset: store.end });
            }
            if !is_read {
                store.file.set_len(store.end)?;
                break;
            }
        }
        Ok(store)
    }

    /// Whether nothing was ever written.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.groups == 0
    }

    /// The number of the next message.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Writes what was made of `input`, and clears `batch`.
    ///
    /// # Errors
    /// When the file fails. What was written of it is cut when the file is opened again.
    ///
    /// # Panics
    /// When the group is longer than it may be.
    pub fn append(&mut self, input: &[u8], batch: &mut Batch) -> io::Result<()> {
        let group = &mut self.scratch;
        group.clear();
        group.extend_from_slice(&[0; GROUP_HEADER_BYTES]);
        group.extend_from_slice(&batch.count.to_le_bytes());
        group.extend_from_slice(&u16::try_from(input.len()).expect("an input is short").to_le_bytes());
        group.extend_from_slice(input);
        group.extend_from_slice(&batch.bytes);
        assert!(group.len() <= GROUP_BYTES_MAX, "a group of {} bytes", group.len());
        let checksum = crc32fast::hash(&group[GROUP_HEADER_BYTES..]);
        let length = (group.len() - GROUP_HEADER_BYTES) as u32;
        group[..4].copy_from_slice(&length.to_le_bytes());
        group[4..GROUP_HEADER_BYTES].copy_from_slice(&checksum.to_le_bytes());
        self.file.write_all_at(group, self.end)?;
        let bytes = group.len();
        self.count(bytes, batch.count);
        batch.clear();
        Ok(())
    }

    fn count(&mut self, bytes: usize, messages: u16) {
        if self.groups.is_multiple_of(STRIDE) {
            self.places.push((self.next, self.end));
        }
        self.groups += 1;
        self.end += bytes as u64;
        self.next += u64::from(messages);
    }

    /// A reader who wants message `from` next; none when that is beyond the next one.
    #[must_use]
    pub fn reader(&self, from: u64) -> Option<Reader> {
        if from == 0 || from > self.next {
            return None;
        }
        let after = self.places.partition_point(|place| place.0 <= from);
        let (first, offset) = after.checked_sub(1).map_or((1, FILE_HEADER_BYTES), |place| self.places[place]);
        Some(Reader { offset, first, next: from })
    }

    /// Whether the reader has all that was said.
    #[must_use]
    pub fn is_read(&self, reader: &Reader) -> bool {
        reader.next == self.next
    }

    /// Writes packets with what the reader wants next behind `out`, until that is `bound` bytes long or a little longer.
    ///
    /// # Errors
    /// When the file fails, or is not what was written to it.
    pub fn read(&mut self, reader: &mut Reader, out: &mut Vec<u8>, bound: usize) -> io::Result<()> {
        if self.is_read(reader) {
            // Groups without messages need not be looked at again.
            (reader.offset, reader.first) = (self.end, self.next);
        }
        while out.len() < bound && reader.offset < self.end {
            self.scratch.resize(CHUNK_BYTES, 0);
            let have = read_at(&self.file, &mut self.scratch, reader.offset)?;
            let mut rest = &self.scratch[..have];
            let begin = reader.offset;
            while let (true, Some(group)) = (out.len() < bound, Group::read(rest)) {
                let mut messages = group.messages;
                for number in reader.first..reader.first + u64::from(group.count) {
                    let (message, behind) = first(messages).ok_or(ErrorKind::InvalidData)?;
                    if number >= reader.next {
                        Packet::Sequenced(message).write(out);
                        reader.next = number + 1;
                    }
                    messages = behind;
                }
                reader.first += u64::from(group.count);
                reader.offset += group.bytes as u64;
                rest = &rest[group.bytes..];
            }
            if reader.offset == begin {
                return Err(ErrorKind::InvalidData.into());
            }
        }
        Ok(())
    }

    /// Waits until all of it would survive a loss of power.
    ///
    /// # Errors
    /// When the file fails.
    pub fn sync(&mut self) -> io::Result<()> {
        self.file.flush()?;
        self.file.sync_data()
    }
}

/// The message at the front of a group's, and the others.
fn first(messages: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = messages.split_first_chunk::<2>()?;
    rest.split_at_checked(u16::from_le_bytes(*length).into())
}

/// Reads as much as there is.
fn read_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut have = 0;
    while have < bytes.len() {
        match file.read_at(&mut bytes[have..], offset + have as u64) {
            Ok(0) => break,
            Ok(count) => have += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(have)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each input makes as many messages as it says.
    fn make(input: &[u8], batch: &mut Batch) {
        for at in 0..input[0] {
            batch.push(|out| out.extend_from_slice(&[input[0], input[1], at]));
        }
    }

    fn fill(store: &mut Store, groups: u16) {
        let mut batch = Batch::default();
        for group in 0..groups {
            let input = [(group % 4) as u8, group as u8];
            make(&input, &mut batch);
            store.append(&input, &mut batch).expect("it is written");
        }
    }

    fn all(store: &mut Store, from: u64, bound: usize) -> Vec<u8> {
        let mut reader = store.reader(from).expect("it is there");
        let mut all = Vec::new();
        while !store.is_read(&reader) {
            let mut out = Vec::new();
            store.read(&mut reader, &mut out, bound).expect("it is read");
            all.extend_from_slice(&out);
        }
        all
    }

    /// Guards against messages that are lost, said twice or said otherwise when a reader begins somewhere else, or when
    /// the file is opened again.
    #[test]
    fn every_message_is_read_from_wherever_one_begins() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("stream");
        let mut store = Store::open(&path, make).expect("it is made");
        assert!(store.is_new() && store.reader(0).is_none() && store.reader(2).is_none());
        fill(&mut store, 1_000);
        assert_eq!(store.next(), 1_501);
        let whole = all(&mut store, 1, usize::MAX);
        assert_eq!(whole.len(), 1_500 * 6, "a packet has six bytes");
        for again in [false, true] {
            if again {
                drop(store);
                store = Store::open(&path, make).expect("it is opened");
            }
            for from in [1, 2, 3, 7, 383, 384, 385, 1_499, 1_500, 1_501] {
                assert_eq!(all(&mut store, from, 100), whole[(from as usize - 1) * 6..], "from {from}");
            }
            assert!(store.reader(1_502).is_none());
        }
    }

    /// Guards against a file that another process writes, that was begun otherwise, or that is not whole.
    #[test]
    fn a_torn_end_is_cut_and_anything_else_is_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("stream");
        let mut store = Store::open(&path, make).expect("it is made");
        fill(&mut store, 8);
        assert!(matches!(Store::open(&path, make), Err(StoreError::Locked)));
        drop(store);
        let whole = std::fs::read(&path).expect("a file");
        for cut in 17..whole.len() {
            std::fs::write(&path, &whole[..cut]).expect("a file");
            let store = Store::open(&path, make).unwrap_or_else(|error| panic!("cut at {cut}: {error}"));
            assert!(store.next() <= 13 && store.groups < 8);
            drop(store);
            assert!(whole.starts_with(&std::fs::read(&path).expect("a file")));
        }
        std::fs::write(&path, &whole).expect("a file");
        let differs = Store::open(&path, |input, batch| make(&[input[0], 9], batch));
        assert!(matches!(differs, Err(StoreError::Differs { .. })), "{differs:?}");
        let mut store = Store::open(&path, make).expect("it is opened");
        for _ in 0..20 {
            fill(&mut store, 1_000);
        }
        drop(store);
        let mut damaged = std::fs::read(&path).expect("a file");
        damaged[1_000] ^= 1;
        std::fs::write(&path, &damaged).expect("a file");
        assert!(matches!(Store::open(&path, make), Err(StoreError::Damaged { .. })));
        std::fs::write(&path, b"something else altogether").expect("a file");
        assert!(matches!(Store::open(&path, make), Err(StoreError::Foreign)));
    }
}
