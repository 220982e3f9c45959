//! From the connections' reports, in whatever order the shards gave them, to numbered and ordered tables.
//! The result depends on the packets alone, not on the number of shards.

use crate::metrics::buckets::Buckets;
use crate::metrics::census::Census;
use crate::metrics::ephemeral_ports::{self, PortRange};
use crate::metrics::listeners::Listeners;
use crate::metrics::rows::{ConnectionReport, Tables};
use crate::time::{Span, Timestamp};

/// What changes the folds.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// Width of the buckets of the tables over time; `None`: chosen so that there are at most 600.
    pub bucket: Option<Span>,
    /// How long TIME_WAIT is assumed to last.
    pub time_wait: Span,
    /// The ports that clients choose from.
    pub port_range: PortRange,
}

/// Puts connections in the order of their numbers, orders every row, and folds them into the tables of
/// listeners, ports and states over time. `capture` is when it began and ended, where any packet tells.
pub fn tables(mut reports: Vec<ConnectionReport>, capture: Option<(Timestamp, Timestamp)>, asked: Asked) -> Tables {
    reports.sort_by_key(|report| report.connection.conn_id);
    let mut tables = Tables::default();
    let mut listeners = Listeners::default();
    let mut census = Census::default();
    for report in reports {
        listeners.add(&report);
        census.add(&report);
        let ConnectionReport {
            ordinal: _,
            waiting: _,
            connection,
            transitions,
            fin_retransmissions,
            time_wait,
            anomalies,
        } = report;
        tables.connections.push(connection);
        tables.transitions.extend(transitions);
        tables.fin_retransmissions.extend(fin_retransmissions);
        tables.time_wait.extend(time_wait);
        tables.anomalies.extend(anomalies);
    }
    // Connections come in order, so these sorts move rows within one only.
    tables.transitions.sort_by_key(|row| (row.conn_id, row.side, row.step));
    tables.fin_retransmissions.sort_by_key(|row| (row.conn_id, row.side, row.ts, row.attempt));
    tables.time_wait.sort_by_key(|row| (row.conn_id, row.side, row.entered_ts));
    tables.anomalies.sort_by_key(|row| (row.conn_id, row.side, row.ts, row.frame, row.kind));
    let buckets = capture.map(|(first, last)| Buckets::new(first, last, asked.bucket));
    (tables.listeners, tables.listener_queues) = listeners.finish(buckets);
    tables.state_census = buckets.map_or_else(Vec::new, |buckets| census.finish(buckets));
    (tables.ephemeral_ports, tables.ephemeral_port_use) =
        ephemeral_ports::rows(&tables, asked.port_range, asked.time_wait, buckets);
    tables
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::rows::{AnomalyKind, AnomalyRow, Closing, ConnectionRow, Opening, Tap, Waiting, Who};
    use crate::tcp::segment::{FrameId, HostPort};
    use crate::tcp::state::Side;
    use crate::time::Timestamp;

    fn report(ordinal: u64, anomalies: Vec<AnomalyRow>) -> ConnectionReport {
        let end = |port| HostPort::new([10, 0, 0, 1].into(), port);
        let mut report = ConnectionReport {
            ordinal,
            waiting: Waiting::default(),
            connection: ConnectionRow {
                conn_id: 0,
                who: Who { client: end(1), server: end(2), role_known: true, vlan: None, tunnel: None },
                first_ts: Timestamp::from_nanos(0),
                last_ts: Timestamp::from_nanos(0),
                first_frame: FrameId::new(0, ordinal + 1),
                last_frame: FrameId::new(0, ordinal + 1),
                packets: [1, 0],
                wire_bytes: [40, 0],
                capture_copies: [0, 0],
                payload_bytes: [0, 0],
                opening: Opening::NoAnswer,
                syn_packets: 1,
                syn_ack_packets: 0,
                connect_ns: None,
                syn_to_syn_ack_ns: None,
                syn_ack_to_ack_ns: None,
                handshake_ns: None,
                tap: Tap::Unknown,
                closing: Closing::Open,
                active_closer: None,
                states: [None, None],
                fin_retransmissions: [0, 0],
                close_wait_ns: [None, None],
                retransmissions: [0, 0],
                history: "S".to_owned(),
                conn_state: "S0",
                syn_retransmissions: 0,
                syn_ack_retransmissions: 0,
                accept_queue_overflow: false,
                syn_wait_ns: None,
                accept_wait_ns: None,
            },
            transitions: Vec::new(),
            fin_retransmissions: Vec::new(),
            time_wait: Vec::new(),
            anomalies,
        };
        report.number(ordinal + 1);
        report
    }

    const ASKED: Asked =
        Asked { bucket: None, time_wait: Span::from_secs(60), port_range: PortRange::new(32_768, 60_999).unwrap() };

    fn anomaly(side: Side, ts: i64) -> AnomalyRow {
        AnomalyRow {
            conn_id: None,
            ts: Timestamp::from_nanos(ts),
            frame: FrameId::new(0, 1),
            side: Some(side),
            kind: AnomalyKind::KeepAlive,
            detail: String::new(),
            count: 1,
        }
    }

    #[test]
    fn connections_come_in_the_order_of_their_numbers() {
        let tables = tables(vec![report(7, Vec::new()), report(2, Vec::new()), report(5, Vec::new())], None, ASKED);
        let found: Vec<_> = tables.connections.iter().map(|row| (row.conn_id, row.first_frame.number())).collect();
        assert_eq!(found, [(3, 3), (6, 6), (8, 8)]);
    }

    #[test]
    fn rows_follow_connection_side_and_time() {
        let late_first = vec![anomaly(Side::Server, 1), anomaly(Side::Client, 9), anomaly(Side::Client, 4)];
        let reports = vec![report(1, late_first), report(0, vec![anomaly(Side::Server, 3)])];
        let tables = tables(reports, None, ASKED);
        let found: Vec<_> = tables.anomalies.iter().map(|row| (row.conn_id, row.side, row.ts.as_nanos())).collect();
        let expected = [
            (Some(1), Some(Side::Server), 3),
            (Some(2), Some(Side::Client), 4),
            (Some(2), Some(Side::Client), 9),
            (Some(2), Some(Side::Server), 1),
        ];
        assert_eq!(found, expected);
    }
}
