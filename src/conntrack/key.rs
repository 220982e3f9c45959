//! Which packets belong together: the 4-tuple without its order, as it is told and in the words that a table compares, and its hashes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::tcp::segment::HostPort;

/// A 4-tuple whose two ends are put in order, so that both directions have the same key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FlowKey {
    low: HostPort,
    high: HostPort,
}

/// Which way a segment went, seen from its [`FlowKey`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the lower end to the higher.
    Up,
    /// From the higher end to the lower. A self-connect (both ends equal) is all `Up`.
    Down,
}

impl Direction {
    /// The other way.
    pub const fn reverse(self) -> Self {
        match self {
            Self::Up => Self::Down,
            Self::Down => Self::Up,
        }
    }
}

impl FlowKey {
    /// The key of a segment from `src` to `dst`, and which way that is.
    pub fn new(src: HostPort, dst: HostPort) -> (Self, Direction) {
        if src <= dst {
            (Self { low: src, high: dst }, Direction::Up)
        } else {
            (Self { low: dst, high: src }, Direction::Down)
        }
    }

    /// The lower and the higher end.
    pub const fn ends(&self) -> [HostPort; 2] {
        [self.low, self.high]
    }

    /// A hash without a seed, the same on every machine and in every run, so that a distributed engine can shuffle by it:
    /// the ends' addresses (IPv4 as IPv4-mapped IPv6, big-endian) and ports, folded word by word through a
    /// multiply-and-rotate and finished as MurmurHash3's 64-bit finalizer does.
    pub fn flow_hash(&self) -> u64 {
        fold_ends(self.ends().map(|end| {
            let address = u128::from(match end.ip {
                IpAddr::V4(ip) => ip.to_ipv6_mapped(),
                IpAddr::V6(ip) => ip,
            });
            ([(address >> 64) as u64, address as u64], end.port)
        }))
    }
}

/// The hash of two ends, their addresses in words.
fn fold_ends(ends: [([u64; 2], u16); 2]) -> u64 {
    let mut hash = 0x9e37_79b9_7f4a_7c15_u64;
    for ([high, low], port) in ends {
        for word in [high, low, u64::from(port)] {
            hash = (hash ^ word).wrapping_mul(0xff51_afd7_ed55_8ccd).rotate_left(29);
        }
    }
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ hash >> 33
}

/// The words of a 4-tuple, lower end first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Key {
    pub(super) low: [u64; 2],
    pub(super) high: [u64; 2],
    pub(super) ports: u32,
    pub(super) v6: bool,
}

impl Key {
    /// Of a segment from `src` to `dst`, ends of one family, and which way it went: the same as [`FlowKey::new`] says, in words.
    #[inline(always)]
    pub fn of(src: &HostPort, dst: &HostPort) -> (Self, Direction) {
        if let (IpAddr::V4(from), IpAddr::V4(to)) = (src.ip, dst.ip) {
            return Self::v4((from.to_bits(), src.port), (to.to_bits(), dst.port));
        }
        let bits = |ip: IpAddr| match ip {
            IpAddr::V4(ip) => u128::from(ip.to_bits()),
            IpAddr::V6(ip) => ip.to_bits(),
        };
        Self::v6((bits(src.ip), src.port), (bits(dst.ip), dst.port))
    }

    /// Of a segment between IPv4 addresses, each with its port, and which way it went.
    #[inline(always)]
    pub fn v4(src: (u32, u16), dst: (u32, u16)) -> (Self, Direction) {
        let [from, to] = [src, dst].map(|(ip, port)| u64::from(ip) << 16 | u64::from(port));
        let (low, high) = (from.min(to), from.max(to));
        let ports = (low as u32) << 16 | high as u32 & 0xffff;
        let key = Self { low: [0, low >> 16], high: [0, high >> 16], ports, v6: false };
        (key, if from <= to { Direction::Up } else { Direction::Down })
    }

    /// Of a segment between IPv6 addresses, each with its port, and which way it went.
    #[inline(always)]
    pub fn v6(src: (u128, u16), dst: (u128, u16)) -> (Self, Direction) {
        let up = src <= dst;
        let (low, high) = if up { (src, dst) } else { (dst, src) };
        let words = |bits: u128| [(bits >> 64) as u64, bits as u64];
        let ports = u32::from(low.1) << 16 | u32::from(high.1);
        let key = Self { low: words(low.0), high: words(high.0), ports, v6: true };
        (key, if up { Direction::Up } else { Direction::Down })
    }

    /// Its ends again, the lower one first.
    pub fn ends(&self) -> [HostPort; 2] {
        let ip = |words: [u64; 2]| match self.v6 {
            true => IpAddr::V6(Ipv6Addr::from_bits(u128::from(words[0]) << 64 | u128::from(words[1]))),
            false => IpAddr::V4(Ipv4Addr::from_bits(words[1] as u32)),
        };
        let [low, high] = [self.ports >> 16, self.ports & 0xffff].map(|port| port as u16);
        [HostPort::new(ip(self.low), low), HostPort::new(ip(self.high), high)]
    }

    /// Both ends are the same.
    pub fn is_self(&self) -> bool {
        self.low == self.high && self.ports >> 16 == self.ports & 0xffff
    }

    /// [`FlowKey::flow_hash`] of the same 4-tuple.
    #[inline]
    pub fn flow_hash(&self) -> u64 {
        let address = |[high, low]: [u64; 2]| if self.v6 { [high, low] } else { [0, 0xffff_0000_0000 | low] };
        fold_ends([(address(self.low), (self.ports >> 16) as u16), (address(self.high), self.ports as u16)])
    }

    /// A hash for one table: multiplications folded to 64 bits, each of the four `seeds` entering where a sender could aim.
    #[inline]
    pub fn hash(&self, seeds: &[u64; 4]) -> u64 {
        let fold = |a: u64, b: u64| {
            let product = u128::from(a) * u128::from(b);
            product as u64 ^ (product >> 64) as u64
        };
        let hosts = fold(self.low[1] ^ seeds[0], self.high[1] ^ seeds[1]);
        let hosts = match self.v6 {
            true => fold(hosts ^ self.low[0] ^ seeds[2], self.high[0] ^ seeds[3]),
            false => hosts,
        };
        fold(hosts ^ u64::from(self.ports), seeds[2] | 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(ip: &str, port: u16) -> HostPort {
        HostPort::new(ip.parse().unwrap(), port)
    }

    #[test]
    fn both_directions_have_one_key_and_one_hash() {
        let (a, b) = (end("10.0.0.1", 40000), end("10.0.0.2", 80));
        let (there, way) = FlowKey::new(a, b);
        let (back, other_way) = FlowKey::new(b, a);
        assert_eq!(there, back);
        assert_ne!(way, other_way);
        assert_eq!(there.flow_hash(), back.flow_hash());
    }

    #[test]
    fn same_address_and_swapped_ports_differ() {
        let ip = "10.0.0.1";
        let (one, _) = FlowKey::new(end(ip, 1), end(ip, 2));
        let (other, _) = FlowKey::new(end(ip, 1), end(ip, 3));
        assert_ne!(one, other);
        assert_ne!(one.flow_hash(), other.flow_hash());
    }

    #[test]
    fn the_hash_is_the_same_for_ever() {
        let (v4, _) = FlowKey::new(end("10.0.0.1", 40000), end("10.0.0.2", 80));
        let (v6, _) = FlowKey::new(end("2001:db8::1", 40000), end("2001:db8::2", 80));
        assert_eq!(v4.flow_hash(), 11_625_686_894_407_046_466);
        assert_eq!(v6.flow_hash(), 10_414_578_542_492_977_333);
    }

    #[test]
    fn a_key_comes_out_again_and_families_differ() {
        let end = |text: &str| text.parse::<std::net::SocketAddr>().map(|s| HostPort::new(s.ip(), s.port())).unwrap();
        let texts = [
            "10.0.0.1:5 10.0.0.2:7",
            "10.0.0.1:5 10.0.0.1:4",
            "10.0.0.1:5 10.0.0.1:5",
            "[::a00:1]:5 [::a00:2]:7",
            "[2001:db8::1]:5 [2001:db8::2]:9",
        ];
        let mut seen = Vec::new();
        for text in texts {
            let (a, b) = text.split_once(' ').map(|(a, b)| (end(a), end(b))).unwrap();
            for (src, dst) in [(a, b), (b, a)] {
                let (words, way) = Key::of(&src, &dst);
                let (key, expected) = FlowKey::new(src, dst);
                assert_eq!((words.ends(), way), (key.ends(), expected));
                assert_eq!(words.flow_hash(), key.flow_hash());
                assert_eq!(words.is_self(), a == b);
                seen.push((words, words.hash(&[1, 2, 3, 4])));
            }
        }
        assert!(seen.chunks(2).all(|both| both[0] == both[1]));
        let distinct: std::collections::HashSet<u64> = seen.iter().map(|entry| entry.1).collect();
        assert_eq!(distinct.len(), texts.len());
    }
}
