//! `ringfence journal stat|verify|dump|tail|diff`.

use crate::describe;
use crate::say;
use anyhow::Context as _;
use clap::{Args, Subcommand};
use ringfence_domains::Domains;
use ringfence_engine::replay::{From, Observer, replay};
use ringfence_journal::{Difference, Disk, Reader, chain_records, diff, stat, verify};
use ringfence_kernel::image::Slot;
use ringfence_kernel::{CommandHeader, Sequence};
use serde_json::json;
use std::io::{BufWriter, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Inspect a journal. It may be in use: nothing is changed.
#[derive(Subcommand)]
pub enum Journal {
    /// Say what the directory holds.
    Stat(Dir),
    /// Read everything and check every sum, chain and snapshot.
    Verify(Dir),
    /// Print commands, decoded by their schema.
    Dump(Dump),
    /// Print commands as they come, until interrupted; with a range, from its start.
    Tail(Dump),
    /// Find the first sequence at which two histories part.
    Diff(Diff),
}

/// A directory to inspect.
#[derive(Args)]
pub struct Dir {
    /// The journal's directory.
    dir: PathBuf,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Which commands to print.
#[derive(Args)]
pub struct Dump {
    /// The journal's directory.
    dir: PathBuf,
    /// Print JSON lines.
    #[arg(long)]
    json: bool,
    /// Only commands of this domain, or `system`.
    #[arg(long)]
    domain: Option<String>,
    /// Only messages of this name.
    #[arg(long)]
    template: Option<String>,
    /// Only this session's commands.
    #[arg(long)]
    session: Option<u32>,
    /// Only these sequences: `10..20`, `10..`, `..20`, `10`.
    #[arg(long, value_parser = parse_range)]
    range: Option<Range<u64>>,
}

/// Two histories to compare.
#[derive(Args)]
pub struct Diff {
    /// One journal's directory.
    first: PathBuf,
    /// The other's.
    second: PathBuf,
}

fn parse_range(text: &str) -> Result<Range<u64>, String> {
    let number = |text: &str, open| match text {
        "" => Ok(open),
        text => text.parse().map_err(|_| format!("{text:?} is no sequence")),
    };
    match text.split_once("..") {
        Some((start, end)) => match number(start, 0)?..number(end, u64::MAX)? {
            range if range.is_empty() => Err(format!("{text:?} is empty")),
            range => Ok(range),
        },
        None => number(text, 0).map(|at| at..at + 1),
    }
}

impl Journal {
    /// Runs it.
    ///
    /// # Errors
    /// When it cannot be done; the message says why.
    pub fn run(&self) -> anyhow::Result<()> {
        match self {
            Self::Stat(dir) => print_stat(dir),
            Self::Verify(dir) => print_verify(dir),
            Self::Dump(dump) => dump.run(false),
            Self::Tail(dump) => dump.run(true),
            Self::Diff(diff) => diff.run(),
        }
    }
}

fn print_stat(Dir { dir, json }: &Dir) -> anyhow::Result<()> {
    let stat = stat(&Disk::handle(), dir).with_context(|| format!("reading {}", dir.display()))?;
    let bytes: u64 = stat.segments.iter().map(|segment| segment.bytes).sum();
    let snapshots = stat.snapshots.iter().map(|snapshot| snapshot.sequence.0).collect::<Vec<_>>();
    if *json {
        let object = json!({
            "journal": stat.journal.to_string(),
            "segments": stat.segments.len(),
            "bytes": bytes,
            "oldest": stat.oldest.0,
            "next_sequence": stat.next_sequence.0,
            "witnessed": stat.witnessed.0,
            "snapshots": snapshots,
            "chain_records": stat.chain_records,
        });
        say!("{object}");
        return Ok(());
    }
    say!("journal        {}", stat.journal);
    say!("sequences      {} to {}", stat.oldest, stat.next_sequence);
    say!("durable        {} witnessed in the file", stat.witnessed);
    say!("segments       {}, {bytes} bytes", stat.segments.len());
    say!("ends           in {} ({})", stat.end, stat.stopped_by);
    say!("snapshots      {snapshots:?}");
    say!("chain records  {}", stat.chain_records);
    Ok(())
}

fn print_verify(Dir { dir, json }: &Dir) -> anyhow::Result<()> {
    let found = verify(&Disk::handle(), dir).with_context(|| format!("verifying {}", dir.display()))?;
    if *json {
        let object = json!({
            "journal": found.journal.to_string(),
            "oldest": found.oldest.0,
            "next_sequence": found.next_sequence.0,
            "batches": found.batches,
            "bytes": found.bytes,
            "snapshots": found.snapshots,
            "damaged_snapshots": found.damaged_snapshots.len(),
        });
        say!("{object}");
    } else {
        say!("sound: sequences {} to {} in {} batches", found.oldest, found.next_sequence, found.batches);
        say!("ends in {} ({})", found.end, found.stopped_by);
        say!("snapshots: {} sound, {} damaged", found.snapshots, found.damaged_snapshots.len());
    }
    for (snapshot, error) in &found.damaged_snapshots {
        say!("  {}: {error}", snapshot.path.display());
    }
    if let Some(error) = &found.damaged_chain {
        say!("output chain: {error}; only comparing histories needs it");
    }
    let kept = stat(&Disk::handle(), dir)?;
    if let Some(snapshot) = kept.snapshots.iter().find(|snapshot| snapshot.sequence < kept.oldest) {
        anyhow::bail!("segments are missing between the snapshot at {} and {}", snapshot.sequence, kept.oldest);
    }
    anyhow::ensure!(found.damaged_snapshots.is_empty(), "{} snapshots are damaged", found.damaged_snapshots.len());
    Ok(())
}

/// How often a tail looks for more.
const TAIL_POLL: Duration = Duration::from_millis(50);

impl Dump {
    fn run(&self, tail: bool) -> anyhow::Result<()> {
        let storage = Disk::handle();
        self.check_filters()?;
        let found = stat(&storage, &self.dir).with_context(|| format!("reading {}", self.dir.display()))?;
        // A tail is about what comes; a range asks for what was.
        let all = if tail { found.next_sequence.0..u64::MAX } else { 0..u64::MAX };
        let range = self.range.clone().unwrap_or(all);
        let from = Sequence(range.start.max(found.oldest.0));
        let mut reader =
            if tail { Reader::follow(&storage, &self.dir, from)? } else { Reader::open(&storage, &self.dir, from)? };
        let mut out = BufWriter::new(std::io::stdout().lock());
        loop {
            while let Some(batch) = reader.next_batch()? {
                let sequences = (batch.first_sequence().0..).map(Sequence);
                for (sequence, image) in sequences.zip(batch.images()) {
                    if sequence.0 >= range.end {
                        return closed_pipe_is_fine(out.flush());
                    }
                    if sequence.0 >= range.start && self.wants(image) {
                        let line = if self.json {
                            describe::frame(sequence, image).to_string()
                        } else {
                            describe::line(sequence, image)
                        };
                        if let Err(error) = writeln!(out, "{line}") {
                            return closed_pipe_is_fine(Err(error));
                        }
                    }
                }
            }
            closed_pipe_is_fine(out.flush())?;
            if !tail {
                return Ok(());
            }
            std::thread::sleep(TAIL_POLL);
        }
    }

    /// A filter that can match nothing is a slip of the pen.
    fn check_filters(&self) -> anyhow::Result<()> {
        if let Some(domain) = &self.domain {
            let names = describe::schema_names();
            anyhow::ensure!(names.contains(&domain.as_str()), "no domain {domain:?}; there are {}", names.join(", "));
        }
        if let Some(template) = &self.template {
            let names = describe::template_names();
            anyhow::ensure!(
                names.contains(&template.as_str()),
                "no message {template:?}; there are {}",
                names.join(", ")
            );
        }
        Ok(())
    }

    fn wants(&self, image: &[u8]) -> bool {
        let header = CommandHeader::read(image).expect("a journal holds images");
        self.domain.as_ref().is_none_or(|domain| describe::schema_name(header.message.schema) == domain)
            && self.template.as_ref().is_none_or(|name| describe::template_name(header.message) == name)
            && self.session.is_none_or(|session| header.session.0 == session)
    }
}

fn closed_pipe_is_fine(result: std::io::Result<()>) -> anyhow::Result<()> {
    match result {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}

impl Diff {
    fn run(&self) -> anyhow::Result<()> {
        let storage = Disk::handle();
        let (first, second) = (self.first.display(), self.second.display());
        let difference = diff(&storage, &self.first, &self.second)?;
        let until = match difference {
            Difference::Same { until } => {
                say!("the same commands up to {until}, where both end");
                until
            }
            Difference::FirstEnds { at } => {
                say!("the same commands up to {at}, where {first} ends and {second} goes on");
                at
            }
            Difference::SecondEnds { at } => {
                say!("the same commands up to {at}, where {second} ends and {first} goes on");
                at
            }
            Difference::Parted { at } => {
                say!("the commands part at {at}");
                at
            }
        };
        let mut parted = false;
        for dir in [&self.first, &self.second] {
            match decided_otherwise(dir, until)? {
                None => say!("{}: its outputs were those that this build gives", dir.display()),
                Some((after, at)) => {
                    parted = true;
                    say!("{}: after {after} and by {at} its outputs were others than this build gives", dir.display());
                }
            }
        }
        let same = matches!(difference, Difference::Same { .. });
        anyhow::ensure!(same && !parted, "the histories part");
        Ok(())
    }
}

/// Replays `dir` and compares its recorded output chain with what this build gives: the last record that agrees and
/// the first that does not.
fn decided_otherwise(dir: &Path, until: Sequence) -> anyhow::Result<Option<(Sequence, Sequence)>> {
    struct Compare {
        records: std::iter::Peekable<std::vec::IntoIter<ringfence_journal::ChainRecord>>,
        agreed: Sequence,
        parted: Option<Sequence>,
    }
    impl Observer for Compare {
        fn outputs(&mut self, _: &[Slot]) {}
        fn executed(&mut self, next: Sequence, chain: u64) {
            while let Some(record) = self.records.next_if(|record| record.sequence <= next) {
                if record.sequence == next && record.chain == chain {
                    self.agreed = next;
                } else if record.sequence == next && self.parted.is_none() {
                    self.parted = Some(next);
                }
            }
        }
    }
    let storage = Disk::handle();
    let records = chain_records(&storage, dir)?.into_iter().peekable();
    let mut compare = Compare { records, agreed: Sequence(0), parted: None };
    // A journal whose beginning was retired is replayed from its oldest snapshot on; that is what it can still show.
    let from = if stat(&storage, dir)?.oldest == Sequence(0) { From::Genesis } else { From::Snapshot };
    replay::<Domains>(&storage, dir, from, Some(until), &mut compare)?;
    Ok(compare.parted.map(|at| (compare.agreed, at)))
}
