//! Every packet script, through the core: lane by lane, then the tables.

use std::path::{Path, PathBuf};

use finwait::script::parse::{Numbers, Script};
use finwait::script::run;
use finwait::tcp::segment::HostPort;

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
