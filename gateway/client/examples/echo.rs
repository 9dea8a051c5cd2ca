//! What the gateway and a raw client loop cost by themselves: an echo in place of the engine, one connection, windows
//! of 1, 256 and 2,048 commands of 64 bytes, beside a bare spinning echo of as many bytes on the same machine.
//!
//! `cargo run --release -p ringfence-client --example echo [seconds]`

use ringfence_client::{Frames, log_on};
use ringfence_gateway::testing::key;
use ringfence_gateway::{Gateway, GatewayConfig, Keys, Port, Retransmission, Start, WallClock};
use ringfence_kernel::image::{
    COMMAND_HEADER_BYTES, CommandHeader, MessageHeader, OUTPUT_HEADER_BYTES, OutputHeader, Slot, kind,
};
use ringfence_kernel::messages::{Message, Reserved};
use ringfence_kernel::wire::{LoggedOn, Notice};
use ringfence_kernel::{ClientId, RequestId, SessionId, Timestamp, system};
use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const RING: usize = 16_384;
const COMMAND_BYTES: usize = 64;
const REPLY_BYTES: usize = 64;

/// A ring whose every command is answered as soon as it is claimed.
struct Echo {
    outputs: Box<[Slot]>,
    head: usize,
    tail: usize,
}

impl Port for Echo {
    fn try_claim(&mut self, slots: usize, mut fill: impl FnMut(usize, &mut Slot)) -> bool {
        if self.tail - self.head + slots > RING {
            return false;
        }
        for index in 0..slots {
            let slot = &mut self.outputs[self.tail % RING];
            fill(index, slot);
            let command = CommandHeader::read(slot.bytes()).unwrap();
            let mut header = OutputHeader {
                length: REPLY_BYTES as u16,
                kind: kind::REPLY,
                session: command.session,
                request: command.request,
                timestamp: command.timestamp,
                message: command.message,
                ..OutputHeader::default()
            };
            if command.message.schema == system::SCHEMA {
                let (session, client, highest) = (command.session, ClientId(1), RequestId(0));
                let on = LoggedOn { client, session, highest, reply_window: 2_048, reserved: Reserved::default() };
                let notice = Notice::LoggedOn(&on);
                header.kind = kind::SESSION;
                header.message = notice.header();
                header.length =
                    (OUTPUT_HEADER_BYTES + notice.encode(&mut slot.bytes_mut()[OUTPUT_HEADER_BYTES..])) as u16;
            }
            slot.bytes_mut()[..OUTPUT_HEADER_BYTES].copy_from_slice(bytemuck::bytes_of(&header));
            self.tail += 1;
        }
        true
    }

    fn drain(&mut self, limit: usize, mut each: impl FnMut(&Slot)) -> usize {
        let count = limit.min(self.tail - self.head);
        for at in self.head..self.head + count {
            each(&self.outputs[at % RING]);
        }
        self.head += count;
        count
    }

    fn accepts(&self) -> bool {
        true
    }

    fn next_deadline(&self) -> Option<Timestamp> {
        None
    }
}

fn main() {
    let seconds = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(2.0);
    let length = Duration::from_secs_f64(seconds);
    let stop = Arc::new(AtomicBool::new(false));

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut bare = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (mut other, _) = listener.accept().unwrap();
    for stream in [&bare, &other] {
        stream.set_nodelay(true).unwrap();
        stream.set_nonblocking(true).unwrap();
    }
    let stopped = Arc::clone(&stop);
    let echo = std::thread::spawn(move || {
        let mut bytes = [0; 4_096];
        while !stopped.load(Ordering::Relaxed) {
            if let Ok(count) = other.read(&mut bytes) {
                other.write_all(&bytes[..count]).unwrap();
            }
        }
    });
    let mut times = Vec::new();
    let start = Instant::now();
    let mut bytes = [7; COMMAND_BYTES];
    while start.elapsed() < length {
        let sent = Instant::now();
        bare.write_all(&bytes).unwrap();
        let mut got = 0;
        while got < COMMAND_BYTES {
            match bare.read(&mut bytes[got..]) {
                Ok(count) => got += count,
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
        }
        times.push(sent.elapsed());
    }
    report("bare echo, window 1", &mut times, start.elapsed());
    stop.store(true, Ordering::Relaxed);
    echo.join().unwrap();

    stop.store(false, Ordering::Relaxed);
    let stopped = Arc::clone(&stop);
    let (address_out, address) = std::sync::mpsc::channel();
    let server = std::thread::spawn(move || {
        let config = GatewayConfig { listen: ([127, 0, 0, 1], 0).into(), ..GatewayConfig::default() };
        let mut keys = Keys::new();
        keys.insert(ClientId(1), &key(1), 1, &[]);
        let start = Start {
            first_session: SessionId(1),
            frames: VecDeque::new(),
            retransmission: Retransmission::new(1, 1),
            reply_window: 2_048,
        };
        let port = Echo { outputs: vec![Slot::EMPTY; RING].into(), head: 0, tail: 0 };
        let mut gateway = Gateway::new(config, keys, port, WallClock::new(), start).unwrap();
        address_out.send(gateway.local_addr().unwrap()).unwrap();
        while !stopped.load(Ordering::Relaxed) {
            gateway.step();
        }
    });
    let mut stream = TcpStream::connect(address.recv().unwrap()).unwrap();
    stream.set_nodelay(true).unwrap();
    log_on(&mut stream, ClientId(1), &key(1)).unwrap();
    stream.set_nonblocking(true).unwrap();
    for window in [1, 256, 2_048] {
        load(&mut stream, window, length);
    }
    stop.store(true, Ordering::Relaxed);
    server.join().unwrap();
}

/// Keeps `window` commands in flight: as many go out as answers came in.
fn load(stream: &mut TcpStream, window: usize, length: Duration) {
    let message = MessageHeader { block_length: 32, template: 1, schema: 900, version: 1 };
    let header = CommandHeader { length: COMMAND_BYTES as u16, message, ..CommandHeader::default() };
    let mut out = vec![0_u8; window * COMMAND_BYTES];
    for frame in out.chunks_exact_mut(COMMAND_BYTES) {
        frame[..COMMAND_HEADER_BYTES].copy_from_slice(bytemuck::bytes_of(&header));
    }
    let mut frames = Frames::new(512 << 10);
    let (mut answers, mut next, mut room, mut sent_at) = (0_u64, 0_u64, window, VecDeque::new());
    let mut times = Vec::with_capacity(1 << 20);
    let start = Instant::now();
    while start.elapsed() < length {
        if room > 0 {
            for frame in out[..room * COMMAND_BYTES].chunks_exact_mut(COMMAND_BYTES) {
                next += 1;
                frame[8..16].copy_from_slice(&next.to_le_bytes());
            }
            let (mut sent, all) = (0, room * COMMAND_BYTES);
            sent_at.push_back((next, Instant::now()));
            while sent < all {
                match stream.write(&out[sent..all]) {
                    Ok(count) => sent += count,
                    Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
                }
            }
            room = 0;
        }
        match stream.read(frames.room()) {
            Ok(count) => frames.read(count),
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
        while let Some(output) = frames.next().unwrap() {
            if output.header.kind != kind::REPLY {
                continue;
            }
            answers += 1;
            room += 1;
            assert_eq!(output.header.request.0, answers);
            if sent_at.front().is_some_and(|(last, _)| *last == answers) {
                times.push(sent_at.pop_front().unwrap().1.elapsed());
            }
        }
    }
    println!("{:.2} M commands/s", answers as f64 / start.elapsed().as_secs_f64() / 1e6);
    report(&format!("gateway, window {window}"), &mut times, start.elapsed());
    while answers < next {
        if let Ok(count) = stream.read(frames.room()) {
            frames.read(count);
        }
        while let Some(output) = frames.next().unwrap() {
            answers += u64::from(output.header.kind == kind::REPLY);
        }
    }
}

fn report(name: &str, times: &mut [Duration], elapsed: Duration) {
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_nanos() as f64 / 1e3;
    println!(
        "{name}: {} round trips in {elapsed:.1?}, p50 {:.1} µs, p90 {:.1} µs, p99 {:.1} µs, worst {:.0} µs",
        times.len(),
        at(0.5),
        at(0.9),
        at(0.99),
        at(1.0)
    );
}
