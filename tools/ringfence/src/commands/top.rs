//! `ringfence top`: what an engine is doing, from the counters that it stores into a file.

use crate::commands::stop_flag;
use crate::counters::{FILE, life};
use crate::say;
use crate::top::figures::Figures;
use crate::top::screen;
use anyhow::Context as _;
use clap::Args;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use ringfence_counters::Reading;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Show what an engine is doing, live: rates, rings, batches, durable lag, percentiles of each stage, rejects. It reads
/// a file and costs the engine nothing. `q` or Ctrl-C leaves.
#[derive(Args)]
pub struct Top {
    /// The journal's directory, or the counters file itself.
    #[arg(default_value = "ringfence.journal")]
    dir: PathBuf,
    /// Look twice, print what is seen as text and end.
    #[arg(long)]
    once: bool,
    /// Print JSON, an object a line: one with `--once`, else one at every interval.
    #[arg(long)]
    json: bool,
    /// Milliseconds between two looks.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(50..=3_600_000))]
    interval: u64,
}

impl Top {
    /// Runs it.
    ///
    /// # Errors
    /// When there are no counters to be read; the message says why.
    pub fn run(&self) -> anyhow::Result<()> {
        let path = if self.dir.is_dir() { self.dir.join(FILE) } else { self.dir.clone() };
        let mut watch = Watch::begin(&path)?;
        let interval = Duration::from_millis(self.interval);
        if self.json || self.once {
            loop {
                // There is nothing to wait for in the counters of an engine that has ended.
                if watch.figures.life == "alive" {
                    std::thread::sleep(interval);
                    watch.look()?;
                }
                match self.json {
                    true => say!("{}", serde_json::to_string(&watch.figures)?),
                    false => say!("{}", screen::plain(&watch.name, &watch.figures)),
                }
                if self.once || watch.figures.life != "alive" {
                    return Ok(());
                }
            }
        }
        let over = stop_flag()?;
        let mut terminal = Terminal::take()?;
        live(&mut terminal.0, &mut watch, interval, &over)
    }
}

/// The terminal, given back however this ends; a panic gives it back through the hook that taking it sets.
struct Terminal(DefaultTerminal);

impl Terminal {
    fn take() -> anyhow::Result<Self> {
        ratatui::try_init().map(Self).context("this is no terminal; --once and --json need none")
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

/// A counters file, looked at again and again.
struct Watch {
    path: PathBuf,
    name: String,
    last: (Reading, Instant),
    figures: Figures,
}

impl Watch {
    fn begin(path: &Path) -> anyhow::Result<Self> {
        let reading = Reading::open(path).context("no counters can be read")?;
        let figures = Figures::of(&reading, None, life(&reading.header))?;
        Ok(Self { path: path.into(), name: path.display().to_string(), last: (reading, Instant::now()), figures })
    }

    /// Reads again. The file is opened anew: a start replaces it.
    fn look(&mut self) -> anyhow::Result<()> {
        let (reading, now) = (Reading::open(&self.path)?, Instant::now());
        let (before, then) = &self.last;
        self.figures = Figures::of(&reading, Some((before, now - *then)), life(&reading.header))?;
        self.last = (reading, now);
        Ok(())
    }
}

fn live(
    terminal: &mut DefaultTerminal,
    watch: &mut Watch,
    interval: Duration,
    over: &AtomicBool,
) -> anyhow::Result<()> {
    let mut due = Instant::now() + interval;
    let mut trouble = None;
    while !over.load(Ordering::Relaxed) {
        terminal.draw(|frame| screen::draw(frame, &watch.name, &watch.figures, trouble.as_deref()))?;
        // A signal does not end the wait everywhere: the flag is looked at now and then.
        let wait = due.saturating_duration_since(Instant::now()).min(Duration::from_millis(200));
        if event::poll(wait)? && leaves(&event::read()?) {
            return Ok(());
        }
        if Instant::now() >= due {
            due = Instant::now() + interval;
            trouble = watch.look().err().map(|error| format!("{error:#}"));
        }
    }
    Ok(())
}

/// Any other event, a resize among them, only draws again.
fn leaves(event: &Event) -> bool {
    let Event::Key(key) = event else { return false };
    let interrupt = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
    key.kind == KeyEventKind::Press && (interrupt || matches!(key.code, KeyCode::Char('q') | KeyCode::Esc))
}
