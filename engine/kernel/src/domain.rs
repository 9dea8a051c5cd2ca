//! The contract of a domain.

use crate::ids::{Account, ClientId, DomainId, Sequence, SessionId, Timestamp, Topic};
use crate::image::{MessageHeader, REPLY_BODY_BYTES_MAX, kind};
use crate::limits::Limits;
use crate::messages::Message;
use crate::outbox::Outbox;
use crate::reject::{Code, Row};
use crate::session::{Roles, SessionChange};
use crate::state::{Corrupt, Sink, Source, StateHasher};
use core::marker::PhantomData;

/// A deterministic state machine over one schema of commands.
///
/// A domain sees no clock, randomness, thread, I/O, float or unordered iteration, and allocates nothing after
/// [`Domain::new`]. `docs/determinism.md` lists the bans and the tool that checks them.
pub trait Domain: Sized + Send + 'static {
    /// The schema id of its messages, never reused.
    const ID: DomainId;
    /// Its name in configuration, commands and reports.
    const NAME: &'static str;
    /// The version of its schema.
    const VERSION: u16;
    /// Its rows of the table of codes.
    const REJECTS: &'static [Row];

    /// What a client may ask.
    type Command<'a>: Message<'a>;
    /// What answers a command: at most 64 bytes of body.
    type Reply<'a>: Message<'a>;
    /// What it says beside the answer.
    type Event<'a>: Message<'a>;
    /// Why it refuses.
    type Reject: Copy + Into<Code>;
    /// Its capacities.
    type Limits: Limits;

    /// Topics that it can ever publish on, private streams of accounts aside.
    fn topics(limits: &Self::Limits) -> u64;

    /// An empty domain. All memory that it will ever use is claimed here.
    fn new(limits: &Self::Limits) -> Self;

    /// The roles that a command needs. The engine checks them before [`Domain::apply`].
    fn roles_needed(command: &Self::Command<'_>) -> Roles;

    /// Whether it is worth the while to foresee commands now: whether what they need is far in memory.
    fn foresees(&self) -> bool {
        false
    }

    /// A command of a client is decided soon, after those that were foreseen before it: notes what it needs. Nothing that is state
    /// changes, and nothing comes of what is wrong: `body` was not looked at, and other commands may come between.
    fn foresee(&mut self, _client: ClientId, _header: MessageHeader, _body: &[u8]) {}

    /// Reads what the foreseen commands need, so that it is near in memory when they are decided: the waits for many commands
    /// pass together.
    fn bring_near(&mut self) {}

    /// Decides one command. It answers once, here or in [`Domain::resume`].
    ///
    /// # Errors
    /// A reject means not understood, not permitted or no capacity, and leaves no trace. A business decline is a
    /// reply.
    fn apply(
        &mut self,
        context: Context,
        command: Self::Command<'_>,
        out: &mut Out<'_, Self>,
    ) -> Result<Progress, Self::Reject>;

    /// Goes on with the decision that said [`Progress::More`], before any other frame.
    fn resume(&mut self, context: Context, out: &mut Out<'_, Self>) -> Progress;

    /// Lets what is due at `context.now` happen. Called again while it says [`Progress::More`], before the frame that
    /// carries that time; when it is done, nothing is due any more.
    fn on_time(&mut self, context: Context, out: &mut Out<'_, Self>) -> Progress;

    /// A session was opened or closed. `context.session` and `context.client` name it.
    fn on_session(&mut self, context: Context, change: SessionChange, out: &mut Out<'_, Self>) -> Progress;

    /// When [`Domain::on_time`] next has something to do.
    fn next_deadline(&self) -> Option<Timestamp>;

    /// Says the state of a topic, from `cursor` on, with [`Out::part`]; none when it has no such topic.
    fn snapshot_topic(&self, topic: Topic, cursor: &mut Cursor, out: &mut Out<'_, Self>) -> Option<Progress>;

    /// Writes all state, in canonical order. Snapshot and hash are this one walk.
    fn save(&self, sink: &mut impl Sink);

    /// The state that [`Domain::save`] wrote.
    ///
    /// # Errors
    /// [`Corrupt`] when the bytes cannot be such a state.
    fn load(limits: &Self::Limits, source: &mut impl Source) -> Result<Self, Corrupt>;

    /// The hash of all state.
    fn state_hash(&self) -> u64 {
        let mut hasher = StateHasher::new();
        self.save(&mut hasher);
        hasher.finish()
    }
}

/// What a domain may know beside the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    /// The command's place in the log.
    pub sequence: Sequence,
    /// The log's time: never earlier than in any command before.
    pub now: Timestamp,
    /// Who asks.
    pub session: SessionId,
    /// The holder of that session.
    pub client: ClientId,
    /// What that client may do here.
    pub roles: Roles,
    /// The version of the rules in force.
    pub logic: u32,
}

impl Context {
    /// The account that the client acts for.
    #[must_use]
    pub const fn account(&self) -> Account {
        Account(self.client.0)
    }
}

/// Whether a decision is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Progress {
    /// It is.
    Done,
    /// The outbox is full: flush it and ask again. Nothing else comes between.
    More,
}

/// How far a snapshot of a topic has come: 0 at its start, then the domain's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor(pub u64);

/// How a domain speaks.
#[derive(Debug)]
pub struct Out<'o, D: Domain> {
    outbox: &'o mut Outbox,
    topic: Topic,
    domain: PhantomData<fn(D)>,
}

impl<'o, D: Domain> Out<'o, D> {
    /// Speaks into `outbox`.
    #[inline]
    pub fn new(outbox: &'o mut Outbox) -> Self {
        Self { outbox, topic: Topic::NONE, domain: PhantomData }
    }

    /// Speaks the snapshot of `topic` into `outbox`.
    #[inline]
    pub fn of_snapshot(outbox: &'o mut Outbox, topic: Topic) -> Self {
        Self { outbox, topic, domain: PhantomData }
    }

    /// Events that may still be said in this flush; at 0 the domain returns [`Progress::More`].
    #[must_use]
    #[inline]
    pub fn room(&self) -> usize {
        self.outbox.room()
    }

    /// Answers the command. Exactly once.
    ///
    /// # Panics
    /// When it was answered already or the body is above 64 bytes.
    #[inline(always)]
    pub fn reply(&mut self, reply: D::Reply<'_>) {
        assert!(reply.body_bytes() <= REPLY_BODY_BYTES_MAX, "a reply is at most 64 bytes");
        self.outbox.answer(kind::REPLY, reply);
    }

    /// Says `event` to one session, unnumbered.
    ///
    /// # Panics
    /// When there is no [`Out::room`].
    #[inline(always)]
    pub fn tell(&mut self, session: SessionId, event: D::Event<'_>) {
        assert!(self.outbox.room() > 0, "more events than one flush holds");
        self.outbox.tell(session, event);
    }

    /// Says `event` on the private stream of `account`.
    ///
    /// # Panics
    /// When there is no [`Out::room`].
    #[inline(always)]
    pub fn notify(&mut self, account: Account, event: D::Event<'_>) {
        assert!(self.outbox.room() > 0, "more events than one flush holds");
        self.outbox.publish(Topic::account(D::ID, account), event);
    }

    /// Says `event` on the domain's stream `kind`, `id`.
    ///
    /// # Panics
    /// When there is no [`Out::room`].
    #[inline(always)]
    pub fn publish(&mut self, kind: u16, id: u32, event: D::Event<'_>) {
        assert!(self.outbox.room() > 0, "more events than one flush holds");
        self.outbox.publish(Topic::new(D::ID, kind, id), event);
    }

    /// Says a part of the snapshot that was asked for.
    ///
    /// # Panics
    /// When there is no [`Out::room`].
    #[inline(always)]
    pub fn part(&mut self, event: D::Event<'_>) {
        assert!(self.outbox.room() > 0, "more events than one flush holds");
        self.outbox.part(0, self.topic, event);
    }
}
