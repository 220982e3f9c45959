//! Where packets come from: files, standard input, an interface. In: a path or a name. Out: [`Packet`]s in order.

use crate::time::Timestamp;

/// What the first byte of a packet is: the libpcap `LINKTYPE_*` number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkType(pub u16);

/// One captured packet, borrowed from its source's buffer until the next call.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// When it passed the tap; `None` where the container does not say (pcapng simple packets).
    pub ts: Option<Timestamp>,
    /// Its number in its file, from 1.
    pub number: u64,
    /// What `data` begins with.
    pub link: LinkType,
    /// The pcapng interface it came in on; 0 in a classic pcap.
    pub interface: u32,
    /// Bytes it had on the wire, before snaplen cut it.
    pub wire_len: u32,
    /// The bytes that were kept.
    pub data: &'a [u8],
}
