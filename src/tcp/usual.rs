//! The usual connection: a handshake, data in order, FINs or an RST, nothing repeated, missing, late or odd. In: its segments. Out: both lives, as
//! judging by all the rules would tell them; or the word that something is unusual, and all has to be judged from the first segment on.
//!
//! What the rules of the other files come to on this course is written out here step by step; the numbers, the table of states and the bounds are theirs.
//! Nothing is noted, because nothing is ever taken back. Debug builds judge each connection told here by all the rules as well and compare.

use super::bounds::{arrived_by, fin_left_after, syn_left_after};
use super::endpoint::Endpoint;
use super::life::{Life, Step};
use super::reach::{Arrived, arrived};
use super::segment::{Flags, FrameId, Segment};
use super::seq::SeqNum;
use super::state::{Evidence, Side, State};
use super::transition::Stimulus;
use crate::time::{Span, Timestamp};

/// The flags that say what a segment is.
const KIND: Flags = Flags::FIN.or(Flags::SYN).or(Flags::RST).or(Flags::ACK);
/// Shorter ways are measured too roughly to tell what crossed an RST.
const NOISE: Span = Span::from_micros(200);

/// How far the handshake is, or that nothing usual can follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Begins,
    SynSent,
    SynAcked,
    Up,
    Over,
}

/// A connection on its usual course.
#[derive(Clone, Debug)]
pub struct Usual {
    /// The numbers, client first, as far as they matter on this course.
    pub ends: [Endpoint; 2],
    /// Both lives.
    pub life: Life,
    /// When SYN, SYN-ACK and the ACK of that passed.
    pub opened: [Option<Timestamp>; 3],
    /// Who sent the first FIN.
    pub closer: Option<Side>,
    /// Who sent the RST.
    pub reset: Option<Side>,
    stage: Stage,
    latest: Timestamp,
    frame: FrameId,
    /// A side's last packet took no sequence numbers.
    bare: [bool; 2],
    /// A step of a side waits for its proof.
    unproved: [bool; 2],
    /// The first FIN is acknowledged, and nothing behind the acknowledgement can be acknowledged in turn yet.
    proof_waits: bool,
    /// What that is.
    proof: Option<SeqNum>,
}

impl Default for Usual {
    fn default() -> Self {
        Self {
            ends: Default::default(),
            life: Life::new([Some(State::Closed), Some(State::Listen)]),
            opened: [None; 3],
            closer: None,
            reset: None,
            stage: Stage::Begins,
            latest: Timestamp::MIN,
            frame: FrameId::default(),
            bare: [false; 2],
            unproved: [false; 2],
            proof_waits: false,
            proof: None,
        }
    }
}

impl Usual {
    /// Begins anew with another connection, in the same memory.
    pub fn renew(&mut self) {
        let Self { ends, life, opened, closer, reset, stage, latest, frame, bare, unproved, proof_waits, proof } = self;
        ends.iter_mut().for_each(Endpoint::renew);
        life.renew([Some(State::Closed), Some(State::Listen)]);
        (*opened, *closer, *reset, *proof) = ([None; 3], None, None, None);
        (*stage, *latest, *frame) = (Stage::Begins, Timestamp::MIN, FrameId::default());
        (*bare, *unproved, *proof_waits) = ([false; 2], [false; 2], false);
    }

    /// Takes the next segment, sent by `side`; the first one's sender is the client. `false`: it is unusual.
    #[inline]
    pub fn take(&mut self, side: Side, seg: &Segment) -> bool {
        let odd = seg.bad_checksum || seg.options_cut || seg.options.sack.is_some();
        if odd || seg.ts < self.latest || seg.frame == self.frame {
            return false;
        }
        (self.latest, self.frame) = (seg.ts, seg.frame);
        match self.stage {
            Stage::Up => self.go_on(side, seg),
            Stage::Over => false,
            _ => self.open(side, seg),
        }
    }

    fn open(&mut self, side: Side, seg: &Segment) -> bool {
        const REFUSAL: Flags = Flags::RST.or(Flags::ACK);
        const SYN_ACK: Flags = Flags::SYN.or(Flags::ACK);
        if seg.payload_len > 0 {
            return false;
        }
        let kind = Flags::from_bits(seg.flags.bits() & KIND.bits());
        match (self.stage, side) {
            (Stage::Begins, Side::Client) if kind == Flags::SYN => self.take_syn(seg),
            (Stage::SynSent, Side::Server) if kind == SYN_ACK => self.take_syn_ack(seg),
            (Stage::SynSent, Side::Server) if kind == REFUSAL => self.take_refusal(seg),
            (Stage::SynAcked, Side::Client) if kind == Flags::ACK => self.take_last_ack(seg),
            _ => false,
        }
    }

    fn take_syn(&mut self, seg: &Segment) -> bool {
        let [client, server] = &mut self.ends;
        client.iss = Some(seg.seq);
        client.window_scale = seg.options.window_scale.unwrap_or(0);
        client.advance(seg.seq, seg.end(), seg.ts);
        client.sent_a_packet(seg, server);
        client.count(seg);
        self.append_own(Side::Client, Stimulus::SndSyn, seg, None);
        self.append_peers(Side::Server, Stimulus::RcvSyn, seg, None);
        self.opened[0] = Some(seg.ts);
        self.stage = Stage::SynSent;
        true
    }

    fn take_syn_ack(&mut self, seg: &Segment) -> bool {
        let [client, server] = &mut self.ends;
        let (Some(asked), true) = (self.opened[0], client.snd_nxt() == Some(seg.ack) && seg.window != 0) else {
            return false;
        };
        server.reached_within(seg.ts.since(asked));
        (server.iss, server.syn_ack_acked, server.rcv_nxt) = (Some(seg.seq), Some(seg.ack), Some(seg.ack));
        server.window_scale = seg.options.window_scale.unwrap_or(0);
        client.acked(seg.ack, seg);
        server.advance(seg.seq, seg.end(), seg.ts);
        server.sent_a_packet(seg, client);
        server.count(seg);
        self.append_peers(Side::Client, Stimulus::RcvSynAck, seg, None);
        self.confirm(Side::Server, State::SynReceived, seg.ts);
        self.opened[1] = Some(seg.ts);
        self.stage = Stage::SynAcked;
        true
    }

    /// An RST answers the SYN.
    fn take_refusal(&mut self, seg: &Segment) -> bool {
        if self.ends[0].snd_nxt() != Some(seg.ack) {
            return false;
        }
        self.append_own(Side::Server, Stimulus::SndRst, seg, self.opened[0]);
        self.append_peers(Side::Client, Stimulus::RcvRst, seg, None);
        (self.reset, self.stage) = (Some(Side::Server), Stage::Over);
        true
    }

    fn take_last_ack(&mut self, seg: &Segment) -> bool {
        let [client, server] = &mut self.ends;
        let ([Some(began), Some(answered), _], Some(next)) = (self.opened, client.snd_nxt()) else { return false };
        let sound = next == seg.seq && server.snd_nxt() == Some(seg.ack) && seg.window != 0;
        if !sound || client.overtaken(seg) || server.timestamps.reject(seg) {
            return false;
        }
        let span = seg.ts.since(answered);
        client.reached_within(span);
        client.timestamps.anchor(seg, answered);
        client.answered_within(span);
        client.rcv_nxt = Some(seg.ack);
        server.acked(seg.ack, seg);
        let stamped = client.timestamps.first_value().and_then(|value| syn_left_after(client, value, began));
        client.sent_a_packet(seg, server);
        client.count(seg);
        if let Some(syn) = self.life.step_into(Side::Client, State::SynSent) {
            syn.earliest = stamped;
        }
        self.append_peers(Side::Server, Stimulus::RcvAckOfSyn, seg, None);
        self.confirm(Side::Client, State::Established, seg.ts);
        self.bare[Side::Client.index()] = true;
        self.unproved[Side::Server.index()] = true;
        self.opened[2] = Some(seg.ts);
        self.stage = Stage::Up;
        true
    }

    /// A segment after the handshake.
    #[inline]
    fn go_on(&mut self, side: Side, seg: &Segment) -> bool {
        let kind = seg.flags.bits() & KIND.bits();
        let fin = seg.flags.has_all(Flags::FIN);
        if kind & !Flags::FIN.bits() != Flags::ACK.bits() {
            return self.take_reset(side, seg);
        }
        let at = side.index();
        let [client, server] = &mut self.ends;
        let (own, peer) = if side == Side::Client { (client, server) } else { (server, client) };
        let (ack, takes_numbers) = (seg.ack, seg.payload_len > 0 || fin);
        let (Some(next), Some(known), Some(sent)) = (own.snd_nxt(), own.rcv_nxt, peer.snd_nxt()) else { return false };
        // What takes no numbers and acknowledges nothing new may be a copy.
        let new = if takes_numbers { own.fin_end.is_none() } else { !self.bare[at] || ack != known };
        let in_order = next == seg.seq && sent.is_at_or_after(ack) && ack.is_at_or_after(known);
        if !new || !in_order || seg.window == 0 || own.overtaken(seg) || peer.timestamps.reject(seg) {
            return false;
        }
        let below_fin = peer.fin_end.is_some_and(|end| !ack.is_at_or_after(end));
        if below_fin && (fin || peer.fin_ts.is_some_and(|fin| arrived(own.reach, seg.ts.since(fin)) == Arrived::Yes)) {
            return false;
        }
        let left_after = if fin { fin_left_after(own, peer, seg) } else { None };
        if let Some(received) = peer.sent_up_to(ack) {
            own.timestamps.anchor(seg, received);
        }
        if let Some(sent) = peer.last_advance(ack) {
            own.answered_within(seg.ts.since(sent));
        }
        own.rcv_nxt = Some(ack);
        peer.acked(ack, seg);
        let has_data = u16::from(seg.payload_len > 0);
        own.flight = if own.snd_una == Some(next) { has_data } else { own.flight.saturating_add(has_data) };
        if takes_numbers {
            own.append(seg);
            if self.proof_waits && self.closer != Some(side) {
                (self.proof, self.proof_waits) = (Some(seg.end()), false);
            }
        }
        own.sent_a_packet(seg, peer);
        self.bare[at] = !takes_numbers;
        let acked = self.ends[side.peer().index()].fin_acked;
        if fin || acked || self.unproved[at] {
            self.take_meaning(side, seg, left_after);
        }
        self.ends[at].count(seg);
        true
    }

    /// What a segment that is not plain says of both ends.
    fn take_meaning(&mut self, side: Side, seg: &Segment, left_after: Option<Timestamp>) {
        if seg.flags.has_all(Flags::FIN) {
            self.take_fin(side, seg, left_after);
        } else if self.ends[side.peer().index()].fin_acked {
            self.take_ack_of_fin(side, seg);
        }
        if self.unproved[side.index()] {
            self.prove(side, seg);
        }
    }

    fn take_fin(&mut self, side: Side, seg: &Segment, left_after: Option<Timestamp>) {
        let peer = side.peer();
        let own = &mut self.ends[side.index()];
        (own.fin_end, own.fin_ts) = (Some(seg.end()), Some(seg.ts));
        self.append_own(side, Stimulus::SndFin, seg, left_after);
        let first = self.closer.is_none();
        let by = arrived_by(&self.ends[peer.index()], seg.ts, first);
        if first {
            self.closer = Some(side);
        } else if self.life.state(peer) == Some(State::FinWait1) {
            self.append_peers(peer, Stimulus::RcvAckOfFin, seg, by);
            self.proof = Some(seg.end());
        }
        self.append_peers(peer, Stimulus::RcvFin, seg, by);
        self.unproved[peer.index()] = true;
    }

    /// The peer's FIN is acknowledged, perhaps not for the first time.
    fn take_ack_of_fin(&mut self, side: Side, seg: &Segment) {
        let peer = side.peer();
        let state = self.life.state(peer);
        if !matches!(state, Some(State::FinWait1 | State::LastAck)) {
            return;
        }
        let by = arrived_by(&self.ends[peer.index()], seg.ts, false);
        self.append_peers(peer, Stimulus::RcvAckOfFin, seg, by);
        if state == Some(State::LastAck) {
            self.stage = Stage::Over;
        } else {
            self.proof = Some(seg.end()).filter(|_| seg.payload_len > 0);
            self.proof_waits = self.proof.is_none();
            self.unproved[peer.index()] = true;
        }
    }

    /// An RST of `side`, after the handshake.
    fn take_reset(&mut self, side: Side, seg: &Segment) -> bool {
        let (own, peer) = (&self.ends[side.index()], &self.ends[side.peer().index()]);
        let bare = match seg.flags.bits() & KIND.bits() {
            kind if kind == Flags::RST.bits() => true,
            kind if kind == Flags::RST.or(Flags::ACK).bits() => false,
            _ => return false,
        };
        if self.closer.is_some() || seg.payload_len > 0 || own.snd_nxt() != Some(seg.seq) {
            return false;
        }
        let received = seg.acknowledges().and_then(|ack| peer.sent_up_to(ack));
        let doubtful = match self.opened[2].filter(|_| side == Side::Server) {
            None => !bare && received.is_none(),
            // It may not have got the last ACK of the handshake.
            Some(_) if bare => self.unproved[side.index()],
            Some(last_ack) => {
                let shortest = own.nearest.filter(|_| own.nearest_twice).map_or(0, |span| span.as_nanos() / 10 * 9);
                let too_soon = shortest > NOISE.as_nanos() && seg.ts.since(last_ack).as_nanos() < shortest;
                too_soon && received.is_none_or(|received| last_ack > received)
            }
        };
        if doubtful {
            return false;
        }
        let by = arrived_by(peer, seg.ts, true);
        self.append_own(side, Stimulus::SndRst, seg, received);
        self.append_peers(side.peer(), Stimulus::RcvRst, seg, by);
        (self.reset, self.stage) = (Some(side), Stage::Over);
        true
    }

    /// What this segment proves of its own sender's past.
    fn prove(&mut self, side: Side, seg: &Segment) {
        let [client, server] = &self.ends;
        let (own, peer) = if side == Side::Client { (client, server) } else { (server, client) };
        let fin = seg.flags.has_all(Flags::FIN);
        let acks_fin = peer.fin_covered_by(seg.ack);
        let (mut all, proof) = (true, self.proof);
        for step in self.life.unconfirmed_steps(side) {
            let proved = match step.to {
                State::Established => seg.payload_len > 0 || fin || own.takes_data(seg.ack),
                State::CloseWait if acks_fin => {
                    // A FIN that does not answer the peer's at once may repeat one that died before the tap.
                    let soon = |ts| arrived(own.nearest, seg.ts.since(ts)) != Arrived::Yes;
                    let first = !fin || own.is_next(seg) || peer.fin_ts.is_some_and(soon);
                    // Data may be all that a FIN is waiting for, unless it was written just now.
                    let written_now = seg.payload_len == 0 || own.had_its_ack(seg.ts);
                    let idle = own.snd_una == Some(seg.seq) && written_now && first;
                    if !idle && step.latest.is_none_or(|latest| seg.ts < latest) {
                        step.latest = Some(seg.ts);
                    }
                    idle
                }
                State::FinWait2 => proof.is_some_and(|proof| seg.ack.is_at_or_after(proof)),
                State::TimeWait => acks_fin,
                _ => false,
            };
            if proved {
                step.confirmed = Some(seg.ts);
            }
            all &= proved;
        }
        self.unproved[side.index()] = !all;
    }

    /// `side` has done what `seg`, its own, shows, not before `earliest`.
    fn append_own(&mut self, side: Side, stimulus: Stimulus, seg: &Segment, earliest: Option<Timestamp>) {
        self.life.append(side, stimulus, Evidence::Observed, seg, [earliest, Some(seg.ts)]);
    }

    /// `seg`, its peer's, does something to `side`, by `latest`.
    fn append_peers(&mut self, side: Side, stimulus: Stimulus, seg: &Segment, latest: Option<Timestamp>) {
        self.life.append(side, stimulus, Evidence::Inferred, seg, [Some(seg.ts), latest]);
    }

    fn confirm(&mut self, side: Side, state: State, ts: Timestamp) {
        if let Some(step) = self.life.step_into(side, state) {
            step.confirmed = Some(ts);
        }
    }

    /// The step that brought `side` into `state`.
    pub fn entry(&self, side: Side, state: State) -> Option<&Step> {
        self.life.entry(side, state)
    }
}
