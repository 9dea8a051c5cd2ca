//! A gateway of SoupBinTCP as a child process, and the market behind it.

use super::{GatewayProcess, Place, begun};
use ringfence_client::Client;
use ringfence_domains::matching::messages::{
    Command, DefineInstrument, InstrumentId, PhaseCode, Price, Quantity, Reply, SetPhase,
};
use ringfence_kernel::messages::Reserved;
use ringfence_nasdaq::Text;
use ringfence_nasdaq::ouch::Inbound;
use ringfence_nasdaq::soup::{self, Login, Packet, Password};
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

/// The session of a gateway.
pub const SESSION: &str = "S1";
/// The client of the engine that follows the market; those behind it are the accounts.
const MARKET: u32 = 2;

/// Asks for what must be accepted.
pub fn accept(client: &mut Client, command: Command<'_>) {
    let answer = client.call(command).expect("the engine answers");
    let reply: Reply<'_> = answer.reply().expect("it is not refused");
    assert!(!matches!(reply, Reply::Declined(_)), "{reply:?}");
}

const DAY: Duration = Duration::from_secs(86_400);

/// Defines instrument 1, ACME, with prices from 1 to 100,000 cents.
pub fn list(operator: &mut Client) {
    let define = DefineInstrument {
        price_min: Price(1),
        price_max: Price(100_000),
        tick: Price(1),
        lot: Quantity(1),
        protection: Price(0),
        // Half a day away.
        day_end: ((begun() + DAY / 2).as_nanos() % DAY.as_nanos()) as u64,
        instrument: InstrumentId(1),
        price_decimals: 2,
        reserved: Reserved::default(),
    };
    accept(operator, Command::DefineInstrument(&define));
}

/// Makes it another phase of instrument 1.
pub fn set_phase(operator: &mut Client, phase: impl Into<PhaseCode>) {
    let (instrument, phase, reserved) = (InstrumentId(1), phase.into(), Reserved::default());
    accept(operator, Command::SetPhase(&SetPhase { instrument, phase, reserved }));
}

/// A gateway as a child process.
pub struct Gateway {
    process: GatewayProcess,
    config: PathBuf,
    pub ouch: SocketAddr,
    pub itch: SocketAddr,
}

impl Gateway {
    /// Starts one before the engine at `engine`, with the accounts `alpha` and `beta`.
    pub fn start(place: &Place, engine: SocketAddr) -> Self {
        let path = |name: &str| -> PathBuf { place.path().join(name) };
        let text = format!(
            "[engine]\naddress = \"{engine}\"\nclient = {MARKET}\nkeys = {:?}\n[gateway]\nsession = \"{SESSION}\"\n\
             directory = {:?}\nouch = \"127.0.0.1:0\"\nitch = \"127.0.0.1:0\"\norder_feeds = true\n\
             [[gateway.instruments]]\ninstrument = 1\nstock = \"ACME\"\ndecimals = 2\n\
             [[gateway.accounts]]\nusername = \"ALPHA\"\npassword = \"secret-a\"\nclient = {}\n\
             [[gateway.accounts]]\nusername = \"BETA\"\npassword = \"secret-b\"\nclient = {}\n\
             [[gateway.readers]]\nusername = \"READER\"\npassword = \"secret-r\"\n",
            path("keys.toml"),
            path("sessions"),
            MARKET + 1,
            MARKET + 2,
        );
        let config = path("nasdaq.toml");
        std::fs::write(&config, text).expect("it is written");
        let (process, ouch, itch) = spawn(&config);
        Self { process, config, ouch, itch }
    }

    /// Kills it.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts it again, where it listened.
    pub fn start_again(&mut self) {
        let text = std::fs::read_to_string(&self.config).expect("it was written");
        let text = text.replace("ouch = \"127.0.0.1:0\"", &format!("ouch = \"{}\"", self.ouch));
        let text = text.replace("itch = \"127.0.0.1:0\"", &format!("itch = \"{}\"", self.itch));
        std::fs::write(&self.config, text).expect("it is written");
        (self.process, self.ouch, self.itch) = spawn(&self.config);
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }
}

fn spawn(config: &std::path::Path) -> (GatewayProcess, SocketAddr, SocketAddr) {
    let (process, line) = GatewayProcess::start("nasdaq", config);
    let addresses = line.strip_prefix("nasdaq listens on ").and_then(|line| line.strip_suffix(" for ITCH"));
    let (ouch, itch) = addresses.and_then(|text| text.split_once(" for OUCH and on ")).expect(&line);
    (process, ouch.parse().expect("an address"), itch.parse().expect("an address"))
}

/// Somebody who is logged in over SoupBinTCP.
pub struct Peer {
    stream: TcpStream,
    input: Vec<u8>,
    /// The number of the next message that is heard.
    pub next: u64,
}

/// What a peer hears.
#[derive(Debug)]
pub enum Heard {
    /// A sequenced message.
    Message(Vec<u8>),
    /// The session is over.
    End,
    /// The connection is closed, or was never made.
    Closed,
}

impl Peer {
    /// Logs in, and wants message `from` first. None when nobody is there.
    pub fn log_in(address: SocketAddr, username: &str, password: &str, from: u64) -> Option<Self> {
        let stream = TcpStream::connect(address).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
        stream.set_nodelay(true).expect("a socket");
        let mut peer = Self { stream, input: Vec::new(), next: from };
        let (username, session) = (Text::new(username).expect("it fits"), Text::new(SESSION).expect("it fits"));
        let password = Password::new(password).expect("it fits");
        peer.say(&Packet::LoginRequest(Login { username, password, session, from }))?;
        let packet = peer.packet()?;
        match Packet::parse(&packet).expect("a packet") {
            Packet::LoginAccepted { next, .. } => peer.next = next,
            other => panic!("no login: {other:?}"),
        }
        Some(peer)
    }

    /// Says a packet; none when the connection is lost.
    pub fn say(&mut self, packet: &Packet<'_>) -> Option<()> {
        let mut out = Vec::new();
        packet.write(&mut out);
        self.say_bytes(&out)
    }

    /// Says any bytes.
    pub fn say_bytes(&mut self, bytes: &[u8]) -> Option<()> {
        self.stream.write_all(bytes).ok()
    }

    /// Says a message of OUCH.
    pub fn ask(&mut self, message: impl Into<Inbound>) -> Option<()> {
        let mut bytes = Vec::new();
        message.into().write(&mut bytes);
        self.say(&Packet::Unsequenced(&bytes))
    }

    /// The next thing of interest. A heartbeat is answered.
    pub fn hear(&mut self) -> Heard {
        loop {
            let Some(packet) = self.packet() else { return Heard::Closed };
            match Packet::parse(&packet).expect("a packet") {
                Packet::Sequenced(message) => {
                    self.next += 1;
                    return Heard::Message(message.to_vec());
                }
                Packet::ServerHeartbeat => {
                    let _ = self.say(&Packet::ClientHeartbeat);
                }
                Packet::EndOfSession => return Heard::End,
                other => panic!("heard {other:?}"),
            }
        }
    }

    /// The next message.
    pub fn message(&mut self) -> Vec<u8> {
        match self.hear() {
            Heard::Message(message) => message,
            other => panic!("no message: {other:?}"),
        }
    }

    /// Whether no message is there, without waiting for long. Heartbeats are none, and are answered.
    pub fn is_silent(&mut self) -> bool {
        self.stream.set_read_timeout(Some(Duration::from_millis(1))).expect("a timeout");
        let is_silent = loop {
            let front = soup::split(&self.input).expect("packets");
            match front.map(|(packet, taken)| (matches!(Packet::parse(packet), Ok(Packet::ServerHeartbeat)), taken)) {
                Some((true, taken)) => {
                    self.input.drain(..taken);
                    let _ = self.say(&Packet::ClientHeartbeat);
                }
                Some((false, _)) => break false,
                None if self.fill() == Some(true) => {}
                None => break true,
            }
        };
        self.stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
        is_silent
    }

    fn packet(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Some((packet, taken)) = soup::split(&self.input).expect("packets") {
                let packet = packet.to_vec();
                self.input.drain(..taken);
                return Some(packet);
            }
            assert!(self.fill()?, "nothing came");
        }
    }

    /// Reads once; whether something came, and none when the connection is closed.
    fn fill(&mut self) -> Option<bool> {
        let mut chunk = [0; 16_384];
        match self.stream.read(&mut chunk) {
            Ok(0) => None,
            Ok(count) => {
                self.input.extend_from_slice(&chunk[..count]);
                Some(true)
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Some(false),
            Err(_) => None,
        }
    }
}
