//! The usual segment of an established connection: data in order, an acknowledgement that does not go back. In: such a segment. Out: the
//! numbers moved on, as judging it by all the rules would have done.
//!
//! Nearly all segments of a long connection are like that (Jacobson's header prediction). What they mean needs no judging, because nothing waits
//! to be proved, doubted or answered. Debug builds judge each of them all the same and compare.

use super::connection::{Connection, Outcome};
use super::endpoint::Endpoint;
use super::life::Step;
use super::segment::{Flags, Segment};
use super::state::{Side, State};
use super::transition::Stimulus;

impl Connection {
    /// Works out whose plain segments change numbers only from now on.
    pub(super) fn predict(&mut self) {
        self.quiet = [false; 2];
        let up = Side::BOTH.into_iter().all(|side| self.state(side) == Some(State::Established));
        let nothing_odd = |end: &Endpoint| {
            end.fin_end.is_none() && !end.fin_waits && end.acked_unseen.is_none() && end.ahead.is_none()
        };
        let waits = self.alone || self.refusal.is_some() || self.challenged.is_some();
        if up && !waits && self.ends.iter().all(nothing_odd) {
            self.quiet = Side::BOTH.map(|side| self.is_quiet(side));
        }
    }

    fn is_quiet(&self, side: Side) -> bool {
        let (own, peer) = (self.end(side), self.end(side.peer()));
        let crossed =
            |step: &Step| step.stimulus == Stimulus::RcvSyn && step.from == Some(State::SynSent) && !own.syn_ack;
        !peer.syn_unanswered
            && !peer.fin_unanswered
            && own.snd_nxt().is_some()
            && !own.has_sent_beyond()
            && (self.midstream || own.iss.is_some())
            && !self.life.steps(side).iter().any(crossed)
    }

    /// Does this segment only move numbers on?
    #[inline]
    pub(super) fn is_predicted(&self, side: Side, seg: &Segment) -> bool {
        const PLAIN: Flags = Flags::FIN.or(Flags::SYN).or(Flags::RST).or(Flags::ACK);
        if !self.quiet[side.index()] || seg.flags.bits() & PLAIN.bits() != Flags::ACK.bits() {
            return false;
        }
        let (own, peer) = (self.end(side), self.end(side.peer()));
        own.snd_nxt() == Some(seg.seq)
            && peer.snd_nxt().is_some_and(|next| next.is_at_or_after(seg.ack))
            && own.rcv_nxt.is_some_and(|known| seg.ack.is_at_or_after(known))
            && peer.window != 0
            && self.latest <= Some(seg.ts)
            && !seg.bad_checksum
            && !seg.options_cut
            && !own.overtaken(seg)
            && !peer.timestamps.reject(seg)
    }

    /// Takes a segment that [`Connection::is_predicted`] promised.
    pub(super) fn feed_predicted(&mut self, side: Side, seg: &Segment) -> Outcome {
        self.latest = Some(seg.ts);
        let [client, server] = &mut self.ends;
        let (own, peer) = if side == Side::Client { (client, server) } else { (server, client) };
        // What begins at SND.NXT and goes on from there never passed before.
        if seg.payload_len > 0 {
            own.remember_new(seg);
        } else if let Some(copy) = own.copy_of_recent(seg) {
            return self.recorded_again(side, seg, copy);
        }
        self.late = false;
        let ack = seg.ack;
        if let Some(received) = peer.sent_up_to(ack) {
            own.timestamps.anchor(seg, received);
        }
        if let Some(sent) = peer.last_advance(ack) {
            own.answered_within(seg.ts.since(sent));
        }
        own.rcv_nxt = Some(ack);
        peer.covered(ack, seg.ts);
        peer.acked(ack, seg);
        if matches!(peer.syn_ack_covered, [Some(_), None]) {
            self.bound_syn(side);
        }
        let own = self.end_mut(side);
        let has_data = u16::from(seg.payload_len > 0);
        own.flight = if own.snd_una == own.snd_nxt() { has_data } else { own.flight.saturating_add(has_data) };
        let new_bytes = if seg.payload_len > 0 { self.append(side, seg) } else { 0 };
        let [client, server] = &mut self.ends;
        let (own, peer) = if side == Side::Client { (client, server) } else { (server, client) };
        own.sent_a_packet(seg, peer);
        own.spoke = true;
        own.window_closed |= seg.window == 0;
        // Only CLOSE_WAIT asks what a FIN may be waiting for.
        self.prove(side, seg, false, false);
        self.end_mut(side).count(seg);
        Outcome { new_bytes, ..Outcome::default() }
    }

    /// Counts data that begin at SND.NXT, moves that, and gives a proof to notes that waited for the sender's next number.
    fn append(&mut self, side: Side, seg: &Segment) -> u64 {
        self.give_proof(side, seg.end());
        self.end_mut(side).append(seg)
    }
}
