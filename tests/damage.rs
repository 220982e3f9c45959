//! Damaged captures through the whole analysis: bytes flipped, cut out, doubled at random places of the bundled captures. In a
//! debug build arithmetic that overflows panics too, so reaching the end is the assertion; what comes out must agree with itself.
//!
//! `DAMAGE_ROUNDS=1000` for more than the default; `DAMAGE_CAPTURES=DIR` for other captures.

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use finwait::capture::Savefile;
use finwait::conntrack::config::Config;
use finwait::conntrack::tracker::Tracker;
use finwait::decode::{Decoded, Decoder};
use finwait::metrics::ephemeral_ports::PortRange;
use finwait::metrics::folds::{Asked, Folds};
use finwait::metrics::rows::ConnectionReport;
use finwait::tcp::segment::FrameId;
use finwait::tcp::state::{Side, State};
use finwait::time::{Span, Timestamp};

/// xorshift64*: the same damage on every machine and in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % n.max(1)
    }
}

fn captures() -> Vec<PathBuf> {
    let bundled = Path::new(env!("CARGO_MANIFEST_DIR")).join("captures");
    let folder = std::env::var_os("DAMAGE_CAPTURES").map_or(bundled, PathBuf::from);
    let mut found: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file() && fs::metadata(path).is_ok_and(|about| about.len() < 300_000))
        .filter(|path| path.to_string_lossy().contains(".pcap"))
        .collect();
    found.sort();
    found
}

fn damaged(bytes: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..1 + dice.below(12) {
        // Mostly behind the file's header, so that the file is still one.
        let at = (24 + dice.below(bytes.len())).min(bytes.len() - 1);
        match dice.below(6) {
            0 => bytes[at] = 0xff,
            1 => bytes[at] = 0,
            2 => bytes[at] ^= 1 << dice.below(8),
            3 => bytes.truncate(at.max(25)),
            4 => {
                let end = (at + dice.below(64)).min(bytes.len());
                bytes.drain(at..end);
            }
            _ => {
                let end = (at + dice.below(200)).min(bytes.len());
                let piece = bytes[at..end].to_vec();
                let to = dice.below(bytes.len());
                bytes.splice(to..to, piece);
            }
        }
        if bytes.len() < 32 {
            break;
        }
    }
    bytes
}

fn analyse(bytes: Vec<u8>) -> Vec<ConnectionReport> {
    let Ok(mut savefile) = Savefile::from_reader("damaged", Cursor::new(bytes)) else { return Vec::new() };
    let (mut decoder, mut tracker) = (Decoder::default(), Tracker::new(Config::default()));
    decoder.verify_checksums = true;
    let (mut reports, mut ordinal, mut end, mut ts) = (Vec::new(), 0, Timestamp::MIN, Timestamp::default());
    while let Ok(Some(packet)) = savefile.next() {
        ts = packet.ts.unwrap_or(ts);
        end = end.max(ts);
        match decoder.decode(&packet, FrameId::new(0, packet.number), ordinal, ts) {
            Decoded::Segment { addressed, .. } => tracker.feed(&addressed, &mut |report| reports.push(report)),
            Decoded::Undelivered(icmp) => tracker.undelivered(&icmp),
            Decoded::Skip(_) => {}
        }
        ordinal += 1;
    }
    tracker.finish(end, &mut |report| reports.push(report));
    reports
}

/// What the tables promise of every connection, however odd its packets were.
fn check(report: &ConnectionReport) {
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
fn check_queues(reports: &[ConnectionReport]) {
    let asked =
        Asked { bucket: None, time_wait: Span::from_secs(60), port_range: PortRange::default(), over_time: true };
    let mut folds = Folds::new(asked);
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

#[test]
fn damage_neither_stops_nor_confuses_the_analysis() {
    let rounds = std::env::var("DAMAGE_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(60);
    let mut dice = Dice(0x5eed_f00d);
    let (mut connections, captures) = (0, captures());
    for path in &captures {
        let bytes = fs::read(path).unwrap();
        for _ in 0..rounds {
            let reports = analyse(damaged(&bytes, &mut dice));
            reports.iter().for_each(check);
            check_queues(&reports);
            connections += reports.len();
        }
    }
    assert!(connections > captures.len() * rounds / 4, "only {connections} connections came out");
}
