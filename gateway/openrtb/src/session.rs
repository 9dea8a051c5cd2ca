//! One client of the engine, on a thread of its own: jobs go in, what became of them comes out.

use crate::names::Names;
use ringfence_client::{Client, Error, Output};
use ringfence_domains::auction::messages::{
    Attribute, AuctionHeld, Command, DefineName, Dimension, Event, EventKind, HoldAuction, NAME_BYTES, RecordEvent,
    Reply, VoidWin, WinId,
};
use ringfence_domains::auction::{Auction, topics};
use ringfence_kernel::image::kind;
use ringfence_kernel::messages::Reserved;
use ringfence_kernel::{Domain as _, RequestId, Topic};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::oneshot;

/// Jobs that wait for the engine at most.
const JOBS_MAX: usize = 4_096;
/// How long answers are waited for before new jobs are looked at.
const ANSWERS: Duration = Duration::from_micros(50);
/// How long jobs are waited for before the session is looked after.
const IDLE: Duration = Duration::from_millis(20);

/// What the engine is asked to do.
#[derive(Debug)]
pub enum Job {
    /// To hold an auction. When nobody waits for the answer any more, what was won is taken back.
    Auction(HoldAuction, Vec<Attribute>, oneshot::Sender<Outcome>),
    /// To record that a win was shown.
    Impression(WinId, oneshot::Sender<Outcome>),
    /// To take a win back.
    TakeBack(WinId, oneshot::Sender<Outcome>),
}

/// What became of a job.
#[derive(Clone, Copy, Debug)]
pub enum Outcome {
    /// The auction was held.
    Held(AuctionHeld),
    /// The event is known, or the win was taken back.
    Done,
    /// No win of that number waits for events.
    NoSuchWin,
    /// The engine refused the command, with that code.
    Rejected(u16),
}

/// The way to the engine.
#[derive(Clone, Debug)]
pub struct Engine {
    jobs: SyncSender<Job>,
    /// Names that have numbers.
    pub names: Arc<Names>,
}

impl Engine {
    /// Connects as a client that may trade, observe and administer; names what `named` says and follows all names. The
    /// thread ends when nobody has an [`Engine`] any more, or the engine is lost for good.
    ///
    /// # Errors
    /// See [`Client::connect`]; and a name that the engine refuses.
    pub fn start(
        config: ringfence_client::Config,
        named: &[(Dimension, String)],
    ) -> Result<(Self, JoinHandle<Result<(), Error>>), Error> {
        let mut client = Client::connect(config)?;
        let names = Arc::new(Names::default());
        for (dimension, text) in named {
            define(&mut client, *dimension, text, &names)?;
        }
        client.subscribe(Topic::new(Auction::ID, topics::NAMES, topics::ALL_NAMES), 0)?;
        let (jobs, receiver) = sync_channel(JOBS_MAX);
        let session = Session { client, names: Arc::clone(&names), waiting: HashMap::new() };
        let thread =
            std::thread::Builder::new().name("openrtb-session".into()).spawn(move || session.run(&receiver))?;
        Ok((Self { jobs, names }, thread))
    }

    /// Gives a job to the engine; whether there was room for it.
    #[must_use]
    pub fn ask(&self, job: Job) -> bool {
        self.jobs.try_send(job).is_ok()
    }
}

fn define(client: &mut Client, dimension: Dimension, text: &str, names: &Names) -> Result<(), Error> {
    let mut bytes = [0; NAME_BYTES];
    // What is longer than a name keeps its length, and is refused for it.
    let length = text.len().min(NAME_BYTES);
    bytes[..length].copy_from_slice(&text.as_bytes()[..length]);
    let length = u8::try_from(text.len()).unwrap_or(u8::MAX);
    let name = DefineName { text: bytes, dimension: dimension.into(), length, reserved: Reserved::default() };
    let answer = client.call(Command::DefineName(&name))?;
    if let Reply::NameIs(is) = answer.reply()? {
        names.insert(dimension, text, is.value);
    }
    Ok(())
}

/// Who waits for an answer.
#[derive(Debug)]
enum Waiting {
    Auction(oneshot::Sender<Outcome>),
    Other(oneshot::Sender<Outcome>),
    /// A win that came too late is taken back.
    Nobody,
}

struct Session {
    client: Client,
    names: Arc<Names>,
    waiting: HashMap<RequestId, Waiting>,
}

impl Session {
    fn run(mut self, jobs: &Receiver<Job>) -> Result<(), Error> {
        loop {
            if self.waiting.is_empty() {
                match jobs.recv_timeout(IDLE) {
                    Ok(job) => self.send(job)?,
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return self.client.close(),
                }
            }
            while self.client.room() > 0 {
                match jobs.try_recv() {
                    Ok(job) => self.send(job)?,
                    Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
                }
            }
            let mut wait = if self.waiting.is_empty() { Duration::ZERO } else { ANSWERS };
            while let Some(output) = self.client.poll(wait)? {
                wait = Duration::ZERO;
                let late = answer(output, &mut self.waiting, &self.names);
                if let Some(win) = late {
                    self.take_back(win)?;
                }
            }
        }
    }

    /// Sends a job. There is room for it: what waits was answered, or looked at.
    fn send(&mut self, job: Job) -> Result<(), Error> {
        let (request, waiting) = match job {
            Job::Auction(hold, attributes, waiting) => {
                (self.client.send(Command::HoldAuction(&hold, &attributes))?, Waiting::Auction(waiting))
            }
            Job::Impression(win, waiting) => {
                let event = RecordEvent { win, kind: EventKind::Impression.into(), reserved: Reserved::default() };
                (self.client.send(Command::RecordEvent(&event))?, Waiting::Other(waiting))
            }
            Job::TakeBack(win, waiting) => {
                (self.client.send(Command::VoidWin(&VoidWin { win }))?, Waiting::Other(waiting))
            }
        };
        self.waiting.insert(request, waiting);
        Ok(())
    }

    /// Takes back a win that nobody waits for. Without room its window ends it.
    fn take_back(&mut self, win: WinId) -> Result<(), Error> {
        if self.client.room() > 0 {
            let request = self.client.send(Command::VoidWin(&VoidWin { win }))?;
            self.waiting.insert(request, Waiting::Nobody);
        }
        Ok(())
    }
}

/// Hands an output to whom it is for; gives a win that nobody waited for.
fn answer(output: Output<'_>, waiting: &mut HashMap<RequestId, Waiting>, names: &Names) -> Option<WinId> {
    match output.header.kind {
        kind::EVENT | kind::SNAPSHOT => {
            if let Ok(Event::NameDefined(defined)) = output.decode() {
                names.learn(defined);
            }
            None
        }
        kind::REPLY | kind::REJECT => {
            let outcome = match (output.rejected(), output.decode()) {
                (Some(rejected), _) => Outcome::Rejected(rejected.code.0),
                (None, Ok(Reply::AuctionHeld(held))) => Outcome::Held(*held),
                (None, Ok(Reply::Declined(_))) => Outcome::NoSuchWin,
                _ => Outcome::Done,
            };
            match (waiting.remove(&output.header.request)?, outcome) {
                (Waiting::Auction(waiting), Outcome::Held(held)) => {
                    let late = waiting.send(outcome).is_err() && held.item.0 != 0;
                    late.then_some(held.win)
                }
                (Waiting::Auction(waiting) | Waiting::Other(waiting), outcome) => {
                    // Whoever asked may have left.
                    let _ = waiting.send(outcome);
                    None
                }
                (Waiting::Nobody, _) => None,
            }
        }
        _ => None,
    }
}
