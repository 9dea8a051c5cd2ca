//! `ringfence bench SUBJECT …`, and `cargo bench -p ringfence-benches -- SUBJECT …`.

use crate::compare::Compare;
use crate::load::{Load, Outcome, jitter, pin, unpin};
use crate::report::{Figure, Report, Series, machine};
use crate::subjects::replay::Cache;
use crate::subjects::traffic::Traffic;
use crate::subjects::wire::Client;
use crate::subjects::{counters, domain, journal, pipeline, replay, ring, wire};
use crate::{noop, passing};
use anyhow::{Context as _, bail, ensure};
use clap::{Args, Subcommand};
use ringfence_domains::Domains;
use ringfence_domains::matching::workload::Size;
use ringfence_domains::workloads::{WORKLOADS, find};
use ringfence_engine::config::Durability;
use ringfence_journal::Level;
use ringfence_kernel::workload::WorkloadKind;
use std::collections::BTreeSet;
use std::io::{ErrorKind, Write as _};
use std::path::PathBuf;
use std::time::SystemTime;

/// Seconds that the idle spinner looks for gaps.
const JITTER_SECONDS: f64 = 2.0;

/// Measure, and compare what was measured. Nothing else may run.
#[derive(Clone, Debug, Args)]
pub struct Bench {
    #[command(subcommand)]
    subject: Subject,
    /// Runs of each figure: five, or ten of each program that is compared.
    #[arg(long, global = true, value_parser = clap::value_parser!(u16).range(1..))]
    runs: Option<u16>,
    /// Write the run's folder here: histograms, plots, report.html, result.json.
    #[arg(long, global = true)]
    out: Option<PathBuf>,
    /// Append a line for each figure to this results file.
    #[arg(long, global = true)]
    keep: Option<PathBuf>,
    /// Divisions in a row added to each decision of the no-op domain, to see whether a comparison finds them.
    #[arg(long, global = true, default_value_t = 0, env = "RINGFENCE_BENCH_BURN")]
    burn: u32,
}

/// What is measured.
#[derive(Clone, Debug, Subcommand)]
enum Subject {
    /// Every subject of the spine, as docs/performance.md has them.
    Spine,
    /// The gaps that an idle spinner sees.
    Jitter,
    /// Rings and three stages, a no-op domain.
    Ring {
        #[command(flatten)]
        loads: Loads,
    },
    /// Appends to the journal at each level, beside what the device asks for.
    Journal,
    /// A domain's core alone.
    Domain {
        /// Its name.
        name: String,
        /// One of its workloads; all when none is named.
        #[arg(long)]
        workload: Option<String>,
        /// The workload's seed.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Commands of a run.
        #[arg(long, default_value_t = 5_000_000, value_parser = clap::value_parser!(u64).range(1..))]
        commands: u64,
        /// Of matching: books in which so many orders stand, one or several numbers as 1000,1000000, instead of workloads.
        #[arg(long, value_delimiter = ',', conflicts_with = "workload", value_parser = clap::value_parser!(u32).range(1..=15_000_000))]
        orders: Vec<u32>,
        /// Over how many instruments these orders are spread, one number or several.
        #[arg(long, value_delimiter = ',', default_value = "1", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
        instruments: Vec<u32>,
        /// How long each command takes as well: nanoseconds at percentiles, beside what reading the clock takes.
        #[arg(long)]
        service_times: bool,
    },
    /// The pipeline in one process, no sockets.
    Pipeline {
        /// What a command survives before it is decided.
        #[arg(long, value_enum, default_value = "cached")]
        level: At,
        /// No journal and no gate: commands pass both stages as they are.
        #[arg(long, conflicts_with = "level")]
        without_journal: bool,
        #[command(flatten)]
        loads: Loads,
    },
    /// What counting costs the thread that counts.
    Counters,
    /// A client process and an engine over loopback TCP, beside a bare echo.
    Wire {
        /// What a command survives before it is answered.
        #[arg(long, value_enum, default_value = "cached")]
        level: At,
        #[command(flatten)]
        loads: Loads,
        #[command(flatten)]
        traffic: Traffic,
    },
    /// Replay, warm and cold, of the no-op domain and of each domain's first workload.
    Replay {
        /// Commands of the journal.
        #[arg(long, default_value_t = 20_000_000, value_parser = clap::value_parser!(u64).range(2..))]
        commands: u64,
    },
    /// A start on a large journal with a snapshot of 250 MB.
    Recovery {
        /// Size of the journal.
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=1_000))]
        gigabytes: u64,
    },
    /// Compare two folders of runs, or two programs run in turns.
    Compare(Compare),
    /// The client process of `wire`.
    #[command(hide = true)]
    Client(Client),
}

impl Subject {
    /// Room that its journals take.
    const fn gigabytes(&self) -> u64 {
        match self {
            Self::Recovery { gigabytes } => *gigabytes + 1,
            Self::Spine => 11,
            Self::Journal | Self::Pipeline { .. } | Self::Wire { .. } | Self::Replay { .. } => 3,
            Self::Jitter | Self::Ring { .. } | Self::Domain { .. } | Self::Counters => 0,
            Self::Compare(_) | Self::Client(_) => 0,
        }
    }
}

/// Makes sure of room for journals before minutes are spent on measuring.
fn room_for(gigabytes: u64) -> anyhow::Result<()> {
    let folder = std::env::temp_dir();
    let files = rustix::fs::statvfs(&folder).with_context(|| format!("cannot use {}", folder.display()))?;
    let free = files.f_bavail * files.f_frsize / 1_000_000_000;
    ensure!(free >= gigabytes, "{} has {free} GB of room, and {gigabytes} are needed", folder.display());
    Ok(())
}

/// A level of durability.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum At {
    /// The process may die.
    Cached,
    /// The power may go.
    Fsync,
}

impl At {
    const fn durability(self) -> Durability {
        match self {
            Self::Cached => Durability::Cached,
            Self::Fsync => Durability::Fsync,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Cached => "cached",
            Self::Fsync => "fsync",
        }
    }
}

/// How commands are sent: at rates, open loop, or with windows, closed loop.
#[derive(Clone, Debug, Default, Args)]
struct Loads {
    /// Open loop: commands a second, one or several as 100000,500000.
    #[arg(long, value_delimiter = ',', value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    rate: Vec<u64>,
    /// Closed loop, for saturation: commands unanswered at once, one or several.
    #[arg(long, value_delimiter = ',', value_parser = clap::value_parser!(u64).range(1..=16_384))]
    window: Vec<u64>,
    /// Seconds of a run at a rate.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
    /// Commands of a run with a window.
    #[arg(long, default_value_t = 5_000_000, value_parser = clap::value_parser!(u64).range(1..))]
    commands: u64,
}

/// Unanswered commands at once that an open loop may have.
const OPEN_WINDOW: u64 = 16_384;

impl Loads {
    /// Each load once, its window and its commands; `rate` when none was asked for.
    fn each(&self, rate: u64) -> Vec<(Load, u64, u64)> {
        let default = (self.rate.is_empty() && self.window.is_empty()).then_some(rate);
        let once = |loads: &[u64]| loads.iter().copied().collect::<BTreeSet<_>>();
        let open = once(&self.rate).into_iter().chain(default);
        let open = open.map(|rate| (Load::Open { rate }, OPEN_WINDOW, rate * self.seconds));
        let closed = once(&self.window).into_iter().map(|window| (Load::Closed, window, self.commands));
        open.chain(closed).collect()
    }
}

impl Bench {
    /// Measures, prints, writes and keeps.
    ///
    /// # Errors
    /// When a subject does not exist, a file cannot be written, or a comparison fails.
    pub fn run(&self) -> anyhow::Result<()> {
        match &self.subject {
            Subject::Compare(_) if self.keep.is_some() => bail!("a comparison keeps no figures: leave --keep out"),
            Subject::Compare(compare) => return compare.run(usize::from(self.runs.unwrap_or(10)), self.out.as_deref()),
            Subject::Client(client) => return Ok(passing::tell(&client.run(), &mut std::io::stdout().lock())?),
            _ => {}
        }
        ensure!(self.burn == 0 || self.keep.is_none(), "what --burn slows down on purpose is not kept");
        match &self.subject {
            Subject::Domain { name, orders, .. } if !orders.is_empty() => {
                ensure!(name == "matching", "only books of matching have a size");
            }
            Subject::Domain { name, workload, .. } => drop(workloads(name, workload.as_deref())?),
            Subject::Wire { traffic: Traffic { domain: Some(domain), workload, .. }, .. } => {
                workloads(domain, workload.as_deref())?;
            }
            Subject::Wire { traffic, .. } => ensure!(traffic.connections == 1, "pings have one connection"),
            _ => {}
        }
        room_for(self.subject.gigabytes())?;
        Report::prepare(self.out.as_deref(), self.keep.as_deref())?;
        noop::burn(self.burn);
        // Before any thread is pinned: the cores that this process may use are counted.
        let machine = machine();
        ensure!(
            machine["cores"].as_u64() >= Some(2) || matches!(self.subject, Subject::Domain { .. } | Subject::Jitter),
            "two cores are needed: a load and what is measured have one each"
        );
        pin(1);
        let mut report = Report {
            call: std::env::args().skip(1).collect::<Vec<_>>().join(" "),
            series: Vec::new(),
            figures: Vec::new(),
            jitter: jitter(JITTER_SECONDS),
            machine,
            at: SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs()),
        };
        pin(0);
        let mut taking = Taking { runs: usize::from(self.runs.unwrap_or(5)), report: &mut report };
        taking.take(&self.subject)?;
        if let Some(folder) = &self.out {
            report.write(folder).with_context(|| format!("cannot write {}", folder.display()))?;
        }
        if let Some(file) = &self.keep {
            report.keep(file).with_context(|| format!("cannot write {}", file.display()))?;
        }
        say(&format!("{}\n{}\n", report.text(), report.machine))
    }
}

/// Says on the standard error how far it has come; nothing is lost when nobody reads it.
pub(crate) fn progress(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Prints; whoever has read enough may close the pipe.
pub(crate) fn say(text: &str) -> anyhow::Result<()> {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error).context("cannot print"),
        _ => Ok(()),
    }
}

/// Measurements on their way into a report.
struct Taking<'a> {
    runs: usize,
    report: &'a mut Report,
}

impl Taking<'_> {
    fn take(&mut self, subject: &Subject) -> anyhow::Result<()> {
        match subject {
            Subject::Spine => self.spine()?,
            Subject::Ring { loads } => self.rings(loads),
            Subject::Journal => self.journal()?,
            Subject::Domain { orders, instruments, seed, commands, .. } if !orders.is_empty() => {
                self.sizes(orders, instruments, *seed, *commands);
            }
            Subject::Domain { name, workload, seed, commands, service_times, .. } => {
                self.domain(name, workload.as_deref(), *seed, *commands)?;
                if *service_times {
                    self.service_times(name, workload.as_deref(), *seed, *commands)?;
                }
            }
            Subject::Pipeline { level, without_journal, loads } => {
                self.pipeline((!without_journal).then_some(*level), loads);
            }
            Subject::Counters => self.counters(),
            Subject::Wire { level, loads, traffic } => self.wire(*level, loads, traffic)?,
            Subject::Replay { commands } => self.replay(*commands),
            Subject::Recovery { gigabytes } => self.recovery(*gigabytes),
            Subject::Jitter | Subject::Compare(_) | Subject::Client(_) => {}
        }
        Ok(())
    }

    fn spine(&mut self) -> anyhow::Result<()> {
        let closed = |window: &[u64]| Loads { window: window.into(), commands: 6_000_000, ..Loads::default() };
        let few = |window, commands| Loads { window: vec![window], commands, ..Loads::default() };
        let open = Loads { rate: vec![1_000_000], seconds: 3, ..Loads::default() };
        self.rings(&open);
        self.journal()?;
        for (name, _) in WORKLOADS {
            self.domain(name, None, 1, 5_000_000)?;
        }
        self.counters();
        self.pipeline(None, &open);
        self.pipeline(Some(At::Cached), &open);
        self.pipeline(Some(At::Cached), &closed(&[8_192]));
        let pings = Traffic::pings();
        self.wire(At::Cached, &few(1, 200_000), &pings)?;
        self.wire(At::Cached, &closed(&[256, 2_048]), &pings)?;
        self.wire(At::Fsync, &few(1, 5_000), &pings)?;
        self.wire(At::Fsync, &few(10_000, 5_000_000), &pings)?;
        self.replay(20_000_000);
        self.recovery(10);
        Ok(())
    }

    fn series(
        &mut self,
        subject: &str,
        layout: &'static str,
        load: Load,
        excludes: &'static str,
        mut run: impl FnMut() -> Outcome,
    ) {
        let runs = (0..self.runs).map(|at| {
            progress(&format!("{subject}, {}: run {} of {}", load.label(), at + 1, self.runs));
            run()
        });
        let runs = runs.collect();
        self.report.series.push(Series { subject: subject.into(), layout, load, runs, excludes });
    }

    fn figure(&mut self, subject: impl Into<String>, unit: &'static str, excludes: &'static str, runs: Vec<f64>) {
        let subject = subject.into();
        progress(&format!("{subject}: measured"));
        self.report.figures.push(Figure { subject, unit, runs, excludes });
    }

    fn rings(&mut self, loads: &Loads) {
        const EXCLUDES: &str = "journal, sessions, sockets";
        let throughput = (0..self.runs).map(|_| ring::throughput(100_000_000) / 1e6).collect();
        self.figure("rings, three stages, no-op, batched", "M/s", EXCLUDES, throughput);
        for (load, window, commands) in loads.each(1_000_000) {
            let subject = format!("rings{}", windowed(load, window));
            let run = || ring::round_trip(load, window, commands);
            self.series(&subject, "a publisher, three stages", load, EXCLUDES, run);
        }
    }

    fn journal(&mut self) -> anyhow::Result<()> {
        const EXCLUDES: &str = "rings, stages, waiting for marks";
        for (level, name, batch, commands) in [
            (Level::Cached, "cached", 1, 5_000_000),
            (Level::Cached, "cached", 64, 10_000_000),
            (Level::Cached, "cached", 256, 10_000_000),
            (Level::Fsync, "fsync", 1, 2_000),
            (Level::Fsync, "fsync", 1_024, 2_000_000),
        ] {
            let runs = (0..self.runs).map(|_| journal::append(level, batch, commands)).collect();
            self.figure(format!("journal {name}, batches of {batch}"), "ns", EXCLUDES, runs);
        }
        self.probe()
    }

    fn probe(&mut self) -> anyhow::Result<()> {
        let dir = tempfile::tempdir()?;
        let probes = (0..self.runs).map(|_| Ok(journal::probe(dir.path(), 2_000)?.value_at_quantile(0.5) as f64));
        let probes = probes.collect::<anyhow::Result<Vec<_>>>()?;
        self.figure("probe: pwrite of 4 KiB and fdatasync, p50", "ns", "everything else", probes);
        Ok(())
    }

    fn domain(&mut self, name: &str, workload: Option<&str>, seed: u64, commands: u64) -> anyhow::Result<()> {
        const EXCLUDES: &str = "sessions, rings, journal, numbering and folding of outputs";
        for kind in workloads(name, workload)? {
            let outcomes =
                (0..self.runs).map(|_| domain::run::<Domains>(name, kind, seed, commands)).collect::<Vec<_>>();
            let rates = outcomes.iter().map(|outcome| outcome.per_second / 1e6).collect();
            let subject = format!("domain {name}, {}", kind.name);
            self.figure(&subject, "M/s", EXCLUDES, rates);
            // The same in every run: the commands are.
            self.figure(format!("{subject}, outputs a command"), "", EXCLUDES, vec![outcomes[0].outputs]);
            self.figure(format!("{subject}, refused"), "%", EXCLUDES, vec![100.0 * outcomes[0].refused]);
        }
        Ok(())
    }

    /// Of each number of orders and of instruments that fit together.
    fn sizes(&mut self, orders: &[u32], instruments: &[u32], seed: u64, commands: u64) {
        const EXCLUDES: &str = "setting the orders up; sessions, rings, journal, numbering and folding of outputs";
        let sizes = orders.iter().flat_map(|orders| instruments.iter().map(|instruments| (*orders, *instruments)));
        for (orders, instruments) in sizes {
            let size = Size { orders, instruments };
            let run = || 1e9 / domain::run_sized::<Domains>(size, seed, commands).per_second;
            let runs = (0..self.runs).map(|_| run()).collect();
            self.figure(format!("domain matching, {orders} orders, {instruments} instruments"), "ns", EXCLUDES, runs);
        }
    }

    fn service_times(&mut self, name: &str, workload: Option<&str>, seed: u64, commands: u64) -> anyhow::Result<()> {
        const EXCLUDES: &str =
            "waiting for a command before; sessions, rings, journal, numbering and folding of outputs";
        const PERCENTILES: [(f64, &str); 5] =
            [(0.5, "p50"), (0.9, "p90"), (0.99, "p99"), (0.999, "p99.9"), (1.0, "worst")];
        for kind in workloads(name, workload)? {
            let times = (0..self.runs).map(|_| domain::service_times::<Domains>(name, kind, seed, commands));
            let times = times.collect::<Vec<_>>();
            for (quantile, label) in PERCENTILES {
                let runs = times.iter().map(|times| times.value_at_quantile(quantile) as f64).collect();
                let subject = format!("domain {name}, {}, service time {label}", kind.name);
                self.figure(subject, "ns", EXCLUDES, runs);
            }
        }
        let jitter = &self.report.jitter;
        let runs = PERCENTILES.map(|(quantile, label)| (label, jitter.value_at_quantile(quantile) as f64));
        for (label, gap) in runs {
            self.figure(format!("gaps of an idle spinner that reads the clock, {label}"), "ns", "", vec![gap]);
        }
        Ok(())
    }

    /// At no level there is no journal.
    fn pipeline(&mut self, level: Option<At>, loads: &Loads) {
        const EXCLUDES: &str = "sockets, frames, logon";
        for (load, window, commands) in loads.each(1_000_000) {
            let subject = format!("pipeline {}{}", level.map_or("without a journal", At::name), windowed(load, window));
            let run = || match level {
                Some(level) => pipeline::split(level.durability(), load, window, commands),
                None => pipeline::without_journal(load, window, commands),
            };
            self.series(&subject, "split, busy-spin", load, EXCLUDES, run);
        }
    }

    fn counters(&mut self) {
        const EXCLUDES: &str = "the first touch of a page";
        let outcomes = (0..self.runs).map(|_| counters::run(10_000_000)).collect::<Vec<_>>();
        let mut figure = |subject: &str, of: fn(&counters::Outcome) -> f64| {
            self.figure(format!("counters, {subject}"), "ns", EXCLUDES, outcomes.iter().map(of).collect());
        };
        figure("adding", |outcome| outcome.add);
        figure("setting", |outcome| outcome.set);
        figure("recording in a histogram", |outcome| outcome.record);
    }

    fn wire(&mut self, level: At, loads: &Loads, traffic: &Traffic) -> anyhow::Result<()> {
        const EXCLUDES: &str = "a network: sockets are loopback";
        for (load, window, commands) in loads.each(100_000) {
            let subject = format!("wire {}{}{}", level.name(), traffic.label(), windowed(load, window));
            let run = || wire::round_trips(level.durability(), load, window as usize, commands, traffic);
            self.series(&subject, "fused, busy-spin", load, EXCLUDES, run);
            let runs = &self.report.series.last().expect("it was just measured").runs;
            let [answered, refused] =
                [|run: &Outcome| run.answered, |run: &Outcome| run.refused].map(|of| runs.iter().map(of).sum::<u64>());
            // Refusals are fast: with them every figure is splendid.
            ensure!(refused * 10 <= answered, "{refused} of {answered} commands were refused: --set-up more of them");
        }
        if traffic.connections > 1 {
            let rates = (0..self.runs).map(|_| wire::echoes(traffic.connections, 500_000) / 1e6).collect();
            let subject = format!("bare echo of 64 bytes on {} connections, one each on its way", traffic.connections);
            self.figure(subject, "M/s", "everything but sockets and a poller on both sides", rates);
        }
        let echoes = (0..self.runs).map(|_| wire::bare_echo(200_000).value_at_quantile(0.5) as f64).collect();
        self.figure("bare spinning echo of 64 bytes, p50", "ns", "everything but two sockets", echoes);
        match level {
            At::Cached => Ok(()),
            At::Fsync => self.probe(),
        }
    }

    fn replay(&mut self, commands: u64) {
        const EXCLUDES: &str = "opening the journal's directory for writing";
        // Reading ahead is another thread's work, and threads start where their parent may run.
        unpin();
        for (cache, name) in [(Cache::Warm, "warm"), (Cache::Cold, "cold")] {
            let runs = replay::noop(commands, self.runs, cache).into_iter().map(|rate| rate / 1e6).collect();
            self.figure(format!("replay {name}, no-op"), "M/s", EXCLUDES, runs);
        }
        for (domain, kinds) in WORKLOADS {
            let kind = kinds[0].name;
            let runs = replay::workload(domain, kind, commands / 2, self.runs, Cache::Warm);
            let runs = runs.into_iter().map(|rate| rate / 1e6).collect();
            self.figure(format!("replay warm, {domain} {kind}"), "M/s", EXCLUDES, runs);
        }
    }

    fn recovery(&mut self, gigabytes: u64) {
        const EXCLUDES: &str = "logon; the journal is in the page cache";
        unpin();
        let runs = replay::recovery(gigabytes * 1_000_000_000, self.runs);
        let subject = format!("recovery of {gigabytes} GB, 250 MB of state, start to first answer");
        self.figure(subject, "s", EXCLUDES, runs.iter().map(|run| run.first_answer).collect());
        self.figure(
            "    reading the tail of 1 M commands alone",
            "s",
            EXCLUDES,
            runs.iter().map(|run| run.tail).collect(),
        );
    }
}

/// The workloads of a domain, or the one that is named.
fn workloads(domain: &str, workload: Option<&str>) -> anyhow::Result<Vec<WorkloadKind>> {
    let (_, kinds) = WORKLOADS.iter().find(|(known, _)| *known == domain).with_context(|| {
        let names = WORKLOADS.iter().map(|(domain, _)| *domain).collect::<Vec<_>>().join(", ");
        format!("there is no domain {domain:?}, but {names}")
    })?;
    let Some(workload) = workload else { return Ok(kinds.to_vec()) };
    let kind = find(domain, workload).with_context(|| {
        let names = kinds.iter().map(|kind| kind.name).collect::<Vec<_>>().join(", ");
        format!("{domain} has no workload {workload:?}, but {names}")
    })?;
    Ok(vec![kind])
}

fn windowed(load: Load, window: u64) -> String {
    if load == Load::Closed { format!(", window {window}") } else { String::new() }
}
