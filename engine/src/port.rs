//! Where the pipeline meets what stands before it: the gateway, or a bench that publishes by itself.

use crate::execute_stage::Deadline;
use crate::ring::{FirstReader, Producer};
use ringfence_counters::PortCounters;
use ringfence_gateway::{Clock, Gateway, Port, Waker};
use ringfence_journal::Admission;
use ringfence_kernel::Timestamp;
use ringfence_kernel::image::{SLOTS_MAX, Slot};
use std::sync::Arc;
use std::time::Duration;

/// The producer of the ingress ring and the reader of the egress ring.
#[derive(Debug)]
pub struct EnginePort {
    ingress: Producer,
    egress: FirstReader,
    admission: Admission,
    deadline: Deadline,
    /// Slots published so far.
    claimed: u64,
    /// Slots taken from the egress ring so far.
    drained: u64,
    counters: Option<PortCounters>,
}

impl EnginePort {
    pub(crate) fn new(ingress: Producer, egress: FirstReader, admission: Admission, deadline: Deadline) -> Self {
        Self { ingress, egress, admission, deadline, claimed: 0, drained: 0, counters: None }
    }

    /// Counts into `counters` from here on.
    pub fn count(&mut self, counters: PortCounters) {
        self.counters = Some(counters);
    }

    /// Slots published so far.
    #[must_use]
    pub fn claimed(&self) -> u64 {
        self.claimed
    }
}

impl Port for EnginePort {
    #[inline]
    fn try_claim(&mut self, slots: usize, fill: impl FnMut(usize, &mut Slot)) -> bool {
        let claimed = self.ingress.try_claim(slots, fill);
        self.claimed += if claimed { slots as u64 } else { 0 };
        if let Some(counters) = &mut self.counters {
            counters.published.set(self.claimed);
            counters.full.add(u64::from(!claimed));
        }
        claimed
    }

    #[inline]
    fn drain(&mut self, limit: usize, mut each: impl FnMut(&Slot)) -> usize {
        let read = self.egress.read_slots(limit.max(SLOTS_MAX), |slot| each(slot));
        self.egress.release(read);
        self.drained += read as u64;
        if let Some(counters) = &mut self.counters {
            counters.drained.set(self.drained);
        }
        read
    }

    #[inline]
    fn accepts(&self) -> bool {
        self.admission.accepts()
    }

    #[inline]
    fn next_deadline(&self) -> Option<Timestamp> {
        self.deadline.get()
    }
}

/// What publishes commands and takes outputs: the first stage and the last.
pub trait FrontEnd: Send {
    /// Does what there is to do, without waiting; gives how much that was.
    fn step(&mut self) -> usize;
    /// Waits for something to do, `longest` at most.
    fn park(&mut self, longest: Duration);
    /// Takes nothing new in. Called again and again while a stop drains.
    fn begin_stop(&mut self);
    /// Whether everything that was taken in is answered and nothing more will be published.
    fn is_stopped(&self) -> bool;
    /// Slots published so far.
    fn claimed(&mut self) -> u64;
    /// Ends [`FrontEnd::park`] from another thread, when unparking its thread does not.
    fn waker(&self) -> Option<Arc<Waker>> {
        None
    }
}

impl<C: Clock + Send> FrontEnd for Gateway<EnginePort, C> {
    #[inline]
    fn step(&mut self) -> usize {
        Gateway::step(self)
    }

    fn park(&mut self, longest: Duration) {
        Gateway::park(self, longest);
    }

    fn begin_stop(&mut self) {
        Gateway::begin_stop(self);
    }

    fn is_stopped(&self) -> bool {
        Gateway::is_stopped(self)
    }

    fn claimed(&mut self) -> u64 {
        self.port().claimed()
    }

    fn waker(&self) -> Option<Arc<Waker>> {
        Some(Gateway::waker(self))
    }
}
