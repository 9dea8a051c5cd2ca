//! The connection to a remote issuer: made again whenever it is lost, and used once the issuer has let this host sign on.

use super::keys::TerminalKeys;
use super::settings::RemoteIssuer;
use super::{BOUNDS, Pending, framed};
use crate::frame::Framing;
use crate::message::Message;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use ringfence_domains::atm::messages::{Amount, Key};
use ringfence_peers::{Closing, Connection};
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tracing::{debug, info};
use zeroize::Zeroizing;

/// How long a connection that was lost is not tried again.
const PAUSE: Duration = Duration::from_millis(200);

/// What names a message between this host and an issuer: its class, its trace number, its date and its terminal.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Name([u8; 2], Vec<u8>, Vec<u8>, Vec<u8>);

impl Name {
    pub(crate) fn of(message: &Message) -> Self {
        let [_, class, function, _] = message.mti();
        let field = |field| message.get(field).unwrap_or_default().to_vec();
        // An answer has the function of its request, plus one.
        Self([class, function & !1], field(11), field(15), field(41).trim_ascii_end().to_vec())
    }
}

/// A remote issuer.
pub(crate) struct Link {
    pub(crate) address: SocketAddr,
    /// What it knows this host by.
    pub(crate) acquirer: String,
    pub(crate) keys: TerminalKeys,
    pub(crate) timeout: Duration,
    connection: Option<Connection>,
    /// The name of its connection.
    pub(crate) name: usize,
    tried: Option<Instant>,
    signed_on: bool,
    /// When it was last asked whether it is there, since it was last heard.
    echoed: Option<Instant>,
    /// What it was asked and has not answered.
    pub(crate) asked: HashMap<Name, (Pending, Instant)>,
    /// What it was told and has not acknowledged: of which transaction, and how much.
    pub(crate) told: HashMap<Name, (Key, Amount)>,
}

impl Link {
    pub(crate) fn new(settings: &RemoteIssuer) -> Self {
        Self {
            address: settings.address,
            acquirer: settings.acquirer.clone(),
            keys: TerminalKeys::new(&settings.pin_block, &settings.mac),
            timeout: Duration::from_millis(settings.timeout_ms),
            connection: None,
            name: 0,
            tried: None,
            signed_on: false,
            echoed: None,
            asked: HashMap::new(),
            told: HashMap::new(),
        }
    }

    /// Whether it may be asked.
    pub(crate) fn is_up(&self) -> bool {
        self.connection.is_some() && self.signed_on
    }

    /// The issuer answered the sign-on.
    pub(crate) fn sign_on(&mut self, is_let: bool) {
        info!(issuer = %self.address, is_let, "signed on");
        self.signed_on = is_let;
        if !is_let {
            self.connection = None;
        }
    }

    /// Connects when it is not connected at `now`, under a new name; whether it did, so that it must sign on.
    pub(crate) fn connect(&mut self, registry: &Registry, name: usize, now: Instant) -> io::Result<bool> {
        // One on which nobody answers the sign-on, or an echo, is lost.
        let is_late = |since: Instant| now.duration_since(since) > self.timeout;
        if (!self.signed_on || self.echoed.is_some_and(is_late)) && self.is_silent(now) {
            debug!(issuer = %self.address, "nobody answers on the connection to an issuer: it is lost");
            self.connection = None;
        }
        if self.connection.is_some() || self.tried.is_some_and(|tried| tried.elapsed() < PAUSE) {
            return Ok(false);
        }
        self.tried = Some(Instant::now());
        (self.signed_on, self.echoed) = (false, None);
        let Ok(mut stream) = TcpStream::connect(self.address) else { return Ok(false) };
        registry.register(&mut stream, Token(name), Interest::READABLE | Interest::WRITABLE)?;
        (self.connection, self.name) = (Some(Connection::new(stream, BOUNDS)), name);
        Ok(true)
    }

    /// Whether at `now` nothing was heard for longer than an answer may take.
    fn is_silent(&self, now: Instant) -> bool {
        self.connection.as_ref().is_some_and(|made| now.duration_since(made.heard) > self.timeout)
    }

    /// Whether it is to be asked at `now` whether it is there: a connection that the other side lost without a word is not noticed
    /// before something is said on it.
    pub(crate) fn must_echo(&mut self, now: Instant) -> bool {
        if !self.is_silent(now) {
            self.echoed = None;
        }
        let must = self.signed_on && self.echoed.is_none() && self.is_silent(now);
        if must {
            self.echoed = Some(Instant::now());
        }
        must
    }

    /// There may be something to read.
    pub(crate) fn wake(&mut self) {
        if let Some(connection) = &mut self.connection {
            connection.readable = true;
        }
    }

    /// Sends a message; when that fails the connection is lost, and what was sent is asked again or silent.
    pub(crate) fn say(&mut self, bytes: &[u8], framing: Framing) {
        let said = self.connection.as_mut().map(|connection| framed(connection, bytes, framing));
        self.keep(said.transpose().map(|_| ()));
    }

    /// The next message that came.
    pub(crate) fn hear(&mut self, framing: Framing) -> Option<Zeroizing<Vec<u8>>> {
        let connection = self.connection.as_mut()?;
        let flushed = connection.flush();
        let read = connection.read();
        match (connection.next(|stream| framing.split(stream)), flushed.and(read)) {
            (Ok(Some(message)), _) => return Some(message),
            (Ok(None), done) => self.keep(done),
            (Err(closing), _) => self.keep(Err(closing)),
        }
        None
    }

    fn keep(&mut self, done: Result<(), Closing>) {
        if let Err(closing) = done {
            debug!(issuer = %self.address, %closing, "the connection to an issuer is lost");
            (self.connection, self.signed_on) = (None, false);
        }
    }
}
