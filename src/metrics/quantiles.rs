//! Quantiles by nearest rank. In: spans. Out: p50, p90, p99 and the maximum, each a span that was measured.

use super::rows::Quantiles;

/// The quantiles of `spans`, which may be in any order.
///
/// Nearest rank: the p-th percentile of n spans is the ⌈p·n/100⌉-th smallest, so it is always one that occurred, and with
/// few spans the high ones are the maximum.
pub fn quantiles(mut spans: Vec<i64>) -> Quantiles {
    spans.sort_unstable();
    let rank = |percent: usize| nearest_rank(&spans, percent);
    Quantiles { count: spans.len() as u64, p50: rank(50), p90: rank(90), p99: rank(99), max: spans.last().copied() }
}

/// The `percent`-th percentile of `sorted`, `None` of nothing.
fn nearest_rank(sorted: &[i64], percent: usize) -> Option<i64> {
    let rank = nearest_rank_of(sorted.len() as u64, percent as u64);
    sorted.get(usize::try_from(rank).ok()? - 1).copied()
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
        assert_eq!(quantiles(Vec::new()), Quantiles::default());
    }

    #[test]
    fn one_span_is_all_of_them() {
        let of_one = quantiles(vec![7]);
        assert_eq!(of_one, Quantiles { count: 1, p50: Some(7), p90: Some(7), p99: Some(7), max: Some(7) });
    }

    #[test]
    fn the_ranks_are_rounded_up() {
        let of_ten = quantiles((1..=10).rev().collect());
        assert_eq!(of_ten, Quantiles { count: 10, p50: Some(5), p90: Some(9), p99: Some(10), max: Some(10) });
        let of_200 = quantiles((1..=200).collect());
        assert_eq!(of_200, Quantiles { count: 200, p50: Some(100), p90: Some(180), p99: Some(198), max: Some(200) });
    }
}
