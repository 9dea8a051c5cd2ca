//! Two sets of runs against each other: how much slower is B than A, and could it be chance?
//!
//! The estimate is Hodges and Lehmann's: the median of the ratios of every run of B to every run of A. Its interval comes
//! from the ranks of the same ratios by the exact distribution of the Mann-Whitney statistic, so that nothing is assumed
//! of how runs are distributed (Hollander, Wolfe & Chicken, «Nonparametric Statistical Methods», 3rd ed., 4.2 and 4.3).
//! With fewer than four runs on each side no interval reaches 95 %, and none is given.

use anyhow::{Context as _, bail, ensure};
use hdrhistogram::Histogram;
use hdrhistogram::serialization::Deserializer;
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cli::{progress, say};
use crate::load::histogram;
use crate::plot;

/// The interval holds the ratio in at least this share of comparisons.
const CONFIDENCE: f64 = 0.95;

/// How B compares with A.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ratio {
    /// B by A: above 1 is slower.
    pub estimate: f64,
    /// Where it lies with at least 95 % confidence, when there are runs enough to say.
    pub interval: Option<(f64, f64)>,
}

impl Ratio {
    /// Whether B is slower by more than `bound`, a share, and not by chance.
    #[must_use]
    pub fn is_slower(&self, bound: f64) -> bool {
        self.estimate > 1.0 + bound && self.interval.is_some_and(|(low, _)| low > 1.0)
    }
}

/// Compares runs of B with runs of A; values are above zero.
///
/// # Panics
/// When a side has no run.
#[must_use]
pub fn ratio(a: &[f64], b: &[f64]) -> Ratio {
    assert!(!a.is_empty() && !b.is_empty(), "there is no comparison with nothing");
    let mut ratios = b.iter().flat_map(|b| a.iter().map(move |a| b / a)).collect::<Vec<_>>();
    ratios.sort_by(f64::total_cmp);
    let estimate = crate::report::median(&ratios);
    let cut = ranks_cut(a.len(), b.len());
    let interval = cut.map(|cut| (ratios[cut], ratios[ratios.len() - 1 - cut]));
    Ratio { estimate, interval }
}

/// How many of the sorted ratios lie outside the interval at each end; none when even the widest is too narrow.
fn ranks_cut(a: usize, b: usize) -> Option<usize> {
    let counts = mann_whitney(a, b);
    let all = counts.iter().sum::<f64>();
    let mut below = 0.0;
    let mut cut = None;
    for (statistic, count) in counts.iter().enumerate().take(a * b / 2) {
        below += count;
        if 2.0 * below / all > 1.0 - CONFIDENCE {
            break;
        }
        cut = Some(statistic);
    }
    cut
}

/// How many orders of `a` and `b` runs have each value of the Mann-Whitney statistic.
fn mann_whitney(a: usize, b: usize) -> Vec<f64> {
    // Gaussian binomial coefficient: multiply by (1 - qᵇ⁺ⁱ), divide by (1 - qⁱ), for i from 1 to a.
    let mut counts = vec![0.0; a * b + 1];
    counts[0] = 1.0;
    for i in 1..=a {
        for at in (b + i..counts.len()).rev() {
            counts[at] -= counts[at - b - i];
        }
        for at in i..counts.len() {
            counts[at] += counts[at - i];
        }
    }
    counts
}

/// What the runs of one side gave.
#[derive(Debug, Default)]
struct Side {
    /// Where and by what they were measured.
    machine: Value,
    /// By subject and percentile or unit, run by run: what is larger when it is slower.
    rows: BTreeMap<(String, String), Vec<f64>>,
    /// By the name of the file: the corrected round trips of all runs.
    histograms: BTreeMap<String, Histogram<u64>>,
}

/// What `result.json` of a run's folder says, as far as it is compared.
#[derive(Debug, Deserialize)]
struct Results {
    machine: Value,
    series: Vec<SeriesResult>,
    figures: Vec<FigureResult>,
}

#[derive(Debug, Deserialize)]
struct SeriesResult {
    subject: String,
    load: String,
    corrected_ns: BTreeMap<String, RunsResult>,
}

#[derive(Debug, Deserialize)]
struct RunsResult {
    runs: Vec<f64>,
}

#[derive(Debug, Deserialize)]
struct FigureResult {
    subject: String,
    unit: String,
    runs: Vec<f64>,
}

impl Side {
    /// Adds the runs of a folder.
    fn read(&mut self, folder: &Path) -> anyhow::Result<()> {
        let path = folder.join("result.json");
        let bytes = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let results = serde_json::from_slice::<Results>(&bytes).with_context(|| path.display().to_string())?;
        self.machine = results.machine;
        for series in results.series {
            let subject = format!("{}, {}", series.subject, series.load);
            for (percentile, RunsResult { runs }) in series.corrected_ns {
                // A round trip of no nanosecond is below the clock's resolution.
                self.add(&subject, &percentile, runs.into_iter().map(|run| run.max(1.0)));
            }
        }
        for FigureResult { subject, unit, runs } in results.figures {
            match unit.as_str() {
                "M/s" => self.add(&subject, "µs a command", runs.into_iter().map(|run| 1.0 / run)),
                "ns" | "s" => self.add(&subject, &unit, runs.into_iter()),
                // What has no unit of time or rate says what was measured, not how fast.
                _ => {}
            }
        }
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|ending| ending == "hlog") {
                let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                let all = self.histograms.entry(name).or_insert_with(histogram);
                corrected_runs(&path, all).with_context(|| path.display().to_string())?;
            }
        }
        Ok(())
    }

    fn add(&mut self, subject: &str, label: &str, runs: impl Iterator<Item = f64>) {
        self.rows.entry((subject.into(), label.into())).or_default().extend(runs);
    }

    /// Leaves out what has no ratio: a cost below what can be measured.
    fn comparable(mut self) -> Self {
        self.rows.retain(|_, runs| !runs.is_empty() && runs.iter().all(|run| *run > 0.0));
        self
    }
}

/// Adds every corrected run of an interval log.
fn corrected_runs(path: &Path, all: &mut Histogram<u64>) -> anyhow::Result<()> {
    let bytes = std::fs::read(path)?;
    let mut deserializer = Deserializer::new();
    for entry in IntervalLogIterator::new(&bytes) {
        let Ok(entry) = entry else { bail!("not an interval log") };
        let LogEntry::Interval(interval) = entry else { continue };
        if interval.tag().is_some_and(|tag| tag.as_str() == "corrected") {
            let encoded = base64::Engine::decode(&base64::prelude::BASE64_STANDARD, interval.encoded_histogram())?;
            all.add(deserializer.deserialize::<u64, _>(&mut encoded.as_slice())?)?;
        }
    }
    Ok(())
}

/// Runs two programs' `bench` with the same words in the order A B B A …, since machines drift.
fn interleave(programs: [&Path; 2], words: &[String], runs: usize) -> anyhow::Result<[Side; 2]> {
    let dir = tempfile::tempdir()?;
    let mut seen = [Side::default(), Side::default()];
    for run in 0..2 * runs {
        // 0 1 1 0, again and again.
        let side = (run + run / 2) % 2;
        let folder = dir.path().join(run.to_string());
        progress(&format!("run {} of {}: {}", run + 1, 2 * runs, programs[side].display()));
        let mut command = Command::new(programs[side]);
        command.arg("bench").args(words).args(["--runs", "1", "--out"]).arg(&folder);
        let output = command.output().with_context(|| format!("cannot start {}", programs[side].display()))?;
        ensure!(
            output.status.success(),
            "{} failed: {}",
            programs[side].display(),
            String::from_utf8_lossy(&output.stderr)
        );
        seen[side].read(&folder).with_context(|| format!("what {} wrote", programs[side].display()))?;
    }
    Ok(seen)
}

fn percent(word: &str) -> Result<f64, String> {
    let bound = word.parse::<f64>().map_err(|error| error.to_string())?;
    if (0.0..1_000.0).contains(&bound) { Ok(bound) } else { Err("it must be from 0 to 1000".into()) }
}

/// Compares two folders of runs, or two programs run in turns.
#[derive(Clone, Debug, clap::Args)]
pub struct Compare {
    /// A folder that a run wrote, or a `ringfence` program.
    a: PathBuf,
    /// Another.
    b: PathBuf,
    /// Slower by more than this many per cent in a figure or at p50 or p90, and not by chance: failure.
    #[arg(long, default_value_t = 2.0, value_parser = percent)]
    bound: f64,
    /// What the programs measure, as after `bench`.
    #[arg(last = true)]
    words: Vec<String>,
}

impl Compare {
    /// Prints the comparison: of `runs` runs of each program, or of what two folders hold. Writes an overlay plot of each
    /// series into the folder `out`.
    ///
    /// # Errors
    /// When a side cannot be read or run, has other subjects, or B is slower beyond the bound.
    pub fn run(&self, runs: usize, out: Option<&Path>) -> anyhow::Result<()> {
        for path in [&self.a, &self.b] {
            ensure!(path.exists(), "{} does not exist", path.display());
        }
        let [a, b] = match (self.a.is_dir(), self.b.is_dir()) {
            (true, true) => {
                ensure!(self.words.is_empty(), "folders hold what was measured: no words follow them");
                let mut sides = [Side::default(), Side::default()];
                sides[0].read(&self.a)?;
                sides[1].read(&self.b)?;
                sides
            }
            (false, false) => {
                ensure!(
                    !self.words.is_empty(),
                    "{} and {} are no folders; of programs say after -- what the programs measure, as -- pipeline",
                    self.a.display(),
                    self.b.display()
                );
                interleave([&self.a, &self.b], &self.words, runs)?
            }
            _ => bail!("compare two folders, or two programs"),
        };
        let (a, b) = (a.comparable(), b.comparable());
        if a.machine != b.machine {
            say(&format!("A: {}\nB: {}\n", a.machine, b.machine))?;
        }
        ensure!(a.rows.keys().eq(b.rows.keys()), "the two sides did not measure the same");
        ensure!(!a.rows.is_empty(), "nothing measured can be compared");
        let (table, slower) = self.table(&a, &b);
        say(&table)?;
        if let Some(folder) = out {
            std::fs::create_dir_all(folder)?;
            std::fs::write(folder.join("comparison.txt"), &table)?;
            for ((name, a), b) in a.histograms.iter().zip(b.histograms.values()) {
                let svg = plot::percentiles(&[("A".into(), a), ("B".into(), b)]);
                std::fs::write(folder.join(format!("{name}.svg")), svg)?;
            }
        }
        ensure!(slower.is_empty(), "B is slower by more than {} %: {}", self.bound, slower.join("; "));
        Ok(())
    }

    /// Each row, and the names of those where B is slower.
    fn table(&self, a: &Side, b: &Side) -> (String, Vec<String>) {
        let mut table = String::from("how many times as long B takes as A, and the interval that holds it at 95 %\n");
        let mut slower = Vec::new();
        for (((subject, label), a), b) in a.rows.iter().zip(b.rows.values()) {
            let ratio = ratio(a, b);
            let interval =
                ratio.interval.map_or_else(|| "too few runs".into(), |(low, high)| format!("{low:.4} to {high:.4}"));
            let (estimate, runs) = (ratio.estimate, (a.len(), b.len()));
            let _ = writeln!(
                table,
                "{subject:<52} {label:<14} {estimate:.4}  {interval}  ({} and {} runs)",
                runs.0, runs.1
            );
            // Beyond p90 a round trip belongs to the machine as much as to the code.
            let barred = !label.starts_with('p') || ["p50", "p90"].contains(&label.as_str());
            if barred && ratio.is_slower(self.bound / 100.0) {
                slower.push(format!("{subject}, {label}"));
            }
        }
        (table, slower)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringfence_kernel::random::Random;

    /// Guards against a wrong interval: the table of Hollander & Wolfe has U = 2 for five runs on each side.
    #[test]
    fn ranks_are_those_of_the_table() {
        assert_eq!(mann_whitney(2, 2), [1.0, 1.0, 2.0, 1.0, 1.0]);
        assert_eq!(ranks_cut(3, 3), None, "3 against 3 cannot reach 95 %");
        assert_eq!(ranks_cut(4, 4), Some(0));
        assert_eq!(ranks_cut(5, 5), Some(2));
        assert_eq!(ranks_cut(10, 10), Some(23));
    }

    fn runs(random: &mut Random, times: f64) -> Vec<f64> {
        (0..10).map(|_| times * (1000.0 + random.below(30) as f64)).collect()
    }

    /// Guards against a comparison that cries wolf, and against one that sleeps: runs that scatter by 3 %.
    #[test]
    fn five_per_cent_is_found_and_nothing_is_not() {
        let mut random = Random::new(7);
        let mut alarms = 0;
        for _ in 0..1_000 {
            let (a, b) = (runs(&mut random, 1.0), runs(&mut random, 1.05));
            assert!(ratio(&a, &b).is_slower(0.02), "{a:?} {b:?}");
            assert!(!ratio(&b, &a).is_slower(0.02));
            let other = runs(&mut random, 1.0);
            alarms += u32::from(ratio(&a, &other).interval.is_some_and(|(low, high)| low > 1.0 || high < 1.0));
            assert!(!ratio(&a, &other).is_slower(0.02));
        }
        assert!(alarms <= 70, "an interval of 95 % misses in about one of twenty: {alarms} of 1000");
    }
}
