//! Points in a capture's time as a person types them: an instant (RFC 3339) or a length of time from the first packet on.

use super::duration;
use crate::pipeline::period::Bound;
use crate::time::{NANOS_PER_SEC, Timestamp};

/// Reads `2026-11-21T10:00:00Z` as an instant and `90s` or `+5m` as a length of time.
///
/// # Errors
///
/// A sentence for the user: neither of the two, a day or an hour that does not exist, a year that a timestamp cannot hold.
pub fn bound(text: &str) -> Result<Bound, String> {
    if text.get(4..5) == Some("-") {
        return instant(text).map(Bound::At);
    }
    duration::parse(text.strip_prefix('+').unwrap_or(text)).map(Bound::After).map_err(|_| {
        "an instant such as 2026-11-21T10:00:00Z, or a length of time from the first packet on such as 90s or 5m"
            .to_owned()
    })
}

/// An instant of RFC 3339: `T` may be a space, the offset may be missing and is then `Z`. A leap second is the second after it.
///
/// # Errors
///
/// A sentence for the user.
fn instant(text: &str) -> Result<Timestamp, String> {
    let fields =
        fields(text).ok_or("an instant is a date, a time and perhaps an offset: 2026-11-21T10:00:00.5+01:00")?;
    let Fields { year, month, day, hour, minute, second, nanos, offset_minutes } = fields;
    if !(1..=12).contains(&month) || day < 1 || day > days_in(year, month) {
        return Err("there is no such day".to_owned());
    }
    if hour > 23 || minute > 59 || second > 60 || offset_minutes.abs() >= 24 * 60 {
        return Err("there is no such time of day".to_owned());
    }
    // Four digits of years are some 10^11 seconds: far from the ends of 64 bits.
    let seconds = days_from_civil(year, month, day) * 86_400 + hour * 3_600 + (minute - offset_minutes) * 60 + second;
    seconds
        .checked_mul(NANOS_PER_SEC)
        .and_then(|whole| whole.checked_add(nanos))
        .map(Timestamp::from_nanos)
        .ok_or_else(|| "only the years 1678 to 2262 can be told".to_owned())
}

/// What an instant's text says, in range or not.
struct Fields {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    nanos: i64,
    offset_minutes: i64,
}

fn fields(text: &str) -> Option<Fields> {
    let bytes = text.as_bytes();
    let (date_and_time, rest) = bytes.split_at_checked("2026-11-21T10:00:00".len())?;
    let &[y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1, b'T' | b't' | b' ', h0, h1, b':', n0, n1, b':', s0, s1] =
        date_and_time
    else {
        return None;
    };
    let (nanos, rest) = match rest.split_first() {
        Some((b'.', rest)) => {
            let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            let (fraction, rest) = rest.split_at_checked(digits).filter(|_| digits > 0)?;
            // Below a nanosecond it is cut.
            let nine = fraction.iter().chain(std::iter::repeat(&b'0')).take(9);
            (nine.fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0')), rest)
        }
        _ => (0, rest),
    };
    let offset_minutes = match *rest {
        [] | [b'Z' | b'z'] => 0,
        [sign @ (b'+' | b'-'), h0, h1, b':', m0, m1] => {
            let minutes = number(&[m0, m1]).filter(|minutes| *minutes < 60)?;
            (number(&[h0, h1])? * 60 + minutes) * if sign == b'-' { -1 } else { 1 }
        }
        _ => return None,
    };
    Some(Fields {
        year: number(&[y0, y1, y2, y3])?,
        month: number(&[m0, m1])?,
        day: number(&[d0, d1])?,
        hour: number(&[h0, h1])?,
        minute: number(&[n0, n1])?,
        second: number(&[s0, s1])?,
        nanos,
        offset_minutes,
    })
}

/// A few digits and nothing else.
fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + i64::from(digit - b'0')))
}

fn days_in(year: i64, month: i64) -> i64 {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => 28 + i64::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// A date of the proleptic Gregorian calendar → days since the epoch, counted in eras of 400 years whose years begin in
/// March, so that the leap day comes last.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month > 2 { year } else { year - 1 };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Span;

    #[test]
    fn instants_read_as_they_print() {
        for nanos in [0, 1, -1, 951_782_400_000_000_000, 1_388_720_759_360_849_000, i64::MAX, i64::MIN + 1_000_000_000]
        {
            let ts = Timestamp::from_nanos(nanos);
            assert_eq!(bound(&ts.to_string()), Ok(Bound::At(ts)));
        }
        for day in (-106_000..106_000).step_by(13) {
            let ts = Timestamp::from_nanos(day * 86_400 * NANOS_PER_SEC);
            assert_eq!(bound(&ts.to_string()), Ok(Bound::At(ts)));
        }
    }

    #[test]
    fn offsets_fractions_and_spaces_are_read() {
        let ten = instant("2026-11-21T10:00:00Z").unwrap();
        assert_eq!(ten.as_nanos(), 1_795_255_200 * NANOS_PER_SEC);
        for same in [
            "2026-11-21T10:00:00",
            "2026-11-21 10:00:00",
            "2026-11-21t10:00:00z",
            "2026-11-21T10:00:00.000",
            "2026-11-21T11:00:00+01:00",
            "2026-11-21T04:30:00-05:30",
            "2026-11-20T23:00:00.0-11:00",
            "2026-11-21T09:59:60Z",
        ] {
            assert_eq!(instant(same), Ok(ten), "{same}");
        }
        let after = |text| instant(text).unwrap().since(ten).as_nanos();
        assert_eq!(after("2026-11-21T10:00:00.25Z"), 250_000_000);
        assert_eq!(after("2026-11-21T10:00:00.0000000019+00:00"), 1);
    }

    #[test]
    fn lengths_of_time_count_from_the_first_packet() {
        assert_eq!(bound("90s"), Ok(Bound::After(Span::from_secs(90))));
        assert_eq!(bound("+5m"), Ok(Bound::After(Span::from_secs(300))));
        assert_eq!(bound("1.5h"), Ok(Bound::After(Span::from_secs(5_400))));
    }

    #[test]
    fn everything_else_is_refused() {
        for bad in [
            "",
            "-5s",
            "++5s",
            "noon",
            "2026-11-21",
            "2026-11-21T10:00",
            "2026-11-21T10:00:00.Z",
            "2026-11-21T10:00:00+1:00",
            "2026-11-21T10:00:00+01:60",
            "2026-11-21T10:00:00 Z",
            "2026-11-21T10:00:00Zulu",
            "2026-11-21T24:00:00Z",
            "2026-11-21T10:60:00Z",
            "2026-11-21T10:00:61Z",
            "2026-11-21T10:00:00+24:00",
            "2026-13-21T10:00:00Z",
            "2026-00-21T10:00:00Z",
            "2026-11-31T10:00:00Z",
            "2026-02-29T10:00:00Z",
            "1900-02-29T10:00:00Z",
            "0000-01-01T00:00:00Z",
            "9999-12-31T23:59:59Z",
            "+026-11-21T10:00:00Z",
            "2026-١1-21T10:00:00Z",
        ] {
            assert!(bound(bad).is_err(), "{bad:?}");
        }
    }
}
