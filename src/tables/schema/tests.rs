//! The columns against the report contract, and every cell against the type of its column.

use super::*;
use crate::metrics::synthetic::{self, Shape};
use crate::tables::cell::{Cell, Files, Kind};
use crate::tables::frame::frame;

fn names<R: Row>() -> String {
    R::columns().iter().map(|column| column.name).collect::<Vec<_>>().join(" ")
}

#[test]
fn the_columns_are_the_contracts_with_additions_last() {
    assert_eq!(
        names::<ConnectionRow>(),
        "conn_id client_ip client_port server_ip server_port ip_version role_known vlan tunnel first_ts last_ts \
         first_frame last_frame packets_client packets_server wire_bytes_client wire_bytes_server capture_copies_client \
         capture_copies_server payload_bytes_client payload_bytes_server opening syn_packets syn_ack_packets connect_ns \
         syn_to_syn_ack_ns syn_ack_to_ack_ns handshake_ns tap closing active_closer client_state server_state \
         fin_retransmissions_client fin_retransmissions_server close_wait_client_ns close_wait_server_ns \
         retransmissions_client retransmissions_server history conn_state \
         syn_retransmissions syn_ack_retransmissions accept_queue_overflow first_file last_file \
         syn_wait_ns accept_wait_ns \
         app app_name alpn tls_version tls_handshake_ns"
    );
    assert_eq!(
        names::<TransitionRow>(),
        "conn_id side step from_state to_state ts frame trigger evidence confirmed earliest_ts latest_ts retracted rfc \
         file"
    );
    assert_eq!(
        names::<FinRetransmissionRow>(),
        "conn_id side attempt ts frame first_fin_ts since_previous_ns sender_state receiver_state cause backoff repeated_by payload_bytes first_payload_bytes file"
    );
    assert_eq!(
        names::<TimeWaitRow>(),
        "conn_id side entered_ts restarts last_restart_ts proof_of_life_ts ended_ts end at_least_ns at_most_ns \
         duration_ns assumed_ns"
    );
    assert_eq!(
        names::<ListenerRow>(),
        "server_ip server_port attempts established refused no_answer half_open aborted connect_p50_ns connect_p90_ns \
         connect_p99_ns connect_max_ns handshake_p50_ns handshake_p90_ns handshake_p99_ns handshake_max_ns \
         syn_retransmissions syn_ack_retransmissions half_open_peak half_open_peak_ts accept_queue_overflows \
         fin_retransmissions close_wait_p99_ns time_wait_peak \
         syn_wait_p99_ns syn_wait_max_ns accept_wait_p50_ns accept_wait_max_ns held_off_peak held_off_peak_ts \
         unaccepted_at_least accept_queue_at_most close_wait_p50_ns close_wait_max_ns close_wait_open"
    );
    assert_eq!(names::<CensusRow>(), "bucket_ts side state connections");
    assert_eq!(names::<AnomalyRow>(), "conn_id ts frame side kind detail count file");
    assert_eq!(
        names::<ListenerQueueRow>(),
        "bucket_ts server_ip server_port syn_received held_off close_wait time_wait syn_received_peak"
    );
    assert_eq!(
        names::<EphemeralPortRow>(),
        "client_ip server_ip server_port connections distinct_client_ports time_wait_stays time_wait_peak \
         time_wait_peak_ts connections_per_second ports_available exhaustion_rate used_ratio"
    );
    assert_eq!(
        names::<ServiceRow>(),
        "app app_name connections connect_p50_ns connect_p90_ns connect_p99_ns connect_max_ns tls_handshakes \
         tls_handshake_p50_ns tls_handshake_p90_ns tls_handshake_p99_ns tls_handshake_max_ns"
    );
    assert_eq!(
        names::<EphemeralPortUseRow>(),
        "bucket_ts client_ip server_ip server_port time_wait time_wait_peak connections"
    );
}

/// Every cell of `rows` is null or of its column's type, and the frame has the columns' types, with rows and without.
fn fits<R: Row>(rows: &[R], files: &Files) {
    assert!(!rows.is_empty(), "{}: nothing to look at", R::TABLE.name());
    for column in R::columns() {
        for row in rows {
            let fits = match (column.cell)(row, files) {
                Cell::Null => true,
                Cell::Integer(_) => column.kind == Kind::Integer,
                Cell::Real(_) => column.kind == Kind::Real,
                Cell::Flag(_) => column.kind == Kind::Flag,
                Cell::Time(_) => column.kind == Kind::Time,
                Cell::Word(_) | Cell::Text(_) | Cell::Shown(_) => column.kind == Kind::Text,
            };
            assert!(fits, "{}.{}", R::TABLE.name(), column.name);
        }
        assert_eq!(column.name.ends_with("_ts") || column.name == "ts", column.kind == Kind::Time, "{}", column.name);
    }
    for rows in [rows, &[]] {
        let frame = frame(rows.iter(), files).unwrap();
        assert_eq!(frame.height(), rows.len());
        for (series, column) in frame.columns().iter().zip(R::columns()) {
            assert_eq!(series.name().as_str(), column.name);
            let dtype = match column.kind {
                Kind::Integer => "i64",
                Kind::Real => "f64",
                Kind::Flag => "bool",
                Kind::Text => "str",
                Kind::Time => "datetime[ns, UTC]",
            };
            assert_eq!(series.dtype().to_string(), dtype, "{}", column.name);
        }
        assert_eq!(frame.width(), R::columns().len());
    }
}

#[test]
fn every_cell_fits_its_column_and_empty_frames_have_all_columns() {
    let run = synthetic::run(Shape { connections: 200, ..Shape::default() });
    let (tables, summary) = (run.tables(), run.summary);
    let files = Files::of(&summary.captures);
    fits(&tables.connections, &files);
    fits(&tables.transitions, &files);
    fits(&tables.fin_retransmissions, &files);
    fits(&tables.time_wait, &files);
    fits(&tables.listeners, &files);
    fits(&tables.state_census, &files);
    fits(&tables.anomalies, &files);
    fits(&tables.listener_queues, &files);
    fits(&tables.ephemeral_ports, &files);
    fits(&tables.ephemeral_port_use, &files);
    fits(&tables.services, &files);
}

#[test]
fn a_frames_file_is_named_only_where_there_are_several() {
    use crate::tcp::segment::FrameId;
    let mut summary = synthetic::run(Shape { connections: 1, ..Shape::default() }).summary;
    assert_eq!(Files::of(&summary.captures).name(FrameId::new(0, 1)), None);
    let mut second = summary.captures[0].clone();
    second.path = "b.pcap".into();
    summary.captures.push(second);
    assert_eq!(Files::of(&summary.captures).name(FrameId::new(1, 1)), Some("b.pcap"));
    assert_eq!(Files::of(&summary.captures).name(FrameId::new(9, 1)), None);
}
