//! One terminal's or network's connection.

use crate::frame::{FrameError, Framing};
use mio::net::TcpStream;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::time::Instant;
use zeroize::Zeroizing;

/// Bytes that are read ahead at most: two of the longest messages.
const INPUT_MAX: usize = 2 * (Framing::MOST + 4);
/// Unsent bytes above which a connection that does not read is closed.
const OUTPUT_MAX: usize = 256 << 10;
/// Messages in a row that nobody can answer, after which a connection is closed.
const FAULTS_MAX: u32 = 16;

/// Why a connection is closed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Closing {
    #[error("the other side closed it")]
    Gone,
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error("it takes no answers")]
    Overflow,
    #[error("it sends what cannot be answered")]
    Faults,
}

/// A connection and what is on its way.
pub(crate) struct Connection {
    pub(crate) stream: TcpStream,
    /// What was read and is not taken yet stands in its first `have` bytes.
    input: Zeroizing<Box<[u8]>>,
    have: usize,
    out: Vec<u8>,
    sent: usize,
    pub(crate) heard: Instant,
    /// Whether there may be bytes to read.
    pub(crate) readable: bool,
    faults: u32,
}

impl Connection {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            input: Zeroizing::new(vec![0; INPUT_MAX].into()),
            have: 0,
            out: Vec::new(),
            sent: 0,
            heard: Instant::now(),
            readable: true,
            faults: 0,
        }
    }

    /// Reads what is there, as far as there is room for it.
    pub(crate) fn read(&mut self) -> Result<(), Closing> {
        while self.readable && self.have < INPUT_MAX {
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

    /// The next message that is there in full.
    pub(crate) fn next(&mut self, framing: Framing) -> Result<Option<Zeroizing<Vec<u8>>>, FrameError> {
        let Some((message, taken)) = framing.split(&self.input[..self.have])? else { return Ok(None) };
        let message = Zeroizing::new(message.to_vec());
        self.input.copy_within(taken..self.have, 0);
        self.have -= taken;
        Ok(Some(message))
    }

    /// Puts a message behind those to be sent.
    pub(crate) fn say(&mut self, message: &[u8], framing: Framing) -> Result<(), Closing> {
        self.faults = 0;
        framing.write(message, &mut self.out)?;
        self.flush()?;
        if self.out.len() - self.sent > OUTPUT_MAX { Err(Closing::Overflow) } else { Ok(()) }
    }

    /// Counts a message that nobody can answer.
    pub(crate) fn fault(&mut self) -> Result<(), Closing> {
        self.faults += 1;
        if self.faults > FAULTS_MAX { Err(Closing::Faults) } else { Ok(()) }
    }

    /// Sends what the socket takes.
    pub(crate) fn flush(&mut self) -> Result<(), Closing> {
        while self.sent < self.out.len() {
            match self.stream.write(&self.out[self.sent..]) {
                Ok(0) => return Err(Closing::Gone),
                Ok(count) => self.sent += count,
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
