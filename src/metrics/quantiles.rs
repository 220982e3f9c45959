//! Quantiles by nearest rank. In: spans. Out: p50, p90, p99 and the maximum, each a span that was measured.

use super::rows::Quantiles;

/// The quantiles of `spans`, which may be in any order and are left in another.
///
/// Nearest rank: the p-th percentile of n spans is the ⌈p·n/100⌉-th smallest, so it is always one that occurred, and with
/// few spans the high ones are the maximum.
pub fn quantiles(spans: &mut [i64]) -> Quantiles {
    let max = spans.iter().max().copied();
    let count = spans.len() as u64;
    // What lies below a rank need not be looked at for a higher one.
    let (mut above, mut below) = (spans, 0);
    let mut last = None;
    let [p50, p90, p99] = [50, 90, 99].map(|percent| {
        let rank = usize::try_from(nearest_rank_of(count, percent)).unwrap_or(usize::MAX) - 1;
        if rank >= below {
            let all = std::mem::take(&mut above);
            if rank - below >= all.len() {
                return None;
            }
            let (_, span, more) = all.select_nth_unstable(rank - below);
            last = Some(*span);
            (above, below) = (more, rank + 1);
        }
        last
    });
    Quantiles { count, p50, p90, p99, max }
}

/// The rank, from 1, of the `percent`-th percentile among `count`.
pub const fn nearest_rank_of(count: u64, percent: u64) -> u64 {
    let rank = count.saturating_mul(percent).div_ceil(100);
    if rank == 0 { 1 } else { rank }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_nothing_nothing_is_known() {
        assert_eq!(quantiles(&mut []), Quantiles::default());
    }

    #[test]
    fn one_span_is_all_of_them() {
        let of_one = quantiles(&mut [7]);
        assert_eq!(of_one, Quantiles { count: 1, p50: Some(7), p90: Some(7), p99: Some(7), max: Some(7) });
    }

    #[test]
    fn the_ranks_are_rounded_up() {
        let of_ten = quantiles(&mut (1..=10).rev().collect::<Vec<_>>());
        assert_eq!(of_ten, Quantiles { count: 10, p50: Some(5), p90: Some(9), p99: Some(10), max: Some(10) });
        let of_two = quantiles(&mut [9, 4]);
        assert_eq!((of_two.p50, of_two.p90, of_two.p99), (Some(4), Some(9), Some(9)));
        let of_200 = quantiles(&mut (1..=200).collect::<Vec<_>>());
        assert_eq!(of_200, Quantiles { count: 200, p50: Some(100), p90: Some(180), p99: Some(198), max: Some(200) });
    }
}
