//! A capture file of any bytes through the whole analysis. In: the file. Out: a panic where a law is broken.

use std::io::Cursor;

use finwait::capture::Savefile;
use finwait::conntrack::config::Config;
use finwait::conntrack::tracker::Tracker;
use finwait::decode::{Decoded, Decoder};
use finwait::metrics::rows::ConnectionReport;
use finwait::tcp::segment::FrameId;
use finwait::time::Timestamp;

use super::laws;

/// Packets that are looked at.
const MOST: u64 = 20_000;

pub fn run(bytes: &[u8]) {
    // Compressed captures are the other target's: here they would only hide the packets from the fuzzer.
    if !matches!(bytes, [0xa1 | 0xd4 | 0x4d | 0x34 | 0x0a | b's', ..]) {
        return;
    }
    let reports = analyse(bytes.to_vec());
    reports.iter().for_each(laws::check);
    laws::check_together(&reports);
}

/// The reports of a capture, as far as it can be read.
pub fn analyse(bytes: Vec<u8>) -> Vec<ConnectionReport> {
    let Ok(mut savefile) = Savefile::from_reader("x", Cursor::new(bytes)) else { return Vec::new() };
    let (mut decoder, mut tracker) = (Decoder::default(), Tracker::new(Config::default()));
    decoder.verify_checksums = true;
    let (mut reports, mut ordinal, mut end, mut ts) = (Vec::new(), 0, Timestamp::MIN, Timestamp::default());
    while let Ok(Some(packet)) = savefile.next() {
        ts = packet.ts.unwrap_or(ts);
        end = end.max(ts);
        match decoder.decode(&packet, FrameId::new(0, packet.number), ordinal, ts) {
            Decoded::Segment { addressed, .. } => tracker.feed(&addressed, &mut |report| reports.push(report)),
            Decoded::Undelivered(icmp) => tracker.undelivered(&icmp),
            Decoded::Skip(_) => {}
        }
        ordinal += 1;
        if ordinal == MOST {
            break;
        }
    }
    tracker.finish(end, &mut |report| reports.push(report));
    reports
}
