//! `ringfence replay`.

use crate::progress::Progress;
use crate::say;
use anyhow::Context as _;
use clap::Args;
use ringfence_domains::Domains;
use ringfence_domains::auction::Explained;
use ringfence_engine::Machine;
use ringfence_engine::replay::{Blind, From, advance, replay};
use ringfence_journal::Disk;
use ringfence_kernel::Sequence;
use serde_json::json;
use std::path::PathBuf;
use std::time::Instant;

/// Replay a journal and report the state it leads to. Takes no configuration: the log is complete. When retention has
/// deleted its beginning, the oldest snapshot stands in for that.
#[derive(Args)]
pub struct Replay {
    /// The journal's directory. It may be in use.
    dir: PathBuf,
    /// Stop after this many commands.
    #[arg(long, value_name = "SEQ", value_parser = clap::value_parser!(u64).range(1..))]
    until: Option<u64>,
    /// Start from the newest snapshot rather than from the first command.
    #[arg(long)]
    from_snapshot: bool,
    /// Say of the auction at this place in the log what became of every line item and every bid, in order of rank. A win's
    /// place is its number divided by 8.
    #[arg(long, value_name = "SEQ", conflicts_with = "until")]
    explain: Option<u64>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

impl Replay {
    /// Runs it.
    ///
    /// # Errors
    /// When it cannot be done; the message says why.
    pub fn run(&self) -> anyhow::Result<()> {
        let from = if self.from_snapshot { From::Snapshot } else { From::Genesis };
        // What an auction leaves behind is not in a snapshot: one that begins after it does not explain it.
        let until = self.explain.or(self.until).map(Sequence);
        let storage = Disk::handle();
        let begun = Instant::now();
        let replayed = if self.json {
            replay::<Domains>(&storage, &self.dir, from, until, &mut Blind)
        } else {
            let mut progress = Progress::new("replaying", until);
            let replayed = replay(&storage, &self.dir, from, until, &mut progress);
            progress.finish();
            replayed
        }
        .with_context(|| format!("replaying {}", self.dir.display()))?;
        if let Some(auction) = self.explain {
            let end = Some(Sequence(auction.saturating_add(1)));
            let held = advance(&storage, &self.dir, Some(replayed.machine), end, &mut Blind)
                .with_context(|| format!("replaying {}", self.dir.display()))?;
            return explain(&held, Sequence(auction), self.json);
        }
        let seconds = begun.elapsed().as_secs_f64();
        let commands = replayed.machine.sequence().0 - replayed.from.0;
        self.report(&replayed.machine, replayed.from, commands, seconds);
        Ok(())
    }

    fn report(&self, machine: &Machine<Domains>, from: Sequence, commands: u64, seconds: f64) {
        let hash = format!("{:016x}", machine.state_hash());
        let rate = commands as f64 / seconds.max(1e-9);
        let domains = machine.domain_hashes().map(|(name, hash)| (name, format!("{hash:016x}"))).collect::<Vec<_>>();
        if self.json {
            let domains: serde_json::Map<_, _> = domains.into_iter().map(|(n, h)| (n.to_string(), h.into())).collect();
            let object = json!({
                "sequence": machine.sequence().0,
                "state_hash": hash,
                "commands_per_second": rate.round() as u64,
                "from": from.0,
                "commands": commands,
                "seconds": seconds,
                "output_chain": format!("{:016x}", machine.chain()),
                "domains": domains,
                "clients": machine.sessions().clients().len(),
                "sessions_open": machine.sessions().open(),
                "incarnation": machine.incarnation(),
                "logic": machine.logic(),
            });
            say!("{object}");
            return;
        }
        say!("sequence      {}", machine.sequence());
        say!("state hash    {hash}");
        for (name, hash) in domains {
            say!("  {name:<11} {hash}");
        }
        say!("output chain  {:016x}", machine.chain());
        say!("clients       {}, {} sessions open", machine.sessions().clients().len(), machine.sessions().open());
        say!("starts        {}, logic version {}", machine.incarnation(), machine.logic());
        say!("replayed      {commands} commands from {from} in {seconds:.3} s, {:.2} M/s", rate / 1e6);
    }
}

/// Says what became of everybody in an auction.
fn explain(machine: &Machine<Domains>, auction: Sequence, json: bool) -> anyhow::Result<()> {
    let explained = machine.domains().auction().and_then(|domain| domain.explain(auction));
    let explained = explained.with_context(|| format!("no auction was held at {} in the log", auction.0))?;
    if json {
        let all = explained.iter().map(|one| {
            let Explained { item, bidder, priority, score, fate } = one;
            json!({ "item": item.0, "bidder": bidder, "priority": priority, "score": score, "fate": fate.to_string() })
        });
        say!("{}", json!({ "auction": auction.0, "ranked": all.collect::<Vec<_>>() }));
        return Ok(());
    }
    say!("auction {}: {} line items and bids", auction.0, explained.len());
    for Explained { item, bidder, priority, score, fate } in &explained {
        let who = if item.0 == 0 { format!("bidder {bidder}") } else { format!("item {item}") };
        say!("{who:<14} priority {priority:<2} score {score:<22} {fate}");
    }
    Ok(())
}
