//! Serial links. In: PPP (RFC 1661, 1662), PPPoE (RFC 2516) or Cisco HDLC. Out: the view behind the header and what begins there.

use super::guess;
use super::skip::Skip;
use super::view::{Part, View};
use super::walk::{Layer, Step, Walk, go, opened};
use crate::tcp::segment::TunnelKind;

/// PPP as a link type of its own: plain (9), in HDLC-like framing (50), and with a byte for the direction (166, 204).
pub(super) fn link<'a>(walk: &mut Walk, link: u16, view: View<'a>) -> Step<'a> {
    let view = if matches!(link, 166 | 204) { view.skip(1, Part::Link)? } else { view };
    match view.bytes() {
        // Cisco's unicast and multicast addresses.
        [0x0f | 0x8f, 0, ..] if link == 50 => cisco_hdlc(view),
        _ => opened(walk, TunnelKind::Ppp, None, Layer::Ppp, view),
    }
}

/// Cisco HDLC: address, control, EtherType.
pub(super) fn cisco_hdlc(view: View<'_>) -> Step<'_> {
    let (&[_, _, high, low], rest) = view.take::<4>(Part::Link)?;
    go(Layer::EtherType(u16::from_be_bytes([high, low])), rest)
}

/// The session stage of PPPoE.
pub(super) fn pppoe<'a>(walk: &mut Walk, view: View<'a>) -> Step<'a> {
    const SESSION_DATA: u8 = 0;
    let (&[_, code, id_high, id_low, length_high, length_low], rest) = view.take::<6>(Part::Link)?;
    if code != SESSION_DATA {
        return Err(Skip::NotIp);
    }
    let session = u32::from(u16::from_be_bytes([id_high, id_low]));
    let length = usize::from(u16::from_be_bytes([length_high, length_low]));
    // An offloading card may leave 0 there, as in an IP header.
    let rest = if length == 0 { rest } else { rest.trim(length) };
    opened(walk, TunnelKind::Pppoe, Some(session), Layer::Ppp, rest)
}

/// The protocol field, with or without address and control (RFC 1661 6.6), in one byte or two (6.5).
pub(super) fn ppp(view: View<'_>) -> Step<'_> {
    let view = if view.bytes().starts_with(&[0xff, 0x03]) { view.skip(2, Part::Link)? } else { view };
    let (protocol, rest) = match view.take::<1>(Part::Link)? {
        (&[odd], rest) if odd & 1 == 1 => (u16::from(odd), rest),
        _ => view.take::<2>(Part::Link).map(|(&field, rest)| (u16::from_be_bytes(field), rest))?,
    };
    match protocol {
        0x0021 | 0x0057 => go(Layer::Ip, rest),
        0x0281 | 0x0283 => go(Layer::EtherType(0x8847), rest),
        0x0031 => bridged(rest),
        0x003d => multilink(rest),
        // Van Jacobson's compressed TCP headers and what CCP (RFC 1962) negotiated, MPPE among it.
        0x002d | 0x002f | 0x00fb | 0x00fd => Err(Skip::Compressed),
        0x0053 | 0x0055 => Err(Skip::Encrypted),
        _ => Err(Skip::NotIp),
    }
}

/// A bridged frame (RFC 3518): flags with the count of padding bytes at its end, the kind of frame, perhaps a LAN's number.
fn bridged(view: View<'_>) -> Step<'_> {
    const LAN: u8 = 0x20;
    const PADDING: u8 = 0x0f;
    const IEEE_802_3: u8 = 1;
    let (&[flags, kind], rest) = view.take::<2>(Part::Link)?;
    if kind != IEEE_802_3 {
        return Err(Skip::NotIp);
    }
    let rest = if flags & LAN != 0 { rest.skip(4, Part::Link)? } else { rest };
    go(Layer::Ethernet, rest.trim(rest.real().saturating_sub(usize::from(flags & PADDING))))
}

/// One link's part of a frame (RFC 1990), which is all of it if it has both marks. The sequence number takes three bytes, unless two
/// were agreed on: then the frame would begin a byte or two earlier.
fn multilink(view: View<'_>) -> Step<'_> {
    const WHOLE: u8 = 0xc0;
    let (&[marks, ..], _) = view.take::<2>(Part::Link)?;
    if marks & WHOLE != WHOLE {
        return Err(Skip::Fragment);
    }
    let short = view.skip(2, Part::Link)?;
    go(Layer::Ppp, if guess::is_ppp(short) { short } else { view.skip(4, Part::Link)? })
}
