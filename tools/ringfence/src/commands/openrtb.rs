//! `ringfence openrtb`: bid requests over HTTP, answered by a running engine.

use crate::say;
use anyhow::Context as _;
use clap::Args;
use ringfence_domains::Domains;
use ringfence_gateway::Keys;
use ringfence_kernel::{ClientId, Registry as _};
use ringfence_openrtb::{Config, Engine, Server};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Answer OpenRTB 2.6 bid requests over HTTP/1.1, as a client of a running engine.
#[derive(Args)]
pub struct Openrtb {
    /// What it stands for: placements, creatives, currencies, names.
    #[arg(long, default_value = "openrtb.toml")]
    config: PathBuf,
    /// Where to listen for HTTP.
    #[arg(long, default_value = "127.0.0.1:7280")]
    listen: SocketAddr,
    /// Where the engine listens.
    #[arg(long, default_value = "127.0.0.1:7201")]
    address: SocketAddr,
    /// Which client of the keys file to be; it needs trade, administer and observe.
    #[arg(long, default_value_t = 1)]
    client: u32,
    /// The engine's keys file.
    #[arg(long, default_value = "ringfence.keys.toml")]
    keys: PathBuf,
}

impl Openrtb {
    /// Serves until the engine is lost for good.
    ///
    /// # Errors
    /// When the files or the engine cannot be used.
    pub fn run(&self) -> anyhow::Result<()> {
        let config = Config::read(&self.config).with_context(|| self.config.display().to_string())?;
        let domains = Domains::DOMAINS.iter().map(|info| (info.name, info.id)).collect::<Vec<_>>();
        let keys = Keys::read(&self.keys, &domains)?;
        let client = ClientId(self.client);
        let key = keys.key(client).with_context(|| format!("the keys file names no client {client}"))?;
        let engine = ringfence_client::Config::new(self.address, client, key);
        let (engine, session) = Engine::start(engine, &config.named()?).context("the engine")?;
        let server = Server::bind(self.listen, config, engine)?;
        say!("listening on http://{}", server.address()?);
        std::thread::Builder::new().name("openrtb-http".into()).spawn(move || server.run())?;
        session.join().map_err(|_| anyhow::anyhow!("the session ended"))?.context("the engine")
    }
}
