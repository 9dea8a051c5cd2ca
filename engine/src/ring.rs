//! The rings, and the only place that touches the guards of their pollers.
//!
//! ```text
//! Ingress:  Producer ─► Poller (journal) ─► Poller (replicate) ─► Poller (execute)
//! Egress:   Producer ─► Poller (gateway)
//! ```
//!
//! A poller's guard of the `disruptor` crate releases its whole batch when it is dropped, even by a panic. So a guard
//! here is never dropped where commands are read: [`Reader::read`] reads ahead and forgets it, and
//! [`Reader::release`] hands on exactly as many slots as the stage has done, at the end of a command.
//! `docs/hazards.md` says what that prevents.

use disruptor::{BusySpin, EventPoller, Producer as _, SingleConsumerBarrier, SingleProducer, SingleProducerBarrier};
use ringfence_kernel::Timestamp;
use ringfence_kernel::image::{COMMAND_BYTES_MAX, CommandHeader, SLOT_BYTES, SLOTS_MAX, Slot, slots};
use std::mem::ManuallyDrop;

/// Slots of a ring, unless configured otherwise.
pub const RING_SLOTS: usize = 16_384;

/// The publishing end of a ring.
pub struct Producer(SingleProducer<Slot, SingleConsumerBarrier>);

/// The reading end for the first stage of a ring.
pub type FirstReader = Reader<EventPoller<Slot, SingleProducerBarrier>>;
/// The reading end for a stage that follows another.
pub type NextReader = Reader<EventPoller<Slot, SingleConsumerBarrier>>;

/// The ingress ring: one producer, then journal, replicate, execute.
#[must_use]
pub fn ingress(size: usize) -> (Producer, FirstReader, NextReader, NextReader) {
    let builder = disruptor::build_single_producer(size, || Slot::EMPTY, BusySpin);
    let (journal, builder) = builder.new_event_poller();
    let (replicate, builder) = builder.and_then().new_event_poller();
    let (execute, builder) = builder.and_then().new_event_poller();
    (Producer(builder.build()), Reader::new(journal), Reader::new(replicate), Reader::new(execute))
}

/// The egress ring: execute, then the gateway.
#[must_use]
pub fn egress(size: usize) -> (Producer, FirstReader) {
    let builder = disruptor::build_single_producer(size, || Slot::EMPTY, BusySpin);
    let (gateway, builder) = builder.new_event_poller();
    (Producer(builder.build()), Reader::new(gateway))
}

impl Producer {
    /// Claims `slots` contiguous slots and fills each by its index, or claims none when the ring is that full.
    #[inline]
    pub fn try_claim(&mut self, slots: usize, mut fill: impl FnMut(usize, &mut Slot)) -> bool {
        self.0
            .try_batch_publish(slots, |claimed| claimed.enumerate().for_each(|(index, slot)| fill(index, slot)))
            .is_ok()
    }

    /// Publishes one command image, or nothing when the ring is that full.
    pub fn try_publish(&mut self, image: &[u8]) -> bool {
        debug_assert!(image.len() <= COMMAND_BYTES_MAX);
        let mut pieces = image.chunks(SLOT_BYTES);
        self.try_claim(slots(image.len()), |_, slot| {
            let piece = pieces.next().expect("as many slots as pieces");
            slot.bytes_mut()[..piece.len()].copy_from_slice(piece);
        })
    }
}

impl std::fmt::Debug for Producer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Producer")
    }
}

/// A poller of either barrier: the crate exports the types and not the trait between them.
pub trait Poll {
    /// Reads at most `limit` published slots, in order, until `each` has had enough; nothing is released.
    fn peek(
        &mut self,
        limit: usize,
        each: impl for<'a> FnMut(&'a Slot, &mut dyn ExactSizeIterator<Item = &'a Slot>) -> bool,
    );
    /// Releases the next `slots` slots, which were read.
    fn release(&mut self, slots: usize);
}

macro_rules! poll {
    ($($barrier:ty),*) => { $(
        impl Poll for EventPoller<Slot, $barrier> {
            #[inline]
            fn peek(
                &mut self,
                limit: usize,
                mut each: impl for<'a> FnMut(&'a Slot, &mut dyn ExactSizeIterator<Item = &'a Slot>) -> bool,
            ) {
                let Ok(guard) = self.take(limit as u64) else { return };
                let mut guard = ManuallyDrop::new(guard);
                let mut published = &mut *guard;
                while let Some(slot) = published.next() {
                    if !each(slot, &mut published) {
                        return;
                    }
                }
            }

            #[inline]
            fn release(&mut self, slots: usize) {
                if slots > 0 {
                    let guard = self.take(slots as u64).expect("what was read is still there");
                    drop(guard);
                }
            }
        }
    )* };
}
poll!(SingleProducerBarrier, SingleConsumerBarrier);

/// The reading end of a ring for one stage.
pub struct Reader<P> {
    poller: P,
}

impl<P> std::fmt::Debug for Reader<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reader")
    }
}

/// How much was read, and is to be released.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Read {
    /// Whole commands.
    pub commands: usize,
    /// Their slots.
    pub slots: usize,
}

impl<P: Poll> Reader<P> {
    fn new(poller: P) -> Self {
        Self { poller }
    }

    /// Shows `each` the whole commands among at most `limit` published slots, until it declines one. Nothing is
    /// released: [`Reader::release`] does that when the work on them is done.
    #[inline]
    pub fn read(&mut self, limit: usize, mut each: impl FnMut(Command<'_>) -> bool) -> Read {
        debug_assert!(limit >= SLOTS_MAX, "a batch holds the longest command");
        let mut read = Read::default();
        self.poller.peek(limit, |first, rest| {
            let length = first.image_bytes();
            let taken = if length <= SLOT_BYTES {
                each(Command { slots: &[first], length })
            } else {
                let more = slots(length) - 1;
                if rest.len() < more {
                    return false;
                }
                let mut pieces = [first; SLOTS_MAX];
                pieces[1..].iter_mut().take(more).for_each(|piece| *piece = rest.next().expect("counted above"));
                each(Command { slots: &pieces[..=more], length })
            };
            if taken {
                read.commands += 1;
                read.slots += slots(length).max(1);
            }
            taken
        });
        read
    }

    /// Shows `each` at most `limit` published slots, each by itself, as the egress ring has them; gives how many.
    #[inline]
    pub fn read_slots(&mut self, limit: usize, mut each: impl FnMut(&Slot)) -> usize {
        let mut read = 0;
        self.poller.peek(limit, |slot, _| {
            each(slot);
            read += 1;
            true
        });
        read
    }

    /// Hands `slots` slots on to the next stage: whole commands that were read.
    #[inline]
    pub fn release(&mut self, slots: usize) {
        self.poller.release(slots);
    }
}

const TIMESTAMP_WORD: usize = std::mem::offset_of!(CommandHeader, timestamp) / 8;

/// One command as it stands in the ring.
#[derive(Clone, Copy, Debug)]
pub struct Command<'a> {
    slots: &'a [&'a Slot],
    length: usize,
}

impl<'a> Command<'a> {
    /// When the gateway took it in: the third word of its header.
    #[inline]
    pub fn timestamp(self) -> Timestamp {
        Timestamp(self.slots[0].0[TIMESTAMP_WORD])
    }

    /// Its bytes, a piece a slot.
    #[inline]
    pub fn pieces(self) -> impl Iterator<Item = &'a [u8]> {
        let mut left = self.length;
        self.slots.iter().map(move |slot| {
            let piece = &slot.bytes()[..left.min(SLOT_BYTES)];
            left -= piece.len();
            piece
        })
    }

    /// Its image in one piece: in place when it is one slot, else put together in `scratch`.
    #[inline]
    pub fn image(self, scratch: &'a mut Scratch) -> &'a [u8] {
        match self.slots {
            [slot] => &slot.bytes()[..self.length],
            slots => {
                for (to, from) in scratch.0.iter_mut().zip(slots) {
                    *to = **from;
                }
                &bytemuck::cast_slice(&scratch.0)[..self.length]
            }
        }
    }
}

/// Room for the longest command, aligned as in a ring.
#[derive(Debug)]
pub struct Scratch(Box<[Slot]>);

impl Default for Scratch {
    fn default() -> Self {
        Self(vec![Slot::EMPTY; SLOTS_MAX].into())
    }
}
