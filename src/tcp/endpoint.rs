//! What the tap knows of one endpoint's numbers, under RFC 9293 3.3.1's names.

use super::ranges::Ranges;
use super::segment::{Flags, FrameId, Segment};
use super::seq::{SeqNum, StreamPos};
use super::timestamps::{Timestamps, ticks_between};
use crate::time::{Span, Timestamp};

/// How many of the latest packets are remembered to recognize copies.
const FINGERPRINTS: usize = 8;
/// How many of the latest advances of SND.NXT are remembered to bound times.
pub(super) const ADVANCES: usize = 4;
/// How many different ends of FINs are remembered; one is sound, more are a broken or hostile sender.
const FIN_ENDS: usize = 8;
/// A copy that comes this soon is the tap's doing; later, the network's.
const TAP_COPY: Span = Span::from_millis(20);
/// Two packets with the same IPv4 identification that lie farther apart are no copies: the counter came round.
const NETWORK_COPY: Span = Span::from_secs(3);
/// Without an IPv4 identification a copy must come at once, with the same TCP timestamps and checksum, from a side whose
/// SYN or SYN-ACK came so too: no timer repeats a SYN so soon, but some loopback stacks do send the very same FIN thrice.
const UNNUMBERED_COPY: Span = Span::from_millis(1);

/// Retransmission timers of SYNs start at a second (RFC 6298 2.1), in some stacks at less, but never at this.
pub const SOONEST_SYN: Span = Span::from_millis(150);

/// What leaves within this after an acknowledgement came may have waited for it.
pub(super) const LEAVES_AT_ONCE: Span = Span::from_millis(1);
/// The segments that may be out at once from the start (RFC 6928), but for the FIN itself.
pub(super) const INITIAL_WINDOW: u16 = 9;
/// What is not acknowledged comes again within this, mostly (RFC 6298 2.1).
const REPEATS_WITHIN: Span = Span::from_secs(1);

/// Senders count their IPv4 identifications up; one that lies at most this far behind the last is of a packet that was overtaken.
pub(super) const OVERTAKEN_IDS: u16 = 64;

/// The same packet seen twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Copy {
    /// The tap recorded it twice.
    Tap,
    /// The network delivered it twice.
    Network,
}

/// The numbers of one endpoint.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// ISS, from its SYN or SYN-ACK.
    pub iss: Option<SeqNum>,
    /// The ISS of earlier SYNs of the same attempt, where it changed.
    pub earlier_iss: Option<SeqNum>,
    /// Its SYN carried data (fast open, RFC 7413).
    pub syn_data: u32,
    /// It sent a SYN-ACK.
    pub syn_ack: bool,
    /// SND.NXT: behind the furthest sequence number it sent, on the circle and on the line.
    snd_nxt: Option<(SeqNum, StreamPos)>,
    /// The first sequence number seen from it.
    pub first_seq: Option<SeqNum>,
    /// SND.UNA: the furthest acknowledgement the peer sent it; also RCV.NXT of the peer, as far as the peer said.
    pub snd_una: Option<SeqNum>,
    /// When `snd_una` last moved.
    pub snd_una_ts: Option<Timestamp>,
    /// The TSval of the segment that moved it.
    snd_una_value: Option<u32>,
    /// The acknowledgement in its last packet: its RCV.NXT then.
    pub rcv_nxt: Option<SeqNum>,
    /// Behind its FIN.
    pub fin_end: Option<SeqNum>,
    /// When its first FIN passed.
    pub fin_ts: Option<Timestamp>,
    /// Its FIN has been sent but something before it was missing, so it has not acted yet.
    pub fin_waits: bool,
    fin_ends: Vec<SeqNum>,
    /// The bytes it sent.
    pub sent: Ranges,
    /// Its last packet, an RST included.
    pub last_seen: Option<Timestamp>,
    /// When the first two packets of the peer that acknowledged its SYN-ACK passed.
    pub syn_ack_covered: [Option<Timestamp>; 2],
    /// What its last SYN-ACK acknowledged: behind the SYN, or behind data that came with it (RFC 7413).
    pub syn_ack_acked: Option<SeqNum>,
    /// The peer acknowledged exactly one number more than it was seen to send: a byte, or its FIN. First when and in which frame.
    pub acked_unseen: Option<(SeqNum, Timestamp, FrameId)>,
    /// The last window it advertised, unscaled.
    pub window: u16,
    /// The shift count it announced.
    pub window_scale: u8,
    /// Its last packet other than an RST.
    pub last_sent: Option<Timestamp>,
    /// It sent something other than a SYN, a SYN-ACK or an RST.
    pub spoke: bool,
    /// When it last sent data again.
    pub repeated_ts: Option<Timestamp>,
    /// How often new data of it was acknowledged since it last sent its SYN, SYN-ACK or data again, or its peer a SYN; no more than 255 are counted.
    /// `None`: neither ever did.
    pub acked_since: Option<u8>,
    /// Data segments it sent since all that it had sent was last acknowledged.
    pub flight: u16,
    /// It once advertised a window of 0.
    pub window_closed: bool,
    /// Its timestamps, and what it echoes of its peer's.
    pub timestamps: Timestamps,
    /// The IPv4 identification of its last packet that had one.
    pub last_id: Option<u16>,
    /// Since it last sent something new, its identifications had a gap: a packet that the tap missed.
    missed: bool,
    /// The sequence number of the first bare ACK that lay beyond all it had been seen to send, and its note: where a FIN unseen by
    /// the tap may end.
    pub ahead: Option<(SeqNum, usize)>,
    /// A SYN or SYN-ACK of it is out, and no ACK that covers it was noted since.
    pub syn_unanswered: bool,
    /// Likewise for its FIN.
    pub fin_unanswered: bool,
    /// The peer acknowledged its FIN, in whatever segment.
    pub fin_acked: bool,
    /// From the tap to the endpoint and back, as the handshake's halves say.
    pub reach: Option<Span>,
    /// The least that it took to acknowledge something: it is no farther away.
    pub nearest: Option<Span>,
    /// It took about that long more than once.
    pub nearest_twice: bool,
    advances: [Option<(SeqNum, Timestamp)>; ADVANCES],
    /// Fingerprints of its latest packets, 0 for none, and when they passed.
    recent: [u64; FINGERPRINTS],
    recent_ts: [Timestamp; FINGERPRINTS],
    newest: u8,
    /// Its SYN or SYN-ACK was recorded twice.
    doubled: bool,
}

impl Default for Endpoint {
    fn default() -> Self {
        Self::BLANK
    }
}

impl Endpoint {
    /// Of which nothing is known.
    const BLANK: Self = Self {
        iss: None,
        earlier_iss: None,
        syn_data: 0,
        syn_ack: false,
        snd_nxt: None,
        first_seq: None,
        snd_una: None,
        snd_una_ts: None,
        snd_una_value: None,
        rcv_nxt: None,
        fin_end: None,
        fin_ts: None,
        fin_waits: false,
        fin_ends: Vec::new(),
        sent: Ranges::NONE,
        last_seen: None,
        syn_ack_covered: [None; 2],
        syn_ack_acked: None,
        acked_unseen: None,
        window: 0,
        window_scale: 0,
        last_sent: None,
        spoke: false,
        repeated_ts: None,
        acked_since: None,
        flight: 0,
        window_closed: false,
        timestamps: Timestamps::NONE,
        last_id: None,
        missed: false,
        ahead: None,
        syn_unanswered: false,
        fin_unanswered: false,
        fin_acked: false,
        reach: None,
        nearest: None,
        nearest_twice: false,
        advances: [None; ADVANCES],
        recent: [0; FINGERPRINTS],
        recent_ts: [Timestamp::MIN; FINGERPRINTS],
        newest: 0,
        doubled: false,
    };

    /// Begins anew, in the same memory.
    pub fn renew(&mut self) {
        let (mut fin_ends, mut sent) = (std::mem::take(&mut self.fin_ends), std::mem::take(&mut self.sent));
        fin_ends.clear();
        sent.renew();
        *self = Self::BLANK;
        (self.fin_ends, self.sent) = (fin_ends, sent);
    }

    /// Is this the same packet as one of its latest? Remembers it if not.
    pub fn copy_of_recent(&mut self, seg: &Segment) -> Option<Copy> {
        let (print, numbered) = fingerprint(seg);
        // Nearly always none is the same, which shows in one look at all of them.
        let same = |known: &u64| *known == print;
        if self.recent.iter().fold(false, |any, known| any | same(known)) {
            let ts = self.recent_ts[self.recent.iter().position(same).unwrap_or_default()];
            let apart = Span::from_nanos(seg.ts.since(ts).as_nanos().saturating_abs());
            let copy = match numbered {
                true if apart <= TAP_COPY => Some(Copy::Tap),
                true if apart <= NETWORK_COPY => Some(Copy::Network),
                false if apart <= UNNUMBERED_COPY && (self.doubled || seg.flags.has_all(Flags::SYN)) => {
                    self.doubled = true;
                    Some(Copy::Tap)
                }
                // No timer repeats a SYN so soon.
                false if apart <= SOONEST_SYN && seg.flags.has_all(Flags::SYN) => Some(Copy::Network),
                // What the sender itself repeats carries the time of the repeat.
                false if apart <= NETWORK_COPY && self.timestamps.would_have_ticked(seg.ts, apart) => {
                    Some(Copy::Network)
                }
                _ => None,
            };
            if copy.is_some() {
                return copy;
            }
        }
        self.remember(print, seg.ts);
        None
    }

    /// Remembers a packet of which it is known that it is no copy.
    #[inline]
    pub fn remember_new(&mut self, seg: &Segment) {
        self.remember(fingerprint(seg).0, seg.ts);
    }

    #[inline]
    const fn remember(&mut self, print: u64, ts: Timestamp) {
        self.newest = (self.newest + 1) % FINGERPRINTS as u8;
        let newest = self.newest as usize % FINGERPRINTS;
        (self.recent[newest], self.recent_ts[newest]) = (print, ts);
    }

    /// Before when it cannot have made `seg`, its FIN, for the first time, by its own clock. `None` if an earlier copy may have died before the
    /// tap: then nothing shows when that was made.
    pub fn made_after(&self, seg: &Segment, round_trip: Option<Span>) -> Option<Timestamp> {
        let first = self.is_next(seg) || self.no_timer_fits(seg, round_trip?);
        self.timestamps.made_after(seg).filter(|_| first)
    }

    /// Does the IPv4 identification of `seg` follow that of its last packet, and so on back to its last data, so that none in between died before
    /// the tap?
    pub fn is_next(&self, seg: &Segment) -> bool {
        let follows = |id: u16| id != 0 && self.last_id.is_some_and(|last| last.wrapping_add(1) == id);
        !self.missed && seg.ip_id.is_some_and(follows)
    }

    /// Is there no timer that could have repeated a FIN just now, had one been sent after the last packet that passed? Even a loss probe waits
    /// for two round trips (RFC 8985 7.2).
    fn no_timer_fits(&self, seg: &Segment, round_trip: Span) -> bool {
        let (Some((value, _)), Some(last)) = (seg.options.timestamps, self.timestamps.value) else { return false };
        ticks_between(last, value) < round_trip.as_nanos()
    }

    /// Was `seg` stamped longer ago than a network keeps packets?
    pub fn is_ancient(&self, seg: &Segment) -> bool {
        match (seg.options.timestamps, self.timestamps.value) {
            (Some((value, _)), Some(newest)) => ticks_between(value, newest) > NETWORK_COPY.as_nanos(),
            _ => false,
        }
    }

    /// Was `seg` under way to the tap for longer than others of its packets, as their timestamps tell?
    pub fn came_slowly(&self, seg: &Segment) -> bool {
        self.timestamps.came_slowly(seg)
    }

    /// Did a later packet of its own overtake this one on the way to the tap? Then it says nothing of what the endpoint knows now.
    #[inline]
    pub fn overtaken(&self, seg: &Segment) -> bool {
        let behind = |id: u16| self.last_id.is_some_and(|last| (1..=OVERTAKEN_IDS).contains(&last.wrapping_sub(id)));
        let older_id = seg.ip_id.is_some_and(|id| id != 0 && behind(id));
        self.timestamps.older(seg).unwrap_or(older_id)
    }

    /// SND.NXT.
    #[inline]
    pub fn snd_nxt(&self) -> Option<SeqNum> {
        self.snd_nxt.map(|(seq, _)| seq)
    }

    /// Bytes from beyond SND.NXT have passed: an attempt that came to nothing had sent them.
    pub fn has_sent_beyond(&self) -> bool {
        let next = self.snd_nxt.map(|(_, position)| position.0);
        self.sent.end() > next
    }

    /// Where `seq` lies on the line of its stream.
    #[inline]
    pub fn position(&self, seq: SeqNum) -> StreamPos {
        match self.snd_nxt {
            Some((near_seq, near)) => StreamPos::nearest(seq, near, near_seq),
            None => StreamPos::ORIGIN,
        }
    }

    /// It sent up to `end`, beginning at `seq`. Returns whether SND.NXT moved.
    #[inline]
    pub fn advance(&mut self, seq: SeqNum, end: SeqNum, ts: Timestamp) -> bool {
        self.first_seq.get_or_insert(seq);
        let (_, next) = *self.snd_nxt.get_or_insert((seq, StreamPos::ORIGIN));
        let position = self.position(end);
        if position <= next {
            return false;
        }
        self.move_on(end, position, ts);
        true
    }

    /// It sent `seg`, no SYN and no FIN, which begins at SND.NXT, and nothing beyond that before. Returns how many bytes that are.
    #[inline]
    pub fn append(&mut self, seg: &Segment) -> u64 {
        let Some((_, StreamPos(next))) = self.snd_nxt else { return 0 };
        let after = next.saturating_add(seg.payload_len.into());
        self.move_on(seg.end(), StreamPos(after), seg.ts);
        self.sent.insert(next, after)
    }

    #[inline]
    const fn move_on(&mut self, end: SeqNum, position: StreamPos, ts: Timestamp) {
        self.snd_nxt = Some((end, position));
        let [first, second, third, _] = self.advances;
        self.advances = [Some((end, ts)), first, second, third];
    }

    /// The SYN came again with another ISS: SND.NXT begins anew.
    pub fn restart(&mut self, iss: SeqNum) {
        self.earlier_iss = self.iss;
        self.iss = Some(iss);
        let position = self.position(iss);
        self.snd_nxt = Some((iss, position));
        self.first_seq = Some(iss);
    }

    /// It sent `seg`, no RST, to `peer`: its window and its clock then.
    #[inline]
    pub fn sent_a_packet(&mut self, seg: &Segment, peer: &Self) {
        (self.last_seen, self.last_sent) = (Some(seg.ts), Some(seg.ts));
        self.window = seg.window;
        self.timestamps.take(seg, &peer.timestamps);
    }

    /// Remembers the IPv4 identification of `seg`, which it sent.
    #[inline]
    pub fn count(&mut self, seg: &Segment) {
        let Some(id) = seg.ip_id.filter(|&id| id != 0) else { return };
        let follows = self.last_id.is_none_or(|last| last.wrapping_add(1) == id);
        // Nothing that was sent before new data was a FIN.
        let new = seg.seg_len() > 0 && self.advances[0] == Some((seg.end(), seg.ts));
        self.missed = (self.missed || !follows) && !new;
        self.last_id = Some(id);
    }

    /// When the packet passed that first brought the peer to `ack`: whoever acknowledges it sent that later.
    #[inline]
    pub fn sent_up_to(&self, ack: SeqNum) -> Option<Timestamp> {
        // Nearly always all of it.
        match self.advances[0] {
            Some((end, ts)) if ack.is_at_or_after(end) => Some(ts),
            _ => self.advances.iter().flatten().find(|(end, _)| ack.is_at_or_after(*end)).map(|&(_, ts)| ts),
        }
    }

    /// Could it not have sent `seg` to `receiver`, whose window ends long before? Its timestamp can show that it did, and that the tap
    /// missed what lies between. Without both window scales it cannot be told.
    pub fn is_forged(&self, receiver: &Self, seg: &Segment) -> bool {
        let (Some(next), Some(_), Some(_)) = (self.snd_nxt(), self.iss, receiver.iss) else { return false };
        // Counted from what it sends next: an acknowledgement may claim so much unseen that a window further is half the circle away.
        let unseen = self.snd_una.filter(|una| una.is_after(next)).map_or(0, |una| una.ahead_of(next));
        let window = (u32::from(receiver.window) << receiver.window_scale).max(u32::from(u16::MAX));
        i64::from(seg.seq.offset_from(next)) > i64::from(unseen) + i64::from(window)
            && self.timestamps.older(seg) != Some(false)
    }

    /// Does `seg` end inside the window that `receiver` advertised last?
    pub fn fits_into(&self, receiver: &Self, seg: &Segment) -> bool {
        let window = u32::from(receiver.window) << receiver.window_scale;
        self.snd_una.is_some_and(|una| seg.end().ahead_of(una) <= window)
    }

    /// When it sent what ends at `ack`, if that is of the last it sent and not acknowledged yet.
    #[inline]
    pub fn last_advance(&self, ack: SeqNum) -> Option<Timestamp> {
        if self.snd_una == Some(ack) {
            return None;
        }
        self.advances.iter().flatten().find(|(end, _)| *end == ack).map(|&(_, ts)| ts)
    }

    /// The peer acknowledged `ack` at `ts`: is it one of the first two packets that cover its SYN-ACK?
    pub fn covered(&mut self, ack: SeqNum, ts: Timestamp) {
        if self.syn_ack
            && self.syn_ack_covered[1].is_none()
            && self.syn_covered_by(ack)
            && let Some(free) = self.syn_ack_covered.iter_mut().find(|ts| ts.is_none())
        {
            *free = Some(ts);
        }
    }

    /// The peer acknowledged up to `ack` with `seg`.
    #[inline]
    pub fn acked(&mut self, ack: SeqNum, seg: &Segment) {
        if self.snd_una.is_none_or(|una| ack.is_after(una)) {
            // The first one acknowledges its SYN.
            if let Some(count) = self.acked_since.as_mut().filter(|_| self.snd_una.is_some()) {
                *count = count.saturating_add(1);
            }
            self.snd_una = Some(ack);
            self.snd_una_ts = Some(seg.ts);
            self.snd_una_value = seg.options.timestamps.map(|(value, _)| value);
        }
        self.fin_acked |= self.fin_end.is_some_and(|end| ack.is_at_or_after(end));
    }

    /// Does `ack` cover its SYN? Without an ISS, the SYN went unseen and any acknowledgement covers it.
    pub fn syn_covered_by(&self, ack: SeqNum) -> bool {
        match self.iss {
            Some(iss) => ack.is_after(iss) && !ack.is_after(self.snd_nxt().unwrap_or(iss).plus(MAX_UNSEEN)),
            None => true,
        }
    }

    /// Does `ack` cover its SYN and nothing that the tap has not seen it send?
    pub fn syn_acceptably_acked(&self, ack: SeqNum) -> bool {
        let sent = self.snd_nxt().or(self.iss);
        self.syn_covered_by(ack) && sent.is_some_and(|next| next.is_at_or_after(ack))
    }

    /// It, a server, acknowledges what only a synchronized server takes: more than its SYN-ACK did.
    pub fn takes_data(&self, ack: SeqNum) -> bool {
        self.syn_ack_acked.is_some_and(|acked| ack.is_after(acked))
    }

    /// Does `ack` cover its FIN?
    pub fn fin_covered_by(&self, ack: SeqNum) -> bool {
        self.fin_end.is_some_and(|end| ack.is_at_or_after(end))
    }

    /// A FIN that ends at `end`: is it one that was sent before?
    pub fn fin_is_repeat(&mut self, end: SeqNum) -> bool {
        if self.fin_ends.contains(&end) {
            return true;
        }
        if self.fin_ends.len() < FIN_ENDS {
            self.fin_ends.push(end);
        }
        if self.fin_end.is_none() {
            self.fin_end = Some(end);
        }
        false
    }

    /// Has everything before its FIN reached the peer, as far as the tap knows?
    pub fn fin_in_order(&self) -> bool {
        let Some(end) = self.fin_end else { return false };
        let fin = self.position(end).0.saturating_sub(1);
        let base = match (self.snd_una, self.iss, self.first_seq) {
            (Some(una), _, _) => self.position(una).0,
            (None, Some(iss), _) => self.position(iss.plus(1)).0,
            (None, None, Some(first)) => self.position(first).0,
            (None, None, None) => return true,
        };
        self.sent.contiguous_from(base) >= fin
    }

    /// Was nothing waiting in its send queue when it sent `seg`, so that it had decided on that only then? True once all it sent was
    /// acknowledged and that acknowledgement has had time to arrive; and did, as far as its echo tells. Where none tells, not after repeats:
    /// the congestion window may have been a single segment.
    pub fn idle_before(&self, seg: &Segment) -> bool {
        let all_acked = match (self.snd_nxt(), self.snd_una) {
            (Some(next), Some(una)) => una.is_at_or_after(next),
            _ => false,
        };
        let arrived = match (seg.options.timestamps, self.snd_una_value) {
            (Some((_, echo)), Some(value)) => SeqNum::new(echo).is_at_or_after(SeqNum::new(value)),
            _ => !self.has_repeated(),
        };
        all_acked && arrived && (self.had_its_ack(seg.ts) || self.sent.bytes() == 0)
    }

    /// Had the last acknowledgement of new data reached it, well before `ts`?
    pub fn had_its_ack(&self, ts: Timestamp) -> bool {
        match (self.snd_una_ts, self.reach) {
            // What it repeats since shows that this acknowledgement died.
            (Some(acked), _) if self.repeated_ts > Some(acked) => false,
            (Some(acked), Some(reach)) => ts.since(acked) > reach.plus(reach).plus(LEAVES_AT_ONCE),
            _ => false,
        }
    }

    /// May `seg` be what it sends as soon as the last packet of `peer` has come?
    pub fn may_answer(&self, peer: &Self, seg: &Segment) -> bool {
        let takes = |reach: Span| reach.plus(reach).plus(LEAVES_AT_ONCE);
        match (peer.last_sent, self.reach) {
            (Some(last), Some(reach)) => seg.ts.since(last) <= takes(reach),
            (last, _) => last.is_some(),
        }
    }

    /// It sends its SYN, SYN-ACK or data again.
    pub const fn repeats(&mut self) {
        self.acked_since = Some(0);
    }

    /// Has it sent anything again? Then its congestion window may be a single segment (RFC 5681 3.1).
    pub const fn has_repeated(&self) -> bool {
        self.acked_since.is_some()
    }

    /// May its congestion window have had no room for a FIN, as far as it knew? Beyond the initial window; and after a loss, when the window is a single
    /// segment (RFC 5681 3.1), until an acknowledgement has arrived: of those that passed the last may have died, and one more ends the wait.
    pub fn may_be_held(&self) -> bool {
        self.flight >= INITIAL_WINDOW || self.has_repeated() && self.flight > 1 || self.recovers()
    }

    /// Has too little of it been acknowledged since a loss for the acknowledgements to have arrived for certain?
    pub fn recovers(&self) -> bool {
        self.acked_since.is_some_and(|acked| acked < 3)
    }

    /// Had the last acknowledgement of new data come before what passed at `ts`? Where anything has been lost, so may this have been: then the endpoint
    /// would have repeated what it does not know to be acknowledged, but for a timer that backs off.
    pub fn was_done_before(&self, ts: Timestamp) -> bool {
        let Some(acked) = self.snd_una_ts else { return false };
        let silent = || self.had_its_ack(ts) && self.repeats_within(acked).is_some_and(|wait| ts.since(acked) > wait);
        acked < ts && (!self.has_repeated() || silent())
    }

    /// How long its timer may run after an acknowledgement that passed at `acked` and died: since the data before it could first be sent it may have
    /// doubled with each copy, seen or not (RFC 6298 5.5). `None` where too much was sent since.
    fn repeats_within(&self, acked: Timestamp) -> Option<Span> {
        let newest = self.advances.iter().position(|advance| advance.is_some_and(|(_, ts)| ts <= acked))?;
        let (_, before) = self.advances.get(newest + 1)?.or(self.advances[newest])?;
        let since = acked.since(before);
        Some(since.plus(since).max(REPEATS_WITHIN))
    }

    /// The endpoint answered its part of the handshake within `span`.
    pub fn reached_within(&mut self, span: Span) {
        if span.as_nanos() >= 0 && self.reach.is_none_or(|reach| span < reach) {
            self.reach = Some(span);
        }
        self.answered_within(span);
    }

    /// The endpoint acknowledged something after `span`.
    #[inline]
    pub fn answered_within(&mut self, span: Span) {
        if span.as_nanos() < 0 {
            return;
        }
        if let Some(least) = self.nearest {
            let (short, long) = (least.min(span).as_nanos(), least.max(span).as_nanos());
            self.nearest_twice = long - short <= short / 8 || self.nearest_twice && short == least.as_nanos();
        }
        self.nearest = Some(self.nearest.map_or(span, |least| least.min(span)));
    }
}

/// An acknowledgement this far beyond what the tap saw is still taken for one of bytes that the tap lost.
const MAX_UNSEEN: u32 = 1 << 30;

/// What makes two packets the same one, and whether an IPv4 identification is part of it.
fn fingerprint(seg: &Segment) -> (u64, bool) {
    let id = seg.ip_id.filter(|&id| id != 0);
    let timestamps = seg.options.timestamps.unwrap_or_default();
    // Checksums differ between an offloading sender's tap and the wire, so they count only where nothing better does.
    let last = id.map_or(u32::from(seg.checksum) | 1 << 31, u32::from);
    let words = [
        u64::from(seg.seq.raw()) << 32 | u64::from(seg.ack.raw()),
        u64::from(timestamps.0) << 32 | u64::from(timestamps.1),
        u64::from(seg.payload_len) << 32 | u64::from(last),
        u64::from(seg.flags.or(Flags::PSH).bits()),
    ];
    let mix = |hash: u64, word: u64| (hash ^ word).wrapping_mul(0xff51_afd7_ed55_8ccd).rotate_left(31);
    (words.into_iter().fold(0x9e37_79b9_7f4a_7c15, mix).max(1), id.is_some())
}
