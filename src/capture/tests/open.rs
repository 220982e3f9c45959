//! Opening by path: what is there, what is not, and how far the reading has come.

use std::fs;

use super::build::plain_pcap;
use crate::capture::{Problem, Savefile};

fn refusal(path: &std::path::Path) -> Problem {
    let Err(error) = Savefile::open(path) else { panic!("{} was opened", path.display()) };
    assert_eq!(error.name(), path.display().to_string());
    assert_eq!(error.packets_read(), 0);
    assert!(!error.to_string().contains("packet"), "{error}");
    match error.to_string().strip_prefix(&format!("{}: ", path.display())) {
        Some("no such file") => Problem::Missing,
        Some("is a directory; name the capture files in it") => Problem::Directory,
        Some("is empty; the capture was never written") => Problem::Empty { inside: None },
        _ => panic!("{error}"),
    }
}

#[test]
fn what_cannot_be_a_capture_is_refused_in_words() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(refusal(&dir.path().join("none.pcap")), Problem::Missing));
    assert!(matches!(refusal(dir.path()), Problem::Directory));
    let empty = dir.path().join("empty.pcap");
    fs::write(&empty, b"").unwrap();
    assert!(matches!(refusal(&empty), Problem::Empty { inside: None }));
}

#[test]
fn a_file_tells_its_size_and_how_much_of_it_was_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("not-named-like-a-capture.txt");
    let bytes = plain_pcap(false, &[b"one", b"two"]);
    fs::write(&path, &bytes).unwrap();
    let mut file = Savefile::open(&path).unwrap();
    let progress = file.progress();
    assert_eq!(file.bytes_total(), Some(bytes.len() as u64));
    while file.next().unwrap().is_some() {}
    assert_eq!(file.bytes_consumed(), bytes.len() as u64);
    assert_eq!((progress.consumed(), progress.total()), (bytes.len() as u64, Some(bytes.len() as u64)));
    assert_eq!(file.info().path, path.display().to_string());
}

#[cfg(not(feature = "compression"))]
#[test]
fn a_compressed_file_says_what_this_build_lacks() {
    let Err(error) = Savefile::from_reader("x.gz", &b"\x1f\x8b\x08\0\0\0\0\0\0\0"[..]) else { panic!("opened") };
    assert_eq!(
        error.to_string(),
        "x.gz: is compressed, which this build of finwait cannot read; unpack it first, as in: gzip -dc FILE | finwait -"
    );
}
