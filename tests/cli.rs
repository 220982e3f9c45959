//! The program as its users meet it: exit statuses, messages, what is on disk afterwards.
#![cfg(feature = "full")]

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

#[path = "cli/chosen.rs"]
mod chosen;

const TABLES: [&str; 11] = [
    "connections",
    "transitions",
    "fin_retransmissions",
    "time_wait",
    "listeners",
    "state_census",
    "anomalies",
    "listener_queues",
    "ephemeral_ports",
    "ephemeral_port_use",
    "services",
];

/// A run of the program in a folder of its own.
struct Desk {
    folder: TempDir,
}

impl Desk {
    fn new() -> Self {
        Self { folder: TempDir::new().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn with(self, name: &str, contents: &[u8]) -> Self {
        fs::write(self.path(name), contents).unwrap();
        self
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_finwait"));
        command.args(args).current_dir(self.folder.path()).env_remove("COLUMNS").env_remove("NO_COLOR");
        command.stdin(Stdio::null());
        command
    }

    fn run(&self, args: &[&str]) -> Run {
        Run::from(self.command(args).output().unwrap())
    }

    /// A report of the connections alone, which is quick.
    fn report(&self, args: &[&str]) -> Run {
        self.run(&[args, &["--format", "csv", "--tables", "connections"]].concat())
    }

    fn run_with_input(&self, args: &[&str], input: &[u8]) -> Run {
        let mut command = self.command(args);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // The program may stop reading early; that is its business.
        let _ = stdin.write_all(input);
        drop(stdin);
        Run::from(child.wait_with_output().unwrap())
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }
}

struct Run {
    status: Option<i32>,
    stdout: String,
    stderr: String,
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        Self {
            status: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Run {
    #[track_caller]
    fn ends(&self, status: i32) -> &Self {
        assert_eq!(self.status, Some(status), "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }

    /// Standard error is exactly one line, and it holds all of `parts`.
    #[track_caller]
    fn says(&self, parts: &[&str]) -> &Self {
        let lines: Vec<&str> = self.stderr.lines().collect();
        assert_eq!(lines.len(), 1, "{:?}", self.stderr);
        for part in parts.iter().chain(&["finwait: "]) {
            assert!(self.stderr.contains(part), "no {part:?} in {:?}", self.stderr);
        }
        self
    }

    #[track_caller]
    fn says_nothing(&self) -> &Self {
        assert_eq!(self.stderr, "");
        self
    }
}

const FIN: u8 = 1;
const SYN: u8 = 2;
const ACK: u8 = 16;

/// An Ethernet frame with a TCP segment from `10.0.0.<from>` to `10.0.0.<to>`.
fn frame((from, from_port): (u8, u16), (to, to_port): (u8, u16), flags: u8, seq: u32, ack: u32) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, to, 2, 0, 0, 0, 0, from, 8, 0];
    frame.extend([0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, from, 10, 0, 0, to]);
    frame.extend(from_port.to_be_bytes());
    frame.extend(to_port.to_be_bytes());
    frame.extend(seq.to_be_bytes());
    frame.extend(ack.to_be_bytes());
    frame.extend([0x50, flags, 0x20, 0, 0, 0, 0, 0]);
    frame
}

fn header(link: u32) -> Vec<u8> {
    let mut file = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0];
    file.extend(link.to_le_bytes());
    file
}

/// A record whose timestamp is `millis` after a fixed second.
fn record(millis: u32, frame: &[u8]) -> Vec<u8> {
    let length = u32::try_from(frame.len()).unwrap().to_le_bytes();
    let mut record = Vec::new();
    record.extend((1_700_000_000 + millis / 1000).to_le_bytes());
    record.extend((millis % 1000 * 1000).to_le_bytes());
    record.extend(length);
    record.extend(length);
    record.extend(frame);
    record
}

/// The records of a whole life: opened by `port` at `start`, closed by the same side.
fn life(start: u32, port: u16) -> Vec<Vec<u8>> {
    let (client, server) = ((1, port), (2, 80));
    vec![
        record(start, &frame(client, server, SYN, 100, 0)),
        record(start + 10, &frame(server, client, SYN | ACK, 500, 101)),
        record(start + 12, &frame(client, server, ACK, 101, 501)),
        record(start + 20, &frame(client, server, FIN | ACK, 101, 501)),
        record(start + 30, &frame(server, client, FIN | ACK, 501, 102)),
        record(start + 32, &frame(client, server, ACK, 102, 502)),
    ]
}

fn pcap(records: &[Vec<u8>]) -> Vec<u8> {
    [header(1)].iter().chain(records).flatten().copied().collect()
}

/// The rows of a CSV as maps from column to value, for tables whose values hold no commas.
fn rows(csv: &str) -> Vec<std::collections::BTreeMap<&str, &str>> {
    let mut lines = csv.lines();
    let columns: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
    lines.map(|line| columns.iter().copied().zip(line.split(',')).collect()).collect()
}

#[test]
fn a_bare_capture_is_analysed_into_reports() {
    let desk = Desk::new().with("web.pcap", &pcap(&life(0, 40_000)));
    let run = desk.run(&["web.pcap"]);
    run.ends(0).says_nothing();
    assert!(run.stdout.contains("web.pcap"), "{}", run.stdout);
    let csv = desk.read("reports/web/connections.csv");
    let found = rows(&csv);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["conn_id"], "1");
    assert_eq!(found[0]["client_port"], "40000");
    assert_eq!(found[0]["opening"], "handshake");
    assert_eq!(found[0]["closing"], "fin");
    assert_eq!(found[0]["handshake_ns"], "12000000");
    for table in TABLES {
        for ending in ["csv", "parquet"] {
            assert!(desk.path(&format!("reports/web/{table}.{ending}")).is_file(), "{table}.{ending}");
        }
    }
    for file in ["summary.json", "index.html", "handshake_latency.png", "state_census.png"] {
        assert!(desk.path(&format!("reports/web/{file}")).is_file(), "{file}");
    }
    assert!(!desk.path("reports/web/state_census.svg").exists());
    assert!(desk.read("reports/web/summary.json").contains("\"complete\": true"));
}

#[test]
fn formats_and_tables_are_chosen() {
    let desk = Desk::new().with("web.pcap", &pcap(&life(0, 40_000)));
    desk.run(&["-o", "out", "--format", "csv", "--tables", "connections,time_wait", "web.pcap"]).ends(0);
    let mut names: Vec<_> =
        fs::read_dir(desk.path("out")).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["connections.csv", "summary.json", "time_wait.csv"]);
    let run = desk.run(&["-o", "none", "--format", "csv,parquet,json", "--tables", "none", "web.pcap"]);
    run.ends(0);
    assert_eq!(fs::read_dir(desk.path("none")).unwrap().count(), 1);
    assert!(desk.path("none/summary.json").is_file());
}

/// Without packets, what an earlier run left stays; with some, a stream's report is the file's.
#[cfg(target_os = "linux")]
#[test]
fn a_stream_gives_the_files_report_and_an_empty_one_spoils_nothing() {
    let desk = Desk::new().with("web.pcap", &pcap(&life(0, 40_000))).with("torn.pcap", b"");
    let piped = |file: &str| {
        let mut child = desk.command(&["-q", "-o", "out", "-"]).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(&fs::read(desk.path(file)).unwrap()).unwrap();
        child.wait().unwrap().code()
    };
    assert_eq!(piped("web.pcap"), Some(0));
    desk.run(&["-q", "-o", "whole", "web.pcap"]).ends(0);
    let read = |name: &str| fs::read(desk.path(name)).unwrap();
    for table in ["connections.csv", "transitions.jsonl", "listeners.csv", "anomalies.csv", "state_census.csv"] {
        assert!(read(&format!("out/{table}")) == read(&format!("whole/{table}")), "{table}");
    }
    let before = read("out/connections.csv");
    assert_eq!(piped("torn.pcap"), Some(2));
    assert!(read("out/connections.csv") == before);
}

#[test]
fn quiet_says_nothing_at_all() {
    let desk = Desk::new().with("web.pcap", &pcap(&life(0, 40_000)));
    let run = desk.run(&["-q", "web.pcap"]);
    run.ends(0).says_nothing();
    assert_eq!(run.stdout, "");
    assert!(desk.path("reports/web/connections.csv").is_file());
}

#[test]
fn a_missing_file_is_told_and_leaves_nothing() {
    let desk = Desk::new();
    desk.run(&["nowhere.pcap"]).ends(2).says(&["nowhere.pcap", "no such file"]);
    assert!(!desk.path("reports").exists());
}

#[test]
fn an_empty_file_is_told() {
    Desk::new().with("empty.pcap", b"").run(&["empty.pcap"]).ends(2).says(&["empty.pcap", "empty"]);
}

#[test]
fn a_foreign_file_is_told_with_its_first_bytes() {
    let desk = Desk::new().with("notes.txt", b"# Notes of a meeting, which is no capture\n");
    desk.run(&["notes.txt"]).ends(2).says(&["notes.txt", "not a capture", "23 20 4e 6f"]);
}

#[test]
fn a_folder_without_captures_is_told() {
    let desk = Desk::new();
    fs::create_dir(desk.path("captures")).unwrap();
    desk.run(&["captures"]).ends(2).says(&["captures: no file in it"]);
    fs::write(desk.path("captures/notes.txt"), b"no capture").unwrap();
    desk.run(&["captures"]).ends(2).says(&["no capture in the folder", "captures/notes.txt"]);
    desk.run(&["show", "captures", "1"]).ends(2).says(&["captures", "directory"]);
    assert!(!desk.path("reports").exists());
}

#[test]
fn a_name_cannot_speak_to_the_terminal() {
    let run = Desk::new().run(&["no\n\u{1b}[2Jsuch.pcap"]);
    run.ends(2).says(&["no\\n\\u{1b}[2Jsuch.pcap"]);
}

#[test]
fn a_file_cut_inside_a_record_is_reported_up_to_there() {
    let mut bytes = pcap(&life(0, 40_000));
    bytes.truncate(bytes.len() - 30);
    let desk = Desk::new().with("cut.pcap", &bytes);
    desk.run(&["cut.pcap"]).ends(1).says(&["cut.pcap", "record 6", "offset 374", "24 of 54", "5 packets"]);
    let csv = desk.read("reports/cut/connections.csv");
    assert_eq!(rows(&csv)[0]["packets_client"], "3");
    assert!(desk.read("reports/cut/summary.json").contains("\"complete\": false"));
}

#[test]
fn a_record_longer_than_the_file_is_reported_up_to_there() {
    let mut bytes = pcap(&life(0, 40_000));
    let mut long = record(100, &[0; 60]);
    long[8..12].copy_from_slice(&200_000_u32.to_le_bytes());
    bytes.extend(long);
    let desk = Desk::new().with("long.pcap", &bytes);
    desk.run(&["long.pcap"]).ends(1).says(&["long.pcap", "record 7", "6 packets"]);
    assert_eq!(rows(&desk.read("reports/long/connections.csv")).len(), 1);
}

#[test]
fn a_first_record_that_is_cut_gives_nothing() {
    let mut bytes = pcap(&life(0, 40_000));
    bytes.truncate(24 + 30);
    Desk::new().with("cut.pcap", &bytes).run(&["cut.pcap"]).ends(2).says(&["cut.pcap", "record 1"]);
}

#[test]
fn a_header_without_packets_is_complete() {
    let desk = Desk::new().with("idle.pcap", &header(1));
    desk.run(&["idle.pcap"]).ends(0).says_nothing();
    for table in TABLES {
        let csv = desk.read(&format!("reports/idle/{table}.csv"));
        assert_eq!(csv.lines().count(), 1, "{table}: {csv}");
    }
}

#[test]
fn a_capture_without_tcp_is_complete() {
    let mut arp = vec![0xff; 6];
    arp.extend([2, 0, 0, 0, 0, 1, 8, 6]);
    arp.extend([0; 28]);
    let desk = Desk::new().with("arp.pcap", &pcap(&[record(0, &arp)]));
    desk.run(&["arp.pcap"]).ends(0).says_nothing();
    assert!(desk.read("reports/arp/summary.json").contains("arp"));
}

#[test]
fn a_folder_that_cannot_be_written_is_told_before_the_work() {
    // Also root cannot make a folder below a file.
    let desk = Desk::new().with("web.pcap", &pcap(&life(0, 40_000))).with("file", b"");
    let run = desk.run(&["web.pcap", "-o", "file/out"]);
    run.ends(2).says(&["file/out"]);
    assert_eq!(run.stdout, "");
}

#[test]
fn two_captures_are_one_in_time_order() {
    let whole = life(0, 40_000);
    let (there, back): (Vec<_>, Vec<_>) = whole.into_iter().enumerate().partition(|(i, _)| [0, 2, 3, 5].contains(i));
    let part =
        |records: Vec<(usize, Vec<u8>)>| pcap(&records.into_iter().map(|(_, record)| record).collect::<Vec<_>>());
    let desk = Desk::new().with("there.pcap", &part(there)).with("back.pcap", &part(back));
    desk.run(&["there.pcap", "back.pcap"]).ends(0).says_nothing();
    let csv = desk.read("reports/there/connections.csv");
    let found = rows(&csv);
    assert_eq!(found.len(), 1);
    assert_eq!((found[0]["closing"], found[0]["handshake_ns"]), ("fin", "12000000"));
}

/// A ring of ten files, a life each and the fourth life over two of them, named so that names and times disagree.
fn ring() -> Desk {
    let desk = Desk::new();
    fs::create_dir(desk.path("ring")).unwrap();
    for n in 0..10_u16 {
        let mut records = life(u32::from(n) * 1_000, 40_000 + n);
        if n == 4 {
            records.splice(0..0, life(3_000, 40_003).split_off(3));
        }
        if n == 3 {
            records.truncate(3);
        }
        fs::write(desk.path(&format!("ring/eth0_{}.pcap", (n + 5) % 10)), pcap(&records)).unwrap();
    }
    desk
}

#[test]
fn a_folder_is_one_capture_in_time_order() {
    let desk = ring();
    let run = desk.report(&["ring/"]);
    run.ends(0).says_nothing();
    assert!(run.stdout.starts_with("10 captures in ring   pcap · "), "{}", run.stdout);
    let csv = desk.read("reports/ring/connections.csv");
    let found: Vec<_> =
        rows(&csv).iter().map(|row| (row["client_port"].to_owned(), row["closing"].to_owned())).collect();
    assert_eq!(found, (0..10).map(|n| ((40_000 + n).to_string(), "fin".to_owned())).collect::<Vec<_>>());
    assert!(rows(&csv).iter().any(|row| row["first_file"] == "ring/eth0_5.pcap"), "{csv}");

    let list = desk.run(&["list", "ring"]);
    assert_eq!(list.ends(0).stdout.lines().count(), 11);
}

#[test]
fn a_folder_s_other_files_are_passed_over_and_named() {
    let desk =
        ring().with("ring/notes.txt", b"no capture").with("ring/.hidden.pcap", b"neither").with("ring/new.pcap", b"");
    fs::create_dir(desk.path("ring/older")).unwrap();
    let run = desk.report(&["ring"]);
    run.ends(0).says(&["2 files are no captures and were passed over: ring/new.pcap, ring/notes.txt"]);
    desk.report(&["-q", "ring"]).ends(0).says_nothing();
    // A damaged one is a capture, and is missed.
    fs::write(desk.path("ring/eth0_2.pcap"), &header(1)[..20]).unwrap();
    let run = desk.report(&["-q", "ring"]);
    run.ends(1).says(&["ring/eth0_2.pcap", "inside its header"]);
    assert_eq!(rows(&desk.read("reports/ring/connections.csv")).len(), 9);
}

#[test]
fn a_pattern_stands_for_the_files_that_match() {
    let desk = ring().with("ring/[x].pcap", &pcap(&life(0, 41_000)));
    desk.report(&["ring/eth0_[5-7].p*"]).ends(0).says_nothing();
    assert_eq!(rows(&desk.read("reports/eth0/connections.csv")).len(), 3);
    desk.report(&["ring/*_?.pcap"]).ends(0).says_nothing();
    assert_eq!(rows(&desk.read("reports/ring/connections.csv")).len(), 10);
    // A file of that name comes first.
    desk.report(&["ring/[x].pcap"]).ends(0).says_nothing();
    assert!(desk.read("reports/[x]/connections.csv").contains("41000"));
    // What is found twice is meant once.
    desk.report(&["ring/eth0_5.pcap", "ring/eth0_[56].pcap", "-o", "twice"]).ends(0).says_nothing();
    assert_eq!(rows(&desk.read("twice/connections.csv")).len(), 2);
    desk.report(&["ring/eth1*"]).ends(2).says(&["ring/eth1*", "no such file"]);
    desk.report(&["ring/eth[*"]).ends(2).says(&["ring/eth[*", "no pattern"]);
}

#[test]
fn a_ring_s_newest_file_may_end_in_the_middle() {
    let desk = ring();
    let newest = desk.path("ring/eth0_4.pcap");
    let bytes = fs::read(&newest).unwrap();
    fs::write(&newest, &bytes[..bytes.len() - 5]).unwrap();
    desk.report(&["ring"]).ends(1).says(&["ring/eth0_4.pcap", "inside record 6", "5 packets read"]);
    assert_eq!(rows(&desk.read("reports/ring/connections.csv")).len(), 10);
}

#[cfg(unix)]
#[test]
fn a_ring_needs_few_open_files_and_captures_that_overlap_need_more() {
    let desk = Desk::new();
    fs::create_dir(desk.path("ring")).unwrap();
    fs::create_dir(desk.path("heap")).unwrap();
    for n in 0..80_u16 {
        let start = u32::from(n) * 1_000;
        fs::write(desk.path(&format!("ring/{n}.pcap")), pcap(&life(start, 40_000 + n))).unwrap();
        let mut overlapping = life(u32::from(n), 40_000 + n);
        overlapping.extend(life(1_000_000, 50_000 + n));
        fs::write(desk.path(&format!("heap/{n}.pcap")), pcap(&overlapping)).unwrap();
    }
    let limited = |input: &str| {
        let mut command = Command::new("sh");
        command.arg("-c").arg(format!("ulimit -n 60 && exec {} list {input}", env!("CARGO_BIN_EXE_finwait")));
        Run::from(command.current_dir(desk.folder.path()).output().unwrap())
    };
    assert_eq!(limited("ring").ends(0).stdout.lines().count(), 81);
    let run = limited("heap");
    run.ends(2).says(&["heap/", "captures that overlap in time are open already", "ulimit -n 4096"]);
    assert_eq!(run.stdout, "");
}

#[test]
fn one_bad_capture_among_several_does_not_cost_the_others() {
    let desk = Desk::new().with("good.pcap", &pcap(&life(0, 40_000))).with("notes.txt", b"no capture");
    desk.run(&["good.pcap", "notes.txt"]).ends(1).says(&["notes.txt", "not a capture"]);
    assert_eq!(rows(&desk.read("reports/good/connections.csv")).len(), 1);
    assert!(desk.read("reports/good/summary.json").contains("\"complete\": false"));
}

#[test]
fn standard_input_is_a_capture() {
    let desk = Desk::new();
    desk.run_with_input(&["-"], &pcap(&life(0, 40_000))).ends(0).says_nothing();
    assert_eq!(rows(&desk.read("reports/stdin/connections.csv")).len(), 1);
    let run = desk.run_with_input(&["list", "-"], &pcap(&life(0, 40_000)));
    assert!(run.ends(0).stdout.contains("40000"));
    desk.run_with_input(&["-"], b"").ends(2).says(&["standard input", "empty"]);
}

#[test]
fn list_prints_a_line_a_connection() {
    let records: Vec<_> = life(0, 40_000).into_iter().chain(life(1000, 40_001)).collect();
    let desk = Desk::new().with("web.pcap", &pcap(&records));
    let run = desk.run(&["list", "web.pcap"]);
    run.ends(0).says_nothing();
    let lines = |run: &Run, part: &str| run.stdout.lines().filter(|line| line.contains(part)).count();
    assert_eq!((lines(&run, ":40000"), lines(&run, ":40001")), (1, 1), "{}", run.stdout);
    assert!(!run.stdout.contains('\u{1b}'), "coloured into a pipe");

    let run = desk.run(&["list", "--where", "client_port = 40001 and handshake_ns < 1s", "web.pcap"]);
    assert_eq!((lines(run.ends(0), ":40000"), lines(&run, ":40001")), (0, 1), "{}", run.stdout);
    let run = desk.run(&["list", "--where", "client_port > 1 and colour = red", "web.pcap"]);
    let expected = "finwait: --where: no column named `colour`; `finwait schema connections` lists them\n  \
                    client_port > 1 and colour = red\n                      ^^^^^^\n";
    assert_eq!((run.ends(2).stderr.as_str(), run.stdout.as_str()), (expected, ""));
    assert!(!desk.path("reports").exists());
}

#[test]
fn show_draws_the_ladder_of_one_connection() {
    let records: Vec<_> = life(0, 40_000).into_iter().chain(life(1000, 40_001)).collect();
    let bytes = pcap(&records);
    let desk = Desk::new().with("web.pcap", &bytes);
    let run = desk.run(&["show", "web.pcap", "2"]);
    run.ends(0).says_nothing();
    assert!(run.stdout.contains("40001") && run.stdout.contains("SYN"), "{}", run.stdout);
    assert!(!run.stdout.contains("40000"), "{}", run.stdout);
    assert_eq!(desk.run_with_input(&["show", "-", "2"], &bytes).ends(0).stdout, run.stdout.replace("web.pcap", "-"));
    desk.run(&["show", "web.pcap", "3"]).ends(2).says(&["web.pcap", "3", "2"]);
}

/// Two lives ten seconds apart; the first begins at 2023-11-14T22:13:20Z.
fn two_lives() -> Desk {
    let records: Vec<_> = life(0, 40_000).into_iter().chain(life(10_000, 40_001)).collect();
    Desk::new().with("web.pcap", &pcap(&records))
}

#[test]
fn a_period_is_analysed_alone() {
    let desk = two_lives();
    for (period, ports) in [
        (&["--from", "5s"][..], [0, 1]),
        (&["--to", "+5s"], [1, 0]),
        (&["--from", "2023-11-14T22:13:25Z"], [0, 1]),
        (&["--from", "2023-11-14T23:13:25.5+01:00", "--to", "2023-11-14T22:14:00"], [0, 1]),
        (&["--to", "10s"], [1, 0]),
        (&["--from", "0.001s", "--to", "2023-11-14T22:13:30.001Z"], [1, 1]),
    ] {
        let run = desk.run(&[&["list", "web.pcap"], period].concat());
        run.ends(0).says_nothing();
        let lines = |part| run.stdout.lines().filter(|line| line.contains(part)).count();
        assert_eq!([lines(":40000"), lines(":40001")], ports, "{period:?}: {}", run.stdout);
    }

    desk.run(&["--from", "5s", "web.pcap"]).ends(0).says_nothing();
    let csv = desk.read("reports/web/connections.csv");
    let found = rows(&csv);
    assert_eq!(found.len(), 1);
    assert_eq!((found[0]["conn_id"], found[0]["first_frame"], found[0]["last_frame"]), ("1", "7", "12"));
    let summary: serde_json::Value = serde_json::from_str(&desk.read("reports/web/summary.json")).unwrap();
    assert_eq!((&summary["packets"], &summary["captures"][0]["packets"]), (&6.into(), &12.into()));
    assert_eq!(summary["options"]["from"], "2023-11-14T22:13:25.000000000Z");
    assert_eq!(summary["options"]["to"], serde_json::Value::Null);

    // The connection's number is the list's, so its packets are found in the same period.
    let run = desk.run(&["show", "web.pcap", "1", "--from", "5s"]);
    assert!(run.ends(0).stdout.contains("40001") && !run.stdout.contains("40000"), "{}", run.stdout);
    let run = desk.run(&["show", "web.pcap", "1", "--from", "0.005s", "--to", "0.03s"]);
    assert!(run.ends(0).stdout.contains("40000") && !run.stdout.contains("40001"), "{}", run.stdout);
    assert!(!run.stdout.contains("SYN_SENT"), "its SYN lies before the period: {}", run.stdout);
}

#[test]
fn a_period_that_can_hold_nothing_is_told() {
    let desk = two_lives();
    for period in [
        ["--from", "9s", "--to", "5s"],
        ["--from", "2023-11-14T22:13:25Z", "--to", "2023-11-14T22:13:20Z"],
        ["--from", "2023-11-14T22:13:25Z", "--to", "2s"],
    ] {
        for command in [&["web.pcap"][..], &["list", "web.pcap"], &["show", "web.pcap", "1"]] {
            desk.run(&[command, &period].concat()).ends(2).says(&["--to", "--from"]);
        }
        assert!(!desk.path("reports").exists());
    }
    for bad in ["yesterday", "2023-02-30T00:00:00Z", "2023-11-14"] {
        let run = desk.run(&["list", "web.pcap", "--from", bad]);
        assert!(run.ends(2).stderr.contains("--from"), "{}", run.stderr);
    }
    desk.run(&["list", "web.pcap", "--from", "1h"]).ends(0).says(&["--from", "2023-11-14T22:13:20"]);
}

/// `finwait … | head -c0`: the reader leaves before the first byte.
#[test]
fn a_closed_pipe_is_success() {
    let desk = Desk::new().with("web.pcap", &pcap(&life(0, 40_000)));
    for args in
        [&["list", "web.pcap"][..], &["web.pcap"], &["schema"], &["show", "web.pcap", "1"], &["man"], &["--help"]]
    {
        let mut child = desk.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let run = Run::from(child.wait_with_output().unwrap());
        run.ends(0).says_nothing();
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_behind_standard_output_is_told() {
    let desk = Desk::new().with("web.pcap", &pcap(&life(0, 40_000)));
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = desk.command(&["list", "web.pcap"]).stdout(full).stderr(Stdio::piped()).output().unwrap();
    Run::from(output).ends(2).says(&["standard output"]);
}

#[test]
fn mistakes_on_the_command_line_have_status_2() {
    let desk = Desk::new();
    for args in [&[][..], &["report"], &["--nonsense"], &["x.pcap", "--format", "xls"], &["show", "x.pcap", "first"]] {
        let run = desk.run(args);
        run.ends(2);
        assert!(run.stderr.contains("Usage") || run.stderr.contains("error:"), "{args:?}: {}", run.stderr);
    }
}

#[test]
fn the_program_explains_itself() {
    let desk = Desk::new();
    let version = desk.run(&["--version"]);
    assert_eq!(version.ends(0).stdout, format!("finwait {}\n", env!("CARGO_PKG_VERSION")));
    let help = desk.run(&["--help"]);
    for part in ["report", "live", "show", "list", "extract", "schema", "interfaces", "Examples:", "Exit status:"] {
        assert!(help.ends(0).stdout.contains(part), "{part}");
    }
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(desk.run(&["completions", shell]).ends(0).stdout.contains("finwait"), "{shell}");
    }
    let man = desk.run(&["man"]);
    assert!(man.ends(0).stdout.contains(".TH finwait 1"), "{}", man.stdout);
    desk.run(&["man", "pages"]).ends(0);
    assert!(desk.path("pages/finwait.1").is_file() && desk.path("pages/finwait-report.1").is_file());
    let schema = desk.run(&["schema"]);
    for table in TABLES {
        assert!(schema.ends(0).stdout.contains(table), "{table}");
    }
    let one = desk.run(&["schema", "time_wait"]);
    assert!(one.ends(0).stdout.contains("proof_of_life_ts") && !one.stdout.contains("half_open_peak"));
}

#[test]
fn nothing_half_written_is_left() {
    let desk = Desk::new().with("web.pcap", &pcap(&life(0, 40_000)));
    desk.run(&["web.pcap"]).ends(0);
    for entry in fs::read_dir(desk.path("reports/web")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let ending = name.rsplit('.').next().unwrap();
        assert!(["csv", "parquet", "json", "jsonl", "png", "html"].contains(&ending), "{name}");
    }
}

/// Every file of a folder, by name.
fn contents(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let mut bytes = Vec::new();
            let path = entry.unwrap().path();
            fs::File::open(&path).unwrap().read_to_end(&mut bytes).unwrap();
            (path.file_name().unwrap().to_string_lossy().into_owned(), bytes)
        })
        .collect();
    files.sort();
    files
}

#[test]
fn any_number_of_shards_writes_the_same_bytes() {
    // Many interleaved lives, so that every shard has its share, and whatever captures are bundled.
    let mut records: Vec<_> = (0..200).flat_map(|i| life(u32::from(i) * 7, 40_000 + i)).collect();
    let number = |record: &[u8], at| u32::from_le_bytes(record[at..at + 4].try_into().unwrap());
    records.sort_by_key(|record| (number(record, 0), number(record, 4)));
    let desk = Desk::new().with("many.pcap", &pcap(&records));
    let bundled = Path::new(env!("CARGO_MANIFEST_DIR")).join("captures");
    let captures: Vec<PathBuf> = fs::read_dir(bundled)
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending.to_string_lossy().starts_with("pcap")))
        .chain([desk.path("many.pcap")])
        .collect();
    for capture in captures {
        let capture = capture.to_str().unwrap();
        let [one, two, eight] = ["1", "2", "8"].map(|threads| {
            let args = ["-q", capture, "-o", threads, "--threads", threads, "--format", "csv,parquet,json,html"];
            assert!(desk.run(&args).status < Some(2), "{capture}");
            contents(&desk.path(threads))
        });
        assert!(one.len() >= 2 * TABLES.len(), "{capture}");
        for other in [two, eight] {
            for ((name, bytes), (other_name, other_bytes)) in one.iter().zip(&other) {
                assert_eq!(name, other_name, "{capture}");
                assert!(bytes == other_bytes, "{capture}: {name} differs");
            }
            assert_eq!(one.len(), other.len(), "{capture}");
        }
    }
}
