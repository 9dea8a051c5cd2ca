//! The journal: preallocated segments, batches, recovery, snapshots.
