//! Snapshots: a state's canonical bytes in checked chunks, atomic under their name.
//!
//! ```text
//!  0           48                                                        bytes of SEQUENCE.snapshot
//!  ├─ header ──┼─ chunk ─┬─ chunk ─┬ ... ┬─ last chunk ─┼─ trailer, 48 ─┤
//!              └ 0 length u32 │ 4 crc u32 │ 8 number u64 │ 16 data ...
//! ```
//!
//! Every chunk but the last holds 256 KiB. The crc of a chunk covers its length, number and data and starts from a seed
//! of journal and sequence, so no chunk passes for one of another snapshot or place. Renaming happens once the file *and
//! the journal below its sequence* are durable: recovery may refuse a journal that ends before a snapshot of it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytemuck::{Pod, Zeroable};

use crate::error::{Error, Fault};
use crate::reader::{header_fault, numbers, read_header, segment_numbers};
use crate::segment::{FORMAT_VERSION, batch_crc, seed, segment_path};
use crate::storage::{FileHandle, StorageHandle};
use crate::{JournalId, Sequence};

const SNAPSHOT_MAGIC: [u8; 8] = *b"RINGSNP\0";
const TRAILER_MAGIC: [u8; 8] = *b"RINGEND\0";
const CHUNK_BYTES: usize = 256 << 10;

#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
struct SnapshotHeader {
    magic: [u8; 8],
    version: u32,
    /// CRC-32 of this header with this field zero.
    crc: u32,
    journal: [u8; 16],
    sequence: u64,
    reserved: u64,
}

#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
struct ChunkHeader {
    length: u32,
    crc: u32,
    number: u64,
}

#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
struct Trailer {
    magic: [u8; 8],
    state_hash: u64,
    chain: u64,
    /// Bytes of state over all chunks.
    bytes: u64,
    sequence: u64,
    /// From the snapshot's seed, of the 40 bytes before.
    crc: u32,
    reserved: u32,
}

const HEADER_BYTES: usize = size_of::<SnapshotHeader>();
const CHUNK_HEADER_BYTES: usize = size_of::<ChunkHeader>();
const TRAILER_BYTES: usize = size_of::<Trailer>();
const TRAILER_COVERED: usize = std::mem::offset_of!(Trailer, crc);

const _: () = {
    assert!(HEADER_BYTES == 48 && CHUNK_HEADER_BYTES == 16 && TRAILER_BYTES == 48);
    assert!(TRAILER_COVERED == 40);
};

/// Streams a state into a file that appears under its name only when it is whole and durable.
#[derive(Debug)]
pub struct SnapshotWriter {
    storage: StorageHandle,
    dir: PathBuf,
    temporary: PathBuf,
    file: FileHandle,
    sequence: Sequence,
    seed: u32,
    chunk: Vec<u8>,
    number: u64,
    at: u64,
    bytes: u64,
    finished: bool,
}

impl SnapshotWriter {
    /// Starts the snapshot of the state after the commands below `sequence`.
    ///
    /// # Errors
    /// [`Error::NoJournal`]; [`Error::Io`].
    pub fn create(storage: &StorageHandle, dir: &Path, sequence: Sequence) -> Result<SnapshotWriter, Error> {
        let journal = journal_of(storage, dir)?;
        let temporary = dir.join(format!("{:020}.snapshot.partial", sequence.0));
        let file = storage.create(&temporary).map_err(Error::io("create", &temporary))?;
        let mut header = SnapshotHeader {
            magic: SNAPSHOT_MAGIC,
            version: FORMAT_VERSION,
            crc: 0,
            journal: journal.0.to_le_bytes(),
            sequence: sequence.0,
            reserved: 0,
        };
        header.crc = crc32fast::hash(bytemuck::bytes_of(&header));
        let mut chunk = Vec::with_capacity(CHUNK_HEADER_BYTES + CHUNK_BYTES);
        chunk.resize(CHUNK_HEADER_BYTES, 0);
        let writer = SnapshotWriter {
            storage: Arc::clone(storage),
            dir: dir.to_path_buf(),
            temporary,
            file,
            sequence,
            seed: snapshot_seed(journal, sequence),
            chunk,
            number: 0,
            at: HEADER_BYTES as u64,
            bytes: 0,
            finished: false,
        };
        writer.write(bytemuck::bytes_of(&header), 0)?;
        Ok(writer)
    }

    /// Adds bytes of the state.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn put(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        while !bytes.is_empty() {
            let room = CHUNK_HEADER_BYTES + CHUNK_BYTES - self.chunk.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.chunk.extend_from_slice(now);
            bytes = later;
            if self.chunk.len() == CHUNK_HEADER_BYTES + CHUNK_BYTES {
                self.flush()?;
            }
        }
        Ok(())
    }

    /// Ends the snapshot, makes it and the journal below it durable, and gives it its name.
    ///
    /// # Errors
    /// [`Error::Io`]; then no snapshot appears.
    pub fn finish(mut self, state_hash: u64, chain: u64) -> Result<PathBuf, Error> {
        if self.chunk.len() > CHUNK_HEADER_BYTES {
            self.flush()?;
        }
        let mut trailer = Trailer {
            magic: TRAILER_MAGIC,
            state_hash,
            chain,
            bytes: self.bytes,
            sequence: self.sequence.0,
            crc: 0,
            reserved: 0,
        };
        trailer.crc = batch_crc(self.seed, &bytemuck::bytes_of(&trailer)[..TRAILER_COVERED]);
        self.write(bytemuck::bytes_of(&trailer), self.at)?;
        let temporary = &self.temporary;
        self.file.sync_data().map_err(Error::io("sync", temporary))?;
        sync_journal(&self.storage, &self.dir)?;
        let path = snapshot_path(&self.dir, self.sequence);
        self.storage.rename(temporary, &path).map_err(Error::io("rename", temporary))?;
        self.finished = true;
        self.storage.sync_dir(&self.dir).map_err(Error::io("sync", &self.dir))?;
        Ok(path)
    }

    fn flush(&mut self) -> Result<(), Error> {
        let length = self.chunk.len() - CHUNK_HEADER_BYTES;
        let header = ChunkHeader {
            #[expect(clippy::cast_possible_truncation, reason = "at most 256 KiB")]
            length: length as u32,
            crc: 0,
            number: self.number,
        };
        let data = &self.chunk[CHUNK_HEADER_BYTES..];
        let header = ChunkHeader { crc: chunk_crc(self.seed, &header, data), ..header };
        self.chunk[..CHUNK_HEADER_BYTES].copy_from_slice(bytemuck::bytes_of(&header));
        self.write(&self.chunk, self.at)?;
        self.at += self.chunk.len() as u64;
        self.bytes += length as u64;
        self.number += 1;
        self.chunk.truncate(CHUNK_HEADER_BYTES);
        Ok(())
    }

    fn write(&self, bytes: &[u8], at: u64) -> Result<(), Error> {
        self.file.write_at(bytes, at).map_err(Error::io("write", &self.temporary))
    }
}

impl Drop for SnapshotWriter {
    /// Removes what was not finished.
    fn drop(&mut self) {
        if !self.finished {
            let _ = self.storage.remove(&self.temporary);
        }
    }
}

/// Syncs every segment: what a snapshot stands on has to be durable before the snapshot says so.
fn sync_journal(storage: &StorageHandle, dir: &Path) -> Result<(), Error> {
    for number in segment_numbers(storage, dir)? {
        let path = segment_path(dir, number);
        let file = storage.open(&path).map_err(Error::io("open", &path))?;
        file.sync_data().map_err(Error::io("sync", &path))?;
    }
    Ok(())
}

/// A snapshot by its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotInfo {
    /// The state is that after the commands below this.
    pub sequence: Sequence,
    /// The file.
    pub path: PathBuf,
}

/// The snapshots in a directory, newest first, by name: nothing is read.
///
/// # Errors
/// [`Error::Io`].
pub fn snapshots(storage: &StorageHandle, dir: &Path) -> Result<Vec<SnapshotInfo>, Error> {
    let numbers = numbers(storage, dir, "snapshot")?;
    Ok(numbers
        .into_iter()
        .rev()
        .map(|number| SnapshotInfo { sequence: Sequence(number), path: snapshot_path(dir, Sequence(number)) })
        .collect())
}

/// What [`newest_snapshot`] found.
#[derive(Debug)]
pub struct NewestSnapshot {
    /// The newest sound snapshot, to be read from its start.
    pub reader: Option<SnapshotReader>,
    /// Newer ones that are damaged, and how.
    pub damaged: Vec<(SnapshotInfo, Error)>,
}

/// Finds the newest snapshot that is sound to its last byte; those passed over are reported.
///
/// # Errors
/// [`Error::Io`] if the directory cannot be listed.
pub fn newest_snapshot(storage: &StorageHandle, dir: &Path) -> Result<NewestSnapshot, Error> {
    let mut damaged = Vec::new();
    for info in snapshots(storage, dir)? {
        match verify_snapshot(storage, dir, &info) {
            Ok(reader) => {
                return Ok(NewestSnapshot { reader: Some(reader), damaged });
            }
            Err(error) => damaged.push((info, error)),
        }
    }
    Ok(NewestSnapshot { reader: None, damaged })
}

/// Reads a whole snapshot; returns a reader at its start.
pub(crate) fn verify_snapshot(
    storage: &StorageHandle,
    dir: &Path,
    info: &SnapshotInfo,
) -> Result<SnapshotReader, Error> {
    let mut reader = SnapshotReader::open(storage, dir, info.sequence)?;
    while reader.next_chunk()? {}
    SnapshotReader::open(storage, dir, info.sequence)
}

/// Streams a snapshot back; no byte is handed out before its chunk was checked.
#[derive(Debug)]
pub struct SnapshotReader {
    path: PathBuf,
    file: FileHandle,
    seed: u32,
    journal: JournalId,
    trailer: Trailer,
    chunk: Vec<u8>,
    /// How much of the chunk has been taken.
    taken: usize,
    number: u64,
    at: u64,
    /// Bytes of state not yet read from the file.
    unread: u64,
}

impl SnapshotReader {
    /// Opens the snapshot at `sequence` and checks its header and trailer.
    ///
    /// # Errors
    /// [`Error::Snapshot`] with the offset; [`Error::Version`]; [`Error::Io`].
    pub fn open(storage: &StorageHandle, dir: &Path, sequence: Sequence) -> Result<SnapshotReader, Error> {
        let path = snapshot_path(dir, sequence);
        let file = storage.open(&path).map_err(Error::io("open", &path))?;
        let fault = |offset, what| Error::Snapshot { file: path.clone(), offset, what };
        let length = file.bytes().map_err(Error::io("measure", &path))?;
        if length < (HEADER_BYTES + TRAILER_BYTES) as u64 {
            return Err(fault(length, Fault::Truncated));
        }
        let mut bytes = [0; HEADER_BYTES];
        file.read_at(&mut bytes, 0).map_err(Error::io("read", &path))?;
        let header: SnapshotHeader = bytemuck::pod_read_unaligned(&bytes);
        let unsealed = SnapshotHeader { crc: 0, ..header };
        if header.magic != SNAPSHOT_MAGIC {
            return Err(fault(0, Fault::Magic));
        }
        if header.crc != crc32fast::hash(bytemuck::bytes_of(&unsealed)) {
            return Err(fault(0, Fault::Checksum));
        }
        if header.version != FORMAT_VERSION {
            return Err(Error::Version { file: path, found: header.version, known: FORMAT_VERSION });
        }
        let journal = JournalId(u128::from_le_bytes(header.journal));
        // Without any segment there is nothing to compare with; recovery refuses that by itself.
        match journal_of(storage, dir) {
            Ok(ours) if ours != journal => return Err(fault(0, Fault::Foreign)),
            Ok(_) | Err(Error::NoJournal { .. } | Error::Corrupt { .. }) => {}
            Err(error) => return Err(error),
        }
        let seed = snapshot_seed(journal, sequence);
        let at = length - TRAILER_BYTES as u64;
        let mut bytes = [0; TRAILER_BYTES];
        file.read_at(&mut bytes, at).map_err(Error::io("read", &path))?;
        let trailer: Trailer = bytemuck::pod_read_unaligned(&bytes);
        let sound = trailer.magic == TRAILER_MAGIC && trailer.crc == batch_crc(seed, &bytes[..TRAILER_COVERED]);
        if !sound {
            return Err(fault(at, Fault::Checksum));
        }
        let chunks = trailer.bytes.div_ceil(CHUNK_BYTES as u64);
        let expected = (HEADER_BYTES + TRAILER_BYTES) as u64 + trailer.bytes + chunks * CHUNK_HEADER_BYTES as u64;
        if header.sequence != sequence.0 || trailer.sequence != sequence.0 || length != expected {
            return Err(fault(at, Fault::Length));
        }
        Ok(SnapshotReader {
            path,
            file,
            seed,
            journal,
            trailer,
            chunk: Vec::new(),
            taken: 0,
            number: 0,
            at: HEADER_BYTES as u64,
            unread: trailer.bytes,
        })
    }

    /// Fills `target` with the next bytes of the state.
    ///
    /// # Errors
    /// [`Error::Snapshot`] if a chunk is damaged, or with [`Fault::Truncated`] if the state has fewer bytes left.
    pub fn take(&mut self, target: &mut [u8]) -> Result<(), Error> {
        let mut done = 0;
        while done < target.len() {
            if self.taken == self.chunk.len() && !self.next_chunk()? {
                return Err(self.fault(Fault::Truncated));
            }
            let step = (target.len() - done).min(self.chunk.len() - self.taken);
            target[done..done + step].copy_from_slice(&self.chunk[self.taken..self.taken + step]);
            self.taken += step;
            done += step;
        }
        Ok(())
    }

    /// Bytes of state not yet taken.
    #[must_use]
    pub fn bytes_left(&self) -> u64 {
        self.unread + (self.chunk.len() - self.taken) as u64
    }

    /// Bytes of state in all.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.trailer.bytes
    }

    /// The state is that after the commands below this.
    #[must_use]
    pub fn sequence(&self) -> Sequence {
        Sequence(self.trailer.sequence)
    }

    /// The hash of the whole state.
    #[must_use]
    pub fn state_hash(&self) -> u64 {
        self.trailer.state_hash
    }

    /// The output chain at the sequence.
    #[must_use]
    pub fn chain(&self) -> u64 {
        self.trailer.chain
    }

    /// The journal it was taken of.
    #[must_use]
    pub fn journal(&self) -> JournalId {
        self.journal
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn next_chunk(&mut self) -> Result<bool, Error> {
        if self.unread == 0 {
            return Ok(false);
        }
        #[expect(clippy::cast_possible_truncation, reason = "at most 256 KiB")]
        let length = self.unread.min(CHUNK_BYTES as u64) as usize;
        let mut bytes = [0; CHUNK_HEADER_BYTES];
        let read_at = |target: &mut [u8], at| self.file.read_at(target, at).map_err(Error::io("read", &self.path));
        read_at(&mut bytes, self.at)?;
        self.chunk.resize(length, 0);
        let read = self
            .file
            .read_at(&mut self.chunk, self.at + CHUNK_HEADER_BYTES as u64)
            .map_err(Error::io("read", &self.path))?;
        let header: ChunkHeader = bytemuck::pod_read_unaligned(&bytes);
        let sound = read == length
            && header.length as usize == length
            && header.number == self.number
            && header.crc == chunk_crc(self.seed, &header, &self.chunk);
        if !sound {
            self.chunk.clear();
            self.taken = 0;
            return Err(self.fault(Fault::Checksum));
        }
        self.taken = 0;
        self.number += 1;
        self.unread -= length as u64;
        self.at += (CHUNK_HEADER_BYTES + length) as u64;
        Ok(true)
    }

    fn fault(&self, what: Fault) -> Error {
        Error::Snapshot { file: self.path.clone(), offset: self.at, what }
    }
}

fn chunk_crc(seed: u32, header: &ChunkHeader, data: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new_with_initial(seed);
    hasher.update(&header.length.to_le_bytes());
    hasher.update(&header.number.to_le_bytes());
    hasher.update(data);
    hasher.finalize()
}

fn snapshot_seed(journal: JournalId, sequence: Sequence) -> u32 {
    batch_crc(seed(journal), &sequence.0.to_le_bytes())
}

/// The id in the header of the oldest segment.
fn journal_of(storage: &StorageHandle, dir: &Path) -> Result<JournalId, Error> {
    let numbers = segment_numbers(storage, dir)?;
    let Some(&number) = numbers.first() else {
        return Err(Error::NoJournal { dir: dir.to_path_buf() });
    };
    let header = read_header(storage, dir, number)?;
    header.map(|header| header.journal()).map_err(|what| header_fault(dir, number, what))
}

pub(crate) fn snapshot_path(dir: &Path, sequence: Sequence) -> PathBuf {
    dir.join(format!("{:020}.snapshot", sequence.0))
}
