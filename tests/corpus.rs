//! The fuzz targets over the inputs that were kept: what once broke them, and the least that reaches what they reach. In:
//! `tests/corpus/<target>/`. Out: which inputs break a law.

use std::fs;
use std::panic;
use std::path::Path;

#[path = "../fuzz/bodies/mod.rs"]
mod bodies;

/// Runs `body` over every input of `target`.
fn all(target: &str, body: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(target);
    let mut inputs: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    inputs.sort();
    assert!(inputs.len() > 10, "only {} inputs for {target}", inputs.len());
    let broken = |path: &&std::path::PathBuf| {
        let bytes = fs::read(path).unwrap();
        panic::catch_unwind(|| body(&bytes)).is_err()
    };
    let broken: Vec<_> = inputs.iter().filter(broken).collect();
    assert!(broken.is_empty(), "{broken:#?}");
}

#[test]
fn containers() {
    all("containers", bodies::containers::run);
}

#[test]
fn decode() {
    all("decode", bodies::decode::run);
}

#[test]
fn reassembly() {
    all("reassembly", bodies::reassembly::run);
}

#[test]
fn analysis() {
    all("analysis", bodies::analysis::run);
}

#[test]
fn capture() {
    all("capture", bodies::capture::run);
}
