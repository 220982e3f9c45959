//! Clients that run out of ports. In: the users of ephemeral ports. Out: a finding for each that is near the end of them.

use super::{Finding, SUBJECTS, Severity};
use crate::metrics::phrase::thousands;
use crate::metrics::rows::{EphemeralPortRow, Tables};

/// From this share of its ports in TIME_WAIT at once a client is near the end of them: at twice the rate it would get there.
const NEAR: f64 = 0.5;
/// From this share on, connect() begins to fail or to search long: other connections to the listener hold ports as well.
const FULL: f64 = 0.9;

/// Adds the findings, the fullest first; those with the same share by client and listener.
pub fn tell(out: &mut Vec<Finding>, tables: &Tables) {
    let mut near: Vec<&EphemeralPortRow> = tables.ephemeral_ports.iter().filter(|row| row.used_ratio >= NEAR).collect();
    near.sort_by(|a, b| b.used_ratio.total_cmp(&a.used_ratio));
    let others = near.len().saturating_sub(SUBJECTS);
    for row in near.into_iter().take(SUBJECTS) {
        let (peak, ports) = (thousands(row.time_wait_peak), thousands(row.ports_available));
        let percent = (row.used_ratio * 100.0).round();
        let ends = row.exhaustion_rate.map_or_else(String::new, |rate| {
            let seen = row.connections_per_second;
            format!("; they run out at {rate:.0} connections a second, it made {seen:.0}")
        });
        let more = if others > 0 { format!(" ({others} more like it)") } else { String::new() };
        out.push(Finding {
            severity: if row.used_ratio >= FULL { Severity::Serious } else { Severity::Notice },
            kind: "ephemeral_ports",
            subject: format!("{} → {}", row.user.client_ip, row.user.server),
            text: format!(
                "{peak} of {ports} ports (--port-range) in TIME_WAIT at once, {percent} %{ends}: reuse connections, set \
                 tcp_tw_reuse, widen the range or use more addresses{more}"
            ),
            count: row.time_wait_peak,
            frames: Vec::new(),
        });
    }
}
