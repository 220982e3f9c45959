//! Made-up connections for tests. In: how many. Out: reports and a summary as a run would give them.

use std::net::{IpAddr, Ipv4Addr};

use super::findings::{Finding, findings};
use super::folds::{Asked, Folds, Told};
use super::rows::*;
use crate::tcp::segment::{FrameId, HostPort};
use crate::tcp::state::{Evidence, Side, State};
use crate::tcp::transition::Stimulus;
use crate::time::{Span, Timestamp};

/// Nanoseconds since the epoch.
pub fn at(nanos: i64) -> Timestamp {
    Timestamp::from_nanos(nanos)
}

fn end(text: &str) -> HostPort {
    let (ip, port) = text.rsplit_once(':').unwrap();
    HostPort::new(ip.trim_matches(['[', ']']).parse().unwrap(), port.parse().unwrap())
}

/// A connection to be: what a test does not say is empty or unknown.
#[derive(Clone)]
pub struct Draft(ConnectionReport);

impl Draft {
    pub fn to(server: &str) -> Self {
        let client = if server.starts_with('[') { "[2001:db8::1]:40000" } else { "10.0.0.1:40000" };
        let mut report = ConnectionReport::blank();
        let row = &mut report.connection;
        row.who = Who { client: end(client), server: end(server), role_known: true, vlan: None, tunnel: None };
        (row.first_ts, row.last_ts) = (at(0), at(0));
        (row.first_frame, row.last_frame) = (FrameId::new(0, 1), FrameId::new(0, 1));
        (row.opening, row.syn_packets) = (Opening::Handshake, 1);
        Self(report)
    }

    pub fn from(mut self, client: HostPort) -> Self {
        self.0.connection.who.client = client;
        self
    }

    /// Anything else.
    pub fn with(mut self, set: impl FnOnce(&mut ConnectionReport)) -> Self {
        set(&mut self.0);
        self
    }

    pub fn opening(self, opening: Opening) -> Self {
        self.with(|report| report.connection.opening = opening)
    }

    /// A handshake that began at `start` and took `took` nanoseconds, two thirds of it up to the SYN-ACK.
    pub fn handshake(self, start: i64, took: i64) -> Self {
        self.with(|report| {
            let row = &mut report.connection;
            (row.first_ts, row.last_ts) = (at(start), at(start + took));
            row.connect_ns = Some(took * 2 / 3);
            row.syn_wait_ns = Some(0);
            row.syn_to_syn_ack_ns = row.connect_ns;
            row.syn_ack_to_ack_ns = Some(took - took * 2 / 3);
            row.handshake_ns = Some(took);
            row.syn_ack_packets = 1;
        })
    }

    /// The life of one side: when it came into which state.
    pub fn changes(self, side: Side, changes: &[(i64, State)]) -> Self {
        self.with(|report| {
            let mut from = State::Closed;
            for (step, &(ts, to)) in (1..).zip(changes) {
                report.transitions.push(TransitionRow {
                    conn_id: 0,
                    side,
                    step,
                    from_state: Some(from),
                    to_state: to,
                    ts: at(ts),
                    frame: Some(FrameId::new(0, 1)),
                    trigger: Stimulus::SndSyn,
                    evidence: Evidence::Observed,
                    confirmed: true,
                    earliest_ts: None,
                    latest_ts: Some(at(ts)),
                    retracted: false,
                });
                from = to;
            }
            report.connection.states[side.index()] = Some(from);
        })
    }

    pub fn time_wait(self, side: Side, from: i64, until: Option<i64>) -> Self {
        self.with(|report| {
            report.time_wait.push(TimeWaitRow {
                conn_id: 0,
                side,
                entered_ts: at(from),
                restarts: 0,
                last_restart_ts: None,
                proof_of_life_ts: None,
                ended_ts: until.map(at),
                end: if until.is_some() { TimeWaitEnd::Assumed } else { TimeWaitEnd::CaptureEnd },
                at_least_ns: Some(0),
                at_most_ns: None,
                duration_ns: until.map(|until| until - from),
                assumed_ns: 60_000_000_000,
            });
        })
    }

    pub fn repeated_fin(self, side: Side, ts: Timestamp, cause: FinCause) -> Self {
        self.with(|report| {
            report.fin_retransmissions.push(FinRetransmissionRow {
                conn_id: 0,
                side,
                attempt: 1,
                ts,
                frame: FrameId::new(0, 1),
                first_fin_ts: ts,
                since_previous_ns: Some(200_000_000),
                sender_state: Some(State::FinWait1),
                receiver_state: None,
                cause,
                backoff: None,
                repeated_by: RepeatedBy::Undecided,
                payload_bytes: 0,
                first_payload_bytes: 0,
            });
        })
    }

    pub fn done(self) -> ConnectionReport {
        self.0
    }
}

/// What a made-up run is like.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub connections: usize,
    /// How long the capture lasted.
    pub length: Span,
    pub seed: u64,
}

impl Default for Shape {
    fn default() -> Self {
        Self { connections: 20, length: Span::from_secs(600), seed: 1 }
    }
}

/// SplitMix64: small, and the same everywhere.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Around `middle`, spread by `factor` on the logarithmic scale.
    fn around(&mut self, middle: f64, factor: f64) -> i64 {
        let sum: f64 = (0..6).map(|_| self.unit()).sum::<f64>() - 3.0;
        (middle * factor.powf(sum)) as i64
    }
}

const LISTENERS: [(&str, f64); 10] = [
    ("10.0.0.5:443", 1.2e6),
    ("10.0.0.7:5432", 0.3e6),
    ("[2001:db8:85a3:1234:5678:8a2e:370:7334]:8443", 24e6),
    ("10.0.0.8:81", 0.8e6),
    ("192.168.200.115:50051", 90e6),
    ("10.0.0.12:6379", 0.1e6),
    ("10.0.0.13:22", 5e6),
    ("[fd00::12]:9200", 2e6),
    ("10.0.0.15:9092", 9e6),
    ("10.0.0.16:27017", 0.6e6),
];

/// Beginning of the made-up captures: 2026-01-02 14:00:00 UTC.
pub const START: i64 = 1_767_362_400_000_000_000;

/// A run before anything is told of it.
#[derive(Clone, Debug)]
pub struct Run {
    /// Numbered, in order.
    pub reports: Vec<ConnectionReport>,
    pub summary: Summary,
}

impl Run {
    /// What the folds tell of it.
    pub fn told(&self) -> Told {
        folded(&self.reports, self.summary.first_ts.zip(self.summary.last_ts))
    }

    /// All of its rows.
    #[cfg(feature = "full")]
    pub fn tables(&self) -> Tables {
        let mut tables = Tables::default();
        self.reports.iter().for_each(|report| tables.take(report.clone()));
        self.told().fill(&mut tables);
        tables
    }

    pub fn findings(&self) -> Vec<Finding> {
        findings(&self.told().findings, &self.summary)
    }
}

/// What the folds tell of connections without a capture's times.
pub fn told(reports: &[ConnectionReport]) -> Told {
    folded(reports, None)
}

fn folded(reports: &[ConnectionReport], capture: Option<(Timestamp, Timestamp)>) -> Told {
    let mut folds = Folds::new(Asked::ALL);
    reports.iter().for_each(|report| folds.add(report));
    folds.finish(capture)
}

/// A run of made-up connections: mostly good ones, and some of everything that can go wrong.
pub fn run(shape: Shape) -> Run {
    let mut dice = Dice(shape.seed);
    let length = shape.length.as_nanos();
    let stop = START + length;
    let mut reports: Vec<_> = (0..shape.connections).map(|_| one(&mut dice, length, stop)).collect();
    reports.sort_by_key(|report| report.connection.first_ts);
    let mut frame = 0;
    for (conn_id, report) in (1..).zip(&mut reports) {
        report.connection.first_frame = FrameId::new(0, frame + 1);
        let mut number = || {
            frame += 1;
            FrameId::new(0, frame)
        };
        report.transitions.iter_mut().for_each(|row| row.frame = Some(number()));
        report.fin_retransmissions.iter_mut().for_each(|row| row.frame = number());
        report.anomalies.iter_mut().for_each(|row| row.frame = number());
        report.connection.last_frame = number();
        report.number(conn_id);
    }
    let segments: u64 = reports.iter().flat_map(|report| report.connection.packets).sum();
    let summary = Summary {
        captures: vec![CaptureInfo {
            path: "web.pcapng".into(),
            format: "pcapng".into(),
            packets: segments + 1_683,
            bytes: segments * 117 + 24,
            first_ts: Some(at(START)),
            last_ts: Some(at(stop)),
            link_types: vec!["Ethernet".into()],
            drops: Some(0),
            error: None,
        }],
        packets: segments + 1_683,
        tcp_segments: segments,
        skipped: vec![("udp", 1_204), ("arp", 479)],
        evictions: 0,
        complete: true,
        first_ts: Some(at(START)),
        last_ts: Some(at(stop)),
        seen: Seen { longest: 1_514, ..Seen::default() },
        options: vec![("time_wait_ns", "60000000000".into())],
        filtered: None,
    };
    Run { reports, summary }
}

/// One connection somewhere in the capture.
fn one(dice: &mut Dice, length: i64, stop: i64) -> ConnectionReport {
    use State::{CloseWait, Closed, Established, FinWait1, FinWait2, LastAck, SynReceived, SynSent, TimeWait};
    let which = (dice.below(10).min(dice.below(10))) as usize;
    let (server, rtt) = LISTENERS[which];
    let start = START + (dice.unit() * length as f64 * 0.97) as i64;
    let mut took = dice.around(rtt, 1.8);
    let repeated = dice.below(40) == 0;
    if repeated {
        took += 1_000_000_000 * (1 << dice.below(3));
    }
    let port = 32_768 + dice.below(28_000) as u16;
    let client = match end(server).ip {
        IpAddr::V4(_) => HostPort::new(Ipv4Addr::new(10, 0, 1, dice.below(9) as u8 + 1).into(), port),
        IpAddr::V6(_) => HostPort::new("2001:db8:1:2:3:4:5:6".parse().unwrap(), port),
    };
    let fate = dice.below(100);
    let draft = Draft::to(server).from(client).with(|report| {
        let row = &mut report.connection;
        (row.first_ts, row.last_ts) = (at(start), at(start));
        (row.packets, row.wire_bytes) = ([1, 0], [60, 0]);
        row.history = "S".into();
        // Half of those to a TLS port are called something.
        if matches!(which, 0 | 2) && fate >= 4 && port % 2 == 1 {
            let name = if port % 4 == 1 { "shop.example" } else { "api.example" };
            row.called = Called {
                app: Some(App::Tls),
                name: Some(name.into()),
                alpn: Some("h2,http/1.1".into()),
                tls_version: Some(TlsVersion::Tls13),
                tls_handshake_ns: Some(took * 2),
            };
        }
        if repeated {
            row.syn_packets += 1;
            row.syn_retransmissions = 1;
            row.accept_queue_overflow = which == 0;
        }
    });
    let in_the_end = |draft: Draft, opening, closing, conn_state, last: i64| {
        draft.with(|report| {
            let row = &mut report.connection;
            (row.opening, row.closing, row.conn_state) = (opening, closing, conn_state);
            row.last_ts = at(last);
        })
    };
    match fate {
        0..2 => {
            let draft = draft.changes(Side::Client, &[(start, SynSent)]);
            return in_the_end(draft, Opening::NoAnswer, Closing::Open, "S0", start).done();
        }
        2 => {
            let draft = draft.changes(Side::Client, &[(start, SynSent), (start + took, Closed)]);
            return in_the_end(draft, Opening::Refused, Closing::ResetByServer, "REJ", start + took).done();
        }
        3 => {
            let draft = draft.changes(Side::Client, &[(start, SynSent)]).changes(Side::Server, &[(start, SynReceived)]);
            return in_the_end(draft, Opening::HalfOpen, Closing::Open, "S1", start).done();
        }
        _ => {}
    }
    let up = start + took;
    let lasts = dice.around(800e6, 2.2);
    let fin = (up + lasts).min(stop);
    let lingers = if dice.below(60) == 0 { 20_000_000_000 } else { dice.around(3e6, 2.0) };
    let other_fin = (fin + lingers).min(stop);
    let mut draft = in_the_end(draft.handshake(start, took), Opening::Handshake, Closing::Fin, "SF", other_fin);
    draft = draft.with(|report| {
        let row = &mut report.connection;
        row.packets = [6 + dice.below(40), 5 + dice.below(80)];
        row.wire_bytes = row.packets.map(|packets| packets * 420);
        row.payload_bytes = row.packets.map(|packets| packets * 368);
        row.retransmissions = [dice.below(20) / 19, dice.below(15) / 14];
        row.tap = Tap::NearServer;
        row.history = "ShADadFf".into();
        if dice.below(30) == 0 {
            report.anomalies.push(AnomalyRow {
                conn_id: None,
                ts: at(up),
                frame: FrameId::new(0, 1),
                side: Some(Side::Client),
                kind: if dice.below(2) == 0 { AnomalyKind::AckOfUnseen } else { AnomalyKind::KeepAlive },
                detail: "acks 1,448 bytes, \"unseen\"".into(),
                count: dice.below(5) + 1,
            });
        }
    });
    if fate < 8 {
        let draft = draft
            .changes(Side::Client, &[(start, SynSent), (start + took * 2 / 3, Established), (fin, Closed)])
            .changes(Side::Server, &[(start + took / 3, SynReceived), (up, Established), (fin, Closed)]);
        return in_the_end(draft, Opening::Handshake, Closing::ResetByServer, "RSTR", fin).done();
    }
    let server_closes = dice.below(10) < 8;
    let active = if server_closes { Side::Server } else { Side::Client };
    let gone = other_fin + 60_000_000_000;
    let ends = gone < stop;
    let mut lives = [
        vec![(start, SynSent), (start + took * 2 / 3, Established)],
        vec![(start + took / 3, SynReceived), (up, Established)],
    ];
    lives[active.index()].extend([
        (fin, FinWait1),
        (fin + took / 2, FinWait2),
        (other_fin.max(fin + took / 2), TimeWait),
    ]);
    if ends {
        lives[active.index()].push((gone, Closed));
    }
    lives[active.peer().index()].extend([(fin, CloseWait), (other_fin, LastAck), (other_fin + took / 2, Closed)]);
    let draft = draft.changes(Side::Client, &lives[0]).changes(Side::Server, &lives[1]);
    let draft = draft.time_wait(active, other_fin, ends.then_some(gone)).with(|report| {
        let row = &mut report.connection;
        row.active_closer = Some(if server_closes { ActiveCloser::Server } else { ActiveCloser::Client });
        row.close_wait_ns[active.peer().index()] = Some(other_fin - fin);
        if dice.below(14) == 0 {
            let side = if dice.below(3) == 0 { active } else { active.peer() };
            let copies = 1 + dice.below(4) as u32;
            row.fin_retransmissions[side.index()] = copies.into();
            let cause = FinCause::ALL[(dice.below(8).min(dice.below(8)) / 2) as usize];
            let mut ts = if side == active { fin } else { other_fin };
            let first = ts;
            let mut wait = dice.around(230e6, 1.2);
            for attempt in 1..=copies {
                ts += wait;
                report.fin_retransmissions.push(FinRetransmissionRow {
                    conn_id: 0,
                    side,
                    attempt,
                    ts: at(ts),
                    frame: FrameId::new(0, 1),
                    first_fin_ts: at(first),
                    since_previous_ns: Some(wait),
                    sender_state: Some(if side == active { FinWait1 } else { LastAck }),
                    receiver_state: Some(TimeWait),
                    cause,
                    backoff: (attempt > 1).then_some(2.0),
                    repeated_by: if attempt > 1 { RepeatedBy::Timer } else { RepeatedBy::Undecided },
                    payload_bytes: 0,
                    first_payload_bytes: 0,
                });
                wait *= 2;
            }
            if let Some(stay) = report.time_wait.last_mut().filter(|_| side != active) {
                stay.restarts = copies;
                stay.last_restart_ts = Some(at(ts));
                stay.proof_of_life_ts = Some(at(ts));
                stay.at_least_ns = Some(ts - other_fin);
            }
        }
        if dice.below(25) == 0
            && let Some(stay) = report.time_wait.last_mut()
        {
            let short = dice.around(20e9, 1.3);
            if other_fin + short < stop {
                (stay.end, stay.ended_ts, stay.duration_ns) =
                    (TimeWaitEnd::Reused, Some(at(other_fin + short)), Some(short));
                stay.at_most_ns = Some(short);
            }
        }
    });
    draft.done()
}
