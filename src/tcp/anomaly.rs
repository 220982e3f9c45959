//! Oddities: named, counted, never errors.

use super::segment::{FrameId, Segment};
use super::state::Side;
use super::words::words;
use crate::time::Timestamp;

words! {
    /// Things that should not be.
    AnomalyKind {
        /// The tap recorded a packet twice.
        CapturedTwice = "captured_twice",
        /// A timestamp lies before an earlier packet's, so a span came out negative.
        TimeWentBack = "time_went_back",
        /// Bytes were acknowledged that the tap never saw.
        AckOfUnseen = "ack_of_unseen",
        /// A SYN came again with another initial sequence number before any answer.
        IsnChanged = "isn_changed",
        /// A SYN inside a live connection.
        SynInConnection = "syn_in_connection",
        /// An ACK that refuses a SYN or RST inside a connection (RFC 5961).
        ChallengeAck = "challenge_ack",
        /// An RST that its receiver would not accept.
        RstOutOfWindow = "rst_out_of_window",
        /// Data from a side after it was reset.
        DataAfterRst = "data_after_rst",
        /// Data beyond a side's own FIN.
        DataAfterFin = "data_after_fin",
        /// An ACK, not a SYN-ACK, answered the SYN.
        AckNotSynAck = "ack_not_syn_ack",
        /// A keep-alive.
        KeepAlive = "keep_alive",
        /// A probe of a closed window.
        ZeroWindowProbe = "zero_window_probe",
        /// The same bytes of the stream were sent with other contents.
        OverlapDiffers = "overlap_differs",
        /// The TCP checksum is wrong.
        BadChecksum = "bad_checksum",
        /// The TCP options were cut off or broken.
        TruncatedHeader = "truncated_header",
        /// A timestamp so old that the receiver throws the segment away (RFC 7323 5).
        PawsRejected = "paws_rejected",
        /// Data or a FIN from far beyond the receiver's window: its alleged sender did not send it, or sent it in vain.
        OutOfWindow = "out_of_window",
        /// A handshake in four packets.
        SplitHandshake = "split_handshake",
        /// An ICMP error says that a segment's destination cannot be reached.
        IcmpUnreachable = "icmp_unreachable",
        /// An ICMP error says that a segment was too long for a link on the way and may not be cut: what path MTU discovery lives on.
        IcmpFragmentationNeeded = "icmp_fragmentation_needed",
        /// A segment came again at a length that an ICMP error had ruled out: its sender was not told, or did not listen.
        MtuIgnored = "mtu_ignored",
        /// An ICMP error says that a segment was forwarded too often.
        IcmpTimeExceeded = "icmp_time_exceeded",
        /// An ICMP error says that a segment's IP header was not understood.
        IcmpHeaderProblem = "icmp_header_problem",
        /// The roles were guessed wrong at first.
        RoleFlipped = "role_flipped",
    }
}

/// The first of a kind in a connection and side, and how many there were.
#[derive(Clone, Debug, PartialEq)]
pub struct Anomaly {
    /// What.
    pub kind: AnomalyKind,
    /// Whose packet shows it.
    pub side: Side,
    /// When the first passed the tap.
    pub ts: Timestamp,
    /// The first one's frame.
    pub frame: FrameId,
    /// Numbers that a person wants to see.
    pub detail: String,
    /// How many.
    pub count: u64,
}

/// The anomalies of one connection; at most one a kind and side.
#[derive(Clone, Debug, Default)]
pub struct Anomalies(Vec<Anomaly>);

impl Anomalies {
    /// Counts one; `detail` is asked for only the first time.
    pub fn note(&mut self, kind: AnomalyKind, side: Side, seg: &Segment, detail: impl FnOnce() -> String) {
        self.note_at(kind, side, seg.ts, seg.frame, detail);
    }

    /// Counts one that passed at `ts` in `frame`.
    pub fn note_at(
        &mut self,
        kind: AnomalyKind,
        side: Side,
        ts: Timestamp,
        frame: FrameId,
        detail: impl FnOnce() -> String,
    ) {
        match self.0.iter_mut().find(|known| known.kind == kind && known.side == side) {
            Some(known) => known.count += 1,
            None => {
                self.0.push(Anomaly { kind, side, ts, frame, detail: detail(), count: 1 });
            }
        }
    }

    /// None, in the same memory.
    pub fn renew(&mut self) {
        self.0.clear();
    }

    /// In the order of their first occurrence.
    pub fn iter(&self) -> impl Iterator<Item = &Anomaly> {
        self.0.iter()
    }

    /// The roles turned out to be the other way round.
    pub fn flip(&mut self) {
        for anomaly in &mut self.0 {
            anomaly.side = anomaly.side.peer();
        }
    }
}
