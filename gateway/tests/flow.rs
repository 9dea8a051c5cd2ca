//! Bounds: windows, rings, buffers, rates, disks, and the topics of slow readers.

mod support;

use ringfence_gateway::Clock;
use ringfence_gateway::testing::{Command, DOMAIN, Echo, FakePort, Long, Output, Say, Word, key};
use ringfence_kernel::image::kind;
use ringfence_kernel::messages::Message;
use ringfence_kernel::reject::Refusal;
use ringfence_kernel::wire::{Notice, PROTOCOL, Request, Subscribe, Unsubscribe};
use ringfence_kernel::{Account, DomainId, SessionId, Timestamp, Topic};
use support::{Bench, Lines, Peer, frame, logon};

const TICK: u16 = 5;
const SNAPSHOT: u16 = 9;

fn topic(id: u32) -> Topic {
    Topic::new(DOMAIN, 1, id)
}

fn echo(request: u64) -> Vec<u8> {
    frame(request, Command::Echo(&Echo { value: request * 10 }))
}

fn subscribe(request: u64, topic: Topic, from: u64) -> Vec<u8> {
    frame(request, Request::Subscribe(&Subscribe { topic, from }))
}

fn subscribed(bench: &mut Bench, peer: &mut Peer) -> (Topic, u64) {
    match bench.next(peer).notice() {
        Notice::Subscribed(subscribed) => (subscribed.topic, subscribed.next),
        other => panic!("{other:?}"),
    }
}

/// The number of the event that comes next.
fn event(bench: &mut Bench, peer: &mut Peer) -> u64 {
    let image = bench.next(peer);
    let header = image.header();
    assert_eq!(header.kind, kind::EVENT, "{header:?}");
    assert_eq!(header.session, SessionId(0));
    let Ok(Output::Said(said)) = Output::decode(header.message, image.body()) else { panic!("{header:?}") };
    assert_eq!(said.number, header.request.0);
    said.number
}

/// The number of the snapshot that comes next.
fn snapshot(bench: &mut Bench, peer: &mut Peer, request: u64) -> u64 {
    loop {
        let image = bench.next(peer);
        assert_eq!((image.header().kind, image.header().request.0), (kind::SNAPSHOT, request), "{:?}", image.header());
        if let 108 = image.template() {
            let Notice::SnapshotEnd(end) = image.notice() else { unreachable!() };
            return end.number;
        }
    }
}

/// Guards against more requests in flight than replies are kept, and against a window that never opens again.
#[test]
fn a_full_window_waits_for_answers_without_an_error() {
    let mut bench = Bench::with(|_, port| port.window = 8);
    let mut peer = bench.log_on(1);
    bench.gateway.port().held = true;
    let stream: Vec<u8> = (1..=40).flat_map(echo).collect();
    peer.send(&stream);
    bench.settle();
    assert_eq!(bench.gateway.port().ingress.len(), 8);
    bench.gateway.port().execute(3);
    bench.settle();
    assert_eq!(bench.gateway.port().ingress.len(), 8);
    bench.gateway.port().held = false;
    for request in 1..=40 {
        assert_eq!(bench.answer(&mut peer), (request, request * 10));
    }
}

/// Guards against sockets that are forgotten when there are too many to ask one by one: bytes, the end of a stream, and
/// both at once are seen through the poller alone.
#[test]
fn many_connections_are_served_by_the_poller() {
    for direct_max in [0, 4] {
        let mut bench = Bench::with(|config, _| config.direct_max = direct_max);
        let mut peers: Vec<Peer> = (1..=60).map(|client| bench.log_on(client)).collect();
        for round in 1..=50 {
            for peer in &mut peers {
                let bytes = echo(round);
                let cut = (round as usize * 7) % bytes.len();
                peer.send(&bytes[..cut]);
                bench.gateway.step();
                peer.send(&bytes[cut..]);
            }
            for peer in &mut peers {
                assert_eq!(bench.answer(peer), (round, round * 10));
            }
        }
        for mut peer in peers.drain(..) {
            peer.send(&echo(51));
        }
        bench.until("all are gone", |bench, _| bench.gateway.stats().connections == 0);
        bench.settle();
        assert_eq!(bench.gateway.port().executed.len(), 60 * 51);
    }
}

/// Guards against a command that is dropped, halved or overtaken when the ring has no room.
#[test]
fn a_full_ring_stops_reading_and_loses_nothing() {
    let mut bench = Bench::with(|_, port| (port.capacity, port.window) = (4, 64));
    let (mut first, mut second) = (bench.log_on(1), bench.log_on(2));
    bench.gateway.port().held = true;
    let words: Vec<Word> = (0..100).map(|word| Word { word }).collect();
    let long = |request| frame(request, Command::Long(&Long { value: 0 }, &words));
    first.send(&[echo(1), echo(2), echo(3), long(4), echo(5)].concat());
    second.send(&[long(1), echo(2)].concat());
    for _ in 0..20 {
        bench.settle();
        bench.gateway.port().execute(1);
    }
    for (request, value) in [(1, 10), (2, 20), (3, 30), (4, 4_950), (5, 50)] {
        assert_eq!(bench.answer(&mut first), (request, value));
    }
    for (request, value) in [(1, 4_950), (2, 20)] {
        assert_eq!(bench.answer(&mut second), (request, value));
    }
}

/// Guards against a session frame that is lost, or overtaken by a command, when the ring has no room.
#[test]
fn session_frames_wait_for_the_ring_and_go_first() {
    let mut bench = Bench::with(|_, port| port.capacity = 2);
    let mut first = bench.log_on(1);
    bench.gateway.port().held = true;
    first.send(&[echo(1), echo(2), echo(3)].concat());
    bench.settle();
    drop(first);
    bench.settle();
    assert_eq!(bench.gateway.port().frames.len(), 1, "the ring is full");
    bench.gateway.port().held = false;
    bench.settle();
    let frames: Vec<_> = bench.gateway.port().frames.iter().map(|frame| frame.0).collect();
    assert_eq!(frames, [3, 4]);
    assert!(bench.gateway.port().executed.len() <= 3);
}

/// Guards against a command that overtakes the gateway's own frame when there is room again just between the two.
#[test]
fn commands_do_not_overtake_a_frame_that_waits() {
    let mut bench = Bench::new();
    let mut peer = bench.log_on(1);
    bench.gateway.port().held = true;
    bench.gateway.port().refusals = 1;
    peer.send(&[subscribe(9, topic(1), 0), echo(1)].concat());
    bench.settle();
    let schemas: Vec<u16> = bench.gateway.port().ingress.iter().map(|image| u16::from(image[28])).collect();
    assert_eq!(schemas, [0, 900 & 0xff], "the snapshot is asked for before the command");
}

/// Guards against commands that the journal has no room for, and against a refusal that stays when there is room again.
#[test]
fn a_full_disk_refuses_before_sequencing() {
    let mut bench = Bench::new();
    let mut peer = bench.log_on(1);
    bench.gateway.port().disk_has_room = false;
    peer.send(&[echo(1), echo(2), subscribe(3, topic(1), 0)].concat());
    for request in 1..=3 {
        assert_eq!(bench.rejected(&mut peer), (request, Refusal::DiskFull.into()));
    }
    bench.gateway.port().disk_has_room = true;
    peer.send(&echo(4));
    assert_eq!(bench.answer(&mut peer), (4, 40));
    assert_eq!(bench.gateway.port().executed.len(), 1);
    assert_eq!(bench.gateway.stats().refused(Refusal::DiskFull.into()), 3);
}

/// Guards against an operator who does not learn of a full disk, and a log that is full of it.
#[test]
fn a_full_disk_is_said_once_and_its_end_too() {
    let lines = Lines::listen();
    let mut bench = Bench::new();
    let mut peer = bench.log_on(1);
    for round in 1..=2 {
        bench.gateway.port().disk_has_room = false;
        for request in 1..=3 {
            peer.send(&echo(request));
            assert_eq!(bench.rejected(&mut peer), (request, Refusal::DiskFull.into()));
        }
        assert_eq!((lines.count("WARN message=DiskFull begins"), lines.count("DiskFull ends")), (round, round - 1));
        bench.gateway.port().disk_has_room = true;
        bench.settle();
        assert_eq!(lines.count("INFO message=DiskFull ends"), round);
    }
}

/// Guards against clients that come and go, and deadlines that come again, until they have used up what the journal
/// keeps back for sessions that close.
#[test]
fn a_full_disk_opens_no_session_and_closes_those_there_are() {
    let mut bench = Bench::new();
    let (mut first, second) = (bench.log_on(1), bench.log_on(2));
    bench.gateway.port().disk_has_room = false;
    let now = bench.clock.now();
    bench.gateway.port().deadline = Some(now);
    for client in [1, 3].repeat(20) {
        let mut peer = bench.connect();
        let nonce = bench.challenge(&mut peer).nonce;
        peer.send(&logon(client, &key(client), &nonce, PROTOCOL));
        assert_eq!(bench.closing(&mut peer), Refusal::DiskFull.into());
        bench.gone(&mut peer);
    }
    bench.clock.advance_ms(5_000);
    bench.settle();
    let frames = |bench: &mut Bench| bench.gateway.port().frames.iter().map(|frame| frame.0).collect::<Vec<_>>();
    assert_eq!(frames(&mut bench), [3, 3], "nothing of it is sequenced");
    drop(second);
    bench.until("its session is closed", |bench, _| frames(bench) == [3, 3, 4]);
    first.send(&echo(1));
    while bench.next(&mut first).header().kind != kind::REJECT {}
    bench.gateway.port().disk_has_room = true;
    bench.log_on(3);
    bench.until("the deadline is told", |bench, _| frames(bench).contains(&TICK));
    first.send(&echo(2));
    assert_eq!(bench.answer(&mut first), (2, 20), "the logon that was refused did not supersede it");
}

/// Guards against a client that takes more than its share.
#[test]
fn commands_above_the_rate_are_refused() {
    let mut bench = Bench::with(|config, _| (config.rate_per_second, config.rate_burst) = (10, 3));
    let mut peer = bench.log_on(1);
    peer.send(&(1..=5).flat_map(echo).collect::<Vec<u8>>());
    let mut seen = Vec::new();
    for _ in 1..=5 {
        let image = bench.next(&mut peer);
        seen.push((image.header().request.0, image.header().kind));
    }
    seen.sort_unstable();
    assert_eq!(seen, [(1, 1), (2, 1), (3, 1), (4, 2), (5, 2)]);
    bench.clock.advance_ms(100);
    peer.send(&[echo(6), echo(7)].concat());
    let mut kinds = [bench.next(&mut peer).header(), bench.next(&mut peer).header()].map(|h| (h.request.0, h.kind));
    kinds.sort_unstable();
    assert_eq!(kinds, [(6, 1), (7, 2)]);
    peer.send(&subscribe(8, topic(1), 0));
    assert_eq!(bench.rejected(&mut peer), (8, Refusal::RateLimited.into()));
}

/// Guards against memory that grows with what a client does not read.
#[test]
fn a_client_that_does_not_read_its_answers_is_closed() {
    let mut bench = Bench::with(|config, port| {
        (config.event_bytes_max, config.reply_bytes_max) = (64 << 10, 64 << 10);
        port.window = 1_000;
    });
    let mut peer = bench.log_on(1);
    let mut request = 0;
    bench.until("it is closed", |bench, _| {
        let batch: Vec<u8> = (request + 1..=request + 100).flat_map(echo).collect();
        request += 100;
        assert!(request < 1_000_000, "it may say what it likes");
        peer.try_send(&batch);
        bench.gateway.stats().refused(Refusal::ReplyOverflow.into()) == 1
    });
    bench.settle();
    assert_eq!(bench.gateway.stats().sessions, 0);
    // Refusals of the gateway itself are bounded in the same way.
    let mut rude = bench.log_on(2);
    bench.until("it is closed too", |bench, _| {
        let batch: Vec<u8> = (0..100).flat_map(|_| subscribe(1, Topic::new(DomainId(3), 1, 1), 0)).collect();
        rude.try_send(&batch);
        bench.gateway.stats().refused(Refusal::ReplyOverflow.into()) == 2
    });
    bench.clock.advance_ms(1_000);
    bench.settle();
    assert_eq!(bench.gateway.stats().connections, 0, "a closing connection has its time and no more");
}

/// Guards against events before their snapshot, twice in it and after it, or missing between.
#[test]
fn a_snapshot_comes_first_and_then_what_follows_it() {
    let mut bench = Bench::new();
    let (mut reader, mut writer) = (bench.log_on(1), bench.log_on(2));
    bench.gateway.port().say(topic(1), 3);
    bench.settle();
    bench.gateway.port().held = true;
    reader.send(&subscribe(77, topic(1), 0));
    bench.settle();
    bench.gateway.port().say(topic(1), 2);
    bench.gateway.port().held = false;
    assert_eq!(subscribed(&mut bench, &mut reader), (topic(1), 0));
    assert_eq!(snapshot(&mut bench, &mut reader, 77), 5);
    writer.send(&frame(1, Command::Say(&Say { topic: topic(1), count: 2 })));
    assert_eq!([event(&mut bench, &mut reader), event(&mut bench, &mut reader)], [6, 7]);
    assert_eq!(bench.answer(&mut writer), (1, 2));
    reader.send(&frame(78, Request::Unsubscribe(&Unsubscribe { topic: topic(1) })));
    assert!(matches!(bench.next(&mut reader).notice(), Notice::Unsubscribed(_)));
    bench.gateway.port().say(topic(1), 1);
    reader.send(&echo(1));
    assert_eq!(bench.answer(&mut reader), (1, 10), "no event after the goodbye");
}

/// Guards against a reader that misses kept events, gets them twice, or is promised events that are gone.
#[test]
fn missed_events_are_said_again_while_they_are_kept() {
    let mut bench = Bench::with(|config, _| config.retransmission_slots = 100);
    let mut reader = bench.log_on(1);
    bench.gateway.port().say(topic(1), 150);
    bench.gateway.port().say(topic(2), 20);
    bench.settle();
    for (from, refused) in [(70, true), (71, false), (150, false), (151, false), (152, true)] {
        reader.send(&subscribe(from, topic(1), from));
        if refused {
            assert_eq!(bench.rejected(&mut reader), (from, Refusal::SnapshotNeeded.into()));
            continue;
        }
        assert_eq!(subscribed(&mut bench, &mut reader), (topic(1), from));
        for number in from..=150 {
            assert_eq!(event(&mut bench, &mut reader), number);
        }
    }
    // The last good one was replaced by a refused one: the subscription is over.
    reader.send(&subscribe(1, topic(1), 151));
    assert_eq!(subscribed(&mut bench, &mut reader), (topic(1), 151));
    bench.gateway.port().say(topic(1), 1);
    assert_eq!(event(&mut bench, &mut reader), 151);
}

/// Guards against a slow reader who slows others or fills memory, and against one who is never told what he missed.
#[test]
fn a_slow_reader_is_told_and_gets_a_fresh_snapshot() {
    let mut bench = Bench::with(|config, _| config.event_bytes_max = 32 << 10);
    let (mut slow, mut quick) = (bench.log_on(1), bench.log_on(2));
    for peer in [&mut slow, &mut quick] {
        peer.send(&subscribe(9, topic(1), 0));
        assert_eq!(subscribed(&mut bench, peer), (topic(1), 0));
        assert_eq!(snapshot(&mut bench, peer, 9), 0);
    }
    let mut said = 0;
    bench.until("the slow one overruns", |bench, _| {
        bench.gateway.port().say(topic(1), 500);
        said += 500;
        for _ in 0..3 {
            bench.gateway.step();
        }
        quick.read();
        bench.gateway.port().frames.iter().filter(|frame| frame.0 == SNAPSHOT).count() > 2 || said >= 200_000
    });
    let mut last = 0;
    while let Some(image) = quick.take() {
        assert_eq!(image.header().request.0, last + 1, "the quick one misses nothing");
        last += 1;
    }
    let mut next = 1;
    let resumed = loop {
        let image = bench.next(&mut slow);
        match image.header().kind {
            kind::EVENT => {
                assert_eq!(image.header().request.0, next);
                next += 1;
            }
            _ => {
                assert!(matches!(image.notice(), Notice::Overrun(overrun) if overrun.topic == topic(1)));
                break snapshot(&mut bench, &mut slow, 9);
            }
        }
    };
    assert!(resumed >= next, "{resumed} {next}");
    bench.gateway.port().say(topic(1), 1);
    assert_eq!(event(&mut bench, &mut slow), resumed + 1);
}

/// Guards against a snapshot with a hole in it.
#[test]
fn a_snapshot_that_does_not_fit_starts_over() {
    let mut bench = Bench::with(|config, port| {
        (config.event_bytes_max, config.reply_bytes_max) = (64 << 10, 64 << 10);
        port.snapshot_parts = 2_000;
    });
    let mut reader = bench.log_on(1);
    reader.send(&subscribe(9, topic(1), 0));
    assert_eq!(subscribed(&mut bench, &mut reader), (topic(1), 0));
    let mut parts = 0;
    loop {
        let image = bench.next(&mut reader);
        match image.header().kind {
            kind::SNAPSHOT => parts += 1,
            _ => {
                assert!(matches!(image.notice(), Notice::Overrun(_)));
                break;
            }
        }
    }
    assert!((1..2_000).contains(&parts), "{parts}");
    bench.gateway.port().snapshot_parts = 3;
    loop {
        let image = bench.next(&mut reader);
        if image.template() == 108 {
            break;
        }
    }
}

/// Guards against topics of others, of other domains, and without end.
#[test]
fn subscriptions_are_permitted_and_bounded() {
    let mut bench = Bench::with(|config, _| config.subscriptions_max = 2);
    let mut reader = bench.log_on(1);
    let others = Topic::new(DOMAIN, Topic::PRIVATE, 2);
    for denied in [Topic::account(DOMAIN, Account(2)), others, Topic::new(DomainId(7), 1, 1), Topic::NONE] {
        reader.send(&subscribe(5, denied, 0));
        assert_eq!(bench.rejected(&mut reader), (5, Refusal::NotPermitted.into()));
    }
    let missing = Topic::new(DOMAIN, FakePort::NO_SUCH_KIND, 1);
    reader.send(&subscribe(6, missing, 0));
    assert_eq!(subscribed(&mut bench, &mut reader), (missing, 0));
    let image = bench.next(&mut reader);
    assert_eq!((image.header().kind, image.header().request.0), (kind::REJECT, 6));
    let Notice::Rejected(rejected) = image.notice() else { panic!("{image:?}") };
    assert_eq!((rejected.code, rejected.template), (Refusal::UnknownTopic.into(), 4), "it names what the client sent");
    for own in [Topic::account(DOMAIN, Account(1)), topic(1)] {
        reader.send(&subscribe(7, own, 0));
        assert_eq!(subscribed(&mut bench, &mut reader), (own, 0));
        snapshot(&mut bench, &mut reader, 7);
    }
    reader.send(&subscribe(8, topic(2), 0));
    assert_eq!(bench.rejected(&mut reader), (8, Refusal::SubscriptionsFull.into()));
    // Neither a refused snapshot nor a granted one counts as an answer to a command.
    reader.send(&echo(1));
    assert_eq!(bench.answer(&mut reader), (1, 10));
    assert_eq!(bench.gateway.stats().answered, 1);
}

/// Guards against time that stands still when nobody speaks, and against a tick for every step.
#[test]
fn a_deadline_that_is_due_is_told_once() {
    let mut bench = Bench::new();
    let now = Timestamp(1_000_000 * 1_000_000);
    bench.gateway.port().deadline = Some(now.saturating_add(5_000_000));
    bench.settle();
    assert!(bench.gateway.port().frames.is_empty());
    bench.clock.advance_ms(5);
    bench.settle();
    bench.settle();
    assert_eq!(bench.gateway.port().frames, [(TICK, SessionId(0))]);
    bench.gateway.port().deadline = Some(now.saturating_add(7_000_000));
    bench.clock.advance_ms(5);
    bench.settle();
    assert_eq!(bench.gateway.port().frames.len(), 2);
}
