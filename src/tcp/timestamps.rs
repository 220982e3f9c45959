//! What TCP timestamps tell (RFC 7323): which segment was made before which, what had arrived, and when a segment was made by its sender's own
//! clock. In: segments. Out: those facts, or nothing where the clock was not seen to tick in milliseconds.

use super::segment::{Flags, Segment};
use super::seq::SeqNum;
use crate::time::{Span, Timestamp};

/// The clock of timestamps in nearly every stack: a millisecond a tick.
pub(super) const TICK: Span = Span::from_millis(1);
/// How much faster than the tap's an endpoint's clock may run: a part in so many.
pub(super) const DRIFT: i64 = 2_000;

/// Nanoseconds from the TSval `from` to `to`, if they count milliseconds.
pub const fn ticks_between(from: u32, to: u32) -> i64 {
    SeqNum::new(to).offset_from(SeqNum::new(from)) as i64 * TICK.as_nanos()
}

/// The timestamps of one endpoint (RFC 7323 3).
#[derive(Clone, Copy, Debug, Default)]
pub struct Timestamps {
    /// The first TSval, and when it passed: how fast its clock runs.
    first: Option<(u32, Timestamp)>,
    /// The newest TSval.
    pub value: Option<u32>,
    /// The newest TSecr, of segments that acknowledge.
    pub echo: Option<u32>,
    /// It sends them with more than its SYN.
    agreed: bool,
    /// A TSval, and an instant before which it cannot have been stamped; the pair that bounds later ones best.
    anchor: Option<(u32, Timestamp)>,
    /// The TSval of the packet that came to the tap fastest, and when it passed.
    fastest: Option<(u32, Timestamp)>,
}

impl Timestamps {
    /// None seen.
    pub const NONE: Self = Self { first: None, value: None, echo: None, agreed: false, anchor: None, fastest: None };

    /// It sent `seg`; `peer` has sent so far what can be echoed.
    #[inline]
    pub fn take(&mut self, seg: &Segment, peer: &Self) {
        let Some((value, echo)) = seg.options.timestamps else { return };
        self.first.get_or_insert((value, seg.ts));
        if self.fastest.is_none_or(|(old, at)| seg.ts.since(at).as_nanos() < ticks_between(old, value)) {
            self.fastest = Some((value, seg.ts));
        }
        self.agreed |= !seg.flags.has_all(Flags::SYN);
        let newer = |new: u32, old: Option<u32>| old.is_none_or(|old| SeqNum::new(new).is_after(SeqNum::new(old)));
        if newer(value, self.value) {
            self.value = Some(value);
        }
        // What nobody sent is no echo.
        let sent = peer.value.is_some_and(|sent| SeqNum::new(sent).is_at_or_after(SeqNum::new(echo)));
        if seg.flags.has_all(Flags::ACK) && sent && newer(echo, self.echo) {
            self.echo = Some(echo);
        }
    }

    /// The first TSval.
    pub fn first_value(&self) -> Option<u32> {
        self.first.map(|(value, _)| value)
    }

    /// Was `seg` made before the newest that the endpoint sent? One without a timestamp, where they were agreed on, has some other
    /// origin (RFC 7323 3.2). `None`: no timestamps tell.
    #[inline]
    pub fn older(&self, seg: &Segment) -> Option<bool> {
        match (seg.options.timestamps, self.value) {
            (Some((value, _)), Some(newest)) => Some(SeqNum::new(newest).is_after(SeqNum::new(value))),
            (None, Some(_)) if self.agreed => Some(true),
            _ => None,
        }
    }

    /// Was `seg` under way to the tap for longer than others, by more than a tick?
    pub fn came_slowly(&self, seg: &Segment) -> bool {
        match (seg.options.timestamps, self.fastest) {
            (Some((value, _)), Some((old, at))) => {
                seg.ts.since(at).as_nanos() > ticks_between(old, value).saturating_add(TICK.as_nanos() * 2)
            }
            _ => false,
        }
    }

    /// It sent `seg` after `received` had passed the tap on its way to it.
    #[inline]
    pub fn anchor(&mut self, seg: &Segment, received: Timestamp) {
        let Some((value, _)) = seg.options.timestamps else { return };
        if self.anchor.is_none_or(|(old, since)| received.since(since).as_nanos() > ticks_between(old, value)) {
            self.anchor = Some((value, received));
        }
    }

    /// The endpoint cannot have made `seg` before, by its own clock, if that was seen to tick in milliseconds.
    pub fn made_after(&self, seg: &Segment) -> Option<Timestamp> {
        let ((value, _), (from, since)) = (seg.options.timestamps?, self.anchor?);
        let (first, seen) = self.first?;
        let (ticked, elapsed) = (ticks_between(first, value), seg.ts.since(seen).as_nanos());
        let two = TICK.as_nanos() * 2;
        let in_milliseconds = ticked >= elapsed / 2 - two && ticked <= elapsed.saturating_mul(2).saturating_add(two);
        let span = ticks_between(from, value) - TICK.as_nanos();
        (in_milliseconds && span > 0).then(|| since.plus(Span::from_nanos(span - span / DRIFT)))
    }

    /// The endpoint cannot have stamped `value`, of an earlier segment than the anchor's, before, if its clock counts milliseconds.
    pub fn stamped_after(&self, value: u32) -> Option<Timestamp> {
        let (from, since) = self.anchor?;
        let span = ticks_between(from, value) - TICK.as_nanos();
        (span < 0).then(|| since.plus(Span::from_nanos(span + span / DRIFT)))
    }

    /// Would a packet that the endpoint makes `apart` after another with the same TSval carry a newer one? Only known once its
    /// clock was seen to run: by at least a tick in half of `apart`.
    pub fn would_have_ticked(&self, at: Timestamp, apart: Span) -> bool {
        let (Some((first, since)), Some(value)) = (self.first, self.value) else { return false };
        let ticks = i128::from(SeqNum::new(value).offset_from(SeqNum::new(first)));
        let elapsed = i128::from(at.since(since).as_nanos());
        elapsed > 0 && ticks * i128::from(apart.as_nanos()) >= 2 * elapsed
    }

    /// Would the endpoint throw `seg` away as too old (PAWS, RFC 7323 5.3)? It has shown a newer TS.Recent by echoing it.
    #[inline]
    pub fn reject(&self, seg: &Segment) -> bool {
        match (seg.options.timestamps, self.echo) {
            (Some((value, _)), Some(recent)) => {
                !seg.flags.has_any(Flags::RST.or(Flags::SYN)) && SeqNum::new(recent).is_after(SeqNum::new(value))
            }
            _ => false,
        }
    }
}
