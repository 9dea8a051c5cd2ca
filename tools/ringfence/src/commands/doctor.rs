//! `ringfence doctor`: what the machine gives an engine, and what of it is in effect.

use crate::config::Config;
use crate::doctor::{Finding, Root, Status, Wanted, examine, start};
use crate::say;
use clap::Args;
use ringfence_engine::layout::cores;
use serde_json::json;
use std::path::PathBuf;

/// Say what the machine gives an engine: ENABLED is in effect, SUPPORTED is offered and not in effect, UNSUPPORTED is
/// not offered. Settings come as for `serve`. It fails when `serve` would refuse to start.
#[derive(Args)]
pub struct Doctor {
    /// The configuration file.
    #[arg(long, short, env = "RINGFENCE_CONFIG")]
    config: Option<PathBuf>,
    /// Which thread drives which stages: auto, fused, split, staged.
    #[arg(long)]
    layout: Option<String>,
    /// How a thread waits: backoff, yielding, busy-spin.
    #[arg(long)]
    idle: Option<String>,
    /// A core for each thread, as 2,3.
    #[arg(long, value_delimiter = ',')]
    cores: Option<Vec<usize>>,
    /// The journal's directory.
    #[arg(long)]
    dir: Option<String>,
    /// What a command survives before it is answered: cached, fsync.
    #[arg(long)]
    level: Option<String>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

impl Doctor {
    /// Runs it.
    ///
    /// # Errors
    /// When a start would be refused; the message says why.
    pub fn run(&self) -> anyhow::Result<()> {
        let mut config = Config::load(
            self.config.as_deref(),
            &[
                ("engine.layout", self.layout.clone()),
                ("engine.idle", self.idle.clone()),
                ("journal.directory", self.dir.clone()),
                ("journal.level", self.level.clone()),
            ],
        )?;
        config.engine.cores = self.cores.clone().unwrap_or(config.engine.cores);
        let (root, wanted) = (Root::machine(), Wanted::of(&config, cores()));
        let findings = examine(&root, &wanted);
        let threads = config.engine.threads().map_err(anyhow::Error::from);
        let start = threads.and_then(|_| Ok(start::check(&root, &wanted)?));
        let (warnings, refused) = match start {
            Ok(warnings) => (warnings, None),
            Err(error) => (Vec::new(), Some(error)),
        };
        let warnings = warnings.iter().map(ToString::to_string).collect::<Vec<_>>();
        if self.json {
            let refused = refused.as_ref().map(ToString::to_string);
            say!("{}", json!({ "findings": findings, "warnings": warnings, "refused": refused }));
        } else {
            findings.iter().for_each(print);
            warnings.iter().for_each(|warning| say!("\nwarning: {warning}"));
        }
        refused.map_or(Ok(()), |error| Err(error.context("an engine would not start")))
    }
}

fn print(finding: &Finding) {
    let Finding { name, status, found, advice } = finding;
    say!("{name:<13} {:<12} {found}", status.name());
    if let Some(advice) = advice {
        debug_assert_eq!(*status, Status::Supported, "only what is offered can be put in effect");
        say!("{:<13} {:<12} → {advice}", "", "");
    }
}
