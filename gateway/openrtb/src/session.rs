//! One client of the engine, on a thread of its own: jobs go in, what became of them comes out.

use crate::names::Names;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};
use ringfence_client::{Client, Error, Output};
use ringfence_domains::auction::messages::{
    Attribute, AuctionHeld, Command, DefineName, Dimension, Event, EventKind, HoldAuction, RecordEvent, Reply, VoidWin,
    WinId,
};
use ringfence_domains::auction::{Auction, topics};
use ringfence_kernel::image::{flag, kind};
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::{Domain as _, RequestId, SessionId, Topic};
use std::collections::HashMap;
use std::os::fd::AsRawFd as _;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, TryRecvError, channel, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::oneshot;

/// Jobs that wait for the engine at most.
const JOBS_MAX: usize = 4_096;
/// How long jobs and answers are waited for before the session is looked after.
const IDLE: Duration = Duration::from_millis(20);

/// Names of sockets.
const ENGINE: Token = Token(0);
const JOBS: Token = Token(1);

/// What the engine is asked to do.
#[derive(Debug)]
pub(crate) enum Job {
    /// To hold an auction.
    Auction(HoldAuction, Vec<Attribute>),
    /// To record that a win was shown.
    Impression(WinId),
    /// To take a win back.
    TakeBack(WinId),
}

/// What became of a job.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The auction was held.
    Held(Held),
    /// The event is known, or the win was taken back.
    Done,
    /// No win of that number waits for events.
    NoSuchWin,
    /// The engine refused the command, with that code.
    Rejected(u16),
}

/// An auction that was held. What was won is taken back when this is dropped before it was offered: whoever waited may have
/// left, or cannot use it.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) auction: AuctionHeld,
    back: Option<Back>,
}

impl Held {
    /// An exchange is told of it: from now on notices say what becomes of it.
    pub(crate) fn offered(mut self) {
        self.back = None;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(back) = self.back.take().filter(|_| self.auction.item.0 != 0) {
            back.take_back(self.auction.win);
        }
    }
}

/// The way back for wins that nobody uses: as many as are won, which the engine bounds.
#[derive(Clone, Debug)]
struct Back {
    wins: Sender<WinId>,
    waker: Arc<Waker>,
}

impl Back {
    fn take_back(&self, win: WinId) {
        // A session that is over takes nothing back: windows end.
        let _ = self.wins.send(win);
        let _ = self.waker.wake();
    }
}

/// The way to the engine.
#[derive(Clone, Debug)]
pub struct Engine {
    jobs: SyncSender<(Job, oneshot::Sender<Outcome>)>,
    waker: Arc<Waker>,
    /// Names that have numbers.
    pub(crate) names: Arc<Names>,
}

impl Engine {
    /// Connects as a client that may trade, observe and administer; names what `named` says, and knows all names when it
    /// returns. The thread ends when nobody has an [`Engine`] any more, or the engine is lost for good.
    ///
    /// # Errors
    /// See [`Client::connect`]; a name that the engine refuses, and names that may not be followed.
    pub fn start(
        config: ringfence_client::Config,
        named: &[(Dimension, String)],
    ) -> Result<(Self, JoinHandle<Result<(), Error>>), Error> {
        let mut client = Client::connect(config)?;
        let names = Arc::new(Names::default());
        for (dimension, text) in named {
            let answer = client.call(Command::DefineName(&DefineName::new(*dimension, text)))?;
            if let Reply::NameIs(is) = answer.reply()? {
                names.insert(*dimension, text, is.value);
            }
        }
        follow(&mut client, &names)?;
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), JOBS)?);
        let ((jobs, asked), (wins, unused)) = (sync_channel(JOBS_MAX), channel());
        let engine = Self { jobs, waker: Arc::clone(&waker), names: Arc::clone(&names) };
        let (waiting, back) = (HashMap::new(), Back { wins, waker });
        let session = Session { client, names, poll, polled: None, waiting, asked, unused, back };
        let thread = std::thread::Builder::new().name("openrtb-session".into()).spawn(move || session.run())?;
        Ok((engine, thread))
    }

    /// Gives a job to the engine; none when too much waits for it.
    pub(crate) fn ask(&self, job: Job) -> Option<oneshot::Receiver<Outcome>> {
        let (sender, receiver) = oneshot::channel();
        self.jobs.try_send((job, sender)).ok()?;
        // It looks again in a while by itself.
        let _ = self.waker.wake();
        Some(receiver)
    }
}

/// Follows the names of the log, and waits for all that there are: before that a request would be read without them.
fn follow(client: &mut Client, names: &Names) -> Result<(), Error> {
    let request = client.subscribe(Topic::new(Auction::ID, topics::NAMES, topics::ALL_NAMES), 0)?;
    loop {
        let Some(output) = client.poll(IDLE)? else { continue };
        if let Some(rejected) = output.rejected().filter(|_| output.header.request == request) {
            return Err(Error::Refused { code: rejected.code });
        }
        learn(&output, names);
        if output.header.kind == kind::SNAPSHOT && output.header.flags & flag::LAST != 0 {
            return Ok(());
        }
    }
}

fn learn(output: &Output<'_>, names: &Names) {
    if let Ok(Event::NameDefined(defined)) = output.decode() {
        names.learn(defined);
    }
}

struct Session {
    client: Client,
    names: Arc<Names>,
    poll: Poll,
    /// The session whose socket is polled.
    polled: Option<SessionId>,
    /// Who waits for an answer; nobody for that of a win that is taken back because nobody uses it.
    waiting: HashMap<RequestId, Option<oneshot::Sender<Outcome>>>,
    asked: Receiver<(Job, oneshot::Sender<Outcome>)>,
    /// Wins that nobody uses.
    unused: Receiver<WinId>,
    back: Back,
}

impl Session {
    fn run(mut self) -> Result<(), Error> {
        let mut events = Events::with_capacity(8);
        loop {
            self.watch()?;
            while self.client.room() > 0 && self.take_back()? {}
            while self.client.room() > 0 {
                match self.asked.try_recv() {
                    Ok((job, waiting)) => self.send(&job, Some(waiting))?,
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) if self.waiting.is_empty() => return self.client.close(),
                    Err(TryRecvError::Disconnected) => break,
                }
            }
            let mut came = false;
            while let Some(output) = self.client.poll(Duration::ZERO)? {
                came = true;
                learn(&output, &self.names);
                answer(&output, &mut self.waiting, &self.back);
            }
            // What came may have made room for what waits.
            if !came {
                self.poll.poll(&mut events, Some(IDLE)).or_else(|error| match error.kind() {
                    std::io::ErrorKind::Interrupted => Ok(()),
                    _ => Err(error),
                })?;
            }
        }
    }

    /// Waits for the engine's socket too, whichever it is now.
    fn watch(&mut self) -> Result<(), Error> {
        let session = self.client.session().map(|session| session.session);
        if let (Some(socket), true) = (self.client.as_fd(), session != self.polled) {
            self.poll.registry().register(&mut SourceFd(&socket.as_raw_fd()), ENGINE, Interest::READABLE)?;
            self.polled = session;
        }
        Ok(())
    }

    /// Takes a win back that nobody uses; whether there was one.
    fn take_back(&mut self) -> Result<bool, Error> {
        let Ok(win) = self.unused.try_recv() else { return Ok(false) };
        self.send(&Job::TakeBack(win), None)?;
        Ok(true)
    }

    /// Sends a job. There is room for it.
    fn send(&mut self, job: &Job, waiting: Option<oneshot::Sender<Outcome>>) -> Result<(), Error> {
        let request = match job {
            Job::Auction(hold, attributes) => self.client.send(Command::HoldAuction(hold, attributes)),
            Job::Impression(win) => {
                let (kind, reserved) = (EventKind::Impression.into(), Reserved::default());
                self.client.send(Command::RecordEvent(&RecordEvent { win: *win, kind, reserved, source: 0 }))
            }
            Job::TakeBack(win) => self.client.send(Command::VoidWin(&VoidWin { win: *win })),
        };
        self.waiting.insert(request?, waiting);
        Ok(())
    }
}

/// Hands an answer to whom it is for. A win that an answer has no place for, of a slot after the first, is taken back.
fn answer(output: &Output<'_>, waiting: &mut HashMap<RequestId, Option<oneshot::Sender<Outcome>>>, back: &Back) {
    if output.header.kind == kind::EVENT
        && let Ok(Event::SlotWon(won)) = output.decode()
    {
        tracing::warn!(item = won.item.0, slot = won.slot, "a placement of exchanges has one slot");
        back.take_back(won.win);
    }
    if !matches!(output.header.kind, kind::REPLY | kind::REJECT) {
        return;
    }
    let outcome = match (output.rejected(), output.decode()) {
        (Some(rejected), _) => Outcome::Rejected(rejected.code.0),
        (None, Ok(Reply::AuctionHeld(held))) => Outcome::Held(Held { auction: *held, back: Some(back.clone()) }),
        (None, Ok(Reply::Declined(_))) => Outcome::NoSuchWin,
        _ => Outcome::Done,
    };
    if let Some(waiting) = waiting.remove(&output.header.request).flatten() {
        // Whoever asked may have left: a win that comes back is dropped, and taken back by that.
        let _ = waiting.send(outcome);
    }
}
