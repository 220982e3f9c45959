//! What stands between an Ethernet header and the packet. In: the view behind a field that holds a type or a length. Out: the view behind
//! the tag, and what begins there.
//!
//! IEEE 802.1Q, 802.1ad, 802.1ah, 802.1AE, 802.1CB; HSR IEC 62439-3; TRILL RFC 6325; NSH RFC 8300; Cisco's VN-Tag, metadata and FabricPath.

use etherparse::SingleVlanHeaderSlice;

use super::skip::Skip;
use super::view::{Part, View};
use super::walk::{Layer, Step, Walk, go, opened};
use super::{mpls, ppp};
use crate::tcp::segment::TunnelKind;

/// Values up to here in the place of an EtherType are the length of an 802.3 frame (IEEE 802.3 3.2.6).
pub(super) const MAX_802_3_LENGTH: u16 = 1500;

const ARP: u16 = 0x0806;

/// The network service header's EtherType.
pub(super) const SERVICE_HEADER: u16 = 0x894f;

/// What follows a field that holds a type or a length.
pub(super) fn type_or_length(field: u16, view: View<'_>) -> Step<'_> {
    match field {
        0x0800 | 0x86dd => go(Layer::Ip, view), // nearly every packet: saves a turn
        0..=MAX_802_3_LENGTH => go(Layer::Llc, view.trim(usize::from(field))),
        _ => go(Layer::EtherType(field), view),
    }
}

/// What an EtherType announces.
pub(super) fn ether_type<'a>(walk: &mut Walk, ether_type: u16, view: View<'a>) -> Step<'a> {
    match ether_type {
        0x0800 | 0x86dd => go(Layer::Ip, view),
        0x8100 | 0x88a8 | 0x9100 | 0x9200 | 0x9300 => vlan(walk, view),
        ARP | 0x8035 => Err(Skip::Arp),
        0x8847 | 0x8848 => mpls::labels(walk, view),
        0x8864 => ppp::pppoe(walk, view),
        0x880b => go(Layer::Ppp, view),
        0x6558 => go(Layer::Ethernet, view), // transparent bridging (RFC 1701)
        0x6559 => go(Layer::FrameRelay, view),
        0x8870 => go(Layer::Llc, view),
        0x88e5 => macsec(view),
        0x88e7 => backbone(walk, view),
        0x8903 => go(Layer::Ethernet, view.skip(2, Part::Link)?), // FabricPath: tree and hops, then the frame
        0x8909 => tag::<8>(view),                                 // Cisco metadata: version, length, option, group
        0x8926 => tag::<6>(view),                                 // VN-Tag: interface numbers
        0x892f => tag::<6>(view),                                 // HSR: path, size, sequence number
        0xf1c1 => tag::<6>(view),                                 // redundancy: sequence number
        0x22f3 => trill(walk, view),
        SERVICE_HEADER => service_header(walk, view),
        _ => Err(Skip::NotIp),
    }
}

/// One VLAN tag; a stack of them takes as many turns.
fn vlan<'a>(walk: &mut Walk, view: View<'a>) -> Step<'a> {
    let tag = SingleVlanHeaderSlice::from_slice(view.bytes()).map_err(|_| view.short(Part::Link))?;
    walk.tagged(tag.vlan_identifier().value());
    type_or_length(tag.ether_type().0, view.skip(tag.slice().len(), Part::Link)?)
}

/// A tag of `N` bytes that ends in the type or length that it displaced.
fn tag<const N: usize>(view: View<'_>) -> Step<'_> {
    let (tag, rest) = view.take::<N>(Part::Link)?;
    let &field = tag.last_chunk::<2>().ok_or(view.short(Part::Link))?;
    type_or_length(u16::from_be_bytes(field), rest)
}

/// Backbone service tag: flags and the service's number, then the customer's frame.
fn backbone<'a>(walk: &mut Walk, view: View<'a>) -> Step<'a> {
    let (&[_, a, b, c], rest) = view.take::<4>(Part::Link)?;
    opened(walk, TunnelKind::Pbb, Some(u32::from_be_bytes([0, a, b, c])), Layer::Ethernet, rest)
}

/// MACsec that only signs: neither encrypted nor changed (IEEE 802.1AE 9.5).
fn macsec(view: View<'_>) -> Step<'_> {
    const SCI_PRESENT: u8 = 0x20;
    const ENCRYPTED_OR_CHANGED: u8 = 0x0c;
    let (&[control, ..], rest) = view.take::<6>(Part::Link)?;
    if control & ENCRYPTED_OR_CHANGED != 0 {
        return Err(Skip::Encrypted);
    }
    let rest = if control & SCI_PRESENT != 0 { rest.skip(8, Part::Link)? } else { rest };
    let (&field, rest) = rest.take::<2>(Part::Link)?;
    type_or_length(u16::from_be_bytes(field), rest)
}

/// TRILL: flags with the length of the options in words, egress, ingress; then the frame.
fn trill<'a>(walk: &mut Walk, view: View<'a>) -> Step<'a> {
    let (&[high, low, ..], rest) = view.take::<6>(Part::Tunnel)?;
    let options = usize::from(u16::from_be_bytes([high, low]) >> 6 & 0x1f) * 4;
    opened(walk, TunnelKind::Trill, None, Layer::Ethernet, rest.skip(options, Part::Tunnel)?)
}

/// Network service header: its length in words, what it carries, the service path.
fn service_header<'a>(walk: &mut Walk, view: View<'a>) -> Step<'a> {
    let (&[version, length, _, next, a, b, c, _], _) = view.take::<8>(Part::Tunnel)?;
    let length = usize::from(length & 0x3f) * 4;
    if version >> 6 != 0 || length < 8 {
        return Err(Skip::BadTunnel);
    }
    let layer = match next {
        1 | 2 => Layer::Ip,
        3 => Layer::Ethernet,
        4 => Layer::EtherType(SERVICE_HEADER),
        5 => Layer::EtherType(0x8847),
        _ => return Err(Skip::NotIp),
    };
    let path = u32::from_be_bytes([0, a, b, c]);
    opened(walk, TunnelKind::Nsh, Some(path), layer, view.skip(length, Part::Tunnel)?)
}
