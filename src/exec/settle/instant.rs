//! Dates and times of RFC 3339 as instants: what a comparison of two of them goes by.
//!
//! Owns [`Instant`] and its order. A date is midnight UTC. A fraction of a second has any length, and none of it is
//! rounded. A leap second (`23:59:60` in UTC) lies between the second before it and the midnight after it. Text that is
//! not exactly the grammar of RFC 3339 (a time without an offset, a 31st of April) is no instant, and compares as text.

use std::cmp::Ordering;

/// A point in time, with its fraction of a second as written but for trailing zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Instant<'t> {
    /// Seconds since 1970 of the day's calendar, leap seconds not counted.
    seconds: i64,
    /// Whether it lies in the leap second behind `seconds`.
    leap: bool,
    /// Digits after the point: without trailing zeros, they order as the numbers do.
    fraction: &'t [u8],
}

impl<'t> Instant<'t> {
    /// Reads `text`, all of it.
    pub(crate) fn parse(text: &'t str) -> Option<Instant<'t>> {
        let bytes = text.as_bytes();
        let (date, rest) = bytes.split_at_checked(10)?;
        let day = day_of(date)?;
        if rest.is_empty() {
            return Some(Instant { seconds: day * 86_400, leap: false, fraction: &[] });
        }
        // `T12:34:56` and what follows it.
        let (time, rest) = rest.split_at_checked(9)?;
        let &[b'T' | b't', h1, h2, b':', m1, m2, b':', s1, s2] = time else { return None };
        let (hour, minute, second) = (two(h1, h2)?, two(m1, m2)?, two(s1, s2)?);
        if hour > 23 || minute > 59 || second > 60 {
            return None;
        }
        let (fraction, zone) = split_fraction(rest)?;
        let offset = offset_of(zone)?;
        let leap = second == 60;
        let seconds = day * 86_400 + hour * 3_600 + minute * 60 + if leap { 59 } else { second } - offset;
        // A leap second ends a day of UTC, whatever the clock on the wall says.
        if leap && seconds.rem_euclid(86_400) != 86_399 {
            return None;
        }
        Some(Instant { seconds, leap, fraction })
    }
}

/// An [`Instant`] that keeps its own fraction.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct OwnedInstant {
    seconds: i64,
    leap: bool,
    fraction: Box<[u8]>,
}

impl OwnedInstant {
    /// As [`Instant::parse`].
    pub(crate) fn parse(text: &str) -> Option<OwnedInstant> {
        let Instant { seconds, leap, fraction } = Instant::parse(text)?;
        Some(OwnedInstant { seconds, leap, fraction: fraction.into() })
    }

    pub(crate) fn borrow(&self) -> Instant<'_> {
        Instant { seconds: self.seconds, leap: self.leap, fraction: &self.fraction }
    }
}

/// `value` against `wanted`: as instants where `value` is one, else as text.
pub(crate) fn compare(value: &str, wanted: Instant<'_>, wanted_text: &str) -> Ordering {
    match Instant::parse(value) {
        Some(value) => value.cmp(&wanted),
        None => value.cmp(wanted_text),
    }
}

/// The number that two digits are.
fn two(tens: u8, ones: u8) -> Option<i64> {
    let is_number = tens.is_ascii_digit() && ones.is_ascii_digit();
    is_number.then(|| i64::from(tens - b'0') * 10 + i64::from(ones - b'0'))
}

/// Days from 1970-01-01 to `2024-02-29`, of the Gregorian calendar also before it began.
fn day_of(date: &[u8]) -> Option<i64> {
    let &[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = date else { return None };
    let year = two(y1, y2)? * 100 + two(y3, y4)?;
    let (month, day) = (two(m1, m2)?, two(d1, d2)?);
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if is_leap => 29,
        2 => 28,
        _ => return None,
    };
    if day < 1 || day > last {
        return None;
    }
    // Years that begin in March put the leap day last: every month then begins after (153 m + 2) / 5 days.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let century_days = 365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    Some(century_days + (153 * month + 2) / 5 + day - 1 - 719_468)
}

/// The digits of a fraction without trailing zeros, and what follows them.
fn split_fraction(rest: &[u8]) -> Option<(&[u8], &[u8])> {
    let Some(digits) = rest.strip_prefix(b".") else { return Some((&[], rest)) };
    let count = digits.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(digits.len());
    let (mut digits, zone) = digits.split_at_checked(count)?;
    if digits.is_empty() {
        return None;
    }
    while let Some(shorter) = digits.strip_suffix(b"0") {
        digits = shorter;
    }
    Some((digits, zone))
}

/// Seconds that a zone's clock is before UTC's: `Z`, `+09:00`, and `-00:00`, which is UTC as well.
fn offset_of(zone: &[u8]) -> Option<i64> {
    match *zone {
        [b'Z' | b'z'] => Some(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (two(h1, h2)?, two(m1, m2)?);
            let seconds = hours * 3_600 + minutes * 60;
            (hours <= 23 && minutes <= 59).then_some(if sign == b'+' { seconds } else { -seconds })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_as_one_turns_the_pages() {
        let (mut day, mut year) = (0_i64, 1970);
        // Every day of 1970 to 2400, then back to the year 0.
        let length = |year: i64, month: i64| match month {
            2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        while year <= 2400 {
            for month in 1..=12 {
                for date in 1..=length(year, month) {
                    assert_eq!(day_of(format!("{year:04}-{month:02}-{date:02}").as_bytes()), Some(day));
                    day += 1;
                }
                let beyond = length(year, month) + 1;
                assert_eq!(day_of(format!("{year:04}-{month:02}-{beyond:02}").as_bytes()), None);
            }
            year += 1;
        }
        let (mut day, mut year) = (0_i64, 1969);
        while year >= 0 {
            day -= (1..=12).map(|month| length(year, month)).sum::<i64>();
            assert_eq!(day_of(format!("{year:04}-01-01").as_bytes()), Some(day), "{year}");
            year -= 1;
        }
    }

    #[test]
    fn equal_instants_and_their_order() {
        let equal = [
            ("2024-01-01", "2024-01-01T00:00:00Z"),
            ("2024-01-01", "2024-01-01t00:00:00.000z"),
            ("2024-01-01T12:00:00Z", "2024-01-01T21:00:00+09:00"),
            ("2024-01-01T12:00:00Z", "2024-01-01T06:30:00-05:30"),
            ("2024-01-01T12:00:00Z", "2024-01-01T12:00:00-00:00"),
            ("2024-01-01T12:00:00.5Z", "2024-01-01T12:00:00.50000000000000000000000000Z"),
            ("2016-12-31T23:59:60Z", "2016-12-31T15:59:60-08:00"),
            ("2017-01-01T00:30:00+01:00", "2016-12-31T23:30:00Z"),
            ("0000-01-01", "0000-01-01T23:59:00+23:59"),
        ];
        for (a, b) in equal {
            assert_eq!(Instant::parse(a).unwrap(), Instant::parse(b).unwrap(), "{a} {b}");
        }
        let ascending = [
            "0000-01-01T00:00:00+23:59",
            "1969-12-31T23:59:59.999Z",
            "1970-01-01",
            "2016-12-31T23:59:59.9999999999999999999999999Z",
            "2016-12-31T23:59:60Z",
            "2016-12-31T23:59:60.1Z",
            "2017-01-01T00:00:00.0000000000000000000000001Z",
            "2024-01-01T20:00:00+09:00",
            "2024-01-01T12:00:00Z",
            "2024-01-01T12:00:00.050Z",
            "2024-01-01T12:00:00.5Z",
            "9999-12-31T23:59:59-23:59",
        ];
        for pair in ascending.windows(2) {
            assert!(Instant::parse(pair[0]).unwrap() < Instant::parse(pair[1]).unwrap(), "{pair:?}");
        }
    }

    #[test]
    fn what_is_no_time_is_text() {
        for text in [
            "",
            "2024",
            "2024-01",
            "2024-1-1",
            "2024-13-01",
            "2024-00-10",
            "2024-04-31",
            "2023-02-29",
            "1900-02-29",
            "2024-01-00",
            "2024-01-01T",
            "2024-01-01T12:00:00",
            "2024-01-01 12:00:00Z",
            "2024-01-01T12:00Z",
            "2024-01-01T24:00:00Z",
            "2024-01-01T12:60:00Z",
            "2024-01-01T12:00:61Z",
            "2024-01-01T12:00:60Z",
            "2016-12-31T23:59:60+01:00",
            "2024-01-01T12:00:00.Z",
            "2024-01-01T12:00:00.5",
            "2024-01-01T12:00:00,5Z",
            "2024-01-01T12:00:00+0900",
            "2024-01-01T12:00:00+24:00",
            "2024-01-01T12:00:00+09:60",
            "2024-01-01T12:00:00+09",
            "2024-01-01T12:00:00Z ",
            " 2024-01-01",
            "+2024-01-01",
            "12024-01-01",
            "2024-01-0é",
            "２０２４-01-01",
        ] {
            assert_eq!(Instant::parse(text), None, "{text:?}");
        }
    }
}
