//! The classic container. In: a window on its bytes. Out: where each packet lies in it.
//!
//! Format: `pcap-savefile(5)`, draft-ietf-opsawg-pcap. Every variant that libpcap reads is read here, as libpcap does:
//! both byte orders; microseconds, nanoseconds and Kuznetzov's "modified" records; lengths swapped before version 2.3.

use nom::Parser;
use nom::number::Endianness;
use nom::number::complete::{u16, u32};

use super::LinkType;
use super::error::Problem;
use super::window::{Found, Window};
use super::words::{Parsed, word, words};
use crate::time::{NANOS_PER_SEC, Timestamp};

/// Bytes of the file's header.
const FILE_HEADER: usize = 24;
/// Bytes of a record's header.
const RECORD_HEADER: usize = 16;
/// Kuznetzov's records say more: interface index, protocol and packet type, with a byte of padding.
const MODIFIED_RECORD_HEADER: usize = 24;

/// What the magic number tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flavour {
    Micro,
    Nano,
    Modified,
}

/// Which of a record's two lengths comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lengths {
    /// Captured, original: version 2.4.
    CapturedFirst,
    /// Original, captured: before 2.3, and DG/UX's 543.0.
    OriginalFirst,
    /// Version 2.3 changed the order, but not all its writers did: the smaller one is the captured length.
    SmallerIsCaptured,
}

/// What the file's header says, and so how its records are read.
#[derive(Debug)]
pub(super) struct Pcap {
    order: Endianness,
    flavour: Flavour,
    lengths: Lengths,
    /// Nanoseconds in a unit of the fraction.
    tick: i64,
    record_header: usize,
    link: LinkType,
    longest: u32,
    snaplen: u32,
}

/// What the first four bytes tell, if they are a magic number of this container.
fn magic(first: &[u8]) -> Option<(Endianness, Flavour)> {
    [Endianness::Little, Endianness::Big].into_iter().find_map(|order| {
        let flavour = match words(order, first).ok()?.1 {
            [0xa1b2_c3d4] => Flavour::Micro,
            [0xa1b2_3c4d] => Flavour::Nano,
            [0xa1b2_cd34] => Flavour::Modified,
            _ => return None,
        };
        Some((order, flavour))
    })
}

/// A file beginning so is in this container.
pub(super) fn is_ours(first: &[u8]) -> bool {
    magic(first).is_some()
}

/// Version, snap length, link type. Time zone and accuracy are always 0 and left.
fn file_header(order: Endianness, input: &[u8]) -> Parsed<'_, (u16, u16, u32, u32)> {
    let (rest, _magic) = u32(order).parse(input)?;
    let (rest, (major, minor)) = (u16(order), u16(order)).parse(rest)?;
    let (rest, [_zone, _accuracy, snaplen, network]) = words(order, rest)?;
    Ok((rest, (major, minor, snaplen, network)))
}

impl Pcap {
    /// Takes the file's header. `is_ours` must have said so.
    pub(super) fn open(window: &mut Window) -> Result<Self, Box<Problem>> {
        let whole = window.fill(FILE_HEADER)?;
        let (place, held) = (window.place(), window.bytes());
        let cut = || Box::new(Problem::CutHeader { have: held.len() as u64, want: FILE_HEADER as u64 });
        let (order, flavour) = magic(held).ok_or_else(cut)?;
        if !whole {
            return Err(cut());
        }
        let (_, (major, minor, snaplen, network)) = file_header(order, held).map_err(|_| cut())?;
        let lengths = match (major, minor) {
            (2, 0..=2) | (543, 0) => Lengths::OriginalFirst,
            (2, 3) => Lengths::SmallerIsCaptured,
            (2, 4) => Lengths::CapturedFirst,
            _ => {
                let (version, known) = (format!("{major}.{minor}"), "2.0 to 2.4 and 543.0 are");
                return Err(Box::new(Problem::Version { container: "pcap", version, known, place }));
            }
        };
        // The upper six bits tell the length of the frame check sequence; the ten below them are always 0.
        let link = u16::try_from(network & 0x03ff_ffff).map_err(|_| Box::new(Problem::HeaderLink(network)))?;
        let record_header = if flavour == Flavour::Modified { MODIFIED_RECORD_HEADER } else { RECORD_HEADER };
        let tick = if flavour == Flavour::Nano { 1 } else { 1_000 };
        window.take(FILE_HEADER);
        let link = LinkType(link);
        Ok(Self { order, flavour, lengths, tick, record_header, link, longest: link.longest_packet(), snaplen })
    }

    /// Takes the next record, which would be packet `number`; `None` where the file ends between records.
    #[inline(always)]
    pub(super) fn next(&mut self, window: &mut Window, number: u64) -> Result<Option<Found>, Box<Problem>> {
        if !window.fill(self.record_header)? {
            return self.end(window, number).map(|()| None);
        }
        let Some((seconds, fraction, captured, wire_len)) = self.record_header(window.bytes()) else {
            return self.end(window, number).map(|()| None);
        };
        if captured > self.longest {
            return Err(self.too_long(window, number, captured));
        }
        if !window.fill(self.record_header + captured as usize)? {
            return Err(self.cut(window, number, captured));
        }
        let record = window.take(self.record_header + captured as usize);
        let data = record.start + self.record_header..record.end;
        // Neither product nor sum leaves 63 bits: 2^32 × 10^9 + 2^32 × 10^3. A fraction over a second is just added.
        let nanos = i64::from(seconds) * NANOS_PER_SEC + i64::from(fraction) * self.tick;
        Ok(Some(Found { ts: Some(Timestamp::from_nanos(nanos)), link: self.link, interface: 0, wire_len, data }))
    }

    /// Seconds, fraction, captured length, length on the wire. By hand: every packet passes here.
    #[inline(always)]
    fn record_header(&self, input: &[u8]) -> Option<(u32, u32, u32, u32)> {
        let fields = input.first_chunk::<RECORD_HEADER>()?.as_chunks().0.first_chunk::<4>()?;
        let [seconds, fraction, first, second] = fields.map(|field| word(self.order, field));
        let swapped = match self.lengths {
            Lengths::CapturedFirst => false,
            Lengths::OriginalFirst => true,
            Lengths::SmallerIsCaptured => first > second,
        };
        Some(if swapped { (seconds, fraction, second, first) } else { (seconds, fraction, first, second) })
    }

    /// Where a record should begin: the end of the file is a good one between records only.
    #[cold]
    fn end(&self, window: &Window, record: u64) -> Result<(), Box<Problem>> {
        match window.bytes().len() as u64 {
            0 => Ok(()),
            have => {
                let (place, want) = (window.place(), self.record_header as u64);
                Err(Box::new(Problem::CutRecord { record, place, have, want, header: true }))
            }
        }
    }

    #[cold]
    fn cut(&self, window: &Window, record: u64, captured: u32) -> Box<Problem> {
        let have = window.bytes().len().saturating_sub(self.record_header) as u64;
        Box::new(Problem::CutRecord { record, place: window.place(), have, want: captured.into(), header: false })
    }

    #[cold]
    fn too_long(&self, window: &Window, record: u64, captured: u32) -> Box<Problem> {
        let most = self.longest.into();
        Box::new(Problem::LongRecord { record, place: window.place(), claimed: captured.into(), most })
    }

    /// Decimal places of a second in its times.
    pub(super) const fn decimals(&self) -> u8 {
        if self.tick == 1 { 9 } else { 6 }
    }

    /// What distinguishes the variant, for [`super::Info::format`].
    pub(super) fn detail(&self) -> Option<&'static str> {
        match self.flavour {
            Flavour::Micro => None,
            Flavour::Nano => Some("ns"),
            Flavour::Modified => Some("modified"),
        }
    }

    /// The most bytes of a packet that were kept; `None` for the 0 that some programs write.
    pub(super) fn snaplen(&self) -> Option<u32> {
        (self.snaplen > 0).then_some(self.snaplen)
    }
}
