//! What was measured: on the screen, as a folder, and as lines of a results file.

use crate::files::{interval_log, merged, percentile_distribution};
use crate::load::{Load, Outcome};
use crate::plot;
use anyhow::{Context as _, ensure};
use hdrhistogram::Histogram;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::Path;

/// The quantiles of every table, and what their columns are called.
pub const QUANTILES: [(f64, &str); 6] =
    [(0.5, "50"), (0.9, "90"), (0.95, "95"), (0.99, "99"), (0.999, "99.9"), (0.9999, "99.99")];

/// One rate, duration or size, measured several times.
#[derive(Debug)]
pub struct Figure {
    /// What was measured.
    pub subject: String,
    /// Its unit.
    pub unit: &'static str,
    /// What each run gave.
    pub runs: Vec<f64>,
    /// What the figure leaves out.
    pub excludes: &'static str,
}

/// Round trips under one load, measured several times.
#[derive(Debug)]
pub struct Series {
    /// What was measured.
    pub subject: String,
    /// Which thread drove which stages.
    pub layout: &'static str,
    /// How commands were sent.
    pub load: Load,
    /// What each run gave.
    pub runs: Vec<Outcome>,
    /// What the figure leaves out.
    pub excludes: &'static str,
}

/// All that one call measured.
#[derive(Debug)]
pub struct Report {
    /// The words of the call.
    pub call: String,
    /// Round trips.
    pub series: Vec<Series>,
    /// All else.
    pub figures: Vec<Figure>,
    /// The gaps that an idle spinner saw on the core of the engine, before the runs.
    pub jitter: Histogram<u64>,
    /// What it was seen on.
    pub machine: Value,
    /// When, in seconds since 1970.
    pub at: u64,
}

/// The middle value, or the mean of the middle two.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn median(runs: &[f64]) -> f64 {
    let mut sorted = runs.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { (sorted[middle - 1] + sorted[middle]) / 2.0 }
}

impl Series {
    /// Its name in tables.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}, {}", self.subject, self.load.label())
    }

    /// Its name as part of a file's.
    fn slug(&self) -> String {
        let name = self.name().to_lowercase();
        name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-")
    }

    /// Answers a second, run by run.
    fn rates(&self) -> Vec<f64> {
        self.runs.iter().map(Outcome::per_second).collect()
    }

    /// A quantile of the corrected round trips, run by run, in nanoseconds.
    #[must_use]
    pub fn quantile(&self, quantile: f64) -> Vec<f64> {
        self.runs.iter().map(|run| run.latency.corrected.value_at_quantile(quantile) as f64).collect()
    }

    fn total(&self, count: impl Fn(&Outcome) -> u64) -> u64 {
        self.runs.iter().map(count).sum()
    }

    fn json(&self) -> Value {
        let all = merged(&self.runs);
        let quantiles = QUANTILES.iter().map(|(quantile, name)| {
            let runs = self.quantile(*quantile);
            (format!("p{name}"), json!({ "median": median(&runs), "runs": runs }))
        });
        json!({
            "subject": self.subject,
            "layout": self.layout,
            "load": self.load.label(),
            "sent": self.total(|run| run.sent),
            "answered": self.total(|run| run.answered),
            "refused": self.total(|run| run.refused),
            "per_second": { "median": median(&self.rates()), "runs": self.rates() },
            "corrected_ns": quantiles.collect::<serde_json::Map<_, _>>(),
            "corrected_worst_ns": all.corrected.max(),
            "uncorrected_ns": quantile_map(&all.uncorrected),
            "excludes": self.excludes,
        })
    }
}

impl Figure {
    fn json(&self) -> Value {
        json!({ "subject": self.subject, "unit": self.unit, "median": median(&self.runs), "runs": self.runs,
                "excludes": self.excludes })
    }
}

fn quantile_map(histogram: &Histogram<u64>) -> Value {
    let at = |(quantile, name): &(f64, &str)| (format!("p{name}"), json!(histogram.value_at_quantile(*quantile)));
    let mut map = QUANTILES.iter().map(at).collect::<serde_json::Map<_, _>>();
    map.insert("worst".into(), json!(histogram.max()));
    Value::Object(map)
}

impl Report {
    /// The tables: loads down, percentiles across, then the figures.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        let heads =
            QUANTILES.iter().fold(String::new(), |said, (_, name)| said + &format!("{:>12}", format!("{name}%")));
        let row = |histogram: &Histogram<u64>| {
            let at = |(quantile, _): &(f64, &str)| format!("{:>12}", histogram.value_at_quantile(*quantile));
            QUANTILES.iter().map(at).collect::<String>() + &format!("{:>14}", histogram.max())
        };
        let _ = writeln!(text, "{:<52} {:>12}{heads}{:>14}", "round trips, ns, all runs", "answers/s", "worst");
        for series in &self.series {
            let all = merged(&series.runs);
            let rate = median(&series.rates());
            let _ = writeln!(text, "{:<52} {rate:>12.0}{}", series.name(), row(&all.corrected));
            if matches!(series.load, Load::Open { .. }) {
                let _ = writeln!(text, "{:<52} {:>12}{}", "    from the send, uncorrected", "", row(&all.uncorrected));
            }
        }
        let _ = writeln!(text, "{:<52} {:>12}{}", "gaps of an idle spinner, by their number", "", row(&self.jitter));
        let _ = writeln!(text, "time that the spinner lost in gaps above 1 µs: {:.2} %", 100.0 * self.lost());
        if !self.figures.is_empty() {
            let _ = writeln!(text, "\n{:<52} {:>12} {:<8} runs", "figure", "median", "unit");
        }
        for figure in &self.figures {
            let runs = figure.runs.iter().map(|run| format!("{run:.3}")).collect::<Vec<_>>().join(" ");
            let (subject, unit) = (&figure.subject, figure.unit);
            let _ = writeln!(text, "{subject:<52} {:>12.3} {unit:<8} {runs}", median(&figure.runs));
        }
        text
    }

    /// Writes into the run's folder: `.hlog`, `.hgrm` and a plot for each load, `result.json`, and `report.html`, which opens
    /// alone.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        let file = |name: String| File::create(folder.join(name)).map(BufWriter::new);
        for series in &self.series {
            let (slug, all) = (series.slug(), merged(&series.runs));
            interval_log(&series.runs, &mut file(format!("{slug}.hlog"))?)?;
            percentile_distribution(&all.corrected, &mut file(format!("{slug}.hgrm"))?)?;
            percentile_distribution(&all.uncorrected, &mut file(format!("{slug}.uncorrected.hgrm"))?)?;
            fs::write(folder.join(format!("{slug}.svg")), series.plot())?;
        }
        percentile_distribution(&self.jitter, &mut file("jitter.hgrm".into())?)?;
        fs::write(folder.join("result.json"), format!("{:#}\n", self.json()))?;
        fs::write(folder.join("report.html"), self.html())
    }

    /// Appends a line for each series and figure to a results file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn keep(&self, file: &Path) -> io::Result<()> {
        let mut file = results(file)?;
        let measured = self.series.iter().map(Series::json).chain(self.figures.iter().map(Figure::json));
        for mut line in measured {
            line["machine"] = self.machine.clone();
            line["jitter_ns"] = quantile_map(&self.jitter);
            line["lost"] = json!(self.lost());
            line["call"] = json!(self.call);
            line["at"] = json!(self.at);
            writeln!(file, "{line}")?;
        }
        Ok(())
    }

    /// Makes sure that [`Report::write`] and [`Report::keep`] will find room, before minutes are spent on measuring.
    ///
    /// # Errors
    /// When the folder cannot be made or the file not be opened.
    pub fn prepare(folder: Option<&Path>, file: Option<&Path>) -> anyhow::Result<()> {
        if let Some(folder) = folder {
            ensure!(!folder.join("result.json").exists(), "{} holds a run already", folder.display());
            fs::create_dir_all(folder).with_context(|| format!("cannot write {}", folder.display()))?;
        }
        if let Some(file) = file {
            results(file).with_context(|| format!("cannot write {}", file.display()))?;
        }
        Ok(())
    }

    /// The share of time that the spinner lost in gaps above a microsecond.
    fn lost(&self) -> f64 {
        let gaps = || self.jitter.iter_recorded().map(|point| (point.value_iterated_to(), point.count_at_value()));
        let time = |least: u64| gaps().filter(|(gap, _)| *gap > least).map(|(gap, count)| gap * count).sum::<u64>();
        time(1_000) as f64 / time(0).max(1) as f64
    }

    fn json(&self) -> Value {
        let buckets =
            self.jitter.iter_recorded().map(|point| json!([point.value_iterated_to(), point.count_at_value()]));
        json!({
            "call": self.call,
            "machine": self.machine,
            "series": self.series.iter().map(Series::json).collect::<Vec<_>>(),
            "figures": self.figures.iter().map(Figure::json).collect::<Vec<_>>(),
            "at": self.at,
            "lost": self.lost(),
            "jitter_ns": { "percentiles": quantile_map(&self.jitter), "histogram": buckets.collect::<Vec<_>>() },
        })
    }

    fn html(&self) -> String {
        let escaped = plot::escaped;
        let plots = self.series.iter().map(|series| {
            let counts = format!(
                "{} sent, {} answered, {} refused; layout {}; excluded: {}",
                series.total(|run| run.sent),
                series.total(|run| run.answered),
                series.total(|run| run.refused),
                series.layout,
                series.excludes
            );
            format!("<h2>{}</h2><p>{}</p>{}", escaped(&series.name()), escaped(&counts), series.plot())
        });
        let jitter = plot::percentiles(&[("idle spinner".into(), &self.jitter)]);
        format!(
            "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{call}</title>\
             <style>body{{font:15px sans-serif;max-width:70em;margin:2em auto}}pre{{overflow:auto;background:#f6f6f6;\
             padding:1em}}svg{{max-width:100%}}</style><h1>{call}</h1><pre>{text}</pre>{plots}\
             <h2>Jitter of an idle spinner on the same core</h2>{jitter}<h2>Machine</h2><pre>{machine}</pre></html>\n",
            call = escaped(&self.call),
            text = escaped(&self.text()),
            plots = plots.collect::<String>(),
            machine = escaped(&format!("{:#}", self.machine)),
        )
    }
}

/// A results file, open at its end.
fn results(file: &Path) -> io::Result<File> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    File::options().append(true).create(true).open(file)
}

impl Series {
    fn plot(&self) -> String {
        let all = merged(&self.runs);
        plot::percentiles(&[("corrected".into(), &all.corrected), ("uncorrected".into(), &all.uncorrected)])
    }
}

/// What the figures are seen on, and of which revision they are.
#[must_use]
pub fn machine() -> Value {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let model =
        cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map_or("unknown", |m| m.1);
    json!({
        "cpu": model,
        "cores": std::thread::available_parallelism().map_or(1, usize::from),
        "kernel": read("/proc/sys/kernel/osrelease").trim(),
        "revision": env!("RINGFENCE_REVISION"),
    })
}
