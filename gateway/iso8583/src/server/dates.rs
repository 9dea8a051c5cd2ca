//! Dates: days since 1970, of months and days.

use ringfence_domains::atm::messages::BusinessDate;

/// Days since 1970 of a date of the Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year - era * 400;
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The year of a day since 1970.
fn year(day: i64) -> i64 {
    let about = 1_970 + day.div_euclid(366);
    (about..).find(|year| days(year + 1, 1, 1) > day).expect("years have no end")
}

/// Month and day of a day since 1970, four digits.
pub(crate) fn month_and_day(BusinessDate(day): BusinessDate) -> String {
    let (day, year) = (i64::from(day), year(day.into()));
    let month = (1..=12).rev().find(|month| days(year, *month, 1) <= day).expect("a day is of a month");
    format!("{month:02}{:02}", day - days(year, month, 1) + 1)
}

/// The day with this month and day, four digits, that is nearest to `today`.
pub(crate) fn nearest(text: &[u8], today: BusinessDate) -> Option<BusinessDate> {
    let number = |two: &[u8]| -> Option<i64> { core::str::from_utf8(two).ok()?.parse().ok() };
    let (month, day) = (number(text.get(..2)?)?, number(text.get(2..4)?)?);
    let today = i64::from(today.0);
    let of_year = |year: i64| {
        let next = if month == 12 { days(year + 1, 1, 1) } else { days(year, month + 1, 1) };
        let found = days(year, month, day);
        ((1..=12).contains(&month) && day >= 1 && found < next).then_some(found)
    };
    let this = year(today);
    let found = (this - 1..=this + 1).filter_map(of_year).min_by_key(|found| found.abs_diff(today))?;
    u32::try_from(found).ok().map(BusinessDate)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Guards against a date of another year at its turn, and against days that do not exist.
    #[test]
    fn the_nearest_day_is_taken() {
        let day = |year, month, day| BusinessDate(days(year, month, day) as u32);
        assert_eq!(days(1970, 1, 1), 0);
        assert_eq!(days(2000, 3, 1), 11_017);
        assert_eq!(nearest(b"1231", day(2027, 1, 2)), Some(day(2026, 12, 31)));
        assert_eq!(nearest(b"0101", day(2026, 12, 31)), Some(day(2027, 1, 1)));
        assert_eq!(nearest(b"0229", day(2027, 3, 1)), Some(day(2028, 2, 29)), "the nearest year that has it");
        assert_eq!(nearest(b"0229", day(2026, 3, 1)), None);
        for text in ["0101", "0228", "0301", "1130", "1231"] {
            assert_eq!(month_and_day(nearest(text.as_bytes(), day(2026, 6, 1)).expect("a day")), text);
        }
        assert_eq!(month_and_day(day(2028, 2, 29)), "0229");
        for wrong in [&b"0001"[..], b"1301", b"0431", b"0100", b"01", b"ab01"] {
            assert_eq!(nearest(wrong, day(2026, 6, 1)), None, "{}", wrong.escape_ascii());
        }
    }
}
