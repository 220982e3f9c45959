//! In: an endpoint's life by the kernel and by finwait at one tap; out: whether they agree, what no tap there could see, and which
//! changes lie inside their intervals.
//!
//! A difference is explained only change by change, each under its own condition on the packets: what the endpoint's own host
//! captured around the change must not have passed this tap. Everything else is wrong.

use finwait::metrics::rows::TransitionRow;
use finwait::tcp::segment::{Addressed, Flags, Segment};
use finwait::tcp::state::{Evidence, State};
use finwait::time::{Span, Timestamp};

use crate::record::{Change, Endpoint, Life};
use crate::told::Told;

/// The two clocks are one, but the record's resolution is a microsecond and its offset was measured.
const CLOCK: Span = Span::from_micros(5);
/// A packet that the host captured acts on its socket within this.
const ACTS: Span = Span::from_micros(1_000);

/// Why no tap there could see a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unseen {
    /// The capture began after it.
    BeforeTheCapture,
    /// It became CLOSED and neither sent nor received a packet.
    GaveUp,
    /// It closed, but its FIN stayed behind what was never acknowledged.
    FinNeverSent,
    /// All packets that could show the change were lost before this tap, or did not reach it before the capture ended.
    NeverPassed,
    /// The endpoint gave an attempt up that nobody had answered, and made another from the same port: one attempt by the report contract.
    SameAttempt,
    /// The server answered with a SYN cookie and kept nothing; its client never made up for the final ACK.
    Cookie,
    /// A packet passed this tap, died behind it, and nothing that passed later told of that: believed, and marked as uncertain.
    DiedBehind,
}

/// What became of one endpoint's comparison.
pub struct Verdict<'a> {
    /// The kernel's sequence is told, but for what no tap there could see.
    pub right: bool,
    /// What was not told, or told without having happened, and why.
    pub unseen: Vec<(State, Unseen)>,
    /// The rows, each beside the kernel's change that it tells.
    pub pairs: Vec<(Change, &'a TransitionRow)>,
    /// Rows that claim to be certain and tell what the kernel did not do.
    pub false_rows: Vec<&'a TransitionRow>,
}

/// Compares a life with what was told of it.
pub fn compare<'a>(life: &Life, rows: &[(State, &'a TransitionRow)], told: &Told, host: Option<&Told>) -> Verdict<'a> {
    let witness = Witness::new(life, told, host);
    let mut unseen = Vec::new();
    let mut start = 0;
    // A capture that began later: the first row starts from nothing, and tells of the last changes.
    if rows.first().is_some_and(|(_, row)| row.from_state.is_none()) && rows.len() < life.changes.len() {
        start = life.changes.len() - rows.len();
        unseen.extend(life.changes[..start].iter().map(|change| (change.to, Unseen::BeforeTheCapture)));
    }
    let changes = &life.changes[start..];
    let matched = longest_match(changes, rows);
    let mut right = true;
    for (index, change) in changes.iter().enumerate() {
        if !matched.iter().any(|&(of_change, _)| of_change == index) {
            match witness.unseen(life, start + index) {
                Some(why) => unseen.push((change.to, why)),
                None => right = false,
            }
        }
    }
    let extra = |index: usize| !matched.iter().any(|&(_, of_row)| of_row == index);
    let mut false_rows = Vec::new();
    for (index, (to, row)) in rows.iter().enumerate().filter(|(index, _)| extra(*index)) {
        if certain(row) {
            false_rows.push(*row);
        }
        if (index..rows.len()).all(extra) && witness.died_behind(row, told) {
            unseen.push((*to, Unseen::DiedBehind));
        } else {
            right = false;
        }
    }
    let pairs = matched.iter().map(|&(of_change, of_row)| (changes[of_change], rows[of_row].1)).collect();
    Verdict { right, unseen, pairs, false_rows }
}

/// Does a row claim to be certain?
pub fn certain(row: &TransitionRow) -> bool {
    row.confirmed || row.evidence == Evidence::Observed
}

/// Is the instant inside the row's interval?
pub fn inside(ts: Timestamp, row: &TransitionRow) -> bool {
    let too_early = row.earliest_ts.is_some_and(|earliest| ts.plus(CLOCK) < earliest);
    let too_late = row.latest_ts.is_some_and(|latest| ts > latest.plus(CLOCK));
    !too_early && !too_late
}

/// The longest common subsequence of states, as pairs of indices; of equals the one that leaves out late changes.
fn longest_match(changes: &[Change], rows: &[(State, &TransitionRow)]) -> Vec<(usize, usize)> {
    let (height, width) = (changes.len(), rows.len());
    let mut longest = vec![vec![0_usize; width + 1]; height + 1];
    for i in 0..height {
        for j in 0..width {
            longest[i + 1][j + 1] =
                if changes[i].to == rows[j].0 { longest[i][j] + 1 } else { longest[i][j + 1].max(longest[i + 1][j]) };
        }
    }
    let (mut i, mut j) = (height, width);
    let mut found = Vec::new();
    while i > 0 && j > 0 {
        if longest[i][j] == longest[i - 1][j] {
            i -= 1;
        } else if longest[i][j] == longest[i][j - 1] {
            j -= 1;
        } else {
            (i, j) = (i - 1, j - 1);
            found.push((i, j));
        }
    }
    found.reverse();
    found
}

/// What makes a segment the same at two taps.
pub fn identity(one: &Addressed) -> impl PartialEq + use<> {
    let Segment { seq, ack, flags, window, payload_len, ip_id, checksum, options, .. } = one.segment;
    (one.src, one.dst, seq, ack, flags, window, payload_len, (ip_id, checksum, options))
}

/// The packets that could show an endpoint's changes: what its host captured, each with whether it passed this tap.
struct Witness<'a> {
    endpoint: Endpoint,
    host: Option<&'a Told>,
    seen: Option<Vec<(bool, bool, Segment)>>, // (sent by the endpoint, passed this tap, itself)
    /// An ICMP error that answers the endpoint's segments passed this tap.
    undelivered: bool,
}

impl<'a> Witness<'a> {
    fn new(life: &Life, told: &Told, host: Option<&'a Told>) -> Self {
        let endpoint = life.endpoint;
        let Some(host) = host else { return Self { endpoint, host, seen: None, undelivered: false } };
        let (here, there): Endpoint = endpoint;
        let of_flow = |one: &&Addressed| (one.src, one.dst) == (here, there) || (one.src, one.dst) == (there, here);
        let at_tap: Vec<_> = told.segments.iter().filter(of_flow).map(identity).collect();
        let seen = host.segments.iter().filter(of_flow);
        let seen = seen.map(|one| (one.src == here, at_tap.contains(&identity(one)), one.segment));
        let undelivered = told.undelivered.iter().any(|icmp| (icmp.src, icmp.dst) == endpoint);
        Self { endpoint, host: Some(host), seen: Some(seen.collect()), undelivered }
    }

    /// Did the packet that a doubtful row rests on die behind this tap, and the endpoint send nothing past it from then on?
    fn died_behind(&self, row: &TransitionRow, told: &Told) -> bool {
        let (Some(host), Some(frame)) = (self.host, row.frame) else { return false };
        let Some(believed) = told.segments.iter().find(|one| one.segment.frame == frame) else { return false };
        let to_it = (believed.dst, believed.src) == self.endpoint;
        let arrived = host.segments.iter().any(|one| identity(one) == identity(believed));
        let heard_of = told
            .segments
            .iter()
            .any(|one| (one.src, one.dst) == self.endpoint && one.segment.ordinal > believed.segment.ordinal);
        to_it && !certain(row) && !arrived && !heard_of
    }

    /// Why the change at `index` could not be seen, or `None` if it could.
    fn unseen(&self, life: &Life, index: usize) -> Option<Unseen> {
        let change = life.changes[index];
        let Some(seen) = &self.seen else {
            // One tap alone: an endpoint that gave up, and was not heard of again.
            let silent = change.to == State::Closed && matches!(change.from, State::SynSent | State::FinWait2);
            return (silent && index + 1 == life.changes.len()).then_some(Unseen::GaveUp);
        };
        let ts = change.ts?;
        let unanswered = |one: &Change| {
            let answered = |until| seen.iter().any(|(mine, _, segment)| !mine && segment.ts <= until);
            (one.from, one.to) == (State::SynSent, State::Closed) && !one.ts.is_some_and(answered)
        };
        let again = |one: &Change| (one.from, one.to) == (State::Closed, State::SynSent);
        if unanswered(&change) && life.changes.get(index + 1).is_some_and(again)
            || again(&change) && index > 0 && unanswered(&life.changes[index - 1])
        {
            return Some(Unseen::SameAttempt);
        }
        // Until the endpoint's next life.
        let next_life =
            life.changes[index + 1..].iter().find(|later| matches!(later.from, State::Closed | State::Listen));
        let until = next_life.and_then(|later| later.ts).unwrap_or(Timestamp::MAX);
        let after = |own: bool| {
            let from = if own { ts } else { ts.plus(Span::from_nanos(-ACTS.as_nanos())) };
            seen.iter().filter(move |(mine, _, segment)| {
                *mine == own
                    && segment.ts.plus(CLOCK) >= from
                    && segment.ts < until
                    && (own || segment.ts <= ts.plus(CLOCK))
            })
        };
        // A packet that reached the endpoint as it changed.
        let cause = after(false).any(|(_, passed, _)| *passed);
        let had_cause = after(false).next().is_some();
        let sent = |wanted: fn(Flags) -> bool, passed_only: bool| {
            after(true).any(|(_, passed, segment)| wanted(segment.flags) && (*passed || !passed_only))
        };
        match change.to {
            State::FinWait1 | State::LastAck if !sent(|flags| flags.has_all(Flags::FIN), false) => {
                Some(Unseen::FinNeverSent)
            }
            State::FinWait1 | State::LastAck => {
                (!sent(|flags| flags.has_all(Flags::FIN), true)).then_some(Unseen::NeverPassed)
            }
            State::SynSent => (!sent(Flags::is_bare_syn, true)).then_some(Unseen::NeverPassed),
            // Nothing is told of a server whose answer was never seen.
            State::SynReceived if change.from == State::Listen => {
                (!sent(|_| true, true)).then_some(Unseen::NeverPassed)
            }
            State::Closed => {
                let reset = |passed_only| sent(|flags| flags.has_all(Flags::RST), passed_only);
                match (
                    cause || reset(true) || self.undelivered && change.from == State::SynSent,
                    had_cause || reset(false),
                ) {
                    (true, _) => None,
                    (false, true) => Some(Unseen::NeverPassed),
                    (false, false) => Some(Unseen::GaveUp),
                }
            }
            _ => (!cause && !sent(|flags| !flags.has_all(Flags::RST), true)).then_some(Unseen::NeverPassed),
        }
    }
}
