//! Replicate: the only gate. It holds its cursor until every mark that the chosen level demands has passed.
//!
//! Today the one policy is [`Solo`]: this process alone. A consensus library comes in as another [`Gate`]: it ships
//! what the journal appended to its peers by offset, reading the segments, and answers [`Gate::released`] with the
//! lower of its own mark and the commit index. No other stage changes.

use crate::counting::Counting;
use crate::knobs;
use crate::ring::NextReader;
use ringfence_counters::ReplicateCounters;
use ringfence_journal::{Level, Marks};
use ringfence_kernel::Sequence;

/// Slots that one step takes at most.
const BATCH_SLOTS: usize = 4096;

/// Says how far commands may be executed.
pub trait Gate: Send {
    /// Commands before this one may be executed. It never goes back. Called in a loop: it must not block.
    fn released(&mut self) -> Sequence;
}

/// One process, no peers: a command is released when it is appended, or when it is durable.
#[derive(Debug)]
pub struct Solo {
    marks: Marks,
    level: Level,
}

impl Solo {
    /// Releases at `level`, by the marks of the journal's writer.
    #[must_use]
    pub fn new(marks: Marks, level: Level) -> Self {
        Self { marks, level }
    }
}

impl Gate for Solo {
    #[inline]
    fn released(&mut self) -> Sequence {
        match self.level {
            Level::Cached => self.marks.appended(),
            Level::Fsync => self.marks.durable(),
        }
    }
}

/// The second stage of the ingress ring.
#[derive(Debug)]
pub struct ReplicateStage<G> {
    commands: NextReader,
    gate: G,
    /// The next command to release.
    next: Sequence,
    /// Slots released so far.
    position: u64,
    counting: Option<Counting<ReplicateCounters>>,
}

impl<G> ReplicateStage<G> {
    pub(crate) fn count(&mut self, counting: Counting<ReplicateCounters>) {
        self.counting = Some(counting);
    }
}

impl<G: Gate> ReplicateStage<G> {
    /// Releases `commands`, of which the first is `next` in the log, as `gate` allows.
    #[must_use]
    pub fn new(commands: NextReader, gate: G, next: Sequence) -> Self {
        Self { commands, gate, next, position: 0, counting: None }
    }

    /// Releases what the gate allows, at the end of a command.
    #[inline]
    pub fn step(&mut self) -> usize {
        let mut allowed = if knobs::forget_gate() { u64::MAX } else { self.gate.released().0 - self.next.0 };
        if allowed == 0 {
            return 0;
        }
        let (mut sequence, counting) = (self.next.0, &mut self.counting);
        let read = self.commands.read(BATCH_SLOTS, |command| {
            let release = allowed > 0;
            if let Some(Counting { ages, .. }) = counting
                && release
            {
                ages.look(sequence, || command.timestamp());
                sequence += 1;
            }
            allowed -= u64::from(release);
            release
        });
        let slots = if knobs::release_half() && read.slots > read.commands { read.slots - 1 } else { read.slots };
        self.commands.release(slots);
        self.next.0 += read.commands as u64;
        self.position += slots as u64;
        if let Some(Counting { counters, ages }) = &mut self.counting {
            counters.position.set(self.position);
            ages.done(&mut counters.released_age);
        }
        read.commands
    }

    /// Slots released so far.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }
}
