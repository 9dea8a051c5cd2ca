//! Decisions allocate nothing: every domain, from its first command on, without an engine around it.

#[path = "allocations/counting_allocator.rs"]
mod counting_allocator;

use counting_allocator::count;
use ringfence_domains::Domains;
use ringfence_domains::workloads::WORKLOADS;
use ringfence_engine::config::{GenesisConfig, LimitsConfig};
use ringfence_kernel::messages::Message as _;
use ringfence_kernel::outbox::Stamp;
use ringfence_kernel::system::Frame;
use ringfence_kernel::workload::{CommandImage, WorkloadKind};
use ringfence_kernel::{Context, Outbox, Progress, Registry as _, Roles, Sequence, SessionId, Timestamp};

const COMMANDS: u64 = 20_000;

/// Calls to the allocator while commands of one kind are decided, and the events of some of them.
fn calls(domain: &str, kind: &WorkloadKind) -> u64 {
    let genesis = GenesisConfig::default().frame::<Domains>(&LimitsConfig::default(), 1, Timestamp(0));
    let genesis = genesis.expect("the defaults are sound");
    let Ok(Frame::Genesis(_, entries)) = Frame::decode(genesis.header().message, genesis.body()) else {
        unreachable!("a Genesis frame was made above");
    };
    let mut domains = Domains::new(entries).expect("the domains are of this build");
    let index = Domains::DOMAINS.iter().position(|info| info.name == domain).expect("the domain exists");
    let (mut workload, mut image, mut outbox) = ((kind.new)(1, 8), CommandImage::default(), Outbox::new());
    let mut calls = 0;
    for at in 1..=COMMANDS {
        workload.next(&mut image);
        calls += count(|| {
            let context = Context {
                sequence: Sequence(at),
                now: Timestamp(1_000_000_000 + at * 1_000),
                session: SessionId(image.client.0),
                client: image.client,
                roles: Roles::ALL,
                logic: 1,
            };
            outbox.begin(Stamp { sequence: context.sequence, now: context.now, ..Stamp::default() });
            if domains.next_deadline(index).is_some_and(|due| due <= context.now) {
                while domains.on_time(index, context, &mut outbox) == Progress::More {
                    outbox.flushed();
                }
                outbox.flushed();
            }
            let mut progress = domains.apply(index, context, image.header().message, image.body(), &mut outbox);
            outbox.flushed();
            while progress == Ok(Progress::More) {
                progress = Ok(domains.resume(index, context, &mut outbox));
                outbox.flushed();
            }
        });
    }
    calls
}

/// Guards against a decision that allocates now and then: a pause that no median shows.
#[test]
fn no_decision_allocates() {
    assert_eq!(count(|| drop(std::hint::black_box(Box::new(7)))), 2, "the counter counts");
    for (domain, kinds) in WORKLOADS {
        for kind in *kinds {
            assert_eq!(calls(domain, kind), 0, "{domain}, {}", kind.name);
        }
    }
}
