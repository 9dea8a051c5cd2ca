//! The topics that a client follows: what comes next on each, and what to do when something else comes.

use ringfence_kernel::{RequestId, Topic};

/// Ids of subscriptions start here, so that none is ever that of a command.
pub(crate) const SUBSCRIPTION: u64 = 1 << 63;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// `Subscribe` is on its way; whatever comes before its answer belongs to the subscription before.
    Asked,
    /// Parts of a snapshot come.
    Snapshot,
    /// Events come.
    Live,
}

#[derive(Clone, Copy, Debug)]
struct Following {
    topic: Topic,
    /// The id of its last `Subscribe`.
    request: RequestId,
    /// The id under which the caller knows it: the first one.
    known_as: RequestId,
    phase: Phase,
    /// The number of the next event; 0 when a snapshot says it.
    next: u64,
}

/// What to do with something that came for a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Hand it out, under this id.
    Deliver(RequestId),
    /// It is of no use.
    Skip,
    /// Subscribe again under this id, from this number.
    Subscribe(RequestId, u64),
}

#[derive(Debug, Default)]
pub(crate) struct Topics {
    followed: Vec<Following>,
    last: u64,
}

impl Topics {
    fn id(&mut self) -> RequestId {
        self.last += 1;
        RequestId(SUBSCRIPTION | self.last)
    }

    fn find(&mut self, topic: Topic) -> Option<&mut Following> {
        self.followed.iter_mut().find(|following| following.topic == topic)
    }

    fn ask(&mut self, topic: Topic, from: u64) -> Verdict {
        let request = self.id();
        let following = self.find(topic).expect("a topic that is followed");
        (following.request, following.phase, following.next) = (request, Phase::Asked, from);
        Verdict::Subscribe(request, from)
    }

    /// The caller wants a topic.
    pub(crate) fn follow(&mut self, topic: Topic, from: u64) -> RequestId {
        let request = self.id();
        self.followed.retain(|following| following.topic != topic);
        self.followed.push(Following { topic, request, known_as: request, phase: Phase::Asked, next: from });
        request
    }

    /// The caller wants a topic no more; gives the id for `Unsubscribe`.
    pub(crate) fn leave(&mut self, topic: Topic) -> RequestId {
        self.followed.retain(|following| following.topic != topic);
        self.id()
    }

    /// All topics, to be subscribed again over a new connection.
    pub(crate) fn again(&mut self) -> Vec<(Topic, RequestId, u64)> {
        let wanted: Vec<_> =
            self.followed.iter().map(|f| (f.topic, if f.phase == Phase::Snapshot { 0 } else { f.next })).collect();
        let mut asked = Vec::new();
        for (topic, from) in wanted {
            if let Verdict::Subscribe(request, from) = self.ask(topic, from) {
                asked.push((topic, request, from));
            }
        }
        asked
    }

    /// An event with a number.
    #[inline]
    pub(crate) fn event(&mut self, topic: Topic, number: u64) -> Verdict {
        let Some(following) = self.find(topic) else { return Verdict::Skip };
        match following.phase {
            Phase::Live if number == following.next => {
                following.next += 1;
                Verdict::Deliver(RequestId(number))
            }
            Phase::Live if number > following.next => {
                let next = following.next;
                self.ask(topic, next)
            }
            _ => Verdict::Skip,
        }
    }

    /// The answer to a `Subscribe`.
    pub(crate) fn subscribed(&mut self, topic: Topic, request: RequestId, next: u64) -> Verdict {
        match self.find(topic) {
            Some(following) if following.request == request && following.phase == Phase::Asked => {
                following.phase = if next == 0 { Phase::Snapshot } else { Phase::Live };
                following.next = next;
                Verdict::Deliver(following.known_as)
            }
            _ => Verdict::Skip,
        }
    }

    /// A part of a snapshot; the last one says the number up to which it reaches.
    pub(crate) fn part(&mut self, topic: Topic, request: RequestId, end: Option<u64>) -> Verdict {
        match self.find(topic) {
            Some(following) if following.request == request && following.phase == Phase::Snapshot => {
                if let Some(number) = end {
                    (following.phase, following.next) = (Phase::Live, number + 1);
                }
                Verdict::Deliver(following.known_as)
            }
            _ => Verdict::Skip,
        }
    }

    /// The gateway dropped events: a snapshot follows by itself.
    pub(crate) fn overrun(&mut self, topic: Topic) -> Verdict {
        match self.find(topic) {
            Some(following) if following.phase != Phase::Asked => {
                (following.phase, following.next) = (Phase::Snapshot, 0);
                Verdict::Deliver(following.known_as)
            }
            _ => Verdict::Skip,
        }
    }

    /// A `Subscribe` was refused. When a snapshot is needed, that is asked for.
    pub(crate) fn refused(&mut self, request: RequestId, snapshot_needed: bool) -> (Topic, Verdict) {
        let Some(place) = self.followed.iter().position(|following| following.request == request) else {
            return (Topic::NONE, Verdict::Skip);
        };
        let Following { topic, known_as, .. } = self.followed[place];
        if snapshot_needed {
            return (topic, self.ask(topic, 0));
        }
        self.followed.swap_remove(place);
        (topic, Verdict::Deliver(known_as))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards against an event that is handed out twice, out of order or after a gap.
    #[test]
    fn a_gap_leads_to_a_new_subscription_from_where_it_began() {
        let topic = Topic(7);
        let mut topics = Topics::default();
        let first = topics.follow(topic, 0);
        assert_eq!(topics.event(topic, 5), Verdict::Skip, "nothing counts before the answer");
        assert_eq!(topics.subscribed(topic, first, 0), Verdict::Deliver(first));
        assert_eq!(topics.part(topic, first, Some(5)), Verdict::Deliver(first));
        assert_eq!(topics.event(topic, 5), Verdict::Skip);
        assert_eq!(topics.event(topic, 6), Verdict::Deliver(RequestId(6)));
        let Verdict::Subscribe(second, 7) = topics.event(topic, 8) else { panic!("8 is after a gap") };
        assert_eq!(topics.event(topic, 9), Verdict::Skip);
        assert_eq!(topics.subscribed(topic, second, 7), Verdict::Deliver(first));
        assert_eq!(topics.event(topic, 7), Verdict::Deliver(RequestId(7)));
        assert_eq!(topics.overrun(topic), Verdict::Deliver(first));
        assert_eq!(topics.event(topic, 8), Verdict::Skip);
        assert_eq!(topics.part(topic, second, Some(11)), Verdict::Deliver(first));
        assert_eq!(topics.event(topic, 12), Verdict::Deliver(RequestId(12)));
        let [(_, third, 13)] = topics.again()[..] else { panic!("one topic, from 13") };
        let (_, Verdict::Subscribe(fourth, 0)) = topics.refused(third, true) else { panic!("a snapshot is asked for") };
        assert_eq!(topics.refused(fourth, false), (topic, Verdict::Deliver(first)));
        assert!(topics.again().is_empty());
    }
}
