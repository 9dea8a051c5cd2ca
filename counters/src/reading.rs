//! Reads a counters file, of this process or another, alive or dead.
//!
//! The file is copied by one `read`, never mapped: a file that shrinks meanwhile is an error, where a mapping would be a
//! SIGBUS. Words are aligned, and the kernel copies whole words on the 64-bit targets this builds for, so that none is
//! torn; `tools/ringfence/tests/counters.rs` watches that.

use crate::buckets::BUCKETS;
use crate::distribution::Distribution;
use crate::file::{BYTES, CRC_AT, ENTRIES_MAX, Entry, Header, Kind, MAGIC, Stage, Unit, VALUES_AT, VERSION};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// A counters file that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{}", path.display())]
pub struct ReadError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub source: Fault,
}

/// What is wrong with a counters file, and where.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// It cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It does not have as many bytes as a counters file.
    #[error("a counters file has {BYTES} bytes, this one {found}{}", if *.more { " or more" } else { "" })]
    Length {
        /// Bytes that were read.
        found: usize,
        /// There are more.
        more: bool,
    },
    /// It does not begin as a counters file.
    #[error("byte 0: no counters file: it begins with {found:02x?}")]
    Magic {
        /// What it begins with.
        found: [u8; 8],
    },
    /// Another version of the layout.
    #[error("byte 8: version {found} of the layout; this build reads {VERSION}")]
    Version {
        /// Its version.
        found: u32,
    },
    /// Header and entries do not have their checksum.
    #[error("byte {CRC_AT}: the checksum of the first {VALUES_AT} bytes is {stated:08x}, theirs is {found:08x}")]
    Checksum {
        /// What the header states.
        stated: u32,
        /// What the bytes have.
        found: u32,
    },
    /// A field of the header is what no writer stores.
    #[error("byte {at}: {field} is {found}")]
    Header {
        /// Where.
        at: usize,
        /// Which.
        field: &'static str,
        /// What it is.
        found: u64,
    },
    /// An entry is what no writer stores.
    #[error("byte {at}: entry {index}: {what}")]
    Entry {
        /// Where.
        at: usize,
        /// Which, from 0.
        index: usize,
        /// What is wrong.
        what: &'static str,
    },
    /// A value that is asked for is not there.
    #[error("no {name} among the values: another build wrote it")]
    Missing {
        /// Its name.
        name: &'static str,
    },
}

/// One value, or one histogram.
#[derive(Clone, Debug)]
pub struct Value {
    /// Its name.
    pub name: String,
    /// Who stores it.
    pub stage: Stage,
    /// How it behaves.
    pub kind: Kind,
    /// What it counts.
    pub unit: Unit,
    /// The code, when it counts a refusal; else zero.
    pub code: u16,
    /// Its words.
    words: Vec<u64>,
}

/// What a file said when it was read.
#[derive(Clone, Debug)]
pub struct Reading {
    /// Who stores into it, and since when.
    pub header: Header,
    /// All values, in the order of the file.
    pub values: Vec<Value>,
}

impl Reading {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        let mut bytes = Vec::with_capacity(BYTES + 1);
        let read = File::open(path).and_then(|file| file.take(BYTES as u64 + 1).read_to_end(&mut bytes));
        let parsed = read.map_err(Fault::from).and_then(|_| Self::parse(&bytes));
        parsed.map_err(|source| ReadError { path: path.into(), source })
    }

    /// Reads a copy of a file.
    ///
    /// # Errors
    /// [`Fault`] says what is wrong with it, and where.
    pub fn parse(bytes: &[u8]) -> Result<Self, Fault> {
        let length = Fault::Length { found: bytes.len().min(BYTES), more: bytes.len() > BYTES };
        let Some(front) = bytes.get(..size_of::<Header>()) else { return Err(length) };
        let header: Header = bytemuck::pod_read_unaligned(front);
        if header.magic != MAGIC {
            return Err(Fault::Magic { found: header.magic });
        }
        if header.version != VERSION {
            return Err(Fault::Version { found: header.version });
        }
        if bytes.len() != BYTES {
            return Err(length);
        }
        let mut described = bytes[..VALUES_AT].to_vec();
        described[CRC_AT..CRC_AT + 4].fill(0);
        let found = crc32fast::hash(&described);
        if found != header.crc {
            return Err(Fault::Checksum { stated: header.crc, found });
        }
        let fields = [
            (std::mem::offset_of!(Header, bytes), "the length", header.bytes, header.bytes == BYTES as u64),
            (24, "the place of the values", header.values_at, header.values_at == VALUES_AT as u64),
            (32, "the count of entries", header.entries.into(), header.entries as usize <= ENTRIES_MAX),
            (40, "the process", header.process, header.process <= i32::MAX as u64),
        ];
        if let Some((at, field, found, _)) = fields.into_iter().find(|(.., sound)| !sound) {
            return Err(Fault::Header { at, field, found });
        }
        let entries = bytes[size_of::<Header>()..VALUES_AT].chunks_exact(size_of::<Entry>());
        let values = entries.take(header.entries as usize).enumerate().map(|(index, entry)| {
            let at = size_of::<Header>() + index * size_of::<Entry>();
            value(bytes, bytemuck::pod_read_unaligned(entry)).map_err(|what| Fault::Entry { at, index, what })
        });
        Ok(Self { header, values: values.collect::<Result<_, _>>()? })
    }

    fn find(&self, name: &'static str, kinds: &[Kind]) -> Result<&Value, Fault> {
        let found = self.values.iter().find(|value| value.name == name && kinds.contains(&value.kind));
        found.ok_or(Fault::Missing { name })
    }

    /// The value of a counter or gauge.
    ///
    /// # Errors
    /// [`Fault::Missing`].
    pub fn value(&self, name: &'static str) -> Result<u64, Fault> {
        self.find(name, &[Kind::Counter, Kind::Gauge]).map(Value::value)
    }

    /// What a histogram holds.
    ///
    /// # Errors
    /// [`Fault::Missing`].
    pub fn distribution(&self, name: &'static str) -> Result<Distribution, Fault> {
        let value = self.find(name, &[Kind::Histogram])?;
        Ok(Distribution::of(&value.words).expect("checked when it was read"))
    }

    /// Refusals and closings by code and name, as far as there were any.
    pub fn rejects(&self) -> impl Iterator<Item = (u16, &str, u64)> {
        let counted = self.values.iter().filter(|value| value.code != 0 && value.value() > 0);
        counted.map(|value| (value.code, value.name.as_str(), value.value()))
    }
}

impl Value {
    /// Its word; of a histogram the largest value.
    #[must_use]
    pub fn value(&self) -> u64 {
        self.words[0]
    }
}

fn value(bytes: &[u8], entry: Entry) -> Result<Value, &'static str> {
    let length = entry.name.iter().position(|byte| *byte == 0).unwrap_or(entry.name.len());
    let name = std::str::from_utf8(&entry.name[..length]).map_err(|_| "its name is no text")?;
    if name.is_empty() || !name.chars().all(|letter| letter == ' ' || letter.is_ascii_graphic()) {
        return Err("its name is no text");
    }
    let kind = Kind::of(entry.kind).ok_or("no such kind")?;
    let words = if kind == Kind::Histogram { BUCKETS + 1 } else { 1 };
    let (at, end) = (entry.at, entry.at.saturating_add(words as u64 * 8));
    if entry.words as usize != words {
        return Err("as many words as its kind does not have");
    }
    if at < VALUES_AT as u64 || end > BYTES as u64 || !at.is_multiple_of(8) {
        return Err("it is not among the values");
    }
    let words = bytes[at as usize..end as usize].as_chunks::<8>().0;
    Ok(Value {
        name: name.into(),
        stage: Stage::of(entry.stage).ok_or("no such stage")?,
        kind,
        unit: Unit::of(entry.unit).ok_or("no such unit")?,
        code: u16::try_from(entry.code).map_err(|_| "no such code")?,
        words: words.iter().map(|word| u64::from_le_bytes(*word)).collect(),
    })
}
