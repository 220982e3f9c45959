//! Packets of any bytes, one after the other, through two decoders. In: packets. Out: a panic where the decoders differ or tell what
//! cannot be.
//!
//! Verifying checksums takes every packet through the walk; without it the common ones go straight. Both must say the same.

use finwait::capture::{LinkType, Packet};
use finwait::decode::{Decoded, Decoder};
use finwait::tcp::segment::{Addressed, FrameId, Segment};
use finwait::time::{Span, Timestamp};

use super::Bytes;

/// Link types with a header of their own, and one that is unknown.
pub const LINKS: [u16; 32] = [
    1, 0, 101, 113, 276, 105, 127, 192, 9, 50, 51, 104, 108, 109, 117, 119, 138, 163, 166, 204, 219, 239, 6, 10, 12,
    100, 228, 229, 205, 206, 107, 147,
];

/// The longest datagram that fragments make.
const MOST_BEHIND: usize = 65_535;

/// A packet as an input holds it: its link type by its place among [`LINKS`], how its length on the wire departs from what is
/// there (none; a snapshot length; a lie; the largest lie), whether long passed before it, and its bytes behind their number.
pub fn run(bytes: &[u8]) {
    let mut input = Bytes::new(bytes);
    let (mut plain, mut verifying) = (Decoder::default(), Decoder::default());
    verifying.verify_checksums = true;
    let (mut number, mut ts) = (0, Timestamp::default());
    while !input.is_empty() {
        let head = input.byte();
        let length = u16::from_le_bytes([input.byte(), input.byte()]);
        let data = input.some(length.into());
        let wire_len = match head >> 5 & 3 {
            0 => data.len() as u32,
            1 => data.len() as u32 + 1_000,
            2 => 0,
            _ => u32::MAX,
        };
        ts = ts.plus(if head & 0x80 == 0 { Span::from_millis(1) } else { Span::from_secs(20) });
        number += 1;
        let link = LinkType(LINKS[usize::from(head & 0x1f)]);
        let packet = Packet { ts: Some(ts), number, link, interface: 0, wire_len, data };
        one(&packet, &mut plain, &mut verifying);
    }
}

fn one(packet: &Packet<'_>, plain: &mut Decoder, verifying: &mut Decoder) {
    let (ts, frame, ordinal) = (packet.ts.unwrap_or_default(), FrameId::new(3, packet.number), packet.number - 1);
    let shed = plain.fragments_shed();
    let straight = plain.decode(packet, frame, ordinal, ts);
    let mut walked = verifying.decode(packet, frame, ordinal, ts);
    if let Decoded::Segment { addressed, .. } = &mut walked {
        addressed.segment.bad_checksum = false;
    }
    assert_eq!(straight, walked, "{:?} {} {:02x?}", packet.link, packet.wire_len, packet.data);
    match straight {
        Decoded::Segment { addressed, payload } => {
            let Addressed { segment, src, dst, .. } = addressed;
            assert_eq!(src.ip.is_ipv4(), dst.ip.is_ipv4());
            let Segment { payload_len, ip_len, options, .. } = segment;
            assert_eq!((segment.ts, segment.frame, segment.ordinal), (ts, frame, ordinal));
            assert!(payload.len() <= payload_len as usize && payload_len <= ip_len, "{segment:?}");
            assert!(options.window_scale.is_none_or(|shift| shift <= 14), "{options:?}");
            // The payload lies in the packet, or in what fragments made.
            let (within, at) = (packet.data.as_ptr_range(), payload.as_ptr_range());
            let inside = within.start <= at.start && at.end <= within.end;
            assert!(payload.is_empty() || inside || payload.len() <= MOST_BEHIND);
        }
        Decoded::Undelivered(icmp) => assert_eq!((icmp.ts, icmp.frame), (ts, frame)),
        Decoded::Skip(skip) => assert!(!skip.name().is_empty()),
    }
    assert!(plain.fragments_shed() >= shed && plain.fragments_shed() == verifying.fragments_shed());
}
