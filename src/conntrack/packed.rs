//! A segment in 36 bytes. In: a segment of a flow whose first segment is known. Out: the same segment again.
//!
//! Most connections are short, and nothing they did has to be judged before they are over: until then their segments are kept
//! packed, and told all at once.

use super::key::Direction;
use crate::tcp::segment::{Flags, FrameId, Options, Segment};
use crate::tcp::seq::SeqNum;
use crate::tcp::usual::Counted;
use crate::time::Timestamp;

/// What a flow's packed segments are counted from: its first one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Base {
    /// When it passed.
    pub ts: Timestamp,
    /// Its frame.
    pub frame: FrameId,
    /// Its place among all packets of the run.
    pub ordinal: u64,
}

impl Base {
    /// A flow that begins with `first`.
    pub const fn of(first: &Segment) -> Self {
        Self { ts: first.ts, frame: first.frame, ordinal: first.ordinal }
    }
}

/// A segment; all but its ordinal comes out again.
#[derive(Clone, Copy, Debug, Default)]
pub struct Packed {
    /// Nanoseconds since the first, the low 32 bits.
    since: u32,
    /// Frames since the first.
    frames: u32,
    seq: u32,
    ack: u32,
    value: u32,
    echo: u32,
    window: u16,
    id: u16,
    checksum: u16,
    payload: u16,
    /// Nanoseconds since the first, the bits from 32 on: 18 minutes in all.
    since_high: u8,
    /// `ip_len` less the payload.
    headers: u8,
    /// The control bits, and which of `value`, `echo` and `id` there are.
    flags: u8,
    /// The direction, the two marks of damage, and the shift count + 1 of window scale.
    rest: u8,
}

const HAS_TIMESTAMPS: u8 = 0x40;
const HAS_ID: u8 = 0x80;
const DOWN: u8 = 1;
const BAD_CHECKSUM: u8 = 2;
const OPTIONS_CUT: u8 = 4;
const SCALE: u32 = 3;

impl Packed {
    /// Packs a segment; `None` for what does not fit: one with a SACK block, one of another file than the first, before the
    /// first or more than 18 minutes after it, one with 64 KiB of payload.
    #[inline]
    pub fn pack(base: &Base, direction: Direction, seg: &Segment) -> Option<Self> {
        // What is negative wraps round, and does not fit either.
        let since = seg.ts.since(base.ts).as_nanos() as u64;
        let frames = seg.frame.number().wrapping_sub(base.frame.number());
        let headers = seg.ip_len.wrapping_sub(seg.payload_len);
        let files = u64::from(seg.frame.file() ^ base.frame.file());
        let beyond = since >> 40 | frames >> 32 | files | u64::from(headers >> 8 | seg.payload_len >> 16);
        if beyond | u64::from(seg.options.sack.is_some()) != 0 {
            return None;
        }
        let (value, echo) = seg.options.timestamps.unwrap_or_default();
        let scale = seg.options.window_scale.map_or(0, |shift| shift + 1);
        let mut flags = seg.flags.bits();
        flags |= if seg.options.timestamps.is_some() { HAS_TIMESTAMPS } else { 0 };
        flags |= if seg.ip_id.is_some() { HAS_ID } else { 0 };
        let mut rest = scale << SCALE;
        rest |= if direction == Direction::Down { DOWN } else { 0 };
        rest |= if seg.bad_checksum { BAD_CHECKSUM } else { 0 };
        rest |= if seg.options_cut { OPTIONS_CUT } else { 0 };
        Some(Self {
            since: since as u32,
            frames: frames as u32,
            seq: seg.seq.raw(),
            ack: seg.ack.raw(),
            value,
            echo,
            window: seg.window,
            id: seg.ip_id.unwrap_or_default(),
            checksum: seg.checksum,
            payload: seg.payload_len as u16,
            since_high: (since >> 32) as u8,
            headers: headers as u8,
            flags,
            rest,
        })
    }

    /// Which way it went.
    #[inline]
    pub const fn direction(&self) -> Direction {
        if self.rest & DOWN == 0 { Direction::Up } else { Direction::Down }
    }

    /// Did it go the same way as `other`?
    #[inline]
    pub const fn is_along(&self, other: &Self) -> bool {
        (self.rest ^ other.rest) & DOWN == 0
    }

    /// Its control bits.
    #[inline]
    pub const fn flags(&self) -> Flags {
        Flags::from_bits(self.flags)
    }

    /// SEG.SEQ.
    #[inline]
    pub const fn seq(&self) -> SeqNum {
        SeqNum::new(self.seq)
    }

    /// SEG.ACK, if it means something.
    #[inline]
    pub const fn acknowledges(&self) -> Option<SeqNum> {
        if self.flags().has_all(Flags::ACK) { Some(SeqNum::new(self.ack)) } else { None }
    }

    /// Behind everything it carries.
    #[inline]
    pub const fn end(&self) -> SeqNum {
        let flags = self.flags();
        let controls = flags.has_all(Flags::SYN) as u32 + flags.has_all(Flags::FIN) as u32;
        SeqNum::new(self.seq).plus(self.payload as u32 + controls)
    }

    /// When it passed.
    #[inline]
    pub const fn ts(&self, base: &Base) -> Timestamp {
        let since = (self.since_high as i64) << 32 | self.since as i64;
        Timestamp::from_nanos(base.ts.as_nanos() + since)
    }

    /// IP bytes, headers included.
    #[inline]
    pub const fn wire_bytes(&self) -> u32 {
        self.payload as u32 + self.headers as u32
    }

    /// The segment; its ordinal is the first one's.
    #[inline]
    pub fn unpack(&self, base: &Base) -> Segment {
        let scale = self.rest >> SCALE;
        let options = Options {
            timestamps: (self.flags & HAS_TIMESTAMPS != 0).then_some((self.value, self.echo)),
            window_scale: scale.checked_sub(1),
            sack: None,
        };
        Segment {
            ts: self.ts(base),
            ordinal: base.ordinal,
            frame: FrameId::new(base.frame.file(), base.frame.number() + u64::from(self.frames)),
            seq: SeqNum::new(self.seq),
            ack: SeqNum::new(self.ack),
            flags: self.flags(),
            window: self.window,
            payload_len: self.payload.into(),
            ip_len: self.wire_bytes(),
            ip_id: (self.flags & HAS_ID != 0).then_some(self.id),
            checksum: self.checksum,
            bad_checksum: self.rest & BAD_CHECKSUM != 0,
            options_cut: self.rest & OPTIONS_CUT != 0,
            options,
        }
    }
}

impl Counted for Packed {
    #[inline]
    fn at(&self) -> i64 {
        i64::from(self.since_high) << 32 | i64::from(self.since)
    }

    #[inline]
    fn frames(&self) -> u32 {
        self.frames
    }

    #[inline]
    fn seq(&self) -> SeqNum {
        SeqNum::new(self.seq)
    }

    #[inline]
    fn ack(&self) -> SeqNum {
        SeqNum::new(self.ack)
    }

    #[inline]
    fn flags(&self) -> Flags {
        Self::flags(self)
    }

    #[inline]
    fn window(&self) -> u16 {
        self.window
    }

    #[inline]
    fn payload(&self) -> u32 {
        self.payload.into()
    }

    #[inline]
    fn wire_bytes(&self) -> u32 {
        Self::wire_bytes(self)
    }

    #[inline]
    fn id(&self) -> u16 {
        if self.flags & HAS_ID != 0 { self.id } else { 0 }
    }

    #[inline]
    fn stamps(&self) -> Option<(u32, u32)> {
        (self.flags & HAS_TIMESTAMPS != 0).then_some((self.value, self.echo))
    }

    #[inline]
    fn scale(&self) -> u8 {
        (self.rest >> SCALE).saturating_sub(1)
    }

    #[inline]
    fn damaged(&self) -> bool {
        self.rest & (BAD_CHECKSUM | OPTIONS_CUT) != 0
    }
}

/// Is the connection of these segments over, as far as they tell without being judged: both FINs acknowledged, or nothing after an RST
/// but others? `alone`: an endpoint that is its own peer has one FIN.
pub fn is_over(segments: &[Packed], alone: bool) -> bool {
    let (mut fins, mut acknowledged, mut reset) = ([None; 2], [false; 2], false);
    for packed in segments {
        reset = packed.flags().has_all(Flags::RST);
        let side = usize::from(packed.direction() == Direction::Down);
        let peer = if alone { side } else { 1 - side };
        if let (Some(fin), Some(ack)) = (fins[peer], packed.acknowledges()) {
            acknowledged[peer] |= ack.is_at_or_after(fin);
        }
        if packed.flags().has_all(Flags::FIN) {
            fins[side] = Some(packed.end());
        }
    }
    reset || acknowledged[0] && (alone || acknowledged[1])
}

/// Did both ends speak, and one of them past its SYN: is the connection more than half open?
pub fn is_established(segments: &[Packed]) -> bool {
    let spoke = |way| segments.iter().filter(move |packed| packed.direction() == way);
    let beyond = segments.iter().any(|packed| !packed.flags().has_any(Flags::SYN.or(Flags::RST)));
    beyond && [Direction::Up, Direction::Down].into_iter().all(|way| spoke(way).next().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn segment() -> impl Strategy<Value = Segment> {
        let times = (0_i64..4_000_000_000_000, 0_u64..5_000_000_000, 0_u16..2);
        let numbers = any::<(u32, u32, u8, u16, u32, u8, Option<u16>, u16, bool, bool)>();
        let options = any::<(Option<(u32, u32)>, Option<u8>, bool)>();
        (times, numbers, options).prop_map(|((ts, number, file), n, (timestamps, scale, sack))| Segment {
            ts: Timestamp::from_nanos(ts),
            ordinal: 9,
            frame: FrameId::new(file, number),
            seq: SeqNum::new(n.0),
            ack: SeqNum::new(n.1),
            flags: Flags::from_bits(n.2),
            window: n.3,
            payload_len: n.4 >> (n.5 % 32),
            ip_len: (n.4 >> (n.5 % 32)).saturating_add(u32::from(n.5) * 2),
            ip_id: n.6,
            checksum: n.7,
            bad_checksum: n.8,
            options_cut: n.9,
            options: Options {
                timestamps,
                window_scale: scale.map(|shift| shift % 15),
                sack: sack.then_some((SeqNum::new(1), SeqNum::new(2))),
            },
        })
    }

    proptest! {
        #[test]
        fn what_fits_comes_out_again(seg in segment(), down: bool) {
            let base = Base { ts: Timestamp::from_nanos(2_000_000_000_000), frame: FrameId::new(0, 1_000), ordinal: 9 };
            let direction = if down { Direction::Down } else { Direction::Up };
            if let Some(packed) = Packed::pack(&base, direction, &seg) {
                prop_assert_eq!(packed.unpack(&base), seg);
                prop_assert_eq!(packed.direction(), direction);
                prop_assert_eq!((packed.end(), packed.ts(&base)), (seg.end(), seg.ts));
            }
        }

        #[test]
        fn the_first_fits_unless_its_numbers_are_too_large(mut seg in segment()) {
            seg.options.sack = None;
            let fits = Packed::pack(&Base::of(&seg), Direction::Up, &seg).is_some();
            prop_assert_eq!(fits, seg.payload_len < 1 << 16 && seg.ip_len - seg.payload_len < 1 << 8);
        }
    }

    #[test]
    fn it_is_small() {
        assert_eq!(size_of::<Packed>(), 36);
    }
}
