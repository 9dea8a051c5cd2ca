//! The numbers of topics: contiguous, and state.

use ringfence_kernel::bounded::HashIndex;
use ringfence_kernel::{Corrupt, Sink, Source, Topic};

/// How many events each topic has had.
#[derive(Debug)]
pub struct Topics {
    /// In the order in which they were first published on.
    topics: Vec<Topic>,
    /// The number of the last event of each.
    numbers: Vec<u64>,
    by_topic: HashIndex,
    topics_max: usize,
}

impl Topics {
    /// No events yet, on any of `topics_max` topics.
    #[must_use]
    pub fn new(topics_max: usize) -> Self {
        Self {
            topics: Vec::with_capacity(topics_max),
            numbers: Vec::with_capacity(topics_max),
            by_topic: HashIndex::new(topics_max),
            topics_max,
        }
    }

    /// The number of the last event of `topic`; 0 when it has had none.
    #[must_use]
    pub fn number(&self, topic: Topic) -> u64 {
        self.by_topic.get(topic.0).map_or(0, |place| self.numbers[place as usize])
    }

    /// The number of the next event of `topic`, which is hereby published.
    ///
    /// # Panics
    /// When there are as many topics as Genesis allows. Topics come from what an administrator defines and from
    /// clients, both bounded; the start refuses limits that could exceed this one.
    #[inline]
    pub fn next(&mut self, topic: Topic) -> u64 {
        if let Some(place) = self.by_topic.get(topic.0) {
            let number = &mut self.numbers[place as usize];
            *number += 1;
            return *number;
        }
        assert!(self.topics.len() < self.topics_max, "as many topics as Genesis allows");
        self.by_topic.insert(topic.0, self.topics.len() as u32).expect("the index holds as many as the table");
        self.topics.push(topic);
        self.numbers.push(1);
        1
    }

    /// All topics that have had events, each with the number of its last.
    pub fn numbers(&self) -> impl Iterator<Item = (Topic, u64)> {
        self.topics.iter().copied().zip(self.numbers.iter().copied())
    }

    /// Writes topics and numbers.
    pub fn save(&self, sink: &mut impl Sink) {
        sink.value(&(self.topics.len() as u64));
        sink.values(&self.topics);
        sink.values(&self.numbers);
    }

    /// What [`Topics::save`] wrote.
    ///
    /// # Errors
    /// [`Corrupt`] when it cannot be that.
    pub fn load(topics_max: usize, source: &mut impl Source) -> Result<Self, Corrupt> {
        let mut topics = Self::new(topics_max);
        let count = source.count(topics_max, "topics")?;
        for place in 0..count as u32 {
            let topic: Topic = source.value()?;
            if topics.by_topic.insert(topic.0, place) != Ok(None) {
                return Err(Corrupt("a topic stands twice"));
            }
            topics.topics.push(topic);
        }
        for _ in 0..count {
            topics.numbers.push(source.value()?);
        }
        Ok(topics)
    }
}
