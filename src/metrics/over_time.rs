//! A table with a row a time bucket and subject. In: the rows of one subject after the other. Out: all of them by bucket, then
//! subject, in a third of the memory that rows take.

use super::buckets::MAX_ROWS;
use crate::time::Timestamp;

/// Counts of subjects, bucket by bucket.
#[derive(Clone, Debug, PartialEq)]
pub struct OverTime<S, const N: usize> {
    subjects: Vec<S>,
    /// The bucket's end, the subject's place, the counts.
    rows: Vec<(Timestamp, u32, [u32; N])>,
    full: bool,
}

impl<S, const N: usize> Default for OverTime<S, N> {
    fn default() -> Self {
        Self { subjects: Vec::new(), rows: Vec::new(), full: false }
    }
}

impl<S: Copy + Ord, const N: usize> OverTime<S, N> {
    /// Whether no more subjects have room.
    pub const fn is_full(&self) -> bool {
        self.full
    }

    /// Takes all rows of a subject, by bucket. Of rows there are at most [`MAX_ROWS`], unless the first subject has more: the
    /// first one that does not fit is left out, and all after it.
    pub fn add(&mut self, subject: S, own: impl Iterator<Item = (Timestamp, [u64; N])>) {
        let (before, place) = (self.rows.len(), self.subjects.len() as u32);
        let count = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        self.rows.extend(own.map(|(end, counts)| (end, place, counts.map(count))));
        self.full = self.full || (before > 0 && self.rows.len() > MAX_ROWS);
        if self.full {
            self.rows.truncate(before);
        } else {
            self.subjects.push(subject);
        }
    }

    /// One that takes no rows: nobody asks for them.
    pub const fn unwanted() -> Self {
        Self { subjects: Vec::new(), rows: Vec::new(), full: true }
    }

    /// Puts the rows in order.
    pub fn sorted(mut self) -> Self {
        // Subjects are compared once each, and not with every row.
        let mut order: Vec<u32> = (0..self.subjects.len() as u32).collect();
        order.sort_unstable_by_key(|&place| self.subjects.get(place as usize));
        let mut ranks = vec![0; order.len()];
        for (rank, &place) in (0..).zip(&order) {
            ranks[place as usize] = rank;
        }
        self.rows.iter_mut().for_each(|row| row.1 = ranks[row.1 as usize]);
        self.subjects.sort_unstable();
        self.rows.sort_unstable_by_key(|row| (row.0, row.1));
        self
    }

    /// How many rows there are.
    pub const fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The rows.
    pub fn iter(&self) -> impl Iterator<Item = (Timestamp, S, [u64; N])> + '_ {
        self.rows.iter().filter_map(|(end, subject, counts)| {
            Some((*end, *self.subjects.get(*subject as usize)?, counts.map(u64::from)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::synthetic::at;

    #[test]
    fn rows_are_in_the_order_of_buckets_then_subjects() {
        let mut all = OverTime::<char, 1>::default();
        all.add('b', [(at(1), [3]), (at(2), [4])].into_iter());
        all.add('a', [(at(2), [5])].into_iter());
        let rows: Vec<_> = all.sorted().iter().collect();
        assert_eq!(rows, [(at(1), 'b', [3]), (at(2), 'a', [5]), (at(2), 'b', [4])]);
    }

    #[test]
    fn the_first_that_does_not_fit_ends_it() {
        let many = |n: usize| (0..n as i64).map(|n| (at(n), [1]));
        let mut all = OverTime::<u8, 1>::default();
        all.add(1, many(MAX_ROWS - 5));
        all.add(2, many(6));
        assert!(all.is_full());
        all.add(3, many(1));
        assert_eq!(all.len(), MAX_ROWS - 5);
        let mut one = OverTime::<u8, 1>::default();
        one.add(1, many(MAX_ROWS + 5));
        assert_eq!((one.len(), one.is_full()), (MAX_ROWS + 5, false));
    }
}
