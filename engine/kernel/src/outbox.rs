//! Where the outputs of decisions are gathered before they are published: one slot each, bounded.
//!
//! ```text
//! begin ─► say, say, answer ─► begin ─► say, answer ─► … ─► outputs ─► flushed
//!          one decision                                     published together
//! ```

use crate::ids::{RequestId, Sequence, SessionId, Timestamp, Topic};
use crate::image::{MessageHeader, OUTPUT_BYTES_MAX, OUTPUT_HEADER_BYTES, OutputHeader, Slot, kind};
use crate::messages::Message;
use alloc::boxed::Box;

/// What all outputs of one decision have in common.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Stamp {
    /// The command that is decided.
    pub sequence: Sequence,
    /// The asker's number for the command.
    pub request: RequestId,
    /// The log's time. It does not stand beside the sequence: the compiler would read both as one, and wait.
    pub now: Timestamp,
    /// Who asked.
    pub session: SessionId,
}

/// The outputs that wait to be flushed, in order.
#[derive(Debug)]
pub struct Outbox {
    /// Output images, one a slot; those from `count` on are stale.
    slots: Box<[Slot]>,
    count: usize,
    /// Where the outputs of the decision at hand begin.
    first: usize,
    /// Where the events of the flush at hand end at the latest: a place is kept for the answer until it is given.
    end: usize,
    /// Outputs that one decision may have in one flush: as many events, and the answer.
    flush_max: usize,
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

    /// Slots of the engine's outbox. Many small decisions are published together: by then their stores have reached
    /// the cache, and copies in whole lines need not wait for them.
    const SLOTS: usize = 128;

    /// An outbox whose decisions say at most [`Self::EVENTS_MAX`] events and the answer in one flush.
    #[must_use]
    pub fn new() -> Self {
        Self::with_slots(Self::SLOTS, Self::EVENTS_MAX)
    }

    /// An outbox for one decision of `events` events and the answer: models say everything at once.
    #[must_use]
    pub fn with_capacity(events: usize) -> Self {
        Self::with_slots(events + 1, events)
    }

    fn with_slots(slots: usize, events: usize) -> Self {
        let slots = alloc::vec![Slot::EMPTY; slots].into();
        Self { slots, count: 0, first: 0, end: events, flush_max: events + 1, stamp: Stamp::default(), answers: 0 }
    }

    /// Starts a decision behind those that wait to be flushed: nothing said, nothing answered.
    #[inline]
    pub fn begin(&mut self, stamp: Stamp) {
        debug_assert!(self.has_room(), "what waits is flushed before there is too much of it");
        self.first = self.count;
        self.answers = 0;
        self.end = self.first + self.flush_max - 1;
        self.stamp = stamp;
    }

    /// Forgets what was flushed; the decision at hand may go on.
    #[inline]
    pub fn flushed(&mut self) {
        (self.first, self.count) = (0, 0);
        self.end = self.flush_max - usize::from(self.answers == 0);
    }

    /// Whether all that a decision may say in one flush has room behind what waits.
    #[must_use]
    #[inline]
    pub fn has_room(&self) -> bool {
        self.slots.len() - self.count >= self.flush_max
    }

    /// Outputs of the decision at hand since it began or was last flushed.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        self.count - self.first
    }

    /// Whether the decision at hand said nothing since it began or was last flushed.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Events that the decision may still say in this flush. One place is kept for the answer.
    #[must_use]
    #[inline]
    pub fn room(&self) -> usize {
        self.end - self.count
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

    /// All that waits to be flushed, in order.
    #[must_use]
    #[inline]
    pub fn outputs(&self) -> &[Slot] {
        &self.slots[..self.count]
    }

    /// The outputs of the decision at hand, for the engine to number.
    #[inline]
    pub fn outputs_mut(&mut self) -> &mut [Slot] {
        &mut self.slots[self.first..self.count]
    }

    /// Answers the command: [`kind::REPLY`] or [`kind::REJECT`].
    ///
    /// # Panics
    /// When it was answered already.
    #[inline(always)]
    pub fn answer<'m>(&mut self, kind: u8, message: impl Message<'m>) {
        assert!(self.answers == 0, "a command is answered once");
        self.answers = 1;
        self.end += 1;
        let Stamp { session, request, .. } = self.stamp;
        self.push(kind, 0, session, request, Topic::NONE, message);
    }

    /// Says something to one session.
    #[inline(always)]
    pub fn tell<'m>(&mut self, session: SessionId, message: impl Message<'m>) {
        let request = if session == self.stamp.session { self.stamp.request } else { RequestId(0) };
        self.push(kind::EVENT, 0, session, request, Topic::NONE, message);
    }

    /// Says something on a topic; the engine numbers it.
    #[inline(always)]
    pub fn publish<'m>(&mut self, topic: Topic, message: impl Message<'m>) {
        self.push(kind::EVENT, 0, SessionId(0), RequestId(0), topic, message);
    }

    /// Says a part of a topic's snapshot to the asker.
    #[inline(always)]
    pub fn part<'m>(&mut self, flags: u8, topic: Topic, message: impl Message<'m>) {
        let Stamp { session, request, .. } = self.stamp;
        self.push(kind::SNAPSHOT, flags, session, request, topic, message);
    }

    /// The engine speaks to a session in the gateway's words.
    #[inline(always)]
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
        self.end += usize::from(self.answers == 0);
        self.answers += 1;
    }

    // Inlined where the message is known: then all of the header but the stamp is, too.
    #[inline(always)]
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
        // Whole words, each by itself: a header put together elsewhere and copied here in one piece, or read from here
        // in wider pieces, would wait until every store before it has reached the cache.
        slot.0[0] = length as u64 | u64::from(kind) << 16 | u64::from(flags) << 24 | u64::from(session.0) << 32;
        slot.0[1] = request.0;
        slot.0[2] = self.stamp.now.0;
        slot.0[3] = self.stamp.sequence.0;
        slot.0[4] = topic.0;
        slot.0[5] = bytemuck::must_cast(message.header());
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
