//! A proxy between clients and gateway that cuts, splits, delays and duplicates connections.
//!
//! ```text
//! client ──► proxy ──► gateway     cut      part of a chunk arrives, then neither side hears the other
//!                │                 linger   the client is cut off; the gateway's side stays, and late bytes still come
//!                └───► gateway     double   a second connection says again all that the first one said
//! ```

mod support;

use ringfence::proof::check;
use ringfence_client::Output;
use ringfence_domains::matching::messages::{Command, DefineInstrument, InstrumentId, NewOrder};
use ringfence_domains::matching::workload::{CROWDED, Flow, Mix};
use ringfence_domains::workloads::find;
use ringfence_kernel::image::kind;
use ringfence_kernel::messages::Message as _;
use ringfence_kernel::random::Random;
use ringfence_kernel::workload::{CommandImage, Workload};
use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use support::{Load, Place, Told, seed, send, size, wait_until};

const CLIENTS: u32 = 4;

/// How often something happens to a chunk of bytes, in ten thousand.
#[derive(Clone, Copy)]
struct Chances {
    cut: u64,
    linger: u64,
    double: u64,
    split: u64,
    delay: u64,
}

#[derive(Default)]
struct Seen {
    cuts: AtomicU64,
    lingers: AtomicU64,
    doubles: AtomicU64,
    /// Doubles that the gateway turned away.
    turned_away: AtomicU64,
    splits: AtomicU64,
    delays: AtomicU64,
}

/// Stands between clients and the gateway.
struct Proxy {
    address: SocketAddr,
    seen: Arc<Seen>,
    over: Arc<AtomicBool>,
    accepting: Option<std::thread::JoinHandle<()>>,
}

impl Proxy {
    fn new(gateway: SocketAddr, seed: u64, chances: Chances) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (seen, over) = (Arc::new(Seen::default()), Arc::new(AtomicBool::new(false)));
        let (all, stop) = (Arc::clone(&seen), Arc::clone(&over));
        let accepting = std::thread::spawn(move || {
            for (client, number) in listener.incoming().zip(0_u64..) {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let Ok(client) = client else { continue };
                let Ok(server) = TcpStream::connect(gateway) else { continue };
                client.set_nodelay(true).and(server.set_nodelay(true)).expect("sockets take options");
                let line =
                    Arc::new(Line { client, server, gateway, seen: Arc::clone(&all), gone: AtomicBool::new(false) });
                let (up, down) = (Arc::clone(&line), line);
                let random = |way| Random::new(seed ^ (number << 1 | way) << 20);
                let (mut first, mut second) = (random(0), random(1));
                std::thread::spawn(move || up.upwards(&mut first, chances));
                std::thread::spawn(move || down.downwards(&mut second, chances));
            }
        });
        Self { address, seen, over, accepting: Some(accepting) }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        // It waits for a connection to look at the flag.
        let _ = TcpStream::connect(self.address);
        let _ = self.accepting.take().map(std::thread::JoinHandle::join);
    }
}

/// One connection of a client, and the one to the gateway that it stands for.
struct Line {
    client: TcpStream,
    server: TcpStream,
    gateway: SocketAddr,
    seen: Arc<Seen>,
    /// The client hears no more of it.
    gone: AtomicBool,
}

fn happens(random: &mut Random, chance: u64) -> bool {
    random.below(10_000) < chance
}

impl Line {
    fn upwards(&self, random: &mut Random, chances: Chances) {
        let mut chunk = [0; 16 << 10];
        let mut said = Vec::new();
        while let Some(bytes) = read(&self.client, &mut chunk) {
            if said.len() < 64 << 10 {
                said.extend_from_slice(bytes);
            }
            if happens(random, chances.double) {
                self.double(&said);
            }
            let cut_at = random.below(bytes.len() as u64 + 1) as usize;
            if happens(random, chances.cut) {
                let _ = (&self.server).write_all(&bytes[..cut_at]);
                self.seen.cuts.fetch_add(1, Ordering::Relaxed);
                return self.hang_up();
            }
            if happens(random, chances.linger) {
                let _ = (&self.server).write_all(&bytes[..cut_at]);
                self.seen.lingers.fetch_add(1, Ordering::Relaxed);
                self.gone.store(true, Ordering::Relaxed);
                let _ = self.client.shutdown(Shutdown::Both);
                // The client comes back meanwhile, or not: both must be the same to the engine.
                std::thread::sleep(Duration::from_micros(random.below(20_000)));
                let _ = (&self.server).write_all(&bytes[cut_at..]);
                return;
            }
            if self.pass(&self.server, bytes, random, chances).is_err() {
                break;
            }
        }
        self.hang_up();
    }

    fn downwards(&self, random: &mut Random, chances: Chances) {
        let mut chunk = [0; 16 << 10];
        while let Some(bytes) = read(&self.server, &mut chunk) {
            if self.gone.load(Ordering::Relaxed) {
                continue;
            }
            if happens(random, chances.cut) {
                let cut_at = random.below(bytes.len() as u64 + 1) as usize;
                let _ = (&self.client).write_all(&bytes[..cut_at]);
                self.seen.cuts.fetch_add(1, Ordering::Relaxed);
                break;
            }
            if self.pass(&self.client, bytes, random, chances).is_err() {
                break;
            }
        }
        self.hang_up();
    }

    fn pass(&self, mut to: &TcpStream, bytes: &[u8], random: &mut Random, chances: Chances) -> std::io::Result<()> {
        if happens(random, chances.delay) {
            self.seen.delays.fetch_add(1, Ordering::Relaxed);
            std::thread::sleep(Duration::from_micros(random.below(5_000)));
        }
        let mut rest = bytes;
        if happens(random, chances.split) {
            self.seen.splits.fetch_add(1, Ordering::Relaxed);
            let (single, after) = bytes.split_at(bytes.len().min(300));
            single.chunks(1).try_for_each(|byte| to.write_all(byte))?;
            rest = after;
        }
        to.write_all(rest)
    }

    fn hang_up(&self) {
        let _ = self.client.shutdown(Shutdown::Both);
        let _ = self.server.shutdown(Shutdown::Both);
    }

    /// Says all that was said so far over a connection of its own, and waits until the gateway closes that.
    fn double(&self, said: &[u8]) {
        let Ok(mut server) = TcpStream::connect(self.gateway) else { return };
        self.seen.doubles.fetch_add(1, Ordering::Relaxed);
        let (said, seen) = (said.to_vec(), Arc::clone(&self.seen));
        std::thread::spawn(move || {
            // It is turned away at the logon, so that the rest may find nobody.
            let _ = server.write_all(&said);
            let _ = server.set_read_timeout(Some(Duration::from_secs(30)));
            let mut chunk = [0; 1024];
            let timed_out = |error: &std::io::Error| {
                matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut)
            };
            loop {
                match server.read(&mut chunk) {
                    Ok(1..) => {}
                    Err(error) if timed_out(&error) => return,
                    _ => break,
                }
            }
            seen.turned_away.fetch_add(1, Ordering::Relaxed);
        });
    }
}

fn read<'a>(mut from: &TcpStream, chunk: &'a mut [u8]) -> Option<&'a [u8]> {
    let count = from.read(chunk).ok().filter(|count| *count > 0)?;
    Some(&chunk[..count])
}

/// Commands on an instrument that is one client's own.
struct Own {
    flow: Flow,
    instrument: InstrumentId,
    from: CommandImage,
}

impl Workload for Own {
    fn next(&mut self, image: &mut CommandImage) {
        self.flow.next(&mut self.from);
        let (client, instrument) = (self.from.client, self.instrument);
        match Command::decode(self.from.header().message, self.from.body()).expect("a workload writes messages") {
            Command::NewOrder(order) => image.set(client, Command::NewOrder(&NewOrder { instrument, ..*order })),
            Command::DefineInstrument(terms) => {
                image.set(client, Command::DefineInstrument(&DefineInstrument { instrument, ..*terms }));
            }
            other => image.set(client, other),
        }
    }
}

/// The client who conducts an election, whose answers depend on no time; the others trade, each on an instrument.
const OFFICER: u32 = CLIENTS;

fn workload(seed: u64, client: u32) -> Box<dyn Workload> {
    let seed = seed * 100 + u64::from(client);
    if client == OFFICER {
        return (find("votes", "ranked").expect("it is one of its workloads").new)(seed, 1);
    }
    let flow = Flow::new(seed, 1, Mix { instruments: 1, ..CROWDED });
    Box::new(Own { flow, instrument: InstrumentId(client), from: CommandImage::default() })
}

/// An answer without its place and time: kind, message, body.
fn bare(output: &Output<'_>) -> Vec<u8> {
    let mut bytes = vec![output.header.kind];
    bytes.extend_from_slice(&output.header.message.template.to_le_bytes());
    bytes.extend_from_slice(output.body);
    bytes
}

/// Templates of matching's replies that start with the engine's number of an order.
const NUMBERED: [u16; 4] = [51, 52, 54, 55];

/// The answers to one client in the order of its requests. Orders are numbered over all clients as they come in: they
/// are counted anew, each by its first appearance.
fn answers(told: Told, client: u32) -> Vec<Vec<u8>> {
    let mut answers = told.answers;
    answers.sort_by_key(|(request, _)| *request);
    let mut numbers = HashMap::new();
    for (_, answer) in &mut answers {
        if client != OFFICER
            && answer[0] == kind::REPLY
            && NUMBERED.contains(&u16::from_le_bytes([answer[1], answer[2]]))
        {
            let next = numbers.len() as u64;
            let number = answer[3..11].try_into().expect("eight bytes");
            let anew = *numbers.entry(u64::from_le_bytes(number)).or_insert(next);
            answer[3..11].copy_from_slice(&anew.to_le_bytes());
        }
    }
    answers.into_iter().map(|(_, answer)| answer).collect()
}

/// Sends `requests` from each client through `address`, given the engine's.
fn run(requests: u64, seed: u64, through: impl FnOnce(SocketAddr) -> (SocketAddr, Option<Proxy>)) -> Outcome {
    let place = Place::new(CLIENTS, "[snapshot]\ninterval_seconds = 0\n");
    let engine = place.engine();
    let (address, proxy) = through(engine.address());
    let load = Load::default();
    let told = std::thread::scope(|scope| {
        let clients = (1..=CLIENTS).map(|client| {
            let (config, load) = (place.config(client, address), &load);
            scope.spawn(move || send(config, &mut *workload(seed, client), requests, load, bare))
        });
        let clients = clients.collect::<Vec<_>>();
        let told = clients.into_iter().map(|client| client.join().expect("a client does not panic"));
        told.collect::<anyhow::Result<Vec<_>>>().unwrap_or_else(|error| panic!("seed {seed}: {error:#}"))
    });
    if let Some(proxy) = &proxy {
        let Seen { doubles, turned_away, .. } = &*proxy.seen;
        wait_until("doubles to be turned away", || {
            turned_away.load(Ordering::Relaxed) == doubles.load(Ordering::Relaxed)
        });
    }
    engine.stop().expect("the engine stops cleanly");
    let acknowledged = told.iter().flat_map(|told| &told.acknowledged);
    let proof = check(&place.journal(), acknowledged).unwrap_or_else(|error| panic!("seed {seed}: {error:#}"));
    let all = (requests * u64::from(CLIENTS)) as usize;
    assert_eq!((proof.executed, proof.acknowledged), (all, all), "seed {seed}: executed, acknowledged");
    let repeated = told.iter().map(|told| told.repeated).sum();
    let sessions = told.iter().map(|told| told.sessions).sum();
    Outcome {
        answers: told.into_iter().zip(1..).map(|(told, client)| answers(told, client)).collect(),
        repeated,
        sessions,
        proxy,
    }
}

struct Outcome {
    /// By client.
    answers: Vec<Vec<Vec<u8>>>,
    repeated: u64,
    sessions: u64,
    proxy: Option<Proxy>,
}

/// Guards against a request that a broken line loses, repeats or reorders, and against a second connection of the same
/// client, old, late or copied, that changes anything.
#[test]
fn prove_chaos_executes_each_request_once() {
    let seed = seed();
    let requests = size(20_000, 1_000_000) / u64::from(CLIENTS);
    let often = size(5, 1);
    let chances =
        Chances { cut: 60 * often, linger: 40 * often, double: 40 * often, split: 100 * often, delay: 100 * often };
    let calm = run(requests, seed, |engine| (engine, None));
    let chaos = run(requests, seed, |engine| {
        let proxy = Proxy::new(engine, seed, chances);
        (proxy.address, Some(proxy))
    });
    for (client, (calm, chaos)) in (1..).zip(calm.answers.iter().zip(&chaos.answers)) {
        assert_eq!(calm.len(), chaos.len(), "seed {seed}: answers to client {client}");
        let parted = calm.iter().zip(chaos).position(|(calm, chaos)| calm != chaos);
        assert_eq!(parted, None, "seed {seed}: client {client} is answered otherwise from there on");
    }
    let proxy = chaos.proxy.expect("it was there");
    let Seen { cuts, lingers, doubles, splits, delays, .. } = &*proxy.seen;
    let [cuts, lingers, doubles, splits, delays] =
        [cuts, lingers, doubles, splits, delays].map(|seen| seen.load(Ordering::Relaxed));
    println!(
        "proved: {} requests over {} sessions, {} answers repeated; {cuts} cuts, {lingers} lingering connections, \
         {doubles} doubles, {splits} splits, {delays} delays",
        requests * u64::from(CLIENTS),
        chaos.sessions,
        chaos.repeated,
    );
    for (what, count) in
        [("cuts", cuts), ("lingers", lingers), ("doubles", doubles), ("splits", splits), ("delays", delays)]
    {
        assert!(count > 0, "seed {seed}: the proxy did no {what}");
    }
}
