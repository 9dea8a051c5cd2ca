//! A sequenced stream: what goes in, what is made of it, and the file that keeps both.

use super::gathering::Frame;
use crate::store::{Batch, Store, StoreError};
use std::io;
use std::path::Path;

/// What messages are made of. A stream is a function of all that went into it, in order.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Input<'a> {
    /// The stream begins.
    Begin {
        /// When, in nanoseconds since 1970.
        at: u64,
    },
    /// The engine said something.
    Said(&'a Frame),
    /// The peer asked for something, which goes to the engine under a number.
    Asked {
        /// When, in nanoseconds since 1970.
        at: u64,
        /// The number.
        request: u64,
        /// The peer's message; none when the gateway itself takes out the next order that has to go.
        message: &'a [u8],
    },
    /// The engine never saw a request, though it saw later ones: it goes out under a new number.
    Again {
        /// The number that is over.
        old: u64,
        /// The new one.
        new: u64,
    },
    /// All was said of an order that came in and does not stay.
    Settled {
        /// When, in nanoseconds since 1970.
        at: u64,
    },
    /// The stream ends.
    End {
        /// When, in nanoseconds since 1970.
        at: u64,
    },
}

impl Input<'_> {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Begin { at } => put(out, b'B', &[*at], &[]),
            Self::Said(frame) => put(out, b'S', &[], frame.bytes()),
            Self::Asked { at, request, message } => put(out, b'A', &[*at, *request], message),
            Self::Again { old, new } => put(out, b'R', &[*old, *new], &[]),
            Self::Settled { at } => put(out, b'C', &[*at], &[]),
            Self::End { at } => put(out, b'E', &[*at], &[]),
        }
    }

    /// Hands the input that these bytes say to `take`; what is none is passed over.
    fn read(bytes: &[u8], mut take: impl FnMut(Input<'_>)) {
        let word = |at: usize| bytes.get(at..at + 8).and_then(|word| word.try_into().ok()).map(u64::from_le_bytes);
        match bytes.first() {
            Some(b'B') => word(1).into_iter().for_each(|at| take(Input::Begin { at })),
            Some(b'S') => Frame::read(&bytes[1..]).iter().for_each(|frame| take(Input::Said(frame))),
            Some(b'A') => {
                if let (Some(at), Some(request)) = (word(1), word(9)) {
                    take(Input::Asked { at, request, message: &bytes[17..] });
                }
            }
            Some(b'R') => {
                if let (Some(old), Some(new)) = (word(1), word(9)) {
                    take(Input::Again { old, new });
                }
            }
            Some(b'C') => word(1).into_iter().for_each(|at| take(Input::Settled { at })),
            Some(b'E') => word(1).into_iter().for_each(|at| take(Input::End { at })),
            _ => {}
        }
    }
}

fn put(out: &mut Vec<u8>, tag: u8, words: &[u64], rest: &[u8]) {
    out.push(tag);
    words.iter().for_each(|word| out.extend_from_slice(&word.to_le_bytes()));
    out.extend_from_slice(rest);
}

/// What makes messages.
pub(crate) trait Make {
    /// Takes the next input; gives whether it was of interest.
    fn take(&mut self, input: &Input<'_>, batch: &mut Batch) -> bool;

    /// Whether the same input has to be taken again, because more is to be made of it than goes into one batch.
    fn has_more(&self) -> bool;

    /// Whether the stream has ended.
    fn is_over(&self) -> bool;
}

/// A stream.
#[derive(Debug)]
pub(crate) struct Stream<M> {
    pub(crate) maker: M,
    pub(crate) store: Store,
    batch: Batch,
    input: Vec<u8>,
}

impl<M: Make> Stream<M> {
    /// Opens the stream of a file, and begins it when it is new.
    pub(crate) fn open(path: &Path, mut maker: M, at: u64) -> Result<Self, StoreError> {
        let store = Store::open(path, |bytes, batch| {
            Input::read(bytes, |input| {
                maker.take(&input, batch);
            });
        })?;
        let is_new = store.is_new();
        let mut stream = Self { maker, store, batch: Batch::default(), input: Vec::new() };
        if is_new {
            stream.take(&Input::Begin { at })?;
        }
        Ok(stream)
    }

    /// Takes the next input, and keeps what was made of it.
    pub(crate) fn take(&mut self, input: &Input<'_>) -> io::Result<()> {
        loop {
            let is_of_interest = self.maker.take(input, &mut self.batch);
            if is_of_interest || !self.batch.is_empty() {
                self.input.clear();
                input.write(&mut self.input);
                self.store.append(&self.input, &mut self.batch)?;
            }
            if !self.maker.has_more() {
                return Ok(());
            }
        }
    }
}
