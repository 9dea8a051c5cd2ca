//! The bytes of a connection between its socket and its frames: bounded, grown on demand, never allocated for a message.

/// Bytes a read buffer starts with.
const READ_BYTES_FIRST: usize = 4 << 10;
/// Bytes that a read asks for while reads do not come back full. A client that sends windows of this size or twice it
/// has one half decided while it makes the other: were all of it read at once, each side would wait for the other.
const READ_BYTES_LEAST: usize = 8 << 10;
/// A write buffer larger than this gives its memory back once its connection has been silent.
const WRITE_BYTES_KEPT: usize = 64 << 10;

/// Bytes read and not yet taken in. Frames are whole words and the buffer starts on one, so frames stand aligned.
#[derive(Debug)]
pub(crate) struct ReadBuffer {
    words: Vec<u64>,
    /// The first byte not yet taken in.
    head: usize,
    /// The first byte not yet read.
    tail: usize,
    /// Bytes it may grow to.
    bytes_max: usize,
    /// Bytes that the next read may bring: more after each that came back full, so that large windows cost few calls.
    wanted: usize,
    /// The last read filled all the room there was: more is likely to come.
    filled_up: bool,
}

impl ReadBuffer {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self {
            words: vec![0; READ_BYTES_FIRST / 8],
            head: 0,
            tail: 0,
            bytes_max,
            wanted: READ_BYTES_LEAST,
            filled_up: false,
        }
    }

    fn capacity(&self) -> usize {
        self.words.len() * 8
    }

    /// Room to read into; empty when the buffer holds all that it may.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        if self.head == self.tail {
            (self.head, self.tail) = (0, 0);
        } else if self.head > 0 && self.capacity() - self.tail < self.capacity() / 4 {
            let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut self.words);
            bytes.copy_within(self.head..self.tail, 0);
            self.tail -= self.head;
            self.head = 0;
        }
        let full = self.tail == self.capacity();
        if (full || self.filled_up) && self.capacity() < self.bytes_max {
            let wanted = (self.capacity() * 4).min(self.bytes_max) / 8;
            self.words.resize(wanted, 0);
        }
        let end = self.capacity().min(self.tail + self.wanted);
        &mut bytemuck::cast_slice_mut(&mut self.words)[self.tail..end]
    }

    /// `count` bytes were read into the room.
    pub(crate) fn read(&mut self, count: usize) {
        self.wanted = if count == self.wanted { 2 * count } else { READ_BYTES_LEAST };
        self.filled_up = self.tail + count == self.capacity();
        self.tail += count;
        debug_assert!(self.tail <= self.capacity());
    }

    /// What waits to be taken in.
    pub(crate) fn unread(&self) -> &[u8] {
        &bytemuck::cast_slice(&self.words)[self.head..self.tail]
    }

    /// The first `count` of them are taken in.
    pub(crate) fn take(&mut self, count: usize) {
        debug_assert!(count <= self.tail - self.head && count.is_multiple_of(8));
        self.head += count;
    }

    /// Gives back memory that a burst once took.
    pub(crate) fn shrink(&mut self) {
        if self.head == self.tail && self.capacity() > READ_BYTES_FIRST {
            *self = Self::new(self.bytes_max);
        }
    }

    /// Nothing more of it is of interest.
    pub(crate) fn clear(&mut self) {
        (self.head, self.tail, self.filled_up) = (0, 0, false);
    }
}

/// Bytes said and not yet sent.
#[derive(Debug, Default)]
pub(crate) struct WriteBuffer {
    bytes: Vec<u8>,
    /// The first byte not yet sent.
    head: usize,
}

impl WriteBuffer {
    /// Bytes unsent.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.bytes.len() - self.head
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    #[inline]
    pub(crate) fn push(&mut self, image: &[u8]) {
        // What was sent makes room before memory is asked for.
        if self.head > 0 && self.bytes.len() + image.len() > self.bytes.capacity() {
            self.bytes.copy_within(self.head.., 0);
            self.bytes.truncate(self.bytes.len() - self.head);
            self.head = 0;
        }
        self.bytes.extend_from_slice(image);
    }

    pub(crate) fn unsent(&self) -> &[u8] {
        &self.bytes[self.head..]
    }

    /// The first `count` of them were sent.
    pub(crate) fn sent(&mut self, count: usize) {
        self.head += count;
        if self.head == self.bytes.len() {
            self.bytes.clear();
            self.head = 0;
        }
    }

    /// Gives back memory that a burst once took.
    pub(crate) fn shrink(&mut self) {
        if self.is_empty() && self.bytes.capacity() > WRITE_BYTES_KEPT {
            self.bytes = Vec::new();
        }
    }
}
