//! OpenRTB 2.6 over HTTP/1.1: bid request in, bid response out, and the notices of what became of a bid.
//!
//! ```text
//!  exchange ──HTTP──► server ──► request ──► bidding ──jobs──► session ──native protocol──► engine
//!           ◄──────── response ◄──────────── bidding ◄────────
//! ```
//!
//! One thread does all of it. `server` reads bodies of bounded size; `request` makes of `json` what is asked, or says what is
//! wrong with it; `bidding` makes of that what the engine is asked, and a bid of what was won; `session` is one client of the
//! engine, and sends in one go what came meanwhile. Text stays here: the engine knows numbers, and `names` has those that the log
//! gave to text. What no line item could target has no number and is left out, so that a stranger's request never adds a name.
#![doc = include_str!("../README.md")]

mod connection;
mod server;

mod json;
mod names;
mod request;

mod bidding;
mod session;

mod notices;
mod response;

mod config;

pub use config::{Config, ConfigError, Creative};
pub use server::{Server, ServerError};
pub use session::Session;
