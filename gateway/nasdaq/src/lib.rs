//! SoupBinTCP 3.00 with OUCH 4.2 and ITCH 5.0: codecs that are byte-exact, and the server between those who speak them and
//! the engine.
//!
//! ```text
//! soup      packets: logins by number, sequenced and unsequenced messages, heartbeats
//! ouch      messages of order entry          itch      messages of market data
//! store     a stream as a file that only grows
//! server    accounts and readers on one side, the engine on the other
//! ```
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod layout;

pub mod itch;
pub mod ouch;
pub mod server;
pub mod soup;
pub mod store;

pub use layout::{Field, Malformed, Nanos48, Text};
