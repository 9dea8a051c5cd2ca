//! The sidecar of the output chain: what execute folded out of every [`CHAIN_EVERY`] commands.
//!
//! ```text
//!  0              40      64                88                          65536   bytes of NNNN.chain
//!  ├─ header ─────┼ zeros ┼ record ─────────┼ record ─ ... ┼ zeros ─────┤
//!                         └ 0 sequence u64 │ 8 chain u64 │ 16 crc u32 │ 20 reserved u32
//! ```
//!
//! Best effort: it is not synced, and a record is skipped when no file is ready. Two histories are compared by it, and
//! nothing is recovered from it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::Thread;

use bytemuck::{Pod, Zeroable};

use crate::error::{Error, Fault, Place};
use crate::mapping::publish;
use crate::preparer::{Prepared, Workshop, create_claimed};
use crate::reader::numbers;
use crate::segment::{FORMAT_VERSION, batch_crc, seed};
use crate::storage::StorageHandle;
use crate::{JournalId, Sequence};

/// Commands from one record to the next.
pub const CHAIN_EVERY: u64 = 4096;

const CHAIN_MAGIC: [u8; 8] = *b"RINGCHN\0";
const CHAIN_FILE_BYTES: usize = 64 << 10;
const RECORDS_AT: usize = 64;

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct ChainHeader {
    magic: [u8; 8],
    version: u32,
    /// CRC-32 of this header with this field zero.
    crc: u32,
    journal: [u8; 16],
    number: u64,
}

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct RecordBytes {
    sequence: u64,
    chain: u64,
    /// Of the two, from the journal's seed. Stored last, with the reserved bytes.
    crc: u32,
    reserved: u32,
}

const RECORD_BYTES: usize = size_of::<RecordBytes>();
const RECORDS_END: usize = RECORDS_AT + (CHAIN_FILE_BYTES - RECORDS_AT) / RECORD_BYTES * RECORD_BYTES;

const _: () = {
    assert!(size_of::<ChainHeader>() == 40 && size_of::<ChainHeader>() <= RECORDS_AT);
    assert!(RECORD_BYTES == 24 && std::mem::offset_of!(RecordBytes, crc) == 16);
};

/// The output chain after the commands below `sequence`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainRecord {
    /// Commands folded in: an exclusive end, a multiple of [`CHAIN_EVERY`].
    pub sequence: Sequence,
    /// The chain.
    pub chain: u64,
}

/// Writes the sidecar; owned by the thread that executes. Makes no system call but one wake per file.
#[derive(Debug)]
pub struct ChainWriter {
    seed: u32,
    shop: Arc<Workshop>,
    waker: Option<Thread>,
    current: Option<Prepared>,
    at: usize,
    next_number: u64,
    next_wanted: bool,
    last: u64,
    skipped: u64,
}

impl ChainWriter {
    /// Goes on after what the files hold; forgets records of commands that the journal does not hold.
    pub(crate) fn open(
        storage: &StorageHandle,
        dir: &Path,
        journal: JournalId,
        end: Sequence,
        shop: Arc<Workshop>,
        waker: Option<Thread>,
    ) -> Result<ChainWriter, Error> {
        let mut writer = ChainWriter {
            seed: seed(journal),
            shop,
            waker,
            current: None,
            at: RECORDS_END,
            next_number: 0,
            next_wanted: false,
            last: 0,
            skipped: 0,
        };
        for number in numbers(storage, dir, "chain")? {
            writer.next_number = number + 1;
            writer.take_over(storage, dir, number, end)?;
        }
        if writer.current.is_none() || writer.at >= RECORDS_END {
            match prepare(storage, dir, journal, writer.next_number) {
                Ok(file) => writer.start(file),
                Err(error) if error.is_no_space() => writer.want_next(),
                Err(error) => return Err(error),
            }
        }
        Ok(writer)
    }

    fn take_over(&mut self, storage: &StorageHandle, dir: &Path, number: u64, end: Sequence) -> Result<(), Error> {
        let path = chain_path(dir, number);
        let file = storage.open_writable(&path).map_err(Error::io("open", &path))?;
        // A file that was damaged is only a gap: the next one is numbered after it.
        let length = file.bytes().map_err(Error::io("measure", &path))?;
        if length < CHAIN_FILE_BYTES as u64 {
            return Ok(());
        }
        let mut bytes = vec![0; CHAIN_FILE_BYTES];
        file.read_at(&mut bytes, 0).map_err(Error::io("read", &path))?;
        if check_header(&bytes, self.seed, number).is_err() {
            return Ok(());
        }
        self.at = RECORDS_AT;
        for at in (RECORDS_AT..RECORDS_END).step_by(RECORD_BYTES) {
            match record_at(&bytes, at, self.seed) {
                Some(record) if record.sequence <= end => {
                    self.last = self.last.max(record.sequence.0);
                    self.at = at + RECORD_BYTES;
                }
                _ if bytes[at..at + RECORD_BYTES].iter().any(|&b| b != 0) => {
                    let zeros = [0; RECORD_BYTES];
                    file.write_at(&zeros, at as u64).map_err(Error::io("write", &path))?;
                }
                _ => {}
            }
        }
        file.allocate(CHAIN_FILE_BYTES as u64).map_err(Error::io("allocate", &path))?;
        let mapping = file.map(CHAIN_FILE_BYTES, true).map_err(Error::io("map", &path))?;
        self.current = Some(Prepared { number, bytes: CHAIN_FILE_BYTES as u64, path, file, mapping: Some(mapping) });
        Ok(())
    }

    /// Records the chain after the commands below `sequence`, if that is a multiple of [`CHAIN_EVERY`] beyond the last.
    #[inline]
    pub fn record(&mut self, sequence: Sequence, chain: u64) {
        if !sequence.0.is_multiple_of(CHAIN_EVERY) || sequence.0 <= self.last {
            return;
        }
        self.store(sequence, chain);
    }

    /// Records skipped because no file was ready.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    fn store(&mut self, sequence: Sequence, chain: u64) {
        if self.at >= RECORDS_END {
            self.current = None;
            if let Some(next) = self.shop.chain_ready.take() {
                self.start(next);
            }
        }
        let Some(mapping) = self.current.as_mut().and_then(|c| c.mapping.as_mut()) else {
            self.skipped += 1;
            if !self.next_wanted {
                self.want_next();
            }
            return;
        };
        let mut record = RecordBytes { sequence: sequence.0, chain, crc: 0, reserved: 0 };
        let bytes = mapping.slice_mut(self.at..self.at + RECORD_BYTES);
        bytes[..16].copy_from_slice(&bytemuck::bytes_of(&record)[..16]);
        record.crc = batch_crc(self.seed, &bytes[..16]);
        let words: &mut [u64] = bytemuck::cast_slice_mut(&mut bytes[16..]);
        publish(&mut words[0], u64::from(record.crc));
        self.last = sequence.0;
        self.at += RECORD_BYTES;
        if self.at > RECORDS_END / 2 && !self.next_wanted {
            self.want_next();
        }
    }

    fn start(&mut self, file: Prepared) {
        self.next_number = file.number + 1;
        self.current = Some(file);
        self.at = RECORDS_AT;
        self.next_wanted = false;
    }

    #[cold]
    fn want_next(&mut self) {
        self.next_wanted = true;
        self.shop.want_chain(self.next_number);
        match &self.waker {
            Some(thread) => thread.unpark(),
            // A failure is kept in the workshop; the writer meets it.
            None => drop(self.shop.pass()),
        }
    }
}

/// Creates sidecar file `number`, mapped.
pub(crate) fn prepare(storage: &StorageHandle, dir: &Path, journal: JournalId, number: u64) -> Result<Prepared, Error> {
    let path = chain_path(dir, number);
    let mut header =
        ChainHeader { magic: CHAIN_MAGIC, version: FORMAT_VERSION, crc: 0, journal: journal.0.to_le_bytes(), number };
    header.crc = crc32fast::hash(bytemuck::bytes_of(&header));
    let file = create_claimed(storage, dir, &path, CHAIN_FILE_BYTES as u64, |file| {
        file.write_at(bytemuck::bytes_of(&header), 0)
    })?;
    let mapping = file.map(CHAIN_FILE_BYTES, true).map_err(Error::io("map", &path))?;
    Ok(Prepared { number, bytes: CHAIN_FILE_BYTES as u64, path, file, mapping: Some(mapping) })
}

/// Every sound record in a directory, by sequence. Damaged records are left out: the sidecar is best effort.
///
/// # Errors
/// [`Error::Corrupt`] if a file's header is damaged or of another journal; [`Error::Io`].
pub fn chain_records(storage: &StorageHandle, dir: &Path) -> Result<Vec<ChainRecord>, Error> {
    let mut records = Vec::new();
    for number in numbers(storage, dir, "chain")? {
        records.extend(file_records(storage, dir, number)?);
    }
    records.sort_by_key(|record| record.sequence);
    Ok(records)
}

/// The sound records of one file.
pub(crate) fn file_records(storage: &StorageHandle, dir: &Path, number: u64) -> Result<Vec<ChainRecord>, Error> {
    let path = chain_path(dir, number);
    let file = storage.open(&path).map_err(Error::io("open", &path))?;
    let mut bytes = vec![0; CHAIN_FILE_BYTES];
    let read = file.read_at(&mut bytes, 0).map_err(Error::io("read", &path))?;
    let header: ChainHeader = bytemuck::pod_read_unaligned(&bytes[..size_of::<ChainHeader>()]);
    let seed = seed(JournalId(u128::from_le_bytes(header.journal)));
    let sound = if read < CHAIN_FILE_BYTES { Err(Fault::Truncated) } else { check_header(&bytes, seed, number) };
    sound.map_err(|what| Error::Corrupt {
        place: Place { file: path, offset: 0, sequence: Sequence(0) },
        what,
        witnessed: None,
    })?;
    let places = (RECORDS_AT..RECORDS_END).step_by(RECORD_BYTES);
    Ok(places.filter_map(|at| record_at(&bytes, at, seed)).collect())
}

fn check_header(bytes: &[u8], expected: u32, number: u64) -> Result<(), Fault> {
    let header: ChainHeader = bytemuck::pod_read_unaligned(&bytes[..size_of::<ChainHeader>()]);
    let unsealed = ChainHeader { crc: 0, ..header };
    if header.magic != CHAIN_MAGIC {
        return Err(Fault::Magic);
    }
    if header.crc != crc32fast::hash(bytemuck::bytes_of(&unsealed)) {
        return Err(Fault::Checksum);
    }
    let journal = JournalId(u128::from_le_bytes(header.journal));
    if header.number != number || seed(journal) != expected {
        return Err(Fault::Foreign);
    }
    Ok(())
}

fn record_at(bytes: &[u8], at: usize, seed: u32) -> Option<ChainRecord> {
    let slot = &bytes[at..at + RECORD_BYTES];
    let record: RecordBytes = bytemuck::pod_read_unaligned(slot);
    // No record is of sequence 0: that is a slot not written.
    let sound = record.sequence > 0 && record.crc == batch_crc(seed, &slot[..16]);
    sound.then_some(ChainRecord { sequence: Sequence(record.sequence), chain: record.chain })
}

pub(crate) fn chain_path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:020}.chain"))
}
