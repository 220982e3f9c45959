//! Points in a capture's time as a person types them: an instant (RFC 3339) or a length of time from the first packet on.

use crate::pipeline::period::Bound;
use crate::time::{duration, instant};

/// Reads `2026-11-21T10:00:00Z` as an instant and `90s` or `+5m` as a length of time.
///
/// # Errors
///
/// A sentence for the user: neither of the two, a day or an hour that does not exist, a year that a timestamp cannot hold.
pub fn bound(text: &str) -> Result<Bound, String> {
    if text.get(4..5) == Some("-") {
        return instant::parse(text).map(Bound::At);
    }
    duration::parse(text.strip_prefix('+').unwrap_or(text)).map(Bound::After).map_err(|_| {
        "an instant such as 2026-11-21T10:00:00Z, or a length of time from the first packet on such as 90s or 5m"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{NANOS_PER_SEC, Span, Timestamp};

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
