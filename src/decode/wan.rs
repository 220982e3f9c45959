//! Telecommunication links. In: Frame Relay, ATM, DOCSIS or a packet in Juniper's wrapping. Out: the view behind the header and what begins
//! there.
//!
//! Frame Relay RFC 2427, ATM RFC 2684, DOCSIS MULPI 6.2, Juniper's header as tcpdump's `print-juniper.c` reads it.

use super::guess;
use super::skip::Skip;
use super::view::{Part, View};
use super::walk::{Layer, Step, go};

/// Frame Relay: an address of two to four bytes, then a network layer protocol id or, as Cisco does it, an EtherType.
pub(super) fn frame_relay(view: View<'_>) -> Step<'_> {
    const LAST: u8 = 0x01;
    const UNNUMBERED: u8 = 0x03;
    let head = view.bytes().get(..4).ok_or(view.short(Part::Link))?;
    let last = head.iter().position(|byte| byte & LAST != 0).filter(|&at| at > 0).ok_or(Skip::BadLinkHeader)?;
    let rest = view.skip(last + 1, Part::Link)?;
    match *rest.bytes() {
        [UNNUMBERED, 0, ..] => network_layer(rest.skip(2, Part::Link)?, 0),
        [UNNUMBERED, ..] => network_layer(rest.skip(1, Part::Link)?, 0),
        [high, low, ..] => go(Layer::EtherType(u16::from_be_bytes([high, low])), rest.skip(2, Part::Link)?),
        _ => Err(rest.short(Part::Link)),
    }
}

/// A network layer protocol id (ISO/IEC TR 9577). `padding`: what stands before a bridged frame.
pub(super) fn network_layer(view: View<'_>, padding: usize) -> Step<'_> {
    let (&[id], rest) = view.take::<1>(Part::Link)?;
    match id {
        0xcc | 0x8e => go(Layer::Ip, rest),
        0xcf => go(Layer::Ppp, rest),
        0x80 => snap(rest, padding),
        _ => Err(Skip::NotIp),
    }
}

/// SNAP: whose number, and the number (IEEE 802 9.5).
pub(super) fn snap(view: View<'_>, padding: usize) -> Step<'_> {
    let (&[a, b, c, high, low], rest) = view.take::<5>(Part::Link)?;
    match ([a, b, c], u16::from_be_bytes([high, low])) {
        // RFC 1042, and the bridges' variant of it.
        ([0, 0, 0] | [0, 0, 0xf8], ether_type) => go(Layer::EtherType(ether_type), rest),
        // A bridged Ethernet frame, with and without its check sequence.
        ([0, 0x80, 0xc2], 1 | 7) => go(Layer::Ethernet, rest.skip(padding, Part::Link)?),
        _ => Err(Skip::NotIp),
    }
}

/// ATM of which nobody says what it carries: 802.2, or IP alone.
pub(super) fn classical_ip(view: View<'_>) -> Step<'_> {
    go(if guess::is_ip(view) { Layer::Ip } else { Layer::Llc }, view)
}

/// SunATM: direction and kind of traffic, then the circuit.
pub(super) fn sun_atm(view: View<'_>) -> Step<'_> {
    let (&[flags, ..], rest) = view.take::<4>(Part::Link)?;
    match flags & 0x0f {
        1 => go(Layer::Ethernet, rest.skip(2, Part::Link)?), // LAN emulation, behind the client's number
        2 => go(Layer::Llc, rest),
        _ => Err(Skip::NotIp),
    }
}

/// DOCSIS: type, length, perhaps an extended header, a check sequence; then an Ethernet frame.
pub(super) fn docsis(view: View<'_>) -> Step<'_> {
    const EXTENDED: u8 = 0x01;
    const PRIVACY_ENABLED: u8 = 0x80;
    let (&[control, parameter, _, _], rest) = view.take::<4>(Part::Link)?;
    if control >> 6 & 0b01 != 0 {
        return Err(Skip::NotIp); // management and ATM
    }
    let mut rest = rest;
    if control & EXTENDED != 0 {
        // Baseline privacy, upstream and downstream, is the first element if it is there.
        if let &[0x30..=0x4f, _, circuit, ..] = rest.bytes()
            && circuit & PRIVACY_ENABLED != 0
        {
            return Err(Skip::Encrypted);
        }
        rest = rest.skip(usize::from(parameter), Part::Link)?;
    }
    go(Layer::Ethernet, rest.skip(2, Part::Link)?)
}

/// Juniper: a magic number, flags, perhaps extensions; then the interface's own link layer, or none.
pub(super) fn juniper(link: u16, view: View<'_>) -> Step<'_> {
    const NO_LINK_LAYER: u8 = 0x02;
    const EXTENSIONS: u8 = 0x80;
    let (&[m0, m1, m2, flags], mut rest) = view.take::<4>(Part::Link)?;
    if [m0, m1, m2] != *b"MGC" {
        return Err(Skip::BadLinkHeader);
    }
    if flags & EXTENSIONS != 0 {
        let (&length, behind) = rest.take::<2>(Part::Link)?;
        rest = behind.skip(usize::from(u16::from_be_bytes(length)), Part::Link)?;
    }
    if flags & NO_LINK_LAYER != 0 {
        return go(Layer::Ip, rest.skip(4, Part::Link)?); // an address family
    }
    match link {
        135 => atm(rest.skip(8, Part::Link)?),
        137 => atm(rest.skip(4, Part::Link)?),
        178 => go(Layer::Ethernet, rest),
        179 => go(Layer::Ppp, rest),
        180 => go(Layer::FrameRelay, rest),
        181 => go(Layer::Link(104), rest),
        _ => Err(Skip::UnknownLinkType),
    }
}

/// Behind the circuit's cookie: 802.2, a network layer protocol id, PPP or IP alone.
fn atm(view: View<'_>) -> Step<'_> {
    match *view.bytes() {
        [0xaa, 0xaa, 3, ..] | [0xfe, 0xfe, 3, ..] => go(Layer::Llc, view),
        [3, ..] => network_layer(view.skip(1, Part::Link)?, 2),
        _ if guess::is_ppp(view) => go(Layer::Ppp, view),
        _ if guess::is_ip(view) => go(Layer::Ip, view),
        _ => Err(Skip::NotIp),
    }
}
