//! Execute: decides what was released, in order, and publishes what was decided.

use crate::counting::Counting;
use crate::machine::Machine;
use crate::ring::{NextReader, Producer, Scratch};
use ringfence_counters::ExecuteCounters;
use ringfence_journal::ChainWriter;
use ringfence_kernel::registry::FORESEEN;
use ringfence_kernel::{Outbox, Progress, Registry, Timestamp};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Slots that one step takes at most.
const BATCH_SLOTS: usize = 1024;

/// When the domains next have something due; the gateway reads it.
#[derive(Clone, Debug)]
pub struct Deadline(Arc<AtomicU64>);

impl Default for Deadline {
    fn default() -> Self {
        Self(Arc::new(AtomicU64::new(u64::MAX)))
    }
}

impl Deadline {
    /// The next deadline.
    #[must_use]
    #[inline]
    pub fn get(&self) -> Option<Timestamp> {
        Some(self.0.load(Ordering::Relaxed)).filter(|deadline| *deadline != u64::MAX).map(Timestamp)
    }

    #[inline]
    fn set(&self, deadline: Option<Timestamp>) {
        let deadline = deadline.map_or(u64::MAX, |deadline| deadline.0);
        // One writer: a plain load tells whether the line needs to be taken from its readers at all.
        if self.0.load(Ordering::Relaxed) != deadline {
            self.0.store(deadline, Ordering::Relaxed);
        }
    }
}

/// The last stage of the ingress ring, and the producer of the egress ring.
#[derive(Debug)]
pub struct ExecuteStage<R> {
    commands: NextReader,
    machine: Machine<R>,
    exit: Exit,
    scratch: Scratch,
    deadline: Deadline,
    chain: ChainWriter,
    /// Slots released so far.
    position: u64,
}

impl<R> ExecuteStage<R> {
    pub(crate) fn count(&mut self, counting: Counting<ExecuteCounters>) {
        self.exit.counting = Some(counting);
    }
}

impl<R: Registry> ExecuteStage<R> {
    /// Executes `commands` on `machine` and publishes into `egress`.
    #[must_use]
    pub fn new(
        commands: NextReader,
        machine: Machine<R>,
        egress: Producer,
        deadline: Deadline,
        chain: ChainWriter,
    ) -> Self {
        deadline.set(machine.next_deadline());
        let exit = Exit { outbox: Outbox::new(), egress, published: 0, counting: None };
        Self { commands, machine, exit, scratch: Scratch::default(), deadline, chain, position: 0 }
    }

    /// Executes what was released, as far as there is room for what it says.
    ///
    /// # Panics
    /// When a frame cannot be played or an invariant is broken: the process stops rather than diverge.
    #[inline]
    pub fn step(&mut self) -> usize {
        let (begun, mut executed) = (self.position, 0);
        while self.position - begun < BATCH_SLOTS as u64 {
            if self.machine.foresees() {
                self.foresee();
            }
            let read = self.execute();
            executed += read;
            if read < FORESEEN {
                break;
            }
        }
        self.exit.publish();
        if executed > 0 {
            self.deadline.set(self.machine.next_deadline());
        }
        if let Some(Counting { counters, .. }) = &mut self.exit.counting {
            counters.position.set(self.position);
            counters.executed.set(self.machine.sequence().0);
            counters.published.set(self.exit.published);
        }
        executed
    }

    /// Looks at the commands that [`ExecuteStage::execute`] comes to next.
    #[inline]
    fn foresee(&mut self) {
        let Self { commands, machine, .. } = self;
        let mut left = FORESEEN;
        commands.read(BATCH_SLOTS, |command| {
            command.pieces().take(1).for_each(|image| machine.foresee(image));
            left -= 1;
            left > 0
        });
        machine.bring_near();
    }

    /// Executes as many commands as are foreseen together, and releases them.
    #[inline]
    fn execute(&mut self) -> usize {
        let Self { commands, machine, exit, scratch, chain, .. } = self;
        let mut left = FORESEEN;
        let read = commands.read(BATCH_SLOTS, |command| {
            if left == 0 {
                return false;
            }
            left -= 1;
            let image = command.image(scratch);
            loop {
                // A decision that goes on needs all of the outbox; others are gathered in it.
                if (machine.goes_on() || !exit.outbox.has_room()) && !exit.publish() {
                    return false;
                }
                match machine.execute(image, &mut exit.outbox).unwrap_or_else(|frame| panic!("{frame}")) {
                    Progress::Done => break,
                    Progress::More => {}
                }
            }
            if let Some(Counting { ages, .. }) = &mut exit.counting {
                ages.look(machine.sequence().0 - 1, || command.timestamp());
            }
            chain.record(machine.sequence(), machine.chain());
            true
        });
        if read.commands > 0 {
            self.commands.release(read.slots);
            self.position += read.slots as u64;
        }
        read.commands
    }

    /// Slots released so far.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The state, when the work is over.
    #[must_use]
    pub fn into_machine(self) -> Machine<R> {
        self.machine
    }
}

/// Where decisions leave: what was said and waits, and the ring it goes to.
#[derive(Debug)]
struct Exit {
    outbox: Outbox,
    egress: Producer,
    /// Slots published on the egress ring.
    published: u64,
    counting: Option<Counting<ExecuteCounters>>,
}

impl Exit {
    /// Publishes what was gathered, or nothing of it when the ring is that full; gives whether nothing waits any more.
    #[inline]
    fn publish(&mut self) -> bool {
        let outputs = self.outbox.outputs();
        let published =
            outputs.is_empty() || self.egress.try_claim(outputs.len(), |index, slot| slot.copy_image(&outputs[index]));
        if published {
            self.published += outputs.len() as u64;
            self.outbox.flushed();
        }
        if let Some(Counting { counters, ages }) = &mut self.counting {
            counters.full.add(u64::from(!published));
            ages.done(&mut counters.decided_age);
        }
        published
    }
}
