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
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::load::histogram;
use crate::plot;
use crate::report::QUANTILES;

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

/// The runs of one subject: the corrected round trips of each.
type Runs = BTreeMap<String, Vec<Histogram<u64>>>;

/// Reads the `.hlog` files of a run's folder.
fn load(folder: &Path) -> anyhow::Result<Runs> {
    let mut runs = Runs::new();
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "hlog") {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            runs.insert(name, read_log(&path)?);
        }
    }
    ensure!(!runs.is_empty(), "no .hlog file in {}", folder.display());
    Ok(runs)
}

fn read_log(path: &Path) -> anyhow::Result<Vec<Histogram<u64>>> {
    let bytes = std::fs::read(path)?;
    let mut deserializer = Deserializer::new();
    let mut runs = Vec::new();
    for entry in IntervalLogIterator::new(&bytes) {
        let Ok(entry) = entry else { bail!("{} is not an interval log", path.display()) };
        let LogEntry::Interval(interval) = entry else { continue };
        if interval.tag().is_some_and(|tag| tag.as_str() == "corrected") {
            let encoded = base64::Engine::decode(&base64::prelude::BASE64_STANDARD, interval.encoded_histogram())?;
            let run = deserializer.deserialize(&mut encoded.as_slice());
            runs.push(run.map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))?);
        }
    }
    ensure!(!runs.is_empty(), "no corrected run in {}", path.display());
    Ok(runs)
}

/// Runs two programs' `bench` with the same words in the order A B B A …, since machines drift.
fn interleave(programs: [&Path; 2], words: &[String], runs: usize) -> anyhow::Result<[Runs; 2]> {
    let dir = tempfile::tempdir()?;
    let mut seen = [Runs::new(), Runs::new()];
    for run in 0..2 * runs {
        // 0 1 1 0, again and again.
        let side = (run + run / 2) % 2;
        let folder = dir.path().join(run.to_string());
        let mut command = Command::new(programs[side]);
        command.arg("bench").args(words).args(["--runs", "1", "--out"]).arg(&folder);
        let output = command.output().with_context(|| format!("cannot start {}", programs[side].display()))?;
        ensure!(
            output.status.success(),
            "{} failed: {}",
            programs[side].display(),
            String::from_utf8_lossy(&output.stderr)
        );
        for (name, histograms) in load(&folder)? {
            seen[side].entry(name).or_default().extend(histograms);
        }
    }
    Ok(seen)
}

/// Compares two folders of runs, or two programs run in turns.
#[derive(Clone, Debug, clap::Args)]
pub struct Compare {
    /// A folder that a run wrote, or a `ringfence` program.
    a: PathBuf,
    /// Another.
    b: PathBuf,
    /// Slower by more than this many per cent at p50 or p90, and not by chance: failure.
    #[arg(long, default_value_t = 2.0)]
    bound: f64,
    /// Runs of each program.
    #[arg(long, default_value_t = 10)]
    runs: usize,
    /// Write an overlay plot of each subject into this folder.
    #[arg(long)]
    out: Option<PathBuf>,
    /// What the programs measure, as after `bench`.
    #[arg(last = true)]
    words: Vec<String>,
}

impl Compare {
    /// Prints the comparison.
    ///
    /// # Errors
    /// When a side cannot be read or run, has other subjects, or B is slower beyond the bound.
    pub fn run(&self) -> anyhow::Result<()> {
        let [a, b] = match (self.a.is_dir(), self.b.is_dir()) {
            (true, true) => [load(&self.a)?, load(&self.b)?],
            (false, false) => interleave([&self.a, &self.b], &self.words, self.runs)?,
            _ => bail!("compare two folders, or two programs"),
        };
        ensure!(a.keys().eq(b.keys()), "the two sides did not measure the same");
        let mut slower = Vec::new();
        for ((name, a), b) in a.iter().zip(b.values()) {
            println!("{name}: {} runs of A, {} of B; above 1 is slower", a.len(), b.len());
            for (quantile, label) in QUANTILES {
                let at = |runs: &[Histogram<u64>]| -> Vec<f64> {
                    runs.iter().map(|run| run.value_at_quantile(quantile).max(1) as f64).collect()
                };
                let ratio = ratio(&at(a), &at(b));
                let interval = ratio.interval.map_or_else(
                    || "too few runs for an interval".into(),
                    |(low, high)| format!("95 % interval {low:.4} to {high:.4}"),
                );
                println!("  p{label:<6} {:.4}  {interval}", ratio.estimate);
                // The bars are p50 and p90: what is beyond belongs to the machine as much as to the code.
                if quantile <= 0.9 && ratio.is_slower(self.bound / 100.0) {
                    slower.push(format!("{name} p{label}"));
                }
            }
            if let Some(folder) = &self.out {
                std::fs::create_dir_all(folder)?;
                let merge = |runs: &[Histogram<u64>]| {
                    runs.iter().fold(histogram(), |mut all, run| {
                        all.add(run).expect("the bounds are the same");
                        all
                    })
                };
                let (a, b) = (merge(a), merge(b));
                let svg = plot::percentiles(&[("A".into(), &a), ("B".into(), &b)]);
                std::fs::write(folder.join(format!("{name}.svg")), svg)?;
            }
        }
        ensure!(slower.is_empty(), "B is slower by more than {} %: {}", self.bound, slower.join(", "));
        Ok(())
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
