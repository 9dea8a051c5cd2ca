//! The native protocol, whose frames are the images themselves: a client's frame is a command image, the gateway's an
//! output image. So this codec copies nothing; it says where a frame ends and whether it may be one.

use bytemuck::bytes_of;
use ringfence_kernel::ids::{RequestId, SessionId, Timestamp};
use ringfence_kernel::image::{
    COMMAND_BYTES_MAX, COMMAND_HEADER_BYTES, MessageHeader, OUTPUT_HEADER_BYTES, OutputHeader, Slot,
};
use ringfence_kernel::messages::Message;
use ringfence_kernel::{system, wire};

/// What stands at the front of a client's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// Not yet a whole frame, and nothing wrong so far.
    Partial,
    /// A frame of `length` bytes.
    Whole {
        /// Its bytes, header included.
        length: usize,
        /// Which message it carries.
        message: MessageHeader,
    },
    /// No frame starts like this.
    Bad,
}

/// Whom a frame is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// The gateway: the session protocol.
    Gateway,
    /// Nobody: clients may not write system frames.
    Nobody,
    /// A domain, if there is one: the engine decides.
    Domain,
}

/// Whom a message of `schema` is for.
#[must_use]
#[inline]
pub const fn audience(schema: u16) -> Audience {
    match schema {
        wire::SCHEMA => Audience::Gateway,
        system::SCHEMA => Audience::Nobody,
        _ => Audience::Domain,
    }
}

/// Finds the frame at the front of `bytes`. Whatever a client may not set must be zero.
#[must_use]
#[inline]
pub fn split(bytes: &[u8]) -> Split {
    let Some(header) = bytes.first_chunk::<COMMAND_HEADER_BYTES>() else {
        // A length that no frame has is told at once: waiting for its end would be waiting for nothing.
        return match bytes.first_chunk::<2>() {
            Some(length) if !is_length(u16::from_le_bytes(*length).into()) => Split::Bad,
            _ => Split::Partial,
        };
    };
    let word = |index: usize| u64::from_le_bytes(header[index * 8..index * 8 + 8].try_into().expect("eight bytes"));
    let first = word(0);
    let length = (first & 0xffff) as usize;
    // The rest of the first word is flags, the reserved byte and the session; the third is the timestamp.
    if !is_length(length) || first >> 16 != 0 || word(2) != 0 {
        return Split::Bad;
    }
    if bytes.len() < length {
        return Split::Partial;
    }
    let message = word(3);
    Split::Whole {
        length,
        message: MessageHeader {
            block_length: message as u16,
            template: (message >> 16) as u16,
            schema: (message >> 32) as u16,
            version: (message >> 48) as u16,
        },
    }
}

#[inline]
const fn is_length(length: usize) -> bool {
    length >= COMMAND_HEADER_BYTES && length <= COMMAND_BYTES_MAX && length.is_multiple_of(8)
}

/// Stamps the first slot of a command whose `session` and `timestamp` are zero.
#[inline]
pub fn stamp(slot: &mut Slot, session: SessionId, timestamp: Timestamp) {
    slot.0[0] |= u64::from(session.0) << 32;
    slot.0[2] = timestamp.0;
}

/// The gateway's own words as an output image; gives the bytes of `out` that it takes.
pub fn notice<'m>(
    out: &mut Slot,
    kind: u8,
    session: SessionId,
    request: RequestId,
    timestamp: Timestamp,
    message: impl Message<'m>,
) -> &[u8] {
    let length = OUTPUT_HEADER_BYTES + message.encode(&mut out.bytes_mut()[OUTPUT_HEADER_BYTES..]);
    let header = OutputHeader {
        length: length as u16,
        kind,
        session,
        request,
        timestamp,
        message: message.header(),
        ..OutputHeader::default()
    };
    out.bytes_mut()[..OUTPUT_HEADER_BYTES].copy_from_slice(bytes_of(&header));
    &out.bytes()[..length]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(length: u16) -> Vec<u8> {
        let mut bytes = vec![0; usize::from(length).max(32)];
        bytes[..2].copy_from_slice(&length.to_le_bytes());
        bytes
    }

    /// Guards against a length check that is off by one, at either end.
    #[test]
    fn only_whole_words_between_the_bounds_are_lengths() {
        for length in 0..=u16::MAX {
            let good = (32..=32_768).contains(&length) && length % 8 == 0;
            assert_eq!(split(&length.to_le_bytes()), if good { Split::Partial } else { Split::Bad }, "{length}");
        }
    }

    /// Guards against a client that stamps its own session or time.
    #[test]
    fn every_byte_that_must_be_zero_is_looked_at() {
        for at in (2..8).chain(16..24) {
            let mut bytes = frame(40);
            bytes[at] = 1;
            assert_eq!(split(&bytes), Split::Bad, "byte {at}");
        }
        let mut bytes = frame(40);
        bytes.resize(40, 0);
        assert!(matches!(split(&bytes), Split::Whole { length: 40, .. }));
        assert_eq!(split(&bytes[..39]), Split::Partial);
    }
}
