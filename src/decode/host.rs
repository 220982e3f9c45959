//! Pseudo headers that hosts and capture cards write in place of a link layer. In: a packet of such a link type. Out: the view behind
//! the header and what begins there.
//!
//! Layouts: the `LINKTYPE_*` registry of the tcpdump group.

use super::skip::Skip;
use super::tags::{MAX_802_3_LENGTH, type_or_length};
use super::view::{Part, View};
use super::walk::{Layer, Step, go};
use super::wireless;

/// BSD loopback: an address family in the byte order of whoever captured (`NULL`) or of the network (`LOOP`).
pub(super) fn null(view: View<'_>) -> Step<'_> {
    if view.bytes().starts_with(&[0xff, 0x03]) {
        return go(Layer::Ppp, view); // some point-to-point interfaces
    }
    let (&family, rest) = view.take::<4>(Part::Link)?;
    let family = u32::from_le_bytes(family);
    let family = if family > 0xffff { family.swap_bytes() } else { family };
    match u16::try_from(family) {
        // AF_INET everywhere, then AF_INET6 of Linux, Windows, NetBSD and OpenBSD, FreeBSD, macOS.
        Ok(2 | 10 | 23 | 24 | 28 | 30) => go(Layer::Ip, rest),
        // Some systems write an EtherType.
        Ok(ether_type) if ether_type > MAX_802_3_LENGTH => go(Layer::EtherType(ether_type), rest),
        _ => Err(Skip::NotIp),
    }
}

/// Linux cooked capture. Own code: etherparse refuses hardware types that it has no name for, and only the protocol matters.
pub(super) fn linux_cooked(view: View<'_>) -> Step<'_> {
    let (&[_, _, hardware_high, hardware_low, .., high, low], rest) = view.take::<16>(Part::Link)?;
    cooked([hardware_high, hardware_low], [high, low], rest)
}

/// Linux cooked capture, second version: the protocol comes first.
pub(super) fn linux_cooked_v2(view: View<'_>) -> Step<'_> {
    let (&[high, low, _, _, _, _, _, _, hardware_high, hardware_low, ..], rest) = view.take::<20>(Part::Link)?;
    cooked([hardware_high, hardware_low], [high, low], rest)
}

/// Linux's numbers of hardware (`if_arp.h`), and of protocols below the first EtherType (`if_ether.h`): 4 is a frame with an 802.2 header.
fn cooked(hardware: [u8; 2], protocol: [u8; 2], view: View<'_>) -> Step<'_> {
    const ETH_P_802_2: u16 = 4;
    const IEEE80211: u16 = 801;
    const PRISM: u16 = 802;
    const RADIOTAP: u16 = 803;
    match (u16::from_be_bytes(protocol), u16::from_be_bytes(hardware)) {
        (0..=MAX_802_3_LENGTH, IEEE80211) => wireless::ieee80211(view, false),
        (0..=MAX_802_3_LENGTH, PRISM) => wireless::prism(view),
        (0..=MAX_802_3_LENGTH, RADIOTAP) => wireless::radiotap(view),
        (ETH_P_802_2, _) => go(Layer::Llc, view),
        (0..=MAX_802_3_LENGTH, _) => Err(Skip::NotIp),
        (ether_type, _) => go(Layer::EtherType(ether_type), view),
    }
}

/// Linux netfilter's log: attributes of a length, a type and padding to four bytes; one of them is the packet.
pub(super) fn nflog(view: View<'_>) -> Step<'_> {
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

/// OpenBSD's packet filter log: its header's own length, to be rounded up to four bytes.
pub(super) fn pf_log(view: View<'_>) -> Step<'_> {
    let length = view.bytes().first().ok_or(view.short(Part::Link))?;
    go(Layer::Ip, view.skip(usize::from(*length).next_multiple_of(4), Part::Link)?)
}

/// Solaris's observability device: version, family, and numbers of interfaces and zones.
pub(super) fn ip_net(view: View<'_>) -> Step<'_> {
    let (_, rest) = view.take::<24>(Part::Link)?;
    go(Layer::Ip, rest)
}

/// macOS: the header's length, whether a packet follows, and its link type; little-endian.
pub(super) fn pk_tap(view: View<'_>) -> Step<'_> {
    const PACKET: u32 = 1;
    let (&[l0, l1, l2, l3, t0, t1, t2, t3, d0, d1, d2, d3], _) = view.take::<12>(Part::Link)?;
    if u32::from_le_bytes([t0, t1, t2, t3]) != PACKET {
        return Err(Skip::NotIp);
    }
    let length = usize::try_from(u32::from_le_bytes([l0, l1, l2, l3])).unwrap_or(usize::MAX);
    let link = u16::try_from(u32::from_le_bytes([d0, d1, d2, d3])).map_err(|_| Skip::UnknownLinkType)?;
    if length < 12 {
        return Err(Skip::BadLinkHeader);
    }
    go(Layer::Link(link), view.skip(length, Part::Link)?)
}

/// IP over FireWire as macOS shows it: two long addresses and an EtherType.
pub(super) fn fire_wire(view: View<'_>) -> Step<'_> {
    let (&[.., high, low], rest) = view.take::<18>(Part::Link)?;
    go(Layer::EtherType(u16::from_be_bytes([high, low])), rest)
}

/// A switch's own tag between the addresses and the type, as Linux's DSA interfaces show it.
pub(super) fn switch_tag(view: View<'_>, length: usize) -> Step<'_> {
    const ADDRESSES: usize = 12;
    let (&field, rest) = view.skip(ADDRESSES + length, Part::Link)?.take::<2>(Part::Link)?;
    type_or_length(u16::from_be_bytes(field), rest)
}

/// Ethernet behind its preamble, with the delimiter that tells whole frames from pieces of preempted ones (IEEE 802.3br).
pub(super) fn m_packet(view: View<'_>) -> Step<'_> {
    const WHOLE: u8 = 0xd5;
    const PREAMBLE: usize = 8;
    let head = view.bytes().get(..PREAMBLE).ok_or(view.short(Part::Link))?;
    let length = head.iter().take_while(|&&byte| byte == 0x55).count();
    match head.get(length) {
        Some(&WHOLE) => go(Layer::Ethernet, view.skip(length + 1, Part::Link)?),
        Some(_) => Err(Skip::Fragment),
        None => Err(Skip::BadLinkHeader),
    }
}

/// Endace's capture cards: a record's type and length, perhaps extension headers, then the packet.
pub(super) fn erf(view: View<'_>) -> Step<'_> {
    const MORE: u8 = 0x80;
    let (&[.., kind, _, _, _, _, _, high, low], mut rest) = view.take::<16>(Part::Link)?;
    let mut next = kind;
    while next & MORE != 0 {
        let (&[first, ..], behind) = rest.take::<8>(Part::Link)?;
        (next, rest) = (first, behind);
    }
    let length = usize::from(u16::from_be_bytes([high, low]));
    match kind & !MORE {
        2 | 11 | 16 | 20 => go(Layer::Ethernet, rest.skip(2, Part::Link)?.trim(length)),
        1 | 10 | 15 | 17 => go(Layer::Link(50), rest.trim(length)),
        22 | 23 => go(Layer::Ip, rest.trim(length)),
        _ => Err(Skip::NotIp),
    }
}

/// What Wireshark exports: tags of a type and a length, one of which names the protocol of what follows the last.
pub(super) fn exported(view: View<'_>) -> Step<'_> {
    const END: u16 = 0;
    const DISSECTOR: u16 = 12;
    let (mut layer, mut rest) = (Err(Skip::NotIp), view);
    // Each turn takes four bytes or more off.
    loop {
        let (&[t0, t1, l0, l1], body) = rest.take::<4>(Part::Link)?;
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        rest = body.skip(length, Part::Link)?;
        match u16::from_be_bytes([t0, t1]) {
            END => return go(layer?, rest),
            DISSECTOR => {
                let name = body.bytes().get(..length).unwrap_or_default();
                layer = match name.split(|&byte| byte == 0).next().unwrap_or_default() {
                    b"ip" | b"ipv6" | b"raw_ip" => Ok(Layer::Ip),
                    b"eth" | b"eth_withoutfcs" | b"eth_withfcs" | b"eth_maybefcs" => Ok(Layer::Ethernet),
                    _ => Err(Skip::NotIp),
                };
            }
            _ => {}
        }
    }
}
