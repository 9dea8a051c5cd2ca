//! What appending and scanning cost: nanoseconds per 64-byte command, and records per second.
//!
//! `cargo bench -p ringfence-journal` prints the median, the best and the worst of the runs. Nothing else should be
//! running; the directory is a temporary one, so the file system measured is that of the temporary files.

use std::hint::black_box;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::time::Instant;

use ringfence_journal::{Disk, Level, Options, Reader, Sequence, SyncMode, open};

const COMMANDS: u64 = 4_000_000;
const RUNS: usize = 7;

fn main() {
    floors();
    // One segment that holds it all and is never half full: the append alone.
    let alone = Options { segment_bytes: 1 << 30, ..Options::default() };
    for batch in [1, 16, 64, 256] {
        figure(&format!("append cached, batches of {batch:3}"), "ns/command", || append(&alone, batch));
    }
    // The disk and the preparer at their limit: what rotation at full speed adds.
    figure("append cached, batches of  64, a segment each 64 MiB", "ns/command", || append(&Options::default(), 64));
    let fsync = Options { level: Level::Fsync, sync: SyncMode::Inline, buffer_bytes: 32 << 20, ..Options::default() };
    figure("append fsync, batches of  64, a sync each 16 MiB", "ns/command", || append(&fsync, 64));
    figure("append fsync, batches of   1, a sync each", "µs/sync", sync_each);
    scan();
}

fn figure(name: &str, unit: &str, run: impl Fn() -> f64) {
    let mut runs: Vec<f64> = (0..RUNS).map(|_| run()).collect();
    runs.sort_by(f64::total_cmp);
    println!("{name}: {:.2} {unit} (best {:.2}, worst {:.2})", runs[RUNS / 2], runs[0], runs[RUNS - 1]);
}

fn image() -> [u8; 64] {
    let mut image = [7; 64];
    image[..2].copy_from_slice(&64_u16.to_le_bytes());
    image
}

/// Nanoseconds per command; waiting for the next segment is not counted.
fn append(options: &Options, batch: u32) -> f64 {
    let directory = tempfile::tempdir().expect("a directory");
    let mut opened = open(&Disk::handle(), directory.path(), options).expect("opens");
    let writer = &mut opened.writer;
    let image = image();
    let mut spent = 0;
    let mut since_sync = 0;
    let commands = COMMANDS / u64::from(batch).max(4) * u64::from(batch);
    while writer.appended().0 < commands {
        let before = writer.appended().0;
        let start = Instant::now();
        // A stretch between two readings of the clock: long enough for the clock not to count.
        for _ in 0..4096 / batch {
            let Some(mut open) = writer.begin(64 * batch as usize).expect("begins") else {
                break;
            };
            for _ in 0..batch {
                open.push(black_box(&image));
            }
            open.commit(batch);
        }
        let appended = writer.appended().0 - before;
        if appended > 0 {
            spent += start.elapsed().as_nanos();
        } else {
            std::thread::yield_now();
        }
        since_sync += appended;
        if options.level == Level::Fsync && (since_sync >= 1 << 18 || appended == 0) {
            writer.sync().expect("syncs");
            since_sync = 0;
        }
    }
    spent as f64 / writer.appended().0 as f64
}

/// Microseconds per sync of one command.
fn sync_each() -> f64 {
    let options = Options { level: Level::Fsync, ..Options::default() };
    let directory = tempfile::tempdir().expect("a directory");
    let mut opened = open(&Disk::handle(), directory.path(), &options).expect("opens");
    let mut each = Vec::new();
    for _ in 0..500 {
        let start = Instant::now();
        let mut batch = opened.writer.begin(64).expect("begins").expect("room");
        batch.push(&image());
        batch.commit(1);
        opened.writer.sync().expect("syncs");
        each.push(start.elapsed().as_nanos());
    }
    each.sort_unstable();
    each[each.len() / 2] as f64 / 1000.0
}

/// What the machine takes for the same bytes without a journal: the figures below stand beside these.
fn floors() {
    const BYTES: usize = 256 << 20;
    figure("floor: 64-byte stores into prefaulted memory", "ns/command", || {
        let mut memory = memmap2::MmapMut::map_anon(BYTES).expect("maps");
        memory.advise(memmap2::Advice::PopulateWrite).expect("prefaults");
        let image = image();
        let start = Instant::now();
        for slot in memory.chunks_exact_mut(64) {
            slot.copy_from_slice(black_box(&image));
        }
        start.elapsed().as_nanos() as f64 / (BYTES / 64) as f64
    });
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(&vec![7; BYTES]).expect("writes");
    figure("floor: reading a cached file, 256 KiB at a time", "M records/s", || {
        let mut buffer = vec![0; 256 << 10];
        let start = Instant::now();
        for at in (0..BYTES).step_by(buffer.len()) {
            file.read_exact_at(&mut buffer, at as u64).expect("reads");
            black_box(&buffer);
        }
        (BYTES / 64) as f64 * 1000.0 / start.elapsed().as_nanos() as f64
    });
}

fn scan() {
    let directory = tempfile::tempdir().expect("a directory");
    let storage = Disk::handle();
    let mut opened = open(&storage, directory.path(), &Options::default()).expect("opens");
    while opened.writer.appended().0 < COMMANDS {
        if let Some(mut batch) = opened.writer.begin(64 * 64).expect("begins") {
            for _ in 0..64 {
                batch.push(&image());
            }
            batch.commit(64);
        } else {
            std::thread::yield_now();
        }
    }
    opened.writer.close().expect("closes");
    figure("scan warm, checked, batches of 64", "M records/s", || {
        let start = Instant::now();
        let mut reader = Reader::open(&storage, directory.path(), Sequence(0)).expect("opens");
        let mut records = 0_u64;
        let mut sum = 0_u64;
        while let Some(batch) = reader.next_batch().expect("reads") {
            for image in batch.images() {
                sum += u64::from(image[8]);
                records += 1;
            }
        }
        black_box(sum);
        records as f64 * 1000.0 / start.elapsed().as_nanos() as f64
    });
}
