//! Stays in TIME_WAIT. In: a connection whose capture, or whose 4-tuple's use by it, is over. Out: how each stay ended, and
//! the rows of `time_wait`.

use super::rows::{TimeWaitEnd, TimeWaitRow};
use crate::tcp::connection::Connection;
use crate::tcp::log::{Acted, Note};
use crate::tcp::segment::FrameId;
use crate::tcp::state::{Evidence, Side, State};
use crate::tcp::transition::Stimulus;
use crate::time::{Span, Timestamp};

/// Why a connection's packets end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// The capture ended, at the timestamp of its last packet of any kind.
    Capture(Timestamp),
    /// A SYN of `side` at `ts` began the next incarnation.
    Reuse {
        /// Who sent it.
        side: Side,
        /// When it passed.
        ts: Timestamp,
        /// Its frame.
        frame: FrameId,
    },
    /// It was given up, at this packet time, to stay within memory.
    Evicted(Timestamp),
}

impl Finish {
    /// When.
    pub const fn ts(self) -> Timestamp {
        match self {
            Self::Capture(ts) | Self::Evicted(ts) | Self::Reuse { ts, .. } => ts,
        }
    }
}

/// The repeated FINs that restarted `side`'s TIME_WAIT: those that arrived, as far as can be told, and after which it still acknowledged.
fn restarts(conn: &Connection, side: Side, entry: usize) -> impl Iterator<Item = &Note> {
    let since = conn.log.get(entry + 1..).unwrap_or_default();
    let last_ack = since.iter().rposition(|note| note.side == side && note.rcv.has(Stimulus::RcvAckOfFin)).unwrap_or(0);
    since[..last_ack]
        .iter()
        .filter(move |note| note.to == side && note.is_fin() && note.repeat && note.acted == Acted::Believed)
}

/// When the assumed time runs out: counted from the entry, from the last restart, and never before a sign of life.
pub fn deadline(conn: &Connection, side: Side, assumed: Span) -> Option<Timestamp> {
    let step = conn.life.last_step(side).filter(|step| step.to == State::TimeWait)?;
    let restarted = step.note.and_then(|entry| restarts(conn, side, entry).map(|fin| fin.ts).max());
    let from = restarted.map_or(step.ts, |ts| ts.max(step.ts));
    Some(from.plus(assumed).max(conn.end(side).last_sent.unwrap_or(Timestamp::MIN)))
}

/// Ends the stays that are over by `finish`.
pub fn expire(conn: &mut Connection, assumed: Span, finish: Finish) {
    for side in Side::BOTH {
        // Whoever begins anew has given the old connection up, seen or not.
        if let Finish::Reuse { side: by, ts, frame } = finish
            && by == side
            && !matches!(conn.state(side), None | Some(State::Closed | State::Listen | State::TimeWait))
        {
            conn.life.add(side, Stimulus::Reused, ts, Some(frame), Evidence::Inferred);
        }
        let Some(deadline) = deadline(conn, side, assumed) else { continue };
        match finish {
            Finish::Reuse { side: by, ts, frame } if ts < deadline => {
                let evidence = if by == side { Evidence::Observed } else { Evidence::Inferred };
                conn.life.add(side, Stimulus::Reused, ts, Some(frame), evidence);
            }
            _ if deadline <= finish.ts() => {
                conn.life.add(side, Stimulus::TwoMsl, deadline, None, Evidence::Assumed);
            }
            _ => {}
        }
    }
}

/// The stays of both sides; `expire` has been called.
pub fn stays(conn: &Connection, assumed: Span) -> Vec<TimeWaitRow> {
    let entry = |side| Some((side, conn.life.steps(side).iter().position(|step| step.to == State::TimeWait)?));
    match [entry(Side::Client), entry(Side::Server)] {
        [None, None] => Vec::new(),
        [Some((side, entry)), None] | [None, Some((side, entry))] => vec![stay(conn, side, entry, assumed)],
        both => both.into_iter().flatten().map(|(side, entry)| stay(conn, side, entry, assumed)).collect(),
    }
}

/// The stay of `side` that began with its step `entry`.
fn stay(conn: &Connection, side: Side, entry: usize, assumed: Span) -> TimeWaitRow {
    let steps = conn.life.steps(side);
    let entered = &steps[entry];
    let left = steps.get(entry + 1);
    let restarts = || entered.note.into_iter().flat_map(|note| restarts(conn, side, note));
    let last_restart_ts = restarts().map(|fin| fin.ts).max();
    let proof_of_life_ts = conn.end(side).last_sent.filter(|&ts| ts >= entered.ts);
    let end = match left.map(|step| step.stimulus) {
        None => TimeWaitEnd::CaptureEnd,
        Some(Stimulus::RcvRst) => TimeWaitEnd::Reset,
        Some(Stimulus::SndRst) => TimeWaitEnd::AnsweredReset,
        Some(Stimulus::Reused) => TimeWaitEnd::Reused,
        Some(_) => TimeWaitEnd::Assumed,
    };
    let duration_ns = left.and_then(|step| step.ts.since(entered.ts).measured());
    let last_sign = proof_of_life_ts.max(last_restart_ts);
    TimeWaitRow {
        conn_id: 0,
        side,
        entered_ts: entered.ts,
        restarts: restarts().count() as u32,
        last_restart_ts,
        proof_of_life_ts,
        ended_ts: left.map(|step| step.ts),
        end,
        at_least_ns: last_sign.and_then(|ts| ts.since(entered.ts).measured()),
        at_most_ns: duration_ns.filter(|_| end != TimeWaitEnd::Assumed),
        duration_ns,
        assumed_ns: assumed.as_nanos(),
    }
}
