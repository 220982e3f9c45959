//! Link layers. In: a packet of some link type. Out: the view behind its header and what begins there.
//!
//! Header layouts: IEEE 802.3, 802.2, 802.5; the `LINKTYPE_*` registry of the tcpdump group.

use etherparse::Ethernet2HeaderSlice;

use super::skip::Skip;
use super::tags::type_or_length;
use super::view::{Part, View};
use super::walk::{Layer, Step, Walk, go};
use super::{host, mpls, ppp, wan, wireless};

/// The first header of a packet, by its link type.
pub(super) fn enter<'a>(walk: &mut Walk, link: u16, view: View<'a>) -> Step<'a> {
    match link {
        0 | 108 => host::null(view),
        1 => ethernet(walk, view),
        6 => token_ring(view),
        8 => go(Layer::Ip, view.skip(16, Part::Link)?), // SLIP: direction, what its header was compressed to
        9 | 50 | 166 | 204 => ppp::link(walk, link, view),
        10 => go(Layer::Llc, view.skip(13, Part::Link)?), // FDDI: frame control and two addresses
        51 => ppp::pppoe(walk, view),
        12 | 14 | 101 | 228 | 229 => go(Layer::Ip, view),
        11 | 100 => go(Layer::Llc, view), // ATM with LLC (RFC 2684)
        19 | 106 => wan::classical_ip(view),
        104 => ppp::cisco_hdlc(view),
        105 => wireless::ieee80211(view, false),
        107 => wan::frame_relay(view),
        109 => go(Layer::Ip, view.skip(12, Part::Link)?), // OpenBSD's IPsec interface: family, SPI, flags
        113 => host::linux_cooked(view),
        117 => host::pf_log(view),
        119 => wireless::prism(view),
        122 => go(Layer::Llc, view.skip(16, Part::Link)?), // IP over Fibre Channel: two addresses (RFC 2625)
        123 => wan::sun_atm(view),
        127 => wireless::radiotap(view),
        135 | 137 | 178..=181 => wan::juniper(link, view),
        138 => host::fire_wire(view),
        143 => wan::docsis(view),
        149 | 258 => host::pk_tap(view), // 149 is Apple's own use of a number left to users
        163 => wireless::avs(view),
        192 => wireless::ppi(view),
        197 => host::erf(view),
        205 => ppp::cisco_hdlc(view.skip(1, Part::Link)?),
        206 => wan::frame_relay(view.skip(1, Part::Link)?),
        219 => mpls::labels(walk, view),
        226 => host::ip_net(view),
        239 => host::nflog(view),
        240 | 282 => ethernet(walk, view.skip(4, Part::Link)?), // netANALYZER; Broadcom's tag in front of the frame
        241 => ethernet(walk, view.skip(12, Part::Link)?),      // netANALYZER with preamble
        252 => host::exported(view),
        259 => ethernet(walk, view.skip(8, Part::Link)?), // EPON: a preamble with the link's number
        274 => host::m_packet(view),
        276 => host::linux_cooked_v2(view),
        281 | 283 => host::switch_tag(view, 4),
        284 => host::switch_tag(view, 8),
        _ => Err(Skip::UnknownLinkType),
    }
}

/// Ethernet II and 802.3.
pub(super) fn ethernet<'a>(walk: &mut Walk, view: View<'a>) -> Step<'a> {
    if let [0x01 | 0x03 | 0x0c, 0x00, 0x0c, 0x00, 0x00, ..] = view.bytes() {
        return inter_switch(walk, view);
    }
    let header = Ethernet2HeaderSlice::from_slice(view.bytes()).map_err(|_| view.short(Part::Link))?;
    type_or_length(header.ether_type().0, view.skip(header.slice().len(), Part::Link)?)
}

/// Cisco's ISL: a frame to a group of its own, around another; among its fields is the VLAN.
fn inter_switch<'a>(walk: &mut Walk, view: View<'a>) -> Step<'a> {
    let (&[_, _, _, _, _, kind, .., high, low, _, _, _, _], rest) = view.take::<26>(Part::Link)?;
    if kind >> 4 != 0 {
        return Err(Skip::NotIp); // Token Ring, FDDI, ATM
    }
    walk.tagged(u16::from_be_bytes([high, low]) >> 1 & 0x0fff);
    go(Layer::Ethernet, rest)
}

/// IEEE 802.2, with SNAP (RFC 1042), a network layer protocol id (RFC 2684 5.1) or IP's own service access point.
pub(super) fn llc(view: View<'_>) -> Step<'_> {
    /// Before a frame that ATM bridges.
    const PADDING: usize = 2;
    let (&[dsap, ssap, control], rest) = view.take::<3>(Part::Link)?;
    match (dsap, ssap & 0xfe, control) {
        (0xaa, 0xaa, 0x03) => wan::snap(rest, PADDING),
        (0xfe, 0xfe, 0x03) => wan::network_layer(rest, PADDING),
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
