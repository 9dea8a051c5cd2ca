//! What can go wrong.

use crate::frames::BadFrame;
use ringfence_kernel::Malformed;
use ringfence_kernel::reject::{Code, ENGINE};
use std::io;

/// Why a client cannot do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// As many requests are unanswered as may be: poll, then send again.
    #[error("the window is full: {in_flight} requests are unanswered")]
    WindowFull {
        /// How many.
        in_flight: usize,
    },
    /// A command or a subscription was refused and changed nothing.
    #[error("refused: {}", name(*code))]
    Refused {
        /// Why.
        code: Code,
    },
    /// The gateway closed the connection for a reason that a new one does not mend.
    #[error("closed by the gateway: {}", name(*code))]
    Closed {
        /// Why.
        code: Code,
    },
    /// No connection could be made for as long as the configuration allows.
    #[error("no connection: {cause}")]
    Unreachable {
        /// What the last attempt met.
        cause: io::Error,
    },
    /// The gateway sent what is no frame.
    #[error(transparent)]
    Frame(#[from] BadFrame),
    /// The gateway sent a message that this build does not know.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The command is longer than a frame may be.
    #[error("a command of {bytes} bytes is longer than a frame")]
    TooLong {
        /// Its bytes, header included.
        bytes: usize,
    },
    /// Outputs wait that only [`Client::poll`](crate::Client::poll) hands out, and no more of them can be kept.
    #[error("{kept} outputs wait to be polled")]
    Unpolled {
        /// How many.
        kept: usize,
    },
    /// The socket failed where no new connection helps.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// What the table calls `code`.
fn name(code: Code) -> String {
    match ENGINE.iter().find(|row| row.code == code.0) {
        Some(row) => format!("{} ({code})", row.name),
        None => format!("code {code}"),
    }
}
