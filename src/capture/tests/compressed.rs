//! Compressions: one piece or many, cut, damaged, empty, twice, asking for too much memory, through a pipe.

use std::io::{self, Cursor, Read, Write};

use super::build::{Drip, plain_pcap, read, read_from};
use crate::capture::{Compression, Savefile};

const ALL: [Compression; 5] =
    [Compression::Gzip, Compression::Zstd, Compression::Lz4, Compression::Xz, Compression::Bzip2];

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
        Compression::Xz => {
            let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        Compression::Bzip2 => {
            let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
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
fn zeros_after_a_member_are_padding_and_other_bytes_are_damage() {
    for compression in [Compression::Gzip, Compression::Bzip2, Compression::Xz] {
        let mut packed = compress(compression, &plain_pcap(true, &[b"one"]));
        packed.extend([0; 1_000]);
        assert_eq!(read(packed.clone()).sound().0.len(), 1, "{compression}");
        packed.extend(b"Nothing that begins a member.");
        let everything = read(packed);
        assert_eq!(everything.packets.len(), 1);
        let message = format!("x: the {compression} data are damaged after 43 uncompressed bytes (");
        assert!(everything.message().starts_with(&message), "{}", everything.message());
    }
}

#[test]
fn what_was_compressed_twice_is_told() {
    let plain = plain_pcap(true, &[b"one"]);
    for (inner, outer) in ALL.into_iter().flat_map(|inner| ALL.map(|outer| (inner, outer))) {
        assert_eq!(
            read(compress(outer, &compress(inner, &plain))).message(),
            format!(
                "x: the {outer} data hold {inner} data: it was compressed twice; unpack it once, as in: {outer} -dc FILE | \
                 finwait -"
            )
        );
    }
}

#[test]
fn an_xz_dictionary_beyond_all_memory_is_refused() {
    // The header of an xz block with an LZMA2 dictionary of 4 GiB - 1 (40), then of 64 MiB (28), as `xz -9` has it.
    let block = |dictionary: u8| {
        let mut header = vec![2, 0, 0x21, 1, dictionary, 0, 0, 0];
        let mut crc = flate2::Crc::new();
        crc.update(&header);
        header.extend(crc.sum().to_le_bytes());
        let mut file = compress(Compression::Xz, b"")[..12].to_vec();
        file.extend(header);
        file
    };
    assert_eq!(
        read(block(40)).message(),
        "x: unpacking the xz data on takes more than 256 MiB of memory (after 0 uncompressed bytes); unpack them first, as in: \
         xz -dc FILE | finwait -; no packet read"
    );
    assert!(read(block(28)).message().starts_with("x: the xz data end too early"), "{}", read(block(28)).message());
}

#[test]
fn a_zstd_window_beyond_all_memory_is_refused() {
    // Magic number, no content size, a window of 2^41 bytes.
    let message = read([0x28, 0xb5, 0x2f, 0xfd, 0, 0xf8, 0, 0, 0]).message().to_owned();
    assert!(message.starts_with("x: unpacking the zstd data on takes more than 256 MiB of memory"), "{message}");
}

/// A pipe whose writer has written this and is not done: to ask for more would be to wait for ever.
struct Stalled(Vec<u8>);

impl Read for Stalled {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        assert!(!self.0.is_empty(), "waits for the pipe with packets unpacked");
        let piece: Vec<u8> = self.0.drain(..self.0.len().min(buf.len())).collect();
        buf[..piece.len()].copy_from_slice(&piece);
        Ok(piece.len())
    }
}

#[test]
fn packets_are_given_before_the_pipe_gives_more() {
    let plain = capture();
    for compression in ALL {
        // What stands complete in the pipe, but for the last bytes: bzip2 packs whole blocks of 100 kB, the others less.
        let packed = compress(compression, &plain);
        let mut file = Savefile::from_reader("x", Stalled(packed[..packed.len() - 40].to_vec())).unwrap();
        for _ in 0..500 {
            assert!(file.next().unwrap().is_some(), "{compression}");
        }
    }
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
fn what_was_packed_before_the_damage_is_read() {
    // One small read of the file holds all of it: what comes before the damage and the damage itself.
    let packets: Vec<Vec<u8>> = (0..2_000_u32).map(|n| n.to_string().repeat(8).into_bytes()).collect();
    let plain = plain_pcap(false, &packets.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let mut packed = compress(Compression::Gzip, &plain);
    assert!(packed.len() < 64 << 10, "{}", packed.len());
    let late = packed.len() * 3 / 4;
    packed[late..late + 40].fill(0xff);
    let everything = read(packed);
    assert!(everything.message().starts_with("x: the gzip data are damaged after "), "{}", everything.message());
    assert!(everything.packets.len() > 1_000, "{}", everything.packets.len());
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
            format!(
                "x: the {compression} data hold no capture (first bytes 23 20 4e 6f; pcap, pcapng and snoop are known)"
            )
        );
        assert_eq!(
            read(compress(compression, b"")).message(),
            format!("x: the {compression} data are empty; the capture was never written")
        );
    }
}
