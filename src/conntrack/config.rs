//! What a run decides about connections.

use crate::time::Span;

/// What a run decides about connections.
#[derive(Clone, Debug)]
pub struct Config {
    /// How long an endpoint is assumed to stay in TIME_WAIT when no packet shows its end. Linux: 60 s
    /// (`TCP_TIMEWAIT_LEN`); RFC 9293 3.4.2: 2 MSL = 4 min.
    pub time_wait: Span,
    /// Connections that one tracker holds at most. Beyond it, what is worth least is given up and reported as `evicted`:
    /// finished ones first, then half-open ones, then mid-stream ones, then established ones, the idle longest first.
    pub max_connections: usize,
    /// Likewise the bytes that they may take.
    pub max_bytes: usize,
    /// One 4-tuple is one flow, in whatever VLANs and tunnels it is seen; else [`super::apart`] tells whether they separate.
    pub ignore_vlan: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self { time_wait: Span::from_secs(60), ignore_vlan: false, max_connections: 1 << 24, max_bytes: 3 << 30 }
    }
}
