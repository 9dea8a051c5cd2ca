//! Where a decision's outputs are gathered before they are published: one slot each, bounded.

use crate::ids::{RequestId, Sequence, SessionId, Timestamp, Topic};
use crate::image::{MessageHeader, OUTPUT_BYTES_MAX, OUTPUT_HEADER_BYTES, OutputHeader, Slot, kind};
use crate::messages::Message;
use alloc::boxed::Box;

/// What all outputs of one decision have in common.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stamp {
    /// The command that is decided.
    pub sequence: Sequence,
    /// The log's time.
    pub now: Timestamp,
    /// Who asked.
    pub session: SessionId,
    /// The asker's number for the command.
    pub request: RequestId,
}

/// The outputs of one flush, in order.
#[derive(Debug)]
pub struct Outbox {
    /// Output images, one a slot; those from `count` on are stale.
    slots: Box<[Slot]>,
    count: usize,
    stamp: Stamp,
    /// Replies and rejects given since the decision began: at its end, exactly one.
    answers: usize,
}

impl Default for Outbox {
    fn default() -> Self {
        Self::new()
    }
}

impl Outbox {
    /// Events of one flush at most.
    pub const EVENTS_MAX: usize = 64;

    /// An outbox for one flush: [`Self::EVENTS_MAX`] events and the answer.
    #[must_use]
    pub fn new() -> Self {
        Self::with_capacity(Self::EVENTS_MAX)
    }

    /// An outbox for `events` events and the answer: models say everything at once.
    #[must_use]
    pub fn with_capacity(events: usize) -> Self {
        Self { slots: alloc::vec![Slot::EMPTY; events + 1].into(), count: 0, stamp: Stamp::default(), answers: 0 }
    }

    /// Starts a decision: nothing said, nothing answered.
    #[inline]
    pub fn begin(&mut self, stamp: Stamp) {
        self.count = 0;
        self.answers = 0;
        self.stamp = stamp;
    }

    /// Forgets what was flushed; the decision goes on.
    #[inline]
    pub fn flushed(&mut self) {
        self.count = 0;
    }

    /// Outputs gathered.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether nothing was said.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Events that may still be said in this flush. One place is kept for the answer.
    #[must_use]
    #[inline]
    pub fn room(&self) -> usize {
        self.slots.len() - self.count - usize::from(self.answers == 0)
    }

    /// Answers given since the decision began.
    #[must_use]
    #[inline]
    pub fn answers(&self) -> usize {
        self.answers
    }

    /// The decision's stamp.
    #[must_use]
    #[inline]
    pub fn stamp(&self) -> Stamp {
        self.stamp
    }

    /// The outputs, in order.
    #[must_use]
    #[inline]
    pub fn outputs(&self) -> &[Slot] {
        &self.slots[..self.count]
    }

    /// The outputs, for the engine to number.
    #[inline]
    pub fn outputs_mut(&mut self) -> &mut [Slot] {
        &mut self.slots[..self.count]
    }

    /// Answers the command: [`kind::REPLY`] or [`kind::REJECT`].
    ///
    /// # Panics
    /// When it was answered already.
    #[inline]
    pub fn answer<'m>(&mut self, kind: u8, message: impl Message<'m>) {
        assert!(self.answers == 0, "a command is answered once");
        self.answers = 1;
        let Stamp { session, request, .. } = self.stamp;
        self.push(kind, 0, session, request, Topic::NONE, message);
    }

    /// Says something to one session.
    #[inline]
    pub fn tell<'m>(&mut self, session: SessionId, message: impl Message<'m>) {
        let request = if session == self.stamp.session { self.stamp.request } else { RequestId(0) };
        self.push(kind::EVENT, 0, session, request, Topic::NONE, message);
    }

    /// Says something on a topic; the engine numbers it.
    #[inline]
    pub fn publish<'m>(&mut self, topic: Topic, message: impl Message<'m>) {
        self.push(kind::EVENT, 0, SessionId(0), RequestId(0), topic, message);
    }

    /// Says a part of a topic's snapshot to the asker.
    #[inline]
    pub fn part<'m>(&mut self, flags: u8, topic: Topic, message: impl Message<'m>) {
        let Stamp { session, request, .. } = self.stamp;
        self.push(kind::SNAPSHOT, flags, session, request, topic, message);
    }

    /// The engine speaks to a session in the gateway's words.
    #[inline]
    pub fn notice<'m>(&mut self, session: SessionId, message: impl Message<'m>) {
        let request = self.stamp.request;
        self.push(kind::SESSION, 0, session, request, Topic::NONE, message);
    }

    /// Gives an answer that was given before; `image` is an output image.
    pub fn repeat(&mut self, image: &[u8], flags: u8) {
        let mut header = OutputHeader::read(image).expect("a kept reply is an output image");
        header.flags |= flags;
        header.session = self.stamp.session;
        let slot = self.slots[self.count].bytes_mut();
        slot[..image.len()].copy_from_slice(image);
        slot[..OUTPUT_HEADER_BYTES].copy_from_slice(bytemuck::bytes_of(&header));
        self.count += 1;
        self.answers += 1;
    }

    #[inline]
    fn push<'m>(
        &mut self,
        kind: u8,
        flags: u8,
        session: SessionId,
        request: RequestId,
        topic: Topic,
        message: impl Message<'m>,
    ) {
        let slot = &mut self.slots[self.count];
        let length = OUTPUT_HEADER_BYTES + message.encode(&mut slot.bytes_mut()[OUTPUT_HEADER_BYTES..]);
        debug_assert!(length <= OUTPUT_BYTES_MAX);
        // Whole words: what reads them next, word by word, need not wait for narrower stores to meet in the cache.
        let first = length as u64 | u64::from(kind) << 16 | u64::from(flags) << 24 | u64::from(session.0) << 32;
        let header: [u64; OUTPUT_HEADER_BYTES / 8] = [
            first.to_le(),
            request.0,
            self.stamp.now.0,
            self.stamp.sequence.0,
            topic.0,
            bytemuck::must_cast(message.header()),
        ];
        slot.0[..header.len()].copy_from_slice(&header);
        self.count += 1;
    }
}

/// The bytes of the output image that stands in `slot`.
#[must_use]
#[inline]
pub fn image(slot: &Slot) -> &[u8] {
    &slot.bytes()[..slot.image_bytes()]
}

/// The message header of an output image.
#[must_use]
pub fn message(image: &[u8]) -> MessageHeader {
    OutputHeader::read(image).expect("an output image has a header").message
}
