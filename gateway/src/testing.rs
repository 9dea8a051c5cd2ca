//! For tests: an engine of a page, a clock moved by hand, and the bodies of the fuzz targets.

use crate::clock::Clock;
use crate::codecs::native::{self, Split};
use crate::config::GatewayConfig;
use crate::logon::Keys;
use crate::port::Port;
use crate::retransmission::Retransmission;
use crate::server::{Gateway, Start};
use ringfence_kernel::ids::{ClientId, DomainId, RequestId, Sequence, SessionId, Timestamp, Topic};
use ringfence_kernel::image::{COMMAND_HEADER_BYTES, CommandHeader, OutputHeader, SLOT_BYTES, Slot, flag, kind, slots};
use ringfence_kernel::messages::{Message, Reserved};
use ringfence_kernel::outbox::{Outbox, Stamp};
use ringfence_kernel::reject::Refusal;
use ringfence_kernel::session::Roles;
use ringfence_kernel::system::{self, Frame};
use ringfence_kernel::wire::{LoggedOn, Notice, Rejected, SnapshotEnd};
use ringfence_kernel::{Code, messages};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The schema of the test commands.
pub const SCHEMA: u16 = 900;
/// The domain of the test commands.
pub const DOMAIN: DomainId = DomainId(SCHEMA);

messages! {
    /// What the test engine understands.
    pub enum Command in schema 900 version 1 {
        /// Is answered with the same value.
        1 => Echo: 8 {
            /// Any.
            value: u64,
        },
        /// Says numbered events on a topic, then answers.
        2 => Say: 16 {
            /// Which.
            topic: Topic,
            /// How many.
            count: u64,
        },
        /// As long as the test wants.
        3 => Long: 8 {
            /// Any.
            value: u64,
        } + words: Word: 8 {
            /// Any.
            word: u64,
        },
    }
}

messages! {
    /// What the test engine says.
    pub enum Output in schema 900 version 1 {
        /// The answer to everything.
        101 => Echoed: 16 {
            /// The value, or for `Long` the sum of its words.
            value: u64,
            /// Commands executed before this one.
            executed: u64,
        },
        /// On a topic.
        102 => Said: 8 {
            /// Its number there.
            number: u64,
        },
    }
}

/// A clock that a test moves.
#[derive(Clone, Debug, Default)]
pub struct ManualClock(Arc<AtomicU64>);

impl ManualClock {
    /// Moves it on.
    pub fn advance_ms(&self, milliseconds: u64) {
        self.0.fetch_add(milliseconds * 1_000_000, Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn now(&mut self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Relaxed))
    }
}

#[derive(Debug, Default)]
struct Known {
    highest: u64,
    /// The last answers, oldest first.
    window: VecDeque<(u64, Slot)>,
}

/// A port with the rules of sessions behind it and an echo in place of domains. It executes when it is drained,
/// unless it is held.
#[derive(Debug)]
pub struct FakePort {
    /// Commands taken in and not yet executed.
    pub ingress: VecDeque<Vec<u8>>,
    /// Outputs not yet drained.
    pub egress: VecDeque<Slot>,
    /// Slots that the ingress ring holds.
    pub capacity: usize,
    /// Claims to be refused, as if the ring were full just then.
    pub refusals: usize,
    /// Nothing is executed while it is set.
    pub held: bool,
    /// What [`Port::accepts`] says.
    pub disk_has_room: bool,
    /// What [`Port::next_deadline`] says.
    pub deadline: Option<Timestamp>,
    /// Every command executed: client, request, value. Duplicates are not executed.
    pub executed: Vec<(ClientId, RequestId, u64)>,
    /// Every system frame that came, by template, with its session.
    pub frames: Vec<(u16, SessionId)>,
    /// Answers kept for each client.
    pub window: usize,
    /// Parts of a snapshot beside its end.
    pub snapshot_parts: u64,
    /// A mutation for the suite to notice: duplicates are executed again.
    pub forget_dedupe: bool,
    sessions: BTreeMap<u32, ClientId>,
    clients: BTreeMap<ClientId, Known>,
    topics: BTreeMap<Topic, u64>,
    sequence: u64,
    used: usize,
    outbox: Outbox,
}

impl FakePort {
    /// The kind of topics that the test engine does not have.
    pub const NO_SUCH_KIND: u16 = 0xeee;

    /// A ring of `capacity` slots, `window` answers kept.
    #[must_use]
    pub fn new(capacity: usize, window: usize) -> Self {
        Self {
            ingress: VecDeque::new(),
            egress: VecDeque::new(),
            capacity,
            refusals: 0,
            held: false,
            disk_has_room: true,
            deadline: None,
            executed: Vec::new(),
            frames: Vec::new(),
            window,
            snapshot_parts: 1,
            forget_dedupe: false,
            sessions: BTreeMap::new(),
            clients: BTreeMap::new(),
            topics: BTreeMap::new(),
            sequence: 0,
            used: 0,
            outbox: Outbox::with_capacity(70_000),
        }
    }

    /// Executes at most `limit` commands, held or not.
    pub fn execute(&mut self, limit: usize) {
        for _ in 0..limit {
            let Some(image) = self.ingress.pop_front() else { return };
            self.used -= slots(image.len());
            self.decide(&image);
            self.sequence += 1;
            self.flush();
        }
    }

    /// Says `count` events on `topic`, as if a command had caused them.
    pub fn say(&mut self, topic: Topic, count: u64) {
        self.outbox.begin(Stamp { sequence: Sequence(self.sequence), ..Stamp::default() });
        Self::events(&mut self.outbox, &mut self.topics, topic, count);
        self.flush();
    }

    fn flush(&mut self) {
        self.egress.extend(self.outbox.outputs().iter().copied());
        self.outbox.flushed();
    }

    /// Makes it seem that `client` had its next request but one executed, with the answer to its last one, and that
    /// the request between them never came.
    pub fn pass_by(&mut self, client: ClientId) {
        let known = self.clients.get_mut(&client).expect("a client that was here");
        known.highest += 2;
        let mut slot = known.window.back().expect("a client that was answered").1;
        slot.0[1] = known.highest;
        known.window.push_back((known.highest, slot));
    }

    fn events(outbox: &mut Outbox, topics: &mut BTreeMap<Topic, u64>, topic: Topic, count: u64) {
        let last = topics.entry(topic).or_default();
        for _ in 0..count {
            *last += 1;
            outbox.publish(topic, Output::Said(&Said { number: *last }));
            let slot = outbox.outputs_mut().last_mut().expect("it was just said");
            slot.0[1] = *last;
        }
    }

    fn decide(&mut self, image: &[u8]) {
        let header = CommandHeader::read(image).expect("a command has a header");
        let body: Vec<u64> = bytemuck::pod_collect_to_vec(&image[COMMAND_HEADER_BYTES..]);
        let body: &[u8] = bytemuck::cast_slice(&body);
        let CommandHeader { session, request, timestamp: now, .. } = header;
        self.outbox.begin(Stamp { sequence: Sequence(self.sequence), now, session, request });
        if header.message.schema == system::SCHEMA {
            self.frames.push((header.message.template, session));
            return self.system(header, body);
        }
        let Some(client) = self.sessions.get(&session.0).copied() else {
            return self.reject(Refusal::NotLoggedOn, header.message.template);
        };
        let known = self.clients.get_mut(&client).expect("a session has a client");
        if request.0 <= known.highest && !self.forget_dedupe {
            match known.window.iter().find(|(kept, _)| *kept == request.0) {
                Some((_, slot)) => self.outbox.repeat(&slot.bytes()[..slot.image_bytes()], flag::DUPLICATE),
                None if known.window.front().is_some_and(|(oldest, _)| request.0 > *oldest) => {
                    self.reject(Refusal::NotSequenced, header.message.template);
                }
                None => self.reject(Refusal::TooOld, header.message.template),
            }
            return;
        }
        let executed = self.executed.len() as u64;
        let value = match Command::decode(header.message, body) {
            Ok(Command::Echo(echo)) => echo.value,
            Ok(Command::Say(say)) => {
                Self::events(&mut self.outbox, &mut self.topics, say.topic, say.count.min(60_000));
                say.count
            }
            Ok(Command::Long(_, words)) => words.iter().fold(0_u64, |sum, word| sum.wrapping_add(word.word)),
            Err(_) => return self.reject(Refusal::Malformed, header.message.template),
        };
        self.outbox.answer(kind::REPLY, Output::Echoed(&Echoed { value, executed }));
        self.executed.push((client, request, value));
        let known = self.clients.get_mut(&client).expect("a session has a client");
        known.highest = request.0;
        known.window.push_back((request.0, *self.outbox.outputs().last().expect("it was answered")));
        if known.window.len() > self.window {
            known.window.pop_front();
        }
    }

    fn system(&mut self, header: CommandHeader, body: &[u8]) {
        let session = header.session;
        match Frame::decode(header.message, body).expect("the gateway's frames are whole") {
            Frame::SessionOpened(opened) => {
                assert!(!self.sessions.values().any(|client| *client == opened.client), "one session a client");
                self.sessions.insert(session.0, opened.client);
                let known = self.clients.entry(opened.client).or_default();
                let logged_on = LoggedOn {
                    client: opened.client,
                    session,
                    highest: RequestId(known.highest),
                    reply_window: self.window as u32,
                    reserved: Reserved::default(),
                };
                self.outbox.notice(session, Notice::LoggedOn(&logged_on));
            }
            Frame::SessionClosed(_) => {
                self.sessions.remove(&session.0).expect("only an open session is closed");
            }
            Frame::SnapshotTopic(wanted) if wanted.topic.kind() == Self::NO_SUCH_KIND => {
                self.reject(Refusal::UnknownTopic, header.message.template);
            }
            Frame::SnapshotTopic(wanted) => {
                let (topic, number) = (wanted.topic, self.topics.get(&wanted.topic).copied().unwrap_or(0));
                for _ in 0..self.snapshot_parts {
                    self.outbox.part(0, topic, Output::Said(&Said { number }));
                }
                self.outbox.part(flag::LAST, topic, Notice::SnapshotEnd(&SnapshotEnd { topic, number }));
            }
            _ => {}
        }
    }

    fn reject(&mut self, refusal: Refusal, template: u16) {
        let rejected = Rejected { code: Code::from(refusal), template, offset: 0, reserved: Reserved::default() };
        self.outbox.answer(kind::REJECT, Notice::Rejected(&rejected));
    }
}

impl Port for FakePort {
    fn try_claim(&mut self, slots: usize, mut fill: impl FnMut(usize, &mut Slot)) -> bool {
        if self.used + slots > self.capacity || self.refusals > 0 {
            self.refusals = self.refusals.saturating_sub(1);
            return false;
        }
        self.used += slots;
        let mut image: Vec<u8> = Vec::new();
        let mut length = 0;
        for index in 0..slots {
            let mut slot = Slot::EMPTY;
            fill(index, &mut slot);
            if image.is_empty() {
                length = slot.image_bytes();
            }
            image.extend_from_slice(&slot.bytes()[..SLOT_BYTES.min(length - image.len())]);
            if image.len() == length {
                self.ingress.push_back(std::mem::take(&mut image));
            }
        }
        assert!(image.is_empty(), "a claim holds whole commands");
        true
    }

    fn drain(&mut self, limit: usize, mut each: impl FnMut(&Slot)) -> usize {
        if !self.held {
            self.execute(usize::MAX);
        }
        let count = limit.min(self.egress.len());
        for slot in self.egress.drain(..count) {
            assert!(OutputHeader::read(slot.bytes()).is_some_and(|header| usize::from(header.length) <= SLOT_BYTES));
            each(&slot);
        }
        count
    }

    fn accepts(&self) -> bool {
        self.disk_has_room
    }

    fn next_deadline(&self) -> Option<Timestamp> {
        self.deadline
    }
}

/// The key of a test client.
#[must_use]
pub fn key(client: u32) -> [u8; 32] {
    [client as u8 + 1; 32]
}

/// Clients 1 to `count`, who may do everything.
#[must_use]
pub fn keys(count: u32) -> Keys {
    let mut keys = Keys::new();
    for client in 1..=count {
        keys.insert(ClientId(client), &key(client), 1, &[(DOMAIN, Roles::ALL)]);
    }
    keys
}

/// A gateway on a free port of the loopback.
///
/// # Errors
/// When there is none.
pub fn gateway<C: Clock>(mut config: GatewayConfig, port: FakePort, clock: C) -> io::Result<Gateway<FakePort, C>> {
    config.listen = ([127, 0, 0, 1], 0).into();
    let start = Start {
        first_session: SessionId(1),
        frames: VecDeque::new(),
        retransmission: Retransmission::new(config.retransmission_slots, config.topics_max),
        reply_window: port.window as u32,
    };
    Gateway::new(config, keys(64), port, clock, start)
}

/// Any bytes, given to the splitter whole and byte by byte: it must say the same of both, and never panic.
pub fn fuzz_frames(data: &[u8]) {
    let (mut at, mut bad) = (0, false);
    while at < data.len() {
        match native::split(&data[at..]) {
            Split::Whole { length, message } => {
                assert!(length <= data.len() - at && length >= COMMAND_HEADER_BYTES);
                for cut in 0..length {
                    assert_eq!(native::split(&data[at..at + cut]), Split::Partial, "a frame is whole at its end");
                }
                assert_eq!(native::split(&data[at..at + length]), Split::Whole { length, message });
                let words: Vec<u64> = bytemuck::pod_collect_to_vec(&data[at + COMMAND_HEADER_BYTES..at + length]);
                let _ = ringfence_kernel::wire::Request::decode(message, bytemuck::cast_slice(&words));
                at += length;
            }
            Split::Partial => break,
            Split::Bad => {
                bad = true;
                break;
            }
        }
    }
    if bad {
        let more: Vec<u8> = data[at..].iter().copied().chain([0; 64]).collect();
        assert_eq!(native::split(&more), Split::Bad, "more bytes do not mend a bad frame");
    }
}
