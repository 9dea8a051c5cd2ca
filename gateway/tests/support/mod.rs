//! A gateway whose loop the test drives, and peers that speak bytes.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use hmac::{Hmac, KeyInit, Mac};
use ringfence_gateway::testing::{FakePort, ManualClock, Output, gateway, key};
use ringfence_gateway::{Gateway, GatewayConfig};
use ringfence_kernel::image::{COMMAND_HEADER_BYTES, CommandHeader, OUTPUT_HEADER_BYTES, OutputHeader, kind};
use ringfence_kernel::messages::{Message, Reserved};
use ringfence_kernel::wire::{Challenge, Logon, Notice, PROTOCOL, Request, logon_transcript};
use ringfence_kernel::{ClientId, Code, RequestId};
use sha2::Sha256;
use std::cell::RefCell;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Once;

/// Steps after which a test gives up. A step is a fraction of a microsecond when there is nothing to do.
const STEPS_MAX: usize = 2_000_000;

pub struct Bench {
    pub gateway: Gateway<FakePort, ManualClock>,
    pub clock: ManualClock,
}

/// A socket and what came from it.
pub struct Peer {
    pub stream: TcpStream,
    bytes: Vec<u8>,
    /// Bytes of them that were taken.
    head: usize,
    pub ended: bool,
}

/// One output image.
#[derive(Clone, Debug)]
pub struct Image(pub Vec<u64>);

impl Image {
    pub fn header(&self) -> OutputHeader {
        OutputHeader::read(bytemuck::cast_slice(&self.0)).unwrap()
    }

    pub fn template(&self) -> u16 {
        self.header().message.template
    }

    pub fn body(&self) -> &[u8] {
        &bytemuck::cast_slice(&self.0)[OUTPUT_HEADER_BYTES..]
    }

    pub fn notice(&self) -> Notice<'_> {
        Notice::decode(self.header().message, self.body()).expect("the gateway's own words")
    }
}

thread_local! {
    static LINES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// What was logged on this thread, a line an event. One subscriber serves all threads of a test: with one a thread, the
/// thread that comes to a log line first would settle for all others whether it is said.
pub struct Lines(());

impl Lines {
    /// Begins to listen, if nobody did.
    pub fn listen() -> Self {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| tracing::subscriber::set_global_default(Self(())).expect("nobody else listens"));
        Self(())
    }

    /// How many lines hold `part`.
    pub fn count(&self, part: &str) -> usize {
        LINES.with_borrow(|lines| lines.iter().filter(|line| line.contains(part)).count())
    }

    pub fn clear(&self) {
        LINES.with_borrow_mut(Vec::clear);
    }
}

impl tracing::Subscriber for Lines {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        struct Line(String);
        impl tracing::field::Visit for Line {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                self.0 += &format!(" {field}={value:?}");
            }
        }
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        LINES.with_borrow_mut(|lines| lines.push(line.0));
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

/// A command frame.
pub fn frame<'m>(request: u64, message: impl Message<'m>) -> Vec<u8> {
    let length = COMMAND_HEADER_BYTES + message.body_bytes();
    let mut bytes = vec![0; length];
    message.encode(&mut bytes[COMMAND_HEADER_BYTES..]);
    let request = RequestId(request);
    let header =
        CommandHeader { length: length as u16, request, message: message.header(), ..CommandHeader::default() };
    bytes[..COMMAND_HEADER_BYTES].copy_from_slice(bytemuck::bytes_of(&header));
    bytes
}

/// A logon frame.
pub fn logon(client: u32, key: &[u8], nonce: &[u8; 32], protocol: u16) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(&logon_transcript(nonce, ClientId(client), protocol));
    let proof = mac.finalize().into_bytes().into();
    frame(0, Request::Logon(&Logon { client: ClientId(client), protocol, reserved: Reserved::default(), proof }))
}

impl Peer {
    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("the socket takes a test's bytes");
    }

    /// Sends to a gateway that may have closed.
    pub fn try_send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// Reads what is there.
    pub fn read(&mut self) {
        let mut bytes = [0; 65_536];
        loop {
            match self.stream.read(&mut bytes) {
                Ok(0) => return self.ended = true,
                Ok(count) => self.bytes.extend_from_slice(&bytes[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => return self.ended = true,
            }
        }
    }

    pub fn take(&mut self) -> Option<Image> {
        let bytes = &self.bytes[self.head..];
        let length = usize::from(u16::from_le_bytes(*bytes.first_chunk()?));
        let image = bytemuck::pod_collect_to_vec(bytes.get(..length)?);
        self.head += length;
        if self.head == self.bytes.len() {
            self.bytes.clear();
            self.head = 0;
        }
        Some(Image(image))
    }
}

impl Bench {
    pub fn new() -> Self {
        Self::with(|_, _| {})
    }

    pub fn with(change: impl FnOnce(&mut GatewayConfig, &mut FakePort)) -> Self {
        Lines::listen();
        let mut config = GatewayConfig { retransmission_slots: 1_024, topics_max: 64, ..GatewayConfig::default() };
        let mut port = FakePort::new(16_384, 64);
        change(&mut config, &mut port);
        let clock = ManualClock::default();
        clock.advance_ms(1_000_000);
        Self { gateway: gateway(config, port, clock.clone()).unwrap(), clock }
    }

    pub fn connect(&mut self) -> Peer {
        let stream = TcpStream::connect(self.gateway.local_addr().unwrap()).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_nonblocking(true).unwrap();
        Peer { stream, bytes: Vec::new(), head: 0, ended: false }
    }

    /// Steps until `done`, which is called after each step.
    pub fn until<T>(&mut self, what: &str, mut done: impl FnMut(&mut Self, usize) -> T) -> T
    where
        T: Done,
    {
        for step in 0..STEPS_MAX {
            self.gateway.step();
            let result = done(self, step);
            if result.is_done() {
                return result;
            }
        }
        panic!("never happened: {what}");
    }

    /// Steps until the loop has had nothing to do for a while.
    pub fn settle(&mut self) {
        let mut idle = 0;
        while idle < 100 {
            idle = if self.gateway.step() == 0 { idle + 1 } else { 0 };
        }
    }

    pub fn next(&mut self, peer: &mut Peer) -> Image {
        self.until("an output", |_, _| {
            peer.read();
            peer.take()
        })
        .unwrap()
    }

    pub fn challenge(&mut self, peer: &mut Peer) -> Challenge {
        match self.next(peer).notice() {
            Notice::Challenge(challenge) => *challenge,
            other => panic!("{other:?} is no challenge"),
        }
    }

    pub fn log_on(&mut self, client: u32) -> Peer {
        let mut peer = self.connect();
        let nonce = self.challenge(&mut peer).nonce;
        peer.send(&logon(client, &key(client), &nonce, PROTOCOL));
        let image = self.next(&mut peer);
        assert!(matches!(image.notice(), Notice::LoggedOn(on) if on.client.0 == client), "{image:?}");
        peer
    }

    /// The request and the value of the reply that comes next.
    pub fn answer(&mut self, peer: &mut Peer) -> (u64, u64) {
        let image = self.next(peer);
        let header = image.header();
        assert_eq!(header.kind, kind::REPLY, "{:?}", image.header());
        match Output::decode(header.message, image.body()).unwrap() {
            Output::Echoed(echoed) => (header.request.0, echoed.value),
            other => panic!("{other:?} answers nothing"),
        }
    }

    pub fn rejected(&mut self, peer: &mut Peer) -> (u64, Code) {
        let image = self.next(peer);
        match image.notice() {
            Notice::Rejected(rejected) => (image.header().request.0, rejected.code),
            other => panic!("{other:?} is no reject"),
        }
    }

    /// Passes over heartbeats.
    pub fn closing(&mut self, peer: &mut Peer) -> Code {
        loop {
            match self.next(peer).notice() {
                Notice::Closing(closing) => return closing.code,
                Notice::Heartbeat(_) => {}
                other => panic!("{other:?} closes nothing"),
            }
        }
    }

    pub fn gone(&mut self, peer: &mut Peer) {
        self.until("the end of the stream", |_, _| {
            peer.read();
            peer.ended
        });
    }
}

pub trait Done {
    fn is_done(&self) -> bool;
}

impl Done for bool {
    fn is_done(&self) -> bool {
        *self
    }
}

impl<T> Done for Option<T> {
    fn is_done(&self) -> bool {
        self.is_some()
    }
}
