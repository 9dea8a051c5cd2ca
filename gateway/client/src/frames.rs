//! Output images out of a stream of bytes.

use crate::output::Output;
use ringfence_kernel::image::{OUTPUT_BYTES_MAX, OUTPUT_HEADER_BYTES, OutputHeader};
use std::ops::Range;

/// The gateway sent bytes that are no output image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{length} is not the length of an output")]
pub struct BadFrame {
    /// The length that its first bytes say.
    pub length: usize,
}

/// A buffer that is read into and that hands out whole frames, in place and aligned.
#[derive(Debug)]
pub struct Frames {
    words: Vec<u64>,
    /// The first byte not yet handed out.
    head: usize,
    /// The first byte not yet read.
    tail: usize,
}

impl Frames {
    /// A buffer of `bytes` bytes, and of four frames at least.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        Self { words: vec![0; bytes.max(4 * OUTPUT_BYTES_MAX) / 8], head: 0, tail: 0 }
    }

    /// Forgets all that was read.
    pub fn clear(&mut self) {
        (self.head, self.tail) = (0, 0);
    }

    /// Room to read into. It is never empty once [`Frames::next`] has handed out all whole frames.
    pub fn room(&mut self) -> &mut [u8] {
        let capacity = self.words.len() * 8;
        if self.head == self.tail {
            self.clear();
        } else if capacity - self.tail < capacity / 2 {
            let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut self.words);
            bytes.copy_within(self.head..self.tail, 0);
            self.tail -= self.head;
            self.head = 0;
        }
        &mut bytemuck::cast_slice_mut(&mut self.words)[self.tail..]
    }

    /// `count` bytes were read into the room.
    ///
    /// # Panics
    /// When that is more than there was room for.
    pub fn read(&mut self, count: usize) {
        assert!(count <= self.words.len() * 8 - self.tail, "no more than there was room for");
        self.tail += count;
    }

    /// The next whole frame; none until more is read.
    ///
    /// # Errors
    /// [`BadFrame`] when what follows is not a frame. Nothing after it can be made sense of.
    #[inline]
    #[expect(clippy::should_implement_trait, reason = "it lends what it gives")]
    pub fn next(&mut self) -> Result<Option<Output<'_>>, BadFrame> {
        Ok(self.next_range()?.map(|range| self.at(range)))
    }

    /// Where the next whole frame stands. It is handed out by [`Frames::at`] until more is read.
    ///
    /// # Errors
    /// See [`Frames::next`].
    #[inline]
    pub fn next_range(&mut self) -> Result<Option<Range<usize>>, BadFrame> {
        let bytes: &[u8] = bytemuck::cast_slice(&self.words);
        let unread = &bytes[self.head..self.tail];
        let Some(length) = unread.first_chunk::<2>() else { return Ok(None) };
        let length = usize::from(u16::from_le_bytes(*length));
        if !(OUTPUT_HEADER_BYTES..=OUTPUT_BYTES_MAX).contains(&length) || !length.is_multiple_of(8) {
            return Err(BadFrame { length });
        }
        if unread.len() < length {
            return Ok(None);
        }
        self.head += length;
        Ok(Some(self.head - length..self.head))
    }

    /// The frame that stands at `range`.
    ///
    /// # Panics
    /// When `range` is not one that [`Frames::next_range`] gave since the last read.
    #[must_use]
    #[inline]
    pub fn at(&self, range: Range<usize>) -> Output<'_> {
        let image = &bytemuck::cast_slice(&self.words)[range];
        let header = OutputHeader::read(image).expect("a frame has a header");
        Output { header, body: &image[OUTPUT_HEADER_BYTES..] }
    }
}
