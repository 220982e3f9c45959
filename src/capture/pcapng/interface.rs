//! One interface of a pcapng section. In: its description, its statistics, its packets' options. Out: link type, clock, drops.

use nom::Parser;
use nom::bytes::complete::take;
use nom::number::Endianness;
use nom::number::complete::{i64, u16, u32, u64};

use crate::capture::LinkType;
use crate::capture::info::Interface as Described;
use crate::capture::words::Parsed;
use crate::time::{NANOS_PER_SEC, Timestamp};

const IF_NAME: u16 = 2;
const IF_TSRESOL: u16 = 9;
const IF_TSOFFSET: u16 = 14;
const ISB_IFDROP: u16 = 5;
const ISB_OSDROP: u16 = 7;
const EPB_DROPCOUNT: u16 = 4;

/// Bytes of an interface's name that are kept.
const LONGEST_NAME: usize = 256;

/// What the section knows of an interface.
#[derive(Debug)]
pub(super) struct Interface {
    pub link: LinkType,
    /// `None` is unlimited.
    pub snaplen: Option<u32>,
    pub clock: Clock,
    name: Option<Box<str>>,
    /// The last statistics: drops for want of resources in the interface, and in the system.
    dropped_by_interface: Option<u64>,
    dropped_by_system: Option<u64>,
    /// The sum of what the packets tell.
    dropped_between_packets: Option<u64>,
}

impl Interface {
    /// From the body of an interface description block. Options that would change its times must be in order.
    pub(super) fn read(order: Endianness, body: &[u8]) -> Result<Self, String> {
        let fields: Parsed<'_, _> = (u16(order), u16(order), u32(order)).parse(body);
        let Ok((rest, (link, _reserved, snaplen))) = fields else {
            return Err("too short for an interface's description".to_owned());
        };
        let mut clock = Clock { unit: Unit::Nanos(1_000), offset: 0 };
        let mut name = None;
        for option in options(order, rest) {
            match option {
                None => return Err("an option of the interface runs beyond the block".to_owned()),
                Some((IF_NAME, value)) if value.len() <= LONGEST_NAME => {
                    name = std::str::from_utf8(value).ok().map(Box::from);
                }
                Some((IF_TSRESOL, [exponent])) => clock.unit = Unit::from_exponent(*exponent),
                Some((IF_TSOFFSET, value @ [_, _, _, _, _, _, _, _])) => {
                    let seconds: Parsed<'_, _> = i64(order).parse(value);
                    clock.offset = seconds.map_or(0, |(_, s)| i128::from(s)) * i128::from(NANOS_PER_SEC);
                }
                Some((code @ (IF_TSRESOL | IF_TSOFFSET), value)) => {
                    let name = if code == IF_TSRESOL { "if_tsresol" } else { "if_tsoffset" };
                    return Err(format!("{name} of {} bytes cannot be", value.len()));
                }
                Some(_) => {}
            }
        }
        Ok(Self {
            link: LinkType(link),
            snaplen: (snaplen > 0).then_some(snaplen),
            clock,
            name,
            dropped_by_interface: None,
            dropped_by_system: None,
            dropped_between_packets: None,
        })
    }

    /// What it says of itself.
    pub(super) fn described(&self) -> Described {
        let decimals = match self.clock.unit {
            Unit::Nanos(nanos) => 9 - u8::try_from(nanos.ilog10()).unwrap_or(9),
            Unit::PerNano(_) | Unit::Binary(_) => 9,
        };
        Described { name: self.name.as_deref().map(str::to_owned), snaplen: self.snaplen, decimals }
    }

    /// From the options of a statistics block. A later block replaces an earlier one's counters.
    pub(super) fn read_statistics(&mut self, order: Endianness, rest: &[u8]) {
        for (code, value) in options(order, rest).map_while(|option| option) {
            let counter: Parsed<'_, _> = u64(order).parse(value);
            match (code, counter) {
                (ISB_IFDROP, Ok((_, drops))) => self.dropped_by_interface = Some(drops),
                (ISB_OSDROP, Ok((_, drops))) => self.dropped_by_system = Some(drops),
                _ => {}
            }
        }
    }

    /// From the options of an enhanced packet block; what is malformed there harms nothing and is left.
    #[inline(never)]
    pub(super) fn read_packet_options(&mut self, order: Endianness, rest: &[u8]) {
        for (code, value) in options(order, rest).map_while(|option| option) {
            if code == EPB_DROPCOUNT {
                let count: Parsed<'_, _> = u64(order).parse(value);
                self.add_drops(count.ok().map(|(_, drops)| drops));
            }
        }
    }

    /// Packets lost before one that was not.
    #[inline]
    pub(super) fn add_drops(&mut self, drops: Option<u64>) {
        if let Some(drops) = drops {
            self.dropped_between_packets = Some(self.dropped_between_packets.unwrap_or(0).saturating_add(drops));
        }
    }

    /// Packets dropped; the statistics know better than the packets.
    pub(super) fn drops(&self) -> Option<u64> {
        let told = self.dropped_by_interface.into_iter().chain(self.dropped_by_system);
        told.reduce(u64::saturating_add).or(self.dropped_between_packets)
    }
}

/// From an interface's ticks to nanoseconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Clock {
    unit: Unit,
    /// `if_tsoffset`, in nanoseconds.
    offset: i128,
}

/// The length of a tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    /// So many nanoseconds.
    Nanos(u64),
    /// So many ticks make a nanosecond; 0 stands for more than 64 bits can count.
    PerNano(u64),
    /// 2^-n seconds.
    Binary(u32),
}

impl Unit {
    /// `if_tsresol`: the high bit tells between powers of 2 and of 10, the others are the negative exponent.
    fn from_exponent(exponent: u8) -> Self {
        let n = u32::from(exponent & 0x7f);
        match n {
            _ if exponent & 0x80 != 0 => Self::Binary(n),
            0..=9 => Self::Nanos(10_u64.pow(9 - n)),
            _ => Self::PerNano(10_u64.checked_pow(n - 9).unwrap_or(0)),
        }
    }
}

impl Clock {
    /// The instant of a timestamp; clamped to what a [`Timestamp`] holds. Below a nanosecond it is cut, as by libpcap.
    #[inline]
    pub(super) fn at(self, ticks: u64) -> Timestamp {
        // 64 bits of ticks times 30 bits of nanoseconds a tick leave room in 128.
        let nanos = match self.unit {
            Unit::Nanos(each) => i128::from(ticks) * i128::from(each),
            Unit::PerNano(ticks_a_nano) => i128::from(ticks.checked_div(ticks_a_nano).unwrap_or(0)),
            Unit::Binary(shift) => (i128::from(ticks) * i128::from(NANOS_PER_SEC)) >> shift,
        };
        let clamped = (nanos + self.offset).clamp(i64::MIN.into(), i64::MAX.into());
        Timestamp::from_nanos(clamped as i64)
    }
}

/// The options of a block, one by one: code and value. `None` for one that runs beyond the block, which ends the walk.
fn options(order: Endianness, mut rest: &[u8]) -> impl Iterator<Item = Option<(u16, &[u8])>> {
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let option = option(order, rest);
        rest = option.as_ref().map_or(&[], |(after, _)| after);
        match option {
            // opt_endofopt.
            Ok((_, (0, _))) => None,
            Ok((_, option)) => Some(Some(option)),
            Err(_) => Some(None),
        }
    })
}

/// Code, length, value, padding to four bytes.
fn option(order: Endianness, input: &[u8]) -> Parsed<'_, (u16, &[u8])> {
    let (rest, (code, length)) = (u16(order), u16(order)).parse(input)?;
    let (rest, value) = take(length).parse(rest)?;
    let (rest, _padding) = take(usize::from(length).next_multiple_of(4) - usize::from(length)).parse(rest)?;
    Ok((rest, (code, value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clock(exponent: u8, offset_seconds: i64) -> Clock {
        Clock { unit: Unit::from_exponent(exponent), offset: i128::from(offset_seconds) * 1_000_000_000 }
    }

    #[test]
    fn ticks_of_every_power_of_ten_become_nanoseconds() {
        assert_eq!(clock(0, 0).at(3).as_nanos(), 3_000_000_000);
        assert_eq!(clock(6, 0).at(1_500_000).as_nanos(), 1_500_000_000);
        assert_eq!(clock(9, 0).at(7).as_nanos(), 7);
        assert_eq!(clock(12, 0).at(7_999).as_nanos(), 7);
        assert_eq!(clock(28, 0).at(u64::MAX).as_nanos(), 1);
        assert_eq!(clock(29, 0).at(u64::MAX).as_nanos(), 0);
        assert_eq!(clock(127, 0).at(u64::MAX).as_nanos(), 0);
    }

    #[test]
    fn ticks_of_powers_of_two_become_nanoseconds() {
        assert_eq!(clock(0x80, 0).at(2).as_nanos(), 2_000_000_000);
        assert_eq!(clock(0x80 | 10, 0).at(512).as_nanos(), 500_000_000);
        assert_eq!(clock(0x80 | 32, 0).at(3 << 31).as_nanos(), 1_500_000_000);
        assert_eq!(clock(0x80 | 127, 0).at(u64::MAX).as_nanos(), 0);
    }

    #[test]
    fn the_offset_is_added_and_the_ends_of_the_range_hold() {
        assert_eq!(clock(6, 10).at(1).as_nanos(), 10_000_001_000);
        assert_eq!(clock(6, -1).at(0).as_nanos(), -1_000_000_000);
        assert_eq!(clock(0, 0).at(u64::MAX), Timestamp::MAX);
        assert_eq!(clock(9, i64::MIN).at(0), Timestamp::MIN);
        assert_eq!(clock(0, i64::MAX).at(u64::MAX), Timestamp::MAX);
    }

    #[test]
    fn options_end_at_their_end_mark_or_where_they_run_out() {
        let order = Endianness::Little;
        let read = |bytes: &'static [u8]| options(order, bytes).collect::<Vec<_>>();
        assert_eq!(read(&[2, 0, 3, 0, 1, 2, 3, 0, 0, 0, 0, 0, 9, 9]), [Some((2, &[1_u8, 2, 3][..]))]);
        assert_eq!(read(&[2, 0, 1, 0, 5, 0, 0, 0]), [Some((2, &[5_u8][..]))]);
        assert_eq!(read(&[2, 0, 9, 0, 5, 0, 0, 0]), [None]);
        assert_eq!(read(&[2, 0]), [None]);
    }
}
