//! How a connection opens: SYNs, SYN-ACKs, and the ACK that ends the handshake. In: those segments. Out: notes, and what they teach of
//! earlier ones.

use super::anomaly::AnomalyKind;
use super::connection::{Connection, Outcome};
use super::endpoint::{Endpoint, SOONEST_SYN};
use super::life::{Life, Proof};
use super::log::{Acted, Crossing, Note};
use super::reach::{Arrived, arrived};
use super::segment::{Flags, FrameId, Segment};
use super::seq::SeqNum;
use super::state::{Side, State};
use super::transition::{Stimuli, Stimulus};
use crate::time::{Span, Timestamp};

impl Connection {
    /// A SYN that the network delivers a second time, long after: a client that repeats one stamps it anew.
    pub fn is_copy_of_syn(&self, side: Side, syn: &Segment) -> bool {
        /// Taken as time enough for a client's clock of timestamps to tick (RFC 7323 5.4 allows up to a second).
        const TICKED: Span = Span::from_millis(100);
        let same = |note: &Note| {
            note.side == side
                && note.flags.is_bare_syn()
                && note.seq == syn.seq
                && note.timestamps.is_some()
                && note.timestamps == syn.options.timestamps
                && syn.ts.since(note.ts) > TICKED
        };
        syn.flags.is_bare_syn() && self.log.iter().any(same)
    }

    /// An ICMP error, which passed at `ts` in `frame`, answers the client's SYN.
    pub fn cannot_reach(&mut self, ts: Timestamp, frame: FrameId) {
        self.unreachable = true;
        self.quiet = [false; 2];
        self.push(Note::unreachable(Side::Client, ts, frame, self.log.len()));
    }

    /// A SYN that begins or repeats a connection attempt.
    pub(super) fn feed_syn(&mut self, side: Side, seg: &Segment) -> Outcome {
        // Its ISS may be known already, from the SYN-ACK that answered it before it was recorded.
        let first = !self.log.iter().any(|note| note.side == side && note.flags.is_bare_syn())
            && self.end(side).iss.is_none_or(|iss| iss == seg.seq);
        let repeat = !first && self.end(side).iss == Some(seg.seq);
        if self.stale_reset == Some(side) {
            self.stale_reset = None;
        }
        // A client that has gone on repeats no SYN: this one was overtaken.
        if repeat && !self.end(side).spoke {
            let needless = [Stimulus::RcvSynAck, Stimulus::RcvSyn, Stimulus::RcvRst, Stimulus::RcvUnreachable];
            self.disprove(side, seg.ts, &needless, Crossing::ActsLater);
            if !self.end(self.peer(side)).syn_ack {
                self.doubt(side, seg.ts, Stimulus::RcvSyn);
            }
        } else if !first && !repeat {
            let old = self.end(side).iss.map_or(0, SeqNum::raw);
            self.anomalies
                .note(AnomalyKind::IsnChanged, side, seg, || format!("sequence number {old}, then {}", seg.seq));
            self.end_mut(side).restart(seg.seq);
        }
        // It acknowledged the peer's SYN before it sent its own: four packets where three would do.
        if first && self.end(self.peer(side)).iss.is_some_and(|iss| self.end(side).rcv_nxt == Some(iss.plus(1))) {
            self.anomalies.note(AnomalyKind::SplitHandshake, side, seg, String::new);
        }
        // Its peer has answered, or will, more than once, too.
        if !first {
            self.ends.iter_mut().for_each(Endpoint::repeats);
        }
        let mut note = self.note(side, seg);
        note.repeat = !first;
        note.rcv = Stimuli::NONE.with(Stimulus::RcvSyn);
        if first {
            note.snd = Stimuli::NONE.with(Stimulus::SndSyn);
        }
        // Its SYN-ACK may go unseen.
        if !self.end(self.peer(side)).syn_ack {
            self.end_mut(self.peer(side)).syn_unanswered = true;
        }
        let end = self.end_mut(side);
        end.iss = Some(seg.seq);
        end.syn_unanswered = true;
        end.syn_data = end.syn_data.max(seg.payload_len);
        if let Some(scale) = seg.options.window_scale {
            end.window_scale = scale;
        }
        let new_bytes = self.take_bytes(side, seg);
        // It had not got the peer's SYN when it sent its own: they cross.
        let crossed = first && self.state(side) == Some(State::SynReceived);
        if self.midstream && first && self.end(self.peer(side)).syn_ack {
            self.insert_first(note);
        } else {
            self.push(note);
        }
        if crossed {
            self.defer(side, Stimulus::RcvSyn);
        }
        Outcome { new_bytes, repeat, ..Outcome::default() }
    }

    pub(super) fn feed_syn_ack(&mut self, side: Side, seg: &Segment) -> Outcome {
        let peer = self.peer(side);
        let repeat = self.end(side).syn_ack && self.end(side).iss == Some(seg.seq);
        if repeat && self.late {
            return Outcome { repeat, ..Outcome::default() };
        }
        // Whoever has gone on sends no other SYN-ACK.
        if !repeat && self.end(side).syn_ack && self.end(side).spoke {
            self.anomalies.note(AnomalyKind::SynInConnection, side, seg, || format!("sequence number {}", seg.seq));
            self.challenged = Some(peer);
            return Outcome::default();
        }
        let answers = match self.end(peer).iss {
            Some(iss) => {
                let furthest = iss.plus(1 + self.end(peer).syn_data);
                seg.ack.is_after(iss) && furthest.is_at_or_after(seg.ack)
                    || self.end(peer).earlier_iss.is_some_and(|earlier| seg.ack == earlier.plus(1))
            }
            None => true,
        };
        if self.end(peer).iss.is_some_and(|iss| seg.ack != iss.plus(1))
            && let Some(earlier) = self.end(peer).earlier_iss.filter(|earlier| seg.ack == earlier.plus(1))
        {
            // The first SYN was the one that was answered, after all.
            self.end_mut(peer).restart(earlier);
        }
        // Sooner than any timer: a copy of the SYN drew it, and it may have left before the last ACK came.
        let drawn = self.log.iter().rev().find(|note| note.side == side && note.flags.is_syn_ack());
        let drawn = drawn.is_some_and(|before| seg.ts.since(before.ts) < SOONEST_SYN);
        if repeat && !drawn {
            self.accept_queue_overflow |= self.ignores_final_ack(side, seg);
            self.disprove(side, seg.ts, &[Stimulus::RcvAckOfSyn], Crossing::ActsLater);
            if self.life.entry(peer, State::Established).is_none_or(|step| step.confirmed.is_none()) {
                self.doubt(side, seg.ts, Stimulus::RcvSynAck);
            }
        } else if !repeat && self.end(side).syn_ack {
            self.anomalies.note(AnomalyKind::IsnChanged, side, seg, || {
                let old = self.ends[side.index()].iss.map_or(0, SeqNum::raw);
                format!("SYN-ACK with sequence number {old}, then {}", seg.seq)
            });
            self.end_mut(side).restart(seg.seq);
        } else if self.end(side).iss.is_some_and(|iss| iss != seg.seq) {
            self.end_mut(side).restart(seg.seq);
        }
        if answers {
            self.measure_reach(side, seg, Flags::is_bare_syn);
            self.echoed(side, seg, Stimulus::RcvSyn);
        }
        if repeat {
            self.end_mut(side).repeats();
        }
        let mut note = self.note(side, seg);
        note.repeat = repeat;
        note.snd = Stimuli::NONE.with(Stimulus::SndSynAck);
        if answers {
            note.rcv = Stimuli::NONE.with(Stimulus::RcvSynAck);
        }
        let end = self.end_mut(side);
        end.iss = Some(seg.seq);
        end.syn_ack = true;
        end.syn_ack_acked = end.syn_ack_acked.filter(|_| repeat).or(Some(seg.ack));
        end.rcv_nxt = Some(seg.ack);
        end.syn_unanswered = true;
        if let Some(scale) = seg.options.window_scale {
            end.window_scale = scale;
        }
        if answers {
            let peer = self.end_mut(peer);
            peer.syn_unanswered = false;
            if peer.iss.is_none() {
                peer.iss = Some(seg.ack.plus(u32::MAX));
            }
            peer.acked(seg.ack, seg);
        }
        let new_bytes = self.take_bytes(side, seg);
        self.push(note);
        Outcome { new_bytes, repeat, ..Outcome::default() }
    }

    /// `side` repeats its SYN-ACK though its peer's last ACK has passed: did that ACK arrive, and was it ignored, because there is no room
    /// in the accept queue? One packet may have been lost behind the tap, so it takes two that acknowledge; or a tap beside the
    /// listener; or a repeat that echoes the ACK's timestamp (Linux before 6.15 took it over before it looked for room).
    pub(super) fn ignores_final_ack(&self, side: Side, seg: &Segment) -> bool {
        let end = self.end(side);
        let echo = seg.options.timestamps.map(|(_, echo)| echo);
        let echoes = |note: &Note| echo.is_some() && note.timestamps.map(|(value, _)| value) == echo;
        let peers = || self.log.iter().filter(|note| note.to == side);
        let echoes_ack = peers().any(|note| note.rcv.has(Stimulus::RcvAckOfSyn) && echoes(note))
            && !peers().any(|note| note.flags.is_bare_syn() && echoes(note));
        let beside = self.is_beside_the_tap(side);
        let had_arrived =
            |covered: Option<Timestamp>| covered.is_some_and(|ts| arrived(end.reach, seg.ts.since(ts)) == Arrived::Yes);
        let [first, second] = end.syn_ack_covered;
        had_arrived(second) || had_arrived(first) && (echoes_ack || beside)
    }

    /// When the first packet passed that acknowledged `side`'s SYN-ACK after the ones that died: not each of them became a note.
    pub(super) fn covered_since(&self, side: Side) -> Option<Timestamp> {
        let died =
            |note: &&Note| note.to == side && note.rcv.has(Stimulus::RcvAckOfSyn) && note.acted == Acted::Disproved;
        let last = self.log.iter().filter(died).map(|note| note.ts).max()?;
        self.end(side).syn_ack_covered.into_iter().flatten().find(|&ts| ts > last)
    }

    /// The SYN comes after its SYN-ACK in the capture: causally it is the first note.
    pub(super) fn insert_first(&mut self, note: Note) {
        for note in &mut self.log {
            note.after += 1;
        }
        if let Some(reset) = &mut self.reset {
            reset.note += 1;
        }
        self.log.insert(0, Note { after: 0, ..note });
        self.midstream = false;
        self.life = Life::new(Self::start(false));
        self.life.retell(&self.log, Self::start(false));
        for note in &self.log {
            let ack = note.flags.has_all(Flags::ACK).then_some(note.ack);
            let reach = self.ends[note.side.index()].reach;
            self.life.confirm(
                &self.log,
                note.side,
                Proof { ts: note.ts, ack, fin: false, synchronized: false, idle: false, reach },
            );
        }
    }
}
