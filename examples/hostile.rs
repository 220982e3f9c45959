//! Writes captures that ask for more memory or time than anyone should give them. In: a kind and a number. Out: a capture on
//! standard output.

use std::env;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::process::ExitCode;

const HELP: &str = "\
Usage: hostile KIND [N] >FILE

Writes a capture of N records (segments, blocks ...), the same each time. N may have underscores.

The file itself:
  empty-records   pcap: packets of no bytes                                     [4_000_000: 64 MB]
  long-record     pcap: one record that claims N bytes, and has them            [64_000_000]
  usb-records     pcap: records of 16 MiB, the longest that any link type has   [4]
  tiny-blocks     pcapng: blocks of a kind that nobody knows                    [5_000_000: 60 MB]
  interfaces      pcapng: interfaces, and a packet on each                      [1_000_000: 52 MB]
  sections        pcapng: sections with an interface and a packet each          [1_000_000: 80 MB]
  options         pcapng: an interface with that many options                   [12_000_000: 48 MB]
What is in it; the first six kinds each from another client to another server:
  syns            a SYN each
  data            a data segment each
  connections     seven packets each: handshake and close
  answered        handshakes, and no more
  sacks           a segment each that is told in full from the first on
  encapsulated    a SYN each, in a tunnel of its own
  fragments       the first fragment of a datagram each
  refragments     one datagram: 4,000 fragments with a hole behind each, then others that cover all of them
  overlaps        one connection: bytes one by one, each sent behind the first hole, then before it
  overwrites      one connection: every segment begins a byte behind the last one and overlaps it
  attempts        one 4-tuple: SYN and RST, again and again                     [1_000_000, like all of these]
";

const FIN: u8 = 1;
const SYN: u8 = 2;
const RST: u8 = 4;
const ACK: u8 = 16;

/// The longest packet that any link type has, in bytes.
const USB: u32 = 16 << 20;

type Out<'a> = BufWriter<io::StdoutLock<'a>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let asked: Option<(&str, Option<u32>)> = match &arguments[..] {
        [kind] if kind.starts_with('-') => None,
        [kind] => Some((kind, None)),
        [kind, number] => number.replace('_', "").parse().ok().map(|number| (kind.as_str(), Some(number))),
        _ => None,
    };
    let Some((kind, number)) = asked else {
        let _ = io::stderr().write_all(HELP.as_bytes());
        return ExitCode::from(2);
    };
    let mut out = BufWriter::with_capacity(1 << 20, io::stdout().lock());
    match write(kind, number, &mut out).and_then(|()| out.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        // The reader has had enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "hostile: {error}; see hostile --help");
            ExitCode::from(2)
        }
    }
}

fn write(kind: &str, number: Option<u32>, out: &mut Out<'_>) -> io::Result<()> {
    let n = |usual: u32| number.unwrap_or(usual);
    let million = n(1_000_000);
    match kind {
        "empty-records" => {
            pcap(out, 1)?;
            (0..n(4_000_000)).try_for_each(|i| record(out, i, &[]))
        }
        "long-record" => {
            pcap(out, 1)?;
            zeros(out, 0, n(64_000_000))
        }
        "usb-records" => {
            pcap(out, 189)?;
            (0..n(4)).try_for_each(|i| zeros(out, i, USB))
        }
        "tiny-blocks" => {
            section(out)?;
            (0..n(5_000_000)).try_for_each(|_| block(out, 0x0bad, &[]))
        }
        "interfaces" => {
            section(out)?;
            (0..million).try_for_each(|i| {
                block(out, 1, &[1, 0, 0, 0, 0, 0, 0, 0])?;
                block(out, 6, &[i.to_le_bytes(), [0; 4], [0; 4], [0; 4], [0; 4]].concat())
            })
        }
        "sections" => (0..million).try_for_each(|_| {
            section(out)?;
            block(out, 1, &[1, 0, 0, 0, 0, 0, 0, 0])?;
            block(out, 6, &[0; 20])
        }),
        "options" => {
            section(out)?;
            // Comments of no bytes.
            let options = [1, 0, 0, 0].repeat(n(12_000_000) as usize);
            block(out, 1, &[&[1, 0, 0, 0, 0, 0, 0, 0], &options[..]].concat())
        }
        _ => {
            pcap(out, 101)?;
            packets(kind, million, out)
        }
    }
}

/// Kinds whose packets are sound.
fn packets(kind: &str, n: u32, out: &mut Out<'_>) -> io::Result<()> {
    let mut at = 0;
    // Fragments are forgotten after a while, unless no time passes.
    let pace = u32::from(kind != "refragments");
    let mut put = |bytes: &[u8]| {
        at += pace;
        record(out, at, bytes)
    };
    match kind {
        "syns" => (0..n).try_for_each(|i| put(&Tcp::of(i).up(SYN, 0, 0, &[]))),
        "data" => (0..n).try_for_each(|i| put(&Tcp::of(i).up(ACK, 1, 1, b"data"))),
        "sacks" => (0..n).try_for_each(|i| put(&Tcp { sack: true, ..Tcp::of(i) }.up(ACK, 1, 1, &[]))),
        "answered" => (0..n).try_for_each(|i| handshake(&Tcp::of(i)).iter().try_for_each(|bytes| put(bytes))),
        "connections" => (0..n).try_for_each(|i| {
            let tcp = Tcp::of(i);
            handshake(&tcp).iter().try_for_each(|bytes| put(bytes))?;
            put(&tcp.up(FIN | ACK, 1, 1, &[]))?;
            put(&tcp.down(ACK, 1, 2, &[]))?;
            put(&tcp.down(FIN | ACK, 1, 2, &[]))?;
            put(&tcp.up(ACK, 2, 2, &[]))
        }),
        "encapsulated" => (0..n).try_for_each(|i| {
            let inner = Tcp::of(i).up(SYN, 0, 0, &[]);
            let gre = [&[0x20, 0, 8, 0][..], &i.to_be_bytes(), &inner].concat();
            put(&ip(47, [10, 0, 0, 1], [10, 0, 0, 2], 0, 0, &gre))
        }),
        "fragments" => (0..n).try_for_each(|i| {
            let [a, b, c, d] = i.to_be_bytes();
            put(&ip(6, [10, a, b, 1], [10, 9, 9, 9], u16::from_be_bytes([c, d]), 0x2000, &[7; 64]))
        }),
        "refragments" => {
            let piece = |length: u16, fragment: u16, payload: &[u8]| {
                let mut ip = ip(6, [10, 0, 0, 1], [10, 0, 0, 2], 7, fragment, payload);
                ip[2..4].copy_from_slice(&length.to_be_bytes());
                ip
            };
            // In units of eight bytes; the first unit never comes.
            (0..4_000).try_for_each(|i| put(&piece(28, 0x2000 | (2 * i + 1), &[7; 8])))?;
            (0..n).try_for_each(|_| put(&piece(65_516, 0x2001, &[7; 8])))
        }
        "overlaps" => {
            let tcp = Tcp::of(0);
            handshake(&tcp).iter().try_for_each(|bytes| put(bytes))?;
            (0..n).try_for_each(|i| put(&tcp.up(ACK, if i % 2 == 0 { 3 + i } else { 2 + i / 2 }, 1, &[i as u8])))
        }
        "overwrites" => {
            let tcp = Tcp::of(0);
            handshake(&tcp).iter().try_for_each(|bytes| put(bytes))?;
            (0..n).try_for_each(|i| put(&tcp.up(ACK, 2 + i, 1, &[i as u8; 9])))
        }
        "attempts" => (0..n).try_for_each(|i| {
            let tcp = Tcp::of(0);
            let isn = i.wrapping_mul(0x9e37_79b9);
            put(&tcp.up(SYN, isn, 0, &[]))?;
            put(&tcp.down(RST | ACK, 0, isn.wrapping_add(1), &[]))
        }),
        other => Err(io::Error::new(ErrorKind::InvalidInput, format!("there is no kind '{other}'"))),
    }
}

/// A client and a server of their own for each number.
struct Tcp {
    client: ([u8; 4], u16),
    server: ([u8; 4], u16),
    sack: bool,
}

impl Tcp {
    const fn of(i: u32) -> Self {
        let [a, b, c, d] = i.to_be_bytes();
        Self { client: ([10, a, b, c], 1_024 + d as u16), server: ([11, c, d, b], 80 + a as u16), sack: false }
    }

    /// A segment of the client's, with sequence and acknowledgement number.
    fn up(&self, flags: u8, seq: u32, ack: u32, payload: &[u8]) -> Vec<u8> {
        self.segment(self.client, self.server, flags, seq, ack, payload)
    }

    /// One of the server's.
    fn down(&self, flags: u8, seq: u32, ack: u32, payload: &[u8]) -> Vec<u8> {
        self.segment(self.server, self.client, flags, seq, ack, payload)
    }

    fn segment(
        &self,
        from: ([u8; 4], u16),
        to: ([u8; 4], u16),
        flags: u8,
        seq: u32,
        ack: u32,
        payload: &[u8],
    ) -> Vec<u8> {
        let options: &[u8] = if self.sack { &[1, 1, 5, 10, 0, 0, 1, 0, 0, 0, 2, 0] } else { &[] };
        let mut tcp = [from.1.to_be_bytes(), to.1.to_be_bytes()].concat();
        tcp.extend([seq.to_be_bytes(), ack.to_be_bytes()].concat());
        tcp.extend([(5 + options.len() as u8 / 4) << 4, flags, 0xff, 0xff, 0, 0, 0, 0]);
        tcp.extend([options, payload].concat());
        ip(6, from.0, to.0, seq as u16, 0x4000, &tcp)
    }
}

fn handshake(tcp: &Tcp) -> [Vec<u8>; 3] {
    [tcp.up(SYN, 0, 0, &[]), tcp.down(SYN | ACK, 0, 1, &[]), tcp.up(ACK, 1, 1, &[])]
}

fn ip(protocol: u8, from: [u8; 4], to: [u8; 4], id: u16, fragment: u16, payload: &[u8]) -> Vec<u8> {
    let mut ip = vec![0x45, 0];
    ip.extend((payload.len() as u16 + 20).to_be_bytes());
    ip.extend([id.to_be_bytes(), fragment.to_be_bytes()].concat());
    ip.extend([64, protocol, 0, 0]);
    ip.extend([from, to].concat());
    ip.extend(payload);
    ip
}

fn pcap(out: &mut Out<'_>, link: u32) -> io::Result<()> {
    out.write_all(&[0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])?;
    out.write_all(&link.to_le_bytes())
}

/// A packet record; a thousand a second.
fn record(out: &mut Out<'_>, number: u32, bytes: &[u8]) -> io::Result<()> {
    header(out, number, bytes.len() as u32)?;
    out.write_all(bytes)
}

/// Its packet had been longer than any on the wire, so that the lengths in its headers are believed.
fn header(out: &mut Out<'_>, number: u32, length: u32) -> io::Result<()> {
    let words = [1_700_000_000 + number / 1_000, number % 1_000 * 1_000, length, length.max(u16::MAX.into())];
    words.iter().try_for_each(|word| out.write_all(&word.to_le_bytes()))
}

fn zeros(out: &mut Out<'_>, number: u32, length: u32) -> io::Result<()> {
    header(out, number, length)?;
    (0..length / 1_024).try_for_each(|_| out.write_all(&[0; 1_024]))
}

fn section(out: &mut Out<'_>) -> io::Result<()> {
    let magic = [0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0];
    block(out, 0x0a0d_0d0a, &[&magic[..], &[0xff; 8]].concat())
}

fn block(out: &mut Out<'_>, kind: u32, body: &[u8]) -> io::Result<()> {
    let length = (body.len() as u32 + 12).to_le_bytes();
    out.write_all(&kind.to_le_bytes())?;
    out.write_all(&length)?;
    out.write_all(body)?;
    out.write_all(&length)
}
