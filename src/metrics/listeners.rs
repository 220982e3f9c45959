//! Connections → listeners. In: each connection's report, in any order. Out: a row a server address and port, and its queues
//! over time.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::buckets::{Buckets, MAX_ROWS};
use super::levels::{Level, Levels, Sorted};
use super::quantiles::quantiles;
use super::rows::{Closing, ConnectionReport, ListenerQueueRow, ListenerRow, Opening};
use crate::tcp::segment::HostPort;
use crate::tcp::state::{Side, State};
use crate::time::{Span, Timestamp};

/// How long a connection is counted in SYN_RECEIVED where no packet shows how that ended. Linux repeats a SYN-ACK five times
/// (`tcp_synack_retries`) after 1, 2, 4, 8 and 16 s and gives up 32 s after the last: 63 s. Nothing on the wire shows it.
pub const HALF_OPEN_LASTS: Span = Span::from_secs(63);

/// The fold of `listeners` and `listener_queues`. A listener is a server address and port that an attempt was made to: a
/// connection that began with a SYN or a SYN-ACK. Connections that were already running when the capture began are not its
/// attempts and, alone, make no row: no packet shows that anything listens there. Beside attempts they count where a figure is
/// about connections: repeated FINs, CLOSE_WAIT, TIME_WAIT.
#[derive(Clone, Debug, Default)]
pub struct Listeners {
    all: HashMap<HostPort, Fold>,
}

// Where a server's endpoint can wait, as places of `Levels`. The first four are told over time.
const SYN_RECEIVED: u8 = 0;
/// In SYN_RECEIVED although its client has completed the handshake: the accept queue is full.
const HELD_OFF: u8 = 1;
const CLOSE_WAIT: u8 = 2;
const TIME_WAIT: u8 = 3;
const OVER_TIME: usize = 4;
/// Established, and the server has sent nothing: the application may not have accepted it.
const SILENT: u8 = 4;

#[derive(Clone, Debug, Default)]
struct Fold {
    attempts: u64,
    established: u64,
    refused: u64,
    no_answer: u64,
    half_open: u64,
    aborted: u64,
    connect: Vec<i64>,
    syn_wait: Vec<i64>,
    handshake: Vec<i64>,
    syn_retransmissions: u64,
    syn_ack_retransmissions: u64,
    accept_queue_overflows: u64,
    accept_wait: Vec<i64>,
    /// When the accept queue was full.
    full_at: Vec<Timestamp>,
    fin_retransmissions: u64,
    close_wait: Vec<i64>,
    close_wait_open: u64,
    waiting: Levels,
}

impl Listeners {
    /// Takes one connection.
    pub fn add(&mut self, report: &ConnectionReport) {
        let row = &report.connection;
        let fold = self.all.entry(row.who.server).or_default();
        // A SYN-ACK without its SYN is `midstream`, yet it shows an attempt.
        let attempt = row.opening != Opening::Midstream || row.syn_ack_packets > 0;
        fold.attempts += u64::from(attempt);
        match row.opening {
            Opening::Handshake | Opening::Simultaneous => fold.established += 1,
            Opening::Refused => fold.refused += 1,
            Opening::NoAnswer => fold.no_answer += 1,
            Opening::HalfOpen => fold.half_open += 1,
            Opening::Aborted => fold.aborted += 1,
            Opening::Unreachable | Opening::Midstream => {}
        }
        fold.connect.extend(row.connect_ns);
        fold.syn_wait.extend(row.syn_wait_ns);
        fold.handshake.extend(row.handshake_ns);
        fold.syn_retransmissions += row.syn_retransmissions;
        fold.syn_ack_retransmissions += row.syn_ack_retransmissions;
        fold.accept_queue_overflows += u64::from(row.accept_queue_overflow);
        fold.accept_wait.extend(row.accept_wait_ns);
        fold.full_at.extend(report.waiting.held_off_since);
        fold.fin_retransmissions += row.fin_retransmissions.iter().sum::<u64>();
        fold.close_wait.extend(row.close_wait_ns[Side::Server.index()]);
        fold.wait(report);
    }

    /// The rows, by server address, then port; and those of `listener_queues`, by bucket, then listener. Of these there are at
    /// most [`MAX_ROWS`], unless a single listener has more: the listeners where most came and went are told first.
    pub fn finish(self, buckets: Option<Buckets>) -> (Vec<ListenerRow>, Vec<ListenerQueueRow>) {
        let mut folds: Vec<_> = self.all.into_iter().filter(|(_, fold)| fold.attempts > 0).collect();
        folds.sort_unstable_by_key(|(server, fold)| (Reverse(fold.waiting.changes()), *server));
        let (mut rows, mut queues, mut room) = (Vec::with_capacity(folds.len()), Vec::new(), buckets.is_some());
        for (server, mut fold) in folds {
            let waiting = std::mem::take(&mut fold.waiting).sort();
            if let Some(buckets) = buckets.filter(|_| room) {
                let own = over_time(server, &waiting, buckets);
                room = queues.is_empty() || queues.len() + own.len() <= MAX_ROWS;
                if room {
                    queues.extend(own);
                }
            }
            rows.push(fold.row(server, &waiting));
        }
        rows.sort_unstable_by_key(|row| row.server);
        queues.sort_unstable_by_key(|row| (row.bucket_ts, row.server));
        (rows, queues)
    }
}

impl Fold {
    /// Notes where the server's end of the connection waited, and how long.
    fn wait(&mut self, report: &ConnectionReport) {
        let row = &report.connection;
        let evicted = row.closing == Closing::Evicted;
        for (state, from, until) in stays(report, Side::Server) {
            // What became of an evicted connection nobody knows, so it is counted up to its last packet.
            let until = until.or_else(|| evicted.then_some(row.last_ts));
            match state {
                State::SynReceived => {
                    let until = until.unwrap_or_else(|| from.plus(HALF_OPEN_LASTS).max(row.last_ts));
                    self.waiting.add(SYN_RECEIVED, from, Some(until));
                    if let Some(since) = report.waiting.held_off_since {
                        self.waiting.add(HELD_OFF, since.max(from), Some(until));
                    }
                }
                State::CloseWait => {
                    self.waiting.add(CLOSE_WAIT, from, until);
                    self.close_wait_open += u64::from(until.is_none());
                }
                _ => {}
            }
        }
        for stay in report.time_wait.iter().filter(|stay| stay.side == Side::Server) {
            let until = stay.ended_ts.or_else(|| evicted.then_some(row.last_ts));
            self.waiting.add(TIME_WAIT, stay.entered_ts, until);
        }
        let mut taken = stays(report, Side::Server)
            .skip_while(|(state, ..)| !matches!(state, State::Established | State::CloseWait));
        if let Some((_, from, _)) = taken.next() {
            let acts = taken.find(|(state, ..)| *state != State::CloseWait).map(|(_, ts, _)| ts);
            let spoke = [report.waiting.server_spoke, acts].into_iter().flatten().min();
            self.waiting.add(SILENT, from, spoke.or_else(|| evicted.then_some(row.last_ts)));
        }
    }

    fn row(self, server: HostPort, waiting: &Sorted) -> ListenerRow {
        let (half_open_peak, half_open_peak_ts) = waiting.peak(SYN_RECEIVED);
        let (held_off_peak, held_off_peak_ts) = waiting.peak(HELD_OFF);
        ListenerRow {
            server,
            attempts: self.attempts,
            established: self.established,
            refused: self.refused,
            no_answer: self.no_answer,
            half_open: self.half_open,
            aborted: self.aborted,
            connect: quantiles(self.connect),
            handshake: quantiles(self.handshake),
            syn_retransmissions: self.syn_retransmissions,
            syn_ack_retransmissions: self.syn_ack_retransmissions,
            half_open_peak,
            half_open_peak_ts,
            accept_queue_overflows: self.accept_queue_overflows,
            fin_retransmissions: self.fin_retransmissions,
            close_wait: quantiles(self.close_wait),
            time_wait_peak: waiting.peak(TIME_WAIT).0,
            syn_wait: quantiles(self.syn_wait),
            accept_wait: quantiles(self.accept_wait),
            held_off_peak,
            held_off_peak_ts,
            // The last of them was ignored, so the queue was full just then; and a full queue holds one at least.
            unaccepted_at_least: (held_off_peak > 0).then_some(held_off_peak + 1),
            // What sits in the queue is established and its server silent. If there is nobody like that, the tap does not see
            // all of the listener's connections.
            accept_queue_at_most: waiting.least_at(SILENT, self.full_at).filter(|&most| most > 0),
            close_wait_open: self.close_wait_open,
        }
    }
}

fn over_time(server: HostPort, waiting: &Sorted, buckets: Buckets) -> Vec<ListenerQueueRow> {
    let levels = waiting.in_buckets::<OVER_TIME>(buckets).into_iter();
    // Who came and went inside a bucket shows in the peak of SYN_RECEIVED alone.
    let told = |of: &[Level; OVER_TIME]| of[0].peak > 0 || of.iter().any(|level| level.at_end > 0);
    let rows = levels.filter(|(_, levels)| told(levels));
    rows.map(|(bucket_ts, [syn_received, held_off, close_wait, time_wait])| ListenerQueueRow {
        bucket_ts,
        server,
        syn_received: syn_received.at_end,
        held_off: held_off.at_end,
        close_wait: close_wait.at_end,
        time_wait: time_wait.at_end,
        syn_received_peak: syn_received.peak,
    })
    .collect()
}

/// The states that `side` came into, when, and when it left them (`None`: it is still there), by its rows that were not
/// retracted. A row whose timestamp lies before the row before it counts from there.
fn stays(report: &ConnectionReport, side: Side) -> impl Iterator<Item = (State, Timestamp, Option<Timestamp>)> + '_ {
    let mut now = Timestamp::MIN;
    let rows = report.transitions.iter().filter(move |row| row.side == side && !row.retracted);
    let mut rows = rows
        .map(move |row| {
            now = now.max(row.ts);
            (row.to_state, now)
        })
        .peekable();
    std::iter::from_fn(move || {
        let (state, from) = rows.next()?;
        Some((state, from, rows.peek().map(|next| next.1)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::rows::Waiting;
    use crate::metrics::synthetic::{Draft, at};

    fn rows(reports: &[ConnectionReport]) -> Vec<ListenerRow> {
        let mut listeners = Listeners::default();
        reports.iter().for_each(|report| listeners.add(report));
        listeners.finish(None).0
    }

    #[test]
    fn attempts_are_counted_by_how_they_opened() {
        let reports = [
            Draft::to("10.0.0.9:443").handshake(0, 2_000).done(),
            Draft::to("10.0.0.9:443").handshake(5_000, 4_000).done(),
            Draft::to("10.0.0.9:443").opening(Opening::Simultaneous).done(),
            Draft::to("10.0.0.9:443").opening(Opening::Refused).done(),
            Draft::to("10.0.0.9:443").opening(Opening::NoAnswer).done(),
            Draft::to("10.0.0.9:443").opening(Opening::Aborted).done(),
            Draft::to("10.0.0.9:443").opening(Opening::Unreachable).done(),
            Draft::to("10.0.0.9:80").opening(Opening::HalfOpen).done(),
        ];
        let rows = rows(&reports);
        let servers: Vec<_> = rows.iter().map(|row| row.server.to_string()).collect();
        assert_eq!(servers, ["10.0.0.9:80", "10.0.0.9:443"]);
        let row = &rows[1];
        assert_eq!((row.attempts, row.established, row.refused), (7, 3, 1));
        assert_eq!((row.no_answer, row.half_open, row.aborted), (1, 0, 1));
        assert_eq!((row.handshake.count, row.handshake.p50, row.handshake.max), (2, Some(2_000), Some(4_000)));
        assert_eq!((rows[0].attempts, rows[0].half_open, rows[0].handshake.p50), (1, 1, None));
    }

    #[test]
    fn connections_already_running_are_no_attempts_and_make_no_row() {
        let midstream = || Draft::to("10.0.0.9:443").opening(Opening::Midstream);
        assert_eq!(rows(&[midstream().done()]), []);
        let mut fins = midstream().done();
        fins.connection.fin_retransmissions = [1, 2];
        let with_attempt = rows(&[fins, Draft::to("10.0.0.9:443").handshake(0, 1).done()]);
        assert_eq!((with_attempt[0].attempts, with_attempt[0].fin_retransmissions), (1, 3));
    }

    #[test]
    fn a_syn_ack_without_its_syn_is_an_attempt() {
        let mut report = Draft::to("10.0.0.9:443").opening(Opening::Midstream).done();
        report.connection.syn_ack_packets = 1;
        assert_eq!(rows(&[report])[0].attempts, 1);
    }

    #[test]
    fn the_half_open_peak_is_the_most_at_once() {
        let half_open = |from: i64, until: i64| {
            Draft::to("10.0.0.9:443")
                .changes(Side::Server, &[(from, State::SynReceived), (until, State::Established)])
                .done()
        };
        let open_for_ever =
            Draft::to("10.0.0.9:443").opening(Opening::HalfOpen).changes(Side::Server, &[(25, State::SynReceived)]);
        let rows = rows(&[half_open(10, 30), half_open(20, 40), half_open(40, 50), open_for_ever.done()]);
        assert_eq!((rows[0].half_open_peak, rows[0].half_open_peak_ts), (3, Some(at(25))));
    }

    #[test]
    fn retracted_changes_count_for_nothing() {
        let mut report = Draft::to("10.0.0.9:443")
            .changes(Side::Server, &[(10, State::SynReceived), (20, State::Established)])
            .done();
        report.transitions.iter_mut().for_each(|row| row.retracted = true);
        assert_eq!((rows(&[report.clone()])[0].half_open_peak, rows(&[report])[0].half_open_peak_ts), (0, None));
    }

    #[test]
    fn an_endpoint_that_nothing_ends_leaves_the_queue_after_63_seconds() {
        let half_open = |from: i64| {
            let draft = Draft::to("10.0.0.9:443").opening(Opening::HalfOpen);
            draft.changes(Side::Server, &[(from, State::SynReceived)]).done()
        };
        let lasts = HALF_OPEN_LASTS.as_nanos();
        assert_eq!(rows(&[half_open(0), half_open(lasts), half_open(lasts)])[0].half_open_peak, 2);
        let mut repeated = half_open(0);
        repeated.connection.last_ts = at(lasts + 1);
        assert_eq!(rows(&[repeated, half_open(lasts)])[0].half_open_peak, 2);
    }

    /// A server's end that was established at `up`, spoke at `spoke`, and ignored a first ACK at `held_off`.
    fn taken(up: i64, spoke: Option<i64>, held_off: Option<i64>) -> ConnectionReport {
        let changes = [(1, State::SynReceived), (up, State::Established)];
        Draft::to("10.0.0.9:443")
            .changes(Side::Server, &changes)
            .with(|report| {
                report.connection.accept_queue_overflow = held_off.is_some();
                report.connection.accept_wait_ns = held_off.map(|since| up - since);
                report.waiting = Waiting { held_off_since: held_off.map(at), server_spoke: spoke.map(at) };
            })
            .done()
    }

    #[test]
    fn a_full_accept_queue_is_bounded_from_both_sides() {
        let reports = [
            taken(10, Some(15), None), // accepted: its server spoke before any ACK was ignored
            taken(11, Some(90), None),
            taken(12, None, None),
            taken(60, None, Some(20)),
            taken(80, Some(85), Some(30)),
            taken(70, Some(75), Some(40)),
        ];
        let row = &rows(&reports)[0];
        assert_eq!((row.accept_queue_overflows, row.held_off_peak, row.held_off_peak_ts), (3, 3, Some(at(40))));
        assert_eq!((row.unaccepted_at_least, row.accept_queue_at_most), (Some(4), Some(2)));
        assert_eq!((row.accept_wait.p50, row.accept_wait.max), (Some(40), Some(50)));
    }

    #[test]
    fn what_closed_without_a_word_was_accepted_and_close_wait_may_wait() {
        let mut closed = taken(10, None, None);
        closed
            .transitions
            .extend(Draft::to("[::1]:1").changes(Side::Server, &[(15, State::FinWait1)]).done().transitions);
        let mut fin = taken(11, None, None);
        fin.transitions
            .extend(Draft::to("[::1]:1").changes(Side::Server, &[(15, State::CloseWait)]).done().transitions);
        let row = &rows(&[closed, fin, taken(60, None, Some(20))])[0];
        assert_eq!((row.accept_queue_at_most, row.close_wait_open), (Some(1), 1));
    }

    #[test]
    fn without_an_overflow_nothing_is_known_of_the_accept_queue() {
        let row = &rows(&[taken(10, Some(15), None)])[0];
        assert_eq!((row.held_off_peak, row.unaccepted_at_least, row.accept_queue_at_most), (0, None, None));
        // An ACK was ignored although nobody can sit in the queue: the tap misses some.
        assert_eq!(rows(&[taken(60, None, Some(20))])[0].accept_queue_at_most, None);
    }

    #[test]
    fn queues_are_told_bucket_by_bucket_and_listener_by_listener() {
        let elsewhere = |server, from: i64, until: i64| {
            let changes = [(from, State::SynReceived), (until, State::CloseWait), (until + 20, State::LastAck)];
            Draft::to(server).changes(Side::Server, &changes).done()
        };
        let mut listeners = Listeners::default();
        listeners.add(&elsewhere("10.0.0.9:443", 5, 25));
        listeners.add(&elsewhere("10.0.0.9:80", 12, 14));
        listeners.add(&Draft::to("10.0.0.9:80").time_wait(Side::Server, 31, None).done());
        let buckets = Buckets::new(at(1), at(50), Some(Span::from_nanos(10)));
        let (_, rows) = listeners.finish(Some(buckets));
        let short: Vec<_> = rows
            .iter()
            .map(|row| {
                let counts = (row.syn_received, row.syn_received_peak, row.close_wait, row.time_wait);
                (row.bucket_ts.as_nanos(), row.server.port, counts)
            })
            .collect();
        let expected = [
            (10, 443, (1, 1, 0, 0)),
            (20, 80, (0, 1, 1, 0)),
            (20, 443, (1, 1, 0, 0)),
            (30, 80, (0, 0, 1, 0)),
            (30, 443, (0, 1, 1, 0)),
            (40, 80, (0, 0, 0, 1)),
            (40, 443, (0, 0, 1, 0)),
            (50, 80, (0, 0, 0, 1)),
        ];
        assert_eq!(short, expected);
    }

    #[test]
    fn the_time_wait_peak_is_of_the_servers_own_endpoints() {
        let stay = |side, from, until| Draft::to("10.0.0.9:443").time_wait(side, from, until).done();
        let reports = [
            stay(Side::Server, 0, Some(60)),
            stay(Side::Server, 30, None),
            stay(Side::Server, 60, Some(90)),
            stay(Side::Client, 30, Some(90)),
        ];
        assert_eq!(rows(&reports)[0].time_wait_peak, 2);
    }
}
