//! The command as an operator meets it: what it prints, what it refuses and how it ends.

mod support;

use ringfence::engine_process::EngineProcess;
use ringfence::proof::{Acknowledged, check, check_snapshot};
use ringfence_client::Client;
use ringfence_domains::matching::messages::Command as Matching;
use ringfence_domains::workloads::find;
use ringfence_kernel::image::kind;
use ringfence_kernel::messages::Message as _;
use ringfence_kernel::workload::CommandImage;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};
use support::{Load, Place, program, send};

const QUIET: &str = "[snapshot]\ninterval_seconds = 0\n";

/// What `ringfence` with these arguments says and how it ends.
fn ringfence(arguments: &[&str]) -> Output {
    let mut command = Command::new(program());
    command.args(arguments).env("RINGFENCE_LOG", "error").stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().expect("the command starts");
    // A server that should have been refused would serve for ever.
    let (id, (done, ended)) = (Pid::from_child(&child), channel());
    let guard = std::thread::spawn(move || {
        if ended.recv_timeout(Duration::from_secs(60)) == Err(RecvTimeoutError::Timeout) {
            kill_process(id, Signal::KILL).expect("it is killed");
        }
    });
    let output = child.wait_with_output().expect("the command ends");
    drop::<Sender<()>>(done);
    guard.join().expect("the guard ends");
    output
}

fn said(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).expect("it says text")
}

/// The message of a command that must fail; it fails by its exit code and not by a signal.
fn refused(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr.clone()).expect("it says text")
}

fn serve(place: &Place) -> Output {
    let path = |name: &str| place.path().join(name).to_str().expect("a path of text").to_string();
    let (config, keys, journal) = (path("ringfence.toml"), path("keys.toml"), path("journal"));
    ringfence(&["serve", "--config", &config, "--keys", &keys, "--journal", &journal, "--listen", "127.0.0.1:0"])
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of text")
}

/// A journal that `count` commands of two clients have gone into, and whose engine has stopped.
fn used(count: u64, settings: &str) -> Place {
    let place = Place::new(2, settings);
    let engine = place.engine();
    for client in 1..=2 {
        let mut workload = (find("matching", "crowded").expect("it exists").new)(u64::from(client), 1);
        let config = place.config(client, engine.address());
        send(config, &mut *workload, count / 2, &Load::default(), |_| Vec::new()).expect("all is answered");
    }
    engine.stop().expect("the engine stops cleanly");
    place
}

/// Guards against a stop that forgets what it took in, answers what it did not journal, or leaves no snapshot.
#[test]
fn a_stop_drains_snapshots_and_exits_with_0() {
    let place = Place::new(1, QUIET);
    let engine = place.engine();
    let mut client = Client::connect(place.config(1, engine.address())).expect("it connects");
    let mut workload = (find("matching", "crowded").expect("it exists").new)(7, 1);
    let mut image = CommandImage::default();
    let mut acknowledged = Vec::new();
    let mut stopping: Option<std::thread::JoinHandle<()>> = None;
    let mut engine = Some(engine);
    // It keeps the window full until the engine is gone: the stop finds commands in every stage.
    while !stopping.as_ref().is_some_and(std::thread::JoinHandle::is_finished) {
        while client.is_connected() && client.room() > 0 {
            workload.next(&mut image);
            let command = Matching::decode(image.header().message, image.body()).expect("it is a message");
            client.send(command).expect("there is room");
        }
        if let Ok(Some(output)) = client.poll(Duration::from_millis(1))
            && matches!(output.header.kind, kind::REPLY | kind::REJECT)
        {
            acknowledged.push(Acknowledged::of(&output));
        }
        if acknowledged.len() > 3_000
            && let Some(engine) = engine.take()
        {
            stopping = Some(std::thread::spawn(move || engine.stop().expect("it exits with 0")));
        }
    }
    stopping.expect("it was stopped").join().expect("it exits with 0");
    let proof = check(&place.journal(), acknowledged.iter()).expect("what was answered is in the log");
    check_snapshot(&place.journal(), &proof.machine).expect("the snapshot is the last state");
}

/// Guards against two engines that write one journal.
#[test]
fn a_second_engine_is_refused() {
    let place = Place::new(1, QUIET);
    let engine = place.engine();
    let why = refused(&serve(&place));
    assert!(why.contains("in use by another process"), "{why}");
    let mut client = Client::connect(place.config(1, engine.address())).expect("the first one still serves");
    let mut image = CommandImage::default();
    (find("matching", "normal").expect("it exists").new)(1, 1).next(&mut image);
    let command = Matching::decode(image.header().message, image.body()).expect("it is a message");
    client.call(command).expect("the first one still answers");
    engine.stop().expect("the engine stops cleanly");
}

/// Guards against a setting that is misspelt and passed over, and a refusal that does not say what to change.
#[test]
fn what_is_wrong_with_a_configuration_is_named() {
    let wrong = [
        ("[engine]\nring_slots = 1000\n", "engine.ring_slots"),
        ("[engine]\nlayout = \"staged\"\nidle = \"busy-spin\"\ncores = [0]\n", "engine.layout"),
        ("[engine]\nlayuot = \"fused\"\n", "layuot"),
        ("[engine]\nlayout = \"sideways\"\n", "sideways"),
        ("[journal]\nlow_water_mib = 1\n", "journal.low_water_mib"),
        ("[journal]\nsegment_mib = 10\n", "journal.segment_mib"),
        ("[journal]\nlevel = \"sometimes\"\n", "sometimes"),
        ("[genesis]\nreply_window = 0\n", "genesis.reply_window"),
        ("[genesis]\nenabled = [\"poker\"]\n", "poker"),
        ("[genesis.domains.matching]\nodrers = 5\n", "odrers"),
        ("[limits]\nlogic_version = 99\n", "limits.logic_version"),
        ("[limits]\nsessions_max = 0\n", "limits.sessions_max"),
        ("[gateway]\nlisten = \"nowhere\"\n", "listen"),
        ("[jornal]\n", "jornal"),
    ];
    for (settings, named) in wrong {
        let place = Place::new(1, "");
        fs::write(place.path().join("ringfence.toml"), settings).expect("it is written");
        let keys = place.path().join("keys.toml");
        let config = place.path().join("ringfence.toml");
        let journal = place.journal();
        let why = refused(&ringfence(&[
            "serve",
            "--config",
            text(&config),
            "--keys",
            text(&keys),
            "--journal",
            text(&journal),
        ]));
        assert!(why.contains(named), "{settings:?} is refused with {why:?}, which does not name {named:?}");
        assert!(!journal.exists(), "{settings:?}: nothing is made before it is refused");
    }
}

/// Guards against an engine that starts with no keys, or with half of them, and against a key that is printed.
#[test]
fn a_keys_file_that_cannot_be_is_named() {
    let place = Place::new(1, QUIET);
    let keys = place.path().join("keys.toml");
    let good = fs::read_to_string(&keys).expect("it was written");
    let secret = good.lines().find(|line| line.starts_with("key = ")).expect("there is a key")[7..39].to_string();
    let wrong = [
        (good.replace("key_version", "key_verison"), "key_verison"),
        (good.replace("matching", "poker"), "poker"),
        (good.replace("\"trade\"", "\"rule\""), "rule"),
        (good.replace("id = 1", "id = 0"), "id"),
        (format!("{good}{good}"), "client 1"),
    ];
    for (content, named) in wrong {
        fs::write(&keys, content).expect("it is written");
        let why = refused(&serve(&place));
        assert!(why.contains("keys.toml") && why.contains(named), "{why:?} does not name {named:?}");
        assert!(!why.contains(&secret), "a key is printed");
    }
    fs::remove_file(&keys).expect("it is removed");
    let why = refused(&serve(&place));
    assert!(why.contains("keys.toml"), "{why}");
}

fn json(output: &Output) -> Value {
    serde_json::from_str(&said(output)).expect("one JSON object")
}

/// Guards against a replay that gives its answer in another shape than scripts read, or another answer.
#[test]
fn replay_says_where_it_came_to() {
    let place = used(2_000, QUIET);
    let journal = place.journal();
    let dir = text(&journal);
    let whole = json(&ringfence(&["replay", dir, "--json"]));
    let sequence = whole["sequence"].as_u64().expect("a number");
    assert!(sequence > 2_000, "{whole}");
    assert_eq!(whole["state_hash"].as_str().expect("a hash").len(), 16);
    assert!(whole["commands_per_second"].as_u64().expect("a number") > 0);
    assert!(whole["domains"]["matching"].is_string(), "{whole}");

    let tail = json(&ringfence(&["replay", dir, "--json", "--from-snapshot"]));
    assert_eq!((&tail["state_hash"], tail["from"].as_u64()), (&whole["state_hash"], Some(sequence)));
    let again = json(&ringfence(&["replay", dir, "--json", "--until", &sequence.to_string()]));
    assert_eq!(again["state_hash"], whole["state_hash"]);
    let half = json(&ringfence(&["replay", dir, "--json", "--until", "1000"]));
    assert_eq!(half["sequence"], 1000);
    assert_ne!(half["state_hash"], whole["state_hash"]);
    let words = said(&ringfence(&["replay", dir]));
    assert!(words.contains(whole["state_hash"].as_str().expect("a hash")), "{words}");

    let why = refused(&ringfence(&["replay", dir, "--until", &(sequence + 1).to_string()]));
    assert!(why.contains(&format!("ends at {sequence}")), "{why}");
    let why = refused(&ringfence(&["replay", text(place.path())]));
    assert!(why.contains("no journal") && why.contains(text(place.path())), "{why}");
}

/// Guards against an operator who is shown other commands than those asked for.
#[test]
fn the_journal_is_shown_as_asked() {
    let place = used(1_000, QUIET);
    let journal = place.journal();
    let dir = text(&journal);
    let stat = json(&ringfence(&["journal", "stat", dir, "--json"]));
    let next = stat["next_sequence"].as_u64().expect("a number");
    assert_eq!((stat["oldest"].as_u64(), &stat["snapshots"]), (Some(0), &serde_json::json!([next])));
    let verified = json(&ringfence(&["journal", "verify", dir, "--json"]));
    assert_eq!(verified["next_sequence"], stat["next_sequence"]);
    assert!(said(&ringfence(&["journal", "verify", dir])).starts_with("sound"));

    let dump = |filters: &[&str]| {
        let arguments = [&["journal", "dump", dir, "--json"], filters].concat();
        let lines = said(&ringfence(&arguments));
        lines.lines().map(|line| serde_json::from_str(line).expect("JSON lines")).collect::<Vec<Value>>()
    };
    let all = dump(&[]);
    assert_eq!(all.len() as u64, next);
    assert!(all.iter().zip(0..).all(|(line, sequence)| line["sequence"] == sequence), "in order, none left out");
    assert_eq!((&all[0]["template"], &all[1]["template"]), (&"Genesis".into(), &"Started".into()));
    let keep = |field: &str, value: Value| all.iter().filter(|line| line[field] == value).cloned().collect::<Vec<_>>();
    assert_eq!(dump(&["--domain", "matching"]), keep("schema", "matching".into()));
    assert_eq!(dump(&["--domain", "matching"]).len(), 1_000);
    assert_eq!(dump(&["--domain", "system"]).len() as u64, next - 1_000);
    assert_eq!(dump(&["--template", "Cancel"]), keep("template", "Cancel".into()));
    assert!(!dump(&["--template", "Cancel"]).is_empty());
    assert_eq!(dump(&["--session", "2"]), keep("session", 2.into()));
    assert_eq!(dump(&["--range", "10..20"]), all[10..20]);
    assert_eq!(dump(&["--range", "7"]), all[7..8]);
    let last = next as usize - 3;
    assert_eq!(dump(&["--range", &format!("{last}..")]), all[last..]);
    let both = dump(&["--session", "2", "--template", "Cancel", "--range", "..600"]);
    let expected = |line: &&Value| line["session"] == 2 && line["template"] == "Cancel";
    assert_eq!(both, all[..600].iter().filter(expected).cloned().collect::<Vec<_>>());
    assert_eq!(said(&ringfence(&["journal", "dump", dir])).lines().count() as u64, next);
}

/// Guards against two histories that are called the same, or parted at the wrong place.
#[test]
fn where_two_histories_part_is_found() {
    let place = Place::new(1, QUIET);
    let engine = place.engine();
    let mut workload = (find("matching", "crowded").expect("it exists").new)(5, 1);
    let mut go_on = |engine: EngineProcess, count| {
        let config = place.config(1, engine.address());
        send(config, &mut *workload, count, &Load::default(), |_| Vec::new()).expect("all is answered");
        engine.stop().expect("the engine stops cleanly");
    };
    go_on(engine, 300);
    let other = place.path().join("other");
    fs::create_dir(&other).expect("a directory");
    for entry in fs::read_dir(place.journal()).expect("the journal") {
        let entry = entry.expect("an entry");
        fs::copy(entry.path(), other.join(entry.file_name())).expect("it is copied");
    }
    let (first, second) = (place.journal(), other);
    let same = said(&ringfence(&["journal", "diff", text(&first), text(&second)]));
    assert!(same.contains("the same commands") && same.contains("both end"), "{same}");
    let end = json(&ringfence(&["journal", "stat", text(&first), "--json"]))["next_sequence"].as_u64();
    go_on(place.engine(), 300);
    let longer = ringfence(&["journal", "diff", text(&first), text(&second)]);
    assert_eq!(longer.status.code(), Some(1));
    let longer = String::from_utf8_lossy(&longer.stdout).to_string();
    assert!(longer.contains(&format!("up to {}", end.expect("a number"))), "{longer}");
    assert!(longer.contains(&format!("where {} ends", text(&second))), "{longer}");
}

/// Guards against a start over a damaged history, and a refusal that does not say where to look.
#[test]
fn damage_below_a_durable_mark_is_refused_with_its_place() {
    let place = used(2_000, QUIET);
    // What the next start writes bears witness that all before it was durable.
    place.engine().stop().expect("the engine stops cleanly");
    let journal = place.journal();
    let segment = journal.join(format!("{:020}.segment", 0));
    // Without its snapshot the engine has to read all of it.
    for entry in fs::read_dir(&journal).expect("the journal") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|extension| extension == "snapshot") {
            fs::remove_file(path).expect("it is removed");
        }
    }
    let mut bytes = fs::read(&segment).expect("it is read");
    bytes[4096 + 600] ^= 0x10;
    fs::write(&segment, &bytes).expect("it is written");
    for refusal in [
        refused(&serve(&place)),
        refused(&ringfence(&["journal", "verify", text(&journal)])),
        refused(&ringfence(&["replay", text(&journal)])),
    ] {
        assert!(refusal.contains(".segment at byte 4") && refusal.contains("durable history is damaged"), "{refusal}");
    }
    assert!(fs::read(&segment).expect("it is read") == bytes, "nothing was changed");
}

/// Ticks of processor time that process `id` has used, a hundred a second.
fn ticks(id: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).expect("the process lives");
    let fields = stat.rsplit_once(')').expect("the name ends").1.split_whitespace().collect::<Vec<_>>();
    // utime and stime are fields 14 and 15, the name being field 2.
    fields[11].parse::<u64>().expect("utime") + fields[12].parse::<u64>().expect("stime")
}

/// Guards against an idle engine that keeps a core busy. Not a matter of timing: processor time is counted, which
/// others' load adds next to nothing to, and one quiet second among several is enough.
#[test]
fn an_idle_engine_uses_less_than_2_percent_of_a_core() {
    let place = Place::new(1, "");
    let engine = place.engine();
    let mut client = Client::connect(place.config(1, engine.address())).expect("it connects");
    let mut least = f64::MAX;
    for _ in 0..5 {
        let (begun, before) = (Instant::now(), ticks(engine.id()));
        // The client is idle as well: its heartbeats go on.
        while begun.elapsed() < Duration::from_secs(2) {
            client.poll(Duration::from_millis(200)).expect("the connection lasts");
        }
        let used = (ticks(engine.id()) - before) as f64 / 100.0 / begun.elapsed().as_secs_f64();
        least = least.min(used);
        if least < 0.02 {
            break;
        }
    }
    println!("proved: an idle engine uses {:.1} % of a core", least * 100.0);
    assert!(least < 0.02, "an idle engine uses {:.1} % of a core", least * 100.0);
    engine.stop().expect("the engine stops cleanly");
}

/// Guards against a comparison that cannot start, counts the runs of one side only, or takes folders for programs.
#[test]
fn programs_are_compared_in_turns() {
    let words = ["--", "domain", "matching", "--workload", "normal", "--commands", "1000"];
    let compare = |a: &str, runs: &str, words: &[&str]| {
        ringfence(&[&["bench", "compare", a, text(program()), "--runs", runs], words].concat())
    };
    let table = said(&compare(text(program()), "1", &words));
    assert!(table.contains("domain matching, normal") && table.contains("(1 and 1 runs)"), "{table}");
    assert!(refused(&compare(text(program()), "1", &[])).contains("what the programs measure"));
    assert!(refused(&compare(".", "1", &words)).contains("two folders, or two programs"));
    assert!(refused(&compare(text(program()), "1", &["--", "domain", "nothing"])).contains("no domain"));
}
