//! Checks that a test may switch off, to see the suite notice. Without the `testing` feature they are constants.

#[cfg(feature = "testing")]
mod switches {
    use std::cell::Cell;

    thread_local! {
        pub(crate) static SKIP_CHECKSUM: Cell<bool> = const { Cell::new(false) };
        pub(crate) static SKIP_WITNESS: Cell<bool> = const { Cell::new(false) };
        pub(crate) static SKIP_ZEROING: Cell<bool> = const { Cell::new(false) };
        pub(crate) static SKIP_SYNC: Cell<bool> = const { Cell::new(false) };
    }
}

#[cfg(feature = "testing")]
pub(crate) use switches::*;

/// Which rules the calling thread breaks, for a thread that works for it.
pub(crate) fn broken() -> [bool; 4] {
    [skip_checksum(), skip_witness(), skip_zeroing(), skip_sync()]
}

/// Breaks the rules that the thread worked for does.
pub(crate) fn break_as(broken: [bool; 4]) {
    #[cfg(feature = "testing")]
    for (switch, broken) in [&SKIP_CHECKSUM, &SKIP_WITNESS, &SKIP_ZEROING, &SKIP_SYNC].into_iter().zip(broken) {
        switch.set(broken);
    }
    #[cfg(not(feature = "testing"))]
    let _ = broken;
}

/// Take any batch for sound.
#[inline]
pub(crate) fn skip_checksum() -> bool {
    #[cfg(feature = "testing")]
    return SKIP_CHECKSUM.get();
    #[cfg(not(feature = "testing"))]
    false
}

/// Cut at the first bad batch, whatever stands after it.
#[inline]
pub(crate) fn skip_witness() -> bool {
    #[cfg(feature = "testing")]
    return SKIP_WITNESS.get();
    #[cfg(not(feature = "testing"))]
    false
}

/// Leave what was cut in the file.
#[inline]
pub(crate) fn skip_zeroing() -> bool {
    #[cfg(feature = "testing")]
    return SKIP_ZEROING.get();
    #[cfg(not(feature = "testing"))]
    false
}

/// Count as durable what was only written.
#[inline]
pub(crate) fn skip_sync() -> bool {
    #[cfg(feature = "testing")]
    return SKIP_SYNC.get();
    #[cfg(not(feature = "testing"))]
    false
}
