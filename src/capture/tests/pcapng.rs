//! The block container: byte orders, sections, interfaces, clocks, the three packet blocks, drop counters.

use super::build::{Bytes, Everything, read};
use crate::capture::{LinkType, Timestamp};

const ORDERS: [bool; 2] = [false, true];

fn file(big: bool) -> Bytes {
    Bytes::new(big).section()
}

fn no_options(b: Bytes) -> Bytes {
    b
}

/// Nanoseconds of the only packet.
fn only_time(everything: Everything) -> i64 {
    let (packets, _) = everything.sound();
    assert_eq!(packets.len(), 1);
    packets[0].nanos.unwrap()
}

#[test]
fn both_byte_orders_give_the_same_packets() {
    let [little, big] = ORDERS.map(|order| {
        let file = file(order).interface(1, 96, no_options).enhanced(0, 1_700_000_000_123_456, 60, b"hello");
        read(file.out).sound()
    });
    assert_eq!(little.0, big.0);
    assert_eq!(little.1, big.1);
    let (packets, info) = little;
    assert_eq!(packets[0].nanos, Some(1_700_000_000_123_456_000), "microseconds unless the interface says otherwise");
    assert_eq!((packets[0].wire_len, packets[0].data.as_slice()), (60, &b"hello"[..]));
    assert_eq!((info.format.as_str(), info.snaplen, info.drops), ("pcapng", Some(96), None));
    assert_eq!(info.bytes, 28 + 20 + 40);
}

#[test]
fn every_interface_has_its_own_link_type_and_clock() {
    for big in ORDERS {
        let file = file(big)
            .interface(1, 0, |b| b.option(2, b"eth0").option(9, &[9]).option(0, &[]))
            .interface(101, 128, |b| b.option(9, &[0x80 | 10]).option(14, &0_u64.to_be_bytes()))
            .interface(276, 64, |b| b.option(9, &[3]))
            .enhanced(1, 1_536, 1, b"b")
            .enhanced(0, 1_500_000_000, 1, b"a")
            .enhanced(2, 1_500, 1, b"c");
        let (packets, info) = read(file.out).sound();
        assert!(packets.iter().all(|packet| packet.nanos == Some(1_500_000_000)), "{packets:?}");
        assert_eq!(packets.iter().map(|p| p.interface).collect::<Vec<_>>(), [1, 0, 2]);
        assert_eq!(packets.iter().map(|p| p.link.0).collect::<Vec<_>>(), [101, 1, 276]);
        assert_eq!(info.link_names(), ["Ethernet", "raw IP", "Linux cooked v2"]);
        assert_eq!(info.snaplen, None, "one of them is unlimited");
    }
}

#[test]
fn the_clock_offset_is_in_seconds_and_may_be_negative() {
    for big in ORDERS {
        let with_offset = |seconds: i64| {
            let bytes = Bytes::new(big).u64(seconds as u64).out;
            read(file(big).interface(1, 0, |b| b.option(14, &bytes)).enhanced(0, 250_000, 0, b"").out)
        };
        assert_eq!(only_time(with_offset(1_000)), 1_000_250_000_000);
        assert_eq!(only_time(with_offset(-1)), -750_000_000);
        assert_eq!(only_time(with_offset(i64::MAX)), i64::MAX);
        assert_eq!(only_time(with_offset(i64::MIN)), Timestamp::MIN.as_nanos());
    }
}

#[test]
fn a_time_beyond_the_range_is_clamped() {
    let file = file(false).interface(1, 0, no_options).enhanced(0, u64::MAX, 0, b"");
    assert_eq!(only_time(read(file.out)), i64::MAX);
}

#[test]
fn a_new_section_may_change_the_byte_order_and_begins_its_interfaces_anew() {
    let first = file(false).interface(1, 0, no_options).interface(113, 0, no_options).enhanced(1, 0, 1, b"a");
    let second = file(true).interface(101, 0, no_options).enhanced(0, 0, 1, b"b");
    let third = file(false).interface(0, 0, no_options).enhanced(0, 0, 1, b"c");
    let (packets, _) = read([first.out, second.out, third.out].concat()).sound();
    assert_eq!(packets.iter().map(|p| p.interface).collect::<Vec<_>>(), [1, 2, 3], "unique over the file");
    assert_eq!(packets.iter().map(|p| p.link.0).collect::<Vec<_>>(), [113, 101, 0]);
}

#[test]
fn a_packet_on_an_interface_of_the_section_before_is_damage() {
    let file = file(false).interface(1, 0, no_options).enhanced(0, 0, 1, b"a").section().enhanced(0, 0, 1, b"b");
    let everything = read(file.out);
    assert_eq!(everything.packets.len(), 1);
    assert_eq!(
        everything.message(),
        "x: the block at offset 112 is damaged: its packet came in on interface 0 of 0; 1 packet read"
    );
}

#[test]
fn a_simple_packet_has_no_time_and_the_shortest_of_three_lengths() {
    for big in ORDERS {
        let file = file(big).interface(1, 6, no_options).simple(5, b"hello").simple(60, b"cut at").simple(60, b"four");
        let (packets, info) = read(file.out).sound();
        assert!(packets.iter().all(|packet| packet.nanos.is_none()));
        assert_eq!((packets[0].wire_len, packets[0].data.as_slice()), (5, &b"hello"[..]));
        assert_eq!((packets[1].wire_len, packets[1].data.as_slice()), (60, &b"cut at"[..]));
        assert_eq!((packets[2].wire_len, packets[2].data.as_slice()), (60, &b"four"[..]));
        assert_eq!((info.first_ts, info.packets), (None, 3));
    }
}

#[test]
fn obsolete_packet_blocks_are_read_with_their_drops() {
    for big in ORDERS {
        let file = file(big)
            .interface(1, 0, no_options)
            .interface(101, 0, no_options)
            .obsolete(1, 3, 1_000_000, 9, b"a")
            .obsolete(1, u16::MAX, 2_000_000, 9, b"b")
            .obsolete(0, 4, 3_000_000, 9, b"c");
        let (packets, info) = read(file.out).sound();
        assert_eq!(packets.iter().map(|p| p.nanos).collect::<Vec<_>>(), [1, 2, 3].map(|s| Some(s * 1_000_000_000)));
        assert_eq!(packets.iter().map(|p| p.link.0).collect::<Vec<_>>(), [101, 101, 1]);
        assert_eq!(info.drops, Some(7), "65,535 is unknown");
    }
}

#[test]
fn drops_are_the_last_statistics_of_each_interface_over_all_sections() {
    for big in ORDERS {
        let counter = |value: u64| Bytes::new(big).u64(value).out;
        let section = file(big)
            .interface(1, 0, no_options)
            .interface(1, 0, no_options)
            .obsolete(0, 50, 0, 0, b"")
            .statistics(0, |b| b.option(4, &counter(99)).option(5, &counter(1)).option(7, &counter(2)))
            .statistics(1, |b| b.option(7, &counter(10)).option(0, &[]))
            .statistics(0, |b| b.option(5, &counter(5)).option(7, &counter(6)))
            .statistics(9, |b| b.option(5, &counter(1_000)));
        assert_eq!(read(section.out.clone()).sound().1.drops, Some(21), "statistics know better than packets");
        assert_eq!(read([section.out.clone(), section.out].concat()).sound().1.drops, Some(42));

        let silent = file(big).interface(1, 0, no_options).statistics(0, |b| b.option(4, &counter(99)));
        assert_eq!(read(silent.out).sound().1.drops, None, "no counter of drops is not a count of none");
    }
}

#[test]
fn drops_told_by_packet_options_are_summed() {
    let dropped = |b: Bytes, n: u64| {
        let value = Bytes::new(b.big).u64(n).out;
        b.block(6, |b| b.u32(0).u32(0).u32(0).u32(1).u32(1).padded(b"x").option(2, &[0; 4]).option(4, &value))
    };
    let file = dropped(dropped(file(true).interface(1, 0, no_options), 2), 3);
    let (packets, info) = read(file.out).sound();
    assert_eq!((packets.len(), info.drops), (2, Some(5)));
}

/// Blocks that hold no packet, by name, each well filled.
fn other_blocks(big: bool) -> Vec<(&'static str, Bytes)> {
    let b = || Bytes::new(big);
    let name = b().u16(1).u16(12).padded(b"\x0a\0\0\x01host.ab\0").u16(0).u16(0);
    vec![
        ("name resolution", b().block(4, |b| b.raw(&name.out).option(2, b"dns").option(0, &[]))),
        (
            "decryption secrets",
            b().block(10, |b| b.u32(0x544c_534b).u32(29).padded(b"CLIENT_RANDOM 52 00112233aabb").option(1, b"!")),
        ),
        ("custom, to be copied", b().block(0x0bad, |b| b.u32(32_473).padded(b"anything"))),
        ("custom, not to be copied", b().block(0x4000_0bad, |b| b.u32(32_473))),
        ("systemd journal", b().block(9, |b| b.padded(b"__REALTIME_TIMESTAMP=1\nMESSAGE=hi\n"))),
        ("process information", b().block(0x8000_0001, |b| b.u32(1).option(2, b"curl"))),
        ("interface statistics without options", b().block(5, |b| b.u32(0).u32(0).u32(0))),
        ("interface statistics cut short", b().block(5, |b| b.u32(0))),
        ("unknown and empty", b().block(0x7777_7777, |b| b)),
        ("unknown and long", b().block(0x0000_0b16, |b| b.raw(&vec![0xff; 400_000]))),
    ]
}

#[test]
fn blocks_without_packets_are_stepped_over_wherever_they_stand() {
    for big in ORDERS {
        for (name, other) in other_blocks(big) {
            let before = file(big).raw(&other.out).interface(1, 0, no_options).raw(&other.out);
            let after = before.enhanced(0, 5, 1, b"x").raw(&other.out).enhanced(0, 6, 1, b"y").raw(&other.out);
            let (packets, info) = read(after.out).sound();
            let data: Vec<_> = packets.iter().map(|packet| packet.data.as_slice()).collect();
            assert_eq!((data, info.drops), (vec![&b"x"[..], b"y"], None), "{name}");
        }
    }
}

#[test]
fn blocks_without_packets_that_are_cut_or_too_long_are_told() {
    for (name, other) in other_blocks(true) {
        let whole = file(true).interface(1, 0, no_options).enhanced(0, 5, 1, b"x").raw(&other.out).out;
        let everything = read(&whole[..whole.len() - 1]);
        assert_eq!(everything.packets.len(), 1, "{name}");
        assert!(everything.message().starts_with("x: the file ends inside a block (offset 84: "), "{name}");
    }
    let endless = file(true).u32(0x0bad).u32(0xffff_fff0).raw(&[0; 64]);
    assert_eq!(
        read(endless.out).message(),
        "x: the block at offset 28 is damaged: a length of 4,294,967,280 bytes cannot be; no packet read"
    );
}

#[test]
fn what_passed_a_filter_or_was_delivered_is_no_drop() {
    for big in ORDERS {
        let counter = |value: u64| Bytes::new(big).u64(value).out;
        let with = |code: u16| {
            let told = move |b: Bytes| b.option(2, &counter(1)).option(3, &counter(2)).option(code, &counter(9));
            read(file(big).interface(1, 0, no_options).statistics(0, told).out).sound().1.drops
        };
        // isb_ifrecv, isb_filteraccept, isb_usrdeliv; then isb_ifdrop, isb_osdrop.
        assert_eq!([4, 6, 8].map(with), [None; 3]);
        assert_eq!([5, 7].map(with), [Some(9); 2]);
    }
}

#[test]
fn options_after_a_packet_are_skipped_even_when_malformed() {
    for options in [&[2, 0, 4, 0, 0, 0, 0, 1, 0, 0, 0, 0][..], &[1, 0, 255, 255], &[4, 0, 3, 0, 1, 2, 3, 0]] {
        let file = file(false)
            .interface(1, 0, no_options)
            .block(6, |b| b.u32(0).u32(0).u32(7).u32(5).u32(5).padded(b"hello").raw(options))
            .enhanced(0, 8, 1, b"y");
        let (packets, info) = read(file.out).sound();
        assert_eq!((packets[0].data.as_slice(), packets[1].data.as_slice()), (&b"hello"[..], &b"y"[..]));
        assert_eq!(info.drops, None);
    }
}

#[test]
fn version_one_dot_two_is_read_and_others_are_refused() {
    let header =
        |major, minor| Bytes::new(true).block(0x0a0d_0d0a, |b| b.u32(0x1a2b_3c4d).u16(major).u16(minor).u64(u64::MAX));
    assert_eq!(read(header(1, 2).out).sound().1.format, "pcapng");
    assert_eq!(
        read(header(2, 0).out).message(),
        "x: pcapng version 2.0 at offset 0 is unknown (1.0 and 1.2 are read); the header may be damaged"
    );
    let later = file(true).interface(1, 0, no_options).enhanced(0, 0, 1, b"x").raw(&header(9, 9).out);
    let everything = read(later.out);
    assert_eq!(everything.packets.len(), 1);
    assert!(everything.message().ends_with("; 1 packet read"), "{}", everything.message());
}

#[test]
fn damaged_blocks_are_told_with_their_offset() {
    let sound = file(false).interface(1, 0, no_options);
    let at = sound.out.len();
    let message = |bytes: Bytes| {
        let everything = read(bytes.out);
        assert!(everything.packets.is_empty());
        let message = everything.message().to_owned();
        message.strip_prefix(&format!("x: the block at offset {at} is damaged: ")).unwrap_or(&message).to_owned()
    };
    let with = |extra: Bytes| sound.clone().raw(&extra.out);
    let new = || Bytes::new(false);
    assert_eq!(message(with(new().u32(6).u32(8).u32(8))), "a length of 8 bytes cannot be; no packet read");
    assert_eq!(message(with(new().u32(6).u32(33).raw(&[0; 40]))), "a length of 33 bytes cannot be; no packet read");
    assert_eq!(
        message(with(new().u32(6).u32(0xffff_fff0).u32(0))),
        "a length of 4,294,967,280 bytes cannot be; no packet read"
    );
    assert_eq!(
        message(with(new().u32(9).u32(16).u32(0).u32(20))),
        "it begins with a length of 16 and ends with one of 20 bytes; no packet read"
    );
    assert_eq!(message(with(new().block(6, |b| b.u32(0)))), "too short for a packet; no packet read");
    assert_eq!(
        message(with(new().block(6, |b| b.u32(0).u32(0).u32(0).u32(9).u32(9).raw(&[0; 8])))),
        "its packet of 9 bytes is longer than the 8 left; no packet read"
    );
    assert_eq!(
        message(with(new().block(1, |b| b.u16(1).u16(0)))),
        "too short for an interface's description; no packet read"
    );
    assert_eq!(
        message(with(new().interface(1, 0, |b| b.option(9, &[6, 0])))),
        "if_tsresol of 2 bytes cannot be; no packet read"
    );
    assert_eq!(
        message(with(new().interface(1, 0, |b| b.u16(9).u16(40).u32(0)))),
        "an option of the interface runs beyond the block; no packet read"
    );
    assert_eq!(
        message(with(new().block(0x0a0d_0d0a, |b| b.u32(0xdead_beef).u32(0).u64(0)))),
        "a section without a byte order mark; no packet read"
    );
}

#[test]
fn a_text_of_empty_lines_is_no_capture() {
    let everything = read(b"\n\r\r\nDear all,\n".as_slice());
    assert!(everything.message().starts_with("x: not a capture (first bytes 0a 0d 0d 0a;"), "{}", everything.message());
}

#[test]
fn a_section_alone_is_a_sound_capture() {
    let (packets, info) = read(file(false).out).sound();
    assert_eq!((packets.len(), info.packets, info.snaplen), (0, 0, None));
    assert_eq!(info.link_types, Vec::<LinkType>::new());
}
