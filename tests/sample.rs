//! `reports/sample/` is what finwait writes of `captures/mixed.pcapng`, today as when it was committed.
//!
//! To refresh it: `finwait report captures/mixed.pcapng -o reports/sample --format csv,png,html --tables
//! connections,fin_retransmissions,time_wait,listeners,anomalies,ephemeral_ports`; read the diff, look at the pictures.
#![cfg(feature = "full")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

fn names(folder: &Path) -> BTreeSet<String> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// Width and height, from a PNG's first chunk.
fn size(png: &[u8]) -> (u32, u32) {
    assert!(png.starts_with(b"\x89PNG\r\n\x1a\n") && &png[12..16] == b"IHDR");
    let number = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap());
    (number(16), number(20))
}

#[test]
fn the_sample_report_is_what_finwait_writes() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (sample, fresh) = (root.join("reports/sample"), tempfile::tempdir().unwrap());
    let tables = "connections,fin_retransmissions,time_wait,listeners,anomalies,ephemeral_ports";
    let status = Command::new(env!("CARGO_BIN_EXE_finwait"))
        .current_dir(root)
        .args(["report", "captures/mixed.pcapng", "--quiet", "--format", "csv,png,html", "--tables", tables, "-o"])
        .arg(fresh.path())
        .status()
        .unwrap();
    assert!(status.success(), "{status}");
    assert_eq!(names(&sample), names(fresh.path()));
    for name in names(&sample) {
        let (want, got) = (fs::read(sample.join(&name)).unwrap(), fs::read(fresh.path().join(&name)).unwrap());
        if name.ends_with(".png") {
            // Curves are drawn in floating point, so only the machine it was drawn on gives the very same bytes.
            assert_eq!(size(&got), (1_200, 700), "{name}");
            assert_eq!(size(&want), (1_200, 700), "{name}");
        } else {
            let difference =
                want.split(|&byte| byte == b'\n').zip(got.split(|&byte| byte == b'\n')).position(|(a, b)| a != b);
            assert!(want == got, "{name} differs from line {:?} on", difference.map(|line| line + 1));
        }
    }
}
