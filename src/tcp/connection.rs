//! One connection. In: its segments, each with the side that sent it. Out: both endpoints' lives and what was odd.

use super::anomaly::{Anomalies, AnomalyKind};
use super::endpoint::{Copy, Endpoint, SOONEST_SYN};
use super::life::{Life, Proof};
use super::log::{Acted, Crossing, Note, only};
use super::reach::{Arrived, arrived};
use super::segment::{Flags, FrameId, Segment};
use super::seq::SeqNum;
use super::state::{Side, State};
use super::stimulus::{self, Reset as Verdict};
use super::transition::{Stimuli, Stimulus};
use crate::time::{Span, Timestamp};

/// Notes beyond this many are not kept: no sound connection comes near it. A hostile one must neither grow nor make every
/// repeat tell a long log again.
const MAX_NOTES: usize = 256;

/// Retransmission timers start at a second (RFC 6298 2.1) but some stacks try sooner; a SYN that comes this much later with the same
/// timestamp is no new one.
const TICK: Span = Span::from_millis(100);

/// Whoever answers the handshake within this stands beside the tap: nothing is lost or waits in between.
const BESIDE_THE_TAP: Span = Span::from_micros(100);
/// The segments that may be out at once from the start (RFC 6928), but for the FIN itself.
const INITIAL_WINDOW: u16 = 9;
/// What passes between the change that close() makes and the FIN's timestamp. Seen on Linux: tens of microseconds.
const CLOSE_TAKES: Span = Span::from_micros(300);
/// What an endpoint beside the tap may take from its close() to its FIN. Seen on Linux: at most 250 us.
const IT_TAKES: Span = Span::from_millis(1);
/// What an endpoint beside the tap may take from a packet to the change that it makes. Seen on Linux: a tenth of a millisecond, 1.4 at worst.
const SOFTIRQ_TAKES: Span = Span::from_millis(3);
/// The same while an application may hold the socket; seen: 6 ms.
const OWNER_TAKES: Span = Span::from_millis(10);

/// What a segment turned out to be; what the counters need to know of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The same packet was seen before.
    pub copy: Option<Copy>,
    /// Bytes of the stream that had not been seen before.
    pub new_bytes: u64,
    /// It carries bytes that were sent before, and is no keep-alive or probe.
    pub retransmission: bool,
    /// It repeats the sender's SYN, SYN-ACK or FIN.
    pub repeat: bool,
}

/// One connection as the tap sees it.
#[derive(Clone, Debug)]
pub struct Connection {
    /// What is known of the numbers, client first.
    pub ends: [Endpoint; 2],
    /// A self-connect: one endpoint, the client, that is its own peer (RFC 9293 3.5, simultaneous open).
    pub alone: bool,
    /// The segments that could change a state.
    pub log: Vec<Note>,
    /// Both lives.
    pub life: Life,
    /// What was odd.
    pub anomalies: Anomalies,
    /// The first RST that its receiver would accept: who sent it, its note, and whether both FINs had been acknowledged.
    pub reset: Option<Reset>,
    /// The server repeated its SYN-ACK although at least two packets that acknowledge it had passed: it ignores them.
    pub accept_queue_overflow: bool,
    /// An ICMP error answered the client's SYN.
    pub unreachable: bool,
    /// The capture shows no SYN of this connection.
    pub midstream: bool,
    /// The side whose last RST answered an ACK of something else, out of SYN-SENT, if it has not tried again since: its peer
    /// accepts that RST, whatever it was in.
    pub stale_reset: Option<Side>,
    /// An RST that its receiver should not have accepted: what comes next shows whether it did.
    refusal: Option<Box<Note>>,
    /// The client sent the same data again.
    pub(super) data_repeated: bool,
    /// The segment in hand was overtaken on the way by a later one of its sender.
    late: bool,
    /// The side that was sent an RST or SYN which it must not accept, and has not sent anything since.
    challenged: Option<Side>,
    latest: Option<Timestamp>,
}

/// The first accepted RST of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reset {
    /// Who sent it.
    pub side: Side,
    /// When.
    pub ts: Timestamp,
    /// Its note.
    pub note: usize,
    /// Both FINs had been sent and acknowledged before.
    pub after_close: bool,
}

impl Connection {
    /// A connection whose first segment is `first`. `alone`: both ends are one, which connected to itself.
    pub fn new(first: &Segment, alone: bool) -> Self {
        let midstream = !first.flags.is_bare_syn();
        Self {
            ends: Default::default(),
            log: Vec::with_capacity(8),
            alone,
            life: Life::new(Self::start(midstream)),
            anomalies: Anomalies::default(),
            reset: None,
            accept_queue_overflow: false,
            unreachable: false,
            midstream,
            stale_reset: None,
            refusal: None,
            data_repeated: false,
            late: false,
            challenged: None,
            latest: None,
        }
    }

    pub(super) const fn start(midstream: bool) -> [Option<State>; 2] {
        if midstream { [None; 2] } else { [Some(State::Closed), Some(State::Listen)] }
    }

    /// Whom `side` talks to.
    pub const fn peer(&self, side: Side) -> Side {
        if self.alone { side } else { side.peer() }
    }

    /// The numbers of one side.
    pub const fn end(&self, side: Side) -> &Endpoint {
        &self.ends[side.index()]
    }

    pub(super) const fn end_mut(&mut self, side: Side) -> &mut Endpoint {
        &mut self.ends[side.index()]
    }

    /// The state of one side as believed now; timers that have run out are not regarded.
    pub const fn state(&self, side: Side) -> Option<State> {
        self.life.state(side)
    }

    /// Takes the next segment, sent by `side`.
    pub fn feed(&mut self, side: Side, seg: &Segment) -> Outcome {
        self.note_oddities(side, seg);
        let copy = self.end_mut(side).copy_of_recent(seg);
        let copy = copy.or_else(|| self.is_copy_of_syn(side, seg).then_some(Copy::Network));
        if let Some(copy) = copy {
            if copy == Copy::Tap {
                self.anomalies.note(AnomalyKind::CapturedTwice, side, seg, String::new);
            }
            return Outcome { copy: Some(copy), ..Outcome::default() };
        }
        self.late = self.end(side).overtaken(seg);
        if self.challenged == Some(side) {
            self.challenged = None;
            let says_nothing_new = self.end(side).snd_nxt() == Some(seg.seq) && self.end(side).rcv_nxt == Some(seg.ack);
            if says_nothing_new && seg.seg_len() == 0 && seg.flags.has_all(Flags::ACK) {
                self.anomalies.note(AnomalyKind::ChallengeAck, side, seg, String::new);
            }
        }
        let outcome = if seg.flags.has_all(Flags::RST) {
            self.feed_rst(side, seg)
        } else {
            self.refute_resets(side, seg);
            // Whoever speaks on shows that the doubtful RST was not accepted.
            if let Some(refusal) = self.refusal.take_if(|_| !self.late) {
                self.note_ignored_rst(refusal.side, refusal.ts, refusal.frame, refusal.seq);
            }
            if seg.flags.is_bare_syn() {
                self.feed_syn(side, seg)
            } else if seg.flags.is_syn_ack() {
                self.feed_syn_ack(side, seg)
            } else {
                self.feed_ordinary(side, seg)
            }
        };
        let end = self.end_mut(side);
        end.last_seen = Some(seg.ts);
        end.last_id = seg.ip_id.filter(|&id| id != 0).or(end.last_id);
        if !seg.flags.has_all(Flags::RST) {
            let end = self.end_mut(side);
            end.last_sent = Some(seg.ts);
            end.window = seg.window;
            end.spoke |= !seg.flags.has_all(Flags::SYN);
            end.window_closed |= seg.window == 0 && !seg.flags.has_all(Flags::SYN);
            let peers = self.end(self.peer(side)).timestamps;
            self.end_mut(side).timestamps.take(seg, peers);
            self.prove(side, seg);
        }
        outcome
    }

    /// A SYN that the network delivers a second time, long after: a client that repeats one stamps it anew.
    pub fn is_copy_of_syn(&self, side: Side, syn: &Segment) -> bool {
        let same = |note: &Note| {
            note.side == side
                && note.flags.is_bare_syn()
                && note.seq == syn.seq
                && note.timestamps.is_some()
                && note.timestamps == syn.options.timestamps
                && syn.ts.since(note.ts) > TICK
        };
        syn.flags.is_bare_syn() && self.log.iter().any(same)
    }

    /// Was the segment in hand overtaken by a later one of its sender?
    pub(super) const fn is_late(&self) -> bool {
        self.late
    }

    /// An ICMP error, which passed at `ts` in `frame`, answers the client's SYN.
    pub fn cannot_reach(&mut self, ts: Timestamp, frame: FrameId) {
        self.unreachable = true;
        self.push(Note::unreachable(Side::Client, ts, frame, self.log.len()));
    }

    /// `side` is sent a SYN that it must not accept (RFC 5961 4).
    pub const fn challenge(&mut self, side: Side) {
        self.challenged = Some(side);
    }

    /// A SYN that begins or repeats a connection attempt.
    fn feed_syn(&mut self, side: Side, seg: &Segment) -> Outcome {
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
        self.end_mut(side).repeated |= !first;
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

    fn feed_syn_ack(&mut self, side: Side, seg: &Segment) -> Outcome {
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
        self.end_mut(side).repeated |= repeat;
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
            peer.acked(seg.ack, seg.ts);
        }
        let new_bytes = self.take_bytes(side, seg);
        self.push(note);
        Outcome { new_bytes, repeat, ..Outcome::default() }
    }

    /// `side` repeats its SYN-ACK though its peer's last ACK has passed: did that ACK arrive, and was it ignored, because there is no room
    /// in the accept queue? One packet may have been lost behind the tap, so it takes two that acknowledge; or a tap beside the
    /// listener; or a repeat that echoes the ACK's timestamp (Linux before 6.15 took it over before it looked for room).
    fn ignores_final_ack(&self, side: Side, seg: &Segment) -> bool {
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
    fn covered_since(&self, side: Side) -> Option<Timestamp> {
        let died =
            |note: &&Note| note.to == side && note.rcv.has(Stimulus::RcvAckOfSyn) && note.acted == Acted::Disproved;
        let last = self.log.iter().filter(died).map(|note| note.ts).max()?;
        self.end(side).syn_ack_covered.into_iter().flatten().find(|&ts| ts > last)
    }

    /// Everything without SYN and RST.
    fn feed_ordinary(&mut self, side: Side, seg: &Segment) -> Outcome {
        let peer = self.peer(side);
        let fin = seg.flags.has_all(Flags::FIN);
        if seg.seg_len() > 0 && self.end(side).is_forged(self.end(peer), seg) {
            self.anomalies.note(AnomalyKind::OutOfWindow, side, seg, || format!("sequence number {}", seg.seq));
            self.challenged = Some(peer);
            return Outcome::default();
        }
        let rejected = self.end(peer).timestamps.reject(seg)
            && (seg.seg_len() > 0 || seg.acknowledges().is_some_and(|ack| Some(ack) != self.end(peer).snd_una));
        if rejected {
            self.anomalies.note(AnomalyKind::PawsRejected, side, seg, || {
                let value = seg.options.timestamps.map_or(0, |(value, _)| value);
                let recent = self.ends[peer.index()].timestamps.echo.unwrap_or(0);
                format!("timestamp {value} after {recent} was echoed")
            });
            // One from so long ago that no network kept it is forged.
            if fin && self.end(side).is_ancient(seg) {
                return Outcome::default();
            }
        }
        let mut note = self.note(side, seg);
        let mut crossed = false;
        let mut outcome = Outcome::default();
        let keep_alive = stimulus::is_keep_alive(self.end(side), seg);
        let probe = stimulus::is_zero_window_probe(self.end(side), self.end(peer), seg);

        self.doubt_crossed_syn(side);
        if !fin {
            self.refute_last_ack(side, seg);
        } else {
            outcome.repeat = self.end_mut(side).fin_is_repeat(seg.end());
            self.end_mut(side).fin_ts.get_or_insert(seg.ts);
        }
        note.repeat = outcome.repeat;
        if outcome.repeat && self.end(side).fin_end == Some(seg.end()) && !self.late {
            self.disprove(side, seg.ts, &[Stimulus::RcvAckOfFin], Crossing::ActsLater);
            if !self.end(side).fin_acked {
                self.doubt(side, seg.ts, Stimulus::RcvFin);
            }
        }
        if seg.seg_len() > 0 {
            self.refute_missed_fin(side, seg);
        }
        if fin && !outcome.repeat && self.fin_missed(side, seg) {
            (note.unseen, note.known_ts) = (true, None);
        }
        note.snd = stimulus::sent(self.end(side), self.end(peer), self.state(side), seg);
        if fin && !outcome.repeat {
            // It had not got the peer's FIN when it sent its own: they cross.
            let got_peers = seg.acknowledges().is_some_and(|ack| self.end(peer).fin_covered_by(ack));
            crossed = self.end(peer).fin_end.is_some() && !got_peers;
        }
        note.rcv = stimulus::acknowledged(self.end(peer), seg);
        if rejected {
            note.rcv = Stimuli::NONE;
        }
        if note.rcv.has(Stimulus::RcvAckOfSyn) {
            self.measure_reach(side, seg, Flags::is_syn_ack);
            if self.end(peer).syn_ack_covered[0].is_none() {
                self.echoed(side, seg, Stimulus::RcvSynAck);
            }
            self.end_mut(peer).syn_unanswered = false;
            note.since = self.covered_since(peer);
        }
        if note.rcv.has(Stimulus::RcvAckOfFin) {
            self.end_mut(peer).fin_unanswered = false;
        }
        if let Some(ack) = seg.acknowledges() {
            if let Some(received) = self.end(peer).sent_up_to(ack) {
                self.end_mut(side).timestamps.anchor(seg, received);
            }
            if let Some(sent) = self.end(peer).last_advance(ack) {
                self.end_mut(side).answered_within(seg.ts.since(sent));
            }
            if !self.late {
                self.end_mut(side).rcv_nxt = Some(ack);
            }
            self.check_ack(side, seg, ack);
            let belongs = self.midstream || self.end(side).iss.is_some() || self.end(peer).syn_acceptably_acked(ack);
            if belongs {
                let end = self.end_mut(peer);
                if end.syn_ack
                    && end.syn_covered_by(ack)
                    && let Some(free) = end.syn_ack_covered.iter_mut().find(|ts| ts.is_none())
                {
                    *free = Some(seg.ts);
                }
                end.acked(ack, seg.ts);
            }
            self.arrived_out_of_order(side, seg, ack);
            self.doubt_fin_below(side, seg, ack);
            self.arrived_unseen(side, seg);
            if self.end(peer).fin_covered_by(ack) {
                self.echoed(side, seg, Stimulus::RcvFin);
            }
            self.arrived_after_all(side, ack);
            self.arrived_twice(side, seg);
        }

        // A bare ACK from beyond what passed: what lies between may be a FIN that died before the tap.
        let ahead = seg.seg_len() == 0 && self.end(side).snd_nxt().is_some_and(|next| seg.seq.is_after(next));
        if ahead {
            let index = self.log.len();
            self.end_mut(side).ahead = Some((seg.seq, index));
        }

        let again = seg.payload_len > 0 && {
            let end = self.end(side);
            let start = end.position(seg.payload_seq()).0;
            end.sent.touches(start, start + u64::from(seg.payload_len))
        };
        outcome.retransmission = again && !keep_alive && !probe;
        self.data_repeated |= outcome.retransmission && side == Side::Client;
        let end = self.end_mut(side);
        if outcome.retransmission {
            (end.repeated, end.repeated_ts) = (true, Some(seg.ts));
        }
        end.flight = match end.snd_una == end.snd_nxt() {
            true => u16::from(seg.payload_len > 0),
            false => end.flight.saturating_add(u16::from(seg.payload_len > 0)),
        };
        // A keep-alive's byte is a stale one.
        outcome.new_bytes = if keep_alive { 0 } else { self.take_bytes(side, seg) };
        if keep_alive && !probe {
            self.anomalies.note(AnomalyKind::KeepAlive, side, seg, String::new);
        } else if probe {
            self.anomalies.note(AnomalyKind::ZeroWindowProbe, side, seg, String::new);
        }

        if fin && !outcome.repeat {
            self.fin_sent_unseen(side, seg);
        }
        let end = self.end_mut(side);
        if fin {
            end.fin_unanswered = true;
        }
        if (fin || end.fin_waits) && !rejected {
            if end.fin_in_order() {
                // What was missing may also have come from an earlier copy, as soon as the FIN itself.
                note.since = end.fin_ts.filter(|_| end.fin_waits);
                end.fin_waits = false;
                note.rcv = note.rcv.with(Stimulus::RcvFin);
                note.proof = end.fin_end.filter(|_| !note.unseen);
            } else {
                end.fin_waits = true;
            }
        }
        if fin || ahead || !note.rcv.is_empty() || self.life.would_change(side, note.snd) {
            self.push(note);
        }
        if crossed {
            self.defer(side, Stimulus::RcvFin);
        }
        outcome
    }

    fn note_ignored_rst(&mut self, side: Side, ts: Timestamp, frame: FrameId, seq: SeqNum) {
        self.anomalies.note_at(AnomalyKind::RstOutOfWindow, side, ts, frame, || format!("sequence number {seq}"));
    }

    fn feed_rst(&mut self, side: Side, seg: &Segment) -> Outcome {
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
                self.earlier_ack_closed(side, seg);
                self.life.confirm_last(side, seg.ts);
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

    /// Counts the payload and moves SND.NXT; gives a proof to notes that waited for the sender's next number.
    fn take_bytes(&mut self, side: Side, seg: &Segment) -> u64 {
        let end = &mut self.ends[side.index()];
        let moved = end.advance(seg.seq, seg.end(), seg.ts);
        if moved {
            for note in self.log.iter_mut().rev().take_while(|note| note.side != side || note.proof.is_none()) {
                if note.side == side {
                    note.proof = Some(seg.end());
                }
            }
        }
        if seg.payload_len == 0 {
            return 0;
        }
        let start = end.position(seg.payload_seq()).0;
        end.sent.insert(start, start + u64::from(seg.payload_len))
    }

    fn note(&self, side: Side, seg: &Segment) -> Note {
        let mut note = Note::new(side, self.peer(side), seg, self.log.len());
        let advances = self.end(side).snd_nxt().is_none_or(|next| seg.end().is_after(next));
        if seg.seg_len() > 0 && (advances || seg.flags.has_any(Flags::SYN.or(Flags::FIN))) {
            note.proof = Some(seg.end());
        }
        let peer = self.end(self.peer(side));
        if !seg.flags.has_all(Flags::FIN) {
            note.known_ts = seg.acknowledges().and_then(|ack| peer.sent_up_to(ack));
        } else if self.fin_was_not_waiting(side, seg) {
            // An earlier copy may have died before the tap, so what only this one acknowledges bounds nothing.
            note.known_ts = self.end(side).rcv_nxt.and_then(|ack| peer.sent_up_to(ack));
            let round_trip = self.end(side).nearest.zip(peer.nearest).map(|(near, far)| near.plus(far));
            let made = self.end(side).made_after(seg, round_trip).map(|ts| ts.minus(CLOSE_TAKES));
            let beside = self.is_beside_the_tap(side) && !self.end(side).came_slowly(seg);
            let beside = beside.then(|| seg.ts.minus(IT_TAKES));
            note.known_ts = note.known_ts.max(made).max(beside);
        }
        // A listener with a full accept queue, or one that waits for data, ignores the ACK that arrived.
        let last_ack = self.state(note.to) == Some(State::SynReceived);
        if self.is_beside_the_tap(note.to) && !last_ack {
            note.arrived_by = Some(seg.ts.plus(if self.life.owned(note.to) { OWNER_TAKES } else { SOFTIRQ_TAKES }));
        }
        note
    }

    /// Is the capture taken on `side`'s own host, or as good as?
    fn is_beside_the_tap(&self, side: Side) -> bool {
        self.end(side).nearest.is_some_and(|least| least < BESIDE_THE_TAP)
    }

    /// Did the FIN leave as soon as `side` closed? Not if it waited for the peer's window or for the congestion window: close() moves an
    /// endpoint to FIN_WAIT_1 before its FIN can leave. What was not sent yet by then leaves with the FIN, so a bare one had only itself to wait.
    fn fin_was_not_waiting(&self, side: Side, seg: &Segment) -> bool {
        let (end, peer) = (self.end(side), self.end(self.peer(side)));
        let room = seg.payload_len == 0 && end.flight < INITIAL_WINDOW && !end.repeated && end.fits_into(peer, seg);
        end.snd_nxt() == Some(seg.seq) && !peer.window_closed && (end.idle_at(seg.ts) || room)
    }

    /// Too many notes for a sound connection: no more are kept, and what they taught stands.
    pub(super) const fn log_is_full(&self) -> bool {
        self.log.len() >= MAX_NOTES
    }

    pub(super) fn push(&mut self, note: Note) {
        if !self.log_is_full() {
            self.log.push(Note { after: self.log.len(), ..note });
            self.life.tell_last(&self.log);
        }
    }

    /// The SYN comes after its SYN-ACK in the capture: causally it is the first note.
    fn insert_first(&mut self, note: Note) {
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
                Proof { ts: note.ts, ack, synchronized: false, idle: false, reach },
            );
        }
    }

    /// What this segment proves of its own sender's past.
    fn prove(&mut self, side: Side, seg: &Segment) {
        if self.life.unconfirmed(side) {
            let (own, peer) = (self.end(side), self.end(self.peer(side)));
            let has_data = seg.payload_len > 0 || seg.flags.has_all(Flags::FIN);
            let takes_data = seg.acknowledges().is_some_and(|ack| own.takes_data(ack));
            let synchronized =
                !seg.flags.has_all(Flags::SYN) && (has_data && !stimulus::fast_open(own, peer) || takes_data);
            let idle = own.snd_una.is_none_or(|una| una == seg.seq) && !peer.window_closed;
            let proof = Proof { ts: seg.ts, ack: seg.acknowledges(), synchronized, idle, reach: own.reach };
            self.life.confirm(&self.log, side, proof);
        }
    }

    /// The round trip from the tap to `side`: since the packet of the peer that this one answers, if that was sent once or its
    /// timestamp is the one echoed.
    fn measure_reach(&mut self, side: Side, seg: &Segment, question: fn(Flags) -> bool) {
        let asked = || self.log.iter().filter(|note| note.to == side && question(note.flags));
        let echo = seg.options.timestamps.map(|(_, echo)| echo);
        let answered = only(asked())
            .or_else(|| only(asked().filter(|note| echo.is_some() && note.timestamps.map(|(value, _)| value) == echo)));
        // An ACK with data may have waited for the data.
        if let Some(span) = answered.filter(|_| seg.payload_len == 0).map(|note| seg.ts.since(note.ts)) {
            self.end_mut(side).reached_within(span);
        }
    }

    fn check_ack(&mut self, side: Side, seg: &Segment, ack: SeqNum) {
        let peer = self.end(self.peer(side));
        let Some(next) = peer.snd_nxt() else { return };
        if !ack.is_after(next) {
            return;
        }
        if peer.iss.is_some() && self.end(side).iss.is_none() && !self.midstream {
            self.anomalies
                .note(AnomalyKind::AckNotSynAck, side, seg, || format!("acknowledges {ack}, the SYN ends at {next}"));
        } else {
            let unseen = ack.ahead_of(next);
            if unseen == 1 && peer.acked_unseen.is_none_or(|(known, ..)| known != ack) {
                let shown = Some((ack, seg.ts, seg.frame));
                self.end_mut(self.peer(side)).acked_unseen = shown;
            }
            self.anomalies.note(AnomalyKind::AckOfUnseen, side, seg, || format!("{unseen} bytes beyond what passed"));
        }
    }

    fn note_oddities(&mut self, side: Side, seg: &Segment) {
        if let Some(latest) = self.latest.filter(|&latest| seg.ts < latest) {
            self.anomalies.note(AnomalyKind::TimeWentBack, side, seg, || {
                format!("{} before an earlier packet", latest.since(seg.ts))
            });
        }
        self.latest = self.latest.max(Some(seg.ts));
        if seg.bad_checksum {
            self.anomalies.note(AnomalyKind::BadChecksum, side, seg, || format!("0x{:04x}", seg.checksum));
        }
        if seg.options_cut {
            self.anomalies.note(AnomalyKind::TruncatedHeader, side, seg, String::new);
        }
        let beyond_fin = seg.payload_len > 0
            && !seg.flags.has_all(Flags::RST)
            && self.end(side).fin_end.is_some_and(|end| seg.payload_seq().plus(seg.payload_len).is_after(end));
        if beyond_fin {
            self.anomalies.note(AnomalyKind::DataAfterFin, side, seg, || format!("{} bytes", seg.payload_len));
        }
    }

    /// The roles turned out to be the other way round.
    pub fn flip(&mut self) {
        self.ends.swap(0, 1);
        for note in &mut self.log {
            (note.side, note.to) = (note.to, note.side);
        }
        if let Some(reset) = &mut self.reset {
            reset.side = reset.side.peer();
        }
        self.stale_reset = self.stale_reset.map(Side::peer);
        self.challenged = self.challenged.map(Side::peer);
        self.anomalies.flip();
        self.life = Life::new(Self::start(self.midstream));
        self.retell();
    }
}
