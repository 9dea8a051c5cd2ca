//! Why a command was refused: one table of codes for the whole engine.
//!
//! Codes below 1,000 are the engine's and stand here. A domain's own codes are its id times 1,000 and more. A code is
//! never reused. `docs/protocol` carries the table, generated from [`ENGINE`] and each domain's list.

use crate::newtype;

newtype! {
    /// Why a command was refused.
    pub struct Code(u16);
}

impl Code {
    /// Whether the engine takes in later what it refuses by this just now: it was asked too fast, or its disk is full.
    #[must_use]
    pub fn is_passing(self) -> bool {
        [Refusal::RateLimited, Refusal::DiskFull].into_iter().any(|refusal| Self::from(refusal) == self)
    }
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The number on the wire.
    pub code: u16,
    /// Its name.
    pub name: &'static str,
    /// What it means and what the client can do.
    pub doc: &'static [&'static str],
}

/// Declares the reasons for which a domain refuses, as an enum that converts into [`Code`], and their table.
///
/// Codes are written out, so that a reader of the source finds the number that stands in a log.
#[macro_export]
macro_rules! rejects {
    (
        $(#[doc = $doc:literal])*
        $vis:vis enum $Name:ident {
            $( $(#[doc = $vdoc:literal])* $Value:ident = $n:literal ),* $(,)?
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u16)]
        $vis enum $Name { $( $(#[doc = $vdoc])* $Value = $n, )* }

        impl From<$Name> for $crate::reject::Code {
            #[inline]
            fn from(reject: $Name) -> Self {
                Self(reject as u16)
            }
        }

        impl $Name {
            /// The rows of the table of codes.
            $vis const TABLE: &'static [$crate::reject::Row] = &[
                $( $crate::reject::Row { code: $n, name: stringify!($Value), doc: &[$($vdoc),*] } ),*
            ];
        }
    };
}

rejects! {
    /// Why the engine itself refuses: the command never reaches a domain.
    pub enum Refusal {
        /// The body is not what its header says. `offset` names the byte.
        Malformed = 1,
        /// No domain of this journal has that schema id.
        UnknownSchema = 2,
        /// The schema has no such message, or clients may not send it.
        UnknownTemplate = 3,
        /// The writer has another version of the schema.
        VersionMismatch = 4,
        /// The client's roles do not allow this command.
        NotPermitted = 5,
        /// The request was never sequenced, and a later one was: send it again under a new id.
        NotSequenced = 10,
        /// The request is older than the window of kept replies.
        TooOld = 11,
        /// The engine has as many sessions as it may.
        SessionsFull = 12,
        /// The domain has no such topic.
        UnknownTopic = 13,

        /// The connection has not logged on.
        NotLoggedOn = 20,
        /// The client is unknown or its proof is wrong.
        LogonRefused = 21,
        /// The client speaks a protocol version that the gateway does not.
        ProtocolMismatch = 22,
        /// The connection did not log on in time.
        LogonTimeout = 23,
        /// Nothing was heard for too long.
        HeartbeatTimeout = 24,
        /// The client logged on again on another connection.
        Superseded = 25,
        /// The gateway has as many connections as it may.
        ConnectionsFull = 26,
        /// The client said goodbye.
        LoggedOff = 27,
        /// The engine is stopping.
        Stopping = 28,
        /// The connection was lost, or the client closed it without a word.
        Disconnected = 29,

        /// The frame is shorter, longer or other than a frame may be; the connection is closed.
        BadFrame = 40,
        /// The client sends faster than it may.
        RateLimited = 43,
        /// The disk is nearly full: no command is taken in, no session opened and no snapshot made. Try again later.
        DiskFull = 45,
        /// The client does not read its answers: the connection is closed, and resending brings them.
        ReplyOverflow = 46,
        /// The client subscribes to more topics than it may.
        SubscriptionsFull = 47,
        /// The events asked for are no longer kept: ask for a snapshot.
        SnapshotNeeded = 48,
    }
}

/// The engine's rows of the table of codes.
pub const ENGINE: &[Row] = Refusal::TABLE;
