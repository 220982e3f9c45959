//! Segments in, marks out: what is split, repeated, cut, reused, and what is too much.

use super::super::tls::tests::*;
use super::*;
use crate::tcp::segment::{FrameId, Options, Segment};

/// A connection whose client sends from port 40000; the next segment of either side begins where its last one ended.
struct Talk {
    reader: Reader,
    next: [u32; 2],
    ordinal: u64,
    client_port: u16,
    /// Bytes of a segment that are captured.
    snaplen: usize,
}

impl Talk {
    fn new() -> Self {
        Self { reader: Reader::default(), next: [100, u32::MAX - 5], ordinal: 0, client_port: 40_000, snaplen: 1 << 16 }
    }

    /// A segment of the client (0) or the server (1); a millisecond after the one before.
    fn send(&mut self, side: usize, payload: &[u8]) -> Option<What> {
        let seq = self.next[side];
        self.next[side] = seq.wrapping_add(payload.len() as u32);
        self.at(side, seq, Flags::ACK, payload)
    }

    fn syn(&mut self) -> Option<What> {
        self.at(0, self.next[0].wrapping_sub(1), Flags::SYN, b"")
    }

    fn at(&mut self, side: usize, seq: u32, flags: Flags, payload: &[u8]) -> Option<What> {
        let ends = [("10.0.0.1", self.client_port), ("10.0.0.2", 443)]
            .map(|(ip, port)| HostPort::new(ip.parse().unwrap(), port));
        self.ordinal += 1;
        let segment = Segment {
            ts: Timestamp::from_nanos(self.ordinal as i64 * 1_000_000),
            ordinal: self.ordinal,
            frame: FrameId::new(0, self.ordinal),
            seq: SeqNum::new(seq),
            ack: SeqNum::new(0),
            flags,
            window: 0,
            payload_len: payload.len() as u32,
            ip_len: 40 + payload.len() as u32,
            ip_id: None,
            checksum: 0,
            bad_checksum: false,
            options_cut: false,
            options: Options::default(),
        };
        let addressed = Addressed { src: ends[side], dst: ends[1 - side], vlan: None, tunnel: None, segment };
        let payload = &payload[..payload.len().min(self.snaplen)];
        if !self.reader.concerns(flags, SeqNum::new(seq), payload) {
            return None;
        }
        let mark = self.reader.read(&addressed, payload)?;
        assert_eq!(mark.ordinal, self.ordinal);
        Some(mark.what)
    }
}

fn asked(what: Option<What>) -> Option<String> {
    match what {
        Some(What::Asked(name)) => name.name.as_ref().map(|name| name.to_string()),
        Some(other) => panic!("{other:?}"),
        None => None,
    }
}

fn secured(what: Option<What>) -> Option<i64> {
    match what {
        Some(What::Secured { took, .. }) => Some(took / 1_000_000),
        Some(other) => panic!("{other:?}"),
        None => None,
    }
}

/// As long as with a post-quantum key share; the name stands behind that.
fn long_hello() -> Vec<u8> {
    client_hello(&[key_share(1_200), sni(b"a.example"), alpn(&[b"h2"])])
}

fn data() -> Vec<u8> {
    in_record(0x17, &[0xaa; 40])
}

/// What OpenSSL sends last in a handshake of TLS 1.3: a change of cipher for old boxes, and its Finished.
fn finished_13() -> Vec<u8> {
    [in_record(0x14, &[1]), data()].concat()
}

#[test]
fn a_hello_in_one_segment_is_read_at_once() {
    assert_eq!(asked(Talk::new().send(0, &long_hello())).as_deref(), Some("a.example"));
}

#[test]
fn a_hello_in_two_or_three_segments_is_put_together() {
    let hello = long_hello();
    for first in [1, 3, 4, 5, 9, 40, 43, 700, hello.len() - 1] {
        for second in [first, first + 1, hello.len() - 1] {
            let mut talk = Talk::new();
            let mut parts = vec![&hello[..first], &hello[first..second], &hello[second..]];
            parts.retain(|part| !part.is_empty());
            let mut last = None;
            for part in &parts {
                last = talk.send(0, part).or(last);
            }
            // Fewer than a record's header do not show what begins.
            let expected = (first > 5).then_some("a.example");
            assert_eq!(asked(last).as_deref(), expected, "{first} {second}");
            assert!(first <= 5 || !talk.reader.waits);
        }
    }
}

#[test]
fn what_is_repeated_or_comes_between_does_no_harm() {
    let hello = long_hello();
    let (head, tail) = hello.split_at(600);
    let mut talk = Talk::new();
    talk.send(0, head);
    talk.at(0, 100, Flags::ACK, head);
    talk.send(1, b"\x00\x01\x02");
    assert_eq!(asked(talk.send(0, tail)).as_deref(), Some("a.example"));
    // The rest never comes, a new connection does.
    talk.send(0, head);
    talk.syn();
    assert!(!talk.reader.waits);
    assert_eq!(asked(talk.send(0, tail)), None);
}

#[test]
fn the_handshake_counts_from_the_first_segment_of_the_hello() {
    let hello = long_hello();
    let mut talk = Talk::new();
    talk.send(0, &hello[..600]);
    talk.send(0, &hello[600..]);
    assert!(matches!(talk.send(1, &server_hello([1; 32], &[chosen_13()])), Some(What::Answered(_))));
    assert_eq!(secured(talk.send(1, &data())), None);
    assert_eq!(secured(talk.send(0, &finished_13())), Some(4));
    assert_eq!(secured(talk.send(0, &data())), None);
    assert_eq!(secured(talk.send(1, &data())), None);
}

#[test]
fn up_to_1_2_the_first_application_data_of_either_side_ends_it() {
    let hello = client_hello(&[sni(b"a.example")]);
    for (side, expected) in [(0, Some(4)), (1, Some(4))] {
        let mut talk = Talk::new();
        talk.send(0, &hello);
        talk.send(1, &server_hello([1; 32], &[alpn(&[b"h2"])]));
        let finished = [in_record(0x16, &[0x10; 70]), in_record(0x14, &[1]), in_record(0x16, &[1; 40])].concat();
        assert_eq!(talk.send(0, &finished), None);
        talk.send(1, &finished);
        assert_eq!(secured(talk.send(side, &data())), expected);
    }
}

#[test]
fn early_data_says_nothing_of_the_handshake() {
    let mut talk = Talk::new();
    talk.send(0, &[client_hello(&[sni(b"a.example"), early_data()]), data()].concat());
    talk.send(0, &data());
    talk.send(1, &server_hello([1; 32], &[chosen_13()]));
    assert_eq!(secured(talk.send(0, &finished_13())), None);
    assert!(talk.reader.handshakes.is_empty());
}

#[test]
fn a_second_hello_that_the_server_asks_for_belongs_to_the_same_handshake() {
    let mut talk = Talk::new();
    talk.send(0, &client_hello(&[sni(b"a.example")]));
    assert_eq!(talk.send(1, &retry()), None);
    talk.send(0, &[in_record(0x14, &[1]), client_hello(&[sni(b"a.example"), key_share(99)])].concat());
    talk.send(1, &server_hello([1; 32], &[chosen_13()]));
    assert_eq!(secured(talk.send(0, &data())), Some(4));
}

#[test]
fn without_a_hello_of_either_side_the_time_is_unknown() {
    let mut talk = Talk::new();
    talk.send(1, &server_hello([1; 32], &[chosen_13()]));
    assert_eq!(talk.send(0, &finished_13()), None);
    let mut talk = Talk::new();
    talk.send(0, &client_hello(&[]));
    assert_eq!(talk.send(0, &finished_13()), None);
    // A SYN in between: another connection.
    let mut talk = Talk::new();
    talk.send(0, &client_hello(&[]));
    talk.send(1, &server_hello([1; 32], &[chosen_13()]));
    talk.syn();
    assert_eq!(talk.send(0, &finished_13()), None);
}

#[test]
fn cut_by_snaplen_a_hello_tells_what_is_there_and_nothing_waits() {
    let mut talk = Talk::new();
    talk.snaplen = 200;
    assert_eq!(
        asked(talk.send(0, &client_hello(&[sni(b"a.example"), key_share(1_200)]))).as_deref(),
        Some("a.example")
    );
    assert!(!talk.reader.waits);
}

#[test]
fn the_host_may_stand_in_the_second_segment() {
    let request = b"GET /a HTTP/1.1\r\nUser-Agent: x\r\nHost: a.example\r\n\r\n";
    for at in [5, 12, 20, 40, 49] {
        let mut talk = Talk::new();
        let first = talk.send(0, &request[..at]);
        assert_eq!(asked(talk.send(0, &request[at..]).or(first)).as_deref(), Some("a.example"), "{at}");
    }
}

#[test]
fn only_the_first_request_and_response_of_a_connection_are_read() {
    let (request, response) = (b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n");
    let mut talk = Talk::new();
    assert_eq!(asked(talk.send(0, request)).as_deref(), Some("a.example"));
    assert_eq!((talk.send(1, response), talk.send(0, request)), (None, None));
    talk.syn();
    assert_eq!(asked(talk.send(0, request)).as_deref(), Some("a.example"));
    // A response that was seen first does not hide the request.
    let mut talk = Talk::new();
    assert!(matches!(talk.send(1, response), Some(What::Answered(_))));
    assert_eq!(talk.send(1, response), None);
    assert_eq!(asked(talk.send(0, request)).as_deref(), Some("a.example"));
}

#[test]
fn banners_may_come_behind_lines_and_in_pieces() {
    let banner = |what| match what {
        Some(What::Banner(name)) => name.name.as_ref().map(|name| name.to_string()),
        other => panic!("{other:?}"),
    };
    let mut talk = Talk::new();
    assert_eq!(banner(talk.send(1, b"be nice\r\nSSH-2.0-x y\r\n")).as_deref(), Some("SSH-2.0-x y"));
    assert_eq!(banner(talk.send(0, b"SSH-2.0-evil\x1b[2J\r\n")).as_deref(), Some("SSH-2.0-evil\u{fffd}[2J"));
    let mut talk = Talk::new();
    assert_eq!(talk.send(1, b"SSH-2.0-Op"), None);
    assert_eq!(banner(talk.send(1, b"enSSH_9\r\n")).as_deref(), Some("SSH-2.0-OpenSSH_9"));
}

#[test]
fn beginnings_without_an_end_are_given_up() {
    let mut talk = Talk::new();
    // One that never ends.
    talk.send(0, b"GET / HTTP/1.1\r\n");
    for _ in 0..20 {
        talk.send(0, &[b"X: ", &[b'y'; 1_000][..], b"\r\n"].concat());
    }
    assert!(!talk.reader.waits);
    // Very many that wait.
    let head = &long_hello()[..900];
    for port in 1..=10_000 {
        talk.client_port = port;
        talk.send(0, head);
    }
    let ways = (1..=10_000).map(|port| ["10.0.0.1", "10.0.0.2"].map(|ip| ip.parse().unwrap()).map(|ip| (ip, port)));
    let waiting = ways.filter(|[client, server]| {
        let way = (HostPort::new(client.0, client.1), HostPort::new(server.0, 443));
        talk.reader.waiting.get_mut(&way).is_some()
    });
    let waiting = waiting.count();
    assert!((1_000..6_000).contains(&waiting), "{waiting}");
    for port in 1..=10_000 {
        talk.client_port = port;
        talk.syn();
    }
    assert!(!talk.reader.waits && talk.reader.numbers.0.iter().all(|&count| count == 0 || count == u8::MAX));
}

#[test]
fn names_that_are_the_same_are_kept_once() {
    let mut talk = Talk::new();
    let mut name = |port| {
        talk.client_port = port;
        match talk.send(0, &client_hello(&[sni(b"a.example")])) {
            Some(What::Asked(name)) => name,
            other => panic!("{other:?}"),
        }
    };
    assert!(Arc::ptr_eq(&name(1), &name(2)));
}
