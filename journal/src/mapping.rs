//! The only file of this crate with unsafe code: memory shared with the page cache.

#![allow(unsafe_code)]

use std::fs;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use memmap2::{Advice, MmapOptions, MmapRaw};

/// Writable memory that is the content of a file.
///
/// One value writes; other processes may read the same file at any time. The file under it is allocated before it is
/// mapped and never truncated while it lives, or a store would be a SIGBUS.
#[derive(Debug)]
pub struct Mapping {
    // An `Arc` because the simulated storage keeps the "page cache" it shares with its mappings.
    memory: Arc<MmapRaw>,
}

impl Mapping {
    /// Maps the first `bytes` bytes of a file that is at least as long.
    pub(crate) fn of_file(file: &fs::File, bytes: usize, prefault: bool) -> io::Result<Mapping> {
        if file.metadata()?.len() < bytes as u64 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file is shorter than the mapping asked for"));
        }
        let memory = MmapOptions::new().len(bytes).map_raw(file)?;
        if prefault {
            // Best effort: an older kernel takes the faults one at a time instead.
            let _ = memory.advise(Advice::PopulateWrite);
        }
        Ok(Mapping { memory: Arc::new(memory) })
    }

    /// The memory as words, each stored and loaded by itself, for as long as the process lives: it is never unmapped, so
    /// that whoever counts there needs one pointer and no owner.
    #[must_use]
    pub fn into_words(self) -> &'static [AtomicU64] {
        let (first, words) = (self.memory.as_mut_ptr().cast::<AtomicU64>(), self.memory.len() / 8);
        std::mem::forget(self.memory);
        // SAFETY: the mapping is readable, writable and backed by allocated blocks, begins on a page, and holds that many
        // words of which any bits are a value. It is forgotten above, so that it outlives every reference, and this value
        // was the way to it: from here on this process reaches it by atomic operations alone. Other processes only read.
        unsafe { std::slice::from_raw_parts(first, words) }
    }

    /// Memory of no file, zeroed.
    #[cfg(feature = "testing")]
    pub(crate) fn anonymous(bytes: usize) -> io::Result<Mapping> {
        let memory: MmapRaw = memmap2::MmapMut::map_anon(bytes.max(1))?.into();
        Ok(Mapping { memory: Arc::new(memory) })
    }

    /// Another handle to the same memory: what mapping a file twice gives.
    #[cfg(feature = "testing")]
    pub(crate) fn share(&self) -> Mapping {
        Mapping { memory: Arc::clone(&self.memory) }
    }

    /// Copies out through the pointer alone: another handle may write at the same time, as with a real page cache.
    #[cfg(feature = "testing")]
    pub(crate) fn copy_out(&self, offset: usize, target: &mut [u8]) {
        assert!(offset + target.len() <= self.memory.len());
        // SAFETY: the range is inside the mapping (asserted), the target is ours and cannot overlap it. The tests that
        // reach this run the writer on the same thread, so no store races with the copy.
        unsafe {
            std::ptr::copy_nonoverlapping(self.memory.as_ptr().add(offset), target.as_mut_ptr(), target.len());
        }
    }

    /// Copies in through the pointer alone: the counterpart of [`Mapping::copy_out`].
    #[cfg(feature = "testing")]
    pub(crate) fn copy_in(&self, offset: usize, source: &[u8]) {
        assert!(offset + source.len() <= self.memory.len());
        // SAFETY: as in `copy_out`; the memory is mapped writable.
        unsafe {
            std::ptr::copy_nonoverlapping(source.as_ptr(), self.memory.as_mut_ptr().add(offset), source.len());
        }
    }

    /// Bytes mapped.
    #[cfg(feature = "testing")]
    pub(crate) fn bytes(&self) -> usize {
        self.memory.len()
    }

    /// A part of the memory, to write.
    pub(crate) fn slice_mut(&mut self, range: Range<usize>) -> &mut [u8] {
        assert!(range.start <= range.end && range.end <= self.memory.len());
        // SAFETY: the range is inside the mapping (asserted), which is readable, writable, lives as long as `self` and
        // is backed by allocated blocks. `&mut self` makes this the only reference made from this value, and no other
        // value in the process writes a segment's bytes (the directory lock, one writer). Other processes only read,
        // by `pread`, and trust nothing before the checksum: what they see cannot influence this one.
        unsafe { std::slice::from_raw_parts_mut(self.memory.as_mut_ptr().add(range.start), range.end - range.start) }
    }
}

/// Stores a word after everything written before it: whoever sees the word sees the rest.
pub(crate) fn publish(word: &mut u64, value: u64) {
    // SAFETY: the pointer comes from a unique reference, so it is valid and aligned (`AtomicU64` has the alignment of
    // `u64` on the 64-bit targets this crate builds for), and nothing else in this process accesses it meanwhile.
    unsafe { AtomicU64::from_ptr(word) }.store(value, Ordering::Release);
}
