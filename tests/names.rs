//! What services are called, from a capture's bytes to its tables: hellos, requests and banners written by hand.
#![cfg(feature = "full")]

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

const ACK: u8 = 0x10;
const SYN: u8 = 0x02;
const FIN: u8 = 0x01;

/// A capture in the making: a frame a millisecond.
#[derive(Default)]
struct Tape {
    frames: Vec<Vec<u8>>,
}

/// One connection of a client's port to a server's.
#[derive(Clone, Copy)]
struct Talk {
    ports: [u16; 2],
    next: [u32; 2],
}

impl Tape {
    /// A handshake of a new connection.
    fn open(&mut self, ports: [u16; 2], isn: u32) -> Talk {
        let mut talk = Talk { ports, next: [isn, isn.wrapping_add(0x7fff_fff0)] };
        self.send(&mut talk, 0, SYN, b"");
        self.send(&mut talk, 1, SYN | ACK, b"");
        self.send(&mut talk, 0, ACK, b"");
        talk
    }

    fn send(&mut self, talk: &mut Talk, side: usize, flags: u8, payload: &[u8]) {
        let (seq, ack) = (talk.next[side], if flags & ACK == 0 { 0 } else { talk.next[1 - side] });
        talk.next[side] = seq.wrapping_add(payload.len() as u32 + u32::from(flags & (SYN | FIN) != 0));
        let hosts = [[10, 0, 0, 1], [10, 0, 0, 2]];
        let total = (40 + payload.len()) as u16;
        let mut frame = [&[0x45, 0][..], &total.to_be_bytes(), &[0, 1, 0x40, 0, 64, 6, 0, 0]].concat();
        frame.extend([hosts[side], hosts[1 - side]].concat());
        frame.extend([talk.ports[side], talk.ports[1 - side]].map(u16::to_be_bytes).concat());
        frame.extend([seq, ack].map(u32::to_be_bytes).concat());
        frame.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
        frame.extend(payload);
        self.frames.push(frame);
    }

    fn say(&mut self, talk: &mut Talk, side: usize, payload: &[u8]) {
        self.send(talk, side, ACK, payload);
    }

    fn close(&mut self, mut talk: Talk) {
        for (side, flags) in [(0, FIN | ACK), (1, FIN | ACK), (0, ACK)] {
            self.send(&mut talk, side, flags, b"");
        }
    }

    /// As a classic capture of raw IP whose packets are cut after `snaplen` bytes.
    fn file(&self, snaplen: usize) -> Vec<u8> {
        let mut file = [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 262_144, 101].map(u32::to_le_bytes).concat();
        for (n, frame) in (0_u32..).zip(&self.frames) {
            let cut = &frame[..frame.len().min(snaplen)];
            file.extend(
                [n / 1_000, n % 1_000 * 1_000, cut.len() as u32, frame.len() as u32].map(u32::to_le_bytes).concat(),
            );
            file.extend(cut);
        }
        file
    }
}

fn long(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u16).to_be_bytes(), bytes].concat()
}

fn record(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind, 3, 3][..], &long(body)].concat()
}

fn extension(kind: u16, data: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &long(data)].concat()
}

fn hello(kind: u8, middle: &[u8], extensions: &[Vec<u8>]) -> Vec<u8> {
    let body = [&[3, 3][..], &[7; 32], &[0], middle, &long(&extensions.concat())].concat();
    record(0x16, &[&[kind, 0][..], &long(&body)].concat())
}

/// A ClientHello that offers h2 and HTTP/1.1; the name stands behind `padding` bytes of another extension.
fn client_hello(name: &str, padding: usize) -> Vec<u8> {
    let sni = extension(0, &long(&[&[0], &long(name.as_bytes())[..]].concat()));
    let alpn = extension(16, &long(b"\x02h2\x08http/1.1"));
    hello(1, &[0, 2, 0x13, 1, 1, 0], &[extension(51, &vec![9; padding]), sni, alpn])
}

fn server_hello(extensions: &[Vec<u8>]) -> Vec<u8> {
    hello(2, &[0x13, 1, 0], extensions)
}

fn tls_13() -> Vec<u8> {
    server_hello(&[extension(43, &[3, 4])])
}

fn data() -> Vec<u8> {
    record(0x17, &[0x55; 60])
}

fn finwait(folder: &Path, args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_finwait")).args(args).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The cells of a line; a comma between quotes is part of one.
fn cells(line: &str) -> Vec<&str> {
    let mut quoted = false;
    let ends = |char| {
        quoted ^= char == '"';
        char == ',' && !quoted
    };
    line.split(ends).collect()
}

/// The table as `finwait` writes it with so many threads: the cells of some columns, a line a row.
fn table(capture: &[u8], threads: usize, table: &str, columns: &[&str]) -> Vec<String> {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("a.pcap"), capture).unwrap();
    let threads = threads.to_string();
    let args =
        ["report", "a.pcap", "-o", "out", "--quiet", "--format", "csv", "--tables", table, "--threads", &threads];
    finwait(folder.path(), &args);
    let text = fs::read_to_string(folder.path().join(format!("out/{table}.csv"))).unwrap();
    let mut lines = text.lines().map(cells);
    let headings = lines.next().unwrap();
    let places = columns.iter().map(|name| headings.iter().position(|heading| heading == name).unwrap());
    let places: Vec<_> = places.collect();
    lines.map(|cells| places.iter().map(|&place| cells[place]).collect::<Vec<_>>().join("|")).collect()
}

const NAMES: [&str; 5] = ["app", "app_name", "tls_version", "tls_handshake_ns", "server_port"];

/// Connections of every kind, some of them at the same time.
fn everything() -> Tape {
    let mut tape = Tape::default();
    // TLS 1.3, the hello in two segments.
    let mut tls = tape.open([40_000, 443], 1_000);
    let hello = client_hello("Shop.example", 1_300);
    tape.say(&mut tls, 0, &hello[..1_000]);
    let mut ssh = tape.open([40_001, 22], u32::MAX - 3);
    tape.say(&mut tls, 0, &hello[1_000..]);
    tape.say(&mut ssh, 1, b"SSH-2.0-OpenSSH_9.6\r\n");
    tape.say(&mut tls, 1, &[tls_13(), record(0x14, &[1]), data()].concat());
    tape.say(&mut ssh, 0, b"SSH-2.0-Go\r\n");
    tape.say(&mut tls, 0, &[record(0x14, &[1]), data()].concat());
    tape.say(&mut tls, 1, &data());
    tape.close(tls);
    tape.close(ssh);
    // The same ports again, and another service; 1.2 this time.
    let mut again = tape.open([40_000, 443], 900_000_000);
    tape.say(&mut again, 0, &client_hello("api.example", 10));
    tape.say(&mut again, 1, &server_hello(&[extension(16, &long(b"\x02h2"))]));
    tape.say(&mut again, 1, &data());
    tape.close(again);
    // And once more, with nothing said.
    let silent = tape.open([40_000, 443], 1_900_000_000);
    tape.close(silent);
    let mut http = tape.open([40_002, 80], 5);
    tape.say(&mut http, 0, b"GET / HTTP/1.1\r\nHost: www.example:8080\r\n\r\n");
    tape.say(&mut http, 1, b"HTTP/1.1 200 OK\r\n\r\n");
    // What looks like a request in the middle of data is none.
    let mut upload = tape.open([40_003, 9_000], 5);
    for _ in 0..5 {
        tape.say(&mut upload, 0, &[0x80; 1_400]);
    }
    tape.say(&mut upload, 0, b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n");
    tape
}

#[test]
fn each_connection_has_its_own_name_for_any_number_of_threads() {
    let capture = everything().file(65_535);
    for threads in [1, 2, 4, 7] {
        assert_eq!(
            table(&capture, threads, "connections", &NAMES),
            [
                // From the hello's first segment, over the other connection's handshake and banners.
                "tls|shop.example|1.3|8000000|443",
                "ssh|SSH-2.0-OpenSSH_9.6|||22",
                "tls|api.example|1.2|2000000|443",
                "||||443",
                "http|www.example:8080|||80",
                "||||9000",
            ],
            "{threads} threads"
        );
    }
}

#[test]
fn no_name_is_lost_where_batches_of_segments_end() {
    let mut tape = Tape::default();
    for port in 1..=700 {
        let mut talk = tape.open([port, 80], 5);
        // An odd number of segments each, so that every one of them is some batch's last.
        tape.say(&mut talk, 0, format!("GET / HTTP/1.1\r\nHost: {port}.example\r\n\r\n").as_bytes());
        tape.say(&mut talk, 1, b"HTTP/1.1 200 OK\r\n\r\n");
    }
    let capture = tape.file(65_535);
    let expected: Vec<_> = (1..=700).map(|port| format!("http|{port}.example|||80")).collect();
    for threads in [1, 2, 4, 7] {
        assert_eq!(table(&capture, threads, "connections", &NAMES), expected, "{threads} threads");
    }
}

#[test]
fn the_protocol_is_the_chosen_one_or_those_offered() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("a.pcap"), everything().file(65_535)).unwrap();
    let args = ["report", "a.pcap", "-o", "out", "--quiet", "--format", "csv", "--tables", "connections"];
    finwait(folder.path(), &args);
    let text = fs::read_to_string(folder.path().join("out/connections.csv")).unwrap();
    assert!(text.contains(",tls,shop.example,\"h2,http/1.1\",1.3,8000000\n"), "{text}");
    assert!(text.contains(",tls,api.example,h2,1.2,2000000\n"), "{text}");
}

#[test]
fn services_have_a_row_a_name() {
    let rows =
        table(&everything().file(65_535), 2, "services", &["app", "app_name", "connections", "tls_handshake_p50_ns"]);
    assert_eq!(
        rows,
        [
            "tls|api.example|1|2000000",
            "tls|shop.example|1|8000000",
            "http|www.example:8080|1|",
            "ssh|SSH-2.0-OpenSSH_9.6|1|"
        ]
    );
}

#[test]
fn cut_by_snaplen_what_is_there_is_told() {
    let mut tape = Tape::default();
    let mut near = tape.open([40_000, 443], 1);
    tape.say(&mut near, 0, &client_hello("near.example", 10));
    let mut far = tape.open([40_001, 443], 1);
    tape.say(&mut far, 0, &client_hello("far.example", 1_000));
    let rows = table(&tape.file(150), 1, "connections", &NAMES);
    assert_eq!(rows, ["tls|near.example|||443", "tls||||443"]);
}

#[test]
fn what_strangers_write_does_nothing() {
    let mut tape = Tape::default();
    let mut talk = tape.open([40_000, 443], 1);
    tape.say(&mut talk, 0, &client_hello("\u{1b}[2J,\"<b>\u{202e}x\n", 10));
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("a.pcap"), tape.file(65_535)).unwrap();
    let shown =
        finwait(folder.path(), &["report", "a.pcap", "-o", "out"]) + &finwait(folder.path(), &["list", "a.pcap"]);
    for (file, name) in [
        ("connections.csv", "\"\u{fffd}[2j,\"\"<b>\u{fffd}x\""),
        ("services.csv", "\"\u{fffd}[2j,\"\"<b>\u{fffd}x\""),
        ("connections.jsonl", "\"\u{fffd}[2j,\\\"<b>\u{fffd}x\""),
        ("index.html", "\u{fffd}[2j,&quot;&lt;b&gt;\u{fffd}x"),
    ] {
        let text = fs::read_to_string(folder.path().join("out").join(file)).unwrap();
        assert!(text.contains(name) && !text.contains(['\u{1b}', '\u{202e}']), "{file}: {text}");
    }
    assert!(shown.contains("\u{fffd}[2j,\"<b>") && !shown.contains('\u{1b}'), "{shown}");
}

#[test]
fn conditions_know_the_columns() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("a.pcap"), everything().file(65_535)).unwrap();
    let text = finwait(folder.path(), &["list", "a.pcap", "--where", "app = tls and tls_handshake_ns > 5ms"]);
    assert_eq!(text.lines().count(), 2, "{text}");
    assert!(text.lines().next().unwrap().ends_with("service") && text.trim_end().ends_with("shop.example"), "{text}");
}
