//! Link layers.

use super::build::*;
use super::{ETHERNET, Kind, every_kind, segment_of, skip_of, skip_of_cut};
use crate::decode::Skip;

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
        ("backbone service tag", ETHERNET, eth(0x88e7, &with(&[0, 0, 1, 2], &eth(0x0800, &v4))), None, ""),
        ("VN-Tag", ETHERNET, eth(0x8926, &with(&[0, 1, 2, 3, 8, 0], &v4)), None, ""),
        ("signed MACsec", ETHERNET, eth(0x88e5, &with(&[0, 0, 0, 0, 0, 1, 8, 0], &with(&v4, &[5; 16]))), None, ""),
        (
            "MACsec with SCI",
            ETHERNET,
            eth(0x88e5, &[&[0x20, 0, 0, 0, 0, 1][..], &[1; 8], &[8, 0], &v4].concat()),
            None,
            "",
        ),
        ("PPPoE", ETHERNET, eth(0x8864, &pppoe(&ppp(&[0, 0x21], &v4))), None, "pppoe 7"),
        ("NULL, little-endian", 0, with(&[2, 0, 0, 0], &v4), None, ""),
        ("NULL, big-endian", 0, with(&[0, 0, 0, 30], &v6), None, ""),
        ("NULL of FreeBSD", 0, with(&[28, 0, 0, 0], &v6), None, ""),
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
        ("PPP over serial", 50, with(&[0xff, 3, 0, 0x57], &v6), None, "ppp"),
        ("HDLC in PPP over serial", 50, with(&[0x0f, 0, 8, 0], &v4), None, ""),
        ("PPP with direction", 204, with(&[1, 0xff, 3, 0, 0x21], &v4), None, "ppp"),
        ("PPPoE as link type", 51, pppoe(&ppp(&[0, 0x21], &v4)), None, "pppoe 7"),
        ("Cisco HDLC", 104, with(&[0x0f, 0, 0x86, 0xdd], &v6), None, ""),
        ("raw 12", 12, v4.clone(), None, ""),
        ("raw 14", 14, v6.clone(), None, ""),
        ("raw 101", 101, v6.clone(), None, ""),
        ("raw 228", 228, v4.clone(), None, ""),
        ("raw 229", 229, v6.clone(), None, ""),
        ("ATM", 100, snap(0x0800, &v4), None, ""),
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
}

#[test]
fn the_first_frame_of_a_wireless_aggregate_counts() {
    let (first, second) = (snap(0x0800, &ipv4(6, &tcp())), snap(0x0800, &ipv4(17, &udp(53, b"x"))));
    let sub_frame = |llc: &[u8]| [&[0; 12][..], &u16::try_from(llc.len()).unwrap().to_be_bytes(), llc].concat();
    let data = wifi([0x88, 0x01], &[&[0x80, 0][..], &sub_frame(&first), &sub_frame(&second)].concat());
    assert_eq!(segment_of(105, &data).1, b"hello");
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
