//! What is said of the inputs together. In: the summary's captures. Out: one capture that stands for all of them.

use std::path::Path;

use crate::metrics::phrase::many;
use crate::metrics::rows::CaptureInfo;

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
}
