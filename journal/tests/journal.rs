//! The journal used as its engine uses it, on a real directory.

use ringfence_journal::{Disk, Error, Level, Options, PrepareMode, Reader, Sequence, SyncMode, open};

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
