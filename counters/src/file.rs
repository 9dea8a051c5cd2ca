//! The file's layout. A change to anything here is a new [`VERSION`]; a file of another version is refused.
//!
//! ```text
//!  0          128                              32,768                                        131,072   bytes
//!  ├─ header ─┼─ entry, 64 ─┬─ entry ─┬─ zero ─┼─ a stage's values ─┬─ another stage's ─┬─ zero ─┤
//! ```

use bytemuck::{Pod, Zeroable};

/// The first bytes of the file.
pub const MAGIC: [u8; 8] = *b"RINGCNT\0";
/// Of the layout.
pub const VERSION: u32 = 1;
/// Bytes of the file, always.
pub const BYTES: usize = 131_072;
/// Where the values begin.
pub const VALUES_AT: usize = 32_768;
/// Entries at most.
pub const ENTRIES_MAX: usize = (VALUES_AT - size_of::<Header>()) / size_of::<Entry>();
/// A stage's values begin on such a boundary: processors fetch cache lines of 64 bytes in pairs.
pub const STAGE_ALIGNMENT: usize = 128;
/// Where the checksum stands, which counts as zero in what it covers: everything before [`VALUES_AT`].
pub const CRC_AT: usize = std::mem::offset_of!(Header, crc);

/// What the file begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Header {
    /// [`MAGIC`].
    pub magic: [u8; 8],
    /// [`VERSION`].
    pub version: u32,
    /// CRC-32 of header and entries, this field zero.
    pub crc: u32,
    /// [`BYTES`].
    pub bytes: u64,
    /// [`VALUES_AT`].
    pub values_at: u64,
    /// Entries that follow.
    pub entries: u32,
    /// Zero.
    pub reserved: u32,
    /// The process that stores.
    pub process: u64,
    /// When that process was started, in clock ticks since the machine was: field 22 of `/proc/PID/stat`.
    pub process_start: u64,
    /// The wall clock at its start, in nanoseconds since the Unix epoch.
    pub started: u64,
    /// Which boot of the machine that was: `/proc/sys/kernel/random/boot_id`.
    pub boot: [u8; 16],
    /// The journal's id.
    pub journal: [u8; 16],
    /// The build's version, as text with zeros behind it.
    pub build: [u8; 16],
    /// Zero.
    pub reserved_end: [u8; 16],
}

/// What one value, or the words of one histogram, are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct Entry {
    /// Its name, as text with zeros behind it.
    pub name: [u8; 40],
    /// A [`Stage`].
    pub stage: u8,
    /// A [`Kind`].
    pub kind: u8,
    /// A [`Unit`].
    pub unit: u8,
    /// Zero.
    pub reserved: u8,
    /// Words that it has.
    pub words: u32,
    /// Where they begin in the file, in bytes.
    pub at: u64,
    /// The code, when it counts a refusal; else zero.
    pub code: u64,
}

const _: () = {
    assert!(size_of::<Header>() == 128 && size_of::<Entry>() == 64);
    assert!(CRC_AT == 12 && std::mem::offset_of!(Header, process) == 40);
    assert!(std::mem::offset_of!(Header, boot) == 64 && std::mem::offset_of!(Header, build) == 96);
    assert!(std::mem::offset_of!(Entry, words) == 44 && std::mem::offset_of!(Entry, at) == 48);
    assert!(ENTRIES_MAX == 510 && VALUES_AT.is_multiple_of(4096) && BYTES.is_multiple_of(4096));
    assert!(cfg!(target_endian = "little"), "a word in memory is a word in the file");
};

/// Numbers that stand in an entry, with what each means.
macro_rules! numbers {
    ($(#[doc = $doc:literal])* $Name:ident { $( $(#[doc = $vdoc:literal])* $Value:ident = $n:literal $text:literal ),* $(,)? }) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum $Name { $( $(#[doc = $vdoc])* $Value = $n, )* }

        impl $Name {
            /// The one that the number stands for.
            #[must_use]
            pub const fn of(number: u8) -> Option<Self> {
                match number { $( $n => Some(Self::$Value), )* _ => None }
            }

            /// What it is called.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $( Self::$Value => $text, )* }
            }
        }
    };
}

numbers! {
    /// Who stores.
    Stage {
        /// Nobody after the start: settings.
        Engine = 0 "engine",
        /// The gateway.
        Gateway = 1 "gateway",
        /// The journal stage.
        Journal = 2 "journal",
        /// Whoever syncs the journal.
        Sync = 3 "sync",
        /// The gate.
        Replicate = 4 "replicate",
        /// The domains.
        Execute = 5 "execute",
    }
}

numbers! {
    /// How a value behaves.
    Kind {
        /// It only grows.
        Counter = 1 "counter",
        /// It goes up and down.
        Gauge = 2 "gauge",
        /// The largest value, then a count for each of [`crate::buckets::BUCKETS`] buckets; all only grow.
        Histogram = 3 "histogram",
    }
}

numbers! {
    /// What is counted.
    Unit {
        /// Things of no unit.
        Count = 0 "",
        /// Commands.
        Commands = 1 "commands",
        /// Slots of a ring.
        Slots = 2 "slots",
        /// Bytes.
        Bytes = 3 "bytes",
        /// Nanoseconds.
        Nanoseconds = 4 "ns",
    }
}
