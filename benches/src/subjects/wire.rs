//! The wire: a client process and an engine over loopback TCP, a core each, both spinning; and a bare echo of the same
//! bytes beside it, which is what the machine's sockets cost.
//!
//! The client is this program started again with [`Client::arguments`]; it writes what it saw to its standard output.
//!
//! Excluded: a network. Included: frames, sessions, journal, replicate, execute, and one request id and one reply for
//! each command that is counted.

use crate::load::{Flight, LEAD_NS, Load, Nanos, Outcome, histogram, pin};
use crate::passing;
use crate::subjects::pipeline::ready;
use crate::subjects::ring::ping;
use hdrhistogram::Histogram;
use ringfence_engine::config::Durability;
use ringfence_engine::idle::IdleStrategy;
use ringfence_engine::layout::Layout;
use ringfence_engine::pipeline::{Stop, Threads, assemble, run};
use ringfence_engine::replicate_stage::Solo;
use ringfence_gateway::{Clock as _, Gateway, GatewayConfig, Keys, Retransmission, Start, WallClock};
use ringfence_kernel::image::{COMMAND_HEADER_BYTES, kind};
use ringfence_kernel::{ClientId, DomainId, RequestId, Roles, SessionId, Timestamp};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

const KEY: [u8; 32] = [7; 32];
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
}

impl Client {
    /// The words that make this program such a client.
    #[must_use]
    pub fn arguments(&self) -> Vec<String> {
        let mut words = vec!["client".into(), self.address.to_string()];
        words.extend(self.rate.map(|rate| format!("--rate={rate}")));
        words.extend([format!("--window={}", self.window), format!("--commands={}", self.commands)]);
        words
    }

    /// Logs on, sends its commands and times their answers.
    ///
    /// # Panics
    /// When the connection ends.
    #[must_use]
    pub fn run(&self) -> Outcome {
        pin(0);
        let mut stream = TcpStream::connect(self.address).expect("the engine listens");
        ringfence_client::log_on(&mut stream, ClientId(1), &KEY).expect("the client logs on");
        let load = self.rate.map_or(Load::Closed, |rate| Load::Open { rate });
        pings(stream, load, self.window, self.commands)
    }
}

/// Sends `commands` pings under `load` to an engine, at most `window` unanswered, and times their answers.
///
/// # Panics
/// When the engine or the client process cannot be started.
#[must_use]
pub fn round_trips(level: Durability, load: Load, window: usize, commands: u64) -> Outcome {
    let dir = tempfile::tempdir().expect("a directory");
    let stop = Stop::default();
    let (address, listening) = channel();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut clock = WallClock::new();
            let mut keys = Keys::new();
            keys.insert(ClientId(1), &KEY, 1, &[(DomainId(63), Roles::ALL)]);
            let window = 1 << 14;
            let ready = ready(dir.path(), level, 1, window, clock.now());
            let gate = Solo::new(ready.writer.marks(), level.into());
            let (port, stages) = assemble(ready.machine, ready.writer, ready.chain, gate, 16_384);
            let start = Start {
                first_session: SessionId(1),
                frames: ready.frames,
                retransmission: Retransmission::new(1024, 16),
                reply_window: window,
            };
            let config = GatewayConfig { listen: ([127, 0, 0, 1], 0).into(), ..GatewayConfig::default() };
            let gateway = Gateway::new(config, keys, port, clock, start).expect("it listens");
            address.send(gateway.local_addr().expect("it has an address")).expect("the client waits");
            let threads = Threads { layout: Layout::Fused, idle: IdleStrategy::BusySpin, pinned: vec![1] };
            let drained = run(gateway, stages, &threads, &stop);
            drained.writer.close().expect("the journal closes");
        });
        let address = listening.recv().expect("the engine starts");
        let rate = match load {
            Load::Open { rate } => Some(rate),
            Load::Closed => None,
        };
        let outcome = passing::ask(&Client { address, rate, window, commands });
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
    stream.set_nonblocking(true).expect("a socket can be non-blocking");
    stream.set_nodelay(true).expect("a socket can send at once");
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
        let mut at = 0;
        while kept - at >= IMAGE {
            let length = usize::from(u16::from_le_bytes([answers[at], answers[at + 1]]));
            if kept - at < length {
                break;
            }
            // Heartbeats come between answers.
            let kind = answers[at + 2];
            if matches!(kind, kind::REPLY | kind::REJECT) {
                flight.land(now);
                answered += 1;
                refused += u64::from(kind == kind::REJECT);
            }
            at += length;
        }
        answers.copy_within(at..kept, 0);
        kept -= at;
    }
    flight.latency.elapsed = Duration::from_nanos(clock.now() - begun);
    Outcome { latency: flight.latency, sent, answered, refused }
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
            stream.set_nonblocking(true).expect("a socket can be non-blocking");
            stream.set_nodelay(true).expect("a socket can send at once");
            let mut bytes = [0; 4096];
            while !over.load(Ordering::Relaxed) {
                if let Ok(count @ 1..) = stream.read(&mut bytes) {
                    stream.write_all(&bytes[..count]).expect("an echo fits the socket");
                }
            }
        });
        pin(0);
        let mut stream = TcpStream::connect(address).expect("the echo listens");
        stream.set_nonblocking(true).expect("a socket can be non-blocking");
        stream.set_nodelay(true).expect("a socket can send at once");
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

const _: () = assert!(COMMAND_HEADER_BYTES + 32 == IMAGE);
