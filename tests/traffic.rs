//! The benchmark's captures through the analysis: what the generator says it sent is what the analysis finds. A benchmark
//! on captures that mean something else than they say would measure nothing.

#[path = "../examples/traffic/generate/mod.rs"]
mod generate;

use std::io::Cursor;

use finwait::capture::Savefile;
use finwait::conntrack::config::Config;
use finwait::conntrack::tracker::Tracker;
use finwait::decode::skip::{Skip, SkipCounts};
use finwait::decode::{Decoded, Decoder};
use finwait::metrics::rows::{Closing, ConnectionReport, Opening};
use finwait::tcp::anomaly::AnomalyKind;
use finwait::tcp::segment::FrameId;
use finwait::time::Timestamp;
use generate::{Profile, Settings, Told};

struct Found {
    reports: Vec<ConnectionReport>,
    skipped: SkipCounts,
    most_kept: usize,
}

impl Found {
    fn sum(&self, of: impl Fn(&ConnectionReport) -> u64) -> u64 {
        self.reports.iter().map(of).sum()
    }

    fn count(&self, is: impl Fn(&ConnectionReport) -> bool) -> u64 {
        self.sum(|report| u64::from(is(report)))
    }
}

fn settings(profile: Profile) -> Settings {
    let flows = match profile {
        Profile::Bulk | Profile::Flood => profile.default_flows(),
        Profile::Mix | Profile::Headers => 60,
        _ => 500,
    };
    // Slow enough for every timer to run out within the capture.
    let rate = if matches!(profile, Profile::Bulk | Profile::Flood) { 200_000 } else { 1_000 };
    Settings { profile, packets: 20_000, flows, seed: 7, rate }
}

fn written(settings: &Settings) -> (Vec<u8>, Told) {
    let mut bytes = Vec::new();
    let told = generate::write(settings, &mut bytes).unwrap();
    (bytes, told)
}

fn analysed(bytes: Vec<u8>) -> Found {
    let mut savefile = Savefile::from_reader("traffic", Cursor::new(bytes)).unwrap();
    let (mut decoder, mut tracker) = (Decoder::default(), Tracker::new(Config::default()));
    decoder.verify_checksums = true;
    let mut found = Found { reports: Vec::new(), skipped: SkipCounts::default(), most_kept: 0 };
    let (mut ordinal, mut last) = (0, Timestamp::MIN);
    while let Some(packet) = savefile.next().unwrap() {
        let ts = packet.ts.unwrap();
        assert!(ts >= last, "packet {} went back in time", packet.number);
        last = ts;
        found.most_kept = found.most_kept.max(packet.data.len());
        match decoder.decode(&packet, FrameId::new(0, packet.number), ordinal, ts) {
            Decoded::Segment { addressed, .. } => tracker.feed(&addressed, &mut |report| found.reports.push(report)),
            Decoded::Undelivered(_) => panic!("there is no ICMP"),
            Decoded::Skip(skip) => found.skipped.add(skip),
        }
        ordinal += 1;
    }
    assert_eq!(ordinal, 20_000);
    tracker.finish(last, &mut |report| found.reports.push(report));
    found
}

/// What holds for every profile.
fn agreed(profile: Profile) -> (Found, Told) {
    let (bytes, told) = written(&settings(profile));
    assert_eq!(told.packets, 20_000);
    let found = analysed(bytes);
    let skipped: u64 = Skip::ALL.iter().map(|&skip| found.skipped.get(skip)).sum();
    assert_eq!((found.skipped.get(Skip::Udp), skipped), (told.datagrams, told.datagrams), "{profile}: skipped");
    assert_eq!(found.reports.len() as u64, told.connections, "{profile}: connections");
    let of_syns = found.sum(|report| report.connection.syn_packets);
    assert_eq!(of_syns, told.connections + told.syn_repeats, "{profile}: SYNs");
    assert_eq!(found.sum(|report| report.connection.syn_ack_packets), told.syn_acks, "{profile}: SYN-ACKs");
    assert_eq!(
        found.sum(|report| report.connection.syn_ack_retransmissions),
        told.syn_ack_repeats,
        "{profile}: repeated SYN-ACKs"
    );
    assert_eq!(
        found.sum(|report| report.connection.fin_retransmissions.iter().sum()),
        told.fin_repeats,
        "{profile}: repeated FINs"
    );
    assert_eq!(
        found.count(|report| report.connection.opening == Opening::Handshake),
        told.openings,
        "{profile}: openings"
    );
    for anomaly in found.reports.iter().flat_map(|report| &report.anomalies) {
        let is_fault = matches!(anomaly.kind, AnomalyKind::BadChecksum | AnomalyKind::OutOfWindow);
        assert!(!is_fault, "{profile}: {anomaly:?}");
    }
    (found, told)
}

#[test]
fn short_connections_open_speak_and_close_as_they_were_sent() {
    let (found, told) = agreed(Profile::Short);
    assert!(
        told.connections > 1_000 && told.syn_repeats > 0 && told.fin_repeats > 0 && told.unanswered > 0,
        "{told:?}"
    );
    let mean = 20_000 / told.connections;
    assert!((8..14).contains(&mean), "{mean} packets a connection");
    assert_eq!(found.count(|report| report.connection.opening == Opening::Refused), told.refused);
    assert!(found.count(|report| report.connection.opening == Opening::NoAnswer) >= told.unanswered);
    let retransmissions = found.sum(|report| report.connection.retransmissions.iter().sum());
    assert!(retransmissions >= told.data_repeats, "{retransmissions} of {}", told.data_repeats);
    assert!(found.reports.iter().any(|report| report.connection.who.client.ip.is_ipv6()));
}

#[test]
fn mixed_traffic_has_long_and_short_connections_tags_and_noise() {
    let (found, told) = agreed(Profile::Mix);
    assert!((3_500..4_500).contains(&told.datagrams), "{told:?}");
    assert!(told.data_repeats > 0, "{told:?}");
    let packets = |report: &ConnectionReport| report.connection.packets.iter().sum::<u64>();
    assert!(found.reports.iter().any(|report| packets(report) > 150));
    assert!(found.count(|report| packets(report) < 20) > told.connections / 2);
    assert!(found.reports.iter().any(|report| report.connection.who.vlan.is_some()));
    assert!(found.most_kept > 1_500);
}

#[test]
fn a_header_capture_is_the_mix_cut_short() {
    let (found, told) = agreed(Profile::Headers);
    assert_eq!(told, written(&settings(Profile::Mix)).1);
    assert_eq!(found.most_kept, 96);
}

#[test]
fn bulk_transfers_are_full_segments_and_their_acknowledgements() {
    let (found, told) = agreed(Profile::Bulk);
    assert_eq!((told.connections, told.openings), (8, 8));
    let payload = found.sum(|report| report.connection.payload_bytes.iter().sum());
    assert!(payload > 20_000 * 6 / 10 * 1_440, "{payload} bytes");
    assert!(told.data_repeats > 0, "{told:?}");
}

#[test]
fn a_flood_is_a_connection_for_each_syn() {
    let (_, told) = agreed(Profile::Flood);
    assert_eq!(told.connections + told.syn_acks, 20_000);
    assert!((120..280).contains(&told.syn_acks), "{told:?}");
}

#[test]
fn idle_connections_open_first_and_stay() {
    let (found, told) = agreed(Profile::Idle);
    assert_eq!((told.connections, told.openings, told.fins), (500, 500, 0));
    let open = |report: &ConnectionReport| report.connection.closing == Closing::Open;
    assert_eq!(found.count(open), 500);
}

#[test]
fn the_same_seed_writes_the_same_bytes_and_another_seed_others() {
    for profile in Profile::ALL {
        let mut settings = Settings { packets: 2_000, ..settings(profile) };
        let first = written(&settings);
        assert!(first == written(&settings), "{profile}");
        settings.seed += 1;
        assert!(first.0 != written(&settings).0, "{profile}");
    }
}
