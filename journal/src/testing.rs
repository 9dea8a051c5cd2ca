//! A storage that remembers what a power cut may forget, knobs that break a rule on purpose, and the reader's fuzz body.
//!
//! ```text
//!  write, store ──► content (page cache) ── sync_data ──► durable
//!                        └── per 512-byte sector, every version since the last sync: a crash keeps any one of them
//! ```
//!
//! Names behave alike: creations, renames and removals last after `sync_dir`; a crash keeps any subset of the others.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::mapping::Mapping;
use crate::segment::{
    BATCH_HEADER_BYTES, BATCH_MAGIC, BATCHES_AT, CRC_FROM, SEGMENT_BYTES_MIN, Tail, batch_crc, seed, segment_path,
};
use crate::storage::{File, FileHandle, Lock, Storage, StorageHandle};
use crate::writer::header_after;
use crate::{JournalId, Options, Reader, Sequence, knobs, open};

/// What a disk writes in one piece.
pub const SECTOR_BYTES: usize = 512;

/// A rule that a test can break, on its own thread, to see the suite notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// The reader takes any batch for sound.
    SkipChecksum,
    /// Recovery cuts at the first bad batch, whatever stands after it.
    SkipWitness,
    /// Recovery leaves what it cut in the file.
    SkipZeroing,
    /// An inline sync counts as durable what was only written.
    SkipSync,
}

/// Runs `body` with a rule broken, on this thread only.
pub fn with_mutation<T>(mutation: Mutation, body: impl FnOnce() -> T) -> T {
    struct Restore(&'static std::thread::LocalKey<std::cell::Cell<bool>>);
    impl Drop for Restore {
        fn drop(&mut self) {
            self.0.set(false);
        }
    }
    let switch = match mutation {
        Mutation::SkipChecksum => &knobs::SKIP_CHECKSUM,
        Mutation::SkipWitness => &knobs::SKIP_WITNESS,
        Mutation::SkipZeroing => &knobs::SKIP_ZEROING,
        Mutation::SkipSync => &knobs::SKIP_SYNC,
    };
    switch.set(true);
    let _restore = Restore(switch);
    body()
}

/// What an injected fault looks like to the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Injected {
    /// One call fails with EIO. A failed sync leaves its pages marked clean, as Linux does.
    InputOutput,
    /// One call fails with ENOSPC.
    NoSpace,
    /// This and every later call fails and does nothing: the process has died here.
    Dead,
}

/// File contents in memory.
#[derive(Debug, Default)]
pub struct SimStorage {
    shared: Arc<Mutex<Shared>>,
    names: Mutex<Names>,
    locks: Arc<Mutex<BTreeSet<PathBuf>>>,
}

#[derive(Debug)]
struct Shared {
    calls: u64,
    log: Vec<&'static str>,
    fault: Option<(u64, Injected)>,
    space_bytes: u64,
    used_bytes: u64,
}

impl Default for Shared {
    fn default() -> Shared {
        Shared { calls: 0, log: Vec::new(), fault: None, space_bytes: u64::MAX, used_bytes: 0 }
    }
}

#[derive(Debug, Default)]
struct Names {
    current: BTreeMap<PathBuf, Arc<SimFile>>,
    durable: BTreeMap<PathBuf, Arc<SimFile>>,
    /// Changes since the last `sync_dir`, in order.
    changes: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Change {
    Create(PathBuf, Arc<SimFile>),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
}

#[derive(Debug)]
struct SimFile {
    shared: Arc<Mutex<Shared>>,
    state: Mutex<FileState>,
}

#[derive(Debug)]
enum Content {
    Owned(Vec<u8>),
    Mapped(Mapping),
}

#[derive(Debug)]
struct FileState {
    content: Content,
    durable: Vec<u8>,
    /// What the system believes to be on disk: differs from `durable` after a sync that failed.
    believed: Vec<u8>,
    /// By sector, what each write since the last sync left there.
    versions: BTreeMap<usize, Vec<Vec<u8>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SimStorage {
    /// An empty storage.
    #[must_use]
    pub fn new() -> Arc<SimStorage> {
        Arc::new(SimStorage::default())
    }

    /// A storage that holds these files, durably.
    #[must_use]
    pub fn with_files(files: impl IntoIterator<Item = (PathBuf, Vec<u8>)>) -> Arc<SimStorage> {
        let storage = SimStorage::new();
        let mut names = lock(&storage.names);
        for (path, bytes) in files {
            let file = Arc::new(SimFile::new(&storage.shared, bytes));
            names.current.insert(path.clone(), Arc::clone(&file));
            names.durable.insert(path, file);
        }
        drop(names);
        storage
    }

    /// This storage as the journal takes it.
    #[must_use]
    pub fn handle(self: &Arc<SimStorage>) -> StorageHandle {
        Arc::clone(self) as StorageHandle
    }

    /// The files as the process sees them.
    #[must_use]
    pub fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let names = lock(&self.names);
        let files = names.current.iter();
        files.map(|(path, file)| (path.clone(), lock(&file.state).content.bytes())).collect()
    }

    /// Calls made so far.
    #[must_use]
    pub fn calls(&self) -> u64 {
        lock(&self.shared).calls
    }

    /// What the calls made so far were.
    #[must_use]
    pub fn log(&self) -> Vec<&'static str> {
        lock(&self.shared).log.clone()
    }

    /// Lets the call after `calls` more fail.
    pub fn inject(&self, calls: u64, fault: Injected) {
        let mut shared = lock(&self.shared);
        shared.fault = Some((shared.calls + calls, fault));
    }

    /// Limits what files may hold in all; allocations beyond fail with ENOSPC.
    pub fn set_space(&self, bytes: u64) {
        lock(&self.shared).space_bytes = bytes;
    }

    /// Bytes that files hold.
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        lock(&self.shared).used_bytes
    }

    /// What is there after power was lost. `choose(n)` picks one of `n` outcomes, for every name changed and every sector
    /// written since its sync: 0 keeps what was durable, `n - 1` what was written last.
    #[must_use]
    pub fn crash(&self, mut choose: impl FnMut(usize) -> usize) -> Arc<SimStorage> {
        let names = lock(&self.names);
        let mut kept = names.durable.clone();
        for change in &names.changes {
            if choose(2) == 0 {
                continue;
            }
            match change {
                Change::Create(path, file) => {
                    kept.insert(path.clone(), Arc::clone(file));
                }
                Change::Rename(source, target) => {
                    if let Some(file) = kept.remove(source) {
                        kept.insert(target.clone(), file);
                    }
                }
                Change::Remove(path) => {
                    kept.remove(path);
                }
            }
        }
        let files = kept.into_iter().map(|(path, file)| (path, lock(&file.state).crash(&mut choose)));
        SimStorage::with_files(files.collect::<Vec<_>>())
    }

    fn call(&self, name: &'static str) -> io::Result<()> {
        call(&self.shared, name)
    }
}

/// Counts a call, and fails it if its turn has come.
fn call(shared: &Mutex<Shared>, name: &'static str) -> io::Result<()> {
    let mut shared = lock(shared);
    let number = shared.calls;
    shared.calls += 1;
    shared.log.push(name);
    match shared.fault {
        Some((at, Injected::Dead)) if number >= at => Err(io::Error::other("the process is dead")),
        Some((at, Injected::InputOutput)) if number == at => Err(io::Error::from_raw_os_error(5)),
        Some((at, Injected::NoSpace)) if number == at => Err(io::Error::from(io::ErrorKind::StorageFull)),
        _ => Ok(()),
    }
}

fn missing() -> io::Error {
    io::Error::from(io::ErrorKind::NotFound)
}

impl Storage for SimStorage {
    fn create_dir(&self, _dir: &Path) -> io::Result<()> {
        self.call("create_dir")
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.call("list")?;
        let names = lock(&self.names);
        let paths = names.current.keys().filter(|p| p.parent() == Some(dir));
        Ok(paths.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect())
    }

    fn create(&self, path: &Path) -> io::Result<FileHandle> {
        self.call("create")?;
        let file = Arc::new(SimFile::new(&self.shared, Vec::new()));
        let mut names = lock(&self.names);
        if let Some(old) = names.current.insert(path.into(), Arc::clone(&file)) {
            old.give_back();
        }
        names.changes.push(Change::Create(path.into(), Arc::clone(&file)));
        Ok(file)
    }

    fn open(&self, path: &Path) -> io::Result<FileHandle> {
        self.call("open")?;
        let names = lock(&self.names);
        let file = names.current.get(path).ok_or_else(missing)?;
        Ok(Arc::clone(file) as FileHandle)
    }

    fn open_writable(&self, path: &Path) -> io::Result<FileHandle> {
        self.open(path)
    }

    fn rename(&self, source: &Path, target: &Path) -> io::Result<()> {
        self.call("rename")?;
        let mut names = lock(&self.names);
        let file = names.current.remove(source).ok_or_else(missing)?;
        if let Some(old) = names.current.insert(target.into(), file) {
            old.give_back();
        }
        names.changes.push(Change::Rename(source.into(), target.into()));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.call("remove")?;
        let mut names = lock(&self.names);
        names.current.remove(path).ok_or_else(missing)?.give_back();
        names.changes.push(Change::Remove(path.into()));
        Ok(())
    }

    fn sync_dir(&self, _dir: &Path) -> io::Result<()> {
        self.call("sync_dir")?;
        let mut names = lock(&self.names);
        names.durable = names.current.clone();
        names.changes.clear();
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Lock>>> {
        self.call("lock")?;
        if !lock(&self.locks).insert(path.into()) {
            return Ok(None);
        }
        Ok(Some(Box::new(SimLock { locks: Arc::clone(&self.locks), path: path.into() })))
    }

    fn free_space(&self, _dir: &Path) -> io::Result<u64> {
        self.call("free_space")?;
        let shared = lock(&self.shared);
        Ok(shared.space_bytes.saturating_sub(shared.used_bytes))
    }
}

#[derive(Debug)]
struct SimLock {
    locks: Arc<Mutex<BTreeSet<PathBuf>>>,
    path: PathBuf,
}

impl Lock for SimLock {}

impl Drop for SimLock {
    fn drop(&mut self) {
        lock(&self.locks).remove(&self.path);
    }
}

impl SimFile {
    fn new(shared: &Arc<Mutex<Shared>>, bytes: Vec<u8>) -> SimFile {
        lock(shared).used_bytes += bytes.len() as u64;
        SimFile {
            shared: Arc::clone(shared),
            state: Mutex::new(FileState {
                durable: bytes.clone(),
                believed: bytes.clone(),
                content: Content::Owned(bytes),
                versions: BTreeMap::new(),
            }),
        }
    }

    fn give_back(&self) {
        let bytes = lock(&self.state).content.len() as u64;
        lock(&self.shared).used_bytes -= bytes;
    }

    fn grow(&self, state: &mut FileState, bytes: usize) -> io::Result<()> {
        let more = bytes.saturating_sub(state.content.len()) as u64;
        if more == 0 {
            return Ok(());
        }
        let mut shared = lock(&self.shared);
        if shared.used_bytes + more > shared.space_bytes {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        shared.used_bytes += more;
        match &mut state.content {
            Content::Owned(content) => content.resize(bytes, 0),
            Content::Mapped(_) => panic!("a mapped file does not grow"),
        }
        Ok(())
    }
}

impl File for SimFile {
    fn bytes(&self) -> io::Result<u64> {
        call(&self.shared, "bytes")?;
        Ok(lock(&self.state).content.len() as u64)
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        call(&self.shared, "allocate")?;
        self.grow(&mut lock(&self.state), to_usize(bytes))
    }

    fn read_at(&self, target: &mut [u8], offset: u64) -> io::Result<usize> {
        call(&self.shared, "read_at")?;
        let state = lock(&self.state);
        let offset = to_usize(offset).min(state.content.len());
        let bytes = target.len().min(state.content.len() - offset);
        state.content.copy_out(offset, &mut target[..bytes]);
        Ok(bytes)
    }

    fn write_at(&self, source: &[u8], offset: u64) -> io::Result<()> {
        let called = call(&self.shared, "write_at");
        let dead = matches!(&called, Err(error) if error.kind() == io::ErrorKind::Other);
        let mut state = lock(&self.state);
        // A write that fails may have written a part; a dead process writes nothing more.
        let source = match &called {
            Ok(()) => source,
            Err(_) if dead => return called,
            Err(_) => &source[..source.len() / 2],
        };
        let offset = to_usize(offset);
        self.grow(&mut state, offset + source.len())?;
        state.content.copy_in(offset, source);
        if !source.is_empty() {
            let sectors = offset / SECTOR_BYTES..=(offset + source.len() - 1) / SECTOR_BYTES;
            for sector in sectors {
                let bytes = state.content.sector(sector);
                state.versions.entry(sector).or_default().push(bytes);
            }
        }
        called
    }

    fn sync_data(&self) -> io::Result<()> {
        let called = call(&self.shared, "sync_data");
        let dead = matches!(&called, Err(error) if error.kind() == io::ErrorKind::Other);
        if dead {
            return called;
        }
        let mut state = lock(&self.state);
        let content = state.content.bytes();
        if called.is_ok() {
            let old_length = state.durable.len();
            state.durable.resize(content.len(), 0);
            for start in (0..content.len()).step_by(SECTOR_BYTES) {
                let end = (start + SECTOR_BYTES).min(content.len());
                // What an earlier failed sync marked clean is not written again.
                let known = state.believed.get(start..end) == Some(&content[start..end]);
                if !known || start >= old_length {
                    state.durable[start..end].copy_from_slice(&content[start..end]);
                }
            }
            state.versions.clear();
        }
        state.believed = content;
        called
    }

    fn map(&self, bytes: usize, _prefault: bool) -> io::Result<Mapping> {
        call(&self.shared, "map")?;
        let mut state = lock(&self.state);
        assert!(bytes <= state.content.len(), "mapped beyond the file");
        if let Content::Owned(content) = &state.content {
            let mapping = Mapping::anonymous(content.len())?;
            mapping.copy_in(0, content);
            state.content = Content::Mapped(mapping);
        }
        match &state.content {
            Content::Mapped(mapping) => Ok(mapping.share()),
            Content::Owned(_) => unreachable!("mapped above"),
        }
    }
}

impl Content {
    fn len(&self) -> usize {
        match self {
            Content::Owned(bytes) => bytes.len(),
            Content::Mapped(mapping) => mapping.bytes(),
        }
    }

    fn copy_out(&self, offset: usize, target: &mut [u8]) {
        match self {
            Content::Owned(bytes) => target.copy_from_slice(&bytes[offset..offset + target.len()]),
            Content::Mapped(mapping) => mapping.copy_out(offset, target),
        }
    }

    fn copy_in(&mut self, offset: usize, source: &[u8]) {
        match self {
            Content::Owned(bytes) => bytes[offset..offset + source.len()].copy_from_slice(source),
            Content::Mapped(mapping) => mapping.copy_in(offset, source),
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.len()];
        self.copy_out(0, &mut bytes);
        bytes
    }

    fn sector(&self, sector: usize) -> Vec<u8> {
        let start = sector * SECTOR_BYTES;
        let mut bytes = vec![0; SECTOR_BYTES.min(self.len() - start)];
        self.copy_out(start, &mut bytes);
        bytes
    }
}

impl FileState {
    /// What the disk holds after a power cut.
    fn crash(&self, choose: &mut impl FnMut(usize) -> usize) -> Vec<u8> {
        let content = self.content.bytes();
        let mut kept = self.durable.clone();
        if content.len() != kept.len() {
            if choose(2) == 0 {
                // The new length was lost, and with it what was written beyond the old one.
            } else {
                kept.resize(content.len(), 0);
            }
        }
        let kept_bytes = kept.len();
        for start in (0..content.len().min(kept_bytes)).step_by(SECTOR_BYTES) {
            let end = (start + SECTOR_BYTES).min(content.len()).min(kept_bytes);
            let sector = start / SECTOR_BYTES;
            let mut outcomes: Vec<&[u8]> =
                vec![&self.durable[start.min(self.durable.len())..end.min(self.durable.len())]];
            for version in self.versions.get(&sector).into_iter().flatten() {
                if outcomes.last() != Some(&version.as_slice()) {
                    outcomes.push(version);
                }
            }
            let now = &content[start..end];
            // Clean, or believed to be: nothing is on its way to the disk.
            let clean = self.believed.get(start..end) == Some(now);
            if !clean && outcomes.last() != Some(&now) {
                outcomes.push(now);
            }
            if outcomes.len() > 1 {
                let chosen = outcomes[choose(outcomes.len())];
                let bytes = chosen.len().min(end - start);
                kept[start..start + bytes].copy_from_slice(&chosen[..bytes]);
            }
        }
        kept
    }
}

fn to_usize(bytes: u64) -> usize {
    usize::try_from(bytes).expect("a simulated file fits in memory")
}

/// A small seeded generator (SplitMix64), so that proofs need no other crate and a seed names a run for good.
#[derive(Clone, Debug)]
pub struct Seeded(u64);

impl Seeded {
    /// A generator that always gives the same numbers for a seed.
    #[must_use]
    pub fn new(seed: u64) -> Seeded {
        Seeded(seed)
    }

    /// The next number.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        to_usize(self.next_u64() % bound.max(1) as u64)
    }
}

/// Feeds bytes to the reader and to recovery: neither may panic, hang, or hand out more than was there.
///
/// The first byte chooses: the rest is a segment as it stands, or the body of one whose header, and with the second bit
/// whose checksums and chain, are made good first, so that the checks behind those are reached.
pub fn fuzz_reader(data: &[u8]) {
    let Some((&mode, data)) = data.split_first() else {
        return;
    };
    let dir = Path::new("/fuzz");
    let journal = JournalId(u128::from_le_bytes(*b"a fuzzed journal"));
    let mut bytes = data.to_vec();
    if mode & 1 == 1 {
        bytes = vec![0; to_usize(SEGMENT_BYTES_MIN)];
        let start = Tail { sequence: 0, index: 0, term: 0, previous: seed(journal) };
        let header = header_after(journal, 0, SEGMENT_BYTES_MIN, 0, &start);
        let header = bytemuck::bytes_of(&header);
        bytes[..header.len()].copy_from_slice(header);
        let room = &mut bytes[to_usize(BATCHES_AT)..];
        let body = data.len().min(room.len());
        room[..body].copy_from_slice(&data[..body]);
        if mode & 2 == 2 {
            make_good(seed(journal), room);
        }
    }
    let total = bytes.len() as u64;
    let storage = SimStorage::with_files([(segment_path(dir, 0), bytes)]);
    if let Ok(mut reader) = Reader::open(&storage.handle(), dir, Sequence(0)) {
        let mut read = 0;
        while let Ok(Some(batch)) = reader.next_batch() {
            let images: u64 = batch.images().map(|image| image.len() as u64).sum();
            assert_eq!(images, batch.bytes().len() as u64);
            assert_eq!(batch.images().count() as u64, batch.count());
            read += images;
            assert!(read <= total, "more was read than there is");
        }
    }
    let options = Options::small(crate::Level::Fsync);
    if let Ok(opened) = open(&storage.handle(), dir, &options) {
        let end = opened.recovered.next_sequence;
        drop(opened);
        let again = open(&storage.handle(), dir, &options).expect("what was recovered once");
        assert_eq!(again.recovered.next_sequence, end);
        assert_eq!(again.recovered.cut, None, "cut twice");
    }
}

/// Gives whatever looks like batches a magic, a chain and a checksum that hold.
fn make_good(seed: u32, room: &mut [u8]) {
    let mut previous = seed;
    let mut at = 0;
    while at + BATCH_HEADER_BYTES <= room.len() {
        let batch = &mut room[at..];
        let stated = u32::from_le_bytes([batch[8], batch[9], batch[10], batch[11]]);
        let length = (stated as usize % 4096).next_multiple_of(8);
        if length < BATCH_HEADER_BYTES || length > batch.len() {
            return;
        }
        #[expect(clippy::cast_possible_truncation, reason = "at most 4096")]
        batch[8..12].copy_from_slice(&(length as u32).to_le_bytes());
        batch[12..16].copy_from_slice(&previous.to_le_bytes());
        previous = batch_crc(seed, &batch[CRC_FROM..length]);
        batch[..4].copy_from_slice(&BATCH_MAGIC.to_le_bytes());
        batch[4..8].copy_from_slice(&previous.to_le_bytes());
        at += length;
    }
}
