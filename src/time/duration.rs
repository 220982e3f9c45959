//! Lengths of time as a person types them: `60s`, `1.5 h` without the space, `250ms`; a bare number is seconds.

use super::Span;

/// Units and their nanoseconds, those whose name ends another's name after it.
const UNITS: [(&str, f64); 10] = [
    ("ns", 1.0),
    ("us", 1e3),
    ("µs", 1e3),
    ("ms", 1e6),
    ("min", 60e9),
    ("sec", 1e9),
    ("s", 1e9),
    ("m", 60e9),
    ("h", 3_600e9),
    ("d", 86_400e9),
];

/// A hundred years: far beyond any capture, far below what nanoseconds in 64 bits can hold.
const LONGEST_NS: f64 = 100.0 * 365.25 * 86_400e9;

/// Reads a length of time that is longer than nothing.
///
/// # Errors
///
/// A sentence for the user: not a number, an unknown unit, nothing or less, more than a hundred years.
pub fn parse(text: &str) -> Result<Span, String> {
    match parse_any(text)? {
        Span::ZERO => Err("must be longer than nothing".to_owned()),
        span => Ok(span),
    }
}

/// The same, and nothing, too.
///
/// # Errors
///
/// As [`parse`].
pub fn parse_any(text: &str) -> Result<Span, String> {
    let (number, unit_ns) =
        UNITS.iter().find_map(|&(unit, ns)| text.strip_suffix(unit).map(|number| (number, ns))).unwrap_or((text, 1e9));
    // `f64` also reads `inf`, `nan` and `1e9`; a length of time is digits with at most one point.
    let plain = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let value: f64 = match number.parse() {
        Ok(value) if plain => value,
        _ => return Err("a length of time is a number and a unit: 500ms, 60s, 5m, 1.5h (no unit: seconds)".to_owned()),
    };
    let nanos = (value * unit_ns).round();
    if nanos > LONGEST_NS {
        return Err("longer than a hundred years".to_owned());
    }
    Ok(Span::from_nanos(nanos as i64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_and_fractions_are_read() {
        let nanos = |text| parse(text).map(Span::as_nanos);
        assert_eq!(nanos("60"), Ok(60_000_000_000));
        assert_eq!(nanos("60s"), Ok(60_000_000_000));
        assert_eq!(nanos("1.5h"), Ok(5_400_000_000_000));
        assert_eq!(nanos("5m"), Ok(300_000_000_000));
        assert_eq!(nanos("5min"), Ok(300_000_000_000));
        assert_eq!(nanos("250ms"), Ok(250_000_000));
        assert_eq!(nanos("7us"), Ok(7_000));
        assert_eq!(nanos("7µs"), Ok(7_000));
        assert_eq!(nanos("1ns"), Ok(1));
        assert_eq!(nanos("2d"), Ok(172_800_000_000_000));
    }

    #[test]
    fn everything_else_is_refused() {
        for bad in ["", "s", "-1s", "inf", "nan", "1e9", "1.2.3", "5 s", "0", "0.0s", "0.1ns", "99999999d", "5 parsecs"]
        {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }
}
