//! Sums over time. In: amounts at instants, in any order. Out: their sum in every bin of time; bins are as wide as a grid says,
//! so there are some hundreds of them whatever the capture's length.

use super::buckets::round_up;

/// Most bins: with an asked width that is far too fine they get wider.
const MOST: i128 = 1 << 17;

/// Sums of `N` kinds, bin by bin.
#[derive(Clone, Debug)]
pub struct Tallies<const N: usize> {
    step: i64,
    /// The end of the first bin.
    first: i64,
    bins: Vec<[i32; N]>,
    /// What lies in the bins there are: after `.0`, and no more than so many nanoseconds after it. 0 near the ends of the range.
    reach: (i64, u64),
    /// The bin that was used last, with what lies in it: after `.0`, up to `.1`.
    last: (i64, i64, usize),
}

impl<const N: usize> Default for Tallies<N> {
    fn default() -> Self {
        Self { step: 1, first: 0, bins: Vec::new(), reach: (0, 0), last: (i64::MAX, i64::MIN, 0) }
    }
}

impl<const N: usize> Tallies<N> {
    /// Makes bins end at multiples of `step` or of more.
    pub fn widen(&mut self, step: i64) {
        if step <= self.step {
            return;
        }
        let old = std::mem::replace(self, Self { step, ..Self::default() });
        for (end, sums) in old.bins() {
            self.with(end, |bin| bin.iter_mut().zip(sums).for_each(|(sum, by)| *sum = sum.saturating_add(*by)));
        }
    }

    /// Adds `by` to a kind at an instant.
    pub fn add(&mut self, at: i64, kind: usize, by: i32) {
        self.with(at, |bin| {
            if let Some(sum) = bin.get_mut(kind) {
                *sum = sum.saturating_add(by);
            }
        });
    }

    /// Changes the bin of an instant.
    #[inline]
    pub fn with(&mut self, at: i64, change: impl FnOnce(&mut [i32; N])) {
        let place = if at > self.last.0 && at <= self.last.1 { self.last.2 } else { self.place(at) };
        if let Some(bin) = self.bins.get_mut(place) {
            change(bin);
        }
    }

    fn place(&mut self, at: i64) -> usize {
        // Where `reach` is not 0 nothing here overflows: what lies before it, or far behind, comes out large.
        let into = (at.wrapping_sub(self.reach.0) as u64).wrapping_sub(1);
        if into >= self.reach.1 {
            return self.make_place(at);
        }
        let step = self.step.unsigned_abs();
        let place = into / step;
        let begin = self.reach.0.wrapping_add((place * step) as i64);
        self.last = (begin, begin.wrapping_add(self.step), place as usize);
        place as usize
    }

    #[cold]
    fn make_place(&mut self, at: i64) -> usize {
        let end = round_up(at, self.step);
        if self.bins.is_empty() {
            self.first = end;
        }
        // Wide enough for the ends of the range; the last bin that can be held ends before a step is full.
        let place = (i128::from(end) - i128::from(self.first) + i128::from(self.step) - 1).div_euclid(self.step.into());
        let bins = place.max(self.bins.len() as i128 - 1) - place.min(0);
        if bins >= MOST {
            self.widen(self.step.saturating_mul(2));
            return self.make_place(at);
        }
        if place < 0 {
            self.bins.splice(0..0, std::iter::repeat_n([0; N], place.unsigned_abs() as usize));
            self.first = end;
        }
        let place = place.max(0) as usize;
        if place >= self.bins.len() {
            self.bins.resize(place + 1, [0; N]);
        }
        self.last = (end.saturating_sub(self.step), end, place);
        self.reach = (self.first.wrapping_sub(self.step), self.known().unwrap_or(0));
        place
    }

    /// How much time the bins cover, if all of it can be told.
    fn known(&self) -> Option<u64> {
        let length = self.step.checked_mul(i64::try_from(self.bins.len()).ok()?)?;
        self.first.checked_sub(self.step)?.checked_add(length)?;
        Some(length.unsigned_abs())
    }

    /// The end of each bin and its sums, in order.
    pub fn bins(&self) -> impl Iterator<Item = (i64, &[i32; N])> {
        (0..).zip(&self.bins).map(|(n, bin)| (self.first.saturating_add(self.step.saturating_mul(n)), bin))
    }

    /// How wide a bin is, in nanoseconds.
    pub const fn step(&self) -> i64 {
        self.step
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(tallies: &Tallies<2>) -> Vec<(i64, [i32; 2])> {
        tallies.bins().filter(|bin| bin.1 != &[0, 0]).map(|(end, sums)| (end, *sums)).collect()
    }

    #[test]
    fn amounts_come_together_in_bins_in_any_order() {
        let mut tallies = Tallies::default();
        tallies.widen(10);
        for (at, kind, by) in [(25, 0, 1), (30, 0, 2), (31, 1, 1), (5, 1, -3), (0, 0, 1), (-1, 0, 1), (30, 1, 7)] {
            tallies.add(at, kind, by);
        }
        assert_eq!(told(&tallies), [(0, [2, 0]), (10, [0, -3]), (30, [3, 7]), (40, [0, 1])]);
        tallies.widen(20);
        assert_eq!(told(&tallies), [(0, [2, 0]), (20, [0, -3]), (40, [3, 8])]);
    }

    #[test]
    fn the_ends_of_the_range_widen_the_bins() {
        let mut tallies = Tallies::<1>::default();
        for at in [0, i64::MAX, i64::MIN, 5] {
            tallies.add(at, 0, 1);
        }
        assert!(tallies.bins().count() as i128 <= MOST);
        assert_eq!(tallies.bins().map(|bin| bin.1[0]).sum::<i32>(), 4);
    }
}
