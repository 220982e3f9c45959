//! What may be wrong with one connection. In: its report. Out: cases, by kind.

use super::finding::Case;
use crate::metrics::rows::{Closing, ConnectionReport, ConnectionRow, Opening};
use crate::tcp::segment::FrameId;
use crate::tcp::state::{Side, State};
use crate::time::Span;

/// A stay in CLOSE_WAIT from which on the application is said not to close.
const LONG_CLOSE_WAIT: Span = Span::from_secs(10);

/// What may be wrong with a connection and is told by listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Concern {
    AcceptQueue,
    CloseWait,
    NoAnswer,
    Refused,
    Unreachable,
    HalfOpen,
    Aborted,
    SynRepeated,
    SynAckRepeated,
    ResetByServer,
    ResetByClient,
}

/// A listener's cases; most listeners have few kinds.
#[derive(Clone, Debug, Default)]
pub struct Concerns(Vec<(Concern, Case)>);

impl Concerns {
    /// Takes one connection of the listener.
    pub fn note(&mut self, report: &ConnectionReport) {
        let row = &report.connection;
        if row.accept_queue_overflow {
            self.of(Concern::AcceptQueue).note(0, row.accept_wait_ns, Some(row.first_frame));
        }
        if let Some((open, nanos, frame)) = close_wait(report, Side::Server) {
            self.of(Concern::CloseWait).note(open, Some(nanos), Some(frame));
        }
        let failed = match row.opening {
            Opening::NoAnswer => Some(Concern::NoAnswer),
            Opening::Refused => Some(Concern::Refused),
            Opening::Unreachable => Some(Concern::Unreachable),
            Opening::HalfOpen => Some(Concern::HalfOpen),
            Opening::Aborted => Some(Concern::Aborted),
            Opening::Handshake | Opening::Simultaneous | Opening::Midstream => None,
        };
        if let Some(failed) = failed {
            self.of(failed).note(row.syn_packets, None, Some(row.first_frame));
            return;
        }
        if row.opening != Opening::Midstream {
            self.repeats(row);
        }
        let reset = match row.closing {
            Closing::ResetByServer => Concern::ResetByServer,
            Closing::ResetByClient => Concern::ResetByClient,
            _ => return,
        };
        self.of(reset).note(0, None, Some(row.last_frame));
    }

    /// SYNs and SYN-ACKs that came again although the attempt succeeded in the end.
    fn repeats(&mut self, row: &ConnectionRow) {
        if row.syn_retransmissions > 0 {
            let waited = row.syn_wait_ns.filter(|&nanos| nanos > 0);
            self.of(Concern::SynRepeated).note(row.syn_retransmissions, waited, Some(row.first_frame));
        }
        if row.syn_ack_retransmissions > 0 && !row.accept_queue_overflow {
            self.of(Concern::SynAckRepeated).note(row.syn_ack_retransmissions, None, Some(row.first_frame));
        }
    }

    fn of(&mut self, concern: Concern) -> &mut Case {
        let place = self.0.iter().position(|known| known.0 == concern).unwrap_or_else(|| {
            // Of a scan's listeners each has one.
            self.0.reserve_exact(1);
            self.0.push((concern, Case::default()));
            self.0.len() - 1
        });
        &mut self.0[place].1
    }

    /// All of them.
    pub fn into_cases(self) -> impl Iterator<Item = (Concern, Case)> {
        self.0.into_iter()
    }
}

/// A long stay of `side` in CLOSE_WAIT: whether it was still there when the capture ended (1 or 0), its length, and the frame
/// that began it.
pub fn close_wait(report: &ConnectionReport, side: Side) -> Option<(u64, i64, FrameId)> {
    let row = &report.connection;
    let nanos = row.close_wait_ns[side.index()].filter(|&nanos| nanos >= LONG_CLOSE_WAIT.as_nanos())?;
    let entries = report.transitions.iter().rev().filter(|change| change.side == side && !change.retracted);
    let entered = entries.filter(|change| change.to_state == State::CloseWait).find_map(|change| change.frame);
    let open = u64::from(row.states[side.index()] == Some(State::CloseWait));
    Some((open, nanos, entered.unwrap_or(row.last_frame)))
}
