//! A domain alone: commands made beforehand, decided one after another, outputs gathered in an outbox and dropped.
//!
//! Excluded: sessions, rings, journal, numbering and folding of outputs.

use ringfence_domains::Domains;
use ringfence_domains::workloads::find;
use ringfence_engine::config::{GenesisConfig, LimitsConfig};
use ringfence_kernel::messages::Message as _;
use ringfence_kernel::outbox::Stamp;
use ringfence_kernel::system::Frame;
use ringfence_kernel::workload::CommandImage;
use ringfence_kernel::{ClientId, Context, Outbox, Progress, Registry as _, Roles, Sequence, SessionId, Timestamp};
use std::time::Instant;

/// What a run of a domain gave.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// Commands a second.
    pub per_second: f64,
    /// Outputs a command, the answer included.
    pub outputs: f64,
}

/// Decides `commands` commands of a workload.
///
/// # Panics
/// When there is no such domain or workload.
#[must_use]
pub fn run(domain: &str, workload: &str, seed: u64, commands: u64) -> Outcome {
    const CLIENTS: u32 = 8;
    let mut workload = (find(domain, workload).expect("the workload exists").new)(seed, CLIENTS);
    let genesis = GenesisConfig::default().frame::<Domains>(&LimitsConfig::default(), 1, Timestamp(0));
    let genesis = genesis.expect("the defaults are sound");
    let Ok(Frame::Genesis(_, entries)) = Frame::decode(genesis.header().message, genesis.body()) else {
        unreachable!("a Genesis frame was made above");
    };
    let mut domains = Domains::new(entries).expect("the domains are of this build");
    let index = Domains::DOMAINS.iter().position(|info| info.name == domain).expect("the domain exists");
    let mut images = vec![CommandImage::default(); 1 << 10];
    let mut outbox = Outbox::new();
    let (mut seconds, mut outputs, mut sequence) = (0.0, 0, 0);
    while sequence < commands {
        images.iter_mut().for_each(|image| workload.next(image));
        let begun = Instant::now();
        for image in &images {
            sequence += 1;
            let client = ClientId(image.client.0);
            let context = Context {
                sequence: Sequence(sequence),
                now: Timestamp(sequence * 1000),
                session: SessionId(client.0),
                client,
                roles: Roles::ALL,
                logic: 1,
            };
            outbox.begin(Stamp { sequence: context.sequence, now: context.now, ..Stamp::default() });
            let mut progress = domains.apply(index, context, image.header().message, image.body(), &mut outbox);
            outputs += outbox.len();
            outbox.flushed();
            while progress == Ok(Progress::More) {
                progress = Ok(domains.resume(index, context, &mut outbox));
                outputs += outbox.len();
                outbox.flushed();
            }
        }
        seconds += begun.elapsed().as_secs_f64();
    }
    Outcome { per_second: sequence as f64 / seconds, outputs: outputs as f64 / sequence as f64 }
}
