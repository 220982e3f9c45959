//! What a connection's packets said about its states: one note for each segment that could change one.
//!
//! Notes hold judged facts, so both endpoints' lives can be told again from them whenever a later packet disproves what
//! was believed ([`life`](super::life)).

use super::segment::{Flags, FrameId, Segment};
use super::seq::SeqNum;
use super::state::Side;
use super::transition::{Stimuli, Stimulus};
use crate::time::Timestamp;

/// Does a note act on its receiver?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acted {
    /// Nothing speaks against it.
    Believed,
    /// The sender repeated itself as if it had not, but an answer may have been lost before the tap.
    Doubtful,
    /// It did not: it died behind the tap, or the receiver refused it.
    Disproved,
}

/// What becomes of a note that its receiver's next segment crosses.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Crossing {
    /// The segment is noted next; the note acts only after it.
    ActsLater,
    /// The segment is not noted; nothing changes.
    Stands,
}

/// A segment that could change a state, with what it meant when it passed.
#[derive(Clone, Debug)]
pub struct Note {
    /// When it passed the tap.
    pub ts: Timestamp,
    /// Its frame.
    pub frame: FrameId,
    /// Who sent it.
    pub side: Side,
    /// Whom it is for: the peer, but the same endpoint in a self-connect.
    pub to: Side,
    /// Its control bits.
    pub flags: Flags,
    /// SEG.SEQ.
    pub seq: SeqNum,
    /// SEG.ACK.
    pub ack: SeqNum,
    /// The sequence number after everything it carries.
    pub end: SeqNum,
    /// Payload bytes.
    pub payload_len: u32,
    /// TSval, TSecr.
    pub timestamps: Option<(u32, u32)>,
    /// The first SACK block.
    pub sack: Option<(SeqNum, SeqNum)>,
    /// What its sender does by sending it.
    pub snd: Stimuli,
    /// What happens to its receiver if it arrives.
    pub rcv: Stimuli,
    /// It repeats a SYN, SYN-ACK or FIN of the same sequence number.
    pub repeat: bool,
    /// A FIN that passed after the peer's, but may have been sent before, or waited since, when nothing shows that the peer's had come first.
    pub may_precede: bool,
    /// Its alleged sender really sent it.
    pub sent: bool,
    /// Did it act on the receiver?
    pub acted: Acted,
    /// The note after which it acts on the receiver; itself, unless the receiver sent something before it arrived.
    pub after: usize,
    /// The sender's sequence number whose acknowledgement proves that this note had arrived, once one is known.
    pub proof: Option<SeqNum>,
    /// When what acts on the receiver passed, if that is not this packet; it may also be one that the tap missed.
    pub since: Option<Timestamp>,
    /// When it had arrived at the latest, if its receiver stands beside the tap.
    pub arrived_by: Option<Timestamp>,
    /// Nothing observed: what its packet shows of an earlier one, which the tap missed, or what follows from that.
    pub unseen: bool,
    /// When the last packet that the sender demonstrably had received passed the tap.
    pub known_ts: Option<Timestamp>,
}

impl Note {
    /// The facts of `seg`, sent by `side` to `to`, as note number `index`.
    pub fn new(side: Side, to: Side, seg: &Segment, index: usize) -> Self {
        Self {
            flags: seg.flags,
            seq: seg.seq,
            ack: seg.ack,
            end: seg.end(),
            payload_len: seg.payload_len,
            timestamps: seg.options.timestamps,
            sack: seg.options.sack,
            ..Self::blank(side, to, seg.ts, seg.frame, index)
        }
    }

    /// An ICMP error, which passed at `ts` in `frame`, tells `to` that its peer cannot be reached.
    pub fn unreachable(to: Side, ts: Timestamp, frame: FrameId, index: usize) -> Self {
        let rcv = Stimuli::NONE.with(Stimulus::RcvUnreachable);
        Self { rcv, ..Self::blank(to.peer(), to, ts, frame, index) }
    }

    fn blank(side: Side, to: Side, ts: Timestamp, frame: FrameId, index: usize) -> Self {
        let nothing = SeqNum::default();
        Self {
            ts,
            frame,
            side,
            to,
            flags: Flags::default(),
            seq: nothing,
            ack: nothing,
            end: nothing,
            payload_len: 0,
            timestamps: None,
            sack: None,
            snd: Stimuli::NONE,
            rcv: Stimuli::NONE,
            repeat: false,
            may_precede: false,
            sent: true,
            acted: Acted::Believed,
            after: index,
            proof: None,
            since: None,
            arrived_by: None,
            unseen: false,
            known_ts: None,
        }
    }

    /// Does it carry a FIN?
    pub const fn is_fin(&self) -> bool {
        self.flags.has_all(Flags::FIN) && !self.flags.has_any(Flags::RST)
    }
}

/// The item, if there is just one.
pub fn only<T>(mut items: impl Iterator<Item = T>) -> Option<T> {
    items.next().filter(|_| items.next().is_none())
}
