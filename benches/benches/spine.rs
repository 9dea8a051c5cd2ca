//! `cargo bench -p ringfence-benches -- [SUBJECT …] [--runs N] [--keep FILE]`.

use clap::Parser;
use ringfence_benches::load::{histogram, jitter, pin};
use ringfence_benches::report::{Figure, machine, percentiles};
use ringfence_benches::subjects::{domain, pipeline, replay, ring, wire};
use ringfence_engine::config::Durability::{Cached, Fsync};
use std::path::PathBuf;

/// Measures the spine. Nothing else may run.
#[derive(Parser)]
struct Cli {
    /// What to measure: jitter, ring, domain, pipeline, wire, replay; all when none is named.
    subjects: Vec<String>,
    /// Runs of each figure.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Append the figures to this file.
    #[arg(long)]
    keep: Option<PathBuf>,
    /// Passed by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> std::io::Result<()> {
    let cli = Cli::parse();
    let wanted = |subject: &str| cli.subjects.is_empty() || cli.subjects.iter().any(|name| name == subject);
    // Before any thread is pinned: the cores that this process may use are counted.
    let machine = machine();
    let mut figures = Vec::new();
    if wanted("jitter") {
        pin(1);
        println!("jitter of an idle spinner: {}", percentiles(&jitter(2.0)));
    }
    if wanted("ring") {
        rings(cli.runs, &mut figures);
    }
    if wanted("domain") {
        domains(cli.runs, &mut figures);
    }
    if wanted("pipeline") {
        pipelines(cli.runs, &mut figures);
    }
    if wanted("wire") {
        wires(cli.runs, &mut figures);
    }
    if wanted("replay") {
        replays(cli.runs, &mut figures);
    }
    println!("\n{machine}");
    for figure in &figures {
        figure.print();
        if let Some(file) = &cli.keep {
            figure.keep(file, &machine)?;
        }
    }
    Ok(())
}

fn figure(figures: &mut Vec<Figure>, subject: &str, unit: &'static str, runs: Vec<f64>) {
    figures.push(Figure { subject: subject.into(), unit, runs, beside: Vec::new() });
}

fn latency(
    figures: &mut Vec<Figure>,
    subject: &str,
    runs: usize,
    mut run: impl FnMut() -> hdrhistogram::Histogram<u64>,
) {
    let mut all = histogram();
    let (mut p50, mut p90) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        let latencies = run();
        p50.push(latencies.value_at_quantile(0.5) as f64);
        p90.push(latencies.value_at_quantile(0.9) as f64);
        all.add(&latencies).expect("the bounds are the same");
    }
    println!("{subject}: {}", percentiles(&all));
    figure(figures, &format!("{subject}, p50"), "ns", p50);
    figure(figures, &format!("{subject}, p90"), "ns", p90);
}

fn rings(runs: usize, figures: &mut Vec<Figure>) {
    let throughput = (0..runs).map(|_| ring::throughput(100_000_000) / 1e6).collect();
    figure(figures, "rings, three stages, no-op, batched", "M/s", throughput);
    latency(figures, "rings, round trip at 1 M/s", runs, || ring::round_trip(1_000_000, 3_000_000));
}

fn domains(runs: usize, figures: &mut Vec<Figure>) {
    let known = [("matching", "normal"), ("matching", "static"), ("votes", "poll"), ("votes", "ranked")];
    for (name, workload) in known {
        let outcomes = (0..runs).map(|_| domain::run(name, workload, 1, 5_000_000)).collect::<Vec<_>>();
        let rates = outcomes.iter().map(|outcome| outcome.per_second / 1e6).collect();
        let beside = vec![("outputs a command", outcomes[0].outputs)];
        figures.push(Figure { subject: format!("domain {name}, {workload}"), unit: "M/s", runs: rates, beside });
    }
}

fn pipelines(runs: usize, figures: &mut Vec<Figure>) {
    latency(figures, "pipeline split cached, round trip at 1 M/s", runs, || {
        pipeline::split(Cached, 1_000_000, 4096, 3_000_000).latencies
    });
    let throughput = (0..runs).map(|_| pipeline::split(Cached, 0, 8192, 6_000_000).per_second / 1e6).collect();
    figure(figures, "pipeline split cached, saturated", "M/s", throughput);
}

fn wires(runs: usize, figures: &mut Vec<Figure>) {
    latency(figures, "bare spinning echo", runs, || wire::bare_echo(200_000));
    latency(figures, "wire fused cached, window 1", runs, || wire::closed_loop(Cached, 1, 200_000).latencies);
    for (level, name, window, commands) in [
        (Cached, "wire fused cached, window 256", 256, 6_000_000),
        (Cached, "wire fused cached, window 2048", 2048, 6_000_000),
        (Fsync, "wire fused fsync, window 10000", 10_000, 5_000_000),
    ] {
        let rates = (0..runs).map(|_| wire::closed_loop(level, window, commands).per_second / 1e6).collect();
        figure(figures, name, "M/s", rates);
    }
    latency(figures, "wire fused fsync, window 1", runs, || wire::closed_loop(Fsync, 1, 5_000).latencies);
}

fn replays(runs: usize, figures: &mut Vec<Figure>) {
    let noop = replay::noop(20_000_000, runs + 1).into_iter().skip(1).map(|rate| rate / 1e6).collect();
    figure(figures, "replay warm, no-op", "M/s", noop);
    let matching = replay::matching(10_000_000, runs + 1).into_iter().skip(1).map(|rate| rate / 1e6).collect();
    figure(figures, "replay warm, matching normal", "M/s", matching);
}
