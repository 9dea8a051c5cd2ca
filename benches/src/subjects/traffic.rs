//! A workload from several connections of one client process.

use crate::load::{LEAD_NS, Latency, Load, Nanos, Outcome};
use crate::subjects::wire::{KEY, spin, take_answers};
use mio::{Events, Interest, Poll, Token};
use ringfence_domains::workloads::find;
use ringfence_kernel::workload::CommandImage;
use ringfence_kernel::{ClientId, RequestId, SessionId, Timestamp};
use std::collections::VecDeque;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Commands made beyond those that are timed, per hundred: connections get unequal parts, and none may run out before the end.
const SPARE_PERCENT: u64 = 5;
/// Unanswered commands of one connection at once while what the workload stands on is set up.
const SETTING_UP: usize = 256;

/// Whose commands a client process sends.
#[derive(Clone, Debug, clap::Args)]
pub struct Traffic {
    /// Send commands of this domain instead of pings.
    #[arg(long, requires = "workload")]
    pub domain: Option<String>,
    /// One of the domain's workloads.
    #[arg(long, requires = "domain")]
    pub workload: Option<String>,
    /// The workload's seed.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Connections, each of a client of its own.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=2_048))]
    pub connections: u32,
    /// Commands of the workload that are sent in their order beforehand and not timed.
    #[arg(long, default_value_t = 100_000)]
    pub set_up: u64,
}

impl Traffic {
    /// Pings of the domain that does nothing, on one connection.
    pub const fn pings() -> Self {
        Self { domain: None, workload: None, seed: 1, connections: 1, set_up: 0 }
    }

    /// What it adds to the name of a figure.
    pub fn label(&self) -> String {
        let (Some(domain), Some(workload)) = (&self.domain, &self.workload) else { return String::new() };
        format!(", {domain} {workload}, {} connections", self.connections)
    }

    /// The words that ask a client process for it.
    pub fn arguments(&self) -> Vec<String> {
        let mut words = vec![format!("--seed={}", self.seed), format!("--connections={}", self.connections)];
        words.push(format!("--set-up={}", self.set_up));
        words.extend(self.domain.iter().map(|domain| format!("--domain={domain}")));
        words.extend(self.workload.iter().map(|workload| format!("--workload={workload}")));
        words
    }

    /// Sends the workload's commands under `load`, at most `window` unanswered, until `commands` are answered, and times that.
    ///
    /// # Panics
    /// When there is no such workload, or a connection ends.
    pub fn run(&self, address: SocketAddr, load: Load, window: usize, commands: u64) -> Outcome {
        let (domain, workload) = (self.domain.as_deref(), self.workload.as_deref());
        let kind = find(domain.expect("a domain is named"), workload.expect("a workload is named"));
        let mut workload = (kind.expect("the workload exists").new)(self.seed, self.connections);
        let mut scripts = vec![Script::default(); self.connections as usize];
        let mut image = CommandImage::default();
        let order = (0..self.set_up + commands + commands * SPARE_PERCENT / 100).map(|_| {
            workload.next(&mut image);
            let link = image.client.0 as usize - 1;
            scripts[link].add(&mut image);
            link as u32
        });
        let order: Vec<u32> = order.collect();
        let mut links = Links::new(scripts, |client| {
            let mut stream = TcpStream::connect(address).expect("the engine listens");
            ringfence_client::log_on(&mut stream, client, &KEY).expect("the client logs on");
            stream
        });
        let (set_up, order) = order.split_at(self.set_up as usize);
        links.send_in_order(set_up);
        links.time(load, window, commands, order)
    }
}

/// What one client sends: its commands one behind the other, numbered.
#[derive(Clone, Debug, Default)]
pub(crate) struct Script {
    bytes: Vec<u8>,
    commands: u64,
}

impl Script {
    /// The same bytes, `count` times.
    pub(crate) fn of(bytes: &[u8], count: u64) -> Self {
        Self { bytes: bytes.repeat(count as usize), commands: count }
    }

    /// Adds a command.
    pub(crate) fn add(&mut self, image: &mut CommandImage) {
        self.commands += 1;
        image.stamp(SessionId(0), RequestId(self.commands), Timestamp(0));
        self.bytes.extend_from_slice(image.bytes());
    }
}

/// A connection and how far it is in its script.
struct Link {
    stream: mio::net::TcpStream,
    script: Vec<u8>,
    /// Where the part of the script ends that may be sent, and where what was sent.
    admitted: usize,
    written: usize,
    answers: Vec<u8>,
    kept: usize,
    /// When each that is unanswered was due and sent.
    sent: VecDeque<(u64, u64)>,
}

impl Link {
    /// Lets the next command be sent. False when there is none.
    fn admit(&mut self, due: u64, now: u64) -> bool {
        let Some(length) = self.script[self.admitted..].first_chunk() else { return false };
        self.admitted += usize::from(u16::from_le_bytes(*length));
        self.sent.push_back((due, now));
        true
    }

    fn write(&mut self) {
        while self.written < self.admitted {
            match self.stream.write(&self.script[self.written..self.admitted]) {
                Ok(bytes) => self.written += bytes,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => panic!("the connection ended: {error}"),
            }
        }
    }

    /// Takes in what came.
    fn read(&mut self, seen: &mut Seen) {
        loop {
            let room = self.answers.len() - self.kept;
            let bytes = match self.stream.read(&mut self.answers[self.kept..]) {
                Ok(0) => panic!("the other side closed the connection"),
                Ok(bytes) => bytes,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => panic!("the connection ended: {error}"),
            };
            self.kept += bytes;
            self.take_in(seen);
            if bytes < room {
                return;
            }
        }
    }

    fn take_in(&mut self, seen: &mut Seen) {
        let (now, sent) = (seen.clock.now(), &mut self.sent);
        take_answers(&mut self.answers, &mut self.kept, |is_refused| {
            let (due, sent) = sent.pop_front().expect("an answer answers something");
            seen.latency.record(due, sent, now);
            seen.answered += 1;
            seen.refused += u64::from(is_refused);
        });
    }
}

/// What came back.
#[derive(Default)]
struct Seen {
    clock: Nanos,
    latency: Latency,
    answered: u64,
    refused: u64,
}

/// All connections of a client process.
pub(crate) struct Links {
    links: Vec<Link>,
    poll: Poll,
    events: Events,
    seen: Seen,
}

impl Links {
    /// Connects once for each script; clients are numbered from 1.
    ///
    /// # Panics
    /// When it cannot.
    pub(crate) fn new(scripts: Vec<Script>, connect: impl Fn(ClientId) -> TcpStream) -> Self {
        let poll = Poll::new().expect("there is a poller");
        let links = scripts.into_iter().zip(1..).map(|(script, client)| {
            let stream = connect(ClientId(client));
            spin(&stream);
            let mut stream = mio::net::TcpStream::from_std(stream);
            poll.registry()
                .register(&mut stream, Token(client as usize - 1), Interest::READABLE)
                .expect("it can be waited for");
            let (answers, sent) = (vec![0; 1 << 16], VecDeque::new());
            Link { stream, script: script.bytes, admitted: 0, written: 0, answers, kept: 0, sent }
        });
        let links: Vec<Link> = links.collect();
        Self { poll, events: Events::with_capacity(links.len()), seen: Seen::default(), links }
    }

    /// Takes in what came on any connection.
    fn read(&mut self) {
        let Self { links, poll, events, seen } = self;
        if let [only] = &mut links[..] {
            return only.read(seen);
        }
        poll.poll(events, Some(Duration::ZERO)).expect("a poller polls");
        events.iter().for_each(|event| links[event.token().0].read(seen));
    }

    /// Sends what stands first in the scripts, `order` telling whose is next: one connection after another, so that it is decided
    /// in this order. Nothing of it is timed.
    fn send_in_order(&mut self, order: &[u32]) {
        for run in order.chunk_by(|a, b| a == b) {
            let at = run[0] as usize;
            for _ in run {
                assert!(self.links[at].admit(0, 0), "a script has what the order says");
                self.settle(at, SETTING_UP);
            }
            self.settle(at, 0);
        }
        self.seen = Seen::default();
    }

    /// Waits until at most so many commands of a connection are unanswered.
    fn settle(&mut self, at: usize, unanswered: usize) {
        while self.links[at].sent.len() > unanswered {
            self.links[at].write();
            self.read();
        }
    }

    /// Sends under `load`, at most `window` unanswered, until `commands` are answered. An open loop sends in `order`; a closed one
    /// gives each connection its part of the window, whoever's turn it would be.
    pub(crate) fn time(mut self, load: Load, window: usize, commands: u64, order: &[u32]) -> Outcome {
        let part = (window / self.links.len()).max(1);
        let begun = self.seen.clock.now() + LEAD_NS;
        let mut sent = 0;
        while self.seen.answered < commands {
            let now = self.seen.clock.now();
            match load {
                Load::Open { .. } => {
                    let room = (window as u64).saturating_sub(sent - self.seen.answered).min(commands - sent);
                    for at in &order[sent as usize..][..room as usize] {
                        let due = begun + load.due(sent);
                        if due > now || !self.links[*at as usize].admit(due, now) {
                            break;
                        }
                        sent += 1;
                    }
                }
                Load::Closed => {
                    for link in &mut self.links {
                        while link.sent.len() < part && link.admit(now, now) {
                            sent += 1;
                        }
                    }
                }
            }
            self.links.iter_mut().filter(|link| link.written < link.admitted).for_each(Link::write);
            self.read();
        }
        let Seen { clock, mut latency, answered, refused } = self.seen;
        latency.elapsed = Duration::from_nanos(clock.now() - begun);
        Outcome { latency, sent, answered, refused }
    }
}
