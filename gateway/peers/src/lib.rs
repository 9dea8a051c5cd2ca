//! A peer of a gateway: its socket, what was read and is not taken yet, and what is said and not sent yet, both bounded.
//!
//! It knows nothing of what is said: where a message ends is for a function to find.
#![forbid(unsafe_code)]

use mio::net::{TcpListener, TcpStream};
use std::fmt::Display;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::time::Instant;
use zeroize::Zeroizing;

/// Messages in a row that nobody can answer, after which a connection is closed.
const FAULTS_MAX: u32 = 16;

/// Why a connection is closed.
#[derive(Debug, thiserror::Error)]
pub enum Closing {
    /// The other side closed it.
    #[error("the other side closed it")]
    Gone,
    /// The socket fails.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// What comes is not what may come: nothing that follows can be read.
    #[error("{0}")]
    Bad(String),
    /// More is unsent than may be.
    #[error("it takes no answers")]
    Overflow,
    /// Too much in a row that nobody can answer.
    #[error("it sends what cannot be answered")]
    Faults,
    /// It has said nothing, or taken nothing, for too long.
    #[error("it is silent")]
    Silent,
}

impl Closing {
    /// It sends what cannot be read.
    pub fn bad(error: impl Display) -> Self {
        Self::Bad(error.to_string())
    }
}

/// How much may be on its way.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Bytes that are read ahead at most: at least as many as the longest message.
    pub input_max: usize,
    /// Unsent bytes above which a connection that does not read is closed.
    pub output_max: usize,
}

/// A connection and what is on its way. What it carries may be secret: it is zeroed in the end, and not shown.
pub struct Connection {
    /// The socket, which never waits.
    pub stream: TcpStream,
    /// What was read and is not taken yet stands in its first `have` bytes.
    input: Zeroizing<Box<[u8]>>,
    have: usize,
    out: Zeroizing<Vec<u8>>,
    sent: usize,
    output_max: usize,
    /// When a byte last came.
    pub heard: Instant,
    /// When a byte last went.
    pub said: Instant,
    /// Whether there may be bytes to read.
    pub readable: bool,
    faults: u32,
}

impl core::fmt::Debug for Connection {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { stream, have, .. } = self;
        f.debug_struct("Connection").field("stream", stream).field("have", have).finish_non_exhaustive()
    }
}

impl Connection {
    /// A connection that nothing was read from.
    #[must_use]
    pub fn new(stream: TcpStream, bounds: Bounds) -> Self {
        let now = Instant::now();
        Self {
            stream,
            input: Zeroizing::new(vec![0; bounds.input_max].into()),
            have: 0,
            out: Zeroizing::default(),
            sent: 0,
            output_max: bounds.output_max,
            heard: now,
            said: now,
            readable: true,
            faults: 0,
        }
    }

    /// Reads what is there, as far as there is room for it.
    ///
    /// # Errors
    /// When it is closed or fails. What came before stays to be taken.
    pub fn read(&mut self) -> Result<(), Closing> {
        while self.readable && self.have < self.input.len() {
            match self.stream.read(&mut self.input[self.have..]) {
                Ok(0) => return Err(Closing::Gone),
                Ok(count) => (self.have, self.heard) = (self.have + count, Instant::now()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.readable = false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// The next message that is there in full. `split` gives the one at the front of what it is given, and the bytes that it
    /// takes there.
    ///
    /// # Errors
    /// [`Closing::Bad`] when no message can be there.
    pub fn next<E: Display>(
        &mut self,
        split: impl FnOnce(&[u8]) -> Result<Option<(&[u8], usize)>, E>,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, Closing> {
        let Some((message, taken)) = split(&self.input[..self.have]).map_err(Closing::bad)? else { return Ok(None) };
        let message = Zeroizing::new(message.to_vec());
        self.input.copy_within(taken..self.have, 0);
        self.have -= taken;
        Ok(Some(message))
    }

    /// Puts what `write` writes behind what is to be sent.
    ///
    /// # Errors
    /// When the socket fails, or too much is unsent.
    pub fn say(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Result<(), Closing> {
        self.faults = 0;
        write(&mut self.out);
        self.flush()?;
        if self.unsent() > self.output_max { Err(Closing::Overflow) } else { Ok(()) }
    }

    /// Bytes that are said and not sent.
    #[must_use]
    pub fn unsent(&self) -> usize {
        self.out.len() - self.sent
    }

    /// Counts a message that nobody can answer.
    ///
    /// # Errors
    /// When there were too many in a row.
    pub fn fault(&mut self) -> Result<(), Closing> {
        self.faults += 1;
        if self.faults > FAULTS_MAX { Err(Closing::Faults) } else { Ok(()) }
    }

    /// Sends what the socket takes.
    ///
    /// # Errors
    /// When it fails.
    pub fn flush(&mut self) -> Result<(), Closing> {
        while self.sent < self.out.len() {
            match self.stream.write(&self.out[self.sent..]) {
                Ok(0) => return Err(Closing::Gone),
                Ok(count) => (self.sent, self.said) = (self.sent + count, Instant::now()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.out.clear();
        self.sent = 0;
        Ok(())
    }
}

/// The next connection that waits to be taken; none when there is none, or when it failed.
pub fn accept(listener: &TcpListener) -> Option<(TcpStream, SocketAddr)> {
    loop {
        match listener.accept() {
            Ok(taken) => return Some(taken),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => {
                tracing::warn!(%error, "a connection could not be taken");
                return None;
            }
        }
    }
}
