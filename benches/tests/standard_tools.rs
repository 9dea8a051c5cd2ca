//! The files of a run are read by the standard HdrHistogram tools: PyPI's `hdrhistogram` sees what was recorded.

use ringfence_benches::load::{Flight, Load, Outcome};
use ringfence_benches::report::{Report, Series, machine};
use ringfence_kernel::random::Random;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

fn outcome(seed: u64) -> Outcome {
    let mut random = Random::new(seed);
    let mut flight = Flight::new(1);
    for command in 0..10_000 {
        let due = command * 1_000;
        let sent = due + random.below(500);
        flight.send(due, sent);
        let octave = random.below(30);
        flight.land(sent + 100 + random.below(1 << octave));
    }
    flight.latency.elapsed = Duration::from_millis(10);
    Outcome { latency: flight.latency, sent: 10_000, answered: 10_000, refused: 0 }
}

fn report() -> Report {
    let load = Load::Open { rate: 1_000_000 };
    let runs = vec![outcome(1), outcome(2), outcome(3)];
    let series = Series { subject: "a subject".into(), layout: "none", load, runs, excludes: "all" };
    let jitter = ringfence_benches::load::jitter(0.001);
    Report { call: "a <call>".into(), series: vec![series], figures: Vec::new(), jitter, machine: machine(), at: 0 }
}

/// A Python with `hdrhistogram`, or why there is none.
fn python(target: &Path) -> Result<PathBuf, String> {
    let venv = target.join("hdrhistogram-venv");
    let python = venv.join("bin/python");
    let done = |command: &mut Command| match command.output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(error) => Err(error.to_string()),
    };
    if done(Command::new(&python).args(["-c", "import hdrh.log"])).is_ok() {
        return Ok(python);
    }
    done(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
    done(Command::new(&python).args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--timeout",
        "20",
        "--retries",
        "1",
        "hdrhistogram==0.10.3",
    ]))?;
    Ok(python)
}

/// Guards against files that only this project reads: counts, quantiles and maxima of each run by both tags.
#[test]
fn a_standard_reader_sees_what_was_recorded() {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let python = match python(target) {
        Ok(python) => python,
        Err(why) => {
            println!("skipped: no Python with hdrhistogram: {why}");
            return;
        }
    };
    let (report, folder) = (report(), tempfile::tempdir().unwrap());
    report.write(folder.path()).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/standard_tools.py");
    let output = Command::new(python).arg(script).arg(folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut expected = String::new();
    for run in &report.series[0].runs {
        for (tag, histogram) in [("corrected", &run.latency.corrected), ("uncorrected", &run.latency.uncorrected)] {
            let (median, tail) = (histogram.value_at_quantile(0.5), histogram.value_at_quantile(0.999));
            let name = "a-subject-open-loop-1000000-s";
            writeln!(expected, "{name} {tag} {} {median} {tail} {}", histogram.len(), histogram.max()).unwrap();
        }
    }
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
}

/// Guards against a report that needs the network or breaks on a word: it names no other file and escapes what it says.
#[test]
fn a_report_opens_alone() {
    let (report, folder) = (report(), tempfile::tempdir().unwrap());
    report.write(folder.path()).unwrap();
    let html = std::fs::read_to_string(folder.path().join("report.html")).unwrap();
    assert!(html.contains("a &lt;call&gt;") && !html.contains("<call>"));
    assert!(["src=", "href=", "@import", "url("].iter().all(|reference| !html.contains(reference)));
    let result = std::fs::read(folder.path().join("result.json")).unwrap();
    let result: serde_json::Value = serde_json::from_slice(&result).unwrap();
    assert_eq!(result["series"][0]["answered"], 30_000);
    assert_eq!(result["series"][0]["corrected_ns"]["p50"]["runs"].as_array().map(Vec::len), Some(3));
    assert!(result["jitter_ns"]["histogram"].as_array().is_some_and(|buckets| !buckets.is_empty()));
}
