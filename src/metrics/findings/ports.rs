//! Clients that run out of ports. In: the users of ephemeral ports. Out: a finding for each that is near the end of them.

use super::finding::{Finding, SUBJECTS, Severity};
use crate::metrics::overview::fullest;
use crate::metrics::phrase::thousands;
use crate::metrics::rows::EphemeralPortRow;

/// From this share of its ports in TIME_WAIT at once a client is near the end of them: at twice the rate it would get there.
pub const NEAR: f64 = 0.5;
/// From this share on, connect() begins to fail or to search long: other connections to the listener hold ports as well.
const FULL: f64 = 0.9;

/// Adds the findings, the fullest first; those with the same share by client and listener.
pub fn tell(out: &mut Vec<Finding>, users: &[EphemeralPortRow]) {
    let near: Vec<_> = fullest(users).into_iter().filter(|row| row.used_ratio >= NEAR).collect();
    let others = near.len().saturating_sub(SUBJECTS);
    for (n, row) in (1..).zip(near.into_iter().take(SUBJECTS)) {
        let (peak, ports) = (thousands(row.time_wait_peak), thousands(row.ports_available));
        let percent = (row.used_ratio * 100.0).round();
        let ends = row.exhaustion_rate.map_or_else(String::new, |rate| {
            let seen = row.connections_per_second;
            format!("; they run out at {rate:.0} connections a second, it made {seen:.0}")
        });
        let more = if others > 0 && n == SUBJECTS { format!(" ({others} more like it)") } else { String::new() };
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::rows::PortUser;
    use crate::tcp::segment::HostPort;

    fn user(n: u8, peak: u64) -> EphemeralPortRow {
        EphemeralPortRow {
            user: PortUser { client_ip: [10, 0, 0, n].into(), server: HostPort::new([10, 0, 1, 1].into(), 443) },
            connections: peak,
            distinct_client_ports: peak,
            time_wait_stays: peak,
            time_wait_peak: peak,
            time_wait_peak_ts: None,
            connections_per_second: 335.2,
            ports_available: 28_232,
            exhaustion_rate: Some(470.53),
            used_ratio: peak as f64 / 28_232.0,
        }
    }

    fn told(rows: Vec<EphemeralPortRow>) -> Vec<Finding> {
        let mut out = Vec::new();
        tell(&mut out, &rows);
        out
    }

    #[test]
    fn half_of_the_ports_are_worth_a_word_with_what_to_do() {
        let told = told(vec![user(1, 14_115), user(2, 20_112), user(3, 27_000)]);
        let subjects: Vec<_> = told.iter().map(|finding| (finding.subject.as_str(), finding.severity)).collect();
        let expected = [("10.0.0.3 → 10.0.1.1:443", Severity::Serious), ("10.0.0.2 → 10.0.1.1:443", Severity::Notice)];
        assert_eq!(subjects, expected);
        assert_eq!(
            told[1].text,
            "20,112 of 28,232 ports (--port-range) in TIME_WAIT at once, 71 %; they run out at 471 connections a second, \
             it made 335: reuse connections, set tcp_tw_reuse, widen the range or use more addresses"
        );
    }

    #[test]
    fn very_many_users_share_a_word() {
        let told = told((1..=20).map(|n| user(n, 20_000)).collect());
        assert_eq!(told.len(), SUBJECTS);
        assert!(told[2].text.ends_with("(17 more like it)"), "{}", told[2].text);
    }
}
