//! What other processes see of the gateway: its counters, in words of a file that they read.

use crate::clock::Clock;
use crate::core::Core;
use ringfence_counters::GatewayCounters;
use ringfence_kernel::image::{OUTPUT_HEADER_BYTES, Slot, flag, kind};
use ringfence_kernel::reject::Code;
use ringfence_kernel::{Timestamp, wire};

/// Where a reject has its code.
const CODE_AT: usize = OUTPUT_HEADER_BYTES + std::mem::offset_of!(wire::Rejected, code);
/// Timed answers that one step keeps; outputs are drained a few thousand at a time.
const SAMPLES_MAX: usize = 256;

/// The counters, and the answers of this step that are to be timed.
#[derive(Debug)]
pub(crate) struct Counting {
    counters: GatewayCounters,
    /// Commands whose sequence has none of these bits are timed.
    mask: u64,
    sampled: Vec<Timestamp>,
}

impl Counting {
    pub(crate) fn new(counters: GatewayCounters, sample_every: u64) -> Self {
        assert!(sample_every.is_power_of_two(), "a sample of one in a power of two");
        Self { counters, mask: sample_every - 1, sampled: Vec::with_capacity(SAMPLES_MAX) }
    }

    pub(crate) fn refused(&mut self, code: Code) {
        self.counters.rejects.count(code.0);
    }

    /// Looks at an output for a session: a reject is counted, and the answer to a sampled command timed.
    #[inline]
    pub(crate) fn answered(&mut self, output: &Slot) {
        if output.kind() == kind::REJECT {
            let code = &output.bytes()[CODE_AT..CODE_AT + 2];
            self.counters.rejects.count(u16::from_le_bytes(code.try_into().expect("two bytes")));
        } else if output.kind() != kind::REPLY {
            return;
        }
        // The original answer to a repeated command is as old as that was.
        let sampled = output.sequence().0 & self.mask == 0 && output.flags() & flag::DUPLICATE == 0;
        if sampled && self.sampled.len() < SAMPLES_MAX {
            self.sampled.push(output.timestamp());
        }
    }

    /// The answers were passed to their sockets: one look at the clock times all that were sampled.
    #[inline]
    pub(crate) fn written(&mut self, clock: &mut impl Clock) {
        if self.sampled.is_empty() {
            return;
        }
        let now = clock.now();
        for stamped in self.sampled.drain(..) {
            self.counters.written.record(now.0.saturating_sub(stamped.0));
        }
    }
}

impl Core {
    /// Shows others what was counted in this step: a dozen stores into lines of the gateway's own.
    #[inline]
    pub(crate) fn publish_counters(&mut self) {
        let (stats, now) = (&self.stats, self.now);
        let Some(Counting { counters, .. }) = &mut self.counting else { return };
        counters.clock.set(now.0);
        counters.commands.set(stats.sequenced);
        counters.replies.set(stats.answered);
        counters.events.set(stats.published);
        counters.overruns.set(stats.overruns);
        counters.bytes_read.set(stats.bytes_read);
        counters.bytes_written.set(stats.bytes_written);
        counters.accepted.set(stats.accepted);
        counters.connections.set(stats.connections as u64);
        counters.sessions.set(stats.sessions as u64);
    }
}
