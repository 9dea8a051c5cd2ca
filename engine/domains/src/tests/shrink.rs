//! Laws on a seeded workload; when one breaks, the smallest transcript that still breaks it is looked for and printed.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cell::Cell;
use core::fmt::{Debug, Write};
use ringfence_kernel::Domain;
use ringfence_kernel::laws::{self, Model, Often, Step};
use ringfence_kernel::messages::Message;
use ringfence_kernel::workload::Workload;
use std::panic::{self, AssertUnwindSafe};

/// Runs of shorter and shorter transcripts at most, after one failed.
const TRIES_MAX: usize = 3_000;

type Limits<M> = <<M as Model>::Domain as Domain>::Limits;

/// As [`laws::check_steps`], of the commands that `workload` makes again as often as it is asked. `tick` nanoseconds lie
/// between two steps.
///
/// # Panics
/// When a law is broken: with the smallest transcript found that breaks one, and what is broken at its end.
pub(crate) fn check<M: Model>(
    limits: &Limits<M>,
    clients: u32,
    workload: impl Fn() -> Box<dyn Workload>,
    steps: u64,
    tick: u64,
    often: Often,
) where
    for<'a> <M::Domain as Domain>::Command<'a>: Debug,
{
    let seen = Cell::new(0);
    let mut first = workload();
    let run = laws::steps(clients, &mut *first, steps).inspect(|_| seen.set(seen.get() + 1));
    if broken::<M>(limits, run, tick, often).is_none() {
        return;
    }
    let mut again = workload();
    let failing: Vec<Step> = laws::steps(clients, &mut *again, seen.get()).collect();
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let fails = |steps: &[Step]| broken::<M>(limits, steps.iter().cloned(), tick, often);
    let (steps, why) = smallest(failing, &fails);
    panic::set_hook(hook);
    let mut text = String::new();
    for (at, step) in steps.iter().enumerate() {
        writeln!(text, "{at:>4}  {}", describe::<M>(step)).expect("a string takes all");
    }
    panic!("step {} of the workload breaks a law; so do these {}:\n{text}{why}", seen.get() - 1, steps.len());
}

/// What is broken by these steps, if anything is.
fn broken<M: Model>(limits: &Limits<M>, steps: impl Iterator<Item = Step>, tick: u64, often: Often) -> Option<String> {
    let run = panic::catch_unwind(AssertUnwindSafe(|| laws::check_steps::<M>(limits, steps, tick, often)));
    let why = run.err()?;
    let text = why.downcast_ref::<String>().cloned();
    Some(text.or_else(|| why.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default())
}

/// Leaves out ever smaller pieces while what is left still fails; gives it, and why it does.
pub(crate) fn smallest<S: Clone>(mut steps: Vec<S>, fails: &dyn Fn(&[S]) -> Option<String>) -> (Vec<S>, String) {
    let mut why = fails(&steps).unwrap_or_else(|| "it holds when it is run again".into());
    let (mut piece, mut tries) = (steps.len().div_ceil(2), 0);
    while piece > 0 && tries < TRIES_MAX {
        let (mut at, mut left_out) = (0, false);
        while at < steps.len() && tries < TRIES_MAX {
            let end = (at + piece).min(steps.len());
            let without = [&steps[..at], &steps[end..]].concat();
            tries += 1;
            match fails(&without) {
                Some(reason) => (steps, why, left_out) = (without, reason, true),
                None => at = end,
            }
        }
        // Pieces of one are tried until none can go.
        piece = if piece == 1 { usize::from(left_out) } else { piece / 2 };
    }
    (steps, why)
}

fn describe<M: Model>(step: &Step) -> String
where
    for<'a> <M::Domain as Domain>::Command<'a>: Debug,
{
    match step {
        Step::Session(client, change) => alloc::format!("{client}: {change:?}"),
        Step::Command(image) => {
            let command = <M::Domain as Domain>::Command::decode(image.header().message, image.body());
            command.map_or_else(
                |malformed| alloc::format!("{}: malformed: {malformed:?}", image.client),
                |command| alloc::format!("{}: {command:?}", image.client),
            )
        }
    }
}

/// Guards against a shrinker that keeps what is not needed, or loses the failure.
#[test]
fn only_what_fails_together_is_left() {
    let fails = |steps: &[u32]| (steps.contains(&3) && steps.contains(&77)).then(|| "both".to_string());
    assert_eq!(smallest((0..1_000).collect(), &fails), (alloc::vec![3, 77], "both".to_string()));
    let (steps, _) = smallest((0..10).collect(), &|steps: &[u32]| (steps.len() > 4).then(String::new));
    assert_eq!(steps.len(), 5);
}
