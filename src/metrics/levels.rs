//! How many are in each of a few places, over time. In: stays, in any order. Out: the peaks, the levels bucket by bucket.
//!
//! Every coming and going is kept until there are too many. Then the oldest are **settled**: put together in stretches of time, of
//! which stays known how the level changed, how high it was and when. What comes later and belongs into a stretch that is settled
//! moves the level as it should; of the heights it moves only that instant's. So levels at a bucket's end stay exact, and a
//! peak was really reached, though there may have been a higher one.

use super::buckets::{Buckets, round_up};
use super::keys;
use crate::time::{Span, Timestamp};

/// Stays in `N` places that are numbered from 0, five at most. A stay counts from its beginning up to, not including, its end: who
/// leaves at the instant another comes makes room for it.
#[derive(Clone, Debug)]
pub struct Levels<const N: usize> {
    /// Instant and [`code`] in one number, so that they sort fast; the instant is counted from `base`, which the first change sets.
    near: Vec<u64>,
    base: i64,
    changes: u64,
    /// Places whose peaks nobody asks for, as bits: once anything is settled their changes go where they belong at once.
    sums: u8,
    /// Those of them whose changes do so: all or, as long as nothing is settled, none.
    settled: u8,
    rest: Option<Box<Rest<N>>>,
}

/// What few need.
#[derive(Clone, Debug)]
struct Rest<const N: usize> {
    /// Changes 18 years and more from the first.
    far: Vec<(i64, u8)>,
    /// In order.
    settled: Vec<Stretch<N>>,
    /// Everything up to here is.
    until: i64,
    step: i64,
    /// The stretch that was used last, with what lies in it: after `.0`, up to `.1`.
    last: usize,
    inside: (i64, i64),
}

/// What happened in a time, by place.
#[derive(Clone, Copy, Debug)]
struct Stretch<const N: usize> {
    /// Its last instant.
    end: i64,
    of: [Happened; N],
}

/// In one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Happened {
    /// How many more or fewer are there at the end than at the beginning.
    by: i32,
    /// How many more than at the beginning there were at most, and when that was first so.
    top: i32,
    top_at: i64,
    /// How many more or fewer than at the beginning there were at least when it was asked; `i32::MAX` where it was not.
    low: i32,
    came: u32,
}

const NOTHING: Happened = Happened { by: 0, top: 0, top_at: i64::MIN, low: i32::MAX, came: 0 };

/// No instant lies in it.
const NOWHERE: (i64, i64) = (i64::MAX, i64::MIN);

const LEAVE: u8 = 0;
const COME: u8 = 1;
const ASK: u8 = 2;
const CODE_BITS: u32 = 4;
const MOST_PLACES: u8 = 5;
/// What `near` can tell apart from its base.
const REACH: i64 = 1 << 59;
const FAR: i64 = 2 * REACH;

/// At one instant the leaving comes first, then the coming, then the asking.
const fn code(kind: u8, place: u8) -> u8 {
    kind * MOST_PLACES + place
}

const fn kind_and_place(code: u8) -> (u8, u8) {
    (code / MOST_PLACES, code % MOST_PLACES)
}

/// Instant and code of a number in `near`.
const fn apart(base: i64, key: u64) -> (i64, u8) {
    (base.saturating_add((key >> CODE_BITS) as i64), (key & ((1 << CODE_BITS) - 1)) as u8)
}

/// How many are in a place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Level {
    /// At the bucket's end.
    pub at_end: u64,
    /// Most at once inside the bucket; those count that were there when it began.
    pub peak: u64,
    /// How many came inside the bucket.
    pub came: u64,
}

impl<const N: usize> Default for Levels<N> {
    fn default() -> Self {
        Self { near: Vec::new(), base: 0, changes: 0, sums: 0, settled: 0, rest: None }
    }
}

impl<const N: usize> Levels<N> {
    /// With room that others have left.
    pub fn reusing(near: Vec<u64>) -> Self {
        Self { near, ..Self::default() }
    }

    /// A stay in `place` from `from` until `until`; `None` for one that lasts until the capture ends. One that ends before it
    /// begins, by a clock that went back, is empty.
    #[inline(always)]
    pub fn add(&mut self, place: u8, from: Timestamp, until: Option<Timestamp>) {
        let near = |at: Timestamp, kind| self.near(at, code(kind, place));
        match until.and_then(|until| Some((near(from, COME)?, near(until, LEAVE)?))) {
            Some((came, left)) if left > came && self.is_usual(place) => {
                self.changes += 2;
                self.near.reserve(2);
                self.near.push(came);
                self.near.push(left);
            }
            _ => self.add_unusual(place, from, until),
        }
    }

    fn add_unusual(&mut self, place: u8, from: Timestamp, until: Option<Timestamp>) {
        if until.is_none_or(|until| until > from) {
            self.push(from, COME, place);
            if let Some(until) = until {
                self.push(until, LEAVE, place);
            }
        }
    }

    /// Asks how many are in `place` at an instant.
    pub fn ask(&mut self, place: u8, at: Timestamp) {
        self.push(at, ASK, place);
    }

    /// Whether a change of `place` waits in `near` if it is near: not the first of all, which says what is.
    #[inline]
    const fn is_usual(&self, place: u8) -> bool {
        self.changes > 0 && self.settled >> place & 1 == 0
    }

    /// The number that stands for a change in `near`.
    #[inline]
    fn near(&self, at: Timestamp, code: u8) -> Option<u64> {
        match at.as_nanos().checked_sub(self.base) {
            Some(since @ 0..FAR) => Some(since.unsigned_abs() << CODE_BITS | u64::from(code)),
            _ => None,
        }
    }

    fn push(&mut self, at: Timestamp, kind: u8, place: u8) {
        if self.changes == 0 {
            self.base = at.as_nanos().saturating_sub(REACH);
        }
        self.changes += 1;
        let code = code(kind, place);
        let at_once = self.settled >> place & 1 == 1 && kind != ASK;
        match (self.near(at, code), self.rest.as_mut()) {
            (_, Some(rest)) if at_once => rest.happened(at.as_nanos(), place).add(kind),
            (Some(key), _) => self.near.push(key),
            _ => self.rest().far.push((at.as_nanos(), code)),
        }
    }

    /// Remembers which places' changes need not wait.
    fn note_settled(&mut self) {
        let any = self.rest.as_ref().is_some_and(|rest| !rest.settled.is_empty());
        self.settled = if any { self.sums } else { 0 };
    }

    fn rest(&mut self) -> &mut Rest<N> {
        let fresh = || {
            Box::new(Rest { far: Vec::new(), settled: Vec::new(), until: i64::MIN, step: 1, last: 0, inside: NOWHERE })
        };
        self.rest.get_or_insert_with(fresh)
    }

    /// Only how many are in `place` at the end of each bucket matters from now on, or matters no longer only.
    pub fn only_sums(&mut self, place: u8, only: bool) {
        let sums = if only { self.sums | 1 << place } else { self.sums & !(1 << place) };
        if sums != self.sums {
            self.sums = sums;
            self.note_settled();
        }
    }

    /// How many comings, goings and questions there were.
    pub const fn changes(&self) -> u64 {
        self.changes
    }

    /// How many of them are kept one by one.
    pub fn kept(&self) -> usize {
        self.near.len() + self.rest.as_ref().map_or(0, |rest| rest.far.len())
    }

    /// How many stretches there are.
    pub fn stretches(&self) -> usize {
        self.rest.as_ref().map_or(0, |rest| rest.settled.len())
    }

    /// Whether every coming and going is still known.
    pub fn is_exact(&self) -> bool {
        self.stretches() == 0
    }

    /// When someone came into `place`, in no order; all of them as long as nothing is settled.
    fn comings(&self, place: u8) -> impl Iterator<Item = Timestamp> + '_ {
        let wanted = code(COME, place);
        let far = self.rest.iter().flat_map(|rest| rest.far.iter().copied());
        let all = self.near.iter().map(|&key| apart(self.base, key)).chain(far);
        all.filter(move |change| change.1 == wanted).map(|change| Timestamp::from_nanos(change.0))
    }

    /// Lets everyone who came into `place`, and had no end, leave it after `span`; before anything is settled.
    pub fn leave_after(&mut self, place: u8, span: Span) {
        let leavings: Vec<_> = self.comings(place).map(|came| came.plus(span)).collect();
        leavings.into_iter().for_each(|left| self.push(left, LEAVE, place));
    }

    /// Settles the oldest changes and keeps the newest `keep` of them, at most. Stretches end at multiples of `step`.
    pub fn settle(&mut self, keep: usize, step: i64) {
        keys::sort(&mut self.near);
        let (mut near, base) = (std::mem::take(&mut self.near), self.base);
        let rest = self.rest();
        rest.widen(step);
        let (before, mut until) = (rest.until, rest.until);
        for key in near.drain(..near.len().saturating_sub(keep)) {
            let (at, code) = apart(base, key);
            let (kind, place) = kind_and_place(code);
            if at > before {
                rest.happened(at, place).take(at, kind);
                until = at;
            } else {
                rest.late(at, kind, place);
            }
        }
        rest.until = until;
        for (at, code) in std::mem::take(&mut rest.far) {
            let (kind, place) = kind_and_place(code);
            rest.late(at, kind, place);
        }
        near.shrink_to(2 * near.len());
        self.near = near;
        self.note_settled();
    }

    /// Settles everything in one stretch: how it went over time is forgotten, the peaks are not.
    pub fn collapse(&mut self) {
        self.settle(0, 1);
        let rest = self.rest();
        rest.step = i64::MAX;
        rest.merge(|_| i64::MAX);
        rest.settled.shrink_to_fit();
    }

    /// Whether it was.
    pub fn is_collapsed(&self) -> bool {
        self.rest.as_ref().is_some_and(|rest| rest.step == i64::MAX)
    }

    /// Nobody asks how it went in the places whose bits are set: of them nothing need be put in order.
    pub fn forget(&mut self, places: u8) {
        self.near.retain(|&key| places >> (apart(0, key).1 % MOST_PLACES) & 1 == 0);
    }

    /// Puts what is left in order.
    pub fn finish(mut self) -> History<N> {
        keys::sort(&mut self.near);
        let (settled, mut far, step) =
            self.rest.take().map_or_else(Default::default, |rest| (rest.settled, rest.far, rest.step));
        far.sort_unstable();
        let after = far.partition_point(|change| change.0 < self.base);
        let above = far.split_off(after);
        let Self { near, base, .. } = self;
        let mut history = History { settled, step, below: far, near, base, above, tops: Tops::default() };
        let mut tops = Tops::default();
        history.tell(i64::MAX, &mut tops);
        history.tops = tops;
        history
    }
}

impl<const N: usize> Rest<N> {
    /// Stretches from now on, and those there are, end at multiples of `step` or of more.
    fn widen(&mut self, step: i64) {
        if step > self.step {
            self.step = step;
            self.merge(|end| round_up(end, step));
        }
    }

    fn merge(&mut self, end_of: impl Fn(i64) -> i64) {
        self.inside = NOWHERE;
        self.settled.iter_mut().for_each(|stretch| stretch.end = end_of(stretch.end));
        self.settled.dedup_by(|next, kept| {
            let same = next.end == kept.end;
            if same {
                kept.of.iter_mut().zip(&next.of).for_each(|(kept, next)| kept.then(next));
            }
            same
        });
    }

    #[inline]
    fn happened(&mut self, at: i64, place: u8) -> &mut Happened {
        if at <= self.inside.0 || at > self.inside.1 {
            self.find(at);
        }
        &mut self.settled[self.last].of[usize::from(place).min(N - 1)]
    }

    /// Goes to the stretch that an instant lies in.
    #[inline(never)]
    fn find(&mut self, at: i64) {
        let end = if self.step == i64::MAX { i64::MAX } else { round_up(at, self.step) };
        self.last = self.settled.binary_search_by_key(&end, |stretch| stretch.end).unwrap_or_else(|place| {
            // Not by doubling: there are very many of these vectors.
            if self.settled.len() == self.settled.capacity() {
                self.settled.reserve_exact(self.settled.len() / 4 + 4);
            }
            self.settled.insert(place, Stretch { end, of: [NOTHING; N] });
            place
        });
        self.inside = (end.saturating_sub(self.step), end);
    }

    fn late(&mut self, at: i64, kind: u8, place: u8) {
        let of = self.happened(at, place);
        if *of == NOTHING {
            of.take(at, kind);
        } else {
            of.take_late(at, kind);
        }
    }
}

impl Happened {
    /// A change after all others.
    fn take(&mut self, at: i64, kind: u8) {
        match kind {
            COME => {
                (self.by, self.came) = (self.by.saturating_add(1), self.came.saturating_add(1));
                if self.by > self.top {
                    (self.top, self.top_at) = (self.by, at);
                }
            }
            LEAVE => self.by = self.by.saturating_sub(1),
            _ => self.low = self.low.min(self.by),
        }
    }

    /// A change of which the instant does not matter; a question asked before it is answered as if it had come before that.
    fn add(&mut self, kind: u8) {
        let more = i32::from(kind == COME);
        (self.by, self.came) = (self.by.saturating_add(2 * more - 1), self.came.saturating_add(more.unsigned_abs()));
        self.low = self.low.saturating_add(more);
    }

    /// A change somewhere among the others. How high the level was is known anew only for the instant of the top and for the end;
    /// a question's answer may be one too high, never too low.
    fn take_late(&mut self, at: i64, kind: u8) {
        match kind {
            COME => {
                (self.by, self.came) = (self.by.saturating_add(1), self.came.saturating_add(1));
                if self.top_at >= at {
                    self.top = self.top.saturating_add(1);
                } else if self.by > self.top {
                    (self.top, self.top_at) = (self.by, at);
                }
                self.low = self.low.saturating_add(1);
            }
            LEAVE => {
                self.by = self.by.saturating_sub(1);
                if self.top_at >= at && self.top > 0 {
                    self.top -= 1;
                }
            }
            _ => {}
        }
    }

    /// What happened next.
    fn then(&mut self, next: &Self) {
        let top = self.by.saturating_add(next.top);
        if top > self.top {
            (self.top, self.top_at) = (top, next.top_at);
        }
        if next.low != i32::MAX {
            self.low = self.low.min(self.by.saturating_add(next.low));
        }
        self.by = self.by.saturating_add(next.by);
        self.came = self.came.saturating_add(next.came);
    }
}

/// The stays of [`Levels`], in order.
#[derive(Clone, Debug)]
pub struct History<const N: usize> {
    settled: Vec<Stretch<N>>,
    step: i64,
    below: Vec<(i64, u8)>,
    near: Vec<u64>,
    base: i64,
    above: Vec<(i64, u8)>,
    tops: Tops<N>,
}

/// Is told what happened, in order.
trait Told<const N: usize> {
    /// A change.
    fn change(&mut self, at: i64, place: usize, kind: u8);
    /// What happened in a stretch that ends then.
    fn stretch(&mut self, end: i64, place: usize, happened: &Happened);
}

impl<const N: usize> History<N> {
    /// Tells all that happened. A stretch that the end of the capture, `last`, lies in is told as if it ended there.
    #[inline]
    fn tell<T: Told<N>>(&self, last: i64, to: &mut T) {
        let change = |to: &mut T, at, code: u8| to.change(at, usize::from(code % MOST_PLACES), code / MOST_PLACES);
        let near = self.near.iter().map(|&key| apart(self.base, key));
        if self.settled.is_empty() && self.below.is_empty() && self.above.is_empty() {
            near.for_each(|(at, code)| change(to, at, code));
            return;
        }
        let mut settled = self.settled.iter().peekable();
        // What is kept one by one comes after the stretch it lies in, and before those that begin later.
        let mut begun_before = |next: i64, to: &mut T| {
            let begun = |stretch: &&Stretch<N>| self.step == i64::MAX || stretch.end.saturating_sub(self.step) < next;
            while let Some(stretch) = settled.next_if(begun) {
                let reaches_into = stretch.end > last && stretch.end.saturating_sub(self.step) < last;
                let end = if reaches_into { last } else { stretch.end };
                for (place, happened) in stretch.of.iter().enumerate().filter(|of| *of.1 != NOTHING) {
                    to.stretch(end, place, happened);
                }
            }
        };
        for (at, code) in self.below.iter().copied().chain(near).chain(self.above.iter().copied()) {
            begun_before(at, to);
            change(to, at, code);
        }
        begun_before(i64::MAX, to);
    }

    /// Leaves its room to others.
    pub fn into_room(mut self) -> Vec<u64> {
        self.near.clear();
        self.near
    }

    /// When someone came into `place`, in order; all of them as long as nothing is settled.
    pub fn comings(&self, place: u8) -> impl Iterator<Item = Timestamp> + '_ {
        let wanted = code(COME, place);
        let near = self.near.iter().map(|&key| apart(self.base, key));
        let all = self.below.iter().copied().chain(near).chain(self.above.iter().copied());
        all.filter(move |change| change.1 == wanted).map(|change| Timestamp::from_nanos(change.0))
    }

    /// Most at once in `place`, and when that was first reached; (0, `None`) without stays.
    pub fn peak(&self, place: u8) -> (u64, Option<Timestamp>) {
        self.tops
            .of
            .get(usize::from(place))
            .map_or((0, None), |of| (of.peak.unsigned_abs(), (of.peak > 0).then(|| Timestamp::from_nanos(of.peak_at))))
    }

    /// The fewest that were in `place` when it was asked; `None` if it never was.
    pub fn least(&self, place: u8) -> Option<u64> {
        let least = self.tops.of.get(usize::from(place))?.least;
        (least != i64::MAX).then(|| u64::try_from(least).unwrap_or(0))
    }

    /// Gives the levels of the first `M` places in each bucket in which anyone is in any of them: the bucket's number from 0,
    /// its end, and how many.
    pub fn in_buckets<const M: usize>(&self, buckets: Buckets, with: impl FnMut(u32, Timestamp, [Level; M])) {
        let mut ends = buckets.ends();
        let end = ends.next().map_or(i64::MAX, Timestamp::as_nanos);
        let (now, peak, came) = ([0; M], [0; M], [0; M]);
        let mut told = InBuckets { ends, number: 0, end, over: false, now, peak, came, with };
        self.tell(buckets.last().as_nanos(), &mut told);
        while !told.over && told.peak.iter().any(|&peak| peak > 0) {
            told.next();
        }
    }
}

/// The heights of all places.
#[derive(Clone, Copy, Debug)]
struct Tops<const N: usize> {
    of: [Top; N],
}

#[derive(Clone, Copy, Debug)]
struct Top {
    now: i64,
    peak: i64,
    peak_at: i64,
    least: i64,
}

impl<const N: usize> Default for Tops<N> {
    fn default() -> Self {
        Self { of: [Top { now: 0, peak: 0, peak_at: i64::MIN, least: i64::MAX }; N] }
    }
}

impl<const N: usize> Told<N> for Tops<N> {
    #[inline]
    fn change(&mut self, at: i64, place: usize, kind: u8) {
        let Some(of) = self.of.get_mut(place) else { return };
        match kind {
            COME => {
                of.now += 1;
                if of.now > of.peak {
                    (of.peak, of.peak_at) = (of.now, at);
                }
            }
            LEAVE => of.now -= 1,
            _ => of.least = of.least.min(of.now),
        }
    }

    fn stretch(&mut self, _: i64, place: usize, happened: &Happened) {
        let Some(of) = self.of.get_mut(place) else { return };
        let top = of.now + i64::from(happened.top);
        if top > of.peak {
            (of.peak, of.peak_at) = (top, happened.top_at);
        }
        if happened.low != i32::MAX {
            of.least = of.least.min(of.now + i64::from(happened.low));
        }
        of.now += i64::from(happened.by);
    }
}

/// The levels of some places, bucket by bucket.
struct InBuckets<const M: usize, E, F> {
    ends: E,
    /// The bucket's.
    number: u32,
    end: i64,
    /// There are no more buckets.
    over: bool,
    now: [i64; M],
    peak: [i64; M],
    came: [u64; M],
    with: F,
}

impl<const M: usize, E: Iterator<Item = Timestamp>, F: FnMut(u32, Timestamp, [Level; M])> InBuckets<M, E, F> {
    /// Tells the bucket, if anyone was in it, and goes on to the next.
    fn next(&mut self) {
        if self.peak.iter().any(|&peak| peak > 0) {
            let count = |n: i64| u64::try_from(n).unwrap_or(0);
            let level = |place: usize| Level {
                at_end: count(self.now[place]),
                peak: count(self.peak[place]),
                came: self.came[place],
            };
            (self.with)(self.number, Timestamp::from_nanos(self.end), std::array::from_fn(level));
        }
        match self.ends.next() {
            Some(end) => (self.number, self.end) = (self.number + 1, end.as_nanos()),
            None => self.over = true,
        }
        (self.peak, self.came) = (self.now, [0; M]);
    }

    /// Goes on to the bucket that an instant lies in; false if there is none.
    #[inline]
    fn reach(&mut self, at: i64) -> bool {
        while at > self.end && !self.over {
            self.next();
        }
        !self.over
    }
}

impl<const N: usize, const M: usize, E, F> Told<N> for InBuckets<M, E, F>
where
    E: Iterator<Item = Timestamp>,
    F: FnMut(u32, Timestamp, [Level; M]),
{
    #[inline]
    fn change(&mut self, at: i64, place: usize, kind: u8) {
        if place >= M || !self.reach(at) {
            return;
        }
        match kind {
            COME => {
                self.now[place] += 1;
                self.peak[place] = self.peak[place].max(self.now[place]);
                self.came[place] += 1;
            }
            LEAVE => self.now[place] -= 1,
            _ => {}
        }
    }

    fn stretch(&mut self, end: i64, place: usize, happened: &Happened) {
        if place < M && self.reach(end) {
            self.peak[place] = self.peak[place].max(self.now[place] + i64::from(happened.top));
            self.now[place] += i64::from(happened.by);
            self.came[place] += u64::from(happened.came);
        }
    }
}

#[cfg(test)]
mod tests;
