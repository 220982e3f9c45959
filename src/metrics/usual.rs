//! Everything the tables say of a connection that took its usual course. In: its numbers, paths and counters. Out: its rows, the same that
//! [`report`](super::report) makes of the notes, written where they are to stand.

use super::history::{FEW_LETTERS, Letters, conn_state};
use super::report::each;
use super::rows::{
    ActiveCloser, Called, Closing, ConnectionReport, ConnectionRow, Opening, Tap, TimeWaitEnd, TimeWaitRow,
    TransitionRow, Waiting, Who,
};
use super::time_wait::Finish;
use super::{give_up, handshake};
use crate::tcp::segment::Flags;
use crate::tcp::state::{Side, State};
use crate::tcp::transition::Stimulus;
use crate::tcp::usual::{Change, Counted, EVER, NEVER, Origin, Usual};
use crate::time::{Span, Timestamp};

/// What is counted of a usual connection beside its numbers; arrays are client, server.
#[derive(Clone, Copy, Debug)]
pub struct Tally {
    packets: [u64; 2],
    wire_bytes: [u64; 2],
    /// When the server's first byte passed; [`NEVER`] without.
    server_spoke: i64,
    letters: [u8; FEW_LETTERS],
    count: u8,
    /// Which sides have the letter `a`, and `d`.
    seen: [[bool; 2]; 2],
}

impl Tally {
    /// Nothing yet.
    pub const BLANK: Self = Self {
        packets: [0; 2],
        wire_bytes: [0; 2],
        server_spoke: NEVER,
        letters: [0; FEW_LETTERS],
        count: 0,
        seen: [[false; 2]; 2],
    };

    /// Counts a segment.
    #[inline]
    pub fn add(&mut self, side: Side, seg: &impl Counted) {
        let at = side.index();
        self.packets[at] += 1;
        self.wire_bytes[at] += u64::from(seg.wire_bytes());
        if side == Side::Server && seg.payload() > 0 && self.server_spoke == NEVER {
            self.server_spoke = seg.at();
        }
        if seg.flags().has_any(Flags::SYN.or(Flags::FIN).or(Flags::RST)) {
            let letter = match () {
                () if seg.flags().has_all(Flags::FIN) => b'f',
                () if seg.flags().has_all(Flags::RST) => b'r',
                () if seg.flags().has_all(Flags::ACK) => b'h',
                () => b's',
            };
            self.push(side, letter);
        } else {
            let has_data = seg.payload() > 0;
            if !std::mem::replace(&mut self.seen[at][usize::from(has_data)], true) {
                self.push(side, if has_data { b'd' } else { b'a' });
            }
        }
    }

    fn push(&mut self, side: Side, letter: u8) {
        if let Some(place) = self.letters.get_mut(usize::from(self.count)) {
            *place = if side == Side::Client { letter.to_ascii_uppercase() } else { letter };
            self.count += 1;
        }
    }

    fn letters(&self) -> Letters {
        Letters::of(&self.letters, self.count)
    }
}

/// What a usual connection is told with.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// Its number; 0 for one that has none yet.
    pub conn_id: u64,
    /// Its ends.
    pub who: Who,
    /// What its times count from.
    pub origin: Origin,
    /// Its counters.
    pub tally: &'a Tally,
    /// How long TIME_WAIT is assumed to last.
    pub time_wait: Span,
    /// Why its packets end.
    pub finish: Finish,
}

/// Writes the rows of one connection, which is over, into `report`, whatever that held before.
pub fn tell(conn: &mut Usual, told: &Told<'_>, report: &mut ConnectionReport) {
    let Told { conn_id, who, origin, tally, finish, .. } = *told;
    let [syn, syn_ack, last_ack] = conn.opened;
    let span = |from: i64, to: i64| (to != NEVER).then(|| to - from);
    let (there, back) = (span(syn, syn_ack), span(syn_ack, last_ack));
    let answered = there.is_some();
    let ConnectionReport {
        ordinal,
        waiting,
        connection,
        transitions,
        fin_retransmissions,
        time_wait: stays,
        anomalies,
    } = report;
    fin_retransmissions.clear();
    stays.clear();
    anomalies.clear();
    transitions.clear();
    *ordinal = origin.ordinal;
    *waiting = Waiting { held_off_since: None, server_spoke: origin.instant(tally.server_spoke) };

    if !answered && conn.reset.is_none() {
        let [client, _] = &mut conn.paths;
        if let Some((due, over)) = give_up::once(origin.ts, finish.ts()) {
            let [due, over] = [due, over].map(|ts| ts.since(origin.ts).as_nanos());
            client.times_out(Stimulus::GaveUp, due, EVER, over);
        }
    }
    if let Some(closer) = conn.closer {
        stays.extend(stay(conn, closer, told));
    }
    // A refused or unanswered SYN leaves a listener where it was.
    let lives = if answered { 2 } else { 1 };
    for (side, path) in Side::BOTH.into_iter().zip(&mut conn.paths).take(lives) {
        path.settle_bounds();
        transitions
            .extend(path.changes().iter().zip(1..).map(|(change, step)| row(conn_id, side, step, change, &origin)));
    }

    let closed = each(|side| conn.ends[side.index()].has_closed());
    let reset = each(|side| conn.reset == Some(side));
    let end = finish.ts().since(origin.ts).as_nanos();
    let (last_at, last_frames) = conn.last();
    // Field by field: built elsewhere and moved here, the row would be read in wide pieces before they have left the store buffer.
    let ConnectionRow {
        conn_id: number,
        who: ends,
        first_ts,
        last_ts,
        first_frame,
        last_frame,
        packets,
        wire_bytes,
        capture_copies,
        payload_bytes,
        opening,
        syn_packets,
        syn_ack_packets,
        connect_ns,
        syn_to_syn_ack_ns,
        syn_ack_to_ack_ns,
        handshake_ns,
        tap,
        closing,
        active_closer,
        states,
        fin_retransmissions,
        close_wait_ns,
        retransmissions,
        history,
        conn_state: zeeks,
        syn_retransmissions,
        syn_ack_retransmissions,
        accept_queue_overflow,
        syn_wait_ns,
        accept_wait_ns,
        called,
        split,
    } = connection;
    (*number, *ends) = (conn_id, who);
    (*first_ts, *last_ts) = (origin.ts, origin.ts.plus(Span::from_nanos(last_at)));
    (*first_frame, *last_frame) = (origin.frame, origin.frame(last_frames));
    (*packets, *wire_bytes) = (tally.packets, tally.wire_bytes);
    *payload_bytes = [conn.ends[0].bytes, conn.ends[1].bytes];
    (*capture_copies, *retransmissions, *fin_retransmissions) = ([0; 2], [0; 2], [0; 2]);
    *opening = match () {
        () if last_ack != NEVER => Opening::Handshake,
        () if answered => Opening::HalfOpen,
        () if conn.reset.is_some() => Opening::Refused,
        () => Opening::NoAnswer,
    };
    (*syn_packets, *syn_ack_packets) = (1, u64::from(answered));
    (*connect_ns, *syn_to_syn_ack_ns, *syn_ack_to_ack_ns) = (there, there, back);
    *handshake_ns = span(syn, last_ack);
    *tap = if answered { handshake::tap(there, back) } else { Tap::Unknown };
    *closing = match (finish, conn.reset, closed) {
        (Finish::Evicted(_), ..) => Closing::Evicted,
        (_, Some(Side::Client), _) => Closing::ResetByClient,
        (_, Some(Side::Server), _) => Closing::ResetByServer,
        (_, _, [false, false]) => Closing::Open,
        (_, _, [true, true]) if conn.ends.iter().all(|end| end.fin_acked) => Closing::Fin,
        (_, _, [true, true]) => Closing::Unfinished,
        _ => Closing::HalfClosed,
    };
    *active_closer = conn.closer.map(|closer| match closer {
        Side::Client => ActiveCloser::Client,
        Side::Server => ActiveCloser::Server,
    });
    *states = each(|side| (answered || side == Side::Client).then(|| conn.paths[side.index()].state));
    *close_wait_ns = each(|side| sat_in_close_wait(conn, side, end));
    *history = tally.letters();
    *zeeks = conn_state(true, answered, tally.packets[1] > 0, answered, closed, reset);
    (*syn_retransmissions, *syn_ack_retransmissions, *accept_queue_overflow) = (0, 0, false);
    (*syn_wait_ns, *accept_wait_ns) = (there.map(|_| 0), None);
    (*called, *split) = (Called::default(), false);
}

fn row(conn_id: u64, side: Side, step: u32, change: &Change, origin: &Origin) -> TransitionRow {
    TransitionRow {
        conn_id,
        side,
        step,
        from_state: Some(change.from),
        to_state: change.to,
        ts: origin.ts.plus(Span::from_nanos(change.at)),
        frame: change.frames.map(|frames| origin.frame(frames)),
        trigger: change.stimulus,
        evidence: change.evidence,
        confirmed: change.confirmed != NEVER,
        earliest_ts: origin.instant(change.earliest),
        latest_ts: origin.instant(change.latest),
        retracted: false,
    }
}

/// How long `side`, the second to close, sat in CLOSE_WAIT, to `end` if it sits there still.
fn sat_in_close_wait(conn: &Usual, side: Side, end: i64) -> Option<i64> {
    if conn.closer? == side {
        return None;
    }
    let path = &conn.paths[side.index()];
    let entered = path.entry(State::CloseWait)?.at;
    let left = path.entry(State::LastAck).map_or(end, |change| change.at);
    Span::from_nanos(left.saturating_sub(entered)).measured()
}

/// The stay in TIME_WAIT of `side`, the first to close, if it came there before the end; ends it if it is over by then.
fn stay(conn: &mut Usual, side: Side, told: &Told<'_>) -> Option<TimeWaitRow> {
    let Told { conn_id, origin, time_wait: assumed, finish, .. } = *told;
    let path = &mut conn.paths[side.index()];
    let entered_at = path.changes().last().filter(|change| change.to == State::TimeWait)?.at;
    let sent_at = conn.ends[side.index()].last_sent;
    let (entered, last_sent) = (origin.ts.plus(Span::from_nanos(entered_at)), origin.instant(sent_at));
    let deadline = entered.plus(assumed).max(last_sent.unwrap_or(Timestamp::MIN));
    let over = deadline <= finish.ts();
    if over {
        let not_before = if sent_at == NEVER { EVER } else { sent_at };
        path.times_out(Stimulus::TwoMsl, deadline.since(origin.ts).as_nanos(), not_before, NEVER);
    }
    let proof_of_life_ts = last_sent.filter(|&ts| ts >= entered);
    let ended_ts = over.then_some(deadline);
    Some(TimeWaitRow {
        conn_id,
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
