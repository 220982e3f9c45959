//! Link layers. In: a packet of some link type. Out: the view behind its header and what begins there.
//!
//! Header layouts: IEEE 802.3, 802.1Q, 802.1AE and 802.1ah; the `LINKTYPE_*` registry of the tcpdump group.

use etherparse::{Ethernet2HeaderSlice, SingleVlanHeaderSlice};

use super::skip::Skip;
use super::view::{Part, View};
use super::walk::{Layer, Step, Walk, go};
use super::{mpls, ppp, wireless};

/// Values up to here in the place of an EtherType are the length of an 802.3 frame (IEEE 802.3 3.2.6).
const MAX_802_3_LENGTH: u16 = 1500;

const ARP: u16 = 0x0806;

/// The first header of a packet, by its link type.
pub(super) fn enter<'a>(walk: &mut Walk, link: u16, view: View<'a>) -> Step<'a> {
    match link {
        0 | 108 => null(view),
        1 => ethernet(view),
        6 => token_ring(view),
        9 | 50 | 166 | 204 => ppp::link(walk, link, view),
        10 => go(Layer::Llc, view.skip(13, Part::Link)?), // FDDI: frame control and two addresses
        51 => ppp::pppoe(walk, view),
        12 | 14 | 101 | 228 | 229 => go(Layer::Ip, view),
        100 => go(Layer::Llc, view), // ATM with LLC (RFC 2684)
        104 => ppp::cisco_hdlc(view),
        105 => wireless::ieee80211(view, false),
        109 => go(Layer::Ip, view.skip(12, Part::Link)?), // OpenBSD's IPsec interface: family, SPI, flags
        113 => linux_cooked(view),
        117 => pf_log(view),
        119 => wireless::prism(view),
        127 => wireless::radiotap(view),
        138 => apple_firewire(view),
        163 => wireless::avs(view),
        192 => wireless::ppi(view),
        219 => mpls::labels(walk, view),
        239 => nflog(view),
        276 => linux_cooked_v2(view),
        _ => Err(Skip::UnknownLinkType),
    }
}

/// Ethernet II and 802.3.
pub(super) fn ethernet(view: View<'_>) -> Step<'_> {
    let header = Ethernet2HeaderSlice::from_slice(view.bytes()).map_err(|_| view.short(Part::Link))?;
    type_or_length(header.ether_type().0, view.skip(header.slice().len(), Part::Link)?)
}

/// What follows a field that holds a type or a length.
fn type_or_length(field: u16, view: View<'_>) -> Step<'_> {
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
        0x8870 => go(Layer::Llc, view),
        0x88e5 => macsec(view),
        0x88e7 => go(Layer::Ethernet, view.skip(4, Part::Link)?), // backbone service tag, then the customer's frame
        0x8926 => vn_tag(view),
        _ => Err(Skip::NotIp),
    }
}

/// One VLAN tag; a stack of them takes as many turns.
fn vlan<'a>(walk: &mut Walk, view: View<'a>) -> Step<'a> {
    let tag = SingleVlanHeaderSlice::from_slice(view.bytes()).map_err(|_| view.short(Part::Link))?;
    walk.tagged(tag.vlan_identifier().value());
    type_or_length(tag.ether_type().0, view.skip(tag.slice().len(), Part::Link)?)
}

/// Cisco VN-Tag: four bytes of interface numbers.
fn vn_tag(view: View<'_>) -> Step<'_> {
    let (&[_, _, _, _, high, low], rest) = view.take::<6>(Part::Link)?;
    type_or_length(u16::from_be_bytes([high, low]), rest)
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

/// IEEE 802.2, with SNAP (IEEE 802 9.5; RFC 1042) or IP's own service access point.
pub(super) fn llc(view: View<'_>) -> Step<'_> {
    let (&[dsap, ssap, control], rest) = view.take::<3>(Part::Link)?;
    match (dsap, ssap & 0xfe, control) {
        (0xaa, 0xaa, 0x03) => {
            let (&[a, b, c, high, low], rest) = rest.take::<5>(Part::Link)?;
            match [a, b, c] {
                // RFC 1042, and the bridges' variant of it.
                [0, 0, 0] | [0, 0, 0xf8] => go(Layer::EtherType(u16::from_be_bytes([high, low])), rest),
                _ => Err(Skip::NotIp),
            }
        }
        (0x06, 0x06, 0x03) => go(Layer::Ip, rest),
        _ => Err(Skip::NotIp),
    }
}

/// Token Ring, perhaps source-routed (IEEE 802.5).
fn token_ring(view: View<'_>) -> Step<'_> {
    const LLC_FRAME: u8 = 0x40;
    const SOURCE_ROUTED: u8 = 0x80;
    let (&[_, control, _, _, _, _, _, _, source, ..], rest) = view.take::<14>(Part::Link)?;
    if control & 0xc0 != LLC_FRAME {
        return Err(Skip::NotIp);
    }
    let route = match rest.bytes() {
        [length, ..] if source & SOURCE_ROUTED != 0 => usize::from(length & 0x1f),
        _ => 0,
    };
    go(Layer::Llc, rest.skip(route, Part::Link)?)
}

/// IP over FireWire as macOS shows it: two long addresses and an EtherType.
fn apple_firewire(view: View<'_>) -> Step<'_> {
    let (&[.., high, low], rest) = view.take::<18>(Part::Link)?;
    go(Layer::EtherType(u16::from_be_bytes([high, low])), rest)
}

/// OpenBSD's packet filter log: its header's own length, to be rounded up to four bytes.
fn pf_log(view: View<'_>) -> Step<'_> {
    let length = view.bytes().first().ok_or(view.short(Part::Link))?;
    go(Layer::Ip, view.skip(usize::from(*length).next_multiple_of(4), Part::Link)?)
}

/// BSD loopback: an address family in the byte order of whoever captured (`NULL`) or of the network (`LOOP`).
fn null(view: View<'_>) -> Step<'_> {
    let (&family, rest) = view.take::<4>(Part::Link)?;
    let family = u32::from_le_bytes(family);
    let family = if family > 0xffff { family.swap_bytes() } else { family };
    match family {
        // AF_INET everywhere, then AF_INET6 of Linux, Windows, NetBSD and OpenBSD, FreeBSD, macOS.
        2 | 10 | 23 | 24 | 28 | 30 => go(Layer::Ip, rest),
        _ => Err(Skip::NotIp),
    }
}

/// Linux cooked capture. Own code: etherparse refuses hardware types that it has no name for, and only the protocol matters.
fn linux_cooked(view: View<'_>) -> Step<'_> {
    let (&[.., high, low], rest) = view.take::<16>(Part::Link)?;
    cooked_protocol(u16::from_be_bytes([high, low]), rest)
}

/// Linux cooked capture, second version: the protocol comes first.
fn linux_cooked_v2(view: View<'_>) -> Step<'_> {
    let (&[high, low, ..], rest) = view.take::<20>(Part::Link)?;
    cooked_protocol(u16::from_be_bytes([high, low]), rest)
}

/// Linux's numbers below the first EtherType (`if_ether.h`): 4 is a frame with an 802.2 header.
fn cooked_protocol(protocol: u16, view: View<'_>) -> Step<'_> {
    const ETH_P_802_2: u16 = 4;
    match protocol {
        ETH_P_802_2 => go(Layer::Llc, view),
        0..=MAX_802_3_LENGTH => Err(Skip::NotIp),
        ether_type => go(Layer::EtherType(ether_type), view),
    }
}

/// Linux netfilter's log: attributes of a length, a type and padding to four bytes; one of them is the packet.
fn nflog(view: View<'_>) -> Step<'_> {
    const HEADER: usize = 4;
    const PAYLOAD: u16 = 9;
    let (_, mut rest) = view.take::<4>(Part::Link)?;
    // Each turn takes four bytes or more off.
    loop {
        let (&[l0, l1, t0, t1], body) = rest.take::<HEADER>(Part::Link)?;
        // In the capturing host's byte order; only little-endian hosts are known to write this link type.
        let length = usize::from(u16::from_le_bytes([l0, l1]));
        let Some(size) = length.checked_sub(HEADER) else { return Err(Skip::BadLinkHeader) };
        if u16::from_le_bytes([t0, t1]) & 0x7fff == PAYLOAD {
            return go(Layer::Ip, body.trim(size));
        }
        rest = body.skip(size.next_multiple_of(4), Part::Link)?;
    }
}
