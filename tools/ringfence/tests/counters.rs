//! The counters of a real engine, read by another process: `top`, and this one.

mod support;

use ringfence::counters::{FILE, Life, life};
use ringfence_counters::file::{BYTES, Unit};
use ringfence_counters::{Fault, Identity, Reading, Registrar};
use ringfence_domains::workloads::find;
use ringfence_journal::{Disk, Storage as _};
use serde_json::Value;
use std::io::Read as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use support::{Load, Place, program, send, wait_until};

const QUIET: &str = "[snapshot]\ninterval_seconds = 0\n[counters]\nsample_every = 1\n";
const WRITER: &str = "RINGFENCE_TEST_COUNTERS";

fn top(arguments: &[&str]) -> Output {
    Command::new(program()).arg("top").args(arguments).args(["--interval", "50"]).output().expect("it runs")
}

fn json(dir: &Path) -> Value {
    let output = top(&[dir.to_str().expect("a path of text"), "--once", "--json"]);
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).expect("it is JSON")
}

fn load(place: &Place, client: u32, engine: &ringfence::engine_process::EngineProcess, count: u64) {
    let mut workload = (find("matching", "normal").expect("it exists").new)(u64::from(client), 1);
    let config = place.config(client, engine.address());
    send(config, &mut *workload, count, &Load::default(), |_| Vec::new()).expect("all is answered");
}

/// Guards against counters that are not what the clients saw, and against percentiles of fewer commands than were timed.
#[test]
fn top_shows_what_the_engine_did() {
    let place = Place::new(2, QUIET);
    let engine = place.engine();
    load(&place, 1, &engine, 500);
    load(&place, 2, &engine, 700);
    // Clients do not wait until the engine has seen that they left.
    let mut seen = Value::Null;
    wait_until("both have left, and all is decided", || {
        seen = json(&engine.journal());
        let left = seen["rejects"].as_array().expect("a list").iter();
        let left = left.filter(|reject| reject["name"] == "LoggedOff" || reject["name"] == "Disconnected");
        left.filter_map(|reject| reject["total"].as_u64()).sum::<u64>() == 2 && seen["appended"] == seen["executed"]
    });
    assert_eq!((&seen["life"], &seen["process"]), (&"alive".into(), &engine.id().into()));
    assert_eq!((&seen["commands"]["total"], &seen["replies"]["total"]), (&1200.into(), &1200.into()));
    assert_eq!((&seen["accepted"], &seen["logons_refused"]), (&2.into(), &0.into()));
    assert!(seen["bytes_read"]["total"].as_u64() > Some(1200 * 32), "{seen}");
    let rings = ["/ingress/used", "/egress/used", "/ingress/slots"].map(|at| seen.pointer(at).and_then(Value::as_u64));
    assert_eq!(rings, [Some(0), Some(0), Some(16_384)]);
    // Every command was timed, and the frames of the engine itself: a stage is never done before the one ahead of it. What is
    // written answers commands alone.
    let stage = |name: &str| &seen["percentiles"][name]["all"];
    let executed = seen["executed"].as_u64().expect("a number");
    for name in ["appended", "released", "decided"] {
        // Genesis is appended before there are counters.
        assert_eq!(stage(name)["count"].as_u64(), Some(executed - 1), "{name}: {seen}");
    }
    assert_eq!(stage("written")["count"], 1200, "{seen}");
    for pair in ["appended", "released", "decided"].windows(2) {
        assert!(stage(pair[0])["worst"].as_u64() <= stage(pair[1])["worst"].as_u64(), "{pair:?}: {seen}");
    }

    let dir = engine.journal();
    let output = top(&[dir.to_str().expect("a path of text"), "--once"]);
    let text = String::from_utf8(output.stdout).expect("it is text");
    assert!(text.contains("is alive") && text.contains("commands 1,200   replies 1,200"), "{text}");
    engine.stop().expect("it stops");
}

/// Guards against the numbers of a dead engine that pass for a live one's, and against an engine that starts again over
/// a reader of its file.
#[test]
fn an_engine_that_ended_is_known_as_such() {
    let place = Place::new(1, QUIET);
    let mut engine = place.engine();
    let dir = engine.journal();
    load(&place, 1, &engine, 100);
    engine.kill().expect("it is killed");
    let seen = json(&dir);
    assert_eq!((&seen["life"], &seen["commands"]["total"]), (&"ended".into(), &100.into()));
    assert_eq!(seen["seconds"], Value::Null, "there is nothing to wait for");
    engine.start_again().expect("it starts");
    let seen = json(&dir);
    assert_eq!((&seen["life"], &seen["commands"]["total"]), (&"alive".into(), &0.into()));
    assert_eq!(seen["process"], engine.id());
    engine.stop().expect("it stops");

    // A number that went to another process, and a boot ago: neither is the engine.
    let mut header = Reading::open(&dir.join(FILE)).expect("it is sound").header;
    header.process = std::process::id().into();
    assert_eq!(life(&header), Life::Ended);
    header.boot[0] ^= 1;
    assert_eq!(life(&header), Life::Rebooted);
}

/// Guards against refusals that are counted under another name, or not at all.
#[test]
fn refusals_are_counted_by_name() {
    let place = Place::new(1, QUIET);
    let stranger = Place::new(1, QUIET);
    let engine = place.engine();
    let config = stranger.config(1, engine.address());
    assert!(ringfence_client::Client::connect(config).is_err(), "its key is another");
    let seen = json(&engine.journal());
    let refused = |seen: &Value| {
        let rejects = seen["rejects"].as_array().expect("a list").clone();
        rejects.into_iter().find(|reject| reject["name"] == "LogonRefused").map(|reject| reject["total"].clone())
    };
    assert!(refused(&seen).is_some_and(|total| total.as_u64() >= Some(1)), "{seen}");
    assert_eq!(Some(seen["logons_refused"].clone()), refused(&seen));
    engine.stop().expect("it stops");
}

/// Guards against a `top` that fails without saying why, or dies of a file that it should refuse.
#[test]
fn a_file_that_is_none_is_refused_with_its_place() {
    let place = Place::new(1, QUIET);
    let engine = place.engine();
    let file = engine.journal().join(FILE);
    engine.stop().expect("it stops");
    let refused = |path: &Path| {
        let output = top(&[path.to_str().expect("a path of text"), "--once"]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        String::from_utf8(output.stderr).expect("it is text")
    };
    assert!(refused(place.path()).contains("counters: "), "a directory without counters");
    assert!(refused(&place.path().join("keys.toml")).contains("byte 0: no counters file"));
    let whole = std::fs::read(&file).expect("it is there");
    let mut older = whole.clone();
    older[8] = 0;
    std::fs::write(&file, &older).expect("it is written");
    assert!(refused(&file).contains("byte 8: version 0 of the layout; this build reads 1"));
    std::fs::write(&file, &whole[..5000]).expect("it is written");
    assert!(refused(&file).contains("a counters file has 131072 bytes, this one 5000"));
}

/// Guards against counters that are written though they were not wanted, and a sample that cannot be taken.
#[test]
fn what_is_configured_holds() {
    let place = Place::new(1, "[snapshot]\ninterval_seconds = 0\n[counters]\nenabled = false\n");
    let engine = place.engine();
    assert!(!engine.journal().join(FILE).exists());
    engine.stop().expect("it stops");

    let elsewhere = place.path().join("elsewhere");
    place.configure(&format!("[counters]\nfile = {elsewhere:?}\n"));
    let engine = place.engine();
    assert_eq!(Reading::open(&elsewhere).expect("it is sound").header.process, u64::from(engine.id()));
    assert!(!engine.journal().join(FILE).exists());
    let second = Place::new(1, &format!("[counters]\nfile = {elsewhere:?}\n"));
    assert!(refusal(&second).contains(&format!("is in use by process {}", engine.id())));
    engine.stop().expect("it stops");

    place.configure("[counters]\nsample_every = 48\n");
    assert!(refusal(&place).contains("counters.sample_every is 48, and must be a power of two"));
}

/// Why an engine does not start.
fn refusal(place: &Place) -> String {
    let path = |name: &str| place.path().join(name);
    let mut command = Command::new(program());
    command.arg("serve").arg("--config").arg(path("ringfence.toml")).arg("--keys").arg(path("keys.toml"));
    command.arg("--journal").arg(path("journal")).args(["--listen", "127.0.0.1:0"]).env("RINGFENCE_LOG", "error");
    let output = command.output().expect("it runs");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr).expect("it is text")
}

/// Guards against a value that is read half old and half new, and against a count that goes back.
///
/// The other process stores words of eight equal bytes, so that a torn one is seen whatever its halves are.
#[test]
fn another_process_reads_whole_words() {
    if let Some(path) = std::env::var_os(WRITER) {
        store_for_ever(Path::new(&path));
    }
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join(FILE);
    let child = Command::new(std::env::current_exe().expect("this test has a file"))
        .args(["--exact", "another_process_reads_whole_words", "--nocapture"])
        .env(WRITER, &path)
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut child = Killed(child);
    let stdout = child.0.stdout.as_mut().expect("it was piped");
    let mut said = Vec::new();
    while !said.ends_with(b"storing\n") {
        let mut byte = [0];
        assert!(stdout.read(&mut byte).expect("it says something") == 1, "the writer ended");
        said.push(byte[0]);
    }

    let file = std::fs::File::open(&path).expect("it is there");
    let at = ringfence_counters::file::VALUES_AT as u64;
    let mut page = [0_u8; 4096];
    let (mut distinct, mut last, mut reads) = (0, None, 0);
    // On a busy machine the two take turns: it is the writer's stores that are waited for, not a number of reads.
    let begun = Instant::now();
    while reads < 200_000 || distinct <= 1000 {
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "only {distinct} words were seen: the writer does not store"
        );
        reads += 1;
        file.read_exact_at(&mut page, at).expect("it is as long");
        assert!(page[..8].iter().all(|byte| *byte == page[0]), "a torn word: {:02x?}", &page[..8]);
        distinct += u64::from(last.replace(page[0]) != Some(page[0]));
    }

    let mut before = Reading::open(&path).expect("it is sound");
    for _ in 0..500 {
        let now = Reading::open(&path).expect("it is sound");
        let count = |reading: &Reading| reading.value("count").expect("it is there");
        assert!(count(&now) >= count(&before), "a count goes back");
        let (values, earlier) =
            (now.distribution("values").expect("there"), before.distribution("values").expect("there"));
        assert!(values.total() >= earlier.total(), "a histogram goes back");
        before = now;
    }
    // A file that shrinks under its reader is an error, where a mapping would be the end of the process.
    std::fs::File::options().write(true).open(&path).and_then(|file| file.set_len(100)).expect("it shrinks");
    let error = Reading::open(&path).expect_err("it is no whole file");
    assert!(matches!(error.source, Fault::Length { found: 100, .. }), "{error}");
}

/// A process that is killed with its test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn store_for_ever(path: &Path) -> ! {
    let file = Disk.create(path).expect("a file");
    file.allocate(BYTES as u64).expect("room for it");
    let mut on = Registrar::new(file.map(BYTES, true).expect("it can be mapped").into_words());
    let room = "there is room";
    let mut word = on.gauge("word", Unit::Count).expect(room);
    let mut count = on.counter("count", Unit::Count).expect(room);
    let mut values = on.histogram("values", Unit::Count).expect(room);
    on.finish(&Identity::default());
    // It crosses the middle of the word at once, where halves would come apart.
    count.set(u64::from(u32::MAX) - 1000);
    println!("storing");
    for step in 0_u64.. {
        word.set((step & 0xff) * 0x0101_0101_0101_0101);
        count.add(1);
        values.record(step & 0xffff);
    }
    unreachable!("it is killed before")
}
