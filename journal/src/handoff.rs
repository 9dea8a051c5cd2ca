//! Hands one value from a thread to another without waiting.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use crate::error::Error;

/// A slot for one value. One side gives, the other takes; neither ever waits.
///
/// The flag alone decides whose turn it is, so the mutex is never contended: it only shows the compiler that the value
/// has one owner at a time.
#[derive(Debug)]
pub(crate) struct Handoff<T> {
    full: AtomicBool,
    slot: Mutex<Option<T>>,
}

impl<T> Handoff<T> {
    pub(crate) fn new() -> Handoff<T> {
        Handoff { full: AtomicBool::new(false), slot: Mutex::new(None) }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.full.load(Ordering::Acquire)
    }

    /// Puts a value into an empty slot.
    pub(crate) fn give(&self, value: T) {
        assert!(!self.is_full(), "given before the last value was taken");
        let mut slot = self.slot.try_lock().expect("the flag says it is ours");
        *slot = Some(value);
        drop(slot);
        self.full.store(true, Ordering::Release);
    }

    /// Takes the value, if there is one.
    pub(crate) fn take(&self) -> Option<T> {
        if !self.is_full() {
            return None;
        }
        let mut slot = self.slot.try_lock().expect("the flag says it is ours");
        let value = slot.take();
        drop(slot);
        self.full.store(false, Ordering::Release);
        value
    }
}

/// The first error that no one may retry over, and whether there is one.
#[derive(Debug, Default)]
pub(crate) struct Failure {
    failed: AtomicBool,
    first: Mutex<Option<Arc<Error>>>,
}

impl Failure {
    /// Keeps the error if it is the first; returns what everyone will be told from now on.
    pub(crate) fn set(&self, error: Error) -> Error {
        let mut first = self.first.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let kept = first.get_or_insert_with(|| match error {
            Error::Stopped(earlier) => earlier,
            other => Arc::new(other),
        });
        self.failed.store(true, Ordering::Release);
        Error::Stopped(Arc::clone(kept))
    }

    /// An error if something failed earlier. One load otherwise.
    #[inline]
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.failed.load(Ordering::Acquire) {
            return Err(self.told());
        }
        Ok(())
    }

    #[cold]
    fn told(&self) -> Error {
        let first = self.first.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        Error::Stopped(Arc::clone(first.as_ref().expect("set before the flag")))
    }
}
