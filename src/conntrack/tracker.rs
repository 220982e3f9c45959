//! Many flows: the same calls as one flow, plus the table and its clock. One tracker a shard.

use crate::metrics::rows::ConnectionReport;
use crate::tcp::segment::{Addressed, Undelivered};
use crate::time::{Span, Timestamp};

/// What a run decides about connections.
#[derive(Clone, Debug)]
pub struct Config {
    /// How long an endpoint is assumed to stay in TIME_WAIT when no packet shows its end. Linux: 60 s
    /// (`TCP_TIMEWAIT_LEN`); RFC 9293 3.4.2: 2 MSL = 4 min.
    pub time_wait: Span,
}

impl Default for Config {
    fn default() -> Self {
        Self { time_wait: Span::from_secs(60) }
    }
}

/// The connections of one shard.
pub struct Tracker {
    _config: Config,
}

impl Tracker {
    /// An empty table.
    pub fn new(config: Config) -> Self {
        Self { _config: config }
    }

    /// Takes one segment, in the order of the capture. Connections that can no longer change go to `out`.
    pub fn feed(&mut self, _addressed: &Addressed, _out: &mut dyn FnMut(ConnectionReport)) {}

    /// Takes an ICMP error that quotes a segment.
    pub fn undelivered(&mut self, _icmp: &Undelivered) {}

    /// Ends the capture at `end`, the timestamp of its last packet of any kind: every open connection goes to `out`.
    pub fn finish(self, _end: Timestamp, _out: &mut dyn FnMut(ConnectionReport)) {}
}
