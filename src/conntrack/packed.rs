//! A segment in 36 bytes. In: a segment of a flow whose first segment is known. Out: the same segment again.
//!
//! Most connections are short, and nothing they did has to be judged before they are over: until then their segments are kept
//! packed, and told all at once.

use super::brief::{BAD_CHECKSUM, Body, Brief, DOWN, HAS_ID, HAS_TIMESTAMPS, OPTIONS_CUT, SCALE};
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

#[cfg(test)]
impl Base {
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
    body: Body,
}

impl Brief {
    /// The first of a flow.
    #[inline]
    pub(super) const fn base(&self) -> Base {
        Base { ts: self.ts, frame: self.frame, ordinal: self.ordinal }
    }

    /// Packs the segment of a flow; `None` for what does not fit: one with a SACK block, one of another file than the first, before the
    /// first or more than 18 minutes after it, one with 64 KiB of payload.
    #[inline(always)]
    pub(super) const fn pack(&self, base: &Base) -> Option<Packed> {
        // What is negative becomes very large, and does not fit either.
        let since = self.ts.since(base.ts).as_nanos() as u64;
        let frames = self.frame.since(base.frame);
        if since >> 40 | frames >> 32 != 0 || !self.fits() {
            return None;
        }
        let body = Body { since_high: (since >> 32) as u8, ..self.body };
        Some(Packed { since: since as u32, frames: frames as u32, body })
    }
}

#[cfg(test)]
impl Packed {
    pub fn pack(base: &Base, direction: Direction, seg: &Segment) -> Option<Self> {
        let mut brief = Brief::default();
        brief.passed(seg.ts, seg.ordinal, seg.frame, None);
        brief.between((super::key::Key::default(), direction));
        brief.write(seg);
        brief.pack(base)
    }
}

impl Packed {
    /// Which way it went.
    #[inline]
    pub const fn direction(&self) -> Direction {
        self.body.direction()
    }

    /// Did it go the same way as `other`?
    #[inline]
    pub const fn is_along(&self, other: &Self) -> bool {
        (self.body.rest ^ other.body.rest) & DOWN == 0
    }

    /// Its control bits.
    #[inline]
    pub const fn flags(&self) -> Flags {
        self.body.flags()
    }

    /// SEG.SEQ.
    #[inline]
    pub const fn seq(&self) -> SeqNum {
        SeqNum::new(self.body.seq)
    }

    /// SEG.ACK, if it means something.
    #[inline]
    pub const fn acknowledges(&self) -> Option<SeqNum> {
        if self.flags().has_all(Flags::ACK) { Some(SeqNum::new(self.body.ack)) } else { None }
    }

    /// Behind everything it carries.
    #[inline]
    pub const fn end(&self) -> SeqNum {
        let flags = self.flags();
        let controls = flags.has_all(Flags::SYN) as u32 + flags.has_all(Flags::FIN) as u32;
        SeqNum::new(self.body.seq).plus(self.body.payload as u32 + controls)
    }

    /// When it passed.
    #[inline]
    pub const fn ts(&self, base: &Base) -> Timestamp {
        let since = (self.body.since_high as i64) << 32 | self.since as i64;
        Timestamp::from_nanos(base.ts.as_nanos() + since)
    }

    /// IP bytes, headers included.
    #[inline]
    pub const fn wire_bytes(&self) -> u32 {
        self.body.payload as u32 + self.body.headers as u32
    }

    /// The segment; its ordinal is the first one's.
    #[inline]
    pub fn unpack(&self, base: &Base) -> Segment {
        let scale = self.body.rest >> SCALE;
        let options = Options {
            timestamps: (self.body.flags & HAS_TIMESTAMPS != 0).then_some((self.body.value, self.body.echo)),
            window_scale: scale.checked_sub(1),
            sack: None,
        };
        Segment {
            ts: self.ts(base),
            ordinal: base.ordinal,
            frame: FrameId::new(base.frame.file(), base.frame.number() + u64::from(self.frames)),
            seq: SeqNum::new(self.body.seq),
            ack: SeqNum::new(self.body.ack),
            flags: self.flags(),
            window: self.body.window,
            payload_len: self.body.payload.into(),
            ip_len: self.wire_bytes(),
            ip_id: (self.body.flags & HAS_ID != 0).then_some(self.body.id),
            checksum: self.body.checksum,
            bad_checksum: self.body.rest & BAD_CHECKSUM != 0,
            options_cut: self.body.rest & OPTIONS_CUT != 0,
            options,
        }
    }
}

impl Counted for Packed {
    #[inline]
    fn at(&self) -> i64 {
        i64::from(self.body.since_high) << 32 | i64::from(self.since)
    }

    #[inline]
    fn frames(&self) -> u32 {
        self.frames
    }

    #[inline]
    fn seq(&self) -> SeqNum {
        SeqNum::new(self.body.seq)
    }

    #[inline]
    fn ack(&self) -> SeqNum {
        SeqNum::new(self.body.ack)
    }

    #[inline]
    fn flags(&self) -> Flags {
        Self::flags(self)
    }

    #[inline]
    fn window(&self) -> u16 {
        self.body.window
    }

    #[inline]
    fn payload(&self) -> u32 {
        self.body.payload.into()
    }

    #[inline]
    fn wire_bytes(&self) -> u32 {
        Self::wire_bytes(self)
    }

    #[inline]
    fn id(&self) -> u16 {
        if self.body.flags & HAS_ID != 0 { self.body.id } else { 0 }
    }

    #[inline]
    fn stamps(&self) -> Option<(u32, u32)> {
        (self.body.flags & HAS_TIMESTAMPS != 0).then_some((self.body.value, self.body.echo))
    }

    #[inline]
    fn scale(&self) -> u8 {
        (self.body.rest >> SCALE).saturating_sub(1)
    }

    #[inline]
    fn damaged(&self) -> bool {
        self.body.rest & (BAD_CHECKSUM | OPTIONS_CUT) != 0
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
    fn a_clock_that_went_round_from_the_end_of_time_does_not_fit() {
        let at = |nanos| Segment { ts: Timestamp::from_nanos(nanos), ..Packed::default().unpack(&Base::default()) };
        let base = Base::of(&at(i64::MAX - 5));
        assert!(Packed::pack(&base, Direction::Up, &at(i64::MAX)).is_some());
        assert!(Packed::pack(&base, Direction::Up, &at(i64::MIN + 5)).is_none());
    }

    #[test]
    fn it_is_small() {
        assert_eq!(size_of::<Packed>(), 36);
    }
}
