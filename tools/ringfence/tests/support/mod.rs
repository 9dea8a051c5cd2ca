//! What the proofs of the whole server share: a directory to serve from, clients that send, and what they were told.
#![allow(dead_code, unreachable_pub, reason = "not every proof uses all of it")]

pub mod clients;
pub mod iso8583;
pub mod nasdaq;

use ringfence::engine_process::{EngineProcess, random_key, write_keys};
use ringfence::proof::Acknowledged;
use ringfence_client::{Client, Config, Output};
use ringfence_domains::matching::messages::Command as Matching;
use ringfence_kernel::ClientId;
use ringfence_kernel::MessageHeader;
use ringfence_kernel::RequestId;
use ringfence_kernel::image::{flag, kind};
use ringfence_kernel::messages::{Message, Part, Then};
use ringfence_kernel::workload::{CommandImage, Workload};
use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The command under test.
pub fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_ringfence"))
}

/// `ordinary`, or `large` when the proofs are run.
pub fn size(ordinary: u64, large: u64) -> u64 {
    if std::env::var("RINGFENCE_PROVE").is_ok_and(|value| value == "1") { large } else { ordinary }
}

/// The seed of a run: `RINGFENCE_SEED`, or 1. Printed, so that a failure names it.
pub fn seed() -> u64 {
    let seed = std::env::var("RINGFENCE_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    println!("RINGFENCE_SEED={seed}");
    seed
}

/// Small capacities, so that an engine starts at once.
pub const SMALL: &str = "
[journal]
segment_mib = 17
low_water_mib = 8
[genesis]
reply_window = 256
clients_max = 16
topics_max = 8192
[genesis.domains.matching]
instruments = 16
orders = 65536
levels = 16384
accounts = 64
[genesis.domains.auction]
advertisers = 64
campaigns = 64
line_items = 1024
wins = 1024
counters = 1024
[limits]
sessions_max = 16
[gateway]
retransmission_slots = 4096
topics_max = 8192
";

/// The time since 1970 when this process first asked: one for all that it does, also when a day ends meanwhile.
pub fn begun() -> Duration {
    static BEGUN: OnceLock<Duration> = OnceLock::new();
    *BEGUN.get_or_init(|| SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970"))
}

/// A directory to serve from: keys, configuration, journal.
pub struct Place {
    dir: tempfile::TempDir,
    keys: Vec<[u8; 32]>,
}

impl Place {
    /// A directory for clients `1..=clients` who may do everything, with `settings` behind [`SMALL`].
    pub fn new(clients: u32, settings: &str) -> Self {
        let dir = tempfile::Builder::new().prefix("ringfence-proof-").tempdir().expect("a directory");
        let keys = (0..clients).map(|_| random_key()).collect::<Vec<_>>();
        let roles: &[&str] = &["trade", "administer", "observe"];
        let lines = (1..).zip(&keys).map(|(client, key)| (client, *key, roles)).collect::<Vec<_>>();
        write_keys(&dir.path().join("keys.toml"), &lines).expect("the keys are written");
        let place = Self { dir, keys };
        place.configure(settings);
        place
    }

    /// Other settings behind [`SMALL`], from the next start on.
    pub fn configure(&self, settings: &str) {
        std::fs::write(self.path().join("ringfence.toml"), format!("{SMALL}{settings}")).expect("it is written");
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    pub fn journal(&self) -> PathBuf {
        self.path().join("journal")
    }

    pub fn engine(&self) -> EngineProcess {
        EngineProcess::start(program(), self.path()).expect("the engine starts")
    }

    /// How `client` connects to `address`: patient, since engines are killed under it.
    pub fn config(&self, client: u32, address: SocketAddr) -> Config {
        Config {
            backoff_min: Duration::from_millis(2),
            backoff_max: Duration::from_millis(50),
            give_up_after: Duration::from_secs(120),
            ..Config::new(address, ClientId(client), &self.keys[client as usize - 1])
        }
    }
}

/// A gateway as a child process, which is killed when it is dropped.
pub struct GatewayProcess(Child);

impl GatewayProcess {
    /// Starts `ringfence PROTOCOL serve` with a configuration file. Gives the line in which it says where it listens.
    pub fn start(protocol: &str, config: &Path) -> (Self, String) {
        let mut command = Command::new(program());
        command.args([protocol, "serve", "--config"]).arg(config);
        command.env("RINGFENCE_LOG", std::env::var("RINGFENCE_LOG").unwrap_or_else(|_| "error".into()));
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("the gateway starts");
        let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        let (say, said) = std::sync::mpsc::channel();
        std::thread::spawn(move || say.send(lines.next()));
        let gateway = Self(child);
        let line = said.recv_timeout(Duration::from_secs(120)).expect("it is ready in time");
        (gateway, line.expect("it says where it listens").expect("text"))
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// Kills it with SIGKILL, and waits until it is gone.
    pub fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for GatewayProcess {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What one client sent and was told.
#[derive(Default)]
pub struct Told {
    pub acknowledged: Vec<Acknowledged>,
    /// What `keep` made of each answer, in the order of the requests.
    pub answers: Vec<(RequestId, Vec<u8>)>,
    pub repeated: u64,
    /// Connections that were made.
    pub sessions: u64,
}

/// Shared by the clients of one load.
pub struct Load {
    /// Answers so far, of all clients.
    pub answered: AtomicU64,
    /// Send no more, only wait for what is unanswered.
    pub enough: AtomicBool,
    /// Commands that one client may send in all, for now.
    pub allowed: AtomicU64,
}

impl Default for Load {
    fn default() -> Self {
        Self { answered: AtomicU64::new(0), enough: AtomicBool::new(false), allowed: AtomicU64::new(u64::MAX) }
    }
}

/// Unanswered requests of a client at most.
const WINDOW: usize = 64;

/// Sends `count` commands of `workload`, or until there was enough, and waits until each is answered. It resends by
/// itself whatever a lost connection left unanswered.
pub fn send(
    config: Config,
    workload: &mut dyn Workload,
    count: u64,
    load: &Load,
    keep: impl Fn(&Output<'_>) -> Vec<u8>,
) -> anyhow::Result<Told> {
    let mut client = Client::connect(config)?;
    let mut image = CommandImage::default();
    let mut told = Told { sessions: 1, ..Told::default() };
    let mut unanswered = BTreeSet::new();
    let (mut sent, mut session) = (0, client.session_id());
    let mut heard = Instant::now();
    loop {
        let enough = sent == count || load.enough.load(Ordering::Relaxed);
        if enough && unanswered.is_empty() {
            break;
        }
        let count = count.min(load.allowed.load(Ordering::Relaxed));
        while !enough && sent < count && unanswered.len() < WINDOW && client.room() > 0 {
            workload.next(&mut image);
            unanswered.insert(client.send(Drawn(&image))?);
            sent += 1;
        }
        let Some(output) = client.poll(Duration::from_millis(5))? else {
            anyhow::ensure!(
                heard.elapsed() < Duration::from_secs(120),
                "{} requests stay unanswered",
                unanswered.len()
            );
            continue;
        };
        heard = Instant::now();
        if !matches!(output.header.kind, kind::REPLY | kind::REJECT) {
            continue;
        }
        let request = output.header.request;
        anyhow::ensure!(unanswered.remove(&request), "request {request} was answered twice");
        told.acknowledged.push(Acknowledged::of(&output));
        told.answers.push((request, keep(&output)));
        told.repeated += u64::from(output.header.flags & flag::DUPLICATE != 0);
        load.answered.fetch_add(1, Ordering::Relaxed);
        let now = client.session_id();
        if now != session {
            session = now;
            told.sessions += 1;
        }
    }
    client.close()?;
    Ok(told)
}

/// A command of any domain, as a workload drew it.
#[derive(Clone, Copy)]
struct Drawn<'a>(&'a CommandImage);

impl<'a> Message<'a> for Drawn<'a> {
    const PART: &'static Part = Matching::PART;

    fn decode_then<T: Then<Self>>(_: MessageHeader, _: &'a [u8], _: T) -> Result<T::Output, T::Error> {
        unreachable!("nobody reads what was drawn")
    }

    fn header(&self) -> MessageHeader {
        self.0.header().message
    }

    fn body_bytes(&self) -> usize {
        self.0.body().len()
    }

    fn encode(&self, out: &mut [u8]) -> usize {
        out[..self.body_bytes()].copy_from_slice(self.0.body());
        self.body_bytes()
    }
}

/// Waits until `done`, and fails when that takes longer than any sound run would.
pub fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < Duration::from_secs(120), "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}
