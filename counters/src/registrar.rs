//! Gives out the words of the memory, stage by stage, and writes down which are which.

use crate::buckets::BUCKETS;
use crate::cells::{Counter, HISTOGRAM_WORDS, Histogram};
use crate::file::{
    BYTES, CRC_AT, ENTRIES_MAX, Entry, Header, Kind, MAGIC, STAGE_ALIGNMENT, Stage, Unit, VALUES_AT, VERSION,
};
use bytemuck::Zeroable;
use std::sync::atomic::{AtomicU64, Ordering};

/// There are more values than the file has room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the counters file has no room for {name}: {entries} entries and {words} words are given out")]
pub struct Full {
    /// What had no room.
    pub name: &'static str,
    /// Entries given out.
    pub entries: usize,
    /// Words of the file up to there.
    pub words: usize,
}

/// Who stores into the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The process.
    pub process: u32,
    /// When it was started, in clock ticks since the machine was.
    pub process_start: u64,
    /// The wall clock, in nanoseconds since the Unix epoch.
    pub started: u64,
    /// Which boot of the machine.
    pub boot: [u8; 16],
    /// The journal's id.
    pub journal: [u8; 16],
    /// The build's version, as text with zeros behind it.
    pub build: [u8; 16],
}

/// Gives out the words of one file.
#[derive(Debug)]
pub struct Registrar {
    words: &'static [AtomicU64],
    entries: Vec<Entry>,
    stage: Stage,
    /// The next word to be given.
    next: usize,
}

impl Registrar {
    /// Over the zeroed words of a file.
    ///
    /// # Panics
    /// When there are not as many words as the file has.
    #[must_use]
    pub fn new(words: &'static [AtomicU64]) -> Self {
        assert!(words.len() * 8 == BYTES, "the whole file, and nothing else");
        Self { words, entries: Vec::new(), stage: Stage::Engine, next: VALUES_AT / 8 }
    }

    /// Over memory of no file, which nobody else sees. It is never given back: for tests and measurements.
    #[must_use]
    pub fn private() -> Self {
        Self::new((0..BYTES / 8).map(|_| AtomicU64::new(0)).collect::<Vec<_>>().leak())
    }

    /// What is given out from here on is stored by `stage` alone.
    pub fn stage(&mut self, stage: Stage) {
        self.stage = stage;
        self.next = self.next.next_multiple_of(STAGE_ALIGNMENT / 8);
    }

    /// A value that only grows.
    ///
    /// # Errors
    /// [`Full`].
    pub fn counter(&mut self, name: &'static str, unit: Unit) -> Result<Counter, Full> {
        Ok(Counter::new(&self.take(name, Kind::Counter, unit, 1, 0)?[0]))
    }

    /// A value that goes up and down.
    ///
    /// # Errors
    /// [`Full`].
    pub fn gauge(&mut self, name: &'static str, unit: Unit) -> Result<Counter, Full> {
        Ok(Counter::new(&self.take(name, Kind::Gauge, unit, 1, 0)?[0]))
    }

    /// Counts refusals with `code`.
    ///
    /// # Errors
    /// [`Full`].
    pub fn reject(&mut self, name: &'static str, code: u16) -> Result<Counter, Full> {
        Ok(Counter::new(&self.take(name, Kind::Counter, Unit::Count, 1, code.into())?[0]))
    }

    /// How often which values occurred.
    ///
    /// # Errors
    /// [`Full`].
    pub fn histogram(&mut self, name: &'static str, unit: Unit) -> Result<Histogram, Full> {
        let words = self.take(name, Kind::Histogram, unit, HISTOGRAM_WORDS, 0)?;
        Ok(Histogram::new(words.try_into().expect("as many words as asked for")))
    }

    fn take(
        &mut self,
        name: &'static str,
        kind: Kind,
        unit: Unit,
        words: usize,
        code: u64,
    ) -> Result<&'static [AtomicU64], Full> {
        let mut entry = Entry {
            stage: self.stage as u8,
            kind: kind as u8,
            unit: unit as u8,
            words: words as u32,
            at: self.next as u64 * 8,
            code,
            ..Entry::zeroed()
        };
        let taken = self.words.get(self.next..self.next + words).filter(|_| self.entries.len() < ENTRIES_MAX);
        let taken = taken.ok_or(Full { name, entries: self.entries.len(), words: self.next })?;
        let bytes = name.as_bytes();
        assert!(!bytes.is_empty() && bytes.len() <= entry.name.len(), "{name}: a name has 1 to 40 bytes");
        entry.name[..bytes.len()].copy_from_slice(bytes);
        self.entries.push(entry);
        self.next += words;
        Ok(taken)
    }

    /// Writes down what was given out. A reader that found the file before this refuses it.
    pub fn finish(self, identity: &Identity) {
        let mut described = vec![0_u64; VALUES_AT / 8];
        let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut described);
        let header = Header {
            magic: MAGIC,
            version: VERSION,
            bytes: BYTES as u64,
            values_at: VALUES_AT as u64,
            entries: self.entries.len() as u32,
            process: identity.process.into(),
            process_start: identity.process_start,
            started: identity.started,
            boot: identity.boot,
            journal: identity.journal,
            build: identity.build,
            ..Header::zeroed()
        };
        let (front, rest) = bytes.split_at_mut(size_of::<Header>());
        front.copy_from_slice(bytemuck::bytes_of(&header));
        let entries: &[u8] = bytemuck::cast_slice(&self.entries);
        rest[..entries.len()].copy_from_slice(entries);
        let crc = crc32fast::hash(bytes);
        bytes[CRC_AT..CRC_AT + 4].copy_from_slice(&crc.to_le_bytes());
        for (to, from) in self.words.iter().zip(described) {
            to.store(from, Ordering::Relaxed);
        }
    }
}

const _: () = assert!(HISTOGRAM_WORDS == BUCKETS + 1);
