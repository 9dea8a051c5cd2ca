//! What clients and the gateway say to each other beside commands and answers: logon, heartbeats, subscriptions,
//! refusals. These frames are never sequenced.
//!
//! A client's frames carry a command header with its `session` and `timestamp` zero; the gateway's carry an output
//! header of kind [`crate::image::kind::SESSION`].

use crate::ids::{ClientId, RequestId, SessionId, Topic};
use crate::messages;
use crate::messages::Reserved;
use crate::reject::Code;

/// The schema of these frames.
pub const SCHEMA: u16 = 255;
/// The version of the protocol that this build speaks.
pub const PROTOCOL: u16 = 1;
/// What is signed at logon starts with this.
pub const LOGON_CONTEXT: &[u8; 16] = b"ringfence logon\0";

/// The bytes that a client signs to log on: context, nonce, client, protocol.
#[must_use]
pub fn logon_transcript(nonce: &[u8; 32], client: ClientId, protocol: u16) -> [u8; 54] {
    let mut transcript = [0; 54];
    transcript[..16].copy_from_slice(LOGON_CONTEXT);
    transcript[16..48].copy_from_slice(nonce);
    transcript[48..52].copy_from_slice(&client.0.to_le_bytes());
    transcript[52..].copy_from_slice(&protocol.to_le_bytes());
    transcript
}

messages! {
    /// What a client tells the gateway.
    pub enum Request in schema 255 version 1 {
        /// Answers the challenge.
        1 => Logon: 40 {
            /// Who logs on.
            client: ClientId,
            /// The protocol version that the client speaks.
            protocol: u16,
            /// Zero.
            reserved: Reserved<2>,
            /// HMAC-SHA-256 under the client's key over `"ringfence logon\0"`, the challenge's nonce, `client` and
            /// `protocol`, the last two little-endian.
            proof: [u8; 32],
        },
        /// Ends the session.
        2 => Logoff: 8 {
            /// Zero.
            reserved: Reserved<8>,
        },
        /// Shows that the client lives. Sent when nothing else was for a second.
        3 => Alive: 8 {
            /// Zero.
            reserved: Reserved<8>,
        },
        /// Asks for a topic's events. Refusals and answers carry the header's `request`.
        4 => Subscribe: 16 {
            /// Which topic.
            topic: Topic,
            /// The first number wanted; 0 asks for a snapshot and what follows it.
            from: u64,
        },
        /// Wants no more of a topic.
        5 => Unsubscribe: 8 {
            /// Which topic.
            topic: Topic,
        },
    }
}

messages! {
    /// What the gateway, or the engine in the name of all domains, tells a client.
    pub enum Notice in schema 255 version 1 {
        /// First on every connection.
        101 => Challenge: 48 {
            /// Random and used once.
            nonce: [u8; 32],
            /// The newest protocol version that the gateway speaks.
            protocol: u16,
            /// Zero.
            reserved: Reserved<2>,
            /// Milliseconds of silence after which each side sends a heartbeat.
            heartbeat_ms: u32,
            /// Milliseconds of silence after which each side gives the other up.
            timeout_ms: u32,
            /// Zero.
            reserved_end: Reserved<4>,
        },
        /// The session is open. Sequenced: it follows every answer to the client's earlier sessions.
        102 => LoggedOn: 24 {
            /// Who logged on.
            client: ClientId,
            /// Its session. Commands of this connection are stamped with it.
            session: SessionId,
            /// The highest request id that was ever executed for this client, or 0.
            highest: RequestId,
            /// Requests that may be unanswered at once; as many replies are kept.
            reply_window: u32,
            /// Zero.
            reserved: Reserved<4>,
        },
        /// A command or request was refused and changed nothing. The header's `request` names it.
        103 => Rejected: 8 {
            /// Why.
            code: Code,
            /// The template that was refused.
            template: u16,
            /// The byte of the body that is wrong, when it is one.
            offset: u16,
            /// Zero.
            reserved: Reserved<2>,
        },
        /// The gateway closes the connection after this.
        104 => Closing: 8 {
            /// Why.
            code: Code,
            /// Zero.
            reserved: Reserved<6>,
        },
        /// Shows that the gateway lives. Sent when nothing else was for a second.
        105 => Heartbeat: 8 {
            /// Zero.
            reserved: Reserved<8>,
        },
        /// The subscription stands. Without a snapshot the next event has number `next`; with one its end says.
        106 => Subscribed: 16 {
            /// Which topic.
            topic: Topic,
            /// The first number that follows; 0 when a snapshot comes first.
            next: u64,
        },
        /// The subscription is over.
        107 => Unsubscribed: 8 {
            /// Which topic.
            topic: Topic,
        },
        /// The end of a topic's snapshot.
        108 => SnapshotEnd: 16 {
            /// Which topic.
            topic: Topic,
            /// The number of the last event that the snapshot contains; the next one follows it.
            number: u64,
        },
        /// Events were dropped because the client reads too slowly: a snapshot follows by itself.
        109 => Overrun: 8 {
            /// Which topic.
            topic: Topic,
        },
    }
}
