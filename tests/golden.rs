//! The bundled captures, told in full: what each connection's rows say, compared with the text in `tests/golden/`.
//!
//! Times are left out but for those that say what happened (when TIME_WAIT ended, how often a timer doubled): the captures are
//! of real connections, and a remake moves their microseconds. `UPDATE_GOLDEN=1` writes what is found; read the diff.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use finwait::capture::Savefile;
use finwait::conntrack::config::Config;
use finwait::conntrack::tracker::Tracker;
use finwait::decode::{Decoded, Decoder};
use finwait::metrics::rows::ConnectionReport;
use finwait::tcp::segment::FrameId;
use finwait::tcp::state::{Evidence, State};
use finwait::time::{Span, Timestamp};

fn captures() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("captures");
    let mut found: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "pcap" || extension == "pcapng"))
        .collect();
    found.sort();
    found
}

fn reports(path: &Path) -> Vec<ConnectionReport> {
    let mut savefile = Savefile::open(path).unwrap();
    let (mut decoder, mut tracker) = (Decoder::default(), Tracker::new(Config::default()));
    let (mut reports, mut ordinal, mut end) = (Vec::new(), 0, Timestamp::MIN);
    while let Some(packet) = savefile.next().unwrap() {
        let ts = packet.ts.unwrap();
        end = end.max(ts);
        match decoder.decode(&packet, FrameId::new(0, packet.number), ordinal, ts) {
            Decoded::Segment { addressed, .. } => tracker.feed(&addressed, &mut |report| reports.push(report)),
            Decoded::Undelivered(icmp) => tracker.undelivered(&icmp),
            Decoded::Skip(_) => {}
        }
        ordinal += 1;
    }
    tracker.finish(end, &mut |report| reports.push(report));
    reports.sort_by_key(|report| report.ordinal);
    reports
}

/// One connection as text: its row, both lives, its repeated FINs, its stays in TIME_WAIT, its anomalies.
fn told(report: &ConnectionReport) -> String {
    let row = &report.connection;
    let mut text = String::new();
    let name = |state: Option<State>| state.map_or("-", State::name);
    let _ = writeln!(
        text,
        "frames {}-{}  {} → {}  {}, {}, closed first by {}, now {} and {}, {} {}, packets {:?}, bytes {:?}, SYN {} SYN,ACK {}",
        row.first_frame.number(),
        row.last_frame.number(),
        row.who.client,
        row.who.server,
        row.opening,
        row.closing,
        row.active_closer.map_or("nobody", |closer| closer.name()),
        name(row.states[0]),
        name(row.states[1]),
        row.history,
        row.conn_state,
        row.packets,
        row.payload_bytes,
        row.syn_packets,
        row.syn_ack_packets,
    );
    if row.accept_queue_overflow {
        let _ = writeln!(text, "  accept queue full");
    }
    for step in &report.transitions {
        let mark = match (step.retracted, step.evidence) {
            (true, _) => "!",
            (false, Evidence::Observed) => "",
            (false, Evidence::Inferred) => "?",
            (false, Evidence::Assumed) => "~",
        };
        let frame = step.frame.map_or("-".to_owned(), |frame| frame.number().to_string());
        let confirmed = if step.confirmed { ", confirmed" } else { "" };
        let _ =
            writeln!(text, "  {} {}{mark} {} at {frame}{confirmed}", step.side, step.to_state, step.trigger.trigger());
    }
    for fin in &report.fin_retransmissions {
        let _ = writeln!(
            text,
            "  FIN again by {} in {}, receiver in {}, frame {}: {}",
            fin.side,
            name(fin.sender_state),
            name(fin.receiver_state),
            fin.frame.number(),
            fin.cause
        );
    }
    for stay in &report.time_wait {
        let whole = stay
            .duration_ns
            .map_or("open".to_owned(), |nanos| format!("{:.1} s", Span::from_nanos(nanos).as_nanos() as f64 / 1e9));
        let _ = writeln!(text, "  TIME_WAIT of {}: {}, {whole}, {} restarts", stay.side, stay.end, stay.restarts);
    }
    for anomaly in &report.anomalies {
        let side = anomaly.side.map_or("-", |side| side.name());
        let _ =
            writeln!(text, "  {} by {side}, frame {}, {} times", anomaly.kind, anomaly.frame.number(), anomaly.count);
    }
    text
}

#[test]
fn bundled_captures_tell_what_they_told() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let (mut differing, captures) = (Vec::new(), captures());
    assert!(captures.len() >= 10, "only {} captures", captures.len());
    for capture in &captures {
        let got: String = reports(capture).iter().map(told).collect();
        let name = capture.file_stem().unwrap().to_string_lossy().into_owned() + ".txt";
        if update {
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join(&name), &got).unwrap();
        }
        let want = fs::read_to_string(folder.join(&name)).unwrap_or_default();
        if let Some((line, (want, got))) = first_difference(&want, &got) {
            differing.push(format!("{name}, line {line}\n  want {want}\n  got  {got}"));
        }
    }
    assert!(differing.is_empty(), "\n{}\n", differing.join("\n"));
}

fn first_difference<'a>(want: &'a str, got: &'a str) -> Option<(usize, (&'a str, &'a str))> {
    let longest = want.lines().count().max(got.lines().count());
    let line = |text: &'a str, at| text.lines().nth(at).unwrap_or("(nothing)");
    (0..longest).find(|&at| line(want, at) != line(got, at)).map(|at| (at + 1, (line(want, at), line(got, at))))
}
