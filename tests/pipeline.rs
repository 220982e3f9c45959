//! The pipeline as a library: the bundled captures through any number of shards.
#![cfg(feature = "full")]

// Every test that generates captures uses a part of it.
#[allow(dead_code)]
#[path = "../examples/traffic/generate/mod.rs"]
mod generate;

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use finwait::capture::Savefile;
use finwait::error::Error;
use finwait::metrics::ephemeral_ports::PortRange;
use finwait::metrics::rows::{ConnectionReport, Summary, Tables};
use finwait::pipeline::collect::Kept;
use finwait::pipeline::engine::{Engine, Options};
use finwait::pipeline::interrupt::Interrupt;
use finwait::pipeline::offline::{self, Inputs};
use finwait::pipeline::period::Period;
use finwait::pipeline::sink::{Render, Sink};
use finwait::time::{Span, Timestamp};
use generate::{Profile, Settings};
use tempfile::TempDir;

fn options(threads: usize) -> Options {
    Options {
        threads: NonZeroUsize::new(threads).unwrap(),
        time_wait: Span::from_secs(60),
        verify_checksums: true,
        ignore_vlan: false,
        bucket: None,
        port_range: PortRange::default(),
        memory: 2 << 30,
        period: Period::default(),
        bpf: None,
    }
}

/// Everything that a run found.
struct Analysis {
    tables: Tables,
    summary: Summary,
}

fn analyse(paths: &[PathBuf], threads: usize) -> Analysis {
    run(paths, threads, &Interrupt::default()).0
}

fn run(paths: &[PathBuf], threads: usize, interrupt: &Interrupt) -> (Analysis, Vec<String>) {
    let inputs = Inputs::open(paths, &mut |said| panic!("{said}")).unwrap();
    let options = options(threads);
    let kept = Kept::new(options.asked());
    let finished = offline::run(inputs, options, kept, interrupt, false).unwrap();
    (Analysis { tables: finished.sink.finish(&finished.summary), summary: finished.summary }, finished.stopped)
}

fn bundled() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("captures");
    let mut captures: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending.to_string_lossy().starts_with("pcap")))
        .collect();
    captures.sort();
    captures
}

#[test]
fn any_number_of_shards_finds_the_same() {
    let captures = bundled();
    assert!(captures.len() >= 10);
    let sets = captures.iter().map(|capture| vec![capture.clone()]).chain([captures.clone()]);
    for set in sets {
        let one = analyse(&set, 1);
        assert!(!one.tables.connections.is_empty(), "{set:?}");
        for threads in [2, 3, 8] {
            let several = analyse(&set, threads);
            assert!(several.tables == one.tables, "{set:?}: {threads} shards find something else");
            assert!(several.summary == one.summary, "{set:?}: {threads} shards sum up something else");
        }
    }
}

#[test]
fn rows_are_in_the_order_of_the_contract() {
    let captures = bundled();
    let Tables {
        connections,
        transitions,
        fin_retransmissions,
        time_wait,
        anomalies,
        listener_queues,
        ephemeral_ports,
        ephemeral_port_use,
        ..
    } = analyse(&captures, 2).tables;
    let ids: Vec<u64> = connections.iter().map(|row| row.conn_id).collect();
    assert_eq!(ids, (1..=connections.len() as u64).collect::<Vec<_>>());
    assert!(transitions.is_sorted_by_key(|row| (row.conn_id, row.side, row.step)));
    assert!(fin_retransmissions.is_sorted_by_key(|row| (row.conn_id, row.side, row.ts)));
    assert!(time_wait.is_sorted_by_key(|row| (row.conn_id, row.side, row.entered_ts)));
    assert!(listener_queues.is_sorted_by_key(|row| (row.bucket_ts, row.server)));
    assert!(ephemeral_ports.is_sorted_by_key(|row| row.user));
    assert!(ephemeral_port_use.is_sorted_by_key(|row| (row.bucket_ts, row.user)));
    assert!(anomalies.is_sorted_by_key(|row| (row.conn_id, row.side, row.ts)));
}

/// A classic pcap of bare SYNs with the given seconds, from a port each.
fn syns(seconds: &[u32]) -> Vec<u8> {
    let mut file = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 101, 0, 0, 0];
    for (port, second) in (1000_u16..).zip(seconds) {
        file.extend(second.to_le_bytes());
        file.extend([0, 0, 0, 0, 40, 0, 0, 0, 40, 0, 0, 0]);
        file.extend([0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        file.extend(port.to_be_bytes());
        file.extend([0, 80, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 0x20, 0, 0, 0, 0, 0]);
    }
    file
}

/// The same SYN in pcapng simple packet blocks, which have no time.
fn syns_without_time(count: usize) -> Vec<u8> {
    let mut file = Vec::new();
    let mut block = |kind: u32, body: &[u8]| {
        let length = (body.len() as u32 + 12).to_le_bytes();
        file.extend(kind.to_le_bytes());
        file.extend(length);
        file.extend(body);
        file.extend(length);
    };
    block(0x0a0d_0d0a, &[0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255]);
    block(1, &[101, 0, 0, 0, 0, 0, 0, 0]);
    let pcap = syns(&vec![0; count]);
    for record in pcap[24..].chunks(56) {
        block(3, &[&[40, 0, 0, 0], &record[16..]].concat());
    }
    file
}

fn file(folder: &TempDir, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn the_end_of_the_capture_is_the_greatest_time_of_any_packet() {
    let folder = TempDir::new().unwrap();
    let summary = analyse(&[file(&folder, "back.pcap", &syns(&[50, 90, 70]))], 1).summary;
    let seconds = |ts: Option<Timestamp>| ts.map(|ts| ts.as_nanos() / 1_000_000_000);
    assert_eq!((seconds(summary.first_ts), seconds(summary.last_ts)), (Some(50), Some(90)));
    assert_eq!((summary.packets, summary.tcp_segments, summary.complete), (3, 3, true));
}

#[test]
fn packets_without_a_time_are_still_connections() {
    let folder = TempDir::new().unwrap();
    let Analysis { tables, summary } = analyse(&[file(&folder, "spb.pcapng", &syns_without_time(3))], 1);
    assert_eq!(tables.connections.len(), 3);
    assert_eq!((summary.first_ts, summary.last_ts), (None, None));
    assert!(tables.connections.iter().all(|row| row.first_ts == Timestamp::default()));
}

#[test]
fn frames_name_their_file_and_connections_their_order_in_time() {
    let folder = TempDir::new().unwrap();
    let (late, early) = (file(&folder, "late.pcap", &syns(&[20, 40])), file(&folder, "early.pcap", &syns(&[30, 10])));
    let tables = analyse(&[late, early], 1).tables;
    // Ports are the same in both files, so the second SYN of a port repeats the first.
    let found: Vec<_> = tables
        .connections
        .iter()
        .map(|row| (row.who.client.port, row.first_frame.file(), row.first_frame.number(), row.syn_packets))
        .collect();
    assert_eq!(found, [(1000, 0, 1, 2), (1001, 1, 2, 2)]);
}

#[test]
fn ctrl_c_ends_the_reading_with_what_was_read() {
    let folder = TempDir::new().unwrap();
    let path = file(&folder, "long.pcap", &syns(&vec![1; 60_000]));
    let interrupt = Interrupt::default();
    interrupt.raise();
    let (Analysis { tables, summary }, stopped) = run(&[path], 2, &interrupt);
    assert!(summary.packets > 0 && summary.packets < 60_000, "{}", summary.packets);
    assert_eq!(tables.connections.len() as u64, summary.packets);
    assert!(!summary.complete);
    assert!(matches!(&stopped[..], [said] if said.contains("stopped by Ctrl-C")), "{stopped:?}");
}

#[test]
fn ctrl_c_tells_the_files_that_it_came_before_in_one_line() {
    let folder = TempDir::new().unwrap();
    let ring: Vec<_> = (0..5_u32)
        .map(|n| {
            let packets = if n == 0 { 60_000 } else { 10 };
            file(&folder, &format!("{n}.pcap"), &syns(&vec![n + 1; packets]))
        })
        .collect();
    let interrupt = Interrupt::default();
    interrupt.raise();
    let (Analysis { summary, .. }, stopped) = run(&ring, 2, &interrupt);
    assert!(summary.captures.iter().all(|capture| capture.error.is_some()), "{:?}", summary.captures);
    assert!(summary.captures[1..].iter().all(|capture| capture.packets == 0));
    assert!(stopped[0].contains("0.pcap: stopped by Ctrl-C"), "{stopped:?}");
    assert_eq!(stopped[1..], ["stopped by Ctrl-C before 4 of 5 captures"]);
}

/// Takes reports as they come and keeps what tells them apart.
#[derive(Default)]
struct Witness {
    /// Number, first frame, and a digest of the row and how many changes it has.
    told: Vec<(u64, u64, u64)>,
    /// Reports told when each batch ended.
    batches: Vec<usize>,
}

#[derive(Clone)]
struct Digest;

impl Render for Digest {
    type Rendered = Vec<(u64, u64, u64)>;

    fn render(&self, reports: &[ConnectionReport]) -> Result<Self::Rendered, Error> {
        let digest = |report: &ConnectionReport| {
            let mut hasher = DefaultHasher::new();
            let row = &report.connection;
            (row.packets, row.handshake_ns, row.states, row.last_ts, row.history.as_str()).hash(&mut hasher);
            (report.transitions.len(), report.time_wait.len(), report.anomalies.len()).hash(&mut hasher);
            (row.conn_id, row.first_frame.number(), hasher.finish())
        };
        Ok(reports.iter().map(digest).collect())
    }
}

impl Sink for Witness {
    type Rendered = Vec<(u64, u64, u64)>;
    type Renderer = Digest;

    fn renderer(&self) -> Digest {
        Digest
    }

    fn fold(&mut self, _: &[ConnectionReport]) {}

    fn write(&mut self, rendered: Self::Rendered) -> Result<(), Error> {
        self.told.extend(rendered);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.batches.push(self.told.len());
        Ok(())
    }
}

/// What a generated capture comes to, as a stream or as a file.
fn witnessed(settings: &Settings, threads: usize, stream: bool) -> Witness {
    let mut bytes = Vec::new();
    generate::write(settings, &mut bytes).unwrap();
    let mut savefile = Savefile::from_reader("generated", std::io::Cursor::new(bytes)).unwrap();
    let mut engine =
        Engine::start(Options { verify_checksums: false, ..options(threads) }, Witness::default(), stream).unwrap();
    while let Some(packet) = savefile.next().unwrap() {
        assert!(engine.packet(0, &packet));
    }
    engine.finish(Vec::new()).unwrap().0
}

fn same_for_any_number_of_threads(settings: &Settings, stream: bool, threads: &[usize]) -> Witness {
    let alone = witnessed(settings, 1, stream);
    for &threads in threads {
        let several = witnessed(settings, threads, stream);
        assert!(several.told == alone.told && several.batches == alone.batches, "{threads} threads");
    }
    let mut last = 0;
    for batch in &alone.batches {
        assert!(alone.told[last..*batch].is_sorted(), "a batch is in the order of its numbers");
        last = *batch;
    }
    let mut numbers = alone.told.clone();
    numbers.sort_unstable();
    assert!((1..).zip(&numbers).all(|(number, told)| number == told.0), "every number once");
    assert!(numbers.is_sorted_by_key(|told| told.1), "numbers follow the first frames");
    alone
}

#[test]
fn a_stream_leaves_in_batches_that_are_the_same_for_any_number_of_threads() {
    let settings = Settings { profile: Profile::Short, packets: 30_000, flows: 50, seed: 7, rate: 200 };
    let witness = same_for_any_number_of_threads(&settings, true, &[2, 3, 5]);
    assert!(witness.batches.len() > 50, "{} batches", witness.batches.len());
    let whole = witnessed(&settings, 2, false);
    assert_eq!(whole.batches, [whole.told.len()], "a short file is told as a whole");
}

#[test]
fn a_long_file_leaves_in_batches_too() {
    let settings = Settings { profile: Profile::Flood, packets: 1_300_000, flows: 0, seed: 7, rate: 5_000 };
    let witness = same_for_any_number_of_threads(&settings, false, &[4]);
    let sizes: Vec<_> = witness.batches.windows(2).map(|both| both[1] - both[0]).collect();
    // Those that were over when the first might leave do so little by little; at the end all the rest is one batch.
    let (_, before) = sizes.split_last().unwrap();
    assert!(before.len() > 8 && before.iter().all(|size| (1 << 14..1 << 16).contains(size)), "{sizes:?}");
}
