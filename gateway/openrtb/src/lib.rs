//! OpenRTB 2.6 over HTTP/1.1: bid request in, bid response out, and the notices of what became of a bid.
//!
//! ```text
//!  exchange ──HTTP──► server ──► request ──jobs──► session ──native protocol──► engine
//!           ◄──────── response ◄── outcome ◄──────
//! ```
//!
//! `server` reads bodies of bounded size on one thread of its own; `request` makes of JSON what the engine is asked, or says
//! what is wrong with it; `session` is one client of the engine on another thread. Text stays here: the engine knows numbers,
//! and `names` has those that the log gave to text. What no line item could target has no number and is left out, so that a
//! stranger's request never adds a name.
#![doc = include_str!("../README.md")]

mod config;
mod names;
mod notices;
mod request;
mod response;
mod server;
mod session;

pub use config::{Config, ConfigError, Creative};
pub use server::{Server, ServerError};
pub use session::Engine;
