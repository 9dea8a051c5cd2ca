//! `ringfence openrtb`: bid requests over HTTP, answered by a running engine.

use crate::commands::{Engine, log};
use crate::say;
use anyhow::Context as _;
use clap::Args;
use ringfence_openrtb::{Config, Server, Session};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Answer OpenRTB 2.6 bid requests over HTTP/1.1, as a client of a running engine, which needs trade, administer and observe.
#[derive(Args)]
pub struct Openrtb {
    /// What it stands for: placements, creatives, currencies, names.
    #[arg(long, default_value = "openrtb.toml")]
    config: PathBuf,
    /// Where to listen for HTTP.
    #[arg(long, default_value = "127.0.0.1:7280")]
    listen: SocketAddr,
    #[command(flatten)]
    engine: Engine,
}

impl Openrtb {
    /// Serves until the engine is lost for good.
    ///
    /// # Errors
    /// When the files or the engine cannot be used.
    pub fn run(&self) -> anyhow::Result<()> {
        log()?;
        let config = Config::read(&self.config).with_context(|| self.config.display().to_string())?;
        let session = Session::start(self.engine.config()?, &config.named()?).context("the engine")?;
        let server = Server::bind(self.listen, config, session)?;
        say!("listening on http://{}", server.address()?);
        Ok(server.run()?)
    }
}
