//! Bytes for tests: segments → frames of every link type → capture files of every kind, written by hand so that they
//! share nothing with the readers they test.

use std::net::IpAddr;

use finwait::script::run::Passing;
use finwait::tcp::segment::{Addressed, Segment, Undelivered};

/// What a frame begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    Ethernet,
    Vlan,
    QinQ,
    Raw,
    Null,
    Sll,
    Sll2,
}

impl Link {
    pub const ALL: [Self; 7] = [Self::Ethernet, Self::Vlan, Self::QinQ, Self::Raw, Self::Null, Self::Sll, Self::Sll2];

    const fn number(self) -> u16 {
        match self {
            Self::Ethernet | Self::Vlan | Self::QinQ => 1,
            Self::Raw => 101,
            Self::Null => 0,
            Self::Sll => 113,
            Self::Sll2 => 276,
        }
    }
}

/// A kind of capture file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Container {
    pub pcapng: bool,
    pub big_endian: bool,
}

impl Container {
    pub const ALL: [Self; 4] = [
        Self { pcapng: false, big_endian: false },
        Self { pcapng: false, big_endian: true },
        Self { pcapng: true, big_endian: false },
        Self { pcapng: true, big_endian: true },
    ];

    fn u16(self, value: u16) -> [u8; 2] {
        if self.big_endian { value.to_be_bytes() } else { value.to_le_bytes() }
    }

    fn u32(self, value: u32) -> [u8; 4] {
        if self.big_endian { value.to_be_bytes() } else { value.to_le_bytes() }
    }

    fn block(self, kind: u32, body: &[u8]) -> Vec<u8> {
        let length = self.u32(body.len() as u32 + 12);
        [&self.u32(kind), &length, body, &length].concat()
    }

    /// The capture file of `packets`, with nanoseconds.
    pub fn file(self, link: Link, packets: &[Passing]) -> Vec<u8> {
        let mut file = if self.pcapng {
            let section = [&self.u32(0x1a2b_3c4d)[..], &self.u16(1), &self.u16(0), &[0xff; 8]].concat();
            let resolution = [&self.u16(9)[..], &self.u16(1), &[9, 0, 0, 0], &[0; 4]].concat();
            let interface = [&self.u16(link.number())[..], &self.u16(0), &self.u32(0), &resolution].concat();
            [self.block(0x0a0d_0d0a, &section), self.block(1, &interface)].concat()
        } else {
            let head = [self.u32(0xa1b2_3c4d), [self.u16(2), self.u16(4)].concat().try_into().unwrap()];
            let rest = [0, 0, 262_144, u32::from(link.number())].map(|word| self.u32(word));
            [head.concat(), rest.concat()].concat()
        };
        for packet in packets {
            let bytes = frame(link, packet);
            let (Passing::Segment(Addressed { segment: Segment { ts, .. }, .. })
            | Passing::Undelivered(Undelivered { ts, .. })) = packet;
            let (nanos, length) = (ts.as_nanos() as u64, self.u32(bytes.len() as u32));
            if self.pcapng {
                let stamp = [self.u32((nanos >> 32) as u32), self.u32(nanos as u32)].concat();
                let mut body = [&self.u32(0)[..], &stamp, &length, &length, &bytes].concat();
                body.resize(body.len().next_multiple_of(4), 0);
                file.extend(self.block(6, &body));
            } else {
                let (seconds, rest) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
                file.extend([self.u32(seconds as u32), self.u32(rest as u32), length, length].concat());
                file.extend(bytes);
            }
        }
        file
    }
}

/// The frame that carries a segment, or an ICMP error about one.
pub fn frame(link: Link, packet: &Passing) -> Vec<u8> {
    let (ip, v4) = match packet {
        Passing::Segment(packet) => (ip(packet), packet.src.ip.is_ipv4()),
        Passing::Undelivered(icmp) => (unreachable(icmp), icmp.src.ip.is_ipv4()),
    };
    let (ethertype, family) = if v4 { (0x0800_u16, 2_u32) } else { (0x86dd, 30) };
    let kind = ethertype.to_be_bytes();
    let macs = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    let head = match link {
        Link::Ethernet => [&macs[..], &kind].concat(),
        Link::Vlan => [&macs[..], &[0x81, 0, 0, 7], &kind].concat(),
        Link::QinQ => [&macs[..], &[0x88, 0xa8, 0, 9, 0x81, 0, 0, 7], &kind].concat(),
        Link::Raw => Vec::new(),
        Link::Null => family.to_le_bytes().to_vec(),
        Link::Sll => [&[0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0][..], &kind].concat(),
        Link::Sll2 => [&kind[..], &[0, 0, 0, 0, 0, 3, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0]].concat(),
    };
    [head, ip].concat()
}

fn ip(packet: &Addressed) -> Vec<u8> {
    let tcp = tcp(packet);
    let mut head = header(packet.src.ip, packet.dst.ip, [6, 6], packet.segment.ip_id.unwrap_or(0), tcp.len());
    if packet.segment.ip_len == 0 {
        let length = if packet.src.ip.is_ipv4() { 2 } else { 4 };
        head[length..length + 2].fill(0);
    }
    [head, tcp].concat()
}

/// An IP header in front of `length` bytes of a protocol, given as IPv4 and IPv6 number it.
fn header(src: IpAddr, dst: IpAddr, protocol: [u8; 2], id: u16, length: usize) -> Vec<u8> {
    match (src, dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            let length = ((20 + length) as u16).to_be_bytes();
            let head = [&[0x45, 0][..], &length, &id.to_be_bytes(), &[0x40, 0, 64, protocol[0], 0, 0]].concat();
            [head, src.octets().to_vec(), dst.octets().to_vec()].concat()
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            let head = [&[0x60, 0, 0, 0][..], &(length as u16).to_be_bytes(), &[protocol[1], 64]].concat();
            [head, src.octets().to_vec(), dst.octets().to_vec()].concat()
        }
        _ => panic!("both ends speak one IP version"),
    }
}

/// Host unreachable (RFC 792), address unreachable (RFC 4443), with the eight bytes of TCP that both quote at least.
fn unreachable(icmp: &Undelivered) -> Vec<u8> {
    let tcp = [&icmp.src.port.to_be_bytes()[..], &icmp.dst.port.to_be_bytes(), &icmp.seq.raw().to_be_bytes()].concat();
    let quoted = [header(icmp.src.ip, icmp.dst.ip, [6, 6], 0, 20), tcp].concat();
    let kind = if icmp.src.ip.is_ipv4() { [3, 1] } else { [1, 3] };
    let error = [&kind[..], &[0; 6], &quoted].concat();
    [header(icmp.dst.ip, icmp.src.ip, [1, 58], 0, error.len()), error].concat()
}

fn tcp(packet: &Addressed) -> Vec<u8> {
    let seg: &Segment = &packet.segment;
    let mut options = Vec::new();
    if let Some((value, echo)) = seg.options.timestamps {
        options.extend([[1, 1, 8, 10], value.to_be_bytes(), echo.to_be_bytes()].concat());
    }
    if let Some((left, right)) = seg.options.sack {
        options.extend([[1, 1, 5, 10], left.raw().to_be_bytes(), right.raw().to_be_bytes()].concat());
    }
    let offset = ((20 + options.len()) / 4) as u8;
    let ports = [packet.src.port.to_be_bytes(), packet.dst.port.to_be_bytes()].concat();
    let numbers = [seg.seq.raw().to_be_bytes(), seg.ack.raw().to_be_bytes()].concat();
    let rest = [&[offset << 4, seg.flags.bits()][..], &seg.window.to_be_bytes(), &[0; 4]].concat();
    [ports, numbers, rest, options, vec![b'x'; seg.payload_len as usize]].concat()
}
