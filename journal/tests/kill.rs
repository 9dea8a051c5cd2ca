//! SIGKILL of a writer process at arbitrary moments: nothing it acknowledged is lost, nothing else appears.

mod support;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use ringfence_journal::testing::Seeded;
use ringfence_journal::{Disk, Level, Options, PrepareMode, Sequence, SyncMode, open};
use support::{image, scale};

const DIR: &str = "RINGFENCE_KILL_DIR";
const MODE: &str = "RINGFENCE_KILL_MODE";

fn options(mode: u64) -> Options {
    Options {
        level: if mode.is_multiple_of(2) { Level::Cached } else { Level::Fsync },
        sync: if mode % 4 < 2 { SyncMode::Inline } else { SyncMode::Thread },
        prepare: PrepareMode::Thread,
        segment_bytes: 128 << 10,
        prewrite: true,
        ..Options::small(Level::Cached)
    }
}

/// What command `sequence` looks like, whoever writes it.
fn command(sequence: u64) -> Vec<u8> {
    let bytes = 32 + usize::try_from(sequence % 50).expect("small") * 8;
    image(sequence, 0, bytes)
}

/// Not a test by itself: the process that is killed. Appends for ever and says what has reached its level.
#[test]
fn writer_process() {
    let Some(dir) = std::env::var_os(DIR) else {
        return;
    };
    let mode = std::env::var(MODE).expect("set with the directory").parse().expect("a number");
    let options = options(mode);
    let mut opened = open(&Disk::handle(), Path::new(&dir), &options).expect("opens");
    let mut out = std::io::stdout().lock();
    let mut told = opened.recovered.next_sequence;
    loop {
        let from = opened.writer.appended().0;
        let images: Vec<Vec<u8>> = (from..from + 1 + from % 4).map(command).collect();
        if let Some(mut batch) = opened.writer.begin(images.iter().map(Vec::len).sum()).expect("begins") {
            images.iter().for_each(|image| batch.push(image));
            batch.commit(u32::try_from(images.len()).expect("small"));
        }
        let durable = opened.writer.sync().expect("syncs");
        let reached = match options.level {
            Level::Cached => opened.writer.appended(),
            Level::Fsync => durable,
        };
        if reached > told {
            told = reached;
            if writeln!(out, "ack {reached}").and_then(|()| out.flush()).is_err() {
                return;
            }
        }
    }
}

/// Kills in one directory: recovery reads all of it each time.
const KILLS_EACH: u64 = 12;

fn body(kills: u64, seed: u64) {
    for round in 0..kills.div_ceil(KILLS_EACH) {
        kill_in_every_mode(KILLS_EACH.min(kills - round * KILLS_EACH), seed + round);
    }
}

fn kill_in_every_mode(kills: u64, seed: u64) {
    let mut seeded = Seeded::new(seed);
    let exe = std::env::current_exe().expect("this test");
    for mode in 0..4 {
        let directory = tempfile::tempdir().expect("a directory");
        let mut acknowledged = 0;
        for kill in 0..kills.div_ceil(4) {
            let mut child = Command::new(&exe)
                .args(["writer_process", "--exact", "--nocapture"])
                .env(DIR, directory.path())
                .env(MODE, mode.to_string())
                .stdout(Stdio::piped())
                .spawn()
                .expect("starts");
            let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
            let mut acks = 1 + seeded.below(100);
            while acks > 0 {
                let line = lines.next().expect("the writer goes on until it is killed").expect("reads");
                if let Some(mark) = line.strip_prefix("ack ") {
                    acknowledged = mark.parse::<u64>().expect("a number");
                    acks -= 1;
                }
            }
            child.kill().expect("kills");
            child.wait().expect("ends");
            // What it had said before it died counts as well, as far as the line is whole.
            let rest: Vec<String> = lines.map_while(Result::ok).collect();
            let whole = rest.len().saturating_sub(1);
            for mark in rest[..whole].iter().filter_map(|line| line.strip_prefix("ack ")) {
                acknowledged = mark.parse::<u64>().expect("a number");
            }
            let from = acknowledged.saturating_sub(500);
            check(directory.path(), mode, from, acknowledged, &format!("seed {seed}, mode {mode}, kill {kill}"));
        }
        check(directory.path(), mode, 0, acknowledged, "all of it");
    }
}

fn check(dir: &Path, mode: u64, from: u64, acknowledged: u64, what: &str) {
    let storage = Disk::handle();
    let opened = open(&storage, dir, &options(mode)).unwrap_or_else(|e| panic!("{what}: {e}"));
    let kept = opened.recovered.next_sequence.0;
    drop(opened);
    assert!(kept >= acknowledged, "{what}: {acknowledged} acknowledged, {kept} kept");
    let mut reader = ringfence_journal::Reader::open(&storage, dir, Sequence(from)).expect("opens");
    let mut next = from;
    while let Some(batch) = reader.next_batch().expect("reads") {
        for image in batch.images() {
            assert!(image == command(next), "{what}: command {next} is another");
            next += 1;
        }
    }
    assert_eq!(next, kept, "{what}");
}

/// Guards against acknowledging what a killed process has not handed to the system.
#[test]
fn what_a_killed_writer_acknowledged_is_there() {
    body(scale(12, 500), 1);
}
