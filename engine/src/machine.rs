//! The deterministic machine: all state that the log leads to, and the one way in which a frame changes it.
//!
//! A frame is executed in phases, each of which may fill the outbox and go on after a flush; nothing else comes
//! between. Live execution, recovery and replay all call [`Machine::execute`] and nothing else.
//!
//! ```text
//! Start ─► Timers (due domains, by id) ─► Frame ─┬─► Decision (a domain says More)   ─┐
//!                                                ├─► Sessions (every domain is told)  ─┼─► Start of the next
//!                                                └─► Snapshot (parts of a topic)      ─┘
//! ```
//!
//! `frames.rs` has what system frames do, `saved.rs` how the state is saved, loaded and hashed.

mod frames;
mod saved;

use crate::sessions::{ClientsFull, DOMAIN_IDS, Earlier, Sessions};
use crate::topics::Topics;
use ringfence_kernel::image::{COMMAND_HEADER_BYTES, Slot, flag, kind};
use ringfence_kernel::messages::{Message, Reserved};
use ringfence_kernel::outbox::{Stamp, image as output_image};
use ringfence_kernel::registry::UnknownDomain;
use ringfence_kernel::reject::Refusal;
use ringfence_kernel::state::{chain, chain_copy, fold};
use ringfence_kernel::system::{self, Frame, Genesis, GenesisDomain};
use ringfence_kernel::wire::{Notice, Rejected};
use ringfence_kernel::{
    ClientId, Code, CommandHeader, Context, Cursor, DomainId, Malformed, Outbox, Progress, Registry, Roles, Sequence,
    SessionChange, SessionId, Timestamp, Topic,
};

/// The newest version of the rules that this build can play. Older ones stay playable.
pub const LOGIC_LATEST: u32 = 1;

/// A frame that this build cannot play. It stops replay and recovery; nothing after it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unplayable {
    /// A system frame is not what this build writes.
    #[error("frame {at}: {malformed}")]
    Malformed {
        /// Where in the log.
        at: Sequence,
        /// What is wrong with it.
        malformed: Malformed,
    },
    /// Frame 0 is not Genesis, or a later one is.
    #[error("frame {at}: Genesis is frame 0 and no other")]
    Genesis {
        /// Where in the log.
        at: Sequence,
    },
    /// The journal has a domain, or a version of one, that this build has not.
    #[error("frame 0: {0}")]
    Domain(UnknownDomain),
    /// The rules changed to a version that this build has not.
    #[error("frame {at}: logic version {logic}, but this build knows 1 to {LOGIC_LATEST}")]
    Logic {
        /// Where in the log.
        at: Sequence,
        /// The version.
        logic: u32,
    },
    /// More clients are named than Genesis allows.
    #[error("frame {at}: {full}")]
    Clients {
        /// Where in the log.
        at: Sequence,
        /// Why.
        full: ClientsFull,
    },
}

/// How far the frame at hand has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The next frame has not begun.
    Start,
    /// Due timers of the domains from `domain` on are run; `resume` when that one has more to say.
    Timers { domain: usize, resume: bool },
    /// This domain has more to say of its decision.
    Decision(usize),
    /// The domains from `domain` on are told of a session's change; `resume` when that one has more to say.
    Sessions { session: SessionId, place: u32, change: SessionChange, domain: usize, resume: bool },
    /// A topic's snapshot goes on from here.
    Snapshot(usize, Cursor),
}

/// All state that a log leads to.
#[derive(Debug)]
pub struct Machine<R> {
    domains: R,
    sessions: Sessions,
    topics: Topics,
    genesis: (Genesis, Vec<GenesisDomain>),
    logic: u32,
    /// The log's time.
    now: Timestamp,
    /// The next frame.
    sequence: Sequence,
    /// How often the engine has started.
    incarnation: u64,
    /// The highest session id ever opened.
    session_last: SessionId,
    /// The folded outputs of all frames so far.
    chain: u64,

    /// Between frames it is [`Phase::Start`]: only then is the state saved.
    phase: Phase,
    /// The client whose answer is to be kept, while its command is decided.
    asker: Option<u32>,
}

impl<R: Registry> Machine<R> {
    /// The state after frame 0.
    ///
    /// # Errors
    /// [`Unplayable`] when `image` is not the Genesis frame of a journal that this build can play.
    pub fn genesis(image: &[u8]) -> Result<Self, Unplayable> {
        let at = Sequence(0);
        let header = CommandHeader::read(image).ok_or(Unplayable::Genesis { at })?;
        if header.message.schema != system::SCHEMA {
            return Err(Unplayable::Genesis { at });
        }
        let frame = Frame::decode(header.message, &image[COMMAND_HEADER_BYTES..])
            .map_err(|malformed| Unplayable::Malformed { at, malformed })?;
        let Frame::Genesis(genesis, domains) = frame else { return Err(Unplayable::Genesis { at }) };
        Self::from_genesis(*genesis, domains.to_vec(), header.timestamp)
    }

    fn from_genesis(genesis: Genesis, entries: Vec<GenesisDomain>, now: Timestamp) -> Result<Self, Unplayable> {
        const {
            assert!(R::DOMAINS[R::DOMAINS.len() - 1].id.0 < DOMAIN_IDS as u16, "a domain's id is below 64");
        }
        if genesis.logic == 0 || genesis.logic > LOGIC_LATEST {
            return Err(Unplayable::Logic { at: Sequence(0), logic: genesis.logic });
        }
        Ok(Self {
            domains: R::new(&entries).map_err(Unplayable::Domain)?,
            sessions: Sessions::new(
                genesis.clients_max as usize,
                genesis.sessions_max as usize,
                genesis.reply_window as usize,
            ),
            topics: Topics::new(genesis.topics_max as usize),
            logic: genesis.logic,
            now,
            sequence: Sequence(1),
            incarnation: 0,
            session_last: SessionId(0),
            chain: fold(genesis.journal | 1, 0x9e37_79b9_7f4a_7c15),
            phase: Phase::Start,
            asker: None,
            genesis: (genesis, entries),
        })
    }

    /// The next frame's place in the log: how many frames have been executed.
    #[must_use]
    #[inline]
    pub fn sequence(&self) -> Sequence {
        self.sequence
    }

    /// The log's time.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The folded outputs of all frames so far.
    #[must_use]
    #[inline]
    pub fn chain(&self) -> u64 {
        self.chain
    }

    /// How often the engine has started on this journal.
    #[must_use]
    pub fn incarnation(&self) -> u64 {
        self.incarnation
    }

    /// The version of the rules in force.
    #[must_use]
    pub fn logic(&self) -> u32 {
        self.logic
    }

    /// All topics that have had events, each with the number of its last.
    pub fn topics(&self) -> impl Iterator<Item = (Topic, u64)> {
        self.topics.numbers()
    }

    /// The highest session id ever opened.
    #[must_use]
    pub fn session_last(&self) -> SessionId {
        self.session_last
    }

    /// What was fixed when the journal was made.
    #[must_use]
    pub fn origin(&self) -> (&Genesis, &[GenesisDomain]) {
        (&self.genesis.0, &self.genesis.1)
    }

    /// Clients and their sessions.
    #[must_use]
    pub fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// The domains, to be looked at.
    #[must_use]
    pub fn domains(&self) -> &R {
        &self.domains
    }

    /// When a domain next has something due.
    #[must_use]
    #[inline]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        (0..R::DOMAINS.len()).filter_map(|domain| self.domains.next_deadline(domain)).min()
    }

    /// Whether a frame has begun and has more to say.
    #[must_use]
    #[inline]
    pub fn goes_on(&self) -> bool {
        self.phase != Phase::Start
    }

    /// See [`Registry::foresees`].
    #[inline]
    pub fn foresees(&self) -> bool {
        self.domains.foresees()
    }

    /// The command whose image begins with `image` is executed soon; see [`Registry::foresee`].
    #[inline]
    pub fn foresee(&mut self, image: &[u8]) {
        let CommandHeader { session, message, .. } = CommandHeader::read(image).expect("a frame has a header");
        if let Some(place) = self.sessions.place(session) {
            self.domains.foresee(self.sessions.client(place).client, message, &image[COMMAND_HEADER_BYTES..]);
        }
    }

    /// See [`Registry::bring_near`].
    #[inline]
    pub fn bring_near(&mut self) {
        self.domains.bring_near();
    }

    /// Executes the frame `image`, which stands on an 8-byte boundary, or goes on with it. Called with the same image
    /// until it says [`Progress::Done`]. The outbox is flushed before a decision goes on, and before one begins when it
    /// has no room for it.
    ///
    /// # Errors
    /// [`Unplayable`] when a system frame is not of this build.
    #[inline]
    pub fn execute(&mut self, image: &[u8], outbox: &mut Outbox) -> Result<Progress, Unplayable> {
        let header = CommandHeader::read(image).expect("a frame has a header");
        let body = &image[COMMAND_HEADER_BYTES..];
        let progress = match self.phase {
            Phase::Start => {
                self.now = self.now.max(header.timestamp);
                let CommandHeader { session, request, .. } = header;
                outbox.begin(Stamp { sequence: self.sequence, now: self.now, session, request });
                self.timers_then_frame(0, &header, body, outbox)?
            }
            _ => self.go_on(&header, body, outbox)?,
        };
        self.number(outbox.outputs_mut());
        if progress == Progress::Done {
            self.chain = fold(self.chain ^ self.sequence.0, 0x9fb2_1c65_1e98_df25).wrapping_add(self.chain);
            self.sequence = self.sequence.next();
            self.phase = Phase::Start;
            self.asker = None;
        }
        Ok(progress)
    }

    /// One switch over what a frame may go on with.
    #[cold]
    fn go_on(&mut self, header: &CommandHeader, body: &[u8], out: &mut Outbox) -> Result<Progress, Unplayable> {
        match self.phase {
            Phase::Start => unreachable!("execute begins the frame"),
            Phase::Timers { domain, .. } => self.timers_then_frame(domain, header, body, out),
            Phase::Decision(domain) => {
                let progress = self.domains.resume(domain, self.context(header.session, domain), out);
                Ok(self.decided(domain, progress, out))
            }
            Phase::Sessions { .. } => Ok(self.tell_domains(header, body, out)),
            Phase::Snapshot(domain, cursor) => Ok(self.snapshot_topic(domain, cursor, body, out)),
        }
    }

    #[inline]
    fn timers_then_frame(
        &mut self,
        domain: usize,
        header: &CommandHeader,
        body: &[u8],
        out: &mut Outbox,
    ) -> Result<Progress, Unplayable> {
        if self.run_timers(domain, header.session, out) == Progress::More {
            return Ok(Progress::More);
        }
        if header.message.schema == system::SCHEMA {
            return self.system_frame(header, body, out);
        }
        Ok(self.command(header, body, out))
    }

    #[cold]
    fn system_frame(&mut self, header: &CommandHeader, body: &[u8], out: &mut Outbox) -> Result<Progress, Unplayable> {
        let at = self.sequence;
        let frame = Frame::decode(header.message, body).map_err(|malformed| Unplayable::Malformed { at, malformed })?;
        match self.system(header.session, frame, out)? {
            Progress::Done => Ok(Progress::Done),
            Progress::More => self.go_on(header, body, out),
        }
    }

    /// Lets everything that is due happen, domain by domain.
    #[inline]
    fn run_timers(&mut self, from: usize, session: SessionId, out: &mut Outbox) -> Progress {
        for domain in from..R::DOMAINS.len() {
            let now = self.now;
            let due = |domains: &R| domains.next_deadline(domain).is_some_and(|deadline| deadline <= now);
            // What is left to say of it is due no more.
            let goes_on = self.phase == Phase::Timers { domain, resume: true };
            if goes_on || due(&self.domains) {
                let context = self.context(session, domain);
                if self.domains.on_time(domain, context, out) == Progress::More {
                    self.phase = Phase::Timers { domain, resume: true };
                    return Progress::More;
                }
                assert!(!due(&self.domains), "what is due is done when its domain says so");
                if !out.is_empty() {
                    // Whoever decides next finds a whole flush of room.
                    self.phase = Phase::Timers { domain: domain + 1, resume: false };
                    return Progress::More;
                }
            }
        }
        debug_assert_eq!(out.answers(), 0, "a timer answers nothing");
        Progress::Done
    }

    /// A client's command: the session rules, then the domain.
    #[inline]
    fn command(&mut self, header: &CommandHeader, body: &[u8], out: &mut Outbox) -> Progress {
        let refuse = |refusal: Refusal| rejected(refusal.into(), header.message.template);
        let Some(place) = self.sessions.place(header.session) else {
            out.answer(kind::REJECT, Notice::Rejected(&refuse(Refusal::NotLoggedOn)));
            return Progress::Done;
        };
        if let Err(earlier) = self.sessions.check(place, header.request) {
            match earlier {
                Earlier::Answered(image) => out.repeat(image, flag::DUPLICATE),
                Earlier::NotSequenced => out.answer(kind::REJECT, Notice::Rejected(&refuse(Refusal::NotSequenced))),
                Earlier::TooOld => out.answer(kind::REJECT, Notice::Rejected(&refuse(Refusal::TooOld))),
            }
            return Progress::Done;
        }
        self.asker = Some(place);
        let Some(domain) = self.domains.index(DomainId(header.message.schema)) else {
            out.answer(kind::REJECT, Notice::Rejected(&refuse(Refusal::UnknownSchema)));
            return Progress::Done;
        };
        let context = self.context_of(header.session, place, domain);
        match self.domains.apply(domain, context, header.message, body, out) {
            Ok(progress) => self.decided(domain, progress, out),
            Err(refused) => {
                assert_eq!(out.answers(), 0, "a reject says nothing of its own");
                out.answer(kind::REJECT, Notice::Rejected(&refused.body(header.message.template)));
                Progress::Done
            }
        }
    }

    #[inline]
    fn decided(&mut self, domain: usize, progress: Progress, out: &Outbox) -> Progress {
        match progress {
            Progress::More => self.phase = Phase::Decision(domain),
            Progress::Done => assert_eq!(out.answers(), 1, "an accepted command is answered once"),
        }
        progress
    }

    /// Numbers the events on topics, keeps the answer, folds everything into the chain.
    #[inline]
    fn number(&mut self, outputs: &mut [Slot]) {
        for slot in outputs {
            match (slot.kind(), self.asker) {
                (kind::EVENT, _) if slot.topic() != Topic::NONE => slot.0[1] = self.topics.next(slot.topic()),
                (kind::REPLY | kind::REJECT, Some(place)) => {
                    let kept = self.sessions.keep(place, slot.request());
                    self.chain = chain_copy(self.chain, output_image(slot), kept);
                    continue;
                }
                _ => {}
            }
            self.chain = chain(self.chain, output_image(slot));
        }
    }

    /// What a domain may know of a frame that `session` sent, or of one that nobody did.
    fn context(&self, session: SessionId, domain: usize) -> Context {
        match self.sessions.place(session) {
            Some(place) => self.context_of(session, place, domain),
            None => self.context_of_nobody(session),
        }
    }

    #[inline]
    fn context_of(&self, session: SessionId, place: u32, domain: usize) -> Context {
        let client = self.sessions.client(place);
        let roles = client.roles(R::DOMAINS[domain].id);
        Context { client: client.client, roles, ..self.context_of_nobody(session) }
    }

    #[inline]
    fn context_of_nobody(&self, session: SessionId) -> Context {
        let Self { sequence, now, logic, .. } = *self;
        Context { sequence, now, session, client: ClientId(0), roles: Roles::NONE, logic }
    }
}

fn rejected(code: Code, template: u16) -> Rejected {
    Rejected { code, template, offset: 0, reserved: Reserved::default() }
}
