//! Others' clients, installed from the registries, and Wireshark.

use super::Place;
use ringfence::engine_process::EngineProcess;
use ringfence_client::Client;
use rustix::process::{Pid, Signal, kill_process};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Tests that run at once install one after another.
static INSTALLING: Mutex<()> = Mutex::new(());

/// Runs a command to its end; what went wrong, if it did.
pub fn run(command: &mut Command) -> Result<String, String> {
    match command.output() {
        Ok(output) if output.status.success() => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// A folder that stays from one run to the next.
pub fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).expect("a folder");
    folder
}

/// A client of this repository's, of others' libraries.
pub fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(name)
}

/// A Python that has `modules`, for which it installs `packages`.
pub fn python(venv: &str, modules: &str, packages: &[&str]) -> Result<PathBuf, String> {
    let _alone = INSTALLING.lock();
    let venv = folder(venv);
    let python = venv.join("bin/python");
    if run(Command::new(&python).args(["-c", &format!("import {modules}")])).is_err() {
        run(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
        run(Command::new(&python)
            .args(["-m", "pip", "install", "--quiet", "--timeout", "20", "--retries", "1"])
            .args(packages))?;
    }
    Ok(python)
}

/// tshark at work; it is stopped when it is dropped.
pub struct Capture {
    child: Child,
    folder: TempDir,
}

impl Capture {
    /// Captures what goes to these ports and comes from them.
    pub fn start(ports: &[u16]) -> Result<Self, String> {
        run(Command::new("tshark").arg("--version"))?;
        let folder = tempfile::tempdir().expect("a folder");
        let filter = ports.iter().map(|port| format!("tcp port {port}")).collect::<Vec<_>>().join(" or ");
        let mut command = Command::new("tshark");
        command.args(["-q", "-i", "lo", "-f", &filter, "-w"]).arg(Self::file(&folder));
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().map_err(|error| error.to_string())?;
        Ok(Self { child, folder })
    }

    fn file(folder: &TempDir) -> PathBuf {
        folder.path().join("capture.pcap")
    }

    /// What tshark says of the packets so far, asked so.
    pub fn read(&self, arguments: &[&str]) -> Result<String, String> {
        run(Command::new("tshark").arg("-r").arg(Self::file(&self.folder)).args(arguments))
    }

    /// What tshark says, asked so, as soon as it is `enough`, or after a minute. Packets come to the file late, and so the last
    /// of them may stand there in part, which is an error of tshark until the rest has come.
    pub fn read_until(&self, arguments: &[&str], enough: impl Fn(&str) -> bool) -> String {
        let begun = Instant::now();
        loop {
            let text = self.read(arguments);
            let late = begun.elapsed() > Duration::from_secs(60);
            match text {
                Ok(text) if late || enough(&text) => return text,
                Err(error) if late => panic!("tshark: {error}"),
                _ => {}
            }
        }
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        // It has a child of its own that captures, which it ends when it is asked to, and leaves behind when it is killed.
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let _ = self.child.wait();
    }
}

/// What gateways under test stand before.
pub struct World {
    pub place: Place,
    pub engine: EngineProcess,
}

impl World {
    /// An engine with four clients, the first of whom prepares it.
    pub fn new(prepare: impl FnOnce(&mut Client)) -> Self {
        let place = Place::new(4, "");
        let engine = place.engine();
        let mut operator = Client::connect(place.config(1, engine.address())).expect("the engine listens");
        prepare(&mut operator);
        operator.close().expect("goodbye");
        Self { place, engine }
    }
}
