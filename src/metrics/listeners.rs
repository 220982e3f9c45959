//! Connections → listeners. In: each connection's report, in any order. Out: a row a server address and port.

use std::collections::HashMap;

use super::peak::Peak;
use super::quantiles::quantiles;
use super::rows::{ConnectionReport, ListenerRow, Opening};
use crate::tcp::segment::HostPort;
use crate::tcp::state::{Side, State};
use crate::time::Timestamp;

/// The fold of `listeners`. A listener is a server address and port that an attempt was made to: a connection that began
/// with a SYN or a SYN-ACK. Connections that were already running when the capture began are not its attempts and, alone,
/// make no row: no packet shows that anything listens there. Beside attempts they count where a figure is about
/// connections: repeated FINs, CLOSE_WAIT, TIME_WAIT.
#[derive(Clone, Debug, Default)]
pub struct Listeners {
    all: HashMap<HostPort, Fold>,
}

/// Stays that last until the end of the capture wait here for it.
#[derive(Clone, Debug, Default)]
struct Stays {
    ended: Peak,
    open_since: Vec<Timestamp>,
}

impl Stays {
    fn add(&mut self, from: Timestamp, until: Option<Timestamp>) {
        match until {
            Some(until) => self.ended.add(from, until),
            None => self.open_since.push(from),
        }
    }

    fn peak(mut self) -> (u64, Option<Timestamp>) {
        for from in self.open_since {
            // Whoever is still there when the capture ends is there at its last instant too.
            self.ended.add(from, Timestamp::MAX);
        }
        self.ended.finish()
    }
}

#[derive(Clone, Debug, Default)]
struct Fold {
    attempts: u64,
    established: u64,
    refused: u64,
    no_answer: u64,
    half_open: u64,
    aborted: u64,
    connect: Vec<i64>,
    handshake: Vec<i64>,
    syn_retransmissions: u64,
    syn_ack_retransmissions: u64,
    syn_received: Stays,
    accept_queue_overflows: u64,
    fin_retransmissions: u64,
    close_wait: Vec<i64>,
    time_wait: Stays,
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
        fold.handshake.extend(row.handshake_ns);
        fold.syn_retransmissions += row.syn_retransmissions;
        fold.syn_ack_retransmissions += row.syn_ack_retransmissions;
        fold.accept_queue_overflows += u64::from(row.accept_queue_overflow);
        fold.fin_retransmissions += row.fin_retransmissions.iter().sum::<u64>();
        fold.close_wait.extend(row.close_wait_ns[Side::Server.index()]);
        for (from, until) in stays_in(report, Side::Server, State::SynReceived) {
            fold.syn_received.add(from, until);
        }
        for stay in report.time_wait.iter().filter(|stay| stay.side == Side::Server) {
            fold.time_wait.add(stay.entered_ts, stay.ended_ts);
        }
    }

    /// The rows, by server address, then port.
    pub fn finish(self) -> Vec<ListenerRow> {
        let mut rows: Vec<_> = self
            .all
            .into_iter()
            .filter(|(_, fold)| fold.attempts > 0)
            .map(|(server, fold)| {
                let (half_open_peak, half_open_peak_ts) = fold.syn_received.peak();
                ListenerRow {
                    server,
                    attempts: fold.attempts,
                    established: fold.established,
                    refused: fold.refused,
                    no_answer: fold.no_answer,
                    half_open: fold.half_open,
                    aborted: fold.aborted,
                    connect: quantiles(fold.connect),
                    handshake: quantiles(fold.handshake),
                    syn_retransmissions: fold.syn_retransmissions,
                    syn_ack_retransmissions: fold.syn_ack_retransmissions,
                    half_open_peak,
                    half_open_peak_ts,
                    accept_queue_overflows: fold.accept_queue_overflows,
                    fin_retransmissions: fold.fin_retransmissions,
                    close_wait_p99_ns: quantiles(fold.close_wait).p99,
                    time_wait_peak: fold.time_wait.peak().0,
                }
            })
            .collect();
        rows.sort_unstable_by_key(|row| row.server);
        rows
    }
}

/// When `side` came into `state` and left it (`None`: it is still there), by its rows that were not retracted.
fn stays_in(
    report: &ConnectionReport,
    side: Side,
    state: State,
) -> impl Iterator<Item = (Timestamp, Option<Timestamp>)> + '_ {
    let rows = || report.transitions.iter().filter(move |row| row.side == side && !row.retracted);
    let lefts = rows().skip(1).map(|row| Some(row.ts)).chain([None]);
    rows().zip(lefts).filter(move |(row, _)| row.to_state == state).map(|(row, left)| (row.ts, left))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::synthetic::{Draft, at};

    fn rows(reports: &[ConnectionReport]) -> Vec<ListenerRow> {
        let mut listeners = Listeners::default();
        reports.iter().for_each(|report| listeners.add(report));
        listeners.finish()
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
