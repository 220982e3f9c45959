//! A capture file of any bytes, read in three ways. In: the file. Out: a panic where the readings differ or tell what cannot be.

use std::io::{self, Cursor, Read};

use finwait::capture::error::Place;
use finwait::capture::{CaptureError, Flow, LinkType, Packet, Problem, Savefile, Source};
use finwait::time::Timestamp;

/// Compressed input beyond this is left alone: a few bytes more of a bomb are a second more, and nothing new.
const MOST_COMPRESSED: usize = 4 << 10;
/// Packets that are looked at.
const MOST_PACKETS: usize = 20_000;
/// Uncompressed bytes that are looked at.
const MOST_BYTES: u64 = 8 << 20;

/// What is remembered of a packet.
#[derive(Debug, PartialEq)]
struct Kept {
    ts: Option<Timestamp>,
    link: LinkType,
    interface: u32,
    wire_len: u32,
    data: Vec<u8>,
}

impl Kept {
    fn of(packet: &Packet<'_>) -> Self {
        let Packet { ts, link, interface, wire_len, data, .. } = *packet;
        Self { ts, link, interface, wire_len, data: data.to_vec() }
    }
}

#[derive(Debug, Default, PartialEq)]
struct Reading {
    packets: Vec<Kept>,
    error: Option<String>,
    /// The caps ended it, not the file.
    given_up: bool,
}

/// Gives a few bytes a call.
struct Drip(Cursor<Vec<u8>>, usize);

impl Read for Drip {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.1 = self.1 * 5 % 97 + 1;
        let some = self.1.min(buf.len());
        self.0.read(&mut buf[..some])
    }
}

pub fn run(bytes: &[u8]) {
    let compressed = !matches!(bytes, [0xa1 | 0xd4 | 0x4d | 0x34 | 0x0a | b's', ..]);
    if compressed && bytes.len() > MOST_COMPRESSED {
        return;
    }
    let most = if compressed { MOST_BYTES } else { bytes.len() as u64 };
    let whole = one_by_one(Savefile::from_reader("x", Cursor::new(bytes.to_vec())), most);
    if whole.given_up {
        return;
    }
    let drips = one_by_one(Savefile::from_reader("x", Drip(Cursor::new(bytes.to_vec()), 3)), most);
    let lots = lent(Savefile::from_reader("x", Cursor::new(bytes.to_vec())));
    if compressed && whole.error.is_some() {
        // A decompressor that meets damage keeps back what it had just unpacked; how much that is depends on what it was given.
        let agree = |other: &Reading| {
            let both = whole.packets.len().min(other.packets.len());
            other.error.is_some() && whole.packets[..both] == other.packets[..both]
        };
        assert!(agree(&drips) && agree(&lots), "the packets before the damage are the same");
    } else {
        assert_eq!(whole, drips, "drips are read as the whole is");
        assert_eq!(whole, lots, "lots are read as single packets are");
    }
}

fn one_by_one(savefile: Result<Savefile, CaptureError>, most: u64) -> Reading {
    let mut reading = Reading::default();
    let mut savefile = match savefile {
        Ok(savefile) => savefile,
        Err(error) => {
            judge(&error, 0, most);
            return Reading { error: Some(error.to_string()), ..reading };
        }
    };
    let mut held = 0;
    loop {
        match savefile.next() {
            Ok(Some(packet)) => {
                assert_eq!(packet.number, reading.packets.len() as u64 + 1);
                held += packet.data.len() as u64;
                reading.packets.push(Kept::of(&packet));
            }
            Ok(None) => break,
            Err(error) => {
                judge(&error, reading.packets.len(), most.max(savefile.info().bytes));
                reading.error = Some(error.to_string());
                break;
            }
        }
        assert!(held <= savefile.info().bytes, "packets out of bytes that were not there");
        if reading.packets.len() > MOST_PACKETS || held > MOST_BYTES {
            return Reading { given_up: true, ..reading };
        }
    }
    assert!(matches!(savefile.next(), Ok(None)), "nothing comes after the end");
    let (info, packets) = (savefile.info(), &reading.packets);
    let stamps = || packets.iter().filter_map(|packet| packet.ts);
    assert_eq!((info.first_ts, info.last_ts), (stamps().min(), stamps().max()));
    assert_eq!(info.packets, packets.len() as u64);
    assert!(packets.iter().all(|packet| info.link_types.contains(&packet.link)));
    assert!(packets.iter().all(|packet| packet.data.len() <= packet.link.longest_packet() as usize));
    reading
}

/// The same packets in lots.
fn lent(savefile: Result<Savefile, CaptureError>) -> Reading {
    let mut reading = Reading::default();
    let mut savefile = match savefile {
        Ok(savefile) => savefile,
        Err(error) => return Reading { error: Some(error.to_string()), ..reading },
    };
    loop {
        match savefile.each(7, &mut |packet| reading.packets.push(Kept::of(packet))) {
            Ok(Flow::More) => {}
            Ok(Flow::End) => return reading,
            Ok(Flow::Quiet) => panic!("a file is never quiet"),
            Err(error) => return Reading { error: Some(error.to_string()), ..reading },
        }
    }
}

/// An error tells as many packets as there were, and a place inside the file.
fn judge(error: &CaptureError, packets: usize, most: u64) {
    assert_eq!(error.packets_read(), packets as u64);
    let place = match error.problem() {
        Problem::Version { place, .. }
        | Problem::CutRecord { place, .. }
        | Problem::CutBlock { place, .. }
        | Problem::LongRecord { place, .. }
        | Problem::BadBlock { place, .. }
        | Problem::Read { place, .. } => *place,
        Problem::Compressed { offset, .. } => Place { offset: *offset, uncompressed: true },
        _ => return,
    };
    assert!(place.offset <= most, "{error}: there are {most} bytes");
    if let Problem::CutRecord { have, want, .. } | Problem::CutBlock { have, want, .. } = error.problem() {
        assert!(have < want, "{error}");
    }
}
