//! What a source says of itself. In: its packets, one by one. Out: [`Info`] for the summary.

use std::collections::BTreeSet;

use super::window::{Found, Window};
use super::{LinkType, Packet};
use crate::time::Timestamp;

/// What a capture says of an interface that packets came in on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Interface {
    /// Its name, such as `eth0`.
    pub name: Option<String>,
    /// The most bytes of a packet that it kept; `None` when unlimited or not told.
    pub snaplen: Option<u32>,
    /// Decimal places of a second that its times have: 9 for nanoseconds, which is also the most that is kept.
    pub decimals: u8,
}

/// What is known of one source; the fields are those of the report's list of captures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// As the user wrote it; `-` for standard input.
    pub path: String,
    /// `pcap`, `pcap (ns)`, `pcap (modified)`, `pcapng`, `snoop`, with the compression if any: `pcap (ns, gzip)`; `live` for an
    /// interface.
    pub format: String,
    /// Packets read.
    pub packets: u64,
    /// Bytes of the capture itself, uncompressed, container included.
    pub bytes: u64,
    /// The least timestamp.
    pub first_ts: Option<Timestamp>,
    /// The greatest timestamp.
    pub last_ts: Option<Timestamp>,
    /// The link types met on packets, in the order of their numbers.
    pub link_types: Vec<LinkType>,
    /// Packets that the tap says it dropped; `None` when it does not tell.
    pub drops: Option<u64>,
    /// The most bytes of a packet that were kept; `None` when unlimited or not told.
    pub snaplen: Option<u32>,
}

impl Info {
    /// Names of the link types, such as `Ethernet`, in the order of their numbers, each once.
    pub fn link_names(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::with_capacity(self.link_types.len());
        for name in self.link_types.iter().map(|link| link.name()) {
            if !names.iter().any(|known| *known == name) {
                names.push(name.into_owned());
            }
        }
        names
    }
}

/// The running figures of a source.
#[derive(Debug)]
pub(super) struct Seen {
    pub packets: u64,
    least: Timestamp,
    greatest: Timestamp,
    last_link: Option<LinkType>,
    links: BTreeSet<LinkType>,
}

impl Seen {
    pub(super) fn new() -> Self {
        // The ends of the range stand crosswise until a packet has a timestamp.
        let (least, greatest) = (Timestamp::MAX, Timestamp::MIN);
        Self { packets: 0, least, greatest, last_link: None, links: BTreeSet::new() }
    }

    /// Counts the packet that was found in `window`.
    #[inline(always)]
    pub(super) fn packet<'a>(&mut self, found: Found, window: &'a Window) -> Packet<'a> {
        let Found { ts, link, interface, wire_len, data } = found;
        Packet { ts, number: self.count(ts, link), link, interface, wire_len, data: window.get(data) }
    }

    /// Counts one packet; its number comes back.
    #[inline(always)]
    pub(super) fn count(&mut self, ts: Option<Timestamp>, link: LinkType) -> u64 {
        self.packets += 1;
        if let Some(ts) = ts {
            self.least = self.least.min(ts);
            self.greatest = self.greatest.max(ts);
        }
        if self.last_link != Some(link) {
            self.change_link(link);
        }
        self.packets
    }

    #[cold]
    fn change_link(&mut self, link: LinkType) {
        self.last_link = Some(link);
        self.links.insert(link);
    }

    pub(super) fn first_ts(&self) -> Option<Timestamp> {
        (self.least <= self.greatest).then_some(self.least)
    }

    pub(super) fn last_ts(&self) -> Option<Timestamp> {
        (self.least <= self.greatest).then_some(self.greatest)
    }

    pub(super) fn links(&self) -> Vec<LinkType> {
        self.links.iter().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_and_the_greatest_time_are_kept_whatever_the_order() {
        let mut seen = Seen::new();
        assert_eq!((seen.first_ts(), seen.last_ts()), (None, None));
        seen.count(None, LinkType(113));
        assert_eq!(seen.first_ts(), None);
        for nanos in [5, 9, 2] {
            seen.count(Some(Timestamp::from_nanos(nanos)), LinkType::ETHERNET);
        }
        assert_eq!(seen.packets, 4);
        assert_eq!(seen.first_ts(), Some(Timestamp::from_nanos(2)));
        assert_eq!(seen.last_ts(), Some(Timestamp::from_nanos(9)));
        assert_eq!(seen.links(), [LinkType::ETHERNET, LinkType::LINUX_SLL]);
    }
}
