//! Power cuts and other damage to the storage of a whole engine, and what must be left of what it answered.

use super::steps::{Long, Steps, options, small};
use super::{EPOCH, Setup, flow, open_session, start_with};
use ringfence_engine::config::Durability;
use ringfence_engine::testing::with_journal_options;
use ringfence_journal::testing::{Injected, SimStorage};
use ringfence_journal::{JournalId, Options};
use ringfence_kernel::image::kind;
use ringfence_kernel::outbox::image;
use ringfence_kernel::random::Random;
use ringfence_kernel::workload::CommandImage;
use ringfence_kernel::{OutputHeader, Sequence, SessionId, Timestamp};
use std::collections::BTreeMap;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Once};

pub const DIR: &str = "/simulated";

pub fn size(ordinary: u64, large: u64) -> u64 {
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

pub fn setup() -> Setup {
    Setup { level: Durability::Fsync, ..small() }
}

pub fn journal_options(seed: u64) -> Options {
    Options { id: Some(JournalId(seed.into())), ..options(&setup()) }
}

/// What clients were told: the answer by its place in the log.
pub type Answered = BTreeMap<Sequence, Vec<u8>>;

/// Adds the answers among `outputs`.
pub fn note<'a>(answered: &mut Answered, outputs: impl Iterator<Item = &'a [u8]>) {
    for output in outputs {
        let header = OutputHeader::read(output).expect("an output has a header");
        if matches!(header.kind, kind::REPLY | kind::REJECT) {
            let before = answered.insert(header.sequence, output.to_vec());
            assert!(before.is_none_or(|before| before == output), "one command, two answers");
        }
    }
}

/// What a recovery of `storage` knows: every answer that it gives again, and how many frames there are.
pub fn recovered(storage: &Arc<SimStorage>, seed: u64, what: &str) -> (Answered, Sequence) {
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
pub fn check(answered: &Answered, storage: &Arc<SimStorage>, seed: u64, what: &str) {
    let (known, end) = recovered(storage, seed, what);
    for (sequence, answer) in answered {
        let kept = known.get(sequence);
        assert!(kept.is_some(), "seed {seed}, {what}: the answer at {sequence} was given, {end} frames are left");
        assert!(kept == Some(answer), "seed {seed}, {what}: the command at {sequence} is answered otherwise");
    }
}

/// How a life came to its end.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
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
pub fn live(
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

/// Power is cut three times a seed, at any step, and any mixture of what was not synced is left: no reply preceded its
/// sync. Gives the replies and the cuts.
pub fn power_cuts(seeds: Range<u64>) -> (usize, usize) {
    let (mut replies, mut cuts) = (0, 0);
    for seed in seeds {
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
    (replies, cuts)
}

/// A bit of the journal flips, three for each seed: what is recovered answers as before, or nothing is recovered. Gives how many
/// were refused, and how many journals were cut short.
pub fn flipped_bits(seeds: Range<u64>) -> (usize, usize) {
    let (mut refused, mut shorter) = (0, 0);
    for seed in seeds {
        let mut random = Random::new(seed ^ 0xF11B);
        let storage = SimStorage::new();
        let mut answered = Answered::new();
        let frames = flow(&mut Long::new("crowded", seed, 4), 4, 1, 1, 100, EPOCH);
        assert_eq!(live(&storage, seed, frames, 200_000, &mut answered, |_, _| {}), End::Done);
        for _ in 0..3 {
            let mut files = storage.files();
            let segments = files.iter_mut().filter(|(path, _)| path.extension().is_some_and(|end| end == "segment"));
            let segments = segments.map(|(_, bytes)| bytes).filter(|bytes| bytes[4096..].iter().any(|byte| *byte != 0));
            let mut segments = segments.collect::<Vec<_>>();
            let chosen = random.below(segments.len() as u64) as usize;
            let written = segments[chosen].iter().rposition(|byte| *byte != 0).expect("it was written") as u64;
            let at = random.below(written + 1) as usize;
            segments[chosen][at] ^= 1 << random.below(8);
            let damaged = SimStorage::with_files(files);
            let known = with_journal_options(&journal_options(seed), || {
                let mut known = Answered::new();
                let ready = start_with(
                    &damaged.handle(),
                    Path::new(DIR),
                    &setup(),
                    EPOCH,
                    |_, _, _, _| {},
                    |output| {
                        note(&mut known, std::iter::once(image(output)));
                    },
                );
                ready.is_ok().then_some(known)
            });
            let Some(known) = known else {
                refused += 1;
                continue;
            };
            shorter += usize::from(known.len() < answered.len());
            let kept = answered.iter().take(known.len());
            assert!(known.iter().eq(kept), "seed {seed}, bit at {at}: other answers than were given are recovered");
        }
    }
    (refused, shorter)
}

/// All that was sent is sent again after a restart: nothing is executed a second time.
pub fn resent(seeds: Range<u64>) {
    for seed in seeds {
        let storage = SimStorage::new();
        let setup = Setup { reply_window: 512, ..setup() };
        let run = |frames: Vec<CommandImage>, now| {
            let mut engine = with_journal_options(&journal_options(seed), || {
                let handle = storage.handle();
                let ready = start_with(&handle, Path::new(DIR), &setup, now, |_, _, _, _| {}, |_| {});
                Steps::new(ready.expect("it starts"), &setup, frames, now, Random::new(seed))
            });
            engine.run();
            let outputs = std::mem::take(&mut engine.front.outputs);
            let mut answered = Answered::new();
            note(&mut answered, outputs.iter().map(Vec::as_slice));
            let answers = answered.into_values().map(|answer| answer[48..].to_vec()).collect::<Vec<_>>();
            let machine = engine.finish();
            (answers, machine.domain_hashes().collect::<Vec<_>>())
        };
        let first = flow(&mut Long::new("crowded", seed, 4), 4, 1, 1, 300, EPOCH);
        let mut second = (1..=4).map(|client| open_session(10 + client, client, EPOCH + 1)).collect::<Vec<_>>();
        second.extend(first.iter().filter(|frame| frame.header().message.schema != 0).map(|frame| {
            let (mut frame, old) = (frame.clone(), frame.header());
            frame.stamp(SessionId(10 + old.session.0), old.request, Timestamp(EPOCH + 2));
            frame
        }));
        let (before, after) = (run(first, EPOCH), run(second, EPOCH + 1));
        assert!(before.0 == after.0, "seed {seed}: a request that is sent again is answered otherwise");
        assert_eq!(before.1, after.1, "seed {seed}: a request that is sent again changes the state");
    }
}
