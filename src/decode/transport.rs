//! TCP. In: the view at a TCP header and what the walk to it told. Out: the [`Segment`] with its addresses.
//!
//! RFC 9293 3.1. Lengths are the IP header's, so bytes that snaplen cut off count.

use std::net::IpAddr;

use etherparse::TcpHeaderSlice;
use etherparse::checksum::Sum16BitWords;

use super::options;
use super::skip::Skip;
use super::view::{Part, View};
use super::walk::{Found, Ip, Stamp, Walk};
use crate::tcp::segment::{Addressed, Flags, HostPort, Segment};
use crate::tcp::seq::SeqNum;

/// Ports, numbers, offset, flags and window: as much of the header as a segment cannot do without.
const ESSENTIAL: usize = 16;
/// A header without options.
const FIXED: usize = 20;
/// The longest header that its offset field can tell.
const LONGEST: usize = 60;
/// Where the checksum lies.
const CHECKSUM: std::ops::Range<usize> = 16..18;

/// Reads a segment. A header that ends early, cut by snaplen or not, is good as long as its first 16 bytes are there: it is
/// marked with `options_cut`, and a checksum out of reach reads as 0.
pub(super) fn segment(walk: &Walk, ip: &Ip, view: View<'_>, stamp: Stamp, verify: bool) -> Result<Found, Skip> {
    let bytes = view.bytes();
    if bytes.len() < ESSENTIAL {
        return Err(view.short(Part::Tcp));
    }
    let mut padded = [0; LONGEST];
    let header = match TcpHeaderSlice::from_slice(bytes) {
        Ok(header) => header,
        Err(etherparse::err::tcp::HeaderSliceError::Content(_)) => return Err(Skip::BadTcpHeader),
        Err(etherparse::err::tcp::HeaderSliceError::Len(_)) => {
            padded.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
            TcpHeaderSlice::from_slice(&padded).map_err(|_| Skip::BadTcpHeader)?
        }
    };
    let header_len = header.slice().len();
    let option_bytes = bytes.get(FIXED..header_len.min(bytes.len())).unwrap_or_default();
    let payload = view.skip_up_to(header_len);
    let clamp = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
    let segment = Segment {
        ts: stamp.ts,
        ordinal: stamp.ordinal,
        frame: stamp.frame,
        seq: SeqNum::new(header.sequence_number()),
        ack: SeqNum::new(header.acknowledgment_number()),
        flags: Flags::from_bits(header.slice().get(13).copied().unwrap_or(0)),
        window: header.window_size(),
        payload_len: clamp(view.real().saturating_sub(header_len)),
        ip_len: clamp(ip.len),
        ip_id: ip.id,
        checksum: if bytes.len() < CHECKSUM.end { 0 } else { header.checksum() },
        bad_checksum: verify && view.is_whole() && header_len <= bytes.len() && is_wrong(ip, bytes, header.checksum()),
        options_cut: bytes.len() < header_len,
        options: options::parse(option_bytes),
    };
    let addressed = Addressed {
        src: HostPort::new(ip.src, header.source_port()),
        dst: HostPort::new(ip.dst, header.destination_port()),
        vlan: walk.vlan,
        tunnel: walk.tunnel,
        segment,
    };
    Ok(Found::Segment(addressed, payload.range()))
}

/// The checksum is neither right nor what a host leaves there for its network card to finish: the plain sum over the pseudo
/// header (RFC 9293 3.1), with the length or, where the card will cut the segment up, without it.
fn is_wrong(ip: &Ip, segment: &[u8], field: u16) -> bool {
    const TCP: u8 = 6;
    let addresses = [ip.src, ip.dst].into_iter().fold(Sum16BitWords::new(), |mut sum, address| match address {
        IpAddr::V4(v4) => sum.add_4bytes(v4.octets()),
        IpAddr::V6(v6) => sum.add_16bytes(v6.octets()),
    });
    let mut without_length = addresses.add_2bytes([0, TCP]);
    let pseudo = without_length.add_4bytes(u32::try_from(segment.len()).unwrap_or(u32::MAX).to_be_bytes());
    if pseudo.clone().add_slice(segment).ones_complement() == 0 {
        return false;
    }
    let unfinished = [pseudo, without_length].map(|sum| u16::from_be(!sum.ones_complement()));
    !unfinished.contains(&field)
}
