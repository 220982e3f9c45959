//! The usual connection: a handshake, data in order, FINs or an RST, nothing repeated, missing, late or odd. In: its segments. Out: both lives, as
//! judging by all the rules would tell them; or the word that something is unusual, and all has to be judged from the first segment on.
//!
//! What the rules of the other files come to on this course is written out here step by step, on numbers that need no `Option`: on this course
//! they are all there. Times are nanoseconds since the first segment, frames are counted from it. Nothing is noted, because nothing is ever
//! taken back. Debug builds judge each connection told here by all the rules as well and compare.

mod clock;
mod end;
mod path;

pub use end::End;
pub use path::{Change, EVER, NEVER, Path};

use super::endpoint::INITIAL_WINDOW;
use super::segment::{Flags, FrameId};
use super::seq::SeqNum;
use super::state::{Side, State};
use super::transition::Stimulus;
use crate::time::{Span, Timestamp};

/// The flags that say what a segment is.
const KIND: u8 = Flags::FIN.or(Flags::SYN).or(Flags::RST).or(Flags::ACK).bits();
const SYN: u8 = Flags::SYN.bits();
const ACK: u8 = Flags::ACK.bits();
const FIN: u8 = Flags::FIN.bits();
const RST: u8 = Flags::RST.bits();
/// Shorter ways are measured too roughly to tell what crossed an RST.
const NOISE: i64 = 200_000;

/// What a connection's segments are counted from: its first one.
#[derive(Clone, Copy, Debug)]
pub struct Origin {
    /// When it passed.
    pub ts: Timestamp,
    /// Its frame.
    pub frame: FrameId,
    /// Its place among all packets of the run.
    pub ordinal: u64,
}

impl Origin {
    /// The instant so many nanoseconds after it; `None` for none.
    #[inline]
    pub fn instant(&self, at: i64) -> Option<Timestamp> {
        (at != NEVER && at != EVER).then(|| self.ts.plus(Span::from_nanos(at)))
    }

    /// The frame so many after it.
    #[inline]
    pub const fn frame(&self, frames: u32) -> FrameId {
        FrameId::new(self.frame.file(), self.frame.number() + frames as u64)
    }
}

/// A segment of a connection, counted from the first.
pub trait Counted {
    /// Nanoseconds since the first; never less than 0.
    fn at(&self) -> i64;
    /// Frames since the first.
    fn frames(&self) -> u32;
    /// SEG.SEQ.
    fn seq(&self) -> SeqNum;
    /// SEG.ACK; meaningless without ACK.
    fn ack(&self) -> SeqNum;
    /// The control bits.
    fn flags(&self) -> Flags;
    /// The window field, unscaled.
    fn window(&self) -> u16;
    /// Payload bytes.
    fn payload(&self) -> u32;
    /// IP bytes, headers included.
    fn wire_bytes(&self) -> u32;
    /// The IPv4 identification; 0 where there is none.
    fn id(&self) -> u16;
    /// TSval and TSecr.
    fn stamps(&self) -> Option<(u32, u32)>;
    /// The shift count of window scale; 0 without.
    fn scale(&self) -> u8;
    /// A bad checksum, or options that were cut off.
    fn damaged(&self) -> bool;

    /// The sequence number after everything it carries, on a segment without SYN.
    #[inline]
    fn end(&self) -> SeqNum {
        self.seq().plus(self.payload().wrapping_add((self.flags().bits() & FIN).into()))
    }
}

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
    pub ends: [End; 2],
    /// Both lives, client first.
    pub paths: [Path; 2],
    /// When SYN, SYN-ACK and the ACK of that passed; [`NEVER`] for what did not.
    pub opened: [i64; 3],
    /// Who sent the first FIN.
    pub closer: Option<Side>,
    /// Who sent the RST.
    pub reset: Option<Side>,
    stage: Stage,
    /// Both ends send TCP timestamps.
    stamped: bool,
    latest: i64,
    /// Of the segment before; before the first none that can be.
    frames: i64,
    /// The first FIN is acknowledged, and nothing behind the acknowledgement can be acknowledged in turn yet.
    proof_waits: bool,
    /// What that is.
    proof: Option<SeqNum>,
}

impl Default for Usual {
    fn default() -> Self {
        Self {
            ends: [End::BLANK; 2],
            paths: [Path::starting(State::Closed), Path::starting(State::Listen)],
            opened: [NEVER; 3],
            closer: None,
            reset: None,
            stage: Stage::Begins,
            stamped: false,
            latest: 0,
            frames: NEVER,
            proof_waits: false,
            proof: None,
        }
    }
}

impl Usual {
    /// Begins anew with another connection, in the same memory.
    pub fn renew(&mut self) {
        let Self { ends, paths, opened, closer, reset, stage, stamped, latest, frames, proof_waits, proof } = self;
        *ends = [End::BLANK; 2];
        paths[0].renew(State::Closed);
        paths[1].renew(State::Listen);
        (*opened, *closer, *reset, *proof) = ([NEVER; 3], None, None, None);
        (*stage, *latest, *frames) = (Stage::Begins, 0, NEVER);
        (*stamped, *proof_waits) = (false, false);
    }

    /// Takes the next segment, sent by `side`; the first one's sender is the client. `false`: it is unusual.
    #[inline]
    pub fn take(&mut self, side: Side, seg: &impl Counted) -> bool {
        if seg.damaged() || seg.at() < self.latest || self.frames == i64::from(seg.frames()) {
            return false;
        }
        (self.latest, self.frames) = (seg.at(), seg.frames().into());
        match self.stage {
            Stage::Up => self.go_on(side, seg),
            Stage::Over => false,
            _ => self.open(side, seg),
        }
    }

    /// When the last segment passed, and its frame.
    pub fn last(&self) -> (i64, u32) {
        (self.latest, self.frames as u32)
    }

    fn open(&mut self, side: Side, seg: &impl Counted) -> bool {
        const SYN_ACK: u8 = SYN | ACK;
        const REFUSAL: u8 = RST | ACK;
        if seg.payload() > 0 {
            return false;
        }
        match (self.stage, side, seg.flags().bits() & KIND) {
            (Stage::Begins, Side::Client, SYN) => self.take_syn(seg),
            (Stage::SynSent, Side::Server, SYN_ACK) => self.take_syn_ack(seg),
            (Stage::SynSent, Side::Server, REFUSAL) => self.take_refusal(seg),
            (Stage::SynAcked, Side::Client, ACK) => self.take_last_ack(seg),
            _ => false,
        }
    }

    fn take_syn(&mut self, seg: &impl Counted) -> bool {
        let client = &mut self.ends[0];
        client.window_scale = seg.scale();
        client.advance(seg.seq().plus(1), seg.at());
        client.sent(seg);
        if let Some((value, _)) = seg.stamps() {
            client.clock.begin(value, seg.at());
        }
        self.paths[0].own(Stimulus::SndSyn, seg, EVER);
        self.paths[1].peers(Stimulus::RcvSyn, seg, NEVER);
        self.opened[0] = seg.at();
        self.stage = Stage::SynSent;
        true
    }

    fn take_syn_ack(&mut self, seg: &impl Counted) -> bool {
        let [client, server] = &mut self.ends;
        let offered = client.clock.has_begun();
        // An answer with timestamps to a SYN without them is no usual one.
        if client.nxt != seg.ack() || seg.window() == 0 || seg.stamps().is_some() && !offered {
            return false;
        }
        server.answers_first(seg.at() - self.opened[0]);
        (server.rcv_nxt, server.syn_ack_acked) = (seg.ack(), seg.ack());
        server.window_scale = seg.scale();
        client.acked_first(seg);
        server.advance(seg.seq().plus(1), seg.at());
        server.sent(seg);
        self.stamped = seg.stamps().is_some();
        if let Some((value, echo)) = seg.stamps() {
            server.clock.begin(value, seg.at());
            server.clock.take_echo(echo, &client.clock);
        }
        self.paths[0].peers(Stimulus::RcvSynAck, seg, NEVER);
        self.paths[1].confirm_last(seg.at());
        self.opened[1] = seg.at();
        self.stage = Stage::SynAcked;
        true
    }

    /// An RST answers the SYN.
    fn take_refusal(&mut self, seg: &impl Counted) -> bool {
        if self.ends[0].nxt != seg.ack() {
            return false;
        }
        self.paths[1].own(Stimulus::SndRst, seg, self.opened[0]);
        self.paths[0].peers(Stimulus::RcvRst, seg, NEVER);
        (self.reset, self.stage) = (Some(Side::Server), Stage::Over);
        true
    }

    fn take_last_ack(&mut self, seg: &impl Counted) -> bool {
        let stamped = self.stamped;
        let [client, server] = &mut self.ends;
        let [began, answered, _] = self.opened;
        let sound = client.nxt == seg.seq() && server.nxt == seg.ack() && seg.window() != 0;
        if !sound || client.is_overtaken(seg, stamped) || server.rejects(seg) {
            return false;
        }
        let span = seg.at() - answered;
        client.answers_first(span);
        client.answers(span);
        client.rcv_nxt = seg.ack();
        server.acked_first(seg);
        if let Some((value, echo)) = seg.stamps() {
            client.clock.anchor(value, answered);
            self.paths[0].first_not_before(client.syn_left_after(began));
            client.clock.take(value, echo, seg.at(), &server.clock);
        }
        client.sent(seg);
        self.paths[1].peers(Stimulus::RcvAckOfSyn, seg, NEVER);
        self.paths[0].confirm_last(seg.at());
        client.bare = true;
        server.unproved = true;
        self.opened[2] = seg.at();
        self.stage = Stage::Up;
        true
    }

    /// A segment after the handshake.
    #[inline]
    fn go_on(&mut self, side: Side, seg: &impl Counted) -> bool {
        if seg.flags().bits() & (KIND & !FIN) != ACK {
            return self.take_reset(side, seg);
        }
        let fin = seg.flags().bits() & FIN != 0;
        let stamped = self.stamped;
        let (own, peer) = both(&mut self.ends, side);
        let (ack, takes_numbers) = (seg.ack(), seg.payload() > 0 || fin);
        // What takes no numbers and acknowledges nothing new may be a copy.
        let new = if takes_numbers { !own.has_closed() } else { !own.bare || ack != own.rcv_nxt };
        let in_order = own.nxt == seg.seq() && peer.nxt.is_at_or_after(ack) && ack.is_at_or_after(own.rcv_nxt);
        if !new || !in_order || seg.window() == 0 || own.is_overtaken(seg, stamped) || peer.rejects(seg) {
            return false;
        }
        if peer.has_closed() && !ack.is_at_or_after(peer.fin_end) && (fin || own.has_got(seg.at() - peer.fin_at)) {
            return false;
        }
        let may_wait = own.flight >= INITIAL_WINDOW && !(peer.has_closed() && own.una_at < peer.fin_at);
        // A FIN that may be older than it looks, with nothing of its sender's before to show that it had got the peer's first.
        if fin && peer.has_closed() && own.unproved && (may_wait || own.may_repeat_unseen(peer, seg)) {
            return false;
        }
        let left_after = if fin { own.fin_left_after(peer, seg) } else { EVER };
        if let Some((value, echo)) = seg.stamps() {
            if let Some(received) = peer.sent_up_to(ack) {
                own.clock.anchor(value, received);
            }
            own.clock.take(value, echo, seg.at(), &peer.clock);
        }
        if let Some(sent) = peer.last_advance(ack) {
            own.answers(seg.at() - sent);
        }
        own.rcv_nxt = ack;
        peer.acked(ack, seg);
        let has_data = u16::from(seg.payload() > 0);
        own.flight = if own.una == own.nxt { has_data } else { own.flight.saturating_add(has_data) };
        own.sent(seg);
        if takes_numbers {
            own.bytes += u64::from(seg.payload());
            own.advance(seg.end(), seg.at());
            if self.proof_waits && self.closer != Some(side) {
                (self.proof, self.proof_waits) = (Some(seg.end()), false);
            }
        }
        own.bare = !takes_numbers;
        if fin || peer.fin_acked || own.unproved {
            self.take_meaning(side, seg, left_after, may_wait);
        }
        true
    }

    /// What a segment that is not plain says of both ends. `may_wait`: a FIN of its sender may have waited behind data until now.
    fn take_meaning(&mut self, side: Side, seg: &impl Counted, left_after: i64, may_wait: bool) {
        if seg.flags().bits() & FIN != 0 {
            self.take_fin(side, seg, left_after);
        } else if self.ends[side.peer().index()].fin_acked {
            self.take_ack_of_fin(side, seg);
        }
        if self.ends[side.index()].unproved {
            self.prove(side, seg, may_wait);
        }
    }

    fn take_fin(&mut self, side: Side, seg: &impl Counted, left_after: i64) {
        let (own, peer) = both(&mut self.ends, side);
        own.closes(seg.end(), seg.at());
        self.paths[side.index()].own(Stimulus::SndFin, seg, left_after);
        let first = self.closer.is_none();
        let by = peer.arrived_by(seg.at(), first);
        let path = &mut self.paths[side.peer().index()];
        if first {
            self.closer = Some(side);
        } else if path.state == State::FinWait1 {
            path.peers(Stimulus::RcvAckOfFin, seg, by);
            self.proof = Some(seg.end());
        }
        path.peers(Stimulus::RcvFin, seg, by);
        peer.unproved = true;
    }

    /// The peer's FIN is acknowledged, perhaps not for the first time.
    fn take_ack_of_fin(&mut self, side: Side, seg: &impl Counted) {
        let (_, peer) = both(&mut self.ends, side);
        let path = &mut self.paths[side.peer().index()];
        let state = path.state;
        if !matches!(state, State::FinWait1 | State::LastAck) {
            return;
        }
        path.peers(Stimulus::RcvAckOfFin, seg, peer.arrived_by(seg.at(), false));
        if state == State::LastAck {
            self.stage = Stage::Over;
        } else {
            self.proof = Some(seg.end()).filter(|_| seg.payload() > 0);
            self.proof_waits = self.proof.is_none();
            peer.unproved = true;
        }
    }

    /// An RST of `side`, after the handshake.
    fn take_reset(&mut self, side: Side, seg: &impl Counted) -> bool {
        let bare = match seg.flags().bits() & KIND {
            RST => true,
            kind if kind == RST | ACK => false,
            _ => return false,
        };
        let (own, peer) = both(&mut self.ends, side);
        if self.closer.is_some() || seg.payload() > 0 || own.nxt != seg.seq() {
            return false;
        }
        let received = if bare { None } else { peer.sent_up_to(seg.ack()) };
        let doubtful = match side {
            Side::Client => !bare && received.is_none(),
            // It may not have got the last ACK of the handshake.
            Side::Server if bare => own.unproved,
            Side::Server => {
                let last_ack = self.opened[2];
                let shortest = if own.nearest_twice { own.nearest / 10 * 9 } else { 0 };
                let too_soon = shortest > NOISE && seg.at() - last_ack < shortest;
                too_soon && received.is_none_or(|received| last_ack > received)
            }
        };
        if doubtful {
            return false;
        }
        let by = peer.arrived_by(seg.at(), true);
        self.paths[side.index()].own(Stimulus::SndRst, seg, received.unwrap_or(EVER));
        self.paths[side.peer().index()].peers(Stimulus::RcvRst, seg, by);
        (self.reset, self.stage) = (Some(side), Stage::Over);
        true
    }

    /// What this segment proves of its own sender's past.
    fn prove(&mut self, side: Side, seg: &impl Counted, may_wait: bool) {
        let proof = self.proof;
        let (own, peer) = both(&mut self.ends, side);
        let fin = seg.flags().bits() & FIN != 0;
        let acks_fin = peer.has_closed() && seg.ack().is_at_or_after(peer.fin_end);
        let mut all = true;
        for step in self.paths[side.index()].unconfirmed() {
            let proved = match step.to {
                State::Established => seg.payload() > 0 || fin || seg.ack().is_after(own.syn_ack_acked),
                State::CloseWait if acks_fin => {
                    // Data may be all that a FIN is waiting for, unless it was written just now.
                    let written_now = seg.payload() == 0 || own.had_its_ack(seg.at());
                    let idle = own.una == seg.seq() && written_now && !may_wait;
                    if !idle {
                        step.latest = step.latest.min(seg.at());
                    }
                    idle
                }
                State::FinWait2 => proof.is_some_and(|proof| seg.ack().is_at_or_after(proof)),
                State::TimeWait => acks_fin,
                _ => false,
            };
            if proved {
                step.confirmed = seg.at();
            }
            all &= proved;
        }
        own.unproved = !all;
    }
}

/// The end of `side` and the other one.
const fn both(ends: &mut [End; 2], side: Side) -> (&mut End, &mut End) {
    let [client, server] = ends;
    match side {
        Side::Client => (client, server),
        Side::Server => (server, client),
    }
}
