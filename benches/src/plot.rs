//! A percentile plot as SVG: latency over the logarithm of 1/(1-p), as HdrHistogram's plotter draws it.
//!
//! Drawn by hand: two axes and some polylines are less than a plotting library and its fonts.

use hdrhistogram::Histogram;
use std::fmt::Write as _;

const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 420.0;
const LEFT: f64 = 90.0;
const RIGHT: f64 = 220.0;
const TOP: f64 = 20.0;
const BOTTOM: f64 = 50.0;
/// Nines to the right end: 99.9999 %.
const NINES: f64 = 6.0;
/// Okabe and Ito's colours, told apart by all.
const COLOURS: [&str; 8] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#999999"];

/// Draws `lines`, each with its name, in nanoseconds on a logarithmic axis.
#[must_use]
pub fn percentiles(lines: &[(String, &Histogram<u64>)]) -> String {
    let lowest = lines.iter().map(|(_, line)| line.min_nz()).min().unwrap_or(1).max(1);
    let highest = lines.iter().map(|(_, line)| line.max()).max().unwrap_or(10).max(lowest * 10);
    let (low, high) = ((lowest as f64).log10().floor(), (highest as f64).log10().ceil());
    let x = |nines: f64| LEFT + (WIDTH - LEFT - RIGHT) * nines / NINES;
    let y = |value: f64| HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (value.max(1.0).log10() - low) / (high - low);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    for (nines, label) in ["0", "90", "99", "99.9", "99.99", "99.999", "99.9999"].iter().enumerate() {
        let at = x(nines as f64);
        rule(&mut svg, (at, TOP), (at, HEIGHT - BOTTOM));
        text(&mut svg, (at, HEIGHT - BOTTOM + 18.0), "middle", &format!("{label} %"));
    }
    for decade in low as i32..=high as i32 {
        let at = y(10_f64.powi(decade));
        rule(&mut svg, (LEFT, at), (WIDTH - RIGHT, at));
        text(&mut svg, (LEFT - 8.0, at + 4.0), "end", &duration(10_u64.pow(decade as u32)));
    }
    text(&mut svg, ((LEFT + WIDTH - RIGHT) / 2.0, HEIGHT - 12.0), "middle", "percentile");
    for (index, (name, line)) in lines.iter().enumerate() {
        let colour = COLOURS[index % COLOURS.len()];
        let points = line.iter_quantiles(10).filter(|point| point.quantile_iterated_to() < 1.0);
        let points = points.map(|point| (-(1.0 - point.quantile_iterated_to()).log10(), point.value_iterated_to()));
        let worst = (NINES, line.max());
        let points = points.filter(|(nines, _)| *nines < NINES).chain([worst]);
        let points = points.fold(String::new(), |mut said, (nines, value)| {
            let _ = write!(said, "{:.1},{:.1} ", x(nines), y(value as f64));
            said
        });
        let _ = writeln!(svg, "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\" points=\"{points}\"/>");
        let at = TOP + 14.0 + 18.0 * index as f64;
        let from = WIDTH - RIGHT + 12.0;
        let _ = writeln!(svg, "<path d=\"M{from} {} h16\" stroke=\"{colour}\" stroke-width=\"3\"/>", at - 4.0);
        text(&mut svg, (from + 22.0, at), "start", name);
    }
    svg + "</svg>\n"
}

fn rule(svg: &mut String, from: (f64, f64), to: (f64, f64)) {
    let ((x1, y1), (x2, y2)) = (from, to);
    let _ = writeln!(svg, "<path d=\"M{x1:.1} {y1:.1} L{x2:.1} {y2:.1}\" stroke=\"#ddd\"/>");
}

fn text(svg: &mut String, (x, y): (f64, f64), anchor: &str, words: &str) {
    let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>", escaped(words));
}

/// `words` as text of a document.
#[must_use]
pub fn escaped(words: &str) -> String {
    words.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn duration(ns: u64) -> String {
    match ns {
        0..1_000 => format!("{ns} ns"),
        1_000..1_000_000 => format!("{} µs", ns / 1_000),
        1_000_000..1_000_000_000 => format!("{} ms", ns / 1_000_000),
        _ => format!("{} s", ns / 1_000_000_000),
    }
}
