//! Endpoints that give up without a packet. In: a connection whose packets end. Out: an assumed CLOSED for a side whose next repeat was due
//! long ago and never came.

use crate::tcp::connection::Connection;
use crate::tcp::log::Note;
use crate::tcp::state::{Evidence, Side, State};
use crate::tcp::transition::Stimulus;
use crate::time::{Span, Timestamp};

/// The longest first timeout in use (RFC 1122 4.2.3.1; RFC 6298 lowered it to a second): what was sent once is repeated by then.
const FIRST_TIMEOUT: Span = Span::from_secs(3);

/// When an endpoint whose only packet passed at `sent` gave up, and by when it has, if that was before the `end`.
pub(super) fn once(sent: Timestamp, end: Timestamp) -> Option<(Timestamp, Timestamp)> {
    at(sent, FIRST_TIMEOUT, end)
}

/// The same for one that repeated something with `interval` before the last time, at `last`.
fn at(last: Timestamp, interval: Span, end: Timestamp) -> Option<(Timestamp, Timestamp)> {
    let due = last.plus(interval).plus(interval);
    let over = due.plus(interval);
    (interval.as_nanos() > 0 && over <= end).then_some((due, over))
}

/// Ends each side that repeats itself no more, by `end`, the last instant that is known of. A timer at most doubles (RFC 6298 5.5), so the next
/// repeat was due after twice the last interval; half of that again is allowed for.
pub fn give_up(conn: &mut Connection, end: Timestamp) {
    for side in Side::BOTH {
        // What was sent once may have been answered out of the tap's sight; only a SYN that was would have led on.
        let (repeated, once): (fn(&Note) -> bool, _) = match conn.state(side) {
            Some(State::SynSent) => (|note| note.flags.is_bare_syn(), Some(FIRST_TIMEOUT)),
            Some(State::SynReceived) => (|note| note.flags.is_syn_ack(), None),
            Some(State::FinWait1 | State::Closing | State::LastAck) => (Note::is_fin, None),
            _ => continue,
        };
        let mut copies = conn.log.iter().rev().filter(|note| note.side == side && note.sent && repeated(note));
        let Some(last) = copies.next().map(|note| note.ts) else { continue };
        let Some(interval) = copies.next().map(|before| last.since(before.ts)).or(once) else { continue };
        if let Some((due, over)) = at(last, interval, end) {
            conn.life.add(side, Stimulus::GaveUp, due, None, Evidence::Assumed);
            conn.life.bound_last(side, |_| (None, Some(over)));
        }
    }
}
