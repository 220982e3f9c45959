//! How many different ones there are. In: values, each as often as it comes. Out: their number, exact up to 65,536 of them,
//! beyond that estimated with a standard error of 0.8 %, in memory that does not grow.

use std::net::IpAddr;

use super::keys;
use crate::tcp::segment::HostPort;

/// Most values that are remembered one by one.
const EXACT: usize = 1 << 16;
/// 2^14 registers: a standard error of 1.04 ÷ √2^14, 0.8 %.
const REGISTER_BITS: u32 = 14;

/// A value as a number that spreads evenly and is the same in every run. Distinct IPv4 endpoints give distinct numbers.
pub trait Spread {
    /// The number.
    fn spread(&self) -> u64;
}

/// Every bit of the input moves every bit of the output (the finalizer of SplitMix64); a bijection.
pub const fn mix(value: u64) -> u64 {
    let z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Spread for IpAddr {
    fn spread(&self) -> u64 {
        match self {
            Self::V4(ip) => mix(ip.to_bits().into()),
            Self::V6(ip) => {
                let bits = ip.to_bits();
                mix(mix((bits >> 64) as u64 ^ 0x5bd1_e995) ^ bits as u64)
            }
        }
    }
}

impl Spread for HostPort {
    fn spread(&self) -> u64 {
        let port = u64::from(self.port) << 40;
        match self.ip {
            IpAddr::V4(ip) => mix(port | u64::from(ip.to_bits())),
            IpAddr::V6(_) => mix(self.ip.spread() ^ port),
        }
    }
}

/// Different numbers, of which nobody asks before the end: they are put down as they come, and now and then in order.
#[derive(Clone, Debug)]
struct Numbers {
    /// The first so many are in order, each once.
    sorted: usize,
    all: Vec<u64>,
    /// Twice as many are put in order at the least.
    least: usize,
}

/// Of a set that there is once in a run.
impl Default for Numbers {
    fn default() -> Self {
        Self { sorted: 0, all: Vec::new(), least: EXACT }
    }
}

impl Numbers {
    /// Takes a number; whether there are too many.
    #[inline]
    fn add(&mut self, number: u64) -> bool {
        self.all.push(number);
        self.all.len() >= 2 * self.sorted.max(self.least) && self.tidy()
    }

    /// Puts them in order; whether there are too many.
    fn tidy(&mut self) -> bool {
        keys::sort(&mut self.all);
        self.all.dedup();
        self.sorted = self.all.len();
        self.sorted > EXACT
    }
}

/// How many different values there are.
#[derive(Clone, Debug, Default)]
pub struct Distinct {
    known: Numbers,
    /// HyperLogLog: the longest run of zeros by register. Empty until there are too many to know them.
    registers: Vec<u8>,
}

impl Distinct {
    /// One of many, each of which takes little room while there is little to know.
    pub fn one_of_many() -> Self {
        Self { known: Numbers { least: 32, ..Numbers::default() }, registers: Vec::new() }
    }

    /// Takes a value.
    #[inline]
    pub fn add(&mut self, value: &impl Spread) {
        let hash = value.spread();
        if !self.registers.is_empty() {
            self.register(hash);
        } else if self.known.add(hash) {
            self.estimate();
        }
    }

    fn estimate(&mut self) {
        self.registers = vec![0; 1 << REGISTER_BITS];
        for hash in std::mem::take(&mut self.known).all {
            self.register(hash);
        }
    }

    fn register(&mut self, hash: u64) {
        let zeros = ((hash << REGISTER_BITS).leading_zeros() + 1).min(65 - REGISTER_BITS) as u8;
        if let Some(longest) = self.registers.get_mut((hash >> (64 - REGISTER_BITS)) as usize) {
            *longest = zeros.max(*longest);
        }
    }

    /// Their number: exact up to 65,536.
    pub fn count(mut self) -> u64 {
        if self.registers.is_empty() {
            if !self.known.tidy() {
                return self.known.sorted as u64;
            }
            self.estimate();
        }
        // Flajolet, Fusy, Gandouet, Meunier 2007, figure 3; with more than 65,536 values in 2^14 registers its correction for small
        // numbers is never needed, and 64-bit hashes need none for large ones.
        let registers = self.registers.len() as f64;
        let sum: f64 = self.registers.iter().map(|&longest| (-f64::from(longest)).exp2()).sum();
        let alpha = 0.7213 / (1.0 + 1.079 / registers);
        (alpha * registers * registers / sum).round() as u64
    }
}

/// Values of a whole run that may be forgotten never, but may be taken for known wrongly once there are more than 65,536.
#[derive(Clone, Debug, Default)]
pub struct Known {
    exact: Numbers,
    /// A Bloom filter of two hashes.
    filter: Vec<u64>,
}

const FILTER_WORDS: usize = 1 << 14;

impl Known {
    /// Takes a value, spread already.
    #[inline]
    pub fn add(&mut self, hash: u64) {
        if !self.filter.is_empty() {
            self.mark(hash);
        } else if self.exact.add(hash) {
            self.mark_all();
        }
    }

    fn mark_all(&mut self) {
        self.filter = vec![0; FILTER_WORDS];
        for hash in std::mem::take(&mut self.exact).all {
            self.mark(hash);
        }
    }

    fn places(hash: u64) -> [(usize, u64); 2] {
        [hash, hash >> 32].map(|bits| ((bits >> 6) as usize % FILTER_WORDS, 1 << (bits & 63)))
    }

    fn mark(&mut self, hash: u64) {
        for (word, bit) in Self::places(hash) {
            if let Some(word) = self.filter.get_mut(word) {
                *word |= bit;
            }
        }
    }

    /// All have been taken: whether one of them was, or may have been.
    pub fn finish(mut self) -> impl Fn(u64) -> bool {
        if self.filter.is_empty() && self.exact.tidy() {
            self.mark_all();
        }
        move |hash| match self.filter.is_empty() {
            true => self.exact.all.binary_search(&hash).is_ok(),
            false => Self::places(hash)
                .into_iter()
                .all(|(word, bit)| self.filter.get(word).is_some_and(|word| word & bit != 0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    #[test]
    fn up_to_65_536_they_are_counted_exactly() {
        let mut distinct = Distinct::default();
        for n in 0..65_536_u32 {
            distinct.add(&IpAddr::from(Ipv4Addr::from_bits(n.wrapping_mul(7))));
            distinct.add(&IpAddr::from(Ipv4Addr::from_bits(0)));
        }
        assert_eq!(distinct.count(), 65_536);
    }

    #[test]
    fn beyond_they_are_estimated_and_repeats_count_for_nothing() {
        let mut distinct = Distinct::default();
        for n in (0..200_000_u32).chain(0..200_000) {
            distinct.add(&IpAddr::from(Ipv4Addr::from_bits(n)));
        }
        let error = distinct.count() as f64 / 200_000.0 - 1.0;
        assert!(error.abs() < 0.02, "{error}");
    }

    #[test]
    fn addresses_of_both_kinds_and_ports_differ() {
        let four = IpAddr::from(Ipv4Addr::from_bits(1));
        let six = IpAddr::from(Ipv6Addr::from_bits(1));
        let all = [four.spread(), six.spread(), HostPort::new(four, 0).spread(), HostPort::new(six, 0).spread()];
        let more = [HostPort::new(four, 1).spread(), HostPort::new(six, 1).spread()];
        // A port of 0 adds nothing to an address.
        assert_eq!(all.into_iter().chain(more).collect::<HashSet<u64>>().len(), 5);
    }

    #[test]
    fn few_are_known_exactly() {
        let mut known = Known::default();
        (0..300_000).for_each(|n| known.add(mix(n % 1_000)));
        let known = known.finish();
        assert!((0..10_000).all(|n| known(mix(n)) == (n < 1_000)));
    }

    #[test]
    fn what_was_taken_stays_known() {
        let mut known = Known::default();
        (0..100_000).for_each(|n| known.add(mix(n)));
        let known = known.finish();
        assert!((0..100_000).all(|n| known(mix(n))));
        let wrongly = (200_000..300_000).filter(|&n| known(mix(n))).count();
        assert!(wrongly < 6_000, "{wrongly}");
    }
}
