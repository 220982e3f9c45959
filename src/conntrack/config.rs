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

/// What a run takes beside its connections, in bytes: folds, rows on their way, tables that are written at the end.
const BESIDE: u64 = 224 << 20;

/// A connection that has ended is kept this long after its last packet at least: what comes late is still its own.
const LINGER: Span = Span::from_secs(60);

impl Config {
    /// For a run that may take `memory` bytes in all.
    pub fn within(memory: u64) -> Self {
        // The allocator takes more than it gives, and what has ended is held until it is told.
        let beside = BESIDE.max(memory / 3).min(memory / 8 * 7);
        let max_bytes = usize::try_from(memory - beside).unwrap_or(usize::MAX);
        Self { time_wait: Span::from_secs(60), ignore_vlan: false, max_connections: 1 << 24, max_bytes }
    }

    /// How long a connection that is over is kept after its last packet.
    pub fn linger(&self) -> Span {
        self.time_wait.max(LINGER)
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::within(2 << 30)
    }
}
