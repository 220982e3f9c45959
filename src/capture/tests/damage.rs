//! Files cut anywhere, foreign bytes, slow readers, readers that fail: an error or a clean end, never a panic.

use std::io::{self, Cursor, Read};

use proptest::prelude::*;

use super::build::{Bytes, Drip, lent_from, plain_pcap, read, read_from};
use crate::capture::{Flow, Savefile, Source};

fn small_pcapng(big: bool) -> Vec<u8> {
    Bytes::new(big)
        .section()
        .interface(1, 0, |b| b.option(9, &[9]).option(0, &[]))
        .enhanced(0, 1, 5, b"hello")
        .simple(3, b"abc")
        .block(4, |b| b.u32(0))
        .obsolete(0, 1, 2, 4, b"four")
        .statistics(0, |b| b.option(5, &[0; 8]))
        .out
}

/// Cuts `whole` at every byte. `ends` are the offsets at which a packet ends, `seams` those at which the file may.
fn cut_everywhere(whole: &[u8], header: usize, ends: &[usize], seams: &[usize]) {
    for cut in 0..whole.len() {
        let everything = read(&whole[..cut]);
        let packets = ends.iter().filter(|end| **end <= cut).count();
        assert_eq!(everything.packets.len(), packets, "cut at {cut}");
        let message = everything.message();
        match cut {
            0 => assert_eq!(message, "x: is empty; the capture was never written"),
            1..4 => assert!(message.starts_with("x: not a capture (first bytes "), "{message}"),
            _ if cut < header => assert!(message.starts_with("x: the file ends inside its header ("), "{message}"),
            _ if seams.contains(&cut) => assert_eq!(everything.error, None, "cut at {cut}"),
            _ => assert!(message.starts_with("x: the file ends inside "), "{message}"),
        }
    }
    assert_eq!(read(whole).sound().0.len(), ends.len());
}

#[test]
fn a_pcap_cut_at_any_byte_gives_what_was_whole() {
    for big in [false, true] {
        let whole = plain_pcap(big, &[b"one", b"", b"three"]);
        let ends = [24 + 19, 24 + 19 + 16, 24 + 19 + 16 + 21];
        cut_everywhere(&whole, 24, &ends, &[24, ends[0], ends[1]]);
    }
}

#[test]
fn a_pcapng_cut_at_any_byte_gives_what_was_whole() {
    for big in [false, true] {
        let lengths = [28, 20 + 8 + 4, 40, 20, 16, 36, 12 + 12 + 12];
        let seams: Vec<usize> = lengths
            .iter()
            .scan(0, |sum, len| {
                *sum += len;
                Some(*sum)
            })
            .collect();
        assert_eq!(seams.last(), Some(&small_pcapng(big).len()));
        cut_everywhere(&small_pcapng(big), 28, &[seams[2], seams[3], seams[5]], &seams);
    }
}

#[test]
fn a_cut_is_told_with_its_record_its_offset_and_what_is_there() {
    let whole = plain_pcap(false, &[&[1; 100], &[2; 1_514]]);
    assert_eq!(
        read(&whole[..24 + 116 + 16 + 96]).message(),
        "x: the file ends inside record 2 (offset 140: 96 of 1,514 bytes); 1 packet read"
    );
    assert_eq!(
        read(&whole[..24 + 116 + 7]).message(),
        "x: the file ends inside the header of record 2 (offset 140: 7 of 16 bytes); 1 packet read"
    );
    assert_eq!(
        read(&small_pcapng(true)[..28 + 32 + 10]).message(),
        "x: the file ends inside a block (offset 60: 10 of 12 bytes); no packet read"
    );
    assert_eq!(
        read(&small_pcapng(true)[..28 + 32 + 13]).message(),
        "x: the file ends inside record 1 (offset 60: 13 of 40 bytes); no packet read"
    );
}

#[test]
fn foreign_files_are_told_apart_where_there_is_a_way_out() {
    assert_eq!(
        read(b"# Notes\n".as_slice()).message(),
        "x: not a capture (first bytes 23 20 4e 6f; pcap, pcapng, snoop, gzip, zstd, lz4, xz, bzip2 are known)"
    );
    assert!(read(b"iptrace 2.0 and the rest".as_slice()).message().contains("editcap"));
    assert!(read(b"snoopy and friends".as_slice()).message().starts_with("x: not a capture (first bytes 73 6e 6f 6f;"));
}

#[test]
fn bytes_in_drips_give_the_same_packets() {
    let long = vec![9; 5_000];
    for whole in [plain_pcap(true, &[b"one", &long, b"three"]), small_pcapng(false), small_pcapng(true)] {
        assert_eq!(lent_from(Drip(Cursor::new(whole.clone())), 7), read(whole.clone()));
        assert_eq!(read_from(Drip(Cursor::new(whole.clone()))), read(whole));
    }
}

/// Gives a piece a call.
struct Pieces(Vec<Vec<u8>>);

impl Read for Pieces {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.0.is_empty() {
            return Ok(0);
        }
        let piece = self.0.remove(0);
        buf[..piece.len()].copy_from_slice(&piece);
        Ok(piece.len())
    }
}

#[test]
fn a_lot_ends_before_it_would_wait_for_the_pipe() {
    let cut_at = |whole: Vec<u8>, cuts: [usize; 2]| {
        let pieces = vec![whole[..cuts[0]].to_vec(), whole[cuts[0]..cuts[1]].to_vec(), whole[cuts[1]..].to_vec()];
        Savefile::from_reader("x", Pieces(pieces)).unwrap()
    };
    let pcapng = Bytes::new(true).section().interface(1, 0, |b| b);
    let pcapng = (1..=4).fold(pcapng, |file, i| file.enhanced(0, i, 4, b"four")).out;
    for mut file in [
        // Two records and the front of a third, its rest, the fourth.
        cut_at(plain_pcap(false, &[b"one", b"two", b"three", b"four"]), [24 + 19 + 19 + 18, 24 + 19 + 19 + 21]),
        cut_at(pcapng, [28 + 20 + 36 + 36 + 13, 28 + 20 + 36 * 3]),
    ] {
        let mut lots = Vec::new();
        loop {
            let mut lot = Vec::new();
            match file.each(100, &mut |packet| lot.push(packet.number)).unwrap() {
                Flow::More => lots.push(lot),
                Flow::Quiet => panic!("files are never quiet"),
                Flow::End => break,
            }
        }
        assert_eq!(lots, [vec![1, 2], vec![3], vec![4]]);
    }
}

#[test]
fn more_packets_than_a_buffer_holds_keep_their_bytes() {
    let packets: Vec<Vec<u8>> = (0..3_000_usize).map(|i| vec![i as u8; i % 1_500]).collect();
    let slices: Vec<&[u8]> = packets.iter().map(Vec::as_slice).collect();
    let (read, info) = read(plain_pcap(false, &slices)).sound();
    assert!(info.bytes > 2_000_000);
    assert!(read.iter().map(|packet| &packet.data).eq(&packets));
}

/// Fails once, at a byte.
struct Failing(Cursor<Vec<u8>>);

impl Read for Failing {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buf)? {
            0 => Err(io::Error::from_raw_os_error(5)),
            n => Ok(n),
        }
    }
}

#[test]
fn a_reader_that_fails_gives_what_came_before() {
    let everything = read_from(Failing(Cursor::new(plain_pcap(false, &[b"one", b"two"]))));
    assert_eq!(everything.packets.len(), 2);
    let message = everything.message();
    assert!(message.starts_with("x: reading failed at offset 62: "), "{message}");
    assert!(message.ends_with("; 2 packets read"), "{message}");
}

proptest! {
    #[test]
    fn any_bytes_end_in_an_error_or_a_clean_end(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        read(bytes);
    }

    #[test]
    fn any_bytes_after_a_header_end(
        big: bool,
        kind in 0_usize..5,
        bytes in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        let header = match kind {
            0 => plain_pcap(big, &[b"one"]),
            1 => Bytes::new(big).pcap_header(0xa1b2_cd34, (2, 3), 0, 1).out,
            2 => Bytes::new(big).section().out,
            3 => Bytes::new(big).section().interface(1, 0, |b| b).out,
            _ => vec![0x0a, 0x0d, 0x0d, 0x0a],
        };
        read([header, bytes].concat());
    }

    #[test]
    fn any_byte_changed_ends_and_drips_agree(big: bool, ng: bool, at in 0_usize..230, to: u8) {
        let mut bytes = if ng { small_pcapng(big) } else { plain_pcap(big, &[b"one", b"", b"three", &[7; 100]]) };
        if let Some(byte) = bytes.get_mut(at) {
            *byte = to;
        }
        prop_assert_eq!(read_from(Drip(Cursor::new(bytes.clone()))), read(bytes));
    }

    #[test]
    fn any_body_in_a_block_of_any_kind_ends(
        big: bool,
        blocks in prop::collection::vec((0_u32..12, prop::collection::vec(any::<u8>(), 0..64)), 0..8),
    ) {
        let start = Bytes::new(big).section().interface(1, 0, |b| b);
        let file = blocks.iter().fold(start, |file, (kind, body)| file.block(*kind, |b| b.padded(body)));
        read(file.out);
    }
}
