//! What the table keeps of a flow: who, where its segments are, and what decides whether they must be judged now.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::key::{Direction, FlowKey};
use super::packed::{Base, Packed};
use crate::tcp::segment::{FrameId, HostPort, Segment};
use crate::time::Timestamp;

/// Packed segments kept in one piece.
pub const IN_CHUNK: usize = 2;

/// Some segments of a flow.
#[derive(Clone, Copy, Debug, Default)]
pub struct Chunk {
    /// In order; the places behind the flow's last one repeat it.
    pub segments: [Packed; IN_CHUNK],
    /// The chunk before; meaningless in the first.
    pub prev: u32,
    /// The VLAN id of the flow's first frame + 1; 0 for none.
    pub vlan: u16,
}

/// The words of a 4-tuple, lower end first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Key {
    low: [u64; 2],
    high: [u64; 2],
    ports: u32,
    v6: bool,
}

impl Key {
    /// Of a segment from `src` to `dst`, ends of one family, and which way it went: the same as [`FlowKey::new`] says, in words.
    #[inline]
    pub fn of(src: &HostPort, dst: &HostPort) -> (Self, Direction) {
        if let (IpAddr::V4(from), IpAddr::V4(to)) = (src.ip, dst.ip) {
            let [from, to] =
                [(from, src.port), (to, dst.port)].map(|(ip, port)| u64::from(ip.to_bits()) << 16 | u64::from(port));
            let (low, high) = (from.min(to), from.max(to));
            let ports = (low as u32) << 16 | high as u32 & 0xffff;
            let key = Self { low: [0, low >> 16], high: [0, high >> 16], ports, v6: false };
            return (key, if from <= to { Direction::Up } else { Direction::Down });
        }
        let words = |ip: IpAddr| match ip {
            IpAddr::V4(ip) => [0, u64::from(ip.to_bits())],
            IpAddr::V6(ip) => [(ip.to_bits() >> 64) as u64, ip.to_bits() as u64],
        };
        let (key, direction) = FlowKey::new(*src, *dst);
        let [low, high] = key.ends();
        let ports = u32::from(low.port) << 16 | u32::from(high.port);
        (Self { low: words(low.ip), high: words(high.ip), ports, v6: true }, direction)
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

/// One flow, in a cache line.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(64))]
pub struct Head {
    low: [u64; 2],
    high: [u64; 2],
    ports: u32,
    /// Its last chunk, or, unpacked, its number among those.
    pub last: u32,
    first_ts: Timestamp,
    first_frame: FrameId,
    /// The place of its first segment in the run, above 16 bits of marks and count.
    place: u64,
}

impl Head {
    /// It is told segment by segment.
    pub const UNPACKED: u64 = 1 << 8;
    /// It will be looked at when it has been silent for long.
    pub const TIMED: u64 = 1 << 9;
    /// All it has seen are copies of one SYN.
    pub const ONLY_SYNS: u64 = 1 << 10;
    /// Other flows have its 4-tuple, elsewhere.
    pub const SPLIT: u64 = 1 << 13;
    /// Its SYN was seen in several places.
    pub const SEVERAL_PLACES: u64 = 1 << 14;
    const V6: u64 = 1 << 11;
    const TAKEN: u64 = 1 << 12;
    /// Payloads told something of it.
    pub const NAMED: u64 = 1 << 15;
    /// Segments packed.
    const COUNT: u64 = 0xff;
    const MARKS: u32 = 16;

    /// A flow that begins with `first`.
    pub fn new(key: Key, first: &Segment) -> Self {
        let marks = Self::TAKEN | if key.v6 { Self::V6 } else { 0 };
        Self {
            low: key.low,
            high: key.high,
            ports: key.ports,
            last: 0,
            first_ts: first.ts,
            first_frame: first.frame,
            place: first.ordinal << Self::MARKS | marks,
        }
    }

    /// Its first segment is packed in `chunk`.
    pub fn begin(&mut self, chunk: u32, is_syn: bool) {
        self.last = chunk;
        self.place |= 1 | if is_syn { Self::ONLY_SYNS } else { 0 };
    }

    /// Is it a flow of this 4-tuple?
    #[inline]
    pub fn is_of(&self, key: &Key) -> bool {
        let differ = |a: [u64; 2], b: [u64; 2]| (a[0] ^ b[0]) | (a[1] ^ b[1]);
        let marks = Self::TAKEN | if key.v6 { Self::V6 } else { 0 };
        differ(self.low, key.low)
            | differ(self.high, key.high)
            | u64::from(self.ports ^ key.ports)
            | (self.place & (Self::TAKEN | Self::V6) ^ marks)
            == 0
    }

    /// Whose it is.
    #[inline]
    pub fn key(&self) -> Key {
        Key { low: self.low, high: self.high, ports: self.ports, v6: self.place & Self::V6 != 0 }
    }

    /// What its segments are counted from.
    #[inline]
    pub const fn base(&self) -> Base {
        Base { ts: self.first_ts, frame: self.first_frame, ordinal: self.place >> Self::MARKS }
    }

    /// Is it the flow that was to be looked at, the low bits of whose first place are `place`?
    #[inline]
    pub const fn is_due(&self, place: u32) -> bool {
        self.is(Self::TIMED) && self.base().ordinal as u32 == place
    }

    /// Does it have one of these marks?
    #[inline]
    pub const fn is(&self, marks: u64) -> bool {
        self.place & marks != 0
    }

    /// A flow has this place.
    pub const fn is_taken(&self) -> bool {
        self.is(Self::TAKEN)
    }

    /// Sets marks.
    #[inline]
    pub const fn mark(&mut self, marks: u64) {
        self.place |= marks;
    }

    /// Takes marks away.
    #[inline]
    pub const fn unmark(&mut self, marks: u64) {
        self.place &= !marks;
    }

    /// Packed segments.
    #[inline]
    pub const fn count(&self) -> usize {
        (self.place & Self::COUNT) as usize
    }

    /// One more is packed; the caller keeps them below 255.
    #[inline]
    pub const fn counted(&mut self) {
        self.place += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_mark_shares_a_bit_with_another_or_with_what_stands_beside_them() {
        use Head as H;
        let marks = [H::UNPACKED, H::TIMED, H::ONLY_SYNS, H::V6, H::TAKEN, H::SPLIT, H::SEVERAL_PLACES, H::NAMED];
        let all = marks.iter().fold(H::COUNT, |known, mark| {
            assert_eq!(known & mark, 0, "{mark:#x}");
            known | mark
        });
        assert!(all < 1 << H::MARKS);
    }

    #[test]
    fn a_flow_takes_a_cache_line_and_its_segments_eighty_bytes_for_two() {
        assert_eq!((size_of::<Head>(), align_of::<Head>(), size_of::<Chunk>()), (64, 64, 80));
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
                assert_eq!(words.is_self(), a == b);
                seen.push((words, words.hash(&[1, 2, 3, 4])));
            }
        }
        assert!(seen.chunks(2).all(|both| both[0] == both[1]));
        let distinct: std::collections::HashSet<u64> = seen.iter().map(|entry| entry.1).collect();
        assert_eq!(distinct.len(), texts.len());
    }
}
