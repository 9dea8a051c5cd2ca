//! System frames: what the engine itself writes into the log. Together with the commands they make the log complete,
//! so that replay needs no configuration.

use crate::ids::{ClientId, DomainId, Timestamp, Topic};
use crate::messages;
use crate::messages::Reserved;
use crate::session::Roles;

/// The schema of system frames. No client may send one.
pub const SCHEMA: u16 = 0;
/// Bytes of a domain's limits in [`Genesis`].
pub const LIMITS_BYTES: usize = 256;

messages! {
    /// Frames that the engine writes into the log. No client may send one.
    pub enum Frame in schema 0 version 1 {
        /// Frame 0 of every journal: what was fixed when it was made.
        1 => Genesis: 32 {
            /// Sets this journal apart from every other.
            journal: u64,
            /// The version of the rules in force from here on.
            logic: u32,
            /// Replies kept for each client, and so requests in flight at most.
            reply_window: u32,
            /// Clients that the engine can ever know.
            clients_max: u32,
            /// Sessions open at once.
            sessions_max: u32,
            /// Topics that can ever be published on.
            topics_max: u32,
            /// Zero.
            reserved: Reserved<4>,
        } + domains: GenesisDomain: 264 {
            /// The domain's id.
            domain: DomainId,
            /// The version of its schema.
            version: u16,
            /// Bytes of `limits` in use.
            limits_used: u32,
            /// The domain's capacities, as it declares them.
            limits: [u8; 256],
        },
        /// First after every start: closes all open sessions in the order of their ids.
        2 => Started: 16 {
            /// How often the engine has started on this journal, from 1.
            incarnation: u64,
            /// Which build runs: the first bytes of its revision.
            build: u64,
        },
        /// A client has proved who it is. `session` in the header is its new session.
        3 => SessionOpened: 8 {
            /// Who it is.
            client: ClientId,
            /// The protocol version that both sides speak.
            protocol: u16,
            /// Zero.
            reserved: Reserved<2>,
        },
        /// A session is over. `session` in the header names it.
        4 => SessionClosed: 8 {
            /// Why, as a code of the table.
            code: u16,
            /// Zero.
            reserved: Reserved<6>,
        },
        /// Time passes: a deadline is due and nothing else came.
        5 => Tick: 8 {
            /// The deadline that is due.
            deadline: Timestamp,
        },
        /// Changes the limits that may change while the journal lives.
        6 => SetLimits: 8 {
            /// Sessions open at once.
            sessions_max: u32,
            /// Zero.
            reserved: Reserved<4>,
        },
        /// Says what a client may do in a domain, from here on.
        7 => SetRoles: 16 {
            /// Whose roles.
            client: ClientId,
            /// Which of the client's keys is in force: a number given by the operator, never the key.
            key_version: u32,
            /// In which domain.
            domain: DomainId,
            /// What it may do there.
            roles: Roles,
            /// Zero.
            reserved: Reserved<5>,
        },
        /// Puts a version of the rules in force, from here on.
        8 => ActivateLogicVersion: 8 {
            /// The version.
            logic: u32,
            /// Zero.
            reserved: Reserved<4>,
        },
        /// A session asks for the state of a topic as of here.
        9 => SnapshotTopic: 8 {
            /// Which topic.
            topic: Topic,
        },
    }
}
