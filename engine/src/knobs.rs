//! Rules that a test may break on purpose, to see the suite notice. Without the `testing` feature they are constants.

use ringfence_journal::Options;

#[cfg(feature = "testing")]
mod switches {
    use ringfence_journal::Options;
    use std::cell::{Cell, RefCell};

    thread_local! {
        pub(crate) static FORGET_GATE: Cell<bool> = const { Cell::new(false) };
        pub(crate) static FORGET_DEDUPE: Cell<bool> = const { Cell::new(false) };
        pub(crate) static RELEASE_HALF: Cell<bool> = const { Cell::new(false) };
        pub(crate) static JOURNAL_OPTIONS: RefCell<Option<Options>> = const { RefCell::new(None) };
    }
}

#[cfg(feature = "testing")]
pub(crate) use switches::*;

/// Execute whatever is in the ring, appended and synced or not.
#[inline]
pub(crate) fn forget_gate() -> bool {
    #[cfg(feature = "testing")]
    return FORGET_GATE.get();
    #[cfg(not(feature = "testing"))]
    false
}

/// Take any request for a new one.
#[inline]
pub(crate) fn forget_dedupe() -> bool {
    #[cfg(feature = "testing")]
    return FORGET_DEDUPE.get();
    #[cfg(not(feature = "testing"))]
    false
}

/// Keep the last slot of a longer command back when it is released.
#[inline]
pub(crate) fn release_half() -> bool {
    #[cfg(feature = "testing")]
    return RELEASE_HALF.get();
    #[cfg(not(feature = "testing"))]
    false
}

/// What the journal is opened with: as configured, unless a test says otherwise.
pub(crate) fn journal_options(configured: Options) -> Options {
    #[cfg(feature = "testing")]
    if let Some(options) = JOURNAL_OPTIONS.with_borrow(Clone::clone) {
        return options;
    }
    configured
}
