//! Logging on: the gateway's challenge and the client's proof.

use crate::error::Error;
use crate::frames::BadFrame;
use hmac::{Hmac, KeyInit, Mac};
use ringfence_kernel::image::{
    COMMAND_HEADER_BYTES, CommandHeader, MessageHeader, OUTPUT_BYTES_MAX, OUTPUT_HEADER_BYTES, OutputHeader,
};
use ringfence_kernel::messages::{Message, Reserved};
use ringfence_kernel::wire::{Logon, Notice, PROTOCOL, Request, logon_transcript};
use ringfence_kernel::{ClientId, RequestId, SessionId};
use sha2::Sha256;
use std::io::{Read, Write};
use std::time::Duration;

/// What a logon gave.
#[derive(Clone, Copy, Debug)]
pub struct Session {
    /// The session.
    pub session: SessionId,
    /// The highest request that was ever executed for this client.
    pub highest: RequestId,
    /// Requests that may be unanswered at once.
    pub reply_window: u32,
    /// Silence after which each side sends a heartbeat.
    pub heartbeat: Duration,
    /// Silence after which each side gives the other up.
    pub timeout: Duration,
}

/// The proof that answers a challenge: HMAC-SHA-256 under the client's key.
#[must_use]
pub fn proof(key: &[u8], nonce: &[u8; 32], client: ClientId, protocol: u16) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(&logon_transcript(nonce, client, protocol));
    mac.finalize().into_bytes().into()
}

/// Writes `message` as a frame of the session protocol to the end of `out`.
pub(crate) fn frame<'m>(out: &mut Vec<u8>, request: RequestId, message: impl Message<'m>) -> usize {
    let (start, length) = (out.len(), COMMAND_HEADER_BYTES + message.body_bytes());
    out.resize(start + length, 0);
    message.encode(&mut out[start + COMMAND_HEADER_BYTES..]);
    let header =
        CommandHeader { length: length as u16, request, message: message.header(), ..CommandHeader::default() };
    out[start..start + COMMAND_HEADER_BYTES].copy_from_slice(bytemuck::bytes_of(&header));
    length
}

/// Logs on over a connected stream that waits. It reads not a byte beyond `LoggedOn`, so that the caller goes on with a
/// buffer of its own.
///
/// # Errors
/// [`Error::Closed`] when the gateway refuses, [`Error::Io`] when the stream fails or times out.
pub fn log_on(stream: &mut (impl Read + Write), client: ClientId, key: &[u8]) -> Result<Session, Error> {
    let mut words = [0_u64; OUTPUT_BYTES_MAX / 8];
    let (mut heartbeat, mut timeout) = (Duration::from_secs(1), Duration::from_secs(15));
    loop {
        let (message, bytes) = receive(stream, &mut words)?;
        match Notice::decode(message, &bytemuck::cast_slice(&words)[OUTPUT_HEADER_BYTES..bytes])? {
            Notice::Challenge(challenge) => {
                heartbeat = Duration::from_millis(challenge.heartbeat_ms.into());
                timeout = Duration::from_millis(challenge.timeout_ms.into());
                let proof = proof(key, &challenge.nonce, client, PROTOCOL);
                let logon = Logon { client, protocol: PROTOCOL, reserved: Reserved::default(), proof };
                let mut out = Vec::with_capacity(128);
                frame(&mut out, RequestId(0), Request::Logon(&logon));
                stream.write_all(&out)?;
            }
            Notice::LoggedOn(logged_on) => {
                let (session, highest) = (logged_on.session, logged_on.highest);
                return Ok(Session { session, highest, reply_window: logged_on.reply_window, heartbeat, timeout });
            }
            Notice::Closing(closing) => return Err(Error::Closed { code: closing.code }),
            _ => {}
        }
    }
}

/// Reads one frame into `words`; gives its message header and its bytes.
fn receive(stream: &mut impl Read, words: &mut [u64]) -> Result<(MessageHeader, usize), Error> {
    let bytes: &mut [u8] = bytemuck::cast_slice_mut(words);
    stream.read_exact(&mut bytes[..OUTPUT_HEADER_BYTES])?;
    let header = OutputHeader::read(bytes).expect("a whole header was read");
    let length = usize::from(header.length);
    if !(OUTPUT_HEADER_BYTES..=OUTPUT_BYTES_MAX).contains(&length) {
        return Err(BadFrame { length }.into());
    }
    stream.read_exact(&mut bytes[OUTPUT_HEADER_BYTES..length])?;
    Ok((header.message, length))
}
