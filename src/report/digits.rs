//! Numbers, instants and addresses as text, fast. In: values. Out: their digits at the end of a buffer, as `Display` writes them.

use std::io::Write;
use std::net::IpAddr;

use crate::time::{NANOS_PER_SEC, Timestamp};

/// `00` to `99`.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[b'0'; 2]; 100];
    let mut n = 0;
    while n < 100 {
        pairs[n] = [b'0' + (n / 10) as u8, b'0' + (n % 10) as u8];
        n += 1;
    }
    pairs
};

/// The two digits of the last two places of `n`.
const fn pair(n: u64) -> [u8; 2] {
    PAIRS[(n % 100) as usize]
}

/// Appends an integer.
pub fn integer(out: &mut Vec<u8>, value: i64) {
    if let Ok(digit @ 0..10) = u8::try_from(value) {
        return out.push(b'0' + digit);
    }
    // 19 digits at most.
    let (mut digits, mut free, mut rest) = ([0_u8; 20], 20, value.unsigned_abs());
    while rest >= 10 {
        free -= 2;
        digits[free..free + 2].copy_from_slice(&pair(rest));
        rest /= 100;
    }
    if rest > 0 {
        free -= 1;
        digits[free] = b'0' + rest as u8;
    }
    if value < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(&digits[free..]);
}

/// Appends an address.
pub fn address(out: &mut Vec<u8>, ip: IpAddr) {
    let IpAddr::V4(ip) = ip else {
        // Writing into a Vec does not fail.
        let _ = write!(out, "{ip}");
        return;
    };
    let (mut text, mut used) = ([b'.'; 16], 0);
    for octet in ip.octets() {
        let digits = pair(octet.into());
        match octet {
            0..10 => {
                text[used] = digits[1];
                used += 1;
            }
            10..100 => {
                text[used..used + 2].copy_from_slice(&digits);
                used += 2;
            }
            _ => {
                text[used] = b'0' + octet / 100;
                text[used + 1..used + 3].copy_from_slice(&digits);
                used += 3;
            }
        }
        // The dot is there already.
        used += 1;
    }
    out.extend_from_slice(&text[..used - 1]);
}

/// Writes instants; remembers the second of the last one, since those of a column are seldom far apart.
#[derive(Clone, Debug)]
pub struct Stamps {
    second: i64,
    /// `2026-01-02T03:04:05.000000000Z`; the years that can be held have four digits.
    text: [u8; 30],
}

impl Default for Stamps {
    fn default() -> Self {
        // No instant lies in this second.
        Self { second: i64::MIN, text: [b'0'; 30] }
    }
}

impl Stamps {
    /// Appends `ts` as RFC 3339 in UTC with nine digits.
    pub fn write(&mut self, out: &mut Vec<u8>, ts: Timestamp) {
        let (second, nanos) =
            (ts.as_nanos().div_euclid(NANOS_PER_SEC), ts.as_nanos().rem_euclid(NANOS_PER_SEC).unsigned_abs());
        if self.second != second {
            self.second = second;
            if let Ok(text) = <[u8; 30]>::try_from(ts.to_string().as_bytes()) {
                self.text = text;
            }
        }
        let [.., a, b, c, d, e, f, g, h, i, _] = &mut self.text;
        *a = b'0' + (nanos / 100_000_000) as u8;
        [*b, *c] = pair(nanos / 1_000_000);
        [*d, *e] = pair(nanos / 10_000);
        [*f, *g] = pair(nanos / 100);
        [*h, *i] = pair(nanos);
        out.extend_from_slice(&self.text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn integers_read_as_they_print() {
        let powers = (0..19).map(|power| 10_i64.pow(power));
        for value in powers.flat_map(|power| [power - 1, power, power + 1, -power]).chain([0, i64::MIN, i64::MAX, 101])
        {
            assert_eq!(text(|out| integer(out, value)), value.to_string());
        }
    }

    #[test]
    fn addresses_read_as_they_print() {
        for ip in ["0.0.0.0", "255.255.255.255", "10.0.100.9", "1.22.203.99", "::", "2001:db8::1:2", "::ffff:1.2.3.4"] {
            assert_eq!(text(|out| address(out, ip.parse().unwrap())), ip);
        }
    }

    #[test]
    fn instants_read_as_they_print() {
        let mut stamps = Stamps::default();
        for nanos in [0, 5, 999_999_999, 1_000_000_000, -1, -999_999_999, i64::MIN, i64::MAX, 951_782_400_000_000_000] {
            let ts = Timestamp::from_nanos(nanos);
            assert_eq!(text(|out| stamps.write(out, ts)), ts.to_string());
        }
    }
}
