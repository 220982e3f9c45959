//! The table: what stays packed, what is let go, what is given up.

use super::config::Config;
use super::ended::{Ended, Teller};
use super::tracker::Tracker;
use crate::metrics::rows::{Closing, ConnectionReport, Opening};
use crate::tcp::segment::{Addressed, Flags, FrameId, HostPort, Options, Segment, Undelivered, Why};
use crate::tcp::seq::SeqNum;
use crate::tcp::state::Side;
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

/// A handshake in a VLAN a direction.
fn in_vlans(mut segments: Vec<Addressed>, up: u16, down: u16) -> Vec<Addressed> {
    for segment in &mut segments {
        segment.vlan = Some(if segment.src.port == SERVER.port { down } else { up });
    }
    segments
}

/// The same as another customer would send them: with other sequence numbers.
fn of_another(mut segments: Vec<Addressed>) -> Vec<Addressed> {
    for segment in &mut segments {
        segment.segment.seq = segment.segment.seq.plus(7_000);
        segment.segment.ack = segment.segment.ack.plus(7_000);
    }
    segments
}

/// VLAN and packets of each connection, in the order in which they began.
fn told(segments: &[Addressed], config: Config) -> Vec<(Option<u16>, [u64; 2], Opening)> {
    let mut tracker = Tracker::new(config);
    let mut all = Vec::new();
    for some in segments.chunks(5) {
        tracker.feed_all(some);
    }
    all.extend(reports(&tracker.take()));
    tracker.finish(at(100), &mut |report| all.push(report));
    all.sort_by_key(|report| report.ordinal);
    all.iter().map(|one| (one.connection.who.vlan, one.connection.packets, one.connection.opening)).collect()
}

#[test]
fn two_customers_with_the_same_addresses_are_two_connections() {
    let mut tap = conversation();
    let (first, first_end) = (in_vlans(tap.handshake(0), 10, 10), in_vlans(tap.close(5), 10, 10));
    let second = of_another(in_vlans(tap.handshake(1), 20, 20));
    let second_end = of_another(in_vlans(tap.close(6), 20, 20));
    let mixed: Vec<_> = [first, second, first_end, second_end].concat();
    let opened = Opening::Handshake;
    assert_eq!(told(&mixed, Config::default()), [(Some(10), [4, 2], opened), (Some(20), [4, 2], opened)]);
    let ignored = told(&mixed, Config { ignore_vlan: true, ..Config::default() });
    assert_eq!(ignored.len(), 2);
    assert!(ignored[0].1 != [4, 2]);
}

#[test]
fn a_second_customer_s_answers_may_have_a_tag_of_their_own() {
    let mut tap = conversation();
    let (first, first_end) = (in_vlans(tap.handshake(0), 10, 11), in_vlans(tap.close(5), 10, 11));
    let second = of_another(in_vlans(tap.handshake(1), 20, 21));
    let second_end = of_another(in_vlans(tap.close(6), 20, 21));
    let mixed: Vec<_> = [first, second, first_end, second_end].concat();
    assert_eq!(told(&mixed, Config::default()).iter().map(|one| one.1).collect::<Vec<_>>(), [[4, 2]; 2]);
}

#[test]
fn a_span_port_s_tags_make_no_connections() {
    let mut tap = conversation();
    // Another tag a direction, and the 4-tuple used again.
    let mut segments = [tap.handshake(0), tap.close(1)].concat();
    segments.extend(of_another([tap.handshake(10), tap.close(11)].concat()));
    let apart = told(&in_vlans(segments.clone(), 10, 20), Config::default());
    assert_eq!(apart.iter().map(|one| one.1).collect::<Vec<_>>(), [[4, 2]; 2]);
    // Each packet before and behind a router; of the second connection's SYN only the copy behind it.
    let mut routed: Vec<_> =
        segments.iter().flat_map(|packet| [10, 20].map(|vlan| Addressed { vlan: Some(vlan), ..*packet })).collect();
    routed.remove(12);
    assert_eq!(told(&routed, Config::default()).len(), 2);
}

#[test]
fn places_without_end_stay_few_flows() {
    let mut tap = conversation();
    let syns: Vec<_> = (0..2_000)
        .map(|n| {
            let mut syn = tap.says(true, 0, Flags::SYN, n * 1_000, 0, 0);
            syn.vlan = Some(u16::try_from(n).unwrap() + 1);
            syn
        })
        .collect();
    let told = told(&syns, Config::default());
    assert!((2..=16).contains(&told.len()), "{}", told.len());
    assert_eq!(told.iter().map(|one| one.1[0]).sum::<u64>(), 2_000);
}

#[test]
fn icmp_errors_are_told_to_the_connection_that_they_quote() {
    let mut tap = conversation();
    let handshake = tap.handshake(0);
    let (client, server) = (handshake[0].src, handshake[0].dst);
    let mut tracker = Tracker::new(Config::default());
    tracker.feed_all(&handshake);
    let icmp = Undelivered {
        ts: at(1),
        frame: FrameId::new(0, 9),
        src: server,
        dst: client,
        seq: SeqNum::new(501),
        from: "10.9.9.9".parse().unwrap(),
        why: Why::TooBig { mtu: Some(1_400) },
    };
    tracker.undelivered(&icmp);
    tracker.undelivered(&Undelivered { ts: at(2), ..icmp });
    tracker.undelivered(&Undelivered { ts: at(3), seq: SeqNum::new(401), ..icmp });
    tracker.undelivered(&Undelivered { seq: SeqNum::new(502), ..icmp }); // not sent yet
    tracker.undelivered(&Undelivered {
        src: client,
        dst: server,
        seq: SeqNum::new(101),
        why: Why::TimeExceeded,
        ..icmp
    });
    let mut odd = Vec::new();
    tracker.finish(at(2), &mut |report| odd.extend(report.anomalies));
    let odd: Vec<_> = odd.iter().map(|row| (row.kind.name(), row.side, row.count, row.detail.as_str())).collect();
    assert_eq!(
        odd,
        [
            ("icmp_time_exceeded", Some(Side::Client), 1, "10.9.9.9 about sequence number 101"),
            ("icmp_fragmentation_needed", Some(Side::Server), 3, "10.9.9.9 about sequence number 501, MTU 1400 bytes"),
            ("mtu_ignored", Some(Side::Server), 1, "sequence number 501 again, 1.00 s after 10.9.9.9 said so first"),
        ]
    );
}
