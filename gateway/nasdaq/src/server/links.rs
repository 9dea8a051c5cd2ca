//! The streams' sides towards the engine: what each client hears becomes what its stream says.

use super::gathering::{Came, Frame, Gathering};
use super::orders::{self, Orders};
use super::settings::{AccountSettings, Settings};
use super::stream::{Input, Make, Stream};
use super::tape::{self, Tape};
use super::{ServeError, now};
use crate::layout::Text;
use crate::soup::Password;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use ringfence_client::Client;
use ringfence_domains::matching::messages::{Command, InstrumentId, OrderFeed, SetOrderFeed};
use ringfence_domains::matching::{Matching, topics};
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::{Account, Domain as _, RequestId, SessionId, Topic};
use std::os::fd::AsRawFd as _;
use std::time::Duration;

/// Images that are taken of one client of the engine before peers are served.
const IMAGES_MAX: usize = 4_096;

/// A client of the engine, and what it follows.
pub(crate) struct Link {
    pub(crate) number: u32,
    pub(crate) client: Client,
    pub(crate) gathering: Gathering,
    /// The session whose socket is polled.
    polled: Option<SessionId>,
}

impl Link {
    pub(crate) fn new(client: Client, number: u32) -> Self {
        Self { number, client, gathering: Gathering::default(), polled: None }
    }

    /// The next thing that came and is next in the order of the log. A connection is tried for, which may take a while, only
    /// while `may_dial`: that ends with one that is not there.
    fn hear(&mut self, may_dial: &mut bool) -> Result<Heard, ServeError> {
        let is_down = !self.client.is_connected();
        if is_down && !*may_dial {
            return Ok(Heard::Nothing);
        }
        let frame = self.client.poll(Duration::ZERO)?.map(|output| Frame::of(&output));
        *may_dial &= !is_down || self.client.is_connected();
        let Some(frame) = frame else { return Ok(Heard::Nothing) };
        match self.gathering.take(&mut self.client, frame)? {
            Came::Next(frame) => Ok(Heard::Next(frame)),
            Came::Kept => Ok(Heard::Several(self.gathering.release())),
            Came::Refused(code) => Err(ServeError::Follow { client: self.number, code }),
        }
    }

    /// Whether nothing that the engine has said is missing: there is a connection, and nothing is waited for on it.
    fn is_live(&self) -> bool {
        self.client.is_connected() && self.gathering.is_live() && self.gathering.is_of(&self.client)
    }

    /// Waits for the engine's socket too, whichever it is now.
    pub(crate) fn watch(&mut self, registry: &Registry, token: Token) -> Result<(), ServeError> {
        self.gathering.ask_again(&mut self.client)?;
        self.client.flush()?;
        let session = self.client.session_id();
        if let (Some(socket), true) = (self.client.as_fd(), session != self.polled) {
            let both = Interest::READABLE | Interest::WRITABLE;
            registry.register(&mut SourceFd(&socket.as_raw_fd()), token, both)?;
            self.polled = session;
        }
        Ok(())
    }
}

#[expect(clippy::large_enum_variant, reason = "it is taken apart at once")]
enum Heard {
    Nothing,
    Next(Frame),
    Several(Vec<Frame>),
}

/// Market data: one stream of all instruments.
pub(crate) struct Market {
    pub(crate) link: Link,
    pub(crate) stream: Stream<Tape>,
}

/// One account's orders.
pub(crate) struct Trader {
    pub(crate) link: Link,
    pub(crate) stream: Stream<Orders>,
    pub(crate) username: Text<6>,
    pub(crate) password: Password,
    /// The session is to end: nothing comes in any more.
    pub(crate) is_ending: bool,
}

impl Market {
    /// Hears the engine; gives whether there may be more.
    pub(crate) fn hear(&mut self, may_dial: &mut bool) -> Result<bool, ServeError> {
        for _ in 0..IMAGES_MAX {
            let frames = match self.link.hear(may_dial)? {
                Heard::Nothing => return Ok(false),
                Heard::Next(frame) => {
                    self.stream.take(&Input::Said(&frame))?;
                    continue;
                }
                Heard::Several(frames) => tape::interleave(frames),
            };
            for frame in &frames {
                self.stream.take(&Input::Said(frame))?;
            }
        }
        Ok(true)
    }
}

impl Trader {
    /// Hears the engine; gives whether there may be more.
    pub(crate) fn hear(&mut self, may_dial: &mut bool) -> Result<bool, ServeError> {
        let mut is_more = true;
        for _ in 0..IMAGES_MAX {
            match self.link.hear(may_dial)? {
                Heard::Nothing => {
                    is_more = false;
                    break;
                }
                Heard::Next(frame) => self.take(&frame)?,
                Heard::Several(frames) => frames.iter().try_for_each(|frame| self.take(frame))?,
            }
        }
        if self.link.gathering.is_live() {
            // What a process before this one had not come to.
            self.stream.settle(now())?;
        }
        self.let_leave()?;
        self.end_if_settled()?;
        Ok(is_more)
    }

    fn take(&mut self, frame: &Frame) -> Result<(), ServeError> {
        if frame.is_not_sequenced() {
            return self.ask_again(frame.header().request);
        }
        Ok(self.stream.hear(frame)?)
    }

    /// A request that the engine never saw goes out under a new number. That is kept first, so that no other process sends it
    /// under one more.
    fn ask_again(&mut self, request: RequestId) -> Result<(), ServeError> {
        let new = self.link.client.next_request().0;
        self.stream.take(&Input::Again { old: request.0, new })?;
        match self.stream.maker.wanted(new) {
            Some(_) => Ok(self.link.client.reissue(request)?),
            None => {
                self.link.client.dismiss(request);
                Ok(())
            }
        }
    }

    /// How many requests may be asked: no more than the engine keeps answers for, counted from the oldest whose answer was not
    /// taken in. Another process has to ask for those once more.
    pub(crate) fn room(&self) -> usize {
        let client = &self.link.client;
        let window = client.session().map_or(0, |session| session.reply_window as usize);
        let waiting = self.stream.maker.oldest().map_or(0, |oldest| client.next_request().0.saturating_sub(oldest));
        client.room().min(window.saturating_sub(usize::try_from(waiting).unwrap_or(usize::MAX)))
    }

    /// Ends the stream, if it is to end, when nothing that was asked is still to be answered: it would be done, and nobody told.
    fn end_if_settled(&mut self) -> Result<(), ServeError> {
        let maker = &self.stream.maker;
        if self.is_ending && !maker.is_over() && maker.is_settled() && self.link.is_live() {
            self.stream.take(&Input::End { at: now() })?;
            self.stream.store.sync()?;
        }
        Ok(())
    }

    /// Takes out orders whose replacements cannot come.
    fn let_leave(&mut self) -> Result<(), ServeError> {
        while self.stream.maker.is_leaving() && self.room() > 0 {
            self.ask(&[])?;
        }
        Ok(())
    }

    /// Keeps what the peer asks for, and then asks the engine.
    pub(crate) fn ask(&mut self, message: &[u8]) -> Result<(), ServeError> {
        let request = self.link.client.next_request().0;
        self.stream.take(&Input::Asked { at: now(), request, message })?;
        match self.stream.maker.wanted(request) {
            Some(wanted) => Ok(wanted.send(&mut self.link.client, request)?),
            None => Ok(()),
        }
    }
}

/// Opens the stream of market data, and follows its instruments.
pub(crate) fn open_market(settings: &Settings, mut link: Link) -> Result<Market, ServeError> {
    let stream = open(settings, "itch", Tape::new(&settings.instruments))?;
    // Before anything is followed: a call keeps whatever comes meanwhile, and a snapshot may be long.
    for listing in settings.instruments.iter().filter(|_| settings.order_feeds) {
        let instrument = InstrumentId(listing.instrument.into());
        let (feed, reserved) = (OrderFeed::On.into(), Reserved::default());
        let answer = link.client.call(Command::SetOrderFeed(&SetOrderFeed { instrument, feed, reserved }))?;
        if let Some(rejected) = answer.output().rejected() {
            return Err(ServeError::Follow { client: link.number, code: rejected.code });
        }
    }
    for listing in &settings.instruments {
        let id = u32::from(listing.instrument);
        // The orders last: what the others say before them is of no use.
        for kind in [topics::PHASES, topics::AUCTIONS, topics::TRADES, topics::ORDERS] {
            let topic = Topic::new(Matching::ID, kind, id);
            link.gathering.follow(&mut link.client, topic, stream.maker.last(topic))?;
        }
    }
    Ok(Market { link, stream })
}

/// Opens an account's stream, asks again what was not answered, and follows the account.
pub(crate) fn open_trader(
    settings: &Settings,
    account: &AccountSettings,
    client: Client,
) -> Result<Trader, ServeError> {
    let username = account.username.0;
    let stream = open(settings, &orders::stream_name(&username), Orders::new(settings))?;
    let mut link = Link::new(client, account.client);
    // What a session that is over asked is nobody's any more.
    let unanswered = if stream.maker.is_over() { Vec::new() } else { stream.maker.unanswered() };
    for request in unanswered {
        let wanted = stream.maker.wanted(request).expect("it is not answered");
        wanted.send(&mut link.client, request)?;
    }
    let topic = Topic::account(Matching::ID, Account(account.client));
    link.gathering.follow(&mut link.client, topic, stream.maker.last())?;
    Ok(Trader { link, stream, username, password: account.password.0.clone(), is_ending: false })
}

fn open<M: Make>(settings: &Settings, name: &str, maker: M) -> Result<Stream<M>, ServeError> {
    let path = settings.file(name);
    Stream::open(&path, maker, now()).map_err(|cause| ServeError::Store { path: path.display().to_string(), cause })
}
