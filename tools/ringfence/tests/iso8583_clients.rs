//! The gateway of ISO 8583 before others' clients: PyPI's `pyiso8583` and `psec`, in ASCII and in binary; npm's `iso_8583`,
//! with bits as they are; and Wireshark's dissector, which reads off the wire what went over it.

mod support;

use ringfence_engine::layout::cores;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use support::clients::{Capture, World, folder, python, run, script};
use support::iso8583::{Gateway, MAC_KEY, PAN, PIN_KEY, Terminal, open_bank, today};

/// A folder with npm's client.
fn node() -> Result<PathBuf, String> {
    let folder = folder("clients-node");
    run(Command::new("node").arg("--version"))?;
    if !folder.join("node_modules/iso_8583/package.json").is_file() {
        let bounds = ["--fetch-timeout=20000", "--fetch-retries=1"];
        let install = ["install", "--silent", "--no-fund", "--no-audit", "iso_8583@2.6.7"];
        run(Command::new("npm").args(install).args(bounds).current_dir(&folder))?;
    }
    Ok(folder)
}

/// A bank whose card is used at the gateways under test.
fn bank() -> World {
    World::new(|operator| open_bank(operator, 5))
}

fn gateway(world: &World, client: u32, settings: &str) -> Gateway {
    Gateway::start(&world.place, world.engine.address(), client, settings)
}

/// A day of the Python client; what went over the line.
fn python_day(python: &Path, gateway: &Gateway, layout: &str, framing: &str, terminal: u32) -> String {
    let hex = base16ct::upper::encode_string;
    let mut command = Command::new(python);
    command.arg(script("terminal.py")).args([&gateway.address.port().to_string(), layout, framing]);
    command.args([&hex(&PIN_KEY), &hex(&MAC_KEY), PAN, &format!("ATM{terminal:05}"), &today().1, "500000"]);
    run(&mut command).unwrap_or_else(|error| panic!("the client of pyiso8583, {layout}: {error}"))
}

/// Guards against messages, PIN blocks and codes that only our own clients understand.
#[test]
fn clients_of_python_are_served() {
    let python = match python("clients-venv", "psec, iso8583", &["psec==1.3.0", "pyiso8583==4.0.1"]) {
        Ok(python) => python,
        Err(why) => return println!("SKIPPED: no Python with psec and pyiso8583: {why}"),
    };
    let world = bank();
    let ascii = gateway(&world, 2, "");
    println!("{}", python_day(&python, &ascii, "ascii", "two-bytes", 1));
    let binary = gateway(&world, 3, "layout = \"binary\"\nframing = \"four-bytes\"");
    println!("{}", python_day(&python, &binary, "binary", "four-bytes", 2));
}

/// Guards against a layout by configuration that another library does not understand.
#[test]
fn a_client_of_node_is_served() {
    let modules = match node() {
        Ok(modules) => modules,
        Err(why) => return println!("SKIPPED: no Node with iso_8583: {why}"),
    };
    let world = bank();
    let encodings = "mti = 'ascii'\\nbitmap = 'binary'\\nlengths = 'ascii'\\nnumbers = 'ascii'\\nbinaries = 'binary'";
    let gateway = gateway(&world, 4, &format!("mac = \"optional\"\nfields = \"[encodings]\\n{encodings}\""));
    let terminal = Terminal::new(gateway.address, 3);
    let hex = base16ct::upper::encode_string;
    let mut command = Command::new("node");
    command.arg(script("terminal.js")).arg(modules).arg(gateway.address.port().to_string());
    command.args([PAN, &terminal.name, &today().1, "200"]);
    command.args([hex(&terminal.block("1234")), hex(&terminal.block("4321"))]);
    println!("{}", run(&mut command).unwrap_or_else(|error| panic!("the client of iso_8583: {error}")));
}

/// Guards against messages that Wireshark reads otherwise.
#[test]
fn wireshark_reads_what_was_said() {
    let python = match python("clients-venv", "psec, iso8583", &["psec==1.3.0", "pyiso8583==4.0.1"]) {
        Ok(python) => python,
        Err(why) => return println!("SKIPPED: no Python with psec and pyiso8583: {why}"),
    };
    let world = bank();
    let gateway = gateway(&world, 2, "");
    let port = gateway.address.port();
    let capture = match Capture::start(&[port]) {
        Ok(capture) => capture,
        Err(why) => return println!("SKIPPED: no tshark: {why}"),
    };
    // Of each message: type, trace number, response code, and whether it is malformed.
    let (decode, order) = (format!("tcp.port=={port},iso8583"), "iso8583.len_endian:Big endian");
    let fields = ["-e", "iso8583.mti", "-e", "iso8583.bit11", "-e", "iso8583.bit39", "-e", "_ws.malformed"];
    let asked = [&["-d", &decode, "-o", order, "-Y", "iso8583", "-T", "fields"], &fields[..]].concat();
    // It says nothing of when it begins: an echo is said until one is seen.
    let (begun, mut terminal) = (Instant::now(), Terminal::new(gateway.address, 5));
    let mut echoes = 0;
    while capture.read(&asked).unwrap_or_default().is_empty() {
        if begun.elapsed() > Duration::from_secs(20) {
            return println!("SKIPPED: tshark captures nothing on the loopback: it may not, or has no dumpcap");
        }
        echoes += 1;
        let mut echo = terminal.message(b"0800", echoes);
        echo.set(70, b"301");
        terminal.ask(&echo);
    }
    let said = python_day(&python, &gateway, "ascii", "two-bytes", 4);
    let said: Vec<Vec<&str>> = said.lines().map(|line| line.split(' ').collect()).collect();
    let of_day = |text: &str| -> Vec<Vec<String>> {
        let lines = text.lines().map(|line| line.split('\t').map(str::to_owned).collect::<Vec<_>>());
        // The day's trace numbers begin at 500,000; those of the echoes do not come so far.
        lines.filter(|line| line.get(1).is_some_and(|trace| &trace[..] >= "500000")).collect()
    };
    let seen = of_day(&capture.read_until(&asked, |text| of_day(text).len() >= said.len()));
    assert_eq!(seen.len(), said.len(), "messages that were dissected: {seen:?}");
    for (seen, said) in seen.iter().zip(&said) {
        let code = if said[2] == "-" { "" } else { said[2] };
        assert_eq!((&seen[0][..], &seen[1][..], &seen[2][..]), (said[0], said[1], code));
        assert!(seen.get(3).is_none_or(String::is_empty), "malformed: {seen:?}");
    }
    println!("proved: {} messages read by Wireshark, on {} cores", seen.len(), cores());
}
