//! Execute: decides what was released, in order, and publishes what was decided.

use crate::counting::Counting;
use crate::machine::Machine;
use crate::ring::{NextReader, Producer, Scratch};
use ringfence_counters::ExecuteCounters;
use ringfence_journal::ChainWriter;
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
    outbox: Outbox,
    /// Whether the outbox holds outputs that the egress ring had no room for.
    unpublished: bool,
    egress: Producer,
    scratch: Scratch,
    deadline: Deadline,
    chain: ChainWriter,
    /// Slots released so far.
    position: u64,
    /// Slots published on the egress ring.
    published: u64,
    counting: Option<Counting<ExecuteCounters>>,
}

impl<R> ExecuteStage<R> {
    pub(crate) fn count(&mut self, counting: Counting<ExecuteCounters>) {
        self.counting = Some(counting);
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
        Self {
            commands,
            machine,
            outbox: Outbox::new(),
            unpublished: false,
            egress,
            scratch: Scratch::default(),
            deadline,
            chain,
            position: 0,
            published: 0,
            counting: None,
        }
    }

    /// Executes what was released, as far as there is room for what it says.
    ///
    /// # Panics
    /// When a frame cannot be played or an invariant is broken: the process stops rather than diverge.
    #[inline]
    pub fn step(&mut self) -> usize {
        if self.unpublished && !publish(&mut self.outbox, &mut self.egress, &mut self.published) {
            self.counting.iter_mut().for_each(|counting| counting.counters.full.add(1));
            return 0;
        }
        self.unpublished = false;
        let Self { commands, machine, outbox, unpublished, egress, scratch, chain, published, counting, .. } = self;
        let read = commands.read(BATCH_SLOTS, |command| {
            if *unpublished {
                return false;
            }
            let image = command.image(scratch);
            loop {
                let progress = machine.execute(image, outbox).unwrap_or_else(|frame| panic!("{frame}"));
                *unpublished = !publish(outbox, egress, published);
                match progress {
                    Progress::Done => {
                        chain.record(machine.sequence(), machine.chain());
                        if let Some(Counting { counters, ages }) = counting {
                            ages.look(machine.sequence().0, || command.timestamp());
                            ages.done(&mut counters.decided_age);
                        }
                        return true;
                    }
                    Progress::More if *unpublished => return false,
                    Progress::More => {}
                }
            }
        });
        if read.commands > 0 {
            self.commands.release(read.slots);
            self.position += read.slots as u64;
            self.deadline.set(self.machine.next_deadline());
        }
        if let Some(Counting { counters, .. }) = &mut self.counting {
            counters.position.set(self.position);
            counters.executed.set(self.machine.sequence().0);
            counters.published.set(self.published);
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

/// Publishes the outbox, or nothing of it when the ring is that full.
#[inline]
fn publish(outbox: &mut Outbox, egress: &mut Producer, published_slots: &mut u64) -> bool {
    let outputs = outbox.outputs();
    if outputs.is_empty() {
        return true;
    }
    let published = egress.try_claim(outputs.len(), |index, slot| slot.copy_image(&outputs[index]));
    if published {
        *published_slots += outputs.len() as u64;
        outbox.flushed();
    }
    published
}
