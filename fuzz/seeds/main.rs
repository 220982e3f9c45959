//! What the fuzzer begins with. In: the bundled captures, the packet scripts, and folders of captures. Out: a folder of inputs a target.
//!
//! The first argument is where the folders go, `fuzz/corpus` without one; the others are folders of more captures.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};

use finwait::capture::Savefile;
use finwait::script::parse::{Numbers, Script};
use finwait::script::run::{self, Passing};
use finwait::tcp::segment::{Addressed, HostPort, Segment};
use finwait::time::Timestamp;

#[path = "../bodies/mod.rs"]
#[allow(dead_code, reason = "only the forms of inputs are wanted here")]
mod bodies;

#[path = "../../tests/common/mod.rs"]
mod common;

use bodies::analysis::{Talk, ends, has, odd, who};
use bodies::decode::LINKS;
use common::{Container, Link};

/// The longest input that is worth mutating.
const MOST: usize = 8 << 10;
/// Packets of a capture in an input of the decoder.
const A_LOT: usize = 8;

fn main() -> io::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let corpus = arguments.next().unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus"));
    let write = |target: &str, input: &[u8]| write(&corpus.join(target), input);
    let mut captures = files(&root.join("captures"))?;
    captures.extend(files(&root.join("tests/kernel/recorded"))?);
    for folder in arguments {
        captures.extend(files(&folder)?);
    }
    for path in captures {
        let Ok(mut savefile) = Savefile::open(&path) else { continue };
        let bytes = fs::read(&path)?;
        write("containers", &bytes[..bytes.len().min(MOST)])?;
        write("capture", &bytes[..bytes.len().min(MOST)])?;
        let (mut packets, mut input) = (0, Vec::new());
        while let Ok(Some(packet)) = savefile.next() {
            let Some(link) = LINKS.iter().position(|&link| link == packet.link.0) else { continue };
            let kept = &packet.data[..packet.data.len().min(400)];
            let cut = u8::from((kept.len() as u32) < packet.wire_len);
            input.push(link as u8 | cut << 5);
            input.extend((kept.len() as u16).to_le_bytes());
            input.extend(kept);
            packets += 1;
            if packets % A_LOT == 0 {
                write("decode", &std::mem::take(&mut input))?;
            }
            if packets == 10 * A_LOT {
                break;
            }
        }
        write("decode", &input)?;
    }
    let mut folders = vec![root.join("tests/scripts")];
    while let Some(folder) = folders.pop() {
        for path in files(&folder)? {
            if path.is_dir() {
                folders.push(path);
            } else {
                script(&fs::read_to_string(&path)?, &write)?;
            }
        }
    }
    Ok(())
}

fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    found.sort();
    Ok(found)
}

fn write(folder: &Path, input: &[u8]) -> io::Result<()> {
    let mut hasher = DefaultHasher::new();
    input.hash(&mut hasher);
    fs::create_dir_all(folder)?;
    fs::write(folder.join(format!("seed-{:016x}", hasher.finish())), input)
}

fn script(text: &str, write: &dyn Fn(&str, &[u8]) -> io::Result<()>) -> io::Result<()> {
    let numbers = Numbers::default();
    let Ok(script) = Script::parse(text, numbers) else { return Ok(()) };
    let alone = if script.alone { who::ALONE } else { 0 };
    let packets = run::wire(&script, ends(alone));
    write("analysis", &events(&packets, alone))?;
    let wired = run::wire(&script, [ends(0)[0], ends(0)[1]]);
    let which = text.len() % Link::ALL.len();
    let file = Container::ALL[text.len() % Container::ALL.len()].file(Link::ALL[which], &wired);
    if file.len() <= MOST {
        write("capture", &file)?;
    }
    Ok(())
}

/// A conversation as the target for the analysis reads it.
fn events(packets: &[Passing], alone: u8) -> Vec<u8> {
    let (mut bytes, mut talk, mut last) = (vec![0], Talk::default(), None::<Timestamp>);
    for packet in packets {
        let (Passing::Segment(Addressed { segment: Segment { ts, .. }, src, dst, .. })
        | Passing::Undelivered(finwait::tcp::segment::Undelivered { ts, src, dst, .. })) = packet;
        let mut first = alone;
        if *src != ends(alone)[0] {
            first |= who::SERVER;
        }
        let micros = last.map_or(0, |last| ts.since(last).as_nanos() / 1_000);
        last = Some(*ts);
        match packet {
            Passing::Segment(addressed) => {
                bytes.push(first);
                number(&mut bytes, micros);
                segment(&mut bytes, &mut talk, &addressed.segment, [*src, *dst]);
                talk.sent(addressed);
            }
            Passing::Undelivered(icmp) => {
                bytes.push(first | who::UNDELIVERED);
                number(&mut bytes, micros);
                number(&mut bytes, i64::from(talk.of(*src, *dst).seq.wrapping_sub(icmp.seq.raw()) as i32));
            }
        }
    }
    bytes
}

fn segment(bytes: &mut Vec<u8>, talk: &mut Talk, segment: &Segment, [src, dst]: [HostPort; 2]) {
    let (own, peer) = (*talk.of(src, dst), *talk.of(dst, src));
    let from = |value: u32, base: u32| i64::from(value.wrapping_sub(base) as i32);
    let mut fields = Vec::new();
    let mut which = 0;
    let mut tell = |bit: u8, values: &[i64]| {
        if values.iter().any(|&value| value != 0) || matches!(bit, has::TIMESTAMPS | has::SACK) {
            which |= bit;
            values.iter().for_each(|&value| number(&mut fields, value));
        }
    };
    tell(has::SEQ, &[from(segment.seq.raw(), own.seq)]);
    tell(has::ACK, &[from(segment.ack.raw(), peer.seq)]);
    tell(has::PAYLOAD, &[segment.payload_len.into()]);
    tell(has::WINDOW, &[i64::from(segment.window.wrapping_sub(1_000) as i16)]);
    tell(has::ID, &[i64::from(segment.ip_id.unwrap_or(own.id).wrapping_sub(own.id) as i16)]);
    if let Some((value, echo)) = segment.options.timestamps {
        tell(has::TIMESTAMPS, &[from(value, own.clock), from(echo, peer.clock)]);
    }
    if let Some((left, right)) = segment.options.sack {
        tell(has::SACK, &[from(left.raw(), peer.seq), from(right.raw(), peer.seq)]);
    }
    let odd = if segment.bad_checksum { odd::BAD_CHECKSUM } else { 0 };
    bytes.extend([segment.flags.bits() | odd, which]);
    bytes.extend(fields);
}

/// As `Bytes::number` reads it.
fn number(bytes: &mut Vec<u8>, value: i64) {
    let mut bits = (value << 1 ^ value >> 63) as u64;
    while bits > 0x7f {
        bytes.push(bits as u8 | 0x80);
        bits >>= 7;
    }
    bytes.push(bits as u8);
}
