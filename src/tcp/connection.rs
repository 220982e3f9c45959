//! One connection. In: its segments, each with the side that sent it. Out: both endpoints' lives and what was odd.

use super::anomaly::{Anomalies, AnomalyKind};
use super::endpoint::{Copy, Endpoint};
use super::life::{Life, Proof, Step};
use super::log::{Crossing, Note};
use super::segment::{Flags, Segment};
use super::seq::SeqNum;
use super::state::{Side, State};
use super::stimulus;
use super::transition::{Stimuli, Stimulus};
use crate::time::Timestamp;

/// Notes beyond this many are not kept: no sound connection comes near it. A hostile one must neither grow nor make every
/// repeat tell a long log again.
const MAX_NOTES: usize = 256;

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
    pub(super) refusal: Option<Box<Note>>,
    /// The client sent the same data again.
    pub(super) data_repeated: bool,
    /// The segment in hand was overtaken on the way by a later one of its sender.
    pub(super) late: bool,
    /// The side that was sent an RST or SYN which it must not accept, and has not sent anything since.
    pub(super) challenged: Option<Side>,
    /// A plain segment of that side changes numbers only: see [`predicted`](super::predicted).
    pub(super) quiet: [bool; 2],
    pub(super) latest: Option<Timestamp>,
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
            quiet: [false; 2],
            latest: None,
        }
    }

    /// Begins anew with another connection, in the same memory.
    pub fn renew(&mut self, first: &Segment, alone: bool) {
        let midstream = !first.flags.is_bare_syn();
        // Every field is named: none may be forgotten.
        let Self {
            ends,
            alone: this_alone,
            log,
            life,
            anomalies,
            reset,
            accept_queue_overflow,
            unreachable,
            midstream: this_midstream,
            stale_reset,
            refusal,
            data_repeated,
            late,
            challenged,
            quiet,
            latest,
        } = self;
        ends.iter_mut().for_each(Endpoint::renew);
        log.clear();
        life.renew(Self::start(midstream));
        anomalies.renew();
        (*this_alone, *this_midstream) = (alone, midstream);
        (*reset, *stale_reset, *refusal, *challenged, *latest) = (None, None, None, None, None);
        (*accept_queue_overflow, *unreachable, *data_repeated, *late) = (false, false, false, false);
        *quiet = [false; 2];
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
        if self.is_predicted(side, seg) {
            #[cfg(debug_assertions)]
            let judged = {
                let mut whole = self.clone();
                let outcome = whole.judge(side, seg);
                format!("{outcome:?} {whole:?}")
            };
            let outcome = self.feed_predicted(side, seg);
            #[cfg(debug_assertions)]
            debug_assert_eq!(
                judged,
                format!("{outcome:?} {self:?}"),
                "a plain segment was taken otherwise than judged"
            );
            return outcome;
        }
        let outcome = self.judge(side, seg);
        self.predict();
        outcome
    }

    /// Takes a segment by all the rules.
    fn judge(&mut self, side: Side, seg: &Segment) -> Outcome {
        self.note_oddities(side, seg);
        let copy = self.end_mut(side).copy_of_recent(seg);
        let copy = copy.or_else(|| self.is_copy_of_syn(side, seg).then_some(Copy::Network));
        if let Some(copy) = copy {
            return self.recorded_again(side, seg, copy);
        }
        self.late = self.end(side).overtaken(seg) || self.acknowledges_less(side, seg);
        let (may_repeat, may_wait) = (self.may_repeat_unseen(side, seg), self.fin_may_wait(side));
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
                self.feed_ordinary(side, seg, may_repeat || may_wait)
            }
        };
        let end = self.end_mut(side);
        end.last_seen = Some(seg.ts);
        if !seg.flags.has_all(Flags::RST) {
            let end = self.end_mut(side);
            end.last_sent = Some(seg.ts);
            end.window = seg.window;
            end.spoke |= !seg.flags.has_all(Flags::SYN);
            end.window_closed |= seg.window == 0 && !seg.flags.has_all(Flags::SYN);
            let peers = self.end(self.peer(side)).timestamps;
            self.end_mut(side).timestamps.take(seg, &peers);
            self.prove(side, seg, may_repeat, may_wait);
        }
        self.end_mut(side).count(seg);
        outcome
    }

    pub(super) fn recorded_again(&mut self, side: Side, seg: &Segment, copy: Copy) -> Outcome {
        if copy == Copy::Tap {
            self.anomalies.note(AnomalyKind::CapturedTwice, side, seg, String::new);
        }
        Outcome { copy: Some(copy), ..Outcome::default() }
    }

    /// RCV.NXT never goes back: what acknowledges less than its sender did before was overtaken, unless its timestamp says otherwise.
    fn acknowledges_less(&self, side: Side, seg: &Segment) -> bool {
        let own = self.end(side);
        own.timestamps.older(seg).is_none()
            && seg.acknowledges().zip(self.received(side)).is_some_and(|(ack, known)| known.is_after(ack))
    }

    /// Up to where `side` has shown that it received, unless the peer never sent as much.
    fn received(&self, side: Side) -> Option<SeqNum> {
        let sent = self.end(self.peer(side)).snd_nxt();
        self.end(side).rcv_nxt.filter(|known| sent.is_none_or(|sent| sent.is_at_or_after(*known)))
    }

    /// Was the segment in hand overtaken by a later one of its sender?
    pub(super) const fn is_late(&self) -> bool {
        self.late
    }

    /// `side` is sent a SYN that it must not accept (RFC 5961 4).
    pub const fn challenge(&mut self, side: Side) {
        self.challenged = Some(side);
        self.quiet = [false; 2];
    }

    /// Everything without SYN and RST. `may_be_older`: if it is a FIN, that may be older than it looks.
    fn feed_ordinary(&mut self, side: Side, seg: &Segment, may_be_older: bool) -> Outcome {
        let peer = self.peer(side);
        let fin = seg.flags.has_all(Flags::FIN);
        let Some(rejected) = self.believable(side, seg) else { return Outcome::default() };
        let mut note = self.note(side, seg);
        let mut crossed = false;
        let mut outcome = Outcome::default();
        self.doubt_crossed_syn(side);
        if !fin {
            self.refute_last_ack(side, seg);
        } else {
            outcome.repeat = self.end_mut(side).fin_is_repeat(seg.end());
            self.end_mut(side).fin_ts.get_or_insert(seg.ts);
        }
        note.repeat = outcome.repeat;
        note.may_precede = fin && may_be_older && self.life.last_step(side).is_some_and(Step::is_doubtful_close_wait);
        if outcome.repeat && self.end(side).fin_end == Some(seg.end()) && !self.late {
            self.disprove(side, seg.ts, &[Stimulus::RcvAckOfFin], Crossing::ActsLater);
            if !self.end(side).fin_acked {
                self.doubt(side, seg.ts, Stimulus::RcvFin);
            }
            self.repeats_out_of_closing(side, seg);
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
            self.take_acknowledgement(side, seg, ack);
        }

        // A bare ACK from beyond what passed: what lies between may be a FIN that died before the tap.
        let ahead = seg.seg_len() == 0 && self.end(side).snd_nxt().is_some_and(|next| seg.seq.is_after(next));
        if ahead {
            let index = self.log.len();
            self.end_mut(side).ahead = Some((seg.seq, index));
        }

        self.take_data(side, seg, &mut outcome);
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

    /// Can `side` have sent this segment? If so, will its peer throw it away as too old (PAWS)?
    fn believable(&mut self, side: Side, seg: &Segment) -> Option<bool> {
        let peer = self.peer(side);
        if seg.seg_len() > 0 && self.end(side).is_forged(self.end(peer), seg) {
            self.anomalies.note(AnomalyKind::OutOfWindow, side, seg, || format!("sequence number {}", seg.seq));
            self.challenged = Some(peer);
            return None;
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
            if seg.flags.has_all(Flags::FIN) && self.end(side).is_ancient(seg) {
                return None;
            }
        }
        Some(rejected)
    }

    /// `side` acknowledges `ack`: what that teaches of distances, of its peer's numbers, and of which FIN had arrived.
    fn take_acknowledgement(&mut self, side: Side, seg: &Segment, ack: SeqNum) {
        let peer = self.peer(side);
        if let Some(received) = self.end(peer).sent_up_to(ack) {
            self.end_mut(side).timestamps.anchor(seg, received);
        }
        if let Some(sent) = self.end(peer).last_advance(ack) {
            self.end_mut(side).answered_within(seg.ts.since(sent));
        }
        // RCV.NXT never goes back; what says less was overtaken.
        if !self.late && self.received(side).is_none_or(|known| ack.is_at_or_after(known)) {
            self.end_mut(side).rcv_nxt = Some(ack);
        }
        self.check_ack(side, seg, ack);
        let belongs = self.midstream || self.end(side).iss.is_some() || self.end(peer).syn_acceptably_acked(ack);
        if belongs {
            let end = self.end_mut(peer);
            end.covered(ack, seg.ts);
            end.acked(ack, seg);
            if matches!(end.syn_ack_covered, [Some(_), None]) {
                self.bound_syn(side);
            }
        }
        // The rest is about the peer's FIN.
        if self.end(peer).fin_end.is_none() {
            return;
        }
        self.arrived_out_of_order(side, seg, ack);
        self.doubt_fin_below(side, seg, ack);
        self.arrived_unseen(side, seg);
        if self.end(peer).fin_covered_by(ack) {
            self.echoed(side, seg, Stimulus::RcvFin);
        }
        self.arrived_after_all(side, ack);
        self.arrived_twice(side, seg);
        self.answered_by_a_block(side, seg, ack);
    }

    /// The payload: new, sent again, or a probe's.
    fn take_data(&mut self, side: Side, seg: &Segment, outcome: &mut Outcome) {
        let keep_alive = stimulus::is_keep_alive(self.end(side), seg);
        let probe = stimulus::is_zero_window_probe(self.end(side), self.end(self.peer(side)), seg);
        let again = seg.payload_len > 0 && {
            let end = self.end(side);
            let start = end.position(seg.payload_seq()).0;
            end.sent.touches(start, start + u64::from(seg.payload_len))
        };
        outcome.retransmission = again && !keep_alive && !probe;
        self.data_repeated |= outcome.retransmission && side == Side::Client;
        let late = self.is_late();
        let end = self.end_mut(side);
        // What fills a hole repeats what was lost before the tap.
        let fills = seg.payload_len > 0 && !again && !late && end.snd_nxt().is_some_and(|next| next.is_after(seg.seq));
        if outcome.retransmission || fills {
            end.repeats();
            end.repeated_ts = Some(seg.ts);
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
    }

    /// Counts the payload and moves SND.NXT; gives a proof to notes that waited for the sender's next number.
    pub(super) fn take_bytes(&mut self, side: Side, seg: &Segment) -> u64 {
        if self.end_mut(side).advance(seg.seq, seg.end(), seg.ts) {
            self.give_proof(side, seg.end());
        }
        if seg.payload_len == 0 {
            return 0;
        }
        let end = self.end_mut(side);
        let start = end.position(seg.payload_seq()).0;
        end.sent.insert(start, start + u64::from(seg.payload_len))
    }

    /// Notes of `side` that waited for its next number are proved by the acknowledgement of `end`.
    pub(super) fn give_proof(&mut self, side: Side, end: SeqNum) {
        for note in self.log.iter_mut().rev().take_while(|note| note.side != side || note.proof.is_none()) {
            if note.side == side {
                note.proof = Some(end);
            }
        }
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

    /// What this segment proves of its own sender's past. `may_repeat`: it is a FIN that may repeat one which died before the tap;
    /// `may_wait`: a FIN may wait behind data.
    pub(super) fn prove(&mut self, side: Side, seg: &Segment, may_repeat: bool, may_wait: bool) {
        if self.life.unconfirmed(side) {
            let (own, peer) = (self.end(side), self.end(self.peer(side)));
            let has_data = seg.payload_len > 0 || seg.flags.has_all(Flags::FIN);
            let takes_data = seg.acknowledges().is_some_and(|ack| own.takes_data(ack));
            let synchronized =
                !seg.flags.has_all(Flags::SYN) && (has_data && !stimulus::fast_open(own, peer) || takes_data);
            // Once it has sent its FIN, nothing shows any more what it had not sent when the peer's came.
            let first = match seg.flags.has_all(Flags::FIN) {
                true => !may_repeat,
                false => own.fin_end.is_none() && own.ahead.is_none_or(|(seq, _)| seq != seg.end()),
            };
            // Data may be all that a FIN is waiting for, unless it was written just now.
            let written_now = seg.payload_len == 0 || own.had_its_ack(seg.ts);
            let queue_empty = own.snd_una.is_none_or(|una| una == seg.seq) && written_now && !may_wait;
            let idle = queue_empty && !peer.window_closed && first;
            let (ts, ack, fin) = (seg.ts, seg.acknowledges(), seg.flags.has_all(Flags::FIN));
            // What was measured once may have been held up.
            let reach = own.nearest.filter(|_| own.nearest_twice);
            let proof = Proof { ts, ack, fin, synchronized, idle, reach };
            self.life.confirm(&self.log, side, proof);
        }
    }

    pub(super) fn check_ack(&mut self, side: Side, seg: &Segment, ack: SeqNum) {
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
        self.quiet = [false; 2];
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
