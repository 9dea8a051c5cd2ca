//! What the stages count, in a pipeline driven step by step with rings that fill up.

mod common;

use common::steps::{Long, Steps, options, small};
use common::{EPOCH, flow, frame, start_with};
use ringfence_counters::file::BYTES;
use ringfence_counters::{EngineCounters, Identity, Reading, Registrar, Settings};
use ringfence_domains::matching::{Matching, topics};
use ringfence_engine::config::Durability;
use ringfence_engine::counting::StageCounters;
use ringfence_engine::testing::with_journal_options;
use ringfence_gateway::WallClock;
use ringfence_journal::Disk;
use ringfence_kernel::random::Random;
use ringfence_kernel::system::{Frame, SnapshotTopic};
use ringfence_kernel::{Domain as _, Topic};
use std::sync::atomic::{AtomicU64, Ordering};

type History = (u64, u64, Vec<Vec<u8>>);

/// A seed's history: state hash, output chain, outputs; and what was counted on the way, when it was.
fn history(seed: u64, level: Durability, words: Option<&'static [AtomicU64]>) -> (History, u64) {
    let dir = tempfile::tempdir().expect("a directory");
    let setup = common::Setup { level, ..small() };
    let mut journal_options = options(&setup);
    journal_options.id = Some(ringfence_journal::JournalId(0x51ED));
    let ready = with_journal_options(&journal_options, || {
        start_with(&Disk::handle(), dir.path(), &setup, EPOCH, |_, _, _, _| {}, |_| {})
    });
    let mut frames = flow(&mut Long::new("normal", seed, setup.clients), setup.clients, 1, 1, 1_500, EPOCH);
    // Parts of a whole book: more than one flush holds, so that a decision is held back in the middle.
    let topic = Topic::new(Matching::ID, topics::LEVELS, 1);
    let now = EPOCH + 1_500_000;
    let parts = (0..20).map(|nth| frame(1, (1 << 40) + nth, now, Frame::SnapshotTopic(&SnapshotTopic { topic })));
    frames.extend(parts);
    let mut steps = Steps::new(ready.expect("it starts"), &setup, frames, EPOCH, Random::new(seed));
    if let Some(words) = words {
        let mut on = Registrar::new(words);
        let settings = Settings { ring_slots: 256, durable: level == Durability::Fsync, threads: 1, sample_every: 1 };
        let counters = EngineCounters::new(&mut on, &settings, &[]).expect("there is room");
        on.finish(&Identity::default());
        let EngineCounters { port, journal, syncs, replicate, execute, .. } = counters;
        steps.front.port.count(port);
        let clock = &WallClock::new();
        steps.stages.count(StageCounters { journal, syncs, replicate, execute, clock, sample_every: 1 });
    }
    steps.run();
    let outputs = std::mem::take(&mut steps.front.outputs);
    let claimed = steps.front.port.claimed();
    let machine = steps.finish();
    ((machine.state_hash(), machine.chain(), outputs), claimed)
}

/// Guards against counting that changes what is decided, and against a command that is counted or timed twice because a
/// full ring held it back.
#[test]
fn every_command_is_counted_once_and_nothing_else_changes() {
    let mut held_back = 0;
    for seed in 1..=4 {
        for level in [Durability::Cached, Durability::Fsync] {
            println!("seed {seed}, {level:?}");
            let words: &'static [AtomicU64] = (0..BYTES / 8).map(|_| AtomicU64::new(0)).collect::<Vec<_>>().leak();
            let (plain, _) = history(seed, level, None);
            let (counted, claimed) = history(seed, level, Some(words));
            assert!(plain == counted, "another history");

            let bytes = words.iter().flat_map(|word| word.load(Ordering::Relaxed).to_le_bytes()).collect::<Vec<_>>();
            let reading = Reading::parse(&bytes).expect("it is sound");
            let value = |name| reading.value(name).expect("it is there");
            let timed = |name| reading.distribution(name).expect("it is there");
            // Frame 0 is appended before anything is counted.
            let commands = value("execute.executed") - 1;
            assert_eq!(value("journal.appended") - 1, commands);
            for name in ["age.appended", "age.released", "age.decided"] {
                assert_eq!(timed(name).total(), commands, "{name}");
            }
            assert!(timed("journal.batch").worst() > Some(1) && timed("journal.batch").total() < commands);
            for name in ["ingress.published", "journal.position", "replicate.position", "execute.position"] {
                assert_eq!(value(name), claimed, "{name}");
            }
            assert_eq!((value("egress.published"), value("egress.drained")), {
                let outputs = counted.2.len() as u64;
                (outputs, outputs)
            });
            assert_eq!(timed("sync.duration").total() > 0, level == Durability::Fsync);
            let durable = if level == Durability::Fsync { commands + 1 } else { 0 };
            assert!(value("journal.durable") >= durable);
            held_back += value("egress.full");
        }
    }
    assert!(held_back > 0, "the egress ring was to fill up");
}
