//! Removes what no kept snapshot needs, and never more.

use std::path::Path;

use crate::Sequence;
use crate::chain::{chain_path, file_records};
use crate::error::Error;
use crate::reader::{numbers, read_header, segment_numbers};
use crate::segment::segment_path;
use crate::snapshot::{SnapshotInfo, snapshots, verify_snapshot};
use crate::storage::StorageHandle;

/// What [`retain`] did.
#[derive(Debug, Default)]
pub struct Retained {
    /// The sequence of the oldest kept snapshot, if there is one: recovery can start there.
    pub oldest_kept: Option<Sequence>,
    /// Snapshots removed.
    pub snapshots_removed: usize,
    /// Segments removed.
    pub segments_removed: usize,
    /// Sidecar files removed.
    pub chains_removed: usize,
    /// Snapshots that are damaged: they do not count as kept, and those among the kept ones are left for inspection.
    pub damaged: Vec<(SnapshotInfo, Error)>,
}

/// Keeps the newest `keep_snapshots` sound snapshots and the history from the oldest of them on; removes the rest.
///
/// Needs no lock: the live segment is the one that no other follows, and such a segment is never removed. Removes the
/// oldest first and makes each removal durable, so a power cut leaves no gap.
///
/// # Errors
/// [`Error::Options`] for zero snapshots; [`Error::Io`].
pub fn retain(storage: &StorageHandle, dir: &Path, keep_snapshots: usize) -> Result<Retained, Error> {
    if keep_snapshots == 0 {
        return Err(Error::Options("retention keeps at least one snapshot"));
    }
    let mut retained = Retained::default();
    let mut kept = 0;
    let mut surplus = Vec::new();
    for info in snapshots(storage, dir)? {
        if kept == keep_snapshots {
            surplus.push(info);
            continue;
        }
        match verify_snapshot(storage, dir, &info) {
            Ok(reader) => {
                kept += 1;
                retained.oldest_kept = Some(reader.sequence());
            }
            Err(error) => retained.damaged.push((info, error)),
        }
    }
    // Fewer sound snapshots than asked for: everything is still needed.
    if kept < keep_snapshots {
        return Ok(retained);
    }
    let Some(oldest) = retained.oldest_kept else {
        return Ok(retained);
    };
    for info in surplus.iter().rev() {
        remove(storage, dir, &info.path)?;
        retained.snapshots_removed += 1;
    }
    let segments = segment_numbers(storage, dir)?;
    for pair in segments.windows(2) {
        let needed = match read_header(storage, dir, pair[1])? {
            Ok(header) => header.first_sequence > oldest.0,
            Err(_) => true,
        };
        if needed || pair[1] != pair[0] + 1 {
            break;
        }
        remove(storage, dir, &segment_path(dir, pair[0]))?;
        retained.segments_removed += 1;
    }
    let chains = numbers(storage, dir, "chain")?;
    for pair in chains.windows(2) {
        // The last file is the live one; a damaged one tells nothing and goes with its neighbours.
        let last = match file_records(storage, dir, pair[0]) {
            Ok(records) => records.last().map_or(0, |record| record.sequence.0),
            Err(Error::Corrupt { .. }) => 0,
            Err(error) => return Err(error),
        };
        if last >= oldest.0 {
            break;
        }
        remove(storage, dir, &chain_path(dir, pair[0]))?;
        retained.chains_removed += 1;
    }
    Ok(retained)
}

fn remove(storage: &StorageHandle, dir: &Path, path: &Path) -> Result<(), Error> {
    storage.remove(path).map_err(Error::io("remove", path))?;
    storage.sync_dir(dir).map_err(Error::io("sync", dir))
}
