//! Snapshots of a machine: state, its hash and the output chain, written and read as one stream.

use crate::machine::Machine;
use ringfence_journal::{Error, SnapshotReader, SnapshotWriter, StorageHandle, newest_snapshot};
use ringfence_kernel::{Corrupt, Registry, Sequence, Sink, Source, StateHasher};
use std::path::{Path, PathBuf};

/// A snapshot that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The file could not be written or read, or its bytes are damaged.
    #[error(transparent)]
    Journal(#[from] Error),
    /// The bytes are whole and yet no state of this build.
    #[error("snapshot {path}: {corrupt}")]
    State {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        corrupt: Corrupt,
    },
    /// What was loaded is not what was saved.
    #[error("snapshot {path}: the state hashes to {found:#018x}, but it says {expected:#018x}")]
    Hash {
        /// The file.
        path: PathBuf,
        /// The hash in the file.
        expected: u64,
        /// The hash of what was read.
        found: u64,
    },
}

/// Writes a snapshot of `machine` beside its journal, atomically.
///
/// # Errors
/// [`Error`] when it could not be written; then none exists.
pub fn write<R: Registry>(machine: &Machine<R>, storage: &StorageHandle, dir: &Path) -> Result<PathBuf, Error> {
    struct Writing {
        writer: SnapshotWriter,
        hasher: StateHasher,
        failed: Option<Error>,
    }
    impl Sink for Writing {
        fn put(&mut self, bytes: &[u8]) {
            self.hasher.put(bytes);
            if self.failed.is_none() {
                self.failed = self.writer.put(bytes).err();
            }
        }
    }
    let writer = SnapshotWriter::create(storage, dir, machine.sequence())?;
    let mut writing = Writing { writer, hasher: StateHasher::new(), failed: None };
    machine.save(&mut writing);
    match writing.failed {
        Some(error) => Err(error),
        None => writing.writer.finish(writing.hasher.finish(), machine.chain()),
    }
}

/// A machine from a snapshot, and what was passed over to find it.
#[derive(Debug)]
pub struct Loaded<R> {
    /// The state, when there is a sound snapshot.
    pub machine: Option<Machine<R>>,
    /// Newer snapshots that are damaged, and why.
    pub damaged: Vec<(PathBuf, Error)>,
}

/// The state of the newest sound snapshot in `dir`.
///
/// # Errors
/// [`SnapshotError`] when its file is whole but its content is not a state of this build.
pub fn load_newest<R: Registry>(storage: &StorageHandle, dir: &Path) -> Result<Loaded<R>, SnapshotError> {
    let newest = newest_snapshot(storage, dir)?;
    let machine = newest.reader.map(load).transpose()?;
    Ok(Loaded { machine, damaged: newest.damaged.into_iter().map(|(info, error)| (info.path, error)).collect() })
}

/// The state of the snapshot at `sequence` in `dir`.
///
/// # Errors
/// [`SnapshotError`] when there is none or it cannot be used.
pub fn load_at<R: Registry>(
    storage: &StorageHandle,
    dir: &Path,
    sequence: Sequence,
) -> Result<Machine<R>, SnapshotError> {
    load(SnapshotReader::open(storage, dir, sequence)?)
}

fn load<R: Registry>(reader: SnapshotReader) -> Result<Machine<R>, SnapshotError> {
    struct Reading {
        reader: SnapshotReader,
        hasher: StateHasher,
        failed: Option<Error>,
    }
    impl Source for Reading {
        fn take(&mut self, out: &mut [u8]) -> Result<(), Corrupt> {
            if let Err(error) = self.reader.take(out) {
                self.failed = Some(error);
                return Err(Corrupt("unreadable"));
            }
            self.hasher.put(out);
            Ok(())
        }
    }
    let (path, expected) = (reader.path().to_path_buf(), reader.state_hash());
    let mut reading = Reading { reader, hasher: StateHasher::new(), failed: None };
    let machine = match (Machine::load(&mut reading), reading.failed) {
        (Ok(machine), _) => machine,
        (Err(_), Some(error)) => return Err(error.into()),
        (Err(corrupt), None) => return Err(SnapshotError::State { path, corrupt }),
    };
    let found = reading.hasher.finish();
    if found != expected || reading.reader.bytes_left() != 0 {
        return Err(SnapshotError::Hash { path, expected, found });
    }
    Ok(machine)
}
