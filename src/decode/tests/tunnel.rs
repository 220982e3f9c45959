//! Encapsulations.

use super::build::*;
use super::{ETHERNET, Kind, RAW_IP, segment_of, skip_of};
use crate::decode::Skip;

pub(super) fn kinds() -> Vec<Kind> {
    let (v4, v6) = (ipv4(6, &tcp()), ipv6(6, &tcp()));
    let frame = eth(0x0800, &v4);
    let with = |head: &[u8], rest: &[u8]| [head, rest].concat();
    let over_gre = |gre: Vec<u8>| ipv4(47, &gre);
    let over_udp = |port, data: &[u8]| ipv4(17, &udp(port, data));
    let gtp = |flags: u8, optional: &[u8], ip: &[u8]| {
        let length = u16::try_from(optional.len() + ip.len()).unwrap().to_be_bytes();
        over_udp(2152, &[&[flags, 0xff, length[0], length[1], 0, 0, 1, 0], optional, ip].concat())
    };
    let key = [0, 0, 0, 99];
    vec![
        ("IPv4 in IPv4", RAW_IP, ipv4(4, &v4), None, "ipip"),
        ("6in4", RAW_IP, ipv4(41, &v6), None, "ipip"),
        ("IPv4 in IPv6", RAW_IP, ipv6(4, &v4), None, "ipip"),
        ("IPv6 in IPv6 in IPv6", RAW_IP, ipv6(41, &ipv6(41, &v6)), None, "ipip"),
        ("AH around IP", RAW_IP, ipv4(51, &ah(4, &v4)), None, "ah"),
        ("GRE", RAW_IP, over_gre(gre(0, 0x0800, &[], &v4)), None, "gre"),
        ("GRE with a key", RAW_IP, over_gre(gre(0x2000, 0x86dd, &key, &v6)), None, "gre 99"),
        (
            "GRE with all options",
            RAW_IP,
            over_gre(gre(0xb000, 0x0800, &[&[0; 4][..], &key, &[0; 4]].concat(), &v4)),
            None,
            "gre 99",
        ),
        (
            "GRE with routing",
            RAW_IP,
            over_gre(gre(0x4000, 0x0800, &[0, 0, 0, 0, 8, 0, 0, 4, 1, 2, 3, 4, 0, 0, 0, 0], &v4)),
            None,
            "gre",
        ),
        ("GRE around Ethernet", RAW_IP, over_gre(gre(0x2000, 0x6558, &key, &frame)), None, "gre 99"),
        (
            "GRE around a VLAN",
            RAW_IP,
            over_gre(gre(0, 0x6558, &[], &eth(0x8100, &vlan(6, 0x0800, &v4)))),
            Some(6),
            "gre",
        ),
        ("GRE around MPLS", RAW_IP, over_gre(gre(0, 0x8847, &[], &label(20, true, &v4))), None, "mpls 20"),
        ("WCCP 1", RAW_IP, over_gre(gre(0, 0x883e, &[], &v4)), None, "gre"),
        ("WCCP 2", RAW_IP, over_gre(gre(0, 0x883e, &[], &with(&[0; 4], &v4))), None, "gre"),
        ("PPTP", RAW_IP, over_gre(gre(0x3001, 0x880b, &[0, 47, 0, 5, 0, 0, 0, 1], &with(&[0x21], &v4))), None, "gre 5"),
        (
            "PPTP with an acknowledgement",
            RAW_IP,
            over_gre(gre(0x3081, 0x880b, &[0, 47, 0, 5, 0, 0, 0, 1, 0, 0, 0, 1], &with(&[0xff, 3, 0, 0x21], &v4))),
            None,
            "gre 5",
        ),
        ("ERSPAN I", RAW_IP, over_gre(gre(0, 0x88be, &[], &frame)), None, "erspan"),
        (
            "ERSPAN II",
            RAW_IP,
            over_gre(gre(0x1000, 0x88be, &[0; 4], &with(&[0x10, 0, 0x14, 0x05, 0, 0, 0, 0], &frame))),
            None,
            "erspan 5",
        ),
        (
            "ERSPAN III",
            RAW_IP,
            over_gre(gre(0x1000, 0x22eb, &[0; 4], &with(&[0x20, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0], &frame))),
            None,
            "erspan 6",
        ),
        (
            "ERSPAN III with platform header",
            RAW_IP,
            over_gre(gre(
                0x1000,
                0x22eb,
                &[0; 4],
                &[&[0x20, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0, 1][..], &[0; 8], &frame].concat(),
            )),
            None,
            "erspan 6",
        ),
        ("VXLAN", RAW_IP, over_udp(4789, &with(&[8, 0, 0, 0, 0, 0, 42, 0], &frame)), None, "vxlan 42"),
        ("VXLAN on Linux's port", RAW_IP, over_udp(8472, &with(&[8, 0, 0, 0, 0, 0, 42, 0], &frame)), None, "vxlan 42"),
        ("VXLAN-GPE", RAW_IP, over_udp(4790, &with(&[0x0c, 0, 0, 2, 0, 1, 0, 0], &v6)), None, "vxlan 256"),
        (
            "Geneve",
            RAW_IP,
            over_udp(6081, &with(&[2, 0, 0x65, 0x58, 0, 0, 9, 0, 1, 1, 1, 1, 2, 2, 2, 2], &frame)),
            None,
            "geneve 9",
        ),
        ("Geneve around IP", RAW_IP, over_udp(6081, &with(&[0, 0, 0x86, 0xdd, 0, 0, 9, 0], &v6)), None, "geneve 9"),
        ("GTP-U", RAW_IP, gtp(0x30, &[], &v4), None, "gtp 256"),
        ("GTP-U with a sequence number", RAW_IP, gtp(0x32, &[0, 1, 0, 0], &v6), None, "gtp 256"),
        ("GTP-U with extensions", RAW_IP, gtp(0x34, &[0, 0, 0, 0x85, 1, 0, 0, 0xc0, 1, 0, 0, 0], &v4), None, "gtp 256"),
        ("GTP-U around PPP", RAW_IP, gtp(0x30, &[], &with(&[0xff, 3, 0, 0x21], &v4)), None, "gtp 256"),
        ("Teredo", RAW_IP, over_udp(3544, &v6), None, "teredo"),
        (
            "Teredo with both indications",
            RAW_IP,
            over_udp(3544, &[&[0, 1, 1, 2][..], &[9; 12], &[0; 8], &v6].concat()),
            None,
            "teredo",
        ),
        ("GTP-U around Ethernet", RAW_IP, gtp(0x30, &[], &frame), None, "gtp 256"),
        (
            "GTP version 0",
            RAW_IP,
            over_udp(3386, &[&[0x1e, 0xff, 0, 45, 0, 1, 0, 77][..], &[0xff; 12], &v4].concat()),
            None,
            "gtp 77",
        ),
        ("GRE in UDP", RAW_IP, over_udp(4754, &gre(0x2000, 0x0800, &key, &v4)), None, "gre 99"),
        (
            "GRE around Frame Relay",
            RAW_IP,
            over_gre(gre(0, 0x6559, &[], &with(&[0x18, 0x41, 3, 0xcc], &v4))),
            None,
            "gre",
        ),
        (
            "GRE around NSH",
            RAW_IP,
            over_gre(gre(0, 0x894f, &[], &with(&[0, 2, 2, 2, 0, 0, 5, 255], &v6))),
            None,
            "nsh 5",
        ),
        ("EoIP", RAW_IP, over_gre(gre(0x2001, 0x6400, &[0, 59, 7, 0], &frame)), None, "gre 7"),
        (
            "VXLAN-GPE around NSH",
            RAW_IP,
            over_udp(4790, &[&[0x0c, 0, 0, 4, 0, 1, 0, 0][..], &[0, 2, 2, 1, 0, 0, 5, 255], &v4].concat()),
            None,
            "vxlan 256",
        ),
        (
            "VXLAN-GPE around MPLS",
            RAW_IP,
            over_udp(4790, &with(&[0x0c, 0, 0, 5, 0, 1, 0, 0], &label(16, true, &v4))),
            None,
            "vxlan 256",
        ),
        ("LISP", RAW_IP, over_udp(4341, &with(&[0xc0, 0, 0, 0, 0, 0, 0, 1], &v4)), None, "lisp"),
        ("LISP with an instance", RAW_IP, over_udp(4341, &with(&[0x08, 0, 0, 0, 0, 0, 3, 1], &v6)), None, "lisp 3"),
        ("CAPWAP", RAW_IP, over_udp(5247, &with(&[0, 0x10, 0x02, 0, 0, 0, 0, 0], &frame)), None, "capwap"),
        (
            "CAPWAP, the radio's own frame",
            RAW_IP,
            over_udp(5247, &with(&[0, 0x10, 0x03, 0, 0, 0, 0, 0], &wifi([8, 1], &snap(0x0800, &v4)))),
            None,
            "capwap",
        ),
        (
            "CAPWAP, swapped frame control, radio's address",
            RAW_IP,
            over_udp(
                5247,
                &[
                    &[0, 0x20, 0x03, 0x10, 0, 0, 0, 0][..],
                    &[6, 1, 2, 3, 4, 5, 6, 0],
                    &wifi([2, 0x88], &[&[0, 0], &snap(0x0800, &v4)[..]].concat()),
                ]
                .concat(),
            ),
            None,
            "capwap",
        ),
        ("TZSP", RAW_IP, over_udp(37008, &with(&[1, 0, 0, 1, 0, 10, 1, 9, 1], &frame)), None, "tzsp"),
        (
            "TZSP around 802.11",
            RAW_IP,
            over_udp(37008, &with(&[1, 0, 0, 18, 1], &wifi([8, 1], &snap(0x0800, &v4)))),
            None,
            "tzsp",
        ),
        ("EtherIP", RAW_IP, ipv4(97, &with(&[0x30, 0], &frame)), None, "etherip"),
        ("Ethernet over IPv6", RAW_IP, ipv6(143, &frame), None, "etherip"),
        ("minimal encapsulation", RAW_IP, minimal(), None, "ipip"),
        ("L2TPv3 around Ethernet", RAW_IP, ipv4(115, &with(&[0, 0, 0, 9], &frame)), None, "l2tp 9"),
        (
            "L2TPv3 with sublayer and cookie",
            RAW_IP,
            ipv4(115, &[&[0, 0, 0, 9][..], &[3; 8], &[0; 4], &frame].concat()),
            None,
            "l2tp 9",
        ),
        ("L2TPv3 around PPP", RAW_IP, ipv6(115, &with(&[0, 0, 0, 9, 0xff, 3, 0, 0x21], &v4)), None, "l2tp 9"),
        ("L2TPv3 in UDP", RAW_IP, over_udp(1701, &with(&[0, 3, 0, 0, 0, 0, 0, 9, 1, 2, 3, 4], &frame)), None, "l2tp 9"),
        ("L2TP", RAW_IP, over_udp(1701, &with(&[0, 2, 0, 3, 0, 4, 0xff, 3, 0, 0x21], &v4)), None, "l2tp 4"),
        (
            "L2TP with all fields",
            RAW_IP,
            over_udp(1701, &with(&[0x4a, 2, 0, 63, 0, 3, 0, 4, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0x21], &v4)),
            None,
            "l2tp 4",
        ),
        ("MPLS in IP", RAW_IP, ipv4(137, &label(17, true, &v4)), None, "mpls 17"),
        ("MPLS in UDP", RAW_IP, over_udp(6635, &label(17, true, &v4)), None, "mpls 17"),
        ("MPLS, two labels", ETHERNET, eth(0x8847, &label(16, false, &label(17, true, &v6))), None, "mpls 16"),
        (
            "pseudowire with a control word",
            ETHERNET,
            eth(0x8847, &label(16, true, &with(&[0; 4], &frame))),
            None,
            "mpls 16",
        ),
        (
            "pseudowire with an address that could begin IP",
            ETHERNET,
            eth(0x8847, &label(16, true, &with(&[0x44], &frame[1..]))),
            None,
            "mpls 16",
        ),
        ("pseudowire without one", ETHERNET, eth(0x8847, &label(16, true, &frame)), None, "mpls 16"),
        (
            "the outermost tunnel with an id",
            RAW_IP,
            ipv4(4, &over_udp(4789, &with(&[8, 0, 0, 0, 0, 0, 42, 0], &eth(0x8864, &pppoe(&with(&[0x21], &v4)))))),
            None,
            "vxlan 42",
        ),
    ]
}

#[test]
fn what_only_shares_a_tunnel_s_port_is_udp_or_bad() {
    let over_udp = |port, data: &[u8]| skip_of(RAW_IP, &ipv4(17, &udp(port, data)));
    assert_eq!(over_udp(2152, &[0x32, 1, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0]), Skip::Udp); // echo request
    assert_eq!(over_udp(2152, &[0x0e; 20]), Skip::BadTunnel);
    assert_eq!(over_udp(2152, &[0x34, 0xff, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0x85, 0, 0, 0, 0]), Skip::BadTunnel);
    assert_eq!(over_udp(1701, &[0xc8, 2, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0]), Skip::Udp); // control message
    assert_eq!(over_udp(3544, b"Hello"), Skip::Udp);
    assert_eq!(over_udp(4789, &[0; 30]), Skip::BadTunnel);
    assert_eq!(over_udp(6081, &[0x40; 30]), Skip::BadTunnel);
}

/// An IP header whose addresses are those of the tunnel's ends, and a header with the true ones.
fn minimal() -> Vec<u8> {
    let mut data = ipv4(55, &[&[6, 0x80, 0, 0, 192, 0, 2, 2, 192, 0, 2, 1][..], &tcp()].concat());
    data[12..20].copy_from_slice(&[10, 0, 0, 1, 10, 0, 0, 2]);
    data
}

#[test]
fn what_is_no_packet_behind_a_guess_is_skipped() {
    assert_eq!(skip_of(RAW_IP, &ipv4(115, &[0; 30])), Skip::OtherProtocol);
    assert_eq!(skip_of(RAW_IP, &ipv4(115, &[7; 60])), Skip::NotIp);
    let over_udp = |port, data: &[u8]| skip_of(RAW_IP, &ipv4(17, &udp(port, data)));
    assert_eq!(over_udp(4341, &[0; 20]), Skip::Udp);
    assert_eq!(over_udp(5247, &[1, 0, 0, 0, 9, 9, 9, 9, 9]), Skip::Encrypted);
    assert_eq!(over_udp(5247, &[0, 0x10, 2, 0x80, 0, 0, 0, 0]), Skip::Fragment);
    assert_eq!(over_udp(5247, &[0, 0x10, 2, 0x08, 0, 0, 0, 0]), Skip::Udp);
    assert_eq!(over_udp(37008, &[1, 4, 0, 0, 1]), Skip::Udp);
    assert_eq!(over_udp(37008, &[1, 0, 0, 99, 1]), Skip::NotIp);
}

#[test]
fn a_tunnel_s_management_is_no_segment() {
    assert_eq!(skip_of(RAW_IP, &ipv4(47, &gre(0x2081, 0x880b, &[0; 8], &[]))), Skip::OtherProtocol);
    assert_eq!(skip_of(RAW_IP, &ipv4(47, &gre(0, 0, &[], &[]))), Skip::NotIp);
    assert_eq!(skip_of(RAW_IP, &ipv4(47, &gre(2, 0x0800, &[], &[]))), Skip::BadTunnel);
    assert_eq!(skip_of(ETHERNET, &eth(0x8847, &label(16, true, &[0x10, 0, 0, 7, 0]))), Skip::NotIp);
}

#[test]
fn tunnels_in_tunnels_are_opened_up_to_a_bound() {
    let mut data = ipv4(6, &tcp());
    for _ in 0..8 {
        data = ipv4(4, &data);
    }
    assert_eq!(segment_of(RAW_IP, &data).1, b"hello");
    assert_eq!(skip_of(RAW_IP, &ipv4(4, &data)), Skip::TooDeep);
    let labels: Vec<u8> = (0..200).flat_map(|_| label(16, false, &[])).collect();
    assert_eq!(skip_of(ETHERNET, &eth(0x8847, &labels)), Skip::TooDeep);
}

#[test]
fn padding_behind_the_inner_frame_is_no_payload() {
    let inner = [eth(0x0800, &ipv4(6, &tcp())), vec![0; 6]].concat();
    let data = ipv4(17, &udp(4789, &[&[8, 0, 0, 0, 0, 0, 42, 0], &inner[..]].concat()));
    let (addressed, payload) = segment_of(RAW_IP, &data);
    assert_eq!((addressed.segment.ip_len, payload), (45, b"hello".to_vec()));
}
