//! The most stays at once. In: intervals of time in any order. Out: how many overlapped at most, and when first.

use crate::time::Timestamp;

/// Intervals whose greatest overlap is asked for. An interval counts from its beginning up to, not including, its end:
/// who leaves at the instant another comes makes room for it.
#[derive(Clone, Debug, Default)]
pub struct Peak {
    /// (when, +1 or −1); sorting puts a leaving before a coming at the same instant.
    changes: Vec<(Timestamp, i8)>,
}

impl Peak {
    /// A stay from `from` until `until`. One that ends before it begins, by a clock that went back, is empty.
    pub fn add(&mut self, from: Timestamp, until: Timestamp) {
        if until > from {
            self.changes.push((from, 1));
            self.changes.push((until, -1));
        }
    }

    /// The greatest overlap and when it was first reached; (0, `None`) without stays.
    pub fn finish(mut self) -> (u64, Option<Timestamp>) {
        self.changes.sort_unstable();
        let (mut now, mut peak, mut when) = (0_i64, 0, None);
        for (ts, change) in self.changes {
            now += i64::from(change);
            if now > peak {
                (peak, when) = (now, Some(ts));
            }
        }
        (peak.unsigned_abs(), when)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peak_of(stays: &[(i64, i64)]) -> (u64, Option<i64>) {
        let mut peak = Peak::default();
        for &(from, until) in stays {
            peak.add(Timestamp::from_nanos(from), Timestamp::from_nanos(until));
        }
        let (most, when) = peak.finish();
        (most, when.map(Timestamp::as_nanos))
    }

    #[test]
    fn overlaps_are_counted_in_any_order() {
        assert_eq!(peak_of(&[]), (0, None));
        assert_eq!(peak_of(&[(5, 9), (1, 6), (8, 12), (5, 7)]), (3, Some(5)));
    }

    #[test]
    fn one_that_ends_where_the_next_begins_does_not_overlap() {
        assert_eq!(peak_of(&[(1, 5), (5, 9)]), (1, Some(1)));
    }

    #[test]
    fn stays_that_take_no_time_or_less_are_none() {
        assert_eq!(peak_of(&[(5, 5), (9, 3)]), (0, None));
    }
}
