//! What was measured, on the screen and as a line of a results file.

use hdrhistogram::Histogram;
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::Path;

/// One figure, measured several times.
#[derive(Debug)]
pub struct Figure {
    /// What was measured.
    pub subject: String,
    /// Its unit.
    pub unit: &'static str,
    /// What each run gave.
    pub runs: Vec<f64>,
    /// What it is to be held against, from the same runs.
    pub beside: Vec<(&'static str, f64)>,
}

/// The middle value, or the mean of the middle two.
#[must_use]
pub fn median(runs: &[f64]) -> f64 {
    let mut sorted = runs.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[middle] } else { (sorted[middle - 1] + sorted[middle]) / 2.0 }
}

impl Figure {
    /// Prints it.
    pub fn print(&self) {
        let spread = self.runs.iter().map(|run| format!("{run:.3}")).collect::<Vec<_>>().join(" ");
        println!("{:<44} {:>12.3} {:<6} runs: {spread}", self.subject, median(&self.runs), self.unit);
        for (name, value) in &self.beside {
            println!("{:<44} {value:>12.3}", format!("    {name}"));
        }
    }

    /// Appends it to a results file.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn keep(&self, file: &Path, machine: &Value) -> std::io::Result<()> {
        let line = json!({
            "subject": self.subject,
            "unit": self.unit,
            "median": median(&self.runs),
            "runs": self.runs,
            "beside": self.beside.iter().map(|(name, value)| (name.to_string(), json!(value))).collect::<serde_json::Map<_, _>>(),
            "machine": machine,
        });
        std::fs::create_dir_all(file.parent().expect("a results file has a folder"))?;
        writeln!(std::fs::File::options().append(true).create(true).open(file)?, "{line}")
    }
}

/// Percentiles of a latency histogram, in nanoseconds, as the table's columns.
#[must_use]
pub fn percentiles(histogram: &Histogram<u64>) -> String {
    let at = |quantile| histogram.value_at_quantile(quantile);
    format!(
        "p50 {} p90 {} p99 {} p99.9 {} p99.99 {} worst {} ns",
        at(0.5),
        at(0.9),
        at(0.99),
        at(0.999),
        at(0.9999),
        histogram.max()
    )
}

/// What the figures were seen on.
#[must_use]
pub fn machine() -> Value {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let model =
        cpu.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map_or("unknown", |m| m.1);
    json!({
        "cpu": model,
        "cores": std::thread::available_parallelism().map_or(1, usize::from),
        "kernel": read("/proc/sys/kernel/osrelease").trim(),
    })
}
