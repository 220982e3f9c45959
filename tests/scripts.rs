//! Every packet script: through the core lane by lane, then through bytes in every variant that must not matter.

mod common;

use std::path::{Path, PathBuf};

use common::{Container, Link};
use finwait::capture::Savefile;
use finwait::conntrack::config::Config;
use finwait::conntrack::flow::key_of;
use finwait::conntrack::tracker::Tracker;
use finwait::decode::{Decoded, Decoder};
use finwait::metrics::rows::ConnectionReport;
use finwait::script::parse::{Numbers, Script};
use finwait::script::run::{self, Passing};
use finwait::tcp::segment::{FrameId, HostPort};

fn scripts() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("the scripts are there") {
            let path = entry.expect("a folder can be listed").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "tcp") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn end(ip: &str, port: u16) -> HostPort {
    HostPort::new(ip.parse().unwrap(), port)
}

#[test]
fn scripts_say_what_they_expect() {
    let (mut failed, mut passed) = (Vec::new(), 0);
    for path in scripts() {
        let text = std::fs::read_to_string(&path).unwrap();
        for isn in [[1_000, 5_000], [u32::MAX, u32::MAX], [u32::MAX - 150, u32::MAX - 1]] {
            for ends in [
                [end("10.0.0.1", 40_000), end("10.0.0.2", 80)],
                [end("10.0.0.2", 40_000), end("10.0.0.1", 80)],
                [end("2001:db8::1", 40_000), end("2001:db8::2", 80)],
            ] {
                let numbers = Numbers { isn, ..Numbers::default() };
                let outcome = Script::parse(&text, numbers)
                    .map_err(|error| error.to_string())
                    .and_then(|script| run::run(&script, ends, numbers).map_err(|unmet| unmet.to_string()));
                match outcome {
                    Ok(_) => passed += 1,
                    Err(what) => failed.push(format!("{}: {what} (ISNs {isn:?})", path.display())),
                }
            }
        }
    }
    failed.dedup_by_key(|what| what.split(" (ISNs").next().unwrap_or_default().to_owned());
    assert!(failed.is_empty(), "{} failed:\n{}", failed.len(), failed.join("\n"));
    assert!(passed >= 9, "no scripts were found");
}

/// The reports of a capture file, by as many trackers as there are shards.
fn through_bytes(file: Vec<u8>, script: &Script, numbers: Numbers, shards: u64) -> Vec<ConnectionReport> {
    let mut config = Config::default();
    if let Some(time_wait) = script.time_wait {
        config.time_wait = time_wait;
    }
    let mut trackers: Vec<Tracker> = (0..shards).map(|_| Tracker::new(config.clone())).collect();
    let mut reports = Vec::new();
    let mut savefile = Savefile::from_reader("script", std::io::Cursor::new(file)).unwrap();
    let mut decoder = Decoder::default();
    let mut ordinal = 0;
    while let Some(packet) = savefile.next().unwrap() {
        let frame = FrameId::new(0, packet.number);
        match decoder.decode(&packet, frame, ordinal, packet.ts.unwrap()) {
            Decoded::Segment { addressed, .. } => {
                let shard = key_of(&addressed).0.flow_hash() % shards;
                trackers[shard as usize].feed(&addressed, &mut |report| reports.push(report));
            }
            Decoded::Undelivered(icmp) => trackers.iter_mut().for_each(|tracker| tracker.undelivered(&icmp)),
            Decoded::Skip(skip) => panic!("frame {}: {skip:?}", packet.number),
        }
        ordinal += 1;
    }
    for tracker in trackers {
        tracker.finish(script.end(numbers), &mut |report| reports.push(report));
    }
    reports
}

/// Without what the variants may change: bytes on the wire, VLAN tags.
fn comparable(mut report: ConnectionReport) -> ConnectionReport {
    report.connection.wire_bytes = [0; 2];
    report.connection.who.vlan = None;
    report
}

#[test]
fn scripts_say_the_same_through_bytes() {
    let (paths, workers) = (scripts(), std::thread::available_parallelism().map_or(1, |workers| workers.get()));
    let compared: usize = std::thread::scope(|scope| {
        let share = |part: usize| paths.iter().skip(part).step_by(workers).map(|path| variants(path)).sum::<usize>();
        let workers: Vec<_> = (0..workers).map(|part| scope.spawn(move || share(part))).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).sum()
    });
    assert!(compared >= 120 * 2 * 3 * 7, "only {compared} variants were compared");
}

/// Compares all variants of a script. Returns how many.
fn variants(path: &Path) -> usize {
    let mut compared = 0;
    let text = std::fs::read_to_string(path).unwrap();
    for isn in [[1_000, 5_000], [u32::MAX, u32::MAX]] {
        let numbers = Numbers { isn, ..Numbers::default() };
        let script = Script::parse(&text, numbers).unwrap();
        for (client, server) in [("10.0.0.1", "10.0.0.2"), ("10.0.0.2", "10.0.0.1"), ("2001:db8::1", "2001:db8::2")] {
            let ends = [end(client, 40_000), end(server, 80)];
            let mut packets = run::wire(&script, ends);
            // IPv6 has no identification.
            for packet in packets.iter_mut().filter(|_| ends[0].ip.is_ipv6()) {
                if let Passing::Segment(packet) = packet {
                    packet.segment.ip_id = None;
                }
            }
            let plain = reports_of(&packets, &script, numbers);
            // Each link type in each of the six rounds, in another container every time.
            for (link, container) in Link::ALL.into_iter().zip(Container::ALL.into_iter().cycle().skip(compared)) {
                let shards = if container.big_endian { 4 } else { 1 };
                let got = through_bytes(container.file(link, &packets), &script, numbers, shards);
                let got: Vec<_> = got.into_iter().map(comparable).collect();
                assert_eq!(got, plain, "{} over {link:?} in {container:?}, ISNs {isn:?}", path.display());
                compared += 1;
            }
        }
    }
    compared
}

/// The reports of the segments themselves.
fn reports_of(packets: &[Passing], script: &Script, numbers: Numbers) -> Vec<ConnectionReport> {
    let mut config = Config::default();
    if let Some(time_wait) = script.time_wait {
        config.time_wait = time_wait;
    }
    let (mut tracker, mut reports) = (Tracker::new(config), Vec::new());
    for packet in packets {
        match packet {
            Passing::Segment(packet) => tracker.feed(packet, &mut |report| reports.push(comparable(report))),
            Passing::Undelivered(icmp) => tracker.undelivered(icmp),
        }
    }
    tracker.finish(script.end(numbers), &mut |report| reports.push(comparable(report)));
    reports
}
