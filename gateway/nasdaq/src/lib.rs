#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod layout;

pub mod itch;
pub mod ouch;
pub mod server;
pub mod soup;
pub mod store;

pub use layout::{Field, Malformed, Nanos48, Text};
