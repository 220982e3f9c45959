//! Everything the tables say of one connection. In: the connection and its counters. Out: its rows.

use super::history::History;
use super::rows::{AnomalyRow, Called, Closing, ConnectionReport, ConnectionRow, TransitionRow, Waiting, Who};
use super::teardown::Fins;
use super::time_wait::Finish;
use super::transfer::Transfer;
use super::{accept_queue, give_up, handshake, teardown, time_wait};
use crate::tcp::anomaly::Anomaly;
use crate::tcp::connection::Connection;
use crate::tcp::life::Step;
use crate::tcp::state::{Evidence, Side, State};
use crate::tcp::transition::Stimulus;
use crate::time::Span;

/// The rows of one connection, which is over.
pub fn report(
    conn: &mut Connection,
    who: Who,
    transfer: &Transfer,
    history: &History,
    time_wait: Span,
    finish: Finish,
) -> ConnectionReport {
    conn.accept_refusal();
    if let Finish::Reuse { side, ts, .. } = finish {
        conn.replaced(side, ts);
    }
    conn.settle_silence(finish.ts());
    let opened = handshake::opening(conn);
    let silent_server = conn.end(Side::Server).last_sent.is_none();
    if silent_server && !conn.midstream && conn.life.entry(Side::Server, State::Established).is_none() {
        conn.life.erase(Side::Server);
    }
    give_up::give_up(conn, finish.ts());
    time_wait::expire(conn, time_wait, finish);
    bound_timers(conn);
    conn.life.settle_bounds();

    let fins = Fins::among(&conn.log);
    let active_closer = teardown::active_closer(conn, fins);
    let closing = match finish {
        Finish::Evicted(_) => Closing::Evicted,
        _ => teardown::closing(conn, active_closer),
    };
    let fin_retransmissions = teardown::fin_retransmissions(conn, fins);
    let closed = each(|side| conn.end(side).fin_end.is_some());
    let reset = each(|side| conn.reset.is_some_and(|reset| reset.side == side && !reset.after_close));
    let established = Side::BOTH.iter().any(|&side| conn.life.entry(side, State::Established).is_some());
    let held_off_since = accept_queue::held_off_since(conn);
    let transitions = transitions(conn);
    let stays = time_wait::stays(conn, time_wait);
    let anomalies = conn.anomalies.iter().map(anomaly).collect();

    ConnectionReport {
        ordinal: transfer.ordinal,
        waiting: Waiting { held_off_since, server_spoke: transfer.first_byte_ts[Side::Server.index()] },
        connection: ConnectionRow {
            conn_id: 0,
            first_ts: transfer.first_ts,
            last_ts: transfer.last_ts,
            first_frame: transfer.first_frame,
            last_frame: transfer.last_frame,
            packets: transfer.packets,
            wire_bytes: transfer.wire_bytes,
            capture_copies: transfer.capture_copies,
            payload_bytes: transfer.payload_bytes,
            opening: opened.opening,
            syn_packets: transfer.syns[Side::Client.index()],
            syn_ack_packets: transfer.syn_acks[Side::Server.index()],
            connect_ns: opened.connect_ns,
            syn_to_syn_ack_ns: opened.syn_to_syn_ack_ns,
            syn_ack_to_ack_ns: opened.syn_ack_to_ack_ns,
            handshake_ns: opened.handshake_ns,
            tap: opened.tap,
            closing,
            active_closer,
            states: each(|side| conn.state(side).filter(|&state| state != State::Listen)),
            fin_retransmissions: each(|side| fin_retransmissions.iter().filter(|row| row.side == side).count() as u64),
            close_wait_ns: each(|side| teardown::close_wait_ns(conn, side, finish.ts())),
            retransmissions: transfer.retransmissions,
            conn_state: history.conn_state(established, closed, reset),
            history: *history.letters(),
            syn_retransmissions: transfer.syn_repeats[Side::Client.index()],
            syn_ack_retransmissions: transfer.syn_ack_repeats[Side::Server.index()],
            accept_queue_overflow: conn.accept_queue_overflow,
            syn_wait_ns: opened.syn_wait_ns,
            accept_wait_ns: accept_queue::accept_wait_ns(conn, held_off_since),
            // From payloads, which are gone here; whoever kept what they told puts it in.
            called: Called::default(),
            split: false,
            who,
        },
        transitions,
        fin_retransmissions,
        time_wait: stays,
        anomalies,
    }
}

/// What `of` tells of the client and of the server.
pub(super) fn each<T>(mut of: impl FnMut(Side) -> T) -> [T; 2] {
    [of(Side::Client), of(Side::Server)]
}

fn anomaly(anomaly: &Anomaly) -> AnomalyRow {
    AnomalyRow {
        conn_id: None,
        ts: anomaly.ts,
        frame: anomaly.frame,
        side: Some(anomaly.side),
        kind: anomaly.kind,
        detail: anomaly.detail.clone(),
        count: anomaly.count,
    }
}

/// An end of TIME_WAIT that no packet of the connection shows lies after the last sign of life.
fn bound_timers(conn: &mut Connection) {
    for side in Side::BOTH {
        let last_sent = conn.end(side).last_sent;
        conn.life.bound_last(side, |step| match step.stimulus {
            // Whoever sends the next SYN itself has left TIME_WAIT by then.
            Stimulus::Reused if step.from != Some(State::TimeWait) => (None, Some(step.ts)),
            Stimulus::Reused if step.evidence == Evidence::Observed => (last_sent, Some(step.ts)),
            Stimulus::Reused => (Some(step.ts), None),
            Stimulus::TwoMsl => (last_sent, None),
            _ => (step.earliest, step.latest),
        });
    }
}

/// Both lives, and what was believed in between, in the order of belief.
fn transitions(conn: &Connection) -> Vec<TransitionRow> {
    let retracted = conn.life.retracted();
    let lives = each(|side| conn.life.steps(side));
    let mut rows = Vec::with_capacity(lives[0].len() + lives[1].len() + retracted.len());
    for (side, steps) in Side::BOTH.into_iter().zip(lives) {
        let first = rows.len();
        rows.extend(steps.iter().zip(1..).map(|(step, number)| transition(side, number, step, false)));
        if !retracted.is_empty() {
            insert_retracted(&mut rows, first, side, retracted);
        }
    }
    rows
}

/// Puts what was believed of `side` among its rows, which begin at `first`, and numbers them anew.
fn insert_retracted(rows: &mut Vec<TransitionRow>, first: usize, side: Side, retracted: &[(Side, Step)]) {
    for (_, step) in retracted.iter().filter(|(whose, _)| *whose == side) {
        let later = rows[first..].iter().position(|row| row.ts > step.ts);
        rows.insert(later.map_or(rows.len(), |later| first + later), transition(side, 0, step, true));
    }
    rows[first..].iter_mut().zip(1..).for_each(|(row, number)| row.step = number);
}

pub(super) fn transition(side: Side, number: u32, step: &Step, retracted: bool) -> TransitionRow {
    TransitionRow {
        conn_id: 0,
        side,
        step: number,
        from_state: step.from,
        to_state: step.to,
        ts: step.ts,
        frame: step.frame,
        trigger: step.stimulus,
        evidence: step.evidence,
        confirmed: step.confirmed.is_some() && !retracted,
        earliest_ts: step.earliest,
        latest_ts: step.latest,
        retracted,
    }
}
