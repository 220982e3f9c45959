//! `finwait follow` as its users meet it: bytes on standard output, files in a folder, what is said of gaps.
#![cfg(feature = "full")]

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

const SYN: u8 = 0x02;
const ACK: u8 = 0x10;
const FIN_ACK: u8 = 0x11;

/// A packet of a pcap with raw IPv4, between 192.0.2.1:`port` and 192.0.2.2:80.
fn packet(millis: u32, (port, up): (u16, bool), flags: u8, seq: u32, ack: u32, payload: &[u8]) -> Vec<u8> {
    let len = u16::try_from(40 + payload.len()).unwrap();
    let mut ip = vec![0x45, 0];
    ip.extend(len.to_be_bytes());
    ip.extend([0, 1, 0, 0, 64, 6, 0, 0, 192, 0, 2, if up { 1 } else { 2 }, 192, 0, 2, if up { 2 } else { 1 }]);
    let (from, to) = if up { (port, 80) } else { (80, port) };
    ip.extend(from.to_be_bytes());
    ip.extend(to.to_be_bytes());
    ip.extend(seq.to_be_bytes());
    ip.extend(ack.to_be_bytes());
    ip.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    ip.extend(payload);
    let mut record = Vec::new();
    for word in [1_700_000_000 + millis / 1_000, millis % 1_000 * 1_000, u32::from(len), u32::from(len)] {
        record.extend(word.to_le_bytes());
    }
    record.extend(ip);
    record
}

fn pcap(packets: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 101] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend(packets.concat());
    bytes
}

/// A question out of order, an answer, both FINs; `lost`: the question's first half was not captured.
fn talk(start: u32, port: u16, lost: bool) -> Vec<Vec<u8>> {
    let (up, down) = ((port, true), (port, false));
    let mut packets = vec![
        packet(start, up, SYN, 999, 0, b""),
        packet(start + 1, down, SYN | ACK, 4_999, 1_000, b""),
        packet(start + 2, up, ACK, 1_000, 5_000, b""),
        packet(start + 4, up, ACK, 1_005, 5_000, b"\x1b\0?\r\n"),
    ];
    if !lost {
        packets.push(packet(start + 5, up, ACK, 1_000, 5_000, b"hello"));
    }
    packets.extend([
        packet(start + 6, down, ACK, 5_000, 1_010, b"world"),
        packet(start + 7, down, FIN_ACK, 5_005, 1_010, b""),
        packet(start + 8, up, FIN_ACK, 1_010, 5_006, b""),
        packet(start + 9, down, ACK, 5_006, 1_011, b""),
    ]);
    packets
}

struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        let desk = Self(TempDir::new().unwrap());
        let both = [talk(0, 50_000, false), talk(100, 50_001, true)].concat();
        fs::write(desk.path("x.pcap"), pcap(&both)).unwrap();
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, args: &[&str], status: i32) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_finwait"));
        let output = command.args(args).current_dir(self.0.path()).stdin(Stdio::null()).output().unwrap();
        assert_eq!(output.status.code(), Some(status), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        output
    }

    fn names(&self, folder: &str) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(self.path(folder))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn bytes_come_out_as_they_were_sent() {
    let desk = Desk::new();
    assert_eq!(desk.run(&["follow", "x.pcap", "1"], 0).stdout, b"hello\x1b\0?\r\nworld");
    assert_eq!(desk.run(&["follow", "x.pcap", "1", "--side", "server"], 0).stdout, b"world");
    let colored = desk.run(&["follow", "x.pcap", "1", "--color", "always"], 0).stdout;
    assert_eq!(colored, b"\x1b[31mhello\x1b[0m\x1b[31m..?\n\x1b[0m\x1b[34mworld\x1b[0m");
}

#[test]
fn standard_input_can_be_followed() {
    let desk = Desk::new();
    let input = fs::File::open(desk.path("x.pcap")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_finwait"));
    let output = command.args(["follow", "-", "1"]).stdin(input).output().unwrap();
    assert_eq!(output.stdout, b"hello\x1b\0?\r\nworld");
}

#[test]
fn a_gap_is_told_and_never_passed_over() {
    let desk = Desk::new();
    let run = desk.run(&["follow", "x.pcap", "2"], 0);
    assert_eq!(run.stdout, b"\x1b\0?\r\nworld");
    assert!(said(&run).contains("client: 5 bytes missing after 0: acknowledged"), "{}", said(&run));
    let marked = desk.run(&["follow", "x.pcap", "2", "--gaps", "mark", "--side", "client"], 0).stdout;
    assert_eq!(marked, b"[5 bytes missing in capture file]\x1b\0?\r\n");
    let zeros = desk.run(&["follow", "x.pcap", "2", "--gaps", "zeros", "--side", "client"], 0).stdout;
    assert_eq!(zeros, b"\0\0\0\0\0\x1b\0?\r\n");
}

#[test]
fn every_stream_goes_to_a_file_of_its_own() {
    let desk = Desk::new();
    let run = desk.run(&["follow", "x.pcap", "--all", "out"], 0);
    let summary = String::from_utf8(run.stdout).unwrap();
    assert!(summary.starts_with("4 streams, 25 bytes; 5 bytes missing in 1 gaps\n"), "{summary}");
    let file = |id, side, port| format!("00000{id}-{side}-192.0.2.1.{port}-192.0.2.2.80.bin");
    let expected = [
        file(1, "client", 50_000),
        file(1, "server", 50_000),
        file(2, "client", 50_001),
        file(2, "server", 50_001),
        "gaps.csv".to_owned(),
        "index.csv".to_owned(),
    ];
    assert_eq!(desk.names("out"), expected);
    let read = |name: &str| fs::read(desk.path("out").join(name)).unwrap();
    assert_eq!(read(&expected[0]), b"hello\x1b\0?\r\n");
    assert_eq!(read(&expected[2]), b"[5 bytes missing in capture file]\x1b\0?\r\n");
    let index = String::from_utf8(read("index.csv")).unwrap();
    let lines: Vec<&str> = index.lines().collect();
    assert_eq!(lines.len(), 5);
    let third = format!(
        "2,client,{},192.0.2.1,50001,192.0.2.2,80,5,1,5,0,0,2023-11-14T22:13:20.104000000Z,2023-11-14T22:13:20.104000000Z",
        expected[2]
    );
    assert_eq!(lines[3], third);
    let gaps = String::from_utf8(read("gaps.csv")).unwrap();
    assert_eq!(gaps, "conn_id,side,stream_offset,file_offset,length,reason\n2,client,0,0,5,not_captured\n");
}

#[test]
fn streams_can_be_chosen_and_gaps_filled() {
    let desk = Desk::new();
    let args = ["--where", "client_port = 50001", "--side", "client", "--gaps", "zeros", "--memory", "64M", "-q"];
    let run = desk.run(&[&["follow", "x.pcap", "--all", "out"][..], &args[..]].concat(), 0);
    assert!(run.stdout.is_empty());
    let name = "000002-client-192.0.2.1.50001-192.0.2.2.80.bin";
    assert_eq!(desk.names("out"), [name, "gaps.csv", "index.csv"]);
    assert_eq!(fs::read(desk.path("out").join(name)).unwrap(), b"\0\0\0\0\0\x1b\0?\r\n");
}

#[test]
fn a_folder_with_something_in_it_is_left_alone() {
    let desk = Desk::new();
    fs::create_dir(desk.path("out")).unwrap();
    fs::write(desk.path("out/mine"), "").unwrap();
    let run = desk.run(&["follow", "x.pcap", "--all", "out"], 2);
    assert!(said(&run).contains("out: not empty"), "{}", said(&run));
    assert_eq!(desk.names("out"), ["mine"]);
}

#[test]
fn a_run_that_fails_leaves_no_folder() {
    let desk = Desk::new();
    fs::write(desk.path("bad.pcap"), "nothing of the kind").unwrap();
    desk.run(&["follow", "bad.pcap", "--all", "out"], 2);
    assert!(!desk.path("out").exists());
}

#[test]
fn mistakes_are_told() {
    let desk = Desk::new();
    let tells = |args: &[&str], text: &str| {
        let told = said(&desk.run(args, 2));
        assert!(told.contains(text), "{args:?}: {told}");
    };
    tells(&["follow", "x.pcap", "9"], "no connection 9; there are connections 1 to 2");
    tells(&["follow", "x.pcap"], "finwait follow web.pcapng 12");
    tells(&["follow", "1"], "finwait follow web.pcapng 12");
    tells(&["follow", "x.pcap", "1", "--where", "conn_id = 1"], "--all");
    tells(&["follow", "x.pcap", "1", "--memory", "1K"], "64M");
}
