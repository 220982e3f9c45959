//! What the benches work on. In: a profile. Out: a capture in memory, its packets, its segments.

#[path = "../../examples/traffic/generate/mod.rs"]
mod generate;

use finwait::capture::{LinkType, Packet, Savefile};
use finwait::decode::{Decoded, Decoder};
use finwait::tcp::segment::{Addressed, FrameId};
use finwait::time::Timestamp;
pub use generate::Profile;
use generate::Settings;

/// A packet with bytes of its own.
pub struct Kept {
    pub ts: Timestamp,
    pub wire_len: u32,
    pub data: Vec<u8>,
}

impl Kept {
    pub fn packet(&self, number: u64, link: LinkType) -> Packet<'_> {
        Packet { ts: Some(self.ts), number, link, interface: 0, wire_len: self.wire_len, data: &self.data }
    }
}

/// A pcap. Readers must own what they read, so its bytes stay for the rest of the run.
pub fn capture(profile: Profile, packets: u64, flows: u32) -> &'static [u8] {
    let mut bytes = Vec::new();
    let settings = Settings { profile, packets, flows, seed: 1, rate: 200_000 };
    generate::write(&settings, &mut bytes).expect("memory takes everything");
    bytes.leak()
}

/// The packets of a capture.
pub fn packets(capture: &'static [u8]) -> Vec<Kept> {
    let mut savefile = Savefile::from_reader("memory", capture).expect("a pcap");
    let mut packets = Vec::new();
    while let Some(packet) = savefile.next().expect("a sound pcap") {
        let ts = packet.ts.expect("pcap has times");
        packets.push(Kept { ts, wire_len: packet.wire_len, data: packet.data.to_vec() });
    }
    packets
}

/// The segments of a capture.
pub fn segments(capture: &'static [u8]) -> Vec<Addressed> {
    let mut decoder = Decoder::default();
    let packets = packets(capture);
    let decoded = (0_u64..).zip(&packets).filter_map(|(ordinal, kept)| {
        let packet = kept.packet(ordinal + 1, ETHERNET);
        match decoder.decode(&packet, FrameId::new(0, ordinal + 1), ordinal, kept.ts) {
            Decoded::Segment { addressed, .. } => Some(addressed),
            _ => None,
        }
    });
    decoded.collect()
}

/// `LINKTYPE_ETHERNET`.
pub const ETHERNET: LinkType = LinkType(1);
