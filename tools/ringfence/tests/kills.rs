//! SIGKILL of the whole server under load over TCP, at any moment of its life.

mod support;

use ringfence::engine_process::EngineProcess;
use ringfence::proof::{check, check_snapshot};
use ringfence_domains::workloads::find;
use ringfence_kernel::random::Random;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;
use std::time::Duration;
use support::{Load, Place, program, seed, send, size, wait_until};

const CLIENTS: u32 = LOADS.len() as u32;
/// What each client sends: a domain each.
const LOADS: [(&str, &str); 4] =
    [("matching", "crowded"), ("atm", "mixed"), ("auction", "mixed"), ("votes", "conducted")];
/// Answers between two kills at most, unless a snapshot is waited for.
const ANSWERS: u64 = 8_000;
/// The same with snapshots: enough to fill segments, so that there is something to delete.
const ANSWERS_BETWEEN_SNAPSHOTS: u64 = 30_000;

/// Hard links to every segment that ever was: retention may delete, and the whole history can still be replayed.
struct Archive {
    journal: PathBuf,
    links: PathBuf,
}

impl Archive {
    fn new(place: &Place) -> Self {
        let links = place.path().join("archive");
        fs::create_dir(&links).expect("a directory");
        Self { journal: place.journal(), links }
    }

    fn look(&self) {
        for name in segments(&self.journal) {
            let (file, link) = (self.journal.join(&name), self.links.join(&name));
            // A file may go while it is looked at; then it was linked before, as retention keeps the newest.
            let Ok(inode) = fs::metadata(&file).map(|file| file.ino()) else { continue };
            if fs::metadata(&link).is_ok_and(|link| link.ino() == inode) {
                continue;
            }
            // Made anew by recovery under the same number.
            let _ = fs::remove_file(&link);
            let _ = fs::hard_link(&file, &link);
        }
    }
}

fn segments(dir: &Path) -> Vec<String> {
    let names = fs::read_dir(dir)
        .expect("the journal's directory")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.filter(|name| name.ends_with(".segment")).collect()
}

fn newest_snapshot(dir: &Path, end: &str) -> Option<String> {
    let names = fs::read_dir(dir)
        .expect("the journal's directory")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.filter(|name| name.contains(".snapshot") && name.ends_with(end)).max()
}

/// Kills an engine while it recovers, at any moment: before it says that it listens.
fn start_and_kill(place: &Place, engine: &EngineProcess, random: &mut Random) {
    let mut child = Command::new(program())
        .arg("serve")
        .args(["--config".as_ref(), place.path().join("ringfence.toml").as_os_str()])
        .args(["--keys".as_ref(), place.path().join("keys.toml").as_os_str()])
        .args(["--journal".as_ref(), place.journal().as_os_str()])
        .args(["--listen", &engine.address().to_string()])
        .env("RINGFENCE_LOG", "error")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .expect("the engine starts");
    // The moment is the test's own choice: it need not hit anything.
    std::thread::sleep(Duration::from_micros(random.below(60_000)));
    child.kill().expect("it is killed");
    child.wait().expect("it ends");
}

/// Kills the server `kills` times under load; then nothing acknowledged may be missing or there twice.
fn body(kills: u64, level: &str, snapshots: bool, seed: u64) {
    let interval = u64::from(snapshots);
    let place = Place::new(CLIENTS, &format!("[snapshot]\ninterval_seconds = {interval}\nkeep = {}\n", 2 * interval));
    let config = fs::read_to_string(place.path().join("ringfence.toml")).expect("it was written");
    let config = config.replace("[journal]", &format!("[journal]\nlevel = {level:?}"));
    fs::write(place.path().join("ringfence.toml"), config).expect("it is written");

    let mut random = Random::new(seed);
    let mut engine = place.engine();
    let archive = Archive::new(&place);
    let load = Load::default();
    let told = std::thread::scope(|scope| {
        let clients = (1..).zip(LOADS).map(|(client, (domain, kind))| {
            let (config, load) = (place.config(client, engine.address()), &load);
            let mut workload = (find(domain, kind).expect("it exists").new)(seed * 100 + u64::from(client), 1);
            scope.spawn(move || send(config, &mut *workload, u64::MAX, load, |_| Vec::new()))
        });
        let clients = clients.collect::<Vec<_>>();
        let failed = || clients.iter().any(|client| client.is_finished());
        let mut killed = 0;
        while killed < kills {
            let before = newest_snapshot(&place.journal(), "");
            let most = if snapshots { ANSWERS_BETWEEN_SNAPSHOTS } else { ANSWERS };
            let target = load.answered.load(Ordering::Relaxed) + random.below(most);
            // However long this thread is kept from looking, clients send no more than so much, or segments would go unseen.
            let full = target / u64::from(CLIENTS) + most;
            load.allowed.store(full, Ordering::Relaxed);
            // Waiting for a snapshot takes a second or two: meanwhile the load is a trickle.
            let late = snapshots && (killed == 0 || random.below(3) == 0);
            // Kill while one is written, or when it is done and what it made needless is being deleted.
            let end = if random.below(2) == 0 { ".snapshot" } else { ".partial" };
            wait_until("answers, or a snapshot that is begun or done", || {
                archive.look();
                let answered = load.answered.load(Ordering::Relaxed);
                let enough = answered >= target;
                let allowed = if enough { answered / u64::from(CLIENTS) + 50 } else { full };
                load.allowed.store(allowed, Ordering::Relaxed);
                failed() || enough && (!late || newest_snapshot(&place.journal(), end) > before)
            });
            if failed() {
                break;
            }
            load.allowed.store(full, Ordering::Relaxed);
            engine.kill().expect("it is killed");
            killed += 1;
            archive.look();
            while killed < kills && random.below(3) == 0 {
                start_and_kill(&place, &engine, &mut random);
                killed += 1;
            }
            engine.start_again().unwrap_or_else(|error| panic!("seed {seed}, after {killed} kills: {error:#}"));
        }
        load.enough.store(true, Ordering::Relaxed);
        let told = clients.into_iter().map(|client| client.join().expect("a client does not panic"));
        told.collect::<anyhow::Result<Vec<_>>>().unwrap_or_else(|error| panic!("seed {seed}: {error:#}"))
    });
    engine.stop().expect("the engine stops cleanly");
    archive.look();

    let acknowledged = told.iter().flat_map(|told| &told.acknowledged);
    let proof = check(&archive.links, acknowledged).unwrap_or_else(|error| panic!("seed {seed}: {error:#}"));
    let answers: usize = told.iter().map(|told| told.acknowledged.len()).sum();
    assert_eq!((proof.acknowledged, proof.executed), (answers, answers), "seed {seed}: acknowledged, executed");
    check_snapshot(&place.journal(), &proof.machine).unwrap_or_else(|error| panic!("seed {seed}: {error:#}"));
    let repeated: u64 = told.iter().map(|told| told.repeated).sum();
    let (all, left) = (segments(&archive.links).len(), segments(&place.journal()).len());
    assert!(!snapshots || kills < 60 || left < all, "seed {seed}: retention deleted nothing");
    println!(
        "proved: {kills} kills, level {level}, snapshots {snapshots}: {answers} commands, {repeated} repeated, \
         {} starts, {} of {all} segments deleted",
        proof.machine.incarnation(),
        all - left
    );
}

/// Guards against a command that is acknowledged and lost with the process, or executed twice when it is resent.
#[test]
fn prove_kills_cached() {
    body(size(2, 60), "cached", false, seed());
}

/// Guards against an answer that is given before its sync, and against recovery that trips over its own last attempt.
#[test]
fn prove_kills_fsync() {
    body(size(2, 60), "fsync", false, seed() + 1);
}

/// Guards against a snapshot, or its absence, that changes what a start leads to; against retention that deletes what
/// is still needed; and against a snapshot process that outlives its engine.
#[test]
fn prove_kills_with_snapshots() {
    body(size(2, 60), "cached", true, seed() + 2);
    if size(0, 1) == 1 {
        body(20, "fsync", true, seed() + 3);
    }
}
