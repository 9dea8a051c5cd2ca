//! How many OpenRTB bid requests a second an engine and its gateway answer, client and both of them on one machine:
//! `cargo build --release && cargo run --release -p ringfence --example bids`. Each of 32 connections sends its next request when the
//! last is answered; one thread serves them all. Every request is a bid of one line item, whose wins wait a second for their events.
#![allow(clippy::print_stdout, reason = "a command's edge")]

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use ringfence::engine_process::{EngineProcess, random_key, write_keys};
use ringfence_client::{Client, Config};
use ringfence_domains::auction::messages::{
    AuctionRule, CampaignId, Command, CreativeId, LineItemId, Phase, Reply, SetCampaign, SetCreative, SetLineItem,
    WHOLE,
};
use ringfence_domains::auction::workload::{campaign, creative, line_item, placement, slot};
use ringfence_kernel::ClientId;
use ringfence_kernel::messages::Reserved;
use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
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
    let address = line.trim().trim_start_matches("listening on http://");
    let (mut took, bids) = ask(address.parse()?)?;
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

/// A connection, what came of the answer that it waits for, and since when.
struct Asking {
    stream: TcpStream,
    answer: Vec<u8>,
    begun: Instant,
}

/// Asks over all connections until the end, on this thread; what each answer took, and how many were bids.
fn ask(address: SocketAddr) -> anyhow::Result<(Vec<Duration>, u64)> {
    let request = format!(
        "POST /openrtb HTTP/1.1\r\nHost: exchange.example\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{REQUEST}",
        REQUEST.len()
    );
    let mut poll = Poll::new()?;
    let mut connections = Vec::new();
    for at in 0..CONNECTIONS {
        let stream = std::net::TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(stream);
        poll.registry().register(&mut stream, Token(at), Interest::READABLE)?;
        stream.write_all(request.as_bytes())?;
        connections.push(Asking { stream, answer: Vec::new(), begun: Instant::now() });
    }
    let (mut took, mut bids) = (Vec::new(), 0);
    let mut events = Events::with_capacity(CONNECTIONS);
    let end = Instant::now() + Duration::from_secs(SECONDS);
    while Instant::now() < end {
        poll.poll(&mut events, Some(Duration::from_millis(100)))?;
        for event in &events {
            let Asking { stream, answer, begun } = &mut connections[event.token().0];
            read(stream, answer)?;
            let Some(is_bid) = whole(answer)? else { continue };
            took.push(begun.elapsed());
            bids += u64::from(is_bid);
            answer.clear();
            *begun = Instant::now();
            stream.write_all(request.as_bytes())?;
        }
    }
    Ok((took, bids))
}

/// Reads all that came.
fn read(stream: &mut TcpStream, answer: &mut Vec<u8>) -> anyhow::Result<()> {
    let mut bytes = [0; 4_096];
    loop {
        match stream.read(&mut bytes) {
            Ok(0) => anyhow::bail!("the gateway closed a connection"),
            Ok(count) => answer.extend_from_slice(&bytes[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Whether an answer is a bid; none while it is not whole.
fn whole(answer: &[u8]) -> anyhow::Result<Option<bool>> {
    let text = std::str::from_utf8(answer)?;
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return Ok(None) };
    let status = head.split(' ').nth(1).unwrap_or_default();
    anyhow::ensure!(matches!(status, "200" | "204"), "the gateway answered {head:?}");
    let length = head.lines().filter_map(|line| line.split_once(':'));
    let mut length =
        length.filter(|(name, _)| name.eq_ignore_ascii_case("content-length")).map(|(_, value)| value.trim());
    let length: usize = length.next_back().unwrap_or("0").parse()?;
    Ok((body.len() >= length).then_some(status == "200"))
}
