//! Damaged bytes: every truncation, every bit, every torn sector of a 64 KiB journal. Recovery gives a correct prefix at or
//! beyond the last mark that undamaged bytes witness, or refuses with the place named; never another state.

mod support;

use std::panic::catch_unwind;
use std::path::PathBuf;

use ringfence_journal::testing::{Mutation, SECTOR_BYTES, Seeded, SimStorage, with_mutation};
use ringfence_journal::{Error, JournalId, Level, Options, Reader, Sequence, open};
use support::{History, append, check_prefix, dir, scale};

/// A batch of the sound journal: where it stands, and what it says was durable.
struct Batch {
    file: usize,
    start: usize,
    end: usize,
    durable: u64,
}

/// A sound journal and all that a check needs to know about it.
struct Subject {
    files: Vec<(PathBuf, Vec<u8>)>,
    /// The same files at earlier moments.
    earlier: Vec<Vec<(PathBuf, Vec<u8>)>>,
    batches: Vec<Batch>,
    history: History,
    options: Options,
}

fn segments(storage: &SimStorage) -> Vec<(PathBuf, Vec<u8>)> {
    let files = storage.files().into_iter();
    files.filter(|(path, _)| path.extension().is_some_and(|e| e == "segment")).collect()
}

/// Fills one segment, or one and a part of the next, a commit at a time.
fn subject(files: usize) -> Subject {
    let mut seeded = Seeded::new(files as u64);
    let options = Options { id: Some(JournalId(99)), ..Options::small(Level::Fsync) };
    let storage = SimStorage::new();
    let mut opened = open(&storage.handle(), &dir(), &options).expect("opens");
    let (mut history, mut earlier) = (History::new(), Vec::new());
    let end = if files == 1 { 54 << 10 } else { 80 << 10 };
    let mut bytes = 0;
    while bytes < end {
        append(&mut opened.writer, &mut history, &mut seeded, 1024).expect("appends");
        opened.writer.sync().expect("syncs");
        bytes = history.iter().map(Vec::len).sum();
        if earlier.len() < bytes / (8 << 10) {
            earlier.push(segments(&storage));
        }
    }
    drop(opened);
    let mut reader = Reader::open(&storage.handle(), &dir(), Sequence(0)).expect("opens");
    let mut batches = Vec::new();
    while let Some(batch) = reader.next_batch().expect("reads") {
        let header = *batch.header();
        let place = reader.place();
        let end = usize::try_from(place.offset).expect("small");
        batches.push(Batch {
            file: usize::from(place.file.ends_with("00000000000000000001.segment")),
            start: end - header.length as usize,
            end,
            durable: header.durable,
        });
    }
    // The prepared segment holds nothing: it stays for the larger subject only if it is in use.
    let mut files_now = segments(&storage);
    files_now.truncate(files);
    Subject { files: files_now, earlier, batches, history, options }
}

impl Subject {
    /// Recovers from files of which only `damaged` differs from the sound ones; returns what was kept, `None` if refused.
    fn check(&self, files: Vec<(PathBuf, Vec<u8>)>, file: usize, what: &str) -> Option<u64> {
        let damaged = &files[file].1;
        let sound = &self.files[file].1;
        let first = (0..sound.len()).find(|&at| damaged.get(at) != sound.get(at));
        let last = (0..sound.len()).rfind(|&at| damaged.get(at) != sound.get(at));
        let (Some(first), Some(last)) = (first, last) else {
            return Some(self.history.len() as u64);
        };
        let touched = |b: &Batch| b.file == file && b.start <= last && first < b.end;
        let witnessed = self.batches.iter().filter(|b| !touched(b)).map(|b| b.durable).max();
        let storage = SimStorage::with_files(files);
        match open(&storage.handle(), &dir(), &self.options) {
            Ok(opened) => {
                let kept = opened.recovered.next_sequence.0;
                drop(opened);
                assert_eq!(check_prefix(&storage.handle(), &dir(), &self.history), kept, "{what}");
                assert!(Some(kept) >= witnessed, "{what}: {kept} kept of {witnessed:?} witnessed");
                // Damage where no batch stands costs nothing.
                if !self.batches.iter().any(touched) && first >= 4096 {
                    assert_eq!(kept, self.history.len() as u64, "{what}");
                }
                Some(kept)
            }
            Err(Error::Corrupt { place, .. }) => {
                assert!(place.file.starts_with(dir()), "{what}: {place}");
                // A damaged header in the middle is named by the batch that should follow before it.
                let named = self.files.iter().position(|(path, _)| *path == place.file);
                assert!(named.is_some_and(|n| n <= file), "{what}: {place}");
                if named == Some(file) {
                    assert!(place.offset <= last as u64 + 1, "{what}: {place}");
                }
                None
            }
            Err(other) => panic!("{what}: {other}"),
        }
    }
}

fn body_bits(subject: &Subject, stride: usize, seed: u64) {
    let mut seeded = Seeded::new(seed);
    for file in 0..subject.files.len() {
        let mut at = seeded.below(stride);
        while at < subject.files[file].1.len() * 8 {
            let mut files = subject.files.clone();
            files[file].1[at / 8] ^= 1 << (at % 8);
            subject.check(files, file, &format!("bit {at} of file {file}"));
            at += if stride == 1 { 1 } else { 1 + seeded.below(2 * stride) };
        }
    }
}

/// Guards against taking a flipped bit for truth, anywhere in the file.
#[test]
fn every_flipped_bit_is_survived_or_refused() {
    for files in [1, 2] {
        let stride = usize::try_from(scale(400, 1)).expect("small");
        body_bits(&subject(files), stride, 1);
    }
}

/// As above, over the bytes around which everything turns: the headers of the segments and of the last batches.
#[test]
fn every_flipped_bit_of_a_header_is_survived_or_refused() {
    for files in [1, 2] {
        let subject = subject(files);
        let headers: Vec<(usize, usize)> = (0..files)
            .map(|file| (file, 0))
            .chain(subject.batches.iter().rev().take(3).map(|b| (b.file, b.start)))
            .collect();
        for (file, start) in headers {
            for bit in start * 8..(start + 88) * 8 {
                let mut files = subject.files.clone();
                files[file].1[bit / 8] ^= 1 << (bit % 8);
                subject.check(files, file, &format!("bit {bit} of file {file}"));
            }
        }
    }
}

/// Guards against reading a shortened file as a shorter history: segments are never shortened, so it is refused.
#[test]
fn every_truncation_is_refused_with_the_place() {
    for files in [1, 2] {
        let subject = subject(files);
        let stride = usize::try_from(scale(97, 1)).expect("small");
        for file in 0..files {
            let whole = subject.files[file].1.len();
            for length in (0..whole).rev().step_by(stride).chain(0..100) {
                let mut files = subject.files.clone();
                files[file].1.truncate(length);
                let kept = subject.check(files, file, &format!("file {file} cut to {length}"));
                assert_eq!(kept, None, "a shortened segment was taken: {length}");
            }
        }
    }
}

/// Guards against torn sectors: zeros, ones, and bytes that stood there, or elsewhere, before.
#[test]
fn every_torn_sector_is_survived_or_refused() {
    for files in [1, 2] {
        let subject = subject(files);
        for file in 0..files {
            for start in (0..subject.files[file].1.len()).step_by(SECTOR_BYTES) {
                let sector = start..start + SECTOR_BYTES;
                let torn = |content: &[u8], what: &str| {
                    let mut files = subject.files.clone();
                    files[file].1[sector.clone()].copy_from_slice(content);
                    subject.check(files, file, &format!("{what} at {start} of file {file}"));
                };
                torn(&[0; SECTOR_BYTES], "zeros");
                torn(&[0xFF; SECTOR_BYTES], "ones");
                for earlier in &subject.earlier {
                    if let Some((_, stale)) = earlier.get(file) {
                        torn(&stale[sector.clone()], "stale");
                    }
                }
                // Half torn, and a sector from elsewhere in the same journal.
                let mut half = subject.files[file].1[sector.clone()].to_vec();
                half[SECTOR_BYTES / 2..].fill(0);
                torn(&half, "half zeros");
                let other = (start * 7 + 4096) % subject.files[file].1.len();
                let other = other / SECTOR_BYTES * SECTOR_BYTES;
                let other = subject.files[file].1[other..other + SECTOR_BYTES].to_vec();
                torn(&other, "another sector");
            }
        }
    }
}

/// What each kind of damage comes to, so that the proof cannot pass by refusing everything.
#[test]
fn only_the_last_commit_may_be_cut() {
    let subject = subject(1);
    let flip = |at: usize| {
        let mut files = subject.files.clone();
        files[0].1[at] ^= 1;
        subject.check(files, 0, &format!("byte {at}"))
    };
    let last = subject.batches.last().expect("has batches");
    let before = &subject.batches[subject.batches.len() - 2];
    assert_eq!(flip(last.start + 60), Some(last.durable), "the last commit is cut");
    assert_eq!(flip(before.start + 60), None, "one the last has witnessed is not");
    assert_eq!(flip(last.end + 100), Some(subject.history.len() as u64), "what is unused costs nothing");
    assert_eq!(flip(2000), Some(subject.history.len() as u64), "nor does the header's page");
}

/// Guards against forgetting a segment whose every batch is gone: its header alone says that all before it was durable.
#[test]
fn a_segments_header_is_a_witness_by_itself() {
    let subject = subject(2);
    let last = subject.batches.iter().rfind(|b| b.file == 0).expect("has batches");
    let mut files = subject.files.clone();
    files[0].1[last.start + 60] ^= 1;
    files[1].1[4096..].fill(0);
    let storage = SimStorage::with_files(files);
    match open(&storage.handle(), &dir(), &subject.options) {
        Err(Error::Corrupt { place, witnessed: Some(_), .. }) => assert_eq!(place.offset, last.start as u64),
        other => panic!("{other:?}"),
    }
}

/// Guards the guards: with a check left out, the proofs above have to fail.
#[test]
fn the_proof_sees_a_check_left_out() {
    for mutation in [Mutation::SkipChecksum, Mutation::SkipWitness] {
        let broken = || with_mutation(mutation, || body_bits(&subject(1), 200, 3));
        catch_unwind(broken).expect_err("a skipped check went unnoticed");
    }
}
