//! Listeners told from a few connections, and from very many.

use super::*;
use crate::metrics::rows::Waiting;
use crate::metrics::synthetic::{Draft, at};

fn rows(reports: &[ConnectionReport]) -> Vec<ListenerRow> {
    let mut listeners = Listeners::default();
    reports.iter().for_each(|report| add(&mut listeners, report));
    listeners.finish(None, true).rows
}

fn add(listeners: &mut Listeners, report: &ConnectionReport) {
    listeners.add(report, &Lives::of(report), 1);
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
    let mut report =
        Draft::to("10.0.0.9:443").changes(Side::Server, &[(10, State::SynReceived), (20, State::Established)]).done();
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
    closed.transitions.extend(Draft::to("[::1]:1").changes(Side::Server, &[(15, State::FinWait1)]).done().transitions);
    let mut fin = taken(11, None, None);
    fin.transitions.extend(Draft::to("[::1]:1").changes(Side::Server, &[(15, State::CloseWait)]).done().transitions);
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
    add(&mut listeners, &elsewhere("10.0.0.9:443", 5, 25));
    add(&mut listeners, &elsewhere("10.0.0.9:80", 12, 14));
    add(&mut listeners, &Draft::to("10.0.0.9:80").time_wait(Side::Server, 31, None).done());
    let buckets = Buckets::new(at(1), at(50), Some(Span::from_nanos(10)));
    let rows: Vec<_> = listeners.finish(Some(buckets), true).queues.rows().collect();
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

#[test]
fn of_very_many_listeners_the_busiest_are_told_over_time_in_bounded_memory() {
    const S: i64 = 1_000_000_000;
    let server = |n: i64| format!("10.0.{}.{}:443", n / 250, n % 250 + 1);
    // Every other connection goes to one of ten listeners, the others to one of 590.
    let busy = |n: i64| n % 2 == 0;
    let report = |n: i64| {
        let (from, to) = (n * 4_000_000, if busy(n) { n / 2 % 10 } else { 10 + n / 2 % 590 });
        let changes = [(from, State::SynReceived), (from + S, State::CloseWait), (from + 5 * S, State::LastAck)];
        Draft::to(&server(to)).changes(Side::Server, &changes).done()
    };
    let told = |only: &dyn Fn(i64) -> bool| {
        let mut listeners = Listeners::default();
        for n in (0..200_000).filter(|&n| only(n)) {
            let report = report(n);
            listeners.add(&report, &Lives::of(&report), 2 * S);
        }
        let stretches: usize = listeners.all.values().map(|fold| fold.waiting.stretches()).sum();
        let buckets = Buckets::new(at(0), at(800 * S), Some(Span::from_secs(20)));
        let rows: Vec<_> = listeners.finish(Some(buckets), true).queues.rows().collect();
        (stretches, rows)
    };
    let ends = |rows: &[ListenerQueueRow], n: i64| -> Vec<_> {
        let of = rows.iter().filter(|row| row.server.to_string() == server(n));
        of.map(|row| (row.bucket_ts, row.syn_received, row.close_wait)).collect()
    };
    let (stretches, all) = told(&|_| true);
    assert!((1..=STRETCHES).contains(&stretches), "{stretches}");
    let (none, first) = told(&|n| busy(n) && n / 2 % 10 == 3);
    assert_eq!((none, ends(&first, 3).len()), (0, 40));
    assert_eq!(ends(&all, 3), ends(&first, 3));
    let over_time: HashSet<_> = all.iter().map(|row| row.server).collect();
    assert!((10..600).contains(&over_time.len()), "{}", over_time.len());
}
