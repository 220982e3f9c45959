//! Bytes → headers. Never fails the run: what yields no segment is counted under a [`skip::Skip`].
//!
//! In: a [`Packet`]. Out: the innermost TCP segment with its addresses, or an ICMP error that quotes one, or the reason why
//! there is neither. The walk is a loop, one header a turn: each layer's function takes its header off the view and
//! names the next layer. Only fragments outlive a packet, within the caps of [`fragments::Limits`].

pub mod fragments;
pub mod skip;

mod guess;
mod host;
mod icmp;
mod link;
mod mpls;
mod network;
mod options;
mod ppp;
mod straight;
mod tags;
mod transport;
mod tunnel;
mod view;
mod walk;
mod wan;
mod wireless;

#[cfg(test)]
mod tests;

pub use walk::{Common, Decoded};

use crate::capture::Packet;
use crate::conntrack::brief::Brief;
use crate::tcp::segment::FrameId;
use crate::time::Timestamp;
use fragments::{Between, Limits, Pool};
use network::TCP;
use skip::Skip;
use view::View;
use walk::{Found, Ip, Layer, Next, Others, Stamp, Step, Walk};

/// Headers of any kind in front of the TCP header that are read, tags and extension headers included.
const MAX_LAYERS: u8 = 64;

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

impl Walk {
    /// Takes one header off.
    fn step<'a>(&mut self, layer: Layer, view: View<'a>) -> Step<'a> {
        self.layers += 1;
        if self.layers > MAX_LAYERS {
            return Err(Skip::TooDeep);
        }
        match layer {
            Layer::Link(number) => link::enter(self, number, view),
            Layer::Ethernet => link::ethernet(self, view),
            Layer::EtherType(ether_type) => tags::ether_type(self, ether_type, view),
            Layer::Llc => link::llc(view),
            Layer::Aggregate => wireless::aggregate(self, view),
            Layer::FrameRelay => wan::frame_relay(view),
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

/// The IP header that an ICMP error quotes, up to its TCP header.
fn quoted(view: View<'_>) -> Option<(Ip, View<'_>)> {
    let mut walk = Walk::default();
    let tcp = match walk.run(Layer::Ip, view).ok()? {
        Next::Tcp(view) => view,
        Next::Piece(piece) if piece.offset == 0 && piece.protocol == TCP => piece.view,
        _ => return None,
    };
    // A header inside a tunnel is the tunnel's loss, not the connection's own.
    (walk.tunnels == 0).then_some(())?;
    Some((walk.ip?, tcp))
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
    #[inline]
    pub fn decode<'a>(&'a mut self, packet: &Packet<'a>, frame: FrameId, ordinal: u64, ts: Timestamp) -> Decoded<'a> {
        let mut place = Brief::default();
        match self.common(packet, frame, ordinal, ts, &mut place) {
            Common::Segment(payload) => Decoded::Segment { addressed: place.addressed(), payload },
            Common::Skip(skip) => Decoded::Skip(skip),
            Common::No => self.walk(packet, None, Stamp { ts, ordinal, frame }).0,
        }
    }

    /// Decodes a packet of the common kinds. A segment is written to `place`, where it will stay: moved there later, it would be
    /// read in wide pieces before its narrow fields have left the store buffer, which costs as much as the decoding.
    #[inline(always)]
    pub fn common<'a>(
        &self,
        packet: &Packet<'a>,
        frame: FrameId,
        ordinal: u64,
        ts: Timestamp,
        place: &mut Brief,
    ) -> Common<'a> {
        if self.verify_checksums {
            return Common::No;
        }
        straight::read(packet, Stamp { ts, ordinal, frame }, place).unwrap_or(Common::No)
    }

    /// Decodes one packet of any kind as [`Decoder::decode`] does, and hands what it found to `then`: each segment, where frames are aggregated,
    /// of which `decode` returns the first. Each after the first has the next ordinal; returns how many these were.
    pub fn decode_then(
        &mut self,
        packet: &Packet<'_>,
        frame: FrameId,
        ordinal: u64,
        ts: Timestamp,
        mut then: impl FnMut(Decoded<'_>),
    ) -> u64 {
        let stamp = Stamp { ts, ordinal, frame };
        let (decoded, others) = self.walk(packet, None, stamp);
        if others.is_none() {
            then(decoded);
            return 0;
        }
        self.walk_all(packet, stamp, &mut then)
    }

    /// An aggregate: each frame in its turn. It is skipped only if none of them has anything to tell.
    #[cold]
    fn walk_all(&mut self, packet: &Packet<'_>, stamp: Stamp, then: &mut dyn FnMut(Decoded<'_>)) -> u64 {
        let (mut others, mut told, mut why) = (None, 0, None);
        loop {
            let stamp = Stamp { ordinal: stamp.ordinal.saturating_add(told), ..stamp };
            let (decoded, left) = self.walk(packet, others, stamp);
            match decoded {
                Decoded::Skip(skip) => why = why.or(Some(skip)),
                decoded => {
                    then(decoded);
                    told += 1;
                }
            }
            others = left;
            if others.is_none() {
                break;
            }
        }
        if let (0, Some(skip)) = (told, why) {
            then(Decoded::Skip(skip));
        }
        told.saturating_sub(1)
    }

    /// Any packet, layer by layer; of an aggregate the first frame, or the first of `others`. Returns those that are left, too.
    #[inline(never)]
    fn walk<'a>(
        &'a mut self,
        packet: &Packet<'a>,
        others: Option<Others>,
        stamp: Stamp,
    ) -> (Decoded<'a>, Option<Others>) {
        let (mut walk, layer, view) = match others {
            None => {
                let view = View::new(packet.data, packet.wire_len as usize);
                (Walk::default(), Layer::Link(packet.link.0), view)
            }
            Some(others) => {
                let (walk, view) = others.walk(packet.data);
                (walk, Layer::Aggregate, view)
            }
        };
        let mut found = self.find(&mut walk, layer, view, stamp);
        // In a reassembled datagram the places are not the packet's.
        let others = walk.others.take();
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
        let decoded = match found {
            Ok(Found::Segment(addressed, range)) => {
                let buffer = if reassembled { &self.datagram[..] } else { packet.data };
                Decoded::Segment { addressed, payload: buffer.get(range).unwrap_or_default() }
            }
            Ok(Found::Undelivered(undelivered)) => Decoded::Undelivered(undelivered),
            Ok(Found::Datagram(_)) => Decoded::Skip(Skip::Fragment),
            Err(skip) => Decoded::Skip(skip),
        };
        (decoded, others)
    }

    /// The same without the payload, from the layer on that `view` begins with.
    fn find(&mut self, walk: &mut Walk, layer: Layer, view: View<'_>, stamp: Stamp) -> Result<Found, Skip> {
        let end = walk.run(layer, view)?;
        match (end, walk.ip) {
            (Next::Tcp(view), Some(ip)) => transport::segment(walk, &ip, view, stamp, self.verify_checksums),
            (Next::Quote(view, why), Some(outer)) => {
                let (ip, tcp) = quoted(view).ok_or(Skip::Icmp)?;
                icmp::undelivered(&ip, tcp, outer.src, why, stamp).map(Found::Undelivered)
            }
            (Next::Piece(piece), Some(ip)) => {
                let between = Between { src: ip.src, dst: ip.dst, vlan: walk.vlan, tunnel: walk.tunnel };
                self.pool.add(piece, between, ip.len, stamp.ts).map(Found::Datagram).ok_or(Skip::Fragment)
            }
            (Next::Tcp(_) | Next::Piece(_) | Next::Quote(..) | Next::Layer(..), _) => Err(Skip::NotIp),
        }
    }
}
