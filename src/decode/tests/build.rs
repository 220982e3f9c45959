//! Packets, layer by layer, as bytes.

/// The ports, numbers and addresses of the segment that most tests look for.
pub(super) const SEQ: u32 = 0x0102_0304;
pub(super) const ACK: u32 = 0x0a0b_0c0d;

fn be16(n: usize) -> [u8; 2] {
    u16::try_from(n).unwrap().to_be_bytes()
}

/// A TCP header with flags and options (padded by the caller), then a payload. No checksum.
pub(super) fn tcp_with(flags: u8, options: &[u8], payload: &[u8]) -> Vec<u8> {
    assert_eq!(options.len() % 4, 0);
    let mut bytes = [be16(40_000), be16(80)].concat();
    bytes.extend(SEQ.to_be_bytes());
    bytes.extend(ACK.to_be_bytes());
    bytes.extend([u8::try_from(5 + options.len() / 4).unwrap() << 4, flags, 0x20, 0x00, 0xbe, 0xef, 0, 0]);
    bytes.extend(options);
    bytes.extend(payload);
    bytes
}

/// FIN, ACK and five bytes.
pub(super) fn tcp() -> Vec<u8> {
    tcp_with(0x11, &[], b"hello")
}

/// IPv4 from 192.0.2.1 to 192.0.2.2, identification 0x1234.
pub(super) fn ipv4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    ipv4_with(protocol, &[], 0, payload)
}

/// The same with options (a multiple of four bytes) and the flags and fragment offset field.
pub(super) fn ipv4_with(protocol: u8, options: &[u8], fragment: u16, payload: &[u8]) -> Vec<u8> {
    let header_len = 20 + options.len();
    let mut bytes = vec![0x40 | u8::try_from(header_len / 4).unwrap(), 0];
    bytes.extend(be16(header_len + payload.len()));
    bytes.extend([0x12, 0x34]);
    bytes.extend(fragment.to_be_bytes());
    bytes.extend([64, protocol, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2]);
    bytes.extend(options);
    bytes.extend(payload);
    bytes
}

/// 2001:db8::`last`.
pub(super) fn v6_address(last: u8) -> [u8; 16] {
    [0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]
}

/// IPv6 from 2001:db8::1 to 2001:db8::2.
pub(super) fn ipv6(next: u8, payload: &[u8]) -> Vec<u8> {
    ipv6_sized(next, payload.len(), payload)
}

/// The same with a payload length of choice.
pub(super) fn ipv6_sized(next: u8, length: usize, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x60, 0, 0, 0];
    bytes.extend(be16(length));
    bytes.extend([next, 64]);
    bytes.extend(v6_address(1));
    bytes.extend(v6_address(2));
    bytes.extend(payload);
    bytes
}

/// An IPv6 fragment header.
pub(super) fn v6_fragment(next: u8, offset: u16, more: bool, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![next, 0];
    bytes.extend((offset | u16::from(more)).to_be_bytes());
    bytes.extend([0, 0, 0, 77]);
    bytes.extend(payload);
    bytes
}

/// An authentication header with 12 bytes of integrity check value.
pub(super) fn ah(next: u8, payload: &[u8]) -> Vec<u8> {
    [&[next, 4, 0, 0, 0, 0, 0, 9, 0, 0, 0, 1][..], &[0xcc; 12], payload].concat()
}

pub(super) fn eth(ether_type: u16, payload: &[u8]) -> Vec<u8> {
    [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2][..], &ether_type.to_be_bytes(), payload].concat()
}

/// What stands behind a VLAN tag's own EtherType.
pub(super) fn vlan(id: u16, ether_type: u16, payload: &[u8]) -> Vec<u8> {
    [&(0xa000 | id).to_be_bytes()[..], &ether_type.to_be_bytes(), payload].concat()
}

/// 802.2 and SNAP.
pub(super) fn snap(ether_type: u16, payload: &[u8]) -> Vec<u8> {
    [&[0xaa, 0xaa, 3, 0, 0, 0][..], &ether_type.to_be_bytes(), payload].concat()
}

/// An 802.3 frame around an 802.2 one.
pub(super) fn eth_802_3(llc: &[u8]) -> Vec<u8> {
    eth(u16::try_from(llc.len()).unwrap(), llc)
}

/// One MPLS label.
pub(super) fn label(label: u32, bottom: bool, payload: &[u8]) -> Vec<u8> {
    [&(label << 12 | u32::from(bottom) << 8 | 64).to_be_bytes()[..], payload].concat()
}

/// A PPPoE session with number 7, around a PPP frame.
pub(super) fn pppoe(ppp: &[u8]) -> Vec<u8> {
    [&[0x11, 0, 0, 7][..], &be16(ppp.len()), ppp].concat()
}

/// A UDP datagram to a port.
pub(super) fn udp(port: u16, payload: &[u8]) -> Vec<u8> {
    [&[0xc0, 0x01][..], &port.to_be_bytes(), &be16(8 + payload.len()), &[0, 0], payload].concat()
}

/// A GRE header: flags and version, protocol, and the optional fields as they stand.
pub(super) fn gre(flags: u16, protocol: u16, optional: &[u8], payload: &[u8]) -> Vec<u8> {
    [&flags.to_be_bytes()[..], &protocol.to_be_bytes(), optional, payload].concat()
}

/// An 802.11 header with these two bytes of frame control and what follows its 24 bytes.
pub(super) fn wifi(control: [u8; 2], rest: &[u8]) -> Vec<u8> {
    [&control[..], &[0; 22], rest].concat()
}

/// Cisco's ISL around a frame, in a VLAN.
pub(super) fn isl(id: u16, frame: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x01, 0x00, 0x0c, 0x00, 0x00, 0x00, 2, 0, 0, 0, 0, 2];
    bytes.extend(be16(frame.len() + 18));
    bytes.extend([0xaa, 0xaa, 3, 0, 0, 0x0c]);
    bytes.extend((id << 1).to_be_bytes());
    bytes.extend([0; 4]);
    bytes.extend(frame);
    bytes.extend([9; 4]);
    bytes
}

/// A frame with a switch's tag between its addresses and its type.
pub(super) fn tagged(tag: &[u8], ether_type: u16, payload: &[u8]) -> Vec<u8> {
    [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2][..], tag, &ether_type.to_be_bytes(), payload].concat()
}

/// PKTAP's header of 108 bytes, before a packet of a link type.
pub(super) fn pktap(link: u8) -> Vec<u8> {
    let mut bytes = vec![108, 0, 0, 0, 1, 0, 0, 0, link, 0, 0, 0];
    bytes.extend(b"en0");
    bytes.resize(108, 0);
    bytes
}

/// An ERF record, with the extension headers and the packet behind it.
pub(super) fn erf(kind: u8, extensions: &[u8], packet: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 0, 0, 0, 0, 0, 0x60, kind, 4];
    bytes.extend(be16(16 + extensions.len() + packet.len()));
    bytes.extend([0, 0]);
    bytes.extend(be16(packet.len()));
    bytes.extend(extensions);
    bytes.extend(packet);
    bytes
}

/// Radiotap with a timestamp and a flags field.
pub(super) fn radiotap(flags: u8, frame: &[u8]) -> Vec<u8> {
    [&[0, 0, 17, 0, 3, 0, 0, 0][..], &[9; 8], &[flags], frame].concat()
}
