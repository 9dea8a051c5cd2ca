//! Threads: who drives which stages, how they wait, how a stop drains them.

use crate::execute_stage::ExecuteStage;
use crate::idle::{Idle, IdleStrategy, Rest};
use crate::journal_stage::JournalStage;
use crate::layout::{Layout, cores, pin};
use crate::machine::Machine;
use crate::pipeline::Stages;
use crate::port::FrontEnd;
use crate::replicate_stage::{Gate, ReplicateStage};
use ringfence_gateway::Waker;
use ringfence_journal::Writer;
use ringfence_kernel::Registry;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::Thread;
use std::time::{Duration, Instant};

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
    fn drive(&mut self, idle: &mut Idle, sleepers: &Sleepers, me: usize, stop: &Stop) {
        let mut stuck_since = None;
        while !stop.drained.load(Ordering::Acquire) {
            let work = self.step();
            if stop.requested.load(Ordering::Relaxed) {
                self.drain(stop, work, &mut stuck_since);
            }
            if work > 0 {
                idle.reset();
                sleepers.wake_others(me);
                continue;
            }
            match idle.rest() {
                Rest::Spin => std::hint::spin_loop(),
                Rest::Yield => std::thread::yield_now(),
                Rest::Park(longest) => {
                    sleepers.0[me].asleep.store(true, Ordering::SeqCst);
                    // What came before others could see the flag is found by one more look.
                    match (self.step(), &mut self.front) {
                        (0, Some(front)) => front.park(longest),
                        (0, None) => std::thread::park_timeout(longest),
                        _ => idle.reset(),
                    }
                    sleepers.0[me].asleep.store(false, Ordering::Relaxed);
                }
            }
        }
    }

    /// The front says how much it has published in all; execute says when all of that is done, or that nothing moves:
    /// a journal without room on a full disk must not keep an engine from stopping. What is left was never acknowledged.
    fn drain(&mut self, stop: &Stop, work: usize, stuck_since: &mut Option<Instant>) {
        if let Some(front) = &mut self.front {
            front.begin_stop();
            if front.is_stopped() {
                stop.claimed.store(front.claimed(), Ordering::Release);
            }
        }
        let Some(execute) = &self.execute else { return };
        let claimed = stop.claimed.load(Ordering::Acquire);
        if claimed == u64::MAX || work > 0 {
            *stuck_since = None;
        } else if stuck_since.get_or_insert_with(Instant::now).elapsed() > STUCK_MAX {
            stop.cut_short.store(true, Ordering::Relaxed);
        }
        if execute.position() == claimed || stop.cut_short.load(Ordering::Relaxed) {
            stop.drained.store(true, Ordering::Release);
        }
    }
}

/// Who sleeps, and how to wake them: whoever had work looks whether the others are up, at the price of a load each.
/// A wake that is missed in a race costs no more than the longest park.
struct Sleepers(Vec<Sleeper>);

struct Sleeper {
    asleep: AtomicBool,
    thread: OnceLock<Thread>,
    waker: Option<Arc<Waker>>,
}

impl Sleepers {
    #[inline]
    fn wake_others(&self, me: usize) {
        for (at, other) in self.0.iter().enumerate() {
            if at != me && other.asleep.load(Ordering::Relaxed) {
                other.wake();
            }
        }
    }
}

impl Sleeper {
    #[cold]
    fn wake(&self) {
        self.asleep.store(false, Ordering::Relaxed);
        if let Some(waker) = &self.waker {
            // A failed wake is a missed one: the park ends by itself.
            let _ = waker.wake();
        } else if let Some(thread) = self.thread.get() {
            thread.unpark();
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
    /// Set when nothing moved any more before all was done.
    cut_short: AtomicBool,
}

/// How long nothing may move while a stop drains.
const STUCK_MAX: Duration = Duration::from_secs(5);

impl Default for Stop {
    fn default() -> Self {
        Self {
            requested: AtomicBool::new(false),
            claimed: AtomicU64::new(u64::MAX),
            drained: AtomicBool::new(false),
            cut_short: AtomicBool::new(false),
        }
    }
}

impl Stop {
    /// Take nothing new in, answer all that was, then end.
    pub fn request(&self) {
        self.requested.store(true, Ordering::Relaxed);
    }

    /// Whether the stop left commands undone that were taken in and never acknowledged.
    #[must_use]
    pub fn was_cut_short(&self) -> bool {
        self.cut_short.load(Ordering::Relaxed)
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
    // A thread that works alone is woken by its sockets; one that others hand work to may miss a wake.
    let park_max = Duration::from_millis(if crews.len() == 1 { 50 } else { 10 });
    let sleeper = |crew: &Crew<F, R, G>| Sleeper {
        asleep: AtomicBool::new(false),
        thread: OnceLock::new(),
        waker: crew.front.as_ref().and_then(FrontEnd::waker),
    };
    let sleepers = Sleepers(crews.iter().map(sleeper).collect());
    let work = |crew: Crew<F, R, G>, core: Option<usize>, me: usize| {
        let guard = AbortOnPanic;
        core.into_iter().for_each(pin);
        sleepers.0[me].thread.set(std::thread::current()).expect("a crew has one thread");
        let mut crew = crew;
        crew.drive(&mut Idle::new(threads.idle, park_max), &sleepers, me, stop);
        std::mem::forget(guard);
        crew
    };
    let crews = std::thread::scope(|scope| {
        let work = &work;
        let core = |me: usize| threads.pinned.get(me).copied();
        let mut crews = crews.into_iter().enumerate();
        let (_, first) = crews.next().expect("a layout has a thread");
        let others = crews
            .map(|(me, crew)| {
                let builder = std::thread::Builder::new().name(crew.name.into());
                builder.spawn_scoped(scope, move || work(crew, core(me), me)).expect("a thread can be started")
            })
            .collect::<Vec<_>>();
        let first = work(first, core(0), 0);
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
