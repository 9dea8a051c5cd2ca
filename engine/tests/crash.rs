//! The whole engine over a storage that forgets what was not synced: power cuts, and calls that fail.

mod common;

use common::crashes::{Answered, End, check, flipped_bits, live, power_cuts, resent, size};
use common::steps::Long;
use common::{EPOCH, flow};
use ringfence_journal::testing::{Injected, SimStorage};
use std::collections::BTreeMap;

/// Guards against a reply that is given before its command is synced, and against recovery that loses a command, or
/// answers it otherwise: power is cut at any step, and any mixture of what was not synced is left.
#[test]
fn prove_no_reply_precedes_its_sync() {
    let seeds = size(60, 4_000);
    let (replies, cuts) = power_cuts(0..seeds);
    assert!(replies as u64 > seeds * 20, "{replies} replies: hardly any was given");
    println!("proved: {replies} replies, {cuts} power cuts, seeds 0..{seeds}");
}

/// Guards against damage that is taken for history: a flipped bit is refused, or what stands before it is recovered.
#[test]
fn prove_a_flipped_bit_changes_no_answer() {
    let seeds = size(60, 4_000);
    let (refused, shorter) = flipped_bits(0..seeds);
    assert!(refused > 0 && shorter > 0, "{refused} refused, {shorter} cut short: no flip hit anything");
    println!("proved: {} flips, {refused} refused, {shorter} cut short, seeds 0..{seeds}", seeds * 3);
}

/// Guards against a request that is executed again when its client sends it again after a restart.
#[test]
fn prove_what_is_resent_is_executed_once() {
    let seeds = size(20, 1_000);
    resent(0..seeds);
    println!("proved: {} requests sent twice, seeds 0..{seeds}", seeds * 300);
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
