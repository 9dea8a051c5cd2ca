//! The gateway: one mio loop between thousands of sockets and the engine's two rings.
//!
//! ```text
//!  socket ─► buffer ─► codec: split, check ─► connection: logon, window ─► stamp ─► ingress ring (Port::try_claim)
//!  socket ◄─ buffer ◄─ subscriptions: who hears it ◄─ retransmission: keep it ◄──── egress ring  (Port::drain)
//! ```
//!
//! The modules stand in the order in which a command meets them, and then an answer.
//!
//! # Guarantees
//! - [`Gateway::step`] never waits. Nothing that a client does or leaves undone slows the engine.
//! - A command is copied once, from the connection's buffer into the slots of the ring; an answer once, from its slot
//!   into the connection's buffer. After warm-up no message allocates.
//! - Every bound is in [`GatewayConfig`]; at each of them the client is told so with a code of the table in
//!   `docs/protocol`.
//! - Bytes that are no frame close the connection that sent them and change nothing else.
//!
//! # Caveats
//! The connection is authenticated, not encrypted: a tunnel or a private network does that. Subscriptions and sockets
//! are not state of the engine: they end with the process.
#![forbid(unsafe_code)]

pub mod config;
pub mod port;

mod buffer;
pub mod clock;
pub mod codecs;
pub mod logon;

mod connection;
mod core;
mod intake;
mod requests;

mod delivery;
pub mod retransmission;
mod subscriptions;

mod counting;
mod server;
mod stats;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use clock::{Clock, WallClock};
pub use config::{ConfigError, GatewayConfig};
pub use logon::{Keys, KeysError};
pub use mio::Waker;
pub use port::Port;
pub use retransmission::Retransmission;
pub use server::{Gateway, Start};
pub use stats::Stats;
