//! The whole engine over a storage that forgets what was not synced: power cuts, and calls that fail.

mod common;

use common::steps::{Long, Steps, options, small};
use common::{EPOCH, Setup, flow, start_with};
use ringfence_engine::config::Durability;
use ringfence_engine::testing::with_journal_options;
use ringfence_journal::testing::{Injected, SimStorage};
use ringfence_journal::{JournalId, Options};
use ringfence_kernel::image::kind;
use ringfence_kernel::outbox::image;
use ringfence_kernel::random::Random;
use ringfence_kernel::workload::CommandImage;
use ringfence_kernel::{OutputHeader, Sequence};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Once};

const DIR: &str = "/simulated";

fn size(ordinary: u64, large: u64) -> u64 {
    if std::env::var("RINGFENCE_PROVE").is_ok_and(|value| value == "1") { large } else { ordinary }
}

/// A stage that cannot go on panics, which ends the process: here that is caught, and not worth a line each time.
fn hush() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let loud = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let why = panic.payload().downcast_ref::<String>().map_or("", String::as_str);
            if !why.starts_with("the journal c") {
                loud(panic);
            }
        }));
    });
}

fn setup() -> Setup {
    Setup { level: Durability::Fsync, ..small() }
}

fn journal_options(seed: u64) -> Options {
    Options { id: Some(JournalId(seed.into())), ..options(&setup()) }
}

/// What clients were told: the answer by its place in the log.
type Answered = BTreeMap<Sequence, Vec<u8>>;

/// Adds the answers among `outputs`.
fn note<'a>(answered: &mut Answered, outputs: impl Iterator<Item = &'a [u8]>) {
    for output in outputs {
        let header = OutputHeader::read(output).expect("an output has a header");
        if matches!(header.kind, kind::REPLY | kind::REJECT) {
            let before = answered.insert(header.sequence, output.to_vec());
            assert!(before.is_none_or(|before| before == output), "one command, two answers");
        }
    }
}

/// What a recovery of `storage` knows: every answer that it gives again, and how many frames there are.
fn recovered(storage: &Arc<SimStorage>, seed: u64, what: &str) -> (Answered, Sequence) {
    with_journal_options(&journal_options(seed), || {
        let mut known = Answered::new();
        let ready = start_with(
            &storage.handle(),
            Path::new(DIR),
            &setup(),
            EPOCH,
            |_, _, _, _| {},
            |output| {
                note(&mut known, std::iter::once(image(output)));
            },
        );
        let ready = ready.unwrap_or_else(|error| panic!("seed {seed}, {what}: not recovered: {error}"));
        (known, ready.machine.sequence())
    })
}

/// Every answer that was given is in what was recovered, the same to the byte.
fn check(answered: &Answered, storage: &Arc<SimStorage>, seed: u64, what: &str) {
    let (known, end) = recovered(storage, seed, what);
    for (sequence, answer) in answered {
        let kept = known.get(sequence);
        assert!(kept.is_some(), "seed {seed}, {what}: the answer at {sequence} was given, {end} frames are left");
        assert!(kept == Some(answer), "seed {seed}, {what}: the command at {sequence} is answered otherwise");
    }
}

/// How a life came to its end.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// Everything was answered.
    Done,
    /// The start was refused.
    Refused,
    /// A stage stopped the process.
    Stopped,
    /// So many steps were taken.
    Cut,
}

/// One life of the engine on `storage`: at most `steps` steps. What its front was given is added to `answered`.
fn live(
    storage: &Arc<SimStorage>,
    seed: u64,
    frames: Vec<CommandImage>,
    steps: u64,
    answered: &mut Answered,
    mut each: impl FnMut(&Answered, &mut Random),
) -> End {
    hush();
    let random = Random::new(seed);
    let started = with_journal_options(&journal_options(seed), || {
        catch_unwind(AssertUnwindSafe(|| {
            let ready = start_with(&storage.handle(), Path::new(DIR), &setup(), EPOCH, |_, _, _, _| {}, |_| {});
            ready.map(|ready| Steps::new(ready, &setup(), frames, EPOCH, random))
        }))
    });
    let Ok(Ok(mut engine)) = started else { return End::Refused };
    let mut seen = 0;
    for _ in 0..steps {
        let step = catch_unwind(AssertUnwindSafe(|| engine.step()));
        note(answered, engine.front.outputs[seen..].iter().map(Vec::as_slice));
        seen = engine.front.outputs.len();
        if step.is_err() {
            return End::Stopped;
        }
        if engine.front.is_done() {
            return End::Done;
        }
        each(answered, &mut engine.random);
    }
    End::Cut
}

/// Guards against a reply that is given before its command is synced, and against recovery that loses a command, or
/// answers it otherwise: power is cut at any step, and any mixture of what was not synced is left.
#[test]
fn prove_no_reply_precedes_its_sync() {
    let (mut replies, mut cuts) = (0, 0);
    let seeds = size(60, 4_000);
    for seed in 0..seeds {
        let mut random = Random::new(seed ^ 0xC4A5);
        let mut storage = SimStorage::new();
        let mut answered = Answered::new();
        for life in 0..3_u32 {
            let kind = if seed % 2 == 0 { "crowded" } else { "timed" };
            let mut workload = Long::new(kind, seed * 8 + u64::from(life), 4);
            let begin = EPOCH + u64::from(life) * 1_000_000_000;
            // Sessions and requests go on where the last life may have left them.
            let frames = flow(&mut workload, 4, 1 + 4 * life, 1 + 1_000 * u64::from(life), 200, begin);
            if random.below(2) == 0 {
                storage.inject(random.below(60), Injected::Dead);
            }
            let steps = random.below(1_500);
            live(&storage, seed, frames, steps, &mut answered, |answered, random| {
                // Here and there: if power went now and nothing unsynced were kept, would every answer be kept?
                if random.below(200) == 0 {
                    let left = storage.crash(|_| 0);
                    check(answered, &left, seed, "nothing unsynced is kept");
                    cuts += 1;
                }
            });
            let style = random.below(4);
            storage = storage.crash(|outcomes| match style {
                0 => 0,
                1 => outcomes - 1,
                _ => random.below(outcomes as u64) as usize,
            });
            check(&answered, &storage, seed, "after a power cut");
            cuts += 1;
        }
        replies += answered.len();
    }
    assert!(replies as u64 > seeds * 20, "{replies} replies: hardly any was given");
    println!("proved: {replies} replies, {cuts} power cuts, seeds 0..{seeds}");
}

/// Guards against a full disk or a failed call after which the engine goes on answering: it stops, or refuses to
/// start, or does without; and whatever was answered is kept, by the page cache and by the disk.
#[test]
fn prove_a_failed_call_loses_no_answer() {
    let mut ends = BTreeMap::new();
    for seed in 0..size(1, 12) {
        let frames = || flow(&mut Long::new("crowded", seed, 4), 4, 1, 1, 300, EPOCH);
        let calm = SimStorage::new();
        assert_eq!(live(&calm, seed, frames(), 200_000, &mut Answered::new(), |_, _| {}), End::Done);
        let calls = calm.calls();
        for call in 0..calls {
            for fault in [Injected::InputOutput, Injected::NoSpace] {
                let storage = SimStorage::new();
                storage.inject(call, fault);
                let mut answered = Answered::new();
                let end = live(&storage, seed, frames(), 200_000, &mut answered, |_, _| {});
                let what = format!("{fault:?} at call {call} ({}), {end:?}", storage.log()[call as usize]);
                assert_ne!(end, End::Cut, "seed {seed}, {what}: the engine stands still");
                check(&answered, &storage.crash(|_| 0), seed, &format!("{what}, then a power cut"));
                storage.inject(1 << 40, Injected::Dead);
                check(&answered, &storage, seed, &what);
                *ends.entry(format!("{fault:?}: {end:?}")).or_insert(0) += 1;
            }
        }
    }
    println!("proved: {ends:?}");
}
