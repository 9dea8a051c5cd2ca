//! The seam through which every file call goes.
//!
//! Production stands on [`Disk`]; the crash tests and the simulator put their own storage here, which records writes and
//! syncs and hands out what a power cut would have left.

use std::fmt::Debug;
use std::fs;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{FallocateFlags, FlockOperation};

use crate::mapping::Mapping;

/// A storage shared by the threads of a journal.
pub type StorageHandle = Arc<dyn Storage>;

/// A file shared by the threads of a journal.
pub type FileHandle = Arc<dyn File>;

/// Directory calls. Names passed are whole paths.
pub trait Storage: Debug + Send + Sync + 'static {
    /// Creates the directory and its parents where they are missing.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;
    /// The names of the files in a directory, in no order.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;
    /// Creates a file, or empties the one that is there, for reading and writing.
    fn create(&self, path: &Path) -> io::Result<FileHandle>;
    /// Opens a file for reading.
    fn open(&self, path: &Path) -> io::Result<FileHandle>;
    /// Opens a file for reading and writing.
    fn open_writable(&self, path: &Path) -> io::Result<FileHandle>;
    /// Renames, replacing what bore the new name. Durable after [`Storage::sync_dir`].
    fn rename(&self, source: &Path, target: &Path) -> io::Result<()>;
    /// Removes a file. Durable after [`Storage::sync_dir`].
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a directory durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Takes the exclusive lock of a file, created if missing; `None` if another holds it. Held until dropped.
    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Lock>>>;
    /// Bytes that an ordinary user can still allocate.
    fn free_space(&self, dir: &Path) -> io::Result<u64>;
}

/// A lock held for as long as the value lives.
pub trait Lock: Debug + Send + Sync {}

/// File calls, by position: no cursor is shared.
pub trait File: Debug + Send + Sync + 'static {
    /// The file's length in bytes.
    fn bytes(&self) -> io::Result<u64>;
    /// Claims blocks so that the file has at least `bytes` bytes and no hole: a store through a mapping cannot fail.
    fn allocate(&self, bytes: u64) -> io::Result<()>;
    /// Fills `target` from `offset`; returns fewer bytes only at the end of the file.
    fn read_at(&self, target: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes all of `source` at `offset`.
    fn write_at(&self, source: &[u8], offset: u64) -> io::Result<()>;
    /// Makes data, and the metadata needed to read it, survive power loss.
    fn sync_data(&self) -> io::Result<()>;
    /// Maps the first `bytes` bytes for writing; with `prefault` every page is made writable now.
    fn map(&self, bytes: usize, prefault: bool) -> io::Result<Mapping>;
}

/// The file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

impl Disk {
    /// A handle to the file system.
    #[must_use]
    pub fn handle() -> StorageHandle {
        Arc::new(Disk)
    }
}

impl Storage for Disk {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        fs::create_dir_all(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(dir)? {
            // A name that is not UTF-8 is not one of ours.
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn create(&self, path: &Path) -> io::Result<FileHandle> {
        let file = fs::File::options().read(true).write(true).create(true).truncate(true).open(path)?;
        Ok(Arc::new(DiskFile(file)))
    }

    fn open(&self, path: &Path) -> io::Result<FileHandle> {
        Ok(Arc::new(DiskFile(fs::File::open(path)?)))
    }

    fn open_writable(&self, path: &Path) -> io::Result<FileHandle> {
        let file = fs::File::options().read(true).write(true).open(path)?;
        Ok(Arc::new(DiskFile(file)))
    }

    fn rename(&self, source: &Path, target: &Path) -> io::Result<()> {
        fs::rename(source, target)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        fs::File::open(dir)?.sync_all()
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Lock>>> {
        let file = fs::File::options().read(true).write(true).create(true).truncate(false).open(path)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Box::new(DiskLock { _file: file }))),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    fn free_space(&self, dir: &Path) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(dir)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}

/// The kernel lets go of the lock when the descriptor closes, however the process ends.
#[derive(Debug)]
struct DiskLock {
    _file: fs::File,
}

impl Lock for DiskLock {}

#[derive(Debug)]
struct DiskFile(fs::File);

impl File for DiskFile {
    fn bytes(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        loop {
            match rustix::fs::fallocate(&self.0, FallocateFlags::empty(), 0, bytes) {
                Ok(()) => return Ok(()),
                Err(rustix::io::Errno::INTR) => {}
                // What posix_fallocate does where the file system cannot: write the blocks.
                Err(rustix::io::Errno::OPNOTSUPP) => return fill_with_zeros(&self.0, bytes),
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    fn read_at(&self, target: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut done = 0;
        while done < target.len() {
            match self.0.read_at(&mut target[done..], offset + done as u64) {
                Ok(0) => break,
                Ok(n) => done += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn write_at(&self, source: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_all_at(source, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn map(&self, bytes: usize, prefault: bool) -> io::Result<Mapping> {
        Mapping::of_file(&self.0, bytes, prefault)
    }
}

fn fill_with_zeros(file: &fs::File, bytes: u64) -> io::Result<()> {
    let mut at = file.metadata()?.len();
    let zeros = vec![0_u8; 1 << 16];
    while at < bytes {
        let step = (bytes - at).min(zeros.len() as u64);
        #[expect(clippy::cast_possible_truncation, reason = "at most 64 KiB")]
        file.write_all_at(&zeros[..step as usize], at)?;
        at += step;
    }
    Ok(())
}
