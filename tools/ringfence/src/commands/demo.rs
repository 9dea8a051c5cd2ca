//! `ringfence demo`: an engine at work, killed in the middle, and the proof that nothing was lost.

use crate::commands::{scenes, take_snapshot};
use crate::engine_process::{EngineProcess, random_key, write_keys};
use crate::proof::{self, Acknowledged};
use crate::say;
use anyhow::{Context as _, ensure};
use clap::Args;
use hdrhistogram::Histogram;
use ringfence_client::{Client, Config};
use ringfence_domains::matching::messages::{Command, Event, InstrumentId, LevelChanged, Side, Trade};
use ringfence_domains::matching::{Matching, topics};
use ringfence_domains::workloads::find;
use ringfence_kernel::image::{flag, kind};
use ringfence_kernel::messages::Message as _;
use ringfence_kernel::workload::CommandImage;
use ringfence_kernel::{ClientId, Domain as _, Topic};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Show the engine at work: an engine as a child process, clients over TCP, a seeded flow of orders. In the middle of
/// it the engine is killed with SIGKILL and started again; clients send again what was not answered. At the end every
/// acknowledged command must be in the log once, and a fresh replay must lead to the same state.
#[derive(Args)]
pub struct Demo {
    /// A shorter flow.
    #[arg(long)]
    quick: bool,
    /// The flow's seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

const TRADERS: u32 = 4;
const OBSERVER: u32 = 99;
/// Unanswered requests of a trader at most.
const WINDOW: usize = 64;
const INSTRUMENT: u32 = 1;

/// What traders and the one who kills share.
#[derive(Default)]
struct Flow {
    answered: AtomicU64,
    /// Whether the engine was killed: before that a trader keeps a quarter of its commands back, so that there is something to
    /// send after it, however late the kill comes.
    killed: AtomicBool,
}

/// What a trader saw.
struct Trader {
    acknowledged: Vec<Acknowledged>,
    repeated: u64,
    refused: u64,
    calm: Histogram<u64>,
    across: Histogram<u64>,
    first_after_crash: Option<Instant>,
}

impl Demo {
    /// Runs it.
    ///
    /// # Errors
    /// When any check fails.
    pub fn run(&self) -> anyhow::Result<()> {
        let commands: u64 = if self.quick { 20_000 } else { 250_000 };
        let dir = tempfile::Builder::new().prefix("ringfence-demo-").tempdir()?;
        let keys = (1..=TRADERS).chain([OBSERVER]).map(|client| (client, random_key())).collect::<HashMap<_, _>>();
        let roles: &[&str] = &["trade", "administer", "observe"];
        write_keys(
            &dir.path().join("keys.toml"),
            &keys.iter().map(|(client, key)| (*client, *key, roles)).collect::<Vec<_>>(),
        )?;
        std::fs::write(dir.path().join("ringfence.toml"), "")?;
        let program = std::env::current_exe()?;
        let mut engine = EngineProcess::start(&program, dir.path())?;
        say!("An engine runs as process {} and listens on {}.", engine.id(), engine.address());
        say!(
            "{TRADERS} traders send {} orders, changes and cancels in all, {WINDOW} unanswered at most each.",
            TRADERS as u64 * commands
        );

        let flow = Flow::default();
        let address = engine.address();
        let begun = Instant::now();
        let (traders, killed_at) = std::thread::scope(|scope| -> anyhow::Result<_> {
            let flow = &flow;
            let threads = (1..=TRADERS).map(|client| {
                let config = Config::new(address, ClientId(client), &keys[&client]);
                let seed = self.seed * 1000 + u64::from(client);
                scope.spawn(move || trade(config, seed, commands, flow))
            });
            let threads = threads.collect::<Vec<_>>();
            let half = u64::from(TRADERS) * commands / 2;
            while flow.answered.load(Ordering::Relaxed) < half && !threads.iter().any(|thread| thread.is_finished()) {
                std::thread::sleep(Duration::from_millis(1));
            }
            let killed_at = kill_and_restart(&mut engine, flow)?;
            let traders = threads.into_iter().map(|thread| thread.join().expect("a trader does not panic"));
            Ok((traders.collect::<anyhow::Result<Vec<_>>>()?, killed_at))
        })?;
        let elapsed = begun.elapsed();

        let first = traders.iter().filter_map(|trader| trader.first_after_crash).min();
        let recovery = first.context("nobody was answered after the crash")?.duration_since(killed_at);
        show_book(address, &keys[&OBSERVER])?;
        let mut client = Client::connect(Config::new(address, ClientId(OBSERVER), &keys[&OBSERVER]))?;
        let scenes = scenes::play(&mut client)?;
        client.close()?;
        let journal = engine.journal();
        engine.stop()?;
        show_proof(&journal, &traders, &scenes, u64::from(TRADERS) * commands)?;
        say!("");
        say!("  from the kill to the first answer after it   {:>8.1} ms", recovery.as_secs_f64() * 1e3);
        say!("  the whole flow, crash included               {:>8.1} ms", elapsed.as_secs_f64() * 1e3);
        show_latencies(&traders);
        Ok(())
    }
}

/// Kills the engine with SIGKILL and starts it again; gives when it was killed.
fn kill_and_restart(engine: &mut EngineProcess, flow: &Flow) -> anyhow::Result<Instant> {
    let answered = flow.answered.load(Ordering::Relaxed);
    let killed_at = Instant::now();
    let is_killed = engine.kill();
    flow.killed.store(true, Ordering::Relaxed);
    is_killed?;
    say!("After {answered} answers it is killed with SIGKILL.");
    engine.start_again()?;
    say!("It is started again as process {}, recovers, and the traders send again what was not answered.", engine.id());
    Ok(killed_at)
}

/// Sends one trader's commands, keeps what it was answered.
fn trade(config: Config, seed: u64, commands: u64, flow: &Flow) -> anyhow::Result<Trader> {
    let mut client = Client::connect(config)?;
    let mut workload = (find("matching", "normal").expect("the workload exists").new)(seed, 1);
    let mut image = CommandImage::default();
    let histogram = || Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("the bounds are sound");
    let mut sent_at = HashMap::with_capacity(2 * WINDOW);
    let mut trader = Trader {
        acknowledged: Vec::with_capacity(commands as usize),
        repeated: 0,
        refused: 0,
        calm: histogram(),
        across: histogram(),
        first_after_crash: None,
    };
    let first_session = client.session().context("a connected client has a session")?.session;
    let mut sent = 0;
    while (trader.acknowledged.len() as u64) < commands {
        let allowed = if flow.killed.load(Ordering::Relaxed) { commands } else { commands - commands / 4 };
        while sent < allowed && sent_at.len() < WINDOW && client.room() > 0 {
            workload.next(&mut image);
            let command = Command::decode(image.header().message, image.body())?;
            sent_at.insert(client.send(command)?, Instant::now());
            sent += 1;
        }
        let Some(output) = client.poll(Duration::from_millis(100))? else { continue };
        if !matches!(output.header.kind, kind::REPLY | kind::REJECT) {
            continue;
        }
        let Some(begun) = sent_at.remove(&output.header.request) else {
            anyhow::bail!("request {} was answered twice", output.header.request);
        };
        let now = Instant::now();
        let recovered = output.header.session != first_session;
        let across = recovered && begun < *trader.first_after_crash.get_or_insert(now);
        let latencies = if across { &mut trader.across } else { &mut trader.calm };
        latencies.saturating_record(now.duration_since(begun).as_nanos() as u64);
        trader.acknowledged.push(Acknowledged::of(&output));
        trader.repeated += u64::from(output.header.flags & flag::DUPLICATE != 0);
        trader.refused += u64::from(output.header.kind == kind::REJECT);
        flow.answered.fetch_add(1, Ordering::Relaxed);
    }
    client.close()?;
    Ok(trader)
}

/// Prints the best levels of the book and the last trade, as a subscriber gets them.
fn show_book(address: SocketAddr, key: &[u8; 32]) -> anyhow::Result<()> {
    let mut client = Client::connect(Config::new(address, ClientId(OBSERVER), key))?;
    let (mut bids, mut asks, mut last) = (Vec::new(), Vec::new(), None);
    for kind in [topics::LEVELS, topics::TRADES] {
        client.subscribe(Topic::new(Matching::ID, kind, INSTRUMENT), 0)?;
        take_snapshot(&mut client, |event| match event {
            Event::LevelChanged(level) if level.side.get() == Side::Buy => bids.push(*level),
            Event::LevelChanged(level) => asks.push(*level),
            Event::Trade(trade) => last = Some(*trade),
            _ => {}
        })?;
    }
    client.close()?;
    say!("\nThe book of instrument {}, from a subscription:\n", InstrumentId(INSTRUMENT));
    say!("      {:>12} {:>12}   {:<12} {:<12}", "bid quantity", "price", "price", "ask quantity");
    let side = |levels: &[LevelChanged], at: usize| levels.get(at).map(|level| (level.quantity.0, level.price.0));
    for at in 0..5 {
        let cell = |value: Option<u64>| value.map_or(String::new(), |value| value.to_string());
        let price = |value: Option<i64>| value.map_or(String::new(), |value| value.to_string());
        let (bid, ask) = (side(&bids, at), side(&asks, at));
        say!(
            "      {:>12} {:>12}   {:<12} {:<12}",
            cell(bid.map(|bid| bid.0)),
            price(bid.map(|bid| bid.1)),
            price(ask.map(|ask| ask.1)),
            cell(ask.map(|ask| ask.0))
        );
    }
    say!("\n  {} bids and {} asks stand in all.", bids.len(), asks.len());
    if let Some(Trade { trade, price, quantity, .. }) = last {
        say!("  The last of the trades has number {trade}: {quantity} at {price}.");
    }
    Ok(())
}

/// Checks everything, and prints what was found; an error when anything is amiss.
fn show_proof(journal: &Path, traders: &[Trader], scenes: &[Acknowledged], orders: u64) -> anyhow::Result<()> {
    let begun = Instant::now();
    let acknowledged = traders.iter().flat_map(|trader| &trader.acknowledged).chain(scenes);
    let commands = orders + scenes.len() as u64;
    let proof = proof::check(journal, acknowledged)?;
    let seconds = begun.elapsed().as_secs_f64();
    ensure!(proof.acknowledged as u64 == commands, "{} of {commands} commands were acknowledged", proof.acknowledged);
    ensure!(proof.executed as u64 == commands, "{} of {commands} commands were executed", proof.executed);
    proof::check_snapshot(journal, &proof.machine)?;
    let repeated: u64 = traders.iter().map(|trader| trader.repeated).sum();
    let refused: u64 = traders.iter().map(|trader| trader.refused).sum();
    say!("\nThe engine stopped cleanly. Its journal was replayed from the first frame:\n");
    say!("  [ok] all {commands} acknowledged commands are in the log, each executed once, with the answer given");
    say!("  [ok] {repeated} answers that the crash had swallowed came back as the originals, marked DUPLICATE");
    say!(
        "  [ok] the replay's state is the engine's: {:016x} at {}",
        proof.machine.state_hash(),
        proof.machine.sequence()
    );
    say!("       ({refused} of them were refused with a code; replay and check took {seconds:.2} s)");
    Ok(())
}

/// Round trips in microseconds; closed loop, so that they show the shape and not the limit.
fn show_latencies(traders: &[Trader]) {
    say!("\n  round trip over TCP, µs        p50       p90       p99     p99.9     worst     count");
    for (name, pick) in [
        ("undisturbed", (|trader| &trader.calm) as fn(&Trader) -> &Histogram<u64>),
        ("across the crash", |trader| &trader.across),
    ] {
        let mut all = pick(&traders[0]).clone();
        traders[1..].iter().for_each(|trader| all.add(pick(trader)).expect("the bounds are the same"));
        let at = |quantile| all.value_at_quantile(quantile) as f64 / 1e3;
        say!(
            "  {name:<24} {:>9.1} {:>9.1} {:>9.1} {:>9.1} {:>9.1} {:>9}",
            at(0.5),
            at(0.9),
            at(0.99),
            at(0.999),
            all.max() as f64 / 1e3,
            all.len()
        );
    }
    say!("  ({TRADERS} traders and the engine share this machine; {WINDOW} requests in flight each; level cached)");
}
