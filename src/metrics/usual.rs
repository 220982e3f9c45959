//! Everything the tables say of a connection that took its usual course. In: its numbers, lives and counters. Out: its rows, the same that
//! [`report`](super::report) makes of the notes.

use super::handshake;
use super::history::History;
use super::report::{each, transition};
use super::rows::{
    ActiveCloser, Called, Closing, ConnectionReport, ConnectionRow, Opening, Tap, TimeWaitEnd, TimeWaitRow,
    TransitionRow, Waiting, Who,
};
use super::time_wait::Finish;
use super::transfer::Transfer;
use crate::tcp::state::{Evidence, Side, State};
use crate::tcp::transition::Stimulus;
use crate::tcp::usual::Usual;
use crate::time::{Span, Timestamp};

/// The rows of one connection, which is over.
pub fn report(
    conn: &mut Usual,
    who: Who,
    transfer: &Transfer,
    history: &History,
    time_wait: Span,
    finish: Finish,
) -> ConnectionReport {
    let [syn, syn_ack, last_ack] = conn.opened;
    let span = |from: Option<Timestamp>, to: Option<Timestamp>| to?.since(from?).measured();
    let (there, back) = (span(syn, syn_ack), span(syn_ack, last_ack));
    if syn_ack.is_none() {
        // A refused or unanswered SYN leaves a listener where it was.
        conn.life.erase(Side::Server);
        if conn.reset.is_none() {
            super::give_up::give_up_once(&mut conn.life, transfer.first_ts, finish.ts());
        }
    }
    let stays = conn.closer.map(|closer| stay(conn, closer, time_wait, finish.ts()));
    conn.life.settle_bounds();

    let closed = each(|side| conn.ends[side.index()].fin_end.is_some());
    let closing = match (finish, conn.reset) {
        (Finish::Evicted(_), _) => Closing::Evicted,
        (_, Some(Side::Client)) => Closing::ResetByClient,
        (_, Some(Side::Server)) => Closing::ResetByServer,
        (_, None) => match closed {
            [false, false] => Closing::Open,
            [true, true] if conn.ends.iter().all(|end| end.fin_acked) => Closing::Fin,
            [true, true] => Closing::Unfinished,
            _ => Closing::HalfClosed,
        },
    };
    let reset = each(|side| conn.reset == Some(side));
    ConnectionReport {
        ordinal: transfer.ordinal,
        waiting: Waiting { held_off_since: None, server_spoke: transfer.first_byte_ts[Side::Server.index()] },
        connection: ConnectionRow {
            conn_id: 0,
            first_ts: transfer.first_ts,
            last_ts: transfer.last_ts,
            first_frame: transfer.first_frame,
            last_frame: transfer.last_frame,
            packets: transfer.packets,
            wire_bytes: transfer.wire_bytes,
            capture_copies: [0; 2],
            payload_bytes: transfer.payload_bytes,
            opening: match conn.opened {
                [_, _, Some(_)] => Opening::Handshake,
                [_, Some(_), None] => Opening::HalfOpen,
                _ if conn.reset.is_some() => Opening::Refused,
                _ => Opening::NoAnswer,
            },
            syn_packets: 1,
            syn_ack_packets: u64::from(syn_ack.is_some()),
            connect_ns: there,
            syn_to_syn_ack_ns: there,
            syn_ack_to_ack_ns: back,
            handshake_ns: span(syn, last_ack),
            tap: if there.is_some() { handshake::tap(there, back) } else { Tap::Unknown },
            closing,
            active_closer: conn.closer.map(|closer| match closer {
                Side::Client => ActiveCloser::Client,
                Side::Server => ActiveCloser::Server,
            }),
            states: each(|side| conn.life.state(side)),
            fin_retransmissions: [0; 2],
            close_wait_ns: each(|side| close_wait_ns(conn, side, finish.ts())),
            retransmissions: [0; 2],
            conn_state: history.conn_state(syn_ack.is_some(), closed, reset),
            history: *history.letters(),
            syn_retransmissions: 0,
            syn_ack_retransmissions: 0,
            accept_queue_overflow: false,
            syn_wait_ns: there.map(|_| 0),
            accept_wait_ns: None,
            called: Called::default(),
            split: false,
            who,
        },
        transitions: transitions(conn),
        fin_retransmissions: Vec::new(),
        time_wait: stays.flatten().map_or_else(Vec::new, |stay| vec![stay]),
        anomalies: Vec::new(),
    }
}

fn transitions(conn: &Usual) -> Vec<TransitionRow> {
    let lives = each(|side| conn.life.steps(side));
    let mut rows = Vec::with_capacity(lives[0].len() + lives[1].len());
    for (side, steps) in Side::BOTH.into_iter().zip(lives) {
        rows.extend(steps.iter().zip(1..).map(|(step, number)| transition(side, number, step, false)));
    }
    rows
}

/// How long `side`, the second to close, sat in CLOSE_WAIT, to `end` if it sits there still.
fn close_wait_ns(conn: &Usual, side: Side, end: Timestamp) -> Option<i64> {
    if conn.closer? == side {
        return None;
    }
    let [entered, left] = [State::CloseWait, State::LastAck].map(|state| conn.entry(side, state));
    left.map_or(end, |step| step.ts).since(entered?.ts).measured()
}

/// The stay in TIME_WAIT of `side`, the first to close, if it came there by `end`; ends it if it is over by then.
fn stay(conn: &mut Usual, side: Side, assumed: Span, end: Timestamp) -> Option<TimeWaitRow> {
    let entered = conn.life.last_step(side).filter(|step| step.to == State::TimeWait)?.ts;
    let last_sent = conn.ends[side.index()].last_sent;
    let deadline = entered.plus(assumed).max(last_sent.unwrap_or(Timestamp::MIN));
    let over = deadline <= end;
    if over {
        conn.life.add(side, Stimulus::TwoMsl, deadline, None, Evidence::Assumed);
        conn.life.bound_last(side, |_| (last_sent, None));
    }
    let proof_of_life_ts = last_sent.filter(|&ts| ts >= entered);
    let ended_ts = over.then_some(deadline);
    Some(TimeWaitRow {
        conn_id: 0,
        side,
        entered_ts: entered,
        restarts: 0,
        last_restart_ts: None,
        proof_of_life_ts,
        ended_ts,
        end: if over { TimeWaitEnd::Assumed } else { TimeWaitEnd::CaptureEnd },
        at_least_ns: proof_of_life_ts.and_then(|ts| ts.since(entered).measured()),
        at_most_ns: None,
        duration_ns: ended_ts.and_then(|ts| ts.since(entered).measured()),
        assumed_ns: assumed.as_nanos(),
    })
}
