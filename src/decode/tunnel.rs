//! Tunnels over IP and UDP. In: the view at a tunnel's header. Out: the view behind it, what begins there, and the tunnel's id.
//!
//! GRE RFC 2784, 2890, its variant of PPTP RFC 2637, ERSPAN draft-foschiano-erspan; VXLAN RFC 7348, Geneve RFC 8926,
//! GTP-U 3GPP TS 29.281, Teredo RFC 4380, L2TPv2 RFC 2661, MPLS in UDP RFC 7510.

use super::mpls;
use super::skip::Skip;
use super::view::{Part, View};
use super::walk::{Layer, Step, UdpTunnel, Walk, opened};
use crate::tcp::segment::TunnelKind;

/// What the UDP header's port announces.
pub(super) fn in_udp<'a>(walk: &mut Walk, tunnel: UdpTunnel, view: View<'a>) -> Step<'a> {
    match tunnel {
        UdpTunnel::Vxlan => vxlan(walk, view, false),
        UdpTunnel::VxlanGpe => vxlan(walk, view, true),
        UdpTunnel::Geneve => geneve(walk, view),
        UdpTunnel::GtpU => gtp_u(walk, view),
        UdpTunnel::Teredo => teredo(walk, view),
        UdpTunnel::L2tp => l2tp(walk, view),
        UdpTunnel::Mpls => mpls::labels(walk, view),
    }
}

/// `generic`: the draft's extension that says what is inside.
fn vxlan<'a>(walk: &mut Walk, view: View<'a>, generic: bool) -> Step<'a> {
    const HAS_VNI: u8 = 0x08;
    let (&[flags, _, _, protocol, a, b, c, _], rest) = view.take::<8>(Part::Tunnel)?;
    if flags & HAS_VNI == 0 {
        return Err(Skip::BadTunnel);
    }
    let layer = match (generic, protocol) {
        (false, _) | (true, 3) => Layer::Ethernet,
        (true, 1 | 2) => Layer::Ip,
        (true, _) => return Err(Skip::NotIp),
    };
    opened(walk, TunnelKind::Vxlan, Some(u32::from_be_bytes([0, a, b, c])), layer, rest)
}

fn geneve<'a>(walk: &mut Walk, view: View<'a>) -> Step<'a> {
    let (&[version_and_options, _, high, low, a, b, c, _], rest) = view.take::<8>(Part::Tunnel)?;
    if version_and_options >> 6 != 0 {
        return Err(Skip::BadTunnel);
    }
    let rest = rest.skip(usize::from(version_and_options & 0x3f) * 4, Part::Tunnel)?;
    let layer = Layer::EtherType(u16::from_be_bytes([high, low]));
    opened(walk, TunnelKind::Geneve, Some(u32::from_be_bytes([0, a, b, c])), layer, rest)
}

fn gtp_u<'a>(walk: &mut Walk, view: View<'a>) -> Step<'a> {
    const VERSION_1: u8 = 0x30;
    const G_PDU: u8 = 0xff;
    const EXTENDED: u8 = 0x04;
    const ANY_OPTIONAL: u8 = 0x07;

    let (&[flags, message, high, low, ref teid @ ..], rest) = view.take::<8>(Part::Tunnel)?;
    if flags & 0xf0 != VERSION_1 {
        return Err(Skip::BadTunnel);
    }
    if message != G_PDU {
        return Err(Skip::Udp); // echoes and other signalling
    }
    let mut rest = rest.trim(usize::from(u16::from_be_bytes([high, low])));
    if flags & ANY_OPTIONAL != 0 {
        let (&[_, _, _, mut next], behind) = rest.take::<4>(Part::Tunnel)?;
        rest = behind;
        while flags & EXTENDED != 0 && next != 0 {
            // In units of four bytes; the last byte names the next one. Every turn takes at least one unit off.
            let length = rest.bytes().first().map_or(0, |&units| usize::from(units) * 4);
            let last = length.checked_sub(1).ok_or(rest.short(Part::Tunnel))?;
            next = *rest.bytes().get(last).ok_or(rest.short(Part::Tunnel))?;
            rest = rest.skip(length, Part::Tunnel)?;
        }
    }
    // What a bearer carries is agreed in the control plane; IP shows its version, and PPP is the other choice in use.
    let layer = match rest.nibble() {
        Some(4 | 6) => Layer::Ip,
        _ => Layer::Ppp,
    };
    opened(walk, TunnelKind::GtpU, Some(u32::from_be_bytes(*teid)), layer, rest)
}

/// IPv6, perhaps behind an authentication and an origin indication.
fn teredo<'a>(walk: &mut Walk, view: View<'a>) -> Step<'a> {
    let mut rest = view;
    if let &[0, 1, id_len, auth_len, ..] = rest.bytes() {
        rest = rest.skip(13 + usize::from(id_len) + usize::from(auth_len), Part::Tunnel)?;
    }
    if let &[0, 0, ..] = rest.bytes() {
        rest = rest.skip(8, Part::Tunnel)?;
    }
    match rest.nibble() {
        Some(6) => opened(walk, TunnelKind::Teredo, None, Layer::Ip, rest),
        Some(_) => Err(Skip::Udp),
        None => Err(rest.short(Part::Tunnel)),
    }
}

fn l2tp<'a>(walk: &mut Walk, view: View<'a>) -> Step<'a> {
    const CONTROL: u16 = 0x8000;
    const HAS_LENGTH: u16 = 0x4000;
    const HAS_SEQUENCE: u16 = 0x0800;
    const HAS_OFFSET: u16 = 0x0200;
    const VERSION: u16 = 0x000f;

    let (&flags, mut rest) = view.take::<2>(Part::Tunnel)?;
    let flags = u16::from_be_bytes(flags);
    if flags & VERSION != 2 || flags & CONTROL != 0 {
        return Err(Skip::Udp);
    }
    if flags & HAS_LENGTH != 0 {
        let (&length, behind) = rest.take::<2>(Part::Tunnel)?;
        // It counts the flags and itself.
        rest = behind.trim(usize::from(u16::from_be_bytes(length)).checked_sub(4).ok_or(Skip::BadTunnel)?);
    }
    let (&[_, _, high, low], behind) = rest.take::<4>(Part::Tunnel)?;
    let session = u32::from(u16::from_be_bytes([high, low]));
    rest = if flags & HAS_SEQUENCE != 0 { behind.skip(4, Part::Tunnel)? } else { behind };
    if flags & HAS_OFFSET != 0 {
        let (&offset, behind) = rest.take::<2>(Part::Tunnel)?;
        rest = behind.skip(usize::from(u16::from_be_bytes(offset)), Part::Tunnel)?;
    }
    opened(walk, TunnelKind::L2tp, Some(session), Layer::Ppp, rest)
}

/// GRE in all its versions; ERSPAN and PPTP are told by what it carries.
pub(super) fn gre<'a>(walk: &mut Walk, view: View<'a>) -> Step<'a> {
    const HAS_CHECKSUM: u16 = 0x8000;
    const HAS_ROUTING: u16 = 0x4000;
    const HAS_KEY: u16 = 0x2000;
    const HAS_SEQUENCE: u16 = 0x1000;
    const HAS_ACK: u16 = 0x0080; // version 1 only
    const PPP: u16 = 0x880b;
    const WCCP: u16 = 0x883e;
    const ERSPAN_2: u16 = 0x88be;
    const ERSPAN_3: u16 = 0x22eb;

    let (&[f0, f1, p0, p1], mut rest) = view.take::<4>(Part::Tunnel)?;
    let (flags, protocol) = (u16::from_be_bytes([f0, f1]), u16::from_be_bytes([p0, p1]));
    let version = flags & 0x07;
    if version > 1 {
        return Err(Skip::BadTunnel);
    }
    if flags & (HAS_CHECKSUM | HAS_ROUTING) != 0 {
        rest = rest.skip(4, Part::Tunnel)?;
    }
    let mut key = None;
    if flags & HAS_KEY != 0 {
        let (&bytes, behind) = rest.take::<4>(Part::Tunnel)?;
        key = Some(u32::from_be_bytes(bytes));
        rest = behind;
    }
    if flags & HAS_SEQUENCE != 0 {
        rest = rest.skip(4, Part::Tunnel)?;
    }
    if version == 1 {
        if flags & HAS_ACK != 0 {
            rest = rest.skip(4, Part::Tunnel)?;
        }
        // The key's halves are a length and the call.
        let call = key.map(|key| key & 0xffff);
        return match (protocol, rest.real()) {
            (PPP, 1..) => opened(walk, TunnelKind::Gre, call, Layer::Ppp, rest),
            _ => Err(Skip::OtherProtocol), // a bare acknowledgement
        };
    }
    if flags & HAS_ROUTING != 0 {
        rest = source_routes(rest)?;
    }
    match protocol {
        ERSPAN_2 if flags & HAS_SEQUENCE == 0 => opened(walk, TunnelKind::Erspan, None, Layer::Ethernet, rest),
        ERSPAN_2 => erspan_2(walk, rest),
        ERSPAN_3 => erspan_3(walk, rest),
        WCCP => {
            // Its second version puts four bytes before the IP header, the first none.
            let rest = if rest.nibble() == Some(4) { rest } else { rest.skip(4, Part::Tunnel)? };
            opened(walk, TunnelKind::Gre, key, Layer::Ip, rest)
        }
        _ => opened(walk, TunnelKind::Gre, key, Layer::EtherType(protocol), rest),
    }
}

/// Source route entries (RFC 1701): family, offset and length each, the last of length 0. Every turn takes four bytes
/// or more off.
fn source_routes(view: View<'_>) -> Result<View<'_>, Skip> {
    let mut rest = view;
    loop {
        let (&[f0, f1, _, length], behind) = rest.take::<4>(Part::Tunnel)?;
        rest = behind.skip(usize::from(length), Part::Tunnel)?;
        if (f0, f1, length) == (0, 0, 0) {
            return Ok(rest);
        }
    }
}

/// The session is the low ten bits of the second half-word.
const fn session(high: u8, low: u8) -> Option<u32> {
    Some(u16::from_be_bytes([high, low]) as u32 & 0x3ff)
}

fn erspan_2<'a>(walk: &mut Walk, view: View<'a>) -> Step<'a> {
    let (&[version, _, high, low, ..], rest) = view.take::<8>(Part::Tunnel)?;
    match version >> 4 {
        1 => opened(walk, TunnelKind::Erspan, session(high, low), Layer::Ethernet, rest),
        2 => erspan_3(walk, view),
        _ => Err(Skip::BadTunnel),
    }
}

fn erspan_3<'a>(walk: &mut Walk, view: View<'a>) -> Step<'a> {
    const PLATFORM_HEADER: u8 = 0x01;
    const FRAME_TYPE: u8 = 0x1f;
    let (&[version, _, high, low, _, _, _, _, _, _, kind, flags], rest) = view.take::<12>(Part::Tunnel)?;
    if version >> 4 != 2 {
        return Err(Skip::BadTunnel);
    }
    let rest = if flags & PLATFORM_HEADER != 0 { rest.skip(8, Part::Tunnel)? } else { rest };
    let layer = match kind >> 2 & FRAME_TYPE {
        0 => Layer::Ethernet,
        2 => Layer::Ip,
        _ => return Err(Skip::NotIp),
    };
    opened(walk, TunnelKind::Erspan, session(high, low), layer, rest)
}
