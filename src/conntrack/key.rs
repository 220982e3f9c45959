//! Which packets belong together: the 4-tuple without its order, and a hash of it that is the same everywhere.

use std::net::IpAddr;

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
        let mut hash = 0x9e37_79b9_7f4a_7c15_u64;
        for end in self.ends() {
            let address = u128::from(match end.ip {
                IpAddr::V4(ip) => ip.to_ipv6_mapped(),
                IpAddr::V6(ip) => ip,
            });
            for word in [(address >> 64) as u64, address as u64, u64::from(end.port)] {
                hash = (hash ^ word).wrapping_mul(0xff51_afd7_ed55_8ccd).rotate_left(29);
            }
        }
        hash ^= hash >> 33;
        hash = hash.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        hash ^ hash >> 33
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
}
