//! A domain alone: commands made beforehand, foreseen and decided as the engine does it, outputs gathered in an outbox and
//! dropped.
//!
//! Excluded: sessions, rings, journal, numbering and folding of outputs.
//!
//! Service times are of commands that were not foreseen, from one reading of the clock before a command to one behind it: what
//! a reading costs is part of each, and a command that waits for a slow one before it is not charged for that.

use crate::load::{Nanos, histogram};
use hdrhistogram::Histogram;
use ringfence_domains::matching::workload::Size;
use ringfence_engine::config::{GenesisConfig, LimitsConfig};
use ringfence_kernel::messages::Message as _;
use ringfence_kernel::outbox::Stamp;
use ringfence_kernel::registry::FORESEEN;
use ringfence_kernel::system::Frame;
use ringfence_kernel::workload::{CommandImage, Workload, WorkloadKind};
use ringfence_kernel::{ClientId, Context, Outbox, Progress, Registry, Roles, Sequence, SessionId, Timestamp};
use std::ops::Range;
use std::time::Instant;

/// What a run of a domain gave.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// Commands a second.
    pub per_second: f64,
    /// Outputs a command, the answer included.
    pub outputs: f64,
    /// The share of commands that were refused.
    pub refused: f64,
}

/// A domain and the commands that it is to decide next.
pub struct Decisions<R> {
    domains: R,
    index: usize,
    workload: Box<dyn Workload>,
    images: Vec<CommandImage>,
    outbox: Outbox,
    sequence: u64,
    outputs: usize,
    refused: u64,
}

/// Clients that send commands.
pub const CLIENTS: u32 = 8;

/// Makes `domain` and the first `batch` commands of a workload.
///
/// # Panics
/// When there is no such domain.
#[must_use]
pub fn prepare<R: Registry>(domain: &str, kind: WorkloadKind, seed: u64, batch: usize) -> Decisions<R> {
    prepare_sized(domain, (kind.new)(seed, CLIENTS), &GenesisConfig::default(), batch)
}

/// The same with capacities other than the defaults.
///
/// # Panics
/// When there is no such domain, or there are no such capacities.
#[must_use]
pub fn prepare_sized<R: Registry>(
    domain: &str,
    workload: Box<dyn Workload>,
    genesis: &GenesisConfig,
    batch: usize,
) -> Decisions<R> {
    let genesis = genesis.frame::<R>(&LimitsConfig::default(), 1, Timestamp(0)).expect("the capacities are sound");
    let Ok(Frame::Genesis(_, entries)) = Frame::decode(genesis.header().message, genesis.body()) else {
        unreachable!("a Genesis frame was made above");
    };
    let domains = R::new(entries).expect("the domains are of this build");
    let index = R::DOMAINS.iter().position(|info| info.name == domain).expect("the domain exists");
    let images = vec![CommandImage::default(); batch];
    let outbox = Outbox::new();
    let mut decisions = Decisions { domains, index, workload, images, outbox, sequence: 0, outputs: 0, refused: 0 };
    decisions.refill();
    decisions
}

impl<R: Registry> Decisions<R> {
    /// Makes the next commands.
    pub fn refill(&mut self) {
        self.images.iter_mut().for_each(|image| self.workload.next(image));
    }

    /// Skips the next `commands` but for what they do.
    pub fn skip(&mut self, commands: u64) {
        let end = self.sequence + commands;
        while self.sequence < end {
            self.decide();
            self.refill();
        }
    }

    /// Decides them.
    #[inline(never)]
    pub fn decide(&mut self) {
        for from in (0..self.images.len()).step_by(FORESEEN) {
            let some = from..self.images.len().min(from + FORESEEN);
            let Self { domains, images, .. } = self;
            if domains.foresees() {
                for image in &images[some.clone()] {
                    domains.foresee(ClientId(image.client.0), image.header().message, image.body());
                }
                domains.bring_near();
            }
            self.decide_each(some, || 0, |_, _| {});
        }
    }

    /// Decides some of them, and says of each what `now` was before it and behind it.
    #[inline(always)]
    fn decide_each(&mut self, some: Range<usize>, now: impl Fn() -> u64, mut took: impl FnMut(u64, u64)) {
        let Self { domains, index, images, outbox, sequence, outputs, refused, .. } = self;
        for image in &images[some] {
            let begun = now();
            *sequence += 1;
            let client = ClientId(image.client.0);
            let context = Context {
                sequence: Sequence(*sequence),
                now: Timestamp(*sequence * 1000),
                session: SessionId(client.0),
                client,
                roles: Roles::ALL,
                logic: 1,
            };
            outbox.flushed();
            outbox.begin(Stamp { sequence: context.sequence, now: context.now, ..Stamp::default() });
            let mut is_due = domains.next_deadline(*index).is_some_and(|due| due <= context.now);
            while is_due {
                is_due = domains.on_time(*index, context, outbox) == Progress::More;
                *outputs += outbox.len();
                outbox.flushed();
            }
            let mut decided = domains.apply(*index, context, image.header().message, image.body(), outbox);
            *outputs += outbox.len();
            while decided != Ok(Progress::Done) {
                if decided.is_err() {
                    *refused += 1;
                    break;
                }
                outbox.flushed();
                decided = Ok(domains.resume(*index, context, outbox));
                *outputs += outbox.len();
            }
            took(begun, now());
        }
    }
}

/// Commands that are made at once, and then decided.
const BATCH: usize = 1 << 10;

/// How long each of `commands` commands of a workload of `domain` takes, in nanoseconds; the first half of them is not looked at.
///
/// # Panics
/// When there is no such domain.
#[must_use]
pub fn service_times<R: Registry>(domain: &str, kind: WorkloadKind, seed: u64, commands: u64) -> Histogram<u64> {
    let mut decisions = prepare::<R>(domain, kind, seed, BATCH);
    decisions.skip(commands / 2);
    let (clock, mut times) = (Nanos::default(), histogram());
    while decisions.sequence < commands {
        decisions.decide_each(0..BATCH, || clock.now(), |begun, ended| times.saturating_record(ended - begun));
        decisions.refill();
    }
    times
}

/// Decides `commands` commands of matching once books of that size stand, which is not measured.
///
/// # Panics
/// When so much cannot stand.
#[must_use]
pub fn run_sized<R: Registry>(size: Size, seed: u64, commands: u64) -> Outcome {
    // Of what is taken out and entered again there is one more for a moment, and of levels.
    let capacities = [
        ("orders", u64::from(size.orders) + 16),
        ("instruments", size.instruments.into()),
        ("levels", size.levels() + 16),
        ("specials", 0),
    ];
    let capacities = capacities.map(|(name, capacity)| (name.to_owned(), capacity)).into();
    let genesis = GenesisConfig {
        domains: [("matching".to_owned(), capacities)].into(),
        enabled: vec!["matching".into()],
        topics_max: 1 << 24,
        ..GenesisConfig::default()
    };
    let mut decisions = prepare_sized::<R>("matching", size.workload(seed, CLIENTS), &genesis, BATCH);
    decisions.skip(size.set_up());
    time(decisions, commands)
}

/// Decides `commands` commands of a workload of `domain`.
///
/// # Panics
/// When there is no such domain.
#[must_use]
pub fn run<R: Registry>(domain: &str, kind: WorkloadKind, seed: u64, commands: u64) -> Outcome {
    time(prepare::<R>(domain, kind, seed, BATCH), commands)
}

/// Decides `commands` more.
fn time<R: Registry>(mut decisions: Decisions<R>, commands: u64) -> Outcome {
    let (before, mut seconds) = (decisions.sequence, 0.0);
    (decisions.outputs, decisions.refused) = (0, 0);
    while decisions.sequence < before + commands {
        let begun = Instant::now();
        decisions.decide();
        seconds += begun.elapsed().as_secs_f64();
        decisions.refill();
    }
    let decided = (decisions.sequence - before) as f64;
    Outcome {
        per_second: decided / seconds,
        outputs: decisions.outputs as f64 / decided,
        refused: decisions.refused as f64 / decided,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringfence_domains::Domains;
    use ringfence_domains::workloads::WORKLOADS;

    /// Guards against measuring refusals where capacities are made to measure.
    #[test]
    fn what_is_measured_of_a_size_is_decided() {
        for size in [Size { orders: 100, instruments: 1 }, Size { orders: 10_000, instruments: 1_000 }] {
            let outcome = run_sized::<Domains>(size, 1, 50_000);
            assert_eq!(outcome.refused, 0.0, "{size:?}: {outcome:?}");
            assert!(outcome.outputs > 2.0, "{size:?}: {outcome:?}");
        }
    }

    /// Guards against measuring refusals: a workload sets up first what it trades on afterwards, and leaving that out
    /// makes every figure splendid.
    #[test]
    fn what_is_measured_is_decided() {
        for (domain, kinds) in WORKLOADS {
            let outcome = run::<Domains>(domain, kinds[0], 1, 50_000);
            assert!(outcome.refused < 0.1, "{domain} {}: {outcome:?}", kinds[0].name);
        }
    }
}
