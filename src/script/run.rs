//! Runs a script through the core. In: a script. Out: the reports, or the first line whose expectation fails.

use std::cmp::Ordering;
use std::iter;

use super::parse::{Expectation, Expected, Line, Mark, Numbers, Script};
use crate::conntrack::flow::{self, Flow};
use crate::conntrack::key::FlowKey;
use crate::conntrack::tracker::Config;
use crate::metrics::folds::{Asked, Folds, Told};
use crate::metrics::rows::{ConnectionReport, EphemeralPortRow, EphemeralPortUseRow, ListenerQueueRow, ListenerRow};
use crate::metrics::time_wait::{self, Finish};
use crate::tcp::connection::Connection;
use crate::tcp::segment::{Addressed, HostPort, Segment, Undelivered, Why};
use crate::tcp::state::{Evidence, Side, State};
use crate::time::{Span, Timestamp};

/// A line, or an expectation, that was not met.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct Unmet {
    line: usize,
    what: String,
}

/// Who speaks in a script: client and server.
pub type Ends = [HostPort; 2];

/// What passes the tap.
#[derive(Clone, Copy, Debug)]
pub enum Passing {
    /// A segment.
    Segment(Addressed),
    /// An ICMP error that quotes one.
    Undelivered(Undelivered),
}

/// What a line puts on the wire, with addresses; `None` when it only lets time pass.
fn passing(script: &Script, line: &Line, ends: Ends) -> Option<Passing> {
    let addressed = |(side, segment): (Side, Segment)| Addressed {
        src: ends[side.index()],
        dst: ends[if script.alone { side } else { side.peer() }.index()],
        vlan: None,
        tunnel: None,
        segment,
    };
    let icmp = |Addressed { src, dst, segment: Segment { ts, frame, seq, .. }, .. }| {
        Passing::Undelivered(Undelivered {
            ts,
            frame,
            src,
            dst,
            seq,
            from: dst.ip,
            why: Why::Unreachable { what: Some("host") },
        })
    };
    line.packet.map(|packet| Passing::Segment(addressed(packet))).or(line.undelivered.map(addressed).map(icmp))
}

/// All that a script puts on the wire.
pub fn wire(script: &Script, ends: Ends) -> Vec<Passing> {
    script.lines.iter().filter_map(|line| passing(script, line, ends)).collect()
}

/// The segments of a script with addresses.
pub fn addressed(script: &Script, ends: Ends) -> Vec<Addressed> {
    let segment = |passing| match passing {
        Passing::Segment(addressed) => Some(addressed),
        Passing::Undelivered(_) => None,
    };
    wire(script, ends).into_iter().filter_map(segment).collect()
}

/// Runs a script through one flow, lane by lane. Returns its reports, in order.
pub fn run(script: &Script, ends: Ends, numbers: Numbers) -> Result<Vec<ConnectionReport>, Unmet> {
    let mut config = Config::default();
    if let Some(time_wait) = script.time_wait {
        config.time_wait = time_wait;
    }
    let mut flow: Option<Flow> = None;
    let mut reports = Vec::new();
    let mut retracted = [0; 2];
    for line in &script.lines {
        match (passing(script, line, ends), &mut flow) {
            (Some(Passing::Segment(segment)), None) => {
                flow = Some(Flow::new(&segment, flow::key_of(&segment).1));
            }
            (Some(Passing::Segment(segment)), Some(flow)) => {
                if let Some(ended) = flow.feed(&segment, flow::key_of(&segment).1, &config) {
                    reports.push(ended);
                    let of =
                        |side| flow.connection().life.retracted().iter().filter(|(whose, _)| *whose == side).count();
                    retracted = Side::BOTH.map(of);
                }
            }
            (Some(Passing::Undelivered(icmp)), Some(flow)) => {
                flow.undelivered(&icmp, FlowKey::new(icmp.src, icmp.dst).1);
            }
            (Some(Passing::Undelivered(_)) | None, _) => {}
        }
        let Some(flow) = &flow else { continue };
        let dst = ends[usize::from(!script.alone)];
        let (_, up) = flow::key_of(&Addressed { src: ends[0], dst, ..addressed(script, ends)[0] });
        let now = numbers.start.plus(line.at);
        for lane in Side::BOTH {
            let conn = flow.connection();
            let side = if (flow.client() == up) == (lane == Side::Client) { Side::Client } else { Side::Server };
            let count = conn.life.retracted().iter().filter(|(whose, _)| *whose == side).count();
            let took_back = count > retracted[side.index()];
            retracted[side.index()] = count;
            let Some(expected) = line.expected[lane.index()] else { continue };
            let shown = shown(conn, side, now, config.time_wait, took_back);
            if shown != expected {
                let what = format!("{lane}: expected {}, got {}", text(expected), text(shown));
                return Err(Unmet { line: line.number, what });
            }
        }
    }
    if let Some(flow) = flow {
        reports.push(flow.finish(&config, Finish::Capture(script.end(numbers))));
    }
    let asked = Asked { bucket: script.bucket, time_wait: config.time_wait, ..Asked::ALL };
    let mut folds = Folds::new(asked);
    reports.iter().for_each(|report| folds.add(report));
    let told = folds.finish(Some((numbers.start, script.end(numbers))));
    for expectation in &script.expectations {
        meets(expectation, &told, &reports, numbers.start).map_err(|what| Unmet { line: expectation.number, what })?;
    }
    Ok(reports)
}

fn text(expected: Expected) -> String {
    let mark = match expected.mark {
        Mark::Known => "",
        Mark::Inferred => "?",
        Mark::Assumed => "~",
        Mark::Retracted => "!",
    };
    format!("{}{mark}", expected.state.map_or("-", State::name))
}

fn shown(conn: &Connection, side: Side, now: Timestamp, time_wait: Span, took_back: bool) -> Expected {
    if time_wait::deadline(conn, side, time_wait).is_some_and(|deadline| deadline <= now) {
        return Expected { state: Some(State::Closed), mark: Mark::Assumed };
    }
    let mark = match conn.life.last_step(side) {
        _ if took_back => Mark::Retracted,
        Some(step) if step.confirmed.is_none() && step.evidence == Evidence::Inferred => Mark::Inferred,
        _ => Mark::Known,
    };
    Expected { state: conn.state(side), mark }
}

/// A cell of a row, for comparison.
enum Cell {
    Text(String),
    Nanos(Option<i64>),
}

fn word(value: impl ToString) -> Cell {
    Cell::Text(value.to_string())
}

fn optional(value: Option<impl ToString>) -> Cell {
    Cell::Text(value.map_or("null".to_owned(), |value| value.to_string()))
}

fn meets(expectation: &Expectation, told: &Told, reports: &[ConnectionReport], start: Timestamp) -> Result<(), String> {
    let rows = match folded_rows(told, &expectation.table, start) {
        Some(rows) => rows,
        None => rows(&expectation.table, reports, start)?,
    };
    let matches = |row: &Vec<(&str, Cell)>| -> Result<bool, String> {
        for (column, want) in &expectation.columns {
            let name = column.trim_end_matches(['<', '>']);
            let (_, cell) =
                row.iter().find(|(known, _)| *known == name).ok_or_else(|| format!("{name}: no such column"))?;
            let same = match cell {
                Cell::Text(text) => text == want,
                Cell::Nanos(None) => want == "null" || name != column,
                Cell::Nanos(Some(_)) if want == "null" => false,
                Cell::Nanos(Some(nanos)) => match nanos.cmp(&super::parse::duration(want)?.as_nanos()) {
                    Ordering::Less => column.ends_with('<'),
                    Ordering::Equal => true,
                    Ordering::Greater => column.ends_with('>'),
                },
            };
            if !same {
                return Ok(false);
            }
        }
        Ok(true)
    };
    let mut found = false;
    for row in &rows {
        found |= matches(row)?;
    }
    if found != expectation.none {
        return Ok(());
    }
    let print = |row: &Vec<(&str, Cell)>| {
        let cells = row.iter().map(|(name, cell)| match cell {
            Cell::Text(text) => format!("{name}={text}"),
            Cell::Nanos(nanos) => {
                format!("{name}={}", nanos.map_or("null".to_owned(), |nanos| Span::from_nanos(nanos).to_string()))
            }
        });
        cells.collect::<Vec<_>>().join(" ")
    };
    let have: Vec<String> = rows.iter().map(print).collect();
    Err(format!("{expectation:?} is not met; the rows of {}:\n  {}", expectation.table, have.join("\n  ")))
}

type Row = Vec<(&'static str, Cell)>;

/// The rows of one of these tables; `None` for any other.
fn folded_rows(told: &Told, table: &str, start: Timestamp) -> Option<Vec<Row>> {
    let at = |ts: Option<Timestamp>| Cell::Nanos(ts.map(|ts| ts.since(start).as_nanos()));
    Some(match table {
        "listeners" => {
            let cells = |row: &ListenerRow| {
                vec![
                    ("server_port", word(row.server.port)),
                    ("attempts", word(row.attempts)),
                    ("established", word(row.established)),
                    ("half_open", word(row.half_open)),
                    ("half_open_peak", word(row.half_open_peak)),
                    ("half_open_peak_ts", at(row.half_open_peak_ts)),
                    ("accept_queue_overflows", word(row.accept_queue_overflows)),
                    ("time_wait_peak", word(row.time_wait_peak)),
                    ("syn_wait_p99_ns", Cell::Nanos(row.syn_wait.p99)),
                    ("syn_wait_max_ns", Cell::Nanos(row.syn_wait.max)),
                    ("accept_wait_p50_ns", Cell::Nanos(row.accept_wait.p50)),
                    ("accept_wait_max_ns", Cell::Nanos(row.accept_wait.max)),
                    ("held_off_peak", word(row.held_off_peak)),
                    ("held_off_peak_ts", at(row.held_off_peak_ts)),
                    ("unaccepted_at_least", optional(row.unaccepted_at_least)),
                    ("accept_queue_at_most", optional(row.accept_queue_at_most)),
                    ("close_wait_p50_ns", Cell::Nanos(row.close_wait.p50)),
                    ("close_wait_p99_ns", Cell::Nanos(row.close_wait.p99)),
                    ("close_wait_max_ns", Cell::Nanos(row.close_wait.max)),
                    ("close_wait_open", word(row.close_wait_open)),
                ]
            };
            told.listeners.iter().map(cells).collect()
        }
        "listener_queues" => {
            let cells = |row: ListenerQueueRow| {
                vec![
                    ("bucket_ts", at(Some(row.bucket_ts))),
                    ("server_port", word(row.server.port)),
                    ("syn_received", word(row.syn_received)),
                    ("held_off", word(row.held_off)),
                    ("close_wait", word(row.close_wait)),
                    ("time_wait", word(row.time_wait)),
                    ("syn_received_peak", word(row.syn_received_peak)),
                ]
            };
            told.listener_queues.rows().map(cells).collect()
        }
        "ephemeral_ports" => {
            let cells = |row: &EphemeralPortRow| {
                vec![
                    ("server_port", word(row.user.server.port)),
                    ("connections", word(row.connections)),
                    ("distinct_client_ports", word(row.distinct_client_ports)),
                    ("time_wait_stays", word(row.time_wait_stays)),
                    ("time_wait_peak", word(row.time_wait_peak)),
                    ("time_wait_peak_ts", at(row.time_wait_peak_ts)),
                    ("connections_per_second", word(row.connections_per_second)),
                    ("ports_available", word(row.ports_available)),
                ]
            };
            told.ephemeral_ports.iter().map(cells).collect()
        }
        "ephemeral_port_use" => {
            let cells = |row: EphemeralPortUseRow| {
                vec![
                    ("bucket_ts", at(Some(row.bucket_ts))),
                    ("server_port", word(row.user.server.port)),
                    ("time_wait", word(row.time_wait)),
                    ("time_wait_peak", word(row.time_wait_peak)),
                    ("connections", word(row.connections)),
                ]
            };
            told.ephemeral_port_use.rows().map(cells).collect()
        }
        _ => return None,
    })
}

fn rows(table: &str, reports: &[ConnectionReport], start: Timestamp) -> Result<Vec<Row>, String> {
    let at = |ts: Option<Timestamp>| Cell::Nanos(ts.map(|ts| ts.since(start).as_nanos()));
    let connection = |(index, report): (usize, &ConnectionReport)| {
        let row = &report.connection;
        vec![
            ("incarnation", word(index + 1)),
            ("opening", word(row.opening)),
            ("closing", word(row.closing)),
            ("active_closer", optional(row.active_closer)),
            ("client_port", word(row.who.client.port)),
            ("role_known", word(row.who.role_known)),
            ("first_frame", word(row.first_frame.number())),
            ("last_frame", word(row.last_frame.number())),
            ("packets_client", word(row.packets[0])),
            ("packets_server", word(row.packets[1])),
            ("payload_bytes_client", word(row.payload_bytes[0])),
            ("payload_bytes_server", word(row.payload_bytes[1])),
            ("capture_copies_client", word(row.capture_copies[0])),
            ("capture_copies_server", word(row.capture_copies[1])),
            ("syn_packets", word(row.syn_packets)),
            ("syn_ack_packets", word(row.syn_ack_packets)),
            ("connect_ns", Cell::Nanos(row.connect_ns)),
            ("syn_wait_ns", Cell::Nanos(row.syn_wait_ns)),
            ("syn_to_syn_ack_ns", Cell::Nanos(row.syn_to_syn_ack_ns)),
            ("syn_ack_to_ack_ns", Cell::Nanos(row.syn_ack_to_ack_ns)),
            ("handshake_ns", Cell::Nanos(row.handshake_ns)),
            ("tap", word(row.tap)),
            ("client_state", optional(row.states[0])),
            ("server_state", optional(row.states[1])),
            ("fin_retransmissions_client", word(row.fin_retransmissions[0])),
            ("fin_retransmissions_server", word(row.fin_retransmissions[1])),
            ("close_wait_client_ns", Cell::Nanos(row.close_wait_ns[0])),
            ("close_wait_server_ns", Cell::Nanos(row.close_wait_ns[1])),
            ("retransmissions_client", word(row.retransmissions[0])),
            ("retransmissions_server", word(row.retransmissions[1])),
            ("history", word(row.history)),
            ("conn_state", word(row.conn_state)),
            ("accept_queue_overflow", word(row.accept_queue_overflow)),
            ("accept_wait_ns", Cell::Nanos(row.accept_wait_ns)),
        ]
    };
    Ok(match table {
        "connections" => reports.iter().enumerate().map(connection).collect(),
        "transitions" => each(
            reports,
            |report| &report.transitions,
            |row| {
                vec![
                    ("side", word(row.side)),
                    ("from_state", optional(row.from_state)),
                    ("to_state", word(row.to_state)),
                    ("ts", at(Some(row.ts))),
                    ("frame", optional(row.frame.map(|frame| frame.number()))),
                    ("trigger", word(row.trigger.trigger().replace(' ', "_"))),
                    ("evidence", word(row.evidence.name())),
                    ("confirmed", word(row.confirmed)),
                    ("earliest_ts", at(row.earliest_ts)),
                    ("latest_ts", at(row.latest_ts)),
                    ("retracted", word(row.retracted)),
                ]
            },
        ),
        "fin_retransmissions" => each(
            reports,
            |report| &report.fin_retransmissions,
            |row| {
                vec![
                    ("side", word(row.side)),
                    ("attempt", word(row.attempt)),
                    ("ts", at(Some(row.ts))),
                    ("frame", word(row.frame.number())),
                    ("first_fin_ts", at(Some(row.first_fin_ts))),
                    ("since_previous_ns", Cell::Nanos(row.since_previous_ns)),
                    ("sender_state", optional(row.sender_state)),
                    ("receiver_state", optional(row.receiver_state)),
                    ("cause", word(row.cause)),
                    ("backoff", optional(row.backoff)),
                    ("repeated_by", word(row.repeated_by)),
                    ("payload_bytes", word(row.payload_bytes)),
                    ("first_payload_bytes", word(row.first_payload_bytes)),
                ]
            },
        ),
        "time_wait" => each(
            reports,
            |report| &report.time_wait,
            |row| {
                vec![
                    ("side", word(row.side)),
                    ("entered_ts", at(Some(row.entered_ts))),
                    ("restarts", word(row.restarts)),
                    ("last_restart_ts", at(row.last_restart_ts)),
                    ("proof_of_life_ts", at(row.proof_of_life_ts)),
                    ("ended_ts", at(row.ended_ts)),
                    ("end", word(row.end)),
                    ("at_least_ns", Cell::Nanos(row.at_least_ns)),
                    ("at_most_ns", Cell::Nanos(row.at_most_ns)),
                    ("duration_ns", Cell::Nanos(row.duration_ns)),
                    ("assumed_ns", Cell::Nanos(Some(row.assumed_ns))),
                ]
            },
        ),
        "anomalies" => each(
            reports,
            |report| &report.anomalies,
            |row| {
                vec![
                    ("kind", word(row.kind)),
                    ("side", optional(row.side)),
                    ("frame", word(row.frame.number())),
                    ("count", word(row.count)),
                ]
            },
        ),
        _ => return Err(format!("{table}: no such table")),
    })
}

fn each<R>(
    reports: &[ConnectionReport],
    rows: fn(&ConnectionReport) -> &Vec<R>,
    cells: impl Fn(&R) -> Row,
) -> Vec<Row> {
    let numbered = |(index, report)| {
        let cells = &cells;
        rows(report).iter().map(move |row| iter::once(("incarnation", word(index + 1))).chain(cells(row)).collect())
    };
    reports.iter().enumerate().flat_map(numbered).collect()
}
