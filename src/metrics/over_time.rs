//! A table with a row a time bucket and subject. In: the rows of one subject after the other. Out: all of them by bucket, then
//! subject, in a third of the memory that rows take.

use super::buckets::MAX_ROWS;
use crate::time::Timestamp;

/// Counts of subjects, bucket by bucket.
#[derive(Clone, Debug, PartialEq)]
pub struct OverTime<S, const N: usize> {
    subjects: Vec<S>,
    rows: Rows<N>,
    /// The places of the rows in their order; empty until they are put in order.
    order: Vec<u32>,
    most: usize,
    full: bool,
}

/// Rows, subject by subject.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows<const N: usize> {
    /// By the number of the bucket.
    ends: Vec<Timestamp>,
    /// The bucket's number, the subject's place, the counts.
    all: Vec<(u32, u32, [u32; N])>,
    /// Of the subject that is being told.
    place: u32,
}

impl<const N: usize> Rows<N> {
    /// Takes the row of a bucket, given its number, from 0, and its end. Those of a subject come in the order of buckets.
    #[inline]
    pub fn push(&mut self, bucket: u32, end: Timestamp, counts: [u64; N]) {
        if self.ends.len() <= bucket as usize {
            self.ends.resize(bucket as usize + 1, end);
        }
        self.ends[bucket as usize] = end;
        self.all.push((bucket, self.place, counts.map(|count| u32::try_from(count).unwrap_or(u32::MAX))));
    }
}

impl<S, const N: usize> Default for OverTime<S, N> {
    fn default() -> Self {
        let rows = Rows { ends: Vec::new(), all: Vec::new(), place: 0 };
        Self { subjects: Vec::new(), rows, order: Vec::new(), most: MAX_ROWS, full: false }
    }
}

impl<S: Copy + Ord, const N: usize> OverTime<S, N> {
    /// One of `most` rows, where there is more than one subject; by default that is [`MAX_ROWS`].
    pub fn up_to(most: usize) -> Self {
        Self { most, ..Self::default() }
    }

    /// Whether no more subjects have room.
    pub const fn is_full(&self) -> bool {
        self.full
    }

    /// Takes all rows of a subject. The first one that does not fit is left out, and all after it; but the first of all is not.
    pub fn add(&mut self, subject: S, tell: impl FnOnce(&mut Rows<N>)) {
        let before = self.rows.all.len();
        self.rows.place = self.subjects.len() as u32;
        tell(&mut self.rows);
        self.full = self.full || (before > 0 && self.rows.all.len() > self.most);
        if self.full {
            self.rows.all.truncate(before);
        } else {
            self.subjects.push(subject);
        }
    }

    /// One that takes no rows: nobody asks for them.
    pub fn unwanted() -> Self {
        Self { full: true, ..Self::default() }
    }

    /// Puts the rows in order.
    pub fn sorted(mut self) -> Self {
        // Subjects are compared once each, and not with every row; and the rows of a subject are in order.
        let mut subjects: Vec<u32> = (0..self.subjects.len() as u32).collect();
        subjects.sort_unstable_by_key(|&place| self.subjects.get(place as usize));
        let all = &self.rows.all;
        // Where the next row of a bucket goes.
        let mut next = vec![0_u32; self.rows.ends.len() + 1];
        all.iter().for_each(|row| next[row.0 as usize + 1] += 1);
        let mut before = 0;
        for next in &mut next {
            before += *next;
            *next = before;
        }
        self.order = vec![0; all.len()];
        for place in subjects {
            let first = all.partition_point(|row| row.1 < place);
            for (row, at) in all[first..].iter().zip(first as u32..).take_while(|(row, _)| row.1 == place) {
                let next = &mut next[row.0 as usize];
                self.order[*next as usize] = at;
                *next += 1;
            }
        }
        self
    }

    /// How many rows there are.
    pub const fn len(&self) -> usize {
        self.rows.all.len()
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.rows.all.is_empty()
    }

    /// The rows, once they are in order.
    pub fn iter(&self) -> impl Iterator<Item = (Timestamp, S, [u64; N])> + '_ {
        self.order.iter().filter_map(|&at| {
            let (bucket, subject, counts) = self.rows.all.get(at as usize)?;
            let (end, subject) = (self.rows.ends.get(*bucket as usize)?, self.subjects.get(*subject as usize)?);
            Some((*end, *subject, counts.map(u64::from)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::synthetic::at;

    fn told<S: Copy + Ord>(all: &mut OverTime<S, 1>, subject: S, own: impl Iterator<Item = (u32, u64)>) {
        all.add(subject, |rows| own.for_each(|(bucket, count)| rows.push(bucket, at(bucket.into()), [count])));
    }

    #[test]
    fn rows_are_in_the_order_of_buckets_then_subjects() {
        let mut all = OverTime::<char, 1>::default();
        told(&mut all, 'b', [(1, 3), (2, 4)].into_iter());
        told(&mut all, 'a', [(2, 5)].into_iter());
        let rows: Vec<_> = all.sorted().iter().collect();
        assert_eq!(rows, [(at(1), 'b', [3]), (at(2), 'a', [5]), (at(2), 'b', [4])]);
    }

    #[test]
    fn the_first_that_does_not_fit_ends_it() {
        let many = |n: usize| (0..n as u32).map(|n| (n, 1));
        let mut all = OverTime::<u8, 1>::up_to(100);
        told(&mut all, 1, many(95));
        told(&mut all, 2, many(6));
        assert!(all.is_full());
        told(&mut all, 3, many(1));
        assert_eq!(all.len(), 95);
        let mut one = OverTime::<u8, 1>::up_to(100);
        told(&mut one, 1, many(105));
        assert_eq!((one.len(), one.is_full()), (105, false));
    }
}
