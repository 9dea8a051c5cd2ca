//! The gateway: one mio loop between sockets and the rings.
#![forbid(unsafe_code)]

pub mod clock;
pub mod port;

pub use clock::{Clock, WallClock};
pub use port::Port;
