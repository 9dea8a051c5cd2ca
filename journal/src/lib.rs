//! The journal: one sequenced log in a directory of preallocated segments.
//!
//! ```text
//!  Writer ── append ──► mapping (cached) ─────────────────► page cache ──► reader, recovery, snapshot process
//!    │                  private buffer (fsync) ── sync ──► pwrite + fdatasync
//!    └─ next segment ◄─ preparer (allocates, prefaults, syncs what was retired)
//! ```
//!
//! *Sequence* counts commands; every mark is an exclusive end, so `appended() == n` means commands `0..n`.
//!
//! Guarantees: a batch is in whole or not at all; what was counted durable is read back or the journal refuses with the
//! place named; only the last commit that nothing witnessed may be cut; after [`open`] the writer allocates nothing, takes
//! no contended lock and, at [`Level::Cached`], makes no system call per batch.
//!
//! Caveats: `docs/data-file.md` draws the files and lists the hazards.
//!
//! ```
//! use ringfence_journal::{Disk, Options, Reader, Sequence, open};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! # let dir = directory.path();
//! let mut opened = open(&Disk::handle(), dir, &Options::default())?;
//! let mut image = [0_u8; 64];
//! image[0] = 64; // an image starts with its length
//! let mut batch = opened.writer.begin(image.len())?.expect("a new journal has room");
//! batch.push(&image);
//! assert_eq!(batch.commit(1), Sequence(1));
//! opened.writer.close()?;
//!
//! let mut reader = Reader::open(&Disk::handle(), dir, Sequence(0))?;
//! let batch = reader.next_batch()?.expect("one batch was committed");
//! assert_eq!(batch.images().next(), Some(&image[..]));
//! # Ok(())
//! # }
//! ```

pub mod segment;

mod chain;
mod error;
mod handoff;
mod inspect;
mod knobs;
mod mapping;
mod marks;
mod options;
mod preparer;
mod read_ahead;
mod reader;
mod recovery;
mod retention;
mod snapshot;
mod storage;
mod syncer;
#[cfg(feature = "testing")]
pub mod testing;
mod writer;

use std::fmt;

pub use crate::chain::{CHAIN_EVERY, ChainRecord, ChainWriter, chain_records};
pub use crate::error::{Error, Fault, Place};
pub use crate::inspect::{Difference, SegmentStat, Stat, Verified, diff, diff_chains, stat, verify};
pub use crate::mapping::Mapping;
pub use crate::marks::{Admission, Marks};
pub use crate::options::{Level, Options, PrepareMode, SyncMode};
pub use crate::read_ahead::{ReadAhead, read_ahead};
pub use crate::reader::{BatchView, Images, Reader};
pub use crate::recovery::{Cut, Opened, Recovered, open};
pub use crate::retention::{Retained, retain};
pub use crate::snapshot::{NewestSnapshot, SnapshotInfo, SnapshotReader, SnapshotWriter, newest_snapshot, snapshots};
pub use crate::storage::{Disk, File, FileHandle, Lock, Storage, StorageHandle};
pub use crate::writer::{Batch, Writer};

/// Counts commands from 0; as a mark it is the number of commands below it.
pub use ringfence_kernel::Sequence;

/// Names a journal: drawn when it is created, repeated in each of its files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JournalId(pub u128);

impl fmt::Display for JournalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}
