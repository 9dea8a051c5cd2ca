//! Replay: the state that a journal leads to. Recovery is a replay that goes on from a snapshot.

use crate::machine::{Machine, Unplayable};
use crate::snapshots::{self, SnapshotError};
use ringfence_journal::{Error, Reader, StorageHandle};
use ringfence_kernel::image::Slot;
use ringfence_kernel::{Outbox, Progress, Registry, Sequence};
use std::path::{Path, PathBuf};

/// A journal that cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// It cannot be read, or is corrupt.
    #[error(transparent)]
    Journal(#[from] Error),
    /// Its snapshot cannot be used.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// It holds a frame that this build cannot play.
    #[error(transparent)]
    Unplayable(#[from] Unplayable),
    /// It has no frame at all.
    #[error("the journal in {} is empty", dir.display())]
    Empty {
        /// The directory.
        dir: PathBuf,
    },
    /// The journal ends before the sequence asked for.
    #[error("the journal ends at {end}, before {until}")]
    TooShort {
        /// Frames that there are.
        end: Sequence,
        /// Frames asked for.
        until: Sequence,
    },
}

/// Where a replay starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// The newest snapshot that is not past the end asked for, else frame 0.
    Snapshot,
    /// Frame 0; when retention has deleted it, the oldest snapshot that is kept.
    Genesis,
}

/// What a replay is told as it goes.
pub trait Observer {
    /// Some of the outputs of a frame, before the next frame.
    fn outputs(&mut self, outputs: &[Slot]);
    /// A frame is executed: `next` frames are.
    fn executed(&mut self, next: Sequence, chain: u64);
}

/// Sees nothing.
#[derive(Debug)]
pub struct Blind;

impl Observer for Blind {
    #[inline]
    fn outputs(&mut self, _: &[Slot]) {}
    #[inline]
    fn executed(&mut self, _: Sequence, _: u64) {}
}

/// A state and where its replay started.
#[derive(Debug)]
pub struct Replayed<R> {
    /// The state.
    pub machine: Machine<R>,
    /// The first frame that was executed; 0 when there was no snapshot.
    pub from: Sequence,
}

/// Replays the journal in `dir` up to `until` frames, or its end.
///
/// # Errors
/// [`ReplayError`].
pub fn replay<R: Registry>(
    storage: &StorageHandle,
    dir: &Path,
    from: From,
    until: Option<Sequence>,
    observer: &mut impl Observer,
) -> Result<Replayed<R>, ReplayError> {
    let machine = match from {
        From::Genesis if Reader::open_oldest(storage, dir)?.position() == Sequence(0) => None,
        From::Genesis => {
            let oldest = ringfence_journal::snapshots(storage, dir)?.pop();
            oldest.map(|snapshot| snapshots::load_at(storage, dir, snapshot.sequence)).transpose()?
        }
        From::Snapshot => match until {
            None => snapshots::load_newest(storage, dir)?.machine,
            Some(until) => {
                let fitting = ringfence_journal::snapshots(storage, dir)?.into_iter().find(|s| s.sequence <= until);
                fitting.map(|snapshot| snapshots::load_at(storage, dir, snapshot.sequence)).transpose()?
            }
        },
    };
    let from = machine.as_ref().map_or(Sequence(0), Machine::sequence);
    let machine = advance(storage, dir, machine, until, observer)?;
    Ok(Replayed { machine, from })
}

/// Executes what follows `machine` in the journal, up to `until` frames, or its end.
///
/// # Errors
/// [`ReplayError`].
pub fn advance<R: Registry>(
    storage: &StorageHandle,
    dir: &Path,
    mut machine: Option<Machine<R>>,
    until: Option<Sequence>,
    observer: &mut impl Observer,
) -> Result<Machine<R>, ReplayError> {
    let mut outbox = Outbox::new();
    let mut reader = Reader::open(storage, dir, machine.as_ref().map_or(Sequence(0), Machine::sequence))?;
    let until = until.unwrap_or(Sequence(u64::MAX));
    while let Some(batch) = reader.next_batch()? {
        let mut at = batch.first_sequence();
        for image in batch.images() {
            let machine = match &mut machine {
                None => {
                    machine = Some(Machine::genesis(image)?);
                    at = at.next();
                    continue;
                }
                // A batch may start before the snapshot.
                Some(machine) if at < machine.sequence() => {
                    at = at.next();
                    continue;
                }
                Some(machine) if machine.sequence() >= until => break,
                Some(machine) => machine,
            };
            loop {
                let progress = machine.execute(image, &mut outbox)?;
                observer.outputs(outbox.outputs());
                outbox.flushed();
                if progress == Progress::Done {
                    break;
                }
            }
            observer.executed(machine.sequence(), machine.chain());
            at = at.next();
        }
        if machine.as_ref().is_some_and(|machine| machine.sequence() >= until) {
            break;
        }
    }
    let machine = machine.ok_or_else(|| ReplayError::Empty { dir: dir.to_path_buf() })?;
    if until != Sequence(u64::MAX) && machine.sequence() < until {
        return Err(ReplayError::TooShort { end: machine.sequence(), until });
    }
    Ok(machine)
}
