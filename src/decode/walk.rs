//! What the layers tell each other. In: a header read. Out: what begins behind it, and what the headers so far have told.

use std::net::IpAddr;

use super::fragments::{Datagram, Piece};
use super::skip::Skip;
use super::view::View;
use crate::tcp::segment::{Addressed, FrameId, Tunnel, TunnelKind, Undelivered, Why};
use crate::time::Timestamp;

/// Encapsulations inside each other that are opened.
const MAX_TUNNELS: u8 = 8;

/// Where and when a packet passed.
#[derive(Clone, Copy)]
pub(super) struct Stamp {
    pub(super) ts: Timestamp,
    pub(super) ordinal: u64,
    pub(super) frame: FrameId,
}

/// What the next byte begins.
#[derive(Clone, Copy, Debug)]
pub(super) enum Layer {
    /// A packet of this `LINKTYPE_*`.
    Link(u16),
    /// An Ethernet header.
    Ethernet,
    /// What an EtherType announces.
    EtherType(u16),
    /// An IEEE 802.2 header.
    Llc,
    /// Frames behind each other (IEEE 802.11 9.3.2.2).
    Aggregate,
    /// A Frame Relay address.
    FrameRelay,
    /// A PPP protocol field, perhaps behind address and control.
    Ppp,
    /// An IP header of either version.
    Ip,
    /// What an IP protocol number announces.
    Protocol(u8),
    /// What follows a UDP header with a well-known port.
    Udp(UdpTunnel),
}

/// A tunnel that is known by its UDP port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UdpTunnel {
    Vxlan,
    VxlanGpe,
    Geneve,
    GtpU,
    Teredo,
    L2tp,
    Mpls,
    Gre,
    GtpOld,
    Lisp,
    Capwap,
    Tzsp,
}

impl UdpTunnel {
    /// IANA's ports, and Linux's own for VXLAN.
    pub(super) const fn by_port(port: u16) -> Option<Self> {
        Some(match port {
            4789 | 8472 => Self::Vxlan,
            4790 => Self::VxlanGpe,
            6081 => Self::Geneve,
            2152 => Self::GtpU,
            3544 => Self::Teredo,
            1701 => Self::L2tp,
            6635 => Self::Mpls,
            4754 => Self::Gre,
            3386 => Self::GtpOld,
            4341 => Self::Lisp,
            5247 => Self::Capwap,
            37008 => Self::Tzsp,
            _ => return None,
        })
    }
}

/// What one header led to.
pub(super) enum Next<'a> {
    /// Another header.
    Layer(Layer, View<'a>),
    /// A fragment of a datagram.
    Piece(Piece<'a>),
    /// The TCP header.
    Tcp(View<'a>),
    /// An ICMP error's quotation of an IP packet, and what it says of that.
    Quote(View<'a>, Why),
}

/// Each layer's function.
pub(super) type Step<'a> = Result<Next<'a>, Skip>;

/// Shorthand for the way on.
pub(super) const fn go<'a>(layer: Layer, view: View<'a>) -> Step<'a> {
    Ok(Next::Layer(layer, view))
}

/// The innermost IP header.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ip {
    /// The sender; behind a home address option, the home address.
    pub(super) src: IpAddr,
    /// The receiver; behind a routing header, the last hop.
    pub(super) dst: IpAddr,
    /// Bytes on the wire, headers included; of all fragments together.
    pub(super) len: usize,
    /// The IPv4 identification.
    pub(super) id: Option<u16>,
    /// The IPv6 payload length is 0: a jumbo option or the end of the frame tells it.
    pub(super) unsized_v6: bool,
}

/// What the headers so far have told.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Walk {
    pub(super) vlan: Option<u16>,
    pub(super) tunnel: Option<Tunnel>,
    pub(super) tunnels: u8,
    pub(super) layers: u8,
    pub(super) ip: Option<Ip>,
    /// Frames of an aggregate that wait for their turn.
    pub(super) others: Option<Others>,
}

/// What of an aggregate has not been walked: its place in the packet, how long it is, and what the headers around it have told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Others {
    start: usize,
    end: usize,
    real: usize,
    vlan: Option<u16>,
    tunnel: Option<Tunnel>,
    tunnels: u8,
}

impl Others {
    /// A walk that goes on there.
    pub(super) fn walk(self, packet: &[u8]) -> (Walk, View<'_>) {
        let Self { start, end, real, vlan, tunnel, tunnels } = self;
        (Walk { vlan, tunnel, tunnels, ..Walk::default() }, View::part(packet, start..end, real))
    }
}

impl Walk {
    /// Notes an encapsulation. The outermost one that has an id is reported, else the outermost.
    pub(super) fn open(&mut self, kind: TunnelKind, id: Option<u32>) -> Result<(), Skip> {
        self.tunnels += 1;
        if self.tunnels > MAX_TUNNELS {
            return Err(Skip::TooDeep);
        }
        if self.tunnel.is_none_or(|outer| outer.id.is_none() && id.is_some()) {
            self.tunnel = Some(Tunnel { kind, id });
        }
        Ok(())
    }

    /// Leaves the rest of an aggregate for later. It is shorter than the aggregate, so this ends.
    pub(super) fn leave(&mut self, others: View<'_>) {
        let std::ops::Range { start, end } = others.range();
        let Self { vlan, tunnel, tunnels, .. } = *self;
        self.others = Some(Others { start, end, real: others.real(), vlan, tunnel, tunnels });
    }

    /// Notes a VLAN tag; 0 is a priority without a VLAN (IEEE 802.1Q 9.6).
    pub(super) fn tagged(&mut self, id: u16) {
        if self.vlan.is_none() && id != 0 {
            self.vlan = Some(id);
        }
    }
}

/// What a packet turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decoded<'a> {
    /// A TCP segment.
    Segment {
        /// What it says, and between whom.
        addressed: Addressed,
        /// Its payload as far as it was captured: at most `payload_len` bytes.
        payload: &'a [u8],
    },
    /// An ICMP error that quotes a TCP segment.
    Undelivered(Undelivered),
    /// Neither.
    Skip(Skip),
}

/// What [`Decoder::common`](super::Decoder::common) finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Common<'a> {
    /// A TCP segment with this payload, as far as that was captured.
    Segment(&'a [u8]),
    /// No segment.
    Skip(Skip),
    /// A packet of another kind: [`Decoder::decode_then`](super::Decoder::decode_then) tells.
    No,
}

/// What a packet comes to, with the payload's place in place of the payload.
pub(super) enum Found {
    Segment(Addressed, std::ops::Range<usize>),
    Undelivered(Undelivered),
    Datagram(Datagram),
}

/// Notes an encapsulation and goes on behind it.
pub(super) fn opened<'a>(walk: &mut Walk, kind: TunnelKind, id: Option<u32>, layer: Layer, view: View<'a>) -> Step<'a> {
    walk.open(kind, id)?;
    Ok(Next::Layer(layer, view))
}
