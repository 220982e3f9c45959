//! Instants as text, fast. In: timestamps, mostly near the one before. Out: what `Timestamp`'s `Display` writes.

use crate::time::{NANOS_PER_SEC, Timestamp};

/// Writes instants; remembers the second of the last one, since a table's rows are seldom far apart.
#[derive(Default)]
pub struct Stamps {
    second: Option<i64>,
    /// `2026-01-02T03:04:05.` of that second.
    prefix: Vec<u8>,
}

impl Stamps {
    /// Appends `ts` as RFC 3339 in UTC with nine digits.
    pub fn write(&mut self, out: &mut Vec<u8>, ts: Timestamp) {
        let second = ts.as_nanos().div_euclid(NANOS_PER_SEC);
        if self.second != Some(second) {
            let text = ts.to_string();
            let (prefix, _) = text.split_at(text.len().saturating_sub("000000000Z".len()));
            self.prefix.clear();
            self.prefix.extend_from_slice(prefix.as_bytes());
            self.second = Some(second);
        }
        out.extend_from_slice(&self.prefix);
        let mut rest = ts.as_nanos().rem_euclid(NANOS_PER_SEC);
        let mut digits = *b"000000000Z";
        for digit in digits.iter_mut().rev().skip(1) {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        out.extend_from_slice(&digits);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_read_as_timestamps_print() {
        let mut stamps = Stamps::default();
        for nanos in [0, 5, 999_999_999, 1_000_000_000, -1, -999_999_999, i64::MIN, i64::MAX, 951_782_400_000_000_000] {
            let ts = Timestamp::from_nanos(nanos);
            let mut out = Vec::new();
            stamps.write(&mut out, ts);
            assert_eq!(String::from_utf8(out).unwrap(), ts.to_string());
        }
    }
}
