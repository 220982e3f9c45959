//! Where packets come from: files, standard input, an interface. In: a path or a name. Out: [`Packet`]s in order.
//!
//! ```text
//! file, pipe ─▶ decompress ─▶ window (one reused buffer) ─▶ pcap | pcapng | snoop (nom) ─▶ savefile ─▶ merge ─▶ Packet
//!                                                                interface ─▶ live ─┘
//! ```

use crate::time::Timestamp;

mod compression;
mod decompress;
pub mod error;
pub mod filter;
mod foreign;
pub mod info;
pub mod later;
mod link;
#[cfg(feature = "live")]
pub mod live;
pub mod merge;
mod pcap;
mod pcapng;
pub mod savefile;
mod snoop;
#[cfg(test)]
mod tests;
mod window;
mod words;
pub mod write;

pub use compression::Compression;
pub use error::{CaptureError, Problem};
pub use info::Info;
pub use later::Later;
pub use merge::Merge;
pub use savefile::Savefile;

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
    /// The pcapng interface it came in on; 0 in a classic pcap. Numbers are unique over the whole file: a later
    /// section goes on counting where the one before it ended.
    pub interface: u32,
    /// Bytes it had on the wire, before snaplen cut it.
    pub wire_len: u32,
    /// The bytes that were kept.
    pub data: &'a [u8],
}

/// What a [`Source`] has for its caller.
#[derive(Clone, Copy, Debug)]
pub enum Polled<'a> {
    /// The next packet.
    Packet(Packet<'a>),
    /// Nothing for the moment: an interface on which no packet passes. It has waited some milliseconds; ask again.
    Quiet,
    /// There will be no more.
    End,
}

/// What comes after the packets that were lent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Perhaps more of them. The next call may have to wait for the file or the pipe: time to see to what has gathered.
    More,
    /// Nothing for the moment: see [`Polled::Quiet`].
    Quiet,
    /// No more.
    End,
}

/// A file or an interface: packets in the order they were captured.
pub trait Source: Send {
    /// The next packet, or why there is none. After an error and after the end: [`Polled::End`] for ever.
    fn poll(&mut self) -> Result<Polled<'_>, CaptureError>;

    /// Lends up to `most` of the next packets to `take`, one by one, in their order. It waits for the first; where it would
    /// have to wait for another, it returns. Cheaper than as many calls of [`Source::poll`], whose packets move from hand to
    /// hand.
    ///
    /// # Errors
    /// As `poll`; the packets before the error have been lent.
    fn each(&mut self, most: usize, take: &mut dyn FnMut(&Packet<'_>)) -> Result<Flow, CaptureError> {
        for _ in 0..most {
            match self.poll()? {
                Polled::Packet(packet) => take(&packet),
                Polled::Quiet => return Ok(Flow::Quiet),
                Polled::End => return Ok(Flow::End),
            }
        }
        Ok(Flow::More)
    }

    /// When its first packet passed, of a source that knows before it is asked for one. A [`Merge`] asks it for none until that time,
    /// so that thousands of files need not be open at once.
    fn begins(&self) -> Option<Timestamp> {
        None
    }

    /// No packet will be asked for again: gives back what it holds, all but its [`Info`].
    fn close(&mut self) {}

    /// What is known of the source up to now; complete after the end.
    fn info(&mut self) -> Info;
}
