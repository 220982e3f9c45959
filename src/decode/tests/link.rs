//! Link layers.

use super::build::*;
use super::{ETHERNET, Kind, every_kind, packet, segment_of, skip_of, skip_of_cut};
use crate::decode::{Decoded, Decoder, Skip};
use crate::tcp::segment::FrameId;
use crate::time::Timestamp;

pub(super) fn kinds() -> Vec<Kind> {
    let (v4, v6) = (ipv4(6, &tcp()), ipv6(6, &tcp()));
    let ppp = |protocol: &[u8], ip: &[u8]| [protocol, ip].concat();
    let qos_data = [0x88, 0x01];
    let with = |head: &[u8], rest: &[u8]| [head, rest].concat();
    let mut nested = vlan(30, 0x0800, &v4);
    for id in [20, 10] {
        nested = vlan(id, 0x9100, &nested);
    }
    vec![
        ("Ethernet, IPv4", ETHERNET, eth(0x0800, &v4), None, ""),
        ("Ethernet, IPv6", ETHERNET, eth(0x86dd, &v6), None, ""),
        ("Ethernet, padded", ETHERNET, with(&eth(0x0800, &v4), &[0; 12]), None, ""),
        ("802.1Q", ETHERNET, eth(0x8100, &vlan(42, 0x0800, &v4)), Some(42), ""),
        ("a priority tag is no VLAN", ETHERNET, eth(0x8100, &vlan(0, 0x0800, &v4)), None, ""),
        ("802.1ad", ETHERNET, eth(0x88a8, &vlan(7, 0x8100, &vlan(42, 0x86dd, &v6))), Some(7), ""),
        ("three tags", ETHERNET, eth(0x8100, &nested), Some(10), ""),
        ("802.3 with SNAP", ETHERNET, with(&eth_802_3(&snap(0x0800, &v4)), &[0; 9]), None, ""),
        ("802.3 in a VLAN", ETHERNET, eth(0x8100, &vlan(3, 56, &snap(0x0800, &v4))), Some(3), ""),
        ("802.2 with IP's own access point", ETHERNET, eth_802_3(&with(&[6, 6, 3], &v4)), None, ""),
        ("bridge-tunnel SNAP", ETHERNET, eth_802_3(&with(&[0xaa, 0xaa, 3, 0, 0, 0xf8, 8, 0], &v4)), None, ""),
        ("backbone service tag", ETHERNET, eth(0x88e7, &with(&[0, 0, 1, 2], &eth(0x0800, &v4))), None, "pbb 258"),
        ("VN-Tag", ETHERNET, eth(0x8926, &with(&[0, 1, 2, 3, 8, 0], &v4)), None, ""),
        ("signed MACsec", ETHERNET, eth(0x88e5, &with(&[0, 0, 0, 0, 0, 1, 8, 0], &with(&v4, &[5; 16]))), None, ""),
        (
            "MACsec with SCI",
            ETHERNET,
            eth(0x88e5, &[&[0x20, 0, 0, 0, 0, 1][..], &[1; 8], &[8, 0], &v4].concat()),
            None,
            "",
        ),
        ("Cisco metadata", ETHERNET, eth(0x8909, &with(&[1, 1, 0, 1, 0, 9, 8, 0], &v4)), None, ""),
        ("HSR", ETHERNET, eth(0x892f, &with(&[0, 60, 0, 7, 0x86, 0xdd], &v6)), None, ""),
        ("redundancy tag", ETHERNET, eth(0xf1c1, &with(&[0, 0, 0, 7, 8, 0], &v4)), None, ""),
        ("FabricPath", ETHERNET, eth(0x8903, &with(&[0, 0x41], &eth(0x8100, &vlan(8, 0x0800, &v4)))), Some(8), ""),
        ("TRILL", ETHERNET, eth(0x22f3, &with(&[0, 0x43, 0, 1, 0, 2, 9, 9, 9, 9], &eth(0x0800, &v4))), None, "trill"),
        ("NSH around IP", ETHERNET, eth(0x894f, &with(&[0, 2, 2, 1, 0, 0, 5, 255], &v4)), None, "nsh 5"),
        (
            "NSH with context, around Ethernet",
            ETHERNET,
            eth(0x894f, &[&[0, 6, 1, 3, 0, 0, 6, 255][..], &[7; 16], &eth(0x86dd, &v6)].concat()),
            None,
            "nsh 6",
        ),
        ("ISL", ETHERNET, isl(9, &eth(0x0800, &v4)), Some(9), ""),
        ("PPPoE", ETHERNET, eth(0x8864, &pppoe(&ppp(&[0, 0x21], &v4))), None, "pppoe 7"),
        ("NULL, little-endian", 0, with(&[2, 0, 0, 0], &v4), None, ""),
        ("NULL, big-endian", 0, with(&[0, 0, 0, 30], &v6), None, ""),
        ("NULL of FreeBSD", 0, with(&[28, 0, 0, 0], &v6), None, ""),
        ("NULL with an EtherType", 0, with(&[0xdd, 0x86, 0, 0], &v6), None, ""),
        ("NULL around PPP", 0, with(&[0xff, 3, 0, 0x21], &v4), None, ""),
        ("LOOP", 108, with(&[0, 0, 0, 24], &v6), None, ""),
        ("Token Ring", 6, [&[0x10, 0x40][..], &[1; 12], &snap(0x0800, &v4)].concat(), None, ""),
        (
            "routed Token Ring",
            6,
            [&[0x10, 0x40][..], &[0x80; 12], &[4, 0, 0, 0], &snap(0x0800, &v4)].concat(),
            None,
            "",
        ),
        ("FDDI", 10, [&[0x50][..], &[1; 12], &snap(0x0800, &v4)].concat(), None, ""),
        ("PPP", 9, with(&[0xff, 3, 0, 0x21], &v4), None, "ppp"),
        ("PPP, all compressed", 9, with(&[0x57], &v6), None, "ppp"),
        ("PPP, bridged", 9, [&[0xff, 3, 0, 0x31, 0x02, 1][..], &eth(0x0800, &v4), &[0; 2]].concat(), None, "ppp"),
        ("PPP, one link of several", 9, [&[0, 0x3d, 0xc0, 0, 0, 5, 0, 0x21], &v4[..]].concat(), None, "ppp"),
        ("PPP, the same with short numbers", 9, [&[0, 0x3d, 0xc0, 5, 0, 0x57], &v6[..]].concat(), None, "ppp"),
        ("PPP over serial", 50, with(&[0xff, 3, 0, 0x57], &v6), None, "ppp"),
        ("HDLC in PPP over serial", 50, with(&[0x0f, 0, 8, 0], &v4), None, ""),
        ("PPP with direction", 204, with(&[1, 0xff, 3, 0, 0x21], &v4), None, "ppp"),
        ("PPPoE as link type", 51, pppoe(&ppp(&[0, 0x21], &v4)), None, "pppoe 7"),
        ("Cisco HDLC", 104, with(&[0x0f, 0, 0x86, 0xdd], &v6), None, ""),
        ("Cisco HDLC with direction", 205, with(&[1, 0x0f, 0, 8, 0], &v4), None, ""),
        ("Frame Relay", 107, with(&[0x18, 0x41, 3, 0xcc], &v4), None, ""),
        ("Frame Relay, IPv6", 107, with(&[0x18, 0x41, 3, 0x8e], &v6), None, ""),
        ("Frame Relay with SNAP", 107, with(&[0x18, 0x41, 3, 0, 0x80, 0, 0, 0, 8, 0], &v4), None, ""),
        (
            "Frame Relay, bridged",
            107,
            with(&[0x18, 0x41, 3, 0, 0x80, 0, 0x80, 0xc2, 0, 7], &eth(0x0800, &v4)),
            None,
            "",
        ),
        ("Frame Relay, Cisco's way", 107, with(&[0x18, 0x41, 8, 0], &v4), None, ""),
        ("Frame Relay, long address", 107, with(&[0x18, 0x40, 0x20, 0x11, 3, 0xcc], &v4), None, ""),
        ("Frame Relay with direction", 206, with(&[1, 0x18, 0x41, 3, 0xcc], &v4), None, ""),
        ("raw 12", 12, v4.clone(), None, ""),
        ("raw 14", 14, v6.clone(), None, ""),
        ("raw 101", 101, v6.clone(), None, ""),
        ("raw 228", 228, v4.clone(), None, ""),
        ("raw 229", 229, v6.clone(), None, ""),
        ("ATM", 100, snap(0x0800, &v4), None, ""),
        ("ATM, bridged", 100, with(&[0xaa, 0xaa, 3, 0, 0x80, 0xc2, 0, 7, 0, 0], &eth(0x0800, &v4)), None, ""),
        ("ATM, PPP behind 802.2", 100, with(&[0xfe, 0xfe, 3, 0xcf, 0, 0x21], &v4), None, ""),
        ("Linux classical IP", 106, v4.clone(), None, ""),
        ("Linux classical IP with SNAP", 106, snap(0x0800, &v4), None, ""),
        ("SunATM", 123, with(&[2, 0, 0, 32], &snap(0x0800, &v4)), None, ""),
        ("SunATM, LAN emulation", 123, with(&[1, 0, 0, 32, 0, 1], &eth(0x0800, &v4)), None, ""),
        ("IP over Fibre Channel", 122, with(&[1; 16], &snap(0x0800, &v4)), None, ""),
        ("SLIP", 8, with(&[0; 16], &v4), None, ""),
        ("DOCSIS", 143, with(&[0, 0, 0, 59, 1, 2], &eth(0x0800, &v4)), None, ""),
        ("DOCSIS, extended", 143, with(&[1, 3, 0, 62, 0x42, 1, 0, 9, 9], &eth(0x0800, &v4)), None, ""),
        ("PKTAP", 258, [&pktap(101)[..], &v4].concat(), None, ""),
        ("PKTAP as Apple numbers it", 149, [&pktap(1)[..], &eth(0x0800, &v4)].concat(), None, ""),
        ("ERF", 197, erf(2, &[], &with(&[0, 0], &eth(0x0800, &v4))), None, ""),
        ("ERF with an extension", 197, erf(0x82, &[5; 8], &with(&[0, 0], &eth(0x0800, &v4))), None, ""),
        ("ERF around PPP", 197, erf(1, &[], &with(&[0xff, 3, 0, 0x21], &v4)), None, "ppp"),
        ("ERF around IP", 197, erf(22, &[], &v4), None, ""),
        ("IPNET", 226, [&[1, 2, 0, 0][..], &[0; 20], &v4].concat(), None, ""),
        ("netANALYZER", 240, with(&[0, 0, 4, 0], &eth(0x0800, &v4)), None, ""),
        (
            "netANALYZER, transparent",
            241,
            [&[0, 0, 4, 0, 0x55, 0x55, 0x55, 0x55, 0x55, 0x55, 0x55, 0xd5][..], &eth(0x0800, &v4)].concat(),
            None,
            "",
        ),
        ("EPON", 259, with(&[0x55, 0x55, 0xd5, 0x55, 0x55, 0, 1, 7], &eth(0x0800, &v4)), None, ""),
        ("mPacket", 274, with(&[0x55, 0x55, 0x55, 0x55, 0x55, 0x55, 0x55, 0xd5], &eth(0x0800, &v4)), None, ""),
        ("Broadcom's switch tag", 281, tagged(&[0x20, 0, 0, 1], 0x0800, &v4), None, ""),
        ("Broadcom's switch tag in front", 282, with(&[0x20, 0, 0, 1], &eth(0x0800, &v4)), None, ""),
        ("Marvell's switch tag", 283, tagged(&[0xc0, 0, 0, 1], 0x86dd, &v6), None, ""),
        ("Marvell's long switch tag", 284, tagged(&[0xda, 0xda, 0, 0, 0xc0, 0, 0, 1], 0x0800, &v4), None, ""),
        ("Wireshark's export", 252, [&[0, 12, 0, 4][..], b"ip\0\0", &[0, 0, 0, 0], &v4].concat(), None, ""),
        ("Juniper Ethernet", 178, with(b"MGC\x01", &eth(0x0800, &v4)), None, ""),
        (
            "Juniper with extensions",
            178,
            [&b"MGC\x81"[..], &[0, 6, 1, 1, 4, 2, 1, 3], &eth(0x0800, &v4)].concat(),
            None,
            "",
        ),
        ("Juniper without a link layer", 178, [&b"MGC\x03"[..], &[0, 0, 0, 2], &v4].concat(), None, ""),
        ("Juniper PPP", 179, [&b"MGC\x01"[..], &[0xff, 3, 0, 0x21], &v4].concat(), None, ""),
        ("Juniper Frame Relay", 180, [&b"MGC\x01"[..], &[0x18, 0x41, 3, 0xcc], &v4].concat(), None, ""),
        ("Juniper Cisco HDLC", 181, [&b"MGC\x01"[..], &[0x0f, 0, 8, 0], &v4].concat(), None, ""),
        ("Juniper ATM1", 137, [&b"MGC\x01"[..], &[5; 4], &snap(0x0800, &v4)].concat(), None, ""),
        ("Juniper ATM2", 135, [&b"MGC\x01"[..], &[5; 8], &snap(0x0800, &v4)].concat(), None, ""),
        ("OpenBSD ENC", 109, with(&[0; 12], &v4), None, ""),
        ("Linux cooked", 113, with(&[0, 0, 0, 1, 0, 6, 1, 2, 3, 4, 5, 6, 0, 0, 8, 0], &v4), None, ""),
        (
            "Linux cooked, unknown hardware",
            113,
            with(&[0, 0, 0xff, 0xfe, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x86, 0xdd], &v6),
            None,
            "",
        ),
        ("Linux cooked, VLAN", 113, [&[0; 14][..], &[0x81, 0], &vlan(9, 0x0800, &v4)].concat(), Some(9), ""),
        ("Linux cooked, 802.2", 113, [&[0; 14][..], &[0, 4], &snap(0x0800, &v4)].concat(), None, ""),
        (
            "Linux cooked, radiotap",
            113,
            [&[0, 0, 3, 35][..], &[0; 10], &[0, 4], &radiotap(0, &wifi([8, 1], &snap(0x0800, &v4)))].concat(),
            None,
            "",
        ),
        ("Linux cooked v2", 276, [&[0x86, 0xdd][..], &[0; 18], &v6].concat(), None, ""),
        ("pf log", 117, [&[61, 2][..], &[0; 62], &v4].concat(), None, ""),
        ("FireWire", 138, [&[0; 16][..], &[8, 0], &v4].concat(), None, ""),
        ("MPLS as link type", 219, label(16, true, &v4), None, "mpls 16"),
        ("netfilter log", 239, [&[2, 0, 0, 0][..], &[5, 0, 1, 0, 1, 0, 0, 0], &[49, 0, 9, 0], &v4].concat(), None, ""),
        ("802.11", 105, wifi([0x08, 0x01], &snap(0x0800, &v4)), None, ""),
        ("802.11 between access points", 105, wifi([0x08, 0x03], &with(&[0; 6], &snap(0x0800, &v4))), None, ""),
        ("802.11 with QoS", 105, wifi(qos_data, &with(&[0, 0], &snap(0x86dd, &v6))), None, ""),
        ("802.11 with HT control", 105, wifi([0x88, 0x81], &with(&[0, 0, 1, 2, 3, 4], &snap(0x86dd, &v6))), None, ""),
        ("radiotap", 127, radiotap(0, &wifi([0x08, 0x02], &snap(0x0800, &v4))), None, ""),
        (
            "radiotap, padded, with FCS",
            127,
            radiotap(0x30, &wifi(qos_data, &[&[0; 4], &snap(0x0800, &v4)[..], &[7; 4]].concat())),
            None,
            "",
        ),
        (
            "PPI",
            192,
            [&[0, 0, 12, 0, 105, 0, 0, 0, 9, 9, 9, 9], &wifi([0x08, 0], &snap(0x0800, &v4))[..]].concat(),
            None,
            "",
        ),
        ("PPI around Ethernet", 192, with(&[0, 0, 8, 0, 1, 0, 0, 0], &eth(0x0800, &v4)), None, ""),
        (
            "Prism",
            119,
            [&[0x44, 0, 0, 0, 144, 0, 0, 0][..], &[0; 136], &wifi([0x08, 0], &snap(0x0800, &v4))].concat(),
            None,
            "",
        ),
        (
            "AVS",
            163,
            [&[0x80, 0x21, 0x10, 1, 0, 0, 0, 64][..], &[0; 56], &wifi([0x08, 0], &snap(0x0800, &v4))].concat(),
            None,
            "",
        ),
    ]
}

#[test]
fn what_is_no_ip_is_counted_by_kind() {
    assert_eq!(skip_of(ETHERNET, &eth(0x0806, &[0; 28])), Skip::Arp);
    assert_eq!(skip_of(ETHERNET, &eth(0x88cc, &[0; 28])), Skip::NotIp);
    assert_eq!(skip_of(ETHERNET, &eth(1501, &[0; 28])), Skip::NotIp);
    assert_eq!(skip_of(ETHERNET, &eth_802_3(&[0x42, 0x42, 3, 0, 0])), Skip::NotIp);
    assert_eq!(skip_of(ETHERNET, &eth(0x88e5, &[0x0c; 40])), Skip::Encrypted);
    assert_eq!(skip_of(ETHERNET, &eth(0x8864, &pppoe(&[0xc0, 0x21, 1, 1]))), Skip::NotIp);
    assert_eq!(skip_of(9, &[0x00, 0xfd, 1, 2]), Skip::Compressed);
    assert_eq!(skip_of(105, &wifi([0x80, 0], &[0; 40])), Skip::NotIp);
    assert_eq!(skip_of(105, &wifi([0x48, 0], &[0; 40])), Skip::NotIp);
    assert_eq!(skip_of(105, &wifi([0x08, 0x41], &[0; 40])), Skip::Encrypted);
    assert_eq!(skip_of(105, &wifi([0x08, 0x05], &[0; 40])), Skip::Fragment);
    assert_eq!(skip_of(147, &[0; 60]), Skip::UnknownLinkType);
    assert_eq!(skip_of(0, &[7, 0, 0, 0, 0x45]), Skip::NotIp);
    assert_eq!(skip_of(274, &[0x55, 0x55, 0x55, 0x55, 0x55, 0x55, 0x55, 0xe6, 2]), Skip::Fragment);
    assert_eq!(skip_of(143, &[0xc0, 0, 0, 0, 0, 0]), Skip::NotIp);
    assert_eq!(skip_of(143, &[1, 5, 0, 0, 0x44, 0x10, 0x80, 1, 0, 0, 0]), Skip::Encrypted);
    assert_eq!(skip_of(258, &[0; 40]), Skip::NotIp);
    assert_eq!(skip_of(252, &[0, 12, 0, 4, b'h', b't', b't', b'p', 0, 0, 0, 0]), Skip::NotIp);
    assert_eq!(skip_of(9, &[0, 0x3d, 0x80, 0, 0, 5, 0, 0x21]), Skip::Fragment);
    assert_eq!(skip_of(178, b"MGX\x01 and so on"), Skip::BadLinkHeader);
    assert_eq!(skip_of(ETHERNET, &eth(0x894f, &[0, 1, 2, 1, 0, 0, 5, 255])), Skip::BadTunnel);
}

/// Each frame padded to four bytes but the last.
fn aggregate(frames: &[Vec<u8>]) -> Vec<u8> {
    let mut rest = vec![0x80, 0];
    for llc in frames {
        rest.resize(2 + (rest.len() - 2).next_multiple_of(4), 0);
        rest.extend([&[0; 12][..], &u16::try_from(llc.len()).unwrap().to_be_bytes(), llc].concat());
    }
    wifi([0x88, 0x01], &rest)
}

/// Payloads and ordinals of the segments, and the reasons of what is skipped.
fn all_of(link: u16, data: &[u8]) -> (Vec<(Vec<u8>, u64)>, Vec<Skip>) {
    let (mut segments, mut skips) = (Vec::new(), Vec::new());
    let (frame, ts) = (FrameId::new(0, 1), Timestamp::from_nanos(9));
    let more = Decoder::default().decode_then(&packet(link, data, data.len()), frame, 5, ts, |decoded| match decoded {
        Decoded::Segment { addressed, payload } => segments.push((payload.to_vec(), addressed.segment.ordinal)),
        Decoded::Undelivered(_) => {}
        Decoded::Skip(skip) => skips.push(skip),
    });
    assert_eq!(more, (segments.len() as u64).saturating_sub(1));
    (segments, skips)
}

#[test]
fn every_frame_of_a_wireless_aggregate_counts() {
    let tcp = |payload: &[u8]| snap(0x0800, &ipv4(6, &tcp_with(0x10, &[], payload)));
    let udp = || snap(0x0800, &ipv4(17, &udp(53, b"x")));
    let data = aggregate(&[udp(), tcp(b"one"), udp(), tcp(b"three"), tcp(b"")]);
    let want = [(b"one".to_vec(), 5), (b"three".to_vec(), 6), (Vec::new(), 7)];
    assert_eq!(all_of(105, &data), (want.to_vec(), vec![]));
    assert_eq!(all_of(127, &radiotap(0, &data)).0.len(), 3);
    assert_eq!(all_of(105, &aggregate(&[udp(), udp()])), (vec![], vec![Skip::Udp]));
    assert_eq!(all_of(105, &aggregate(&[tcp(b"alone")])).0.len(), 1);
    assert_eq!(segment_of(105, &aggregate(&[tcp(b"first"), tcp(b"second")])).1, b"first");
    for at in 0..data.len() {
        all_of(105, &data[..at]);
    }
}

#[test]
fn an_empty_or_cut_link_header_is_told_from_a_short_frame() {
    for (name, link, data, ..) in every_kind() {
        if !matches!(link, 12 | 14 | 101 | 228 | 229) {
            assert_eq!(
                skip_of_cut(link, &[], data.len()),
                if link == 219 { Skip::CutTunnel } else { Skip::CutLink },
                "{name}"
            );
        }
    }
    assert_eq!(skip_of(ETHERNET, &[0; 13]), Skip::BadLinkHeader);
    assert_eq!(skip_of(ETHERNET, &eth(0x8100, &[0; 3])), Skip::BadLinkHeader);
    for link in [119, 127, 163, 192] {
        assert_eq!(skip_of(link, &[0; 60]), Skip::BadLinkHeader);
    }
}

#[test]
fn a_stack_of_tags_without_end_is_too_deep() {
    assert_eq!(skip_of(ETHERNET, &eth(0x8100, &[0x81, 0].repeat(500))), Skip::TooDeep);
}
