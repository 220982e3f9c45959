//! Damaged captures through the whole analysis: bytes flipped, cut out, doubled at random places of the bundled captures. In a
//! debug build arithmetic that overflows panics too, so reaching the end is the assertion; what comes out must agree with itself.
//!
//! `DAMAGE_ROUNDS=1000` for more than the default; `DAMAGE_CAPTURES=DIR` for other captures.

use std::fs;
use std::path::{Path, PathBuf};

// What the fuzz target for captures does, and what it holds reports to.
#[path = "../fuzz/bodies/mod.rs"]
#[allow(dead_code, reason = "the bodies of the other targets are tests/corpus.rs's")]
mod bodies;

use bodies::{capture, laws};

/// xorshift64*: the same damage on every machine and in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % n.max(1)
    }
}

fn captures() -> Vec<PathBuf> {
    let bundled = Path::new(env!("CARGO_MANIFEST_DIR")).join("captures");
    let folder = std::env::var_os("DAMAGE_CAPTURES").map_or(bundled, PathBuf::from);
    let mut found: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file() && fs::metadata(path).is_ok_and(|about| about.len() < 300_000))
        .filter(|path| path.to_string_lossy().contains(".pcap"))
        .collect();
    found.sort();
    found
}

fn damaged(bytes: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..1 + dice.below(12) {
        // Mostly behind the file's header, so that the file is still one.
        let at = (24 + dice.below(bytes.len())).min(bytes.len() - 1);
        match dice.below(6) {
            0 => bytes[at] = 0xff,
            1 => bytes[at] = 0,
            2 => bytes[at] ^= 1 << dice.below(8),
            3 => bytes.truncate(at.max(25)),
            4 => {
                let end = (at + dice.below(64)).min(bytes.len());
                bytes.drain(at..end);
            }
            _ => {
                let end = (at + dice.below(200)).min(bytes.len());
                let piece = bytes[at..end].to_vec();
                let to = dice.below(bytes.len());
                bytes.splice(to..to, piece);
            }
        }
        if bytes.len() < 32 {
            break;
        }
    }
    bytes
}

#[test]
fn damage_neither_stops_nor_confuses_the_analysis() {
    let rounds = std::env::var("DAMAGE_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(60);
    let mut dice = Dice(0x5eed_f00d);
    let (mut connections, captures) = (0, captures());
    for path in &captures {
        let bytes = fs::read(path).unwrap();
        for _ in 0..rounds {
            let reports = capture::analyse(damaged(&bytes, &mut dice));
            reports.iter().for_each(laws::check);
            laws::check_together(&reports);
            connections += reports.len();
        }
    }
    assert!(connections > captures.len() * rounds / 4, "only {connections} connections came out");
}
