//! What the table keeps of a flow: who, where its segments are, and what decides whether they must be judged now.

use super::brief::Brief;
use super::key::Key;
use super::packed::{Base, Packed};
use crate::tcp::segment::{Flags, FrameId};
use crate::time::Timestamp;

/// Segments that stay packed. Unpacked, a flow takes about as much room as a hundred of them.
pub const MOST_PACKED: usize = 24;
/// Packed segments kept in one piece.
pub const IN_CHUNK: usize = 2;

/// Some segments of a flow.
#[derive(Clone, Copy, Debug, Default)]
pub struct Chunk {
    /// In order; what stands behind the flow's last one means nothing.
    pub segments: [Packed; IN_CHUNK],
    /// The chunk before; meaningless in the first.
    pub prev: u32,
    /// In the first: the VLAN id of the flow's first frame + 1; 0 for none.
    pub vlan: u16,
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
    pub fn new(first: &Brief) -> Self {
        let key = &first.key;
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

    /// Is a segment with these control bits one more of a packed flow, with nothing to be done but to keep it?
    #[inline]
    pub const fn takes(&self, flags: Flags) -> bool {
        let unusual = Self::UNPACKED | Self::ONLY_SYNS | Self::SPLIT;
        let closes = flags.has_any(Flags::FIN.or(Flags::RST)) && !self.is(Self::TIMED);
        !(self.is(unusual) || flags.has_any(Flags::SYN) || closes || self.count() == MOST_PACKED)
    }

    /// Is a segment with these control bits judged at once, as part of a flow that is not packed any more?
    #[inline]
    pub const fn is_judged(&self, flags: Flags) -> bool {
        self.place & (Self::UNPACKED | Self::SPLIT) == Self::UNPACKED
            && !flags.has_any(Flags::SYN.or(Flags::FIN).or(Flags::RST))
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
}
