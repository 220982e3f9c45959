//! Instants as a person types them. In: RFC 3339. Out: a timestamp.

use super::{NANOS_PER_SEC, Timestamp};

/// An instant of RFC 3339: `T` may be a space, the offset may be missing and is then `Z`. A leap second is the second after it.
///
/// # Errors
///
/// A sentence for the user.
pub fn parse(text: &str) -> Result<Timestamp, String> {
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

/// An instant whose end may be missing, from the year on: `2026-11-21` is its midnight, `2026-11-21T10` its tenth hour.
///
/// # Errors
///
/// As [`parse`].
pub fn parse_beginning(text: &str) -> Result<Timestamp, String> {
    const REST: &str = "0000-01-01T00:00:00";
    let is_beginning = [4, 7, 10, 13, 16].contains(&text.len());
    match REST.get(text.len()..).filter(|_| is_beginning) {
        Some(rest) => parse(&format!("{text}{rest}")),
        None => parse(text),
    }
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

    #[test]
    fn offsets_fractions_and_spaces_are_read() {
        let ten = parse("2026-11-21T10:00:00Z").unwrap();
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
            assert_eq!(parse(same), Ok(ten), "{same}");
        }
        let after = |text| parse(text).unwrap().since(ten).as_nanos();
        assert_eq!(after("2026-11-21T10:00:00.25Z"), 250_000_000);
        assert_eq!(after("2026-11-21T10:00:00.0000000019+00:00"), 1);
    }

    #[test]
    fn the_end_of_an_instant_may_be_missing() {
        let midnight = parse("2026-01-01T00:00:00Z");
        for text in ["2026", "2026-01", "2026-01-01", "2026-01-01T00", "2026-01-01 00:00", "2026-01-01T01:00:00+01:00"]
        {
            assert_eq!(parse_beginning(text), midnight, "{text}");
        }
        for bad in [
            "",
            "202",
            "2026-1",
            "2026-01-0",
            "2026-13",
            "2026-01-01T24",
            "2026-01-01T00:0",
            "noon",
            "2026-01-01Z",
            "äöü-",
        ] {
            assert!(parse_beginning(bad).is_err(), "{bad:?}");
        }
    }
}
