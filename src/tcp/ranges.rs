//! Which bytes of one side's stream have passed the tap. In: pieces, in any order. Out: how many were new.

/// How many separate runs are kept; beyond it the lowest are forgotten and count as seen.
const MAX_RUNS: usize = 512;

/// The union of the pieces of one stream, as half-open runs of positions.
///
/// `top` is the highest run, where nearly every piece lands; `below` are the runs under it, ascending, with holes between.
#[derive(Clone, Debug, Default)]
pub struct Ranges {
    top: Option<(u64, u64)>,
    below: Vec<(u64, u64)>,
    /// Everything under this position is taken as seen.
    floor: u64,
    bytes: u64,
}

impl Ranges {
    /// No bytes.
    pub const NONE: Self = Self { top: None, below: Vec::new(), floor: 0, bytes: 0 };

    /// Begins anew, in the same memory.
    pub fn renew(&mut self) {
        self.below.clear();
        (self.top, self.floor, self.bytes) = (None, 0, 0);
    }

    /// Distinct bytes so far.
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Are there holes between what was seen?
    pub fn has_holes(&self) -> bool {
        !self.below.is_empty()
    }

    /// The end of what was seen.
    pub fn end(&self) -> Option<u64> {
        self.top.map(|(_, end)| end)
    }

    /// Adds `start..end`; returns how many of its bytes are new.
    #[inline]
    pub fn insert(&mut self, start: u64, end: u64) -> u64 {
        let start = start.max(self.floor);
        if start >= end {
            return 0;
        }
        let new = match &mut self.top {
            Some((_, top_end)) if start == *top_end => {
                *top_end = end;
                end - start
            }
            Some((top_start, top_end)) if start >= *top_start => {
                if start > *top_end {
                    self.below.push((*top_start, *top_end));
                    (*top_start, *top_end) = (start, end);
                    end - start
                } else {
                    let grown = end.saturating_sub(*top_end);
                    *top_end = end.max(*top_end);
                    grown
                }
            }
            Some(_) => self.insert_below(start, end),
            None => {
                self.top = Some((start, end));
                end - start
            }
        };
        self.bytes += new;
        if self.below.len() > MAX_RUNS {
            let (_, end) = self.below.remove(0);
            self.floor = self.floor.max(end);
        }
        new
    }

    /// A piece that begins under the top run: joined with every run it touches.
    fn insert_below(&mut self, start: u64, end: u64) -> u64 {
        let mut joined = (start, end);
        let mut covered = 0;
        let first = self.below.partition_point(|run| run.1 < start);
        let mut last = first;
        while let Some(run) = self.below.get(last).filter(|run| run.0 <= end) {
            covered += run.1.min(end).saturating_sub(run.0.max(start));
            joined = (joined.0.min(run.0), joined.1.max(run.1));
            last += 1;
        }
        if let Some(top) = self.top.filter(|top| top.0 <= end) {
            covered += top.1.min(end).saturating_sub(top.0.max(start));
            self.top = Some((joined.0, joined.1.max(top.1)));
            self.below.truncate(first);
        } else {
            self.below.splice(first..last, [joined]);
        }
        end - start - covered
    }

    /// Have all bytes of `start..end` been seen?
    pub fn covers(&self, start: u64, end: u64) -> bool {
        let start = start.max(self.floor);
        start >= end || self.run_at(start).is_some_and(|run| run.1 >= end)
    }

    /// Has any byte of `start..end` been seen?
    pub fn touches(&self, start: u64, end: u64) -> bool {
        start < end
            && (start < self.floor || self.below.iter().chain(self.top.iter()).any(|run| run.0 < end && start < run.1))
    }

    /// How far the stream is complete from `base` on.
    pub fn contiguous_from(&self, base: u64) -> u64 {
        let base = base.max(self.floor);
        self.run_at(base).map_or(base, |run| run.1)
    }

    fn run_at(&self, position: u64) -> Option<(u64, u64)> {
        let holds = |run: &(u64, u64)| run.0 <= position && position <= run.1;
        self.top.filter(holds).or_else(|| self.below.iter().copied().find(holds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn in_order_out_of_order_and_again() {
        let mut r = Ranges::default();
        assert_eq!(r.insert(100, 200), 100);
        assert_eq!(r.insert(200, 300), 100);
        assert_eq!(r.insert(400, 500), 100, "behind a hole");
        assert_eq!(r.contiguous_from(100), 300);
        assert_eq!(r.insert(250, 450), 100, "fills the hole, both ends seen before");
        assert_eq!(r.contiguous_from(100), 500);
        assert!(!r.has_holes());
        assert_eq!(r.insert(100, 500), 0);
        assert_eq!(r.bytes(), 400);
    }

    #[test]
    fn before_the_first_piece() {
        let mut r = Ranges::default();
        r.insert(1000, 1100);
        assert_eq!(r.insert(900, 1000), 100);
        assert_eq!(r.contiguous_from(900), 1100);
        assert_eq!(r.insert(10, 20), 10);
        assert_eq!(r.contiguous_from(10), 20);
    }

    #[test]
    fn a_hole_a_byte_stays_bounded() {
        let mut r = Ranges::default();
        for i in 0..10_000 {
            r.insert(i * 2, i * 2 + 1);
        }
        assert_eq!(r.bytes(), 10_000);
        assert!(r.below.len() <= MAX_RUNS);
        assert_eq!(r.insert(1, 2), 0, "what was forgotten counts as seen");
    }

    proptest! {
        #[test]
        fn counts_as_a_set_does(pieces in prop::collection::vec((0u64..300, 0u64..40), 0..60)) {
            let mut r = Ranges::default();
            let mut set = std::collections::BTreeSet::new();
            for (start, len) in pieces {
                let touched = (start..start + len).any(|byte| set.contains(&byte));
                let covered = (start..start + len).all(|byte| set.contains(&byte));
                prop_assert_eq!(r.touches(start, start + len), touched);
                prop_assert_eq!(r.covers(start, start + len), covered);
                let before = set.len();
                set.extend(start..start + len);
                prop_assert_eq!(r.insert(start, start + len), (set.len() - before) as u64);
                let mut end = 0;
                while set.contains(&end) { end += 1; }
                prop_assert_eq!(r.contiguous_from(0), end);
            }
            prop_assert_eq!(r.bytes(), set.len() as u64);
        }
    }
}
