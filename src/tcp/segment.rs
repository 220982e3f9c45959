//! What a TCP segment says, without its payload.

use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU64;

use super::seq::SeqNum;
use crate::time::Timestamp;

/// An address and a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostPort {
    /// The address, IPv4 or IPv6.
    pub ip: IpAddr,
    /// The TCP port.
    pub port: u16,
}

impl HostPort {
    /// An address and a port.
    pub const fn new(ip: IpAddr, port: u16) -> Self {
        Self { ip, port }
    }
}

/// `192.0.2.1:80`, `[2001:db8::1]:80`.
impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ip {
            IpAddr::V4(ip) => f.pad(&format!("{ip}:{}", self.port)),
            IpAddr::V6(ip) => f.pad(&format!("[{ip}]:{}", self.port)),
        }
    }
}

/// The control bits of a TCP header (RFC 9293 3.1), without AE/CWR/ECE.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags(u8);

impl Flags {
    /// No more data from the sender.
    pub const FIN: Self = Self(0x01);
    /// Synchronize sequence numbers.
    pub const SYN: Self = Self(0x02);
    /// Reset the connection.
    pub const RST: Self = Self(0x04);
    /// Push function.
    pub const PSH: Self = Self(0x08);
    /// The acknowledgement field is significant.
    pub const ACK: Self = Self(0x10);
    /// The urgent pointer is significant.
    pub const URG: Self = Self(0x20);

    /// From the low six bits of the header's flags byte.
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits & 0x3f)
    }

    /// As they stand in the header's flags byte.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Both sets together.
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Every one of `wanted` is set. A SYN-ACK is `has_all(SYN | ACK)`, which no plain ACK satisfies.
    pub const fn has_all(self, wanted: Self) -> bool {
        self.0 & wanted.0 == wanted.0
    }

    /// At least one of `wanted` is set.
    pub const fn has_any(self, wanted: Self) -> bool {
        self.0 & wanted.0 != 0
    }

    /// A SYN that answers nothing: SYN without ACK or RST.
    pub const fn is_bare_syn(self) -> bool {
        self.0 & (Self::SYN.0 | Self::ACK.0 | Self::RST.0) == Self::SYN.0
    }

    /// SYN and ACK, no RST.
    pub const fn is_syn_ack(self) -> bool {
        self.0 & (Self::SYN.0 | Self::ACK.0 | Self::RST.0) == Self::SYN.0 | Self::ACK.0
    }
}

/// `SYN,ACK`, `FIN,ACK`, `-` for none; PSH and URG are left out: they say nothing about states.
impl fmt::Display for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = [(Self::SYN, "SYN"), (Self::FIN, "FIN"), (Self::RST, "RST"), (Self::ACK, "ACK")];
        let mut first = true;
        for (flag, name) in names {
            if self.has_all(flag) {
                f.write_str(if first { "" } else { "," })?;
                f.write_str(name)?;
                first = false;
            }
        }
        if first { f.write_str("-") } else { Ok(()) }
    }
}

/// Where a packet stood: the input file (0 for the first) and the packet's number in it, counted from 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FrameId(
    /// Both, and one more, so that an `Option` of it takes no more room.
    NonZeroU64,
);

impl FrameId {
    const NUMBER_BITS: u32 = 48;

    /// The packet `number` (from 1; at most 2^48 − 1) of input `file`.
    #[inline]
    pub const fn new(file: u16, number: u64) -> Self {
        let both = (file as u64) << Self::NUMBER_BITS | number & ((1 << Self::NUMBER_BITS) - 1);
        Self(NonZeroU64::MIN.saturating_add(both))
    }

    const fn both(self) -> u64 {
        self.0.get() - 1
    }

    /// The input, in the order of the command line, from 0.
    #[inline]
    pub const fn file(self) -> u16 {
        (self.both() >> Self::NUMBER_BITS) as u16
    }

    /// The packet's number in its file, from 1, as Wireshark shows it.
    #[inline]
    pub const fn number(self) -> u64 {
        self.both() & ((1 << Self::NUMBER_BITS) - 1)
    }

    /// Packets from `earlier` on; more than 2^32 in another file, and before `earlier`.
    #[inline]
    pub(crate) const fn since(self, earlier: Self) -> u64 {
        self.0.get().wrapping_sub(earlier.0.get())
    }
}

/// No packet: number 0 of the first input.
impl Default for FrameId {
    fn default() -> Self {
        Self::new(0, 0)
    }
}

impl fmt::Debug for FrameId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FrameId").field(&self.both()).finish()
    }
}

/// The TCP options that finwait uses (RFC 9293 3.2, RFC 7323, RFC 2018).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// TSval and TSecr (RFC 7323 3).
    pub timestamps: Option<(u32, u32)>,
    /// The shift count of window scale, 0 to 14; larger ones are read as 14 (RFC 7323 2.3).
    pub window_scale: Option<u8>,
    /// The first SACK block, left and right edge; a duplicate one is a D-SACK (RFC 2883).
    pub sack: Option<(SeqNum, SeqNum)>,
}

/// One TCP segment as it passed the tap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// When it passed the tap.
    pub ts: Timestamp,
    /// Its place among all packets of the run, all inputs merged, from 0. Orders connections.
    pub ordinal: u64,
    /// Its file and number.
    pub frame: FrameId,
    /// SEG.SEQ.
    pub seq: SeqNum,
    /// SEG.ACK; meaningless without [`Flags::ACK`].
    pub ack: SeqNum,
    /// The control bits.
    pub flags: Flags,
    /// The window field, unscaled.
    pub window: u16,
    /// Payload bytes by the IP length, so bytes that snaplen cut off count.
    pub payload_len: u32,
    /// IP bytes, headers included.
    pub ip_len: u32,
    /// The IPv4 identification; `None` for IPv6.
    pub ip_id: Option<u16>,
    /// The TCP checksum field: with the numbers, the fingerprint of the payload.
    pub checksum: u16,
    /// The checksum was verified over the whole segment and is wrong, and not merely left to the hardware.
    pub bad_checksum: bool,
    /// The TCP options were cut off by snaplen, so some may be missing from `options`.
    pub options_cut: bool,
    /// The options.
    pub options: Options,
}

impl Segment {
    /// SEG.LEN: payload plus one each for SYN and FIN (RFC 9293 3.4). The only definition of it.
    pub const fn seg_len(&self) -> u32 {
        self.payload_len
            .wrapping_add(self.flags.has_all(Flags::SYN) as u32)
            .wrapping_add(self.flags.has_all(Flags::FIN) as u32)
    }

    /// The sequence number after everything it carries.
    pub const fn end(&self) -> SeqNum {
        self.seq.plus(self.seg_len())
    }

    /// The sequence number of its first payload byte: behind the SYN, if it has one.
    pub const fn payload_seq(&self) -> SeqNum {
        self.seq.plus(self.flags.has_all(Flags::SYN) as u32)
    }

    /// The acknowledgement number, if the segment has one that means something.
    pub const fn acknowledges(&self) -> Option<SeqNum> {
        if self.flags.has_all(Flags::ACK) { Some(self.ack) } else { None }
    }
}

/// A tunnel around the innermost IP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tunnel {
    /// The outermost encapsulation that was opened.
    pub kind: TunnelKind,
    /// VNI, GRE key, GTP TEID, MPLS label, session, service or path, where the encapsulation has one.
    pub id: Option<u32>,
}

/// Encapsulations that are opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum TunnelKind {
    IpInIp,
    Gre,
    Erspan,
    Vxlan,
    Geneve,
    GtpU,
    Mpls,
    Pppoe,
    Ppp,
    Ah,
    Teredo,
    L2tp,
    EtherIp,
    Lisp,
    Capwap,
    Tzsp,
    Pbb,
    Trill,
    Nsh,
}

impl TunnelKind {
    /// The name that the tables use.
    pub const fn name(self) -> &'static str {
        match self {
            Self::IpInIp => "ipip",
            Self::Gre => "gre",
            Self::Erspan => "erspan",
            Self::Vxlan => "vxlan",
            Self::Geneve => "geneve",
            Self::GtpU => "gtp",
            Self::Mpls => "mpls",
            Self::Pppoe => "pppoe",
            Self::Ppp => "ppp",
            Self::Ah => "ah",
            Self::Teredo => "teredo",
            Self::L2tp => "l2tp",
            Self::EtherIp => "etherip",
            Self::Lisp => "lisp",
            Self::Capwap => "capwap",
            Self::Tzsp => "tzsp",
            Self::Pbb => "pbb",
            Self::Trill => "trill",
            Self::Nsh => "nsh",
        }
    }
}

/// `vxlan 42`, `ipip`.
impl fmt::Display for Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.name())?;
        match self.id {
            Some(id) => write!(f, " {id}"),
            None => Ok(()),
        }
    }
}

/// A segment with the addresses it travelled between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addressed {
    /// Who sent it.
    pub src: HostPort,
    /// Whom it was for.
    pub dst: HostPort,
    /// The outermost VLAN id, if the frame had one.
    pub vlan: Option<u16>,
    /// The tunnel it came in, if any.
    pub tunnel: Option<Tunnel>,
    /// What it says.
    pub segment: Segment,
}

/// An ICMP error that quotes a TCP header (RFC 792, RFC 4443): its sender could not deliver that segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Undelivered {
    /// When the ICMP message passed the tap.
    pub ts: Timestamp,
    /// The ICMP message's file and number.
    pub frame: FrameId,
    /// The quoted segment's sender.
    pub src: HostPort,
    /// The quoted segment's receiver.
    pub dst: HostPort,
    /// The quoted segment's sequence number.
    pub seq: SeqNum,
    /// Who says so: a router on the way, or the host itself.
    pub from: IpAddr,
    /// Why it could not be delivered.
    pub why: Why,
}

/// Why a segment could not be delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Destination unreachable, in any of its codes but "fragmentation needed".
    Unreachable {
        /// Such as `port` or `host prohibited`; `None` for a code that has no name.
        what: Option<&'static str>,
    },
    /// It is longer than the next link carries, and may not be cut (RFC 1191, RFC 8201).
    TooBig {
        /// The bytes of an IP packet that the next link carries; `None` where an old router does not say.
        mtu: Option<u32>,
    },
    /// It was forwarded too often, or a fragment of it is missing.
    TimeExceeded,
    /// Its IP header has a field or an option that was not understood.
    HeaderProblem,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_ack_is_no_syn_ack() {
        let syn_ack = Flags::SYN.or(Flags::ACK);
        assert!(!Flags::ACK.has_all(syn_ack));
        assert!(Flags::ACK.has_any(syn_ack));
        assert!(syn_ack.is_syn_ack());
        assert!(!syn_ack.or(Flags::RST).is_syn_ack());
        assert!(!Flags::SYN.or(Flags::RST).is_bare_syn());
    }

    #[test]
    fn frame_ids_keep_file_and_number() {
        let id = FrameId::new(7, 18_220);
        assert_eq!((id.file(), id.number()), (7, 18_220));
        assert!(FrameId::new(1, 1) > FrameId::new(0, 1 << 47));
    }
}
