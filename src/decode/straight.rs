//! The common packet, straight through. In: a packet. Out: what the walk would make of it, or nothing, and then the walk is
//! taken.
//!
//! Ethernet with up to two tags, Linux cooked or raw IP; IPv4 that is no fragment, IPv6 without extension headers; TCP, and
//! UDP on no tunnel's port. The walk's rules hold, and the tests compare the two: wherever a header ends early or contradicts
//! itself, the walk is left to say what that means.
//!
//! What a header says is written where it will stay as soon as it is read: kept until all is known, it would be more than there are registers
//! for.

use super::network::{TCP, UDP};
use super::options;
use super::skip::Skip;
use super::walk::{Common, Stamp, UdpTunnel};
use crate::capture::{LinkType, Packet};
use crate::conntrack::brief::{Brief, Header};
use crate::conntrack::key::Key;

const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const VLAN: u16 = 0x8100;
const SERVICE_VLAN: u16 = 0x88a8;

/// Of IPv4's flags and offset: more fragments, or not the first.
const FRAGMENT: u16 = 0x3fff;

/// A TCP header without options.
const FIXED: usize = 20;

/// Reads the packet, if it is a common one. Then a segment stands in `place`; else that holds nothing of use. The checksum is not looked at.
#[inline(always)]
pub(super) fn read<'a>(packet: &Packet<'a>, stamp: Stamp, place: &mut Brief) -> Option<Common<'a>> {
    let data = packet.data;
    let (mut ether_type, mut bytes) = match packet.link {
        LinkType::ETHERNET => {
            let (&[.., high, low], rest) = data.split_first_chunk::<14>()?;
            (u16::from_be_bytes([high, low]), rest)
        }
        LinkType::LINUX_SLL => {
            let (&[.., high, low], rest) = data.split_first_chunk::<16>()?;
            (u16::from_be_bytes([high, low]), rest)
        }
        LinkType::LINUX_SLL2 => {
            let (&[high, low, ..], rest) = data.split_first_chunk::<20>()?;
            (u16::from_be_bytes([high, low]), rest)
        }
        LinkType::RAW => (IPV4, data),
        _ => return None,
    };
    let mut vlan = None;
    for _ in 0..2 {
        if !matches!(ether_type, VLAN | SERVICE_VLAN) {
            break;
        }
        let (&[t0, t1, e0, e1], rest) = bytes.split_first_chunk::<4>()?;
        let id = u16::from_be_bytes([t0, t1]) & 0x0fff;
        vlan = vlan.or((id != 0).then_some(id));
        (ether_type, bytes) = (u16::from_be_bytes([e0, e1]), rest);
    }
    if !matches!(ether_type, IPV4 | IPV6) {
        return None;
    }
    place.passed(stamp.ts, stamp.ordinal, stamp.frame, vlan);
    // A length on the wire below the number of bytes at hand is a lie of the container.
    let real = (packet.wire_len as usize).max(data.len()) - (data.len() - bytes.len());
    // The version field decides, not what announced the packet.
    match bytes.first()? >> 4 {
        4 => ipv4(bytes, real, place),
        6 => ipv6(bytes, real, place),
        _ => None,
    }
}

#[inline(always)]
fn ipv4<'a>(bytes: &'a [u8], real: usize, place: &mut Brief) -> Option<Common<'a>> {
    let header = bytes.first_chunk::<20>()?;
    let &[first, _, l0, l1, i0, i1, f0, f1, _, protocol, _, _, s0, s1, s2, s3, d0, d1, d2, d3] = header;
    let header_len = usize::from(first & 0x0f) * 4;
    if u16::from_be_bytes([f0, f1]) & FRAGMENT != 0 || header_len < header.len() {
        return None;
    }
    let (bytes, ip_len) = match usize::from(u16::from_be_bytes([l0, l1])) {
        0 => (bytes, real),                                              // segmentation offload
        total => (bytes.get(..total).unwrap_or(bytes), real.min(total)), // padding and trailers go
    };
    let (real, bytes) = (ip_len.checked_sub(header_len)?, bytes.get(header_len..)?);
    if protocol != TCP {
        return datagram(protocol, bytes);
    }
    let (tcp, behind) = bytes.split_first_chunk::<FIXED>()?;
    let (src, dst) = (u32::from_be_bytes([s0, s1, s2, s3]), u32::from_be_bytes([d0, d1, d2, d3]));
    let (from, to) = ports(tcp);
    place.between(Key::v4((src, from), (dst, to)));
    segment(Some(u16::from_be_bytes([i0, i1])), ip_len, real, tcp, behind, place)
}

#[inline(always)]
fn ipv6<'a>(bytes: &'a [u8], real: usize, place: &mut Brief) -> Option<Common<'a>> {
    let (header, bytes) = bytes.split_first_chunk::<40>()?;
    let &[_, _, _, _, l0, l1, next, ..] = header;
    let real = real.checked_sub(header.len())?;
    let (bytes, real) = match usize::from(u16::from_be_bytes([l0, l1])) {
        0 => (bytes, real),
        stated => (bytes.get(..stated).unwrap_or(bytes), real.min(stated)),
    };
    if next != TCP {
        return datagram(next, bytes);
    }
    let (tcp, behind) = bytes.split_first_chunk::<FIXED>()?;
    let (fixed_and_src, dst) = header.split_last_chunk::<16>()?;
    let (src, dst) = (u128::from_be_bytes(*fixed_and_src.last_chunk::<16>()?), u128::from_be_bytes(*dst));
    let (from, to) = ports(tcp);
    place.between(Key::v6((src, from), (dst, to)));
    segment(None, header.len() + real, real, tcp, behind, place)
}

#[inline(always)]
const fn ports(&[s0, s1, d0, d1, ..]: &[u8; FIXED]) -> (u16, u16) {
    (u16::from_be_bytes([s0, s1]), u16::from_be_bytes([d0, d1]))
}

/// What is behind an IP header and no segment.
#[inline]
fn datagram<'a>(protocol: u8, bytes: &[u8]) -> Option<Common<'a>> {
    let is_tunnel = |port| UdpTunnel::by_port(u16::from_be_bytes(port)).is_some();
    match *bytes {
        _ if protocol != UDP => None,
        [s0, s1, d0, d1, _, _, _, _, ..] if is_tunnel([s0, s1]) || is_tunnel([d0, d1]) => None,
        _ => Some(Common::Skip(Skip::Udp)),
    }
}

/// `ip_len` bytes on the wire, `real` of them behind the IP header, of which a TCP header without options and those `behind` it were captured.
#[inline(always)]
fn segment<'a>(
    ip_id: Option<u16>,
    ip_len: usize,
    real: usize,
    tcp: &[u8; FIXED],
    behind: &'a [u8],
    place: &mut Brief,
) -> Option<Common<'a>> {
    let header_len = usize::from(tcp[12] >> 4) * 4;
    let options_len = header_len.checked_sub(FIXED)?;
    // What lies beyond the captured bytes was cut off.
    let cut = behind.len() < options_len;
    let (options, payload) = behind.split_at_checked(options_len).unwrap_or((behind, &[]));
    place.says(tcp, &Header { ip_id, ip_len: ip_len as u32, payload_len: real.saturating_sub(header_len) as u32, cut });
    options::read(options, place);
    Some(Common::Segment(payload))
}
