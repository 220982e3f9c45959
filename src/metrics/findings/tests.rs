//! What is told of a few connections, word for word.

use super::finding::SUBJECTS;
use super::*;
use crate::metrics::rows::Opening;
use crate::metrics::synthetic::{Draft, Run, Shape, at, run};
use crate::tcp::segment::FrameId;
use crate::tcp::state::State;

fn found(reports: Vec<ConnectionReport>) -> Vec<(char, String, String, Vec<u64>)> {
    let Run { mut summary, .. } = run(Shape { connections: 0, ..Shape::default() });
    summary.captures[0].drops = Some(0);
    let number = |(id, mut report): (u64, ConnectionReport)| {
        report.number(id);
        report.connection.first_frame = FrameId::new(0, id * 10);
        report.transitions.iter_mut().for_each(|row| row.frame = Some(FrameId::new(0, id * 10 + 1)));
        report
    };
    let tell = |finding: Finding| {
        let frames = finding.frames.iter().map(|frame| frame.number()).collect();
        (finding.severity.mark(), finding.subject, finding.text, frames)
    };
    let reports = (1..).zip(reports).map(number).collect();
    Run { reports, summary }.findings().into_iter().map(tell).collect()
}

const S: i64 = 1_000_000_000;

#[test]
fn a_full_accept_queue_is_told_with_the_waits() {
    let full = |waited: i64| {
        let changes = [(0, State::SynReceived), (waited, State::Established)];
        Draft::to("10.0.0.5:443").handshake(0, 1).changes(Side::Server, &changes).with(|report| {
            report.connection.accept_queue_overflow = true;
            report.connection.syn_ack_retransmissions = 1;
            report.connection.accept_wait_ns = Some(waited);
            report.waiting.held_off_since = Some(at(0));
        })
    };
    let silent = Draft::to("10.0.0.5:443").handshake(0, 1).changes(Side::Server, &[(0, State::Established)]).done();
    let text = "accept queue full: 2 connections kept waiting by it, 1.02 s to 7.10 s from the final ACK on, up to 2 at once; \
                the queue holds no more than 1";
    assert_eq!(
        found(vec![full(1_020_000_000).done(), full(7_100_000_000).done(), silent]),
        [('!', "10.0.0.5:443".into(), text.into(), vec![10, 20])]
    );
}

#[test]
fn an_application_that_does_not_close_is_told_with_the_fins_frame() {
    let slow = Draft::to("10.0.0.7:5432").changes(Side::Server, &[(0, State::CloseWait)]);
    let slow = slow.with(|report| report.connection.close_wait_ns = [None, Some(31 * S)]).done();
    let quick = Draft::to("10.0.0.7:5432").with(|report| report.connection.close_wait_ns = [Some(9 * S), None]).done();
    let text =
        "1 connection in CLOSE_WAIT for 31.0 s, still in it at the capture's end: the application does not close";
    assert_eq!(found(vec![slow, quick]), [('!', "10.0.0.7:5432".into(), text.into(), vec![11])]);
}

#[test]
fn repeated_syns_count_where_the_attempt_succeeded() {
    let repeated = |opening| {
        Draft::to("10.0.0.5:443").opening(opening).with(|report| {
            let row = &mut report.connection;
            (row.syn_packets, row.syn_retransmissions) = (3, 2);
            row.syn_wait_ns = Some(3 * S);
        })
    };
    let found = found(vec![repeated(Opening::Handshake).done(), repeated(Opening::NoAnswer).done()]);
    let texts: Vec<_> = found.iter().map(|finding| finding.2.as_str()).collect();
    assert_eq!(texts, ["1 attempt unanswered (3 SYNs)", "2 SYNs repeated on 1 connection: 1 waited 3.00 s for that"]);
}

#[test]
fn very_many_listeners_share_a_line() {
    let scan = (1..=1_000).map(|port| Draft::to(&format!("10.0.0.5:{port}")).opening(Opening::Refused).done());
    let found = found(scan.collect());
    assert_eq!(found.len(), SUBJECTS + 1);
    assert_eq!((found[0].1.as_str(), found[0].2.as_str()), ("10.0.0.5:1", "1 attempt refused"));
    assert_eq!((found[3].1.as_str(), found[3].2.as_str()), ("997 more listeners", "997 attempts refused"));
    assert_eq!(found[3].3, [40, 50, 60, 70, 80]);
}

#[test]
fn what_the_tap_lost_comes_first() {
    let mut run = run(Shape { connections: 100, ..Shape::default() });
    let summary = &mut run.summary;
    summary.captures[0].drops = Some(1_200);
    summary.captures[0].error = Some("the file ends inside record 18,220".into());
    summary.evictions = 3;
    let findings = run.findings();
    assert_eq!(findings[0].kind, "input_incomplete");
    assert!(findings[0].text.starts_with("not read to its end: the file ends inside record 18,220 ("));
    assert!(findings.iter().any(|finding| finding.kind == "evictions"));
    assert_eq!(findings[1].text, "the tap dropped 1,200 packets: what is missing looks like loss on the path");
    assert!(findings.is_sorted_by_key(|finding| finding.severity));
}

#[test]
fn a_healthy_run_has_nothing_to_tell() {
    assert_eq!(found(vec![Draft::to("10.0.0.5:443").handshake(0, 5).done()]), []);
}
