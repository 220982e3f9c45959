//! RSTs: which count, what they answer, and what crossed them. In: an RST. Out: a note, an oddity, or a doubt that waits for what comes next.

use super::anomaly::AnomalyKind;
use super::connection::{Connection, Outcome, Reset};
use super::reach::{Arrived, arrived};
use super::segment::{Flags, FrameId, Segment};
use super::seq::SeqNum;
use super::state::{Side, State};
use super::stimulus::{self, Reset as Verdict};
use super::transition::{Stimuli, Stimulus};
use crate::time::Timestamp;

impl Connection {
    pub(super) fn note_ignored_rst(&mut self, side: Side, ts: Timestamp, frame: FrameId, seq: SeqNum) {
        self.anomalies.note_at(AnomalyKind::RstOutOfWindow, side, ts, frame, || format!("sequence number {seq}"));
    }

    pub(super) fn feed_rst(&mut self, side: Side, seg: &Segment) -> Outcome {
        let peer = self.peer(side);
        let state = self.state(side);
        let verdict = stimulus::rst_accepted(self.end(side), self.end(peer), self.state(peer), seg);
        // An RST out of SYN-SENT that answers an ACK of something else gives nothing up (RFC 9293 3.10.7.3 first).
        let answers_stale_ack = state == Some(State::SynSent)
            && !seg.flags.has_all(Flags::ACK)
            && !self.end(peer).syn_ack
            && self.end(peer).last_sent.is_some();
        let bare = !seg.flags.has_all(Flags::ACK);
        match verdict {
            Verdict::Accepted if state == Some(State::Closed) && bare => {
                if self.earlier_ack_closed(side) {
                    self.life.confirm_last(side, seg.ts);
                }
            }
            // A bare one answers something that had arrived.
            Verdict::Accepted if bare => {}
            Verdict::Accepted => self.reset_crosses(side, seg),
            Verdict::Doubtful => {
                self.refusal = Some(Box::new(self.note(side, seg)));
                self.challenged = Some(peer);
                return Outcome::default();
            }
            Verdict::Ignored => {
                self.note_ignored_rst(side, seg.ts, seg.frame, seg.seq);
                self.challenged = Some(peer);
                return Outcome::default();
            }
        }
        if answers_stale_ack {
            self.stale_reset = Some(side);
            return Outcome::default();
        }
        // A bare RST comes from where there is no socket (RFC 9293 3.10.7.1): what it answers changed nothing there.
        let reach = self.end(side).reach;
        let at_once =
            |note: usize| self.log.get(note).is_some_and(|note| arrived(reach, seg.ts.since(note.ts)) != Arrived::Yes);
        let unanswered_fin = !self.end(peer).fin_acked;
        let unproved = self.life.last_step(side).filter(|step| bare && step.confirmed.is_none());
        let unproved = unproved
            .filter(|step| step.stimulus == Stimulus::RcvFin && unanswered_fin || step.note.is_some_and(at_once));
        match unproved.map(|step| step.stimulus) {
            Some(answered @ (Stimulus::RcvSynAck | Stimulus::RcvAckOfSyn | Stimulus::RcvFin)) => {
                self.disprove_all(side, &[answered])
            }
            _ => self.fin_crosses_reset(side, seg),
        }
        let mut note = self.note(side, seg);
        note.snd = Stimuli::NONE.with(Stimulus::SndRst);
        note.rcv = Stimuli::NONE.with(Stimulus::RcvRst);
        if self.reset.is_none() {
            let after_close = self.ends.iter().all(|end| end.fin_acked);
            self.reset = Some(Reset { side, ts: seg.ts, note: self.log.len(), after_close });
        }
        self.push(note);
        Outcome::default()
    }

    /// Did an RST that should have been ignored answer the SYN, and nothing come since?
    pub fn oddly_refused(&self) -> bool {
        self.refusal.as_ref().is_some_and(|refusal| self.state(self.peer(refusal.side)) == Some(State::SynSent))
    }

    /// Nothing came after the doubtful RST but silence, or a new attempt: it was accepted.
    pub fn accept_refusal(&mut self) {
        let Some(mut note) = self.refusal.take() else { return };
        note.snd = Stimuli::NONE.with(Stimulus::SndRst);
        note.rcv = Stimuli::NONE.with(Stimulus::RcvRst);
        let after_close = self.ends.iter().all(|end| end.fin_acked);
        let reset = Reset { side: note.side, ts: note.ts, note: self.log.len(), after_close };
        self.reset.get_or_insert(reset);
        self.push(*note);
    }
}
