//! One side's stream. In: its segments and the peer's acknowledgements. Out: its bytes in order, and its gaps.
//!
//! RFC 9293 3.4 (sequence numbers), 3.10.7.4 (what a receiver takes of a segment). A place in the stream is a 64-bit number, so a
//! stream may be longer than the circle of sequence numbers.

use super::kept::{Kept, Stretch};
use super::past::Past;
use super::{Missing, Piece, Told};
use crate::tcp::ranges::Ranges;
use crate::tcp::segment::{Flags, Segment};
use crate::tcp::seq::{SeqNum, StreamPos};
use crate::time::{Span, Timestamp};

/// A segment may lie so far beyond what the peer is known to take: the acknowledgement that opened its window may be missing.
const SLACK: u64 = 1 << 20;

/// How long bytes that the peer has acknowledged are waited for: taps record packets out of order by milliseconds.
const PATIENCE: Span = Span::from_secs(1);
/// The same in segments of the connection.
const PATIENCE_SEGMENTS: u32 = 256;

/// A stream whose beginning was not seen waits for something from before its first byte: no more than so many segments,
const HELD_SEGMENTS: u32 = 16;
/// and no more than so many bytes of memory.
const HELD_BYTES: usize = 64 << 10;

/// Takes what comes out.
pub(super) type Take<'a> = &'a mut dyn FnMut(Piece<'_>);

/// Where a stream begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Begin {
    /// Nothing of it was seen.
    Unknown,
    /// Its SYN was not seen, nothing has come out. `hint`: its sender had sent everything before that place.
    Held { hint: Option<u64>, since: Timestamp, segments: u32 },
    /// Here.
    At(u64),
}

/// A segment from beyond the window; it counts if another shows that the stream goes on there.
#[derive(Clone, Debug)]
struct Stray {
    at: u64,
    bytes: Vec<u8>,
    cut: u64,
    fin: bool,
}

impl Stray {
    fn end(&self) -> u64 {
        self.at.saturating_add(self.bytes.len() as u64).saturating_add(self.cut)
    }

    /// Something of the same stretch of the stream.
    fn is_near(&self, place: u64) -> bool {
        place > self.at && place <= self.end().saturating_add(SLACK)
    }
}

/// One side's stream. See the module's word on places.
#[derive(Clone, Debug)]
pub struct Stream {
    /// The sequence number at [`StreamPos::ORIGIN`].
    origin: Option<SeqNum>,
    begin: Begin,
    /// The place of the byte that comes out next, once the beginning is known.
    next: u64,
    /// The end of what its sender was seen to send.
    top: u64,
    /// How far the peer has acknowledged it, first and at most; and how far it would take more.
    first_ack: Option<u64>,
    acked: Option<u64>,
    edge: u64,
    /// Where it ends.
    fin: Option<u64>,
    kept: Kept,
    past: Past,
    /// What was captured of it.
    seen: Ranges,
    stray: Option<Stray>,
    stray_ack: Option<u64>,
    /// When something behind a hole was first seen.
    hole_since: Option<Timestamp>,
    /// Since when, and for how many segments, acknowledged bytes have been waited for.
    waiting: Option<(Timestamp, u32)>,
    /// They will not be waited for any longer.
    patient: bool,
    told: Told,
}

impl Default for Stream {
    fn default() -> Self {
        Self {
            origin: None,
            begin: Begin::Unknown,
            next: StreamPos::ORIGIN.0,
            top: StreamPos::ORIGIN.0,
            first_ack: None,
            acked: None,
            edge: 0,
            fin: None,
            kept: Kept::default(),
            past: Past::default(),
            seen: Ranges::NONE,
            stray: None,
            stray_ack: None,
            hole_since: None,
            waiting: None,
            patient: true,
            told: Told::default(),
        }
    }
}

impl Stream {
    /// What is told of it up to now.
    pub fn told(&self) -> &Told {
        &self.told
    }

    /// What it holds in memory, in bytes.
    pub(super) fn cost(&self) -> usize {
        self.kept.cost() + self.past.cost() + self.stray.as_ref().map_or(0, |stray| stray.bytes.capacity())
    }

    /// What it holds of bytes that have not come out.
    pub(super) fn waiting_cost(&self) -> usize {
        self.kept.cost()
    }

    /// The place of `seq`: the nearest to the end of what is known.
    fn place(&self, seq: SeqNum) -> u64 {
        let near = self.acked.map_or(self.top, |acked| acked.max(self.top));
        let origin = self.origin.unwrap_or(seq);
        let along = near.wrapping_sub(StreamPos::ORIGIN.0) as u32;
        StreamPos::nearest(seq, StreamPos(near), origin.plus(along)).0
    }

    /// Nothing of this stream can lie beyond, unless the tap has missed much.
    fn limit(&self) -> u64 {
        self.top.max(self.edge).max(self.acked.unwrap_or(0)).saturating_add(SLACK)
    }

    /// The peer has everything up to `ack`, and takes `window` bytes more.
    pub(super) fn acknowledged(&mut self, ack: SeqNum, window: u64, ts: Timestamp, take: Take<'_>) {
        if self.origin.is_none() {
            self.origin = Some(ack);
            self.begin = Begin::Held { hint: None, since: ts, segments: 0 };
        }
        let place = self.place(ack);
        if matches!(self.begin, Begin::At(begin) if place < begin) {
            return;
        }
        if place > self.limit() {
            let shown = self.stray.take_if(|stray| stray.is_near(place));
            let again = self.stray_ack.is_some_and(|known| place > known && place - known <= SLACK);
            self.stray_ack = Some(place);
            match shown {
                Some(stray) => self.accept(stray.at, &stray.bytes, stray.cut, stray.fin, false, take),
                None if again => {}
                None => return,
            }
        }
        self.first_ack.get_or_insert(place);
        self.acked = Some(self.acked.map_or(place, |acked| acked.max(place)));
        self.edge = self.edge.max(place.saturating_add(window));
    }

    /// Its sender has sent this; not an RST. `free`: what is in order may come out.
    pub(super) fn sent(&mut self, seg: &Segment, payload: &[u8], free: bool, take: Take<'_>) {
        if seg.flags.has_all(Flags::SYN) {
            self.syn(seg.payload_seq());
        }
        if self.origin.is_none() {
            self.origin = Some(seg.payload_seq());
            self.begin = Begin::Held { hint: None, since: seg.ts, segments: 0 };
        }
        let at = self.place(seg.payload_seq());
        let fin = seg.flags.has_all(Flags::FIN);
        if seg.payload_len == 0 && !fin {
            self.hint(at);
            return;
        }
        if seg.payload_len <= 1 && !fin && self.is_keep_alive(at) {
            return;
        }
        // In case the container lies about its lengths.
        let payload = payload.get(..payload.len().min(seg.payload_len as usize)).unwrap_or_default();
        let cut = u64::from(seg.payload_len).saturating_sub(payload.len() as u64);
        if let Begin::Held { segments, .. } = &mut self.begin {
            *segments = segments.saturating_add(1);
        }
        if self.is_far(at) {
            self.beyond(Stray { at, bytes: payload.to_vec(), cut, fin }, take);
            return;
        }
        self.accept(at, payload, cut, fin, free && !seg.flags.has_all(Flags::SYN), take);
    }

    /// Whether a segment that begins at `at` belongs elsewhere.
    fn is_far(&self, at: u64) -> bool {
        let nothing_known =
            matches!(self.begin, Begin::Held { .. }) && self.acked.is_none() && self.kept.first().is_none();
        let before = match self.begin {
            Begin::Held { .. } => self.kept.first().is_some_and(|first| at.saturating_add(SLACK) < first),
            Begin::Unknown | Begin::At(_) => false,
        };
        !nothing_known && (at > self.limit() || before)
    }

    /// Keeps a segment from beyond the window until another shows that the stream goes on there.
    fn beyond(&mut self, new: Stray, take: Take<'_>) {
        let acked = self.stray_ack.is_some_and(|ack| ack >= new.at && ack <= new.end().saturating_add(SLACK));
        match self.stray.take() {
            Some(known) if known.is_near(new.at) => {
                self.accept(known.at, &known.bytes, known.cut, known.fin, false, take);
                self.accept(new.at, &new.bytes, new.cut, new.fin, false, take);
            }
            Some(known) if known.at == new.at && !acked => self.stray = Some(known),
            known => {
                self.told.given_up += known.map_or(0, |known| known.bytes.len() as u64);
                if acked {
                    self.accept(new.at, &new.bytes, new.cut, new.fin, false, take);
                } else {
                    self.stray = Some(new);
                }
            }
        }
    }

    /// The stream begins at `seq`, behind a SYN.
    fn syn(&mut self, seq: SeqNum) {
        let place = if self.origin.is_some() { self.place(seq) } else { StreamPos::ORIGIN.0 };
        match self.begin {
            Begin::Unknown => {
                self.origin = Some(seq);
                self.begin_at(place);
            }
            // It is recorded behind what follows it.
            Begin::Held { .. } => {
                let first = self.kept.first().into_iter().chain(self.first_ack).min();
                if first.is_none_or(|first| place <= first && first - place <= SLACK) {
                    self.begin_at(place);
                }
            }
            Begin::At(begin) => {
                // Another attempt with another number: what was answered counts.
                if place != begin && self.told.bytes == 0 && self.acked.is_none() {
                    let given_up = self.told.given_up + self.seen.bytes();
                    *self = Self { origin: Some(seq), told: Told { given_up, ..self.told }, ..Self::default() };
                    self.begin_at(StreamPos::ORIGIN.0);
                }
            }
        }
    }

    fn begin_at(&mut self, place: u64) {
        self.begin = Begin::At(place);
        self.next = place;
        self.top = self.top.max(place);
    }

    /// A segment without data shows how far its sender had come, unless it is a keep-alive.
    fn hint(&mut self, at: u64) {
        let sound = self.acked.is_some_and(|acked| at >= acked) && at <= self.limit();
        if let Begin::Held { hint, .. } = &mut self.begin
            && hint.is_none()
            && sound
        {
            *hint = Some(at);
            self.top = self.top.max(at);
        }
    }

    /// A byte from just before what the peer has: RFC 9293 3.8.4. What it holds is no part of the stream.
    fn is_keep_alive(&self, at: u64) -> bool {
        let known = match self.begin {
            Begin::At(_) => self.seen.covers(at, at.saturating_add(1)) || at < self.next && self.seen.bytes() == 0,
            Begin::Held { .. } | Begin::Unknown => true,
        };
        known && self.acked == at.checked_add(1)
    }

    /// Takes a segment in. `free`: it may come out at once.
    fn accept(&mut self, at: u64, bytes: &[u8], cut: u64, fin: bool, free: bool, take: Take<'_>) {
        let captured = at.saturating_add(bytes.len() as u64);
        let end = captured.saturating_add(cut);
        self.top = self.top.max(end);
        let (mut from, mut new) = (at, bytes);
        if matches!(self.begin, Begin::At(_)) {
            if fin && end >= self.next {
                self.fin = Some(self.fin.map_or(end, |known| known.min(end)));
            }
            if at < self.next {
                let (old, rest) = bytes.split_at(bytes.len().min(clamp(self.next - at)));
                let late = self.seen.insert(at, at.saturating_add(old.len() as u64));
                self.told.given_up += late;
                self.told.differing += self.past.differing(at, old);
                (from, new) = (self.next, rest);
            }
        } else if fin {
            self.fin = Some(self.fin.map_or(end, |known| known.min(end)));
        }
        self.seen.insert(from, from.saturating_add(new.len() as u64));
        let at_once = free && cut == 0 && self.kept.first().is_none() && self.begin != Begin::Unknown;
        if at_once && matches!(self.begin, Begin::At(_)) && from == self.next {
            self.emit(new, take);
        } else if end > from {
            let cut = end - captured.max(from);
            self.told.differing += self.kept.insert(from, new, cut);
        }
    }

    /// Lets `bytes` out, as far as the stream goes.
    fn emit(&mut self, bytes: &[u8], take: Take<'_>) {
        let room = self.fin.map_or(u64::MAX, |fin| fin.saturating_sub(self.next));
        let (inside, after) = bytes.split_at(bytes.len().min(clamp(room)));
        self.told.given_up += after.len() as u64;
        if inside.is_empty() {
            return;
        }
        take(Piece::Bytes(inside));
        self.past.push(self.next, inside);
        self.told.bytes += inside.len() as u64;
        self.next = self.next.saturating_add(inside.len() as u64);
    }

    /// Lets a gap out, as far as the stream goes.
    fn gap(&mut self, len: u64, why: Missing, take: Take<'_>) {
        let len = self.fin.map_or(len, |fin| len.min(fin.saturating_sub(self.next)));
        if len == 0 {
            return;
        }
        take(Piece::Gap(len, why));
        self.told.gaps += 1;
        self.told.missing = self.told.missing.saturating_add(len);
        self.next = self.next.saturating_add(len);
    }

    /// Lets out what is in order. After the end of the stream nothing is.
    pub(super) fn drain(&mut self, ts: Timestamp, take: Take<'_>) {
        if !matches!(self.begin, Begin::At(_)) {
            return;
        }
        while self.kept.first().is_some_and(|first| first <= self.next) {
            match self.kept.pop() {
                Some((_, Stretch::Bytes(bytes))) => self.emit(&bytes, take),
                Some((_, Stretch::Cut(len))) => self.gap(len, Missing::Cut, take),
                None => break,
            }
        }
        if self.fin.is_some_and(|fin| fin <= self.next) {
            while let Some((_, stretch)) = self.kept.pop() {
                if let Stretch::Bytes(bytes) = stretch {
                    self.told.given_up += bytes.len() as u64;
                }
            }
        }
        self.hole_since = match self.kept.first() {
            Some(_) => self.hole_since.or(Some(ts)),
            None => None,
        };
    }

    /// Settles what can be settled at `ts`, after another segment of the connection: where the stream begins, and whether what is
    /// missing was waited for long enough.
    pub(super) fn look(&mut self, ts: Timestamp, take: Take<'_>) {
        self.settle(ts, false);
        let owed = matches!(self.begin, Begin::At(_)) && self.acked_data() > self.next && !self.is_at_hand();
        if !owed {
            (self.waiting, self.patient) = (None, true);
            return;
        }
        let (since, segments) = self.waiting.unwrap_or((self.hole_since.unwrap_or(ts), 0));
        self.waiting = Some((since, segments.saturating_add(1)));
        self.patient = segments < PATIENCE_SEGMENTS && ts.since(since) < PATIENCE;
        if !self.patient {
            self.lose(take);
        }
    }

    /// What comes next is here and merely held back.
    fn is_at_hand(&self) -> bool {
        self.kept.first().is_some_and(|first| first <= self.next)
    }

    /// How far the peer has acknowledged data: a FIN is none.
    fn acked_data(&self) -> u64 {
        let acked = self.acked.unwrap_or(0);
        self.fin.map_or(acked, |fin| acked.min(fin))
    }

    /// Gives up what was acknowledged and not seen. A single byte at the end may be a FIN.
    fn lose(&mut self, take: Take<'_>) {
        let acked = self.acked_data();
        let end = self.kept.first().map_or(acked, |first| first.min(acked));
        let len = end.saturating_sub(self.next);
        if len > 1 || self.kept.first().is_some() || self.fin.is_some() {
            self.gap(len, Missing::NotCaptured, take);
            self.waiting = None;
        }
    }

    /// Whether something may come yet that belongs before what the peer sends now.
    pub(super) fn waits(&self) -> bool {
        self.waiting.is_some() && self.patient
    }

    /// Decides where a stream begins whose SYN was not seen.
    fn settle(&mut self, ts: Timestamp, now: bool) {
        let Begin::Held { hint, since, segments } = self.begin else { return };
        let Some(first) = self.kept.first() else {
            if now && let Some(begin) = hint.or(self.first_ack) {
                self.begin_at(begin);
            }
            return;
        };
        let certain = self.acked.is_some_and(|acked| acked >= first) || hint == Some(first);
        let long = segments >= HELD_SEGMENTS || self.kept.cost() >= HELD_BYTES || ts.since(since) >= PATIENCE;
        if now || certain || long {
            self.begin_at(hint.map_or(first, |hint| hint.min(first)));
        }
    }

    /// Waits no longer for what is missing before the lowest bytes that are held.
    pub(super) fn relent(&mut self, ts: Timestamp, take: Take<'_>) {
        self.settle(ts, true);
        self.drain(ts, take);
        if let Some(first) = self.kept.first() {
            let why = if self.acked_data() >= first { Missing::NotCaptured } else { Missing::NotAwaited };
            self.gap(first.saturating_sub(self.next), why, take);
            self.drain(ts, take);
        }
    }

    /// Forgets what came out: later copies are not compared with it.
    pub(super) fn forget(&mut self) {
        self.past.forget();
    }

    /// Lets out all that is left, with what is missing in it and at its end.
    pub(super) fn finish(&mut self, ts: Timestamp, take: Take<'_>) {
        self.told.given_up += self.stray.take().map_or(0, |stray| stray.bytes.len() as u64);
        self.settle(ts, true);
        if !matches!(self.begin, Begin::At(_)) {
            return;
        }
        self.drain(ts, take);
        while let Some(first) = self.kept.first() {
            let why = if self.acked_data() >= first { Missing::NotCaptured } else { Missing::NotSeen };
            self.gap(first.saturating_sub(self.next), why, take);
            self.drain(ts, take);
        }
        match self.fin {
            Some(fin) if fin > self.next => {
                let why = if self.acked_data() >= fin { Missing::NotCaptured } else { Missing::NotSeen };
                self.gap(fin - self.next, why, take);
            }
            Some(_) => {}
            None => self.lose(take),
        }
    }
}

fn clamp(len: u64) -> usize {
    usize::try_from(len).unwrap_or(usize::MAX)
}
