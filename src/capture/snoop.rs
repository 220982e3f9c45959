//! Solaris' container. In: a window on its bytes. Out: where each packet lies in it.
//!
//! Format: RFC 1761, with the datalink types of RFC 3827. All numbers are big-endian; every record tells its own length with its padding.

use nom::number::Endianness;

use super::LinkType;
use super::error::Problem;
use super::foreign::LOOKED_AT;
use super::window::{Found, Window};
use super::words::{Parsed, words};
use crate::time::{NANOS_PER_SEC, Timestamp};

const MAGIC: &[u8; 8] = b"snoop\0\0\0";
/// The only version there has been; Shomiti's analyzers wrote 3 to 5, whose link types mean something else.
const VERSION: u32 = 2;
/// Bytes of the file's header: magic number, version, datalink type.
const FILE_HEADER: usize = 16;
/// Bytes of a record's header.
const RECORD_HEADER: usize = 24;
/// Writers pad to four bytes; more than a page of padding is a damaged length.
const MOST_PADDING: u32 = 4096;

/// What the file has told up to here.
#[derive(Debug)]
pub(super) struct Snoop {
    link: LinkType,
    longest: u32,
    /// The last record's cumulative count.
    drops: Option<u64>,
}

/// A record's header.
struct Record {
    wire_len: u32,
    captured: u32,
    /// Header and padding included.
    length: u32,
    drops: u32,
    seconds: u32,
    micros: u32,
}

/// A file beginning so is in this container, if the rest of its magic number follows.
pub(super) fn is_ours(first: &[u8]) -> bool {
    first.starts_with(&MAGIC[..4])
}

/// The `LINKTYPE_` of a datalink type (RFC 3827 section 4; `sys/dlpi.h`). What nobody decodes has no number there, and gets one of
/// its own.
const fn link_type(datalink: u32) -> LinkType {
    match datalink {
        0 | 4 => LinkType::ETHERNET,
        2 => LinkType(6),
        8 => LinkType(10),
        // "Other" and software loopback.
        9 | 14 => LinkType::NULL,
        10 => LinkType(107),
        16 => LinkType(122),
        18 => LinkType(123),
        26 => LinkType(242),
        _ => LinkType::UNKNOWN,
    }
}

impl Snoop {
    /// Takes the file's header. `is_ours` must have said so.
    pub(super) fn open(window: &mut Window) -> Result<Self, Box<Problem>> {
        let whole = window.fill(FILE_HEADER)?;
        let (place, held) = (window.place(), window.bytes());
        let Some(rest) = held.strip_prefix(MAGIC) else {
            let (first, inside) = (held.iter().copied().take(LOOKED_AT).collect(), window.compression());
            return Err(Box::new(Problem::NotACapture { first, inside }));
        };
        let cut = || Box::new(Problem::CutHeader { have: held.len() as u64, want: FILE_HEADER as u64 });
        if !whole {
            return Err(cut());
        }
        let (_, [version, datalink]) = words(Endianness::Big, rest).map_err(|_| cut())?;
        if version != VERSION {
            let (version, known) = (version.to_string(), "2 is");
            return Err(Box::new(Problem::Version { container: "snoop", version, known, place }));
        }
        window.take(FILE_HEADER);
        let link = link_type(datalink);
        Ok(Self { link, longest: link.longest_packet(), drops: None })
    }

    /// Takes the next record, which would be packet `number`; `None` where the file ends between records.
    #[inline(never)]
    pub(super) fn next(&mut self, window: &mut Window, number: u64) -> Result<Option<Found>, Box<Problem>> {
        let whole = window.fill(RECORD_HEADER)?;
        let held = window.bytes();
        if held.is_empty() {
            return Ok(None);
        }
        let (place, have) = (window.place(), held.len() as u64);
        let cut = |have: u64, want: usize, header| {
            Box::new(Problem::CutRecord { record: number, place, have, want: want as u64, header })
        };
        let Some((_, record)) = record(held).ok().filter(|_| whole) else { return Err(cut(have, RECORD_HEADER, true)) };
        if record.captured > self.longest {
            let (claimed, most) = (record.captured.into(), self.longest.into());
            return Err(Box::new(Problem::LongRecord { record: number, place, claimed, most }));
        }
        let least = RECORD_HEADER as u32 + record.captured;
        if !(least..=least + MOST_PADDING).contains(&record.length) {
            let (length, captured) = (record.length.into(), record.captured.into());
            return Err(Box::new(Problem::BadRecord { record: number, place, length, captured }));
        }
        let length = record.length as usize;
        // The padding of the last record is left out by some writers, and nobody misses it.
        if !window.fill(length)? && window.bytes().len() < least as usize {
            let have = window.bytes().len().saturating_sub(RECORD_HEADER) as u64;
            return Err(cut(have, record.captured as usize, false));
        }
        let taken = window.take(length);
        let data = taken.start + RECORD_HEADER..taken.start + least as usize;
        self.drops = Some(record.drops.into());
        let nanos = i64::from(record.seconds) * NANOS_PER_SEC + i64::from(record.micros) * 1_000;
        let ts = Some(Timestamp::from_nanos(nanos));
        Ok(Some(Found { ts, link: self.link, interface: 0, wire_len: record.wire_len, data }))
    }

    /// Packets that the system says it lost between the first record and the last; `None` without a record.
    pub(super) fn drops(&self) -> Option<u64> {
        self.drops
    }
}

/// Original length, included length, record length, cumulative drops, seconds, microseconds.
fn record(input: &[u8]) -> Parsed<'_, Record> {
    let (rest, [wire_len, captured, length, drops, seconds, micros]) = words(Endianness::Big, input)?;
    Ok((rest, Record { wire_len, captured, length, drops, seconds, micros }))
}
