//! Names of link types. In: a number of the libpcap `LINKTYPE_` registry. Out: what people call it, and what it can hold.

use std::borrow::Cow;

use super::LinkType;

impl LinkType {
    /// BSD loopback: four bytes of address family in the capturing machine's byte order.
    pub const NULL: Self = Self(0);
    /// IEEE 802.3.
    pub const ETHERNET: Self = Self(1);
    /// An IP packet with nothing before it.
    pub const RAW: Self = Self(101);
    /// OpenBSD loopback: the address family in network byte order.
    pub const LOOP: Self = Self(108);
    /// Linux cooked, version 1.
    pub const LINUX_SLL: Self = Self(113);
    /// Linux cooked, version 2.
    pub const LINUX_SLL2: Self = Self(276);
    /// None of the registry's: what a container names by a number of its own that has no counterpart.
    pub const UNKNOWN: Self = Self(u16::MAX);

    /// What people call it: `Ethernet`, `Linux cooked v2`; `link type 147` where there is no name.
    ///
    /// 12 and 14 are `DLT_RAW` of some systems, written into files by programs that did not translate them.
    pub fn name(self) -> Cow<'static, str> {
        Cow::Borrowed(match self.0 {
            0 => "BSD loopback",
            1 => "Ethernet",
            3 => "AX.25",
            6 => "Token Ring",
            7 => "ARCNET",
            8 => "SLIP",
            9 => "PPP",
            10 => "FDDI",
            12 | 14 | 101 => "raw IP",
            50 => "PPP in HDLC",
            51 => "PPPoE",
            100 => "ATM",
            104 => "Cisco HDLC",
            105 => "802.11",
            107 => "Frame Relay",
            108 => "OpenBSD loopback",
            109 => "OpenBSD encapsulated IP",
            113 => "Linux cooked v1",
            114 => "LocalTalk",
            117 => "OpenBSD pf log",
            119 => "802.11 with Prism header",
            122 => "IP over Fibre Channel",
            123 => "SunATM",
            127 => "802.11 with radiotap",
            138 => "IP over FireWire",
            140 => "MTP2",
            141 => "MTP3",
            143 => "DOCSIS",
            163 => "802.11 with AVS header",
            165 => "BACnet MS/TP",
            166 => "PPP with direction",
            177 => "Linux LAPD",
            187 | 201 => "Bluetooth HCI",
            189 | 220 => "Linux USB",
            192 => "PPI",
            195 | 215 | 230 => "802.15.4",
            204 => "PPP with direction",
            205 => "Cisco HDLC with direction",
            206 => "Frame Relay with direction",
            224 => "Fibre Channel",
            227 => "CAN",
            228 => "raw IPv4",
            229 => "raw IPv6",
            231 => "D-Bus",
            239 => "Linux netfilter log",
            242 => "IP over InfiniBand",
            247 => "InfiniBand",
            248 => "SCTP",
            249 => "USBPcap",
            253 => "Linux netlink",
            258 => "Apple PKTAP",
            266 => "Darwin USB",
            272 => "nRF sniffer",
            274 => "Ethernet mPacket",
            276 => "Linux cooked v2",
            279 => "EBHSCR",
            u16::MAX => "unknown link type",
            other => return Cow::Owned(format!("link type {other}")),
        })
    }

    /// The longest packet that a record of this link type is believed to have, in bytes: 256 KiB, the longest libpcap
    /// captures (`MAXIMUM_SNAPLEN`), and 16 MiB for the buses whose messages are larger. A longer one is a damaged
    /// header, which must not be mistaken for a packet: everything after it would be read out of step.
    pub const fn longest_packet(self) -> u32 {
        match self.0 {
            189 | 220 | 231 | 249 | 266 | 279 => 16 << 20,
            _ => 256 << 10,
        }
    }

    /// The link type of a `DLT_` number, as libpcap gives it for an interface; the two differ where systems disagreed.
    pub const fn from_dlt(dlt: u16) -> Self {
        match dlt {
            11 => Self(100),
            12 if cfg!(target_os = "openbsd") => Self::LOOP,
            14 if cfg!(target_os = "openbsd") => Self::RAW,
            12 => Self::RAW,
            other => Self(other),
        }
    }

    /// The `DLT_` number under which libpcap knows this link type here.
    pub const fn to_dlt(self) -> u16 {
        match self.0 {
            12 | 14 | 101 if cfg!(target_os = "openbsd") => 14,
            12 | 14 | 101 => 12,
            100 => 11,
            108 if cfg!(target_os = "openbsd") => 12,
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn link_types_have_the_names_people_use() {
        assert_eq!(LinkType::ETHERNET.name(), "Ethernet");
        assert_eq!(LinkType::LINUX_SLL2.name(), "Linux cooked v2");
        assert_eq!(LinkType(12).name(), LinkType::RAW.name());
        assert_eq!(LinkType(147).name(), "link type 147");
    }

    #[test]
    fn raw_ip_has_two_numbers() {
        assert_eq!(LinkType::from_dlt(LinkType::RAW.to_dlt()), LinkType::RAW);
        assert_eq!(LinkType::from_dlt(1), LinkType::ETHERNET);
        assert_eq!(LinkType::LINUX_SLL.to_dlt(), 113);
    }
}
