//! MPLS. In: a label stack (RFC 3032). Out: the view behind it, and a guess at what begins there: the labels do not say.

use super::skip::Skip;
use super::view::{Part, View};
use super::walk::{Layer, Step, Walk, opened};
use crate::tcp::segment::TunnelKind;

/// Labels in one stack that are read.
const MAX_LABELS: usize = 32;

/// Takes the whole stack off. The outermost label is the tunnel's id.
pub(super) fn labels<'a>(walk: &mut Walk, view: View<'a>) -> Step<'a> {
    const BOTTOM: u32 = 0x100;
    let mut outermost = None;
    let mut rest = view;
    for _ in 0..MAX_LABELS {
        let (&entry, behind) = rest.take::<4>(Part::Tunnel)?;
        let entry = u32::from_be_bytes(entry);
        outermost = outermost.or(Some(entry >> 12));
        rest = behind;
        if entry & BOTTOM != 0 {
            let (layer, rest) = payload(rest)?;
            return opened(walk, TunnelKind::Mpls, outermost, layer, rest);
        }
    }
    Err(Skip::TooDeep)
}

/// IP shows its version first; a pseudowire's control word begins with 0 for this very reason (RFC 4385 3), which an
/// Ethernet address without a control word may do as well.
fn payload(view: View<'_>) -> Result<(Layer, View<'_>), Skip> {
    const CONTROL_WORD: usize = 4;
    let behind_word = view.bytes().get(CONTROL_WORD..).unwrap_or_default();
    match view.nibble() {
        Some(4 | 6) => Ok((Layer::Ip, view)),
        Some(0) if looks_like_ethernet(behind_word) || !looks_like_ethernet(view.bytes()) => {
            Ok((Layer::Ethernet, view.skip(CONTROL_WORD, Part::Tunnel)?))
        }
        Some(1) => Err(Skip::NotIp), // the pseudowire's own management channel
        Some(_) => Ok((Layer::Ethernet, view)),
        None => Err(view.short(Part::Tunnel)),
    }
}

/// Ethernet behind an encapsulation that may carry other things, when the bytes look like it: a type that finwait knows.
fn looks_like_ethernet(bytes: &[u8]) -> bool {
    let Some(&[high, low]) = bytes.get(12..14) else { return false };
    matches!(
        u16::from_be_bytes([high, low]),
        0x0800 | 0x86dd | 0x8100 | 0x88a8 | 0x9100 | 0x0806 | 0x8847 | 0x8848 | 0x8864
    )
}
