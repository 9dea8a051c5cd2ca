//! The journal used as its engine uses it, on a real directory.

use ringfence_journal::{
    Difference, Disk, Error, Fault, Level, Options, PrepareMode, Reader, Sequence, SnapshotWriter, SyncMode,
    chain_records, diff, diff_chains, newest_snapshot, open, segment, stat, verify,
};

/// An image of `bytes` bytes that says which command it is.
fn image(sequence: u64, bytes: usize) -> Vec<u8> {
    let mut image = vec![0; bytes];
    image[..2].copy_from_slice(&u16::try_from(bytes).expect("short").to_le_bytes());
    image[8..16].copy_from_slice(&sequence.to_le_bytes());
    for (at, byte) in image.iter_mut().enumerate().skip(32) {
        *byte = u8::try_from((sequence as usize * 31 + at) % 251).expect("small");
    }
    image
}

fn every_mode() -> Vec<Options> {
    let mut all = Vec::new();
    for level in [Level::Cached, Level::Fsync] {
        for sync in [SyncMode::Inline, SyncMode::Thread] {
            for prepare in [PrepareMode::Inline, PrepareMode::Thread] {
                all.push(Options { sync, prepare, ..Options::small(level) });
            }
        }
    }
    all
}

/// Guards against losing, doubling or reordering commands over rotation, close and reopening, in every mode.
#[test]
fn what_was_appended_is_read_back_in_every_mode() {
    for options in every_mode() {
        let directory = tempfile::tempdir().expect("a directory");
        let storage = Disk::handle();
        let mut sequence = 0;
        for round in 0..3 {
            let mut opened = open(&storage, directory.path(), &options).expect("opens");
            assert_eq!(opened.recovered.next_sequence, Sequence(sequence), "{options:?}");
            assert_eq!(opened.recovered.cut, None);
            assert_eq!(opened.recovered.created, round == 0);
            let writer = &mut opened.writer;
            while sequence < (round + 1) * 3000 {
                let size = 32 + usize::try_from(sequence % 9).expect("small") * 8;
                let Some(mut batch) = writer.begin(size * 3).expect("begins") else {
                    writer.sync().expect("syncs");
                    std::thread::yield_now();
                    continue;
                };
                for n in 0..3 {
                    let bytes = image(sequence + n, size);
                    batch.push(&bytes[..8]);
                    batch.push(&bytes[8..]);
                }
                assert_eq!(batch.commit(3), Sequence(sequence + 3));
                sequence += 3;
            }
            let marks = writer.marks();
            opened.writer.close().expect("closes");
            assert_eq!(marks.durable(), Sequence(sequence), "{options:?}");
        }
        let mut reader = Reader::open(&storage, directory.path(), Sequence(100)).expect("opens");
        let mut next = 100;
        while let Some(batch) = reader.next_batch().expect("reads") {
            assert_eq!(batch.first_sequence(), Sequence(next));
            for bytes in batch.images() {
                assert_eq!(bytes, image(next, bytes.len()));
                next += 1;
            }
        }
        assert_eq!(next, sequence);
        let past = Reader::open(&storage, directory.path(), Sequence(sequence + 1));
        assert!(matches!(past, Err(Error::PastEnd { .. })));
    }
}

fn put(writer: &mut ringfence_journal::Writer, images: &[Vec<u8>]) -> Sequence {
    let total = images.iter().map(Vec::len).sum();
    loop {
        if let Some(mut batch) = writer.begin(total).expect("begins") {
            images.iter().for_each(|image| batch.push(image));
            return batch.commit(u32::try_from(images.len()).expect("small"));
        }
        writer.sync().expect("syncs");
        std::thread::yield_now();
    }
}

/// Guards against two writers in one directory.
#[test]
fn a_second_writer_is_refused_by_the_directory_name() {
    let directory = tempfile::tempdir().expect("a directory");
    let options = Options::small(Level::Cached);
    let first = open(&Disk::handle(), directory.path(), &options).expect("opens");
    match open(&Disk::handle(), directory.path(), &options) {
        Err(Error::Locked { dir }) => assert_eq!(dir, directory.path()),
        other => panic!("{other:?}"),
    }
    drop(first);
    open(&Disk::handle(), directory.path(), &options).expect("opens once the first is gone");
}

/// Guards against a dropped batch being read, or mistaken for a torn one.
#[test]
fn a_dropped_batch_leaves_nothing_behind() {
    for level in [Level::Cached, Level::Fsync] {
        let directory = tempfile::tempdir().expect("a directory");
        let options = Options::small(level);
        let mut opened = open(&Disk::handle(), directory.path(), &options).expect("opens");
        put(&mut opened.writer, &[image(0, 64)]);
        let mut batch = opened.writer.begin(1024).expect("begins").expect("has room");
        batch.push(&image(9, 1024));
        drop(batch);
        put(&mut opened.writer, &[image(1, 32)]);
        opened.writer.close().expect("closes");
        let opened = open(&Disk::handle(), directory.path(), &options).expect("opens");
        assert_eq!(opened.recovered.next_sequence, Sequence(2));
        assert_eq!(opened.recovered.cut, None, "something was left behind");
    }
}

/// Guards against a reader beside the writer that sees less than was appended, or something that never was.
#[test]
fn a_follower_sees_every_batch_once_and_in_order() {
    for level in [Level::Cached, Level::Fsync] {
        let directory = tempfile::tempdir().expect("a directory");
        let options = Options { prepare: PrepareMode::Thread, ..Options::small(level) };
        let mut opened = open(&Disk::handle(), directory.path(), &options).expect("opens");
        let path = directory.path().to_path_buf();
        let follower = std::thread::spawn(move || {
            let mut reader = Reader::follow(&Disk::handle(), &path, Sequence(0)).expect("opens");
            let mut next = 0;
            while next < 5000 {
                while let Some(batch) = reader.next_batch().expect("reads") {
                    for bytes in batch.images() {
                        assert_eq!(bytes, image(next, bytes.len()));
                        next += 1;
                    }
                }
                std::thread::yield_now();
            }
            next
        });
        for sequence in 0..5000 {
            put(&mut opened.writer, &[image(sequence, 72)]);
            if sequence % 16 == 0 {
                opened.writer.sync().expect("syncs");
            }
        }
        opened.writer.sync().expect("syncs");
        assert_eq!(follower.join().expect("follows"), 5000);
    }
}

/// Guards against loading half a snapshot, and against stopping at a damaged one when an older is sound.
#[test]
fn a_damaged_snapshot_falls_back_to_the_older() {
    let directory = tempfile::tempdir().expect("a directory");
    let (storage, dir) = (Disk::handle(), directory.path());
    let mut opened = open(&storage, dir, &Options::small(Level::Cached)).expect("opens");
    let state: Vec<u8> = (0..700_000_u32).map(|n| u8::try_from(n % 251).expect("small")).collect();
    for sequence in [10, 20] {
        while opened.writer.appended() < Sequence(sequence) {
            let next = opened.writer.appended().0;
            put(&mut opened.writer, &[image(next, 64)]);
        }
        let mut snapshot = SnapshotWriter::create(&storage, dir, Sequence(sequence)).expect("creates");
        state.chunks(999).for_each(|piece| snapshot.put(piece).expect("puts"));
        snapshot.finish(sequence * 3, sequence * 5).expect("finishes");
    }
    let newest = newest_snapshot(&storage, dir).expect("lists");
    let mut reader = newest.reader.expect("two are sound");
    assert_eq!((reader.sequence(), reader.state_hash(), reader.chain()), (Sequence(20), 60, 100));
    let mut loaded = vec![0; state.len()];
    let (head, tail) = loaded.split_at_mut(123_457);
    reader.take(head).expect("takes");
    reader.take(tail).expect("takes");
    assert!(loaded == state && reader.bytes_left() == 0);
    assert!(matches!(reader.take(&mut [0]), Err(Error::Snapshot { .. })));

    let path = dir.join("00000000000000000020.snapshot");
    let sound = std::fs::read(&path).expect("reads");
    for at in (0..sound.len()).step_by(sound.len() / 300).chain(0..48).chain(sound.len() - 48..sound.len()) {
        let mut damaged = sound.clone();
        damaged[at] ^= 4;
        std::fs::write(&path, &damaged).expect("writes");
        let newest = newest_snapshot(&storage, dir).expect("lists");
        // The reserved words at the ends are covered or ignored; nothing else may pass.
        if at < sound.len() - 4 {
            assert_eq!(newest.damaged.len(), 1, "byte {at}");
            assert_eq!(newest.reader.expect("the older").sequence(), Sequence(10));
        }
    }
    for length in (0..sound.len()).step_by(sound.len() / 100) {
        std::fs::write(&path, &sound[..length]).expect("writes");
        let newest = newest_snapshot(&storage, dir).expect("lists");
        assert_eq!(newest.reader.expect("the older").sequence(), Sequence(10), "cut to {length}");
    }
}

/// Guards against starting from a journal that has lost what a snapshot stands on.
#[test]
fn a_journal_that_ends_before_a_snapshot_is_refused() {
    let directory = tempfile::tempdir().expect("a directory");
    let (storage, dir) = (Disk::handle(), directory.path());
    let options = Options::small(Level::Cached);
    let mut opened = open(&storage, dir, &options).expect("opens");
    for n in 0..10 {
        put(&mut opened.writer, &[image(n, 64)]);
    }
    let snapshot = SnapshotWriter::create(&storage, dir, Sequence(10)).expect("creates");
    snapshot.finish(1, 2).expect("finishes");
    opened.writer.close().expect("closes");
    let path = segment::segment_path(dir, 0);
    let mut bytes = std::fs::read(&path).expect("reads");
    bytes[4096 + 9 * 120..].fill(0);
    std::fs::write(&path, &bytes).expect("writes");
    for verify_from in [Sequence(0), Sequence(10)] {
        let options = Options { verify_from, ..options.clone() };
        match open(&storage, dir, &options) {
            Err(Error::Corrupt { what: Fault::BehindSnapshot, place, witnessed }) => {
                assert_eq!((place.sequence, witnessed), (Sequence(9), Some(Sequence(10))));
            }
            other => panic!("{other:?}"),
        }
    }
    std::fs::remove_file(&path).expect("removes");
    let lost = open(&storage, dir, &options);
    assert!(matches!(lost, Err(Error::Corrupt { what: Fault::Missing, .. })), "{lost:?}");
}

/// Guards against a diff that depends on batching, and one that misses the place.
#[test]
fn diff_names_the_first_sequence_that_parts() {
    let write = |batches: &[usize], other: Option<u64>, chain: u64| {
        let directory = tempfile::tempdir().expect("a directory");
        let mut opened = open(&Disk::handle(), directory.path(), &Options::small(Level::Cached)).expect("opens");
        let mut sequence = 0;
        for &count in batches {
            let images: Vec<Vec<u8>> = (sequence..sequence + count as u64)
                .map(|n| image(if other == Some(n) { 1_000_000 } else { n }, 64))
                .collect();
            put(&mut opened.writer, &images);
            sequence += count as u64;
        }
        opened.chain.record(Sequence(4096), 1);
        opened.chain.record(Sequence(8192), chain);
        opened.chain.record(Sequence(8192 + 1), chain);
        opened.writer.close().expect("closes");
        directory
    };
    let storage = Disk::handle();
    let one = write(&[3, 4, 5], None, 2);
    let same = write(&[12], None, 2);
    let other = write(&[6, 6], Some(7), 3);
    let shorter = write(&[11], None, 2);
    let diff = |a: &tempfile::TempDir, b: &tempfile::TempDir| diff(&storage, a.path(), b.path()).expect("compares");
    assert_eq!(diff(&one, &same), Difference::Same { until: Sequence(12) });
    assert_eq!(diff(&one, &other), Difference::Parted { at: Sequence(7) });
    assert_eq!(diff(&one, &shorter), Difference::SecondEnds { at: Sequence(11) });
    assert_eq!(diff(&shorter, &one), Difference::FirstEnds { at: Sequence(11) });
    let chains =
        |a: &tempfile::TempDir, b: &tempfile::TempDir| diff_chains(&storage, a.path(), b.path()).expect("reads");
    assert_eq!(chains(&one, &same), (Some(Sequence(8192)), None));
    assert_eq!(chains(&one, &other), (Some(Sequence(4096)), Some(Sequence(8192))));
    let verified = verify(&storage, one.path()).expect("is sound");
    assert_eq!((verified.next_sequence, verified.batches, verified.chain_records), (Sequence(12), 3, 2));
    let stat = stat(&storage, one.path()).expect("is sound");
    assert_eq!((stat.next_sequence, stat.oldest), (Sequence(12), Sequence(0)));
}

/// Guards against a sidecar that keeps records of commands the journal lost, or loses its place on reopening.
#[test]
fn the_sidecar_goes_on_over_files_and_restarts() {
    let directory = tempfile::tempdir().expect("a directory");
    let (storage, dir) = (Disk::handle(), directory.path());
    let options = Options::small(Level::Cached);
    let mut opened = open(&storage, dir, &options).expect("opens");
    // More records than a file holds, for commands that the journal does not hold: as after a power cut at `Cached`.
    for n in 1..=6000 {
        opened.chain.record(Sequence(n * 4096), n);
    }
    assert_eq!(opened.chain.skipped(), 0);
    assert_eq!(chain_records(&storage, dir).expect("reads").len(), 6000);
    drop(opened);
    let mut opened = open(&storage, dir, &options).expect("opens");
    assert_eq!(chain_records(&storage, dir).expect("reads"), []);
    opened.chain.record(Sequence(4096), 77);
    let records = chain_records(&storage, dir).expect("reads");
    assert_eq!((records.len(), records[0].chain), (1, 77));
}

/// Guards against a reader that takes a batch of a later leader for damage: it voids what it supersedes.
#[test]
fn a_batch_of_a_higher_term_supersedes() {
    let directory = tempfile::tempdir().expect("a directory");
    let (storage, dir) = (Disk::handle(), directory.path());
    let mut opened = open(&storage, dir, &Options::small(Level::Fsync)).expect("opens");
    put(&mut opened.writer, &[image(0, 64), image(1, 64)]);
    put(&mut opened.writer, &[image(2, 64)]);
    opened.writer.close().expect("closes");
    let path = segment::segment_path(dir, 0);
    let mut bytes = std::fs::read(&path).expect("reads");
    let header: segment::SegmentHeader = segment::SegmentHeader::parse(&bytes).expect("is sound");
    let at = 4096 + 2 * 56 + 3 * 64;
    let last: segment::BatchHeader = bytemuck::pod_read_unaligned(&bytes[4096 + 56 + 128..][..56]);
    let mut batch = segment::BatchHeader {
        length: 56 + 64,
        previous: last.crc,
        term: 2,
        index: 2,
        first_sequence: 2,
        durable: 2,
        count: 1,
        ..last
    };
    bytes[at + 56..at + 120].copy_from_slice(&image(9, 64));
    bytes[at..at + 56].copy_from_slice(bytemuck::bytes_of(&batch));
    batch.crc = segment::batch_crc(segment::seed(header.journal()), &bytes[at + 8..at + 120]);
    bytes[at..at + 56].copy_from_slice(bytemuck::bytes_of(&batch));
    std::fs::write(&path, &bytes).expect("writes");
    let mut reader = Reader::open(&storage, dir, Sequence(0)).expect("opens");
    let mut seen = Vec::new();
    while let Some(batch) = reader.next_batch().expect("reads") {
        seen.push((batch.first_sequence().0, batch.count(), batch.supersedes()));
    }
    assert_eq!(seen, [(0, 2, false), (2, 1, false), (2, 1, true)]);
    assert_eq!(reader.position(), Sequence(3));
}
