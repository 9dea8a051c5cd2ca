//! A client of the native protocol.
//!
//! [`Client`] logs on, numbers requests, keeps them until they are answered, and resends them by itself over a new
//! connection when the old one is lost: each is executed once and its answer is handed out once. It follows topics
//! without gaps. [`Client::call`] waits for one answer; [`Client::send`] and [`Client::poll`] keep a whole window of
//! requests in flight from one thread.
//!
//! For loads beyond that, [`log_on`], [`proof`] and [`Frames`] are the pieces to build a loop of one's own.
//!
//! # Guarantees
//! - A request that was answered was decided once, whatever became of connections meanwhile.
//! - Events of a topic are handed out in the order of their numbers, none twice, none left out: where the engine no
//!   longer keeps them, a snapshot stands in their place.
//! - Memory is bounded by the engine's reply window. A message that is sent or handed out allocates nothing after
//!   warm-up.
//!
//! # Caveats
//! One process per client id: a second logon ends the first one's session. What was not yet answered when the process
//! ends is not remembered; the next one asks the domain what became of it.
#![forbid(unsafe_code)]

mod error;
mod frames;
mod logon;
mod output;

mod client;
mod following;
mod unanswered;

pub use client::{Client, Config};
pub use error::Error;
pub use frames::{BadFrame, Frames};
pub use logon::{Session, log_on, proof};
pub use output::{Answer, Output};
pub use ringfence_kernel as kernel;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
