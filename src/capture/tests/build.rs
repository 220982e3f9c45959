//! Builders of captures, byte by byte, in either byte order; and a reader that keeps what it is lent.

use std::io::{self, Cursor, Read};

use crate::capture::{Flow, Info, LinkType, Packet, Polled, Savefile, Source};
use crate::time::Timestamp;

/// Bytes in one byte order.
#[derive(Clone, Default)]
pub struct Bytes {
    pub big: bool,
    pub out: Vec<u8>,
}

impl Bytes {
    pub fn new(big: bool) -> Self {
        Self { big, out: Vec::new() }
    }

    pub fn u16(mut self, value: u16) -> Self {
        self.out.extend(if self.big { value.to_be_bytes() } else { value.to_le_bytes() });
        self
    }

    pub fn u32(mut self, value: u32) -> Self {
        self.out.extend(if self.big { value.to_be_bytes() } else { value.to_le_bytes() });
        self
    }

    pub fn u64(mut self, value: u64) -> Self {
        self.out.extend(if self.big { value.to_be_bytes() } else { value.to_le_bytes() });
        self
    }

    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.out.extend(bytes);
        self
    }

    pub fn padded(self, bytes: &[u8]) -> Self {
        let padding = bytes.len().next_multiple_of(4) - bytes.len();
        self.raw(bytes).raw(&[0; 4][..padding])
    }

    pub fn option(self, code: u16, value: &[u8]) -> Self {
        let len = value.len() as u16;
        self.u16(code).u16(len).padded(value)
    }

    /// A pcapng block around `body`.
    pub fn block(self, kind: u32, body: impl FnOnce(Bytes) -> Bytes) -> Self {
        let body = body(Bytes::new(self.big)).out;
        let len = body.len() as u32 + 12;
        self.u32(kind).u32(len).raw(&body).u32(len)
    }

    pub fn section(self) -> Self {
        self.block(0x0a0d_0d0a, |b| b.u32(0x1a2b_3c4d).u16(1).u16(0).u64(u64::MAX))
    }

    pub fn interface(self, link: u16, snaplen: u32, options: impl FnOnce(Bytes) -> Bytes) -> Self {
        self.block(1, |b| options(b.u16(link).u16(0).u32(snaplen)))
    }

    pub fn enhanced(self, interface: u32, ticks: u64, wire_len: u32, data: &[u8]) -> Self {
        self.block(6, |b| {
            let len = data.len() as u32;
            b.u32(interface).u32((ticks >> 32) as u32).u32(ticks as u32).u32(len).u32(wire_len).padded(data)
        })
    }

    pub fn simple(self, wire_len: u32, data: &[u8]) -> Self {
        self.block(3, |b| b.u32(wire_len).padded(data))
    }

    pub fn obsolete(self, interface: u16, drops: u16, ticks: u64, wire_len: u32, data: &[u8]) -> Self {
        self.block(2, |b| {
            let len = data.len() as u32;
            b.u16(interface).u16(drops).u32((ticks >> 32) as u32).u32(ticks as u32).u32(len).u32(wire_len).padded(data)
        })
    }

    pub fn statistics(self, interface: u32, options: impl FnOnce(Bytes) -> Bytes) -> Self {
        self.block(5, |b| options(b.u32(interface).u32(0).u32(0)))
    }

    pub fn pcap_header(self, magic: u32, version: (u16, u16), snaplen: u32, network: u32) -> Self {
        self.u32(magic).u16(version.0).u16(version.1).u32(0).u32(0).u32(snaplen).u32(network)
    }

    /// A record with its two lengths in the order given.
    pub fn record(self, seconds: u32, fraction: u32, lengths: (u32, u32), data: &[u8]) -> Self {
        self.u32(seconds).u32(fraction).u32(lengths.0).u32(lengths.1).raw(data)
    }
}

/// A microsecond pcap of Ethernet with packets of these bytes, a second apart from second 1.
pub fn plain_pcap(big: bool, packets: &[&[u8]]) -> Vec<u8> {
    let header = Bytes::new(big).pcap_header(0xa1b2_c3d4, (2, 4), 262_144, 1);
    let second = |i: usize| i as u32 + 1;
    let all = packets
        .iter()
        .enumerate()
        .fold(header, |b, (i, data)| b.record(second(i), 0, (data.len() as u32, data.len() as u32), data));
    all.out
}

/// A packet that outlives its buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    pub nanos: Option<i64>,
    pub number: u64,
    pub link: LinkType,
    pub interface: u32,
    pub wire_len: u32,
    pub data: Vec<u8>,
}

impl From<Packet<'_>> for Kept {
    fn from(packet: Packet<'_>) -> Self {
        let Packet { ts, number, link, interface, wire_len, data } = packet;
        Self { nanos: ts.map(Timestamp::as_nanos), number, link, interface, wire_len, data: data.to_vec() }
    }
}

/// All that a capture gives: its packets, what is said of it, the words of the error that ended it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Everything {
    pub packets: Vec<Kept>,
    pub info: Option<Info>,
    pub error: Option<String>,
}

impl Everything {
    /// Of a capture that is sound.
    pub fn sound(self) -> (Vec<Kept>, Info) {
        assert_eq!(self.error, None);
        (self.packets, self.info.unwrap())
    }

    pub fn message(&self) -> &str {
        self.error.as_deref().unwrap_or("no error")
    }
}

pub fn read_from(reader: impl Read + Send + 'static) -> Everything {
    let mut file = match Savefile::from_reader("x", reader) {
        Ok(file) => file,
        Err(error) => {
            assert_eq!(error.packets_read(), 0);
            return Everything { packets: Vec::new(), info: None, error: Some(error.to_string()) };
        }
    };
    let mut packets = Vec::new();
    let error = loop {
        match file.next() {
            Ok(Some(packet)) => packets.push(Kept::from(packet)),
            Ok(None) => break None,
            Err(error) => {
                assert_eq!(error.packets_read(), packets.len() as u64);
                break Some(error.to_string());
            }
        }
    };
    assert!(matches!(file.next(), Ok(None)), "after the end comes the end");
    assert!(matches!(file.poll(), Ok(Polled::End)));
    let info = file.info();
    assert_eq!(info.packets, packets.len() as u64);
    Everything { packets, info: Some(info), error }
}

/// The same, lent in lots of `most`.
pub fn lent_from(reader: impl Read + Send + 'static, most: usize) -> Everything {
    let mut file = match Savefile::from_reader("x", reader) {
        Ok(file) => file,
        Err(error) => return Everything { packets: Vec::new(), info: None, error: Some(error.to_string()) },
    };
    let mut packets = Vec::new();
    let error = loop {
        let before = packets.len();
        match file.each(most, &mut |packet| packets.push(Kept::from(*packet))) {
            Ok(Flow::More) => assert!((1..=most).contains(&(packets.len() - before))),
            Ok(Flow::Quiet) => panic!("files are never quiet"),
            Ok(Flow::End) => break None,
            Err(error) => {
                assert_eq!(error.packets_read(), packets.len() as u64);
                break Some(error.to_string());
            }
        }
    };
    let mut none = |packet: &Packet<'_>| panic!("after the end comes {packet:?}");
    assert!(matches!(file.each(most, &mut none), Ok(Flow::End)));
    Everything { packets, info: Some(file.info()), error }
}

/// Whether the packets are taken one by one or lent in lots makes no difference.
pub fn read(bytes: impl Into<Vec<u8>>) -> Everything {
    let bytes = bytes.into();
    let everything = read_from(Cursor::new(bytes.clone()));
    for most in [1, 3, 1_000] {
        assert_eq!(lent_from(Cursor::new(bytes.clone()), most), everything);
    }
    everything
}

/// Gives one byte a call, as the slowest of pipes.
pub struct Drip(pub Cursor<Vec<u8>>);

impl Read for Drip {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let one = buf.len().min(1);
        self.0.read(&mut buf[..one])
    }
}
