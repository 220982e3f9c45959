//! The floor under every packet analysis. In: a classic pcap of Ethernet, or `-`. Out: counts and a checksum of the work.
//!
//! It does what nobody can leave out and nothing else: reads through a reused buffer, walks the records, parses Ethernet, VLAN,
//! IPv4, IPv6 and TCP headers, and updates the flow's 64 bytes in a hash table. What finwait costs is told against it.

use std::env;
use std::fs::File;
use std::io::{self, Read, Write};
use std::mem;
use std::process::ExitCode;

const HELP: &str = "\
Usage: floor [--walk | --parse | --batch N] FILE

Reads a classic little-endian pcap of Ethernet (`-`: standard input).
  --walk     walks over the records only
  --parse    walks and parses headers
  --batch N  parses N packets (1 to 64) first, asks memory for their table entries, then updates them
Without an option it parses and updates packet by packet.
";

const BUFFER: usize = 256 << 10;
const RECORD: usize = 16;
/// No packet of the benchmark is longer; a longer one would not fit the buffer.
const LONGEST: usize = BUFFER - RECORD;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Work {
    Walk,
    Parse,
    Table,
}

/// A connection's two ends, the lesser first, so that both directions meet in one entry.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Key([u64; 5]);

/// What the table needs of a segment.
#[derive(Clone, Copy, Default)]
struct Seen {
    key: Key,
    hash: u64,
    /// Microseconds since 1970.
    at: u64,
    seq: u32,
    length: u16,
    flags: u8,
    second: bool,
}

/// A flow, one cache line: the key takes 40 bytes, a count 4, the newest time and numbers the rest.
#[derive(Clone, Copy, Default)]
#[repr(C, align(64))]
struct Entry {
    key: Key,
    at: u64,
    /// The last sequence number of each direction.
    seq: [u32; 2],
    /// 0: the entry is free.
    packets: u32,
    /// Payload and flags folded; the sum over all entries shows that the work was done.
    folded: u32,
}

/// Open addressing with linear probing, at most seven eighths full.
struct Table {
    entries: Vec<Entry>,
    used: usize,
}

impl Table {
    fn new() -> Self {
        Self { entries: vec![Entry::default(); 1 << 12], used: 0 }
    }

    fn place(&self, hash: u64) -> usize {
        hash as usize & (self.entries.len() - 1)
    }

    /// Asks memory for the entry that `hash` leads to, without waiting for it.
    fn prefetch(&self, hash: u64) {
        let entry = &raw const self.entries[self.place(hash)];
        #[cfg(target_arch = "x86_64")]
        #[expect(
            unsafe_code,
            reason = "the standard library has no safe prefetch; the address is inside the table, and a hint reads nothing"
        )]
        unsafe {
            std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(entry.cast());
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = entry;
    }

    fn update(&mut self, seen: &Seen) {
        let mut place = self.place(seen.hash);
        loop {
            let entry = &mut self.entries[place];
            if entry.packets == 0 {
                entry.key = seen.key;
                self.used += 1;
            } else if entry.key != seen.key {
                place = self.place(place as u64 + 1);
                continue;
            }
            entry.packets = entry.packets.wrapping_add(1).max(1);
            entry.at = seen.at;
            entry.seq[usize::from(seen.second)] = seen.seq;
            entry.folded = entry.folded.rotate_left(5) ^ u32::from(seen.length) ^ u32::from(seen.flags) << 16;
            break;
        }
        if self.used * 8 > self.entries.len() * 7 {
            self.grow();
        }
    }

    #[cold]
    fn grow(&mut self) {
        let bigger = vec![Entry::default(); self.entries.len() * 2];
        for entry in mem::replace(&mut self.entries, bigger) {
            if entry.packets > 0 {
                let mut place = self.place(entry.key.hash());
                while self.entries[place].packets > 0 {
                    place = self.place(place as u64 + 1);
                }
                self.entries[place] = entry;
            }
        }
    }
}

impl Key {
    fn v4(src: &[u8; 4], dst: &[u8; 4], ports: (u16, u16)) -> (Self, bool) {
        let (from, to) = (u64::from(u32::from_be_bytes(*src)), u64::from(u32::from_be_bytes(*dst)));
        let (first, second) = (from << 16 | u64::from(ports.0), to << 16 | u64::from(ports.1));
        (Self([first.min(second), first.max(second), 0, 0, 4]), first > second)
    }

    fn v6(src: &[u8; 16], dst: &[u8; 16], ports: (u16, u16)) -> (Self, bool) {
        let (from, to) = (u128::from_be_bytes(*src), u128::from_be_bytes(*dst));
        let swapped = (from, ports.0) > (to, ports.1);
        let ((from, low), (to, high)) =
            if swapped { ((to, ports.1), (from, ports.0)) } else { ((from, ports.0), (to, ports.1)) };
        let halves = [(from >> 64) as u64, from as u64, (to >> 64) as u64, to as u64];
        let ports = u64::from(low) << 16 | u64::from(high) | 6 << 32;
        (Self([halves[0], halves[1], halves[2], halves[3], ports]), swapped)
    }

    fn hash(&self) -> u64 {
        let fold = |hash: u64, word: &u64| (hash ^ word).wrapping_mul(0xff51_afd7_ed55_8ccd).rotate_left(29);
        let hash = self.0.iter().fold(0, fold);
        hash ^ hash >> 32
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "-h" || argument == "--help") {
        return told(io::stdout().write_all(HELP.as_bytes()));
    }
    match parse(&arguments) {
        Ok((work, batch, path)) => told(run(work, batch, &path)),
        Err(problem) => told(Err(io::Error::other(format!("{problem}; see floor --help")))),
    }
}

fn told(result: io::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nowhere to report that standard error is closed.
            let _ = writeln!(io::stderr(), "floor: {error}");
            ExitCode::from(2)
        }
    }
}

fn parse(arguments: &[String]) -> Result<(Work, usize, String), String> {
    let (mut work, mut batch, mut path) = (Work::Table, 1, None);
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "--walk" => work = Work::Walk,
            "--parse" => work = Work::Parse,
            "--batch" => {
                let value = rest.next().and_then(|value| value.parse().ok());
                batch = value.filter(|size| (1..=64).contains(size)).ok_or("--batch needs a number from 1 to 64")?;
            }
            name if (name == "-" || !name.starts_with('-')) && path.is_none() => path = Some(name.to_owned()),
            other => return Err(format!("'{other}' is not understood")),
        }
    }
    Ok((work, batch, path.ok_or("a capture is needed")?))
}

fn run(work: Work, batch: usize, path: &str) -> io::Result<()> {
    let mut reader: Box<dyn Read> =
        if path == "-" { Box::new(io::stdin().lock()) } else { Box::new(File::open(path)?) };
    let mut header = [0; 24];
    reader.read_exact(&mut header)?;
    if header[..4] != [0xd4, 0xc3, 0xb2, 0xa1] || header[20..] != [1, 0, 0, 0] {
        return Err(io::Error::other(format!("{path}: not a little-endian pcap of Ethernet with microseconds")));
    }
    let mut floor = Floor { work, batch, pending: Vec::with_capacity(batch), table: Table::new(), segments: 0, sum: 0 };
    let packets = walk(&mut *reader, |at, packet| floor.packet(at, packet))?;
    floor.apply();
    let Floor { table, segments, sum, .. } = floor;
    let sum = table.entries.iter().fold(sum, |sum, entry| sum.wrapping_add(u64::from(entry.folded)));
    writeln!(io::stdout(), "{packets} packets, {segments} segments, {} flows, checksum {sum:016x}", table.used)
}

/// Gives each record's time and bytes to `packet`; returns how many there were.
fn walk(reader: &mut dyn Read, mut packet: impl FnMut(u64, &[u8])) -> io::Result<u64> {
    let mut buffer = vec![0; BUFFER];
    let (mut start, mut end, mut packets) = (0, 0, 0);
    loop {
        while let Some((record, rest)) = buffer[start..end].split_first_chunk::<RECORD>() {
            let kept = word(record, 8) as usize;
            if kept > LONGEST {
                return Err(io::Error::other(format!("packet {} claims {kept} bytes", packets + 1)));
            }
            let Some(bytes) = rest.get(..kept) else { break };
            packet(u64::from(word(record, 0)) * 1_000_000 + u64::from(word(record, 4)), bytes);
            start += RECORD + kept;
            packets += 1;
        }
        buffer.copy_within(start..end, 0);
        (end, start) = (end - start, 0);
        match reader.read(&mut buffer[end..])? {
            0 if end == 0 => return Ok(packets),
            0 => return Err(io::Error::other("the last record is cut")),
            n => end += n,
        }
    }
}

fn word(bytes: &[u8; RECORD], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

struct Floor {
    work: Work,
    batch: usize,
    pending: Vec<Seen>,
    table: Table,
    segments: u64,
    sum: u64,
}

impl Floor {
    fn packet(&mut self, at: u64, packet: &[u8]) {
        if self.work == Work::Walk {
            self.sum = self.sum.wrapping_add(at ^ packet.len() as u64);
            return;
        }
        let Some(mut seen) = segment(packet) else { return };
        self.segments += 1;
        seen.at = at;
        if self.work == Work::Parse {
            self.sum = self.sum.rotate_left(1) ^ seen.hash ^ u64::from(seen.seq) ^ u64::from(seen.length);
        } else if self.batch == 1 {
            self.table.update(&seen);
        } else {
            self.table.prefetch(seen.hash);
            self.pending.push(seen);
            if self.pending.len() == self.batch {
                self.apply();
            }
        }
    }

    fn apply(&mut self) {
        for seen in self.pending.drain(..) {
            self.table.update(&seen);
        }
    }
}

/// The TCP segment in an Ethernet frame, by straight-line code; `None` for everything else.
fn segment(frame: &[u8]) -> Option<Seen> {
    let (link, mut rest) = frame.split_first_chunk::<14>()?;
    let mut kind = u16::from_be_bytes([link[12], link[13]]);
    while kind == 0x8100 || kind == 0x88a8 {
        let (tag, behind) = rest.split_first_chunk::<4>()?;
        (kind, rest) = (u16::from_be_bytes([tag[2], tag[3]]), behind);
    }
    match kind {
        0x0800 => {
            let ip = rest.first_chunk::<20>()?;
            let header = usize::from(ip[0] & 0xf) * 4;
            let fragment = u16::from_be_bytes([ip[6], ip[7]]) & 0x3fff;
            if ip[9] != 6 || ip[0] >> 4 != 4 || header < 20 || fragment != 0 {
                return None;
            }
            let length = u16::from_be_bytes([ip[2], ip[3]]).checked_sub(header as u16)?;
            let addresses = (ip[12..].first_chunk()?, ip[16..].first_chunk()?);
            tcp(rest.get(header..)?, length, |ports| Key::v4(addresses.0, addresses.1, ports))
        }
        0x86dd => {
            let (ip, rest) = rest.split_first_chunk::<40>()?;
            if ip[6] != 6 || ip[0] >> 4 != 6 {
                return None;
            }
            let addresses = (ip[8..].first_chunk()?, ip[24..].first_chunk()?);
            tcp(rest, u16::from_be_bytes([ip[4], ip[5]]), |ports| Key::v6(addresses.0, addresses.1, ports))
        }
        _ => None,
    }
}

fn tcp(bytes: &[u8], length: u16, key: impl FnOnce((u16, u16)) -> (Key, bool)) -> Option<Seen> {
    let tcp = bytes.first_chunk::<20>()?;
    let header = u16::from(tcp[12] >> 4) * 4;
    let length = length.checked_sub(header).filter(|_| header >= 20)?;
    let ports = (u16::from_be_bytes([tcp[0], tcp[1]]), u16::from_be_bytes([tcp[2], tcp[3]]));
    let (key, second) = key(ports);
    let seq = u32::from_be_bytes([tcp[4], tcp[5], tcp[6], tcp[7]]);
    Some(Seen { key, hash: key.hash(), at: 0, seq, length, flags: tcp[13], second })
}
