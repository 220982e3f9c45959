//! Bytes of a classic pcap. In: what a packet says. Out: its record, lengths and checksums right, in a buffered writer.

use std::io::{self, Write};

use super::random::Random;

pub const FIN: u8 = 0x01;
pub const SYN: u8 = 0x02;
pub const RST: u8 = 0x04;
pub const PSH: u8 = 0x08;
pub const ACK: u8 = 0x10;

const TCP: u8 = 6;
const UDP: u8 = 17;
/// The shortest Ethernet frame, without its checksum; shorter ones are padded.
const SHORTEST: usize = 60;
const BUFFER: usize = 256 << 10;
/// The longest header: two tags, IPv6, TCP with all options.
const HEAD: usize = 14 + 8 + 40 + 60;
const PATTERN: usize = 64 << 10;

/// One end of a packet.
#[derive(Clone, Copy)]
pub struct Host {
    pub ip: Ip,
    pub port: u16,
}

#[derive(Clone, Copy)]
pub enum Ip {
    V4(u32),
    V6(u128),
}

/// Everything of a segment below its endpoints.
#[derive(Clone, Copy)]
pub struct Said {
    pub flags: u8,
    pub seq: u32,
    pub ack: u32,
    pub window: u16,
    /// TSval and TSecr (RFC 7323).
    pub stamps: Option<(u32, u32)>,
    /// One block (RFC 2018).
    pub sack: Option<(u32, u32)>,
    /// Maximum segment size; with it the other options of a SYN of Linux.
    pub mss: Option<u16>,
    pub payload: u16,
    /// IPv4 identification.
    pub id: u16,
    /// 802.1Q tags in front; 0 for none.
    pub vlans: [u16; 2],
}

/// The capture being written; after `limit` packets it takes no more.
pub struct Sink<W> {
    out: W,
    buffer: Vec<u8>,
    snaplen: usize,
    pub left: u64,
    /// What payloads are cut from, by sequence number, so that a repeated segment has the bytes of the first.
    pattern: Vec<u8>,
    /// Sums of the pattern's 16-bit words up to each, so that a checksum costs no pass over the payload.
    sums: Vec<u32>,
}

/// A header under construction.
struct Head {
    bytes: [u8; HEAD],
    len: usize,
}

impl Head {
    fn put<const N: usize>(&mut self, bytes: [u8; N]) {
        self.bytes[self.len..self.len + N].copy_from_slice(&bytes);
        self.len += N;
    }

    /// Ones' complement sum of the 16-bit words from `from` on.
    fn sum(&self, from: usize) -> u32 {
        self.bytes[from..self.len].chunks_exact(2).map(|word| u32::from(word[0]) << 8 | u32::from(word[1])).sum()
    }

    fn patch(&mut self, at: usize, sum: u32) {
        let folded = (sum & 0xffff) + (sum >> 16);
        let folded = (folded & 0xffff) + (folded >> 16);
        self.bytes[at..at + 2].copy_from_slice(&(!(folded as u16)).to_be_bytes());
    }

    /// Link and network header.
    fn network(src: Host, dst: Host, protocol: u8, length: u16, id: u16, vlans: [u16; 2]) -> Self {
        let mut head = Self { bytes: [0; HEAD], len: 0 };
        head.put(mac(dst.ip));
        head.put(mac(src.ip));
        for vlan in vlans {
            if vlan != 0 {
                head.put([0x81, 0x00]);
                head.put(vlan.to_be_bytes());
            }
        }
        match (src.ip, dst.ip) {
            (Ip::V4(from), Ip::V4(to)) => {
                head.put([0x08, 0x00, 0x45, 0x00]);
                let start = head.len - 2;
                head.put((length + 20).to_be_bytes());
                head.put(id.to_be_bytes());
                head.put([0x40, 0x00, 64, protocol, 0, 0]);
                head.put(from.to_be_bytes());
                head.put(to.to_be_bytes());
                head.patch(start + 10, head.sum(start));
            }
            (Ip::V6(from), Ip::V6(to)) => {
                head.put([0x86, 0xdd, 0x60, 0x00, 0x00, 0x00]);
                head.put(length.to_be_bytes());
                head.put([protocol, 64]);
                head.put(from.to_be_bytes());
                head.put(to.to_be_bytes());
            }
            _ => unreachable!("both ends speak the same IP"),
        }
        head
    }

    /// What checksums of TCP and UDP cover besides their own bytes (RFC 9293 3.1): addresses, protocol, length.
    fn pseudo(&self, ip: Ip, protocol: u8, length: u16) -> u32 {
        let addresses = if matches!(ip, Ip::V4(_)) { 8 } else { 32 };
        self.sum(self.len - addresses) + u32::from(protocol) + u32::from(length)
    }
}

impl<W: Write> Sink<W> {
    /// Writes the file's header: microseconds, Ethernet.
    pub fn new(mut out: W, limit: u64, snaplen: u32, random: &mut Random) -> io::Result<Self> {
        out.write_all(&0xa1b2_c3d4_u32.to_le_bytes())?;
        out.write_all(&[2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0])?;
        out.write_all(&snaplen.to_le_bytes())?;
        out.write_all(&1_u32.to_le_bytes())?;
        let pattern: Vec<u8> = (0..(PATTERN + 2048) / 8).flat_map(|_| random.word().to_le_bytes()).collect();
        let mut sum = 0;
        let mut sums = vec![0];
        sums.extend(pattern.chunks_exact(2).map(|word| {
            sum += u32::from(word[0]) << 8 | u32::from(word[1]);
            sum
        }));
        let buffer = Vec::with_capacity(BUFFER + 4096);
        Ok(Self { out, buffer, snaplen: snaplen as usize, left: limit, pattern, sums })
    }

    /// Adds a TCP segment at `at`, microseconds since 1970.
    pub fn segment(&mut self, at: u64, src: Host, dst: Host, said: &Said) -> io::Result<()> {
        let mut options = Head { bytes: [0; HEAD], len: 0 };
        if let Some(mss) = said.mss {
            options.put([2, 4]);
            options.put(mss.to_be_bytes());
            match said.stamps {
                Some(stamps) => {
                    options.put([4, 2, 8, 10]);
                    put_stamps(&mut options, stamps);
                    options.put([1]);
                }
                None => options.put([1, 1, 4, 2, 1]),
            }
            options.put([3, 3, 7]);
        } else if let Some(stamps) = said.stamps {
            options.put([1, 1, 8, 10]);
            put_stamps(&mut options, stamps);
        }
        if let Some((left, right)) = said.sack {
            options.put([1, 1, 5, 10]);
            options.put(left.to_be_bytes());
            options.put(right.to_be_bytes());
        }
        let length = 20 + options.len as u16 + said.payload;
        let mut head = Head::network(src, dst, TCP, length, said.id, said.vlans);
        let pseudo = head.pseudo(src.ip, TCP, length);
        let start = head.len;
        head.put(src.port.to_be_bytes());
        head.put(dst.port.to_be_bytes());
        head.put(said.seq.to_be_bytes());
        head.put(said.ack.to_be_bytes());
        head.put([((20 + options.len) << 2) as u8, said.flags]);
        head.put(said.window.to_be_bytes());
        head.put([0; 4]);
        head.bytes[head.len..head.len + options.len].copy_from_slice(&options.bytes[..options.len]);
        head.len += options.len;
        let place = said.seq as usize & (PATTERN - 2);
        head.patch(start + 16, pseudo + head.sum(start) + self.payload_sum(place, said.payload));
        self.record(at, &head, place, said.payload)
    }

    /// Adds a UDP datagram whose payload is noise.
    pub fn datagram(&mut self, at: u64, src: Host, dst: Host, payload: u16, noise: u64) -> io::Result<()> {
        let length = 8 + payload;
        let mut head = Head::network(src, dst, UDP, length, noise as u16, [0; 2]);
        let pseudo = head.pseudo(src.ip, UDP, length);
        let start = head.len;
        head.put(src.port.to_be_bytes());
        head.put(dst.port.to_be_bytes());
        head.put(length.to_be_bytes());
        head.put([0; 2]);
        let place = (noise >> 16) as usize & (PATTERN - 2);
        head.patch(start + 6, pseudo + head.sum(start) + self.payload_sum(place, payload));
        self.record(at, &head, place, payload)
    }

    fn payload_sum(&self, place: usize, payload: u16) -> u32 {
        let end = place + usize::from(payload);
        let odd = if payload % 2 == 1 { u32::from(self.pattern[end - 1]) << 8 } else { 0 };
        let sum = self.sums[end / 2] - self.sums[place / 2];
        (sum & 0xffff) + (sum >> 16) + odd
    }

    fn record(&mut self, at: u64, head: &Head, place: usize, payload: u16) -> io::Result<()> {
        if self.left == 0 {
            return Ok(());
        }
        self.left -= 1;
        let wire = (head.len + usize::from(payload)).max(SHORTEST);
        let kept = wire.min(self.snaplen);
        let mut record = [0; 16];
        record[..4].copy_from_slice(&((at / 1_000_000) as u32).to_le_bytes());
        record[4..8].copy_from_slice(&((at % 1_000_000) as u32).to_le_bytes());
        record[8..12].copy_from_slice(&(kept as u32).to_le_bytes());
        record[12..].copy_from_slice(&(wire as u32).to_le_bytes());
        self.buffer.extend_from_slice(&record);
        let end = self.buffer.len() + kept;
        self.buffer.extend_from_slice(&head.bytes[..head.len.min(kept)]);
        let rest = usize::from(payload).min(end - self.buffer.len());
        self.buffer.extend_from_slice(&self.pattern[place..place + rest]);
        self.buffer.resize(end, 0);
        if self.buffer.len() >= BUFFER {
            self.out.write_all(&self.buffer)?;
            self.buffer.clear();
        }
        Ok(())
    }

    /// Writes what is left in the buffer.
    pub fn finish(mut self) -> io::Result<()> {
        self.out.write_all(&self.buffer)?;
        self.out.flush()
    }
}

fn put_stamps(options: &mut Head, (value, echo): (u32, u32)) {
    options.put(value.to_be_bytes());
    options.put(echo.to_be_bytes());
}

/// A locally administered address for each host.
fn mac(ip: Ip) -> [u8; 6] {
    let low = match ip {
        Ip::V4(ip) => ip,
        Ip::V6(ip) => ip as u32,
    };
    let [a, b, c, d] = low.to_be_bytes();
    [0x02, 0x00, a, b, c, d]
}
