//! How many are in each of a few places, over time. In: stays, in any order. Out: the peaks, the levels bucket by bucket.

use super::buckets::Buckets;
use crate::time::Timestamp;

/// Stays in places that are numbered from 0. A stay counts from its beginning up to, not including, its end: who leaves at
/// the instant another comes makes room for it.
#[derive(Clone, Debug, Default)]
pub struct Levels {
    /// (when, +1 or −1, place); sorting puts a leaving before a coming at the same instant.
    changes: Vec<(Timestamp, i8, u8)>,
}

/// The stays of [`Levels`], in order.
#[derive(Clone, Debug)]
pub struct Sorted(Vec<(Timestamp, i8, u8)>);

/// How many are in a place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Level {
    /// At the bucket's end.
    pub at_end: u64,
    /// Most at once inside the bucket; those count that were there when it began.
    pub peak: u64,
}

impl Levels {
    /// A stay in `place` from `from` until `until`; `None` for one that lasts until the capture ends. One that ends before it
    /// begins, by a clock that went back, is empty.
    pub fn add(&mut self, place: u8, from: Timestamp, until: Option<Timestamp>) {
        match until {
            Some(until) if until <= from => {}
            Some(until) => self.changes.extend([(from, 1, place), (until, -1, place)]),
            None => self.changes.push((from, 1, place)),
        }
    }

    /// How many comings and goings there are.
    pub const fn changes(&self) -> usize {
        self.changes.len()
    }

    /// Puts them in order.
    pub fn sort(mut self) -> Sorted {
        self.changes.sort_unstable();
        Sorted(self.changes)
    }
}

impl Sorted {
    /// Most at once in `place`, and when that was first reached; (0, `None`) without stays.
    pub fn peak(&self, place: u8) -> (u64, Option<Timestamp>) {
        let (mut now, mut peak, mut when) = (0_i64, 0, None);
        for &(ts, by, _) in self.0.iter().filter(|change| change.2 == place) {
            now += i64::from(by);
            if now > peak {
                (peak, when) = (now, Some(ts));
            }
        }
        (peak.unsigned_abs(), when)
    }

    /// The fewest that were in `place` at one of `instants`; `None` without instants.
    pub fn least_at(&self, place: u8, mut instants: Vec<Timestamp>) -> Option<u64> {
        instants.sort_unstable();
        let mut changes = self.0.iter().filter(|change| change.2 == place).peekable();
        let mut now = 0_i64;
        let levels = instants.into_iter().map(|instant| {
            while let Some(&(_, by, _)) = changes.next_if(|change| change.0 <= instant) {
                now += i64::from(by);
            }
            u64::try_from(now).unwrap_or(0)
        });
        levels.min()
    }

    /// The levels of the places 0 to `N` − 1 in each bucket in which anyone is in any of them.
    pub fn in_buckets<const N: usize>(&self, buckets: Buckets) -> Vec<(Timestamp, [Level; N])> {
        let mut changes = self.0.iter().peekable();
        let mut now = [0_i64; N];
        let mut out = Vec::new();
        for end in buckets.ends() {
            let mut peak = now;
            while let Some(&(_, by, place)) = changes.next_if(|change| change.0 <= end) {
                if let (Some(now), Some(peak)) = (now.get_mut(usize::from(place)), peak.get_mut(usize::from(place))) {
                    *now += i64::from(by);
                    *peak = (*peak).max(*now);
                }
            }
            if peak.iter().any(|&peak| peak > 0) {
                let count = |n: i64| u64::try_from(n).unwrap_or(0);
                let level = |place: usize| Level { at_end: count(now[place]), peak: count(peak[place]) };
                out.push((end, std::array::from_fn(level)));
            } else if changes.peek().is_none() {
                break;
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::synthetic::at;
    use crate::time::Span;

    fn levels(stays: &[(u8, i64, Option<i64>)]) -> Sorted {
        let mut levels = Levels::default();
        stays.iter().for_each(|&(place, from, until)| levels.add(place, at(from), until.map(at)));
        levels.sort()
    }

    fn tens(until: i64) -> Buckets {
        Buckets::new(at(1), at(until), Some(Span::from_nanos(10)))
    }

    #[test]
    fn places_are_counted_apart() {
        let of = levels(&[(0, 5, Some(9)), (0, 1, Some(6)), (1, 2, None), (0, 8, None), (0, 9, Some(9))]);
        assert_eq!((of.peak(0), of.peak(1), of.peak(2)), ((2, Some(at(5))), (1, Some(at(2))), (0, None)));
    }

    #[test]
    fn a_stay_inside_a_bucket_shows_in_its_peak_alone() {
        let of = levels(&[(0, 3, Some(7)), (0, 15, Some(35)), (1, 22, Some(30))]);
        let level = |at_end, peak| Level { at_end, peak };
        let expected = [
            (at(10), [level(0, 1), level(0, 0)]),
            (at(20), [level(1, 1), level(0, 0)]),
            (at(30), [level(1, 1), level(0, 1)]),
            (at(40), [level(0, 1), level(0, 0)]),
        ];
        assert_eq!(of.in_buckets::<2>(tens(95)), expected);
    }

    #[test]
    fn buckets_without_anyone_are_left_out() {
        let ends = |of: &Sorted| of.in_buckets::<1>(tens(95)).iter().map(|row| row.0.as_nanos()).collect::<Vec<_>>();
        assert_eq!(ends(&levels(&[(0, 3, Some(7)), (0, 71, None)])), [10, 80, 90, 95]);
        assert_eq!(ends(&levels(&[])), Vec::<i64>::new());
    }

    #[test]
    fn the_least_is_looked_for_at_the_asked_instants_only() {
        let of = levels(&[(0, 1, Some(10)), (0, 2, None), (0, 3, None)]);
        assert_eq!(of.least_at(0, vec![at(5), at(12)]), Some(2));
        assert_eq!(of.least_at(0, vec![at(3)]), Some(3));
        assert_eq!((of.least_at(0, vec![]), of.least_at(1, vec![at(5)])), (None, Some(0)));
    }
}
