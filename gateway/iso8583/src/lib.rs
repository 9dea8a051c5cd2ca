//! ISO 8583:1987 messages: which fields there are and how each is written is configuration, the rest is one codec. And
//! [`security`]: what a gateway of cards asks of a security module.
//!
//! ```text
//! frame      2 binary or 4 ASCII digits of length, then a message
//! message    type (4 digits) · bitmap (64 or 128 bits) · the fields whose bits are set, in ascending order
//! ```
//!
//! # Guarantees
//! A message that is parsed is written as it came. Whatever else comes is refused with the field and the byte at which it
//! goes wrong; nothing panics. Values are cleared when a message is dropped, and never printed: `Debug` says which fields
//! there are and how long each is.
//!
//! # Caveats
//! Text is ASCII; EBCDIC is refused. A field has a value and no parts: what is within field 48 or 55 is for the caller.
//!
//! ```
//! use ringfence_iso8583::{Layout, Message};
//! let layout = Layout::iso87();
//! let mut message = Message::new(*b"0800");
//! message.set(11, b"000001").set(70, b"301");
//! let bytes = message.encode(&layout)?;
//! assert_eq!(bytes, b"080080200000000000000400000000000000000001301");
//! assert_eq!(Message::parse(&bytes, &layout)?, message);
//! # Ok::<(), ringfence_iso8583::Error>(())
//! ```

mod field;
mod frame;
mod layout;
mod message;

pub mod security;
pub mod server;

pub use field::{Class, Field, Length};
pub use frame::{FrameError, Framing};
pub use layout::{BadLayout, Bits, Digits, Encodings, Layout, Rules};
pub use message::{Error, Fault, Message};
