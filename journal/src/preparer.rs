//! Makes the next segment ready before it is needed, and puts the last one away, off the writer's thread.
//!
//! ```text
//!  writer ── wants number n ──► create, allocate, (prewrite), sync, rename, sync names, map ──► ready ── writer
//!  writer ── retired segment ─► sync, unmap ──► the durable mark rises (Cached)
//! ```

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crate::JournalId;
use crate::chain;
use crate::error::Error;
use crate::handoff::{Failure, Handoff};
use crate::mapping::Mapping;
use crate::marks::{Admission, Marks, Next};
use crate::options::{Level, Options, PrepareMode};
use crate::segment::segment_path;
use crate::storage::{FileHandle, StorageHandle};

/// No number is wanted.
const NONE: u64 = u64::MAX;

/// A file with its blocks claimed, and its mapping at `Cached`.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) number: u64,
    pub(crate) bytes: u64,
    pub(crate) path: PathBuf,
    pub(crate) file: FileHandle,
    pub(crate) mapping: Option<Mapping>,
}

/// A segment that takes no more batches, and the mark it brings when synced.
#[derive(Debug)]
pub(crate) struct Retired {
    pub(crate) segment: Prepared,
    pub(crate) end: u64,
}

/// What the writer, the chain writer and the preparer's thread share.
#[derive(Debug)]
pub(crate) struct Workshop {
    storage: StorageHandle,
    dir: PathBuf,
    journal: JournalId,
    level: Level,
    segment_bytes: u64,
    prewrite: bool,
    marks: Marks,
    admission: Admission,
    pub(crate) failure: Arc<Failure>,
    segment_wanted: AtomicU64,
    pub(crate) segment_ready: Handoff<Prepared>,
    pub(crate) retired: Handoff<Retired>,
    chain_wanted: AtomicU64,
    pub(crate) chain_ready: Handoff<Prepared>,
    stop: AtomicBool,
}

/// What a pass of the workshop came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pass {
    /// Nothing is wanted.
    Idle,
    /// Something was done.
    Done,
    /// The disk is full: try again later.
    NoSpace,
}

impl Workshop {
    pub(crate) fn new(
        storage: &StorageHandle,
        dir: &std::path::Path,
        journal: JournalId,
        options: &Options,
        marks: &Marks,
        admission: &Admission,
    ) -> Workshop {
        Workshop {
            storage: Arc::clone(storage),
            dir: dir.to_path_buf(),
            journal,
            level: options.level,
            segment_bytes: options.segment_bytes,
            prewrite: options.prewrite,
            marks: marks.clone(),
            admission: admission.clone(),
            failure: Arc::new(Failure::default()),
            segment_wanted: AtomicU64::new(NONE),
            segment_ready: Handoff::new(),
            retired: Handoff::new(),
            chain_wanted: AtomicU64::new(NONE),
            chain_ready: Handoff::new(),
            stop: AtomicBool::new(false),
        }
    }

    pub(crate) fn want_segment(&self, number: u64) {
        self.segment_wanted.store(number, Ordering::Release);
    }

    pub(crate) fn want_chain(&self, number: u64) {
        self.chain_wanted.store(number, Ordering::Release);
    }

    /// One pass over everything wanted. An error other than a full disk is final.
    pub(crate) fn pass(&self) -> Result<Pass, Error> {
        let outcome = self.try_pass();
        outcome.map_err(|error| self.failure.set(error))
    }

    fn try_pass(&self) -> Result<Pass, Error> {
        let mut pass = Pass::Idle;
        if let Some(retired) = self.retired.take() {
            self.put_away(retired)?;
            pass = Pass::Done;
        }
        let number = self.segment_wanted.load(Ordering::Acquire);
        if number != NONE {
            match prepare_segment(self, number) {
                Ok(prepared) => {
                    self.segment_wanted.store(NONE, Ordering::Release);
                    self.segment_ready.give(prepared);
                    self.admission.set_next(Next::Coming);
                    pass = Pass::Done;
                }
                Err(error) if error.is_no_space() => {
                    self.admission.set_next(Next::NoSpace);
                    return Ok(Pass::NoSpace);
                }
                Err(error) => return Err(error),
            }
        }
        let number = self.chain_wanted.load(Ordering::Acquire);
        if number != NONE {
            // The sidecar is best effort: without room its records are skipped until the next file.
            match chain::prepare(&self.storage, &self.dir, self.journal, number) {
                Ok(prepared) => {
                    self.chain_wanted.store(NONE, Ordering::Release);
                    self.chain_ready.give(prepared);
                    pass = Pass::Done;
                }
                Err(error) if error.is_no_space() => return Ok(Pass::NoSpace),
                Err(error) => return Err(error),
            }
        }
        Ok(pass)
    }

    fn put_away(&self, retired: Retired) -> Result<(), Error> {
        let Retired { mut segment, end } = retired;
        // Unmapped first: cleaning pages that are mapped interrupts every core that runs this process, page by page.
        segment.mapping = None;
        // At Fsync whoever syncs has done so before the next segment's header was written.
        if self.level == Level::Cached {
            segment.file.sync_data().map_err(Error::io("sync", &segment.path))?;
            self.marks.raise_durable(end);
        }
        drop(segment);
        Ok(())
    }
}

fn prepare_segment(shop: &Workshop, number: u64) -> Result<Prepared, Error> {
    create_segment(&shop.storage, &shop.dir, number, shop.segment_bytes, shop.level, shop.prewrite, &[])
}

/// Creates a segment under its name, in one step for whoever looks: claimed, durable, and then renamed into place.
pub(crate) fn create_segment(
    storage: &StorageHandle,
    dir: &std::path::Path,
    number: u64,
    bytes: u64,
    level: Level,
    prewrite: bool,
    header: &[u8],
) -> Result<Prepared, Error> {
    let path = segment_path(dir, number);
    let file = create_claimed(storage, dir, &path, bytes, |file| {
        if level == Level::Fsync && prewrite {
            let zeros = vec![0_u8; 1 << 18];
            let mut at = 0;
            while at < bytes {
                let step = (bytes - at).min(zeros.len() as u64);
                #[expect(clippy::cast_possible_truncation, reason = "at most 256 KiB")]
                file.write_at(&zeros[..step as usize], at)?;
                at += step;
            }
        }
        if !header.is_empty() {
            file.write_at(header, 0)?;
        }
        Ok(())
    })?;
    let mapping = match level {
        Level::Cached => Some(map_segment(&file, &path, bytes)?),
        Level::Fsync => None,
    };
    Ok(Prepared { number, bytes, path, file, mapping })
}

/// Maps a whole segment with its pages made writable.
pub(crate) fn map_segment(file: &FileHandle, path: &std::path::Path, bytes: u64) -> Result<Mapping, Error> {
    let bytes = usize::try_from(bytes).map_err(|_| Error::Options("a segment beyond memory"))?;
    file.map(bytes, true).map_err(Error::io("map", path))
}

/// Creates a file of `bytes` claimed bytes under a temporary name, fills it, syncs it and renames it to `path`.
pub(crate) fn create_claimed(
    storage: &StorageHandle,
    dir: &std::path::Path,
    path: &std::path::Path,
    bytes: u64,
    fill: impl FnOnce(&FileHandle) -> std::io::Result<()>,
) -> Result<FileHandle, Error> {
    let mut temporary = path.to_path_buf().into_os_string();
    temporary.push(".preparing");
    let temporary = PathBuf::from(temporary);
    let file = storage.create(&temporary).map_err(Error::io("create", &temporary))?;
    let claimed = file.allocate(bytes).and_then(|()| fill(&file)).map_err(Error::io("allocate", &temporary));
    if let Err(error) = claimed {
        // Give back what was claimed; the name is not one anybody reads.
        let _ = storage.remove(&temporary);
        return Err(error);
    }
    file.sync_data().map_err(Error::io("sync", &temporary))?;
    storage.rename(&temporary, path).map_err(Error::io("rename", &temporary))?;
    storage.sync_dir(dir).map_err(Error::io("sync", dir))?;
    Ok(file)
}

/// Runs the workshop: on a thread, or whenever asked.
#[derive(Debug)]
pub(crate) struct Preparer {
    pub(crate) shop: Arc<Workshop>,
    thread: Option<thread::JoinHandle<()>>,
    /// Inline: calls of `maintain` to let pass before a full disk is tried again.
    calls_to_skip: u32,
    backoff_calls: u32,
}

const BACKOFF_CALLS_MAX: u32 = 4096;
const BACKOFF_MAX: Duration = Duration::from_millis(500);
const BACKOFF_MIN: Duration = Duration::from_millis(5);

impl Preparer {
    pub(crate) fn start(shop: Arc<Workshop>, mode: PrepareMode) -> Result<Preparer, Error> {
        let thread = match mode {
            PrepareMode::Inline => None,
            PrepareMode::Thread => {
                let shop = Arc::clone(&shop);
                let dir = shop.dir.clone();
                let spawned =
                    thread::Builder::new().name("preparer".into()).spawn(move || prepare_until_stopped(&shop));
                Some(spawned.map_err(Error::io("start the preparer of", &dir))?)
            }
        };
        Ok(Preparer { shop, thread, calls_to_skip: 0, backoff_calls: 1 })
    }

    /// The thread to wake when something is wanted; none inline.
    pub(crate) fn waker(&self) -> Option<thread::Thread> {
        self.thread.as_ref().map(|t| t.thread().clone())
    }

    /// Says that something is wanted: wakes the thread, or does the work.
    pub(crate) fn kick(&mut self) -> Result<(), Error> {
        match &self.thread {
            Some(thread) => {
                thread.thread().unpark();
                Ok(())
            }
            None => self.maintain(),
        }
    }

    /// Inline only: a pass, unless a full disk asks for patience.
    pub(crate) fn maintain(&mut self) -> Result<(), Error> {
        if self.thread.is_some() {
            return Ok(());
        }
        if self.calls_to_skip > 0 {
            self.calls_to_skip -= 1;
            return Ok(());
        }
        match self.shop.pass()? {
            Pass::NoSpace => {
                self.calls_to_skip = self.backoff_calls;
                self.backoff_calls = (self.backoff_calls * 2).min(BACKOFF_CALLS_MAX);
            }
            Pass::Idle | Pass::Done => self.backoff_calls = 1,
        }
        Ok(())
    }

    /// Ends the thread and finishes what was handed over.
    pub(crate) fn stop(&mut self) {
        self.shop.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A panic there has aborted a release build; elsewhere the test sees the message.
            let _ = thread.join();
        }
    }
}

fn prepare_until_stopped(shop: &Workshop) {
    let mut backoff = BACKOFF_MIN;
    while !shop.stop.load(Ordering::Acquire) {
        match shop.pass() {
            Ok(Pass::Done) => backoff = BACKOFF_MIN,
            Ok(Pass::Idle) => thread::park(),
            Ok(Pass::NoSpace) => {
                thread::park_timeout(backoff);
                backoff = (backoff * 2).min(BACKOFF_MAX);
            }
            // Kept in the workshop: the writer meets it at its next call.
            Err(_) => return,
        }
    }
}
