//! Tunnels over IP and UDP. In: the view at a tunnel's header. Out: the view behind it, what begins there, and the tunnel's id.
//!
//! GRE RFC 2784, 2890, its variant of PPTP RFC 2637, ERSPAN draft-foschiano-erspan; VXLAN RFC 7348, Geneve RFC 8926,
//! GTP-U 3GPP TS 29.281, its version 0 3GPP TS 29.060; Teredo RFC 4380, L2TPv2 RFC 2661, L2TPv3 RFC 3931, MPLS in UDP RFC 7510, GRE in
//! UDP RFC 8086, LISP RFC 9300, CAPWAP RFC 5415, TZSP; MikroTik's EoIP.

use super::skip::Skip;
use super::view::{Part, View};
use super::walk::{Layer, Step, UdpTunnel, Walk, opened};
use super::{guess, mpls, tags, wireless};
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
        UdpTunnel::Gre => gre(walk, view),
        UdpTunnel::GtpOld => gtp_0(walk, view),
        UdpTunnel::Lisp => lisp(walk, view),
        UdpTunnel::Capwap => capwap(walk, view),
        UdpTunnel::Tzsp => tzsp(walk, view),
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
        (true, 4) => Layer::EtherType(tags::SERVICE_HEADER),
        (true, 5) => Layer::EtherType(0x8847),
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
    opened(walk, TunnelKind::GtpU, Some(u32::from_be_bytes(*teid)), bearer(rest), rest)
}

/// What a bearer carries is agreed in the control plane. IP shows its version; PPP and Ethernet are the other choices in use.
fn bearer(view: View<'_>) -> Layer {
    match view.nibble() {
        Some(4 | 6) if guess::is_ip(view) || !guess::is_ethernet(view) => Layer::Ip,
        _ if guess::is_ethernet(view) => Layer::Ethernet,
        _ => Layer::Ppp,
    }
}

/// The version before: a fixed header with the subscriber's own number.
fn gtp_0<'a>(walk: &mut Walk, view: View<'a>) -> Step<'a> {
    const VERSION_0: u8 = 0x10;
    const T_PDU: u8 = 0xff;
    let (&[flags, message, length_high, length_low, _, _, label_high, label_low, ..], rest) =
        view.take::<20>(Part::Tunnel)?;
    if flags & 0xf0 != VERSION_0 || message != T_PDU {
        return Err(Skip::Udp);
    }
    let rest = rest.trim(usize::from(u16::from_be_bytes([length_high, length_low])));
    let label = u32::from(u16::from_be_bytes([label_high, label_low]));
    opened(walk, TunnelKind::GtpU, Some(label), bearer(rest), rest)
}

/// LISP's data: flags, then a number of the instance if one of them says so.
fn lisp<'a>(walk: &mut Walk, view: View<'a>) -> Step<'a> {
    const HAS_INSTANCE: u8 = 0x08;
    let (&[flags, _, _, _, a, b, c, _], rest) = view.take::<8>(Part::Tunnel)?;
    if !matches!(rest.nibble(), Some(4 | 6)) {
        return Err(Skip::Udp);
    }
    let instance = (flags & HAS_INSTANCE != 0).then(|| u32::from_be_bytes([0, a, b, c]));
    opened(walk, TunnelKind::Lisp, instance, Layer::Ip, rest)
}

/// CAPWAP's data: the header's length in words, what radio it is about, whether the frame is the radio's own.
fn capwap<'a>(walk: &mut Walk, view: View<'a>) -> Step<'a> {
    const ENCRYPTED: u8 = 1;
    const IEEE_802_11: u16 = 1;
    const NATIVE: u16 = 0x01;
    const FRAGMENT: u8 = 0x80;
    const KEEP_ALIVE: u8 = 0x08;
    let (&[preamble, high, low, flags, ..], _) = view.take::<8>(Part::Tunnel)?;
    match preamble {
        0 => {}
        ENCRYPTED => return Err(Skip::Encrypted),
        _ => return Err(Skip::Udp),
    }
    if flags & FRAGMENT != 0 {
        return Err(Skip::Fragment);
    }
    let fields = u16::from_be_bytes([high, low]);
    let length = usize::from(fields >> 11) * 4;
    if flags & KEEP_ALIVE != 0 || length < 8 {
        return Err(Skip::Udp);
    }
    let rest = view.skip(length, Part::Tunnel)?;
    match (fields & NATIVE, fields >> 1 & 0x1f) {
        (0, _) => opened(walk, TunnelKind::Capwap, None, Layer::Ethernet, rest),
        (_, IEEE_802_11) => {
            walk.open(TunnelKind::Capwap, None)?;
            wireless::from_controller(rest)
        }
        _ => Err(Skip::NotIp),
    }
}

/// TaZmen's sniffer protocol, as MikroTik and others stream captures: a kind, what is carried, tags up to one that ends them.
fn tzsp<'a>(walk: &mut Walk, view: View<'a>) -> Step<'a> {
    const PADDING: u8 = 0;
    const END: u8 = 1;
    let (&[1, 0 | 1, high, low], mut rest) = view.take::<4>(Part::Tunnel)? else { return Err(Skip::Udp) };
    // Each turn takes a byte or more off.
    loop {
        let (&[tag], behind) = rest.take::<1>(Part::Tunnel)?;
        rest = behind;
        match tag {
            PADDING => {}
            END => break,
            _ => {
                let (&[length], behind) = rest.take::<1>(Part::Tunnel)?;
                rest = behind.skip(usize::from(length), Part::Tunnel)?;
            }
        }
    }
    let link = match u16::from_be_bytes([high, low]) {
        1 => 1,
        2 => 6,
        4 => 9,
        5 => 10,
        7 => 101,
        18 => 105,
        119 => 119,
        127 => 163,
        _ => return Err(Skip::NotIp),
    };
    opened(walk, TunnelKind::Tzsp, None, Layer::Link(link), rest)
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
    if flags & CONTROL != 0 {
        return Err(Skip::Udp);
    }
    match flags & VERSION {
        2 => {}
        3 => return l2tp_v3(walk, rest.skip(2, Part::Tunnel)?),
        _ => return Err(Skip::Udp),
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

/// The third version, at its session's number. The control connection agrees on a cookie of up to eight bytes and on four bytes of a
/// sublayer, or not, and on what is carried: the first choice that bears a packet counts.
pub(super) fn l2tp_v3<'a>(walk: &mut Walk, view: View<'a>) -> Step<'a> {
    const CONTROL: u32 = 0;
    let (&session, rest) = view.take::<4>(Part::Tunnel)?;
    let session = u32::from_be_bytes(session);
    if session == CONTROL {
        return Err(Skip::OtherProtocol);
    }
    for at in [0, 4, 8, 12] {
        let inner = rest.skip(at, Part::Tunnel)?;
        let layer = match () {
            () if guess::is_ethernet(inner) => Layer::Ethernet,
            () if guess::is_ppp(inner) => Layer::Ppp,
            () if guess::is_ip(inner) => Layer::Ip,
            () => continue,
        };
        return opened(walk, TunnelKind::L2tp, Some(session), layer, inner);
    }
    Err(Skip::NotIp)
}

/// GRE in all its versions; ERSPAN and PPTP are told by what it carries.
pub(super) fn gre<'a>(walk: &mut Walk, view: View<'a>) -> Step<'a> {
    const HAS_CHECKSUM: u16 = 0x8000;
    const HAS_ROUTING: u16 = 0x4000;
    const HAS_KEY: u16 = 0x2000;
    const HAS_SEQUENCE: u16 = 0x1000;
    const HAS_ACK: u16 = 0x0080; // version 1 only
    const PPP: u16 = 0x880b;
    const ETHERNET_OVER_IP: u16 = 0x6400; // MikroTik's
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
        if let (ETHERNET_OVER_IP, Some(key)) = (protocol, key) {
            // The key's halves are a length and, little-endian, the tunnel's number.
            let id = u32::from((key as u16).swap_bytes());
            return opened(walk, TunnelKind::Gre, Some(id), Layer::Ethernet, rest);
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
