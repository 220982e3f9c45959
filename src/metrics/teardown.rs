//! How a connection closed, and every FIN that came again. In: the connection's notes and lives. Out: the closing columns
//! of its row, the rows of `fin_retransmissions`.

use super::rows::{ActiveCloser, Closing, FinCause, FinRetransmissionRow, RepeatedBy};
use crate::tcp::connection::Connection;
use crate::tcp::log::{Acted, Note};
use crate::tcp::state::{Side, State};
use crate::tcp::transition::Stimulus;
use crate::time::Timestamp;

/// The segment that first shows that a side has sent its FIN, with its place in the log, for each side.
fn first_fins(conn: &Connection) -> [Option<(usize, &Note)>; 2] {
    let mut fins = [None; 2];
    for (index, note) in conn.log.iter().enumerate().filter(|(_, note)| note.snd.has(Stimulus::SndFin)) {
        fins[note.side.index()].get_or_insert((index, note));
    }
    fins
}

/// Who sent its FIN first; `Both` when neither had the other's.
pub fn active_closer(conn: &Connection) -> Option<ActiveCloser> {
    let by = |side| if side == Side::Client { ActiveCloser::Client } else { ActiveCloser::Server };
    match first_fins(conn) {
        [None, None] => None,
        [Some(_), None] => Some(ActiveCloser::Client),
        [None, Some(_)] => Some(ActiveCloser::Server),
        [Some(client), Some(server)] => {
            let (first, second) = if client.0 < server.0 { (client, server) } else { (server, client) };
            let crossed = !second.1.is_fin() && first.1.after >= second.0;
            let got_first = second.1.flags.has_all(crate::tcp::segment::Flags::ACK)
                && conn.end(first.1.side).fin_covered_by(second.1.ack);
            Some(if got_first && !crossed { by(first.1.side) } else { ActiveCloser::Both })
        }
    }
}

/// How it ended.
pub fn closing(conn: &Connection, active_closer: Option<ActiveCloser>) -> Closing {
    if let Some(reset) = conn.reset.filter(|reset| !reset.after_close) {
        return if reset.side == Side::Client { Closing::ResetByClient } else { Closing::ResetByServer };
    }
    match Side::BOTH.map(|side| conn.end(side).fin_end.is_some()) {
        [false, false] => match conn.stale_reset {
            Some(Side::Client) => Closing::ResetByClient,
            Some(Side::Server) => Closing::ResetByServer,
            None => Closing::Open,
        },
        [true, false] if conn.alone && conn.end(Side::Client).fin_acked => Closing::Fin,
        [true, true] if !conn.ends.iter().all(|end| end.fin_acked) => Closing::Unfinished,
        [true, true] if active_closer == Some(ActiveCloser::Both) => Closing::Simultaneous,
        [true, true] => Closing::Fin,
        _ => Closing::HalfClosed,
    }
}

/// How long `side` sat in CLOSE_WAIT, to `end` if it sits there still.
pub fn close_wait_ns(conn: &Connection, side: Side, end: Timestamp) -> Option<i64> {
    let steps = conn.life.steps(side);
    let entered = steps.iter().position(|step| step.to == State::CloseWait)?;
    let left = steps.get(entered + 1).map_or(end, |step| step.ts);
    left.since(steps[entered].ts).measured()
}

/// A row for each repeat of a FIN, the client's first.
pub fn fin_retransmissions(conn: &Connection) -> Vec<FinRetransmissionRow> {
    if !conn.log.iter().any(|note| note.is_fin() && note.repeat) {
        return Vec::new();
    }
    Side::BOTH.into_iter().flat_map(|side| repeats(conn, side)).collect()
}

fn repeats(conn: &Connection, side: Side) -> Vec<FinRetransmissionRow> {
    let mut rows = Vec::new();
    let mut fins = conn.log.iter().enumerate().filter(|(_, note)| note.side == side && note.is_fin());
    let Some((_, first)) = fins.next() else { return rows };
    let mut before = first;
    let mut interval_before: Option<i64> = None;
    for (index, fin) in fins {
        let since_previous_ns = fin.ts.since(before.ts).measured();
        if fin.repeat {
            let backoff = match (interval_before, since_previous_ns) {
                (Some(previous), Some(now)) if previous > 0 && !rows.is_empty() => Some(now as f64 / previous as f64),
                _ => None,
            };
            let attempt = rows.len() as u32 + 1;
            let row =
                FinRetransmissionRow { attempt, since_previous_ns, backoff, ..repeat(conn, index, first, before) };
            rows.push(row);
        }
        (before, interval_before) = (fin, since_previous_ns);
    }
    tell_probe_from_timer(&mut rows);
    rows
}

/// The FIN that note `index` repeats, after `first` and all others to `before`.
fn repeat(conn: &Connection, index: usize, first: &Note, before: &Note) -> FinRetransmissionRow {
    let fin = &conn.log[index];
    FinRetransmissionRow {
        conn_id: 0,
        side: fin.side,
        attempt: 1,
        ts: fin.ts,
        frame: fin.frame,
        first_fin_ts: first.ts,
        since_previous_ns: None,
        sender_state: sender_state(conn, fin.side, index),
        receiver_state: state_before(conn, conn.peer(fin.side), index),
        cause: cause(conn, fin.side, index, before),
        backoff: None,
        repeated_by: RepeatedBy::Undecided,
        payload_bytes: u64::from(fin.payload_len),
        first_payload_bytes: u64::from(first.payload_len),
    }
}

/// The shortest retransmission timeout in use (Linux; RFC 6298 2.4 asks for a second).
const MIN_RTO_NS: i64 = 200_000_000;
/// Sooner than kernels' timers run out, which count in milliseconds: a packet set it off. BSD's CLOSING sends its FIN with every ACK.
const MIN_TIMER_NS: i64 = 1_000_000;

/// A retransmission timer doubles with each repeat (RFC 6298 5.5); a tail-loss probe (RFC 8985 7) comes once, first, and doubles
/// nothing. So the second interval tells what ended the first. Where there is none, only a first one shorter than any timer tells.
fn tell_probe_from_timer(rows: &mut [FinRetransmissionRow]) {
    let second = rows.get(1).and_then(|row| row.backoff);
    for (index, row) in rows.iter_mut().enumerate() {
        row.repeated_by = match (index, second, row.since_previous_ns) {
            (_, _, Some(interval)) if interval < MIN_TIMER_NS => RepeatedBy::Undecided,
            (0, Some(backoff), _) if (1.6..=2.6).contains(&backoff) => RepeatedBy::Timer,
            (0, Some(_), _) => RepeatedBy::LossProbe,
            (0, None, Some(interval)) if interval < MIN_RTO_NS => RepeatedBy::LossProbe,
            (0, None, _) => RepeatedBy::Undecided,
            _ => RepeatedBy::Timer,
        };
    }
}

/// The state of `side` before note `index`, in hindsight.
fn state_before(conn: &Connection, side: Side, index: usize) -> Option<State> {
    let steps = conn.life.steps(side);
    let before = steps.iter().take_while(|step| step.note.is_some_and(|note| note < index)).last();
    before.map(|step| step.to).or_else(|| steps.first().and_then(|step| step.from))
}

/// A FIN comes again only from where it is not acknowledged. An ACK that had passed the tap may not have arrived yet.
fn sender_state(conn: &Connection, side: Side, index: usize) -> Option<State> {
    let unacknowledged = [State::FinWait1, State::Closing, State::LastAck];
    let told = conn.life.steps(side).iter().take_while(|step| step.note.is_none_or(|note| note < index));
    told.map(|step| step.to).filter(|state| unacknowledged.contains(state)).last()
}

/// Why `side` sent its FIN again, as note `index`, after `before`, the copy before it.
fn cause(conn: &Connection, side: Side, index: usize, before: &Note) -> FinCause {
    let (peer, fin) = (conn.peer(side), &conn.log[index]);
    let acks_fin = |note: &&Note| note.side == peer && note.rcv.has(Stimulus::RcvAckOfFin);
    if conn.log[..index].iter().any(|note| acks_fin(&note)) {
        return FinCause::AckLost;
    }
    // A D-SACK of the FIN (RFC 2883): the peer got two, so its acknowledgement of the first was lost before the tap.
    let next_ack = conn.log[index..].iter().find(acks_fin);
    let reported_twice =
        |note: &Note| note.sack.is_some_and(|(_, right)| right == fin.end && note.ack.is_at_or_after(right));
    // Linux in TIME_WAIT echoes the FIN that led there, however often it comes again.
    let echoes = |ack: &Note, fin: &Note| match (ack.timestamps, fin.timestamps) {
        (Some((_, echo)), Some((value, _))) => echo == value,
        _ => false,
    };
    let held = conn.log[..index].iter().any(|note| note.side == peer && note.is_fin());
    let mut earlier = conn.log[..index].iter().filter(|note| note.side == side && note.is_fin());
    let echoes_earlier = next_ack.is_some_and(|ack| held && !echoes(ack, fin) && earlier.any(|copy| echoes(ack, copy)));
    if next_ack.is_some_and(reported_twice) || echoes_earlier {
        return FinCause::AckLost;
    }
    let end = conn.end(peer);
    if end.last_seen.is_none_or(|last| last <= fin.ts) {
        return FinCause::Unanswered;
    }
    // Sooner than the copy before could have been acknowledged, or that copy had arrived: no loss made it come again.
    if before.acted == Acted::Believed {
        return FinCause::Undecided;
    }
    if next_ack.is_some() || end.last_sent.is_some_and(|last| last > fin.ts) {
        return FinCause::FinLost;
    }
    FinCause::Undecided
}
