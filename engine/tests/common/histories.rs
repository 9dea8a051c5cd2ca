//! One log, whatever order the parts of the pipeline go in.

use super::steps::{Long, Steps, options, small};
use super::{EPOCH, Setup, flow, start_with};
use ringfence_domains::Domains;
use ringfence_engine::config::Durability;
use ringfence_engine::replay::{From, Observer, replay};
use ringfence_engine::testing::with_journal_options;
use ringfence_journal::testing::SimStorage;
use ringfence_kernel::Sequence;
use ringfence_kernel::image::{SLOT_BYTES, Slot};
use ringfence_kernel::outbox::image;
use ringfence_kernel::random::Random;
use std::ops::Range;
use std::path::Path;

/// All outputs of a replay.
#[derive(Default)]
pub struct Outputs(pub Vec<Vec<u8>>);

impl Observer for Outputs {
    fn outputs(&mut self, outputs: &[Slot]) {
        self.0.extend(outputs.iter().map(|slot| image(slot).to_vec()));
    }
    fn executed(&mut self, _: Sequence, _: u64) {}
}

/// Each seed drives the pipeline in an order of its own; what came out is what a replay of the journal says. Gives how
/// many commands took several slots.
pub fn one_history(seeds: Range<u64>) -> usize {
    let dir = Path::new("/simulated");
    let mut long = 0;
    for seed in seeds {
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
        let machine =
            replay::<Domains>(&storage.handle(), dir, From::Genesis, None, &mut replayed).expect("it replays").machine;
        assert_eq!(machine.sequence(), live.sequence(), "seed {seed}");
        assert_eq!((machine.state_hash(), machine.chain()), (live.state_hash(), live.chain()), "seed {seed}");
        assert!(replayed.0 == outputs, "seed {seed}: the replay says other things than the engine did");
    }
    long
}
