//! The contract between the engine and a domain.
//!
//! A *command* is one contiguous image: what stands in the ring is what stands in the journal, what a replica
//! receives and what replay reads. A *domain* is a deterministic state machine over such commands. This crate says
//! what both look like and gives a domain all it may use: ids, messages, bounded collections, a hasher, and the laws
//! that every domain obeys.
//!
//! The modules stand in the order in which data meets them.
//!
//! # Guarantees
//! `no_std`, no unsafe code, no clock, no randomness, no I/O, no floats. Memory is claimed when a value is made and
//! never after.
//!
//! # What breaks compatibility
//! Any change to [`image`], to a message's fields, to an id, to a reject code or to the order in which state is saved.
//! Schemas and golden vectors in `docs/protocol` pin them; drift fails the build.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod ids;
pub mod image;
pub mod messages;
pub mod reject;
pub mod system;
pub mod wire;

pub mod domain;
pub mod limits;
pub mod outbox;
pub mod registry;
pub mod session;

pub mod bounded;
pub mod laws;
pub mod random;
pub mod state;
pub mod workload;

#[doc(hidden)]
pub use bytemuck;

pub use domain::{Context, Cursor, Domain, Out, Progress};
pub use ids::{Account, ClientId, DomainId, RequestId, Sequence, SessionId, Timestamp, Topic};
pub use image::{CommandHeader, MessageHeader, OutputHeader};
pub use messages::{Malformed, Message};
pub use outbox::Outbox;
pub use registry::Registry;
pub use reject::Code;
pub use session::{Roles, SessionChange};
pub use state::{Corrupt, Sink, Source, StateHasher};
