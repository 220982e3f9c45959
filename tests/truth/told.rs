//! In: a capture; out: what finwait tells of it, by endpoint, and the segments themselves.

use std::collections::HashMap;
use std::path::Path;

use finwait::capture::Savefile;
use finwait::conntrack::config::Config;
use finwait::conntrack::tracker::Tracker;
use finwait::decode::{Decoded, Decoder};
use finwait::metrics::rows::{ConnectionReport, TransitionRow};
use finwait::tcp::segment::{Addressed, FrameId, Undelivered};
use finwait::tcp::state::{Side, State};
use finwait::time::Timestamp;

use crate::record::Endpoint;

/// What one tap shows.
pub struct Told {
    /// By first segment.
    pub reports: Vec<ConnectionReport>,
    /// In the order of the file.
    pub segments: Vec<Addressed>,
    /// ICMP errors that quote a segment.
    pub undelivered: Vec<Undelivered>,
}

impl Told {
    /// Reads a capture as the program does.
    pub fn of(path: &Path) -> Self {
        let mut savefile = Savefile::open(path).unwrap();
        let (mut decoder, mut tracker) = (Decoder::default(), Tracker::new(Config::default()));
        let (mut reports, mut segments, mut undelivered) = (Vec::new(), Vec::new(), Vec::new());
        let (mut ordinal, mut end) = (0, Timestamp::MIN);
        while let Some(packet) = savefile.next().unwrap() {
            let ts = packet.ts.unwrap();
            end = end.max(ts);
            match decoder.decode(&packet, FrameId::new(0, packet.number), ordinal, ts) {
                Decoded::Segment { addressed, .. } => {
                    tracker.feed(&addressed, &mut |report| reports.push(report));
                    segments.push(addressed);
                }
                Decoded::Undelivered(icmp) => {
                    tracker.undelivered(&icmp);
                    undelivered.push(icmp);
                }
                Decoded::Skip(_) => {}
            }
            ordinal += 1;
        }
        tracker.finish(end, &mut |report| reports.push(report));
        reports.sort_by_key(|report| report.ordinal);
        Self { reports, segments, undelivered }
    }

    /// Each endpoint's life: the rows that were not taken back, one incarnation after the other. Without `timers` TIME_WAIT is
    /// CLOSED, as the record shows it, and its end is left out.
    pub fn lives(&self, timers: bool) -> HashMap<Endpoint, Vec<(State, &TransitionRow)>> {
        let mut lives: HashMap<Endpoint, Vec<(State, &TransitionRow)>> = HashMap::new();
        for report in &self.reports {
            for row in report.transitions.iter().filter(|row| !row.retracted) {
                if !timers && row.from_state == Some(State::TimeWait) {
                    continue;
                }
                let to = if !timers && row.to_state == State::TimeWait { State::Closed } else { row.to_state };
                lives.entry(endpoint_of(report, row.side)).or_default().push((to, row));
            }
        }
        lives
    }
}

/// The endpoint on one side of a connection.
pub fn endpoint_of(report: &ConnectionReport, side: Side) -> Endpoint {
    let who = &report.connection.who;
    (who.endpoint(side), who.endpoint(side.peer()))
}
