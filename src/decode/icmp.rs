//! ICMP errors. In: an ICMP or ICMPv6 message. Out: whose segment could not be delivered, who says so, and why.
//!
//! RFC 792, RFC 1191 (the MTU), RFC 1812 5.2.7.1 (the later codes); RFC 4443.

use std::net::IpAddr;

use super::skip::Skip;
use super::view::{Part, View};
use super::walk::{Ip, Next, Stamp, Step};
use crate::tcp::segment::{HostPort, Undelivered, Why};
use crate::tcp::seq::SeqNum;

/// Destination unreachable, time exceeded, parameter problem. A redirect was delivered, and what a source quench (RFC 6633 deprecates
/// it) quotes may have been.
pub(super) fn v4(view: View<'_>) -> Step<'_> {
    const FRAGMENTATION_NEEDED: u8 = 4;
    let (&[kind, code, _, _, _, _, high, low], quotation) = header(view)?;
    let why = match (kind, code) {
        (3, FRAGMENTATION_NEEDED) => {
            let mtu = u32::from(u16::from_be_bytes([high, low]));
            Why::TooBig { mtu: (mtu > 0).then_some(mtu) }
        }
        (3, _) => Why::Unreachable { what: unreachable_v4(code) },
        (11, _) => Why::TimeExceeded,
        (12, _) => Why::HeaderProblem,
        _ => return Err(Skip::Icmp),
    };
    Ok(Next::Quote(quotation, why))
}

/// Destination unreachable, packet too big, time exceeded, parameter problem.
pub(super) fn v6(view: View<'_>) -> Step<'_> {
    let (&[kind, code, _, _, ref mtu @ ..], quotation) = header(view)?;
    let why = match kind {
        1 => Why::Unreachable { what: unreachable_v6(code) },
        2 => Why::TooBig { mtu: Some(u32::from_be_bytes(*mtu)) },
        3 => Why::TimeExceeded,
        4 => Why::HeaderProblem,
        _ => return Err(Skip::Icmp),
    };
    Ok(Next::Quote(quotation, why))
}

/// The bytes in front of the quotation, in every error of both versions.
fn header(view: View<'_>) -> Result<(&[u8; 8], View<'_>), Skip> {
    view.take::<8>(Part::Ip).map_err(|_| Skip::Icmp)
}

const fn unreachable_v4(code: u8) -> Option<&'static str> {
    Some(match code {
        0 => "network",
        1 => "host",
        2 => "protocol",
        3 => "port",
        5 => "source route",
        6 => "network unknown",
        7 => "host unknown",
        8 => "source isolated",
        9 => "network prohibited",
        10 => "host prohibited",
        11 => "network for the type of service",
        12 => "host for the type of service",
        13 => "prohibited",
        14 => "precedence violated",
        15 => "precedence cut off",
        _ => return None,
    })
}

const fn unreachable_v6(code: u8) -> Option<&'static str> {
    Some(match code {
        0 => "no route",
        1 => "prohibited",
        2 => "beyond the scope of the source",
        3 => "host",
        4 => "port",
        5 => "source prohibited",
        6 => "route rejected",
        7 => "source route",
        _ => return None,
    })
}

/// The quoted segment's ports and sequence number: the eight bytes that RFC 792 asks for.
pub(super) fn undelivered(ip: &Ip, tcp: View<'_>, from: IpAddr, why: Why, stamp: Stamp) -> Result<Undelivered, Skip> {
    let &[s0, s1, d0, d1, ref seq @ ..] = tcp.take::<8>(Part::Tcp).map_err(|_| Skip::Icmp)?.0;
    Ok(Undelivered {
        ts: stamp.ts,
        frame: stamp.frame,
        src: HostPort::new(ip.src, u16::from_be_bytes([s0, s1])),
        dst: HostPort::new(ip.dst, u16::from_be_bytes([d0, d1])),
        seq: SeqNum::new(u32::from_be_bytes(*seq)),
        from,
        why,
    })
}
