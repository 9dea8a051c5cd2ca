//! Rules broken on purpose: the proofs must see each of them, or they prove nothing.

mod common;

use common::crashes::{flipped_bits, power_cuts, resent};
use common::histories::one_history;
use ringfence_engine::testing::{Mutation, with_mutation};
use ringfence_journal::testing::{Mutation as JournalMutation, with_mutation as with_journal_mutation};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Whether `proof` fails, and with what; it may do so by any panic.
fn seen<T>(proof: impl FnOnce() -> T) -> Option<String> {
    let failure = catch_unwind(AssertUnwindSafe(proof)).err()?;
    let text = failure.downcast_ref::<String>().cloned();
    Some(text.or_else(|| failure.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default())
}

/// Guards against power cuts that would not notice a command acknowledged before it is journaled.
#[test]
fn acknowledging_before_the_journal_is_seen() {
    let why = seen(|| with_mutation(Mutation::ForgetGate, || power_cuts(0..60)));
    assert!(why.as_ref().is_some_and(|why| why.contains("the answer at")), "{why:?}");
}

/// Guards against power cuts that would not notice a sync left out.
#[test]
fn a_sync_left_out_is_seen() {
    let why = seen(|| with_journal_mutation(JournalMutation::SkipSync, || power_cuts(0..60)));
    assert!(why.as_ref().is_some_and(|why| why.contains("the answer at")), "{why:?}");
}

/// Guards against flipped bits that would pass whether they are summed or not.
#[test]
fn a_checksum_left_out_is_seen() {
    let why = seen(|| with_journal_mutation(JournalMutation::SkipChecksum, || flipped_bits(0..60)));
    assert!(why.is_some(), "no flip was noticed");
}

/// Guards against resends that would not notice a request executed twice.
#[test]
fn forgetting_the_dedupe_is_seen() {
    let why = seen(|| with_mutation(Mutation::ForgetDedupe, || resent(0..20)));
    assert!(why.as_ref().is_some_and(|why| why.contains("sent again")), "{why:?}");
}

/// Guards against simulations that would not notice a command handed on in part.
#[test]
fn releasing_half_a_command_is_seen() {
    let why = seen(|| with_mutation(Mutation::ReleaseHalf, || one_history(0..40)));
    assert!(why.is_some(), "no half command was noticed");
}
