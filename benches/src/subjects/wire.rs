//! The wire: a client process and an engine over loopback TCP, a core each, both spinning; and a bare echo of the same
//! bytes beside it, which is what the machine's sockets cost.
//!
//! The client is this program started again with [`Client::arguments`]; it writes what it saw to its standard output.
//!
//! Excluded: a network. Included: frames, sessions, journal, replicate, execute, and one request id and one reply for
//! each command that is counted.

use crate::load::{Flight, LEAD_NS, Load, Nanos, Outcome, histogram, pin};
use crate::noop::NoopOnly;
use crate::passing;
use crate::subjects::pipeline::ready_with;
use crate::subjects::ring::ping;
use crate::subjects::traffic::{Links, Script, Traffic};
use hdrhistogram::Histogram;
use ringfence_domains::Domains;
use ringfence_engine::config::{Durability, GenesisConfig};
use ringfence_engine::idle::IdleStrategy;
use ringfence_engine::layout::Layout;
use ringfence_engine::pipeline::{Stop, Threads, assemble, run};
use ringfence_engine::replicate_stage::Solo;
use ringfence_gateway::{Clock as _, Gateway, GatewayConfig, Keys, Retransmission, Start, WallClock};
use ringfence_kernel::image::{COMMAND_HEADER_BYTES, kind};
use ringfence_kernel::{ClientId, Registry, RequestId, Roles, SessionId, Timestamp};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

pub(crate) const KEY: [u8; 32] = [7; 32];
/// Bytes of a ping and of a pong.
const IMAGE: usize = 64;

/// What the client process is asked to do.
#[derive(Clone, Debug, clap::Args)]
pub struct Client {
    /// Where the engine listens.
    pub address: SocketAddr,
    /// Commands a second, each when it is due; none: a closed loop.
    #[arg(long)]
    pub rate: Option<u64>,
    /// Commands unanswered at once.
    #[arg(long)]
    pub window: usize,
    /// Commands in all.
    #[arg(long)]
    pub commands: u64,
    /// Whose commands.
    #[command(flatten)]
    pub traffic: Traffic,
}

impl Client {
    /// The words that make this program such a client.
    #[must_use]
    pub fn arguments(&self) -> Vec<String> {
        let mut words = vec!["client".into(), self.address.to_string()];
        words.extend(self.rate.map(|rate| format!("--rate={rate}")));
        words.extend([format!("--window={}", self.window), format!("--commands={}", self.commands)]);
        words.extend(self.traffic.arguments());
        words
    }

    /// Logs on, sends its commands and times their answers.
    ///
    /// # Panics
    /// When the connection ends.
    #[must_use]
    pub fn run(&self) -> Outcome {
        pin(0);
        let load = self.rate.map_or(Load::Closed, |rate| Load::Open { rate });
        if self.traffic.domain.is_some() {
            return self.traffic.run(self.address, load, self.window, self.commands);
        }
        let mut stream = TcpStream::connect(self.address).expect("the engine listens");
        ringfence_client::log_on(&mut stream, ClientId(1), &KEY).expect("the client logs on");
        pings(stream, load, self.window, self.commands)
    }
}

/// Sends `commands` pings or commands of a workload under `load` to an engine, at most `window` unanswered, and times their
/// answers.
///
/// # Panics
/// When the engine or the client process cannot be started.
#[must_use]
pub fn round_trips(level: Durability, load: Load, window: usize, commands: u64, traffic: &Traffic) -> Outcome {
    let rate = match load {
        Load::Open { rate } => Some(rate),
        Load::Closed => None,
    };
    let ask = |address| passing::ask(&Client { address, rate, window, commands, traffic: traffic.clone() });
    match &traffic.domain {
        None => against::<NoopOnly>("noop", level, 1, ask),
        Some(domain) => against::<Domains>(domain, level, traffic.connections, ask),
    }
}

/// Starts an engine with a domain and so many clients who may do everything, and asks it.
fn against<R: Registry>(
    domain: &str,
    level: Durability,
    clients: u32,
    ask: impl FnOnce(SocketAddr) -> Outcome,
) -> Outcome {
    let id = R::DOMAINS.iter().find(|info| info.name == domain).expect("the domain exists").id;
    let dir = tempfile::tempdir().expect("a directory");
    let stop = Stop::default();
    let (address, listening) = channel();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut clock = WallClock::new();
            let mut keys = Keys::new();
            (1..=clients).for_each(|client| keys.insert(ClientId(client), &KEY, 1, &[(id, Roles::ALL)]));
            let genesis = GenesisConfig {
                // What all have unanswered at once fits the windows, whoever sends it.
                reply_window: if clients > 16 { 1 << 10 } else { 1 << 14 },
                clients_max: clients.max(256),
                enabled: vec![domain.into()],
                ..GenesisConfig::default()
            };
            let ready = ready_with::<R>(dir.path(), level, clients, &genesis, id, clock.now());
            let gate = Solo::new(ready.writer.marks(), level.into());
            let (port, stages) = assemble(ready.machine, ready.writer, ready.chain, gate, 16_384);
            let start = Start {
                first_session: SessionId(1),
                frames: ready.frames,
                retransmission: Retransmission::new(1024, 16),
                reply_window: genesis.reply_window,
            };
            let config = GatewayConfig { listen: ([127, 0, 0, 1], 0).into(), ..GatewayConfig::default() };
            let gateway = Gateway::new(config, keys, port, clock, start).expect("it listens");
            address.send(gateway.local_addr().expect("it has an address")).expect("the client waits");
            let threads = Threads { layout: Layout::Fused, idle: IdleStrategy::BusySpin, pinned: vec![1] };
            let drained = run(gateway, stages, &threads, &stop);
            drained.writer.close().expect("the journal closes");
        });
        let outcome = ask(listening.recv().expect("the engine starts"));
        stop.request();
        outcome
    })
}

fn pings(mut stream: TcpStream, load: Load, window: usize, commands: u64) -> Outcome {
    let mut frames = Vec::with_capacity(window * IMAGE);
    let mut image = ping();
    let mut flight = Flight::new(window);
    let mut answers = vec![0; (window * IMAGE).max(1 << 16)];
    let mut kept = 0;
    let (mut sent, mut answered, mut refused) = (0_u64, 0, 0);
    spin(&stream);
    let clock = Nanos::default();
    let begun = clock.now() + LEAD_NS;
    let mut written = 0;
    while answered < commands {
        // A new batch when the last is written: as many as the window has room for.
        if written == frames.len() && sent < commands && sent - answered < window as u64 {
            frames.clear();
            written = 0;
            let now = clock.now();
            while sent < commands && sent - answered < window as u64 {
                let due = match load {
                    Load::Open { .. } => begun + load.due(sent),
                    Load::Closed => now,
                };
                if due > now {
                    break;
                }
                image.stamp(SessionId(0), RequestId(sent + 1), Timestamp(0));
                frames.extend_from_slice(image.bytes());
                flight.send(due, now);
                sent += 1;
            }
        }
        if written < frames.len() {
            match stream.write(&frames[written..]) {
                Ok(bytes) => written += bytes,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => panic!("the connection ended: {error}"),
            }
        }
        match stream.read(&mut answers[kept..]) {
            Ok(0) => panic!("the engine closed the connection"),
            Ok(bytes) => kept += bytes,
            Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
            Err(error) => panic!("the connection ended: {error}"),
        }
        let now = clock.now();
        take_answers(&mut answers, &mut kept, |is_refused| {
            flight.land(now);
            answered += 1;
            refused += u64::from(is_refused);
        });
    }
    flight.latency.elapsed = Duration::from_nanos(clock.now() - begun);
    Outcome { latency: flight.latency, sent, answered, refused }
}

/// Makes a socket one that is looked at again and again, and sends at once.
///
/// # Panics
/// When it cannot.
pub(crate) fn spin(stream: &TcpStream) {
    stream.set_nonblocking(true).expect("a socket can be non-blocking");
    stream.set_nodelay(true).expect("a socket can send at once");
}

/// Takes whole frames off the front of what was read, the first `kept` bytes, and tells of each answer whether it is a refusal.
#[inline]
pub(crate) fn take_answers(read: &mut [u8], kept: &mut usize, mut answer: impl FnMut(bool)) {
    let mut at = 0;
    while let Some(length) = read[at..*kept].first_chunk() {
        let length = usize::from(u16::from_le_bytes(*length));
        if *kept - at < length {
            break;
        }
        // Heartbeats come between answers.
        let kind = read[at + 2];
        if matches!(kind, kind::REPLY | kind::REJECT) {
            answer(kind == kind::REJECT);
        }
        at += length;
    }
    read.copy_within(at..*kept, 0);
    *kept -= at;
}

/// Round trips of 64 bytes against a spinning echo, one at a time: nothing but two sockets.
///
/// # Panics
/// When there is no loopback.
#[must_use]
pub fn bare_echo(commands: u64) -> Histogram<u64> {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("it listens");
    let address = listener.local_addr().expect("it has an address");
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            pin(1);
            let (mut stream, _) = listener.accept().expect("the client comes");
            spin(&stream);
            let mut bytes = [0; 4096];
            while !over.load(Ordering::Relaxed) {
                if let Ok(count @ 1..) = stream.read(&mut bytes) {
                    stream.write_all(&bytes[..count]).expect("an echo fits the socket");
                }
            }
        });
        pin(0);
        let mut stream = TcpStream::connect(address).expect("the echo listens");
        spin(&stream);
        let clock = Nanos::default();
        let mut latencies = histogram();
        let mut bytes = [1; IMAGE];
        for _ in 0..commands {
            let begun = clock.now();
            stream.write_all(&bytes).expect("a ping fits the socket");
            let mut read = 0;
            while read < IMAGE {
                if let Ok(count @ 1..) = stream.read(&mut bytes[read..]) {
                    read += count;
                }
            }
            latencies.saturating_record(clock.now() - begun);
        }
        over.store(true, Ordering::Relaxed);
        latencies
    })
}

/// Echoes of 64 bytes a second on that many connections, each with one on its way: what the sockets of unpipelined clients
/// cost, with a poller on both sides.
///
/// # Panics
/// When there is no loopback.
#[must_use]
pub fn echoes(connections: u32, commands: u64) -> f64 {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("it listens");
    let address = listener.local_addr().expect("it has an address");
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            pin(1);
            let mut poll = mio::Poll::new().expect("there is a poller");
            let mut streams: Vec<_> = (0..connections as usize)
                .map(|at| {
                    let (stream, _) = listener.accept().expect("the client comes");
                    spin(&stream);
                    let mut stream = mio::net::TcpStream::from_std(stream);
                    let registered = poll.registry().register(&mut stream, mio::Token(at), mio::Interest::READABLE);
                    registered.expect("it can be waited for");
                    stream
                })
                .collect();
            let (mut events, mut bytes) = (mio::Events::with_capacity(streams.len()), [0; 4096]);
            while !over.load(Ordering::Relaxed) {
                poll.poll(&mut events, Some(Duration::ZERO)).expect("a poller polls");
                for event in &events {
                    let stream = &mut streams[event.token().0];
                    if let Ok(count @ 1..) = stream.read(&mut bytes) {
                        stream.write_all(&bytes[..count]).expect("an echo fits the socket");
                    }
                }
            }
        });
        pin(0);
        // What comes back is taken for an answer.
        let mut bytes = [0; IMAGE];
        bytes[..2].copy_from_slice(&(IMAGE as u16).to_le_bytes());
        bytes[2] = kind::REPLY;
        let each = commands / u64::from(connections) * 2;
        let script = Script::of(&bytes, each);
        let links =
            Links::new(vec![script; connections as usize], |_| TcpStream::connect(address).expect("it listens"));
        let outcome = links.time(Load::Closed, connections as usize, commands, &[]);
        over.store(true, Ordering::Relaxed);
        outcome.per_second()
    })
}

const _: () = assert!(COMMAND_HEADER_BYTES + 32 == IMAGE);

#[cfg(test)]
mod tests {
    use super::*;
    use ringfence_domains::workloads::WORKLOADS;

    /// Guards against answers that are lost or taken for another's where there are several connections, and against
    /// measuring refusals.
    #[test]
    fn what_several_connections_send_is_decided() {
        for (domain, kinds) in WORKLOADS {
            let (workload, connections) = (kinds[0].name, 3);
            let traffic = Traffic {
                domain: Some((*domain).into()),
                workload: Some(workload.into()),
                connections,
                set_up: 200,
                ..Traffic::pings()
            };
            for load in [Load::Closed, Load::Open { rate: 10_000 }] {
                let ask = |address| traffic.run(address, load, 24, 1_000);
                let outcome = against::<Domains>(domain, Durability::Cached, connections, ask);
                assert!(outcome.answered >= 1_000, "{domain} {workload}: {} answers", outcome.answered);
                assert!(outcome.refused < 100, "{domain} {workload}: {} refused", outcome.refused);
                assert_eq!(outcome.latency.corrected.len(), outcome.answered, "each answer is timed once");
            }
        }
    }
}
