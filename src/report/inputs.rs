//! What is said of the inputs together. In: the summary's captures. Out: one capture that stands for all of them; how far the counts can
//! be trusted.

use std::path::Path;

use crate::metrics::phrase::{many, thousands};
use crate::metrics::rows::{CaptureInfo, Summary};

/// More inputs than this are told as one.
pub(super) const NAMED: usize = 6;

/// All captures, told as one: a ring's thousand files are one to whoever made it.
pub(super) fn together(captures: &[CaptureInfo]) -> CaptureInfo {
    let sum = |of: fn(&CaptureInfo) -> u64| captures.iter().map(of).fold(0, u64::saturating_add);
    let mut formats: Vec<&str> = Vec::new();
    let mut link_types: Vec<String> = Vec::new();
    for capture in captures.iter().filter(|capture| capture.packets > 0 || capture.error.is_none()) {
        if !formats.contains(&capture.format.as_str()) {
            formats.push(&capture.format);
        }
        for link in &capture.link_types {
            if !link_types.contains(link) {
                link_types.push(link.clone());
            }
        }
    }
    CaptureInfo {
        path: name(captures),
        format: formats.join(", "),
        packets: sum(|capture| capture.packets),
        bytes: sum(|capture| capture.bytes),
        first_ts: captures.iter().filter_map(|capture| capture.first_ts).min(),
        last_ts: captures.iter().filter_map(|capture| capture.last_ts).max(),
        link_types,
        drops: drops(captures),
        error: captures.iter().find_map(|capture| capture.error.clone()),
    }
}

/// `288 captures in ring`.
fn name(captures: &[CaptureInfo]) -> String {
    let count = many(captures.len() as u64, "capture");
    let mut folders = captures.iter().map(|capture| Path::new(&capture.path).parent());
    let first = folders.next().flatten().filter(|folder| !folder.as_os_str().is_empty());
    match first {
        Some(folder) if folders.all(|other| other == Some(folder)) => format!("{count} in {}", folder.display()),
        _ => count,
    }
}

/// Packets that the taps say they dropped; `None` where none tells.
fn drops(captures: &[CaptureInfo]) -> Option<u64> {
    captures.iter().filter_map(|capture| capture.drops).reduce(u64::saturating_add)
}

/// How far the figures of this run can be trusted, a phrase a reason for doubt; empty where there is none.
pub(super) fn trust(summary: &Summary) -> Vec<String> {
    let mut doubts = Vec::new();
    if let Some(drops @ 1..) = drops(&summary.captures) {
        let passed = summary.captures.iter().map(|capture| capture.packets).fold(drops, u64::saturating_add);
        let dropped = format!("the tap dropped {} ({})", many(drops, "packet"), share(drops, passed));
        doubts.push(format!("{dropped}: counts are lower bounds, what looks lost on the path is an upper one"));
    }
    doubts
}

/// `0.4 %`, `12 %`; `under 0.1 %` for what would read as nothing.
fn share(part: u64, whole: u64) -> String {
    match part as f64 * 100.0 / whole.max(1) as f64 {
        percent if percent >= 9.95 => format!("{} %", thousands(percent.round() as u64)),
        percent if percent >= 0.1 => format!("{percent:.1} %"),
        _ => "under 0.1 %".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::synthetic::{Shape, run};

    fn captures(count: usize, of: impl Fn(usize, &mut CaptureInfo)) -> Vec<CaptureInfo> {
        let one = run(Shape::default()).summary.captures.remove(0);
        let copy = |n: usize| {
            let mut capture = CaptureInfo { path: format!("ring/{n}.pcap"), packets: 1_000, ..one.clone() };
            of(n, &mut capture);
            capture
        };
        (0..count).map(copy).collect()
    }

    #[test]
    fn the_files_of_a_ring_are_told_as_one() {
        let ring = captures(9, |n, capture| {
            capture.drops = (n % 2 == 0).then_some(n as u64);
            capture.format = if n < 4 { "pcap" } else { "pcap (gzip)" }.to_owned();
        });
        let all = together(&ring);
        assert_eq!(
            (all.path.as_str(), all.format.as_str(), all.packets),
            ("9 captures in ring", "pcap, pcap (gzip)", 9_000)
        );
        assert_eq!((all.drops, all.link_types.len(), all.error), (Some(20), 1, None));
        let apart = captures(2, |n, capture| capture.path = format!("{n}/x.pcap"));
        assert_eq!(together(&apart).path, "2 captures");
    }

    #[test]
    fn drops_put_all_counts_in_doubt_and_silence_puts_none() {
        let told = |drops: [Option<u64>; 2]| {
            let captures = captures(2, |n, capture| capture.drops = drops[n]);
            trust(&Summary { captures, ..run(Shape::default()).summary })
        };
        assert_eq!(told([None, None]), [""; 0]);
        assert_eq!(told([Some(0), None]), [""; 0]);
        assert_eq!(
            told([Some(8), None]),
            ["the tap dropped 8 packets (0.4 %): counts are lower bounds, what looks lost on the path is an upper one"]
        );
        for (drops, begins) in [
            ([Some(1), Some(0)], "the tap dropped 1 packet (under 0.1 %): "),
            ([Some(2_000), Some(18_000)], "the tap dropped 20,000 packets (91 %): "),
            ([Some(u64::MAX), Some(1)], "the tap dropped 18,446,744,073,709,551,615 packets (100 %): "),
        ] {
            assert!(told(drops)[0].starts_with(begins), "{:?}", told(drops));
        }
    }
}
