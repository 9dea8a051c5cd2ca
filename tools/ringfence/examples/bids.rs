//! How many OpenRTB bid requests a second an engine and its gateway answer, client and both of them on one machine:
//! `cargo build --release && cargo run --release -p ringfence --example bids`. Each of 32 connections sends its next request when the
//! last is answered. Every request is a bid of one line item, whose wins wait a second for their events.
#![allow(clippy::print_stdout, reason = "a command's edge")]

use ringfence::engine_process::{EngineProcess, random_key, write_keys};
use ringfence_client::{Client, Config};
use ringfence_domains::auction::messages::{
    AuctionRule, CampaignId, Command, CreativeId, LineItemId, Phase, Reply, SetCampaign, SetCreative, SetLineItem,
    WHOLE,
};
use ringfence_domains::auction::workload::{campaign, creative, line_item, placement, slot};
use ringfence_kernel::ClientId;
use ringfence_kernel::messages::Reserved;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command as Process, Stdio};
use std::time::{Duration, Instant};

const CONNECTIONS: usize = 32;
const SECONDS: u64 = 5;
const CONFIG: &str = r#"
currency = "USD"
notices = "http://gateway.example/notices"
secret = "a secret of no importance"
tmax_ms = 1000
margin_ms = 10
placements = { leaderboard = 1 }
[[creatives]]
creative = 1
adm = "<a href=\"https://advertiser.example\">728</a>"
adomain = ["advertiser.example"]
w = 728
h = 90
"#;
const REQUEST: &str = r#"{"id":"80ce30c53c16e6ede735f123ef6e32361bfc7b22","at":1,"tmax":900,"cur":["USD"],
"imp":[{"id":"1","tagid":"leaderboard","bidfloor":0.5,"banner":{"w":728,"h":90}}],
"site":{"id":"102855","domain":"www.foobar.example","page":"http://www.foobar.example/1234.html"},
"device":{"ua":"Mozilla/5.0","ip":"192.0.2.1","geo":{"country":"USA"}},"user":{"id":"55816b39711f9b5acf3b90e3"}}"#;

/// The gateway, which ends with this program.
struct Gateway(Child);

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn main() -> anyhow::Result<()> {
    let program = std::env::current_exe()?.with_file_name("../ringfence");
    let dir = tempfile::tempdir()?;
    let (keys, roles): ([[u8; 32]; 2], &[&str]) = ([random_key(), random_key()], &["trade", "administer", "observe"]);
    write_keys(&dir.path().join("keys.toml"), &[(1, keys[0], roles), (2, keys[1], roles)])?;
    std::fs::write(dir.path().join("ringfence.toml"), "")?;
    std::fs::write(dir.path().join("openrtb.toml"), CONFIG)?;
    let engine = EngineProcess::start(&program, dir.path())?;
    prepare(&mut Client::connect(Config::new(engine.address(), ClientId(1), &keys[0]))?)?;
    let mut gateway = Process::new(&program)
        .args(["openrtb", "--listen", "127.0.0.1:0", "--client", "2", "--address", &engine.address().to_string()])
        .args(["--config".as_ref(), dir.path().join("openrtb.toml").as_os_str()])
        .args(["--keys".as_ref(), dir.path().join("keys.toml").as_os_str()])
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    BufReader::new(gateway.stdout.take().expect("it is piped")).read_line(&mut line)?;
    let _gateway = Gateway(gateway);
    let address = line.trim().trim_start_matches("listening on http://").to_string();

    let end = Instant::now() + Duration::from_secs(SECONDS);
    let clients: Vec<_> = (0..CONNECTIONS).map(|_| (address.clone(), end)).collect();
    let clients: Vec<_> =
        clients.into_iter().map(|(address, end)| std::thread::spawn(move || ask(&address, end))).collect();
    let (mut took, mut bids) = (Vec::new(), 0);
    for client in clients {
        let (times, won) = client.join().expect("a client does not panic")?;
        took.extend(times);
        bids += won;
    }
    took.sort_unstable();
    let at = |percent: usize| took[(took.len() - 1) * percent / 100];
    println!(
        "{} bid requests a second on {CONNECTIONS} connections, {bids} of {} with a bid: p50 {:?}, p90 {:?}, p99 {:?}, worst {:?}",
        took.len() as u64 / SECONDS,
        took.len(),
        at(50),
        at(90),
        at(99),
        at(100)
    );
    engine.stop()
}

/// A line item for everybody, that pays ten dollars a thousand.
fn prepare(client: &mut Client) -> anyhow::Result<()> {
    let (phase, reserved) = (Phase::Active.into(), Reserved::default());
    let mut item = line_item(1, 1, 1_000_000_000_000, 10_000_000);
    item.window = 1_000_000_000;
    for command in [
        Command::DefinePlacement(&placement(1, 1, AuctionRule::FirstPrice), &[slot(WHOLE)]),
        Command::DefineCampaign(&campaign(1, 1, 10_000_000_000_000)),
        Command::SetCampaign(&SetCampaign { campaign: CampaignId(1), phase, reserved }),
        Command::DefineLineItem(&item, &[]),
        Command::SetLineItem(&SetLineItem { item: LineItemId(1), phase, reserved }),
        Command::DefineCreative(&creative(1, 1)),
        Command::SetCreative(&SetCreative { creative: CreativeId(1), phase, reserved }),
    ] {
        let _: Reply<'_> = client.call(command)?.reply()?;
    }
    Ok(())
}

/// Asks until the end; what each answer took, and how many were bids.
fn ask(address: &str, end: Instant) -> anyhow::Result<(Vec<Duration>, u64)> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let request = format!(
        "POST /openrtb HTTP/1.1\r\nHost: exchange.example\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{REQUEST}",
        REQUEST.len()
    );
    let mut answers = BufReader::new(stream.try_clone()?);
    let (mut took, mut bids) = (Vec::new(), 0);
    let (mut line, mut body) = (String::new(), Vec::new());
    while Instant::now() < end {
        let begun = Instant::now();
        stream.write_all(request.as_bytes())?;
        let mut length = 0;
        line.clear();
        answers.read_line(&mut line)?;
        bids += u64::from(line.contains(" 200 "));
        anyhow::ensure!(line.contains(" 200 ") || line.contains(" 204 "), "the gateway answered {line:?}");
        while line != "\r\n" {
            line.clear();
            answers.read_line(&mut line)?;
            if let Some((_, value)) =
                line.split_once(':').filter(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            {
                length = value.trim().parse()?;
            }
        }
        body.resize(length, 0);
        answers.read_exact(&mut body)?;
        took.push(begun.elapsed());
    }
    Ok((took, bids))
}
