//! Histograms as files that the standard HdrHistogram tools read.

use crate::load::{Latency, Outcome};
use hdrhistogram::Histogram;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};
use std::io::{self, Write};
use std::time::{Duration, UNIX_EPOCH};

/// Writes an interval log (`.hlog`, version 1.3): each run is an interval, once tagged `corrected` and once
/// `uncorrected`. Values are nanoseconds, maxima in the log's own column too.
///
/// # Errors
/// When it cannot be written.
pub fn interval_log(runs: &[Outcome], out: &mut impl Write) -> io::Result<()> {
    let start = runs.first().map_or(UNIX_EPOCH, |run| run.latency.begun);
    let mut serializer = V2DeflateSerializer::new();
    let mut log = IntervalLogWriterBuilder::new()
        .add_comment("[Histogram log format version 1.3]")
        .add_comment("[values are nanoseconds]")
        .with_start_time(start)
        .with_base_time(start)
        .with_max_value_divisor(1.0)
        .begin_log_with(out, &mut serializer)?;
    for Outcome { latency, .. } in runs {
        let after = latency.begun.duration_since(start).unwrap_or(Duration::ZERO);
        for (tag, histogram) in [("corrected", &latency.corrected), ("uncorrected", &latency.uncorrected)] {
            let tag = Tag::new(tag).expect("a tag without commas or blanks");
            let written = log.write_histogram(histogram, after, latency.elapsed, Some(tag));
            written.map_err(|error| io::Error::other(error.to_string()))?;
        }
    }
    Ok(())
}

/// Writes percentiles (`.hgrm`) as HdrHistogram's own `outputPercentileDistribution` does, five ticks to each halving of
/// the distance to 100 %, values in nanoseconds.
///
/// # Errors
/// When it cannot be written.
pub fn percentile_distribution(histogram: &Histogram<u64>, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{:>12} {:>14} {:>10} {:>14}\n", "Value", "Percentile", "TotalCount", "1/(1-Percentile)")?;
    let mut count = 0;
    for point in histogram.iter_quantiles(5) {
        count += point.count_since_last_iteration();
        let (value, quantile) = (point.value_iterated_to(), point.quantile_iterated_to());
        write!(out, "{value:>12}.000 {quantile:>14.12} {count:>10}")?;
        if quantile < 1.0 {
            write!(out, " {:>14.2}", 1.0 / (1.0 - quantile))?;
        }
        writeln!(out)?;
    }
    writeln!(out, "#[Mean    = {:>12.3}, StdDeviation   = {:>12.3}]", histogram.mean(), histogram.stdev())?;
    writeln!(out, "#[Max     = {:>12}.000, Total count    = {:>12}]", histogram.max(), histogram.len())?;
    writeln!(out, "#[Buckets = {:>12}, SubBuckets     = {:>12}]", histogram.buckets(), 2048)
}

/// All runs' corrected round trips in one histogram, and all uncorrected ones in another.
#[must_use]
pub fn merged(runs: &[Outcome]) -> Latency {
    let mut all = Latency::default();
    for Outcome { latency, .. } in runs {
        all.corrected.add(&latency.corrected).expect("the bounds are the same");
        all.uncorrected.add(&latency.uncorrected).expect("the bounds are the same");
        all.elapsed += latency.elapsed;
    }
    all
}
