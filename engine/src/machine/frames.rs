//! What system frames do: starts, sessions, limits, roles, rules, and snapshots of topics.

use super::{LOGIC_LATEST, Machine, Phase, Unplayable, rejected};
use crate::sessions::DOMAIN_IDS;
use ringfence_kernel::image::{flag, kind};
use ringfence_kernel::messages::{Message, Reserved};
use ringfence_kernel::reject::Refusal;
use ringfence_kernel::system::{Frame, SessionOpened, SnapshotTopic, Started};
use ringfence_kernel::wire::{Closing, LoggedOn, Notice, SnapshotEnd};
use ringfence_kernel::{
    ClientId, CommandHeader, Cursor, Outbox, Progress, Registry, Roles, SessionChange, SessionId, Topic,
};

/// The template of [`SnapshotTopic`], which a refusal names.
const SNAPSHOT_TOPIC: u16 = 9;

impl<R: Registry> Machine<R> {
    /// A system frame. [`Progress::More`] means that another phase goes on with it.
    pub(super) fn system(
        &mut self,
        session: SessionId,
        frame: Frame<'_>,
        out: &mut Outbox,
    ) -> Result<Progress, Unplayable> {
        let at = self.sequence;
        match frame {
            Frame::Genesis(..) => return Err(Unplayable::Genesis { at }),
            Frame::Started(started) => return Ok(self.started(started)),
            Frame::SessionOpened(opened) => return self.session_opened(session, opened, out),
            Frame::SessionClosed(_) => return Ok(self.session_closed(session)),
            Frame::Tick(_) => {}
            Frame::SetLimits(limits) => self.sessions.set_sessions_max(limits.sessions_max as usize),
            Frame::SetRoles(set) => {
                let place = self.admit(set.client)?;
                if usize::from(set.domain.0) < DOMAIN_IDS {
                    self.sessions.set_roles(place, set.domain, set.roles, set.key_version);
                }
            }
            Frame::ActivateLogicVersion(activate) => {
                if activate.logic == 0 || activate.logic > LOGIC_LATEST {
                    return Err(Unplayable::Logic { at, logic: activate.logic });
                }
                self.logic = activate.logic;
            }
            Frame::SnapshotTopic(snapshot) => return Ok(self.snapshot_begins(session, snapshot, out)),
        }
        Ok(Progress::Done)
    }

    fn admit(&mut self, client: ClientId) -> Result<u32, Unplayable> {
        self.sessions.admit(client).map_err(|full| Unplayable::Clients { at: self.sequence, full })
    }

    fn started(&mut self, started: &Started) -> Progress {
        assert_eq!(started.incarnation, self.incarnation + 1, "every start is in the log");
        self.incarnation = started.incarnation;
        self.close_next(SessionId(0))
    }

    /// Closes the open session after `after`, as a start does with all of them.
    fn close_next(&mut self, after: SessionId) -> Progress {
        match self.sessions.next_open(after) {
            None => Progress::Done,
            Some((session, place)) => {
                self.phase =
                    Phase::Sessions { session, place, change: SessionChange::Closed, domain: 0, resume: false };
                Progress::More
            }
        }
    }

    fn session_opened(
        &mut self,
        session: SessionId,
        opened: &SessionOpened,
        out: &mut Outbox,
    ) -> Result<Progress, Unplayable> {
        assert!(session > self.session_last, "session ids increase");
        self.session_last = session;
        let full = self.sessions.open() >= self.sessions.sessions_max();
        let place = match self.sessions.admit(opened.client) {
            Ok(place) if !full => place,
            _ => {
                let code = Refusal::SessionsFull.into();
                out.notice(session, Notice::Closing(&Closing { code, reserved: Reserved::default() }));
                return Ok(Progress::Done);
            }
        };
        self.sessions.open_session(place, session, opened.protocol);
        self.phase = Phase::Sessions { session, place, change: SessionChange::Opened, domain: 0, resume: false };
        Ok(Progress::More)
    }

    fn session_closed(&mut self, session: SessionId) -> Progress {
        let Some(place) = self.sessions.place(session) else { return Progress::Done };
        self.phase = Phase::Sessions { session, place, change: SessionChange::Closed, domain: 0, resume: false };
        Progress::More
    }

    /// Tells every domain of a session's change, then opens or closes it; after a start, the next one follows.
    pub(super) fn tell_domains(&mut self, header: &CommandHeader, body: &[u8], out: &mut Outbox) -> Progress {
        while let Phase::Sessions { session, place, change, domain, resume } = self.phase {
            if domain == R::DOMAINS.len() {
                let frame = Frame::decode(header.message, body).expect("it was decoded before");
                self.session_told(session, place, change, out);
                match frame {
                    Frame::Started(_) if self.close_next(session) == Progress::More => continue,
                    _ => return Progress::Done,
                }
            }
            let mut progress = Progress::Done;
            if self.domains.is_present(domain) {
                let context = self.context(session, domain);
                progress = if resume {
                    self.domains.resume(domain, context, out)
                } else {
                    self.domains.on_session(domain, context, change, out)
                };
            }
            let more = progress == Progress::More;
            let domain = if more { domain } else { domain + 1 };
            self.phase = Phase::Sessions { session, place, change, domain, resume: more };
            if more || !out.is_empty() {
                return Progress::More;
            }
        }
        unreachable!("the phase is left by returning")
    }

    fn session_told(&mut self, session: SessionId, place: u32, change: SessionChange, out: &mut Outbox) {
        match change {
            SessionChange::Closed => self.sessions.close_session(session),
            SessionChange::Opened => {
                let client = self.sessions.client(place);
                let logged_on = LoggedOn {
                    client: client.client,
                    session,
                    highest: client.highest,
                    reply_window: self.sessions.window() as u32,
                    reserved: Reserved::default(),
                };
                out.notice(session, Notice::LoggedOn(&logged_on));
            }
        }
    }

    fn snapshot_begins(&mut self, session: SessionId, snapshot: &SnapshotTopic, out: &mut Outbox) -> Progress {
        let refuse = |out: &mut Outbox, refusal: Refusal| {
            out.answer(kind::REJECT, Notice::Rejected(&rejected(refusal.into(), SNAPSHOT_TOPIC)));
            Progress::Done
        };
        let topic = snapshot.topic;
        let Some(place) = self.sessions.place(session) else { return refuse(out, Refusal::NotLoggedOn) };
        let Some(domain) = self.domains.index(topic.domain()) else { return refuse(out, Refusal::UnknownTopic) };
        let needed = if topic.kind() == Topic::ACCOUNT { Roles::TRADE } else { Roles::OBSERVE };
        if !topic.is_for(self.sessions.client(place).client)
            || !self.sessions.roles(place, topic.domain()).allow(needed)
        {
            return refuse(out, Refusal::NotPermitted);
        }
        self.phase = Phase::Snapshot(domain, Cursor::default());
        Progress::More
    }

    /// Says the next parts of a topic's snapshot, and at last the number up to which it reaches.
    pub(super) fn snapshot_topic(
        &mut self,
        domain: usize,
        mut cursor: Cursor,
        body: &[u8],
        out: &mut Outbox,
    ) -> Progress {
        let topic = Topic(u64::from_le_bytes(body[..8].try_into().expect("the body is a topic")));
        let start = cursor == Cursor::default();
        match self.domains.snapshot_topic(domain, topic, &mut cursor, out) {
            None => {
                assert!(start && out.is_empty(), "a topic that has begun exists");
                let refusal = rejected(Refusal::UnknownTopic.into(), SNAPSHOT_TOPIC);
                out.answer(kind::REJECT, Notice::Rejected(&refusal));
                Progress::Done
            }
            Some(Progress::Done) if out.room() > 0 => {
                let number = self.topics.number(topic);
                out.part(flag::LAST, topic, Notice::SnapshotEnd(&SnapshotEnd { topic, number }));
                Progress::Done
            }
            Some(_) => {
                self.phase = Phase::Snapshot(domain, cursor);
                Progress::More
            }
        }
    }
}
