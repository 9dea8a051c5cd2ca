//! Which thread drives which stages on which core.
//!
//! ```text
//! fused    [gateway journal replicate execute]           one thread
//! split    [gateway] [journal replicate execute]         two threads
//! staged   [gateway] [journal] [replicate] [execute]     four threads
//! ```

use crate::idle::IdleStrategy;
use serde::{Deserialize, Serialize};

/// Which thread drives which stages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// `fused` below four cores, `split` below six, else `staged`.
    #[default]
    Auto,
    /// One thread drives gateway I/O and every stage.
    Fused,
    /// The gateway and the pipeline have a thread each.
    Split,
    /// Every stage has a thread.
    Staged,
}

impl Layout {
    /// The layout for a machine with `cores` cores: [`Layout::Auto`] becomes one of the others.
    #[must_use]
    pub const fn resolve(self, cores: usize) -> Self {
        match (self, cores) {
            (Self::Auto, ..4) => Self::Fused,
            (Self::Auto, 4..6) => Self::Split,
            (Self::Auto, _) => Self::Staged,
            (layout, _) => layout,
        }
    }

    /// Threads it needs.
    #[must_use]
    pub const fn threads(self) -> usize {
        match self {
            Self::Auto | Self::Fused => 1,
            Self::Split => 2,
            Self::Staged => 4,
        }
    }

    /// Whether it holds on the cores that there are.
    ///
    /// # Errors
    /// [`LayoutRefused`] when more threads would spin than there are cores, or two on one: such a layout takes turns at
    /// the scheduler's pace. Whether the process may run on the cores named is not looked at: a set of processors, as
    /// containers have, gives a few cores of any number.
    pub fn check(self, idle: IdleStrategy, pinned: &[usize], cores: usize) -> Result<(), LayoutRefused> {
        let threads = self.threads();
        if idle.spins() && threads > cores {
            return Err(LayoutRefused::MoreThreadsThanCores { threads, cores });
        }
        if !pinned.is_empty() && pinned.len() != threads {
            return Err(LayoutRefused::Pins { pins: pinned.len(), threads });
        }
        for (at, core) in pinned.iter().enumerate() {
            if idle.spins() && pinned[..at].contains(core) {
                return Err(LayoutRefused::SharedCore { core: *core });
            }
        }
        Ok(())
    }
}

/// A layout that this machine cannot hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LayoutRefused {
    /// More threads would spin than there are cores.
    #[error("{threads} spinning threads on {cores} cores: choose layout fused, or idle backoff")]
    MoreThreadsThanCores {
        /// Threads of the layout.
        threads: usize,
        /// Cores of the machine.
        cores: usize,
    },
    /// Not every thread has a core, or some have two.
    #[error("{pins} cores are named for {threads} threads")]
    Pins {
        /// Cores named.
        pins: usize,
        /// Threads of the layout.
        threads: usize,
    },
    /// Two spinning threads would share a core.
    #[error("core {core} is named for two spinning threads")]
    SharedCore {
        /// The core named.
        core: usize,
    },
}

/// Pins the calling thread to `core`; a machine that does not let it is told to the log, not refused.
pub fn pin(core: usize) {
    if !core_affinity::set_for_current(core_affinity::CoreId { id: core }) {
        tracing::warn!(core, "the thread could not be pinned");
    }
}

/// Cores that this process may use.
#[must_use]
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards against a layout that collapses because its spinning threads take turns on a core.
    #[test]
    fn spinning_threads_have_a_core_each() {
        use IdleStrategy::{Backoff, BusySpin};
        assert!(Layout::Staged.check(BusySpin, &[], 2).is_err());
        assert!(Layout::Split.check(BusySpin, &[0, 0], 2).is_err());
        // Two cores of a larger machine may bear any numbers.
        assert!(Layout::Split.check(BusySpin, &[4, 5], 2).is_ok());
        assert!(Layout::Split.check(BusySpin, &[0], 2).is_err());
        assert!(Layout::Split.check(BusySpin, &[1, 0], 2).is_ok());
        assert!(Layout::Staged.check(Backoff, &[], 2).is_ok());
        assert_eq!(Layout::Auto.resolve(2), Layout::Fused);
    }
}
