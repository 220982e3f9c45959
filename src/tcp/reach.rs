//! Had a packet arrived by then? In: how far an endpoint is from the tap and how long ago the packet passed. Out: yes, no, or perhaps.

use crate::time::Span;

/// An endpoint may take this long to answer beyond the round trip.
pub const SLOW_ANSWER: Span = Span::from_millis(1);
/// No timer repeats a FIN sooner that is all its sender has under way: Linux adds this to the two round trips of a loss probe (`tcp_rto_min`), BSD to
/// its least timeout (`rexmit_slop`).
pub const SOONEST_REPEAT: Span = Span::from_millis(200);
/// Where no round trip has been measured, what passed longer ago than this is taken to have arrived. Satellites are no farther.
const UNKNOWN_REACH: Span = Span::from_secs(3);

/// Had a packet arrived when its receiver sent one that passed the tap later?
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Arrived {
    /// There was time enough, a round trip to spare.
    Yes,
    /// The distance is not known, or less than a round trip was to spare.
    Perhaps,
    /// They crossed: not even half a round trip was to spare.
    No,
}

/// Had a packet arrived that passed `before` ago, at an endpoint `reach` away?
pub fn arrived(reach: Option<Span>, before: Span) -> Arrived {
    let Some(reach) = reach else {
        return if before > UNKNOWN_REACH { Arrived::Yes } else { Arrived::Perhaps };
    };
    let to_spare = before.as_nanos().saturating_sub(reach.plus(SLOW_ANSWER).as_nanos());
    match reach.as_nanos() {
        whole if to_spare > whole => Arrived::Yes,
        whole if to_spare > whole / 2 => Arrived::Perhaps,
        _ => Arrived::No,
    }
}
