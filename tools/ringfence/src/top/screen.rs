//! Draws figures on 80 columns and 24 rows, or more.

use crate::top::figures::{Figures, Percentiles, Rate, Ring};
use crate::top::numbers::{bytes, clock, duration, grouped, per_second};
use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Style, Stylize as _};
use ratatui::text::{Line, Span};
use ratatui::widgets::{LineGauge, Widget};

/// Rows above the list of rejects.
const ROWS: u16 = 21;
/// Columns that everything fits into.
pub const COLUMNS: u16 = 80;
/// What a row of percentiles is called, and whether its values are nanoseconds.
const SPREADS: [(&str, &str, bool); 6] = [
    ("batch", "batch", false),
    ("sync", "sync", true),
    ("appended", "appended", true),
    ("released", "released", true),
    ("decided", "decided", true),
    ("written", "written", true),
];

/// Draws the whole screen; `trouble` is why the figures are no newer.
pub fn draw(frame: &mut Frame<'_>, file: &str, figures: &Figures, trouble: Option<&str>) {
    let area = frame.area();
    let rejects = usize::from(area.height.saturating_sub(ROWS + 1));
    render(frame.buffer_mut(), area, file, figures, rejects);
    let foot = match trouble {
        Some(trouble) => Line::from(format!(" {trouble}")).fg(Color::Red),
        None => {
            let more = figures.rejects.len().saturating_sub(rejects);
            let more = if more > 0 { format!(" · {more} more codes: --once") } else { String::new() };
            Line::from(format!(" q leaves · timed: one command in {}{more}", figures.sample_every)).dim()
        }
    };
    if area.height > 0 {
        foot.render(Rect { y: area.bottom() - 1, height: 1, ..area }, frame.buffer_mut());
    }
}

/// The same as plain text, with every reject.
#[must_use]
pub fn plain(file: &str, figures: &Figures) -> String {
    let area = Rect::new(0, 0, COLUMNS, ROWS + figures.rejects.len() as u16);
    let mut buffer = Buffer::empty(area);
    render(&mut buffer, area, file, figures, figures.rejects.len());
    text(&buffer)
}

/// A buffer's letters, row by row.
#[must_use]
pub fn text(buffer: &Buffer) -> String {
    let rows = buffer.content.chunks(usize::from(buffer.area.width.max(1)));
    let rows = rows.map(|row| row.iter().map(ratatui::buffer::Cell::symbol).collect::<String>().trim_end().to_string());
    rows.collect::<Vec<_>>().join("\n").trim_end().to_string()
}

/// Puts line under line, as long as there are rows.
struct Pen<'a> {
    buffer: &'a mut Buffer,
    left: Rect,
}

impl Pen<'_> {
    fn put(&mut self, what: impl Widget) {
        if self.left.height > 0 {
            what.render(Rect { height: 1, ..self.left }, self.buffer);
            self.left = Rect { y: self.left.y + 1, height: self.left.height - 1, ..self.left };
        }
    }

    fn heading(&mut self, text: &str) {
        let rest = usize::from(self.left.width).saturating_sub(text.chars().count() + 4);
        self.put(Line::from(format!("── {text} {}", "─".repeat(rest))).cyan());
    }
}

fn render(buffer: &mut Buffer, area: Rect, file: &str, figures: &Figures, rejects: usize) {
    let mut pen = Pen { buffer, left: area };
    title(&mut pen, file, figures);
    let rate = |rate: &Rate| rate.per_second.map_or("–".into(), per_second);
    let bytes_rate = |rate: &Rate| rate.per_second.map_or("–".into(), bytes);
    pen.put(
        Line::from(format!(
            " a second   commands {:<6} replies {:<6} events {:<6} in {:<7} out {}",
            rate(&figures.commands),
            rate(&figures.replies),
            rate(&figures.events),
            bytes_rate(&figures.bytes_read),
            bytes_rate(&figures.bytes_written),
        ))
        .bold(),
    );
    pen.put(Line::from(format!(
        " in all     commands {}   replies {}   events {}",
        grouped(figures.commands.total),
        grouped(figures.replies.total),
        grouped(figures.events.total),
    )));
    pen.put(Line::from(format!(
        " sessions {}   connections {} of {} accepted   logons refused {}   overruns {}",
        grouped(figures.sessions),
        grouped(figures.connections),
        grouped(figures.accepted),
        grouped(figures.logons_refused),
        grouped(figures.overruns),
    )));

    pen.heading("rings");
    ring(&mut pen, " ingress ", &figures.ingress);
    pen.put(Line::from(format!(
        "         slots that wait for: journal {}   replicate {}   execute {}",
        grouped(figures.waits_for_journal),
        grouped(figures.waits_for_replicate),
        grouped(figures.waits_for_execute),
    )));
    ring(&mut pen, " egress  ", &figures.egress);

    pen.heading("journal");
    pen.put(Line::from(format!(
        " appended {}   durable {}   executed {}",
        grouped(figures.appended),
        grouped(figures.durable),
        grouped(figures.executed),
    )));
    pen.put(Line::from(format!(
        " durable lag {}   segment {}   steps without room {}",
        grouped(figures.durable_lag),
        figures.segment,
        grouped(figures.journal_full),
    )));

    pen.heading("percentiles: commands of a batch, time of a sync, age of a command when …");
    let seconds = figures.seconds.map_or("–".into(), |seconds| format!("last {seconds:.1} s"));
    pen.put(Line::from(format!(" {:<9}{seconds:>35}{:>35}", "", "since the start")).dim());
    let names = ["p50", "p90", "p99", "p99.9", "worst"].map(|name| format!("{name:>7}")).concat();
    pen.put(Line::from(format!(" {:<9}{names}{names}", "")).dim());
    for (name, label, timed) in SPREADS {
        let spread = figures.percentiles.get(name).copied().unwrap_or_default();
        let row = format!(" {label:<9}{}{}", cells(spread.recent, timed), cells(spread.all, timed));
        let line = Line::from(row);
        pen.put(if name == "written" { line.bold() } else { line });
    }

    if rejects > 0 && !figures.rejects.is_empty() {
        for reject in figures.rejects.iter().take(rejects) {
            pen.put(Line::from(format!(
                " reject {:>5} {:<32} {:>10}/s {:>18}",
                reject.code,
                reject.name,
                rate(&reject.rate),
                grouped(reject.rate.total)
            )));
        }
    }
}

fn title(pen: &mut Pen<'_>, file: &str, figures: &Figures) {
    let state = match figures.life {
        "alive" => Span::from(format!("process {} is alive", figures.process)).green(),
        "rebooted" => Span::from(format!("process {} ended with the machine: last values", figures.process)).red(),
        _ => Span::from(format!("process {} has ended: last values", figures.process)).red(),
    };
    let about = format!(
        "   up {}   {}   {}",
        clock(figures.up_seconds),
        figures.level,
        if figures.threads == 1 { "1 thread".into() } else { format!("{} threads", figures.threads) },
    );
    pen.put(Line::from(vec![Span::from(" "), state.bold(), Span::from(about)]));
    pen.put(Line::from(format!(" build {}   {file}", figures.build)).dim());
}

fn ring(pen: &mut Pen<'_>, name: &str, ring: &Ring) {
    let ratio = if ring.slots == 0 { 0.0 } else { (ring.used as f64 / ring.slots as f64).clamp(0.0, 1.0) };
    let full = format!("{name}{:>7} of {}   full {}  ", grouped(ring.used), grouped(ring.slots), grouped(ring.full));
    let style = match ratio {
        ..0.5 => Color::Green,
        ..0.9 => Color::Yellow,
        _ => Color::Red,
    };
    pen.put(
        LineGauge::default()
            .label(format!("{full:<44}"))
            .ratio(ratio)
            .filled_symbol("█")
            .unfilled_symbol("░")
            .filled_style(Style::new().fg(style))
            .unfilled_style(Style::new().fg(Color::DarkGray)),
    );
}

fn cells(percentiles: Option<Percentiles>, timed: bool) -> String {
    let Some(at) = percentiles else { return format!("{:>7}", "–").repeat(5) };
    let cell = |value| format!("{:>7}", if timed { duration(value) } else { grouped(value) });
    [at.p50, at.p90, at.p99, at.p999, at.worst].map(cell).concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counters::Life;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use ringfence_counters::file::BYTES;
    use ringfence_counters::{EngineCounters, Identity, Reading, Registrar, Settings};
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    /// An engine with fixed counters: one second, then three more.
    fn figures(life: Life) -> Figures {
        let words: &'static [AtomicU64] = (0..BYTES / 8).map(|_| AtomicU64::new(0)).collect::<Vec<_>>().leak();
        let reading = || {
            let bytes = words.iter().flat_map(|word| word.load(Ordering::Relaxed).to_le_bytes()).collect::<Vec<_>>();
            Reading::parse(&bytes).expect("it is sound")
        };
        let mut on = Registrar::new(words);
        let settings = Settings { ring_slots: 16_384, durable: true, threads: 4, sample_every: 64 };
        let codes = [(5, "NotPermitted"), (21, "LogonRefused"), (1004, "UnknownOrder")];
        let mut on_engine = EngineCounters::new(&mut on, &settings, &codes).expect("there is room");
        let build = *b"0.1.0\0\0\0\0\0\0\0\0\0\0\0";
        on.finish(&Identity { process: 4711, started: 1_000_000_000, build, ..Identity::default() });
        let EngineCounters { gateway, port, journal, syncs, replicate, execute } = &mut on_engine;
        let mut second = |n: u64| {
            gateway.clock.set(1_000_000_000 + n * 3_725_000_000_000);
            gateway.commands.set(n * 3_000_000);
            gateway.replies.set(n * 2_999_000);
            gateway.events.set(n * 12_345);
            gateway.bytes_read.set(n * 192_000_000);
            gateway.bytes_written.set(n * 384_000_000);
            gateway.accepted.set(12);
            gateway.connections.set(5);
            gateway.sessions.set(4);
            gateway.overruns.set(1);
            gateway.rejects.count(1004);
            gateway.rejects.count(1004);
            gateway.rejects.count(21);
            port.published.set(n * 3_000_000);
            port.full.set(17);
            port.drained.set(n * 3_100_000 - 12);
            journal.position.set(n * 3_000_000 - 20);
            journal.appended.set(n * 3_000_000);
            journal.durable.set(n * 3_000_000 - 1_234);
            journal.segment.set(9);
            replicate.position.set(n * 3_000_000 - 12_288);
            execute.position.set(n * 3_000_000 - 12_298);
            execute.executed.set(n * 3_000_000 - 12_298);
            execute.published.set(n * 3_100_000);
            for value in 1..=1000 {
                journal.batches.record(value / 4);
                syncs.record(n * value * 150);
                journal.appended_age.record(n * value);
                replicate.released_age.record(n * value * 140);
                execute.decided_age.record(n * value * 141);
                gateway.written.record(n * value * 2_000);
            }
        };
        second(1);
        let before = reading();
        second(2);
        Figures::of(&reading(), Some((&before, Duration::from_secs(2))), life).expect("all is there")
    }

    fn screen(width: u16, height: u16, life: Life, trouble: Option<&str>) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a screen");
        let figures = figures(life);
        terminal.draw(|frame| draw(frame, "ringfence.journal/counters", &figures, trouble)).expect("it draws");
        text(terminal.backend().buffer())
    }

    /// Guards against figures that are cut off, misplaced or of another row on the terminal that everybody has.
    #[test]
    fn it_reads_on_80_columns_and_24_rows() {
        let drawn = screen(80, 24, Life::Alive, None);
        let golden = include_str!("screen.txt");
        if std::env::var("RINGFENCE_REWRITE").is_ok() {
            std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/src/top/screen.txt"), format!("{drawn}\n"))
                .expect("it is written");
        }
        assert_eq!(drawn, golden.trim_end(), "RINGFENCE_REWRITE=1 writes it anew");
    }

    /// Guards against a terminal of another size that ends the program.
    #[test]
    fn any_size_is_drawn() {
        for width in [1, 5, 40, 79, 200] {
            for height in [1, 2, 10, 23, 60] {
                let drawn = screen(width, height, Life::Alive, None);
                assert!(
                    drawn.lines().count() <= usize::from(height)
                        && drawn.lines().all(|row| row.chars().count() <= usize::from(width))
                );
            }
        }
    }

    /// Guards against old figures that pass for new ones.
    #[test]
    fn what_is_amiss_is_said() {
        assert!(screen(80, 24, Life::Ended, None).contains("process 4711 has ended: last values"));
        assert!(screen(80, 24, Life::Rebooted, None).contains("process 4711 ended with the machine: last values"));
        let trouble = "counters: No such file or directory";
        assert!(screen(80, 24, Life::Alive, Some(trouble)).ends_with(trouble));
    }

    /// Guards against a text that leaves out what the screen has no room for.
    #[test]
    fn plain_text_has_every_reject() {
        let text = plain("ringfence.journal/counters", &figures(Life::Alive));
        assert!(text.contains("1004 UnknownOrder") && text.contains("21 LogonRefused"), "{text}");
        assert!(!text.contains("NotPermitted"), "there was none");
    }
}
