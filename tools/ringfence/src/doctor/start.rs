//! What of the findings an engine is not started with, or not without a word.
//!
//! A fact that cannot be read refuses nothing: the threads of a layout are counted once more when they are started.

use super::cores::{barred, nodes, shared, siblings};
use super::disk::{kind, trouble};
use super::limits::{cores, memlock_bytes, quota};
use super::{CpuSet, Root, Wanted};
use std::fmt;
use std::path::PathBuf;

/// A start that this machine cannot hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The scheduler would stop all threads for a part of every period.
    #[error(
        "engine.layout: {threads} spinning threads, but the control group has {} cores of processor time: choose idle \
         backoff, a smaller layout, or a higher quota", cores(*quota)
    )]
    Quota {
        /// Threads that spin.
        threads: usize,
        /// What the group may use, in thousandths of a core.
        quota: u64,
    },
    /// A thread is to be pinned where the process may not run.
    #[error("engine.cores: this process may not run on {barred}, only on {allowed}")]
    Barred {
        /// Cores that were chosen.
        barred: CpuSet,
        /// Cores on which it may run.
        allowed: CpuSet,
    },
    /// Locking would fail as soon as more memory is mapped.
    #[error("memory.lock: only {bytes} bytes may be locked; it needs LimitMEMLOCK=infinity, or ulimit -l unlimited")]
    Memlock {
        /// The limit.
        bytes: u64,
    },
}

/// A start that works, other than its settings suggest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// Two threads share a core.
    Siblings {
        /// One thread's core.
        core: usize,
        /// The other's.
        other: usize,
    },
    /// Threads stand on several nodes of memory.
    Nodes {
        /// How many.
        nodes: usize,
    },
    /// A sync does not do what the level promises.
    FileSystem {
        /// The journal's directory.
        directory: PathBuf,
        /// The file system's type.
        kind: String,
        /// What is wrong with it.
        trouble: &'static str,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Siblings { core, other } => {
                write!(f, "engine.cores: {core} and {other} are hardware threads of one core")
            }
            Self::Nodes { nodes } => write!(f, "engine.cores: they are on {nodes} nodes of memory"),
            Self::FileSystem { directory, kind, trouble } => {
                write!(f, "journal.level is fsync, but {} is on {kind}: {trouble}", directory.display())
            }
        }
    }
}

/// Looks for what the layout cannot hold with.
///
/// # Errors
/// [`Refused`].
pub fn check(root: &Root, wanted: &Wanted) -> Result<Vec<Warning>, Refused> {
    let threads = wanted.spinning();
    if let Ok(Some(quota)) = quota(root)
        && quota < threads as u64 * 1000
    {
        return Err(Refused::Quota { threads, quota });
    }
    if let Ok(allowed) = CpuSet::allowed(root) {
        let barred = barred(&allowed, &wanted.cores);
        if !barred.0.is_empty() {
            return Err(Refused::Barred { barred, allowed });
        }
    }
    if wanted.lock
        && let Ok(Some(bytes)) = memlock_bytes(root)
    {
        return Err(Refused::Memlock { bytes });
    }
    let mut warnings = Vec::new();
    let chosen = wanted.cores.iter().copied().collect::<CpuSet>();
    if let Ok(siblings) = siblings(root, &chosen) {
        let shared = shared(&siblings, &wanted.cores);
        warnings.extend(shared.into_iter().map(|(core, other)| Warning::Siblings { core, other }));
    }
    if let Ok(nodes) = nodes(root, &chosen)
        && nodes.len() > 1
    {
        warnings.push(Warning::Nodes { nodes: nodes.len() });
    }
    if wanted.durable
        && let Ok(kind) = kind(root, &wanted.directory)
        && let Some(trouble) = trouble(&kind)
    {
        warnings.push(Warning::FileSystem { directory: wanted.directory.clone(), kind, trouble });
    }
    Ok(warnings)
}
