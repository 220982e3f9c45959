//! Solaris' container: records with their padding, link types, drops, damage.

use super::build::{Bytes, Everything, read};
use crate::capture::LinkType;

fn file(datalink: u32) -> Bytes {
    Bytes::new(true).raw(b"snoop\0\0\0").u32(2).u32(datalink)
}

/// A record with so many bytes of padding.
fn record(b: Bytes, (seconds, micros): (u32, u32), drops: u32, wire_len: u32, data: &[u8], padding: usize) -> Bytes {
    let captured = data.len() as u32;
    let b = b.u32(wire_len).u32(captured).u32(24 + captured + padding as u32).u32(drops).u32(seconds).u32(micros);
    b.raw(data).raw(&vec![0xee; padding])
}

fn two_records() -> Bytes {
    let first = record(file(4), (1_700_000_000, 123_456), 0, 60, b"hello", 3);
    record(first, (1_700_000_001, 5), 7, 4, b"four", 0)
}

#[test]
fn records_are_read_without_their_padding() {
    let (packets, info) = read(two_records().out).sound();
    assert_eq!(
        packets.iter().map(|p| p.nanos).collect::<Vec<_>>(),
        [Some(1_700_000_000_123_456_000), Some(1_700_000_001_000_005_000)]
    );
    assert_eq!((packets[0].wire_len, packets[0].data.as_slice()), (60, &b"hello"[..]));
    assert_eq!((packets[1].wire_len, packets[1].data.as_slice()), (4, &b"four"[..]));
    assert_eq!((info.format.as_str(), info.bytes, info.snaplen), ("snoop", 16 + 32 + 28, None));
    assert_eq!(info.drops, Some(7), "the count of the last record, which is cumulative");
    assert_eq!(read(file(4).out).sound().1.drops, None);
}

#[test]
fn datalink_types_have_their_link_types() {
    let link = |datalink| read(record(file(datalink), (1, 0), 0, 1, b"x", 0).out).sound().0[0].link;
    assert_eq!([0, 4].map(link), [LinkType::ETHERNET; 2]);
    assert_eq!([2, 8, 26].map(|datalink| link(datalink).0), [6, 10, 242]);
    assert_eq!([5, 99, u32::MAX].map(link), [LinkType::UNKNOWN; 3]);
    assert_eq!(LinkType::UNKNOWN.name(), "unknown link type");
}

#[test]
fn other_versions_are_refused() {
    let version = |version| read(Bytes::new(true).raw(b"snoop\0\0\0").u32(version).u32(4).out);
    assert_eq!(version(2).error, None);
    assert_eq!(
        version(4).message(),
        "x: snoop version 4 at offset 0 is unknown (2 is read); the header may be damaged"
    );
}

#[test]
fn a_file_cut_at_any_byte_gives_what_was_whole() {
    let whole = two_records().out;
    for cut in 4..whole.len() {
        let Everything { packets, error, .. } = read(&whole[..cut]);
        // The padding after a packet is missed by nobody.
        assert_eq!(packets.len(), usize::from(cut >= 16 + 24 + 5), "cut at {cut}");
        assert_eq!(error.is_none(), cut == 16 || (45..=48).contains(&cut), "cut at {cut}: {error:?}");
    }
    assert_eq!(
        read(&whole[..16 + 32 + 25]).message(),
        "x: the file ends inside record 2 (offset 48: 1 of 4 bytes); 1 packet read"
    );
    assert_eq!(read(&whole[..10]).message(), "x: the file ends inside its header (10 of 16 bytes)");
}

#[test]
fn lengths_that_cannot_be_are_told() {
    let long = file(4).u32(1).u32(300_000).u32(300_024).u32(0).u32(0).u32(0);
    assert_eq!(
        read(long.out).message(),
        "x: record 1 (offset 16) claims 300,000 bytes, more than the 262,144 that a packet can have: the file is damaged \
         there; no packet read"
    );
    for length in [0, 24 + 4, 24 + 5 + 4_097, u32::MAX] {
        let damaged = file(4).u32(5).u32(5).u32(length).u32(0).u32(0).u32(0).raw(&[0; 9_000]);
        let message = read(damaged.out).message().to_owned();
        assert!(message.starts_with("x: record 1 (offset 16) is damaged: its "), "{message}");
    }
}
