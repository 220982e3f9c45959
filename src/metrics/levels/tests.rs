//! Levels kept one by one, and the same ones settled.

use super::*;
use crate::metrics::distinct::mix;
use crate::metrics::synthetic::at;
use crate::time::Span;

impl<const N: usize> History<N> {
    fn rows<const M: usize>(&self, buckets: Buckets) -> Vec<(Timestamp, [Level; M])> {
        let (mut rows, mut last) = (Vec::new(), None);
        self.in_buckets(buckets, |number, end, levels| {
            assert!(last < Some(number));
            last = Some(number);
            rows.push((end, levels));
        });
        rows
    }
}

fn levels(stays: &[(u8, i64, Option<i64>)]) -> History<2> {
    let mut levels = Levels::default();
    stays.iter().for_each(|&(place, from, until)| levels.add(place, at(from), until.map(at)));
    levels.finish()
}

fn tens(until: i64) -> Buckets {
    Buckets::new(at(1), at(until), Some(Span::from_nanos(10)))
}

#[test]
fn places_are_counted_apart() {
    let of = levels(&[(0, 5, Some(9)), (0, 1, Some(6)), (1, 2, None), (0, 8, None), (0, 9, Some(9))]);
    assert_eq!((of.peak(0), of.peak(1)), ((2, Some(at(5))), (1, Some(at(2)))));
    assert_eq!(levels(&[]).peak(0), (0, None));
}

#[test]
fn overlaps_are_counted_in_any_order_and_stays_of_no_time_are_none() {
    let peak = |stays: &[(i64, i64)]| {
        levels(&stays.iter().map(|&(from, until)| (0, from, Some(until))).collect::<Vec<_>>()).peak(0)
    };
    assert_eq!(peak(&[(5, 9), (1, 6), (8, 12), (5, 7)]), (3, Some(at(5))));
    assert_eq!(peak(&[(1, 5), (5, 9)]), (1, Some(at(1))));
    assert_eq!(peak(&[(5, 5), (9, 3)]), (0, None));
}

#[test]
fn a_stay_inside_a_bucket_shows_in_its_peak_alone() {
    let of = levels(&[(0, 3, Some(7)), (0, 15, Some(35)), (1, 22, Some(30))]);
    let level = |at_end, peak, came| Level { at_end, peak, came };
    let expected = [
        (at(10), [level(0, 1, 1), level(0, 0, 0)]),
        (at(20), [level(1, 1, 1), level(0, 0, 0)]),
        (at(30), [level(1, 1, 0), level(0, 1, 1)]),
        (at(40), [level(0, 1, 0), level(0, 0, 0)]),
    ];
    assert_eq!(of.rows::<2>(tens(95)), expected);
}

#[test]
fn buckets_without_anyone_are_left_out() {
    let ends = |of: &History<2>| of.rows::<1>(tens(95)).iter().map(|row| row.0.as_nanos()).collect::<Vec<_>>();
    assert_eq!(ends(&levels(&[(0, 3, Some(7)), (0, 71, None)])), [10, 80, 90, 95]);
    assert_eq!(ends(&levels(&[])), Vec::<i64>::new());
}

#[test]
fn the_least_is_looked_for_at_the_asked_instants_only() {
    let asked = |place: u8, instants: &[i64]| {
        let mut of = Levels::<2>::default();
        [(1, Some(10)), (2, None), (3, None)].into_iter().for_each(|(from, until)| of.add(0, at(from), until.map(at)));
        instants.iter().for_each(|&instant| of.ask(place, at(instant)));
        of.finish().least(place)
    };
    assert_eq!((asked(0, &[5, 12]), asked(0, &[3])), (Some(2), Some(3)));
    assert_eq!((asked(0, &[]), asked(1, &[5])), (None, Some(0)));
}

#[test]
fn instants_lifetimes_apart_are_told_apart() {
    let (long_ago, ever) = (i64::MIN, i64::MAX);
    let of = levels(&[(0, 0, Some(9)), (0, long_ago, Some(5)), (0, ever - 1, Some(ever)), (0, ever - 1, None)]);
    assert_eq!(of.peak(0), (2, Some(at(0))));
    let mut settled = Levels::<1>::default();
    settled.add(0, at(0), Some(at(9)));
    settled.add(0, at(long_ago), Some(at(ever)));
    settled.settle(0, 10);
    assert_eq!(settled.finish().peak(0), (2, Some(at(0))));
}

/// Stays as connections give them: told when they end, most in the order they began.
fn made_up(count: i64, long: impl Fn(i64) -> i64) -> Vec<(i64, i64)> {
    (0..count)
        .map(|n| (n * 100 + (mix(n as u64) % 90) as i64, long(n)))
        .map(|(from, long)| (from, from + long))
        .collect()
}

/// The same stays one by one, and settled now and then.
fn both(stays: &[(i64, i64)], room: usize, step: i64) -> (History<1>, History<1>) {
    let (mut exact, mut settled) = (Levels::<1>::default(), Levels::<1>::default());
    for &(from, until) in stays {
        exact.add(0, at(from), Some(at(until)));
        settled.add(0, at(from), Some(at(until)));
        if settled.kept() >= room {
            settled.settle(room / 2, step);
        }
    }
    assert!(exact.is_exact() && !settled.is_exact());
    assert!(settled.stretches() as i64 <= stays.len() as i64 * 100 / step + 20, "{}", settled.stretches());
    (exact.finish(), settled.finish())
}

#[test]
fn settled_in_order_nothing_changes() {
    let stays = made_up(4_000, |n| 150 + (mix(n as u64 + 9) % 800) as i64);
    let (exact, settled) = both(&stays, 256, 1_000);
    assert_eq!(settled.peak(0), exact.peak(0));
    let buckets = Buckets::new(at(0), at(403_456), Some(Span::from_nanos(5_000)));
    assert_eq!(settled.rows::<1>(buckets), exact.rows::<1>(buckets));
}

#[test]
fn late_ones_leave_the_levels_exact_and_the_peaks_no_higher_than_they_were() {
    // Every 50th is told long after it began, and some last long.
    let mut stays = made_up(4_000, |n| if n % 97 == 0 { 90_000 } else { 300 });
    for n in (0..3_000).step_by(50) {
        stays.swap(n, n + 900);
    }
    let (exact, settled) = both(&stays, 256, 1_000);
    let buckets = Buckets::new(at(0), at(500_000), Some(Span::from_nanos(5_000)));
    let (exact_rows, settled_rows) = (exact.rows::<1>(buckets), settled.rows::<1>(buckets));
    assert_eq!(exact_rows.len(), settled_rows.len());
    for ((end, [was]), (same_end, [told])) in exact_rows.into_iter().zip(settled_rows) {
        assert_eq!((end, was.at_end, was.came), (same_end, told.at_end, told.came));
        assert!(told.peak <= was.peak && told.peak + 3 >= was.peak, "{told:?} {was:?}");
    }
    let (was, told) = (exact.peak(0), settled.peak(0));
    assert!(told.0 <= was.0 && told.0 + 3 >= was.0, "{told:?} {was:?}");
}

#[test]
fn a_question_about_what_is_settled_is_never_answered_too_low() {
    let (mut exact, mut settled) = (Levels::<1>::default(), Levels::<1>::default());
    for n in 0..1_000_i64 {
        for levels in [&mut exact, &mut settled] {
            // One in ten is told late.
            let from = if n % 10 == 0 { n * 10 - 3_000 } else { n * 10 };
            levels.add(0, at(from), Some(at(from + 400)));
            levels.ask(0, at(n * 10 + 5));
        }
        if settled.kept() > 100 {
            settled.settle(50, 100);
        }
    }
    let (was, told) = (exact.finish().least(0).unwrap(), settled.finish().least(0).unwrap());
    assert!(told >= was && told <= was + 5, "{told} {was}");
}

#[test]
fn collapsed_the_peak_is_still_known() {
    let mut of = Levels::<1>::default();
    for n in 0..100 {
        of.add(0, at(n), Some(at(n + 10)));
    }
    of.collapse();
    assert!(of.is_collapsed() && of.stretches() == 1);
    of.add(0, at(5_000), None);
    of.collapse();
    assert_eq!(of.finish().peak(0), (10, Some(at(9))));
}

#[test]
fn stretches_widen_without_losing_the_peak() {
    let mut of = Levels::<1>::default();
    for n in 0..1_000 {
        of.add(0, at(n * 7), Some(at(n * 7 + 50)));
    }
    let exact = of.clone().finish();
    of.settle(0, 10);
    let fine = of.stretches();
    of.settle(0, 1_000);
    assert!(of.stretches() < fine / 50);
    let buckets = Buckets::new(at(0), at(7_050), Some(Span::from_nanos(1_000)));
    let settled = of.finish();
    assert_eq!(settled.peak(0), exact.peak(0));
    assert_eq!(settled.rows::<1>(buckets), exact.rows::<1>(buckets));
}

#[test]
fn what_ends_after_the_capture_has_not_ended() {
    let mut of = Levels::<1>::default();
    for n in 0..100 {
        of.add(0, at(n * 10), Some(at(n * 10 + 5_000)));
    }
    of.settle(0, 100);
    let rows = of.finish().rows::<1>(Buckets::new(at(0), at(1_050), Some(Span::from_nanos(100))));
    assert_eq!(rows.last().map(|(end, [level])| (*end, level.at_end)), Some((at(1_050), 100)));
}

#[test]
fn where_only_sums_matter_they_are_exact_and_answers_never_too_low() {
    let (mut exact, mut sums) = (Levels::<2>::default(), Levels::<2>::default());
    sums.only_sums(1, true);
    for n in 0..2_000_i64 {
        for levels in [&mut exact, &mut sums] {
            levels.add(0, at(n * 10), Some(at(n * 10 + 35)));
            levels.add(1, at(n * 10 - 200), (n % 5 > 0).then(|| at(n * 10 + 400)));
        }
        if n == 1_500 {
            sums.only_sums(1, false);
            exact.ask(1, at(n * 10));
            sums.ask(1, at(n * 10));
        }
        if sums.kept() > 200 {
            sums.settle(100, 100);
        }
    }
    let (exact, sums) = (exact.finish(), sums.finish());
    assert_eq!(sums.peak(0), exact.peak(0));
    assert!(sums.least(1) >= exact.least(1), "{:?} {:?}", sums.least(1), exact.least(1));
    let ends = |history: &History<2>| {
        let rows = history.rows::<2>(Buckets::new(at(0), at(20_000), Some(Span::from_nanos(500))));
        rows.into_iter().map(|(end, [_, level])| (end, level.at_end)).collect::<Vec<_>>()
    };
    assert_eq!(ends(&sums), ends(&exact));
}
