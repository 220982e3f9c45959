//! The straight way and the walk: where the first answers at all, both say the same.

use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::build::*;
use super::{ETHERNET, RAW_IP, every_kind, packet};
use crate::capture::{LinkType, Packet, Savefile};
use crate::conntrack::brief::Brief;
use crate::decode::straight::read;
use crate::decode::walk::Stamp;
use crate::decode::{Common, Decoded, Decoder, Skip};
use crate::tcp::segment::{Addressed, Flags, FrameId, HostPort, Options, Segment, Tunnel, TunnelKind};
use crate::tcp::seq::SeqNum;
use crate::time::Timestamp;

const STAMP: Stamp = Stamp { ts: Timestamp::from_nanos(9), ordinal: 5, frame: FrameId::new(0, 1) };

/// What the straight way says, if anything, where another segment has stood.
fn straight<'a>(packet: &Packet<'a>) -> Option<Decoded<'a>> {
    let end = HostPort::new([255; 16].into(), 65_535);
    let segment = Segment {
        ts: Timestamp::from_nanos(-3),
        ordinal: u64::MAX,
        frame: FrameId::new(3, 3),
        seq: SeqNum::new(u32::MAX),
        ack: SeqNum::new(u32::MAX),
        flags: Flags::from_bits(255),
        window: 65_535,
        payload_len: 70_000,
        ip_len: u32::MAX,
        ip_id: Some(65_535),
        checksum: 65_535,
        bad_checksum: true,
        options_cut: true,
        options: Options {
            timestamps: Some((u32::MAX, u32::MAX)),
            window_scale: Some(14),
            sack: Some((SeqNum::new(u32::MAX), SeqNum::new(u32::MAX))),
        },
    };
    let tunnel = Some(Tunnel { kind: TunnelKind::Gre, id: Some(u32::MAX) });
    let before = Addressed { src: end, dst: end, vlan: Some(4_095), tunnel, segment };
    let mut place = Brief::of(&before);
    assert_eq!(place.addressed(), before);
    Some(match read(packet, STAMP, &mut place)? {
        Common::Segment(payload) => Decoded::Segment { addressed: place.addressed(), payload },
        Common::Skip(skip) => Decoded::Skip(skip),
        Common::No => return None,
    })
}

/// Whether the straight way answers; if so, as the walk does.
#[track_caller]
fn answers(packet: &Packet<'_>) -> bool {
    let Some(straight) = straight(packet) else { return false };
    let mut decoder = Decoder::default();
    let walk = decoder.walk(packet, None, STAMP).0;
    assert_eq!(straight, walk, "{:?} {} {:02x?}", packet.link, packet.wire_len, packet.data);
    true
}

fn linux_sll(ether_type: u16, payload: &[u8]) -> Vec<u8> {
    [&[0; 14][..], &ether_type.to_be_bytes(), payload].concat()
}

fn linux_sll2(ether_type: u16, payload: &[u8]) -> Vec<u8> {
    [&ether_type.to_be_bytes()[..], &[0; 18], payload].concat()
}

#[test]
fn common_packets_go_straight() {
    let tcp = tcp_with(0x18, &[1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2], b"hello");
    let (v4, v6) = (ipv4(6, &tcp), ipv6(6, &tcp));
    for (link, data) in [
        (ETHERNET, eth(0x0800, &v4)),
        (ETHERNET, eth(0x86dd, &v6)),
        (ETHERNET, eth(0x8100, &vlan(7, 0x0800, &v4))),
        (ETHERNET, eth(0x88a8, &vlan(0, 0x8100, &vlan(9, 0x86dd, &v6)))),
        (ETHERNET, [&eth(0x0800, &v4)[..], &[0; 9]].concat()),
        (ETHERNET, eth(0x0800, &ipv4_with(6, &[1; 8], 0x4000, &tcp))),
        (ETHERNET, eth(0x0800, &ipv4(17, &udp(53, b"query")))),
        (113, linux_sll(0x0800, &v4)),
        (113, linux_sll(0x86dd, &v6)),
        (276, linux_sll2(0x0800, &v4)),
        (RAW_IP, v4.clone()),
        (RAW_IP, v6.clone()),
    ] {
        assert!(answers(&packet(link, &data, data.len())), "{link} {data:02x?}");
        assert!(answers(&packet(link, &data, data.len() + 500)));
    }
}

#[test]
fn whatever_is_rare_is_left_to_the_walk() {
    let tcp = tcp();
    for (link, data) in [
        (ETHERNET, eth(0x0800, &ipv4_with(6, &[], 0x2000, &tcp))),
        (ETHERNET, eth(0x0800, &ipv4_with(6, &[], 1, &tcp))),
        (ETHERNET, eth(0x86dd, &ipv6(44, &v6_fragment(6, 0, true, &tcp)))),
        (ETHERNET, eth(0x0800, &ipv4(17, &udp(4789, b"VXLAN")))),
        (ETHERNET, eth(0x0800, &ipv4(6, &tcp[..15]))),
        (ETHERNET, eth_802_3(&snap(0x0800, &ipv4(6, &tcp)))),
        (ETHERNET, eth(0x0806, &[0; 28])),
        (105, wifi([8, 0], &snap(0x0800, &ipv4(6, &tcp)))),
    ] {
        assert!(straight(&packet(link, &data, data.len())).is_none(), "{link} {data:02x?}");
    }
}

#[test]
fn checksums_are_verified_by_the_walk() {
    let mut decoder = Decoder { verify_checksums: true, ..Decoder::default() };
    let data = eth(0x0800, &ipv4(6, &tcp()));
    let decoded = decoder.decode(&packet(ETHERNET, &data, data.len()), STAMP.frame, STAMP.ordinal, STAMP.ts);
    assert!(matches!(decoded, Decoded::Segment { addressed, .. } if addressed.segment.bad_checksum));
}

#[test]
fn both_agree_on_every_kind_of_packet_cut_anywhere() {
    for (_, link, data, ..) in every_kind() {
        for at in 0..=data.len() {
            answers(&packet(link, &data[..at], data.len()));
            answers(&packet(link, &data[..at], at));
            answers(&packet(link, &data[..at], 0));
        }
    }
}

/// The captures of the project, and those in the directory that `FINWAIT_CAPTURES` names.
fn captures() -> Vec<PathBuf> {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("captures");
    let more = std::env::var_os("FINWAIT_CAPTURES").map(PathBuf::from);
    let files = |dir: PathBuf| std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    [Some(shipped), more].into_iter().flatten().flat_map(files).filter(|path| path.is_file()).collect()
}

#[test]
fn both_agree_on_every_packet_of_the_captures() {
    let (mut segments, mut straight) = (0_u64, 0_u64);
    for path in captures() {
        let Ok(mut savefile) = Savefile::open(&path) else { continue };
        while let Ok(Some(packet)) = savefile.next() {
            let answered = answers(&packet);
            if matches!(Decoder::default().walk(&packet, None, STAMP).0, Decoded::Segment { .. }) {
                segments += 1;
                straight += u64::from(answered);
            }
        }
    }
    assert!(segments > 1_000, "{segments}");
    assert!(straight * 10 > segments * 9, "{straight} of {segments} segments went straight");
}

/// A packet of common layers, with lengths that may be wrong.
fn layered() -> impl Strategy<Value = (u16, Vec<u8>)> {
    let options = prop::collection::vec(any::<u8>(), 0..10).prop_map(|mut bytes| {
        bytes.resize(bytes.len().next_multiple_of(4), 1);
        bytes
    });
    let tcp = (any::<u8>(), options.clone(), prop::collection::vec(any::<u8>(), 0..30), prop::option::of(0_u8..16))
        .prop_map(|(flags, options, payload, offset)| {
            let mut tcp = tcp_with(flags, &options, &payload);
            tcp[12] = offset.map_or(tcp[12], |offset| offset << 4);
            tcp
        });
    let transport = prop_oneof![
        8 => tcp.prop_map(|tcp| (6, tcp)),
        2 => (prop::sample::select(vec![53_u16, 443, 4789, 2152]), prop::collection::vec(any::<u8>(), 0..20))
            .prop_map(|(port, payload)| (17, udp(port, &payload))),
        1 => (any::<u8>(), prop::collection::vec(any::<u8>(), 0..60)),
    ];
    let fragment = prop_oneof![9 => Just(0x4000_u16), 1 => any::<u16>()];
    let length = prop::option::of(prop_oneof![Just(0_u16), 0..100_u16, any::<u16>()]);
    let ip = (any::<bool>(), transport, options, fragment, length).prop_map(
        |(v6, (protocol, transport), options, fragment, length)| {
            let (mut ip, at) = match v6 {
                true => (ipv6(protocol, &transport), 4),
                false => (ipv4_with(protocol, &options, fragment, &transport), 2),
            };
            if let Some(length) = length {
                ip[at..at + 2].copy_from_slice(&length.to_be_bytes());
            }
            (if v6 { 0x86dd_u16 } else { 0x0800 }, ip)
        },
    );
    (ip, any::<u16>(), 0_u8..8, 0_usize..12).prop_map(|((ether_type, ip), tag, link, padding)| {
        let tagged = |ether_type, payload: &[u8]| vlan(tag & 0x0fff, ether_type, payload);
        let (link, mut data) = match link {
            0 => (113, linux_sll(ether_type, &ip)),
            1 => (276, linux_sll2(ether_type, &ip)),
            2 => (RAW_IP, ip),
            3 => (ETHERNET, eth(0x8100, &tagged(ether_type, &ip))),
            4 => (ETHERNET, eth(0x88a8, &vlan(0, 0x8100, &tagged(ether_type, &ip)))),
            _ => (ETHERNET, eth(ether_type, &ip)),
        };
        data.resize(data.len() + padding, 0);
        (link, data)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_096))]

    #[test]
    fn both_agree_on_packets_of_common_layers(
        (link, mut data) in layered(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        kept in prop::option::of(any::<prop::sample::Index>()),
        beyond in prop_oneof![Just(0_usize), 0..2_000_usize, Just(u32::MAX as usize)],
    ) {
        for (at, byte) in damage {
            let at = at.index(data.len());
            data[at] = byte;
        }
        let wire_len = data.len();
        data.truncate(kept.map_or(wire_len, |kept| kept.index(wire_len + 1)));
        answers(&packet(link, &data, (wire_len + beyond).min(u32::MAX as usize)));
        answers(&packet(link, &data, 0));
    }

    #[test]
    fn both_agree_on_any_bytes(link in prop::sample::select(vec![1_u16, 101, 113, 276]), ip: bool, mut data: Vec<u8>, wire_len: u32) {
        if let Some(first) = data.first_mut().filter(|_| ip) {
            *first = 0x45;
        }
        answers(&Packet { ts: None, number: 1, link: LinkType(link), interface: 0, wire_len, data: &data });
    }
}

#[test]
fn a_datagram_on_no_tunnels_port_is_noise() {
    let data = eth(0x0800, &ipv4(17, &udp(53, b"query")));
    assert_eq!(straight(&packet(ETHERNET, &data, data.len())), Some(Decoded::Skip(Skip::Udp)));
}
