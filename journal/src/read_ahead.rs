//! Reading ahead: one thread reads and checks, another executes what was checked.
//!
//! ```text
//! Reader ── read, check, copy ──► chunks, at most [`DEPTH`] ──► the caller
//!    ▲                                                            │
//!    └──────────────────── emptied chunks ◄───────────────────────┘
//! ```
//!
//! Batches are joined: what comes over is images end to end, so that a journal of small batches costs no more to hand
//! over than one of large ones.

use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

use crate::Sequence;
use crate::error::Error;
use crate::knobs;
use crate::reader::{Images, Reader};

/// Bytes after which a chunk is handed over: small enough to be in a cache that both threads share.
const CHUNK_BYTES: usize = 256 << 10;

/// Chunks that wait for the caller at most.
const DEPTH: usize = 4;

/// Images of consecutive commands, checked.
#[derive(Debug, Default)]
struct Chunk {
    first: Sequence,
    /// Whole words, because an image is decoded in place.
    words: Vec<u64>,
}

/// The caller's end of a [`read_ahead`].
#[derive(Debug)]
pub struct ReadAhead {
    chunks: Receiver<Result<Chunk, Error>>,
    emptied: Sender<Chunk>,
    chunk: Chunk,
}

/// Lets a thread of its own read what follows in `reader`, up to the end, while `execute` takes it; gives what that gave.
/// The reading ends with `execute`, wherever it has come to.
///
/// # Panics
/// When no thread can be started.
pub fn read_ahead<T>(reader: Reader, execute: impl FnOnce(&mut ReadAhead) -> T) -> T {
    let (checked, chunks) = sync_channel(DEPTH);
    let (emptied, spare) = channel();
    let broken = knobs::broken();
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("read ahead".into());
        let read = move || {
            knobs::break_as(broken);
            fill(reader, &checked, &spare);
        };
        thread.spawn_scoped(scope, read).expect("a thread can be started");
        execute(&mut ReadAhead { chunks, emptied, chunk: Chunk::default() })
    })
}

impl ReadAhead {
    /// The next images and the sequence of the first of them, or `None` at the end of the journal.
    ///
    /// # Errors
    /// As [`Reader::next_batch`], in place: what was read before comes first.
    pub fn next_images(&mut self) -> Result<Option<(Sequence, Images<'_>)>, Error> {
        // The reading is over when nobody takes emptied chunks any more, and that is no loss.
        let _ = self.emptied.send(std::mem::take(&mut self.chunk));
        match self.chunks.recv() {
            Err(_) => Ok(None),
            Ok(chunk) => {
                self.chunk = chunk?;
                Ok(Some((self.chunk.first, Images::new(bytemuck::cast_slice(&self.chunk.words)))))
            }
        }
    }
}

/// Reads until the end, an error, or until nobody listens.
fn fill(mut reader: Reader, checked: &SyncSender<Result<Chunk, Error>>, spare: &Receiver<Chunk>) {
    loop {
        let mut chunk = spare.try_recv().unwrap_or_default();
        let more = fill_chunk(&mut reader, &mut chunk);
        if !chunk.words.is_empty() && checked.send(Ok(chunk)).is_err() {
            return;
        }
        match more {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => {
                let _ = checked.send(Err(error));
                return;
            }
        }
    }
}

/// Fills `chunk` with the batches that follow; gives whether there may be more.
fn fill_chunk(reader: &mut Reader, chunk: &mut Chunk) -> Result<bool, Error> {
    chunk.words.clear();
    while chunk.words.len() * 8 < CHUNK_BYTES {
        let Some(batch) = reader.next_batch()? else { return Ok(false) };
        if chunk.words.is_empty() {
            chunk.first = batch.first_sequence();
        }
        let start = chunk.words.len();
        chunk.words.resize(start + batch.bytes().len() / 8, 0);
        bytemuck::cast_slice_mut(&mut chunk.words[start..]).copy_from_slice(batch.bytes());
    }
    Ok(true)
}
