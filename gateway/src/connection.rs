//! One connection: what it is doing, and the bytes it owns.
//!
//! ```text
//!             logon proved             LoggedOn from the engine
//! Challenged ──────────────► Opening ───────────────────────────► Open
//!     │                         │                                   │
//!     └────────────┬────────────┴───────────────────────────────────┘
//!                  ▼ refused, superseded, silent, hostile, logged off, stopping
//!               Closing ── last bytes sent, or out of time ──► gone
//! ```

use crate::buffer::{ReadBuffer, WriteBuffer};
use crate::codecs::native;
use mio::net::TcpStream;
use ringfence_kernel::ids::{ClientId, RequestId, SessionId, Timestamp};
use ringfence_kernel::image::{OutputHeader, Slot, flag, kind};
use ringfence_kernel::messages::Message;
use std::mem::offset_of;

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It was sent a challenge and has not answered it.
    Challenged,
    /// It has proved who it is; the engine has not yet said that the session is open.
    Opening,
    /// Its commands are sequenced.
    Open,
    /// It is sent its last bytes; nothing it says is heard.
    Closing,
}

#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    pub(crate) state: State,
    /// What its logon must answer.
    pub(crate) nonce: [u8; 32],
    /// How many connections came before it.
    pub(crate) number: u64,
    /// Who it is; 0 before its logon.
    pub(crate) client: ClientId,
    /// Its session; 0 before its logon and once the session is over.
    pub(crate) session: SessionId,
    /// Commands sequenced and not yet answered.
    pub(crate) in_flight: u32,
    /// Bytes read and not yet taken in.
    pub(crate) input: ReadBuffer,
    /// Bytes said and not yet sent.
    pub(crate) output: WriteBuffer,
    /// The socket may hold bytes: the last read did not show that it is empty.
    pub(crate) readable: bool,
    /// The poller said that the client will send no more than it has.
    pub(crate) ended: bool,
    /// The input holds frames that were not taken in: the ring or the client's window was full.
    pub(crate) backlog: bool,
    /// The socket takes bytes: it did not refuse any since it last said so.
    pub(crate) writable: bool,
    /// It is on the list of connections to be looked at in the next step.
    pub(crate) hot: bool,
    /// It is on the list of connections with something to send.
    pub(crate) dirty: bool,
    /// Nothing more will be written, and the client was told.
    pub(crate) shut: bool,
    /// Reads in a row that brought nothing.
    pub(crate) misses: u32,
    /// Commands that it may send before it is refused for its rate, in billionths of one.
    pub(crate) allowance: u64,
    /// When the allowance was last topped up.
    pub(crate) allowed_at: Timestamp,
    /// When a byte last came.
    pub(crate) heard: Timestamp,
    /// When a byte last went.
    pub(crate) said: Timestamp,
    /// When it entered its state.
    pub(crate) since: Timestamp,
    /// Places of the topics that it follows.
    pub(crate) topics: Vec<u32>,
}

impl Connection {
    pub(crate) fn new(stream: TcpStream, nonce: [u8; 32], read_bytes_max: usize, now: Timestamp) -> Self {
        Self {
            stream,
            state: State::Challenged,
            nonce,
            number: 0,
            client: ClientId(0),
            session: SessionId(0),
            in_flight: 0,
            input: ReadBuffer::new(read_bytes_max),
            output: WriteBuffer::default(),
            readable: true,
            ended: false,
            backlog: false,
            writable: true,
            hot: false,
            dirty: false,
            shut: false,
            misses: 0,
            allowance: u64::MAX,
            allowed_at: now,
            heard: now,
            said: now,
            since: now,
            topics: Vec::new(),
        }
    }

    /// Says the gateway's own words. The caller puts the connection on the list of those with something to send.
    pub(crate) fn say<'m>(&mut self, kind: u8, request: RequestId, now: Timestamp, message: impl Message<'m>) {
        let mut slot = Slot::EMPTY;
        self.output.push(native::notice(&mut slot, kind, self.session, request, now, message));
    }

    /// Says an image marked as the last before events come as they happen.
    pub(crate) fn push_last(&mut self, image: &[u8]) {
        let mut slot = Slot::EMPTY;
        let marked = &mut slot.bytes_mut()[..image.len()];
        marked.copy_from_slice(image);
        marked[offset_of!(OutputHeader, flags)] |= flag::LAST;
        self.output.push(marked);
    }

    /// Says a notice that answers no request.
    pub(crate) fn note<'m>(&mut self, now: Timestamp, message: impl Message<'m>) {
        self.say(kind::SESSION, RequestId(0), now, message);
    }
}
