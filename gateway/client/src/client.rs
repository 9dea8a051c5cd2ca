//! The client: one connection at a time, and all that outlives it.

use crate::error::Error;
use crate::following::{SUBSCRIPTION, Topics, Verdict};
use crate::frames::Frames;
use crate::logon::{Session, frame, log_on};
use crate::output::{Answer, Output};
use crate::unanswered::Unanswered;
use ringfence_kernel::image::{COMMAND_BYTES_MAX, COMMAND_HEADER_BYTES, flag, kind};
use ringfence_kernel::messages::{Message, Reserved};
use ringfence_kernel::reject::{Code, Refusal};
use ringfence_kernel::wire::{Alive, Logoff, Notice, Request, Subscribe, Unsubscribe};
use ringfence_kernel::{ClientId, RequestId, SessionId, Topic};
use std::collections::VecDeque;
use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::ops::Range;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::time::{Duration, Instant};

/// Bytes of unsent commands after which they are sent without being asked for.
const OUT_BYTES: usize = 64 << 10;
/// Outputs that [`Client::call`] keeps for a later [`Client::poll`] at most.
const STASH_MAX: usize = 16_384;
/// How long a wait within [`Client::call`] lasts before heartbeats are looked at.
const SLICE: Duration = Duration::from_millis(100);

/// Whom to connect to, and as whom.
#[derive(Clone)]
pub struct Config {
    /// Where the gateway listens.
    pub address: SocketAddr,
    /// Who this is.
    pub client: ClientId,
    /// The client's key.
    pub key: Vec<u8>,
    /// Bytes of the buffer that answers are read into.
    pub read_bytes: usize,
    /// How long one attempt to connect may take.
    pub connect_timeout: Duration,
    /// How long a gateway may take to say the next thing while the client logs on. One that is late is asked once more, and the
    /// newer logon ends the older one: a short time makes a busy gateway close what it has just let in.
    pub logon_timeout: Duration,
    /// The pause before the second attempt; every further one is twice as long, up to `backoff_max`.
    pub backoff_min: Duration,
    /// The longest pause between two attempts.
    pub backoff_max: Duration,
    /// How long to try for a connection before giving up.
    pub give_up_after: Duration,
    /// For a caller that keeps by which number it sent what: a command that must go out under a new number waits for
    /// [`Client::reissue`]. The refusal [`Refusal::NotSequenced`] is handed out under the number that is over.
    pub keeps_numbers: bool,
}

impl Config {
    /// `client` with `key` at `address`, and the defaults for the rest.
    #[must_use]
    pub fn new(address: SocketAddr, client: ClientId, key: &[u8]) -> Self {
        Self {
            address,
            client,
            key: key.to_vec(),
            read_bytes: 256 << 10,
            connect_timeout: Duration::from_secs(5),
            logon_timeout: Duration::from_secs(5),
            backoff_min: Duration::from_millis(10),
            backoff_max: Duration::from_secs(1),
            give_up_after: Duration::from_secs(30),
            keeps_numbers: false,
        }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config").field("address", &self.address).field("client", &self.client).finish_non_exhaustive()
    }
}

/// How the socket waits, so that it is told only when that changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waiting {
    Never,
    For(Duration),
}

#[derive(Debug)]
struct Up {
    stream: TcpStream,
    waiting: Waiting,
    /// When a byte last came.
    heard: Instant,
    /// When a byte last went.
    said: Instant,
}

#[derive(Debug)]
struct Down {
    /// Since when there is no connection.
    since: Instant,
    retry_at: Instant,
    backoff: Duration,
    cause: io::Error,
}

#[derive(Debug)]
enum Link {
    Up(Up),
    Down(Down),
}

/// A logged-on client. See the [crate](crate) for what it promises.
#[derive(Debug)]
pub struct Client {
    config: Config,
    link: Link,
    /// What the last logon gave.
    session: Option<Session>,
    /// Why the gateway closed for good.
    ended: Option<Code>,
    frames: Frames,
    /// Bytes to be sent, the first `sent` of which were.
    out: Vec<u8>,
    sent: usize,
    /// The id of the next request.
    next: RequestId,
    unanswered: Unanswered,
    topics: Topics,
    /// What came while [`Client::call`] waited for something else.
    stash: VecDeque<Answer>,
    /// The one of them that was handed out last.
    held: Option<Answer>,
}

impl Client {
    /// Connects and logs on. It tries again, with growing pauses, for as long as the configuration allows.
    ///
    /// # Errors
    /// [`Error::Closed`] when the gateway refuses for good, [`Error::Unreachable`] when there is none.
    pub fn connect(config: Config) -> Result<Self, Error> {
        let now = Instant::now();
        let cause = ErrorKind::NotConnected.into();
        let down = Down { since: now, retry_at: now, backoff: config.backoff_min, cause };
        let mut client = Self {
            frames: Frames::new(config.read_bytes),
            link: Link::Down(down),
            session: None,
            ended: None,
            out: Vec::with_capacity(2 * OUT_BYTES),
            sent: 0,
            next: RequestId(1),
            unanswered: Unanswered::default(),
            topics: Topics::default(),
            stash: VecDeque::new(),
            held: None,
            config,
        };
        while !client.is_connected() {
            client.reconnect(SLICE)?;
        }
        Ok(client)
    }

    /// Sends one command and waits for its answer. Whatever else comes meanwhile is kept for [`Client::poll`].
    ///
    /// # Errors
    /// See [`Client::send`] and [`Client::poll`]. A refusal is an answer: see [`Answer::reply`].
    pub fn call<'m>(&mut self, command: impl Message<'m>) -> Result<Answer, Error> {
        while self.room() == 0 {
            if let Some(other) = self.wait(SLICE)? {
                self.keep(other)?;
            }
        }
        let request = self.send(command)?;
        loop {
            match self.wait(SLICE)? {
                Some(answer) if answer.request() == request && is_answer(answer.output().header.kind) => {
                    return Ok(answer);
                }
                Some(other) => self.keep(other)?,
                None => {}
            }
        }
    }

    /// Puts one command behind those to be sent; gives the number under which its answer comes. It leaves with the
    /// next [`Client::poll`] or [`Client::flush`], or when many wait.
    ///
    /// An answer is never lost with its connection: the command is sent again over the next one, under the same
    /// number, and executed once. Should the engine say that it never saw that number but saw later ones, the command
    /// goes out under a new number on the wire; its answer still comes under the one given here.
    ///
    /// # Errors
    /// [`Error::WindowFull`] when as many requests are unanswered as the engine keeps replies; [`Error::TooLong`].
    pub fn send<'m>(&mut self, command: impl Message<'m>) -> Result<RequestId, Error> {
        let request = self.next;
        self.send_as(request, command)?;
        Ok(request)
    }

    /// As [`Client::send`], under a number of the caller's: [`Client::next_request`], or one under which an earlier process of this
    /// client sent the same command and does not know what became of it. The engine says it, or does it now.
    ///
    /// # Errors
    /// See [`Client::send`].
    ///
    /// # Panics
    /// When a number that is not below this one is unanswered.
    pub fn send_as<'m>(&mut self, request: RequestId, command: impl Message<'m>) -> Result<(), Error> {
        let bytes = COMMAND_HEADER_BYTES + command.body_bytes();
        if bytes > COMMAND_BYTES_MAX {
            return Err(Error::TooLong { bytes });
        }
        if self.room() == 0 {
            return Err(Error::WindowFull { in_flight: self.unanswered.span() });
        }
        self.next.0 = self.next.0.max(request.0 + 1);
        let image = self.unanswered.push(request, request, |image| {
            frame(image, request, command);
        });
        // Without a connection there is nothing to put it into: the next one sends all that is unanswered.
        if matches!(self.link, Link::Up(_)) {
            self.out.extend_from_slice(image);
            if self.out.len() - self.sent >= OUT_BYTES {
                self.flush()?;
            }
        }
        Ok(())
    }

    /// Sends a command again that the engine never saw, though it saw later ones: under [`Client::next_request`], by which
    /// its answer comes from then on. Nothing happens when `request` is not waited for.
    ///
    /// # Errors
    /// None that a new connection would mend.
    pub fn reissue(&mut self, request: RequestId) -> Result<(), Error> {
        if let Some(image) = self.unanswered.rename(request, self.next) {
            self.next.0 += 1;
            if matches!(self.link, Link::Up(_)) {
                self.out.extend_from_slice(image);
            }
        }
        self.flush()
    }

    /// Waits for the answer of a request no more.
    pub fn dismiss(&mut self, request: RequestId) {
        self.unanswered.answer(request);
    }

    /// The number of the next command.
    #[must_use]
    pub fn next_request(&self) -> RequestId {
        self.next
    }

    /// Sends what waits, then hands out what came: answers, events, parts of snapshots, and the notices `Subscribed`,
    /// `Unsubscribed` and `Overrun`. It waits at most `timeout`; zero does not wait at all. It must be called at least
    /// once a heartbeat, since it sends the client's own.
    ///
    /// # Errors
    /// [`Error::Closed`] and [`Error::Unreachable`] are final; so is [`Error::Frame`].
    pub fn poll(&mut self, timeout: Duration) -> Result<Option<Output<'_>>, Error> {
        if let Some(kept) = self.stash.pop_front() {
            return Ok(Some(self.held.insert(kept).output()));
        }
        match self.advance(timeout)? {
            Some((range, request)) => {
                let mut output = self.frames.at(range);
                output.header.request = request;
                Ok(Some(output))
            }
            None => Ok(None),
        }
    }

    /// Sends what waits to be sent, as far as the socket takes it.
    ///
    /// # Errors
    /// None that a new connection would mend.
    pub fn flush(&mut self) -> Result<(), Error> {
        let Link::Up(up) = &mut self.link else { return Ok(()) };
        while self.sent < self.out.len() {
            match up.stream.write(&self.out[self.sent..]) {
                Ok(0) => return self.lost(ErrorKind::WriteZero.into()),
                Ok(count) => {
                    self.sent += count;
                    up.said = Instant::now();
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if is_wait(&error) => {
                    if self.sent >= OUT_BYTES {
                        self.out.drain(..self.sent);
                        self.sent = 0;
                    }
                    return Ok(());
                }
                Err(error) => return self.lost(error),
            }
        }
        self.out.clear();
        self.sent = 0;
        Ok(())
    }

    /// Follows a topic from number `from` on, or from a snapshot when that is 0. Whatever comes of it carries the
    /// number given here, beside events, which carry their own.
    ///
    /// # Errors
    /// None that a new connection would mend. A refusal comes as a [`kind::REJECT`] output.
    pub fn subscribe(&mut self, topic: Topic, from: u64) -> Result<RequestId, Error> {
        let request = self.topics.follow(topic, from);
        self.say(request, Request::Subscribe(&Subscribe { topic, from }));
        self.flush()?;
        Ok(request)
    }

    /// Follows a topic no more.
    ///
    /// # Errors
    /// None that a new connection would mend.
    pub fn unsubscribe(&mut self, topic: Topic) -> Result<RequestId, Error> {
        let request = self.topics.leave(topic);
        self.say(request, Request::Unsubscribe(&Unsubscribe { topic }));
        self.flush()?;
        Ok(request)
    }

    /// Requests that may be sent before more answers come.
    #[must_use]
    pub fn room(&self) -> usize {
        let window = self.session.map_or(0, |session| session.reply_window as usize);
        window.saturating_sub(self.unanswered.span())
    }

    /// Requests sent and not yet answered, and those answered after the oldest of them.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.unanswered.span()
    }

    /// Whether there is a connection now.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        matches!(self.link, Link::Up(_))
    }

    /// The socket of the connection that there is now, to wait for it together with others: what is read from it is for
    /// [`Client::poll`] alone. Another session has another one.
    #[must_use]
    pub fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        match &self.link {
            Link::Up(up) => Some(up.stream.as_fd()),
            Link::Down(_) => None,
        }
    }

    /// What the last logon gave; none before the first one.
    #[must_use]
    pub fn session(&self) -> Option<Session> {
        self.session
    }

    /// The session that the last logon opened; none before the first one.
    #[must_use]
    pub fn session_id(&self) -> Option<SessionId> {
        self.session.map(|session| session.session)
    }

    /// Says goodbye. What was not answered stays unknown to this process.
    ///
    /// # Errors
    /// When the socket fails.
    pub fn close(mut self) -> Result<(), Error> {
        self.say(RequestId(0), Request::Logoff(&Logoff { reserved: Reserved::default() }));
        if let Link::Up(up) = &mut self.link {
            up.stream.set_nonblocking(false)?;
            up.stream.set_write_timeout(Some(SLICE))?;
        }
        self.flush()
    }

    /// The next output that is for the caller: where it stands, and the number that it answers.
    fn advance(&mut self, timeout: Duration) -> Result<Option<(Range<usize>, RequestId)>, Error> {
        let mut until = None;
        loop {
            while let Some(range) = self.frames.next_range().inspect_err(|_| self.link = gone(&self.config))? {
                if let Some(request) = self.digest(range.clone())? {
                    return Ok(Some((range, request)));
                }
            }
            self.flush()?;
            let wait = match until {
                _ if timeout.is_zero() => Duration::ZERO,
                None => {
                    until = Some(Instant::now() + timeout);
                    timeout
                }
                Some(until) => until.saturating_duration_since(Instant::now()),
            };
            let came = match self.link {
                Link::Up(_) => self.fill(wait)?,
                Link::Down(_) => self.reconnect(wait)?,
            };
            let over = timeout.is_zero() || until.is_some_and(|until| Instant::now() >= until);
            if !came && over {
                return Ok(None);
            }
        }
    }

    /// Reads once, waiting at most `wait`; gives whether anything came.
    fn fill(&mut self, wait: Duration) -> Result<bool, Error> {
        let session = self.session.expect("a connection is logged on");
        let Link::Up(up) = &mut self.link else { return Ok(false) };
        // It wakes in time for its own heartbeat.
        let waiting = match wait.min(session.heartbeat / 2) {
            Duration::ZERO => Waiting::Never,
            wait => Waiting::For(wait.max(Duration::from_millis(1))),
        };
        // A wait is cut to whole powers of two, so that a shrinking one does not cost a call each time.
        let waiting = match (waiting, up.waiting) {
            (Waiting::For(wanted), Waiting::For(set)) if set <= wanted && set * 2 > wanted => up.waiting,
            _ => waiting,
        };
        if waiting != up.waiting {
            let set = match waiting {
                Waiting::Never => up.stream.set_nonblocking(true),
                Waiting::For(wait) => up
                    .stream
                    .set_nonblocking(false)
                    .and_then(|()| up.stream.set_read_timeout(Some(wait)))
                    .and_then(|()| up.stream.set_write_timeout(Some(session.timeout.max(wait)))),
            };
            set?;
            up.waiting = waiting;
        }
        let read = up.stream.read(self.frames.room());
        match read {
            Ok(0) => self.lost(ErrorKind::UnexpectedEof.into()).map(|()| false),
            Ok(count) => {
                self.frames.read(count);
                up.heard = Instant::now();
                self.keep_alive(session)?;
                Ok(true)
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(false),
            Err(error) if is_wait(&error) => self.keep_alive(session).map(|()| false),
            Err(error) => self.lost(error).map(|()| false),
        }
    }

    /// Sends a heartbeat when nothing else went, and gives the connection up when nothing came.
    fn keep_alive(&mut self, session: Session) -> Result<(), Error> {
        let Link::Up(up) = &mut self.link else { return Ok(()) };
        let now = Instant::now();
        if now.duration_since(up.heard) >= session.timeout {
            return self.lost(ErrorKind::TimedOut.into());
        }
        if now.duration_since(up.said) >= session.heartbeat && self.out.is_empty() {
            self.say(RequestId(0), Request::Alive(&Alive { reserved: Reserved::default() }));
            return self.flush();
        }
        Ok(())
    }

    /// What an output means to the client itself; gives the number under which the caller gets it, if it does.
    #[inline]
    fn digest(&mut self, range: Range<usize>) -> Result<Option<RequestId>, Error> {
        let output = self.frames.at(range);
        let header = output.header;
        let (topic, request) = (header.topic, header.request);
        match header.kind {
            kind::REPLY => Ok(self.unanswered.answer(request)),
            kind::EVENT if topic == Topic::NONE => Ok(Some(request)),
            kind::EVENT => {
                let verdict = self.topics.event(topic, request.0);
                Ok(self.follow(topic, verdict))
            }
            kind::REJECT => {
                let code = output.rejected().map_or(Code(0), |rejected| rejected.code);
                if request.0 & SUBSCRIPTION != 0 {
                    let (topic, verdict) = self.topics.refused(request, code == Refusal::SnapshotNeeded.into());
                    return Ok(self.follow(topic, verdict));
                }
                if code == Refusal::NotSequenced.into() {
                    if self.config.keeps_numbers {
                        return Ok(self.unanswered.is_waiting(request).then_some(request));
                    }
                    let new = self.next;
                    if let Some(image) = self.unanswered.reissue(request, new) {
                        self.next.0 += 1;
                        self.out.extend_from_slice(image);
                    }
                    return Ok(None);
                }
                Ok(self.unanswered.answer(request))
            }
            kind::SNAPSHOT => {
                let end = match header.flags & flag::LAST != 0 {
                    true => match output.decode()? {
                        Notice::SnapshotEnd(end) => Some(end.number),
                        _ => None,
                    },
                    false => None,
                };
                let verdict = self.topics.part(topic, request, end);
                Ok(self.follow(topic, verdict))
            }
            _ => {
                let (topic, verdict) = match output.decode()? {
                    Notice::Subscribed(subscribed) => {
                        (subscribed.topic, self.topics.subscribed(subscribed.topic, request, subscribed.next))
                    }
                    Notice::Overrun(overrun) => (overrun.topic, self.topics.overrun(overrun.topic)),
                    Notice::Unsubscribed(unsubscribed) => (unsubscribed.topic, Verdict::Deliver(request)),
                    Notice::Closing(closing) => return self.closed(closing.code).map(|()| None),
                    _ => return Ok(None),
                };
                Ok(self.follow(topic, verdict))
            }
        }
    }

    fn follow(&mut self, topic: Topic, verdict: Verdict) -> Option<RequestId> {
        match verdict {
            Verdict::Deliver(request) => Some(request),
            Verdict::Skip => None,
            Verdict::Subscribe(request, from) => {
                self.say(request, Request::Subscribe(&Subscribe { topic, from }));
                None
            }
        }
    }

    /// The gateway closes the connection.
    fn closed(&mut self, code: Code) -> Result<(), Error> {
        if is_final(code) {
            self.link = gone(&self.config);
            self.ended = Some(code);
            return Err(Error::Closed { code });
        }
        self.lost(ErrorKind::ConnectionReset.into())
    }

    /// The connection is gone: what is unanswered goes out again over the next one.
    fn lost(&mut self, cause: io::Error) -> Result<(), Error> {
        let now = Instant::now();
        self.link = Link::Down(Down { since: now, retry_at: now, backoff: self.config.backoff_min, cause });
        self.frames.clear();
        self.out.clear();
        self.sent = 0;
        Ok(())
    }

    /// Tries for a connection, if its time has come within `wait`; gives whether there is one. [`Client::poll`] does so by
    /// itself: this is for those who have something else to do than to wait in it for a connection to be made.
    ///
    /// # Errors
    /// See [`Client::poll`].
    pub fn reconnect(&mut self, wait: Duration) -> Result<bool, Error> {
        if let Some(code) = self.ended {
            return Err(Error::Closed { code });
        }
        let Link::Down(down) = &mut self.link else { return Ok(true) };
        let now = Instant::now();
        let pause = down.retry_at.saturating_duration_since(now);
        if pause > wait {
            std::thread::sleep(wait);
            return Ok(false);
        }
        std::thread::sleep(pause);
        match open(&self.config) {
            Ok((stream, session)) => {
                let now = Instant::now();
                self.link = Link::Up(Up { stream, waiting: Waiting::For(Duration::MAX), heard: now, said: now });
                self.start_session(session);
                Ok(true)
            }
            Err(Error::Closed { code }) if is_final(code) => {
                self.ended = Some(code);
                Err(Error::Closed { code })
            }
            Err(error) => {
                let now = Instant::now();
                down.cause = match error {
                    Error::Io(cause) => cause,
                    other => io::Error::other(other.to_string()),
                };
                down.retry_at = now + down.backoff;
                down.backoff = (down.backoff * 2).min(self.config.backoff_max);
                if now.duration_since(down.since) >= self.config.give_up_after {
                    let cause = std::mem::replace(&mut down.cause, ErrorKind::NotConnected.into());
                    return Err(Error::Unreachable { cause });
                }
                Ok(false)
            }
        }
    }

    /// A new session: all that is unanswered goes out first, in order, then the subscriptions.
    fn start_session(&mut self, session: Session) {
        self.session = Some(session);
        self.next = self.next.max(RequestId(session.highest.0 + 1));
        for image in self.unanswered.images() {
            self.out.extend_from_slice(image);
        }
        for (topic, request, from) in self.topics.again() {
            self.say(request, Request::Subscribe(&Subscribe { topic, from }));
        }
    }

    fn say<'m>(&mut self, request: RequestId, message: impl Message<'m>) {
        if matches!(self.link, Link::Up(_)) {
            frame(&mut self.out, request, message);
        }
    }

    /// The next output for the caller, kept.
    fn wait(&mut self, timeout: Duration) -> Result<Option<Answer>, Error> {
        Ok(self.advance(timeout)?.map(|(range, request)| {
            let mut output = self.frames.at(range);
            output.header.request = request;
            Answer::of(output)
        }))
    }

    fn keep(&mut self, output: Answer) -> Result<(), Error> {
        if self.stash.len() >= STASH_MAX {
            return Err(Error::Unpolled { kept: self.stash.len() });
        }
        self.stash.push_back(output);
        Ok(())
    }
}

/// A connection that is logged on.
fn open(config: &Config) -> Result<(TcpStream, Session), Error> {
    let mut stream = TcpStream::connect_timeout(&config.address, config.connect_timeout)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(config.logon_timeout))?;
    stream.set_write_timeout(Some(config.logon_timeout))?;
    let session = log_on(&mut stream, config.client, &config.key)?;
    Ok((stream, session))
}

/// No connection, and no time left to get one.
fn gone(config: &Config) -> Link {
    let now = Instant::now();
    let since = now.checked_sub(config.give_up_after).unwrap_or(now);
    Link::Down(Down { since, retry_at: now, backoff: config.backoff_max, cause: ErrorKind::ConnectionAborted.into() })
}

fn is_answer(of: u8) -> bool {
    of == kind::REPLY || of == kind::REJECT
}

fn is_wait(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

/// Whether a new connection would be closed for the same reason.
fn is_final(code: Code) -> bool {
    [
        Refusal::LogonRefused,
        Refusal::ProtocolMismatch,
        Refusal::Superseded,
        Refusal::LoggedOff,
        Refusal::BadFrame,
        Refusal::NotLoggedOn,
    ]
    .into_iter()
    .any(|refusal| Code::from(refusal) == code)
}
