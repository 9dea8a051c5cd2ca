//! The image of a command and the image of an output, byte for byte.
//!
//! ```text
//! command   0      2     3        4        8        16         24                        32
//!           ┌──────┬─────┬────────┬────────┬────────┬──────────┬─────────────────────────┬──────────┐
//!           │length│flags│reserved│session │request │timestamp │SBE messageHeader        │ body …   │
//!           │ u16  │ u8  │ u8     │ u32    │ u64    │ u64      │blockLength templateId   │          │
//!           │      │     │        │        │        │          │schemaId version, u16 ×4 │          │
//!           └──────┴─────┴────────┴────────┴────────┴──────────┴─────────────────────────┴──────────┘
//! output    0      2     3        4        8        16         24        32     40                  48
//!           ┌──────┬─────┬────────┬────────┬────────┬──────────┬─────────┬──────┬───────────────────┬──────────┐
//!           │length│kind │flags   │session │request │timestamp │sequence │topic │SBE messageHeader  │ body …   │
//!           │ u16  │ u8  │ u8     │ u32    │or      │ u64      │ u64     │ u64  │                   │          │
//!           │      │     │        │        │number  │          │         │      │                   │          │
//!           └──────┴─────┴────────┴────────┴────────┴──────────┴─────────┴──────┴───────────────────┴──────────┘
//! ```
//!
//! Little-endian. `length` counts the header and the body and is a multiple of 8, so that every image in a batch
//! stands aligned. The body follows the SBE header directly: SBE tools in any language read and write it.
//!
//! An output carries two fields more: the `sequence` of the command that caused it and the `topic` it was published
//! on. Its `request` field is the request it answers (reply, reject, snapshot, event to one session) or its number in
//! the topic (event).

use crate::ids::{RequestId, Sequence, SessionId, Timestamp, Topic};
use bytemuck::{Pod, Zeroable};

/// Bytes of a ring slot. A longer command spans contiguous slots.
pub const SLOT_BYTES: usize = 256;
/// Slots that one command may span.
pub const SLOTS_MAX: usize = 128;
/// Bytes of the longest command image.
pub const COMMAND_BYTES_MAX: usize = SLOT_BYTES * SLOTS_MAX;
/// Bytes of a reply's body at most, so that a client's window of replies has a fixed size.
pub const REPLY_BODY_BYTES_MAX: usize = 64;
/// Bytes of any output image at most: one slot.
pub const OUTPUT_BYTES_MAX: usize = SLOT_BYTES;
/// Images start and end on this boundary.
pub const ALIGNMENT: usize = 8;

/// The standard SBE message header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct MessageHeader {
    /// Bytes of the root block, without groups.
    pub block_length: u16,
    /// Which message of the schema.
    pub template: u16,
    /// Which schema: a domain's id, [`crate::system::SCHEMA`] or [`crate::wire::SCHEMA`].
    pub schema: u16,
    /// The version of the schema that the writer had.
    pub version: u16,
}

/// What stands before the body of every command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct CommandHeader {
    /// Bytes of the image, header and body, a multiple of 8.
    pub length: u16,
    /// None are defined yet: zero.
    pub flags: u8,
    /// Zero.
    pub reserved: u8,
    /// Who asks. Stamped by the gateway.
    pub session: SessionId,
    /// The client's number of this command.
    pub request: RequestId,
    /// When the gateway took it in. Stamped by the gateway.
    pub timestamp: Timestamp,
    /// Which message the body is.
    pub message: MessageHeader,
}

/// What stands before the body of everything that the engine says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct OutputHeader {
    /// Bytes of the image, header and body, a multiple of 8.
    pub length: u16,
    /// One of [`kind`].
    pub kind: u8,
    /// Bits of [`flag`].
    pub flags: u8,
    /// Whom it is for, or zero when it is for all who subscribed to the topic.
    pub session: SessionId,
    /// The request it answers, or for [`kind::EVENT`] on a topic its number there, counted from 1.
    pub request: RequestId,
    /// The log's time when it was decided.
    pub timestamp: Timestamp,
    /// The command that caused it.
    pub sequence: Sequence,
    /// The stream it is part of, or [`Topic::NONE`].
    pub topic: Topic,
    /// Which message the body is.
    pub message: MessageHeader,
}

/// What an output is.
pub mod kind {
    /// The answer to a command that was understood and permitted.
    pub const REPLY: u8 = 1;
    /// The answer to a command that changed nothing; the body is [`crate::wire::Rejected`].
    pub const REJECT: u8 = 2;
    /// Something happened: to one session, or with a number on a topic.
    pub const EVENT: u8 = 3;
    /// A part of a topic's state as of the number in its last part, for one session.
    pub const SNAPSHOT: u8 = 4;
    /// The gateway speaks: logon, heartbeats, subscriptions.
    pub const SESSION: u8 = 5;
}

/// Bits of [`OutputHeader::flags`].
pub mod flag {
    /// The request was answered before: this is the original answer.
    pub const DUPLICATE: u8 = 1;
    /// The last part of a snapshot; its body is [`crate::wire::SnapshotEnd`]. Of an event on a topic, or of the answer to a
    /// `Subscribe` when no event is kept that it wants: what comes on the topic from here on comes as it happens.
    pub const LAST: u8 = 2;
}

/// Bytes of a command's header.
pub const COMMAND_HEADER_BYTES: usize = size_of::<CommandHeader>();
/// Bytes of an output's header.
pub const OUTPUT_HEADER_BYTES: usize = size_of::<OutputHeader>();

const _: () = {
    assert!(COMMAND_HEADER_BYTES == 32 && OUTPUT_HEADER_BYTES == 48);
    assert!(core::mem::offset_of!(CommandHeader, session) == 4);
    assert!(core::mem::offset_of!(CommandHeader, request) == 8);
    assert!(core::mem::offset_of!(CommandHeader, timestamp) == 16);
    assert!(core::mem::offset_of!(CommandHeader, message) == 24);
    assert!(core::mem::offset_of!(OutputHeader, sequence) == 24);
    assert!(core::mem::offset_of!(OutputHeader, topic) == 32);
    assert!(core::mem::offset_of!(OutputHeader, message) == 40);
    assert!(COMMAND_BYTES_MAX <= u16::MAX as usize);
};

/// `bytes` rounded up to the alignment of an image.
#[must_use]
pub const fn aligned(bytes: usize) -> usize {
    bytes.next_multiple_of(ALIGNMENT)
}

/// Slots that an image of `bytes` spans.
#[must_use]
pub const fn slots(bytes: usize) -> usize {
    bytes.div_ceil(SLOT_BYTES)
}

impl CommandHeader {
    /// The header at the front of `bytes`, wherever it stands; none when there are fewer than 32 bytes.
    #[must_use]
    #[inline]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        bytes.get(..COMMAND_HEADER_BYTES).map(bytemuck::pod_read_unaligned)
    }
}

impl OutputHeader {
    /// The header at the front of `bytes`, wherever it stands; none when there are fewer than 48 bytes.
    #[must_use]
    #[inline]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        bytes.get(..OUTPUT_HEADER_BYTES).map(bytemuck::pod_read_unaligned)
    }
}

/// Bytes of a cache line.
const LINE_BYTES: usize = 64;
const LINE_WORDS: usize = LINE_BYTES / 8;

/// One slot of a ring: 256 bytes on a cache-line boundary.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C, align(64))]
pub struct Slot(pub [u64; SLOT_BYTES / 8]);

impl Slot {
    /// An empty slot.
    pub const EMPTY: Self = Self([0; SLOT_BYTES / 8]);

    /// Its bytes.
    #[must_use]
    #[inline]
    pub fn bytes(&self) -> &[u8; SLOT_BYTES] {
        bytemuck::must_cast_ref(&self.0)
    }

    /// Its bytes, to fill.
    #[inline]
    pub fn bytes_mut(&mut self) -> &mut [u8; SLOT_BYTES] {
        bytemuck::must_cast_mut(&mut self.0)
    }

    /// Takes over the image of `other`, which is one slot long: whole cache lines, so that no length is looked at.
    #[inline]
    pub fn copy_image(&mut self, other: &Self) {
        let lines = other.image_bytes().div_ceil(LINE_BYTES);
        let (to, from) = (self.0.as_chunks_mut::<LINE_WORDS>().0, other.0.as_chunks::<LINE_WORDS>().0);
        for (to, from) in to.iter_mut().zip(from).take(lines) {
            *to = *from;
        }
    }

    /// What the output in this slot is: one of [`kind`]. Like its neighbours it looks at one word, because a header
    /// read in one piece would wait for the words that were just written.
    #[must_use]
    #[inline]
    pub fn kind(&self) -> u8 {
        (self.0[0] >> 16) as u8
    }

    /// Bits of [`flag`] of the output in this slot.
    #[must_use]
    #[inline]
    pub fn flags(&self) -> u8 {
        (self.0[0] >> 24) as u8
    }

    /// Whom the output in this slot is for, or zero.
    #[must_use]
    #[inline]
    pub fn session(&self) -> SessionId {
        SessionId((self.0[0] >> 32) as u32)
    }

    /// The request that the output in this slot answers.
    #[must_use]
    #[inline]
    pub fn request(&self) -> RequestId {
        RequestId(self.0[1])
    }

    /// The log's time when the output in this slot was decided.
    #[must_use]
    #[inline]
    pub fn timestamp(&self) -> Timestamp {
        Timestamp(self.0[2])
    }

    /// The command that caused the output in this slot.
    #[must_use]
    #[inline]
    pub fn sequence(&self) -> Sequence {
        Sequence(self.0[3])
    }

    /// The stream that the output in this slot is part of.
    #[must_use]
    #[inline]
    pub fn topic(&self) -> Topic {
        Topic(self.0[4])
    }

    /// Bytes of the image that starts in this slot.
    #[must_use]
    #[inline]
    pub fn image_bytes(&self) -> usize {
        (self.0[0] & 0xffff) as usize
    }
}
