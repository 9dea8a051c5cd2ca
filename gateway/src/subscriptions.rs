//! Who hears which topic, and how far each reader is.
//!
//! ```text
//!  Subscribe from 0 ──► Snapshot ──────── its last part ───────► Live ◄── Subscribe from last + 1
//!                          ▲                                     │  ▲
//!              drained: ask│again                 too much unsent│  │ reached the end
//!                          └───────── Overrun ◄──────────────────┘  └── CatchUp ◄── Subscribe from a kept event
//! ```

use crate::codecs::native;
use crate::core::{Core, Place};
use ringfence_kernel::ids::{RequestId, Topic};
use ringfence_kernel::image::{Slot, kind};
use ringfence_kernel::outbox::image;
use ringfence_kernel::reject::Refusal;
use ringfence_kernel::session::Roles;
use ringfence_kernel::system::{Frame, SnapshotTopic};
use ringfence_kernel::wire::{Notice, Overrun, Subscribe, Subscribed, Unsubscribed};

use crate::retransmission::Resume;

/// The template of [`ringfence_kernel::wire::Request::Subscribe`], as a refusal of one names it.
pub(crate) const SUBSCRIBE: u16 = 4;

/// How far a reader is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Feed {
    /// A snapshot was asked for: its parts go out, events do not. `whole` is false once a part had to be dropped.
    Snapshot { whole: bool },
    /// Kept events go out as the socket takes them, from this position on.
    CatchUp { position: u64 },
    /// Events go out as they come.
    Live,
    /// Events were dropped. A snapshot is asked for once all that is unsent was sent.
    Overrun,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Member {
    pub(crate) connection: Place,
    /// The request that subscribed: snapshots carry it.
    pub(crate) request: RequestId,
    pub(crate) feed: Feed,
}

/// The readers of all topics.
#[derive(Debug)]
pub(crate) struct Subscriptions {
    /// Readers, by the place that the retransmission store gives a topic.
    members: Vec<Vec<Member>>,
    /// Readers that wait for their socket: topic and connection.
    behind: Vec<(u32, Place)>,
}

impl Subscriptions {
    pub(crate) fn new(topics_max: usize) -> Self {
        Self { members: vec![Vec::new(); topics_max], behind: Vec::new() }
    }

    pub(crate) fn find(&mut self, topic: u32, connection: Place) -> Option<&mut Member> {
        self.members[topic as usize].iter_mut().find(|member| member.connection == connection)
    }

    pub(crate) fn leave(&mut self, topic: u32, connection: Place) {
        self.members[topic as usize].retain(|member| member.connection != connection);
        self.behind.retain(|other| *other != (topic, connection));
    }

    /// Whether readers wait for their sockets.
    pub(crate) fn is_behind(&self) -> bool {
        !self.behind.is_empty()
    }
}

impl Core {
    /// Answers a `Subscribe`.
    pub(crate) fn subscribe(&mut self, place: Place, request: RequestId, wanted: Subscribe, accepts: bool) {
        let Subscribe { topic, from } = wanted;
        let client = self.at(place).client;
        let roles = self.keys.roles(client, topic.domain());
        let needed = if topic.kind() == Topic::ACCOUNT { Roles::TRADE } else { Roles::OBSERVE };
        if !topic.is_for(client) || !roles.allow(needed) {
            return self.refuse(place, request, SUBSCRIBE, Refusal::NotPermitted);
        }
        // Subscribing again starts the subscription anew: so a reader that found a gap goes on.
        self.leave_topic(place, topic);
        if self.at(place).topics.len() >= self.config.subscriptions_max {
            return self.refuse(place, request, SUBSCRIBE, Refusal::SubscriptionsFull);
        }
        if from == 0 && !accepts {
            return self.refuse(place, request, SUBSCRIBE, Refusal::DiskFull);
        }
        let Some(stream) = self.retransmission.intern(topic) else {
            return self.refuse(place, request, SUBSCRIBE, Refusal::SubscriptionsFull);
        };
        let feed = match from {
            0 => Feed::Snapshot { whole: true },
            from => match self.retransmission.resume(stream, from) {
                Resume::Live => Feed::Live,
                Resume::At(position) => Feed::CatchUp { position },
                Resume::Gone => {
                    self.forget_topic(stream);
                    return self.refuse(place, request, SUBSCRIBE, Refusal::SnapshotNeeded);
                }
            },
        };
        let now = self.now;
        let connection = self.at(place);
        connection.topics.push(stream);
        let (mut slot, session) = (Slot::EMPTY, connection.session);
        let answer = Notice::Subscribed(&Subscribed { topic, next: from });
        let answer = native::notice(&mut slot, kind::SESSION, session, request, now, answer);
        match feed {
            Feed::Live => connection.push_last(answer),
            _ => connection.output.push(answer),
        }
        self.soil(place);
        self.subscriptions.members[stream as usize].push(Member { connection: place, request, feed });
        match feed {
            Feed::Snapshot { .. } => self.ask_snapshot(place, request, topic),
            Feed::CatchUp { .. } => self.subscriptions.behind.push((stream, place)),
            _ => {}
        }
    }

    /// Answers an `Unsubscribe`, whether or not there was a subscription.
    pub(crate) fn unsubscribe(&mut self, place: Place, request: RequestId, topic: Topic) {
        self.leave_topic(place, topic);
        let now = self.now;
        self.at(place).say(kind::SESSION, request, now, Notice::Unsubscribed(&Unsubscribed { topic }));
        self.soil(place);
    }

    pub(crate) fn leave_topic(&mut self, place: Place, topic: Topic) {
        let Some(stream) = self.retransmission.place(topic) else { return };
        let topics = &mut self.at(place).topics;
        if let Some(index) = topics.iter().position(|other| *other == stream) {
            topics.swap_remove(index);
            self.subscriptions.leave(stream, place);
            self.forget_topic(stream);
        }
    }

    /// Forgets a topic that nobody follows and on which nothing was ever said.
    pub(crate) fn forget_topic(&mut self, stream: u32) {
        if self.subscriptions.members[stream as usize].is_empty() {
            self.retransmission.release(stream);
        }
    }

    fn ask_snapshot(&mut self, place: Place, request: RequestId, topic: Topic) {
        let (session, client) = (self.at(place).session, self.at(place).client);
        self.sequence(session, request, client, Frame::SnapshotTopic(&SnapshotTopic { topic }));
    }

    /// Keeps an event and hands it to those who follow its topic.
    pub(crate) fn publish_event(&mut self, event: &Slot, topic: Topic) {
        self.stats.published += 1;
        let Some(stream) = self.retransmission.push(event) else { return };
        let (bytes, bound, now) = (image(event), self.config.event_bytes_max, self.now);
        let Self { subscriptions: Subscriptions { members, behind }, connections, dirty, stats, .. } = self;
        for member in &mut members[stream as usize] {
            if member.feed != Feed::Live {
                continue;
            }
            let connection = connections[member.connection as usize].as_mut().expect("a reader has a connection");
            if connection.output.len() + bytes.len() > bound {
                connection.note(now, Notice::Overrun(&Overrun { topic }));
                stats.overruns += 1;
                member.feed = Feed::Overrun;
                behind.push((stream, member.connection));
            } else {
                connection.output.push(bytes);
            }
            if !std::mem::replace(&mut connection.dirty, true) {
                dirty.push(member.connection);
            }
        }
    }

    /// A part of a snapshot for the session of the connection at `place`.
    pub(crate) fn deliver_part(&mut self, place: Place, part: &Slot, topic: Topic, request: RequestId, last: bool) {
        let (bytes, now) = (image(part), self.now);
        let bound = self.config.reply_bytes_max / 2;
        let Some(stream) = self.retransmission.place(topic) else { return };
        let Some(member) = self.subscriptions.find(stream, place) else { return };
        let Feed::Snapshot { whole } = &mut member.feed else { return };
        if member.request != request {
            return;
        }
        let connection = self.connections[place as usize].as_mut().expect("a reader has a connection");
        *whole &= connection.output.len() + bytes.len() <= bound;
        match (*whole, last) {
            (true, false) => connection.output.push(bytes),
            (true, true) => {
                connection.output.push(bytes);
                member.feed = Feed::Live;
            }
            (false, false) => {}
            // A snapshot with a hole is worth nothing: it is said again once the socket has taken what there is.
            (false, true) => {
                connection.note(now, Notice::Overrun(&Overrun { topic }));
                self.stats.overruns += 1;
                member.feed = Feed::Overrun;
                self.subscriptions.behind.push((stream, place));
            }
        }
        self.soil(place);
    }

    /// The topic of the snapshot that the connection asked for with `request`, if it waits for one.
    pub(crate) fn awaited_snapshot(&mut self, place: Place, request: RequestId) -> Option<u32> {
        let connection = self.connections[place as usize].as_ref()?;
        let subscriptions = &mut self.subscriptions;
        connection.topics.iter().copied().find(|stream| {
            subscriptions
                .find(*stream, place)
                .is_some_and(|member| member.request == request && matches!(member.feed, Feed::Snapshot { .. }))
        })
    }

    /// Ends the subscription to the topic at `stream`: the engine has no such topic.
    pub(crate) fn drop_topic(&mut self, place: Place, stream: u32) {
        self.at(place).topics.retain(|other| *other != stream);
        self.subscriptions.leave(stream, place);
        self.forget_topic(stream);
    }

    /// Goes on with readers that waited for their sockets; gives how many could.
    pub(crate) fn catch_up(&mut self, accepts: bool) -> usize {
        let (mut work, mut index) = (0, 0);
        while let Some((stream, place)) = self.subscriptions.behind.get(index).copied() {
            let before = self.subscriptions.find(stream, place).map(|member| member.feed);
            let waits = match before {
                Some(Feed::CatchUp { position }) => self.replay(stream, place, position),
                Some(Feed::Overrun) => self.start_over(stream, place, accepts),
                _ => false,
            };
            work += usize::from(self.subscriptions.find(stream, place).map(|member| member.feed) != before);
            if waits {
                index += 1;
            } else {
                self.subscriptions.behind.swap_remove(index);
            }
        }
        work
    }

    /// Sends kept events while there is room for them; gives whether some are left.
    fn replay(&mut self, stream: u32, place: Place, mut position: u64) -> bool {
        let (bound, now) = (self.config.event_bytes_max, self.now);
        let connection = self.connections[place as usize].as_mut().expect("a reader has a connection");
        let mut sent = false;
        let feed = loop {
            let Some((event, after)) = self.retransmission.read(position) else {
                // The ring has gone over it meanwhile.
                let header = self.retransmission.topic(stream);
                connection.note(now, Notice::Overrun(&Overrun { topic: header }));
                self.stats.overruns += 1;
                sent = true;
                break Feed::Overrun;
            };
            if connection.output.len() + image(event).len() > bound {
                break Feed::CatchUp { position };
            }
            sent = true;
            let Some(after) = after else {
                connection.push_last(image(event));
                break Feed::Live;
            };
            connection.output.push(image(event));
            position = after;
        };
        if sent {
            self.soil(place);
        }
        self.subscriptions.find(stream, place).expect("a reader that is behind").feed = feed;
        feed != Feed::Live
    }

    /// Asks for a snapshot in place of what was dropped, once all that is unsent was sent; gives whether it waits.
    fn start_over(&mut self, stream: u32, place: Place, accepts: bool) -> bool {
        if !accepts || !self.at(place).output.is_empty() {
            return true;
        }
        let topic = self.retransmission.topic(stream);
        let member = self.subscriptions.find(stream, place).expect("a reader that is behind");
        member.feed = Feed::Snapshot { whole: true };
        let request = member.request;
        self.ask_snapshot(place, request, topic);
        false
    }
}
