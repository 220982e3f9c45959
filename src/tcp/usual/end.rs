//! What the tap knows of one end of a usual connection: [`Endpoint`](crate::tcp::endpoint::Endpoint) as far as it matters on that course, where every
//! number has been seen. In: segments. Out: distances, and between which instants the end acted.

use super::Counted;
use super::clock::Clock;
use super::path::{EVER, NEVER};
use crate::tcp::bounds::{BESIDE_THE_TAP, CLOSE_TAKES, IT_TAKES, ON_THE_HOST, OWNER_TAKES, SOFTIRQ_TAKES};
use crate::tcp::endpoint::{ADVANCES, INITIAL_WINDOW, LEAVES_AT_ONCE, OVERTAKEN_IDS};
use crate::tcp::reach::{SLOW_ANSWER, SOONEST_REPEAT};
use crate::tcp::seq::SeqNum;

/// One end; instants and spans are nanoseconds, the former since the connection's first segment. What no segment has told yet is 0, and not
/// asked for before.
#[derive(Clone, Copy, Debug)]
pub struct End {
    /// SND.NXT.
    pub nxt: SeqNum,
    /// SND.UNA.
    pub una: SeqNum,
    /// RCV.NXT, as far as it has said.
    pub rcv_nxt: SeqNum,
    /// Behind its FIN.
    pub fin_end: SeqNum,
    /// When its FIN passed; [`NEVER`] before.
    pub fin_at: i64,
    /// Its FIN is acknowledged.
    pub fin_acked: bool,
    /// Its last packet took no sequence numbers.
    pub bare: bool,
    /// A step of it waits for its proof.
    pub unproved: bool,
    /// A server: what its SYN-ACK acknowledged.
    pub syn_ack_acked: SeqNum,
    /// SEG.WND of its last packet, unscaled.
    window: u16,
    /// Its shift count.
    pub window_scale: u8,
    /// Data segments since all that it had sent was last acknowledged.
    pub flight: u16,
    /// Bytes that it sent.
    pub bytes: u64,
    /// The identification of its last packet that had one; 0 before.
    pub last_id: u16,
    /// Since it last sent something new, its identifications had a gap.
    missed: bool,
    /// When its last packet passed; [`NEVER`] before.
    pub last_sent: i64,
    /// From a packet to it passing the tap to its answer in the handshake.
    reach: i64,
    /// The shortest of its answers.
    pub nearest: i64,
    /// Two answers took about as little.
    pub nearest_twice: bool,
    /// Its timestamps.
    pub clock: Clock,
    /// When that was acknowledged first.
    pub una_at: i64,
    /// TSval of the segment that acknowledged it.
    una_value: Option<u32>,
    /// The ends of what it sent last, and when they passed, newest first.
    advances: [(SeqNum, i64); ADVANCES],
}

impl End {
    /// Nothing seen.
    pub const BLANK: Self = Self {
        nxt: SeqNum::new(0),
        una: SeqNum::new(0),
        rcv_nxt: SeqNum::new(0),
        fin_end: SeqNum::new(0),
        fin_at: NEVER,
        fin_acked: false,
        bare: false,
        unproved: false,
        syn_ack_acked: SeqNum::new(0),
        window: 0,
        window_scale: 0,
        flight: 0,
        bytes: 0,
        last_id: 0,
        missed: false,
        last_sent: NEVER,
        reach: 0,
        nearest: NEVER,
        nearest_twice: false,
        clock: Clock::BLANK,
        una_at: NEVER,
        una_value: None,
        advances: [(SeqNum::new(0), NEVER); ADVANCES],
    };

    /// It has sent its FIN.
    #[inline]
    pub const fn has_closed(&self) -> bool {
        self.fin_at != NEVER
    }

    /// A FIN of it, which ends at `end`.
    pub const fn closes(&mut self, end: SeqNum, at: i64) {
        (self.fin_end, self.fin_at) = (end, at);
    }

    /// It has sent up to `end`. Nothing that was sent before new data was a FIN.
    #[inline]
    pub const fn advance(&mut self, end: SeqNum, at: i64) {
        (self.nxt, self.missed) = (end, false);
        let [first, second, third, _] = self.advances;
        self.advances = [(end, at), first, second, third];
    }

    /// It has sent a packet.
    #[inline]
    pub fn sent(&mut self, seg: &impl Counted) {
        (self.last_sent, self.window) = (seg.at(), seg.window());
        if seg.id() != 0 {
            let follows = self.last_id == 0 || self.last_id.wrapping_add(1) == seg.id();
            self.missed |= !follows;
            self.last_id = seg.id();
        }
    }

    /// `seg` is the first to acknowledge something.
    pub fn acked_first(&mut self, seg: &impl Counted) {
        (self.una, self.una_at) = (seg.ack(), seg.at());
        self.una_value = seg.stamps().map(|(value, _)| value);
    }

    /// `seg` acknowledges up to `ack`, which is not below what was acknowledged before.
    #[inline]
    pub fn acked(&mut self, ack: SeqNum, seg: &impl Counted) {
        if ack.is_after(self.una) {
            (self.una, self.una_at, self.una_value) = (ack, seg.at(), seg.stamps().map(|(value, _)| value));
        }
        self.fin_acked |= self.has_closed() && ack.is_at_or_after(self.fin_end);
    }

    /// When what this acknowledges had passed at the latest; the end has sent something.
    #[inline]
    pub fn sent_up_to(&self, ack: SeqNum) -> Option<i64> {
        // Nearly always all of it.
        let [(end, at), earlier @ ..] = &self.advances;
        if ack.is_at_or_after(*end) {
            return Some(*at);
        }
        let known = |&&(end, at): &&(SeqNum, i64)| at != NEVER && ack.is_at_or_after(end);
        earlier.iter().find(known).map(|&(_, at)| at)
    }

    /// When what ends there passed, if `ack` is the first to acknowledge just that, of the last that it sent.
    #[inline]
    pub fn last_advance(&self, ack: SeqNum) -> Option<i64> {
        if self.una == ack {
            return None;
        }
        self.advances.iter().find(|(end, at)| *end == ack && *at != NEVER).map(|&(_, at)| at)
    }

    /// Its answer in the handshake.
    pub fn answers_first(&mut self, span: i64) {
        self.reach = span;
        self.answers(span);
    }

    /// It answered after this span.
    #[inline]
    pub fn answers(&mut self, span: i64) {
        let (short, long) = (self.nearest.min(span), self.nearest.max(span));
        self.nearest_twice = long - short <= short / 8 || self.nearest_twice && short == self.nearest;
        self.nearest = short;
    }

    /// Has what passed so long before arrived at it?
    #[inline]
    pub const fn has_got(&self, before: i64) -> bool {
        before > self.reach + SLOW_ANSWER.as_nanos() + self.reach / 2
    }

    /// Was this packet of it overtaken by one that it sent later? Or is it unusual among the others, for it has timestamps and they have none, or the other
    /// way round?
    #[inline]
    pub fn is_overtaken(&self, seg: &impl Counted, stamped: bool) -> bool {
        match seg.stamps() {
            Some((value, _)) => !stamped || self.clock.is_older(value),
            None => {
                let behind = self.last_id.wrapping_sub(seg.id());
                stamped || seg.id() != 0 && self.last_id != 0 && (1..=OVERTAKEN_IDS).contains(&behind)
            }
        }
    }

    /// Would it drop this packet of its peer for its timestamp?
    #[inline]
    pub fn rejects(&self, seg: &impl Counted) -> bool {
        seg.stamps().is_some_and(|(value, _)| self.clock.rejects(value))
    }

    /// Did it send nothing between its last data and this that the tap has missed?
    #[inline]
    pub fn is_next(&self, seg: &impl Counted) -> bool {
        !self.missed && seg.id() != 0 && self.last_id != 0 && self.last_id.wrapping_add(1) == seg.id()
    }

    /// Its FIN, after the one of `peer`: may it repeat one that died before the tap?
    pub fn may_repeat_unseen(&self, peer: &Self, seg: &impl Counted) -> bool {
        let quiet = seg.at() - self.last_sent < SOONEST_REPEAT.as_nanos() && self.had_its_ack(seg.at());
        let answers = || seg.at() - peer.fin_at <= self.nearest + SLOW_ANSWER.as_nanos() + self.nearest / 2;
        !(quiet || self.is_next(seg) || answers())
    }

    /// Did the last acknowledgement of what it sent certainly arrive before `at`?
    pub const fn had_its_ack(&self, at: i64) -> bool {
        at - self.una_at > 2 * self.reach + LEAVES_AT_ONCE.as_nanos()
    }

    const fn is_beside(&self) -> bool {
        self.nearest < BESIDE_THE_TAP.as_nanos()
    }

    /// By when what passes at `at` has acted on it; `owned`: an application may hold its socket.
    pub const fn arrived_by(&self, at: i64, owned: bool) -> i64 {
        let takes = if owned { OWNER_TAKES } else { SOFTIRQ_TAKES };
        if self.is_beside() { at + takes.as_nanos() } else { NEVER }
    }

    /// After which instant it sent its SYN, which passed at `at`.
    pub fn syn_left_after(&self, at: i64) -> i64 {
        let stamped = self.clock.first_made_after().map(|made| made - IT_TAKES.as_nanos());
        // A coarser clock would contradict what passed.
        stamped.filter(|&stamped| self.is_beside() && stamped <= at).unwrap_or(EVER)
    }

    /// After which instant it sent its FIN, which `seg` carries.
    pub fn fin_left_after(&self, peer: &Self, seg: &impl Counted) -> i64 {
        if !self.fin_was_not_waiting(peer, seg) {
            return EVER;
        }
        let is_next = self.is_next(seg);
        let known = peer.sent_up_to(self.rcv_nxt).unwrap_or(EVER);
        let made = seg.stamps().and_then(|(value, _)| {
            let first = is_next || self.clock.is_within(value, self.nearest + peer.nearest);
            self.clock.made_after(value, seg.at()).filter(|_| first)
        });
        let on_host = self.nearest < ON_THE_HOST.as_nanos() || is_next;
        let slow = seg.stamps().is_some_and(|(value, _)| self.clock.came_slowly(value, seg.at()));
        let beside = if self.is_beside() && on_host && !slow { seg.at() - IT_TAKES.as_nanos() } else { EVER };
        known.max(made.map_or(EVER, |made| made - CLOSE_TAKES.as_nanos())).max(beside)
    }

    fn fin_was_not_waiting(&self, peer: &Self, seg: &impl Counted) -> bool {
        let window = u32::from(peer.window) << peer.window_scale;
        let room = || seg.payload() == 0 && self.flight < INITIAL_WINDOW && seg.end().ahead_of(self.una) <= window;
        self.is_idle_before(seg) || room()
    }

    /// All that it had sent before was acknowledged, and it knew.
    fn is_idle_before(&self, seg: &impl Counted) -> bool {
        let knew = match (seg.stamps(), self.una_value) {
            (Some((_, echo)), Some(value)) => SeqNum::new(echo).is_at_or_after(SeqNum::new(value)),
            _ => true,
        };
        self.una.is_at_or_after(self.nxt) && knew && (self.had_its_ack(seg.at()) || self.bytes == 0)
    }
}
