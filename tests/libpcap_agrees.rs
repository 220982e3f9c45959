//! Our container readers against libpcap: on files of every variant, built here, on the captures that ship with the project
//! and on those in the directory that `FINWAIT_CAPTURES` names, wherever libpcap takes the file.
#![cfg(feature = "live")]

use std::fs;
use std::path::{Path, PathBuf};

use finwait::capture::{Packet, Savefile};
use finwait::time::Timestamp;
use pcap::{Capture, Error, Precision};

const SECOND: i64 = 1_000_000_000;

/// How the two went together through one file.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// Both read all of it, so many packets.
    Same(u64),
    /// libpcap stopped after so many, which are the same; its words.
    LibpcapStopped(u64, String),
    /// libpcap does not take the file.
    LibpcapRefused(String),
}

/// Reads `path` with both and compares packet by packet: time, lengths, bytes, link type.
fn compare(path: &Path) -> Outcome {
    let mut theirs = match Capture::from_file_with_precision(path, Precision::Nano) {
        Ok(theirs) => theirs,
        Err(error) => return Outcome::LibpcapRefused(error.to_string()),
    };
    let file = path.display();
    let mut ours = Savefile::open(path).unwrap_or_else(|error| panic!("libpcap takes it: {error}"));
    let (dlt, snaplen) = (theirs.get_datalink().0, ours.snaplen());
    let mut count = 0;
    loop {
        let packet = match theirs.next_packet() {
            Ok(packet) => packet,
            Err(Error::NoMorePackets) => {
                let rest = ours.next().unwrap_or_else(|error| panic!("libpcap found nothing wrong: {error}"));
                assert!(rest.is_none(), "{file}: we have more than the {count} packets of libpcap");
                assert_eq!(ours.info().packets, count);
                return Outcome::Same(count);
            }
            Err(error) => return Outcome::LibpcapStopped(count, error.to_string()),
        };
        count += 1;
        let Packet { ts, number, link, wire_len, data, .. } = ours
            .next()
            .unwrap_or_else(|error| panic!("libpcap has packet {count}: {error}"))
            .unwrap_or_else(|| panic!("{file}: libpcap has packet {count}, we have none"));
        assert_eq!(number, count, "{file}");
        assert_eq!(i32::from(link.to_dlt()), dlt, "{file}: link type of packet {count}");
        assert_eq!(wire_len, packet.header.len, "{file}: length of packet {count} on the wire");
        // libpcap cuts what is longer than the file's snap length; we keep what the file has.
        let kept = packet.data.len();
        assert_eq!(data.get(..kept), Some(packet.data), "{file}: bytes of packet {count}");
        assert!(data.len() == kept || snaplen == Some(kept as u32), "{file}: captured length of packet {count}");
        // A simple packet has no time, for which libpcap has 0. The fraction is in nanoseconds. Seconds from 2^31 on are
        // negative for libpcap in one of the byte orders.
        let nanos = packet.header.ts.tv_sec * SECOND + packet.header.ts.tv_usec;
        if let Some(ours) = ts.map(Timestamp::as_nanos) {
            let same = ours == nanos || ours == nanos + (SECOND << 32);
            assert!(same, "{file}: time of packet {count}: {ours} and {nanos}");
        }
    }
}

/// Numbers in one byte order.
struct Bytes(bool, Vec<u8>);

impl Bytes {
    fn u16s(mut self, values: &[u16]) -> Self {
        for value in values {
            self.1.extend(if self.0 { value.to_be_bytes() } else { value.to_le_bytes() });
        }
        self
    }

    fn u32s(mut self, values: &[u32]) -> Self {
        for value in values {
            self.1.extend(if self.0 { value.to_be_bytes() } else { value.to_le_bytes() });
        }
        self
    }

    fn raw(mut self, bytes: &[u8]) -> Self {
        self.1.extend(bytes);
        self
    }

    /// A block whose body is that of `body`, padded.
    fn block(self, kind: u32, body: Bytes) -> Self {
        let padded = body.1.len().next_multiple_of(4);
        let length = padded as u32 + 12;
        let padding = vec![0; padded - body.1.len()];
        self.u32s(&[kind, length]).raw(&body.1).raw(&padding).u32s(&[length])
    }
}

/// `count` records of growing length; every third is cut by the tap, the last ones are longer than the snap length, and
/// theirs have a fraction of more than a second.
fn pcap(big: bool, magic: u32, version: (u16, u16), network: u32, count: u32) -> Vec<u8> {
    let snaplen = if magic == 0xa1b2_cd34 { 2_000 } else { 300 };
    let mut file = Bytes(big, Vec::new()).u32s(&[magic]).u16s(&[version.0, version.1]).u32s(&[0, 0, snaplen, network]);
    for i in 0..count {
        let data = vec![i as u8; i as usize * 7];
        let (captured, original) = (data.len() as u32, data.len() as u32 + if i % 3 == 0 { 100 } else { 0 });
        let swapped = version < (2, 3) || version.0 == 543;
        let lengths = if swapped { [original, captured] } else { [captured, original] };
        let fraction = if i + 5 > count { 1_500_000_000 / 1_000 * (1 + i) } else { i * 997 };
        file = file.u32s(&[1_600_000_000 + i, fraction]).u32s(&lengths);
        if magic == 0xa1b2_cd34 {
            file = file.u32s(&[1]).raw(&[0; 4]);
        }
        file = file.raw(&data);
    }
    file.1
}

/// One interface with the clock that `options` make, all three kinds of packets, other blocks between them.
fn pcapng(big: bool, options: &[u8], sections: u32, count: u32) -> Vec<u8> {
    let new = || Bytes(big, Vec::new());
    let mut file = new();
    for section in 0..sections {
        file = file.block(0x0a0d_0d0a, new().u32s(&[0x1a2b_3c4d]).u16s(&[1, 0]).u32s(&[u32::MAX, u32::MAX]));
        file = file.block(4, new().u16s(&[0, 0]));
        file = file.block(1, new().u16s(&[1, 0]).u32s(&[2_000]).raw(options));
        for i in 0..count {
            let data = vec![i as u8; i as usize * 7 % 1_600];
            let (captured, original) = (data.len() as u32, data.len() as u32 + if i % 3 == 0 { 100 } else { 0 });
            let (high, low) = (0x0005_b000 + section, i.wrapping_mul(0x0123_4567));
            file = match i % 4 {
                0 => file.block(2, new().u16s(&[0, 7]).u32s(&[high, low, captured, original]).raw(&data)),
                1 => file.block(3, new().u32s(&[captured]).raw(&data)),
                2 => file.block(6, new().u32s(&[0, high, low, captured, original]).raw(&data)),
                _ => {
                    let mut padded = data;
                    padded.resize(captured.next_multiple_of(4) as usize, 0);
                    let body = new().u32s(&[0, high, low, captured, original]).raw(&padded);
                    let flags = body.u16s(&[2, 4]).u32s(&[1]).u16s(&[0, 0]);
                    file.block(6, flags).block(0x0bad, new().u32s(&[32_473, i]))
                }
            };
        }
        file = file.block(5, new().u32s(&[0, 0, 0]).u16s(&[5, 8]).u32s(&[0, 1]).u16s(&[0, 0]));
    }
    file.1
}

#[test]
fn on_every_pcap_that_libpcap_reads() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x");
    for big in [false, true] {
        for magic in [0xa1b2_c3d4, 0xa1b2_3c4d, 0xa1b2_cd34] {
            for version in [(2, 0), (2, 1), (2, 2), (2, 3), (2, 4), (543, 0)] {
                for network in [1, 101, 113, 228, 276, 0x5400_0001] {
                    fs::write(&path, pcap(big, magic, version, network, 60)).unwrap();
                    let case = format!("{big} {magic:#x} {version:?} {network:#x}");
                    assert_eq!(compare(&path), Outcome::Same(60), "{case}");
                }
            }
        }
    }
}

#[test]
fn on_every_pcapng_that_libpcap_reads() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x");
    for big in [false, true] {
        let code = |code: u16, length: u16| Bytes(big, Vec::new()).u16s(&[code, length]);
        let offset = |high: u32, low: u32| {
            let seconds = if big { [high, low] } else { [low, high] };
            code(14, 8).u32s(&seconds).1
        };
        let resolution = |exponent: u8| code(9, 1).raw(&[exponent, 0, 0, 0]).1;
        let mut clocks = vec![Vec::new(), offset(0, 86_400), offset(u32::MAX, u32::MAX - 9)];
        // Outside of these libpcap's own sums leave 64 bits, or a Timestamp's range is left.
        clocks.extend((6..=12).map(resolution));
        clocks.extend((20..=34).map(|exponent| resolution(0x80 | exponent)));
        for clock in clocks {
            fs::write(&path, pcapng(big, &clock, 3, 80)).unwrap();
            assert_eq!(compare(&path), Outcome::Same(240), "{big} {clock:x?}");
        }
    }
}

#[test]
fn on_files_cut_short_up_to_the_cut() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x");
    for whole in [pcap(false, 0xa1b2_c3d4, (2, 4), 1, 6), pcapng(true, &[], 1, 6)] {
        for cut in (100..whole.len()).step_by(3) {
            fs::write(&path, &whole[..cut]).unwrap();
            let outcome = compare(&path);
            let ours = Savefile::open(&path).map(|mut file| {
                loop {
                    match file.next() {
                        Ok(Some(_)) => {}
                        Ok(None) => break (file.info().packets, false),
                        Err(error) => break (error.packets_read(), true),
                    }
                }
            });
            match outcome {
                Outcome::Same(theirs) => assert_eq!((theirs, false), ours.unwrap()),
                Outcome::LibpcapStopped(theirs, _) => assert_eq!((theirs, true), ours.unwrap()),
                Outcome::LibpcapRefused(words) => panic!("{words}"),
            }
        }
    }
}

/// Every file in `dir`, in order.
fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut found: Vec<PathBuf> = entries.filter(|path| path.is_file()).collect();
    found.sort();
    found
}

#[test]
#[allow(clippy::disallowed_macros)] // for whoever runs the test; no user sees it
fn on_the_captures_that_ship_with_the_project() {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("captures");
    let more = std::env::var_os("FINWAIT_CAPTURES").map(PathBuf::from);
    for path in [Some(shipped), more].into_iter().flatten().flat_map(|dir| files(&dir)) {
        println!("{}: {:?}", path.display(), compare(&path));
    }
}
