//! Between which two instants an endpoint did what a segment shows. In: the segment and what is known of distances and clocks. Out: its note with
//! bounds that always hold, as narrow as they can.

use super::connection::Connection;
use super::endpoint::{Endpoint, INITIAL_WINDOW};
use super::log::{Note, only};
use super::segment::{Flags, Segment};
use super::state::{Side, State};
use crate::time::{Span, Timestamp};

/// Whoever answers anything within this stands beside the tap, on the same host or as good as: nothing waits in between.
pub(super) const BESIDE_THE_TAP: Span = Span::from_micros(100);
/// Nothing but a host's own stack answers within this: nothing is lost in between, either.
pub(super) const ON_THE_HOST: Span = Span::from_micros(60);
/// What passes between the change that close() makes and the FIN's timestamp. Seen on Linux: tens of microseconds, 0.9 ms on a busy machine.
pub(super) const CLOSE_TAKES: Span = Span::from_millis(3);
/// What an endpoint beside the tap may take from its close() to its FIN. Seen on Linux: 250 us, 2 ms on a busy machine.
pub(super) const IT_TAKES: Span = Span::from_millis(3);
/// What an endpoint beside the tap may take from a packet to the change that it makes. Seen on Linux: a tenth of a millisecond, 4 on a busy machine.
pub(super) const SOFTIRQ_TAKES: Span = Span::from_millis(6);
/// The same while an application may hold the socket; seen: 14 ms.
pub(super) const OWNER_TAKES: Span = Span::from_millis(20);

impl Connection {
    pub(super) fn note(&self, side: Side, seg: &Segment) -> Note {
        let mut note = Note::new(side, self.peer(side), seg, self.log.len());
        let advances = self.end(side).snd_nxt().is_none_or(|next| seg.end().is_after(next));
        if seg.seg_len() > 0 && (advances || seg.flags.has_any(Flags::SYN.or(Flags::FIN))) {
            note.proof = Some(seg.end());
        }
        let (own, peer) = (self.end(side), self.end(self.peer(side)));
        if seg.flags.has_all(Flags::FIN) {
            note.known_ts = fin_left_after(own, peer, seg);
        } else {
            note.known_ts = seg.acknowledges().and_then(|ack| peer.sent_up_to(ack));
        }
        // A listener with a full accept queue, or one that waits for data, ignores the ACK that arrived.
        let last_ack = self.state(note.to) == Some(State::SynReceived);
        if !last_ack {
            note.arrived_by = arrived_by(self.end(note.to), seg.ts, self.life.owned(note.to));
        }
        note
    }

    /// `side` has completed its handshake: by its own clock, when did it send its SYN? Only beside the tap is the first SYN that passed the first
    /// that was sent; it may have waited for its neighbour's address.
    pub(super) fn bound_syn(&mut self, side: Side) {
        if !self.is_beside_the_tap(side) {
            return;
        }
        let is_syn = |note: &Note| note.side == side && note.flags.is_bare_syn();
        let Some(index) = self.log.iter().position(is_syn) else { return };
        let Some((value, _)) = self.log[index].timestamps else { return };
        if let Some(stamped) = syn_left_after(self.end(side), value, self.log[index].ts) {
            self.log[index].known_ts = Some(stamped);
            self.life.bound_first(side, index, stamped);
        }
    }

    /// Is the capture taken on `side`'s own host, or as good as?
    pub(super) fn is_beside_the_tap(&self, side: Side) -> bool {
        is_beside(self.end(side))
    }

    /// The round trip from the tap to `side`: since the packet of the peer that this one answers, if that was sent once or its
    /// timestamp is the one echoed.
    pub(super) fn measure_reach(&mut self, side: Side, seg: &Segment, question: fn(Flags) -> bool) {
        let asked = || self.log.iter().filter(|note| note.to == side && question(note.flags));
        let echo = seg.options.timestamps.map(|(_, echo)| echo);
        let answered = only(asked())
            .or_else(|| only(asked().filter(|note| echo.is_some() && note.timestamps.map(|(value, _)| value) == echo)));
        // An ACK with data may have waited for the data.
        if let Some(span) = answered.filter(|_| seg.payload_len == 0).map(|note| seg.ts.since(note.ts)) {
            self.end_mut(side).reached_within(span);
        }
    }
}

fn is_beside(end: &Endpoint) -> bool {
    end.nearest.is_some_and(|least| least < BESIDE_THE_TAP)
}

/// When what passed at `ts` towards `to` had arrived, if that stands beside the tap. `owned`: an application may hold the socket.
pub(super) fn arrived_by(to: &Endpoint, ts: Timestamp, owned: bool) -> Option<Timestamp> {
    is_beside(to).then(|| ts.plus(if owned { OWNER_TAKES } else { SOFTIRQ_TAKES }))
}

/// Before when `own` cannot have sent its SYN, stamped `value`, which passed at `ts`: by its own clock, and only beside the tap.
pub(super) fn syn_left_after(own: &Endpoint, value: u32, ts: Timestamp) -> Option<Timestamp> {
    let stamped = own.timestamps.stamped_after(value).map(|stamped| stamped.minus(IT_TAKES));
    // A coarser clock would contradict what passed.
    stamped.filter(|&stamped| is_beside(own) && stamped <= ts)
}

/// Before when `own` cannot have sent `seg`, its FIN to `peer`. An earlier copy may have died before the tap, so what only this one acknowledges
/// bounds nothing.
pub(super) fn fin_left_after(own: &Endpoint, peer: &Endpoint, seg: &Segment) -> Option<Timestamp> {
    if !fin_was_not_waiting(own, peer, seg) {
        return None;
    }
    let known = own.rcv_nxt.and_then(|ack| peer.sent_up_to(ack));
    let round_trip = own.nearest.zip(peer.nearest).map(|(near, far)| near.plus(far));
    let made = own.made_after(seg, round_trip).map(|ts| ts.minus(CLOSE_TAKES));
    let on_host = own.nearest.is_some_and(|least| least < ON_THE_HOST) || own.is_next(seg);
    let beside = is_beside(own) && on_host && !own.came_slowly(seg);
    known.max(made).max(beside.then(|| seg.ts.minus(IT_TAKES)))
}

/// Did the FIN leave as soon as `own` closed? Not if it waited for the peer's window or for the congestion window: close() moves an
/// endpoint to FIN_WAIT_1 before its FIN can leave. What was not sent yet by then leaves with the FIN, so a bare one had only itself to wait.
fn fin_was_not_waiting(own: &Endpoint, peer: &Endpoint, seg: &Segment) -> bool {
    let room =
        || seg.payload_len == 0 && own.flight < INITIAL_WINDOW && !own.has_repeated() && own.fits_into(peer, seg);
    // After a loss the first acknowledgement may have died: then the peer's last packet told it.
    let told_now = || own.recovers() && own.may_answer(peer, seg);
    own.snd_nxt() == Some(seg.seq) && !peer.window_closed && (own.idle_before(seg) && !told_now() || room())
}
