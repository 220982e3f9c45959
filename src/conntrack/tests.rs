//! The table: what stays packed, what is let go, what is given up.

use super::config::Config;
use super::ended::{Ended, Teller};
use super::tracker::Tracker;
use crate::metrics::rows::{Closing, ConnectionReport, Opening};
use crate::tcp::segment::{Addressed, Flags, FrameId, HostPort, Options, Segment};
use crate::tcp::seq::SeqNum;
use crate::time::{Span, Timestamp};

const CLIENT: HostPort = HostPort::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1)), 40_000);
const SERVER: HostPort = HostPort::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2)), 80);

/// A conversation: each line is who sends, at which second, the flags, sequence and acknowledgement number, payload.
struct Conversation {
    frame: u64,
    port: u16,
}

impl Conversation {
    fn says(&mut self, client: bool, second: i64, flags: Flags, seq: u32, ack: u32, payload: u32) -> Addressed {
        let ends = [HostPort { port: self.port, ..CLIENT }, SERVER];
        let (src, dst) = if client { (ends[0], ends[1]) } else { (ends[1], ends[0]) };
        self.frame += 1;
        let segment = Segment {
            ts: Timestamp::from_nanos(0).plus(Span::from_secs(second)),
            ordinal: self.frame - 1,
            frame: FrameId::new(0, self.frame),
            seq: SeqNum::new(seq),
            ack: SeqNum::new(ack),
            flags,
            window: 1_000,
            payload_len: payload,
            ip_len: 40 + payload,
            ip_id: Some(self.frame as u16),
            checksum: 0,
            bad_checksum: false,
            options_cut: false,
            options: Options::default(),
        };
        Addressed { src, dst, vlan: None, tunnel: None, segment }
    }

    fn handshake(&mut self, second: i64) -> Vec<Addressed> {
        vec![
            self.says(true, second, Flags::SYN, 100, 0, 0),
            self.says(false, second, Flags::SYN.or(Flags::ACK), 500, 101, 0),
            self.says(true, second, Flags::ACK, 101, 501, 0),
        ]
    }

    fn close(&mut self, second: i64) -> Vec<Addressed> {
        let fin = Flags::FIN.or(Flags::ACK);
        vec![
            self.says(true, second, fin, 101, 501, 0),
            self.says(false, second, fin, 501, 102, 0),
            self.says(true, second, Flags::ACK, 102, 502, 0),
        ]
    }
}

fn conversation() -> Conversation {
    Conversation { frame: 0, port: CLIENT.port }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_nanos(0).plus(Span::from_secs(second))
}

fn reports(ended: &Ended) -> Vec<ConnectionReport> {
    let mut teller = Teller::new(Config::default());
    ended.items().map(|item| teller.report(ended, item)).collect()
}

/// What is let go at each of `seconds`.
fn let_go(tracker: &mut Tracker, seconds: &[i64]) -> Vec<usize> {
    let let_go = |&second: &i64| {
        tracker.expire(at(second));
        tracker.take().len()
    };
    seconds.iter().map(let_go).collect()
}

#[test]
fn a_closed_connection_is_let_go_after_its_time_wait_and_what_comes_later_is_another() {
    let (mut talk, mut tracker) = (conversation(), Tracker::new(Config::default()));
    tracker.feed_all(&talk.handshake(0));
    tracker.feed_all(&talk.close(5));
    assert_eq!(let_go(&mut tracker, &[60, 64]), [0, 0]);
    tracker.expire(at(66));
    let told = reports(&tracker.take());
    assert_eq!((told.len(), told[0].connection.closing, told[0].time_wait.len()), (1, Closing::Fin, 1));
    tracker.feed_all(&[talk.says(true, 70, Flags::ACK, 102, 502, 0)]);
    assert_eq!(tracker.take().starts, [6]);
}

#[test]
fn one_that_waits_for_nothing_but_its_timer_is_kept_while_packets_come() {
    let (mut talk, mut tracker) = (conversation(), Tracker::new(Config::default()));
    tracker.feed_all(&talk.handshake(0));
    tracker.feed_all(&talk.close(5));
    tracker.feed_all(&[talk.says(false, 50, Flags::FIN.or(Flags::ACK), 501, 102, 0)]);
    assert_eq!(let_go(&mut tracker, &[66, 100, 111]), [0, 0, 1]);
}

#[test]
fn silence_alone_ends_nothing() {
    let (mut talk, mut tracker) = (conversation(), Tracker::new(Config::default()));
    tracker.feed_all(&talk.handshake(0));
    assert_eq!(let_go(&mut tracker, &[100, 1_000_000]), [0, 0]);
    tracker.feed_all(&talk.close(1_000_000));
    assert_eq!(let_go(&mut tracker, &[1_000_070]), [1]);
}

#[test]
fn a_half_closed_connection_is_kept_and_one_with_an_rst_or_without_an_answer_is_not() {
    let (mut talk, mut tracker) = (conversation(), Tracker::new(Config::default()));
    tracker.feed_all(&talk.handshake(0));
    tracker.feed_all(&talk.close(0)[..1]);
    talk.port = 40_001;
    tracker.feed_all(&talk.handshake(0));
    tracker.feed_all(&[talk.says(false, 1, Flags::RST, 501, 0, 0)]);
    talk.port = 40_002;
    tracker.feed_all(&talk.handshake(0)[..1]);
    tracker.expire(at(100));
    let mut told: Vec<_> = reports(&tracker.take()).iter().map(|report| report.connection.opening).collect();
    told.sort();
    assert_eq!(told, [Opening::Handshake, Opening::NoAnswer]);
    assert_eq!(let_go(&mut tracker, &[1_000]), [0]);
}

#[test]
fn an_rst_that_is_followed_by_data_ended_nothing() {
    let (mut talk, mut tracker) = (conversation(), Tracker::new(Config::default()));
    tracker.feed_all(&talk.handshake(0));
    tracker.feed_all(&[talk.says(false, 1, Flags::RST, 90_000, 0, 0), talk.says(true, 2, Flags::ACK, 101, 501, 10)]);
    assert_eq!(let_go(&mut tracker, &[100]), [0]);
}

#[test]
fn long_connections_are_let_go_too() {
    let (mut talk, mut tracker) = (conversation(), Tracker::new(Config::default()));
    tracker.feed_all(&talk.handshake(0));
    for n in 0..100 {
        tracker.feed_all(&[talk.says(true, 1, Flags::ACK, 101 + n * 10, 501, 10)]);
    }
    let fin = Flags::FIN.or(Flags::ACK);
    tracker.feed_all(&[
        talk.says(true, 5, fin, 1_101, 501, 0),
        talk.says(false, 5, fin, 501, 1_102, 0),
        talk.says(true, 5, Flags::ACK, 1_102, 502, 0),
    ]);
    tracker.expire(at(64));
    assert!(tracker.take().is_empty());
    tracker.expire(at(67));
    let told = reports(&tracker.take());
    assert_eq!((told.len(), told[0].connection.payload_bytes[0]), (1, 1_000));
}

#[test]
fn a_port_used_again_begins_packed_again() {
    let (mut talk, mut tracker) = (conversation(), Tracker::new(Config::default()));
    for second in [0, 10, 20] {
        tracker.feed_all(&talk.handshake(second));
        tracker.feed_all(&talk.close(second));
    }
    let ended = tracker.take();
    assert_eq!((ended.len(), &ended.starts[..], &ended.dropped[..]), (2, &[0, 6, 12][..], &[][..]));
    let told = reports(&ended);
    assert!(told.iter().all(|report| report.connection.packets == [4, 2]));
}

#[test]
fn what_does_not_fit_is_given_up_the_least_worth_first() {
    let mut tracker = Tracker::new(Config { max_bytes: 64 * 1_000, ..Config::default() });
    let mut talk = conversation();
    let mut given_up = 0;
    for port in 1..2_000 {
        talk.port = port;
        let whole = if port % 2 == 0 { 3 } else { 1 };
        tracker.feed_all(&talk.handshake(i64::from(port))[..whole]);
        for report in reports(&tracker.take()) {
            given_up += 1;
            assert_eq!(report.connection.closing, Closing::Evicted);
        }
    }
    assert!(given_up > 1_000, "{given_up}");
    let mut kept = [0, 0];
    tracker.finish(at(3_000), &mut |report| kept[usize::from(report.connection.packets[1] > 0)] += 1);
    assert!(kept[1] > kept[0], "{kept:?}: half-open ones are given up first");
}

#[test]
fn a_port_used_again_and_again_leaves_nothing_behind() {
    let (mut talk, mut tracker) = (conversation(), Tracker::new(Config::default()));
    for n in 0..80_000 {
        let reset = talk.says(false, 0, Flags::RST.or(Flags::ACK), 0, n * 1_000 + 1, 0);
        tracker.feed_all(&[talk.says(true, 0, Flags::SYN, n * 1_000, 0, 0), reset]);
        tracker.take();
    }
    assert!(tracker.entries() < 70_000, "{}", tracker.entries());
}
