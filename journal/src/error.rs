//! What can go wrong, with the place named.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::Sequence;

/// A place in a data file: enough to put a hex viewer on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: PathBuf,
    /// Bytes from the start of the file.
    pub offset: u64,
    /// The sequence that should stand there.
    pub sequence: Sequence,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {} (sequence {})", self.file.display(), self.offset, self.sequence)
    }
}

/// Why bytes are not what the format says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing was written here.
    Empty,
    /// The first bytes are not the magic of a batch or file.
    Magic,
    /// A length that cannot be.
    Length,
    /// The checksum does not match.
    Checksum,
    /// A sound batch that does not follow the batch before it.
    Chain,
    /// A sound batch whose sequence or index does not follow.
    Order,
    /// The lengths of the images do not add up to the batch.
    Images,
    /// The header of the segment is damaged or missing.
    Header,
    /// The file belongs to another journal, or bears another's number.
    Foreign,
    /// The file is shorter than its header says.
    Truncated,
    /// A segment that must exist does not.
    Missing,
    /// The journal ends before a snapshot of it.
    BehindSnapshot,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Fault::Empty => "nothing was written here",
            Fault::Magic => "not the start of a batch",
            Fault::Length => "impossible length",
            Fault::Checksum => "checksum mismatch",
            Fault::Chain => "does not chain to the batch before it",
            Fault::Order => "sequence or index out of order",
            Fault::Images => "image lengths do not add up",
            Fault::Header => "damaged or missing header",
            Fault::Foreign => "belongs to another journal",
            Fault::Truncated => "shorter than its header says",
            Fault::Missing => "missing",
            Fault::BehindSnapshot => "the journal ends before a snapshot of it",
        })
    }
}

/// Every way this crate refuses.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file call failed.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process writes this journal.
    #[error("{} is in use by another process", dir.display())]
    Locked {
        /// The directory.
        dir: PathBuf,
    },
    /// Durable history is damaged: nothing may be cut here, so nothing is opened.
    #[error("{place}: {what}; durable history is damaged")]
    Corrupt {
        /// Where reading had to stop.
        place: Place,
        /// Why.
        what: Fault,
        /// How far history is known to have been durable (an exclusive end), if a later header said so.
        witnessed: Option<Sequence>,
    },
    /// The sequence asked for is older than the oldest kept segment.
    #[error("sequence {asked} is no longer kept: the oldest is {oldest}")]
    TooOld {
        /// What was asked for.
        asked: Sequence,
        /// The oldest sequence that can be read.
        oldest: Sequence,
    },
    /// The sequence asked for is past the end.
    #[error("sequence {asked} is past the end, {end}")]
    PastEnd {
        /// What was asked for.
        asked: Sequence,
        /// The end: the number of commands.
        end: Sequence,
    },
    /// The directory holds no journal.
    #[error("{} holds no journal", dir.display())]
    NoJournal {
        /// The directory.
        dir: PathBuf,
    },
    /// A file of a format this build does not know.
    #[error("{} has format version {found}; this build reads {known}", file.display())]
    Version {
        /// The file.
        file: PathBuf,
        /// Its version.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// More bytes in one batch than a segment or the buffer can hold.
    #[error("a batch of {bytes} bytes of images: at most {max} fit")]
    BatchTooLarge {
        /// Asked for.
        bytes: usize,
        /// What fits.
        max: usize,
    },
    /// Options that contradict each other.
    #[error("journal options: {0}")]
    Options(&'static str),
    /// A snapshot's bytes are not what the format says.
    #[error("{} at byte {offset}: {what}", file.display())]
    Snapshot {
        /// The file.
        file: PathBuf,
        /// Bytes from its start.
        offset: u64,
        /// Why.
        what: Fault,
    },
    /// A sync or a preparation failed earlier. Nothing retries over it: the process has to stop.
    #[error("the journal has stopped: {0}")]
    Stopped(Arc<Error>),
}

impl Error {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
        let path = path.to_path_buf();
        move |source| Error::Io { action, path, source }
    }

    /// Whether the cause is a full disk or an exhausted quota.
    #[must_use]
    pub fn is_no_space(&self) -> bool {
        match self {
            Error::Io { source, .. } => {
                matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
            }
            Error::Stopped(first) => first.is_no_space(),
            _ => false,
        }
    }
}
