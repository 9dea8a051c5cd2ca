//! Replay: the state that a journal leads to. Recovery is a replay that goes on from a snapshot.

use crate::machine::{Machine, Unplayable};
use crate::snapshots::{self, SnapshotError};
use ringfence_journal::{Error, ReadAhead, Reader, StorageHandle, read_ahead};
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
    /// A frame that is executed next.
    #[inline]
    fn command(&mut self, _image: &[u8]) {}
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
    let reader = Reader::open(storage, dir, machine.as_ref().map_or(Sequence(0), Machine::sequence))?;
    let end = until.unwrap_or(Sequence(u64::MAX));
    read_ahead(reader, |ahead| execute(ahead, &mut machine, end, observer))?;
    let machine = machine.ok_or_else(|| ReplayError::Empty { dir: dir.to_path_buf() })?;
    match until {
        Some(until) if machine.sequence() < until => Err(ReplayError::TooShort { end: machine.sequence(), until }),
        _ => Ok(machine),
    }
}

/// Executes images on `machine`, made by the first of them when there is none, until it stands at `end`.
fn execute<R: Registry>(
    ahead: &mut ReadAhead,
    machine: &mut Option<Machine<R>>,
    end: Sequence,
    observer: &mut impl Observer,
) -> Result<(), ReplayError> {
    let mut outbox = Outbox::new();
    while let Some((mut at, mut images)) = ahead.next_images()? {
        let machine = match machine {
            Some(machine) => machine,
            None => {
                at = at.next();
                let genesis = images.next().expect("there is an image where there are images");
                machine.insert(Machine::genesis(genesis)?)
            }
        };
        assert_eq!(at, machine.sequence(), "the journal goes on where the machine stands");
        for image in images {
            if machine.sequence() >= end {
                return Ok(());
            }
            observer.command(image);
            while machine.execute(image, &mut outbox)? == Progress::More {
                observer.outputs(outbox.outputs());
                outbox.flushed();
            }
            observer.outputs(outbox.outputs());
            outbox.flushed();
            observer.executed(machine.sequence(), machine.chain());
        }
    }
    Ok(())
}
