//! IP: lengths, extension headers, fragments, quotations.

use super::build::*;
use super::{ETHERNET, Kind, RAW_IP, assert_is_hello, feed, segment_of, skip_of, skip_of_cut, undelivered_of};
use crate::decode::{Decoded, Decoder, Skip};
use crate::tcp::segment::Why;

pub(super) fn kinds() -> Vec<Kind> {
    let pad = |next: u8| [next, 0, 1, 4, 0, 0, 0, 0];
    let chain = [&pad(43)[..], &[60, 0, 0, 0, 0, 0, 0, 0], &pad(6), &tcp()].concat();
    vec![
        ("IPv4 with options", RAW_IP, ipv4_with(6, &[7, 7, 4, 0, 0, 0, 0, 0], 0, &tcp()), None, ""),
        ("IPv4 that must not be fragmented", RAW_IP, ipv4_with(6, &[], 0x4000, &tcp()), None, ""),
        ("IPv6 with three extension headers", RAW_IP, ipv6(0, &chain), None, ""),
        ("atomic fragment", RAW_IP, ipv6(44, &v6_fragment(6, 0, false, &tcp())), None, ""),
        ("IPv4 with AH", RAW_IP, ipv4(51, &ah(6, &tcp())), None, "ah"),
        ("IPv6 with AH", RAW_IP, ipv6(51, &ah(6, &tcp())), None, "ah"),
        ("IPv4 under IPv6's EtherType", ETHERNET, eth(0x86dd, &ipv4(6, &tcp())), None, ""),
    ]
}

/// Overwrites the bytes at a place.
fn patched(mut data: Vec<u8>, at: usize, bytes: &[u8]) -> Vec<u8> {
    data[at..at + bytes.len()].copy_from_slice(bytes);
    data
}

#[test]
fn lengths_are_those_of_the_ip_header_without_padding() {
    let v4 = segment_of(ETHERNET, &[eth(0x0800, &ipv4(6, &tcp())), vec![0; 20]].concat()).0.segment;
    assert_eq!((v4.ip_len, v4.payload_len, v4.ip_id), (45, 5, Some(0x1234)));
    let v6 = segment_of(ETHERNET, &[eth(0x86dd, &ipv6(6, &tcp())), vec![0; 20]].concat()).0.segment;
    assert_eq!((v6.ip_len, v6.payload_len, v6.ip_id), (65, 5, None));
}

#[test]
fn a_length_of_zero_means_up_to_the_end_of_the_frame() {
    let v4 = patched(ipv4(6, &tcp()), 2, &[0, 0]);
    let (addressed, payload) = segment_of(RAW_IP, &v4);
    assert_is_hello(&addressed, &payload);
    assert_eq!(addressed.segment.ip_len, 45);
    let v6 = ipv6_sized(6, 0, &tcp());
    assert_is_hello(&segment_of(RAW_IP, &v6).0, b"hello");

    let mut decoder = Decoder::default();
    let Decoded::Segment { addressed, payload } = feed(&mut decoder, RAW_IP, &v4, 70_000) else { panic!() };
    assert_eq!((addressed.segment.payload_len, addressed.segment.ip_len, payload), (69_960, 70_000, &b"hello"[..]));
}

#[test]
fn a_length_beyond_the_frame_is_the_frame_s() {
    let (addressed, _) = segment_of(RAW_IP, &patched(ipv4(6, &tcp()), 2, &[9, 0]));
    assert_eq!((addressed.segment.payload_len, addressed.segment.ip_len), (5, 45));
}

#[test]
fn snaplen_shortens_the_payload_and_not_its_length() {
    let whole = eth(0x0800, &ipv4(6, &tcp_with(0x18, &[], &[b'x'; 1000])));
    let mut decoder = Decoder::default();
    let Decoded::Segment { addressed, payload } = feed(&mut decoder, ETHERNET, &whole[..96], whole.len()) else {
        panic!()
    };
    assert_eq!((addressed.segment.payload_len, addressed.segment.ip_len, payload.len()), (1000, 1040, 42));
}

#[test]
fn a_jumbogram_tells_its_length_in_an_option() {
    let length = 8 + tcp().len();
    let jumbo = [&[6, 0, 0xc2, 4][..], &u32::try_from(length).unwrap().to_be_bytes(), &tcp(), b"trailer"].concat();
    let (addressed, payload) = segment_of(RAW_IP, &ipv6_sized(0, 0, &jumbo));
    assert_is_hello(&addressed, &payload);
    assert_eq!(addressed.segment.ip_len, 73);
}

#[test]
fn the_other_end_is_the_last_hop_and_the_home_address() {
    let route = |kind, left, hops: &[u8]| {
        let list: Vec<_> = hops.iter().flat_map(|&hop| v6_address(hop)).collect();
        let header = [6, u8::try_from(hops.len() * 2).unwrap(), kind, left, 0, 0, 0, 0];
        segment_of(RAW_IP, &ipv6(43, &[&header[..], &list, &tcp()].concat())).0.dst.ip.to_string()
    };
    assert_eq!(route(0, 2, &[8, 9]), "2001:db8::9");
    assert_eq!(route(2, 1, &[9]), "2001:db8::9");
    assert_eq!(route(4, 1, &[9, 2]), "2001:db8::9");
    assert_eq!(route(0, 0, &[8, 9]), "2001:db8::2");
    assert_eq!(route(253, 1, &[8, 9]), "2001:db8::2");
    let home = [&[6, 2, 1, 2, 0, 0, 0xc9, 16][..], &v6_address(5), &tcp()].concat();
    assert_eq!(segment_of(RAW_IP, &ipv6(60, &home)).0.src.ip.to_string(), "2001:db8::5");
}

#[test]
fn broken_ip_headers_are_told_from_cut_ones() {
    let v4 = ipv4(6, &tcp());
    assert_eq!(skip_of(RAW_IP, &patched(v4.clone(), 0, &[0x44])), Skip::BadIpHeader);
    assert_eq!(skip_of(RAW_IP, &patched(v4.clone(), 0, &[0x55])), Skip::BadIpHeader);
    assert_eq!(skip_of(RAW_IP, &patched(v4.clone(), 2, &[0, 19])), Skip::BadIpHeader);
    assert_eq!(skip_of(RAW_IP, &v4[..19]), Skip::BadIpHeader);
    assert_eq!(skip_of_cut(RAW_IP, &v4[..19], v4.len()), Skip::CutIp);
    let v6 = ipv6(60, &[6, 5, 0, 0, 0, 0, 0, 0]);
    assert_eq!(skip_of(RAW_IP, &v6), Skip::BadIpHeader);
    assert_eq!(skip_of_cut(RAW_IP, &v6[..44], v6.len()), Skip::CutIp);
    assert_eq!(skip_of(RAW_IP, &ipv4(51, &patched(ah(6, &tcp()), 1, &[0]))), Skip::BadIpHeader);
}

#[test]
fn other_protocols_are_counted_by_kind() {
    assert_eq!(skip_of(RAW_IP, &ipv4(17, &udp(53, b"query"))), Skip::Udp);
    assert_eq!(skip_of(RAW_IP, &ipv4(1, &[8, 0, 0, 0, 0, 0, 0, 0])), Skip::Icmp);
    assert_eq!(skip_of(RAW_IP, &ipv6(58, &[128, 0, 0, 0, 0, 0, 0, 0])), Skip::Icmp);
    assert_eq!(skip_of(RAW_IP, &ipv4(50, &[0; 40])), Skip::Encrypted);
    assert_eq!(skip_of(RAW_IP, &ipv4(108, &[0; 40])), Skip::Compressed);
    assert_eq!(skip_of(RAW_IP, &ipv4(132, &[0; 40])), Skip::OtherProtocol);
    assert_eq!(skip_of(RAW_IP, &ipv6(59, &[])), Skip::OtherProtocol);
}

#[test]
fn fragments_of_either_version_make_a_segment_at_the_last_one() {
    let tcp = tcp_with(0x18, &[], &[b'x'; 100]);
    let v4 = [ipv4_with(6, &[], 0x2000, &tcp[..64]), ipv4_with(6, &[], 8, &tcp[64..])];
    let v6 = [(0, true, &tcp[..64]), (64, false, &tcp[64..])]
        .map(|(offset, more, part)| ipv6(44, &v6_fragment(6, offset, more, part)));
    for (fragments, wire) in [(v4, 160), (v6, 216)] {
        for order in [[0, 1], [1, 0]] {
            let mut decoder = Decoder::default();
            let first = feed(&mut decoder, RAW_IP, &fragments[order[0]], 0);
            assert_eq!(first, Decoded::Skip(Skip::Fragment));
            let second = feed(&mut decoder, RAW_IP, &fragments[order[1]], 0);
            let Decoded::Segment { addressed, payload } = second else { panic!("{second:?}") };
            assert_eq!((addressed.segment.payload_len, addressed.segment.ip_len), (100, wire));
            assert_eq!(payload, [b'x'; 100]);
        }
    }
}

#[test]
fn fragments_inside_a_fragmented_tunnel_are_reassembled() {
    let tcp = tcp_with(0x18, &[], &[b'x'; 100]);
    let inner = [ipv4_with(6, &[], 0x2000, &tcp[..64]), ipv4_with(6, &[], 8, &tcp[64..])];
    let mut decoder = Decoder::default();
    let mut last = None;
    for (n, packet) in (0_u8..).zip(inner) {
        for (offset, more, part) in [(0, true, &packet[..40]), (40, false, &packet[40..])] {
            let mut outer = v6_fragment(4, offset, more, part);
            outer[7] = n; // the outer identification
            let outer = ipv6(44, &outer);
            last = match feed(&mut decoder, RAW_IP, &outer, 0) {
                Decoded::Segment { addressed, payload } => Some((addressed, payload.to_vec())),
                other => {
                    assert_eq!(other, Decoded::Skip(Skip::Fragment));
                    None
                }
            };
        }
    }
    let (addressed, payload) = last.unwrap();
    assert_eq!((addressed.tunnel.unwrap().to_string(), payload.len()), ("ipip".to_string(), 100));
}

#[test]
fn fragments_of_no_interest_are_not_kept() {
    let mut decoder = Decoder::default();
    for offset in [0x2000, 0x2008, 0x0010] {
        let fragment = ipv4_with(132, &[], offset, &[0; 64]);
        assert_eq!(feed(&mut decoder, RAW_IP, &fragment, 0), Decoded::Skip(Skip::Fragment));
    }
    assert_eq!(decoder.fragments_shed(), 0);
}

#[test]
fn icmp_errors_tell_which_segment_was_not_delivered() {
    let quote = ipv4_with(6, &[1, 1, 1, 0], 0, &tcp()[..8]);
    let error = |kind: u8, code: u8| [&[kind, code, 0, 0, 0, 0, 0, 0][..], &quote].concat();
    let port = undelivered_of(&ipv4(1, &error(3, 3)));
    assert_eq!((port.src.to_string(), port.dst.to_string()), ("192.0.2.1:40000".into(), "192.0.2.2:80".into()));
    assert_eq!((port.seq.raw(), port.ts.as_nanos(), port.from.to_string()), (SEQ, 9, "192.0.2.1".into()));
    let unreachable = |what| Why::Unreachable { what };
    for (kind, code, why) in [
        (3, 0, unreachable(Some("network"))),
        (3, 3, unreachable(Some("port"))),
        (3, 4, Why::TooBig { mtu: None }),
        (3, 13, unreachable(Some("prohibited"))),
        (3, 99, unreachable(None)),
        (11, 0, Why::TimeExceeded),
        (12, 0, Why::HeaderProblem),
    ] {
        assert_eq!(undelivered_of(&ipv4(1, &error(kind, code))).why, why, "{kind}/{code}");
    }
    let too_big = [&[3, 4, 0, 0, 0, 0, 0x05, 0x78][..], &quote].concat();
    assert_eq!(undelivered_of(&ipv4(1, &too_big)).why, Why::TooBig { mtu: Some(1400) });
    for kind in [4, 5] {
        assert_eq!(skip_of(RAW_IP, &ipv4(1, &error(kind, 0))), Skip::Icmp);
    }
}

#[test]
fn icmp_errors_are_found_in_tunnels() {
    let error = ipv4(1, &[&[3, 4, 0, 0, 0, 0, 0x05, 0x78][..], &ipv4(6, &tcp()[..8])].concat());
    let inner = eth(0x8100, &vlan(7, 0x0800, &error));
    let undelivered = undelivered_of(&ipv4(17, &udp(4789, &[&[8, 0, 0, 0, 0, 0, 42, 0], &inner[..]].concat())));
    assert_eq!((undelivered.why, undelivered.seq.raw()), (Why::TooBig { mtu: Some(1400) }, SEQ));
}

#[test]
fn icmp_v6_errors_quote_behind_extension_headers() {
    let quote = ipv6(60, &[&[6, 0, 1, 4, 0, 0, 0, 0][..], &tcp()].concat());
    for (kind, why) in [
        (1, Why::Unreachable { what: Some("port") }),
        (2, Why::TooBig { mtu: Some(1280) }),
        (3, Why::TimeExceeded),
        (4, Why::HeaderProblem),
    ] {
        let error = [&[kind, 4, 0, 0, 0, 0, 5, 0][..], &quote].concat();
        let undelivered = undelivered_of(&ipv6(58, &error));
        assert_eq!((undelivered.why, undelivered.seq.raw()), (why, SEQ));
    }
}

#[test]
fn an_icmp_error_that_quotes_no_tcp_header_is_just_icmp() {
    let error = |quote: &[u8]| ipv4(1, &[&[3, 1, 0, 0, 0, 0, 0, 0], quote].concat());
    let later_fragment = ipv4_with(6, &[], 3, &tcp());
    for quote in
        [&ipv4(17, &udp(53, b"x"))[..], &ipv4(6, &tcp()[..7]), &later_fragment, &ipv4(4, &ipv4(6, &tcp())), b"", b"E"]
    {
        assert_eq!(skip_of(RAW_IP, &error(quote)), Skip::Icmp);
    }
}
