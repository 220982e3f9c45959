//! One 4-tuple and its successive connections. In: its segments in order. Out: a report for each incarnation that ended.
//!
//! Usable without a table: a distributed engine that shuffles segments by [`flow_hash`](super::key::FlowKey::flow_hash) runs one
//! flow a key.

use super::apart::{Beginning, Place};
use super::config::Config;
use super::key::{Direction, FlowKey};
use super::role::{self, Role};
use crate::metrics::history::History;
use crate::metrics::report::report;
use crate::metrics::rows::{ConnectionReport, Who};
use crate::metrics::time_wait::{self, Finish};
use crate::metrics::transfer::Transfer;
use crate::tcp::anomaly::AnomalyKind;
use crate::tcp::connection::{Connection, Outcome};
use crate::tcp::segment::{Addressed, Flags, FrameId, Segment, Undelivered, Why};
use crate::tcp::seq::SeqNum;
use crate::tcp::state::{Side, State};
use crate::tcp::transition::Stimulus;
use crate::time::{Span, Timestamp};

/// One connection with its counters.
#[derive(Clone, Debug)]
struct Incarnation {
    who: Who,
    /// The direction in which the client sends.
    client: Direction,
    conn: Connection,
    transfer: Transfer,
    history: History,
    /// The first segment that was too long for a link, which way it went, what the link carries, and when that was said.
    too_long: Option<(SeqNum, Direction, Option<u32>, Timestamp)>,
}

/// What a sender needs at least to learn of an ICMP error and to cut a segment up: Linux's shortest retransmission timeout.
const HEARD_WITHIN: Span = Span::from_millis(200);

/// A SYN inside a connection that was not seen to end. Unless what follows proves that it began a new one, it did not.
#[derive(Clone, Debug)]
struct Candidate {
    new: Incarnation,
    /// The counters of the old connection before that SYN.
    before: (Transfer, History),
    /// The SYN: who sent it, when, its frame.
    by: Side,
    ts: Timestamp,
    frame: FrameId,
}

/// One key, its current incarnation, and perhaps the next.
#[derive(Clone, Debug)]
pub struct Flow {
    current: Incarnation,
    candidate: Option<Box<Candidate>>,
}

/// What a SYN inside a flow is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Syn {
    /// Part of the connection: a repeat, another ISN for the same attempt, the other half of a simultaneous open.
    Same,
    /// The old connection is over; this begins the next.
    Next,
    /// The old connection is alive, as far as can be told.
    Inside,
}

fn who(first: &Addressed, role: Role) -> Who {
    let (client, server) = if role.sender_is_client { (first.src, first.dst) } else { (first.dst, first.src) };
    Who { client, server, role_known: role.known, vlan: first.vlan, tunnel: first.tunnel }
}

impl Incarnation {
    fn new(first: &Addressed, direction: Direction) -> Self {
        let role = role::role(first);
        Self {
            who: who(first, role),
            client: if role.sender_is_client { direction } else { direction.reverse() },
            conn: Connection::new(&first.segment, first.src == first.dst),
            transfer: Transfer::new(&first.segment),
            history: History::default(),
            too_long: None,
        }
    }

    fn side(&self, direction: Direction) -> Side {
        if direction == self.client { Side::Client } else { Side::Server }
    }

    fn feed(&mut self, direction: Direction, seg: &Segment) -> Outcome {
        self.settle_roles(direction, seg);
        let side = self.side(direction);
        let outcome = self.conn.feed(side, seg);
        self.transfer.add(side, seg, &outcome);
        self.history.add(side, seg, &outcome);
        outcome
    }

    /// The first SYN or SYN-ACK of a connection that began without one shows who is the client.
    fn settle_roles(&mut self, direction: Direction, seg: &Segment) {
        if self.who.role_known || !(seg.flags.is_bare_syn() || seg.flags.is_syn_ack()) {
            return;
        }
        let sender_is_client = seg.flags.is_bare_syn();
        self.who.role_known = true;
        if sender_is_client != (self.side(direction) == Side::Client) {
            std::mem::swap(&mut self.who.client, &mut self.who.server);
            self.client = self.client.reverse();
            self.conn.flip();
            self.transfer.flip();
            self.history.flip();
            self.conn.anomalies.note(AnomalyKind::RoleFlipped, self.side(direction), seg, || {
                format!("{} turned out to be the client", self.who.client)
            });
        }
    }

    /// Begins anew with another connection, in the same memory.
    fn renew(&mut self, first: &Addressed, direction: Direction) {
        let Self { who, client, conn, transfer, history, too_long } = self;
        let role = role::role(first);
        *who = self::who(first, role);
        *client = if role.sender_is_client { direction } else { direction.reverse() };
        conn.renew(&first.segment, first.src == first.dst);
        *transfer = Transfer::new(&first.segment);
        history.renew();
        *too_long = None;
    }

    fn finish(&mut self, config: &Config, finish: Finish) -> ConnectionReport {
        report(&mut self.conn, self.who, &self.transfer, &self.history, config.time_wait, finish)
    }

    /// Is `side` gone by `ts`, so that a new connection may take its place? `syn` is what would begin it, on its way to
    /// that side, or sent by it.
    fn makes_way(&self, side: Side, sender: Side, syn: &Segment, config: &Config) -> bool {
        match self.conn.state(side) {
            Some(State::Closed | State::Listen) => true,
            // Its own SYN: it has left TIME_WAIT. The peer's: accepted if it looks new (RFC 6191 2, RFC 9293 3.10.7.4).
            Some(State::TimeWait) => {
                let over = time_wait::deadline(&self.conn, side, config.time_wait).is_some_and(|end| end <= syn.ts);
                over || side == sender || self.looks_new(sender, syn)
            }
            _ => false,
        }
    }

    fn looks_new(&self, sender: Side, syn: &Segment) -> bool {
        let last_timestamp =
            self.conn.log.iter().rev().find(|note| note.side == sender).and_then(|note| note.timestamps);
        let newer = match (syn.options.timestamps, last_timestamp) {
            (Some((now, _)), Some((then, _))) => SeqNum::new(now).is_after(SeqNum::new(then)),
            _ => false,
        };
        newer || self.conn.end(sender).snd_nxt().is_some_and(|next| syn.seq.is_after(next))
    }

    fn judge_syn(&self, direction: Direction, syn: &Segment, config: &Config) -> Syn {
        let side = self.side(direction);
        let (own, peer) = (self.conn.end(side), self.conn.end(side.peer()));
        let ended = Side::BOTH.iter().all(|&each| self.makes_way(each, side, syn, config));
        // Midstream: the SYN is recorded behind what answered it.
        // Who refused it is believed less than who asks again: the RST died.
        let refused = self.conn.life.steps(side).iter().any(|step| {
            step.from == Some(State::SynSent) && step.to == State::Closed && step.stimulus == Stimulus::RcvRst
        });
        if own.iss == Some(syn.seq) && (!ended || self.conn.midstream || refused || self.conn.is_copy_of_syn(side, syn))
        {
            return Syn::Same;
        }
        if ended && !(self.conn.log.is_empty() || self.conn.midstream && self.conn.life.steps(side).is_empty()) {
            return Syn::Next;
        }
        // The handshake is recorded out of order: the SYN fits what is there.
        let fits = own.iss.is_none() && own.first_seq == Some(syn.seq.plus(1)) && own.sent.end().is_none();
        if self.conn.midstream && fits {
            return Syn::Same;
        }
        if self.conn.oddly_refused() && own.iss != Some(syn.seq) {
            return Syn::Next;
        }
        let unanswered = peer.last_sent.is_none();
        if own.iss.is_some() && unanswered && self.conn.state(side) == Some(State::SynSent) {
            return Syn::Same;
        }
        // Simultaneous open: the peer has sent its SYN and nothing else. An ACK of it may come apart (split handshake).
        let peer_opens = matches!(self.conn.state(side.peer()), Some(State::SynSent)) && own.iss.is_none();
        if peer_opens && !peer.syn_ack && own.sent.end().is_none() {
            return Syn::Same;
        }
        Syn::Inside
    }
}

impl Flow {
    /// A flow that begins with `first`.
    pub fn new(first: &Addressed, direction: Direction) -> Self {
        let mut current = Incarnation::new(first, direction);
        current.feed(direction, &first.segment);
        Self { current, candidate: None }
    }

    /// Takes the next segment. Returns the report of the incarnation that it ended, if any.
    pub fn feed(&mut self, addressed: &Addressed, direction: Direction, config: &Config) -> Option<ConnectionReport> {
        let seg = &addressed.segment;
        if seg.flags.is_bare_syn() {
            match self.current.judge_syn(direction, seg, config) {
                Syn::Same => {}
                Syn::Next => return Some(self.begin_next(addressed, direction, config)),
                Syn::Inside => return self.feed_syn_inside(addressed, direction),
            }
        }
        self.current.feed(direction, seg);
        self.settle_candidate(direction, seg, config)
    }

    /// Takes a segment of which it is known that it begins no incarnation.
    #[inline]
    pub(super) fn feed_known(&mut self, direction: Direction, seg: &Segment, config: &Config) {
        debug_assert!(
            !seg.flags.is_bare_syn() || self.current.judge_syn(direction, seg, config) == Syn::Same,
            "a SYN that has to be judged is not packed"
        );
        self.current.feed(direction, seg);
    }

    /// The SYN begins the next incarnation, or the earlier SYN that it repeats did.
    fn begin_next(&mut self, addressed: &Addressed, direction: Direction, config: &Config) -> ConnectionReport {
        let seg = &addressed.segment;
        let side = self.current.side(direction);
        if let Some(mut candidate) = self.candidate.take()
            && candidate.new.conn.end(Side::Client).iss == Some(seg.seq)
            && candidate.new.client == direction
        {
            candidate.new.feed(direction, seg);
            return self.adopt(candidate, config, seg.ts, seg.frame);
        }
        let mut next = Incarnation::new(addressed, direction);
        next.feed(direction, seg);
        let mut old = std::mem::replace(&mut self.current, next);
        old.finish(config, Finish::Reuse { side, ts: seg.ts, frame: seg.frame })
    }

    fn feed_syn_inside(&mut self, addressed: &Addressed, direction: Direction) -> Option<ConnectionReport> {
        let seg = &addressed.segment;
        let by = self.current.side(direction);
        let before = match self.candidate.take() {
            Some(mut candidate) if candidate.new.conn.end(Side::Client).iss == Some(seg.seq) && candidate.by == by => {
                candidate.new.feed(direction, seg);
                self.candidate = Some(candidate);
                None
            }
            // The earlier SYN, if there was one, began nothing: what came since is the old connection's.
            _ => Some((self.current.transfer.clone(), self.current.history.clone())),
        };
        if let Some(before) = before {
            let mut new = Incarnation::new(addressed, direction);
            new.feed(direction, seg);
            self.candidate = Some(Box::new(Candidate { new, before, by, ts: seg.ts, frame: seg.frame }));
        }
        // For the old connection it is a packet and an oddity, nothing more.
        let outcome = Outcome::default();
        self.current.transfer.add(by, seg, &outcome);
        self.current.history.add(by, seg, &outcome);
        self.current.conn.challenge(by.peer());
        self.current
            .conn
            .anomalies
            .note(AnomalyKind::SynInConnection, by, seg, || format!("sequence number {}", seg.seq));
        None
    }

    /// Does this segment show that the SYN inside the connection began a new one, or that it did not?
    fn settle_candidate(&mut self, direction: Direction, seg: &Segment, config: &Config) -> Option<ConnectionReport> {
        let mut candidate = self.candidate.take()?;
        let from_opener = direction == candidate.new.client;
        let own = candidate.new.conn.end(Side::Client);
        let answers_syn = !from_opener && own.iss.is_some_and(|iss| seg.ack == iss.plus(1));
        let (ts, frame) = (candidate.ts, candidate.frame);
        candidate.new.feed(direction, seg);
        let refused = seg.flags.has_all(Flags::RST.or(Flags::ACK));
        if answers_syn && (seg.flags.is_syn_ack() || refused) {
            return Some(self.adopt(candidate, config, ts, frame));
        }
        // The opener carries on with the old connection: the SYN was not its own, or came from a middlebox.
        let carries_on = from_opener
            && !seg.flags.has_any(Flags::SYN.or(Flags::RST))
            && self.current.conn.end(candidate.by).snd_una.is_some_and(|una| seg.end().is_at_or_after(una))
            && seg.payload_len > 0;
        if !carries_on {
            self.candidate = Some(candidate);
        }
        None
    }

    /// The candidate is the current incarnation now; the old one ended when its SYN came.
    fn adopt(&mut self, candidate: Box<Candidate>, config: &Config, ts: Timestamp, frame: FrameId) -> ConnectionReport {
        let Candidate { new, before, by, .. } = *candidate;
        let mut old = std::mem::replace(&mut self.current, new);
        (old.transfer, old.history) = before;
        old.finish(config, Finish::Reuse { side: by, ts, frame })
    }

    /// An ICMP error quotes a segment of this flow.
    pub fn undelivered(&mut self, icmp: &Undelivered, direction: Direction) {
        let side = self.current.side(direction);
        let conn = &mut self.current.conn;
        // What it has not sent yet it cannot have heard of: forged, or of a connection before this one.
        if conn.end(side).snd_nxt().is_some_and(|next| icmp.seq.is_after(next)) {
            return;
        }
        let kind = match icmp.why {
            Why::Unreachable { .. } => AnomalyKind::IcmpUnreachable,
            Why::TooBig { .. } => AnomalyKind::IcmpFragmentationNeeded,
            Why::TimeExceeded => AnomalyKind::IcmpTimeExceeded,
            Why::HeaderProblem => AnomalyKind::IcmpHeaderProblem,
        };
        conn.anomalies.note_at(kind, side, icmp.ts, icmp.frame, || {
            let what = match icmp.why {
                Why::Unreachable { what: Some(what) } => format!(" ({what})"),
                Why::TooBig { mtu: Some(mtu) } => format!(", MTU {mtu} bytes"),
                _ => String::new(),
            };
            format!("{} about sequence number {}{what}", icmp.from, icmp.seq)
        });
        if let Why::TooBig { mtu } = icmp.why {
            match self.current.too_long {
                None => self.current.too_long = Some((icmp.seq, direction, mtu, icmp.ts)),
                Some((seq, way, known, told)) => {
                    let again = (seq, way, known) == (icmp.seq, direction, mtu);
                    if again && icmp.ts.since(told) >= HEARD_WITHIN {
                        conn.anomalies.note_at(AnomalyKind::MtuIgnored, side, icmp.ts, icmp.frame, || {
                            format!(
                                "sequence number {seq} again, {} after {} said so first",
                                icmp.ts.since(told),
                                icmp.from
                            )
                        });
                    }
                }
            }
        }
        let unreachable = matches!(icmp.why, Why::Unreachable { .. });
        if unreachable && side == Side::Client && conn.end(Side::Client).iss == Some(icmp.seq) {
            conn.cannot_reach(icmp.ts, icmp.frame);
        }
    }

    /// The connection that is current: its log and lives, for the ladder of one connection.
    pub fn connection(&self) -> &Connection {
        &self.current.conn
    }

    /// How the current connection began, if its SYN was seen.
    pub(super) fn beginning(&self) -> Option<Beginning> {
        let Incarnation { who, client, conn, .. } = &self.current;
        let iss = conn.end(Side::Client).iss?;
        Some(Beginning { place: Place::of(who.vlan, who.tunnel), direction: *client, iss })
    }

    /// The direction in which the client of the current connection sends.
    pub fn client(&self) -> Direction {
        self.current.client
    }

    /// Ends the flow.
    pub fn finish(mut self, config: &Config, finish: Finish) -> ConnectionReport {
        self.report(config, finish)
    }

    /// What there is to tell once the flow has ended; after it only [`Flow::renew`] makes sense.
    pub(super) fn report(&mut self, config: &Config, finish: Finish) -> ConnectionReport {
        self.current.finish(config, finish)
    }

    /// Begins anew with the flow of another key, in the same memory.
    pub(super) fn renew(&mut self, first: &Addressed, direction: Direction) {
        self.candidate = None;
        self.current.renew(first, direction);
        self.current.feed(direction, &first.segment);
    }

    /// The places in the run where the current incarnation began and where the next may have begun.
    pub(super) fn starts(&self) -> [Option<u64>; 2] {
        let candidate = self.candidate.as_ref().map(|candidate| candidate.new.transfer.ordinal);
        [Some(self.current.transfer.ordinal), candidate]
    }

    /// The sequence number of the SYN that went this way, if one was seen: of the next incarnation, where one may have begun.
    pub(super) fn isn(&self, direction: Direction) -> Option<SeqNum> {
        let of = |it: &Incarnation| it.conn.end(it.side(direction)).iss;
        self.candidate.as_ref().and_then(|candidate| of(&candidate.new)).or_else(|| of(&self.current))
    }

    /// A SYN may have begun the next incarnation.
    pub(super) const fn is_in_doubt(&self) -> bool {
        self.candidate.is_some()
    }

    /// Nothing but the first segment of the current incarnation has come.
    pub(super) fn is_fresh(&self) -> bool {
        self.candidate.is_none() && self.current.transfer.packets.iter().sum::<u64>() == 1
    }

    /// When the last packet passed.
    pub(super) fn last_ts(&self) -> Timestamp {
        self.current.transfer.last_ts
    }

    /// Nothing more is to come: both endpoints are CLOSED or wait for nothing but their timers, or nobody ever answered.
    pub(super) fn is_over(&self) -> bool {
        let unanswered = self.current.conn.end(Side::Server).last_seen.is_none() && !self.current.conn.midstream;
        self.candidate.is_none() && (unanswered || self.worth().0 == 0)
    }

    /// Begins to load what the next segment will need.
    pub(super) fn prefetch(&self) {
        self.current.conn.ends.iter().for_each(super::prefetch::prefetch);
        super::prefetch::prefetch(&self.current.transfer);
    }

    /// How worthless the flow is to keep, and since when it is idle: what is shed first orders first.
    pub fn worth(&self) -> (u8, Timestamp) {
        let conn = &self.current.conn;
        let over = |side| matches!(conn.state(side), None | Some(State::Closed | State::Listen | State::TimeWait));
        let class = if Side::BOTH.into_iter().all(over) {
            0
        } else if conn.end(Side::Server).last_sent.is_none()
            || conn.life.entry(Side::Client, State::Established).is_none()
        {
            1
        } else if conn.midstream {
            2
        } else {
            3
        };
        (class, self.current.transfer.last_ts)
    }
}

/// The key and direction of a segment.
pub fn key_of(addressed: &Addressed) -> (FlowKey, Direction) {
    FlowKey::new(addressed.src, addressed.dst)
}
