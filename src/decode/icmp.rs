//! ICMP errors. In: an ICMP or ICMPv6 message. Out: whose segment could not be delivered.

use super::skip::Skip;
use super::view::{Part, View};
use super::walk::{Ip, Next, Stamp, Step};
use crate::tcp::segment::{HostPort, Undelivered};
use crate::tcp::seq::SeqNum;

/// The bytes in front of the quotation, in every error of both versions.
const HEADER: usize = 8;

/// RFC 792: destination unreachable, source quench, time exceeded, parameter problem. A redirect was delivered.
pub(super) fn v4(view: View<'_>) -> Step<'_> {
    const FRAGMENTATION_NEEDED: u8 = 4;
    match view.bytes() {
        [3, code, ..] => quote(view, *code != FRAGMENTATION_NEEDED),
        [4 | 11 | 12, ..] => quote(view, false),
        _ => Err(Skip::Icmp),
    }
}

/// RFC 4443: destination unreachable, packet too big, time exceeded, parameter problem.
pub(super) fn v6(view: View<'_>) -> Step<'_> {
    match view.bytes() {
        [1, ..] => quote(view, true),
        [2..=4, ..] => quote(view, false),
        _ => Err(Skip::Icmp),
    }
}

fn quote(view: View<'_>, unreachable: bool) -> Step<'_> {
    Ok(Next::Quote(view.skip(HEADER, Part::Ip).map_err(|_| Skip::Icmp)?, unreachable))
}

/// The quoted segment's ports and sequence number: the eight bytes that RFC 792 asks for.
pub(super) fn undelivered(ip: &Ip, tcp: View<'_>, unreachable: bool, stamp: Stamp) -> Result<Undelivered, Skip> {
    let &[s0, s1, d0, d1, ref seq @ ..] = tcp.take::<8>(Part::Tcp).map_err(|_| Skip::Icmp)?.0;
    Ok(Undelivered {
        ts: stamp.ts,
        frame: stamp.frame,
        src: HostPort::new(ip.src, u16::from_be_bytes([s0, s1])),
        dst: HostPort::new(ip.dst, u16::from_be_bytes([d0, d1])),
        seq: SeqNum::new(u32::from_be_bytes(*seq)),
        unreachable,
    })
}
