//! An engine as a child process, to be killed and started again.

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// One directory with keys, configuration and journal, and the engine that runs on it.
#[derive(Debug)]
pub struct EngineProcess {
    program: PathBuf,
    dir: PathBuf,
    child: Child,
    address: SocketAddr,
}

/// A client's number, key and roles, for a keys file.
pub type KeyLine<'a> = (u32, [u8; 32], &'a [&'a str]);

/// Writes a keys file, readable by its owner alone.
///
/// # Errors
/// When it cannot be written.
pub fn write_keys(file: &Path, keys: &[KeyLine<'_>]) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let mut text = String::new();
    for (client, key, roles) in keys {
        let key = key.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        text += &format!(
            "[[client]]\nid = {client}\nkey = \"{key}\"\nkey_version = 1\n\
             roles = {{ matching = {roles:?}, atm = {roles:?}, auction = {roles:?}, votes = {roles:?} }}\n\n"
        );
    }
    std::fs::write(file, text)?;
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600))?;
    Ok(())
}

/// A random key.
#[must_use]
pub fn random_key() -> [u8; 32] {
    let mut key = [0; 32];
    getrandom::fill(&mut key).expect("the system has randomness");
    key
}

impl EngineProcess {
    /// Starts `program serve` on `dir`, which holds `ringfence.toml` and `keys.toml`.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn start(program: &Path, dir: &Path) -> anyhow::Result<Self> {
        let (child, address) = spawn(program, dir, "127.0.0.1:0".parse().expect("an address"))?;
        Ok(Self { program: program.into(), dir: dir.into(), child, address })
    }

    /// Starts it again, at the same address.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn start_again(&mut self) -> anyhow::Result<()> {
        (self.child, self.address) = spawn(&self.program, &self.dir, self.address)?;
        Ok(())
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its journal.
    #[must_use]
    pub fn journal(&self) -> PathBuf {
        self.dir.join("journal")
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills it with SIGKILL, and waits until it is gone.
    ///
    /// # Errors
    /// When it cannot be killed.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill().context("killing the engine")?;
        self.child.wait().context("waiting for the killed engine")?;
        Ok(())
    }

    /// Asks it to stop with SIGTERM, and waits for its exit.
    ///
    /// # Errors
    /// When it exits with anything but 0.
    pub fn stop(mut self) -> anyhow::Result<()> {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::TERM).context("stopping the engine")?;
        let status = self.child.wait().context("waiting for the engine")?;
        anyhow::ensure!(status.success(), "the engine exited with {status}");
        Ok(())
    }
}

impl Drop for EngineProcess {
    fn drop(&mut self) {
        // It may have stopped already; nothing is to be done about a failure here.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(program: &Path, dir: &Path, listen: SocketAddr) -> anyhow::Result<(Child, SocketAddr)> {
    let mut child = Command::new(program)
        .arg("serve")
        .args(["--config".as_ref(), dir.join("ringfence.toml").as_os_str()])
        .args(["--keys".as_ref(), dir.join("keys.toml").as_os_str()])
        .args(["--journal".as_ref(), dir.join("journal").as_os_str()])
        .args(["--listen", &listen.to_string()])
        .env("RINGFENCE_LOG", std::env::var("RINGFENCE_LOG").unwrap_or_else(|_| "error".into()))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("starting {}", program.display()))?;
    let mut lines = BufReader::new(child.stdout.take().expect("it was piped")).lines();
    let line = lines.next().transpose()?.with_context(|| format!("the engine on {} did not start", dir.display()));
    let address = line.and_then(|line| {
        let address = line.strip_prefix("ringfence listens on ").context("the engine said something else")?;
        Ok(address.parse()?)
    });
    match address {
        Ok(address) => Ok((child, address)),
        Err(error) => {
            let _ = child.kill();
            let _ = child.wait();
            Err(error)
        }
    }
}
