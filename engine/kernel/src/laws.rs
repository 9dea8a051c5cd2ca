//! The laws that hold for every domain, and the model that a domain is checked against.
//!
//! 1. Two runs give equal replies, events and hashes.
//! 2. A reject leaves the hash as it was, after due timers ran, and says nothing; so does what is foreseen.
//! 3. Saving and loading is identity, after every command that is looked at.
//! 4. An accepted command is answered exactly once; timers and sessions answer nothing.
//! 5. The domain and its model say the same.

use crate::domain::{Context, Domain, Out, Progress};
use crate::ids::{ClientId, Sequence, SessionId, Timestamp};
use crate::image::Slot;
use crate::messages::Message;
use crate::outbox::{Outbox, Stamp, image};
use crate::registry::refusal;
use crate::reject::Code;
use crate::session::{Roles, SessionChange};
use crate::state::{Corrupt, Sink, Source};
use crate::workload::{CommandImage, Workload};
use alloc::vec::Vec;

/// A slow, obvious twin of a domain: it says everything at once and keeps its state as it likes.
pub trait Model: Sized {
    /// Whose twin it is.
    type Domain: Domain;
    /// An empty one.
    fn new(limits: &<Self::Domain as Domain>::Limits) -> Self;
    /// Decides one command, answer included.
    ///
    /// # Errors
    /// As its twin.
    fn apply(
        &mut self,
        context: Context,
        command: <Self::Domain as Domain>::Command<'_>,
        out: &mut Out<'_, Self::Domain>,
    ) -> Result<(), <Self::Domain as Domain>::Reject>;
    /// Lets everything that is due happen.
    fn on_time(&mut self, context: Context, out: &mut Out<'_, Self::Domain>);
    /// A session was opened or closed.
    fn on_session(&mut self, context: Context, change: SessionChange, out: &mut Out<'_, Self::Domain>);
}

/// Something that happens to a domain.
#[derive(Clone, Debug)]
pub enum Step {
    /// A command comes.
    Command(CommandImage),
    /// A session is opened or closed.
    Session(ClientId, SessionChange),
}

/// What one step led to: the reject, if it was one, and the output images.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Why the command was refused.
    pub reject: Option<Code>,
    /// What was said, timers first.
    pub outputs: Vec<Slot>,
}

impl PartialEq for Outcome {
    fn eq(&self, other: &Self) -> bool {
        self.reject == other.reject && self.outputs.iter().map(image).eq(other.outputs.iter().map(image))
    }
}

/// Bytes in memory, as sink and as source.
#[derive(Clone, Debug, Default)]
pub struct Bytes {
    bytes: Vec<u8>,
    at: usize,
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self { bytes, at: 0 }
    }
}

impl Bytes {
    /// All of them.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl Sink for Bytes {
    fn put(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }
}

impl Source for Bytes {
    fn take(&mut self, out: &mut [u8]) -> Result<(), Corrupt> {
        let end = self.at + out.len();
        out.copy_from_slice(self.bytes.get(self.at..end).ok_or(Corrupt("too short"))?);
        self.at = end;
        Ok(())
    }
}

/// A domain driven as the engine drives it, outside an engine.
#[derive(Debug)]
pub struct Harness<D: Domain> {
    /// The domain.
    pub domain: D,
    limits: D::Limits,
    outbox: Outbox,
    sequence: Sequence,
    now: Timestamp,
}

impl<D: Domain> Harness<D> {
    /// An empty domain.
    #[must_use]
    pub fn new(limits: &D::Limits) -> Self {
        Self {
            domain: D::new(limits),
            limits: *limits,
            outbox: Outbox::new(),
            sequence: Sequence(0),
            now: Timestamp(0),
        }
    }

    /// The context of the latest step, were it one of `client`, who has every role.
    #[must_use]
    pub fn context(&self, client: ClientId) -> Context {
        Context {
            sequence: self.sequence,
            now: self.now,
            session: SessionId(client.0),
            client,
            roles: Roles::ALL,
            logic: 1,
        }
    }

    /// Lets `step` happen at `now`; `reject_hashes` says whether to check that a reject leaves no trace.
    ///
    /// # Panics
    /// When the domain breaks a law.
    pub fn step(&mut self, step: &Step, now: Timestamp, reject_hashes: bool) -> Outcome {
        self.now = self.now.max(now);
        self.sequence = self.sequence.next();
        let mut outcome = Outcome::default();
        let client = match step {
            Step::Command(command) => command.client,
            Step::Session(client, _) => *client,
        };
        let context = self.context(client);
        let stamp = Stamp { sequence: self.sequence, now: self.now, session: context.session, ..Stamp::default() };
        self.outbox.begin(stamp);
        let due = |domain: &D, now| domain.next_deadline().is_some_and(|deadline| deadline <= now);
        if due(&self.domain, self.now) {
            while self.domain.on_time(context, &mut Out::new(&mut self.outbox)) == Progress::More {
                self.flush(&mut outcome);
            }
            self.flush(&mut outcome);
            assert!(!due(&self.domain, self.now), "what is due is done when the domain says so");
        }
        assert_eq!(self.outbox.answers(), 0, "a timer answers nothing");
        match step {
            Step::Session(_, change) => {
                let mut progress = self.domain.on_session(context, *change, &mut Out::new(&mut self.outbox));
                self.flush(&mut outcome);
                while progress == Progress::More {
                    progress = self.domain.resume(context, &mut Out::new(&mut self.outbox));
                    self.flush(&mut outcome);
                }
                assert_eq!(self.outbox.answers(), 0, "a session's change answers nothing");
            }
            Step::Command(command) => {
                let before = reject_hashes.then(|| self.domain.state_hash());
                let (header, body) = (command.header().message, command.body());
                self.domain.foresee(context.client, header, body);
                if self.sequence.0.is_multiple_of(5) {
                    self.domain.bring_near();
                }
                let decoded = match D::Command::decode(header, body) {
                    Ok(decoded) => decoded,
                    Err(malformed) => {
                        outcome.reject = Some(refusal(malformed).into());
                        return outcome;
                    }
                };
                match self.domain.apply(context, decoded, &mut Out::new(&mut self.outbox)) {
                    Ok(mut progress) => {
                        self.flush(&mut outcome);
                        while progress == Progress::More {
                            progress = self.domain.resume(context, &mut Out::new(&mut self.outbox));
                            self.flush(&mut outcome);
                        }
                        assert_eq!(self.outbox.answers(), 1, "an accepted command is answered once");
                    }
                    Err(reject) => {
                        outcome.reject = Some(reject.into());
                        assert!(self.outbox.is_empty(), "a reject says nothing of its own");
                        if let Some(before) = before {
                            assert_eq!(before, self.domain.state_hash(), "a reject leaves no trace");
                        }
                    }
                }
            }
        }
        outcome
    }

    fn flush(&mut self, outcome: &mut Outcome) {
        outcome.outputs.extend_from_slice(self.outbox.outputs());
        self.outbox.flushed();
    }

    /// The same state after saving and loading.
    ///
    /// # Panics
    /// When that is not identity.
    #[must_use]
    pub fn restored(&self) -> Self {
        let mut bytes = Bytes::default();
        self.domain.save(&mut bytes);
        let domain = D::load(&self.limits, &mut bytes).expect("what was saved can be loaded");
        assert_eq!(bytes.at, bytes.bytes.len(), "loading reads all that was saved");
        assert_eq!(domain.state_hash(), self.domain.state_hash(), "saving and loading is identity");
        Self { domain, limits: self.limits, outbox: Outbox::new(), sequence: self.sequence, now: self.now }
    }
}

/// How often the costly laws are looked at.
#[derive(Clone, Copy, Debug)]
pub struct Often {
    /// Check rejects for traces every so many steps.
    pub rejects: u64,
    /// Save, load and go on with what was loaded, every so many steps.
    pub restores: u64,
}

/// How often [`steps`] closes a session and opens it again: every so many steps.
const RECONNECTS: u64 = 97;

/// The first `count` steps of `workload`: the sessions of its clients are opened first; now and then one of them is
/// closed and opened again.
pub fn steps(clients: u32, workload: &mut dyn Workload, count: u64) -> impl Iterator<Item = Step> {
    let mut image = CommandImage::default();
    (0..count).map(move |step| {
        let (turn, part) = (step / RECONNECTS, step % RECONNECTS);
        let of_turn = ClientId(1 + turn as u32 % clients.max(1));
        match part {
            _ if step < clients.into() => Step::Session(ClientId(1 + step as u32), SessionChange::Opened),
            0 if clients > 0 => Step::Session(of_turn, SessionChange::Closed),
            1 if clients > 0 => Step::Session(of_turn, SessionChange::Opened),
            _ => {
                workload.next(&mut image);
                Step::Command(image.clone())
            }
        }
    })
}

/// Runs `steps`, `tick` nanoseconds apart, against the laws and the model `M`.
///
/// # Panics
/// When a law is broken; the message carries the step at which.
pub fn check_steps<M: Model>(
    limits: &<M::Domain as Domain>::Limits,
    steps: impl Iterator<Item = Step>,
    tick: u64,
    often: Often,
) {
    let mut fast = Harness::<M::Domain>::new(limits);
    let mut twin = Harness::<M::Domain>::new(limits);
    let mut model = M::new(limits);
    let mut said = Outbox::with_capacity(1 << 15);
    for (step, event) in (0..).zip(steps) {
        let now = Timestamp(1_000_000_000 + step * tick);
        let outcome = fast.step(&event, now, step % often.rejects == 0);
        assert!(outcome == twin.step(&event, now, false), "step {step}: two runs differ after {event:?}");
        let expected = expect(&mut model, &mut said, &fast, &event);
        assert!(
            outcome == expected,
            "step {step}: the domain and its model differ after {event:?}\n domain: {:?} {:x?}\n model:  {:?} {:x?}",
            outcome.reject,
            outcome.outputs.iter().map(self::image).collect::<Vec<_>>(),
            expected.reject,
            expected.outputs.iter().map(self::image).collect::<Vec<_>>(),
        );
        if step % often.restores == 0 {
            assert_eq!(fast.domain.state_hash(), twin.domain.state_hash(), "step {step}: two runs hash apart");
            twin = twin.restored();
        }
    }
}

/// What the model says of a step that `fast` has just taken.
fn expect<M: Model>(model: &mut M, said: &mut Outbox, fast: &Harness<M::Domain>, step: &Step) -> Outcome {
    let client = match step {
        Step::Command(command) => command.client,
        Step::Session(client, _) => *client,
    };
    let context = fast.context(client);
    said.flushed();
    said.begin(Stamp { sequence: context.sequence, now: context.now, session: context.session, ..Stamp::default() });
    model.on_time(context, &mut Out::new(said));
    let reject = match step {
        Step::Session(_, change) => {
            model.on_session(context, *change, &mut Out::new(said));
            None
        }
        Step::Command(command) => {
            match <<M::Domain as Domain>::Command<'_> as Message<'_>>::decode(command.header().message, command.body())
            {
                Err(malformed) => Some(refusal(malformed).into()),
                Ok(decoded) => model.apply(context, decoded, &mut Out::new(said)).err().map(Into::into),
            }
        }
    };
    Outcome { reject, outputs: said.outputs().to_vec() }
}
