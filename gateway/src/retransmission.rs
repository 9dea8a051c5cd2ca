//! The last events of all topics, in one bounded ring, so that a reader who missed some gets them again.
//!
//! ```text
//! position   … 41      42      43      44      45   (next: 46)
//!            ┌───────┬───────┬───────┬───────┬───────┐
//!            │ A 17  │ B 3   │ A 18  │ A 19  │ B 4   │   topic and number of each event
//!            └───┬───┴───┬───┴─▲──┬──┴──▲────┴──▲────┘
//!                └───────┼─────┘  └─────┘       │         each event knows the one before and
//!                        └──────────────────────┘         the one after it in its topic
//! ```

use ringfence_kernel::bounded::HashIndex;
use ringfence_kernel::ids::Topic;
use ringfence_kernel::image::{OutputHeader, SLOT_BYTES, Slot, kind};

/// No event: links hold positions, counted from 0, and this.
const NONE: u64 = u64::MAX;

#[derive(Clone, Copy, Debug)]
struct Links {
    before: u64,
    after: u64,
}

#[derive(Clone, Copy, Debug)]
struct Stream {
    topic: Topic,
    /// The number of its last event; 0 when none was seen.
    last: u64,
    /// Where that event stands.
    position: u64,
}

/// Where a reader goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resume {
    /// It has missed nothing: the next live event is the one it wants.
    Live,
    /// The first event that it wants stands at this position.
    At(u64),
    /// What it wants is not kept, or was never said.
    Gone,
}

/// The store. Its memory is claimed when it is made.
#[derive(Debug)]
pub struct Retransmission {
    events: Box<[Slot]>,
    links: Box<[Links]>,
    /// The position of the next event. An event at position `p` stands at `p` modulo the capacity.
    next: u64,
    /// A topic's place in `streams`.
    index: HashIndex,
    streams: Vec<Stream>,
    /// Places in `streams` that are free again.
    free: Vec<u32>,
    topics_max: usize,
    /// Whether every topic that has had events has a place: on another, then, nothing was ever said.
    is_complete: bool,
}

impl Retransmission {
    /// Room for `slots` events (one at least) on `topics_max` topics, of a log that begins with them: see
    /// [`Retransmission::know`].
    #[must_use]
    pub fn new(slots: usize, topics_max: usize) -> Self {
        let slots = slots.max(1);
        Self {
            events: bytemuck::allocation::zeroed_slice_box(slots),
            links: vec![Links { before: NONE, after: NONE }; slots].into(),
            next: 0,
            index: HashIndex::new(topics_max),
            streams: Vec::with_capacity(topics_max),
            free: Vec::new(),
            topics_max,
            is_complete: true,
        }
    }

    /// The last event of `topic` had this number, and need not have been kept: to be said of all topics after a start, so that a
    /// reader who has missed nothing is not sent for a snapshot, which comes behind whatever is said until then.
    pub fn know(&mut self, topic: Topic, number: u64) {
        if let Some(place) = self.place_of(topic) {
            let last = &mut self.streams[place as usize].last;
            *last = number.max(*last);
        }
    }

    /// The place of a topic that has had events.
    fn place_of(&mut self, topic: Topic) -> Option<u32> {
        let place = self.intern(topic);
        self.is_complete &= place.is_some();
        place
    }

    /// Topics that it keeps track of at most.
    #[must_use]
    pub fn topics_max(&self) -> usize {
        self.topics_max
    }

    /// Keeps an event and gives the place of its topic. Whatever is not an event on a topic is passed over, and so is
    /// an event of one topic too many.
    pub fn push(&mut self, event: &Slot) -> Option<u32> {
        let header = OutputHeader::read(event.bytes()).expect("a slot is longer than a header");
        if header.kind != kind::EVENT || header.topic == Topic::NONE || header.session.0 != 0 {
            return None;
        }
        let place = self.place_of(header.topic)?;
        let (position, number) = (self.next, header.request.0);
        self.next += 1;
        let stream = &mut self.streams[place as usize];
        // A number that does not follow starts the topic anew: what came before is not part of one run with it.
        let before = if stream.last != 0 && stream.last + 1 == number { stream.position } else { NONE };
        (stream.last, stream.position) = (number, position);
        let at = self.at(position);
        let bytes = event.image_bytes().clamp(size_of::<OutputHeader>(), SLOT_BYTES);
        self.events[at].bytes_mut()[..bytes].copy_from_slice(&event.bytes()[..bytes]);
        self.links[at] = Links { before, after: NONE };
        if before != NONE && self.is_kept(before) {
            let before = self.at(before);
            self.links[before].after = position;
        }
        Some(place)
    }

    /// The place of `topic`, which is given one if it has none; none when all places are taken.
    pub(crate) fn intern(&mut self, topic: Topic) -> Option<u32> {
        if let Some(place) = self.index.get(topic.0) {
            return Some(place);
        }
        let stream = Stream { topic, last: 0, position: NONE };
        let place = match self.free.pop() {
            Some(place) => {
                self.streams[place as usize] = stream;
                place
            }
            None if self.streams.len() < self.topics_max => {
                self.streams.push(stream);
                (self.streams.len() - 1) as u32
            }
            None => return None,
        };
        self.index.insert(topic.0, place).expect("as many keys as places");
        Some(place)
    }

    /// Nobody follows the topic at `place` any more: it is forgotten if nothing was ever said on it.
    pub(crate) fn release(&mut self, place: u32) {
        let stream = self.streams[place as usize];
        if stream.last == 0 && self.index.remove(stream.topic.0).is_some() {
            self.free.push(place);
        }
    }

    pub(crate) fn place(&self, topic: Topic) -> Option<u32> {
        self.index.get(topic.0)
    }

    /// The topic at `place`.
    pub(crate) fn topic(&self, place: u32) -> Topic {
        self.streams[place as usize].topic
    }

    /// Where a reader of the topic at `place` goes on, who wants number `from` first.
    pub(crate) fn resume(&self, place: u32, from: u64) -> Resume {
        let Stream { last, position, .. } = self.streams[place as usize];
        if from == 0 || from > last + 1 || last == 0 && !self.is_complete {
            return Resume::Gone;
        }
        if from == last + 1 {
            return Resume::Live;
        }
        let mut position = position;
        for _ in from..last {
            if !self.is_kept(position) {
                return Resume::Gone;
            }
            position = self.links[self.at(position)].before;
        }
        if self.is_kept(position) { Resume::At(position) } else { Resume::Gone }
    }

    /// The event at `position` and where the next of its topic stands, if there is one; none when it is kept no more.
    pub(crate) fn read(&self, position: u64) -> Option<(&Slot, Option<u64>)> {
        let at = self.at(position);
        let after = self.links[at].after;
        self.is_kept(position).then(|| (&self.events[at], (after != NONE).then_some(after)))
    }

    fn is_kept(&self, position: u64) -> bool {
        position < self.next && self.next - position <= self.events.len() as u64
    }

    fn at(&self, position: u64) -> usize {
        (position % self.events.len() as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringfence_kernel::ids::{DomainId, RequestId};
    use ringfence_kernel::random::Random;
    use std::collections::BTreeMap;

    fn event(topic: Topic, number: u64) -> Slot {
        let header = OutputHeader {
            length: 48,
            kind: kind::EVENT,
            topic,
            request: RequestId(number),
            ..OutputHeader::default()
        };
        let mut slot = Slot::EMPTY;
        slot.bytes_mut()[..48].copy_from_slice(bytemuck::bytes_of(&header));
        slot
    }

    /// Guards against links that lead to an event which was overwritten or belongs to another topic.
    #[test]
    fn agrees_with_a_plain_list() {
        const SLOTS: usize = 37;
        let mut store = Retransmission::new(SLOTS, 8);
        let (mut all, mut last) = (Vec::new(), BTreeMap::<u32, u64>::new());
        let mut random = Random::new(3);
        for _ in 0..3_000 {
            let id = random.below(6) as u32;
            let number = last.entry(id).or_insert(if id == 0 { 100 } else { 0 });
            *number += 1;
            let topic = Topic::new(DomainId(1), 1, id);
            store.push(&event(topic, *number)).expect("eight topics fit");
            all.push((topic, *number));
            let kept = &all[all.len().saturating_sub(SLOTS)..];
            for from in number.saturating_sub(12)..*number + 3 {
                let expected: Vec<u64> = kept.iter().filter(|e| e.0 == topic && e.1 >= from).map(|e| e.1).collect();
                let resume = store.resume(store.place(topic).unwrap(), from);
                if from == *number + 1 {
                    assert_eq!(resume, Resume::Live);
                } else if from != 0 && expected.first() == Some(&from) {
                    let Resume::At(mut position) = resume else { panic!("{from} is kept: {resume:?}") };
                    for number in expected {
                        let (slot, after) = store.read(position).expect("it is kept");
                        let header = OutputHeader::read(slot.bytes()).unwrap();
                        assert_eq!((header.topic, header.request.0), (topic, number));
                        position = after.unwrap_or(NONE);
                    }
                    assert_eq!(position, NONE);
                } else {
                    assert_eq!(resume, Resume::Gone, "{from} of {number}");
                }
            }
        }
    }

    /// Guards against a reader that has missed nothing and is sent for a snapshot, and against one that is told so though it has
    /// missed something.
    #[test]
    fn what_was_said_before_a_start_is_known_by_its_number() {
        let [quiet, new, other] = [1, 2, 3].map(|id| Topic::new(DomainId(1), 1, id));
        let mut store = Retransmission::new(4, 2);
        store.know(quiet, 7);
        let at = store.place(quiet).expect("it is known");
        assert_eq!([7, 8, 9].map(|from| store.resume(at, from)), [Resume::Gone, Resume::Live, Resume::Gone]);
        let unsaid = store.intern(new).expect("two topics fit");
        assert_eq!([1, 2].map(|from| store.resume(unsaid, from)), [Resume::Live, Resume::Gone]);
        store.push(&event(quiet, 8));
        assert_eq!([7, 8, 9].map(|from| store.resume(at, from)), [Resume::Gone, Resume::At(0), Resume::Live]);
        store.know(other, 1);
        assert_eq!(store.resume(unsaid, 1), Resume::Gone, "it may have been the one for which there was no room");
    }

    /// Guards against topics that clients make up and that then take every place.
    #[test]
    fn a_topic_without_events_gives_its_place_back() {
        let mut store = Retransmission::new(4, 2);
        for id in 0..100 {
            let place = store.intern(Topic::new(DomainId(1), 1, id)).expect("places are given back");
            store.release(place);
        }
        store.push(&event(Topic::new(DomainId(1), 1, 1), 1));
        store.release(store.place(Topic::new(DomainId(1), 1, 1)).unwrap());
        assert!(store.place(Topic::new(DomainId(1), 1, 1)).is_some(), "a topic with events stays");
    }
}
