//! The packets of one connection, on a second walk through its capture. In: a path and the connection's row. Out: its segments.
//!
//! The first walk cannot keep them: which packets belong to a connection's number is known at its end only, and keeping
//! all would need memory without bound.

use std::path::Path;

use super::engine::Options;
use crate::capture::{CaptureError, Savefile};
use crate::conntrack::key::FlowKey;
use crate::decode::{Decoded, Decoder};
use crate::metrics::rows::ConnectionRow;
use crate::tcp::segment::{Addressed, FrameId};
use crate::time::Timestamp;

/// A longer ladder helps nobody; the rest is counted.
const MOST: usize = 1 << 20;

/// The segments of one connection.
pub struct Segments {
    /// The first 2^20 of them, in the order of the capture.
    pub shown: Vec<Addressed>,
    /// How many more there are.
    pub more: u64,
}

/// Reads `path` again and picks out the segments between the ends of `row`, from its first frame to its last. What
/// damaged the capture has been told on the first walk; here it is only the end.
///
/// # Errors
///
/// When the capture cannot be opened again.
pub fn segments(path: &Path, row: &ConnectionRow, options: &Options) -> Result<Segments, CaptureError> {
    let mut savefile = Savefile::open(path)?;
    let mut decoder = Decoder::default();
    decoder.verify_checksums = options.verify_checksums;
    let wanted = FlowKey::new(row.who.client, row.who.server).0;
    let (mut shown, mut more) = (Vec::new(), 0);
    let (mut ordinal, mut clock, mut period, mut bpf) = (0, Timestamp::default(), options.period, options.bpf.clone());
    while let Ok(Some(packet)) = savefile.next() {
        clock = packet.ts.unwrap_or(clock);
        let frame = FrameId::new(0, packet.number);
        if frame > row.last_frame {
            break;
        }
        ordinal += 1;
        if !period.admits(packet.ts, clock) || bpf.as_mut().is_some_and(|bpf| !bpf.admits(&packet)) {
            continue;
        }
        let decoded = decoder.decode(&packet, frame, ordinal - 1, clock);
        let Decoded::Segment { addressed, payload: _ } = decoded else { continue };
        if frame < row.first_frame || FlowKey::new(addressed.src, addressed.dst).0 != wanted {
            continue;
        }
        if shown.len() < MOST {
            shown.push(addressed);
        } else {
            more += 1;
        }
    }
    Ok(Segments { shown, more })
}
