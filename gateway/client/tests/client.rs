//! The client against a gateway with a fake engine behind it: on a good line, on one that is cut again and again, and
//! behind a gateway that is made anew.

use ringfence_client::kernel::image::{flag, kind};
use ringfence_client::kernel::random::Random;
use ringfence_client::kernel::reject::Refusal;
use ringfence_client::kernel::wire::Notice;
use ringfence_client::kernel::{ClientId, RequestId, Topic};
use ringfence_client::{Client, Config, Error};
use ringfence_gateway::testing::{Command, DOMAIN, Echo, FakePort, Output, Say, gateway, key};
use ringfence_gateway::{GatewayConfig, WallClock};
use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(20);

type Order = Box<dyn FnOnce(&mut FakePort) + Send>;

/// A gateway on a thread of its own.
struct Server {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    orders: mpsc::Sender<Order>,
    thread: JoinHandle<FakePort>,
}

impl Server {
    fn start(config: GatewayConfig, port: FakePort) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (orders, orders_in) = mpsc::channel::<Order>();
        let (address_out, address) = mpsc::channel();
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut gateway = gateway(config, port, WallClock::new()).unwrap();
            address_out.send(gateway.local_addr().unwrap()).unwrap();
            let mut stopping = false;
            while !gateway.is_stopped() {
                if let Ok(order) = orders_in.try_recv() {
                    order(gateway.port());
                }
                if !stopping && stopped.load(Ordering::Relaxed) {
                    stopping = true;
                    gateway.begin_stop();
                }
                if gateway.step() == 0 {
                    gateway.park(Duration::from_millis(1));
                }
            }
            std::mem::replace(gateway.port(), FakePort::new(1, 1))
        });
        Self { address: address.recv().unwrap(), stop, orders, thread }
    }

    fn new() -> Self {
        let config = GatewayConfig { retransmission_slots: 4_096, closing_timeout_ms: 50, ..GatewayConfig::default() };
        Self::start(config, FakePort::new(16_384, 64))
    }

    /// Does something to the engine, and waits until it is done.
    fn order(&self, order: impl FnOnce(&mut FakePort) + Send + 'static) {
        let (done, wait) = mpsc::channel();
        self.orders
            .send(Box::new(move |port| {
                order(port);
                done.send(()).unwrap();
            }))
            .unwrap();
        wait.recv().unwrap();
    }

    fn finish(self) -> FakePort {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// A line that breaks after a random number of bytes, in either direction, until it is told to hold.
struct Line {
    address: SocketAddr,
    hold: Arc<AtomicBool>,
    cuts: Arc<AtomicU64>,
}

impl Line {
    fn to(server: SocketAddr, seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (hold, cuts) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (held, counted) = (Arc::clone(&hold), Arc::clone(&cuts));
        std::thread::spawn(move || {
            let mut random = Random::new(seed);
            for inward in listener.incoming() {
                let (Ok(inward), Ok(outward)) = (inward, TcpStream::connect(server)) else { return };
                let budget = match held.load(Ordering::Relaxed) {
                    true => u64::MAX,
                    false => random.below(20_000),
                };
                pump(inward, outward, budget, random.next());
                counted.fetch_add(1, Ordering::Relaxed);
            }
        });
        Self { address, hold, cuts }
    }
}

/// Carries bytes both ways in random pieces until `budget` of them went, then cuts both ends without a word.
fn pump(inward: TcpStream, outward: TcpStream, mut budget: u64, seed: u64) {
    let mut random = Random::new(seed);
    let mut buffer = [0; 4_096];
    let mut ends = [inward, outward];
    for end in &ends {
        end.set_nonblocking(true).unwrap();
        end.set_nodelay(true).unwrap();
    }
    loop {
        let mut idle = true;
        for from in 0..2 {
            let room = 1 + random.below(buffer.len() as u64) as usize;
            match ends[from].read(&mut buffer[..room]) {
                Ok(0) => return,
                Ok(count) => {
                    idle = false;
                    let count = (count as u64).min(budget) as usize;
                    budget -= count as u64;
                    let mut sent = 0;
                    while sent < count {
                        match ends[1 - from].write(&buffer[sent..count]) {
                            Ok(more) => sent += more,
                            Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::yield_now(),
                            Err(_) => return,
                        }
                    }
                    if budget == 0 {
                        return;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
        }
        if idle {
            std::thread::sleep(Duration::from_micros(50));
        }
    }
}

fn config(address: SocketAddr, client: u32) -> Config {
    let mut config = Config::new(address, ClientId(client), &key(client));
    (config.backoff_min, config.backoff_max) = (Duration::from_millis(1), Duration::from_millis(20));
    config.give_up_after = PATIENCE;
    config
}

fn value(output: &ringfence_client::Output<'_>) -> u64 {
    match output.decode() {
        Ok(Output::Echoed(echoed)) => echoed.value,
        other => panic!("{other:?}: {:?}", output.header),
    }
}

/// Guards against a call that returns another request's answer, and a refusal that looks like a reply.
#[test]
fn calls_wait_for_their_own_answer() {
    let server = Server::new();
    let mut client = Client::connect(config(server.address, 1)).unwrap();
    let sent = client.send(Command::Echo(&Echo { value: 5 })).unwrap();
    let answer = client.call(Command::Echo(&Echo { value: 6 })).unwrap();
    assert!(matches!(answer.reply(), Ok(Output::Echoed(echoed)) if echoed.value == 6));
    let kept = client.poll(Duration::ZERO).unwrap().expect("the first answer was kept");
    assert_eq!((kept.header.request, value(&kept)), (sent, 5));
    server.order(|port| port.disk_has_room = false);
    let answer = client.call(Command::Echo(&Echo { value: 7 })).unwrap();
    let refused = answer.reply::<Output<'_>>().unwrap_err();
    assert!(matches!(refused, Error::Refused { code } if code == Refusal::DiskFull.into()), "{refused}");
    client.close().unwrap();
    assert_eq!(server.finish().executed.len(), 2);
}

/// Guards against ids that are used twice by two runs of one client.
#[test]
fn request_ids_go_on_where_the_last_session_ended() {
    let server = Server::new();
    for run in 0..3 {
        let mut client = Client::connect(config(server.address, 1)).unwrap();
        for value in 0..5 {
            let answer = client.call(Command::Echo(&Echo { value })).unwrap();
            assert_eq!(answer.request(), RequestId(run * 5 + value + 1));
        }
        client.close().unwrap();
    }
    assert_eq!(server.finish().executed.len(), 15);
}

/// Guards against a process that does again what the one before it did and did not hear of.
#[test]
fn what_an_earlier_process_asked_is_answered_and_not_done_again() {
    let server = Server::new();
    let mut first = Client::connect(config(server.address, 1)).unwrap();
    let request = first.next_request();
    first.send_as(request, Command::Echo(&Echo { value: 7 })).unwrap();
    while first.poll(PATIENCE).unwrap().is_none_or(|output| output.header.request != request) {}
    drop(first);
    let mut second = Client::connect(config(server.address, 1)).unwrap();
    let new = second.next_request();
    assert!(new > request);
    second.send_as(request, Command::Echo(&Echo { value: 7 })).unwrap();
    second.send_as(new, Command::Echo(&Echo { value: 8 })).unwrap();
    let mut said = Vec::new();
    while said.len() < 2 {
        let output = second.poll(PATIENCE).unwrap().expect("it is answered");
        if output.header.kind == kind::REPLY {
            said.push((output.header.request, output.header.flags & flag::DUPLICATE != 0, value(&output)));
        }
    }
    assert_eq!(said, [(request, true, 7), (new, false, 8)]);
    assert_eq!(server.finish().executed.len(), 2);
}

/// Guards against retries that cannot succeed.
#[test]
fn a_wrong_key_and_a_second_logon_are_final() {
    let server = Server::new();
    let mut wrong = config(server.address, 1);
    wrong.key = key(2).to_vec();
    let refused = Client::connect(wrong).unwrap_err();
    assert!(matches!(refused, Error::Closed { code } if code == Refusal::LogonRefused.into()), "{refused}");
    let mut first = Client::connect(config(server.address, 1)).unwrap();
    let mut second = Client::connect(config(server.address, 1)).unwrap();
    let closed = loop {
        match first.poll(PATIENCE) {
            Ok(_) => {}
            Err(closed) => break closed,
        }
    };
    assert!(matches!(closed, Error::Closed { code } if code == Refusal::Superseded.into()), "{closed}");
    assert!(matches!(first.poll(PATIENCE), Err(Error::Closed { .. })), "it does not come back by itself");
    second.call(Command::Echo(&Echo { value: 1 })).unwrap();
    second.close().unwrap();
    server.finish();
}

/// Guards against a window that the client oversteps.
#[test]
fn sending_stops_at_the_window() {
    let server = Server::new();
    let mut client = Client::connect(config(server.address, 1)).unwrap();
    server.order(|port| port.held = true);
    for value in 0..64 {
        client.send(Command::Echo(&Echo { value })).unwrap();
    }
    assert!(matches!(client.send(Command::Echo(&Echo { value: 0 })), Err(Error::WindowFull { in_flight: 64 })));
    assert!(client.poll(Duration::from_millis(5)).unwrap().is_none());
    server.order(|port| port.held = false);
    for expected in 0..64 {
        assert_eq!(value(&client.poll(PATIENCE).unwrap().unwrap()), expected);
    }
    assert_eq!(client.room(), 64);
    client.close().unwrap();
    server.finish();
}

/// Runs `requests` over a line that is cut at random; every one must be answered once, and what the engine executed is
/// given back.
fn run_over_a_bad_line(seed: u64, requests: u64, forget_dedupe: bool) -> (BTreeMap<u64, u64>, Vec<u64>, u64) {
    let server = Server::new();
    server.order(move |port| port.forget_dedupe = forget_dedupe);
    let line = Line::to(server.address, seed);
    let mut client = Client::connect(config(line.address, 1)).unwrap();
    let mut answers = BTreeMap::new();
    let mut wanted = BTreeMap::new();
    let mut next = 0;
    while answers.len() < requests as usize {
        while next < requests && client.room() > 0 {
            let request = client.send(Command::Echo(&Echo { value: next })).unwrap();
            assert!(wanted.insert(request.0, next).is_none());
            next += 1;
        }
        if answers.len() as u64 * 10 > requests * 9 {
            line.hold.store(true, Ordering::Relaxed);
        }
        let output = client.poll(PATIENCE).unwrap().expect("an answer comes");
        assert_eq!(output.header.kind, kind::REPLY, "seed {seed}: {:?}", output.rejected());
        let value = value(&output);
        assert_eq!(wanted.get(&output.header.request.0), Some(&value), "seed {seed}");
        let duplicate = u64::from(output.header.flags & flag::DUPLICATE != 0);
        assert!(answers.insert(value, duplicate).is_none(), "seed {seed}: {value} was answered twice");
    }
    let cuts = line.cuts.load(Ordering::Relaxed);
    drop(client);
    let executed = server.finish().executed.iter().map(|(_, _, value)| *value).collect();
    (answers, executed, cuts)
}

/// Guards against requests that a cut connection loses, executes twice or answers twice.
#[test]
fn over_a_line_that_breaks_each_request_is_executed_once() {
    for seed in 0..3 {
        let (answers, executed, cuts) = run_over_a_bad_line(seed, 3_000, false);
        assert_eq!(answers.len(), 3_000);
        assert!(executed.iter().copied().eq(0..3_000), "seed {seed}: each once and in order");
        assert!(cuts > 5, "seed {seed}: the line broke {cuts} times");
        assert!(answers.values().any(|duplicate| *duplicate == 1), "seed {seed}: some answers were kept ones");
    }
}

/// A test of the test: an engine that forgets its reply window is found out.
#[test]
fn an_engine_without_a_reply_window_is_found_out() {
    let (_, executed, _) = run_over_a_bad_line(0, 3_000, true);
    assert!(executed.len() > 3_000, "some were executed twice");
}

/// Guards against a request that is stuck because the engine passed its number by.
#[test]
fn a_request_that_was_passed_by_goes_out_under_a_new_number() {
    let server = Server::new();
    let mut client = Client::connect(config(server.address, 1)).unwrap();
    client.call(Command::Echo(&Echo { value: 1 })).unwrap();
    // Of the next two requests, the engine has seen the second and never the first.
    server.order(|port| port.pass_by(ClientId(1)));
    let first = client.send(Command::Echo(&Echo { value: 2 })).unwrap();
    let second = client.send(Command::Echo(&Echo { value: 3 })).unwrap();
    let output = client.poll(PATIENCE).unwrap().unwrap();
    assert_eq!((output.header.request, output.header.flags), (second, flag::DUPLICATE));
    let output = client.poll(PATIENCE).unwrap().unwrap();
    assert_eq!((output.header.request, value(&output)), (first, 2));
    client.close().unwrap();
    assert_eq!(server.finish().executed.last(), Some(&(ClientId(1), RequestId(second.0 + 1), 2)));
}

/// Follows a topic of which so much is known while it is written to; gives how many events and snapshots came until `last`.
fn follow(reader: &mut Client, topic: Topic, mut known: Option<u64>, last: u64) -> (u64, u64) {
    let (mut events, mut snapshots) = (0, 0);
    while known != Some(last) {
        let output = reader.poll(PATIENCE).unwrap().expect("something comes");
        match output.header.kind {
            kind::EVENT => {
                assert_eq!(output.header.topic, topic);
                assert_eq!(Some(output.header.request.0), known.map(|known| known + 1));
                known = Some(output.header.request.0);
                events += 1;
            }
            kind::SNAPSHOT if output.header.flags & flag::LAST != 0 => {
                let Ok(Notice::SnapshotEnd(end)) = output.decode() else { panic!("a snapshot ends with its end") };
                assert!(known.is_none_or(|known| known <= end.number), "never back in time");
                known = Some(end.number);
                snapshots += 1;
            }
            kind::SNAPSHOT | kind::SESSION => {}
            other => panic!("kind {other}: {:?}", output.rejected()),
        }
    }
    (events, snapshots)
}

/// Guards against a reader of several topics who takes kept events for live ones, and so mixes up their order.
#[test]
fn the_last_kept_event_is_marked() {
    let server = Server::new();
    let (topic, idle) = (Topic::new(DOMAIN, 1, 1), Topic::new(DOMAIN, 1, 2));
    server.order(move |port| port.say(topic, 3));
    let mut reader = Client::connect(config(server.address, 1)).unwrap();
    let heard = |reader: &mut Client, count: usize| {
        let mut heard = Vec::new();
        while heard.len() < count {
            let Some(output) = reader.poll(PATIENCE).unwrap() else { panic!("{heard:?} is not all") };
            heard.push((output.header.kind, output.header.request.0, output.header.flags & flag::LAST != 0));
        }
        heard
    };
    let first = reader.subscribe(topic, 2).unwrap().0;
    assert_eq!(heard(&mut reader, 3), [(kind::SESSION, first, false), (kind::EVENT, 2, false), (kind::EVENT, 3, true)]);
    server.order(move |port| port.say(topic, 1));
    assert_eq!(heard(&mut reader, 1), [(kind::EVENT, 4, false)], "it is live");
    let again = reader.subscribe(topic, 5).unwrap().0;
    assert_eq!(heard(&mut reader, 1), [(kind::SESSION, again, true)], "nothing is kept");
    let fresh = reader.subscribe(idle, 0).unwrap().0;
    assert_eq!(heard(&mut reader, 1), [(kind::SESSION, fresh, false)], "a snapshot comes");
}

/// Guards against gaps, repetitions and steps back in a topic, over a line that breaks.
#[test]
fn a_topic_is_followed_without_gaps_over_a_line_that_breaks() {
    let server = Server::new();
    let line = Line::to(server.address, 5);
    let topic = Topic::new(DOMAIN, 1, 1);
    let mut reader = Client::connect(config(line.address, 1)).unwrap();
    reader.subscribe(topic, 0).unwrap();
    // The first snapshot holds nothing: whatever is written comes as an event, unless the line breaks.
    follow(&mut reader, topic, None, 0);
    let writer = std::thread::spawn({
        let address = server.address;
        move || {
            let mut writer = Client::connect(config(address, 2)).unwrap();
            for _ in 0..400 {
                writer.call(Command::Say(&Say { topic, count: 10 })).unwrap();
            }
        }
    });
    let (events, snapshots) = follow(&mut reader, topic, Some(0), 4_000);
    writer.join().unwrap();
    assert!(events > 1_000, "{events} events, {snapshots} snapshots");
    assert!(line.cuts.load(Ordering::Relaxed) > 3);
    server.finish();
}

/// Guards against a reader that waits for events which are no longer kept.
#[test]
fn events_that_are_gone_are_replaced_by_a_snapshot() {
    let server = Server::new();
    let topic = Topic::new(DOMAIN, 1, 1);
    server.order(move |port| port.say(topic, 10_000));
    let mut reader = Client::connect(config(server.address, 1)).unwrap();
    reader.call(Command::Echo(&Echo { value: 1 })).unwrap();
    reader.subscribe(topic, 17).unwrap();
    assert_eq!(follow(&mut reader, topic, None, 10_000), (0, 1));
    reader.subscribe(topic, 9_001).unwrap();
    let first = loop {
        let output = reader.poll(PATIENCE).unwrap().unwrap();
        if output.header.kind == kind::EVENT {
            break output.header.request.0;
        }
    };
    assert_eq!(first, 9_001);
    reader.close().unwrap();
    server.finish();
}

/// Guards against a refused subscription that is asked for again and again.
#[test]
fn a_refused_subscription_is_told_once() {
    let server = Server::new();
    let mut reader = Client::connect(config(server.address, 1)).unwrap();
    let asked = reader.subscribe(Topic::new(DOMAIN, FakePort::NO_SUCH_KIND, 1), 0).unwrap();
    let output = loop {
        let output = reader.poll(PATIENCE).unwrap().unwrap();
        if output.header.kind == kind::REJECT {
            break output;
        }
    };
    assert_eq!(output.header.request, asked);
    assert_eq!(output.rejected().unwrap().code, Refusal::UnknownTopic.into());
    assert!(reader.poll(Duration::from_millis(5)).unwrap().is_none());
    reader.close().unwrap();
    server.finish();
}

/// Guards against a client that waits for ever where nobody listens.
#[test]
fn it_gives_up_in_time() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut config = config(nobody, 1);
    config.give_up_after = Duration::from_millis(30);
    assert!(matches!(Client::connect(config), Err(Error::Unreachable { .. })));
}
