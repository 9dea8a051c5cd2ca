//! Instructions of the hot paths under valgrind: the same on every run, whatever else the machine does, so that a gate
//! can hold them. Each limit is what was counted when it was set, and 5 %: processors differ in which copy of `memcpy`
//! they are given.
//!
//! `cargo bench -p ringfence-benches --bench instructions` needs valgrind and gungraun-runner 0.20.0.

#![allow(missing_docs, reason = "the macros make modules that cannot have any")]

use gungraun::{Callgrind, EventKind, LibraryBenchmarkConfig, library_benchmark, library_benchmark_group, main};
use ringfence_benches::noop::NoopOnly;
use ringfence_benches::subjects::domain::{Decisions, prepare};
use ringfence_benches::subjects::pipeline::{machine, pings};
use ringfence_benches::subjects::ring::ping;
use ringfence_domains::Domains;
use ringfence_domains::workloads::find;
use ringfence_engine::machine::Machine;
use ringfence_engine::ring::{FirstReader, Producer, egress};
use ringfence_journal::{Disk, Options, Writer, open};
use ringfence_kernel::Outbox;
use ringfence_kernel::workload::CommandImage;
use std::hint::black_box;
use tempfile::TempDir;

const COMMANDS: usize = 1_000;
const BATCH: usize = 50;

/// At most so many instructions for all [`COMMANDS`].
fn limit(instructions: u64) -> LibraryBenchmarkConfig {
    let mut config = LibraryBenchmarkConfig::default();
    config.tool(Callgrind::default().hard_limits([(EventKind::Ir, instructions)]));
    config
}

fn a_ring() -> (Producer, FirstReader, CommandImage) {
    let (producer, reader) = egress(1024);
    (producer, reader, ping())
}

#[library_benchmark(config = limit(117_000), setup = a_ring)]
#[bench::publish_and_read()]
fn ring((mut producer, mut reader, image): (Producer, FirstReader, CommandImage)) -> (Producer, FirstReader) {
    for _ in 0..COMMANDS {
        assert!(producer.try_publish(image.bytes()));
        let read = reader.read_slots(1, |slot| {
            black_box(slot);
        });
        reader.release(read);
    }
    (producer, reader)
}

fn a_journal() -> (Writer, TempDir, CommandImage) {
    let dir = tempfile::tempdir().expect("a directory");
    let writer = open(&Disk::handle(), dir.path(), &Options::default()).expect("a journal can be made").writer;
    (writer, dir, ping())
}

#[library_benchmark(config = limit(65_300), setup = a_journal)]
#[bench::batches_of_50()]
fn append((mut writer, dir, image): (Writer, TempDir, CommandImage)) -> (Writer, TempDir) {
    for _ in 0..COMMANDS / BATCH {
        let batch = writer.begin(BATCH * image.bytes().len()).expect("the journal goes on");
        let mut batch = batch.expect("a new journal has room");
        (0..BATCH).for_each(|_| batch.push(image.bytes()));
        batch.commit(BATCH as u32);
    }
    (writer, dir)
}

fn a_machine() -> (Machine<NoopOnly>, Vec<CommandImage>, Outbox) {
    (machine(), pings(COMMANDS), Outbox::new())
}

#[library_benchmark(config = limit(345_000), setup = a_machine)]
#[bench::noop()]
fn execute(
    (mut machine, images, mut outbox): (Machine<NoopOnly>, Vec<CommandImage>, Outbox),
) -> (Machine<NoopOnly>, Vec<CommandImage>, Outbox) {
    for image in &images {
        let done = machine.execute(image.bytes(), &mut outbox);
        assert!(black_box(done.is_ok()), "a ping can be played");
        outbox.flushed();
    }
    (machine, images, outbox)
}

fn matching() -> Decisions<Domains> {
    prepare("matching", find("matching", "normal").expect("the workload exists"), 1, COMMANDS)
}

/// The same once orders are cancelled as well as entered.
fn matching_matured() -> Decisions<Domains> {
    let mut decisions = matching();
    decisions.skip(22_000);
    decisions
}

// The first thousand commands let the index grow several times, which takes a tenth of them: decision 24.
#[library_benchmark(config = limit(915_000))]
#[bench::matching_normal(setup = matching)]
#[bench::matching_normal_matured(setup = matching_matured)]
fn apply(mut decisions: Decisions<Domains>) -> Decisions<Domains> {
    decisions.decide();
    decisions
}

library_benchmark_group!(name = hot_paths; benchmarks = ring, append, execute, apply);
main!(library_benchmark_groups = hot_paths);
