//! How many endpoints are in each state, over time. In: each connection's report, in any order. Out: a row a bucket, side
//! and state: a passive `ss -ant` at each bucket's end.

use super::buckets::{Buckets, HOUR, MINUTE, round_up};
use super::rows::{CensusRow, Closing, ConnectionReport};
use crate::tcp::state::{Side, State};
use crate::time::{NANOS_PER_SEC, Timestamp};

/// Changes kept before they are first merged.
const MAX_CHANGES: usize = 1 << 20;

/// The fold of `state_census`. CLOSED and LISTEN are not counted: one is no state at all, the other belongs to no
/// connection. An endpoint of which nothing is known is not counted either.
#[derive(Clone, Debug)]
pub struct Census {
    /// (when, side and state, how many more or fewer).
    changes: Vec<(i64, u8, i64)>,
    /// Instants are rounded up to multiples of this once there are very many. A capture long enough for that has buckets
    /// that are multiples of it, so no count changes (unless an asked width is finer).
    resolution: i64,
    /// How many changes there may be before they are merged again.
    room: usize,
}

impl Default for Census {
    fn default() -> Self {
        Self { changes: Vec::new(), resolution: 1, room: MAX_CHANGES }
    }
}

const SLOTS: usize = 2 * State::ALL.len();

const fn slot(side: Side, state: State) -> u8 {
    (side.index() * State::ALL.len() + state as usize) as u8
}

impl Census {
    /// Takes one connection. A row whose timestamp lies before the row before it counts from there.
    pub fn add(&mut self, report: &ConnectionReport) {
        for side in Side::BOTH {
            let mut current: Option<State> = None;
            let mut now = Timestamp::MIN;
            for row in report.transitions.iter().filter(|row| row.side == side && !row.retracted) {
                now = now.max(row.ts);
                self.step(side, &mut current, row.to_state, now);
            }
            if report.connection.closing == Closing::Evicted {
                // What became of it nobody knows, so it is counted no further.
                now = now.max(report.connection.last_ts);
                self.step(side, &mut current, State::Closed, now);
            }
        }
        if self.changes.len() >= self.room {
            self.compact();
            // Timestamps strewn over centuries do not merge; sorting them again and again would take for ever.
            self.room = MAX_CHANGES.max(2 * self.changes.len());
        }
    }

    fn step(&mut self, side: Side, current: &mut Option<State>, to: State, now: Timestamp) {
        let mut change = |state: State, by| {
            if !matches!(state, State::Closed | State::Listen) {
                self.changes.push((now.as_nanos(), slot(side, state), by));
            }
        };
        if let Some(from) = current.replace(to) {
            change(from, -1);
        }
        change(to, 1);
    }

    /// Merges changes of one instant, and widens the instants until half the room is free.
    fn compact(&mut self) {
        loop {
            for change in &mut self.changes {
                change.0 = round_up(change.0, self.resolution);
            }
            self.changes.sort_unstable();
            self.changes.dedup_by(|next, kept| {
                let same = (next.0, next.1) == (kept.0, kept.1);
                if same {
                    kept.2 += next.2;
                }
                same
            });
            self.changes.retain(|change| change.2 != 0);
            if self.changes.len() <= MAX_CHANGES / 2 || self.resolution >= HOUR {
                return;
            }
            self.resolution = match self.resolution {
                0..NANOS_PER_SEC => self.resolution * 10,
                NANOS_PER_SEC..MINUTE => MINUTE,
                _ => HOUR,
            };
        }
    }

    /// The rows, by bucket, side and state.
    pub fn finish(mut self, buckets: Buckets) -> Vec<CensusRow> {
        self.changes.sort_unstable();
        let mut changes = self.changes.into_iter().peekable();
        let mut counts = [0_i64; SLOTS];
        let mut rows = Vec::new();
        for end in buckets.ends() {
            while let Some((_, slot, by)) = changes.next_if(|change| change.0 <= end.as_nanos()) {
                if let Some(count) = counts.get_mut(usize::from(slot)) {
                    *count += by;
                }
            }
            for side in Side::BOTH {
                for state in State::ALL {
                    let count = counts.get(usize::from(slot(side, state))).copied().unwrap_or(0);
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
    use crate::metrics::rows::Opening;
    use crate::metrics::synthetic::{Draft, at};
    use crate::time::Span;

    fn rows(reports: &[ConnectionReport], first: i64, last: i64, bucket: Option<i64>) -> Vec<(i64, String, u64)> {
        let mut census = Census::default();
        reports.iter().for_each(|report| census.add(report));
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
    fn very_many_changes_are_merged_without_changing_a_count() {
        let mut merged = Census::default();
        for n in 0..2_000 {
            let from = n * NANOS_PER_SEC + n;
            merged.add(&client(&[(from, State::SynSent), (from + 700_000_000, State::Established)]));
        }
        let exact = merged.clone();
        merged.resolution = NANOS_PER_SEC;
        merged.compact();
        assert!(merged.changes.len() < exact.changes.len());
        let buckets = Buckets::new(at(0), at(2_000 * NANOS_PER_SEC), None);
        assert_eq!(merged.finish(buckets), exact.finish(buckets));
    }
}
