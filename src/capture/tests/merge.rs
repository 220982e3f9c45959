//! Several sources read as one.

use std::io::Cursor;

use super::build::{Bytes, Kept, plain_pcap, read};
use crate::capture::{Flow, Merge, Savefile, Source};

fn pcap_at(times: &[u32]) -> Vec<u8> {
    let header = Bytes::new(false).pcap_header(0xa1b2_c3d4, (2, 4), 0, 1);
    times.iter().fold(header, |b, second| b.record(*second, 0, (1, 1), &[*second as u8])).out
}

fn merge(files: Vec<Vec<u8>>) -> Merge {
    let open = |bytes| Box::new(Savefile::from_reader("x", Cursor::new(bytes)).unwrap()) as Box<dyn Source>;
    Merge::new(files.into_iter().map(open).collect())
}

/// Source, number and data of all packets.
fn all(merge: &mut Merge) -> Vec<(usize, Kept)> {
    let mut packets = Vec::new();
    let mut one = |merge: &mut Merge| merge.each(1, |source, packet| packets.push((source, Kept::from(*packet))));
    loop {
        match one(merge) {
            Flow::More => {}
            Flow::Quiet => panic!("files are never quiet"),
            Flow::End => break,
        }
    }
    assert_eq!(one(merge), Flow::End);
    packets
}

fn places(merge: &mut Merge) -> Vec<(usize, u64)> {
    all(merge).into_iter().map(|(source, packet)| (source, packet.number)).collect()
}

#[test]
fn lots_hold_the_same_packets_in_the_same_order() {
    for files in [vec![], vec![pcap_at(&[5, 3, 9])], vec![pcap_at(&[1, 4, 4]), pcap_at(&[1, 2, 4]), pcap_at(&[])]] {
        let one_by_one = all(&mut merge(files.clone()));
        for most in [1, 2, 100] {
            let (mut merge, mut lots) = (merge(files.clone()), Vec::new());
            while merge.each(most, |source, packet| lots.push((source, Kept::from(*packet)))) == Flow::More {}
            assert_eq!(lots, one_by_one);
        }
    }
}

#[test]
fn an_error_in_a_lot_is_kept_behind_its_packets() {
    let mut file = pcap_at(&[1, 2]);
    file.pop();
    let (mut merge, mut packets) = (merge(vec![file]), 0);
    while merge.each(10, |_, _| packets += 1) == Flow::More {}
    assert_eq!((packets, merge.error(0).map(|error| error.packets_read())), (1, Some(1)));
}

#[test]
fn a_single_source_keeps_its_own_order() {
    let file = pcap_at(&[5, 3, 9]);
    let mut merge = merge(vec![file.clone()]);
    let packets: Vec<Kept> = all(&mut merge).into_iter().map(|(_, packet)| packet).collect();
    assert_eq!(packets, read(file).packets);
    assert_eq!(merge.infos()[0].packets, 3);
}

#[test]
fn packets_come_by_time_then_source_then_number() {
    let mut merge = merge(vec![pcap_at(&[1, 4, 4]), pcap_at(&[1, 2, 4]), pcap_at(&[])]);
    assert_eq!(places(&mut merge), [(0, 1), (1, 1), (1, 2), (0, 2), (0, 3), (1, 3)]);
    assert_eq!(merge.infos().iter().map(|info| info.packets).collect::<Vec<_>>(), [3, 3, 0]);
    assert_eq!(merge.errors().count(), 0);
}

#[test]
fn a_clock_that_went_back_does_not_change_the_order_of_its_source() {
    assert_eq!(
        places(&mut merge(vec![pcap_at(&[5, 1, 6]), pcap_at(&[4, 7])])),
        [(1, 1), (0, 1), (0, 2), (0, 3), (1, 2)]
    );
}

#[test]
fn a_packet_without_a_time_keeps_its_place() {
    let ng = Bytes::new(false)
        .section()
        .interface(1, 0, |b| b)
        .simple(1, b"s")
        .enhanced(0, 3_000_000, 1, b"e")
        .simple(1, b"s");
    assert_eq!(places(&mut merge(vec![pcap_at(&[2, 4]), ng.out])), [(1, 1), (0, 1), (1, 2), (1, 3), (0, 2)]);
}

#[test]
fn an_error_ends_its_source_and_no_other() {
    let mut cut = pcap_at(&[1, 3]);
    cut.pop();
    let mut merge = merge(vec![cut, pcap_at(&[2, 4])]);
    assert_eq!(places(&mut merge), [(0, 1), (1, 1), (1, 2)]);
    let message = merge.error(0).unwrap().to_string();
    assert_eq!(message, "x: the file ends inside record 2 (offset 41: 0 of 1 bytes); 1 packet read");
    assert!(merge.error(1).is_none());
    assert_eq!(merge.errors().map(|(source, _)| source).collect::<Vec<_>>(), [0]);
}

#[test]
fn an_error_of_the_only_source_is_kept_too() {
    let mut cut = plain_pcap(true, &[b"one", b"two"]);
    cut.pop();
    let mut merge = merge(vec![cut]);
    assert_eq!(places(&mut merge), [(0, 1)]);
    assert_eq!(merge.error(0).unwrap().packets_read(), 1);
}

#[test]
fn no_source_at_all_has_ended() {
    assert!(all(&mut Merge::new(Vec::new())).is_empty());
}
