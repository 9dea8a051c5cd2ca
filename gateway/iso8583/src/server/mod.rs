//! The server: terminals and networks on one side, the engine on the other, one loop between.
//!
//! ```text
//! terminals ──► frames ──► fields ──► MAC, PIN ──► command ──► engine     under the engine's request number
//! terminals ◄── frames ◄── fields ◄── MAC ◄── pending request ◄── reply   found by that number, never by order
//! ```
//!
//! # Guarantees
//! Whatever comes is answered, or refused by name: a message that cannot be read gets a 30 with the field that is to
//! blame, in as far as it can be told whose it is; what is no request at all is dropped and counted. Nothing that comes
//! panics. The PIN and the card's number leave this process for the card's issuer alone, the PIN under that one's key.
//!
//! A request that the engine does not answer in time is taken back and refused with 91, so that it stays undone.
//!
//! # Caveats
//! Keys that a terminal was given are in memory alone: after a restart the ones of the settings are in force, and the
//! terminal asks for others. Whoever reaches the gateway may ask for an echo and for keys without a MAC: the keys come under the
//! terminal's exchange key, and are in force once the terminal has used them.

mod answer;
mod authentic;
mod dates;
mod keys;
mod link;
mod private;
mod references;
mod refusal;
mod request;
mod settings;

mod asking;
mod switching;

pub use refusal::Refusal;
pub use settings::{Acquirer, Base, KeyText, Keys, Natural, Presence, RemoteIssuer, Settings};

use crate::frame::Framing;
use crate::layout::{BadLayout, Layout};
use crate::message::{Error, Message};
use crate::security::{SecurityModule, WrappedKey};
use keys::KeyRing;
use link::Link;
use mio::net::TcpListener;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use references::References;
use request::Asked;
use ringfence_client::Client;
use ringfence_client::kernel::{Domain as _, RequestId, SessionId, Topic};
use ringfence_domains::atm::messages::{BusinessDate, StatementLine};
use ringfence_domains::atm::{Atm, topics};
use ringfence_peers::{Bounds, Closing, Connection, accept};
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd as _;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use switching::Switch;
use tracing::{debug, info, warn};
use zeroize::Zeroizing;

const LISTENER: Token = Token(0);
const ENGINE: Token = Token(1);
const FIRST: usize = 2;
/// In place of the name of a connection: nobody waits for an answer.
const NOBODY: usize = 0;
/// Two of the longest messages, and answers enough for whoever is slow.
const BOUNDS: Bounds = Bounds { input_max: 2 * (Framing::MOST + 4), output_max: 256 << 10 };
/// Messages that one peer may say before others are served.
const TURN: usize = 32;
/// How often it is looked for what is late.
const LOOK: Duration = Duration::from_millis(50);

/// Why the server stops.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A socket of its own fails.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The engine refuses it for good.
    #[error(transparent)]
    Engine(#[from] ringfence_client::Error),
    /// The layout of the settings is none.
    #[error(transparent)]
    Layout(#[from] BadLayout),
    /// The engine does not let it follow PIN references, routes or advices.
    #[error("the engine does not let this client follow what it must: {0}")]
    Follow(ringfence_client::kernel::reject::Code),
    /// The settings contradict themselves.
    #[error("{0}")]
    Settings(&'static str),
}

/// What was done since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages that were answered with what the engine decided, or that need no engine.
    pub answered: u64,
    /// Messages that were refused by name.
    pub refused: u64,
    /// What was no request, or of nobody.
    pub dropped: u64,
    /// Connections that were taken.
    pub connections: u64,
}

/// A request that the engine has.
struct Pending {
    connection: usize,
    message: Message,
    asked: Asked,
    since: Instant,
    tries: u32,
    /// The key that its answer is authenticated with.
    mac: Option<Arc<WrappedKey>>,
    /// The PIN's block for a remote issuer.
    pin: Option<Zeroizing<Vec<u8>>>,
    /// Lines of a mini statement, which come before its answer.
    lines: Vec<StatementLine>,
    /// Whether it was not answered in time, and what the engine has is its reversal.
    is_taken_back: bool,
}

/// The server.
pub struct Server<M> {
    settings: Settings,
    layout: Layout,
    module: M,
    poll: Poll,
    events: Events,
    listener: TcpListener,
    connections: HashMap<usize, Connection>,
    /// The name of the next connection: none is used twice.
    next: usize,
    client: Client,
    /// The session whose socket is polled.
    polled: Option<SessionId>,
    references: References,
    /// The topics that are not known in full yet: until they are, transactions are refused with 91.
    awaited: Vec<Topic>,
    pending: HashMap<RequestId, Pending>,
    /// What is verified again, because the PIN was changed meanwhile.
    again: VecDeque<Pending>,
    /// What was not answered in time, is taken back as soon as that can be said, and then answered with 91.
    taken_back: VecDeque<Pending>,
    /// Connections that may have something to say, or to hear.
    due: BTreeSet<usize>,
    /// When it was last looked for what is late.
    looked: Instant,
    keys: KeyRing,
    switch: Switch,
    counts: Counts,
}

impl<M: SecurityModule> Server<M> {
    /// Listens, and follows PIN references, routes and advices of the engine that `client` is logged on to.
    ///
    /// # Errors
    /// When the settings or the sockets are not what they should be.
    pub fn new(settings: Settings, module: M, mut client: Client) -> Result<Self, ServeError> {
        settings.check().map_err(ServeError::Settings)?;
        let layout = settings.messages()?;
        let poll = Poll::new()?;
        let mut listener = TcpListener::bind(settings.listen)?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        let mut switch = Switch::default();
        let mut followed = vec![topics::PINS];
        if !settings.issuers.is_empty() {
            followed.extend([topics::ROUTES, topics::ADVICES]);
            switch.links = settings.issuers.iter().map(|issuer| (issuer.issuer, Link::new(issuer))).collect();
        }
        let followed: Vec<Topic> = followed.into_iter().map(|kind| Topic::new(Atm::ID, kind, 0)).collect();
        for topic in &followed {
            client.subscribe(*topic, 0)?;
        }
        let keys = KeyRing::new(&settings);
        Ok(Self {
            settings,
            keys,
            switch,
            layout,
            module,
            poll,
            events: Events::with_capacity(1_024),
            listener,
            connections: HashMap::new(),
            next: FIRST,
            client,
            polled: None,
            references: References::default(),
            awaited: followed,
            pending: HashMap::new(),
            again: VecDeque::new(),
            taken_back: VecDeque::new(),
            due: BTreeSet::new(),
            looked: Instant::now(),
            counts: Counts::default(),
        })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// When the socket does not know.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// What was done since the start.
    #[must_use]
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    /// Whether the PIN references of all cards are known, and routes and advices where there are issuers: before that transactions are refused with 91.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.awaited.is_empty()
    }

    /// Does what there is to do; waits at most `wait` for something to come.
    ///
    /// # Errors
    /// [`ServeError`] when it cannot go on.
    pub fn step(&mut self, wait: Duration) -> Result<(), ServeError> {
        let must_wait = self.due.is_empty() && !self.switch.has_more || self.client.room() == 0;
        let wait = if must_wait { wait } else { Duration::ZERO };
        let now = Instant::now();
        match self.poll.poll(&mut self.events, Some(wait.min(LOOK))) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => done?,
        }
        let mut is_waited_for = false;
        for event in &self.events {
            match event.token() {
                LISTENER => is_waited_for = true,
                ENGINE => {}
                Token(name) => {
                    if let Some(connection) = self.connections.get_mut(&name) {
                        connection.readable |= event.is_readable() || event.is_read_closed();
                        self.due.insert(name);
                    } else if let Some(link) = self.switch.links.values_mut().find(|link| link.name == name) {
                        link.wake();
                    }
                }
            }
        }
        if is_waited_for {
            self.accept()?;
        }
        self.take_answers()?;
        self.ask_again()?;
        self.serve_connections()?;
        self.serve_links(now)?;
        if self.looked.elapsed() >= LOOK {
            self.looked = Instant::now();
            // Who could not be taken for want of descriptors is not said again to wait.
            self.accept()?;
            self.give_up();
            self.look_at_links(now);
            let idle = self.settings.idle_timeout();
            self.connections.retain(|_, connection| connection.heard.elapsed() < idle);
        }
        self.pass_answers()?;
        self.client.flush()?;
        self.watch_engine()
    }

    /// Goes on until all that is to be taken back is, or `wait` is over: before it stops.
    ///
    /// # Errors
    /// [`ServeError`] when it cannot go on.
    pub fn finish(&mut self, wait: Duration) -> Result<(), ServeError> {
        let begun = Instant::now();
        while self.is_taking_back() && begun.elapsed() < wait {
            self.step(LOOK)?;
        }
        Ok(())
    }

    fn is_taking_back(&self) -> bool {
        !self.taken_back.is_empty() || self.pending.values().any(|pending| pending.is_taken_back)
    }

    /// Takes connections, as many as there may be; closes the others at once.
    fn accept(&mut self) -> Result<(), ServeError> {
        while let Some((mut stream, from)) = accept(&self.listener) {
            if self.connections.len() >= self.settings.connections_max {
                warn!(%from, "as many connections as may be: it is closed");
                continue;
            }
            let (name, both) = (self.next, Interest::READABLE | Interest::WRITABLE);
            self.poll.registry().register(&mut stream, Token(name), both)?;
            stream.set_nodelay(true)?;
            self.connections.insert(name, Connection::new(stream, BOUNDS));
            self.due.insert(name);
            (self.next, self.counts.connections) = (name + 1, self.counts.connections + 1);
        }
        Ok(())
    }

    /// Waits for the engine's socket too, whichever it is now.
    fn watch_engine(&mut self) -> Result<(), ServeError> {
        let session = self.client.session_id();
        if let (Some(socket), true) = (self.client.as_fd(), session != self.polled) {
            let both = Interest::READABLE | Interest::WRITABLE;
            self.poll.registry().register(&mut SourceFd(&socket.as_raw_fd()), ENGINE, both)?;
            self.polled = session;
            self.switch.reconnected();
        }
        Ok(())
    }

    /// Serves those that are due, as long as the engine may be asked; the others stay due, and who has more to say.
    fn serve_connections(&mut self) -> Result<(), ServeError> {
        let mut first = 0;
        while let Some(name) = self.due.range(first..).next().copied() {
            first = name + 1;
            if self.serve(name)? {
                self.due.remove(&name);
            }
        }
        Ok(())
    }

    /// Takes what one connection has to say; gives whether that is all that there is for now.
    fn serve(&mut self, name: usize) -> Result<bool, ServeError> {
        for _ in 0..TURN {
            let Some(connection) = self.connections.get_mut(&name) else { return Ok(true) };
            if let Err(closing) = connection.flush() {
                self.close(name, &closing);
                return Ok(true);
            }
            if self.client.room() == 0 {
                return Ok(false);
            }
            // What came before the end is answered all the same.
            let read = connection.read();
            match (connection.next(|stream| self.settings.framing.split(stream)), read) {
                (Ok(Some(message)), _) => self.take(name, &message)?,
                (Ok(None), Ok(())) => return Ok(true),
                (Ok(None), Err(closing)) => self.close(name, &closing),
                (Err(closing), _) => self.close(name, &closing),
            }
        }
        Ok(false)
    }

    /// Takes one message in.
    fn take(&mut self, name: usize, bytes: &[u8]) -> Result<(), ServeError> {
        let (message, read) = Message::read(bytes, &self.layout);
        if !request::is_request(message.mti()) {
            self.counts.dropped += 1;
            let cause = read.err().map(|error| error.to_string()).unwrap_or_default();
            debug!(connection = name, ?message, cause, "no request: it is dropped");
            if let Some(Err(closing)) = self.connections.get_mut(&name).map(Connection::fault) {
                self.close(name, &closing);
            }
            return Ok(());
        }
        let (mac, asked) = match read {
            Err(error) => (None, Err(Refusal::Format(error))),
            Ok(()) => self.look_at(&message, bytes),
        };
        match asked {
            Ok(asked) => self.ask(name, message, asked, mac),
            Err(refusal) => {
                self.refuse(name, &message, mac.as_deref(), &refusal);
                Ok(())
            }
        }
    }

    /// What a message that could be read asks for, and the key that its answer is authenticated with.
    fn look_at(&mut self, message: &Message, bytes: &[u8]) -> (Option<Arc<WrappedKey>>, Result<Asked, Refusal>) {
        let terminal = request::terminal(message, &self.settings).ok();
        if let Some((terminal, next)) = terminal.and_then(|terminal| Some((terminal, self.keys.next_of(terminal)?)))
            && authentic::check(message, bytes, &self.layout, &self.module, &next.mac).is_ok_and(|has_code| has_code)
        {
            self.keys.begin(terminal);
        }
        let key = &self.keys.of(terminal).mac;
        // Between hosts keys are agreed on.
        let of_host = request::acquirer(message, &self.settings).is_some();
        let must = of_host || self.settings.mac == Presence::Required && !request::needs_no_code(message);
        match authentic::check(message, bytes, &self.layout, &self.module, key) {
            Err(refusal) => (None, Err(refusal)),
            Ok(false) if must => (None, Err(Refusal::Mac)),
            Ok(has_code) => (has_code.then(|| Arc::clone(key)), Asked::of(message, &self.settings, today())),
        }
    }

    fn refuse(&mut self, name: usize, request: &Message, mac: Option<&WrappedKey>, refusal: &Refusal) {
        info!(connection = name, ?request, %refusal, "refused");
        self.counts.refused += 1;
        self.say(name, answer::refused(request, refusal), mac);
    }

    /// Sends an answer; a connection that is gone misses it, and asks again.
    fn say(&mut self, name: usize, mut answer: Message, mac: Option<&WrappedKey>) {
        let Some(connection) = self.connections.get_mut(&name) else { return };
        match authentic::write(&mut answer, &self.layout, &self.module, mac) {
            Ok(bytes) => {
                if let Err(closing) = framed(connection, &bytes, self.settings.framing) {
                    self.close(name, &closing);
                }
            }
            Err(error) => {
                let Error { field, .. } = error;
                warn!(connection = name, field, %error, "an answer cannot be written in this layout");
            }
        }
    }

    fn close(&mut self, name: usize, closing: &Closing) {
        debug!(connection = name, %closing, "a connection is closed");
        self.connections.remove(&name);
    }
}

/// Puts a message in its frame behind those to be sent.
fn framed(connection: &mut Connection, message: &[u8], framing: Framing) -> Result<(), Closing> {
    let mut frame = Vec::new();
    framing.write(message, &mut frame).map_err(Closing::bad)?;
    connection.say(|out| out.extend_from_slice(&frame))
}

/// The day that it is, since 1970: it tells only which year a month and a day are of.
fn today() -> BusinessDate {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    BusinessDate(u32::try_from(since.as_secs() / 86_400).unwrap_or(u32::MAX))
}
