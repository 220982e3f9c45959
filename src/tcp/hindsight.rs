//! What later packets teach of earlier ones: which died behind the tap, crossed, were forged, or had arrived after all.
//! In: a segment that contradicts or proves a belief. Out: the notes' marks, and both lives told again.

use super::anomaly::AnomalyKind;
use super::connection::{Connection, Reset};
use super::life::Step;
use super::log::{Acted, Crossing, Note, only};
use super::reach::{Arrived, SLOW_ANSWER, SOONEST_REPEAT, arrived};
use super::segment::{Flags, Segment};
use super::seq::SeqNum;
use super::state::{Side, State};
use super::transition::{Stimuli, Stimulus};
use crate::time::{Span, Timestamp};

impl Connection {
    /// `side` sends at `ts` what it would not have sent had it got `needless`: whatever passed towards it early enough to have
    /// arrived before did not act.
    pub(super) fn disprove(&mut self, side: Side, ts: Timestamp, needless: &[Stimulus], crossing: Crossing) {
        let (newest, reach) = (self.log.len(), self.end(side).reach);
        let concerned = |note: &Note| {
            note.to == side && note.acted != Acted::Disproved && needless.iter().any(|&stimulus| note.rcv.has(stimulus))
        };
        self.correct(concerned, |note| match arrived(reach, ts.since(note.ts)) {
            Arrived::Yes => note.acted = Acted::Disproved,
            Arrived::Perhaps if note.acted == Acted::Believed => note.acted = Acted::Doubtful,
            Arrived::No if crossing == Crossing::ActsLater => note.after = newest,
            Arrived::Perhaps | Arrived::No => {}
        });
    }

    /// Nothing that passed towards `side` with one of `stimuli` acted.
    pub(super) fn disprove_all(&mut self, side: Side, stimuli: &[Stimulus]) {
        let concerned = |note: &Note| note.to == side && stimuli.iter().any(|&stimulus| note.rcv.has(stimulus));
        self.correct(concerned, |note| note.acted = Acted::Disproved);
    }

    /// `side` repeats at `ts` what the peer has not answered: the copies that it has had time to answer may not have arrived. Nor do packets of the
    /// peer that still do not acknowledge them disprove it: paths get longer, and packets are held up.
    pub(super) fn doubt(&mut self, side: Side, ts: Timestamp, stimulus: Stimulus) {
        let reach = self.end(self.peer(side)).reach.unwrap_or(Span::ZERO);
        let overdue = |note: &Note| {
            note.side == side
                && note.acted != Acted::Disproved
                && note.rcv.has(stimulus)
                && ts.since(note.ts) > reach.plus(SLOW_ANSWER)
        };
        self.correct(overdue, |note| note.acted = Acted::Doubtful);
    }

    /// `side` answers and echoes the timestamp of a copy (RFC 7323 4.3): that copy had arrived. Of SYNs and SYN-ACKs the first to arrive is
    /// the one echoed, so none before it had.
    pub(super) fn echoed(&mut self, side: Side, seg: &Segment, stimulus: Stimulus) {
        if self.log_is_full() {
            return;
        }
        let Some((_, echo)) = seg.options.timestamps else { return };
        let is_copy = |note: &Note| note.to == side && note.rcv.has(stimulus);
        let value = |note: &Note| note.timestamps.map(|(value, _)| SeqNum::new(value));
        let echo = SeqNum::new(echo);
        let is_echoed = |note: &Note| is_copy(note) && value(note) == Some(echo);
        // TS.Recent never goes back, so a FIN with a newer timestamp is not the one that was accepted first.
        let is_older = |note: &Note| is_copy(note) && value(note).is_some_and(|value| echo.is_at_or_after(value));
        let handshake = matches!(stimulus, Stimulus::RcvSyn | Stimulus::RcvSynAck);
        let found = |note: &Note| if handshake { is_echoed(note) } else { is_older(note) };
        let Some(index) = self.log.iter().rposition(found) else { return };
        if handshake && self.log[..index].iter().any(is_echoed) {
            return;
        }
        let mut changed = self.log[index].acted != Acted::Believed;
        self.log[index].acted = Acted::Believed;
        if handshake {
            for note in self.log[..index].iter_mut().filter(|note| is_copy(note)) {
                changed |= note.acted != Acted::Disproved;
                note.acted = Acted::Disproved;
            }
        } else {
            // The copies after it came because its ACK was lost; nothing speaks against them any more.
            let copies = self.log[index..].iter_mut().filter(|note| is_copy(note));
            for note in copies.filter(|note| note.acted == Acted::Doubtful) {
                (note.acted, changed) = (Acted::Believed, true);
            }
        }
        if changed {
            self.retell();
        }
    }

    /// In a simultaneous open `side` was believed to have got the peer's SYN, yet it never sent a SYN-ACK: that SYN, or its answer, died.
    pub(super) fn doubt_crossed_syn(&mut self, side: Side) {
        let crossed = |step: &Step| step.stimulus == Stimulus::RcvSyn && step.from == Some(State::SynSent);
        if !self.end(side).syn_ack && self.life.steps(side).iter().any(crossed) {
            let syn = |note: &Note| note.to == side && note.rcv.has(Stimulus::RcvSyn);
            self.correct(syn, |note| note.acted = Acted::Doubtful);
        }
    }

    /// `side` began anew with a SYN at `ts`: what it sent since is of that, though it may have acted on the old peer; and a FIN that it
    /// never acknowledged had not reached it.
    pub fn replaced(&mut self, side: Side, ts: Timestamp) {
        let unacknowledged = !self.end(self.peer(side)).fin_acked;
        self.correct(
            |_| true,
            |note| {
                if note.side == side && note.ts >= ts {
                    note.sent = false;
                } else if note.to == side && note.rcv.has(Stimulus::RcvFin) && unacknowledged {
                    note.acted = Acted::Disproved;
                }
            },
        );
    }

    /// Nothing comes any more; the packets end at `end`. What was repeated and never answered may never have arrived, its last copy as little
    /// as those before.
    pub fn settle_silence(&mut self, end: Timestamp) {
        for side in Side::BOTH {
            let repeated = self.log.iter().any(|note| note.side == side && note.is_fin() && note.repeat);
            if repeated && !self.end(side).fin_acked {
                self.doubt_last(side, Stimulus::RcvFin);
            }
        }
        if self.handshake_went_unheard(end) {
            self.doubt_last(Side::Client, Stimulus::RcvAckOfSyn);
        }
    }

    /// The server said nothing but SYN-ACKs, and the client repeated its data, or two ACKs had died and the next SYN-ACK was not yet
    /// due: their timer doubles.
    fn handshake_went_unheard(&self, end: Timestamp) -> bool {
        let server = self.end(Side::Server);
        let mut syn_acks = self.log.iter().rev().filter(|note| note.side == Side::Server && note.flags.is_syn_ack());
        let died = |note: &&Note| note.rcv.has(Stimulus::RcvAckOfSyn) && note.acted == Acted::Disproved;
        let waits = match (syn_acks.next(), syn_acks.next()) {
            (Some(last), Some(before)) => end.since(last.ts).as_nanos() / 3 < last.ts.since(before.ts).as_nanos(),
            _ => false,
        };
        let waits = waits && self.log.iter().filter(died).count() >= 2;
        // A request socket has no owner who could reset it.
        let owned = |note: &Note| note.side == Side::Server && note.flags.has_all(Flags::RST.or(Flags::ACK));
        server.syn_ack && !server.spoke && (self.data_repeated || waits) && !self.log.iter().any(owned)
    }

    fn doubt_last(&mut self, side: Side, stimulus: Stimulus) {
        let believed = |note: &Note| note.side == side && note.acted == Acted::Believed && note.rcv.has(stimulus);
        self.correct(believed, |note| note.acted = Acted::Doubtful);
    }

    /// `side` had not received what carries `stimulus` when it sent the newest note: that acts only after it.
    pub(super) fn defer(&mut self, side: Side, stimulus: Stimulus) {
        let Some(newest) = self.log.len().checked_sub(1) else { return };
        let under_way = |note: &Note| note.to == side && note.rcv.has(stimulus);
        self.correct(under_way, |note| note.after = note.after.max(newest));
    }

    /// `side` resets with an acknowledgement that does not cover its peer's FIN: it had not got that. A bare RST has the number that what it
    /// answers acknowledged (RFC 9293 3.10.7.1): what acknowledges more comes after.
    pub(super) fn fin_crosses_reset(&mut self, side: Side, seg: &Segment) {
        let Some(ack) = seg.acknowledges() else { return self.comes_after_answered(side, seg) };
        if !self.end(self.peer(side)).fin_covered_by(ack) {
            let reset = self.log.len();
            let fin = |note: &Note| note.to == side && note.rcv.has(Stimulus::RcvFin);
            self.correct(fin, |note| note.after = reset);
        }
    }

    fn comes_after_answered(&mut self, side: Side, seg: &Segment) {
        let (reset, reach) = (self.log.len(), self.end(side).reach);
        let later = |note: &Note| {
            note.to == side
                && note.flags.has_all(Flags::ACK)
                && note.ack.is_after(seg.seq)
                && arrived(reach, seg.ts.since(note.ts)) != Arrived::Yes
        };
        self.correct(later, |note| note.after = reset);
    }

    /// The RSTs on their way to `side` that `crossed` tells had not arrived when it sent what comes next.
    fn defer_resets(&mut self, side: Side, crossed: impl Fn(&Note) -> bool) {
        let next = self.log.len();
        let reset = |note: &Note| note.to == side && note.rcv.has(Stimulus::RcvRst);
        self.correct(|note| reset(note) && crossed(note), |note| note.after = next);
    }

    /// `side` resets on its own: RSTs on their way to it had not arrived, nor what passed less than the shortest way ago.
    pub(super) fn reset_crosses(&mut self, side: Side, seg: &Segment) {
        /// Shorter ways are measured too roughly to tell.
        const NOISE: Span = Span::from_micros(200);
        // An RST that had arrived would have left nobody to reset.
        if self.life.last_step(side).is_some_and(|step| step.stimulus == Stimulus::RcvRst) {
            self.defer_resets(side, |_| true);
        }
        // What passed before a packet that it acknowledges had arrived.
        let received = seg.acknowledges().and_then(|ack| self.end(self.peer(side)).sent_up_to(ack));
        let end = self.end(side);
        let (next, nearest) = (self.log.len(), end.nearest.filter(|_| end.nearest_twice));
        let shortest =
            nearest.map(|nearest| nearest.as_nanos() / 10 * 9).filter(|&shortest| shortest > NOISE.as_nanos());
        let Some(shortest) = shortest else { return };
        let too_soon = |note: &Note| {
            note.to == side
                && seg.ts.since(note.ts).as_nanos() < shortest
                && !note.rcv.has(Stimulus::RcvSyn)
                && received.is_none_or(|received| note.ts > received)
        };
        self.correct(too_soon, |note| note.after = next);
    }

    /// `side` acknowledges less than its peer's FIN, long after that passed: it may have died.
    pub(super) fn doubt_fin_below(&mut self, side: Side, seg: &Segment, ack: SeqNum) {
        let peer = self.end(self.peer(side));
        if peer.fin_end.is_none() || peer.fin_acked || peer.fin_covered_by(ack) || self.is_late() {
            return;
        }
        let reach = self.end(side).reach;
        let long_ago = |note: &Note| {
            note.to == side
                && note.acted == Acted::Believed
                && note.rcv.has(Stimulus::RcvFin)
                && arrived(reach, seg.ts.since(note.ts)) == Arrived::Yes
        };
        self.correct(long_ago, |note| note.acted = Acted::Doubtful);
    }

    /// A bare RST of `side` after LAST_ACK. If it answers the very ACK that was thought to end that, there was no socket any more, so the ACK
    /// before it had done so. Returns whether it proves that `side` was CLOSED since where it is believed to be.
    pub(super) fn earlier_ack_closed(&mut self, side: Side) -> bool {
        let Some(step) = self.life.last_step(side).filter(|step| step.stimulus == Stimulus::RcvAckOfFin) else {
            return true;
        };
        let Some(last) = step.note else { return true };
        if self.end(self.peer(side)).last_seen != Some(self.log[last].ts) {
            return true;
        }
        let acks = |note: &Note| note.to == side && note.rcv.has(Stimulus::RcvAckOfFin);
        let Some(earlier) = self.log[..last].iter().rposition(acks).filter(|_| !self.log_is_full()) else {
            return false;
        };
        (self.log[earlier].acted, self.log[earlier].after) = (Acted::Believed, earlier);
        self.retell();
        true
    }

    /// `side` acknowledges less than its peer's FIN but has selectively acknowledged that: something before it is missing, so it waits.
    pub(super) fn arrived_out_of_order(&mut self, side: Side, seg: &Segment, ack: SeqNum) {
        let peer = self.peer(side);
        let end = self.end_mut(peer);
        let sacked = end.fin_end.is_some() && seg.options.sack.map(|(_, right)| right) == end.fin_end;
        if !sacked || end.fin_covered_by(ack) || self.log_is_full() {
            return;
        }
        self.end_mut(peer).fin_waits = true;
        for note in self.log.iter_mut().filter(|note| note.to == side) {
            note.rcv = note.rcv.without(Stimulus::RcvFin);
        }
        // A copy did arrive, with all that it acknowledges.
        if let Some(last) = self.log.iter_mut().rfind(|note| note.to == side && note.is_fin()) {
            last.acted = Acted::Believed;
        }
        self.retell();
    }

    /// A packet of `side`'s own after an RST ended it: if the RST had had time to arrive it was not accepted, else they crossed
    /// and it stands. After an RST of its own, that one was not its own.
    pub(super) fn refute_resets(&mut self, side: Side, seg: &Segment) {
        if self.log_is_full() || self.is_late() || self.state(side) != Some(State::Closed) {
            return;
        }
        let Some(step) = self.life.last_step(side) else { return };
        let (stimulus, Some(index)) = (step.stimulus, step.note) else { return };
        let arrived_before = arrived(self.end(side).reach, seg.ts.since(self.log[index].ts)) == Arrived::Yes;
        if arrived_before && seg.payload_len > 0 && matches!(stimulus, Stimulus::RcvRst | Stimulus::SndRst) {
            self.anomalies.note(AnomalyKind::DataAfterRst, side, seg, || format!("{} bytes", seg.payload_len));
        }
        let reach = self.end(side).reach;
        match stimulus {
            // It was on its way to them when they closed.
            Stimulus::RcvRst if !arrived_before && seg.flags.has_all(Flags::FIN) => {
                self.defer_resets(side, |note| arrived(reach, seg.ts.since(note.ts)) != Arrived::Yes);
            }
            // They may also just have been slow.
            Stimulus::RcvRst if arrived_before => {
                let reset = |note: &Note| note.to == side && note.rcv.has(Stimulus::RcvRst);
                let had_arrived = |note: &Note| arrived(reach, seg.ts.since(note.ts)) == Arrived::Yes;
                self.correct(|note| reset(note) && had_arrived(note), |note| note.acted = Acted::Doubtful);
            }
            Stimulus::SndRst if seg.flags.has_any(Flags::ACK.or(Flags::SYN)) && arrived_before => {
                self.log[index].sent = false;
                if self.state(self.peer(side)) == Some(State::Closed)
                    && self.end(self.peer(side)).last_sent > Some(self.log[index].ts)
                {
                    self.log[index].acted = Acted::Disproved;
                }
                self.retell();
            }
            _ => {}
        }
    }

    /// `side` was believed to have got the last ACK and gone, yet sends more: that ACK did not reach it.
    pub(super) fn refute_last_ack(&mut self, side: Side, seg: &Segment) {
        if self.state(side) != Some(State::Closed) || self.is_late() {
            return;
        }
        let Some(step) = self.life.last_step(side).filter(|step| step.stimulus == Stimulus::RcvAckOfFin) else {
            return;
        };
        // What had been acknowledged long before may come again out of the network.
        let old = seg.payload_len > 0 && self.end(side).snd_una.is_some_and(|una| una.is_at_or_after(seg.end()));
        // It echoes less than that ACK would have brought: they crossed.
        let crossed = match (step.note.and_then(|note| self.log[note].timestamps), seg.options.timestamps) {
            (Some((value, _)), Some((_, echo))) => SeqNum::new(value).is_after(SeqNum::new(echo)),
            _ => false,
        };
        if !old && !crossed {
            self.disprove(side, seg.ts, &[Stimulus::RcvAckOfFin], Crossing::Stands);
            if self.state(side) != Some(State::Closed) {
                self.end_mut(side).fin_unanswered = true;
            }
        }
    }

    /// `side` acknowledges its peer's FIN, but every copy of it was thought to have died: the last one did not.
    pub(super) fn arrived_after_all(&mut self, side: Side, ack: SeqNum) {
        if self.log_is_full() || !self.end(self.peer(side)).fin_covered_by(ack) {
            return;
        }
        let carries_fin = |note: &Note| note.to == side && note.rcv.has(Stimulus::RcvFin);
        if self.log.iter().any(|note| carries_fin(note) && note.acted == Acted::Believed) {
            return;
        }
        let Some(last) = self.log.iter().rposition(carries_fin) else { return };
        let own_last = self.log.iter().rposition(|note| note.side == side);
        self.log[last].acted = Acted::Believed;
        self.log[last].after = own_last.map_or(last, |own| own.max(last));
        self.retell();
    }

    /// `side` repeats its FIN and acknowledges its peer's: it is in CLOSING. So a copy had arrived that did not acknowledge its own.
    pub(super) fn repeats_out_of_closing(&mut self, side: Side, seg: &Segment) {
        if !seg.acknowledges().is_some_and(|ack| self.end(self.peer(side)).fin_covered_by(ack)) {
            return;
        }
        let crossed =
            |note: &Note| note.to == side && note.rcv.has(Stimulus::RcvFin) && !note.rcv.has(Stimulus::RcvAckOfFin);
        let Some(last) = self.log.iter().rposition(crossed).filter(|_| !self.log_is_full()) else { return };
        if self.log[last].acted != Acted::Believed {
            self.log[last].acted = Acted::Believed;
            self.retell();
        }
    }

    /// A D-SACK (RFC 2883) of the peer's FIN: two copies had arrived, so the one before the last acted.
    pub(super) fn arrived_twice(&mut self, side: Side, seg: &Segment) {
        if self.log_is_full() {
            return;
        }
        let fin_end = self.end(self.peer(side)).fin_end;
        if fin_end.is_none() || seg.options.sack.map(|(_, right)| right) != fin_end {
            return;
        }
        let is_copy = |note: &Note| note.to == side && note.rcv.has(Stimulus::RcvFin);
        let arrived = self.log.iter().filter(|note| is_copy(note) && note.acted == Acted::Believed);
        if arrived.count() >= 2 {
            return;
        }
        let doubted = |note: &Note| is_copy(note) && note.acted != Acted::Believed;
        if let Some(last) = self.log.iter().rposition(doubted) {
            self.log[last].acted = Acted::Believed;
            self.retell();
        }
    }

    /// `side`'s FIN, seen for the first time, ends where an earlier bare ACK of its own began: that ACK shows that an earlier copy had been
    /// sent and died before the tap, or comes late. Unless the peer had repeated its FIN by then, or `side` had acknowledged it, the two crossed.
    pub(super) fn fin_sent_unseen(&mut self, side: Side, seg: &Segment) {
        let Some((_, index)) = self.end(side).ahead.filter(|&(seq, _)| seq == seg.end()) else { return };
        let got_peers = |note: &Note| note.side == side && note.rcv.has(Stimulus::RcvAckOfFin);
        let before = self.log.iter().take(index).find(|note| got_peers(note));
        // A bare ACK from before its FIN came first; data may have been sent again behind it.
        let (acknowledged, certain) = (before.is_some(), before.is_some_and(|note| note.seq == note.end));
        let Some(note) = self.log.get_mut(index).filter(|note| note.side == side) else { return };
        note.snd = note.snd.with(Stimulus::SndFin);
        // If it also acknowledges the peer's FIN, that may have come first, and neither order is certain.
        note.unseen = if acknowledged { !certain } else { got_peers(note) };
        note.known_ts = None;
        let mut peers = self.log[..index].iter_mut().filter(|note| note.to == side && note.rcv.has(Stimulus::RcvFin));
        if let Some(only) = only(&mut peers).filter(|_| !acknowledged) {
            only.after = index;
        }
        self.retell();
    }

    /// May `side`'s FIN repeat one that died before the tap? Not if nothing was sent between its last packet and this, if no timer can have run out
    /// since, or if it answers the peer's first FIN at once. A copy of a FIN that passed shows nothing of what came before it.
    pub(super) fn may_repeat_unseen(&self, side: Side, seg: &Segment) -> bool {
        if !seg.flags.has_all(Flags::FIN) {
            return false;
        }
        let own = self.end(side);
        let quiet = own.last_sent.is_some_and(|last| seg.ts.since(last) < SOONEST_REPEAT) && own.had_its_ack(seg.ts);
        let answers =
            || self.first_fin_to(side).is_some_and(|fin| arrived(own.nearest, seg.ts.since(fin)) == Arrived::No);
        own.fin_end.is_some()
            || own.ahead.is_some_and(|(seq, _)| seq == seg.end())
            || !(quiet || own.is_next(seg) || answers())
    }

    /// May a FIN of `side` wait for the congestion window or its peer's, until the very packet comes that carries the peer's? After a loss the window
    /// may be a single segment. Not if all its data had been acknowledged before, so that nothing held the FIN back any more.
    pub(super) fn fin_may_wait(&self, side: Side) -> bool {
        let (own, peer) = (self.end(side), self.end(self.peer(side)));
        let held = own.may_be_held() || peer.window_closed;
        held && !self.first_fin_to(side).is_some_and(|fin| own.was_done_before(fin))
    }

    /// When the first FIN passed towards `side`.
    fn first_fin_to(&self, side: Side) -> Option<Timestamp> {
        self.log.iter().find(|note| note.to == side && note.is_fin()).map(|note| note.ts)
    }

    /// `side` closes after it acknowledged exactly one number that the tap never saw, and nothing came from there since: that may well have
    /// been its peer's FIN, so `side` is the second to close. Or it was a byte; so all of this is inferred, and proves nothing. A peer that
    /// never said anything gets no such benefit.
    pub(super) fn fin_missed(&mut self, side: Side, seg: &Segment) -> bool {
        let peer = self.peer(side);
        let end = self.end(peer);
        let Some((seq, ts, frame)) = end.acked_unseen.filter(|&(seq, ..)| seg.acknowledges() == Some(seq)) else {
            return false;
        };
        if !end.spoke
            || end.fin_end.is_some()
            || end.snd_nxt().map(|next| next.plus(1)) != Some(seq)
            || self.log_is_full()
        {
            return false;
        }
        let guess = |from: Side, to: Side| Note { ts, frame, unseen: true, ..Note::new(from, to, seg, 0) };
        let fin = guess(peer, side);
        let ack = guess(side, peer);
        self.push(Note { snd: Stimuli::NONE.with(Stimulus::SndFin), rcv: Stimuli::NONE.with(Stimulus::RcvFin), ..fin });
        self.push(Note { rcv: Stimuli::NONE.with(Stimulus::RcvAckOfFin), ..ack });
        true
    }

    /// `side` sends on from where its unseen FIN would have ended: it was a byte.
    pub(super) fn refute_missed_fin(&mut self, side: Side, seg: &Segment) {
        let beyond = self.end(side).acked_unseen.is_some_and(|(seq, ..)| seg.end().is_after(seq));
        if !beyond || !self.log.iter().any(|note| note.unseen) {
            return;
        }
        for note in &mut self.log {
            let guessed = note.unseen && (note.side == side || !note.snd.has(Stimulus::SndFin));
            if guessed {
                (note.sent, note.acted) = (false, Acted::Disproved);
            }
            note.unseen = false;
        }
        self.retell();
    }

    /// `side` acknowledges its peer's FIN with an IPv4 identification of 0, though its socket numbers its packets: Linux's small block for
    /// FIN_WAIT_2 and TIME_WAIT answers so. So the ACK of its own FIN had overtaken that FIN, and it was not in CLOSING.
    pub(super) fn answered_by_a_block(&mut self, side: Side, seg: &Segment, ack: SeqNum) {
        let numbered = seg.ip_id == Some(0) && self.end(side).last_id.is_some() && seg.seg_len() == 0;
        if !numbered || !self.end(self.peer(side)).fin_covered_by(ack) || self.log_is_full() {
            return;
        }
        let Some(closing) = self.life.entry(side, State::Closing).filter(|step| step.stimulus == Stimulus::RcvFin)
        else {
            return;
        };
        let (Some(fin), false) = (closing.note, closing.confirmed.is_some()) else { return };
        // After a repeat it may be TIME_WAIT that answers again.
        if self.log.iter().filter(|note| note.to == side && note.is_fin()).count() > 1 {
            return;
        }
        let acks_fin =
            |note: &Note| note.to == side && note.rcv.has(Stimulus::RcvAckOfFin) && note.acted == Acted::Believed;
        if let Some(last) = self.log.iter().rposition(acks_fin).filter(|&last| last > fin) {
            self.log[fin].after = self.log[fin].after.max(last);
            self.retell();
        }
    }

    /// The FIN of `side`'s peer had a hole before it that the tap never saw filled, and `side` acknowledges it all the same.
    pub(super) fn arrived_unseen(&mut self, side: Side, seg: &Segment) {
        let peer = self.peer(side);
        let end = self.end_mut(peer);
        if !end.fin_waits || !end.fin_acked {
            return;
        }
        end.fin_waits = false;
        let mut note = Note::new(peer, side, seg, self.log.len());
        note.rcv = Stimuli::NONE.with(Stimulus::RcvFin);
        note.proof = self.end(peer).fin_end;
        note.since = self.log.iter().find(|note| note.side == peer && note.is_fin()).map(|fin| fin.ts);
        self.push(note);
    }

    /// Corrects the marks of the notes that are `concerned`; if that changed any, both lives are told anew. A full log lacks what came
    /// after it, so nothing is concluded from it.
    fn correct(&mut self, concerned: impl Fn(&Note) -> bool, correct: impl Fn(&mut Note)) {
        if self.log_is_full() {
            return;
        }
        let mut changed = false;
        for note in self.log.iter_mut().filter(|note| concerned(note)) {
            let before = (note.sent, note.acted, note.after);
            correct(note);
            changed |= before != (note.sent, note.acted, note.after);
        }
        if changed {
            self.retell();
        }
    }

    /// Both lives anew, from the marks as they are now.
    pub(super) fn retell(&mut self) {
        let counts =
            |reset: &Reset| self.log.get(reset.note).is_none_or(|note| note.sent && note.acted == Acted::Believed);
        self.reset = self.reset.filter(counts);
        self.life.retell(&self.log, Self::start(self.midstream));
    }
}
