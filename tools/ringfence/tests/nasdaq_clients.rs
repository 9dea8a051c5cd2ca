//! The gateway of SoupBinTCP before others' clients: PyPI's `nasdaq-protocols` trades, drops and resumes, while the gateway and
//! the engine are killed; PyPI's `itchfeed` reads the market data; and Wireshark's dissectors read it all off the wire.

mod support;

use ringfence_engine::layout::cores;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use support::clients::{Capture, World, python, run, script};
use support::nasdaq::{Gateway, SESSION, list};

fn installed() -> Result<PathBuf, String> {
    python("nasdaq-venv", "nasdaq_protocols, itch", &["nasdaq-protocols==1.3.0", "itchfeed==1.6.4"])
}

/// What a stream said: numbers and messages in hexadecimal digits.
type Said = Vec<(u64, String)>;

fn said(lines: &str, name: &str) -> Said {
    let words = lines.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let of = words.filter(|words| words[0] == name);
    of.map(|words| (words[1].parse().expect("a number"), words[2].to_owned())).collect()
}

fn trader(python: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(python);
    command.arg(script("trader.py")).args(arguments);
    run(&mut command).unwrap_or_else(|error| panic!("the client of nasdaq-protocols, {arguments:?}: {error}"))
}

/// A day of both accounts, from these numbers on; what `A` and `B` heard.
fn day(python: &Path, gateway: &Gateway, first: u64, second: u64, tag: &str) -> (Said, Said) {
    let port = gateway.ouch.port().to_string();
    let lines = trader(python, &["day", &port, SESSION, &first.to_string(), &second.to_string(), tag]);
    (said(&lines, "A"), said(&lines, "B"))
}

/// `count` messages of a stream from number `first` on.
fn read(python: &Path, gateway: &Gateway, name: &str, first: u64, count: usize) -> Said {
    let (port, user, password) = match name {
        "A" => (gateway.ouch.port(), "ALPHA", "secret-a"),
        "B" => (gateway.ouch.port(), "beta", "SECRET-b"),
        _ => (gateway.itch.port(), "reader", "secret-r"),
    };
    let (port, first, count) = (port.to_string(), first.to_string(), count.to_string());
    said(&trader(python, &["read", &port, SESSION, &first, &count, name, user, password]), name)
}

/// Messages of market data that a day makes: an order, its trade, its going, the other price, less of it, a trade, its going,
/// the order of the other side that comes and stays.
const MARKET_OF_A_DAY: usize = 8;
/// And what a session begins with: two events, the directory, the market's hours, the phase.
const MARKET_BEFORE: usize = 5;
/// Messages that a day makes for each account.
const OF_A_DAY: (usize, usize) = (8, 7);

/// Guards against a stream that is otherwise when it is read again: after the gateway is killed, after the engine is, after
/// both are, and from the middle.
#[test]
fn traders_of_python_resume_whatever_is_killed() {
    let python = match installed() {
        Ok(python) => python,
        Err(why) => return println!("SKIPPED: no Python with nasdaq-protocols and itchfeed: {why}"),
    };
    let mut world = World::new(list);
    let mut gateway = Gateway::start(&world.place, world.engine.address());
    let (mut a, mut b, mut market): (Said, Said, Said) = Default::default();
    for (round, tag) in ["R", "S", "T", "U"].into_iter().enumerate() {
        match round {
            1 => gateway.kill(),
            2 => world.engine.kill().expect("it is killed"),
            3 => {
                gateway.kill();
                world.engine.kill().expect("it is killed");
            }
            _ => {}
        }
        if round >= 2 {
            world.engine.start_again().expect("it starts again");
        }
        if round % 2 == 1 {
            gateway.start_again();
        }
        let (first, second) = (a.len() as u64 + 1, b.len() as u64 + 1);
        let (more_a, more_b) = day(&python, &gateway, first, second, tag);
        a.extend(more_a);
        b.extend(more_b);
        let begins = usize::from(round == 0);
        let days = round + 1;
        assert_eq!((a.len(), b.len()), (1 + OF_A_DAY.0 * days, 1 + OF_A_DAY.1 * days), "after {days} days");
        let fresh = MARKET_OF_A_DAY + begins * MARKET_BEFORE;
        market.extend(read(&python, &gateway, "M", market.len() as u64 + 1, fresh));
        for (name, whole) in [("A", &a), ("B", &b), ("M", &market)] {
            assert!((1..).zip(whole).all(|(number, message)| message.0 == number), "{name}: {whole:?}");
            assert_eq!(read(&python, &gateway, name, 1, whole.len()), *whole, "{name} from 1, round {round}");
            let middle = whole.len() / 2;
            let rest = read(&python, &gateway, name, middle as u64 + 1, whole.len() - middle);
            assert_eq!(rest, whole[middle..], "{name} from the middle, round {round}");
        }
    }
    println!(
        "proved: {} messages of traders and {} of the market, the same whatever was killed",
        a.len() + b.len(),
        market.len()
    );
}

/// What Wireshark reads in packets of one port that `filter` lets through: the values of `field` in each, as soon as they are
/// `enough`.
fn dissected(
    capture: &Capture,
    port: u16,
    filter: &str,
    field: &str,
    enough: impl Fn(&[String]) -> bool,
) -> Vec<String> {
    let decode = format!("tcp.port=={port},soupbintcp");
    let filter = format!("tcp.port=={port} && ({filter})");
    let mut arguments = vec!["-d", &decode, "-Y", &filter, "-T", "fields", "-e", field];
    // OUCH is found by itself; ITCH is called wherever it is not.
    let way = format!("lua_script:{}", script("itch.lua").display());
    arguments.extend(if filter.contains("itch") { ["-X", &way] } else { ["--enable-heuristic", "ouch_soupbintcp"] });
    let values =
        |text: &str| -> Vec<String> { text.lines().flat_map(|line| line.split(',')).map(str::to_owned).collect() };
    values(&capture.read_until(&arguments, |text| enough(&values(text))))
}

/// Guards against packets that Wireshark reads otherwise, or as malformed.
#[test]
fn wireshark_reads_what_was_said() {
    let python = match installed() {
        Ok(python) => python,
        Err(why) => return println!("SKIPPED: no Python with nasdaq-protocols and itchfeed: {why}"),
    };
    let world = World::new(list);
    let gateway = Gateway::start(&world.place, world.engine.address());
    let (ouch, itch) = (gateway.ouch.port(), gateway.itch.port());
    let capture = match Capture::start(&[ouch, itch]) {
        Ok(capture) => capture,
        Err(why) => return println!("SKIPPED: no tshark: {why}"),
    };
    // It says nothing of when it begins: a reader logs in until one is seen.
    let begun = Instant::now();
    let mut logins = 0;
    let from_readers = format!("tcp.dstport=={itch}");
    while capture.read(&["-Y", &from_readers]).unwrap_or_default().is_empty() {
        if begun.elapsed() > Duration::from_secs(60) {
            return println!("SKIPPED: tshark captures nothing on the loopback: it may not, or has no dumpcap");
        }
        logins += 1;
        read(&python, &gateway, "M", 1, MARKET_BEFORE);
    }
    let (a, b) = day(&python, &gateway, 1, 1, "W");
    let market = read(&python, &gateway, "M", 1, MARKET_BEFORE + MARKET_OF_A_DAY);
    // What traders heard and said: seven requests of one, four of the other.
    let expected = a.len() + b.len() + 7 + 4;
    let orders = dissected(&capture, ouch, "ouch", "ouch.packet_type", |orders| orders.len() >= expected);
    assert_eq!(orders.len(), expected, "messages of OUCH that were dissected: {orders:?}");
    let kind = |message: &str| char::from(u8::from_str_radix(&message[..2], 16).expect("digits"));
    let types: Vec<String> = market.iter().map(|(_, message)| format!("'{}'", kind(message))).collect();
    // After what the first readers read, of which the last may come late too.
    let quotes =
        dissected(&capture, itch, "nasdaq_itch", "nasdaq-itch.message_type", |quotes| quotes.ends_with(&types));
    assert!(quotes.ends_with(&types), "after {logins} logins: {quotes:?}");
    for (port, protocol) in [(ouch, "soupbintcp"), (itch, "nasdaq_itch")] {
        // Of what the gateway says: the client's login requests pad their numbers on the right, which Wireshark does not read.
        let filter =
            format!("tcp.srcport=={port} && {protocol} && (_ws.malformed || _ws.expert.severity >= 0x00800000)");
        let wrong = dissected(&capture, port, &filter, "frame.number", |_| true);
        assert_eq!(wrong, Vec::<String>::new(), "packets that Wireshark cannot read, {protocol}");
    }
    println!(
        "proved: {} messages of OUCH read by Wireshark, {} of ITCH by itchfeed and their types by Wireshark, on {} cores",
        orders.len(),
        market.len(),
        cores()
    );
}
