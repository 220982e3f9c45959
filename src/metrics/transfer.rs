//! What each side sent: packets, bytes, repeats. In: segments and what they turned out to be. Out: the counts of a row.

use crate::tcp::connection::Outcome;
use crate::tcp::endpoint::Copy;
use crate::tcp::segment::{FrameId, Segment};
use crate::tcp::state::Side;
use crate::time::Timestamp;

/// The counters of one connection; arrays are client, server.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Transfer {
    pub first_ts: Timestamp,
    pub last_ts: Timestamp,
    pub first_frame: FrameId,
    pub last_frame: FrameId,
    /// The place of the first segment among all packets of the run.
    pub ordinal: u64,
    pub packets: [u64; 2],
    pub wire_bytes: [u64; 2],
    pub payload_bytes: [u64; 2],
    /// When each side's first new byte passed.
    pub first_byte_ts: [Option<Timestamp>; 2],
    pub capture_copies: [u64; 2],
    pub retransmissions: [u64; 2],
    /// SYNs without ACK, copies included.
    pub syns: [u64; 2],
    /// SYN-ACKs, copies included.
    pub syn_acks: [u64; 2],
    /// Repeats of the SYN, copies left out.
    pub syn_repeats: [u64; 2],
    /// Repeats of the SYN-ACK, copies left out.
    pub syn_ack_repeats: [u64; 2],
}

impl Transfer {
    /// Counters that begin with `first`, which is not counted yet.
    pub const fn new(first: &Segment) -> Self {
        Self {
            first_ts: first.ts,
            last_ts: first.ts,
            first_frame: first.frame,
            last_frame: first.frame,
            ordinal: first.ordinal,
            packets: [0; 2],
            wire_bytes: [0; 2],
            payload_bytes: [0; 2],
            first_byte_ts: [None; 2],
            capture_copies: [0; 2],
            retransmissions: [0; 2],
            syns: [0; 2],
            syn_acks: [0; 2],
            syn_repeats: [0; 2],
            syn_ack_repeats: [0; 2],
        }
    }

    /// Counts a segment.
    #[inline]
    pub fn add(&mut self, side: Side, seg: &Segment, outcome: &Outcome) {
        let i = side.index();
        self.first_ts = self.first_ts.min(seg.ts);
        self.last_ts = self.last_ts.max(seg.ts);
        self.last_frame = seg.frame;
        self.packets[i] += 1;
        self.wire_bytes[i] += u64::from(seg.ip_len);
        if outcome.new_bytes > 0 {
            self.payload_bytes[i] += outcome.new_bytes;
            self.first_byte_ts[i].get_or_insert(seg.ts);
        }
        self.retransmissions[i] += u64::from(outcome.retransmission);
        self.capture_copies[i] += u64::from(outcome.copy == Some(Copy::Tap));
        if seg.flags.is_bare_syn() {
            self.syns[i] += 1;
            self.syn_repeats[i] += u64::from(outcome.repeat);
        } else if seg.flags.is_syn_ack() {
            self.syn_acks[i] += 1;
            self.syn_ack_repeats[i] += u64::from(outcome.repeat);
        }
    }

    /// The roles turned out to be the other way round.
    pub const fn flip(&mut self) {
        let Self {
            first_ts: _,
            last_ts: _,
            first_frame: _,
            last_frame: _,
            ordinal: _,
            packets,
            wire_bytes,
            payload_bytes,
            first_byte_ts,
            capture_copies,
            retransmissions,
            syns,
            syn_acks,
            syn_repeats,
            syn_ack_repeats,
        } = self;
        packets.swap(0, 1);
        wire_bytes.swap(0, 1);
        payload_bytes.swap(0, 1);
        first_byte_ts.swap(0, 1);
        capture_copies.swap(0, 1);
        retransmissions.swap(0, 1);
        syns.swap(0, 1);
        syn_acks.swap(0, 1);
        syn_repeats.swap(0, 1);
        syn_ack_repeats.swap(0, 1);
    }
}
