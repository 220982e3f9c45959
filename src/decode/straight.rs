//! The common packet, straight through. In: a packet. Out: what the walk would make of it, or nothing, and then the walk is
//! taken.
//!
//! Ethernet with up to two tags, Linux cooked or raw IP; IPv4 that is no fragment, IPv6 without extension headers; TCP, and
//! UDP on no tunnel's port. The walk's rules hold, and the tests compare the two: wherever a header ends early or contradicts
//! itself, the walk is left to say what that means.
//!
//! First all that can fail, as a handful of references; then the segment, written once where the caller wants it.

use std::net::IpAddr;

use super::network::{TCP, UDP};
use super::options;
use super::skip::Skip;
use super::walk::{Decoded, Stamp, UdpTunnel};
use crate::capture::{LinkType, Packet};
use crate::tcp::segment::{Addressed, Flags, HostPort, Options, Segment};
use crate::tcp::seq::SeqNum;

const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const VLAN: u16 = 0x8100;
const SERVICE_VLAN: u16 = 0x88a8;

/// Of IPv4's flags and offset: more fragments, or not the first.
const FRAGMENT: u16 = 0x3fff;

/// A TCP header without options.
const FIXED: usize = 20;

/// A packet whose headers are where they should be.
#[derive(Clone, Copy)]
pub(super) enum Straight<'a> {
    /// A TCP segment.
    Tcp(Headers<'a>),
    /// A UDP datagram to and from ports of no tunnel.
    Udp,
}

/// Where the headers of a segment are, and the lengths that they tell.
#[derive(Clone, Copy)]
pub(super) struct Headers<'a> {
    ip: Ip<'a>,
    vlan: Option<u16>,
    /// IP bytes on the wire.
    ip_len: usize,
    /// Those behind the IP header.
    real: usize,
    tcp: &'a [u8; FIXED],
    /// The TCP header's length, 20 or more.
    header_len: usize,
    /// Options and payload as far as they were captured.
    behind: &'a [u8],
}

#[derive(Clone, Copy)]
enum Ip<'a> {
    V4(&'a [u8; 20]),
    V6(&'a [u8; 40]),
}

/// Finds the headers, if the packet is a common one.
#[inline(always)]
pub(super) fn find<'a>(packet: &Packet<'a>) -> Option<Straight<'a>> {
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
    // A length on the wire below the number of bytes at hand is a lie of the container.
    let real = (packet.wire_len as usize).max(data.len()) - (data.len() - bytes.len());
    // The version field decides, not what announced the packet.
    match bytes.first()? >> 4 {
        4 => ipv4(bytes, real, vlan),
        6 => ipv6(bytes, real, vlan),
        _ => None,
    }
}

#[inline(always)]
fn ipv4(bytes: &[u8], real: usize, vlan: Option<u16>) -> Option<Straight<'_>> {
    let header = bytes.first_chunk::<20>()?;
    let &[first, _, l0, l1, _, _, f0, f1, _, protocol, ..] = header;
    let header_len = usize::from(first & 0x0f) * 4;
    if u16::from_be_bytes([f0, f1]) & FRAGMENT != 0 || header_len < header.len() {
        return None;
    }
    let (bytes, ip_len) = match usize::from(u16::from_be_bytes([l0, l1])) {
        0 => (bytes, real),                                              // segmentation offload
        total => (bytes.get(..total).unwrap_or(bytes), real.min(total)), // padding and trailers go
    };
    transport(protocol, Ip::V4(header), vlan, ip_len, ip_len.checked_sub(header_len)?, bytes.get(header_len..)?)
}

#[inline(always)]
fn ipv6(bytes: &[u8], real: usize, vlan: Option<u16>) -> Option<Straight<'_>> {
    let (header, bytes) = bytes.split_first_chunk::<40>()?;
    let &[_, _, _, _, l0, l1, next, ..] = header;
    let real = real.checked_sub(header.len())?;
    let (bytes, real) = match usize::from(u16::from_be_bytes([l0, l1])) {
        0 => (bytes, real),
        stated => (bytes.get(..stated).unwrap_or(bytes), real.min(stated)),
    };
    transport(next, Ip::V6(header), vlan, header.len() + real, real, bytes)
}

#[inline(always)]
fn transport<'a>(
    protocol: u8,
    ip: Ip<'a>,
    vlan: Option<u16>,
    ip_len: usize,
    real: usize,
    bytes: &'a [u8],
) -> Option<Straight<'a>> {
    match protocol {
        TCP => {
            let (tcp, behind) = bytes.split_first_chunk::<FIXED>()?;
            let header_len = usize::from(tcp[12] >> 4) * 4;
            (header_len >= FIXED).then_some(Straight::Tcp(Headers { ip, vlan, ip_len, real, tcp, header_len, behind }))
        }
        UDP => {
            let is_tunnel = |port| UdpTunnel::by_port(u16::from_be_bytes(port)).is_some();
            match *bytes {
                [s0, s1, d0, d1, _, _, _, _, ..] if is_tunnel([s0, s1]) || is_tunnel([d0, d1]) => None,
                _ => Some(Straight::Udp),
            }
        }
        _ => None,
    }
}

impl<'a> Straight<'a> {
    /// Hands what the packet says to `then`. The checksum is not looked at.
    #[inline(always)]
    pub(super) fn read<R>(self, stamp: Stamp, then: impl FnOnce(Decoded<'a>) -> R) -> R {
        match self {
            Self::Tcp(headers) => headers.read(stamp, then),
            Self::Udp => then(Decoded::Skip(Skip::Udp)),
        }
    }
}

impl<'a> Headers<'a> {
    #[inline(always)]
    fn read<R>(self, stamp: Stamp, then: impl FnOnce(Decoded<'a>) -> R) -> R {
        // What lies beyond the captured bytes was cut off.
        let (options, payload) = self.behind.split_at_checked(self.header_len - FIXED).unwrap_or((self.behind, &[]));
        // An arm each: met again before they are written, the values would go through memory once more.
        match (self.ip, options::common(options)) {
            (Ip::V4(ip), Some(options)) => then(self.v4(ip, options, payload, stamp)),
            (Ip::V4(ip), None) => then(self.v4(ip, options::parse(options), payload, stamp)),
            (Ip::V6(ip), Some(options)) => then(self.v6(ip, options, payload, stamp)),
            (Ip::V6(ip), None) => then(self.v6(ip, options::parse(options), payload, stamp)),
        }
    }

    #[inline(always)]
    fn v4(&self, ip: &[u8; 20], options: Options, payload: &'a [u8], stamp: Stamp) -> Decoded<'a> {
        let &[_, _, _, _, i0, i1, _, _, _, _, _, _, s0, s1, s2, s3, d0, d1, d2, d3] = ip;
        let (src, dst) = (IpAddr::from([s0, s1, s2, s3]), IpAddr::from([d0, d1, d2, d3]));
        self.segment(src, dst, Some(u16::from_be_bytes([i0, i1])), options, payload, stamp)
    }

    #[inline(always)]
    fn v6(&self, ip: &[u8; 40], options: Options, payload: &'a [u8], stamp: Stamp) -> Decoded<'a> {
        let (fixed_and_src, dst) = ip.split_last_chunk::<16>().unwrap_or((ip, &[0; 16]));
        let src = fixed_and_src.last_chunk::<16>().unwrap_or(dst);
        self.segment(IpAddr::from(*src), IpAddr::from(*dst), None, options, payload, stamp)
    }

    #[inline(always)]
    fn segment(
        &self,
        src: IpAddr,
        dst: IpAddr,
        ip_id: Option<u16>,
        options: Options,
        payload: &'a [u8],
        stamp: Stamp,
    ) -> Decoded<'a> {
        let &[s0, s1, d0, d1, q0, q1, q2, q3, a0, a1, a2, a3, _, flags, w0, w1, c0, c1, _, _] = self.tcp;
        let clamp = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
        let segment = Segment {
            ts: stamp.ts,
            ordinal: stamp.ordinal,
            frame: stamp.frame,
            seq: SeqNum::new(u32::from_be_bytes([q0, q1, q2, q3])),
            ack: SeqNum::new(u32::from_be_bytes([a0, a1, a2, a3])),
            flags: Flags::from_bits(flags),
            window: u16::from_be_bytes([w0, w1]),
            payload_len: clamp(self.real.saturating_sub(self.header_len)),
            ip_len: clamp(self.ip_len),
            ip_id,
            checksum: u16::from_be_bytes([c0, c1]),
            bad_checksum: false,
            options_cut: FIXED + self.behind.len() < self.header_len,
            options,
        };
        let addressed = Addressed {
            src: HostPort::new(src, u16::from_be_bytes([s0, s1])),
            dst: HostPort::new(dst, u16::from_be_bytes([d0, d1])),
            vlan: self.vlan,
            tunnel: None,
            segment,
        };
        Decoded::Segment { addressed, payload }
    }
}
