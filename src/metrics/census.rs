//! How many endpoints are in each state, over time. In: each connection's report, in any order. Out: a row a bucket, side
//! and state: a passive `ss -ant` at each bucket's end.

use super::rows::{CensusRow, Closing, ConnectionReport};
use crate::tcp::state::{Side, State};
use crate::time::{NANOS_PER_SEC, Span, Timestamp};

/// Most buckets that are chosen for a capture.
pub const MAX_BUCKETS: i64 = 600;
/// Most buckets that an asked width may give; a narrower one is widened until it does.
pub const MAX_ASKED_BUCKETS: i64 = 100_000;
/// Changes kept before they are first merged.
const MAX_CHANGES: usize = 1 << 20;

const MINUTE: i64 = 60 * NANOS_PER_SEC;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

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

    /// The rows, by bucket, side and state, of a capture from `first` to `last`.
    ///
    /// Buckets end at multiples of their width, counted from the epoch, and the last one where the capture ends, so that
    /// it agrees with `client_state` and `server_state`. The width is `bucket` where one is asked for, else the least of
    /// 1, 2, 5 × 10ⁿ ns below a second and of 1, 2, 5, 10, 30 s or min, 1, 2, 6, 12 h, 1, 2, 7, 14 … days above that
    /// gives at most [`MAX_BUCKETS`].
    pub fn finish(mut self, first: Timestamp, last: Timestamp, bucket: Option<Span>) -> Vec<CensusRow> {
        let (first, last) = (first.as_nanos(), last.as_nanos().max(first.as_nanos()));
        let width = width(last.saturating_sub(first), bucket);
        self.changes.sort_unstable();
        let mut changes = self.changes.into_iter().peekable();
        let mut counts = [0_i64; SLOTS];
        let mut rows = Vec::new();
        let mut end = round_up(first.saturating_add(1), width).min(last);
        loop {
            while let Some((_, slot, by)) = changes.next_if(|change| change.0 <= end) {
                if let Some(count) = counts.get_mut(usize::from(slot)) {
                    *count += by;
                }
            }
            for side in Side::BOTH {
                for state in State::ALL {
                    let count = counts.get(usize::from(slot(side, state))).copied().unwrap_or(0);
                    if let Ok(connections @ 1..) = u64::try_from(count) {
                        rows.push(CensusRow { bucket_ts: Timestamp::from_nanos(end), side, state, connections });
                    }
                }
            }
            if end >= last {
                return rows;
            }
            end = end.saturating_add(width).min(last);
        }
    }
}

/// The least multiple of `step` that is not below `value`, or `value` where there is none in range.
fn round_up(value: i64, step: i64) -> i64 {
    let over = value.rem_euclid(step);
    if over == 0 { value } else { value.checked_add(step - over).unwrap_or(value) }
}

/// The width of the buckets for a capture of `length` nanoseconds.
fn width(length: i64, asked: Option<Span>) -> i64 {
    // Neither the first nor the last bucket need be whole, hence two fewer.
    let least = |buckets: i64| length / (buckets - 2) + 1;
    match asked {
        Some(asked) => asked.as_nanos().max(least(MAX_ASKED_BUCKETS)),
        None => human_width(least(MAX_BUCKETS)),
    }
}

/// The least width of the human ladder that is at least `wanted` nanoseconds.
fn human_width(wanted: i64) -> i64 {
    let seconds = [1, 2, 5, 10, 30].map(|n| n * NANOS_PER_SEC);
    let minutes = [1, 2, 5, 10, 30].map(|n| n * MINUTE);
    let hours = [1, 2, 6, 12].map(|n| n * HOUR);
    let below = (0..9).flat_map(|power| [1, 2, 5].map(|n| n * 10_i64.pow(power)));
    let days = [1, 2, 7, 14, 28, 56, 112, 224].map(|n| n * DAY);
    let mut ladder = below.chain(seconds).chain(minutes).chain(hours).chain(days);
    ladder.find(|&width| width >= wanted).unwrap_or(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::rows::Opening;
    use crate::metrics::synthetic::{Draft, at};

    fn rows(reports: &[ConnectionReport], first: i64, last: i64, bucket: Option<i64>) -> Vec<(i64, String, u64)> {
        let mut census = Census::default();
        reports.iter().for_each(|report| census.add(report));
        let rows = census.finish(at(first), at(last), bucket.map(Span::from_nanos));
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
    fn widths_are_human_and_give_at_most_600_buckets() {
        let lengths = [0, 1, 599, 600, 1_234_567, NANOS_PER_SEC, 90 * NANOS_PER_SEC, HOUR, DAY, 400 * DAY, i64::MAX];
        for length in lengths {
            let width = width(length, None);
            assert!(length / width + 2 <= MAX_BUCKETS, "{length}: {width}");
        }
        assert_eq!(width(10 * NANOS_PER_SEC, None), 20_000_000);
        assert_eq!(width(724 * NANOS_PER_SEC, None), 2 * NANOS_PER_SEC);
        assert_eq!(width(5 * HOUR, None), 60 * NANOS_PER_SEC);
        assert_eq!(width(7 * DAY, None), 30 * MINUTE);
    }

    #[test]
    fn an_asked_width_that_would_give_too_many_buckets_is_widened() {
        assert_eq!(width(HOUR, Some(Span::from_secs(1))), NANOS_PER_SEC);
        assert!(HOUR / width(HOUR, Some(Span::from_nanos(1))) <= MAX_ASKED_BUCKETS);
        assert!(width(0, Some(Span::from_nanos(-5))) > 0);
    }

    #[test]
    fn the_ends_of_the_range_neither_overflow_nor_hang() {
        let census = Census::default();
        assert_eq!(census.clone().finish(Timestamp::MIN, Timestamp::MAX, None), []);
        assert_eq!(census.finish(Timestamp::MAX, Timestamp::MAX, None), []);
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
        let (first, last) = (at(0), at(2_000 * NANOS_PER_SEC));
        assert_eq!(merged.finish(first, last, None), exact.finish(first, last, None));
    }
}
