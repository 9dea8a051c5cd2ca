//! Crash images: a power cut at every call, with every subset (sampled when large) of what was not synced.

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};

use ringfence_journal::testing::{Injected, Mutation, Seeded, SimStorage, with_mutation};
use ringfence_journal::{Error, Level, Opened, Options, Sequence, SnapshotWriter, open, retain};
use support::{History, append, check_prefix, dir, scale};

/// What the world had been told when the power went.
struct Told {
    durable: u64,
    history: History,
}

/// Appends, syncs, rotates, snapshots and retains until `steps` are done or the storage is dead.
fn work(storage: &std::sync::Arc<SimStorage>, options: &Options, told: &mut Told, seeded: &mut Seeded, steps: usize) {
    let opened: Result<Opened, Error> = open(&storage.handle(), &dir(), options);
    let Ok(mut opened) = opened else { return };
    assert_eq!(opened.recovered.next_sequence, Sequence(told.history.len() as u64));
    for _ in 0..steps {
        let outcome = match seeded.below(12) {
            0..9 => append(&mut opened.writer, &mut told.history, seeded, 4096).map(|_| ()),
            9 | 10 => opened.writer.sync().map(|_| ()),
            // A snapshot process reads what the page cache holds; when it is done, all below its sequence is durable.
            _ => {
                let sequence = match options.level {
                    Level::Cached => opened.writer.appended(),
                    Level::Fsync => opened.writer.durable(),
                };
                let done = snapshot(storage, sequence);
                if done.is_ok() {
                    told.durable = told.durable.max(sequence.0);
                }
                done
            }
        };
        // A mark counts once it was published, not once the call returned.
        told.durable = told.durable.max(opened.writer.durable().0);
        if outcome.is_err() {
            return;
        }
    }
    if seeded.below(2) == 0 {
        let marks = opened.writer.marks();
        let _ = opened.writer.close();
        told.durable = told.durable.max(marks.durable().0);
    }
}

fn snapshot(storage: &std::sync::Arc<SimStorage>, sequence: Sequence) -> Result<(), Error> {
    let mut writer = SnapshotWriter::create(&storage.handle(), &dir(), sequence)?;
    writer.put(b"state")?;
    writer.finish(1, 2).map(|_| ())
}

/// Power is cut `lives` times in a row; after each, what was durable is there and nothing else than what was appended.
fn body(level: Level, seed: u64, lives: usize) {
    let mut seeded = Seeded::new(seed);
    let options = Options { id: Some(ringfence_journal::JournalId(u128::from(seed))), ..Options::small(level) };
    let mut storage = SimStorage::new();
    let mut told = Told { durable: 0, history: History::new() };
    for life in 0..lives {
        let die_after = 1 + seeded.below(140) as u64;
        storage.inject(die_after, Injected::Dead);
        work(&storage, &options, &mut told, &mut seeded, 90);
        // Extremes come up as often as mixtures: nothing kept, everything kept, the last or the first version.
        let style = seeded.below(5);
        if style == 4 {
            // Only the process died: the page cache is still there, and what recovery keeps of it has to be made durable.
            storage.inject(1 << 40, Injected::Dead);
        } else {
            storage = storage.crash(|outcomes| match style {
                0 => 0,
                1 => outcomes - 1,
                _ => seeded.below(outcomes),
            });
        }
        let opened = open(&storage.handle(), &dir(), &options);
        let opened = opened.unwrap_or_else(|e| panic!("seed {seed}, life {life}: refused: {e}"));
        let kept = opened.recovered.next_sequence.0;
        drop(opened);
        assert!(kept >= told.durable, "seed {seed}, life {life}: {kept} of {} durable", told.durable);
        assert_eq!(check_prefix(&storage.handle(), &dir(), &told.history), kept);
        told.history.truncate(usize::try_from(kept).expect("small"));
        // Recovery made durable what it kept.
        told.durable = kept;
    }
}

/// Guards against losing what was counted durable, against refusing after a mere power cut, and against resurrecting
/// what was cut.
#[test]
fn a_power_cut_anywhere_loses_nothing_durable() {
    for seed in 0..scale(150, 20_000) {
        body(Level::Fsync, seed, 4);
        body(Level::Cached, seed, 4);
    }
}

/// As above, with every subset of one commit's sectors instead of samples.
#[test]
fn every_subset_of_the_sectors_of_a_commit() {
    let mut subsets = 0;
    for seed in 0..scale(6, 60) {
        let mut seeded = Seeded::new(seed);
        let options = Options::small(Level::Fsync);
        let storage = SimStorage::new();
        let mut history = History::new();
        let mut opened = open(&storage.handle(), &dir(), &options).expect("opens");
        for _ in 0..seeded.below(20) {
            append(&mut opened.writer, &mut history, &mut seeded, 256).expect("appends");
            opened.writer.sync().expect("syncs");
        }
        let durable = history.len() as u64;
        while history.len() as u64 - durable < 6 {
            append(&mut opened.writer, &mut history, &mut seeded, 512).expect("appends");
        }
        // Written, not synced: the call after next is the sync.
        storage.inject(1, Injected::Dead);
        opened.writer.sync().expect_err("dead before the sync");
        let mut choices = 0;
        let _ = storage.crash(|outcomes| {
            assert_eq!(outcomes, 2, "each sector was written once");
            choices += 1;
            0
        });
        assert!((2..=12).contains(&choices), "{choices} sectors");
        for subset in 0..1_u32 << choices {
            let mut at = 0;
            let crashed = storage.crash(|_| {
                at += 1;
                (subset >> (at - 1) & 1) as usize
            });
            let opened = open(&crashed.handle(), &dir(), &options).expect("recovers");
            let kept = opened.recovered.next_sequence.0;
            assert!(kept >= durable, "seed {seed}, subset {subset:b}");
            if subset + 1 == 1 << choices {
                assert_eq!(kept, history.len() as u64, "everything was kept");
            }
            drop(opened);
            assert_eq!(check_prefix(&crashed.handle(), &dir(), &history), kept);
            subsets += 1;
        }
    }
    assert!(subsets > 100);
}

/// Guards the guard: with the sync left out, the proof above has to fail.
#[test]
fn the_proof_sees_a_sync_left_out() {
    let seen = (0..40).any(|seed| {
        let broken = || with_mutation(Mutation::SkipSync, || body(Level::Fsync, seed, 4));
        catch_unwind(AssertUnwindSafe(broken)).is_err()
    });
    assert!(seen, "durable commands were lost and nobody noticed");
}

/// A commit of two batches loses the first to a power cut; the client then sends the very same command again. The second
/// batch, still in the file and chained to bytes that are back, must not come back with it.
fn body_resend() {
    let options = Options { id: Some(ringfence_journal::JournalId(7)), ..Options::small(Level::Fsync) };
    let storage = SimStorage::new();
    let mut opened = open(&storage.handle(), &dir(), &options).expect("opens");
    let images = [support::image(0, 0, 1024), support::image(1, 0, 1024)];
    let send = |opened: &mut Opened, image: &Vec<u8>| {
        let batch = opened.writer.begin(image.len()).expect("begins");
        let mut batch = batch.expect("has room");
        batch.push(image);
        batch.commit(1);
    };
    send(&mut opened, &images[0]);
    send(&mut opened, &images[1]);
    storage.inject(1, Injected::Dead);
    opened.writer.sync().expect_err("dead before the sync");
    drop(opened);
    let mut sector = 0;
    let storage = storage.crash(|outcomes| {
        sector += 1;
        if sector == 1 { 0 } else { outcomes - 1 }
    });
    let mut opened = open(&storage.handle(), &dir(), &options).expect("recovers");
    assert_eq!(opened.recovered.next_sequence, Sequence(0));
    let cut = opened.recovered.cut.clone().expect("something was cut");
    assert!(cut.place.offset == 4096 && cut.bytes > 1024, "{cut:?}");
    send(&mut opened, &images[0]);
    opened.writer.close().expect("closes");
    let opened = open(&storage.handle(), &dir(), &options).expect("opens");
    assert_eq!(opened.recovered.next_sequence, Sequence(1), "what was cut came back");
}

/// Guards against resurrecting what was cut.
#[test]
fn what_was_cut_stays_cut_when_the_same_command_comes_again() {
    body_resend();
}

/// Guards the guard: what was cut and not zeroed must be seen to come back.
#[test]
fn the_proof_sees_a_tail_left_in_place() {
    let broken = || with_mutation(Mutation::SkipZeroing, body_resend);
    catch_unwind(broken).expect_err("stale bytes after the tail went unnoticed");
}

/// Guards against retention dropping what the oldest kept snapshot needs, also when power is cut within it.
#[test]
fn retention_keeps_what_the_oldest_kept_snapshot_needs() {
    for seed in 0..scale(60, 2_000) {
        let mut seeded = Seeded::new(seed);
        let options = Options::small(Level::Fsync);
        let storage = SimStorage::new();
        let mut history = History::new();
        let mut opened = open(&storage.handle(), &dir(), &options).expect("opens");
        for _ in 0..4 {
            for _ in 0..12 + seeded.below(20) {
                append(&mut opened.writer, &mut history, &mut seeded, 4096).expect("appends");
                opened.writer.sync().expect("syncs");
            }
            snapshot(&storage, opened.writer.durable()).expect("a snapshot");
        }
        drop(opened);
        storage.inject(seeded.below(60) as u64, Injected::Dead);
        let whole = retain(&storage.handle(), &dir(), 2).is_ok();
        let crashed = storage.crash(|outcomes| seeded.below(outcomes));
        let kept = ringfence_journal::snapshots(&crashed.handle(), &dir()).expect("lists");
        assert!(kept.len() >= 2, "seed {seed}: two were to be kept");
        let options = Options { verify_from: kept[1].sequence, ..options };
        let opened = open(&crashed.handle(), &dir(), &options).unwrap_or_else(|e| panic!("seed {seed} ({whole}): {e}"));
        assert_eq!(opened.recovered.next_sequence.0, history.len() as u64);
    }
}
