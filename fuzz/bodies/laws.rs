//! What a report promises, however odd the packets were. In: reports. Out: a panic where one does not hold.

use finwait::metrics::folds::{Asked, Folds};
use finwait::metrics::rows::ConnectionReport;
use finwait::tcp::state::{Side, State};

/// What the tables promise of every connection, however odd its packets were.
pub fn check(report: &ConnectionReport) {
    let row = &report.connection;
    for side in Side::BOTH {
        let life: Vec<_> = report.transitions.iter().filter(|step| step.side == side && !step.retracted).collect();
        if let Some(first) = life.first() {
            assert!(matches!(first.from_state, None | Some(State::Closed | State::Listen)), "{first:?}");
        }
        for pair in life.windows(2) {
            assert_eq!(pair[1].from_state, Some(pair[0].to_state), "a life has a hole: {pair:?}");
            assert!(pair[0].step < pair[1].step && pair[0].ts <= pair[1].ts, "{pair:?}");
        }
        let last = life.last().map(|step| step.to_state);
        if last.is_some() {
            assert_eq!(row.states[side.index()], last);
        }
        for step in &life {
            if let (Some(earliest), Some(latest)) = (step.earliest_ts, step.latest_ts) {
                assert!(earliest <= latest, "{step:?}");
            }
        }
        let fins = report.fin_retransmissions.iter().filter(|fin| fin.side == side).count();
        assert_eq!(fins as u64, row.fin_retransmissions[side.index()]);
    }
    if let Some(((all, waited), answered)) = row.connect_ns.zip(row.syn_wait_ns).zip(row.syn_to_syn_ack_ns) {
        assert_eq!(all, waited + answered, "{row:?}");
    }
    assert!(row.accept_wait_ns.is_none() || row.accept_queue_overflow, "{row:?}");
    let spans = [row.connect_ns, row.syn_to_syn_ack_ns, row.syn_ack_to_ack_ns, row.handshake_ns];
    let spans = spans.into_iter().chain([row.syn_wait_ns, row.accept_wait_ns]);
    assert!(spans.flatten().all(|span| span >= 0), "{row:?}");
    assert!(row.first_ts <= row.last_ts && row.packets[0] + row.packets[1] > 0, "{row:?}");
}

/// What the tables of listeners promise of all of them together.
pub fn check_together(reports: &[ConnectionReport]) {
    let mut folds = Folds::new(Asked::ALL);
    reports.iter().for_each(|report| folds.add(report));
    let first = reports.iter().map(|report| report.connection.first_ts).min().unwrap_or_default();
    let last = reports.iter().map(|report| report.connection.last_ts).max().unwrap_or_default();
    let told = folds.finish(Some((first, last)));
    let rows = told.listeners;
    for row in told.listener_queues.rows() {
        let listener = rows.iter().find(|listener| listener.server == row.server).expect("it has a row of its own");
        assert!(row.held_off <= row.syn_received && row.syn_received <= row.syn_received_peak, "{row:?}");
        assert!(
            row.syn_received_peak <= listener.half_open_peak && row.time_wait <= listener.time_wait_peak,
            "{row:?}"
        );
    }
    assert!(rows.iter().all(|row| row.held_off_peak <= row.accept_queue_overflows), "{rows:?}");
}
