//! The classic container in all its variants.

use super::build::{Bytes, plain_pcap, read};
use crate::capture::LinkType;

const ORDERS: [bool; 2] = [false, true];

#[test]
fn both_byte_orders_give_the_same_packets() {
    let [little, big] = ORDERS.map(|order| read(plain_pcap(order, &[b"first", b"", b"the third"])).sound());
    assert_eq!(little, big);
    let (packets, info) = little;
    assert_eq!(packets.len(), 3);
    assert_eq!(packets[0].data, b"first");
    assert_eq!((packets[1].data.len(), packets[1].wire_len), (0, 0));
    assert_eq!((packets[2].number, packets[2].interface, packets[2].link), (3, 0, LinkType::ETHERNET));
    assert_eq!(packets[2].nanos, Some(3_000_000_000));
    assert_eq!((info.format.as_str(), info.bytes), ("pcap", 24 + 3 * 16 + 14));
    assert_eq!((info.drops, info.snaplen), (None, Some(262_144)));
    assert_eq!(info.link_names(), ["Ethernet"]);
}

#[test]
fn microseconds_and_nanoseconds_are_told_apart_by_the_magic_number() {
    for big in ORDERS {
        for (magic, format, nanos) in
            [(0xa1b2_c3d4, "pcap", 1_700_000_000_123_456_000), (0xa1b2_3c4d, "pcap (ns)", 1_700_000_000_000_123_456)]
        {
            let file = Bytes::new(big).pcap_header(magic, (2, 4), 96, 101);
            let (packets, info) = read(file.record(1_700_000_000, 123_456, (3, 60), b"abc").out).sound();
            assert_eq!(packets[0].nanos, Some(nanos));
            assert_eq!((packets[0].wire_len, packets[0].data.as_slice()), (60, &b"abc"[..]));
            assert_eq!((info.format.as_str(), info.snaplen), (format, Some(96)));
            assert_eq!(info.first_ts.map(|ts| ts.as_nanos()), Some(nanos));
            assert_eq!(info.link_names(), ["raw IP"]);
        }
    }
}

#[test]
fn modified_records_have_eight_bytes_more() {
    for big in ORDERS {
        let header = Bytes::new(big).pcap_header(0xa1b2_cd34, (2, 4), 68, 1);
        let one = |b: Bytes, data: &[u8]| {
            let len = data.len() as u32;
            b.record(7, 9, (len, 1_514), &[]).u32(2).u16(0x0800).raw(&[0, 0]).raw(data)
        };
        let (packets, info) = read(one(one(header, b"one"), b"and two").out).sound();
        assert_eq!(packets[1].data, b"and two");
        assert_eq!((packets[1].wire_len, packets[1].nanos), (1_514, Some(7_000_009_000)));
        assert_eq!(info.format, "pcap (modified)");
    }
}

#[test]
fn old_versions_swap_the_two_lengths() {
    for big in ORDERS {
        for version in [(2, 0), (2, 2), (543, 0)] {
            let header = Bytes::new(big).pcap_header(0xa1b2_c3d4, version, 68, 1);
            let (packets, _) = read(header.record(1, 0, (100, 4), b"abcd").out).sound();
            assert_eq!((packets[0].wire_len, packets[0].data.as_slice()), (100, &b"abcd"[..]), "{version:?}");
        }
        // Of 2.3 there are both kinds; the captured length is never the longer one.
        let header = Bytes::new(big).pcap_header(0xa1b2_c3d4, (2, 3), 68, 1);
        let (packets, _) = read(header.record(1, 0, (100, 4), b"abcd").record(2, 0, (4, 100), b"efgh").out).sound();
        assert_eq!(packets.iter().map(|p| p.wire_len).collect::<Vec<_>>(), [100, 100]);
        assert_eq!(packets[1].data, b"efgh");
    }
}

#[test]
fn the_check_sequence_bits_above_the_link_type_are_no_part_of_it() {
    let file = Bytes::new(false).pcap_header(0xa1b2_c3d4, (2, 4), 0, 0x5400_0000 | 113);
    let (packets, info) = read(file.record(1, 0, (1, 1), b"x").out).sound();
    assert_eq!(packets[0].link, LinkType::LINUX_SLL);
    assert_eq!(info.snaplen, None, "0 is no length");
}

#[test]
fn a_fraction_of_more_than_a_second_is_added() {
    let file = Bytes::new(false).pcap_header(0xa1b2_c3d4, (2, 4), 0, 1);
    let file = file.record(10, 2_500_000, (0, 0), b"").record(u32::MAX, u32::MAX, (0, 0), b"");
    let (packets, info) = read(file.out).sound();
    assert_eq!(packets[0].nanos, Some(12_500_000_000));
    assert_eq!(packets[1].nanos, Some(i64::from(u32::MAX) * 1_000_001_000));
    assert_eq!(info.last_ts.map(|ts| ts.as_nanos()), packets[1].nanos);
}

#[test]
fn a_packet_longer_than_the_snap_length_is_kept_whole() {
    let file = Bytes::new(false).pcap_header(0xa1b2_c3d4, (2, 4), 4, 1).record(1, 0, (6, 6), b"abcdef");
    assert_eq!(read(file.out).sound().0[0].data, b"abcdef");
}

#[test]
fn the_longest_packet_is_read_and_one_byte_more_is_damage() {
    let longest = vec![7; 262_144];
    let (packets, _) = read(plain_pcap(false, &[b"a", &longest, b"z"])).sound();
    assert_eq!((packets[1].data.len(), packets[2].data.as_slice()), (262_144, &b"z"[..]));

    let longer = vec![7; 262_145];
    let everything = read(plain_pcap(true, &[b"a", &longer, b"z"]));
    assert_eq!(everything.packets.len(), 1);
    assert_eq!(
        everything.message(),
        "x: record 2 (offset 41) claims 262,145 bytes, more than the 262,144 that a packet can have: the file is \
         damaged there; 1 packet read"
    );
}

#[test]
fn a_bus_may_have_longer_packets() {
    let long = vec![7; 300_000];
    let file = Bytes::new(false).pcap_header(0xa1b2_c3d4, (2, 4), 0, 220).record(1, 0, (300_000, 300_000), &long);
    assert_eq!(read(file.out).sound().0[0].data.len(), 300_000);
}

#[test]
fn a_header_without_packets_is_a_sound_capture() {
    let (packets, info) = read(plain_pcap(false, &[])).sound();
    assert!(packets.is_empty());
    assert_eq!((info.first_ts, info.last_ts, info.bytes), (None, None, 24));
    assert!(info.link_types.is_empty());
}

#[test]
fn a_version_that_nobody_knows_is_refused() {
    let file = Bytes::new(true).pcap_header(0xa1b2_c3d4, (3, 1), 0, 1).out;
    let message =
        "x: pcap version 3.1 at offset 0 is unknown (2.0 to 2.4 and 543.0 are read); the header may be damaged";
    assert_eq!(read(file).message(), message);
}

#[test]
fn a_link_type_of_more_than_sixteen_bits_is_a_damaged_header() {
    let file = Bytes::new(false).pcap_header(0xa1b2_c3d4, (2, 4), 0, 0x0123_4567).out;
    assert_eq!(read(file).message(), "x: its header names link type 0x1234567, which cannot be: the header is damaged");
}
