//! What the journal tool shows: a summary, a full verification, and where two histories part.

use std::path::Path;

use crate::chain::{ChainRecord, chain_records};
use crate::error::{Error, Fault, Place};
use crate::reader::{BatchView, Reader, header_fault, read_header, segment_numbers};
use crate::segment::segment_path;
use crate::snapshot::{SnapshotInfo, snapshots, verify_snapshot};
use crate::storage::StorageHandle;
use crate::{JournalId, Sequence};

/// One segment file, by its header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentStat {
    /// The number in its name.
    pub number: u64,
    /// The file's length.
    pub bytes: u64,
    /// The sequence it starts at; [`Fault::Empty`] is a prepared segment that is not in use.
    pub first_sequence: Result<Sequence, Fault>,
}

/// A summary that reads headers and the last segment only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    /// The journal's id.
    pub journal: JournalId,
    /// Its segments, ascending.
    pub segments: Vec<SegmentStat>,
    /// The oldest sequence kept.
    pub oldest: Sequence,
    /// The sequence after the last readable command.
    pub next_sequence: Sequence,
    /// How far (exclusive) the last segment's headers witness durability.
    pub witnessed: Sequence,
    /// Where the readable part ends.
    pub end: Place,
    /// What stands there: [`Fault::Empty`] is a clean end.
    pub stopped_by: Fault,
    /// The snapshots, newest first.
    pub snapshots: Vec<SnapshotInfo>,
    /// Records in the output-chain sidecar.
    pub chain_records: usize,
}

/// Summarizes the journal in `dir`. Takes no lock.
///
/// # Errors
/// [`Error::NoJournal`], [`Error::Corrupt`], [`Error::Io`].
pub fn stat(storage: &StorageHandle, dir: &Path) -> Result<Stat, Error> {
    let mut segments = Vec::new();
    for number in segment_numbers(storage, dir)? {
        let path = segment_path(dir, number);
        let file = storage.open(&path).map_err(Error::io("open", &path))?;
        let header = read_header(storage, dir, number)?;
        segments.push(SegmentStat {
            number,
            bytes: file.bytes().map_err(Error::io("measure", &path))?,
            first_sequence: header.map(|header| Sequence(header.first_sequence)),
        });
    }
    let Some(lowest) = segments.first() else {
        return Err(Error::NoJournal { dir: dir.to_path_buf() });
    };
    let oldest = lowest.first_sequence.map_err(|what| header_fault(dir, lowest.number, what))?;
    let last = segments.iter().rev().find_map(|s| s.first_sequence.ok());
    let mut reader = Reader::follow(storage, dir, last.unwrap_or(oldest))?;
    while reader.next_batch()?.is_some() {}
    Ok(Stat {
        journal: reader.journal(),
        segments,
        oldest,
        next_sequence: reader.position(),
        witnessed: reader.witnessed(),
        end: reader.place(),
        stopped_by: reader.stopped_by().unwrap_or(Fault::Empty),
        snapshots: snapshots(storage, dir)?,
        chain_records: chain_records(storage, dir)?.len(),
    })
}

/// What [`verify`] read.
#[derive(Debug)]
pub struct Verified {
    /// The journal's id.
    pub journal: JournalId,
    /// The oldest sequence kept.
    pub oldest: Sequence,
    /// The sequence after the last command.
    pub next_sequence: Sequence,
    /// Batches read.
    pub batches: u64,
    /// Bytes of batches, headers included.
    pub bytes: u64,
    /// How far (exclusive) the headers witness durability.
    pub witnessed: Sequence,
    /// Where the history ends.
    pub end: Place,
    /// What stands there: [`Fault::Empty`] is a clean end, anything else a torn commit that recovery would cut.
    pub stopped_by: Fault,
    /// Sound snapshots.
    pub snapshots: usize,
    /// Damaged snapshots, and how.
    pub damaged_snapshots: Vec<(SnapshotInfo, Error)>,
    /// Records in the output-chain sidecar.
    pub chain_records: usize,
    /// Why the output chain beside the journal cannot be read, if so: nothing but comparing histories needs it.
    pub damaged_chain: Option<Error>,
}

/// Reads everything in `dir` and checks it. Takes no lock.
///
/// # Errors
/// The first fault in the history, with its place; damaged snapshots are in the summary.
pub fn verify(storage: &StorageHandle, dir: &Path) -> Result<Verified, Error> {
    let mut reader = Reader::open_oldest(storage, dir)?;
    let oldest = reader.position();
    let (mut batches, mut bytes) = (0, 0);
    while let Some(batch) = reader.next_batch()? {
        batches += 1;
        bytes += u64::from(batch.header().length);
    }
    let mut sound = 0;
    let mut damaged_snapshots = Vec::new();
    for info in snapshots(storage, dir)? {
        if info.sequence > reader.position() {
            return Err(Error::Corrupt {
                place: reader.place(),
                what: Fault::BehindSnapshot,
                witnessed: Some(info.sequence),
            });
        }
        match verify_snapshot(storage, dir, &info) {
            Ok(_) => sound += 1,
            Err(error) => damaged_snapshots.push((info, error)),
        }
    }
    let chain = chain_records(storage, dir);
    Ok(Verified {
        journal: reader.journal(),
        oldest,
        next_sequence: reader.position(),
        batches,
        bytes,
        witnessed: reader.witnessed(),
        end: reader.place(),
        stopped_by: reader.stopped_by().unwrap_or(Fault::Empty),
        snapshots: sound,
        damaged_snapshots,
        chain_records: chain.as_ref().map_or(0, Vec::len),
        damaged_chain: chain.err(),
    })
}

/// How two histories compare over the sequences that both keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    /// The same commands to the same end.
    Same {
        /// The common end.
        until: Sequence,
    },
    /// The first history ends there, the second goes on.
    FirstEnds {
        /// The common end.
        at: Sequence,
    },
    /// The second history ends there, the first goes on.
    SecondEnds {
        /// The common end.
        at: Sequence,
    },
    /// The first sequence whose commands differ.
    Parted {
        /// That sequence.
        at: Sequence,
    },
}

/// Compares two journals command by command, byte for byte; how they were batched does not matter.
///
/// # Errors
/// As [`Reader`], for either.
pub fn diff(storage: &StorageHandle, first: &Path, second: &Path) -> Result<Difference, Error> {
    let mut first = Commands::oldest(storage, first)?;
    let mut second = Commands::oldest(storage, second)?;
    let from = first.at.max(second.at);
    first.skip_to(from)?;
    second.skip_to(from)?;
    loop {
        let at = Sequence(first.at);
        let ours = first.peek()?;
        let theirs = second.peek()?;
        match (ours, theirs) {
            (None, None) => return Ok(Difference::Same { until: at }),
            (None, Some(_)) => return Ok(Difference::FirstEnds { at }),
            (Some(_), None) => return Ok(Difference::SecondEnds { at }),
            (Some(ours), Some(theirs)) if ours != theirs => return Ok(Difference::Parted { at }),
            (Some(_), Some(_)) => {}
        }
        first.step();
        second.step();
    }
}

/// Compares two output-chain sidecars: the last sequence at which they agree, and the first at which they differ, if
/// they do. Only sequences that both recorded count.
///
/// # Errors
/// As [`chain_records`].
pub fn diff_chains(
    storage: &StorageHandle,
    first: &Path,
    second: &Path,
) -> Result<(Option<Sequence>, Option<Sequence>), Error> {
    let first: Vec<ChainRecord> = chain_records(storage, first)?;
    let second = chain_records(storage, second)?;
    let mut agreed = None;
    for record in &first {
        let Ok(at) = second.binary_search_by_key(&record.sequence, |other| other.sequence) else {
            continue;
        };
        if second[at].chain != record.chain {
            return Ok((agreed, Some(record.sequence)));
        }
        agreed = Some(record.sequence);
    }
    Ok((agreed, None))
}

/// A history as single commands.
struct Commands {
    reader: Reader,
    /// The sequence of the next command.
    at: u64,
    /// The images of the batch being read, and how much of them is used up.
    images: Vec<u8>,
    used: usize,
}

impl Commands {
    fn oldest(storage: &StorageHandle, dir: &Path) -> Result<Commands, Error> {
        let reader = Reader::open_oldest(storage, dir)?;
        Ok(Commands { at: reader.position().0, reader, images: Vec::new(), used: 0 })
    }

    fn skip_to(&mut self, sequence: u64) -> Result<(), Error> {
        while self.at < sequence && self.peek()?.is_some() {
            self.step();
        }
        Ok(())
    }

    fn peek(&mut self) -> Result<Option<&[u8]>, Error> {
        if self.used == self.images.len() {
            let next: Option<BatchView<'_>> = self.reader.next_batch()?;
            let Some(batch) = next else {
                return Ok(None);
            };
            self.images.clear();
            self.images.extend_from_slice(batch.bytes());
            self.used = 0;
        }
        Ok(Some(&self.images[self.used..self.used + self.length()]))
    }

    fn step(&mut self) {
        self.used += self.length();
        self.at += 1;
    }

    fn length(&self) -> usize {
        crate::segment::image_bytes(&self.images[self.used..]).expect("checked with the batch")
    }
}
