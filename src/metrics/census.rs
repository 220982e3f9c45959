//! How many endpoints are in each state, over time. In: each connection's report, in any order. Out: a row a bucket, side
//! and state: a passive `ss -ant` at each bucket's end.

use super::buckets::Buckets;
use super::lives::Lives;
use super::rows::{CensusRow, Closing, ConnectionReport};
use super::tallies::Tallies;
use crate::tcp::state::{Side, State};
use crate::time::Timestamp;

/// The fold of `state_census`. CLOSED and LISTEN are not counted: one is no state at all, the other belongs to no
/// connection. An endpoint of which nothing is known is not counted either.
///
/// Changes are summed in bins that no bucket divides, so the counts are exact for a capture of any length (unless an asked width
/// gives too many buckets).
#[derive(Clone, Debug, Default)]
pub struct Census {
    changes: Tallies<SLOTS>,
}

const SLOTS: usize = 2 * State::ALL.len();

const fn slot(side: Side, state: State) -> usize {
    side.index() * State::ALL.len() + state as usize
}

const fn is_counted(place: usize) -> bool {
    let closed = 1 << slot(Side::Client, State::Closed) | 1 << slot(Side::Server, State::Closed);
    let listen = 1 << slot(Side::Client, State::Listen) | 1 << slot(Side::Server, State::Listen);
    (closed | listen) >> place & 1 == 0
}

impl Census {
    /// Takes one connection, whose lives are `lives`; bins end at multiples of `step`.
    pub fn add(&mut self, report: &ConnectionReport, lives: &Lives, step: i64) {
        self.changes.widen(step);
        // What became of an evicted one nobody knows, so it is counted no further.
        let evicted = (report.connection.closing == Closing::Evicted).then_some(report.connection.last_ts);
        for side in Side::BOTH {
            let mut from = State::Closed;
            let entries = lives.of_side(side);
            for entry in entries {
                self.step(slot(side, from), slot(side, entry.state), entry.at);
                from = entry.state;
            }
            if let Some(last) = evicted {
                let since = entries.last().map_or(last, |entry| entry.at);
                self.step(slot(side, from), slot(side, State::Closed), last.max(since));
            }
        }
    }

    #[inline]
    fn step(&mut self, from: usize, to: usize, at: Timestamp) {
        // What is summed of states that are not counted nobody asks for.
        if is_counted(from) || is_counted(to) {
            self.changes.with(at.as_nanos(), |bin| {
                bin[from] = bin[from].saturating_sub(1);
                bin[to] = bin[to].saturating_add(1);
            });
        }
    }

    /// The rows, by bucket, side and state.
    pub fn finish(self, buckets: Buckets) -> Vec<CensusRow> {
        // The last bin may end after the capture, which it reaches into.
        let last = buckets.last().as_nanos();
        let mut bins = self.changes.bins().map(|(end, sums)| (end.min(last), sums)).peekable();
        let mut counts = [0_i64; SLOTS];
        let mut rows = Vec::new();
        for end in buckets.ends() {
            while let Some((_, sums)) = bins.next_if(|bin| bin.0 <= end.as_nanos()) {
                counts.iter_mut().zip(sums).for_each(|(count, by)| *count += i64::from(*by));
            }
            for side in Side::BOTH {
                for state in State::ALL.iter().copied().filter(|&state| is_counted(slot(side, state))) {
                    let count = counts.get(slot(side, state)).copied().unwrap_or(0);
                    if let Ok(connections @ 1..) = u64::try_from(count) {
                        rows.push(CensusRow { bucket_ts: end, side, state, connections });
                    }
                }
            }
        }
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::buckets::Grid;
    use crate::metrics::rows::Opening;
    use crate::metrics::synthetic::{Draft, at};
    use crate::time::{NANOS_PER_SEC, Span};

    fn rows(reports: &[ConnectionReport], first: i64, last: i64, bucket: Option<i64>) -> Vec<(i64, String, u64)> {
        let mut census = Census::default();
        let mut grid = Grid::new(bucket.map(Span::from_nanos));
        for report in reports {
            report.transitions.iter().for_each(|row| grid.see(row.ts));
            census.add(report, &Lives::of(report), grid.step());
        }
        let rows = census.finish(Buckets::new(at(first), at(last), bucket.map(Span::from_nanos)));
        rows.iter()
            .map(|row| (row.bucket_ts.as_nanos(), format!("{} {}", row.side, row.state), row.connections))
            .collect()
    }

    fn client(changes: &[(i64, State)]) -> ConnectionReport {
        Draft::to("10.0.0.9:443").changes(Side::Client, changes).done()
    }

    #[test]
    fn endpoints_are_counted_at_each_buckets_end() {
        let a = client(&[(5, State::SynSent), (10, State::Established), (25, State::Closed)]);
        let b = client(&[(15, State::SynSent)]);
        let rows = rows(&[a, b], 5, 30, Some(10));
        let expected = [(10, "client ESTABLISHED", 1), (20, "client SYN_SENT", 1), (20, "client ESTABLISHED", 1)];
        let expected = expected.into_iter().chain([(30, "client SYN_SENT", 1)]);
        assert_eq!(rows, expected.map(|(ts, what, n)| (ts, what.to_owned(), n)).collect::<Vec<_>>());
    }

    #[test]
    fn the_last_bucket_ends_with_the_capture() {
        let rows = rows(&[client(&[(5, State::SynSent)])], 5, 23, Some(10));
        assert_eq!(rows.iter().map(|row| row.0).collect::<Vec<_>>(), [10, 20, 23]);
    }

    #[test]
    fn a_capture_of_one_instant_has_one_bucket() {
        assert_eq!(rows(&[client(&[(7, State::SynSent)])], 7, 7, None), [(7, "client SYN_SENT".to_owned(), 1)]);
    }

    #[test]
    fn without_connections_there_are_no_rows() {
        assert_eq!(rows(&[], 0, 1_000, None), []);
    }

    #[test]
    fn a_clock_that_went_back_leaves_no_count_below_zero_or_for_ever() {
        let odd = client(&[(50, State::SynSent), (20, State::Established), (60, State::Closed)]);
        let rows = rows(&[odd], 0, 100, Some(10));
        assert_eq!(rows, [(50, "client ESTABLISHED".to_owned(), 1)]);
    }

    #[test]
    fn an_evicted_connection_is_counted_up_to_its_last_packet() {
        let mut evicted = client(&[(5, State::SynSent)]);
        evicted.connection.closing = Closing::Evicted;
        evicted.connection.last_ts = at(15);
        assert_eq!(rows(&[evicted], 0, 40, Some(10)), [(10, "client SYN_SENT".to_owned(), 1)]);
    }

    #[test]
    fn a_capture_that_began_in_the_middle_counts_from_the_first_row() {
        let mut report = client(&[(15, State::Established)]);
        report.connection.opening = Opening::Midstream;
        report.transitions[0].from_state = None;
        assert_eq!(rows(&[report], 0, 20, Some(10)), [(20, "client ESTABLISHED".to_owned(), 1)]);
    }

    #[test]
    fn the_ends_of_the_range_neither_overflow_nor_hang() {
        let census = Census::default();
        assert_eq!(census.clone().finish(Buckets::new(Timestamp::MIN, Timestamp::MAX, None)), []);
        assert_eq!(census.finish(Buckets::new(Timestamp::MAX, Timestamp::MAX, None)), []);
    }

    #[test]
    fn long_captures_are_counted_exactly_in_few_bins() {
        let mut census = Census::default();
        let mut grid = Grid::new(None);
        let lives: Vec<_> = (0..20_000).map(|n| (n * NANOS_PER_SEC + n * 7, n * NANOS_PER_SEC + 700_000_000)).collect();
        for &(from, until) in &lives {
            grid.see(at(until));
            let report = client(&[(from, State::SynSent), (until, State::Closed)]);
            census.add(&report, &Lives::of(&report), grid.step());
        }
        assert!(census.changes.bins().count() < 1_300);
        let buckets = Buckets::new(at(lives[0].1), at(lives[19_999].1), None);
        let expected: Vec<_> = buckets
            .ends()
            .map(|end| lives.iter().filter(|(from, until)| at(*from) <= end && at(*until) > end).count() as u64)
            .filter(|&count| count > 0)
            .collect();
        assert_eq!(census.finish(buckets).iter().map(|row| row.connections).collect::<Vec<_>>(), expected);
    }
}
