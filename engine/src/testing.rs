//! What tests of the pipeline may change, on their own thread: rules that are broken on purpose, and the journal's
//! options beyond what an operator can choose.

use crate::knobs;
use ringfence_journal::Options;
use std::cell::Cell;
use std::thread::LocalKey;

/// A rule that a test can break, to see the suite notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutation {
    /// Replicate releases what its gate does not allow yet: commands are answered before they are durable.
    ForgetGate,
    /// Execute takes any request for a new one: what is resent is executed again.
    ForgetDedupe,
    /// Replicate releases a command of several slots without its last one.
    ReleaseHalf,
}

/// Runs `body` with a rule broken, on this thread only.
pub fn with_mutation<T>(mutation: Mutation, body: impl FnOnce() -> T) -> T {
    struct Restore(&'static LocalKey<Cell<bool>>);
    impl Drop for Restore {
        fn drop(&mut self) {
            self.0.set(false);
        }
    }
    let switch = match mutation {
        Mutation::ForgetGate => &knobs::FORGET_GATE,
        Mutation::ForgetDedupe => &knobs::FORGET_DEDUPE,
        Mutation::ReleaseHalf => &knobs::RELEASE_HALF,
    };
    switch.set(true);
    let _restore = Restore(switch);
    body()
}

/// Runs `body`, whose starts on this thread open their journals with `options`: small segments, a fixed id.
pub fn with_journal_options<T>(options: &Options, body: impl FnOnce() -> T) -> T {
    struct Restore;
    impl Drop for Restore {
        fn drop(&mut self) {
            knobs::JOURNAL_OPTIONS.set(None);
        }
    }
    knobs::JOURNAL_OPTIONS.set(Some(options.clone()));
    let _restore = Restore;
    body()
}
