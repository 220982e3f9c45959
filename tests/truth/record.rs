//! In: the kernel's record of a scenario as JSON; out: the same as values. Two forms: that of the bundled captures (states alone, one
//! tap, TIME_WAIT shown as CLOSED) and that of the kernel laboratory (three taps, timers, FINs by frame, connect() times).

use std::collections::{HashMap, HashSet};
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use finwait::tcp::segment::HostPort;
use finwait::tcp::state::State;
use finwait::time::Timestamp;
use serde_json::Value;

/// An endpoint and its peer.
pub type Endpoint = (HostPort, HostPort);

/// The three places of a capture, in the order of the path; the bundled captures' only tap goes by the name of the second.
pub const TAPS: [&str; 3] = ["client", "middle", "server"];

/// A change of state; no time where the kernel has no such moment (SYN_RECEIVED under a SYN cookie).
#[derive(Clone, Copy, Debug)]
pub struct Change {
    pub ts: Option<Timestamp>,
    pub from: State,
    pub to: State,
}

/// A stay in TIME_WAIT.
#[derive(Clone, Debug)]
pub struct Stay {
    pub entered: Timestamp,
    pub ended: Option<Timestamp>,
    pub expired: bool,
}

#[derive(Clone, Debug)]
pub struct Life {
    pub endpoint: Endpoint,
    /// The tap at this endpoint's own host.
    pub host: Option<usize>,
    /// The path's delays, there and back.
    pub round_trip_ns: Option<i64>,
    /// The fastest handshake over that path in the run: its round trip with what the machine adds.
    pub measured_ns: Option<i64>,
    pub changes: Vec<Change>,
    pub stays: Vec<Stay>,
}

/// A connect() that was waited for.
#[derive(Clone, Debug)]
pub struct Connect {
    pub endpoint: Endpoint,
    pub start: Timestamp,
    pub ns: Option<i64>,
    pub error: Option<String>,
}

/// A FIN's passing of a tap. `emission` counts what its host sent, from 0; a `copy` is of one that had passed this tap before, by the network's doing.
#[derive(Clone, Debug)]
pub struct FinPass {
    pub endpoint: Endpoint,
    pub frame: u64,
    pub ts: Timestamp,
    pub emission: u64,
    pub copy: bool,
    pub seq: u64,
}

/// One scenario.
#[derive(Debug)]
pub struct Record {
    pub name: String,
    /// By [`TAPS`].
    pub captures: [Option<PathBuf>; 3],
    /// TIME_WAIT and SYN_RECEIVED are told to the microsecond.
    pub timers: bool,
    pub lives: Vec<Life>,
    pub connects: Vec<Connect>,
    /// By [`TAPS`].
    pub fins: [Vec<FinPass>; 3],
    /// `ListenOverflows` of both hosts.
    pub listen_overflows: u64,
    /// SYN-ACKs that a host sent without keeping anything.
    pub cookies: u64,
}

/// Every record of a folder, by name.
pub fn read_all(folder: &Path, captures: &Path) -> Vec<Record> {
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    paths.iter().map(|path| read(path, captures)).collect()
}

fn read(path: &Path, captures: &Path) -> Record {
    let json: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let name = path.file_stem().unwrap().to_string_lossy().into_owned();
    let captures = match json.get("taps") {
        Some(taps) => TAPS.map(|tap| taps[tap].as_str().map(|file| captures.join(file))),
        None => [None, Some(captures.join(json["capture"].as_str().unwrap())), None],
    };
    let fins = TAPS.map(|tap| {
        let mut passes: Vec<_> = rows(&json["fins"][tap]).iter().map(fin).collect();
        passes.sort_by_key(|pass| pass.frame);
        let mut passed = HashSet::new();
        passes.iter_mut().for_each(|pass| pass.copy = !passed.insert((pass.endpoint, pass.seq, pass.emission)));
        passes
    });
    let counter = |name: &str| TAPS.iter().filter_map(|side| json["overflows"][side][name].as_u64()).sum();
    Record {
        captures,
        timers: json["timers"] == true,
        lives: with_measured(rows(&json["endpoints"]).iter().map(life).collect()),
        connects: rows(&json["connects"]).iter().map(connect).collect(),
        fins,
        listen_overflows: counter("ListenOverflows"),
        cookies: counter("SyncookiesSent"),
        name,
    }
}

fn with_measured(mut lives: Vec<Life>) -> Vec<Life> {
    let at = |life: &Life, to: State| life.changes.iter().find(|change| change.to == to).and_then(|change| change.ts);
    let handshake = |life: &Life| Some(at(life, State::Established)?.since(at(life, State::SynSent)?).as_nanos());
    let mut fastest: HashMap<Option<i64>, i64> = HashMap::new();
    for life in &lives {
        if let Some(took) = handshake(life) {
            let fastest = fastest.entry(life.round_trip_ns).or_insert(took);
            *fastest = took.min(*fastest);
        }
    }
    for life in &mut lives {
        life.measured_ns = fastest.get(&life.round_trip_ns).copied();
    }
    lives
}

fn rows(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

fn host_port(ip: &Value, port: &Value) -> HostPort {
    let ip: IpAddr = ip.as_str().unwrap().parse().unwrap();
    HostPort::new(ip, port.as_u64().unwrap() as u16)
}

fn endpoint(row: &Value) -> Endpoint {
    (host_port(&row["address"], &row["port"]), host_port(&row["peer"], &row["peer_port"]))
}

fn time(value: &Value) -> Option<Timestamp> {
    value.as_i64().map(Timestamp::from_nanos)
}

fn life(row: &Value) -> Life {
    let state = |value: &Value| State::from_name(value.as_str().unwrap()).unwrap();
    let changes = rows(&row["changes"]).iter();
    let mut changes: Vec<_> =
        changes.map(|one| Change { ts: time(&one[0]), from: state(&one[1]), to: state(&one[2]) }).collect();
    // A socket that is reset while it closes is told CLOSED twice.
    changes.dedup_by_key(|change| change.to);
    let stays = rows(&row["time_wait"]).iter();
    let stays = stays.map(|one| Stay {
        entered: time(&one["entered"]).unwrap(),
        ended: time(&one["ended"]),
        expired: one["how"] == "expired",
    });
    Life {
        endpoint: endpoint(row),
        host: row["host"].as_str().and_then(|host| TAPS.iter().position(|tap| *tap == host)),
        round_trip_ns: row["round_trip_ns"].as_i64(),
        measured_ns: None,
        changes,
        stays: stays.collect(),
    }
}

fn connect(row: &Value) -> Connect {
    Connect {
        endpoint: endpoint(row),
        start: time(&row["start"]).unwrap(),
        ns: row["ns"].as_i64(),
        error: row["error"].as_str().map(str::to_owned),
    }
}

fn fin(row: &Value) -> FinPass {
    FinPass {
        endpoint: (host_port(&row[0], &row[1]), host_port(&row[2], &row[3])),
        frame: row[4].as_u64().unwrap(),
        ts: time(&row[5]).unwrap(),
        emission: row[6].as_u64().unwrap(),
        copy: false,
        seq: row[8].as_u64().unwrap(),
    }
}
