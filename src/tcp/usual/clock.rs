//! The TCP timestamps of one end of a usual connection: [`Timestamps`](crate::tcp::timestamps::Timestamps) where every segment has them. In:
//! their values, and when they passed. Out: what was made before what, and when.

use crate::tcp::seq::SeqNum;
use crate::tcp::timestamps::{DRIFT, TICK, ticks_between};

const MILLISECOND: i64 = TICK.as_nanos();

/// What one end's timestamps told so far; instants are nanoseconds since the connection's first segment.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    begun: bool,
    /// The first value, and when it passed.
    first: (u32, i64),
    /// The newest.
    value: u32,
    /// The newest echo of what the peer sent.
    echo: Option<u32>,
    /// A value, and when what its sender had got by then had passed.
    anchor: Option<(u32, i64)>,
    /// The value that came quickest after it was made, and when it passed.
    fastest: (u32, i64),
}

impl Clock {
    /// Nothing yet.
    pub const BLANK: Self = Self { begun: false, first: (0, 0), value: 0, echo: None, anchor: None, fastest: (0, 0) };

    /// The first segment's value.
    pub const fn begin(&mut self, value: u32, at: i64) {
        (self.begun, self.first, self.value, self.fastest) = (true, (value, at), value, (value, at));
    }

    /// Was there a first?
    pub const fn has_begun(&self) -> bool {
        self.begun
    }

    /// Takes those of the next segment, which is not older than the last.
    #[inline]
    pub fn take(&mut self, value: u32, echo: u32, at: i64, peer: &Self) {
        if at - self.fastest.1 < ticks_between(self.fastest.0, value) {
            self.fastest = (value, at);
        }
        self.value = value;
        self.take_echo(echo, peer);
    }

    /// Takes an echo, unless nobody sent it.
    #[inline]
    pub fn take_echo(&mut self, echo: u32, peer: &Self) {
        let (new, sent) = (SeqNum::new(echo), SeqNum::new(peer.value).is_at_or_after(SeqNum::new(echo)));
        if sent && self.echo.is_none_or(|old| new.is_after(SeqNum::new(old))) {
            self.echo = Some(echo);
        }
    }

    /// Was this value made before one that has passed, or half the circle after it?
    #[inline]
    pub const fn is_older(&self, value: u32) -> bool {
        !SeqNum::new(value).is_at_or_after(SeqNum::new(self.value))
    }

    /// Would this end drop a segment with this value, for it has echoed a newer one (RFC 7323 5.3)?
    #[inline]
    pub fn rejects(&self, value: u32) -> bool {
        self.echo.is_some_and(|recent| SeqNum::new(recent).is_after(SeqNum::new(value)))
    }

    /// Were less than `span` nanoseconds between the newest value and this one?
    pub const fn is_within(&self, value: u32, span: i64) -> bool {
        ticks_between(self.value, value) < span
    }

    /// What had passed at `received` had arrived when this value was made.
    #[inline]
    pub fn anchor(&mut self, value: u32, received: i64) {
        if self.anchor.is_none_or(|(old, since)| received - since > ticks_between(old, value)) {
            self.anchor = Some((value, received));
        }
    }

    /// How long before it passed at `at` was this value made, compared with the quickest: more than two ticks longer?
    pub const fn came_slowly(&self, value: u32, at: i64) -> bool {
        at - self.fastest.1 > ticks_between(self.fastest.0, value) + 2 * MILLISECOND
    }

    /// The segment with this value, which passed at `at`, was made after this instant; if the clock ticks in milliseconds.
    pub fn made_after(&self, value: u32, at: i64) -> Option<i64> {
        let (from, since) = self.anchor?;
        let (ticked, elapsed) = (ticks_between(self.first.0, value), at - self.first.1);
        let two = 2 * MILLISECOND;
        let in_milliseconds = ticked >= elapsed / 2 - two && ticked <= 2 * elapsed + two;
        let span = ticks_between(from, value) - MILLISECOND;
        (in_milliseconds && span > 0).then(|| since + (span - span / DRIFT))
    }

    /// The first segment was made after this instant.
    pub fn first_made_after(&self) -> Option<i64> {
        let (from, since) = self.anchor?;
        let span = ticks_between(from, self.first.0) - MILLISECOND;
        (span < 0).then(|| since + (span + span / DRIFT))
    }
}
