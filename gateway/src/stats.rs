//! What the gateway has done so far.

use ringfence_kernel::reject::{Code, ENGINE};

/// Codes that are counted one by one: all of the gateway's own.
pub(crate) const CODES: usize = 64;

/// What the table calls a code of the engine or the gateway.
pub(crate) fn name(code: Code) -> &'static str {
    ENGINE.iter().find(|row| row.code == code.0).map_or("(of a domain)", |row| row.name)
}

/// A reading of the gateway's counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stats {
    /// Connections open now, logged on or not.
    pub connections: usize,
    /// Sessions open or opening now.
    pub sessions: usize,
    /// Connections accepted since the start.
    pub accepted: u64,
    /// Commands that were sequenced, system frames not counted.
    pub sequenced: u64,
    /// Answers of the engine to commands.
    pub answered: u64,
    /// Events of topics that came out of the engine.
    pub published: u64,
    /// Times that a connection's events were dropped, to be replaced by a snapshot.
    pub overruns: u64,
    /// Bytes read from sockets.
    pub bytes_read: u64,
    /// Bytes written to sockets.
    pub bytes_written: u64,
    /// Refusals and closings by the gateway itself, by code.
    pub(crate) refused: [u64; CODES],
}

impl Default for Stats {
    fn default() -> Self {
        Self {
            connections: 0,
            sessions: 0,
            accepted: 0,
            sequenced: 0,
            answered: 0,
            published: 0,
            overruns: 0,
            bytes_read: 0,
            bytes_written: 0,
            refused: [0; CODES],
        }
    }
}

impl Stats {
    /// How often the gateway itself refused or closed with `code`.
    #[must_use]
    pub fn refused(&self, code: Code) -> u64 {
        self.refused.get(usize::from(code.0)).copied().unwrap_or(0)
    }

    /// All codes with which the gateway refused or closed, by name.
    pub fn refusals(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        ENGINE.iter().map(|row| (row.name, self.refused(Code(row.code)))).filter(|(_, count)| *count > 0)
    }

    pub(crate) fn refuse(&mut self, code: Code) {
        if let Some(count) = self.refused.get_mut(usize::from(code.0)) {
            *count += 1;
        }
    }
}
