//! IP. In: an IPv4 or IPv6 packet. Out: its addresses, and the view of its payload without padding; or a fragment.
//!
//! RFC 791, RFC 8200; jumbograms RFC 2675; AH RFC 4302; home addresses and mobility RFC 6275; segment routing RFC 8754; HIP RFC 7401;
//! shim6 RFC 5533; EtherIP RFC 3378; Ethernet RFC 8986. Lengths: no more than
//! the frame has, even where a header claims more. A wrong header checksum is no reason to skip: cards compute it late.

use std::net::{IpAddr, Ipv6Addr};

use etherparse::{
    IpAuthHeaderSlice, Ipv4HeaderSlice, Ipv6FragmentHeaderSlice, Ipv6HeaderSlice, Ipv6RawExtHeaderSlice, UdpHeaderSlice,
};

use super::fragments::Piece;
use super::skip::Skip;
use super::view::{Part, View};
use super::walk::{Ip, Layer, Next, Step, UdpTunnel, Walk, go, opened};
use super::{icmp, mpls, tunnel};
use crate::tcp::segment::TunnelKind;

const HOP_BY_HOP: u8 = 0;
const IPV4: u8 = 4;
pub(super) const TCP: u8 = 6;
pub(super) const UDP: u8 = 17;
const IPV6: u8 = 41;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const GRE: u8 = 47;
const ESP: u8 = 50;
const AH: u8 = 51;
const ICMP: u8 = 1;
const ICMP_V6: u8 = 58;
const DESTINATION_OPTIONS: u8 = 60;
const MOBILE: u8 = 55;
const IPIP: u8 = 94;
const ETHER_IP: u8 = 97;
const IPCOMP: u8 = 108;
const L2TP: u8 = 115;
const MOBILITY: u8 = 135;
const MPLS: u8 = 137;
const HOST_IDENTITY: u8 = 139;
const SHIM: u8 = 140;
const ETHERNET: u8 = 143;

/// Either version. The version field decides, not what announced the packet.
pub(super) fn ip<'a>(walk: &mut Walk, view: View<'a>) -> Step<'a> {
    match view.nibble() {
        Some(4) => ipv4(walk, view),
        Some(6) => ipv6(walk, view),
        Some(_) => Err(Skip::BadIpHeader),
        None => Err(view.short(Part::Ip)),
    }
}

fn ipv4<'a>(walk: &mut Walk, view: View<'a>) -> Step<'a> {
    use etherparse::err::ipv4::HeaderSliceError;

    let header = Ipv4HeaderSlice::from_slice(view.bytes()).map_err(|error| match error {
        HeaderSliceError::Len(_) => view.short(Part::Ip),
        HeaderSliceError::Content(_) => Skip::BadIpHeader,
    })?;
    let header_len = header.slice().len();
    let view = match usize::from(header.total_len()) {
        0 => view, // segmentation offload: the packet was longer than the field can say, or not cut up yet
        total if total < header_len => return Err(Skip::BadIpHeader),
        total => view.trim(total),
    };
    if view.real() < header_len {
        return Err(Skip::BadIpHeader);
    }
    walk.ip = Some(Ip {
        src: IpAddr::V4(header.source_addr()),
        dst: IpAddr::V4(header.destination_addr()),
        len: view.real(),
        id: Some(header.identification()),
        unsized_v6: false,
    });
    let payload = view.skip(header_len, Part::Ip)?;
    let protocol = header.protocol().0;
    if header.is_fragmenting_payload() {
        return piece(Piece {
            key_protocol: Some(protocol),
            protocol,
            id: u32::from(header.identification()),
            offset: u32::from(header.fragments_offset().byte_offset()),
            more: header.more_fragments(),
            view: payload,
        });
    }
    behind_header(protocol, payload)
}

/// Nearly always TCP, which saves a turn.
fn behind_header(protocol: u8, payload: View<'_>) -> Step<'_> {
    if protocol == TCP { Ok(Next::Tcp(payload)) } else { go(Layer::Protocol(protocol), payload) }
}

fn ipv6<'a>(walk: &mut Walk, view: View<'a>) -> Step<'a> {
    const HEADER: usize = 40;
    let header = Ipv6HeaderSlice::from_slice(view.bytes()).map_err(|_| view.short(Part::Ip))?;
    let payload = view.skip(HEADER, Part::Ip)?;
    let stated = usize::from(header.payload_length());
    let payload = if stated == 0 { payload } else { payload.trim(stated) };
    walk.ip = Some(Ip {
        src: IpAddr::V6(header.source_addr()),
        dst: IpAddr::V6(header.destination_addr()),
        len: HEADER + payload.real(),
        id: None,
        unsized_v6: stated == 0,
    });
    behind_header(header.next_header().0, payload)
}

/// What an IP protocol number announces.
pub(super) fn protocol<'a>(walk: &mut Walk, number: u8, view: View<'a>) -> Step<'a> {
    let is_v6 = walk.ip.is_some_and(|ip| ip.src.is_ipv6());
    match number {
        TCP => Ok(Next::Tcp(view)),
        UDP => udp(view),
        ICMP if !is_v6 => icmp::v4(view),
        ICMP_V6 if is_v6 => icmp::v6(view),
        HOP_BY_HOP | ROUTING | DESTINATION_OPTIONS | MOBILITY | HOST_IDENTITY | SHIM if is_v6 => {
            extension(walk, number, view)
        }
        FRAGMENT if is_v6 => fragment_header(view),
        AH => authentication(walk, view),
        IPV4 | IPV6 | IPIP => opened(walk, TunnelKind::IpInIp, None, Layer::Ip, view),
        GRE => tunnel::gre(walk, view),
        MPLS => mpls::labels(walk, view),
        L2TP => tunnel::l2tp_v3(walk, view),
        ETHER_IP => opened(walk, TunnelKind::EtherIp, None, Layer::Ethernet, view.skip(2, Part::Tunnel)?),
        ETHERNET => opened(walk, TunnelKind::EtherIp, None, Layer::Ethernet, view),
        MOBILE if !is_v6 => minimal(walk, view),
        ESP => Err(Skip::Encrypted),
        IPCOMP => Err(Skip::Compressed),
        ICMP | ICMP_V6 => Err(Skip::Icmp),
        _ => Err(Skip::OtherProtocol),
    }
}

fn udp(view: View<'_>) -> Step<'_> {
    let Ok(header) = UdpHeaderSlice::from_slice(view.bytes()) else { return Err(Skip::Udp) };
    let ports = [header.destination_port(), header.source_port()];
    let Some(tunnel) = ports.into_iter().find_map(UdpTunnel::by_port) else { return Err(Skip::Udp) };
    let length = usize::from(header.length());
    let header_len = header.slice().len();
    // 0 is a jumbogram's or an offloading card's.
    let view = if length < header_len { view } else { view.trim(length) };
    go(Layer::Udp(tunnel), view.skip(header_len, Part::Tunnel)?)
}

/// Hop-by-hop options, routing and destination options of IPv6, and the headers of mobility, HIP and shim6, which are built alike.
fn extension<'a>(walk: &mut Walk, number: u8, view: View<'a>) -> Step<'a> {
    let header = Ipv6RawExtHeaderSlice::from_slice(view.bytes()).map_err(|_| view.short(Part::Ip))?;
    let body = header.payload();
    let mut view = view;
    if let Some(ip) = &mut walk.ip {
        match number {
            HOP_BY_HOP if ip.unsized_v6 => {
                if let Some(length) = option(body, 0xc2).and_then(|data| data.first_chunk()) {
                    let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
                    // The length counts from here: it includes this header.
                    ip.len = ip.len.saturating_sub(view.real()).saturating_add(length.min(view.real()));
                    view = view.trim(length);
                }
            }
            DESTINATION_OPTIONS => {
                if let Some(home) = option(body, 0xc9).and_then(|data| data.first_chunk()) {
                    ip.src = IpAddr::V6(Ipv6Addr::from(*home));
                }
            }
            ROUTING => {
                if let Some(last) = last_hop(body) {
                    ip.dst = IpAddr::V6(last);
                }
            }
            _ => {}
        }
        ip.unsized_v6 = false;
    }
    go(Layer::Protocol(header.next_header().0), view.skip(header.slice().len(), Part::Ip)?)
}

/// The data of the first option of a type in a hop-by-hop or destination options header (RFC 8200 4.2).
fn option(mut body: &[u8], wanted: u8) -> Option<&[u8]> {
    const PAD_1: u8 = 0;
    // Each turn takes a byte or more off.
    loop {
        match body {
            [PAD_1, rest @ ..] => body = rest,
            [kind, length, rest @ ..] => {
                let (data, rest) = rest.split_at_checked(usize::from(*length))?;
                if *kind == wanted {
                    return Some(data);
                }
                body = rest;
            }
            _ => return None,
        }
    }
}

/// Whom a routing header takes the packet to, while it is still on its way: the other end of the connection, and the one
/// that the TCP checksum covers (RFC 8200 8.1). `body` begins behind next header and length.
fn last_hop(body: &[u8]) -> Option<Ipv6Addr> {
    const SOURCE_ROUTE: u8 = 0;
    const MOBILITY: u8 = 2;
    const SEGMENTS: u8 = 4;
    let &[kind, left, _, _, _, _, ref addresses @ ..] = body else { return None };
    if left == 0 {
        return None;
    }
    let last = match kind {
        SOURCE_ROUTE | MOBILITY => addresses.chunks_exact(16).last()?.first_chunk::<16>()?,
        SEGMENTS => addresses.first_chunk::<16>()?, // the list runs backwards
        _ => return None,
    };
    Some(Ipv6Addr::from(*last))
}

fn fragment_header(view: View<'_>) -> Step<'_> {
    let header = Ipv6FragmentHeaderSlice::from_slice(view.bytes()).map_err(|_| view.short(Part::Ip))?;
    let next = header.next_header().0;
    let rest = view.skip(header.slice().len(), Part::Ip)?;
    if !header.is_fragmenting_payload() {
        return go(Layer::Protocol(next), rest); // an atomic fragment (RFC 6946) is a whole packet
    }
    // The first fragment's next header counts, whatever the others say, so it is no part of the key (RFC 8200 4.5).
    piece(Piece {
        key_protocol: None,
        protocol: next,
        id: header.identification(),
        offset: u32::from(header.fragment_offset().byte_offset()),
        more: header.more_fragments(),
        view: rest,
    })
}

/// A fragment, if its datagram may turn out to hold a TCP segment.
fn piece(piece: Piece<'_>) -> Step<'_> {
    match piece.protocol {
        TCP | UDP | IPV4 | IPV6 | GRE | AH | IPIP | MPLS | L2TP | ETHER_IP | ETHERNET | MOBILE | HOP_BY_HOP
        | ROUTING | DESTINATION_OPTIONS | MOBILITY | HOST_IDENTITY | SHIM | FRAGMENT => Ok(Next::Piece(piece)),
        _ => Err(Skip::Fragment),
    }
}

/// Minimal encapsulation (RFC 2004): the addresses that the IP header had before.
fn minimal<'a>(walk: &mut Walk, view: View<'a>) -> Step<'a> {
    const HAS_SOURCE: u8 = 0x80;
    let (&[protocol, flags, _, _, ref dst @ ..], mut rest) = view.take::<8>(Part::Tunnel)?;
    if let Some(ip) = &mut walk.ip {
        ip.dst = IpAddr::from(*dst);
        if flags & HAS_SOURCE != 0 {
            let (&src, behind) = rest.take::<4>(Part::Tunnel)?;
            (ip.src, rest) = (IpAddr::from(src), behind);
        }
    }
    opened(walk, TunnelKind::IpInIp, None, Layer::Protocol(protocol), rest)
}

/// What an authentication header protects, in clear.
fn authentication<'a>(walk: &mut Walk, view: View<'a>) -> Step<'a> {
    use etherparse::err::ip_auth::HeaderSliceError;

    let header = IpAuthHeaderSlice::from_slice(view.bytes()).map_err(|error| match error {
        HeaderSliceError::Len(_) => view.short(Part::Ip),
        HeaderSliceError::Content(_) => Skip::BadIpHeader,
    })?;
    let rest = view.skip(header.slice().len(), Part::Ip)?;
    opened(walk, TunnelKind::Ah, None, Layer::Protocol(header.next_header().0), rest)
}
