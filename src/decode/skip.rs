//! Why a packet yields no TCP segment. In: what a layer met. Out: a named reason and a counter for each.

/// An enum whose variants carry the word that the reports use.
macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $word:literal,)+) => {
        /// The reason that a packet yields no TCP segment. Exactly one is counted for every such packet.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Skip { $($(#[$doc])* $variant,)+ }

        impl Skip {
            /// All of them, in the order in which the reports list them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The word that `summary.json` uses under `skipped`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }
    };
}

reasons! {
    /// A UDP datagram that is no tunnel known to finwait: tunnels are told by their registered port, on no other.
    Udp = "udp",
    /// An ICMP or ICMPv6 message that quotes no TCP header or reports no failed delivery.
    Icmp = "icmp",
    /// An ICMP or ICMPv6 error that quotes a TCP segment. It is told to the connection that it quotes, if the run has that.
    IcmpError = "icmp_error",
    /// An IP packet of another protocol. IP that a TCP stream carries (STT, SOCKS, a VPN over TCP) is that stream's data.
    OtherProtocol = "other_protocol",
    /// ARP or reverse ARP.
    Arp = "arp",
    /// Neither IP nor ARP, management frames of a link included.
    NotIp = "not_ip",
    /// A fragment that did not complete its datagram: kept for reassembly, or of no use to it. Pieces of frames (802.11, PPP multilink,
    /// CAPWAP, preempted Ethernet) are counted here and not put together.
    Fragment = "fragment",
    /// In clear only up to here: ESP, MACsec, protected 802.11, CAPWAP over DTLS, DOCSIS with privacy. Finwait takes no keys. ESP that
    /// does not encrypt (RFC 2410) looks no different, and is not guessed at.
    Encrypted = "encrypted",
    /// Readable only after decompression: IPComp, compressed PPP.
    Compressed = "compressed",
    /// The snapshot length ended in the link-layer headers.
    CutLink = "cut_link",
    /// The snapshot length ended in the IP headers.
    CutIp = "cut_ip",
    /// The snapshot length ended in the headers of a tunnel.
    CutTunnel = "cut_tunnel",
    /// The snapshot length ended in the first 16 bytes of the TCP header.
    CutTcp = "cut_tcp",
    /// The link-layer headers contradict themselves or the packet's length.
    BadLinkHeader = "bad_link_header",
    /// The IP headers contradict themselves or the packet's length.
    BadIpHeader = "bad_ip_header",
    /// The headers of a tunnel contradict themselves or the packet's length.
    BadTunnel = "bad_tunnel",
    /// A TCP header with a data offset below 5, or fewer than 16 bytes behind the IP header.
    BadTcpHeader = "bad_tcp_header",
    /// A link type that finwait cannot read: Bluetooth, USB, IrDA, buses, and those left to users.
    UnknownLinkType = "unknown_link_type",
    /// More headers inside each other than finwait opens.
    TooDeep = "too_deep",
}

impl std::fmt::Display for Skip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// How many packets were skipped for each reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SkipCounts([u64; Skip::ALL.len()]);

impl SkipCounts {
    /// Counts one packet.
    pub const fn add(&mut self, skip: Skip) {
        self.0[skip as usize] += 1;
    }

    /// The packets skipped for one reason.
    pub const fn get(&self, skip: Skip) -> u64 {
        self.0[skip as usize]
    }

    /// The packets skipped for any reason.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Adds what another decoder counted.
    pub fn merge(&mut self, other: &Self) {
        for (sum, more) in self.0.iter_mut().zip(other.0) {
            *sum += more;
        }
    }

    /// The reasons that occurred, in the order of [`Skip::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = (Skip, u64)> + '_ {
        Skip::ALL.iter().map(|&skip| (skip, self.get(skip))).filter(|&(_, count)| count > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_reason_has_a_place_and_a_word_of_its_own() {
        let words: HashSet<_> = Skip::ALL.iter().map(|skip| skip.name()).collect();
        assert_eq!(words.len(), Skip::ALL.len());
        for (place, &skip) in Skip::ALL.iter().enumerate() {
            assert_eq!(skip as usize, place);
            assert!(skip.name().chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{skip}");
        }
    }

    #[test]
    fn counts_add_up_and_merge() {
        let mut counts = SkipCounts::default();
        counts.add(Skip::Arp);
        counts.add(Skip::Arp);
        let mut other = SkipCounts::default();
        other.add(Skip::TooDeep);
        other.add(Skip::Arp);
        counts.merge(&other);
        assert_eq!(counts.total(), 4);
        assert_eq!(counts.iter().collect::<Vec<_>>(), [(Skip::Arp, 3), (Skip::TooDeep, 1)]);
    }
}
