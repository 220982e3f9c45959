//! `--memory`: a flood of connections stays within it, and what was given up is told. In: a capture of nothing but SYNs, each of a
//! 4-tuple of its own. Out: the report, written by a process that the system gives no more than that.
#![cfg(all(feature = "full", target_os = "linux"))]

use std::fs;
use std::process::{Command, Output};

use tempfile::TempDir;

const SYNS: u32 = 400_000;

/// A classic pcap of raw IP: each SYN from another address and port, a thousandth of a second after the last.
fn flood() -> Vec<u8> {
    let mut file = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 101, 0, 0, 0];
    for i in 0..SYNS {
        for word in [1_700_000_000 + i / 1_000, i % 1_000 * 1_000, 40, 40] {
            file.extend(word.to_le_bytes());
        }
        let [_, a, b, c] = i.to_be_bytes();
        file.extend([0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6, 0, 0, 10, a, b, c, 10, 9, 9, 9]);
        file.extend([0x80, c, 0, 80, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 2, 0x20, 0, 0, 0, 0, 0]);
    }
    file
}

/// Runs the program on the flood; the system refuses it memory beyond `most` KiB.
fn run(desk: &TempDir, memory: &str, most: u32) -> Output {
    // The shell's own limit on data: heap and whatever else is mapped to be written.
    let script = format!("ulimit -d {most}; exec \"$0\" \"$@\"");
    let mut command = Command::new("sh");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_finwait"), "flood.pcap", "-o", "out", "--threads", "2"]);
    command.args(["--memory", memory, "--format", "csv,json", "--tables", "connections,listeners"]);
    command.current_dir(desk.path()).output().unwrap()
}

#[test]
fn a_flood_stays_within_its_memory_and_says_what_was_given_up() {
    let desk = TempDir::new().unwrap();
    fs::write(desk.path().join("flood.pcap"), flood()).unwrap();
    let output = run(&desk, "128M", 128 << 10);
    let (said, wrong) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(0), "{wrong}");

    let read = |name: &str| fs::read_to_string(desk.path().join("out").join(name)).unwrap();
    let summary: serde_json::Value = serde_json::from_str(&read("summary.json")).unwrap();
    let evictions = summary["evictions"].as_u64().unwrap();
    assert!(evictions > 0 && evictions < u64::from(SYNS), "{evictions}");
    let rows = read("connections.csv");
    assert_eq!(rows.lines().count(), 1 + SYNS as usize, "each has its row");
    assert_eq!(rows.lines().filter(|row| row.contains(",evicted,")).count() as u64, evictions);
    assert!(said.contains("given up"), "{said}");
}
