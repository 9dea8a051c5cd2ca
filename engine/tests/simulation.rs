//! The pipeline without threads: its parts go in an order that a seed chooses, over rings that are always too small.

mod common;

use common::steps::{Long, RING_SLOTS, Steps, options, small};
use common::{EPOCH, Setup, flow, start_with};
use ringfence_engine::config::Durability;
use ringfence_engine::replay::{From, Observer, replay};
use ringfence_engine::testing::with_journal_options;
use ringfence_journal::testing::SimStorage;
use ringfence_kernel::Sequence;
use ringfence_kernel::image::{SLOT_BYTES, Slot};
use ringfence_kernel::outbox::image;
use ringfence_kernel::random::Random;
use std::path::Path;

fn size(ordinary: u64, large: u64) -> u64 {
    if std::env::var("RINGFENCE_PROVE").is_ok_and(|value| value == "1") { large } else { ordinary }
}

/// All outputs of a replay.
#[derive(Default)]
struct Outputs(Vec<Vec<u8>>);

impl Observer for Outputs {
    fn outputs(&mut self, outputs: &[Slot]) {
        self.0.extend(outputs.iter().map(|slot| image(slot).to_vec()));
    }
    fn executed(&mut self, _: Sequence, _: u64) {}
}

/// Guards against a command that is cut, lost or decided otherwise because of where a batch ended, which part of the
/// pipeline went first, or which ring was full.
#[test]
fn prove_any_order_of_steps_gives_one_history() {
    let dir = Path::new("/simulated");
    let mut long = 0;
    let seeds = size(40, 2_000);
    for seed in 0..seeds {
        let level = if seed % 2 == 0 { Durability::Cached } else { Durability::Fsync };
        let setup = Setup { level, ..small() };
        let kind = if seed % 4 < 2 { "crowded" } else { "timed" };
        let frames = flow(&mut Long::new(kind, seed, 4), 4, 1, 1, 400, EPOCH);
        long += frames.iter().filter(|frame| frame.bytes().len() > SLOT_BYTES).count();
        let storage = SimStorage::new();
        let mut steps = with_journal_options(&options(&setup), || {
            let ready = start_with(&storage.handle(), dir, &setup, EPOCH, |_, _, _, _| {}, |_| {}).expect("it starts");
            Steps::new(ready, &setup, frames.clone(), EPOCH, Random::new(seed))
        });
        let run = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| steps.run()));
        assert!(run.is_ok(), "seed {seed}");
        let outputs = std::mem::take(&mut steps.front.outputs);
        let live = steps.finish();
        let mut replayed = Outputs::default();
        let machine = replay::<ringfence_domains::Domains>(&storage.handle(), dir, From::Genesis, None, &mut replayed)
            .expect("it replays")
            .machine;
        assert_eq!(machine.sequence(), live.sequence(), "seed {seed}");
        assert_eq!((machine.state_hash(), machine.chain()), (live.state_hash(), live.chain()), "seed {seed}");
        assert!(replayed.0 == outputs, "seed {seed}: the replay says other things than the engine did");
    }
    assert!(long as u64 > seeds, "there were commands of several slots in rings of {RING_SLOTS}");
    println!("proved: {seeds} seeds, {long} commands of several slots");
}
