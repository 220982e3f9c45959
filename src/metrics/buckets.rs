//! The time buckets that the tables over time share. In: when a capture began and ended, and a width if one is asked for.
//! Out: where each bucket ends.

use crate::time::{NANOS_PER_SEC, Span, Timestamp};

/// Most buckets that are chosen for a capture.
pub const MAX_BUCKETS: i64 = 600;
/// Most buckets that an asked width may give; a narrower one is widened until it does.
pub const MAX_ASKED_BUCKETS: i64 = 100_000;
/// Most rows of a table with a row a bucket and subject. Where there would be more, the subjects with least to tell have
/// none: a scan of every port of a network must not fill a disk.
pub const MAX_ROWS: usize = 1_000_000;

/// A minute, in nanoseconds.
pub const MINUTE: i64 = 60 * NANOS_PER_SEC;
/// An hour, likewise.
pub const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// The buckets of one capture. A bucket holds what comes after the end of the one before, up to and with its own end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Buckets {
    first: i64,
    last: i64,
    width: i64,
}

impl Buckets {
    /// Of a capture from `first` to `last`.
    ///
    /// Buckets end at multiples of their width, counted from the epoch, and the last one where the capture ends, so that
    /// it agrees with `client_state` and `server_state`. The width is `asked` where one is asked for, else the least of
    /// 1, 2, 5 × 10ⁿ ns below a second and of 1, 2, 5, 10, 30 s or min, 1, 2, 6, 12 h, 1, 2, 7, 14 … days above that
    /// gives at most [`MAX_BUCKETS`].
    pub fn new(first: Timestamp, last: Timestamp, asked: Option<Span>) -> Self {
        let (first, last) = (first.as_nanos(), last.as_nanos().max(first.as_nanos()));
        Self { first, last, width: width(last.saturating_sub(first), asked) }
    }

    /// Where they end, in order; at least one.
    pub fn ends(self) -> impl Iterator<Item = Timestamp> {
        let Self { first, last, width } = self;
        let one = round_up(first.saturating_add(1), width).min(last);
        let next = move |&end: &i64| (end < last).then(|| end.saturating_add(width).min(last));
        std::iter::successors(Some(one), next).map(Timestamp::from_nanos)
    }

    /// Where the last one ends.
    pub const fn last(self) -> Timestamp {
        Timestamp::from_nanos(self.last)
    }

    /// How long the capture is.
    pub const fn length(self) -> Span {
        Span::from_nanos(self.last.saturating_sub(self.first))
    }
}

/// How finely a fold must keep instants while the capture is still being read, so that no bucket chosen at its end divides
/// what was put together. Buckets only widen as a capture grows, so their final width is known to be a multiple of this.
/// (Not where an asked width gives too many buckets: then an instant may count in the bucket after its own.)
#[derive(Clone, Copy, Debug)]
pub struct Grid {
    asked: Option<Span>,
    seen: Option<(i64, i64)>,
    step: i64,
    /// The length of capture up to which the step holds.
    holds: i64,
}

impl Grid {
    /// For buckets of `asked` width, or as [`Buckets::new`] chooses them.
    pub const fn new(asked: Option<Span>) -> Self {
        Self { asked, seen: None, step: 1, holds: -1 }
    }

    /// The capture has a packet at `ts`, or lasts until then at least. The epoch itself stands for a packet without a time
    /// of its own, and says nothing.
    #[inline]
    pub fn see(&mut self, ts: Timestamp) {
        let ts = ts.as_nanos();
        if ts != 0 && self.seen.is_none_or(|(first, last)| ts < first || ts > last) {
            self.reach(ts);
        }
    }

    fn reach(&mut self, ts: i64) {
        let (first, last) = self.seen.unwrap_or((ts, ts));
        self.seen = Some((first.min(ts), last.max(ts)));
        let length = last.max(ts).saturating_sub(first.min(ts));
        if length > self.holds {
            (self.step, self.holds) = step(length, self.asked);
        }
    }

    /// The multiple to which instants may be rounded up, in nanoseconds.
    pub const fn step(&self) -> i64 {
        self.step
    }

    /// The latest instant that the capture is known to reach.
    pub fn reaches(&self) -> Option<Timestamp> {
        self.seen.map(|(_, last)| Timestamp::from_nanos(last))
    }
}

/// The step for a capture of `length` nanoseconds, and the length up to which it is the same.
fn step(length: i64, asked: Option<Span>) -> (i64, i64) {
    if let Some(asked) = asked {
        let mut step = asked.as_nanos().max(1);
        while length / (MAX_ASKED_BUCKETS - 2) >= step && step < i64::MAX / 2 {
            step *= 2;
        }
        return (step, step.saturating_mul(MAX_ASKED_BUCKETS - 2).saturating_sub(1));
    }
    let width = width(length, None);
    // 2 × 10ⁿ is not a divisor of 5 × 10ⁿ, nor two minutes of five, nor two days of seven; every other width divides those above.
    let halved = width < NANOS_PER_SEC && width.to_string().starts_with('2');
    let halved = halved || [2 * NANOS_PER_SEC, 2 * MINUTE, 2 * DAY].contains(&width);
    (if halved { width / 2 } else { width }, width.saturating_mul(MAX_BUCKETS - 2).saturating_sub(1))
}

/// The least multiple of `step` that is not below `value`, or `value` where there is none in range.
pub fn round_up(value: i64, step: i64) -> i64 {
    let over = value.rem_euclid(step);
    if over == 0 { value } else { value.checked_add(step - over).unwrap_or(value) }
}

/// The width of the buckets for a capture of `length` nanoseconds.
fn width(length: i64, asked: Option<Span>) -> i64 {
    // Neither the first nor the last bucket need be whole, hence two fewer.
    let least = |buckets: i64| length / (buckets - 2) + 1;
    match asked {
        Some(asked) => asked.as_nanos().max(least(MAX_ASKED_BUCKETS)),
        None => human_width(least(MAX_BUCKETS)),
    }
}

/// The least width of the human ladder that is at least `wanted` nanoseconds.
fn human_width(wanted: i64) -> i64 {
    let seconds = [1, 2, 5, 10, 30].map(|n| n * NANOS_PER_SEC);
    let minutes = [1, 2, 5, 10, 30].map(|n| n * MINUTE);
    let hours = [1, 2, 6, 12].map(|n| n * HOUR);
    let below = (0..9).flat_map(|power| [1, 2, 5].map(|n| n * 10_i64.pow(power)));
    let days = [1, 2, 7, 14, 28, 56, 112, 224].map(|n| n * DAY);
    let mut ladder = below.chain(seconds).chain(minutes).chain(hours).chain(days);
    ladder.find(|&width| width >= wanted).unwrap_or(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_are_human_and_give_at_most_600_buckets() {
        let lengths = [0, 1, 599, 600, 1_234_567, NANOS_PER_SEC, 90 * NANOS_PER_SEC, HOUR, DAY, 400 * DAY, i64::MAX];
        for length in lengths {
            let width = width(length, None);
            assert!(length / width + 2 <= MAX_BUCKETS, "{length}: {width}");
        }
        assert_eq!(width(10 * NANOS_PER_SEC, None), 20_000_000);
        assert_eq!(width(724 * NANOS_PER_SEC, None), 2 * NANOS_PER_SEC);
        assert_eq!(width(5 * HOUR, None), 60 * NANOS_PER_SEC);
        assert_eq!(width(7 * DAY, None), 30 * MINUTE);
    }

    #[test]
    fn an_asked_width_that_would_give_too_many_buckets_is_widened() {
        assert_eq!(width(HOUR, Some(Span::from_secs(1))), NANOS_PER_SEC);
        assert!(HOUR / width(HOUR, Some(Span::from_nanos(1))) <= MAX_ASKED_BUCKETS);
        assert!(width(0, Some(Span::from_nanos(-5))) > 0);
    }

    #[test]
    fn every_later_width_is_a_multiple_of_an_earlier_step() {
        let lengths = || (0..62).flat_map(|power| [1_i64 << power, (1 << power) + (1 << power) / 3]);
        for (n, length) in lengths().enumerate() {
            let (step, holds) = step(length, None);
            assert!(holds >= length, "{length}");
            assert_eq!(super::step(holds, None), (step, holds));
            for later in lengths().skip(n).filter(|&later| later < 30_000 * DAY) {
                assert_eq!(width(later, None) % step, 0, "{length} {later}");
            }
        }
    }

    #[test]
    fn a_grid_widens_with_the_capture_and_keeps_to_an_asked_width() {
        let mut grid = Grid::new(None);
        let at = |nanos| Timestamp::from_nanos(nanos);
        grid.see(at(0));
        assert_eq!((grid.reaches(), grid.step()), (None, 1));
        grid.see(at(5 * HOUR));
        grid.see(at(5 * HOUR + 10 * NANOS_PER_SEC));
        assert_eq!(grid.step(), 10_000_000);
        grid.see(at(HOUR));
        assert_eq!((grid.step(), grid.reaches()), (30 * NANOS_PER_SEC, Some(at(5 * HOUR + 10 * NANOS_PER_SEC))));
        let mut asked = Grid::new(Some(Span::from_secs(7)));
        asked.see(at(1));
        asked.see(at(HOUR));
        assert_eq!(asked.step(), 7 * NANOS_PER_SEC);
    }

    #[test]
    fn the_last_bucket_ends_with_the_capture() {
        let ends = |first, last, width| {
            let [first, last] = [first, last].map(Timestamp::from_nanos);
            let buckets = Buckets::new(first, last, Some(Span::from_nanos(width)));
            buckets.ends().map(Timestamp::as_nanos).collect::<Vec<_>>()
        };
        assert_eq!(ends(5, 23, 10), [10, 20, 23]);
        assert_eq!(ends(10, 20, 10), [20]);
        assert_eq!(ends(7, 7, 10), [7]);
    }
}
