//! A domain alone: commands made beforehand, decided one after another, outputs gathered in an outbox and dropped.
//!
//! Excluded: sessions, rings, journal, numbering and folding of outputs.

use ringfence_engine::config::{GenesisConfig, LimitsConfig};
use ringfence_kernel::messages::Message as _;
use ringfence_kernel::outbox::Stamp;
use ringfence_kernel::system::Frame;
use ringfence_kernel::workload::{CommandImage, Workload, WorkloadKind};
use ringfence_kernel::{ClientId, Context, Outbox, Progress, Registry, Roles, Sequence, SessionId, Timestamp};
use std::time::Instant;

/// What a run of a domain gave.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// Commands a second.
    pub per_second: f64,
    /// Outputs a command, the answer included.
    pub outputs: f64,
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
}

/// Makes `domain` and the first `batch` commands of a workload.
///
/// # Panics
/// When there is no such domain.
#[must_use]
pub fn prepare<R: Registry>(domain: &str, kind: WorkloadKind, seed: u64, batch: usize) -> Decisions<R> {
    const CLIENTS: u32 = 8;
    let genesis = GenesisConfig::default().frame::<R>(&LimitsConfig::default(), 1, Timestamp(0));
    let genesis = genesis.expect("the defaults are sound");
    let Ok(Frame::Genesis(_, entries)) = Frame::decode(genesis.header().message, genesis.body()) else {
        unreachable!("a Genesis frame was made above");
    };
    let domains = R::new(entries).expect("the domains are of this build");
    let index = R::DOMAINS.iter().position(|info| info.name == domain).expect("the domain exists");
    let (workload, images) = ((kind.new)(seed, CLIENTS), vec![CommandImage::default(); batch]);
    let mut decisions = Decisions { domains, index, workload, images, outbox: Outbox::new(), sequence: 0, outputs: 0 };
    decisions.refill();
    decisions
}

impl<R: Registry> Decisions<R> {
    /// Makes the next commands.
    pub fn refill(&mut self) {
        self.images.iter_mut().for_each(|image| self.workload.next(image));
    }

    /// Decides them.
    pub fn decide(&mut self) {
        let Self { domains, index, images, outbox, sequence, outputs, .. } = self;
        for image in images {
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
            outbox.begin(Stamp { sequence: context.sequence, now: context.now, ..Stamp::default() });
            let mut progress = domains.apply(*index, context, image.header().message, image.body(), outbox);
            *outputs += outbox.len();
            outbox.flushed();
            while progress == Ok(Progress::More) {
                progress = Ok(domains.resume(*index, context, outbox));
                *outputs += outbox.len();
                outbox.flushed();
            }
        }
    }
}

/// Decides `commands` commands of a workload of `domain`.
///
/// # Panics
/// When there is no such domain.
#[must_use]
pub fn run<R: Registry>(domain: &str, kind: WorkloadKind, seed: u64, commands: u64) -> Outcome {
    let mut decisions = prepare::<R>(domain, kind, seed, 1 << 10);
    let mut seconds = 0.0;
    while decisions.sequence < commands {
        let begun = Instant::now();
        decisions.decide();
        seconds += begun.elapsed().as_secs_f64();
        decisions.refill();
    }
    let decided = decisions.sequence as f64;
    Outcome { per_second: decided / seconds, outputs: decisions.outputs as f64 / decided }
}
