//! Bytes → headers. Never fails the run: what yields no segment is counted under a [`skip::Skip`].
//!
//! In: a [`Packet`]. Out: the innermost TCP segment with its addresses, or an ICMP error that quotes one, or the reason why
//! there is neither. The walk is a loop, one header a turn: each layer's function takes its header off the view and
//! names the next layer. Only fragments outlive a packet, within the caps of [`fragments::Limits`].

pub mod fragments;
pub mod skip;

mod icmp;
mod link;
mod mpls;
mod network;
mod options;
mod ppp;
mod transport;
mod tunnel;
mod view;
mod wireless;

#[cfg(test)]
mod tests;

use std::net::IpAddr;

use crate::capture::Packet;
use crate::tcp::segment::{Addressed, FrameId, Tunnel, TunnelKind, Undelivered};
use crate::time::Timestamp;
use fragments::{Between, Limits, Piece, Pool};
use skip::Skip;
use view::View;

/// Encapsulations inside each other that are opened.
const MAX_TUNNELS: u8 = 8;

/// Headers of any kind in front of the TCP header that are read, tags and extension headers included.
const MAX_LAYERS: u8 = 64;

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

/// Turns packets into segments. Keeps fragments between packets, so one decoder must see all packets in order.
#[derive(Debug, Default)]
pub struct Decoder {
    /// Compare the TCP checksum of segments that were captured whole. Off by default: it costs a pass over every byte, and a
    /// capture taken on the sending host shows checksums that its network card had yet to fill in.
    pub verify_checksums: bool,
    pool: Pool,
    /// The last reassembled datagram, for the payload handed out.
    datagram: Vec<u8>,
}

/// Where and when a packet passed.
#[derive(Clone, Copy)]
struct Stamp {
    ts: Timestamp,
    ordinal: u64,
    frame: FrameId,
}

/// What the next byte begins.
#[derive(Clone, Copy, Debug)]
enum Layer {
    /// A packet of this `LINKTYPE_*`.
    Link(u16),
    /// An Ethernet header.
    Ethernet,
    /// What an EtherType announces.
    EtherType(u16),
    /// An IEEE 802.2 header.
    Llc,
    /// A PPP protocol field, perhaps behind address and control.
    Ppp,
    /// An IP header of either version.
    Ip,
    /// What an IP protocol number announces.
    Protocol(u8),
    /// What follows a UDP header with a well-known port.
    Udp(tunnel::UdpTunnel),
}

/// What one header led to.
enum Next<'a> {
    /// Another header.
    Layer(Layer, View<'a>),
    /// A fragment of a datagram.
    Piece(Piece<'a>),
    /// The TCP header.
    Tcp(View<'a>),
    /// An ICMP error's quotation of an IP packet, and whether it reports a destination as unreachable.
    Quote(View<'a>, bool),
}

/// Each layer's function.
type Step<'a> = Result<Next<'a>, Skip>;

/// Shorthand for the way on.
const fn go<'a>(layer: Layer, view: View<'a>) -> Step<'a> {
    Ok(Next::Layer(layer, view))
}

/// The innermost IP header.
#[derive(Clone, Copy, Debug)]
struct Ip {
    /// The sender; behind a home address option, the home address.
    src: IpAddr,
    /// The receiver; behind a routing header, the last hop.
    dst: IpAddr,
    /// Bytes on the wire, headers included; of all fragments together.
    len: usize,
    /// The IPv4 identification.
    id: Option<u16>,
    /// The IPv6 payload length is 0: a jumbo option or the end of the frame tells it.
    unsized_v6: bool,
}

/// What the headers so far have told.
#[derive(Clone, Copy, Debug, Default)]
struct Walk {
    vlan: Option<u16>,
    tunnel: Option<Tunnel>,
    tunnels: u8,
    layers: u8,
    ip: Option<Ip>,
}

impl Walk {
    /// Notes an encapsulation. The outermost one that has an id is reported, else the outermost.
    fn open(&mut self, kind: TunnelKind, id: Option<u32>) -> Result<(), Skip> {
        self.tunnels += 1;
        if self.tunnels > MAX_TUNNELS {
            return Err(Skip::TooDeep);
        }
        if self.tunnel.is_none_or(|outer| outer.id.is_none() && id.is_some()) {
            self.tunnel = Some(Tunnel { kind, id });
        }
        Ok(())
    }

    /// Notes a VLAN tag; 0 is a priority without a VLAN (IEEE 802.1Q 9.6).
    fn tagged(&mut self, id: u16) {
        if self.vlan.is_none() && id != 0 {
            self.vlan = Some(id);
        }
    }

    /// Takes one header off.
    fn step<'a>(&mut self, layer: Layer, view: View<'a>) -> Step<'a> {
        self.layers += 1;
        if self.layers > MAX_LAYERS {
            return Err(Skip::TooDeep);
        }
        match layer {
            Layer::Link(number) => link::enter(self, number, view),
            Layer::Ethernet => link::ethernet(view),
            Layer::EtherType(ether_type) => link::ether_type(self, ether_type, view),
            Layer::Llc => link::llc(view),
            Layer::Ppp => ppp::ppp(view),
            Layer::Ip => network::ip(self, view),
            Layer::Protocol(number) => network::protocol(self, number, view),
            Layer::Udp(tunnel) => tunnel::in_udp(self, tunnel, view),
        }
    }

    /// Walks up to something that is not a mere header.
    fn run<'a>(&mut self, mut layer: Layer, mut view: View<'a>) -> Step<'a> {
        loop {
            match self.step(layer, view)? {
                Next::Layer(next, rest) => (layer, view) = (next, rest),
                end => return Ok(end),
            }
        }
    }
}

/// What a packet comes to, with the payload's place in place of the payload.
enum Found {
    Segment(Addressed, std::ops::Range<usize>),
    Undelivered(Undelivered),
    Datagram(fragments::Datagram),
}

impl Decoder {
    /// A decoder with caps of its own on what it keeps of fragments.
    pub fn with_limits(limits: Limits) -> Self {
        Self { pool: Pool::new(limits), ..Self::default() }
    }

    /// Datagrams whose fragments were given up, for their age or to stay within the caps.
    pub const fn fragments_shed(&self) -> u64 {
        self.pool.shed()
    }

    /// Decodes one packet. `frame` and `ordinal` are its place in its file and in the run; `ts` is when it passed, for packets
    /// without a timestamp the best guess at it.
    pub fn decode<'a>(&'a mut self, packet: &Packet<'a>, frame: FrameId, ordinal: u64, ts: Timestamp) -> Decoded<'a> {
        let stamp = Stamp { ts, ordinal, frame };
        let mut walk = Walk::default();
        let view = View::new(packet.data, packet.wire_len as usize);
        let mut found = self.find(&mut walk, Layer::Link(packet.link.0), view, stamp);
        let mut reassembled = false;
        // A datagram may hold another's fragment; `walk` counts the layers of all rounds, so this ends.
        while let Ok(Found::Datagram(datagram)) = found {
            reassembled = true;
            let bytes = datagram.bytes;
            if let Some(ip) = &mut walk.ip {
                ip.len = datagram.wire_len;
            }
            let view = View::new(&bytes, datagram.real_len);
            found = self.find(&mut walk, Layer::Protocol(datagram.protocol), view, stamp);
            self.datagram = bytes;
        }
        match found {
            Ok(Found::Segment(addressed, range)) => {
                let buffer = if reassembled { &self.datagram[..] } else { packet.data };
                Decoded::Segment { addressed, payload: buffer.get(range).unwrap_or_default() }
            }
            Ok(Found::Undelivered(undelivered)) => Decoded::Undelivered(undelivered),
            Ok(Found::Datagram(_)) => Decoded::Skip(Skip::Fragment),
            Err(skip) => Decoded::Skip(skip),
        }
    }

    /// The same without the payload, from the layer on that `view` begins with.
    fn find(&mut self, walk: &mut Walk, layer: Layer, view: View<'_>, stamp: Stamp) -> Result<Found, Skip> {
        let end = walk.run(layer, view)?;
        match (end, walk.ip) {
            (Next::Tcp(view), Some(ip)) => transport::segment(walk, &ip, view, stamp, self.verify_checksums),
            (Next::Quote(view, unreachable), _) => icmp::undelivered(view, unreachable, stamp).map(Found::Undelivered),
            (Next::Piece(piece), Some(ip)) => {
                let between = Between { src: ip.src, dst: ip.dst, vlan: walk.vlan, tunnel: walk.tunnel };
                self.pool.add(piece, between, ip.len, stamp.ts).map(Found::Datagram).ok_or(Skip::Fragment)
            }
            (Next::Tcp(_) | Next::Piece(_) | Next::Layer(..), _) => Err(Skip::NotIp),
        }
    }
}
