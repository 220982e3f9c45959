//! MPLS. In: a label stack (RFC 3032). Out: the view behind it, and a guess at what begins there: the labels do not say.

use super::guess;
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
/// Ethernet address without a control word may do as well; one may begin with 4 or 6, too.
fn payload(view: View<'_>) -> Result<(Layer, View<'_>), Skip> {
    const CONTROL_WORD: usize = 4;
    match view.nibble() {
        Some(4 | 6) if guess::is_ip(view) || !guess::is_ethernet(view) => Ok((Layer::Ip, view)),
        Some(0) if guess::is_ethernet(view.skip_up_to(CONTROL_WORD)) || !guess::is_ethernet(view) => {
            Ok((Layer::Ethernet, view.skip(CONTROL_WORD, Part::Tunnel)?))
        }
        Some(1) => Err(Skip::NotIp), // the pseudowire's own management channel
        Some(_) => Ok((Layer::Ethernet, view)),
        None => Err(view.short(Part::Tunnel)),
    }
}
