//! The bundled captures against what the kernels recorded of the same connections (`captures/truth/`): the sequence of each
//! endpoint's states, and whether every change lies inside the interval that finwait gives for it.
//!
//! What no tap can see is told apart, not forgiven: an endpoint that gives up without a packet (SYN_SENT or FIN_WAIT_2 → CLOSED), and what
//! came before the capture began. The kernel's record has no TIME_WAIT: it shows FIN_WAIT_2 or CLOSING → CLOSED where a small
//! block takes the socket's place, which for FIN_WAIT_2 may be before the FIN comes.
#![cfg(feature = "full")]

use std::collections::HashMap;
use std::fs;
use std::net::IpAddr;
use std::path::Path;

use finwait::capture::Savefile;
use finwait::conntrack::config::Config;
use finwait::conntrack::tracker::Tracker;
use finwait::decode::{Decoded, Decoder};
use finwait::metrics::rows::{ConnectionReport, TransitionRow};
use finwait::tcp::segment::{FrameId, HostPort};
use finwait::tcp::state::{Evidence, Side, State};
use finwait::time::{Span, Timestamp};

/// The two clocks are one, but the record's resolution is a microsecond and its offset was measured.
const CLOCK: Span = Span::from_micros(5);

type Endpoint = (HostPort, HostPort);

/// What the kernel recorded of an endpoint: when, from where, to where.
type Record = Vec<(Timestamp, State, State)>;

fn records(path: &Path) -> Vec<(Endpoint, Record)> {
    let truth: serde_json::Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let end = |record: &serde_json::Value, ip: &str, port: &str| {
        let ip: IpAddr = record[ip].as_str().unwrap().parse().unwrap();
        HostPort::new(ip, record[port].as_u64().unwrap() as u16)
    };
    let state = |value: &serde_json::Value| State::from_name(value.as_str().unwrap()).unwrap();
    let read = |record: &serde_json::Value| {
        let changes = record["changes"].as_array().unwrap().iter();
        let changes = changes
            .map(|change| (Timestamp::from_nanos(change[0].as_i64().unwrap()), state(&change[1]), state(&change[2])));
        ((end(record, "address", "port"), end(record, "peer", "peer_port")), changes.collect())
    };
    truth["endpoints"].as_array().unwrap().iter().map(read).collect()
}

fn reports(path: &Path) -> Vec<ConnectionReport> {
    let mut savefile = Savefile::open(path).unwrap();
    let (mut decoder, mut tracker) = (Decoder::default(), Tracker::new(Config::default()));
    let (mut reports, mut ordinal, mut end) = (Vec::new(), 0, Timestamp::MIN);
    while let Some(packet) = savefile.next().unwrap() {
        let ts = packet.ts.unwrap();
        end = end.max(ts);
        if let Decoded::Segment { addressed, .. } = decoder.decode(&packet, FrameId::new(0, packet.number), ordinal, ts)
        {
            tracker.feed(&addressed, &mut |report| reports.push(report));
        }
        ordinal += 1;
    }
    tracker.finish(end, &mut |report| reports.push(report));
    reports.sort_by_key(|report| report.ordinal);
    reports
}

/// Each endpoint's life as the record would show it: TIME_WAIT is CLOSED, and its end is not there.
fn lives(reports: &[ConnectionReport]) -> HashMap<Endpoint, Vec<(State, &TransitionRow)>> {
    let mut lives: HashMap<Endpoint, Vec<(State, &TransitionRow)>> = HashMap::new();
    for report in reports {
        let who = &report.connection.who;
        for row in report.transitions.iter().filter(|row| !row.retracted) {
            if row.from_state == Some(State::TimeWait) {
                continue;
            }
            let to = if row.to_state == State::TimeWait { State::Closed } else { row.to_state };
            let peer = who.endpoint(row.side.peer());
            lives.entry((who.endpoint(row.side), peer)).or_default().push((to, row));
        }
    }
    lives
}

#[derive(Debug, Default)]
struct Score {
    endpoints: usize,
    began_before_the_capture: usize,
    gave_up_silently: usize,
    changes: usize,
    outside: Vec<String>,
    wrong: Vec<String>,
}

#[test]
fn every_state_and_its_interval_agree_with_the_kernel() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("captures");
    let mut score = Score::default();
    let mut truths: Vec<_> = fs::read_dir(folder.join("truth")).unwrap().map(|entry| entry.unwrap().path()).collect();
    truths.sort();
    for truth in &truths {
        let stem = truth.file_stem().unwrap().to_string_lossy().into_owned();
        let capture = ["pcap", "pcapng"].map(|kind| folder.join(format!("{stem}.{kind}")));
        let capture = capture.iter().find(|path| path.exists()).expect("a truth has its capture");
        let reports = reports(capture);
        let lives = lives(&reports);
        for (endpoint, mut record) in records(truth) {
            let life = lives.get(&endpoint).map(Vec::as_slice).unwrap_or_default();
            // A socket that is reset while it closes is told CLOSED twice.
            record.dedup_by_key(|change| change.2);
            judge(&mut score, &stem, endpoint, &record, life);
        }
    }
    let exact = score.endpoints - score.began_before_the_capture - score.gave_up_silently - score.wrong.len();
    eprintln_score(&score, exact);
    assert!(score.endpoints > 500 && score.changes > 2_000, "{} endpoints, {} changes", score.endpoints, score.changes);
    assert!(exact * 100 >= score.endpoints * 95, "only {exact} of {} lives are told exactly", score.endpoints);
    assert!(score.wrong.is_empty(), "\n{}\n", score.wrong.join("\n"));
    assert!(score.outside.is_empty(), "\n{}\n", score.outside.join("\n"));
}

#[allow(clippy::disallowed_macros)] // a test's own figures
fn eprintln_score(score: &Score, exact: usize) {
    eprintln!(
        "{} endpoints: {exact} exact, {} began before the capture, {} gave up without a packet; {} changes inside their interval",
        score.endpoints,
        score.began_before_the_capture,
        score.gave_up_silently,
        score.changes - score.outside.len()
    );
}

fn judge(score: &mut Score, capture: &str, endpoint: Endpoint, record: &Record, life: &[(State, &TransitionRow)]) {
    score.endpoints += 1;
    let mut record = &record[..];
    let told: Vec<State> = life.iter().map(|(state, _)| *state).collect();
    let states = |record: &[(Timestamp, State, State)]| record.iter().map(|change| change.2).collect::<Vec<_>>();
    if life.first().is_some_and(|(_, row)| row.from_state.is_none()) && record.len() > told.len() {
        score.began_before_the_capture += 1;
        record = &record[record.len() - told.len()..];
    }
    if let Some((&(_, from, State::Closed), rest)) = record.split_last()
        && matches!(from, State::SynSent | State::FinWait2)
        && states(rest) == told
    {
        score.gave_up_silently += 1;
        record = rest;
    }
    if states(record) != told {
        score.wrong.push(format!(
            "{capture} {} → {}\n  kernel  {:?}\n  finwait {told:?}",
            endpoint.0,
            endpoint.1,
            states(record)
        ));
        return;
    }
    for (&(ts, from, to), (_, row)) in record.iter().zip(life) {
        // The listener's own move is not recorded; a small block may take over before the FIN that TIME_WAIT waits for.
        if from == State::Listen || (from, to) == (State::FinWait2, State::Closed) && row.to_state == State::TimeWait {
            continue;
        }
        score.changes += 1;
        let too_early = row.earliest_ts.is_some_and(|earliest| ts.plus(CLOCK) < earliest);
        let too_late = row.latest_ts.is_some_and(|latest| ts > latest.plus(CLOCK));
        if too_early || too_late {
            score.outside.push(format!(
                "{capture} {} {}: {} → {to} {} outside {:?} to {:?} ({:?}, confirmed {})",
                endpoint.0,
                if row.side == Side::Client { "client" } else { "server" },
                from,
                ts,
                row.earliest_ts.map(|ts| ts.to_string()),
                row.latest_ts.map(|ts| ts.to_string()),
                row.evidence,
                row.confirmed || row.evidence == Evidence::Observed
            ));
        }
    }
}
