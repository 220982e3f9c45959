//! Time as the packets tell it: nanoseconds since the Unix epoch. Nothing here can read a clock.

use std::fmt;
use std::num::NonZeroU64;

pub mod duration;
pub mod instant;

/// Nanoseconds in a second.
pub const NANOS_PER_SEC: i64 = 1_000_000_000;

/// An instant on the tap's clock, in nanoseconds since 1970-01-01 00:00:00 UTC.
///
/// Range: the years 1678 to 2262; what lies outside is clamped when it is read.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(
    /// Nanoseconds with the sign's bit turned, so that the order stays and the least of all is free: an `Option` of an instant takes no more room.
    NonZeroU64,
);

impl Timestamp {
    const SIGN: u64 = 1 << 63;
    /// The earliest instant that can be held.
    pub const MIN: Self = Self(NonZeroU64::MIN);
    /// The latest instant that can be held.
    pub const MAX: Self = Self(NonZeroU64::MAX);

    /// From nanoseconds since the epoch, clamped at the ends of the range.
    #[inline]
    pub const fn from_nanos(nanos: i64) -> Self {
        match NonZeroU64::new(nanos as u64 ^ Self::SIGN) {
            Some(turned) => Self(turned),
            None => Self::MIN,
        }
    }

    /// Nanoseconds since the epoch.
    #[inline]
    pub const fn as_nanos(self) -> i64 {
        (self.0.get() ^ Self::SIGN) as i64
    }

    /// `self` − `earlier`; negative when the capture's clock went back, clamped at the ends of the range.
    #[inline]
    pub const fn since(self, earlier: Self) -> Span {
        Span(self.as_nanos().saturating_sub(earlier.as_nanos()))
    }

    /// The instant `span` later, clamped at the ends of the range.
    #[inline]
    pub const fn plus(self, span: Span) -> Self {
        Self::from_nanos(self.as_nanos().saturating_add(span.0))
    }

    /// The instant `span` before, clamped at the ends of the range.
    #[inline]
    pub const fn minus(self, span: Span) -> Self {
        Self::from_nanos(self.as_nanos().saturating_sub(span.0))
    }
}

/// The epoch.
impl Default for Timestamp {
    fn default() -> Self {
        Self::from_nanos(0)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Timestamp").field(&self.as_nanos()).finish()
    }
}

/// RFC 3339 in UTC with nine digits, as the CSV tables write it: `2026-01-02T03:04:05.000000006Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.as_nanos();
        let (days, in_day) = (nanos.div_euclid(86_400 * NANOS_PER_SEC), nanos.rem_euclid(86_400 * NANOS_PER_SEC));
        let (year, month, day) = civil_from_days(days);
        let (seconds, nanos) = (in_day / NANOS_PER_SEC, in_day % NANOS_PER_SEC);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{nanos:09}Z",
            seconds / 3600,
            seconds / 60 % 60,
            seconds % 60
        )
    }
}

/// Days since the epoch → (year, month, day) in the proleptic Gregorian calendar, counted in eras of 400 years
/// whose years begin in March, so that the leap day comes last.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let from_march_0000 = days + 719_468;
    let era = from_march_0000.div_euclid(146_097);
    let day_of_era = from_march_0000.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

/// A length of time in nanoseconds; may be negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(i64);

impl Span {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// From nanoseconds.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// From microseconds, clamped at the ends of the range.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros.saturating_mul(1_000))
    }

    /// From milliseconds, clamped at the ends of the range.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    /// From seconds, clamped at the ends of the range.
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(NANOS_PER_SEC))
    }

    /// Nanoseconds.
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// Both together, clamped at the ends of the range.
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// Nanoseconds, or `None` for a negative span: a clock that went back measured nothing.
    pub fn measured(self) -> Option<i64> {
        (self.0 >= 0).then_some(self.0)
    }
}

/// A person's reading of a span: `250 ns`, `3.4 µs`, `1.20 ms`, `1.02 s`, `12 min 04 s`, `3 h 05 min`, `2 d 3 h`.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let nanos = self.0.unsigned_abs();
        let text = match nanos {
            0..1_000 => format!("{nanos} ns"),
            1_000..1_000_000 => scaled(nanos, 1_000, "µs"),
            1_000_000..1_000_000_000 => scaled(nanos, 1_000_000, "ms"),
            1_000_000_000..120_000_000_000 => scaled(nanos, 1_000_000_000, "s"),
            _ => {
                let seconds = nanos / 1_000_000_000;
                match seconds {
                    0..7_200 => format!("{} min {:02} s", seconds / 60, seconds % 60),
                    7_200..172_800 => format!("{} h {:02} min", seconds / 3600, seconds / 60 % 60),
                    _ => format!("{} d {} h", seconds / 86_400, seconds / 3600 % 24),
                }
            }
        };
        f.pad(&format!("{sign}{text}"))
    }
}

/// Three significant digits or so: `1.02 s`, `64.5 ms`, `210 ms`.
fn scaled(nanos: u64, unit: u64, name: &str) -> String {
    let value = nanos as f64 / unit as f64;
    match value {
        v if v < 9.995 => format!("{v:.2} {name}"),
        v if v < 99.95 => format!("{v:.1} {name}"),
        v => format!("{v:.0} {name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_print_as_rfc_3339() {
        let print = |nanos| Timestamp::from_nanos(nanos).to_string();
        assert_eq!(print(0), "1970-01-01T00:00:00.000000000Z");
        assert_eq!(print(951_782_400 * NANOS_PER_SEC), "2000-02-29T00:00:00.000000000Z");
        assert_eq!(print(1_388_720_759_360_849_000), "2014-01-03T03:45:59.360849000Z");
        assert_eq!(print(-1), "1969-12-31T23:59:59.999999999Z");
        assert_eq!(print(i64::MAX), "2262-04-11T23:47:16.854775807Z");
    }

    #[test]
    fn spans_print_for_a_person() {
        let print = |nanos| Span::from_nanos(nanos).to_string();
        assert_eq!(print(0), "0 ns");
        assert_eq!(print(1_204_000), "1.20 ms");
        assert_eq!(print(210_050_000), "210 ms");
        assert_eq!(print(64_454_000), "64.5 ms");
        assert_eq!(print(60_000_000_000), "60.0 s");
        assert_eq!(print(724_000_000_000), "12 min 04 s");
        assert_eq!(print(-5_000), "-5.00 µs");
    }

    #[test]
    fn arithmetic_is_clamped_at_the_ends() {
        assert_eq!(Timestamp::MAX.since(Timestamp::MIN).as_nanos(), i64::MAX);
        assert_eq!(Timestamp::MAX.plus(Span::from_secs(1)), Timestamp::MAX);
        assert_eq!(Timestamp::from_nanos(i64::MIN), Timestamp::MIN);
        assert!(Timestamp::MIN < Timestamp::from_nanos(-1) && Timestamp::from_nanos(-1) < Timestamp::default());
        assert_eq!(size_of::<Option<Timestamp>>(), size_of::<Timestamp>());
        assert_eq!(Span::from_secs(i64::MAX).as_nanos(), i64::MAX);
    }
}
