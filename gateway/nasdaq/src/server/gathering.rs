//! What comes of several topics and of requests, put into the order of the log.
//!
//! What a connection says as it happens is in that order. What is said again, because it was missed, comes topic by topic:
//! it is kept here until every topic is live, and then handed on in the order of the commands that it is of.

use ringfence_client::{Client, Error, Output};
use ringfence_kernel::image::{OUTPUT_HEADER_BYTES, OutputHeader, Slot, flag, kind};
use ringfence_kernel::reject::Code;
use ringfence_kernel::reject::Refusal;
use ringfence_kernel::wire::Notice;
use ringfence_kernel::{RequestId, SessionId, Topic};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long it is waited before a topic is asked for again that the engine refused for a reason that passes.
const PAUSE: Duration = Duration::from_secs(1);

/// Images that are kept at most: more than any engine says again.
const KEPT_MAX: usize = 4 << 20;

/// An output image of the engine, whole.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Frame(Slot);

impl Frame {
    pub(crate) fn of(output: &Output<'_>) -> Self {
        let mut slot = Slot::EMPTY;
        let (header, body) = slot.bytes_mut().split_at_mut(OUTPUT_HEADER_BYTES);
        header.copy_from_slice(bytemuck::bytes_of(&output.header));
        body[..output.body.len()].copy_from_slice(output.body);
        Self(slot)
    }

    /// Whether it says that the engine never saw a request, though it saw later ones.
    pub(crate) fn is_not_sequenced(&self) -> bool {
        let code = self.output().rejected().map(|rejected| rejected.code);
        self.header().kind == kind::REJECT && code == Some(Refusal::NotSequenced.into())
    }

    /// The image whose bytes these are; none when they are none.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let mut slot = Slot::EMPTY;
        slot.bytes_mut().get_mut(..bytes.len())?.copy_from_slice(bytes);
        let is_whole = OutputHeader::read(bytes).is_some_and(|header| usize::from(header.length) == bytes.len());
        is_whole.then_some(Self(slot))
    }

    pub(crate) fn header(&self) -> OutputHeader {
        OutputHeader::read(self.0.bytes()).expect("a slot is longer than a header")
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0.bytes()[..self.header().length.into()]
    }

    pub(crate) fn output(&self) -> Output<'_> {
        Output { header: self.header(), body: &self.bytes()[OUTPUT_HEADER_BYTES..] }
    }

    /// Whether it is the end of a snapshot, and up to which number that reaches.
    pub(crate) fn snapshot_end(&self) -> Option<u64> {
        let header = self.header();
        match self.output().decode() {
            Ok(Notice::SnapshotEnd(end)) if header.kind == kind::SNAPSHOT && header.flags & flag::LAST != 0 => {
                Some(end.number)
            }
            _ => None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Feed {
    /// What comes is kept: something was missed, or is being asked for.
    Behind,
    /// What comes is the newest.
    Live,
}

/// What to do with what came.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "it is taken apart at once")]
pub(crate) enum Came {
    /// It is next in the order of the log.
    Next(Frame),
    /// It waits for what was missed, or is of no interest.
    Kept,
    /// The engine does not let this client follow a topic.
    Refused(Code),
}

/// What one client of the engine follows.
#[derive(Debug, Default)]
pub(crate) struct Gathering {
    topics: BTreeMap<Topic, Feed>,
    /// Numbers of the last events that came, by topic.
    last: BTreeMap<Topic, u64>,
    kept: Vec<Frame>,
    /// The number under which each topic was asked for last.
    asked: BTreeMap<Topic, RequestId>,
    /// Topics that the engine refused for a reason that passes, and when.
    refused: Vec<(Instant, Topic)>,
    session: Option<SessionId>,
}

impl Gathering {
    /// Follows a topic from behind the event `last`, or from a snapshot when that is none.
    pub(crate) fn follow(&mut self, client: &mut Client, topic: Topic, last: Option<u64>) -> Result<(), Error> {
        self.session = client.session_id();
        self.topics.insert(topic, Feed::Behind);
        self.last.extend(last.map(|last| (topic, last)));
        self.ask(client, topic)
    }

    /// Asks for a topic from where it is known.
    fn ask(&mut self, client: &mut Client, topic: Topic) -> Result<(), Error> {
        let from = self.last.get(&topic).map_or(0, |last| last + 1);
        self.set(topic, Feed::Behind);
        self.asked.insert(topic, client.subscribe(topic, from)?);
        Ok(())
    }

    /// Asks again for topics whose refusal may have passed.
    pub(crate) fn ask_again(&mut self, client: &mut Client) -> Result<(), Error> {
        let is_due = |(at, _): &mut (Instant, Topic)| at.elapsed() >= PAUSE;
        let due: Vec<_> = self.refused.extract_if(.., is_due).collect();
        due.into_iter().try_for_each(|(_, topic)| self.ask(client, topic))
    }

    /// The engine refused a request for a topic; gives the reason, if that does not pass.
    fn refuse(&mut self, request: RequestId, code: Code) -> Option<Code> {
        let topic = self.asked.iter().find(|(_, asked)| **asked == request).map(|(topic, _)| *topic);
        let Some(topic) = topic.filter(|_| code.is_passing()) else { return Some(code) };
        self.set(topic, Feed::Behind);
        self.refused.push((Instant::now(), topic));
        None
    }

    /// Whether nothing that was missed is waited for.
    pub(crate) fn is_live(&self) -> bool {
        self.topics.values().all(|feed| *feed == Feed::Live)
    }

    /// Whether anything came of the session that the client has now, or it began with it.
    pub(crate) fn is_of(&self, client: &Client) -> bool {
        client.session_id() == self.session
    }

    /// Takes what came, or nothing when the engine was heard without anything for the caller.
    pub(crate) fn take(&mut self, client: &mut Client, frame: Frame) -> Result<Came, Error> {
        if !self.is_of(client) {
            self.session = client.session_id();
            self.topics.values_mut().for_each(|feed| *feed = Feed::Behind);
        }
        let header = frame.header();
        let is_last = header.flags & flag::LAST != 0;
        let was_live = self.is_live();
        match header.kind {
            kind::SESSION => {
                match frame.output().decode()? {
                    Notice::Subscribed(subscribed) if is_last => self.set(subscribed.topic, Feed::Live),
                    Notice::Overrun(overrun) => {
                        // What was dropped may still be kept by the engine.
                        self.ask(client, overrun.topic)?;
                    }
                    _ => {}
                }
                return Ok(Came::Kept);
            }
            kind::EVENT => {
                self.last.insert(header.topic, header.request.0);
                if is_last {
                    self.set(header.topic, Feed::Live);
                }
            }
            kind::SNAPSHOT => {
                if let Some(number) = frame.snapshot_end() {
                    self.last.insert(header.topic, number);
                    self.set(header.topic, Feed::Live);
                }
            }
            kind::REJECT if header.request.0 >> 63 != 0 => {
                let code = frame.output().rejected().map_or(Code(0), |rejected| rejected.code);
                return Ok(self.refuse(header.request, code).map_or(Came::Kept, Came::Refused));
            }
            _ => {}
        }
        if was_live {
            return Ok(Came::Next(frame));
        }
        if self.kept.len() >= KEPT_MAX {
            return Err(Error::Unpolled { kept: self.kept.len() });
        }
        self.kept.push(frame);
        Ok(Came::Kept)
    }

    /// What was kept, once nothing more is waited for: in the order of the log, events before the answer of their command.
    pub(crate) fn release(&mut self) -> Vec<Frame> {
        if !self.is_live() {
            return Vec::new();
        }
        let mut kept = std::mem::take(&mut self.kept);
        kept.sort_by_key(|frame| {
            let header = frame.header();
            (header.sequence, matches!(header.kind, kind::REPLY | kind::REJECT))
        });
        kept
    }

    fn set(&mut self, topic: Topic, feed: Feed) {
        if let Some(place) = self.topics.get_mut(&topic) {
            *place = feed;
        }
    }
}
