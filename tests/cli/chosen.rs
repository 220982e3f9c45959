//! What is chosen: packets by a filter, connections by a condition, and their packets into a file.

use std::fs;

use finwait::capture::info::Interface;
use finwait::capture::write::PcapngWriter;
use finwait::capture::{LinkType, Packet, Savefile};
use finwait::time::Timestamp;

use super::*;

/// Two lives, one after the other, in one capture.
fn desk() -> Desk {
    two_lives()
}

/// Time, link type, length on the wire and bytes of every packet, and the interface's name, snap length and decimals.
type Kept = (Option<i64>, u16, u32, Vec<u8>, Option<Interface>);

fn packets(desk: &Desk, name: &str) -> Vec<Kept> {
    let mut savefile = Savefile::open(desk.path(name)).unwrap();
    let mut kept = Vec::new();
    loop {
        let Some(packet) = savefile.next().unwrap() else { return kept };
        let Packet { ts, link, wire_len, interface, data, .. } = packet;
        let packet = (ts.map(Timestamp::as_nanos), link.0, wire_len, data.to_vec());
        let interface = savefile.interface(interface);
        kept.push((packet.0, packet.1, packet.2, packet.3, interface));
    }
}

#[test]
fn a_filter_passes_packets_over_and_frames_keep_their_numbers() {
    let desk = desk();
    desk.run(&["web.pcap", "--bpf", "tcp port 40001", "--format", "csv", "-q"]).ends(0).says_nothing();
    let csv = desk.read("reports/web/connections.csv");
    let found = rows(&csv);
    assert_eq!(found.len(), 1);
    assert_eq!((found[0]["conn_id"], found[0]["first_frame"], found[0]["last_frame"]), ("1", "7", "12"));
    let summary: serde_json::Value = serde_json::from_str(&desk.read("reports/web/summary.json")).unwrap();
    assert_eq!((&summary["packets"], &summary["captures"][0]["packets"]), (&6.into(), &12.into()));
    assert_eq!(summary["options"]["bpf"], "tcp port 40001");
    assert_eq!(
        (&summary["filtered"]["passed_over"], &summary["filtered"]["unfit"]),
        (&6.into(), &serde_json::json!([]))
    );

    let run = desk.run(&["web.pcap", "--bpf", "tcp port 40001", "--tables", "none", "--format", "csv"]);
    assert!(run.ends(0).stdout.contains("Filter      tcp port 40001 · 6 packets passed over\n"), "{}", run.stdout);
    let run = desk.run(&["show", "web.pcap", "1", "--bpf", "tcp port 40001"]);
    assert!(run.ends(0).stdout.contains("40001") && !run.stdout.contains("40000"), "{}", run.stdout);
    let run = desk.run(&["list", "web.pcap", "--bpf", "src port 80", "--from", "5s"]);
    assert!(run.ends(0).stdout.contains("40001") && !run.stdout.contains("40000"), "{}", run.stdout);
}

#[test]
fn a_filter_that_is_none_or_fits_nothing_is_told_and_leaves_nothing() {
    let raw: Vec<u8> = [header(101), record(0, &life(0, 40_000)[0][30..])].concat();
    let desk = desk().with("raw.pcap", &raw);
    for command in [&["web.pcap"][..], &["list", "web.pcap"], &["show", "web.pcap", "1"], &["list", "missing.pcap"]] {
        let run = desk.run(&[command, &["--bpf", "tcp prot 80"]].concat());
        run.ends(2).says(&["--bpf 'tcp prot 80'", "syntax error"]);
    }
    desk.run(&["raw.pcap", "--bpf", "ether host 1:2:3:4:5:6"]).ends(2).says(&["does not fit raw IP"]);
    assert!(!desk.path("reports").exists());
    desk.run(&["list", "web.pcap", "--bpf", "udp"]).ends(0).says(&["no packet passes --bpf 'udp': 12 packets"]);
}

#[test]
fn a_filter_meets_every_link_type_of_a_run_with_its_own_program() {
    let frames: Vec<_> = life(10_000, 40_001).iter().map(|record| record[16..][14..].to_vec()).collect();
    let raw: Vec<_> = frames.iter().zip(10_000..).map(|(packet, millis)| record(millis, packet)).collect();
    let desk = desk().with("raw.pcap", &[vec![header(101)], raw].concat().concat());
    let run = desk.run(&["list", "web.pcap", "raw.pcap", "--bpf", "tcp dst port 80"]);
    assert_eq!(run.ends(0).stdout.matches("40001").count(), 1, "{}", run.stdout);
    assert_eq!(run.stdout.matches("40000").count(), 1, "{}", run.stdout);
    // The raw packets have no Ethernet header to look at, so none of them passes.
    desk.run(&["web.pcap", "raw.pcap", "--bpf", "ether host 02:00:00:00:00:01", "-o", "out", "--format", "csv", "-q"])
        .ends(0);
    let summary: serde_json::Value = serde_json::from_str(&desk.read("out/summary.json")).unwrap();
    assert_eq!((&summary["packets"], &summary["filtered"]["unfit"]), (&12.into(), &serde_json::json!(["raw IP"])));
}

#[test]
fn extracted_packets_are_those_of_the_connections_as_they_were() {
    let desk = desk();
    let all = packets(&desk, "web.pcap");
    let run = desk.run(&["extract", "web.pcap", "--where", "client == 10.0.0.1:40001", "-o", "out.pcapng"]);
    run.ends(0).says(&["out.pcapng: 6 packets of 1 of 2 connections"]);
    assert_eq!(packets(&desk, "out.pcapng"), all[6..]);
    desk.run(&["extract", "web.pcap", "--conn", "1-2", "--where", "conn_id < 2", "-o", "out.pcapng", "-q"])
        .ends(0)
        .says_nothing();
    assert_eq!(packets(&desk, "out.pcapng"), all[..6]);
    desk.run(&["extract", "web.pcap", "--conn", "1,2", "-o", "out.pcapng"]).ends(0);
    assert_eq!(packets(&desk, "out.pcapng"), all);

    for (name, capture) in [("whole", "web.pcap"), ("part", "out.pcapng")] {
        desk.run(&[capture, "-o", name, "--format", "csv", "-q"]).ends(0);
    }
    assert_eq!(desk.read("whole/connections.csv"), desk.read("part/connections.csv"));
    assert_eq!(desk.read("whole/transitions.csv"), desk.read("part/transitions.csv"));

    desk.run(&["extract", "web.pcap", "--where", "duration > 1h", "-o", "none.pcapng"])
        .ends(0)
        .says(&["0 packets of 0 of 2 connections"]);
    assert_eq!(packets(&desk, "none.pcapng"), []);
}

#[test]
fn interfaces_and_clocks_of_several_captures_are_kept() {
    let desk = desk();
    let mut writer = PcapngWriter::new(Vec::new()).unwrap();
    let lo = Interface { name: Some("lo".into()), snaplen: Some(96), decimals: 9 };
    let tun = Interface { name: Some("tun0".into()), snaplen: None, decimals: 3 };
    let numbers = [writer.describe(LinkType::ETHERNET, &lo), writer.describe(LinkType::RAW, &tun)].map(Result::unwrap);
    for (place, record) in life(0, 40_002).iter().enumerate() {
        let frame = &record[16..];
        let (link, data) = if place % 2 == 0 { (LinkType::ETHERNET, frame) } else { (LinkType::RAW, &frame[14..]) };
        let ts = Some(Timestamp::from_nanos(1_700_000_000_000_000_000 + place as i64 * 5_000_000));
        let packet = Packet { ts, number: 0, link, interface: 0, wire_len: 900, data };
        writer.write_on(&packet, numbers[place % 2]).unwrap();
    }
    let desk = desk.with("two.pcapng", &writer.finish(None).unwrap());
    desk.run(&[
        "extract",
        "two.pcapng",
        "web.pcap",
        "--where",
        "client_port in (40001, 40002)",
        "-o",
        "out.pcapng",
        "-q",
    ])
    .ends(0);
    let out = packets(&desk, "out.pcapng");
    assert_eq!(out[..6], packets(&desk, "two.pcapng"));
    assert_eq!(out[6..], packets(&desk, "web.pcap")[6..]);
}

#[test]
fn extract_writes_to_standard_output_and_reads_from_standard_input() {
    let desk = desk();
    let mut command = desk.command(&["extract", "-", "--conn", "2", "-o", "-"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&fs::read(desk.path("web.pcap")).unwrap()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said, "finwait: standard output: 6 packets of 1 of 2 connections\n");
    let desk = desk.with("out.pcapng", &output.stdout);
    assert_eq!(packets(&desk, "out.pcapng"), packets(&desk, "web.pcap")[6..]);
}

#[test]
fn extract_never_writes_over_what_it_reads_or_leaves_halves() {
    let desk = desk();
    let before = fs::read(desk.path("web.pcap")).unwrap();
    fs::hard_link(desk.path("web.pcap"), desk.path("link.pcap")).unwrap();
    for output in ["web.pcap", "./web.pcap", "link.pcap"] {
        desk.run(&["extract", "web.pcap", "--conn", "1", "-o", output]).ends(2).says(&["is read", "-o"]);
    }
    assert_eq!(fs::read(desk.path("web.pcap")).unwrap(), before);
    desk.run(&["extract", "web.pcap", "--conn", "3", "-o", "out.pcapng"]).ends(2).says(&["no connection 3", "1 to 2"]);
    desk.run(&["extract", "missing.pcap", "--conn", "3", "-o", "out.pcapng"]).ends(2).says(&["missing.pcap"]);
    desk.run(&["extract", "web.pcap", "--conn", "1", "-o", "."]).ends(2).says(&["no name for a file"]);
    let names: Vec<_> = contents(desk.folder.path()).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["link.pcap", "web.pcap"]);
    for bad in [&["-o", "out.pcapng"][..], &["--conn", "2-1", "-o", "out.pcapng"], &["--conn", "1"]] {
        desk.run(&[&["extract", "web.pcap"], bad].concat()).ends(2);
    }
}

#[test]
fn a_damaged_capture_gives_what_was_read_of_it() {
    let desk = desk();
    let whole = fs::read(desk.path("web.pcap")).unwrap();
    let desk = desk.with("cut.pcap", &whole[..whole.len() - 9]);
    let run = desk.run(&["extract", "cut.pcap", "--conn", "2", "-o", "out.pcapng", "-q"]);
    run.ends(1).says(&["cut.pcap"]);
    assert_eq!(packets(&desk, "out.pcapng"), packets(&desk, "web.pcap")[6..11]);
}
