//! gzip, zstd and lz4: one piece or many, cut, damaged, empty.

use std::io::{Cursor, Write};

use super::build::{Drip, plain_pcap, read, read_from};
use crate::capture::Compression;

const ALL: [Compression; 3] = [Compression::Gzip, Compression::Zstd, Compression::Lz4];

fn compress(compression: Compression, bytes: &[u8]) -> Vec<u8> {
    match compression {
        Compression::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        Compression::Zstd => zstd::encode_all(bytes, 1).unwrap(),
        Compression::Lz4 => {
            let mut encoder = lz4::EncoderBuilder::new().build(Vec::new()).unwrap();
            encoder.write_all(bytes).unwrap();
            let (out, result) = encoder.finish();
            result.unwrap();
            out
        }
    }
}

fn capture() -> Vec<u8> {
    // Bytes that do not compress away, over several buffers.
    let mut state = 1_u32;
    let mut noise = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let packets: Vec<Vec<u8>> = (0..700).map(|_| (0..1_000).map(|_| noise()).collect()).collect();
    plain_pcap(false, &packets.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

#[test]
fn what_is_compressed_reads_like_what_is_not() {
    let plain = capture();
    let (packets, info) = read(plain.clone()).sound();
    for compression in ALL {
        let (unpacked, unpacked_info) = read(compress(compression, &plain)).sound();
        assert!(unpacked == packets, "{compression}");
        assert_eq!((unpacked_info.format, unpacked_info.bytes), (format!("pcap ({compression})"), info.bytes));
    }
}

#[test]
fn many_members_are_one_stream() {
    let plain = plain_pcap(true, &[b"one", b"two", b"three"]);
    for compression in ALL {
        let pieces: Vec<u8> = plain.chunks(10).flat_map(|piece| compress(compression, piece)).collect();
        assert_eq!(read(pieces.clone()).sound().0, read(plain.clone()).packets, "{compression}");
        let (packets, _) = read_from(Drip(Cursor::new(pieces))).sound();
        assert_eq!(packets.len(), 3);
    }
}

#[test]
fn zeros_after_a_gzip_file_are_padding_and_other_bytes_are_damage() {
    let mut packed = compress(Compression::Gzip, &plain_pcap(true, &[b"one"]));
    packed.extend([0; 1_000]);
    assert_eq!(read(packed.clone()).sound().0.len(), 1);
    packed.push(7);
    let everything = read(packed);
    assert_eq!(everything.packets.len(), 1);
    assert_eq!(
        everything.message(),
        "x: the gzip data are damaged after 43 uncompressed bytes (after a member comes no other); 1 packet read"
    );
}

#[test]
fn data_cut_short_give_what_came_before() {
    let plain = capture();
    for compression in ALL {
        let packed = compress(compression, &plain);
        for cut in [packed.len() / 2, packed.len() - 1] {
            let everything = read(&packed[..cut]);
            let message = everything.message();
            assert!(message.starts_with(&format!("x: the {compression} data end too early, after ")), "{message}");
            assert!(message.ends_with(" packets read"), "{message}");
            assert!(everything.packets.len() > 100, "{compression}: {}", everything.packets.len());
        }
    }
}

#[test]
fn data_cut_anywhere_end() {
    let plain = plain_pcap(false, &[b"one", b"two"]);
    for compression in ALL {
        let packed = compress(compression, &plain);
        for cut in 4..packed.len() {
            assert!(read(&packed[..cut]).error.is_some(), "{compression} cut at {cut} of {}", packed.len());
        }
    }
}

#[test]
fn damaged_data_are_told_and_end() {
    let plain = capture();
    for compression in ALL {
        let mut packed = compress(compression, &plain);
        let middle = packed.len() / 2;
        packed[middle..middle + 40].fill(0xff);
        let everything = read(packed);
        assert!(everything.error.is_some(), "{compression}");
    }
}

#[test]
fn an_offset_inside_compressed_data_is_called_one() {
    let plain = plain_pcap(false, &[b"one", b"two"]);
    let packed = compress(Compression::Zstd, &plain[..plain.len() - 1]);
    assert_eq!(
        read(packed).message(),
        "x: the file ends inside record 2 (offset 43 uncompressed: 2 of 3 bytes); 1 packet read"
    );
}

#[test]
fn what_is_inside_is_judged_by_its_content() {
    for compression in ALL {
        assert_eq!(
            read(compress(compression, b"# Notes")).message(),
            format!("x: the {compression} data hold no capture (first bytes 23 20 4e 6f; pcap and pcapng are known)")
        );
        assert_eq!(
            read(compress(compression, b"")).message(),
            format!("x: the {compression} data are empty; the capture was never written")
        );
    }
}
