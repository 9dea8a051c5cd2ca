//! ENOSPC and EIO at every call: a typed error or a refusal to admit, never a panic and never a lost command.

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;

use ringfence_journal::testing::{Injected, Seeded, SimStorage};
use ringfence_journal::{
    Error, JournalId, Level, Options, Sequence, SnapshotWriter, newest_snapshot, open, retain, snapshots,
};
use support::{History, append, check_prefix, dir, scale};

fn options(level: Level) -> Options {
    Options { id: Some(JournalId(5)), ..Options::small(level) }
}

/// One run of everything the journal does, up to its first error; returns the durable mark it had published.
fn run(storage: &Arc<SimStorage>, level: Level, history: &mut History) -> (u64, Result<(), Error>) {
    let mut durable = 0;
    let outcome = run_until_error(storage, level, history, &mut durable);
    (durable, outcome)
}

fn run_until_error(
    storage: &Arc<SimStorage>,
    level: Level,
    history: &mut History,
    durable: &mut u64,
) -> Result<(), Error> {
    let mut seeded = Seeded::new(11);
    for _ in 0..2 {
        let mut opened = open(&storage.handle(), &dir(), &options(level))?;
        for step in 0..60 {
            let mut tries = 0;
            while !append(&mut opened.writer, history, &mut seeded, 4096)? {
                opened.writer.sync()?;
                tries += 1;
                assert!(tries < 20, "there is room and no batch is opened");
            }
            opened.chain.record(Sequence((step + 1) * 4096), step);
            let marks = opened.writer.marks();
            let synced = opened.writer.sync();
            *durable = (*durable).max(marks.durable().0);
            synced?;
        }
        let mut snapshot = SnapshotWriter::create(&storage.handle(), &dir(), opened.writer.durable())?;
        snapshot.put(&[7; 1000])?;
        snapshot.finish(1, 2)?;
        retain(&storage.handle(), &dir(), 2)?;
        let marks = opened.writer.marks();
        let closed = opened.writer.close();
        *durable = (*durable).max(marks.durable().0);
        closed?;
    }
    newest_snapshot(&storage.handle(), &dir())?;
    Ok(())
}

/// Guards against a file call whose failure is ignored, retried over, or answered by a panic.
#[test]
fn a_fault_at_every_call_is_an_error_and_loses_nothing() {
    for level in [Level::Cached, Level::Fsync] {
        let storage = SimStorage::new();
        let (_, clean) = run(&storage, level, &mut History::new());
        clean.expect("without faults");
        let calls = storage.calls();
        let sites: BTreeSet<_> = storage.log().into_iter().collect();
        for site in [
            "allocate",
            "create",
            "list",
            "lock",
            "map",
            "open",
            "read_at",
            "remove",
            "rename",
            "sync_data",
            "sync_dir",
            "write_at",
        ] {
            assert!(sites.contains(site) || (site == "map" || site == "remove"), "{site} was never reached");
        }
        let stride = usize::try_from(scale(3, 1)).expect("small");
        for call in (0..calls).step_by(stride) {
            for fault in [Injected::InputOutput, Injected::NoSpace] {
                let storage = SimStorage::new();
                storage.inject(call, fault);
                let mut history = History::new();
                let (durable, outcome) = run(&storage, level, &mut history);
                if let Err(error) = &outcome {
                    assert!(matches!(error, Error::Io { .. } | Error::Stopped(_)), "{error}");
                }
                // Then the machine stops as well: nothing counted durable may depend on the cache.
                let crashed = storage.crash(|_| 0);
                let snapshots = snapshots(&crashed.handle(), &dir()).expect("lists");
                let options = Options {
                    // What a start does: from the oldest snapshot kept, or from nothing.
                    verify_from: snapshots.last().map_or(Sequence(0), |info| info.sequence),
                    ..options(level)
                };
                let opened = open(&crashed.handle(), &dir(), &options);
                let opened = opened.unwrap_or_else(|e| panic!("{level:?}, call {call}, {fault:?}: {e}"));
                let kept = opened.recovered.next_sequence.0;
                drop(opened);
                assert!(kept >= durable, "{level:?}, call {call}, {fault:?}: {kept} of {durable}");
                assert_eq!(check_prefix(&crashed.handle(), &dir(), &history), kept);
            }
        }
    }
}

/// Guards against syncing again after a sync failed: the pages are lost and marked clean, a second sync would lie.
#[test]
fn a_failed_sync_is_final() {
    let storage = SimStorage::new();
    let mut opened = open(&storage.handle(), &dir(), &options(Level::Fsync)).expect("opens");
    let mut seeded = Seeded::new(1);
    let mut history = History::new();
    append(&mut opened.writer, &mut history, &mut seeded, 64).expect("appends");
    storage.inject(1, Injected::InputOutput);
    assert!(matches!(opened.writer.sync(), Err(Error::Stopped(_))));
    let calls = storage.calls();
    assert!(matches!(opened.writer.sync(), Err(Error::Stopped(_))));
    assert!(matches!(opened.writer.begin(64), Err(Error::Stopped(_))));
    assert!(matches!(opened.writer.maintain(), Err(Error::Stopped(_))));
    assert_eq!(opened.writer.durable().0, 0);
    assert!(opened.writer.close().is_err());
    assert_eq!(storage.calls(), calls, "something was tried again");
}

/// Guards against sequencing what the disk cannot take, and against staying closed once it can.
#[test]
fn a_full_disk_closes_admission_before_the_segment_is_full() {
    for level in [Level::Cached, Level::Fsync] {
        let storage = SimStorage::new();
        // Room for the first segment and a sidecar, and no more.
        storage.set_space(140 << 10);
        let options = options(level);
        let mut opened = open(&storage.handle(), &dir(), &options).expect("opens");
        let admission = opened.writer.admission();
        let mut seeded = Seeded::new(2);
        let mut history = History::new();
        let mut bytes_after_closing = 0;
        assert!(admission.accepts());
        loop {
            let before: usize = history.iter().map(Vec::len).sum();
            let accepted = admission.accepts();
            if !append(&mut opened.writer, &mut history, &mut seeded, 512).expect("no error") {
                if opened.writer.sync().is_ok()
                    && append(&mut opened.writer, &mut history, &mut seeded, 64).expect("no error")
                {
                    continue;
                }
                break;
            }
            opened.writer.sync().expect("syncs");
            let after: usize = history.iter().map(Vec::len).sum();
            if !accepted {
                bytes_after_closing += after - before;
            }
        }
        assert!(!admission.accepts(), "the segment is full and the disk too");
        // What the rings held when it closed still found room.
        assert!(bytes_after_closing > 8 << 10, "{level:?}: only {bytes_after_closing} bytes were left");
        storage.set_space(1 << 30);
        let mut calls = 0;
        while !admission.accepts() {
            opened.writer.maintain().expect("prepares");
            calls += 1;
            assert!(calls < 10_000, "space came back and nobody noticed");
        }
        assert!(append(&mut opened.writer, &mut history, &mut seeded, 512).expect("appends"));
        opened.writer.close().expect("closes");
        assert_eq!(check_prefix(&storage.handle(), &dir(), &history), history.len() as u64);
    }
}
