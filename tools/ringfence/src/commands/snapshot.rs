//! `ringfence snapshot`: the process that `serve` starts beside itself, and an operator may start by hand.

use crate::progress::Progress;
use crate::say;
use anyhow::Context as _;
use clap::Args;
use ringfence_domains::Domains;
use ringfence_engine::replay::advance;
use ringfence_engine::{Machine, snapshots};
use ringfence_journal::{Disk, retain, stat};
use ringfence_kernel::Sequence;
use std::path::PathBuf;

/// Write a snapshot of where the journal is now, by replaying it. The engine may be running; it is not disturbed.
#[derive(Args)]
pub struct Snapshot {
    /// The journal's directory.
    dir: PathBuf,
    /// Snapshots to keep; what only older ones need is deleted, segments included. 0 keeps everything.
    #[arg(long, default_value_t = 0, value_name = "N")]
    keep: usize,
    /// Let every other process go first.
    #[arg(long)]
    low_priority: bool,
}

impl Snapshot {
    /// Runs it.
    ///
    /// # Errors
    /// When it cannot be done; the message says why.
    pub fn run(&self) -> anyhow::Result<()> {
        if self.low_priority {
            // A busy machine is no reason to fail: the snapshot is only later.
            let _ = rustix::process::nice(19);
        }
        let storage = Disk::handle();
        let mut progress = Progress::new("replaying", None);
        let newest = snapshots::load_newest::<Domains>(&storage, &self.dir)?.machine;
        let from = newest.as_ref().map_or(Sequence(0), Machine::sequence);
        // Where the journal ends now: a busy engine moves its end as fast as a process of low priority follows it.
        let until = stat(&storage, &self.dir)?.next_sequence;
        let machine = advance(&storage, &self.dir, newest, Some(until.max(from)), &mut progress)
            .with_context(|| format!("replaying {}", self.dir.display()))?;
        progress.finish();
        if machine.sequence() == from {
            say!("nothing has happened since the snapshot at {from}");
            return Ok(());
        }
        let path = snapshots::write(&machine, &storage, &self.dir)?;
        say!("{} at sequence {}, state hash {:016x}", path.display(), machine.sequence(), machine.state_hash());
        if self.keep > 0 {
            let retained = retain(&storage, &self.dir, self.keep)?;
            say!("deleted {} snapshots and {} segments", retained.snapshots_removed, retained.segments_removed);
        }
        Ok(())
    }
}
