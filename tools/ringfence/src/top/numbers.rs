//! Numbers as a person reads them: seven letters at most where columns stand close.

/// With a comma between groups of three digits.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// With three digits that count and the largest unit below it, each 1,000 times the last: `1.23M`.
#[must_use]
pub fn scaled(number: f64, units: &[&str]) -> String {
    let (mut number, mut at) = (number, 0);
    while number >= 999.5 && at + 1 < units.len() {
        (number, at) = (number / 1000.0, at + 1);
    }
    let digits = match number {
        _ if at == 0 => 0,
        ..9.995 => 2,
        ..99.95 => 1,
        _ => 0,
    };
    format!("{number:.digits$}{}", units[at])
}

/// Nanoseconds.
#[must_use]
pub fn duration(ns: u64) -> String {
    scaled(ns as f64, &["ns", "µs", "ms", "s"])
}

/// How often a second.
#[must_use]
pub fn per_second(rate: f64) -> String {
    if rate > 0.0 && rate < 9.95 { format!("{rate:.1}") } else { scaled(rate, &["", "k", "M", "G"]) }
}

/// Bytes, by powers of 1,000.
#[must_use]
pub fn bytes(bytes: f64) -> String {
    scaled(bytes, &["B", "kB", "MB", "GB", "TB"])
}

/// Hours, minutes and seconds.
#[must_use]
pub fn clock(seconds: u64) -> String {
    format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards against figures that are off by a unit, or run into the next column.
    #[test]
    fn figures_keep_their_unit_and_width() {
        for (ns, text) in [
            (0, "0ns"),
            (999, "999ns"),
            (1_000, "1.00µs"),
            (9_994, "9.99µs"),
            (9_996, "10.0µs"),
            (99_960, "100µs"),
            (999_499, "999µs"),
            (999_500, "1.00ms"),
            (12_345_678, "12.3ms"),
            (61_000_000_000, "61.0s"),
        ] {
            assert_eq!(duration(ns), text);
            assert!(duration(ns).chars().count() <= 6);
        }
        assert_eq!((grouped(0), grouped(999), grouped(1_234_567)), ("0".into(), "999".into(), "1,234,567".into()));
        assert_eq!((per_second(0.0), per_second(0.26), per_second(10.0)), ("0".into(), "0.3".into(), "10".into()));
        assert_eq!((bytes(12.0), bytes(1.5e9), clock(3_725)), ("12B".into(), "1.50GB".into(), "1:02:05".into()));
    }
}
