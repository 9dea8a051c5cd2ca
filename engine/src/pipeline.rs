//! The whole pipeline on one screen.
//!
//! ```text
//!            ingress ring                                                     egress ring
//! gateway ──────────────► journal ──────────► replicate ──────────► execute ──────────────► gateway
//! (front)                 append, release     the gate: appended?   decide                  (front)
//!                                             durable? committed?
//! ```
//!
//! A stage is a poller and a step. No stage owns a thread: [`run`] (`crew.rs`) gives each thread of the layout a crew of
//! stages, and waits until a stop has drained them all.

pub use crate::crew::{Drained, Stop, Threads, run};

use crate::execute_stage::{Deadline, ExecuteStage};
use crate::journal_stage::JournalStage;
use crate::machine::Machine;
use crate::port::EnginePort;
use crate::replicate_stage::{Gate, ReplicateStage};
use crate::ring;
use ringfence_journal::{ChainWriter, Writer};
use ringfence_kernel::Registry;

/// The stages behind the front, in the order in which a command meets them.
#[derive(Debug)]
pub struct Stages<R, G> {
    /// Appends.
    pub journal: JournalStage,
    /// Holds and releases.
    pub replicate: ReplicateStage<G>,
    /// Decides.
    pub execute: ExecuteStage<R>,
}

/// Two rings and what stands between them: the front's port, and the stages.
#[must_use]
pub fn assemble<R: Registry, G: Gate>(
    machine: Machine<R>,
    writer: Writer,
    chain: ChainWriter,
    gate: G,
    ring_slots: usize,
) -> (EnginePort, Stages<R, G>) {
    let (ingress, to_journal, to_replicate, to_execute) = ring::ingress(ring_slots);
    let (egress, to_gateway) = ring::egress(ring_slots);
    let deadline = Deadline::default();
    let port = EnginePort::new(ingress, to_gateway, writer.admission(), deadline.clone());
    let next = machine.sequence();
    let journal = JournalStage::new(to_journal, writer);
    let replicate = ReplicateStage::new(to_replicate, gate, next);
    let execute = ExecuteStage::new(to_execute, machine, egress, deadline, chain);
    (port, Stages { journal, replicate, execute })
}
