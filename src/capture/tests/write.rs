//! What the writer writes, our reader reads.

use super::build::{Kept, read};
use crate::capture::info::Interface;
use crate::capture::write::{PcapngWriter, TapCounters};
use crate::capture::{LinkType, Packet, Savefile};
use crate::time::Timestamp;

fn packet(nanos: i64, number: u64, link: LinkType, data: &[u8]) -> Packet<'_> {
    Packet { ts: Some(Timestamp::from_nanos(nanos)), number, link, interface: 0, wire_len: 1_514, data }
}

#[test]
fn written_packets_come_back_to_the_nanosecond() {
    let packets = [
        packet(1_700_000_000_123_456_789, 1, LinkType::ETHERNET, b"hello"),
        packet(1_700_000_000_123_456_790, 2, LinkType::RAW, b""),
        packet(1_700_000_000_000_000_000, 3, LinkType::ETHERNET, b"four"),
    ];
    let mut writer = PcapngWriter::new(Vec::new()).unwrap();
    for packet in &packets {
        writer.write(packet, 262_144).unwrap();
    }
    let counters = TapCounters { received: 3, dropped_by_system: 4, dropped_by_interface: 5 };
    let (read, info) = read(writer.finish(Some(counters)).unwrap()).sound();
    let interfaces = [0, 1, 0];
    let expected: Vec<Kept> =
        packets.iter().zip(interfaces).map(|(packet, interface)| Kept { interface, ..Kept::from(*packet) }).collect();
    assert_eq!(read, expected);
    assert_eq!((info.drops, info.snaplen), (Some(9), Some(262_144)));
}

#[test]
fn a_packet_without_a_time_gets_that_of_the_one_before() {
    let mut writer = PcapngWriter::new(Vec::new()).unwrap();
    writer.write(&packet(7, 1, LinkType::RAW, b"a"), 0).unwrap();
    writer.write(&Packet { ts: None, ..packet(0, 2, LinkType::RAW, b"b") }, 0).unwrap();
    let (read, info) = read(writer.finish(None).unwrap()).sound();
    assert_eq!(read[1].nanos, Some(7));
    assert_eq!((info.drops, info.snaplen), (None, None));
}

#[test]
fn a_file_without_packets_is_sound() {
    let (read, info) =
        read(PcapngWriter::new(Vec::new()).unwrap().finish(Some(TapCounters::default())).unwrap()).sound();
    assert_eq!((read.len(), info.drops), (0, None));
}

#[test]
fn interfaces_keep_their_names_snap_lengths_and_clocks() {
    let described = |name: &str, decimals| Interface { name: Some(name.to_owned()), snaplen: Some(96), decimals };
    let mut writer = PcapngWriter::new(Vec::new()).unwrap();
    let slow = writer.describe(LinkType::ETHERNET, &described("eth0", 6)).unwrap();
    let fast = writer.describe(LinkType::RAW, &described("tun0", 9)).unwrap();
    writer.write_on(&packet(1_700_000_000_123_456_789, 1, LinkType::ETHERNET, b"a"), slow).unwrap();
    writer.write_on(&packet(1_700_000_000_123_456_789, 2, LinkType::RAW, b"b"), fast).unwrap();
    assert!(writer.write_on(&packet(0, 3, LinkType::RAW, b"c"), 2).is_err());
    let bytes = writer.finish(None).unwrap();
    let mut savefile = Savefile::from_reader("a", std::io::Cursor::new(bytes)).unwrap();
    let times: Vec<_> =
        std::iter::from_fn(|| savefile.next().unwrap().map(|packet| packet.ts.unwrap().as_nanos())).collect();
    assert_eq!(times, [1_700_000_000_123_456_000, 1_700_000_000_123_456_789]);
    assert_eq!(savefile.interface(0), Some(described("eth0", 6)));
    assert_eq!(savefile.interface(1), Some(described("tun0", 9)));
    assert_eq!(savefile.interface(2), None);
}
