//! The whole pipeline on one screen.
//!
//! ```text
//!            ingress ring                                                     egress ring
//! gateway ──────────────► journal ──────────► replicate ──────────► execute ──────────────► gateway
//! (front)                 append, release     the gate: appended?   decide                  (front)
//!                                             durable? committed?
//! ```
//!
//! A stage is a poller and a step. No stage owns a thread: [`run`] gives each thread of the layout a crew of
//! stages, and waits until a stop has drained them all.

use crate::execute_stage::{Deadline, ExecuteStage};
use crate::idle::{Idle, IdleStrategy, Rest};
use crate::journal_stage::JournalStage;
use crate::layout::{Layout, cores, pin};
use crate::machine::Machine;
use crate::port::{EnginePort, FrontEnd};
use crate::replicate_stage::{Gate, ReplicateStage};
use crate::ring;
use ringfence_journal::{ChainWriter, Writer};
use ringfence_kernel::Registry;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

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

/// The stages that one thread drives.
struct Crew<F, R, G> {
    name: &'static str,
    front: Option<F>,
    journal: Option<JournalStage>,
    replicate: Option<ReplicateStage<G>>,
    execute: Option<ExecuteStage<R>>,
}

impl<F: FrontEnd, R: Registry, G: Gate> Crew<F, R, G> {
    #[inline]
    fn step(&mut self) -> usize {
        self.front.as_mut().map_or(0, FrontEnd::step)
            + self.journal.as_mut().map_or(0, JournalStage::step)
            + self.replicate.as_mut().map_or(0, ReplicateStage::step)
            + self.execute.as_mut().map_or(0, ExecuteStage::step)
    }

    /// Steps until a stop has drained the pipeline.
    fn drive(&mut self, idle: &mut Idle, stop: &Stop) {
        while !stop.drained.load(Ordering::Acquire) {
            let work = self.step();
            if stop.requested.load(Ordering::Relaxed) {
                self.drain(stop);
            }
            if work > 0 {
                idle.reset();
                continue;
            }
            match (idle.rest(), &mut self.front) {
                (Rest::Spin, _) => std::hint::spin_loop(),
                (Rest::Yield, _) => std::thread::yield_now(),
                (Rest::Park(longest), Some(front)) => front.park(longest),
                (Rest::Park(longest), None) => std::thread::park_timeout(longest),
            }
        }
    }

    /// The front says how much it has published in all; execute says when all of that is done.
    fn drain(&mut self, stop: &Stop) {
        if let Some(front) = &mut self.front {
            front.begin_stop();
            if front.is_stopped() {
                stop.claimed.store(front.claimed(), Ordering::Release);
            }
        }
        if let Some(execute) = &self.execute
            && execute.position() == stop.claimed.load(Ordering::Acquire)
        {
            stop.drained.store(true, Ordering::Release);
        }
    }
}

/// Asks a pipeline to stop, from any thread or a signal.
#[derive(Debug)]
pub struct Stop {
    requested: AtomicBool,
    /// Slots published in all, once the front has stopped.
    claimed: AtomicU64,
    drained: AtomicBool,
}

impl Default for Stop {
    fn default() -> Self {
        Self { requested: AtomicBool::new(false), claimed: AtomicU64::new(u64::MAX), drained: AtomicBool::new(false) }
    }
}

impl Stop {
    /// Take nothing new in, answer all that was, then end.
    pub fn request(&self) {
        self.requested.store(true, Ordering::Relaxed);
    }
}

/// Which threads, on which cores, and how they wait.
#[derive(Clone, Debug)]
pub struct Threads {
    /// Which thread drives which stages.
    pub layout: Layout,
    /// How a thread waits.
    pub idle: IdleStrategy,
    /// A core for each thread; empty: none is pinned.
    pub pinned: Vec<usize>,
}

/// What [`run`] gives back when it has drained.
#[derive(Debug)]
pub struct Drained<F, R> {
    /// The front.
    pub front: F,
    /// The journal's writer, to be closed.
    pub writer: Writer,
    /// The state, to be saved.
    pub machine: Machine<R>,
}

/// Drives front and stages until `stop` has drained them. The first crew runs on the calling thread.
///
/// # Panics
/// When a stage breaks an invariant; the process is aborted rather than left half running.
pub fn run<F: FrontEnd, R: Registry, G: Gate>(
    front: F,
    stages: Stages<R, G>,
    threads: &Threads,
    stop: &Stop,
) -> Drained<F, R> {
    let Stages { journal, replicate, execute } = stages;
    let none = || Crew { name: "", front: None, journal: None, replicate: None, execute: None };
    let (front, journal, replicate, execute) = (Some(front), Some(journal), Some(replicate), Some(execute));
    let crews = match threads.layout.resolve(cores()) {
        Layout::Auto | Layout::Fused => vec![Crew { name: "fused", front, journal, replicate, execute }],
        Layout::Split => vec![
            Crew { name: "gateway", front, ..none() },
            Crew { name: "pipeline", journal, replicate, execute, ..none() },
        ],
        Layout::Staged => vec![
            Crew { name: "gateway", front, ..none() },
            Crew { name: "journal", journal, ..none() },
            Crew { name: "replicate", replicate, ..none() },
            Crew { name: "execute", execute, ..none() },
        ],
    };
    // A thread that works alone sleeps until there is traffic; one that others hand work to looks again in time.
    let park_max = if crews.len() == 1 { Duration::from_millis(50) } else { Duration::from_millis(1) };
    let work = |crew: Crew<F, R, G>, core: Option<usize>| {
        let guard = AbortOnPanic;
        core.into_iter().for_each(pin);
        let mut crew = crew;
        crew.drive(&mut Idle::new(threads.idle, park_max), stop);
        std::mem::forget(guard);
        crew
    };
    let crews = std::thread::scope(|scope| {
        let mut crews = crews.into_iter().zip((0..).map(|thread| threads.pinned.get(thread).copied()));
        let (first, first_core) = crews.next().expect("a layout has a thread");
        let others = crews
            .map(|(crew, core)| {
                let builder = std::thread::Builder::new().name(crew.name.into());
                builder.spawn_scoped(scope, move || work(crew, core)).expect("a thread can be started")
            })
            .collect::<Vec<_>>();
        let first = work(first, first_core);
        let others = others.into_iter().map(|thread| thread.join().expect("a crew aborts rather than panics"));
        std::iter::once(first).chain(others).collect::<Vec<_>>()
    });
    gather(crews)
}

fn gather<F, R: Registry, G>(crews: Vec<Crew<F, R, G>>) -> Drained<F, R> {
    let (mut front, mut writer, mut machine) = (None, None, None);
    for crew in crews {
        front = front.or(crew.front);
        writer = writer.or(crew.journal.map(JournalStage::into_writer));
        machine = machine.or(crew.execute.map(ExecuteStage::into_machine));
    }
    let whole = "every stage has a crew";
    Drained { front: front.expect(whole), writer: writer.expect(whole), machine: machine.expect(whole) }
}

/// Ends the process when its thread panics: a stage that stops alone would leave the others waiting for ever.
struct AbortOnPanic;

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        std::process::abort();
    }
}
