//! Numbers, instants and addresses as text, fast. In: values. Out: their digits at the end of a buffer, as `Display` writes them.

use std::net::{IpAddr, Ipv4Addr};

use crate::time::{NANOS_PER_SEC, Timestamp};

/// Eight digits as bytes, the first one lowest; all of them `0`.
const ZEROS: u64 = 0x3030_3030_3030_3030;
/// What eight digits can tell apart.
const EIGHT: u64 = 100_000_000;

/// The eight digits of a number below [`EIGHT`], four, two and one at a time in the lanes of one word.
#[inline]
const fn eight(n: u64) -> u64 {
    let fours = (n / 10_000) | ((n % 10_000) << 32);
    let hundreds = ((fours * 10_486) >> 20) & 0x7f_0000_007f;
    let twos = hundreds | ((fours - hundreds * 100) << 16);
    let tens = ((twos * 103) >> 10) & 0x000f_000f_000f_000f;
    ZEROS + (tens | ((twos - tens * 10) << 8))
}

/// Appends the first `len` of some bytes: a copy of a length that the compiler knows, and then what is too much goes.
#[inline]
fn put<const N: usize>(out: &mut Vec<u8>, bytes: [u8; N], len: usize) {
    let end = out.len() + len;
    out.extend_from_slice(&bytes);
    out.truncate(end);
}

/// Appends a number below [`EIGHT`].
#[inline]
fn few(out: &mut Vec<u8>, n: u64) {
    let text = eight(n);
    // A zero has a digit, too.
    let leading = ((text ^ ZEROS).trailing_zeros() / 8).min(7);
    put(out, (text >> (8 * leading)).to_le_bytes(), 8 - leading as usize);
}

/// Appends an integer.
#[inline]
pub fn integer(out: &mut Vec<u8>, value: i64) {
    match u64::try_from(value) {
        Ok(value) if value < EIGHT => few(out, value),
        _ => long(out, value),
    }
}

fn long(out: &mut Vec<u8>, value: i64) {
    if value < 0 {
        out.push(b'-');
    }
    let (upper, lower) = (value.unsigned_abs() / EIGHT, value.unsigned_abs() % EIGHT);
    match (upper / EIGHT, upper % EIGHT) {
        (0, 0) => return few(out, lower),
        (0, middle) => few(out, middle),
        (top, middle) => {
            few(out, top);
            out.extend_from_slice(&eight(middle).to_le_bytes());
        }
    }
    out.extend_from_slice(&eight(lower).to_le_bytes());
}

/// Each octet with a dot behind it, and how long that is.
const OCTETS: [([u8; 4], u8); 256] = {
    let mut octets = [([b'.'; 4], 2); 256];
    let mut n = 0;
    while n < 256 {
        let digits = [b'0' + (n / 100) as u8, b'0' + (n / 10 % 10) as u8, b'0' + (n % 10) as u8];
        octets[n] = match n {
            0..10 => ([digits[2], b'.', b'.', b'.'], 2),
            10..100 => ([digits[1], digits[2], b'.', b'.'], 3),
            _ => ([digits[0], digits[1], digits[2], b'.'], 4),
        };
        n += 1;
    }
    octets
};

/// Appends an address: IPv6 as RFC 5952 has it.
pub fn address(out: &mut Vec<u8>, ip: IpAddr) {
    match ip {
        IpAddr::V4(ip) => v4(out, ip),
        IpAddr::V6(ip) => match ip.to_ipv4_mapped() {
            Some(ip) => {
                out.extend_from_slice(b"::ffff:");
                v4(out, ip);
            }
            None => v6(out, ip.segments()),
        },
    }
}

fn v4(out: &mut Vec<u8>, ip: Ipv4Addr) {
    for octet in ip.octets() {
        let (text, len) = OCTETS[usize::from(octet)];
        put(out, text, len.into());
    }
    // The last dot.
    out.pop();
}

fn v6(out: &mut Vec<u8>, segments: [u16; 8]) {
    // Of several runs of zeros the longest is left out, of equal ones the first, a single zero never.
    let (mut gap, mut zeros) = (0..0, 0);
    for (at, &segment) in segments.iter().enumerate() {
        zeros = if segment == 0 { zeros + 1 } else { 0 };
        if zeros > gap.len().max(1) {
            gap = at + 1 - zeros..at + 1;
        }
    }
    let (before, behind) = if gap.is_empty() { (8, 8) } else { (gap.start, gap.end) };
    segments[..before].iter().for_each(|&segment| hexadecimal(out, segment));
    if before < 8 {
        out.extend_from_slice(if before == 0 { b"::" } else { b":" });
        segments[behind..].iter().for_each(|&segment| hexadecimal(out, segment));
    }
    if behind < 8 || before == 8 {
        // The last colon.
        out.pop();
    }
}

/// Appends a number without leading zeros, and a colon.
#[inline]
fn hexadecimal(out: &mut Vec<u8>, n: u16) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |at: u16| DIGITS[usize::from(n >> (4 * at) & 0xf)];
    let leading = (n.leading_zeros() / 4).min(3) as usize;
    let text = u64::from_le_bytes([digit(3), digit(2), digit(1), digit(0), b':', 0, 0, 0]);
    put(out, (text >> (8 * leading)).to_le_bytes(), 5 - leading);
}

/// Appends a word: most are short, and copied without a call.
#[inline]
pub fn word(out: &mut Vec<u8>, word: &str) {
    let bytes = word.as_bytes();
    match (bytes.len(), bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        // The first eight bytes and the last eight; where they overlap they are the same.
        (len @ 8..=16, Some(first), Some(last)) => {
            let last = u128::from(u64::from_le_bytes(*last)) << (8 * (len - 8));
            put(out, (u128::from(u64::from_le_bytes(*first)) | last).to_le_bytes(), len);
        }
        _ => out.extend_from_slice(bytes),
    }
}

/// The second of an instant as text, kept from one instant to the next: most lie in the same second, or at least in the same day.
#[derive(Clone, Debug)]
pub struct Stamps {
    day: i64,
    second: i64,
    /// `2026-01-02T03:04:05.`, then room for nine digits and a `Z`.
    text: [u8; 30],
}

impl Default for Stamps {
    fn default() -> Self {
        // No instant lies in this day.
        Self { day: i64::MIN, second: i64::MIN, text: [b'Z'; 30] }
    }
}

impl Stamps {
    const SECONDS_A_DAY: i64 = 86_400;

    /// Appends an instant in RFC 3339.
    #[inline]
    pub fn write(&mut self, out: &mut Vec<u8>, ts: Timestamp) {
        let (second, nanos) =
            (ts.as_nanos().div_euclid(NANOS_PER_SEC), ts.as_nanos().rem_euclid(NANOS_PER_SEC).unsigned_abs());
        if self.second != second {
            self.turn(second, ts);
        }
        let (first, others) = (b'0' + (nanos / EIGHT) as u8, eight(nanos % EIGHT).to_le_bytes());
        let mut text = self.text;
        text[20] = first;
        text[21..29].copy_from_slice(&others);
        out.extend_from_slice(&text);
    }

    fn turn(&mut self, second: i64, ts: Timestamp) {
        let (day, in_day) =
            (second.div_euclid(Self::SECONDS_A_DAY), second.rem_euclid(Self::SECONDS_A_DAY).unsigned_abs());
        if self.day != day
            && let Some(text) = ts.to_string().as_bytes().first_chunk()
        {
            (self.day, self.text) = (day, *text);
        }
        self.second = second;
        // Two digits each, with what stands between them.
        let [.., h0, h1, m0, m1, s0, s1] =
            eight(in_day / 3600 * 10_000 + in_day / 60 % 60 * 100 + in_day % 60).to_le_bytes();
        let Some([.., a, b, _, c, d, _, e, f, _]) = self.text.first_chunk_mut::<20>() else { return };
        [*a, *b, *c, *d, *e, *f] = [h0, h1, m0, m1, s0, s1];
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

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
        // Each part nothing, or with one, three, four digits.
        for n in 0..4_u32.pow(8) {
            let segments: [u16; 8] =
                std::array::from_fn(|at| [0, 0xa, 0x1b0, 0xc00d][(n / 4_u32.pow(at as u32) % 4) as usize]);
            let ip = Ipv6Addr::from(segments);
            assert_eq!(text(|out| address(out, ip.into())), ip.to_string());
        }
    }

    #[test]
    fn words_stay_as_they_are() {
        for len in 0..20 {
            let all = "abcdefghijklmnopqrst";
            assert_eq!(text(|out| word(out, &all[..len])), all[..len]);
        }
    }

    #[test]
    fn instants_read_as_they_print() {
        let mut stamps = Stamps::default();
        for nanos in [
            0,
            5,
            999_999_999,
            1_000_000_000,
            86_399_000_000_001,
            45_296_000_000_000,
            -1,
            -999_999_999,
            i64::MIN,
            i64::MAX,
            951_782_400_000_000_000,
        ] {
            let ts = Timestamp::from_nanos(nanos);
            assert_eq!(text(|out| stamps.write(out, ts)), ts.to_string());
        }
    }
}
