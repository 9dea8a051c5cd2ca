//! After warm-up the hot path allocates nothing: a whole engine over loopback TCP, on one counted thread.

#[path = "../common/mod.rs"]
mod common;
mod counting_allocator;

use common::{EPOCH, Setup, start_with};
use counting_allocator::count;
use ringfence_client::{Client, Config};
use ringfence_counters::{EngineCounters, Identity, Registrar, Settings};
use ringfence_domains::matching::messages::Command;
use ringfence_domains::matching::{Matching, topics};
use ringfence_domains::workloads::find;
use ringfence_engine::config::Durability;
use ringfence_engine::counting::StageCounters;
use ringfence_engine::pipeline::assemble;
use ringfence_engine::replicate_stage::Solo;
use ringfence_engine::testing::with_journal_options;
use ringfence_gateway::{Gateway, GatewayConfig, Keys, Retransmission, Start, WallClock};
use ringfence_journal::{Disk, Options, PrepareMode, stat};
use ringfence_kernel::image::kind;
use ringfence_kernel::messages::Message as _;
use ringfence_kernel::workload::CommandImage;
use ringfence_kernel::{ClientId, Domain as _, DomainId, Roles, SessionId, Topic};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

const KEY: [u8; 32] = [9; 32];
/// Commands until every buffer and every book has the size that it needs.
const WARM: u64 = 150_000;
const COUNTED: u64 = 100_000;

/// Keeps a window of commands in flight, and follows a topic, until it is told to stop.
fn client(address: SocketAddr, answered: &AtomicU64, over: &AtomicBool) {
    let mut client = Client::connect(Config::new(address, ClientId(1), &KEY)).expect("it connects");
    client.subscribe(Topic::new(Matching::ID, topics::LEVELS, 1), 0).expect("it is followed");
    let mut workload = (find("matching", "crowded").expect("it exists").new)(3, 1);
    let mut image = CommandImage::default();
    let mut unanswered = 0;
    while !over.load(Ordering::Relaxed) {
        while unanswered < 64 && client.room() > 0 {
            workload.next(&mut image);
            let command = Command::decode(image.header().message, image.body()).expect("it is a message");
            client.send(command).expect("there is room");
            unanswered += 1;
        }
        let Some(output) = client.poll(Duration::from_millis(10)).expect("the connection lasts") else { continue };
        if output.header.request.0 < 1 << 62 && matches!(output.header.kind, kind::REPLY | kind::REJECT) {
            unanswered -= 1;
            answered.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn body(level: Durability) {
    let dir = tempfile::tempdir().expect("a directory");
    let storage = Disk::handle();
    // Small segments, so that several are filled while it is counted; a thread prepares them, as in production.
    let options = Options {
        level: level.into(),
        prepare: PrepareMode::Thread,
        segment_bytes: 2 << 20,
        low_water_bytes: 64 << 10,
        buffer_bytes: 1 << 20,
        ..Options::default()
    };
    let mut clock = WallClock::new();
    let now = ringfence_gateway::Clock::now(&mut clock).0.max(EPOCH / 2);
    let setup = Setup { level, reply_window: 256, clients: 1, ..Setup::default() };
    let ready =
        with_journal_options(&options, || start_with(&storage, dir.path(), &setup, now, |_, _, _, _| {}, |_| {}));
    let ready = ready.expect("it starts");
    let gate = Solo::new(ready.writer.marks(), level.into());
    let (port, mut stages) = assemble(ready.machine, ready.writer, ready.chain, gate, setup.ring_slots);
    let mut keys = Keys::new();
    keys.insert(ClientId(1), &KEY, 1, &[(DomainId(1), Roles::ALL)]);
    let start = Start {
        first_session: SessionId(1),
        frames: ready.frames,
        retransmission: Retransmission::new(4_096, 1_024),
        reply_window: 256,
    };
    // No heartbeat comes while it is counted: with one, what a buffer has grown by is given back.
    let config = GatewayConfig {
        listen: "127.0.0.1:0".parse().expect("an address"),
        heartbeat_ms: 3_600_000,
        timeout_ms: 7_200_000,
        ..GatewayConfig::default()
    };
    let mut gateway = Gateway::new(config, keys, port, clock.clone(), start).expect("it listens");
    // It counts, and times every fourth command.
    let mut on = Registrar::private();
    let settings = Settings { ring_slots: 16_384, durable: level == Durability::Fsync, threads: 1, sample_every: 4 };
    let counters = EngineCounters::new(&mut on, &settings, &[]).expect("there is room");
    on.finish(&Identity::default());
    let EngineCounters { gateway: at_gateway, port, journal, syncs, replicate, execute } = counters;
    gateway.count(at_gateway, settings.sample_every);
    gateway.port().count(port);
    let sample_every = settings.sample_every;
    stages.count(StageCounters { journal, syncs, replicate, execute, clock: &clock, sample_every });
    let address = gateway.local_addr().expect("an address");
    let (answered, over) = (AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let client = scope.spawn(|| client(address, &answered, &over));
        let mut until = |commands| {
            while answered.load(Ordering::Relaxed) < commands {
                let work = gateway.step() + stages.journal.step() + stages.replicate.step() + stages.execute.step();
                if work == 0 {
                    assert!(!client.is_finished(), "the client has failed");
                    std::thread::yield_now();
                }
            }
        };
        until(WARM);
        let segments = || stat(&storage, dir.path()).expect("it is read").segments.len();
        let before = segments();
        let calls = count(|| until(WARM + COUNTED));
        over.store(true, Ordering::Relaxed);
        let rolled = segments() - before;
        println!("proved: {COUNTED} commands at {level:?} over {rolled} new segments, {calls} calls to the allocator");
        assert!(rolled > 2, "segments were to be filled while it was counted");
        assert_eq!(calls, 0, "the engine's thread called the allocator");
    });
}

/// Guards against a hot path that allocates now and then: a pause that no median shows. A whole engine on one thread:
/// socket, decoding, rings, journal with new segments, decisions, events, answers.
#[test]
fn prove_the_hot_path_allocates_nothing() {
    assert_eq!(count(|| drop(std::hint::black_box(Box::new(7)))), 2, "the counter counts");
    body(Durability::Cached);
    body(Durability::Fsync);
}

/// Guards against a decision of atm that allocates, from the first command on: tables that grow, transfers that are
/// undone, totals of a cutover.
#[test]
fn prove_the_hot_path_of_atm_allocates_nothing() {
    use ringfence_domains::atm::Atm;
    use ringfence_domains::atm::messages::{AtmLimits, Command};
    use ringfence_kernel::limits::Limits as _;
    use ringfence_kernel::outbox::Stamp;
    use ringfence_kernel::{Context, Out, Outbox, Progress, Sequence, Timestamp};
    let mut workload = (find("atm", "mixed").expect("it exists").new)(3, 4);
    let mut images = vec![CommandImage::default(); 100_000];
    images.iter_mut().for_each(|image| workload.next(image));
    let (mut atm, mut outbox) = (Atm::new(&AtmLimits::defaults()), Outbox::new());
    let mut decided = 0_u64;
    let calls = count(|| {
        for (number, image) in (1..).zip(&images) {
            let context = Context {
                sequence: Sequence(number),
                now: Timestamp(number * 1_000),
                session: SessionId(1),
                client: ClientId(1),
                roles: Roles::ALL,
                logic: 1,
            };
            outbox.begin(Stamp { sequence: context.sequence, now: context.now, ..Stamp::default() });
            while atm.on_time(context, &mut Out::new(&mut outbox)) == Progress::More {
                outbox.flushed();
            }
            outbox.flushed();
            let command = Command::decode(image.header().message, image.body()).expect("it is a message");
            let mut progress = atm.apply(context, command, &mut Out::new(&mut outbox));
            outbox.flushed();
            while progress == Ok(Progress::More) {
                progress = Ok(atm.resume(context, &mut Out::new(&mut outbox)));
                outbox.flushed();
            }
            decided += u64::from(progress.is_ok());
        }
    });
    println!("proved: {decided} of {} commands of atm accepted, {calls} calls to the allocator", images.len());
    assert!(decided > 60_000, "{decided} commands were accepted");
    assert_eq!(calls, 0, "a decision called the allocator");
}
