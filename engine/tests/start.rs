//! What a start refuses, what it adds to the log, and what goes on after it as if it had not been.

mod common;

use common::steps::{Steps, small};
use common::{EPOCH, Setup, engine_on, flow, frame, grants, open_session, start_with};
use ringfence_domains::matching::messages::{
    ClientOrderId, Command, DefineInstrument, Event, InstrumentId, NewOrder, OnDisconnect, OrderType, Price, Quantity,
    Side, TimeInForce,
};
use ringfence_domains::matching::{Matching, topics};
use ringfence_domains::workloads::find;
use ringfence_engine::config::{ConfigError, Durability};
use ringfence_engine::replay::{Blind, From, replay};
use ringfence_engine::snapshots;
use ringfence_engine::start::StartError;
use ringfence_journal::{Disk, Error};
use ringfence_kernel::image::{flag, kind};
use ringfence_kernel::messages::{Message as _, Reserved};
use ringfence_kernel::random::Random;
use ringfence_kernel::reject::{Code, Refusal};
use ringfence_kernel::system::{Frame, SnapshotTopic, Tick};
use ringfence_kernel::wire::Notice;
use ringfence_kernel::workload::CommandImage;
use ringfence_kernel::{
    ClientId, Domain as _, DomainId, OutputHeader, RequestId, Roles, Sequence, SessionId, Timestamp, Topic,
};
use std::collections::HashMap;
use std::path::Path;

const SECOND: u64 = 1_000_000_000;

fn normal(count: u64) -> Vec<CommandImage> {
    flow(&mut *(find("matching", "crowded").expect("it exists").new)(42, 4), 4, 1, 1, count, EPOCH)
}

/// A journal that `frames` have gone into.
fn used(setup: &Setup, frames: Vec<CommandImage>) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    engine_on(dir.path(), setup, frames, EPOCH).writer.close().expect("the journal closes");
    dir
}

fn small_disk() -> Setup {
    Setup { ring_slots: Setup::default().ring_slots, ..small() }
}

macro_rules! start {
    ($dir:expr, $now:expr, $change:expr) => {
        start_with(&Disk::handle(), $dir, &small_disk(), $now, $change, |_| {})
    };
}

/// Guards against an engine that plays a journal with other limits than it was made with.
#[test]
fn a_changed_genesis_is_refused_by_name() {
    let dir = used(&small_disk(), normal(10));
    let refused = |change: &dyn Fn(&mut ringfence_engine::config::GenesisConfig)| {
        start!(dir.path(), EPOCH, |_, genesis, _, _| change(genesis)).expect_err("it is refused")
    };
    let name = |error: StartError| match error {
        StartError::Fixed { field, configured, fixed } => (field, configured, fixed),
        other => panic!("{other}"),
    };
    assert_eq!(name(refused(&|genesis| genesis.reply_window = 33)), ("reply_window".into(), 33, 32));
    assert_eq!(name(refused(&|genesis| genesis.clients_max = 65)), ("clients_max".into(), 65, 64));
    assert_eq!(name(refused(&|genesis| genesis.topics_max = 8_192)), ("topics_max".into(), 8_192, 4_096));
    let orders = refused(&|genesis| {
        genesis.domains.get_mut("matching").expect("it is set").insert("orders".into(), 4_096);
    });
    assert_eq!(name(orders), ("domains.matching.orders".into(), 4_096, 2_048));
    start!(dir.path(), EPOCH, |_, _, _, _| {}).expect("what it was made with is taken");
}

/// Guards against a log whose time stands still, or jumps and never comes back.
#[test]
fn a_clock_far_from_the_log_is_refused() {
    let dir = used(&small_disk(), normal(10));
    let behind = start!(dir.path(), EPOCH - 11 * SECOND, |_, _, _, _| {});
    assert!(matches!(behind, Err(StartError::ClockBehind { .. })), "{behind:?}");
    start!(dir.path(), EPOCH - 9 * SECOND, |_, _, _, _| {}).expect("a little behind is taken");
    let ahead = EPOCH + 400 * 24 * 3_600 * SECOND;
    let refused = start!(dir.path(), ahead, |_, _, _, _| {});
    assert!(matches!(refused, Err(StartError::ClockAhead { .. })), "{refused:?}");
    start!(dir.path(), ahead, |_, _, _, change| change.accept_clock = true)
        .expect("the operator says that it is right");
}

fn header(output: &[u8]) -> OutputHeader {
    OutputHeader::read(output).expect("an output has a header")
}

fn body(output: &[u8]) -> (OutputHeader, Vec<u64>) {
    (header(output), bytemuck::pod_collect_to_vec(&output[48..]))
}

fn notice<T>(output: &[u8], read: impl FnOnce(Notice<'_>) -> T) -> T {
    let (header, words) = body(output);
    read(Notice::decode(header.message, bytemuck::cast_slice(&words)).expect("it is a notice"))
}

fn code(output: &[u8]) -> Code {
    notice(output, |notice| match notice {
        Notice::Rejected(rejected) => rejected.code,
        Notice::Closing(closing) => closing.code,
        _ => Code(0),
    })
}

/// Another life of the journal in `dir`, told otherwise by `change`; what it said.
fn go_on(
    dir: &Path,
    now: u64,
    frames: Vec<CommandImage>,
    change: impl FnOnce(
        &mut ringfence_engine::config::JournalConfig,
        &mut ringfence_engine::config::GenesisConfig,
        &mut ringfence_engine::config::LimitsConfig,
        &mut common::StartChanges,
    ),
) -> (Vec<Vec<u8>>, ringfence_engine::Machine<ringfence_domains::Domains>) {
    let ready = start!(dir, now, change).expect("it starts");
    let mut steps = Steps::new(ready, &small_disk(), frames, now, Random::new(1));
    steps.run();
    let outputs = std::mem::take(&mut steps.front.outputs);
    (outputs, steps.finish())
}

fn define(session: u32, request: u64, now: u64) -> CommandImage {
    let mut image = CommandImage::default();
    let terms = DefineInstrument {
        price_min: Price(1),
        price_max: Price(1_000),
        tick: Price(1),
        lot: Quantity(1),
        protection: Price(0),
        day_end: 0,
        instrument: InstrumentId(9),
        price_decimals: 2,
        reserved: Reserved::default(),
    };
    image.set(ClientId(0), Command::DefineInstrument(&terms));
    image.stamp(SessionId(session), RequestId(request), Timestamp(now));
    image
}

/// Guards against a client that keeps what the keys file no longer grants.
#[test]
fn roles_that_are_gone_from_the_keys_are_revoked() {
    let dir = used(&small_disk(), normal(10));
    let frames =
        || vec![open_session(20, 1, EPOCH), open_session(21, 2, EPOCH), define(20, 900, EPOCH), define(21, 900, EPOCH)];
    let (outputs, machine) = go_on(dir.path(), EPOCH, frames(), |_, _, _, change| {
        change.grants.retain(|grant| grant.client != ClientId(2));
        change.grants[0].roles = Roles::ALL;
    });
    let answers = outputs.iter().filter(|output| header(output).request == RequestId(900)).collect::<Vec<_>>();
    assert_eq!(header(answers[0]).kind, kind::REPLY, "client 1 keeps its roles");
    assert_eq!(header(answers[1]).kind, kind::REJECT, "client 2 has none");
    assert_eq!(code(answers[1]), Refusal::NotPermitted.into());
    let roles = |client| machine.sessions().find(ClientId(client)).expect("it is known").roles(DomainId(1));
    assert_eq!((roles(1), roles(2)), (Roles::ALL, Roles::NONE));
    // What is not granted is in the log: a replay needs no keys file.
    let replayed = replay::<ringfence_domains::Domains>(&Disk::handle(), dir.path(), From::Genesis, None, &mut Blind);
    assert_eq!(replayed.expect("it replays").machine.state_hash(), machine.state_hash());
}

/// Guards against limits that change the engine and not the log, and against one session too many.
#[test]
fn a_changed_limit_is_a_frame_and_is_kept() {
    let dir = used(&small_disk(), normal(10));
    let frames = (1..=4).map(|client| open_session(20 + client, client, EPOCH)).collect();
    let (outputs, machine) = go_on(dir.path(), EPOCH, frames, |_, _, limits, _| limits.sessions_max = 3);
    assert_eq!((machine.sessions().sessions_max(), machine.sessions().open()), (3, 3));
    let last = outputs.iter().rfind(|output| header(output).kind == kind::SESSION).expect("sessions are told");
    assert_eq!((header(last).session, code(last)), (SessionId(24), Refusal::SessionsFull.into()));
    let replayed = replay::<ringfence_domains::Domains>(&Disk::handle(), dir.path(), From::Genesis, None, &mut Blind);
    assert_eq!(replayed.expect("it replays").machine.sessions().sessions_max(), 3);
}

/// Guards against rules that no build knows, and against a keys file that the journal has no room for.
#[test]
fn what_cannot_be_is_refused_before_anything_is_written() {
    let dir = used(&small_disk(), normal(10));
    for version in [0, 99] {
        let refused = start!(dir.path(), EPOCH, |_, _, limits, _| limits.logic_version = version);
        let field = match refused {
            Err(StartError::Config(ConfigError::Range { field, .. })) => field,
            other => panic!("{other:?}"),
        };
        assert_eq!(field, "limits.logic_version");
    }
    let crowd = start!(dir.path(), EPOCH, |_, _, _, change| change.grants = grants(65));
    assert!(matches!(crowd, Err(StartError::Clients { named: 65, fixed: 64 })), "{crowd:?}");
    let ready = start!(dir.path(), EPOCH, |_, _, _, _| {}).expect("it starts");
    assert_eq!(ready.machine.incarnation(), 1, "no refused start is in the log");
    let second = start!(dir.path(), EPOCH, |_, _, _, _| {});
    assert!(matches!(second, Err(StartError::Journal(Error::Locked { .. }))), "{second:?}");
}

/// Guards against one damaged snapshot that keeps an engine from starting, and against trusting it.
#[test]
fn a_damaged_snapshot_is_passed_over() {
    let dir = used(&small_disk(), normal(2_000));
    let storage = Disk::handle();
    let at = |sequence| {
        let until = Some(Sequence(sequence));
        replay::<ringfence_domains::Domains>(&storage, dir.path(), From::Genesis, until, &mut Blind)
            .expect("it replays")
            .machine
    };
    let whole = replay::<ringfence_domains::Domains>(&storage, dir.path(), From::Genesis, None, &mut Blind);
    let whole = whole.expect("it replays").machine;
    snapshots::write(&at(500), &storage, dir.path()).expect("it is written");
    let newest = snapshots::write(&at(1_500), &storage, dir.path()).expect("it is written");
    let mut bytes = std::fs::read(&newest).expect("it is read");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&newest, bytes).expect("it is written");
    let ready = start!(dir.path(), EPOCH, |_, _, _, _| {}).expect("it starts");
    assert_eq!(ready.report.snapshot, Sequence(500));
    assert_eq!(ready.report.replayed, whole.sequence().0 - 500);
    assert_eq!(ready.report.damaged.iter().map(|(path, _)| path.clone()).collect::<Vec<_>>(), [newest]);
    assert_eq!((ready.machine.state_hash(), ready.machine.chain()), (whole.state_hash(), whole.chain()));
}

/// Guards against a gap or a repetition in a topic's numbers across a restart, and against a snapshot of a topic that
/// does not end where the stream goes on.
#[test]
fn numbers_of_topics_go_on_after_a_restart() {
    let trades = Topic::new(Matching::ID, topics::LEVELS, 1);
    let mut workload = (find("matching", "crowded").expect("it exists").new)(8, 4);
    let dir = tempfile::tempdir().expect("a directory");
    let mut numbers: HashMap<Topic, u64> = HashMap::new();
    for life in 0..3_u32 {
        let now = EPOCH + u64::from(life) * SECOND;
        let mut frames = flow(&mut *workload, 4, 1 + 10 * life, 1 + 1_000 * u64::from(life), 700, now);
        let snapshot = SnapshotTopic { topic: trades };
        frames.insert(frames.len() / 2, frame(1 + 10 * life, 7, now, Frame::SnapshotTopic(&snapshot)));
        let mut ends = 0;
        let (outputs, _) = go_on(dir.path(), now, frames, |_, _, _, _| {});
        for output in &outputs {
            let header = header(output);
            match header.kind {
                kind::EVENT if header.topic != Topic::NONE => {
                    let number = numbers.entry(header.topic).or_default();
                    *number += 1;
                    assert_eq!(header.request.0, *number, "life {life}: the number of an event on {:?}", header.topic);
                }
                kind::SNAPSHOT if header.flags & flag::LAST != 0 => {
                    let end = notice(output, |notice| match notice {
                        Notice::SnapshotEnd(end) => end.number,
                        _ => 0,
                    });
                    assert_eq!(end, numbers[&trades], "life {life}: the stream goes on after this number");
                    ends += 1;
                }
                _ => {}
            }
        }
        assert_eq!(ends, 1, "life {life}: the snapshot came to its end");
    }
    assert!(numbers[&trades] > 100, "the topic was busy");
}

/// Guards against timers that a restart forgets: an order is good till a date that comes after it.
#[test]
fn an_order_expires_after_a_restart_though_nobody_sends_anything() {
    let expires = EPOCH + 60 * SECOND;
    let order = NewOrder {
        client_order: ClientOrderId(5),
        price: Price(10),
        quantity: Quantity(3),
        minimum: Quantity(0),
        expires: Timestamp(expires),
        instrument: InstrumentId(9),
        side: Side::Buy.into(),
        time_in_force: TimeInForce::GoodTillDate.into(),
        order_type: OrderType::Limit.into(),
        on_disconnect: OnDisconnect::Keep.into(),
    };
    let mut image = CommandImage::default();
    image.set(ClientId(0), Command::NewOrder(&order));
    image.stamp(SessionId(1), RequestId(2), Timestamp(EPOCH));
    let dir = used(&small_disk(), vec![open_session(1, 1, EPOCH), define(1, 1, EPOCH), image]);

    let ready = start!(dir.path(), EPOCH + SECOND, |_, _, _, _| {}).expect("it starts");
    assert_eq!(ready.machine.next_deadline(), Some(Timestamp(expires)), "the gateway is told when to tick");
    drop(ready);
    let tick = |now| frame(0, 0, now, Frame::Tick(&Tick { deadline: Timestamp(expires) }));
    let closed = |outputs: &[Vec<u8>]| {
        let closed = outputs.iter().filter(|output| {
            let (header, words) = body(output);
            header.kind == kind::EVENT
                && matches!(
                    Event::decode(header.message, bytemuck::cast_slice(&words)),
                    Ok(Event::OrderClosed(closed)) if closed.client_order == ClientOrderId(5)
                )
        });
        closed.count()
    };
    let (early, machine) = go_on(dir.path(), expires - 1, vec![tick(expires - 1)], |_, _, _, _| {});
    assert_eq!((closed(&early), machine.next_deadline()), (0, Some(Timestamp(expires))), "not before its time");
    let (late, machine) = go_on(dir.path(), expires - 1, vec![tick(expires)], |_, _, _, _| {});
    assert_eq!((closed(&late), machine.next_deadline()), (1, None), "and then once");
}

/// Guards against a level whose start leaves Genesis where power can take it.
#[test]
fn genesis_is_durable_before_a_start_returns() {
    use ringfence_journal::testing::SimStorage;
    let setup = Setup { level: Durability::Fsync, ..small() };
    let options = common::steps::options(&setup);
    let storage = SimStorage::new();
    let dir = Path::new("/simulated");
    let start = |storage: &std::sync::Arc<SimStorage>| {
        ringfence_engine::testing::with_journal_options(&options, || {
            start_with(&storage.handle(), dir, &setup, EPOCH, |_, _, _, _| {}, |_| {}).expect("it starts")
        })
    };
    let first = start(&storage);
    let left = storage.crash(|_| 0);
    let again = start(&left);
    assert!(!again.report.created, "the journal survived");
    assert_eq!(again.machine.origin().0.journal, first.machine.origin().0.journal);
}
