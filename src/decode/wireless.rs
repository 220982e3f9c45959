//! IEEE 802.11 in its wrappings. In: a frame, alone or behind radiotap, PPI, Prism or AVS. Out: the view at its 802.2 header.

use super::skip::Skip;
use super::view::{Part, View};
use super::walk::{Layer, Step, Walk, go};

/// The bytes of a frame check sequence.
const FCS: usize = 4;

/// A data frame in clear (IEEE 802.11 9.3.2). `padded`: the tap aligned the end of the header to four bytes.
pub(super) fn ieee80211(view: View<'_>, padded: bool) -> Step<'_> {
    let (&control, _) = view.take::<2>(Part::Link)?;
    frame(control, view, padded)
}

/// A frame that an access point handed to its controller: some swap the two bytes of the frame control.
pub(super) fn from_controller(view: View<'_>) -> Step<'_> {
    let (&[first, second], _) = view.take::<2>(Part::Link)?;
    let is_data = |byte: u8| byte & 0x0f == 0x08;
    let swapped = !is_data(first) && is_data(second);
    frame(if swapped { [second, first] } else { [first, second] }, view, false)
}

fn frame([kind, flags]: [u8; 2], view: View<'_>, padded: bool) -> Step<'_> {
    const DATA: u8 = 2;
    const NO_DATA: u8 = 0x40;
    const QOS: u8 = 0x80;
    const BOTH_DS: u8 = 0x03;
    const MORE_FRAGMENTS: u8 = 0x04;
    const PROTECTED: u8 = 0x40;
    const ORDER: u8 = 0x80;
    const AGGREGATED: u8 = 0x80;

    if kind & 0x03 != 0 || kind >> 2 & 0x03 != DATA || kind & NO_DATA != 0 {
        return Err(Skip::NotIp);
    }
    let (&[.., sequence, _], rest) = view.take::<24>(Part::Link)?;
    let mut header = 24;
    let rest = if flags & BOTH_DS == BOTH_DS {
        header += 6;
        rest.skip(6, Part::Link)?
    } else {
        rest
    };
    let (rest, aggregated) = if kind & QOS != 0 {
        let (&[control, _], rest) = rest.take::<2>(Part::Link)?;
        let more = if flags & ORDER != 0 { 4 } else { 0 };
        header += 2 + more;
        (rest.skip(more, Part::Link)?, control & AGGREGATED != 0)
    } else {
        (rest, false)
    };
    if flags & PROTECTED != 0 {
        return Err(Skip::Encrypted);
    }
    if flags & MORE_FRAGMENTS != 0 || sequence & 0x0f != 0 {
        return Err(Skip::Fragment);
    }
    let padding = if padded { usize::next_multiple_of(header, 4) - header } else { 0 };
    let rest = rest.skip(padding, Part::Link)?;
    if !aggregated {
        return go(Layer::Llc, rest);
    }
    go(Layer::Aggregate, rest)
}

/// The first frame of an aggregate (A-MSDU): addresses, a length, an 802.2 frame, padding to four bytes. The others are left for later.
pub(super) fn aggregate<'a>(walk: &mut Walk, view: View<'a>) -> Step<'a> {
    const HEADER: usize = 14;
    let (&[.., high, low], first) = view.take::<HEADER>(Part::Link)?;
    let length = usize::from(u16::from_be_bytes([high, low]));
    let others = view.skip_up_to((HEADER + length).next_multiple_of(4));
    if others.bytes().len() > HEADER {
        walk.leave(others);
    }
    go(Layer::Llc, first.trim(length))
}

/// What a wrapping's own length leaves; it counts at least the eight bytes that tell it.
fn behind(view: View<'_>, length: usize) -> Result<View<'_>, Skip> {
    if length < 8 { Err(Skip::BadLinkHeader) } else { view.skip(length, Part::Link) }
}

/// Radiotap: a length, a bitmap of fields, and among those one that tells of padding and a trailing checksum.
pub(super) fn radiotap(view: View<'_>) -> Step<'_> {
    const TSFT: u8 = 0x01;
    const FLAGS: u8 = 0x02;
    const ANOTHER_BITMAP: u8 = 0x80;
    const FCS_AT_END: u8 = 0x10;
    const PADDED: u8 = 0x20;

    let (&[_, _, low, high, bits, ..], _) = view.take::<8>(Part::Link)?;
    let length = usize::from(u16::from_le_bytes([low, high]));
    let frame = behind(view, length)?;
    let header = view.bytes().get(..length).unwrap_or_default();
    let mut at = 8;
    while header.get(at - 1).is_some_and(|last| last & ANOTHER_BITMAP != 0) {
        at += 4;
    }
    if bits & TSFT != 0 {
        at = at.next_multiple_of(8) + 8;
    }
    let flags = if bits & FLAGS != 0 { header.get(at).copied().unwrap_or(0) } else { 0 };
    let frame = if flags & FCS_AT_END != 0 { frame.trim(frame.real().saturating_sub(FCS)) } else { frame };
    ieee80211(frame, flags & PADDED != 0)
}

/// Per-packet information: a length and the link type of what follows.
pub(super) fn ppi(view: View<'_>) -> Step<'_> {
    let (&[_, _, low, high, link @ ..], _) = view.take::<8>(Part::Link)?;
    let rest = behind(view, usize::from(u16::from_le_bytes([low, high])))?;
    let link = u16::try_from(u32::from_le_bytes(link)).map_err(|_| Skip::UnknownLinkType)?;
    go(Layer::Link(link), rest)
}

/// Prism's header, or AVS in its place.
pub(super) fn prism(view: View<'_>) -> Step<'_> {
    const AVS_MAGIC: u32 = 0x8021_1000;
    let (&[a, b, c, d, length @ ..], _) = view.take::<8>(Part::Link)?;
    if u32::from_be_bytes([a, b, c, d]) & 0xffff_f000 == AVS_MAGIC {
        return avs(view);
    }
    // In the byte order of the host that captured; the header is far shorter than 64 KiB.
    let length = u32::from_le_bytes(length);
    let length = if length > 0xffff { length.swap_bytes() } else { length };
    ieee80211(behind(view, usize::try_from(length).unwrap_or(usize::MAX))?, false)
}

/// AVS: a magic number and a length.
pub(super) fn avs(view: View<'_>) -> Step<'_> {
    let (&[_, _, _, _, length @ ..], _) = view.take::<8>(Part::Link)?;
    let length = u32::from_be_bytes(length);
    ieee80211(behind(view, usize::try_from(length).unwrap_or(usize::MAX))?, false)
}
