//! The block container. In: a window on its bytes. Out: where each packet lies in it.
//!
//! Format: draft-ietf-opsawg-pcapng. Sections may differ in byte order; interfaces, in link type, clock and snap length.
//! Blocks of any other kind (names, secrets, custom, unknown) are stepped over.

mod interface;

use nom::Parser;
use nom::bytes::complete::take;
use nom::number::Endianness;
use nom::number::complete::u16;

use self::interface::Interface;
use super::error::{Problem, grouped};
use super::foreign::LOOKED_AT;
use super::info::Interface as Described;
use super::window::{Found, Window};
use super::words::{Parsed, word, words};

/// Section header: the same in both byte orders.
const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
/// The packet block of old, which still has a drop counter of its own.
const OBSOLETE_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const STATISTICS: u32 = 5;
const ENHANCED_PACKET: u32 = 6;

/// What tells a section's byte order.
const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;
/// Type, length, and the length again at the end.
const FRAME: usize = 12;
/// Type and length.
const HEAD: usize = 8;
/// The shortest section header.
const SECTION_HEADER: usize = 28;
/// A longer block is a damaged length. As for libpcap; a packet of 256 KiB with its options and the longest lists of names
/// and secrets fit many times over.
const LONGEST_BLOCK: usize = 16 << 20;
/// More interfaces in a section are an attack on the memory. The obsolete packet block can name no more.
const MOST_INTERFACES: usize = 1 << 16;
/// A packet's share of drops that nobody counted.
const NOT_COUNTED: u16 = u16::MAX;

/// What the file has told up to here.
#[derive(Debug)]
pub(super) struct Pcapng {
    order: Endianness,
    /// Those of the present section, in the order of their descriptions.
    interfaces: Vec<Interface>,
    /// Interfaces of the sections before.
    base: u32,
    /// Drops told by the sections before.
    drops_before: Option<u64>,
    /// The widest of all interfaces; `None` when one is unlimited or there is none.
    snaplen: Option<u32>,
    unlimited: bool,
}

/// A packet block's fixed part.
struct PacketHead {
    /// In its section.
    interface: u32,
    ticks: Option<u64>,
    captured: u32,
    wire_len: u32,
    /// Packets lost since the one before it on that interface.
    drops: Option<u64>,
}

/// A file beginning so is in this container, or is a text of empty lines: its byte order mark decides.
pub(super) fn is_ours(first: &[u8]) -> bool {
    first.starts_with(&SECTION.to_be_bytes())
}

fn section_order(block: &[u8]) -> Option<Endianness> {
    let mark = block.get(HEAD..FRAME)?;
    [Endianness::Little, Endianness::Big]
        .into_iter()
        .find(|order| words(*order, mark).is_ok_and(|(_, mark)| mark == [BYTE_ORDER_MAGIC]))
}

#[cold]
fn bad(window: &Window, what: impl Into<String>) -> Box<Problem> {
    Box::new(Problem::BadBlock { place: window.place(), what: what.into() })
}

impl Pcapng {
    /// Takes the first section's header. `is_ours` must have said so.
    pub(super) fn open(window: &mut Window) -> Result<Self, Box<Problem>> {
        let cut = |have: usize| Box::new(Problem::CutHeader { have: have as u64, want: SECTION_HEADER as u64 });
        if !window.fill(FRAME)? {
            return Err(cut(window.bytes().len()));
        }
        let Some(order) = section_order(window.bytes()) else {
            let first = window.bytes().iter().copied().take(LOOKED_AT).collect();
            return Err(Box::new(Problem::NotACapture { first, inside: window.compression() }));
        };
        let interfaces = Vec::new();
        let mut reader = Self { order, interfaces, base: 0, drops_before: None, snaplen: None, unlimited: false };
        match reader.block(window, 1) {
            Ok(Some((_, len))) => {
                reader.section(window, len)?;
                window.take(len);
                Ok(reader)
            }
            Ok(None) => Err(cut(0)),
            Err(problem) => match *problem {
                Problem::CutBlock { have, want, .. } => Err(Box::new(Problem::CutHeader { have, want })),
                other => Err(Box::new(other)),
            },
        }
    }

    /// Takes blocks up to and with the next packet, which would be packet `number`; `None` where the file ends between
    /// blocks.
    #[inline(always)]
    pub(super) fn next(&mut self, window: &mut Window, number: u64) -> Result<Option<Found>, Box<Problem>> {
        match self.plain_packet(window) {
            Some(found) => Ok(Some(found)),
            None => self.search(window, number),
        }
    }

    /// Takes the next block if it is an enhanced packet without options, held whole and sound: nearly every block of nearly
    /// every file. By hand, and nothing is taken of any other.
    #[inline(always)]
    fn plain_packet(&mut self, window: &mut Window) -> Option<Found> {
        const HEAD: usize = 28;
        let (head, rest) = window.bytes().split_first_chunk::<HEAD>()?;
        let fields = head.as_chunks().0.first_chunk::<7>()?;
        let [kind, len, interface, high, low, captured, wire_len] = fields.map(|field| word(self.order, field));
        let padded = captured.checked_next_multiple_of(4)?;
        if kind != ENHANCED_PACKET || padded as usize > LONGEST_BLOCK || len != padded + 32 {
            return None;
        }
        let repeated = rest.get(padded as usize..)?.first_chunk::<4>()?;
        let described = self.interfaces.get(interface as usize)?;
        if word(self.order, *repeated) != len {
            return None;
        }
        let ts = Some(described.clock.at(u64::from(high) << 32 | u64::from(low)));
        let (link, interface) = (described.link, self.base.saturating_add(interface));
        let block = window.take(len as usize);
        let data = block.start + HEAD..block.start + HEAD + captured as usize;
        Some(Found { ts, link, interface, wire_len, data })
    }

    #[inline(never)]
    fn search(&mut self, window: &mut Window, number: u64) -> Result<Option<Found>, Box<Problem>> {
        while let Some((kind, len)) = self.block(window, number)? {
            let head = match kind {
                ENHANCED_PACKET => self.packet(window, len, enhanced_packet)?,
                SIMPLE_PACKET => self.packet(window, len, simple_packet)?,
                OBSOLETE_PACKET => self.packet(window, len, obsolete_packet)?,
                other => {
                    match other {
                        SECTION => self.section(window, len)?,
                        INTERFACE => self.interface(window, len)?,
                        STATISTICS => self.statistics(window, len),
                        _ => {}
                    }
                    window.take(len);
                    continue;
                }
            };
            return Ok(Some(head));
        }
        Ok(None)
    }

    /// Brings the next block whole into the window: its type and length. A section's header sets the byte order first.
    #[inline]
    fn block(&mut self, window: &mut Window, number: u64) -> Result<Option<(u32, usize)>, Box<Problem>> {
        if !window.fill(FRAME)? {
            return match window.bytes().len() as u64 {
                0 => Ok(None),
                have => Err(Box::new(Problem::CutBlock { place: window.place(), have, want: FRAME as u64 })),
            };
        }
        let short = |_| bad(window, "too short");
        let (_, [mut kind, mut len]) = words(self.order, window.bytes()).map_err(short)?;
        if kind == SECTION {
            let Some(order) = section_order(window.bytes()) else {
                return Err(bad(window, "a section without a byte order mark"));
            };
            self.order = order;
            (_, [kind, len]) = words(order, window.bytes()).map_err(short)?;
        }
        let claimed = len as usize;
        if claimed < FRAME || !claimed.is_multiple_of(4) || claimed > LONGEST_BLOCK {
            return Err(bad(window, format!("a length of {} bytes cannot be", grouped(len.into()))));
        }
        if !window.fill(claimed)? {
            return Err(cut(window, kind, number, claimed));
        }
        let trailer = window.bytes().get(claimed - 4..).unwrap_or_default();
        match words(self.order, trailer) {
            Ok((_, [repeated])) if repeated == len => Ok(Some((kind, claimed))),
            Ok((_, [other])) => {
                Err(bad(window, format!("it begins with a length of {len} and ends with one of {other} bytes")))
            }
            Err(_) => Err(bad(window, "too short")),
        }
    }

    /// Takes a packet's block of `len` bytes, which is held.
    #[inline]
    fn packet(
        &mut self,
        window: &mut Window,
        len: usize,
        head: impl for<'a> Fn(Endianness, &'a [u8]) -> Parsed<'a, PacketHead>,
    ) -> Result<Found, Box<Problem>> {
        let body = body(window, len);
        let Ok((rest, head)) = head(self.order, body) else { return Err(bad(window, "too short for a packet")) };
        let count = self.interfaces.len();
        let Some(interface) = self.interfaces.get_mut(head.interface as usize) else {
            return Err(bad(window, format!("its packet came in on interface {} of {count}", head.interface)));
        };
        let captured = match head.ticks {
            Some(_) => head.captured as usize,
            // A simple packet does not tell its captured length.
            None => (head.wire_len.min(interface.snaplen.unwrap_or(u32::MAX)) as usize).min(rest.len()),
        };
        if captured > rest.len() {
            return Err(bad(window, format!("its packet of {captured} bytes is longer than the {} left", rest.len())));
        }
        interface.add_drops(head.drops);
        // Options, if there are any: the packet is padded to four bytes.
        if let Some(after) = rest.get(captured.next_multiple_of(4)..)
            && !after.is_empty()
        {
            interface.read_packet_options(self.order, after);
        }
        let found = Found {
            ts: head.ticks.map(|ticks| interface.clock.at(ticks)),
            link: interface.link,
            interface: self.base.saturating_add(head.interface),
            wire_len: head.wire_len,
            data: 0..0,
        };
        let data_at = HEAD + body.len() - rest.len();
        let block = window.take(len);
        let data = block.start + data_at..block.start + data_at + captured;
        Ok(Found { data, ..found })
    }

    /// A section begins: its interfaces are numbered from 0 again. Its length is not needed.
    fn section(&mut self, window: &Window, len: usize) -> Result<(), Box<Problem>> {
        let Ok((_, (_mark, major, minor, _length))) = section_header(self.order, body(window, len)) else {
            return Err(bad(window, "too short for a section's header"));
        };
        // 1.2 is 1.0 with more kinds of blocks.
        if (major, minor) != (1, 0) && (major, minor) != (1, 2) {
            let (version, known) = (format!("{major}.{minor}"), "1.0 and 1.2 are");
            return Err(Box::new(Problem::Version { container: "pcapng", version, known, place: window.place() }));
        }
        self.drops_before = self.drops();
        self.base = self.base.saturating_add(u32::try_from(self.interfaces.len()).unwrap_or(u32::MAX));
        self.interfaces.clear();
        Ok(())
    }

    fn interface(&mut self, window: &Window, len: usize) -> Result<(), Box<Problem>> {
        if self.interfaces.len() == MOST_INTERFACES {
            return Err(bad(window, format!("more than {MOST_INTERFACES} interfaces in a section")));
        }
        let interface = Interface::read(self.order, body(window, len)).map_err(|what| bad(window, what))?;
        match interface.snaplen {
            Some(snaplen) => self.snaplen = self.snaplen.max(Some(snaplen)),
            None => self.unlimited = true,
        }
        self.interfaces.push(interface);
        Ok(())
    }

    /// Counters of one interface, since the capture began: the last block of each is the one that counts.
    fn statistics(&mut self, window: &Window, len: usize) {
        if let Ok((rest, [id, _high, _low])) = words(self.order, body(window, len))
            && let Some(interface) = self.interfaces.get_mut(id as usize)
        {
            interface.read_statistics(self.order, rest);
        }
    }

    /// Packets that the tap says it dropped; `None` when no block tells.
    pub(super) fn drops(&self) -> Option<u64> {
        let told = self.interfaces.iter().filter_map(Interface::drops).chain(self.drops_before);
        told.reduce(u64::saturating_add)
    }

    /// What interface `number` of the present section says of itself.
    pub(super) fn described(&self, number: u32) -> Option<Described> {
        let place = number.checked_sub(self.base)?;
        self.interfaces.get(place as usize).map(Interface::described)
    }

    /// The most bytes of a packet that any interface kept; `None` when one is unlimited or none is described.
    pub(super) fn snaplen(&self) -> Option<u32> {
        self.snaplen.filter(|_| !self.unlimited)
    }
}

/// What is between the block's two lengths.
#[inline]
fn body(window: &Window, len: usize) -> &[u8] {
    window.bytes().get(HEAD..len - 4).unwrap_or_default()
}

#[cold]
fn cut(window: &Window, kind: u32, number: u64, want: usize) -> Box<Problem> {
    let (place, have, want) = (window.place(), window.bytes().len() as u64, want as u64);
    Box::new(match kind {
        ENHANCED_PACKET | SIMPLE_PACKET | OBSOLETE_PACKET => {
            Problem::CutRecord { record: number, place, have, want, header: false }
        }
        _ => Problem::CutBlock { place, have, want },
    })
}

/// Byte order mark, version, length.
fn section_header(order: Endianness, input: &[u8]) -> Parsed<'_, ([u32; 1], u16, u16, &[u8])> {
    let (rest, mark) = words(order, input)?;
    let (rest, (major, minor, length)) = (u16(order), u16(order), take(8_usize)).parse(rest)?;
    Ok((rest, (mark, major, minor, length)))
}

#[inline]
fn enhanced_packet(order: Endianness, input: &[u8]) -> Parsed<'_, PacketHead> {
    let (rest, [interface, high, low, captured, wire_len]) = words(order, input)?;
    let ticks = Some(u64::from(high) << 32 | u64::from(low));
    Ok((rest, PacketHead { interface, ticks, captured, wire_len, drops: None }))
}

fn simple_packet(order: Endianness, input: &[u8]) -> Parsed<'_, PacketHead> {
    let (rest, [wire_len]) = words(order, input)?;
    Ok((rest, PacketHead { interface: 0, ticks: None, captured: 0, wire_len, drops: None }))
}

fn obsolete_packet(order: Endianness, input: &[u8]) -> Parsed<'_, PacketHead> {
    let (rest, (interface, drops)) = (u16(order), u16(order)).parse(input)?;
    let (rest, [high, low, captured, wire_len]) = words(order, rest)?;
    let ticks = Some(u64::from(high) << 32 | u64::from(low));
    let drops = (drops != NOT_COUNTED).then_some(drops.into());
    Ok((rest, PacketHead { interface: interface.into(), ticks, captured, wire_len, drops }))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;
    use crate::capture::tests::build::Bytes;
    use crate::capture::window::BUFFER;
    use crate::time::Timestamp;

    type Given = (Option<Timestamp>, u16, u32, u32, Vec<u8>);

    /// All packets and the words that end them, with the short way or without it.
    fn read(bytes: &[u8], short_way: bool) -> (Vec<Given>, Option<u64>, String) {
        let mut window = Window::new(Box::new(Cursor::new(bytes.to_vec())), None, BUFFER);
        let mut reader = match Pcapng::open(&mut window) {
            Ok(reader) => reader,
            Err(problem) => return (Vec::new(), None, problem.to_string()),
        };
        let mut given = Vec::new();
        let end = loop {
            let number = given.len() as u64 + 1;
            let next = if short_way { reader.next(&mut window, number) } else { reader.search(&mut window, number) };
            match next {
                Ok(Some(Found { ts, link, interface, wire_len, data })) => {
                    given.push((ts, link.0, interface, wire_len, window.get(data).to_vec()));
                }
                Ok(None) => break format!("the end at {}", window.offset()),
                Err(problem) => break problem.to_string(),
            }
        };
        (given, reader.drops(), end)
    }

    fn file(big: bool) -> Vec<u8> {
        let first = Bytes::new(big).section().interface(1, 0, |b| b.option(9, &[9]).option(14, &[0; 8]).option(0, &[]));
        let first = first.interface(113, 2, |b| b).enhanced(0, 1, 5, b"hello").enhanced(1, 2, 3, b"abc");
        let dropped = first.block(6, |b| b.u32(0).u64(3).u32(2).u32(2).padded(b"ab").option(4, &[1; 8]));
        let second =
            dropped.section().interface(1, 0, |b| b.option(9, &[0x8a])).enhanced(0, 4, 0, b"").simple(3, b"abc");
        second.enhanced(0, u64::MAX, 9, b"12345678").out
    }

    #[test]
    fn the_short_way_is_taken_for_packets_without_options() {
        let mut window = Window::new(Box::new(Cursor::new(file(false))), None, BUFFER);
        let mut reader = Pcapng::open(&mut window).unwrap();
        assert!(reader.search(&mut window, 1).unwrap().is_some());
        assert!(reader.plain_packet(&mut window).is_some());
        assert!(reader.plain_packet(&mut window).is_none());
    }

    proptest! {
        #[test]
        fn the_short_way_gives_what_the_long_one_gives(
            big: bool,
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
            kept: prop::sample::Index,
        ) {
            let mut bytes = file(big);
            prop_assert_eq!(read(&bytes, true).0.len(), 6);
            for (at, byte) in damage {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            prop_assert_eq!(read(&bytes, true), read(&bytes, false));
            bytes.truncate(kept.index(bytes.len()));
            prop_assert_eq!(read(&bytes, true), read(&bytes, false));
        }
    }
}
