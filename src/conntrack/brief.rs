//! A segment on its way to the table. In: what a decoder found, or a segment with its ends. Out: the words that the table compares and keeps,
//! and the segment again.
//!
//! Every packet becomes one, so it is made and read without asking what it has not: what is optional is a word that counts for
//! nothing, and a bit that says so.

use super::key::{Direction, Key};
use crate::tcp::segment::{Addressed, Flags, FrameId, HostPort, Options, Segment, Tunnel, TunnelKind};
use crate::tcp::seq::SeqNum;
use crate::time::Timestamp;

/// What a segment says whatever flow it is of.
#[derive(Clone, Copy, Debug, Default)]
pub struct Body {
    pub(super) seq: u32,
    pub(super) ack: u32,
    pub(super) value: u32,
    pub(super) echo: u32,
    pub(super) window: u16,
    pub(super) id: u16,
    pub(super) checksum: u16,
    pub(super) payload: u16,
    /// `ip_len` less the payload.
    pub(super) headers: u8,
    /// The control bits, and which of `value`, `echo` and `id` there are.
    pub(super) flags: u8,
    /// The direction, the two marks of damage, and the shift count + 1 of window scale.
    pub(super) rest: u8,
    /// Of [`Packed`]: nanoseconds since the first, the bits from 32 on: 18 minutes in all.
    pub(super) since_high: u8,
}

impl Body {
    /// Which way it went.
    #[inline]
    pub const fn direction(&self) -> Direction {
        if self.rest & DOWN == 0 { Direction::Up } else { Direction::Down }
    }

    /// The control bits.
    #[inline]
    pub const fn flags(&self) -> Flags {
        Flags::from_bits(self.flags)
    }
}

/// Above the control bits.
pub(super) const HAS_TIMESTAMPS: u8 = 0x40;
pub(super) const HAS_ID: u8 = 0x80;
pub(super) const DOWN: u8 = 1;
pub(super) const BAD_CHECKSUM: u8 = 2;
pub(super) const OPTIONS_CUT: u8 = 4;
/// The place of the shift count.
pub(super) const SCALE: u32 = 3;

/// A segment with its ends; nothing of an [`Addressed`] is lost.
#[derive(Clone, Copy, Debug, Default)]
pub struct Brief {
    /// The 4-tuple.
    pub key: Key,
    /// When it passed the tap.
    pub ts: Timestamp,
    /// Its place among all packets of the run.
    pub ordinal: u64,
    /// Its file and number.
    pub frame: FrameId,
    /// What of it can be packed.
    pub(super) body: Body,
    payload_len: u32,
    ip_len: u32,
    sack: [u32; 2],
    tunnel_id: u32,
    /// The VLAN id + 1; 0 for none.
    pub(super) vlan: u16,
    tunnel: Option<TunnelKind>,
    /// Which of `sack` and `tunnel_id` there are, and whether the lengths are too large for `body`.
    has: u8,
}

/// What the headers of a segment tell beside the words of the TCP header.
#[derive(Clone, Copy, Debug)]
pub struct Header {
    /// The IPv4 identification; `None` for IPv6.
    pub ip_id: Option<u16>,
    /// IP bytes on the wire, headers included.
    pub ip_len: u32,
    /// Those of them that are payload.
    pub payload_len: u32,
    /// The TCP options were cut off by snaplen.
    pub cut: bool,
}

const HAS_SACK: u8 = 1;
const HAS_TUNNEL_ID: u8 = 2;
const LARGE: u8 = 4;

impl Brief {
    /// The same in words.
    pub fn of(addressed: &Addressed) -> Self {
        let Addressed { src, dst, vlan, tunnel, segment } = addressed;
        let mut brief = Self::default();
        brief.passed(segment.ts, segment.ordinal, segment.frame, *vlan);
        brief.between(Key::of(src, dst));
        brief.write(segment);
        if let Some(Tunnel { kind, id }) = *tunnel {
            (brief.tunnel, brief.tunnel_id) = (Some(kind), id.unwrap_or_default());
            brief.has |= bit(id.is_some(), HAS_TUNNEL_ID);
        }
        brief
    }

    /// When it passed and where: the first that is written of a segment that comes in no tunnel.
    #[inline(always)]
    pub fn passed(&mut self, ts: Timestamp, ordinal: u64, frame: FrameId, vlan: Option<u16>) {
        (self.ts, self.ordinal, self.frame) = (ts, ordinal, frame);
        (self.vlan, self.tunnel, self.has) = (vlan.map_or(0, |vlan| vlan + 1), None, 0);
    }

    /// Its 4-tuple, and which way it went.
    #[inline(always)]
    pub fn between(&mut self, (key, direction): (Key, Direction)) {
        self.key = key;
        self.body.rest = bit(matches!(direction, Direction::Down), DOWN);
    }

    /// What its headers say, but for the ports and options; there are none as yet.
    #[inline(always)]
    pub fn says(&mut self, tcp: &[u8; 20], header: &Header) {
        let &[_, _, _, _, q0, q1, q2, q3, a0, a1, a2, a3, _, flags, w0, w1, c0, c1, _, _] = tcp;
        let Header { ip_id, ip_len, payload_len, cut } = *header;
        let body = &mut self.body;
        body.seq = u32::from_be_bytes([q0, q1, q2, q3]);
        body.ack = u32::from_be_bytes([a0, a1, a2, a3]);
        (body.value, body.echo) = (0, 0);
        body.window = u16::from_be_bytes([w0, w1]);
        body.checksum = u16::from_be_bytes([c0, c1]);
        body.id = ip_id.unwrap_or_default();
        body.flags = Flags::from_bits(flags).bits() | bit(ip_id.is_some(), HAS_ID);
        body.rest |= bit(cut, OPTIONS_CUT);
        self.lengths(ip_len, payload_len);
    }

    #[inline(always)]
    fn lengths(&mut self, ip_len: u32, payload_len: u32) {
        let headers = ip_len.wrapping_sub(payload_len);
        (self.body.payload, self.body.headers) = (payload_len as u16, headers as u8);
        (self.ip_len, self.payload_len) = (ip_len, payload_len);
        self.has |= bit(headers >> 8 | payload_len >> 16 != 0, LARGE);
    }

    /// It has timestamps.
    #[inline(always)]
    pub fn stamps(&mut self, value: u32, echo: u32) {
        (self.body.value, self.body.echo) = (value, echo);
        self.body.flags |= HAS_TIMESTAMPS;
    }

    /// It has a window scale, 0 to 14.
    #[inline(always)]
    pub fn scale(&mut self, shift: u8) {
        self.body.rest |= (shift + 1) << SCALE;
    }

    /// Its options.
    #[inline(never)]
    pub fn options(&mut self, options: &Options) {
        let Options { timestamps, window_scale, sack } = *options;
        if let Some((value, echo)) = timestamps {
            self.stamps(value, echo);
        }
        if let Some(shift) = window_scale {
            self.scale(shift);
        }
        if let Some((left, right)) = sack {
            self.sack = [left.raw(), right.raw()];
            self.has |= HAS_SACK;
        }
    }

    /// Becomes this segment of a flow.
    pub(super) fn write(&mut self, seg: &Segment) {
        let body = &mut self.body;
        (body.seq, body.ack, body.window, body.checksum) = (seg.seq.raw(), seg.ack.raw(), seg.window, seg.checksum);
        body.id = seg.ip_id.unwrap_or_default();
        body.flags = seg.flags.bits() | bit(seg.ip_id.is_some(), HAS_ID);
        body.rest |= bit(seg.bad_checksum, BAD_CHECKSUM) | bit(seg.options_cut, OPTIONS_CUT);
        self.lengths(seg.ip_len, seg.payload_len);
        self.options(&seg.options);
    }

    /// Which way it went.
    #[inline]
    pub const fn direction(&self) -> Direction {
        self.body.direction()
    }

    /// The control bits.
    #[inline]
    pub const fn flags(&self) -> Flags {
        self.body.flags()
    }

    /// SEG.SEQ.
    #[inline]
    pub const fn seq(&self) -> SeqNum {
        SeqNum::new(self.body.seq)
    }

    /// All of it is in `body`.
    #[inline]
    pub(super) const fn fits(&self) -> bool {
        self.has & (HAS_SACK | LARGE) == 0
    }

    /// What the segment says.
    pub fn segment(&self) -> Segment {
        let scale = self.body.rest >> SCALE;
        let [left, right] = self.sack.map(SeqNum::new);
        Segment {
            ts: self.ts,
            ordinal: self.ordinal,
            frame: self.frame,
            seq: self.seq(),
            ack: SeqNum::new(self.body.ack),
            flags: self.flags(),
            window: self.body.window,
            payload_len: self.payload_len,
            ip_len: self.ip_len,
            ip_id: (self.body.flags & HAS_ID != 0).then_some(self.body.id),
            checksum: self.body.checksum,
            bad_checksum: self.body.rest & BAD_CHECKSUM != 0,
            options_cut: self.body.rest & OPTIONS_CUT != 0,
            options: Options {
                timestamps: (self.body.flags & HAS_TIMESTAMPS != 0).then_some((self.body.value, self.body.echo)),
                window_scale: scale.checked_sub(1),
                sack: (self.has & HAS_SACK != 0).then_some((left, right)),
            },
        }
    }

    /// Who sent it, and to whom.
    pub fn ends(&self) -> (HostPort, HostPort) {
        let [low, high] = self.key.ends();
        if self.direction() == Direction::Up { (low, high) } else { (high, low) }
    }

    /// The tunnel it came in, if any.
    pub(super) fn tunnel(&self) -> Option<Tunnel> {
        let id = (self.has & HAS_TUNNEL_ID != 0).then_some(self.tunnel_id);
        self.tunnel.map(|kind| Tunnel { kind, id })
    }

    /// All that it was made of.
    pub fn addressed(&self) -> Addressed {
        let (src, dst) = self.ends();
        Addressed { src, dst, vlan: self.vlan.checked_sub(1), tunnel: self.tunnel(), segment: self.segment() }
    }
}

const fn bit(set: bool, bit: u8) -> u8 {
    if set { bit } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With nothing that is optional, with one thing each, with all.
    #[test]
    fn nothing_of_a_segment_is_lost() {
        let ends = [("10.0.0.1", "10.0.0.2"), ("2001:db8::2", "2001:db8::1"), ("::1", "::1")];
        for ((src, dst), has) in ends.into_iter().flat_map(|ends| (0..256_u32).map(move |has| (ends, has))) {
            let end = |ip: &str, port| HostPort::new(ip.parse().unwrap(), port);
            let bit = |at: u32| has >> at & 1 != 0;
            let large = if bit(7) { 1 << 16 } else { 1 };
            let segment = Segment {
                ts: Timestamp::from_nanos(-1),
                ordinal: 1 << 40,
                frame: FrameId::new(3, 1 << 40),
                seq: SeqNum::new(1 << 31),
                ack: SeqNum::new(2),
                flags: Flags::from_bits(has as u8),
                window: 3,
                payload_len: 1_000 * large,
                ip_len: 1_040 * large,
                ip_id: bit(0).then_some(4),
                checksum: 5,
                bad_checksum: bit(1),
                options_cut: bit(2),
                options: Options {
                    timestamps: bit(3).then_some((6, 7)),
                    window_scale: bit(4).then_some(14),
                    sack: bit(5).then_some((SeqNum::new(8), SeqNum::new(9))),
                },
            };
            let tunnel = bit(6).then_some(Tunnel { kind: TunnelKind::Gre, id: bit(0).then_some(10) });
            let (src, dst) = (end(src, 11), end(dst, if bit(1) { 12 } else { 11 }));
            let addressed = Addressed { src, dst, vlan: bit(2).then_some(0), tunnel, segment };
            let brief = Brief::of(&addressed);
            assert_eq!(brief.addressed(), addressed);
            assert_eq!(brief.fits(), !bit(5) && !bit(7));
        }
    }
}
