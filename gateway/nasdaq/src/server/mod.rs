//! The server: peers on one side, the engine on the other, one loop between, and a file for each stream.
//!
//! ```text
//! account's peer ──► unsequenced ──► request ──► kept ──► command ──► engine
//! account's peer ◄── sequenced ◄──┐                                     │ answers, the account's events
//! readers        ◄── sequenced ◄──┴── kept ◄── messages made of it ◄────┘ trades, orders, phases, auctions
//! ```
//!
//! What a stream says is kept before it is sent, together with what it was made of. Peers are served out of the files, each at
//! its own pace: a slow one costs no memory, and is closed when it takes nothing for [`PEER_TIMEOUT`].

mod entry;
mod gathering;
mod links;
mod orders;
mod settings;
mod stream;
mod tape;
#[cfg(test)]
mod tests;

pub use settings::{AccountSettings, Listing, Secret, Settings, User, Word};

use crate::layout::Text;
use crate::ouch::Inbound;
use crate::soup::{self, Login, LoginReject, Packet, Session};
use crate::store::{Reader, StoreError};
use links::{Link, Market, Trader, open_market, open_trader};
use mio::net::TcpListener;
use mio::{Events, Interest, Poll, Token};
use ringfence_client::Client;
use ringfence_client::kernel::reject::Code;
use ringfence_peers::{Bounds, Closing, Connection, accept};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use stream::{Input, Make};
use tracing::{debug, info, warn};

/// What the poller tells at once.
const EVENTS_MAX: usize = 1_024;
const OUCH: Token = Token(0);
const ITCH: Token = Token(1);
/// The socket of a stream's client is this and the stream's place.
const ENGINES: usize = 2;
/// How often it is looked for what is late.
const LOOK: Duration = Duration::from_millis(50);
/// Silence after which the server says a heartbeat.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// How long a peer may say nothing, take nothing, or not log in.
pub const PEER_TIMEOUT: Duration = Duration::from_secs(15);
/// Bytes that are read from a file for a peer at once.
const CHUNK_BYTES: usize = 64 << 10;
/// Packets that are taken of one peer before the others are served.
const PACKETS_MAX: usize = 256;
/// The longest packets of a client, and what is read from a file for it.
const BOUNDS: Bounds = Bounds { input_max: 4 * soup::CLIENT_PACKET_MAX, output_max: 1 << 20 };

/// Why the server stops.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A socket or a file of its own fails.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The engine refuses it for good.
    #[error(transparent)]
    Engine(#[from] ringfence_client::Error),
    /// A session's file cannot be used.
    #[error("{path}: {cause}")]
    Store {
        /// Which.
        path: String,
        /// Why.
        cause: StoreError,
    },
    /// The engine does not let it follow what it must.
    #[error("the engine does not let client {client} follow what it must: {code}")]
    Follow {
        /// As which client.
        client: u32,
        /// Why.
        code: Code,
    },
    /// The settings contradict themselves.
    #[error("{0}")]
    Settings(&'static str),
}

/// Which of the streams a peer is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Market,
    Trader(usize),
}

/// Somebody who is connected.
struct Peer {
    connection: Connection,
    /// Whether it came for orders.
    is_ouch: bool,
    since: Instant,
    /// Where it is logged in, and how far it has read.
    at: Option<(Place, Reader)>,
    /// It was told that the session is over.
    is_told: bool,
}

/// The server.
pub struct Server {
    settings: Settings,
    poll: Poll,
    events: Events,
    ouch: TcpListener,
    itch: TcpListener,
    peers: BTreeMap<usize, Peer>,
    /// The name of the next peer: none is used twice.
    next: usize,
    market: Market,
    traders: Vec<Trader>,
    looked: Instant,
    /// The client of the engine that is heard first.
    turn: usize,
    /// The engine has said more than was heard, or a peer has more to read than was read for it.
    is_busy: bool,
}

impl Server {
    /// Opens the session's files, and follows the engine from where they end. `market` follows instruments, the others are
    /// the clients of the settings' accounts, in order.
    ///
    /// # Errors
    /// When the settings, the files or the sockets are not what they should be, or the engine refuses something.
    pub fn new(settings: Settings, market: (Client, u32), accounts: Vec<Client>) -> Result<Self, ServeError> {
        settings.check().map_err(ServeError::Settings)?;
        std::fs::create_dir_all(&settings.directory)?;
        let market = open_market(&settings, Link::new(market.0, market.1))?;
        let traders = settings.accounts.iter().zip(accounts);
        let mut traders: Vec<Trader> =
            traders.map(|(account, client)| open_trader(&settings, account, client)).collect::<Result<_, _>>()?;
        // A session whose end was begun is ended.
        traders.iter_mut().for_each(|trader| trader.is_ending = market.stream.maker.is_over());
        let poll = Poll::new()?;
        let (mut ouch, mut itch) = (TcpListener::bind(settings.ouch)?, TcpListener::bind(settings.itch)?);
        poll.registry().register(&mut ouch, OUCH, Interest::READABLE)?;
        poll.registry().register(&mut itch, ITCH, Interest::READABLE)?;
        Ok(Self {
            next: ENGINES + 1 + settings.accounts.len(),
            settings,
            poll,
            events: Events::with_capacity(EVENTS_MAX),
            ouch,
            itch,
            peers: BTreeMap::new(),
            market,
            traders,
            looked: Instant::now(),
            turn: 0,
            is_busy: false,
        })
    }

    /// Where it listens, for OUCH and for readers of ITCH.
    ///
    /// # Errors
    /// When the sockets do not know.
    pub fn addresses(&self) -> io::Result<(SocketAddr, SocketAddr)> {
        Ok((self.ouch.local_addr()?, self.itch.local_addr()?))
    }

    /// Whether all streams are where the engine is: before that nobody is let in.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.market.link.gathering.is_live() && self.traders.iter().all(|trader| trader.link.gathering.is_live())
    }

    /// Ends the session: nothing comes in any more, and whoever has all that was said is told so; of an account, when
    /// everything that it asked is answered.
    ///
    /// # Errors
    /// When a file fails.
    pub fn end_session(&mut self) -> io::Result<()> {
        info!(session = %self.settings.session(), "the session ends");
        let end = Input::End { at: now() };
        if !self.market.stream.maker.is_over() {
            self.market.stream.take(&end)?;
        }
        self.traders.iter_mut().for_each(|trader| trader.is_ending = true);
        self.sync()
    }

    /// Waits until all that was said would survive a loss of power.
    ///
    /// # Errors
    /// When a file fails.
    pub fn sync(&mut self) -> io::Result<()> {
        self.market.stream.store.sync()?;
        self.traders.iter_mut().try_for_each(|trader| trader.stream.store.sync())
    }

    /// Does what there is to do; waits at most `wait` for something to come.
    ///
    /// # Errors
    /// [`ServeError`] when it cannot go on.
    pub fn step(&mut self, wait: Duration) -> Result<(), ServeError> {
        let wait = if self.is_busy { Duration::ZERO } else { wait.min(LOOK) };
        match self.poll.poll(&mut self.events, Some(wait)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => done?,
        }
        for event in &self.events {
            if let Some(peer) = self.peers.get_mut(&event.token().0) {
                peer.connection.readable |= event.is_readable() || event.is_read_closed();
            }
        }
        self.hear()?;
        if self.is_ready() {
            self.accept()?;
        }
        // After a pause nobody is taken for silent who was not read yet.
        let is_late = self.looked.elapsed() >= LOOK && self.events.iter().count() < EVENTS_MAX;
        for name in self.peers.keys().copied().collect::<Vec<_>>() {
            let Some(mut peer) = self.peers.remove(&name) else { continue };
            let served = self.serve(&mut peer)?;
            match served.and_then(|()| if is_late { peer.look() } else { Ok(()) }) {
                Ok(()) => {
                    self.peers.insert(name, peer);
                }
                Err(closing) => debug!(name, %closing, "a peer is closed"),
            }
        }
        if is_late {
            self.looked = Instant::now();
        }
        let registry = self.poll.registry();
        self.market.link.watch(registry, Token(ENGINES))?;
        for (token, trader) in (ENGINES + 1..).zip(&mut self.traders) {
            trader.link.watch(registry, Token(token))?;
        }
        Ok(())
    }

    /// Hears the engine. One client at most waits for a connection in vain, each step another one: peers are not to wait for all.
    fn hear(&mut self) -> Result<(), ServeError> {
        let links = 1 + self.traders.len();
        self.turn = (self.turn + 1) % links;
        let mut may_dial = true;
        self.is_busy = false;
        for at in 0..links {
            self.is_busy |= match (self.turn + at) % links {
                0 => self.market.hear(&mut may_dial)?,
                trader => self.traders[trader - 1].hear(&mut may_dial)?,
            };
        }
        Ok(())
    }

    /// Takes connections, as many as there may be; closes the others at once.
    fn accept(&mut self) -> Result<(), ServeError> {
        for is_ouch in [true, false] {
            while let Some((mut stream, from)) = accept(if is_ouch { &self.ouch } else { &self.itch }) {
                if self.peers.len() >= self.settings.connections_max {
                    warn!(%from, "as many connections as may be: it is closed");
                    continue;
                }
                let (name, both) = (self.next, Interest::READABLE | Interest::WRITABLE);
                self.poll.registry().register(&mut stream, Token(name), both)?;
                stream.set_nodelay(true)?;
                let connection = Connection::new(stream, BOUNDS);
                self.peers.insert(name, Peer { connection, is_ouch, since: Instant::now(), at: None, is_told: false });
                self.next = name + 1;
            }
        }
        Ok(())
    }

    /// Takes what a peer has to say, and says what it has not heard.
    fn serve(&mut self, peer: &mut Peer) -> Result<Result<(), Closing>, ServeError> {
        let mut served = peer.connection.flush();
        let mut packets = 0;
        while served.is_ok() {
            if packets == PACKETS_MAX {
                self.is_busy = true;
                break;
            }
            packets += 1;
            if let Some((Place::Trader(trader), _)) = peer.at
                && self.traders[trader].room() == 0
            {
                // Whoever is not listened to is not silent.
                peer.connection.heard = Instant::now();
                break;
            }
            // What came before the end is taken all the same.
            let read = peer.connection.read();
            served = match (peer.connection.next(soup::split), read) {
                (Ok(Some(packet)), _) => self.take(peer, &packet)?,
                (Ok(None), Ok(())) => break,
                (Ok(None), Err(closing)) | (Err(closing), _) => Err(closing),
            };
        }
        match served {
            Ok(()) => self.pump(peer),
            Err(closing) => Ok(Err(closing)),
        }
    }

    /// Takes one packet in.
    fn take(&mut self, peer: &mut Peer, packet: &[u8]) -> Result<Result<(), Closing>, ServeError> {
        let packet = match Packet::parse(packet) {
            Ok(packet) => packet,
            Err(error) => return Ok(Err(Closing::bad(error))),
        };
        match (packet, peer.at) {
            (Packet::LoginRequest(login), None) => Ok(self.login(peer, &login)),
            (Packet::Unsequenced(message), Some((Place::Trader(trader), _))) => {
                if let Err(malformed) = Inbound::parse(message) {
                    return Ok(Err(Closing::bad(malformed)));
                }
                let trader = &mut self.traders[trader];
                if !trader.is_ending {
                    trader.ask(message)?;
                }
                Ok(Ok(()))
            }
            (Packet::ClientHeartbeat | Packet::Debug(_), Some(_)) => Ok(Ok(())),
            (Packet::LogoutRequest, Some(_)) => Ok(Err(Closing::Gone)),
            _ => Ok(Err(Closing::bad("a packet that has no place there"))),
        }
    }

    fn login(&mut self, peer: &mut Peer, login: &Login) -> Result<(), Closing> {
        let place = match self.let_in(peer.is_ouch, login) {
            Ok((place, reader)) => {
                let next = reader.next();
                // An account has one peer: whoever was there before is gone, or will be.
                if let Place::Trader(_) = place {
                    self.peers.retain(|_, other| other.at.is_none_or(|(at, _)| at != place));
                }
                peer.at = Some((place, reader));
                info!(username = %login.username, next, "logged in");
                let session = self.settings.session();
                return peer.connection.say(|out| Packet::LoginAccepted { session, next }.write(out));
            }
            Err(reject) => reject,
        };
        warn!(username = %login.username, %place, "a login is rejected");
        peer.connection.say(|out| Packet::LoginRejected(place).write(out))?;
        Err(Closing::bad(place))
    }

    /// Where a login leads, and what its peer wants first.
    fn let_in(&self, is_ouch: bool, login: &Login) -> Result<(Place, Reader), LoginReject> {
        let is_named = |username: &Text<6>| username.0.eq_ignore_ascii_case(&login.username.0);
        let found = match is_ouch {
            true => {
                let trader = self.traders.iter().position(|trader| is_named(&trader.username));
                trader.map(|at| (Place::Trader(at), &self.traders[at].password))
            }
            false => {
                let reader = self.settings.readers.iter().find(|reader| is_named(&reader.username.0));
                reader.map(|reader| (Place::Market, &reader.password.0))
            }
        };
        // Somebody unknown is compared with as well: it takes the same time.
        let password = found.map_or(&login.password, |(_, password)| password);
        let matches = bool::from(password.matches(&login.password));
        let (place, _) = found.filter(|_| matches).ok_or(LoginReject::NotAuthorized)?;
        let is_present = |session: &Session| [b"", self.settings.session().trimmed()].contains(&session.trimmed());
        if !is_present(&login.session) {
            return Err(LoginReject::NotAvailable);
        }
        let store = match place {
            Place::Market => &self.market.stream.store,
            Place::Trader(trader) => &self.traders[trader].stream.store,
        };
        let from = if login.from == 0 { store.next() } else { login.from };
        store.reader(from).map(|reader| (place, reader)).ok_or(LoginReject::NotAvailable)
    }

    /// Says what a peer has not heard, as far as its socket takes it.
    fn pump(&mut self, peer: &mut Peer) -> Result<Result<(), Closing>, ServeError> {
        let Some((place, reader)) = &mut peer.at else { return Ok(Ok(())) };
        let (store, is_over) = match place {
            Place::Market => (&mut self.market.stream.store, self.market.stream.maker.is_over()),
            Place::Trader(trader) => {
                let stream = &mut self.traders[*trader].stream;
                (&mut stream.store, stream.maker.is_over())
            }
        };
        if peer.connection.unsent() > 0 {
            return Ok(Ok(()));
        }
        if !store.is_read(reader) {
            let mut read = Ok(());
            let said = peer.connection.say(|out| read = store.read(reader, out, CHUNK_BYTES));
            read?;
            self.is_busy |= !store.is_read(reader) && peer.connection.unsent() == 0;
            return Ok(said);
        }
        if is_over && !peer.is_told {
            peer.is_told = true;
            return Ok(peer.connection.say(|out| Packet::EndOfSession.write(out)));
        }
        // It has been told, and has taken it.
        Ok(if peer.is_told { Err(Closing::Gone) } else { Ok(()) })
    }
}

impl Peer {
    /// Looks for what is late: its words, or ours.
    fn look(&mut self) -> Result<(), Closing> {
        let connection = &mut self.connection;
        let is_stuck = connection.unsent() > 0 && connection.said.elapsed() > PEER_TIMEOUT;
        let is_strange = self.at.is_none() && self.since.elapsed() > PEER_TIMEOUT;
        if is_stuck || is_strange || connection.heard.elapsed() > PEER_TIMEOUT {
            return Err(Closing::Silent);
        }
        if self.at.is_some() && connection.unsent() == 0 && connection.said.elapsed() >= HEARTBEAT {
            return connection.say(|out| Packet::ServerHeartbeat.write(out));
        }
        Ok(())
    }
}

/// Nanoseconds since 1970.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
