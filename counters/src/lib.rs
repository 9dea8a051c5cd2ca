//! Single-writer counters and log-linear histograms in memory that is the content of a file.
//!
//! ```text
//!  a stage's thread ── plain store ──► words of the mapped file ◄── pread, now and then ── another process (`top`)
//!                    (its own lines)   header │ entries │ values
//! ```
//!
//! A value is one aligned word that one thread stores; no two threads store into the same pair of cache lines. A store
//! is a relaxed atomic one, a plain `mov` on x86: whoever reads pays, never whoever counts. `docs/data-file.md` draws the
//! file in bytes; a change of the layout is a new [`file::VERSION`].
//!
//! Guarantees: a word is read as it was stored, never half of one; a counter never goes back; a file that is torn, of
//! another kind or of another version is refused with what is wrong and where.
//!
//! Caveats: values are read one after another while they change, so that two of them may be a few stores apart. The
//! memory is the caller's, and lives as long as the process: a handle is one pointer, and cannot dangle.
#![forbid(unsafe_code)]

pub mod file;

mod cells;
mod registrar;
mod sets;

mod distribution;
mod reading;

pub mod buckets;

pub use cells::{Counter, Histogram};
pub use distribution::Distribution;
pub use reading::{Fault, ReadError, Reading, Value};
pub use registrar::{Full, Identity, Registrar};
pub use sets::{
    EngineCounters, ExecuteCounters, GatewayCounters, JournalCounters, PortCounters, Rejects, ReplicateCounters,
    Settings,
};
