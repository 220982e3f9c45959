//! What finwait tells of captures against what the kernels recorded of the same connections: the sequence of each endpoint's
//! states, the interval of every change, repeated FINs, stays in TIME_WAIT, connect() times and accept-queue overflows, by tap.
//!
//! Judged are the bundled captures (`captures/truth/`), the committed records of the kernel laboratory (`tests/kernel/recorded/`), or
//! with `KERNEL_RECORD=DIR` a fresh folder of that laboratory alone (`make kernel-test`). `KERNEL_EXPLAIN=1` prints what is explained too.

mod facts;
mod lives;
mod record;
mod score;
mod told;

use std::path::Path;

use record::{Record, TAPS};
use score::Score;
use told::Told;

/// Judges every record at every tap, prints the table and the discrepancies, and returns the scores by tap.
#[allow(clippy::disallowed_macros)] // a test's own figures
fn judge(records: &[Record]) -> [Score; 3] {
    let mut scores = TAPS.map(|_| Score::default());
    for record in records {
        let told = record.captures.each_ref().map(|path| path.as_deref().map(Told::of));
        for (tap, score) in scores.iter_mut().enumerate() {
            if let Some(here) = &told[tap] {
                score.add(record, tap, here, &told);
            }
        }
    }
    eprintln!("\n{}", score::table(&scores));
    let in_full = std::env::var_os("KERNEL_EXPLAIN").is_some();
    for (tap, score) in TAPS.iter().zip(&scores) {
        for explained in score.explained.iter().filter(|_| in_full) {
            eprintln!("{tap}: explained: {explained}");
        }
        for found in score.discrepancies() {
            eprintln!("{tap}: {found}");
        }
    }
    scores
}

fn folder(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

#[test]
fn what_is_told_agrees_with_the_kernel() {
    if let Some(fresh) = std::env::var_os("KERNEL_RECORD") {
        let fresh = Path::new(&fresh);
        let records = record::read_all(fresh, fresh);
        assert!(!records.is_empty(), "no record in {}", fresh.display());
        return score::pass(&judge(&records));
    }
    let bundled = judge(&record::read_all(&folder("captures/truth"), &folder("captures")));
    let (endpoints, changes) = (bundled[1].endpoints, bundled[1].changes);
    assert!(endpoints > 500 && changes > 2_000, "{endpoints} endpoints, {changes} changes");
    score::pass(&bundled);
    let recorded = folder("tests/kernel/recorded");
    score::pass(&judge(&record::read_all(&recorded, &recorded)));
}
