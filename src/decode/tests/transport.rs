//! The TCP header.

use etherparse::PacketBuilder;

use super::build::*;
use super::{ETHERNET, RAW_IP, feed, segment_of, skip_of, skip_of_cut};
use crate::decode::{Decoded, Decoder, Skip};
use crate::tcp::segment::Segment;

fn cut(data: &[u8], at: usize) -> Segment {
    match feed(&mut Decoder::default(), RAW_IP, &data[..at], data.len()) {
        Decoded::Segment { addressed, .. } => addressed.segment,
        other => panic!("{at}: {other:?}"),
    }
}

#[test]
fn a_cut_header_is_enough_from_its_window_on() {
    let options = [3, 3, 7, 1, 1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2];
    let data = ipv4(6, &tcp_with(0x12, &options, b"payload"));
    let whole = cut(&data, data.len());
    assert_eq!((whole.options.window_scale, whole.options.timestamps), (Some(7), Some((1, 2))));
    for tcp_bytes in 0..16 {
        assert_eq!(skip_of_cut(RAW_IP, &data[..20 + tcp_bytes], data.len()), Skip::CutTcp);
    }
    for tcp_bytes in 16..36 {
        let segment = cut(&data, 20 + tcp_bytes);
        assert!(segment.options_cut);
        assert_eq!((segment.seq, segment.ack, segment.flags), (whole.seq, whole.ack, whole.flags));
        assert_eq!((segment.window, segment.payload_len, segment.ip_len), (0x2000, 7, 63));
        assert_eq!(segment.checksum, if tcp_bytes < 18 { 0 } else { 0xbeef });
        assert_eq!(segment.options.window_scale, (tcp_bytes >= 23).then_some(7));
        assert_eq!(segment.options.timestamps, None);
    }
    assert_eq!(cut(&data, 56), whole);
}

#[test]
fn a_data_offset_below_five_is_no_header() {
    for offset in 0..5 {
        let mut tcp = tcp();
        tcp[12] = offset << 4;
        assert_eq!(skip_of(RAW_IP, &ipv4(6, &tcp)), Skip::BadTcpHeader);
    }
    assert_eq!(skip_of(RAW_IP, &ipv4(6, &tcp()[..15])), Skip::BadTcpHeader);
}

#[test]
fn a_data_offset_beyond_the_packet_leaves_no_payload() {
    let mut tcp = tcp();
    tcp[12] = 0xf0;
    let (addressed, payload) = segment_of(RAW_IP, &ipv4(6, &tcp));
    assert_eq!((addressed.segment.payload_len, payload.len(), addressed.segment.options_cut), (0, 0, true));
}

/// A packet as a sending host would finish it, both checksums right.
fn plain(v6: bool, payload: &[u8]) -> Vec<u8> {
    let link = PacketBuilder::ethernet2([2; 6], [4; 6]);
    let ip = if v6 { link.ipv6([1; 16], [2; 16], 64) } else { link.ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64) };
    let tcp = ip.tcp(1234, 443, 77, 8_000).ack(99).psh();
    let mut data = Vec::new();
    tcp.write(&mut data, payload).unwrap();
    data
}

fn checked(data: &[u8], wire_len: usize) -> bool {
    let mut decoder = Decoder { verify_checksums: true, ..Decoder::default() };
    match feed(&mut decoder, ETHERNET, data, wire_len) {
        Decoded::Segment { addressed, .. } => addressed.segment.bad_checksum,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_wrong_checksum_is_found_when_asked_for() {
    for (v6, payload) in [(false, &b"odd"[..]), (false, b"even"), (true, b"odd"), (true, b"")] {
        let good = plain(v6, payload);
        assert!(!checked(&good, 0));
        let mut bad = good.clone();
        let window = bad.len() - payload.len() - 6;
        bad[window] ^= 1;
        assert!(checked(&bad, 0));
        assert!(!checked(&[&good[..], &[7; 9]].concat(), 0), "padding is not covered");
        assert!(!segment_of(ETHERNET, &bad).0.segment.bad_checksum, "not asked for");
        // Cut by one byte, nothing can be said.
        if !payload.is_empty() {
            assert!(!checked(&bad[..bad.len() - 1], bad.len()));
        }
    }
}

#[test]
fn a_checksum_left_to_the_hardware_is_not_wrong() {
    let mut data = plain(false, b"odd");
    // 10.0.0.1, 10.0.0.2, protocol 6, length 23, summed and not complemented; then the same without the length.
    for sum in [0x0a00_u16 + 1 + 0x0a00 + 2 + 6 + 23, 0x0a00 + 1 + 0x0a00 + 2 + 6] {
        data[50..52].copy_from_slice(&sum.to_be_bytes());
        assert!(!checked(&data, 0));
    }
    data[50..52].copy_from_slice(&0x1234_u16.to_be_bytes());
    assert!(checked(&data, 0));
}
