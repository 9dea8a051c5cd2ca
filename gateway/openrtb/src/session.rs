//! One client of the engine, on the thread that serves HTTP: jobs go in, what became of them comes out. Nothing here waits
//! but [`run`] for all of them together.

use crate::names::Names;
use ringfence_client::{Client, Error, Output};
use ringfence_domains::auction::messages::{
    Attribute, AuctionHeld, Command, DeclineReason, DefineName, Dimension, Event, EventKind, HoldAuction, RecordEvent,
    ReleaseWin, Reply, SlotWon, WinId,
};
use ringfence_domains::auction::{Auction, topics};
use ringfence_kernel::image::{flag, kind};
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::reject::Code;
use ringfence_kernel::{Domain as _, RequestId, SessionId, Topic};
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};

/// Auctions, and notices, that wait for the engine at most.
const AUCTIONS_MAX: usize = 4_096;
const NOTICES_MAX: usize = 4_096;
/// How long jobs and answers are waited for before the session is looked after.
const IDLE: Duration = Duration::from_millis(20);
/// How long to wait before the engine is asked again that takes nothing in just now.
const PAUSE: Duration = Duration::from_millis(50);
/// How long one attempt at a connection is waited for.
const SLICE: Duration = Duration::from_millis(100);

/// What an exchange's notice asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Told {
    /// To record that a win was shown.
    Impression(WinId),
    /// To take a win back that was not billed.
    Lost(WinId),
}

/// What became of a job.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The auction was held, and these slots of it were won, in their order.
    Held(Vec<Won>),
    /// The event is known, or the win was taken back.
    Done,
    /// No win of that number waits for events.
    NoSuchWin,
    /// The win was billed.
    Billed,
    /// The engine refused the command, with that code.
    Rejected(u16),
}

/// A slot that was won. It is taken back when this is dropped before it was offered: whoever waited may have left, or cannot
/// use it.
#[derive(Debug)]
pub(crate) struct Won {
    pub(crate) slot: SlotWon,
    back: Option<Rc<Engine>>,
}

impl Won {
    /// An exchange is told of it: from now on notices say what becomes of it.
    pub(crate) fn offered(mut self) {
        self.back = None;
    }
}

impl Drop for Won {
    fn drop(&mut self) {
        if let Some(engine) = self.back.take() {
            engine.take_back(self.slot.win);
        }
    }
}

/// An auction that waits for the engine, until whoever asked has left.
type Asked = (HoldAuction, Vec<Attribute>, oneshot::Sender<Outcome>);

/// A notice that waits for the engine, and until when it may.
#[derive(Debug)]
struct Notice {
    told: Told,
    until: Instant,
    sender: oneshot::Sender<Outcome>,
}

/// The way to the engine.
#[derive(Debug, Default)]
pub(crate) struct Engine {
    auctions: RefCell<VecDeque<Asked>>,
    notices: RefCell<VecDeque<Notice>>,
    /// Wins that nobody uses: as many as are won, which the engine bounds.
    unused: RefCell<Vec<WinId>>,
    wake: Notify,
    /// Names that have numbers, and whether those are all.
    pub(crate) names: RefCell<Names>,
    knows_names: Cell<bool>,
}

impl Engine {
    /// Whether all names of the log are known: a request would be read without some before.
    pub(crate) fn is_ready(&self) -> bool {
        self.knows_names.get()
    }

    /// Asks for an auction; none when too many wait.
    pub(crate) fn hold(&self, auction: HoldAuction, attributes: Vec<Attribute>) -> Option<oneshot::Receiver<Outcome>> {
        let mut auctions = self.auctions.borrow_mut();
        if auctions.len() >= AUCTIONS_MAX {
            return None;
        }
        let (sender, receiver) = oneshot::channel();
        auctions.push_back((auction, attributes, sender));
        self.wake.notify_one();
        Some(receiver)
    }

    /// Tells the engine what an exchange said, before auctions are asked for, and until `until` as often as it takes; none when
    /// too much waits.
    pub(crate) fn tell(&self, told: Told, until: Instant) -> Option<oneshot::Receiver<Outcome>> {
        let mut notices = self.notices.borrow_mut();
        if notices.len() >= NOTICES_MAX {
            return None;
        }
        let (sender, receiver) = oneshot::channel();
        notices.push_back(Notice { told, until, sender });
        self.wake.notify_one();
        Some(receiver)
    }

    fn take_back(&self, win: WinId) {
        self.unused.borrow_mut().push(win);
        self.wake.notify_one();
    }
}

/// A client of the engine that knows all names.
#[derive(Debug)]
pub struct Session {
    client: Client,
    names: Names,
    /// The subscription to names.
    following: RequestId,
}

impl Session {
    /// Connects as a client that may trade, observe and administer; names what `named` says, and knows all names when it
    /// returns.
    ///
    /// # Errors
    /// See [`Client::connect`]; a name that the engine refuses, and names that may not be followed.
    pub fn start(config: ringfence_client::Config, named: &[(Dimension, String)]) -> Result<Self, Error> {
        let mut client = Client::connect(config)?;
        let mut names = Names::default();
        for (dimension, text) in named {
            let answer = client.call(Command::DefineName(&DefineName::new(*dimension, text)))?;
            if let Reply::NameIs(is) = answer.reply()? {
                names.insert(*dimension, text, is.value);
            }
        }
        let following = client.subscribe(all_names(), 0)?;
        loop {
            let Some(output) = client.poll(IDLE)? else { continue };
            if let Some(rejected) = output.rejected().filter(|_| output.header.request == following) {
                return Err(Error::Refused { code: rejected.code });
            }
            learn(&output, &mut names);
            if is_whole(&output) {
                return Ok(Self { client, names, following });
            }
        }
    }

    /// The client, and what is shared with those who ask.
    pub(crate) fn share(self) -> (Desk, Client) {
        let Self { client, names, following } = self;
        let engine = Engine { names: RefCell::new(names), knows_names: Cell::new(true), ..Engine::default() };
        (Desk { engine: Rc::new(engine), following, ..Desk::default() }, client)
    }
}

fn all_names() -> Topic {
    Topic::new(Auction::ID, topics::NAMES, topics::ALL_NAMES)
}

fn learn(output: &Output<'_>, names: &mut Names) {
    if let Ok(Event::NameDefined(defined)) = output.decode() {
        names.learn(defined);
    }
}

/// Whether all names were told that there are.
fn is_whole(output: &Output<'_>) -> bool {
    output.header.kind == kind::SNAPSHOT && output.header.flags & flag::LAST != 0
}

/// What waits for an answer.
#[derive(Debug)]
enum Waiting {
    Auction(oneshot::Sender<Outcome>),
    Notice(Notice),
    /// A win that nobody uses is taken back.
    TakeBack(WinId),
}

/// What is under way between those who ask and the engine.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    pub(crate) engine: Rc<Engine>,
    waiting: HashMap<RequestId, Waiting>,
    /// Slots after the first that an auction won whose answer comes next, and what asked for it.
    more: (RequestId, Vec<Won>),
    /// When to ask again what the engine did not take in.
    again: Option<Instant>,
    following: RequestId,
    /// Whether names must be followed again.
    lost_names: bool,
}

/// Serves those who ask until the engine is lost for good.
///
/// # Errors
/// When it is, or the socket cannot be waited for.
pub(crate) async fn run(mut desk: Desk, mut client: Client) -> Result<(), Error> {
    let mut beat = interval(IDLE);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut socket: Option<(SessionId, TcpStream)> = None;
    loop {
        if !client.is_connected() {
            socket = None;
            client = reconnect(client).await?;
            continue;
        }
        let session = client.session_id().unwrap_or_default();
        let watched = match socket.take().filter(|(watched, _)| *watched == session) {
            Some(watched) => watched,
            None => {
                // From the first look on it waits for nothing.
                desk.look(&mut client)?;
                let Some(fd) = client.as_fd() else { continue };
                (session, TcpStream::from_std(fd.try_clone_to_owned()?.into())?)
            }
        };
        let (_, stream) = socket.insert(watched);
        desk.send(&mut client)?;
        client.flush()?;
        if !client.is_connected() {
            continue;
        }
        match wait(stream, &desk.engine.wake, &mut beat).await? {
            Woken::Asked => {}
            Woken::Idle => desk.look(&mut client)?,
            Woken::Readable => {
                desk.look(&mut client)?;
                // All was read. What comes from here on is told when this waits again, not before.
                let _ = stream.try_io(Interest::READABLE, || Err::<(), _>(io::ErrorKind::WouldBlock.into()));
            }
        }
    }
}

/// A connection, which is waited for on another thread: exchanges are answered meanwhile.
async fn reconnect(mut client: Client) -> Result<Client, Error> {
    let task = tokio::task::spawn_blocking(move || {
        while !client.reconnect(SLICE)? {}
        Ok(client)
    });
    task.await.map_err(|ended| Error::Io(io::Error::other(ended)))?
}

enum Woken {
    Readable,
    Asked,
    Idle,
}

async fn wait(stream: &TcpStream, wake: &Notify, beat: &mut Interval) -> io::Result<Woken> {
    let mut asked = pin!(wake.notified());
    poll_fn(|context| {
        if let Poll::Ready(ready) = stream.poll_read_ready(context) {
            return Poll::Ready(ready.map(|()| Woken::Readable));
        }
        if asked.as_mut().poll(context).is_ready() {
            return Poll::Ready(Ok(Woken::Asked));
        }
        beat.poll_tick(context).map(|_| Ok(Woken::Idle))
    })
    .await
}

impl Desk {
    /// Sends what waits, as far as there is room: wins that nobody uses and notices first.
    fn send(&mut self, client: &mut Client) -> Result<(), Error> {
        let now = Instant::now();
        if self.again.is_none_or(|again| again <= now) {
            self.again = None;
            if std::mem::take(&mut self.lost_names) {
                self.following = client.subscribe(all_names(), 0)?;
            }
            while client.room() > 0 {
                let Some(win) = self.engine.unused.borrow_mut().pop() else { break };
                let request = client.send(Command::ReleaseWin(&ReleaseWin { win }))?;
                self.waiting.insert(request, Waiting::TakeBack(win));
            }
            while client.room() > 0 {
                let Some(notice) = self.engine.notices.borrow_mut().pop_front() else { break };
                let request = match notice.told {
                    Told::Impression(win) => {
                        let (kind, reserved) = (EventKind::Impression.into(), Reserved::default());
                        client.send(Command::RecordEvent(&RecordEvent { win, kind, reserved, source: 0 }))?
                    }
                    Told::Lost(win) => client.send(Command::ReleaseWin(&ReleaseWin { win }))?,
                };
                self.waiting.insert(request, Waiting::Notice(notice));
            }
        }
        while client.room() > 0 {
            let Some((auction, attributes, sender)) = self.engine.auctions.borrow_mut().pop_front() else { break };
            // Whoever asked may have left: nothing is held for nobody.
            if !sender.is_closed() {
                let request = client.send(Command::HoldAuction(&auction, &attributes))?;
                self.waiting.insert(request, Waiting::Auction(sender));
            }
        }
        Ok(())
    }

    /// Takes in all that came.
    fn look(&mut self, client: &mut Client) -> Result<(), Error> {
        while let Some(output) = client.poll(Duration::ZERO)? {
            self.take(&output);
        }
        Ok(())
    }

    fn take(&mut self, output: &Output<'_>) {
        let request = output.header.request;
        match output.header.kind {
            kind::EVENT => match output.decode() {
                Ok(Event::SlotWon(slot)) => {
                    if self.more.0 != request {
                        self.more = (request, Vec::new());
                    }
                    let won = self.won(*slot);
                    self.more.1.push(won);
                }
                Ok(Event::NameDefined(defined)) => self.engine.names.borrow_mut().learn(defined),
                _ => {}
            },
            kind::SNAPSHOT if is_whole(output) => self.engine.knows_names.set(true),
            kind::SNAPSHOT => learn(output, &mut self.engine.names.borrow_mut()),
            kind::REJECT if request == self.following => {
                // The engine has no room for a subscription just now. Names may be missed meanwhile.
                tracing::warn!("names are not followed just now");
                self.engine.knows_names.set(false);
                self.lost_names = true;
                self.ask_again();
            }
            kind::REPLY | kind::REJECT => self.answer(output),
            _ => {}
        }
    }

    /// Hands an answer to whom it is for. Whoever asked may have left: a win that comes back is dropped, and taken back by that.
    fn answer(&mut self, output: &Output<'_>) {
        let request = output.header.request;
        let (told_of, mut others) = std::mem::take(&mut self.more);
        if told_of != request {
            others.clear();
        }
        let waiting = self.waiting.remove(&request);
        let refused = output.rejected().map(|rejected| rejected.code);
        match waiting {
            Some(Waiting::Auction(sender)) => {
                let outcome = match (refused, output.decode()) {
                    (None, Ok(Reply::AuctionHeld(held))) => Outcome::Held(self.all_won(held, others)),
                    (code, _) => Outcome::Rejected(code.unwrap_or(Code(0)).0),
                };
                let _ = sender.send(outcome);
            }
            Some(Waiting::Notice(notice)) if refused.is_some_and(Code::is_passing) && Instant::now() < notice.until => {
                self.engine.notices.borrow_mut().push_front(notice);
                self.ask_again();
            }
            Some(Waiting::Notice(notice)) => {
                let outcome = match (refused, output.decode()) {
                    (Some(code), _) => Outcome::Rejected(code.0),
                    (None, Ok(Reply::Declined(declined))) => match declined.reason.get() {
                        DeclineReason::AlreadyBilled => Outcome::Billed,
                        _ => Outcome::NoSuchWin,
                    },
                    _ => Outcome::Done,
                };
                let _ = notice.sender.send(outcome);
            }
            Some(Waiting::TakeBack(win)) if refused.is_some_and(Code::is_passing) => {
                self.engine.unused.borrow_mut().push(win);
                self.ask_again();
            }
            Some(Waiting::TakeBack(_)) | None => {}
        }
    }

    fn ask_again(&mut self) {
        self.again = Some(Instant::now() + PAUSE);
    }

    fn won(&self, slot: SlotWon) -> Won {
        Won { slot, back: Some(Rc::clone(&self.engine)) }
    }

    /// All slots that an auction won: the first, which its answer has, and those told of before it. What was told over a connection that
    /// was lost is not known: those are taken back.
    fn all_won(&self, held: &AuctionHeld, others: Vec<Won>) -> Vec<Won> {
        let AuctionHeld { win, price, item, creative, pays, deal, .. } = *held;
        if item.0 == 0 {
            return others;
        }
        for missed in (win.0 + 1..win.0 + u64::from(held.won)).map(WinId) {
            if !others.iter().any(|other| other.slot.win == missed) {
                self.engine.take_back(missed);
            }
        }
        let first = SlotWon { win, price, item, slot: 1, creative, pays, deal, reserved: Reserved::default() };
        std::iter::once(self.won(first)).chain(others).collect()
    }
}
